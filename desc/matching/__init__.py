"""Matching: play descriptors with the sounds of a database (audio mosaicing).

`matcher` holds the `Matcher`, which everything else serves. `space` is the space of the distances,
`knn` the search for neighbours in it. `units` are what is played, `boundaries` where long ones
begin and end. `transitions` and `repetition` are the costs and the constraints of `frame_search`
and `unit_search`, `levels` the gains, layers and transposition of the result.
"""

from desc.matching.knn import Neighbours
from desc.matching.matcher import Match, Matcher
from desc.matching.space import MatchSpace, matching_space
from desc.matching.units import Unit, repeat_share, to_playlist

__all__ = [
    "Match",
    "MatchSpace",
    "Matcher",
    "Neighbours",
    "Unit",
    "matching_space",
    "repeat_share",
    "to_playlist",
]
