"""Demo corpus: pieces for a few synthetic instruments; the same seed gives the same music."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from desc.audio import write
from desc.demo.instruments import INSTRUMENTS, SAMPLE_RATE
from desc.progress import report

DORIAN = np.array([0, 2, 3, 5, 7, 9, 10])  # semitones above the root
Mix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """A file of the corpus: instruments, tempo, key and length."""

    source: str
    players: tuple[str, ...]
    beat_s: float
    root_hz: float
    duration_s: float


RECORDINGS = (
    Piece("recordings/01 garden.wav", ("plucked", "flute"), 0.30, 146.83, 36),
    Piece("recordings/02 procession.wav", ("strings", "bell", "drum"), 0.42, 110.00, 36),
    Piece("recordings/03 duet.wav", ("flute", "strings"), 0.36, 130.81, 36),
    Piece("recordings/04 clockwork.wav", ("plucked", "bell", "drum"), 0.24, 164.81, 36),
    Piece("recordings/05 evening.wav", ("strings", "plucked", "flute"), 0.40, 123.47, 36),
    Piece("recordings/06 garden again.wav", ("plucked", "flute", "bell"), 0.32, 146.83, 36),
)
DATABASE = (
    Piece("database/bells/bells high.wav", ("bell",), 0.35, 220.00, 30),
    Piece("database/bells/bells low.wav", ("bell", "bell"), 0.50, 98.00, 30),
    Piece("database/drums.wav", ("drum", "drum"), 0.22, 130.81, 30),
    Piece("database/flute one.wav", ("flute",), 0.38, 146.83, 30),
    Piece("database/flute two.wav", ("flute", "flute"), 0.28, 174.61, 30),
    Piece("database/plucked slow.wav", ("plucked",), 0.44, 123.47, 30),
    Piece("database/plucked fast.wav", ("plucked", "plucked"), 0.20, 164.81, 30),
    Piece("database/strings one.wav", ("strings",), 0.48, 110.00, 30),
    Piece("database/strings two.wav", ("strings", "strings"), 0.36, 138.59, 30),
    Piece("database/tutti.wav", ("strings", "plucked", "flute", "bell", "drum"), 0.34, 130.81, 40),
)


def write_corpus(
    folder: str | Path,
    seed: int = 0,
    *,
    with_database: bool = True,
) -> tuple[Path, Path]:
    """Write `recordings/` and `database/` below a folder, and return both.

    Files are stereo, 44.1 kHz, 16 bit; the same seed gives the same bytes. Existing files are kept.
    Without `with_database` only `recordings/` is written.
    """
    pieces = RECORDINGS + (DATABASE if with_database else ())
    for index, piece in enumerate(pieces):
        path = Path(folder) / piece.source
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng([seed, index])
            write(path, perform(piece, rng).astype(np.float32), SAMPLE_RATE, "PCM_16")
        report("compose", index + 1, len(pieces))
    return Path(folder) / "recordings", Path(folder) / "database"


def perform(piece: Piece, rng: np.random.Generator) -> Mix:
    """Return a piece as (2, S), peak at -2 dB."""
    n_samples = round(piece.duration_s * SAMPLE_RATE)
    mix = np.zeros((2, n_samples + 4 * SAMPLE_RATE))
    for player, name in enumerate(piece.players):
        pan = (player + 1) / (len(piece.players) + 1)
        gains = np.array([np.cos(pan * np.pi / 2), np.sin(pan * np.pi / 2)])
        for onset_s, pitch_hz, length_s, velocity in _part(piece, name, rng):
            note = INSTRUMENTS[name](pitch_hz, length_s, velocity, rng)
            start = round(onset_s * SAMPLE_RATE)
            stop = min(start + len(note), mix.shape[1])
            mix[:, start:stop] += gains[:, None] * note[: stop - start]
    mix = _reverberated(mix[:, :n_samples], rng)
    mix *= 0.8 / np.abs(mix).max()
    return mix + 2e-4 * rng.standard_normal(mix.shape)  # room tone: real recordings have noise


def _part(
    piece: Piece, name: str, rng: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Return a player's notes as (onset in s, pitch in Hz, length in s, velocity).

    A short motif is repeated with transpositions, inversions and changed notes, and with rests
    between phrases: structure for a model to learn.
    """
    octave = {"strings": 1, "plucked": 1, "flute": 4, "bell": 2, "drum": 1}[name]
    slow = {"strings": 4, "bell": 2}.get(name, 1)
    degrees = rng.integers(0, 8, rng.integers(4, 8))
    rhythm = rng.choice([1, 1, 1, 2, 2, 3], len(degrees)) * slow
    notes, beat, phrase = [], float(rng.integers(0, 4)), 0
    while beat * piece.beat_s < piece.duration_s:
        shift = (0, 2, -1, 0, 4, 3)[phrase % 6]
        turned = -degrees if phrase % 4 == 3 else degrees
        level = 0.35 + 0.5 * (0.5 + 0.5 * np.sin(phrase * 0.9))
        for degree, length in zip(turned + shift, rhythm, strict=True):
            octaves, step = divmod(int(degree), len(DORIAN))
            pitch = piece.root_hz * octave * 2.0 ** (octaves + DORIAN[step] / 12)
            accent = level * rng.uniform(0.85, 1.15)
            notes.append((beat * piece.beat_s, pitch, 0.9 * length * piece.beat_s, min(accent, 1)))
            beat += float(length)
        degrees = degrees.copy()
        degrees[rng.integers(len(degrees))] = rng.integers(0, 8)
        beat += float(rng.choice([1, 2, 4]))
        phrase += 1
    return [note for note in notes if note[0] < piece.duration_s]


def _reverberated(mix: Mix, rng: np.random.Generator) -> Mix:
    """Add stereo reverberation: noise decaying by 60 dB in 1.2 s."""
    t = np.arange(round(1.2 * SAMPLE_RATE)) / SAMPLE_RATE
    room = rng.standard_normal((2, len(t))) * 10 ** (-3 * t / 1.2)
    room /= np.sqrt((room**2).sum(1, keepdims=True))
    wet: Mix = fftconvolve(mix, room, axes=1)[:, : mix.shape[1]]
    return mix + 0.25 * wet
