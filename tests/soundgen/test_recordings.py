"""Recordings with one gain, and crops that never repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from desc.errors import CorpusError
from desc.soundgen.recordings import Crops, SoundRecordings, even_clips, open_recordings
from tests.soundgen.conftest import RATE


def test_one_gain_brings_the_loudest_recording_to_its_peak(
    folder: Path, recordings: SoundRecordings
) -> None:
    assert recordings.sources == ("long.wav", "short.flac")
    peaks = [float(np.abs(s).max()) for s in recordings.sounds]
    assert max(peaks) == pytest.approx(0.95)
    assert len(recordings.sounds[0]) == 6 * RATE
    assert recordings.duration_s == pytest.approx(8.0)
    alone = open_recordings(folder / "short.flac", RATE)
    # their levels stay apart by what they differed: the gain is the folder's, not the file's
    assert np.allclose(
        recordings.sounds[1] / recordings.gain, alone.sounds[0] / alone.gain, atol=1e-6
    )
    assert recordings.gain != pytest.approx(alone.gain, rel=0.05)


def test_what_cannot_be_read_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_recordings(folder, RATE)
    (line,) = caplog.messages
    assert "broken.wav" in line
    with pytest.raises(CorpusError, match=r"broken\.wav"):
        open_recordings(folder, RATE, include="broken.wav")


def test_the_end_of_each_recording_is_held_out(recordings: SoundRecordings) -> None:
    learned, held_out = recordings.split(0.25)
    for whole, first, last in zip(recordings.sounds, learned, held_out, strict=True):
        assert np.array_equal(np.concatenate([first, last]), whole)
        assert len(last) == len(whole) // 4
    assert [len(s) for s in recordings.split(0.0)[1]] == [6 * RATE, 2 * RATE]


def test_no_crop_is_drawn_twice_by_steps_or_attempts() -> None:
    sounds = [np.zeros(200_000, np.float32), np.zeros(400_000, np.float32)]
    places = [
        place
        for attempt in range(8)
        for step in range(50)
        for place in Crops(sounds, 1000, 8, seed=3).places(step, attempt)
    ]
    n_starts = sum(len(s) - 999 for s in sounds)
    # as many distinct places as of so many independent draws, less four standard deviations
    expected = n_starts * (1 - (1 - 1 / n_starts) ** len(places))
    assert len(set(places)) > expected - 4 * np.sqrt(len(places) - expected + 1)
    again = Crops(sounds, 1000, 8, seed=3)
    assert again.places(7) == Crops(sounds, 1000, 8, seed=3).places(7)
    assert again.places(7) != Crops(sounds, 1000, 8, seed=4).places(7)


def test_every_moment_is_as_likely_as_any_other() -> None:
    sounds = [np.zeros(n, np.float32) for n in (1_000, 10_000, 30_000)]
    crops = Crops(sounds, 100, 64, seed=0)
    places = [p for step in range(200) for p in crops.places(step)]
    share = np.bincount([which for which, _ in places]) / len(places)
    lengths = np.array([len(s) - 99 for s in sounds])
    assert share == pytest.approx(lengths / lengths.sum(), abs=0.015)
    for which, n in enumerate(lengths):
        starts = [s for w, s in places if w == which]
        assert np.mean(starts) == pytest.approx((n - 1) / 2, rel=0.1)
        assert max(starts) < n


def test_one_short_recording_fills_any_batch() -> None:
    sound = np.arange(1, 51, dtype=np.float32)
    batch = Crops([sound], 64, 16, seed=0, padding=-5.0).batch(0)
    assert batch.shape == (16, 64)
    assert np.array_equal(batch[0], np.concatenate([sound, np.full(14, -5, np.float32)]))


def test_crops_are_stretches_of_the_recording() -> None:
    mel = np.arange(300, dtype=np.float32).reshape(3, 100)
    for crop in Crops([mel], 10, 4, seed=0).batch(1):
        first = int(crop[0, 0])
        assert np.array_equal(crop, mel[:, first : first + 10])


def test_clips_avoid_silence() -> None:
    sound = np.concatenate([np.zeros(5000), np.ones(3000), np.zeros(5000)]).astype(np.float32)
    clips = even_clips([sound], 4, 500)
    assert clips.shape == (4, 500)
    assert (np.abs(clips).max(1) > 0).all()
    assert even_clips([sound[:100]], 2, 500).shape == (2, 500)
