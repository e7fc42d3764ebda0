"""Options of selection and rendering, and their effect on the results of `desc predict`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from desc.commands.main import main
from tests.integration.conftest import Workplace

FRAMES, HOP = 20, 1024
GRANULAR = "--style", "granular"  # frames alone

Predict = Callable[..., Path]


@pytest.fixture
def predict(workplace: Workplace, run_ids: dict[str, str], tmp_path: Path) -> Predict:
    """Continue one recording with some options; return the folder of the result."""

    def run(*options: str, name: str = "out") -> Path:
        alone = ["--prediction_db_dir", str(workplace.recordings / "a.wav"), "--no-report"]
        status = workplace.predict(run_ids["LSTM"], tmp_path / name, *alone, *options)
        assert status == 0, options
        return tmp_path / name / "a.wav"

    return run


def events(result: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((result / "playlist.json").read_text())["events"]
    return found


def matches(result: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((result / "matches.json").read_text())
    return found


def rows(result: Path) -> list[tuple[str, int]]:
    """Return file and sample of each frame."""
    found = matches(result)
    return list(zip(found["_id"], found["_sample"], strict=True))


def sound(result: Path) -> np.ndarray:
    return soundfile.read(result / "prediction.wav", always_2d=True)[0]


def test_selections_differ_in_joins_and_chance(predict: Predict) -> None:
    """`nearest` cuts most; `sample` is `beam` at temperature 0, else depends on the seed."""
    path, nearest = predict(name="p"), predict("--selection", "nearest", name="n")
    assert sum(matches(nearest)["_distance"]) < sum(matches(path)["_distance"])
    assert len(events(path)) < len(events(nearest))
    sampled = "--selection", "sample", "--unit_temperature"
    assert rows(predict(*sampled, "0", name="cold")) == rows(path)
    hot = rows(predict(*sampled, "5", "--seed", "1", name="hot"))
    assert rows(predict(*sampled, "5", "--seed", "1", name="hot again")) == hot
    assert hot != rows(path)


def test_continuity_makes_longer_units(predict: Predict) -> None:
    counts = [len(events(predict("--continuity", c, name=c))) for c in ("0", "1", "1000")]
    assert counts[0] >= counts[1] >= counts[2] == 1, "a unit, where a jump costs all there is"


def test_a_search_of_one_path_is_dearer(predict: Predict) -> None:
    """One path and one candidate: a greedy choice of the nearest row or the continuation."""
    greedy = rows(predict(*GRANULAR, "--beam_width", "1", "--candidates", "1", name="greedy"))
    assert greedy[0] == rows(predict("--selection", "nearest", name="nearest"))[0]
    assert greedy != rows(predict(*GRANULAR, name="path"))


def test_source_positions_are_held(predict: Predict) -> None:
    """The tabu window of .3 s has 13 frames and covers positions up to two frames away."""
    unheld = rows(predict("--hold_s", "0", "--continuity", "0", name="0"))
    held = rows(predict("--hold_s", ".3", "--continuity", "0", name=".3"))
    assert repeats(unheld) > 0
    assert repeats(held) == 0


def repeats(found: list[tuple[str, int]], hold: int = 13) -> int:
    """Count frames near one that another unit played within so many frames before."""
    n = 0
    for now, (file, sample) in enumerate(found):
        for before in range(max(0, now - hold), now):
            other, earlier = found[before]
            near = other == file and abs(sample - earlier) <= 2 * HOP
            n += near and sample - earlier != (now - before) * HOP
    return n


def test_an_unattainable_hold_is_shortened_and_logged(
    predict: Predict, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file of 259 rows leaves (259 − 1) / 5 = 51 frames, 1.18 s, for a hold of 10 s."""
    words = ["--hold_s", "10", "--prediction_length", "100", "--include", "compressed.ogg"]
    result = predict(*words)
    assert "hold_s=10 is shortened to 1.18 s" in capsys.readouterr().err
    assert repeats(rows(result), 51) == 0


def test_a_corpus_unlike_the_prediction_is_told(
    predict: Predict, workplace: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 100_000))
    for index, samples in enumerate(noise):
        (tmp_path / "noise").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "noise" / f"{index}.wav", samples, 44100)
    words = ["--audio_db_dir", str(tmp_path / "noise")]
    predict(*words)
    assert "--match_space" in capsys.readouterr().err
    predict(*words, "--match_space", ".5", name="moved")
    assert "--match_space" not in capsys.readouterr().err


def test_an_index_of_the_sounds_is_built_once_and_used(
    predict: Predict, workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = matches(predict("--index", "exact", name="exact"))
    built = [predict("--index", "ivf", name=name) for name in ("first", "second")]
    assert capsys.readouterr().err.count("it finds") == 2  # by frames, and with the slow scale
    assert len(list((workplace.root / "cache" / "index").rglob("rows.faiss"))) == 2
    first, second = map(matches, built)
    assert first == second
    assert np.mean(first["_distance"]) == pytest.approx(np.mean(exact["_distance"]), rel=0.05)


def test_grains_last_as_long_as_asked(predict: Predict) -> None:
    """60 ms are 3 frames; the last grain is cut, and consecutive grains become one unit."""
    lengths = [
        event["n_samples"]
        for event in events(predict(*GRANULAR, "--units", "grain", "--grain_ms", "60"))
    ]
    assert sum(lengths) == FRAMES * HOP
    assert all(n % (3 * HOP) == 0 for n in lengths[:-1])
    assert len(lengths) > 1


def test_a_unit_may_be_a_whole_sound(predict: Predict) -> None:
    whole = events(predict("--units", "onset", name="onset"))
    frames = events(predict("--units", "frame", "--continuity", "0", name="frame"))
    assert sum(event["n_samples"] for event in whole) == FRAMES * HOP
    assert len(whole) < len(frames)


def test_layers_each_last_as_long_as_the_result(predict: Predict) -> None:
    result = predict("--layers", "2")
    for layer in (0, 1):
        own = [event for event in events(result) if event.get("layer", 0) == layer]
        assert sum(event["n_samples"] for event in own) == FRAMES * HOP
    assert len(sound(result)) == FRAMES * HOP


def test_a_row_is_used_as_often_as_allowed(predict: Predict) -> None:
    assert len(set(rows(predict("--max_use", "1", "--hold_s", "0")))) == FRAMES


def test_more_uses_than_rows_are_refused_with_both_numbers(
    workplace: Workplace,
    run_ids: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--max_use", "1", "--prediction_length", "1000"]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) != 0
    message = capsys.readouterr().err
    assert "777" in message, "three recordings of 259 frames"
    assert "1000" in message
    assert not any(tmp_path.rglob("*.wav"))


def test_gains_stay_within_their_limit(predict: Predict) -> None:
    def gains(limit: str) -> list[float]:
        result = predict("--unit_gain_db", limit, name=f"gain {limit}")
        return [event.get("gain_db", 0.0) for event in events(result)]

    assert set(gains("0")) == {0.0}
    assert 0 < max(abs(gain) for gain in gains("3")) <= 3


def test_gain_curves_stay_within_their_limit(predict: Predict) -> None:
    def changes(limit: str) -> list[float]:
        result = predict("--gain_curve_db", limit, name=f"curve {limit}")
        curves = [event["gain_curve"] for event in events(result)]
        return [gain_db for curve in curves for _, gain_db in curve]

    assert changes("0") == []
    assert 0 < max(abs(gain_db) for gain_db in changes("2")) <= 2


def test_frames_predicted_below_the_gate_are_silent(predict: Predict) -> None:
    """A gate at the level of the folder's loudest frame mutes everything below."""
    open_ = sound(predict(name="open"))
    closed = sound(predict("--silence_gate_db", "0", name="shut"))
    assert len(closed) == len(open_) == FRAMES * HOP
    silent = (closed.reshape(FRAMES, -1) == 0).all(1)
    assert silent.sum() > FRAMES / 2
    assert not (open_.reshape(FRAMES, -1) == 0).all(1).any()


def test_match_space_changes_what_is_near(predict: Predict) -> None:
    found = [
        matches(predict("--match_space", amount, name=amount))["_distance"]
        for amount in ("0", "0.5", "1")
    ]
    assert found[0] != found[1] != found[2]


def test_only_files_that_are_included_answer(predict: Predict) -> None:
    excluded = {e["source"] for e in events(predict("--exclude", "stereo*", "*.ogg", name="ex"))}
    included = {e["source"] for e in events(predict("--include", "*.ogg", name="in"))}
    assert (excluded, included) == ({"other rate.wav"}, {"compressed.ogg"})


def test_the_wav_has_the_format_asked_for(predict: Predict) -> None:
    words = ["--channels", "stereo", "--subtype", "PCM_24", "--output_sample_rate", "22050"]
    info = soundfile.info(predict(*words) / "prediction.wav")
    assert (info.channels, info.subtype, info.samplerate) == (2, "PCM_24", 22050)
    assert info.frames == FRAMES * HOP // 2


def test_without_fades_and_shifts_units_are_untouched(
    predict: Predict, workplace: Workplace
) -> None:
    result = predict(
        "--crossfade_ms", "0", "--align_ms", "0", "--unit_gain_db", "0", "--gain_curve_db", "0",
        "--include", "*.ogg", "--subtype", "FLOAT",
    )  # fmt: skip
    source = soundfile.read(workplace.sounds / "compressed.ogg", always_2d=True, dtype="float32")[0]
    written = soundfile.read(result / "prediction.wav", always_2d=True, dtype="float32")[0]
    for event in events(result):
        start, onset, n = event["start_sample"], event["onset_sample"], event["n_samples"]
        if start >= 0 and start + n <= len(source):
            np.testing.assert_array_equal(written[onset : onset + n], source[start : start + n])


def test_transposing_needs_f0_and_is_usage(
    workplace: Workplace,
    run_ids: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert workplace.predict(run_ids["LSTM"], tmp_path, "--transpose_semitones", "3") == 2
    assert "transpose_semitones=3 must have f0 among the descriptors" in capsys.readouterr().err


def test_sounds_are_also_played_at_other_speeds(
    predict: Predict, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> None:
    short = "--style", "granular", "--prediction_length", "60", "--max_use", "1"
    result = predict("--speeds", "0.8", "1.25", *short)
    played = {event["transpose_semitones"] for event in events(result)}
    assert len(played) > 1
    speeds = set(matches(result)["_speed"])
    assert speeds <= {0.8, 1.0, 1.25}
    assert {round(12 * math.log2(speed), 6) for speed in speeds} == played
    assert len(sound(result)) == 60 * HOP
    request = json.loads((result / "prediction.json").read_text())["_meta"]["request"]
    assert request["speeds"] == [0.8, 1.25]
    out = tmp_path / "again.wav"
    words = ["render", str(result / "playlist.json"), "--output_path", str(out)]
    assert main([*words, "--cache_dir", str(workplace.root / "cache")]) == 0
    np.testing.assert_array_equal(soundfile.read(out, always_2d=True)[0], sound(result))
    assert workplace.predict(run_ids["LSTM"], tmp_path / "wrong", "--speeds", "9") == 2


@pytest.mark.slow
def test_units_are_brought_to_the_predicted_pitch(
    workplace: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workplace.train("LSTM", "--descriptors", "mfcc", "f0") == 0
    run_id = capsys.readouterr().out.strip().splitlines()[-1].removeprefix("run id: ")
    words = ["--transpose_semitones", "4", "--prediction_length", "200", "--no-report"]
    assert workplace.predict(run_id, tmp_path, *words) == 0
    moved = [event["transpose_semitones"] for event in events(tmp_path / "a.wav")]
    assert 0 < max(abs(semitones) for semitones in moved) <= 4
