"""`DescriptorDatabase`: all frames of a corpus as one array, with the source of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from desc.configuration import check
from desc.corpus import Corpus
from desc.corpus.opening import collection_digest
from desc.dataframes import dataframe
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import DescriptorSequence, read_only
from desc.errors import ConfigurationError
from desc.storage import DescriptorStore

if TYPE_CHECKING:
    import pandas as pd

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
    """A recording of the database at a playback speed.

    Attributes
    ----------
    source : str
        The recording, relative to the database's root.
    digest : str
        Of its content.
    n_frames, n_samples : int
        Lengths at that speed.
    speed : float
        1: unchanged; 2: an octave higher, in half the time.
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
        One row per frame, file after file; read-only, memory-mapped.
    file_index : ndarray of int32, (N,)
        Position in `files` of each row's recording.
    centre_samples : ndarray of int64, (N,)
        Sample of the recording at the centre of each row's frame.
    files : tuple of DatabaseFile
        The recordings in the order of their rows, each once for each speed.
    config : DescriptorConfig
        Settings of extraction.
    root : Path
        The folder that sources are relative to.
    digest : str
        32 hex digits, those of the corpus it was made from.
    inputs : dict of str to list of str
        Options that name the recordings, see `Corpus`; empty if they are unknown.
    index_dir : Path or None
        Folder of the cache for indexes; None: the database is in memory only.
    """

    values: Values
    file_index: npt.NDArray[np.int32]
    centre_samples: npt.NDArray[np.int64]
    files: tuple[DatabaseFile, ...]
    config: DescriptorConfig
    root: Path
    digest: str
    inputs: dict[str, list[str]] = field(default_factory=dict)
    index_dir: Path | None = None

    @classmethod
    def from_corpus(
        cls, corpus: Corpus, store: DescriptorStore | None = None
    ) -> DescriptorDatabase:
        """Return the database of a corpus; write its packed view to the cache if it is missing.

        Recordings at other speeds (`desc.with_variants`) follow the recordings themselves.

        Parameters
        ----------
        corpus : Corpus
            The recordings.
        store : DescriptorStore, optional
            The cache; by default the default cache.

        Raises
        ------
        StorageError
            If the cache cannot be written.
        """
        sequences = (*corpus.sequences, *corpus.variants)
        store = store or DescriptorStore()
        database = cls._of(store.packed(sequences), sequences, corpus.root)
        return replace(database, inputs=corpus.inputs, index_dir=store.index_dir)

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
        check(bool(sequences), "sequences", list(sequences), "contain at least one")
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
        recordings = {s.digest: s.source for s in reversed(sequences)}
        files = []
        for s in sequences:  # those at other speeds are called by their recordings
            content, speed = variant_of(s.digest)
            source = s.source if speed == 1 else recordings[content]
            files.append(DatabaseFile(source, content, len(s), s.n_samples, speed))
        centre_samples = np.empty(len(values), np.int64)
        for file, stop in zip(files, np.cumsum(n_frames), strict=True):
            centres = np.arange(file.n_frames) * config.hop_length
            own = centres if file.speed == 1 else np.rint(centres * file.speed)
            centre_samples[stop - file.n_frames : stop] = own
        for array in (file_index, centre_samples):
            array.flags.writeable = False
        digest = collection_digest((s.digest, s.source) for s in sequences)
        values = read_only(values)
        return cls(values, file_index, centre_samples, tuple(files), config, root, digest)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return (
            f"DescriptorDatabase({len(self.files)} files, {len(self)} frames × "
            f"{self.config.n_columns} descriptors, {str(self.root)!r})"
        )

    def to_dataframe(self) -> pd.DataFrame:
        """Return the files as a pandas DataFrame, a row per file.

        Raises
        ------
        DescError
            If pandas is not installed.
        """
        return dataframe([asdict(file) for file in self.files])

    @property
    def static(self) -> Values:
        """(N, F) the static columns, those without deltas; a view if they are adjacent."""
        columns = self.config.static_columns
        if len(columns) == columns[-1] - columns[0] + 1:
            return self.values[:, columns[0] : columns[-1] + 1]
        return self.values[:, columns]

    @property
    def speeds(self) -> list[float]:
        """The speeds at which recordings are played, ascending."""
        return sorted({file.speed for file in self.files})

    def reference(self, row: int) -> AudioReference:
        """Return the place of a row's sound."""
        hop = self.config.hop_length
        start = int(self.centre_samples[row]) - hop // 2
        return AudioReference(self.files[self.file_index[row]].source, start, hop)

    def rows_of(self, digest: str) -> npt.NDArray[np.bool_]:
        """(N,) whether each row is of a recording with this content."""
        has_content = np.array([file.digest == digest for file in self.files])
        return np.repeat(has_content, [file.n_frames for file in self.files])
