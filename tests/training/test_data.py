"""Outliers, frames compared with the baseline, and `TrainingData`."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from desc.configuration import ModelConfig
from desc.corpus import Corpus
from desc.descriptors.sequence import DescriptorSequence
from desc.models import create_model, statistics
from desc.models.base import DescriptorModel
from desc.models.statistics import fit_statistics
from desc.models.var import ORDER, VectorAutoregression
from desc.training import baseline, recordings
from desc.training.baseline import fit_baseline
from desc.training.data import TrainingData, standardised
from desc.training.recordings import far_frames, outliers

MakeSequence = Callable[..., DescriptorSequence]
TINY = ModelConfig(window_size=8, context_size=8, hidden_size=8, forecast_size=4)


def model_of(*sequences: DescriptorSequence, config: ModelConfig = TINY) -> DescriptorModel:
    return create_model(config, sequences[0].config, fit_statistics(sequences))


def changed(sequence: DescriptorSequence, change: Callable) -> DescriptorSequence:
    """Return a sequence with its frames modified by `change`."""
    values = sequence.values.copy()
    change(values[sequence.complete])
    return replace(sequence, values=values)


def test_memory_does_not_grow_with_the_frames(
    make_sequence: MakeSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames may be in files larger than the memory: a few bytes per row are kept."""
    for module in (statistics, recordings):
        monkeypatch.setattr(module, "MAX_QUANTILE_FRAMES", 10_000)
    monkeypatch.setattr(baseline, "MAX_WINDOWS", 1000)
    recording = make_sequence(2000)
    model_of(recording)  # imports what it needs
    sequences = [replace(recording, digest=f"{i:032}") for i in range(200)]
    n_rows = 2000 * len(sequences)
    tracemalloc.start()
    try:
        model = model_of(*sequences)
        fit_baseline(sequences, sequences[:2], model)
        data = TrainingData(sequences, sequences[:2], model, batch_size=64, seed=0)
        data.batch(0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(data.grid.good) == n_rows
    assert peak < 12 * n_rows  # three columns of float32, of which a row has nine


def test_far_frames_are_far_from_all_others(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5000, 3))
    x[1234, 1] = 9
    x[77, 2] = -9
    x[:, 0] = 0.0
    x[5, 0] = 1.0  # a column without range is not judged
    first, second = far_frames([x[:1000], x[1000:]])
    np.testing.assert_array_equal(np.flatnonzero(first), [77])
    np.testing.assert_array_equal(np.flatnonzero(second), [234])


@pytest.mark.parametrize("n_silent", [0, 100, 1000, 5000])
def test_a_silent_recording_makes_no_outliers_of_the_others(
    n_silent: int, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((1000, 3))
    x[77, 2] = 9
    far = far_frames([x, np.full((n_silent, 3), 0.01)])
    np.testing.assert_array_equal(np.flatnonzero(far[0]), [77])


def test_outliers_are_silent_frozen_or_far(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(400)
    x = np.random.default_rng(0).standard_normal((400, 3)).clip(-2, 2)
    x[10, 0] = -2.6
    x[21] = x[20]
    x[30, 1] = 50
    np.testing.assert_array_equal(np.flatnonzero(outliers([x], sequence.config)), [10, 21, 30])


def silence(frames: np.ndarray) -> None:
    frames[100:110] = frames[100]


def make_data(
    sequence: DescriptorSequence, model: DescriptorModel, **settings: object
) -> TrainingData:
    return TrainingData([sequence], [sequence], model, **{"batch_size": 4, "seed": 0, **settings})


def test_windows_with_outliers_are_left_out(
    make_sequence: MakeSequence, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    sequence = changed(make_sequence(300), silence)
    model = model_of(sequence)
    data = make_data(sequence, model)
    frozen = set(range(101, 110))
    for epoch in range(16):
        for row in data.grid.epoch(epoch):
            assert not frozen & set(range(row - 1, row + 8))
    assert len(caplog.messages) == 1
    assert "% of the windows contain silence or outliers" in caplog.messages[0]
    every = make_data(sequence, model, remove_outliers=False)
    assert every.grid.good.all()


def test_something_is_always_left(
    make_sequence: MakeSequence, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")

    def freeze(frames: np.ndarray) -> None:
        frames[:] = frames[::3].repeat(3, axis=0)[: len(frames)]

    sequence = changed(make_sequence(300), freeze)
    data = make_data(sequence, model_of(sequence))
    assert data.grid.good.all()
    assert len(data.grid.epoch(0)) > 30
    assert "every window" in caplog.messages[0]


@pytest.mark.parametrize("name", ["LSTM", "TransformerModel"])
def test_all_that_counts_is_scored_once(name: str, make_sequence: MakeSequence) -> None:
    sequences = [make_sequence(n, seed=n) for n in (9, 30, 17, 61)]
    model = model_of(*sequences, config=replace(TINY, selected_model=name, nhead=2))
    data = TrainingData(sequences[:1], sequences, model, batch_size=4, seed=0)
    scored = sum(int(batch.scored.sum()) for batch in data.validation)
    assert scored == data.counted.sum() == sum(max(0, n - ORDER) for n in (9, 30, 17, 61))


def test_digital_silence_does_not_count(make_sequence: MakeSequence) -> None:
    sequence = changed(make_sequence(300), silence)
    data = make_data(sequence, model_of(sequence))
    np.testing.assert_array_equal(np.flatnonzero(~data.counted[ORDER:]) + ORDER, range(101, 110))


def test_very_short_recordings_count_as_they_are(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(12)
    data = make_data(sequence, model_of(sequence))
    assert sum(int(batch.scored.sum()) for batch in data.validation) == 11


def test_the_baseline_is_scored_on_the_same_frames(make_sequence: MakeSequence) -> None:
    training = [make_sequence(400, seed=1), make_sequence(20, seed=3)]
    validation = [changed(make_sequence(300, seed=2), silence), make_sequence(10, seed=4)]
    model = model_of(*training)
    arrays, figures = fit_baseline(training, validation, model)
    of_var = {k.removeprefix("var_"): v for k, v in arrays.items() if k[:4] == "var_"}
    var = VectorAutoregression(**of_var)
    nll = var.nll(standardised(validation[0], model))
    counted = TrainingData(training, validation, model, batch_size=4, seed=0).counted
    assert figures["var_nll"] == pytest.approx(nll[counted[ORDER:300]].mean())
    assert figures["var_loss"] == figures["var_nll"]
    # Of a first-order process with coefficient .9 not much is left to surprise.
    assert figures["var_nll"] < 3 * 1.42
    assert arrays["window_mean"].shape == (9,)
    assert arrays["window_spread"].shape == (9,)
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_the_squared_error_has_its_own_unit(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(300)
    model = model_of(sequence, config=replace(TINY, head="mse"))
    _, figures = fit_baseline([sequence], [make_sequence(200, seed=9)], model)
    assert set(figures) == {"var_loss"}
    assert 0 < figures["var_loss"] < 1


def test_without_a_frame_to_compare_there_is_no_figure(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(60)
    _, figures = fit_baseline([sequence], [make_sequence(12)], model_of(sequence))
    assert np.isnan(figures["var_nll"])


def test_corpora_of_short_files_only(make_corpus: Callable[..., Corpus]) -> None:
    sequences = make_corpus([9, 10, 11]).sequences
    model = model_of(*sequences)
    data = TrainingData(sequences[:2], sequences[2:], model, batch_size=4, seed=0)
    for batch in data.validation:
        assert np.isfinite(model.nll(batch.frames, batch.valid).detach().numpy()).all()
    assert sum(data.steps_per_epoch(3)) == 3


def test_what_does_not_fit_is_moved_batch_by_batch(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(100)
    (batch,) = list(make_data(sequence, model_of(sequence)).validation)
    assert batch.to(torch.device("cpu")) is batch
    assert {x.device.type for x in batch.to(torch.device("meta"))} == {"meta"}


def test_batches_follow_from_the_step(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(300)
    data = make_data(sequence, model_of(sequence))
    sizes = data.steps_per_epoch(3)
    steps = range(sum(sizes))
    assert [data.epoch(s) for s in steps] == [e for e in range(3) for _ in range(sizes[e])]
    assert [s for s in range(sum(sizes) + 1) if data.ends_epoch(s)] == list(np.cumsum(sizes))
    for epoch in range(3):
        first = sum(sizes[:epoch])
        batches = [data.batch(first + i).frames for i in range(sizes[epoch])]
        whole = data.table.gather(data.grid.epoch(epoch)).frames
        torch.testing.assert_close(torch.cat(batches), whole, rtol=0, atol=0)
    again = make_data(sequence, model_of(sequence)).batch(sizes[0] + 1)  # from the middle
    torch.testing.assert_close(again.frames, data.batch(sizes[0] + 1).frames, rtol=0, atol=0)


def test_processes_share_a_batch(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(300)
    data = make_data(sequence, model_of(sequence))
    parts = [data.batch(0, rank, 2).frames for rank in (0, 1)]
    whole = data.batch(0).frames
    assert [len(p) for p in parts] == [2, 2]
    assert sorted(map(float, torch.cat(parts).sum((1, 2)))) == sorted(map(float, whole.sum((1, 2))))
