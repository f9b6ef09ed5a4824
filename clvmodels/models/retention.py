"""How long customers stay: what every model of retention makes of its survival function.

A model says log S(t), the logarithm of the chance to be still there after t renewals (or a time t), with S(0) = 1. It
is a mixture over customers who differ in how likely they leave, so those who stayed long are ever likelier to stay.
All have the form S(t) = G(tau(t)): G tells how customers differ, and operational time tau how each one's chance to
leave changes, with age here, and on a calendar in `retention_calendar`. From it follow the likelihood of relations seen
from an age e on,

    P(lost between n - 1 and n) / S(e) = (S(n - 1) - S(n)) / S(e)        f(t) / S(e), a loss at the very age t
    P(still there at n) / S(e)         = S(n) / S(e)

and what the future of a customer who is still there is like. With e = 0 a relation was seen from its beginning.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from clvmodels.foundation.calendar import Timetable
from clvmodels.foundation.model import CHURN, RETENTION_HISTORY, Draws, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, RetentionPatterns, at_rows

STIRLING = 16.0  # from here on Stirling's series has the difference of two log gammas to the last digits
Elementwise = Callable[..., Any]  # (t, *parameters, ops=) -> of each t


@dataclass(frozen=True)
class Staying:
    """The formulas of a model of retention, from its survival function log S(t) = log G(tau(t)).

    Attributes
    ----------
    letters : parameters of G, in the order of the arguments of `log_survival`
    log_survival : f(tau, *parameters, ops=...) -> log G(tau), for tau >= 0
    time_letters : parameters of operational time, in the order of the arguments of `operational_time`
    operational_time : f(t, *parameters, ops=...) -> tau(t), for t >= 0; None for t itself
    log_hazard : f(t, *all parameters, ops=...) -> log of -d log S / dt for t > 0, of a model in continuous time; None
        for one whose customers leave at renewals
    """

    letters: tuple[str, ...]
    log_survival: Elementwise
    time_letters: tuple[str, ...] = ()
    operational_time: Elementwise | None = None
    log_hazard: Elementwise | None = None

    @property
    def all_letters(self) -> tuple[str, ...]:
        """All parameters, those of G first."""
        return (*self.letters, *self.time_letters)

    def values(self, parameters: Draws) -> tuple[Any, ...]:
        """The parameters in the order of the arguments."""
        return tuple(parameters[letter] for letter in self.all_letters)

    def tau(self, t: Any, *of_time: Any, ops: Ops) -> Any:
        """Operational time."""
        return t if self.operational_time is None else self.operational_time(t, *of_time, ops=ops)

    def at_age(self, t: Any, *values: Any, ops: Ops) -> Any:
        """log S(t)."""
        of_mixture = len(self.letters)
        return self.log_survival(self.tau(t, *values[of_mixture:], ops=ops), *values[:of_mixture], ops=ops)

    def log_likelihood(self, parameters: Draws, patterns: RetentionPatterns, ops: Ops) -> Any:
        """Log likelihood of each pattern, shape (..., K)."""
        chosen = self.values(parameters)

        def log_survival(t: Any, *values: Any) -> Any:
            return self.at_age(t, *values, ops=ops)

        lost, entry = patterns.lost, patterns.entry.map(log_survival, *chosen)
        at_age = patterns.age.map(log_survival, *chosen)
        if patterns.exact and self.log_hazard is not None:
            age = ops.where(lost > 0, patterns.age.rows, 1.0)
            hazard = self.log_hazard(age, *(at_rows(value) for value in chosen), ops=ops)
            return at_age - entry + ops.where(lost > 0, hazard, 0.0)
        return log_chance(lost, entry, patterns.before.map(log_survival, *chosen), at_age, ops)

    def survival(self, parameters: Draws, age: Any) -> FloatArray:
        """S(age): the chance that a new customer is still there at an age. Shape (S, 1) with (K,) gives (S, K)."""
        return np.asarray(np.exp(self.at_age(age, *self.values(parameters), ops=NUMPY_OPS)))

    def p_active(self, parameters: Draws, age: Any, horizon: Any) -> FloatArray:
        """P(there at T + t | there at T) = S(T + t) / S(T), with T = age; exactly 1 at t = 0."""
        values = self.values(parameters)
        later = self.at_age(np.asarray(age) + horizon, *values, ops=NUMPY_OPS)
        return np.asarray(np.exp(later - self.at_age(np.asarray(age) + 0 * horizon, *values, ops=NUMPY_OPS)))

    def retention_rate(self, parameters: Draws, age: Any) -> FloatArray:
        """S(t) / S(t - 1): of those there a unit before an age t >= 1, the share that is there at it."""
        return self.p_active(parameters, np.asarray(age, dtype=np.float64) - 1.0, 1.0)

    @property
    def formulas(self) -> dict[str, Callable[..., FloatArray]]:
        """By name."""
        return {"survival": self.survival, "retention_rate": self.retention_rate, "p_active": self.p_active}


def log_chance(lost: FloatArray, entry: Any, before: Any, until: Any, ops: Ops) -> Any:
    """Log of the chance that those there at entry are lost between two ages, or else still there at the later one.

    Parameters
    ----------
    lost : ndarray, shape (K,), 1 for the lost, 0 for those still there
    entry, before, until : log S at the three ages, shape (..., K)
    """
    gap = ops.where(lost > 0, until - before, -1.0)  # of those still there it is 0, and has no logarithm
    return before - entry + ops.where(lost > 0, ops.log(-ops.expm1(gap)), 0.0)


def log_rising(x: Any, t: Any, ops: Ops) -> Any:
    """log Gamma(x + t) - log Gamma(x), for x > 0 and t >= 0.

    From x = 16 on by Stirling's series, whose terms are subtracted one by one: log gammas of large numbers agree in
    so many digits that their difference would have none left, as at alpha = beta = 1e8.
    """
    large = ops.maximum(x, STIRLING)
    y = large + t
    series = (y - 0.5) * ops.log1p(t / large) + t * (ops.log(large) - 1.0) + _remainder(y) - _remainder(large)
    small = ops.where(x < STIRLING, x, STIRLING)
    return ops.where(x < STIRLING, ops.gammaln(small + t) - ops.gammaln(small), series)


def _remainder(x: Any) -> Any:
    """What Stirling's formula leaves of log Gamma(x): 1/12x - 1/360x^3 + 1/1260x^5 - 1/1680x^7."""
    z = 1 / (x * x)
    return (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z / 1680))) / x


def powered(t: Any, c: Any, *, ops: Ops) -> Any:
    """t^c for t >= 0 and c > 0; 0 at t = 0, with a slope by c that is a number."""
    above = ops.where(t > 0, t, 1.0)
    return ops.where(t > 0, ops.exp(c * ops.log(above)), 0.0)


def retention_model(
    name: str,
    staying: Staying,
    *,
    parameters: tuple[Parameter, ...],
    simulate: Callable[..., FloatArray],
    reference: str,
    limits: dict[str, Any] | None = None,
    on_calendar: Callable[[Model, Staying, Timetable], Model] | None = None,
) -> Model:
    """A model of retention from its survival function and its story, and what makes it one on a calendar."""
    model = Model(
        name=name,
        family="retention",
        parameters=parameters,
        log_likelihood=staying.log_likelihood,
        history=RETENTION_HISTORY,
        density_of="time_to_loss",
        formulas=staying.formulas,
        simulate=simulate,
        limits=limits or {},
        clock="opportunities" if staying.log_hazard is None else "continuous",
        reference=reference,
    )
    if on_calendar is None:
        return model
    return replace(model, on_calendar=partial(on_calendar, model, staying), terms_act_on=(CHURN,))
