"""Contracts as a table of retention: who was seen from which age to which, and how that ended."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import numpy as np
from numpy.typing import NDArray

from clvmodels.data.anniversaries import anniversary, days_later, first_of_unit, unit_labels, whole_units
from clvmodels.data.contracts import (
    EndIs,
    Observation,
    Relations,
    contract_layout,
    counted,
    read_relations,
    traits,
)
from clvmodels.data.engines import day, first_row, materialise, precise_total, total
from clvmodels.data.layout import Column, Layout
from clvmodels.data.values import check_word
from clvmodels.foundation.calendar import Calendar
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import IdArray, LedgerLine
from clvmodels.foundation.retention import RetentionClock, RetentionTable
from clvmodels.foundation.units import DAYS_PER_UNIT, days_per_unit

FIRST_DAY = 0.5  # days that a contract lasted that was lost on the day it began
BETWEEN = 0.01  # share of losses between two renewals from which ends are taken to fall on any day


def retention_table(
    contracts: Any,
    *,
    unit: str,
    customer: str = "customer_id",
    start: str = "start",
    end: str = "end",
    price: str | None = None,
    reason: str | None = None,
    groups: Sequence[str] = (),
    covariates: Sequence[str] = (),
    cohort: str = "",
    clock: RetentionClock = "renewals",
    rows: Literal["counts", "customers"] = "counts",
    observation_end: str | dt.date | None = None,
    observed_from: str | dt.date | None = None,
    end_is: EndIs = "day_after",
    gap_days: int = 0,
    calendar: Calendar | None = None,
    currency: str = "USD",
    date_format: str | None = None,
    missing_ids: str = "refuse",
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> RetentionTable:
    """The table of retention of contracts: ages at which customers were lost, or are still there.

    Contracts of one customer that follow each other within `gap_days`, or overlap, are one relation; after a longer
    gap the customer begins a new one (its id is then "c17 (2)"). With the clock "renewals", renewals are due on
    the calendar's anniversaries of a relation's first day: one month after 31 January is the last day of February.

    Parameters
    ----------
    contracts : path or glob of CSV or Parquet files, pandas, polars or pyarrow frame, Ibis table; a row a contract
    unit : time between two renewals: "day", "week", "month" or "year"
    customer, start, end : names of the columns. An end is missing, or 2100-01-01 or later, where the contract goes on
    price : column of what a customer pays a unit of time; a relation has that of its latest contract
    reason : column that says why a contract ended; "unknown" where it is empty
    groups, covariates : columns that parameters may be pooled over, or depend on, one value a relation. A covariate is
        a number where its column is (in text files: where each of its values is one), else a label
    cohort : "" or a unit of the calendar: adds the group "cohort", the unit that a relation began in ("2024-03",
        "2024-W07", "2024")
    clock : "renewals", or "continuous" for a loss at any age, in days / days of the unit (7, 30.4375, 365.25)
    rows : "counts", customers alike in one row, or "customers", a row a relation
    observation_end : last day that the data are complete for; by default the last day named, if every contract has
        an end. Contracts that start after it are left out, and an end after it is not known yet
    observed_from : day before which ends are not in the data. A relation that began earlier enters at the renewals
        made by that day, and is left out if it ended by then
    end_is : what an end is: "day_after", the first day without the contract, or "last_day", its last day
    gap_days : days without a contract that a relation survives (one day always, so that either reading of an end
        joins a contract to the next)
    calendar : terms that retention may depend on; the rows then keep the calendar unit that a relation began in
    date_format, delimiter, columns, encoding : of text, as in `read_transactions`
    missing_ids : "refuse" or "drop"

    Returns
    -------
    RetentionTable
        Its ledger has each contract that was read once, by what became of it; its notes what to know of those used.

    Raises
    ------
    DataError
        If the source, a column or a value cannot be read, an option's word is not known, no contract is left, or
        contracts are active and no observation_end is given.

    Notes
    -----
    *Losses.* A loss between two renewals is one at the next: age = max(1, units from start to end, rounded up). So a
    year's contract is lost at renewal 1 whether its end is written 2024-12-31 or 2025-01-01. Those still there have
    age = units completed by observation_end; a renewal due on that day counts as made.

    *Losses that are not due.* Where the renewal at which a loss is noticed is due after observation_end, the loss is
    not counted yet: the row is active at the last renewal that was due, and the note "loss_not_due" counts such
    customers, who are known to go. As losses they would stand at an age at which nobody still there has been seen, and
    make retention too low. If ends are last days and the observation ends with contracts, end_is="last_day" says so
    and makes them due.

    *Left truncation.* Where more than one loss in a hundred is between two renewals, those who enter late do so at
    the first renewal from observed_from on, not the last one before: who left since that one is not in the data.

    *Clock "continuous".* A loss is at its very day; one on the first day counts as half a day.
    """
    layout = contract_layout(
        customer=customer, start=start, end=end, price=price, reason=reason, groups=groups, covariates=covariates,
        date_format=date_format, delimiter=delimiter, columns=columns, encoding=encoding,
    )  # fmt: skip
    days_per_unit(unit)
    check_word("clock", clock, ("renewals", "continuous"))
    check_word("rows", rows, ("counts", "customers"))
    _check_cohort(cohort, groups)
    seen = Observation.of(observation_end, observed_from, end_is=end_is, gap_days=gap_days, missing_ids=missing_ids)
    relations = read_relations(contracts, layout, seen)
    aged = materialise(_renewals(relations, seen, unit) if clock == "renewals" else _days(relations, seen))
    kept = aged.filter(~aged.before)
    if calendar is not None:
        calendar.require(first_row(kept.aggregate(first=kept.start.min()))["first"] or relations.end, relations.end)
    form = _Form(layout, unit, cohort, clock, calendar)
    found = _counted(kept, form) if rows == "counts" else _one_by_one(kept, form)
    return _table(found, form, relations, _accounts(aged, relations), rows=rows, currency=currency)


@dataclass(frozen=True)
class _Form:
    """What the table is to hold."""

    layout: Layout
    unit: str
    cohort: str
    clock: RetentionClock
    calendar: Calendar | None

    @property
    def keeps_start(self) -> bool:
        """Whether a row of counts tells the calendar unit of the start, which makes more rows unless cohorts do."""
        return self.calendar is not None or self.cohort == self.unit

    def has(self, role: str) -> bool:
        """Whether a column was named for a role."""
        return any(column.role == role for column in self.layout.wanted)


def _check_cohort(cohort: str, groups: Sequence[str]) -> None:
    check_word("cohort", cohort, ("", *DAYS_PER_UNIT))
    if cohort and "cohort" in groups:
        raise DataError('groups has a column "cohort" already: leave out cohort=..., or rename the column.')


# --- ages ---


def _renewals(relations: Relations, seen: Observation, unit: str) -> Any:
    """Relations with entry, age and loss in whole renewals, and the part of a unit to the next one."""
    table = relations.table.mutate(today=day(relations.today))
    table = table.mutate(
        made=whole_units(table.start, table.today, unit),
        noticed=ibis.greatest(whole_units(table.start, days_later(table.left, -1), unit) + 1, 1),
    )
    lost = table.left.notnull() & (table.noticed <= table.made)
    table = table.mutate(lost=lost, age=lost.ifelse(table.noticed, table.made), entry=ibis.literal(0))
    table = table.mutate(before=ibis.literal(value=False))
    if seen.begin is not None:
        table = _entering(table, seen.begin, unit)
    last, following = (anniversary(table.start, table.made + step, unit) for step in (0, 1))
    due = following.delta(table.today, unit="day") / following.delta(last, unit="day")
    return table.mutate(
        due=table.lost.ifelse(ibis.null("float64"), due), loss_not_due=table.left.notnull() & ~table.lost
    )


def _entering(table: Any, begin: dt.date, unit: str) -> Any:
    """Relations that began before the observation did enter at the renewals made by then."""
    if _falls_between(table, unit):
        entry = whole_units(table.start, day(begin - dt.timedelta(days=1)), unit) + 1
    else:
        entry = whole_units(table.start, day(begin), unit)
    early = table.start < day(begin)
    left = table.left.notnull() & ((table.left <= day(begin)) | (table.noticed <= entry))
    entry = table.lost.ifelse(entry, ibis.least(entry, table.age))
    return table.mutate(entry=early.ifelse(entry, 0), before=early & left)


def _falls_between(table: Any, unit: str) -> bool:
    """Whether losses are between two renewals, and not on the day of one or the day before."""
    on_renewal = whole_units(table.start, days_later(table.left, 1), unit) >= table.noticed
    share = (~on_renewal).cast("float64").mean(where=table.left.notnull())
    return float(share.to_pyarrow().as_py() or 0.0) > BETWEEN


def _days(relations: Relations, seen: Observation) -> Any:
    """Relations with entry and age in days."""
    table = relations.table
    begin = day(seen.begin or dt.date.min)
    lost = table.left.notnull()
    until = lost.ifelse(table.left, day(relations.today))
    early = table.start < begin
    return table.mutate(
        lost=lost,
        age=until.delta(table.start, unit="day"),
        entry=early.ifelse(begin.delta(table.start, unit="day"), 0),
        before=early & lost & (table.left <= begin),
        due=ibis.null("float64"),
        loss_not_due=ibis.literal(value=False),
    )


# --- rows ---


def _keyed(table: Any, form: _Form) -> tuple[Any, list[str]]:
    """The relations with the columns that tell rows apart, and their names in the order of rows."""
    table = table.mutate(
        cohort=first_of_unit(table.start, form.cohort or form.unit),
        start=first_of_unit(table.start, form.unit),
        reason=table.lost.ifelse(table.reason.fill_null("unknown"), ibis.null("string")),
    )
    keys = [column.role for column in traits(form.layout)]
    keys += ["cohort"] if form.cohort else []
    keys += ["start"] if form.keeps_start else []
    return table, [*keys, "entry", "age", "lost", *(["reason"] if form.has("reason") else [])]


def _counted(table: Any, form: _Form) -> Any:
    """A row for customers alike, with how many there are and the means of what they pay and wait."""
    table, keys = _keyed(table, form)
    known = table.price.count()
    return table.group_by(keys).aggregate(
        n_customers=table.count(),
        price=total(table.price) / known.nullif(0),
        due=precise_total(table.due) / table.due.count().nullif(0),
    ).order_by(keys)  # fmt: skip


def _one_by_one(table: Any, form: _Form) -> Any:
    """A row a relation, in the order of customers."""
    table, keys = _keyed(table, form)
    names = dict.fromkeys(["customer_id", "relation", *keys, "start", "price", "due"])
    return table.select(*names, n_customers=ibis.literal(1)).order_by("customer_id", "relation")


def _table(
    found: Any,
    form: _Form,
    relations: Relations,
    accounts: tuple[tuple[LedgerLine, ...], tuple[LedgerLine, ...]],
    *,
    rows: str,
    currency: str,
) -> RetentionTable:
    read = found.to_pyarrow()
    if len(read) == 0:
        raise DataError("no contract is left: all ended by observed_from, or have no customer id.")
    columns = {name: read[name].to_numpy(zero_copy_only=False) for name in read.column_names}
    lost = columns["lost"].astype(bool)
    entry, age = (columns[name].astype(np.float64) for name in ("entry", "age"))
    if form.clock == "continuous":
        per_unit = days_per_unit(form.unit)
        age = np.where(lost & (age == 0), FIRST_DAY, age) / per_unit
        entry = entry / per_unit
    groups = {column.name: columns[column.role].astype(object) for column in _of(form.layout, "groups")}
    if form.cohort:
        groups["cohort"] = np.array(unit_labels(columns["cohort"], form.cohort), dtype=object)
    covariates = {column.name: _values(columns[column.role]) for column in _of(form.layout, "covariates")}
    reason = columns["reason"].astype(object) if form.has("reason") else None
    start = columns["start"].astype("datetime64[D]") if "start" in columns else None
    told = {**groups, **covariates} | ({} if start is None or form.cohort == form.unit else {"start": start})
    ids = _labels(told, entry, age, lost, reason) if rows == "counts" else _ids(columns)
    ledger, notes = accounts
    return RetentionTable(
        customer_id=ids,
        entry=entry,
        age=age,
        lost=lost,
        n_customers=columns["n_customers"].astype(np.float64),
        unit=form.unit,
        clock=form.clock,
        currency=currency,
        start=start,
        price=columns["price"].astype(np.float64) if form.has("price") else None,
        due=columns["due"].astype(np.float64) if form.clock == "renewals" else None,
        reason=reason,
        observation_end=relations.end,
        calendar=form.calendar,
        covariates=covariates,
        groups=groups,
        ledger=ledger,
        notes=notes,
    )


def _of(layout: Layout, option: str) -> list[Column]:
    return [column for column in layout.wanted if column.option == option]


def _values(column: NDArray[Any]) -> NDArray[Any]:
    return column.astype(np.float64) if column.dtype.kind in "iuf" else column.astype(object)


def _ids(columns: dict[str, NDArray[Any]]) -> IdArray:
    """Ids of customers, with the number of the relation behind those who came back."""
    ids = columns["customer_id"].astype(object)
    again = np.flatnonzero(columns["relation"] > 0)
    known = set(ids) if len(again) else set()
    for place in again:
        ids[place] = f"{ids[place]} ({columns['relation'][place] + 1})"
        if ids[place] in known:
            raise DataError(
                f'customer_id "{ids[place]}" is a customer, and would be the name of a relation of one who came back. '
                "Rename that customer."
            )
    return ids


def _labels(
    told: dict[str, NDArray[Any]], entry: FloatArray, age: FloatArray, lost: NDArray[np.bool_], reason: IdArray | None
) -> IdArray:
    """What the customers of each row have in common, as text."""
    labels = []
    for row in range(len(age)):
        parts = [f"{name} {_plain(values[row])}" for name, values in told.items()]
        seen = f" seen from {entry[row]:.6g}" if entry[row] else ""
        why = f" ({reason[row]})" if reason is not None and lost[row] else ""
        labels.append(", ".join([*parts, f"{'lost' if lost[row] else 'active'} at {age[row]:.6g}{seen}{why}"]))
    return np.array(labels, dtype=object)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- accounts ---


def _accounts(aged: Any, relations: Relations) -> tuple[tuple[LedgerLine, ...], tuple[LedgerLine, ...]]:
    """The ledger, in which each contract is in one line, and the notes."""
    kept = aged.filter(~aged.before)
    seen = first_row(kept.aggregate(rows=kept.lines.sum(), amount=total(kept.amount), not_due=kept.loss_not_due.sum()))
    used = LedgerLine("used", int(seen["rows"] or 0), seen["amount"])
    ledger = (used, counted("before_observation", aged.filter(aged.before)), *relations.set_aside)
    not_due = LedgerLine("loss_not_due", int(seen["not_due"] or 0), 0.0)
    return tuple(line for line in ledger if line.rows), (*((not_due,) if not_due.rows else ()), *relations.notes)
