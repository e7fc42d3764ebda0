"""The page of a run: training curves, metrics and continuations by its model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.configuration import Sampling
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.errors import CheckpointError
from desc.files import write_text
from desc.models.checkpoint import load_model
from desc.prediction import Predictor
from desc.report.page import fill, packed, plain, template
from desc.runs import RunRecord
from desc.runs.metrics_file import read_metrics
from desc.runs.record import METRICS_FILE
from desc.storage import DescriptorStore

Array = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]

EXAMPLE_FRAMES = 215  # 5 s by default, before and after the middle
N_EXAMPLES = 2
N_DRAWS = 3
SCRIPTS = ("common.js", "chart.js", "run.js")
MAX_POINTS = 1500  # of a curve; longer ones are averaged

PEERS = ("real", "var")
"""Real music and the linear baseline: prefixes of their metrics in a run's record."""
MEANINGS = {
    "val_loss": "loss on the validation recordings, one frame ahead; lower is better",
    "val_nll": "negative log-likelihood on the validation recordings, nats per frame; lower is "
    "better",
    "val_fd": "Fréchet distance between generated and real one-second windows; lower is better",
    "val_acf": "difference of the autocorrelations of generated and real descriptors; lower is "
    "better",
    "val_modspec_db": "difference of their modulation spectra in dB; lower is better",
    "val_crps_43": "error of the predicted distribution 43 frames ahead; lower is better",
    "val_track_distance": "distance of continuations from their own recording; lower is better",
    "val_tail_std": "variation late in the continuation, relative to real music; 1 is right",
    "val_diff_ratio": "change from frame to frame, relative to real music; 1 is right",
    "val_rhythm": "correlation of the rhythms of continuation and context; higher is better",
    "val_beat": "strength of the pulse at the period of the context; higher is better",
    "val_beats": "validation recordings with a beat",
    "val_beats_kept": "share of these whose beat the continuations keep; higher is better",
    "val_spread": "difference between draws, relative to their error; 1 is right",
    "steps": "optimiser steps",
    "epochs": "passes over the training recordings",
    "fit_s": "training time in seconds",
    "realism_s": "seconds spent measuring continuations",
    "best_step": "step of the checkpoint used for prediction",
}


@dataclass(frozen=True, eq=False)
class Example:
    """A recording continued from its middle, with the real continuation.

    Attributes
    ----------
    source : str
        The recording.
    is_training : bool
        Whether it is in the training set.
    before, real : ndarray of float32, (T0, F), (T, F)
        Static descriptors before and after the middle.
    drawn : ndarray of float32, (N, T, F)
        Continuations with different seeds.
    """

    source: str
    is_training: bool
    before: Array
    real: Array
    drawn: Array


@dataclass(frozen=True, eq=False)
class RunView:
    """Contents of a run's folder for pages and plots.

    Attributes
    ----------
    record : RunRecord
    curves : dict of str to ndarray of float64, (n, 2)
        Steps and values of each column of `metrics.csv`.
    examples : tuple of Example
    """

    record: RunRecord
    curves: dict[str, Curve]
    examples: tuple[Example, ...]

    @classmethod
    def load(cls, record: RunRecord, store: DescriptorStore | None = None) -> RunView:
        """Read a run's metrics, and continue recordings whose descriptors are in the cache.

        Raises
        ------
        StorageError
            If the metrics are damaged.
        """
        path = record.folder / METRICS_FILE
        rows = read_metrics(path) if path.is_file() else []
        names = dict.fromkeys(name for row in rows for name in row)
        curves = {
            name: np.array([(row["step"], row[name]) for row in rows if name in row])
            for name in names
            if name not in ("step", "time", "epoch")
        }
        return cls(record, curves, draw_examples(record, store or DescriptorStore()))

    def __repr__(self) -> str:
        return (
            f"RunView({self.record.run_id} {self.record.model_config.selected_model}: "
            f"{len(self.curves)} curves, {len(self.examples)} examples)"
        )


def draw_examples(record: RunRecord, store: DescriptorStore) -> tuple[Example, ...]:
    """Continue up to two recordings of a run, those of the validation set first.

    Returns
    -------
    tuple of Example
        Empty if the run has no checkpoint, or the cache none of its recordings.
    """
    try:
        path = record.checkpoint()
    except CheckpointError:
        return ()
    known = [(d, s, False) for d, s in record.validation_files.items()]
    known += [(d, s, True) for d, s in record.training_files.items()]
    found = []
    for digest, source, is_training in known:
        sequence = store.load(digest, record.descriptor_config, source)
        if sequence is not None and len(sequence.complete_static) >= 4 * MIN_FRAMES:
            found.append((sequence, is_training))
        if len(found) == N_EXAMPLES:
            break
    if not found:
        return ()
    predictor = Predictor.from_model(load_model(path), record.run_id)
    return tuple(_example(predictor, *given) for given in found)


def _example(predictor: Predictor, sequence: DescriptorSequence, is_training: bool) -> Example:
    config, frames = sequence.config, sequence.complete
    middle = (frames.start + frames.stop) // 2
    n = min(EXAMPLE_FRAMES, frames.stop - middle)
    n_samples = (middle - 1) * config.hop_length + config.n_fft // 2
    values = sequence.values[: config.n_frames(n_samples)]
    cut = DescriptorSequence(values, config, sequence.source, sequence.digest, n_samples)
    static = config.static_columns
    drawn = [predictor.predict(cut, Sampling(seed=seed), frames=n) for seed in range(N_DRAWS)]
    return Example(
        source=sequence.source,
        is_training=is_training,
        before=sequence.values[max(frames.start, middle - n) : middle, static],
        real=sequence.values[middle : middle + n, static],
        drawn=np.stack([prediction.values[:, static] for prediction in drawn]),
    )


def write_run_report(
    record: RunRecord,
    store: DescriptorStore | None = None,
    output_path: str | Path | None = None,
) -> Path:
    """Write the page of a run: losses, metrics, continuations, settings.

    Parameters
    ----------
    record : RunRecord
        The run.
    store : DescriptorStore, optional
        The cache with the descriptors of the run's recordings, some of which are continued.
    output_path : path, optional
        The page; by default `report.html` in the run's folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StorageError
        If the metrics are damaged or the page cannot be written.
    CheckpointError
        If the checkpoint is damaged.
    """
    view = RunView.load(record, store)
    path = record.folder / "report.html" if output_path is None else Path(output_path)
    title = f"Run {record.run_id}, {record.model_config.selected_model}"
    scripts = [template(name) for name in SCRIPTS]
    write_text(path, fill(template("run.html"), title=title, scripts=scripts, data=_data(view)))
    return path


def _data(view: RunView) -> dict[str, Any]:
    """Return all contents of the page as JSON values."""
    record = view.record
    return {
        "runId": record.run_id,
        "model": record.model_config.selected_model,
        "status": record.schedule.get("ended", record.state),
        "created": record.created[:16].replace("T", " "),
        "curves": {name: _curve(curve) for name, curve in view.curves.items()},
        "bestStep": _finite(record.metrics.get("best_step", math.nan)),
        "figures": _figures(record.metrics),
        "examples": [_packed_example(example) for example in view.examples],
        "names": list(record.descriptor_config.static_names),
        "frameRate": record.descriptor_config.frame_rate,
        "settings": [[name, plain(value)] for name, value in record.settings.items()]
        + [[f"version of {name}", value] for name, value in record.versions.items()],
        "training": sorted(record.training_files.values()),
        "validation": sorted(record.validation_files.values()),
    }


def _figures(metrics: dict[str, float]) -> list[dict[str, Any]]:
    """Return each metric with its meaning, and the same of real music and the linear baseline."""

    def value(name: str) -> float | None:
        return _finite(metrics.get(name, math.nan))

    rows: list[dict[str, Any]] = []
    for name in metrics:
        kind, _, rest = name.partition("_")
        if kind not in PEERS:
            known = {peer: value(f"{peer}_{rest}") for peer in PEERS} if kind == "val" else {}
            row = {"name": name, "value": value(name), "meaning": MEANINGS.get(name, "")}
            rows.append({**row, **known})
    return rows


def _curve(curve: Curve) -> dict[str, Any]:
    """Return steps and values; long curves are averaged over neighbouring points."""
    curve = curve[np.isfinite(curve).all(1)]
    every = max(1, -(-len(curve) // MAX_POINTS))
    starts = np.arange(0, len(curve), every)
    if every > 1:
        counts = np.diff(np.append(starts, len(curve)))[:, None]
        curve = np.add.reduceat(curve, starts) / counts
    return {"x": packed(curve[:, 0], "<f4"), "y": packed(curve[:, 1], "<f4")}


def _packed_example(example: Example) -> dict[str, Any]:
    """Return an example's arrays column by column, (F, T) or (N, F, T), packed."""
    return {
        "source": example.source,
        "isTraining": example.is_training,
        "before": packed(example.before.T, "<f4"),
        "real": packed(example.real.T, "<f4"),
        "drawn": [packed(drawn.T, "<f4") for drawn in example.drawn],
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
