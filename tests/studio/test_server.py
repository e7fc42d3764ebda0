"""The server of `desc explore`: its data and its access control."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import desc.studio.server
from desc.commands.main import main
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import DescError
from desc.studio import Atlas, LocalServer, MapRoom
from desc.studio.server import HTML, Answer, Request
from tests.fuzzing import damaged
from tests.studio.conftest import NAMES, file_of, serve

Captured = pytest.CaptureFixture[str]


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def status(server: LocalServer, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", path, headers=headers)
    found = connection.getresponse().status
    connection.close()
    return found


def test_descriptors_that_are_not_finite_are_named(atlas: Atlas) -> None:
    values = np.array(atlas.database.values)
    values[len(values) // 2, 3] = np.nan
    broken = atlas.database.reference(len(values) // 2).source
    with pytest.raises(DescError, match=rf"{re.escape(str(broken))}: .*are not finite"):
        Atlas.of(replace(atlas.database, values=values))


def test_only_who_knows_the_token_on_this_machine_gets_anything(server: LocalServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32
    path = f"/{server.token}/"
    assert status(server, path) == 200
    for wrong in ("/", "/points", f"/{server.token[:-1]}/", f"/{server.token}x/points", "//"):
        assert status(server, wrong) == 404
    assert status(server, path, Host="attacker.example") == 404
    assert status(server, path, Origin="http://attacker.example") == 404
    assert status(server, path, Origin="null") == 404
    assert status(server, path, Origin=server.url.removesuffix(path)) == 200
    assert status(server, f"{path}../../etc/passwd") == 404
    with LocalServer(server.room) as other:
        assert other.token != server.token


def test_the_points_are_the_frames(server: LocalServer, atlas: Atlas) -> None:
    body, n = get(server.url + "points"), len(atlas.database)
    assert len(body) == 16 * n
    positions = np.frombuffer(body, "<u2", 2 * n).reshape(n, 2)
    assert (np.ptp(positions, axis=0) == 65535).any()
    np.testing.assert_array_equal(np.frombuffer(body, "<u4", n, 4 * n), atlas.database.file_index)
    centres = np.frombuffer(body, "<f8", n, 8 * n)
    np.testing.assert_array_equal(centres, atlas.database.centre_samples)
    tone = atlas.database.file_index == file_of(atlas, "plain/tone.wav")
    inner = np.flatnonzero(tone)[5:-5]  # frames of one sound lie at one place, away from others
    assert np.ptp(positions[inner].astype(int), axis=0).max() < 1000


def test_a_column_is_given_in_steps(server: LocalServer, atlas: Atlas) -> None:
    body = get(server.url + "column?name=mfcc1")
    low, high = np.frombuffer(body, "<f8", 2)
    steps = np.frombuffer(body, np.uint8, offset=16)
    values = np.asarray(atlas.database.values[:, 1])
    within = (values >= low) & (values <= high)
    assert within.mean() == pytest.approx(0.96, abs=0.01)
    shown = low + steps / 255 * (high - low)
    np.testing.assert_allclose(shown[within], values[within], atol=(high - low) / 500)


def test_a_grain_is_the_sound_there(server: LocalServer, atlas: Atlas) -> None:
    name = NAMES[1]
    file = file_of(atlas, name)
    body = get(f"{server.url}grain?file={file}&centre=66150&ms=200")
    audio, rate = soundfile.read(io.BytesIO(body))
    source, _ = soundfile.read(atlas.database.root / name)
    assert rate == 44100
    np.testing.assert_allclose(audio[300:-300], source[61740:70560][300:-300], atol=1e-4)
    assert audio[0] == audio[-1] == 0
    n_samples = atlas.database.files[file].n_samples
    assert get(f"{server.url}grain?file={file}&centre=0&ms=100")
    assert get(f"{server.url}grain?file={file}&centre={n_samples - 10}&ms=100")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("column?name=mfcc99", "mfcc99"),
        ("column?name=mfcc20", "static"),
        ("grain?file=99&centre=0&ms=100", "file=99"),
        ("grain?file=0&centre=-1&ms=100", "centre_sample=-1"),
        ("grain?file=0&centre=0&ms=999999", "length_ms=999999"),
        ("grain?file=x&centre=0&ms=100", "'x'"),
        ("grain", "file"),
    ],
)
def test_wrong_queries_are_named(server: LocalServer, path: str, words: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        get(server.url + path)
    assert error.value.code == 400
    assert words in json.loads(error.value.read())["error"]


def raw(server: LocalServer, request: bytes) -> bytes:
    """Send bytes and return the answer's first line."""
    with socket.create_connection(server.server_address[:2], 10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline()


def test_malformed_requests_are_answered(
    server: LocalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    host = f"Host: 127.0.0.1:{server.server_port}\r\n\r\n".encode()
    for line in (b"GET * HTTP/1.1", b"GET http://[::1 HTTP/1.1", b"\x16\x03 b c", b"GET / HTTP/x"):
        assert b" 400 " in raw(server, line + b"\r\n" + host)
    assert b" 431 " in raw(server, b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n")
    assert b" 501 " in raw(server, b"PUT / HTTP/1.1\r\n" + host)
    assert b" 404 " in raw(server, b"POST / HTTP/1.1\r\n" + host)
    whole = f"GET /{server.token}/column?name=mfcc1 HTTP/1.1\r\n".encode() + host
    for seed in range(200):
        answer = raw(server, damaged(whole, seed))
        assert re.match(rb"HTTP/1\.1 (200|400|404|414|431|501|505) |$", answer), seed
    assert status(server, f"/{server.token}/") == 200
    assert capfd.readouterr().err == ""


class Faulty:
    """A room with a fault in it, and a page of others."""

    def answer(self, request: Request) -> Answer:
        if request.path == "fault":
            raise ValueError("embedded null byte")
        return Answer(b"<p>", HTML, sandboxed=request.path == "report")


def test_faults_are_answered_and_pages_of_others_sandboxed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with contextlib.closing(serve(Faulty())) as servers:
        server = next(servers)
        with pytest.raises(urllib.error.HTTPError) as error:
            get(server.url + "fault")
        assert error.value.code == 500
        assert "embedded null byte" in json.loads(error.value.read())["error"]
        assert "embedded null byte" in caplog.text
        for path, policy in (("report", "sandbox allow-scripts"), ("page", None)):
            with urllib.request.urlopen(server.url + path) as answer:
                assert answer.headers["Content-Security-Policy"] == policy


def is_refused(server: LocalServer) -> bool:
    """Whether a request is refused for want of a free connection."""
    try:
        return status(server, f"/{server.token}/") == 503
    except ConnectionError:  # closed before the answer was read
        return True


def test_silent_and_surplus_connections_are_closed(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desc.studio.server, "MAX_CONNECTIONS", 2)
    with contextlib.closing(serve(MapRoom(atlas))) as servers:
        server = next(servers)
        assert not is_refused(server)
        silent = [socket.create_connection(server.server_address[:2], 60) for _ in range(2)]
        while not is_refused(server):
            pass
        for connection in silent:
            connection.close()
        while is_refused(server):
            pass
        monkeypatch.setattr(desc.studio.server, "TIMEOUT_S", 0.1)
        answers = [b"H"]
        while answers[-1] == b"H":  # refused while an earlier connection is still being closed
            with socket.create_connection(server.server_address[:2], 60) as connection:
                connection.sendall(b"GET / HTT")
                answers.append(connection.recv(1))
        assert answers[-1] == b""


def test_large_databases_are_thinned(rng: np.random.Generator) -> None:
    config = DescriptorConfig(descriptors=("mfcc",))
    values = rng.standard_normal((5000, 39)).astype(np.float32)
    sequences = [
        DescriptorSequence(values[:3000], config, "a.wav", "1" * 32, 3000 * 1024),
        DescriptorSequence(values[3000:], config, "b.wav", "2" * 32, 2000 * 1024),
    ]
    atlas = Atlas.of(DescriptorDatabase.from_sequences(sequences, "."), 100)
    assert len(atlas.points()) == 16 * 100
    assert atlas.rows[0] == 0
    assert atlas.rows[-1] == 4999
    assert len(atlas.column("mfcc0")) == 16 + 100
    assert 0 < atlas.share < 0.3


def test_a_port_that_is_taken(server: LocalServer, atlas: Atlas, capsys: Captured) -> None:
    words = ["explore", "--audio_db_dir", str(atlas.database.root), "--jobs", "1"]
    words += ["--cache_dir", str(atlas.database.root.parent / "cache"), "--quiet"]
    assert main([*words, "--port", str(server.server_port)]) == 2
    assert f"port {server.server_port} on 127.0.0.1 cannot be used" in capsys.readouterr().err
    assert main([*words, "--port", "99999"]) == 2
    assert main([*words, "--port", "-1"]) == 2


def test_the_command_serves_until_it_is_interrupted(atlas: Atlas) -> None:
    root = atlas.database.root
    words = ["explore", "--audio_db_dir", str(root), "--jobs", "1", "--quiet"]
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "desc", *words, "--cache_dir", str(root.parent / "cache")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert b"<!DOCTYPE html>" in get(url)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
