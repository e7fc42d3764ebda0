"""`Vocoder`: mel spectrogram → samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from desc.audio import Audio
from desc.configuration import RunConfig
from desc.errors import CheckpointError
from desc.models.checkpoint_file import read_checkpoint, reading
from desc.soundgen.checkpoint import KEY, SoundCheckpoint, find_checkpoint
from desc.soundgen.griffin_lim import GriffinLim
from desc.soundgen.layers import fold_weights
from desc.soundgen.mel import MelFrontEnd, convert_log
from desc.soundgen.melgan import MelganGenerator
from desc.soundgen.published import load_published, load_state
from desc.soundgen.settings import MelConfig, VocoderConfig
from desc.soundgen.vocos import VocosGenerator

BLOCK = 1024  # frames that a block adds
CONTEXT = 24  # least frames rendered on either side and dropped: more than HiFi-GAN's reach
MULTIPLE = 8  # of both: networks that count frames (vocos) count each block alike
FADE = 8  # frames of the crossfade between two blocks
END = 10  # frames of silence appended and cut off: networks click where a spectrogram ends


@dataclass(frozen=True, eq=False, repr=False)
class Vocoder:
    """Turns log mel spectrograms into samples.

    ```python
    vocoder = desc.Vocoder.from_run("9w3bq2ze")
    samples = vocoder(mel)  # (n_mels, T) → (T · hop_length,)
    ```

    Attributes
    ----------
    name : str
        Run id, or name of the checkpoint file.
    kind : str
        melgan, vocos, hifigan or griffin_lim.
    mel : MelConfig
        Front end of the spectrograms it reads.
    network : Module
        (B, n_mels, T) → (B, T · hop_length).
    """

    name: str
    kind: str
    mel: MelConfig
    network: nn.Module

    def __repr__(self) -> str:
        return f"Vocoder({self.name!r}, {self.kind}: {self.mel.summary})"

    @classmethod
    def griffin_lim(cls, mel: MelConfig) -> Vocoder:
        """Return the vocoder that needs no training."""
        return cls("griffin_lim", "griffin_lim", mel, GriffinLim(mel))

    @classmethod
    def from_checkpoint(cls, path: Path, name: str = "") -> Vocoder:
        """Load a checkpoint of `desc generate train-vocoder`, or a published MelGAN or HiFi-GAN.

        Raises
        ------
        CheckpointError
            If the file is none of these.
        """
        content = read_checkpoint(path)
        name = name or path.stem
        with reading(path):
            if KEY not in content:
                kind, mel, network = load_published(content, path)
                return cls(name, kind, mel, fold_weights(network))
            stored = SoundCheckpoint.from_content(content, path)
            if not isinstance(stored.model, VocoderConfig):
                kind = stored.generator
                raise CheckpointError(f"{path}: a mel generator ({kind}), not a vocoder")
            network = create_generator(stored.model, stored.mel)
            load_state(network, stored.state, path)
            return cls(name, stored.generator, stored.mel, fold_weights(network))

    @classmethod
    def from_run(cls, run_id: str, run: RunConfig = RunConfig(project="melgan")) -> Vocoder:
        """Load a vocoder by run id, by the folder of a run, or by the path of a checkpoint.

        Raises
        ------
        RunNotFoundError
            If the run is not found.
        CheckpointError
            If it is not a vocoder.
        """
        return cls.from_checkpoint(*find_checkpoint(run_id, run))

    def __call__(self, mel: Audio, config: MelConfig | None = None) -> Audio:
        """Return the samples of a log mel spectrogram.

        Parameters
        ----------
        mel : ndarray of float32, (n_mels, T)
        config : MelConfig, optional
            Front end of the spectrogram; by default the vocoder's own.

        Returns
        -------
        ndarray of float32, (T · hop_length,)
            Mono, full scale 1.
        """
        pieces = self.render_blocks([torch.as_tensor(mel, dtype=torch.float32)], config)
        return np.concatenate([np.zeros(0, np.float32), *(piece.numpy() for piece in pieces)])

    def render_blocks(
        self, mels: Iterable[Tensor], config: MelConfig | None = None
    ) -> Iterator[Tensor]:
        """Render consecutive pieces of a spectrogram: memory does not grow with its length.

        Parameters
        ----------
        mels : iterable of Tensor, (n_mels, T)
        config : MelConfig, optional
            Front end of the spectrogram; by default the vocoder's own.

        Yields
        ------
        Tensor, (S,)
            Consecutive samples, T · hop_length in all.
        """
        source = config or self.mel
        converted = (convert_log(mel, source, self.mel) for mel in mels)
        silence = MelFrontEnd(self.mel).silence
        reach = int(getattr(self.network, "reach", 0))
        return render_blocks(converted, self._forward, self.mel.hop_length, silence, reach)

    @torch.no_grad()
    def _forward(self, mel: Tensor) -> Tensor:
        return self.network(mel[None])[0]


def create_generator(model: VocoderConfig, mel: MelConfig) -> nn.Module:
    """Return an untrained vocoder network, initialised from torch's random generator.

    Raises
    ------
    CheckpointError
        If the product of a MelGAN's ratios is not the hop length.
    """
    if model.vocoder == "vocos":
        return VocosGenerator(mel, model.dim, model.intermediate_dim, model.num_layers)
    ratios = model.ratios
    network = MelganGenerator(
        mel.n_mels, model.ngf, model.n_residual_layers, ratios, model.pad_mode, gru=model.gru
    )
    if math.prod(ratios) != mel.hop_length:
        raise CheckpointError(
            f"ratios={list(ratios)} multiply to {math.prod(ratios)}, must be "
            f"hop_length={mel.hop_length}"
        )
    return network


def render_blocks(
    mels: Iterable[Tensor],
    render: Callable[[Tensor], Tensor],
    hop_length: int,
    silence: float,
    reach: int = 0,
) -> Iterator[Tensor]:
    """Render a spectrogram in overlapping blocks with crossfades.

    Parameters
    ----------
    mels : iterable of Tensor, (n_mels, T)
        Consecutive pieces of any length.
    render : callable
        (n_mels, T) → (T · hop_length,)
    hop_length : int
        Samples.
    silence : float
        Value of the bands after the end.
    reach : int
        Frames on either side that a frame's samples depend on.

    Yields
    ------
    Tensor, (S,)
        Consecutive samples, T · hop_length in all.
    """
    fade = torch.linspace(0, 1, FADE * hop_length)
    context = max(CONTEXT, -(-reach // MULTIPLE) * MULTIPLE)
    tail = torch.zeros(0)  # end of the previous block, faded into the next
    kept: Tensor | None = None  # context, then frames that are not rendered yet
    before = 0  # frames of context in `kept`
    for mel in mels:
        kept = mel if kept is None else torch.cat([kept, mel], 1)
        while kept.shape[1] >= before + BLOCK + FADE + context:
            whole = render(kept[:, : before + BLOCK + FADE + context])
            piece = whole[before * hop_length : (before + BLOCK + FADE) * hop_length]
            piece = _crossfaded(tail, piece, fade)
            yield piece[: BLOCK * hop_length]
            tail = piece[BLOCK * hop_length :]
            first = max(0, before + BLOCK - context)
            kept, before = kept[:, first:], before + BLOCK - first
    if kept is not None and kept.shape[1] > before:
        n_frames = kept.shape[1]
        end = torch.full((len(kept), END), silence, dtype=kept.dtype)
        whole = render(torch.cat([kept, end], 1))
        yield _crossfaded(tail, whole[before * hop_length : n_frames * hop_length], fade)


def _crossfaded(tail: Tensor, piece: Tensor, fade: Tensor) -> Tensor:
    if not len(tail):
        return piece
    n = len(fade)
    return torch.cat([tail * (1 - fade) + piece[:n] * fade, piece[n:]])
