"""Limits of the data engine: what can be set, that results do not depend on it, and what is said when it is short."""

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.data import engines
from clvmodels.data.engines import duckdb


def setting(name):
    query = "SELECT value FROM duckdb_settings() WHERE name = ?"
    return duckdb().con.execute(query, [name]).fetchone()[0]


@pytest.fixture
def limits():
    """Limits as they were, afterwards."""
    threads = int(setting("threads"))
    yield
    clv.engine_limits(memory=f"{210 * threads}MB", threads=threads)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A log of more days than fit into 50 MB."""
    rng = np.random.default_rng(1)
    size = 1_500_000
    log = pd.DataFrame(
        {
            "customer_id": pd.Series(rng.integers(0, 150_000, size)).map("C{:012d}".format),
            "date": np.datetime64("2023-01-01", "s") + rng.integers(0, 700, size) * np.timedelta64(86_400, "s"),
            "amount": np.round(rng.gamma(2, 20, size) - 1, 2),
        }
    )
    path = tmp_path_factory.mktemp("large") / "log.parquet"
    log.to_parquet(path, row_group_size=100_000)
    return path


def summary_of(path):
    return clv.customer_summary(clv.read_transactions(path), clv.Window("2024-12-01"), logarithms=False).to_pandas()


def test_limits_reach_the_engine(limits):
    clv.engine_limits(memory="1.5 GB", threads=1)
    assert setting("threads") == "1"
    assert setting("memory_limit") == "1.3 GiB"


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"memory": "4"}, "memory = '4'"),
        ({"memory": 4}, "memory = 4"),
        ({"memory": "80%"}, "memory = '80%'"),
        ({"memory": "-4GB"}, "memory = '-4GB'"),
        ({"memory": "4GB'; DROP TABLE x; --"}, "memory = "),
        ({"memory": "1MB"}, "at least 50MB"),
        ({"threads": 0}, "threads = 0"),
        ({"threads": True}, "threads = True"),
        ({"threads": 1.5}, r"threads = 1\.5"),
        ({"folder": "no/such/folder"}, 'folder = "no/such/folder"'),
    ],
)
def test_a_limit_that_cannot_be_set_is_refused_and_nothing_is_changed(limit, said):
    before = setting("memory_limit"), setting("threads"), setting("temp_directory")
    with pytest.raises(clv.DataError, match=said):
        clv.engine_limits(**{"threads": 1, "memory": "200MB"} | limit)
    assert (setting("memory_limit"), setting("threads"), setting("temp_directory")) == before


def test_a_log_that_does_not_fit_into_the_memory_gives_the_same_summary(limits, large):
    whole = summary_of(large)
    clv.engine_limits(memory="70MB", threads=1)
    pd.testing.assert_frame_equal(summary_of(large), whole, check_exact=True)


def test_too_little_memory_is_refused_with_the_setting_to_change(limits, large):
    clv.engine_limits(memory="50MB", threads=1)
    duckdb().con.execute("SET max_temp_directory_size = '4MB'")
    try:
        with pytest.raises(clv.DataError, match=r"engine_limits\(memory="):
            summary_of(large)
    finally:
        duckdb().con.execute("RESET max_temp_directory_size")


def test_a_long_log_is_grouped_some_customers_at_a_time(monkeypatch):
    rng = np.random.default_rng(1)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 9, 400), unit="D")
    frame = pd.DataFrame(
        {"customer_id": rng.integers(0, 50, 400).astype(str), "date": days, "amount": rng.integers(-3, 20, 400)}
    )
    for refunds in ("net", "match", "keep"):
        whole = clv.read_transactions(frame, refunds=refunds)
        with monkeypatch.context() as patch:
            patch.setattr(engines, "ROWS_A_PART", 70)
            parts = clv.read_transactions(frame, refunds=refunds)
        key = ["customer_id", "date"]
        tables = [log.table.order_by(key).to_pyarrow().to_pylist() for log in (whole, parts)]
        assert tables[0] == tables[1]
        assert whole.ledger == parts.ledger
        assert whole.notes == parts.notes
