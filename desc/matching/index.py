"""Inverted lists by faiss: the likely neighbours among millions of points, without reading all.

k-means divides a sample of the points into cells. Each point is in the list of its nearest cell, as
8-bit codes along the principal axes. A search reads the lists of the cells nearest to a query and
returns candidates, whose distances are then computed exactly (`knn.ranked`).

Lists are made in parts, by several processes or machines that share a folder:

    train_lists(points, query, trained)                     # once; a sample is enough
    encode_rows(trained, points[a:b], np.arange(a, b), query, part)  # for each range, anywhere
    join_lists(parts, shard)                                # for some parts each
    InvertedLists.open(shards, query).candidates(queries, usable, count, n_probe)

A search asks every shard and keeps the nearest by their codes, as from one index of all rows:
shards have the same cells. On a Dask cluster a worker searches each shard. `trained`, `part` and
`shard` are files. Without faiss, `faiss_module` raises an error that says what to install.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.cluster import active_cluster, call_on_workers
from desc.configuration import QueryConfig
from desc.errors import DescError
from desc.files import replacing
from desc.matching.arrays import Bools, Float32, Int32, Rows
from desc.matching.knn import normalised

INSTALL = "pip install 'descriptor-transformer[search]'"
CELLS_PER_ROOT = 2.0
"""Cells, in square roots of the number of points."""
SAMPLES_PER_CELL, ROUNDS = 64, 8
"""Points of the sample per cell, and rounds of k-means."""
MAX_AXES, AXES_TOGETHER = 32, 8
"""More columns than that are turned to half as many principal axes, or that many; codes are
compared in groups of 8 columns."""
BLOCK_ROWS = 1 << 16
"""Rows encoded at once, and fewest of the sample."""


def faiss_module() -> Any:
    """Return faiss, limited to one thread: results then do not depend on the machine.

    Raises
    ------
    DescError
        If it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        message = f"index='ivf' needs faiss, which is not installed: {INSTALL}"
        raise DescError(message) from error
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 20  # queries from which many are compared at once
    return faiss


def has_faiss() -> bool:
    """Whether faiss is installed; it is not imported."""
    return importlib.util.find_spec("faiss") is not None


@dataclass(frozen=True, eq=False)
class InvertedLists:
    """Inverted lists of files, memory-mapped.

    Attributes
    ----------
    paths : tuple of Path
        The files.
    shards : tuple of faiss.Index
        Rotation, cells and lists; each has lists of its own rows.
    query : QueryConfig
        The distance, euclidean or cosine.
    """

    paths: tuple[Path, ...]
    shards: tuple[Any, ...]
    query: QueryConfig

    @classmethod
    def open(cls, paths: Sequence[Path], query: QueryConfig) -> InvertedLists | None:
        """Open what `join_lists` or `encode_rows` wrote; None if one is missing or damaged."""
        try:
            return cls(tuple(paths), tuple(map(_shard, paths)), query)
        except RuntimeError:
            return None

    def __len__(self) -> int:
        return sum(int(shard.ntotal) for shard in self.shards)

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return int(faiss_module().extract_index_ivf(self.shards[0]).nlist)

    def candidates(self, queries: Float32, usable: Bools, count: int, n_probe: int) -> Rows:
        """Return likely neighbours of points (T, d), (T, count); −1 where there are fewer.

        Parameters
        ----------
        queries : ndarray of float32, (T, d)
            Points.
        usable : ndarray of bool, (N,)
            Rows that may be found.
        count : int
            Number of candidates.
        n_probe : int
            Cells whose lists are read.

        Raises
        ------
        DescError
            If workers of a cluster died while they searched a shard.
        """
        bits = None if usable.all() else np.packbits(usable, bitorder="little")
        settings = _placed(queries, self.query), bits, count, n_probe
        cluster = active_cluster() if len(self.shards) > 1 else None
        if cluster is None:
            found = [_found(shard, *settings) for shard in self.shards]
        else:
            answers = call_on_workers(cluster, partial(search_file, settings), self.paths)
            known = {path: answer for path, answer in answers if answer is not None}
            if lost := [str(path) for path in self.paths if path not in known]:
                raise DescError(f"workers died while they searched {', '.join(lost)}")
            found = [known[path] for path in self.paths]
        distances, rows = (np.concatenate(side, 1) for side in zip(*found, strict=True))
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
        kept: Rows = np.take_along_axis(rows, nearest, 1)
        return kept


def search_file(settings: Any, path: Path) -> tuple[Float32, Rows]:
    """Search a shard, see `InvertedLists.candidates`; runs in any process."""
    return _found(_shard(path), *settings)


def _shard(path: Path) -> Any:
    faiss = faiss_module()
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _found(
    shard: Any, placed: Float32, bits: npt.NDArray[np.uint8] | None, count: int, n_probe: int
) -> tuple[Float32, Rows]:
    """Return the distances of a shard's candidates by their codes, and their rows, (T, count)."""
    faiss = faiss_module()
    options = faiss.SearchParametersIVF(nprobe=n_probe)
    if bits is not None:
        options.sel = selector = faiss.IDSelectorBitmap(bits)  # noqa: F841 (kept alive)
    parameters = faiss.SearchParametersPreTransform(index_params=options)
    distances, rows = shard.search(placed, count, params=parameters)
    return distances, rows


def n_cells(n_rows: int) -> int:
    """Return the number of cells for so many points."""
    return max(1, min(round(CELLS_PER_ROOT * math.sqrt(n_rows)), n_rows // SAMPLES_PER_CELL))


def train_lists(points: Float32, query: QueryConfig, path: Path) -> None:
    """Find the cells and axes of points (N, d) by a sample, and write them to a file."""
    faiss, d, cells = faiss_module(), points.shape[1], n_cells(len(points))
    size = min(len(points), max(SAMPLES_PER_CELL * cells, BLOCK_ROWS))
    sample = points[np.linspace(0, len(points) - 1, size).astype(np.int64)]
    half = max(MAX_AXES, AXES_TOGETHER * round(d / 2 / AXES_TOGETHER))
    whole = AXES_TOGETHER * math.ceil(d / AXES_TOGETHER)
    first = f"PCA{half}" if MAX_AXES < d <= size else f"Pad{whole}"  # a few points have fewer axes
    index = faiss.index_factory(d, f"{first},IVF{cells},SQ8")
    clustering = faiss.extract_index_ivf(index).cp
    clustering.niter, clustering.min_points_per_centroid = ROUNDS, 1
    clustering.max_points_per_centroid = SAMPLES_PER_CELL
    index.train(_placed(sample, query))
    _write(index, path)


def encode_rows(trained: Path, points: Float32, rows: Rows, query: QueryConfig, path: Path) -> None:
    """Write the lists of some points.

    Parameters
    ----------
    trained : Path
        What `train_lists` wrote.
    points : ndarray of float32, (n, d)
        The points.
    rows : ndarray of int64, (n,)
        Their rows, by which they are found.
    query : QueryConfig
        The distance.
    path : Path
        The file.
    """
    index = faiss_module().read_index(str(trained))
    for start in range(0, len(points), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        index.add_with_ids(_placed(points[block], query), rows[block])
    _write(index, path)


def join_lists(parts: Sequence[Path], path: Path) -> None:
    """Write the lists of several files, of the same training, as one."""
    faiss = faiss_module()
    index = faiss.read_index(str(parts[0]))
    for part in parts[1:]:  # one of them in memory at a time
        index.merge_from(faiss.read_index(str(part)), 0)
    _write(index, path)


def renumber_lists(source: Path, trained: Path, new_rows: Int32, path: Path) -> None:
    """Write lists of a file with other row numbers, (N,) by the old ones; −1 drops a row."""
    faiss, n_rows = faiss_module(), 0
    index, old = faiss.read_index(str(trained)), faiss.read_index(str(source))
    into, lists = (faiss.extract_index_ivf(one).invlists for one in (index, old))
    for cell in range(lists.nlist):
        size = lists.list_size(cell)
        if size:
            rows = new_rows[faiss.rev_swig_ptr(lists.get_ids(cell), size)].astype(np.int64)
            codes = faiss.rev_swig_ptr(lists.get_codes(cell), size * lists.code_size)
            kept = rows >= 0
            rows, codes = rows[kept], codes.reshape(size, -1)[kept]
            into.add_entries(cell, len(rows), faiss.swig_ptr(rows), faiss.swig_ptr(codes))
            n_rows += len(rows)
    index.ntotal = faiss.extract_index_ivf(index).ntotal = n_rows
    _write(index, path)


def _write(index: Any, path: Path) -> None:
    with replacing(path) as temporary:
        try:
            faiss_module().write_index(index, str(temporary))
        except RuntimeError as error:
            raise OSError(str(error)) from error


def _placed(points: Float32, query: QueryConfig) -> Float32:
    """Return points (n, d) for the euclidean distance to order as the query's does."""
    placed = normalised(points) if query.distance == "cosine" else points
    return np.ascontiguousarray(placed, np.float32)
