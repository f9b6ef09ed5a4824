"""What may change in customers' behaviour from the day of a decision on, and how surely."""

import math
import zlib
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray

CHANGED = ("rate", "dropout", "spend")
NORMAL_95 = float(special.ndtri(0.95))


@dataclass(frozen=True)
class Effect:
    """A factor that is not known for sure: log-normal, 90 % of it between q05 and q95, its median between them.

    Raises
    ------
    DataError
        If they are not finite numbers above 0, the first below the second.
    """

    q05: float
    q95: float

    def __post_init__(self) -> None:
        if not (0 < self.q05 < self.q95 < math.inf):
            raise DataError(
                f"an effect from {self.q05:g} to {self.q95:g}: expected two factors above 0, q05 below q95 "
                "(0.9 and 1.1 mean from a tenth less to a tenth more). What is known for sure is a plain number."
            )

    @property
    def median(self) -> float:
        """Of the factor."""
        return math.sqrt(self.q05 * self.q95)

    @property
    def log_sd(self) -> float:
        """Standard deviation of the factor's logarithm."""
        return math.log(self.q95 / self.q05) / (2 * NORMAL_95)


@dataclass(frozen=True)
class Change:
    """Factors on each customer's own rate of purchase, chance to leave and mean spend, from a day on.

    A number is known for sure; an `Effect` is drawn, one number for all customers in each draw. The three are
    independent of each other, and of those of a change with another `key`.

    Raises
    ------
    DataError
        If a factor is not finite or negative, or 0 on the rate.
    """

    rate: float | Effect = 1.0
    dropout: float | Effect = 1.0
    spend: float | Effect = 1.0
    key: str = ""

    def __post_init__(self) -> None:
        for name in CHANGED:
            _require_factor(name, getattr(self, name), least=math.ulp(0.0) if name == "rate" else 0.0)

    @property
    def of(self) -> tuple[str, ...]:
        """What changes."""
        return tuple(name for name in CHANGED if getattr(self, name) != 1.0)

    def factors(self, n_draws: int, seed: int) -> FloatArray:
        """Factors on rate, chance to leave and spend, shape (3, S); the same whichever changes stand beside it."""
        rng = np.random.default_rng([seed, zlib.crc32(self.key.encode())])
        normal = rng.standard_normal((len(CHANGED), n_draws))
        return np.stack([_drawn(getattr(self, name), normal[i]) for i, name in enumerate(CHANGED)])


def _drawn(effect: float | Effect, normal: FloatArray) -> FloatArray:
    if isinstance(effect, Effect):
        return np.asarray(effect.median * np.exp(effect.log_sd * normal))
    return np.full(len(normal), float(effect))


def _require_factor(name: str, value: Any, *, least: float) -> None:
    if isinstance(value, Effect):
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) < math.inf:
        above = "above 0" if least > 0 else "0 or above"
        raise DataError(
            f"{name} = {value!r}: expected a factor {above} (0.95 means 5 % less), or an Effect(q05, q95) where it is "
            "not known for sure."
        )
