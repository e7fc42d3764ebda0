"""Edits of a result, without a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc import edits
from desc.concatenation import Playlist, PlaylistEvent
from desc.errors import ConfigurationError, DescError
from desc.outputs import PLAYLIST

RATE = 44100


@pytest.fixture
def folder(tmp_path: Path, make_wav: Callable[..., Path]) -> Path:
    """A result of two units: silence with a stroke of 10 ms at its end, and a constant."""
    sound = np.zeros(RATE, np.float32)
    sound[4000:4410] = 0.5
    sound[20000:30000] = 0.1
    root = make_wav("sounds/a.wav", sound, subtype="FLOAT").parent
    events = (PlaylistEvent("a.wav", 0, 4410, 0), PlaylistEvent("a.wav", 20000, 5000, 4410))
    Playlist(events, RATE, {"corpus": str(root)}).save(tmp_path / PLAYLIST)
    return tmp_path


def test_a_replacement_has_the_level_of_every_sample_before(folder: Path) -> None:
    _, held = Playlist.load(folder / PLAYLIST).events
    other = replace(held, onset_sample=0, n_samples=4410)
    changes = edits.replacement(folder, 0, other)
    wanted = 20 * np.log10(0.5 * np.sqrt(410 / 4410) / 0.1)
    assert changes["gain_db"] == pytest.approx(wanted, abs=0.01)
    assert changes["start_sample"] == 20000
    soft = ((4000, -6.0), (4410, -6.0))
    edits.add_edit(folder, 0, {"gain_curve": soft, "gain_db": 2.0})
    changes = edits.replacement(folder, 0, other)
    assert changes["gain_db"] == pytest.approx(wanted - 6 + 2, abs=0.01)
    assert changes["gain_curve"] == ()


def test_a_gain_curve_is_edited_and_undone(folder: Path) -> None:
    edits.add_edit(folder, 1, {"gain_curve": [[0, 0.0], [4000, -10.0]]})
    edited = Playlist.load(folder / edits.EDITED)
    assert edited == edits.edited_playlist(folder)
    assert edited.events[1].gain_curve == ((0, 0.0), (4000, -10.0))
    assert edits.undo(folder) == Playlist.load(folder / PLAYLIST)
    assert not (folder / edits.EDITS).exists()


def test_places_and_fields_that_are_not_there_are_named(folder: Path) -> None:
    event = Playlist.load(folder / PLAYLIST).events[1]
    for place in (2, -1):
        with pytest.raises(ConfigurationError, match=f"event={place} must be"):
            edits.replacement(folder, place, event)
    with pytest.raises(ConfigurationError, match=r"changes=.*'pan'.* must be among source"):
        edits.add_edit(folder, 0, {"pan": 1})
    for change in ({"pan": 1}, {"gain_curve": [[5, 1.0], [1, 1.0]]}):
        (folder / edits.EDITS).write_text(json.dumps([{"event": 0, "changes": change}]))
        with pytest.raises(DescError, match=edits.EDITS):
            edits.edited_playlist(folder)
