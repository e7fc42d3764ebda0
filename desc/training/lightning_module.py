"""`DescriptorTraining`: the one LightningModule, whatever the model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from desc.configuration import TrainConfig
from desc.models.base import DescriptorModel
from desc.models.checkpoint import KEY, checkpoint_payload
from desc.training.free_running import FreeRunningLoss
from desc.training.schedule import Schedule
from desc.training.state import TrainingState
from desc.training.windows import Batch

STATE_KEY = "desc_training"
CRITIC_BETAS = (0.5, 0.9)  # it follows a moving target


class DescriptorTraining(pl.LightningModule):
    """Learns by maximum likelihood and, every few steps, from free-running continuations.

    What learns is a copy of the model; the model itself is the running average of what that copy
    has been (Polyak & Juditsky 1992), and is what is validated, saved and used.

    Lightning sees one epoch that begins at the state's step, in a new run as in a resumed one:
    passes, batches and steps are counted in the state, so that a resume depends on nothing else.

    Parameters
    ----------
    model : DescriptorModel
    schedule : Schedule
        The length of the run and its learning rate.
    training : TrainConfig
        What it says of weight decay (of matrices; biases, norms and other vectors do not decay),
        of the average and of free-running continuations.
    free_running : FreeRunningLoss, optional
        Without it, the likelihood alone is learned from.
    state : TrainingState, optional
        Where to begin.

    Attributes
    ----------
    model : DescriptorModel
        The average.
    learner : DescriptorModel
        What the optimiser changes.
    """

    def __init__(
        self,
        model: DescriptorModel,
        schedule: Schedule,
        training: TrainConfig,
        free_running: FreeRunningLoss | None = None,
        state: TrainingState | None = None,
    ) -> None:
        super().__init__()
        self.learner = copy.deepcopy(model)
        self.model = model.requires_grad_(False)
        self.schedule = schedule
        self.train_config = training
        self.free_running = free_running
        self.state = state or TrainingState()
        self.in_optimizer_step = False  # while set, weights may be half old and half new
        self._latest: Tensor | None = None
        self._pending: list[Tensor] = []

    def total_nll(self, model: DescriptorModel, batch: Batch) -> Tensor:
        """Return (2,): the sum of the scores of a batch's scored frames, and their number."""
        nll = model.nll(batch.frames, batch.valid)
        zero = torch.zeros((), dtype=nll.dtype, device=nll.device)
        total = torch.where(batch.scored, nll, zero).sum()
        return torch.stack([total, batch.scored.sum().to(nll.dtype)])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the mean score of a batch's scored frames, with that of continuations if due."""
        total = self.total_nll(self.learner, batch)
        self._latest = total.detach()
        loss = total[0] / total[1].clamp(min=1)
        every = self.train_config.rollout_every
        if self.free_running is not None and self.state.step % every == 0:
            # It counts as if it had been asked for at every step.
            loss = loss + every * self.free_running(self.learner, batch)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the sum of the scores and the number of scored frames, (2,)."""
        return self.total_nll(self.model, batch)

    def count(self, batch: Batch) -> None:
        """Advance the state by a batch that was learned from."""
        self.average()
        self.state.advance(batch.epoch, batch.number, batch.is_last)
        if self._latest is not None:
            self._pending.append(self._latest)
        self.in_optimizer_step = False

    @torch.no_grad()
    def average(self) -> None:
        """Bring the average up to date after a step; the first steps are forgotten soon."""
        step = self.state.step
        decay = min(self.train_config.ema_decay, (1 + step) / (10 + step))
        for mean, latest in zip(self.model.parameters(), self.learner.parameters(), strict=True):
            mean.lerp_(latest, 1 - decay)

    def collect_losses(self) -> None:
        """Bring the state's sums up to date; until then losses wait on the device."""
        if not self._pending:
            return
        for loss, n in torch.stack(self._pending).tolist():
            self.state.loss_sum += loss
            self.state.n_scored += n
        self._pending.clear()

    def configure_optimizers(self) -> Optimizer:
        """Return AdamW (Loshchilov & Hutter 2019); the schedule sets its learning rate."""
        matrices = [p for p in self.learner.parameters() if p.ndim >= 2]
        vectors = [p for p in self.learner.parameters() if p.ndim < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": self.train_config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        if self.free_running is not None and self.free_running.critic is not None:
            critic = list(self.free_running.critic.parameters())
            groups.append({"params": critic, "weight_decay": 0.0, "betas": CRITIC_BETAS})
        return torch.optim.AdamW(groups, lr=self.schedule.rate(self.state.step))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Set the learning rate of this step."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        for group in optimizer.param_groups:  # type: ignore[union-attr]
            group["lr"] = self.schedule.rate(self.state.step)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Change the weights; until the step is counted, they belong to no state."""

        def closure() -> Any:
            result = None if optimizer_closure is None else optimizer_closure()
            self.in_optimizer_step = True
            return result

        super().optimizer_step(epoch, batch_idx, optimizer, closure)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Move what was not gathered where it is needed."""
        if batch.frames.device == device:
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the model and the state; Lightning's own counters go."""
        self.collect_losses()
        # The parameters are under Lightning's own key.
        checkpoint[KEY] = checkpoint_payload(self.model, parameters=False)
        checkpoint[STATE_KEY] = self.state.to_dict()
        checkpoint["epoch"], checkpoint["global_step"] = self.state.epoch, self.state.step
        checkpoint.pop("loops", None)  # of this call: a resumed call begins its loops anew

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the state."""
        self.state = TrainingState.from_dict(checkpoint[STATE_KEY])
