"""Settings of rendering."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration.fields import check_choice, check_integer, check_number, option

MAX_ALIGN_MS = 100.0
SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "FLOAT")


@dataclass(frozen=True)
class RenderConfig:
    """Settings of rendering a playlist to audio."""

    crossfade_ms: float = option(
        10.0,
        "crossfade length at a jump; the shape adapts to the correlation of the two sounds",
        unit="ms",
        aliases=("crossfade",),
    )
    align_ms: float = option(
        5.0, "maximum shift for aligning the incoming sound at a jump; 0: none", unit="ms"
    )
    channels: str = option(
        "source",
        "source: the largest channel count among the files used; mono; stereo",
        choices=("source", "mono", "stereo"),
    )
    subtype: str = option("PCM_24", "sample format of the WAV", choices=SUBTYPES)
    output_sample_rate: int | None = option(
        None, "sample rate of the WAV (default: the descriptors')", unit="Hz", kind=int
    )
    with_recording_s: float = option(
        0.0, "length of the recording's end to prepend to the continuation", unit="seconds"
    )

    def __post_init__(self) -> None:
        check_number("crossfade_ms", self.crossfade_ms, 0.0, 10000.0)
        check_number("align_ms", self.align_ms, 0.0, MAX_ALIGN_MS)
        check_choice("channels", self.channels, ("source", "mono", "stereo"))
        check_choice("subtype", self.subtype, SUBTYPES)
        if self.output_sample_rate is not None:
            check_integer("output_sample_rate", self.output_sample_rate, 1000)
        check_number("with_recording_s", self.with_recording_s, 0.0)
