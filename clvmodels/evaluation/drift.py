r"""Does the base buy as it did? Purchases by period against what the fitted model can explain.

The fit expects mu_t purchases in period t, whatever the calendar says. Residuals r_t = (y_t - mu_t) / sqrt(mu_t) have
neither variance 1 nor independence: customers differ and leave, and the fit has followed the data. Both are taken
care of so. Another value of the parameters moves mu along the columns of its Jacobian J; with these projected out,

    q = (I - J* (J*' J*)^+ J*') r,    J*_t = J_t / sqrt(mu_t),

q does not depend, to first order, on which parameters the fit found. So the same q of purchases told by the model at
the fit's point, not fitted again, has the distribution that q has where the model is true, and a Monte Carlo test [1]_
has the size that it states. Two statistics:

    level    sum over t of (sum over s <= t of sqrt(mu_s) q_s)^2, large where the level moved slowly [2]_
    single   sum over t of q_t^2, large where single periods stand out

each with its Monte Carlo p value, and the smaller of the two held against its own distribution in the replicates, so
that asking twice costs nothing in size.

What the model could explain by other parameters is not seen: demand that falls evenly in a base that was won all at
once looks as customers who leave. And what is seen may be the model's own misfit, such as more purchases soon after
the first than it can have.

References
----------
.. [1] Barnard (1963), discussion of Bartlett, Journal of the Royal Statistical Society B 25; Davison and
   Hinkley (1997), Bootstrap Methods and their Application, section 4.2, doi 10.1017/CBO9780511802843.
.. [2] Nyblom (1989), Testing for the constancy of parameters over time, Journal of the American Statistical
   Association 84, doi 10.1080/01621459.1989.10478759.
"""

import numpy as np

from clvmodels.forecast.drift import require_history
from clvmodels.forecast.drift_response import require_story, slopes_by_period, told_by_period
from clvmodels.foundation.history import PurchaseHistory
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.results import DriftCheck, DriftPeriod
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.result import Fit

THRESHOLD = 0.02  # so that fewer than 5 in 100 stationary bases are flagged, with room for chance
LEAST_REPLICATES = 99  # with fewer no p value is below the threshold


def drift_check(
    fit: Fit, customers: CustomerSummary, *, history: PurchaseHistory, seed: int, replicates: int = 499
) -> DriftCheck:
    """Test of whether the base buys as before, by period of the calibration.

    Parameters
    ----------
    fit : of a purchase model, made on these customers
    customers : a row a customer
    history : their repeat purchases by period, as `purchase_history(log, window)` gives them
    seed : of the replicates
    replicates : bases told by the model; the p value is a multiple of 1 / (replicates + 1)

    Raises
    ------
    FitError
        If the fit is not of these customers' unit, or the model has no story, no expectation or a calendar of its own.
    DataError
        If the history is not of these customers, or seed or replicates cannot be used.
    """
    require_same_units(fit, customers)
    require_story(fit)
    replicates = require_count("replicates", replicates, least=LEAST_REPLICATES)
    rng = np.random.default_rng(require_seed(seed))
    expected = require_history(fit, customers, history)
    told = told_by_period(fit, customers, before_end=history.before_end, size=replicates, rng=rng)
    read = expected > 0
    slopes = slopes_by_period(fit, customers, before_end=history.before_end)[read]
    counts = np.vstack([history.purchases, told])[:, read]
    level, single = _statistics(counts, expected[read], slopes)
    level_p, single_p = _p_values(level), _p_values(single)
    p_value = float(_p_values(-np.minimum(level_p, single_p))[0])
    return DriftCheck(
        model=fit.model.name,
        unit=history.unit,
        periods=_periods(history, expected, told),
        level_p=float(level_p[0]),
        single_p=float(single_p[0]),
        p_value=p_value,
        threshold=THRESHOLD,
        drifts=p_value < THRESHOLD,
        replicates=replicates,
    )


def _statistics(counts: FloatArray, expected: FloatArray, slopes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Level and single statistic of each row of counts, shape (B,)."""
    weight = np.sqrt(expected)
    residuals = (counts - expected) / weight
    along = slopes / weight[:, None]
    left = residuals - (residuals @ along) @ np.linalg.pinv(along)
    sums = np.cumsum(left * weight, axis=1)
    return np.sum(sums**2, axis=1), np.sum(left**2, axis=1)


def _p_values(statistic: FloatArray) -> FloatArray:
    """Share of all rows whose statistic is as large or larger, shape (B,); the first row is the data."""
    ordered = np.sort(statistic)
    return np.asarray(1 - np.searchsorted(ordered, statistic, side="left") / len(statistic))


def _periods(history: PurchaseHistory, expected: FloatArray, told: FloatArray) -> list[DriftPeriod]:
    low, high = np.quantile(told, [0.05, 0.95], axis=0)
    return [
        DriftPeriod(int(end), float(actual), float(mean), float(least), float(most))
        for end, actual, mean, least, most in zip(
            history.before_end, history.purchases, expected, low, high, strict=True
        )
    ]
