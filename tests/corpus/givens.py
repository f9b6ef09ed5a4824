"""Inputs that need code to make them: each function gets an empty folder and returns the source."""

import datetime as dt
import gzip
import os
import zipfile
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clvmodels as clv

HEADER = "customer_id,date,amount\n"
TWO_DAYS = ["2024-01-01", "2024-01-02"]


def _frame(**columns):
    size = len(next(iter(columns.values())))
    plain = {
        "customer_id": ["a", "b", "c"],
        "date": ["2024-01-01", "2024-01-02", "2024-01-03"],
        "amount": [1.0, 2.0, 4.0],
    }
    return pd.DataFrame({name: values[:size] for name, values in plain.items()} | columns)


def _mixed(*values):
    return pd.Series(values, dtype=object)


def _table(**columns):
    plain = {"customer_id": ["a", "b"], "date": [dt.date(2024, 1, 1), dt.date(2024, 1, 2)], "amount": [1.0, 2.0]}
    return pa.table(plain | columns)


def _parquet(folder, table, name="log.parquet"):
    pq.write_table(table, folder / name)
    return folder / name


def _written(folder, content, name="log.csv"):
    (folder / name).write_bytes(content)
    return folder / name


# --- ids ---


def ids_seven_in_three_kinds(_):
    return _frame(customer_id=_mixed(7, 7.0, "7"))


def ids_seven_and_double_o_seven(_):
    return _frame(customer_id=_mixed(7, "007"))


def float_ids_beyond_exact(_):
    return _frame(customer_id=np.array([2.0**53, 2.0**53 + 2]))


def decimal_ids(_):
    ids = pa.array([Decimal("12345678901234567890"), Decimal("12345678901234567891")], pa.decimal128(20, 0))
    return _table(customer_id=ids)


def unsigned_ids(_):
    return _table(customer_id=pa.array([2**64 - 1, 2**64 - 2], pa.uint64()))


def missing_ids_of_every_kind(_):
    ids = _mixed("a", None, np.nan, pd.NA, "", "  ")
    return pd.DataFrame({"customer_id": ids, "date": "2024-01-01", "amount": 1.0})


def id_of_a_million_letters(folder):
    return _written(folder, f"{HEADER}{'x' * 1_000_000},2024-01-01,1\nb,2024-01-02,2\n".encode())


def long_ids_that_differ_late(folder):
    long = "x" * 1000
    return _written(folder, f"{HEADER}{long}1,2024-01-01,1\n{long}2,2024-01-02,2\n".encode())


def ids_of_bytes(_):
    return _table(customer_id=pa.array([b"a", b"b"]))


def ids_of_lists(_):
    return _table(customer_id=pa.array([["a"], ["b", "c"]]))


def categories_without_rows(_):
    return _frame(customer_id=pd.Categorical(["a", "b"], categories=["z", "b", "a"]))


# --- dates ---


def log_with_one_date_in_2999(_):
    size = 3000
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(size) % 360, unit="D")
    dates = days.strftime("%Y-%m-%d").to_numpy(dtype=object)
    dates[17] = "2999-01-01"
    return pd.DataFrame({"customer_id": [str(i % 500) for i in range(size)], "date": dates, "amount": 1.0})


def nat_in_a_column(_):
    return _frame(date=pd.to_datetime(["2024-01-01", None, "2024-01-03"]))


def nat_alone(_):
    return _frame(date=pd.to_datetime([None, None]))


def dates_and_texts(_):
    return _frame(date=_mixed(pd.Timestamp("2024-01-01"), "2024-01-02"))


def moments_of_two_zones(_):
    moments = (pd.Timestamp("2024-01-01 23:30", tz=zone) for zone in ("Asia/Tokyo", "America/New_York"))
    return _frame(date=_mixed(*moments))


def moments_with_and_without_zone(_):
    return _frame(date=_mixed(pd.Timestamp("2024-01-01 23:30", tz="Asia/Tokyo"), pd.Timestamp("2024-01-02 23:30")))


def moments_over_the_end_of_summer(_):
    moments = pd.to_datetime(
        ["2024-11-03T03:30Z", "2024-11-03T04:30Z", "2024-11-04T04:30Z", "2024-11-04T05:30Z"]
    ).tz_convert("America/New_York")
    return pd.DataFrame({"customer_id": "a", "date": moments, "amount": [1.0, 2.0, 4.0, 8.0]})


def months_of_a_frame(_):
    return _frame(date=pd.period_range("2024-01", periods=2, freq="M"))


def lengths_of_time(_):
    return _frame(date=pd.to_timedelta([1, 2], unit="D"))


def parquet_of_the_year_20000(folder):
    return _parquet(folder, _table(date=pa.array([6_585_000, 19_723], pa.int32()).cast(pa.date32())))


# --- amounts ---


def parquet_with_nan_amount(folder):
    return _parquet(folder, _table(amount=pa.array([1.0, float("nan")])))


def amounts_all_missing(_):
    return _frame(amount=_mixed(None, None))


def decimal_amounts(_):
    return _frame(amount=_mixed(Decimal("0.3"), Decimal("19.99")))


def infinite_decimal_amount(_):
    return _frame(amount=_mixed(Decimal("0.3"), Decimal("Infinity")))


def complex_amounts(_):
    return _frame(amount=[1 + 2j, 3.0])


def list_amounts(_):
    return _table(amount=pa.array([[1.0], [2.0, 3.0]]))


def amounts_of_time(_):
    return _frame(amount=pd.to_timedelta([1, 2], unit="D"))


# --- files ---


def latin_1_after_ten_thousand_rows(folder):
    rows = "".join(f"a{i},2024-01-01,1\n" for i in range(10_000))
    return _written(folder, (HEADER + rows).encode() + "Zo\u00eb,2024-01-01,1\n".encode("latin-1"))


def zip_named_csv(folder):
    with zipfile.ZipFile(folder / "log.csv", "w") as archive:
        archive.writestr("log.csv", HEADER + "a,2024-01-01,1\n")
    return folder / "log.csv"


def parquet_named_csv(folder):
    return _parquet(folder, _table(), "log.csv")


def gzip_named_csv(folder):
    return _written(folder, gzip.compress((HEADER + "a,2024-01-01,1\n").encode()))


def truncated_gzip(folder):
    rows = "".join(f"a{i},2024-01-01,{i}\n" for i in range(5000))
    content = gzip.compress((HEADER + rows).encode())
    return _written(folder, content[: len(content) // 2], "log.csv.gz")


def picture_named_csv(folder):
    return _written(folder, b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02" + bytes(99))


def truncated_parquet(folder):
    path = _parquet(folder, _table())
    return _written(folder, path.read_bytes()[:-20], "log.parquet")


def parquet_with_broken_pages(folder):
    path = _parquet(folder, _table(customer_id=[str(i) for i in range(2)]))
    content = bytearray(path.read_bytes())
    content[8:120] = b"\xff" * 112
    return _written(folder, bytes(content), "log.parquet")


def parquet_without_rows(folder):
    return _parquet(folder, _table().slice(0, 0))


def parquet_files_that_differ(folder):
    _parquet(folder, _table(), "a.parquet")
    _parquet(folder, _table().rename_columns(["customer_id", "date", "paid"]), "b.parquet")
    return folder / "*.parquet"


def parquet_files_with_ids_of_two_types(folder):
    _parquet(folder, _table(customer_id=pa.array([7, 7])), "a.parquet")
    _parquet(folder, _table(customer_id=pa.array([7.0, 7.0])), "b.parquet")
    return folder / "*.parquet"


def workbook_with_two_sheets(folder):
    with pd.ExcelWriter(folder / "log.xlsx", engine="openpyxl") as book:
        for year, ids in ((2023, [7, 12]), (2024, ["007", "7"])):
            dates = [dt.datetime(year, 1, 1), dt.datetime(year, 1, 2, 23, 59)]
            frame = pd.DataFrame({"customer_id": ids, "date": dates, "amount": [1.0, 2.5]})
            frame.to_excel(book, sheet_name=str(year), index=False)
    return folder / "log.xlsx"


def workbook_with_an_error(folder):
    frame = _frame(amount=_mixed(1.0, "#DIV/0!"))
    frame.to_excel(folder / "log.xlsx", index=False, engine="openpyxl")
    return folder / "log.xlsx"


def folder_of_text_files(folder):
    _written(folder, (HEADER + "a,2024-01-01,1\n").encode())
    return folder


def empty_folder(folder):
    return folder


def pipe(folder):
    os.mkfifo(folder / "log.csv")
    return folder / "log.csv"


def broken_link(folder):
    (folder / "log.csv").symlink_to(folder / "gone.csv")
    return folder / "log.csv"


def link_to_itself(folder):
    (folder / "log.csv").symlink_to(folder / "log.csv")
    return folder / "log.csv"


def file_without_permission(folder):
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    path = _written(folder, (HEADER + "a,2024-01-01,1\n").encode())
    path.chmod(0)
    return path


def name_of_300_characters(folder):
    return folder / ("x" * 300 + ".csv")


# --- sources ---


def nothing(_):
    return None


def open_file(folder):
    return _written(folder, HEADER.encode()).open()


def some_bytes(_):
    return b"log.csv"


def array_of_numbers(_):
    return np.ones((3, 3))


def series(_):
    return _frame(amount=[1.0, 2.0])["amount"]


def frame_without_columns(_):
    return pd.DataFrame(index=range(3))


def unbound_table(_):
    return ibis.table({"customer_id": "string", "date": "date", "amount": "float64"}, name="log")


def table_of_a_closed_data_base(_):
    connection = ibis.duckdb.connect()
    table = connection.create_table(
        "log", schema=ibis.schema({"customer_id": "string", "date": "date", "amount": "float"})
    )
    connection.disconnect()
    return table


# --- columns ---


def frame_with_two_amounts(_):
    return pd.DataFrame([["a", "2024-01-01", 1.0, 2.0]], columns=["customer_id", "date", "amount", "amount"])


def frame_with_columns_one_and_text_one(_):
    return pd.DataFrame([["a", "2024-01-01", 1.0, 2.0]], columns=["customer_id", "date", 1, "1"])


def frame_with_numbered_columns(_):
    return pd.DataFrame([["a", "2024-01-01", 1.0]])


def frame_with_columns_in_two_levels(_):
    columns = pd.MultiIndex.from_product([["log"], ["customer_id", "date", "amount"]])
    return pd.DataFrame([["a", "2024-01-01", 1.0]], columns=columns)


def five_thousand_columns(folder):
    names = ",".join(f"c{i}" for i in range(5000))
    zeros = ",".join("0" * 5000)
    return _written(folder, f"{names},customer_id,date,amount\n{zeros},a,2024-01-01,1\n".encode())


def lazy_polars_frame(_):
    return pl.LazyFrame({"customer_id": ["a"], "date": ["2024-01-01"], "amount": [1.0]})


# --- summaries of customers ---

CUSTOMERS = {
    "customer_id": ["a", "b"],
    "frequency": [2, 0],
    "recency": [3.0, 0.0],
    "T": [9.0, 8.0],
    "monetary_value": [5.0, np.nan],
}


def _customers(**columns):
    return pd.DataFrame(CUSTOMERS | columns)


def summary_with_nothing_of_every_kind(_):
    nothing = pd.DataFrame({"customer_id": list("abc"), "recency": 3.0, "T": 9.0})
    return nothing.assign(frequency=_mixed(1, None, pd.NA))


def summary_of_counts_with_a_sum_beyond(_):
    return _customers(n_customers=[2.0**53, 2.0**53])


def summary_of_seven_in_three_kinds(_):
    return pd.DataFrame({"customer_id": _mixed(7, 7.0, "7"), "frequency": 0, "recency": 0, "T": 9})


def summary_with_a_missing_id(_):
    return _customers(customer_id=["a", None])


def summary_of_odd_ids(_):
    ids = ["<b>x</b>", "=1+1", "../x", "\U0001f600", "'; drop table x; --", "\u202ea"]
    return pd.DataFrame({"customer_id": ids, "frequency": 0, "recency": 0, "T": 9})


def summary_in_timedeltas(_):
    return _customers(recency=pd.to_timedelta([3, 0], unit="D"), T=pd.to_timedelta([9, 8], unit="D"))


def summary_in_dates(_):
    return _customers(recency=pd.to_datetime(TWO_DAYS), T=pd.to_datetime(TWO_DAYS))


def summary_in_complex_numbers(_):
    return _customers(recency=[3 + 0j, 0j])


def summary_with_two_frequencies(_):
    return pd.DataFrame([["a", 1, 2, 3.0, 9.0]], columns=["customer_id", "frequency", "frequency", "recency", "T"])


def summary_with_two_ids(_):
    return pd.DataFrame([["a", "b", 1, 3.0, 9.0]], columns=["customer_id", "customer_id", "frequency", "recency", "T"])


def plain_frame_of_customers(_):
    return _customers()


def customers(_):
    return clv.CustomerSummary.from_frame(_customers(), unit="week")


def customers_in_months(_):
    return clv.CustomerSummary.from_frame(_customers(), unit="month")


def customers_in_yen(_):
    return clv.CustomerSummary.from_frame(_customers(), unit="week", currency="JPY")


def customers_with_ages_unknown(_):
    frame = pd.DataFrame({"customer_id": list("abc"), "frequency": [2, 0, 1], "recency": [3.0, 0, 2], "T": 9.0})
    frame["age"] = [30.0, np.nan, np.inf]
    return clv.CustomerSummary.from_frame(frame, unit="week", covariates=["age"])


def customers_with_a_channel_unknown(_):
    frame = _customers(channel=["web", None])
    return clv.CustomerSummary.from_frame(frame, unit="week", groups=["channel"])


def log(_):
    return clv.read_transactions(_frame(amount=[1.0, 2.0, 4.0]))


# --- contracts ---


def contracts_with_nat(_):
    days = pd.to_datetime(["2024-01-01", "2024-02-01", None])
    return pd.DataFrame({"customer_id": list("abc"), "start": days, "end": pd.to_datetime([None, "2024-03-01", None])})


def table_of_retention(_):
    return clv.RetentionTable.from_survivors(pd.DataFrame({"age": [0, 1], "survivors": [9, 5]}), unit="month")


def table_of_retention_without_losses(_):
    return clv.RetentionTable.from_survivors(pd.DataFrame({"age": [0, 1], "survivors": [9, 9]}), unit="month")


def survivors_by_date(_):
    return pd.DataFrame({"age": pd.to_datetime(TWO_DAYS), "survivors": [9, 5]})


# --- studies ---

STUDY = """\
name = "odd"
seed = 5
languages = ["en"]
title = { en = "An odd shop" }

[data]
source = "{folder}/log.csv"
currency = "EUR"
customer = "client"
date = "day"
amount = "paid"

[window]
calibration_end = 2023-12-31
holdout_end = 2024-04-30
unit = "week"

[fit]
draws = 200
replicates = 20
allow = ["infinite_mean"]

[value]
horizon = 26
annual_discount_rate = 0.075
margin = 0.3

[matrix]
names = "metal"
current = { share_of_value = 0.8 }
future = { amount = 20.0 }

[contest]
baselines = ["same_rate"]
replicates = 100
"""


def shop(ids):
    """Three purchases or more of each of the customers, over the days of the study's window."""
    rng = np.random.default_rng(1)
    lines = []
    for place, name in enumerate(ids):
        first = int(rng.integers(0, 200)) * (place > 0)
        times = np.cumsum(np.ceil(rng.exponential(rng.gamma(2.0, 30.0), size=1 + place % 7))).astype(int)
        days = [0, *(day for day in times if first + day <= 480), *([485] if place == 0 else [])]
        dates = [dt.date(2023, 1, 1) + dt.timedelta(days=int(first + day)) for day in days]
        lines += [(name, date.isoformat(), round(float(rng.gamma(3.0, 10.0)), 2)) for date in dates]
    return pd.DataFrame(lines, columns=["client", "day", "paid"])
