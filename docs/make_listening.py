"""Make the sounds and pictures of `docs/listen.md` with the commands of that page.

python docs/make_listening.py [FOLDER]

FOLDER is where the commands work; a run that an earlier call left there is used again.
"""

from __future__ import annotations

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
Sound = npt.NDArray[np.float32]


def commands() -> list[list[str]]:
    """Return the commands of the page, in order."""
    lines = re.findall(r"^desc .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


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
    environment = {**os.environ, "DESC_CACHE": str(folder / "cache")}
    runs = folder / "experiments" / "descriptor_model"
    for command in commands():
        if command[1] == "train" and runs.exists():
            continue
        named = [next(runs.iterdir()).name if word == "ID" else word for word in command]
        subprocess.run(named, cwd=folder, env=environment, check=True)
    for name, source in PIECES.items():
        sounds = {kind: heard(folder, kind, source) for kind in KINDS}
        for kind, sound in sounds.items():
            path = STATIC / "sound" / f"{name}_{kind}.mp3"
            soundfile.write(path, sound, RATE, bitrate_mode="VARIABLE", compression_level=0.8)
        if name in DRAWN:
            draw(sounds, STATIC / "img" / f"listen_{name}.png")


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as work:
            main(Path(work))
