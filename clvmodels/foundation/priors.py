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
        if not math.isfinite(self.mean):
            raise FitError(f"Normal(mean={self.mean}): expected a finite number.")
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
        if not (math.isfinite(value) and value > 0):
            raise FitError(f"{prior}({name}={value}): expected a finite number above 0.")
