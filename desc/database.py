"""`DescriptorDatabase`: all frames of a corpus as one array, each row with its place in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from desc.configuration import check
from desc.corpus import Corpus
from desc.corpus.opening import collection_digest
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import DescriptorSequence, read_only
from desc.errors import ConfigurationError
from desc.storage import DescriptorStore

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AudioReference:
    """The sound of a frame: the hop around its centre.

    Attributes
    ----------
    source : str
        The recording, relative to the database's root.
    start_sample : int
        centre − hop_length // 2, at the configuration's sample rate; negative for the first
        frame. Samples outside the file are zeros.
    n_samples : int
        hop_length.
    """

    source: str
    start_sample: int
    n_samples: int


@dataclass(frozen=True)
class DatabaseFile:
    """A recording of the database, as it sounds when played at a speed.

    Attributes
    ----------
    source : str
        The recording, relative to the database's root.
    digest : str
        Of its content.
    n_frames, n_samples : int
        As they are at that speed.
    speed : float
        1: as it is; 2: an octave higher, in half the time.
    """

    source: str
    digest: str
    n_frames: int
    n_samples: int
    speed: float = 1.0


@dataclass(frozen=True, eq=False)
class DescriptorDatabase:
    """All frames of a corpus.

    Attributes
    ----------
    values : ndarray of float32, (N, D)
        One row per frame, the files one behind the other; read-only, memory-mapped.
    file_index : ndarray of int32, (N,)
        Position in `files` of each row's recording.
    centre_samples : ndarray of int64, (N,)
        Sample at the centre of each row's frame, in its recording; of a recording that is played
        at another speed, the sample of the recording that is heard then.
    files : tuple of DatabaseFile
        The recordings in the order of their rows, each once for each speed.
    config : DescriptorConfig
        What the columns mean.
    root : Path
        The folder that sources are relative to.
    digest : str
        32 hex digits, those of the corpus it was made from.
    """

    values: Values
    file_index: npt.NDArray[np.int32]
    centre_samples: npt.NDArray[np.int64]
    files: tuple[DatabaseFile, ...]
    config: DescriptorConfig
    root: Path
    digest: str

    @classmethod
    def from_corpus(cls, corpus: Corpus, store: DescriptorStore) -> DescriptorDatabase:
        """Open the database of a corpus; its packed view is written where it does not exist.

        Recordings at other speeds (`desc.with_variants`) follow the recordings themselves.

        Raises
        ------
        StorageError
            If the cache cannot be written.
        """
        sequences = (*corpus.sequences, *corpus.variants)
        return cls._of(store.packed(sequences), sequences, corpus.root)

    @classmethod
    def from_sequences(
        cls, sequences: Sequence[DescriptorSequence], root: str | Path
    ) -> DescriptorDatabase:
        """Make a database of sequences, in memory.

        Raises
        ------
        ConfigurationError
            If there are none, or their configurations differ.
        """
        check(bool(sequences), "sequences", list(sequences), "hold at least one")
        for sequence in sequences:
            if sequence.config != sequences[0].config:
                raise ConfigurationError(
                    f"{sequence.source}: its descriptors have other settings than those of "
                    f"{sequences[0].source}"
                )
        values = np.concatenate([sequence.values for sequence in sequences])
        return cls._of(values, sequences, Path(root))

    @classmethod
    def _of(
        cls, values: Values, sequences: Sequence[DescriptorSequence], root: Path
    ) -> DescriptorDatabase:
        config = sequences[0].config
        n_frames = [len(sequence) for sequence in sequences]
        file_index = np.repeat(np.arange(len(sequences), dtype=np.int32), n_frames)
        starts = np.cumsum(n_frames) - n_frames
        frames = np.arange(len(values), dtype=np.int64) - np.repeat(starts, n_frames)
        files = _files(sequences)
        speeds = np.repeat([file.speed for file in files], n_frames)
        centre_samples = np.rint(frames * config.hop_length * speeds).astype(np.int64)
        for array in (file_index, centre_samples):
            array.flags.writeable = False
        digest = collection_digest((s.digest, s.source) for s in sequences)
        return cls(read_only(values), file_index, centre_samples, files, config, root, digest)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def static(self) -> Values:
        """(N, F) the columns that are no deltas; a view where they lie side by side."""
        columns = self.config.static_columns
        if len(columns) == columns[-1] - columns[0] + 1:
            return self.values[:, columns[0] : columns[-1] + 1]
        return self.values[:, columns]

    @property
    def speeds(self) -> list[float]:
        """The speeds at which recordings are played, ascending."""
        return sorted({file.speed for file in self.files})

    def reference(self, row: int) -> AudioReference:
        """Return the sound of a row."""
        hop = self.config.hop_length
        start = int(self.centre_samples[row]) - hop // 2
        return AudioReference(self.files[self.file_index[row]].source, start, hop)

    def rows_of(self, digest: str) -> npt.NDArray[np.bool_]:
        """(N,) whether each row is of a recording with this content."""
        has_content = np.array([file.digest == digest for file in self.files])
        return np.repeat(has_content, [file.n_frames for file in self.files])


def _files(sequences: Sequence[DescriptorSequence]) -> tuple[DatabaseFile, ...]:
    """Return the file of each sequence; those at other speeds are called by their recordings."""
    recordings = {s.digest: s.source for s in reversed(sequences)}
    files = []
    for s in sequences:
        content, speed = variant_of(s.digest)
        source = s.source if speed == 1 else recordings[content]
        files.append(DatabaseFile(source, content, len(s), s.n_samples, speed))
    return tuple(files)
