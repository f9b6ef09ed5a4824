"""What to expect of a customer who makes the first purchase now."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.clv import expected_clv
from clvmodels.forecast.draws import row_statistics
from clvmodels.forecast.expectations import History, evaluate, require_formulas
from clvmodels.forecast.probabilities import counts_named, with_the_rest
from clvmodels.foundation.effects import cells_of, group_labels
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.whole import require_count
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

STATISTICS = ("mean", "sd", "q05", "q50", "q95")


@dataclass(frozen=True)
class NewCustomer:
    """Posterior of what to expect of a new customer in the horizon after the first purchase.

    With covariates or groups it is the mean over customers like those that were given.

    Attributes
    ----------
    draws : by quantity, ndarrays of shape (S,): "expected_purchases" (repeats, the first purchase is not counted) and
        "p_alive" (at the horizon's end); with a spend fit also "expected_spend" (a purchase), "first_purchase"
        (its margin), "later_purchases" (discounted margin of the repeats) and "expected_clv", the sum of the two
    purchase_pmf : ndarray, shape (S, most + 2), P(0), P(1), ..., P(`most`) and P(more) repeat purchases
    horizon : length of time in `unit`
    """

    draws: Mapping[str, FloatArray]
    purchase_pmf: FloatArray
    horizon: float
    unit: str
    currency: str
    method: str

    def to_pandas(self) -> "pd.DataFrame":
        """A frame by quantity: mean, sd, q05, q50, q95."""
        return _statistics(list(self.draws), np.stack(list(self.draws.values())), "quantity")

    def pmf_to_pandas(self) -> "pd.DataFrame":
        """A frame by number of repeat purchases ("0", "1", ..., "more"): mean, sd, q05, q50, q95 of its chance."""
        return _statistics(counts_named(self.purchase_pmf.shape[1] - 2), self.purchase_pmf.T, "purchases")


def _statistics(names: list[str], draws: FloatArray, index: str) -> "pd.DataFrame":
    import pandas as pd

    columns = dict(zip(STATISTICS, row_statistics(draws.copy()), strict=True))
    return pd.DataFrame(columns, index=pd.Index(names, name=index))


def new_customer(
    fit: Fit,
    *,
    horizon: float,
    spend: Fit | None = None,
    like: CustomerSummary | None = None,
    annual_discount_rate: float | None = None,
    discount_per_unit: float | None = None,
    margin: float = 1.0,
    most: int = 10,
    draws: int | None = None,
) -> NewCustomer:
    """What to expect of a customer who makes the first purchase now, with its posterior.

    Parameters
    ----------
    fit : of a purchase model
    horizon : length of time after the first purchase, in the fit's unit
    spend : of a spend model, for expected spend and CLV
    like : customers whose covariates and groups the new one has; only fits that depend on them need it
    annual_discount_rate, discount_per_unit : one of the two with `spend`, as `expected_clv` takes it
    margin : share of spend that is profit
    most : the largest number of purchases with a probability of its own
    draws : number of draws S; by default those of the fits

    Raises
    ------
    FitError
        If the model lacks what this needs, or a fit depends on covariates and `like` is not given.
    DataError
        If horizon, rate or margin cannot be used, or a rate is given without `spend`.

    Notes
    -----
    A fit with one draw ("mle", "known") gives means without sd and quantiles.
    """
    checks.require_family(fit, "purchases", "the first argument")
    require_formulas(fit, "new_customer", "expected_purchases_new", "p_alive_after", "purchase_pmf")
    horizon, most = checks.require_horizon(horizon, "new_customer", fit.model), require_count("most", most, least=0)
    rates = (annual_discount_rate, discount_per_unit)
    if spend is None and rates != (None, None):
        raise DataError("a discount rate is for the value of a new customer: give spend=..., or leave it out.")
    fits = (fit,) if spend is None else (fit, spend)
    new = newcomers(fits, _anyone(fits) if like is None else like)
    require_same_units(fit, new)
    parameters, (chains, per_chain) = checks.joint_draws(fits, new, draws, outcomes=False)
    every = slice(0, chains * per_chain)
    values, pmf = _purchases(fit, History(parameters[0], every, parameters[0].cell, ()), new, horizon, most)
    if spend is not None:
        later = expected_clv(
            fit,
            spend,
            new,
            horizon=horizon,
            annual_discount_rate=annual_discount_rate,
            discount_per_unit=discount_per_unit,
            margin=margin,
            draws=draws,
        )
        baskets = History(parameters[1], every, parameters[1].cell, checks.history_of(new, spend.model))
        amount = _mean(evaluate(spend.model.formulas["expected_spend"], spend, baskets), new)
        repeats = later.total_draws / new.column("n_customers").sum()
        worth = {"first_purchase": margin * amount, "later_purchases": repeats}
        values |= {"expected_spend": amount, **worth, "expected_clv": margin * amount + repeats}
    return NewCustomer(values, pmf, horizon, new.unit, new.currency, checks.method_name(*fits))


def newcomers(fits: tuple[Fit, ...], customers: CustomerSummary) -> CustomerSummary:
    """The customers as on the day of their first purchase, those of the same parameters counted in a row.

    Groups are kept as labels, since the period of acquisition would be another at an age of 0.
    """
    names = {name for fit in fits for name in fit.effects.labels}
    labelled = replace(customers, groups={name: group_labels(customers, name) for name in names})
    cells = np.stack([cells_of(fit.effects, labelled).cell for fit in fits])
    _, first, index = np.unique(cells, axis=1, return_index=True, return_inverse=True)
    return labelled.take(first).as_newcomers(np.bincount(index, weights=customers.n_customers).astype(np.float64))


def _anyone(fits: tuple[Fit, ...]) -> CustomerSummary:
    """One customer of whom nothing is known, for fits in which all customers share their parameters."""
    for fit in fits:
        if not fit.effects.none:
            raise FitError(f"{fit.model.name} depends on covariates or groups: say which customers by like=customers.")
    return stranger(fits[0].unit, fits[-1].currency)


def stranger(unit: str, currency: str) -> CustomerSummary:
    """One customer of whom nothing is known."""
    none, unknown = np.zeros(1), np.full(1, np.nan)
    return CustomerSummary(
        customer_id=np.array(["new"], dtype=object),
        frequency=none,
        recency=none,
        T=none,
        monetary_value=unknown,
        first_amount=unknown,
        current_value=unknown,
        log_interval=unknown,
        paid_purchases=none,
        log_amount=unknown,
        log_amount_sd=unknown,
        unit=unit,
        currency=currency,
    )


def _purchases(
    fit: Fit, anyone: History, new: CustomerSummary, horizon: float, most: int
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Expected purchases and P(alive) at each draw, and the PMF, shape (S, most + 2)."""
    formulas = fit.model.formulas
    past = replace(anyone, columns=checks.history_of(new, fit.model))
    values = {
        "expected_purchases": _mean(evaluate(formulas["expected_purchases_new"], fit, anyone, horizon), new),
        "p_alive": _mean(evaluate(formulas["p_alive_after"], fit, past, horizon), new),
    }
    chances = [_mean(evaluate(formulas["purchase_pmf"], fit, anyone, k, horizon), new) for k in range(most + 1)]
    return values, with_the_rest(np.stack(chances, axis=1))


def _mean(values: FloatArray, new: CustomerSummary) -> FloatArray:
    """Mean over newcomers, shape (K, S) to (S,)."""
    return np.asarray(np.average(values, axis=0, weights=new.n_customers))
