"""The page of a run: how training went, and what the model does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.files import write_text
from desc.report.page import fill, packed, plain, template
from desc.report.run import RunView, Sample
from desc.runs import RunRecord
from desc.storage import DescriptorStore

SCRIPTS = ("common.js", "chart.js", "run.js")
MAX_POINTS = 1500  # of a curve; longer ones are averaged

MEANINGS = {
    "val_loss": "score of the validation recordings, one frame ahead; lower is better",
    "var_loss": "the score of a linear model (VAR), fitted on the training recordings",
    "val_nll": "nats per frame of the validation recordings, one frame ahead; lower is better",
    "var_nll": "nats per frame of the linear model",
    "steps": "steps of the optimiser",
    "epochs": "passes over the training recordings",
    "fit_s": "seconds of training",
    "best_step": "step of the checkpoint that predicts",
}


def write_run_report(
    record: RunRecord, store: DescriptorStore, output_path: str | Path | None = None
) -> Path:
    """Write the page of a run: losses, figures, samples, settings.

    Parameters
    ----------
    record : RunRecord
        The run.
    store : DescriptorStore
        The cache, where the descriptors of its recordings are looked for: samples continue them.
    output_path : path, optional
        The page; by default `report.html` in the run's folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StorageError
        If the log is damaged or the page cannot be written.
    CheckpointError
        If the checkpoint is damaged.
    """
    view = RunView.load(record, store)
    path = record.folder / "report.html" if output_path is None else Path(output_path)
    title = f"run {record.run_id}, {record.model_config.selected_model}"
    scripts = [template(name) for name in SCRIPTS]
    write_text(path, fill(template("run.html"), title=title, scripts=scripts, data=_data(view)))
    return path


def _data(view: RunView) -> dict[str, Any]:
    record = view.record
    return {
        "runId": record.run_id,
        "model": record.model_config.selected_model,
        "status": record.schedule.get("ended", record.status),
        "created": record.created[:16].replace("T", " "),
        "curves": {name: _curve(curve) for name, curve in view.curves.items()},
        "baseline": _finite(record.metrics.get("var_loss", math.nan)),
        "bestStep": _finite(record.metrics.get("best_step", math.nan)),
        "figures": [
            [name, plain(_finite(value)), MEANINGS.get(name, "")]
            for name, value in record.metrics.items()
        ],
        "samples": [_sample(sample) for sample in view.samples],
        "names": list(record.descriptor_config.static_names),
        "frameRate": record.descriptor_config.frame_rate,
        "settings": [[name, plain(value)] for name, value in record.settings.items()]
        + [[f"version of {name}", value] for name, value in record.versions.items()],
        "training": sorted(record.training_files.values()),
        "validation": sorted(record.validation_files.values()),
    }


def _curve(curve: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return steps and values, averaged over neighbours where there are many."""
    curve = curve[np.isfinite(curve).all(1)]
    every = max(1, -(-len(curve) // MAX_POINTS))
    starts = np.arange(0, len(curve), every)
    if every > 1:
        counts = np.diff(np.append(starts, len(curve)))[:, None]
        curve = np.add.reduceat(curve, starts) / counts
    return {"x": packed(curve[:, 0], "<f4"), "y": packed(curve[:, 1], "<f4")}


def _sample(sample: Sample) -> dict[str, Any]:
    """Return a sample's arrays column by column, (F, T) or (N, F, T), packed."""
    return {
        "source": sample.source,
        "heard": sample.heard,
        "before": packed(sample.before.T, "<f4"),
        "real": packed(sample.real.T, "<f4"),
        "drawn": [packed(drawn.T, "<f4") for drawn in sample.drawn],
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
