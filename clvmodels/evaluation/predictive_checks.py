"""Does a fitted model reproduce the data that it learnt from? Posterior predictive checks.

A replicated data set has the same customers, each as old as observed (for a spend model: with as many
purchases as observed), and is told by the model's own story from one draw of the parameters. Test
quantities of the data are held against those of many replications [1]_.

References
----------
.. [1] Gelman, Meng and Stern (1996), Posterior predictive assessment of model fitness via realized
   discrepancies, Statistica Sinica 6, 733-760.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.data import learnt_spend
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.events import purchase_columns, spend_columns
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.results import PredictiveCheckTable, ReplicatedRow
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.parameters import CustomerParameters, customer_parameters
from clvmodels.inference.result import Fit

REPEATS = ("0", "1", "2", "3", "4", "5", "6", "7+")
FIFTHS = ("1", "2", "3", "4", "5")
SPEND_CLASSES = {"all": (1, math.inf), "1": (1, 1), "2-3": (2, 3), "4+": (4, math.inf)}
SPEND_MOMENTS = ("mean", "median", "sd", "q95", "largest_spend")
INTERVAL = (0.05, 0.50, 0.95)
FEWEST_REPLICATES = 20  # an interval of 90 % leaves one of them out on each side
SLICE = 100_000  # customers whose purchases are in memory at once

Key = tuple[str, str, str]  # aspect, quantity, group
History = tuple[FloatArray, FloatArray, FloatArray]  # frequency, recency, T

PURCHASE_KEYS: tuple[Key, ...] = (
    *(("purchases", "customers", group) for group in REPEATS),
    ("purchases", "repeats", "all"),
    ("purchases", "largest_frequency", "all"),
    *(("timing", "last_purchase", fifth) for fifth in FIFTHS),
    ("timing", "silence", "all"),
)


@dataclass(frozen=True)
class _Replications:
    """Test quantities of the data (Q,), and a way to work them out for one replication."""

    keys: tuple[Key, ...]
    observed: FloatArray
    draw: Callable[[np.random.Generator, int], FloatArray]


def posterior_predictive_check(
    fit: Fit, customers: CustomerSummary, *, seed: int, replicates: int = 200
) -> PredictiveCheckTable:
    """Test quantities of the data against data sets replicated from the fitted model.

    Purchases: customers with 0, 1, ..., 7 or more repeats, all repeats, the most of one customer. Timing,
    of customers with repeats: the share whose last purchase fell in each fifth of the time they are known,
    and the mean silence since. Spend, over all and by repeat purchases: mean, median, standard deviation
    (around the mean), 95 % quantile and the largest of customers' mean spends.

    Parameters
    ----------
    fit : of a purchase or a spend model, by any method; with one draw ("mle", "known") all replications
        have the same parameters
    customers : usually those that the model was fitted to; their order changes nothing
    seed : of the random numbers
    replicates : replicated data sets, 20 or more; each takes one of the fit's draws, evenly spaced

    Returns
    -------
    PredictiveCheckTable
        With `rows` and `to_pandas()`. A p value near 0 says that replications nearly all lie on one side.

    Raises
    ------
    FitError
        If the model has no story, or fit and customers differ in unit or currency.
    DataError
        If there are too few replicates, no seed, or no spend where the model is one of spend.

    Notes
    -----
    Quantities that the fit was made to match are met more often than the interval says; a miss tells more
    than a hit. Cost grows with customers x replicates, 0.2 microseconds each for bg_nbd; memory holds one
    slice of customers of one replication.
    """
    _refuse(fit, customers, replicates)
    prepare = _purchase_replications if fit.model.family == "purchases" else _spend_replications
    replications = prepare(fit, customers)
    drawn = _drawn(replications, fit.n_draws, replicates, require_seed(seed))
    rows = [
        _row(key, float(value), column)
        for key, value, column in zip(replications.keys, replications.observed, drawn.T, strict=True)
        if np.isfinite(value)
    ]
    size = len(customers) if customers.n_customers is None else int(customers.n_customers.sum())
    return PredictiveCheckTable(fit.model.name, fit.method, size, int(replicates), rows)


def _refuse(fit: Fit, customers: CustomerSummary, replicates: object) -> None:
    require_count("replicates", replicates, least=FEWEST_REPLICATES, error=DataError)
    if fit.model.simulate is None or fit.model.family == "retention":
        raise FitError(f"{fit.model.name} has no story of purchases or spend to replicate data with.")
    require_same_units(fit, customers)


def _drawn(replications: _Replications, draws: int, replicates: int, seed: int) -> FloatArray:
    """Test quantities of each replication, shape (R, Q); each has its own stream and one draw of the fit's."""
    chosen = np.arange(replicates) * draws // replicates
    streams = np.random.SeedSequence(seed).spawn(replicates)
    each = zip(streams, chosen, strict=True)
    return np.stack([replications.draw(np.random.default_rng(stream), int(draw)) for stream, draw in each])


def _each(customers: CustomerSummary, column: NDArray[Any]) -> NDArray[Any]:
    """A column with a row for each customer, also where a row stands for several."""
    return column if customers.n_customers is None else np.repeat(column, customers.n_customers.astype(np.int64))


@dataclass(frozen=True)
class _Story:
    """A model's story for customers in order, with their parameters at each draw of the fit.

    Attributes
    ----------
    seen : ndarray, shape (N,), what a replication takes from the data: ages, or numbers of purchases
    cell : ndarray, shape (N,), the cell of each customer among the parameters
    """

    fit: Fit
    parameters: CustomerParameters
    seen: FloatArray
    cell: IntArray

    def tell(self, rng: np.random.Generator, draw: int, rows: slice = slice(None)) -> Any:
        """What the model's `simulate` returns for some of the customers, at one draw of the parameters."""
        assert self.fit.model.simulate is not None
        values = self.parameters.at(self.cell[rows], slice(draw, draw + 1))[:, 0].T
        names = self.fit.model.parameter_names
        alike = self.parameters.alike
        named = {name: float(row[0]) if alike else row for name, row in zip(names, values, strict=True)}
        with np.errstate(divide="ignore", over="ignore"):  # a rate, or 1 / spend, that underflows to 0
            return self.fit.model.simulate(rng, named, self.seen[rows])


def _story(fit: Fit, customers: CustomerSummary, seen: FloatArray, *, least: float) -> tuple[_Story, IntArray]:
    """The story of customers with `seen` of at least that much, and which customer each of its rows is.

    They stand in order of what is seen of them and of their cell: others are exchangeable, so that the
    order in which customers are given changes nothing.
    """
    parameters = customer_parameters(fit, customers)
    cell = _each(customers, parameters.cell)
    order = np.lexsort((cell, seen))
    order = order[np.searchsorted(seen[order], least) :]
    return _Story(fit, parameters, seen[order], cell[order]), order


# Purchases and their timing


def _purchase_replications(fit: Fit, customers: CustomerSummary) -> _Replications:
    columns = (customers.frequency, customers.recency, customers.T)
    frequency, recency, age = (_each(customers, column) for column in columns)
    story, _ = _story(fit, customers, age, least=0.0)

    def draw(rng: np.random.Generator, place: int) -> FloatArray:
        return purchase_quantities(_replicated_histories(story, place, rng))

    return _Replications(PURCHASE_KEYS, purchase_quantities([(frequency, recency, age)]), draw)


def _replicated_histories(story: _Story, draw: int, rng: np.random.Generator) -> Iterator[History]:
    """Histories of customers seen up to their age, a slice of customers at a time."""
    for start in range(0, len(story.seen), SLICE):
        rows = slice(start, start + SLICE)
        age = story.seen[rows]
        buyer, time = story.tell(rng, draw, rows)
        columns = purchase_columns(buyer, time, len(age))
        yield columns["frequency"], columns["recency"], age


def purchase_quantities(histories: Iterable[History]) -> FloatArray:
    """The quantities of `PURCHASE_KEYS` over all histories, shape (16,); NaN for timing where nobody came back."""
    tallies, largest = [], 0.0
    for frequency, recency, age in histories:
        tallies.append(_tally(frequency, recency, age))
        largest = max(largest, float(frequency.max()))
    customers, repeats, fifths, silence = np.split(np.sum(tallies, axis=0), (8, 9, 14))
    buyers = customers[1:].sum()
    shares = np.concatenate([fifths, silence]) / (buyers if buyers else np.nan)
    return np.concatenate([customers, repeats, [largest], shares])


def _tally(frequency: FloatArray, recency: FloatArray, age: FloatArray) -> FloatArray:
    """Sums over customers: by repeats (8), repeats (1), last purchases by fifth of the age (5), silence (1)."""
    by_repeats = np.bincount(np.minimum(frequency, 7).astype(np.int64), minlength=8)
    again = frequency > 0
    last, known = recency[again], age[again]
    fifth = np.minimum(5 * last / known, 4).astype(np.int64)  # a last purchase on the last day is in the last fifth
    return np.concatenate(
        [by_repeats, [frequency.sum()], np.bincount(fifth, minlength=5), [(known - last).sum()]]
    ).astype(np.float64)


# Spend


def _spend_replications(fit: Fit, customers: CustomerSummary) -> _Replications:
    purchases, mean = learnt_spend(customers, fit.model.reads, fit.model.baskets)
    bought = _each(customers, np.where(np.isnan(mean), 0.0, purchases))
    if not (bought > 0).any():
        raise DataError("no customer has a repeat purchase with a known spend: there is no spend to replicate.")
    story, order = _story(fit, customers, bought, least=1.0)
    spend = _each(customers, mean)[order]
    classes = _classes(story.seen)
    keys = tuple(("spend", moment, group) for group in classes for moment in SPEND_MOMENTS)
    buyer = np.repeat(np.arange(len(story.seen)), story.seen.astype(np.int64))

    def draw(rng: np.random.Generator, place: int) -> FloatArray:
        amounts = story.tell(rng, place)
        return spend_quantities(spend_columns(buyer, amounts, len(story.seen))["monetary_value"], classes)

    return _Replications(keys, spend_quantities(spend, classes), draw)


def _classes(ordered: FloatArray) -> dict[str, slice]:
    """Where each class of customers with two or more of them lies among increasing numbers of purchases."""
    places = {
        group: slice(int(np.searchsorted(ordered, low)), int(np.searchsorted(ordered, high, side="right")))
        for group, (low, high) in SPEND_CLASSES.items()
    }
    return {group: place for group, place in places.items() if place.stop - place.start > 1}


def spend_quantities(spend: FloatArray, classes: dict[str, slice]) -> FloatArray:
    """Mean, median, standard deviation, 95 % quantile and largest of mean spends, class by class."""
    with np.errstate(over="ignore", invalid="ignore"):  # spend without a finite mean may leave the range of floats
        moments = [_moments(spend[place]) for place in classes.values()]
    return np.concatenate(moments) if moments else np.empty(0)


def _moments(spend: FloatArray) -> FloatArray:
    median, q95 = np.quantile(spend, [0.5, 0.95])
    return np.array([spend.mean(), median, spend.std(), q95, spend.max()])


# Replications against the data


def _row(key: Key, observed: float, replicated: FloatArray) -> ReplicatedRow:
    drawn = np.sort(replicated[~np.isnan(replicated)])
    if not len(drawn):
        return ReplicatedRow(*key, observed, None, None, None, None)
    low, median, high = (_order_statistic(drawn, probability) for probability in INTERVAL)
    return ReplicatedRow(*key, observed, median, low, high, two_sided_p_value(drawn, observed))


def _order_statistic(ordered: FloatArray, probability: float) -> float | None:
    """The least value that a share `probability` does not exceed: counts stay whole. None if not finite."""
    value = float(ordered[max(math.ceil(probability * len(ordered)) - 1, 0)])
    return value if math.isfinite(value) else None


def two_sided_p_value(replicated: FloatArray, observed: float) -> float:
    """2 min(u, 1 - u), with u the share of replications above the data, ties and the data themselves by half.

    u = (above + (equal + 1) / 2) / (R + 1): the data count as one more replication, so that R of them
    never give a p value of 0.
    """
    above, equal = float((replicated > observed).sum()), float((replicated == observed).sum())
    share = (above + (equal + 1) / 2) / (len(replicated) + 1)
    return 2 * min(share, 1 - share)
