"""Checks of a target, its fit to the corpus, and the rows that it may be played with."""

from __future__ import annotations

import logging

import numpy as np

from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorFrames
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError, DescError
from desc.matching.arrays import Bools, Float32, Values

logger = logging.getLogger(__name__)


def target_values(target: DescriptorFrames | Values, config: DescriptorConfig) -> Values:
    """Return the descriptors (T, D) of a target.

    Raises
    ------
    ConfigurationError
        If it has other columns than the database, or was extracted with other settings.
    DescError
        If a frame is not finite; the message names it.
    """
    if isinstance(target, DescriptorFrames) and target.config != config:
        raise ConfigurationError(
            f"{target.source}: its descriptors were extracted with other settings than those of "
            "the database"
        )
    values = target.values if isinstance(target, DescriptorFrames) else target
    if values.ndim != 2 or values.shape[1] != config.n_columns:
        raise ConfigurationError(
            f"a target of shape {values.shape} must be (T, {config.n_columns})"
        )
    broken = np.flatnonzero(~np.isfinite(values).all(1))
    if len(broken):
        raise DescError(
            f"frame {broken[0]} of the {len(values)} frames to match is not finite "
            f"({len(broken)} such frames); descriptors must be finite numbers"
        )
    return values


def moment_matched(values: Values, corpus: Standardizer, amount: float) -> Float32:
    """Return descriptors (T, D) whose mean and spread are moved towards those of a corpus.

    Each column is shifted and scaled as a whole, in its unbounded space, so the course of the
    target stays.

    Parameters
    ----------
    values : ndarray, (T, D)
        At least one frame, in descriptor units.
    corpus : Standardizer
        Mean and scale of the corpus.
    amount : float
        At 0 nothing changes, at 1 mean and standard deviation become those of the corpus. In
        between means move linearly and scales by a constant factor.
    """
    own = Standardizer.fit([values], corpus.config)
    mean = own.mean + amount * (corpus.mean - own.mean)
    scale = own.scale ** (1 - amount) * corpus.scale**amount
    moved = Standardizer(mean, scale, corpus.config).inverse(own.transform(values))
    return moved.astype(np.float32)


def usable_rows(
    target: DescriptorFrames | Values,
    exclude_digest: str | None,
    database: DescriptorDatabase,
    query: QueryConfig,
) -> Bools:
    """Return which rows (N,) may be played; all, with a warning, if none would be left.

    Parameters
    ----------
    target : DescriptorFrames or ndarray
        What is matched.
    exclude_digest : str or None
        Digest of a recording whose rows are left out; None: that of the target.
    database : DescriptorDatabase
        The rows.
    query : QueryConfig
        With `allow_self_match` all rows may be played.
    """
    if exclude_digest is None and isinstance(target, DescriptorFrames):
        exclude_digest = target.digest
    every = np.ones(len(database), bool)
    if exclude_digest is None or query.allow_self_match:
        return every
    usable = ~database.rows_of(exclude_digest)
    if usable.any():
        return usable
    logger.warning("the database contains only the recording itself, so it is matched with itself")
    return every
