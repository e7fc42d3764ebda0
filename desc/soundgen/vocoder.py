"""`Vocoder`: mel spectrogram → sound, wherever the parameters come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from desc.configuration import RunConfig
from desc.errors import CheckpointError
from desc.runs import SoundRecord, resolve_record
from desc.soundgen.checkpoint import KEY, SoundCheckpoint
from desc.soundgen.griffin_lim import GriffinLim
from desc.soundgen.layers import fold_weights
from desc.soundgen.mel import MelFrontEnd, convert_log
from desc.soundgen.melgan import MelganGenerator
from desc.soundgen.published import load_published, load_state, read_checkpoint
from desc.soundgen.settings import MelConfig, VocoderConfig
from desc.soundgen.vocos import VocosGenerator

BLOCK = 1024  # frames that a block adds
CONTEXT = 24  # frames on either side that are rendered and not used: more than MelGAN hears
# Both are multiples of 8: networks that count frames (vocos) count each block alike.
FADE = 8  # frames over which a block passes into the next
END = 10  # frames rendered behind the end and cut off: networks click where a spectrogram ends


def render_blocks(
    mels: Iterable[Tensor], render: Callable[[Tensor], Tensor], hop_length: int, silence: float
) -> Iterator[Tensor]:
    """Yield the sound of a spectrogram that comes in pieces.

    Parameters
    ----------
    mels : iterable of Tensor, (n_mels, T)
        Consecutive pieces of any length.
    render : callable
        (n_mels, T) → (T · hop_length,)
    hop_length : int
        Samples.
    silence : float
        Value of the bands behind the end.

    Yields
    ------
    Tensor, (S,)
        Consecutive samples, in all those of the frames.
    """
    fade = torch.linspace(0, 1, FADE * hop_length)
    held = torch.zeros(0)  # what the block before has to say about the first frames
    kept: Tensor | None = None  # the context, then what is not rendered yet
    before = 0  # frames of context in `kept`
    for mel in mels:
        kept = mel if kept is None else torch.cat([kept, mel], 1)
        while kept.shape[1] >= before + BLOCK + FADE + CONTEXT:
            whole = render(kept[:, : before + BLOCK + FADE + CONTEXT])
            piece = whole[before * hop_length : (before + BLOCK + FADE) * hop_length]
            piece = _faded(held, piece, fade)
            yield piece[: BLOCK * hop_length]
            held = piece[BLOCK * hop_length :]
            kept = kept[:, before + BLOCK - min(CONTEXT, before + BLOCK) :]
            before = CONTEXT
    if kept is not None and kept.shape[1] > before:
        n_frames = kept.shape[1]
        end = torch.full((len(kept), END), silence, dtype=kept.dtype)
        whole = render(torch.cat([kept, end], 1))
        yield _faded(held, whole[before * hop_length : n_frames * hop_length], fade)


def _faded(held: Tensor, piece: Tensor, fade: Tensor) -> Tensor:
    """Let what was held pass into the beginning of a piece."""
    if not len(held):
        return piece
    n = len(fade)
    return torch.cat([held * (1 - fade) + piece[:n] * fade, piece[n:]])


def create_generator(model: VocoderConfig, mel: MelConfig) -> nn.Module:
    """Return the untrained generator of a vocoder, drawn from torch's random generator.

    Raises
    ------
    CheckpointError
        If the ratios of a MelGAN do not multiply to the hop length.
    """
    if model.vocoder == "vocos":
        return VocosGenerator(
            mel,
            dim=model.dim,
            intermediate_dim=model.intermediate_dim,
            num_layers=model.num_layers,
        )
    network = MelganGenerator(
        mel.n_mels,
        model.ngf,
        model.n_residual_layers,
        model.ratios,
        model.pad_mode,
        gru=model.gru,
    )
    check_ratios(model.ratios, mel)
    return network


def check_ratios(ratios: Iterable[int], mel: MelConfig) -> None:
    """Refuse factors of upsampling whose product is not the hop length."""
    product = 1
    for ratio in ratios:
        product *= ratio
    if product != mel.hop_length:
        raise CheckpointError(
            f"ratios={list(ratios)} make {product} samples of a frame, but "
            f"hop_length={mel.hop_length}"
        )


@dataclass(frozen=True, eq=False)
class Vocoder:
    """Log mel spectrogram → sound.

    Attributes
    ----------
    name : str
        Run id, or name of the file, as it stands in results.
    kind : str
        melgan, vocos, hifigan or griffin_lim.
    mel : MelConfig
        Of the spectrograms it reads.
    network : Module
        (B, n_mels, T) → (B, T · hop_length).
    """

    name: str
    kind: str
    mel: MelConfig
    network: nn.Module

    @classmethod
    def griffin_lim(cls, mel: MelConfig) -> Vocoder:
        """Return the vocoder that needs no training."""
        return cls("griffin_lim", "griffin_lim", mel, GriffinLim(mel))

    @classmethod
    def from_checkpoint(cls, path: Path, name: str = "") -> Vocoder:
        """Read a vocoder of this program, or a published MelGAN or HiFi-GAN generator.

        Raises
        ------
        CheckpointError
            If the file is none of these.
        """
        content = read_checkpoint(path)
        name = name or path.stem
        if KEY not in content:
            kind, mel, network = load_published(content, path)
            return cls(name, kind, mel, fold_weights(network))
        stored = SoundCheckpoint.from_content(content, path)
        if not isinstance(stored.model, VocoderConfig):
            raise CheckpointError(f"{path}: a generator of spectrograms, no vocoder")
        network = create_generator(stored.model, stored.mel)
        load_state(network, stored.state, path)
        return cls(name, stored.generator, stored.mel, fold_weights(network))

    @classmethod
    def from_run(cls, run_id: str, run: RunConfig = RunConfig()) -> Vocoder:
        """Find a vocoder by its run id, or by the path of a run or a published checkpoint.

        Raises
        ------
        RunNotFoundError
            If no place has the run.
        CheckpointError
            If what is there is no vocoder.
        """
        path = Path(run_id).expanduser()
        if path.is_file() and path.name != "run.json":
            return cls.from_checkpoint(path)
        record = resolve_record(SoundRecord, run_id, run)
        return cls.from_checkpoint(record.checkpoint(), record.run_id)

    def render(self, mel: Tensor, config: MelConfig | None = None) -> Tensor:
        """Return the sound (T · hop_length,) of a spectrogram (n_mels, T)."""
        return torch.cat([torch.zeros(0), *self.render_blocks([mel], config)])

    def render_blocks(
        self, mels: Iterable[Tensor], config: MelConfig | None = None
    ) -> Iterator[Tensor]:
        """Turn a spectrogram that comes in pieces into sound that comes in pieces.

        Parameters
        ----------
        mels : iterable of Tensor, (n_mels, T)
            Consecutive frames.
        config : MelConfig, optional
            What the spectrogram means, where it is not the vocoder's own.

        Yields
        ------
        Tensor, (S,)
            In all T · hop_length samples.
        """
        source = config or self.mel
        converted = (convert_log(mel, source, self.mel) for mel in mels)
        silence = MelFrontEnd(self.mel).silence
        return render_blocks(converted, self._forward, self.mel.hop_length, silence)

    @torch.no_grad()
    def _forward(self, mel: Tensor) -> Tensor:
        audio: Tensor = self.network(mel[None])[0]
        return audio
