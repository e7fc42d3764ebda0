"""Continuing recordings: bytes, refusals, deltas."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, DescError
from desc.models import MODELS, create_model
from desc.models.statistics import fit_statistics
from desc.prediction import Predictor


def recording(
    n_complete: int, seed: int = 0, config: DescriptorConfig | None = None
) -> DescriptorSequence:
    """A recording of so many complete frames; the others hold what no model may look at."""
    config = config or DescriptorConfig()
    first = config.complete_frames(10**9).start
    n_frames = n_complete + 2 * first
    walk = np.cumsum(np.random.default_rng(seed).standard_normal((n_frames, config.n_columns)), 0)
    values = (10 * walk / np.sqrt(1 + np.arange(n_frames))[:, None]).astype(np.float32)
    values[:first] = values[first + n_complete :] = 1e6
    n_samples = (first + n_complete - 1) * config.hop_length + config.n_fft // 2
    return DescriptorSequence(values, config, f"{seed}.wav", f"{seed:032x}", n_samples)


@pytest.fixture(scope="module", params=list(MODELS))
def predictor(request: pytest.FixtureRequest) -> Predictor:
    """Untrained, at the default sizes."""
    torch.manual_seed(0)
    statistics = fit_statistics([recording(800, 90)])
    model_config = ModelConfig(selected_model=request.param)
    model = create_model(model_config, statistics.standardizer.config, statistics)
    with torch.no_grad():
        model.head.linear.weight *= 10
    return Predictor.from_model(model, "1t212ycn")


@pytest.mark.parametrize("sampling", ["plain", "replay"])
def test_alone_and_in_a_folder_the_same_bytes(
    predictor: Predictor, sampling: str, threads: Callable[[int], None]
) -> None:
    recordings = [recording(n, n) for n in (700, 9, 40, 100, 12, 300, 64, 65, 33)]
    threads(1)
    together = predictor.predict_many(recordings, 40, 1.0, 5, sampling=sampling)
    threads(2)
    others = predictor.predict_many(recordings[::-1][:6], 40, 1.0, 5, sampling=sampling)[::-1]
    for prediction, expected in zip(others, together[3:], strict=True):
        assert prediction.values.tobytes() == expected.values.tobytes()
    for i in (0, 1, 8):
        alone = predictor.predict(recordings[i], 40, seed=5, sampling=sampling)
        assert alone.values.tobytes() == together[i].values.tobytes()
    assert torch.get_num_threads() == 2


def test_seed_and_content_decide(predictor: Predictor) -> None:
    first = predictor.predict(recording(60), 12, seed=1)
    assert np.array_equal(predictor.predict(recording(60), 12, seed=1).values, first.values)
    assert not np.array_equal(predictor.predict(recording(60), 12, seed=2).values, first.values)
    samples = [predictor.predict(recording(60), 12, seed=1, sample=i).values for i in (1, 2, 3)]
    assert np.array_equal(samples[0], first.values)
    assert len({values.tobytes() for values in samples}) == 3
    again = predictor.predict(recording(60), 12, seed=1, sample=3)
    assert np.array_equal(again.values, samples[2])
    assert again.sample == 3
    copy = recording(60)
    copy = DescriptorSequence(copy.values, copy.config, "0.wav", "other digest", copy.n_samples)
    assert not np.array_equal(predictor.predict(copy, 12, seed=1).values, first.values)


def test_a_prediction_says_where_it_comes_from(predictor: Predictor) -> None:
    sequence = recording(60)
    prediction = predictor.predict(sequence, 12, 0.9, 3, sampling="replay", replay_block=6)
    assert prediction.values.shape == (12, 39)
    assert prediction.values.dtype == np.float32
    assert not prediction.values.flags.writeable
    assert len(prediction) == 12
    assert prediction.context_end_frame == sequence.complete.stop - 1 == 60
    assert (prediction.source, prediction.digest) == ("0.wav", f"{0:032x}")
    assert prediction.config == sequence.config == predictor.config
    assert prediction.run_id == "1t212ycn"
    assert prediction.model_name == predictor.model.model_config.selected_model
    assert (prediction.seed, prediction.temperature) == (3, 0.9)
    assert (prediction.sampling, prediction.replay_block) == ("replay", 6)
    assert prediction.checkpoint_digest == predictor.checkpoint_digest
    assert len(prediction.checkpoint_digest) == 32


def test_only_complete_frames_are_seen(predictor: Predictor) -> None:
    sequence = recording(60)
    values = sequence.values.copy()
    values[0], values[-1] = -77.0, 123.0
    other = DescriptorSequence(values, sequence.config, "b", sequence.digest, sequence.n_samples)
    expected = predictor.predict(sequence, 12).values
    assert np.array_equal(predictor.predict(other, 12).values, expected)


@pytest.mark.parametrize("n_complete", [9, 60, 900])
def test_deltas_are_librosas_over_context_and_continuation(
    predictor: Predictor, n_complete: int
) -> None:
    sequence = recording(n_complete)
    values = predictor.predict(sequence, 30).values
    static = np.concatenate([sequence.complete_static, values[:, :13]])
    for order in (1, 2):
        expected = librosa.feature.delta(static.T, order=order).T[-30:]
        columns = slice(13 * order, 13 * order + 13)
        np.testing.assert_allclose(values[:, columns], expected, atol=1e-3)


def test_too_short_is_refused_by_name(predictor: Predictor) -> None:
    with pytest.raises(DescError, match=r"7\.wav: too short.*8 complete frames.*at least 9"):
        predictor.predict_many([recording(60), recording(8, 7)], 5)
    with pytest.raises(DescError, match="0 complete frames"):
        predictor.predict(recording(0), 5)


def test_what_is_no_number_is_refused(predictor: Predictor) -> None:
    sequence = recording(30)
    values = sequence.values.copy()
    values[20, 4] = np.nan
    spoilt = DescriptorSequence(values, sequence.config, "n.wav", "n", sequence.n_samples)
    with pytest.raises(DescError, match=r"n\.wav.*no numbers"):
        predictor.predict(spoilt, 5)


def test_other_settings_are_refused(predictor: Predictor) -> None:
    other = recording(60, config=DescriptorConfig(hop_length=512))
    with pytest.raises(ConfigurationError, match="hop_length=512, not 1024"):
        predictor.predict(other, 5)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"seed": -1},
        {"sampling": "x"},
    ],
)
def test_wrong_settings_are_refused(predictor: Predictor, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        predictor.predict(recording(60), **{"steps": 5, **settings})


def test_progress_counts_all_recordings(predictor: Predictor) -> None:
    calls: list[tuple[str, int, int]] = []
    predictor.predict_many(
        [recording(60), recording(60, 1)], 10, progress=lambda *call: calls.append(call)
    )
    assert calls == [("predict", n, 20) for n in (0, 10, 10, 20)]


def test_no_recordings_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict_many([], 5) == []
