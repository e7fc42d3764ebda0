"""Frames that training does without: silence, frozen frames, frames far from all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.models.statistics import MAX_QUANTILE_FRAMES, silent_frames

Statics = Sequence[npt.NDArray[np.floating]]

FAR_OUT = 8.0  # robust standard deviations: one frame in 100,000 of orchestral music
NORMAL_IQR = 1.349  # interquartile range of a normal distribution, in standard deviations


def far_frames(recordings: Statics) -> list[npt.NDArray[np.bool_]]:
    """Tell which frames have a column far from what the recordings hold.

    Far is more than `FAR_OUT` robust standard deviations (interquartile range / 1.349) from the
    median over all recordings: clicks and damage. Neither median nor quartiles are moved by the
    frames that are looked for. A column without a range between its quartiles is not judged.

    Parameters
    ----------
    recordings : sequence of ndarray, (C, F)
        Standardised static columns.

    Returns
    -------
    list of ndarray of bool, (C,)
    """
    stride = -(-sum(map(len, recordings)) // MAX_QUANTILE_FRAMES)
    sample = np.concatenate([x[::stride] for x in recordings])
    lower, middle, upper = np.quantile(sample, [0.25, 0.5, 0.75], axis=0)
    deviation = (upper - lower) / NORMAL_IQR
    deviation[deviation <= 0] = np.inf
    return [(np.abs(x - middle) > FAR_OUT * deviation).any(1) for x in recordings]


def outliers(recordings: Statics, config: DescriptorConfig) -> npt.NDArray[np.bool_]:
    """Tell which frames no training item may hold.

    Parameters
    ----------
    recordings : sequence of ndarray, (C, F)
        Standardised static columns.
    config : DescriptorConfig
        What the columns mean.

    Returns
    -------
    ndarray of bool, (N,)
        Frames of all recordings, one after the other: silent (mfcc0 below -2.5 standard
        deviations), frozen (equal to the frame before) or far out (see `far_frames`).
    """
    far = far_frames(recordings)
    silent = [silent_frames(x, config) for x in recordings]
    return np.concatenate(silent) | np.concatenate(far)
