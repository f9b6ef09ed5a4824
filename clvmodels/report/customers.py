"""The customers that a page shows: all of a base, or the first of a large one."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from clvmodels.foundation.errors import StudyError

if TYPE_CHECKING:  # slow to import, and only needed where the table is there
    import pyarrow as pa

WHOLE = 100_000  # a base up to this size is shown whole
FIRST = 10_000  # of a larger one the page shows so many, and says that the rest is in the files
RANKED_BY = "clv_mean"
RANK = "rank"  # by models chosen on past days, where a study has such
SHOWN = (
    "customer_id",
    "cell",
    "undecided",
    "tier",
    "stage",
    RANKED_BY,
    "clv_q05",
    "clv_q95",
    "p_alive",
    "last_purchase",
    "frequency",
    "current_value",
    "purchases_mean",
    RANK,
    "days_until_half",
    "next_cell",
    "amount_to_next",
    "purchases_to_next",
    "best_action",
)
NEEDED = ("customer_id", "cell", RANKED_BY)
ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class CustomersShown:
    """The customers of a page in order of expected future value, the largest first.

    Attributes
    ----------
    rows : the columns of `SHOWN` that the study has
    count : customers of the whole base
    """

    rows: "pa.Table"
    count: int


def read_customers(folder: Path) -> CustomersShown | None:
    """The first customers of a study, from Parquet or else CSV; None where the folder has neither.

    Memory is bounded: no column but those of `SHOWN` is read, and of a large base the first are held.

    Raises
    ------
    StudyError
        If the table cannot be read, or lacks a column that a page cannot do without.
    """
    import pyarrow as pa

    found = (path for path in (folder / "customers.parquet", folder / "customers.csv") if path.is_file())
    source = next(found, None)
    if source is None:
        return None
    try:
        return _first(_from_parquet(source) if source.suffix == ".parquet" else _from_csv(source))
    except (pa.ArrowException, KeyError) as problem:
        raise StudyError(f"{source}: not the customers table of a study ({problem}). Run the study again.") from None


def _from_parquet(source: Path) -> "Iterator[pa.Table]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        names = _names(file.schema_arrow.names)
        yield pa.Table.from_batches([], file.schema_arrow).select(names)  # `empty_table` imports pandas
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=names):
            yield pa.Table.from_batches([batch]).select(names)


def _from_csv(source: Path) -> "Iterator[pa.Table]":
    import pyarrow as pa
    import pyarrow.csv as csv

    with csv.open_csv(source) as head:
        names = _names(head.schema.names)
    types = {"customer_id": pa.string(), RANKED_BY: pa.float64(), "last_purchase": pa.string()}
    with csv.open_csv(source, convert_options=csv.ConvertOptions(column_types=types, include_columns=names)) as file:
        yield pa.Table.from_batches([], file.schema)
        for batch in file:
            yield pa.Table.from_batches([batch])


def _names(there: list[str]) -> list[str]:
    """The columns to read; KeyError with the first that is needed and not there."""
    for name in NEEDED:
        if name not in there:
            raise KeyError(f"no column {name}")
    return [name for name in SHOWN if name in there]


def _first(tables: "Iterator[pa.Table]") -> CustomersShown:
    """The first customers of all tables, and how many there are."""
    import pyarrow as pa

    rows, count = next(tables), 0
    for table in tables:
        count += table.num_rows
        rows = pa.concat_tables([rows, table])
        if count > WHOLE:
            rows = leading(rows, FIRST)
    return CustomersShown(leading(rows, rows.num_rows), count)


def leading(rows: "pa.Table", count: int) -> "pa.Table":
    """The first customers by expected future value and, where there is one, by rank: half of each; by value.

    Ties stand in the order of ids, customers without a value come last.
    """
    import pyarrow.compute as pc

    rows = rows.sort_by([(RANKED_BY, "descending"), ("customer_id", "ascending")])
    if RANK not in rows.column_names or rows.num_rows <= count:
        return rows.slice(0, count)
    by_rank = pc.sort_indices(rows, [(RANK, "ascending")]).to_pylist()
    taken = set(by_rank[: count // 2])
    taken.update(islice((place for place in range(rows.num_rows) if place not in taken), count - len(taken)))
    return rows.take(sorted(taken))
