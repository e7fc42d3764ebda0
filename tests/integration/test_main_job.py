"""The main job from the command line, on small recordings."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc import pipeline
from desc.commands.main import main
from desc.commands.settings_file import SETTINGS
from desc.errors import StorageError
from desc.models import MODELS
from desc.outputs import FILES, REPORT, REPORT_DATA
from tests.integration.conftest import Workplace

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_continues(
    model: str, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> None:
    assert re.fullmatch("[a-z0-9]{8}", run_ids[model])
    assert workplace.predict(run_ids[model], tmp_path) == 0
    for source in ("a.wav", "b.flac", "more/a.wav"):
        assert {p.name for p in (tmp_path / source).iterdir()} == {*FILES, REPORT, SETTINGS}
        audio, rate = soundfile.read(tmp_path / source / "prediction.wav", always_2d=True)
        used = set(json.loads((tmp_path / source / "matches.json").read_text())["_id"])
        assert audio.shape == (20 * 1024, 2 if "stereo.wav" in used else 1)
        assert rate == 44100
        assert np.isfinite(audio).all()
        assert np.sqrt(np.mean(audio**2)) > 1e-3


def test_a_prediction_says_all_that_made_it(results: Path, run_ids: dict[str, str]) -> None:
    prediction = json.loads((results / "a.wav" / "prediction.json").read_text())
    meta = prediction["_meta"]
    assert set(meta) == {"request", "versions", "results", "inputs", "digests"}
    assert [Path(folder).name for folder in meta["inputs"].pop("audio_db_dir")] == ["sounds"]
    assert not meta["inputs"]
    assert meta["request"]["run_id"] == run_ids["LSTM"]
    assert meta["request"]["recording"] == "a.wav"
    for name in ("prediction_length", "temperature", "crossfade_ms", "distance", "corpus_digest"):
        assert name in meta["request"]
    figures = meta["results"]
    assert figures["n_frames"] == 20
    # Three recordings of 6 s, of 259 frames each at any rate.
    assert figures["corpus_coverage"] == pytest.approx(figures["distinct_rows"] / (3 * 259))
    assert figures["n_units"] * figures["mean_unit_frames"] == pytest.approx(20)
    assert "torch" in meta["versions"]
    names = [*(f"mfcc{i}" for i in range(39)), *(f"chroma{i}" for i in range(12))]
    columns = [prediction[name] for name in names]
    assert np.isfinite(columns).all()
    assert {len(column) for column in columns} == {20}
    # 5 s are 220500 samples: frame 214 is the last whose window lies inside.
    assert prediction["_sample"][0] == 215 * 1024
    assert set(prediction["_id"]) == {"a.wav"}


@pytest.mark.parametrize("options", [(), ("--selection", "nearest", "--hold_s", "0")])
def test_every_figure_follows_from_the_files_of_the_result(
    options: tuple[str, ...], run_ids: dict[str, str], workplace: Workplace, tmp_path: Path
) -> None:
    """The pages show these figures; they are computed here from the other files alone."""
    words = ("--prediction_length", "150", *options)
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 0
    for source in ("a.wav", "b.flac"):
        folder = tmp_path / source
        figures = json.loads((folder / "prediction.json").read_text())["_meta"]["results"]
        matches = json.loads((folder / "matches.json").read_text())
        events = json.loads((folder / "playlist.json").read_text())["events"]
        sound, rate = soundfile.read(folder / "prediction.wav", always_2d=True)
        recording, _ = soundfile.read(workplace.recordings / source, always_2d=True)
        places = list(zip(matches["_id"], np.array(matches["_sample"]) // 1024, strict=True))
        whole_db, context_db = (10 * np.log10(np.mean(x**2)) for x in (sound, recording))
        assert figures == {
            "n_frames": len(places),
            "mean_match_distance": pytest.approx(np.mean(matches["_distance"])),
            "distinct_rows": len(set(places)),
            "corpus_coverage": pytest.approx(len(set(places)) / (3 * 259)),
            "files_used": len({event["source"] for event in events}),
            "n_units": len(events),
            "mean_unit_frames": pytest.approx(
                np.mean([event["n_samples"] / 1024 for event in events])
            ),
            "repeated_share": pytest.approx(share_played_before(places)),
            "duration_s": len(sound) / rate,
            "n_samples": len(sound),
            "sample_rate": rate,
            "n_channels": sound.shape[1],
            "peak": pytest.approx(abs(sound).max() / 10 ** (figures["gain_db"] / 20), abs=1e-4),
            "gain_db": pytest.approx(-20 * np.log10(max(1, figures["peak"]))),
            "level_change_db": pytest.approx(whole_db - context_db, abs=0.3),
        }


def share_played_before(places: list[tuple[str, int]]) -> float:
    """Return the share of frames within two of one that an earlier piece of the result played."""
    piece = np.cumsum(
        [
            i == 0 or places[i] != (places[i - 1][0], places[i - 1][1] + 1)
            for i in range(len(places))
        ]
    )
    repeated = [
        any(
            piece[other] != piece[i]
            and places[other][0] == file
            and abs(places[other][1] - at) <= 2
            for other in range(i)
        )
        for i, (file, at) in enumerate(places)
    ]
    return float(np.mean(repeated))


def test_matches_and_playlist_agree(results: Path) -> None:
    matches = json.loads((results / "a.wav" / "matches.json").read_text())
    assert len(matches["_id"]) == len(matches["_sample"]) == len(matches["_distance"]) == 20
    assert set(matches["_id"]) <= {"stereo.wav", "other rate.wav", "compressed.ogg"}
    playlist = json.loads((results / "a.wav" / "playlist.json").read_text())
    assert sum(event["n_samples"] for event in playlist["events"]) == 20 * 1024
    frame = 0
    for event in playlist["events"]:
        assert event["source"] == matches["_id"][frame]
        shift = event["start_sample"] - (matches["_sample"][frame] - 512)
        assert abs(shift) <= 512, "a unit is moved by half a hop at most, to meet an attack"
        assert event["onset_sample"] == frame * 1024
        frame += event["n_samples"] // 1024
    shares = (results / "a.wav" / "credits.txt").read_text().splitlines()
    assert sum(float(line.split("%")[0]) for line in shares) == pytest.approx(100, abs=0.2)


def test_the_report_may_be_left_out_and_is_never_of_another_result(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    page = (results / "a.wav" / REPORT).read_text(encoding="utf-8")
    assert "Continuation of a.wav" in page
    shutil.copytree(results / "a.wav", tmp_path / "a.wav")
    words = ["--no-report", "--overwrite", "--seed", "9"]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 0
    assert {p.name for p in (tmp_path / "a.wav").iterdir()} == {*FILES, SETTINGS}
    capsys.readouterr()
    assert workplace.predict(run_ids["LSTM"], tmp_path, "--seed", "9") == 0
    assert capsys.readouterr().out.count("kept") == 3, "a report is no part of the request"
    assert (tmp_path / "a.wav" / REPORT).is_file(), "a kept result gets the page it lacks"


def test_a_report_that_cannot_be_written_leaves_the_result(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(folder: Path) -> None:
        raise StorageError(f"{folder}: the disk is full")

    monkeypatch.setattr(pipeline, "write_result_report", fail)
    alone = str(workplace.recordings / "b.flac")
    words = ["--prediction_db_dir", alone]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 0
    assert "no report: " in capsys.readouterr().err
    assert {p.name for p in (tmp_path / "b.flac").iterdir()} == {*FILES, SETTINGS}


def test_selection_is_chosen_and_told(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    shutil.copytree(results / "a.wav", tmp_path / "a.wav")
    words = ["--selection", "nearest", "--neighbours", "3"]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 1
    assert "another request (neighbours, selection)" in capsys.readouterr().err
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words, "--overwrite") == 0
    path, nearest = (
        json.loads((folder / "a.wav" / "matches.json").read_text())
        for folder in (results, tmp_path)
    )
    assert "_candidates" not in path
    assert [frame[0] for frame in nearest["_candidates"]["_sample"]] == nearest["_sample"]
    assert {len(frame) for frame in nearest["_candidates"]["_distance"]} == {3}
    figures = [
        json.loads((folder / "a.wav" / "prediction.json").read_text())["_meta"]["results"]
        for folder in (results, tmp_path)
    ]
    assert 0 <= figures[0]["repeated_share"] <= 1
    assert figures[0]["n_units"] <= figures[1]["n_units"]
    for folder, figure in zip((path, nearest), figures, strict=True):
        assert figure["mean_match_distance"] == pytest.approx(np.mean(folder["_distance"]))


def test_one_seed_gives_one_result(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> None:
    words = ("--include", "*")
    alone = workplace.recordings / "b.flac"
    assert workplace.predict(
        run_ids["LSTM"], tmp_path, "--prediction_db_dir", str(alone), *words
    ) == 0  # fmt: skip
    for name in ("prediction.wav", "matches.json", "playlist.json"):
        assert (tmp_path / "b.flac" / name).read_bytes() == (results / "b.flac" / name).read_bytes()


def test_several_samples_of_a_recording(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    def predict(*options: str) -> int:
        recording = ["--prediction_db_dir", str(workplace.recordings / "a.wav")]
        return workplace.predict(run_ids["LSTM"], tmp_path, *recording, *options)

    assert predict("--n_samples", "2") == 0
    folder = tmp_path / "a.wav"
    line = capsys.readouterr().out.splitlines()[0]
    for figure in ("mean unit", "mean distance", "distinct rows =", "% of the corpus, repeats"):
        assert figure in line
    assert {p.name for p in folder.iterdir()} == {"1", "2"}
    assert {p.name for p in (folder / "2").iterdir()} == {*FILES, REPORT, SETTINGS}
    first, second = (json.loads((folder / n / "prediction.json").read_text()) for n in "12")
    assert first["mfcc0"] != second["mfcc0"]
    assert second["_meta"]["request"]["sample"] == 2
    alone = results / "a.wav"
    # By the same digests and settings the first sample is the only one of 1. An Ogg stream, as
    # the report's data hold one, has a random number.
    for name in set(FILES) - {REPORT_DATA}:
        assert (folder / "1" / name).read_bytes() == (alone / name).read_bytes()
    capsys.readouterr()
    assert predict("--n_samples", "3") == 0, "more samples leave those that are there"
    assert capsys.readouterr().out.count("kept") == 2
    assert predict() == 0, "a result without a number lies beside"
    assert (folder / "prediction.wav").read_bytes() == (alone / "prediction.wav").read_bytes()
    assert predict("--n_samples", "2", "--seed", "9") == 1
    message = capsys.readouterr().err
    assert message.count("another request (seed)") == 2
    assert "1 of 1 recordings could not be continued" in message
    assert predict("--n_samples", "2", "--sampling", "mean") == 2
    assert "n_draws=2 must be 1 where nothing is drawn" in capsys.readouterr().err


def test_a_playlist_renders_again(
    run_ids: dict[str, str], workplace: Workplace, tmp_path: Path, capsys: Captured
) -> None:
    results = tmp_path / "results"
    assert workplace.predict(run_ids["LSTM"], results, "--selection", "nearest") == 0
    playlist = results / "a.wav" / "playlist.json"
    again, other = tmp_path / "again.wav", tmp_path / "other.wav"
    cache = ["--cache_dir", str(workplace.root / "cache")]
    assert main(["render", str(playlist), "--output_path", str(again), *cache]) == 0
    assert again.read_bytes() == (results / "a.wav" / "prediction.wav").read_bytes()
    words = ["render", str(playlist), "--output_path", str(other), "--crossfade_ms", "0", *cache]
    assert main(words) == 0
    assert soundfile.info(other).frames == soundfile.info(again).frames
    assert other.read_bytes() != again.read_bytes()
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_recordings_that_cannot_be_continued_do_not_stop_the_others(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(workplace.recordings / "a.wav", folder / "good.wav")
    soundfile.write(folder / "short.wav", np.sin(np.arange(5000) / 9), 44100)
    (folder / "broken.wav").write_bytes(b"RIFF but no more")
    output_dir = tmp_path / "out"
    status = workplace.predict(
        run_ids["LSTM"], output_dir, "--prediction_db_dir", str(folder)
    )  # fmt: skip
    message = capsys.readouterr().err
    assert status == 1
    assert "short.wav: not continued" in message
    assert message.count("broken.wav") == 1, "as a failure, and not as a skipped file"
    assert "2 of 3 recordings could not be continued" in message
    assert (output_dir / "good.wav" / "prediction.wav").exists()
    assert sorted(p.name for p in output_dir.iterdir()) == ["good.wav"]
    both = ["--prediction_db_dir", str(folder), "--audio_db_dir", str(folder)]
    assert workplace.predict(run_ids["LSTM"], tmp_path / "own", *both) == 1
    message = capsys.readouterr().err
    assert message.count("broken.wav") == 1, "named once, though both folders hold it"
    assert message.count("short.wav") == 1


def test_the_recording_can_go_before(
    workplace: Workplace, run_ids: dict[str, str], results: Path, tmp_path: Path
) -> None:
    assert workplace.predict(
        run_ids["LSTM"], tmp_path, "--with_recording_s", "1", "--subtype", "FLOAT"
    ) == 0  # fmt: skip
    audio, _ = soundfile.read(tmp_path / "a.wav" / "prediction.wav", always_2d=True)
    assert len(audio) == 44100 + 20 * 1024
    recording, _ = soundfile.read(workplace.recordings / "a.wav")
    cut = 215 * 1024 - 512
    # All but the half fade before the join is the recording, sample by sample.
    np.testing.assert_array_equal(audio[: 44100 - 441, 0], recording[cut - 44100 : cut - 441])


def test_wrong_weights_are_usage(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    words = ("--descriptor_weights", "foo=.5")
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 2
    assert capsys.readouterr().err.count("foo=.5") == 1
    words = ("--duration_s", "3")
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 2
    assert "not both" in capsys.readouterr().err
    assert workplace.predict(run_ids["LSTM"], workplace.sounds / "out") == 2
    assert "must lie outside audio_db_dir" in capsys.readouterr().err
    assert not (workplace.sounds / "out").exists()
    assert not list(tmp_path.iterdir())
