"""Regressions with a distribution: negative binomial purchases and zero-inflated lognormal spend.

References
----------
.. [1] Wang, X., Liu, T. & Miao, J. (2019). A deep probabilistic model for customer lifetime value prediction.
   arXiv:1912.07753
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln, ndtri

from clvmodels.baselines.features import FEATURE_INPUTS, log_features
from clvmodels.baselines.method import (
    Baseline,
    Training,
    knows_spend,
    mean_spend,
    outcomes,
    point_forecast,
    training_length,
)
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, DrawBlock, Forecast

LEVELS = np.array([0.05, 0.50, 0.95])
DRAWS, BLOCK = 2000, 500  # quantiles of a customer, customers at a time: 8 MB
TABLED = 200.0  # largest mean count whose probabilities are tabled one by one
RIDGE = 1e-3  # on coefficients of standardised columns: holds those of columns that say the same
LOG_SHAPE = (-7.0, 7.0)  # beyond, the count is all but a Poisson, or all but never above 0


@dataclass(frozen=True)
class Scale:
    """Mean and spread of each column of those that a regression learns from, shape (columns,) each."""

    centre: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, columns: FloatArray) -> "Scale":
        """The scale on which columns have mean 0 and spread 1; a column that does not vary is 0."""
        spread = columns.std(axis=0)
        return cls(columns.mean(axis=0), np.where(spread > 1e-9, spread, np.inf))

    def design(self, columns: FloatArray) -> FloatArray:
        """The columns on this scale after a constant, shape (N, 1 + columns)."""
        return np.column_stack([np.ones(len(columns)), (columns - self.centre) / self.spread])


@dataclass(frozen=True)
class Distribution:
    """Mean, standard deviation and quantiles of each customer, each shape (N,), and what draws are made from.

    Attributes
    ----------
    at : (rows, levels) -> quantiles of some customers, shape (customers, levels)
    """

    mean: FloatArray
    sd: FloatArray
    at: Callable[[slice, FloatArray], FloatArray]

    @property
    def quantiles(self) -> FloatArray:
        """The 5 %, 50 % and 95 % quantiles, shape (3, N)."""
        return self.at(slice(0, len(self.mean)), LEVELS).T

    def replay(self, mode: str) -> Iterator[DrawBlock]:
        """Draws for scores of single customers: quantiles at even steps, in increasing order.

        They are the same whatever the order of customers, and say nothing of sums over customers.

        Raises
        ------
        DataError
            If draws of all customers together are asked for.
        """
        if mode != "customers":
            raise DataError("the regressions tell each customer's distribution and not that of sums over customers.")
        levels = (np.arange(DRAWS) + 0.5) / DRAWS
        for start in range(0, len(self.mean), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self.mean)))
            yield DrawBlock(rows, slice(0, DRAWS), self.at(rows, levels))


def negative_binomial(mean: FloatArray, shape: float) -> Distribution:
    """Counts that are Poisson with a gamma rate: variance mean + mean^2 / shape."""

    def at(rows: slice, levels: FloatArray) -> FloatArray:
        of = mean[rows, None]
        if len(levels) <= len(LEVELS) or of.max() > TABLED:
            return np.asarray(stats.nbinom.ppf(levels, shape, shape / (shape + of)))
        # Many levels of small counts: a table of each customer's probabilities is faster than as many searches.
        most = int(stats.nbinom.ppf(levels.max(), shape, shape / (shape + of.max())))
        below = np.asarray(stats.nbinom.cdf(np.arange(most + 1), shape, shape / (shape + of)))
        return np.array([np.searchsorted(row, levels) for row in below], dtype=np.float64)

    return Distribution(mean, np.sqrt(mean + mean**2 / shape), at)


def zero_inflated_lognormal(p: FloatArray, mu: FloatArray, sigma: float) -> Distribution:
    """0 with probability 1 - p, else exp of a normal with mean mu and standard deviation sigma."""
    mean = p * np.exp(mu + sigma**2 / 2)
    sd = np.sqrt(np.maximum(p * np.exp(2 * mu + 2 * sigma**2) - mean**2, 0.0))

    def at(rows: slice, levels: FloatArray) -> FloatArray:
        some, centre = p[rows, None], mu[rows, None]
        above = levels - (1 - some)  # of the probability of any spend
        share = np.divide(above, some, out=np.full(above.shape, 0.5), where=above > 0)
        return np.where(above > 0, np.exp(centre + sigma * ndtri(share)), 0.0)

    return Distribution(mean, sd, at)


def fit_negative_binomial(design: FloatArray, count: FloatArray) -> tuple[FloatArray, float]:
    """Coefficients of log mean, shape (P,), and the shape, by maximum likelihood.

    Parameters
    ----------
    design : ndarray, shape (M, P), standardised columns after a constant
    count : ndarray, shape (M,), not all 0
    """

    def misfit(theta: FloatArray) -> tuple[float, FloatArray]:
        log_mean, k = design @ theta[:-1], np.exp(theta[-1])
        mean = np.exp(log_mean)
        spread = np.log1p(mean / k)
        log_p = gammaln(count + k) - gammaln(k) - gammaln(count + 1) + count * (log_mean - theta[-1] - spread)
        of_mean = (count - mean) * k / (k + mean)
        of_shape = k * (digamma(count + k) - digamma(k) - spread) - of_mean
        return float(k * spread.sum() - log_p.sum()), np.append(-design.T @ of_mean, -of_shape.sum())

    start = np.zeros(design.shape[1] + 1)
    start[0] = np.log(count.mean())
    theta = _lowest(misfit, start, bounds=[(None, None)] * design.shape[1] + [LOG_SHAPE])
    return theta[:-1], float(np.exp(theta[-1]))


def fit_logistic(design: FloatArray, happened: FloatArray) -> FloatArray:
    """Coefficients of the log odds by maximum likelihood, shape (P,)."""

    def misfit(theta: FloatArray) -> tuple[float, FloatArray]:
        log_odds = design @ theta
        log_p = happened * log_odds - np.logaddexp(0.0, log_odds)
        return float(-log_p.sum()), design.T @ (expit(log_odds) - happened)

    return _lowest(misfit, np.zeros(design.shape[1]), bounds=[(None, None)] * design.shape[1])


def fit_lognormal(design: FloatArray, amount: FloatArray) -> tuple[FloatArray, float]:
    """Coefficients of the mean log amount, shape (P,), and its standard deviation, by maximum likelihood."""
    weight = np.diag([0.0] + [RIDGE] * (design.shape[1] - 1))
    coefficients = np.linalg.solve(design.T @ design + weight, design.T @ np.log(amount))
    return coefficients, float(np.std(np.log(amount) - design @ coefficients))


def _lowest(
    misfit: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    *,
    bounds: list[tuple[float | None, float | None]],
) -> FloatArray:
    penalised = np.zeros(len(start))
    penalised[1:] = RIDGE

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        value, slope = misfit(theta)
        return value + float(penalised @ theta**2) / 2, slope + penalised * theta

    with np.errstate(over="ignore"):  # a long step of the line search; it is taken back
        found = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 1000},
        )
    return np.asarray(found.x)


def forecasts(customers: CustomerSummary, horizon: float, training: Training) -> dict[str, Forecast]:
    """Purchases as negative binomial counts, spend as a zero-inflated lognormal [1]_, in logs of the columns.

    The log mean count, the log odds of any spend and the mean log of the sum spent are linear in the columns, where
    [1]_ has a network; the count's shape and the standard deviation of the log sum are the same for all. Over a horizon
    other than the training windows' length, by the factor between them: the counts' means are multiplied and their
    shape stays; the probability of no spend is taken to that power; sums grow so that mean spend is multiplied too.

    Returns
    -------
    dict with "purchases", "active", and "spend" (currency) where the training windows know it; purchases and spend
    with sd and quantiles
    """
    typical = _typical_spend(training) if knows_spend(customers, training) else None
    columns = np.concatenate([log_features(known, typical_spend=typical) for known, _ in training])
    scale = Scale.of(columns)
    known, asked = scale.design(columns), scale.design(log_features(customers, typical_spend=typical))
    times = horizon / training_length(training)
    mean, shape = _purchases(known, asked, outcomes(training, "purchases"))
    found = {"purchases": negative_binomial(mean * times, shape)}
    if typical is not None:
        found["spend"] = _spend(known, asked, outcomes(training, "spend"), times=times)

    active = -np.expm1(-shape * np.log1p(mean * times / shape))
    told = {
        quantity: _with_distribution(
            point_forecast(quantity, "ziln", customers=customers, horizon=horizon, mean=one.mean), one
        )
        for quantity, one in found.items()
    }
    return {**told, "active": point_forecast("active", "ziln", customers=customers, horizon=horizon, mean=active)}


def _with_distribution(forecast: Forecast, told: Distribution) -> Forecast:
    q05, q50, q95 = told.quantiles
    return replace(forecast, sd=told.sd, q05=q05, q50=q50, q95=q95, replay=told.replay)


def _typical_spend(training: Training) -> float:
    spends = np.concatenate([mean_spend(known) for known, _ in training])
    return float(spends[spends > 0].mean()) if (spends > 0).any() else 1.0


def _purchases(known: FloatArray, asked: FloatArray, count: FloatArray) -> tuple[FloatArray, float]:
    """Mean count of each customer in a window's length, and the shape that they share."""
    if count.max() == 0:
        return np.zeros(len(asked)), 1.0
    coefficients, shape = fit_negative_binomial(known, count)
    return np.exp(asked @ coefficients), shape


def _spend(known: FloatArray, asked: FloatArray, spent: FloatArray, *, times: float) -> Distribution:
    some = spent > 0
    if not some.any():
        return zero_inflated_lognormal(np.zeros(len(asked)), np.zeros(len(asked)), 0.0)
    log_odds = asked @ fit_logistic(known, some.astype(np.float64))
    coefficients, sigma = fit_lognormal(known[some], spent[some])
    p = expit(log_odds)
    over_horizon = -np.expm1(-times * np.logaddexp(0.0, log_odds))  # 1 - (1 - p)^times
    longer = np.divide(times * p, over_horizon, out=np.ones_like(p), where=over_horizon > 0)  # to 1 as p goes to 0
    return zero_inflated_lognormal(over_horizon, asked @ coefficients + np.log(longer), sigma)


ZILN = Baseline(
    name="ziln",
    rule=forecasts,
    inputs=FEATURE_INPUTS,
    choices=3,  # two families, columns
    trained=True,
)
