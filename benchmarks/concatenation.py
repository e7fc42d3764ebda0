"""Rendering, compared with soundfile and librosa.load opened per segment, in one run.

    python benchmarks/concatenation.py                       # 2,000 frames of 20 stereo WAV files
    python benchmarks/concatenation.py --frames_per_unit 3   # units of another mean length
    python benchmarks/concatenation.py --subtype FLOAT --channels mono

One thread, CPU seconds. Ours is `desc.concatenation.render` from the playlist to the finished file.
The baselines read the same segments, fade and add them in the same way and write the same format
with soundfile. Files are in the system's cache, and their digests in the manifest, as after
extraction. Beam search gives units of about 8 frames, nearest rows of 1.2. Only ours aligns the
units at joins; the second line is ours without that.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import Values, Work, least_cpu_s

from desc import audio
from desc.concatenation import Playlist, PlaylistEvent, render_to_file
from desc.concatenation.joins import rising_gains, spans
from desc.configuration import SUBTYPES, RenderConfig
from desc.storage import DescriptorStore

RATE, HOP = 44100, 1024


def make_files(folder: Path, n_files: int, duration_s: float) -> list[str]:
    """Write stereo noise, 16 bit."""
    rng = np.random.default_rng(0)
    names = [f"{i}.wav" for i in range(n_files)]
    for name in names:
        samples = 0.1 * rng.standard_normal((2, round(duration_s * RATE)), np.float32)
        audio.write(folder / name, samples, RATE, "PCM_16")
    return names


def make_playlist(names: list[str], n_frames: int, frames_per_unit: float, n_rows: int) -> Playlist:
    """Return units of random places, geometric in length."""
    rng = np.random.default_rng(1)
    events, done = [], 0
    while done < n_frames:
        length = min(int(rng.geometric(1 / frames_per_unit)), n_frames - done)
        start = int(rng.integers(n_rows)) * HOP - HOP // 2
        events.append(PlaylistEvent(str(rng.choice(names)), start, length * HOP, done * HOP))
        done += length
    return Playlist(tuple(events), RATE).with_crossfade(10)


def unaligned(playlist: Playlist) -> Playlist:
    """Return a playlist without alignment: that needs fades of equal length."""
    events = [replace(event, fade_in_ms=0.99 * event.fade_in_ms) for event in playlist.events]
    return replace(playlist, events=tuple(events))


def by_segment(
    playlist: Playlist, path: Path, subtype: str, read: Callable[[str, int, int], Values]
) -> None:
    """Render with a function that returns the samples (n, 2) of one segment."""
    import soundfile

    mix = np.zeros((playlist.n_samples + 2 * HOP, 2), np.float32)
    for span in spans(playlist):
        start = span.event.start_sample + span.first - span.event.onset_sample
        n_samples = span.stop - span.first
        inside = read(span.event.source, max(start, 0), n_samples + min(start, 0))
        samples = np.zeros((n_samples, 2), np.float32)
        samples[max(-start, 0) :][: len(inside)] = inside
        n_in, n_out = span.fade_in.n_samples, span.fade_out.n_samples
        samples[:n_in] *= rising_gains(n_in, "power")
        samples[len(samples) - n_out :] *= rising_gains(n_out, "power")[::-1]
        first = max(span.first, 0)
        mix[first : first + len(samples)] += samples
    soundfile.write(path, mix[: playlist.n_samples], RATE, subtype)


def peers(playlist: Playlist, folder: Path, subtype: str) -> dict[str, Work]:
    """Return other ways to render a playlist of files in a folder, by name."""
    import librosa
    import soundfile

    def opened(source: str, start: int, n: int) -> Values:
        with soundfile.SoundFile(folder / source) as file:
            file.seek(min(start, file.frames))
            return file.read(n, dtype="float32", always_2d=True)

    def loaded(source: str, start: int, n: int) -> Values:
        samples, _ = librosa.load(
            folder / source, sr=RATE, mono=False, offset=start / RATE, duration=n / RATE
        )
        return samples.T[:n]

    out = folder / "peer.wav"
    return {
        "soundfile opened per segment": lambda: by_segment(playlist, out, subtype, opened),
        "librosa.load per segment": lambda: by_segment(playlist, out, subtype, loaded),
    }


def rendering(playlist: Playlist, folder: Path, config: RenderConfig) -> Work:
    """Return ours."""
    store, out = DescriptorStore(folder / "cache"), folder / "out.wav"
    return lambda: render_to_file(
        playlist, out, source_root=folder, store=store, rendering=config, allow_long=True
    )


def compare(folder: Path, playlist: Playlist, config: RenderConfig, repeats: int) -> None:
    """Print the times of ours and of the peers."""
    ours = "desc.render_to_file"
    ways = {ours: rendering(playlist, folder, config)}
    ways["the same, no alignment"] = rendering(unaligned(playlist), folder, config)
    ways |= peers(playlist, folder, config.subtype)
    times = least_cpu_s(ways, repeats + 1)  # the first finds an empty cache
    n_frames = playlist.n_samples / HOP
    print(f"{n_frames:.0f} frames in {len(playlist.events)} units, {config.subtype}, one thread\n")
    print("".ljust(32) + "  CPU s  µs/unit  × real time  / ours")
    for name, duration in times.items():
        per_unit = 1e6 * duration / len(playlist.events)
        speed = playlist.n_samples / RATE / duration
        print(
            f"{name:32}{duration:7.3f} {per_unit:8.0f} {speed:12.0f} {duration / times[ours]:7.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--frames_per_unit", type=float, nargs="+", default=[8.0, 1.2])
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--duration_s", type=float, default=60.0)
    parser.add_argument("--subtype", choices=SUBTYPES, default="PCM_24")
    parser.add_argument("--channels", default="source")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = make_files(folder, args.files, args.duration_s)
        n_rows = round(args.duration_s * RATE) // HOP
        config = RenderConfig(subtype=args.subtype, channels=args.channels)
        for frames_per_unit in args.frames_per_unit:
            playlist = make_playlist(names, args.frames, frames_per_unit, n_rows)
            compare(folder, playlist, config, args.repeats)


if __name__ == "__main__":
    main()
