"""Frames, streams and tables of other engines: each gives the rows that it holds."""

import datetime as dt
import sqlite3

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from clvmodels.data import engines, read_transactions, tables
from clvmodels.data.layout import Layout, purchase_columns
from clvmodels.data.sources import open_source
from clvmodels.foundation.errors import DataError
from tests.reader_cases import frame, ids, read

ROWS = [("007", dt.date(2024, 1, 1), 1.5), ("8", dt.date(2024, 1, 2), 2.0)]
PLAIN = pa.table({
    "amount": [1.5, 2.0], "extra": [1, 2], "customer_id": ["007", "8"], "date": [row[1] for row in ROWS],
})  # fmt: skip


@pytest.fixture
def sqlite(tmp_path):
    """A SQLite file with a table of purchases."""

    def make(rows, types="customer_id text, date text, amount real"):
        path = tmp_path / "shop.sqlite"
        with sqlite3.connect(path) as connection:
            connection.execute(f"create table sales({types})")
            connection.executemany("insert into sales values (?, ?, ?)", rows)
        connection.close()
        opened.append(ibis.sqlite.connect(path))
        return opened[-1].table("sales")

    opened = []
    yield make
    for connection in opened:
        connection.disconnect()


@pytest.mark.parametrize(
    "convert",
    [
        lambda table: table,
        lambda table: table.to_batches()[0],
        lambda table: table.to_reader(),
        ds.dataset,
        lambda table: table.to_pandas(),
        lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
        lambda table: table.to_pandas(strings_to_categorical=True),
        pl.from_arrow,
        lambda table: pl.from_arrow(table).lazy(),
        lambda table: pl.from_arrow(table).with_columns(pl.col("customer_id").cast(pl.Categorical)),
        ibis.memtable,
        lambda table: table.set_column(2, "customer_id", table["customer_id"].dictionary_encode()),
        lambda table: table.set_column(2, "customer_id", table["customer_id"].dictionary_encode()).to_reader(),
    ],
)
def test_every_kind_of_frame_and_stream_gives_its_rows(convert):
    assert read(convert(PLAIN)) == ROWS


def test_a_table_of_duckdb_stays_where_it_lives():
    connection = ibis.duckdb.connect()
    table = connection.create_table("sales", PLAIN)
    opened = open_source(table, Layout(purchase_columns()))
    assert opened.rows.get_backend() is connection
    assert opened.rows.columns == ("customer_id", "date", "amount")
    assert opened.locate is None


def test_a_table_of_sqlite_is_streamed_into_the_engine_in_batches(sqlite, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 2)
    table = sqlite([("007", "2024-01-01", 1.5), (8, "2024-01-02", 2), ("9", None, None), ("10", "2024-01-03", 3)])
    assert read(table.filter(table.amount.notnull()))[:2] == ROWS
    with pytest.raises(DataError, match=r'"date" is missing in 1 of 4 rows \(first: row 2\)'):
        read(table)


def test_what_a_column_of_sqlite_holds_beside_its_type_is_refused(sqlite):
    table = sqlite([("a", "2024-01-01", 1.5), ("b", "2024-01-02", "n/a")])
    with pytest.raises(DataError, match="sqlite table: cannot be read"):
        read(table)


def test_a_streamed_table_leaves_the_engine_when_nothing_refers_to_it():
    def count():
        return engines.duckdb().raw_sql("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0]

    before = count()
    opened = open_source(PLAIN.to_reader(), Layout(purchase_columns()))
    assert count() == before + 1
    del opened
    assert count() == before


def test_moments_of_a_stream_are_read_by_the_zone():
    moments = pa.array([0, 90_000], pa.timestamp("s", "America/New_York"))
    table = PLAIN.set_column(3, "date", moments)
    assert [str(row[1]) for row in read(table.to_reader())] == ["1969-12-31", "1970-01-01"]
    assert [str(row[1]) for row in read(table.to_reader(), time_zone="Asia/Tokyo")] == ["1970-01-01", "1970-01-02"]


def test_a_stream_that_lacks_a_column_is_refused():
    with pytest.raises(DataError, match=r'pyarrow .*Reader: no column "amount"'):
        read(PLAIN.drop(["amount"]).to_reader())


def test_an_index_is_no_column_and_says_so():
    with pytest.raises(
        DataError, match=r'"customer_id" \(customer=\) is in the index of the frame: give frame.reset_index'
    ):
        read(frame(customer_id=["a", "b"]).set_index("customer_id"))


def test_null_columns_and_periods_are_refused_as_what_they_are():
    with pytest.raises(DataError, match='"date" is missing in 2 of 2 rows'):
        read(frame(date=[None, None]))
    with pytest.raises(DataError, match='"date"'):
        read(frame(date=pd.period_range("2024-01", periods=2, freq="M")))


def test_a_text_among_numbers_joins_by_its_digits_in_a_frame():
    with pytest.warns(UserWarning, match="2 ids are numbers"):
        assert ids(frame(customer_id=pd.Series(["7", 7.0, 7], dtype=object))) == ["7"] * 3


def test_options_of_writing_reach_a_log():
    log = read_transactions(frame(amount=["1.234,50 €", "2,00 €", "3"]), decimal=",", thousands=".", currency="EUR")
    assert log.ledger[0].amount == 1239.5
