"""Descriptors in, rows of a database out: nearest neighbours and unit selection.

`space` says where distances are taken, `scores` and `search` find the nearest points there,
`neighbours` does so for a database, and `selection` turns rows into units that are played in one
piece. None of them knows a model.
"""

from desc.query.neighbours import nearest
from desc.query.search import Matches
from desc.query.selection import Selection, Unit, select_nearest, units_of_rows
from desc.query.space import MatchSpace, matching_space

__all__ = [
    "MatchSpace",
    "Matches",
    "Selection",
    "Unit",
    "matching_space",
    "nearest",
    "select_nearest",
    "units_of_rows",
]
