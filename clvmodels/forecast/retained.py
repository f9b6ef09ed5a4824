"""How many of the customers will still be there: predictive numbers by period, with the chance of each one in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.forecast import checks
from clvmodels.forecast.draws import BLOCK, group_totals
from clvmodels.forecast.residual import rates_ahead
from clvmodels.forecast.retention_curve import CELLS
from clvmodels.forecast.staying import Alike, Groups, long_frame, statistics_of, still_there, with_all
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import IdArray
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

REMEMBERED = 4  # blocks of rates of up to 32 MB


@dataclass(frozen=True)
class Retained:
    """Customers still there after each of the next periods, in total and by group, draw by draw.

    Attributes
    ----------
    customer_id : ndarray of text, shape (N,), of the rows
    by : the grouping column, or None
    labels : of the groups; "all" where there is one
    customers : ndarray, shape (G,), those there now
    draws : ndarray, shape (G, S, P), predictive: parameters are uncertain, and who leaves is chance
    expected : ndarray, shape (G, S, P), the expectation at each parameter draw
    replay : makes the numbers of some rows again, shape (K, S, P), from their places (K,)
    """

    customer_id: IdArray
    by: str | None
    labels: tuple[str, ...]
    customers: FloatArray
    draws: FloatArray
    expected: FloatArray
    unit: str
    method: str
    replay: Callable[[IntArray], NDArray[np.int32]]

    @property
    def totals(self) -> FloatArray:
        """Customers of all groups still there after each period, shape (S, P)."""
        return np.asarray(self.draws.sum(axis=0))

    @property
    def periods(self) -> IntArray:
        """1, 2, ..., P."""
        return np.arange(1, self.draws.shape[-1] + 1)

    def to_pandas(self) -> "pd.DataFrame":
        """A frame in long form: group, period, customers (now), mean, sd, q05, q50, q95, expected."""
        return self._by_group(lambda draws, _: draws)

    def churn(self) -> "pd.DataFrame":
        """Share of the customers there now who are lost by the end of each period, in the columns of `to_pandas`.

        With expected_q05 and expected_q95, the interval of the expected share; q05 to q95 is that of the share that
        will be seen, which chance makes wider the fewer the customers.
        """
        frame = self._by_group(lambda draws, customers: 1 - draws / customers)
        expected = [statistics_of(1 - draws / customers) for _, draws, customers in self._each(self.expected)]
        for name in ("q05", "q95"):
            frame[f"expected_{name}"] = np.concatenate([statistics[name] for statistics in expected])
        return frame

    def rows_to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a row of the table and period: customer_id, period, mean, sd, q05, q50, q95."""
        size = max(1, CELLS // (self.draws.shape[1] * self.draws.shape[2]))
        blocks = np.split(np.arange(len(self.customer_id)), range(size, len(self.customer_id), size))
        return long_frame([self._of_rows(rows) for rows in blocks])

    def _of_rows(self, rows: IntArray) -> dict[str, Any]:
        retained = np.moveaxis(self.replay(rows).astype(np.float64), 1, 0)  # (S, K, P)
        ids, periods = np.repeat(self.customer_id[rows], len(self.periods)), np.tile(self.periods, len(rows))
        return {"customer_id": ids, "period": periods, **statistics_of(retained.reshape(len(retained), -1))}

    def _each(self, draws: FloatArray) -> Iterator[tuple[str, FloatArray, float]]:
        """Label, draws (S, P) and customers now of all, and of each group."""
        counts = dict(with_all(self.labels, self.customers))
        for label, of_group in with_all(self.labels, draws):
            yield label, of_group, float(counts[label])

    def _by_group(self, told: Callable[[FloatArray, float], FloatArray]) -> "pd.DataFrame":
        expected = {label: draws for label, draws, _ in self._each(self.expected)}
        return long_frame(
            [
                {
                    self.by or "group": label,
                    "period": self.periods,
                    "customers": customers,
                    **statistics_of(told(draws, customers)),
                    "expected": told(expected[label], customers).mean(axis=0),
                }
                for label, draws, customers in self._each(self.draws)
            ]
        )


def sample_retained(
    fit: Fit, table: RetentionTable, *, periods: int, seed: int, by: str | None = None, draws: int | None = None
) -> Retained:
    """Predictive numbers of customers still there after each of the next periods.

    Every customer leaves or stays by the chances of the row at the draw's parameters, and who is gone stays gone: the
    numbers of successive periods are one path. So bands cover what will be seen, not only what is to be expected.

    Parameters
    ----------
    fit : of a model of retention
    table : its rows still there now are taken; `table.newcomers` has its customers as they began, to see how a cohort
        does from its beginning
    periods : how many units of time ahead
    seed : of the random numbers, 0 to 2^64 - 1
    by : grouping column, such as "segment", to add up by
    draws : number of draws S; by default those of the fit, 2,000 where it has one

    Raises
    ------
    FitError
        If the fit is of another family or unit, failed its checks, or `draws` cannot be.
    DataError
        If all are lost, there is no such column, or periods or seed cannot be.

    Notes
    -----
    Random numbers belong to (seed, customer_id, draw): the order of rows and which others are there do not matter.
    """
    active = still_there(fit, table)
    periods = require_count("periods", periods, error=DataError)
    checks.require_horizon(periods, "sample_retained", fit.model)
    seed, groups = require_seed(seed), Groups.of(active, by)
    alike = Alike.of(fit, active, draws, groups.place.astype(np.float64), outcomes=True)
    walkers = Leaving.of(fit, active, alike)
    size = min(BLOCK, max(1, CELLS // (alike.n_draws * periods)))
    group, counts = alike.others[0].astype(np.int64), alike.counted(active.n_customers)

    def expected(rows: IntArray) -> FloatArray:
        rates = rates_ahead(fit, alike.at(rows, alike.every), periods)
        return counts[rows, None, None] * np.cumprod(rates, axis=-1)

    def drawn(at: IntArray) -> NDArray[np.int32]:
        return walkers.retained(at, periods, seed)

    return Retained(
        customer_id=active.customer_id,
        by=by,
        labels=groups.labels,
        customers=groups.customers(active),
        draws=group_totals(len(active), group[walkers.row], drawn, size=size),
        expected=group_totals(len(alike), group, expected, size=size),
        unit=active.unit,
        method=checks.method_name(fit),
        replay=lambda rows: drawn(walkers.place[rows]),
    )


@dataclass(frozen=True)
class Leaving:
    """Rows of customers in canonical order, with their streams of random numbers.

    Attributes
    ----------
    row : ndarray, shape (N,), the row of `alike` of each, in increasing order
    customers : ndarray, shape (N,), whole numbers
    keys : ndarray, shape (N,), of the streams
    order, place : ndarrays, shape (N,), the table's row at each place, and the place of each of its rows
    """

    fit: Fit
    alike: Alike
    row: IntArray
    customers: IntArray
    keys: NDArray[np.uint64]
    order: IntArray
    place: IntArray

    @classmethod
    def of(cls, fit: Fit, table: RetentionTable, alike: Alike) -> "Leaving":
        """The rows of a table."""
        keys = _keys(table, alike)
        order = np.lexsort((keys, alike.row_of))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        customers = table.n_customers[order].astype(np.int64)
        return cls(fit, alike, alike.row_of[order], customers, keys[order], order, place)

    def retained(self, at: IntArray, periods: int, seed: int) -> NDArray[np.int32]:
        """Customers at some places who are still there after each of the next periods, shape (K, S, periods)."""
        from clvmodels.forecast.retention_kernels import draw_retained
        from clvmodels.foundation.streams import stream_memory

        rates, of_row = self.rates(at, self.alike.every, periods)
        counts = np.zeros((len(at), self.alike.n_draws, periods), dtype=np.int32)
        draw_retained(
            stream_memory(), rates, of_row, self.customers[at], self.keys[at], np.uint64(seed), np.uint64(0), counts
        )
        return counts

    def rates(self, at: IntArray, draws: slice, periods: int) -> tuple[FloatArray, IntArray]:
        """Retention rates ahead of the rows at some places, shape (R, S, periods), and the row of each place, (K,)."""
        rows, of_row = np.unique(self.row[at], return_inverse=True)
        return self.remembered(tuple(rows.tolist()), draws.start, draws.stop, periods), of_row

    @cached_property
    def remembered(self) -> Callable[[tuple[int, ...], int, int, int], FloatArray]:
        """Rates of some rows at some draws, the last ones at hand: customers alike come one after the other."""

        def rates(rows: tuple[int, ...], first: int, last: int, periods: int) -> FloatArray:
            return rates_ahead(self.fit, self.alike.at(np.array(rows), slice(first, last)), periods)

        return lru_cache(maxsize=REMEMBERED)(rates)


def _keys(table: RetentionTable, alike: Alike) -> NDArray[np.uint64]:
    """Keys of the rows' streams, shape (N,): of the customer_id, and of which of its rows it is if it has several."""
    from clvmodels.foundation.streams import customer_keys

    ids, who = np.unique(table.customer_id.astype(str), return_inverse=True)
    if len(ids) == len(table):
        return customer_keys(table.customer_id)
    order = np.lexsort((table.n_customers, alike.row_of, who))
    first = np.searchsorted(who[order], np.arange(len(ids)))
    nth = np.empty_like(order)
    nth[order] = np.arange(len(order)) - first[who[order]]
    named = [name if n == 0 else f"{name}\n{n}" for name, n in zip(table.customer_id, nth, strict=True)]
    return customer_keys(np.array(named, dtype=object))
