"""Retention on a calendar: season, campaigns and prices of the time of a renewal make customers leave or stay.

The story. As in the model without a calendar, but at the u-th renewal, in the calendar unit k0 + u where k0 is the one
in which the relation began, a customer's chance to leave is raised or lowered by exp(gamma' z), with z the mean of the
calendar's terms over the days of that unit. Given a customer's own theta the chance to be still there after n renewals
is (1 - theta)^tau(n), with operational time

    tau(n) = sum_{u=1..n} (u^c - (u - 1)^c) exp(gamma' z_{k0+u})

(c = 1 but in BdW): proportional hazards on the complementary log-log scale. Over customers it is G(tau), with the same
G as without a calendar, where tau(n) = n^c. A positive gamma: more leave.

References
----------
.. [1] Fader, Hardie, Liu, Davin and Steenburgh (2018), "How to Project Customer Retention" Revisited: The Role of
   Duration Dependence, Journal of Interactive Marketing 43, doi 10.1016/j.intmar.2018.01.002.
.. [2] Prentice and Gloeckler (1978), Regression Analysis of Grouped Survival Data with Application to Breast Cancer
   Data, Biometrics 34(1), doi 10.2307/2529588.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from clvmodels.foundation.calendar import Timetable, UnitTerms
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.model import CHURN, RETENTION_HISTORY, Draws, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, RetentionPatterns, Varying
from clvmodels.foundation.units import first_days
from clvmodels.models.retention import Staying, log_chance


@dataclass(frozen=True)
class Lines:
    """Where the operational times of patterns stand in a table with a line a start and a column an age.

    Attributes
    ----------
    start : ndarray, shape (L,), calendar unit of each line
    start_cell : ndarray, shape (L,), cell of each line, where time runs differently from cell to cell
    ages : greatest age
    line, age, cell : ndarrays, shape (D,), the distinct places that are read, with the cell whose parameters they take
    entry, before, until : ndarrays, shape (K,), the place of each pattern's ages
    """

    start: FloatArray
    start_cell: IntArray
    ages: int
    line: IntArray
    age: IntArray
    cell: IntArray
    entry: IntArray
    before: IntArray
    until: IntArray

    @classmethod
    def of(cls, patterns: RetentionPatterns, cell: IntArray, line_cell: IntArray) -> "Lines":
        """The plan for patterns.

        Parameters
        ----------
        cell : ndarray, shape (K,), the cell of each pattern's parameters
        line_cell : ndarray, shape (K,), the same where time runs differently from cell to cell; else zeros
        """
        starts, line = np.unique(np.stack([patterns.start.rows, line_cell]), axis=1, return_inverse=True)
        ages = np.stack([column.rows for column in (patterns.entry, patterns.before, patterns.age)])
        rows = np.stack(np.broadcast_arrays(line.reshape(-1), ages, cell)).astype(np.int64)  # (3, 3, K)
        distinct, place = np.unique(rows.reshape(3, -1), axis=1, return_inverse=True)
        entry, before, until = place.reshape(ages.shape)
        return cls(
            starts[0],
            starts[1].astype(np.int64),
            int(ages.max()),
            distinct[0],
            distinct[1],
            distinct[2],
            entry,
            before,
            until,
        )


@dataclass(frozen=True)
class OnCalendar:
    """The likelihood and the formulas of a model of retention on one calendar."""

    staying: Staying
    timetable: Timetable

    @cached_property
    def terms(self) -> UnitTerms:
        """Terms of each calendar unit."""
        return self.timetable.by_unit(CHURN)

    def operational_times(self, parameters: Draws, start: FloatArray, ages: int, ops: Ops) -> Any:
        """tau(n) of relations that began in calendar units, shape (L,), after n = 0, 1, ..., ages renewals.

        Shape (..., L, ages + 1). Parameters of time are the same for all, or differ from start to start.
        """
        n, line = ops.arange(ages + 1), ops.arange(1)
        of_time = [(parameters[letter] + line)[..., None] for letter in self.staying.time_letters]  # (..., L or 1, 1)
        later, earlier = (self.staying.tau(t, *of_time, ops=ops) for t in (n, ops.maximum(n - 1.0, 0.0)))
        log_hazard = 0.0
        for name, z in zip(self.timetable.coefficients(CHURN), self.terms.values.T, strict=True):
            log_hazard = log_hazard + parameters[name] * z
        unit = self.terms.places(np.add.outer(start, np.arange(ages + 1)))
        return ops.cumsum((later - earlier) * ops.exp(log_hazard)[..., unit])

    def log_likelihood(self, parameters: Draws, patterns: RetentionPatterns, ops: Ops) -> Any:
        """Log likelihood of each pattern, shape (..., K)."""
        lines = self.lines(parameters, patterns)
        of_line = {name: _at(value, lines.start_cell) for name, value in parameters.items()}
        tau = self.operational_times(of_line, lines.start, lines.ages, ops)[..., lines.line, lines.age]
        values = (_at(parameters[letter], lines.cell) for letter in self.staying.letters)
        log_survival = self.staying.log_survival(tau, *values, ops=ops)
        entry, before, until = (log_survival.take(place, axis=-1) for place in (lines.entry, lines.before, lines.until))
        return log_chance(patterns.lost, entry, before, until, ops)

    def lines(self, parameters: Draws, patterns: RetentionPatterns) -> Lines:
        """The plan for patterns with their cells, made once."""
        varying = [name for name in self.staying.all_letters if isinstance(parameters[name], Varying)]
        cell = parameters[varying[0]].cell if varying else np.zeros(len(patterns), dtype=np.int64)
        time_varies = any(name in varying for name in self.staying.time_letters)

        def make() -> Lines:
            self.terms.require(
                _reach(patterns.start.rows, patterns.entry.rows + 1, patterns.age.rows), "renewals are seen"
            )
            return Lines.of(patterns, cell, cell if time_varies else np.zeros_like(cell))

        return patterns.plans.of(make, self, *([cell] if varying else []))

    def log_survival(self, parameters: Draws, age: Any, start: Any) -> FloatArray:
        """log S(age) of relations that began in calendar units; shape (S, 1) with (K,) gives (S, K)."""
        age, start = np.asarray(age, dtype=np.int64), np.asarray(start, dtype=np.float64)
        self.terms.require(_reach(start, np.ones_like(age), age), "renewals are asked for")
        theta = {name: np.asarray(value, dtype=np.float64) for name, value in parameters.items()}
        theta |= {name: theta[name][..., :1] for name in self.timetable.coefficients(CHURN) if theta[name].ndim}
        rows: tuple[int, ...] = max((theta[letter].shape[-1:] for letter in self.staying.time_letters), default=())
        if rows > (1,):  # time runs differently from row to row: a line each
            starts, line = np.broadcast_to(start, rows), np.arange(rows[0])
        else:
            starts, line = np.unique(start, return_inverse=True)
            line = line.reshape(start.shape)
        times = self.operational_times(theta, starts, int(age.max(initial=0)), NUMPY_OPS)
        draw = [np.arange(len(times))[:, None]] if times.ndim == 3 else []
        values = (theta[letter] for letter in self.staying.letters)
        return np.asarray(self.staying.log_survival(times[*draw, line, age], *values, ops=NUMPY_OPS))

    def survival(self, parameters: Draws, age: Any, start: Any) -> FloatArray:
        """S(age): the chance that a customer won in a calendar unit is still there at an age."""
        return np.asarray(np.exp(self.log_survival(parameters, age, start)))

    def p_active(self, parameters: Draws, age: Any, start: Any, horizon: Any) -> FloatArray:
        """P(there at T + t | there at T) = S(T + t) / S(T), with T = age; exactly 1 at t = 0."""
        now = np.asarray(age) + 0 * np.asarray(horizon)
        later = self.log_survival(parameters, now + horizon, start)
        return np.asarray(np.exp(later - self.log_survival(parameters, now, start)))

    def retention_rate(self, parameters: Draws, age: Any, start: Any) -> FloatArray:
        """S(t) / S(t - 1): of those there a unit before an age t >= 1, the share that is there at it; NaN at age 0."""
        rate = self.p_active(parameters, np.maximum(np.asarray(age) - 1, 0), start, 1)
        return np.where(np.asarray(age) >= 1, rate, np.nan)

    def without_end(self, *_: Any) -> FloatArray:
        """Refuse what reads the whole future."""
        last = first_days(np.array([self.terms.first + len(self.terms.values)]), self.timetable.unit)[0]
        raise DataError(
            f"the calendar of the fit ends with the {self.timetable.unit} before {last}, and how long customers stay "
            "without end is not known on it: ask for p_active up to a horizon within it, or fit without the calendar."
        )

    @property
    def formulas(self) -> dict[str, Callable[..., FloatArray]]:
        """By name."""
        within: dict[str, Callable[..., FloatArray]] = {
            "survival": self.survival,
            "retention_rate": self.retention_rate,
            "p_active": self.p_active,
        }
        return within | {name: self.without_end for name in self.staying.formulas if name not in within}


def _at(value: Any, cell: IntArray) -> Any:
    """A parameter in cells, if it varies over them."""
    return value.values[..., cell] if isinstance(value, Varying) else value


def _reach(start: FloatArray, first: FloatArray, last: FloatArray) -> FloatArray:
    """The calendar units of the first and the last of all renewals from `first` to `last`, if there are any."""
    start, first, last = np.broadcast_arrays(start, first, last)
    some = last >= first
    return np.array([np.min(start[some] + first[some]), np.max(start[some] + last[some])] if some.any() else [])


def on_calendar(base: Model, staying: Staying, timetable: Timetable) -> Model:
    """The model with a coefficient for each term of a calendar."""
    dated = OnCalendar(staying, timetable)
    names = timetable.coefficients(CHURN)
    none = dict.fromkeys(names, 0.0)
    return replace(
        base,
        parameters=(*base.parameters, *map(_coefficient, names, _scales(timetable))),
        log_likelihood=dated.log_likelihood,
        history=(*RETENTION_HISTORY, "start"),
        reads=("start",),
        formulas=dated.formulas,
        simulate=None,
        limits={name: _with(limit, none) for name, limit in {**base.limits, base.name: dict}.items()},
        on_calendar=partial(on_calendar, base, staying),
        terms_act_on=(CHURN,),
        timetable=timetable,
    )


def _coefficient(name: str, scale: float) -> Parameter:
    """Normal(0, 1) where a term has the standard deviation 1."""
    return Parameter(name, "number", prior_median=0.0, prior_sd=1 / scale, support="real", common=True)


def _with(limit: Callable[..., dict[str, float]], further: dict[str, float]) -> Callable[..., dict[str, float]]:
    return lambda simpler: {**limit(simpler), **further}


def _scales(timetable: Timetable) -> list[float]:
    """The scale of each term, less where a unit of time holds only a part of it, as a month does of a campaign."""
    dated = timetable.by_unit(CHURN)
    names = timetable.acting[CHURN]
    whole = [max(map(abs, timetable.calendar.terms[name])) for name in names]
    part = np.abs(dated.values).max(axis=0, initial=0.0)
    scales = [timetable.calendar.scale(name) for name in names]
    return [scale * (p / w if p > 0 else 1.0) for scale, p, w in zip(scales, part, whole, strict=True)]
