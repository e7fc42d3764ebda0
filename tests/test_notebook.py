"""Functions for notebooks, with stand-ins for the modules of Colab."""

from __future__ import annotations

import importlib.metadata
import sys
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell

import desc
from desc import notebook
from desc.errors import OutputError


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """colab(drive=…, files=…) puts modules in place of those of Google."""

    def install(**modules: object) -> None:
        for name in ("google", "google.colab"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, f"google.colab.{name}", module)

    return install


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_errors_of_the_library_are_one_line(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.start()
    started = capsys.readouterr().out
    assert f"desc {desc.__version__}" in started
    assert "desc from " in started
    result = shell.run_cell("import desc; desc.ModelConfig(window_size=0)")
    assert isinstance(result.error_in_exec, desc.DescError)  # later cells do not run
    shown = capsys.readouterr()
    assert "desc: error: window_size=0 must" in shown.err
    assert "Traceback" not in shown.out + shown.err
    shell.run_cell("1 / 0")
    assert "Traceback" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (
            '{"url": "https://x.org/d", "vcs_info": {"vcs": "git", "commit_id": "0123456789abc"}}',
            "https://x.org/d, commit 0123456789",
        ),
        ('{"url": "file:///home/me/checkout", "dir_info": {}}', "file:///home/me/checkout"),
        (None, "a package index, version 1.2"),
    ],
)
def test_the_origin_of_the_package(
    origin: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = SimpleNamespace(version="1.2", read_text=lambda name: origin)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: package)
    assert notebook.installed_from() == expected


def test_the_drive_becomes_the_current_folder(
    colab: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert notebook.keep_on_drive() == tmp_path, "without Colab nothing changes"
    mounted = []
    colab(drive=SimpleNamespace(mount=mounted.append))
    monkeypatch.setattr(notebook, "DRIVE", tmp_path / "drive")
    folder = notebook.keep_on_drive()
    assert mounted == [str(tmp_path / "drive")]
    assert folder == Path.cwd() == tmp_path / "drive" / "MyDrive" / "desc"


def test_uploaded_files_lie_in_the_folder(
    colab: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert notebook.upload("recordings") == []
    (tmp_path / "recordings" / "old.wav").touch()
    colab(files=SimpleNamespace(upload=lambda: Path("new.wav").write_bytes(b"sound")))
    assert notebook.upload("recordings") == [tmp_path / "recordings" / "new.wav"]
    assert Path.cwd() == tmp_path


def test_a_folder_is_packed_and_sent(colab: Callable[..., None], tmp_path: Path) -> None:
    folder = tmp_path / "predictions" / "song.wav"
    folder.mkdir(parents=True)
    with pytest.raises(OutputError, match=r"song\.wav: no files to download"):
        notebook.download(folder)
    (folder / "prediction.wav").write_bytes(b"sound")
    sent: list[str] = []
    colab(files=SimpleNamespace(download=sent.append))
    packed = notebook.download(tmp_path / "predictions")
    assert sent == [str(packed)] == [str(tmp_path / "predictions.zip")]
    with zipfile.ZipFile(packed) as content:
        assert content.read("predictions/song.wav/prediction.wav") == b"sound"


def test_a_page_is_embedded_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '<!DOCTYPE html><p title="a & b">\u266b</p><script>"1 < 2"</script>'
    (tmp_path / "report.html").write_text(text, "utf-8")
    frames: list[str] = []

    class Frames(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "iframe":
                frames.append(str(dict(attrs)["srcdoc"]))

    shown: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", shown.append)
        notebook.show_page(tmp_path / "report.html")
    (page,) = shown
    Frames().feed(page.data)  # type: ignore[attr-defined]
    assert frames == [text]
