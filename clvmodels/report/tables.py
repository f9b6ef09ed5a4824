"""Finished tables: what a template prints, what a figure's reader may want as numbers."""

import csv
import dataclasses
import io
import json
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.files import not_a_formula


@dataclass(frozen=True)
class Column:
    """A column's head; numbers are set right, words left."""

    head: str
    number: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of text under their heads. The first column names the row.

    Attributes
    ----------
    label : what a screen reader calls it
    marked : positions of rows to set apart, such as the study's own model
    foot : a row of totals, or none
    ordered : the order of the rows says something, as in an account that adds up: the reader is not to sort it
    """

    label: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = frozenset()
    foot: tuple[str, ...] = ()
    ordered: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure at two widths, its caption, its description in words, its table, its numbers as CSV."""

    key: str
    wide: str
    narrow: str
    caption: str
    table: Table
    csv: str


def columns(*heads: str, words: int = 1) -> tuple[Column, ...]:
    """Columns of which the first `words` hold words and the others numbers."""
    return tuple(Column(head, number=position >= words) for position, head in enumerate(heads))


def with_interval(middle: str, interval: str) -> Markup:
    """A cell of two lines: a number, and its interval below it."""
    return Markup('{}<span class="between">{}</span>').format(middle, interval)


def csv_link(records: Sequence[Any]) -> str:
    """Records at full precision as a data: address of a CSV file."""
    names = [field.name for field in dataclasses.fields(records[0])]
    return csv_of(names, ([getattr(record, name) for name in names] for record in records))


def json_block(content: Any) -> Markup:
    """Data for the page's script as JSON, in which no letter can begin or end markup."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def csv_of(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows at full precision under their names as a data: address of a CSV file, safe in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([not_a_formula(name) for name in names])
    writer.writerows([not_a_formula(value) for value in row] for row in rows)
    return "data:text/csv;charset=utf-8," + urllib.parse.quote(text.getvalue(), safe="/,")
