"""`Listener`: descriptors of a sound while it arrives."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.deltas import append_deltas
from desc.descriptors.extraction import Array, batches, frames_per_batch
from desc.descriptors.features import FEATURES, needs_exact_power
from desc.descriptors.frames import Frames
from desc.descriptors.sequence import DescriptorSequence

MOST_BLOCKS = 64
"""Blocks that are kept apart: joining them copies all samples kept."""


class Listener:
    """Descriptors of a sound that arrives in blocks, in constant memory.

    `top_db` is relative to the loudest band so far.

    Parameters
    ----------
    config : DescriptorConfig
        Settings of extraction.
    n_frames : int
        Frames at the end of the sound that `heard` returns, at least.

    Attributes
    ----------
    n_samples : int
        Samples so far.
    """

    def __init__(self, config: DescriptorConfig, n_frames: int) -> None:
        self.config, self.n_samples = config, 0
        self._n_kept = n_frames
        self._first_frame = 0  # of the samples kept, always the first of a batch
        self._samples = np.empty(0, np.float32)
        self._blocks: list[Array] = []
        self._tail = self._samples
        self._past_db = self._loudest_db = -np.inf
        self._needs_loudest = "mfcc" in config.descriptors and config.top_db is not None
        self._recent: list[deque[Array]] = [
            deque(maxlen=FEATURES[name].recent_frames) for name in config.descriptors
        ]
        self._scratch = np.empty((1, config.n_fft), np.float32)

    def hear(self, samples: Array) -> None:
        """Take the next samples (n,), mono, at the configuration's rate."""
        self._blocks.append(np.array(samples, np.float32))
        self.n_samples += len(samples)
        most = self.config.n_fft + self.config.hop_length
        self._tail = np.concatenate([self._tail, self._blocks[-1]])[-most:]
        if len(self._blocks) > MOST_BLOCKS:
            self._signal()

    def newest(self) -> Array | None:
        """Return the last complete frame (D,), its deltas 0; None before the first.

        It equals that of `heard` to rounding; its `top_db` is relative to the frames for which this
        was called.
        """
        config, window = self.config, self._window()
        if window is None:
            return None
        whole = slice(0, config.n_fft)
        frames = Frames(window, whole, 1, config, self._scratch, needs_exact_power(config))
        if self._needs_loudest:
            self._loudest_db = max(self._loudest_db, float(frames.log_mel.max()))
        static = []
        for name, recent in zip(config.descriptors, self._recent, strict=True):
            feature = FEATURES[name]
            recent.append(feature.analyse(frames))
            static.append(feature.finish(list(recent), config, self._loudest_db)[-1:])
        return append_deltas(np.concatenate(static, axis=1), config)[0]

    def level_db(self) -> float:
        """Return the root mean square of the last complete frame's window in dB, -inf for silence.

        Before the first frame it is -inf, too.
        """
        window = self._window()
        power = 0.0 if window is None else float(window @ window) / len(window)
        return 10 * math.log10(power) if power > 0 else -math.inf

    def heard(self) -> DescriptorSequence:
        """Return the last frames as `extract` gives them for the sound so far, bit for bit.

        Without the first frames of a long sound; the deltas of the first frames that are left are
        those of a sound that begins there.
        """
        config, signal = self.config, self._signal()
        families = [FEATURES[name] for name in config.descriptors]
        analyses: list[list[Array]] = [[] for _ in families]
        loudest_db = self._past_db
        if self.n_samples:
            for frames in batches([signal], config, self._first_frame):
                if self._needs_loudest:
                    loudest_db = max(loudest_db, float(frames.log_mel.max()))
                for feature, results in zip(families, analyses, strict=True):
                    results.append(feature.analyse(frames))
        values = np.zeros((0, config.n_columns), np.float32)
        if self.n_samples:
            static = [
                feature.finish(results, config, loudest_db)
                for feature, results in zip(families, analyses, strict=True)
            ]
            values = append_deltas(np.concatenate(static, axis=1), config)
        return DescriptorSequence(
            values, config, "live", "", self.n_samples, first_frame=self._first_frame
        )

    @property
    def _first_sample(self) -> int:
        half = self.config.n_fft // 2
        return self._first_frame * self.config.hop_length - half if self._first_frame else 0

    def _window(self) -> Array | None:
        """Return the samples (n_fft,) of the last complete frame; None before the first."""
        config, complete = self.config, self.config.complete_frames(self.n_samples)
        if complete.stop <= complete.start:
            return None
        end = (complete.stop - 1) * config.hop_length + config.n_fft // 2 - self.n_samples
        return self._tail[len(self._tail) + end - config.n_fft : len(self._tail) + end]

    def _signal(self) -> Array:
        """Return the samples kept."""
        if self._blocks:
            self._samples = np.concatenate([self._samples, *self._blocks])
            self._blocks.clear()
            self._forget()
        return self._samples

    def _forget(self) -> None:
        """Drop samples before the frames wanted, by whole batches; remember how loud they were."""
        config, size = self.config, frames_per_batch(self.config)
        last = config.complete_frames(self.n_samples).stop
        while last - self._first_frame >= self._n_kept + 2 * size:
            before = self._first_sample
            if self._needs_loudest:
                first = next(batches([self._samples], config, self._first_frame))
                self._past_db = max(self._past_db, float(first.log_mel.max()))
            self._first_frame += size
            self._samples = self._samples[self._first_sample - before :].copy()
