"""Tables of data engines: used where they live, or streamed into the engine of this process."""

import weakref
from collections.abc import Iterator
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.dataset as ds

from clvmodels.data.engines import ENGINES, duckdb, engine_of
from clvmodels.data.frames import decoded, on_one_clock
from clvmodels.data.layout import Layout
from clvmodels.data.source import Source, by_role, positions
from clvmodels.foundation.errors import DataError

BATCH = 100_000  # rows


def open_table(table: Any, layout: Layout) -> Source:
    """An Ibis table: of DuckDB or Spark as it is, of another engine its wanted columns streamed here.

    Raises
    ------
    DataError
        If a column is not there, or the table cannot be read.
    """
    positions(list(table.columns), layout, "the table")
    try:
        name = f"{table.get_backend().name} table"
    except ibis.common.exceptions.IbisError:
        raise DataError('the Ibis table belongs to no data base: give connection.table("NAME").') from None
    if table.get_backend().name in ENGINES:
        engine_of(table).check_layout(layout)
        return Source(name, by_role(table, layout), (), None, in_place=True)
    rows = by_role(table, layout)
    return Source(name, _streamed(rows.schema().to_pyarrow(), _batches(rows), layout, name), (), _row)


def open_stream(source: Any, layout: Layout) -> Source:
    """A pyarrow RecordBatchReader or dataset, its wanted columns batch by batch.

    Raises
    ------
    DataError
        If a column is not there, or the batches cannot be read.
    """
    name = f"pyarrow {type(source).__name__}"
    places = positions(source.schema.names, layout, f"the {name}")
    names = [source.schema.names[place] for place in places.values()]
    batches = source.to_batches(columns=list(dict.fromkeys(names))) if isinstance(source, ds.Dataset) else source
    chosen = (
        pa.RecordBatch.from_arrays([batch.column(name) for name in names], names=list(places)) for batch in batches
    )
    schema = pa.schema([(role, source.schema.field(place).type) for role, place in places.items()])
    return Source(name, _streamed(schema, chosen, layout, name), (), _row)


def is_stream(source: Any) -> bool:
    """Whether something is read batch by batch."""
    return isinstance(source, (pa.RecordBatchReader, ds.Dataset))


def _row(position: int) -> str:
    return f"row {position}"


def _batches(rows: Any) -> Iterator[Any]:
    """The rows in parts; Ibis reads all of a SQLite table at once, its cursor does not."""
    backend = rows.get_backend()
    if backend.name != "sqlite":
        yield from rows.to_pyarrow_batches(chunk_size=BATCH)
        return
    schema = rows.schema().to_pyarrow()
    cursor = backend.raw_sql(backend.compile(rows))
    try:
        while found := cursor.fetchmany(BATCH):
            columns = zip(*found, strict=True)
            arrays = [pa.array(values, type=type_) for values, type_ in zip(columns, schema.types, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    finally:
        cursor.close()


def _streamed(schema: Any, batches: Any, layout: Layout, name: str) -> Any:
    """A table of this process's engine, filled batch by batch and dropped when nothing refers to it."""
    plain = pa.schema([(field.name, _plain(field.type, layout)) for field in schema])
    connection = duckdb()
    made = ibis.util.gen_name("clvmodels_stream")
    connection.con.from_arrow(plain.empty_table()).create(made)
    table = connection.table(made)
    drop = weakref.finalize(table.op(), connection.raw_sql, f"DROP TABLE IF EXISTS {made}")
    drop.atexit = False  # the engine ends with the process
    try:
        for batch in batches:  # here, not in a thread of the engine's, which SQLite would refuse
            columns = [on_one_clock(decoded(column), layout) for column in batch.columns]
            columns = [column.cast(type_) for column, type_ in zip(columns, plain.types, strict=True)]
            connection.con.from_arrow(pa.Table.from_arrays(columns, schema=plain)).insert_into(made)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise DataError(f"{name}: cannot be read ({error}).") from None
    return table


def _plain(type_: Any, layout: Layout) -> Any:
    """The type of a column after `decoded` and `on_one_clock`."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return pa.timestamp(type_.unit, None if layout.time_zone is None else "UTC")
    return pa.string() if pa.types.is_null(type_) else type_
