"""A process of its own that speaks to W&B; the only module that imports wandb.

It is started as a script by `worker.py`, imports nothing of this package, reads one JSON request
and then messages, a line each, from its standard input, and answers with one JSON event a line. A
process, because wandb changes the one it runs in (settings from the environment, hooks at exit,
console, notebook), may wait for minutes on a server that does not answer, and even offline sends
usage figures unless the environment says no: a process can be given its own environment and an
end. When the input ends the one who asked is gone, and so does this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

Message = dict[str, Any]
Emit = Callable[..., None]

API_TIMEOUT_S = 5  # one answer of the server
DEAD_FINISH_S = 3.0  # for the local folder alone, where the server does not answer
ORPHAN_FINISH_S = 30.0  # when nobody waits any more
EXIT_LIMIT_S = 3.0


def _take_output() -> TextIO:
    """Return the standard output; whatever wandb prints goes to the error output instead."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    return events


def _messages() -> Iterator[Message]:
    for line in sys.stdin.buffer:
        yield json.loads(line)


def _within(limit_s: float, action: Callable[[], None]) -> bool:
    """Whether `action` came to its end within the limit; it is left behind where not."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(limit_s)
    return not thread.is_alive()


def _files(run: Any) -> dict[str, dict[str, Any]]:
    """Return name → md5 (base64) and size of the files that the server holds."""
    return {file.name: {"md5": file.md5, "size": file.size} for file in run.files()}


def _api() -> Any:
    import wandb

    return wandb.Api(timeout=API_TIMEOUT_S)


def write_run(request: Message, messages: Iterator[Message], emit: Emit) -> None:
    """Start or go on with a run, log what comes in, and finish with its files."""
    import wandb

    settings = wandb.Settings(
        init_timeout=request["init_timeout_s"], x_stats_pid=request["process_id"]
    )
    run = wandb.init(
        entity=request["entity"],
        project=request["project"],
        id=request["run_id"],
        dir=request["folder"],
        config=request["config"],
        notes=request["notes"] or None,
        mode=request["mode"],
        resume="allow" if request["resume"] else None,
        allow_val_change=True,
        settings=settings,
    )
    emit(event="started", next_step=run.starting_step, url=run.url or "", path=run.path)
    held_back = False
    for message in messages:
        if message["do"] == "finish":
            if held_back:
                run.log({}, commit=True)  # or it would come after the summary, and undo it
            _finish(run, message, emit, online=request["mode"] == "online")
            return
        if message["do"] == "show":
            _show(run, message)
        else:
            metrics = message["metrics"]
            step, logged_at = int(metrics.pop("step")), metrics.pop("time")
            run.log(metrics | {"_timestamp": logged_at}, step=step)
        held_back = True  # the last row waits for more figures of its step
    _within(ORPHAN_FINISH_S, lambda: run.finish(exit_code=1))


def _show(run: Any, message: Message) -> None:
    """Log sounds and pictures; a file that wandb cannot take is left out."""
    import wandb

    media = {}
    for name, path in message["files"].items():
        kind = wandb.Audio if path.endswith(".wav") else wandb.Image
        with contextlib.suppress(Exception):
            media[name] = kind(path, caption=os.path.basename(path))
    run.log(media, step=message["step"])


def _finish(run: Any, message: Message, emit: Emit, *, online: bool) -> None:
    """Send the files and the end of the run, then report what the server holds."""
    reason = ""
    if online:
        try:
            api = _api()
        except Exception as error:
            reason = _describe(error)
    for name in message["files"]:
        path = os.path.join(message["folder"], name)
        run.save(path, base_path=message["folder"], policy="now", glob=False)
    run.summary.update(message["summary"])
    limit_s = DEAD_FINISH_S if reason else message["limit_s"]
    _within(limit_s, lambda: run.finish(exit_code=message["exit_code"]))
    if reason:
        emit(event="error", reason=reason)
    else:
        emit(event="finished", files=_files(api.run(run.path)) if online else {})


def read_run(request: Message, messages: Iterator[Message], emit: Emit) -> None:
    """Report the files of a run, then fetch those that are asked for."""
    api = _api()
    entity = request["entity"] or api.settings["entity"] or api.default_entity
    run = api.run(f"{entity}/{request['project']}/{request['run_id']}")
    emit(event="found", entity=entity, url=run.url, files=_files(run))
    files = {file.name: file for file in run.files()}
    for message in messages:
        files[message["name"]].download(root=message["folder"], replace=True).close()
        emit(event="fetched", name=message["name"])


def _describe(error: BaseException) -> str:
    """Return the first line of an error without the requests it repeats, or its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    last = lines[0].rpartition("attempt(s): ")[2]
    return re.sub(r'(?:Post|Get|Put) "[^"]*": ', "", last)


def main() -> None:
    """Do what the first line of the input asks for."""
    output = _take_output()

    def emit(**event: object) -> None:
        output.write(json.dumps(event) + "\n")
        output.flush()

    messages = _messages()
    request = next(messages)
    try:
        import wandb  # noqa: F401

        emit(event="ready")
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
