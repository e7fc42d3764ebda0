"""Random generators: seeds of single steps, and torch's global state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def derived_seed(*key: int) -> int:
    """Return a 63-bit seed derived from integers ≥ 0 (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def step_generator(seed: int, attempt: int, step: int, rank: int = 0) -> torch.Generator:
    """Return the random generator of a step, unique to step, attempt and process."""
    return torch.Generator().manual_seed(derived_seed(seed, rank, attempt, step))


def random_state() -> dict[str, Tensor]:
    """Return the states of torch's global generators in use, by device type."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_state(states: Mapping[str, Tensor]) -> None:
    """Restore a `random_state`, ignoring devices that this machine lacks."""
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"].cpu())


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Restore torch's global generators at the end of the block."""
    states = random_state()
    try:
        yield
    finally:
        restore_random_state(states)
