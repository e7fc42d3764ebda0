"""`MelGenerator`: new mel spectrograms of any length from noise."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from desc.configuration import RunConfig
from desc.errors import CheckpointError
from desc.runs import SoundRecord, resolve_record
from desc.soundgen.checkpoint import KEY, SoundCheckpoint
from desc.soundgen.mel_flow import Components, MelFlow
from desc.soundgen.published import load_published_unagan, load_state, read_checkpoint
from desc.soundgen.settings import FlowConfig, MelConfig, UnaganConfig, VocoderConfig
from desc.soundgen.unagan import TIME_RATIO, UnaganGenerator

BLOCK = 2048  # frames that a block adds
OVERLAP = 128  # frames over which a block passes into the next


class MelSource(ABC):
    """A network that makes standardised spectrograms out of noise, piece by piece.

    Attributes
    ----------
    ratio : int
        Frames per noise vector.
    """

    ratio = 1

    @abstractmethod
    def draw(self, n: int, random: torch.Generator) -> Tensor:
        """Return n noise vectors, (1, C, n)."""

    @abstractmethod
    def make(self, noise: Tensor, random: torch.Generator) -> Tensor:
        """Return a standardised spectrogram (n_mels, n · ratio) for noise (1, C, n)."""


class UnaganSource(MelSource):
    """UnaGAN, which also draws the states its recurrent layers begin with."""

    ratio = TIME_RATIO

    def __init__(self, network: UnaganGenerator) -> None:
        self.network = network.eval()

    def draw(self, n: int, random: torch.Generator) -> Tensor:
        """Return n noise vectors."""
        return torch.randn(1, self.network.z_dim, n, generator=random)

    def make(self, noise: Tensor, random: torch.Generator) -> Tensor:
        """Return a standardised spectrogram."""
        made: Tensor = self.network(noise, self.network.draw_states(1, random))[0]
        return made


class FlowSource(MelSource):
    """The flow, with what its components mean."""

    def __init__(self, network: MelFlow, meaning: Components, n_steps: int) -> None:
        self.network, self.meaning, self.n_steps = network.eval(), meaning, n_steps

    def draw(self, n: int, random: torch.Generator) -> Tensor:
        """Return n noise vectors."""
        return self.network.noise(1, n, random)

    def make(self, noise: Tensor, random: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return a standardised spectrogram."""
        return self.meaning.in_bands(self.network.transport(noise, self.n_steps)[0])


@dataclass(frozen=True, eq=False)
class Bands:
    """What the numbers of a source stand for.

    Attributes
    ----------
    mean, scale : Tensor, (n_mels, 1)
        Of each band, in the logarithms of the front end.
    lowest, highest : Tensor, (n_mels, 1)
        What bands of the recordings range between, and generated ones with them.
    """

    mean: Tensor
    scale: Tensor
    lowest: Tensor
    highest: Tensor

    def of(self, made: Tensor) -> Tensor:
        """Return the log mel spectrogram (n_mels, T) of what a source makes."""
        return (made * self.scale + self.mean).clamp(self.lowest, self.highest)


@dataclass(frozen=True, eq=False)
class MelGenerator:
    """Noise → log mel spectrogram.

    Attributes
    ----------
    name : str
        Run id, as it stands in names of files.
    mel : MelConfig
        What its spectrograms mean.
    source : MelSource
        Makes standardised spectrograms.
    bands : Bands
        What these mean.
    gain : float
        What the recordings were multiplied by; sound made of the spectrograms is divided by it.
    """

    name: str
    mel: MelConfig
    source: MelSource
    bands: Bands
    gain: float

    @classmethod
    def from_run(cls, run_id: str, run: RunConfig = RunConfig()) -> MelGenerator:
        """Find a generator by its run id, or by the path of its run or of a checkpoint.

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
        record = resolve_record(SoundRecord, run_id, run)
        return cls.from_checkpoint(record.checkpoint(), record.run_id)

    @classmethod
    def from_checkpoint(cls, path: Path, name: str) -> MelGenerator:
        """Read a checkpoint of `desc generate train-unagan` or `train-flow`, or a published UnaGAN.

        Published ones were trained on clips at full level each; their sound keeps that level.
        """
        content = read_checkpoint(path)
        if KEY not in content:
            mel, unagan, mean, scale = load_published_unagan(content, path)
            least, most = (torch.full_like(mean, x) for x in (-math.inf, math.inf))
            bands = Bands(*(values[:, None] for values in (mean, scale, least, most)))
            return cls(name, mel, UnaganSource(unagan), bands, 1.0)
        stored = SoundCheckpoint.from_content(content, path)
        if isinstance(stored.model, VocoderConfig):
            raise CheckpointError(f"{path}: a vocoder ({stored.generator}), no UnaGAN")
        names = ("mean", "scale", "lowest", "highest")
        bands = Bands(*(stored.arrays[name][:, None] for name in names))
        return cls(name, stored.mel, _source(stored, path), bands, stored.gain)

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
        ratio = self.source.ratio
        n, step, overlap = -(-n_frames // ratio), BLOCK // ratio, OVERLAP // ratio
        noise = self.source.draw(n, random)
        fade = torch.linspace(0, 1, OVERLAP)
        held: Tensor | None = None
        left = n_frames
        for first in range(0, max(1, n - overlap), step):
            last = n if first + step + overlap >= n else first + step + overlap
            made = self.bands.of(self.source.make(noise[..., first:last], random))
            if held is not None:
                joined = held * (1 - fade) + made[:, :OVERLAP] * fade
                made = torch.cat([joined, made[:, OVERLAP:]], 1)
            if last < n:
                held = made[:, BLOCK:]
                made = made[:, :BLOCK]
            yield made[:, :left]
            left -= made.shape[1]


def _source(stored: SoundCheckpoint, path: Path) -> MelSource:
    """Return the network of a checkpoint, ready to generate."""
    model = stored.model
    if isinstance(model, FlowConfig):
        meaning = Components(*(stored.arrays[name] for name in ("basis", "offset", "level")))
        flow = MelFlow(meaning.basis.shape[1], model.width, model.num_layers)
        load_state(flow, stored.state, path)
        return FlowSource(flow, meaning, model.flow_steps)
    assert isinstance(model, UnaganConfig)  # the caller has refused vocoders
    unagan = UnaganGenerator(stored.mel.n_mels, model.z_dim, model.width)
    load_state(unagan, stored.state, path)
    return UnaganSource(unagan)
