"""Engines: what a log comes to is the same on each, to the last digit."""

import dataclasses
import datetime as dt
import gc
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clvmodels as clv
from clvmodels.data import (
    alternatives,
    calendar_history,
    choices,
    compress_log,
    first_purchase_days,
    period_ends,
    purchases_by_period,
)
from clvmodels.data.engines import engine_of, exact_log, in_duckdb, materialise
from clvmodels.foundation.errors import DataError
from tests.spark_session import local_spark, why_not

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:pyspark"),
]
RETAIL = Path(__file__).parents[2] / "shared" / "data" / "online_retail" / "transactions.parquet"
SCHEMA = {
    "customer_id": "string",
    "day": "date",
    "amount": "double",
    "invoice": "string",
    "sku": "string",
    "code": "string",
    "units": "long",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    if why_not() is not None:
        pytest.skip(why_not())
    with local_spark(tmp_path_factory.mktemp("spark")) as connection:
        yield connection


def in_spark(connection, frame, schema=None):
    """A pandas frame as a table of Spark."""
    name = ibis.util.gen_name("given")
    rows = frame.astype(object).where(frame.notna(), None)
    ddl = ", ".join(f"{column} {kind}" for column, kind in (schema or SCHEMA).items())
    session = connection.raw_sql("SELECT 1").sparkSession
    session.createDataFrame(rows.to_dict("records"), ddl).createOrReplaceTempView(name)
    return connection.table(name)


@pytest.fixture(scope="session")
def duckdb():
    connection = ibis.duckdb.connect()
    yield connection
    connection.disconnect()


@pytest.fixture(params=["duckdb", "pyspark"])
def table_of(request):
    """Puts a frame into an engine of the user's own."""
    if request.param == "pyspark":
        connection = request.getfixturevalue("spark")
        return lambda frame, schema=None: in_spark(connection, frame, schema)
    connection = request.getfixturevalue("duckdb")
    return lambda frame, schema=None: connection.create_table(ibis.util.gen_name("given"), pa.Table.from_pandas(frame))


def nasty_rows(size=250, seed=1):
    rng = np.random.default_rng(seed)
    amounts = [10.0, 20.0, -10.0, 0.0, 33.333333, 1e10 + 0.123457, 0.1 + 0.2, -20.0, 5.0000005, 3.1e14]
    frame = pd.DataFrame(
        {
            "customer_id": rng.choice(["a", " b", "\tc ", "07", "7", "中", "Ä", "é x", "zz", "B"], size),
            "day": [dt.date(2023, 12, 29) + dt.timedelta(days=int(step)) for step in rng.integers(0, 250, size)],
            "amount": rng.choice(amounts, size, p=[0.2, 0.15, 0.1, 0.1, 0.1, 0.02, 0.1, 0.1, 0.12, 0.01]),
            "invoice": rng.choice(["i1", "i2", " i3"], size),
            "sku": rng.choice(["A", "POST"], size, p=[0.9, 0.1]),
            "code": rng.choice(["USD", "usd", "EUR"], size, p=[0.6, 0.3, 0.1]),
            "units": rng.choice([1, 3], size, p=[0.9, 0.1]),
        }
    ).astype(object)
    frame.loc[rng.random(size) < 0.05, "customer_id"] = None
    frame.loc[rng.random(size) < 0.2, "invoice"] = None
    frame["amount"], frame["units"] = frame["amount"].astype(float), frame["units"].astype(int)
    return pd.concat([frame, frame.iloc[:10]])  # some rows twice


OPTIONS = {
    "date": "day",
    "order": "invoice",
    "quantity": "units",
    "currency_column": "code",
    "other_currencies": "drop",
    "missing_ids": "drop",
    "exclude": {"sku": ["POST", "NONE"]},
}


def differences(ours, theirs, place=""):
    """Places at which two results differ, in value, kind or number."""
    if dataclasses.is_dataclass(ours):
        names = [field.name for field in dataclasses.fields(ours) if field.compare]
        pairs = [(getattr(ours, name), getattr(theirs, name), f"{place}.{name}") for name in names]
    elif isinstance(ours, (list, tuple, dict)):
        if len(ours) != len(theirs):
            return [f"{place}: {ours} / {theirs}"]
        both = zip(*(one.items() if isinstance(one, dict) else enumerate(one) for one in (ours, theirs)), strict=True)
        pairs = [(a[1], b[1], f"{place}[{a[0]}]") for a, b in both]
    elif isinstance(ours, np.ndarray):
        same = ours.dtype == theirs.dtype and np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")
        return [] if same else [f"{place}: {ours} / {theirs}"]
    else:
        same = type(ours) is type(theirs) and (ours == theirs or ours != ours)
        return [] if same else [f"{place}: {ours!r} / {theirs!r}"]
    return [found for pair in pairs for found in differences(*pair)]


def facts(log):
    """What a log says of itself."""
    names = ("ledger", "rules", "rows_read", "gross", "occasions", "first_date", "last_date", "findings", "digest")
    rows = log.table.order_by("customer_id", "date").to_pyarrow().to_pylist()
    return {name: getattr(log, name) for name in names} | {"rows": rows}


def summaries(log, window):
    """What is worked out of a log."""
    end = window.calibration_end
    return {
        "customers": clv.customer_summary(
            log, window, calendar=clv.calendar(log, window, waves=2, seasons=["quarters"])
        ),
        "holdout": clv.holdout_summary(log, window),
        "patterns": compress_log(log, window),
        "counted": clv.counted_summary(log, window),
        "spend": clv.compress_spend_log(log, window),
        "slices": list(clv.summary_batches(log, window, rows=4)),
        "history": [calendar_history(log, unit=unit) for unit in ("week", "month")],
        "triangle": [clv.cohort_triangle(log, unit=unit) for unit in ("week", "month")],
        "opportunities": [clv.opportunity_summary(log, clv.Window(end, unit=unit)) for unit in ("week", "month")],
        "by_period": purchases_by_period(log, window, ends=period_ends(log, window)),
        "first_days": first_purchase_days(log, window),
        "base": [clv.base_periods(log, windows=windows) for windows in ("quarter", "month")],
        "halves": clv.repeats_by_half(log, window),
        "choices": choices(log),
        "alternatives": alternatives(log),
    }


@pytest.mark.parametrize("refunds", ["net", "match"])
def test_a_log_is_the_same_on_every_engine(table_of, refunds):
    frame = nasty_rows()
    ours, theirs = (
        clv.read_transactions(source, refunds=refunds, first_refunds="drop", duplicates="drop", **OPTIONS)
        for source in (frame, table_of(frame))
    )
    assert ours.ledger
    assert differences(facts(ours), facts(theirs)) == []


def test_summaries_are_the_same_on_every_engine(table_of):
    frame = nasty_rows(seed=2)
    window = clv.Window("2024-06-30", "2024-08-31")
    ours, theirs = (summaries(clv.read_transactions(source, **OPTIONS), window) for source in (frame, table_of(frame)))
    assert differences(ours, theirs) == []


def test_cdnow_is_the_same_on_every_engine(table_of, cdnow_log, cdnow, cdnow_holdout, window):
    rows = cdnow_log.rows.to_pyarrow().to_pandas()[["customer_id", "date", "amount"]]
    schema = {"customer_id": "string", "date": "date", "amount": "double"}
    log = clv.read_transactions(table_of(rows, schema))
    assert log.findings == cdnow_log.findings
    assert log.ledger == cdnow_log.ledger
    assert differences(cdnow, clv.customer_summary(log, window)) == []
    assert differences(cdnow_holdout, clv.holdout_summary(log, window)) == []
    assert differences(compress_log(cdnow_log, window), compress_log(log, window)) == []


def test_online_retail_is_the_same_on_spark(spark):
    if not RETAIL.is_file():
        pytest.skip("needs shared/data/online_retail beside the checkout")
    options = {
        "order": "invoice_id",
        "currency": "GBP",
        "missing_ids": "drop",
        "refunds": "match",
        "zero_amounts": "drop",
        "exclude": {"stock_code": ["POST", "D", "M", "BANK CHARGES", "AMAZONFEE", "CRUK"]},
    }
    window = clv.Window("2011-06-30", "2011-11-30")
    ours, theirs = (
        clv.read_transactions(source, **options) for source in (pq.read_table(RETAIL), spark.read_parquet(str(RETAIL)))
    )
    assert ours.ledger == theirs.ledger
    assert ours.digest == theirs.digest
    both = ({"findings": log.findings, "customers": clv.customer_summary(log, window)} for log in (ours, theirs))
    assert differences(*both) == []


def test_decimals_of_floats_are_the_same_on_every_engine(spark):
    rng = np.random.default_rng(5)
    size = 10.0 ** rng.integers(-3, 16, 4000)
    values = np.concatenate([size * rng.uniform(-0.99, 0.99, 4000), np.round(size * rng.uniform(-0.9, 0.9, 4000), 6)])
    halves = np.concatenate([values[:2000] + 5e-7, [0.0, -0.0, 5e-7, -1.5e-6, 1e15, -1e15]])
    frame = pd.DataFrame({"x": np.concatenate([values, halves])}).reset_index(names="place")
    found = []
    for codegen in ("false", "true"):
        spark.raw_sql(f"SET spark.sql.codegen.wholeStage = {codegen}")
        for table in (in_duckdb(pa.Table.from_pandas(frame)), in_spark(spark, frame, {"place": "long", "x": "double"})):
            exact, x = engine_of(table).exact, table.x
            columns = {"money": exact(x, 6), "precise": exact(x / 1e7, 10), "log": exact_log(x.abs() + 1.0)}
            rows = table.select("place", back=exact(x, 6).cast("float64"), **columns)
            found.append(rows.order_by("place").to_pyarrow().to_pydict())
    assert all(rows == found[0] for rows in found)


def test_a_table_kept_in_spark_is_dropped_when_nothing_refers_to_it(spark):
    catalog = spark.raw_sql("SELECT 1").sparkSession.catalog
    kept = materialise(in_spark(spark, nasty_rows(20)).filter(lambda table: table.amount > 0))
    name = kept.get_name()
    assert catalog.tableExists(name)
    derived = kept.aggregate(rows=kept.count())
    del kept
    gc.collect()
    assert derived.to_pyarrow()["rows"][0].as_py() > 0  # what is worked out of it still refers to it
    del derived
    gc.collect()
    assert not catalog.tableExists(name)


def test_a_frame_of_pyspark_is_read_where_it_is(spark):
    frame = nasty_rows(40)
    table = in_spark(spark, frame)
    session = spark.raw_sql("SELECT 1").sparkSession
    log = clv.read_transactions(session.table(table.get_name()), **OPTIONS)
    assert log.table.get_backend().name == "pyspark"
    assert log.ledger == clv.read_transactions(frame, **OPTIONS).ledger


def test_text_dates_of_spark_are_iso_or_refused(spark):
    frame = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-01-05", " 2024-01-31 23:00"], "amount": [1.0, 2.0]})
    schema = {"customer_id": "string", "date": "string", "amount": "double"}
    log = clv.read_transactions(in_spark(spark, frame, schema))
    assert (log.first_date, log.last_date) == (dt.date(2024, 1, 5), dt.date(2024, 1, 31))
    with pytest.raises(DataError, match=r"date_format: not for a table of Spark.*to_date"):
        clv.read_transactions(in_spark(spark, frame, schema), date_format="%Y-%m-%d")
    frame.loc[1, "date"] = "2024-02-30"
    with pytest.raises(DataError, match=r'column "date" cannot be used in 1 of 2 rows.*2024-02-30'):
        clv.read_transactions(in_spark(spark, frame, schema))


def test_values_that_cannot_be_used_are_refused_on_every_engine(table_of):
    frame = pd.DataFrame({"customer_id": ["a", None], "date": [dt.date(2024, 1, 5)] * 2, "amount": [np.inf, 2.0]})
    schema = {"customer_id": "string", "date": "date", "amount": "double"}
    with pytest.raises(DataError, match="is missing in 1 of 2 rows"):
        clv.read_transactions(table_of(frame, schema))
    with pytest.raises(DataError, match=r"cannot be used in 1 of 2 rows.*inf"):
        clv.read_transactions(table_of(frame, schema), missing_ids="drop")


def test_what_spark_says_is_turned_into_our_error(spark):
    session = spark.raw_sql("SELECT 1").sparkSession
    faulty = "SELECT 'a' customer_id, DATE '2024-01-01' date, raise_error('the store is gone') amount"
    session.sql(faulty.replace("raise_error", "1 + raise_error")).createOrReplaceTempView("faulty")
    with pytest.raises(DataError, match=r"pyspark table: Spark stopped.*the store is gone"):
        clv.read_transactions(spark.table("faulty"))


def test_forecasts_written_by_executors_are_those_of_the_whole(
    spark, cdnow_log, cdnow, window, bg_nbd_fit, gamma_gamma_fit, tmp_path
):
    rows = cdnow_log.rows.to_pyarrow().to_pandas()[["customer_id", "date", "amount"]]
    table = in_spark(spark, rows, {"customer_id": "string", "date": "date", "amount": "double"})
    log = clv.read_transactions(table)
    asked = {"horizon": 39, "seed": 7, "draws": 20, "annual_discount_rate": 0.1}
    quantities = ("p_alive", "purchases", "clv")

    def write(folder, **changed):
        return clv.write_forecasts(
            log,
            window,
            folder,
            fit=bg_nbd_fit,
            spend=gamma_gamma_fit,
            quantities=quantities,
            **{**asked, **changed},
        )

    found = write(tmp_path / "x")
    assert found.parts.customers == len(cdnow)
    assert write(tmp_path / "x").parts == found.parts
    with pytest.raises(DataError, match="holds another forecast"):
        write(tmp_path / "x", seed=8)
    (tmp_path / "x" / "_SUCCESS").unlink()  # as if Spark had stopped while it moved its parts there
    assert write(tmp_path / "x").parts.customers == len(cdnow)
    written = pq.read_table(found.parts.folder).sort_by("customer_id")
    whole = pq.read_table(
        clv.write_forecasts(
            cdnow_log,
            window,
            tmp_path / "y",
            fit=bg_nbd_fit,
            spend=gamma_gamma_fit,
            quantities=quantities,
            **asked,
        ).parts.folder
    )
    assert written.replace_schema_metadata().equals(whole.replace_schema_metadata())
