"""`DescriptorStore`: content-addressed cache of descriptors and decoded audio."""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

import desc
from desc import audio
from desc.audio import AudioReader
from desc.configuration import check_number, to_dict
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, StorageError
from desc.files import read_json, write_json
from desc.progress import reporting
from desc.storage.arrays import StoredArray, write_array
from desc.storage.cache_files import (
    AUDIO,
    DESCRIPTORS,
    FORGOTTEN_S,
    IDLE_S,
    INDEX,
    PACKED,
    CacheSummary,
    FileCount,
    announce,
    default_limit,
    limit,
    limit_at_exit,
    list_cache,
    list_files,
    longest_use_s,
    remove,
    touch,
)
from desc.storage.decoded import DecodedAudio, Piece
from desc.storage.folder import ArrayFolder, writable
from desc.storage.manifest import Manifest, identify
from desc.storage.packed import PackedViews, about_config

logger = logging.getLogger(__name__)
Values = npt.NDArray[np.float32]

FORMAT_VERSIONS = {DESCRIPTORS: 2, AUDIO: 2, PACKED: 2, INDEX: 1}
"""Raised whenever the files change, or extraction gives other numbers for the same settings."""
MAX_OPEN = 64
"""Sequences opened from a file each; more of them are views of one packed file. A memory map
holds a file handle for as long as it lives, of which a process has about a thousand."""


def default_cache_dir() -> Path:
    """Return `$DESC_CACHE`, else the platform's cache folder for this program."""
    named = os.environ.get("DESC_CACHE", "")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("descriptor-transformer", appauthor=False))


class DescriptorStore:
    """The cache: descriptors keyed by content and settings, decoded audio, packed views.

    Several processes may share one. Files are written atomically, under names that hold everything
    their content depends on. A damaged file counts as missing. When a process that wrote to the
    cache ends, the least recently used files beyond `default_limit()` are removed.

    Parameters
    ----------
    cache_dir : path, optional
        The folder; by default `default_cache_dir()`.

    Raises
    ------
    ConfigurationError
        If `$DESC_CACHE_LIMIT_GB` is no size.
    """

    def __init__(self, cache_dir: str | Path | None = None) -> None:
        folder = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
        self.cache_dir = Path(os.path.abspath(folder))
        self.manifest = Manifest(self.cache_dir / "manifest.sqlite")
        self._failures_path = self.cache_dir / "failures.json"
        self._shards = ArrayFolder(self.cache_dir, _part(DESCRIPTORS))
        self._packed = PackedViews(self.cache_dir, _part(PACKED))
        self._audio = ArrayFolder(self.cache_dir, _part(AUDIO))
        self._limit = default_limit()

    def __repr__(self) -> str:
        return f"DescriptorStore({str(self.cache_dir)!r})"

    def digest(self, path: str | Path) -> str:
        """Return the digest of a file's content, which is read only where the file changed.

        Raises
        ------
        AudioError
            If the file cannot be read.
        """
        with reporting(None):  # one file shows no progress
            (result,) = self.identify([path])
        if isinstance(result, AudioError):
            raise result
        return result

    def identify(self, paths: Sequence[str | Path], *, jobs: int = 1) -> list[str | AudioError]:
        """Return the digest of each file, or why it cannot be read.

        Parameters
        ----------
        paths : sequence of path
            The files.
        jobs : int
            Files read at a time; -1: one per core.
        """
        return identify(paths, self.manifest, jobs)

    def failures(self) -> dict[str, str]:
        """Return the contents that this version of the decoder cannot decode, with the reason."""
        return self._remembered()["reasons"]

    def remember_failures(self, reasons: dict[str, str]) -> None:
        """Remember contents that this version of the decoder cannot decode, with the reason."""
        self._remember("reasons", reasons)

    def notes(self) -> dict[str, str]:
        """Return the contents that were odd when they were extracted, with what was odd."""
        return self._remembered()["notes"]

    def remember_notes(self, notes: dict[str, str]) -> None:
        """Remember contents that are odd, with a line about each."""
        self._remember("notes", notes)

    def _remember(self, part: str, lines: dict[str, str]) -> None:
        with suppress(StorageError):  # they are decoded again at the next run
            if lines:
                known = self._remembered()
                known[part] |= lines
                write_json(self._failures_path, {"decoder": _decoder_version(), **known})

    def _remembered(self) -> dict[str, dict[str, str]]:
        """Return both parts of the file; a damaged one is empty."""
        known: dict[str, dict[str, str]] = {"reasons": {}, "notes": {}}
        with suppress(StorageError, KeyError, TypeError, AttributeError):
            content = read_json(self._failures_path)
            is_current = content["decoder"] == _decoder_version()
            for part in ("reasons", "notes") if is_current else ("notes",):
                known[part] = {d: str(line) for d, line in content.get(part, {}).items()}
        return known

    def load(self, digest: str, config: DescriptorConfig, source: str) -> DescriptorSequence | None:
        """Return the descriptors of a content, or None if they are missing or damaged.

        Parameters
        ----------
        digest : str
            Digest of the recording's bytes.
        config : DescriptorConfig
            Settings of extraction.
        source : str
            Name of the recording in the sequence.
        """
        stored = self._shards.read(_shard_name(digest, config))
        if stored is None or not _is_shard(stored, digest, config):
            return None
        n_samples = stored.about["n_samples"]
        return DescriptorSequence(stored.values, config, source, digest, n_samples)

    def save(self, sequence: DescriptorSequence) -> None:
        """Keep the descriptors of a recording.

        Raises
        ------
        StorageError
            If the cache cannot be written.
        """
        config, values = sequence.config, sequence.values
        about = {"digest": sequence.digest, "n_samples": sequence.n_samples}
        path = self.shard_path(sequence.digest, config)
        write_array(path, [values], (len(values), config.n_columns), about | about_config(config))

    def missing(self, digests: Sequence[str], config: DescriptorConfig) -> list[str]:
        """Return those contents whose descriptors are missing or damaged, each once."""
        if len(digests) > MAX_OPEN and self._packed.open(digests, config) is not None:
            return []
        missing = [d for d in dict.fromkeys(digests) if self.load(d, config, d) is None]
        if missing:
            self._will_write()
        return missing

    def load_all(
        self, digests: Sequence[str], config: DescriptorConfig, sources: Sequence[str]
    ) -> list[DescriptorSequence]:
        """Return the descriptors of contents that are stored, in the order given.

        Raises
        ------
        StorageError
            If one of them is not stored.
        """
        if len(digests) <= MAX_OPEN:
            pairs = zip(digests, sources, strict=True)
            found = [self._load_present(digest, config, source) for digest, source in pairs]
            self._warn_if_too_many(sum(sequence.values.nbytes for sequence in found))
            return found
        packed = self._packed.open(digests, config) or self._pack_stored(digests, config)
        for digest in set(digests):  # used as well: the packed view is gone when the folder changes
            touch(self.shard_path(digest, config))
        self._warn_if_too_many(packed.values.nbytes)
        sequences, start = [], 0
        for source, (digest, n_frames, n_samples) in zip(
            sources, packed.about["files"], strict=True
        ):
            rows = packed.values[start : start + n_frames]
            sequences.append(DescriptorSequence(rows, config, source, digest, n_samples))
            start += n_frames
        return sequences

    def packed(self, sequences: Sequence[DescriptorSequence]) -> Values:
        """Return the descriptors of several recordings as one memory-mapped array.

        Parameters
        ----------
        sequences : sequence of DescriptorSequence
            At least one, all of the same configuration.

        Returns
        -------
        ndarray of float32, (N, D)
            Read-only.

        Raises
        ------
        StorageError
            If the cache cannot be written.
        """
        digests, config = [s.digest for s in sequences], sequences[0].config
        stored = self._packed.open(digests, config)
        if stored is None:
            files = [(s.digest, len(s), s.n_samples) for s in sequences]
            self._will_write()
            stored = self._packed.pack(files, (s.values for s in sequences), config)
        return stored.values

    def open_audio(
        self, path: Path, digest: str, sample_rate: int, pieces: Iterable[Piece]
    ) -> AudioReader | DecodedAudio:
        """Open a recording for reading at random places, at `sample_rate`.

        Uncompressed audio of that rate is read as it is. Other recordings are decoded into the
        cache, with all channels, as far as the pieces need it.

        Parameters
        ----------
        path : Path
            The recording.
        digest : str
            Of its content.
        sample_rate : int
            In Hz.
        pieces : iterable of (int, int)
            Start and length, at `sample_rate`, of what will be read. Samples elsewhere can be read
            too, but may need decoding first.

        Raises
        ------
        AudioError
            If the recording cannot be read.
        StorageError
            If there is no space for decoded audio.
        """
        info = audio.probe(path)
        if info.sample_rate == sample_rate and audio.is_seekable_pcm(info):
            return AudioReader(path)
        self._will_write()
        return DecodedAudio(info, digest, sample_rate, pieces, self._audio)

    @property
    def index_dir(self) -> Path:
        """The folder of indexes."""
        return writable(self.cache_dir) / _part(INDEX)

    def summary(self) -> CacheSummary:
        """Return the number and size of the files in the cache."""

        def count(part: str) -> FileCount:
            sizes = [file.n_bytes for file in list_files(self.cache_dir / part)]
            return FileCount(len(sizes), sum(sizes))

        n_known = len({state.path for state in self.manifest.all_files()})
        return CacheSummary(
            folder=self.cache_dir,
            descriptors=count(DESCRIPTORS),
            audio=count(AUDIO),
            packed=count(PACKED),
            index=count(INDEX),
            n_known_files=n_known,
        )

    def limit(self, max_bytes: float) -> FileCount:
        """Remove the least recently used files until at most `max_bytes` are left.

        What another running process has used stays.
        """
        check_number("max_bytes", max_bytes, 0.0)
        return limit(self.cache_dir, max_bytes)

    def prune(self) -> FileCount:
        """Remove the files of missing or changed recordings, of killed writers and old formats.

        Packed views go as well, but for those in use: they are written again when needed. Contents
        the manifest does not know (it was lost, or they were saved by hand) stay.
        """
        files = self.manifest.all_files()
        gone = [state for state in files if not state.is_current]
        dead = {files[s] for s in gone} - {files[s] for s in files.keys() - set(gone)}
        packed, index, *current = map(self._folder, (PACKED, INDEX, DESCRIPTORS, AUDIO))
        in_use_s = max(IDLE_S, longest_use_s(self.cache_dir))
        chosen = [
            file
            for file in list_cache(self.cache_dir)
            if not file.is_in_use
            and (
                file.path.name.startswith(".")
                or (packed in file.path.parents and file.age_s > in_use_s)
                or (file.path.stem.partition("-")[0] in dead)
                or (index in file.path.parents and file.age_s > FORGOTTEN_S)
                or not any(folder in file.path.parents for folder in (packed, index, *current))
            )
        ]
        removed = remove(chosen)
        self.manifest.forget(gone)
        return removed

    def shard_path(self, digest: str, config: DescriptorConfig) -> Path:
        """Return the file of a content's descriptors."""
        return self._shards.path(_shard_name(digest, config))

    def _folder(self, part: str) -> Path:
        return self.cache_dir / _part(part)

    def _will_write(self) -> None:
        """Note that this process writes to the cache, and limit it when the process ends."""
        announce(self.cache_dir)
        limit_at_exit(self.cache_dir, self._limit)

    def _warn_if_too_many(self, n_bytes: int) -> None:
        """Warn if descriptors of this size are more than the cache keeps."""
        needed = 2 * n_bytes  # each content, and the view of all
        if needed > self._limit:
            logger.warning(
                "%s: the descriptors take %.3g GiB, more than the %.3g GiB that the cache keeps; a "
                "larger DESC_CACHE_LIMIT_GB saves extracting them again",
                *(self.cache_dir, needed / 2**30, self._limit / 2**30),
            )

    def _load_present(
        self, digest: str, config: DescriptorConfig, source: str
    ) -> DescriptorSequence:
        sequence = self.load(digest, config, source)
        if sequence is None:
            raise StorageError(
                f"{self.shard_path(digest, config)}: the descriptors of {source} are "
                "gone; was the cache emptied just now? run the command again"
            )
        return sequence

    def _pack_stored(self, digests: Sequence[str], config: DescriptorConfig) -> StoredArray:
        """Pack contents that are stored, opening one at a time."""
        sizes = {}
        for digest in dict.fromkeys(digests):
            sequence = self._load_present(digest, config, digest)
            sizes[digest] = (digest, len(sequence), sequence.n_samples)
        blocks = (self._load_present(digest, config, digest).values for digest in digests)
        self._will_write()
        return self._packed.pack([sizes[digest] for digest in digests], blocks, config)


def _is_shard(stored: StoredArray, digest: str, config: DescriptorConfig) -> bool:
    about = stored.about
    return (
        about.get("digest") == digest
        and about.get("config") == to_dict(config)
        and isinstance(about.get("n_samples"), int)
        and stored.values.shape[1] == config.n_columns
    )


def _part(part: str) -> str:
    return f"{part}/v{FORMAT_VERSIONS[part]}"


def _decoder_version() -> str:
    """Return the versions on which decoding depends."""
    soundfile = importlib.metadata.version("soundfile")
    ffmpeg = "with" if audio.has_ffmpeg() else "without"
    return f"desc {desc.__version__}, soundfile {soundfile}, {ffmpeg} ffmpeg"


def _shard_name(digest: str, config: DescriptorConfig) -> str:
    return f"{config.fingerprint}/{digest}.npy"
