"""The numbers of a result beside what trivial answers reach, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.metrics import diff_ratio, tail_std
from desc.report.result import ResultView


@dataclass(frozen=True)
class Figure:
    """One line of the table: its name, the number, what to compare it with, what it means."""

    name: str
    value: str
    compared: str
    meaning: str


def figures_of(view: ResultView) -> list[Figure]:
    """Return the table of a result."""
    results, about = view.meta["results"], view.data.about
    chosen = results["mean_match_distance"]
    lines = [
        Figure(
            "distance to the prediction",
            f"{chosen:.2f}",
            f"nearest possible {about['nearest_distance']:.2f} · by chance "
            f"{about['random_distance']:.2f}",
            "how far the sounds that are played lie from what was asked for; units that join "
            "well cost some distance",
        ),
        Figure(
            "mean unit",
            f"{results['mean_unit_frames'] * view.step_s:.2f} s "
            f"({results['mean_unit_frames']:.1f} frames)",
            f"frames chosen singly {view.step_s:.2f} s",
            f"how long a sound plays on untouched; {results['n_units']:.0f} units in all",
        ),
        Figure(
            "repeats",
            f"{100 * results['repeat_share']:.0f} %",
            "none 0 %",
            "frames that play what was played within the last half second",
        ),
        Figure(
            "of the corpus",
            f"{100 * results['corpus_coverage']:.2g} %",
            f"at the most {100 * min(1.0, results['n_frames'] / about['n_rows']):.2g} %",
            f"{results['distinct_rows']:.0f} of {about['n_rows']} frames, from "
            f"{results['files_used']:.0f} files",
        ),
    ]
    return lines + _movement(view)


def _movement(view: ResultView) -> list[Figure]:
    """Say how the prediction and the chosen sounds move, beside the recording's end."""
    if len(view.data.context) < 2 or len(view.predicted) < 2:
        return []
    real = _standardised(view, view.data.context)
    lines = []
    for name, values in (("prediction", view.predicted), ("sounds", view.data.matched)):
        moved = _standardised(view, values)
        late, steps = tail_std(moved, real), diff_ratio(moved, real)
        if np.isfinite([late, steps]).all():
            lines.append(
                Figure(
                    f"movement of the {name}",
                    f"{100 * late:.0f} %; by frame {100 * steps:.0f} %",
                    "the recording's last seconds 100 % · a held tone 0 %",
                    "spread of the descriptors late in the continuation, and their change from "
                    "frame to frame, as shares of what the recording had",
                )
            )
    return lines


def _standardised(view: ResultView, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    scaled: npt.NDArray[np.float64] = (values.astype(np.float64) / view.data.scale)[None]
    return scaled
