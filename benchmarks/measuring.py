"""Measurements shared by the benchmarks: CPU seconds and peak memory with one thread; inputs.

Importing it limits libraries to one thread: those loaded before, those loaded later, and those of
processes started later.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from desc.descriptors.config import DescriptorConfig

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB")
os.environ.update({f"{library}_NUM_THREADS": "1" for library in LIBRARIES})
threadpool_limits(1)

Values = npt.NDArray[np.float32]
Work = Callable[[], object]

LONG_S = 1.0
"""Work that takes longer is measured once."""


def cpu_s() -> float:
    """Return the CPU seconds of this process so far, and of the processes it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def least_cpu_s(works: Mapping[str, Work], repeats: int = 3) -> dict[str, float]:
    """Return the least CPU seconds of each; they take turns, so that all see the same machine."""
    least: dict[str, float] = {}
    for _ in range(repeats):
        for name, work in works.items():
            if least.get(name, 0.0) > LONG_S:
                continue
            began = cpu_s()
            work()
            least[name] = min(least.get(name, math.inf), cpu_s() - began)
    return least


def peak_mib() -> float:
    """Return the largest memory so far of this process, or of one that it has waited for, in MiB.

    `ru_maxrss` of a process on Linux begins at the memory of its parent, `VmHWM` does not.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        import psutil

        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss) / 2**20
    import resource  # noqa: TID251

    line = next(x for x in status.read_text("utf-8").splitlines() if x.startswith("VmHWM"))
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(int(line.split()[1]), children) / 1024


def measured_apart(script: str, *words: str) -> Any:
    """Run a script in a process of its own; return the JSON value in the last line it prints."""
    command = [sys.executable, script, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def moving(n: int, config: DescriptorConfig, seed: int) -> Values:
    """Return descriptors (n, D) that stay near those before them."""
    from scipy.signal import lfilter

    from desc.descriptors.standardizer import from_unbounded

    noise = np.random.default_rng(seed).standard_normal((n, config.n_columns), np.float32)
    values = lfilter([0.44], [1, -0.9], noise, axis=0)
    return from_unbounded(values, config.spaces).astype(np.float32)


def write_chords(path: Path, sample_rate: int, subtype: str, duration_s: float) -> None:
    """Write stereo chords that change every second, over noise, so that codecs have work to do."""
    import soundfile

    rng = np.random.default_rng(0)
    t = np.arange(sample_rate) / sample_rate
    with soundfile.SoundFile(path, "w", sample_rate, 2, subtype) as file:
        for _ in range(round(duration_s)):
            second = 0.02 * rng.standard_normal((sample_rate, 2))
            for pitch in rng.integers(40, 84, 4):
                tone = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * t) * np.exp(-3 * t)
                second += 0.15 * tone[:, None] * rng.uniform(0.3, 1, 2)
            file.write(second.astype(np.float32))


def sgemm(m: int, n: int, k: int, times: int = 1) -> Work:
    """Multiply (m, k) by (k, n) in single precision, several times."""
    a, b = (np.ones(shape, np.float32) for shape in ((m, k), (k, n)))
    out = np.empty((m, n), np.float32)

    def work() -> None:
        for _ in range(times):
            np.matmul(a, b, out=out)

    return work


def weights_times(n_weights: int, n_frames: int, times: int) -> Work:
    """Multiply all weights of a network with frames, as one square matrix."""
    side = round(n_weights**0.5)
    return sgemm(n_frames, side, side, times)


def n_weights(network: Any) -> int:
    """Return the number of weights of a torch network that inputs are multiplied with."""
    return sum(p.numel() for p in network.parameters() if p.ndim > 1)
