"""The layout of a source: which of its columns are read, as what, and how their values are written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clvmodels.foundation.errors import DataError

Kind = Literal["id", "label", "day", "number", "trait"]


@dataclass(frozen=True)
class Column:
    """A column that is read from a source.

    Attributes
    ----------
    option : the argument that names it
    name : in the source
    role : in the engine
    kind : "id" or "label" (text), "day", "number", or "trait": numbers or text, as they come
    optional : whether a row may leave it empty; a column role_unread then tells what is there and cannot be read
    """

    option: str
    name: str
    role: str
    kind: Kind
    optional: bool = False


def told_apart(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns, where none is to be two things: its values would be right as one of them at most.

    Labels and traits may be columns that are something else too.

    Raises
    ------
    DataError
        If one is, or a name is no text.
    """
    used: dict[str, str] = {}
    for column in columns:
        if not isinstance(column.name, str):
            raise DataError(f"{column.option} = {column.name!r}: expected the name of a column, as text.")
        if column.kind in ("label", "trait"):
            continue
        if column.name in used:
            both = f"{used[column.name]} and {column.option}"
            raise DataError(f'{both} are both the column "{column.name}": name two columns.')
        used[column.name] = column.option
    return tuple(columns)


@dataclass(frozen=True)
class Layout:
    """Where a source keeps what is read of it, and how it is written.

    Attributes
    ----------
    wanted : columns to read
    date_format : strptime codes, or None for ISO dates
    delimiter : of a text file; " " stands for runs of blanks, None for a guess by the header
    columns : names of all columns of a text file without a header line, else None
    encoding : of text files; of several, each file is read in the first that fits all its bytes
    decimal : mark before the decimals of numbers in text, "." or ","
    thousands : mark between groups of digits, or None
    sheet : name of the sheet of a workbook, or None for its only one
    written_in : time zone of times that name none, such as "UTC"; None: the day is the one written
    time_zone : time zone whose days count, such as "America/New_York", or None
    day_starts : time at which a day begins, in minutes after midnight
    trimmed : whether texts are known to be neither empty nor to have blanks around them
    """

    wanted: tuple[Column, ...]
    date_format: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    encoding: str | tuple[str, ...] = "utf-8"
    decimal: str = "."
    thousands: str | None = None
    sheet: str | None = None
    written_in: str | None = None
    time_zone: str | None = None
    day_starts: int = 0
    trimmed: bool = False

    def column(self, role: str) -> Column:
        """The column that has a role."""
        return next(column for column in self.wanted if column.role == role)

    def has(self, role: str) -> bool:
        """Whether a column has a role."""
        return any(column.role == role for column in self.wanted)


def purchase_columns(
    customer: str = "customer_id",
    date: str = "date",
    amount: str = "amount",
    *,
    order: str | None = None,
    quantity: str | None = None,
    currency_column: str | None = None,
    exclude: Sequence[str] = (),
) -> tuple[Column, ...]:
    """The columns of a purchase log, those that are named.

    Raises
    ------
    DataError
        If one is to be two things.
    """
    named: tuple[tuple[str, str | None, str, Kind], ...] = (
        ("order", order, "order", "label"),
        ("quantity", quantity, "quantity", "number"),
        ("currency_column", currency_column, "currency", "label"),
    )
    columns = (
        Column("customer", customer, "customer_id", "id"),
        Column("date", date, "date", "day"),
        Column("amount", amount, "amount", "number"),
        *(Column(option, name, role, kind) for option, name, role, kind in named if name is not None),
        *(Column("exclude", name, f"exclude_{place}", "label") for place, name in enumerate(exclude)),
    )
    return told_apart(columns)


def minutes_of(time: str) -> int:
    """Minutes after midnight of a time such as "04:00".

    Raises
    ------
    DataError
        If it is none.
    """
    written = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", time)
    if written is None:
        raise DataError(f'day_starts = "{time}": expected a time such as "04:00".')
    return 60 * int(written[1]) + int(written[2])
