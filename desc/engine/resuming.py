"""Start of a run: its record and log, and the checks of a resumed one."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from desc.configuration import RunConfig
from desc.engine.checkpoint import read_state
from desc.errors import ConfigurationError
from desc.runs import Record, RunLog

T = TypeVar("T")
R = TypeVar("R", bound=Record)
NAMED = 5  # recordings named in an error

HARDWARE = {"accelerator", "devices", "num_nodes", "strategy"}
PER_CALL = HARDWARE | {"notes", "sample_every_epochs"}
"""Settings that a resumed run may change; `max_time_s` is always that of the call."""


def resumed_settings(
    given: T,
    stored: T,
    names: Collection[str] | None = None,
    rule: str = "a resumed run keeps its settings",
) -> T:
    """Return the stored settings of a run, updated with the ones that may change.

    Parameters
    ----------
    given, stored : dataclass
        The settings of this call, and those of the run.
    names : collection of str, optional
        Names of the given settings; by default those that differ from their defaults.
    rule : str
        The rule that the error states.

    Raises
    ------
    ConfigurationError
        If a given setting differs and may not change.
    """
    conflicts: list[str] = []
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(stored):  # type: ignore[arg-type]
        value, own = getattr(given, field.name), getattr(stored, field.name)
        is_given = value != field.default if names is None else field.name in names
        if field.name == "max_time_s" or (is_given and field.name in PER_CALL):
            changes[field.name] = value
        elif value == own or not is_given:
            continue
        else:
            conflicts.append(f"{field.name}={value!r} (the run has {own!r})")
    if conflicts:
        raise ConfigurationError(
            f"{rule}: {', '.join(conflicts)}; omit these options, or train a new run"
        )
    return replace(stored, **changes)  # type: ignore[type-var]


def check_same_files(
    run_id: str, what: str, here: Mapping[str, str], stored: Mapping[str, str]
) -> None:
    """Refuse to resume a run with different recordings (content digest → source).

    Raises
    ------
    ConfigurationError
        Names the recordings that are new or missing.
    """
    new = sorted(here[digest] for digest in here.keys() - stored.keys())
    missing = sorted(stored[digest] for digest in stored.keys() - here.keys())
    if new or missing:
        listed = _listed("; new", new) + _listed("; missing", missing)
        raise ConfigurationError(f"run {run_id} was started with other {what} recordings{listed}")


def _listed(what: str, sources: list[str]) -> str:
    if not sources:
        return ""
    more = f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
    return f"{what}: {', '.join(sources[:NAMED])}{more}"


def new_log(kind: type[R], run: RunConfig, **fields: Any) -> tuple[RunLog, R]:
    """Make the folder and the record of a new run; the record is saved by `RunLog.begin`."""
    log = RunLog.new(run)
    own: dict[str, Any] = {"run_id": log.run_id, "folder": log.folder}
    return log, kind(**own, project=run.project, entity=run.entity, **fields)


def resumed_log(record: R, run: RunConfig) -> tuple[RunLog, R]:
    """Reopen the log of a run; return it and the record, which has its folder."""
    state = read_state(record.folder, record.run_id)
    step = 0 if state is None else int(state["progress"]["step"])
    log = RunLog.resume(record, run, step=step)
    return log, log.begin(replace(record, folder=log.folder))
