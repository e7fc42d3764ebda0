"""The training loop of all networks of sound generation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from desc.configuration import Note, Progress
from desc.errors import DescError, TrainingInterruptedError
from desc.runs import SAMPLES, RunLog, SoundRecord
from desc.soundgen.checkpoint import SoundCheckpoint
from desc.soundgen.recipe import Recipe
from desc.training.ending import INTERRUPTED, TIME, Clock, Ending
from desc.training.wording import duration, stopped_line

LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"
LARGEST_LOSS = 1e8  # beyond it a loss counts as exploded
MOST_ATTEMPTS = 5
UNTIMED_STEPS, TIMED_STEPS, TIMED_S = 2, 6, 5.0
"""First steps, which take longer; steps and seconds after them that tell how long a run takes."""


@dataclass
class Standing:
    """Where a training stands between two steps.

    Attributes
    ----------
    step : int
        Steps done.
    attempt : int
        How often the training went back after a loss that was no number, or exploded.
    best_loss : float
    best_step : int
    """

    step: int = 0
    attempt: int = 0
    best_loss: float = math.inf
    best_step: int = 0


def _silent(line: str) -> None:
    """Tell nobody."""


class Training:
    """Steps, validations, checkpoints and the guard; `run` returns the finished record.

    Parameters
    ----------
    recipe : Recipe
    log : RunLog
    record : SoundRecord
    progress, note : callable, optional
    clock : callable
        Returns seconds, by which `max_time_s` is counted.
    on_validation : callable, optional
        Called as on_validation(recipe, step) after each validation, the running mean in use.
    """

    def __init__(
        self,
        recipe: Recipe,
        log: RunLog,
        record: SoundRecord,
        *,
        progress: Progress | None = None,
        note: Note | None = None,
        clock: Clock = time.monotonic,
        on_validation: Callable[[Recipe, int], None] | None = None,
    ) -> None:
        self.recipe, self.log, self.record = recipe, log, record
        self.standing = Standing()
        self._progress, self._tell, self._clock = progress, note or _silent, clock
        self._on_validation = on_validation
        self._sums: dict[str, float] = {}
        self._n_summed = 0
        self.figures: dict[str, float] = {}

    def resume(self) -> None:
        """Go on from the run's last checkpoint, if it wrote one."""
        path = self.log.folder / LAST
        if path.is_file():
            self.standing = Standing(**self.recipe.restore(SoundCheckpoint.load(path), path))

    def run(self) -> SoundRecord:
        """Train to the last step, the time limit or Ctrl-C, and write down how it ended.

        Raises
        ------
        DescError
            If losses explode again and again; the last good checkpoint is kept.
        TrainingInterruptedError
            After Ctrl-C, once the run is saved; it is a KeyboardInterrupt.
        """
        limit_s = self.recipe.training.max_time_s
        ending = Ending(self._clock, None if limit_s is None else self._clock() + limit_s)
        began = self._clock()
        try:
            with ending.on_signals():
                self._steps(ending)
        except BaseException:
            self._finish("failed", self._clock() - began, exit_code=1)
            raise
        whole = self.standing.step >= self.recipe.total_steps
        reason = "all steps done" if whole else ending.reason or TIME
        record = self._finish(
            "finished" if whole else "stopped", self._clock() - began, ended=reason
        )
        line = stopped_line(record.run_id, reason, self.standing.step, self.recipe.total_steps)
        if line is not None:
            self._tell(line)
        if ending.reason == INTERRUPTED:
            raise TrainingInterruptedError(record.run_id)
        return record

    def _finish(
        self, status: str, fit_s: float, *, ended: str = "failed", exit_code: int = 0
    ) -> SoundRecord:
        figures = self.record.metrics | self.figures | {"steps": float(self.standing.step)}
        figures["fit_s"] = self.record.metrics.get("fit_s", 0.0) + fit_s
        if math.isfinite(self.standing.best_loss):
            figures |= {
                "val_loss": self.standing.best_loss,
                "best_step": float(self.standing.best_step),
            }
        schedule = {"total_steps": self.recipe.total_steps, "ended": ended}
        record = replace(self.record, status=status, metrics=figures, schedule=schedule)
        self.log.finish(record, exit_code=exit_code)
        return record

    def _steps(self, ending: Ending) -> None:
        training, standing = self.recipe.training, self.standing
        if standing.step == 0:
            self._save()  # what the guard goes back to
        pace = _Pace(self._clock, standing.step + UNTIMED_STEPS)
        while standing.step < self.recipe.total_steps and not ending.poll():
            losses = self.recipe.step(standing.step, standing.attempt)
            if not _good(losses):
                self._go_back(losses)
                continue
            standing.step += 1
            self.recipe.mean.update(standing.step)
            self._count(losses)
            step_s = pace.after(standing.step)
            if step_s is not None:
                self._project(step_s)
            if standing.step % training.log_interval == 0:
                self._write_row()
            if standing.step % training.save_interval == 0:
                self._validate()
            if self._progress is not None:
                self._progress("train", standing.step, self.recipe.total_steps)
        if standing.step and standing.step % training.save_interval:
            self._write_row()
            self._validate()

    def _project(self, step_s: float) -> None:
        """Say how long the training will take, by the first steps."""
        left = self.recipe.total_steps - self.standing.step
        line = f"{1 / step_s:.2g} steps per second: about {duration(left * step_s)} to go"
        if left * step_s > 24 * 3600:
            line += f" ({left * step_s / 86400:.0f} days); --preset small is sized for processors"
        self._tell(line)

    def _count(self, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._n_summed += 1

    def _write_row(self) -> None:
        if self._n_summed:
            means = {f"train_{k}": v / self._n_summed for k, v in self._sums.items()}
            self.log.log(means, self.standing.step)
        self._sums, self._n_summed = {}, 0

    def _validate(self) -> None:
        """Measure the running mean, and keep it: as the last, and where it is, as the best."""
        recipe, standing = self.recipe, self.standing
        samples: dict[str, Path] = {}
        with recipe.mean.in_use():
            figures = recipe.validate()
            good = _good(figures)
            if good:
                samples = recipe.sample(self.log.folder / SAMPLES, standing.step)
                if self._on_validation is not None:
                    self._on_validation(recipe, standing.step)
        if not good:
            self._go_back(figures)
            return
        self.figures = figures
        self.log.log(figures, standing.step)
        self.log.show(samples, standing.step)
        if figures["val_loss"] < standing.best_loss:
            standing.best_loss, standing.best_step = figures["val_loss"], standing.step
            recipe.checkpoint().save(self.log.folder / BEST)
        self._save()

    def _save(self) -> None:
        self.recipe.checkpoint(vars(self.standing)).save(self.log.folder / LAST)

    def _go_back(self, figures: dict[str, float]) -> None:
        """Return to the last good checkpoint, from where other crops are drawn.

        Raises
        ------
        DescError
            After `MOST_ATTEMPTS`.
        """
        bad = ", ".join(f"{k}={v:.3g}" for k, v in figures.items() if not _good({k: v}))
        at, attempt = self.standing.step, self.standing.attempt + 1
        if attempt > MOST_ATTEMPTS:
            raise DescError(
                f"the training exploded at step {at} ({bad}) for the {attempt}th time; a lower "
                f"learning_rate than {self.recipe.training.learning_rate:g} may help"
            )
        path = self.log.folder / LAST
        stored = Standing(**self.recipe.restore(SoundCheckpoint.load(path), path))
        self.standing.__dict__.update(vars(stored) | {"attempt": attempt})
        self._sums, self._n_summed = {}, 0
        self._tell(f"step {at}: {bad}; going on from step {stored.step} with other crops")


class _Pace:
    """Tells once how long a step takes."""

    def __init__(self, clock: Clock, first: int) -> None:
        self._clock, self._first = clock, first
        self._began = math.nan
        self._told = False

    def after(self, step: int) -> float | None:
        """Return seconds per step if it is known now, and was not before."""
        if step == self._first:
            self._began = self._clock()
        if self._told or step < self._first + TIMED_STEPS:
            return None
        spent = self._clock() - self._began
        self._told = spent >= TIMED_S
        return spent / (step - self._first) if self._told else None


def _good(figures: dict[str, float]) -> bool:
    return all(math.isfinite(v) and abs(v) < LARGEST_LOSS for v in figures.values())
