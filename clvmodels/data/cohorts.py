"""Triangles of cohorts by age, from a purchase log or from contracts, counted inside the engine."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from clvmodels.data.anniversaries import unit_labels, units_between, units_of_calendar
from clvmodels.data.contracts import EndIs, Observation, contract_layout, counted, read_relations
from clvmodels.data.engines import day, first_row, total
from clvmodels.foundation.cohorts import CohortTriangle
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import LedgerLine, TransactionLog, as_date
from clvmodels.foundation.units import days_per_unit
from clvmodels.foundation.whole import require_count


def cohort_triangle(
    log: TransactionLog, *, unit: str = "month", ages: int | None = None, observation_end: str | dt.date | None = None
) -> CohortTriangle:
    """Customers with a purchase, and what they paid, by cohort of the first purchase and age.

    Parameters
    ----------
    log : purchase log
    unit : "day", "week", "month" or "year" of the calendar
    ages : number of columns, 0, 1, ..., ages - 1; by default as many as the calendar has units
    observation_end : last day that the log is complete for; by default that of its last purchase. Later purchases are
        left out

    Returns
    -------
    CohortTriangle
        A unit that is not over on that day has no cells ("unit_not_over" in the notes, with its purchases). Where
        the log begins within a unit, "first_unit_cut" says so: its customers may have been won earlier.

    Raises
    ------
    DataError
        If the unit or the number of ages is wrong, or the log has no purchase by observation_end.
    """
    days_per_unit(unit)
    last = log.last_date if observation_end is None else as_date(observation_end, "observation_end")
    if last < log.first_date:
        raise DataError(f"observation_end {last} is before the first purchase, on {log.first_date}.")
    table = log.table.filter(log.table.date <= day(last))
    table = table.group_by("customer_id").mutate(first=lambda rows: rows.date.min())
    starts = units_of_calendar(log.first_date, last, unit)
    keys = {
        "cohort": units_between(day(log.first_date), table["first"], unit),
        "age": units_between(table["first"], table.date, unit),
    }
    cells = table.group_by(**keys).aggregate(active=table.customer_id.nunique(), revenue=total(table.amount))
    found = cells.to_pyarrow()
    cohort, age = (found[name].to_numpy().astype(np.int64) for name in ("cohort", "age"))
    active, revenue = (np.zeros((len(starts) - 1, len(starts) - 1)) for _ in range(2))
    active[cohort, age] = found["active"].to_numpy()
    revenue[cohort, age] = found["revenue"].to_numpy()
    whole = _whole_units(starts, last)
    open_unit = table.filter(table.date >= day(starts[whole])) if whole < len(starts) - 1 else None
    notes = (
        None if open_unit is None else _line("unit_not_over", open_unit),
        _line("first_unit_cut", table.filter(table.date < day(starts[1]))) if log.first_date > starts[0] else None,
    )
    return _triangle(
        starts, active, revenue,
        unit=unit, ages=ages, whole=whole, currency=log.currency, last=last, contractual=False, notes=notes,
    )  # fmt: skip


def contract_triangle(
    contracts: Any,
    *,
    unit: str = "month",
    ages: int | None = None,
    customer: str = "customer_id",
    start: str = "start",
    end: str = "end",
    price: str | None = None,
    observation_end: str | dt.date | None = None,
    observed_from: str | dt.date | None = None,
    end_is: EndIs = "day_after",
    gap_days: int = 0,
    currency: str = "USD",
    date_format: str | None = None,
    missing_ids: str = "refuse",
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> CohortTriangle:
    """Customers under contract, and what they pay, by cohort of the contract's beginning and age.

    Active at age 0 are all who were won; at age a >= 1, those whose contract runs on the last day of the a-th calendar
    unit after that of its beginning. Where contracts end on a renewal of that unit, a customer lost at renewal n is so
    active up to age n - 1, and the rows are the survivors of `retention_table`.

    Parameters
    ----------
    unit, ages : as of `cohort_triangle`
    price : column of what a customer pays a unit; the revenue of a cell is the sum over its active customers, NaN
        where one of them has none
    observed_from : relations that began earlier are left out, since those that ended by then are not in the data
    contracts and the others : as of `retention_table`

    Returns
    -------
    CohortTriangle
        Contractual: its rows cannot rise. Its notes have the contracts left out.

    Raises
    ------
    DataError
        If the source, a column or a value cannot be read, no contract is left, or contracts are active and no
        observation_end is given.
    """
    layout = contract_layout(
        customer=customer, start=start, end=end, price=price, reason=None, groups=(), covariates=(),
        date_format=date_format, delimiter=delimiter, columns=columns, encoding=encoding,
    )  # fmt: skip
    days_per_unit(unit)
    seen = Observation.of(observation_end, observed_from, end_is=end_is, gap_days=gap_days, missing_ids=missing_ids)
    relations = read_relations(contracts, layout, seen)
    table, before = relations.table, None
    if seen.begin is not None:
        before = counted("before_observation", table.filter(table.start < day(seen.begin)))
        table = table.filter(table.start >= day(seen.begin))
    first = first_row(table.aggregate(first=table.start.min()))["first"]
    if first is None:
        raise DataError("no contract is left: all began before observed_from.")
    starts = units_of_calendar(first, relations.end, unit)
    active, revenue = _survivors(table, starts, unit)
    whole = _whole_units(starts, relations.end)
    cut = seen.begin is not None and seen.begin > starts[0]
    notes = (
        *relations.set_aside, before,
        counted("unit_not_over", table.filter(table.start >= day(starts[whole]))) if whole < len(starts) - 1 else None,
        counted("first_unit_cut", table.filter(table.start < day(starts[1]))) if cut else None,
        *relations.notes,
    )  # fmt: skip
    return _triangle(
        starts, active, revenue if price is not None else np.full_like(revenue, np.nan),
        unit=unit, ages=ages, whole=whole, currency=currency, last=relations.end, contractual=True, notes=notes,
    )  # fmt: skip


def _survivors(table: Any, starts: list[dt.date], unit: str) -> tuple[FloatArray, FloatArray]:
    """Relations that run at the end of each unit since their beginning, and their prices, shape (C, C)."""
    size = len(starts) - 1
    keys = {
        "cohort": units_between(day(starts[0]), table.start, unit),
        "last_age": units_between(table.start, table.left, unit) - 1,  # they do not run at the end of that unit
    }
    cells = table.group_by(**keys).aggregate(
        active=table.count(), revenue=total(table.price), unknown=table.price.isnull().sum()
    )
    found = cells.to_pyarrow()
    cohort = found["cohort"].to_numpy().astype(np.int64)
    age = np.clip(np.nan_to_num(found["last_age"].to_numpy().astype(np.float64), nan=size - 1), 0, size - 1)
    sums = []
    for name in ("active", "revenue", "unknown"):
        ended = np.zeros((size, size))
        np.add.at(ended, (cohort, age.astype(np.int64)), found[name].to_numpy())
        sums.append(ended[:, ::-1].cumsum(axis=1)[:, ::-1])  # those who end at an age or later
    return sums[0], np.where(sums[2] > 0, np.nan, sums[1])


def _whole_units(starts: list[dt.date], last: dt.date) -> int:
    """How many of the units are over on a day; the last of the starts is that of the unit after them."""
    return sum(following <= last + dt.timedelta(days=1) for following in starts[1:])


def _line(reason: str, purchases: Any) -> LedgerLine:
    seen = first_row(purchases.aggregate(rows=purchases.count(), amount=total(purchases.amount)))
    return LedgerLine(reason, seen["rows"], seen["amount"])


def _triangle(
    starts: list[dt.date],
    active: FloatArray,
    revenue: FloatArray,
    *,
    unit: str,
    ages: int | None,
    whole: int,
    currency: str,
    last: dt.date,
    contractual: bool,
    notes: Iterable[LedgerLine | None],
) -> CohortTriangle:
    """The triangle of cells that are over, so many ages of it."""
    size = len(starts) - 1
    columns = size if ages is None else min(require_count("ages", ages, error=DataError), size)
    over = np.add.outer(np.arange(size), np.arange(columns)) < whole
    return CohortTriangle(
        cohorts=tuple(unit_labels(starts[:-1], unit)),
        start=np.array(starts[:-1], dtype="datetime64[D]"),
        acquired=active[:, 0].copy(),
        active=np.where(over, active[:, :columns], np.nan),
        revenue=np.where(over, revenue[:, :columns], np.nan),
        unit=unit,
        currency=currency,
        last_date=last,
        contractual=contractual,
        notes=tuple(line for line in notes if line is not None and line.rows),
    )
