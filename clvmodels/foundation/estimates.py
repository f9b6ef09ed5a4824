"""A distribution in five numbers, as a report shows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A posterior or predictive distribution in five numbers; the interval q05 to q95 holds 90 %.

    `mean` is None where there is none: an infinite expectation, or nothing to estimate from.
    """

    mean: float | None
    sd: float | None
    q05: float | None
    q50: float | None
    q95: float | None
