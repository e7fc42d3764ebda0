"""How the flow learns: the velocity from noise to spectrograms, by least squares."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW

from desc.soundgen.measures import Float32
from desc.soundgen.mel_config import MelConfig
from desc.soundgen.mel_flow import MelFlow, colouring_filters, flow_loss
from desc.soundgen.mel_recipe import SMALLEST_SCALE, MelRecipe
from desc.soundgen.recordings import Crops, SoundRecordings
from desc.soundgen.settings import FlowConfig, FlowTraining
from desc.soundgen.vocoder import Vocoder


class FlowRecipe(MelRecipe):
    """One network, one loss, no adversary.

    Each component is divided by its own level: most of the variance of frames is their loudness,
    and the first component would stand out of the noise long before the others.

    Parameters
    ----------
    mel, model, training
        The settings.
    recordings : SoundRecordings
        At the rate of `mel`.
    vocoder : Vocoder, optional
        Makes the samples audible; by default Griffin-Lim.
    """

    training: FlowTraining
    model: FlowConfig

    def __init__(
        self,
        mel: MelConfig,
        model: FlowConfig,
        training: FlowTraining,
        recordings: SoundRecordings,
        *,
        vocoder: Vocoder | None = None,
    ) -> None:
        super().__init__("flow", mel, model, training, recordings, vocoder=vocoder)
        n = min(model.n_components, mel.n_mels)
        self.basis, self.level = principal_components(np.concatenate(self.learned, 1), n)
        data = [(self.basis.T @ m) / self.level for m in self.learned]
        self.components = Crops(data, training.seq_frames, training.batch_size, seed=training.seed)
        self.flow = MelFlow(n, model.width, model.num_layers)
        self.flow.colour.copy_(colouring_filters(data))
        self.networks = {"generator": self.flow}
        self.add_optimisers(AdamW)
        self.prepare(self.crops.steps_per_pass)

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Mean and scale of the bands, the basis of the components and their level."""
        return super().arrays | {
            "basis": torch.from_numpy(self.basis),
            "level": torch.from_numpy(self.level),
        }

    def step(self, step: int, attempt: int) -> dict[str, float]:
        """Learn from one batch of crops."""
        data = torch.from_numpy(self.components.batch(step, attempt)).to(self.device)
        loss = flow_loss(self.flow, data, self.random(step, attempt))
        self.update("generator", loss, step)
        return {"generator": loss.item()}

    @torch.no_grad()
    def make(self, n: int, n_frames: int, random: torch.Generator) -> Tensor:
        """Return n new standardised spectrograms, (n, n_mels, n_frames)."""
        noise = self.flow.noise(n, n_frames, random)
        return self.in_bands(self.flow.transport(noise, self.model.flow_steps).cpu())

    def in_bands(self, components: Tensor) -> Tensor:
        """Return the standardised spectrograms (n, n_mels, T) of components (n, K, T)."""
        return self.arrays["basis"] @ (components * self.arrays["level"])


def principal_components(frames: Float32, n: int) -> tuple[Float32, Float32]:
    """Return the n directions in which frames (n_mels, T) differ most.

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
