"""Floors and peers are what they say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract
from desc.errors import CheckpointError, ConfigurationError
from desc.evaluation.baselines import nearest_continuations, shuffled
from desc.evaluation.candidates import Candidate, model_nll, model_skill, skill_positions
from desc.evaluation.evaluate import check_comparable
from desc.runs import RunRecord
from desc.scoring.yardstick import Yardstick
from tests.evaluation.conftest import Place


@pytest.fixture
def candidate(place: Place) -> Candidate:
    folder = place.root / "experiments" / "descriptor_model" / place.run_id
    return Candidate.load(RunRecord.load(folder), "cpu")


def test_the_nearest_neighbour_of_a_copy_goes_on_like_the_copy(rng: np.random.Generator) -> None:
    training = [rng.standard_normal((400, 3)), rng.standard_normal((300, 3))]
    contexts = np.stack([training[1][50:150], training[0][200:300]])
    found = nearest_continuations(contexts, training, 60, n_samples=5)
    assert found.shape == (2, 2, 60, 3)  # a sample of each training recording
    np.testing.assert_array_equal(found[0, 0], training[1][150:210])
    np.testing.assert_array_equal(found[0, 1], training[0][300:360])


def test_shuffling_keeps_the_frames(rng: np.random.Generator) -> None:
    contexts = rng.standard_normal((2, 50, 3))
    found = shuffled(contexts, 120, 2, rng)
    assert found.shape == (2, 2, 120, 3)
    np.testing.assert_array_equal(np.sort(found[1, 0, :50], axis=0), np.sort(contexts[0], axis=0))
    assert not np.array_equal(found[0], found[1])


def test_features_are_scaled_by_training_music(candidate: Candidate, place: Place) -> None:
    yardstick = Yardstick.from_run(candidate.record, candidate.model.statistics)
    sequences = [extract(p, yardstick.config) for p in (place.root / "training").glob("*.wav")]
    learned = candidate.record.training_files
    features = np.concatenate(
        [
            yardstick.features(yardstick.standardise(s.complete_static)[None])[0]
            for s in sequences
            if s.digest in learned
        ]
    )
    np.testing.assert_allclose(features.mean(0), 0, atol=0.3)  # silent windows are in here
    np.testing.assert_allclose(np.median(features.std(0)), 1, atol=0.3)


def test_nll_is_in_the_yardstick_s_units(candidate: Candidate, place: Place) -> None:
    yardstick = Yardstick.from_run(candidate.record, candidate.model.statistics)
    sequences = [extract(place.root / "held_out" / "y.wav", yardstick.config)]
    nll = model_nll(candidate, sequences, yardstick)
    coarser = replace(yardstick, scale=2 * yardstick.scale)
    expected = nll - len(yardstick.scale) * math.log(2)
    assert model_nll(candidate, sequences, coarser) == pytest.approx(expected)
    assert model_skill(candidate, sequences, yardstick) < 1
    assert math.isnan(model_skill(candidate, [], yardstick))


def test_skill_is_measured_all_over_a_recording() -> None:
    found = skill_positions(10016, 16)
    assert len(found) == 64
    assert (found[0], found[-1]) == (16, 10015)
    assert len(skill_positions(16, 16)) == 0


def test_runs_of_other_descriptors_are_refused(candidate: Candidate) -> None:
    check_comparable([candidate])
    with pytest.raises(ConfigurationError, match="must be named once"):
        check_comparable([candidate, candidate])
    other = Candidate.load(replace(candidate.record, run_id="other000"), "cpu")
    other.model.descriptor_config = DescriptorConfig(n_mels=64)
    with pytest.raises(ConfigurationError, match="n_mels=64, not 128"):
        check_comparable([candidate, other])


def test_a_run_without_statistics_is_refused(candidate: Candidate, tmp_path: Path) -> None:
    record = replace(candidate.record, folder=tmp_path)
    with pytest.raises(CheckpointError, match=r"statistics\.npz"):
        Yardstick.from_run(record, candidate.model.statistics)
    record.save_arrays({"window_mean": np.zeros(3)})
    with pytest.raises(CheckpointError, match="train anew"):
        Yardstick.from_run(record, candidate.model.statistics)
