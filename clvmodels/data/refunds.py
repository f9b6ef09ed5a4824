"""What becomes of each row of a log: refunds settled, rows set aside, each with its reason.

A refund is an amount below 0. A fate in `COUNTED` makes the row part of a purchase occasion; a row
of any other fate is set aside.
"""

from typing import Any

import ibis

from clvmodels.data.engines import first_row, total

COUNTED = ("used", "refund_netted")
SET_ASIDE = (
    "missing_id",
    "zero_amount",
    "refund_day",
    "refund_dropped",
    "refund_matched",
    "refund_unmatched",
)


def with_fates(lines: Any, *, refunds: str, zero_amounts: str) -> Any:
    """The lines with a column `fate`; `refunds` is a word of `REFUNDS`, `zero_amounts` "keep" or "drop"."""
    refunded = first_row(lines.aggregate(any=(lines.amount < 0).any()))["any"]
    settled = REFUNDS[refunds](lines) if refunded else _keep(lines)
    zero = (settled.amount == 0) & ibis.literal(zero_amounts == "drop")
    fate = ibis.cases((settled.customer_id.isnull(), "missing_id"), (zero, "zero_amount"), else_=settled.fate)
    return settled.select("customer_id", "date", "amount", fate=fate)


def _keep(lines: Any) -> Any:
    return lines.mutate(fate=ibis.literal("used"))


def _drop(lines: Any) -> Any:
    return lines.mutate(fate=ibis.ifelse(lines.amount < 0, "refund_dropped", "used"))


def _net(lines: Any) -> Any:
    """Refunds within the day: a day that has one is a purchase if it comes to more than 0."""
    daily = lines.group_by("customer_id", "date").mutate(
        net=lambda table: total(table.amount), refunded=lambda table: (table.amount < 0).any()
    )
    undone = daily.refunded & (daily.net <= 0)
    return daily.mutate(fate=ibis.cases((undone, "refund_day"), (daily.amount < 0, "refund_netted"), else_="used"))


def _match(lines: Any) -> Any:
    """Refunds against the latest earlier purchase of the same customer and amount, paired like brackets.

    Over the days, purchases of one customer and amount step up and refunds step down. A refund
    undoes the purchase that stepped up to the height that it steps down from. Steps between two
    heights alternate, so each need only look at its neighbour there.
    """
    signed = lines.mutate(size=lines.amount.abs(), refund=(lines.amount < 0).cast("int64"))
    walk = ibis.window(group_by=["customer_id", "size"], order_by=["date", "refund"], rows=(None, 0))
    steps = signed.mutate(height=(1 - 2 * signed.refund).sum().over(walk) + signed.refund)
    there = ibis.window(group_by=["customer_id", "size", "height"], order_by=["date", "refund"])
    near = steps.mutate(before=steps.refund.lag(1).over(there), after=steps.refund.lead(1).over(there))
    matched = ((near.refund == 1) & (near.before == 0)) | ((near.amount > 0) & (near.refund == 0) & (near.after == 1))
    return near.mutate(
        fate=ibis.cases((matched, "refund_matched"), (near.refund == 1, "refund_unmatched"), else_="used")
    )


REFUNDS = {"net": _net, "match": _match, "drop": _drop, "keep": _keep}
