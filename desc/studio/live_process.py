"""`LiveProcess`: `desc live` as a process of the studio, which ends by a request to its page."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desc.configuration import check
from desc.studio.folders import next_folder
from desc.studio.training import CLEAN, last_line

STARTING, PLAYING, ENDING = "starting", "playing", "ending"
KEPT, FAILED = "kept", "failed"
LOG_FILE = "live.log"
END_S = 20.0
"""Time in which what was played is written, before the process is ended."""


class LiveProcess:
    """Starts and ends one `desc live` at a time, and keeps what it plays.

    The process ends when this one does: its standard input is then closed.

    Parameters
    ----------
    folder : Path
        Folder of the studio: what was played goes into `live/1`, `live/2` …, the log beside it.
    options : list of str
        Further options of the command.
    on_change : callable
        Called when the state changes.
    command : list of str, optional
        Starts the process, which prints the address of its page first.
    """

    def __init__(
        self,
        folder: Path,
        options: list[str],
        on_change: Callable[[], None],
        command: list[str] | None = None,
    ) -> None:
        self._above, self._log, self._options = folder / "live", folder / LOG_FILE, options
        self._on_change = on_change
        companion = [sys.executable, "-m", "desc.studio.companion"]
        self._command = command or [*companion, "desc", "live"]
        self._process: subprocess.Popen[str] | None = None
        self._record_dir, self._url, self._is_ending = Path(), "", False

    def start(self, run: str, sounds: str, include: list[str]) -> None:
        """Play with a run and a folder of sounds, or those of its files that match.

        Raises
        ------
        ConfigurationError
            If it plays already.
        """
        check(not self._is_alive(), "live", self.state()["state"], "have ended")
        self._record_dir, self._url, self._is_ending = next_folder(self._above), "", False
        self._log.parent.mkdir(parents=True, exist_ok=True)
        words = ["--run_id", run, "--audio_db_dir", sounds, *self._options]
        words += ["--record_dir", str(self._record_dir), "--page_port", "0", "--osc_port", "-1"]
        words += [f"--include={name}" for name in include]  # also of a name that begins with -
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C in the studio's terminal is not for it
            )
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def end(self) -> None:
        """End it as Ctrl-C does, so that what was played is written; at once if it is starting.

        It is asked once: a second Ctrl-C would cut the last fade.

        Raises
        ------
        ConfigurationError
            If none plays.
        """
        check(self._is_alive(), "live", self.state()["state"], "be playing")
        assert self._process is not None
        if self._is_ending:
            return
        self._is_ending = True
        self._on_change()
        try:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            direct.open(f"{self._url}end", b"{}", END_S).close()
        except (OSError, ValueError):  # ValueError: there is no address yet
            self._process.terminate()

    def close(self) -> None:
        """End it, and wait until what was played is written."""
        if self._process is None or not self._is_alive():
            return
        self.end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._process.kill()

    def state(self) -> dict[str, Any]:
        """Return its state as JSON values: the address of its page, the log's last line, its files.

        `state` is "", starting, playing, ending, kept or failed; "" also if it has ended and
        nothing was recorded.
        """
        state = ""
        if self._is_alive():
            state = ENDING if self._is_ending else PLAYING if self._url else STARTING
        elif self._process is not None:
            was_ended = self._is_ending and not self._url  # while it was starting
            if self._process.returncode not in CLEAN and not was_ended:
                state = FAILED
            elif self._record_dir.is_dir():
                state = KEPT
        line = last_line(self._log) if state in (STARTING, FAILED) else ""
        return {"state": state, "url": self._url, "line": line, "folder": str(self._record_dir)}

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """Read the address of the page, then the rest, until the process ends."""
        assert process.stdout is not None
        with process:
            self._url = process.stdout.readline().strip()
            self._on_change()
            process.stdout.read()
        self._on_change()
