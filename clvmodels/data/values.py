"""Values of a purchase log: ids, days and amounts parsed in the engine, refused where they cannot be used."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import ibis

from clvmodels.data.datasets import Layout
from clvmodels.data.engines import first_row, try_strptime
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
    """What can be wrong with a column: which of its parsed values are bad, and how to fix them."""

    role: Literal["customer_id", "date", "amount"]
    bad: Callable[[Any], Any]
    fix: str


FAULTS = (
    Fault(
        "customer_id",
        lambda value: value.isnull(),
        'Fill them in, or leave these rows out by missing_ids="drop".',
    ),
    Fault("date", lambda value: value.isnull(), "Fill them in, or leave these rows out."),
    Fault("amount", lambda value: value.isnull(), "Amounts are plain numbers with a decimal point: 1234.50."),
    Fault(
        "amount",
        lambda value: value.isnan() | value.isinf() | (value.abs() > LARGEST_AMOUNT),
        "Amounts are finite numbers below 1e15.",
    ),
)


def parsed(rows: Any, layout: Layout) -> Any:
    """Ids as text, days, and amounts as floats; null where a value is missing or does not parse.

    Raises
    ------
    DataError
        If a column's type leaves open how to read it.
    """
    return rows.mutate(
        customer_id=_id(rows.customer_id), date=_day(rows.date, layout), amount=_amount(rows.amount, layout)
    )


def check_values(lines: Any, source: Source, layout: Layout, *, missing_ids: str) -> int:
    """The number of rows; refuses the table where a value of it cannot be used.

    Raises
    ------
    DataError
        With the number of bad values, the place of the first, and what it holds.
    """
    faults = [fault for fault in FAULTS if fault.role != "customer_id" or missing_ids == "refuse"]
    counts = {f"fault_{place}": fault.bad(lines[fault.role]).sum() for place, fault in enumerate(faults)}
    seen = first_row(lines.aggregate(rows=lines.count(), **counts))
    if seen["rows"] == 0:
        raise DataError(f"{source.name}: there are no rows.")
    for place, fault in enumerate(faults):
        if seen[f"fault_{place}"]:
            raise _refusal(source, layout, fault, f"{seen[f'fault_{place}']} of {seen['rows']} rows")
    return int(seen["rows"])


def _refusal(source: Source, layout: Layout, fault: Fault, rows: str) -> DataError:
    """Says which row is the first that cannot be used, and what it holds."""
    numbered = source.rows.mutate(position=ibis.row_number(), written=source.rows[fault.role])
    read = parsed(numbered, layout)
    bad = first_row(read.filter(fault.bad(read[fault.role])).order_by("position").limit(1))
    written = "" if bad["written"] is None else str(bad["written"]).strip()
    what = f"cannot be used in {rows}" if written else f"is missing in {rows}"
    place = source.locate(bad["position"]) + (f': "{written}"' if written else "")
    column = {"customer_id": layout.customer, "date": layout.date, "amount": layout.amount}[fault.role]
    fix = _date_hint(written, layout) if fault.role == "date" and written else fault.fix
    return DataError(f'{source.name}: column "{column}" {what} (first: {place}). {fix}')


def _id(column: Any) -> Any:
    """Ids as text: blanks around them left out, leading zeros kept, 17850.0 read as 17850."""
    if column.type().is_string():
        return column.strip().nullif("")
    if column.type().is_floating() or column.type().is_decimal():
        number = column.cast("float64").nullif(float("nan"))
        whole = number.try_cast("int64").cast("string")
        return ibis.ifelse(number == number.floor(), whole, number.cast("string"))
    return column.cast("string")


def _day(column: Any, layout: Layout) -> Any:
    """The calendar day as it is written, whatever its time zone."""
    kind = column.type()
    if kind.is_date():
        return column
    if kind.is_timestamp():
        return column.date()
    if layout.date_format is not None:
        text = _id(column)
        return ibis.ifelse(text.re_search(r"\d"), try_strptime(text, layout.date_format).date(), ibis.null("date"))
    if not kind.is_string():
        raise DataError(
            f'column "{layout.date}" holds {kind}, which can be read as dates in several ways: '
            'give date_format (such as "%Y%m%d" for 19970131), or convert the column to dates.'
        )
    return ibis.ifelse(column.re_search(ISO_DATE), column.strip().left(10).try_cast("date"), ibis.null("date"))


def _amount(column: Any, layout: Layout) -> Any:
    if column.type().is_string():
        return column.strip().try_cast("float64")
    if column.type().is_numeric() and not column.type().is_boolean():
        return column.cast("float64")
    raise DataError(f'column "{layout.amount}" holds {column.type()}, not amounts.')


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
