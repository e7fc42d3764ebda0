"""A length in a header is a claim: what decodes is used, and what is not as promised is told."""

from __future__ import annotations

import logging
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc import audio
from desc.errors import AudioError

RATE = 44100
Notes = Callable[[Path], tuple[int, str]]


@pytest.fixture
def decoded(caplog: pytest.LogCaptureFixture) -> Notes:
    """decoded(path) -> number of samples, and what is told about the file."""

    def decode(path: Path) -> tuple[int, str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "desc.audio"):
            n = sum(map(len, audio.read_mono_blocks(path)))
        assert sum(block.shape[1] for block in audio.read_blocks(path)) == n
        lines = [record.getMessage() for record in caplog.records]
        assert all(line.startswith(f"{path}: ") for line in lines)
        return n, "; ".join(line.removeprefix(f"{path}: ") for line in lines)

    return decode


@pytest.fixture
def without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


def edited(path: Path, **changes: bytes) -> Path:
    """Overwrite bytes behind a place in a file: `data=…` those that follow the text `data`."""
    content = bytearray(path.read_bytes())
    for text, new in changes.items():
        at = content.index(text.encode()) + len(text)
        content[at : at + len(new)] = new
    path.write_bytes(content)
    return path


def mp3_frames(content: bytes) -> list[tuple[int, int]]:
    """Start and end of the frames of an MP3 of MPEG 1, layer III, 44.1 kHz."""
    rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    frames, at = [], 0
    while at + 4 <= len(content) and content[at] == 0xFF:
        size = 144000 * rates[content[at + 2] >> 4] // RATE + (content[at + 2] >> 1 & 1)
        frames.append((at, at + size))
        at += size
    return frames


@pytest.fixture
def mp3(make_wav: Callable[..., Path], make_signal: Callable[..., np.ndarray]) -> Path:
    """4 s of MP3: one second of silence, then noise, at a variable bit rate."""
    x = np.concatenate([np.zeros(RATE, np.float32), 3 * make_signal("noise", 3.0)])
    path = make_wav("a.mp3")
    with soundfile.SoundFile(
        path, "w", RATE, 1, compression_level=0.2, bitrate_mode="VARIABLE"
    ) as file:
        file.write(x)
    return path


@pytest.mark.usefixtures("without_ffmpeg")
class TestMp3:
    def test_one_without_a_length_is_decoded_to_its_end(self, mp3: Path, decoded: Notes) -> None:
        content = mp3.read_bytes()
        frames = mp3_frames(content)
        assert b"Xing" in content[: frames[0][1]] or b"Info" in content[: frames[0][1]]
        cover = b"ID3\x03\0\0" + bytes([0, 6, 0, 0]) + bytes(6 << 14)
        for before in (b"", cover):
            mp3.write_bytes(before + content[frames[1][0] :])
            # libsndfile estimates from the first frame, of silence: many times the length
            assert decoded(mp3) == (1152 * (len(frames) - 1), "")
            assert audio.probe(mp3).n_samples == 0

    def test_one_with_a_length_is_cut_off(self, mp3: Path, decoded: Notes) -> None:
        frames = mp3_frames(mp3.read_bytes())
        mp3.write_bytes(mp3.read_bytes()[: frames[80][1]])
        n, note = decoded(mp3)
        assert 78 * 1152 <= n <= 80 * 1152
        assert re.search(r"damaged or cut off after 2\.0\d s of the 4\.00 s that its header", note)

    def test_what_follows_the_promised_bytes_is_read(self, mp3: Path, decoded: Notes) -> None:
        content = mp3.read_bytes()
        frames = mp3_frames(content)
        mp3.write_bytes(content + b"TAG" + bytes(125) + content[frames[1][0] :])
        n, note = decoded(mp3)
        assert n == 4 * RATE + 1152 * (len(frames) - 1)
        assert note.startswith("2 recordings joined in one file, 8.0")

    def test_what_libmpg123_prints_is_not_seen(
        self, mp3: Path, decoded: Notes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        content = mp3.read_bytes()
        mp3.write_bytes(content[:9000] + bytes(300) + content[9000:])
        decoded(mp3)
        assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus", "a.flac"])
def test_joined_recordings_are_read_whole(
    tmp_path: Path, make_signal: Callable[..., np.ndarray], decoded: Notes, name: str
) -> None:
    rate = 48000 if name == "a.opus" else RATE
    subtype = {"a.mp3": "MPEG_LAYER_III", "a.ogg": "VORBIS", "a.opus": "OPUS"}.get(name, "PCM_16")
    first, second = tmp_path / name, tmp_path / f"b{name[1:]}"
    audio.write(first, np.stack([make_signal("notes", 1.0, rate)] * 2), rate, subtype)
    audio.write(second, make_signal("chirp", 2.0, rate), rate, subtype)
    whole = audio.read(second)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    n, note = decoded(first)
    assert (n, note) == (3 * rate, "2 recordings joined in one file, 3.00 s in all")
    both = audio.read(first)
    assert both.shape == (2, 3 * rate)
    np.testing.assert_array_equal(both[1, rate:], whole[0])  # mono in the channels of the first


def test_a_later_part_is_resampled_to_the_first(
    make_wav: Callable[..., Path], decoded: Notes
) -> None:
    first = make_wav("a.ogg", sample_rate=48000)
    second = make_wav("b.ogg", sample_rate=24000, duration_s=3.0)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert decoded(first)[0] == 192000


def test_a_title_is_no_format(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "a.ogg", "w", RATE, 1) as file:
        file.title = "Speex of the sea, \x7fFLAC"
        file.write(np.zeros(RATE))
    assert audio.probe(tmp_path / "a.ogg").subtype == "VORBIS"


@pytest.mark.parametrize("sizes", [(0, 0), (36, 0), (0xFFFFFFFF, 0xFFFFFFFF)])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8"])
def test_a_wav_whose_sizes_were_never_written(
    make_wav: Callable[..., Path], decoded: Notes, sizes: tuple[int, int], subtype: str
) -> None:
    path = make_wav(subtype=subtype)
    expected = audio.read(path)
    riff, data = (struct.pack("<I", size) for size in sizes)
    edited(path, RIFF=riff, data=data)
    n, note = decoded(path)
    assert n == RATE
    assert note == (
        ""  # as a program that writes into a pipe
        if sizes[1]
        else "its header gives no length (did the recorder crash?); 1.00 s are there"
    )
    np.testing.assert_array_equal(audio.read(path), expected)
    with audio.AudioReader(path) as reader:
        np.testing.assert_array_equal(reader.read(44000, 100), expected[:, 44000:])


def test_other_headers_without_a_length(make_wav: Callable[..., Path], decoded: Notes) -> None:
    au = make_wav("a.au", subtype="PCM_16")
    content = bytearray(au.read_bytes())
    content[8:12] = bytes(4)
    au.write_bytes(content)
    assert decoded(au)[0] == RATE
    caf = make_wav("a.caf", subtype="PCM_16")
    at = caf.read_bytes().index(b"data\0\0\0\0")
    for size, note in ((-1, ""), (10**6, "cut off before the end that its header promises")):
        content = bytearray(caf.read_bytes())
        content[at + 4 : at + 12] = struct.pack(">q", size)
        caf.write_bytes(content)
        n, told = decoded(caf)
        assert n == RATE
        assert told.startswith(note)
        assert bool(told) == bool(note)
    flac = make_wav("a.flac")
    content = bytearray(flac.read_bytes())
    content[21] &= 0xF0  # STREAMINFO's number of samples, 36 bits: unknown
    content[22:26] = bytes(4)
    flac.write_bytes(content)
    assert decoded(flac) == (RATE, "")


@pytest.mark.usefixtures("without_ffmpeg")
@pytest.mark.parametrize(
    "name",
    [
        *("a.wav", "a.aiff", "a.au", "a.w64", "a.rf64", "a.caf", "a.flac"),
        *("a.nist", "a.voc", "a.mat5", "a.mat4", "a.avr"),
    ],
)
def test_what_is_left_of_a_file_that_was_cut_off(
    make_wav: Callable[..., Path], decoded: Notes, name: str
) -> None:
    path = make_wav(name, kind="noise", duration_s=2.0, subtype="PCM_16")
    assert decoded(path) == (2 * RATE, "")
    whole = audio.read(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    n, note = decoded(path)
    assert 0.9 * RATE < n < 1.1 * RATE
    assert "cut off" in note
    np.testing.assert_array_equal(audio.read(path), whole[:, :n])


def test_an_ogg_that_was_cut_off_lacks_its_last_page(
    make_wav: Callable[..., Path], decoded: Notes
) -> None:
    path = make_wav("a.ogg", kind="noise", duration_s=3.0)
    assert decoded(path) == (3 * RATE, "")
    path.write_bytes(path.read_bytes()[:-5000])
    n, note = decoded(path)
    assert RATE < n < 3 * RATE
    assert "the end is missing" in note


def test_an_ogg_whose_last_page_promises_more(
    make_wav: Callable[..., Path], decoded: Notes
) -> None:
    path = make_wav("a.ogg", kind="noise", duration_s=3.0)
    content = bytearray(path.read_bytes())
    last = content.rindex(b"OggS")
    content[last + 6 : last + 14] = struct.pack("<q", 3 * RATE + 20_000)
    content[last + 22 : last + 26] = bytes(4)
    from desc.audio.encoding import crc32

    content[last + 22 : last + 26] = struct.pack("<I", crc32(bytes(content[last:])))
    path.write_bytes(content)
    n, note = decoded(path)
    assert 3 * RATE <= n <= 3 * RATE + 2048
    assert note.startswith("damaged or cut off after 3.0")
    assert "of the 3.45 s" in note


def test_bytes_that_a_wav_does_not_count_are_told(
    make_wav: Callable[..., Path], decoded: Notes
) -> None:
    path = make_wav()
    path.write_bytes(path.read_bytes() * 2)
    n, note = decoded(path)
    assert n == RATE
    assert note.startswith("another WAV follows in the same file")


def test_an_excerpt_of_every_kind(make_wav: Callable[..., Path]) -> None:
    flac = make_wav("a.flac", duration_s=2.0)
    whole = audio.read(flac)
    flac.write_bytes(flac.read_bytes() * 2)
    for start_s in (0.5, 2.5):  # in the first part and in the second
        excerpt, rate = audio.read_excerpt(flac, start_s, 0.1)
        start = round((start_s % 2) * RATE)
        np.testing.assert_array_equal(excerpt, whole[:, start : start + 4410])
        assert rate == RATE
    assert audio.read_excerpt(flac, 9.0, 1.0)[0].shape == (1, 0)


@pytest.mark.parametrize("rate", [1, 999, 1_000_001])
def test_rates_outside_the_range_are_refused(make_wav: Callable[..., Path], rate: int) -> None:
    path = edited(make_wav(), **{"fmt ": struct.pack("<IHHI", 16, 1, 1, rate)})
    with pytest.raises(AudioError, match=f"sample rate of {rate} Hz must be from 1000 to 1000000"):
        audio.read(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.mp3", b"<html>404</html>", "a web page"),
        ("a.wav", b"\n <!DOCTYPE html><html>", "a web page"),
        ("a.wav", b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs pointer"),
        ("a.wav", bytes(5000), "only zero bytes"),
        ("a.flac", b"PK\x03\x04" + bytes(range(200)), "an archive"),
        ("a.raw", bytes(range(200)), r"without a header \(\.raw\)"),
        ("a.mp3", b"\0\0\0\x20ftypM4A " + bytes(100), r"MP4 .* install ffmpeg"),
        ("a.mp3", b"\xff\xf1\x50\x80" + bytes(range(100)), "AAC.* install ffmpeg"),
        ("a.oga", b"OggS\0\2" + bytes(20) + b"\1\x33\x7fFLAC\1", "FLAC in Ogg.* install ffmpeg"),
        ("a.ape", bytes(range(100)), "install ffmpeg"),
    ],
)
@pytest.mark.usefixtures("without_ffmpeg")
def test_the_message_says_what_it_is(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        audio.read(tmp_path / name)
