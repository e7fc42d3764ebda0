"""A sharded search index of 100 million rows, built and searched one shard after the other.

    python benchmarks/scale.py FOLDER --rows 100e6 --work DIR     # an hour, 1 GB of disk
    python benchmarks/scale.py FOLDER --rows 4e6 --shard_rows 1e6 # minutes

FOLDER holds real recordings. Synthetic rows are drawn from their points in the match space:
stretches of 10 s, each moved by a random offset as between recordings, with noise. A tenth of the
recordings is kept for the queries. Each shard is an index of its own, as a worker would build it:
cells, lists, the number of cells to read. Every query asks every shard; the best are merged by
exact distance, and compared with an exact search of all rows. Points and lists of a shard are
removed once it is searched; what was found stays in DIR, so that the command may be stopped and
called again; other options make other shards. The shards of `desc index` share their cells instead.
Times are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from threadpoolctl import threadpool_limits

import desc
from desc.configuration import QueryConfig
from desc.matching import Matcher, Neighbours
from desc.matching.index import InvertedLists, encode_rows, train_lists
from desc.matching.knn import merged, search
from desc.matching.points import Points, measured

Float32 = npt.NDArray[np.float32]

STRETCH = 430
"""Frames of a stretch, 10 s."""
OFFSET, NOISE = 0.5, 0.25
"""Standard deviation of a stretch's offset, in that between recordings, and of the noise, in that
of a frame's change."""
COLUMNS = (
    *("rows", "train_s", "encode_s", "measure_s", "search_s", "exact_s"),
    *("n_probe", "recall", "lists_mb", "resident_mb"),
)
HELD_OUT = 10  # every tenth recording gives queries
QUERY = QueryConfig(index="ivf")


def real_points(folder: Path) -> tuple[list[Float32], Float32]:
    """Return the points of recordings to draw from, and of those kept for queries."""
    store = desc.DescriptorStore()
    database = desc.DescriptorDatabase.from_corpus(desc.open_corpus(folder, store=store), store)
    points = Matcher(database).coordinates
    ends = np.cumsum([file.n_frames for file in database.files])[:-1]
    recordings = [part for part in np.split(np.array(points), ends) if len(part) > STRETCH]
    held_out = np.concatenate(recordings[::HELD_OUT])
    return [part for i, part in enumerate(recordings) if i % HELD_OUT], held_out


def write_rows(path: Path, recordings: list[Float32], n_rows: int, seed: int) -> None:
    """Write synthetic points drawn from those of recordings."""
    random = np.random.default_rng(seed)
    means = np.stack([part.mean(0) for part in recordings])
    change = np.concatenate([np.diff(part, axis=0) for part in recordings]).std(0)
    weights = np.array([len(part) for part in recordings], float)
    with path.open("wb") as file:
        for start in range(0, n_rows, STRETCH):
            part = recordings[random.choice(len(recordings), p=weights / weights.sum())]
            first = random.integers(len(part) - STRETCH + 1)
            rows = part[first : first + min(STRETCH, n_rows - start)]
            offset = OFFSET * means.std(0) * random.standard_normal(rows.shape[1])
            noise = NOISE * change * random.standard_normal(rows.shape, np.float32)
            file.write((rows + offset + noise).astype(np.float32).data)


def recall(found: Neighbours, true: Neighbours) -> float:
    """Return the share of the true neighbours that were found."""
    return float((found.rows[:, None] == true.rows[:, :, None]).any(2).mean())


def made_of(args: argparse.Namespace, n_rows: int) -> list[str | int]:
    """Return all that a shard of so many rows depends on, besides its number."""
    return [str(args.folder.resolve()), n_rows, args.shard_rows, args.queries, args.neighbours]


def run_shard(
    work: Path, number: int, recordings: list[Float32], queries: Float32, args: argparse.Namespace
) -> None:
    """Build and search a shard, and keep what was found and its figures."""
    first = number * args.shard_rows
    n_rows = min(args.shard_rows, args.rows - first)
    points_path, trained, lists_path = (work / name for name in ("points", "trained", "lists"))
    figures = {"of": made_of(args, n_rows), "rows": n_rows}
    write_rows(points_path, recordings, n_rows, number)
    points = np.memmap(points_path, np.float32, "r").reshape(n_rows, -1)
    usable, ids = np.ones(n_rows, bool), np.arange(n_rows)
    clock = time.process_time()

    def lap(name: str) -> None:
        nonlocal clock
        figures[name] = time.process_time() - clock
        clock = time.process_time()

    train_lists(points, QUERY, trained)
    lap("train_s")
    encode_rows(trained, points, ids, QUERY, lists_path)
    lap("encode_s")
    lists = InvertedLists.open([lists_path], QUERY)
    starts = np.append(np.arange(0, n_rows, STRETCH), n_rows)
    n_probe = int(measured(Points(points, QUERY, lists), starts)["n_probe"])
    lap("measure_s")
    ours = Points(points, QUERY, lists, n_probe).nearest(queries, usable, args.neighbours)
    lap("search_s")
    true = search(queries, points, usable, args.neighbours, QUERY)
    lap("exact_s")
    figures |= {"n_probe": n_probe, "recall": recall(ours, true)}
    figures["lists_mb"] = lists_path.stat().st_size / 1e6
    figures["points_mb"] = points_path.stat().st_size / 1e6
    figures["resident_mb"] = psutil.Process().memory_info().rss / 1e6  # files mapped included
    found = {"rows": ours.rows + first, "distances": ours.distances}
    np.savez(work / f"shard{number}.npz", **found, true=true.rows + first, exact=true.distances)
    (work / f"shard{number}.json").write_text(json.dumps(figures))
    for path in (points_path, trained, lists_path):
        path.unlink()


def main() -> None:
    """Build and search the shards that are not done yet, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, default in (("rows", 1e8), ("shard_rows", 5e6), ("queries", 512), ("neighbours", 50)):
        parser.add_argument(f"--{name}", type=lambda text: int(float(text)), default=int(default))
    parser.add_argument("--work", type=Path, default=Path("scale"))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    recordings, held_out = real_points(args.folder)
    queries = held_out[np.linspace(0, len(held_out) - 1, args.queries).astype(int)]
    every, parts, true = [], [], []
    print("shard" + "".join(f"{name:>12}" for name in COLUMNS))
    for number in range(-(-args.rows // args.shard_rows)):
        path = args.work / f"shard{number}.json"
        wanted = made_of(args, min(args.shard_rows, args.rows - number * args.shard_rows))
        if not path.is_file() or json.loads(path.read_text()).get("of") != wanted:
            run_shard(args.work, number, recordings, queries, args)
        every.append(figures := json.loads(path.read_text()))
        print(f"{number:5}" + "".join(f"{figures[name]:12.4g}" for name in COLUMNS), flush=True)
        with np.load(args.work / f"shard{number}.npz") as stored:
            parts.append(Neighbours(stored["rows"], stored["distances"]))
            true.append(Neighbours(stored["true"], stored["exact"]))
        ours, best = (merged(side, args.neighbours) for side in (parts, true))
        total = {name: sum(one[name] for one in every) for name in COLUMNS}
        far = ours.distances.mean() / best.distances.mean() - 1
        print(
            f"  all {total['rows']:11} rows: recall@{args.neighbours} {recall(ours, best):.4f}, "
            f"distances {100 * far:+.3f} %; search {total['search_s']:.2f} s, exact "
            f"{total['exact_s']:.2f} s, lists {total['lists_mb']:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
