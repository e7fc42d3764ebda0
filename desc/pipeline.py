"""The whole way of a recording: prediction → matches → selection → playlist → WAV."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from desc import outputs
from desc.concatenation import Playlist, render
from desc.configuration import (
    Note,
    PredictConfig,
    Progress,
    QueryConfig,
    RenderConfig,
    SelectionConfig,
    to_dict,
)
from desc.corpus import Corpus
from desc.database import DescriptorDatabase
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import DescError
from desc.files import replacing
from desc.prediction import Prediction, Predictor, progress_of_all
from desc.query import (
    Matches,
    Selection,
    distances_to,
    matching_space,
    nearest,
    select_nearest,
    select_path,
    with_unit_gains,
)
from desc.report import ReportData, write_result_report
from desc.runs import versions
from desc.storage import DescriptorStore


@dataclass(frozen=True)
class Outcome:
    """What became of one recording.

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
    """

    source: str
    folder: Path
    status: Literal["written", "kept"]
    figures: dict[str, float] = field(default_factory=dict)


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
        # Wrong weights are refused before anything is predicted.
        matching_space(self.predictor.config, self.predictor.standardizer, self.query)

    @property
    def n_steps(self) -> int:
        """Frames predicted for every recording."""
        return self.prediction.n_steps(self.predictor.config.frame_rate)

    def request(self, sequence: DescriptorSequence) -> dict[str, Any]:
        """Return everything that decides the result for a recording, as plain values."""
        settings = replace(self.prediction, prediction_length=self.n_steps, duration_s=None)
        return {
            "run_id": self.predictor.run_id,
            "checkpoint_digest": self.predictor.checkpoint_digest,
            "recording": sequence.source,
            "recording_digest": sequence.digest,
            "corpus_digest": self.database.digest,
            "descriptors": to_dict(self.predictor.config),
            **to_dict(settings),
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
        progress: Progress | None = None,
        note: Note | None = None,
    ) -> Continuation:
        """Continue every recording of a corpus into `output_dir/<relative path>/`.

        Results of the same request are kept; one recording's failure does not stop the others.

        Parameters
        ----------
        recordings : Corpus
            The recordings, extracted with the predictor's configuration.
        output_dir : path
            Where the results go.
        overwrite : bool
            Replace results of other requests.
        progress, note : callable, optional
            See `desc.configuration`.
        """
        output_dir = Path(output_dir)
        outcomes: list[Outcome] = []
        usable = {sequence.source for sequence in recordings.sequences}
        failures = [
            Failure(s.source, s.reason) for s in recordings.skipped if s.source not in usable
        ]
        todo: list[DescriptorSequence] = []
        for sequence in recordings.sequences:
            folder = outputs.result_folder(output_dir, sequence.source)
            try:
                self.predictor.check(sequence)
                if outputs.is_kept(folder, self.request(sequence), overwrite=overwrite):
                    outcomes.append(Outcome(sequence.source, folder, "kept"))
                    if self.report and not (folder / outputs.REPORT).exists():
                        self._report(folder, note)
                else:
                    todo.append(sequence)
            except DescError as error:
                failures.append(_failure(sequence, error))
        for index, sequence in enumerate(todo):
            folder = outputs.result_folder(output_dir, sequence.source)
            try:
                prediction = self._predict(sequence, progress_of_all(progress, index, len(todo)))
                figures = self._finish(
                    recordings, sequence, prediction, folder, progress=progress, note=note
                )
                outcomes.append(Outcome(sequence.source, folder, "written", figures))
            except DescError as error:
                failures.append(_failure(sequence, error))
        outcomes.sort(key=lambda outcome: outcome.source)
        return Continuation(tuple(outcomes), tuple(failures))

    def _predict(self, sequence: DescriptorSequence, progress: Progress | None) -> Prediction:
        settings = self.prediction
        return self.predictor.predict(
            sequence,
            self.n_steps,
            temperature=settings.temperature,
            seed=settings.seed,
            sampling=settings.sampling,
            replay_block=settings.replay_block,
            progress=progress,
        )

    def match(
        self, prediction: Prediction, note: Note | None = None
    ) -> tuple[Matches, Selection, Playlist]:
        """Answer predicted descriptors with the database: rows, units and their playlist.

        The rows are the nearest ones, whichever of them the selection plays.
        """
        given = prediction.values, self.database, self.predictor.standardizer
        by_path = self.selection.selection != "nearest"
        n_neighbours = max(self.query.neighbours, self.selection.candidates if by_path else 1)
        matches = nearest(
            *given,
            replace(self.query, neighbours=n_neighbours),
            exclude_digest=prediction.digest,
            note=note,
        )
        if by_path:
            selection = select_path(
                matches,
                *given,
                self.selection,
                query=self.query,
                exclude_digest=prediction.digest,
                seed=self.prediction.seed,
                note=note,
            )
        else:
            selection = select_nearest(matches, self.database)
        selection = with_unit_gains(
            selection, *given, limit_db=self.selection.unit_gain_db, query=self.query
        )
        kept = slice(self.query.neighbours)
        matches = Matches(matches.rows[:, kept], matches.distances[:, kept])
        return matches, selection, Playlist.from_selection(selection, self.database, self.rendering)

    def _chosen(self, prediction: Prediction, selection: Selection) -> Matches:
        """Return the row that each frame plays and its distance, (T, 1)."""
        rows = selection.rows
        given = self.database, self.predictor.standardizer, self.query
        distances = distances_to(rows, prediction.values, *given)
        return Matches(rows[:, None], distances[:, None])

    def _finish(
        self,
        recordings: Corpus,
        sequence: DescriptorSequence,
        prediction: Prediction,
        folder: Path,
        *,
        progress: Progress | None,
        note: Note | None,
    ) -> dict[str, float]:
        matches, selection, playlist = self.match(prediction, note)
        chosen = self._chosen(prediction, selection)
        playlist = playlist.after_recording(
            sequence.source,
            sequence.digest,
            recordings.root,
            context_end_frame=prediction.context_end_frame,
            hop_length=prediction.config.hop_length,
            config=self.rendering,
        )
        shown = ReportData.gather(
            prediction=prediction,
            target=prediction.values,
            chosen=chosen,
            candidates=matches,
            database=self.database,
            standardizer=self.predictor.standardizer,
            query=self.query,
            sequence=sequence,
            recording_path=recordings.path(sequence.source),
        )
        # Rendering is what may fail; the files of an earlier result stay until it has not.
        with replacing(folder / outputs.WAV) as temporary:
            rendered = render(
                playlist,
                temporary,
                store=self.store,
                config=self.rendering,
                progress=progress,
                note=note,
            )
            outputs.clear_marker(folder)
            outputs.write_matches(folder, chosen, matches, self.database)
            outputs.write_credits(folder, playlist)
            playlist.save(folder / outputs.PLAYLIST)
            shown.save(folder / outputs.REPORT_DATA)
        figures = outputs.match_figures(chosen, selection, self.database)
        figures |= outputs.sound_figures(rendered)
        meta = {"request": self.request(sequence), "versions": versions(), "results": figures}
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


def _failure(sequence: DescriptorSequence, error: DescError) -> Failure:
    return Failure(sequence.source, str(error).removeprefix(f"{sequence.source}: "))
