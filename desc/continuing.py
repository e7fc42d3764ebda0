"""One call from a recording and a folder of sounds to a take: find or train a run, continue."""

from __future__ import annotations

import html
import logging
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from desc.audio import AUDIO_EXTENSIONS, AudioClip, AudioReader
from desc.concatenation import Playlist
from desc.configuration import (
    PredictConfig,
    QueryConfig,
    RenderConfig,
    RunConfig,
    SelectionConfig,
    TrainConfig,
)
from desc.corpus import Corpus, log_skipped, open_corpus
from desc.corpus.discovery import Paths, label
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.engine.stopping import TIME
from desc.errors import AudioError, CheckpointError, DescError
from desc.matching import Matcher
from desc.outputs import PLAYLIST, REPORT, TAKES_DIR, WAV, check_place
from desc.pipeline import Continuer, Outcome, check_start
from desc.prediction import Predictor
from desc.progress import duration
from desc.runs import RunRecord, list_runs, resolve_run
from desc.storage import DescriptorStore
from desc.takes import Take, list_takes
from desc.training.recordings import n_complete

logger = logging.getLogger(__name__)

MAX_TIME_S = 240.0
"""Time limit of a training by default, seconds."""
LEAST_S, RENDERING_SHARE = 20.0, 1.5
"""Expected time of a continuation with its page: seconds, and a share of its length."""
USABLE = ("finished", "stopped", "killed")
"""States of runs that can be used, the best first."""


@dataclass(frozen=True)
class Result:
    """A continuation of a recording; a notebook plays it.

    Attributes
    ----------
    outcome : Outcome
        Whether it was written or kept, and its figures.
    take : Take
        Its number, folder, settings and figures.
    run_id : str
        The run that predicted it.
    """

    outcome: Outcome
    take: Take
    run_id: str

    @cached_property
    def audio(self) -> AudioClip:
        """The continuation as sound."""
        with AudioReader(self.take.folder / WAV) as reader:
            samples = reader.read(0, reader.n_samples)
            return AudioClip(np.ascontiguousarray(samples.T), reader.sample_rate)

    @cached_property
    def playlist(self) -> Playlist:
        """The units that it is made of."""
        return Playlist.load(self.take.folder / PLAYLIST)

    @property
    def report(self) -> Path:
        """The page of the result."""
        return self.take.folder / REPORT

    def __repr__(self) -> str:
        return f"Result(take {self.take.number} by run {self.run_id}, {str(self.take.folder)!r})"

    def _repr_html_(self) -> str:
        """Return a player, and the place of the files."""
        place = html.escape(str(self.take.folder))
        return f"{self.audio._repr_html_()}<br>Take {self.take.number}, run {self.run_id}: {place}"


def continue_recording(
    recording: str | Path,
    sounds: Paths,
    duration_s: float = 20.0,
    *,
    prediction: PredictConfig = PredictConfig(),
    query: QueryConfig = QueryConfig(),
    selection: SelectionConfig = SelectionConfig(),
    rendering: RenderConfig = RenderConfig(),
    run_id: str | None = None,
    output_dir: str | Path = TAKES_DIR,
    run: RunConfig = RunConfig(),
    max_time_s: float = MAX_TIME_S,
    store: DescriptorStore | None = None,
    jobs: int = -1,
) -> Result:
    """Continue a recording with the sounds of a folder.

    The model is that of a run trained on the recordings in the recording's folder (not in folders
    inside it). If there is none, it is trained first; the log says so, and how long it takes.

    Parameters
    ----------
    recording : path
        The recording.
    sounds : path or sequence of path
        A folder of sounds, a file, or several.
    duration_s : float
        Length of the continuation, seconds.
    prediction : PredictConfig
        Sampling, and the time to continue from; its length is not used.
    query, selection, rendering : QueryConfig, SelectionConfig, RenderConfig
        Settings of the matcher; `SelectionConfig.styled("loops")` has longer units.
    run_id : str, optional
        The run to use: an id, a name, a path or `last`.
    output_dir : path
        Folder of the takes, `<output_dir>/<recording>/1/`, `2/` …
    run : RunConfig
        Where runs are kept.
    max_time_s : float
        Time limit of a training, seconds.
    store : DescriptorStore, optional
        The cache; by default the default cache.
    jobs : int
        Parallel processes of extraction; -1: all cores.

    Returns
    -------
    Result
        The take; one with the same settings is kept.

    Raises
    ------
    CorpusError
        If there is nothing to learn from, or no sound.
    RunNotFoundError
        If there is no run of this id or name.
    TrainingInterruptedError
        After Ctrl-C during training, once the run is saved; a further call uses it.
    DescError
        If the recording cannot be continued.
    """
    recording = Path(recording)
    if not recording.is_file():
        what = "is a folder" if recording.is_dir() else "no such file"
        raise AudioError(f"{recording}: {what}; give one recording")
    prediction = replace(prediction, duration_s=duration_s, n_draws=1)
    training = TrainConfig(max_time_s=max_time_s)
    store = store or DescriptorStore()
    known = None if run_id is None else resolve_run(run_id, run, store.cache_dir / "runs")
    config = DescriptorConfig() if known is None else known.descriptor_config
    paths = [recording] if known is not None else _beside(recording)
    recordings = open_corpus(paths, config, store, jobs=jobs)
    sequence = _sequence(recordings, recording)
    if isinstance(prediction.from_s, (int, float)):
        check_start(sequence, prediction.from_s)
    check_place(Path(output_dir))
    corpus = open_corpus(sounds, config, store, jobs=jobs)
    log_skipped(label(paths), recordings.skipped)
    log_skipped(label(sounds), corpus.skipped)
    corpus = corpus.with_sound()
    record = known or find_run(recordings, run)
    if record is None:
        from desc.training.fit import train  # Lightning Fabric takes as long to load as the rest

        _announce(len(recordings.sequences), max_time_s, duration_s)
        record = train(recordings, training=training, run=run)
    predictor = Predictor.from_run(record)
    matcher = Matcher(
        DescriptorDatabase.from_corpus(corpus, store),
        predictor.standardizer,
        query=query,
        selection=selection,
        rendering=rendering,
    )
    one = replace(recordings, sequences=(sequence,), skipped=())
    continued = Continuer(predictor, matcher, prediction, store).run(one, output_dir, takes=True)
    for failure in continued.failures:
        raise DescError(f"{failure.source}: not continued: {failure.reason}")
    (outcome,) = continued.outcomes
    (take,) = (t for t in list_takes(outcome.folder.parent) if t.folder == outcome.folder)
    return Result(outcome, take, record.run_id)


def _beside(recording: Path) -> list[Path]:
    """Return the recordings directly in a recording's folder, itself included."""
    recording = recording.absolute()
    beside = (path for path in recording.parent.glob("[!.]*") if path.is_file())
    return sorted({recording, *(p for p in beside if p.suffix.lower() in AUDIO_EXTENSIONS)})


def _sequence(recordings: Corpus, recording: Path) -> DescriptorSequence:
    """Return the descriptors of a recording.

    Raises
    ------
    AudioError
        If the recording could not be read; it says why.
    """
    for sequence in recordings.sequences:
        if recordings.path(sequence.source).samefile(recording):
            return sequence
    reasons = {recordings.path(file.source).name: file.reason for file in recordings.skipped}
    raise AudioError(f"{recording}: cannot be used: {reasons.get(recording.name, 'not audio')}")


def find_run(recordings: Corpus, run: RunConfig = RunConfig()) -> RunRecord | None:
    """Return the best run that was trained on these recordings alone, or None.

    Finished runs come before stopped ones, then those nearest to the music by `val_fd`, then new
    ones. Recordings are compared by content, so that a folder may be moved or renamed.

    Parameters
    ----------
    recordings : Corpus
    run : RunConfig
        Its `experiment_dir` and `project` name the folder of the runs.
    """
    wanted = {
        sequence.digest
        for sequence in recordings.sequences
        if n_complete(sequence) >= MIN_FRAMES and np.isfinite(sequence.complete_static).all()
    }
    found = [
        record
        for record in list_runs(run)
        if isinstance(record, RunRecord)
        and record.descriptor_config == recordings.config
        and wanted == {variant_of(d)[0] for d in (*record.training_files, *record.validation_files)}
    ]
    found.reverse()
    for state in USABLE:
        for record in sorted(found, key=_distance):
            if record.state == state and _has_model(record):
                _tell(record, len(wanted))
                return record
    return None


def _distance(record: RunRecord) -> float:
    """Return the distance from the music, relative to that of other real music; inf if unknown."""
    model, real = (record.metrics.get(name, math.nan) for name in ("val_fd", "real_fd"))
    return model / real if real > 0 and model >= 0 else math.inf


def _has_model(record: RunRecord) -> bool:
    try:
        return record.checkpoint().is_file()
    except CheckpointError:
        return False


def _tell(record: RunRecord, n_recordings: int) -> None:
    named = " ".join(filter(None, (record.run_id, record.name)))
    logger.info(
        "using run %s (%s), trained on %s",
        *(named, record.model_name, _described(n_recordings)),
    )
    if record.state != "finished":
        how = "--resume_run_id %s goes on with it"
        if record.schedule.get("ended") == TIME:
            how = "--from_run %s --max_time_s 1200 trains it longer, as a new run"
        logger.info(f"its training was stopped early; desc train {how}", record.run_id)


def _described(n_recordings: int) -> str:
    if n_recordings == 1:
        return "this recording alone"
    return f"the {n_recordings} recordings in its folder"


def _announce(n_recordings: int, max_time_s: float, duration_s: float) -> None:
    """Say that a run is trained first, and how long all of it takes."""
    logger.info(
        "no run was trained on %s yet; training one takes at most %s, "
        "the continuation then up to %s",
        _described(n_recordings),
        duration(max_time_s),
        duration(max(LEAST_S, RENDERING_SHARE * duration_s)),
    )
    if n_recordings == 1:
        logger.info("a single recording is split by time: its end is held out for validation")
