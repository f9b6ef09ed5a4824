"""Counted patterns: what a likelihood reads, with customers alike counted once.

A column of patterns keeps its distinct values apart (`Levels`), so that gamma functions are
evaluated on tens of values where there are hundreds of thousands of rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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

    @classmethod
    def of(cls, column: FloatArray) -> "Levels":
        """The levels of a plain column, shape (K,)."""
        values, index = np.unique(np.asarray(column, dtype=np.float64), return_inverse=True)
        return cls(values, index.astype(np.int64))

    @property
    def rows(self) -> FloatArray:
        """The plain column, shape (K,)."""
        return self.values[self.index]

    def spread(self, of_values: Any) -> Any:
        """Rows of a function of the distinct values: shape (..., D) to (..., K); NumPy or a graph."""
        return of_values[..., self.index]


@dataclass(frozen=True)
class PurchasePatterns:
    """Distinct (frequency, recency, T) of customers, with counts.

    Attributes
    ----------
    frequency, recency, T : Levels over K patterns, in purchases and units of time
    n_customers : ndarray, shape (K,), customers with that pattern
    unit : unit of time
    """

    frequency: Levels
    recency: Levels
    T: Levels
    n_customers: FloatArray
    unit: str

    @classmethod
    def of(
        cls, frequency: FloatArray, recency: FloatArray, T: FloatArray, unit: str, n_customers: FloatArray | None = None
    ) -> "PurchasePatterns":
        """One pattern a row, not compressed; rows count once unless n_customers says otherwise."""
        counts = np.ones(len(frequency)) if n_customers is None else np.asarray(n_customers, dtype=np.float64)
        return cls(Levels.of(frequency), Levels.of(recency), Levels.of(T), counts, unit)

    def __len__(self) -> int:
        return len(self.n_customers)


@dataclass(frozen=True)
class SpendPatterns:
    """Distinct (number of purchases, mean spend) of customers with a known spend, with counts.

    Attributes
    ----------
    frequency : Levels over K patterns, purchases that the mean is taken over (at least 1)
    monetary_value : ndarray, shape (K,), mean spend a purchase, above 0, in currency
    n_customers : ndarray, shape (K,)
    currency : code, such as "USD"
    """

    frequency: Levels
    monetary_value: FloatArray
    n_customers: FloatArray
    currency: str

    def __len__(self) -> int:
        return len(self.n_customers)
