"""What it would be worth if fewer customers left."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.checks import ByCustomer
from clvmodels.forecast.expectations import History, by_rate
from clvmodels.forecast.residual import paid_at_renewals, require_end, residual
from clvmodels.forecast.retention_value import profits, totals_by_group
from clvmodels.forecast.staying import (
    Alike,
    Groups,
    discounting,
    long_frame,
    statistics_of,
    still_there,
    times_to_renewal,
    with_all,
)
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.retention import RetentionTable
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class RetentionWhatIf:
    """Equity of the base as it is, and with fewer customers leaving, at the same draws of the parameters.

    Attributes
    ----------
    fewer_defections : share by which each period's chance to leave falls
    by : the grouping column, or None
    labels : of the groups; "all" where there is one
    customers : ndarray, shape (G,)
    equity, changed : ndarrays, shape (G, S)
    """

    fewer_defections: float
    by: str | None
    labels: tuple[str, ...]
    customers: FloatArray
    equity: FloatArray
    changed: FloatArray
    horizon: float
    unit: str
    currency: str
    method: str

    @property
    def change(self) -> FloatArray:
        """Change in equity, shape (G, S), in currency."""
        return self.changed - self.equity

    def to_pandas(self) -> "pd.DataFrame":
        """A frame by group and quantity: mean, sd, q05, q50, q95.

        Quantities are "equity", "changed", "change" and "relative_change", the change as a share of the equity.
        """
        changed = dict(with_all(self.labels, self.changed))
        parts: list[dict[str, Any]] = []
        for label, equity in with_all(self.labels, self.equity):
            change = changed[label] - equity
            share = np.divide(change, equity, out=np.full_like(change, np.nan), where=equity > 0)
            told = {"equity": equity, "changed": changed[label], "change": change, "relative_change": share}
            parts += [
                {self.by or "group": label, "quantity": name, **statistics_of(draws[:, None])}
                for name, draws in told.items()
            ]
        return long_frame(parts)


def retention_what_if(
    fit: Fit,
    table: RetentionTable,
    *,
    fewer_defections: float = 0.05,
    price: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    horizon: float = math.inf,
    due: ByCustomer | None = None,
    by: str | None = None,
    draws: int | None = None,
) -> RetentionWhatIf:
    """Change in the equity of the base if a share fewer customers left in each period to come.

    Every period's chance to leave, 1 - S(n + t) / S(n + t - 1) of a customer still there at age n + t - 1, is
    multiplied by 1 - `fewer_defections`; all else is kept. In continuous time the rate of leaving is.

    Parameters
    ----------
    fewer_defections : share from 0 to 1; .05 for "five per cent fewer defections"

    Other parameters are those of `retention_value`.

    Raises
    ------
    FitError
        As `retention_value`.
    DataError
        As `retention_value`; also if the share cannot be, or without horizon and discount rate.

    Notes
    -----
    The chance to leave that is multiplied is that of all who are still there at an age, whoever they are. To multiply
    each customer's own chance theta instead is another thing: then those likely to leave stay longer, so that those
    still there are a worse mix than without the change, and equity grows less. Both agree in the first period, and
    where customers do not differ (geometric).
    """
    share = _require_share(fewer_defections)
    active = still_there(fit, table)
    rate = discounting(annual_discount_rate, discount_per_unit, table)
    worth = profits(price, margin, table) * np.exp(rate * (1 - times_to_renewal(due, fit, table)))
    horizon = checks.require_horizon(horizon, "the value of customers", fit.model, most=math.inf)
    at_renewals = paid_at_renewals(fit, active)
    require_end(horizon, rate, at_renewals=at_renewals)
    groups = Groups.of(active, by)
    alike = Alike.of(fit, active, draws, rate, groups.place.astype(np.float64))
    weights = alike.counted(active.n_customers * worth)

    def value(discount: float, some: History) -> FloatArray:
        leaving = (1.0, 1 - share)
        return residual(fit, some, discount, horizon=horizon, at_renewals=at_renewals, leaving=leaving)

    def equity(rows: IntArray) -> FloatArray:
        return weights[rows, None, None] * by_rate(value, alike.at(rows, alike.every), alike.others[0][rows])

    totals = totals_by_group(alike, equity)
    return RetentionWhatIf(
        fewer_defections=share,
        by=by,
        labels=groups.labels,
        customers=groups.customers(active),
        equity=totals[..., 0],
        changed=totals[..., 1],
        horizon=horizon,
        unit=active.unit,
        currency=active.currency,
        method=checks.method_name(fit),
    )


def _require_share(value: Any) -> float:
    """A share from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"fewer_defections = {value!r}: expected a share from 0 to 1 (0.05 means 5 % fewer).")
    return float(value)
