"""What it would be worth if customers behaved otherwise from T on: bought more often, left less, spent more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.checks import ByCustomer
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.forecast.future import Walkers, future_drawer, require_outcome_arguments, require_value_fits
from clvmodels.foundation.changes import Change, Effect
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.inference.result import Fit
from clvmodels.models.kernels import kernel_of

UNCHANGED = Change()
OUTCOMES = ("clv", "changed_clv", "gain")
PURCHASES = 1024  # of a customer in a future that there is room for at first


@dataclass(frozen=True)
class WhatIf:
    """Predictive CLV as things are, as they would be, and the difference, customer by customer and in total.

    `gain` is the difference of two futures of the same customer at the same random numbers: the same rate, chance to
    leave and purchases, but for what the change does to them.
    """

    clv: Forecast
    changed: Forecast
    gain: Forecast


@dataclass(frozen=True)
class ChangedValues:
    """Values of customers in several futures at once.

    Attributes
    ----------
    make : (rows, draws) -> ndarray, shape (V, rows, draws): of customers in canonical order, margin x discounted
        spend in each future
    walkers : the customers in canonical order
    chains : number of chains and of draws in each
    """

    make: Callable[[IntArray, slice], FloatArray]
    walkers: Walkers
    chains: tuple[int, int]

    @property
    def n_draws(self) -> int:
        """Number of draws S."""
        return self.chains[0] * self.chains[1]


def what_if(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    seed: int,
    rate: float | Effect = 1.0,
    dropout: float | Effect = 1.0,
    mean_spend: float | Effect = 1.0,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    draws: int | None = None,
) -> WhatIf:
    """Predictive gain in CLV in (T, T + horizon] if customers behaved otherwise from T on.

    Each customer's own rate of purchase is multiplied by one factor, each chance to leave by another, each amount
    by a third. The chance to leave is the one of the model's story: after each purchase (BG/NBD and its kin), or in
    each unit of time (Pareto/NBD and its kin: 1 - exp(-mu)), or before each opportunity (BG/BB).

    Parameters
    ----------
    rate, dropout, mean_spend : factors: .95 for 5 % less; `clvmodels.Effect(q05, q95)` for one that is not known for
        sure, drawn once for all customers in each draw

    Other parameters are those of `sample_clv`, with whose numbers at the same seed `clv` agrees.

    Returns
    -------
    WhatIf : forecasts clv, changed and gain

    Raises
    ------
    FitError
        As `sample_clv`; also if the model's story has no rate or chance to leave that could be changed.
    DataError
        As `sample_clv`; also if a factor cannot be, or the horizon is not finite.

    Notes
    -----
    With factors of 1 the gain is exactly 0. A chance to leave that the factor would carry beyond 1 is 1 in continuous
    time; after purchases it is p (1 + (f - 1) (1 - p)) for a factor f from 1 to 2, f p where p is small.
    """
    change = Change(rate, dropout, mean_spend)
    discount = checks.discount_rates(annual_discount_rate, discount_per_unit, customers)
    values = changed_values(
        fit,
        spend,
        customers,
        (UNCHANGED, change),
        horizon=horizon,
        seed=seed,
        rate=discount,
        margin=margin,
        draws=draws,
    )

    def make(rows: IntArray, at: slice) -> FloatArray:
        before, after = values.make(rows, at)
        return np.stack([before, after, after - before])

    table = DrawTable(make, values.walkers.row_of, np.ones(len(customers)), values.chains)
    method = checks.method_name(fit, spend)
    return WhatIf(*forecasts_of(table, customers, quantities=OUTCOMES, method=method, horizon=horizon))


def changed_values(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    changes: Sequence[Change],
    *,
    horizon: float,
    seed: int,
    rate: FloatArray,
    margin: ByCustomer,
    draws: int | None,
) -> ChangedValues:
    """Values of customers in one future for each change, at the same random numbers; see `what_if`.

    Parameters
    ----------
    rate : ndarray, shape (N,), continuous discount rate per unit of time
    """
    require_value_fits(fit, spend, customers)
    profit = checks.margins(margin, customers)
    seed = require_outcome_arguments(fit, customers, seed)
    horizon = checks.require_horizon(horizon, "a future that is changed", fit.model)
    require_changes(fit, changes)
    by_clock = hasattr(kernel_of(fit.model), "tick")
    loop, step = ("draw_changed_by_clock", "tick") if by_clock else ("draw_changed_values", "next_purchase")
    draw, walkers, chains = future_drawer(fit, spend, customers, draws, loop, step=step)
    rate, profit = rate[walkers.order], profit[walkers.order]
    factors = np.stack([change.factors(chains[0] * chains[1], seed) for change in changes], axis=1)  # (3, V, S)
    most = np.stack([factors[0].max(axis=0), factors[1].min(axis=0), factors[2].max(axis=0)])
    factors = np.concatenate([factors, most[:, None]], axis=1)

    def make(rows: IntArray, at: slice) -> FloatArray:
        values = np.empty((len(changes), len(rows), at.stop - at.start))
        ends = np.full(len(rows), horizon)
        of_draws = np.ascontiguousarray(factors[:, :, at])
        room = np.empty((3, PURCHASES))
        while not draw(rows, at, np.uint64(seed), np.uint64(at.start), ends, rate[rows], of_draws, room, values):
            room = np.empty((3, 2 * room.shape[1]))
        values *= profit[rows, None]
        return values

    return ChangedValues(make, walkers, chains)


def require_changes(fit: Fit, changes: Sequence[Change]) -> None:
    """Refuse a change that has no meaning in a model's story.

    Raises
    ------
    FitError
        With what the model's story can have changed.
    """
    possible = (*kernel_of(fit.model).CHANGES, "spend")
    for change in changes:
        for name in change.of:
            if name not in possible:
                raise FitError(
                    f"{fit.model.name} has no {name} that could be changed: its story can have changed: "
                    f"{', '.join(possible)}. Use another model, or leave {name} at 1."
                )
