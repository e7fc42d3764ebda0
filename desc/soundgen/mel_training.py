"""`MelTask`: training of a mel generator."""

from __future__ import annotations

import logging
from abc import abstractmethod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from desc.audio import write
from desc.metrics.realism import frechet_distance
from desc.report.drawing import draw_mels
from desc.soundgen.measures import Float32, diversity, frames_of
from desc.soundgen.mel import MelFrontEnd
from desc.soundgen.recordings import Crops, SoundRecordings
from desc.soundgen.settings import MelTraining
from desc.soundgen.task import SoundTask
from desc.soundgen.vocoder import Vocoder

logger = logging.getLogger(__name__)
VALIDATION_SEED = 123
CALIBRATION_CROPS = 64
SHOWN_S = 5.0
SMALLEST_SCALE = 1e-3  # of a band, so that a constant band is not amplified


class MelTask(SoundTask):
    """Training on log mel spectrograms, standardised per band.

    The outputs of a network, (n, K, T), are mapped to spectrograms. With `calibrate`, generated
    spectrograms get the mean and spread of the recordings: undertrained networks, and networks
    that overfit little music, vary too little. Each band is clamped to its range in the
    recordings.
    """

    training: MelTraining

    def build(self, recordings: SoundRecordings) -> None:
        """Compute the standardised spectrograms, and draw the validation crops."""
        self.learned, self.held_out = self._spectrograms(recordings)
        frames = self.training.seq_frames
        self.crops = self.crops_of(self.learned, frames)
        validation = Crops(self.held_out, frames, self.training.num_va, seed=VALIDATION_SEED)
        self.real = torch.from_numpy(validation.batch(0))
        self.offset, self.spread = (np.full((1, 1), x, np.float32) for x in (0, 1))

    def _spectrograms(self, recordings: SoundRecordings) -> tuple[list[Float32], list[Float32]]:
        """Return training and validation spectrograms, standardised."""
        front_end = MelFrontEnd(self.mel)
        parts = recordings.split(self.training.validation_share)
        if max(map(len, parts[1])) < self.training.seq_frames * self.mel.hop_length:
            logger.info("the held-out parts are shorter than a crop: validating on training crops")
            parts = recordings.split(0.0)
        learned, held_out = ([front_end.of_recording(s) for s in part] for part in parts)
        frames = np.concatenate(learned, 1)
        self.mean_frame = frames.mean(1, dtype=np.float64).astype(np.float32)[:, None]
        spread = frames.std(1, dtype=np.float64).astype(np.float32)[:, None]
        self.scale = np.where(spread < SMALLEST_SCALE, np.float32(1), spread)
        learned, held_out = (
            [(m - self.mean_frame) / self.scale for m in part] for part in (learned, held_out)
        )
        self.lowest, self.highest = frames.min(1)[:, None], frames.max(1)[:, None]
        return learned, held_out

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Mean, scale, lowest and highest value of each band, (n_mels,)."""
        bands = {
            "mean": self.mean_frame,
            "scale": self.scale,
            "lowest": self.lowest,
            "highest": self.highest,
        }
        return {name: torch.from_numpy(values[:, 0]) for name, values in bands.items()}

    @abstractmethod
    def outputs(self, n: int, n_frames: int, random: torch.Generator) -> Tensor:
        """Return n outputs of the network, (n, K, n_frames), on the CPU."""

    @abstractmethod
    def in_bands(self, outputs: Tensor) -> Tensor:
        """Map outputs to calibrated standardised spectrograms (n, n_mels, T)."""

    @torch.no_grad()
    def generate(self, n: int, n_frames: int, random: torch.Generator) -> Tensor:
        """Generate n standardised spectrograms, (n, n_mels, n_frames), on the CPU."""
        least, most = (
            torch.from_numpy((x - self.mean_frame) / self.scale)
            for x in (self.lowest, self.highest)
        )
        return self.in_bands(self.outputs(n, n_frames, random)).clamp(least, most)

    def calibration_outputs(self) -> Tensor:
        """Return outputs (n, K, T) from which `calibrate` estimates mean and spread."""
        random = torch.Generator().manual_seed(VALIDATION_SEED + 1)
        size, n_frames = self.training.batch_size, self.training.seq_frames
        counts = [min(size, CALIBRATION_CROPS - i) for i in range(0, CALIBRATION_CROPS, size)]
        return torch.cat([self.outputs(n, n_frames, random) for n in counts])

    @torch.no_grad()
    def calibrate(self) -> None:
        """Estimate mean and spread of the outputs; an exact model has 0 and 1."""
        made = self.calibration_outputs().numpy()
        self.offset = made.mean((0, 2), dtype=np.float64).astype(np.float32)[:, None]
        spread = made.std((0, 2), dtype=np.float64).astype(np.float32)[:, None]
        self.spread = np.maximum(spread, np.float32(SMALLEST_SCALE))

    @torch.no_grad()
    def validate(self, step: int = 0, *, last: bool = False) -> dict[str, float]:  # noqa: ARG002
        """Calibrate, then compare generated spectrograms with held-out crops.

        `val_loss` is the Fréchet distance of standardised frames; `val_diversity` is the mean
        difference between generated crops divided by that between real ones.
        """
        if self.training.calibrate:
            self.calibrate()
        random = torch.Generator().manual_seed(VALIDATION_SEED)
        size = self.training.batch_size
        parts = torch.split(self.real, size)
        fake = torch.cat([self.generate(len(p), p.shape[-1], random) for p in parts]).numpy()
        real = self.real.numpy()
        of_real = diversity(real) if len(real) > 1 else 0.0
        return {
            "val_loss": frechet_distance(frames_of(fake), frames_of(real)),
            "val_diversity": diversity(fake) / of_real if of_real > 0 else 0.0,
        }

    @torch.no_grad()
    def sample(self, folder: Path, step: int) -> dict[str, Path]:
        """Write five seconds of generated sound, and a plot of its spectrogram and a real one."""
        n_frames = round(SHOWN_S * self.mel.frame_rate)
        random = torch.Generator().manual_seed(VALIDATION_SEED)
        mel = self.generate(1, n_frames, random)[0].numpy() * self.scale + self.mean_frame
        vocoder = self.vocoder or Vocoder.griffin_lim(self.mel)
        audio = vocoder(mel, self.mel) / np.float32(self.gain)
        path = folder / f"step-{step}.wav"
        write(path, audio.clip(-1, 1), self.mel.sample_rate)
        real = self.real[0].numpy() * self.scale + self.mean_frame
        pictures = draw_mels({"real": real, "generated": mel}, folder / f"step-{step}.png")
        return {"generated": path} | pictures
