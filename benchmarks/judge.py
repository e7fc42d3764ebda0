"""Speed of the music tagger that judges rendered sound, and distances between folders by it.

    python benchmarks/judge.py musicnn-0.1.0-py3-none-any.whl
    python benchmarks/judge.py musicnn-0.1.0-py3-none-any.whl --real real/ --got one/ two/

One thread. The speed is that of the fastest of several runs on 12 s of sound, in seconds of sound
per CPU second. The kernel audio distance (KAD) compares all files of two folders; lower is better.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measuring import cpu_s

from desc.audio import AUDIO_EXTENSIONS, read_mono_blocks
from desc.metrics.musicnn import RATE, Sound, Tagger

SOUND_S, RUNS = 12, 10


def speed(tagger: Tagger) -> float:
    """Return seconds of sound per CPU second."""
    sound = np.random.default_rng(0).standard_normal(SOUND_S * RATE).astype(np.float32)
    spent = []
    for _ in range(RUNS):
        began = cpu_s()
        tagger.describe(sound, RATE)
        spent.append(cpu_s() - began)
    return SOUND_S / min(spent)


def sounds_of(folder: Path) -> list[Sound]:
    """Return all files of a folder, at the tagger's rate."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_EXTENSIONS)
    return [(np.concatenate(list(read_mono_blocks(p, RATE, 1 << 16))), RATE) for p in paths]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--real", type=Path, metavar="DIR")
    parser.add_argument("--got", type=Path, nargs="+", default=[], metavar="DIR")
    args = parser.parse_args()
    tagger = Tagger.load(args.wheel)
    print(f"{speed(tagger):.0f} × real time")
    if args.real is not None:
        real = sounds_of(args.real)
        for folder in args.got:
            print(f"{folder}: KAD {tagger.kad(real, sounds_of(folder)):.1f}")


if __name__ == "__main__":
    main()
