"""Triangles of cohorts by age: those of pandas for purchases, those of the retention table for contracts."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.foundation.errors import DataError

RETAIL = Path(__file__).parents[2] / "shared" / "data" / "online_retail" / "transactions.parquet"
PERIOD = {"day": "D", "week": "W-SUN", "month": "M", "year": "Y"}


def by_pandas(log, unit):
    """Active customers and revenue, cohort x age, of calendar periods."""
    table = log.table.to_pandas()
    period = pd.to_datetime(table["date"]).dt.to_period(PERIOD[unit])
    cohort = period.groupby(table["customer_id"]).transform("min")
    first = period.min()
    table = table.assign(
        cohort=cohort.map(lambda p: (p - first).n), age=[(p - c).n for p, c in zip(period, cohort, strict=True)]
    )
    size = (period.max() - first).n + 1
    cells = table.pivot_table(index="cohort", columns="age", values="customer_id", aggfunc="nunique", fill_value=0)
    money = table.pivot_table(index="cohort", columns="age", values="amount", aggfunc="sum", fill_value=0.0)
    every = range(size)
    return cells.reindex(every, columns=every, fill_value=0), money.reindex(every, columns=every, fill_value=0.0)


def assert_is_that_of_pandas(triangle, log, unit, *, over):
    active, revenue = by_pandas(log, unit)
    size = len(active)
    seen = np.add.outer(np.arange(size), np.arange(size)) < over
    assert triangle.active.shape == (size, size)
    np.testing.assert_array_equal(triangle.seen, seen)
    np.testing.assert_array_equal(triangle.active[seen], active.to_numpy()[seen])
    np.testing.assert_allclose(triangle.revenue[seen], revenue.to_numpy()[seen], atol=1e-6)
    np.testing.assert_array_equal(triangle.acquired, active.to_numpy()[:, 0])


def log_of(*purchases):
    ids, dates, amounts = zip(*purchases, strict=True)
    return clv.read_transactions(pd.DataFrame({"customer_id": ids, "date": dates, "amount": amounts}))


def notes(triangle):
    return {line.reason: line.rows for line in triangle.notes}


# --- purchases ---


@pytest.mark.parametrize(("unit", "over"), [("week", 78), ("month", 18), ("year", 1)])
def test_the_triangle_of_cdnow_is_that_of_pandas(cdnow_log, unit, over):
    # 1 January 1997 was a Wednesday and 30 June 1998 a Tuesday: the last of 79 weeks and the second year are not over.
    triangle = clv.cohort_triangle(cdnow_log, unit=unit)
    assert_is_that_of_pandas(triangle, cdnow_log, unit, over=over)
    assert triangle.acquired.sum() == cdnow_log.n_customers
    assert not triangle.contractual


def test_the_labels_are_those_of_the_calendar(cdnow_log):
    weeks, months = (clv.cohort_triangle(cdnow_log, unit=unit) for unit in ("week", "month"))
    assert (weeks.cohorts[0], weeks.cohorts[-1], weeks.start[0]) == ("1997-W01", "1998-W27", dt.date(1996, 12, 30))
    assert (months.cohorts[0], months.cohorts[-1], months.start[1]) == ("1997-01", "1998-06", dt.date(1997, 2, 1))


def test_the_triangle_of_a_real_shop_is_that_of_pandas():
    if not RETAIL.exists():
        pytest.skip("needs shared/data/online_retail beside the checkout")
    log = clv.read_transactions(RETAIL, missing_ids="drop")
    triangle = clv.cohort_triangle(log)
    assert_is_that_of_pandas(triangle, log, "month", over=12)  # December 2011 has nine days
    assert triangle.cohorts[-1] == "2011-12"
    assert list(notes(triangle)) == ["unit_not_over"]


def test_a_last_unit_is_seen_whole_where_the_log_is_said_to_be_complete():
    log = log_of(("a", "2024-01-01", 5.0), ("a", "2024-02-28", 7.0), ("b", "2024-02-03", 1.0))
    cut = clv.cohort_triangle(log)
    np.testing.assert_array_equal(cut.active, [[1, np.nan], [np.nan, np.nan]])
    assert notes(cut) == {"unit_not_over": 2}
    whole = clv.cohort_triangle(log, observation_end="2024-02-29")
    np.testing.assert_array_equal(whole.active, [[1, 1], [1, np.nan]])
    np.testing.assert_array_equal(whole.revenue, [[5, 7], [1, np.nan]])
    assert (notes(whole), whole.last_date) == ({}, dt.date(2024, 2, 29))


def test_purchases_after_the_end_of_the_observation_are_left_out():
    log = log_of(("a", "2024-01-01", 5.0), ("a", "2024-02-10", 7.0), ("b", "2024-02-20", 1.0))
    triangle = clv.cohort_triangle(log, observation_end="2024-02-15")
    assert triangle.acquired.tolist() == [1, 0]
    assert clv.cohort_triangle(log, observation_end="2024-01-31").active.tolist() == [[1]]
    with pytest.raises(DataError, match="observation_end 2023-12-31 is before the first purchase, on 2024-01-01"):
        clv.cohort_triangle(log, observation_end="2023-12-31")


def test_a_log_that_begins_within_a_unit_is_noted():
    log = log_of(("a", "2024-01-05", 5.0), ("a", "2024-01-06", 5.0), ("b", "2024-02-29", 1.0))
    assert notes(clv.cohort_triangle(log)) == {"first_unit_cut": 2}


def test_a_unit_without_new_customers_is_a_cohort_of_none():
    log = log_of(("a", "2024-01-01", 5.0), ("b", "2024-03-31", 1.0))
    triangle = clv.cohort_triangle(log)
    assert triangle.acquired.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(triangle.active[1], [0, 0, np.nan])
    assert np.isnan(triangle.retention[1]).all()


def test_columns_can_be_limited_and_options_are_checked(cdnow_log):
    whole, few = clv.cohort_triangle(cdnow_log), clv.cohort_triangle(cdnow_log, ages=4)
    np.testing.assert_array_equal(few.active, whole.active[:, :4])
    assert clv.cohort_triangle(cdnow_log, ages=400).active.shape == whole.active.shape
    with pytest.raises(DataError, match="ages = 0"):
        clv.cohort_triangle(cdnow_log, ages=0)
    with pytest.raises(DataError, match='unit = "quarter"'):
        clv.cohort_triangle(cdnow_log, unit="quarter")


# --- contracts ---


def contracts(rng, size, *, on_renewals):
    start = [dt.date(2022, 1, 1) + dt.timedelta(days=int(days)) for days in rng.integers(0, 800, size)]
    rows = []
    for i, first in enumerate(start):
        end = pd.Timestamp(first) + pd.DateOffset(months=int(rng.geometric(0.2)))
        if not on_renewals:
            end = pd.Timestamp(first) + pd.Timedelta(days=int(rng.integers(0, 300)))
        rows.append((f"c{i}", first, None if rng.random() < 0.3 else end.date(), float(rng.integers(1, 9))))
    return pd.DataFrame(rows, columns=["customer_id", "start", "end", "price"])


@pytest.mark.parametrize("end_is", ["day_after", "last_day"])
@pytest.mark.parametrize("unit", ["week", "month"])
def test_active_are_those_whose_contract_runs_on_the_last_day_of_the_unit(unit, end_is):
    data = contracts(np.random.default_rng(2), 500, on_renewals=False)
    last = dt.date(2024, 1, 31)
    triangle = clv.contract_triangle(data, unit=unit, price="price", observation_end=last, end_is=end_is)
    expected, revenue = np.zeros_like(triangle.active), np.zeros_like(triangle.active)
    ends = [s - np.timedelta64(1, "D") for s in [*triangle.start[1:], triangle.start[-1] + np.timedelta64(31, "D")]]
    for row in data[data["start"] <= last].itertuples():
        cohort = int(np.searchsorted(triangle.start, np.datetime64(row.start), side="right")) - 1
        for age in range(len(triangle.cohorts) - cohort):
            day = ends[cohort + age].astype(object)
            after = dt.timedelta(days=int(end_is == "last_day"))
            runs = pd.isna(row.end) or row.end > last or row.end + after > day
            if age == 0 or runs:
                expected[cohort, age] += 1
                revenue[cohort, age] += row.price
    seen = triangle.seen
    np.testing.assert_array_equal(triangle.active[seen], expected[seen])
    np.testing.assert_allclose(triangle.revenue[seen], revenue[seen])
    over = len(triangle.cohorts) if unit == "month" else len(triangle.cohorts) - 1  # a Wednesday
    np.testing.assert_array_equal(seen, np.add.outer(np.arange(len(seen)), np.arange(len(seen))) < over)
    assert triangle.contractual


def test_a_triangle_of_contracts_that_end_on_renewals_is_the_table_of_their_survivors():
    data = contracts(np.random.default_rng(3), 4000, on_renewals=True)
    data["start"] = [day.replace(day=1) for day in data["start"]]  # so that units of age and of the calendar agree
    data["end"] = [None if pd.isna(day) else day.replace(day=1) for day in data["end"]]
    last = dt.date(2024, 2, 29)
    triangle = clv.contract_triangle(data, observation_end=last)
    through = clv.RetentionTable.from_triangle(triangle)
    direct = clv.retention_table(data, unit="month", cohort="month", observation_end=last)
    lives = [
        dict(zip(zip(t.groups["cohort"], t.age, t.lost, strict=True), t.n_customers, strict=True))
        for t in (through, direct)
    ]
    assert lives[0] == lives[1]
    assert set(zip(through.groups["cohort"], through.start, strict=True)) == set(
        zip(direct.groups["cohort"], direct.start, strict=True)
    )


def test_revenue_is_not_known_where_a_price_is_not():
    data = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "start": ["2024-01-01", "2024-01-01"],
            "end": [None, "2024-02-10"],
            "price": [3.0, None],
        }
    )
    triangle = clv.contract_triangle(data, price="price", observation_end="2024-03-31")
    np.testing.assert_array_equal(triangle.active[0], [2, 1, 1])
    np.testing.assert_array_equal(triangle.revenue[0], [np.nan, 3, 3])
    assert np.isnan(clv.contract_triangle(data, observation_end="2024-03-31").revenue).all()


def test_cohorts_that_began_before_the_observation_are_left_out():
    data = pd.DataFrame(
        {
            "customer_id": list("abcd"),
            "start": ["2023-05-01", "2024-01-10", "2024-01-20", "2024-02-01"],
            "end": [None, None, None, "2024-03-15"],
        }
    )
    triangle = clv.contract_triangle(data, observation_end="2024-03-15", observed_from="2024-01-15")
    assert triangle.acquired.tolist() == [1, 1, 0]
    assert notes(triangle) == {"before_observation": 2, "first_unit_cut": 1}
    with pytest.raises(DataError, match="all began before observed_from"):
        clv.contract_triangle(data, observation_end="2024-03-15", observed_from="2024-03-01")


def test_bad_contracts_are_refused_as_for_the_table():
    data = pd.DataFrame({"customer_id": ["a"], "start": ["2024-02-01"], "end": ["2024-01-01"]})
    with pytest.raises(DataError, match=r'"end" cannot be used in 1 of 1 rows .*ends before it starts'):
        clv.contract_triangle(data)
    with pytest.raises(DataError, match='unit = "quarter"'):
        clv.contract_triangle("nowhere.csv", unit="quarter")
