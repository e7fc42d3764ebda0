"""Which recordings are learned from and which are held out, reproducible from the seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from desc.configuration import Note
from desc.corpus import Corpus
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.errors import ConfigurationError, CorpusError

NAMED = 5  # files named in a note; more are counted


@dataclass(frozen=True, eq=False)
class Split:
    """Recordings to learn from and to validate on, each content once, in the order of digests.

    The order depends on contents alone, so that a folder renamed or moved is the same split.
    """

    training: tuple[DescriptorSequence, ...]
    validation: tuple[DescriptorSequence, ...]
    variants: tuple[DescriptorSequence, ...] = ()

    @property
    def learned(self) -> tuple[DescriptorSequence, ...]:
        """All there is to learn from: the recordings, and these at other speeds."""
        return (*self.training, *self.variants)

    @property
    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """Digest → source of the recordings of either side."""
        return (
            {s.digest: s.source for s in self.learned},
            {s.digest: s.source for s in self.validation},
        )


def split_recordings(
    corpus: Corpus,
    validation: Corpus | None,
    share: float,
    seed: int,
    note: Note | None = None,
) -> Split:
    """Divide recordings by file; one file alone is divided by time.

    Parameters
    ----------
    corpus : Corpus
        The recordings to learn from.
    validation : Corpus, optional
        Recordings named for validation; by default `share` of the corpus' files, at least one.
    share : float
        0 to 1, of files, or of the frames of a single file.
    seed : int
        Decides which files are held out.
    note : callable, optional
        Gets a line for files that are left out: those with fewer than 9 complete frames, copies
        of others, and training files that are validation files too.

    Raises
    ------
    CorpusError
        If either side remains empty.
    ConfigurationError
        If the two corpora were extracted with different settings.
    """
    if validation is not None and validation.config != corpus.config:
        raise ConfigurationError(
            f"{validation.root}: the validation recordings must be extracted with the settings of "
            f"{corpus.root}"
        )
    sequences = usable(corpus, note)
    if validation is None and len(sequences) == 1:
        return _with_variants(_by_time(sequences[0], share), corpus)
    if validation is None:
        return _with_variants(_by_file(sequences, share, seed), corpus)
    held_out = usable(validation, note)
    digests = {s.digest for s in held_out}
    kept = tuple(s for s in sequences if s.digest not in digests)
    both = [s.source for s in sequences if s.digest in digests]
    _tell(note, both, "left out of training, because they are validation recordings too")
    if not kept:
        raise CorpusError(
            f"{corpus.root}: every recording is a validation recording too; nothing is left to "
            "learn from"
        )
    return _with_variants(Split(kept, held_out), corpus)


def _with_variants(split: Split, corpus: Corpus) -> Split:
    """Add the training recordings at other speeds, each as far as it is learned from."""
    learned = {s.digest: s for s in split.training}
    variants = {}
    for variant in corpus.variants:
        content, speed = variant_of(variant.digest)
        if content not in learned:
            continue
        frames = variant.config.complete_frames(int(learned[content].n_samples / speed))
        stop = min(frames.stop, variant.complete.stop)
        if stop - frames.start >= MIN_FRAMES and np.isfinite(variant.complete_static).all():
            variants[variant.digest] = excerpt(variant, frames.start, stop)
    return replace(split, variants=tuple(variants[digest] for digest in sorted(variants)))


def usable(corpus: Corpus, note: Note | None = None) -> tuple[DescriptorSequence, ...]:
    """Return the recordings of a corpus that one can train on, each content once, by digest.

    Raises
    ------
    CorpusError
        If there is none; the message says what there is.
    """
    short = [s.source for s in corpus.sequences if n_complete(s) < MIN_FRAMES]
    broken = [s.source for s in corpus.sequences if not np.isfinite(s.complete_static).all()]
    by_digest: dict[str, DescriptorSequence] = {}
    copies = []
    for sequence in corpus.sequences:
        if sequence.source in short or sequence.source in broken:
            continue
        if sequence.digest in by_digest:
            copies.append(sequence.source)
        by_digest.setdefault(sequence.digest, sequence)
    _tell(note, short, f"left out: fewer than {MIN_FRAMES} complete frames")
    _tell(note, broken, "left out: descriptors that are no numbers")
    _tell(note, copies, "left out: copies of other files")
    if not by_digest:
        raise CorpusError(
            f"{corpus.root}: no recording has {MIN_FRAMES} complete frames to learn from: "
            f"{len(short)} are shorter, {len(broken)} have descriptors that are no numbers"
        )
    return tuple(by_digest[digest] for digest in sorted(by_digest))


def n_complete(sequence: DescriptorSequence) -> int:
    """Return the number of complete frames."""
    return len(range(*sequence.complete.indices(len(sequence))))


def _by_file(sequences: tuple[DescriptorSequence, ...], share: float, seed: int) -> Split:
    """Hold out `share` of the files, at least one and not all.

    A file's rank is a hash of seed and content: adding a file leaves the others on their side,
    as far as their numbers allow.
    """

    def rank(sequence: DescriptorSequence) -> str:
        return hashlib.blake2b(f"{seed} {sequence.digest}".encode()).hexdigest()

    n = min(max(1, round(share * len(sequences))), len(sequences) - 1)
    chosen = {s.digest for s in sorted(sequences, key=rank)[:n]}
    return Split(
        tuple(s for s in sequences if s.digest not in chosen),
        tuple(s for s in sequences if s.digest in chosen),
    )


def _by_time(sequence: DescriptorSequence, share: float) -> Split:
    """Hold out the end of a recording.

    Between the sides so many frames are left out that no sample is heard in both.
    """
    config = sequence.config
    gap = math.ceil(config.n_fft / config.hop_length)
    frames = sequence.complete
    n_frames = n_complete(sequence)
    held_out = max(MIN_FRAMES, round(share * n_frames))
    kept = n_frames - held_out - gap
    if kept < MIN_FRAMES:
        raise CorpusError(
            f"{sequence.source}: {n_frames} complete frames are too few to learn from one part of "
            f"a single recording and validate on another; {2 * MIN_FRAMES + gap} are needed"
        )
    return Split(
        (excerpt(sequence, frames.start, frames.start + kept),),
        (excerpt(sequence, frames.stop - held_out, frames.stop),),
    )


def excerpt(sequence: DescriptorSequence, start: int, stop: int) -> DescriptorSequence:
    """Return a sequence whose complete frames are the frames start … stop - 1 of another.

    Parameters
    ----------
    sequence : DescriptorSequence
    start, stop : int
        Complete frames of `sequence`.
    """
    config = sequence.config
    first = config.complete_frames(0).start  # frames of a sequence before the first complete one
    values = sequence.values[start - first : stop]
    n_samples = (len(values) - 1) * config.hop_length + config.n_fft // 2
    return replace(sequence, values=values, n_samples=n_samples, first_frame=0)


def _tell(note: Note | None, sources: Sequence[str], what: str) -> None:
    """Say what becomes of some files, naming the first ones."""
    if note is None or not sources:
        return
    more = f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
    note(f"{', '.join(sources[:NAMED])}{more}: {what}")
