"""The model confidence set: which methods cannot be told from the best, all compared at once, by all scores.

References
----------
.. [1] Hansen, Lunde & Nason (2011). The model confidence set. Econometrica 79, 453-497. doi:10.3982/ECTA5771
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clvmodels.foundation.patterns import FloatArray, IntArray


@dataclass(frozen=True)
class _Compared:
    """The methods of one score, every two of them.

    Attributes
    ----------
    gaps : ndarray, shape (M, M), differences over their standard errors
    centred : ndarray, shape (M, M, R), the same in replicates, centred and without sign
    """

    gaps: FloatArray
    centred: FloatArray


@dataclass(frozen=True)
class _Test:
    """The largest difference among the methods of a score that are left.

    Attributes
    ----------
    t : the difference
    worst : place, among those left, of the method that is the worse in it
    among_equals : ndarray, shape (R,), the largest in replicates
    """

    t: float
    worst: int
    among_equals: FloatArray


def confidence_sets(losses: Sequence[FloatArray], drawn: Sequence[FloatArray]) -> list[FloatArray]:
    """p-values of the model confidence sets of several scores, one a method; those at or above the level are the set.

    Methods are dropped one by one. The largest studentised difference of two of those left, T_R in section 3.1.2 of
    [1]_, is held against its distribution in the bootstrap, centred; the method that is the worse in it by most goes
    next. The p-value of a method is the largest of the tests up to its own, and that of a score's last is 1. Here the
    largest is taken over the methods and over the scores, which stay together in a replicate. So all sets at level a
    hold the best method of their score with a chance of 1 - a or more together, however many methods and scores there
    are; and among methods equal on all scores any is dropped anywhere with a chance of a or less, in large samples.

    Parameters
    ----------
    losses : of each score, ndarray, shape (M,), the lower the better
    drawn : of each score, ndarray, shape (M, R), the same in bootstrap replicates, paired over methods and scores;
        without any, no method is dropped

    Returns
    -------
    list of ndarray, shape (M,), p-values from 1 / (R + 1) to 1
    """
    p_values = [np.ones(len(of_score)) for of_score in losses]
    if not p_values or drawn[0].shape[1] == 0:
        return p_values
    compared = [_compared(*of_score) for of_score in zip(losses, drawn, strict=True)]
    left = [np.arange(len(of_score)) for of_score in losses]
    tests = [_test(one, methods) for one, methods in zip(compared, left, strict=True)]
    p_so_far = 0.0
    while True:
        score = int(np.argmax([test.t for test in tests]))
        t, worst = tests[score].t, tests[score].worst
        largest = np.max([test.among_equals for test in tests], axis=0)
        p_so_far = max(p_so_far, float((1 + (largest >= t).sum()) / (1 + len(largest))))
        if p_so_far == 1.0:  # at the latest when one method of each score is left: it differs from nobody, by 0
            return p_values
        p_values[score][left[score][worst]] = p_so_far
        left[score] = np.delete(left[score], worst)
        tests[score] = _test(compared[score], left[score])


def _compared(losses: FloatArray, drawn: FloatArray) -> _Compared:
    gap = losses[:, None] - losses[None, :]
    centred = drawn[:, None, :] - drawn[None, :, :] - gap[:, :, None]
    spread = np.sqrt((centred**2).mean(axis=-1))
    return _Compared(_ratio(gap, spread), _ratio(np.abs(centred), spread[:, :, None]))


def _test(compared: _Compared, left: IntArray) -> _Test:
    """Of the methods left; a single one differs from nobody, by nothing in any replicate."""
    among = np.ix_(left, left)
    t = compared.gaps[among]
    return _Test(float(t.max()), int(np.argmax(t.max(axis=1))), compared.centred[among].max(axis=(0, 1)))


def _ratio(difference: FloatArray, spread: FloatArray) -> FloatArray:
    """Difference over its standard error; 0 for methods that never differ, so that neither is dropped for it.

    A difference that is the same in all replicates is as far beyond chance as can be.
    """
    spread = np.broadcast_to(spread, difference.shape)
    certain = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    return np.divide(difference, spread, out=certain, where=spread > 0)
