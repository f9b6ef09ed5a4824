"""How many new customers will be there at an age, and how many of them renew, with bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import group_totals
from clvmodels.forecast.expectations import History, evaluate
from clvmodels.forecast.staying import Alike, Groups, long_frame, newcomers, statistics_of
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.model import Draws
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.retention import RetentionTable
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

CELLS = 2**22  # rows x draws x times worked out by a thread at a time: 32 MB


@dataclass(frozen=True)
class RetentionCurve:
    """Posterior of survival and retention rate of new customers, by group.

    Of a group whose customers differ it is that of all of them together: the mean survival, and the share of those
    there at an age, whoever is left, that is there a unit of time later.

    Attributes
    ----------
    by : the grouping column, or None
    labels : of the groups; "all" where there is one
    ages : ndarray, shape (A,), in `unit`
    survival : ndarray, shape (G, S, A), chance that a new customer is still there at each age
    retention_rate : ndarray, shape (G, S, A), S(t) / S(t - 1); NaN at ages below 1
    """

    by: str | None
    labels: tuple[str, ...]
    ages: FloatArray
    survival: FloatArray
    retention_rate: FloatArray
    unit: str
    method: str

    def to_pandas(self) -> "pd.DataFrame":
        """A frame in long form: group (named as the column), quantity, age, mean, sd, q05, q50, q95."""
        quantities = {"survival": self.survival, "retention_rate": self.retention_rate}
        parts: list[dict[str, Any]] = [
            {self.by or "group": label, "quantity": name, "age": self.ages, **statistics_of(draws[place])}
            for place, label in enumerate(self.labels)
            for name, draws in quantities.items()
        ]
        return long_frame(parts)


def retention_curve(
    fit: Fit,
    *,
    ages: Sequence[float] | FloatArray,
    table: RetentionTable | None = None,
    by: str | None = None,
    draws: int | None = None,
) -> RetentionCurve:
    """Survival and retention rate of new customers by age, with their posterior.

    Parameters
    ----------
    fit : of a model of retention
    ages : in the fit's unit, 0 or above, in increasing order
    table : customers whose covariates, groups and beginnings the new ones have, each as often as it is there;
        only fits that depend on these need it
    by : grouping column of the table, such as "segment": a curve for each group
    draws : number of draws S; by default those of the fit

    Raises
    ------
    FitError
        If the fit is of another family or unit, or needs a table and there is none.
    DataError
        If the ages cannot be, or `by` is no column of the table.
    """
    times = _require_ages(ages, fit)
    new = newcomers(fit, table)
    if by is not None and table is None:
        raise DataError(f'by = "{by}" is a column of the table: give table=....')
    groups = Groups.of(new, by)
    alike = Alike.of(fit, new, draws, groups.place.astype(np.float64))
    counts = alike.counted(new.n_customers)
    earlier = np.maximum(times - 1.0, 0.0)
    known, place = np.unique(np.concatenate([times, earlier]), return_inverse=True)

    def survival(rows: IntArray) -> FloatArray:
        return counts[rows, None, None] * _chances_at(fit, alike.at(rows, alike.every), known)

    size = max(1, CELLS // (alike.n_draws * len(known)))
    totals = group_totals(len(alike), alike.others[0].astype(np.int64), survival, size=size)
    curve = (totals / groups.customers(new)[:, None, None])[..., place]
    at, before = curve[..., : len(times)], curve[..., len(times) :]
    rate = np.divide(at, before, out=np.full_like(at, np.nan), where=(times >= 1) & (before > 0))
    return RetentionCurve(by, groups.labels, times, at, rate, fit.unit, checks.method_name(fit))


def _chances_at(fit: Fit, rows: History, times: FloatArray) -> FloatArray:
    """P(still there after each time) of rows that are there now, shape (K, S, times)."""
    formula = fit.model.formulas["p_active"]

    def curve(parameters: Draws, *columns: FloatArray) -> FloatArray:
        return np.stack([formula(parameters, *columns, float(time)) for time in times])

    return evaluate(curve, fit, rows)


def _require_ages(ages: Any, fit: Fit) -> FloatArray:
    try:
        times = np.asarray(ages, dtype=np.float64)
    except (TypeError, ValueError):
        times = np.empty(0)
    apart = times.ndim == 1 and len(times) > 0 and np.isfinite(times).all() and (np.diff(times) > 0).all()
    if not apart or times[0] < 0:
        raise DataError(f"ages = {ages!r}: expected finite ages, 0 or above, in increasing order.")
    checks.require_whole_times(fit.model, times, "ages")
    return times
