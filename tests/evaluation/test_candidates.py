"""Runs under evaluation: comparability and one-step metrics."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError
from desc.evaluation.candidates import (
    Candidate,
    check_comparable,
    model_nll,
    model_skill,
    skill_positions,
)
from desc.scoring.reference_scales import ReferenceScales
from tests.small_run import SmallRun


@pytest.fixture
def candidate(small_run: SmallRun) -> Candidate:
    return Candidate.load(small_run.record, "cpu")


def test_nll_is_in_the_units_of_the_scales(candidate: Candidate, small_run: SmallRun) -> None:
    scales = ReferenceScales.from_run(candidate.record, candidate.model.statistics)
    sequences = [extract(small_run.root / "held_out" / "y.wav", scales.config)]
    nll = model_nll(candidate, sequences, scales)
    unit = scales.standardizer
    coarser = replace(scales, standardizer=Standardizer(unit.mean, 2 * unit.scale, unit.config))
    expected = nll - len(unit.config.static_columns) * math.log(2)
    assert model_nll(candidate, sequences, coarser) == pytest.approx(expected)
    assert model_skill(candidate, sequences, scales) < 1
    assert math.isnan(model_skill(candidate, [], scales))


def test_skill_is_measured_throughout_a_recording() -> None:
    found = skill_positions(10016, 16)
    assert len(found) == 64
    assert (found[0], found[-1]) == (16, 10015)
    assert np.ptp(np.diff(found)) <= 1
    assert len(skill_positions(16, 16)) == 0


def test_runs_with_other_descriptors_are_refused(small_run: SmallRun) -> None:
    record = small_run.record
    check_comparable([record])
    with pytest.raises(ConfigurationError, match="must be given only once"):
        check_comparable([record, record])
    other = replace(record, run_id="other000", descriptor_config=DescriptorConfig(n_mels=64))
    with pytest.raises(ConfigurationError, match="n_mels=64, not 128"):
        check_comparable([record, other])
