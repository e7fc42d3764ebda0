"""`DescriptorTraining`: the one LightningModule, whatever the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from desc.models.base import DescriptorModel
from desc.models.checkpoint import KEY, checkpoint_payload
from desc.training.schedule import Schedule
from desc.training.state import TrainingState
from desc.training.windows import Batch

STATE_KEY = "desc_training"


class DescriptorTraining(pl.LightningModule):
    """Learns by maximum likelihood: the mean nats per scored frame of a batch fall.

    Lightning sees one epoch that begins at the state's step, in a new run as in a resumed one:
    passes, batches and steps are counted in the state, so that a resume depends on nothing else.

    Parameters
    ----------
    model : DescriptorModel
    schedule : Schedule
        The length of the run and its learning rate.
    weight_decay : float
        Of matrices; biases, norms and other vectors do not decay.
    state : TrainingState, optional
        Where to begin.
    """

    def __init__(
        self,
        model: DescriptorModel,
        schedule: Schedule,
        weight_decay: float,
        state: TrainingState | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.state = state or TrainingState()
        self.in_optimizer_step = False  # while set, weights may be half old and half new
        self._latest: Tensor | None = None
        self._pending: list[Tensor] = []

    def total_nll(self, batch: Batch) -> Tensor:
        """Return (2,): the sum of the scores of a batch's scored frames, and their number."""
        nll = self.model.nll(batch.frames, batch.valid)
        zero = torch.zeros((), dtype=nll.dtype, device=nll.device)
        total = torch.where(batch.scored, nll, zero).sum()
        return torch.stack([total, batch.scored.sum().to(nll.dtype)])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the mean score of a batch's scored frames."""
        total = self.total_nll(batch)
        self._latest = total.detach()
        return total[0] / total[1].clamp(min=1)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the sum of the scores and the number of scored frames, (2,)."""
        return self.total_nll(batch)

    def count(self, batch: Batch) -> None:
        """Advance the state by a batch that was learned from."""
        self.state.advance(batch.epoch, batch.number, batch.is_last)
        if self._latest is not None:
            self._pending.append(self._latest)
        self.in_optimizer_step = False

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
        matrices = [p for p in self.parameters() if p.ndim >= 2]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": self.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
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
