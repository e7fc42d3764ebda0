"""Reference scales: units of the training recordings, read from a run's arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc.descriptors.extraction import extract
from desc.errors import CheckpointError
from desc.models.checkpoint import load_model
from desc.scoring.reference_scales import ReferenceScales
from tests.small_run import SmallRun


def test_features_are_scaled_by_training_music(small_run: SmallRun) -> None:
    statistics = load_model(small_run.record.checkpoint()).statistics
    scales = ReferenceScales.from_run(small_run.record, statistics)
    sequences = [extract(p, scales.config) for p in (small_run.root / "training").glob("*.wav")]
    features = np.concatenate(
        [
            scales.features(scales.standardise(s.complete_static)[None])[0]
            for s in sequences
            if s.digest in small_run.record.training_files
        ]
    )
    np.testing.assert_allclose(features.mean(0), 0, atol=0.3)  # silent windows are in here
    np.testing.assert_allclose(np.median(features.std(0)), 1, atol=0.3)


def test_static_columns_are_standardised_as_all_columns_are(small_run: SmallRun) -> None:
    statistics = load_model(small_run.record.checkpoint()).statistics
    scales = ReferenceScales.from_run(small_run.record, statistics)
    sequence = extract(small_run.root / "held_out" / "y.wav", scales.config)
    every = statistics.standardizer.transform(sequence.values)
    static = scales.config.static_columns
    found = scales.standardise(sequence.values[:, static])
    np.testing.assert_array_equal(found, every[:, static])


def test_a_run_without_statistics_is_refused(small_run: SmallRun, tmp_path: Path) -> None:
    statistics = load_model(small_run.record.checkpoint()).statistics
    record = replace(small_run.record, folder=tmp_path)
    with pytest.raises(CheckpointError, match=r"statistics\.npz"):
        ReferenceScales.from_run(record, statistics)
    record.save_arrays({"window_mean": np.zeros(3)})
    with pytest.raises(CheckpointError, match="train the model again"):
        ReferenceScales.from_run(record, statistics)
    arrays = small_run.record.load_arrays()
    for name, array in arrays.items():
        for wrong in (array[..., :1], array.astype(complex), array * np.nan, np.float64(1)):
            record.save_arrays(arrays | {name: wrong})
            with pytest.raises(CheckpointError, match=r"statistics\.npz .*train the model again"):
                ReferenceScales.from_run(record, statistics)
    covariance = arrays["var_covariance"]
    for wrong in (-covariance, np.zeros_like(covariance), np.ones_like(covariance)):
        record.save_arrays(arrays | {"var_covariance": wrong})
        with pytest.raises(CheckpointError, match=r"statistics\.npz .*must be positive definite"):
            ReferenceScales.from_run(record, statistics)
    record.save_arrays(arrays | {"var_coefficients": 1e200 * arrays["var_coefficients"]})
    with pytest.raises(CheckpointError, match=r"var_coefficients .*at most 1e\+12"):
        ReferenceScales.from_run(record, statistics)
