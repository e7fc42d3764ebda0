"""Functions for notebooks: start, Google Drive, upload, download, pages inline.

Colab's own modules are used where they exist; in other notebooks files are reached by the folder.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import importlib.metadata
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from desc.commands.console import Console
from desc.devices import choose_device
from desc.errors import DescError, OutputError
from desc.runs import versions

logger = logging.getLogger(__name__)

DRIVE, DRIVE_FOLDER = Path("/content/drive"), Path("MyDrive/desc")


def start() -> Console:
    """Print what is installed, show the library's errors as one line, and return a console."""
    from IPython.core.getipython import get_ipython

    console = Console(bars=True)
    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((DescError,), _show_error)  # type: ignore[no-untyped-call]
    console.result(f"desc from {installed_from()}")
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    console.result(f"{packages}; device: {choose_device('auto')}")
    return console


def _show_error(shell: Any, kind: type, error: DescError, *_: Any, **__: Any) -> None:  # noqa: ARG001
    Console().error(f"desc: error: {error}")


def installed_from() -> str:
    """Return where pip found this package: an address with its commit, a folder or an index."""
    try:
        package = importlib.metadata.distribution("descriptor-transformer")
    except importlib.metadata.PackageNotFoundError:
        return f"{Path(__file__).parents[1]}, not installed"
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    address = origin.get("url", f"a package index, version {package.version}")
    return f"{address}, commit {commit[:10]}" if commit else str(address)


def keep_on_drive() -> Path:
    """Work in the folder `desc` of Google Drive, so that every relative folder lies there.

    Returns
    -------
    Path
        The folder. Outside Colab, the current folder; a line says so.
    """
    drive = _colab("drive")
    if drive is None:
        logger.warning("keep_on_drive is for Colab; folders lie in %s", Path.cwd())
        return Path.cwd()
    drive.mount(str(DRIVE))
    folder = DRIVE / DRIVE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    return folder


def upload(folder: str | Path) -> list[Path]:
    """Copy files chosen on the user's computer into a folder; existing files are kept.

    Returns
    -------
    list of Path
        The new files. Empty outside Colab; a line names the folder to copy them to.
    """
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    files = _colab("files")
    if files is None:
        logger.warning("copy your files to %s", target)
        return []
    before = set(target.iterdir())
    with contextlib.chdir(target):  # Colab writes to the current folder
        files.upload()
    return sorted(set(target.iterdir()) - before)


def download(folder: str | Path) -> Path:
    """Pack a folder as a ZIP file beside it, and send it to the user's computer on Colab.

    Raises
    ------
    OutputError
        If the folder does not exist or is empty.
    """
    source = Path(folder)
    if not source.is_dir() or not any(source.iterdir()):
        raise OutputError(f"{source}: no files to download")
    packed = Path(shutil.make_archive(str(source), "zip", source.parent, source.name))
    files = _colab("files")
    if files is not None:
        files.download(str(packed))
    return packed


def show_page(path: str | Path, height: int = 900) -> Any:
    """Show a page of a result or a run in the notebook; `height` in pixels.

    The page is embedded: Colab's frames cannot read files.
    """
    from IPython.display import HTML, display

    text = html.escape(Path(path).read_text("utf-8"))
    frame = f'<iframe srcdoc="{text}" height="{height}" style="width: 100%; border: 0"></iframe>'
    display(HTML(f"<div>{frame}</div>"))  # type: ignore[no-untyped-call]


def _colab(name: str) -> Any:
    """Return a module of `google.colab`, None elsewhere."""
    try:
        return importlib.import_module(f"google.colab.{name}")
    except ImportError:
        return None
