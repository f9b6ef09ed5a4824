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
from clvmodels.models.residual import Curves, Tail, renewals_ahead, time_ahead

SHIFTS = 10  # from x = 10 on five terms of Stirling's series are right to 2e-14
Elementwise = Callable[..., Any]  # (t, *parameters, ops=) -> of each t


@dataclass(frozen=True)
class Staying:
    """The formulas of a model of retention, from its survival function log S(t) = log G(tau(t)).

    Attributes
    ----------
    letters : parameters of G, in the order of the arguments of `log_survival`
    log_survival : f(tau, *parameters, ops=...) -> log G(tau), for tau >= 0
    tail : f(*all parameters) -> (kappa, c, onset): S(t) is near t^-kappa (1 + O((onset / t)^c)) in the end, and bends
        with t^c
    lifetime : f(T, *all parameters) -> residual lifetime in closed form, or None
    log_hazard : f(t, *all parameters, ops=...) -> log of -d log S / dt for t > 0, of a model in continuous time; None
        for one whose customers leave at renewals
    time_letters : parameters of operational time, in the order of the arguments of `operational_time`
    operational_time : f(t, *parameters, ops=...) -> tau(t), for t >= 0; None for t itself
    """

    letters: tuple[str, ...]
    log_survival: Elementwise
    tail: Callable[..., Tail]
    lifetime: Callable[..., Any] | None = None
    log_hazard: Elementwise | None = None
    time_letters: tuple[str, ...] = ()
    operational_time: Elementwise | None = None

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

    def residual_lifetime(self, parameters: Draws, age: Any) -> FloatArray:
        """What is still to come of those there at T, undiscounted; infinite where it is. (S, 1) with (K,) gives (S, K).

        At renewals sum_{t >= 1} S(T + t) / S(T), the expected number of renewals still to be made; in continuous time
        int_0^inf S(T + t) / S(T) dt, the expected time.
        """
        if self.lifetime is None:
            return self._ahead(parameters, age, 0.0)
        age, *values = np.broadcast_arrays(np.asarray(age, dtype=np.float64), *self.values(parameters))
        return np.asarray(self.lifetime(age, *values))

    def derl(self, parameters: Draws, age: Any, discount_per_unit: Any, due: Any) -> FloatArray:
        """Discounted expected residual lifetime of those there at T. (S, 1) with (K,) gives (S, K).

        At renewals sum_{t >= 1} S(T + t) / S(T) exp(-d (t - 1 + due)), with a payment at each renewal; in continuous
        time int_0^inf S(T + t) / S(T) exp(-d t) dt, with a stream of payments.

        Parameters
        ----------
        discount_per_unit : d >= 0, continuous rate a unit of time, one or one a customer, shape (K,)
        due : time to the next renewal, from 0 (about to be made) to 1 (just made), one or one a customer; not read
            in continuous time

        References
        ----------
        Fader and Hardie (2010), Customer-Base Valuation in a Contractual Setting, eq. 4, doi 10.1287/mksc.1080.0482
        """
        discount = np.asarray(discount_per_unit, dtype=np.float64)
        if self.lifetime is not None and not discount.any():
            return self.residual_lifetime(parameters, age + 0 * discount)
        ahead = self._ahead(parameters, age, discount)
        return ahead if self.log_hazard else np.asarray(ahead * np.exp(discount * (1 - np.asarray(due))))

    def _ahead(self, parameters: Draws, age: Any, discount: Any) -> FloatArray:
        """The sum, at renewals, or the integral, discounted to the age."""
        *values, age, discount = np.broadcast_arrays(
            *self.values(parameters), np.asarray(age, dtype=np.float64), discount
        )
        size = age.shape[-1] if age.ndim else 1
        rows = np.stack([value.reshape(-1, size) for value in values])
        curves = Curves(partial(self.at_age, ops=NUMPY_OPS), self.tail, rows, discount.reshape(-1, size)[0])
        return (time_ahead if self.log_hazard else renewals_ahead)(curves, age.reshape(-1, size)[0]).reshape(age.shape)

    @property
    def formulas(self) -> dict[str, Callable[..., FloatArray]]:
        """By name."""
        return {
            "survival": self.survival,
            "retention_rate": self.retention_rate,
            "p_active": self.p_active,
            "residual_lifetime": self.residual_lifetime,
            "derl": self.derl,
        }


def log_chance(lost: FloatArray, entry: Any, before: Any, until: Any, ops: Ops) -> Any:
    """Log of the chance that those there at entry are lost between two ages, or else still there at the later one.

    Parameters
    ----------
    lost : ndarray, shape (K,), 1 for the lost, 0 for those still there
    entry, before, until : log S at the three ages, shape (..., K)
    """
    gap = ops.where(lost > 0, until - before, -1.0)  # of those still there it is 0, and has no logarithm
    return before - entry + ops.where(lost > 0, ops.log(-ops.expm1(gap)), 0.0)


def log_beta_survival(alpha: Any, beta: Any, t: Any, ops: Ops) -> Any:
    """log B(alpha, beta + t) - log B(alpha, beta): of E (1 - theta)^t over theta ~ Beta(alpha, beta), for t >= 0.

    Log gammas of large numbers, as at alpha = beta = 1e8 or after 1e6 renewals, agree in so many digits that their
    differences have few left. Here is nothing but logarithms of 1 and something, each right to its last digit:
    B(alpha, beta + t) / B(alpha, beta) grows by a factor 1 + alpha t / ((beta + j) (alpha + beta + t + j)) as
    beta + j becomes beta + j + 1; and from x = beta + 10 on Stirling's series has it.
    """
    growth: Any = 0.0  # of the ratio, less 1
    product, whole = alpha * t, alpha + beta + t
    for j in range(SHIFTS):
        growth = growth + (1 + growth) * (product / ((beta + j) * (whole + j)))
    x = beta + SHIFTS
    both = alpha + x + t
    stirling = (
        (x - 0.5) * ops.log1p(product / (x * both))
        - t * ops.log1p(alpha / (x + t))
        - alpha * ops.log1p(t / (x + alpha))
    )
    rest = (
        stirling_remainder(x + t) - stirling_remainder(both) - (stirling_remainder(x) - stirling_remainder(x + alpha))
    )
    return stirling + rest - ops.log1p(growth)


def stirling_remainder(x: Any) -> Any:
    """What Stirling's formula leaves of log Gamma(x): 1/12x - 1/360x^3 + 1/1260x^5 - 1/1680x^7 + 1/1188x^9."""
    y = 1 / x
    z = y * y
    return y * (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z / 1188))))


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
