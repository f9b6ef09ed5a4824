"""Past contribution of customers, and the parts of it that further columns of a log tell."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np

from clvmodels.data.engines import day, first_row, materialise, total, within_limits
from clvmodels.data.layout import Column
from clvmodels.data.row_fates import PART
from clvmodels.data.values import Fault, out_of_range
from clvmodels.foundation.decision_results import PartRow
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import IdArray, TransactionLog, as_date

NUMBERS = "Give a number in every row, or leave the column out."
KINDS = {"category": "label", "cost": "number", "referrer": "label", "list_price": "number"}
TOLD_BY = {  # parts beside those that every log tells, and the column that each needs
    "cross_selling": "category",
    "lower_cost": "cost",
    "referral": "referrer",
    "price_premium": "list_price",
}


@dataclass(frozen=True)
class PastValue:
    """What customers have contributed so far.

    Attributes
    ----------
    customer_id : ndarray of text, shape (N,), in order
    contribution : ndarray, shape (N,), in currency
    parts : of all of it
    observed_margin : share of spend that is left after the log's own costs; None where it has none
    """

    customer_id: IdArray
    contribution: FloatArray
    parts: tuple[PartRow, ...]
    observed_margin: float | None


@dataclass(frozen=True)
class _Accounts:
    """How spend becomes contribution: by a margin, or, where `net`, less the cost of each row."""

    margin: float
    net: bool

    def sums(self, rows: Any, where: Any = None) -> dict[str, Any]:
        """Aggregates of rows that `of` reads."""
        costs = {"cost": total(rows.part_cost, where)} if self.net else {}
        return {"amount": total(rows.amount, where), **costs}

    def of(self, seen: Any) -> Any:
        """Contribution, from the sums."""
        return seen["amount"] - seen["cost"] if self.net else self.margin * seen["amount"]


@within_limits()
def past_value(
    log: TransactionLog,
    *,
    until: str | dt.date,
    margin: float = 1.0,
    category: str | None = None,
    cost: str | None = None,
    referrer: str | None = None,
    list_price: str | None = None,
) -> PastValue:
    """Past contribution of each customer, and parts of that of all, as far as columns tell.

    The first purchase and the repeat purchases add up to the whole. The others are parts within them: purchases in
    categories that the customer had not bought before, after the first day (cross_selling); what repeat purchases cost
    less than if cost had stayed the share of spend that it was at the same customers' first purchases (lower_cost);
    contribution of customers whom another customer of the log referred (referral); what repeat purchases brought more
    than if the same customers had gone on to pay the share of the list price that they paid first (price_premium).
    The last and lower_cost may be below 0.

    Parameters
    ----------
    log : purchase log; where a column is named its source is read once more, and the same rows count
    until : last day that counts
    margin : share of spend that is contribution; with `cost` contribution is spend less cost instead
    category : column with a category of what was bought; a row without one is in none
    cost, list_price : columns with the cost to serve a row, and with what it would have been at the list price: of one
        item where the log has a quantity. A refund's cost is as it is written
    referrer : column with the id of the customer who referred this one, in any row

    Raises
    ------
    DataError
        If a column is not there or a number is missing in it, the log was not read from rows that can be read again,
        or nothing was bought by then.
    """
    last = as_date(until, "until")
    if not (np.isfinite(margin) and margin > 0):
        raise DataError(f"margin = {margin}: expected a share of spend above 0.")
    names = {"category": category, "cost": cost, "referrer": referrer, "list_price": list_price}
    named = {key: name for key, name in names.items() if name is not None}
    accounts = _Accounts(margin, net="cost" in named)
    rows = _rows(log, named, last)
    customers = rows.group_by("customer_id").aggregate(**accounts.sums(rows)).order_by("customer_id").to_pandas()
    if len(customers) == 0:
        raise DataError(f"until = {last}: nothing was bought by then, the log begins on {log.first_date}.")
    whole = float(accounts.of(customers).sum())
    parts: list[tuple[str, float | None]]
    parts = [("first_purchase", _first(rows, accounts)), ("repeat_purchases", _repeat(rows, accounts))]
    parts += [(key, PARTS[key](rows, accounts)) for key, column in TOLD_BY.items() if column in named]
    return PastValue(
        customer_id=customers["customer_id"].to_numpy(dtype=object),
        contribution=accounts.of(customers).to_numpy(dtype=np.float64),
        parts=tuple(_listed(dict(parts), whole)),
        observed_margin=whole / float(customers["amount"].sum()) if accounts.net else None,
    )


def _listed(amounts: dict[str, float | None], whole: float) -> list[PartRow]:
    """Every part in its order, those that no column tells with the column that is missing."""
    rows = []
    for key in ("first_purchase", "repeat_purchases", *TOLD_BY):
        amount = amounts.get(key)
        share = amount / whole if amount is not None and whole > 0 else None
        rows.append(PartRow(key, amount, share, "" if key in amounts else TOLD_BY[key]))
    return rows


def _rows(log: TransactionLog, named: dict[str, str], last: dt.date) -> Any:
    """The rows that count up to a day, with the first and the last day of their customer."""
    if not named:
        rows = log.table.select("customer_id", "date", "amount")
    else:
        columns = tuple(Column(key, name, f"{PART}{key}", KINDS[key]) for key, name in named.items())  # type: ignore[arg-type]
        faults = tuple(_fault(column.role) for column in columns if column.kind == "number")
        rows = log.counted_with(columns, faults)
    rows = rows.filter(rows.date <= day(last))
    dated = rows.group_by("customer_id").mutate(first=lambda t: t.date.min(), last=lambda t: t.date.max())
    return materialise(dated) if named else dated


def _fault(role: str) -> Fault:
    return Fault(role, lambda rows: rows[role].isnull() | out_of_range(rows[role]), NUMBERS)


def _first(rows: Any, accounts: _Accounts) -> float:
    return float(accounts.of(first_row(rows.aggregate(**accounts.sums(rows, rows.date == rows["first"])))))


def _repeat(rows: Any, accounts: _Accounts) -> float:
    return float(accounts.of(first_row(rows.aggregate(**accounts.sums(rows, rows.date > rows["first"])))))


def _cross_selling(rows: Any, accounts: _Accounts) -> float:
    known = rows.filter(rows.part_category.notnull())
    new = known.group_by("customer_id", "part_category").mutate(met=lambda t: t.date.min())
    bought = (new.date == new.met) & (new.date > new["first"])
    return float(accounts.of(first_row(new.aggregate(**accounts.sums(new, bought)))))


def _lower_cost(rows: Any, _: _Accounts) -> float | None:
    """Cost of the repeat purchases at the first purchases' share of spend, less what they cost."""
    seen = _first_and_repeat(rows, rows.part_cost)
    share = _ratio(seen["first"], seen["first_amount"])
    return None if share is None else share * seen["repeat_amount"] - seen["repeat"]


def _referral(rows: Any, accounts: _Accounts) -> float:
    named = rows.filter(rows.part_referrer.notnull() & (rows.part_referrer != rows.customer_id))
    ids = rows.select(part_referrer=rows.customer_id).distinct()
    referred = named.semi_join(ids, "part_referrer").select("customer_id").distinct()
    theirs = rows.semi_join(referred, "customer_id")
    return float(accounts.of(first_row(theirs.aggregate(**accounts.sums(theirs)))))


def _price_premium(rows: Any, accounts: _Accounts) -> float | None:
    """Spend of the repeat purchases, less what it were at the first purchases' share of the list price."""
    listed = rows.part_list_price.abs() * rows.amount.sign()  # a refund takes the list price back
    seen = _first_and_repeat(rows, listed)
    share = _ratio(seen["first_amount"], seen["first"])
    more = None if share is None else seen["repeat_amount"] - share * seen["repeat"]
    return more if more is None or accounts.net else accounts.margin * more


def _first_and_repeat(rows: Any, column: Any) -> dict[str, float]:
    """Sums of spend and of a column over first and repeat purchases of customers who came back."""
    theirs = rows.mutate(beside=column).filter(rows["last"] > rows["first"])
    first, repeat = theirs.date == theirs["first"], theirs.date > theirs["first"]
    return first_row(
        theirs.aggregate(
            first_amount=total(theirs.amount, first),
            repeat_amount=total(theirs.amount, repeat),
            first=total(theirs.beside, first),
            repeat=total(theirs.beside, repeat),
        )
    )


def _ratio(part: float, whole: float) -> float | None:
    """A share, or None where there is nothing to compare with."""
    return part / whole if whole > 0 else None


PARTS = {
    "cross_selling": _cross_selling,
    "lower_cost": _lower_cost,
    "referral": _referral,
    "price_premium": _price_premium,
}
