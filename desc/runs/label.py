"""Names and notes of runs: `label.json` in a run's folder.

They are kept apart from the run's record, so that they can change while the run is trained.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from desc.configuration import RunConfig, check
from desc.errors import RunNotFoundError, StorageError
from desc.files import read_json, write_json

LABEL_FILE = "label.json"
LAST = "last"
"""Stands for the newest run wherever a run is named."""


def read_label(folder: Path) -> dict[str, str]:
    """Return the texts of a run's label, by `name` and `note`; none if there is no sound label."""
    path = folder / LABEL_FILE
    try:
        label = read_json(path) if path.is_file() else {}
        return {key: text for key, text in label.items() if isinstance(text, str)}
    except (StorageError, AttributeError):
        return {}


def write_label(folder: Path, *, name: str | None = None, note: str | None = None) -> None:
    """Set the name or the note of the run in a folder; None leaves it as it is.

    Raises
    ------
    ConfigurationError
        If the name cannot be one, or another run of the project has it.
    StorageError
        If the label cannot be written.
    """
    if name:
        check_name(name, folder.parent, besides=folder)
    given = {"name": name, "note": note}
    label = read_label(folder) | {key: text for key, text in given.items() if text is not None}
    write_json(folder / LABEL_FILE, label)


def check_name(name: str, project: Path, besides: Path | None = None) -> None:
    """Refuse a name that cannot be one, or that another run in a project's folder has.

    Raises
    ------
    ConfigurationError
        Says the rule, or which run has the name.
    """
    plain = name.isprintable() and not set('/\\#?%:"') & set(name) and name.strip(" .") == name
    check(plain and name != LAST, "name", name, f'be plain text without / \\ # ? % : ", not {LAST}')
    others = [folder for folder in named(name, project) if folder != besides]
    check(not others, "name", name, f"be free; run {others[0].name if others else ''} has it")
    is_id = (project / name).exists() and project / name != besides
    check(not is_id, "name", name, "differ from the ids of other runs")


def named(name: str, root: Path) -> Iterator[Path]:
    """Yield the folders of the runs with a name, in a folder that holds those of runs."""
    for path in sorted(root.glob(f"[!.]*/{LABEL_FILE}")):
        if read_label(path.parent).get("name") == name:
            yield path.parent


def folder_named(name: str, run: RunConfig) -> Path | None:
    """Return the folder of the run with a name, of the project before all others; None: no such.

    Raises
    ------
    RunNotFoundError
        If several runs have the name; it names their ids.
    """
    root = Path(run.experiment_dir)
    found = list(named(name, root / run.project))
    if not found:
        found = [
            folder for project in sorted(root.glob("[!.]*")) for folder in named(name, project)
        ]
    if len(found) > 1:
        ids = ", ".join(folder.name for folder in found)
        raise RunNotFoundError(f"{len(found)} runs are named {name}; give an id: {ids}")
    return found[0] if found else None


def near_names(text: str, run: RunConfig) -> str:
    """Return `; did you mean …?` with the nearest names and ids of a project's runs, or nothing."""
    project = Path(run.experiment_dir) / run.project
    folders = [folder for folder in project.glob("[!.]*") if folder.is_dir()]
    known = [folder.name for folder in folders]
    known += [name for folder in folders if (name := read_label(folder).get("name"))]
    known = [word for word in known if word != text]
    near = difflib.get_close_matches(text, known, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""
