"""Options that name recordings, completed from a run."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from desc.commands.folders import FOLDERS, PATTERNS, recall_inputs
from desc.errors import ConfigurationError


def options(**given: Any) -> argparse.Namespace:
    names = dict.fromkeys((*FOLDERS, *PATTERNS, "resume_run_id", "from_run"))
    return argparse.Namespace(**{**names, **given})


def test_a_run_completes_what_is_not_given() -> None:
    inputs = {"audio_db_dir": "a", "validation_db_dir": "v", "include": ["x*"]}
    record: Any = SimpleNamespace(run_id="id", inputs=inputs)

    def recalled(**given: Any) -> tuple[Any, Any, Any]:
        args = options(**given)
        recall_inputs(args, record)
        return args.audio_db_dir, args.validation_db_dir, args.include

    assert recalled(resume_run_id="id") == ("a", "v", ["x*"])
    assert recalled(from_run="id") == ("a", "v", ["x*"])
    # Patterns belong to the folder; a new run on other recordings has its own validation.
    assert recalled(resume_run_id="id", audio_db_dir="b") == ("b", "v", None)
    assert recalled(from_run="id", audio_db_dir="b") == ("b", None, None)
    with pytest.raises(ConfigurationError, match="run id does not name one"):
        recall_inputs(options(from_run="id"), SimpleNamespace(run_id="id", inputs={}))  # type: ignore[arg-type]
