"""Descriptors in, rows of a database out: nearest neighbours and unit selection.

`space` says where distances are taken, `scores` and `search` find the nearest points there,
`neighbours` does so for a database, `selection` turns rows into units that are played in one piece,
`path` chooses them over a whole sequence, within the `limits`, `unit_search` does so for units from
onset to onset (`onsets`) and grains (`unit_table`), `gains` makes them as loud as what was asked
for. `choice` does what the settings say, `requirements` what they need. None of them knows a model.
"""

from desc.query.advice import far_from, own_distance
from desc.query.choice import select
from desc.query.gains import with_unit_gains
from desc.query.moving import moved_to_corpus
from desc.query.neighbours import nearest
from desc.query.path import distances_to, select_path
from desc.query.requirements import check_selection
from desc.query.search import Matches
from desc.query.selection import Selection, Unit, repeat_share, select_nearest, units_of_rows
from desc.query.space import MatchSpace, matching_space
from desc.query.unit_search import select_units

__all__ = [
    "MatchSpace",
    "Matches",
    "Selection",
    "Unit",
    "check_selection",
    "distances_to",
    "far_from",
    "matching_space",
    "moved_to_corpus",
    "nearest",
    "own_distance",
    "repeat_share",
    "select",
    "select_nearest",
    "select_path",
    "select_units",
    "units_of_rows",
    "with_unit_gains",
]
