"""The log over calendar time: its totals are those of the summaries, period by period."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from clvmodels.data import (
    calendar_history,
    first_purchase_days,
    period_ends,
    purchases_by_period,
    read_transactions,
)
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import Window


@pytest.mark.parametrize(("unit", "periods"), [("day", 546), ("week", 79), ("month", 18), ("year", 2)])
def test_the_history_accounts_for_every_customer_purchase_and_amount(cdnow_log, unit, periods):
    history = calendar_history(cdnow_log, unit=unit)
    assert len(history) == periods
    assert sum(period.new_customers for period in history) == cdnow_log.n_customers
    assert sum(period.new_customers + period.repeat_purchases for period in history) == cdnow_log.occasions
    amount = sum(period.first_amount + period.repeat_amount for period in history)
    assert amount == pytest.approx(cdnow_log.ledger[0].amount)


def test_the_monthly_history_is_that_of_a_group_by_in_pandas(cdnow_log):
    table = cdnow_log.table.to_pandas()
    table["month"] = pd.to_datetime(table["date"]).dt.strftime("%Y-%m-01")
    table["new"] = table["date"] == table.groupby("customer_id")["date"].transform("min")
    months = table.groupby("month")
    history = calendar_history(cdnow_log, unit="month")
    assert [period.start for period in history] == list(months.groups)
    assert [period.new_customers for period in history] == months["new"].sum().tolist()
    assert [period.active_customers for period in history] == months["customer_id"].nunique().tolist()
    repeats = table[~table["new"]].groupby("month")["amount"]
    assert [period.repeat_purchases for period in history] == repeats.count().tolist()
    assert [period.repeat_amount for period in history] == pytest.approx(repeats.sum().tolist())


def test_a_month_without_purchases_is_a_period_of_zeros():
    dates = ["2023-11-30", "2024-02-01"]
    log = read_transactions(pd.DataFrame({"customer_id": ["a", "a"], "date": dates, "amount": [1.0, 2.0]}))
    history = calendar_history(log, unit="month")
    assert [period.start for period in history] == ["2023-11-01", "2023-12-01", "2024-01-01", "2024-02-01"]
    assert [period.active_customers for period in history] == [1, 0, 0, 1]
    with pytest.raises(DataError, match='unit = "quarter"'):
        calendar_history(log, unit="quarter")


def test_weekly_repeat_purchases_add_up_to_the_calibration_and_the_holdout(cdnow_log, window, cdnow, cdnow_holdout):
    ends = period_ends(cdnow_log, window)
    weekly = purchases_by_period(cdnow_log, window, ends=ends)
    assert (len(ends), ends[0], ends[38], ends[-1]) == (
        78,
        dt.date(1997, 1, 7),
        window.calibration_end,
        window.holdout_end,
    )
    assert weekly[:39].sum() == cdnow.frequency.sum()
    assert weekly[39:].sum() == cdnow_holdout.purchases.sum()


def test_periods_that_do_not_fill_the_window_are_cut_at_its_ends(cdnow_log):
    window = Window("1997-09-29", "1998-06-30", "month")
    ends = period_ends(cdnow_log, window)
    assert window.calibration_end in ends
    assert ends[-1] == window.holdout_end
    steps = np.diff(np.array(ends, dtype="datetime64[D]")).astype(int)
    assert set(steps[:-1]) <= {30, 31}
    assert 0 < steps[-1] <= 31
    assert (ends[0] - cdnow_log.first_date).days <= 31
    assert period_ends(cdnow_log, Window("1997-09-30"))[-1] == dt.date(1997, 9, 30)


def test_only_customers_of_the_calibration_count_in_the_periods():
    table = pd.DataFrame({"customer_id": list("aabb"), "date": pd.date_range("2024-01-01", periods=4), "amount": 1.0})
    log = read_transactions(table)
    window = Window("2024-01-02", "2024-01-04", "day")
    np.testing.assert_array_equal(purchases_by_period(log, window, ends=period_ends(log, window)), [0, 1, 0, 0])
    days, customers = first_purchase_days(log, window)
    assert (days.tolist(), customers.tolist()) == ([0], [1])
    with pytest.raises(DataError, match="increasing"):
        purchases_by_period(log, window, ends=[window.calibration_end] * 2)


def test_customers_by_day_of_acquisition_are_those_of_the_summary(cdnow_log, window, cdnow):
    days, customers = first_purchase_days(cdnow_log, window)
    ages = (window.calibration_end - cdnow_log.first_date).days - days
    T, counts = np.unique(np.rint(cdnow.T * 7), return_counts=True)
    np.testing.assert_array_equal(ages[::-1], T)
    np.testing.assert_array_equal(customers[::-1], counts)
