"""Matching: play descriptors with the sounds of a database (audio mosaicing).

`matcher` holds the `Matcher`, the interface of the package. `space` defines the distances of
frames, `slow_scale` adds the second around them and the beat, `knn` searches for neighbours.
`units` are the pieces played, `boundaries` the limits of long units, `attacks` their exact times.
`transitions` and `repetition` are the costs and constraints of the searches `frame_search` and
`unit_search`; `levels` adds gains, layers and transposition. `parts` matches a target in parts.
"""

from desc.matching.knn import Neighbours
from desc.matching.matcher import Match, Matcher
from desc.matching.parts import match_in_parts
from desc.matching.space import MatchSpace, matching_space
from desc.matching.units import Unit, played_rows, repeat_share, sounding, to_playlist

__all__ = [
    "Match",
    "MatchSpace",
    "Matcher",
    "Neighbours",
    "Unit",
    "match_in_parts",
    "matching_space",
    "played_rows",
    "repeat_share",
    "sounding",
    "to_playlist",
]
