"""The whole job, compared with a straightforward script on the same predicted descriptors.

The baseline extracts with librosa, matches with torch.cdist and reads each segment with soundfile.
Both start with an empty cache. Prints seconds and ratios.

    python benchmarks/end_to_end.py --folder large_folder/ --steps 430
"""

from __future__ import annotations

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch

import desc
from desc.demo.corpus import write_corpus

HOP = 1024


def peer_extract(paths: list[Path]) -> list[np.ndarray]:
    found = []
    for path in paths:
        audio, rate = librosa.load(path, sr=44100)
        mfcc = librosa.feature.mfcc(y=audio, sr=rate, n_mfcc=13, hop_length=HOP)
        deltas = [librosa.feature.delta(mfcc, order=order) for order in (1, 2)]
        found.append(np.concatenate([mfcc, *deltas]).T)
    return found


def peer_match(queries: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    rows = np.concatenate(blocks)
    mean, scale = rows.mean(0), rows.std(0)
    a, b = (torch.from_numpy(((x - mean) / scale).astype(np.float32)) for x in (queries, rows))
    return torch.cdist(a, b).argmin(1).numpy()


def peer_concatenate(
    rows: np.ndarray, paths: list[Path], blocks: list[np.ndarray], output: Path
) -> None:
    file_index = np.repeat(np.arange(len(paths)), [len(block) for block in blocks])
    frames = np.concatenate([np.arange(len(block)) for block in blocks])
    pieces = []
    for row in rows:
        start = max(0, frames[row] * HOP - HOP // 2)
        path = paths[file_index[row]]
        rate = soundfile.info(path).samplerate
        first, count = (round(n * rate / 44100) for n in (start, HOP))
        piece, _ = soundfile.read(path, count, first, always_2d=True, fill_value=0.0)
        pieces.append(piece.mean(1))
    soundfile.write(output, np.concatenate(pieces), 44100, "PCM_24")


def timed(label: str, action: Callable[[], object], times: dict[str, float]) -> object:
    start = time.perf_counter()
    result = action()
    times[label] = time.perf_counter() - start
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="sounds to match [default: the demo corpus]")
    parser.add_argument("--steps", type=int, default=430, help="frames to predict")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of the model used")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_corpus(work, 0)
        sounds = args.folder or work / "database"
        store = desc.DescriptorStore(work / "cache")
        config = desc.DescriptorConfig()
        recordings = desc.open_corpus(work / "recordings", config, store, jobs=1)
        record = desc.train(
            recordings,
            training=desc.TrainConfig(epochs=args.epochs),
            run=desc.RunConfig(str(work / "experiments"), offline=True),
        )
        predictor = desc.Predictor.from_run(record)
        ours: dict[str, float] = {}
        peer: dict[str, float] = {}
        sequence = recordings.sequences[0]
        prediction = timed("predict", lambda: predictor.predict(sequence, frames=args.steps), ours)
        corpus = timed("extract", lambda: desc.open_corpus(sounds, config, store, jobs=1), ours)
        database = desc.DescriptorDatabase.from_corpus(corpus, store)
        nearest = desc.SelectionConfig("nearest")  # as the peer does
        matcher = desc.Matcher(database, predictor.standardizer, selection=nearest)
        match = timed("query", lambda: matcher.match(prediction.values), ours)
        timed(
            "render",
            lambda: desc.render_to_file(match.playlist, work / "ours.wav", store=store),
            ours,
        )

        paths = [corpus.path(s.source) for s in corpus.sequences]
        blocks = timed("extract", lambda: peer_extract(paths), peer)
        rows = timed("query", lambda: peer_match(prediction.values, blocks), peer)
        timed("render", lambda: peer_concatenate(rows, paths, blocks, work / "peer.wav"), peer)

        print(f"{corpus.duration_s / 60:.1f} min of sounds, {args.steps} frames, one thread\n")
        print(f"{'stage':10}{'ours s':>10}{'peer s':>10}{'ours/peer':>12}")
        for stage in ("predict", "extract", "query", "render"):
            other = peer.get(stage)
            tail = f"{other:10.3f}{ours[stage] / other:12.2f}" if other else ""
            print(f"{stage:10}{ours[stage]:10.3f}{tail}")
        total, other = sum(ours.values()) - ours["predict"], sum(peer.values())
        print(f"{'all but predict':10}{total:5.3f}{other:10.3f}{total / other:12.2f}")


if __name__ == "__main__":
    main()
