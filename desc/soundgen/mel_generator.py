"""`MelGenerator`: noise → new mel spectrograms of any length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from desc.audio import Audio
from desc.configuration import RunConfig
from desc.errors import CheckpointError
from desc.models.checkpoint_file import read_checkpoint, reading
from desc.soundgen.checkpoint import KEY, SoundCheckpoint, find_checkpoint
from desc.soundgen.mel_flow import COLOUR, Components, MelFlow
from desc.soundgen.published import load_published_unagan, load_state
from desc.soundgen.settings import FlowConfig, MelConfig, UnaganConfig
from desc.soundgen.unagan import TIME_RATIO, UnaganGenerator

BLOCK = 2048  # frames that a block adds
OVERLAP = 128  # frames of the crossfade between two blocks


class UnaganSource:
    """UnaGAN as a source of standardised spectrograms.

    Attributes
    ----------
    ratio : int
        Frames per noise vector.
    """

    ratio = TIME_RATIO

    def __init__(self, network: UnaganGenerator) -> None:
        self.network = network.eval()

    def draws(self, sizes: Iterable[int], random: torch.Generator) -> Iterator[Tensor]:
        """Draw consecutive blocks of noise vectors, (1, z_dim, n) for each size n."""
        for n in sizes:
            yield torch.randn(1, self.network.z_dim, n, generator=random)

    def make(self, noise: Tensor, random: torch.Generator) -> Tensor:
        """Return a standardised spectrogram (n_mels, 16 · n); also draws the GRUs' first states."""
        return self.network(noise, self.network.draw_states(1, random))[0]


class FlowSource:
    """The flow as a source of standardised spectrograms; one noise vector per frame."""

    ratio = 1

    def __init__(self, network: MelFlow, components: Components, n_steps: int) -> None:
        self.network, self.components, self.n_steps = network.eval(), components, n_steps

    def draws(self, sizes: Iterable[int], random: torch.Generator) -> Iterator[Tensor]:
        """Draw consecutive blocks of noise vectors, (1, n_components, n) for each size n."""
        white, n_before = torch.zeros(1, self.network.n_components, 0), COLOUR - 1
        for n in sizes:
            drawn = torch.randn(1, self.network.n_components, n_before + n, generator=random)
            white, n_before = torch.cat([white[..., 1 - COLOUR :], drawn], 2), 0
            yield self.network.coloured(white)

    def make(self, noise: Tensor, random: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return a standardised spectrogram, (n_mels, n)."""
        return self.components.in_bands(self.network.transport(noise, self.n_steps)[0])


@dataclass(frozen=True, eq=False)
class Bands:
    """Statistics of the mel bands of the recordings, each (n_mels, 1), log scale.

    Attributes
    ----------
    mean, scale : Tensor
        Undo the standardisation.
    lowest, highest : Tensor
        Range of each band; generated bands are clamped to it.
    """

    mean: Tensor
    scale: Tensor
    lowest: Tensor
    highest: Tensor

    def of(self, standardised: Tensor) -> Tensor:
        """Return the log mel spectrogram (n_mels, T) of a standardised one."""
        return (standardised * self.scale + self.mean).clamp(self.lowest, self.highest)


@dataclass(frozen=True, eq=False, repr=False)
class MelGenerator:
    """Makes new log mel spectrograms out of noise.

    ```python
    generator = desc.MelGenerator.from_run("4kx0a7cd")
    mel = generator.generate(frames=860, seed=1)  # (n_mels, 860)
    samples = desc.Vocoder.griffin_lim(generator.mel)(mel) / generator.gain
    ```

    Attributes
    ----------
    name : str
        Run id, or name of the checkpoint file.
    mel : MelConfig
        Front end of its spectrograms.
    source : UnaganSource or FlowSource
        Makes standardised spectrograms.
    bands : Bands
        Statistics that undo the standardisation.
    gain : float
        Factor by which the recordings were multiplied; divide rendered samples by it.
    """

    name: str
    mel: MelConfig
    source: UnaganSource | FlowSource
    bands: Bands
    gain: float

    def __repr__(self) -> str:
        kind = "unagan" if isinstance(self.source, UnaganSource) else "flow"
        return f"MelGenerator({self.name!r}, {kind}: {self.mel.summary})"

    @classmethod
    def from_run(cls, run_id: str, run: RunConfig = RunConfig(project="unagan")) -> MelGenerator:
        """Load a generator by run id, by the folder of a run, or by the path of a checkpoint.

        Raises
        ------
        RunNotFoundError
            If the run is not found.
        CheckpointError
            If it is not a mel generator.
        """
        return cls.from_checkpoint(*find_checkpoint(run_id, run))

    @classmethod
    def from_checkpoint(cls, path: Path, name: str) -> MelGenerator:
        """Load a checkpoint of `desc generate train-unagan` or `train-flow`, or a published UnaGAN.

        Published ones were trained on clips normalised one by one; their gain is 1.
        """
        content = read_checkpoint(path)
        with reading(path):
            if KEY not in content:
                mel, unagan, mean, scale = load_published_unagan(content, path)
                least, most = (torch.full_like(mean, x) for x in (-math.inf, math.inf))
                bands = Bands(*(values[:, None] for values in (mean, scale, least, most)))
                return cls(name, mel, UnaganSource(unagan), bands, 1.0)
            stored = SoundCheckpoint.from_content(content, path)
            source = _source(stored, path)
            names, n = ("mean", "scale", "lowest", "highest"), stored.mel.n_mels
            bands = Bands(*(stored.arrays[name].reshape(n, 1) for name in names))
            return cls(name, stored.mel, source, bands, stored.gain)

    def generate(self, frames: int, seed: int = 0) -> Audio:
        """Return a new log mel spectrogram.

        Parameters
        ----------
        frames : int
            Length; `mel.frame_rate` frames are a second.
        seed : int
            The same seed gives the same spectrogram.

        Returns
        -------
        ndarray of float32, (n_mels, frames)
        """
        return np.concatenate([block.numpy() for block in self.blocks(frames, seed)], 1)

    @torch.no_grad()
    def blocks(self, frames: int, seed: int) -> Iterator[Tensor]:
        """Generate a spectrogram block by block: memory does not grow with its length.

        Consecutive blocks share noise vectors and are crossfaded where they do.

        Yields
        ------
        Tensor, (n_mels, T)
            `frames` frames in all.
        """
        random = torch.Generator().manual_seed(seed)
        ratio = self.source.ratio
        n, step, overlap = -(-frames // ratio), BLOCK // ratio, OVERLAP // ratio
        ends = [min(n, first + step + overlap) for first in range(0, max(1, n - overlap), step)]
        fade = torch.linspace(0, 1, OVERLAP)
        noise, tail = torch.zeros(0), None
        left = frames
        sizes = (end - before for before, end in pairwise([0, *ends]))
        for last, drawn in zip(ends, self.source.draws(sizes, random), strict=True):
            noise = drawn if tail is None else torch.cat([noise[..., -overlap:], drawn], 2)
            made = self.bands.of(self.source.make(noise, random))
            if tail is not None:
                joined = tail * (1 - fade) + made[:, :OVERLAP] * fade
                made = torch.cat([joined, made[:, OVERLAP:]], 1)
            if last < n:
                tail = made[:, BLOCK:]
                made = made[:, :BLOCK]
            yield made[:, :left]
            left -= made.shape[1]


def _source(stored: SoundCheckpoint, path: Path) -> UnaganSource | FlowSource:
    """Return the trained network of a checkpoint.

    Raises
    ------
    CheckpointError
        If it is a vocoder.
    """
    model = stored.model
    if isinstance(model, FlowConfig):
        basis, offset, level = (stored.arrays[name] for name in ("basis", "offset", "level"))
        n = basis.shape[1]
        components = Components(
            basis.reshape(stored.mel.n_mels, n), offset.expand(n, 1), level.reshape(n, 1)
        )
        flow = MelFlow(n, model.width, model.num_layers)
        load_state(flow, stored.state, path)
        return FlowSource(flow, components, model.flow_steps)
    if isinstance(model, UnaganConfig):
        unagan = UnaganGenerator(stored.mel.n_mels, model.z_dim, model.width)
        load_state(unagan, stored.state, path)
        return UnaganSource(unagan)
    raise CheckpointError(f"{path}: a vocoder ({stored.generator}), not a mel generator")
