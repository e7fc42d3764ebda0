"""`select`: units for predicted frames, by whichever method the settings name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query.gains import muted, silent_frames, split_at, with_unit_gains
from desc.query.path import select_path
from desc.query.search import Matches
from desc.query.selection import Selection, select_nearest
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
    """Choose units by the method of the settings, with their gains, within the gate.

    The parameters and errors are those of `select_path`.
    """
    given = matches, queries, database, standardizer, config
    if config.units != "frame":
        selection = select_units(
            *given, query=query, exclude_digest=exclude_digest, seed=seed, note=note
        )
    elif config.selection == "nearest":
        selection = select_nearest(matches, database)
    else:
        selection = select_path(
            *given, query=query, exclude_digest=exclude_digest, seed=seed, note=note
        )
    silent = silent_frames(queries, database, config.silence_gate_db)
    selection = with_unit_gains(
        split_at(selection, silent), queries, database, limit_db=config.unit_gain_db
    )
    return muted(selection, silent)
