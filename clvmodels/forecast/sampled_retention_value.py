"""What customers under contract will turn out to be worth: residual values with the chance of when each one leaves."""

import math
from dataclasses import dataclass, replace

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.checks import ByCustomer
from clvmodels.forecast.draws import DrawTable, Make, forecasts_of
from clvmodels.forecast.expectations import History
from clvmodels.forecast.residual import last_period, paid_at_renewals, require_end
from clvmodels.forecast.retained import Leaving
from clvmodels.forecast.retention_curve import CELLS
from clvmodels.forecast.retention_value import profits
from clvmodels.forecast.staying import Alike, discounting, scaled, still_there, times_to_renewal
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.model import Draws
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.quadrature import falling_root
from clvmodels.foundation.records import Forecast
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.result import Fit


def sample_retention_value(
    fit: Fit,
    table: RetentionTable,
    *,
    seed: int,
    price: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    horizon: float = math.inf,
    due: ByCustomer | None = None,
    draws: int | None = None,
) -> Forecast:
    """Predictive distribution of a customer's residual value in each row: when the customer leaves is drawn.

    Its mean is that of `retention_value`, whose parameters these are, with a seed; it is wider by the chance of when
    one leaves. Totals add the outcomes of all customers of all rows, each on their own. At renewals the customers are
    those of `sample_retained` at the same seed.

    Parameters
    ----------
    seed : of the random numbers, 0 to 2^64 - 1
    draws : number of draws S; by default those of the fit, 2,000 where it has one

    Raises
    ------
    FitError, DataError
        As `retention_value`; also without horizon and discount rate, and for rows that stand for several customers
        who pay all the time.

    Notes
    -----
    Without end it is drawn until exp(-d t) is 1e-10, at t = 23 / d: at 10 % a year after 242 years.
    """
    active = still_there(fit, table)
    rate = discounting(annual_discount_rate, discount_per_unit, table)
    worth = profits(price, margin, table) * np.exp(rate * (1 - times_to_renewal(due, fit, table)))
    horizon = checks.require_horizon(horizon, "the value of customers", fit.model, most=math.inf)
    at_renewals, seed = paid_at_renewals(fit, active), require_seed(seed)
    require_end(horizon, rate, at_renewals=at_renewals)
    if not at_renewals:
        _require_single(active)
    alike = Alike.of(fit, active, draws, rate, outcomes=True)
    walkers = Leaving.of(fit, active, alike)
    ahead = _Ahead(walkers, rate[walkers.order], horizon, seed)
    make = _at_renewals(ahead) if at_renewals else _all_the_time(ahead)
    one, every = forecasts_of(
        DrawTable(make, walkers.place, worth[walkers.order], alike.chains),
        active,
        quantities=("sampled_residual_value", "all"),
        method=checks.method_name(fit),
        horizon=horizon,
    )
    assert every.totals is not None  # it is of a table of draws
    return scaled(replace(one, totals=every.totals.rename(one.quantity)), worth)


@dataclass(frozen=True)
class _Ahead:
    """Customers in canonical order with their discount rates, shape (N,), and how far ahead is looked."""

    walkers: Leaving
    rate: FloatArray
    horizon: float
    seed: int

    def ends(self, at: IntArray) -> FloatArray:
        """The last period that counts for customers at some places, shape (K,)."""
        return np.array([last_period(self.horizon, float(rate)) for rate in self.rate[at]])


def _at_renewals(ahead: _Ahead) -> Make:
    """Discounted renewals of one customer of each row, and of all of them, the next one a unit of time away."""
    from clvmodels.forecast.retention_kernels import draw_residual
    from clvmodels.foundation.streams import stream_memory

    walkers = ahead.walkers

    def some(at: IntArray, draws: slice) -> FloatArray:
        ends = ahead.ends(at).astype(np.int64)
        rates, of_row = walkers.rates(at, draws, int(ends.max()))
        values = np.zeros((2, len(at), draws.stop - draws.start))
        draw_residual(
            stream_memory(), rates, of_row, walkers.customers[at], walkers.keys[at], np.uint64(ahead.seed),
            np.uint64(draws.start), ends, ahead.rate[at], values,
        )  # fmt: skip
        return values

    def make(at: IntArray, draws: slice) -> FloatArray:
        cells = len(np.unique(walkers.row[at])) * int(ahead.ends(at).max())
        size = max(1, CELLS // max(1, cells))
        parts = (slice(first, min(first + size, draws.stop)) for first in range(draws.start, draws.stop, size))
        return np.concatenate([some(at, part) for part in parts], axis=-1)

    return make


def _all_the_time(ahead: _Ahead) -> Make:
    """Discounted time until customers leave, twice: rows are single customers."""
    from clvmodels.forecast.retention_kernels import draw_chances
    from clvmodels.foundation.streams import stream_memory

    walkers, alike = ahead.walkers, ahead.walkers.alike

    def make(at: IntArray, draws: slice) -> FloatArray:
        chance = np.empty((len(at), draws.stop - draws.start))
        draw_chances(stream_memory(), walkers.keys[at], np.uint64(ahead.seed), np.uint64(draws.start), chance)
        stay = _stays(walkers.fit, alike.at(walkers.row[at], draws), chance, ahead.ends(at))
        rate = ahead.rate[at][:, None]
        discounted = np.divide(-np.expm1(-rate * stay), rate, out=stay.copy(), where=rate > 0)
        return np.stack([discounted, discounted])

    return make


def _stays(fit: Fit, rows: History, chance: FloatArray, ends: FloatArray) -> FloatArray:
    """Times t at which P(still there after t) falls to a chance, or the ends, whichever are first; shape (K, S)."""
    formula = fit.model.formulas["p_active"]
    theta = rows.theta(slice(0, len(rows.cell)))
    parameters: Draws = {name: theta[:, :, place].T for place, name in enumerate(fit.model.parameter_names)}

    def above(time: FloatArray) -> FloatArray:
        return np.asarray(formula(parameters, *rows.columns, time)) - chance.T

    return falling_root(above, np.zeros(chance.T.shape), np.broadcast_to(ends, chance.T.shape)).T


def _require_single(table: RetentionTable) -> None:
    """Refuse counted rows where each customer's own time is drawn."""
    if (table.n_customers > 1).any():
        first = int(np.argmax(table.n_customers > 1))
        raise DataError(
            f"customer_id {table.customer_id[first]} stands for {table.n_customers[first]:g} customers, who leave at "
            "any time: the time of each is drawn by its id, so give a row for each. retention_value takes such rows."
        )
