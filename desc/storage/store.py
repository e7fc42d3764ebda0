"""`DescriptorStore`: content-addressed cache of descriptors and decoded audio."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import desc
from desc import audio
from desc.configuration import check_integer, to_dict
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, StorageError
from desc.files import write_json
from desc.progress import reporting
from desc.storage.arrays import StoredArray, read_array, write_array
from desc.storage.cache_files import (
    AUDIO,
    DESCRIPTORS,
    IDLE_S,
    PACKED,
    CacheFile,
    CacheSummary,
    FileCount,
    list_files,
    remove,
    touch,
)
from desc.storage.manifest import Manifest, identify

Values = npt.NDArray[np.float32]

FORMAT_VERSION = 1
"""Raised whenever the files change, or extraction gives other numbers for the same settings."""
MAX_OPEN = 64
"""Sequences opened from a file each; more of them are views of one packed file. A memory map
holds a file handle for as long as it lives, of which a process has about a thousand."""
WAV_BYTES = 4_000_000_000  # longer audio goes to an RF64 file
PACKED_DAYS = 30.0  # a packed view not used for so long is of a folder as it once was


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
    their content depends on. A damaged file counts as missing.

    Parameters
    ----------
    cache_dir : path, optional
        The folder; by default `default_cache_dir()`.
    """

    def __init__(self, cache_dir: str | Path | None = None) -> None:
        folder = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
        self.cache_dir = Path(os.path.abspath(folder))
        self.manifest = Manifest(self.cache_dir / "manifest.sqlite")
        self._failures_path = self.cache_dir / "failures.json"

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
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(self._failures_path.read_text("utf-8"))
            if content["decoder"] == _decoder_version():
                return dict(content["reasons"])
        return {}

    def remember_failures(self, reasons: dict[str, str]) -> None:
        """Remember contents that this version of the decoder cannot decode, with the reason."""
        with suppress(StorageError):  # they are decoded again at the next run
            if reasons:
                known = {"decoder": _decoder_version(), "reasons": self.failures() | reasons}
                write_json(self._failures_path, known)

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
        path = self.shard_path(digest, config)
        stored = read_array(path, verify=True)
        if stored is None or not _is_shard(stored, digest, config):
            return None
        touch(path)
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
        write_array(path, [values], (len(values), config.n_columns), about | _about(config))

    def missing(self, digests: Sequence[str], config: DescriptorConfig) -> list[str]:
        """Return those contents whose descriptors are missing or damaged, each once."""
        if len(digests) > MAX_OPEN and self._open_packed(digests, config) is not None:
            return []
        return [d for d in dict.fromkeys(digests) if self.load(d, config, d) is None]

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
            return [self._load_present(digest, config, source) for digest, source in pairs]
        packed = self._open_packed(digests, config) or self._pack_stored(digests, config)
        for digest in set(digests):  # used as well: the packed view is gone when the folder changes
            touch(self.shard_path(digest, config))
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
        stored = self._open_packed(digests, config)
        if stored is None:
            files = [(s.digest, len(s), s.n_samples) for s in sequences]
            stored = self._pack(files, (s.values for s in sequences), config)
        return stored.values

    def audio_path(self, path: str | Path, digest: str, sample_rate: int) -> Path:
        """Return a file with a recording's sound at `sample_rate` that is fast to seek in.

        This is the recording itself if it is uncompressed and of that rate, else a float WAV
        (RF64 beyond 4 GB) in the cache with all its channels, decoded and resampled once by the
        resampler of extraction, block by block.

        Parameters
        ----------
        path : path
            The recording.
        digest : str
            Digest of its content when it was analysed. A recording that is still there is decoded
            as it is now; of one that is gone, the copy made of this content is used.
        sample_rate : int
            In Hz.

        Raises
        ------
        AudioError
            If the recording cannot be read.
        """
        path = Path(path)
        if not path.exists():
            copy = self._decoded(digest, sample_rate, 0)
            if copy is not None:
                return copy
        info = audio.probe(path)
        if info.sample_rate == sample_rate and audio.is_seekable_pcm(info):
            return path
        n_samples = audio.resampled_length(info.n_samples, info.sample_rate, sample_rate)
        content = self.digest(path)
        copy = self._decoded(content, sample_rate, n_samples)
        if copy is not None:
            return copy
        is_long = 4 * n_samples * info.n_channels > WAV_BYTES
        target = self._audio_path(content, sample_rate, ".rf64" if is_long else ".wav")
        with audio.AudioWriter(target, sample_rate, info.n_channels, "FLOAT") as writer:
            for block in audio.read_blocks(path, sample_rate):
                writer.write(block)
        return target

    def summary(self) -> CacheSummary:
        """Return the number and size of the files in the cache."""

        def count(part: str) -> FileCount:
            sizes = [file.n_bytes for file in list_files(self.cache_dir / part)]
            return FileCount(len(sizes), sum(sizes))

        n_known = len({state.path for state in self.manifest.all_files()})
        return CacheSummary(
            self.cache_dir, count(DESCRIPTORS), count(AUDIO), count(PACKED), n_known
        )

    def limit(self, max_bytes: int) -> FileCount:
        """Remove the least recently used files until at most `max_bytes` are left."""
        check_integer("max_bytes", max_bytes, 0)
        files = self._all_files()
        excess = sum(file.n_bytes for file in files) - max_bytes
        chosen = []
        for file in sorted(files, key=lambda file: -file.age_s):
            if excess > 0 and not file.is_in_use:
                chosen.append(file)
                excess -= file.n_bytes
        return remove(chosen)

    def prune(self) -> FileCount:
        """Remove the files of missing or changed recordings, of killed writers and old formats.

        Packed views go as well, but for those in use: they are written again when needed. Contents
        the manifest does not know (it was lost, or they were saved by hand) stay.
        """
        files = self.manifest.all_files()
        gone = [state for state in files if not state.is_current]
        dead = {files[s] for s in gone} - {files[s] for s in files.keys() - set(gone)}
        packed, *current = (self._folder(part) for part in (PACKED, DESCRIPTORS, AUDIO))
        chosen = [
            file
            for file in self._all_files()
            if not file.is_in_use
            and (
                file.path.name.startswith(".")
                or (packed in file.path.parents and file.age_s > IDLE_S)
                or (file.path.stem.partition("-")[0] in dead)
                or not any(folder in file.path.parents for folder in (packed, *current))
            )
        ]
        removed = remove(chosen)
        self.manifest.forget(gone)
        return removed

    def shard_path(self, digest: str, config: DescriptorConfig) -> Path:
        """Return the file of a content's descriptors."""
        return self._folder(DESCRIPTORS) / config.fingerprint / f"{digest}.npy"

    def _audio_path(self, digest: str, sample_rate: int, suffix: str) -> Path:
        return self._folder(AUDIO) / f"{digest}-{sample_rate}{suffix}"

    def _packed_path(self, digests: Sequence[str], config: DescriptorConfig) -> Path:
        key = hashlib.blake2b("\n".join((config.fingerprint, *digests)).encode(), digest_size=16)
        return self._folder(PACKED) / f"{key.hexdigest()}.npy"

    def _folder(self, part: str) -> Path:
        return self.cache_dir / part / f"v{FORMAT_VERSION}"

    def _all_files(self) -> list[CacheFile]:
        """Return the files of every part, those of other format versions and leftovers included."""
        return list_files(*(self.cache_dir / part for part in (DESCRIPTORS, AUDIO, PACKED)))

    def _decoded(self, digest: str, sample_rate: int, n_samples: int) -> Path | None:
        """Return a complete decoded copy of a content; headers may be a tenth of a second off."""
        for suffix in (".wav", ".rf64"):
            path = self._audio_path(digest, sample_rate, suffix)
            with suppress(AudioError):
                if path.exists() and audio.probe(path).n_samples >= n_samples - sample_rate // 10:
                    touch(path)
                    return path
        return None

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

    def _open_packed(self, digests: Sequence[str], config: DescriptorConfig) -> StoredArray | None:
        path = self._packed_path(digests, config)
        stored = read_array(path, verify=False)  # written from what was verified
        if stored is None or [file[0] for file in stored.about.get("files", ())] != list(digests):
            return None
        touch(path)
        return stored

    def _pack_stored(self, digests: Sequence[str], config: DescriptorConfig) -> StoredArray:
        """Pack contents that are stored, opening one at a time."""
        sizes = {}
        for digest in dict.fromkeys(digests):
            sequence = self._load_present(digest, config, digest)
            sizes[digest] = (digest, len(sequence), sequence.n_samples)
        blocks = (self._load_present(digest, config, digest).values for digest in digests)
        return self._pack([sizes[digest] for digest in digests], blocks, config)

    def _pack(
        self,
        files: list[tuple[str, int, int]],
        blocks: Iterable[Values],
        config: DescriptorConfig,
    ) -> StoredArray:
        digests = [digest for digest, _, _ in files]
        shape = (sum(n_frames for _, n_frames, _ in files), config.n_columns)
        path = self._packed_path(digests, config)
        write_array(path, blocks, shape, {"files": files} | _about(config))
        views = list_files(self._folder(PACKED))
        remove(view for view in views if view.age_s > PACKED_DAYS * 86400)
        stored = self._open_packed(digests, config)
        if stored is None:
            raise StorageError(f"{path}: cannot be read back; is the disk full or damaged?")
        return stored


def _is_shard(stored: StoredArray, digest: str, config: DescriptorConfig) -> bool:
    about = stored.about
    return (
        about.get("digest") == digest
        and about.get("config") == to_dict(config)
        and isinstance(about.get("n_samples"), int)
        and stored.values.shape[1] == config.n_columns
    )


def _about(config: DescriptorConfig) -> dict[str, Any]:
    return {"format": FORMAT_VERSION, "config": to_dict(config), "names": list(config.names)}


def _decoder_version() -> str:
    """Return the versions on which decoding depends."""
    return f"desc {desc.__version__}, soundfile {importlib.metadata.version('soundfile')}"
