"""Checkpoints of trainings: the network under its own key, and the state to resume from.

All hold plain values and tensors only and are read without running code. `best.ckpt` holds the
network; `last.ckpt` also holds the state of its training, `previous.ckpt` that of the checkpoint
before, until the run is finished.
"""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from desc.errors import CheckpointError
from desc.files import replacing
from desc.models.checkpoint_file import damage, read_checkpoint, write_checkpoint

logger = logging.getLogger(__name__)
FOLDER = "checkpoints"
LAST, BEST, PLANNED_BEST, PREVIOUS = (
    f"{FOLDER}/{name}.ckpt" for name in ("last", "best", "planned_best", "previous")
)
STATE_KEY = "desc.training"
FORMAT_VERSION = 1


@dataclass
class Progress:
    """Progress of a training between two steps.

    Attributes
    ----------
    step : int
        Steps done.
    attempt : int
        Number of returns to a checkpoint after the loss diverged.
    best_score : float
        Lowest value of the monitored metric in planned validations.
    best_step : int
        Step of that measurement.
    best_figures : dict of str to float
        All metrics of that measurement.
    waited : int
        Measurements of the monitored metric since then.
    sums, counts : dict of str to float
        Sums and counts of the losses since the last row of `metrics.csv`.
    """

    step: int = 0
    attempt: int = 0
    best_score: float = math.inf
    best_step: int = 0
    best_figures: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the dictionaries are copies."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}


def save_checkpoint(
    path: Path, network: dict[str, Any], state: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : Path
    network : dict
        Key of the network's format → content.
    state : dict, optional
        State of the training; with it, the file that is replaced is kept as `previous.ckpt`.
    """
    content = dict(network)
    if state is not None:
        content[STATE_KEY] = {"format_version": FORMAT_VERSION} | state
    with replacing(path) as temporary:
        with temporary.open("wb") as stream:  # torch would write the temporary name into the file
            write_checkpoint(stream, content)
        if state is not None and path.is_file():
            os.replace(path, path.with_name(Path(PREVIOUS).name))


def checkpoints_of(folder: Path) -> list[Path]:
    """Return the checkpoints in a run's folder from which it can be resumed, the last one first."""
    return [folder / name for name in (LAST, PREVIOUS) if (folder / name).is_file()]


def read_state(folder: Path, run_id: str) -> dict[str, Any] | None:
    """Return the state of the training in a run's folder; None before the first checkpoint.

    If the last checkpoint is damaged, it is that of the checkpoint before, with a warning.

    Raises
    ------
    CheckpointError
        If both are damaged, or of an earlier version of this program.
    """
    paths = checkpoints_of(folder)
    if not paths:
        return None
    path = paths[0]
    if len(paths) > 1 and (reason := damage(path)) is not None:
        path = paths[1]
        logger.warning("%s: %s; continuing from %s", paths[0], reason, path.name)
    state = read_checkpoint(path).get(STATE_KEY)
    if not isinstance(state, dict) or state.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"run {run_id} was trained by another version of this program and cannot be resumed; "
            "it can still be used, or train a new run"
        )
    return state
