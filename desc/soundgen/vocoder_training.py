"""Training of a vocoder: spectral losses, and MelGAN's adversarial losses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam

from desc.audio import write
from desc.report.drawing import draw_mels
from desc.soundgen.losses import (
    SpectralDistance,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from desc.soundgen.mel import MelFrontEnd
from desc.soundgen.melgan import MelganDiscriminator
from desc.soundgen.recordings import SoundRecordings, even_clips
from desc.soundgen.settings import VocoderConfig, VocoderTraining
from desc.soundgen.task import SoundTask
from desc.soundgen.vocoder import create_generator

BETAS = (0.5, 0.9)
SHOWN = 2  # clips written at each validation
LN_10 = 2.302585092994046


class VocoderTask(SoundTask):
    """Training of a vocoder. A step updates the discriminators, then the generator.

    Before step `discriminator_from` only the spectral losses are used; these steps are several
    times faster.
    """

    training: VocoderTraining
    model: VocoderConfig

    def build(self, recordings: SoundRecordings) -> None:
        """Create training crops, validation clips, generator and discriminators."""
        mel, model, training = self.mel, self.model, self.training
        self.generator_name = model.vocoder
        discriminator = MelganDiscriminator(
            model.num_D, model.ndf, model.n_layers_D, model.downsamp_factor
        )
        networks = {"generator": create_generator(model, mel), "discriminator": discriminator}
        self.front_end = MelFrontEnd(mel).to(self.device)
        self.distance = SpectralDistance().to(self.device)
        learned, held_out = recordings.split(training.validation_share)
        length = training.seq_len - training.seq_len % mel.hop_length
        self.crops = self.crops_of(learned, length)
        clip = mel.sample_rate - mel.sample_rate % mel.hop_length
        clips = even_clips(held_out, training.n_test_samples, clip)
        self.clips = torch.from_numpy(clips).to(self.device)
        self.prepare(networks, self.crops.steps_per_pass, Adam, betas=BETAS)

    @property
    def adversarial(self) -> bool:
        """Whether the training uses discriminators."""
        return self.training.discriminator_from < self.total_steps

    def step(self, step: int, attempt: int) -> dict[str, Tensor]:
        """Train on one batch of crops."""
        audio = self.batch(self.crops, step, attempt)
        if self.training.level_jitter < 1:
            lowest = self.training.level_jitter
            gains = torch.rand(len(audio), 1, generator=self.generator(step, attempt))
            audio = audio * (lowest + (1 - lowest) * gains)
        audio = audio.to(self.device)
        mel = self.front_end(audio)
        with self.fabric.autocast():
            fake = self.networks["generator"](mel).float()
        losses: dict[str, Tensor] = {}
        maps: list[list[Tensor]] | None = None
        if step >= self.training.discriminator_from:
            with self.fabric.autocast():
                discriminator = self.networks["discriminator"]
                maps = discriminator(audio)
                loss = discriminator_loss(maps, discriminator(fake.detach()))
            self.update("discriminator", loss, step)
            losses["discriminator"] = loss
        total, parts = self._generator_loss(fake, audio, mel, maps)
        self.update("generator", total, step)
        return self.losses(**losses, **parts)

    def _generator_loss(
        self, fake: Tensor, audio: Tensor, mel: Tensor, maps: list[list[Tensor]] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the generator's losses, and the single losses by name."""
        training = self.training
        total = torch.zeros((), device=self.device)
        difference = (self.front_end(fake) - mel).abs().mean()
        parts = {"mel_l1": difference}
        if training.lambda_mel:
            scale = LN_10 if self.mel.log_base == "10" else 1.0  # the weight is of base e
            total = total + training.lambda_mel * scale * difference
        if training.lambda_stft:
            parts["mr_stft"] = self.distance(fake, audio)
            total = total + training.lambda_stft * parts["mr_stft"]
        if maps is not None:
            with _frozen(self.networks["discriminator"]), self.fabric.autocast():
                of_fake = self.networks["discriminator"](fake)
            parts["adversarial"] = adversarial_loss(of_fake)
            parts["features"] = feature_loss(maps, of_fake)
            total = total + parts["adversarial"] + training.lambda_feat * parts["features"]
        parts["generator"] = total
        return total, parts

    @torch.no_grad()
    def validate(self, step: int = 0, *, last: bool = False) -> dict[str, float]:  # noqa: ARG002
        """Return mel L1 (`val_loss`) and multi-resolution STFT distance of held-out clips."""
        fake = self._rendered(self.clips)
        difference = self.front_end(fake) - self.front_end(self.clips)
        mel_l1 = difference.abs().mean().item()
        return {"val_loss": mel_l1, "val_mr_stft": self.distance(fake, self.clips).item()}

    def _rendered(self, clips: Tensor) -> Tensor:
        generator = self.networks["generator"]
        return torch.cat([generator(self.front_end(clip[None])) for clip in clips])

    @torch.no_grad()
    def sample(self, folder: Path, step: int) -> dict[str, Path]:
        """Write two rendered clips, and a plot of a rendered and a real spectrogram."""
        clips = self.clips[:SHOWN]
        fake = self._rendered(clips)
        paths: dict[str, Path] = {}
        for index, audio in enumerate(fake):
            path = folder / f"step-{step}-{index}.wav"
            write(path, (audio / self.gain).clamp(-1, 1).cpu().numpy(), self.mel.sample_rate)
            paths[f"clip {index}"] = path
        if step <= self.training.save_interval:
            for index, audio in enumerate(clips):
                path = folder / f"real-{index}.wav"
                write(path, (audio / self.gain).clamp(-1, 1).cpu().numpy(), self.mel.sample_rate)
                paths[f"real clip {index}"] = path
        mels = {"real": self.front_end(clips[:1])[0], "generated": self.front_end(fake[:1])[0]}
        return paths | draw_mels(
            {k: v.cpu().numpy() for k, v in mels.items()}, folder / f"step-{step}.png"
        )


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Exclude a network's parameters from gradients inside the block."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
