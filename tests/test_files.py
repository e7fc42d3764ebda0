"""Atomic writes, what killed processes leave, and readers whose errors name the file."""

from __future__ import annotations

import signal
import sys
import zipfile
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest

from desc import files
from desc.errors import CheckpointError, ConfigurationError, OutputError, StorageError
from desc.files import is_abandoned, read_json, read_npz, replacing, temporary_beside, write_text
from tests.fuzzing import fuzz


def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "before")

    def fail() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_failure_leaves_no_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()

    def interrupt(path: Path, other: str | None = None) -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            if other is not None:
                (path.parent / other).write_text("of somebody else")
            raise KeyboardInterrupt

    for name in ("old/a.txt", "old/new/a.txt", "new/er/a.txt"):
        with pytest.raises(KeyboardInterrupt):
            interrupt(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path / "new" / "a.txt", "b.txt")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b.txt"]


def test_any_name_that_the_system_takes_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / f"{'n' * 251}.txt", "long")
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(StorageError, match=r"n+\.txt: cannot be written"):
        write_text(tmp_path / f"{'n' * 300}.txt", "too long")


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from desc.files import replacing\n"
        "with replacing(Path(sys.argv[1], 'a.txt')) as temporary:\n"
        "    temporary.write_text('half'); print(flush=True); time.sleep(60)"
    )
    with Popen([sys.executable, "-c", program, str(tmp_path)], stdout=PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (left,) = tmp_path.iterdir()
        assert not is_abandoned(left.name)
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    assert is_abandoned(left.name)
    folder = tmp_path / left.name.replace(".partial", "1.partial")
    (folder / "copied").mkdir(parents=True)
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_files_of_other_machines_and_of_this_process_stay(tmp_path: Path) -> None:
    own = temporary_beside(tmp_path / "a.txt").name
    host, pid, token, _ = own.removeprefix(".").removesuffix(".partial.txt").split("-")
    assert not is_abandoned(own)
    assert not is_abandoned(f".other-{pid}-12345678-0.partial.txt")
    assert not is_abandoned("a.txt")
    assert not is_abandoned(f"{host}-{pid}-12345678-0.partial.txt")
    assert is_abandoned(
        f".{host}-{pid}-12345678-0.partial.txt"
    )  # an earlier process of this number
    assert is_abandoned(f".{host}-{10**30}-{token}-0.partial.txt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ('{"a": ' + "9" * 5000 + "}", "no valid JSON"),
        ('["\\ud800"]', "surrogates not allowed"),
        ('["\\uD83D\\uDE00"]', ""),
    ],
)
def test_json(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    if not reason:
        assert read_json(path) == ["\U0001f600"]
        return
    with pytest.raises(ConfigurationError, match=rf"a\.json: .*{reason}"):
        read_json(path, ConfigurationError)


def test_npz_whole_and_fuzzed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {"a": np.arange(5), "b": np.ones((2, 3), np.float32), "names": np.array(["x", "yy"])}
    np.savez_compressed(path, **arrays)
    read = read_npz(path, CheckpointError)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    with pytest.raises(OutputError, match=r"none\.npz: No such file"):
        read_npz(tmp_path / "none.npz", OutputError)
    fuzz(path, lambda damaged: read_npz(damaged, OutputError))


def test_a_zip_bomb_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_NPZ_BYTES", 1 << 20)
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        for _ in range(2):
            member.write(bytes(1 << 20))
    with pytest.raises(OutputError, match=r"a\.npz: damaged: 2097152 bytes of arrays"):
        read_npz(tmp_path / "a.npz", OutputError)
