"""Static plots of a result or a run, for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.report.drawing import (
    check_drawing,
    envelope,
    figure,
    literal,
    row_frequencies,
    spectrogram,
)
from desc.report.result import ResultView
from desc.report.run import RunView

N_SHOWN = 4  # descriptors, and file names in a legend
RECORDED, PREDICTED, MATCHED = "0.5", "tab:purple", "tab:orange"


def plot_result(view: ResultView, output_dir: Path, suffix: str = "png") -> list[Path]:
    """Plot a result: its sound and units, its descriptors, and its path through the corpus.

    Parameters
    ----------
    view : ResultView
    output_dir : Path
        Folder of the files `sound`, `descriptors` and `map`.
    suffix : str
        png, svg or pdf.

    Raises
    ------
    ConfigurationError
        If matplotlib is not installed.
    StorageError
        If a plot cannot be written.
    """
    check_drawing()
    paths = [output_dir / f"{name}.{suffix}" for name in ("sound", "descriptors", "map")]
    colours = _colours(view)
    _sound(view, colours, paths[0])
    _descriptors(view, paths[1])
    _map(view, colours, paths[2])
    return paths


def plot_run(view: RunView, output_dir: Path, suffix: str = "png") -> list[Path]:
    """Plot a run: its losses, and continuations if its recordings are cached; see `plot_result`."""
    check_drawing()
    paths = [output_dir / f"losses.{suffix}"]
    with figure(paths[0], 1, 1, (7, 4)) as axes:
        ax = axes[0, 0]
        for name, label, colour in (
            ("loss", "training", RECORDED),
            ("val_loss", "validation", PREDICTED),
        ):
            if name in view.curves:
                ax.plot(*view.curves[name].T, color=colour, label=label)
        if np.isfinite(view.record.metrics.get("var_loss", np.nan)):
            baseline = view.record.metrics["var_loss"]
            ax.axhline(baseline, color=MATCHED, ls="--", label="linear baseline (VAR), validation")
        ax.set(xlabel="steps", ylabel="loss")
        ax.legend()
    if view.examples:
        paths.append(output_dir / f"continuations.{suffix}")
        _continuations(view, paths[1])
    return paths


def _continuations(view: RunView, path: Path) -> None:
    config = view.record.descriptor_config
    n_columns = min(N_SHOWN, len(config.static_names))
    size = (6 * len(view.examples), 2.2 * n_columns)
    with figure(path, n_columns, len(view.examples), size, sharex=True) as axes:
        for j, example in enumerate(view.examples):
            before = np.arange(-len(example.before), 0) / config.frame_rate
            after = np.arange(len(example.real)) / config.frame_rate
            for c in range(n_columns):
                ax = axes[c, j]
                for drawn in example.drawn:
                    ax.plot(after, drawn[:, c], color=PREDICTED, lw=0.7, alpha=0.6)
                ax.plot(before, example.before[:, c], color=RECORDED, lw=1)
                ax.plot(after, example.real[:, c], color=RECORDED, lw=1)
                ax.set_ylabel(literal(config.static_names[c]))
            part = "training" if example.is_training else "validation"
            axes[0, j].set_title(f"{literal(example.source)} ({part} set)", fontsize="medium")
            axes[-1, j].set_xlabel("time (s)")


def _colours(view: ResultView) -> dict[str, Any]:
    """Return a colour for each file played; the ten played most have their own."""
    names = [name for name, _ in view.shares()]
    return {name: f"C{i}" if i < 10 else "0.6" for i, name in enumerate(names)}


def _sound(view: ResultView, colours: dict[str, Any], path: Path) -> None:
    clip = view.clip
    ratios = {"height_ratios": (1, 2, 0.5), "sharex": True}
    with figure(path, 3, 1, (10, 5), **ratios) as axes:
        wave, spectrum, strip = axes[:, 0]
        low, high = envelope(clip.audio, 1400).astype(np.float64) / 127 * clip.peak
        times = np.linspace(clip.start_s, clip.end_s, len(low))
        wave.fill_between(times, low, high, color="0.3", lw=0)
        wave.set_ylabel("amplitude")
        edges = row_frequencies(clip.sample_rate, 256)
        image = spectrogram(clip.audio, clip.sample_rate, 1400, 256)[::-1]
        time_edges = np.linspace(clip.start_s, clip.end_s, image.shape[1] + 1)
        spectrum.pcolormesh(time_edges, edges, image, cmap="magma", rasterized=True)
        spectrum.set(yscale="log", ylabel="frequency (Hz)")
        for event in view.units:
            onset = view.onset_s(event)
            if onset < clip.end_s:
                length = event.n_samples / view.playlist.sample_rate
                strip.broken_barh(
                    [(onset, length)],
                    (event.layer, 0.9),
                    facecolor=colours[event.source],
                    edgecolor="w",
                    lw=0.4,
                )
        for ax in (wave, spectrum):
            ax.axvline(0, color="0.5", ls="--", lw=1)
        shown = [name for name, _ in view.shares()[:N_SHOWN]]
        names = [literal(name) for name in shown]
        handles = [strip.broken_barh([], (0, 1), color=colours[name]) for name in shown]
        strip.legend(handles, names, loc="upper left", fontsize="x-small", ncols=2)
        strip.set(xlabel="time from the start of the continuation (s)", yticks=[], ylabel="units")
        strip.set_xlim(clip.start_s, clip.end_s)


def _descriptors(view: ResultView, path: Path) -> None:
    names = view.data.about["columns"][:N_SHOWN]
    after = (np.arange(len(view.predicted)) + 0.5) * view.step_s
    before = (np.arange(-len(view.data.context), 0) + 0.5) * view.step_s
    with figure(path, len(names), 1, (10, 2 * len(names)), sharex=True) as axes:
        for c, (name, ax) in enumerate(zip(names, axes[:, 0], strict=True)):
            ax.plot(before, view.data.context[:, c], color=RECORDED, lw=1, label="recording")
            ax.plot(after, view.data.matched[:, c], color=MATCHED, lw=1, label="matched")
            ax.plot(after, view.predicted[:, c], color=PREDICTED, lw=1, label="predicted")
            ax.set_ylabel(literal(name))
        axes[0, 0].legend(fontsize="x-small", ncols=3)
        axes[-1, 0].set_xlabel("time from the start of the continuation (s)")


def _map(view: ResultView, colours: dict[str, Any], path: Path) -> None:
    points, played = view.plane.project(view.data.points), view.plane.project(view.data.played)
    files: list[str] = view.data.about["files"]
    of_point = np.array([colours.get(files[i], "0.8") for i in view.data.point_file], object)
    with figure(path, 1, 1, (7, 6)) as axes:
        ax = axes[0, 0]
        for colour in dict.fromkeys(["0.8", *of_point]):
            chosen: npt.NDArray[np.float64] = points[of_point == colour]
            ax.scatter(*chosen.T, s=2, color=colour, lw=0, rasterized=True)
        ax.plot(*played.T, color="k", lw=0.7, alpha=0.7, label="path of the result")
        ax.set_title(f"{len(points)} corpus frames: {view.plane.caption}", fontsize=8)
        ax.set(xticks=[], yticks=[])
        ax.legend()
