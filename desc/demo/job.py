"""The whole job on the embedded corpus, and a few numbers beside baselines."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc import outputs
from desc.configuration import (
    ModelConfig,
    Note,
    PredictConfig,
    Progress,
    RenderConfig,
    RunConfig,
    TrainConfig,
    to_dict,
)
from desc.corpus import Corpus, open_corpus
from desc.database import DescriptorDatabase
from desc.demo.corpus import write_corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import DescError, OutputError
from desc.files import write_json
from desc.pipeline import Continuation, Continuer
from desc.prediction import Predictor
from desc.query import matching_space
from desc.runs import RunRecord, resolve_run
from desc.storage import DescriptorStore
from desc.training.fit import train

RECORDING = "01 garden.wav"
MODEL = ModelConfig()
TRAINING = TrainConfig(epochs=200, save_interval=5, patience=6, realism_every_epochs=0)
RENDERING = RenderConfig(with_recording_s=5.0)


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes
    ----------
    continuation : Continuation
        The one recording that was continued.
    run_id : str
        The run trained or reused.
    comparisons : tuple of str
        Lines that put a number beside a baseline.
    """

    continuation: Continuation
    run_id: str
    comparisons: tuple[str, ...]


def run_demo(
    output_dir: str | Path,
    *,
    store: DescriptorStore,
    run: RunConfig = RunConfig(),
    seed: int = 0,
    jobs: int = -1,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> DemoResult:
    """Make the corpus, train on `recordings/`, continue one of them with `database/`.

    What a former call with the same settings left in the folder is used again.

    Parameters
    ----------
    output_dir : path
        Gets `seed-<seed>/` with `recordings/`, `database/`, `continuation/` and `demo.json`.
    store : DescriptorStore
        The descriptor cache.
    run : RunConfig
        Where the run is kept.
    seed : int
        Decides the music, the training and the draw.
    jobs : int
        Parallel processes of extraction; -1: all cores.
    overwrite : bool
        Replace a continuation made by other settings.
    """
    folder = Path(output_dir) / f"seed-{seed}"
    write_corpus(folder, seed, progress)
    config = DescriptorConfig()
    recordings = open_corpus(folder / "recordings", config, store, jobs=jobs)
    sounds = open_corpus(folder / "database", config, store, jobs=jobs)
    record = _kept_run(folder, recordings, run, seed)
    result = outputs.result_folder(folder / "continuation", RECORDING)
    if record is None:
        if not overwrite and (result / outputs.PREDICTION).exists():
            raise OutputError(
                f"{result}: holds the continuation of a run that is not below "
                f"{run.experiment_dir}; choose another --output_dir, or give --overwrite"
            )
        training = replace(TRAINING, seed=seed)
        record = train(recordings, model=MODEL, training=training, run=run)
        write_json(folder / "demo.json", _settings(recordings, seed) | {"run_id": record.run_id})
    elif note:
        note(f"using run {record.run_id} of an earlier demo with the same settings")
    continuer = Continuer(
        predictor=Predictor.from_run(record),
        database=DescriptorDatabase.from_corpus(sounds, store),
        store=store,
        prediction=PredictConfig(seed=seed),
        rendering=RENDERING,
    )
    (heard,) = (s for s in recordings.sequences if s.source == RECORDING)
    continuation = continuer.run(
        replace(recordings, sequences=(heard,)),
        folder / "continuation",
        overwrite=overwrite,
        note=note,
    )
    comparisons = tuple(
        line
        for outcome in continuation.outcomes
        for line in _comparisons(continuer, heard, outcome.folder, record)
    )
    return DemoResult(continuation, record.run_id, comparisons)


def _settings(recordings: Corpus, seed: int) -> dict[str, Any]:
    training = to_dict(replace(TRAINING, seed=seed))
    return {"corpus": recordings.digest, "model": to_dict(MODEL), "training": training}


def _kept_run(folder: Path, recordings: Corpus, run: RunConfig, seed: int) -> RunRecord | None:
    """Return the run that an earlier demo trained by the same settings, if it is still there."""
    try:
        stored = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        run_id = stored.pop("run_id")
        if stored != _settings(recordings, seed):
            return None
        return resolve_run(run_id, replace(run, offline=True))
    except (OSError, ValueError, AttributeError, KeyError, DescError):
        return None


def _comparisons(
    continuer: Continuer, heard: DescriptorSequence, result: Path, record: RunRecord
) -> tuple[str, ...]:
    """Say how the model, the prediction and the matches compare with trivial ones."""
    stored = json.loads((result / outputs.PREDICTION).read_text(encoding="utf-8"))
    config, standardizer = heard.config, continuer.predictor.standardizer
    predicted = np.array([stored[name] for name in config.names]).T  # (n_steps, D)

    def static(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        z: npt.NDArray[np.float64] = standardizer.transform(values)[:, config.static_columns]
        return z

    real, late = static(heard.values[heard.complete]), static(predicted)[len(predicted) // 2 :]
    movement = np.exp(np.mean(np.log(late.std(0) / real.std(0))))
    steps = np.sqrt(np.mean(np.diff(late, axis=0) ** 2) / np.mean(np.diff(real, axis=0) ** 2))
    rows = np.random.default_rng(0).integers(0, len(continuer.database), len(predicted))
    space = matching_space(config, standardizer, continuer.query)
    apart = space.project(predicted) - space.project(continuer.database.values[np.sort(rows)])
    chance = np.sqrt((apart**2).sum(1)).mean()
    chosen = stored["_meta"]["results"]["mean_match_distance"]
    return (
        f"one frame ahead, on the validation recording: {record.metrics['val_nll']:.2f} nats per "
        f"frame; a linear model (VAR): {record.metrics['var_nll']:.2f} (lower is better)",
        f"movement late in the continuation: {100 * movement:.0f} % of the recording's, from frame "
        f"to frame {100 * steps:.0f} %; a prediction of the mean: 0 %",
        f"distance to the sounds chosen: {chosen:.2f}; to sounds chosen at random: {chance:.2f}",
    )
