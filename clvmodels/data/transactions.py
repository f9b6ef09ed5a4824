"""Reading a purchase log: every row checked, settled and accounted for, one occasion a customer and day."""

import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis

from clvmodels.data.datasets import PREFIX, named_dataset
from clvmodels.data.engines import engine_of, first_row, materialise, money
from clvmodels.data.findings import findings
from clvmodels.data.ids import join_ids
from clvmodels.data.layout import (
    Column,
    Layout,
    list_of_texts,
    minutes_of_day,
    names_of_columns,
    purchase_columns,
    told_apart,
)
from clvmodels.data.occasions import Occasions, occasions, sums_of
from clvmodels.data.pseudonyms import Pseudonyms, renamed, withheld
from clvmodels.data.row_fates import other_currency, with_row_fates
from clvmodels.data.sources import Source, open_source, reading
from clvmodels.data.tables import is_stream
from clvmodels.data.values import MISSING_ID, Fault, check_values, out_of_range, parsed, too_small
from clvmodels.foundation.counting import CountingRules
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.files import digest_of_files
from clvmodels.foundation.records import TransactionLog, as_date

FAULTS = (
    MISSING_ID,
    Fault("date", lambda rows: rows.date.isnull(), "Fill them in, or leave these rows out."),
    Fault("amount", lambda rows: rows.amount.isnull(), "Amounts are plain numbers with a decimal point: 1234.50."),
    Fault(
        "amount",
        lambda rows: out_of_range(rows.amount),
        "Amounts, times their quantity where one is read, are finite numbers below 1e15.",
    ),
    Fault(
        "amount",
        lambda rows: too_small(rows.amount),
        "Amounts are kept in six decimals, in which it would be 0: round such amounts, or leave these rows out.",
    ),
)
IDS = ("customer_id", "part_referrer")  # roles of columns that hold ids of customers
QUANTITY = Fault(  # before those of the amount, which has no value without it
    "quantity",
    lambda rows: rows.quantity.isnull() | out_of_range(rows.quantity),
    "Quantities are plain numbers with a decimal point: 12 or 2.5.",
)


def read_transactions(
    source: Any,
    *,
    customer: str = "customer_id",
    date: str = "date",
    amount: str = "amount",
    order: str | None = None,
    quantity: str | None = None,
    currency: str = "USD",
    currency_column: str | None = None,
    date_format: str | None = None,
    decimal: str = ".",
    thousands: str | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str | Sequence[str] = "utf-8",
    sheet: str | None = None,
    written_in: str | None = None,
    time_zone: str | None = None,
    day_starts: str = "00:00",
    refunds: str = "net",
    zero_amounts: str = "keep",
    missing_ids: str = "refuse",
    duplicates: str = "keep",
    first_refunds: str = "keep",
    other_currencies: str = "refuse",
    first_day: str | dt.date | None = None,
    last_day: str | dt.date | None = None,
    exclude: Mapping[str, Sequence[str]] | None = None,
    pseudonym_key: bytes | None = None,
) -> TransactionLog:
    """A purchase log: one row a customer and day, its amount the sum of the day's rows.

    Parameters
    ----------
    source : path, glob or folder of CSV, Parquet or workbook files, "dataset:NAME", pandas, polars or pyarrow frame,
        Ibis table
    customer, date, amount : names of the columns; a named data set brings its own
    order : column with the number of the order or invoice: refunds are matched within it first
    quantity : column that amount is multiplied by, where amount is the price of one
    currency : code of the one currency of all amounts
    currency_column : column with the currency of each row
    date_format : strptime codes such as "%d/%m/%Y" for dates that are texts or whole numbers; without
        it a text is an ISO date (1997-03-04, a time may follow)
    decimal, thousands : marks in numbers that are texts, such as "," and "."
    delimiter : of text files: " " for runs of blanks; by default that of , ; tab | most in the header
    columns : names of all columns of text files that have no header line
    encoding : of text files; of several, each file is read in the first that fits all its bytes
    sheet : of a workbook that has several
    written_in : time zone of times that name none, such as "UTC"
    time_zone : time zone whose days count, such as "America/New_York"; without it the day is the date as it is
        written, whatever its time zone
    day_starts : time at which a day begins, such as "04:00" where nights belong to the evening before
    refunds : what an amount below 0 is. "net": summed within the customer's day; a day that has a
        refund and does not come to more than 0 is no purchase. "match": cancels the customer's
        latest earlier purchase of the same amount (of the same order, where that is known), or one of that day.
        "drop": set aside. "keep": an amount like any other.
    zero_amounts : "keep" counts a row at 0 as a purchase, "drop" sets it aside
    missing_ids : "refuse" or "drop" rows without a customer
    duplicates : "keep" rows that repeat another in every column that is read, or "drop" all but one of them
    first_refunds : "keep" customers whose first day has refunds alone, or "drop" all their rows: what they return
        was bought before the log begins
    other_currencies : "refuse" or "drop" rows in another currency, where currency_column tells
    first_day, last_day : days that the log is complete for; rows before and after are set aside
    exclude : values by column that mark rows as no purchase, such as {"stock_code": ["POST", "BANK CHARGES"]}
    pseudonym_key : secret of at least 32 bytes: customers go by pseudonyms from here on, which are HMAC-SHA256 of their
        ids under it, and no id is left in the log, its ledger, its notes or a message

    Returns
    -------
    TransactionLog
        Its ledger has each row that was read once, by what became of it.

    Raises
    ------
    DataError
        If the source, a column or a value cannot be read, or an option's word is not known.

    Notes
    -----
    Ids are text; blanks around them are left out, leading zeros are kept. One key gives one id one pseudonym, whatever
    the source; random numbers are drawn by it, so that simulated figures differ by chance from those by id. Amounts
    are summed exactly, in six decimals, so that threads, engines and the order of rows change no digit.
    """
    _check_currency(currency)
    pseudonyms = None if pseudonym_key is None else Pseudonyms(pseudonym_key)
    excluded = _excluded(exclude)
    rules = CountingRules(
        refunds=refunds,
        zero_amounts=zero_amounts,
        missing_ids=missing_ids,
        duplicates=duplicates,
        first_refunds=first_refunds,
        other_currencies=other_currencies,
        first_day=None if first_day is None else as_date(first_day, "first_day"),
        last_day=None if last_day is None else as_date(last_day, "last_day"),
        exclude=excluded,
    )
    if other_currencies == "drop" and currency_column is None:
        raise DataError('other_currencies = "drop": give currency_column, which tells the currency of each row.')
    layout = Layout(
        purchase_columns(
            customer,
            date,
            amount,
            order=order,
            quantity=quantity,
            currency_column=currency_column,
            exclude=tuple(excluded),
        ),
        date_format=date_format,
        delimiter=delimiter,
        columns=names_of_columns(columns),
        encoding=encoding if isinstance(encoding, str) else list_of_texts("encoding", encoding),
        decimal=decimal,
        thousands=thousands,
        sheet=sheet,
        written_in=written_in,
        time_zone=time_zone,
        currency=currency,
        day_starts=minutes_of_day(day_starts, "day_starts"),
    )
    with withheld(_shown(source), pseudonyms):
        opened, place, layout = _open(source, layout)
        with reading(opened):
            return _log(_Reading(opened, place, layout, rules, currency, pseudonyms))


@dataclass(frozen=True)
class _Reading:
    """What is read, and how; `place` is what `open_source` opens."""

    source: Source
    place: Any
    layout: Layout
    rules: CountingRules
    currency: str
    pseudonyms: Pseudonyms | None


def _shown(source: Any) -> str:
    """A source as a message names it."""
    return str(source) if isinstance(source, (str, Path)) else f"the {type(source).__name__}"


def _check_currency(currency: Any) -> None:
    if not (isinstance(currency, str) and any(mark.isalpha() for mark in currency)):
        raise DataError(f'currency = {currency!r}: expected a code such as "USD".')


def _excluded(exclude: Any) -> dict[str, tuple[str, ...]]:
    if exclude is None:
        return {}
    if not isinstance(exclude, Mapping):
        raise DataError(
            f'exclude = {exclude!r}: expected lists of values by column, such as {{"stock_code": ["POST"]}}.'
        )
    return {name: list_of_texts(f"exclude[{name!r}]", values) for name, values in exclude.items()}


def _open(source: Any, layout: Layout) -> tuple[Source, Any, Layout]:
    """The source, what it was opened from, and its layout."""
    if not (isinstance(source, str) and source.startswith(PREFIX)):
        return open_source(source, layout), source, layout
    dataset = named_dataset(source, "purchase log")
    layout = dataset.layout_beside(layout)
    return replace(open_source(dataset.path, layout), name=source), dataset.path, layout


def _log(reading: _Reading) -> TransactionLog:
    rules = reading.rules
    lines, source, seen = _lines(reading, _faults(reading))
    lines, names = _hidden(lines, reading)
    found = occasions(with_row_fates(lines, rules, reading.currency), rules, seen=seen)
    facts = first_row(
        found.table.aggregate(
            occasions=found.table.count(), first_date=found.table.date.min(), last_date=found.table.date.max()
        )
    )
    if facts["occasions"] == 0:
        raise DataError(f"{source.name}: no purchase is left, the {seen['rows']} rows are refunds or were set aside.")
    if source.files:
        digest = digest_of_files(source.files)  # now, since files can change
        fingerprint: Callable[[], str] = lambda: digest  # noqa: E731
    else:
        fingerprint = functools.partial(_digest_of_values, lines)
    return TransactionLog(
        table=found.table,
        rows=lines,
        ledger=found.ledger,
        rules=reading.rules,
        rows_read=seen["rows"],
        gross=float(found.gross),
        **facts,
        currency=reading.currency,
        source=source.name,
        look=functools.partial(_look, found, rules, lines, source.mixed_ids, names),
        fingerprint=fingerprint,
        unchanged=source.unchanged if source.in_place else nullcontext,
        counted_with=functools.partial(_counted_with, reading),
    )


def _lines(reading: _Reading, faults: Sequence[Fault]) -> tuple[Any, Source, dict[str, Any]]:
    """The rows with their values read and checked, the source with rows of joined ids counted, and what was seen."""
    source, layout = reading.source, reading.layout
    read = _read(source, layout)
    judged = with_row_fates(read, reading.rules, reading.currency)
    sums = sums_of(judged) | {"rewritten": _rewritten(judged)}
    seen = check_values(judged, source, layout, faults=faults, sums=sums)
    if "raw_id" in read.columns and not seen["rewritten"]:
        read = read.mutate(customer_id=read.raw_id)  # so that no later pass reads them again
    lines, source = join_ids(read.select(*_roles(layout), "written"), source)
    return lines, source, seen


def _counted_with(first: _Reading, columns: tuple[Column, ...], faults: tuple[Fault, ...]) -> Any:
    """The rows that the purchases are made of, read once more with further columns; see `TransactionLog`."""
    if is_stream(first.place):
        raise DataError(f"{first.source.name}: a stream is read once, so no further columns can be read from it.")
    layout = replace(first.layout, wanted=told_apart((*first.layout.wanted, *columns)))
    with withheld(first.source.name, first.pseudonyms), first.source.unchanged():
        opened = replace(open_source(first.place, layout), name=first.source.name)
        again = replace(first, source=opened, layout=layout)
        with reading(opened):
            lines, _, seen = _lines(again, [*_faults(again), *faults])
            lines, _ = _hidden(lines, again)
            judged = with_row_fates(lines, first.rules, first.currency)
            return materialise(occasions(judged, first.rules, seen=seen).counted)


def _read(source: Source, layout: Layout) -> Any:
    """The rows with their values read; kept in the engine unless it can read the source again at little cost."""
    rows = source.rows.mutate(written=source.rows.date)
    if source.in_place and rows.customer_id.type().is_string():
        rows = rows.mutate(raw_id=rows.customer_id)
    read = parsed(rows, layout)
    return read if source.in_place else materialise(read)


def _rewritten(read: Any) -> Any:
    """Whether some id is read as another text than it is written."""
    if "raw_id" not in read.columns:
        return ibis.literal(1)
    return (read.raw_id.notnull() & (read.customer_id.isnull() | (read.customer_id != read.raw_id))).any()


def _roles(layout: Layout) -> list[str]:
    """Columns that tell what a row is."""
    return [column.role for column in layout.wanted if column.role != "quantity"]


def _faults(reading: _Reading) -> list[Fault]:
    rules, currency = reading.rules, reading.currency
    faults = [fault for fault in FAULTS if fault is not MISSING_ID or rules.missing_ids == "refuse"]
    if reading.layout.has("quantity"):
        faults.insert(0, QUANTITY)
    if reading.layout.has("currency") and rules.other_currencies == "refuse":
        fix = f'The log is in {currency}: read one currency at a time, or leave others out by other_currencies="drop".'
        faults.append(Fault("currency", lambda rows: other_currency(rows, currency), fix))
    return faults


def _look(found: Occasions, rules: CountingRules, lines: Any, mixed_ids: int, names: Any | None) -> Any:
    return findings(found, mixed_ids=mixed_ids, unseen=_unseen(lines, rules), names=names)


def _hidden(lines: Any, reading: _Reading) -> tuple[Any, Any | None]:
    """The rows with pseudonyms for ids, and the table of these; as they are, and None, where ids may be seen."""
    if reading.pseudonyms is None:
        return lines, None
    return renamed(lines, [role for role in IDS if role in lines.columns], reading.pseudonyms)


def _unseen(lines: Any, rules: CountingRules) -> list[str]:
    """Values to exclude that no row has, as column: value."""
    unseen = []
    for place, (name, values) in enumerate(rules.exclude.items()):
        column = lines[f"exclude_{place}"]
        seen = set(lines.filter(column.isin(values)).select(value=column).distinct().to_pyarrow()["value"].to_pylist())
        unseen += [f"{name}: {value}" for value in values if value not in seen]
    return unseen


def _digest_of_values(lines: Any) -> str:
    """SHA-256 of what the rows hold, whatever their order and engine: of the sum of a hash of each."""
    amount = money(lines.amount).cast("string")
    texts = [lines.customer_id.fill_null(""), lines.date.cast("string"), amount]
    hashed = engine_of(lines).hash_of(ibis.literal("\x1f").join(texts))
    seen = first_row(lines.aggregate(rows=lines.count(), total=hashed.sum()))
    return hashlib.sha256(f"{seen['rows']} {seen['total']}".encode()).hexdigest()
