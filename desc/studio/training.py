"""Trainings: each is a process of its own, `desc train`, watched through the files of its run."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from desc.configuration import RunConfig, TrainConfig, check, from_dict
from desc.engine.stopping import SIGNALS
from desc.errors import ConfigurationError, DescError
from desc.files import read_json, write_json
from desc.report.page import packed
from desc.runs import SAMPLES, Record, RunRecord, list_runs, read_metrics, resolve_run
from desc.runs.label import check_name

LOG_FILE, STATE_FILE = "training.log", "training.json"
STARTING, RUNNING, ENDED, FAILED = "starting", "running", "ended", "failed"
CLEAN = (None, 0, 130, *(-number for number in SIGNALS))
"""Exit statuses of a training that was complete or stopped; None: not known."""
_STEP_S = 0.2


class Trainings:
    """Starts, watches and stops one training at a time.

    The process belongs to no page, and ends with neither page nor studio: `training.json` in the
    studio's folder names it.

    Parameters
    ----------
    folder : Path
        Folder of the studio.
    run : RunConfig
        Where runs are kept.
    cache_dir : Path
        The cache.
    """

    def __init__(self, folder: Path, run: RunConfig, cache_dir: Path) -> None:
        self.folder, self.run, self.cache_dir = folder, replace(run, offline=True), cache_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def start(
        self, recordings: str, sounds: str | None, settings: dict[str, Any], name: str = ""
    ) -> None:
        """Start a training on a folder, with samples from the sounds; the run gets the name.

        Raises
        ------
        ConfigurationError
            If another training runs, or a setting or the name is wrong.
        """
        from_dict(TrainConfig, settings)
        if name:
            check_name(name, Path(self.run.experiment_dir) / self.run.project)
        words = ["--audio_db_dir", recordings]
        if sounds is not None:
            words += ["--sample_audio_db_dir", sounds]
        for key, value in settings.items():
            words += [f"--{key}", str(value)]
        self._launch([*words, *(["--name", name] if name else [])], recordings)

    def resume(self, run_id: str) -> None:
        """Go on with a stopped run.

        Raises
        ------
        DescError
            If another training runs, or there is no such run.
        """
        record = resolve_run(run_id, self.run)
        check(record.state != "finished", "run_id", run_id, "be a run that was stopped")
        self._launch(["--resume_run_id", str(record.folder)], "", str(record.folder.resolve()))

    def _launch(self, words: list[str], recordings: str, run: str = "") -> None:
        with self._lock:
            if self.state()["state"] in (STARTING, RUNNING):
                raise ConfigurationError("a training is running; stop it before another one")
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = {"experiment_dir": self.run.experiment_dir, "project": self.run.project}
            command = [sys.executable, "-m", "desc", "train", *words, "--offline"]
            command += [word for name, value in kept.items() for word in (f"--{name}", value)]
            command += ["--cache_dir", str(self.cache_dir)]
            with (self.folder / LOG_FILE).open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in the studio's terminal is not for it
                )
            state = {"pid": self._process.pid, "began": time.time(), "run_id": run}
            write_json(self.folder / STATE_FILE, state | {"recordings": recordings})

    def stop(self) -> None:
        """Stop the training as Ctrl-C does: the run is saved and can be resumed.

        Raises
        ------
        ConfigurationError
            If none runs, or another process trains the run.
        """
        state = self.state()
        check(state["state"] in (STARTING, RUNNING), "training", state["state"], "be running")
        if not (self._is_own(state["pid"]) if self._process is None else self._is_alive()):
            raise ConfigurationError("another process trains this run; stop it where it was begun")
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(state["pid"]), signal.SIGTERM)

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @staticmethod
    def _is_own(pid: int) -> bool:
        """Return whether a process is a training: the number may be another one's by now."""
        command = ["ps", "-o", "command=", "-p", str(pid)]
        with contextlib.suppress(OSError):
            found = subprocess.run(command, check=False, capture_output=True, text=True)
            return "-m desc train" in found.stdout
        return False

    def state(self) -> dict[str, Any]:
        """Return the state of the last training as JSON values: state, step, time left, log line.

        `state` is "", starting, running, ended or failed.
        """
        try:
            kept = read_json(self.folder / STATE_FILE)
        except DescError:
            return {"state": ""}
        record = self._record(kept)
        line = last_line(self.folder / LOG_FILE)
        code = None if self._process is None else self._process.poll()
        if record is not None and record.state == "running":
            state = RUNNING
        elif self._is_alive():
            state = STARTING if record is None else RUNNING
        else:
            was_stopped = record is None and line == "interrupted"
            unusable = record is None or record.state in ("failed", "killed")
            failed = not was_stopped and (unusable or code not in CLEAN)
            state = FAILED if failed else ENDED
        found = {"state": state, "pid": kept["pid"], "line": line, "run_id": ""}
        return found if record is None else found | _progress(record, state)

    def _record(self, kept: dict[str, Any]) -> Record | None:
        """Return the run of a training: the one named, or the first that began while it ran."""
        folder = Path(self.run.experiment_dir) / self.run.project
        if kept["run_id"]:
            with contextlib.suppress(DescError):
                return Record.load(folder / kept["run_id"])
            return None
        ended = math.inf
        if not self._is_alive():
            with contextlib.suppress(OSError):
                ended = (self.folder / LOG_FILE).stat().st_mtime
        for record in list_runs(self.run):
            began = datetime.fromisoformat(record.created).timestamp()
            of_folder = record.inputs.get("audio_db_dir") in (
                kept["recordings"],
                [kept["recordings"]],
            )
            if kept["began"] - _STEP_S <= began <= ended and of_folder:
                write_json(self.folder / STATE_FILE, kept | {"run_id": record.run_id})
                return record
        return None


def last_line(log: Path) -> str:
    """Return the last line of a log, "" where there is none."""
    try:
        lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def _progress(record: Record, state: str) -> dict[str, Any]:
    """Return step, steps in all and seconds left of a run."""
    total = int(record.schedule.get("total_steps", 0))
    try:
        rows = read_metrics(record.folder / "metrics.csv")
    except DescError:
        rows = []
    step = int(rows[-1]["step"]) if rows else 0
    speeds = [row["steps_per_second"] for row in rows if row.get("steps_per_second", 0) > 0]
    left_s = None
    if state == RUNNING and speeds and total:
        left_s = (total - step) / (sum(speeds[-5:]) / len(speeds[-5:]))
    found = {"run_id": record.run_id, "step": step, "total_steps": total, "left_s": left_s}
    return found | {"status": record.state, "ended": record.schedule.get("ended", "")}


def curves(record: Record) -> dict[str, Any]:
    """Return the losses of a run over its steps, packed, and the names of its samples."""
    found: dict[str, Any] = {}
    rows = read_metrics(record.folder / "metrics.csv")
    for name in ("loss", "val_loss"):
        points = [
            (row["step"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))
        ]
        if points:
            x, y = zip(*points, strict=True)
            found[name] = {"x": packed(x, "<f4"), "y": packed(y, "<f4")}
    samples = sorted(path.name for path in (record.folder / SAMPLES).glob("[!.]*.wav"))
    return {"run_id": record.run_id, "curves": found, "samples": samples}


def runs_table(run: RunConfig) -> list[dict[str, Any]]:
    """Return the runs that can continue recordings, the newest first, as JSON values."""
    rows = []
    for record in reversed(list_runs(run)):
        if not isinstance(record, RunRecord):
            continue
        loss = record.metrics.get("val_loss", math.nan)
        rows.append(
            {
                "run_id": record.run_id,
                "name": record.name,
                "model": record.model_name,
                "created": record.created[:16].replace("T", " "),
                "n_files": len(record.training_files),
                "recordings": _names(record.inputs.get("audio_db_dir", "")),
                "state": record.state,
                "steps": int(record.metrics.get("steps", 0)),
                "val_loss": loss if math.isfinite(loss) else None,
            }
        )
    return rows


def _names(value: Any) -> str:
    paths = [value] if isinstance(value, str) else list(value)
    return ", ".join(Path(path).name for path in paths)
