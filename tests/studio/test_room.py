"""The requests of the studio's page: what each one answers, refuses and writes."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from desc import edits
from desc.audio import LoudnessMeter
from desc.concatenation import Playlist
from desc.configuration import PredictConfig, RunConfig
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.errors import AudioError, ConfigurationError, DescError
from desc.matching import Matcher
from desc.pipeline import Continuer
from desc.prediction import Predictor
from desc.runs.lock import lock_run
from desc.storage import DescriptorStore
from desc.studio import StudioRoom
from desc.studio.controls import CONTROLS, TakeSettings, controls
from desc.studio.server import Body, Request
from tests.small_run import SmallRun

RECORDING = "x.wav"


class Page:
    """What a page does: asks a room, and sends to it."""

    def __init__(self, room: StudioRoom) -> None:
        self.room = room

    def get(self, path: str, /, **query: Any) -> Any:
        words = {name: str(value) for name, value in query.items()}
        answer = self.room.answer(Request("GET", path, words, Body(io.BytesIO(), 0)))
        assert answer is not None
        return json.loads(answer.body) if answer.media_type == "application/json" else answer.body

    def post(self, path: str, /, **values: Any) -> Any:
        body = json.dumps(values).encode()
        answer = self.room.answer(Request("POST", path, {}, Body(io.BytesIO(body), len(body))))
        assert answer is not None
        return json.loads(answer.body)

    def upload(self, kind: str, name: str, body: bytes, n_bytes: int | None = None) -> None:
        n_bytes = len(body) if n_bytes is None else n_bytes
        query = {"kind": kind, "name": name}
        self.room.answer(Request("POST", "upload", query, Body(io.BytesIO(body), n_bytes)))


@pytest.fixture(scope="module")
def takes(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two takes of a recording, from the training recordings."""
    folder = tmp_path_factory.mktemp("takes")
    for settings in ({"duration_s": 3.0}, {"duration_s": 3.0, "seed": 1}):
        make_take(small_run, folder, settings)
    return folder


@pytest.fixture
def page(small_run: SmallRun, takes: Path, tmp_path: Path) -> Iterator[Page]:
    """A studio with the takes."""
    root = small_run.root
    room = StudioRoom(
        tmp_path / "studio", RunConfig(str(root / "experiments")), DescriptorStore(root / "cache")
    )
    page = Page(room)
    folders = {"recordings": str(root / "held_out"), "sounds": str(root / "training")}
    page.post("choose", **folders, run_id=small_run.run_id, recording=RECORDING)
    shutil.copytree(takes, tmp_path / "studio" / "takes")
    yield page
    room.close()


def make_take(small_run: SmallRun, folder: Path, settings: dict[str, Any]) -> Path:
    """Continue the recording as the worker does; return the take's folder."""
    wanted, store = TakeSettings.read(settings), small_run.store
    predictor = Predictor.from_run(small_run.record)
    corpus = open_corpus(small_run.root / "training", predictor.config, store, jobs=1)
    matcher = Matcher(
        DescriptorDatabase.from_corpus(corpus, store),
        query=wanted.query,
        selection=wanted.selection,
        rendering=wanted.rendering,
    )
    recording = open_corpus(small_run.root / "held_out" / RECORDING, predictor.config, store)
    continuer = Continuer(predictor, matcher, wanted.prediction, store, report=False)
    (outcome,) = continuer.run(recording, folder, takes=True).outcomes
    return outcome.folder


def key(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"recording": RECORDING, "number": number, **more}


def playlist_of(page: Page, number: int = 1) -> Playlist:
    return edits.edited_playlist(page.room.folder / "takes" / RECORDING / str(number))


def samples_of(wav: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(wav))[0]


def test_controls_have_the_texts_and_defaults_of_their_settings() -> None:
    for control, shown in zip(CONTROLS, controls(), strict=True):
        assert shown["help"]
        for value in shown["choices"] or (control.low, control.high, shown["value"]):
            whole = isinstance(shown["value"], int)
            TakeSettings.read({control.name: int(value) if whole else value})
        assert set(control.words) == set(shown["choices"] or ())
    defaults = TakeSettings.read({})
    assert defaults.prediction == PredictConfig()
    assert TakeSettings.read({"style": "granular"}).selection.continuity == 0.5
    assert TakeSettings.read({"style": "granular", "continuity": 3.0}).selection.continuity == 3.0
    for wrong in ({"no_such": 1}, {"style": "x"}, {"speeds": ["a"]}, {"temperature": 99.0}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            TakeSettings.read(wrong)


def test_folders_are_browsed_and_listed(page: Page, small_run: SmallRun) -> None:
    found = page.get("folders", path=small_run.root)
    assert {"cache", "experiments", "held_out", "training"} <= set(found["folders"])
    assert page.get("folders", path=small_run.root / "training")["n_files"] == 3
    listed = page.get("listing", kind="recordings")
    lengths = {file["source"]: file["seconds"] for file in listed["files"]}
    assert lengths == {"short.wav": 1.0, "x.wav": 13.0, "y.wav": 8.0}
    with pytest.raises(ConfigurationError, match="cannot be read"):
        page.get("folders", path=small_run.root / "none")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        page.post("choose", sounds=str(small_run.root / "none"))


def test_dropped_files_are_kept_if_they_are_sounds(page: Page, small_run: SmallRun) -> None:
    sound = (small_run.root / "held_out" / "short.wav").read_bytes()
    page.upload("sounds", "../../a b.wav", sound)
    folder = page.room.folder / "sounds"
    assert [path.name for path in folder.iterdir()] == ["a b.wav"]
    assert page.room.status()["choices"]["sounds"] == str(folder)
    for wrong in ("D:x.wav", "..\\D:x.wav"):
        with pytest.raises(ConfigurationError, match="colon"):
            page.upload("sounds", wrong, sound)
    with pytest.raises(AudioError, match=r"bad\.wav"):
        page.upload("sounds", "bad.wav", b"no sound")
    with pytest.raises(ConfigurationError, match="name"):
        page.upload("sounds", "text.txt", sound)
    with pytest.raises(ConfigurationError, match="already"):
        page.upload("sounds", "a b.wav", sound)
    with pytest.raises(DescError, match="broke off"):
        page.upload("sounds", "cut.wav", sound[:1000], len(sound))
    assert [path.name for path in folder.iterdir()] == ["a b.wav"]


def test_only_files_of_the_chosen_folder_are_read(page: Page) -> None:
    assert page.get("waveform", recording=RECORDING)["seconds"] == 13.0
    piece = samples_of(page.get("excerpt", recording=RECORDING, start=2, seconds=1.5))
    assert len(piece) == 66150
    for wrong in ("../training/a.wav", "/etc/passwd", "none.wav", ""):
        with pytest.raises(ConfigurationError, match="source"):
            page.get("excerpt", recording=wrong, start=0, seconds=1)


def test_takes_are_shown_by_their_playlists(page: Page) -> None:
    found = page.get("takes", recording=RECORDING)
    for row in found["takes"]:
        playlist = playlist_of(page, row["number"])
        assert row["seconds"] == playlist.n_samples / 44100
        assert row["n_units"] == len(playlist.events)
        assert row["n_files"] == len({event.source for event in playlist.events})
        assert row["unit_s"] * row["n_units"] == pytest.approx(row["seconds"])
        sound = samples_of(page.get("sound", **key(row["number"])))
        assert len(sound) == playlist.n_samples
        meter = LoudnessMeter(44100, 1)
        meter.add(sound[None].astype(np.float32))
        assert row["lufs"] == pytest.approx(meter.loudness, abs=0.01)
        again = TakeSettings.read(row["settings"])
        assert again.prediction.n_steps(44100 / 1024) * 1024 == playlist.n_samples
    assert found["differing"] == {"seed": [0, 1]}
    page.post("mark", **key(2, starred=True))
    assert [row["starred"] for row in page.get("takes", recording=RECORDING)["takes"]] == [0, 1]
    page.post("delete", **key(2))
    assert len(page.get("takes", recording=RECORDING)["takes"]) == 1
    with pytest.raises(ConfigurationError, match="take"):
        page.get("take", **key(2))


def test_a_unit_is_replaced_muted_and_put_back(page: Page) -> None:
    before, whole = playlist_of(page), page.get("sound", **key())
    event = len(before.events) // 2
    others = page.get("alternatives", **key(event=event))
    assert 1 <= len(others) <= 8
    page.post("replace", **key(event=event, alternative=0))
    after = playlist_of(page)
    assert after.events[event].source == others[0]["source"]
    assert after.events[event].start_sample == others[0]["start_sample"]
    kept = [a == b for a, b in zip(before.events, after.events, strict=True)]
    assert kept == [index != event for index in range(len(kept))]
    page.post("edit", **key(event=event, gain_db=-200))
    muted = samples_of(page.get("unit", **key(event=event, margin_s=0)))
    n_fade = 441
    assert np.abs(muted[n_fade:-n_fade]).max() < 1e-4
    row = page.get("takes", recording=RECORDING)["takes"][0]
    assert (row["n_edits"], row["n_units"]) == (2, len(before.events) - 1)
    page.post("undo", **key())
    page.post("undo", **key())
    assert playlist_of(page) == before
    assert page.get("sound", **key()) == whole
    with pytest.raises(ConfigurationError, match="edits"):
        page.post("undo", **key())
    with pytest.raises(ConfigurationError, match="index=99"):
        page.post("edit", **key(event=99, gain_db=0))


def test_what_is_heard_around_a_unit_is_the_take(page: Page) -> None:
    playlist, whole = playlist_of(page), samples_of(page.get("sound", **key()))
    heard = samples_of(page.get("unit", **key(event=0, margin_s=0.25)))
    n = playlist.events[0].n_samples + 11025
    assert len(heard) == min(n, len(whole))
    np.testing.assert_allclose(heard, whole[: len(heard)], atol=2e-4)
    before = samples_of(page.get("transition", **key()))
    assert len(before) == 10 * 44100 + len(whole)
    source = samples_of(page.get("source", **key(event=1)))
    assert len(source) >= playlist.events[1].n_samples


def test_a_wav_is_exported_with_edits_that_are_not_rendered_yet(page: Page) -> None:
    before = samples_of(page.get("export", **key(format="wav")))
    take = page.room.folder / "takes" / RECORDING / "1"
    for event in range(len(playlist_of(page).events)):
        edits.add_edit(take, event, {"gain_db": -200})
    assert np.abs(samples_of(page.get("export", **key(format="wav")))).max() < 1e-4
    assert np.abs(before).max() > 1e-2


def test_edits_of_several_pages_are_all_kept(page: Page) -> None:
    event = len(playlist_of(page).events) - 1
    with ThreadPoolExecutor(8) as pool:
        gains = [-float(index) for index in range(8)]
        list(pool.map(lambda gain: page.post("edit", **key(event=event, gain_db=gain)), gains))
    kept = edits.edits_of(page.room.folder / "takes" / RECORDING / "1")
    assert sorted(one["changes"]["gain_db"] for one in kept) == sorted(gains)


def test_a_damaged_take_hides_no_other(page: Page) -> None:
    (page.room.folder / "takes" / RECORDING / "1" / "edits.json").write_text("[3]")
    assert [row["number"] for row in page.get("takes", recording=RECORDING)["takes"]] == [2]


def test_recordings_of_one_name_have_takes_of_their_own(
    page: Page, small_run: SmallRun, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / "same" / folder).mkdir(parents=True)
        shutil.copy(small_run.root / "held_out" / RECORDING, tmp_path / "same" / folder)
    page.post("choose", recordings=str(tmp_path / "same"))
    takes = page.room.folder / "takes"
    shutil.copytree(takes / RECORDING, takes / "a" / RECORDING)
    assert len(page.get("takes", recording=f"a/{RECORDING}")["takes"]) == 2
    assert page.get("takes", recording=f"b/{RECORDING}")["takes"] == []
    page.post("continue", recording=f"b/{RECORDING}")
    job = page.room.jobs.newest()
    page.room.jobs.cancel(job.number)
    assert Path(job.arguments["takes_dir"]) == takes / "b"


def test_a_map_is_opened_again_when_sounds_have_changed(
    page: Page, small_run: SmallRun, tmp_path: Path
) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    echo = "print(json.dumps(['done', json.loads(line)['arguments']]), flush=True)"
    script = f"import json, sys\nfor line in sys.stdin: {echo}"
    page.room.jobs.command = [sys.executable, "-c", script]
    shutil.copy(small_run.root / "held_out" / "short.wav", sounds / "a.wav")
    page.post("choose", sounds=str(sounds))

    def is_ready() -> bool:
        return bool(page.post("map")["ready"])

    assert not is_ready()
    page.room.jobs.wait(page.room.jobs.newest(), 60)
    assert is_ready()
    shutil.copy(small_run.root / "held_out" / "short.wav", sounds / "b.wav")
    assert not is_ready()
    page.room.jobs.cancel(page.room.jobs.newest().number)


def test_exports_are_files_to_keep(page: Page) -> None:
    assert page.get("export", **key(format="wav"))[:4] == b"RIFF"
    assert page.get("export", **key(format="csv")).count(b"\n") == len(playlist_of(page).events) + 1
    for format in ("dawproject", "reaper", "stems"):
        with zipfile.ZipFile(io.BytesIO(page.get("export", **key(format=format)))) as archive:
            assert any(name.endswith(".wav") for name in archive.namelist())
    flac = samples_of(page.get("export", **key(format="flac")))
    np.testing.assert_allclose(flac, samples_of(page.get("sound", **key())), atol=1e-4)
    assert b"<!DOCTYPE html>" in page.get("report", **key())
    with pytest.raises(ConfigurationError, match="format"):
        page.get("export", **key(format="none"))


def test_a_longer_take_begins_with_the_same_sounds(page: Page, small_run: SmallRun) -> None:
    take = page.room.folder / "takes" / RECORDING / "1"
    before = Playlist.load(take / "playlist.json")
    page.post("continue", **key(longer=2))
    job = page.room.jobs.newest()
    page.room.jobs.cancel(job.number)
    folder = make_take(small_run, page.room.folder / "takes", job.arguments["settings"])
    after = Playlist.load(folder / "playlist.json")
    assert after.n_samples == 2 * before.n_samples
    n = len(before.events)
    assert [(e.source, e.start_sample, e.n_samples, e.gain_db) for e in after.events[:n]] == [
        (e.source, e.start_sample, e.n_samples, e.gain_db) for e in before.events
    ]
    old, _ = soundfile.read(take / "prediction.wav")
    new, _ = soundfile.read(folder / "prediction.wav")
    np.testing.assert_allclose(new[: len(old) - 441], old[:-441], atol=1e-6)


def test_runs_and_curves(page: Page, small_run: SmallRun) -> None:
    (row,) = page.get("runs")
    assert row["run_id"] == small_run.run_id
    assert row["val_loss"] == small_run.record.metrics["val_loss"]
    assert {"loss", "val_loss"} >= set(page.get("curves", run_id=small_run.run_id)["curves"])
    with pytest.raises(ConfigurationError, match="stopped"):
        page.post("resume", run_id=small_run.run_id)
    with pytest.raises(ConfigurationError, match="running"):
        page.post("stop")
    for wrong in ({"no_such": 1}, {"name": "a/b"}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            page.post("train", **wrong)


def test_a_training_is_the_run_that_began_while_it_ran(page: Page, small_run: SmallRun) -> None:
    record, folder = small_run.record, page.room.folder
    created = datetime.fromisoformat(record.created).timestamp()
    kept = {"pid": os.getpid(), "began": created - 9, "run_id": ""}
    kept["recordings"] = record.inputs["audio_db_dir"]
    (folder / "training.log").write_text("error: no")
    for ended, run_id in ((created - 3, ""), (created + 3, record.run_id)):
        (folder / "training.json").write_text(json.dumps(kept))
        os.utime(folder / "training.log", (ended, ended))
        assert page.room.trainings.state()["run_id"] == run_id


def test_only_an_own_training_is_stopped(
    page: Page, small_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run.record.folder, run)
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | {"status": "running"}))
    kept = {"pid": os.getpid(), "began": 0.0, "run_id": str(run), "recordings": ""}
    (page.room.folder / "training.json").write_text(json.dumps(kept))
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("another process was ended"))
    lock = lock_run(run)
    assert lock is not None
    with lock:
        assert page.room.trainings.state()["state"] == "running"
        with pytest.raises(ConfigurationError, match="another process"):
            page.post("stop")


def test_choices_are_whole_paths_and_texts(page: Page) -> None:
    assert page.post("choose", sounds="~")["sounds"] == os.path.expanduser("~")
    before = page.room.status()["choices"]
    with pytest.raises(ConfigurationError, match="include"):
        page.post("choose", include=[1, {}])
    (page.room.folder / "studio.json").unlink()
    (page.room.folder / "studio.json").mkdir()
    with pytest.raises(DescError, match="studio"):
        page.post("choose", sounds="")
    assert page.room.status()["choices"] == before


def test_choices_outlive_the_studio(page: Page, small_run: SmallRun) -> None:
    again = StudioRoom(page.room.folder, RunConfig("none"), DescriptorStore(small_run.root / "c"))
    again.close()
    assert again.status()["choices"] == page.room.status()["choices"]
    (page.room.folder / "studio.json").write_text('{"recordings": 3, "sounds": "a"}')
    damaged = StudioRoom(page.room.folder, RunConfig("none"), DescriptorStore(small_run.root / "c"))
    damaged.close()
    assert damaged.status()["choices"]["recordings"] == ""


@pytest.fixture
def make_jobs(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """make_jobs(script) -> jobs whose worker is this Python program."""
    from desc.studio.jobs import Jobs

    made = []

    def make(script: str) -> Jobs:
        path = tmp_path / "worker.py"
        path.write_text(script)
        made.append(Jobs([sys.executable, str(path)]))
        return made[-1]

    yield make
    for jobs in made:
        jobs.close()


def test_jobs_report_and_outlive_their_worker(make_jobs: Callable[..., Any]) -> None:
    jobs = make_jobs(
        "import sys, json\n"
        "for line in sys.stdin:\n"
        "    kind = json.loads(line)['kind']\n"
        "    if kind == 'die': sys.exit(3)\n"
        "    if kind == 'hang': import time; time.sleep(60)\n"
        "    print(json.dumps(['progress', ['work', 1, 2]]), flush=True)\n"
        "    print(json.dumps(['note', 'a line']), flush=True)\n"
        "    print(json.dumps(['done', kind]), flush=True)\n"
    )
    job = jobs.wait(jobs.add("first"), 30)
    assert (job.state, job.result, job.notes) == ("done", "first", ["a line"])
    assert (job.stage, job.done, job.total) == ("work", 1, 2)
    dead = jobs.wait(jobs.add("die"), 30)
    assert dead.state == "failed"
    assert "ended with status 3" in dead.result
    hanging, waiting = jobs.add("hang"), jobs.add("next")
    jobs.cancel(hanging.number)
    assert jobs.wait(waiting, 30).result == "next"
    assert hanging.state == "cancelled"


def test_a_cancelled_job_may_end_what_it_does(
    make_jobs: Callable[..., Any], tmp_path: Path
) -> None:
    jobs = make_jobs(
        "import sys, json, os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "for line in sys.stdin:\n"
        "    part = json.loads(line)['arguments']['part']\n"
        "    if not part: print(json.dumps(['done', os.getsid(0)]), flush=True); continue\n"
        "    try:\n"
        "        open(part, 'w').close()\n"
        "        print(json.dumps(['note', 'begun']), flush=True)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        os.unlink(part)\n"
        "        os.mkdir(part)\n"
        "        break\n"
    )
    part = tmp_path / "part"
    job = jobs.add("work", part=str(part))
    while not job.notes:
        jobs.wait(job, 0.01)
    jobs.cancel(job.number)
    other = jobs.wait(jobs.add("work", part=""), 30)
    assert other.result != os.getsid(0)
    assert part.is_dir()
