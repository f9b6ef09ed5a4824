"""Calibration as curves: bias by tenths of a forecast, the chance of coming back, and the PIT, each with its band."""

import numpy as np
from scipy import stats

from clvmodels.evaluation.calibration import PredictiveCheck
from clvmodels.evaluation.scores import Ranking
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.results import ActivityRow, DecileRow, PitBin, PitCheck

BAND = (0.05, 0.95)
TENTHS = 10
BLOCK_NUMBERS = 1_000_000  # customers x replicates at a time: 8 MB an array


def tenths(forecast: FloatArray) -> IntArray:
    """The tenth of each customer by forecast, 0 the lowest; shape (N,).

    Customers with equal forecasts stay together, in the tenth of their middle, so there may be fewer than ten.
    """
    ranking = Ranking.of(-forecast)  # places from the lowest
    last = ranking.last + 1.0
    middle = 0.5 * (last + np.concatenate([[0.0], last[:-1]]))
    tenth: IntArray = np.floor(TENTHS * middle / len(forecast)).astype(np.int64)[ranking.place]
    return tenth


def decile_rows(
    forecast: FloatArray, outcome: FloatArray, *, rng: np.random.Generator, replicates: int = 400
) -> list[DecileRow]:
    """Forecast and outcome by tenths of the customers, the lowest first, with the bias of each and its interval.

    Parameters
    ----------
    forecast, outcome : ndarray, shape (N,), in the outcome's unit
    rng : draws bootstrap replicates of the customers of each tenth, for a 90 % interval
    replicates : number of them

    Raises
    ------
    DataError
        If the two have other lengths, or a forecast is not finite.
    """
    _require_pairs(forecast, outcome)
    tenth = tenths(forecast)
    rows = []
    for place in np.unique(tenth):
        members = tenth == place
        error = np.sort(forecast[members] - outcome[members])  # the order of customers changes nothing
        low, high = _interval_of_mean(error, rng, replicates)
        rows.append(
            DecileRow(
                decile=int(place) + 1,
                customers=int(members.sum()),
                forecast=float(forecast[members].mean()),
                actual=float(outcome[members].mean()),
                bias=float(error.mean()),
                low=low,
                high=high,
            )
        )
    return rows


def _interval_of_mean(values: FloatArray, rng: np.random.Generator, replicates: int) -> tuple[float, float]:
    at_once = max(1, BLOCK_NUMBERS // len(values))
    sizes = [min(at_once, replicates - start) for start in range(0, replicates, at_once)]
    means = [values[rng.integers(len(values), size=(size, len(values)))].mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), BAND)
    return float(low), float(high)


def activity_rows(probability: FloatArray, active: np.ndarray) -> list[ActivityRow]:
    """Share of customers who came back by tenths of its forecast, the lowest first, with binomial bands.

    The band holds the share in 90 % of samples of so many customers if the mean forecast of the tenth is right
    (a consistency bar, as in [1]_). Customers of a tenth have different probabilities, which makes their share vary
    less than the binomial with their mean: the band is as wide or wider than it need be.

    Parameters
    ----------
    probability : ndarray, shape (N,), of coming back
    active : ndarray of bool, shape (N,), who came back

    Raises
    ------
    DataError
        If the two have other lengths, or a probability is not from 0 to 1.

    References
    ----------
    .. [1] Broecker & Smith (2007), Weather and Forecasting 22, 651-661. doi:10.1175/WAF993.1
    """
    _require_pairs(probability, active)
    if ((probability < 0) | (probability > 1)).any():
        row = int(np.argmax((probability < 0) | (probability > 1)))
        raise DataError(f"the probability of coming back is {probability[row]} in row {row}: expected 0 to 1.")
    tenth = tenths(probability)
    rows = []
    for place in np.unique(tenth):
        members = tenth == place
        n, p = int(members.sum()), float(probability[members].mean())
        low, high = _binomial_band(n, min(p, 1.0))  # a mean of ones may round to above 1
        rows.append(ActivityRow(n, p, float(active[members].mean()), low, high))
    return rows


def pit_check(check: PredictiveCheck, *, bins: int = 20) -> PitCheck:
    """Histogram of the randomised PIT with binomial bands, and Kolmogorov and Smirnov's test that it is uniform.

    Both take customers as independent; parameters that they share make the PIT of a right forecast a little less
    even than that, with few draws of them or few customers to learn from.

    Parameters
    ----------
    check : of purchases (ties broken at random) or of spend
    bins : number of equal bins from 0 to 1

    References
    ----------
    .. [1] Czado, Gneiting and Held (2009), doi:10.1111/j.1541-0420.2009.01191.x
    """
    n = len(check.pit)
    counts, edges = np.histogram(check.pit, bins=bins, range=(0.0, 1.0))
    low, high = _binomial_band(n, 1 / bins)
    test = stats.kstest(check.pit, "uniform")
    return PitCheck(
        quantity=check.quantity,
        customers=n,
        bins=[PitBin(float(edge), float(count / n)) for edge, count in zip(edges, counts, strict=False)],
        low=low,
        high=high,
        distance=float(test.statistic),
        p_value=float(test.pvalue),
    )


def _binomial_band(n: int, p: float) -> tuple[float, float]:
    """Shares between which a binomial share of n trials lies with 90 %, or more as counts are whole."""
    return float(stats.binom.ppf(BAND[0], n, p)) / n, float(stats.binom.ppf(BAND[1], n, p)) / n


def _require_pairs(forecast: FloatArray, outcome: np.ndarray) -> None:
    if len(forecast) != len(outcome) or len(forecast) == 0:
        raise DataError(
            f"{len(forecast)} forecasts and {len(outcome)} outcomes: give one of each for every customer, in one order."
        )
    bad = ~np.isfinite(forecast)
    if bad.any():
        raise DataError(f"the forecast is {forecast[np.argmax(bad)]} in row {int(np.argmax(bad))}: expected a number.")
