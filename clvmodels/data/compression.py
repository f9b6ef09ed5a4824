"""Sufficient-statistics compression: customers alike become one counted pattern, with no loss.

For a summary in memory, by NumPy: 0.25 s for 1,000,000 customers of 414,000 patterns, where the
engine takes 0.36 to 0.56 s, most of it to take the customers in and hand the pattern of each back.
`summary.compress_log` groups inside the engine where the customers need not leave it.
"""

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.model import Baskets
from clvmodels.foundation.patterns import (
    FloatArray,
    IntArray,
    Levels,
    PurchasePatterns,
    RetentionPatterns,
    SpendPatterns,
)
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.retention import RetentionTable

ROUNDING = 1e-6  # of a logarithm, by which its mean may exceed that of equal amounts


def compress(
    customers: CustomerSummary, cell: IntArray | None = None, reads: tuple[str, ...] = ()
) -> tuple[PurchasePatterns, IntArray]:
    """Distinct (frequency, recency, T) with counts, and the pattern of each customer.

    Parameters
    ----------
    reads : further columns that customers of one pattern share, such as "log_interval" or "term_sums"
    cell : ndarray, shape (N,), whole numbers from 0: customers of different cells do not share a pattern

    Returns
    -------
    patterns : PurchasePatterns of K patterns, in the order of frequency, recency, T, cell
    index : ndarray, shape (N,), customer n has pattern index[n]
    """
    columns = [Levels.of(column) for column in (customers.frequency, customers.recency, customers.T)]
    further = {name: np.nan_to_num(customers.column(name)) for name in reads}
    columns += [Levels.of(part) for column in further.values() for part in np.atleast_2d(column.T)]
    places, index, counts = _distinct(columns, customers.n_customers, cell)
    frequency, recency, T = (_again(column, places) for column in columns[:3])
    rows = {name: column[places] for name, column in further.items()}
    return PurchasePatterns(frequency, recency, T, counts, customers.unit, **rows), index


def compress_spend(
    customers: CustomerSummary,
    cell: IntArray | None = None,
    reads: tuple[str, ...] = (),
    *,
    baskets: Baskets = "repeat",
) -> tuple[SpendPatterns, IntArray, NDArray[np.bool_]]:
    """Distinct (number of purchases, mean spend) of the customers with a purchase of known spend to learn from.

    Parameters
    ----------
    baskets : which purchases: "repeat" or "all"
    reads : of "log_amount" and "log_amount_sd", those that customers of one pattern share too; frequency and
        monetary_value are then of the paid purchases alone
    cell : as in `compress`

    Returns
    -------
    patterns : SpendPatterns of K patterns
    index : ndarray, shape (M,), the pattern of each customer of known spend
    known : ndarray, shape (N,), customers of known spend, M of them

    Raises
    ------
    DataError
        If there are none.
    """
    purchases, mean = learnt_spend(customers, reads, baskets)
    known = ~np.isnan(mean)
    if not known.any():
        what = "repeat purchase" if baskets == "repeat" else "purchase"
        raise DataError(
            f"no customer has a {what} with a known spend above 0: a spend model has nothing to learn from."
        )
    mean = mean[known]
    prefix = "all_" if baskets == "all" else ""
    further = {name: customers.column(prefix + name)[known] for name in reads}
    columns = [Levels.of(column) for column in (purchases[known], mean, *further.values())]
    weights = None if customers.n_customers is None else customers.n_customers[known]
    places, index, counts = _distinct(columns, weights, None if cell is None else cell[known])
    rows = {name: column[places] for name, column in further.items()}
    patterns = SpendPatterns(_again(columns[0], places), mean[places], counts, customers.currency, **rows)
    return patterns, index, known


def customers_of(patterns: SpendPatterns) -> CustomerSummary:
    """Spend patterns as counted rows; they tell nothing of times, for which the numbers of purchases stand in."""
    frequency, unknown = patterns.frequency.rows, np.full(len(patterns), np.nan)
    return CustomerSummary(
        customer_id=np.array([f"spend pattern {place}" for place in range(len(patterns))], dtype=object),
        frequency=frequency,
        recency=frequency,
        T=frequency,
        monetary_value=patterns.monetary_value,
        first_amount=unknown,
        current_value=unknown,
        n_customers=patterns.n_customers,
        unit="day",
        currency=patterns.currency,
    )


def compress_retention(
    table: RetentionTable, cell: IntArray | None = None, reads: tuple[str, ...] = ()
) -> tuple[RetentionPatterns, IntArray]:
    """Distinct (entry, age, lost) with counts, and the pattern of each row.

    Parameters
    ----------
    reads : ("start",) where rows that began in different calendar units do not share a pattern
    cell : as in `compress`
    """
    exact = table.clock == "continuous"
    before = np.where(table.lost & (not exact), table.age - 1.0, table.age)
    start = table.column("start") if "start" in reads else np.zeros(len(table))
    columns = [Levels.of(column) for column in (table.entry, table.age, table.lost.astype(np.float64), start)]
    places, index, counts = _distinct(columns, table.n_customers, cell)
    entry, age, lost, began = (_again(column, places) for column in columns)
    patterns = RetentionPatterns(entry, Levels.of(before[places]), age, lost.rows, counts, table.unit, exact, began)
    return patterns, index


def learnt_spend(
    customers: CustomerSummary, reads: tuple[str, ...], baskets: Baskets = "repeat"
) -> tuple[FloatArray, FloatArray]:
    """Purchases that a spend model learns from, and their mean spend, each shape (N,); NaN where not known.

    A model that reads logarithms of amounts learns from the paid purchases alone.

    Parameters
    ----------
    baskets : "repeat" purchases alone, since first baskets may differ from later ones; or "all", where a first one
        counts as any other. A first basket that is not known, or was free, does not count

    Raises
    ------
    DataError
        If a column is missing, or mean logarithms and mean amounts cannot be of the same purchases.
    """
    x, mean = customers.frequency, np.where(customers.frequency > 0, customers.monetary_value, np.nan)
    if not reads:
        return (x, mean) if baskets == "repeat" else (customers.all_spend_purchases, customers.all_spend_mean)
    missing = [name for name in ("paid_purchases", *reads) if getattr(customers, name) is None]
    if missing:
        raise DataError(
            f"the customers have no {', '.join(missing)}: this spend model learns from every amount, of which these "
            "tell. customer_summary(log, window) gives them, and CustomerSummary.from_frame takes them; gamma_gamma "
            "needs monetary_value alone."
        )
    paid = customers.column("paid_purchases")
    mean = mean * (x / np.maximum(paid, 1.0))
    with np.errstate(invalid="ignore"):
        odd = customers.column("log_amount") > np.log(mean) + ROUNDING
    if odd.any():
        first = int(np.argmax(odd))
        raise DataError(
            f"log_amount is above the logarithm of the mean of the paid purchases for {int(odd.sum())} customers "
            f"(first: customer_id {customers.customer_id[first]}): no amounts have such means. It is of natural "
            "logarithms of the repeat purchases above 0; negative amounts in a log are settled by refunds=... ."
        )
    return (paid, mean) if baskets == "repeat" else (customers.all_paid_purchases, customers.all_paid_mean)


def _distinct(
    columns: list[Levels], n_customers: FloatArray | None, cell: IntArray | None
) -> tuple[IntArray, IntArray, FloatArray]:
    """First row of each distinct combination (K,), the combination of each row (N,), and customers (K,).

    Combinations are numbered in lexicographic order, so that the order of rows does not matter.
    """
    key = columns[0].index
    for place, column in enumerate(columns[1:]):
        if place > 1:
            _, key = np.unique(key, return_inverse=True)  # as below
        key = key * len(column.values) + column.index
    if cell is not None:
        _, key = np.unique(key, return_inverse=True)  # whole numbers below N, so that the next does not overflow
        key = key * (int(cell.max()) + 1) + cell
    _, places, index = np.unique(key, return_index=True, return_inverse=True)
    return places, index, np.bincount(index, weights=n_customers).astype(np.float64)


def _again(column: Levels, places: IntArray) -> Levels:
    """The same distinct values over some rows that still hold all of them."""
    return Levels(column.values, column.index[places])
