"""`desc.evaluate` in the library: a short name, tables as text, a DataFrame."""

from __future__ import annotations

import pytest

import desc
from desc.evaluation.tables import Evaluation
from tests.small_run import SmallRun


@pytest.fixture(scope="module")
def result(small_run: SmallRun) -> Evaluation:
    return desc.evaluate(
        str(small_run.record.folder),
        small_run.root / "held_out",
        desc.EvaluateConfig(excerpt_frames=64, n_draws=2),
        store=small_run.store,
    )


def test_its_name_is_short_and_its_text_is_the_tables(
    result: Evaluation, small_run: SmallRun
) -> None:
    name = f"{small_run.run_id} LSTM"
    assert repr(result) == (
        f"Evaluation({name}: 12 excerpts of 2 recordings, 64 frames continued for 64)"
    )
    lines = str(result).splitlines()
    assert lines[0] == "12 excerpts of 2 recordings, 64 frames continued for 64, 2 draws"
    assert any(line.startswith(name) for line in lines)
    assert max(map(len, lines)) < 120
    assert any(line.startswith("note: left out: short.wav") for line in lines)


def test_the_text_says_which_values_are_better_and_marks_the_best(result: Evaluation) -> None:
    lines = str(result).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("realism"))
    assert lines[head + 1].split() == [
        "better:", "1", "1", "low", "low", "low", "low", ".5", "real"
    ]  # fmt: skip
    block = lines[head : lines.index("", head)]
    assert max(map(len, block)) <= 100
    marked = [line for line in block if "*" in line]
    assert marked
    named = ("VAR + noise", "VAR, replay", result.runs[0].name)
    assert all(line.startswith(named) for line in marked)
    fd = {row.name: row.figures["fd"] for row in result.tables[0].rows if row.name in named}
    best = min(fd, key=lambda name: fd[name])
    assert f"{fd[best]:.2f}*" in next(line for line in block if line.startswith(best))


def test_a_verdict_names_the_linear_baseline(result: Evaluation) -> None:
    (sentence,) = result.verdicts
    assert sentence.startswith(result.runs[0].name)
    assert "the linear baseline (VAR, replay)" in sentence
    assert sentence in " ".join(str(result).split())
    assert result.to_dict()["verdicts"] == [sentence]


def test_it_becomes_a_dataframe(result: Evaluation) -> None:
    table = result.to_dataframe()
    assert list(table["name"]) == [row.name for row in result.tables[0].rows]
    assert set(table["kind"]) == {"reference", "baseline", "run"}
    assert set(table["table"]) == {"short"}
    assert table.set_index("name").loc["loop of the context", "novelty"] == 0


def test_its_figures_are_those_of_the_rows(result: Evaluation) -> None:
    content = result.to_dict()
    assert content["settings"]["n_draws"] == 2
    (table,) = content["tables"]
    for row, given in zip(table["rows"], result.tables[0].rows, strict=True):
        assert row["figures"]["fd"] == given.figures["fd"]
        assert row["kind"] == given.kind
