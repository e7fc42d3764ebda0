"""Training of UnaGAN: boundary equilibrium GAN (BEGAN) on spectrograms, with a cycle loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from desc.soundgen.mel_training import VALIDATION_SEED, MelTask
from desc.soundgen.recordings import SoundRecordings
from desc.soundgen.settings import UnaganConfig, UnaganTraining
from desc.soundgen.unagan import UnaganDiscriminator, UnaganEncoder, UnaganGenerator, n_vectors

_MIN_VARIANCE = 1e-6  # keeps the gradient of a standard deviation finite at 0


def moment_distance(generated: Tensor, real: Tensor) -> Tensor:
    """Return the distance between moments of generated and real spectrograms (B, n_mels, T).

    Sum of the mean absolute differences, over bands, of five moments: mean of all frames, their
    standard deviation, standard deviation of the crops' means, mean standard deviation within a
    crop, and mean frame-to-frame change. With BEGAN alone, early crops are nearly identical.
    """
    pairs = zip(_moments(generated), _moments(real), strict=True)
    return torch.stack([(a - b).abs().mean() for a, b in pairs]).sum()


def _moments(mels: Tensor) -> list[Tensor]:
    return [
        mels.mean((0, 2)),
        _spread(mels, (0, 2)),
        _spread(mels.mean(2), (0,)),
        _spread(mels, (2,)).mean(0),
        mels.diff(dim=2).abs().mean((0, 2)),
    ]


def _spread(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return (x.var(dims, correction=0) + _MIN_VARIANCE).sqrt()


class UnaganTask(MelTask):
    """Training of UnaGAN. A step updates generator and encoder, then the discriminator, then k."""

    generator_name = "unagan"
    training: UnaganTraining
    model: UnaganConfig

    def build(self, recordings: SoundRecordings) -> None:
        """Create crops, generator, discriminator and, for the cycle, encoder."""
        super().build(recordings)
        mel, model, training = self.mel, self.model, self.training
        self.k = training.init_k
        self.unagan = UnaganGenerator(mel.n_mels, model.z_dim, model.width)
        networks: dict[str, nn.Module] = {
            "generator": self.unagan,
            "discriminator": UnaganDiscriminator(mel.n_mels, model.width),
        }
        if model.cycle:
            networks["encoder"] = UnaganEncoder(mel.n_mels, model.z_dim, model.width)
        self.prepare(networks, self.crops.steps_per_pass, Adam)

    @property
    def extra(self) -> dict[str, float]:
        """k, the weight of generated spectrograms in the discriminator's loss."""
        return {"k": self.k}

    def load_extra(self, extra: Mapping[str, float]) -> None:
        """Undo `extra`."""
        self.k = extra["k"]

    def step(self, step: int, attempt: int) -> dict[str, Tensor]:
        """Train on one batch of crops."""
        real = self.batch(self.crops, step, attempt).to(self.device)
        fake, losses = self._generator_step(real, step, self.generator(step, attempt))
        discriminator = self.networks["discriminator"]
        with self.fabric.autocast():
            real_error = (discriminator(real) - real).abs().mean()
            fake_error = (discriminator(fake) - fake).abs().mean()
        loss = real_error - self.k * fake_error
        self.update("discriminator", loss, step)
        of_real, of_fake = self.mean(torch.stack([real_error, fake_error])).tolist()
        balance = self.training.gamma * of_real - of_fake
        self.k = min(1.0, max(0.0, self.k + self.training.lambda_k * balance))
        return losses | self.losses(
            discriminator=loss,
            real_error=real_error,
            fake_error=fake_error,
            convergence=of_real + abs(balance),
            k=self.k,
        )

    def _generator_step(
        self, real: Tensor, step: int, random: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Update generator and encoder; return the spectrograms before the update, and losses."""
        noise = self.unagan.draw(len(real), n_vectors(real.shape[-1]), random)
        z, states = (x.to(self.device) for x in noise)
        with self.fabric.autocast():
            fake = self.unagan(z, states)[..., : real.shape[-1]].float()
            discriminator = self.networks["discriminator"].requires_grad_(False)
            total = adversarial = (discriminator(fake) - fake).abs().mean()
            discriminator.requires_grad_(True)
        losses = {"adversarial": adversarial}
        if self.training.lambda_moments:
            losses["moments"] = moment_distance(fake, real)
            total = total + self.training.lambda_moments * losses["moments"]
        if self.model.cycle:
            encoder = self.networks["encoder"]
            again = self.unagan.draw_states(len(real), random).to(self.device)
            with self.fabric.autocast():
                of_noise = (encoder(fake) - z).abs().mean()
                rebuilt = self.unagan(encoder(real), again)[..., : real.shape[-1]].float()
            of_real = (rebuilt - real).abs().mean()
            total = total + self.training.lambda_cycle * (of_noise + of_real)
            losses |= {"noise_reconstruction": of_noise, "reconstruction": of_real}
        self.update("generator", total, step, *("encoder",)[: self.model.cycle])
        return fake.detach(), self.losses(**losses, generator=total)

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Statistics of the bands, with the calibration folded into mean and scale."""
        offset, spread = (torch.from_numpy(x[:, 0]) for x in (self.offset, self.spread))
        arrays = super().arrays
        scale = arrays["scale"] / spread
        return arrays | {"mean": arrays["mean"] - offset * scale, "scale": scale}

    def outputs(self, n: int, n_frames: int, random: torch.Generator) -> Tensor:
        """Return uncalibrated standardised spectrograms, (n, n_mels, n_frames), on the CPU."""
        noise = self.unagan.draw(n, n_vectors(n_frames), random)
        made: Tensor = self.unagan(*(x.to(self.device) for x in noise))
        return made[..., :n_frames].cpu()

    def in_bands(self, outputs: Tensor) -> Tensor:
        """Return calibrated standardised spectrograms."""
        return (outputs - torch.from_numpy(self.offset)) / torch.from_numpy(self.spread)

    @torch.no_grad()
    def validate(self, step: int = 0, *, last: bool = False) -> dict[str, float]:
        """Return the metrics of `MelTask`, and `val_convergence`, BEGAN's convergence measure."""
        discriminator = self.networks["discriminator"].eval()
        random = torch.Generator().manual_seed(VALIDATION_SEED)
        errors = []
        for real in torch.split(self.real, self.training.batch_size):
            pair = (real, self.outputs(len(real), real.shape[-1], random))
            on_device = [x.to(self.device) for x in pair]
            errors.append([(discriminator(x) - x).abs().mean().item() for x in on_device])
        discriminator.train()
        real_error, fake_error = np.mean(errors, 0)
        balance = self.training.gamma * real_error - fake_error
        return super().validate(step, last=last) | {
            "val_convergence": float(real_error + abs(balance))
        }
