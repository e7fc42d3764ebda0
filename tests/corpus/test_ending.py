"""The end of the music: found before fades and silence, and nowhere in music that does not fade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from desc.corpus.ending import HOP_S, find_music_end, level_before_db, music_end, sound_levels

RATE = 4000
MUSIC_S = 40.0
Sound = npt.NDArray[np.float64]


def notes(seconds: float, per_second: float, decay: float) -> Sound:
    """Return notes that die away before the next, above faint noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    step = np.floor(t * per_second)
    pitch = 200 + 37 * (7 * step % 11)
    sound = np.exp(-decay * (t - step / per_second)) * np.sin(2 * np.pi * pitch * t)
    return 0.2 * sound + 1e-4 * np.random.default_rng(0).standard_normal(len(t))


def noise(seconds: float) -> Sound:
    return 0.1 * np.random.default_rng(1).standard_normal(round(seconds * RATE))


MUSIC = {"notes": notes(MUSIC_S, 4, 6), "noise": noise(MUSIC_S)}
every_music = pytest.mark.parametrize("name", MUSIC)


def end_of(sound: Sound) -> tuple[float, str]:
    end = music_end(sound_levels(sound[None].astype(np.float32), RATE))
    return end.n_hops * HOP_S, end.reason


def faded(sound: Sound, seconds: float, *, in_db: bool) -> Sound:
    """Fade the end out to nothing: linearly, or by 60 dB in equal steps."""
    n = round(seconds * RATE)
    gain = 10 ** (-np.linspace(0, 3, n)) if in_db else np.linspace(1, 0, n)
    return np.concatenate([sound[:-n], sound[-n:] * gain])


@every_music
@pytest.mark.parametrize("in_db", [False, True])
@pytest.mark.parametrize("seconds", [3, 5, 10, 20, 30])
def test_a_fade_ends_the_music_where_it_is_a_few_db_down(
    name: str, seconds: float, in_db: bool
) -> None:
    end_s, reason = end_of(faded(MUSIC[name], seconds, in_db=in_db))
    share = (end_s - (MUSIC_S - seconds)) / seconds
    down_db = 60 * share if in_db else -20 * np.log10(1 - share)
    assert reason == "fade-out"
    assert share > 0
    assert down_db < 6.5


@every_music
@pytest.mark.parametrize("seconds", [0.7, 2, 5.5, 30])
def test_silence_ends_the_music_where_it_begins(name: str, seconds: float) -> None:
    for floor in (0.0, 1e-3):  # digital silence, and hiss 40 dB below
        silence = floor * noise(seconds)
        end_s, reason = end_of(np.concatenate([MUSIC[name], silence]))
        assert reason == "silence"
        assert end_s == pytest.approx(MUSIC_S, abs=3 * HOP_S)


def test_a_fade_before_silence_is_found() -> None:
    sound = np.concatenate([faded(MUSIC["noise"], 10, in_db=False), np.zeros(5 * RATE)])
    end_s, reason = end_of(sound)
    assert reason == "fade-out"
    assert MUSIC_S - 10 < end_s < MUSIC_S - 5


@pytest.mark.parametrize(
    "sound",
    [
        MUSIC["notes"],
        MUSIC["noise"],
        notes(MUSIC_S, 0.5, 3),  # a note every two seconds: the last pause is as long as the others
        notes(MUSIC_S, 1, 6),
        noise(MUSIC_S) * np.linspace(0.1, 1, round(MUSIC_S * RATE)),  # a crescendo
        noise(MUSIC_S) * np.repeat([1, 0.2], round(MUSIC_S * RATE) // 2),  # a quiet ending
        noise(MUSIC_S) * (1 + 0.9 * np.sin(np.arange(round(MUSIC_S * RATE)) * 2 / RATE)),
        np.concatenate([noise(MUSIC_S), np.zeros(RATE // 4)]),  # a moment of silence
        notes(3, 0.2, 2),  # one sound that dies away: too short to leave anything out
        np.zeros(30 * RATE),
        np.zeros(0),
    ],
)  # fmt: skip
def test_music_that_does_not_fade_lasts_to_the_end(sound: Sound) -> None:
    end_s, reason = end_of(sound)
    assert reason == ""
    assert end_s == pytest.approx(len(sound) / RATE, abs=HOP_S)


def test_levels_are_mean_squares(tmp_path: Path) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)
    levels = sound_levels(np.stack([sine, 0 * sine]).astype(np.float32), RATE)
    np.testing.assert_allclose(levels, 20 * np.log10(0.25), atol=0.01)
    path = tmp_path / "sine.wav"
    soundfile.write(path, np.concatenate([sine, 0.1 * sine]), RATE, subtype="FLOAT")
    assert level_before_db(path, 4.0, 2.0) == pytest.approx(-29.03, abs=0.01)
    assert level_before_db(path, 2.0, 10.0) == pytest.approx(-9.03, abs=0.01)


def test_in_a_file_only_the_last_two_minutes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    sound = np.concatenate([noise(150), np.zeros(10 * RATE)])
    soundfile.write(path, sound, RATE)
    end_s, reason = find_music_end(path, 160.0)
    assert reason == "silence"
    assert end_s == pytest.approx(150, abs=3 * HOP_S)
    soundfile.write(path, sound[: 150 * RATE], RATE)
    assert find_music_end(path, 150.0) == (150.0, "")
