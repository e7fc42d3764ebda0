"""Unit selection: nearest rows, fixed units of 255 ms, and paths, side by side.

    python benchmarks/selection.py                                 # the demo corpus
    python benchmarks/selection.py --folder large_folder/ --targets held_out/
    python benchmarks/selection.py --folder large_folder/          # each file by the others

Targets are excerpts of real recordings, answered with other files. One thread, CPU seconds. Lines:
run: mean length of a unit in frames; nrep: share of frames within two rows of one that an earlier
unit played in the last .5 s; jump: median distance between the row that would have come next and
the one jumped to; distance: mean distance to the target; s/1000: CPU seconds per 1,000 frames
besides the search for neighbours, which has a line of its own.
"""

from __future__ import annotations

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

import desc
from desc.configuration import QueryConfig, SelectionConfig
from desc.demo.corpus import write_corpus
from desc.descriptors.sequence import DescriptorSequence
from desc.query import Selection, distances_to, repeat_share, units_of_rows
from desc.query.neighbours import projected, usable_rows

FIXED_FRAMES = 11
"""255 ms at 1,024 samples of 44.1 kHz."""
CANDIDATES = QueryConfig(neighbours=SelectionConfig().candidates)
Values = npt.NDArray[np.float32]


def select_fixed(queries: Values, database: desc.DescriptorDatabase, digest: str) -> Selection:
    """Choose, for every 255 ms, the stretch whose frames are nearest in the mean."""
    points, rows = projected(queries, database)
    usable = usable_rows(database, QueryConfig(), digest)
    chosen = []
    for start in range(0, len(points), FIXED_FRAMES):
        block = points[start : start + FIXED_FRAMES]
        n_starts = len(rows) - len(block) + 1
        last = len(block) - 1
        whole = database.file_index[:n_starts] == database.file_index[last : last + n_starts]
        near = cdist(block, rows)
        total = sum(near[i, i : i + n_starts] for i in range(len(block)))
        best = int(np.argmin(np.where(whole & usable[:n_starts], total, np.inf)))
        chosen += range(best, best + len(block))
    found = np.array(chosen, np.int64)
    return Selection(units_of_rows(found, np.zeros(len(found)), database))


def jumps(selection: Selection, database: desc.DescriptorDatabase) -> list[float]:
    """Return the distance of each jump from the row that would have come next."""
    rows = selection.rows
    starts = np.array([unit.onset_frame for unit in selection.units[1:]], np.int64)
    ahead = np.minimum(rows[starts - 1] + 1, len(database) - 1)
    same = database.file_index[ahead] == database.file_index[rows[starts - 1]]
    starts, ahead = starts[same], ahead[same]
    return distances_to(rows[starts], database.values[ahead], database).tolist()


def excerpts(
    sequences: tuple[DescriptorSequence, ...], n_targets: int, n_frames: int
) -> list[tuple[Values, str]]:
    """Return excerpts from the middle of recordings, and the digest of each."""
    long = [s for s in sequences if len(s) >= n_frames] or list(sequences)
    step = max(1, len(long) // n_targets)
    found = []
    for sequence in long[::step][:n_targets]:
        start = max(0, (len(sequence) - n_frames) // 2)
        found.append((sequence.values[start : start + n_frames], sequence.digest))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="sounds [default: the demo corpus]")
    parser.add_argument("--targets", type=Path, help="recordings to be answered")
    parser.add_argument("--n_targets", type=int, default=8)
    parser.add_argument("--n_frames", type=int, default=512)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if args.folder is None:
            write_corpus(work, 0)
        store = desc.DescriptorStore(work / "cache" if args.folder is None else None)
        config = desc.DescriptorConfig()
        corpus = desc.open_corpus(args.folder or work / "database", config, store, jobs=1)
        own = work / "recordings" if args.folder is None else args.folder
        recordings = desc.open_corpus(args.targets or own, config, store, jobs=1)
        database = desc.DescriptorDatabase.from_corpus(corpus, store)
        compare(database, excerpts(recordings.sequences, args.n_targets, args.n_frames))


def compare(database: desc.DescriptorDatabase, targets: list[tuple[Values, str]]) -> None:
    """Print the table."""
    n_frames = sum(len(values) for values, _ in targets)
    print(f"{len(database)} rows, {len(targets)} targets, {n_frames} frames, one thread\n")
    start = time.process_time()
    found = [
        desc.nearest(values, database, None, CANDIDATES, exclude_digest=digest)
        for values, digest in targets
    ]
    spent = time.process_time() - start
    print(f"{'':22}{'run':>7}{'nrep':>8}{'jump':>7}{'distance':>10}{'s/1000':>9}")
    print(f"{'50 neighbours':54}{1000 * spent / n_frames:9.3f}")

    def path(**settings: object) -> Callable[[int], Selection]:
        chosen = SelectionConfig(**settings)  # type: ignore[arg-type]
        return lambda i: desc.select_path(
            found[i], targets[i][0], database, None, chosen, exclude_digest=targets[i][1]
        )

    methods: dict[str, Callable[[int], Selection]] = {
        "nearest": lambda i: desc.select_nearest(found[i], database),
        "fixed 255 ms": lambda i: select_fixed(targets[i][0], database, targets[i][1]),
        "path": path(),
        "path, continuity 0": path(continuity=0.0),
        "path, continuity 1": path(continuity=1.0),
        "path, no hold": path(hold_s=0.0),
        "path, each row once": path(max_use=1),
        "sample": path(selection="sample"),
    }
    for name, select in methods.items():
        start = time.process_time()
        selections = [select(i) for i in range(len(targets))]
        spent = time.process_time() - start
        run = n_frames / sum(len(s.units) for s in selections)
        repeats = np.mean([repeat_share(s, database) for s in selections])
        jump = np.median([d for s in selections for d in jumps(s, database)] or [0.0])
        far = np.mean(
            [
                distances_to(s.rows, values, database)
                for s, (values, _) in zip(selections, targets, strict=True)
            ]
        )
        print(
            f"{name:22}{run:7.1f}{repeats:8.3f}{jump:7.2f}{far:10.2f}{1000 * spent / n_frames:9.3f}"
        )


if __name__ == "__main__":
    main()
