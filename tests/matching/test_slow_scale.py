"""The slow scale: windows, the pulse, and what a search with them plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc.configuration import STYLES, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Matcher
from desc.matching.repetition import REACH_S
from desc.matching.slow_scale import local_pulse, moving_mean, slow_columns

CONFIG = DescriptorConfig(descriptors=("mfcc",))
RATE = CONFIG.frame_rate
BEAT = 21
"""Frames of a beat, .49 s."""
Values = npt.NDArray[np.float32]


def make_database(*files: Values) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, CONFIG, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def music_with_a_beat(rng: np.random.Generator, n: int, first: int = 0) -> Values:
    """Strokes that decay over a steady sound, as in the tracks the defaults were chosen by."""
    values = 0.3 * rng.standard_normal((n, CONFIG.n_columns)).astype(np.float32)
    since = (np.arange(n) - first) % BEAT
    values[:, 0] += 120 * 0.8**since
    return values


def test_a_moving_mean_is_shortened_at_the_ends() -> None:
    values = np.arange(6.0)
    np.testing.assert_allclose(moving_mean(values, 2), [1, 1.5, 2, 3, 3.5, 4])
    np.testing.assert_allclose(moving_mean(values[:, None], 99), np.full((6, 1), 2.5))


def test_slow_columns_are_mean_spread_and_motion() -> None:
    """A column that alternates between -1 and 1 has spread 1 and steps of 2."""
    points = np.stack([np.full(40, 3.0), np.tile([-1.0, 1.0], 20)], 1).astype(np.float32)
    mean, spread, motion = np.split(slow_columns(points, 8)[20], 3)
    np.testing.assert_allclose(mean, [3, 0], atol=0.1)
    np.testing.assert_allclose(spread, [0, 2], atol=0.01)
    np.testing.assert_allclose(motion, [0, 4], atol=1e-6)


def test_the_pulse_is_at_phase_0_at_a_beat() -> None:
    curve = np.zeros(40 * BEAT)
    curve[5::BEAT] = 3.0
    pulse = local_pulse(curve, RATE)
    inside = slice(10 * BEAT + 5, 30 * BEAT + 5, BEAT)
    assert np.abs(np.angle(pulse[inside])).max() < 0.3
    between = np.angle(pulse[inside.start + BEAT // 2 : inside.stop : BEAT])
    assert np.abs(between).min() > 2.5
    noise = local_pulse(np.random.default_rng(0).exponential(1.0, 2000), RATE)
    assert np.abs(pulse[inside]).min() > 1.5 * np.abs(noise).mean()


def test_short_curves_have_the_pulse_of_long_ones_or_none(rng: np.random.Generator) -> None:
    """However many rates are transformed at once."""
    curve = rng.exponential(1.0, 25_000)
    middle, reach = len(curve) // 2, 500
    part = local_pulse(curve[middle - reach : middle + reach], RATE)[reach]
    assert part == pytest.approx(local_pulse(curve, RATE)[middle], abs=1e-9)
    assert not local_pulse(curve[:20], RATE).any(), "half a second has no pulse"


def test_no_window_crosses_files(rng: np.random.Generator) -> None:
    one, other = (rng.standard_normal((90, CONFIG.n_columns)).astype(np.float32) for _ in range(2))
    together = Matcher(make_database(one, other))
    alone = Matcher(make_database(one), together.corpus_statistics)
    np.testing.assert_allclose(together.transitions.points[:90], alone.transitions.points)


def test_the_second_decides_where_frames_are_ambiguous(rng: np.random.Generator) -> None:
    """All files have the same few sounds; they differ in how often each of them comes."""
    sounds = 20 * rng.standard_normal((4, CONFIG.n_columns))
    shares = (0.85, 0.05, 0.05, 0.05), (0.25, 0.25, 0.25, 0.25)

    def stretch(p: tuple[float, ...], n: int) -> Values:
        drawn = sounds[rng.choice(4, n, p=p)]
        return (drawn + 0.5 * rng.standard_normal(drawn.shape)).astype(np.float32)

    database = make_database(stretch(shares[0], 600), stretch(shares[1], 600))
    asked = stretch(shares[1], 150)
    played = {
        style: Matcher(database, selection=SelectionConfig.styled(style)).match(asked).rows
        for style in ("granular", "phrases")
    }
    right = {style: float((rows >= 600).mean()) for style, rows in played.items()}
    assert right["phrases"] == 1.0
    assert right["granular"] < 0.9


def test_a_steady_beat_is_played_in_phrases_on_the_beat(rng: np.random.Generator) -> None:
    """The strokes excuse no jump, as they come all the time; granular jumps at each of them."""
    database = make_database(*(music_with_a_beat(rng, 430, 7 * i) for i in range(3)))
    asked = music_with_a_beat(rng, 215, 4)
    lengths, on_beat = {}, {}
    for style in ("granular", "phrases"):
        match = Matcher(database, selection=SelectionConfig.styled(style)).match(asked)
        lengths[style] = float(np.mean([unit.n_frames for unit in match.units]))
        strokes = np.flatnonzero(database.values[match.rows, 0] > 90)
        on_beat[style] = float(((strokes - 4) % BEAT <= 1).mean())
    assert lengths["phrases"] > 0.25 * RATE > lengths["granular"]
    assert on_beat["phrases"] == 1.0


@pytest.mark.parametrize("units", ["frame", "grain"])
def test_nothing_is_played_from_one_place_for_longer_than_allowed(
    units: str, rng: np.random.Generator
) -> None:
    """A file asked for itself would come back whole; a jump a little ahead is no way out."""
    values = np.cumsum(rng.standard_normal((500, CONFIG.n_columns)), 0).astype(np.float32)
    config = SelectionConfig(units=units, grain_ms=100, max_unit_s=1.0)
    played = Matcher(make_database(values), selection=config).match(values[100:400]).units
    lengths = np.array([unit.n_frames for unit in played])
    assert lengths.max() <= int(RATE)
    ahead = np.diff([unit.first_row - unit.onset_frame for unit in played])
    leaves = np.flatnonzero((ahead < 0) | (ahead >= REACH_S * RATE)) + 1
    assert max(part.sum() for part in np.split(lengths, leaves)) <= int(RATE)


def test_what_comes_before_a_target_decides_between_equal_sounds(rng: np.random.Generator) -> None:
    """The same sound follows two others in the corpus."""
    one, other = (40 * rng.standard_normal((80, CONFIG.n_columns)) for _ in range(2))
    sound = np.cumsum(rng.standard_normal((12, CONFIG.n_columns)), 0)
    past = [np.concatenate([start, sound]).astype(np.float32) for start in (one, other)]
    matcher = Matcher(make_database(*past))
    for file, values in enumerate(past):
        sequence = DescriptorSequence(values, CONFIG, "song.wav", "elsewhere", 92 * 1024)
        of_slice = matcher.match(sequence[80:])
        of_array = matcher.match(values[80:], before=values[:80])
        assert of_slice.units == of_array.units
        assert (matcher.database.file_index[of_slice.rows] == file).all()
    assert matcher.match(past[0][80:]).units == matcher.match(past[1][80:]).units


def test_a_style_is_a_table_of_defaults() -> None:
    assert SelectionConfig.styled("phrases") == SelectionConfig()
    granular = SelectionConfig.styled("granular", continuity=1.0)
    assert (granular.continuity, granular.slow_weight, granular.max_unit_s) == (1.0, 0.0, None)
    lengths = [SelectionConfig.styled(style).continuity for style in STYLES]
    assert lengths == sorted(lengths), "from the shortest units to the longest"
    with pytest.raises(ConfigurationError, match="style='drone' must be one of granular, phrases"):
        SelectionConfig.styled("drone")
