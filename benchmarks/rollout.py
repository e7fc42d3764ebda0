"""Rollouts with cached state, compared with encoding the context again at each step.

Prints, for each model at its default sizes, untrained, on one thread:

- frames per second of a rollout with state (or keys and values) at a context of 500 frames, and
  of the baseline, which reads the whole context again for each frame, in the same run;
- CPU seconds for 2000 frames at batch 1 and at batch 8.

    python benchmarks/rollout.py [--context 500]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import from_unbounded
from desc.models import MODELS, create_model
from desc.models.base import DescriptorModel
from desc.models.rollout import continuation
from desc.models.statistics import TrainingStatistics, fit_statistics

PEER_STEPS = 40
STATE_STEPS = 400
TARGET_RATIO = 15
TARGET_S = 5.0


def statistics_of_noise(config: DescriptorConfig) -> TrainingStatistics:
    """Statistics of a random walk: speed does not depend on them."""
    random = np.random.default_rng(0)
    walk = np.cumsum(random.standard_normal((2000, config.n_columns)), 0)
    values = from_unbounded(walk, config.spaces).astype(np.float32)
    return fit_statistics([DescriptorSequence(values, config, "a", "a", 1999 * config.hop_length)])


def seconds(model: DescriptorModel, context: torch.Tensor, steps: int) -> float:
    """CPU time of a continuation, its start included."""
    valid = torch.ones(context.shape[:2], dtype=torch.bool)
    generators = [torch.Generator().manual_seed(row) for row in range(len(context))]
    begin = time.process_time()
    continuation(model, context, valid, steps, generators=generators)
    return time.process_time() - begin


@torch.inference_mode()
def seconds_of_peer(model: DescriptorModel, context: torch.Tensor, steps: int) -> float:
    """CPU time of the same by one-step continuations of a growing recording."""
    n = context.shape[1]
    begin = time.process_time()
    for _ in range(steps):
        valid = torch.ones(context.shape[:2], dtype=torch.bool)
        state = model.start(context[:, -n:], valid[:, -n:])
        parameters = model.head(state.h)
        noise = model.head.noise(torch.Generator(), 1)
        u = model.head.draw(parameters, noise, 1.0)
        frame = model.next_frame(u, state)
        frame = model.space.restore(frame)
        context = torch.cat([context, frame[:, None]], 1)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--context", type=int, default=500, help="frames the model looks back")
    n_context = parser.parse_args().context
    torch.set_num_threads(1)
    config = DescriptorConfig()
    statistics = statistics_of_noise(config)
    print(f"context of {n_context} frames: frames per CPU second")
    print(f"{'model':30}{'with state':>12}{'anew':>10}{'ratio':>8}   target ≥ {TARGET_RATIO}")
    for name in MODELS:
        # The window is the context, so that every model really looks back that far.
        model_config = ModelConfig(
            selected_model=name, window_size=n_context, context_size=0, forecast_size=32
        )
        model = create_model(model_config, config, statistics).eval()
        context = torch.randn(1, n_context, model.n_features)
        seconds(model, context, 10)
        ours = STATE_STEPS / seconds(model, context, STATE_STEPS)
        peer = PEER_STEPS / seconds_of_peer(model, context, PEER_STEPS)
        print(f"{name:30}{ours:12.0f}{peer:10.1f}{ours / peer:8.1f}")
    print("\n2000 frames, default sizes: CPU seconds")
    print(
        f"{'model':30}{'batch 1':>12}{'batch 8':>10}             target ≤ {TARGET_S:g} at batch 1"
    )
    for name in MODELS:
        model = create_model(ModelConfig(selected_model=name), config, statistics).eval()
        context = torch.randn(8, 512, model.n_features)
        seconds(model, context[:1], 10)
        one, eight = seconds(model, context[:1], 2000), seconds(model, context, 2000)
        print(f"{name:30}{one:12.2f}{eight:10.2f}")


if __name__ == "__main__":
    main()
