"""What is known of each customer by a day, as sums that can be continued: of an earlier and a later part, the whole.

A state has customer_id, first and last (days), occasions, spent and spent_first (decimals), and may have log_days,
paid_purchases, log_amounts and squared_log_amounts over the repeat purchases. Summaries are worked out from states
alone, so that those of a log and those of states kept from day to day cannot differ.
"""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import ibis

from clvmodels.data.engines import day, exact_log, money, precise, purchase_amount
from clvmodels.foundation.records import TransactionLog

LOGARITHMS = ("log_days", "log_amounts", "squared_log_amounts")


def customers_until(log: TransactionLog, end: dt.date, *, current_from: dt.date) -> Any:
    """A row a customer of what the log shows until a day; lengths of time in whole days.

    Columns: as of `in_days`, with current_amount.
    """
    seen = log.table.filter(log.table.date <= day(end))
    current = purchase_amount(seen).sum(where=seen.date >= day(current_from)).fill_null(0).cast("float64")
    return in_days(states_of(seen, {"current_amount": current}), end)


def states_of(purchases: Any, further: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """The state of each customer after some purchases, without logarithms; and further aggregates of theirs."""
    amount = purchase_amount(purchases)
    return purchases.group_by("customer_id").aggregate(
        first=purchases.date.min(),
        last=purchases.date.max(),
        occasions=purchases.count(),
        spent=money(amount.sum()),
        spent_first=money(amount.argmin(purchases.date)),
        **further,
    )


def logarithms_of(purchases: Any) -> Any:
    """Sums over each customer's repeat purchases, as decimals.

    Columns: customer_id, log_days (log days since the purchase before), paid_purchases (those with an amount above
    0), log_amounts and squared_log_amounts.
    """
    before = purchases.date.lag().over(ibis.window(group_by="customer_id", order_by="date"))
    seen = purchases.mutate(days=purchases.date.delta(before, unit="day"), counted=money(purchase_amount(purchases)))
    repeat = seen.days.notnull()
    return seen.group_by("customer_id").aggregate(
        log_days=exact_log(seen.days.fill_null(1)).sum(),
        paid_purchases=seen.count(where=repeat & (seen.counted > 0)),
        log_amounts=_log_amount(seen.counted, repeat).sum(),
        squared_log_amounts=_squared_log_amount(seen.counted, repeat).sum(),
    )


def joined(earlier: Any, later: Any) -> Any:
    """The states after two parts of a log, all days of the one before those of the other.

    The first purchase of the later part is a repeat purchase of those whom the earlier one has.
    """
    later = later.rename({f"later_{name}": name for name in later.columns})
    both = earlier.outer_join(later, earlier.customer_id == later.later_customer_id)
    met = both.customer_id.notnull() & both.later_customer_id.notnull()
    columns = {
        "customer_id": ibis.coalesce(both.customer_id, both.later_customer_id),
        "first": ibis.coalesce(both["first"], both.later_first),
        "last": ibis.coalesce(both.later_last, both["last"]),
        "occasions": _sum(both.occasions, both.later_occasions),
        "spent": _sum(both.spent, both.later_spent),
        "spent_first": ibis.coalesce(both.spent_first, both.later_spent_first),
    }
    if "log_days" in both.columns:
        gap = met.ifelse(both.later_first.delta(both["last"], unit="day"), 1)
        spent = both.later_spent_first
        columns |= {
            "log_days": _sum(both.log_days, both.later_log_days) + exact_log(gap),
            "paid_purchases": _sum(both.paid_purchases, both.later_paid_purchases) + (met & (spent > 0)).ifelse(1, 0),
            "log_amounts": _sum(both.log_amounts, both.later_log_amounts) + _log_amount(spent, met),
            "squared_log_amounts": _sum(both.squared_log_amounts, both.later_squared_log_amounts)
            + _squared_log_amount(spent, met),
        }
    return both.select(**{name: column.cast(earlier[name].type()) for name, column in columns.items()})


def in_days(states: Any, end: dt.date) -> Any:
    """A row a customer as of a day on or after the last purchase of the states; lengths of time in whole days.

    Columns: customer_id, first, frequency, recency_days, T_days, repeat_amount, first_amount, and those further ones
    that the states have.
    """
    own = ("customer_id", "first", "last", "occasions", "spent", "spent_first")
    return states.select(
        "customer_id",
        "first",
        frequency=states.occasions - 1,
        recency_days=states["last"].delta(states["first"], unit="day"),
        T_days=ibis.literal(end).delta(states["first"], unit="day"),
        repeat_amount=(states.spent - states.spent_first).cast("float64"),
        first_amount=states.spent_first.cast("float64"),
        **{name: states[name] for name in states.columns if name not in own},
    )


def with_floats(rows: Any) -> Any:
    """The same rows, sums of logarithms as floats."""
    return rows.mutate(**{name: rows[name].cast("float64") for name in LOGARITHMS})


def _log_amount(counted: Any, repeat: Any) -> Any:
    """The logarithm of an amount (a decimal), of a paid repeat purchase; 0 of another."""
    return exact_log((repeat & (counted > 0)).ifelse(counted, 1))


def _squared_log_amount(counted: Any, repeat: Any) -> Any:
    log_amount = _log_amount(counted, repeat).cast("float64")
    return precise(log_amount * log_amount)  # a power is not the same on every engine


def _sum(one: Any, other: Any) -> Any:
    return one.fill_null(0) + other.fill_null(0)
