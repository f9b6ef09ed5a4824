"""Monte Carlo errors of numbers that were worked out from draws, from the numbers themselves.

A mean of S independent draws has the standard error sd / sqrt(S). That of a quantile is sqrt(p (1 - p) / S) over the
density there, which is not in the results. The slope of the quantile function stands for it, the steepest of several
that go with what is known: a normal distribution's, that of the half on that side, that of a shifted log-normal through
the three quantiles, and a log-normal's with the same mean and standard deviation. So the error is rather too large than
too small. Where a quantile is 0 and the distribution is not, it stands on a heap at 0 that it may leave by a leap:
there, and close to it, no error is known.
"""

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from clvmodels.foundation.patterns import BoolArray, FloatArray

FIVE = ("mean", "sd", "q05", "q50", "q95")
LEVELS = {"q05": 0.05, "q50": 0.50, "q95": 0.95}
TAIL = NormalDist().inv_cdf(0.95)
PRIOR_COUNT = 8.0  # of successes and of failures, before those that were counted: near 0 and 1 a share hides its error
STEEPEST = 4.0  # of the log of a shifted log-normal: beyond it three quantiles say nothing of a slope

Numbers = FloatArray | float


def errors_of_five(five: Mapping[str, FloatArray], draws: float) -> dict[str, FloatArray]:
    """Standard errors of mean, sd, q05, q50 and q95, each shape (K,); NaN where none is known.

    Parameters
    ----------
    five : the same by name, shape (K,); NaN where there is none
    draws : that they were worked out from, as many as they are worth of independent ones
    """
    mean, sd, q05 = five["mean"], five["sd"], five["q05"]
    shape = _shape(five)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scatter = np.where((mean > 0) & (q05 >= 0), sd / mean, 0.0)
        heavy = np.exp(4 * shape**2) + 2 * np.exp(3 * shape**2) + 3 * np.exp(2 * shape**2) - 3
        kurtosis = np.minimum(np.maximum(heavy, 3 + 6 * scatter**2), draws)  # of so many draws it can be no higher
        errors = {"mean": sd / math.sqrt(draws), "sd": sd * np.sqrt((kurtosis - 1) / (4 * draws))}
        for name, level in LEVELS.items():
            slope = _slope(five, name, shape, scatter)
            density = NormalDist().pdf(NormalDist().inv_cdf(level))
            error = slope * math.sqrt(level * (1 - level) / draws) / density
            errors[name] = np.where(_at_heap(five, name), np.nan, error)
    return errors


def _at_heap(five: Mapping[str, FloatArray], name: str) -> BoolArray:
    """Whether a quantile stands on a heap of draws at 0, or so near to one that it may leap there and back."""
    near: BoolArray = (five[name] == 0) & (five["sd"] > 0)
    if name == "q95":
        near |= (five["q50"] == 0) & (five["q95"] < five["sd"])
    return near


def _shape(five: Mapping[str, FloatArray]) -> FloatArray:
    """Standard deviation of the log of a shifted log-normal through the three quantiles, below 0 with a tail below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.log((five["q95"] - five["q50"]) / (five["q50"] - five["q05"])) / TAIL
    return np.clip(np.where(np.isfinite(shape), shape, 0.0), -STEEPEST, STEEPEST)


def _slope(five: Mapping[str, FloatArray], name: str, shape: FloatArray, scatter: FloatArray) -> FloatArray:
    """Steepest plausible slope of the quantile function at a quantile, by standard normal score."""
    lower, upper = (five["q50"] - five["q05"]) / TAIL, (five["q95"] - five["q50"]) / TAIL
    half = {"q05": lower, "q50": np.fmax(lower, upper), "q95": upper}[name]
    score = {"q05": -TAIL, "q50": 0.0, "q95": TAIL}[name]
    curved = np.where(shape == 0, upper, TAIL * upper * shape / np.expm1(TAIL * shape)) * np.exp(shape * score)
    curved = np.where((lower > 0) & (upper > 0), curved, 0.0)
    log_normal = np.sqrt(np.log1p(scatter**2)) * np.abs(five[name])
    # the end of the shorter tail is known better than the standard deviation says
    short = (half > 0) & (half < np.fmax(lower, upper))
    steepest = np.fmax.reduce([np.where(short, 0.0, five["sd"]), half, curved, log_normal])
    return np.where(np.isfinite(five["sd"]) | np.isfinite(half), steepest, np.nan)


def errors_of_band(low: float, high: float, draws: float, *, middle: float | None = None) -> dict[str, float]:
    """Standard errors of the mean, the median ("middle") and both ends of an interval of 90 %, 0 of one without width.

    The standard deviation is a normal distribution's with such an interval; the median that of the interval if not
    given.
    """
    sd, median = (high - low) / (2 * TAIL), (low + high) / 2 if middle is None else middle
    five = dict(zip(FIVE, (median, sd, low, median, high), strict=True))
    errors = errors_of_five({name: np.array([value]) for name, value in five.items()}, draws)
    found = {"mean": errors["mean"], "low": errors["q05"], "middle": errors["q50"], "high": errors["q95"]}
    return {name: float(error[0]) for name, error in found.items()}


def error_of_share(share: Numbers, draws: float) -> Numbers:
    """Standard error of a share of draws, or of a mean of numbers from 0 to 1, which has at most that error."""
    drawn = (share * draws + PRIOR_COUNT) / (draws + 2 * PRIOR_COUNT)
    error: Numbers = np.sqrt(drawn * (1 - drawn) / draws)
    return error


def threshold(comparisons: int, rate: float) -> float:
    """How many standard errors two numbers may lie apart.

    Of so many comparisons of runs that differ by chance alone, at least one is beyond it with a probability of `rate`
    at the most. That holds for skew draws too: the difference of two means of equally many draws is symmetric, and
    measured by its own standard error is beyond z with a probability below 2 exp(-z^2 / 2) [1]_.

    References
    ----------
    .. [1] Efron (1969), Student's t-Test under Symmetry Conditions, Journal of the American Statistical Association
       64(328), doi 10.1080/01621459.1969.10501056.
    """
    return math.sqrt(2 * math.log(2 * max(comparisons, 1) / rate))
