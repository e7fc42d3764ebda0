"""Sounds with known pitch classes, onsets, levels and joins."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from desc.metrics.rhythm import find_pulse
from desc.metrics.sound import (
    ONSET_HOP,
    chroma,
    chroma_similarity,
    dips,
    flux_at,
    level_db,
    onset_strength,
)

Audio = npt.NDArray[np.float32]
RATE = 16000


def test_octaves_have_one_chroma_and_fifths_another(make_signal: Callable[..., Audio]) -> None:
    a3, a4, e4 = (
        chroma(make_signal("tone", 2, RATE, frequency=f), RATE) for f in (220, 440, 659.3)
    )
    assert (a4.argmax(1) == 0).all()
    assert (e4.argmax(1) == 7).all()
    assert chroma_similarity(a3, a4) > 0.99
    assert chroma_similarity(a3, e4) < 0.2
    assert not chroma(np.zeros(RATE, np.float32), RATE).any()
    assert math.isnan(chroma_similarity(chroma(np.zeros(9, np.float32), RATE), a3))


def test_notes_four_times_a_second_have_that_pulse(make_signal: Callable[..., Audio]) -> None:
    pulse = find_pulse(onset_strength(make_signal("notes", 8, RATE), RATE), RATE / ONSET_HOP)
    assert pulse.period * ONSET_HOP / RATE == pytest.approx(0.25, rel=0.02)
    assert pulse.strength > 0.4


def test_levels_are_relative_to_full_scale() -> None:
    assert level_db(np.full(100, 0.1, np.float32)) == pytest.approx(-20)
    assert level_db(np.zeros(100, np.float32)) == level_db(np.zeros(0, np.float32)) == -120


def test_a_click_and_a_gap_are_found_where_they_are(make_signal: Callable[..., Audio]) -> None:
    sound = make_signal("tone", 1, RATE).copy()
    clean, joins = sound.copy(), np.array([4000, 8000])
    sound[4000] += 0.5
    sound[7950:8050] = 0
    at, elsewhere = flux_at(sound, joins, RATE)
    assert at > 3 * elsewhere
    at, elsewhere = flux_at(clean, joins, RATE)
    assert at == pytest.approx(elsewhere, abs=0.3)
    assert dips(sound, joins, RATE).tolist() == [False, True]
    assert not dips(clean, joins, RATE).any()
    assert len(dips(clean, np.array([10]), RATE)) == 0, "too near to the start"
    assert math.isnan(flux_at(clean, np.zeros(0, np.int64), RATE)[0])
