"""The array operations that a likelihood may use, on NumPy; `inference.graph` has the same on PyTensor.

A likelihood is written once, against this small namespace, and read three times: by tests and
importance weights on NumPy, by gradients and NUTS on a graph. `Ops` lists what both must have.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import special

Step = Callable[[Any, Any], Any]
DOUBLINGS = 14  # of a recursion on a graph, whose length must be known: up to 16,384 steps


class Ops(Protocol):
    """What both array libraries offer under the same names."""

    def exp(self, x: Any) -> Any: ...
    def log(self, x: Any) -> Any: ...
    def log1p(self, x: Any) -> Any: ...
    def expm1(self, x: Any) -> Any: ...
    def gammaln(self, x: Any) -> Any: ...
    def betaln(self, x: Any, y: Any) -> Any: ...
    def logaddexp(self, x: Any, y: Any) -> Any: ...
    def softplus(self, x: Any) -> Any: ...
    def where(self, condition: Any, x: Any, y: Any) -> Any: ...
    def maximum(self, x: Any, y: Any) -> Any: ...
    def arange(self, size: Any) -> Any: ...
    def cumsum(self, x: Any) -> Any: ...
    def backward(self, step: Step, last: Any, *, at: Sequence[Any], line: Any) -> list[Any]: ...
    def held(self, x: Any) -> Any: ...


@dataclass(frozen=True)
class NumpyOps:
    """`Ops` on NumPy and SciPy."""

    exp = staticmethod(np.exp)
    log = staticmethod(np.log)
    log1p = staticmethod(np.log1p)
    expm1 = staticmethod(np.expm1)
    gammaln = staticmethod(special.gammaln)
    betaln = staticmethod(special.betaln)
    where = staticmethod(np.where)
    maximum = staticmethod(np.maximum)

    @staticmethod
    def arange(size: Any) -> Any:
        """0, 1, ..., size - 1."""
        return np.arange(size, dtype=np.float64)

    @staticmethod
    def cumsum(x: Any) -> Any:
        """Running sums along the last axis."""
        return np.cumsum(x, axis=-1)

    @staticmethod
    def held(x: Any) -> Any:
        """x, which derivatives do not look into: on a graph a constant for them."""
        return x

    @staticmethod
    def softplus(x: Any) -> Any:
        """log(1 + e^x); -inf is an ordinary value of x."""
        return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))

    @staticmethod
    def logaddexp(x: Any, y: Any) -> Any:
        """log(e^x + e^y) for finite x; -inf is an ordinary value of y."""
        return x + NumpyOps.softplus(y - x)

    @staticmethod
    def backward(step: Step, last: Any, *, at: Sequence[Any], line: Any) -> list[Any]:
        """Rows of lines y with y_k = step(k, y_k+1), k falling to 0: y_at[line] for each array of `at`.

        On a graph the steps must be straight in y, and 16,384 at the most.

        Parameters
        ----------
        last : array, shape (..., lines), 0, what stands beyond the greatest k of all
        at : arrays of whole numbers, each shape (K,)
        line : array, shape (K,), the line of each row

        Returns
        -------
        list of arrays, each shape (..., K)
        """
        places = np.concatenate(at)
        order = np.argsort(places, kind="stable")
        begins = np.searchsorted(places[order], np.arange(places.max() + 2))
        rows, y = np.empty((*last.shape[:-1], len(places))), last
        for k in range(len(begins) - 2, -1, -1):
            y = step(float(k), y)
            here = order[begins[k] : begins[k + 1]]
            if len(here):
                rows[..., here] = y[..., line[here % len(line)]]
        return np.split(rows, len(at), axis=-1)


NUMPY_OPS = NumpyOps()
