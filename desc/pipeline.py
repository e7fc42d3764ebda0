"""The whole way of a recording: prediction → matches → selection → playlist → WAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from desc import outputs
from desc.answering import Answer, Answerer
from desc.concatenation import render_to_file
from desc.configuration import (
    Note,
    PredictConfig,
    QueryConfig,
    RenderConfig,
    SelectionConfig,
    check,
    to_dict,
)
from desc.corpus import Corpus
from desc.database import DescriptorDatabase
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import DescError
from desc.files import replacing
from desc.models.base import DescriptorModel
from desc.prediction import Prediction, Predictor
from desc.progress import part, reporting
from desc.query import check_selection, matching_space
from desc.report import ReportData, write_result_report
from desc.runs import versions
from desc.storage import DescriptorStore
from desc.training.samples import SampleRenderer


@dataclass(frozen=True)
class Outcome:
    """One continuation of a recording.

    Attributes
    ----------
    source : str
        The recording's path relative to its folder.
    folder : Path
        Where its result lies.
    status : str
        `written`, or `kept` where the folder already held this result.
    figures : dict
        Numbers of the result: see `outputs.match_figures`; empty where kept.
    sample : int
        Which of several continuations, counted from 1.
    """

    source: str
    folder: Path
    status: Literal["written", "kept"]
    figures: dict[str, float] = field(default_factory=dict)
    sample: int = 1


@dataclass(frozen=True)
class Failure:
    """A recording that could not be continued, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class Continuation:
    """Result of a folder: what was written or kept, and what failed."""

    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, eq=False)
class Continuer:
    """Continues recordings with the sounds of a database, by one set of settings.

    Attributes
    ----------
    predictor : Predictor
        The trained model.
    database : DescriptorDatabase
        The sounds to answer with.
    store : DescriptorStore
        The cache, for sources that need decoding.
    prediction, query, selection, rendering : PredictConfig, QueryConfig, SelectionConfig, \
RenderConfig
        The settings of each stage.
    report : bool
        Whether to write `report.html`; it is no part of the request.
    """

    predictor: Predictor
    database: DescriptorDatabase
    store: DescriptorStore
    prediction: PredictConfig = PredictConfig()
    query: QueryConfig = QueryConfig()
    selection: SelectionConfig = SelectionConfig()
    rendering: RenderConfig = RenderConfig()
    report: bool = True

    def __post_init__(self) -> None:
        # What cannot be done with these descriptors is refused before anything is predicted.
        matching_space(self.predictor.config, self.predictor.standardizer, self.query)
        check_selection(self.selection, self.predictor.config)
        n_draws, chance = self.prediction.n_draws, self.selection.selection == "sample"
        if self.prediction.is_mean and not chance:
            rule = "be 1 where nothing is drawn (sampling mean, or temperature 0)"
            check(n_draws == 1, "n_draws", n_draws, rule)

    @property
    def n_steps(self) -> int:
        """Frames predicted for every recording."""
        return self.prediction.n_steps(self.predictor.config.frame_rate)

    def request(self, sequence: DescriptorSequence, sample: int = 1) -> dict[str, Any]:
        """Return everything that decides one result for a recording, as plain values.

        How many samples there are decides none of them.
        """
        settings = to_dict(
            replace(self.prediction, prediction_length=self.n_steps, duration_s=None)
        )
        del settings["n_draws"]
        speeds = [speed for speed in self.database.speeds if speed != 1]
        return {
            "run_id": self.predictor.run_id,
            "checkpoint_digest": self.predictor.checkpoint_digest,
            "recording": sequence.source,
            "recording_digest": sequence.digest,
            "corpus_digest": self.database.digest,
            **({"speeds": speeds} if speeds else {}),
            "descriptors": to_dict(self.predictor.config),
            **settings,
            "sample": sample,
            **to_dict(self.query),
            **to_dict(self.selection),
            **to_dict(self.rendering),
        }

    def run(
        self,
        recordings: Corpus,
        output_dir: str | Path,
        *,
        overwrite: bool = False,
        note: Note | None = None,
    ) -> Continuation:
        """Continue every recording of a corpus into `output_dir/<relative path>/`.

        Several samples of each go to `1/`, `2/` … below. Results of the same request are kept;
        one recording's failure does not stop the others.

        Parameters
        ----------
        recordings : Corpus
            The recordings, extracted with the predictor's configuration.
        output_dir : path
            Where the results go.
        overwrite : bool
            Replace results of other requests.
        note : callable, optional
            See `desc.configuration`.
        """
        outcomes: list[Outcome] = []
        usable = {sequence.source for sequence in recordings.sequences}
        failures = [
            Failure(s.source, s.reason) for s in recordings.skipped if s.source not in usable
        ]
        todo: list[tuple[DescriptorSequence, Path, int]] = []
        for sequence, folder, sample in self._places(recordings, Path(output_dir)):
            try:
                self.predictor.check(sequence)
                request = self.request(sequence, sample)
                if outputs.is_kept(folder, request, overwrite=overwrite):
                    outcomes.append(Outcome(sequence.source, folder, "kept", sample=sample))
                    if self.report and not (folder / outputs.REPORT).exists():
                        self._report(folder, note)
                else:
                    todo.append((sequence, folder, sample))
            except DescError as error:
                failures.append(_failure(sequence, error))
        for index, (sequence, folder, sample) in enumerate(todo):
            try:
                sampling = self.prediction.one_draw(sample)
                with part(index, len(todo)):
                    prediction = self.predictor.predict(sequence, sampling, frames=self.n_steps)
                figures = self._finish(recordings, sequence, prediction, folder, note=note)
                outcomes.append(Outcome(sequence.source, folder, "written", figures, sample))
            except DescError as error:
                failures.append(_failure(sequence, error))
        outcomes.sort(key=lambda outcome: (outcome.source, outcome.sample))
        return Continuation(tuple(outcomes), tuple(dict.fromkeys(failures)))

    def _places(
        self, recordings: Corpus, output_dir: Path
    ) -> Iterator[tuple[DescriptorSequence, Path, int]]:
        """Yield each recording with the folder and the number of each of its results."""
        n = self.prediction.n_draws
        for sequence in recordings.sequences:
            for sample in range(1, n + 1):
                folder = outputs.result_folder(output_dir, sequence.source, sample, n)
                yield sequence, folder, sample

    @cached_property
    def _answerer(self) -> Answerer:
        """One for all recordings: it measures the corpus once."""
        return Answerer(
            self.database,
            self.predictor.standardizer,
            query=self.query,
            selection=self.selection,
            rendering=self.rendering,
        )

    def answer(self, prediction: Prediction, note: Note | None = None) -> Answer:
        """Answer predicted descriptors with the database: rows, units and their playlist."""
        seed = prediction.sampling.draw_seed
        return self._answerer.answer(
            prediction.values, digest=prediction.digest, seed=seed, note=note
        )

    def _finish(
        self,
        recordings: Corpus,
        sequence: DescriptorSequence,
        prediction: Prediction,
        folder: Path,
        *,
        note: Note | None,
    ) -> dict[str, float]:
        answer = self.answer(prediction, note)
        playlist = answer.playlist.after_recording(
            sequence.source,
            sequence.digest,
            recordings.root,
            context_end_frame=prediction.context_end_frame,
            hop_length=prediction.config.hop_length,
            rendering=self.rendering,
        )
        shown = ReportData.gather(
            prediction=prediction,
            target=answer.target,
            chosen=answer.chosen,
            candidates=answer.matches,
            database=self.database,
            standardizer=self.predictor.standardizer,
            query=self.query,
            sequence=sequence,
            recording_path=recordings.path(sequence.source),
        )
        # Rendering is what may fail; the files of an earlier result stay until it has not.
        with replacing(folder / outputs.WAV) as temporary:
            rendered = render_to_file(
                playlist, temporary, store=self.store, rendering=self.rendering
            )
            outputs.clear_marker(folder)
            outputs.write_matches(folder, answer.chosen, answer.matches, self.database)
            outputs.write_credits(folder, playlist)
            playlist.save(folder / outputs.PLAYLIST)
            shown.save(folder / outputs.REPORT_DATA)
        figures = outputs.match_figures(answer.chosen, answer.selection, self.database)
        figures |= outputs.sound_figures(rendered)
        request = self.request(sequence, prediction.sampling.draw)
        meta = {"request": request, "versions": versions(), "results": figures}
        outputs.write_prediction(folder, prediction, meta)
        if self.report:
            self._report(folder, note)
        return figures

    def _report(self, folder: Path, note: Note | None) -> None:
        """Write the report; without it the result is whole, so what goes wrong is only told."""
        try:
            write_result_report(folder)
        except DescError as error:
            if note is not None:
                note(f"no report: {error}")


def audio_sampler(
    database: DescriptorDatabase,
    store: DescriptorStore,
    *,
    duration_s: float = 5.0,
    seed: int = 0,
) -> SampleRenderer:
    """Return what lets `desc.train` write audio samples with the sounds of a database.

    Parameters
    ----------
    database : DescriptorDatabase
        The sounds to answer with, extracted with the configuration of the training recordings.
    store : DescriptorStore
        The cache, for sources that need decoding.
    duration_s : float
        Length of a sample, seconds.
    seed : int
        Of the draw, the same for every sample of a run.
    """
    settings = PredictConfig(duration_s=duration_s, seed=seed)

    def write(model: DescriptorModel, recording: DescriptorSequence, path: Path) -> None:
        predictor = Predictor.from_model(model)
        n_steps = settings.n_steps(predictor.config.frame_rate)
        with reporting(None):
            prediction = predictor.predict(recording, settings.one_draw(), frames=n_steps)
        answerer = Answerer(database, predictor.standardizer)
        answer = answerer.answer(prediction.values, digest=prediction.digest, seed=settings.seed)
        with replacing(path) as temporary:
            answerer.render(answer, temporary, store)

    return write


def _failure(sequence: DescriptorSequence, error: DescError) -> Failure:
    return Failure(sequence.source, str(error).removeprefix(f"{sequence.source}: "))
