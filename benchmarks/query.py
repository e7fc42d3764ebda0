"""Nearest neighbours, compared with torch.cdist, faiss and scipy's cKDTree, on one thread.

    python benchmarks/query.py                       # 5,000 queries, 100,000 rows
    python benchmarks/query.py --rows 1000000 --queries 500
    python benchmarks/query.py --distance cosine

Rows and queries have 39 columns that vary like descriptors; the space has 13. Ours is
`Matcher.neighbours` from descriptors to rows and distances, exact, with the database's projection
cached by an earlier call (the first call has a separate line). torch.cdist gets the projected
points, followed by argmin or topk; its distances are float32 and not exact. faiss (IndexFlatL2,
with BLAS blocks from 20 queries on) and the tree get the same points; only the search is timed, not
the construction. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import tracemalloc
from pathlib import Path

import numpy as np
import torch
from measuring import Values, Work, cpu_s, least_cpu_s, moving

from desc.configuration import DISTANCES, QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import Standardizer
from desc.matching import Matcher, Neighbours


def traced_mib(function: Work) -> float:
    """Return the most memory in MiB that arrays take while the function runs."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def faiss_search(points: Values, queries: Values, count: int) -> Work | None:
    """Return faiss' exact search of some neighbours, or None where it is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 20
    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    return lambda: index.search(queries, count)


def peers(
    points: Values, queries: Values, count: int, config: QueryConfig, *, tree: bool
) -> dict[str, Work]:
    """Return the other ways to find `count` neighbours, by name."""
    p = {"cityblock": 1.0, "minkowski": config.minkowski_p}.get(config.distance, 2.0)
    x, q = torch.from_numpy(points), torch.from_numpy(queries)
    if config.distance == "cosine":
        x, q = torch.nn.functional.normalize(x), torch.nn.functional.normalize(q)
    step = max(1, (1 << 29) // len(x))  # 2 GB of distances at once
    blocks = q.split(step)

    def find() -> object:
        if count == 1:
            return [torch.cdist(block, x, p=p).argmin(1) for block in blocks]
        return [torch.cdist(block, x, p=p).topk(count, largest=False) for block in blocks]

    found: dict[str, Work] = {f"torch.cdist + {'argmin' if count == 1 else 'topk'}": find}
    if p == 2:
        for extra in (0, 8):
            search = faiss_search(x.numpy(), q.numpy(), count + extra)
            if search is not None:
                found[f"faiss FlatL2, {count + extra} neighbours, no re-ranking"] = search
    if tree and config.distance != "cosine":
        from scipy.spatial import cKDTree

        built = cKDTree(points)
        found["scipy cKDTree"] = lambda: built.query(queries, count, p=p)
    return found


def disagreements(matches: Neighbours, points: Values, queries: Values) -> int:
    """Return how many of 50 queries have other euclidean neighbours by brute force in float64."""
    wrong = 0
    for query, rows in zip(queries[:50], matches.rows, strict=False):
        squares = ((points.astype(np.float64) - query) ** 2).sum(1)
        wrong += not np.array_equal(np.argsort(squares, kind="stable")[: len(rows)], rows)
    return wrong


def compare(
    database: DescriptorDatabase, queries: Values, config: QueryConfig, repeats: int, *, tree: bool
) -> None:
    """Print the times of ours and of the peers."""
    standardizer = Standardizer.fit([database.values], database.config)
    matcher = Matcher(database, standardizer, query=config)
    start = cpu_s()
    matches = matcher.neighbours(queries)
    first = cpu_s() - start
    points, asked = matcher.coordinates, matcher.space.project(queries)
    ours = "Matcher.neighbours"
    ways: dict[str, Work] = {ours: lambda: matcher.neighbours(queries)}
    ways |= peers(points, asked, config.neighbours, config, tree=tree)
    times = least_cpu_s(ways, repeats) | {f"{ours}, the first call": first}
    peer = next(duration for name, duration in times.items() if name.startswith("torch"))
    print(f"\n{config.neighbours} neighbours".ljust(49) + "   CPU s  µs/query  / torch")
    for name, duration in times.items():
        per_query = 1e6 * duration / len(queries)
        print(f"{name:48} {duration:7.3f} {per_query:9.0f} {duration / peer:8.2f}")
    peak = traced_mib(lambda: Matcher(database, standardizer, query=config).neighbours(queries))
    print(f"memory of ours, projection of the database included: {peak:.0f} MiB")
    if config.distance == "euclidean":
        wrong = disagreements(matches, points, asked)
        print(f"of 50 queries, other than by brute force in float64: {wrong}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--distance", default="euclidean", choices=DISTANCES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tree", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    descriptors = DescriptorConfig()
    values = moving(args.rows, descriptors, seed=0)
    sequence = DescriptorSequence(values, descriptors, "a.wav", "0" * 32, args.rows * 1024)
    database = DescriptorDatabase.from_sequences([sequence], Path.cwd())
    queries = moving(args.queries, descriptors, seed=1)
    print(f"{args.queries} queries, {args.rows} rows, {args.distance}, one thread")
    for count in (1, 50):
        config = QueryConfig(distance=args.distance, neighbours=count)
        compare(database, queries, config, args.repeats, tree=args.tree)


if __name__ == "__main__":
    main()
