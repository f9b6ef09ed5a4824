"""Accounts of a log's rows: what became of each, and what a reader should know of those used."""

import datetime as dt
from typing import Any

from clvmodels.data.engines import day, first_row, total
from clvmodels.data.refunds import COUNTED, SET_ASIDE
from clvmodels.foundation.records import LedgerLine

EARLIEST = dt.date(1990, 1, 1)  # purchases before it are seldom real
FAR_DAYS = 365  # nor those so long after all but a thousandth of the others


def ledger(fates: Any) -> tuple[LedgerLine, ...]:
    """Rows and amounts by fate; every row is in one line."""
    counts = fates.group_by("fate").aggregate(rows=fates.count(), amount=total(fates.amount))
    found = {line["fate"]: line for line in counts.to_pyarrow().to_pylist()}
    return tuple(
        LedgerLine(fate, found[fate]["rows"], found[fate]["amount"], _sample(fates, fate))
        for fate in COUNTED + SET_ASIDE
        if fate in found
    )


def notes(counted: Any, *, mixed_ids: int) -> tuple[LedgerLine, ...]:
    """Rows used that a reader should know of; a row may be in several notes, most are in none.

    The lines "similar_id" (ids that differ from another by case alone) and "mixed_id" count ids
    and have no amount.
    """
    lines = (
        _counted("zero_amount", counted.filter(counted.amount == 0)),
        _repeated(counted),
        _counted("far_date", counted.filter(_far(counted))),
        LedgerLine("similar_id", _similar_ids(counted), 0.0),
        LedgerLine("mixed_id", mixed_ids, 0.0),
    )
    return tuple(line for line in lines if line.rows)


def _sample(fates: Any, fate: str) -> tuple[str, ...]:
    if fate == "used":
        return ()
    rows = fates.filter(fates.fate == fate).order_by("date", "customer_id", "amount").limit(5).to_pyarrow()
    return tuple(f"{row['customer_id'] or '-'} {row['date']} {row['amount']:.2f}" for row in rows.to_pylist())


def _counted(reason: str, rows: Any) -> LedgerLine:
    seen = first_row(rows.aggregate(rows=rows.count(), amount=total(rows.amount)))
    return LedgerLine(reason, seen["rows"], seen["amount"])


def _repeated(rows: Any) -> LedgerLine:
    """Lines that say again what another says, beyond the first of each."""
    again = rows.group_by("customer_id", "date", "amount").aggregate(extra=rows.count() - 1)
    seen = first_row(again.aggregate(rows=again.extra.sum(), amount=total(again.amount * again.extra)))
    return LedgerLine("repeated_line", seen["rows"], seen["amount"])


def _far(rows: Any) -> Any:
    day_number = rows.date.epoch_days()
    latest = first_row(rows.aggregate(day=day_number.quantile(0.999)))["day"] + FAR_DAYS
    return (rows.date < day(EARLIEST)) | (day_number > latest)


def _similar_ids(rows: Any) -> int:
    ids = rows.customer_id
    seen = first_row(rows.aggregate(ids=ids.nunique(), folded=ids.lower().nunique()))
    return int(seen["ids"] - seen["folded"])
