"""`Jobs`: work handed to the studio's worker process, one job after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
KEPT = 20
"""Jobs that have ended and are still told to pages."""
GRACE_S = 2.0
"""Time in which a worker may remove what is half done before it is killed, seconds."""


@dataclass
class Job:
    """A job and its state.

    Attributes
    ----------
    number : int
        Counted from 1.
    kind : str
        Name of the job, a key of `desc.studio.worker.JOBS`.
    arguments : dict
        Its arguments, JSON values.
    state : str
        waiting, running, done, failed or cancelled.
    stage, done, total
        Progress: name of the stage, steps done and in all.
    notes : list of str
        Lines of its log.
    result : object
        JSON value that it returned; the error's message if it failed.
    """

    number: int
    kind: str
    arguments: dict[str, Any]
    state: str = WAITING
    stage: str = ""
    done: int = 0
    total: int = 0
    notes: list[str] = field(default_factory=list)
    result: Any = None

    def shown(self) -> dict[str, Any]:
        """Return the job as JSON values, without its arguments."""
        return {name: value for name, value in vars(self).items() if name != "arguments"}


class Jobs:
    """Hands jobs to a worker process, and starts a new one where it has died.

    The process ends when this one does: its standard input is then closed.

    Parameters
    ----------
    command : list of str, optional
        Starts the worker, which reads a job a line and writes JSON lines.
    on_change : callable, optional
        Called when a job changes.
    """

    def __init__(
        self, command: list[str] | None = None, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.command = command or [sys.executable, "-m", "desc.studio.worker"]
        self._on_change = on_change
        self._jobs: list[Job] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def add(self, kind: str, **arguments: Any) -> Job:
        """Add a job to the queue."""
        with self._changed:
            number = self._jobs[-1].number + 1 if self._jobs else 1
            job = Job(number, kind, arguments)
            ended = [one for one in self._jobs if one.state not in (WAITING, RUNNING)]
            for one in ended[: max(0, len(ended) - KEPT)]:
                self._jobs.remove(one)
            self._jobs.append(job)
            self._changed.notify_all()
        self._on_change()
        return job

    def newest(self) -> Job:
        """Return the job that was added last."""
        with self._changed:
            return self._jobs[-1]

    def wait(self, job: Job, timeout_s: float) -> Job:
        """Return a job when it has ended, or the time is over."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while job.state in (WAITING, RUNNING) and time.monotonic() < until:
                self._changed.wait(until - time.monotonic())
        return job

    def cancel(self, number: int) -> None:
        """End a job that waits or runs; the worker is started anew for the next one."""
        with self._changed:
            for job in self._jobs:
                if job.number == number and job.state in (WAITING, RUNNING):
                    is_running = job.state == RUNNING
                    job.state = CANCELLED
                    if is_running and self._process is not None:
                        process, self._process = self._process, None
                        process.terminate()  # it removes what is half done
                        timer = threading.Timer(GRACE_S, process.kill)
                        timer.daemon = True
                        timer.start()
            self._changed.notify_all()
        self._on_change()

    def shown(self) -> list[dict[str, Any]]:
        """Return the jobs as JSON values, in the order in which they were added."""
        with self._changed:
            return [job.shown() for job in self._jobs]

    def close(self) -> None:
        """End the worker."""
        with self._changed:
            self._closed, process = True, self._process
            self._changed.notify_all()
        if process is not None:
            process.terminate()
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._run(job)
            except (OSError, ValueError) as error:  # the pipe of a dead process
                self._end(job, FAILED, f"the worker process has ended: {error}")

    def _next(self) -> Job | None:
        """Return the next waiting job, marked as running; None once closed."""
        with self._changed:
            while not self._closed:
                for job in self._jobs:
                    if job.state == WAITING:
                        job.state = RUNNING
                        return job
                self._changed.wait()
        return None

    def _run(self, job: Job) -> None:
        with self._changed:
            if self._process is None or self._process.poll() is not None:
                pipe = subprocess.PIPE
                self._process = subprocess.Popen(
                    self.command,
                    stdin=pipe,
                    stdout=pipe,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # Ctrl-C in the studio's terminal is not for it
                )
            process = self._process
        self._on_change()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"kind": job.kind, "arguments": job.arguments}) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            event, value = json.loads(line)
            if event in (DONE, FAILED):
                self._end(job, event, value)
                return
            with self._changed:
                if event == "progress":
                    job.stage, job.done, job.total = value
                else:
                    job.notes.append(value)
            self._on_change()
        self._end(job, FAILED, f"the worker process has ended with status {process.wait()}")

    def _end(self, job: Job, state: str, result: Any) -> None:
        with self._changed:
            if job.state == RUNNING:
                job.state, job.result = state, result
            self._changed.notify_all()
        self._on_change()
