"""A stream from file to file: time of a block, load, memory and open files over time.

    python benchmarks/live.py --minutes 10 [--corpus DIR] [--hours 1] [--model TransformerModel]
    python benchmarks/live.py --minutes 120 --every_s 600
    python benchmarks/live.py --minutes 2 --real_time [--block_size 256]

The corpus is the folder, or synthetic notes; it is repeated, each time with other descriptors,
until it lasts `--hours`. The model is untrained, at its default sizes: a trained one takes as long.
Settings change by OSC twice per second of sound, the mode every minute. Times are the processor
times of the thread that makes the blocks. With --real_time blocks come and go in time, as on a
sound card, and those that are late are counted.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import soundfile
import torch
from pythonosc.udp_client import SimpleUDPClient

import desc
from desc.audio import mono_blocks
from desc.database import DescriptorDatabase
from desc.live import Stream
from desc.live.device import SWITCH_S
from desc.live.engine import Engine, delay_of
from desc.live.osc import OscControl
from desc.models import create_model
from desc.models.statistics import fit_statistics

BLOCK = 1024
RATE = 44100
CHANGES = (
    ("temperature", 0.7), ("continuity", 3.0), ("level_db", -6.0), ("style", "granular"),
    ("layers", 2), ("temperature", 1.2), ("style", "loops"), ("layers", 1), ("level_db", 0.0),
    ("files", "*1*"), ("style", "phrases"), ("continuity", 1.0), ("files", "*"), ("jump",),
)  # fmt: skip
MODES = "follow", "continue", "duet"
MODE_S = 60


def notes(seconds: float, seed: int) -> np.ndarray:
    """Decaying notes with a pulse, (S,)."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE), np.float32)
    t = np.arange(RATE) / RATE
    for start in range(0, len(sound), RATE // (2 + seed % 3)):
        tone = np.sin(2 * np.pi * 110 * 2 ** (rng.integers(0, 36) / 12) * t + rng.random())
        tone = tone * np.exp(-t * rng.uniform(3, 12)) + 0.1 * rng.standard_normal(RATE) * np.exp(
            -t * 60
        )
        part = sound[start : start + RATE]
        part += (rng.uniform(0.05, 0.3) * tone[: len(part)]).astype(np.float32)
    return sound


def corpus(
    args: argparse.Namespace, folder: Path, store: desc.DescriptorStore
) -> DescriptorDatabase:
    """The corpus, as long as wanted."""
    config = desc.DescriptorConfig()
    root = Path(args.corpus or folder / "sounds")
    if not args.corpus:
        root.mkdir()
        for i in range(12):
            soundfile.write(root / f"{i}.wav", notes(60.0, i), RATE)
    sequences = list(desc.open_corpus(root, config, store, jobs=1).sequences)
    rng, wanted, more = (
        np.random.default_rng(0),
        args.hours * 3600 * config.frame_rate,
        list(sequences),
    )
    while sum(map(len, more)) < wanted:
        one = sequences[len(more) % len(sequences)]
        moved = np.array(one.values)
        moved[:, config.groups["mfcc"]] += 3 * rng.standard_normal((len(one), config.n_mfcc))
        more.append(replace(one, values=moved))
    return DescriptorDatabase.from_sequences(more, root)


def predictor(name: str, database: DescriptorDatabase) -> desc.Predictor:
    torch.manual_seed(0)
    frames = np.array(database.values[:20000])
    n_samples = len(frames) * BLOCK
    sequence = desc.DescriptorSequence(frames, database.config, "all", "0" * 32, n_samples)
    statistics = fit_statistics([sequence])
    config = desc.ModelConfig(selected_model=name)
    return desc.Predictor.from_model(create_model(config, database.config, statistics))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every_s", type=float, default=60.0, help="seconds of sound per line")
    parser.add_argument("--corpus")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--model", default="TransformerModel")
    parser.add_argument("--mode", choices=(*MODES, "all"), default="all")
    parser.add_argument("--real_time", action="store_true")
    parser.add_argument("--block_size", type=int, default=BLOCK, help="with --real_time")
    args = parser.parse_args()
    process = psutil.Process()
    with TemporaryDirectory() as folder:
        store = desc.DescriptorStore(Path(folder, "cache"))
        database = corpus(args, Path(folder), store)
        started = time.process_time()
        matcher = desc.Matcher(database)
        stream = Stream(predictor(args.model, database), matcher, store=store, mode="follow")
        hours = len(database) / database.config.frame_rate / 3600
        print(
            f"{args.model}, {len(database)} rows ({hours:.2f} h) of {len(database.files)} files; "
            f"prepared in {time.process_time() - started:.1f} s of processor time"
        )
        player = next(mono_blocks(notes(120.0, 99)[:, None], RATE, RATE, 120 * RATE))
        with stream, OscControl(stream) as osc:
            if args.real_time:
                run_in_time(stream, osc, player, args)
            else:
                run(stream, osc, player, args, process)


def counted(n_blocks: int) -> Iterator[int]:
    """Count blocks until Ctrl-C."""
    stopped = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    for k in range(n_blocks):
        if stopped.is_set():
            return
        yield k


def change(client: SimpleUDPClient, k: int, args: argparse.Namespace) -> None:
    """Send the messages that are due before block k of 1,024 samples."""
    modes = MODES if args.mode == "all" else (args.mode,)
    if k % round(0.5 * RATE / BLOCK) == 0:
        name, *values = CHANGES[(k // round(0.5 * RATE / BLOCK)) % len(CHANGES)]
        client.send_message(f"/desc/{name}", values)
    if k % round(MODE_S * RATE / BLOCK) == 0:
        client.send_message("/desc/mode", modes[int(k * BLOCK / RATE // MODE_S) % len(modes)])


def run_in_time(stream, osc, player, args) -> None:
    """Print the number of blocks that were late, in real time, also after Ctrl-C."""
    client, n = SimpleUDPClient("127.0.0.1", osc.port), args.block_size
    sys.setswitchinterval(SWITCH_S)
    with Engine(stream, n) as engine:
        begun, started = time.perf_counter(), time.process_time()
        for k in counted(round(args.minutes * 60 * RATE / n)):
            if k * n % BLOCK < n:
                change(client, k * n // BLOCK, args)
            time.sleep(max(0.0, begun + k * n / RATE - time.perf_counter()))
            at = k * n % (len(player) - n)
            engine.exchange(player[at : at + n].copy(), n)
        sound_s = (k + 1) * n / RATE
        load = (time.process_time() - started) / sound_s
    print(
        f"{engine.figures.underruns} of {k + 1} blocks of {n} samples were late, with a delay of "
        f"{1e3 * delay_of(n) / RATE:.0f} ms; load {load:.1%} of a core; machine's load "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def run(stream, osc, player, args, process) -> None:
    """Print a line for each part of the sound, and one for all, also after Ctrl-C."""
    client = SimpleUDPClient("127.0.0.1", osc.port)
    n_blocks = round(args.minutes * 60 * RATE / BLOCK)
    per_line = max(1, round(args.every_s * RATE / BLOCK))
    n_units = [0]
    stream.watchers.append(lambda one: n_units.__setitem__(0, n_units[0] + one.is_over))
    times, every, worst = np.empty(per_line), np.zeros(2000, np.int64), 0.0
    busy, wall = 0.0, time.perf_counter()
    print("  sound s   median   p95    p99    max ms   load   memory MB  files  units  refused")
    for k in counted(n_blocks):
        seconds = k * BLOCK / RATE
        change(client, k, args)
        at = k * BLOCK % (len(player) - BLOCK)
        block = player[at : at + BLOCK]
        begun = time.thread_time()
        stream.process(block)
        took = 1e3 * (time.thread_time() - begun)
        times[k % per_line] = took
        every[min(len(every) - 1, int(took / 0.05))] += 1
        worst, busy = max(worst, took), busy + took / 1e3
        if (k + 1) % per_line == 0:
            p50, p95, p99 = np.percentile(times, [50, 95, 99])
            gc.collect()
            load = times.sum() / 1e3 / (per_line * BLOCK / RATE)
            memory, files = process.memory_info().rss / 2**20, process.num_fds()
            print(
                f"{seconds:9.0f} {p50:8.2f} {p95:6.2f} {p99:6.2f} {times.max():8.2f} {load:7.1%} "
                f"{memory:10.1f} {files:6d} {n_units[0]:6d} {osc.n_refused:6d}",
                flush=True,
            )
    share = np.cumsum(every) / every.sum()
    p50, p95, p99 = (0.05 * (1 + int(np.searchsorted(share, q))) for q in (0.5, 0.95, 0.99))
    sound_s = every.sum() * BLOCK / RATE
    print(
        f"in all: {sound_s:.0f} s of sound; a block takes {p50:.2f} ms (median), {p95:.2f} (95 %), "
        f"{p99:.2f} (99 %), {worst:.2f} (largest); load {busy / sound_s:.1%} of a core; "
        f"{sound_s / (time.perf_counter() - wall):.1f} times real time, machine's load "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
