"""Parquet: one file or many, folders with keys, types that differ, and files that are none."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clvmodels.data import read_transactions
from clvmodels.foundation.errors import DataError
from tests.reader_cases import amounts, days, ids, read


def table(ids=("a", "b"), dates=("2024-01-01", "2024-01-02"), amounts=(1.0, 2.0)):
    return pa.table({"customer_id": ids, "date": dates, "amount": amounts})


@pytest.fixture
def write(tmp_path):
    def to(content, name="log.parquet", **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(content, path, **options)
        return path

    return to


DAY = [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]


@pytest.mark.parametrize(
    "dates",
    [
        pa.array(DAY), pa.array(DAY, pa.date64()), pa.array(DAY).cast(pa.timestamp("s")),
        pa.array(DAY).cast(pa.timestamp("ns")), pa.array(DAY).cast(pa.timestamp("us")),
        pa.array(DAY).cast(pa.string()), pa.array(DAY).cast(pa.string()).dictionary_encode(),
        pa.array(DAY).cast(pa.large_string()), pa.array(["2024-01-01", "2024-01-02"]).cast(pa.binary()),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "money",
    [
        pa.array([1, 2]), pa.array([1, 2], pa.uint8()), pa.array([1, 2], pa.float32()), pa.array(["1", "2"]),
        pa.array([Decimal("1.00"), Decimal("2.00")], pa.decimal128(20, 2)),
    ],
    ids=lambda money: str(money.type),
)  # fmt: skip
def test_columns_of_every_type_are_read(write, dates, money):
    path = write(table(dates=dates, amounts=money))
    assert read(path) == [("a", DAY[0], 1.0), ("b", DAY[1], 2.0)]


def test_files_whose_ids_are_numbers_texts_and_floats_name_customers_alike(write, tmp_path):
    for name, values in {"1": pa.array([7, 12]), "2": pa.array(["7", "012"]), "3": pa.array([7.0, 12.0])}.items():
        write(table(ids=values), f"{name}.parquet")
    assert ids(tmp_path / "*.parquet") == ["7", "12", "7", "012", "7", "12"]
    write(table(ids=pa.array([7.5, 12.0])), "4.parquet")
    with pytest.raises(DataError, match=r'ids ".*" and ".*" may be one customer'):
        ids(tmp_path / "*.parquet")


def test_whole_numbers_beside_floats_keep_their_digits_or_are_refused(write, tmp_path):
    write(table(ids=pa.array([2**53 + 1, 12])), "1.parquet")
    write(table(ids=pa.array([7.0, 12.0])), "2.parquet")
    with pytest.raises(DataError, match=r"from 2\^53 on"):
        ids(tmp_path / "*.parquet")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            pa.array(DAY),
            pa.array([20240101, 20240102]),
            'column "date" holds date32.* in 1.parquet, a number in 2.parquet',
        ),
        (
            pa.array(DAY).cast(pa.timestamp("us")),
            pa.array(DAY).cast(pa.timestamp("us", "UTC")),
            "times without a zone in 1",
        ),
        (
            pa.array(DAY).cast(pa.timestamp("us", "Asia/Tokyo")),
            pa.array(DAY).cast(pa.timestamp("us", "UTC")),
            "of the zone Asia/Tokyo",
        ),
    ],
)
def test_kinds_of_dates_that_differ_between_files_are_refused(write, tmp_path, first, second, message):
    write(table(dates=first), "1.parquet")
    write(table(dates=second), "2.parquet")
    with pytest.raises(DataError, match=message):
        days(tmp_path / "*.parquet")


def test_files_with_columns_in_another_order_or_more_are_joined_by_name(write, tmp_path):
    write(table(), "1.parquet")
    write(
        table(ids=["c", "d"], amounts=[3.0, 4.0])
        .select(["amount", "date", "customer_id"])
        .append_column("x", [[1, 2]]),
        "2.parquet",
    )
    assert list(zip(ids(tmp_path / "*.parquet"), amounts(tmp_path / "*.parquet"), strict=True)) == [
        ("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0),
    ]  # fmt: skip
    write(table().drop(["amount"]), "3.parquet")
    with pytest.raises(DataError, match=r'3\.parquet: no column "amount"'):
        ids(tmp_path / "*.parquet")


def test_a_folder_is_read_with_the_keys_of_its_folders(write, tmp_path):
    plain = table().drop(["customer_id"])
    write(plain, "log/customer_id=007/part=1/a.parquet")
    write(plain, "log/customer_id=8/part=1/a.parquet")
    write(plain, "log/_temporary/b.parquet")
    assert ids(tmp_path / "log") == ["007", "007", "8", "8"]
    assert read_transactions(tmp_path / "log").rows_read == 4


def test_a_key_of_a_folder_does_not_replace_a_column(write, tmp_path):
    write(table(), "log/customer_id=9/a.parquet")
    assert ids(tmp_path / "log") == ["a", "b"]


def test_a_bad_value_is_placed_in_its_file_by_its_row(write, tmp_path):
    write(table(), "1.parquet", row_group_size=1)
    write(table(amounts=pa.array([3.0, None])), "2.parquet")
    with pytest.raises(DataError, match=r'"amount" is missing in 1 of 4 rows \(first: 2\.parquet, row 2\)'):
        read(tmp_path / "*.parquet")


def test_a_file_that_is_cut_off_or_no_parquet_is_refused_by_name(write, tmp_path):
    path = write(table(), "2.parquet")
    write(table(), "1.parquet")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"2\.parquet: cannot be read as Parquet"):
        read(tmp_path / "*.parquet")
    path.write_text("customer_id,date,amount\n")
    with pytest.raises(DataError, match=r"2\.parquet: cannot be read as Parquet"):
        read(tmp_path / "*.parquet")


def test_damage_within_a_file_is_refused(write):
    path = write(table(ids=[f"customer {i}" for i in range(9999)], dates=["2024-01-01"] * 9999, amounts=[1.0] * 9999))
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = b"\xff" * (len(content) // 2 - len(content) // 3)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="cannot be read"):
        read(path)


def test_names_that_differ_by_case_alone_are_refused(write):
    path = write(table().append_column("Date", [["2020-01-01", "2020-01-02"]]))
    with pytest.raises(DataError, match='"date" and "Date" differ by case alone'):
        read(path)


def test_folders_that_are_tables_with_a_history_are_refused(write, tmp_path):
    write(table(), "delta/a.parquet")
    (tmp_path / "delta" / "_delta_log").mkdir()
    with pytest.raises(DataError, match="Delta or Iceberg table"):
        read(tmp_path / "delta")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is a folder without Parquet files"):
        read(tmp_path / "empty")


def test_a_column_name_of_a_file_cannot_become_sql(write, tmp_path):
    name = 'amount"; DROP TABLE x; --'
    path = write(table().rename_columns(["customer_id", "date", name]))
    assert read_transactions(path, amount=name).rows_read == 2
    assert pd.read_parquet(path).shape == (2, 3)
