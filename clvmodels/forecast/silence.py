"""How long a customer may stay silent before being more likely gone than not."""

import math
from collections.abc import Callable

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import over_blocks
from clvmodels.forecast.expectations import History, distinct, evaluate, require_formulas
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.retention import Customers
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference.result import Fit

YEARS = 100  # of silence that are looked at
FEW_DRAWS = 32  # where to look first
HALVINGS, SECANTS = 24, 8
NEAR = 1e-4  # of P(alive)
FAR = 0.2  # from the chance, in the mean of few draws: then the mean of all is on the same side
ROWS = 512
AliveAt = Callable[[FloatArray], FloatArray]


def silence_until(fit: Fit, customers: Customers, *, chance: float = 0.5, draws: int | None = None) -> FloatArray:
    """Time after T until P(alive) of a customer who stays silent falls to `chance`, shape (N,).

    In the customers' unit. 0 for one who is there already; NaN for one who would not get there in 100 years, such as a
    customer of the BG/NBD without a repeat purchase, who has had no chance to leave. P(alive) is the mean over the
    fit's draws, as `predict` gives it; the time is exact to .0001 of it.

    Parameters
    ----------
    chance : of being alive, between 0 and 1
    draws : of the parameters, evenly spaced; by default all

    Raises
    ------
    FitError
        If the model has no P(alive) in continuous time.
    DataError
        If the chance cannot be, or the customers lack what the model reads.
    """
    if not 0 < chance < 1:
        raise DataError(f"chance = {chance}: expected a probability between 0 and 1, such as 0.5.")
    checks.require_family(fit, "purchases", "the first argument")
    require_formulas(fit, "silence_until", "p_alive")
    if fit.model.clock != "continuous" or fit.model.timetable is not None:
        raise FitError(f"{fit.model.name} has no silence of any length: it counts opportunities, or reads a calendar.")
    (parameters,), (chains, per_chain) = checks.joint_draws((fit,), customers, draws, outcomes=False)
    age = fit.model.history.index("T")
    every, few = slice(0, chains * per_chain), slice(0, min(FEW_DRAWS, chains * per_chain))
    columns, row_of = distinct((parameters.cell.astype(np.float64), *checks.history_of(customers, fit.model)))
    longest = YEARS * 365.25 / days_per_unit(customers.unit)

    def alive_at(rows: IntArray, draws: slice) -> AliveAt:
        cell, *read = (column[rows] for column in columns)

        def alive(silence: FloatArray) -> FloatArray:
            later = [column + silence if place == age else column for place, column in enumerate(read)]
            return evaluate(fit.model.formulas["p_alive"], fit, History.of(parameters, draws, cell, *later)).mean(1)

        return alive

    def roughly(rows: IntArray, time: float) -> FloatArray:
        """P(alive) of customers, shape (K,), by all draws where few do not tell on which side of the chance it is."""
        at = np.full(len(rows), time)
        values = alive_at(rows, few)(at)
        close = np.abs(values - chance) < FAR
        if close.any():
            values[close] = alive_at(rows[close], every)(at[close])
        return values

    def work(rows: IntArray) -> FloatArray:
        now, last = (roughly(rows, at) for at in (0.0, longest))
        time = np.where(now <= chance, 0.0, np.nan)
        open_ = np.flatnonzero((now > chance) & (last < chance))
        if len(open_):
            start = _halved(alive_at(rows[open_], few), chance, longest, len(open_))
            time[open_] = _refined(alive_at(rows[open_], every), chance, start, longest)
        return time

    return np.concatenate(list(over_blocks(len(columns[0]), work, size=ROWS)))[row_of]


def _halved(alive: AliveAt, chance: float, longest: float, size: int) -> FloatArray:
    """Times at which P(alive) falls to the chance, roughly: by bisection in log(1 + time)."""
    low, high = np.zeros(size), np.full(size, math.log1p(longest))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = alive(np.expm1(middle)) > chance
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(np.expm1((low + high) / 2))


def _refined(alive: AliveAt, chance: float, start: FloatArray, longest: float) -> FloatArray:
    """The same to `NEAR` by secants within a bracket: the log odds of P(alive) are nearly straight in log(1 + time)."""

    def off(at: FloatArray) -> FloatArray:
        p = np.clip(alive(np.expm1(at)), 1e-300, 1 - 1e-16)
        return np.asarray(np.log(p / (1 - p)) - math.log(chance / (1 - chance)))

    low, high = np.zeros(len(start)), np.full(len(start), math.log1p(longest))
    before = np.log1p(start)
    after = before + 0.02
    f_before, f_after = off(before), off(after)
    for _ in range(SECANTS):
        low = np.maximum(low, np.where(f_before > 0, before, np.where(f_after > 0, after, low)))
        high = np.minimum(high, np.where(f_after < 0, after, np.where(f_before < 0, before, high)))
        if np.abs(f_after).max() < NEAR / (chance * (1 - chance)):
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = after - f_after * (after - before) / (f_after - f_before)
        guess = np.where((guess > low) & (guess < high), guess, (low + high) / 2)
        before, f_before, after, f_after = after, f_after, guess, off(guess)
    return np.asarray(np.expm1(after))
