"""The layout of a source: which of its columns are read, as what, and how their values are written."""

import codecs
import difflib
import functools
import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clvmodels.foundation.errors import DataError

DECIMALS = (".", ",")
THOUSANDS = (".", ",", " ", "'", "’")
DATE_WORDS = ("excel", "epoch_s", "epoch_ms")  # date formats that are numbers: days since 1900, seconds since 1970
DATE_CODES = set("YymdbBaAjGVuHIMSpfz%")
MINUTES_A_DAY = 1440


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
    kind: Literal["id", "label", "day", "number", "trait"]
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
    date_format : strptime codes, a word of `DATE_WORDS`, or None for ISO dates
    delimiter : of a text file; " " stands for runs of blanks, None for a guess by the header
    columns : names of all columns of a text file or sheet without a header line, else None
    encoding : of text files; of several, each file is read in the first that fits all its bytes
    decimal : mark before the decimals of numbers in text, "." or ","
    thousands : mark between groups of digits, one of `THOUSANDS`, or None; " " stands for no-break and thin ones too
    sheet : name of the sheet of a workbook, or None for its only one
    written_in : time zone of times that name none, such as "UTC"; None: the day is the one written
    time_zone : time zone whose days count, such as "America/New_York", or None
    day_starts : time of day at which a day begins, in minutes after midnight
    currency : code that currency signs in numbers must be of, or None for any one sign
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
    currency: str | None = None

    def __post_init__(self) -> None:
        _check_date_format(self.date_format)
        _check_marks(self.decimal, self.thousands)
        if not self.encodings:
            raise DataError('encoding = (): name at least one, such as "utf-8".')
        for encoding in self.encodings:
            _check_encoding(encoding)
        _check_zone("time_zone", self.time_zone)
        _check_zone("written_in", self.written_in)
        if self.written_in is not None and self.time_zone is None:
            raise DataError(
                f'written_in = "{self.written_in}": give time_zone= too, the zone whose days count; '
                "without it a day is the one that is written."
            )
        if not 0 <= self.day_starts < MINUTES_A_DAY:
            raise DataError(f"day_starts = {self.day_starts} minutes: expected 0 to 1439 after midnight.")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise DataError(f'delimiter = {self.delimiter!r}: expected one character, such as ";" or "\\t".')

    @property
    def encodings(self) -> tuple[str, ...]:
        """Encodings to try, in order."""
        return (self.encoding,) if isinstance(self.encoding, str) else tuple(self.encoding)

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
    named: tuple[tuple[str, str | None, str, Literal["label", "number"]], ...] = (
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


def minutes_of_day(clock: str, option: str) -> int:
    """Minutes after midnight of a time of day such as "04:00".

    Raises
    ------
    DataError
        If it is none.
    """
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", clock)
    if found is None:
        raise DataError(f'{option} = {clock!r}: expected a time of day from "00:00" to "23:59".')
    return int(found[1]) * 60 + int(found[2])


def _check_date_format(date_format: str | None) -> None:
    if date_format is None or date_format in DATE_WORDS:
        return
    codes = re.findall(r"%(?:-(?=[a-zA-Z]))?(.?)", date_format)
    words = ", ".join(f'"{word}"' for word in DATE_WORDS)
    if not codes:
        raise DataError(
            f'date_format = "{date_format}": expected codes such as "%Y-%m-%d" or "%d/%m/%Y", or one of {words}.'
        )
    unknown = [code for code in codes if code not in DATE_CODES]
    if unknown or "%z" in date_format.rstrip()[:-2]:
        what = f'"%{unknown[0]}" is not read' if unknown else "%z must come last"
        raise DataError(f'date_format = "{date_format}": {what}; codes are %{", %".join(sorted(DATE_CODES))}.')


def _check_marks(decimal: str, thousands: str | None) -> None:
    for option, mark, marks in (("decimal", decimal, DECIMALS), ("thousands", thousands, (None, *THOUSANDS))):
        if mark not in marks:
            expected = ", ".join(f'"{known}"' for known in marks if known is not None)
            raise DataError(f"{option} = {mark!r}: expected one of {expected}.")
    if decimal == thousands:
        raise DataError(f'decimal and thousands are both "{decimal}".')


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DataError(
            f'encoding = "{encoding}": is not text in an encoding that Python knows. '
            'Common ones are "utf-8", "cp1252", "latin-1", "gb18030" and "utf-16".'
        ) from None


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _check_zone(option: str, zone: str | None) -> None:
    if zone is not None and zone not in _zones():
        close = difflib.get_close_matches(zone, _zones(), 1)
        meant = f' Did you mean "{close[0]}"?' if close else ""
        raise DataError(f'{option} = "{zone}": no such time zone; expected a name such as "Europe/Berlin".{meant}')
