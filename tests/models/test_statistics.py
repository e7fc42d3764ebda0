"""Statistics of the training recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.models.statistics import (
    TrainingStatistics,
    fit_statistics,
    leap_limit,
    silent_frames,
)

MakeSequence = Callable[..., DescriptorSequence]


def arrays_of(statistics: TrainingStatistics) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in statistics.to_tensors().items()}


def changed(sequence: DescriptorSequence, **columns: object) -> DescriptorSequence:
    """The sequence with columns (c0=values …) replaced."""
    values = sequence.values.copy()
    for name, column in columns.items():
        values[:, int(name[1:])] = column
    return DescriptorSequence(
        values, sequence.config, sequence.source, sequence.digest, sequence.n_samples
    )


def test_whitened_innovations_are_independent(make_sequence: MakeSequence) -> None:
    """Innovations are residuals of the reversion to the mean of up to 512 frames."""
    sequences = [make_sequence(4000, seed) for seed in range(2)]
    statistics = fit_statistics(sequences)
    innovations = []
    for sequence in sequences:
        x = statistics.standardizer.transform(sequence.values[sequence.complete])[:, :13]
        mean = np.stack([x[max(0, t - 512) : t].mean(0) for t in range(1, len(x))])
        innovations.append(np.diff(x, axis=0) - (x[:-1] - mean) @ statistics.mean_reversion.T)
    u = np.concatenate(innovations) @ statistics.whitening.T
    np.testing.assert_allclose(u.T @ u / len(u), np.eye(13), atol=0.03)
    x = statistics.standardizer.transform(sequences[0].values[sequences[0].complete])[:, :13]
    assert (x < statistics.low).mean() < 0.002
    assert (x > statistics.high).mean() < 0.002


def test_mean_reversion_is_that_of_the_process(make_sequence: MakeSequence) -> None:
    """x[t+1] = .95 x[t] + noise, around 0: each step reverts by 5 %."""
    statistics = fit_statistics([make_sequence(60_000)])
    np.testing.assert_allclose(np.diag(statistics.mean_reversion), -0.05, atol=0.02)
    assert (
        np.abs(statistics.mean_reversion - np.diag(np.diag(statistics.mean_reversion))).max() < 0.02
    )


def test_only_complete_frames_count(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(200)
    values = sequence.values.copy()
    values[: sequence.complete.start] = 1e6
    values[sequence.complete.stop :] = -1e6
    spoilt = DescriptorSequence(values, sequence.config, "a", "a", sequence.n_samples)
    expected, result = arrays_of(fit_statistics([sequence])), arrays_of(fit_statistics([spoilt]))
    for name, array in expected.items():
        np.testing.assert_array_equal(result[name], array)


def test_silence_does_not_narrow_the_differences(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(1000)
    expected = fit_statistics([sequence])
    still = make_sequence(1000, 1)
    quiet = sequence.values.min(0) - 60.0
    still = DescriptorSequence(
        np.broadcast_to(quiet, still.values.shape), still.config, "still", "s", still.n_samples
    )
    result = fit_statistics([sequence, still])
    ratio = expected.standardizer.scale[:13] / result.standardizer.scale[:13]
    np.testing.assert_allclose(
        result.difference_scale, expected.difference_scale * ratio, rtol=0.05
    )


@pytest.mark.parametrize("n_complete", [1, 2, 9, 12])
def test_a_handful_of_frames_gives_finite_numbers(
    make_sequence: MakeSequence, n_complete: int
) -> None:
    for name, array in arrays_of(fit_statistics([make_sequence(n_complete)])).items():
        assert np.isfinite(array).all(), name


def test_constant_and_copied_columns(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(500)
    sequence = changed(sequence, c3=7.0, c5=sequence.values[:, 4])
    statistics = fit_statistics([sequence])
    for name, array in arrays_of(statistics).items():
        assert np.isfinite(array).all(), name
    assert np.linalg.cond(statistics.whitening) < 1e6
    assert (statistics.low < statistics.high).all()


def test_everything_frozen(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(50)
    frozen = changed(sequence, **{f"c{c}": 1.0 for c in range(39)})
    for name, array in arrays_of(fit_statistics([frozen])).items():
        assert np.isfinite(array).all(), name


def test_families_without_mfcc(make_sequence: MakeSequence) -> None:
    config = DescriptorConfig(descriptors=("rms", "centroid"))
    sequence = make_sequence(300, config=config)
    sequence = changed(
        sequence,
        c0=np.linspace(0, 1, len(sequence)),
        c1=1000 + 100 * np.sin(np.arange(len(sequence))),
    )
    statistics = fit_statistics([sequence])
    assert statistics.whitening.shape == (2, 2)
    assert not silent_frames(np.full((5, 2), -9.0) + np.arange(5)[:, None], config).any()


def test_silent_frames(config: DescriptorConfig) -> None:
    x = np.random.default_rng(0).standard_normal((8, 13)).clip(-2, 2)
    x[2, 0] = -2.6
    x[5] = x[4]
    assert (
        silent_frames(x, config).tolist() == [False, False, True, False, False, True] + [False] * 2
    )


def test_round_trip(make_sequence: MakeSequence, config: DescriptorConfig) -> None:
    statistics = fit_statistics([make_sequence(100)])
    again = TrainingStatistics.from_tensors(statistics.to_tensors(), config)
    for name, array in arrays_of(statistics).items():
        np.testing.assert_array_equal(arrays_of(again)[name], array)


def test_nothing_to_learn_from_is_refused(
    make_sequence: MakeSequence, config: DescriptorConfig
) -> None:
    with pytest.raises(ConfigurationError, match="complete frame"):
        fit_statistics([])
    other = make_sequence(50, config=replace(config, hop_length=512))
    with pytest.raises(ConfigurationError, match="other settings"):
        fit_statistics([make_sequence(50), other])


def test_leaps_of_a_pitch_are_limited(rng: np.random.Generator) -> None:
    """One frame in ten leaps by octaves, as an estimate of pitch does where it errs."""
    steps = 0.01 * rng.standard_normal((5000, 2))
    steps[::10, 0] += rng.choice([-1.0, 1.0], 500)
    assert 0.02 < leap_limit(steps[:, 0]) < 0.1
    assert leap_limit(steps[:, 1]) == np.inf


def test_a_leaping_pitch_has_the_scale_of_its_usual_steps(make_sequence: MakeSequence) -> None:
    config = DescriptorConfig(descriptors=("mfcc", "f0"))
    sequence, column = make_sequence(1000, config=config), config.groups["f0"][0]
    leaping = np.cumsum(0.01 * np.random.default_rng(0).standard_normal(len(sequence.values)))
    leaping[::10] += 12.0  # and back
    statistics = fit_statistics([changed(sequence, **{f"c{column}": leaping})])
    place = list(config.static_columns).index(column)
    scale = statistics.standardizer.scale[column]
    assert statistics.difference_scale[place] * scale < 0.1
    assert not statistics.mean_reversion[place].any()
    other = fit_statistics([sequence])
    np.testing.assert_array_equal(statistics.difference_scale[:3], other.difference_scale[:3])
    mfcc = fit_statistics([changed(sequence, c3=leaping)])
    assert mfcc.difference_scale[3] * mfcc.standardizer.scale[3] > 1, "a new note is no error"


def test_steps_of_any_kind_have_limits() -> None:
    for steps in (np.zeros(0), np.zeros(9), np.eye(9)[0]):
        assert leap_limit(steps) == np.inf
