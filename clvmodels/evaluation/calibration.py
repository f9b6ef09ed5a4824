"""Is the predictive distribution right? Groups, counts, coverage and PIT, from one pass over the draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from clvmodels.evaluation.drawn import DrawScores, score_draws
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import DrawBlock, Forecast, IdArray, Replay
from clvmodels.foundation.results import CalibrationRow, CountRow, CoverageRow

GROUPS = ("0", "1", "2", "3", "4", "5", "6", "7+")
COUNTS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9+")
PROBABILITIES = (0.50, 0.80, 0.90, 0.95)
BAND = (0.05, 0.95)


@dataclass(frozen=True)
class PredictiveCheck:
    """Predictive draws of N customers held against their outcomes, in S draws.

    Attributes
    ----------
    quantity : "purchases" or "spend"
    outcome : ndarray, shape (N,), what happened
    group : ndarray of int, shape (N,), place of each customer in `GROUPS`, by frequency
    drawn : scores of each customer's draws
    pit : ndarray, shape (N,), randomised probability integral transform, uniform if all is right
    inside : ndarray of bool, shape (N, 4), outcome within the interval of each of `PROBABILITIES`
    group_totals : ndarray, shape (8, S), predicted total of each group in each draw
    count_totals : ndarray, shape (10, S), customers predicted at each of `COUNTS` in each draw
    """

    quantity: str
    outcome: FloatArray
    group: IntArray
    drawn: DrawScores
    pit: FloatArray
    inside: np.ndarray
    group_totals: FloatArray
    count_totals: FloatArray


def predictive_check(
    forecast: Forecast, outcome: FloatArray, *, frequency: FloatArray, rng: np.random.Generator
) -> PredictiveCheck:
    """Check of a forecast by one pass over its draws, a block of customers at a time.

    Parameters
    ----------
    forecast : of "purchases" or "spend", with a replay
    outcome : ndarray, shape (N,), what happened, in the forecast's order of customers
    frequency : ndarray, shape (N,), repeat purchases in the calibration
    rng : draws one number a customer, which breaks ties in the PIT

    Raises
    ------
    DataError
        If the forecast has no draws, fewer than two of them, or not one row for each outcome.
    """
    replay = _checked_replay(forecast, outcome, frequency)
    group = np.minimum(frequency, len(GROUPS) - 1).astype(np.int64)
    tie_breaks = _by_customer(rng.random(len(outcome)), forecast.customer_id)
    scored: list[DrawScores] = []
    inside: list[np.ndarray] = []
    group_totals, count_totals = np.zeros((len(GROUPS), 1)), np.zeros((len(COUNTS), 1))
    for block in replay("customers"):
        _check_block(block, forecast)
        rows = block.rows
        ordered = np.sort(block.values, axis=1)
        scored.append(score_draws(forecast.quantity, ordered, outcome[rows]))
        inside.append(_inside(ordered, outcome[rows]))
        member = (group[rows] == np.arange(len(GROUPS))[:, None]).astype(np.float64)
        group_totals = group_totals + member @ block.values
        count_totals = count_totals + _counted(block.values)
    drawn = DrawScores.joined(scored)
    pit = drawn.pit_low + tie_breaks * (drawn.pit_high - drawn.pit_low)
    return PredictiveCheck(
        forecast.quantity, outcome, group, drawn, pit, np.concatenate(inside), group_totals, count_totals
    )


def _checked_replay(forecast: Forecast, outcome: FloatArray, group: np.ndarray) -> Replay:
    if forecast.replay is None:
        raise DataError(
            f"the forecast of {forecast.quantity} by {forecast.method} has no draws: a check of the "
            "distribution needs a forecast with one."
        )
    if not len(forecast) == len(outcome) == len(group):
        raise DataError(
            f"the forecast of {forecast.quantity} has {len(forecast)} customers, the outcome {len(outcome)}, "
            f"frequency or group {len(group)}: give all three in the same order of customers."
        )
    return forecast.replay


def _check_block(block: DrawBlock, forecast: Forecast) -> None:
    if block.values.shape[1] < 2:
        raise DataError(
            f"the forecast of {forecast.quantity} has {block.values.shape[1]} draw a customer: a check of "
            "its distribution needs two or more."
        )


def _by_customer(values: FloatArray, ids: IdArray) -> FloatArray:
    """Values handed out in the order of customer_id, so that the order of rows changes nothing."""
    handed = np.empty_like(values)
    handed[np.argsort(ids.astype(str))] = values
    return handed


def _inside(ordered: FloatArray, outcome: FloatArray) -> np.ndarray:
    """Whether each outcome lies in the central interval of each probability, shape (N, 4)."""
    return np.column_stack(
        [
            (_quantile(ordered, (1 - p) / 2) <= outcome) & (outcome <= _quantile(ordered, (1 + p) / 2))
            for p in PROBABILITIES
        ]
    )


def _quantile(ordered: FloatArray, probability: float) -> FloatArray:
    """Quantile of each row of ordered draws, by linear interpolation as `np.quantile` has it."""
    position = probability * (ordered.shape[1] - 1)
    below = int(position)
    above = min(below + 1, ordered.shape[1] - 1)
    quantile: FloatArray = ordered[:, below] + (position - below) * (ordered[:, above] - ordered[:, below])
    return quantile


def _counted(values: FloatArray) -> FloatArray:
    """Number of customers at each of `COUNTS` in each draw, shape (10, S)."""
    from clvmodels.evaluation.kernels import count_values

    counts = np.zeros((len(COUNTS), values.shape[1]))
    count_values(np.ascontiguousarray(values), counts)
    return counts


def calibration_rows(check: PredictiveCheck) -> list[CalibrationRow]:
    """Mean outcome of customers by frequency, and the 90 % predictive band of that mean.

    A group without customers has no row.
    """
    return _rows_of_groups(GROUPS, check.group, check.outcome, check.group_totals)


def grouped_rows(forecast: Forecast, outcome: FloatArray, *, group: IdArray) -> list[CalibrationRow]:
    """The same of customers in any groups, such as cohorts; in the order of their names.

    Parameters
    ----------
    forecast : with a replay
    outcome : ndarray, shape (N,), what happened, in the forecast's order of customers
    group : ndarray of text, shape (N,)

    Raises
    ------
    DataError
        If the forecast has no draws, or not one row for each outcome.
    """
    replay = _checked_replay(forecast, outcome, group)
    names, place = np.unique(group.astype(str), return_inverse=True)
    totals = np.zeros((len(names), 1))
    for block in replay("customers"):
        member = (place[block.rows] == np.arange(len(names))[:, None]).astype(np.float64)
        totals = totals + member @ block.values
    return _rows_of_groups(names.tolist(), place, outcome, totals)


def _rows_of_groups(
    names: Sequence[str], group: IntArray, outcome: FloatArray, totals: FloatArray
) -> list[CalibrationRow]:
    """Rows of the groups that have customers; totals in each draw, shape (G, S)."""
    sizes = np.bincount(group, minlength=len(names))
    actual = np.bincount(group, weights=outcome, minlength=len(names))
    return [
        CalibrationRow(
            group=names[g],
            customers=int(sizes[g]),
            actual=float(actual[g] / sizes[g]),
            expected=float(totals[g].mean() / sizes[g]),
            low=float(np.quantile(totals[g], BAND[0]) / sizes[g]),
            high=float(np.quantile(totals[g], BAND[1]) / sizes[g]),
        )
        for g in np.flatnonzero(sizes).tolist()
    ]


def count_rows(check: PredictiveCheck) -> list[CountRow]:
    """Number of customers by holdout purchases, and its 90 % predictive band.

    Raises
    ------
    DataError
        If the check is not one of purchases.
    """
    if check.quantity != "purchases":
        raise DataError(f'a histogram of counts needs a check of "purchases", this one is of "{check.quantity}".')
    actual = _counted(check.outcome[:, None])[:, 0]
    return [
        CountRow(
            count=count,
            actual=int(actual[place]),
            expected=float(draws.mean()),
            low=float(np.quantile(draws, BAND[0])),
            high=float(np.quantile(draws, BAND[1])),
        )
        for place, (count, draws) in enumerate(zip(COUNTS, check.count_totals, strict=True))
    ]


def coverage_rows(checks: Sequence[PredictiveCheck]) -> list[CoverageRow]:
    """Share of customers inside their 50, 80, 90 and 95 % intervals, with 90 % Wilson bounds.

    The ends count as inside, so counts are covered more often than stated. The bounds take customers as
    independent; errors that they share (parameters) widen them.
    """
    return [
        CoverageRow(check.quantity, probability, float(inside.mean()), *wilson_bounds(inside.mean(), len(inside)))
        for check in checks
        for probability, inside in zip(PROBABILITIES, check.inside.T, strict=True)
    ]


def wilson_bounds(share: float, n: int, *, probability: float = 0.90) -> tuple[float, float]:
    """Wilson's interval of a binomial share.

    Parameters
    ----------
    share : share of successes
    n : trials
    probability : of the interval

    References
    ----------
    .. [1] Wilson (1927), doi:10.1080/01621459.1927.10502953
    """
    z = NormalDist().inv_cdf(0.5 + probability / 2)
    shrunk = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return float(shrunk - half), float(shrunk + half)


def pit_histogram(check: PredictiveCheck, *, bins: int) -> list[float]:
    """Shares of customers by PIT in equal bins from 0 to 1; each is near 1 / bins if all is right."""
    counts, _ = np.histogram(check.pit, bins=bins, range=(0.0, 1.0))
    return [float(share) for share in counts / len(check.pit)]
