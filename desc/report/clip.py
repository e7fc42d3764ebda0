"""The sound of a report: the end of the recording, then the continuation, at most a minute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from desc.audio import AudioReader, decode, resample
from desc.concatenation import Playlist
from desc.concatenation.event import RECORDING
from desc.report.data import BEFORE_S

Audio = npt.NDArray[np.float32]

MAX_S = 60.0
_HIGHEST_RATE = 48000
_EDGE_S = 0.005  # fades where the recording's end and the continuation meet


@dataclass(frozen=True, eq=False)
class Clip:
    """What a report lets one hear; its time 0 is where the continuation begins.

    Attributes
    ----------
    audio : ndarray of float32, (C, S)
        One or two channels.
    sample_rate : int
        In Hz.
    start_s : float
        Time of the first sample: 0, or negative by the recording's end.
    total_s : float
        Length of the whole continuation; the clip may end before.
    peak : float
        Largest absolute sample of the clip before it was fitted into full scale.
    """

    audio: Audio
    sample_rate: int
    start_s: float
    total_s: float
    peak: float

    @property
    def end_s(self) -> float:
        """Time after the last sample."""
        return self.start_s + int(self.audio.shape[1]) / self.sample_rate


def cut_clip(wav: Path, playlist: Playlist, recording: bytes) -> Clip:
    """Return the clip of a result.

    Parameters
    ----------
    wav : Path
        The rendered result.
    playlist : Playlist
        What was rendered: says how much of the recording the WAV begins with.
    recording : bytes
        The recording's end, encoded, used where the WAV begins with the continuation.

    Raises
    ------
    AudioError
        If the WAV cannot be read.
    """
    before_s = sum(e.n_samples for e in playlist.events if e.root == RECORDING) / (
        playlist.sample_rate
    )
    with AudioReader(wav) as reader:
        rate = reader.sample_rate
        total_s = reader.n_samples / rate - before_s
        end = _end(recording, rate) if not before_s else None
        heard_s = BEFORE_S if before_s else 0.0 if end is None else end.shape[1] / rate
        first = max(0, round((before_s - heard_s) * rate)) if before_s else 0
        wanted_s = MAX_S - (min(before_s, BEFORE_S) if before_s else heard_s)
        last = min(reader.n_samples, round((before_s + wanted_s) * rate))
        audio = _two_channels(reader.read(first, last - first))
    start_s = first / rate - before_s
    if end is not None:
        audio = _joined(end, audio, max(1, round(_EDGE_S * rate)))
        start_s = -end.shape[1] / rate
    playable = min(rate, _HIGHEST_RATE)
    audio = resample(audio, rate, playable)
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > 1:
        audio = audio / np.float32(peak)
    return Clip(np.ascontiguousarray(audio), playable, start_s, total_s, peak)


def _end(recording: bytes, rate: int) -> Audio | None:
    if not recording:
        return None
    audio, own_rate = decode(recording)
    return resample(audio, own_rate, rate)


def _two_channels(audio: Audio) -> Audio:
    return audio if len(audio) <= 2 else audio.mean(0, keepdims=True)


def _joined(before: Audio, after: Audio, n_edge: int) -> Audio:
    """Return one sound behind the other, with short fades where they meet."""
    n_channels = max(len(before), len(after))
    parts = [np.repeat(a, n_channels, 0) if len(a) < n_channels else a for a in (before, after)]
    rise = np.linspace(0, 1, n_edge, dtype=np.float32)
    joined = np.concatenate(parts, axis=1)
    n = before.shape[1]
    joined[:, max(0, n - n_edge) : n] *= rise[::-1][-min(n, n_edge) :]
    n_after = min(n_edge, joined.shape[1] - n)
    joined[:, n : n + n_after] *= rise[:n_after]
    return joined
