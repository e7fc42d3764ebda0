"""`UnitStream`: units of all layers for a target that arrives frame by frame.

The same code serves a stream that plays while it listens and the offline selection `causal`, so
both choose the same units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from desc.configuration import QueryConfig, SelectionConfig, check
from desc.database import DescriptorDatabase
from desc.descriptors.envelope import envelope_db
from desc.matching.arrays import Bools, Float32, Float64, Rows, Values
from desc.matching.causal_search import CausalSearch
from desc.matching.levels import (
    levels_db,
    residual_target,
    with_fitted_gains,
    with_gains,
)
from desc.matching.nearest import NearestRows
from desc.matching.slow_scale import PHASE_WEIGHT, heard_now, onset_strength
from desc.matching.space import MatchSpace
from desc.matching.transitions import Transitions
from desc.matching.units import MUTED_DB, Unit, Units

HEARD_S = 12.0
"""Time before a frame that its slow scale hears, longer than all windows; seconds."""
LEVEL_FRAMES = 8
"""Last frames over which the level of a target and of a unit are compared."""


@dataclass(frozen=True, eq=False)
class Sounds:
    """A corpus prepared for a causal search, by one set of settings.

    Attributes
    ----------
    database : DescriptorDatabase
        The rows.
    space : MatchSpace
        The match space.
    transitions : Transitions
        The rows with the slow scale, and the costs between them.
    nearest : NearestRows
        Finds rows.
    selection : SelectionConfig
        Its `slow_weight` and `beat_weight` are those of the rows.
    lengths : ndarray of int64, (N,), or None
        Frames of the unit that begins at each row, 0 where none does; None: single frames.
    loudest_db : float
        Level of the loudest row, the reference of the silence gate.
    """

    database: DescriptorDatabase
    space: MatchSpace
    transitions: Transitions
    nearest: NearestRows
    selection: SelectionConfig
    lengths: Rows | None
    loudest_db: float


class Played(NamedTuple):
    """Row and gain that a layer plays in one frame.

    Attributes
    ----------
    row : int
        Row of the database.
    is_new : bool
        Whether a unit begins: after a jump, or with another gain.
    gain_db : float
        Gain of the unit.
    cost : float
        Cost of the frame.
    """

    row: int
    is_new: bool
    gain_db: float
    cost: float


class UnitStream:
    """Units for a target whose future is not known.

    Parameters
    ----------
    sounds : Sounds
        The corpus and the settings.
    usable : ndarray of bool, (N,)
        Rows that may be played.
    before : ndarray, (n, D)
        Frames before the target.

    Attributes
    ----------
    pulse : complex
        The pulse of the target at the last frame; 0 without weights of the beat.
    """

    def __init__(self, sounds: Sounds, usable: Bools, before: Values) -> None:
        self._layers: list[_Layer] = []
        self._sounds, self.pulse = sounds, 0j
        self.use(sounds, usable)
        self.begin(before)

    def use(self, sounds: Sounds, usable: Bools) -> None:
        """Change settings or sounds between two frames; the layers play on."""
        count, lengths = sounds.selection.layers, sounds.lengths
        frame_rate = sounds.database.config.frame_rate
        nearest = sounds.nearest.restricted(usable if lengths is None else usable & (lengths > 0))
        self._layers = self._layers[:count]
        for index in range(count):
            if index == len(self._layers):
                self._layers.append(_Layer())
                self._layers[index].begin(sounds.database.values[:0], sounds)
            elif sounds.space is not self._sounds.space:
                self._layers[index].begin(self._layers[index].values, sounds)
            self._layers[index].search.use(
                *(sounds.transitions, nearest, usable),
                selection=sounds.selection,
                lengths=lengths,
                frame_rate=frame_rate,
            )
        self._sounds = sounds

    def begin(self, before: Values) -> None:
        """Begin another target, given the frames (n, D) before it; the layers play on."""
        for index, layer in enumerate(self._layers):
            layer.search.forget()
            layer.begin(before if index == 0 else before[:0], self._sounds)

    def jump(self) -> None:
        """Begin a new unit in every layer at the next frame."""
        for layer in self._layers:
            layer.search.jump()

    def next(self, frame: Values, pulse: complex | None = None) -> list[Played]:
        """Return what each layer plays in the next frame (D,) of the target.

        Parameters
        ----------
        frame : ndarray, (D,)
            Descriptors, of which the static columns are used.
        pulse : complex, optional
            Phase of a known pulse, 1 at a beat, in place of the pulse heard in the target.
        """
        sounds, database = self._sounds, self._sounds.database
        gate_db, several = sounds.selection.silence_gate_db, len(self._layers) > 1
        silent = gate_db is not None and bool(
            levels_db(frame[None], database.config)[0] < sounds.loudest_db + gate_db
        )
        played: list[Played] = []
        power = np.zeros(0)
        for index, layer in enumerate(self._layers):
            target = frame
            if index:
                target = residual_target(frame[None], power[None], database)[0]
            layer.hear(target, frame, power, sounds)
            choice = layer.search.choose(self._heard(layer, pulse))
            is_new = not choice.continues or silent != layer.silent
            if is_new:
                layer.silent = silent
                layer.gain_db = MUTED_DB if silent else self._gain_db(layer, choice.row, index)
            played.append(Played(choice.row, is_new, layer.gain_db, choice.cost))
            if several:
                envelope = envelope_db(database.values[choice.row][None], database.config)[0]
                own = 10 ** ((envelope + layer.gain_db) / 10)
                power = power + own if index else own
        return played

    def _heard(self, layer: _Layer, pulse: complex | None) -> Float32:
        """Return the point (d,) of the last frame, with the slow scale."""
        config, selection = self._sounds.database.config, self._sounds.selection
        point = heard_now(layer.points, layer.strength, selection, config.frame_rate)
        weight = selection.beat_weight * PHASE_WEIGHT if "mfcc" in config.groups else 0.0
        if pulse is not None and weight:
            point[-2:] = weight * pulse.real, weight * pulse.imag
        self.pulse = complex(*point[-2:]) / weight if weight else 0j
        return point

    def _gain_db(self, layer: _Layer, row: int, index: int) -> float:
        """Return the gain that brings the rows up to one to the level of the last frames."""
        sounds = self._sounds
        database, limit_db = sounds.database, sounds.selection.unit_gain_db
        chain = sounds.transitions.positions.chain
        n = min(LEVEL_FRAMES, len(layer.recent), row + 1)
        back = np.arange(n)
        n = int((chain[row] - chain[row - back] == back).sum())  # not beyond the file's beginning
        unit, frames = Unit(row - n + 1, n, 0), np.stack([f for f, _ in layer.recent[-n:]])
        if index == 0:
            return with_gains((unit,), frames, database, limit_db=limit_db)[0].gain_db
        power = np.stack([p for _, p in layer.recent[-n:]])
        return with_fitted_gains((unit,), frames, power, database, limit_db=limit_db)[0].gain_db


class _Layer:
    """State of a layer: its search, what it hears, and the gain of its unit."""

    def __init__(self) -> None:
        self.search = CausalSearch()
        self.values: Float32
        self.points: Float32
        self.strength: Float64
        self.recent: list[tuple[Values, Float64]] = []
        self.gain_db, self.silent = 0.0, False

    def begin(self, before: Values, sounds: Sounds) -> None:
        """Hear another target from now on, after some frames (n, D)."""
        config = sounds.database.config
        self.values, self.points = np.array(before, np.float32), sounds.space.project(before)
        self.strength, self.recent = np.zeros(0), []
        if "mfcc" in config.groups and len(before):
            self.strength = onset_strength(envelope_db(self.values, config))

    def hear(self, target: Values, frame: Values, power: Float64, sounds: Sounds) -> None:
        """Keep the layer's target, and the last frames (D,) with the power played before it."""
        config = sounds.database.config
        most = round(HEARD_S * config.frame_rate)
        self.values = np.concatenate([self.values[1 - most :], target[None].astype(np.float32)])
        point = sounds.space.project(target[None])
        self.points = np.concatenate([self.points[1 - most :], point])
        if "mfcc" in config.groups:
            rise = onset_strength(envelope_db(self.values[-2:], config))[-1:]
            self.strength = np.concatenate([self.strength[1 - most :], rise])
        self.recent = [*self.recent[1 - LEVEL_FRAMES :], (frame, power)]


def units_of_frames(frames: Iterable[list[Played]]) -> Units:
    """Return what was played, frame by frame, as units in the order of layer and onset."""
    layers: list[list[Unit]] = []
    for onset, played in enumerate(frames):
        layers.extend([] for _ in played[len(layers) :])
        for index, (units, one) in enumerate(zip(layers, played, strict=True)):
            if one.is_new:
                unit = Unit(one.row, 0, onset, index, 0.0, one.gain_db)
                units.append(unit)
            last = units[-1]
            units[-1] = replace(last, n_frames=last.n_frames + 1, cost=last.cost + one.cost)
    return tuple(unit for units in layers for unit in units)


def check_causal(selection: SelectionConfig, query: QueryConfig, space: MatchSpace) -> None:
    """Refuse settings that need to know the end of a target.

    Raises
    ------
    ConfigurationError
        Names the setting and the rule.
    """
    rule = "where the selection is causal"
    check(selection.max_use is None, "max_use", selection.max_use, f"not be set {rule}")
    check(not query.match_space, "match_space", query.match_space, f"be 0 {rule}")
    semitones = selection.transpose_semitones
    check(not semitones, "transpose_semitones", semitones, f"be 0 {rule}")
    static = np.isin(space.columns, space.standardizer.config.static_columns)
    weights = query.descriptor_weights
    check(bool(static.all()), "descriptor_weights", weights, f"leave out the deltas {rule}")
