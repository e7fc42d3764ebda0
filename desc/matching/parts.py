"""Matching in parts, so that a longer result begins with the sounds of a shorter one.

The search looks ahead: with a longer target even the first units may differ. Parts are matched one
by one instead, each as if it were alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from desc.matching.matcher import Match, Matcher
from desc.matching.units import to_playlist

if TYPE_CHECKING:
    from desc.prediction import Prediction


def match_in_parts(matcher: Matcher, prediction: Prediction, ends: Sequence[int]) -> Match:
    """Match a prediction in parts that end at these frames; without any, as a whole.

    Until the first end the units are those of a prediction of that length. A part knows nothing of
    the sounds of the earlier ones, so it may repeat them.

    Parameters
    ----------
    matcher : Matcher
    prediction : Prediction
    ends : sequence of int
        Frames at which a part ends; those outside the prediction have no effect.
    """
    n = len(prediction.values)
    cuts = [0, *sorted({end for end in ends if 0 < end < n}), n]
    matches = [matcher.match(prediction[start:end]) for start, end in pairwise(cuts)]
    return matches[0] if len(matches) == 1 else joined(matches, cuts[:-1])


def joined(matches: Sequence[Match], starts: Sequence[int]) -> Match:
    """Return matches of one matcher as one, each from its first frame on."""
    matcher = matches[0].matcher
    units = [
        replace(unit, onset_frame=unit.onset_frame + start)
        for one, start in zip(matches, starts, strict=True)
        for unit in one.units
    ]
    units.sort(key=lambda unit: (unit.layer, unit.onset_frame))
    playlist = to_playlist(
        tuple(units),
        matcher.database,
        matcher.rendering,
        fade_ends=matcher.selection.selection == "causal",
    )
    return Match(
        target=np.concatenate([one.target for one in matches]),
        points=np.concatenate([one.points for one in matches]),
        rows=np.concatenate([one.rows for one in matches]),
        distances=np.concatenate([one.distances for one in matches]),
        units=tuple(units),
        playlist=playlist,
        matcher=matcher,
        usable=matches[0].usable,
    )
