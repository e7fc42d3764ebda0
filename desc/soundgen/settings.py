"""Settings of the mel spectrogram, the networks, their training and generation.

Defaults are those of the papers; `presets` has smaller ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from desc.configuration import (
    HardwareConfig,
    check,
    check_choice,
    check_integer,
    check_number,
    option,
)

VOCODERS = ("melgan", "vocos")
PRECISIONS = ("32-true", "bf16-mixed")  # one loss scale does not serve several optimizers
RATIOS = {256: (8, 8, 2, 2), 512: (8, 8, 4, 2)}
"""Hop length → default upsampling factors of MelGAN."""
LOG_BASES = ("10", "e")


def _changed(cls: type, name: str, default: Any) -> Any:
    """Return a field of another class with another default."""
    metadata = next(f.metadata for f in fields(cls) if f.name == name)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class MelConfig:
    """Settings of the mel front end; stored in every checkpoint.

    Defaults are those of MelGAN (Kumar et al. 2019), at 44.1 kHz; see `MEL_PRESETS`.
    """

    sample_rate: int = option(44100, "sample rate", unit="Hz", aliases=("sampling_rate",))
    n_fft: int = option(1024, "length of the analysis window", unit="samples")
    hop_length: int = option(256, "hop between frames", unit="samples")
    n_mels: int = option(80, "number of mel bands", aliases=("n_mel_channels", "feat_dim"))
    fmin: float = option(0.0, "lowest frequency of the bands", unit="Hz")
    fmax: float | None = option(
        None,
        "highest frequency of the bands (default: half the sample rate)",
        unit="Hz",
        kind=float,
    )
    log_base: str = option("10", "base of the logarithm; HiFi-GAN uses e", choices=LOG_BASES)

    def __post_init__(self) -> None:
        check_integer("sample_rate", self.sample_rate, 1000, 1_000_000)
        check_integer("n_fft", self.n_fft, 1, 65_536)
        check_integer("hop_length", self.hop_length, 1, 65_536)
        check_integer("n_mels", self.n_mels, 1, 2048)
        fits = self.n_fft > self.hop_length and (self.n_fft - self.hop_length) % 2 == 0
        rule = f"exceed hop_length={self.hop_length} by an even number"
        check(fits and self.n_fft % 2 == 0, "n_fft", self.n_fft, rule)
        check_number("fmin", self.fmin, 0.0, self.sample_rate / 2)
        if self.fmax is not None:
            check_number("fmax", self.fmax, self.fmin + 1, self.sample_rate / 2)
        check(self.log_base in LOG_BASES, "log_base", self.log_base, "be 10 or e")

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def margin(self) -> int:
        """Samples of reflection padding at either end: S samples give S // hop_length frames."""
        return (self.n_fft - self.hop_length) // 2

    @property
    def summary(self) -> str:
        """The settings in a few words."""
        return f"{self.n_mels} mel bands, hop {self.hop_length} at {self.sample_rate} Hz"


@dataclass(frozen=True)
class VocoderConfig:
    """Sizes of a vocoder and of its discriminators."""

    vocoder: str = option("melgan", "architecture", choices=VOCODERS)
    ngf: int = option(32, "melgan: channels of the last stage")
    n_residual_layers: int = option(3, "melgan: residual blocks per stage")
    ratios: tuple[int, ...] = option(
        RATIOS[256], "melgan: upsampling factors; their product is hop_length (512: 8 8 4 2)"
    )
    pad_mode: str = option("reflect", "melgan: padding", choices=("reflect", "replicate"))
    gru: bool = option(False, "melgan: add a GRU after the first layer, as in UnaGAN's vocoder")
    dim: int = option(512, "vocos: channels")
    intermediate_dim: int = option(1536, "vocos: hidden units per block")
    num_layers: int = option(8, "vocos: number of blocks")
    num_D: int = option(3, "number of discriminator scales")  # noqa: N815
    ndf: int = option(16, "channels of the first discriminator layer")
    n_layers_D: int = option(4, "number of strided layers per discriminator")  # noqa: N815
    downsamp_factor: int = option(4, "stride of the discriminator layers")

    def __post_init__(self) -> None:
        check_choice("vocoder", self.vocoder, VOCODERS)
        for name in ("ngf", "dim", "intermediate_dim", "num_layers", "num_D", "n_layers_D"):
            check_integer(name, getattr(self, name), 1)
        check_integer("n_residual_layers", self.n_residual_layers, 0)
        check(bool(self.ratios), "ratios", self.ratios, "not be empty")
        for ratio in self.ratios:
            check_integer("ratios", ratio, 1)
        check_choice("pad_mode", self.pad_mode, ("reflect", "replicate"))
        check_integer("ndf", self.ndf, 4)
        check(self.ndf % 4 == 0, "ndf", self.ndf, "be a multiple of 4")
        check_integer("downsamp_factor", self.downsamp_factor, 2)


@dataclass(frozen=True)
class UnaganConfig:
    """Sizes of UnaGAN."""

    z_dim: int = option(20, "size of a noise vector")
    width: int = option(512, "channels of the generator, discriminator and encoder")
    cycle: bool = option(True, "train an encoder for the cycle loss noise → mel → noise")

    def __post_init__(self) -> None:
        check_integer("z_dim", self.z_dim, 1)
        check_integer("width", self.width, 4)
        check(self.width % 4 == 0, "width", self.width, "be a multiple of 4")


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the flow."""

    n_components: int = option(48, "number of principal components per frame")
    width: int = option(256, "channels")
    num_layers: int = option(12, "number of blocks")
    flow_steps: int = option(8, "integration steps from noise to spectrogram")

    def __post_init__(self) -> None:
        for name in ("n_components", "width", "num_layers"):
            check_integer(name, getattr(self, name), 1, 8192)
        check_integer("flow_steps", self.flow_steps, 1, 1000)


MelModelConfig = UnaganConfig | FlowConfig


@dataclass(frozen=True)
class SoundTraining(HardwareConfig):
    """Settings shared by all trainings of sound generation."""

    precision: str = option("32-true", "32-true or bf16-mixed", choices=PRECISIONS)

    learning_rate: float = option(1e-4, "learning rate", aliases=("init_lr",))
    schedule: str = option(
        "constant",
        "learning rate schedule: constant, or cosine decay to a twentieth",
        choices=("constant", "cosine"),
    )
    batch_size: int = option(16, "crops per step")
    epochs: int = option(
        3000,
        "number of epochs; the crops of an epoch add up to the length of the recordings",
        aliases=("num_epochs",),
    )
    steps: int | None = option(None, "number of training steps, instead of epochs", kind=int)
    max_time_s: float | None = option(None, "time limit of training", unit="seconds", kind=float)
    log_interval: int = option(100, "interval between rows of metrics.csv", unit="steps")
    save_interval: int = option(
        1000,
        "interval between validations, each followed by a checkpoint",
        unit="steps",
        aliases=("save_rate",),
    )
    ema_decay: float = option(
        0.0,
        "decay per step of the running average (EMA) of the generator's weights, "
        "which is saved; 0: no average",
        unit="0 to 1",
    )
    max_grad_norm: float = option(0.0, "maximum gradient norm; 0: no limit")
    validation_share: float = option(
        0.1,
        "share of the recordings held out for validation; 0: validate on training crops",
        unit="0 to 1",
    )
    seed: int = option(0, "random seed")
    from_run: str | None = option(
        None,
        "start a new run from the best weights of another one",
        metavar="ID",
        kind=str,
        aliases=("load_from_run_id",),
    )
    notes: str = option("", "free text kept with the run", metavar="TEXT")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, PRECISIONS)
        check_number("learning_rate", self.learning_rate, above=0.0)
        check_choice("schedule", self.schedule, ("constant", "cosine"))
        for name in ("batch_size", "epochs", "log_interval", "save_interval"):
            check_integer(name, getattr(self, name), 1)
        if self.steps is not None:
            check_integer("steps", self.steps, 1)
        if self.max_time_s is not None:
            check_number("max_time_s", self.max_time_s, above=0.0)
        check_number("ema_decay", self.ema_decay, 0.0, 0.99999)
        check_number("max_grad_norm", self.max_grad_norm, 0.0)
        check_number("validation_share", self.validation_share, 0.0, 0.9)
        check_integer("seed", self.seed, 0)


@dataclass(frozen=True)
class VocoderTraining(SoundTraining):
    """Settings of the training of a vocoder."""

    seq_len: int = option(8192, "length of a crop", unit="samples")
    lambda_feat: float = option(10.0, "weight of the feature matching loss")
    lambda_mel: float = option(
        0.0, "weight of the L1 distance between log mel spectrograms, base e"
    )
    lambda_stft: float = option(0.0, "weight of the multi-resolution STFT loss")
    discriminator_from: int = option(0, "first step with adversarial losses")
    level_jitter: float = option(
        0.3, "lowest random gain of a training crop; 1: no level augmentation", unit="0 to 1"
    )
    n_test_samples: int = option(8, "number of validation clips")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("seq_len", self.seq_len, 2048)  # the longest window of the losses
        for name in ("lambda_feat", "lambda_mel", "lambda_stft"):
            check_number(name, getattr(self, name), 0.0)
        check_integer("discriminator_from", self.discriminator_from, 0)
        check_number("level_jitter", self.level_jitter, 0.01, 1.0)
        check_integer("n_test_samples", self.n_test_samples, 1)


@dataclass(frozen=True)
class MelTraining(SoundTraining):
    """Settings shared by the trainings of all mel generators."""

    batch_size: int = _changed(SoundTraining, "batch_size", 5)
    seq_frames: int = option(864, "length of a crop", unit="frames")
    num_va: int = option(200, "number of validation crops")
    calibrate: bool = option(
        False, "adjust generated spectrograms to the mean and spread of the recordings"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("seq_frames", self.seq_frames, 16)
        check(self.seq_frames % 16 == 0, "seq_frames", self.seq_frames, "be a multiple of 16")
        check_integer("num_va", self.num_va, 1)


@dataclass(frozen=True)
class UnaganTraining(MelTraining):
    """Settings of the training of UnaGAN."""

    max_grad_norm: float = _changed(SoundTraining, "max_grad_norm", 3.0)
    lambda_cycle: float = option(1.0, "weight of the two cycle reconstruction losses")
    lambda_moments: float = option(
        0.0,
        "weight of the differences between generated and real crops in mean, "
        "spread and frame-to-frame change",
    )
    gamma: float = option(1.0, "BEGAN's target ratio of generated to real reconstruction error")
    lambda_k: float = option(0.01, "BEGAN's step size of k")
    init_k: float = option(0.0, "BEGAN's initial k", unit="0 to 1")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("lambda_cycle", "lambda_moments", "gamma", "lambda_k"):
            check_number(name, getattr(self, name), 0.0)
        check_number("init_k", self.init_k, 0.0, 1.0)


@dataclass(frozen=True)
class FlowTraining(MelTraining):
    """Settings of the training of the flow."""

    learning_rate: float = _changed(SoundTraining, "learning_rate", 1e-3)
    schedule: str = _changed(SoundTraining, "schedule", "cosine")
    batch_size: int = _changed(SoundTraining, "batch_size", 16)
    seq_frames: int = _changed(MelTraining, "seq_frames", 256)
    max_grad_norm: float = _changed(SoundTraining, "max_grad_norm", 1.0)
    ema_decay: float = _changed(SoundTraining, "ema_decay", 0.999)
    calibrate: bool = _changed(MelTraining, "calibrate", True)


SUBTYPES = ("PCM_16", "PCM_24", "PCM_32")
"""No float WAVs: libsndfile writes the time of day into them."""


@dataclass(frozen=True)
class GenerateConfig:
    """Number, length, seed and format of generated files."""

    duration_s: float = option(10.0, "length of each file", unit="seconds", aliases=("duration",))
    num_samples: int = option(10, "number of files per pair of generator and vocoder")
    seed: int = option(123, "seed of the first file, incremented for each further file")
    randomize_seed: bool = option(False, "choose the seed at random")
    random_merge_audio: bool = option(
        False, "also write multichannel files, each channel a randomly chosen file"
    )
    channel_per_merge: int = option(3, "channels of a multichannel file")
    num_combine_audio: int = option(3, "number of multichannel files")
    subtype: str = option("PCM_24", "sample format", choices=SUBTYPES)

    def __post_init__(self) -> None:
        check_number("duration_s", self.duration_s, above=0.0)
        for name in ("num_samples", "channel_per_merge", "num_combine_audio"):
            check_integer(name, getattr(self, name), 1)
        check_integer("seed", self.seed, 0)
        check_choice("subtype", self.subtype, SUBTYPES)
