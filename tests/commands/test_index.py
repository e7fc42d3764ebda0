"""`desc index`: what it builds serves later matches."""

from __future__ import annotations

from pathlib import Path

import pytest

from desc.commands.main import main
from desc.matching import point_cache
from tests.small_run import SmallRun


def test_a_match_finds_the_index_built(
    small_run: SmallRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sounds, held_out = (str(small_run.root / name) for name in ("training", "held_out"))
    common = ["--run_id", small_run.run_id, "--audio_db_dir", sounds, "--quiet"]
    common += small_run.options
    assert main(["index", *common]) == 0
    assert "too few for an index" in capsys.readouterr().out
    for words, why in ((["--index", "exact"], "exact"), (["--distance", "cityblock"], "cityblock")):
        assert main(["index", *common, *words]) == 0
        said = capsys.readouterr().out
        assert "no index, for" in said
        assert said.rstrip().endswith(why)
    assert main(["index", *common, "--index", "ivf"]) == 0
    index_dir = small_run.store.index_dir
    assert f"of 3 files: indexed in {index_dir}" in capsys.readouterr().out
    built = sorted(index_dir.rglob("*"))
    for name in ("train_lists", "encode_rows"):
        monkeypatch.delattr(point_cache, name)
    words = [*common, "--prediction_db_dir", held_out, "--output_dir", str(tmp_path), "--index"]
    main(["predict", *words, "ivf", "--prediction_length", "20", "--no-report"])
    assert "x.wav → " in capsys.readouterr().out
    assert sorted(index_dir.rglob("*")) == built
