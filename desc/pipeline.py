"""The main job: predict → match → render → write, for each recording of a folder."""

from __future__ import annotations

import logging
import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from desc import outputs
from desc.concatenation import RenderResult, render_to_file
from desc.configuration import PredictConfig, Sampling, check, to_dict
from desc.corpus import Corpus
from desc.corpus.ending import find_music_end, level_before_db
from desc.database import DescriptorDatabase
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, ConfigurationError, DescError
from desc.files import replacing
from desc.matching import Matcher, match_in_parts
from desc.models.base import DescriptorModel
from desc.prediction import Predictor
from desc.progress import clock, part
from desc.report import ReportData, write_result_report
from desc.runs import versions
from desc.storage import DescriptorStore
from desc.takes import release, take_folder, write_index

if TYPE_CHECKING:
    from desc.training.task import SampleRenderer  # which loads Lightning Fabric

logger = logging.getLogger(__name__)

CONTEXT_S = 10.0
"""Length before the continuation with whose level that of the result is compared, seconds."""
QUIET_DB = 15.0
"""A result this much quieter is told."""


@dataclass(frozen=True)
class Outcome:
    """One continuation of a recording.

    Attributes
    ----------
    source : str
        The recording's path relative to its folder.
    folder : Path
        Folder of the result.
    status : str
        `written`, or `kept` if the folder already held this result.
    figures : dict
        Numbers of the result, see `outputs.match_figures`; empty if it was kept.
    draw : int
        Number of the draw, counted from 1.
    """

    source: str
    folder: Path
    status: Literal["written", "kept"]
    figures: dict[str, float] = field(default_factory=dict)
    draw: int = 1


@dataclass(frozen=True)
class Failure:
    """A recording that could not be continued, and the reason."""

    source: str
    reason: str


@dataclass(frozen=True)
class Continuation:
    """Result of a folder: what was written or kept, and what failed."""

    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]

    def __repr__(self) -> str:
        kept = sum(outcome.status == "kept" for outcome in self.outcomes)
        return (
            f"Continuation({len(self.outcomes) - kept} results written, {kept} kept, "
            f"{len(self.failures)} failures)"
        )


@dataclass(frozen=True)
class _Job:
    """One result to be made: the continued part of its recording, folder, draw and request."""

    sequence: DescriptorSequence
    folder: Path
    sampling: Sampling
    request: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Continuer:
    """Continues recordings with the sounds of a database.

    Attributes
    ----------
    predictor : Predictor
        The trained model.
    matcher : Matcher
        The sounds, and the settings of query, selection and rendering.
    prediction : PredictConfig
        Settings of the predictions.
    store : DescriptorStore or None
        The cache, for sources that need decoding; None: the default cache.
    report : bool
        Whether to write `report.html`. It is not part of the request.

    Raises
    ------
    ConfigurationError
        If model and database have different descriptors, or several draws are requested of a
        deterministic sampling.
    """

    predictor: Predictor
    matcher: Matcher
    prediction: PredictConfig = PredictConfig()
    store: DescriptorStore | None = None
    report: bool = True

    def __post_init__(self) -> None:
        config, corpus_config = self.predictor.config, self.matcher.database.config
        if config != corpus_config:
            raise ConfigurationError(
                f"the run and the database have different descriptors: {config} and "
                f"{corpus_config} must be equal"
            )
        n_draws, chosen = self.prediction.n_draws, self.matcher.selection.selection
        if self.prediction.is_mean and chosen != "sample":
            rule = "be 1 where nothing is drawn (sampling mean, or temperature 0)"
            check(n_draws == 1, "n_draws", n_draws, rule)

    @property
    def n_frames(self) -> int:
        """Frames predicted for every recording."""
        return self.prediction.n_steps(self.predictor.config.frame_rate)

    def request(self, sequence: DescriptorSequence, draw: int = 1) -> dict[str, Any]:
        """Return everything that decides one result for a recording, as plain values.

        It does not depend on the number of draws. `from_s` is left out where the whole recording is
        continued by default, `keep_frames` where it is empty.
        """
        settings = to_dict(
            replace(self.prediction, prediction_length=self.n_frames, duration_s=None)
        )
        del settings["n_draws"]
        if not settings["keep_frames"]:
            del settings["keep_frames"]
        if settings["from_s"] != "end":
            del settings["from_s"]
            whole = sequence.config.complete_frames(sequence.n_samples)
            if sequence.complete.stop < whole.stop:
                settings["from_s"] = _end_s(sequence)
        matcher = self.matcher
        speeds = [speed for speed in matcher.database.speeds if speed != 1]
        return {
            "run_id": self.predictor.run_id,
            "checkpoint_digest": self.predictor.checkpoint_digest,
            "recording": sequence.source,
            "recording_digest": sequence.digest,
            "corpus_digest": matcher.database.digest,
            **({"speeds": speeds} if speeds else {}),
            "descriptors": to_dict(self.predictor.config),
            **settings,
            "sample": draw,
            **to_dict(matcher.query),
            **to_dict(matcher.selection),
            **to_dict(matcher.rendering),
        }

    def run(
        self,
        recordings: Corpus,
        output_dir: str | Path,
        *,
        overwrite: bool = False,
        takes: bool = False,
    ) -> Continuation:
        """Continue every recording of a corpus into `output_dir/<relative path>/`.

        Several draws of each go to `1/`, `2/` … below. Results of the same request are kept. The
        failure of one recording does not stop the others. As takes, every new request goes to the
        next free number, and `index.html` compares them.

        Parameters
        ----------
        recordings : Corpus
            The recordings, extracted with the predictor's configuration.
        output_dir : path
            Folder of the results.
        overwrite : bool
            Replace results of other requests; takes are never replaced.
        takes : bool
            Write numbered takes.
        """
        outcomes: list[Outcome] = []
        usable = {sequence.source for sequence in recordings.sequences}
        failures = [
            Failure(s.source, s.reason) for s in recordings.skipped if s.source not in usable
        ]
        todo: list[_Job] = []
        # Most of a page's time is the encoding of its sound, which leaves Python's lock to others.
        pages: list[Future[None]] = []
        thread, is_whole = ThreadPoolExecutor(1, "pages"), False
        try:
            for sequence in recordings.sequences:
                try:
                    context = self._context(sequence, recordings.path(sequence.source))
                except DescError as error:
                    failures.append(_failure(sequence, error))
                    continue
                for draw in range(1, self.prediction.n_draws + 1):
                    try:
                        job = self._job(context, Path(output_dir), draw, takes=takes)
                        if outputs.is_kept(job.folder, job.request, overwrite=overwrite):
                            outcomes.append(_outcome(job, "kept"))
                            if not (job.folder / outputs.REPORT).exists():
                                pages.append(thread.submit(self._write_report, job.folder))
                        else:
                            todo.append(job)
                    except DescError as error:
                        failures.append(_failure(sequence, error))
            for index, job in enumerate(todo):
                try:
                    with part(index, len(todo)):
                        figures = self._continue(job, recordings)
                    outcomes.append(_outcome(job, "written", figures))
                    pages.append(thread.submit(self._write_report, job.folder))
                except DescError as error:
                    failures.append(_failure(job.sequence, error))
            is_whole = True
        finally:
            thread.shutdown(cancel_futures=not is_whole)  # the next run writes what is left
            for job in todo if takes else ():
                release(job.folder)
        _log_missing(pages)
        if takes and self.report:
            self._write_pages({outcome.folder.parent for outcome in outcomes})
        outcomes.sort(key=lambda outcome: (outcome.source, outcome.draw))
        return Continuation(tuple(outcomes), tuple(dict.fromkeys(failures)))

    def _context(self, sequence: DescriptorSequence, path: Path) -> DescriptorSequence:
        """Return the part of a recording that is continued; log where it ends, if it is a part."""
        from_s, reason = self.prediction.from_s, ""
        end_s = duration_s = sequence.n_samples / self.predictor.config.sample_rate
        if isinstance(from_s, (int, float)):
            check_start(sequence, from_s)
            end_s = from_s
        elif from_s is None and path.is_file():
            end_s, reason = find_music_end(path, duration_s)
        if end_s == duration_s:
            return sequence
        why = f", before the {reason}" if reason else ""
        logger.info("%s: continuing from %s%s", sequence.source, clock(end_s), why)
        return sequence.until(end_s)

    def _job(
        self, context: DescriptorSequence, output_dir: Path, draw: int, *, takes: bool
    ) -> _Job:
        """Return one result of a recording; a new take gets its folder now."""
        request = self.request(context, draw)
        if takes:
            folder = take_folder(outputs.result_folder(output_dir, context.source), request)
        else:
            n_draws = self.prediction.n_draws
            folder = outputs.result_folder(output_dir, context.source, draw, n_draws)
        return _Job(context, folder, self.prediction.one_draw(draw), request)

    def _continue(self, job: _Job, recordings: Corpus) -> dict[str, float]:
        """Predict, match, render and write one result; return its figures."""
        prediction = self.predictor.predict(job.sequence, job.sampling, frames=self.n_frames)
        match = match_in_parts(self.matcher, prediction, self.prediction.keep_frames)
        playlist = match.playlist.after_recording(
            prediction.source,
            prediction.digest,
            recordings.root,
            context_end_frame=prediction.context_end_frame,
            hop_length=prediction.config.hop_length,
            rendering=self.matcher.rendering,
        )
        path = recordings.path(prediction.source)
        data = ReportData.gather(prediction, match, job.sequence, path)
        # An earlier result stays whole until rendering has succeeded, and loses its marker first.
        with replacing(job.folder / outputs.WAV) as temporary:
            rendered = render_to_file(
                playlist,
                temporary,
                store=self.store,
                rendering=self.matcher.rendering,
                allow_long=True,  # as long as --duration_s
            )
            outputs.begin(job.folder, job.request)
        outputs.write_matches(job.folder, match)
        outputs.write_credits(job.folder, playlist)
        playlist.save(job.folder / outputs.PLAYLIST)
        data.save(job.folder / outputs.REPORT_DATA)
        figures = outputs.match_figures(match) | outputs.sound_figures(rendered)
        figures |= self._level_change(job, path, rendered)
        meta = {"request": job.request, "versions": versions(), "results": figures}
        meta["inputs"] = self.matcher.database.inputs
        outputs.write_prediction(job.folder, prediction, meta)
        return figures

    def _level_change(self, job: _Job, path: Path, rendered: RenderResult) -> dict[str, float]:
        """Return the level of a result relative to that of its context; log if it is far lower."""
        length_s = self.n_frames / self.predictor.config.frame_rate
        try:
            before_db = level_before_db(path, _end_s(job.sequence), CONTEXT_S)
        except AudioError:  # descriptors without sound
            return {}
        wav, wav_s = job.folder / outputs.WAV, rendered.n_samples / rendered.sample_rate
        change_db = level_before_db(wav, wav_s, length_s) - before_db
        if change_db < -QUIET_DB:
            logger.warning(
                "%s: the result is %.0f dB quieter than the %.0f s before it; a higher "
                "--unit_gain_db or louder sounds may help",
                job.sequence.source,
                -change_db,
                CONTEXT_S,
            )
        return {"level_change_db": change_db}

    def _write_report(self, folder: Path) -> None:
        """Write the page of a result if wanted."""
        if self.report:
            write_result_report(folder)

    def _write_pages(self, folders: set[Path]) -> None:
        """Write the pages that compare the takes of recordings; an error is logged."""
        for folder in sorted(folders):
            try:
                write_index(folder)
            except DescError as error:
                logger.warning("no page of the takes: %s", error)


def check_start(sequence: DescriptorSequence, from_s: float) -> None:
    """Refuse to continue a recording from a time after its end, or with too little before it.

    Raises
    ------
    ConfigurationError
        Names the time and the rule.
    """
    duration_s = sequence.n_samples / sequence.config.sample_rate
    rule = f"be at most {duration_s:.2f}, the length of the recording"
    check(from_s <= duration_s, "from_s", from_s, rule)
    sequence.until(from_s)


def audio_sampler(
    database: DescriptorDatabase,
    store: DescriptorStore | None = None,
    *,
    duration_s: float = 5.0,
    seed: int = 0,
) -> SampleRenderer:
    """Return a function with which `desc.train` writes audio samples.

    Parameters
    ----------
    database : DescriptorDatabase
        The sounds, extracted with the configuration of the training recordings.
    store : DescriptorStore, optional
        The cache, for sources that need decoding; by default the default cache.
    duration_s : float
        Length of a sample, seconds.
    seed : int
        Seed of the draw, the same for every sample of a run.
    """
    matcher, length = Matcher(database), PredictConfig(duration_s=duration_s)

    def write(model: DescriptorModel, recording: DescriptorSequence, path: Path) -> None:
        frames = length.n_steps(database.config.frame_rate)
        prediction = Predictor.from_model(model).predict(
            recording, Sampling(seed=seed), frames=frames
        )
        render_to_file(matcher.match(prediction).playlist, path, store=store)

    return write


def _outcome(
    job: _Job, status: Literal["written", "kept"], figures: dict[str, float] | None = None
) -> Outcome:
    return Outcome(job.sequence.source, job.folder, status, figures or {}, job.sampling.draw)


def _log_missing(pages: list[Future[None]]) -> None:
    """Log the pages that could not be written. A result is complete without its page."""
    for page in pages:
        try:
            page.result()
        except DescError as error:
            logger.warning("no report: %s", error)


def _failure(sequence: DescriptorSequence, error: DescError) -> Failure:
    return Failure(sequence.source, str(error).removeprefix(f"{sequence.source}: "))


def _end_s(sequence: DescriptorSequence) -> float:
    """Return the time in a recording after which a part of it is continued, up to the next .1 ms.

    `sequence.until` of this time is the part.
    """
    config = sequence.config
    last = sequence.first_frame + sequence.complete.stop - 1
    end = last * config.hop_length + config.n_fft // 2
    return math.ceil(1e4 * end / config.sample_rate) / 1e4
