"""Is the corpus near enough to the prediction to be matched as it is?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query.neighbours import projected
from desc.query.search import Matches, search

FAR = 2.0
"""Times the corpus' own distance, above which a prediction counts as far from it."""
N_FILES, N_ROWS = 6, 40
"""Files of the corpus, and rows of each, by which its own distance is measured."""


def own_distance(
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    query: QueryConfig = QueryConfig(),
) -> float | None:
    """Return the median distance of a row to the nearest one of another content.

    Measured by some rows of some files, evenly spread; None where there is but one content.
    """
    digests = [file.digest or file.source for file in database.files]
    if len(set(digests)) < 2:
        return None
    _, points = projected(database.values[:0], database, standardizer, query)
    one = replace(query, neighbours=1)
    found = []
    for index in np.unique(np.linspace(0, len(digests) - 1, N_FILES).round().astype(int)):
        same = np.array([digest == digests[index] for digest in digests])[database.file_index]
        rows = np.flatnonzero(database.file_index == index)
        if same.all() or not len(rows):
            continue
        some = rows[np.linspace(0, len(rows) - 1, N_ROWS).round().astype(int)]
        found.append(search(points[some], points, ~same, one).distances[:, 0])
    return float(np.median(np.concatenate(found)))


def far_from(matches: Matches, own: float | None) -> str | None:
    """Return a line of advice where the matches are far, by `own_distance`, else None."""
    distance = float(np.median(matches.distances[:, 0]))
    if own is None or distance <= FAR * own:
        return None
    return (
        f"the prediction is far from the corpus: its nearest sounds are at a distance of "
        f"{distance:.2f}, those of the corpus among themselves at {own:.2f}; --match_space .5, or "
        "1, follows its shape with the corpus' own level and colour"
    )
