"""A distribution in five numbers, as a report shows it."""

from dataclasses import dataclass

import numpy as np

from clvmodels.foundation.patterns import FloatArray


@dataclass(frozen=True)
class Estimate:
    """A posterior or predictive distribution in five numbers; the interval q05 to q95 holds 90 %.

    `mean` is None where there is none: an infinite expectation, or nothing to estimate from.
    """

    mean: float | None
    sd: float | None
    q05: float | None
    q50: float | None
    q95: float | None


def estimate(draws: FloatArray) -> Estimate:
    """A distribution in five numbers from its draws, shape (S,); one draw has a mean alone.

    The mean is None where it is not finite.
    A quantile is the least draw with that share of the draws at or below it, as in a forecast.
    """
    if len(draws) == 1:
        return Estimate(float(draws[0]), None, None, None, None)
    mean = float(np.mean(draws))
    ordered = np.sort(draws)
    q05, q50, q95 = (float(ordered[-(-len(draws) * twentieths // 20) - 1]) for twentieths in (1, 10, 19))
    if not np.isfinite(mean):
        return Estimate(None, None, *(value if np.isfinite(value) else None for value in (q05, q50, q95)))
    return Estimate(mean, float(np.std(draws, ddof=1)), q05, q50, q95)
