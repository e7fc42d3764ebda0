"""`AudioClip`: sound in memory, which a notebook plays and `save` writes to a file."""

from __future__ import annotations

import base64
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from desc.audio.encoding import encode_ogg, playable
from desc.audio.files import Audio
from desc.audio.writer import write_scaled
from desc.configuration import check, check_integer

logger = logging.getLogger(__name__)

PLAYER_S = 60.0
"""Longest excerpt that a notebook embeds, in seconds."""
_PLAYER_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class AudioClip:
    """Sound in memory.

    Attributes
    ----------
    samples : ndarray of float32, (S, C)
        Full scale is 1; louder samples are kept as they are. (S,) is taken as one channel.
    sample_rate : int
        In Hz.
    """

    samples: Audio
    sample_rate: int

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples, np.float32)
        samples = samples[:, None] if samples.ndim == 1 else samples
        check(
            samples.ndim == 2 and samples.size > 0,
            "samples.shape",
            np.shape(self.samples),
            "be (S, C), not empty",
        )
        check_integer("sample_rate", self.sample_rate, 1)
        object.__setattr__(self, "samples", samples)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def save(self, path: str | Path, subtype: str = "PCM_24") -> None:
        """Write the clip to a file, which appears when it is complete.

        Parameters
        ----------
        path : path
            The suffix decides the container: .wav, .flac, .ogg …
        subtype : str
            PCM_16, PCM_24, PCM_32, FLOAT, or another that libsndfile offers for the container.
            Where samples exceed full scale, the whole clip is turned down to fit, except in FLOAT.

        Raises
        ------
        AudioError
            If the container does not take the subtype, the file cannot be written, or a sample is
            not finite.
        """
        channels = self.samples.T
        _, gain = write_scaled([channels], path, self.sample_rate, len(channels), subtype)
        if gain < 1:
            logger.info("%s: turned down by %.1f dB to fit", path, -20 * math.log10(gain))

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.samples.shape))
        return f"AudioClip({shape}, {self.sample_rate} Hz, {self.duration_s:.2f} s)"

    def _repr_html_(self) -> str:
        """Return an HTML player of the first minute, encoded as Ogg Vorbis."""
        excerpt = self.samples[: round(PLAYER_S * self.sample_rate)].T
        excerpt, rate = playable(excerpt, self.sample_rate)
        peak = float(np.abs(excerpt).max())
        ogg = encode_ogg(excerpt / np.float32(max(peak, 1.0)), rate, _PLAYER_BYTES)
        data = base64.b64encode(ogg).decode()
        player = f'<audio controls src="data:audio/ogg;base64,{data}"></audio>'
        if self.duration_s <= PLAYER_S:
            return player
        return (
            f"{player}<br>The first {PLAYER_S:.0f} s of {self.duration_s:.0f} s; "
            "save(path) writes the whole clip."
        )
