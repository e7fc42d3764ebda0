"""Folders of sounds: browsing, listing, dropped files, and pictures of a recording."""

from __future__ import annotations

import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from desc.audio import (
    AUDIO_EXTENSIONS,
    Audio,
    encode_wav,
    playable,
    probe,
    read_excerpt,
    read_mono_blocks,
)
from desc.configuration import check
from desc.corpus.discovery import find_files
from desc.corpus.ending import find_music_end
from desc.errors import AudioError, ConfigurationError, StorageError
from desc.files import replacing
from desc.report.page import packed
from desc.studio.server import Body

N_COLUMNS = 1400
EXCERPT_S = 60.0
BLOCK_BYTES = 1 << 20
MAX_UPLOAD_BYTES = 4 << 30


def browse(path: str) -> dict[str, Any]:
    """Return a folder's subfolders and its number of audio files; of "", the home folder.

    Raises
    ------
    ConfigurationError
        If it cannot be read.
    """
    folder = Path(path).expanduser() if path else Path.home()
    folder = Path(os.path.abspath(folder))
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        folders = sorted((e.name for e in entries if e.is_dir()), key=str.lower)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be read: {error.strerror or error}") from error
    n_files = sum(Path(entry.name).suffix.lower() in AUDIO_EXTENSIONS for entry in entries)
    above = None if folder.parent == folder else str(folder.parent)
    return {"path": str(folder), "above": above, "folders": folders, "n_files": n_files}


def listing(folder: str) -> dict[str, Any]:
    """Return the recordings of a folder and those below it, with their lengths.

    Raises
    ------
    CorpusError
        If there is no such folder.
    """
    found, skipped = find_files(folder)
    files, bad = [], [f"{one.source}: {one.reason}" for one in skipped if not one.ignored]
    for path, source in found:
        try:
            info = probe(path)
            files.append({"source": source, "seconds": info.n_samples / info.sample_rate})
        except AudioError as error:
            bad.append(str(error))
    return {"folder": folder, "files": files, "bad": bad}


def state(folder: str) -> str:
    """Return a text that changes with the audio files of a folder and those below it.

    Raises
    ------
    CorpusError
        If there is no such folder.
    """
    found = [(source, path.stat()) for path, source in find_files(folder)[0]]
    lines = [f"{source}\n{one.st_size} {one.st_mtime_ns}" for source, one in found]
    return sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def receive(folder: Path, name: str, body: Body) -> Path:
    """Write a dropped file into a folder; one that is no sound is refused.

    Raises
    ------
    ConfigurationError
        If its name is not that of an audio file, or another file has it.
    AudioError
        If it cannot be read.
    """
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    usable = Path(name).suffix.lower() in AUDIO_EXTENSIONS and not name.startswith(".")
    usable = usable and ":" not in name  # a drive or a stream of a file on Windows
    rule = "end as audio files do, such as .wav, .flac or .mp3, and have no colon"
    check(usable, "name", name, rule)
    n_bytes = body.n_left
    check(0 < n_bytes <= MAX_UPLOAD_BYTES, "size", n_bytes, "be 1 byte to 4 GB")
    path = folder / name
    check(not path.exists(), "name", name, f"be new: {folder} already holds a file of this name")
    with replacing(path) as temporary:
        with temporary.open("wb") as stream:
            while block := body.read(BLOCK_BYTES):
                stream.write(block)
            if stream.tell() != n_bytes:
                raise StorageError(f"{name}: the transfer broke off")
        try:
            probe(temporary)
        except AudioError as error:
            raise AudioError(str(error).replace(str(temporary), name)) from error
    return path


def next_folder(above: Path) -> Path:
    """Return the path of a new numbered folder: one more than the largest number there."""
    numbers = (int(path.name) for path in above.glob("*") if path.name.isdecimal())
    return above / str(1 + max(numbers, default=0))


def inside(folder: str, source: str) -> Path:
    """Return the path of a file below a folder.

    Raises
    ------
    ConfigurationError
        If it lies elsewhere or is missing.
    """
    root = Path(os.path.abspath(folder))
    path = Path(os.path.abspath(root / source))
    check(path.is_relative_to(root) and path.is_file(), "source", source, f"be a file of {root}")
    return path


def waveform(path: Path) -> dict[str, Any]:
    """Return the length of a recording, the end of its music and its envelope for `drawWave`.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    status = path.stat()
    return _waveform(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _waveform(path: str, size: int, changed: int) -> dict[str, Any]:  # noqa: ARG001
    rate = probe(path).sample_rate
    step = max(1, rate // 100)
    lows, highs, n_samples, rest = [], [], 0, np.zeros(0, np.float32)
    for block in read_mono_blocks(path):
        n_samples += len(block)
        rest = np.concatenate([rest, block])
        whole = rest[: len(rest) // step * step].reshape(-1, step)
        lows.append(whole.min(1))
        highs.append(whole.max(1))
        rest = rest[whole.size :]
    if len(rest):
        lows.append(rest.min(keepdims=True))
        highs.append(rest.max(keepdims=True))
    low, high = np.concatenate(lows), np.concatenate(highs)
    starts = np.unique(np.linspace(0, len(low) - 1, min(N_COLUMNS, len(low))).astype(int))
    low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    scale = 127 / max(float(high.max()), -float(low.min()), 1e-9)
    picture = np.rint(np.stack([low, high]) * scale)
    seconds = n_samples / rate
    music_end, _ = find_music_end(path, seconds)
    return {"seconds": seconds, "music_end": music_end, "envelope": packed(picture, "i1")}


def excerpt(path: Path, start_s: float, duration_s: float) -> bytes:
    """Return a piece of a file as WAV, at most a minute.

    Raises
    ------
    AudioError
        If it cannot be read.
    ConfigurationError
        If it lies outside the file.
    """
    audio, rate = read_excerpt(path, max(0.0, start_s), min(duration_s, EXCERPT_S))
    check(audio.size > 0, "start_s", start_s, f"lie in {path.name}")
    return wav(audio, rate)


def wav(audio: Audio, rate: int) -> bytes:
    """Return audio (C, S) as a WAV that every browser plays, turned down where it would clip."""
    audio, rate = playable(audio, rate)
    return encode_wav(audio / np.float32(max(1.0, float(np.abs(audio).max()))), rate)
