"""Gains, silence, layers and transposition of units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft

from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.deltas import append_deltas
from desc.descriptors.envelope import envelope_db, mfcc_of
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Matcher, Unit, to_playlist
from desc.matching.levels import (
    MUTED_DB,
    played_power,
    residual_target,
    split_at,
    with_fitted_gains,
    with_gain_curves,
    with_gains,
    with_transposition,
)
from desc.matching.units import rows_of_units

CONFIG = DescriptorConfig(descriptors=("mfcc",))
PITCHED = DescriptorConfig(descriptors=("mfcc", "f0"))
Values = npt.NDArray[np.float32]


def values_of(envelopes: npt.NDArray[np.float64]) -> Values:
    """Return descriptors whose envelope (T, 32) in dB is as near to this one as 13 MFCC allow."""
    return append_deltas(mfcc_of(envelopes, CONFIG).astype(np.float32), CONFIG)


def smooth(rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
    """Envelopes that 13 MFCC describe, moving slowly."""
    mfcc = np.cumsum(rng.standard_normal((n, 13)), 0) * 8
    return mfcc @ scipy.fft.idct(np.eye(13, 128), norm="ortho")[:, 1::4]


def make_database(*files: Values, config: DescriptorConfig = CONFIG) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, config, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def test_the_envelope_is_that_of_the_mel_bands(rng: np.random.Generator) -> None:
    mfcc = rng.standard_normal((5, 13))
    values = append_deltas(mfcc.astype(np.float32), CONFIG)
    bands = scipy.fft.idct(np.pad(mfcc, ((0, 0), (0, 115))), norm="ortho")
    envelope = envelope_db(values, CONFIG)
    np.testing.assert_allclose(envelope, (bands[:, 1::4] + bands[:, 2::4]) / 2, atol=6e-3)
    np.testing.assert_allclose(mfcc_of(envelope, CONFIG), mfcc, atol=1e-5)


def test_what_is_left_is_the_difference_of_powers(rng: np.random.Generator) -> None:
    low, high = np.zeros((20, 32)), np.zeros((20, 32))
    low[:, :], high[:, :] = np.linspace(40, -40, 32), np.linspace(-40, 40, 32)
    database = make_database(values_of(low), values_of(high))
    target = values_of(10 * np.log10(10 ** (low / 10) + 10 ** (high / 10)))
    played = played_power((Unit(0, 20, 0),), 20, database)
    np.testing.assert_allclose(10 * np.log10(played), envelope_db(database.values[:20], CONFIG))
    rest = envelope_db(residual_target(target, played, database), CONFIG)
    assert np.abs(rest[:, 20:] - high[:, 20:]).max() < 6  # 13 MFCC draw the bend roughly
    assert (rest[:, :8] < low[:, :8] - 10).all()


def test_a_further_layer_plays_what_the_first_lacks() -> None:
    rng = np.random.default_rng(2)
    shape = np.linspace(30, -30, 32)
    low, high = smooth(rng, 60) / 4 + shape, smooth(rng, 60) / 4 - shape
    database = make_database(values_of(low), values_of(high))
    target = values_of(10 * np.log10(10 ** (low / 10) + 10 ** (high / 10)))[10:50]
    config = SelectionConfig(layers=2)
    chosen = Matcher(database, selection=config).match(target)
    files = [
        {int(database.file_index[u.first_row]) for u in chosen.units if u.layer == layer}
        for layer in (0, 1)
    ]
    assert files[0] != files[1]
    wanted = envelope_db(target, CONFIG)

    def error(units: tuple[Unit, ...]) -> float:
        power = played_power(units, 40, database)
        return float(np.sqrt(np.mean((10 * np.log10(power) - wanted) ** 2)))

    first = tuple(unit for unit in chosen.units if not unit.layer)
    alone = Matcher(database).match(target)
    assert first == alone.units
    assert error(chosen.units) < 0.5 * error(first)
    for layer in (0, 1):
        assert sum(u.n_frames for u in chosen.units if u.layer == layer) == 40
    np.testing.assert_array_equal(chosen.rows, alone.rows)


def test_a_layer_that_does_not_help_is_silent(rng: np.random.Generator) -> None:
    database = make_database(values_of(smooth(rng, 60)), values_of(smooth(rng, 60) + 60))
    target = database.values[10:30]
    played = played_power((Unit(10, 20, 0),), 20, database)
    further = (Unit(70, 12, 0), Unit(5, 8, 12))
    gains = with_fitted_gains(further, target, played, database, limit_db=6.0)
    assert [unit.gain_db for unit in gains] == [MUTED_DB, MUTED_DB]
    half = played / 2
    halves = with_fitted_gains((Unit(10, 20, 0),), target, half, database, limit_db=6.0)
    assert halves[0].gain_db == -3


def test_units_are_cut_where_silence_begins_and_ends() -> None:
    silent = np.zeros(12, bool)
    silent[3:5] = True
    units = (Unit(20, 6, 0, cost=6.0), Unit(50, 6, 6))
    cut = split_at(units, silent)
    assert [(u.first_row, u.n_frames, u.onset_frame, u.cost) for u in cut] == [
        (20, 3, 0, 3.0),
        (23, 2, 3, 2.0),
        (25, 1, 5, 1.0),
        (50, 6, 6, 0.0),
    ]


def test_units_are_brought_to_the_pitch_asked_for() -> None:
    values = np.zeros((40, PITCHED.n_columns), np.float32)
    pitch, voicing = PITCHED.groups["f0"]
    values[:, pitch], values[:, voicing] = np.log2(440), 0.9
    values[30:, voicing] = 0.1
    database = make_database(values, config=PITCHED)
    queries = values.copy()
    queries[:, pitch] += 3 / 12
    queries[2, pitch] += 5  # one frame an error of octaves
    queries[10:20, pitch] += 1
    units = (Unit(0, 10, 0), Unit(12, 10, 10), Unit(20, 10, 20), Unit(30, 10, 30))
    found = with_transposition(units, queries, database, 4.0)
    assert [u.transpose_semitones for u in found] == pytest.approx([3, 0, 3, 0])
    playlist = to_playlist(found, database)
    assert [e.transpose_semitones for e in playlist.events] == pytest.approx([3, 0, 3, 0])
    near = with_transposition(units, values + np.float32(0.001), database, 4.0)
    assert near == units


def test_units_are_brought_to_the_level_asked_for(rng: np.random.Generator) -> None:
    database = make_database(
        np.cumsum(rng.standard_normal((60, CONFIG.n_columns)), 0).astype(np.float32)
    )
    units = (Unit(10, 4, 0), Unit(30, 3, 4), Unit(40, 2, 7))
    queries = database.values[rows_of_units(units)].copy()
    same = with_gains(units, queries, database, limit_db=6.0)
    assert same == units
    queries[:4, 0] += 3 * np.sqrt(128)  # every mel band 3 dB louder
    queries[4:7, 0] -= 20 * np.sqrt(128)
    gains = [u.gain_db for u in with_gains(units, queries, database, limit_db=6.0)]
    assert gains == pytest.approx([3, -6, 0])
    assert with_gains(units, queries, database, limit_db=0.0) == units


def levels(values: Values) -> npt.NDArray[np.float64]:
    """Return the mean level of the mel bands, dB."""
    return envelope_db(values, CONFIG).mean(1)


def test_frames_are_brought_to_the_level_asked_for(rng: np.random.Generator) -> None:
    database = make_database(values_of(smooth(rng, 60)))
    units = (Unit(10, 8, 0, gain_db=2.0), Unit(30, 4, 8))
    rows = rows_of_units(units)
    target = database.values[rows].copy()
    target[:, 0] += rng.uniform(-7, 7, len(rows)).astype(np.float32) * np.sqrt(128)
    found = with_gain_curves(units, target, database, limit_db=12.0)
    played = 10 * np.log10(played_power(found, len(rows), database)).mean(1)
    for unit in found:
        difference = played[unit.frames] - levels(target)[unit.frames]
        np.testing.assert_allclose(difference, difference.mean(), atol=0.02)
        before = levels(database.values[unit.rows]) + unit.gain_db
        assert played[unit.frames].mean() == pytest.approx(before.mean(), abs=0.02)
    limited = with_gain_curves(units, target, database, limit_db=3.0)
    assert [max(map(abs, unit.gain_curve_db)) for unit in limited] == [3.0, 3.0]
    assert max(limited[0].gain_curve_db) == 1.0, "of a unit that is raised itself"
    assert [unit.gain_db for unit in limited] == [2.0, 0.0]
    assert with_gain_curves(units, target, database, limit_db=0.0) == units


def flat(levels_db: list[float]) -> Values:
    """Return descriptors whose mel bands all have these levels (T,)."""
    return values_of(np.repeat(np.array(levels_db)[:, None], 32, 1))


def test_a_curve_follows_what_is_played_between_two_frames() -> None:
    """Levels of 0 and 8 dB in turn; half a hop later the level is 4 dB throughout."""
    database = make_database(flat([0.0, 8.0] * 10))
    unit = Unit(5, 6, 0, shift_samples=512)
    assert with_gain_curves((unit,), flat([1.0] * 6), database, limit_db=12.0) == (unit,)
    [found] = with_gain_curves((unit,), flat([2.0, -2.0] * 3), database, limit_db=12.0)
    np.testing.assert_allclose(found.gain_curve_db, [2, -2] * 3, atol=0.02)
    [event] = to_playlist((found,), database).events
    assert event.gain_curve[:2] == ((512, found.gain_curve_db[0]), (1536, found.gain_curve_db[1]))


def test_a_curve_follows_what_is_played_faster() -> None:
    """An octave higher a rise of 1 dB a frame is one of 2 dB, as far as the file reaches."""
    database = make_database(flat([float(n) for n in range(14)]))
    unit = Unit(5, 6, 0, transpose_semitones=12.0)
    target = flat([float(n) for n in range(6)])
    [found] = with_gain_curves((unit,), target, database, limit_db=12.0)
    np.testing.assert_allclose(found.gain_curve_db, [2.5, 1.5, 0.5, -0.5, -1.5, -2.5], atol=0.02)
    ended = make_database(flat([float(n) for n in range(11)]))
    [found] = with_gain_curves((unit,), target, ended, limit_db=12.0)
    steps = np.diff(found.gain_curve_db)
    np.testing.assert_allclose(steps, [-1, -1, -1, 1 - (10 - 8.5), 1], atol=0.02)


def test_gain_and_curve_together_rise_by_the_limit() -> None:
    """The target's ten frames lie 4 dB above its mean, the other two 20 dB below."""
    database, target = make_database(flat([0.0] * 20)), flat([24.0] * 10 + [0.0] * 2)
    for gain_db, raised in ((-6.0, 4.0), (0.0, 4.0), (3.0, 3.0), (6.0, 0.0), (9.0, 0.0)):
        unit = Unit(3, 12, 0, gain_db=gain_db)
        [found] = with_gain_curves((unit,), target, database, limit_db=6.0)
        np.testing.assert_allclose(found.gain_curve_db, [raised] * 10 + [-6] * 2, atol=0.02)


def test_units_of_all_layers_move_as_the_target(rng: np.random.Generator) -> None:
    database = make_database(values_of(smooth(rng, 60)), values_of(smooth(rng, 60)))
    target = values_of(smooth(rng, 40))
    chosen = Matcher(database, selection=SelectionConfig(layers=2)).match(target)
    assert {unit.layer for unit in chosen.units if unit.gain_curve_db} == {0, 1}


def test_units_without_a_curve(rng: np.random.Generator) -> None:
    database = make_database(values_of(smooth(rng, 60)))
    units = (Unit(10, 8, 0), Unit(30, 8, 8, gain_db=MUTED_DB))
    target = database.values[[*range(10, 18), *range(40, 48)]]
    assert with_gain_curves(units, target, database, limit_db=12.0) == units
    config = DescriptorConfig(descriptors=("rms",))
    rms = make_database(rng.random((60, 1)).astype(np.float32), config=config)
    assert with_gain_curves(units[:1], rms.values[:8], rms, limit_db=12.0) == units[:1]


def test_settings_that_lack_their_descriptors_are_refused() -> None:
    mfcc = make_database(np.zeros((9, CONFIG.n_columns), np.float32))
    config = DescriptorConfig(descriptors=("rms",))
    rms = make_database(np.ones((9, 1), np.float32), config=config)
    for database, name, settings in (
        (mfcc, "transpose_semitones=3 must have f0", SelectionConfig(transpose_semitones=3.0)),
        (rms, "layers=2 must have mfcc", SelectionConfig(layers=2)),
    ):
        with pytest.raises(ConfigurationError, match=name):
            Matcher(database, selection=settings)
    with pytest.raises(ConfigurationError, match="layers=0 must be"):
        SelectionConfig(layers=0)
