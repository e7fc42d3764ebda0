"""What is installed holds what the code reads."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "desc"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_file_of_the_package_is_installed() -> None:
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]["desc"]
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()]
    others = [path for path in files if path.suffix not in (".py", ".pyc")]
    assert others
    for path in others:
        assert any(fnmatchcase(path.as_posix(), pattern) for pattern in patterns), path


def test_every_package_has_an_init() -> None:
    """setuptools finds packages by it; folders of templates are data of the package above."""
    for folder in {path.parent for path in PACKAGE.rglob("*.py")}:
        assert (folder / "__init__.py").is_file(), folder


def test_all_holds_every_extra() -> None:
    extras = dict(SETTINGS["project"]["optional-dependencies"])
    (everything,) = extras.pop("all")
    named = set(everything.removeprefix("descriptor-transformer[").removesuffix("]").split(","))
    assert named == set(extras)
    assert {"soundgen", "search", "cluster", "report", "notebook", "dev"} <= named


def test_the_tested_set_pins_what_the_package_asks_for() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "torch==2.13.0"  # first, so that a mirror of it is asked for nothing else
    assert lines[-1] == "-e .[all]"
    assert all("==" in line for line in lines[:-1])
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines[:-1]}
    project = SETTINGS["project"]
    asked = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        asked += extra
    names = {re.match(r"[\w-]+", entry)[0].lower() for entry in asked}  # type: ignore[index]
    assert names - {"descriptor-transformer"} <= pinned


def test_the_tested_set_installs_on_the_oldest_python_of_distributions() -> None:
    """Debian 12 has 3.11.2, where a pin that asks for 3.11.5 cannot be installed."""
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()[:-1]:
        name, version = line.split("==")
        with suppress(PackageNotFoundError):
            about = metadata(name)
            if about["Version"].split("+")[0] == version:
                assert SpecifierSet(about["Requires-Python"] or "").contains("3.11.2"), line


def test_the_workflow_runs_what_ci_runs() -> None:
    local = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    here = set(re.findall(r"^\.venv/bin/(.+)$", local, re.M))
    assert len(here) >= 5
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]
    steps = [step.get("run", "") for step in jobs["test"]["steps"]]
    assert here <= set(steps)
    assert any(step.startswith("pytest --cov") for step in steps)
    systems = jobs["test"]["strategy"]["matrix"]["os"]
    assert {name.split("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}
    oldest = SETTINGS["project"]["requires-python"].removeprefix(">=")
    versions = [entry.rsplit(" ")[-1] for entry in SETTINGS["project"]["classifiers"]]
    newest = max((v for v in versions if "." in v), key=lambda v: int(v.split(".")[1]))
    for job in jobs.values():
        assert job["strategy"]["matrix"]["python"] == [oldest, newest]
