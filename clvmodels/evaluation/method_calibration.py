"""Whether each method's forecast at one origin came true: by tenths, by history, by cohort, and as a distribution."""

import zlib
from collections.abc import Mapping

import numpy as np

from clvmodels.evaluation.calibration import (
    PredictiveCheck,
    calibration_rows,
    coverage_rows,
    grouped_rows,
    predictive_check,
)
from clvmodels.evaluation.contest import Checks
from clvmodels.evaluation.curves import activity_rows, decile_rows, pit_check
from clvmodels.evaluation.rolling import Occasion
from clvmodels.foundation.contest_results import MethodCalibration
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary, IdArray
from clvmodels.foundation.results import ActivityRow, CalibrationRow
from clvmodels.foundation.units import days_per_unit
from clvmodels.foundation.whole import require_seed

QUANTITIES = ("purchases", "spend")
MOST_COHORTS = 12  # by month; a log with more has cohorts by quarter


def occasion_checks(occasion: Occasion, customers: CustomerSummary, *, seed: int) -> Checks:
    """The check of each forecast that has draws: method -> quantity -> check.

    Parameters
    ----------
    occasion : forecasts at one origin, and what came
    customers : of its forecasts, in their order
    seed : of the numbers that break ties in the PIT, 0 to 2^64 - 1; each method has its own from it
    """
    outcomes = _outcomes(occasion.holdout)
    return {
        method: {
            name: predictive_check(
                told[name], outcome, frequency=customers.frequency, rng=_rng(seed, f"pit {method} {name}")
            )
            for name, outcome in outcomes.items()
            if name in told and told[name].replay is not None
        }
        for method, told in occasion.forecasts.items()
    }


def method_calibrations(
    occasion: Occasion, customers: CustomerSummary, *, seed: int, replicates: int = 400
) -> list[MethodCalibration]:
    """The calibration of every method that forecasts more than a ranking, against the holdout of one origin.

    Groups of customers are checked by their purchases.

    Parameters
    ----------
    occasion : with `occasion_checks` as its checks
    customers : of its forecasts, in their order; of a log, as cohorts go by the day of the first purchase
    seed : of the bootstrap of each tenth, 0 to 2^64 - 1
    replicates : of that bootstrap
    """
    outcomes = _outcomes(occasion.holdout)
    cohort = first_purchase_cohorts(customers)
    checks = occasion.checks or {}
    rows = []
    for method, told in occasion.forecasts.items():
        known = {name: outcome for name, outcome in outcomes.items() if name in told}
        if not known and "active" not in told:
            continue  # it only ranks
        of_method = checks.get(method, {})
        rows.append(
            MethodCalibration(
                method=method,
                deciles={
                    name: decile_rows(
                        told[name].mean, outcome, rng=_rng(seed, f"tenths {method} {name}"), replicates=replicates
                    )
                    for name, outcome in known.items()
                },
                activity=_activity(told, of_method, occasion.holdout),
                coverage=coverage_rows(list(of_method.values())),
                pit=[pit_check(check) for check in of_method.values()],
                by_frequency=calibration_rows(of_method["purchases"]) if "purchases" in of_method else [],
                by_cohort=_by_cohort(told, of_method, outcomes["purchases"], cohort),
            )
        )
    return rows


def first_purchase_cohorts(customers: CustomerSummary) -> IdArray:
    """The month of each customer's first purchase, such as "1997-01", shape (N,); "1997-Q1" where months are many.

    Without the calibration's end, as of customers without days, it is the age in units: "T = 6".
    """
    if customers.calibration_end is None:
        return np.array([f"T = {age:g}" for age in customers.T], dtype=object)
    age = np.round(customers.T * days_per_unit(customers.unit)).astype(np.int64)
    months = (np.datetime64(customers.calibration_end) - age).astype("datetime64[M]")
    if len(np.unique(months)) <= MOST_COHORTS:
        return np.asarray(months.astype(str).astype(object))
    number = months.astype(np.int64)  # from January 1970 on
    return np.array([f"{1970 + month // 12}-Q{month % 12 // 3 + 1}" for month in number], dtype=object)


def _outcomes(holdout: HoldoutSummary) -> dict[str, FloatArray]:
    """What happened, where it is known."""
    values = {"purchases": holdout.purchases, "spend": holdout.amount}
    return {name: values[name] for name in QUANTITIES if np.isfinite(values[name]).all()}


def _activity(
    told: Mapping[str, Forecast], checks: Mapping[str, PredictiveCheck], holdout: HoldoutSummary
) -> list[ActivityRow]:
    if "active" in told:
        return activity_rows(told["active"].mean, holdout.active)
    if "purchases" in checks:
        return activity_rows(checks["purchases"].drawn.p_active, holdout.active)
    return []


def _by_cohort(
    told: Mapping[str, Forecast], checks: Mapping[str, PredictiveCheck], purchases: FloatArray, cohort: IdArray
) -> list[CalibrationRow]:
    return grouped_rows(told["purchases"], purchases, group=cohort) if "purchases" in checks else []


def _rng(seed: int, what: str) -> np.random.Generator:
    return np.random.default_rng([require_seed(seed), zlib.crc32(what.encode())])
