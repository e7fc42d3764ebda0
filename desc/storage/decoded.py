"""`DecodedAudio`: random access to compressed recordings and to those of another rate."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from desc import audio
from desc.audio import AudioInfo
from desc.errors import StorageError
from desc.storage.arrays import StoredArray
from desc.storage.folder import ArrayFolder

BLOCK_SAMPLES = 1 << 16
"""Samples of a file in the cache, 1.5 s at 44.1 kHz: the least that is kept of a recording."""
WHOLE_BYTES = 1 << 27
"""Recordings whose decoded samples take up to so much (6 min of stereo at 44.1 kHz) are kept whole,
so that another result needs no decoding. Of longer ones only the blocks in use are kept."""
COMPRESSION = 20
"""Bytes of decoded samples per byte of a recording whose header gives no length, roughly."""
HELD_BLOCKS = 2
"""Blocks in memory: the end of a unit and its start."""

Piece = tuple[int, int]
"""First sample and number of samples."""


class DecodedAudio:
    """Reads a recording at random places; what is read was decoded into the cache before.

    The recording is decoded block by block by the decoder and the resampler of extraction. A block
    that is missing or damaged is decoded again.

    Parameters
    ----------
    info : AudioInfo
        Header of the recording.
    digest, sample_rate, pieces
        As for `DescriptorStore.open_audio`.
    folder : ArrayFolder
        Keeps the blocks.

    Attributes
    ----------
    n_channels : int
        Channels of the recording.
    n_samples : int
        Its length where a piece reaches its end, else a number larger than any length.

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """

    def __init__(
        self,
        info: AudioInfo,
        digest: str,
        sample_rate: int,
        pieces: Iterable[Piece],
        folder: ArrayFolder,
    ) -> None:
        path = info.path
        n_samples = audio.resampled_length(info.n_samples, info.sample_rate, sample_rate)
        n_bytes = 4 * n_samples * info.n_channels or COMPRESSION * path.stat().st_size
        self.n_channels = info.n_channels
        self._path, self._sample_rate, self._folder = path, sample_rate, folder
        self._name = f"{digest}-{sample_rate}"
        self._is_kept_whole = n_bytes <= WHOLE_BYTES
        self._held: OrderedDict[int, StoredArray] = OrderedDict()
        wanted = sorted({block for piece in pieces for block in _blocks_of(*piece)})
        missing = [block for block in wanted if not folder.has(self._file(block))]
        if missing:
            self._decode(missing)
        end = self._block(wanted[-1]).about["n_samples"] if wanted else None
        self.n_samples: int = sys.maxsize if end is None else end

    def read(self, start: int, n: int) -> audio.Audio:
        """Return samples [start, start + n) as (C, n) float32; zeros outside the recording."""
        result = np.zeros((n, self.n_channels), np.float32)
        for block in _blocks_of(start, n):
            offset = block * BLOCK_SAMPLES - start
            samples = self._block(block).values[max(-offset, 0) : n - offset]
            first = max(offset, 0)
            result[first : first + len(samples)] = samples
        return result.T

    def close(self) -> None:
        """Forget the blocks in memory."""
        self._held.clear()

    def _block(self, block: int) -> StoredArray:
        if block not in self._held:
            stored = self._read(block)
            if stored is None:
                self._decode([block])
                stored = self._read(block)
            if stored is None:
                path = self._folder.path(self._file(block))
                raise StorageError(f"{path}: cannot be read back; is the disk damaged?")
            self._held[block] = stored
            while len(self._held) > HELD_BLOCKS:
                self._held.popitem(last=False)
        self._held.move_to_end(block)
        return self._held[block]

    def _read(self, block: int) -> StoredArray | None:
        stored = self._folder.read(self._file(block))
        return stored if stored and stored.about.get("name") == self._file(block) else None

    def _decode(self, wanted: list[int]) -> None:
        """Decode the recording as far as needed; keep the blocks in question."""
        left, n_samples = set(wanted), 0
        for number, samples in enumerate(
            audio.read_blocks(self._path, self._sample_rate, BLOCK_SAMPLES)
        ):
            n_samples += samples.shape[1]
            if number in left or (self._is_kept_whole and not self._folder.has(self._file(number))):
                is_last = samples.shape[1] < BLOCK_SAMPLES
                self._keep(number, samples.T, n_samples if is_last else None)
            left.discard(number)
            if not left and not self._is_kept_whole:
                return
        for number in left:  # beyond the end
            self._keep(number, np.zeros((0, self.n_channels), np.float32), n_samples)

    def _keep(self, block: int, samples: audio.Audio, n_samples: int | None) -> None:
        name, shape = self._file(block), (len(samples), self.n_channels)
        self._folder.write(name, [samples], shape, {"name": name, "n_samples": n_samples})

    def _file(self, block: int) -> str:
        return f"{self._name}-{block}.npy"


def _blocks_of(start: int, n: int) -> range:
    """Return the numbers of the blocks that hold samples [start, start + n)."""
    return range(max(start, 0) // BLOCK_SAMPLES, -(-max(start + n, 0) // BLOCK_SAMPLES))
