"""Prior distributions as records."""

import math
from dataclasses import dataclass

from clvmodels.foundation.errors import FitError

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class LogNormal:
    """A positive parameter whose logarithm is normal with mean log(median) and standard deviation sd."""

    median: float
    sd: float

    def __post_init__(self) -> None:
        _require_positive("LogNormal", median=self.median, sd=self.sd)

    @property
    def normal(self) -> tuple[float, float]:
        """Mean and standard deviation of log(parameter)."""
        return math.log(self.median), self.sd


@dataclass(frozen=True)
class Normal:
    """A coefficient of a standardised covariate: normal, with its mean and standard deviation."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not _is_finite(self.mean):
            raise FitError(f"Normal(mean={self.mean!r}): expected a finite number.")
        _require_positive("Normal", sd=self.sd)

    @property
    def normal(self) -> tuple[float, float]:
        """Mean and standard deviation of the coefficient."""
        return self.mean, self.sd


@dataclass(frozen=True)
class HalfNormal:
    """A standard deviation between groups: the size of a normal number with mean 0 and this sd."""

    sd: float

    def __post_init__(self) -> None:
        _require_positive("HalfNormal", sd=self.sd)


Prior = LogNormal | Normal | HalfNormal


def _require_positive(prior: str, **values: float) -> None:
    for name, value in values.items():
        if not (_is_finite(value) and value > 0):
            raise FitError(f"{prior}({name}={value!r}): expected a finite number above 0.")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
