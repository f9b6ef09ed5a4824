"""What a forecast asks of its arguments, checked before any work; and parameter draws brought together."""

import math

import numpy as np

from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.whole import require_count
from clvmodels.inference.diagnostics import require_passed
from clvmodels.inference.parameters import CustomerParameters, customer_parameters
from clvmodels.inference.result import Fit

OUTCOME_DRAWS = 2000  # of a fit that has one parameter draw


def require_horizon(horizon: float | None, quantity: str) -> float:
    """The horizon, checked.

    Raises
    ------
    DataError
        If it is missing, negative or not finite.
    """
    if horizon is None:
        raise DataError(f"{quantity} needs a horizon: a length of time in the customers' unit, such as 52.")
    if not math.isfinite(horizon) or horizon < 0:
        raise DataError(f"horizon = {horizon}: expected a length of time, finite and not negative.")
    return float(horizon)


def require_ahead(fit: Fit, horizon: float) -> None:
    """Refuse a forecast beyond the end of the calendar that a model reads.

    Raises
    ------
    DataError
        If it goes beyond.
    """
    if fit.model.timetable is not None:
        fit.model.timetable.require_ahead(horizon)


def require_family(fit: Fit, family: str, place: str) -> None:
    """Refuse a fit of the other kind.

    Raises
    ------
    FitError
        If a spend model stands where a purchase model is expected, or the reverse.
    """
    if fit.model.family != family:
        raise FitError(
            f"{place} is a fit of {fit.model.name}, a {fit.model.family} model: a {family} model is expected."
        )


def require_single_customers(customers: CustomerSummary) -> None:
    """Refuse counted rows where outcomes are drawn.

    Raises
    ------
    DataError
        If a row stands for several customers.
    """
    if customers.n_customers is not None:
        raise DataError(
            "rows with n_customers stand for several customers: outcomes are drawn for each customer by its "
            "id, so give a row for each. Expectations (p_alive, expected_purchases) take counted rows."
        )


def joint_draws(
    fits: tuple[Fit, ...], customers: CustomerSummary, draws: int | None, *, outcomes: bool
) -> tuple[list[CustomerParameters], tuple[int, int]]:
    """The customers' parameters of each fit at the same draws; and the numbers of chains and draws.

    Draw s takes parameter draw s of every fit; of a fit with more draws than another evenly spaced ones; a fit
    with one draw ("mle", "known") holds still. `draws` below the number of parameter draws takes evenly spaced
    ones; for outcomes, `draws` above it takes each several times.

    Raises
    ------
    FitError
        If a fit failed its checks, or `draws` cannot be met.
    DataError
        If the customers lack a covariate or a group that a fit depends on.
    """
    for fit in fits:
        require_passed(fit)
    sizes = {fit.n_draws for fit in fits} - {1}
    available = min(sizes, default=1)
    if draws is None:
        draws = OUTCOME_DRAWS if outcomes and available == 1 else available
    draws = require_count("draws", draws)
    if not outcomes and draws > available:
        raise FitError(f"draws = {draws}: the fit has {available}, and an expectation has no more than its parameters.")
    chosen = np.arange(draws) * available // draws
    shape = (1, draws)
    if draws == available:
        (sampled, *_) = [fit for fit in fits if fit.n_draws == available]
        shape = (int(sampled.draws.sizes["chain"]), int(sampled.draws.sizes["draw"]))
    parameters = [customer_parameters(fit, customers).take(chosen * fit.n_draws // available) for fit in fits]
    return parameters, shape


def history_of(customers: CustomerSummary, model: Model) -> tuple[FloatArray, ...]:
    """The columns that a model's formulas and kernel read, each shape (N,); what is not known stands as 0."""
    return tuple(np.nan_to_num(customers.column(name)) for name in model.history)


def method_name(*fits: Fit) -> str:
    """Models and how each was fitted, such as "bg_nbd+gamma_gamma:laplace" or "bg_nbd:mle".

    "mle" and "known" say that the forecast holds the parameters fixed.
    """
    models = "+".join(fit.model.name for fit in fits)
    methods = "+".join(dict.fromkeys(fit.method for fit in fits))
    return f"{models}:{methods}"
