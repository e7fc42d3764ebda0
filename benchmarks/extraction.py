"""Extraction, compared with librosa: time, memory and largest difference, in one run on one core.

    python benchmarks/extraction.py                        # sounds made here, 10 minutes each
    python benchmarks/extraction.py --duration_s 3600      # an hour
    python benchmarks/extraction.py --folder recordings/   # real files

Each measurement runs in a separate process with one thread, after a warm-up, so the peak memory is
that of one file and one program. Times are CPU times, the minimum of several alternating runs,
because the machine may be shared. The librosa script calls load, feature.mfcc, feature.delta of
both orders and feature.chroma_stft. Times exclude the digest, which has no counterpart in librosa.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measuring import cpu_s, measured_apart, peak_mib, write_chords

FORMATS = {  # name of the file: sample rate, subtype
    "pcm16.wav": (44100, "PCM_16"),
    "pcm24.wav": (44100, "PCM_24"),
    "float.wav": (44100, "FLOAT"),
    "48k.wav": (48000, "PCM_16"),
    "flac.flac": (44100, "PCM_16"),
    "vorbis.ogg": (44100, "VORBIS"),
    "mp3.mp3": (44100, "MPEG_LAYER_III"),
}


def extractor(program: str) -> Callable[[Path], npt.NDArray]:
    """Return the extraction of a file by `desc` or `librosa`."""
    from desc.descriptors.config import DescriptorConfig

    config = DescriptorConfig()

    def ours(file: Path) -> npt.NDArray:
        from desc.descriptors.extraction import extract

        return extract(file, config, digest="").values

    def librosas(file: Path) -> npt.NDArray:
        import librosa

        y, rate = librosa.load(file, sr=config.sample_rate)
        mfcc = librosa.feature.mfcc(
            y=y, sr=rate, n_mfcc=config.n_mfcc, n_fft=config.n_fft, hop_length=config.hop_length
        )
        delta = librosa.feature.delta
        chroma = librosa.feature.chroma_stft(
            y=y, sr=rate, tuning=0.0, n_fft=config.n_fft, hop_length=config.hop_length
        )
        return np.concatenate([mfcc, delta(mfcc), delta(mfcc, order=2), chroma]).T

    return ours if program == "desc" else librosas


def measure(program: str, path: Path, values_path: Path) -> dict[str, float]:
    """Extract one file with one of the two programs; keep the values for the comparison."""
    extract, warm_up = extractor(program), values_path.with_suffix(".wav")
    write_chords(warm_up, 48000, "PCM_16", 2)
    extract(warm_up)
    start = cpu_s()
    values = extract(path)
    seconds = cpu_s() - start
    peak = peak_mib()
    np.save(values_path, values)
    return {"seconds": seconds, "peak_mib": peak}


def compare(path: Path, folder: Path, rounds: int) -> tuple[float, float, float]:
    """Print one row of the table; return the file's length and both times, in seconds."""
    import soundfile

    info = soundfile.info(str(path))
    values = {name: folder / f"{name}.npy" for name in ("desc", "librosa")}
    runs = [
        [
            measured_apart(__file__, "--measure", name, str(path), str(values[name]))
            for name in values
        ]
        for _ in range(rounds)
    ]
    desc, librosa = (
        min(runs_of, key=lambda run: run["seconds"]) for runs_of in zip(*runs, strict=True)
    )
    a, b = np.load(values["desc"]), np.load(values["librosa"])
    difference = (np.abs(a - b).max(0) / b.std(0)).max() if a.shape == b.shape else np.inf
    print(
        f"{path.name[:28]:28} {info.duration:8.0f} {info.duration / desc['seconds']:8.0f} "
        f"{info.duration / librosa['seconds']:8.0f} {librosa['seconds'] / desc['seconds']:7.2f} "
        f"{desc['peak_mib']:8.0f} {librosa['peak_mib']:8.0f} {difference:10.1e}",
        flush=True,
    )
    return info.duration, desc["seconds"], librosa["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="real audio files instead of made ones")
    parser.add_argument("--duration_s", type=float, default=600, help="length of made files")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--rounds", type=int, default=2, help="runs of each, the best counts")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        program, path, values_path = arguments.measure
        print(json.dumps(measure(program, Path(path), Path(values_path))))
        return
    print(
        f"{'':28} {'length':>8} {'desc':>8} {'librosa':>8} {'ratio':>7} {'desc':>8} {'librosa':>8}"
    )
    print(
        f"{'file':28} {'s':>8} {'x real':>8} {'x real':>8} {'':7} {'MiB':>8} {'MiB':>8} "
        f"{'difference/sd':>10}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        totals = []
        if arguments.folder:
            from desc.audio import AUDIO_EXTENSIONS

            files = sorted(p for p in arguments.folder.rglob("*") if p.suffix in AUDIO_EXTENSIONS)
            totals = [compare(path, folder, arguments.rounds) for path in files]
        for file_name in [] if arguments.folder else arguments.formats:
            path = folder / file_name
            write_chords(path, *FORMATS[file_name], arguments.duration_s)
            totals.append(compare(path, folder, arguments.rounds))
            path.unlink()
    length, ours, theirs = (sum(column) for column in zip(*totals, strict=True))
    print(
        f"{'all':28} {length:8.0f} {length / ours:8.0f} {length / theirs:8.0f} {theirs / ours:7.2f}"
    )


if __name__ == "__main__":
    main()
