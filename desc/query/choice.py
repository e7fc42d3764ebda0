"""`select`: units for predicted frames, by whatever the settings say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query.gains import muted, silent_frames, split_at, with_unit_gains
from desc.query.layers import left_over, played_power, with_helping_gains
from desc.query.neighbours import nearest
from desc.query.path import select_path
from desc.query.requirements import check_selection
from desc.query.search import Matches
from desc.query.selection import Selection, select_nearest
from desc.query.transposing import with_transposition
from desc.query.unit_search import select_units


def select(
    matches: Matches,
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    config: SelectionConfig = SelectionConfig(),
    *,
    query: QueryConfig = QueryConfig(),
    exclude_digest: str | None = None,
    seed: int = 0,
    note: Note | None = None,
) -> Selection:
    """Choose units by the settings: method, layers, gains, silence and transposition.

    The parameters are those of `select_path`.

    Raises
    ------
    ConfigurationError
        If the database cannot answer so many frames within the limits, or lacks the descriptors
        that a setting needs.
    """

    def chosen(matches: Matches, queries: npt.NDArray[np.floating]) -> Selection:
        given = matches, queries, database, standardizer, config
        if config.units == "frame" and config.selection == "nearest":
            return split_at(select_nearest(matches, database), silent)
        method = select_path if config.units == "frame" else select_units
        found = method(*given, query=query, exclude_digest=exclude_digest, seed=seed, note=note)
        return split_at(found, silent)

    check_selection(config, database.config)
    silent = silent_frames(queries, database, config.silence_gate_db)
    limit_db = config.unit_gain_db
    selection = with_unit_gains(chosen(matches, queries), queries, database, limit_db=limit_db)
    selection = muted(selection, silent)
    for layer in range(1, config.layers):
        played = played_power(selection, len(queries), database)
        rest = left_over(queries, played, database)
        near = nearest(
            rest,
            database,
            standardizer,
            replace(query, neighbours=config.candidates),
            exclude_digest=exclude_digest,
        )
        further = with_helping_gains(
            chosen(near, rest), queries, played, database, limit_db=limit_db
        )
        units = (replace(unit, layer=layer) for unit in muted(further, silent).units)
        selection = Selection((*selection.units, *units))
    return with_transposition(selection, queries, database, config.transpose_semitones)
