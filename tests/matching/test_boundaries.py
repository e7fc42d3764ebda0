"""Onsets, beats and grains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Matcher
from desc.matching.boundaries import UnitBoundaries, beat_frames, onset_rows
from desc.matching.units import SourcePositions

CONFIG = DescriptorConfig()


def test_onsets_are_where_sounds_begin(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    signal = 0.001 * rng.standard_normal(12 * 44100)
    times = np.cumsum(rng.uniform(0.15, 0.6, 25))
    for time in times:
        n = np.arange(17640)
        tone = np.sin(2 * np.pi * rng.uniform(150, 900) * n / 44100) * np.exp(-n / 2500)
        start = round(time * 44100)
        signal[start : start + len(n)] += 0.2 * tone[: len(signal) - start]
    soundfile.write(tmp_path / "notes.wav", signal, 44100)
    sequence = extract(tmp_path / "notes.wav", CONFIG)
    database = DescriptorDatabase.from_sequences([sequence], tmp_path)
    found = np.flatnonzero(onset_rows(database))[1:]
    ahead = times[:, None] * CONFIG.frame_rate - (found - 0.5)  # frames from a row's first sample
    inside = times < 11.9
    hit = ((ahead >= 0) & (ahead <= 1.3)).any(1)
    assert hit[inside].mean() > 0.9
    assert len(found) <= inside.sum() + 1


def test_a_grain_begins_where_its_file_is_long_enough() -> None:
    sequences = [
        DescriptorSequence(np.zeros((n, CONFIG.n_columns), np.float32), CONFIG, name, name, n)
        for name, n in (("a", 5), ("b", 2))
    ]
    database = DescriptorDatabase.from_sequences(sequences, "/corpus")
    grains = SelectionConfig(units="grain", grain_ms=3 * 1000 / CONFIG.frame_rate)
    found = UnitBoundaries.of(database, SourcePositions.of(database), grains)
    assert found.starts.tolist() == [0, 1, 2, 5], "a shorter file is one grain"
    assert found.lengths.tolist() == [3, 3, 3, 0, 0, 2, 0]
    points = np.arange(7, dtype=np.float32)[:, None]
    sketches = found.sketches(points, np.array([0, 5]), np.array([3, 2]))
    np.testing.assert_array_equal(sketches, [[0.5, 1.5], [5.5, 6]])


def test_onsets_need_mfcc(make_signal: Callable[..., npt.NDArray], tmp_path: Path) -> None:
    config = DescriptorConfig(descriptors=("rms", "centroid"))
    soundfile.write(tmp_path / "a.wav", make_signal("notes", 1.0), 44100)
    database = DescriptorDatabase.from_sequences([extract(tmp_path / "a.wav", config)], tmp_path)
    with pytest.raises(ConfigurationError, match="mfcc among the descriptors, which are rms"):
        Matcher(database, selection=SelectionConfig(units="onset"))


def test_units_on_beats_begin_just_before_the_beats_of_a_loop(tmp_path: Path) -> None:
    """A loop at 126 beats per minute, and a target at 120 that begins between two beats."""
    rng = np.random.default_rng(0)
    sequences = {}
    for name, bpm in (("corpus", 126), ("target", 120)):
        beats = (np.arange(40) + 0.5) * 60 / bpm * 44100
        signal = 0.001 * rng.standard_normal(int(beats[-1]) + 20_000)
        for beat in beats.astype(int):
            tone = np.sin(2 * np.pi * 80 * np.arange(6000) / 44100)
            signal[beat : beat + 6000] += 0.3 * tone * np.exp(-np.arange(6000) / 1500)
        soundfile.write(tmp_path / f"{name}.wav", signal, 44100)
        sequences[name] = extract(tmp_path / f"{name}.wav", CONFIG), beats / CONFIG.hop_length
    corpus, expected = sequences["corpus"]
    database = DescriptorDatabase.from_sequences([corpus], tmp_path)
    settings = SelectionConfig(units="beat")
    found = UnitBoundaries.of(database, SourcePositions.of(database), settings)
    early = expected[1:-1, None] - found.starts  # frames from the first row of a unit to a beat
    assert ((early > 0.5) & (early < 2.5)).any(1).all()
    assert abs(len(found.starts) - len(expected)) <= 1
    target, expected = sequences["target"]
    match = Matcher(database, selection=settings).match(target.values)
    onsets = np.array([unit.onset_frame for unit in match.units if unit.onset_frame])
    assert len(onsets) > 20, "its beats are closer, so that it cannot go on"
    early = expected[:, None] - onsets
    assert (((early > 0.5) & (early < 2.5)).sum(0) == 1).all()
    first_rows = np.array([unit.first_row for unit in match.units if unit.onset_frame])
    assert np.isin(first_rows, found.starts).all()
    lead = beat_frames(target.values, CONFIG)[0]
    assert lead > 0
    assert match.units[0].first_row + lead in found.starts, "it begins as long before a beat"


def test_without_a_pulse_units_on_beats_begin_at_onsets(tmp_path: Path) -> None:
    quiet = np.zeros((40, CONFIG.n_columns), np.float32)
    assert beat_frames(quiet, CONFIG).tolist() == [0]
    quiet[20:, 0] = 100.0
    assert beat_frames(quiet, CONFIG).tolist() == [19]
