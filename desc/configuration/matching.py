"""Settings of matching: the distance, and the selection of units."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration.fields import check_choice, check_integer, check_number, option

DISTANCES = ("euclidean", "cosine", "minkowski", "cityblock")
SELECTIONS = ("beam", "sample", "nearest")
UNITS = ("frame", "onset", "grain")
MAX_HOLD_S = 60.0


@dataclass(frozen=True)
class QueryConfig:
    """Settings of the distance between descriptors and a database."""

    distance: str = option("euclidean", "distance between descriptors", choices=DISTANCES)
    minkowski_p: float = option(3.0, "exponent of the minkowski distance", unit="at least 1")
    neighbours: int = option(1, "nearest rows per frame listed in matches.json")
    descriptor_weights: str = option(
        "", "factors on the default weights, as mfcc0=2,delta=.5 (a column or a group)"
    )
    match_space: float = option(
        0.0,
        "how far to shift the prediction's mean and spread to the corpus's (moment matching)",
        unit="0 to 1",
    )
    allow_self_match: bool = option(
        False, "let rows of the recording itself be played if the corpus contains it"
    )

    def __post_init__(self) -> None:
        check_choice("distance", self.distance, DISTANCES)
        check_number("minkowski_p", self.minkowski_p, 1.0)
        check_integer("neighbours", self.neighbours, 1)
        check_number("match_space", self.match_space, 0.0, 1.0)


@dataclass(frozen=True)
class SelectionConfig:
    """Settings of unit selection: the rows of a database that play a sequence of frames."""

    selection: str = option(
        "beam",
        "beam: beam search for units with cheap transitions; sample: the same with random costs; "
        "nearest: the nearest row of each frame",
        choices=SELECTIONS,
    )
    units: str = option(
        "frame",
        "size of a unit. frame: single frames, joined if they are consecutive in a file; onset: "
        "sounds of the corpus from one onset to the next; grain: pieces of grain_ms",
        choices=UNITS,
    )
    grain_ms: float = option(250.0, "length of a grain, rounded to whole frames", unit="ms")
    continuity: float = option(
        0.5,
        "constant cost of a jump, in median distances of a frame to its nearest row; higher values "
        "give longer units",
    )
    pitch_continuity: float = option(
        1.5,
        "cost of an interval of an octave at a jump, in the same unit, proportionally less for "
        "smaller ones; needs f0 among the descriptors",
    )
    hold_s: float = option(
        0.5, "tabu window: time within which a source position is not played again", unit="seconds"
    )
    max_use: int | None = option(
        None,
        "how often a source position may be played in a result (default: any number)",
        kind=int,
    )
    beam_width: int = option(32, "paths followed in parallel")
    candidates: int = option(50, "nearest rows per frame that a path may jump to")
    unit_temperature: float = option(
        0.5, "mean of the random costs of the selection sample, in median distances; 0: none"
    )
    unit_gain_db: float = option(
        6.0, "largest gain, up or down, that brings a unit to the predicted level", unit="dB"
    )
    transpose_semitones: float = option(
        0.0,
        "largest transposition that brings a unit to the predicted f0, by playing it faster or "
        "slower; needs f0 among the descriptors",
        unit="semitones",
    )
    layers: int = option(
        1, "selections that are mixed, each matched to the residual of the earlier ones"
    )
    silence_gate_db: float | None = option(
        None,
        "mute frames predicted this far below the loudest frame of the corpus, as -60 (default: "
        "no frames)",
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
        check_number("pitch_continuity", self.pitch_continuity, 0.0)
        check_number("hold_s", self.hold_s, 0.0, MAX_HOLD_S)
        if self.max_use is not None:
            check_integer("max_use", self.max_use, 1)
        for name in ("beam_width", "candidates"):
            check_integer(name, getattr(self, name), 1)
        check_number("unit_temperature", self.unit_temperature, 0.0)
        check_number("unit_gain_db", self.unit_gain_db, 0.0, 60.0)
        check_number("transpose_semitones", self.transpose_semitones, 0.0, 48.0)
        check_integer("layers", self.layers, 1)
        if self.silence_gate_db is not None:
            check_number("silence_gate_db", self.silence_gate_db, -200.0, 0.0)

    def grain_frames(self, frame_rate: float) -> int:
        """Return the length of a grain in frames, at least one."""
        return max(1, round(self.grain_ms / 1000 * frame_rate))
