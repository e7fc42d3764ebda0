"""Lightning Fabric: devices, processes and precision of a training."""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from desc.configuration import HardwareConfig
from desc.devices import choose_device, is_first_process, one_thread
from desc.engine.randomness import preserved_randomness
from desc.errors import ConfigurationError, DescError, TrainingInterruptedError

logger = logging.getLogger(__name__)
T = TypeVar("T")
__all__ = ["Fabric", "average_gradients", "create_fabric", "launch", "quiet_fabric", "reduced"]
BACKENDS = ("gloo", "NCCL", "TCPStore")  # named in errors of lost connections
LOGGERS = ("lightning_fabric", "lightning_utilities.core.rank_zero")


@contextmanager
def quiet_fabric() -> Iterator[None]:
    """Silence Fabric's own messages and warnings inside the block."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning_fabric(\..*)?")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def create_fabric(hardware: HardwareConfig) -> Fabric:
    """Return Fabric for the devices, processes and precision of the settings.

    Raises
    ------
    ConfigurationError
        If this machine lacks the accelerator, the devices or the precision.
    """
    device = choose_device(hardware.accelerator)
    names = ("accelerator", "devices", "num_nodes", "strategy", "precision")
    wanted = ", ".join(f"{name}={getattr(hardware, name)!r}" for name in names)
    try:
        with quiet_fabric():
            fabric = Fabric(
                accelerator=device.type,
                devices=hardware.devices,
                num_nodes=hardware.num_nodes,
                strategy=hardware.strategy,
                precision=hardware.precision,  # type: ignore[arg-type]
            )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"{wanted}: not possible on this machine: {error}") from error
    used = fabric.strategy.precision.precision
    if used != hardware.precision:
        raise ConfigurationError(f"{wanted}: not possible on this machine; it would use {used}")
    return fabric


def launch(hardware: HardwareConfig, function: Callable[..., T], *args: Any) -> T:
    """Call `function(*args, fabric)` in every process of a training; return rank 0's result.

    A single device needs no further process. With several, `ddp` runs the program once per process
    (Fabric's script launcher, for the command line, torchrun and Slurm); `ddp_spawn` and `ddp_fork`
    also work for library calls. `auto` means `ddp`, in a notebook `ddp_fork`. A process that waits
    for the others gives up after 30 minutes. Each process uses one thread, and torch's random
    generators are restored at the end.

    Raises
    ------
    DescError
        If another process has ended, or as `function` raises it in the first process.
    """
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

    fabric = create_fabric(hardware)
    n, n_cpus = fabric.world_size, os.cpu_count() or 1
    if n > 1 and is_first_process():
        logger.info("training in %d processes, which start in about half a minute", n)
        if fabric.device.type == "cpu" and n // hardware.num_nodes > n_cpus:
            logger.warning("devices=%s on %d CPUs: training will be slow", hardware.devices, n_cpus)
    try:
        with quiet_fabric():
            result: _Result = fabric.launch(partial(_call, function, *args))
    except (ProcessExitedException, ProcessRaisedException) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DescError(f"a process of the training failed: {reason}") from error
    if result.error is not None:
        raise result.error
    return cast(T, result.value)


class _Result:
    """A value or an error that Fabric does not look into on its way between processes."""

    def __init__(self, value: object = None, error: BaseException | None = None) -> None:
        self.value, self.error = value, error


def _call(function: Callable[..., object], *args: Any) -> _Result:
    try:
        with quiet_fabric(), preserved_randomness(), one_thread():
            args[-1].barrier()  # one that ends at once would end the start of the others
            return _Result(function(*args))
    except (DescError, TrainingInterruptedError) as error:
        return _Result(error=error)
    except RuntimeError as error:
        if not any(name in str(error) for name in BACKENDS):
            raise
        lost = "another process of the training has ended, or does not respond"
        return _Result(error=DescError(f"{lost}; it may have run out of memory"))
    finally:
        if args[-1].world_size > 1:
            atexit.register(_leave_gloo)


def _leave_gloo() -> None:
    """End the threads of gloo; one that outlives Python aborts its process (pytorch #179291)."""
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        torch.distributed.destroy_process_group()


def reduced(fabric: Fabric, value: Tensor, operation: str) -> Tensor:
    """Return the mean, sum or max of a tensor over all processes, without gradient."""
    value = value.detach()
    if fabric.world_size == 1:
        return value
    return cast(Tensor, fabric.all_reduce(value.clone(), reduce_op=operation))


def average_gradients(fabric: Fabric, parameters: Sequence[nn.Parameter]) -> None:
    """Replace gradients by their mean over all processes.

    They are averaged after the backward pass, in one buffer. The hooks of DistributedDataParallel
    do not support adversarial losses, which call a network several times before one backward pass.
    """
    if fabric.world_size == 1:
        return
    present = torch.tensor([float(p.grad is not None) for p in parameters], device=fabric.device)
    used = reduced(fabric, present, "sum").tolist()
    learned = [p for p, n in zip(parameters, used, strict=True) if n]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
    flat = reduced(fabric, torch.cat([g.flatten() for g in gradients]), "mean")
    parts = torch.split(flat, [g.numel() for g in gradients])
    for parameter, gradient, part in zip(learned, gradients, parts, strict=True):
        parameter.grad = gradient.copy_(part.view_as(gradient))
