"""Sources: files, frames and engine tables, each as the raw columns that are wanted, named by their roles."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis

from clvmodels.data.engines import refusals
from clvmodels.data.files import PARQUET, TEXT, WORKBOOK, find_files, stamps_of
from clvmodels.data.frames import is_frame, open_frame
from clvmodels.data.layout import Layout
from clvmodels.data.parquet_files import open_parquet
from clvmodels.data.source import Source
from clvmodels.data.tables import is_stream, open_stream, open_table
from clvmodels.data.text_files import open_text_files
from clvmodels.data.workbooks import open_workbooks
from clvmodels.foundation.errors import DataError

__all__ = ["Source", "open_source", "reading"]

READERS: dict[str, Callable[[str, tuple[Path, ...], Layout], Source]] = {
    TEXT: open_text_files,
    PARQUET: open_parquet,
    WORKBOOK: open_workbooks,
}


def open_source(source: Any, layout: Layout) -> Source:
    """The wanted columns of files, a frame, a stream of record batches or an Ibis table.

    Raises
    ------
    DataError
        If the source or one of its columns is not there or cannot be read.
    """
    if isinstance(source, (str, Path)):
        files, kind = find_files(source)
        if layout.sheet is not None and kind != WORKBOOK:
            raise DataError(f'{source}: is no workbook, and so has no sheet "{layout.sheet}".')
        stamps = stamps_of(files)
        with refusals(str(source)):
            return replace(READERS[kind](str(source), files, layout), stamps=stamps)
    if type(source).__module__.startswith("pyspark.sql."):
        from clvmodels.data.spark import table_of_frame

        return open_table(table_of_frame(source), layout)
    if isinstance(source, ibis.Table):
        return open_table(source, layout)
    if is_stream(source):
        return open_stream(source, layout)
    if is_frame(source):
        return open_frame(source, layout)
    raise DataError(
        f"source of type {type(source).__name__}: expected a path, glob or folder of CSV, Parquet or Excel files, "
        '"dataset:NAME", a frame of pandas, polars or pyarrow, a pyarrow reader or dataset, or an Ibis table.'
    )


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turns what the engine says of rows that it cannot read into a `DataError` with the place and the fault.

    Also refuses files that change meanwhile.
    """
    from duckdb import Error

    try:
        with source.unchanged(), refusals(source.name):
            yield
    except DataError as error:
        if isinstance(error.__context__, Error):
            raise source.explain() or error from None
        raise
