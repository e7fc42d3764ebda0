"""Stems: the mix taken apart into WAV files, by layer and by source file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from desc.audio import AudioWriter
from desc.concatenation.joins import Span
from desc.playlist_formats.arrangement import Arrangement
from desc.playlist_formats.media import collected_names

FORMAT = "FLOAT"


def write(arrangement: Arrangement, path: Path) -> int:
    """Write a folder with a WAV per layer (`layers/`) and per source file (`sources/`).

    All are as long as the mix, begin with it, and hold floats without a gain. The sum of the layers
    is the mix, and so is the sum of the sources.
    """
    names = collected_names(arrangement)

    def source(span: Span) -> str:
        name = names[arrangement.path(span.event)]
        return name if name.lower().endswith(".wav") else f"{name}.wav"

    _write_each(arrangement, path / "layers", lambda span: f"layer {span.event.layer}.wav")
    _write_each(arrangement, path / "sources", source)
    return len(arrangement.spans)


def _write_each(arrangement: Arrangement, folder: Path, name_of: Callable[[Span], str]) -> None:
    """Write a WAV for each name, with the units of that name."""
    mixer, rate = arrangement.mixer, arrangement.playlist.sample_rate
    assert mixer is not None  # stems are `as_played`
    units: dict[str, list[Span]] = {}
    for span in mixer.spans:
        units.setdefault(name_of(span), []).append(span)
    for name, spans in units.items():
        with AudioWriter(folder / name, rate, mixer.n_channels, FORMAT) as writer:
            for block in mixer.blocks(spans):
                writer.write(block.T)
