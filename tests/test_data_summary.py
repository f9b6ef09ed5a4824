"""Summaries of customers: published counts, lifetimes' own table, and an account in plain Python."""

import datetime as dt
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clvmodels.data import (
    DATASETS,
    compress,
    compress_log,
    customer_summary,
    holdout_summary,
    read_transactions,
)
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import CustomerSummary, Window
from clvmodels.foundation.units import DAYS_PER_UNIT

START = dt.date(2024, 1, 1)
PURCHASES = st.lists(
    st.tuples(st.sampled_from(["a", "B", "07", "7", "\u4e2d"]), st.integers(0, 60), st.integers(0, 4000)),
    min_size=1,
    max_size=40,
)


def log_of(purchases):
    table = pd.DataFrame(purchases, columns=["customer_id", "day", "cents"])
    dates = [START + dt.timedelta(days=day) for day in table["day"]]
    return read_transactions(table.assign(date=dates, amount=table["cents"] / 100))


def by_hand(purchases, end, holdout_end):
    """Frequency, recency, T in days, repeat spend in cents, holdout days and cents, by customer."""
    days = defaultdict(lambda: defaultdict(int))
    for customer, day, cents in purchases:
        days[customer][day] += cents
    for customer in sorted(days):
        seen = [day for day in sorted(days[customer]) if day <= end]
        if seen:
            held = [day for day in days[customer] if end < day <= holdout_end]
            repeat = sum(days[customer][day] for day in seen[1:])
            spent = sum(days[customer][day] for day in held)
            yield customer, len(seen) - 1, seen[-1] - seen[0], end - seen[0], repeat, len(held), spent


@settings(max_examples=25, deadline=None)
@given(purchases=PURCHASES, end=st.integers(0, 60), unit=st.sampled_from(list(DAYS_PER_UNIT)))
def test_the_summaries_are_those_made_by_hand(purchases, end, unit):
    first, last = min(day for _, day, _ in purchases), max(day for _, day, _ in purchases)
    end = min(max(first, end), last)
    window = Window(START + dt.timedelta(days=end), START + dt.timedelta(days=last + 1), unit)
    log, expected = log_of(purchases), list(by_hand(purchases, end, last + 1))
    customers, holdout = customer_summary(log, window), holdout_summary(log, window)
    ids, x, t_x, T, repeat, held, spent = (list(column) for column in zip(*expected, strict=True))
    assert customers.customer_id.tolist() == holdout.customer_id.tolist() == ids
    np.testing.assert_array_equal(customers.frequency, x)
    np.testing.assert_allclose(customers.recency, np.array(t_x) / DAYS_PER_UNIT[unit], rtol=1e-15)
    np.testing.assert_allclose(customers.T, np.array(T) / DAYS_PER_UNIT[unit], rtol=1e-15)
    mean = [cents / 100 / count if cents else np.nan for cents, count in zip(repeat, x, strict=True)]
    np.testing.assert_allclose(customers.monetary_value, mean, rtol=1e-12)
    np.testing.assert_array_equal(holdout.purchases, held)
    np.testing.assert_allclose(holdout.amount, np.array(spent) / 100, rtol=1e-12)


def test_the_cdnow_sample_has_its_published_sums(cdnow, cdnow_holdout):
    assert (len(cdnow), cdnow.frequency.sum(), (cdnow.frequency > 0).sum()) == (2_357, 2_457, 946)
    assert (cdnow_holdout.purchases.sum(), round(cdnow_holdout.amount.sum(), 2)) == (1_882, 70_976.39)
    first = cdnow.to_pandas().iloc[0]
    assert (first["customer_id"], first["frequency"]) == ("00004", 2)
    assert (round(first["recency"], 2), round(first["T"], 2)) == (30.43, 38.86)


def test_each_cdnow_customer_is_as_in_the_table_of_lifetimes(cdnow):
    path = DATASETS["cdnow_sample"].path
    own = dict(line.split()[:2] for line in path.read_text().splitlines() if line.strip())  # master's id: sample's
    table = pd.read_csv(path.parent / "cdnow_customers_summary_with_transactions.csv").set_index("ID")
    table = table.loc[[int(own[name]) for name in cdnow.customer_id]]
    np.testing.assert_array_equal(cdnow.frequency, table["x"])
    np.testing.assert_allclose(cdnow.recency, table["t_x"], atol=0.0051)
    np.testing.assert_allclose(cdnow.T, table["T"], atol=0.0051)
    np.testing.assert_allclose(np.nan_to_num(cdnow.monetary_value), table["zbar"], atol=0.0051)


def test_a_customer_whose_repeats_cost_nothing_stays_without_a_mean_spend_and_is_listed(window):
    customers = customer_summary(read_transactions("dataset:cdnow"), window)
    (line,) = customers.set_aside
    assert (line.reason, line.rows, line.amount, line.sample) == ("no_positive_spend", 1, 0.0, ("10244",))
    (row,) = np.flatnonzero(customers.customer_id == "10244")
    assert customers.frequency[row] > 0
    assert np.isnan(customers.monetary_value[row])
    assert len(customers) == 23_570


def test_current_value_is_recent_spend_at_a_yearly_rate():
    log = log_of([("a", 0, 100), ("a", 50, 300), ("a", 60, 500)])
    window = Window(START + dt.timedelta(days=60), unit="day")
    expected = {365: 9.0 * 365.25 / 61, 61: 9.0 * 365.25 / 61, 11: 8.0 * 365.25 / 11, 10: 5.0 * 365.25 / 10}
    for days, value in expected.items():  # the log is 61 days long; day 50 is the 11th from the end
        assert customer_summary(log, window, current_days=days).current_value == pytest.approx([value])
    with pytest.raises(DataError, match="current_days = 0"):
        customer_summary(log, window, current_days=0)


def test_customers_won_after_the_calibration_are_left_out_and_counted():
    log = log_of([("a", 0, 100), ("b", 20, 300), ("b", 21, 300)])
    customers = customer_summary(log, Window(START + dt.timedelta(days=10)))
    assert customers.customer_id.tolist() == ["a"]
    (line,) = customers.set_aside
    assert (line.reason, line.rows, line.amount, line.sample) == ("after_calibration", 1, 6.0, ("b",))


def test_the_order_of_rows_changes_no_bit(cdnow):
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "customer_id": rng.integers(0, 3000, 200_000),
            "date": pd.Timestamp(START) + pd.to_timedelta(rng.integers(0, 90, 200_000), unit="D"),
            "amount": rng.lognormal(3, 2, 200_000),
        }
    )
    window = Window(START + dt.timedelta(days=60), START + dt.timedelta(days=89), "day")
    logs = [read_transactions(table.sample(frac=1, random_state=seed)) for seed in (1, 2)]
    assert logs[0].digest == logs[1].digest
    assert logs[0].ledger == logs[1].ledger
    first, second = (customer_summary(log, window).to_pandas() for log in logs)
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    first, second = (holdout_summary(log, window).to_pandas() for log in logs)
    pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.parametrize("end", ["1996-12-31", "1998-09-30"])
def test_a_calibration_outside_the_data_is_refused_with_their_dates(cdnow_log, end):
    for summary in (customer_summary, compress_log):
        with pytest.raises(DataError, match="outside the data: the log goes from 1997-01-01 to 1998-06-30"):
            summary(cdnow_log, Window(end))


def test_a_holdout_that_the_log_does_not_reach_is_refused(cdnow_log):
    with pytest.raises(DataError, match="holdout_end 1998-07-31 is outside the data: the log ends on 1998-06-30"):
        holdout_summary(cdnow_log, Window("1997-09-30", "1998-07-31"))
    with pytest.raises(DataError, match="no holdout"):
        holdout_summary(cdnow_log, Window("1997-09-30"))


def test_days_that_the_log_is_said_to_be_complete_for_are_a_holdout():
    table = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-01-01", "2024-01-20"], "amount": [1.0, 2.0]})
    window = Window("2024-01-10", "2024-01-31", "day")
    with pytest.raises(DataError, match=r"the log ends on 2024-01-20.*read_transactions\(last_day=...\)"):
        holdout_summary(read_transactions(table), window)
    assert holdout_summary(read_transactions(table, last_day="2024-01-31"), window).purchases.tolist() == [0]
    with pytest.raises(DataError, match="outside the data"):  # no statement makes a year without a purchase plausible
        holdout_summary(read_transactions(table, last_day="2099-12-31"), Window("2024-01-10", "2025-01-31", "day"))


def test_patterns_grouped_in_the_engine_are_those_grouped_in_memory(cdnow_log, cdnow, window):
    in_memory, in_engine = compress(cdnow)[0], compress_log(cdnow_log, window)
    assert (len(in_engine), in_engine.unit) == (1_016, "week")
    np.testing.assert_array_equal(in_engine.n_customers, in_memory.n_customers)
    for name in ("frequency", "recency", "T"):
        np.testing.assert_array_equal(getattr(in_engine, name).rows, getattr(in_memory, name).rows)


def test_means_of_logarithms_are_those_of_single_purchases():
    """Against pandas on the log itself; ten decimals of each logarithm are kept, so that sums are exact."""
    log = read_transactions("dataset:cdnow")
    customers = customer_summary(log, Window(calibration_end="1997-09-30", unit="week"))
    rows = log.table.to_pandas().sort_values(["customer_id", "date"])
    rows = rows[rows["date"] <= "1997-09-30"]
    rows["gap"] = rows.groupby("customer_id")["date"].diff().dt.days
    repeats = rows[rows["gap"].notna()]
    paid = repeats[repeats["amount"] > 0]
    by_customer = np.log(paid["amount"]).groupby(paid["customer_id"])
    for ours, theirs, error in (
        (customers.log_interval, np.log(repeats["gap"] / 7).groupby(repeats["customer_id"]).mean(), 1e-8),
        (customers.log_amount, by_customer.mean(), 1e-8),
        (customers.log_amount_sd, by_customer.std(ddof=0), 1e-4),
    ):
        np.testing.assert_allclose(ours, theirs.reindex(customers.customer_id).to_numpy(), atol=error)
    assert np.array_equal(customers.paid_purchases, by_customer.size().reindex(customers.customer_id, fill_value=0))


def test_a_customer_without_a_repeat_is_valued_by_the_first_basket():
    frame = pd.DataFrame(
        {
            "customer_id": ["one", "two", "free"],
            "frequency": [0, 2, 1],
            "recency": [0.0, 3.0, 2.0],
            "T": [9.0, 9.0, 9.0],
            "monetary_value": [np.nan, 8.0, 0.0],
            "first_amount": [5.0, 70.0, 0.0],
            "paid_purchases": [0, 2, 0],
            "log_amount": [np.nan, 2.0, np.nan],
        }
    )
    customers = CustomerSummary.from_frame(frame, unit="week")
    assert customers.spend_purchases.tolist() == [1, 2, 0]
    assert np.array_equal(customers.spend_mean, [5.0, 8.0, np.nan], equal_nan=True)
    assert customers.log_spend_purchases.tolist() == [1, 2, 0]
    assert np.array_equal(customers.log_spend_mean, [np.log(5.0), 2.0, np.nan], equal_nan=True)
    with pytest.raises(DataError, match="no column log_interval"):
        customers.column("log_interval")
