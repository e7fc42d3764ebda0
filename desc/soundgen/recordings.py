"""Recordings for training: mono, at one sample rate, with one gain."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from desc.audio import Audio, content_digest, read_mono_blocks
from desc.corpus.discovery import Paths, find_files, label
from desc.corpus.patterns import Patterns
from desc.errors import AudioError, CorpusError
from desc.progress import report

PEAK = 0.95  # of the loudest recording after the gain: MelGAN's output is within ±1
SHORTEST_S = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class SoundRecordings:
    """Recordings in memory, all multiplied by the same gain.

    One gain for the folder keeps the level differences between recordings, and gives vocoder and
    generator the same levels. Generated samples are divided by it.

    Attributes
    ----------
    sounds : tuple of ndarray of float32, (S,)
        Four bytes per sample: an hour at 44.1 kHz takes 635 MB.
    sources : tuple of str
        Paths relative to the folder.
    digests : tuple of str
        Digests of the files' contents.
    sample_rate : int
        Hz.
    gain : float
        0.95 / the largest absolute sample of the folder.
    """

    sounds: tuple[Audio, ...]
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    sample_rate: int
    gain: float

    def __repr__(self) -> str:
        n, s = len(self.sounds), self.duration_s
        return f"SoundRecordings({n} recordings, {s:.1f} s at {self.sample_rate} Hz)"

    @property
    def files(self) -> dict[str, str]:
        """Content digest → source."""
        return dict(zip(self.digests, self.sources, strict=True))

    @property
    def duration_s(self) -> float:
        """Total length, seconds."""
        return sum(map(len, self.sounds)) / self.sample_rate

    def split(self, share: float) -> tuple[list[Audio], list[Audio]]:
        """Return training and validation parts: the last share of each recording is held out."""
        places = [len(s) - round(share * len(s)) for s in self.sounds]
        learned = [s[:p] for s, p in zip(self.sounds, places, strict=True)]
        held_out = [s[p:] for s, p in zip(self.sounds, places, strict=True) if p < len(s)]
        return learned, held_out or learned


def open_recordings(
    path: Paths, sample_rate: int, *, include: Patterns = (), exclude: Patterns = ()
) -> SoundRecordings:
    """Read all recordings of a folder; unusable ones are skipped with a warning.

    Parameters
    ----------
    path : path or sequence of path
        A folder or a file, or several.
    sample_rate : int
        Rate to resample to, Hz.
    include, exclude : patterns
        See `desc.corpus.discovery.find_files`.

    Raises
    ------
    CorpusError
        If no recording can be used; the message says why.
    """
    files, passed_over = find_files(path, include, exclude)
    found: list[tuple[Audio, str, str]] = []
    reasons = [f"{s.source}: {s.reason}" for s in passed_over if not s.ignored]
    for index, (file, source) in enumerate(files):
        try:
            sound = np.concatenate(list(read_mono_blocks(file, sample_rate)))
            if len(sound) < SHORTEST_S * sample_rate:
                raise AudioError(f"{source}: shorter than {SHORTEST_S} s")
            if not sound.any():
                raise AudioError(f"{source}: silent")
            found.append((sound, source, content_digest(file)))
        except AudioError as error:
            reasons.append(str(error))
        report("read", index + 1, len(files))
    if not found:
        listed = "; ".join(reasons[:3]) or "it contains no audio files"
        raise CorpusError(f"{label(path)}: no usable recording: {listed}")
    for reason in reasons:
        logger.warning("skipped: %s", reason)
    gain = PEAK / max(float(np.abs(sound).max()) for sound, _, _ in found)
    return SoundRecordings(
        sounds=tuple(sound * np.float32(gain) for sound, _, _ in found),
        sources=tuple(source for _, source, _ in found),
        digests=tuple(digest for _, _, digest in found),
        sample_rate=sample_rate,
        gain=gain,
    )


class Crops:
    """Random crops of recordings; every position is equally likely.

    The crops of step n depend on (seed, attempt, n) alone. No two steps or attempts share random
    numbers, a resumed run needs no stored state, and a run that restarts from an earlier step
    draws other crops.

    Parameters
    ----------
    sounds : sequence of ndarray, (…, T)
        The last axis is time.
    length : int
        Length of a crop; shorter recordings are padded at the end.
    batch_size : int
    seed : int
    padding : float
        Value of the padding.
    """

    def __init__(
        self,
        sounds: Sequence[Audio],
        length: int,
        batch_size: int,
        *,
        seed: int,
        padding: float = 0.0,
    ) -> None:
        self.sounds, self.length, self.batch_size = sounds, length, batch_size
        self._seed, self._padding = seed, padding
        self._ends = np.cumsum([max(1, s.shape[-1] - length + 1) for s in sounds])

    @property
    def steps_per_pass(self) -> int:
        """Steps whose crops add up to the length of the recordings."""
        total = sum(s.shape[-1] for s in self.sounds)
        return max(1, round(float(total) / (self.length * self.batch_size)))

    def places(self, step: int, attempt: int = 0) -> list[tuple[int, int]]:
        """Return (recording, first sample) of each crop of a step."""
        rng = np.random.default_rng([self._seed, 0, attempt, step])
        flat = rng.integers(0, self._ends[-1], self.batch_size)
        which = np.searchsorted(self._ends, flat, side="right")
        before = np.concatenate([[0], self._ends])[which]
        return [(int(w), int(f - b)) for w, f, b in zip(which, flat, before, strict=True)]

    def batch(self, step: int, attempt: int = 0) -> Audio:
        """Return the crops of a step, (B, …, length)."""
        return np.stack([self._crop(*place) for place in self.places(step, attempt)])

    def _crop(self, which: int, start: int) -> Audio:
        crop = self.sounds[which][..., start : start + self.length]
        missing = self.length - crop.shape[-1]
        if missing:
            widths = [(0, 0)] * (crop.ndim - 1) + [(0, missing)]
            crop = np.pad(crop, widths, constant_values=self._padding)
        return crop


def even_clips(sounds: Sequence[Audio], n: int, length: int) -> Audio:
    """Return n evenly spaced clips, (n, length); silent ones are avoided where possible.

    Parameters
    ----------
    sounds : sequence of ndarray, (S,)
    n, length : int
        Number of clips and samples of each; recordings that are too short are padded.
    """
    whole = np.concatenate(sounds)
    if len(whole) < length:
        whole = np.pad(whole, (0, length - len(whole)))
    quiet = 1e-2 * float(np.sqrt(np.mean(whole**2)))
    starts = np.linspace(0, len(whole) - length, 4 * n).astype(int)
    level = [float(np.sqrt(np.mean(whole[s : s + length] ** 2))) for s in starts]
    sounding = [s for s, rms in zip(starts, level, strict=True) if rms >= quiet] or list(starts)
    chosen = np.linspace(0, len(sounding) - 1, n).round().astype(int)
    return np.stack([whole[sounding[i] : sounding[i] + length] for i in chosen])
