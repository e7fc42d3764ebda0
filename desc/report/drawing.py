"""Figures by matplotlib, where it is installed (`pip install …[report]`); no window, no state."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.errors import ConfigurationError
from desc.files import replacing


def can_draw() -> bool:
    """Tell whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def check_drawing() -> None:
    """Refuse to draw without matplotlib.

    Raises
    ------
    ConfigurationError
        Saying what to install.
    """
    if not can_draw():
        raise ConfigurationError(
            "plots need matplotlib, which is not installed: install the extra `report`, as in "
            "pip install -e '.[report]'"
        )


@contextmanager
def figure(
    path: Path, n_rows: int, n_columns: int, size: tuple[float, float], **layout: Any
) -> Iterator[Any]:
    """Yield the axes (n_rows, n_columns) of a picture that is written at the end.

    Parameters
    ----------
    path : Path
        The picture; its suffix decides the format. Equal figures give equal files.
    n_rows, n_columns : int
        Panels.
    size : tuple of float
        Width and height in inches.
    **layout
        More for `Figure.subplots`, as `sharex` and `height_ratios`.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(drawn)
    yield drawn.subplots(n_rows, n_columns, squeeze=False, **layout)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix[1:])
    with replacing(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "desc"}):
        drawn.savefig(temporary, dpi=110, metadata=undated)


def literal(name: str) -> str:
    """Return a file's name as text for matplotlib, which takes `$` for mathematics."""
    return name.replace("$", r"\$")


def draw_mels(mels: Mapping[str, npt.NDArray[np.float32]], path: Path) -> dict[str, Path]:
    """Draw mel spectrograms (n_mels, T) above one another on one scale.

    Returns
    -------
    dict of str to Path
        The picture by its name; empty without matplotlib.
    """
    if not can_draw():
        return {}
    lowest = min(float(mel.min()) for mel in mels.values())
    highest = max(float(mel.max()) for mel in mels.values())
    with figure(path, len(mels), 1, (8, 2.5 * len(mels))) as axes:
        for ax, (name, mel) in zip(axes[:, 0], mels.items(), strict=True):
            ax.imshow(mel, origin="lower", aspect="auto", vmin=lowest, vmax=highest)
            ax.set(title=name, ylabel="mel band")
        axes[-1, 0].set_xlabel("frame")
    return {"mel spectrograms": path}
