"""Rendered continuations: aligned, at the recording's level, beside their reference."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import soundfile

from desc.configuration import SelectionConfig
from desc.descriptors.config import DescriptorConfig
from desc.evaluation import rendered
from desc.evaluation.rendered import heard_frames
from desc.matching import Matcher
from tests.browser import Browser
from tests.small_run import SmallRun


@pytest.fixture(scope="session")
def sounds(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The held-out recordings in other files: the same samples, another content."""
    folder = tmp_path_factory.mktemp("sounds")
    for name in ("x", "y"):
        audio, rate = soundfile.read(small_run.root / "held_out" / f"{name}.wav", dtype="int16")
        soundfile.write(folder / f"{name}.flac", audio, rate)
    return folder


@pytest.fixture(scope="session")
def evaluated(small_run: SmallRun, sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation with rendered sound.

    By frames alone: at the ends of so short an excerpt, the slow scale differs from the folder's.
    """
    folder, words = tmp_path_factory.mktemp("rendered"), ["--sample_audio_db_dir", str(sounds)]
    by_frames = partial(Matcher, selection=SelectionConfig.styled("granular"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendered, "Matcher", by_frames)
        assert small_run.evaluate(folder, *words, "--excerpts", "3") == 0
    return folder


@pytest.fixture
def rows(evaluated: Path) -> dict[str, dict[str, float]]:
    content = json.loads((evaluated / "evaluation.json").read_text())
    return {row["name"]: row["figures"] for row in content["rendered"]}


def test_real_music_comes_back_from_its_own_sounds(
    rows: dict[str, dict[str, float]], small_run: SmallRun
) -> None:
    name = f"{small_run.run_id} LSTM"
    floor, real, _, asked, heard = rows.values()
    names = ["real, same track", "real, rendered", "VAR, replay, rendered", name]
    assert list(rows) == [*names, f"{small_run.run_id} rendered"]
    assert real["error"] < 0.05
    assert real["mean_unit_frames"] == 64
    assert real["mean_match_distance"] < 0.01
    assert real["diff_ratio"] == pytest.approx(1, abs=0.02)
    assert real["fd"] < 0.1 < floor["fd"]
    assert heard["error"] > 10 * real["error"]
    assert "error" not in asked
    assert heard["fd"] != asked["fd"]
    assert {"tail_std", "acf", "modspec_db", "track_distance", "novelty"} <= heard.keys()


def test_the_sound_and_its_pieces_are_measured(rows: dict[str, dict[str, float]]) -> None:
    floor, real, linear, _, model = rows.values()
    assert real["chroma"] > 0.99
    assert model["chroma"] < 0.6
    assert real["sound_pulse"] == pytest.approx(floor["sound_pulse"], abs=0.02)
    assert real["level_db"] == pytest.approx(floor["level_db"], abs=0.1)
    copied_s = 64 * 1024 / 44100
    assert real["longest_copy_s"] == pytest.approx(copied_s)
    assert real["longest_unit_ms"] == pytest.approx(1000 * copied_s)
    assert real["flux_ratio"] is None, "it has no joins"
    for jumping in (linear, model):
        assert 0 < jumping["median_unit_ms"] <= jumping["longest_unit_ms"] < 1000 * copied_s
        assert jumping["longest_unit_ms"] < 1000 * jumping["longest_copy_s"] + 1e-6
        assert jumping["flux_ratio"] > 0
        assert 0 <= jumping["dips"] <= 1
    assert all(figures["kad"] is None for figures in (real, model)), "without a judge"


def test_the_page_lets_one_compare_sounds_blindly(
    evaluated: Path, small_run: SmallRun, browser: Browser
) -> None:
    page = evaluated / "evaluation.html"
    browser.open(page.as_uri(), width=420)
    browser.wait("document.querySelectorAll('#sounds button').length === 4")
    assert browser.requests == [page.as_uri()]

    def names() -> list[str]:
        return browser.value(
            "[...document.querySelectorAll('#sounds button')].map(b => b.textContent)"
        )

    known = ["real", "real, rendered", "VAR, replay, rendered", f"{small_run.run_id} rendered"]
    assert names() == known
    assert browser.value("document.querySelector('#excerpt').length") == 6
    assert browser.value("document.querySelectorAll('table.metrics').length") == 6
    assert browser.value("document.querySelectorAll('td.best').length") > 10
    browser.click("#sounds tr:nth-child(2) button")
    browser.wait("document.querySelector('#play').textContent === 'Pause'")
    browser.click("#blind")
    assert names() == [f"Sound {letter}" for letter in "ABCD"]
    browser.click("#sounds tr:nth-child(3) input")
    browser.click("#reveal")
    assert sorted(names()) == sorted(known)
    said = browser.value("document.querySelector('#choices').textContent")
    assert said == f"Chosen as best: {names()[2]}: 1"
    assert browser.value("document.documentElement.scrollWidth") <= 420
    assert browser.complaints == []


def test_sound_is_judged_only_if_there_is_some(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, *value in (["--rendered"], ["--judge", "musicnn.whl"]):
        assert small_run.evaluate(tmp_path, option, *value) == 2
        assert f"{option} needs --sample_audio_db_dir" in capsys.readouterr().err
    assert not (tmp_path / "evaluation.json").exists()


def test_a_missing_judge_is_told_before_anything_is_computed(
    small_run: SmallRun, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--sample_audio_db_dir", str(sounds), "--judge", str(tmp_path / "musicnn.whl")]
    assert small_run.evaluate(tmp_path, *words) == 1
    said = capsys.readouterr().err
    assert "musicnn.whl: No such file or directory; get it by `pip download" in said
    assert "one step ahead" not in said


@pytest.mark.parametrize(("hop", "n_fft"), [(1024, 2048), (512, 2048), (441, 1024), (1024, 1024)])
def test_frames_that_are_heard_whole(hop: int, n_fft: int) -> None:
    n = 20
    kept = heard_frames(n, DescriptorConfig(hop_length=hop, n_fft=n_fft))

    def whole(t: int) -> bool:
        centre = t * hop + hop // 2
        return centre >= n_fft // 2 and centre + n_fft // 2 <= n * hop

    assert list(range(n)[kept]) == [t for t in range(n) if whole(t)]
