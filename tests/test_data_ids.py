"""Ids of customers: always text, 7 and 7.0 and "7" one customer or refused, missing ones never a customer."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clvmodels as clv
from clvmodels.data import read_transactions
from clvmodels.foundation.errors import DataError
from tests.reader_cases import HEADER, frame, ids


@pytest.fixture
def write(tmp_path):
    def to(*written):
        path = tmp_path / "log.csv"
        path.write_text(HEADER + "".join(f"{value},2024-01-01,1\n" for value in written))
        return path

    return to


def test_leading_zeros_of_text_are_kept_everywhere(write):
    assert ids(write("007", "7", "0007.5")) == ["007", "7", "0007.5"]
    assert ids(frame(customer_id=["007", "7"])) == ["007", "7"]


@pytest.mark.parametrize(
    "values",
    [
        [7, 12],
        [7.0, 12.0],
        pd.array([7, 12], dtype="Int64"),
        pd.array([7, 12], dtype="float32"),
        pd.array([7, 12], dtype="uint64"),
        pd.array([7, 12], dtype=pd.ArrowDtype(pa.int32())),
        pd.array(["7", "12"], dtype="string"),
        pd.Categorical(["7", "12"]),
        pd.Categorical([7, 12]),
        [Decimal("7"), Decimal("12.00")],
        pd.Series(["7.0", "12.0"]),
        pd.Series(["7.", "12.00"]),
    ],
)
def test_ids_of_every_kind_read_as_the_same_text(values):
    assert ids(frame(customer_id=values)) == ["7", "12"]


def test_wide_ids_keep_every_digit(tmp_path):
    wide = [9_007_199_254_740_993, 9_007_199_254_740_992]
    assert ids(frame(customer_id=wide)) == [str(value) for value in wide]
    exact = pa.table({
        "customer_id": pa.array([Decimal("12345678901234567890123"), Decimal("5")], pa.decimal128(38, 0)),
        "date": ["2024-01-01"] * 2, "amount": [1.0, 2.0],
    })  # fmt: skip
    pq.write_table(exact, tmp_path / "log.parquet")
    assert ids(exact) == ids(tmp_path / "log.parquet") == ["12345678901234567890123", "5"]


def test_floats_that_cannot_tell_neighbours_apart_are_refused():
    with pytest.raises(DataError, match=r"cannot be used in 1 of 2 rows \(first: row 1.*from 2\^53 on"):
        ids(frame(customer_id=[7.0, 2.0**53 + 2]))
    with pytest.raises(DataError, match=r"from 2\^53 on"):
        ids(frame(customer_id=[7.0, float("inf")]))


@pytest.mark.parametrize("written", ["1.7850E+4", "1.785e+16", "2E+07", "1.79E4"])
def test_ids_in_powers_of_ten_are_refused(write, written):
    with pytest.raises(DataError, match=r"log\.csv, line 3.*last digits of such ids are lost"):
        ids(write("17850", written))


def test_names_that_look_like_powers_of_ten_are_names(write):
    assert ids(write("12345e67", "1E5", "e+5", "Eve")) == ["12345e67", "1E5", "e+5", "Eve"]


@pytest.mark.parametrize("written", ["7.0", "7.", "7.00"])
def test_a_whole_number_with_a_point_is_the_one_without(write, written):
    log = read_transactions(write("7", written, "a.b", "x.0"))
    assert sorted(log.table.customer_id.to_pyarrow().to_pylist()) == ["7", "a.b", "x.0"]
    assert [(note.reason, note.rows) for note in log.notes if note.reason == "mixed_id"] == [("mixed_id", 1)]


def test_ids_that_may_be_one_customer_are_refused_where_others_have_decimals(write):
    with pytest.raises(DataError, match=r'ids "7" and "7\.0" may be one customer'):
        ids(write("7", "7.0", "7.5"))


def test_ids_with_decimals_stay_as_they_are_where_none_is_written_in_two_ways(write):
    assert ids(write("1.1", "1.10", "2.0", "3")) == ["1.1", "1.10", "2.0", "3"]


@pytest.mark.parametrize(
    "written", ["NaN", "nan", "NA", "<NA>", "N/A", "n/a", "#N/A", "None", "NULL", "null", "-", "", "  ", " nan "]
)
def test_a_marker_of_missing_is_no_customer(write, written):
    with pytest.raises(DataError, match=r"is missing in 1 of 2 rows|cannot be used in 1 of 2 rows"):
        ids(write("7", written))
    assert ids(write("7", written), missing_ids="drop") == ["7", None]


def test_words_that_are_near_a_marker_are_customers(write):
    written = ["Nan", "Nina", "none", "Null", "--", "NaN1", "N"]
    assert ids(write(*written)) == written


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_a_missing_id_of_a_frame_is_missing(missing):
    assert ids(frame(customer_id=pd.Series(["7", missing], dtype=object)), missing_ids="drop") == ["7", None]


@pytest.mark.parametrize("values", [[True, False], [["a"], ["b"]], [{"a": 1}, {"a": 2}]])
def test_kinds_that_are_no_ids_are_refused(values):
    with pytest.raises(DataError, match=r'column "customer_id" holds .*, not ids'):
        ids(frame(customer_id=values))


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "=1+1",
        "../../etc/passwd",
        "'; DROP TABLE x; --",
        "C:\\x",
        "a\tb",
        "a\nb",
        "%s",
        "{0}",
    ],
)
def test_an_id_is_never_more_than_a_text(write, hostile):
    assert ids(frame(customer_id=[hostile])) == [hostile]


def test_contracts_join_ids_of_two_spellings_too():
    contracts = pl.DataFrame(
        {"customer_id": ["7", "7.0"], "start": ["2024-01-01", "2024-02-01"], "end": ["2024-02-01", None]}
    )
    table = clv.retention_table(contracts, unit="month", observation_end=dt.date(2024, 6, 30))
    assert len(table) == 1
