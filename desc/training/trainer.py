"""Lightning as this package uses it: one device, one pass, silent; and how fast a model is."""

from __future__ import annotations

import copy
import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.exceptions import (  # type: ignore[attr-defined]
    MisconfigurationException,
)

from desc.configuration import TrainConfig
from desc.errors import ConfigurationError
from desc.models.base import DescriptorModel
from desc.runs import RunLog
from desc.training.callbacks import StepCounter, validation_loss
from desc.training.datamodule import RecordingsDataModule
from desc.training.ending import Clock
from desc.training.free_running import FreeRunningLoss
from desc.training.lightning_module import DescriptorTraining
from desc.training.schedule import Schedule, Speed
from desc.training.state import TrainingState, preserved_randomness
from desc.training.windows import Batch, ValidationBatches

TRIAL_WARMUP = 2  # steps that are not counted, if there are more
TRIAL_STEPS, TRIAL_S = 12, 1.0  # after which a speed that is only told is known well enough
TIMED_STEPS, TIMED_SHARE, TIMED_S = 400, 0.03, 10.0  # one that decides: a share of max_time_s
TRIAL_BATCHES = 4  # of validation
LIGHTNING_LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning", "torch.utilities")


class RunLogger(Logger):
    """Passes what Lightning logs to a `RunLog`."""

    def __init__(self, log: RunLog) -> None:
        super().__init__()
        self._log = log

    @property
    def name(self) -> str:
        """The program."""
        return "desc"

    @property
    def version(self) -> str:
        """The run id."""
        return self._log.run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write a row."""
        self._log.log(metrics, step or 0)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run's settings are logged when it starts."""


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning from talking: what the user should know, this package says."""
    loggers = [logging.getLogger(name) for name in LIGHTNING_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for module in (r"pytorch_lightning(\..*)?", r"lightning_fabric(\..*)?"):
                warnings.filterwarnings("ignore", module=module)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def build_trainer(
    training: TrainConfig,
    folder: Path,
    callbacks: Sequence[pl.Callback],
    logger: Logger | None = None,
) -> pl.Trainer:
    """Return a trainer of one pass on one device.

    Raises
    ------
    ConfigurationError
        If a run cannot have these devices, this machine lacks the accelerator, or it lacks the
        precision.
    """
    if training.devices not in ("1", "auto"):
        raise ConfigurationError(f"devices={training.devices!r} must be 1: a run has one device")
    wanted = f"accelerator={training.accelerator!r} with precision={training.precision!r}"
    try:
        trainer = pl.Trainer(
            accelerator=training.accelerator,
            devices=1,
            precision=training.precision,  # type: ignore[arg-type]
            max_epochs=1,
            gradient_clip_val=training.gradient_clip or None,
            gradient_clip_algorithm="norm",
            callbacks=list(callbacks),
            logger=logger or False,
            default_root_dir=folder,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, ValueError) as error:
        raise ConfigurationError(f"{wanted} is not possible here: {error}") from error
    if trainer.precision != training.precision:
        raise ConfigurationError(
            f"{wanted} is not possible here; {trainer.precision} would be used instead"
        )
    return trainer


def check_machine(training: TrainConfig) -> None:
    """Refuse what this machine cannot do, before any work is done.

    Raises
    ------
    ConfigurationError
        As `build_trainer`.
    """
    with quiet_lightning():
        build_trainer(training, Path(), ())


def run_trainer(
    trainer: pl.Trainer,
    module: DescriptorTraining,
    data: RecordingsDataModule,
    checkpoint: Path | None = None,
) -> None:
    """Fit; what interrupts is raised as KeyboardInterrupt, which Lightning turns into an exit."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error.__context__
        raise
    finally:
        if in_main and handler is not None:
            signal.signal(signal.SIGINT, handler)  # Lightning leaves Ctrl-C without effect


class Stopwatch(pl.Callback):
    """Measures the steps of a trial, and what lies between steps after them.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    limit_s : float
        When to stop.
    validation : ValidationBatches
    interludes : mapping of str to callable
        What else is called with the model, by name.
    """

    def __init__(
        self,
        clock: Clock,
        limit_s: float,
        validation: ValidationBatches,
        interludes: Mapping[str, Callable[[DescriptorModel], object]],
    ) -> None:
        self.clock = clock
        self.limit_s = limit_s
        self.validation = validation
        self.interludes = interludes
        self.interlude_s: dict[str, float] = {}
        self.times: list[float] = []  # when the trial began, and after each step
        self.validation_s = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:  # noqa: ARG002
        """Begin."""
        self.times.append(self.clock())

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take the time once the device has done the step."""
        _wait_for(trainer.strategy.root_device)
        self.times.append(self.clock())
        if len(self.times) > TRIAL_WARMUP and self.times[-1] - self.times[0] >= self.limit_s:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Validate on some batches, and do everything else once."""
        assert isinstance(module, DescriptorTraining)
        some = copy.copy(self.validation)
        some.rows = some.rows[: TRIAL_BATCHES * some.batch_size]
        began = self.clock()
        validation_loss(trainer, module, some)
        self.validation_s = (self.clock() - began) * len(self.validation) / len(some)
        for name, interlude in self.interludes.items():
            began = self.clock()
            interlude(module.model)
            self.interlude_s[name] = self.clock() - began

    @property
    def step_s(self) -> float:
        """Mean seconds of a step, the first ones left out."""
        times = self.times[min(TRIAL_WARMUP, len(self.times) - 2) :]
        return (times[-1] - times[0]) / (len(times) - 1)


def measure_speed(
    model: DescriptorModel,
    data: RecordingsDataModule,
    training: TrainConfig,
    folder: Path,
    *,
    free_running: FreeRunningLoss | None,
    clock: Clock,
    interludes: Mapping[str, Callable[[DescriptorModel], object]],
) -> tuple[Speed, dict[str, float]]:
    """Train a copy for a few steps and throw it away; the random state is left as it was.

    Returns
    -------
    speed : Speed
    interlude_s : dict of str to float
        Seconds that each of the interludes took.
    """
    most, limit_s = TRIAL_STEPS, TRIAL_S
    if training.max_time_s is not None:
        most = TIMED_STEPS
        limit_s = min(TIMED_S, max(TRIAL_S, TIMED_SHARE * training.max_time_s))
    steps = min(most, training.known_epochs * data.steps_per_epoch(1)[0])
    schedule = Schedule(steps, training.learning_rate)
    copies = copy.deepcopy((model, free_running))
    module = DescriptorTraining(copies[0], schedule, training, copies[1])
    stopwatch = Stopwatch(clock, limit_s, data.validation, interludes)
    trainer = build_trainer(training, folder, [StepCounter(), stopwatch])
    data.begin(TrainingState(), steps)
    with preserved_randomness():
        run_trainer(trainer, module, data)
    return Speed(stopwatch.step_s, stopwatch.validation_s), stopwatch.interlude_s


def _wait_for(device: torch.device) -> None:
    """Return when the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
