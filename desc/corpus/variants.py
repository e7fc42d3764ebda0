"""Speed perturbation: recordings played faster or slower, as further training material."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from desc.configuration import check, check_number
from desc.corpus.opening import Corpus
from desc.corpus.parallel import Task, extract_all
from desc.errors import CorpusError
from desc.storage import DescriptorStore

SLOWEST, FASTEST = 0.25, 4.0  # two octaves


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
    gone = [s.source for s in corpus.sequences if not corpus.path(s.source).is_file()]
    if gone and speeds:
        raise CorpusError(
            f"speeds={speeds} needs the recordings themselves, not only their descriptors: "
            f"{corpus.root / gone[0]} does not exist"
        )
    tasks = {
        task.key: task
        for s in corpus.sequences
        for task in (Task(corpus.path(s.source), s.source, s.digest, v) for v in speeds)
    }
    store = store or DescriptorStore()
    missing = [tasks[key] for key in store.missing(list(tasks), corpus.config)]
    for key, reason in extract_all(missing, corpus.config, store, jobs=jobs).items():
        raise CorpusError(f"{tasks[key].path}: cannot be played at other speeds: {reason}")
    sources = [f"{task.source} at {task.speed:g}" for task in tasks.values()]
    variants = store.load_all(list(tasks), corpus.config, sources) if tasks else []
    return replace(corpus, variants=tuple(variants))


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
