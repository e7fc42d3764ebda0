"""`SoundTask`: training of a network of sound generation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from desc.audio import Audio
from desc.configuration import check
from desc.engine.fabric import Fabric
from desc.engine.optimization import LearningRate, RunningAverage
from desc.engine.task import Task
from desc.errors import CheckpointError
from desc.soundgen.checkpoint import SoundCheckpoint
from desc.soundgen.recordings import Crops, SoundRecordings
from desc.soundgen.settings import MelConfig, MelModelConfig, SoundTraining, VocoderConfig
from desc.soundgen.vocoder import Vocoder

LAST_SHARE = 0.05  # of the learning rate at the end of the cosine schedule


class SoundTask(Task):
    """Training of a vocoder or mel generator; batches and random numbers depend on the step only.

    Parameters
    ----------
    mel, model, training
        The settings.
    recordings : SoundRecordings
        At the rate of `mel`.
    vocoder : Vocoder, optional
        Renders the audio samples of a mel generator; by default Griffin-Lim.
    fabric : Fabric, optional

    Attributes
    ----------
    generator_name : str
        melgan, vocos, unagan or flow.
    """

    most_attempts = 5
    loss_prefix = "train_"
    generator_name: str
    model: VocoderConfig | MelModelConfig
    training: SoundTraining

    def __init__(
        self,
        mel: MelConfig,
        model: VocoderConfig | MelModelConfig,
        training: SoundTraining,
        recordings: SoundRecordings,
        *,
        vocoder: Vocoder | None = None,
        fabric: Fabric | None = None,
    ) -> None:
        super().__init__(training, fabric)
        self.mel, self.model, self.training = mel, model, training
        self.gain, self.vocoder = recordings.gain, vocoder
        self.max_grad_norm, self.seed = training.max_grad_norm, training.seed
        n = self.fabric.world_size
        rule = f"be a multiple of the number of processes, {n}"
        check(training.batch_size % n == 0, "batch_size", training.batch_size, rule)
        torch.manual_seed(training.seed)  # of the parameters' initial values
        self.build(recordings)

    @abstractmethod
    def build(self, recordings: SoundRecordings) -> None:
        """Create crops and networks, then call `prepare`."""

    def prepare(
        self, networks: dict[str, nn.Module], steps_per_pass: int, kind: type[Adam], **options: Any
    ) -> None:
        """Set the networks, the generator first, and create an optimizer for each.

        Parameters
        ----------
        networks : dict of str to Module
        steps_per_pass : int
            Steps whose crops add up to the recordings.
        kind, **options
            Class of the optimizers, and its options.
        """
        training = self.training
        for name, network in networks.items():
            self.networks[name] = network.to(self.device)
            parameters = network.parameters()
            self.add_optimizer(name, kind(parameters, lr=training.learning_rate, **options))
        self.average = RunningAverage(networks["generator"], training.ema_decay)
        steps = training.steps or training.epochs * steps_per_pass
        last_share = 1.0 if training.schedule == "constant" else LAST_SHARE
        self.learning_rate = LearningRate(training.learning_rate, steps, last_share=last_share)

    def crops_of(self, sounds: Sequence[Audio], length: int) -> Crops:
        """Return random crops for training, of all processes together."""
        return Crops(sounds, length, self.training.batch_size, seed=self.training.seed)

    def batch(self, crops: Crops, step: int, attempt: int) -> Tensor:
        """Return this process's share of the crops of a step; all shares are of one size."""
        batch = torch.from_numpy(crops.batch(step, attempt))
        return batch[self.fabric.global_rank :: self.fabric.world_size]

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Arrays of the checkpoint beside parameters."""
        return {}

    def logs_at(self, step: int) -> bool:
        """Return true every `log_interval` steps."""
        return step % self.training.log_interval == 0

    def validates_at(self, step: int) -> bool:
        """Return true every `save_interval` steps, and at the end."""
        return step % self.training.save_interval == 0 or step == self.total_steps

    def checkpoint(self) -> dict[str, Any]:
        """Return the generator with its averaged parameters."""
        return SoundCheckpoint(
            generator=self.generator_name,
            mel=self.mel,
            model=self.model,
            state={name: x.cpu() for name, x in self.average.state_dict().items()},
            gain=self.gain,
            arrays=self.arrays,
        ).to_dict()

    def start_from(self, stored: SoundCheckpoint, source: object) -> None:
        """Initialise the generator with the parameters of another run.

        Raises
        ------
        CheckpointError
            If it is another network.
        """
        try:
            self.networks["generator"].load_state_dict(dict(stored.state))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{source}: a network of another size: {reason}") from error
        self.average.load(stored.state)

    def losses(self, **values: Tensor | float) -> dict[str, Tensor]:
        """Return losses by name as scalars without gradient."""
        return {name: torch.as_tensor(v, device=self.device).detach() for name, v in values.items()}
