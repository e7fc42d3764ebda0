"""The installed package contains all data files."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

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


def test_the_lock_pins_what_the_package_asks_for() -> None:
    *pins, project = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert project == "-e .[all]"
    pinned = {canonicalize_name(name): version for name, version in (p.split("==") for p in pins)}
    asked = [*SETTINGS["project"]["dependencies"]]
    for extra in SETTINGS["project"]["optional-dependencies"].values():
        asked += extra
    for requirement in map(Requirement, asked):
        if requirement.name != SETTINGS["project"]["name"]:
            version = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_the_lock_installs_on_the_oldest_python_of_distributions() -> None:
    """Debian 12 has 3.11.2, where a pin that asks for 3.11.5 cannot be installed."""
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()[:-1]:
        name, version = line.split("==")
        with suppress(PackageNotFoundError):
            about = metadata(name)
            if about["Version"].split("+")[0] == version:
                assert SpecifierSet(about.get("Requires-Python", "")).contains("3.11.2"), line


def test_fast_tests_run_on_three_systems_with_the_oldest_and_the_newest_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    oldest = SETTINGS["project"]["requires-python"].removeprefix(">=")
    versions = [entry.rsplit(" ")[-1] for entry in SETTINGS["project"]["classifiers"]]
    newest = max((v for v in versions if "." in v), key=lambda v: int(v.split(".")[1]))
    assert matrix["python"] == [oldest, newest]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = set()
    for name in (".ci/run", ".github/workflows/ci.yml", ".github/workflows/release.yml"):
        named |= set(re.findall(r"\bmake ([a-z-]+)$", (ROOT / name).read_text("utf-8"), re.M))
    named |= set(re.findall(r"`make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    assert {"lint", "slow", "check"} <= named <= targets
