"""The process that talks to W&B, the only module that imports wandb.

`wandb_sync.Worker` starts it as a script. It imports nothing of this package, reads one JSON
request and then messages from its standard input, a line each, and writes JSON events to its
standard output. wandb runs in a process of its own because it changes the one it runs in (settings
from the environment, hooks at exit, console, notebook) and may wait for minutes on a server that
does not respond; a process has its own environment and can be ended. When the input ends, the
program is gone, and this process ends, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

Message = dict[str, Any]
Emit = Callable[..., None]

API_TIMEOUT_S = 5  # one response of the server
DEAD_FINISH_S = 3.0  # of a run whose server does not respond
ORPHAN_FINISH_S = 30.0  # after the program has gone
EXIT_LIMIT_S = 3.0


def write_run(request: Message, messages: Iterator[Message], emit: Emit) -> None:
    """Start or resume a run, log what comes in, and finish with its files."""
    import wandb

    run = wandb.init(
        entity=request["entity"],
        project=request["project"],
        id=request["run_id"],
        dir=request["folder"],
        config=request["config"],
        name=request["name"] or None,
        notes=request["notes"] or None,
        resume="allow" if request["resume"] else None,
        allow_val_change=True,
        settings=wandb.Settings(
            init_timeout=request["init_timeout_s"], x_stats_pid=request["process_id"]
        ),
    )
    emit(event="started", next_step=run.starting_step, url=run.url or "", path=run.path)
    pending = False  # whether the last row still waits for more metrics of its step
    for message in messages:
        if message["do"] == "finish":
            if pending:
                run.log({}, commit=True)  # or the row would follow the summary, and undo it
            _finish(run, message, emit)
            return
        if message["do"] == "show":
            _show(run, message)
        else:
            metrics = message["metrics"]
            step, logged_at = int(metrics.pop("step")), metrics.pop("time")
            run.log(metrics | {"_timestamp": logged_at}, step=step)
        pending = True
    _within(ORPHAN_FINISH_S, lambda: run.finish(exit_code=1))


def _show(run: Any, message: Message) -> None:
    """Log sounds and pictures; a file that wandb cannot read is left out."""
    import wandb

    media = {}
    for name, path in message["files"].items():
        kind = wandb.Audio if path.endswith(".wav") else wandb.Image
        with contextlib.suppress(Exception):
            media[name] = kind(path, caption=os.path.basename(path))
    run.log(media, step=message["step"])


def _finish(run: Any, message: Message, emit: Emit) -> None:
    """Send the files and the end of the run, then report the files on the server."""
    api, error = None, ""
    try:
        api = _api()  # asks the server: a dead one is not waited for
    except Exception as raised:
        error = _describe(raised)
    for name in message["files"]:
        path = os.path.join(message["folder"], name)
        run.save(path, base_path=message["folder"], policy="now", glob=False)
    run.summary.update(message["summary"])
    limit_s = DEAD_FINISH_S if api is None else message["limit_s"]
    _within(limit_s, lambda: run.finish(exit_code=message["exit_code"]))
    if api is None:
        emit(event="error", reason=error)
    else:
        emit(event="finished", files={f.name: f.size for f in api.run(run.path).files()})


def read_run(request: Message, messages: Iterator[Message], emit: Emit) -> None:  # noqa: ARG001
    """Report the files of a run, then download those that are wanted."""
    api = _api()
    entity = request["entity"] or api.settings["entity"] or api.default_entity
    run = api.run(f"{entity}/{request['project']}/{request['run_id']}")
    files = {file.name: file for file in run.files()}
    emit(event="found", entity=entity, files={name: file.size for name, file in files.items()})
    for name in request["wanted"]:
        if name in files:
            files[name].download(root=request["folder"], replace=True).close()
            emit(event="fetched", name=name)


def _api() -> Any:
    import wandb

    return wandb.Api(timeout=API_TIMEOUT_S)


def _within(limit_s: float, action: Callable[[], None]) -> None:
    """Run `action`, but do not wait for it longer than the limit."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(limit_s)


def _describe(error: BaseException) -> str:
    """Return the first line of an error without the requests it repeats, or its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    last = lines[0].rpartition("attempt(s): ")[2]
    return re.sub(r'(?:Post|Get|Put) "[^"]*": ', "", last)


def main() -> None:
    """Do the task that the first line of the input names."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)  # whatever wandb prints goes to the error output

    def emit(**event: object) -> None:
        output.write(json.dumps(event) + "\n")
        output.flush()

    messages = (json.loads(line) for line in sys.stdin.buffer)
    request = next(messages)
    try:
        {"write": write_run, "read": read_run}[request["task"]](request, messages, emit)
    except Exception as error:
        with contextlib.suppress(OSError):
            emit(event="error", reason=_describe(error))
    # Leaving the ordinary way would wait for unfinished uploads without a limit.
    if "wandb" in sys.modules:
        _within(EXIT_LIMIT_S, sys.modules["wandb"].teardown)
    os._exit(0)


if __name__ == "__main__":
    main()
