"""All stages beside other ways to do them and what the hardware allows, at several sizes.

    python benchmarks/run.py --quick              # about 3 minutes
    python benchmarks/run.py                      # about 20 minutes
    python benchmarks/run.py --only query         # stages whose names contain a word

One thread, CPU seconds, the least of three turns where a turn takes less than a second. Each way
of a stage runs in a process of its own, so its peak memory, imports included, is its own. A way is
left out where it lacks a package, and stops at the size before one that would take too long.
Columns:

/ desc      CPU seconds over those of desc at the same size
growth      exponent of the size, fitted to the larger half of the sizes: 1 is linear
peak MiB    largest memory at this size
per hour    CPU seconds per hour of recordings where they are read, of sound where it is made

The table is printed for the largest size. All sizes are in `benchmarks.json` and, in double
logarithmic scale, in `benchmarks.png`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Work, cpu_s, least_cpu_s, measured_apart, peak_mib, sgemm
from stages import STAGES, Stage

LONGEST_S, QUICK_S = 30.0, 8.0
"""CPU seconds that a way at one size may take, at most."""
Row = dict[str, Any]


def measure(stage: Stage, way: str, folder: Path, quick: bool) -> list[Row]:
    """Measure a way at ascending sizes, up to the one that would take too long."""
    longest_s, repeats = (QUICK_S, 2) if quick else (LONGEST_S, 3)
    rows: list[Row] = []
    for size in stage.quick if quick else stage.sizes:
        if rows and rows[-1]["cpu_s"] * size / rows[-1]["size"] > longest_s:
            break
        work = stage.ways[way](folder, size)
        (seconds,) = least_cpu_s({way: work}, repeats).values()
        rows.append({"size": size, "cpu_s": seconds, "peak_mib": peak_mib()})
    return rows


def hardware() -> dict[str, float]:
    """Return what one core does: GFLOP/s of sgemm and FFT, GB/s of a copy."""
    import scipy.fft

    block, frames = np.ones(1 << 26, np.uint8), np.ones((512, 2048), np.float32)
    out = np.empty_like(block)
    works: dict[str, tuple[Work, float]] = {
        "sgemm, GFLOP/s": (sgemm(1024, 1024, 1024), 2 * 1024**3 / 1e9),
        "FFT of 2,048, GFLOP/s": (
            lambda: scipy.fft.rfft(frames, axis=1),
            2.5 * frames.size * math.log2(2048) / 1e9,
        ),
        "copy, GB/s": (lambda: np.copyto(out, block), 2 * block.nbytes / 1e9),
    }
    times = least_cpu_s({name: work for name, (work, _) in works.items()}, 5)
    return {name: amount / times[name] for name, (_, amount) in works.items()}


def machine() -> Row:
    """Return the processor, the versions and the load."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    import desc.runs

    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "versions": desc.runs.versions(),
        "hardware": hardware(),
    }


def growth(rows: list[Row]) -> float | None:
    """Return the exponent of the size in the CPU seconds, over the larger half of the sizes."""
    rows = rows[-max(2, -(-len(rows) // 2)) :]
    if len(rows) < 2:
        return None
    x, y = (np.log([row[key] for row in rows]) for key in ("size", "cpu_s"))
    return float(np.polyfit(x, y, 1)[0])


def ways_of(name: str, folder: Path, quick: bool) -> Iterator[tuple[str, list[Row]]]:
    """Measure the ways of a stage, each in its own process; yield the rows of each."""
    stage, script = STAGES[name], str(Path(__file__).resolve())
    options = ["--quick"] if quick else []
    folder.mkdir()
    if stage.prepare:
        measured_apart(script, "--job", name, "prepare", str(folder), *options)
    for way in stage.ways:
        try:
            yield way, measured_apart(script, "--job", name, way, str(folder), *options)
        except subprocess.CalledProcessError:
            print(f"{name}: {way}: left out", file=sys.stderr)


def job(name: str, way: str, folder: Path, quick: bool) -> None:
    """Do one job in this process, and print its rows as JSON."""
    stage = STAGES[name]
    if way == "prepare" and stage.prepare:
        stage.prepare(folder, stage.quick if quick else stage.sizes)
        print("[]")
    else:
        print(json.dumps(measure(stage, way, folder, quick)))


def print_rows(name: str, ways: dict[str, list[Row]]) -> None:
    """Print the largest size of each way of a stage."""
    stage, ours = STAGES[name], {row["size"]: row["cpu_s"] for row in ways.get("desc", [])}
    for way, rows in ways.items():
        row, exponent = rows[-1], growth(rows)
        title = name if way == next(iter(ways)) else ""
        size = f"{row['size']:,} {stage.unit}"
        ratio = row["cpu_s"] / ours[row["size"]] if row["size"] in ours else math.nan
        hour = row["cpu_s"] * stage.per_hour / row["size"]
        shown = f"{exponent:7.2f}" if exponent is not None else f"{'':7}"
        print(
            f"{title:26}{size:>18}  {way:28}{row['cpu_s']:9.3f}{ratio:8.2f}{shown}"
            f"{row['peak_mib']:9.0f}{hour:11.4g}",
            flush=True,
        )


def plot(stages: dict[str, dict[str, list[Row]]], path: Path) -> None:
    """Draw CPU seconds over sizes, a panel per stage."""
    from matplotlib.figure import Figure

    n_columns = 3
    n_rows = -(-len(stages) // n_columns)
    figure = Figure((4 * n_columns, 3 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for panel, (name, ways) in zip(panels, stages.items(), strict=False):
        for way, rows in ways.items():
            style = "k:" if way.startswith("limit") else "o-" if way == "desc" else "s--"
            sizes, seconds = ([row[key] for row in rows] for key in ("size", "cpu_s"))
            panel.loglog(sizes, seconds, style, label=way, markersize=4)
        panel.set(title=name, xlabel=STAGES[name].unit, ylabel="CPU s")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    for panel in panels[len(stages) :]:
        panel.remove()
    figure.savefig(path, dpi=100)


def write(folder: Path, about: Row, stages: dict[str, dict[str, list[Row]]]) -> None:
    """Write the JSON and the plot."""
    content = {
        name: {
            "unit": STAGES[name].unit,
            "ways": {
                way: {
                    "growth": growth(rows),
                    "rows": [
                        row | {"cpu_s_per_hour": row["cpu_s"] * STAGES[name].per_hour / row["size"]}
                        for row in rows
                    ],
                }
                for way, rows in ways.items()
            },
        }
        for name, ways in stages.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": about, "stages": content}, indent=1)
    (folder / "benchmarks.json").write_text(text, "utf-8")
    plot(stages, folder / "benchmarks.png")
    print(f"{folder / 'benchmarks.json'} and benchmarks.png written")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="stages by name")
    parser.add_argument("--output_dir", type=Path, default=Path("benchmark-results"))
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        name, way, folder = args.job
        job(name, way, Path(folder), args.quick)
        return
    began, used = time.perf_counter(), cpu_s()
    about, stages = machine(), {}
    load = f", load {about['load'][0]:.1f}" if about["load"] else ""
    print(f"{about['processor']}, {about['cores']} cores{load}; one thread, CPU seconds")
    print("one core: " + ", ".join(f"{k} {v:.1f}" for k, v in about["hardware"].items()))
    heads = f"{'CPU s':>9}{'/ desc':>8}{'growth':>7}{'peak MiB':>9}{'per hour':>11}"
    print(f"\n{'stage':26}{'size':>18}  {'way':28}{heads}", flush=True)
    with tempfile.TemporaryDirectory() as root:
        for index, name in enumerate(STAGES):
            if any(word in name for word in args.only):
                stages[name] = dict(ways_of(name, Path(root) / str(index), args.quick))
                print_rows(name, stages[name])
    write(args.output_dir, about, stages)
    print(f"{time.perf_counter() - began:.0f} s, {cpu_s() - used:.0f} CPU s")


if __name__ == "__main__":
    main()
