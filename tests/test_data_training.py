"""Windows inside the calibration are what a count by hand gives, and nothing of them comes from later days."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.baselines import BASELINES
from tests.baseline_cases import FIRST_DAY, shop

END = pd.Timestamp("2001-07-19")  # day 200 of the shop


@pytest.fixture(scope="module")
def purchases():
    return shop(days=300)


@pytest.fixture(scope="module")
def log(purchases):
    return clv.read_transactions(purchases)


def window(weeks=8, **limits):
    return clv.Window(END.date(), END.date() + dt.timedelta(weeks=weeks), **limits)


def test_windows_follow_each_other_up_to_the_end_of_the_calibration(log):
    # Day 0 to day 199 are 200 days, 56 of them a window's look ahead: days 88, 144 and 200 less one, and before the
    # first of them 88 days, no further window.
    training = clv.training_windows(log, window(8))
    days = [(w.window.calibration_end - FIRST_DAY.date()).days for _, w in training]
    assert days == [87, 143]
    assert training[-1][1].window.holdout_end == END.date()
    assert [w.window.holdout_length for _, w in training] == [8.0, 8.0]
    assert len(clv.training_windows(log, window(8), origins=1)) == 1
    assert clv.training_windows(log, window(8), origins=1)[0][1].window == training[-1][1].window
    assert len(clv.training_windows(log, window(2), origins=20)) == 13


def test_a_horizon_longer_than_half_of_the_calibration_is_cut_to_half(log):
    ((known, after),) = clv.training_windows(log, window(8), horizon=52.0)
    assert (END.date() - after.window.calibration_end).days == 100
    assert after.window.holdout_length == pytest.approx(100 / 7)
    assert known.T.max() == pytest.approx(99 / 7)


def test_training_windows_are_what_a_count_by_hand_gives(purchases, log):
    daily = purchases.groupby(["customer_id", "date"]).amount.sum().reset_index()
    for known, after in clv.training_windows(log, window(8)):
        cut, end = pd.Timestamp(after.window.calibration_end), pd.Timestamp(after.window.holdout_end)
        before = daily[daily.date <= cut].groupby("customer_id").date.agg(["count", "min", "max"])
        ahead = daily[(daily.date > cut) & (daily.date <= end)].groupby("customer_id").amount.agg(["count", "sum"])
        ahead = ahead.reindex(before.index, fill_value=0)
        assert known.customer_id.tolist() == before.index.tolist() == after.customer_id.tolist()
        np.testing.assert_array_equal(known.frequency, before["count"] - 1)
        np.testing.assert_allclose(known.T, (cut - before["min"]).dt.days / 7)
        np.testing.assert_allclose(known.recency, (before["max"] - before["min"]).dt.days / 7)
        np.testing.assert_array_equal(after.purchases, ahead["count"])
        np.testing.assert_allclose(after.amount, ahead["sum"])
        assert known.set_aside == ()


def later_days_changed(purchases):
    """The same log until the calibration's end, by what comes after: nothing, more of it, and new customers."""
    until = purchases[purchases.date <= END]
    after = purchases[purchases.date > END]
    new = after.assign(customer_id="a" + after.customer_id)  # their ids sort before those of the others
    yield until
    yield pd.concat([until, after.assign(amount=after.amount * 3), new], ignore_index=True)


@pytest.fixture(scope="module", params=[0, 3], ids=["to the end", "quiet at the end"])
def alike(request, purchases):
    """Customers and training windows of three logs that differ after the calibration alone.

    With quiet days before the calibration's end, the log without later days ends before it does.
    """
    last = END - pd.Timedelta(days=request.param)
    kept = purchases[(purchases.date > END) | (purchases.date <= last)]
    logs = [clv.read_transactions(frame) for frame in (kept, *later_days_changed(kept))]
    return [(clv.customer_summary(log, window(8)), clv.training_windows(log, window(8))) for log in logs]


@pytest.mark.parametrize("name", BASELINES)
def test_no_method_sees_the_days_after_the_calibration(name, alike):
    first, *others = [BASELINES[name].forecasts(seen, 8.0, training=training) for seen, training in alike]
    for other in others:
        assert other.keys() == first.keys()
        for quantity, forecast in first.items():
            np.testing.assert_array_equal(other[quantity].mean, forecast.mean)
            np.testing.assert_array_equal(other[quantity].customer_id, forecast.customer_id)


def test_limits_of_acquisition_are_kept_inside_the_calibration(log):
    until = dt.date(2001, 7, 1)  # after the cut of each training window
    for _, after in clv.training_windows(log, window(8, acquired_from=dt.date(2001, 2, 1), acquired_until=until)):
        assert after.window.acquired_until == min(until, after.window.calibration_end)
        # The calibration begins with the first customer who counts: 31 days later.
        assert (after.window.calibration_end - dt.date(2001, 2, 1)).days >= 55


def test_windows_that_cannot_be_made_are_refused(log):
    def refused(match, asked, **options):
        with pytest.raises(clv.DataError, match=match):
            clv.training_windows(log, asked, **options)

    refused("horizon = -1", window(), horizon=-1.0)
    refused("horizon = nan", window(), horizon=float("nan"))
    refused("origins = 0", window(), origins=0)
    refused("no holdout", clv.Window(END.date()))
    refused("outside the data", clv.Window("2011-01-01"), horizon=4.0)
    refused("1 days from the first purchase .*at least 2", clv.Window(FIRST_DAY.date()), horizon=4.0)
    assert len(clv.training_windows(log, clv.Window(END.date()), horizon=4.0)) == 3
