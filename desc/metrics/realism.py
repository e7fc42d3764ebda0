"""Distances between windows of continuations and windows of real music."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

N_TREES = 100
MOST_ROWS = 2000  # that a kernel compares with each other
LEAST_TRACKS = 3  # recordings for an estimate of the error
FOLDS = 5  # of the classifier's cross-validation, where there are as many tracks


def frechet_distance(generated: npt.ArrayLike, real: npt.ArrayLike) -> float:
    """Return |m - m'|² + tr(C + C' - 2 (C C')^½) of Gaussians fitted to both sets.

    The Fréchet distance (Dowson & Landau 1982; Heusel et al. 2017) of `window_features`, scaled by
    their spread on training music. Reference: 1.7 with 42 excerpts; other music has 7. It rises
    with fewer windows, so compare equal counts. Failure modes: a loop, and a copy of any real
    music; read it with `novelty`.

    Parameters
    ----------
    generated, real : array_like, (n, K) and (m, K)
        At least two rows each, else the result is NaN.

    Returns
    -------
    float
        At least 0.
    """
    x, y = np.asarray(generated, dtype=np.float64), np.asarray(real, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        return math.nan
    mean = ((x.mean(0) - y.mean(0)) ** 2).sum()
    cx, cy = (np.atleast_2d(np.cov(a, rowvar=False)) for a in (x, y))
    values, vectors = np.linalg.eigh(cx)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cy @ root), 0)).sum()
    return max(0.0, float(mean + np.trace(cx) + np.trace(cy) - 2 * cross))


def frechet_error(
    generated: npt.ArrayLike,
    real: npt.ArrayLike,
    generated_tracks: npt.ArrayLike,
    real_tracks: npt.ArrayLike,
) -> float:
    """Return the standard error of a Fréchet distance due to the choice of recordings.

    A jackknife (Tukey 1958): the standard deviation of the distances without one of the N
    recordings each, times √(N − 1).

    Parameters
    ----------
    generated, real : array_like, (n, K) and (m, K)
        Scaled window features.
    generated_tracks, real_tracks : array_like of int, (n,) and (m,)
        The recording of each row; for generated rows, the continued recording.

    Returns
    -------
    float
        NaN with fewer than three recordings, which tell nothing about others.
    """
    x, y = np.asarray(generated, dtype=np.float64), np.asarray(real, dtype=np.float64)
    of_x, of_y = np.asarray(generated_tracks), np.asarray(real_tracks)
    shared = np.intersect1d(of_x, of_y)
    if len(shared) < LEAST_TRACKS:
        return math.nan
    without = [frechet_distance(x[of_x != track], y[of_y != track]) for track in shared]
    return float(np.std(without) * math.sqrt(len(shared) - 1))


def kernel_distance(generated: npt.ArrayLike, real: npt.ArrayLike) -> float:
    """Return the squared maximum mean discrepancy of two sets, without bias.

    The kernel is exp(−d² / median d²) (Gretton et al. 2012); it may be slightly negative for equal
    distributions. Failure mode: a copy of real music.

    Parameters
    ----------
    generated, real : array_like, (n, D) and (m, D)
        At least two rows each, else the result is NaN. Of more than 2,000, evenly spaced ones
        count.

    Returns
    -------
    float
    """
    x, y = (_spaced(np.asarray(rows, dtype=np.float64)) for rows in (generated, real))
    n, m = len(x), len(y)
    if min(n, m) < 2:
        return math.nan
    z = np.concatenate([x, y])
    z = z - z.mean(0)
    norm = (z**2).sum(1)
    squared = np.maximum(norm[:, None] + norm - 2 * z @ z.T, 0)
    np.fill_diagonal(squared, 0)
    if not squared.any():
        return 0.0
    kernel = np.exp(-squared / np.median(squared[squared > 0]))
    within = (kernel[:n, :n].sum() - n) / (n * (n - 1)) + (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return float(within - 2 * kernel[:n, n:].mean())


def _spaced(rows: Array) -> Array:
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)]


def track_distance(
    generated: npt.ArrayLike,
    real: npt.ArrayLike,
    generated_tracks: npt.ArrayLike,
    real_tracks: npt.ArrayLike,
) -> float:
    """Return the distance between the mean features of each track and of its continuations.

    Reference: .22; other music has .57. Failure mode: a repetition of the context.

    Parameters
    ----------
    generated, real : array_like, (n, K) and (m, K)
        Scaled window features.
    generated_tracks, real_tracks : array_like of int, (n,) and (m,)
        The recording of each row.

    Returns
    -------
    float
        Root mean square over features, averaged over the common recordings; NaN without any.
    """
    x, y = np.asarray(generated, dtype=np.float64), np.asarray(real, dtype=np.float64)
    of_x, of_y = np.asarray(generated_tracks), np.asarray(real_tracks)
    shared = np.intersect1d(of_x, of_y)
    distances = [
        math.sqrt(((x[of_x == track].mean(0) - y[of_y == track].mean(0)) ** 2).mean())
        for track in shared
    ]
    return float(np.mean(distances)) if distances else math.nan


def c2st(
    generated: npt.ArrayLike,
    real: npt.ArrayLike,
    generated_tracks: npt.ArrayLike,
    real_tracks: npt.ArrayLike,
    seed: int = 0,
) -> float:
    """Return the separability of generated and real windows: a classifier two-sample test.

    Area under the ROC curve of gradient-boosted trees (scikit-learn) on recordings they were not
    fitted on, averaged over folds (Lopez-Paz & Oquab 2017). Reference: .5, that is chance, or .5 ±
    .1 with few excerpts; 1 where one feature separates the sets. Failure mode: a loop.

    Parameters
    ----------
    generated, real : array_like, (n, K) and (m, K)
        Window features.
    generated_tracks, real_tracks : array_like of int, (n,) and (m,)
        The recording of each row; for generated rows, the continued recording.
    seed : int
        Seed of the classifier.

    Returns
    -------
    float
        From 0 to 1; NaN with fewer than two recordings.
    """
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    x = np.concatenate([np.asarray(generated, float), np.asarray(real, float)])
    label = np.repeat([1, 0], [len(np.asarray(generated)), len(np.asarray(real))])
    groups = np.concatenate([np.asarray(generated_tracks), np.asarray(real_tracks)])
    n_folds = min(FOLDS, len(np.unique(groups)))
    if n_folds < 2:
        return math.nan
    areas = []
    for fit, test in GroupKFold(n_folds).split(x, label, groups):
        if len(np.unique(label[fit])) < 2 or len(np.unique(label[test])) < 2:
            continue
        # Few and small trees, each split of few features: the sets hold hundreds of windows.
        trees = GradientBoostingClassifier(
            n_estimators=N_TREES, max_depth=3, max_features="sqrt", subsample=0.8, random_state=seed
        )
        score = trees.fit(x[fit], label[fit]).predict_proba(x[test])[:, 1]
        areas.append(float(roc_auc_score(label[test], score)))
    return float(np.mean(areas)) if areas else math.nan
