"""Fixtures for all tests: seeded randomness, synthetic sounds, real recordings."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

if TYPE_CHECKING:
    from tests.browser import Browser
    from tests.small_run import SmallRun

# Before torch loads: one thread for each process of tests, and for those that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# librosa's compiled functions in a cache per process: two that fill one at once may crash.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
NUMBA_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "numba" / WORKER
os.environ.setdefault("NUMBA_CACHE_DIR", str(NUMBA_CACHE))
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job
    signal.signal(signal.SIGINT, signal.default_int_handler)
Signal = npt.NDArray[np.float32]


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of random numbers with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's number of threads during a test."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real recordings next to the repository; without it, tests are skipped."""
    folder = Path(__file__).resolve().parents[1] / ".." / "shared" / "audio"
    if not (folder / "recordings").is_dir():
        pytest.skip("needs the real recordings of ../shared/audio")
    return folder.resolve()


@pytest.fixture(scope="session")
def make_signal() -> Callable[..., Signal]:
    """make_signal(kind, duration_s, sample_rate=44100, *, frequency, seed) -> (S,) float32."""

    def make(
        kind: str = "tone",
        duration_s: float = 1.0,
        sample_rate: int = 44100,
        *,
        frequency: float = 440.0,
        seed: int = 0,
    ) -> Signal:
        t = np.arange(round(duration_s * sample_rate)) / sample_rate
        random = np.random.default_rng(seed)
        if kind == "tone":
            x = 0.5 * np.sin(2 * np.pi * frequency * t)
        elif kind == "noise":
            x = 0.1 * random.standard_normal(len(t))
        elif kind == "chirp":  # from `frequency` up three octaves
            octaves = 3 / max(duration_s, 1e-9)
            x = 0.5 * np.sin(2 * np.pi * frequency * (2 ** (octaves * t) - 1) / octaves / np.log(2))
        elif kind == "silence":
            x = np.zeros(len(t))
        elif kind == "notes":  # a new pitch with a decay four times a second
            step = np.floor(t * 4).astype(int)
            pitch = random.integers(45, 80, step.max(initial=0) + 1)[step]
            phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / sample_rate
            decay = np.exp(-6 * (t - step / 4))
            x = 0.2 * decay * sum(np.sin(k * phase) / k for k in range(1, 6))
            x = x + 0.002 * random.standard_normal(len(t))
        else:
            raise ValueError(f"kind={kind!r} must be tone, noise, chirp, silence or notes")
        return np.asarray(x, np.float32)

    return make


@pytest.fixture(scope="session")
def small_run(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., Signal]
) -> SmallRun:
    """A tiny LSTM trained on three short recordings, and held-out ones."""
    from tests.small_run import make_small_run

    return make_small_run(tmp_path_factory.mktemp("small_run"), make_signal)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; tests that need it are skipped where there is none."""
    from tests.browser import VARIABLE, Browser, find_chromium

    program = find_chromium()
    if program is None:
        pytest.skip(f"needs Chromium: install it, or name it in {VARIABLE}")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def make_wav(tmp_path: Path, make_signal: Callable[..., Signal]) -> Callable[..., Path]:
    """make_wav(name, audio=(S,) or (C, S), sample_rate, subtype) -> path below tmp_path.

    Without `audio` the other keywords go to `make_signal`. The suffix decides the format.
    """

    def make(
        name: str = "sound.wav",
        audio: npt.ArrayLike | None = None,
        sample_rate: int = 44100,
        *,
        subtype: str | None = None,
        **signal: object,
    ) -> Path:
        import soundfile

        x = make_signal(sample_rate=sample_rate, **signal) if audio is None else np.asarray(audio)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, x.T, sample_rate, subtype)
        return path

    return make
