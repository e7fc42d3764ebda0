"""Inverted lists beside exact search and faiss' flat index, in a large database, on one thread.

    python benchmarks/index.py --audio_db_dir recordings/ --folder /tmp/index     # 1 M rows
    python benchmarks/index.py --audio_db_dir recordings/ --folder /tmp/index --rows 10000000

The rows are copies of real recordings, each shifted by a constant (a tenth of the deviation of each
column) and with noise (a twentieth). One recording in six is left out; the queries are 512 frames
of one of them. Databases and indexes stay in the folder: a later run of the same size opens them.

Each kind is a process of its own: `build` makes the indexes, `ivf` and `exact` search and match,
`faiss` is IndexFlatL2. `database`, `open` and `prepare` open the database, its points and those
with the slow scale; `search` finds the 50 nearest rows of the frames by the distance of the
matching; `match` is all of `Matcher.match`, `lists` what a result lists besides. CPU seconds.
`cost` is that of the selection, `most_mib` the most memory that was resident, mapped files
included, `own_mib` what of it was no mapped file in the end.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import cpu_s, measured_apart, peak_mib

from desc.configuration import QueryConfig
from desc.corpus import Corpus, open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import Standardizer, from_unbounded, to_unbounded
from desc.matching import Matcher
from desc.matching.slow_scale import with_slow_scale
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig()
FRAMES, NEIGHBOURS = 512, 50
SHIFT, NOISE = 0.1, 0.05
"""Deviations of a copy's shift and of its noise, in those of each column."""
LEFT_OUT = 6
KINDS = "build", "ivf", "exact", "faiss"


def made(folder: Path, n_rows: int, audio: Sequence[str]) -> None:
    """Write rows, their statistics and the queries into the folder, unless they are there."""
    if (folder / "queries.npy").is_file():
        return
    recordings = open_corpus(audio, CONFIG, jobs=1).sequences
    used = [one for i, one in enumerate(recordings) if i % LEFT_OUT or len(recordings) == 1]
    asked = max(recordings[::LEFT_OUT], key=len)
    statistics = Standardizer.fit([one.values for one in used], CONFIG)
    rng, lengths, done = np.random.default_rng(0), [], 0
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rows.f4").open("wb") as file:
        while done < n_rows:
            values = used[len(lengths) % len(used)].values[: n_rows - done]
            one = to_unbounded(values, CONFIG.spaces)
            shift = SHIFT * rng.standard_normal(CONFIG.n_columns)
            noise = NOISE * rng.standard_normal(one.shape, np.float32)
            moved = from_unbounded(one + statistics.scale * (shift + noise), CONFIG.spaces)
            file.write(np.ascontiguousarray(moved, np.float32).data)
            lengths.append(len(one))
            done += len(one)
    np.savez(folder / "made.npz", lengths=lengths, mean=statistics.mean, scale=statistics.scale)
    middle = len(asked) // 2
    np.save(folder / "queries.npy", asked.values[middle : middle + FRAMES])


def opened(folder: Path) -> tuple[DescriptorDatabase, Standardizer]:
    """Return the database of a folder and its statistics."""
    about = np.load(folder / "made.npz")
    ends = np.cumsum(about["lengths"])
    flat = np.memmap(folder / "rows.f4", "<f4", "r").reshape(-1, CONFIG.n_columns)
    parts = zip(ends - about["lengths"], ends, strict=True)
    sequences = [
        DescriptorSequence(flat[a:b], CONFIG, f"{i}.wav", f"{i:032x}", int(b - a) * 1024)
        for i, (a, b) in enumerate(parts)
    ]
    corpus = Corpus(folder, CONFIG, tuple(sequences), (), 0)
    database = DescriptorDatabase.from_corpus(corpus, DescriptorStore(folder / "cache"))
    return database, Standardizer(about["mean"], about["scale"], CONFIG)


def timed(function: Callable[[], Any], times: dict[str, float], name: str) -> Any:
    """Call a function, and note its CPU seconds."""
    start = cpu_s()
    result = function()
    times[name] = cpu_s() - start
    return result


def own_mib() -> float:
    """Return the memory of this process that is no mapped file, in MiB; NaN but on Linux."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return np.nan
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def job(folder: Path, kind: str) -> dict[str, Any]:
    """Build, or search and match, by one kind of index; return times, memory and what was found."""
    times: dict[str, float] = {}
    queries = np.load(folder / "queries.npy")
    database, statistics = timed(lambda: opened(folder), times, "database")
    index = {"build": "ivf", "faiss": "exact"}.get(kind, kind)
    matcher = Matcher(database, statistics, query=QueryConfig(index=index))
    timed(lambda: matcher.corpus_points, times, "open")
    near = timed(lambda: matcher.transitions, times, "prepare").corpus_points
    found: dict[str, Any] = {}
    if kind == "faiss":
        import faiss

        faiss.omp_set_num_threads(1)
        faiss.cvar.distance_compute_blas_threshold = 20
        flat = faiss.IndexFlatL2(near.values.shape[1])
        flat.add(np.array(near.values))
    if kind != "build":
        selection = matcher.selection
        heard = with_slow_scale(matcher.space.project(queries), queries, selection, CONFIG)
        usable = np.ones(len(database), bool)
        if kind == "faiss":
            _, rows = timed(lambda: flat.search(heard, NEIGHBOURS), times, "search")
            found["rows"] = rows.tolist()
        else:
            nearest = timed(lambda: near.nearest(heard, usable, NEIGHBOURS), times, "search")
            match = timed(lambda: matcher.match(queries), times, "match")
            lists = timed(lambda: (match.neighbours, match.nearest_distances), times, "lists")
            timed(lambda: matcher.own_distance, times, "own distance")
            found["rows"] = nearest.rows.tolist()
            found["cost"] = sum(unit.cost for unit in match.units)
            found["distance"] = float(np.mean(lists[1]))
    return found | {"times": times, "most_mib": peak_mib(), "own_mib": own_mib()}


def measure(
    n_rows: int, folder: Path, audio: Sequence[str], kinds: Sequence[str] = KINDS
) -> dict[str, Any]:
    """Return what each kind of job measured, with recall and cost against the exact one.

    Parameters
    ----------
    n_rows : int
        Rows of the database.
    folder : Path
        Place of the database and its indexes.
    audio : sequence of str
        Folders of real recordings.
    kinds : sequence of str
        `build`, `ivf`, `exact`, `faiss`: see the description of this file.
    """
    made(folder, n_rows, audio)
    results = {}
    for kind in kinds:
        results[kind] = measured_apart(__file__, "--folder", str(folder), "--job", kind)
    rows = {kind: np.array(one.pop("rows")) for kind, one in results.items() if "rows" in one}
    for kind, found in rows.items():
        if "exact" in rows:
            hits = (found[:, None] == rows["exact"][:, :, None]).any(2)
            results[kind]["recall"] = float(hits.mean())
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio_db_dir", nargs="+", help="folders of real recordings")
    parser.add_argument("--folder", type=Path, required=True, help="place of the database")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--job", choices=KINDS, help="do one job and print its figures as JSON")
    args = parser.parse_args()
    if args.job:
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
        logging.getLogger("desc").setLevel(logging.INFO)
        print(json.dumps(job(args.folder, args.job)))
        return
    folder = args.folder / str(args.rows)
    results = measure(args.rows, folder, args.audio_db_dir, args.kinds)
    (folder / "results.json").write_text(json.dumps(results, indent=1), "utf-8")
    print(f"{args.rows} rows, {FRAMES} frames, {NEIGHBOURS} neighbours; seconds, one thread")
    for kind, result in results.items():
        times = "  ".join(f"{name} {seconds:.2f}" for name, seconds in result["times"].items())
        keys = ("recall", "cost", "distance", "most_mib", "own_mib")
        more = "  ".join(f"{key} {result[key]:.5g}" for key in keys if key in result)
        print(f"{kind:6}  {times}  {more}")


if __name__ == "__main__":
    main()
