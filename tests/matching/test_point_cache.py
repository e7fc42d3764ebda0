"""Points in the cache and their inverted lists: right, resumed, updated, without faiss."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from filelock import FileLock

from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, DescError
from desc.matching import Matcher, Neighbours, index, point_cache, points
from desc.matching.knn import merged, search
from desc.matching.point_cache import PointCache

CONFIG = DescriptorConfig(n_mfcc=5, descriptors=("mfcc",))
IVF, EXACT = QueryConfig(index="ivf"), QueryConfig(index="exact")
Values = npt.NDArray[np.float32]


def sequence(name: str, n: int = 150) -> DescriptorSequence:
    seed = int.from_bytes(name.encode(), "little")
    steps = np.random.default_rng(seed).standard_normal((n, CONFIG.n_columns))
    values = np.cumsum(steps, 0).astype(np.float32)
    return DescriptorSequence(values, CONFIG, f"{name}.wav", f"digest {name}", n * 1024)


def database_of(folder: Path | None, names: str, n: int = 150) -> DescriptorDatabase:
    sequences = [sequence(name, n) for name in names]
    return replace(DescriptorDatabase.from_sequences(sequences, "/corpus"), index_dir=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index" / "v1"


@pytest.fixture
def everything_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells are read, so that an index finds what an exact search finds."""
    monkeypatch.setattr(points, "FEWEST_CELLS", 1000)


def same(matcher: Matcher, exact: Matcher, queries: Values, count: int = 5) -> None:
    found, true = matcher.neighbours(queries, count), exact.neighbours(queries, count)
    np.testing.assert_array_equal(found.rows, true.rows)
    np.testing.assert_array_equal(found.distances, true.distances)


@pytest.mark.usefixtures("everything_probed")
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_with_all_lists_read_the_index_equals_brute_force(folder: Path, distance: str) -> None:
    database, queries = database_of(folder, "abcdef"), sequence("q", 20).values
    query = replace(IVF, distance=distance)
    matcher, exact = (
        Matcher(database, query=query),
        Matcher(database, query=replace(query, index="exact")),
    )
    for count in (1, 50):
        same(matcher, exact, queries, count)
    own = sequence("c")  # of a recording itself no row is found
    found = matcher.neighbours(own, 3).rows
    assert not np.isin(found, range(300, 450)).any()
    np.testing.assert_array_equal(found, exact.neighbours(own, 3).rows)
    assert matcher.match(queries).units == exact.match(queries).units


@pytest.mark.parametrize("most", [40, 1 << 14])
def test_what_the_cells_read_do_not_hold_is_found_exactly(
    folder: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """More neighbours than an index is asked for, or than the lists read have."""
    database, queries = database_of(folder, "abcdef"), sequence("q", 3).values
    matcher = Matcher(database, query=IVF)
    one_cell = replace(matcher.corpus_points, n_probe=1)
    monkeypatch.setattr(points, "MAX_CANDIDATES", most)
    monkeypatch.setattr(points, "USUAL", 1000)
    projected, usable = matcher.space.project(queries), np.ones(900, bool)
    found = one_cell.nearest(projected, usable, 850)
    true = search(projected, one_cell.values, usable, 850, EXACT)
    np.testing.assert_array_equal(found.rows, true.rows)
    np.testing.assert_array_equal(found.distances, true.distances)


def test_as_many_cells_are_read_as_the_recall_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "FEWEST_CELLS", 2)
    values = np.random.default_rng(3).standard_normal((2000, 6)).astype(np.float32)
    index.train_lists(values, IVF, tmp_path / "trained")
    index.encode_rows(tmp_path / "trained", values, np.arange(2000), IVF, tmp_path / "rows")
    lists = index.InvertedLists.open([tmp_path / "rows"], IVF)
    assert lists is not None
    assert lists.n_cells == 31
    whole = points.Points(values, IVF, lists)
    found = {}
    for wanted in (0.1, 0.9, 1.1):
        monkeypatch.setattr(points, "RECALL", wanted)
        found[wanted] = points.measured(whole, np.array([0, 1000, 2000]))
    assert found[0.1]["n_probe"] == 4, "twice the fewest"
    assert 0.1 <= found[0.1]["recall"] < 0.9 <= found[0.9]["recall"] < 1
    assert 4 < found[0.9]["n_probe"] < 31
    assert found[1.1] == {"n_probe": 31, "recall": 1.0}, "all cells read: as an exact search"


@pytest.mark.parametrize("n_rows", [1, 9, 20, 300])
def test_few_rows_of_many_columns_have_an_index(tmp_path: Path, n_rows: int) -> None:
    values = np.random.default_rng(4).standard_normal((n_rows, 39)).astype(np.float32)
    cache = PointCache(tmp_path / "index" / "v1", "s", [("a", n_rows)], lambda r: values[r], IVF)
    opened, usable = cache.open(with_lists=True), np.ones(n_rows, bool)
    assert opened.lists is not None
    near = opened.nearest(values + np.float32(0.01), usable, 1)
    np.testing.assert_array_equal(near.rows[:, 0], np.arange(n_rows))


@pytest.mark.usefixtures("everything_probed")
def test_an_updated_index_finds_what_a_new_one_finds(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, trained = sequence("q", 20).values, []
    train = index.train_lists
    monkeypatch.setattr(
        point_cache, "train_lists", lambda *given: trained.append(given) or train(*given)
    )
    statistics = Matcher(database_of(None, "abcdef")).corpus_statistics
    for names in ("jbcdefghi", "bcdefghib"):
        trained.clear()
        here = tmp_path / names / "v1"
        Matcher(database_of(here, "abcdefghi"), statistics, query=IVF).match(queries)
        assert len(trained) == 2  # for frames, and with the slow scale
        matcher = Matcher(database_of(here, names), statistics, query=IVF)
        exact = Matcher(database_of(None, names), statistics, query=EXACT)
        same(matcher, exact, queries)
        np.testing.assert_array_equal(matcher.transitions.points, exact.transitions.points)
        assert matcher.match(queries).units == exact.match(queries).units
        assert len(trained) == 2, "known cells serve"
    Matcher(database_of(here, "klmnopqrs"), statistics, query=IVF).match(queries)
    assert len(trained) == 4, "nothing of the old database is left"


@pytest.mark.usefixtures("everything_probed")
def test_many_lists_are_kept_in_shards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_cache, "PART_ROWS", 500)
    monkeypatch.setattr(point_cache, "SHARD_BYTES", 1)
    queries = sequence("q", 20).values
    statistics = Matcher(database_of(None, "abcdef")).corpus_statistics
    for names, n_shards in (("abcdefghi", 3), ("jbcdefghi", 4)):  # the second: with one more
        matcher = Matcher(database_of(folder, names), statistics, query=IVF)
        exact = Matcher(database_of(None, names), statistics, query=EXACT)
        for count in (1, 50):
            same(matcher, exact, queries, count)
        lists = matcher.corpus_points.lists
        assert lists is not None
        assert len(lists.shards) == n_shards
        assert len(lists) == 9 * 150


class KilledError(BaseException):
    pass


class Killer:
    """A function that is killed at one of its calls."""

    def __init__(self, function: Callable[..., Any], at: int) -> None:
        self.function, self.left, self.calls = function, at, 0

    def __call__(self, *given: Any) -> Any:
        self.calls += 1
        self.left -= 1
        if not self.left:
            raise KilledError
        return self.function(*given)


@pytest.mark.usefixtures("everything_probed")
@pytest.mark.parametrize(
    ("stage", "at", "calls_after"),
    [("compute", 5, 4), ("train_lists", 1, 1), ("encode_rows", 3, 2), ("join_lists", 1, 1)],
)
def test_a_killed_build_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str, at: int, calls_after: int
) -> None:
    monkeypatch.setattr(point_cache, "PART_ROWS", 500)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((1800, 4)).astype(np.float32)
    files = [(name, 300) for name in "abcdef"]
    compute = Killer(lambda rows: values[rows], at if stage == "compute" else 0)
    cache = PointCache(folder, "space", files, compute, IVF)
    killer = compute
    if stage != "compute":
        killer = Killer(getattr(point_cache, stage), at)
        monkeypatch.setattr(point_cache, stage, killer)
    with pytest.raises(KilledError):
        cache.open(with_lists=True)
    assert not list(folder.rglob("rows.*"))
    assert bool(list(folder.rglob("points.json"))) == (stage != "compute")
    killer.calls = 0
    opened = cache.open(with_lists=True)
    assert killer.calls == calls_after, "what was done is not done again"
    np.testing.assert_array_equal(opened.values, values)
    queries, usable = values[::100] + np.float32(0.1), np.ones(1800, bool)
    exact = search(queries, values, usable, 7, EXACT)
    np.testing.assert_array_equal(opened.nearest(queries, usable, 7).rows, exact.rows)
    names = {f"{stem}.faiss" for stem in ("trained", "rows")} | {"points.f4", "lock"}
    names |= {f"{stem}.json" for stem in ("points", "trained", "rows")}
    assert {path.name for path in cache.folder.iterdir()} == names


@pytest.mark.parametrize("is_cut", [True, False])
@pytest.mark.parametrize("name", ["points.f4", "trained.faiss", "rows.faiss", "rows.json"])
def test_a_damaged_file_is_built_again(folder: Path, name: str, is_cut: bool) -> None:
    database, queries = database_of(folder, "abc"), sequence("q", 3).values
    first = Matcher(database, query=IVF)
    found, coordinates = first.neighbours(queries), np.array(first.coordinates)
    for path in folder.rglob(name):
        whole = path.read_bytes()
        middle = len(whole) // 2
        flipped = bytes([whole[middle] ^ 0x40])
        path.write_bytes(whole[:-9] if is_cut else whole[:middle] + flipped + whole[middle + 1 :])
        if name == "trained.faiss":  # it is used where the lists are gone
            path.with_name("rows.json").unlink()
    second = Matcher(database, query=IVF)
    np.testing.assert_array_equal(second.coordinates, coordinates)
    again = second.neighbours(queries)
    np.testing.assert_array_equal(again.rows, found.rows)
    np.testing.assert_array_equal(again.distances, found.distances)


def test_parts_of_another_training_are_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build is killed, then goes on with the cells of an index that is removed later."""
    monkeypatch.setattr(point_cache, "PART_ROWS", 500)
    values = np.random.default_rng(0).standard_normal((2100, 4)).astype(np.float32)
    values[1800:] += 3  # a file that only the other index has
    rows_of = {name: slice(i * 300, i * 300 + 300) for i, name in enumerate("abcdefg")}

    def cache(names: str) -> PointCache:
        rows = np.concatenate([np.arange(2100)[rows_of[name]] for name in names])
        files = [(name, 300) for name in names]
        return PointCache(folder, "space", files, lambda part: values[rows[part]], IVF)

    encode = index.encode_rows
    monkeypatch.setattr(point_cache, "encode_rows", Killer(encode, 3))
    with pytest.raises(KilledError):
        cache("abcdef").open(with_lists=True)  # two parts with its own cells
    monkeypatch.setattr(point_cache, "encode_rows", encode)
    cache("abcdefg").open(with_lists=True)
    join = index.join_lists
    monkeypatch.setattr(point_cache, "join_lists", Killer(join, 1))
    with pytest.raises(KilledError):
        cache("abcdef").open(with_lists=True)  # a copy of the other's cells
    monkeypatch.setattr(point_cache, "join_lists", join)
    shutil.rmtree(cache("abcdefg").folder)
    opened = cache("abcdef").open(with_lists=True)
    assert opened.lists is not None
    near = opened.lists.candidates(values[:1800], np.ones(1800, bool), 1, 1)[:, 0]
    assert (near == np.arange(1800)).mean() > 0.95, "each row is in the list of its nearest cell"


def test_parts_of_one_recording_in_memory_are_apart() -> None:
    whole, queries = sequence("a", 600), sequence("q", 20).values
    for part in (whole[:300], whole[300:]):
        database = DescriptorDatabase.from_sequences([part], "/corpus")
        statistics = Matcher(database_of(None, "ab")).corpus_statistics
        matcher = Matcher(database, statistics, query=IVF)
        exact = Matcher(database, statistics, query=EXACT)
        np.testing.assert_array_equal(matcher.coordinates, exact.coordinates)
        assert matcher.neighbours(queries, 3).distances.min() > 0


def test_a_cache_that_cannot_be_written_costs_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.write_text("no folder")
    queries = sequence("q", 3).values
    for names in ("ab", "cd"):
        database, alone = database_of(folder, names), database_of(None, names)
        matcher = Matcher(database, query=IVF)
        same(matcher, Matcher(alone, query=EXACT), queries)
        assert matcher.corpus_points.lists is not None
    assert caplog.text.count("this process keeps such files in a temporary folder") == 1
    assert folder.parent.read_text() == "no folder"


def test_the_second_of_two_builders_says_that_it_waits(folder: Path) -> None:
    values = np.zeros((9, 4), np.float32)
    cache = PointCache(folder, "space", [("a", 9)], lambda rows: values[rows], EXACT)
    cache.folder.mkdir(parents=True)
    lock, lines = FileLock(cache.folder / "lock", thread_local=False), list[str]()

    class Releaser(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            lock.release()

    handler, logger = Releaser(), logging.getLogger(point_cache.__name__)
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    holder = threading.Thread(target=lock.acquire)
    holder.start()
    holder.join()
    try:
        assert len(cache.open(with_lists=False)) == 9
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert lines == [f"{cache.folder}: waiting for another process that builds this index"]


def test_more_rows_than_their_numbers_hold_are_refused() -> None:
    with pytest.raises(DescError, match="2,147,483,648 rows, of at most 2,147,483,647"):
        point_cache.database_points(
            database_of(None, "a"), "space", lambda rows: np.zeros((9, 4)), EXACT, [2**31]
        )


def test_a_database_in_memory_has_an_index_only_if_asked(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(point_cache, "MANY_ROWS", 100)
    monkeypatch.setattr(points, "MANY_ROWS", 100)
    assert Matcher(database_of(None, "a")).corpus_points.lists is None
    assert Matcher(database_of(None, "a"), query=IVF).corpus_points.lists is not None
    assert Matcher(database_of(folder, "a")).corpus_points.lists is not None
    exact = Matcher(database_of(folder, "b"), query=EXACT).corpus_points
    assert exact.lists is None
    assert isinstance(exact.values, np.memmap), "many rows are not kept in memory"


def test_without_faiss_an_error_or_a_line_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database, queries = database_of(folder, "ab"), sequence("q", 3).values
    monkeypatch.setitem(sys.modules, "faiss", None)
    remedy = r"pip install 'descriptor-transformer\[search\]'"
    with pytest.raises(DescError, match=f"index='ivf' needs faiss, .* not installed: {remedy}"):
        Matcher(database, query=IVF).neighbours(queries)
    monkeypatch.setattr(points, "MANY_ROWS", 100)
    with caplog.at_level(logging.INFO, "desc"):
        same(Matcher(database), Matcher(database, query=EXACT), queries)
    assert "pip install 'descriptor-transformer[search]'" in caplog.text


def test_an_index_needs_a_distance_that_it_knows() -> None:
    with pytest.raises(ConfigurationError, match="index='ivf' must be auto or exact unless"):
        QueryConfig(index="ivf", distance="cityblock")
    assert QueryConfig(index="auto", distance="cityblock").index == "auto"


def test_shards_answer_together_as_one_index(tmp_path: Path) -> None:
    """The functions that build an index in parts, and one per part, on their own."""
    values = np.random.default_rng(1).standard_normal((900, 5)).astype(np.float32)
    queries, usable = values[:9] + np.float32(0.1), np.ones(900, bool)
    exact = search(queries, values, usable, 4, EXACT)
    trained, parts = tmp_path / "trained", [tmp_path / "0", tmp_path / "1"]
    index.train_lists(values, IVF, trained)
    for part, first in zip(parts, (0, 500), strict=True):
        rows = np.arange(first, min(first + 500, 900))
        index.encode_rows(trained, values[rows], rows, IVF, part)
    index.join_lists(parts, tmp_path / "all")
    lists = index.InvertedLists.open([tmp_path / "all"], IVF)
    assert lists is not None
    together = points.Points(values, IVF, lists, lists.n_cells).nearest(queries, usable, 4)
    found = []
    for first, stop in ((0, 500), (500, 900)):
        shard, own = tmp_path / f"shard{first}", values[first:stop]
        index.encode_rows(trained, own, np.arange(len(own)), IVF, shard)
        lists = index.InvertedLists.open([shard], IVF)
        assert lists is not None
        asked = points.Points(own, IVF, lists, lists.n_cells)
        near = asked.nearest(queries, usable[first:stop], 4)
        found.append(Neighbours(first + near.rows, near.distances))
    for one in (together, merged(found, 4)):
        np.testing.assert_array_equal(one.rows, exact.rows)
        np.testing.assert_array_equal(one.distances, exact.distances)
