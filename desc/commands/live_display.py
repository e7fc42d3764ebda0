"""`Display`: a line on the terminal for what plays live."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from desc.commands.console import Console, printing

if TYPE_CHECKING:
    from desc.live import Stream, StreamEvent
    from desc.live.engine import Figures

SHOWN_S = 0.1
"""Time between two lines."""


class Display:
    """A line with levels, pulse, unit and load, drawn again ten times a second on a terminal.

    Parameters
    ----------
    stream : Stream
        The stream.
    console : Console
        Where notes are printed. Quiet: nothing is drawn.
    told : sequence of callable
        Each is called with the same figures.
    """

    def __init__(
        self, stream: Stream, console: Console, told: Sequence[Callable[[Figures], None]]
    ) -> None:
        self._stream, self.console, self._told = stream, console, told
        self._draws = sys.stderr.isatty() and not console.quiet
        self._last, self._unit, self.n_units = 0.0, "", 0
        stream.watchers.append(self._see)

    def show(self, figures: Figures) -> None:
        """Draw the line, if it is time."""
        now = time.monotonic()
        if now - self._last < SHOWN_S:
            return
        self._last = now
        for tell in self._told:
            tell(figures)
        if self._draws:
            text = line(self._stream.settings.mode, figures, self._stream.pulse, self._unit)
            width = shutil.get_terminal_size((160, 24)).columns - 1
            with printing(sys.stderr):
                sys.stderr.write(f"\r\x1b[2K{text[:width]}")
                sys.stderr.flush()

    def end(self) -> None:
        """End the line."""
        if self._draws:
            with printing(sys.stderr):
                sys.stderr.write("\n")

    def _see(self, one: StreamEvent) -> None:
        if not one.is_over and not one.is_joined:
            event = one.event
            self.n_units += 1
            seconds = event.start_sample / self._stream.sample_rate
            printable = "".join(c if c.isprintable() else "?" for c in event.source)
            self._unit = f"{printable} {seconds:.1f} s {event.gain_db:+.1f} dB"


def line(mode: str, figures: Figures, pulse: complex, unit: str) -> str:
    """Return the line of the display: `●` is near a beat, the stronger the pulse the surer."""
    near_beat = abs(pulse) > 0.2 and pulse.real > 0.7 * abs(pulse)
    levels = f"in {_meter(figures.heard_db)} out {_meter(figures.played_db)}"
    beat = "●" if near_beat else "○"
    return f"{mode} {levels} {beat} load {figures.load:4.0%} late {figures.underruns} {unit}"


def _meter(level_db: float) -> str:
    """Return a level from −60 to 0 dB as twelve characters."""
    n = 0 if math.isinf(level_db) else max(0, min(12, math.ceil((level_db + 60) / 5)))
    return "▮" * n + "▯" * (12 - n)
