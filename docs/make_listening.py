"""Make the sounds and pictures of `docs/listen.md` with the commands of that page.

python docs/make_listening.py [FOLDER]

FOLDER is where the commands work; runs and results that an earlier call left there are used again.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import librosa
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import soundfile
from gallery_sounds import write_voices, write_weather
from PIL import Image

from desc import audio
from desc.demo.corpus import write_corpus

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "listen.md"
STATIC = ROOT / "_static"
PIECES = {
    "garden": "01 garden.wav",
    "procession": "02 procession.wav",
    "clockwork": "04 clockwork.wav",
}
KINDS = ("recording", "granular", "phrases")
DRAWN = ("procession", "clockwork")
COLOURS = 48
RATE, HEARD_S = 44100, 14  # four seconds of the recording, ten of its continuation
SAMPLE_S, N_SAMPLES = 3, 4  # of a corpus
Sound = npt.NDArray[np.float32]


def commands() -> list[list[str]]:
    """Return the commands of the page, in order."""
    lines = re.findall(r"^desc .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def option(command: list[str], name: str) -> list[str]:
    """Return the values of an option of a command."""
    values = command[command.index(f"--{name}") + 1 :]
    return list(itertools.takewhile(lambda word: not word.startswith("--"), values))


def gallery(folder: Path, command: list[str]) -> None:
    """Write recording, corpus, result and page of one command of the gallery."""
    (name,), (recording,) = option(command, "output_dir"), option(command, "prediction_db_dir")
    files = [
        f for of in option(command, "audio_db_dir") for f in sorted((folder / of).rglob("*.wav"))
    ]
    chosen = files[:: -(-len(files) // N_SAMPLES)]
    parts = [audio.read(file).mean(0)[RATE : (1 + SAMPLE_S) * RATE] for file in chosen]
    result = folder / name / Path(recording).name
    write(f"gallery_{name}_recording", audio.read(folder / recording).mean(0)[-HEARD_S * RATE :])
    write(f"gallery_{name}_corpus", np.concatenate(parts))
    write(f"gallery_{name}", audio.read(result / "prediction.wav").mean(0))
    page = (
        (result / "report.html")
        .read_text("utf-8")
        .replace(f"{folder}/", "")
        .replace(str(folder), ".")
    )
    (STATIC / "gallery").mkdir(exist_ok=True)
    (STATIC / "gallery" / f"{name}.html").write_text(page, "utf-8")


def write(name: str, sound: Sound) -> None:
    """Write a sound of the page."""
    path = STATIC / "sound" / f"{name}.mp3"
    soundfile.write(path, sound, RATE, bitrate_mode="VARIABLE", compression_level=0.8)


def heard(folder: Path, kind: str, source: str) -> Sound:
    """Return what the page plays, mono (S,): a recording's end, or a continuation."""
    if kind == "recording":
        return audio.read(folder / "recordings" / source).mean(0)[-HEARD_S * RATE :]
    return audio.read(folder / kind / source / "prediction.wav").mean(0)[: HEARD_S * RATE]


def draw(sounds: dict[str, Sound], path: Path) -> None:
    """Draw the mel spectrograms of the sounds of a piece, one below the other."""
    figure, axes = plt.subplots(len(sounds), 1, figsize=(9, 6), sharex=True, layout="constrained")
    for axis, (kind, sound) in zip(axes, sounds.items(), strict=True):
        power = librosa.feature.melspectrogram(y=sound, sr=RATE, n_fft=2048, hop_length=512)
        level = librosa.power_to_db(power, ref=10.0, top_db=None)
        extent = (0, len(sound) / RATE, 0, len(level))
        axis.imshow(level, origin="lower", aspect="auto", extent=extent, vmin=-50, vmax=25)
        axis.set_ylabel(f"{kind}\nmel band")
    axes[-1].set_xlabel("s")
    figure.savefig(path, dpi=80)
    plt.close(figure)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)


def main(folder: Path) -> None:
    """Run the commands in a folder, then write sounds and pictures."""
    write_corpus(folder)
    write_voices(folder / "voices")
    write_weather(folder / "weather")
    environment = {**os.environ, "DESC_CACHE": str(folder / "cache")}
    trained = (folder / "experiments" / "descriptor_model").exists()
    for command in commands():
        if command[1] == "train" and trained:
            continue
        subprocess.run(command, cwd=folder, env=environment, check=True)
        if command[1] == "predict" and option(command, "output_dir")[0] not in KINDS:
            gallery(folder, command)
    for name, source in PIECES.items():
        sounds = {kind: heard(folder, kind, source) for kind in KINDS}
        for kind, sound in sounds.items():
            write(f"{name}_{kind}", sound)
        if name in DRAWN:
            draw(sounds, STATIC / "img" / f"listen_{name}.png")


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as work:
            main(Path(work))
