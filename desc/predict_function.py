"""`python desc/predict_function.py …`: the same as `desc predict …`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Continue recordings; see `desc predict --help`. Returns the exit status."""
    from desc.commands.main import main as run_command

    return run_command(["predict", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    # Python put this folder first on the path; the package's parent belongs there.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(main())
