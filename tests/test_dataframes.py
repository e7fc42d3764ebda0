"""Tables are pandas DataFrames; without pandas the error says what to install."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from desc.dataframes import dataframe
from desc.errors import DescError


def test_rows_columns_and_arrays_become_tables() -> None:
    rows = dataframe([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    assert rows.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    columns = dataframe({"a": [1, 2]}, index=("frame", np.arange(5, 7)))
    assert columns.index.name == "frame"
    assert list(columns.index) == [5, 6]
    array = dataframe(np.eye(2), ["a", "b"])
    assert array["b"].tolist() == [0.0, 1.0]


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DescError, match="pip install pandas"):
        dataframe([])
