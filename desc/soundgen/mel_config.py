"""`MelConfig`: everything that decides what a mel spectrogram means."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from desc.configuration import check, check_integer, check_number, option
from desc.errors import CheckpointError

LOG_BASES = ("10", "e")
MEL_PRESETS: dict[str, dict[str, int]] = {
    "compatible": {"sample_rate": 44100, "n_fft": 1024, "hop_length": 256, "n_mels": 80},
    "recommended": {"sample_rate": 44100, "n_fft": 2048, "hop_length": 512, "n_mels": 128},
}
"""compatible: MelGAN's windows, at 44.1 kHz; recommended for new runs at that rate: half the
frames, and the bass resolved better."""


@dataclass(frozen=True)
class MelConfig:
    """Everything that decides what a mel spectrogram means; stored in every checkpoint.

    The defaults are those of MelGAN (Kumar et al. 2019), at 44.1 kHz; see `MEL_PRESETS`.
    """

    sample_rate: int = option(44100, "rate of the sound", unit="Hz", aliases=("sampling_rate",))
    n_fft: int = option(1024, "length of the analysis window", unit="samples")
    hop_length: int = option(256, "distance between two frames", unit="samples")
    n_mels: int = option(80, "mel bands", aliases=("n_mel_channels", "feat_dim"))
    fmin: float = option(0.0, "lower end of the bands", unit="Hz")
    fmax: float | None = option(
        None, "upper end of the bands (default: half the rate)", unit="Hz", kind=float
    )
    log_base: str = option("10", "base of the logarithm: 10, or e as HiFi-GAN", choices=LOG_BASES)

    def __post_init__(self) -> None:
        check_integer("sample_rate", self.sample_rate, 1000)
        for name in ("n_fft", "hop_length", "n_mels"):
            check_integer(name, getattr(self, name), 1)
        fits = self.n_fft >= self.hop_length and (self.n_fft - self.hop_length) % 2 == 0
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
        """Samples reflected at either end, so that S samples give S // hop_length frames."""
        return (self.n_fft - self.hop_length) // 2


def check_same_mel(one: MelConfig, other: MelConfig, names: tuple[str, str]) -> None:
    """Refuse two networks that mean different things by a mel spectrogram.

    The base of the logarithm may differ: `convert_log` passes from one to the other exactly.

    Raises
    ------
    CheckpointError
        Naming each setting that differs, with both values.
    """
    differing = [
        f"{field.name} {getattr(one, field.name)} and {getattr(other, field.name)}"
        for field in dataclasses.fields(one)
        if field.name != "log_base" and _meant(one, field.name) != _meant(other, field.name)
    ]
    if differing:
        raise CheckpointError(
            f"{names[0]} and {names[1]} do not fit together: they have {'; '.join(differing)}"
        )


def _meant(config: MelConfig, name: str) -> object:
    if name == "fmax" and config.fmax is None:
        return config.sample_rate / 2
    return getattr(config, name)
