"""The page of a result: `report.html`."""

from __future__ import annotations

import base64
import math
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc import outputs
from desc.audio import encode_fast
from desc.configuration import PredictConfig, QueryConfig, RenderConfig, SelectionConfig
from desc.files import write_text
from desc.metrics.movement import diff_ratio, tail_std
from desc.progress import clock
from desc.report.drawing import envelope, grey_png, row_frequencies, spectrogram
from desc.report.page import fill, packed, plain, quantised, template
from desc.report.result import ResultView

SCRIPTS = ("common.js", "player.js", "timeline.js", "map.js", "result.js")
N_COLUMNS, N_ROWS = 1400, 128  # of the spectrogram: about 60 KB
AUDIO_BYTES = 1_800_000
MAX_VALUES = 60_000
"""Largest number of values per set of descriptors, 160 KB; longer ones are thinned out."""
OUTSIDE = 0.002
"""Share of the corpus that may lie beyond an edge of the map."""
NAME_LENGTH = 40  # characters of a file name that only the map shows


def write_result_report(
    folder: str | Path, output_path: str | Path | None = None, map_kind: str = "pca"
) -> Path:
    """Write the page of a result, from the files in its folder alone.

    Parameters
    ----------
    folder : path
        A result's folder.
    output_path : path, optional
        The page; by default `report.html` in the folder.
    map_kind : str
        `pca`, or `umap`, which takes some minutes and needs umap-learn.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ConfigurationError
        If there is no such map, or umap-learn is needed and not installed.
    OutputError
        If the folder contains no complete result.
    AudioError
        If its WAV cannot be read.
    StorageError
        If the page cannot be written.
    """
    view = ResultView.load(folder, map_kind)
    path = Path(folder) / outputs.REPORT if output_path is None else Path(output_path)
    scripts = [template(name) for name in SCRIPTS]
    title = f"Continuation of {view.request['recording']}"
    write_text(path, fill(template("result.html"), title=title, scripts=scripts, data=_data(view)))
    return path


def _data(view: ResultView) -> dict[str, Any]:
    """Return all contents of the page as JSON values."""
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
        "command": command_of(view),
        "settings": _settings(view),
    }


def _notes(view: ResultView) -> list[str]:
    clip, notes = view.clip, []
    start_s, length_s = view.request.get("from_s"), view.data.about.get("recording_s")
    if length_s is not None and isinstance(start_s, float):
        notes.append(
            f"The recording lasts {clock(length_s)} and is continued from {clock(start_s)}."
        )
    if clip.start_s == 0:
        notes.append("This page lacks the end of the recording, which could not be read.")
    if clip.end_s < clip.total_s - 0.01:
        notes.append(
            f"Sound, pictures and map show the first {clip.end_s:.0f} s of {clip.total_s:.0f} s; "
            "figures and files are those of the complete result, "
            f"{outputs.WAV} in the same folder."
        )
    if clip.peak > 1:
        decibels = 20 * math.log10(clip.peak)
        notes.append(f"To avoid clipping, this page plays the sound {decibels:.1f} dB quieter.")
    return notes


def _sound(view: ResultView) -> dict[str, Any]:
    clip = view.clip
    edges = row_frequencies(clip.sample_rate, N_ROWS)
    image = spectrogram(clip.audio, clip.sample_rate, N_COLUMNS, N_ROWS)
    encoded = encode_fast(clip.audio, clip.sample_rate, AUDIO_BYTES)
    return {
        "encoded": base64.b64encode(encoded).decode(),
        "start": clip.start_s,
        "end": clip.end_s,
        "envelope": packed(envelope(clip.audio, N_COLUMNS), "i1"),
        "peak": min(clip.peak, 1.0),
        "png": base64.b64encode(grey_png(image)).decode(),
        "hz": [float(edges[0]), float(edges[-1])],
    }


def shown_frames(view: ResultView) -> slice:
    """Return the frames of the continuation shown in the page, thinned out if there are many."""
    n = min(len(view.predicted), max(1, round(view.clip.end_s / view.step_s)))
    return slice(0, n, max(1, -(-n * view.predicted.shape[1] // MAX_VALUES)))


def descriptor_series(view: ResultView) -> dict[str, Any]:
    """Return predicted, matched and recorded descriptors over time.

    Each of `sets` is a packed (F, n) array of 16-bit steps from `low` to `high` (F,). Frames of
    `predicted` and `matched` are at first, first + step …; those of `recorded` end at −first.
    """
    frames = shown_frames(view)
    n_before = min(len(view.data.context), round(-view.clip.start_s / view.step_s))
    before = view.data.context[len(view.data.context) - n_before :]
    sets: dict[str, npt.NDArray[np.float32]] = {
        "predicted": view.predicted[frames],
        "matched": view.data.matched[frames],
        "recorded": before[::-1][:: frames.step][::-1],
    }
    every = np.concatenate(list(sets.values()))
    low, high = every.min(0), every.max(0)
    return {
        "names": view.data.about["columns"],
        "first": view.step_s / 2,
        "step": view.step_s * frames.step,
        "low": low.tolist(),
        "high": high.tolist(),
        "sets": {name: quantised(x.T, low[:, None], high[:, None]) for name, x in sets.items()},
    }


def unit_series(view: ResultView, names: list[str]) -> dict[str, Any]:
    """Return the units in the page: columns packed as float32, one value per unit."""
    units = [event for event in view.units if view.onset_s(event) < view.clip.end_s]
    rate = view.playlist.sample_rate
    number = {name: index for index, name in enumerate(names)}
    columns: dict[str, list[float]] = {
        "onset": [view.onset_s(event) for event in units],
        "length": [event.n_samples / rate for event in units],
        "file": [number[event.source] for event in units],
        "start": [event.start_sample / rate for event in units],
        "distance": [view.distance(event) for event in units],
        "gain": [event.gain_db for event in units],
        "semitones": [event.transpose_semitones for event in units],
        "layer": [event.layer for event in units],
    }
    return {name: packed(values, "<f4") for name, values in columns.items()}


def map_points(view: ResultView, names: list[str]) -> dict[str, Any]:
    """Return the map: corpus points and the path through them, in 16-bit coordinates.

    The few corpus points that lie far out are moved to the edge. `pointFile` counts `names`, then
    `others`: the shortened names of files that are not played.
    """
    data, frames = view.data, shown_frames(view)
    points, played, predicted = (
        view.plane.project(x) for x in (data.points, data.played[frames], data.predicted[frames])
    )
    middle = np.quantile(points, (OUTSIDE, 1 - OUTSIDE), axis=0)
    shown = np.concatenate([middle, played, predicted])
    low, high = shown.min(0), shown.max(0)
    number = {name: index for index, name in enumerate(names)}
    others = [name for name in dict.fromkeys(data.about["files"]) if name not in number]
    number |= {name: len(names) + index for index, name in enumerate(others)}
    of_file = np.array([number[name] for name in data.about["files"]])
    rate = view.playlist.sample_rate
    return {
        "points": quantised(points, low, high),
        "pointFile": packed(of_file[data.point_file], "<u4"),
        "pointTime": packed(data.point_sample / rate, "<f4"),
        "others": [_shortened(name) for name in others],
        "played": quantised(played, low, high),
        "predicted": quantised(predicted, low, high),
        "aspect": float((high[0] - low[0]) / max(high[1] - low[1], 1e-12)),
        "first": view.step_s / 2,
        "step": view.step_s * frames.step,
        "caption": view.plane.caption,
        "nRows": data.about["n_rows"],
    }


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else "…" + name[1 - NAME_LENGTH :]


@dataclass(frozen=True)
class Figure:
    """A row of the table of figures: name, value, reference values and meaning."""

    name: str
    value: str
    compared: str
    meaning: str


def figures_of(view: ResultView) -> list[Figure]:
    """Return the table of figures of a result."""
    results, about = view.meta["results"], view.data.about
    most = min(1.0, view.request.get("layers", 1) * results["n_frames"] / about["n_rows"])
    return [
        Figure(
            "distance to the prediction",
            f"{results['mean_match_distance']:.2f}",
            f"nearest frames {about['nearest_distance']:.2f} · random frames "
            f"{about['random_distance']:.2f}",
            "mean distance between predicted and played descriptors; selection for smooth "
            "transitions increases it",
        ),
        Figure(
            "mean unit length",
            f"{results['mean_unit_frames'] * view.step_s:.2f} s "
            f"({results['mean_unit_frames']:.1f} frames)",
            f"single frames {view.step_s:.2f} s",
            f"how long a sound plays before the next; {results['n_units']:.0f} units in total",
        ),
        Figure(
            "repeats",
            outputs.percent(results["repeated_share"]),
            "no sound played twice 0 %",
            "frames that repeat a sound of the result, however long ago",
        )
        if "repeated_share" in results
        else Figure(  # of a result that counted less
            "repeats within .5 s",
            outputs.percent(results["repeat_share"]),
            "ideal 0 %",
            "frames that repeat a sound of the last half second",
        ),
        Figure(
            "corpus coverage",
            outputs.percent(results["corpus_coverage"]),
            f"at most {outputs.percent(most)}",
            f"{results['distinct_rows']:.0f} of {about['n_rows']} frames are played, from "
            f"{results['files_used']:.0f} files",
        ),
        *_variation(view),
    ]


def _variation(view: ResultView) -> list[Figure]:
    """Compare the variation of the prediction and of the sounds with the recording's end."""
    if len(view.data.context) < 2 or len(view.predicted) < 2:
        return []
    real = _scaled(view, view.data.context)
    figures = []
    for name, values in (("prediction", view.predicted), ("sounds", view.data.matched)):
        late, steps = (f(_scaled(view, values), real) for f in (tail_std, diff_ratio))
        if np.isfinite([late, steps]).all():
            figures.append(
                Figure(
                    f"variation of the {name}",
                    f"{100 * late:.0f} % late, {100 * steps:.0f} % per frame",
                    "the recording's last seconds 100 % · a constant tone 0 %",
                    "standard deviation of the descriptors late in the continuation, and their "
                    "change from frame to frame, relative to the recording",
                )
            )
    return figures


def _scaled(view: ResultView, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.divide(values, view.data.scale, dtype=np.float64)[None]


def command_of(view: ResultView) -> str:
    """Return the command that reproduces the result."""
    about, request = view.data.about, view.request
    words = ["desc", "predict", "--run_id", request["run_id"]]
    words += ["--prediction_db_dir", about["recording_path"]]
    for name, values in view.inputs.items():
        words += [f"--{name}", *values]
    told = view.inputs.keys() & {"speeds", "tempo"}  # not so in earlier results
    if isinstance(request.get("speeds"), list) and not told:
        words += ["--speeds", *map(str, request["speeds"])]
    for config in (PredictConfig, QueryConfig, SelectionConfig, RenderConfig):
        for field in fields(config):
            name = (
                "sample" if field.name == "n_draws" else field.name
            )  # draw 2 is the second of two
            value = request.get(name)
            if value == field.default or name not in request:
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
