"""Scores of a forecast against what happened, for all customers or for bootstrap replicates of them.

Each score is a function of a `Resample`: a case (a method's forecast of one outcome) and how often
each customer is counted in each replicate. The plain score is the replicate in which each counts once.
Arrays of replicates and customers have shape (R, N): sums over customers run along memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import special

from clvmodels.foundation.patterns import FloatArray, IntArray

Outcome = Literal["purchases", "spend", "active"]
Better = Literal["low", "high", "zero"]
Needs = Literal["mean", "ranking", "probability", "distribution"]

DECILES = tuple(tenths / 10 for tenths in range(1, 11))
PIT_LEVELS = tuple(twentieths / 20 for twentieths in range(1, 20))


@dataclass(frozen=True)
class Ranking:
    """Customers from the highest value to the lowest; equal values share a place.

    Attributes
    ----------
    order : ndarray, shape (N,), customers in that order
    last : ndarray, shape (G,), position in `order` of the last customer of each place
    place : ndarray, shape (N,), the place of each customer, 0 the highest
    """

    order: IntArray
    last: IntArray
    place: IntArray

    @classmethod
    def of(cls, values: FloatArray) -> "Ranking":
        """Ranking by value, shape (N,)."""
        order = np.argsort(-values, kind="stable")
        ordered = values[order]
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True]))
        place = np.empty(len(values), dtype=np.int64)
        place[order] = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
        return cls(order, last, place)

    def cumulated(self, weights: FloatArray) -> FloatArray:
        """Sums of (R, N) weights down to each place, shape (R, G + 1), from a column of zeros."""
        sums = np.cumsum(np.take(weights, self.order, axis=1), axis=1)
        return np.hstack([np.zeros((len(weights), 1)), np.take(sums, self.last, axis=1)])


@dataclass(frozen=True)
class Case:
    """One method's forecast of one outcome of N customers.

    Attributes
    ----------
    outcome : ndarray, shape (N,), purchases or spend in the holdout, or 1 for a customer who came back, else 0
    forecast : ndarray, shape (N,), its mean, the probability of coming back, or a unitless score where the method
        only ranks
    low, high : ndarray, shape (N,), the 5 % and 95 % quantiles, NaN without a distribution
    crps : ndarray, shape (N,), continuous ranked probability score, NaN without draws
    log_score : ndarray, shape (N,), minus the log probability of a count, NaN without draws and for spend
    pit_low, pit_high : ndarray, shape (N,), between which the randomised PIT is uniform, NaN without draws
    """

    outcome: FloatArray
    forecast: FloatArray
    low: FloatArray
    high: FloatArray
    crps: FloatArray
    log_score: FloatArray
    pit_low: FloatArray
    pit_high: FloatArray

    @cached_property
    def ranking(self) -> Ranking:
        """Customers by forecast."""
        return Ranking.of(self.forecast)


@dataclass(frozen=True)
class ResampledOutcome:
    """An outcome in R replicates; every method's score reads the same one.

    Attributes
    ----------
    outcome : ndarray, shape (N,)
    ranking : customers by outcome
    weights : ndarray, shape (R, N), how often a customer is counted
    """

    outcome: FloatArray
    ranking: Ranking
    weights: FloatArray

    @cached_property
    def customers(self) -> FloatArray:
        """Customers counted, shape (R,)."""
        return self.weights.sum(axis=1)

    @cached_property
    def amounts(self) -> FloatArray:
        """Outcome times weight, shape (R, N)."""
        return self.weights * self.outcome

    @cached_property
    def customers_down_to(self) -> FloatArray:
        """Number of customers down to each place of the outcome, shape (R, G + 1)."""
        return self.ranking.cumulated(self.weights)

    @cached_property
    def ideal_area(self) -> FloatArray:
        """Area under the concentration curve of a perfect ranking, shape (R,)."""
        return concentration_area(self.customers_down_to, self.ranking.cumulated(self.amounts))

    @cached_property
    def weighted_ranks(self) -> FloatArray:
        """Centred ranks of the outcome, times weight, shape (R, N)."""
        ranks = centred_ranks(self.customers_down_to)
        return self.weights * np.take(ranks, self.ranking.place, axis=1)

    @cached_property
    def rank_variance(self) -> FloatArray:
        """Sum of squares of the centred ranks of the outcome, shape (R,)."""
        return rank_variance(self.customers_down_to)


@dataclass(frozen=True)
class Resample:
    """A case in R replicates of its customers."""

    case: Case
    of: ResampledOutcome

    def mean(self, per_customer: FloatArray) -> FloatArray:
        """Mean over customers of a column, shape (N,) to (R,)."""
        return ratio(_row_products(self.of.weights, per_customer[None, :]), self.of.customers)

    @cached_property
    def customers_down_to(self) -> FloatArray:
        """Number of customers down to each place of the forecast, shape (R, G + 1)."""
        return self.case.ranking.cumulated(self.of.weights)

    @cached_property
    def outcome_down_to(self) -> FloatArray:
        """Outcome of the customers down to each place of the forecast, shape (R, G + 1)."""
        return self.case.ranking.cumulated(self.of.amounts)

    @cached_property
    def forecast_down_to(self) -> FloatArray:
        """Forecast of the customers down to each place of the forecast, shape (R, G + 1)."""
        return self.case.ranking.cumulated(self.of.weights * self.case.forecast)

    def of_top(self, share: float, down_to: FloatArray) -> FloatArray:
        """Part of a sum that the top `share` of customers by forecast carries, shape (R,).

        Customers with equal forecasts at the edge count in part.

        Parameters
        ----------
        share : above 0, at most 1
        down_to : ndarray, shape (R, G + 1), the sum down to each place of the forecast
        """
        customers = self.customers_down_to
        edge = share * customers[:, -1]
        place = (customers < edge[:, None]).sum(axis=1)  # the place that the edge lies in
        replicate = np.arange(len(place))
        before, at = customers[replicate, place - 1], customers[replicate, place]
        sum_before, sum_at = down_to[replicate, place - 1], down_to[replicate, place]
        part: FloatArray = sum_before + (sum_at - sum_before) * ratio(edge - before, at - before)
        return part


@dataclass(frozen=True)
class ScoringRule:
    """A score by name.

    Attributes
    ----------
    name : registry name, "<outcome>_<score>"
    outcome : "purchases", "spend" or "active", whether a customer came back
    function : Resample -> ndarray, shape (R,); NaN where the score has no meaning
    better : "low", "high", or "zero": nearest to `target`
    needs : "mean" (in the outcome's unit), "ranking" (any score), "probability" (of coming back) or "distribution"
    target : the value of a perfect method, read where better is "zero"
    """

    name: str
    outcome: Outcome
    function: Callable[[Resample], FloatArray]
    better: Better
    needs: Needs
    target: float = 0.0


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Quotient of two arrays, NaN where the bottom is not above 0."""
    quotient = np.full_like(bottom, np.nan)
    np.divide(top, bottom, out=quotient, where=bottom > 0)
    return quotient


def mae(resample: Resample) -> FloatArray:
    """Mean absolute error, in the outcome's unit.

    Its best forecast is the median, often 0: a rule that says 0 of most customers can beat the true mean. RMSE is the
    score of a mean (Gneiting 2011, doi:10.1198/jasa.2011.r10138).
    """
    case = resample.case
    return resample.mean(np.abs(case.forecast - case.outcome))


def rmse(resample: Resample) -> FloatArray:
    """Root of the mean squared error, in the outcome's unit."""
    case = resample.case
    return np.sqrt(resample.mean((case.forecast - case.outcome) ** 2))


def bias(resample: Resample) -> FloatArray:
    """Relative error of the total: forecast total / actual total - 1; NaN where the actual total is 0."""
    case = resample.case
    return ratio(resample.mean(case.forecast), resample.mean(case.outcome)) - 1.0


def decile_bias(resample: Resample) -> FloatArray:
    """Distance of forecast and outcome over tenths of the customers: sum of |forecast - actual| / actual total.

    Tenths by forecast, the highest first; customers with equal forecasts at an edge count in part in both. Chance
    alone makes it positive, so a right forecast has not 0, and a bootstrap, which adds chance, draws it too high: it
    compares methods on the same customers. NaN where the actual total is 0.
    """
    error = resample.forecast_down_to - resample.outcome_down_to
    down_to = np.stack([resample.of_top(share, error) for share in DECILES])  # (10, R)
    return ratio(np.abs(np.diff(down_to, axis=0, prepend=0.0)).sum(axis=0), resample.outcome_down_to[:, -1])


def spearman(resample: Resample) -> FloatArray:
    """Spearman's rank correlation, ties at their mid-rank; NaN where either side is constant."""
    down_to = resample.customers_down_to
    ranks = np.take(centred_ranks(down_to), resample.case.ranking.place, axis=1)
    covariance = _row_products(ranks, resample.of.weighted_ranks)
    return ratio(covariance, np.sqrt(rank_variance(down_to) * resample.of.rank_variance))


def normalised_gini(resample: Resample) -> FloatArray:
    """Gini coefficient of the ranking over that of a perfect one; 1 is perfect, 0 is chance.

    Customers with equal forecasts share the average of their outcomes, so a constant forecast has 0.
    NaN where the outcome is 0 or the same for everyone.
    """
    area = concentration_area(resample.customers_down_to, resample.outcome_down_to)
    return ratio(area - 0.5, resample.of.ideal_area - 0.5)


def capture(resample: Resample, share: float) -> FloatArray:
    """Share of the outcome that the top `share` of customers by forecast carries.

    Customers with equal forecasts at the edge count in part, so a constant forecast captures `share`.
    NaN where the outcome is 0.
    """
    outcome = resample.outcome_down_to
    return ratio(resample.of_top(share, outcome), outcome[:, -1])


def capture_10(resample: Resample) -> FloatArray:
    """Share of the outcome that the top 10 % of customers by forecast carries."""
    return capture(resample, 0.10)


def capture_20(resample: Resample) -> FloatArray:
    """Share of the outcome that the top 20 % of customers by forecast carries."""
    return capture(resample, 0.20)


def coverage_90(resample: Resample) -> FloatArray:
    """Share of customers whose outcome lies from q05 to q95, both included.

    Counts often lie on an end, so a perfect forecast of counts covers more than 90 %.
    """
    case = resample.case
    return resample.mean(((case.low <= case.outcome) & (case.outcome <= case.high)).astype(np.float64))


def width_90(resample: Resample) -> FloatArray:
    """Mean width of the 90 % interval, in the outcome's unit; means little without its coverage."""
    return resample.mean(resample.case.high - resample.case.low)


def crps(resample: Resample) -> FloatArray:
    """Mean continuous ranked probability score, in the outcome's unit; NaN without draws."""
    return resample.mean(resample.case.crps)


def log_score(resample: Resample) -> FloatArray:
    """Mean of minus the log probability that the forecast gave to the count that came; NaN without draws."""
    return resample.mean(resample.case.log_score)


def pit_distance(resample: Resample) -> FloatArray:
    """Largest distance of the PIT's distribution from the uniform one, at every twentieth; NaN without draws.

    The chance of a randomised PIT at or below u, averaged over its tie breaks (eq. 2 of [1]_) and over customers.
    0 is perfect, 1 the worst.

    References
    ----------
    .. [1] Czado, Gneiting and Held (2009), doi:10.1111/j.1541-0420.2009.01191.x
    """
    low, high = resample.case.pit_low, resample.case.pit_high
    below = [resample.mean(np.clip((level - low) / (high - low), 0.0, 1.0)) - level for level in PIT_LEVELS]
    distance: FloatArray = np.abs(below).max(axis=0)
    return distance


def brier(resample: Resample) -> FloatArray:
    """Mean squared distance of the probability of coming back from what happened, 0 or 1."""
    case = resample.case
    return resample.mean((case.forecast - case.outcome) ** 2)


def log_loss(resample: Resample) -> FloatArray:
    """Mean of minus the log probability of what happened: that the customer came back, or did not.

    NaN where a customer did what the forecast has as impossible: the score is infinite.
    """
    p, came = resample.case.forecast, resample.case.outcome
    cost = -special.xlogy(came, p) - special.xlog1py(1.0 - came, -p)
    impossible = np.isinf(cost)
    score = resample.mean(np.where(impossible, 0.0, cost))
    return np.where(resample.mean(impossible.astype(np.float64)) > 0, np.nan, score)


def precision(resample: Resample, share: float) -> FloatArray:
    """Share of the top `share` of customers by forecast who came back.

    Customers with equal forecasts at the edge count in part, so a constant forecast has the share of all. NaN where
    nobody came back.
    """
    return capture(resample, share) * ratio(resample.outcome_down_to[:, -1], share * resample.of.customers)


def precision_10(resample: Resample) -> FloatArray:
    """Share of the top 10 % of customers by forecast who came back."""
    return precision(resample, 0.10)


def precision_20(resample: Resample) -> FloatArray:
    """Share of the top 20 % of customers by forecast who came back."""
    return precision(resample, 0.20)


def concentration_area(customers: FloatArray, outcome: FloatArray) -> FloatArray:
    """Area under the share of outcome against the share of customers, best first, shape (R,).

    Straight lines between the places: customers who share a place share their outcomes.

    Parameters
    ----------
    customers, outcome : ndarray, shape (R, G + 1), cumulated from a column of zeros
    """
    # Trapezoids Σ ½ (y_g + y_g+1)(x_g+1 - x_g) = ½ (Σ y_g x_g+1 - Σ y_g+1 x_g + x_G y_G).
    below = _row_products(outcome[:, :-1], customers[:, 1:])
    crossed = below - _row_products(outcome[:, 1:], customers[:, :-1])
    return 0.5 * (1.0 + ratio(crossed, customers[:, -1] * outcome[:, -1]))


def _row_products(a: FloatArray, b: FloatArray) -> FloatArray:
    # Not BLAS, whose last bits depend on the number of rows and of threads.
    products: FloatArray = np.einsum("ij,ij->i", a, b)
    return products


def centred_ranks(customers: FloatArray) -> FloatArray:
    """Mid-ranks of the places less their mean: shape (R, G + 1) cumulated customers to (R, G)."""
    ranks: FloatArray = 0.5 * (customers[:, 1:] + customers[:, :-1] - customers[:, -1:])
    return ranks


def rank_variance(customers: FloatArray) -> FloatArray:
    """Sum over customers of squared centred mid-ranks, shape (R,); 0 where all share one place.

    (n³ - Σ w³) / 12 with w the customers of each place: ranks spread evenly over n have n³ / 12, and
    those of a place, w³ / 12 of it, fall on its middle.
    """
    n, places = customers[:, -1], np.diff(customers, axis=1)
    variance: FloatArray = (n * n * n - (places * places * places).sum(axis=1)) / 12.0
    return variance


def crps_of_draws(ordered: FloatArray, outcome: FloatArray) -> FloatArray:
    """Continuous ranked probability score of each customer's draws; the fair estimator.

    E|X - y| - ½ E|X - X'|, the second mean over pairs of different draws, so that its expectation
    does not depend on how many draws there are (eq. 6 of [1]_ with the fair weights of [2]_).

    Parameters
    ----------
    ordered : ndarray, shape (N, S), draws in increasing order, S at least 2
    outcome : ndarray, shape (N,)

    Returns
    -------
    ndarray, shape (N,), in the outcome's unit

    References
    ----------
    .. [1] Gneiting and Raftery (2007), doi:10.1198/016214506000001437
    .. [2] Ferro (2014), doi:10.1002/qj.2270
    """
    S = ordered.shape[1]
    distance = np.abs(ordered - outcome[:, None]).mean(axis=1)
    # Σ_i<j (x_(j) - x_(i)) = Σ_i (2i - S - 1) x_(i)
    spread = _row_products(ordered, (2.0 * np.arange(1, S + 1) - S - 1)[None, :])
    fair: FloatArray = distance - spread / (S * (S - 1.0))
    return fair


def log_score_of_draws(ordered: FloatArray, outcome: FloatArray) -> FloatArray:
    """Minus the log probability of each customer's count k among S draws; lower is better.

    p = (draws equal to k + w_k) / (S + 1) with w_k = 1 / ((k + 1) (k + 2)), which sums to 1 over k = 0, 1, ...:
    one draw more, from a heavy tail, so that the forecast is a distribution and a count that no draw has costs
    much and not infinitely much. Scores of forecasts with the same number of draws compare.

    Parameters
    ----------
    ordered : ndarray, shape (N, S), draws of counts
    outcome : ndarray, shape (N,), counts

    Returns
    -------
    ndarray, shape (N,)
    """
    equal = (ordered == outcome[:, None]).sum(axis=1)
    weight = 1 / ((outcome + 1) * (outcome + 2))
    score: FloatArray = np.log(ordered.shape[1] + 1) - np.log(equal + weight)
    return score


_RULES = (
    ScoringRule("purchases_mae", "purchases", mae, "low", "mean"),
    ScoringRule("purchases_rmse", "purchases", rmse, "low", "mean"),
    ScoringRule("purchases_bias", "purchases", bias, "zero", "mean"),
    ScoringRule("purchases_decile_bias", "purchases", decile_bias, "low", "mean"),
    ScoringRule("purchases_spearman", "purchases", spearman, "high", "ranking"),
    ScoringRule("purchases_coverage_90", "purchases", coverage_90, "zero", "distribution", target=0.90),
    ScoringRule("purchases_width_90", "purchases", width_90, "low", "distribution"),
    ScoringRule("purchases_crps", "purchases", crps, "low", "distribution"),
    ScoringRule("purchases_log_score", "purchases", log_score, "low", "distribution"),
    ScoringRule("purchases_pit_distance", "purchases", pit_distance, "low", "distribution"),
    ScoringRule("active_brier", "active", brier, "low", "probability"),
    ScoringRule("active_log_score", "active", log_loss, "low", "probability"),
    ScoringRule("active_precision_10", "active", precision_10, "high", "ranking"),
    ScoringRule("active_precision_20", "active", precision_20, "high", "ranking"),
    ScoringRule("spend_mae", "spend", mae, "low", "mean"),
    ScoringRule("spend_rmse", "spend", rmse, "low", "mean"),
    ScoringRule("spend_bias", "spend", bias, "zero", "mean"),
    ScoringRule("spend_decile_bias", "spend", decile_bias, "low", "mean"),
    ScoringRule("spend_spearman", "spend", spearman, "high", "ranking"),
    ScoringRule("spend_gini", "spend", normalised_gini, "high", "ranking"),
    ScoringRule("spend_capture_10", "spend", capture_10, "high", "ranking"),
    ScoringRule("spend_capture_20", "spend", capture_20, "high", "ranking"),
    ScoringRule("spend_coverage_90", "spend", coverage_90, "zero", "distribution", target=0.90),
    ScoringRule("spend_width_90", "spend", width_90, "low", "distribution"),
    ScoringRule("spend_crps", "spend", crps, "low", "distribution"),
    ScoringRule("spend_pit_distance", "spend", pit_distance, "low", "distribution"),
)
# Spend has no log score. Its draws have an atom at 0 and heavy tails: a density of them needs a bandwidth, which then
# decides the score where it costs most, beyond the largest draw. The atom is scored by "active_log_score", the rest
# by CRPS, which takes draws as they are (Krueger, Lerch, Thorarinsdottir and Gneiting 2021, doi:10.1111/insr.12405).
SCORES: dict[str, ScoringRule] = {rule.name: rule for rule in _RULES}
