"""Rules of the package that `lint-imports` and ruff do not cover."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "desc"


def test_no_module_hides_one_of_the_standard_library() -> None:
    """`python desc/train_function.py` puts desc/ first on the path, where `io` would be ours."""
    names = {path.stem for path in PACKAGE.iterdir()} - {"__init__", "__main__"}
    assert "train_function" in names
    assert not names & sys.stdlib_module_names
