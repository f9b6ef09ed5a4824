"""Forecasts of all customers' totals against what came, and how often their intervals hold it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from clvmodels.evaluation.calibration import wilson_bounds
from clvmodels.evaluation.rolling import LENGTHS_ALIKE
from clvmodels.forecast.drift import Totals, sample_totals, stationary_totals
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.history import PurchaseHistory
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, HoldoutSummary
from clvmodels.foundation.results import TotalCheck, TotalCoverage
from clvmodels.inference import Fit
from clvmodels.inference.diagnostics import require_passed

METHODS = ("stationary", "drifting")
Drawn = Mapping[str, tuple[FloatArray, FloatArray | None]]  # outcome -> totals without and with a drift, shape (S,)


def check_totals(
    fit: Fit,
    customers: CustomerSummary,
    *,
    history: PurchaseHistory | None,
    holdout: HoldoutSummary,
    seed: int,
    spend: Fit | None = None,
    draws: int | None = None,
) -> list[TotalCheck]:
    """Total purchases and spend of a holdout, as forecast with and without a drift of demand, and as they came.

    Parameters
    ----------
    fit : of a purchase model, made on these customers
    customers : a row a customer, at the end of the calibration
    history : their repeat purchases by period, as `purchase_history(log, window)` gives them. None where there are too
        few periods to learn a drift from: the forecast with a drift is then None
    holdout : what the same customers did; its window has the dates
    seed : of the random numbers, 0 to 2^64 - 1
    spend : fit of a spend model, for the total of spend
    draws : number of draws; by default those of the fits

    Returns
    -------
    list of TotalCheck
        Of purchases, and of spend where there is a fit of it.

    Raises
    ------
    FitError
        As `sample_totals` does.
    DataError
        If the holdout is of other customers, and as `sample_totals` does.
    """
    _require_same(customers, holdout)
    horizon = replace(holdout.window, unit=customers.unit).holdout_length
    if history is None:
        return _checks(
            _steady(fit, customers, horizon=horizon, seed=seed, spend=spend, draws=draws), customers, holdout
        )
    found = sample_totals(fit, customers, history=history, horizon=horizon, seed=seed, spend=spend, draws=draws)
    return checks_of(found, customers, holdout=holdout)


def checks_of(found: Totals, customers: CustomerSummary, *, holdout: HoldoutSummary) -> list[TotalCheck]:
    """The checks of `check_totals`, of totals of the holdout that have been drawn before.

    Raises
    ------
    DataError
        If the holdout is of other customers.
    """
    _require_same(customers, holdout)
    drawn = {"purchases": (found.stationary_purchases, found.purchases)}
    if found.spend is not None and found.stationary_spend is not None:
        drawn["spend"] = (found.stationary_spend, found.spend)
    sums: Drawn = {outcome: (steady.sum(axis=1), moved.sum(axis=1)) for outcome, (steady, moved) in drawn.items()}
    return _checks(sums, customers, holdout)


def _require_same(customers: CustomerSummary, holdout: HoldoutSummary) -> None:
    if not np.array_equal(customers.customer_id, holdout.customer_id):
        raise DataError(
            "the holdout has other customers than the summary, or in another order: make both from one log."
        )


def _checks(drawn: Drawn, customers: CustomerSummary, holdout: HoldoutSummary) -> list[TotalCheck]:
    actual = {"purchases": float(holdout.purchases.sum()), "spend": float(holdout.amount.sum())}
    return [
        TotalCheck(
            outcome=outcome,
            calibration_end=holdout.window.calibration_end.isoformat(),
            holdout_end=str(holdout.window.holdout_end),
            horizon=replace(holdout.window, unit=customers.unit).holdout_length,
            unit=customers.unit,
            actual=actual[outcome],
            stationary=estimate(stationary),
            drifting=None if drifting is None else estimate(drifting),
        )
        for outcome, (stationary, drifting) in drawn.items()
    ]


def _steady(
    fit: Fit, customers: CustomerSummary, *, horizon: float, seed: int, spend: Fit | None, draws: int | None
) -> Drawn:
    """Totals of the whole horizon without a drift alone."""
    require_passed(fit)
    ends = np.array([horizon])
    purchases, money = stationary_totals(fit, customers, ends=ends, seed=seed, spend=spend, draws=draws)
    steady = {"purchases": purchases} if money is None else {"purchases": purchases, "spend": money}
    return {outcome: (totals[:, 0], None) for outcome, totals in steady.items()}


def total_coverage(checks: Sequence[TotalCheck]) -> list[TotalCoverage]:
    """How often the 90 % intervals of totals hold what came, by outcome, method and horizon.

    Holdouts that overlap have the same days in them. So the bounds of the share count only as many windows as can be
    chosen without an overlap. Calendar months differ by days: horizons alike are one, of their mean length.

    Parameters
    ----------
    checks : of any windows, outcomes and horizons; those without a method's forecast do not count for it

    Returns
    -------
    list of TotalCoverage
        The shortest horizon first

    Raises
    ------
    DataError
        If a forecast has no interval, as one of a single draw has none.
    """
    rows = []
    for alike in _alike(checks):
        for method in METHODS:
            known = [(check, found) for check in alike if (found := getattr(check, method)) is not None]
            if known:
                rows.append(_coverage(method, known))
    return rows


def _alike(checks: Sequence[TotalCheck]) -> Iterator[list[TotalCheck]]:
    """Checks of one outcome whose horizons are of one length, the shortest first."""
    for key in dict.fromkeys((check.outcome, check.unit) for check in checks):
        group: list[TotalCheck] = []
        of_key = [check for check in checks if (check.outcome, check.unit) == key]
        for check in sorted(of_key, key=lambda one: one.horizon):
            if group and check.horizon > LENGTHS_ALIKE * group[0].horizon:
                yield group
                group = []
            group.append(check)
        yield group


def _coverage(method: str, known: Sequence[tuple[TotalCheck, Estimate]]) -> TotalCoverage:
    checks = [check for check, _ in known]
    ends = [_interval(method, check, found) for check, found in known]
    inside = sum(low <= check.actual <= high for check, (low, _, high) in zip(checks, ends, strict=True))
    apart = _apart(checks)
    low, high = wilson_bounds(inside / len(checks), apart)
    widths = [(high - low) / middle for low, middle, high in ends if middle > 0]
    return TotalCoverage(
        outcome=checks[0].outcome,
        method=method,
        horizon=float(np.mean([check.horizon for check in checks])),
        unit=checks[0].unit,
        windows=len(checks),
        inside=inside,
        apart=apart,
        low=low,
        high=high,
        width=float(np.median(widths)) if widths else None,
    )


def _interval(method: str, check: TotalCheck, found: Estimate) -> tuple[float, float, float]:
    if found.q05 is None or found.q50 is None or found.q95 is None:
        raise DataError(
            f"the {method} forecast of {check.outcome} made on {check.calibration_end} has no interval: give totals of "
            "several draws."
        )
    return found.q05, found.q50, found.q95


def _apart(checks: Sequence[TotalCheck]) -> int:
    """Most windows whose holdouts have no day in common: always the one that ends first of those left."""
    number, until = 0, ""
    for check in sorted(checks, key=lambda one: one.holdout_end):  # dates as text are in the order of time
        if check.calibration_end >= until:
            number, until = number + 1, check.holdout_end
    return number
