"""How the result of a continuation is told in the terminal."""

from __future__ import annotations

from desc.commands.console import Console
from desc.outputs import WAV
from desc.pipeline import Continuation, Outcome


def report(result: Continuation, console: Console) -> int:
    """Print where each result is and what failed; return the exit status."""
    for outcome in result.outcomes:
        console.result(f"{outcome.source} → {outcome.folder / WAV}{_figures(outcome)}")
    for failure in result.failures:
        console.error(f"{failure.source}: not continued: {failure.reason}")
    if result.failures:
        failed = {failure.source for failure in result.failures}
        total = len(failed | {outcome.source for outcome in result.outcomes})
        console.error(f"{len(failed)} of {total} recordings could not be continued")
    return 1 if result.failures else 0


def _figures(outcome: Outcome) -> str:
    if outcome.status == "kept":
        return " (kept: same request)"
    figures = outcome.figures
    gain_db = figures["gain_db"]
    turned = f", turned down by {-gain_db:.1f} dB" if gain_db else ""
    return (
        f" ({figures['duration_s']:.1f} s, {figures['n_units']:.0f} units from "
        f"{figures['files_used']:.0f} files, mean unit {figures['mean_unit_frames']:.1f} frames, "
        f"mean distance {figures['mean_match_distance']:.2f}, "
        f"{figures['distinct_rows']:.0f} distinct rows = {100 * figures['corpus_coverage']:.2g} % "
        f"of the corpus, repeats {100 * figures['repeat_share']:.0f} %, "
        f"peak {figures['peak']:.2f}{turned})"
    )
