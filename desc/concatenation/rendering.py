"""A playlist becomes an audio file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from desc.audio import format_of, read_blocks, resampled_length, spooled, write_scaled
from desc.concatenation.mixing import Mixer
from desc.concatenation.playlist import Playlist
from desc.concatenation.sources import Sources
from desc.concatenation.timeline import Span
from desc.configuration import Note, Progress, RenderConfig
from desc.storage import DescriptorStore

Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RenderResult:
    """What was written.

    Attributes
    ----------
    path : Path
        The file.
    n_samples, sample_rate, n_channels : int
        Its length in samples, its rate in Hz and its channels.
    peak : float
        Largest absolute sample before any gain; 1 is full scale.
    gain_db : float
        Gain on the whole file so that it fits the sample format: 0, or negative.
    """

    path: Path
    n_samples: int
    sample_rate: int
    n_channels: int
    peak: float
    gain_db: float


def render(
    playlist: Playlist,
    output_path: str | Path,
    *,
    store: DescriptorStore,
    source_root: str | Path | None = None,
    recording_root: str | Path | None = None,
    config: RenderConfig = RenderConfig(),
    progress: Progress | None = None,
    note: Note | None = None,
) -> RenderResult:
    """Write the sound of a playlist.

    The fades are those of the playlist (`Playlist.with_crossfade` changes them); of the settings
    align_ms, channels, subtype and output_sample_rate are used. Integer formats cannot hold what
    goes beyond full scale, so the whole file is turned down by the gain in the result; FLOAT is
    left as it is.

    Parameters
    ----------
    playlist : Playlist
        What is to be played.
    output_path : path
        The file; it appears when complete.
    store : DescriptorStore
        Keeps sources that had to be decoded or resampled.
    source_root : path, optional
        Folder of the corpus; by default the playlist's own `corpus`.
    recording_root : path, optional
        Folder of the recording; by default the playlist's own `recording`.
    config : RenderConfig, optional
        Settings; by default the defaults.
    progress : callable, optional
        Called with the stage `rendering` and the samples done.
    note : callable, optional
        Told in one line if files are not those that the playlist was made of.

    Raises
    ------
    DescError
        Naming event and source, if a file is missing or cannot be read.
    """
    output_path = Path(output_path)
    format_of(output_path, config.subtype)
    roots = playlist.resolved_roots(source_root, recording_root)
    with Sources(playlist, roots, store) as sources:
        if sources.changed and note is not None:
            path, index = next(iter(sources.changed.items()))
            note(
                f"{len(sources.changed)} source files are not known to be those the playlist was "
                f"made of (the first: {path}, event {index}); they are played as they are"
            )
        n_channels = _n_channels(playlist, sources, config.channels)
        mixer = Mixer(playlist, sources, n_channels, config.align_ms)
        rate = config.output_sample_rate or playlist.sample_rate
        mix = _reported(mixer.blocks(), progress, mixer.n_samples)
        with _at_rate(mix, playlist.sample_rate, rate, mixer.n_channels, output_path) as blocks:
            peak, gain = write_scaled(blocks, output_path, rate, mixer.n_channels, config.subtype)
    n_samples = resampled_length(mixer.n_samples, playlist.sample_rate, rate)
    gain_db = 20 * math.log10(gain)
    return RenderResult(output_path, n_samples, rate, mixer.n_channels, peak, gain_db)


def aligned(
    playlist: Playlist,
    roots: Mapping[str, str | Path],
    store: DescriptorStore,
    config: RenderConfig = RenderConfig(),
) -> list[Span]:
    """Return the events as `render` plays them, shifts and adapted fades included.

    Parameters
    ----------
    playlist : Playlist
        The events.
    roots : mapping of str to path
        Folders that the sources are relative to.
    store : DescriptorStore
        See `render`.
    config : RenderConfig
        align_ms and channels are used.

    Raises
    ------
    DescError
        As `render` does.
    """
    with Sources(playlist, roots, store) as sources:
        n_channels = _n_channels(playlist, sources, config.channels)
        return list(Mixer(playlist, sources, n_channels, config.align_ms).spans)


def _n_channels(playlist: Playlist, sources: Sources, channels: str) -> int:
    fixed = {"mono": 1, "stereo": 2}
    return fixed.get(channels) or max(sources.n_channels(event) for event in playlist.events)


def _reported(
    blocks: Iterator[Audio], progress: Progress | None, n_samples: int
) -> Iterator[Audio]:
    """Yield blocks (n, C) as (C, n), with a report of progress after each."""
    done = 0
    for block in blocks:
        yield block.T
        done += len(block)
        if progress is not None:
            progress("rendering", done, n_samples)


@contextmanager
def _at_rate(
    blocks: Iterator[Audio], rate: int, output_rate: int, n_channels: int, output_path: Path
) -> Iterator[Iterator[Audio]]:
    """Yield the blocks at the output's rate, by way of a temporary file beside the output."""
    if rate == output_rate:
        yield blocks
        return
    with spooled(blocks, output_path, rate, n_channels) as temporary:
        yield read_blocks(temporary, output_rate)
