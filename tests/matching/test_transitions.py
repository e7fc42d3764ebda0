"""Transition costs, by pitch where f0 is among the descriptors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc.configuration import QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Matcher
from desc.matching.points import Points
from desc.matching.transitions import Transitions
from desc.matching.units import SourcePositions

CONFIG = DescriptorConfig(descriptors=("mfcc", "f0"))
TIMBRE_ONLY = QueryConfig(descriptor_weights="f0=0,voicing=0", neighbours=50)
A3 = np.log2(220.0)
Values = npt.NDArray[np.float32]


def make_database(*files: Values, config: DescriptorConfig = CONFIG) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, config, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def at_pitch(timbre: Values, semitones: float, voicing: float = 1.0) -> Values:
    """Return descriptors with a timbre (T, 39), at a pitch."""
    values = np.zeros((len(timbre), CONFIG.n_columns), np.float32)
    values[:, list(CONFIG.groups["mfcc"])] = timbre[:, :13]
    values[:, list(CONFIG.groups["f0"])] = A3 + semitones / 12, voicing
    return values


@pytest.mark.parametrize("units", ["frame", "grain"])
def test_jumps_prefer_equal_pitch(units: str, rng: np.random.Generator) -> None:
    """Timbre X exists at A; timbre Y a fifth higher and, slightly further from the target, at A."""
    x, y = (np.cumsum(rng.standard_normal((20, 39)), 0).astype(np.float32) for _ in range(2))
    y += x[-1] - y[0]
    further = y + 0.03 * rng.standard_normal((1, 39)).astype(np.float32)
    database = make_database(at_pitch(x, 0), at_pitch(y, 7), at_pitch(further, 0))
    wanted = np.concatenate([at_pitch(x, 0), at_pitch(y, 3)])
    wanted[:, :13] += 0.1 * rng.standard_normal((40, 13))

    def files(**options: float) -> list[int]:
        config = SelectionConfig(units=units, grain_ms=464.4, **options)  # type: ignore[arg-type]
        chosen = Matcher(database, query=TIMBRE_ONLY, selection=config).match(wanted)
        return [int(database.file_index[u.first_row]) for u in chosen.units]

    assert files(pitch_continuity=0.0) == [0, 1]
    assert files(pitch_continuity=20.0) == [0, 2]


def test_a_transition_costs_its_interval_up_to_an_octave() -> None:
    timbre = np.zeros((4, 39), np.float32)
    database = make_database(
        at_pitch(timbre, 0), at_pitch(timbre, 3), at_pitch(timbre, 40), at_pitch(timbre, 5, 0.3)
    )
    points = Points(database.values[:, :13].astype(np.float32), QueryConfig())
    transitions = Transitions.of(points, SourcePositions.of(database), database)
    costs = transitions.costs(np.array([0, 14]), np.array([1, 5, 9, 13]), 0.0, 6.0)
    # 3 semitones; more than an octave; what is hardly voiced has no pitch
    assert costs == pytest.approx(np.array([[0, 1.5, 6, 0], [0, 0, 0, 0]]), abs=1e-5)
    assert not transitions.costs(np.array([0]), np.array([9]), 0.0, 0.0).any()


def test_without_f0_intervals_cost_nothing(rng: np.random.Generator) -> None:
    config = DescriptorConfig(descriptors=("mfcc",))
    values = np.cumsum(rng.standard_normal((200, 39)), 0).astype(np.float32)
    database = make_database(values, config=config)
    wanted = np.cumsum(rng.standard_normal((60, 39)), 0).astype(np.float32)
    found = {
        Matcher(database, selection=SelectionConfig(pitch_continuity=x)).match(wanted).units
        for x in (0.0, 1.5, 100.0)
    }
    assert len(found) == 1


def test_settings() -> None:
    with pytest.raises(ConfigurationError, match="pitch_continuity=-1 must be"):
        SelectionConfig(pitch_continuity=-1)
