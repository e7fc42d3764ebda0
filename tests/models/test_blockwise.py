"""Models that plan: likelihoods without knowledge of a plan before its block, and checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from desc.descriptors.sequence import DescriptorSequence
from desc.models.base import DescriptorModel
from desc.models.blockwise import BlockwiseModel
from desc.models.checkpoint import KEY, checkpoint_payload, load_model

Make = Callable[..., DescriptorModel]
MakeSequence = Callable[..., DescriptorSequence]
NAMES = ("LSTMEncoderDecoderModel", "TransformerModel")


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, make_model: Make) -> BlockwiseModel:
    made = make_model(f"{request.param}, planned", num_layers=1)
    assert isinstance(made, BlockwiseModel)
    return made


def items(model: DescriptorModel, make_sequence: MakeSequence) -> tuple[torch.Tensor, torch.Tensor]:
    length = model.context_length + model.prediction_length
    frames = torch.tensor(make_sequence(length + 3, 7).complete_static).unfold(0, length, 1)
    frames = frames.transpose(1, 2).contiguous()
    return frames, torch.ones(frames.shape[:2], dtype=torch.bool)


def fitted(model: BlockwiseModel, make_sequence: MakeSequence) -> BlockwiseModel:
    model.fit([items(model, make_sequence)])
    return model


def test_a_likelihood_without_influence_of_plans_is_that_of_one_plan(
    model: BlockwiseModel, make_sequence: MakeSequence
) -> None:
    """If the decoder ignores the plan, the mean over plans is the likelihood itself."""
    columns = slice(model.n_inputs, None)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in ("decoder.lstm.weight_ih_l0", "decoder_entry.weight"):
                parameter[:, columns] = 0.0
    frames, valid = items(model, make_sequence)
    x, context_stats, inputs = model.item(frames, valid)
    h = model(inputs, valid[:, model.context_length - model.read_length : -1])
    expected = model.score(h, x, context_stats)
    torch.testing.assert_close(model.nll(frames, valid), expected, atol=1e-3, rtol=1e-4)


def test_a_likelihood_is_the_mean_over_plans(
    model: BlockwiseModel, make_sequence: MakeSequence
) -> None:
    """The scores of a block add up to minus the logarithm of its mean likelihood."""
    frames, valid = items(fitted(model, make_sequence), make_sequence)
    x, context_stats, inputs = model.item(frames, valid)
    read = valid[:, model.context_length - model.read_length : -1]
    plans = list(model.possible_plans(x, valid, context_stats))
    each = torch.stack([model.score(model(inputs, read, p), x, context_stats) for p in plans])
    expected = -(-each.double().sum(-1)).exp().mean(0).log()
    torch.testing.assert_close(
        model.nll(frames, valid).sum(1).double(), expected, atol=1e-2, rtol=0
    )
    assert (torch.stack(plans).std(0) > 0.01).all()


def test_training_bounds_the_likelihood(model: BlockwiseModel, make_sequence: MakeSequence) -> None:
    """An untrained decoder gains little from a plan, and its cost makes the loss the larger."""
    frames, valid = items(fitted(model, make_sequence), make_sequence)
    loss, nll = model.loss(frames, valid), model.nll(frames, valid)
    assert torch.equal(loss, model.loss(frames, valid))  # the noise is always the same
    n = model.overlap
    torch.testing.assert_close(loss[:, :n], nll[:, :n], atol=1e-4, rtol=1e-4)
    assert (loss[:, n:].sum(1) > nll[:, n:].sum(1)).all()


def test_a_block_that_is_not_whole_costs_nothing(
    model: BlockwiseModel, make_sequence: MakeSequence
) -> None:
    """It is scored with the mean plan, whatever its frames."""
    frames, valid = items(model, make_sequence)
    valid[:, -1:] = False
    before = model.loss(frames, valid)
    assert (before[:, -1] == 0).all()
    frames[:, -2] += 25.0
    torch.testing.assert_close(model.loss(frames, valid)[:, :-2], before[:, :-2])


def test_checkpoints_of_before_have_no_plans(
    make_model: Make, make_sequence: MakeSequence, tmp_path: object
) -> None:
    model = make_model("LSTMEncoderDecoderModel", plan_size=0)
    payload = checkpoint_payload(model)
    del payload["model_config"]["plan_size"]
    path = f"{tmp_path}/model.ckpt"
    torch.save({KEY: payload}, path)
    again = load_model(path)
    assert again.model_config.plan_size == 0
    frames, valid = items(model, make_sequence)
    assert torch.equal(again.nll(frames, valid), model.nll(frames, valid))
    assert torch.equal(again.loss(frames, valid), model.nll(frames, valid))


def test_plans_are_kept_in_checkpoints(
    model: BlockwiseModel, make_sequence: MakeSequence, tmp_path: object
) -> None:
    frames, valid = items(fitted(model, make_sequence), make_sequence)
    path = f"{tmp_path}/model.ckpt"
    torch.save({KEY: checkpoint_payload(model)}, path)
    assert torch.equal(load_model(path).nll(frames, valid), model.nll(frames, valid))
