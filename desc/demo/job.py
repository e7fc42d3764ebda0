"""Demo of the main workflow: train on the demo corpus, continue a recording, print figures."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from desc import outputs
from desc.configuration import (
    ModelConfig,
    PredictConfig,
    RenderConfig,
    RunConfig,
    TrainConfig,
    to_dict,
)
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.demo.corpus import write_corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import DescError, OutputError
from desc.files import write_json
from desc.matching import Matcher
from desc.pipeline import Continuation, Continuer
from desc.prediction import Predictor
from desc.runs import Record, RunRecord, resolve_record
from desc.storage import DescriptorStore
from desc.training.fit import train

RECORDING = "01 garden.wav"
MODEL = ModelConfig()
TRAINING = TrainConfig(epochs=200, save_interval=5, patience=6, realism_every_epochs=0)
RENDERING = RenderConfig(with_recording_s=5.0)
R = TypeVar("R", bound=Record)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoResult:
    """Result of the demo.

    Attributes
    ----------
    continuation : Continuation
        The continued recording.
    run_id : str
        The run trained or reused.
    comparisons : tuple of str
        Lines that compare a figure with a baseline.
    """

    continuation: Continuation
    run_id: str
    comparisons: tuple[str, ...]


def run_demo(
    output_dir: str | Path,
    *,
    store: DescriptorStore | None = None,
    run: RunConfig = RunConfig(),
    seed: int = 0,
    jobs: int = -1,
    overwrite: bool = False,
) -> DemoResult:
    """Compose the corpus, train on `recordings/`, continue one of them with `database/`.

    The files and the run of an earlier call with the same settings are reused.

    Parameters
    ----------
    output_dir : path
        Folder for `seed-<seed>/` with `recordings/`, `database/`, `continuation/` and `demo.json`.
    store : DescriptorStore, optional
        The descriptor cache; the default cache if None.
    run : RunConfig
        Where the run is kept.
    seed : int
        Seed of the music, the training and the prediction.
    jobs : int
        Parallel processes of extraction; -1: all cores.
    overwrite : bool
        Replace a continuation made with other settings.
    """
    folder = Path(output_dir) / f"seed-{seed}"
    store = store or DescriptorStore()
    recordings, sounds = (
        open_corpus(path, DescriptorConfig(), store, jobs=jobs)
        for path in write_corpus(folder, seed)
    )
    training = replace(TRAINING, seed=seed)
    configs = {"model": to_dict(MODEL), "training": to_dict(training)}
    settings = {"corpus": recordings.digest, **configs}
    kept = kept_runs(folder / "demo.json", settings, RunRecord, {"run_id": run})
    if kept is not None:
        (record,) = kept
        logger.info("reusing run %s of an earlier demo with the same settings", record.run_id)
    else:
        result = outputs.result_folder(folder / "continuation", RECORDING)
        if not overwrite and (result / outputs.PREDICTION).exists():
            raise OutputError(
                f"{result}: contains the continuation of a run that is not in "
                f"{run.experiment_dir}; choose another --output_dir, or give --overwrite"
            )
        record = train(recordings, model=MODEL, training=training, run=run)
        write_json(folder / "demo.json", settings | {"run_id": record.run_id})
    predictor = Predictor.from_run(record)
    database = DescriptorDatabase.from_corpus(sounds, store)
    matcher = Matcher(database, predictor.standardizer, rendering=RENDERING)
    continuer = Continuer(predictor, matcher, PredictConfig(seed=seed), store)
    (recording,) = (s for s in recordings.sequences if s.source == RECORDING)
    one = replace(recordings, sequences=(recording,))
    continuation = continuer.run(one, folder / "continuation", overwrite=overwrite)
    comparisons = tuple(
        line
        for outcome in continuation.outcomes
        for line in _comparisons(matcher, recording, outcome.folder, record)
    )
    return DemoResult(continuation, record.run_id, comparisons)


def kept_runs(
    path: Path, settings: dict[str, Any], kind: type[R], runs: dict[str, RunConfig]
) -> list[R] | None:
    """Return the runs of an earlier demo if its settings were the same and all runs still exist.

    Parameters
    ----------
    path : Path
        JSON file of the settings and run ids.
    settings : dict
    kind : type
        Type of the records.
    runs : dict
        Key of each run id in the file → where the run is kept.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        ids = {name: stored.pop(name) for name in runs}
        if stored != settings:
            return None
        return [
            resolve_record(kind, ids[name], replace(run, offline=True))
            for name, run in runs.items()
        ]
    except (OSError, ValueError, AttributeError, KeyError, DescError):
        return None


def _comparisons(
    matcher: Matcher, recording: DescriptorSequence, result: Path, record: RunRecord
) -> tuple[str, ...]:
    """Compare model, prediction and matches with baselines."""
    stored = json.loads((result / outputs.PREDICTION).read_text(encoding="utf-8"))
    config, standardizer = recording.config, matcher.space.standardizer
    predicted = np.array([stored[name] for name in config.names]).T  # (n_steps, D)
    statics = config.static_columns
    real = standardizer.transform_static(recording.complete_static)
    late = standardizer.transform(predicted)[len(predicted) // 2 :, statics]
    movement = np.exp(np.mean(np.log(late.std(0) / real.std(0))))
    steps = np.sqrt(np.mean(np.diff(late, axis=0) ** 2) / np.mean(np.diff(real, axis=0) ** 2))
    rows = np.random.default_rng(0).integers(0, len(matcher.database), len(predicted))
    apart = matcher.space.project(predicted) - matcher.coordinates[np.sort(rows)]
    chance = np.sqrt((apart**2).sum(1)).mean()
    chosen = stored["_meta"]["results"]["mean_match_distance"]
    return (
        f"one-step error on the validation recording: {record.metrics['val_nll']:.2f} nats per "
        f"frame; linear model (VAR): {record.metrics['var_nll']:.2f} (lower is better)",
        f"spread late in the continuation: {100 * movement:.0f} % of the recording's, change from "
        f"frame to frame {100 * steps:.0f} %; a constant mean: 0 %",
        f"distance to the selected sounds: {chosen:.2f}; to random sounds: {chance:.2f}",
    )
