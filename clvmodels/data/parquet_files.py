"""Parquet files as rows: one or many, also in folders key=value, whose columns may differ in type from file to file."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clvmodels.data.engines import duckdb
from clvmodels.data.files import as_engines_take
from clvmodels.data.layout import Column, Layout
from clvmodels.data.source import Source, by_role, positions
from clvmodels.data.zones import on_the_clock_of
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.limits import COLUMNS, ROWS, require_within


def open_parquet(name: str, files: tuple[Path, ...], layout: Layout) -> Source:
    """Parquet files, joined by the columns' names.

    Raises
    ------
    DataError
        If one cannot be read, lacks a wanted column, or has it of a kind that the others do not fit.
    """
    schemas = {path: _schema(path) for path in files}
    require_within(ROWS, sum(_rows(path) for path in files), name)
    keys = [column.name for column in layout.wanted if all(column.name not in s.names for s in schemas.values())]
    keys = [key for key in keys if all(_has_key(path, key) for path in files)]
    for path, schema in schemas.items():
        _check_names(path, [*schema.names, *keys], layout)
    for column in layout.wanted:
        if column.name not in keys:
            _check_kinds(column, {path: schema.field(column.name).type for path, schema in schemas.items()})
    table = duckdb().read_parquet(
        [as_engines_take(path) for path in files],
        union_by_name=len({_types(schema) for schema in schemas.values()}) > 1,
        hive_partitioning=bool(keys),
        hive_types_autocast=False,  # 007 is a text
        binary_as_string=True,
    )
    rows = by_role(table, layout)
    for column in layout.wanted:
        if column.name not in keys:
            rows = _as_written(rows, column, schemas[files[0]].field(column.name).type, layout)

    def locate(position: int) -> str:
        places = (f"{path.name}, row {row}" for path in files for row in range(1, _rows(path) + 1))
        return next(itertools.islice(places, position, None))

    return Source(name, rows, files, locate, in_place=True)


def _schema(path: Path) -> Any:
    try:
        schema = pq.read_schema(path)
        require_within(COLUMNS, len(schema.names), path)
        return schema
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = str(error).split("\n")[0]
        raise DataError(f"{path}: cannot be read as Parquet ({said}). It may be cut off, or be no Parquet.") from None


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _has_key(path: Path, key: str) -> bool:
    return any(part.startswith(f"{key}=") for part in path.parts[:-1])


def _check_names(path: Path, names: Sequence[str], layout: Layout) -> None:
    """Refuse names that the engine, which does not tell case apart, would take for another."""
    positions(names, layout, str(path))
    for column in layout.wanted:
        alike = [name for name in names if name.lower() == column.name.lower()]
        if len(alike) > 1:
            both = " and ".join(f'"{name}"' for name in alike)
            raise DataError(f"{path}: the columns {both} differ by case alone. Rename all but one.")


def _check_kinds(column: Column, types: dict[Path, Any]) -> None:
    """Refuse a column that is of kinds which cannot be read as one; numbers and texts can."""
    kinds: dict[str, Path] = {}
    for path, type_ in types.items():
        kinds.setdefault(_kind(type_), path)
    kinds.pop("nothing", None)
    if len(kinds) > 1 and not set(kinds) <= {"a number", "text"}:
        held = ", ".join(f"{kind} in {path.name}" for kind, path in kinds.items())
        raise DataError(f'column "{column.name}" holds {held}. Write it as one kind.')


def _kind(type_: Any) -> str:
    if pa.types.is_dictionary(type_):
        return _kind(type_.value_type)
    if pa.types.is_null(type_):
        return "nothing"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "a number"
    if any(test(type_) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
        return "text"
    if pa.types.is_timestamp(type_):
        return f"moments of the zone {type_.tz}" if type_.tz else "times without a zone"
    return str(type_)


def _types(schema: Any) -> tuple[tuple[str, str], ...]:
    """Names and types of columns; where files have the same, the engine need not compare them."""
    return tuple(zip(schema.names, map(str, schema.types), strict=True))


def _as_written(rows: Any, column: Column, type_: Any, layout: Layout) -> Any:
    """Moments on the clock that the file names, unless another zone's days count."""
    if not pa.types.is_timestamp(type_) or type_.tz is None or layout.time_zone is not None:
        return rows
    return rows.mutate(**{column.role: on_the_clock_of(type_.tz, rows[column.role])})
