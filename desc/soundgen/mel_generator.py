"""`MelGenerator`: new mel spectrograms of any length from noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from desc.configuration import Note, RunConfig
from desc.errors import CheckpointError
from desc.runs import SoundRecord, resolve_record
from desc.soundgen.checkpoint import SoundCheckpoint
from desc.soundgen.mel_config import MelConfig
from desc.soundgen.settings import UnaganConfig
from desc.soundgen.state_dicts import load_state
from desc.soundgen.unagan import TIME_RATIO, UnaganGenerator, n_vectors

BLOCK = 128  # noise vectors that a block adds: 2,048 frames
OVERLAP = 8  # noise vectors over which a block passes into the next


@dataclass(frozen=True, eq=False)
class MelGenerator:
    """Noise → log mel spectrogram.

    Attributes
    ----------
    name : str
        Run id, as it stands in names of files.
    mel : MelConfig
        What its spectrograms mean.
    network : UnaganGenerator
        Makes standardised spectrograms.
    mean, scale : Tensor, (n_mels, 1)
        Undo the standardisation.
    gain : float
        What the recordings were multiplied by; sound made of the spectrograms is divided by it.
    """

    name: str
    mel: MelConfig
    network: UnaganGenerator
    mean: Tensor
    scale: Tensor
    gain: float

    @classmethod
    def from_run(
        cls, run_id: str, run_config: RunConfig | None = None, *, note: Note | None = None
    ) -> MelGenerator:
        """Find a generator by its run id, the path of its run or of a checkpoint of this program.

        Raises
        ------
        RunNotFoundError
            If no place has the run.
        CheckpointError
            If what is there is no generator of spectrograms.
        """
        path = Path(run_id).expanduser()
        if path.is_file() and path.name != "run.json":
            return cls.from_checkpoint(path, path.stem)
        record = resolve_record(SoundRecord, run_id, run_config, note=note)
        return cls.from_checkpoint(record.checkpoint(), record.run_id)

    @classmethod
    def from_checkpoint(cls, path: Path, name: str) -> MelGenerator:
        """Read a checkpoint of `desc generate train-unagan`."""
        stored = SoundCheckpoint.load(path)
        if not isinstance(stored.model, UnaganConfig):
            raise CheckpointError(f"{path}: a vocoder ({stored.generator}), no UnaGAN")
        network = UnaganGenerator(stored.mel.n_mels, stored.model.z_dim, stored.model.width)
        load_state(network, stored.state, path)
        mean, scale = (stored.arrays[n][:, None] for n in ("mean", "scale"))
        return cls(name, stored.mel, network.eval(), mean, scale, stored.gain)

    @torch.no_grad()
    def blocks(self, n_frames: int, seed: int) -> Iterator[Tensor]:
        """Make a spectrogram piece by piece: memory does not grow with its length.

        Consecutive blocks share noise vectors, and pass into one another where they do.

        Parameters
        ----------
        n_frames : int
            Of the whole spectrogram.
        seed : int
            The same seed makes the same spectrogram.

        Yields
        ------
        Tensor, (n_mels, T)
            In all `n_frames` frames.
        """
        random = torch.Generator().manual_seed(seed)
        n = n_vectors(n_frames)
        z = torch.randn(1, self.network.z_dim, n, generator=random)
        fade = torch.linspace(0, 1, OVERLAP * TIME_RATIO)
        held: Tensor | None = None
        left = n_frames
        for first in range(0, max(1, n - OVERLAP), BLOCK):
            last = n if first + BLOCK + OVERLAP >= n else first + BLOCK + OVERLAP
            states = self.network.draw_states(1, random)
            made = self.network(z[..., first:last], states)[0] * self.scale + self.mean
            if held is not None:
                width = len(fade)
                joined = held * (1 - fade) + made[:, :width] * fade
                made = torch.cat([joined, made[:, width:]], 1)
            if last < n:
                held = made[:, BLOCK * TIME_RATIO :]
                made = made[:, : BLOCK * TIME_RATIO]
            yield made[:, :left]
            left -= made.shape[1]
