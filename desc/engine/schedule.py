"""Learning rate schedule: a function of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LearningRate:
    """Linear warmup, then half a cosine down (Loshchilov & Hutter 2017).

    Attributes
    ----------
    highest : float
        Learning rate at the end of the warmup.
    total_steps : int
        Steps of the whole training.
    warmup_steps : int
        Steps until the rate is highest.
    last_share : float
        Share of the highest rate at the last step; 1: constant.
    """

    highest: float
    total_steps: int
    warmup_steps: int = 0
    last_share: float = 1.0

    def at(self, step: int) -> float:
        """Return the learning rate of the step that follows `step` steps."""
        if step < self.warmup_steps:
            return self.highest * (step + 1) / self.warmup_steps
        left = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / left)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.highest * (self.last_share + (1 - self.last_share) * cosine)
