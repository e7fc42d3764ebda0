"""The single nearest row by faiss, exact like the search of `knn`."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from desc.configuration import QueryConfig
from desc.matching import nearest_one
from desc.matching.knn import search
from desc.matching.nearest_one import can_find_one, find_one

QUERY = QueryConfig()


@pytest.mark.parametrize(("far", "most"), [(0.0, 1 << 26), (1e4, 1 << 26), (0.0, 60)])
def test_the_nearest_row_is_that_of_the_exact_search(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, far: float, most: int
) -> None:
    monkeypatch.setattr(nearest_one, "MAX_MINIMA", most)  # the last: ten queries at once
    rows = (far + rng.standard_normal((3000, 13))).astype(np.float32)
    rows[2000:2100] = rows[:100]  # equal rows: the lower one is taken
    queries = np.concatenate([rows[:50], far + rng.standard_normal((200, 13)).astype(np.float32)])
    queries = queries.astype(np.float32)
    for usable in (np.ones(3000, bool), np.arange(3000) >= 700, np.arange(3000) == 2999):
        found = find_one(queries, rows, usable, QUERY)
        true = search(queries, rows, usable, 1, QUERY)
        np.testing.assert_array_equal(found.rows, true.rows)
        np.testing.assert_array_equal(found.distances, true.distances)


def test_faiss_is_only_loaded_for_large_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    assert not can_find_one(QUERY, 10**6, 13)
    assert can_find_one(QUERY, 10**10, 13)
    assert not can_find_one(QUERY, 10**10, 39)
    assert not can_find_one(QueryConfig(distance="cosine"), 10**10, 13)
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert not can_find_one(QUERY, 10**10, 13)
