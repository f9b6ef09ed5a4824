"""Text files as rows of text: delimiter, header, quotes and encoding of each file, joined by the columns' names."""

import codecs
import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import ibis

from clvmodels.data.charsets import Copies, fitting, line_ends, no_fit, open_text
from clvmodels.data.engines import duckdb, first_row
from clvmodels.data.files import LONGEST_LINE, as_engines_take, packed_as_named, refuse_bomb
from clvmodels.data.layout import Layout
from clvmodels.data.source import Source, positions
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.limits import COLUMNS, require_within

DELIMITERS = (",", ";", "\t", "|")
GROUP = 1 << 40  # more rows than files of one form have
BEGINNING = 1 << 20  # characters of a file by which its form is told
NATIVE = {"utf-8": "utf-8", "iso8859-1": "latin-1"}  # encodings that the engine reads itself


@dataclass(frozen=True)
class Form:
    """How one text file is written.

    Attributes
    ----------
    names : of its columns
    delimiter : " " for runs of blanks
    header : whether a line of names comes before the rows
    skip : lines before the header
    surplus : whether rows end with a delimiter more than the header
    encoding : that fits
    copied : whether the engine needs a copy in UTF-8
    """

    names: tuple[str, ...]
    delimiter: str
    header: bool
    skip: int
    surplus: bool
    encoding: str
    copied: bool

    @property
    def width(self) -> int:
        """Fields of a row."""
        return len(self.names) + int(self.surplus)


def open_text_files(name: str, files: tuple[Path, ...], layout: Layout) -> Source:
    """Text files, every column as text: leading zeros of ids stay.

    Raises
    ------
    DataError
        If a file is no text in its encoding, or has not the wanted columns.
    """
    forms = {path: _form(path, layout) for path in files}
    groups: dict[Form, list[Path]] = {}
    for path, form in forms.items():
        groups.setdefault(form, []).append(path)
    copies = Copies()
    tables = [_table(paths, form, layout, copies) for form, paths in groups.items()]

    def locate(position: int) -> str:
        group, row = divmod(position, GROUP)
        form, paths = list(groups.items())[group]
        places = (f"{path.name}, line {line}" for path in paths for line in _record_lines(path, form))
        return next(itertools.islice(places, row, None))

    return Source(
        name,
        _together(tables),
        files,
        locate,
        # Each group is counted on its own: a union has no order that the engine would keep.
        numbered=_together([t.mutate(position=ibis.row_number() + group * GROUP) for group, t in enumerate(tables)]),
        explain=lambda: _explain([(path, form) for form, paths in groups.items() for path in paths]),
    )


def _together(tables: Sequence[Any]) -> Any:
    return tables[0] if len(tables) == 1 else ibis.union(*tables)


# --- the form of a file ---


def _form(path: Path, layout: Layout) -> Form:
    refuse_bomb(path)
    several = len(layout.encodings) > 1
    encoding = fitting(path, layout.encodings) if several else layout.encodings[0]
    try:
        with open_text(path, encoding) as stream:
            beginning = stream.read(BEGINNING)
            mixed = len(line_ends(stream)) > 1
    except UnicodeError:
        raise no_fit(path, layout.encodings) from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}).") from None
    if "\0" in beginning:
        raise no_fit(path, layout.encodings)
    try:
        with _long_fields():
            form = _form_of_text(path, beginning, layout)
    except csv.Error as error:
        raise DataError(f"{path}: its first line cannot be read as columns ({error}).") from None
    copied = mixed or codecs.lookup(encoding).name not in NATIVE or not packed_as_named(path)
    positions(form.names, layout, str(path))
    return replace(form, encoding=encoding, copied=copied)


def _form_of_text(path: Path, text: str, layout: Layout) -> Form:
    """The form by the first lines; a line such as "sep=;" of spreadsheets names the delimiter."""
    lines = text.splitlines()
    skip = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    first = lines[skip].strip() if skip < len(lines) else ""
    given = layout.delimiter
    if len(first) == 5 and first.lower().startswith("sep="):
        given, skip = given or first[4], skip + 1
    rest = "\n".join(lines[skip:]) if skip else text
    delimiters = (given,) if given else DELIMITERS
    records = {delimiter: _records(rest, delimiter) for delimiter in delimiters}
    delimiter = max(delimiters, key=lambda known: _likeness(records[known], layout))
    own = records[delimiter]
    if not own:
        raise DataError(f"{path}: there are no rows, and no line with the names of columns.")
    require_within(COLUMNS, max(len(own[0]), len(own[-1])), path)
    header = layout.columns is None
    names = layout.columns or tuple(field.strip() for field in own[0])
    first_rows = own[int(header) :]
    ends = all(len(row) == len(names) + 1 and row[-1].strip() == "" for row in first_rows)
    surplus = bool(first_rows) and ends and delimiter != " "
    return Form(tuple(names), delimiter, header, skip, surplus, encoding="", copied=False)


def _records(text: str, delimiter: str) -> list[list[str]]:
    """The header and a few rows, without empty lines."""
    if delimiter == " ":
        return [line.split() for line in text.splitlines()[:20] if line.strip()]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return list(itertools.islice((record for record in reader if record), 4))


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lets Python's reader of text files read longer fields than it does; its limit is one for the process."""
    before = csv.field_size_limit(LONGEST_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _likeness(records: list[list[str]], layout: Layout) -> tuple[bool, int]:
    """How well a delimiter makes the columns that are wanted, then how many it makes."""
    first = [field.strip() for field in records[0]] if records else []
    if layout.columns is not None:
        return len(first) == len(layout.columns), len(first)
    return {column.name for column in layout.wanted} <= set(first), len(first)


# --- rows ---


def _table(paths: Sequence[Path], form: Form, layout: Layout, copies: Copies) -> Any:
    names = [as_engines_take(copies.of(path, form.encoding) if form.copied else path) for path in paths]
    encoding = "utf-8" if form.copied else NATIVE[codecs.lookup(form.encoding).name]
    places = positions(form.names, layout, str(paths[0]))
    if form.delimiter == " ":
        return _blank_separated(names, form, places, encoding=encoding, copies=copies)
    table = duckdb().read_csv(
        names,
        columns={f"column_{place}": "string" for place in range(form.width)},
        header=form.header,
        skip=form.skip,
        delim=form.delimiter,
        quote='"',
        escape='"',
        encoding=encoding,
        auto_detect=False,
    )
    copies.keep_for(table)
    if form.surplus:
        beyond = table[f"column_{form.width - 1}"]
        found = first_row(table.aggregate(rows=(beyond.strip() != "").sum()))["rows"]
        if found:
            raise _explain([(path, form) for path in paths]) or DataError(
                f"{paths[0]}: {found} rows have more fields than the header."
            )
    return table.select(**{role: table[f"column_{place}"] for role, place in places.items()})


def _blank_separated(names: Sequence[str], form: Form, places: dict[str, int], *, encoding: str, copies: Copies) -> Any:
    """Columns set apart by runs of blanks: the engine reads whole lines, which are split here.

    A line of another number of fields has no value in any column, and so is refused with its place.
    """
    table = duckdb().read_csv(
        names,
        columns={"line": "string"},
        header=False,
        skip=form.skip + int(form.header),
        delim="\x1f",
        quote="",
        escape="",
        encoding=encoding,
        auto_detect=False,
    )
    copies.keep_for(table)
    table = table.mutate(line=table.line.strip())
    table = table.filter(table.line != "")
    parts = table.line.re_split(r"\s+")
    whole = parts.length() == form.width
    return table.select(**{role: ibis.ifelse(whole, parts[place], None) for role, place in places.items()})


# --- places and faults, told by a second reading in Python ---


def _lines(stream: IO[str], path: Path) -> Iterator[str]:
    """The lines of a file, none of which may be longer than a reader should hold."""
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise DataError(f"{path}: a line is longer than {LONGEST_LINE:,} characters, so that it is no table.")
        yield line


def _record_lines(path: Path, form: Form) -> Iterator[int]:
    """The line of the file on which each row ends; empty lines are no rows."""
    with open_text(path, form.encoding) as stream:
        read = _lines(stream, path)
        for _ in range(form.skip):
            next(read, "")
        if form.delimiter == " ":
            lines = (number for number, line in enumerate(read, start=1) if line.strip())
        else:
            reader = csv.reader(read, delimiter=form.delimiter)
            lines = (reader.line_num for record in reader if record)
        with _long_fields():
            yield from (form.skip + line for line in itertools.islice(lines, int(form.header), None))


def _explain(files: Sequence[tuple[Path, Form]]) -> DataError | None:
    """The first line of the files that cannot be read, and why."""
    for path, form in files:
        try:
            if form.delimiter != " " and (fault := _fault(path, form)) is not None:
                return DataError(f"{path}: cannot be read. {fault}")
        except UnicodeError:
            return no_fit(path, (form.encoding,))
        except (OSError, EOFError) as error:
            return DataError(f"{path}: cannot be unpacked ({error}). The file may be cut off.")
    return None


def _fault(path: Path, form: Form) -> str | None:
    """What is wrong with the first record that has not a field for each column."""
    with open_text(path, form.encoding) as stream, _long_fields():
        read = _lines(stream, path)
        for _ in range(form.skip):
            next(read, "")
        reader = csv.reader(read, delimiter=form.delimiter, strict=True)
        begins = 1
        try:
            for record in reader:
                if record and len(record) not in (len(form.names), form.width):
                    return _odd_width(record, form, form.skip + begins)
                if len(record) == form.width > len(form.names) and record[-1].strip():
                    return _odd_width(record, form, form.skip + begins)
                begins = reader.line_num + 1
        except csv.Error as error:
            return (
                f"Line {form.skip + begins}: a quote is opened and not closed, or stands inside a field ({error}). "
                'A quote inside a quoted field is written "".'
            )
        ends = line_ends(stream)
    if len(ends) > 1:
        return f"Lines end in several ways ({', '.join(map(repr, ends))}). Save the file with one of them."
    return None


def _odd_width(record: list[str], form: Form, line: int) -> str:
    shown = form.delimiter.join(record)[:80]
    has = "the header" if form.header else "columns="
    return (
        f'Line {line} has {len(record)} fields where {has} has {len(form.names)}: "{shown}". '
        f"A field that holds the delimiter {form.delimiter!r} must be quoted; for another delimiter give delimiter=."
    )
