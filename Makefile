# `make check` before a commit, `make ci` before a release. Tools come from .venv where there is one.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# Tests of what differs from BASE: the folder of a changed package, a changed test itself.
BASE ?= $(shell git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main)
changed_tests = $(sort $(wildcard $(shell \
	(git diff --name-only $(BASE); git ls-files --others --exclude-standard) | sed -nE \
	-e 's!^desc/([a-z_]+)/.*!tests/\1!p' -e 's!^desc/([a-z_]+[.]py)$$!tests/test_\1!p' \
	-e 's!^(tests/.*)/conftest[.]py$$!\1!p' -e '/^tests.*\/test_[a-z_]+[.]py$$/p')))

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

check: lint changed  ## lint, format, types, import rules, tests of what changed

lint:  ## lint, format, types, import rules
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format:  ## mend what ruff can mend
	ruff check --fix .
	ruff format .

changed:  ## tests of what differs from BASE (default: where the branch left main)
	$(if $(changed_tests),pytest $(changed_tests),@echo nothing to test)

test:  ## all but the slow tests
	pytest

slow:  ## trainings, notebooks, examples, the site
	pytest -m slow

fuzz:  ## damaged files for each reader, SECONDS (default 60) each
	DESC_FUZZ_S=$(or $(SECONDS),60) pytest -k 'fuzz or damage'

docs:  ## the site, into site/
	mkdocs build --strict

lock:  ## write requirements.txt; with UPGRADE=--upgrade the newest of all but torch
	python .ci/lock.py $(UPGRADE)

release-check:  ## build sdist and wheel, install the wheel alone, run the demo with it
	rm -rf build/release && python3 -m venv build/release/venv
	build/release/venv/bin/python -m pip install --quiet build
	build/release/venv/bin/python -m build --outdir build/release/dist
	build/release/venv/bin/python -m pip install build/release/dist/*.whl
	cd build/release && venv/bin/desc demo --output_dir demo
	test -s "$$(find build/release/demo -name prediction.wav | head -1)"

ci:  ## a fresh installation as the README says, then everything
	.ci/run

.PHONY: help check lint format changed test slow fuzz docs lock release-check ci
