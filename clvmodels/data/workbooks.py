"""Sheets of workbooks (.xlsx, .xlsm, .xls, .xlsb, .ods) as rows."""

import datetime as dt
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from clvmodels.data.engines import in_duckdb
from clvmodels.data.frames import arrow_column
from clvmodels.data.layout import Column, Layout
from clvmodels.data.source import Source, positions
from clvmodels.foundation.errors import DataError, LimitError
from clvmodels.foundation.limits import WORKBOOK, stated, too_much

Cells = dict[str, list[Any]]
SECONDS_APART = 900
# What it cannot read as a workbook it leaves for the reading here to say, which then needs no memory for it.
APART = """
import resource, sys
path, sheet, most = sys.argv[1:]
from python_calamine import CalamineError, CalamineWorkbook
resource.setrlimit(resource.RLIMIT_AS, (int(most), int(most)))
try:
    with CalamineWorkbook.from_path(path) as book:
        names = [name for name in book.sheet_names if name == sheet] or book.sheet_names[:1]
        for name in names:
            for row in book.get_sheet_by_name(name).iter_rows():
                pass
except CalamineError:
    pass
"""


def open_workbooks(name: str, files: tuple[Path, ...], layout: Layout) -> Source:
    """The wanted columns of one sheet of each workbook, joined by the columns' names.

    Raises
    ------
    DataError
        If a workbook cannot be read, its sheet is not told, or a column is not there or of several kinds.
    """
    cells: Cells = {column.role: [] for column in layout.wanted}
    for path in files:
        _try_apart(path, layout.sheet)
    places = [(path, _read_sheet(path, layout, cells)) for path in files]

    def locate(position: int) -> str:
        rows = ((path, row) for path, numbers in places for row in numbers)
        path, row = next(itertools.islice(rows, position, None))
        return f"{path.name}, row {row}"

    columns = {}
    mixed = 0
    for column in layout.wanted:
        columns[column.role], joined = _column(cells[column.role], column, layout, locate)
        mixed += joined
    return Source(name, in_duckdb(pa.table(columns)), files, locate, mixed)


def _try_apart(path: Path, sheet: str | None) -> None:
    """Open a workbook in a process of its own first, whose memory has a limit: what breaks there breaks nothing here.

    Two cells far apart make a sheet of 17,000,000,000, a small file unpacks to any size, and its reader ends the
    process that it is in where there is no memory.

    Raises
    ------
    LimitError
        If the process needs more memory than the limit, or far too long.
    """
    most = stated(WORKBOOK) * 1_000_000
    command = [sys.executable, "-I", "-c", APART, str(path), sheet or "", str(most)]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=SECONDS_APART, check=False)
    except subprocess.TimeoutExpired:
        raise LimitError(
            f"{path}: takes longer than {SECONDS_APART} s to open as a workbook. Save it as CSV."
        ) from None
    if ended.returncode != 0:
        raise LimitError(too_much(path, WORKBOOK))


def _read_sheet(path: Path, layout: Layout, cells: Cells) -> list[int]:
    """Adds a sheet's rows to the cells; the number of each row as the workbook counts."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            sheet = book.get_sheet_by_name(_sheet(path, list(book.sheet_names), layout))
            first = 0 if sheet.start is None else sheet.start[0]
            return _add_rows(path, enumerate(sheet.iter_rows(), start=first + 1), layout, cells)
    except CalamineError as error:
        raise DataError(f"{path}: cannot be read as a workbook ({error}). It may be damaged or locked.") from None


def _sheet(path: Path, names: list[str], layout: Layout) -> str:
    known = ", ".join(f'"{name}"' for name in names)
    if layout.sheet is None and len(names) != 1:
        raise DataError(f"{path}: has the sheets {known}. Name one by sheet=.")
    if layout.sheet is not None and layout.sheet not in names:
        raise DataError(f'{path}: has no sheet "{layout.sheet}"; it has {known}.')
    return names[0] if layout.sheet is None else layout.sheet


def _add_rows(path: Path, rows: Iterator[tuple[int, list[Any]]], layout: Layout, cells: Cells) -> list[int]:
    filled = ((number, row) for number, row in rows if any(cell != "" for cell in row))
    if layout.columns is None:
        names = [_name(cell) for cell in next(filled, (0, []))[1]]
    else:
        names = list(layout.columns)
    found = positions(names, layout, str(path))
    wanted = [(cells[role], place) for role, place in found.items()]
    numbers = []
    for number, row in filled:
        numbers.append(number)
        for column, place in wanted:
            cell = row[place] if place < len(row) else ""
            column.append(None if cell == "" else cell)
    return numbers


def _name(cell: Any) -> str:
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()


def _column(cells: list[Any], column: Column, layout: Layout, locate: Any) -> tuple[Any, int]:
    """Cells of one kind in Arrow; dates among moments are moments at midnight."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {dt.date, dt.datetime}:
        cells = [_moment(cell) if isinstance(cell, dt.date) else cell for cell in cells]
    try:
        return arrow_column(pd.Series(cells, dtype=object), column, layout)
    except DataError as error:
        raise _placed(error, cells, locate) from None


def _moment(day: dt.date) -> dt.datetime:
    return day if isinstance(day, dt.datetime) else dt.datetime.combine(day, dt.time())


def _placed(error: DataError, cells: list[Any], locate: Any) -> DataError:
    """The error with the workbook's own number of the row that it names."""
    before, found, after = str(error).partition("row ")
    digits = "".join(itertools.takewhile(str.isdigit, after))
    if not found or not digits or int(digits) >= len(cells):
        return error
    return DataError(before + locate(int(digits)) + after.removeprefix(digits))
