"""`Engine`: a stream in a thread of its own, beside an audio thread that never waits for it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from desc.audio import Audio
from desc.live.stream import Stream

logger = logging.getLogger(__name__)

RING_SAMPLES = 1 << 16
"""Samples of the result that are kept for the audio thread."""
SHORT_DELAY = 1024
"""Least delay of blocks of 512 samples and more; shorter ones wait two blocks."""
END_S = 5.0
"""Time that the stream has for its last block."""
LATE_S = 1.0
"""Sound that may wait for the stream; what is older is not heard."""
FADE_SAMPLES = 64
"""Length of the fade into and out of an underrun."""
SLOW = 0.05
"""Share of a new value in the figures that are shown."""


@dataclass
class Figures:
    """Load, levels and faults of a stream that plays.

    Attributes
    ----------
    load : float
        Time that the stream takes, as a share of the time of its sound.
    heard_db, played_db : float
        Levels of what is heard and played, dB.
    underruns : int
        Blocks that were not ready in time, and were silent.
    skipped_s : float
        Sound that was not heard, because the stream was too late.
    """

    load: float = 0.0
    heard_db: float = -math.inf
    played_db: float = -math.inf
    underruns: int = 0
    skipped_s: float = 0.0

    def count(self, seconds: float, taken: float, heard: Audio | None, played: Audio) -> None:
        """Take a block: its length, the time it took, and its two sounds."""
        self.load += SLOW * (taken / seconds - self.load)
        self.heard_db, self.played_db = level_db(heard), level_db(played)


def delay_of(block_size: int) -> int:
    """Return the number of samples by which our block for a block of the player's comes later."""
    return max(block_size, min(2 * block_size, SHORT_DELAY))


def level_db(sound: Audio | None) -> float:
    """Return the root mean square of a sound in dB, -inf for silence or none."""
    if sound is None or not sound.size:
        return -math.inf
    power = float(np.vdot(sound, sound)) / sound.size
    return 10 * math.log10(power) if power > 0 else -math.inf


class Engine:
    """Runs a stream in a thread; use it in a `with` statement.

    `exchange` is called by the audio thread. It puts the sound heard into a queue and takes ours
    from a ring. If that is not ready, it returns silence, after a fade of 1.5 ms, and counts an
    underrun; what comes too late is left out, so that the delay stays the same.

    Parameters
    ----------
    stream : Stream
        The stream.
    block_size : int
        Expected samples in a block. The stream has the time of a block to make it, at 512 samples
        and less that of two.
    keep : callable, optional
        Called with each block (n, C) that the stream makes, in its thread.

    Attributes
    ----------
    figures : Figures
        Load, levels, underruns.
    failure : BaseException or None
        The error that ended the stream; silence follows.
    exchanged_at : float
        Time of the last exchange, of `time.monotonic`.
    """

    def __init__(
        self, stream: Stream, block_size: int, keep: Callable[[Audio], None] | None = None
    ) -> None:
        self.stream, self.figures, self._keep = stream, Figures(), keep
        self.failure: BaseException | None = None
        self.exchanged_at = time.monotonic()
        self._delay = delay_of(block_size)
        self._ring = np.zeros((RING_SAMPLES, stream.n_channels), np.float32)
        self._written, self._position = self._delay, 0
        self._queue: deque[tuple[Audio | None, int]] = deque()
        self._n_waiting = self._n_left_out = 0
        self._filled, self._is_ended = threading.Condition(), False
        self._last = np.zeros(stream.n_channels, np.float32)
        self._was_silent = False
        self._thread = threading.Thread(target=self._work, name="desc live", daemon=True)

    def __enter__(self) -> Engine:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._filled:
            self._is_ended = True
            self._filled.notify()
        ends = time.monotonic() + END_S
        while self._thread.is_alive() and (left := ends - time.monotonic()) > 0:
            with suppress(KeyboardInterrupt):  # the stream is in use until its block is made
                self._thread.join(left)
        if self._thread.is_alive():
            self.failure = self.failure or TimeoutError(f"a block takes longer than {END_S:g} s")

    def exchange(self, heard: Audio | None, n_samples: int) -> Audio:
        """Give a block that was heard; return as much of ours (n_samples, C), without waiting.

        Parameters
        ----------
        heard : ndarray of float32, (n_samples, c), or None
            It must not be changed afterwards.
        n_samples : int
            Length. Where blocks become longer, so does the delay.
        """
        self.exchanged_at = time.monotonic()
        if self.failure is None:
            self._put(heard, n_samples)
        first, self._position = self._position, self._position + n_samples
        n = min(FADE_SAMPLES, n_samples)
        is_ready = self._position <= self._written and self.failure is None
        if is_ready:
            block = self._ring[np.arange(first, self._position) % RING_SAMPLES]
            if self._was_silent:
                block[:n] *= np.linspace(0, 1, n, dtype=np.float32)[:, None]
        else:
            self.figures.underruns += 1
            block = np.zeros((n_samples, self._ring.shape[1]), np.float32)
            block[:n] = self._last * np.linspace(1, 0, n, dtype=np.float32)[:, None]
        self._was_silent = not is_ready
        self._last = block[-1].copy()
        return block

    def _put(self, heard: Audio | None, n_samples: int) -> None:
        """Let a block wait for the stream; leave out those that have waited too long."""
        most = n_samples + LATE_S * self.stream.sample_rate
        with self._filled:
            self._queue.append((heard, n_samples))
            self._n_waiting += n_samples
            while self._n_waiting > most:
                n_oldest = self._queue.popleft()[1]
                self._n_waiting -= n_oldest
                self._n_left_out += n_oldest
            self._filled.notify()

    def _work(self) -> None:
        while True:
            with self._filled:
                self._filled.wait_for(lambda: self._queue or self._is_ended)
                if self._is_ended:
                    return
                heard, n_samples = self._queue.popleft()
                self._n_waiting -= n_samples
                left_out, self._n_left_out = self._n_left_out, 0
            try:
                if left_out:
                    self._skip(left_out)
                self._process(heard, n_samples)
            except Exception as error:
                self.failure = error
                logger.error("the stream has ended: %s", error)
                return

    def _skip(self, left_out: int) -> None:
        """Say that samples were left out, which are silent."""
        seconds = left_out / self.stream.sample_rate
        self.figures.skipped_s += seconds
        logger.warning("overload: %.1f s were not heard and are silent", seconds)
        n = min(left_out, RING_SAMPLES)
        self._written += left_out - n
        self._write(np.zeros((n, self._ring.shape[1]), np.float32))

    def _process(self, heard: Audio | None, n_samples: int) -> None:
        longer = max(0, delay_of(n_samples) - self._delay)
        self._write(np.zeros((longer, self._ring.shape[1]), np.float32))
        self._delay += longer
        started = time.perf_counter()
        played = self.stream.process(heard, n_samples)
        taken = time.perf_counter() - started
        self._write(played)
        if self._keep is not None:
            self._keep(played)
        self.figures.count(n_samples / self.stream.sample_rate, taken, heard, played)

    def _write(self, block: Audio) -> None:
        end, kept = self._written + len(block), block[-RING_SAMPLES:]
        self._ring[np.arange(end - len(kept), end) % RING_SAMPLES] = kept
        self._written = end


def play_through(
    stream: Stream, blocks: Iterable[Audio | None], figures: Figures, n_samples: int
) -> Iterator[Audio]:
    """Yield our sound for blocks of the player's, as fast as it can be made.

    A block that is None has `n_samples`, and nothing to hear.
    """
    for block in blocks:
        started = time.perf_counter()
        played = stream.process(block, n_samples)
        taken = time.perf_counter() - started
        figures.count(len(played) / stream.sample_rate, taken, block, played)
        yield played
