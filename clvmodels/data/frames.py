"""Frames of pandas, polars and pyarrow as rows, each column of one kind."""

import datetime as dt
import warnings
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clvmodels.data.engines import in_duckdb
from clvmodels.data.layout import Column, Layout
from clvmodels.data.source import Source, positions
from clvmodels.foundation.errors import DataError


def is_frame(source: Any) -> bool:
    """Whether something is a frame whose rows are in memory (or a lazy one of polars)."""
    return isinstance(source, (pa.Table, pa.RecordBatch)) or any(
        kind.__name__ in ("DataFrame", "LazyFrame") for kind in type(source).__mro__
    )


def open_frame(frame: Any, layout: Layout) -> Source:
    """The wanted columns of a frame; an index is no column.

    Raises
    ------
    DataError
        If a column is not there, or holds values of several kinds.
    """
    name = f"{type(frame).__module__.split('.')[0]} frame"
    if hasattr(frame, "collect_schema") and hasattr(frame, "collect"):  # polars, lazy
        names = list(frame.collect_schema().names())
        positions(names, layout, f"the {name}")
        frame = frame.select(list(dict.fromkeys(column.name for column in layout.wanted))).collect()
    arrow = isinstance(frame, (pa.Table, pa.RecordBatch))
    names = [str(column) for column in (frame.schema.names if arrow else frame.columns)]
    _check_index(frame, names, layout)
    positions(names, layout, f"the {name}")
    places = {column.role: names.index(column.name) for column in layout.wanted}
    values = {role: _column(frame, place) for role, place in places.items()}
    columns = {}
    mixed = 0
    for column in layout.wanted:
        columns[column.role], joined = arrow_column(values[column.role], column, layout)
        mixed += joined
    return Source(name, in_duckdb(pa.table(columns)), (), lambda position: f"row {position}", mixed)


def arrow_column(values: Any, column: Column, layout: Layout) -> tuple[Any, int]:
    """A column of any frame in Arrow, and how many ids are numbers that read like a text id.

    Moments in a time zone become the local ones that the frame shows, unless another zone's days count.

    Raises
    ------
    DataError
        If its values are of several kinds.
    """
    mixed = 0
    if str(getattr(values, "dtype", "")) == "object":
        if column.kind == "id":
            values, mixed = _one_kind_of_id(values, column.name)
        elif column.kind == "label":
            values = values.map(plain_text, na_action="ignore")
        else:
            _check_kinds(values, column.name)
    try:
        if hasattr(values, "to_arrow"):  # polars
            values = values.to_arrow()
        elif not isinstance(values, (pa.Array, pa.ChunkedArray)):
            values = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise DataError(f'column "{column.name}" holds values of several kinds ({error}). Convert it to one.') from None
    if isinstance(values.type, pa.BaseExtensionType):
        raise DataError(f'column "{column.name}" holds {values.type}. Convert it to text, numbers or dates.')
    return on_one_clock(decoded(values), layout), mixed


def decoded(values: Any) -> Any:
    """A column without dictionary; text where there is nothing that tells its kind."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.cast(pa.string()) if pa.types.is_null(values.type) or values.null_count == len(values) else values


def on_one_clock(values: Any, layout: Layout) -> Any:
    """Moments as the local times that the column's zone shows, or on UTC's clock where another zone's days count."""
    if not pa.types.is_timestamp(values.type) or values.type.tz is None:
        return values
    if layout.time_zone is not None:
        return values.cast(pa.timestamp(values.type.unit, "UTC"))
    return pc.local_timestamp(values)


def plain_text(value: Any) -> str:
    """An id or a label as text; 17850.0 reads 17850."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _column(frame: Any, place: int) -> Any:
    if isinstance(frame, (pa.Table, pa.RecordBatch)):
        return frame.column(place)
    return frame.iloc[:, place] if hasattr(frame, "iloc") else frame[frame.columns[place]]


def _check_index(frame: Any, names: list[str], layout: Layout) -> None:
    index = [str(name) for name in getattr(getattr(frame, "index", None), "names", ()) if name is not None]
    for column in layout.wanted:
        if column.name not in names and column.name in index:
            raise DataError(
                f'"{column.name}" ({column.option}=) is in the index of the frame: give frame.reset_index().'
            )


def _check_kinds(values: Any, name: str) -> None:
    """Refuse Python objects of several kinds, and moments of several zones, by the first that differs."""
    present = values[~values.isna()]
    kinds = present.map(_kind)
    counts = Counter(kinds)
    if len(counts) < 2:
        return
    common = counts.most_common(1)[0][0]
    first = int((~values.isna() & (values.map(_kind) != common)).to_numpy().argmax())
    found = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
    raise DataError(
        f'column "{name}" holds values of several kinds: {found} '
        f"(first that is no {common}: row {first}, {values.iloc[first]!r}). Convert the column to one kind."
    )


def _kind(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return "datetime" if value.tzinfo is None else f"datetime of {value.tzinfo}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def _one_kind_of_id(ids: Any, name: str) -> tuple[Any, int]:
    """Ids of a column that mixes texts and numbers, all as text, and how many numbers there were.

    A number that reads like one of the texts is that customer; a number that does not cannot be
    told from a customer of its own, and is refused.
    """
    present = ~ids.isna()
    texts = present & ids.map(lambda value: isinstance(value, str))
    if not texts.any() or texts.sum() == present.sum():
        return ids, 0
    numbers = present & ~texts
    written = ids.where(present, None).map(plain_text, na_action="ignore")
    alone = (numbers & ~written.isin(written[texts].map(str.strip))).to_numpy()
    if alone.any():
        first = int(alone.argmax())
        raise DataError(
            f'column "{name}" mixes texts and numbers, and {int(alone.sum())} numbers are none of the texts '
            f"(first: row {first}, {ids.iloc[first]!r}). Convert the column to text first."
        )
    warnings.warn(
        f'column "{name}": {int(numbers.sum())} ids are numbers that read like a text id; joined.',
        stacklevel=6,
    )
    return written, int(numbers.sum())
