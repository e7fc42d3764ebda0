"""`Answerer`: descriptors are answered with the sounds of a database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from desc.concatenation import Playlist, RenderResult, render_to_file
from desc.configuration import Note, QueryConfig, RenderConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query import (
    Matches,
    Selection,
    distances_to,
    far_from,
    moved_to_corpus,
    nearest,
    own_distance,
    select,
)
from desc.storage import DescriptorStore


@dataclass(frozen=True, eq=False)
class Answer:
    """What a database has to say to T frames.

    Attributes
    ----------
    target : ndarray of float32, (T, D)
        What was matched: the frames, moved towards the database where that is asked for.
    matches : Matches
        The nearest rows of each frame, whichever of them is played.
    chosen : Matches
        The row that each frame plays and its distance, (T, 1).
    selection : Selection
        The same as units.
    playlist : Playlist
        The same as pieces of files.
    """

    target: npt.NDArray[np.float32]
    matches: Matches
    chosen: Matches
    selection: Selection
    playlist: Playlist


@dataclass(frozen=True, eq=False)
class Answerer:
    """Answers descriptors with the sounds of a database, by one set of settings.

    Attributes
    ----------
    database : DescriptorDatabase
        The sounds.
    standardizer : Standardizer
        Scales of the space of matching.
    query, selection, rendering : QueryConfig, SelectionConfig, RenderConfig
        The settings of each stage.
    """

    database: DescriptorDatabase
    standardizer: Standardizer
    query: QueryConfig = QueryConfig()
    selection: SelectionConfig = SelectionConfig()
    rendering: RenderConfig = RenderConfig()

    @cached_property
    def _own_distance(self) -> float | None:
        """Distance between the database's own files, measured once."""
        return own_distance(self.database, self.standardizer, self.query)

    def answer(
        self,
        values: npt.NDArray[np.float32],
        *,
        digest: str = "",
        seed: int = 0,
        note: Note | None = None,
    ) -> Answer:
        """Find rows, units and their playlist.

        Parameters
        ----------
        values : ndarray of float32, (T, D)
            Descriptors, columns as in the database.
        digest : str
            Content of the recording they belong to: its own rows do not answer it, unless the
            query allows that.
        seed : int
            Of the chance there is in a selection.
        note : callable, optional
            Gets lines for the user.
        """
        target = moved_to_corpus(values, self.database, self.query.match_space)
        given = target, self.database, self.standardizer
        settings = self.selection
        by_path = settings.units == "frame" and settings.selection != "nearest"
        n_neighbours = max(self.query.neighbours, settings.candidates if by_path else 1)
        matches = nearest(
            *given, replace(self.query, neighbours=n_neighbours), exclude_digest=digest, note=note
        )
        if note is not None and not self.query.match_space:
            advice = far_from(matches, self._own_distance)
            if advice:
                note(advice)
        selection = select(
            matches,
            *given,
            settings,
            query=self.query,
            exclude_digest=digest,
            seed=seed,
            note=note,
        )
        kept = slice(self.query.neighbours)
        rows = selection.rows
        distances = distances_to(rows, *given, self.query)
        return Answer(
            target=target,
            matches=Matches(matches.rows[:, kept], matches.distances[:, kept]),
            chosen=Matches(rows[:, None], distances[:, None]),
            selection=selection,
            playlist=Playlist.from_selection(selection, self.database, self.rendering),
        )

    def render(self, answer: Answer, path: str | Path, store: DescriptorStore) -> RenderResult:
        """Write the sound of an answer."""
        return render_to_file(answer.playlist, path, store=store, rendering=self.rendering)
