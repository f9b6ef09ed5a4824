"""What the baselines share: their record, the checks of what they are asked, and past spend."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary
from clvmodels.foundation.units import days_per_unit

Training = tuple[tuple[CustomerSummary, HoldoutSummary], ...]


@dataclass(frozen=True)
class Baseline:
    """A method without a posterior, to hold a model against.

    Attributes
    ----------
    name : registry name
    rule : (customers, horizon) -> quantity -> forecast, of a trained method (customers, horizon, training)
    inputs : columns of the customer summary that it reads
    choices : number of choices that its user has to make
    trained : whether it learns from windows inside the calibration
    """

    name: str
    rule: Callable[..., dict[str, Forecast]]
    inputs: tuple[str, ...]
    choices: int
    trained: bool = False

    def forecasts(self, customers: CustomerSummary, horizon: float, *, training: Training = ()) -> dict[str, Forecast]:
        """The method's forecasts, by quantity.

        Parameters
        ----------
        customers : N customers at the end of the calibration
        horizon : length of time to forecast, in their unit
        training : customers and what they then did, in windows inside the calibration, the earliest first, as
            `training_windows` makes them; all have one length. A method that is not trained does not read them

        Returns
        -------
        dict with "purchases" and "spend" (currency), or "score" where the method only ranks, and "active", the
        probability of a purchase within the horizon, where the method tells it. Most methods fill the means alone

        Raises
        ------
        DataError
            If the horizon is not above 0, rows are counted, a column that the method needs is not known, or a
            trained method has no windows, or windows that reach beyond the customers' calibration.
        FitError
            If another package's fit fails.
        """
        check_request(customers, horizon)
        if not self.trained:
            return self.rule(customers, horizon)
        check_training(training, self.name, customers)
        return self.rule(customers, horizon, training)


def check_request(customers: CustomerSummary, horizon: float) -> None:
    """Refuse a horizon that is not a length of time, and counted rows.

    Raises
    ------
    DataError
        If the horizon is not finite and above 0, or if rows stand for several customers.
    """
    if not (math.isfinite(horizon) and horizon > 0):
        raise DataError(f"horizon = {horizon}: expected a length of time above 0, in {customers.unit}s.")
    if customers.n_customers is not None:
        raise DataError("the summary has n_customers: baselines rank customers one by one, so give one row a customer.")


def check_training(training: Training, method: str, customers: CustomerSummary) -> None:
    """Refuse to learn from nothing, from windows of several lengths, and from days after the calibration.

    Raises
    ------
    DataError
        If there is no window, one is of other customers than its outcomes, units or lengths differ, or a window
        ends after the calibration of the customers to forecast.
    """
    if not training:
        raise DataError(
            f'the method "{method}" learns from windows inside the calibration and was given none: give '
            "training = training_windows(log, window)."
        )
    for known, outcome in training:
        if len(known) != len(outcome.customer_id) or (known.customer_id != outcome.customer_id).any():
            raise DataError(
                f"the training window until {outcome.window.holdout_end} has customers and outcomes that are not of "
                "the same customers in the same order. Make both from one log and window."
            )
        if {known.unit, outcome.window.unit} != {customers.unit}:
            raise DataError(
                f"a training window counts in {known.unit}s, the customers to forecast in {customers.unit}s: "
                "give one unit to all."
            )
        _refuse_beyond(outcome, customers)
    lengths = sorted({outcome.window.holdout_length for _, outcome in training})
    if len(lengths) > 1:
        raise DataError(
            f"training windows look {lengths[0]:g} to {lengths[-1]:g} {customers.unit}s ahead: give windows of one "
            "length."
        )


def _refuse_beyond(outcome: HoldoutSummary, customers: CustomerSummary) -> None:
    last, end = outcome.window.holdout_end, customers.calibration_end
    if last is not None and end is not None and last > end:
        raise DataError(
            f"a training window ends on {last}, after the calibration of the customers to forecast ({end}): the "
            "method would learn from the days that it is judged on. Give training_windows(log, window)."
        )


def training_length(training: Training) -> float:
    """Length of time that each training window looks ahead, in its unit."""
    return training[-1][1].window.holdout_length


def outcomes(training: Training, quantity: str) -> FloatArray:
    """What each customer of each training window did in it, one window after the other, shape (M,).

    A customer whose refunds in a window exceed the purchases spent 0 in it: methods that learn from spend need it
    at or above 0.
    """
    column = {"purchases": "purchases", "spend": "amount"}[quantity]
    return np.concatenate([np.maximum(getattr(outcome, column), 0.0) for _, outcome in training])


def quantities_to_learn(customers: CustomerSummary, training: Training) -> list[str]:
    """Purchases, and spend where it is known of everyone."""
    return ["purchases", "spend"] if knows_spend(customers, training) else ["purchases"]


def knows_spend(customers: CustomerSummary, training: Training) -> bool:
    """Whether spend is known of these customers, and in each training window before and after its cut."""
    after = [np.isfinite(outcome.amount).all() for _, outcome in training]
    return has_money(customers) and all(after) and all(has_money(known) for known, _ in training)


def point_forecast(
    quantity: str, method: str, *, customers: CustomerSummary, horizon: float, mean: FloatArray
) -> Forecast:
    """Forecast without a distribution: sd and quantiles are NaN.

    Parameters
    ----------
    quantity : "purchases", "spend", "active" or "score"
    method : registry name
    mean : ndarray, shape (N,), purchases, currency, probability or unitless score
    """
    nothing = np.full(len(customers), np.nan)
    return Forecast(
        quantity=quantity,
        method=method,
        customer_id=customers.customer_id,
        mean=mean,
        sd=nothing,
        q05=nothing,
        q50=nothing,
        q95=nothing,
        totals=None,
        horizon=horizon,
        unit=customers.unit,
        currency=customers.currency,
    )


def point_forecasts(
    means: Mapping[str, FloatArray], method: str, *, customers: CustomerSummary, horizon: float
) -> dict[str, Forecast]:
    """A forecast without a distribution of each quantity, from its mean."""
    return {
        quantity: point_forecast(quantity, method, customers=customers, horizon=horizon, mean=mean)
        for quantity, mean in means.items()
    }


def check_has_money(customers: CustomerSummary) -> None:
    """Refuse to rank by spend where none is known."""
    if not has_money(customers):
        raise DataError("the summary knows no spend: ranking by past spend needs monetary_value or first_amount.")


def has_money(customers: CustomerSummary) -> bool:
    """Whether the summary knows any spend."""
    return bool(np.isfinite(customers.monetary_value).any() or np.isfinite(customers.first_amount).any())


def past_spend(customers: CustomerSummary) -> FloatArray:
    """Contribution so far: spend of the first purchase + frequency x mean repeat spend.

    Where no first amount is known at all, it is the repeat spend alone. Repeat buyers without a
    monetary_value are those whose repeat purchases came to nothing (free goods): they count with 0.

    Returns
    -------
    ndarray, shape (N,), currency

    Raises
    ------
    DataError
        If no spend is known, or the first amount of some customers only.
    """
    check_has_money(customers)
    first = customers.first_amount
    if np.isnan(first).all():
        return repeat_spend(customers)
    _refuse_unknown(np.isnan(first), "first_amount", customers)
    return _same_sums_equal(first + _repeats(customers))


def repeat_spend(customers: CustomerSummary) -> FloatArray:
    """Spend of the repeat purchases alone, frequency x their mean, shape (N,), currency; 0 without a repeat."""
    return _same_sums_equal(_repeats(customers))


def _repeats(customers: CustomerSummary) -> FloatArray:
    return customers.frequency * np.nan_to_num(customers.monetary_value, nan=0.0)


def own_rate(customers: CustomerSummary) -> FloatArray:
    """Repeat purchases a unit of time so far, shape (N,); 0 of a customer who has just come (T = 0)."""
    x, T = customers.frequency, customers.T
    return np.divide(x, T, out=np.zeros_like(x), where=T > 0)


def days_since(customers: CustomerSummary) -> FloatArray:
    """Days since the last purchase, shape (N,).

    Whole days become weeks by division and come back with another last bit: rounding keeps ties.
    """
    return np.round((customers.T - customers.recency) * days_per_unit(customers.unit), 6)


def mean_spend(customers: CustomerSummary) -> FloatArray:
    """Mean spend a purchase so far, the first included where its amount is known; shape (N,), currency."""
    first_counts = 0.0 if np.isnan(customers.first_amount).all() else 1.0
    purchases = customers.frequency + first_counts
    return past_spend(customers) / np.maximum(purchases, 1.0)


def _same_sums_equal(amount: FloatArray) -> FloatArray:
    # 3 x 1.01 and 3.03 differ in the last bit; ties must be ties on every engine.
    return np.round(amount, 6)


def _refuse_unknown(unknown: NDArray[np.bool_], column: str, customers: CustomerSummary) -> None:
    if unknown.any():
        row = int(np.argmax(unknown))
        raise DataError(
            f"{column} is not known for {int(unknown.sum())} customers (first: customer_id "
            f"{customers.customer_id[row]}, row {row}). Ranking by past spend needs it of everyone: "
            "fill it in or leave these customers out."
        )
