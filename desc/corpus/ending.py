"""The end of the music in a recording: before a fade-out or silence.

The rule works on levels of 50 ms. The music's level at a time is the largest mean over one second
from then on. Going back from the end, the music ends where that level is within 3 dB of the one 8 s
before, so a fade-out ends it where it is about 3 dB down. What follows is left out if

- the last quarter of a second is at least 20 dB below the music,
- at least half a second follows, and half as much again as the longest pause of the 30 s before,
- at least 3 s of the recording remain.

A recording that stops in full sound, has a quiet ending or long pauses is therefore used whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from desc.audio import read_excerpt
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError

Levels = npt.NDArray[np.float64]

HOP_S = 0.05
"""Length of sound with one level, seconds."""
LAST_S = 120.0
"""Length of the end of a recording in which the music's end is looked for, seconds."""
SILENCE_DB = -120.0
"""Level of digital silence, dB relative to full scale."""
MEAN, BACK, LAST, SHORTEST, PAUSES, REMAINING = 20, 160, 5, 10, 600, 60
"""Lengths of the rule in hops: 1 s, 8 s, .25 s, .5 s, 30 s and 3 s."""
STEADY_DB, PRESENT_DB, QUIET_DB, GONE_DB, AUDIBLE_DB = 3.0, 10.0, 20.0, 30.0, 40.0
"""Below the music's level: at the end of the music; still present; quiet; faded out. Below the
loudest second: no music."""


class MusicEnd(NamedTuple):
    """End of the music.

    Attributes
    ----------
    n_hops : int
        Number of levels that belong to the music.
    reason : str
        What follows, `fade-out` or `silence`; empty if the music lasts to the end.
    """

    n_hops: int
    reason: str


def music_end(levels_db: Levels) -> MusicEnd:
    """Find the end of the music, by the rule of this module.

    Parameters
    ----------
    levels_db : ndarray of float64, (T,)
        Level of each 50 ms in dB, see `sound_levels`.
    """
    n, whole = len(levels_db), MusicEnd(len(levels_db), "")
    if n < REMAINING or levels_db.max() <= SILENCE_DB:
        return whole
    power = 10 ** (levels_db / 10)
    around = np.pad(power, (MEAN // 2, MEAN // 2 - 1), mode="edge")
    seconds_db = 10 * np.log10(sliding_window_view(around, MEAN).mean(1))
    music_db = np.maximum.accumulate(seconds_db[::-1])[::-1]
    before_db = music_db[np.maximum(np.arange(n) - BACK, 0)]
    is_music = seconds_db > seconds_db.max() - AUDIBLE_DB
    last = int(np.flatnonzero(is_music & (before_db - music_db < STEADY_DB))[-1:].sum())
    music = music_db[last]
    present = np.flatnonzero(levels_db >= music - PRESENT_DB)
    end = int(present[present <= last].max(initial=-1)) + 1
    pauses = np.diff(present[(present < end) & (present >= end - PAUSES)]) - 1
    if (
        10 * np.log10(power[-LAST:].mean()) > music - QUIET_DB
        or n - end <= max(SHORTEST, 1.5 * pauses.max(initial=0))
        or end < REMAINING
    ):
        return whole
    gone = int(np.flatnonzero(levels_db > music - GONE_DB)[-1]) + 1
    return MusicEnd(end, "fade-out" if gone - end > MEAN else "silence")


def sound_levels(audio: npt.NDArray[np.float32], sample_rate: int) -> Levels:
    """Return the level of each 50 ms (T,) of audio (C, S) in dB: mean square, at least −120 dB."""
    hop = max(1, round(HOP_S * sample_rate))
    frames = audio[:, : audio.shape[1] // hop * hop].reshape(len(audio), -1, hop)
    power = np.square(frames, dtype=np.float64).mean((0, 2))
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))


def level_db(audio: npt.NDArray[np.float32], sample_rate: int) -> float:
    """Return the level of audio (C, S) in dB: mean square, at least −120 dB."""
    levels_db = sound_levels(audio, sample_rate)
    return float(10 * np.log10(np.mean(10 ** (levels_db / 10)))) if len(levels_db) else SILENCE_DB


def level_before_db(path: str | Path, end_s: float, length_s: float) -> float:
    """Return the level in dB of the `length_s` seconds of a file before a time.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    start_s = max(0.0, end_s - length_s)
    return level_db(*read_excerpt(path, start_s, end_s - start_s))


def find_music_end(path: str | Path, duration_s: float) -> tuple[float, str]:
    """Return the time at which the music of a file ends, and what follows (see `MusicEnd`).

    Parameters
    ----------
    path : path
        The file; its last two minutes are read.
    duration_s : float
        Its length in seconds, which is returned if the music lasts to the end.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    start_s = max(0.0, duration_s - LAST_S)
    end = music_end(sound_levels(*read_excerpt(path, start_s, LAST_S)))
    return (start_s + end.n_hops * HOP_S if end.reason else duration_s), end.reason


def until_music_end(sequence: DescriptorSequence, path: Path) -> DescriptorSequence:
    """Return a recording's frames before a fade-out or silence at its end (see `find_music_end`).

    All frames, if its file is missing or cannot be read.
    """
    duration_s = sequence.n_samples / sequence.config.sample_rate
    try:
        end_s, reason = find_music_end(path, duration_s)
    except AudioError:
        return sequence
    return sequence.until(end_s) if reason else sequence
