"""What happens between the steps of a run: counting, logging, validating, saving, ending."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from desc.configuration import Progress
from desc.errors import DescError
from desc.files import replacing
from desc.models.base import DescriptorModel
from desc.training.ending import EARLY, INTERRUPTED, Clock, Ending
from desc.training.lightning_module import DescriptorTraining
from desc.training.realism import Realism
from desc.training.schedule import is_due
from desc.training.state import preserved_randomness, restore_random_state
from desc.training.windows import Batch, ValidationBatches

TrainingHook = Callable[[DescriptorModel, int, int], None]
"""Called as hook(model, epoch, step) after each planned validation; the model is in eval mode."""

LOG_EVERY = 10  # steps between two rows of metrics.csv
LARGEST_LOSS = 1e6  # nats per frame: bounded heads reach some thousands on damaged frames
BEST, LAST, PLANNED_BEST = "best.ckpt", "last.ckpt", "planned_best.ckpt"


def check_loss(loss: float, what: str, step: int) -> None:
    """Refuse a loss from which no run recovers.

    Raises
    ------
    DescError
        If the loss is not finite or above `LARGEST_LOSS`.
    """
    if math.isfinite(loss) and loss <= LARGEST_LOSS:
        return
    raise DescError(
        f"the {what} is {loss:g} at step {step}: training has diverged, and the checkpoints "
        "before are kept; try a smaller learning_rate or gradient_clip, or precision 32-true"
    )


class StepCounter(pl.Callback):
    """Advances the state after every step, before any other callback sees it."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:  # noqa: ARG002
        """Put the random generators where the state left them."""
        assert isinstance(module, DescriptorTraining)
        if module.state.random:
            restore_random_state(module.state.random)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        module: pl.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Count the batch."""
        assert isinstance(module, DescriptorTraining)
        module.count(batch)


class MetricRows(pl.Callback):
    """Logs the mean loss since the last row, the learning rate and the speed.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    every : int
        Steps between two rows; the last batch of an epoch has one, too.
    """

    def __init__(self, clock: Clock = time.monotonic, every: int = LOG_EVERY) -> None:
        self.clock = clock
        self.every = every
        self.since: float | None = None
        self.n_before = 0.0  # scored frames of the row at hand that an earlier call has seen

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        module: pl.LightningModule,
        batch: Batch,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Begin to measure; validations lie between two rows and are not measured."""
        assert isinstance(module, DescriptorTraining)
        if self.since is None:
            self.since, self.n_before = self.clock(), module.state.n_scored

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Write a row where one is due."""
        assert isinstance(module, DescriptorTraining)
        state, total = module.state, module.schedule.total_steps
        if not (state.step % self.every == 0 or batch.is_last or state.step == total):
            return
        module.collect_losses()
        loss = state.loss_sum / max(state.n_scored, 1.0)
        check_loss(loss, "loss", state.step)
        row = {
            "epoch": batch.epoch,
            "loss": loss,
            "learning_rate": module.schedule.rate(state.step - 1),
        }
        elapsed = self.clock() - (self.since or 0.0)
        if elapsed > 0:
            row["samples_per_second"] = (state.n_scored - self.n_before) / elapsed
        for logger in trainer.loggers:
            logger.log_metrics(row, step=state.step)
        state.loss_sum, state.n_scored, self.since = 0.0, 0.0, None


class Checkpoints(pl.Callback):
    """Validates and saves every `save_interval` epochs and when the run ends, however it ends.

    The validations at the end of epochs and after the last step are planned: a run that is
    stopped and resumed has the same ones, and they alone decide early stopping. One made because
    the run is stopped changes nothing of what a resumed run starts from. Where it gives the best
    model so far, `best.ckpt` becomes that, and the planned best waits under another name.
    Realism is measured after some of the planned validations, and at the end.

    Parameters
    ----------
    folder : Path
        Gets `last.ckpt` and `best.ckpt`.
    validation : ValidationBatches
    save_interval : int
        Epochs between two validations.
    patience : int or None
        Measurements of the monitored figure without improvement before stopping; None: never.
    ending : Ending
        Why to end before the last step.
    monitor : str
        The figure that decides which model is best.
    realism : Realism, optional
        How real the model's continuations are.
    hooks : sequence of callable
        See `TrainingHook`.
    """

    def __init__(
        self,
        folder: Path,
        validation: ValidationBatches,
        *,
        save_interval: int,
        patience: int | None,
        ending: Ending,
        monitor: str = "val_loss",
        realism: Realism | None = None,
        hooks: Sequence[TrainingHook] = (),
    ) -> None:
        self.folder = folder
        self.validation = validation
        self.save_interval = save_interval
        self.patience = patience
        self.ending = ending
        self.monitor = monitor
        self.realism = realism
        self.hooks = tuple(hooks)
        self.figures: dict[int, dict[str, float]] = {}  # by step, of this call
        self.realism_s = 0.0  # spent on it in this call

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Do what is due after this step."""
        assert isinstance(module, DescriptorTraining)
        if self._is_planned(module, ends_epoch=batch.is_last):
            self._planned(trainer, module)
        if module.state.step == module.schedule.total_steps:
            return
        if self.ending.poll() is not None:
            self._stopped(trainer, module)
            trainer.should_stop = True

    def on_exception(
        self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save what an interruption left, if it is the state after a whole step."""
        assert isinstance(module, DescriptorTraining)
        if not isinstance(exception, KeyboardInterrupt):
            return
        self.ending.reason = INTERRUPTED
        state = module.state
        missed = self._is_planned(module, ends_epoch=state.batch == 0)
        whole = not module.in_optimizer_step and not (missed and state.step not in self.figures)
        if whole and state.step > 0:
            self._stopped(trainer, module)

    def _is_planned(self, module: DescriptorTraining, *, ends_epoch: bool) -> bool:
        state = module.state
        epochs_done = ends_epoch and state.step > 0 and state.epoch % self.save_interval == 0
        return epochs_done or state.step == module.schedule.total_steps

    def _planned(self, trainer: pl.Trainer, module: DescriptorTraining) -> None:
        """Validate, save, and decide whether to stop early."""
        state = module.state
        figures = self._validate(trainer, module, with_realism=self._asks_for_realism(module))
        is_best = figures.get(self.monitor, math.inf) < state.best_score
        if is_best:
            state.best_score, state.best_step = figures[self.monitor], state.step
            state.best_figures, state.waited = figures, 0
        elif self.monitor in figures:
            state.waited += 1
        if is_best:  # first: a run killed between the two measures this one again
            self._save(trainer, BEST)
        self._save(trainer, LAST)
        with preserved_randomness():
            module.model.eval()
            for hook in self.hooks:
                hook(module.model, state.epoch, state.step)
            module.model.train()
        if self.patience is not None and state.waited >= self.patience:
            self.ending.reason = EARLY  # the run is over, whatever else asked it to end

    def _stopped(self, trainer: pl.Trainer, module: DescriptorTraining) -> None:
        """Validate and save without a trace in the state."""
        state = module.state
        if self.monitor in self.figures.get(state.step, {}):
            return
        figures = self._validate(trainer, module, with_realism=True)
        if figures.get(self.monitor, math.inf) < state.best_score:
            best = self.folder / BEST
            if best.exists():
                os.replace(best, self.folder / PLANNED_BEST)
            self._save(trainer, BEST)
        self._save(trainer, LAST)

    def _asks_for_realism(self, module: DescriptorTraining) -> bool:
        if self.realism is None:
            return False
        at_end = module.state.step == module.schedule.total_steps
        return at_end or is_due(module.state.epoch, self.realism.every_epochs, self.save_interval)

    def _validate(
        self, trainer: pl.Trainer, module: DescriptorTraining, *, with_realism: bool
    ) -> dict[str, float]:
        """Return `val_loss`, the mean score of the validation frames, and realism; log them."""
        clock, step = self.ending.clock, module.state.step
        began = clock()
        module.collect_losses()
        loss = validation_loss(trainer, module, self.validation)
        self.ending.validation_s = clock() - began + module.schedule.realism_s
        check_loss(loss, "validation loss", step)
        figures = {"val_loss": loss}
        if with_realism and self.realism is not None:
            began = clock()
            with preserved_randomness():
                figures |= self.realism.measure(module.model)
            self.realism_s += clock() - began
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=step)
        self.figures[step] = figures
        return figures

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        with replacing(self.folder / name) as temporary:
            trainer.save_checkpoint(temporary)


def validation_loss(
    trainer: pl.Trainer, module: DescriptorTraining, batches: ValidationBatches
) -> float:
    """Return the mean score of all frames that count; no random number is drawn or lost."""
    total, n_scored = 0.0, 0.0
    module.eval()
    try:
        with preserved_randomness(), torch.no_grad():
            for i, batch in enumerate(batches):
                moved = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
                with trainer.precision_plugin.val_step_context():
                    loss, n = module.validation_step(moved, i).tolist()
                total, n_scored = total + loss, n_scored + n
    finally:
        module.train()
    return total / max(n_scored, 1.0)


class ProgressReport(pl.Callback):
    """Tells a callable how far the run is."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        module: pl.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Report the step."""
        assert isinstance(module, DescriptorTraining)
        self.progress("train", module.state.step, module.schedule.total_steps)
