"""`Corpus`: the descriptors of a folder, from the cache or newly extracted."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from desc.audio import SILENT
from desc.configuration import check_jobs
from desc.corpus.discovery import Paths, SkippedFile, absolute_paths, common_root, find_files
from desc.corpus.parallel import Task, extract_all
from desc.corpus.patterns import Patterns
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, CorpusError
from desc.exchange import descriptor_json_hop, read_json_folder
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

JSON = frozenset({".json"})
LISTED = 30  # files named in an error or in notes; more are counted


@dataclass(frozen=True, eq=False)
class Corpus:
    """The descriptors of a folder of recordings.

    Attributes
    ----------
    root : Path
        The folder; of one file its folder, of several the one that holds all.
    config : DescriptorConfig
        Settings of extraction.
    sequences : tuple of DescriptorSequence
        One per recording, sorted by source. Recordings of equal content are each listed.
    skipped : tuple of SkippedFile
        Files that cannot be used, sorted by source. For a folder of descriptor JSON also missing
        recordings, whose descriptors are used.
    n_extracted : int
        Contents extracted now; the others came from the cache.
    ignored : tuple of SkippedFile
        Files skipped by design: not audio, hidden, or excluded by patterns.
    variants : tuple of DescriptorSequence
        The recordings played at other speeds (speed perturbation), see `with_variants`.
    inputs : dict of str to list of str
        Options that name the recordings: `audio_db_dir`, and the patterns if there are any.
    """

    root: Path
    config: DescriptorConfig
    sequences: tuple[DescriptorSequence, ...]
    skipped: tuple[SkippedFile, ...]
    n_extracted: int
    ignored: tuple[SkippedFile, ...] = ()
    variants: tuple[DescriptorSequence, ...] = ()
    inputs: dict[str, list[str]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"Corpus({len(self.sequences)} recordings, {self.duration_s:.1f} s, "
            f"{self.n_frames} frames × {self.config.n_columns} descriptors, {str(self.root)!r})"
        )

    def path(self, source: str) -> Path:
        """Return the file of a source."""
        return self.root / source

    def with_sound(self) -> Corpus:
        """Return the corpus without the descriptors of missing recordings.

        Raises
        ------
        CorpusError
            If nothing is left.
        """
        kept = tuple(s for s in self.sequences if os.path.isfile(self.path(s.source)))
        if not kept:
            raise CorpusError(f"{self.root}: none of the recordings exists")
        return replace(self, sequences=kept)

    @cached_property
    def digest(self) -> str:
        """Digest of the recordings' contents and sources, 32 hex digits."""
        return collection_digest((s.digest, s.source) for s in self.sequences)

    @property
    def n_frames(self) -> int:
        """Frames of all recordings."""
        return sum(map(len, self.sequences))

    @property
    def duration_s(self) -> float:
        """Length of all recordings in seconds."""
        return sum(s.n_samples for s in self.sequences) / self.config.sample_rate


def collection_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return the digest of an ordered collection of (digest, source)."""
    digest = hashlib.blake2b(digest_size=16)
    for content, source in files:
        digest.update(os.fsencode(f"{content} {source}\n"))
    return digest.hexdigest()


def open_corpus(
    path: Paths,
    config: DescriptorConfig = DescriptorConfig(),
    store: DescriptorStore | None = None,
    *,
    include: Patterns = (),
    exclude: Patterns = (),
    jobs: int = -1,
    adopt_hop: bool = False,
) -> Corpus:
    """Open folders of recordings, or recordings; extract descriptors missing from the cache.

    What is odd about a recording is told: an end that is missing, channels that cancel, silence. A
    folder without audio files may hold descriptor JSON instead (see `read_descriptor_json`).

    Parameters
    ----------
    path : path or sequence of path
        The folder, a file, or several. Sources are relative to the folder that holds all of them.
    config : DescriptorConfig
        Settings of extraction.
    store : DescriptorStore, optional
        The cache; by default the default cache.
    include, exclude : str or sequence of str
        Patterns that choose files, see `find_files`.
    jobs : int
        Parallel processes; -1: one per core, 1: this one.
    adopt_hop : bool
        Take the hop length from descriptor JSON where it differs from the configuration's.

    Returns
    -------
    Corpus
        Its sequences do not depend on `jobs`.

    Raises
    ------
    CorpusError
        If nothing is usable; the message lists the skipped files with the reasons.
    ConfigurationError
        If `jobs` is out of range, or descriptor JSON has another hop than `config` (unless
        `adopt_hop`).
    StorageError
        If the cache cannot be written.
    """
    check_jobs(jobs)
    root = common_root(path)
    paths = absolute_paths(path)
    only = paths[0] if len(paths) == 1 else None
    is_json = only is not None and only.is_file() and only.suffix.lower() in JSON
    files, passed = ([], []) if is_json else find_files(path, include, exclude)
    if only and not files and (is_json or not any(not s.ignored for s in passed)):
        corpus = _open_json(only, config, include, exclude, adopt_hop=adopt_hop)
        if corpus.sequences or corpus.skipped:
            return _usable(corpus, root)
    sequences, failed, n_extracted = _open_audio(files, config, store or DescriptorStore(), jobs)
    skipped = sorted([*(s for s in passed if not s.ignored), *failed], key=lambda s: s.source)
    ignored = tuple(s for s in passed if s.ignored)
    inputs = {"audio_db_dir": [str(one) for one in paths]}
    for name, patterns in (("include", include), ("exclude", exclude)):
        if patterns:
            inputs[name] = [patterns] if isinstance(patterns, str) else list(patterns)
    corpus = Corpus(
        root, config, tuple(sequences), tuple(skipped), n_extracted, ignored, inputs=inputs
    )
    return _usable(corpus, only or root)


def _open_audio(
    files: Sequence[tuple[Path, str]],
    config: DescriptorConfig,
    store: DescriptorStore,
    jobs: int,
) -> tuple[list[DescriptorSequence], list[SkippedFile], int]:
    """Return the sequences in order, the files that failed, and the number of new extractions."""
    identified = store.identify([path for path, _ in files], jobs=jobs)
    failed: list[SkippedFile] = []
    tasks: list[Task] = []
    for (path, source), digest in zip(files, identified, strict=True):
        if isinstance(digest, AudioError):
            failed.append(SkippedFile(source, str(digest).removeprefix(f"{path}: ")))
        else:
            tasks.append(Task(path, source, digest))
    reasons = store.failures()
    wanted = [task.digest for task in tasks if task.digest not in reasons]
    first = {task.digest: task for task in reversed(tasks)}  # of files with equal content
    new = [first[digest] for digest in store.missing(wanted, config)]
    if new:
        reasons |= extract_all(new, config, store, jobs=jobs)
    failed += [SkippedFile(t.source, reasons[t.digest]) for t in tasks if t.digest in reasons]
    good = [task for task in tasks if task.digest not in reasons]
    _tell(good, store.notes())
    sequences = store.load_all([t.digest for t in good], config, [t.source for t in good])
    return sequences, failed, sum(task.digest not in reasons for task in new)


def _tell(tasks: Sequence[Task], notes: dict[str, str]) -> None:
    """Tell what is odd about recordings."""
    odd = [(task.source, notes[task.digest]) for task in tasks if task.digest in notes]
    if len(odd) == len(tasks) > 1 and all(note.startswith(SILENT) for _, note in odd):
        logger.warning("all %d recordings are %s", len(odd), SILENT)
        return
    for source, note in odd[:LISTED]:
        logger.warning("%s: %s", source, note)
    if len(odd) > LISTED:
        logger.warning("… and %d more recordings with such a note", len(odd) - LISTED)


def _open_json(
    path: Path,
    config: DescriptorConfig,
    include: Patterns,
    exclude: Patterns,
    *,
    adopt_hop: bool,
) -> Corpus:
    files, passed = find_files(path, include, exclude, extensions=JSON)
    if adopt_hop:
        hops = filter(None, (descriptor_json_hop(file) for file, _ in files))
        config = replace(config, hop_length=next(hops, config.hop_length))
    root = path.parent if path.is_file() else path
    root, sequences, problems = read_json_folder(files, root, config)
    skipped = [SkippedFile(source, reason) for source, reason in problems.items()]
    skipped += [s for s in passed if not s.ignored]
    skipped.sort(key=lambda s: s.source)
    ignored = tuple(s for s in passed if s.ignored)
    return Corpus(root, config, sequences, tuple(skipped), 0, ignored)


def _usable(corpus: Corpus, path: Path) -> Corpus:
    """Return the corpus, or raise an error that lists the files found."""
    if corpus.sequences:
        return corpus
    found = [*corpus.skipped, *corpus.ignored]
    if not found:
        raise CorpusError(f"{path}: the folder is empty")
    lines = [f"  {s.source}: {s.reason}" for s in found[:LISTED]]
    more = Counter(s.reason for s in found[LISTED:])
    lines += [f"  … and {count} more: {reason}" for reason, count in more.most_common(LISTED)]
    noun = "file" if len(found) == 1 else "files"
    raise CorpusError(f"{path}: nothing usable among {len(found)} {noun}:\n" + "\n".join(lines))
