"""Attacks inside the hop: measured from descriptors, and met by the units that are played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from desc.concatenation import render
from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract
from desc.descriptors.sequence import DescriptorSequence
from desc.matching import Matcher, Unit
from desc.matching.attacks import attack_places, with_attacks
from desc.matching.units import SourcePositions

CONFIG = DescriptorConfig()
RATE, HOP = CONFIG.sample_rate, CONFIG.hop_length
TOLERANCE = 0.002 * RATE


def described(path: Path, attacks: npt.ArrayLike, decay_s: float = 0.01) -> DescriptorSequence:
    """Write strokes of a drum at samples, in digital silence; return their descriptors."""
    rng, n = np.random.default_rng(7), 4000
    stroke = 0.3 * rng.standard_normal(n) * np.exp(-np.arange(n) / RATE / decay_s)
    signal = np.zeros(np.max(attacks) + 22_050)
    for attack in np.asarray(attacks, int):
        signal[attack : attack + n] += stroke
    soundfile.write(path, signal, RATE, subtype="FLOAT")
    return extract(path, CONFIG)


@pytest.mark.parametrize("decay_s", [0.001, 0.01, 0.05])
def test_places_are_those_of_the_attacks(tmp_path: Path, decay_s: float) -> None:
    attacks = 20_000 + 10_240 * np.arange(20) + np.linspace(0, HOP, 20).astype(int)
    sequence = described(tmp_path / "a.wav", attacks, decay_s)
    frames = np.rint(attacks / HOP).astype(int)
    for ahead in (0, 1):
        places = attack_places(sequence.values, frames - ahead, CONFIG)
        found = (frames - ahead + places) * HOP
        known = ~np.isnan(places)
        assert known.mean() > 0.85, "some are too near to the edge of what is looked at"
        assert np.abs(found - attacks)[known].max() < TOLERANCE
    assert np.isnan(attack_places(sequence.values, frames + 5, CONFIG)).all()
    assert np.isnan(attack_places(sequence.values, np.array([0, len(sequence) - 1]), CONFIG)).all()


@pytest.mark.parametrize("units", ["frame", "beat"])
def test_attacks_that_are_played_meet_those_of_the_target(tmp_path: Path, units: str) -> None:
    rng, n = np.random.default_rng(1), 16
    anywhere = rng.integers(-HOP // 2, HOP // 2, (2, n))
    sound = described(tmp_path / "a.wav", 33_000 * np.arange(1, n + 1) + anywhere[0])
    attacks = 22_000 * np.arange(1, n + 1) + anywhere[1]
    target = described(tmp_path / "b.wav", attacks).values
    database = DescriptorDatabase.from_sequences([sound], tmp_path)
    match = Matcher(database, selection=SelectionConfig(units=units, hold_s=0.0)).match(target)
    heard = render(match.playlist).samples[:, 0]
    loud = np.flatnonzero(np.abs(heard) > 0.03)
    played = loud[np.diff(loud, prepend=-RATE) > 0.1 * RATE]
    first = -HOP // 2  # of the target: frames are played from half a hop before their centres on
    assert np.abs(first + played - attacks).max() < TOLERANCE
    assert 0 < max(abs(unit.shift_samples) for unit in match.units) <= 0.75 * HOP


@pytest.mark.parametrize("units", ["frame", "onset", "beat"])
def test_a_recording_that_answers_itself_is_not_shifted(
    tmp_path: Path, make_signal: Callable[..., npt.NDArray], units: str
) -> None:
    soundfile.write(tmp_path / "a.wav", make_signal("notes", 3.0), RATE)
    sequence = extract(tmp_path / "a.wav", CONFIG)
    database = DescriptorDatabase.from_sequences([sequence], tmp_path)
    match = Matcher(database, selection=SelectionConfig(units=units)).match(sequence.values)
    (unit,) = match.units
    assert (unit.first_row, unit.n_frames, unit.shift_samples) == (0, len(sequence), 0)


def test_the_pieces_of_a_unit_share_its_shift(tmp_path: Path) -> None:
    sound = described(tmp_path / "a.wav", [30 * HOP, 60 * HOP])
    target = described(tmp_path / "b.wav", [30 * HOP + 300, 60 * HOP - 300]).values
    database = DescriptorDatabase.from_sequences([sound], tmp_path)
    positions = SourcePositions.of(database)
    one, other = Unit(25, 20, 25), Unit(45, 20, 45)
    shifts = [u.shift_samples for u in with_attacks((one, other), target, database, positions)]
    assert shifts == pytest.approx([-300, -300], abs=TOLERANCE)
    (alone,) = with_attacks((other,), target, database, positions)
    assert alone.shift_samples == pytest.approx(300, abs=TOLERANCE)
    apart = with_attacks((one, Unit(44, 20, 45)), target, database, positions)
    assert apart[1].shift_samples == 0, "more than a hop cannot be mended"
