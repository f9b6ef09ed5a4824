"""Reading a log: every row is used or set aside with a reason, or the call is refused with its place."""

import datetime as dt
import hashlib
import math
import subprocess
import sys

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clvmodels.data import DATASETS, engines, read_transactions
from clvmodels.foundation.errors import DataError

HEADER = "customer_id,date,amount\n"


@pytest.fixture
def csv(tmp_path):
    """Writes a text file and returns its path."""

    def write(text, name="log.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def frame(**columns):
    plain = {
        "customer_id": ["a", "b", "a"],
        "date": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-05"]),
    }
    return pd.DataFrame(plain | {"amount": [1.0, 2.0, 3.5]} | columns)


def rows(log):
    table = log.table.select("customer_id", "date", "amount", "lines").order_by("customer_id", "date")
    return [tuple(row.values()) for row in table.to_pyarrow().to_pylist()]


# --- CDNOW ---


def test_the_cdnow_master_has_its_published_counts():
    log = read_transactions("dataset:cdnow")
    assert (log.rows_read, log.occasions, log.n_customers) == (69_659, 67_591, 23_570)
    assert (log.first_date, log.last_date) == (dt.date(1997, 1, 1), dt.date(1998, 6, 30))
    assert [(line.reason, line.rows) for line in log.ledger] == [("used", 69_659)]
    assert {note.reason: note.rows for note in log.notes} == {"zero_amount": 80, "repeated_line": 255}


def test_the_cdnow_sample_names_its_customers_as_the_master_does(cdnow_log):
    master = read_transactions("dataset:cdnow").table
    sample = cdnow_log.table
    own = sample.join(master, ["customer_id", "date", "amount", "lines"], how="anti").count().to_pyarrow().as_py()
    assert (cdnow_log.n_customers, cdnow_log.rows_read, own) == (2_357, 6_919, 0)


def test_the_digest_of_a_file_is_that_of_its_bytes(cdnow_log):
    content = DATASETS["cdnow_sample"].path.read_bytes()
    assert cdnow_log.digest == hashlib.sha256(content).hexdigest()


def test_amounts_of_the_sample_add_up_to_a_sum_made_by_hand(cdnow_log):
    lines = DATASETS["cdnow_sample"].path.read_text().split("\n")
    by_hand = math.fsum(float(line.split()[4]) for line in lines if line.strip())
    assert cdnow_log.ledger[0].amount == pytest.approx(by_hand, abs=1e-6)


# --- sources ---


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f,
        pl.from_pandas,
        lambda f: pl.from_pandas(f).lazy(),
        pa.Table.from_pandas,
        ibis.memtable,
        lambda f: f.assign(date=f["date"].dt.strftime("%Y-%m-%d")),
        lambda f: f.assign(date=f["date"].dt.date),
        lambda f: f.assign(customer_id=f["customer_id"].astype("category")),
        lambda f: f.assign(amount=f["amount"].astype(str)),
        lambda f: f.assign(extra=["x", None, 3.0]),
        lambda f: f.set_index(pd.Index([9, 9, 2])),
    ],
)
def test_every_kind_of_frame_gives_the_same_log(convert):
    log = read_transactions(convert(frame()))
    assert rows(log) == rows(read_transactions(frame()))
    assert log.digest == read_transactions(frame()).digest


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_files_give_the_log_of_the_frame_that_they_were_written_from(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    table = frame(customer_id=["007", "010", "007"])
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    log = read_transactions(path)
    assert rows(log) == rows(read_transactions(table))
    assert {row[0] for row in rows(log)} == {"007", "010"}


def test_files_of_a_glob_are_read_together_and_hashed_in_name_order(csv, tmp_path):
    first = csv(HEADER + "a,2024-01-01,1\n", "b.csv")
    csv(HEADER + "a,2024-01-01,2\nb,2024-01-03,5\n", "a.csv")
    log = read_transactions(tmp_path / "*.csv")
    assert rows(log) == [("a", dt.date(2024, 1, 1), 3.0, 2), ("b", dt.date(2024, 1, 3), 5.0, 1)]
    content = (tmp_path / "a.csv").read_bytes() + first.read_bytes()
    assert log.digest == hashlib.sha256(content).hexdigest()


def test_quotes_marks_of_order_and_windows_line_ends_are_read(csv):
    first = '"a;1";"say ""hi""";2024-01-01 23:59;1.5'
    text = f"\ufeffcustomer_id;note;date;amount\r\n{first}\r\n\r\nb;;2024-01-02T08:00;2\r\n"
    assert rows(read_transactions(csv(text))) == [
        ("a;1", dt.date(2024, 1, 1), 1.5, 1),
        ("b", dt.date(2024, 1, 2), 2.0, 1),
    ]


def test_a_file_without_header_and_in_another_encoding_is_read(csv):
    path = csv("Zo\xeb|20240101|2.5\n", encoding="latin-1")
    columns = ["customer_id", "date", "amount"]
    log = read_transactions(path, columns=columns, delimiter="|", encoding="latin-1", date_format="%Y%m%d")
    assert rows(log) == [("Zo\xeb", dt.date(2024, 1, 1), 2.5, 1)]


def test_a_column_name_cannot_become_sql(csv):
    name = 'date"; DROP TABLE x; --'
    log = read_transactions(frame().rename(columns={"date": name}), date=name)
    path = csv(f'customer_id,"{name.replace(chr(34), chr(34) * 2)}",amount\na,2024-01-01,1\n')
    assert log.occasions == 3
    assert read_transactions(path, date=name).occasions == 1


def test_a_named_data_set_refuses_columns_of_its_own():
    with pytest.raises(DataError, match="brings its own columns"):
        read_transactions("dataset:cdnow", customer="id")


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install lifetimes"):
        read_transactions("dataset:cdnow")


# --- ids ---


def test_whole_numbers_held_as_floats_are_written_without_a_point():
    log = read_transactions(frame(customer_id=[17850.0, 2.0, 17850.0]))
    assert {row[0] for row in rows(log)} == {"17850", "2"}
    assert rows(log) == rows(read_transactions(frame(customer_id=[17850, 2, 17850])))


def test_blanks_around_an_id_are_no_part_of_it():
    assert read_transactions(frame(customer_id=["a", " a", "a "])).n_customers == 1


def test_a_number_that_reads_like_a_text_id_is_joined_with_a_warning():
    mixed = frame(customer_id=pd.Series(["17850", "b", 17850], dtype=object))
    with pytest.warns(UserWarning, match="1 ids are numbers"):
        log = read_transactions(mixed)
    assert log.n_customers == 2
    assert [note.reason for note in log.notes] == ["mixed_id"]


def test_a_number_among_text_ids_that_is_none_of_them_is_refused():
    with pytest.raises(DataError, match=r"mixes texts and numbers, and 1 numbers .*row 2, 5"):
        read_transactions(frame(customer_id=pd.Series(["a", "b", 5], dtype=object)))


def test_ids_that_differ_by_case_alone_stay_apart_and_are_noted():
    log = read_transactions(frame(customer_id=["a", "b", "A"]))
    assert (log.n_customers, [(note.reason, note.rows) for note in log.notes]) == (3, [("similar_id", 1)])


# --- dates ---


@pytest.mark.parametrize(
    ("written", "date_format"),
    [
        ("1997-03-04", None),
        ("1997-03-04 23:59:59.5", None),
        ("1997-03-04T23:59:59+09:00", None),
        ("19970304", "%Y%m%d"),
        ("04/03/1997", "%d/%m/%Y"),
        ("4.3.1997", "%d.%m.%Y"),
        ("3/4/1997 8:26", "%m/%d/%Y %H:%M"),
    ],
)
def test_a_date_is_the_day_that_is_written(csv, written, date_format):
    log = read_transactions(csv(f"{HEADER}a,{written},1\n"), date_format=date_format)
    assert log.first_date == dt.date(1997, 3, 4)


def test_whole_numbers_are_dates_only_with_a_format():
    with pytest.raises(DataError, match="give date_format"):
        read_transactions(frame(date=[20240101, 20240102, 20240105]))
    log = read_transactions(frame(date=[20240101, 20240102, 20240105]), date_format="%Y%m%d")
    assert rows(log) == rows(read_transactions(frame()))


def test_moments_in_a_time_zone_fall_on_the_local_day():
    late = pd.to_datetime(["2024-01-01 23:30", "2024-01-02 00:30", "2024-01-05 23:30"])
    for zone in ("Asia/Tokyo", "America/Los_Angeles"):
        assert rows(read_transactions(frame(date=late.tz_localize(zone)))) == rows(read_transactions(frame()))


def test_days_do_not_depend_on_the_time_zone_of_the_machine(csv):
    path = csv(HEADER + "a,2024-03-31 02:30:00,1\n")
    script = f"from clvmodels.data import read_transactions as r; print(r({str(path)!r}).first_date)"
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={"TZ": "Asia/Kathmandu"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "2024-03-31"


def test_days_far_from_all_others_are_noted():
    log = read_transactions(frame(date=["1970-01-01", "2024-01-02", "2024-01-05"]))
    assert ("far_date", 1, 1.0) in [(note.reason, note.rows, note.amount) for note in log.notes]


# --- refusals ---


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a,03/04/1997,1\n", r'log.csv, line 2: "03/04/1997".*"%d/%m/%Y" or "%m/%d/%Y" .*cannot be told'),
        ("a,2024-01-01,1\n\nb,2024-02-30,1\n", r'1 of 2 rows \(first: log.csv, line 4: "2024-02-30"\)'),
        ("a,25/12/1997,1\n", r'Give date_format="%d/%m/%Y"\.'),
        ("a,epoch,1\n", r'"date" cannot be used .*"epoch"'),
        ("a,infinity,1\n", r'"date" cannot be used .*"infinity"'),
        ("a,,1\n", r'"date" is missing in 1 of 1 rows \(first: log.csv, line 2\)'),
        ("a,2024-01-01,\n", r'"amount" is missing in 1 of 1 rows'),
        ('a,2024-01-01,"12,50"\n', r'"amount" cannot be used .*"12,50".*1234\.50'),
        (
            "a,2024-01-01,1\nb,2024-01-01,abc\nc,2024-01-01,x\n",
            r'in 2 of 3 rows \(first: log.csv, line 3: "abc"\)',
        ),
        ("a,2024-01-01,inf\n", r'"amount" cannot be used .*"inf".*finite'),
        ("a,2024-01-01,nan\n", r'"amount" cannot be used .*"nan".*finite'),
        ("a,2024-01-01,1e300\n", r'"amount" cannot be used .*"1e300".*below 1e15'),
        (
            "a,2024-01-01,1\n ,2024-01-01,1\n",
            r'"customer_id" is missing in 1 of 2 rows \(first: log.csv, line 3\)',
        ),
        ("a,2024-01-01,1,9\n", r"cannot be read. Line 2 has 4 fields where the header has 3"),
        ("a,2024-01-01\n", r"cannot be read. Line 2 has 2 fields where the header has 3"),
        ("", "there are no rows"),
        ("a,2024-01-01,-1\n", "no purchase is left"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_place(csv, body, message):
    with pytest.raises(DataError, match=message):
        read_transactions(csv(HEADER + body))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "Customer ID,date,amount",
            'no column "customer_id".*it has: Customer ID, date, amount.*customer="Customer ID"',
        ),
        ("customer_id,date,amuont", 'no column "amount".*Did you mean amount="amuont"'),
        ("customer_id,date,amount,date", '2 columns have the name "date"'),
    ],
)
def test_a_column_that_is_not_there_once_is_refused(csv, header, message):
    with pytest.raises(DataError, match=message):
        read_transactions(csv(header + "\na,2024-01-01,1,1\n"))
    with pytest.raises(DataError, match=message):
        read_transactions(pd.DataFrame([["a"] * len(header.split(","))], columns=header.split(",")))


def test_the_line_counts_lines_within_quotes_and_files_before(csv, tmp_path):
    csv(HEADER + "a,2024-01-01,1\n", "a.csv")
    csv('customer_id,date,amount\n"b\n\nb",2024-01-01,1\n\nc,2024-01-01,?\n', "b.csv")
    with pytest.raises(DataError, match=r'first: b\.csv, line 6: "\?"'):
        read_transactions(tmp_path / "*.csv")


def test_a_line_of_a_blank_separated_file_is_named(csv):
    path = csv(" customer_id date amount\n 1  2024-01-01   1\n\n 2  2024-01-01   zwei\n", "log.txt")
    with pytest.raises(DataError, match=r'log\.txt, line 4: "zwei"'):
        read_transactions(path, delimiter=" ")


def test_the_row_of_a_frame_is_its_position():
    with pytest.raises(DataError, match=r'"amount" is missing in 1 of 3 rows \(first: row 1\)'):
        read_transactions(frame(amount=[1.0, np.nan, 2.0]).set_index(pd.Index([7, 8, 9])))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.csv", "there is no such file"),
        ("nowhere/*.csv", "no file matches"),
        ("dataset:cdnov", 'expected one of "dataset:cdnow", "dataset:cdnow_sample"'),
        (3, "source of type int: expected a path"),
    ],
)
def test_a_source_that_is_not_there_is_refused(source, message):
    with pytest.raises(DataError, match=message):
        read_transactions(source)


def test_files_that_cannot_be_read_are_refused(csv, tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_transactions(tmp_path)
    with pytest.raises(DataError, match="the file is empty"):
        read_transactions(csv(""))
    with pytest.raises(DataError, match="cannot be read"):
        read_transactions(csv("no parquet", "log.parquet"))
    with pytest.raises(DataError, match="is not text in encoding"):
        read_transactions(csv(HEADER + "\xe9,2024-01-01,1\n", encoding="latin-1"))
    with pytest.raises(DataError, match="both Parquet and text"):
        read_transactions(tmp_path / "log.*")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"refunds": "nett"}, 'refunds = "nett": expected one of "net", "match", "drop", "keep"'),
        ({"zero_amounts": "no"}, 'zero_amounts = "no": expected one of "keep", "drop"'),
        ({"missing_ids": "keep"}, 'missing_ids = "keep": expected one of "refuse", "drop"'),
        ({"date_format": "yyyymmdd"}, 'date_format = "yyyymmdd": expected codes'),
    ],
)
def test_a_word_that_is_no_option_is_refused_before_the_source_is_opened(option, message):
    with pytest.raises(DataError, match=message):
        read_transactions("nowhere.csv", **option)


def test_what_binary_sums_leave_of_nothing_counts_as_nothing():
    # a year of groceries has 1.8e-15 where discounts take a price away; amounts too small for six decimals are refused
    log = read_transactions(frame(amount=[0.1 + 0.2 - 0.3, 2.0, 3.5]))
    assert log.gross == 5.5
    with pytest.raises(DataError, match="six decimals"):
        read_transactions(frame(amount=[1e-7, 2.0, 3.5]))


def test_kinds_that_are_no_amounts_are_refused():
    with pytest.raises(DataError, match='"amount" holds boolean'):
        read_transactions(frame(amount=[True, False, True]))
    with pytest.raises(DataError, match="values of several kinds"):
        read_transactions(frame(date=pd.Series(["2024-01-01", 3, None], dtype=object)))


# --- the engine ---


def test_the_engine_works_in_utc_and_fetches_nothing():
    settings = ("TimeZone", "autoinstall_known_extensions", "memory_limit")
    timezone, fetch, limit = (
        engines.duckdb().raw_sql(f"SELECT current_setting('{name}')").fetchall()[0][0] for name in settings
    )
    assert (timezone, fetch) == ("UTC", False)
    assert limit.endswith(("GiB", "MiB"))


def test_a_log_leaves_the_engine_when_nothing_refers_to_it():
    def tables():
        return engines.duckdb().raw_sql("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0]

    before = tables()
    log = read_transactions(frame())
    derived = log.table.filter(log.table.amount > 1)
    del log
    assert derived.count().to_pyarrow().as_py() == 2  # what is derived from a log keeps its table
    del derived
    assert tables() == before


def test_the_data_floor_is_imported_without_the_engine():
    script = "import sys, clvmodels.data as d; d.compress; sys.exit(bool({'ibis', 'duckdb'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_name_that_the_floor_does_not_have_is_an_attribute_error():
    import clvmodels.data

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        clvmodels.data.nothing  # noqa: B018
