"""`DescriptorConfig`: settings of extraction."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from desc.configuration import check, check_integer, check_number, option, to_dict
from desc.descriptors.families import COLUMN_SPACES, FAMILIES, Space
from desc.descriptors.filterbanks import mel_filters


@dataclass(frozen=True)
class DescriptorConfig:
    """Settings of extraction; equal configurations make compatible descriptors.

    Frame t is centred on sample t·hop_length, as in librosa with `center=True`. All sample
    numbers count at `sample_rate`.

    Ranges: sample_rate 1000 to 1000000 Hz, hop_length 1 to 65536, n_fft 16 to 32768 (even),
    n_mels 1 to 512, n_mfcc 1 to n_mels. They bound the memory.

    Raises
    ------
    ConfigurationError
        If a number is out of range, a family of descriptors is unknown or named twice, or the
        window is too short for so many mel bands.
    """

    sample_rate: int = option(44100, "sample rate of the analysis", unit="Hz", aliases=("sr",))
    hop_length: int = option(1024, "distance between frames", unit="samples")
    n_fft: int = option(2048, "length of the analysis window", unit="samples")
    n_mels: int = option(128, "number of mel bands for MFCC and onset strength, at most 512")
    n_mfcc: int = option(13, "number of MFCCs; deltas triple the number of columns")
    top_db: float | None = option(
        80.0,
        "dynamic range kept below a file's loudest mel band; none: no limit",
        unit="dB",
        kind=float,
    )
    descriptors: tuple[str, ...] = option(
        ("mfcc", "chroma"),
        "families to extract: " + ", ".join(FAMILIES),
        metavar="FAMILY",
        kind=str,
    )

    def __post_init__(self) -> None:
        check_integer("sample_rate", self.sample_rate, 1000, 1_000_000)
        check_integer("hop_length", self.hop_length, 1, 65536)
        check_integer("n_fft", self.n_fft, 16, 32768)
        check_integer("n_mels", self.n_mels, 1, 512)
        check_integer("n_mfcc", self.n_mfcc, 1)
        check(self.n_fft % 2 == 0, "n_fft", self.n_fft, "be even")
        check(self.n_mfcc <= self.n_mels, "n_mfcc", self.n_mfcc, f"be at most n_mels={self.n_mels}")
        if self.top_db is not None:
            check_number("top_db", self.top_db, above=0.0)
        is_text = isinstance(self.descriptors, str)
        check(not is_text, "descriptors", self.descriptors, "be a tuple of names")
        check(bool(self.descriptors), "descriptors", self.descriptors, "name a family")
        for name in self.descriptors:
            check(name in FAMILIES, "descriptors", name, "be one of " + ", ".join(FAMILIES))
        unique = len(set(self.descriptors)) == len(self.descriptors)
        check(unique, "descriptors", self.descriptors, "name each family once")
        if "contrast" in self.descriptors:
            rule = "be above 12800 for contrast, whose highest band begins at 6.4 kHz"
            check(self.sample_rate > 12800, "sample_rate", self.sample_rate, rule)
            rule = "be at least sample_rate / 200 for contrast, whose lowest band ends at 200 Hz"
            check(self.n_fft >= self.sample_rate / 200, "n_fft", self.n_fft, rule)
        if not {"mfcc", "onset_strength"}.isdisjoint(self.descriptors):
            bands = mel_filters(self.sample_rate, self.n_fft, self.n_mels).any(1)
            rule = (
                f"be larger, or n_mels={self.n_mels} smaller: "
                f"{np.count_nonzero(~bands)} mel bands contain no FFT bin"
            )
            check(bool(bands.all()), "n_fft", self.n_fft, rule)

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Columns of each group: `mfcc`, `delta`, `delta2` and every other family named."""
        groups: dict[str, tuple[int, ...]] = {}
        start = 0
        for family in self.descriptors:
            n_columns = self.n_mfcc if family == "mfcc" else len(FAMILIES[family].columns)
            for group in ("mfcc", "delta", "delta2") if family == "mfcc" else (family,):
                groups[group] = tuple(range(start, start + n_columns))
                start += n_columns
        return groups

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The D column names, `mfcc0 … mfcc38, chroma0 … chroma11` by default."""
        names: list[str] = []
        for family in self.descriptors:
            if family == "mfcc":
                names += [f"mfcc{i}" for i in range(3 * self.n_mfcc)]
            else:
                names += FAMILIES[family].columns
        return tuple(names)

    @property
    def n_columns(self) -> int:
        """D, the number of columns."""
        return len(self.names)

    @cached_property
    def static_columns(self) -> npt.NDArray[np.intp]:
        """(F,) positions of the static columns (no deltas), ascending."""
        static = [c for g, cs in self.groups.items() if g not in ("delta", "delta2") for c in cs]
        columns = np.array(sorted(static), dtype=np.intp)
        columns.flags.writeable = False
        return columns

    @property
    def static_names(self) -> tuple[str, ...]:
        """The F names of the static columns."""
        return tuple(self.names[c] for c in self.static_columns)

    @cached_property
    def spaces(self) -> tuple[tuple[Space, float], ...]:
        """For each of the D columns the space in which it is unbounded, and its floor."""
        of_group = {
            group: ("identity", 1e-6)
            if group in ("mfcc", "delta", "delta2")
            else (FAMILIES[group].space, FAMILIES[group].floor)
            for group in self.groups
        }
        spaces = {c: of_group[group] for group, cs in self.groups.items() for c in cs}
        return tuple(COLUMN_SPACES.get(name, spaces[c]) for c, name in enumerate(self.names))  # type: ignore[arg-type]

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the configuration, 16 hex digits."""
        text = json.dumps(to_dict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def n_frames(self, n_samples: int) -> int:
        """Number of frames of a signal of `n_samples`, 1 + n_samples // hop_length."""
        return 1 + n_samples // self.hop_length

    def complete_frames(self, n_samples: int) -> slice:
        """Frames whose whole window lies inside a signal of `n_samples`, as a slice of frames.

        Frame t is complete when n_fft/2 ≤ t·hop_length and t·hop_length + n_fft/2 ≤ n_samples;
        the others contain zero padding.
        """
        half = self.n_fft // 2
        first = -(-half // self.hop_length)
        stop = (n_samples - half) // self.hop_length + 1
        return slice(first, max(first, stop))
