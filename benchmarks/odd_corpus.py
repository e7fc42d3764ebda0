"""A folder of odd files, extracted: files used and skipped, notes, peak memory, time.

    python benchmarks/odd_corpus.py FOLDER           # 500 files, made in FOLDER/files
    python benchmarks/odd_corpus.py FOLDER --n 2000

The files are all formats that soundfile writes, and those of ffmpeg if it is installed, at odd
rates and channel counts and under odd names; then copies that are cut off, joined, damaged,
misnamed or have wrong sizes in their headers, implausible signals, empty files and files that are
no audio. They depend on the seed alone. `desc extract` must end with status 0, name every file it
skips, and stay below 1 GB.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

RATES = (1000, 8000, 11025, 22050, 44100, 48000, 96000, 192000, 1_000_000)
FOREIGN = ("m4a", "aac", "wma", "webm", "mka", "wv", "mp4", "mov", "tta", "ac3")
NAMES = (
    "with space {}.{}", "Größe {}.{}", "[brackets] {}.{}", "-dash {}.{}", "a'quote\" {}.{}",
    "percent%20 {}.{}", "$HOME {}.{}", "emoji 🎹 {}.{}", "bell\a {}.{}", "esc\x1b[31m {}.{}",
    "new\nline {}.{}", "UPPER {}.{}", "dots... {}.{}", "{}" + 180 * "l" + ".{}", "sub/folder/{}.{}",
)  # fmt: skip
NO_AUDIO = {
    "empty.wav": b"", "zeros.wav": bytes(4096), "page.mp3": b"<!DOCTYPE html><html>404</html>",
    "pointer.flac": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "text.aiff": b"not a sound\n" * 50, "riff.wav": b"RIFF\0\0\0\0WAVE",
    "ogg.ogg": b"OggS" + bytes(60),
    "flac.flac": b"fLaC\0\0\0\x22" + bytes(34), "id3.mp3": b"ID3\3\0\0\x7f\x7f\x7f\x7f",
    "zip.wav": b"PK\3\4" + bytes(99), "raw.raw": bytes(range(256)), "notes.txt": b"text",
    "midi.mid": b"MThd" + bytes(20), "ftyp.mp3": b"\0\0\0\x20ftypM4A " + bytes(99),
}  # fmt: skip


def sound(rng: np.random.Generator, rate: int, n_channels: int) -> np.ndarray:
    """Return up to a second of a tone with noise, (S, C)."""
    n_samples = int(rng.uniform(0.3, 1.0) * min(rate, 96000))
    tone = np.sin(2 * np.pi * rng.uniform(0.01, 0.1) * np.arange(n_samples))[:, None]
    return 0.3 * tone * rng.uniform(0.3, 1, n_channels) + 0.01 * rng.standard_normal(
        (n_samples, n_channels)
    )


def readable(folder: Path, rng: np.random.Generator) -> Iterator[Path]:
    """Write a file of every format that soundfile and ffmpeg write, and yield their paths."""
    folder.mkdir(parents=True)
    endings = {"AIFF": "aiff", "MAT4": "mat", "MAT5": "mat", "NIST": "nist", "WAVEX": "wav"}
    for name in sorted(soundfile.available_formats()):
        for subtype in sorted(soundfile.available_subtypes(name)):
            rate = int(rng.choice(RATES[1:6]))
            rate = 48000 if subtype == "OPUS" else rate
            path = folder / f"{name}-{subtype}.{endings.get(name, name.lower())}"
            samples = sound(rng, rate, int(rng.integers(1, 3)))
            try:
                soundfile.write(path, samples, rate, subtype, format=name)
            except (soundfile.SoundFileError, ValueError):  # mono only, other rates only
                path.unlink(missing_ok=True)
                continue
            yield path
    for rate in RATES:
        for n_channels in (1, 2, 3, 8, 33):
            path = folder / f"{rate} Hz {n_channels}.wav"
            soundfile.write(path, sound(rng, rate, n_channels), rate, "PCM_16")
            yield path
    source = folder / "44100 Hz 2.wav"
    for ending in FOREIGN if shutil.which("ffmpeg") else ():
        path = folder / f"ffmpeg.{ending}"
        subprocess.run(
            ["ffmpeg", "-nostdin", "-v", "quiet", "-y", "-i", source, path],
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if path.exists() and path.stat().st_size:
            yield path


def implausible(folder: Path) -> None:
    """Write signals that are told."""
    folder.mkdir()
    tone = 0.4 * np.sin(0.05 * np.arange(30_000))
    for name, samples in {
        "silent": 0 * tone, "cancelling": np.stack([tone, -tone], 1), "offset": tone + 0.9,
        "integers": 32767 * tone, "one sample": tone[:1], "nan": tone * np.nan, "huge": 1e30 * tone,
    }.items():  # fmt: skip
        soundfile.write(folder / f"{name}.wav", samples, 44100, "FLOAT")


def damaged(content: bytes, other: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Return the bytes of a file after an accident."""
    place = int(rng.integers(1, max(2, len(content))))
    changed = bytearray(content)
    if kind == "cut":
        return content[:place]
    if kind == "headless":
        return content[place:]
    if kind == "joined":
        return content + other
    if kind == "zeroed":
        changed[place : place + 500] = bytes(len(changed[place : place + 500]))
    elif kind == "flipped":
        for at in rng.integers(0, len(changed), 8):
            changed[at] ^= 1 << int(rng.integers(8))
    elif kind == "header":  # sizes, rates, channels
        for at in rng.integers(0, min(64, len(changed)), 3):
            changed[at] = int(rng.choice([0, 1, 127, 128, 255]))
    elif kind == "sizes":
        for text in (b"RIFF", b"data", b"FORM", b"SSND"):
            at = content.find(text) + 4
            changed[at : at + 4] = bytes([int(rng.choice([0, 255]))]) * 4
    return bytes(changed)


def make(folder: Path, n_files: int, seed: int) -> int:
    """Write the files, and return their number."""
    rng = np.random.default_rng(seed)
    sounds = list(readable(folder / "readable", rng))
    implausible(folder / "implausible")
    for name, content in NO_AUDIO.items():
        (folder / name).write_bytes(content)
    kinds = ("cut", "headless", "joined", "zeroed", "flipped", "header", "sizes", "renamed")
    small = [path for path in sounds if path.stat().st_size < 1_000_000]
    for number in range(n_files - sum(path.is_file() for path in folder.rglob("*"))):
        path, other = (small[int(at)] for at in rng.integers(0, len(small), 2))
        other = other if kinds[number % len(kinds)] == "renamed" else next(
            one for one in (other, *small) if one.suffix == path.suffix
        )  # fmt: skip
        kind = kinds[number % len(kinds)]
        content = damaged(path.read_bytes(), other.read_bytes(), kind, rng)
        ending = (other if kind == "renamed" else path).suffix[1:]
        name = NAMES[number % len(NAMES)].format(f"{kind} {number}", ending)
        target = folder / kind / name.replace("\n", "" if os.name == "nt" else "\n")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(content)
        except OSError:  # a name that this system does not take
            (folder / kind / f"{number}.{ending}").write_bytes(content)
    return sum(path.is_file() for path in folder.rglob("*"))


def main() -> int:
    """Make the files, extract them, print the figures; return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=500, help="number of files [default 500]")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    files = args.folder / "files"
    if files.exists():
        parser.error(f"{files} exists; give another folder")
    n_files = make(files, args.n, args.seed)
    command = [sys.executable, "-m", "desc", "extract", "--audio_db_dir", str(files)]
    command += ["--cache_dir", str(args.folder / "cache"), "--jobs", "1"]
    start = time.perf_counter()
    with (args.folder / "stdout").open("w+b") as out, (args.folder / "stderr").open("w+b") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        lines, told = out.read().decode().splitlines(), err.read().decode().splitlines()
    peak_mb = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
    skipped = [line for line in lines if line.startswith("skipped ")]
    strange = [line for line in told if "Traceback" in line or "Error:" in line or "\x1b" in line]
    unnamed = [line for line in skipped if re.search(r"\w(Error|Exception): ", line)]
    print(f"{n_files} files made, status {os.waitstatus_to_exitcode(status)}")
    print(lines[-1] if lines else "no result")
    print(f"{len(skipped)} skipped lines, {len(told)} lines on standard error")
    print(f"{seconds:.1f} s ({usage.ru_utime + usage.ru_stime:.1f} s CPU), peak {peak_mb:.0f} MB")
    for line in (*strange, *unnamed):
        print(f"strange: {line!r}")
    return int(bool(status or strange or unnamed or peak_mb > 1000))


if __name__ == "__main__":
    sys.exit(main())
