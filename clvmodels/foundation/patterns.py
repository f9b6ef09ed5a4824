"""Counted patterns: what a likelihood reads, with customers alike counted once.

A column of patterns keeps its distinct values apart (`Levels`), so that gamma functions are
evaluated on tens of values where there are hundreds of thousands of rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Varying:
    """A parameter that differs over rows, by covariates or groups: row k has values[..., cell[k]].

    Attributes
    ----------
    values : array, shape (..., C), the parameter of each cell of customers alike in covariates and groups
    cell : ndarray, shape (K,), the cell of each row
    """

    values: Any
    cell: IntArray


def at_rows(parameter: Any) -> Any:
    """A parameter as it broadcasts against rows (K,): itself, or its values row by row, shape (..., K)."""
    return parameter.values[..., parameter.cell] if isinstance(parameter, Varying) else parameter


@dataclass(frozen=True)
class Levels:
    """A column as distinct values and the place of each row among them.

    Attributes
    ----------
    values : ndarray, shape (D,), distinct values in increasing order
    index : ndarray, shape (K,), row k holds values[index[k]]
    """

    values: FloatArray
    index: IntArray
    _pairs: dict[int, "Pairs"] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, column: FloatArray) -> "Levels":
        """The levels of a plain column, shape (K,)."""
        values, index = np.unique(np.asarray(column, dtype=np.float64), return_inverse=True)
        return cls(values, index.astype(np.int64))

    @property
    def rows(self) -> FloatArray:
        """The plain column, shape (K,)."""
        return self.values[self.index]

    def map(self, f: Callable[..., Any], *parameters: Any) -> Any:
        """Rows of f(values, *parameters), worked out once for each distinct value; shape (..., K).

        Parameters are floats, (S, 1) draws or graph variables; or `Varying`, and then f is worked out once
        for each distinct pair of value and cell.
        """
        varying = [parameter for parameter in parameters if isinstance(parameter, Varying)]
        if not varying:
            return f(self.values, *parameters).take(self.index, axis=-1)  # a third of the time of [..., index]
        pairs = self.pairs_with(varying[0].cell)
        if any(parameter.cell is not varying[0].cell for parameter in varying):
            raise ValueError("parameters that vary over rows must share one array of cells")
        at_pairs = [p.values[..., pairs.cell] if isinstance(p, Varying) else p for p in parameters]
        return f(self.values[pairs.value], *at_pairs).take(pairs.index, axis=-1)

    def remember(self, pairs: "Pairs") -> None:
        """Take these as the distinct pairs with their cells: a graph's, where they cannot be looked for."""
        self._pairs[id(pairs.cells)] = pairs

    def pairs_with(self, cell: IntArray) -> "Pairs":
        """The distinct pairs of value and cell; remembered, since a fit asks for them at each step."""
        if id(cell) not in self._pairs:
            self.remember(Pairs.of(self.index, cell))
        return self._pairs[id(cell)]


@dataclass(frozen=True)
class Pairs:
    """Distinct pairs: pair d is values[value[d]] in cell cell[d], row k has pair index[k]."""

    value: IntArray
    cell: IntArray
    index: IntArray
    cells: IntArray  # held, so that its id is not given to another array

    @classmethod
    def of(cls, value: IntArray, cell: IntArray) -> "Pairs":
        """The pairs of two columns of whole numbers, each shape (K,)."""
        key, index = np.unique(value * (int(cell.max(initial=0)) + 1) + cell, return_inverse=True)
        return cls(*np.divmod(key, int(cell.max(initial=0)) + 1), index, cell)


@dataclass(frozen=True)
class Plans:
    """What readers work out of some patterns before they read them, each made at its first call."""

    _made: dict[tuple[int, ...], tuple[tuple[object, ...], Any]] = field(default_factory=dict)

    def of[Plan](self, make: Callable[[], Plan], *readers: object) -> Plan:
        """The plan of a reader, or of several objects that it depends on."""
        key = tuple(map(id, readers))
        if key not in self._made:
            self._made[key] = readers, make()  # held, so that their ids are not given to others
        plan: Plan = self._made[key][1]
        return plan


@dataclass(frozen=True)
class PurchasePatterns:
    """Distinct (frequency, recency, T) of customers, with counts.

    Attributes
    ----------
    frequency, recency, T : Levels over K patterns, in purchases and units of time
    n_customers : ndarray, shape (K,), customers with that pattern
    unit : unit of time
    log_interval : ndarray, shape (K,), mean log time between purchases, 0 at frequency 0; for models that read it
    paid_purchases, log_amount, log_amount_sd : ndarrays, shape (K,), repeat purchases above 0 and mean and standard
        deviation of their log amounts, 0 where there are none; for models that read them
    term_sums : ndarray, shape (K, Q), sums of calendar terms over the repeat purchases; for models that read them
    """

    frequency: Levels
    recency: Levels
    T: Levels
    n_customers: FloatArray
    unit: str
    log_interval: FloatArray | None = None
    term_sums: FloatArray | None = None
    paid_purchases: FloatArray | None = None
    log_amount: FloatArray | None = None
    log_amount_sd: FloatArray | None = None
    plans: Plans = field(default_factory=Plans, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        frequency: FloatArray,
        recency: FloatArray,
        T: FloatArray,
        unit: str,
        n_customers: FloatArray | None = None,
        log_interval: FloatArray | None = None,
    ) -> "PurchasePatterns":
        """One pattern a row, not compressed; rows count once unless n_customers says otherwise."""
        counts = np.ones(len(frequency)) if n_customers is None else np.asarray(n_customers, dtype=np.float64)
        return cls(Levels.of(frequency), Levels.of(recency), Levels.of(T), counts, unit, log_interval)

    def __len__(self) -> int:
        return len(self.n_customers)

    def take(self, rows: slice) -> "PurchasePatterns":
        """Some of the patterns, with the distinct values that they hold."""
        x, t_x, T = (Levels.of(column.rows[rows]) for column in (self.frequency, self.recency, self.T))
        of_spend = (self.paid_purchases, self.log_amount, self.log_amount_sd)
        columns = (self.log_interval, self.term_sums, *of_spend)
        further = [None if column is None else column[rows] for column in columns]
        return PurchasePatterns(x, t_x, T, self.n_customers[rows], self.unit, *further)


@dataclass(frozen=True)
class SpendPatterns:
    """Distinct (number of purchases, mean spend) of customers with a known spend, with counts.

    Attributes
    ----------
    frequency : Levels over K patterns, purchases that the mean is taken over (at least 1)
    monetary_value : ndarray, shape (K,), mean spend a purchase, above 0, in currency
    n_customers : ndarray, shape (K,)
    currency : code, such as "USD"
    log_amount, log_amount_sd : ndarrays, shape (K,), mean and standard deviation of the purchases' log amounts,
        for models that read them; then frequency and monetary_value are of the paid purchases alone
    """

    frequency: Levels
    monetary_value: FloatArray
    n_customers: FloatArray
    currency: str
    log_amount: FloatArray | None = None
    log_amount_sd: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.n_customers)

    def take(self, rows: slice) -> "SpendPatterns":
        """Some of the patterns, with the distinct values that they hold."""
        logs = [None if column is None else column[rows] for column in (self.log_amount, self.log_amount_sd)]
        frequency = Levels.of(self.frequency.rows[rows])
        return SpendPatterns(frequency, self.monetary_value[rows], self.n_customers[rows], self.currency, *logs)


@dataclass(frozen=True)
class RetentionPatterns:
    """Distinct (entry, age, lost, start) of customers, with counts.

    Attributes
    ----------
    entry, before, age : Levels over K patterns: when they came under observation; the last age at which those who
        are lost were still there, the age itself for the others; and the age of the loss or of the last look
    lost : ndarray, shape (K,), 1 for the lost, 0 for those still there
    n_customers : ndarray, shape (K,)
    unit : of ages
    exact : whether losses are at the very age, and not between `before` and `age`
    start : Levels, the calendar unit in which they began, counted from some unit; 0 where it is not known
    """

    entry: Levels
    before: Levels
    age: Levels
    lost: FloatArray
    n_customers: FloatArray
    unit: str
    exact: bool
    start: Levels
    plans: Plans = field(default_factory=Plans, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.n_customers)

    def take(self, rows: slice) -> "RetentionPatterns":
        """Some of the patterns, with the distinct values that they hold."""
        columns = (self.entry, self.before, self.age, self.start)
        entry, before, age, start = (Levels.of(column.rows[rows]) for column in columns)
        lost, counts = self.lost[rows], self.n_customers[rows]
        return replace(self, entry=entry, before=before, age=age, start=start, lost=lost, n_customers=counts)


Patterns = PurchasePatterns | SpendPatterns | RetentionPatterns
