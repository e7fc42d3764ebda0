"""A target moved towards a corpus that is unlike it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query.neighbours import database_statistics

Values = npt.NDArray[np.float32]


def moved_to_corpus(queries: Values, database: DescriptorDatabase, amount: float) -> Values:
    """Return descriptors whose mean and spread lie nearer to those of a database.

    Each column is shifted and scaled as a whole, in its unbounded space, so that the course of the
    target stays; its absolute level and colour are given up as far as the amount says.

    Parameters
    ----------
    queries : ndarray of float32, (T, D)
        The target, in descriptor units.
    database : DescriptorDatabase
        What is to answer it.
    amount : float
        0: nothing is changed; 1: mean and standard deviation become those of the database; between
        them means move in a line and scales by a constant factor.
    """
    if not amount or not len(queries):
        return queries
    own = Standardizer.fit([queries], database.config)
    corpus = database_statistics(database)
    mean = own.mean + amount * (corpus.mean - own.mean)
    scale = own.scale ** (1 - amount) * corpus.scale**amount
    moved = Standardizer(mean, scale, database.config).inverse(own.transform(queries))
    return moved.astype(np.float32)
