"""`Engine`: the training loop."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from desc.engine import stopping
from desc.engine.checkpoint import (
    BEST,
    LAST,
    PLANNED_BEST,
    PREVIOUS,
    Progress,
    read_state,
    save_checkpoint,
)
from desc.engine.fabric import reduced
from desc.engine.randomness import (
    derived_seed,
    preserved_randomness,
    random_state,
    restore_random_state,
)
from desc.engine.stopping import (
    EARLY,
    FAILED,
    FINISHED,
    INTERRUPTED,
    StopCondition,
    stop_message,
)
from desc.engine.task import Task
from desc.errors import CheckpointError, DescError, TrainingInterruptedError
from desc.progress import duration, report
from desc.runs import SAMPLES, Record, RunLog

logger = logging.getLogger(__name__)
R = TypeVar("R", bound=Record)

OnValidation = Callable[[nn.Module, int], None]
"""Called as hook(network, step) after each planned validation, the averaged weights in use."""
UNTIMED_STEPS, TIMED_STEPS, TIMED_S = 2, 6, 5.0
"""First steps, which take longer; steps and seconds after them from which the speed is known."""


class Engine(Generic[R]):
    """Training loop of a task: steps, metrics, validation, checkpoints and the stop condition.

    Planned validations are the same in resumed and uninterrupted runs, and only they determine
    early stopping. If a run stops between two of them, it is validated and saved once more, without
    effect on a resumed run: a new best network becomes `best.ckpt`, and the best planned one is
    kept as `planned_best.ckpt`.

    Parameters
    ----------
    task : Task
    record : Record
        Record of the run at its start.
    log : RunLog, optional
        None in all processes but the first.
    stop : StopCondition
    on_validation : callable, optional
        See `OnValidation`; its random draws do not affect training.
    projects : bool
        Whether to log the expected duration after some seconds.
    """

    def __init__(
        self,
        task: Task,
        record: R,
        log: RunLog | None,
        stop: StopCondition,
        *,
        on_validation: OnValidation | None = None,
        projects: bool = True,
    ) -> None:
        self.task, self.record, self.log, self.stop = task, record, log, stop
        self.fabric, self.folder = task.fabric, record.folder
        self.progress = Progress()
        self.on_validation = on_validation
        self.measured: dict[int, dict[str, float]] = {}  # by step, of this call
        self.best_figures: dict[str, float] = {}  # complete, at the end
        self.saved_step = 0
        self._row_began: tuple[float, int] | None = None
        self._timed_from: tuple[float, int] | None = None if projects else (math.nan, 0)

    def run(self) -> R:
        """Train to the last step or until the stop condition holds; return the finished record.

        A run with checkpoints continues from the last one. At the end its log is closed.

        Raises
        ------
        DescError
            If the training diverges; earlier checkpoints are kept.
        TrainingInterruptedError
            After Ctrl-C, once the run is saved; it is a KeyboardInterrupt.
        """
        with self.log or nullcontext():
            self._resume()
            return self._run()

    def _resume(self) -> None:
        """Continue from the run's last checkpoint, if there is one."""
        if self._load():
            step, total = self.progress.step, self.task.total_steps
            logger.info("resuming run %s after step %d of %d", self.run_id, step, total)
        planned = self.folder / PLANNED_BEST
        if self.log is not None and planned.exists():
            os.replace(planned, self.folder / BEST)

    def _run(self) -> R:
        began = stopping.now()
        torch.manual_seed(self.task.seed)
        if self.fabric.global_rank or self.saved_step:
            self._restore_randomness()
        try:
            with self.stop.on_signals():
                self._train()
        except KeyboardInterrupt:  # a second Ctrl-C: the last checkpoint is kept
            self.stop.reason, self.progress.step = INTERRUPTED, self.saved_step
        except BaseException:
            self._finish(FAILED, stopping.now() - began)
            step = self.progress.step
            logger.info("run %s failed at step %d; its checkpoints are kept", self.run_id, step)
            raise
        whole = self.progress.step >= self.task.total_steps
        record = self._finish(
            FINISHED if whole else self.stop.reason or FINISHED, stopping.now() - began
        )
        self._say_why(record)
        if self.stop.reason == INTERRUPTED or self.stop.signal is not None:
            if self.log is not None and not stopping.is_interrupt(self.stop.signal):
                signal.raise_signal(self.stop.signal or signal.SIGINT)
            raise TrainingInterruptedError(record.run_id, record.status)
        return record

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.record.run_id

    def _train(self) -> None:
        """Run the training steps."""
        task, progress = self.task, self.progress
        if progress.step == 0:
            self._save(LAST)  # fallback if the first steps diverge
        self._check_patience()
        while progress.step < task.total_steps and self.stop.reason is None:
            self._start_row()
            losses = self._numbers(task.step(progress.step, progress.attempt))
            if not self._good(losses):
                self._go_back(losses)
                continue
            task.average.update(progress.step)
            progress.step += 1
            self._count(losses)
            self._project()
            if task.logs_at(progress.step):
                self._write_row()
            report("train", progress.step, task.total_steps)
            if task.validates_at(progress.step):
                self._validate()
            if progress.step < task.total_steps:
                self._check_stop()
        unmeasured = task.monitor not in self.measured.get(progress.step, {})
        if unmeasured and progress.step > 0 and self.stop.reason not in (None, EARLY):
            self._validate_at_stop()
        if self.stop.reason != INTERRUPTED:
            self._complete_best()
        self.fabric.barrier()  # no process ends before the first has saved the run

    def _numbers(self, losses: dict[str, Tensor]) -> dict[str, float]:
        """Return the losses as numbers, averaged over all processes."""
        values = self.task.mean(torch.stack([loss.float() for loss in losses.values()]))
        return dict(zip(losses, values.tolist(), strict=True))

    def _good(self, figures: dict[str, float]) -> bool:
        most = self.task.largest_loss
        return all(math.isfinite(v) and abs(v) <= most for v in figures.values())

    def _check_stop(self) -> None:
        """Check signals and the time limit; if one of several processes must stop, stop all."""
        self.stop.check()
        if self.fabric.world_size > 1:
            reasons = (None, stopping.TIME, EARLY, INTERRUPTED)
            here = torch.tensor(float(reasons.index(self.stop.reason)), device=self.fabric.device)
            self.stop.reason = reasons[int(reduced(self.fabric, here, "max"))]

    def _check_patience(self) -> None:
        patience = self.task.patience
        if patience is not None and self.progress.waited >= patience:
            self.stop.reason = EARLY

    def _start_row(self) -> None:
        """Start timing a row; validations fall between rows and are not timed."""
        if self._row_began is None:
            self._row_began = stopping.now(), self.progress.step

    def _count(self, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
            self.progress.counts[name] = self.progress.counts.get(name, 0.0) + 1

    def _write_row(self) -> None:
        """Log the mean losses since the last row, the learning rate and the speed."""
        task, progress = self.task, self.progress
        row = {
            task.loss_prefix + name: total / progress.counts[name]
            for name, total in progress.sums.items()
        } | {"learning_rate": task.learning_rate.at(progress.step - 1)}
        if self._row_began is not None and (spent := stopping.now() - self._row_began[0]) > 0:
            row["steps_per_second"] = (progress.step - self._row_began[1]) / spent
        self._log(row | task.row(progress.step))
        progress.sums, progress.counts, self._row_began = {}, {}, None

    def _log(self, row: dict[str, float]) -> None:
        if self.log is not None:
            self.log.log(row, self.progress.step)

    def _project(self) -> None:
        """Log the expected duration once, after some seconds."""
        step = self.progress.step
        if self._timed_from is None:
            if step - self.saved_step >= UNTIMED_STEPS:
                self._timed_from = stopping.now(), step
        elif step >= self._timed_from[1] + TIMED_STEPS and self._timed_from[0] >= 0:
            spent = stopping.now() - self._timed_from[0]
            if spent >= TIMED_S:
                speed = (step - self._timed_from[1]) / spent
                left = duration((self.task.total_steps - step) / speed)
                logger.info("%.2g steps per second: about %s left", speed, left)
                self._timed_from = (math.nan, 0)

    def _validate(self) -> None:
        """Run a planned validation; save the network as the last, and as the best if it is."""
        task, progress = self.task, self.progress
        with task.average.in_use(), preserved_randomness():
            figures = self._measure(last=progress.step == task.total_steps)
        if not self._good({"val_loss": figures["val_loss"]}):
            self._go_back(figures)
            return
        self._log(figures)
        is_best = figures.get(task.monitor, math.inf) < progress.best_score
        if is_best:
            progress.best_score, progress.best_step = figures[task.monitor], progress.step
            progress.best_figures, progress.waited = figures, 0
            self._save(BEST)  # first: a run killed between the two measures this one again
        elif task.monitor in figures:
            progress.waited += 1
        self._save(LAST)
        with task.average.in_use(), preserved_randomness():
            if self.log is not None:
                self.log.show(task.sample(self.folder / SAMPLES, progress.step), progress.step)
            if self.on_validation is not None and self.log is not None:
                self.on_validation(task.average.network.eval(), progress.step)
                task.average.network.train()
        self._check_patience()

    def _validate_at_stop(self) -> None:
        """Validate and save at a stop, without effect on the progress of a resumed run."""
        task, progress = self.task, self.progress
        with task.average.in_use(), preserved_randomness():
            figures = self._measure(last=True)
            if self.log is not None:
                self.log.show(task.sample(self.folder / SAMPLES, progress.step), progress.step)
        self._log(figures)
        if figures.get(task.monitor, math.inf) < progress.best_score:
            if self.log is not None and (self.folder / BEST).exists():
                os.replace(self.folder / BEST, self.folder / PLANNED_BEST)
            self._save(BEST)
        self._save(LAST)

    def _best(self) -> tuple[float, int, dict[str, float]]:
        """Return score, step and metrics of the best network."""
        progress, monitor = self.progress, self.task.monitor
        measured = [(progress.best_score, progress.best_step, progress.best_figures)]
        measured += [
            (figures[monitor], step, figures)
            for step, figures in self.measured.items()
            if math.isfinite(figures.get(monitor, math.inf))
        ]
        return min(measured, key=lambda one: one[:2])

    def _complete_best(self) -> None:
        """Add what the validation of the best network did not measure to its metrics."""
        score, _, figures = self._best()
        if not math.isfinite(score):
            return
        if self.fabric.is_global_zero:
            try:
                with preserved_randomness():
                    figures = self.task.complete(figures, self.folder / BEST)
            except DescError as error:
                logger.warning("the best network is not measured: %s", error)
        self.best_figures = self.fabric.broadcast(figures)

    def _measure(self, *, last: bool) -> dict[str, float]:
        """Return the metrics of a validation, computed by the first process for all."""
        began, figures = stopping.now(), {}
        if self.fabric.is_global_zero:
            figures = self.task.validate(self.progress.step, last=last)
        figures = self.fabric.broadcast(figures)
        self.stop.reserve_s = max(self.stop.reserve_s, stopping.now() - began)
        self.measured[self.progress.step] = figures
        return figures

    def _save(self, name: str) -> None:
        """Write a checkpoint; the last one also holds the training state."""
        if self.log is None:
            return
        state: dict[str, Any] | None = None
        if name == LAST:
            state = {"progress": self.progress.to_dict(), "random": random_state()}
            state |= self.task.state_dict()
            self.saved_step = self.progress.step
        save_checkpoint(self.folder / name, self.task.checkpoint(), state)

    def _load(self) -> bool:
        """Load the last checkpoint; return whether there is one."""
        state = read_state(self.folder, self.run_id)
        if state is None:
            return False
        try:
            self.task.load_state_dict(state)
            self.progress.__dict__.update(state["progress"])
        except (CheckpointError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.folder}: cannot be resumed: {error}") from error
        self.saved_step = self.progress.step
        self._random = state["random"]
        return True

    def _restore_randomness(self) -> None:
        """Restore torch's global generator, with a different seed in each further process."""
        if self.fabric.global_rank:
            key = (self.task.seed, self.fabric.global_rank, self.progress.step)
            torch.manual_seed(derived_seed(*key))
        else:
            restore_random_state(self._random)

    def _go_back(self, figures: dict[str, float]) -> None:
        """Go back to the last good checkpoint and continue with other batches.

        Raises
        ------
        DescError
            After the task's maximum number of attempts.
        """
        step, attempt = self.progress.step, self.progress.attempt + 1
        bad = ", ".join(f"{k}={v:.3g}" for k, v in figures.items() if not self._good({k: v}))
        if attempt > self.task.most_attempts:
            raise DescError(
                f"training diverged at step {step} ({bad}); earlier checkpoints are kept. Try a "
                f"learning_rate below {self.task.learning_rate.highest:g}, a lower gradient norm "
                "limit, or precision 32-true"
            )
        self.fabric.barrier()
        self._load()
        self._restore_randomness()
        self.progress.attempt, self._row_began = attempt, None
        self.progress.sums, self.progress.counts = {}, {}
        logger.warning(
            "step %d: %s; continuing from step %d with other batches", step, bad, self.saved_step
        )

    def _finish(self, reason: str, fit_s: float) -> R:
        """Record the outcome of the run; return its record."""
        progress, task = self.progress, self.task
        best_score, best_step, best = self._best()
        best = self.best_figures or best
        metrics = {k: v for k, v in self.record.metrics.items() if not k.startswith("val_")}
        metrics["steps"] = float(progress.step)
        metrics["fit_s"] = metrics.get("fit_s", 0.0) + fit_s
        if math.isfinite(best_score):
            metrics |= best | {"best_step": float(best_step)}
        status = {FINISHED: "finished", EARLY: "finished", FAILED: "failed"}.get(reason, "stopped")
        self.record = replace(
            self.record,
            status=status,
            metrics=task.final_metrics(metrics),
            schedule=self.record.schedule | {"total_steps": task.total_steps, "ended": reason},
        )
        if self.log is not None:
            if status == "finished":
                (self.folder / PREVIOUS).unlink(missing_ok=True)
            self.log.finish(self.record, exit_code=1 if reason == FAILED else 0)
        return self.record

    def _say_why(self, record: R) -> None:
        """Log why the run ended, and how good its network is."""
        reason = str(record.schedule["ended"])
        step, total = self.progress.step, self.task.total_steps
        line = stop_message(self.run_id, reason, step, total)
        if reason == EARLY:
            what = self.task.monitor.replace("val_loss", "the validation loss")
            line = f"stopped early at step {step} of {total}: {what} no longer falls"
        for said in (line, self.task.verdict(record.metrics)):
            if said is not None:
                logger.info(said)
