"""Reading contracts: every row checked and accounted for, those that follow each other made one relation."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ibis

from clvmodels.data.anniversaries import days_later
from clvmodels.data.engines import day, first_row, materialise, total
from clvmodels.data.findings import EARLIEST
from clvmodels.data.ids import join_ids
from clvmodels.data.layout import Column, Layout, told_apart
from clvmodels.data.sources import Source, open_source, reading
from clvmodels.data.values import (
    MISSING_ID,
    Fault,
    check_values,
    check_word,
    out_of_range,
    parsed,
)
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import LedgerLine, as_date
from clvmodels.foundation.whole import require_count

OPEN_END = dt.date(2100, 1, 1)  # an end from here on is how data bases write that there is none
NEVER = dt.date(9999, 12, 31)
LONGEST_GAP = 36_525

EndIs = Literal["day_after", "last_day"]

FAULTS = (
    Fault("start", lambda rows: rows.start.isnull(), "Fill them in, or leave these rows out."),
    Fault("end", lambda rows: rows.end_unread, "Leave it empty where the contract goes on."),
    Fault("end", lambda rows: rows.end < rows.start, "The contract ends before it starts."),
)
PRICE_FAULTS = (
    Fault("price", lambda rows: rows.price_unread, "Prices are plain numbers with a decimal point: 1234.50."),
    Fault("price", lambda rows: rows.price < 0, "A price is what the customer pays, 0 or more."),
    Fault("price", lambda rows: out_of_range(rows.price), "Prices are finite numbers below 1e15."),
)


@dataclass(frozen=True)
class Observation:
    """What is seen of contracts, and how their days are meant.

    Attributes
    ----------
    end : last day that the data are complete for, or None: the last day named, where every contract has an end
    begin : day from which on ends are in the data, or None: since the first contract
    end_is : what an end is: "day_after", the first day without a contract, or "last_day", its last day
    gap_days : days without a contract that a relation may survive
    missing_ids : "refuse" or "drop"
    """

    end: dt.date | None
    begin: dt.date | None
    end_is: EndIs
    gap_days: int
    missing_ids: str

    @classmethod
    def of(
        cls, end: str | dt.date | None, begin: str | dt.date | None, *, end_is: EndIs, gap_days: int, missing_ids: str
    ) -> "Observation":
        """With days as a caller writes them."""
        last = None if end is None else as_date(end, "observation_end")
        return cls(last, None if begin is None else as_date(begin, "observed_from"), end_is, gap_days, missing_ids)

    def __post_init__(self) -> None:
        check_word("end_is", self.end_is, ("day_after", "last_day"))
        check_word("missing_ids", self.missing_ids, ("refuse", "drop"))
        require_count("gap_days", self.gap_days, least=0, error=DataError)
        if self.gap_days > LONGEST_GAP:
            raise DataError(f"gap_days = {self.gap_days}: expected at most {LONGEST_GAP}, a hundred years.")
        if self.begin is not None and self.end is not None and self.begin > self.end:
            raise DataError(f"observed_from {self.begin} is after observation_end {self.end}.")


@dataclass(frozen=True)
class Relations:
    """Relations with customers, each of contracts that follow each other, inside the engine.

    Attributes
    ----------
    table : Ibis table with columns customer_id, relation (0, 1, ... of one customer), start, left (first day
        without a contract, null if there still was one on the last day seen), price, reason, label_0, label_1, ...
        (groups), trait_0, trait_1, ... (covariates), lines (contracts that it is made of) and amount (their prices)
    today : the day on whose morning it is known who is there, that of a renewal included
    end : last day seen
    set_aside, notes : rows that are in no relation, and what a reader should know of the others
    """

    table: Any
    today: dt.date
    end: dt.date
    set_aside: tuple[LedgerLine, ...]
    notes: tuple[LedgerLine, ...]


def contract_layout(
    *,
    customer: str,
    start: str,
    end: str,
    price: str | None,
    reason: str | None,
    groups: Sequence[str],
    covariates: Sequence[str],
    date_format: str | None,
    delimiter: str | None,
    columns: Sequence[str] | None,
    encoding: str,
) -> Layout:
    """Where a source keeps contracts.

    Raises
    ------
    DataError
        If the date format is none, or a name is given twice.
    """
    for option, names in (("groups", groups), ("covariates", covariates)):
        if isinstance(names, str):
            raise DataError(f'{option} = "{names}": expected a list of columns, such as ("{names}",).')
        if len(set(names)) < len(names):
            raise DataError(f"{option} = {tuple(names)}: a column is named twice.")
    wanted = [
        Column("customer", customer, "customer_id", "id"),
        Column("start", start, "start", "day"),
        Column("end", end, "end", "day", optional=True),
        *([] if price is None else [Column("price", price, "price", "number", optional=True)]),
        *([] if reason is None else [Column("reason", reason, "reason", "label", optional=True)]),
        *(Column("groups", name, f"label_{place}", "label") for place, name in enumerate(groups)),
        *(Column("covariates", name, f"trait_{place}", "trait") for place, name in enumerate(covariates)),
    ]
    return Layout(told_apart(wanted), date_format, delimiter, None if columns is None else tuple(columns), encoding)


def traits(layout: Layout) -> list[Column]:
    """The columns by which customers differ, groups before covariates."""
    return [column for column in layout.wanted if column.option in ("groups", "covariates")]


def read_relations(contracts: Any, layout: Layout, seen: Observation) -> Relations:
    """The relations that contracts make.

    Raises
    ------
    DataError
        If the source, a column or a value cannot be read, or the end of the observation is not known.
    """
    opened = open_source(contracts, layout)
    with reading(opened):
        lines = materialise(_lines(opened, layout))
        faults = [*((MISSING_ID,) if seen.missing_ids == "refuse" else ()), *_faults(layout)]
        check_values(lines, opened, layout, faults=faults)
        lines, opened = join_ids(lines, opened)
        lines = _with_numbers(lines, layout, opened)
        end = _observation_end(lines, opened, seen)
        known = lines.filter(lines.customer_id.notnull())
        # What begins the day after may go on with what ends today; it tells nothing else.
        near = known.filter(known.start <= day(end + dt.timedelta(days=1)))
        facts = first_row(
            near.aggregate(
                lines=near.count(), n_customers=near.customer_id.nunique(), begun=(near.start <= day(end)).sum()
            )
        )
        if not facts["begun"]:
            raise DataError(f"{opened.name}: no contract has begun by observation_end {end}.")
        alone = facts["lines"] == facts["n_customers"]
        table = materialise(_relations(near, layout, seen, end, alone=alone))
        _check_labels(table, layout, opened)
        begun = table.filter(table.start <= day(end)).drop(*[f"{column.role}_last" for column in traits(layout)])
        later = known.filter(known.start > day(end + dt.timedelta(days=1)))
        set_aside = (
            counted("missing_id", lines.filter(lines.customer_id.isnull())),
            _together(counted("after_observation", table.filter(table.start > day(end))), counted("", later)),
        )
        return Relations(
            table=begun,
            today=end + dt.timedelta(days=int(seen.end_is == "last_day")),
            end=end,
            set_aside=tuple(line for line in set_aside if line.rows),
            notes=_notes(near, begun, end, layout, alone=alone, mixed_ids=opened.mixed_ids),
        )


def _lines(source: Source, layout: Layout) -> Any:
    """The contracts with ids, days, prices and labels parsed, and no end where it is beyond all reach."""
    rows = parsed(source.rows, layout)
    roles = [column.role for column in layout.wanted]
    if "price" not in roles:
        rows = rows.mutate(price=ibis.null("float64"))
    if "reason" not in roles:
        rows = rows.mutate(reason=ibis.null("string"))
    return rows.mutate(end=(rows.end >= day(OPEN_END)).ifelse(ibis.null("date"), rows.end))


def _faults(layout: Layout) -> list[Fault]:
    priced = any(column.role == "price" for column in layout.wanted)
    of_traits = (fault(column.role) for column in traits(layout) for fault in (_missing, _not_finite))
    return [*FAULTS, *(PRICE_FAULTS if priced else ()), *of_traits]


def _missing(role: str) -> Fault:
    return Fault(role, lambda rows: rows[role].isnull(), "Fill it in: every contract has one.")


def _not_finite(role: str) -> Fault:
    """A number that is not finite, also where it is text: all is text in a file."""

    def bad(rows: Any) -> Any:
        number = rows[role].try_cast("float64") if rows[role].type().is_string() else rows[role]
        return number.isnan() | number.isinf()

    return Fault(role, bad, "Give a finite number, or a word of its own for those that are not known.")


def _with_numbers(lines: Any, layout: Layout, source: Source) -> Any:
    """Covariates of text files, where all is text, as numbers if each of their values is one."""
    texts = [
        column.role for column in layout.wanted if column.kind == "trait" and lines[column.role].type().is_string()
    ]
    if not source.files or not texts:
        return lines
    seen = first_row(lines.aggregate(**{role: lines[role].try_cast("float64").notnull().all() for role in texts}))
    return lines.mutate(**{role: lines[role].cast("float64") for role in texts if seen[role]})


def _observation_end(lines: Any, source: Source, seen: Observation) -> dt.date:
    facts = first_row(
        lines.aggregate(
            open=lines.end.isnull().sum(), first=lines.start.min(), start=lines.start.max(), end=lines.end.max()
        )
    )
    if seen.end is None and facts["open"]:
        raise DataError(
            f"{source.name}: {facts['open']} contracts have no end and were still active: give observation_end=..., "
            f"the last day that the data are complete for (the last start is {facts['start']})."
        )
    end = seen.end or max(facts["start"], facts["end"])
    if seen.begin is not None and seen.begin > end:
        raise DataError(f"observed_from {seen.begin} is after the last day of the data, {end}.")
    return end


def _relations(lines: Any, layout: Layout, seen: Observation, end: dt.date, *, alone: bool) -> Any:
    """A row a relation; `alone` says that no customer has two contracts."""
    names = [column.role for column in traits(layout)]
    until = lines["end"].fill_null(day(NEVER))
    lines = lines.mutate(until=until)
    if alone:
        table = lines.mutate(
            relation=ibis.literal(0),
            lines=ibis.literal(1),
            amount=lines.price,
            **{f"{name}_last": lines[name] for name in names},
        )
    else:
        table = _joined(lines, names, gap_days=seen.gap_days)
    left = days_later(table.until, int(seen.end_is == "last_day"))
    return table.select(
        "customer_id",
        "relation",
        "start",
        "price",
        "reason",
        "lines",
        *names,
        *(f"{name}_last" for name in names),
        left=(table.until <= day(end)).ifelse(left, ibis.null("date")),
        amount=table.amount.fill_null(0.0),
    )


def _joined(lines: Any, names: list[str], *, gap_days: int) -> Any:
    """Contracts that follow or overlap each other as one, with what the latest of them says."""
    order = ["start", "until", "price", "reason"]
    before = lines.until.max().over(ibis.window(group_by="customer_id", order_by=order, rows=(None, -1)))
    ordered = lines.mutate(begins=(before.isnull() | (lines.start > days_later(before, 1 + gap_days))).cast("int64"))
    so_far = ibis.window(group_by="customer_id", order_by=order, rows=(None, 0))
    ordered = ordered.mutate(relation=ordered.begins.sum().over(so_far) - 1)
    return ordered.group_by("customer_id", "relation").aggregate(
        start=ordered.start.min(),
        until=ordered.until.max(),
        price=ordered.price.last(order_by=[ordered[name] for name in order]),
        reason=ordered.reason.last(order_by=[ordered[name] for name in ("until", "start", "reason")]),
        lines=ordered.count(),
        amount=total(ordered.price),
        **{name: ordered[name].min() for name in names},
        **{f"{name}_last": ordered[name].max() for name in names},
    )


def _check_labels(table: Any, layout: Layout, source: Source) -> None:
    """Refuse a relation with two values of a group or a covariate."""
    for column in traits(layout):
        two = table.filter(table[column.role] != table[f"{column.role}_last"])
        found = int(two.count().to_pyarrow().as_py())
        if found:
            first = first_row(two.order_by("customer_id", "relation").limit(1))
            raise DataError(
                f'{source.name}: column "{column.name}" differs between contracts of one relation for {found} '
                f'customers (first: customer_id "{first["customer_id"]}", {first[column.role]!r} and '
                f"{first[f'{column.role}_last']!r}). Give contracts that follow each other one value, such as that of "
                f"the first, or leave the column out of {column.option}=."
            )


def counted(reason: str, rows: Any) -> LedgerLine:
    """Contracts, or relations of so many lines, with the sum of their prices and the first five."""
    lines = rows.lines.sum() if "lines" in rows.columns else rows.count()
    amount = rows.amount if "amount" in rows.columns else rows.price
    seen = first_row(rows.aggregate(rows=lines.fill_null(0), amount=total(amount)))
    if not seen["rows"]:
        return LedgerLine(reason, 0, 0.0)
    first = rows.order_by("start", "customer_id").limit(5).select("customer_id", "start").to_pyarrow().to_pylist()
    sample = tuple(f"{row['customer_id'] or '-'} {row['start']}" for row in first)
    return LedgerLine(reason, int(seen["rows"]), seen["amount"], sample)


def _together(line: LedgerLine, other: LedgerLine) -> LedgerLine:
    sample = (line.sample + other.sample)[:5]
    return LedgerLine(line.reason, line.rows + other.rows, line.amount + other.amount, sample)


def _notes(
    lines: Any, relations: Any, end: dt.date, layout: Layout, *, alone: bool, mixed_ids: int
) -> tuple[LedgerLine, ...]:
    """What a reader should know of rows that are used; a row may be in several notes."""
    roles = [column.role for column in layout.wanted]
    ids = lines.customer_id
    of_lines = lines.aggregate(
        later_end=(lines.end > day(end)).sum(),
        early_date=(lines.start < day(EARLIEST)).sum(),
        similar_id=ids.nunique() - ids.lower().nunique(),
    )
    of_relations = relations.aggregate(
        joined=(relations.lines - 1).sum(),
        returned=(relations.relation > 0).sum(),
        no_reason=(relations.left.notnull() & relations.reason.isnull()).sum(),
    )
    found = first_row(of_lines) | first_row(of_relations) | {"mixed_id": mixed_ids}
    if "reason" not in roles:
        found["no_reason"] = 0
    if not alone:
        again = lines.group_by(roles).aggregate(extra=lines.count() - 1)
        found["repeated_line"] = first_row(again.aggregate(extra=again.extra.sum()))["extra"]
    return tuple(LedgerLine(name, int(rows), 0.0) for name, rows in found.items() if rows)
