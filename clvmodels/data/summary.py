"""Summaries of customers over a window, each by one expression inside the engine."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import ibis
import numpy as np

from clvmodels.data.engines import day, exact_log, money, precise_total, total
from clvmodels.data.seasons import term_sums
from clvmodels.foundation.calendar import Calendar
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, Levels, PurchasePatterns, SpendPatterns
from clvmodels.foundation.records import (
    CustomerSummary,
    HoldoutSummary,
    IdArray,
    LedgerLine,
    TransactionLog,
    Window,
)
from clvmodels.foundation.units import DAYS_PER_YEAR, days_per_unit

LOGARITHMS_UP_TO = 2_000_000  # purchases
QUIET_DAYS = 31  # a calibration may end this long after the last purchase: a small firm can be without one


def customer_summary(
    log: TransactionLog,
    window: Window,
    *,
    current_days: int = 365,
    calendar: Calendar | None = None,
    logarithms: bool | None = None,
) -> CustomerSummary:
    """Frequency, recency, T and spend of each customer won by the end of the calibration.

    Parameters
    ----------
    log : purchase log
    window : only its `calibration_end` and `unit` are read
    current_days : the current value is the spend of so many days up to `calibration_end`, that day
        included, at a yearly rate; of all days of the log where it is shorter
    calendar : terms of season and campaigns, whose sums over a customer's purchases are added; for a model that
        reads them
    logarithms : whether to work out log_interval, paid_purchases, log_amount and log_amount_sd, which models of
        regular timing and of lognormal spend read; None: where the log has at most 2,000,000 purchases, since they
        cost as much as all the rest

    Returns
    -------
    CustomerSummary
        In the order of customer_id. Purchases of one customer on one day are one. A customer whose
        repeat purchases come to 0 or less stays in it without a monetary_value, and is listed in
        `set_aside` as "no_positive_spend"; those won later are counted there as "after_calibration".

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one, or the calendar does not
        cover it.
    """
    table, measures = customer_rows(log, window, current_days=current_days, logarithms=logarithms)
    rows = table.order_by("customer_id").to_pyarrow()
    end = window.calibration_end
    summary = summary_of(rows, measures)
    return replace(
        summary,
        calendar=calendar,
        term_sums=None if calendar is None else term_sums(log, end, calendar, summary.customer_id),
        set_aside=summary.set_aside + _won_later(log, end),
    )


@dataclass(frozen=True)
class Measures:
    """What turns rows of the engine into a summary, besides the rows.

    Attributes
    ----------
    unit, currency, calibration_end : of the summary
    current_days : days that the current amount is of
    """

    unit: str
    currency: str
    calibration_end: dt.date
    current_days: int


def customer_rows(
    log: TransactionLog, window: Window, *, current_days: int, logarithms: bool | None
) -> tuple[Any, Measures]:
    """A row a customer inside the engine, in no order, for `summary_of`; and how to read it.

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one.
    """
    _check_calibration(log, window)
    if current_days < 1:
        raise DataError(f"current_days = {current_days}: expected at least 1 day.")
    end = window.calibration_end
    days_used = min(current_days, (end - log.first_date).days + 1)
    seen = customers_until(log, end, current_from=end - dt.timedelta(days=days_used - 1))
    if log.occasions <= LOGARITHMS_UP_TO if logarithms is None else logarithms:
        seen = seen.left_join(_logarithms_until(log, end), "customer_id")
    return seen, Measures(window.unit, log.currency, end, days_used)


def summary_of(rows: Any, measures: Measures) -> CustomerSummary:
    """The summary of some customers from their rows, in their order.

    Parameters
    ----------
    rows : Arrow table with the columns of `customer_rows`
    """
    frequency, recency, T, repeat_amount, first_amount, current = (
        rows[name].to_numpy().astype(np.float64)
        for name in ("frequency", "recency_days", "T_days", "repeat_amount", "first_amount", "current_amount")
    )
    customer_id = rows["customer_id"].to_numpy()
    unpaid = (frequency > 0) & (repeat_amount <= 0)
    per_unit = days_per_unit(measures.unit)
    return CustomerSummary(
        customer_id=customer_id,
        frequency=frequency,
        recency=recency / per_unit,
        T=T / per_unit,
        monetary_value=np.where((frequency > 0) & ~unpaid, repeat_amount / np.maximum(frequency, 1), np.nan),
        first_amount=first_amount,
        current_value=current * (DAYS_PER_YEAR / measures.current_days),
        **(_logarithms(rows, frequency, per_unit) if "log_days" in rows.column_names else {}),
        unit=measures.unit,
        currency=measures.currency,
        calibration_end=measures.calibration_end,
        set_aside=_set_aside(customer_id[unpaid], repeat_amount[unpaid]),
    )


def _logarithms(rows: Any, frequency: FloatArray, per_unit: float) -> dict[str, Any]:
    """Means of logarithms of times between purchases and of amounts, from their sums."""
    paid, intervals, amounts, squares = (
        rows[name].to_numpy().astype(np.float64)
        for name in ("paid_purchases", "log_days", "log_amounts", "squared_log_amounts")
    )
    with np.errstate(invalid="ignore"):  # NaN where there are none
        log_amount = amounts / paid
        variance = np.maximum(squares / paid - log_amount**2, 0.0)  # below 0 by rounding alone
        return {
            "log_interval": intervals / frequency - np.log(per_unit),
            "paid_purchases": paid,
            "log_amount": log_amount,
            "log_amount_sd": np.sqrt(variance),
        }


def holdout_summary(log: TransactionLog, window: Window) -> HoldoutSummary:
    """Purchase days and spend in the holdout of each customer of the calibration, in the same order.

    Raises
    ------
    DataError
        If the window has no holdout, or the log ends before it does.
    """
    _check_calibration(log, window)
    start, end = window.calibration_end, holdout_end(log, window)
    table = log.table.filter(log.table.date <= day(end))
    held = table.date > day(start)
    by_customer = table.group_by("customer_id").aggregate(
        first=table.date.min(), purchases=held.sum(), amount=total(table.amount, where=held)
    )
    rows = by_customer.filter(by_customer["first"] <= day(start)).order_by("customer_id").to_pyarrow()
    return HoldoutSummary(
        customer_id=rows["customer_id"].to_numpy(),
        purchases=rows["purchases"].to_numpy().astype(np.float64),
        amount=rows["amount"].to_numpy(),
        window=window,
        currency=log.currency,
    )


def compress_log(log: TransactionLog, window: Window) -> PurchasePatterns:
    """The counted patterns of the calibration straight from the log, grouped inside the engine.

    The same patterns as `compress(customer_summary(log, window))` gives, where the customers need not leave
    the engine.

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one.
    """
    patterns = _pattern_rows(log, window)
    frequency, recency, T, counts = (patterns[name].to_numpy().astype(np.float64) for name in patterns.column_names)
    per_unit = days_per_unit(window.unit)
    return PurchasePatterns.of(frequency, recency / per_unit, T / per_unit, window.unit, counts)


def counted_summary(log: TransactionLog, window: Window) -> CustomerSummary:
    """Customers alike as one row, counted inside the engine: as many rows as `compress_log` has patterns.

    Purchase models are fitted on it as on `customer_summary(log, window)`, with the same result, and expectations
    are forecast from it, with the totals of all customers, where there are too many to bring into memory.

    Returns
    -------
    CustomerSummary
        With n_customers; customer_id is "frequency/recency/T", in purchases and days. No amount is known; spend
        models are fitted on `compress_spend_log(log, window)`.

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one.
    """
    rows = _pattern_rows(log, window)
    frequency, recency, T, counts = (rows[name].to_numpy() for name in rows.column_names)
    unknown, per_unit = np.full(len(counts), np.nan), days_per_unit(window.unit)
    names = [f"{x}/{t_x}/{age}" for x, t_x, age in zip(frequency, recency, T, strict=True)]
    return CustomerSummary(
        customer_id=np.array(names, dtype=object),
        frequency=frequency.astype(np.float64),
        recency=recency / per_unit,
        T=T / per_unit,
        monetary_value=unknown,
        first_amount=unknown,
        current_value=unknown,
        n_customers=counts.astype(np.float64),
        unit=window.unit,
        currency=log.currency,
        calibration_end=window.calibration_end,
    )


def compress_spend_log(log: TransactionLog, window: Window) -> SpendPatterns:
    """The counted (frequency, monetary_value) of the repeat buyers of the calibration, grouped inside the engine.

    The same patterns as `compress_spend(customer_summary(log, window))` gives; `fit` takes them for a spend model
    that reads no logarithms, such as gamma_gamma.

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one, or no customer has repeat
        purchases that come to more than 0.
    """
    _check_calibration(log, window)
    rows = customers_until(log, window.calibration_end, current_from=window.calibration_end)
    rows = rows.filter((rows.frequency > 0) & (rows.repeat_amount > 0))
    rows = rows.select("frequency", mean=rows.repeat_amount / rows.frequency.cast("float64"))
    key = ["frequency", "mean"]
    patterns = rows.group_by(key).aggregate(n_customers=rows.count()).order_by(key).to_pyarrow()
    frequency, mean, counts = (patterns[name].to_numpy().astype(np.float64) for name in patterns.column_names)
    if len(counts) == 0:
        raise DataError(
            "no customer has a repeat purchase with a known spend above 0: a spend model has nothing to learn from."
        )
    return SpendPatterns(Levels.of(frequency), mean, counts, log.currency)


def _pattern_rows(log: TransactionLog, window: Window) -> Any:
    """An Arrow table with the distinct frequency, recency_days and T_days, and n_customers."""
    _check_calibration(log, window)
    rows = customers_until(log, window.calibration_end, current_from=window.calibration_end)
    key = ["frequency", "recency_days", "T_days"]
    return rows.group_by(key).aggregate(n_customers=rows.count()).order_by(key).to_pyarrow()


def customers_until(log: TransactionLog, end: dt.date, *, current_from: dt.date) -> Any:
    """A row a customer of what the log shows until a day; lengths of time in whole days.

    Columns: customer_id, first, frequency, recency_days, T_days, repeat_amount, first_amount, current_amount.
    """
    seen = log.table.filter(log.table.date <= day(end))
    by_customer = seen.group_by("customer_id").aggregate(
        first=seen.date.min(),
        last=seen.date.max(),
        occasions=seen.count(),
        spent=money(seen.amount).sum(),
        spent_first=money(seen.amount.argmin(seen.date)),
        current_amount=total(seen.amount, where=seen.date >= day(current_from)),
    )
    return by_customer.select(
        "customer_id",
        "first",
        frequency=by_customer.occasions - 1,
        recency_days=by_customer["last"].delta(by_customer["first"], unit="day"),
        T_days=ibis.literal(end).delta(by_customer["first"], unit="day"),
        repeat_amount=(by_customer.spent - by_customer.spent_first).cast("float64"),
        first_amount=by_customer.spent_first.cast("float64"),
        current_amount=by_customer.current_amount,
    )


def _logarithms_until(log: TransactionLog, end: dt.date) -> Any:
    """A row a customer with sums over the repeat purchases until a day.

    Columns: customer_id, log_days (log days since the purchase before), paid_purchases (those with an amount above
    0), log_amounts and squared_log_amounts.
    """
    seen = log.table.filter(log.table.date <= day(end))
    before = seen.date.lag().over(ibis.window(group_by="customer_id", order_by="date"))
    seen = seen.mutate(days=seen.date.delta(before, unit="day"))
    paid = (seen.amount > 0) & seen.days.notnull()
    log_amount = exact_log(paid.ifelse(seen.amount, 1.0)).cast("float64")
    return seen.group_by("customer_id").aggregate(
        log_days=precise_total(exact_log(seen.days.fill_null(1))),
        paid_purchases=paid.sum(),
        log_amounts=precise_total(log_amount, where=paid),
        squared_log_amounts=precise_total(log_amount * log_amount, where=paid),
    )


def holdout_end(log: TransactionLog, window: Window) -> dt.date:
    """The last day of the holdout; refused where there is none, or the log does not reach it."""
    if window.holdout_end is None:
        raise DataError("this window has no holdout: give Window(holdout_end=...).")
    if window.holdout_end > log.last_date + dt.timedelta(days=1):
        raise DataError(
            f"holdout_end {window.holdout_end} is outside the data: the log ends on {log.last_date}. "
            "Days without data would count as days without purchases; end the holdout there."
        )
    return window.holdout_end


def _check_calibration(log: TransactionLog, window: Window) -> None:
    latest = log.last_date + dt.timedelta(days=QUIET_DAYS)
    if not log.first_date <= window.calibration_end <= latest:
        raise DataError(
            f"calibration_end {window.calibration_end} is outside the data: "
            f"the log goes from {log.first_date} to {log.last_date}."
        )


def _set_aside(ids: IdArray, amounts: FloatArray) -> tuple[LedgerLine, ...]:
    if len(ids) == 0:
        return ()
    return (LedgerLine("no_positive_spend", len(ids), float(amounts.sum()), tuple(ids[:5])),)


def _won_later(log: TransactionLog, end: dt.date) -> tuple[LedgerLine, ...]:
    """Customers whose first purchase is after the calibration."""
    if end >= log.last_date:
        return ()
    by_customer = log.table.group_by("customer_id").aggregate(
        first=log.table.date.min(), amount=money(log.table.amount).sum()
    )
    later = by_customer.filter(by_customer["first"] > day(end))
    counts = later.aggregate(rows=later.count(), amount=later.amount.sum().cast("float64")).to_pyarrow().to_pylist()[0]
    if counts["rows"] == 0:
        return ()
    ids = later.order_by("customer_id").limit(5).to_pyarrow()["customer_id"].to_pylist()
    return (LedgerLine("after_calibration", counts["rows"], counts["amount"], tuple(ids)),)
