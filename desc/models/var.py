"""`VectorAutoregression`: the linear baseline of every learned model.

x[t] - m = Σ A[k] (x[t-k] - m) + e[t] on standardised statics, m the mean of the frames before,
centred on the mean of its context, with the innovations of the context replayed (Lütkepohl 2005,
chapter 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from desc.configuration import check_choice, check_integer
from desc.errors import ConfigurationError
from desc.models.replay import replayed_positions

Array = npt.NDArray[np.float64]

ORDER = 16  # frames the regression looks back; skill no longer rises beyond
RIDGE = 1.0  # squared standard deviations added to the regression's diagonal
CONTEXT_FRAMES = 512  # of which the mean is taken, 12 s
STABLE_RADIUS = 0.9995  # largest eigenvalue kept: iterated, the regression must not explode
BLOCK_ROWS = 1 << 16  # regressed at once: 109 MB of predecessors for 13 columns
INNOVATION_BLOCK = 60  # mean length of a replayed block, in frames
SAMPLINGS = ("replay", "gaussian", "mean")


def running_mean(x: Array, length: int = CONTEXT_FRAMES) -> Array:
    """Return for each row of x (T, F) the mean of the up to `length` rows before it.

    Row 0 gets 0, the mean of the training recordings.
    """
    total = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)])
    stop = np.arange(len(x))
    start = np.maximum(0, stop - length)
    return (total[stop] - total[start]) / np.maximum(stop - start, 1)[:, None]


def lagged(x: Array, order: int) -> Array:
    """Return (T - order, order·F): for each row its `order` predecessors, the latest first."""
    n = len(x) - order
    return np.concatenate([x[order - k : order - k + n] for k in range(1, order + 1)], axis=1)


def centred(x: Array, order: int) -> Iterator[tuple[Array, Array]]:
    """Yield predecessors (n, order·F) and rows (n, F) from x[order] on, each around its mean.

    In blocks: an hour's predecessors at once would take half a gigabyte.
    """
    mean = running_mean(x)
    for start in range(order, len(x), BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(x))
        before = lagged(x[start - order : stop], order)
        before.reshape(stop - start, order, -1)[:] -= mean[start:stop, None]
        yield before, x[start:stop] - mean[start:stop]


@dataclass(frozen=True, eq=False)
class VectorAutoregression:
    """A fitted regression.

    Attributes
    ----------
    coefficients : ndarray of float64, (order, F, F)
        A[k] multiplies the frame k + 1 steps back.
    covariance : ndarray of float64, (F, F)
        Of the residuals.
    low, high : ndarray of float64, (F,)
        Bounds of what is generated, standardised.
    """

    coefficients: Array
    covariance: Array
    low: Array
    high: Array

    @property
    def order(self) -> int:
        """Frames the regression looks back."""
        return len(self.coefficients)

    @classmethod
    def fit(
        cls,
        sequences: Sequence[npt.NDArray[np.floating]],
        low: npt.ArrayLike,
        high: npt.ArrayLike,
        *,
        order: int = ORDER,
        ridge: float = RIDGE,
    ) -> VectorAutoregression:
        """Fit by ridge regression.

        Parameters
        ----------
        sequences : sequence of ndarray, (T, F)
            Standardised statics of complete frames, one array per recording; those of at most
            `order` frames are left out.
        low, high : array_like, (F,)
            Bounds of what is generated, standardised.
        order : int
            Frames to look back.
        ridge : float
            Added to the diagonal of the regression.

        Raises
        ------
        ConfigurationError
            If there is no recording.
        """
        check_integer("order", order, 1)
        if not sequences:
            raise ConfigurationError("the regression needs at least one recording")
        size = sequences[0].shape[1]
        gram: Array = np.eye(order * size) * ridge
        cross: Array = np.zeros((order * size, size))
        squares = np.eye(size) * ridge
        n = 0
        for sequence in sequences:
            x: Array = np.asarray(sequence, dtype=np.float64)
            if len(x) <= order:
                continue
            for before, after in centred(x, order):
                gram += before.T @ before
                cross += before.T @ after
                squares += after.T @ after
                n += len(after)
        weights = np.asarray(np.linalg.solve(gram, cross), dtype=np.float64)  # (order·F, F)
        residual = squares - weights.T @ cross - cross.T @ weights + weights.T @ gram @ weights
        covariance = (residual + residual.T) / 2 / max(n, 1)
        coefficients: Array = weights.reshape(order, size, size).transpose(0, 2, 1)
        return cls(
            stabilised(coefficients),
            covariance,
            np.asarray(low, dtype=np.float64),
            np.asarray(high, dtype=np.float64),
        )

    def predict(self, x: npt.NDArray[np.floating]) -> Array:
        """Return one-step predictions (T - order, F) of the rows of x (T, F) from `order` on."""
        rows: Array = np.asarray(x, dtype=np.float64)
        if len(rows) <= self.order:
            return np.zeros((0, rows.shape[1]))
        weights = self._weights()
        errors = [after - before @ weights for before, after in centred(rows, self.order)]
        return rows[self.order :] - np.concatenate(errors)

    def nll(self, x: npt.NDArray[np.floating]) -> Array:
        """Return the negative log-density (T - order,) of x (T, F), standardised, nats per frame.

        Gaussian, with the residuals' covariance; comparable with `DescriptorModel.nll`.
        """
        error = np.asarray(x, dtype=np.float64)[self.order :] - self.predict(x)
        factor = np.linalg.cholesky(self.covariance)
        z = np.linalg.solve(factor, error.T)
        constant = np.log(np.diag(factor)).sum() + 0.5 * len(factor) * math.log(2 * math.pi)
        return 0.5 * (z**2).sum(0) + constant

    def continuation(
        self,
        context: npt.NDArray[np.floating],
        steps: int,
        generator: np.random.Generator,
        *,
        sampling: str = "replay",
        block: int = INNOVATION_BLOCK,
        period: float = math.nan,
    ) -> Array:
        """Continue a context.

        Parameters
        ----------
        context : ndarray, (T, F)
            Standardised statics of complete frames, at least 1; the last 512 are used.
        steps : int
        generator : numpy.random.Generator
        sampling : str
            `replay` takes the context's innovations in blocks (see `desc.models.replay`),
            `gaussian` draws with the residuals' covariance, `mean` adds nothing.
        block : int
            Mean length of a block, in frames.
        period : float
            Period of the context's pulse, in frames, with which blocks stay in phase; NaN: none.

        Returns
        -------
        ndarray of float64, (steps, F)
        """
        check_choice("sampling", sampling, SAMPLINGS)
        check_integer("steps", steps, 1)
        check_integer("block", block, 1)
        context = np.asarray(context, dtype=np.float64)[-CONTEXT_FRAMES:]
        mean = context.mean(0)
        past = np.zeros((self.order, len(mean)))  # before the context: its mean
        x = np.concatenate([past, context - mean])
        weights = self._weights()
        if sampling == "replay":
            innovations = x[self.order :] - lagged(x, self.order) @ weights
            # The first are predicted from less than they should be.
            innovations = innovations[min(self.order, len(innovations) // 2) :]
            places = replayed_positions(
                len(innovations), block, period, lambda n: generator.random(n).tolist()
            )
            noise = innovations[list(islice(places, steps))]
        elif sampling == "gaussian":
            factor = np.linalg.cholesky(self.covariance)
            noise = generator.standard_normal((steps, len(mean))) @ factor.T
        else:
            noise = np.zeros((steps, len(mean)))
        recent = x[-1 : -self.order - 1 : -1].copy()  # (order, F), the latest first
        low, high = self.low - mean, self.high - mean
        frames = np.empty((steps, len(mean)))
        for t in range(steps):
            frame = np.clip(recent.ravel() @ weights + noise[t], low, high)
            recent[1:] = recent[:-1]
            recent[0] = frames[t] = frame
        return frames + mean

    def _weights(self) -> Array:
        """Return the coefficients as one matrix (order·F, F)."""
        return self.coefficients.transpose(0, 2, 1).reshape(-1, len(self.covariance))


def stabilised(coefficients: Array) -> Array:
    """Return coefficients (order, F, F) whose regression does not explode when iterated.

    Where the largest eigenvalue ρ of the companion matrix exceeds `STABLE_RADIUS`, A[k] is
    multiplied by (STABLE_RADIUS / ρ)^(k+1), which scales every eigenvalue by that ratio.
    """
    order, size, _ = coefficients.shape
    companion = np.zeros((order * size, order * size))
    companion[:size] = coefficients.transpose(1, 0, 2).reshape(size, -1)
    companion[size:, :-size] = np.eye((order - 1) * size)
    radius = float(np.abs(np.linalg.eigvals(companion)).max())
    if radius <= STABLE_RADIUS:
        return coefficients
    factors = (STABLE_RADIUS / radius) ** np.arange(1, order + 1)
    return coefficients * factors[:, None, None]
