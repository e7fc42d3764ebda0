"""Sound that libsndfile does not read comes from `ffmpeg`; a stand-in speaks its part."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from desc import audio
from desc.concatenation import Playlist, PlaylistEvent, render
from desc.corpus import find_files, open_corpus
from desc.errors import AudioError, CorpusError
from desc.storage import DescriptorStore

STAND_IN = """#!{python}
import array, math, os, struct, sys
path = sys.argv[sys.argv.index("-i") + 1].removeprefix("file:")
kind = open(path, "rb").read()[12:].decode()
open({log!r}, "a").write(" ".join(sys.argv[1:]) + chr(10))
if kind == "none":
    sys.exit("[mov @ 0x55d0] file:" + path + ": Invalid data found")
sys.stdout.buffer.write(b".snd" + struct.pack(">5I", 32, 0xFFFFFFFF, 6, 44100, 2) + bytes(8))
samples = array.array("f", (math.sin(i) / 2 for i in range(2 * 50000)))
samples.byteswap()
sys.stdout.buffer.write(samples.tobytes())
if kind == "killed once" and not os.path.exists({log!r} + ".killed"):
    open({log!r} + ".killed", "w").close()
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
if kind == "damaged":
    print("[aac @ 0x55d0] Error decoding a frame", file=sys.stderr)
"""
EXPECTED = (np.sin(np.arange(100_000)) / 2).astype(np.float32).reshape(-1, 2).T
HEAD = b"\0\0\0\x20ftypM4A "
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for ffmpeg on the path, and the file of its calls."""
    if os.name == "nt":
        pytest.skip("the stand-in is a script")
    folder, log = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    (folder / "ffmpeg").write_text(STAND_IN.format(python=sys.executable, log=str(log)))
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return log


def memo(folder: Path, kind: str = "whole", name: str = "memo.m4a") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(HEAD + kind.encode())
    return folder / name


def test_the_samples_are_streamed(calls: Path, tmp_path: Path) -> None:
    path = memo(tmp_path / "c", name="-a:b.m4a")
    info = audio.probe(path)
    assert (info.sample_rate, info.n_channels, info.n_samples) == (44100, 2, 0)
    np.testing.assert_array_equal(audio.read(path), EXPECTED)
    mono = np.concatenate(list(audio.read_mono_blocks(path)))
    np.testing.assert_allclose(mono, EXPECTED.mean(0), atol=1e-7)
    call = calls.read_text("utf-8").splitlines()[-1]
    assert f"-i file:{path} -map 0:a:0" in call
    assert "-protocol_whitelist file" in call  # a list of addresses is not followed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", "c", "calls"]


def test_damage_is_told(calls: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = memo(tmp_path / "c", "damaged")
    with caplog.at_level(logging.WARNING, "desc.audio"):
        assert sum(map(len, audio.read_mono_blocks(path))) == 50_000
    note = "damaged or cut off: ffmpeg reports 'Error decoding a frame'"
    assert caplog.records[0].getMessage() == f"{path}: {note}"
    with pytest.raises(AudioError, match=r"none\.m4a: ffmpeg cannot read it: Invalid data found"):
        audio.read(memo(tmp_path / "c", "none", "none.m4a"))
    assert calls.exists()


@pytest.mark.usefixtures("calls")
def test_a_corpus_is_extracted_and_played(tmp_path: Path) -> None:
    memo(tmp_path / "c")
    store = DescriptorStore(tmp_path / "cache")
    corpus = open_corpus(tmp_path / "c", store=store, jobs=1)
    assert [(s.source, s.n_samples) for s in corpus.sequences] == [("memo.m4a", 50_000)]
    event = PlaylistEvent("memo.m4a", 40_000, 5_000, 0)
    playlist = Playlist((event,), 44100, {"corpus": str(tmp_path / "c")})
    clip = render(playlist, store=store)
    np.testing.assert_array_equal(clip.samples[500:-500].T, EXPECTED[:, 40_500:44_500])


def test_without_ffmpeg_the_remedy_is_named(
    tmp_path: Path, make_wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    memo(tmp_path / "c")
    monkeypatch.setenv("PATH", str(tmp_path))
    store = DescriptorStore(tmp_path / "cache")
    with pytest.raises(CorpusError, match=r"memo\.m4a: \.m4a sound: .* install ffmpeg"):
        open_corpus(tmp_path / "c", store=store, jobs=1)
    make_wav("c/a.wav")
    corpus = open_corpus(tmp_path / "c", store=store, jobs=1)
    assert [s.source for s in corpus.skipped] == ["memo.m4a"]
    assert not corpus.ignored


@pytest.mark.usefixtures("calls")
def test_a_failure_without_ffmpeg_is_not_remembered_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = memo(tmp_path / "c", name="memo.mp3")  # AAC by another name
    store = DescriptorStore(tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        with pytest.raises(CorpusError, match=r"MP4 .* install ffmpeg"):
            open_corpus(path, store=store, jobs=1)
        assert len(store.failures()) == 1
    assert len(open_corpus(path, store=store, jobs=1).sequences) == 1


@pytest.mark.usefixtures("calls")
def test_a_failure_of_the_machine_is_not_remembered(tmp_path: Path) -> None:
    path = memo(tmp_path / "c", "killed once")
    store = DescriptorStore(tmp_path / "cache")
    with pytest.raises(CorpusError, match="ffmpeg was stopped"):
        open_corpus(path, store=store, jobs=1)
    assert store.failures() == {}
    assert len(open_corpus(path, store=store, jobs=1).sequences) == 1


def test_every_ending_is_found(tmp_path: Path) -> None:
    names = [f"a{ending}" for ending in sorted(audio.AUDIO_EXTENSIONS)]
    for name in names:
        (tmp_path / name).touch()
    files, skipped = find_files(tmp_path)
    assert sorted([s for _, s in files] + [s.source for s in skipped]) == names
    assert not any(s.ignored for s in skipped)
    assert {"a.m4a", "a.wma", "a.webm", "a.ape", "a.wv", "a.mp4", "a.mov", "a.amr"} <= set(names)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.wv", "a.wma", "a.mov"])
def test_what_the_program_decodes(make_wav: Callable[..., Path], name: str) -> None:
    path = make_wav("a.wav", kind="notes")
    made = path.with_name(name)
    program = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    subprocess.run([*program, "-i", path, made], check=True)
    raw = subprocess.run(
        [*program, "-i", made, "-f", "f32le", "-"], check=True, capture_output=True
    ).stdout
    np.testing.assert_array_equal(audio.read(made)[0], np.frombuffer(raw, "<f4"))
    assert 0.9 < audio.read(made).shape[1] / audio.probe(made).sample_rate < 1.1


@needs_ffmpeg
def test_what_follows_damage_is_read(
    make_wav: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = make_wav("a.flac", kind="noise", duration_s=3.0)
    whole, content = audio.read(path)[0], bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "desc.audio"):
        mono = np.concatenate(list(audio.read_mono_blocks(path)))
    assert 0.9 * len(whole) < len(mono) < len(whole)  # without the damaged frame
    np.testing.assert_array_equal(mono[-50_000:], whole[-50_000:])
    assert "damaged after" in caplog.text
    assert "ffmpeg reads on, to 2.9" in caplog.text
