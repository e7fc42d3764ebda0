"""Work on a Dask cluster: the connection, and calls of a function on its workers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import desc
from desc.errors import DescError
from desc.files import temporary_beside

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")

START_S = 30.0  # to wait for the scheduler, and for its first worker


@contextmanager
def dask_cluster(scheduler: str, shared: Path) -> Iterator[None]:
    """Do the work inside the block on the workers of a Dask scheduler.

    Parameters
    ----------
    scheduler : str
        Address, such as `tcp://192.168.0.5:8786`.
    shared : Path
        Folder that this machine and the workers share, such as the cache. It is looked for on the
        workers that are there at the start.

    Raises
    ------
    DescError
        If Dask is not installed, scheduler or workers do not answer within 30 s, the folder
        cannot be written, or a worker has another version of this package or another folder.
    """
    try:
        import joblib
        from distributed import Client
    except ImportError as error:
        command = "python -m pip install distributed"
        message = f"backend='dask' needs Dask, which is not installed: {command}"
        raise DescError(message) from error
    with _quiet_dask():
        try:
            client = Client(scheduler, timeout=START_S)
        except (OSError, ValueError) as error:
            raise DescError(f"scheduler={scheduler!r} does not answer: {error}") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=START_S)
            except TimeoutError as error:
                start = f"dask worker {scheduler} --nthreads 1"
                raise DescError(f"scheduler={scheduler!r} has no workers: {start}") from error
            _check_workers(client, shared)
            with joblib.parallel_config("dask", client=client):
                yield


@contextmanager
def _quiet_dask() -> Iterator[None]:
    """Silence what Dask logs about lost connections, tracebacks included: errors are raised."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def active_cluster() -> Client | None:
    """Return the cluster of `dask_cluster`, or of `joblib.parallel_config("dask")`, if any."""
    if "distributed" not in sys.modules:
        return None
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    client: Client | None = getattr(backend, "client", None)
    return client


def call_on_workers(
    client: Client, function: Callable[[T], R], items: Sequence[T]
) -> Iterator[tuple[T, R | None]]:
    """Yield each item and what `function` returns for it on a worker, as they are finished.

    An item whose worker dies goes to another one. After four workers (Dask's `allowed-failures`)
    it is given up, and its value is None.

    Raises
    ------
    DescError
        If the scheduler is lost. Errors of `function` are raised as they are.
    """
    from distributed import KilledWorker, as_completed

    futures = client.map(function, items, pure=False)
    item_of = {future.key: item for future, item in zip(futures, items, strict=True)}
    try:
        for future, value in as_completed(futures, with_results=True, raise_errors=False):
            if future.status == "finished":
                yield item_of[future.key], value
            elif future.status != "error":
                raise DescError(
                    "Dask's scheduler is gone; what is done is kept: run the command again"
                )
            elif isinstance(error := future.exception(), KilledWorker):
                yield item_of[future.key], None
            else:
                raise error
    finally:
        client.cancel(futures)


def _check_workers(client: Client, shared: Path) -> None:
    """Refuse workers with another version of this package or another shared folder.

    Those that join later are not checked.
    """
    mark = temporary_beside(shared / "cluster")
    try:
        shared.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise DescError(f"{shared}: cannot be written: {error.strerror or error}") from error
    try:
        answers = client.run(_look, str(mark), on_error="return")
    finally:
        mark.unlink()
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            raise DescError(f"worker {worker} cannot use this package: {answer}") from answer
        version, is_shared = answer
        if version != desc.__version__:
            raise DescError(f"worker {worker} has desc {version}, not {desc.__version__}")
        if not is_shared:
            raise DescError(f"worker {worker} does not share the folder {shared}")


def _look(path: str) -> tuple[str, bool]:
    """Return the version of this package and whether a file is there; runs on a worker."""
    return desc.__version__, os.path.exists(path)
