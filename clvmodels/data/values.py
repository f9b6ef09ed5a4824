"""Values of a source: ids, days and numbers parsed in the engine, refused where they cannot be used."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis

from clvmodels.data.engines import first_row, try_strptime
from clvmodels.data.layout import Column, Layout
from clvmodels.data.sources import Source
from clvmodels.foundation.errors import DataError

LARGEST_AMOUNT = 1e15  # exact sums of ten decimals end near 1e28
ISO_DATE = r"^\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?\s*$"
GUESSES = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")


@dataclass(frozen=True)
class Fault:
    """What can be wrong with a column: the parsed rows in which it is bad, and how to fix them."""

    role: str
    bad: Callable[[Any], Any]
    fix: str


MISSING_ID = Fault(
    "customer_id",
    lambda rows: rows.customer_id.isnull(),
    'Fill them in, or leave these rows out by missing_ids="drop".',
)


def parsed(rows: Any, layout: Layout) -> Any:
    """Ids and labels as text, days, and floats; null where a value is missing or does not parse.

    Raises
    ------
    DataError
        If a column's type leaves open how to read it.
    """
    read = {column.role: _read(rows[column.role], column, layout) for column in layout.wanted}
    optional = [column.role for column in layout.wanted if column.optional]
    unread = {f"{role}_unread": _written(rows[role]) & read[role].isnull() for role in optional}
    return rows.mutate(**read, **unread)


def check_values(
    lines: Any, source: Source, layout: Layout, *, faults: Sequence[Fault], sums: Mapping[str, Any]
) -> dict[str, Any]:
    """The number of rows and further sums, by name; refuses the table where a value of it cannot be used.

    Parameters
    ----------
    sums : by name, aggregates of the lines that stand any value

    Raises
    ------
    DataError
        With the number of bad values, the place of the first, and what it holds.
    """
    counts = {f"fault_{place}": fault.bad(lines).sum() for place, fault in enumerate(faults)}
    seen = first_row(lines.aggregate(rows=lines.count(), **counts, **sums))
    if seen["rows"] == 0:
        raise DataError(f"{source.name}: there are no rows.")
    for place, fault in enumerate(faults):
        if seen[f"fault_{place}"]:
            raise _refusal(source, layout, fault, f"{seen[f'fault_{place}']} of {seen['rows']} rows")
    return {"rows": seen["rows"], **{name: seen[name] for name in sums}}


def _refusal(source: Source, layout: Layout, fault: Fault, rows: str) -> DataError:
    """Says which row is the first that cannot be used, and what it holds."""
    numbered = source.rows.mutate(position=ibis.row_number(), written=source.rows[fault.role])
    read = parsed(numbered, layout)
    bad = first_row(read.filter(fault.bad(read)).order_by("position").limit(1))
    written = "" if bad["written"] is None else str(bad["written"]).strip()
    what = f"cannot be used in {rows}" if written else f"is missing in {rows}"
    place = source.locate(bad["position"]) + (f': "{written}"' if written else "")
    column = layout.column(fault.role)
    unread_day = column.kind == "day" and written and bad[fault.role] is None
    fix = _date_hint(written, layout) if unread_day else fault.fix
    return DataError(f'{source.name}: column "{column.name}" {what} (first: {place}). {fix}')


def _read(value: Any, column: Column, layout: Layout) -> Any:
    if column.kind == "day":
        return _day(value, column.name, layout.date_format)
    if column.kind == "number":
        return _number(value, column)
    if column.kind == "trait" and (value.type().is_numeric() or value.type().is_boolean()):
        return value.cast("float64").nullif(float("nan"))
    return value if layout.trimmed and value.type().is_string() else _id(value)


def _written(value: Any) -> Any:
    """Whether there is something to read."""
    if value.type().is_floating():
        return value.notnull() & ~value.isnan()
    return (value.strip().nullif("") if value.type().is_string() else value).notnull()


def _id(column: Any) -> Any:
    """Ids as text: blanks around them left out, leading zeros kept, 17850.0 read as 17850."""
    if column.type().is_string():
        return column.strip().nullif("")
    if column.type().is_floating() or column.type().is_decimal():
        number = column.cast("float64").nullif(float("nan"))
        whole = number.try_cast("int64").cast("string")
        return ibis.ifelse(number == number.floor(), whole, number.cast("string"))
    return column.cast("string")


def _day(column: Any, name: str, date_format: str | None) -> Any:
    """The calendar day as it is written, whatever its time zone."""
    kind = column.type()
    if kind.is_date():
        return column
    if kind.is_timestamp():
        return column.date()
    if date_format is not None:
        text = _id(column)
        return ibis.ifelse(text.re_search(r"\d"), try_strptime(text, date_format).date(), ibis.null("date"))
    if not kind.is_string():
        raise DataError(
            f'column "{name}" holds {kind}, which can be read as dates in several ways: '
            'give date_format (such as "%Y%m%d" for 19970131), or convert the column to dates.'
        )
    return ibis.ifelse(column.re_search(ISO_DATE), column.strip().left(10).try_cast("date"), ibis.null("date"))


def _number(value: Any, column: Column) -> Any:
    if value.type().is_string():
        return value.strip().try_cast("float64")
    if value.type().is_numeric() and not value.type().is_boolean():
        return value.cast("float64")
    raise DataError(f'column "{column.name}" holds {value.type()}, not {column.option}s.')


def _date_hint(written: str, layout: Layout) -> str:
    """How to read a date that was not read."""
    if layout.date_format is not None:
        return f'It does not fit date_format="{layout.date_format}".'
    fitting = [guess + clock for guess in GUESSES for clock in CLOCKS if _fits(written, guess + clock)]
    if not fitting:
        return (
            "Dates are expected as days that exist, written 1997-03-04; "
            'for another form give date_format, such as "%d/%m/%Y".'
        )
    order = " (the order of day and month cannot be told from it)" if len(fitting) > 1 else ""
    return f"Give date_format={' or '.join(f'"{form}"' for form in fitting)}{order}."


def _fits(written: str, form: str) -> bool:
    try:
        dt.datetime.strptime(written, form)
    except ValueError:
        return False
    return True


def out_of_range(amount: Any) -> Any:
    """Whether an amount is not finite, or too large for exact sums."""
    return amount.isnan() | amount.isinf() | (amount.abs() > LARGEST_AMOUNT)


def check_date_format(date_format: str | None) -> None:
    """Refuse a date format without codes.

    Raises
    ------
    DataError
        If it has none.
    """
    if date_format is not None and "%" not in date_format:
        raise DataError(f'date_format = "{date_format}": expected codes such as "%Y-%m-%d" or "%d/%m/%Y".')


def check_word(option: str, word: str, words: Iterable[str]) -> None:
    """Refuse a word that is none of an option's.

    Raises
    ------
    DataError
        With the words that are.
    """
    if word not in words:
        raise DataError(f'{option} = "{word}": expected one of {", ".join(f'"{known}"' for known in words)}.')
