"""Plots of an evaluation; they need matplotlib (the extra `report`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from desc.evaluation.baselines import VAR_REPLAY
from desc.evaluation.tables import REALISM, Evaluation, Row, Table
from desc.metrics.movement import autocorrelation, modulation_spectrum
from desc.report.drawing import check_drawing, figure, literal

N_COLUMNS = 4  # descriptors shown
N_EXCERPTS = 3
BARS = [
    (column.heading, column.metric)
    for column in REALISM
    if column.better and column.metric != "fd_late"
]


def plot_evaluation(evaluation: Evaluation, output_dir: Path) -> list[Path]:
    """Plot the first table: continuations, autocorrelation, modulation spectra and metrics.

    Parameters
    ----------
    evaluation : Evaluation
    output_dir : Path
        Folder of the PNG files.

    Returns
    -------
    list of Path

    Raises
    ------
    ConfigurationError
        If matplotlib is not installed.
    StorageError
        If a file cannot be written.
    """
    check_drawing()
    table, config = evaluation.tables[0], evaluation.scales.config
    rate, names = config.frame_rate, config.static_names
    shown = [row for row in table.rows if row.kind == "run" or row.name == VAR_REPLAY]
    kinds = ("continuations", "autocorrelation", "modulation", "metrics")
    paths = [output_dir / f"{kind}.png" for kind in kinds]
    _continuations(table, shown, names, rate, paths[0])
    _autocorrelation(table, shown, rate, paths[1])
    _modulation(table, shown, rate, paths[2])
    _metrics(table, paths[3])
    return paths


def _continuations(
    table: Table, shown: list[Row], names: tuple[str, ...], rate: float, path: Path
) -> None:
    excerpts = table.excerpts
    n = min(N_EXCERPTS, len(excerpts))
    chosen = np.unique(np.linspace(0, len(excerpts) - 1, n).astype(int))
    columns = range(min(N_COLUMNS, len(names)))
    with figure(path, len(columns), len(chosen), (6 * len(chosen), 2.2 * len(columns))) as axes:
        for j, e in enumerate(chosen):
            before, after = excerpts.contexts[e], excerpts.targets[e]
            t_before = np.arange(-len(before), 0) / rate
            t_after = np.arange(len(after)) / rate
            for i, c in enumerate(columns):
                ax = axes[i, j]
                ax.plot(t_before, before[:, c], color="0.6", lw=0.6)
                ax.plot(t_after, after[:, c], color="k", lw=0.6, label="real")
                for row in shown:
                    ax.plot(
                        t_after, row.example[e, :, c], lw=0.6, alpha=0.8, label=literal(row.name)
                    )
                ax.set_ylabel(names[c])
            axes[0, j].set_title(literal(excerpts.sources[excerpts.tracks[e]]))
            axes[-1, j].set_xlabel("time (s)")
        axes[0, 0].legend(fontsize="x-small")


def _autocorrelation(table: Table, shown: list[Row], rate: float, path: Path) -> None:
    with figure(path, 1, 1, (7, 4)) as axes:
        ax = axes[0, 0]
        for name, x in [("real", table.excerpts.targets), *((r.name, r.example) for r in shown)]:
            curve = autocorrelation(x).mean(1)
            ax.plot(np.arange(1, len(curve) + 1) / rate, curve, label=literal(name))
        ax.set(xlabel="lag (s)", ylabel="autocorrelation, mean of the descriptors")
        ax.legend()


def _modulation(table: Table, shown: list[Row], rate: float, path: Path) -> None:
    with figure(path, 1, 1, (7, 4)) as axes:
        ax = axes[0, 0]
        for name, x in [("real", table.excerpts.targets), *((r.name, r.example) for r in shown)]:
            centres, power = modulation_spectrum(x, rate)
            level = 10 * np.log10(np.maximum(power, 1e-12)).mean(1)
            ax.semilogx(centres, level, marker="o", label=literal(name))
        ax.set(xlabel="modulation frequency (Hz)", ylabel="power (dB), mean of the descriptors")
        ax.legend()


def _metrics(table: Table, path: Path) -> None:
    """Plot each metric of all rows except constant continuations, which are off the scale."""
    rows = [r for r in table.rows if r.kind != "mean" and r.name not in ("mean", "persistence")]
    colours = {"reference": "0.4", "baseline": "tab:blue", "run": "tab:red"}
    with figure(path, 2, 4, (16, 7)) as axes:
        for ax, (heading, metric) in zip(axes.flat, BARS, strict=True):
            values = [row.figures.get(metric, np.nan) for row in rows]
            ax.barh([literal(r.name) for r in rows], values, color=[colours[r.kind] for r in rows])
            ax.invert_yaxis()
            ax.set_title(heading)
            if metric == "fd":  # shuffled frames have a hundred times the distance of real music
                ax.set_xscale("log")
