"""The other end of `wandb_worker`: starts it, sends it lines, waits for its answers in bounds."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from desc.errors import TrackingError

START_LIMIT_S = 60.0  # importing wandb took 0.5 s here, 17 s on a loaded machine
EXIT_LIMIT_S = 5.0

# Settings that would make the worker another run than the one it is asked for.
_NOT_PASSED_ON = (
    *("WANDB_SERVICE", "WANDB_RUN_ID", "WANDB_RUN_STORAGE_ID", "WANDB_DIR", "WANDB_PROJECT"),
    *("WANDB_RESUME", "WANDB_RESUME_FROM", "WANDB_FORK_FROM", "WANDB_NOTES", "WANDB_LAUNCH"),
    *("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_CONFIG", "WANDB_CONFIG_PATHS"),
    *("WANDB_NOTEBOOK_NAME", "WANDB_INIT_TIMEOUT", "WANDB_FINISH_TIMEOUT"),
)


def worker_environment(mode: str) -> dict[str, str]:
    """Return the environment of the worker: the user's key, server and proxies, our bounds.

    Variables that are set but empty are left out: `WANDB_SILENT=""` makes wandb raise.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WANDB_") or (value and name not in _NOT_PASSED_ON)
    }
    inherited.setdefault("WANDB_HTTP_TIMEOUT", "5")
    return inherited | {
        "WANDB_MODE": mode,
        "WANDB_SILENT": "true",
        "WANDB_CONSOLE": "off",
        # Usage figures go out even from an offline run, and would wait for a network.
        "WANDB_ERROR_REPORTING": "false",
        # What is logged belongs to the run: not the repository of the current folder.
        "WANDB_DISABLE_GIT": "true",
        "WANDB_DISABLE_CODE": "true",
        "WANDB_LABEL_DISABLE": "true",
        "WANDB__DISABLE_META": "true",
        "WANDB__SAVE_REQUIREMENTS": "false",
        "WANDB__DISABLE_STATS": "false" if mode == "online" else "true",
        # A kill within the default interval, 15 s, loses what was logged in it.
        "WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "1",
        "WANDB__GRAPHQL_RETRY_MAX": "1",
        "WANDB__FILE_TRANSFER_RETRY_MAX": "1",
        "WANDB__FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "4",
    }


class Worker:
    """A running `wandb_worker`, as a context manager; it ends with the context.

    Parameters
    ----------
    request : dict
        Its first line: `task` and what that needs.
    mode : str
        online or offline.
    """

    def __init__(self, request: dict[str, Any], mode: str) -> None:
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        windows = sys.platform == "win32"
        try:
            # -P: neither this folder nor the current one, which may hold a folder `wandb`, is
            # searched for modules. Its own session: Ctrl-C is for the training, not for the log.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("wandb_worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=worker_environment(mode),
                start_new_session=not windows,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) if windows else 0,
            )
        except OSError as error:
            self._stderr.close()
            raise TrackingError(f"W&B: no process could be started: {error}") from error
        assert self._process.stdin is not None  # pipes, as asked for above
        assert self._process.stdout is not None
        self._start(self._read, self._process.stdout)
        self._start(self._write, self._process.stdin)
        self.send(**request)

    @staticmethod
    def _start(target: Any, stream: IO[bytes]) -> None:
        threading.Thread(target=target, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in stream:
                self._events.put(json.loads(line))
        self._events.put(None)

    def _write(self, stream: IO[bytes]) -> None:
        """Write in a thread of its own, so that a worker that is stuck blocks nobody."""
        with contextlib.suppress(ValueError, OSError), stream:
            while (message := self._messages.get()) is not None:
                stream.write(json.dumps(message).encode() + b"\n")
                stream.flush()

    def send(self, **message: Any) -> None:
        """Queue one message; never waits, and says nothing where the worker is gone."""
        self._messages.put(message)

    def wait(self, event: str, limit_s: float) -> dict[str, Any]:
        """Return the next event of this name.

        Raises
        ------
        TrackingError
            If the worker reports an error, ends, or takes longer than `limit_s` seconds.
        """
        deadline = time.monotonic() + limit_s
        while True:
            try:
                answer = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TrackingError(f"no answer within {limit_s:.0f} s") from None
            if answer is None:
                self._events.put(None)  # for whoever waits next
                raise TrackingError(f"wandb ended by itself: {self._last_words()}")
            if answer["event"] == "error":
                raise TrackingError(str(answer["reason"]))
            if answer["event"] == event:
                return answer

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def close(self, *, limit_s: float = EXIT_LIMIT_S) -> None:
        """End the worker: its input ends, and after `limit_s` seconds it is killed."""
        self._messages.put(None)
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A worker that failed leaves by itself; after a Ctrl-C nothing is waited for.
        expected = kind is None or issubclass(kind, TrackingError)
        self.close(limit_s=EXIT_LIMIT_S if expected else 0.0)
