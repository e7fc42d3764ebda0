"""Continuing recordings: bytes, refusals, deltas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch

from desc.configuration import ModelConfig, Sampling
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, DescError
from desc.models import MODELS, create_model
from desc.models.statistics import fit_statistics
from desc.prediction import Predictor
from desc.progress import reporting

CONFIG = DescriptorConfig(descriptors=("mfcc",))


def recording(
    n_complete: int, seed: int = 0, config: DescriptorConfig = CONFIG
) -> DescriptorSequence:
    """A recording of so many complete frames; the others hold what no model may look at."""
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
    settings = Sampling(sampling=sampling, seed=5)
    threads(1)
    together = predictor.predict_many(recordings, settings, frames=40)
    threads(2)
    others = predictor.predict_many(recordings[::-1][:6], settings, frames=40)[::-1]
    for prediction, expected in zip(others, together[3:], strict=True):
        assert prediction.values.tobytes() == expected.values.tobytes()
    for i in (0, 1, 8):
        alone = predictor.predict(recordings[i], settings, frames=40)
        assert alone.values.tobytes() == together[i].values.tobytes()
    assert torch.get_num_threads() == 2


def test_seed_and_content_decide(predictor: Predictor) -> None:
    def drawn(seed: int, draw: int = 1) -> bytes:
        sampling = Sampling(seed=seed, draw=draw)
        return predictor.predict(recording(60), sampling, frames=12).values.tobytes()

    first = drawn(1)
    assert drawn(1) == first
    assert drawn(2) != first
    draws = [drawn(1, draw) for draw in (1, 2, 3)]
    assert draws[0] == first
    assert len(set(draws)) == 3
    assert drawn(1, 3) == draws[2]
    copy = recording(60)
    copy = DescriptorSequence(copy.values, copy.config, "0.wav", "other digest", copy.n_samples)
    assert predictor.predict(copy, Sampling(seed=1), frames=12).values.tobytes() != first


def test_a_prediction_says_where_it_comes_from(predictor: Predictor) -> None:
    sequence = recording(60)
    sampling = Sampling(0.9, "replay", replay_block=6, seed=3, draw=2)
    prediction = predictor.predict(sequence, sampling, frames=12)
    assert prediction.values.shape == (12, 39)
    assert prediction.values.dtype == np.float32
    assert not prediction.values.flags.writeable
    assert len(prediction) == 12
    assert prediction.context_end_frame == sequence.complete.stop - 1 == 60
    assert (prediction.source, prediction.digest) == ("0.wav", f"{0:032x}")
    assert prediction.config == sequence.config == predictor.config
    assert prediction.run_id == "1t212ycn"
    assert prediction.model_name == predictor.model.model_config.selected_model
    assert prediction.sampling == sampling
    assert prediction.standardizer is predictor.standardizer
    assert prediction.checkpoint_digest == predictor.checkpoint_digest
    assert len(prediction.checkpoint_digest) == 32


def test_a_prediction_is_read_like_a_sequence(predictor: Predictor) -> None:
    sequence = recording(60)
    prediction = predictor.predict(sequence, frames=12)
    np.testing.assert_array_equal(prediction["mfcc"], prediction.values[:, :13])
    np.testing.assert_array_equal(prediction["mfcc3"], prediction.values[:, 3])
    np.testing.assert_array_equal(prediction.centre_samples, 1024 * np.arange(61, 73))
    part = prediction[2:5]
    np.testing.assert_array_equal(part.values, prediction.values[2:5])
    np.testing.assert_array_equal(part.times, prediction.times[2:5])
    known = np.concatenate([prediction.before, prediction.values])
    np.testing.assert_array_equal(part.before, known[: -len(prediction) + 2])
    np.testing.assert_array_equal(prediction.before[:, :13], sequence.complete_static[:, :13])
    assert repr(part).startswith("Prediction('0.wav': 3 frames × 39 columns")
    name = predictor.model.model_config.selected_model
    assert repr(predictor).startswith(f"Predictor({name} of run 1t212ycn: 39 columns")


def test_a_slice_is_continued_like_a_recording_that_ends_there(predictor: Predictor) -> None:
    whole = recording(60)
    prediction = predictor.predict(whole[:41], frames=5)
    assert prediction.context_end_frame == 40
    n_samples = 40 * 1024 + 1024
    ended = DescriptorSequence(whole.values[:42], whole.config, "", whole.digest, n_samples)
    expected = predictor.predict(ended, frames=5)
    assert prediction.values.tobytes() == expected.values.tobytes()
    assert predictor.predict(whole[20:41], frames=5).context_end_frame == 40


def test_only_complete_frames_are_seen(predictor: Predictor) -> None:
    sequence = recording(60)
    values = sequence.values.copy()
    values[0], values[-1] = -77.0, 123.0
    other = DescriptorSequence(values, sequence.config, "b", sequence.digest, sequence.n_samples)
    expected = predictor.predict(sequence, frames=12).values
    assert np.array_equal(predictor.predict(other, frames=12).values, expected)


@pytest.mark.parametrize("n_complete", [9, 60, 900])
def test_deltas_are_librosas_over_context_and_continuation(
    predictor: Predictor, n_complete: int
) -> None:
    sequence = recording(n_complete)
    values = predictor.predict(sequence, frames=30).values
    static = np.concatenate([sequence.complete_static, values[:, :13]])
    for order in (1, 2):
        expected = librosa.feature.delta(static.T, order=order).T[-30:]
        columns = slice(13 * order, 13 * order + 13)
        np.testing.assert_allclose(values[:, columns], expected, atol=1e-3)


def test_too_short_is_refused_by_name(predictor: Predictor) -> None:
    with pytest.raises(DescError, match=r"7\.wav: too short.*8 complete frames.*at least 9"):
        predictor.predict_many([recording(60), recording(8, 7)], frames=5)
    with pytest.raises(DescError, match="0 complete frames"):
        predictor.predict(recording(0), frames=5)


def test_what_is_no_number_is_refused(predictor: Predictor) -> None:
    sequence = recording(30)
    values = sequence.values.copy()
    values[20, 4] = np.nan
    spoilt = DescriptorSequence(values, sequence.config, "n.wav", "n", sequence.n_samples)
    with pytest.raises(DescError, match=r"n\.wav.*not finite"):
        predictor.predict(spoilt, frames=5)


def test_other_settings_are_refused(predictor: Predictor) -> None:
    other = recording(60, config=replace(CONFIG, hop_length=512))
    with pytest.raises(ConfigurationError, match="hop_length=512, not 1024"):
        predictor.predict(other, frames=5)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -0.1},
        {"temperature": 11.0},
        {"temperature": float("nan")},
        {"seed": -1},
        {"sampling": "x"},
        {"replay_block": 0},
        {"draw": 0},
    ],
)
def test_sampling_is_checked_where_it_is_made(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Sampling(**settings)


def test_no_frames_are_refused(predictor: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="frames=0"):
        predictor.predict(recording(60), frames=0)


def test_progress_counts_all_recordings(predictor: Predictor) -> None:
    calls: list[tuple[str, int, int]] = []
    with reporting(lambda *call: calls.append(call)):
        predictor.predict_many([recording(60), recording(60, 1)], frames=10)
    assert calls == [("predict", n, 20) for n in (0, 10, 10, 20)]


def test_no_recordings_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict_many([], frames=5) == []


def test_a_prediction_is_refused_as_a_context(predictor: Predictor) -> None:
    prediction = predictor.predict(recording(60), frames=5)
    with pytest.raises(ConfigurationError, match="takes a DescriptorSequence"):
        predictor.predict(prediction, frames=5)
