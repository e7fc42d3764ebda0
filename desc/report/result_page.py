"""The page of a result: `report.html`."""

from __future__ import annotations

import base64
import math
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

from desc import outputs
from desc.audio import encode_ogg
from desc.configuration import PredictConfig, QueryConfig, RenderConfig, SelectionConfig
from desc.files import write_text
from desc.report.figures import figures_of
from desc.report.page import fill, packed, plain, template
from desc.report.pictures import envelope, grey_png, row_frequencies, spectrogram
from desc.report.result import ResultView
from desc.report.series import descriptor_series, map_points, unit_series

SCRIPTS = ("common.js", "player.js", "timeline.js", "map.js", "result.js")
N_COLUMNS, N_ROWS = 1400, 128  # of the spectrogram: some 60 KB
_AUDIO_BYTES = 1_000_000


def write_result_report(
    folder: str | Path, output_path: str | Path | None = None, map_kind: str = "pca"
) -> Path:
    """Write the page of a result, from nothing but the files in its folder.

    Parameters
    ----------
    folder : path
        A result's folder.
    output_path : path, optional
        The page; by default `report.html` in the folder.
    map_kind : str
        `pca`, or `umap`, which takes some minutes, and umap-learn.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ConfigurationError
        If there is no such map, or umap-learn is needed and not installed.
    OutputError
        If the folder holds no whole result.
    AudioError
        If its WAV cannot be read.
    StorageError
        If the page cannot be written.
    """
    view = ResultView.load(folder, map_kind)
    path = Path(folder) / outputs.REPORT if output_path is None else Path(output_path)
    scripts = [template(name) for name in SCRIPTS]
    title = f"{view.request['recording']} continued"
    write_text(path, fill(template("result.html"), title=title, scripts=scripts, data=_data(view)))
    return path


def _data(view: ResultView) -> dict[str, Any]:
    """Return all that the page shows, as JSON values."""
    shares = view.shares()
    names = [source for source, _ in shares]
    return {
        "recording": view.request["recording"],
        "runId": view.request["run_id"],
        "corpus": view.corpus,
        "notes": _notes(view),
        "sound": _sound(view),
        "descriptors": descriptor_series(view),
        "files": names,
        "shares": [share for _, share in shares],
        "units": unit_series(view, names),
        "map": map_points(view, names),
        "figures": [vars(figure) for figure in figures_of(view)],
        "command": _command(view),
        "settings": _settings(view),
    }


def _notes(view: ResultView) -> list[str]:
    clip, notes = view.clip, []
    if clip.start_s == 0:
        notes.append("The end of the recording is not in this page: it could not be read.")
    if clip.end_s < clip.total_s - 0.01:
        notes.append(
            f"This page holds the first {clip.end_s:.0f} s of {clip.total_s:.0f} s; the whole "
            f"result is {outputs.WAV} beside it."
        )
    if clip.peak > 1:
        notes.append(f"Turned down by {20 * math.log10(clip.peak):.1f} dB for this page.")
    return notes


def _sound(view: ResultView) -> dict[str, Any]:
    clip = view.clip
    edges = row_frequencies(clip.sample_rate, N_ROWS)
    image = spectrogram(clip.audio, clip.sample_rate, N_COLUMNS, N_ROWS)
    ogg = encode_ogg(clip.audio, clip.sample_rate, _AUDIO_BYTES)
    return {
        "ogg": base64.b64encode(ogg).decode(),
        "start": clip.start_s,
        "end": clip.end_s,
        "envelope": packed(envelope(clip.audio, N_COLUMNS), "i1"),
        "peak": min(clip.peak, 1.0),
        "png": base64.b64encode(grey_png(image)).decode(),
        "hz": [float(edges[0]), float(edges[-1])],
    }


def _command(view: ResultView) -> str:
    """Return the call that makes the result again."""
    about, request = view.data.about, view.request
    words = ["desc", "predict", "--run_id", request["run_id"]]
    words += ["--prediction_db_dir", about["recording_path"], "--audio_db_dir", view.corpus]
    if "speeds" in request:
        words += ["--speeds", *map(str, request["speeds"])]
    for config in (PredictConfig, QueryConfig, SelectionConfig, RenderConfig):
        for field in fields(config):
            value = request.get(field.name)
            if value == field.default or field.name not in request:
                continue
            if isinstance(value, bool):
                words.append(f"--{field.name}" if value else f"--no-{field.name}")
            elif isinstance(value, list):
                words += [f"--{field.name}", *map(str, value)]
            else:
                words += [f"--{field.name}", "none" if value is None else str(value)]
    return shlex.join(words)


def _settings(view: ResultView) -> list[list[str]]:
    """Return every setting and version as pairs of texts."""
    pairs = [(name, value) for name, value in view.request.items() if name != "descriptors"]
    pairs += list(view.request["descriptors"].items())
    pairs += [(f"version of {name}", value) for name, value in view.meta["versions"].items()]
    return [[name, plain(value)] for name, value in pairs]
