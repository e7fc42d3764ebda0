"""Settings of matching and rendering: distance, selection of units, sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from desc.configuration.fields import check, check_choice, check_integer, check_number, option

DISTANCES = ("euclidean", "cosine", "minkowski", "cityblock")
INDEXES = ("auto", "exact", "ivf")
INDEXED_DISTANCES = DISTANCES[:2]
SELECTIONS = ("beam", "sample", "nearest", "causal")
UNITS = ("frame", "onset", "beat", "grain")
MAX_HOLD_S = 60.0
MIN_UNIT_S = 0.1
MAX_ALIGN_MS = 100.0
SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "FLOAT")


@dataclass(frozen=True)
class QueryConfig:
    """Settings of the distance between descriptors and a database."""

    distance: str = option("euclidean", "distance measure", choices=DISTANCES)
    minkowski_p: float = option(3.0, "exponent of the minkowski distance", unit="at least 1")
    neighbours: int = option(1, "number of nearest rows per frame listed in matches.json")
    descriptor_weights: str = option(
        "",
        "factors on the default weights of columns or groups, such as mfcc0=2,delta=.5",
        metavar="NAME=X,…",
    )
    match_space: float = option(
        0.0,
        "how far to shift the prediction's mean and spread to the corpus's (moment matching)",
        unit="0 to 1",
    )
    allow_self_match: bool = option(
        False, "allow matches with the recording itself if the corpus contains it"
    )
    index: str = option(
        "auto",
        "search of the database. exact: all rows; ivf: an index of inverted lists, which misses "
        "about 1 % of the nearest rows and needs faiss; auto: ivf from a million rows on",
        choices=INDEXES,
    )

    def __post_init__(self) -> None:
        check_choice("distance", self.distance, DISTANCES)
        check_choice("index", self.index, INDEXES)
        rule = f"be auto or exact unless the distance is {' or '.join(INDEXED_DISTANCES)}"
        indexable = self.index != "ivf" or self.distance in INDEXED_DISTANCES
        check(indexable, "index", self.index, rule)
        check_number("minkowski_p", self.minkowski_p, 1.0)
        check_integer("neighbours", self.neighbours, 1)
        check_number("match_space", self.match_space, 0.0, 1.0)


STYLES: dict[str, dict[str, float | None]] = {
    "granular": {
        "continuity": 0.5,
        "slow_weight": 0.0,
        "beat_weight": 0.0,
        "max_unit_s": None,
        "gain_curve_db": 0.0,
    },
    "phrases": {},
    "loops": {"continuity": 6.0, "slow_weight": 2.0, "max_unit_s": 8.0},
}
"""Styles by name: the settings in which each differs from the defaults, which are `phrases`."""


@dataclass(frozen=True)
class SelectionConfig:
    """Settings of unit selection: the rows of a database that play a sequence of frames."""

    selection: str = option(
        "beam",
        "beam: beam search that weighs distance against transition cost; sample: "
        "the same with random costs added; nearest: the nearest row for each "
        "frame; causal: as live, each frame without a look ahead",
        choices=SELECTIONS,
    )
    units: str = option(
        "frame",
        "size of a unit. frame: single frames, joined if they are consecutive in "
        "a file; onset: from one onset of the corpus to the next; beat: from beat "
        "to beat, or onset where there is none, one or more; grain: grains of "
        "length grain_ms",
        choices=UNITS,
    )
    grain_ms: float = option(250.0, "length of a grain, rounded to whole frames", unit="ms")
    continuity: float = option(
        2.0,
        "constant cost of a jump, in median distances between a frame and its "
        "nearest row; higher values give longer units",
    )
    slow_weight: float = option(
        1.5,
        "weight of the slow scale: mean, spread and motion of the descriptors in the second "
        "around a frame; 0: frames alone",
    )
    beat_weight: float = option(
        9.0, "weight of onsets and of the phase of the pulse; needs mfcc among the descriptors"
    )
    max_unit_s: float | None = option(
        4.0, "maximum length of what is played from one place", unit="seconds", kind=float
    )
    pitch_continuity: float = option(
        1.5,
        "cost of a jump by an octave, in the unit of continuity; proportionally "
        "less for smaller intervals; needs f0 among the descriptors",
    )
    hold_s: float = option(
        0.5, "tabu window: minimum time before a source position is played again", unit="seconds"
    )
    max_use: int | None = option(
        None,
        "maximum number of times a source position is played in a result (default: no limit)",
        kind=int,
    )
    beam_width: int = option(32, "number of partial sequences followed in parallel")
    candidates: int = option(50, "number of nearest rows per frame considered for a jump")
    unit_temperature: float = option(
        0.5, "mean of the random costs of --selection sample, in the unit of continuity; 0: none"
    )
    unit_gain_db: float = option(
        6.0, "maximum gain or attenuation for matching a unit to the predicted level", unit="dB"
    )
    gain_curve_db: float = option(
        6.0,
        "maximum change of gain within a unit, by which it follows the course of the predicted "
        "level; 0: none; needs mfcc among the descriptors, and another selection than causal",
        unit="dB",
    )
    transpose_semitones: float = option(
        0.0,
        "maximum transposition, by resampling, for matching a unit to the "
        "predicted f0; needs f0 among the descriptors",
        unit="semitones",
    )
    layers: int = option(
        1, "number of layers to mix; each is matched to the residual of the earlier ones"
    )
    silence_gate_db: float | None = option(
        None,
        "mute frames predicted below this level, relative to the loudest frame of "
        "the corpus, such as -60 (default: mute none)",
        unit="dB",
        kind=float,
    )

    def __post_init__(self) -> None:
        if self.selection == "path":  # the former name
            object.__setattr__(self, "selection", "beam")
        check_choice("selection", self.selection, SELECTIONS)
        check_choice("units", self.units, UNITS)
        check_number("grain_ms", self.grain_ms, 1.0, 60000.0)
        check_number("continuity", self.continuity, 0.0)
        check_number("slow_weight", self.slow_weight, 0.0)
        check_number("beat_weight", self.beat_weight, 0.0)
        if self.max_unit_s is not None:
            check_number("max_unit_s", self.max_unit_s, MIN_UNIT_S)
        check_number("pitch_continuity", self.pitch_continuity, 0.0)
        check_number("hold_s", self.hold_s, 0.0, MAX_HOLD_S)
        if self.max_use is not None:
            check_integer("max_use", self.max_use, 1)
        for name in ("beam_width", "candidates"):
            check_integer(name, getattr(self, name), 1)
        check_number("unit_temperature", self.unit_temperature, 0.0)
        check_number("unit_gain_db", self.unit_gain_db, 0.0, 60.0)
        check_number("gain_curve_db", self.gain_curve_db, 0.0, 60.0)
        check_number("transpose_semitones", self.transpose_semitones, 0.0, 48.0)
        check_integer("layers", self.layers, 1)
        if self.silence_gate_db is not None:
            check_number("silence_gate_db", self.silence_gate_db, -200.0, 0.0)

    @classmethod
    def styled(cls, style: str, **settings: Any) -> SelectionConfig:
        """Return the settings of a style; those given override it.

        Parameters
        ----------
        style : str
            granular: fragments of a tenth of a second that follow every frame; phrases: pieces of
            .25 to 1.2 s that also follow the second and the beat; loops: longer ones.
        **settings
            Fields of the class.
        """
        check_choice("style", style, tuple(STYLES))
        return cls(**(STYLES[style] | settings))

    def grain_frames(self, frame_rate: float) -> int:
        """Return the length of a grain in frames, at least one."""
        return max(1, round(self.grain_ms / 1000 * frame_rate))


@dataclass(frozen=True)
class MasterConfig:
    """Settings of the last steps before a sound file."""

    loudness: float | None = option(
        None,
        "integrated loudness (EBU R 128), such as -16; less where true peaks would exceed -1 dB "
        "(default: as mixed)",
        unit="LUFS",
        kind=float,
    )
    high_pass_hz: float = option(
        0.0, "high-pass filter, such as 20 against a constant offset; 0: none", unit="Hz"
    )
    loop: bool = option(
        False,
        "make a loop: the end is crossfaded into the beginning, after a whole number of beats if "
        "there is a pulse",
    )

    def __post_init__(self) -> None:
        if self.loudness is not None:
            check_number("loudness", self.loudness, -70.0, 0.0)
        check_number("high_pass_hz", self.high_pass_hz, 0.0, 1000.0)


@dataclass(frozen=True)
class RenderConfig:
    """Settings of rendering a playlist to audio."""

    crossfade_ms: float = option(
        10.0,
        "crossfade length at a jump; the shape adapts to the correlation of the two sounds",
        unit="ms",
        aliases=("crossfade",),
    )
    align_ms: float = option(
        5.0, "maximum shift for aligning the incoming sound at a jump; 0: none", unit="ms"
    )
    channels: str = option(
        "source",
        "source: the largest channel count among the files used; mono; stereo",
        choices=("source", "mono", "stereo"),
    )
    subtype: str = option("PCM_24", "sample format of the WAV", choices=SUBTYPES)
    output_sample_rate: int | None = option(
        None, "sample rate of the WAV (default: the descriptors')", unit="Hz", kind=int
    )
    with_recording_s: float = option(
        0.0, "length of the recording's end to prepend to the continuation", unit="seconds"
    )

    def __post_init__(self) -> None:
        check_number("crossfade_ms", self.crossfade_ms, 0.0, 10000.0)
        check_number("align_ms", self.align_ms, 0.0, MAX_ALIGN_MS)
        check_choice("channels", self.channels, ("source", "mono", "stereo"))
        check_choice("subtype", self.subtype, SUBTYPES)
        if self.output_sample_rate is not None:
            check_integer("output_sample_rate", self.output_sample_rate, 1000, 1_000_000)
        check_number("with_recording_s", self.with_recording_s, 0.0)
