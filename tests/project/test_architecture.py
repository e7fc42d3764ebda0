"""The layers hold, and no module hides one of the standard library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "desc"

LAYERS = (
    "errors",
    "configuration",
    "files",
    "progress",
    "audio",
    "metrics",
    "descriptors",
    "storage",
    "exchange",
    "corpus",
    "database",
    "models",
    "runs",
    "prediction",
    "scoring",
    "query",
    "concatenation",
    "playlist_formats",
    "answering",
    "training",
    "outputs",
    "report",
    "soundgen",
    "pipeline",
    "evaluation",
    "demo",
    "explore",
    "commands",
)
SCRIPTS = {"train_function", "predict_function", "__main__"}
ONLY_IMPORTER = {
    "pytorch_lightning": "training",
    "wandb": "runs",
    "soundfile": "audio",
    "soxr": "audio",
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """Return the layer a file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[str]:
    """Return the dotted names a file imports anywhere, lazily included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_module_has_a_layer() -> None:
    units = {unit(path) for path in MODULES} - {"__init__"} - SCRIPTS
    assert units == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_layers(path: Path) -> None:
    here = unit(path)
    if here == "__init__" or here in SCRIPTS:
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "desc" or len(parts) < 2 or parts[1] == "__version__":
            continue
        assert parts[1] in LAYERS, f"{path}: imports {name}"
        assert LAYERS.index(parts[1]) <= LAYERS.index(here), f"{here} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_libraries_are_imported_where_they_belong(path: Path) -> None:
    for name in imports(path):
        owner = ONLY_IMPORTER.get(name.split(".")[0], unit(path))
        assert unit(path) == owner, f"{path}: imports {name}"
        assert name.split(".")[0] not in ("lightning", "resampy")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_relative_imports_are_not_used(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_no_module_hides_one_of_the_standard_library() -> None:
    """`python desc/train_function.py` puts desc/ first on the path, where `io` would be ours."""
    names = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    assert not (names - {"__init__", "__main__"}) & sys.stdlib_module_names


def test_only_the_command_line_prints() -> None:
    for path in MODULES:
        if unit(path) == "commands":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            is_print = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            assert not is_print, f"{path}:{node.lineno} prints"


def public_definitions(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the public functions and classes of a module or class body, methods included."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = [n for n in body if isinstance(n, kinds) and not n.name.startswith("_")]
    return found + [
        m for n in found if isinstance(n, ast.ClassDef) for m in public_definitions(n.body)
    ]


def test_every_public_name_has_a_docstring() -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for node in public_definitions(tree.body):
            assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name}"
