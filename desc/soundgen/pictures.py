"""Pictures of mel spectrograms, where matplotlib is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from desc.files import replacing


def draw_mels(mels: Mapping[str, npt.NDArray[Any]], path: Path) -> dict[str, Path]:
    """Draw spectrograms (n_mels, T) above one another, on one scale; nothing without matplotlib.

    Returns
    -------
    dict of str to Path
        The picture by its name.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return {}
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.5 * len(mels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(mels), 1, squeeze=False)[:, 0]
    lowest = min(float(mel.min()) for mel in mels.values())
    highest = max(float(mel.max()) for mel in mels.values())
    for ax, (name, mel) in zip(axes, mels.items(), strict=True):
        ax.imshow(mel, origin="lower", aspect="auto", vmin=lowest, vmax=highest)
        ax.set(title=name, ylabel="mel band")
    axes[-1].set_xlabel("frame")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=80)
    return {"mel spectrograms": path}
