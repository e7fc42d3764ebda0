"""`DescriptorTask`: the training task of all sequence models."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from desc.configuration import TrainConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.engine import stopping
from desc.engine.fabric import Fabric
from desc.engine.optimization import LearningRate, RunningAverage
from desc.engine.task import Task
from desc.errors import DescError
from desc.models.base import DescriptorModel
from desc.models.checkpoint import KEY, checkpoint_payload, load_model
from desc.scoring.verdict import verdict
from desc.training.baseline import figures
from desc.training.data import TrainingData
from desc.training.free_running import FreeRunningLoss
from desc.training.validation_metrics import Realism
from desc.training.windows import Batch, ValidationBatches

logger = logging.getLogger(__name__)
SampleRenderer = Callable[[DescriptorModel, DescriptorSequence, Path], None]
"""Called as render(model, recording, path): continues the recording and writes it as a WAV."""
MORE = "; more recordings or a longer training may help"
LOG_EVERY = 10  # steps between two rows of metrics.csv
CRITIC_BETAS = (0.5, 0.9)  # it follows a moving target


class DescriptorTask(Task):
    """Maximum likelihood training, with a loss on free-running continuations every few steps.

    Parameters
    ----------
    model : DescriptorModel
    data : TrainingData
    training : TrainConfig
    learning_rate : LearningRate, optional
        Constant over all epochs by default.
    free_running : FreeRunningLoss, optional
        Loss of free-running continuations; without it, likelihood only.
    realism : Realism, optional
        Measurement of realism after some validations.
    samples : tuple of SampleRenderer and DescriptorSequence, optional
        Writer of audio samples after some validations, and the recording it continues.
    fabric : Fabric, optional
    """

    largest_loss = 1e6  # nats per frame: bounded heads reach some thousands on damaged frames

    def __init__(
        self,
        model: DescriptorModel,
        data: TrainingData,
        training: TrainConfig,
        learning_rate: LearningRate | None = None,
        *,
        free_running: FreeRunningLoss | None = None,
        realism: Realism | None = None,
        samples: tuple[SampleRenderer, DescriptorSequence] | None = None,
        fabric: Fabric | None = None,
    ) -> None:
        super().__init__(training, fabric)
        self.config, self.data, self.realism, self.samples = training, data, realism, samples
        self.model = model.to(self.device).train()
        self.networks = {"model": self.model}
        self.free_running = free_running
        if free_running is not None:
            self.networks["free_running"] = free_running.to(self.device)
        data.to(self.device)
        self.average = RunningAverage(self.model, training.ema_decay)
        steps = sum(data.steps_per_epoch(training.epochs or 1))
        self.learning_rate = learning_rate or LearningRate(training.learning_rate, steps)
        self.max_grad_norm, self.seed = training.gradient_clip, training.seed
        self.monitor = training.monitor
        self.patience = training.patience if training.early_stopping else None
        self.realism_s = 0.0  # spent on it in this call
        self.add_optimizer("model", self._optimizer())

    def _optimizer(self) -> AdamW:
        """Return AdamW (Loshchilov & Hutter 2019); only matrices decay."""
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": self.config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        if self.free_running is not None and self.free_running.critic is not None:
            critic = list(self.free_running.critic.parameters())
            groups.append({"params": critic, "weight_decay": 0.0, "betas": CRITIC_BETAS})
        return AdamW(groups, lr=self.learning_rate.at(0))

    def step(self, step: int, attempt: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Train on one batch; return the mean score over its frames and all processes."""
        fabric = self.fabric
        batch = self.data.batch(step, fabric.global_rank, fabric.world_size).to(self.device)
        with fabric.autocast():
            total = self.total_nll(batch)
            loss = score = total[0] / self.mean(total[1]).clamp(min=1)
            every = self.config.rollout_every
            if self.free_running is not None and step % every == 0:
                # It counts as if every step had it.
                loss = score + every * self.free_running(self.model, batch)
        self.update("model", loss, step)
        return {"loss": score.detach()}

    def total_nll(self, batch: Batch) -> Tensor:
        """Return the sum of a batch's scores and the number of scored frames, (2,)."""
        score = self.model.loss(batch.frames, batch.valid)
        zero = torch.zeros((), dtype=score.dtype, device=score.device)
        total = torch.where(batch.scored, score, zero).sum()
        return torch.stack([total, batch.scored.sum().to(score.dtype)])

    @torch.no_grad()
    def validation_loss(self, batches: ValidationBatches) -> float:
        """Return the mean score over the comparable validation frames."""
        total, n_scored = 0.0, 0.0
        self.model.eval()
        for batch in batches:
            with self.fabric.autocast():
                loss, n = self.total_nll(batch.to(self.device)).tolist()
            total, n_scored = total + loss, n_scored + n
        self.model.train()
        return total / max(n_scored, 1.0)

    def validate(self, step: int, *, last: bool) -> dict[str, float]:
        """Return `val_loss`, and the realism metrics when due."""
        values = {"val_loss": self.validation_loss(self.data.validation)}
        every_epochs = self.config.realism_every_epochs
        if self.realism is not None and (last or self._is_due(step, every_epochs)):
            began = stopping.now()
            self.model.eval()
            values |= self.realism.measure(self.model)
            self.model.train()
            self.realism_s += stopping.now() - began
        return values

    def sample(self, folder: Path, step: int) -> dict[str, Path]:
        """Write an audio sample when due; a failure is logged and does not end the training."""
        last = step == self.total_steps
        due = last or self._is_due(step, self.config.sample_every_epochs)
        if self.samples is None or not due:
            return {}
        render, context = self.samples
        path = folder / f"epoch_{self.data.epoch(step):04d}_step_{step:06d}.wav"
        self.model.eval()
        try:
            render(self.model, context, path)
        except DescError as error:
            logger.warning("no audio sample %s: %s", path.stem, error)
            return {}
        finally:
            self.model.train()
        return {"sample": path}

    def _is_due(self, step: int, every_epochs: int) -> bool:
        ends_epoch = self.data.ends_epoch(step)
        return ends_epoch and is_due(self.data.epoch(step), every_epochs, self.config.save_interval)

    def logs_at(self, step: int) -> bool:
        """Return true every ten steps, and at the end of epochs and of the run."""
        last = step == self.total_steps
        return step % LOG_EVERY == 0 or last or self.data.ends_epoch(step)

    def validates_at(self, step: int) -> bool:
        """Return true after every `save_interval` epochs, and at the end of the run."""
        if step == self.total_steps:
            return True
        return self.data.ends_epoch(step) and self.data.epoch(step) % self.config.save_interval == 0

    def row(self, step: int) -> dict[str, float]:
        """Return the epoch, as a column of the row."""
        return {"epoch": float(self.data.epoch(step - 1))}

    def checkpoint(self) -> dict[str, Any]:
        """Return the model as `desc.models.checkpoint.load_model` reads it."""
        return {KEY: checkpoint_payload(self.model, self.average.state_dict())}

    def complete(self, metrics: dict[str, float], best: Path) -> dict[str, float]:
        """Add the realism of the best network if its validation did not measure it."""
        if self.realism is None or "val_fd" in metrics or not best.is_file():
            return metrics
        began = stopping.now()
        model = load_model(best).to(self.device).eval()
        metrics = metrics | self.realism.measure(model)
        self.realism_s += stopping.now() - began
        return metrics

    def final_metrics(self, metrics: dict[str, float]) -> dict[str, float]:
        """Add the number of epochs, the best score, and the seconds spent on realism."""
        metrics = metrics | {"epochs": float(self.data.epoch(int(metrics["steps"])))}
        if "val_loss" in metrics:
            metrics |= figures("val", metrics["val_loss"], self.model.model_config.head)
        if self.realism is not None:
            metrics["realism_s"] = metrics.get("realism_s", 0.0) + self.realism_s
        return metrics

    def verdict(self, metrics: Mapping[str, float]) -> str | None:
        """Compare the realism of the model with that of the linear baseline, if it was measured."""
        model, peer, real = (
            {name: metrics.get(f"{of}_{name}", math.nan) for name in ("fd", "beats", "beats_kept")}
            for of in ("val", "var", "real")
        )
        if math.isnan(model["fd"] + peer["fd"] + real["fd"]):
            return None
        advice = "" if model["fd"] < peer["fd"] else MORE
        return verdict("realism: the model", model, peer, real) + advice


def is_due(epoch: int, every_epochs: int, save_interval: int) -> bool:
    """Return whether periodic work is due after a planned validation.

    If no validation falls on the exact epoch, the work is due after the next validation.

    Parameters
    ----------
    epoch : int
        Completed epochs, a multiple of `save_interval`.
    every_epochs : int
        At least 1.
    save_interval : int
        Epochs between validations.
    """
    return epoch % every_epochs < save_interval
