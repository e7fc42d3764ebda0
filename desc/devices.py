"""Devices and threads of torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from desc.configuration import check_choice
from desc.errors import ConfigurationError

if TYPE_CHECKING:
    import torch

ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
RANK_VARIABLES = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
"""Set by torchrun, Slurm and Fabric; each is 0 in the first process."""


def choose_device(accelerator: str) -> torch.device:
    """Return the device of an accelerator name; `auto` prefers cuda, then mps, then cpu.

    Raises
    ------
    ConfigurationError
        If the name is unknown or this machine has no such device.
    """
    import torch

    check_choice("accelerator", accelerator, ACCELERATORS)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    available["cpu"] = True
    names = {"auto": ("cuda", "mps", "cpu"), "gpu": ("cuda", "mps")}.get(
        accelerator, (accelerator,)
    )
    for name in names:
        if available[name]:
            return torch.device(name)
    raise ConfigurationError(f"accelerator={accelerator!r}: this machine has no such device")


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread inside the block, then restore the previous number.

    A step of a small network is too short to share between threads, and with one thread sums are
    always added up in the same order.
    """
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a block in which no operation is cast to fewer bits.

    Where none is anyway, entering torch's own block would take a twentieth of a predicted frame.
    """
    import torch

    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def is_first_process() -> bool:
    """Return whether this process writes files and messages (rank 0, or the only process)."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)
