"""Training of the flow by flow matching on principal components of mel frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW

from desc.soundgen.measures import Float32
from desc.soundgen.mel_flow import Components, MelFlow, colouring_filters, flow_loss
from desc.soundgen.mel_training import (
    CALIBRATION_CROPS,
    SMALLEST_SCALE,
    VALIDATION_SEED,
    MelTask,
)
from desc.soundgen.recordings import SoundRecordings
from desc.soundgen.settings import FlowConfig, FlowTraining


class FlowTask(MelTask):
    """Training of the flow: one network and one loss, without a discriminator.

    Each component is divided by its rms. Most of the variance of frames is loudness, so the first
    component would otherwise emerge from the noise long before the others. A flow that has
    memorised crops averages between them, which reduces the spread; calibration restores it.
    """

    generator_name = "flow"
    training: FlowTraining
    model: FlowConfig

    def build(self, recordings: SoundRecordings) -> None:
        """Create the crops of components and the network."""
        super().build(recordings)
        mel, model, training = self.mel, self.model, self.training
        n = min(model.n_components, mel.n_mels)
        self.basis, self.level = principal_components(np.concatenate(self.learned, 1), n)
        data = [(self.basis.T @ m) / self.level for m in self.learned]
        self.component_crops = self.crops_of(data, training.seq_frames)
        self.flow = MelFlow(n, model.width, model.num_layers)
        self.flow.colour.copy_(colouring_filters(data))
        self.prepare({"generator": self.flow}, self.crops.steps_per_pass, AdamW)

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Statistics of the bands, and basis, offset and level of the components."""
        return super().arrays | vars(self.components)

    @property
    def components(self) -> Components:
        """Map from the network's output to spectrograms."""
        return Components(
            *map(torch.from_numpy, (self.basis, self.offset, self.level / self.spread))
        )

    def step(self, step: int, attempt: int) -> dict[str, Tensor]:
        """Train on one batch of crops."""
        data = self.batch(self.component_crops, step, attempt).to(self.device)
        with self.fabric.autocast():
            loss = flow_loss(self.flow, data, self.generator(step, attempt))
        self.update("generator", loss, step)
        return self.losses(generator=loss)

    def outputs(self, n: int, n_frames: int, random: torch.Generator) -> Tensor:
        """Return generated components, (n, K, n_frames), on the CPU."""
        return self._transport(self.flow.noise(n, n_frames, random))

    def calibration_outputs(self) -> Tensor:
        """Return components generated from noise and from the negated noise.

        The chance mean of the noise then cancels.
        """
        random = torch.Generator().manual_seed(VALIDATION_SEED + 1)
        noise = self.flow.noise(CALIBRATION_CROPS // 2, self.training.seq_frames, random)
        parts = torch.split(torch.cat([noise, -noise]), self.training.batch_size)
        return torch.cat([self._transport(part) for part in parts])

    def in_bands(self, outputs: Tensor) -> Tensor:
        """Return calibrated standardised spectrograms of components."""
        return self.components.in_bands(outputs)

    def _transport(self, noise: Tensor) -> Tensor:
        return self.flow.transport(noise, self.model.flow_steps).cpu()


def principal_components(frames: Float32, n: int) -> tuple[Float32, Float32]:
    """Return the first n principal components of frames (n_mels, T), about the origin.

    Returns
    -------
    basis : ndarray of float32, (n_mels, n)
        Orthonormal.
    level : ndarray of float32, (n, 1)
        Root mean square of each component.
    """
    values, vectors = np.linalg.eigh(frames.astype(np.float64) @ frames.T / frames.shape[1])
    basis = vectors[:, ::-1][:, :n].astype(np.float32)
    level = np.sqrt(np.maximum(values[::-1][:n], SMALLEST_SCALE**2)).astype(np.float32)
    return np.ascontiguousarray(basis), level[:, None]
