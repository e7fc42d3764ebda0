"""Rendering: a playlist becomes sound, in memory or in a file."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from desc.audio import (
    Audio,
    AudioClip,
    check_space,
    encoding_of,
    resampled_blocks,
    resampled_length,
    write_scaled,
)
from desc.concatenation.looping import Loop
from desc.concatenation.mastering import Leveller, high_passed
from desc.concatenation.mixing import Mixer, Sources
from desc.concatenation.playlist import Playlist
from desc.configuration import MasterConfig, RenderConfig, check_type
from desc.errors import ConfigurationError
from desc.progress import report
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

LONGEST_H = 6.0
"""Length of a playlist beyond which it must be allowed: an edited number is wrong more often."""
LONGEST_TRANSPOSED_H = 1.0
"""Length of a transposed event, which is kept in memory."""
NOTED = 5
"""Events that are named in the log; more are counted."""


@dataclass(frozen=True)
class RenderResult:
    """A rendered file.

    Attributes
    ----------
    path : Path
        The file.
    n_samples, sample_rate, n_channels : int
        Its length in samples, its rate in Hz and its channels.
    peak : float
        Largest absolute sample before any gain; 1 is full scale.
    gain_db : float
        Gain on the whole file, so that it fits the sample format, or has the loudness wanted.
    loudness : float or None
        Integrated loudness of the file in LUFS, if one was wanted.
    """

    path: Path
    n_samples: int
    sample_rate: int
    n_channels: int
    peak: float
    gain_db: float
    loudness: float | None = None


def render(
    playlist: Playlist,
    *,
    store: DescriptorStore | None = None,
    rendering: RenderConfig = RenderConfig(),
    source_root: str | Path | None = None,
    recording_root: str | Path | None = None,
    allow_long: bool = False,
) -> AudioClip:
    """Return the sound of a playlist, in memory.

    The fades are those of the playlist; `Playlist.with_crossfade` changes them.

    Parameters
    ----------
    playlist : Playlist
        The events to play.
    store : DescriptorStore, optional
        Keeps sources that must be decoded or resampled; by default the default cache.
    rendering : RenderConfig
        `align_ms`, `channels` and `output_sample_rate` are used. Samples are float32 and may
        exceed full scale.
    source_root : path, optional
        Folder of the corpus; by default the playlist's own `corpus`.
    recording_root : path, optional
        Folder of the recording; by default the playlist's own `recording`.
    allow_long : bool
        Whether the result may be longer than 6 hours.

    Raises
    ------
    DescError
        If a file is missing or cannot be read (the message names event and source), or the playlist
        is too long.
    """
    with open_mixer(
        playlist,
        store=store,
        rendering=rendering,
        source_root=source_root,
        recording_root=recording_root,
        allow_long=allow_long,
    ) as mixer:
        rate = rendering.output_sample_rate or playlist.sample_rate
        n_samples = resampled_length(mixer.n_samples, playlist.sample_rate, rate)
        samples = np.empty((n_samples, mixer.n_channels), np.float32)
        position = 0
        for block in _blocks(mixer, playlist.sample_rate, rate):
            samples[position : position + len(block)] = block
            position += len(block)
    return AudioClip(samples, rate)


def render_to_file(
    playlist: Playlist,
    path: str | Path,
    *,
    store: DescriptorStore | None = None,
    rendering: RenderConfig = RenderConfig(),
    mastering: MasterConfig = MasterConfig(),
    source_root: str | Path | None = None,
    recording_root: str | Path | None = None,
    allow_long: bool = False,
) -> RenderResult:
    """Write the sound of a playlist to a file, block by block.

    Integer formats cannot hold samples beyond full scale: the whole file is turned down to fit, by
    the gain in the result. FLOAT is left as it is.

    Parameters
    ----------
    playlist, store, source_root, recording_root, allow_long
        As for `render`.
    path : path
        The file; it appears when it is complete. The ending decides its kind: .wav, .flac, .aiff,
        .ogg, .opus, .mp3 …
    rendering : RenderConfig
        As for `render`; `subtype` is the sample format where the kind leaves a choice.
    mastering : MasterConfig
        Loudness, high-pass filter, loop.

    Raises
    ------
    DescError
        As for `render`, or if the file cannot be written, or is larger than the free space.
    """
    path = Path(path)
    _check_length(playlist, allow_long)
    own_rate = playlist.sample_rate
    wanted = rendering.output_sample_rate or own_rate
    subtype, rate = encoding_of(path, rendering.subtype, wanted)
    if mastering.loop and rate != own_rate:
        raise ConfigurationError(
            f"loop=True must keep the sample rate of the playlist, {own_rate} Hz, not {rate} Hz"
        )
    check_space(path, resampled_length(playlist.n_samples, own_rate, rate), 1, subtype)
    with open_mixer(
        playlist,
        store=store,
        rendering=rendering,
        source_root=source_root,
        recording_root=recording_root,
        allow_long=allow_long,
    ) as mixer:
        mix: Mixer | Loop = mixer
        if mastering.loop:
            mix = Loop(playlist, mixer, rendering.crossfade_ms, rendering.align_ms)
        n_samples = resampled_length(mix.n_samples, own_rate, rate)
        check_space(path, n_samples, mix.n_channels, subtype)
        blocks = _blocks(mix, own_rate, rate)
        if mastering.high_pass_hz:
            blocks = _filtered(mix, blocks, mastering, rate)
        leveller = None
        if mastering.loudness is not None:
            leveller = Leveller(mastering.loudness, rate, mix.n_channels)
            blocks = leveller.heard(blocks)
        gain_of = leveller.gain if leveller else None
        turned = (block.T for block in blocks)
        peak, gain = write_scaled(turned, path, rate, mix.n_channels, subtype, gain_of=gain_of)
    loudness = leveller.loudness(gain) if leveller else None
    gain_db = 20 * math.log10(gain)
    return RenderResult(path, n_samples, rate, mix.n_channels, peak, gain_db, loudness)


def _filtered(
    mix: Mixer | Loop, blocks: Iterator[Audio], mastering: MasterConfig, rate: int
) -> Iterator[Audio]:
    """Yield blocks through the high-pass; of a loop the second time around, without a seam."""
    if not mastering.loop:
        return high_passed(blocks, mastering.high_pass_hz, rate)
    twice = high_passed(chain(mix.blocks(), blocks), mastering.high_pass_hz, rate)
    return _after(twice, mix.n_samples)


def _after(blocks: Iterator[Audio], n_samples: int) -> Iterator[Audio]:
    """Yield blocks without their first samples."""
    for block in blocks:
        if len(block) > n_samples:
            yield block[n_samples:]
        n_samples = max(n_samples - len(block), 0)


def _check_length(playlist: Playlist, allow_long: bool) -> None:
    """Refuse a playlist or an event whose length would fill the memory or the disk."""
    remedy = "match.playlist is one, Playlist.load(path) reads one"
    check_type("playlist", playlist, Playlist, remedy)
    rate, events = playlist.sample_rate, playlist.events
    hours = playlist.n_samples / rate / 3600
    if hours > LONGEST_H and not allow_long:
        last = max(range(len(events)), key=lambda index: events[index].end_sample)
        raise ConfigurationError(
            f"event {last + 1}: onset_sample={events[last].onset_sample} and "
            f"n_samples={events[last].n_samples} make the playlist {hours:.1f} hours long, which "
            f"must be at most {LONGEST_H:g}; if that is meant, give --allow_long (allow_long=True)"
        )
    for index, event in enumerate(events):
        n_read = event.n_samples * max(1.0, 2 ** (event.transpose_semitones / 12))
        if event.transpose_semitones and n_read / rate / 3600 > LONGEST_TRANSPOSED_H:
            raise ConfigurationError(
                f"event {index + 1}: n_samples={event.n_samples} at transpose_semitones="
                f"{event.transpose_semitones} must play at most {LONGEST_TRANSPOSED_H:g} hour of "
                "its file"
            )


@contextmanager
def open_mixer(
    playlist: Playlist,
    *,
    store: DescriptorStore | None = None,
    rendering: RenderConfig = RenderConfig(),
    source_root: str | Path | None = None,
    recording_root: str | Path | None = None,
    allow_long: bool = False,
) -> Iterator[Mixer]:
    """Open the sources of a playlist for mixing; log what is strange about them and the events.

    Use it in a `with` statement. The parameters and errors are those of `render`.
    """
    _check_length(playlist, allow_long)
    roots = playlist.resolved_roots(source_root, recording_root)
    with Sources(playlist, roots, store or DescriptorStore()) as sources:
        for path, index in list(sources.changed.items())[:1]:
            logger.warning(
                "%d source files have changed since the playlist was made (the first: %s, "
                "event %d); they are played in their current state",
                len(sources.changed),
                path,
                index + 1,
            )
        _note_strange(playlist, sources)
        fixed = {"mono": 1, "stereo": 2}.get(rendering.channels)
        n_channels = fixed or max(sources.n_channels(event) for event in playlist.events)
        yield Mixer.of(playlist, sources, n_channels, rendering.align_ms)


def _note_strange(playlist: Playlist, sources: Sources) -> None:
    """Log events that play silence, fades longer than their events, and layers without events."""
    for index in sources.beyond[:NOTED]:
        event = playlist.events[index]
        logger.warning(
            "event %d: start_sample=%d lies beyond the end of %s; the event is silent",
            index + 1,
            event.start_sample,
            event.source,
        )
    if len(sources.beyond) > NOTED:
        logger.warning("… and so do those of %d more events", len(sources.beyond) - NOTED)
    rate = playlist.sample_rate
    cut = [
        index
        for index, event in enumerate(playlist.events)
        if max(event.fade_in_ms, event.fade_out_ms) * rate / 1000 > event.n_samples
    ]
    if cut:
        logger.warning(
            "%d fades are longer than their events (the first: event %d) and are shortened",
            len(cut),
            cut[0] + 1,
        )
    layers = sorted({event.layer for event in playlist.events})
    if layers != list(range(len(layers))):
        listed = ", ".join(map(str, layers[:10])) + (", …" if len(layers) > 10 else "")
        logger.warning("layers are counted from 0 without gaps, but there are %s", listed)


def _blocks(mixer: Mixer | Loop, rate: int, output_rate: int) -> Iterator[Audio]:
    """Yield the mix (n, C) at the output's rate, and report the progress."""

    def reported() -> Iterator[Audio]:
        done = 0
        for block in mixer.blocks():
            yield block
            done += len(block)
            report("rendering", done, mixer.n_samples)

    return resampled_blocks(reported(), rate, output_rate, mixer.n_channels)
