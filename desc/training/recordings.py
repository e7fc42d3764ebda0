"""Recordings of a training: the split into training and validation, and outlier frames."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from desc.corpus import Corpus
from desc.corpus.ending import until_music_end
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.errors import ConfigurationError, CorpusError
from desc.models.statistics import MAX_QUANTILE_FRAMES, frozen_frames, silent_frames

logger = logging.getLogger(__name__)
Statics = Sequence[npt.NDArray[np.floating]]

SAMPLE_SHARE = 0.75  # of a recording is the context of an audio sample
NAMED = 5  # files named in a message; more are counted
FAR_OUT = 8.0  # robust standard deviations: one frame in 100,000 of orchestral music
NORMAL_IQR = 1.349  # interquartile range of a normal distribution, in standard deviations


@dataclass(frozen=True, eq=False)
class Split:
    """Training and validation recordings, without duplicates, ordered by digest.

    The order depends on content only, so a renamed or moved folder gives the same split.
    """

    training: tuple[DescriptorSequence, ...]
    validation: tuple[DescriptorSequence, ...]
    variants: tuple[DescriptorSequence, ...] = ()

    @property
    def learned(self) -> tuple[DescriptorSequence, ...]:
        """All training material: the recordings, and their speed-perturbed variants."""
        return (*self.training, *self.variants)

    @property
    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """Digest → source of the training recordings, and of the validation recordings."""
        return (
            {s.digest: s.source for s in self.learned},
            {s.digest: s.source for s in self.validation},
        )


def split_recordings(
    corpus: Corpus,
    validation: Corpus | None,
    share: float,
    seed: int,
    known: tuple[Collection[str], Collection[str]] = ((), ()),
) -> Split:
    """Split recordings by file; a single file is split by time.

    Parameters
    ----------
    corpus : Corpus
        Training recordings.
    validation : Corpus, optional
        Validation recordings; by default `share` of the corpus's files, at least one.
    share : float
        Share of the files to hold out, or of the frames of a single file, 0 to 1.
    seed : int
        Determines which files are held out.
    known : tuple of collections of str
        Digests of the training and validation recordings of the run to start from: its validation
        recordings are held out first, its training recordings last.

    Files with fewer than 9 complete frames, duplicates, and training files that are also
    validation files are left out and logged.

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
    sequences = usable(corpus)
    if validation is None and len(sequences) == 1:
        return _with_variants(_by_time(sequences[0], share), corpus)
    if validation is None:
        return _with_variants(_by_file(sequences, share, seed, known), corpus)
    held_out = usable(validation)
    digests = {s.digest for s in held_out}
    kept = tuple(s for s in sequences if s.digest not in digests)
    both = [s.source for s in sequences if s.digest in digests]
    _log(both, "left out of training, because they are validation recordings too")
    if not kept:
        raise CorpusError(
            f"{corpus.root}: every recording is a validation recording too; nothing is left to "
            "learn from"
        )
    return _with_variants(Split(kept, held_out), corpus)


def _with_variants(split: Split, corpus: Corpus) -> Split:
    """Add the training part of the recordings at other speeds."""
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


def usable(corpus: Corpus) -> tuple[DescriptorSequence, ...]:
    """Return the recordings of a corpus that can be trained on, without duplicates, by digest.

    Raises
    ------
    CorpusError
        If there is none.
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
    _log(short, f"left out: fewer than {MIN_FRAMES} complete frames")
    _log(broken, "left out: descriptors that are not finite numbers")
    _log(copies, "left out: copies of other files")
    if not by_digest:
        raise CorpusError(
            f"{corpus.root}: no recording has {MIN_FRAMES} complete frames to learn from: "
            f"{len(short)} are shorter, {len(broken)} have descriptors that are not finite numbers"
        )
    return tuple(by_digest[digest] for digest in sorted(by_digest))


def n_complete(sequence: DescriptorSequence) -> int:
    """Return the number of complete frames."""
    return len(range(*sequence.complete.indices(len(sequence))))


def _by_file(
    sequences: tuple[DescriptorSequence, ...],
    share: float,
    seed: int,
    known: tuple[Collection[str], Collection[str]],
) -> Split:
    """Hold out `share` of the files, at least one and not all.

    Files are ranked by a hash of seed and content, so adding a file moves few of the others.
    """

    def rank(sequence: DescriptorSequence) -> tuple[bool, bool, str]:
        learned, held_out = (sequence.digest in side for side in known)
        text = f"{seed} {sequence.digest}"
        return not held_out, learned, hashlib.blake2b(text.encode()).hexdigest()

    n = min(max(1, round(share * len(sequences))), len(sequences) - 1)
    chosen = {s.digest for s in sorted(sequences, key=rank)[:n]}
    return Split(
        tuple(s for s in sequences if s.digest not in chosen),
        tuple(s for s in sequences if s.digest in chosen),
    )


def _by_time(sequence: DescriptorSequence, share: float) -> Split:
    """Hold out the end of a recording.

    A gap of `n_fft` samples ensures that the two parts share no sample.
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


def without_ending(sequence: DescriptorSequence, corpus: Corpus) -> DescriptorSequence:
    """Return a recording of a corpus, or the end of one, without a fade-out or silence after it.

    See `find_music_end`.
    """
    whole = next(s for s in corpus.sequences if s.source == sequence.source)
    n_after = n_complete(whole) - n_complete(until_music_end(whole, corpus.path(whole.source)))
    frames = sequence.complete
    return excerpt(sequence, frames.start, max(frames.start, frames.stop - n_after))


def sample_context(validation: Sequence[DescriptorSequence]) -> DescriptorSequence:
    """Return the first three quarters of the first validation recording.

    Many recordings fade out at their end, and so would a continuation.
    """
    recording = validation[0]
    start = recording.complete.start
    n_frames = max(MIN_FRAMES, round(SAMPLE_SHARE * n_complete(recording)))
    return excerpt(recording, start, start + n_frames)


def _log(sources: Sequence[str], what: str) -> None:
    """Log the reason for leaving files out, naming the first ones."""
    if sources:
        more = f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
        logger.info("%s%s: %s", ", ".join(sources[:NAMED]), more, what)


def far_frames(recordings: Statics) -> list[npt.NDArray[np.bool_]]:
    """Return masks of the frames that have an outlier in some column.

    An outlier, as a click, is more than `FAR_OUT` robust standard deviations (interquartile
    range / 1.349) from the median over all recordings. Median and quartiles are insensitive to the
    outliers themselves. Columns with an interquartile range of 0 are ignored. Frozen frames do not
    count for them: digital silence is one value, and with much of it the range is next to nothing.

    Parameters
    ----------
    recordings : sequence of ndarray, (C, F)
        Standardised static columns.

    Returns
    -------
    list of ndarray of bool, (C,)
    """
    moving = [~frozen_frames(x) for x in recordings]
    ends = np.cumsum([int(mask.sum()) for mask in moving])
    stride = -(-int(ends[-1]) // MAX_QUANTILE_FRAMES)
    sample = [  # each stride-th moving frame of all recordings
        x[np.flatnonzero(mask)[(mask.sum() - end) % stride :: stride]]
        for x, mask, end in zip(recordings, moving, ends, strict=True)
    ]
    lower, middle, upper = np.quantile(np.concatenate(sample), [0.25, 0.5, 0.75], axis=0)
    deviation = (upper - lower) / NORMAL_IQR
    deviation[deviation <= 0] = np.inf
    return [(np.abs(x - middle) > FAR_OUT * deviation).any(1) for x in recordings]


def outliers(recordings: Statics, config: DescriptorConfig) -> npt.NDArray[np.bool_]:
    """Return a mask of the frames that training items must not contain.

    Parameters
    ----------
    recordings : sequence of ndarray, (C, F)
        Standardised static columns.
    config : DescriptorConfig
        Settings of the columns.

    Returns
    -------
    ndarray of bool, (N,)
        Frames of all recordings, one after the other: silent (mfcc0 below -2.5 standard
        deviations), frozen (equal to the frame before) or far out (see `far_frames`).
    """
    far = far_frames(recordings)
    silent = [silent_frames(x, config) for x in recordings]
    return np.concatenate(silent) | np.concatenate(far)
