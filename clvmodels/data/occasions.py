"""From rows to purchase occasions: one a customer and day, and an account of every row."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ibis

from clvmodels.data.engines import exact_total, materialise, money_type
from clvmodels.data.ledger import Entry, entries_by_fate, entries_of_days, ledger
from clvmodels.data.refunds import SETTLE, keep
from clvmodels.data.row_fates import USED, with_duplicates
from clvmodels.data.values import out_of_range
from clvmodels.foundation.counting import CountingRules
from clvmodels.foundation.records import LedgerLine


@dataclass(frozen=True)
class Occasions:
    """What a log comes to by its rules.

    Attributes
    ----------
    table : Ibis table with columns customer_id (text), date (day), amount (float), lines (whole), exact (the amount as
        a decimal)
    counted : Ibis table of the rows that are in it, as they were read
    ledger : what became of each row
    gross : amount of all rows
    older : Ibis table customer_id of those whose first day has refunds alone, or None: there are no refunds
    """

    table: Any
    counted: Any
    ledger: tuple[LedgerLine, ...]
    gross: Decimal
    older: Any | None


def occasions(judged: Any, rules: CountingRules, *, seen: Mapping[str, Any], met: Any | None = None) -> Occasions:
    """The purchases of a customer and day, summed, by the rules.

    Parameters
    ----------
    judged : Ibis table with customer_id, date, amount and fate (see `with_row_fates`); every value of a row that is
        "used" can be used
    seen : `sums_of` the same table, and its rows
    met : Ibis table customer_id, older: customers with rows before these, and whether the first day of those had
        refunds alone; None: these rows are the first
    """
    if rules.duplicates == "drop":
        used = judged.filter(judged.fate == USED)
        judged = materialise(with_duplicates(used).union(judged.filter(judged.fate != USED)))
    older = None
    if seen["refunds"] or met is not None:
        older = older_customers(judged.filter(judged.fate == USED), met)  # worked out where it is asked for
        if rules.first_refunds == "drop":
            older = materialise(older)
            judged = _without(judged, older)
    entries: list[Entry] = []
    if seen["aside"] or rules.duplicates == "drop" or (older is not None and rules.first_refunds == "drop"):
        entries = [entry for entry in entries_by_fate(judged) if entry.fate != USED]
        judged = judged.filter(judged.fate == USED)
    settled = (SETTLE[rules.refunds] if seen["refunds"] and rules.refunds != "drop" else keep)(
        judged, money_type(seen["turnover"]), rows=seen["rows"]
    )
    entries += entries_of_days(settled, judged)
    if settled.aside is not None:
        entries += entries_by_fate(settled.aside)
    days = settled.days.filter(~settled.days.undone) if "undone" in settled.days.columns else settled.days
    return Occasions(
        table=days.select(
            "customer_id", "date", amount=days.amount.cast("float64"), lines=days.lines, exact=days.amount
        ),
        counted=settled.counted,
        ledger=ledger(entries, rows_read=seen["rows"], gross=seen["gross"]),
        gross=seen["gross"],
        older=older,
    )


def sums_of(judged: Any) -> dict[str, Any]:
    """Aggregates by name: gross (amount of all rows), aside (rows not used), refunds (those used with less than 0).

    And turnover: the amount of all rows without signs, as a float that need not be exact.
    """
    used = judged.fate == USED
    usable = out_of_range(judged.amount).ifelse(None, judged.amount)  # the others are refused in the same look
    return {
        "gross": exact_total(usable),
        "turnover": usable.abs().sum().fill_null(0.0),
        "aside": (~used).sum().fill_null(0),
        "refunds": (used & (judged.amount < 0)).sum().fill_null(0),
    }


def older_customers(lines: Any, met: Any | None = None) -> Any:
    """Customers whose first day has refunds alone: what they return was bought before the log begins.

    Parameters
    ----------
    lines : Ibis table customer_id, date, amount of rows that count
    met : as of `occasions`
    """
    refunded = lines.filter(lines.amount < 0).select("customer_id").distinct()
    theirs = lines.semi_join(refunded, "customer_id")
    first = theirs.group_by("customer_id").aggregate(
        first=theirs.date.min(), bought=theirs.date.min(where=theirs.amount >= 0)
    )
    older = first.filter(first.bought.isnull() | (first.bought > first["first"])).select("customer_id")
    return older if met is None else older.anti_join(met, "customer_id").union(met.filter(met.older).drop("older"))


def _without(judged: Any, older: Any) -> Any:
    """The same lines, those of older customers with the fate "first_refund"."""
    marked = judged.left_join(older.mutate(older=ibis.literal(1)), "customer_id", rname="{name}_of_older")
    theirs = marked.older.notnull() & (marked.fate == USED)
    return marked.mutate(fate=theirs.ifelse("first_refund", marked.fate)).select(*judged.columns)
