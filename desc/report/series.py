"""A result's sequences as a page takes them: packed numbers over time and on the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from desc.report.page import packed, quantised
from desc.report.result import ResultView

MAX_VALUES = 60_000
"""Descriptor values of a kind in a page, 160 KB: of more of them every n-th frame is shown."""
OUTSIDE = 0.002
"""Share of the corpus that may lie beyond an edge of the map."""
_NAME_LENGTH = 40  # characters of the name of a file that only the map shows


def shown_frames(view: ResultView) -> slice:
    """Return the frames of the continuation that a page can play, thinned where they are many."""
    n = min(len(view.predicted), max(1, round(view.clip.end_s / view.step_s)))
    return slice(0, n, max(1, -(-n * view.predicted.shape[1] // MAX_VALUES)))


def descriptor_series(view: ResultView) -> dict[str, Any]:
    """Return predicted, matched and recorded descriptors over time.

    `sets` holds for each a packed (F, n) array of 16-bit steps from `low` to `high` (F); the
    frames of `predicted` and `matched` are at first, first + step …, those of `recorded` end at
    −first.
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
    """Return the units that a page can play: columns packed as float32, one value per unit."""
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
    """Return the map: points of the corpus, and the path through it, on 16-bit coordinates.

    A few points of the corpus that lie far off are put on the edge, so that the rest has room.
    `point_file` counts `names`, then `others`: names of files that are not played, cut short.
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
        "others": [name if len(name) <= _NAME_LENGTH else "…" + name[1 - _NAME_LENGTH :]
                   for name in others],
        "played": quantised(played, low, high),
        "predicted": quantised(predicted, low, high),
        "aspect": float((high[0] - low[0]) / max(high[1] - low[1], 1e-12)),
        "first": view.step_s / 2,
        "step": view.step_s * frames.step,
        "caption": view.plane.caption,
        "nRows": data.about["n_rows"],
    }  # fmt: skip
