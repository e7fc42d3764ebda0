"""The page that compares the takes of a recording, `index.html`, and the removal of takes."""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

from desc import outputs
from desc.audio import LoudnessMeter, encode_ogg
from desc.configuration import PredictConfig, QueryConfig, RenderConfig, SelectionConfig
from desc.errors import DescError, OutputError
from desc.files import temporary_beside, write_json, write_text
from desc.report.drawing import envelope
from desc.report.page import fill, packed, plain, template
from desc.report.result import ResultView
from desc.report.result_page import command_of
from desc.takes.numbered import MARKS, Take, differing_settings, list_takes, read_marks

logger = logging.getLogger(__name__)

INDEX = "index.html"
SCRIPTS = ("common.js", "player.js", "timeline.js")
N_COLUMNS = 1400
PAGE_BYTES = 24_000_000
"""Size of the sound of a page, shared by its takes."""
TAKE_BYTES = 1_000_000
SILENT_LUFS = -70.0
"""Loudness of a take that is silent."""
NEWEST = 32
"""Takes on the page, beside those with a star."""


def write_index(folder: str | Path) -> Path:
    """Write `index.html`, the page of a recording's takes, from their files alone.

    Sounds that an earlier page holds are taken from it.

    Parameters
    ----------
    folder : path
        A recording's folder with the results `1/`, `2/` …

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If the folder has no finished take.
    StorageError
        If the page cannot be written.
    """
    folder = Path(folder)
    every = list_takes(folder)
    shown = [take for take in every if take.starred or take in every[-NEWEST:]]
    path = folder / INDEX
    sounds = _sounds_of(path)
    contents = []
    for take in shown:
        try:
            contents.append(_contents(take, sounds, min(TAKE_BYTES, PAGE_BYTES // len(shown))))
        except DescError as error:
            logger.warning("take %d is not on the page: %s", take.number, error)
    if not contents:
        raise OutputError(f"{folder}: has no finished take to show")
    on_page = {content["number"] for content in contents}
    takes = [take for take in shown if take.number in on_page]
    data = {
        "recording": takes[-1].request["recording"],
        "takes": contents,
        "differing": _differing(takes),
        "left": len(every) - len(takes),
        "marks": MARKS,
    }
    title = f"Takes of {data['recording']}"
    scripts = [template(name) for name in SCRIPTS] + [template("takes.js", "desc.takes")]
    page = template("takes.html", "desc.takes")
    write_text(path, fill(page, title=title, scripts=scripts, data=data))
    return path


def remove(folder: str | Path, number: int) -> None:
    """Remove a take with its star and note, and write the page anew if there is one.

    Parameters
    ----------
    folder : path
        A recording's folder with the results `1/`, `2/` …
    number : int
        At least 1: take 0 lies in the folder of all takes.

    Raises
    ------
    OutputError
        If it is take 0, or the take cannot be removed.
    StorageError
        If `takes.json` is damaged or cannot be written, or the page cannot be written.
    """
    folder = Path(folder)
    if number < 1:
        raise OutputError(f"{folder}: take {number} is not removed: its folder holds all takes")
    marks, path = read_marks(folder), folder / str(number)
    removed = temporary_beside(path)  # a take that is half removed must not look like one
    try:
        path.rename(removed)
        if marks.pop(str(number), None) is not None:
            write_json(folder / MARKS, marks, indent=2)
        if (folder / INDEX).is_file():
            try:
                write_index(folder)
            except OutputError:  # no take is left
                (folder / INDEX).unlink()
        shutil.rmtree(removed)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {error.strerror or error}") from error


def _contents(take: Take, sounds: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Return a take as JSON values, with its sound unless an earlier page has it."""
    view = ResultView.load(take.folder)
    digests = view.meta.get("digests", {})
    digest = ":".join(str(digests.get(name)) for name in (outputs.WAV, outputs.REPORT_DATA))
    known = sounds.get(digest) if digests else None
    place = "" if take.number == 0 else f"{take.number}/"
    return {
        "number": take.number,
        "starred": take.starred,
        "note": take.note,
        "report": f"{place}{outputs.REPORT}" if (take.folder / outputs.REPORT).is_file() else "",
        "wav": f"{place}{outputs.WAV}",
        "digest": digest,
        "sound": known or _sound(view, max_bytes),
        "figures": _figures(take),
        "command": command_of(view),
    }


def _sound(view: ResultView, max_bytes: int) -> dict[str, Any]:
    clip = view.clip
    ogg = encode_ogg(clip.audio, clip.sample_rate, max_bytes)
    continuation = clip.audio[:, round(-clip.start_s * clip.sample_rate) :]
    meter = LoudnessMeter(clip.sample_rate, len(continuation))
    meter.add(continuation)
    return {
        "ogg": base64.b64encode(ogg).decode(),
        "start": clip.start_s,
        "end": clip.end_s,
        "total": clip.total_s,
        "envelope": packed(envelope(clip.audio, N_COLUMNS), "i1"),
        "lufs": max(meter.loudness, SILENT_LUFS),
    }


def _figures(take: Take) -> str:
    figures = take.figures
    units, files = round(figures["n_units"]), round(figures["files_used"])
    repeated = figures.get("repeated_share", figures.get("repeat_share", 0.0))
    return (
        f"{figures['duration_s']:.1f} s · {units} unit{'s' * (units != 1)} from "
        f"{files} file{'s' * (files != 1)} · mean distance "
        f"{figures['mean_match_distance']:.2f} · repeats {outputs.percent(repeated)}"
    )


def _differing(takes: list[Take]) -> list[list[Any]]:
    """Return the settings in which takes differ: name, text for each take, and default."""
    configs = (PredictConfig, QueryConfig, SelectionConfig, RenderConfig)
    defaults = {name: value for config in configs for name, value in vars(config()).items()}
    rows = []
    for name, values in differing_settings(takes).items():
        texts = [plain(value)[:8] if name.endswith("_digest") else plain(value) for value in values]
        rows.append([name, texts, plain(defaults[name]) if name in defaults else ""])
    return rows


def _sounds_of(path: Path) -> dict[str, Any]:
    """Return the sounds in an earlier page by the digests of their files; none if it is damaged."""
    try:
        text = path.read_text("utf-8")
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
        takes = json.loads(found[1])["takes"] if found else []
        return {take["digest"]: take["sound"] for take in takes}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
