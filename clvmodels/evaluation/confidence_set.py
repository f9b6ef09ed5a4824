"""The model confidence set: which methods cannot be told from the best, all compared at once.

References
----------
.. [1] Hansen, Lunde & Nason (2011). The model confidence set. Econometrica 79, 453-497. doi:10.3982/ECTA5771
"""

import numpy as np

from clvmodels.foundation.patterns import FloatArray, IntArray


def confidence_set(losses: FloatArray, drawn: FloatArray) -> FloatArray:
    """p-values of the model confidence set, one a method; those at or above the level are the set.

    Methods are dropped one by one. The largest studentised difference of two of those left, T_R in section 3.1.2 of
    [1]_, is held against its distribution in the bootstrap, centred; the method that is the worse in it by most goes
    next. The p-value of a method is the largest of the tests up to its own, and that of the last is 1. So the set at
    level a holds the best method with a chance of 1 - a or more however many methods there are, and among equals a
    method is dropped with a chance of a or less, in large samples.

    Parameters
    ----------
    losses : ndarray, shape (M,), the lower the better
    drawn : ndarray, shape (M, R), the same in bootstrap replicates, paired; without any, no method is dropped

    Returns
    -------
    ndarray, shape (M,), p-values from 1 / (R + 1) to 1
    """
    p_values = np.ones(len(losses))
    if drawn.shape[1] == 0:
        return p_values
    gap, spread, centred = _differences(losses, drawn)
    left = np.arange(len(losses))
    p_so_far = 0.0
    while len(left) > 1:
        t = _ratio(gap[np.ix_(left, left)], spread[np.ix_(left, left)])
        p_so_far = max(p_so_far, _chance(t.max(), left, spread, centred))
        worst = int(np.argmax(t.max(axis=1)))
        p_values[left[worst]] = p_so_far
        left = np.delete(left, worst)
    return p_values


def _differences(losses: FloatArray, drawn: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Differences of every two methods, (M, M); their standard errors; and the centred replicates, (M, M, R)."""
    gap = losses[:, None] - losses[None, :]
    centred = drawn[:, None, :] - drawn[None, :, :] - gap[:, :, None]
    return gap, np.sqrt((centred**2).mean(axis=-1)), centred


def _chance(t: float, left: IntArray, spread: FloatArray, centred: FloatArray) -> float:
    """Chance of a largest difference of t or more among methods that are equal, from the replicates."""
    among = np.ix_(left, left)
    largest = _ratio(np.abs(centred[among]), spread[among][:, :, None]).max(axis=(0, 1))
    return float((1 + (largest >= t).sum()) / (1 + len(largest)))


def _ratio(difference: FloatArray, spread: FloatArray) -> FloatArray:
    """Difference over its standard error; 0 for methods that never differ, so that neither is dropped for it.

    A difference that is the same in all replicates is as far beyond chance as can be.
    """
    spread = np.broadcast_to(spread, difference.shape)
    certain = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    return np.divide(difference, spread, out=certain, where=spread > 0)
