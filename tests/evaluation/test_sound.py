"""Units and copies of playlists with known events."""

from __future__ import annotations

import numpy as np

from desc.concatenation import Playlist, PlaylistEvent
from desc.evaluation.sound import Pieces, piece_figures

HOP = 1000


def playlist_of(*events: tuple[str, int, int]) -> Playlist:
    """Events (file, first hop, hops), one after the other."""
    onset, made = 0, []
    for source, start, length in events:
        made.append(PlaylistEvent(source, start * HOP, length * HOP, onset))
        onset += length * HOP
    return Playlist(tuple(made), 10 * HOP)


def test_events_that_continue_each_other_are_one_unit() -> None:
    pieces = Pieces.of(playlist_of(("a", 0, 3), ("a", 3, 4), ("b", 7, 5)), HOP)
    np.testing.assert_array_equal(pieces.starts, [0, 7 * HOP])
    np.testing.assert_array_equal(pieces.lengths, [7 * HOP, 5 * HOP])
    np.testing.assert_array_equal(pieces.copies, [7 * HOP, 5 * HOP])


def test_short_jumps_do_not_leave_a_place() -> None:
    pieces = Pieces.of(playlist_of(("a", 0, 3), ("a", 5, 4), ("a", 100, 5)), HOP)
    np.testing.assert_array_equal(pieces.lengths, [3 * HOP, 4 * HOP, 5 * HOP])
    np.testing.assert_array_equal(pieces.copies, [7 * HOP, 5 * HOP])
    assert piece_figures([pieces], 10 * HOP) == {
        "median_unit_ms": 400, "longest_unit_ms": 500, "longest_copy_s": 0.7,
    }  # fmt: skip
