"""A model's formulas at rows and draws, in bounded memory, worked out once for customers alike."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Draws, Formula
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.quadrature import discounting
from clvmodels.foundation.records import Forecast
from clvmodels.inference.parameters import CustomerParameters
from clvmodels.inference.result import Fit
from clvmodels.models.alive import if_alive_or_nothing

SLICE_CELLS = 2**14  # customers x draws that a formula sees at once: some 15 MB with 111 quadrature nodes

# What there is to expect of a customer who is alive, which a formula weighs with P(alive). Recency does not enter.
IF_ALIVE = {
    "p_alive_after": "survival_if_alive",
    "expected_purchases": "purchases_if_alive",
    "conditional_purchase_pmf": "pmf_if_alive",
    "dert": "dert_if_alive",
    "discounted_purchases": "discounted_if_alive",
}
NO_END = "at this discount rate purchases go on without end"
NO_MEAN = "the mean spend does not exist there (Gamma-Gamma: p x + q <= 1)"


@dataclass(frozen=True)
class History:
    """Rows that a formula is worked out for, with their parameters.

    Attributes
    ----------
    parameters : of the customers
    draws : which of the parameter draws
    cell : ndarray, shape (K,), the cell of each row
    columns : what the formula reads of the rows, each shape (K,)
    """

    parameters: CustomerParameters
    draws: slice
    cell: IntArray
    columns: tuple[FloatArray, ...]

    @classmethod
    def of(cls, parameters: CustomerParameters, draws: slice, cell: FloatArray, *columns: FloatArray) -> "History":
        """Rows from columns as `distinct` gives them, the cell first."""
        return cls(parameters, draws, cell.astype(np.int64), columns)

    @property
    def n_draws(self) -> int:
        """Number of draws S."""
        return int(self.draws.stop - self.draws.start)

    def theta(self, rows: slice) -> FloatArray:
        """Parameters of some rows, shape (K, S, P), or (1, S, P) where all customers share them."""
        cells, place = np.unique(self.cell[rows], return_inverse=True)
        theta = self.parameters.at(cells, self.draws)
        return theta if self.parameters.alike else theta[place]

    def take(self, rows: IntArray) -> "History":
        """Some of the rows."""
        return History(self.parameters, self.draws, self.cell[rows], tuple(column[rows] for column in self.columns))


def distinct(columns: tuple[FloatArray, ...]) -> tuple[tuple[FloatArray, ...], IntArray]:
    """Distinct rows, each column (R,), and the place of each given row among them.

    They are sorted by the last column, then the one before, as by `np.lexsort`: customers of one T stand
    together, which `expected_purchases` relies on for its speed.
    """
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in reversed(columns):
        values, index = np.unique(column, return_inverse=True)
        _, code = np.unique(code * len(values) + index, return_inverse=True)  # whole, below N^2
    _, first, row_of = np.unique(code, return_index=True, return_inverse=True)
    return tuple(column[first] for column in columns), row_of


def evaluate(formula: Formula, fit: Fit, history: History, *after: float) -> FloatArray:
    """A formula of the model at rows and draws, a slice of rows at a time.

    Shape (K, S); (K, S, I) of a formula that returns (I, S, K). `after` are further arguments of the formula.
    """
    size = max(1, SLICE_CELLS // history.n_draws)
    parts = []
    for first in range(0, len(history.cell), size):
        rows = slice(first, first + size)
        theta = history.theta(rows)
        parameters = {name: theta[:, :, place].T for place, name in enumerate(fit.model.parameter_names)}
        values = formula(parameters, *(column[rows] for column in history.columns), *after).T
        parts.append(np.broadcast_to(values, (len(history.cell[rows]), *values.shape[1:])))
    return np.ascontiguousarray(np.concatenate(parts))


def expectation(which: str, fit: Fit, history: History, *after: float) -> FloatArray:
    """A formula of `IF_ALIVE` at rows and draws, shape (K, S)."""
    return _weighed(which, fit, history, lambda formula, rows: evaluate(formula, fit, rows, *after))


def expected_purchases(fit: Fit, history: History, *, start: float, end: float) -> FloatArray:
    """Expected purchases in (T + start, T + end] at rows and draws, shape (K, S)."""
    if start == 0:
        return expectation("expected_purchases", fit, history, end)
    return purchase_sums(fit, history, np.array([start, end]), np.array([[-1.0, 1.0]]))[..., 0]


def purchase_sums(fit: Fit, history: History, times: FloatArray, weights: FloatArray) -> FloatArray:
    """sum_j w_ij C(t_j), C(t) the expected purchases in (T, T + t], at rows and draws, shape (K, S, I).

    Parameters
    ----------
    times : ndarray, shape (L,)
    weights : ndarray, shape (I, L)
    """
    together = fit.model.formulas.get("curve_if_alive")
    used = np.flatnonzero((weights != 0).any(axis=0))  # without a discount the last time alone
    times, weights = times[used], weights[:, used]

    def sums(formula: Formula) -> Formula:
        def of(parameters: Draws, *columns: FloatArray) -> FloatArray:
            if together is not None:
                curve = together(parameters, *columns, times)
            else:
                curve = np.stack([formula(parameters, *columns, float(t)) for t in times])
            return np.stack([_weighted_sum(row, curve) for row in weights])

        return of

    return _weighed("expected_purchases", fit, history, lambda formula, rows: evaluate(sums(formula), fit, rows))


def purchases_until(fit: Fit, history: History, ends: FloatArray, discount: float) -> FloatArray:
    """Expected purchases from T to each end, as they are and discounted, shape (K, S, 2, periods)."""
    if IF_ALIVE["discounted_purchases"] in fit.model.formulas:  # of a model that counts opportunities
        sums = [expectation("discounted_purchases", fit, history, float(e), d) for d in (0.0, discount) for e in ends]
        return np.stack(sums, axis=-1).reshape(*sums[0].shape, 2, len(ends))
    times, weights = discounting(ends, discount)
    plain = np.eye(len(ends), len(times), len(times) - len(ends))
    both = purchase_sums(fit, history, times, np.concatenate([plain, weights]))
    return both.reshape(*both.shape[:2], 2, len(ends))


def _weighted_sum(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Sum over the first axis; `@` would round by the slice's shape."""
    total = np.zeros(values.shape[1:])
    for place in np.flatnonzero(weights):
        total += weights[place] * values[place]
    return total


def chance_of(fit: Fit, history: History, count: int, horizon: float) -> FloatArray:
    """P(X(T, T + h) = k) at rows and draws, shape (K, S)."""
    which = "conditional_purchase_pmf"
    if count > 0:
        return expectation(which, fit, history, count, horizon)
    # who buys at all is alive, so that this too is P(alive) times what holds of those alive
    return 1 - _weighed(which, fit, history, lambda formula, rows: 1 - evaluate(formula, fit, rows, 0, horizon))


def discounted_purchases(fit: Fit, history: History, rate: FloatArray, *, horizon: float) -> FloatArray:
    """Expected purchases in (T, T + h], each worth exp(-d t) at its time t after T. Shape (K, S).

    Without end it is the model's DERT.

    Parameters
    ----------
    rate : ndarray, shape (K,), continuous discount rate d of each row
    """

    def at(discount: float, rows: History) -> FloatArray:
        if math.isinf(horizon):
            return expectation("dert", fit, rows, discount)
        if IF_ALIVE["discounted_purchases"] in fit.model.formulas:  # of a model that counts opportunities
            return expectation("discounted_purchases", fit, rows, horizon, discount)
        return purchase_sums(fit, rows, *discounting(np.array([horizon]), discount))[..., 0]

    return by_rate(at, history, rate)


def by_rate(value: Callable[[float, History], FloatArray], history: History, rate: FloatArray) -> FloatArray:
    """Values of rows at their discount rates, shape (K, ...): each rate on its own, so that no row moves another."""
    known, index = np.unique(rate, return_inverse=True)
    if len(known) == 1:
        return value(float(known[0]), history)
    parts = [value(float(discount), history.take(np.flatnonzero(index == i))) for i, discount in enumerate(known)]
    back = np.argsort(np.argsort(index, kind="stable"))
    return np.concatenate(parts)[back]


def _weighed(which: str, fit: Fit, history: History, value: Callable[[Formula, History], FloatArray]) -> FloatArray:
    """`value` by a formula; or P(alive) times the value by what it has of those alive, if the model says so.

    That one is then taken once for customers of one frequency and T: on CDNOW 1,431 times, not 11,104.
    """
    formulas = fit.model.formulas
    if IF_ALIVE[which] not in formulas:
        return value(formulas[which], history)
    x, _, T, *_ = history.columns
    ages, age_of = distinct((history.cell.astype(np.float64), x, T))
    if_alive = value(formulas[IF_ALIVE[which]], History.of(history.parameters, history.draws, *ages))
    alive = evaluate(formulas["p_alive"], fit, history)
    return if_alive_or_nothing(alive.reshape(alive.shape + (1,) * (if_alive.ndim - 2)), if_alive[age_of])


def weighed_by_value(fit: Fit) -> Fit:
    """The fit with purchases that count by what they are worth: E[purchases x spend] = E[spend] x these, expected.

    Where spend does not depend on the rates it is the fit itself.
    """
    formulas = fit.model.value_formulas
    return fit if formulas is None else replace(fit, model=replace(fit.model, formulas=formulas))


def require_formulas(fit: Fit, what: str, *names: str) -> None:
    """Refuse a model that lacks a formula.

    Raises
    ------
    FitError
        With the formulas that it has.
    """
    for name in names:
        if name not in fit.model.formulas:
            have = ", ".join(fit.model.formulas)
            raise FitError(f'{fit.model.name} has no formula "{name}", which {what} needs: it has {have}.')


def warn_if_infinite(forecast: Forecast, reason: str) -> None:
    """Say how many customers have an infinite expectation in some draw, to the caller's caller."""
    infinite = int(np.isinf(forecast.mean).sum())
    if infinite:
        warnings.warn(
            f"{forecast.quantity} is infinite in some draws for {infinite} of {len(forecast)} customers: {reason}. "
            "Medians and predictive draws stay usable.",
            stacklevel=4,
        )
