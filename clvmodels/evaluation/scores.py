"""Scores of a forecast against what happened, for all customers or for bootstrap replicates of them.

Each score is a function of a `Resample`: a case (a method's forecast of one outcome) and how often
each customer is counted in each replicate. The plain score is the replicate in which each counts once.
Arrays of replicates and customers have shape (R, N): sums over customers run along memory, in compiled loops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from clvmodels.foundation.patterns import FloatArray, IntArray

Counts = NDArray[np.uint8]
Outcome = Literal["purchases", "spend", "active"]
Better = Literal["low", "high", "zero"]
Needs = Literal["mean", "ranking", "probability", "distribution"]

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
    counts : ndarray of uint8, shape (R, N), how often a customer is counted
    """

    outcome: FloatArray
    ranking: Ranking
    counts: Counts

    @cached_property
    def customers(self) -> FloatArray:
        """Customers counted, shape (R,)."""
        return self.counts.sum(axis=1, dtype=np.float64)

    @cached_property
    def ranks(self) -> FloatArray:
        """Mid-ranks of the outcome's places less their mean, shape (R, G)."""
        from clvmodels.evaluation.kernels import count_places

        held = np.empty((len(self.counts), len(self.ranking.last)))
        count_places(self.counts, self.ranking.place, held)
        ranks: FloatArray = np.cumsum(held, axis=1) - 0.5 * held - 0.5 * self.customers[:, None]
        return ranks

    @cached_property
    def ideal(self) -> "RankedSums":
        """Of a perfect ranking."""
        return ranked_sums(self.outcome, self.ranking, self)


@dataclass(frozen=True)
class RankedSums:
    """What R replicates of the customers hold down a ranking, the best first; equal forecasts share their outcomes.

    Attributes
    ----------
    outcome, forecast : ndarrays, shape (10, R), of the top tenth, two tenths, ... and of all customers; customers with
        equal forecasts at an edge count in part
    gini : ndarray, shape (R,), of the outcome in that order: 2 x area under the concentration curve - 1
    rank_product : ndarray, shape (R,), sum over customers of the product of centred mid-ranks of forecast and outcome
    rank_variance : ndarray, shape (R,), sum of squares of those of the forecast; 0 where all share one place
    """

    outcome: FloatArray
    forecast: FloatArray
    gini: FloatArray
    rank_product: FloatArray
    rank_variance: FloatArray


def ranked_sums(forecast: FloatArray, ranking: Ranking, of: ResampledOutcome) -> RankedSums:
    """Sums down the ranking of a forecast, shape (N,), from one pass over customers and replicates.

    The area is that of trapezoids, straight lines between the places: Σ ½ (y_g + y_g+1)(x_g+1 - x_g) in shares, so that
    2 x area - 1 = Σ (y_g (x_g+1 - x_g) - (y_g+1 - y_g) x_g). The variance of ranks is (n³ - Σ w³) / 12 with w the
    customers of each place: ranks spread evenly over n have n³ / 12, and those of a place, w³ / 12 of it, fall on its
    middle.
    """
    from clvmodels.evaluation.kernels import TENTHS, go_down

    replicates, order = len(of.counts), ranking.order
    outcome_of, forecast_of, sums = (np.empty((rows, replicates)) for rows in (TENTHS, TENTHS, 3))
    in_order = of.outcome[order], forecast[order], of.ranking.place[order]
    go_down(of.counts, order, ranking.last, *in_order, of.ranks, outcome_of, forecast_of, sums)
    crossed, rank_product, rank_variance = sums
    gini = ratio(crossed, of.customers * outcome_of[-1])
    return RankedSums(outcome_of, forecast_of, gini, rank_product, rank_variance)


@dataclass(frozen=True)
class Resample:
    """A case in R replicates of its customers."""

    case: Case
    of: ResampledOutcome

    def means(self, columns: FloatArray) -> FloatArray:
        """Means over customers of columns, shape (K, N) to (K, R)."""
        from clvmodels.evaluation.kernels import weigh

        sums = np.empty((len(columns), len(self.of.counts)))
        weigh(self.of.counts, np.ascontiguousarray(columns), sums)
        return ratio(sums, np.broadcast_to(self.of.customers, sums.shape))

    def mean(self, per_customer: FloatArray) -> FloatArray:
        """Mean over customers of a column, shape (N,) to (R,)."""
        of_one: FloatArray = self.means(per_customer[None, :])[0]
        return of_one

    @cached_property
    def ranked(self) -> RankedSums:
        """Sums down the ranking by forecast."""
        return ranked_sums(self.case.forecast, self.case.ranking, self.of)


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
    ranked = resample.ranked
    error = np.diff(ranked.forecast - ranked.outcome, axis=0, prepend=0.0)  # of each tenth, (10, R)
    return ratio(np.abs(error).sum(axis=0), ranked.outcome[-1])


def spearman(resample: Resample) -> FloatArray:
    """Spearman's rank correlation, ties at their mid-rank; NaN where either side is constant."""
    ranked, ideal = resample.ranked, resample.of.ideal
    return ratio(ranked.rank_product, np.sqrt(ranked.rank_variance * ideal.rank_variance))


def normalised_gini(resample: Resample) -> FloatArray:
    """Gini coefficient of the ranking over that of a perfect one; 1 is perfect, 0 is chance.

    Customers with equal forecasts share the average of their outcomes, so a constant forecast has 0.
    NaN where the outcome is 0 or the same for everyone.
    """
    return ratio(resample.ranked.gini, resample.of.ideal.gini)


def capture(resample: Resample, tenths: int) -> FloatArray:
    """Share of the outcome that the top tenths of customers by forecast carry.

    Customers with equal forecasts at the edge count in part, so a constant forecast captures as many tenths.
    NaN where the outcome is 0.
    """
    outcome = resample.ranked.outcome
    return ratio(outcome[tenths - 1], outcome[-1])


def capture_10(resample: Resample) -> FloatArray:
    """Share of the outcome that the top 10 % of customers by forecast carries."""
    return capture(resample, 1)


def capture_20(resample: Resample) -> FloatArray:
    """Share of the outcome that the top 20 % of customers by forecast carries."""
    return capture(resample, 2)


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
    levels = np.array(PIT_LEVELS)[:, None]
    below = resample.means(np.clip((levels - low) / (high - low), 0.0, 1.0))  # (19, R)
    distance: FloatArray = np.abs(below - levels).max(axis=0)
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


def precision(resample: Resample, tenths: int) -> FloatArray:
    """Share of the top tenths of customers by forecast who came back.

    Customers with equal forecasts at the edge count in part, so a constant forecast has the share of all. NaN where
    nobody came back.
    """
    return capture(resample, tenths) * ratio(resample.ranked.outcome[-1], tenths / 10 * resample.of.customers)


def precision_10(resample: Resample) -> FloatArray:
    """Share of the top 10 % of customers by forecast who came back."""
    return precision(resample, 1)


def precision_20(resample: Resample) -> FloatArray:
    """Share of the top 20 % of customers by forecast who came back."""
    return precision(resample, 2)


@dataclass(frozen=True)
class HeldDraws:
    """S draws of each of N customers, held against their outcomes in one pass; each ndarray has shape (N,).

    Attributes
    ----------
    draws : their number S
    distance : mean distance from the outcome
    spread : Σ_i (2i - S - 1) x_(i), i from 1: the sum of distances of every two draws
    below, equal : draws below the outcome, and equal to it
    positive : draws above 0
    """

    draws: int
    distance: FloatArray
    spread: FloatArray
    below: FloatArray
    equal: FloatArray
    positive: FloatArray

    @classmethod
    def of(cls, ordered: FloatArray, outcome: FloatArray) -> "HeldDraws":
        """Draws in increasing order, shape (N, S), and outcomes, shape (N,)."""
        from clvmodels.evaluation.kernels import hold_draws

        sums = np.empty((5, len(outcome)))
        hold_draws(np.ascontiguousarray(ordered), np.ascontiguousarray(outcome), sums)
        return cls(ordered.shape[1], *sums)


def crps_of_draws(held: HeldDraws) -> FloatArray:
    """Continuous ranked probability score of each customer's draws, at least 2; the fair estimator.

    E|X - y| - ½ E|X - X'|, the second mean over pairs of different draws, so that its expectation
    does not depend on how many draws there are (eq. 6 of [1]_ with the fair weights of [2]_).

    Returns
    -------
    ndarray, shape (N,), in the outcome's unit

    References
    ----------
    .. [1] Gneiting and Raftery (2007), doi:10.1198/016214506000001437
    .. [2] Ferro (2014), doi:10.1002/qj.2270
    """
    return held.distance - held.spread / (held.draws * (held.draws - 1.0))


def log_score_of_draws(held: HeldDraws, outcome: FloatArray) -> FloatArray:
    """Minus the log probability of each customer's count k among S draws; lower is better.

    p = (draws equal to k + w_k) / (S + 1) with w_k = 1 / ((k + 1) (k + 2)), which sums to 1 over k = 0, 1, ...:
    one draw more, from a heavy tail, so that the forecast is a distribution and a count that no draw has costs
    much and not infinitely much. Scores of forecasts with the same number of draws compare.

    Parameters
    ----------
    held : draws of counts
    outcome : ndarray, shape (N,), counts

    Returns
    -------
    ndarray, shape (N,)
    """
    weight = 1 / ((outcome + 1) * (outcome + 2))
    score: FloatArray = np.log(held.draws + 1) - np.log(held.equal + weight)
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
