"""`desc studio`: its launcher, its port, and the events that its pages hear."""

from __future__ import annotations

import json
import shlex
import socket
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from desc.commands.main import main
from desc.commands.studio import write_launcher
from desc.configuration import RunConfig
from desc.storage import DescriptorStore
from desc.studio import LocalServer, StudioRoom


@pytest.mark.parametrize(
    ("platform", "ending"), [("win32", ".bat"), ("darwin", ".command"), ("linux", ".desktop")]
)
def test_a_launcher_starts_the_studio(platform: str, ending: str, tmp_path: Path) -> None:
    folder = tmp_path / "my $tudio 100%"
    path = write_launcher(folder, RunConfig(str(tmp_path / "runs")), platform)
    assert path.suffix == ending
    assert path.parent == folder
    text = path.read_text("utf-8")
    if platform == "darwin":
        words = shlex.split(text.splitlines()[1])
        assert words[:5] == [sys.executable, "-m", "desc", "studio", "--studio_dir"]
        assert words[5:8] == [str(folder), "--experiment_dir", str(tmp_path / "runs")]
    elif platform == "linux":
        assert r"my \\$tudio 100%%" in text
    else:
        assert "100%%" in text
        assert text.startswith("@echo off")


def test_the_command_names_a_port_that_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["studio", "--studio_dir", str(tmp_path / "studio"), "--no-open_browser"]
        words += ["--cache_dir", str(tmp_path / "cache"), "--port", str(port)]
        assert main(words) == 2
    assert f"port {port} on 127.0.0.1 cannot be used" in capsys.readouterr().err
    assert main(["studio", "--studio_dir", str(tmp_path / "new"), "--make_launcher"]) == 0
    (written,) = (tmp_path / "new").iterdir()
    assert capsys.readouterr().out.strip() == str(written)


def test_every_page_hears_what_another_one_does(tmp_path: Path) -> None:
    room = StudioRoom(tmp_path / "s", RunConfig(str(tmp_path)), DescriptorStore(tmp_path / "c"))
    with LocalServer(room) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            pages = [urllib.request.urlopen(server.url + "events", timeout=30) for _ in range(2)]
            for page in pages:
                assert json.loads(page.readline()[6:])["choices"]["sounds"] == ""
                assert page.readline() == b"\n"
            pages[0].close()  # in the middle
            body = json.dumps({"sounds": str(tmp_path)}).encode()
            urllib.request.urlopen(server.url + "choose", body, timeout=30).close()
            assert json.loads(pages[1].readline()[6:])["choices"]["sounds"] == str(tmp_path)
            pages[1].close()
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(server.url + "choose", b"no JSON", timeout=30)
            assert "JSON" in json.loads(error.value.read())["error"]
        finally:
            server.shutdown()
            thread.join()
            room.close()
