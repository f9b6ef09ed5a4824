"""Refunds settled: amounts below 0 netted within the day, or matched with the purchase that they undo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis

from clvmodels.data.engines import exact_total, materialise, materialise_by_customer, narrow_total
from clvmodels.data.row_fates import USED


@dataclass(frozen=True)
class Settled:
    """Days of purchases, and rows that are in none of them.

    Attributes
    ----------
    days : Ibis table customer_id, date, amount (decimal), lines; and where refunds are netted: undone (whether they
        have left no purchase)
    counted : Ibis table of the rows that the purchases are made of
    aside : Ibis table of rows that were set aside, with their fate; or None where days tell what became of each
    netted : where refunds are netted, those of the days that have one, with refunds (rows below 0) and refunded
        (decimal, their sum)
    """

    days: Any
    counted: Any
    aside: Any | None = None
    netted: Any | None = None


def by_day(lines: Any, exact: str, **further: Any) -> Any:
    """A row a customer and day, its amount of an exact type; with further aggregates, by name."""
    return lines.group_by("customer_id", "date").aggregate(
        amount=narrow_total(lines.amount, exact), lines=lines.count(), **further
    )


def _days(lines: Any, exact: str, *, rows: int) -> Any:
    return materialise_by_customer(lines, lambda some: by_day(some, exact), rows=rows)


def keep(lines: Any, exact: str, *, rows: int) -> Settled:
    """A refund is an amount like any other."""
    return Settled(_days(lines, exact, rows=rows), lines)


def net(lines: Any, exact: str, *, rows: int) -> Settled:
    """Refunds within the day: a day that has one is a purchase if it comes to more than 0."""
    key = ["customer_id", "date"]
    below = lines.filter(lines.amount < 0)
    # Few days have refunds: sums of theirs are worked out apart, since each more on all days costs a tenth of the pass.
    refunded = below.group_by(key).aggregate(refunds=below.count(), refunded=exact_total(below.amount))
    days = materialise_by_customer(lines, lambda some: by_day(some, exact, returned=(some.amount < 0).any()), rows=rows)
    days = days.mutate(undone=days.returned & (days.amount <= 0))
    netted = materialise(days.filter(days.returned).join(refunded, key))
    return Settled(days, lines.anti_join(netted.filter(netted.undone), key), netted=netted)


def match(lines: Any, exact: str, *, rows: int) -> Settled:
    """Refunds against purchases of the same customer and amount; first within the order, where it is known."""
    concerned = lines.filter(lines.amount < 0).select("customer_id", size=lines.amount.abs()).distinct()
    sized = lines.mutate(size=lines.amount.abs())
    near = materialise(sized.semi_join(concerned, ["customer_id", "size"]).drop("size"))
    keys: list[list[str]] = [["customer_id", "size"]]
    if "order" in lines.columns:
        keys.insert(0, ["customer_id", "order", "size"])
    for key in keys:
        near = materialise(_matched(near, key))
    near = near.mutate(fate=((near.fate == USED) & (near.amount < 0)).ifelse("refund_unmatched", near.fate))
    far = sized.anti_join(concerned, ["customer_id", "size"]).drop("size")
    left = far.union(near.filter(near.fate == USED).select(*far.columns))
    return Settled(_days(left, exact, rows=rows), left, near.filter(near.fate != USED))


def _matched(lines: Any, key: Sequence[str]) -> Any:
    """The lines with the fate "refund_matched" for each refund and the purchase that it undoes, paired like brackets.

    Over the days, purchases of one key step up and refunds step down. A refund undoes the purchase that stepped up
    to the height that it steps down from. Steps between two heights alternate, so each need only look at its
    neighbour there.
    """
    open_lines = lines.filter(lines.fate == USED)
    signed = open_lines.mutate(size=open_lines.amount.abs(), refund=(open_lines.amount < 0).cast("int64"))
    further = [name for name in lines.columns if name not in {*key, "date", "fate"}]
    in_turn = ["date", "refund", *further]  # rows alike in all of it can stand for each other
    walk = ibis.window(group_by=key, order_by=in_turn, rows=(None, 0))
    steps = signed.mutate(height=(1 - 2 * signed.refund).sum().over(walk) + signed.refund)
    there = ibis.window(group_by=[*key, "height"], order_by=in_turn)
    near = steps.mutate(before=steps.refund.lag(1).over(there), after=steps.refund.lead(1).over(there))
    undoes = (near.refund == 1) & (near.before == 0)
    undone = (near.amount > 0) & (near.refund == 0) & (near.after == 1)
    found = near.mutate(fate=(undoes | undone).ifelse("refund_matched", USED))
    return found.select(*lines.columns).union(lines.filter(lines.fate != USED))


SETTLE = {"net": net, "match": match, "keep": keep}
