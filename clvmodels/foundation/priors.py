"""Prior distributions as records."""

import math
from dataclasses import dataclass
from typing import Any

from clvmodels.foundation.errors import FitError

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class LogNormal:
    """A positive parameter whose logarithm is normal with mean log(median) and standard deviation sd."""

    median: float
    sd: float

    def __post_init__(self) -> None:
        for name in ("median", "sd"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise FitError(f"LogNormal({name}={value}): expected a finite number above 0.")

    def log_density_of_log(self, eta: Any) -> Any:
        """Log density of eta = log(parameter); the unconstrained scale on which every fit works."""
        z = (eta - math.log(self.median)) / self.sd
        return -0.5 * z * z - math.log(self.sd) - HALF_LOG_TWO_PI
