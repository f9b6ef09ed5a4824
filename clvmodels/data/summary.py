"""Summaries of customers over a window, each by one expression inside the engine."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import ibis
import numpy as np

from clvmodels.data.engines import day, money, total, within_limits
from clvmodels.data.ledger import SAMPLES
from clvmodels.data.seasons import term_sums
from clvmodels.data.states import customers_until, logarithms_of, with_floats
from clvmodels.data.windows import ONE_DAY, QUIET_DAYS, complete_until, won_in
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


@within_limits()
def customer_summary(
    log: TransactionLog,
    window: Window,
    *,
    current_days: int = 365,
    calendar: Calendar | None = None,
    logarithms: bool | None = None,
) -> CustomerSummary:
    """Frequency, recency, T and spend of each customer that counts in a window's calibration.

    Parameters
    ----------
    log : purchase log
    window : all but its `holdout_end` is read
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
        `set_aside` as "no_positive_spend". Customers left out are counted there with their spend in the whole log:
        those won after the calibration as "after_calibration", and those won in it but before `acquired_from` or
        after `acquired_until` as "won_before" and "won_after".

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one, no customer was won when
        they count, or the calendar does not cover it.
    """
    rows, measures = customer_rows(log, window, current_days=current_days, logarithms=logarithms)
    left_out = customers_left_out(_won(log), window) if _may_leave_out(log, window) else ()
    customers = summary_of(rows, window, measures, left_out=left_out)
    if calendar is None:
        return customers
    return replace(customers, calendar=calendar, term_sums=term_sums(log, window, calendar, customers.customer_id))


@dataclass(frozen=True)
class Measures:
    """What turns rows of the engine into a summary, besides the rows.

    Attributes
    ----------
    unit, currency, calibration_end : of the summary
    days_used : length of time of current_amount, days
    """

    unit: str
    currency: str
    calibration_end: dt.date
    days_used: int


def customer_rows(
    log: TransactionLog, window: Window, *, current_days: int, logarithms: bool | None
) -> tuple[Any, Measures]:
    """A row inside the engine of each customer that counts in a window, in no order; and how to read it.

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one.
    """
    check_calibration(log, window)
    if current_days < 1:
        raise DataError(f"current_days = {current_days}: expected at least 1 day.")
    end = window.calibration_end
    days_used = min(current_days, (end - log.first_date).days + 1)
    seen = customers_until(log, end, current_from=end - dt.timedelta(days=days_used - 1))
    if with_logarithms(log, logarithms):
        logs = logarithms_of(log.table.filter(log.table.date <= day(end)))
        seen = with_floats(seen.left_join(logs, "customer_id"))
    return won_in(seen, window), Measures(window.unit, log.currency, end, days_used)


def with_logarithms(log: TransactionLog, asked: bool | None) -> bool:
    """Whether to work out means of logarithms; without a word about it, where they are not too dear."""
    return log.occasions <= LOGARITHMS_UP_TO if asked is None else asked


def summary_of(seen: Any, window: Window, measures: Measures, *, left_out: tuple[LedgerLine, ...]) -> CustomerSummary:
    """The summary of rows of `customer_rows`, in the order of customer_id.

    Parameters
    ----------
    left_out : customers of the log that do not count in the window

    Raises
    ------
    DataError
        If no customer counts.
    """
    rows = seen.order_by("customer_id").to_pyarrow()
    refuse_none(rows.num_rows, window)
    return summary_of_rows(rows, measures, left_out=left_out)


def refuse_none(customers: int, window: Window) -> None:
    """Refuse a window in which no customer counts.

    Raises
    ------
    DataError
        If there is none.
    """
    if customers == 0:
        since = f"{window.acquired_from} to" if window.acquired_from else "the log's first day to"
        raise DataError(f"no customer was won from {since} {window.acquired_until or window.calibration_end}.")


def summary_of_rows(rows: Any, measures: Measures, *, left_out: tuple[LedgerLine, ...] = ()) -> CustomerSummary:
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
        current_value=current * (DAYS_PER_YEAR / measures.days_used),
        **(_logarithms(rows, frequency, per_unit) if "log_days" in rows.column_names else {}),
        unit=measures.unit,
        currency=measures.currency,
        calibration_end=measures.calibration_end,
        set_aside=_set_aside(customer_id[unpaid], repeat_amount[unpaid]) + left_out,
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


@within_limits()
def holdout_summary(log: TransactionLog, window: Window) -> HoldoutSummary:
    """Purchase days and spend in the holdout of each customer of `customer_summary`, in the same order.

    Raises
    ------
    DataError
        If the window has no holdout, or the log ends before it does.
    """
    check_calibration(log, window)
    start, end = window.calibration_end, holdout_end(log, window)
    table = log.table.filter(log.table.date <= day(end))
    held = table.date > day(start)
    by_customer = table.group_by("customer_id").aggregate(
        first=table.date.min(), purchases=held.sum(), amount=total(table.amount, where=held)
    )
    rows = won_in(by_customer, window).order_by("customer_id").to_pyarrow()
    return HoldoutSummary(
        customer_id=rows["customer_id"].to_numpy(),
        purchases=rows["purchases"].to_numpy().astype(np.float64),
        amount=rows["amount"].to_numpy(),
        window=window,
        currency=log.currency,
    )


@within_limits()
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
    rows = _counting(log, window)
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
    rows = _counting(log, window)
    key = ["frequency", "recency_days", "T_days"]
    return rows.group_by(key).aggregate(n_customers=rows.count()).order_by(key).to_pyarrow()


def _counting(log: TransactionLog, window: Window) -> Any:
    """A row inside the engine of each customer that counts in a window."""
    check_calibration(log, window)
    return won_in(customers_until(log, window.calibration_end, current_from=window.calibration_end), window)


def holdout_end(log: TransactionLog, window: Window) -> dt.date:
    """The last day of the holdout; refused where there is none, or the log does not reach it."""
    if window.holdout_end is None:
        raise DataError("this window has no holdout: give Window(holdout_end=...).")
    if window.holdout_end > max(log.last_date + ONE_DAY, complete_until(log)):
        raise DataError(
            f"holdout_end {window.holdout_end} is outside the data: the log ends on {log.last_date}. "
            "Days without data would count as days without purchases; end the holdout there, or state the day that "
            "the log is complete for: read_transactions(last_day=...)."
        )
    return window.holdout_end


def check_calibration(log: TransactionLog, window: Window) -> None:
    """Refuse a calibration that ends before the first purchase or long after the last one."""
    latest = log.last_date + dt.timedelta(days=QUIET_DAYS)
    if not log.first_date <= window.calibration_end <= latest:
        raise DataError(
            f"calibration_end {window.calibration_end} is outside the data: "
            f"the log goes from {log.first_date} to {log.last_date}."
        )


def _set_aside(ids: IdArray, amounts: FloatArray) -> tuple[LedgerLine, ...]:
    if len(ids) == 0:
        return ()
    return (LedgerLine("no_positive_spend", len(ids), float(amounts.sum()), tuple(ids[:SAMPLES])),)


def _may_leave_out(log: TransactionLog, window: Window) -> bool:
    """Whether there can be customers that do not count, which is dear to find out."""
    return (
        window.calibration_end < log.last_date or window.acquired_from is not None or window.acquired_until is not None
    )


def _won(log: TransactionLog) -> Any:
    """A row a customer of the whole log. Columns: customer_id, first, spent."""
    return log.table.group_by("customer_id").aggregate(first=log.table.date.min(), spent=money(log.table.amount).sum())


def customers_left_out(won: Any, window: Window) -> tuple[LedgerLine, ...]:
    """Customers that do not count in a window, by reason.

    Parameters
    ----------
    won : Ibis table with columns customer_id, first, spent, a row a customer
    """
    first = won["first"]
    reasons = [(first > day(window.calibration_end), "after_calibration")]
    if window.acquired_until is not None:
        reasons.append((first > day(window.acquired_until), "won_after"))
    if window.acquired_from is not None:
        reasons.append((first < day(window.acquired_from), "won_before"))
    judged = won.mutate(reason=ibis.cases(*reasons, else_=None))
    judged = judged.filter(judged.reason.notnull())
    by_reason = judged.group_by("reason").aggregate(rows=judged.count(), amount=judged.spent.sum().cast("float64"))
    found = by_reason.order_by("reason").to_pyarrow().to_pylist()
    return tuple(
        LedgerLine(line["reason"], line["rows"], line["amount"], _first_ids(judged, line["reason"])) for line in found
    )


def _first_ids(judged: Any, reason: str) -> tuple[str, ...]:
    found = judged.filter(judged.reason == reason).order_by("customer_id").limit(SAMPLES).to_pyarrow()
    return tuple(found["customer_id"].to_pylist())
