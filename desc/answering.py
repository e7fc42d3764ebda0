"""`Answerer`: descriptors are answered with the sounds of a database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from desc.concatenation import Playlist, RenderResult, render
from desc.configuration import Note, QueryConfig, RenderConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query import (
    Matches,
    Selection,
    distances_to,
    nearest,
    select_nearest,
    select_path,
    with_unit_gains,
)
from desc.storage import DescriptorStore


@dataclass(frozen=True, eq=False)
class Answer:
    """What a database has to say to T frames.

    Attributes
    ----------
    matches : Matches
        The nearest rows of each frame, whichever of them is played.
    chosen : Matches
        The row that each frame plays and its distance, (T, 1).
    selection : Selection
        The same as units.
    playlist : Playlist
        The same as pieces of files.
    """

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
        given = values, self.database, self.standardizer
        by_path = self.selection.selection != "nearest"
        n_neighbours = max(self.query.neighbours, self.selection.candidates if by_path else 1)
        matches = nearest(
            *given, replace(self.query, neighbours=n_neighbours), exclude_digest=digest, note=note
        )
        if by_path:
            selection = select_path(
                matches,
                *given,
                self.selection,
                query=self.query,
                exclude_digest=digest,
                seed=seed,
                note=note,
            )
        else:
            selection = select_nearest(matches, self.database)
        selection = with_unit_gains(
            selection, *given, limit_db=self.selection.unit_gain_db, query=self.query
        )
        kept = slice(self.query.neighbours)
        rows = selection.rows
        distances = distances_to(rows, *given, self.query)
        return Answer(
            matches=Matches(matches.rows[:, kept], matches.distances[:, kept]),
            chosen=Matches(rows[:, None], distances[:, None]),
            selection=selection,
            playlist=Playlist.from_selection(selection, self.database, self.rendering),
        )

    def render(
        self, answer: Answer, path: str | Path, store: DescriptorStore, note: Note | None = None
    ) -> RenderResult:
        """Write the sound of an answer."""
        return render(answer.playlist, path, store=store, config=self.rendering, note=note)
