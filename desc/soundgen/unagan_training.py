"""How UnaGAN learns: a boundary equilibrium game (BEGAN) on spectrograms, and a cycle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from desc.audio import write
from desc.metrics import frechet_distance
from desc.soundgen.measures import diversity, frames_of
from desc.soundgen.mel import MelFrontEnd
from desc.soundgen.mel_config import MelConfig
from desc.soundgen.pictures import draw_mels
from desc.soundgen.recipe import Recipe, pick_device
from desc.soundgen.recordings import Crops, SoundRecordings
from desc.soundgen.settings import UnaganConfig, UnaganTraining
from desc.soundgen.unagan import (
    UnaganDiscriminator,
    UnaganEncoder,
    UnaganGenerator,
    n_vectors,
)
from desc.soundgen.vocoder import Vocoder

VALIDATION_SEED = 123
SHOWN_S = 5.0
SMALLEST_SCALE = 1e-3  # of a band: one that never moves is not blown up


class UnaganRecipe(Recipe):
    """One update of generator and encoder, one of the discriminator, one of k, per step.

    Parameters
    ----------
    mel, model, training
        The settings.
    recordings : SoundRecordings
        At the rate of `mel`.
    vocoder : Vocoder, optional
        Makes the samples audible; by default Griffin-Lim.
    """

    training: UnaganTraining
    model: UnaganConfig

    def __init__(
        self,
        mel: MelConfig,
        model: UnaganConfig,
        training: UnaganTraining,
        recordings: SoundRecordings,
        *,
        vocoder: Vocoder | None = None,
    ) -> None:
        self.generator_name = "unagan"
        self.mel, self.model, self.training = mel, model, training
        self.gain = recordings.gain
        self.device = pick_device(training.accelerator)
        self.vocoder = vocoder
        self.k = training.init_k
        self.unagan = UnaganGenerator(mel.n_mels, model.z_dim, model.width)
        self.networks = {
            "generator": self.unagan,
            "discriminator": UnaganDiscriminator(mel.n_mels, model.width),
        }
        if model.cycle:
            self.networks["encoder"] = UnaganEncoder(mel.n_mels, model.z_dim, model.width)
        self.optimisers = {}
        for name, network in self.networks.items():
            network.to(self.device)
            self.optimisers[name] = Adam(network.parameters(), lr=training.learning_rate)
            for group in self.optimisers[name].param_groups:
                group["initial_lr"] = training.learning_rate
        learned, held_out = self._spectrograms(recordings)
        size, frames = training.batch_size, training.seq_frames
        self.crops = Crops(learned, frames, size, seed=training.seed)
        validation = Crops(held_out, frames, training.num_va, seed=VALIDATION_SEED)
        self.real = torch.from_numpy(validation.batch(0))
        self.prepare(self.crops.steps_per_pass)

    def _spectrograms(
        self, recordings: SoundRecordings
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return what is learned from and what is held out, standardised per band."""
        front_end = MelFrontEnd(self.mel)
        parts = recordings.split(self.training.validation_share)
        learned, held_out = ([front_end.of_recording(s) for s in part] for part in parts)
        frames = np.concatenate(learned, 1)
        self.mean_frame = frames.mean(1, dtype=np.float64).astype(np.float32)[:, None]
        spread = frames.std(1, dtype=np.float64).astype(np.float32)[:, None]
        self.scale = np.where(spread < SMALLEST_SCALE, np.float32(1), spread)
        learned, held_out = (
            [(m - self.mean_frame) / self.scale for m in part] for part in (learned, held_out)
        )
        return learned, held_out

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Mean and scale of the bands, (n_mels,)."""
        return {
            "mean": torch.from_numpy(self.mean_frame[:, 0]),
            "scale": torch.from_numpy(self.scale[:, 0]),
        }

    @property
    def extra(self) -> dict[str, float]:
        """k, the weight of the generated spectrograms in the discriminator's loss."""
        return {"k": self.k}

    def restore_extra(self, extra: Mapping[str, float]) -> None:
        """Undo `extra`."""
        self.k = extra["k"]

    def step(self, step: int, attempt: int) -> dict[str, float]:
        """Learn from one batch of crops."""
        real = torch.from_numpy(self.crops.batch(step, attempt)).to(self.device)
        fake, losses = self._generator_step(real, step, self.random(step, attempt))
        discriminator = self.networks["discriminator"]
        real_error = (discriminator(real) - real).abs().mean()
        fake_error = (discriminator(fake) - fake).abs().mean()
        loss = real_error - self.k * fake_error
        self.update("discriminator", loss, step)
        balance = self.training.gamma * real_error.item() - fake_error.item()
        self.k = min(1.0, max(0.0, self.k + self.training.lambda_k * balance))
        return losses | {
            "discriminator": loss.item(),
            "real_error": real_error.item(),
            "fake_error": fake_error.item(),
            "convergence": real_error.item() + abs(balance),
            "k": self.k,
        }

    def _generator_step(
        self, real: Tensor, step: int, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Update generator and encoder; return the spectrograms made before."""
        z, states = (x.to(self.device) for x in self._noise(len(real), random))
        fake = self.unagan(z, states)[..., : real.shape[-1]]
        discriminator = self.networks["discriminator"].requires_grad_(False)
        total = (discriminator(fake) - fake).abs().mean()
        discriminator.requires_grad_(True)
        losses = {"adversarial": total.item()}
        if self.model.cycle:
            encoder = self.networks["encoder"]
            again = self.unagan.draw_states(len(real), random).to(self.device)
            of_noise = (encoder(fake) - z).abs().mean()
            rebuilt = self.unagan(encoder(real), again)[..., : real.shape[-1]]
            of_real = (rebuilt - real).abs().mean()
            total = total + self.training.lambda_cycle * (of_noise + of_real)
            losses |= {"noise_reconstruction": of_noise.item(), "reconstruction": of_real.item()}
        losses["generator"] = total.item()
        self.update_together(("generator", "encoder")[: 1 + self.model.cycle], total, step)
        return fake.detach(), losses

    def _noise(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.unagan.draw(n, n_vectors(self.training.seq_frames), random)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure crops that were held out.

        `val_loss` is the Fréchet distance of standardised frames; `val_convergence` is the
        measure of BEGAN, `val_diversity` the mean difference of generated crops over that of
        real ones.
        """
        discriminator = self.networks["discriminator"]
        discriminator.eval()
        random = torch.Generator().manual_seed(VALIDATION_SEED)
        made, errors = [], []
        for real in torch.split(self.real, self.training.batch_size):
            noise = self._noise(len(real), random)
            fake = self.unagan(*(x.to(self.device) for x in noise))[..., : real.shape[-1]]
            pair = [real.to(self.device), fake]
            errors += [[(discriminator(x) - x).abs().mean().item() for x in pair]]
            made.append(fake.cpu())
        discriminator.train()
        fake = torch.cat(made)
        real_error, fake_error = np.mean(errors, 0)
        balance = self.training.gamma * real_error - fake_error
        fd = frechet_distance(frames_of(fake.numpy()), frames_of(self.real.numpy()))
        return {
            "val_loss": fd,
            "val_convergence": float(real_error + abs(balance)),
            "val_diversity": diversity(fake.numpy()) / diversity(self.real.numpy()),
        }

    @torch.no_grad()
    def sample(self, folder: Path, step: int) -> dict[str, Path]:
        """Write some seconds of new sound, and their spectrogram beside a real one."""
        n_frames = round(SHOWN_S * self.mel.frame_rate)
        random = torch.Generator().manual_seed(VALIDATION_SEED)
        noise = self.unagan.draw(1, n_vectors(n_frames), random)
        made = self.unagan(*(x.to(self.device) for x in noise))[0].cpu().numpy()
        mel = made * self.scale + self.mean_frame
        vocoder = self.vocoder or Vocoder.griffin_lim(self.mel)
        audio = vocoder.render(torch.from_numpy(mel), self.mel) / self.gain
        path = folder / f"step-{step}.wav"
        write(path, audio.clamp(-1, 1).numpy(), self.mel.sample_rate)
        real = self.real[0].numpy() * self.scale + self.mean_frame
        pictures = draw_mels({"real": real, "generated": mel}, folder / f"step-{step}.png")
        return {"generated": path} | pictures
