"""Recordings played faster or slower: as further training material, or to fit a tempo."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from desc.configuration import check, check_number
from desc.corpus.opening import Corpus
from desc.corpus.parallel import Task, extract_all
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, CorpusError
from desc.metrics.rhythm import band_levels, beat_period, onset_curve
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

SLOWEST, FASTEST = 0.25, 4.0  # two octaves
SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0
LARGEST_CHANGE = 1.12  # of the speed for a tempo: two semitones
LEAST_CHANGE = 0.005  # a twelfth of a semitone is not heard


def with_variants(
    corpus: Corpus,
    speeds: Sequence[float],
    store: DescriptorStore | None = None,
    *,
    jobs: int = -1,
) -> Corpus:
    """Return a corpus with its recordings also played at other speeds, as a tape is.

    At half the speed a recording is an octave lower and twice as long. Models train on these
    variants and units are selected from them, as from the recordings themselves.

    Parameters
    ----------
    corpus : Corpus
        Its recordings must exist.
    speeds : sequence of float
        Each from .25 to 4, none of them 1.
    store : DescriptorStore, optional
        The cache; by default the default cache.
    jobs : int
        Parallel processes; -1: one per core, 1: this one.

    Raises
    ------
    ConfigurationError
        If a speed is out of range, 1, or given twice.
    CorpusError
        If a recording is gone or cannot be read.
    StorageError
        If the cache cannot be written.
    """
    speeds = check_speeds(speeds)
    if not speeds:
        return corpus
    varied = _with(corpus, [(s, v) for s in corpus.sequences for v in speeds], store, jobs)
    return replace(varied, inputs=varied.inputs | {"speeds": [f"{v:g}" for v in speeds]})


def with_tempo(
    corpus: Corpus, bpm: float, store: DescriptorStore | None = None, *, jobs: int = -1
) -> Corpus:
    """Return a corpus with its recordings also played at the speed that gives them a tempo.

    Twice and half the tempo count as the same. Recordings without a pulse, and those that would
    have to be played more than 12 % faster or slower, stay as they are.

    Parameters
    ----------
    corpus : Corpus
        Its recordings must exist, its descriptors contain mfcc.
    bpm : float
        Beats per minute, from 20 to 400.
    store, jobs
        See `with_variants`, also for the errors.

    Raises
    ------
    ConfigurationError
        If the tempo is out of range, or mfcc is not among the descriptors.
    """
    check_tempo(bpm)
    if "mfcc" not in corpus.config.groups:
        raise ConfigurationError(
            f"tempo={bpm:g} must have mfcc among the descriptors, which are "
            f"{' '.join(corpus.config.descriptors)}"
        )
    fits = [(s, _speed_for_tempo(s, bpm)) for s in corpus.sequences]
    played = [(s, speed) for s, speed in fits if speed != 1]
    logger.info(
        "tempo %.1f: %d of %d recordings are also played at another speed",
        bpm,
        len(played),
        len(fits),
    )
    varied = _with(corpus, played, store, jobs)
    return replace(varied, inputs=varied.inputs | {"tempo": [repr(float(bpm))]})


def check_tempo(bpm: float) -> None:
    """Raise a ConfigurationError unless a tempo is a number from 20 to 400."""
    check_number("tempo", bpm, SLOWEST_BPM, FASTEST_BPM)


def common_tempo(corpus: Corpus) -> float | None:
    """Return the median tempo of recordings in beats per minute; None where none has a pulse."""
    found = [tempo for s in corpus.sequences if (tempo := tempo_of(s)) is not None]
    return float(np.median(found)) if found else None


def tempo_of(sequence: DescriptorSequence) -> float | None:
    """Return the tempo of a recording in beats per minute; None without a pulse or mfcc."""
    if "mfcc" not in sequence.config.groups:
        return None
    rate = sequence.config.frame_rate
    period = beat_period(onset_curve(band_levels(sequence["mfcc"])), rate)
    return None if math.isnan(period) else 60 * rate / period


def _speed_for_tempo(sequence: DescriptorSequence, bpm: float) -> float:
    """Return the speed at which a recording has a tempo, or half or twice it; 1 where none fits."""
    own = tempo_of(sequence)
    octaves = math.log2(bpm / own) if own else 0.0
    speed = 2 ** (octaves - round(octaves))
    fits = 1 / LARGEST_CHANGE <= speed <= LARGEST_CHANGE and abs(speed - 1) > LEAST_CHANGE
    return float(f"{speed:g}") if fits else 1.0


def _with(
    corpus: Corpus,
    speeds: Sequence[tuple[DescriptorSequence, float]],
    store: DescriptorStore | None,
    jobs: int,
) -> Corpus:
    """Return a corpus with more variants: recordings at speeds."""
    gone = [s.source for s, _ in speeds if not corpus.path(s.source).is_file()]
    if gone:
        raise CorpusError(
            "other speeds need the recordings themselves, not only their descriptors: "
            f"{corpus.root / gone[0]} does not exist"
        )
    tasks = {
        task.key: task
        for task in (Task(corpus.path(s.source), s.source, s.digest, v) for s, v in speeds)
    }
    store = store or DescriptorStore()
    missing = [tasks[key] for key in store.missing(list(tasks), corpus.config)]
    for key, reason in extract_all(missing, corpus.config, store, jobs=jobs).items():
        raise CorpusError(f"{tasks[key].path}: cannot be played at other speeds: {reason}")
    sources = [f"{task.source} at {task.speed:g}" for task in tasks.values()]
    variants = store.load_all(list(tasks), corpus.config, sources) if tasks else []
    known = {variant.digest for variant in corpus.variants}
    new = [variant for variant in variants if variant.digest not in known]
    return replace(corpus, variants=(*corpus.variants, *new))


def check_speeds(speeds: Sequence[float]) -> list[float]:
    """Return speeds to the six digits that a digest keeps.

    Raises
    ------
    ConfigurationError
        If one is out of range, 1, or given twice.
    """
    speeds = [float(f"{speed:g}") for speed in speeds]
    for speed in speeds:
        check_number("speeds", speed, SLOWEST, FASTEST)
        check(speed != 1, "speeds", speed, "differ from 1, the speed of the recordings themselves")
    check(len(set(speeds)) == len(speeds), "speeds", speeds, "name each speed once")
    return speeds
