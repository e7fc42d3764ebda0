"""Numbered takes: found again, numbered, marked, compared."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from desc import outputs
from desc.configuration import STYLES
from desc.errors import OutputError, StorageError
from desc.takes import differing_settings, list_takes, mark, release, remove, take_folder

REQUEST = {
    "recording": "söng 1.wav",
    "run_id": "abcd1234",
    "seed": 0,
    **STYLES["granular"],
    "index": "auto",
    "descriptors": {"n_mels": 40},
}


def finish(folder: Path, request: dict) -> None:
    """Write the parts of a result that a list of takes reads."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = {"request": request, "results": {"duration_s": 2.0}}
    (folder / outputs.PREDICTION).write_text(json.dumps({"_meta": meta}))
    (folder / outputs.WAV).write_bytes(b"RIFF")
    (folder / outputs.UNFINISHED).unlink(missing_ok=True)


def made(folder: Path, **changes: object) -> Path:
    path = take_folder(folder, REQUEST | changes)
    finish(path, REQUEST | changes)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "söng 1.wav"


def test_a_request_keeps_its_take_and_another_gets_the_next_number(folder: Path) -> None:
    assert [made(folder, seed=seed).name for seed in (0, 1, 0, 2, 1)] == ["1", "2", "1", "3", "2"]
    takes = list_takes(folder)
    assert [take.number for take in takes] == [1, 2, 3]
    assert takes[1].request["seed"] == 1
    assert takes[1].figures == {"duration_s": 2.0}


def test_an_unfinished_take_is_no_take_and_is_made_again_in_its_place(folder: Path) -> None:
    first = take_folder(folder, REQUEST)
    assert list_takes(folder) == []
    assert take_folder(folder, REQUEST) == first
    assert take_folder(folder, REQUEST | {"seed": 1}).name == "2"


def test_a_take_of_which_nothing_was_written_leaves_nothing(folder: Path) -> None:
    release(take_folder(folder, REQUEST))
    assert not folder.exists()
    kept = made(folder)
    release(kept)
    assert [take.number for take in list_takes(folder)] == [1]


def test_results_of_before_are_takes_and_keep_their_requests(folder: Path) -> None:
    finish(folder, REQUEST)
    finish(folder / "2", REQUEST | {"sample": 2})
    assert [take.number for take in list_takes(folder)] == [0, 2]
    assert take_folder(folder, REQUEST) == folder
    assert take_folder(folder, REQUEST | {"sample": 2}).name == "2"
    assert take_folder(folder, REQUEST | {"seed": 5}).name == "3"


def test_callers_at_once_get_different_numbers(folder: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        paths = threads.map(lambda seed: take_folder(folder, REQUEST | {"seed": seed}), range(20))
        assert sorted(int(path.name) for path in paths) == list(range(1, 21))


def test_damage_is_told_and_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(4):
        made(folder, seed=seed)
    (folder / "1" / outputs.PREDICTION).write_text("{")
    (folder / "2" / outputs.PREDICTION).write_text('{"_meta": {"request": {}, "results": [1]}}')
    (folder / "3" / outputs.WAV).unlink()
    (folder / "takes.json").write_text("[")
    (folder / "007").mkdir()
    (folder / "9").write_text("a file")
    assert [take.number for take in list_takes(folder)] == [4]
    for name in ("1/prediction.json", "2/prediction.json", "3/prediction.wav", "takes.json"):
        assert Path(name).name in caplog.text
    assert made(folder, seed=8).name == "10"


def test_stars_and_notes_stay(folder: Path) -> None:
    made(folder)
    made(folder, seed=1)
    mark(folder, 2, starred=True)
    mark(folder, 2, note="warm, from 12 s")
    mark(folder, 1, note="x")
    mark(folder, 1, note="")
    takes = list_takes(folder)
    assert [(take.starred, take.note) for take in takes] == [(False, ""), (True, "warm, from 12 s")]
    mark(folder, 2, starred=False)
    assert list_takes(folder)[1].note == "warm, from 12 s"
    with pytest.raises(OutputError, match="no take 7; it has 1, 2"):
        mark(folder, 7, starred=True)


@pytest.mark.parametrize("damage", ["[", "[1]"])
def test_damaged_stars_and_notes_are_not_replaced(folder: Path, damage: str) -> None:
    made(folder)
    (folder / "takes.json").write_text(damage)
    with pytest.raises(StorageError, match=r"takes\.json.*damaged"):
        mark(folder, 1, starred=True)
    assert (folder / "takes.json").read_text() == damage


def test_a_removed_take_leaves_neither_files_nor_marks(folder: Path) -> None:
    for seed in (0, 1):
        made(folder, seed=seed)
        mark(folder, seed + 1, starred=True, note=f"seed {seed}")
    remove(folder, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "takes.json"]
    assert made(folder, seed=3).name == "2"
    assert [(take.starred, take.note) for take in list_takes(folder)] == [
        (True, "seed 0"),
        (False, ""),
    ]
    with pytest.raises(OutputError, match="cannot be removed"):
        remove(folder, 7)


def test_a_result_in_the_folder_of_the_takes_is_not_removed(folder: Path) -> None:
    finish(folder, REQUEST)
    made(folder, seed=1)
    with pytest.raises(OutputError, match="take 0 is not removed"):
        remove(folder, 0)
    assert [take.number for take in list_takes(folder)] == [0, 1]


def test_only_settings_that_differ_are_named(folder: Path) -> None:
    made(folder)
    made(folder, seed=1, descriptors={"n_mels": 64})
    made(folder, speeds=[0.9])
    assert differing_settings(list_takes(folder)) == {
        "seed": [0, 1, 0],
        "n_mels": [40, 64, 40],
        "speeds": [None, None, [0.9]],
    }
    assert differing_settings([]) == {}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file"):
        take_folder(tmp_path / "file" / "song.wav", REQUEST)
