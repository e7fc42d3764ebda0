"""Contract of every registered model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from desc.configuration import HEADS, SAMPLINGS, Sampling
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.models import MODELS
from desc.models.base import DescriptorModel
from desc.models.blockwise import BlockwiseModel
from desc.models.checkpoint import load_model, save_model
from desc.models.heads import Head
from desc.models.lstm import LSTM
from desc.models.rollout import continuation, free_run
from desc.models.statistics import fit_statistics
from desc.progress import reporting

Make = Callable[..., DescriptorModel]
MakeSequence = Callable[..., DescriptorSequence]


def generators(n: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(100 * seed + row) for row in range(n)]


def contexts(make_sequence: MakeSequence, n: int, length: int) -> torch.Tensor:
    return torch.tensor(np.stack([make_sequence(length, 50 + i).complete_static for i in range(n)]))


def items(model: DescriptorModel, make_sequence: MakeSequence) -> tuple[torch.Tensor, torch.Tensor]:
    frames = contexts(make_sequence, 4, model.context_length + model.prediction_length)
    return frames, torch.ones(frames.shape[:2], dtype=torch.bool)


@pytest.fixture(params=[*MODELS, "LSTMEncoderDecoderModel, planned"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str, make_model: Make) -> DescriptorModel:
    return make_model(name)


def test_item_layout(name: str, model: DescriptorModel) -> None:
    is_sequence_model = "LSTMEncoderDecoderModel" in name or name == "TransformerModel"
    assert isinstance(model, BlockwiseModel) == is_sequence_model
    lengths = (28, 9) if is_sequence_model else (21, 12)
    if "planned" in name:  # a history of 64 blocks of 5 frames ends with the window's last 4
        lengths = (64 * 5 - 4, 9)
    assert (model.context_length, model.prediction_length) == lengths


@pytest.mark.parametrize("head", HEADS)
def test_nll_has_shape_and_gradient(
    name: str, head: str, make_model: Make, make_sequence: MakeSequence
) -> None:
    model = make_model(name, head=head).train()
    frames, valid = items(model, make_sequence)
    nll = model.nll(frames, valid)
    assert nll.shape == (4, model.prediction_length)
    nll.sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name


def test_item_of_wrong_length_is_refused(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    frames, valid = items(model, make_sequence)
    with pytest.raises(ConfigurationError, match="must be"):
        model.nll(frames[:, 1:], valid[:, 1:])


@pytest.mark.parametrize("first_valid", [3, 20, 26, 33])
@pytest.mark.parametrize("last_valid", [None, -3])
def test_missing_frames_have_no_influence(
    model: DescriptorModel,
    make_sequence: MakeSequence,
    first_valid: int,
    last_valid: int | None,
) -> None:
    frames, valid = items(model, make_sequence)
    first_valid = min(first_valid, frames.shape[1] - 6)
    valid[1, :first_valid] = False
    if last_valid is not None:
        valid[1, last_valid:] = False
    expected = model.nll(frames, valid)
    assert torch.isfinite(expected).all()
    scored = model.scored(valid)
    assert scored[1].any()
    assert (expected[~scored] == 0).all()
    for garbage in (1e9, float("nan"), float("-inf")):
        spoilt = torch.where(valid[..., None], frames, torch.tensor(garbage))
        torch.testing.assert_close(model.nll(spoilt, valid), expected)


def test_rows_with_missing_frames_score_as_alone(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    frames, valid = items(model, make_sequence)
    whole = model.nll(frames, valid)
    valid[1, :-8] = False
    mixed = model.nll(frames, valid)
    torch.testing.assert_close(mixed[[0, 2, 3]], whole[[0, 2, 3]], atol=1e-5, rtol=1e-5)
    alone = model.nll(frames[1:2], valid[1:2])
    torch.testing.assert_close(mixed[1:2], alone, atol=1e-5, rtol=1e-5)


def test_scores_do_not_see_the_future(model: DescriptorModel, make_sequence: MakeSequence) -> None:
    frames, valid = items(model, make_sequence)
    nll = model.nll(frames, valid)
    for j in range(model.prediction_length):
        changed = frames.clone()
        changed[:, model.context_length + j :] += 25.0
        after = model.nll(changed, valid)
        assert torch.equal(after[:, :j], nll[:, :j])
        assert (after[:, j] != nll[:, j]).all()


def test_every_frame_of_the_window_counts(
    name: str, model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    frames = items(model, make_sequence)[0][:1].requires_grad_()
    nll = model.nll(frames, torch.ones(frames.shape[:2], dtype=torch.bool))
    if "planned" not in name:  # old plans have the slightest influence, so any frame counts there
        nll = nll[:, -1:]
    (slope,) = torch.autograd.grad(nll.sum(), frames)  # differences would be lost in rounding
    assert (slope[0, : model.context_length] != 0).any(1).all()


def test_rollout_equals_full_pass(model: DescriptorModel, make_sequence: MakeSequence) -> None:
    n_context, n_steps = model.context_frames, 40
    frames = contexts(make_sequence, 3, n_context + n_steps)
    valid = torch.ones(frames.shape[:2], dtype=torch.bool)
    x = model.space.standardise(frames, valid)
    context_stats = model.context_statistics(x[:, n_context - 20 : n_context], valid[:, :20])
    inputs = model.inputs(x, valid, context_stats)
    plans: list[torch.Tensor] = []

    def draw(head: Head, parameters: torch.Tensor) -> torch.Tensor:
        noise = head.noise(torch.Generator().manual_seed(len(plans)), len(parameters))
        plans.append(head.sample(parameters, noise))
        return plans[-1]

    with torch.inference_mode():
        state = model.start(frames[:, :n_context], valid[:, :n_context], draw=draw)
        stepped = [state.h]
        for t in range(n_steps):
            model.step(x[:, n_context + t], state)
            stepped.append(state.h)
        assert state.position == n_steps
        for t, h in enumerate(stepped):
            if isinstance(model, BlockwiseModel):
                block = t // model.model_config.forecast_size
                end = n_context + block * model.model_config.forecast_size
                plan = None
                if model.planner is not None:
                    former = model.past(x[:, :end], valid[:, :end], context_stats)[0][:, -1]
                    plan = former + plans[block]
                full = forecast(model, inputs, end, t, plan)
            else:
                item = inputs[:, : n_context + t]
                full = model(item, torch.ones(item.shape[:2], dtype=torch.bool))[:, -1]
            torch.testing.assert_close(h, full, atol=1e-5, rtol=0)


def forecast(
    model: BlockwiseModel, inputs: torch.Tensor, end: int, t: int, plan: torch.Tensor | None
) -> torch.Tensor:
    """h after t frames of a rollout, from the inputs of its window, and the plan after `end`."""
    begin = end - model.model_config.window_size
    item = inputs[:, begin : begin + model.read_length + model.prediction_length - 1]
    missing = model.read_length + model.prediction_length - 1 - item.shape[1]
    item = torch.nn.functional.pad(item, (0, 0, 0, missing))
    h = model(item, torch.ones(item.shape[:2], dtype=torch.bool), plan)
    return h[:, model.overlap + t % model.model_config.forecast_size]


def test_free_run_is_the_rollout_and_has_gradients(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    """With gradients memories are copied, without they are changed in place."""
    context = contexts(make_sequence, 2, 90)
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    steps = 2 * model.prediction_length + 3  # windows are encoded again, rings go round

    def run() -> torch.Tensor:
        torch.manual_seed(4)
        length = model.model_config.window_size + 5
        return free_run(model, context, valid, steps, length=length)

    with torch.no_grad():
        in_place = run()
    drawn = run()
    torch.testing.assert_close(drawn, in_place)
    drawn[:, -1].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_reading_less_of_a_context_changes_no_position(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    """Frames beyond a network's receptive field have no influence."""
    if isinstance(model, LSTM):
        pytest.skip("an LSTM hears everything it has read")
    n = model.context_frames
    context = contexts(make_sequence, 2, n)
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    n_layers = model.sizes.num_layers
    length = min(n, n_layers * model.model_config.window_size)
    with torch.inference_mode():
        whole, part = model.start(context, valid), model.start(context, valid, length)
        for t in range(30):
            torch.testing.assert_close(part.h, whole.h, atol=1e-5, rtol=0)
            for state in (whole, part):
                model.step(
                    model.space.standardise(context[:, t : t + 1], valid[:, :1])[:, 0], state
                )


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_any_number_of_steps(
    model: DescriptorModel, make_sequence: MakeSequence, sampling: str
) -> None:
    context = contexts(make_sequence, 2, 60)
    valid = torch.ones(context.shape[:2], dtype=torch.bool)

    def run(steps: int) -> torch.Tensor:
        return continuation(
            model, context, valid, steps, Sampling(sampling=sampling), generators=generators(2)
        )

    longest = run(600)
    assert longest.shape == (2, 600, 13)
    assert torch.isfinite(longest).all()
    for steps in (1, 5, 257):
        assert torch.equal(run(steps), longest[:, :steps])


def test_samples_stay_in_the_training_range(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    context = contexts(make_sequence, 2, 40) + 1000.0
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    settings = Sampling(temperature=5.0, sampling="plain")
    y = continuation(model, context, valid, 50, settings, generators=generators(2))
    x = (y - model.space.mean) / model.space.scale
    x[..., 0] -= model.space.gain(context, valid)[:, None, 0]  # the level of a context is kept
    assert (x >= model.space.low - 1e-3).all()
    assert (x <= model.space.high + 1e-3).all()


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("gain_db", [-40.0, 30.0])
def test_level_of_the_context_is_kept(
    name: str, make_model: Make, make_sequence: MakeSequence, sampling: str, gain_db: float
) -> None:
    model = make_model(name)
    with torch.no_grad():
        model.head.linear.weight.zero_()  # an untrained network answers to levels at random
    context = contexts(make_sequence, 3, 200)
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    shift = torch.zeros(13)
    shift[0] = gain_db * 128**0.5  # 128 mel bands, of which mfcc0 is the sum over their root

    def level_db(context: torch.Tensor) -> torch.Tensor:
        settings = Sampling(sampling=sampling)
        y = continuation(model, context, valid, 100, settings, generators=generators(3))
        return y[..., 0].mean(1) / 128**0.5

    change = level_db(context + shift) - level_db(context)
    assert (change - gain_db).abs().max() < 3
    assert not model.space.gain(context, valid).any()  # at an ordinary level nothing is shifted
    rest = torch.where(torch.arange(200)[:, None] < 140, context + shift, context)
    if gain_db < 0:
        assert not model.space.gain(rest, valid).any(), "silence before music is no quiet music"


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("length", [9, 10, 15, 40, 700])
def test_contexts_of_any_length(
    model: DescriptorModel, make_sequence: MakeSequence, length: int, sampling: str
) -> None:
    context = contexts(make_sequence, 1, length)
    valid = torch.ones(1, length, dtype=torch.bool)
    y = continuation(
        model, context, valid, 30, Sampling(sampling=sampling), generators=generators(1)
    )
    assert torch.isfinite(y).all()
    padded = torch.nn.functional.pad(context, (0, 0, 333, 0), value=7.0)
    padded_valid = torch.nn.functional.pad(valid, (333, 0))
    again = continuation(
        model, padded, padded_valid, 30, Sampling(sampling=sampling), generators=generators(1)
    )
    assert torch.equal(again, y)


def test_one_seed_one_result(model: DescriptorModel, make_sequence: MakeSequence) -> None:
    context = contexts(make_sequence, 2, 60)
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    torch.manual_seed(1)
    first = continuation(model, context, valid, 20, generators=generators(2, 3))
    torch.manual_seed(2)
    assert torch.equal(continuation(model, context, valid, 20, generators=generators(2, 3)), first)
    other = continuation(model, context, valid, 20, generators=generators(2, 4))
    assert not torch.equal(other, first)


def test_temperature_zero_is_the_mean(model: DescriptorModel, make_sequence: MakeSequence) -> None:
    context = contexts(make_sequence, 2, 60)
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    mean = continuation(
        model, context, valid, 20, Sampling(sampling="mean"), generators=generators(2)
    )
    for sampling in ("plain", "replay"):
        cold = continuation(
            model, context, valid, 20, Sampling(0.0, sampling), generators=generators(2)
        )
        assert torch.equal(cold, mean)


@pytest.mark.parametrize("sampling", ["plain", "replay"])
def test_companions_change_nothing_but_rounding(
    model: DescriptorModel, make_sequence: MakeSequence, sampling: str
) -> None:
    lengths = (600, 9, 30, 15, 80)
    rows = [torch.tensor(make_sequence(n, n).complete_static)[-512:] for n in lengths]
    context = torch.zeros(len(rows), 512, 13)
    valid = torch.zeros(len(rows), 512, dtype=torch.bool)
    for place, row in enumerate(rows):
        context[place, -len(row) :] = row
        valid[place, -len(row) :] = True
    together = continuation(
        model, context, valid, 20, Sampling(sampling=sampling), generators=generators(len(rows))
    )
    for place, row in enumerate(rows):
        alone = continuation(
            model,
            row[None],
            torch.ones(1, len(row), dtype=torch.bool),
            20,
            Sampling(sampling=sampling),
            generators=[torch.Generator().manual_seed(place)],
        )
        torch.testing.assert_close(alone[0], together[place], atol=1e-2, rtol=1e-4)


def test_saved_and_loaded_is_equal(
    model: DescriptorModel, make_sequence: MakeSequence, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "model.ckpt")
    again = load_model(tmp_path / "model.ckpt")
    assert type(again) is type(model)
    assert again.model_config == model.model_config
    assert again.descriptor_config == model.descriptor_config
    assert not again.training
    frames, valid = items(model, make_sequence)
    assert torch.equal(again.nll(frames, valid), model.nll(frames, valid))
    for sampling in SAMPLINGS:
        expected = continuation(
            model, frames, valid, 20, Sampling(sampling=sampling), generators=generators(4)
        )
        result = continuation(
            again, frames, valid, 20, Sampling(sampling=sampling), generators=generators(4)
        )
        assert torch.equal(result, expected)


@pytest.mark.parametrize("context_size", [0, 1])
def test_without_style(
    name: str, make_model: Make, make_sequence: MakeSequence, context_size: int
) -> None:
    model = make_model(name, context_size=context_size)
    frames, valid = items(model, make_sequence)
    nll = model.nll(frames, valid)
    assert torch.isfinite(nll).all()
    y = continuation(
        model, frames, valid, 20, Sampling(sampling="replay"), generators=generators(4)
    )
    assert torch.isfinite(y).all()


def test_sizes_of_one(name: str, make_model: Make, make_sequence: MakeSequence) -> None:
    model = make_model(name, window_size=1, forecast_size=1, n_components=1, num_layers=1)
    frames, valid = items(model, make_sequence)
    assert torch.isfinite(model.nll(frames, valid)).all()
    y = continuation(
        model, frames, valid, 20, Sampling(sampling="replay"), generators=generators(4)
    )
    assert torch.isfinite(y).all()


def test_other_families(name: str, make_model: Make, make_sequence: MakeSequence) -> None:
    config = DescriptorConfig(descriptors=("centroid", "rms", "chroma", "f0"), n_mfcc=5)
    random = np.random.default_rng(0)
    recordings = []
    for i in range(2):
        sequence = make_sequence(300, i, config)
        values = sequence.values.copy()
        values[:, 0] = 1000 * np.exp(random.standard_normal(len(values)))
        values[:, 1:] = random.random(values[:, 1:].shape)
        values[:, 5] = 0.0  # a chroma that never sounds
        recordings.append(
            DescriptorSequence(values, config, f"{i}.wav", str(i), sequence.n_samples)
        )
    model = make_model(name, fit_statistics(recordings))
    context = torch.tensor(recordings[0].complete_static[None])
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    y = continuation(model, context, valid, 30, generators=generators(1))
    assert torch.isfinite(y).all()
    assert (y[..., :2] > 0).all()
    assert ((y[..., 2:14] >= 0) & (y[..., 2:14] <= 1)).all()
    largest = y[..., 2:14].amax(-1)
    assert ((largest == 1) | (largest <= 0.5)).all()  # one class is at 1, or it is silent


@pytest.mark.parametrize("sampling", ["plain", "replay"])
def test_a_row_has_a_continuation_for_each_of_its_generators(
    model: DescriptorModel, make_sequence: MakeSequence, sampling: str
) -> None:
    frames, valid = items(model, make_sequence)
    settings = Sampling(sampling=sampling)
    each = [0, 0, 1, 1, 2, 2, 3, 3]
    together = continuation(model, frames, valid, 20, settings, generators=generators(8))
    repeated = continuation(
        model, frames[each], valid[each], 20, settings, generators=generators(8)
    )
    torch.testing.assert_close(together, repeated)


def test_prediction_in_mid_training_leaves_no_trace(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    frames, valid = items(model, make_sequence)
    model.train()
    random = torch.get_rng_state()
    continuation(model, frames, valid, 5, generators=generators(4))
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    model.nll(frames, valid).sum().backward()


def test_progress_counts_frames(model: DescriptorModel, make_sequence: MakeSequence) -> None:
    frames, valid = items(model, make_sequence)
    calls: list[tuple[str, int, int]] = []
    with reporting(lambda *call: calls.append(call)):
        continuation(model, frames, valid, 300, generators=generators(4))
    assert calls == [("predict", 0, 300), ("predict", 256, 300), ("predict", 300, 300)]


def test_wrong_calls_are_refused(model: DescriptorModel, make_sequence: MakeSequence) -> None:
    frames, valid = items(model, make_sequence)
    for settings in ({"frames": 0}, {"generators": generators(3)}, {"generators": []}):
        arguments = {"frames": 3, "generators": generators(4), **settings}
        with pytest.raises(ConfigurationError):
            continuation(model, frames, valid, **arguments)
    valid[2, -1] = False
    with pytest.raises(ConfigurationError):
        continuation(model, frames, valid, 3, generators=generators(4))


@pytest.mark.parametrize("head", HEADS)
def test_mixed_precision_scores_alike(
    name: str, head: str, make_model: Make, make_sequence: MakeSequence
) -> None:
    model = make_model(name, head=head)
    frames, valid = items(model, make_sequence)
    valid[1, :-8] = False
    expected = model.nll(frames, valid)
    with torch.autocast("cpu", torch.bfloat16):
        result = model.nll(frames, valid)
        result.sum().backward()
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, atol=1.0, rtol=0.05)
