"""`Recipe`: what the training loop asks of a network of sound generation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from desc.errors import CheckpointError, ConfigurationError
from desc.soundgen.averaging import RunningMean
from desc.soundgen.checkpoint import SoundCheckpoint
from desc.soundgen.settings import MelConfig, MelModelConfig, SoundTraining, VocoderConfig

LOWEST_SHARE = 0.05  # of the step size at the end of the cosine schedule


def pick_device(accelerator: str) -> torch.device:
    """Return the device to train on.

    Raises
    ------
    ConfigurationError
        If this machine lacks it.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if accelerator == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there.get(accelerator, True):
        raise ConfigurationError(f"accelerator={accelerator!r}: this machine has none")
    return torch.device(accelerator)


class Recipe(ABC):
    """Networks, their optimisers and their losses; one update per call of `step`.

    Everything random in a step is a function of (seed, attempt, step).

    Attributes
    ----------
    generator_name : str
        melgan, vocos or unagan.
    networks : dict of str to Module
        `generator` and those it is trained against.
    optimisers : dict of str to Optimizer
        One per network.
    mean : RunningMean
        Of the generator.
    total_steps : int
    """

    generator_name: str
    mel: MelConfig
    model: VocoderConfig | MelModelConfig
    training: SoundTraining
    networks: dict[str, nn.Module]
    optimisers: dict[str, Optimizer]
    gain: float
    device: torch.device

    def prepare(self, steps_per_pass: int) -> None:
        """Fix the length of the training; to be called once the networks are there."""
        training = self.training
        self.total_steps = training.steps or training.epochs * steps_per_pass
        self.mean = RunningMean(self.networks["generator"], training.ema_decay)

    def add_optimisers(self, kind: type[Adam], **options: Any) -> None:
        """Give each network an optimiser, and put it on the device."""
        self.optimisers = {}
        rate = self.training.learning_rate
        for name, network in self.networks.items():
            network.to(self.device)
            optimiser = kind(network.parameters(), lr=rate, **options)
            for group in optimiser.param_groups:
                group["initial_lr"] = rate
            self.optimisers[name] = optimiser

    @abstractmethod
    def step(self, step: int, attempt: int) -> dict[str, float]:
        """Learn from one batch and return the losses."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return figures of the generator; `val_loss` is the one that is to fall."""

    def sample(self, folder: Path, step: int) -> dict[str, Path]:  # noqa: ARG002
        """Write a few results to listen to, and return them by name."""
        return {}

    @property
    def arrays(self) -> dict[str, Tensor]:
        """What a checkpoint holds beside parameters."""
        return {}

    @property
    def extra(self) -> dict[str, float]:
        """Numbers that change while training, beside parameters."""
        return {}

    def restore_extra(self, extra: Mapping[str, float]) -> None:  # noqa: B027
        """Undo `extra`."""

    def random(self, step: int, attempt: int) -> torch.Generator:
        """Return the random generator of a step."""
        key = hash((self.training.seed, attempt, step)) & (2**62 - 1)
        return torch.Generator().manual_seed(key)

    def update(self, name: str, loss: Tensor, step: int) -> None:
        """Take a step of one network's optimiser against a loss."""
        self.update_together((name,), loss, step)

    def update_together(self, names: tuple[str, ...], loss: Tensor, step: int) -> None:
        """Take a step of several networks' optimisers against one loss, each clipped by itself."""
        for name in names:
            self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for name in names:
            optimiser = self.optimisers[name]
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * self.rate_share(step)
            if self.training.max_grad_norm:
                parameters = self.networks[name].parameters()
                nn.utils.clip_grad_norm_(parameters, self.training.max_grad_norm)
            optimiser.step()

    def rate_share(self, step: int) -> float:
        """Return the share of the step size at a step."""
        if self.training.schedule == "constant":
            return 1.0
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.total_steps)))
        return LOWEST_SHARE + (1 - LOWEST_SHARE) * cosine

    def checkpoint(self, progress: Mapping[str, Any] | None = None) -> SoundCheckpoint:
        """Return the generator's running mean; with `progress` also all that is needed to go on."""
        training: dict[str, Any] = {}
        if progress is not None:
            training = {
                "progress": dict(progress),
                "extra": self.extra,
                "networks": {k: n.state_dict() for k, n in self.networks.items()},
                "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
            }
        return SoundCheckpoint(
            generator=self.generator_name,
            mel=self.mel,
            model=self.model,
            state={k: v.detach().cpu().clone() for k, v in self.mean.state.items()},
            gain=self.gain,
            arrays=self.arrays,
            training=training,
        )

    def restore(self, stored: SoundCheckpoint, source: object) -> dict[str, Any]:
        """Go on from a checkpoint; return its `progress`.

        Raises
        ------
        CheckpointError
            If it holds no state of a training, or that of other networks.
        """
        if not stored.training:
            raise CheckpointError(f"{source}: holds a network but no state of its training")
        try:
            for name, network in self.networks.items():
                network.load_state_dict(stored.training["networks"][name])
            for name, optimiser in self.optimisers.items():
                optimiser.load_state_dict(stored.training["optimisers"][name])
            self.mean.load(stored.state)
            self.restore_extra(stored.training["extra"])
            return dict(stored.training["progress"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{source}: the state of another training: {error}") from error

    def start_from(self, stored: SoundCheckpoint, source: object) -> None:
        """Begin with the parameters of another run instead of random ones.

        Raises
        ------
        CheckpointError
            If they are of other networks.
        """
        others = stored.training.get("networks", {"generator": stored.state})
        try:
            for name, state in others.items():
                if name in self.networks:
                    self.networks[name].load_state_dict(state)
            self.networks["generator"].load_state_dict(dict(stored.state))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{source}: of a network of another size: {reason}") from error
        self.mean.load(stored.state)
