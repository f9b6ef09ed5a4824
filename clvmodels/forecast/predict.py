"""`predict`: a quantity of each customer, as the posterior of an expectation or as a predictive one."""

import warnings
from dataclasses import dataclass

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.forecast.future import sample_purchases
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Formula
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.parameters import CustomerParameters
from clvmodels.inference.result import Fit

SLICE_CELLS = 2**14  # customers x draws that a formula sees at once: some 15 MB with 111 quadrature nodes
LOOKS_AHEAD = ("expected_purchases",)  # over a horizon


def predict(
    fit: Fit,
    customers: CustomerSummary,
    *,
    quantity: str,
    horizon: float | None = None,
    seed: int | None = None,
    draws: int | None = None,
) -> Forecast:
    """A quantity of each customer, with its uncertainty.

    Parameters
    ----------
    fit : fit of a purchase model, or of a spend model for "expected_spend"
    customers : a row a customer; counted rows (n_customers) for expectations only
    quantity : "p_alive", "expected_purchases" (in (T, T + horizon]), "expected_spend" (a purchase):
        posterior of the expectation; "purchases": predictive, with customer and outcome uncertainty
    horizon : length of time, in the customers' unit; for "expected_purchases" and "purchases"
    seed : of the random numbers; for "purchases"
    draws : number of draws S; by default those of the fit

    Returns
    -------
    Forecast : a row a customer; totals are sums over customers in each draw

    Raises
    ------
    FitError
        If the model has no such quantity, or the fit is in another unit than the customers.
    DataError
        If horizon or seed is missing, cannot be used, or is given where it means nothing.

    Notes
    -----
    A fit with one draw ("mle", "known") gives expectations without sd and quantiles.
    """
    offered = fit.model.quantities
    if quantity not in offered:
        raise FitError(f'{fit.model.name} has no quantity "{quantity}": expected one of {", ".join(offered)}.')
    require_same_units(fit, customers)
    if quantity == "purchases":
        horizon = checks.require_horizon(horizon, quantity, fit.model)
        return sample_purchases(fit, customers, horizon=horizon, seed=require_seed(seed), draws=draws)
    if seed is not None:
        raise DataError(f"{quantity} is an expectation, without random numbers: leave out seed.")
    return _expect(fit, customers, quantity, horizon, draws)


def _expect(fit: Fit, customers: CustomerSummary, quantity: str, horizon: float | None, draws: int | None) -> Forecast:
    """Posterior of an expectation, worked out once for customers alike."""
    if quantity in LOOKS_AHEAD:
        horizon = checks.require_horizon(horizon, quantity, fit.model)
    elif horizon is not None:
        raise DataError(f"{quantity} does not look ahead: leave out horizon.")
    (parameters,), chains = checks.joint_draws((fit,), customers, draws, outcomes=False)
    columns, row_of = distinct((parameters.cell.astype(np.float64), *checks.history_of(customers, fit.model)))
    counts = np.bincount(row_of, weights=customers.n_customers).astype(np.float64)

    def make(rows: IntArray, at: slice) -> FloatArray:
        history = History.of(parameters, at, *(column[rows] for column in columns))
        if horizon is not None:
            return expected_purchases(fit, history, horizon=horizon)[None]
        return evaluate(fit.model.formulas[quantity], fit, history)[None]

    forecast = forecasts_of(
        DrawTable(make, row_of, counts, chains),
        customers,
        quantities=(quantity,),
        method=checks.method_name(fit),
        horizon=np.nan if horizon is None else horizon,
    )[0]
    warn_if_infinite(forecast)
    return forecast


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


def expected_purchases(fit: Fit, history: History, *, horizon: float) -> FloatArray:
    """Expected purchases in (T, T + horizon] at rows and draws, shape (K, S).

    Where the model says what to expect of a customer who is alive, in which recency does not enter, that
    integral is taken once for customers of one frequency and T: on CDNOW 1,431 times, not 11,104.

    Parameters
    ----------
    history : rows of what the model reads of a customer
    """
    if "purchases_if_alive" not in fit.model.formulas:
        return evaluate(fit.model.formulas["expected_purchases"], fit, history, horizon)
    return of_those_alive("purchases_if_alive", fit, history, horizon)


def of_those_alive(which: str, fit: Fit, history: History, *after: float) -> FloatArray:
    """P(alive) times a formula of customers who are alive, in which recency does not enter. Shape (K, S)."""
    formulas = fit.model.formulas
    x, _, T, *_ = history.columns
    ages, age_of = distinct((history.cell.astype(np.float64), x, T))
    of_ages = History.of(history.parameters, history.draws, *ages)
    return evaluate(formulas["p_alive"], fit, history) * evaluate(formulas[which], fit, of_ages, *after)[age_of]


def evaluate(formula: Formula, fit: Fit, history: History, *after: float) -> FloatArray:
    """A formula of the model at rows and draws, a slice of rows at a time. Shape (K, S).

    `after` are further arguments of the formula.
    """
    size = max(1, SLICE_CELLS // history.n_draws)
    parts = []
    for first in range(0, len(history.cell), size):
        rows = slice(first, first + size)
        theta = history.theta(rows)
        parameters = {name: theta[:, :, place].T for place, name in enumerate(fit.model.parameter_names)}
        parts.append(formula(parameters, *(column[rows] for column in history.columns), *after).T)
    return np.ascontiguousarray(np.concatenate(parts))


def warn_if_infinite(forecast: Forecast) -> None:
    """Say how many customers have an infinite expectation in some draw."""
    infinite = int(np.isinf(forecast.mean).sum())
    if infinite:
        warnings.warn(
            f"{forecast.quantity} is infinite in some draws for {infinite} of {len(forecast)} customers "
            "(Gamma-Gamma: p x + q <= 1, the mean spend does not exist). Medians and predictive draws stay "
            "usable.",
            stacklevel=4,
        )
