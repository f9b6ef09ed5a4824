"""The array operations that a likelihood may use, on NumPy; `inference.graph` has the same on PyTensor.

A likelihood is written once, against this small namespace, and read three times: by tests and
importance weights on NumPy, by gradients and NUTS on a graph. `Ops` lists what both must have.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import special


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


NUMPY_OPS = NumpyOps()
