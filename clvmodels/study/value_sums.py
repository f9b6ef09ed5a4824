"""Sums of future value over customers, draw by draw: segments, and the best customers, in one pass over the draws.

The best customers are those of the highest expectation, as they can be told today. How much of the value they will
hold is uncertain: each draw has its own share. The curve of expectations, on the other hand, has the same middle (each
share is a ratio of means, not a mean of ratios) and no band. Sorted by what came in the end, any curve would be more
bent, since chance sorts too; nobody can pick customers by it.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clvmodels.forecast.draws import sums_by_segment
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.units import days_per_unit

SEGMENTATIONS = ("cell", "tier", "stage", "abc_class", "rfm_group")  # columns of the customers' table
RENAMED = "group_"
LORENZ_POINTS = 101
MOST_MONTHS, MOST_QUARTERS = 12, 16  # cohorts that a reader can take in: beyond it longer ones


@dataclass(frozen=True)
class Segments:
    """The customers of a base in segments.

    Attributes
    ----------
    names : the segments, in order
    codes : ndarray, shape (N,), each customer's place in `names`
    """

    names: list[str]
    codes: IntArray

    def add(self, values: FloatArray) -> FloatArray:
        """Sum of some values, shape (N,), over each segment."""
        return np.bincount(self.codes, weights=values, minlength=len(self.names))


@dataclass(frozen=True)
class ValueSums:
    """Future value of customers, added up in each of S draws.

    Attributes
    ----------
    segmentations : name -> segments
    equity : name -> ndarray, shape (segments, S)
    total : ndarray, shape (S,), of all customers
    best_first : ndarray, shape (N,), customers by expected value
    held : ndarray, shape (points, S), value of the best customers, from nobody to all in equal steps
    gini : ndarray, shape (S,)
    """

    segmentations: Mapping[str, Segments]
    equity: Mapping[str, FloatArray]
    total: FloatArray
    best_first: IntArray
    held: FloatArray
    gini: FloatArray

    @property
    def shares(self) -> FloatArray:
        """Share of the value that the best customers hold, shape (points, S); 0 in a draw without value."""
        return _share(self.held, self.total)


def segmentations_of(table: pd.DataFrame, customers: CustomerSummary) -> dict[str, Segments]:
    """The segmentations of a study, each a column of its table: those of `SEGMENTATIONS`, groups and cohorts."""
    groups = [RENAMED + name if RENAMED + name in table else name for name in customers.groups]
    return {name: _segments(table[name].to_numpy()) for name in (*SEGMENTATIONS, *groups, *cohorts_of(customers))}


def with_labels(table: pd.DataFrame, customers: CustomerSummary) -> pd.DataFrame:
    """The table with columns of groups and cohorts; a group whose name is taken there is called group_<name>."""
    named = {RENAMED + name if name in table else name: values for name, values in customers.groups.items()}
    return table.assign(**named, **cohorts_of(customers))


def cohorts_of(customers: CustomerSummary) -> dict[str, np.ndarray]:
    """Month, quarter or year of each customer's first purchase, the shortest of which there are not too many."""
    end = customers.calibration_end
    assert isinstance(end, dt.date)  # a study has read a log
    age = np.rint(customers.T * days_per_unit(customers.unit)).astype("timedelta64[D]")
    months = (np.datetime64(end, "D") - age).astype("datetime64[M]").astype(np.int64)  # since January 1970
    year, month = 1970 + months // 12, months % 12
    spans = {"month": months, "quarter": months // 3, "year": year}
    words = {"month": lambda i: f"{year[i]}-{month[i] + 1:02d}", "quarter": lambda i: f"{year[i]}-Q{month[i] // 3 + 1}"}
    most = {"month": MOST_MONTHS, "quarter": MOST_QUARTERS}
    length = next((name for name, limit in most.items() if np.ptp(spans[name]) < limit), "year")
    _, first, codes = np.unique(spans[length], return_index=True, return_inverse=True)
    names = np.array([words.get(length, lambda i: str(year[i]))(i) for i in first], dtype=object)
    return {f"acquisition_{length}": names[codes]}


def add_up(clv: Forecast, segmentations: Mapping[str, Segments]) -> ValueSums:
    """All the sums that a study needs of its customers' future value, in one pass over the draws."""
    assert clv.replay is not None  # predictive forecasts can be drawn again
    best_first = np.lexsort((clv.customer_id.astype(str), -clv.mean))
    rank = np.empty(len(clv), dtype=np.int64)
    rank[best_first] = np.arange(len(clv))
    edges = steps_of(len(clv))
    steps = Segments([str(edge) for edge in edges[1:]], np.searchsorted(edges, rank, side="right") - 1)
    parts = [*segmentations.values(), steps]
    slope = 1.0 - (2.0 * rank + 1.0) / len(clv)  # the Gini coefficient is linear in value where the order stands
    sums, sloped = sums_by_segment(clv, [(part.codes, len(part.names)) for part in parts], slope=slope)
    *of_segments, of_steps = sums
    total = of_steps.sum(axis=0)
    return ValueSums(
        segmentations=segmentations,
        equity=dict(zip(segmentations, of_segments, strict=True)),
        total=total,
        best_first=best_first,
        held=np.cumsum(np.vstack([np.zeros_like(total), of_steps]), axis=0),
        gini=_share(sloped, total),
    )


def steps_of(customers: int) -> IntArray:
    """How many of the best customers each point of the curve has, shape (points,)."""
    return np.rint(np.linspace(0, customers, LORENZ_POINTS)).astype(np.int64)


def top_share(sums: ValueSums, hundredths: int) -> Estimate:
    """Share of the value that the best customers hold, so many in a hundred, at least one."""
    least = int(np.argmax(steps_of(len(sums.best_first)) > 0))
    return estimate(sums.shares[max(hundredths * (LORENZ_POINTS - 1) // 100, least)])


def expected_lorenz(clv: Forecast, best_first: IntArray) -> list[tuple[float, float]]:
    """Share of customers, best first, and the share of expected value that they hold."""
    held = np.append(0.0, np.cumsum(clv.mean[best_first]))
    held /= max(held[-1], np.finfo(float).tiny)
    return [(float(i / len(clv)), float(held[i])) for i in steps_of(len(clv))]


def segments_table(sums: ValueSums, current_value: FloatArray) -> pd.DataFrame:
    """Customers and value by each segmentation; the interval is of the mean future value a customer."""
    frames = []
    for name, segments in sums.segmentations.items():
        count, equity = np.bincount(segments.codes, minlength=len(segments.names)), sums.equity[name]
        low, high = np.quantile(equity, [0.05, 0.95], axis=1) / count
        columns = {
            "segmentation": name,
            "segment": segments.names,
            "customers": count,
            "current_value": segments.add(current_value),
            "clv_mean": equity.mean(axis=1) / count,
            "clv_q05": low,
            "clv_q95": high,
            "equity": equity.mean(axis=1),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _segments(labels: np.ndarray) -> Segments:
    codes, names = pd.factorize(labels, sort=True)
    return Segments([str(name) for name in names], codes)


def _share(part: FloatArray, total: FloatArray) -> FloatArray:
    return part / np.maximum(total, np.finfo(float).tiny)
