"""Pareto smoothing of importance weights, row by row of a matrix."""

import numpy as np
from scipy import special

from clvmodels.foundation.patterns import FloatArray

PARETO_K_LIMIT = 0.7  # beyond it the weights cannot be trusted
FLAT = 1e-12  # importance ratios that differ by less in their tail are one number but for rounding


def smooth_weights(log_ratio: FloatArray) -> tuple[FloatArray, float]:
    """Weights that sum to 1, the largest smoothed, and Pareto k, of one sample's log importance ratios (M,)."""
    size = len(log_ratio)
    tail_size = int(np.ceil(min(size / 5, 3 * np.sqrt(size))))
    order = np.argsort(log_ratio, kind="stable")
    ratios = np.exp(log_ratio - log_ratio[order[-1]])
    tail = order[-tail_size:]
    smoothed, pareto_k = smooth_tail(ratios[tail][None], ratios[order[-tail_size - 1]][None])
    ratios[tail] = smoothed[0]
    return ratios / ratios.sum(), float(pareto_k[0])


def smooth_tail(tail: FloatArray, cutoff: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Largest importance ratios as quantiles of a generalised Pareto distribution, sec. 2 of [1]_.

    Parameters
    ----------
    tail : ndarray, shape (K, M), the M largest ratios of each row in increasing order, the largest 1
    cutoff : ndarray, shape (K,), the largest ratio outside the tail

    Returns
    -------
    smoothed : ndarray, shape (K, M), at most 1; the raw ratios where no distribution could be fitted
    pareto_k : ndarray, shape (K,); -inf where the ratios do not differ, inf where the fit failed
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # rows without a fit: set below
        k, sigma = _pareto_fit(tail - cutoff[:, None])
        places = (np.arange(tail.shape[1]) + 0.5) / tail.shape[1]
        quantile = np.expm1(np.outer(-k, np.log1p(-places))) / k[:, None]
        smoothed = np.minimum(cutoff[:, None] + sigma[:, None] * quantile, 1.0)
    flat = 1 - cutoff < FLAT
    failed = ~(np.isfinite(k) & np.isfinite(smoothed).all(axis=1))
    smoothed = np.where((flat | failed)[:, None], tail, smoothed)
    return smoothed, np.where(flat, -np.inf, np.where(failed, np.inf, k))


def _pareto_fit(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape and scale of the generalised Pareto distribution of each row, (K, M) in increasing order.

    The estimate of [4]_, a posterior mean over a grid of theta = -k / sigma, with the shape drawn towards .5
    as if by ten more values, app. G of [1]_. NaN where the first quartile is the minimum.
    """
    size = excess.shape[1]
    quartile = excess[:, int(size / 4 + 0.5) - 1]
    points = 30 + int(np.sqrt(size))
    grid = (1 - np.sqrt(points / (np.arange(points) + 0.5))) / 3
    theta = np.outer(1 / quartile, grid) + 1 / excess[:, -1:]  # (K, G)
    shape = np.stack([np.log1p(-theta[:, [g]] * excess).mean(axis=1) for g in range(points)], axis=1)
    log_profile = size * (np.log(-theta / shape) - shape - 1)
    best = np.sum(theta * special.softmax(log_profile, axis=1), axis=1)
    k = np.log1p(-best[:, None] * excess).mean(axis=1)
    sigma = np.where(quartile > excess[:, 0], -k / best, np.nan)
    return (size * k + 10 * 0.5) / (size + 10), sigma
