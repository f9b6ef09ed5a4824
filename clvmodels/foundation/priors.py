"""Prior distributions as records."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.whole import is_whole

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
    """A parameter of any sign, such as a coefficient of a standardised covariate: normal, by mean and sd."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not _is_finite(self.mean):
            raise FitError(f"Normal(mean={self.mean!r}): expected a finite number.")
        _require_positive("Normal", sd=self.sd)

    @property
    def normal(self) -> tuple[float, float]:
        """Mean and standard deviation of the parameter."""
        return self.mean, self.sd


@dataclass(frozen=True)
class FisherNormal:
    """A correlation rho whose log((1 + rho) / (1 - rho)), twice Fisher's z, is normal.

    With mean 0 and sd 1.5 nearly every correlation is as likely as another.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not _is_finite(self.mean):
            raise FitError(f"FisherNormal(mean={self.mean!r}): expected a finite number.")
        _require_positive("FisherNormal", sd=self.sd)

    @property
    def normal(self) -> tuple[float, float]:
        """Mean and standard deviation of log((1 + rho) / (1 - rho))."""
        return self.mean, self.sd


@dataclass(frozen=True)
class LogitNormal:
    """A probability whose log odds are normal: their mean is those of the median, and sd their standard deviation.

    With the median 0.5 and sd 1.5 nearly every probability is as likely as another.
    """

    median: float
    sd: float

    def __post_init__(self) -> None:
        if not (_is_finite(self.median) and 0 < self.median < 1):
            raise FitError(f"LogitNormal(median={self.median!r}): expected a number between 0 and 1.")
        _require_positive("LogitNormal", sd=self.sd)

    @property
    def normal(self) -> tuple[float, float]:
        """Mean and standard deviation of log(p / (1 - p))."""
        return math.log(self.median) - math.log1p(-self.median), self.sd


@dataclass(frozen=True)
class OneOf:
    """A counted parameter that is one of these whole numbers, each as likely as another."""

    values: tuple[int, ...]

    def __post_init__(self) -> None:
        given: Any = self.values
        whole = isinstance(given, list | tuple) and all(is_whole(value) for value in given)
        if not whole or not given or len(set(given)) < len(given):
            raise FitError(f"OneOf({given!r}): expected distinct whole numbers, such as OneOf((1, 2, 3)).")
        object.__setattr__(self, "values", tuple(sorted(int(value) for value in given)))  # read from a file, a list


@dataclass(frozen=True)
class HalfNormal:
    """A standard deviation between groups: the size of a normal number with mean 0 and this sd."""

    sd: float

    def __post_init__(self) -> None:
        _require_positive("HalfNormal", sd=self.sd)


ContinuousPrior = LogNormal | Normal | FisherNormal | LogitNormal  # normal in what the inference works with
ParameterPrior = ContinuousPrior | OneOf
Prior = ParameterPrior | HalfNormal


def prior_to_dict(prior: Prior) -> dict[str, Any]:
    """A prior as its kind and its numbers, for a file."""
    return {"kind": type(prior).__name__, **asdict(prior)}


def prior_from(kind: str, **values: Any) -> Any:
    """The prior that `prior_to_dict` wrote."""
    kinds: tuple[type[Prior], ...] = (LogNormal, Normal, FisherNormal, LogitNormal, OneOf, HalfNormal)
    return {prior.__name__: prior for prior in kinds}[kind](**values)


def _require_positive(prior: str, **values: float) -> None:
    for name, value in values.items():
        if not (_is_finite(value) and value > 0):
            raise FitError(f"{prior}({name}={value!r}): expected a finite number above 0.")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
