"""Refunds settled: amounts below 0 netted within the day, or matched with the purchase that they undo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis

from clvmodels.data.engines import exact_total, materialise, money
from clvmodels.data.row_fates import USED


@dataclass(frozen=True)
class Settled:
    """Days of purchases, and rows that are in none of them.

    Attributes
    ----------
    days : Ibis table customer_id, date, amount (decimal), lines; and where refunds are netted: refunds (rows below 0),
        refunded (decimal, their sum), undone (whether they have left no purchase)
    counted : Ibis table of the rows that the purchases are made of
    aside : Ibis table of rows that were set aside, with their fate; or None where days tell what became of each
    """

    days: Any
    counted: Any
    aside: Any | None = None


def by_day(lines: Any, *, refunds: bool) -> Any:
    """A row a customer and day; without the columns on refunds where it is known that there are none."""
    further = {"refunds": (lines.amount < 0).sum(), "refunded": exact_total(lines.amount, lines.amount < 0)}
    return lines.group_by("customer_id", "date").aggregate(
        amount=money(lines.amount).sum(), lines=lines.count(), **(further if refunds else {})
    )


def keep(lines: Any) -> Settled:
    """A refund is an amount like any other."""
    return Settled(materialise(by_day(lines, refunds=False)), lines)


def net(lines: Any) -> Settled:
    """Refunds within the day: a day that has one is a purchase if it comes to more than 0."""
    days = materialise(by_day(lines, refunds=True))
    days = days.mutate(undone=(days.refunds > 0) & (days.amount <= 0))
    return Settled(days, lines.anti_join(days.filter(days.undone), ["customer_id", "date"]))


def match(lines: Any) -> Settled:
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
    return Settled(materialise(by_day(left, refunds=False)), left, near.filter(near.fate != USED))


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
