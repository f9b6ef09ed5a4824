"""Windows: customers by when they were won are the same everywhere, and origins roll over a log."""

import dataclasses
import datetime as dt
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clvmodels as clv
from clvmodels.data import compress, compress_log, first_purchase_days, period_ends, purchases_by_period
from tests.test_data_opportunities import same
from tests.test_data_summary import PURCHASES, START, log_of


def day(number):
    return START + dt.timedelta(days=number)


def firsts(purchases):
    return {who: min(day for name, day, _ in purchases if name == who) for who, _, _ in purchases}


def left_out(purchases, end, won_from, won_until):
    """Customers and cents of those that do not count, by reason, in plain Python."""
    found = {}
    for who, first in sorted(firsts(purchases).items()):
        reasons = {
            "after_calibration": first > end,
            "won_after": won_until < first <= end,
            "won_before": first < won_from,
        }
        for reason in (reason for reason, holds in reasons.items() if holds):
            ids, cents = found.get(reason, ((), 0))
            found[reason] = ((*ids, who), cents + sum(cents for name, _, cents in purchases if name == who))
    return [(reason, len(ids), round(cents / 100, 2), ids) for reason, (ids, cents) in sorted(found.items())]


def lines(summary):
    return [
        (line.reason, line.rows, round(line.amount, 2), line.sample)
        for line in summary.set_aside
        if line.reason != "no_positive_spend"
    ]


def unpaid(summary):
    return [line for line in summary.set_aside if line.reason == "no_positive_spend"]


@settings(max_examples=5, deadline=None)
@given(purchases=PURCHASES, data=st.data())
def test_a_window_of_an_acquisition_cohort_shows_what_a_log_of_its_customers_alone_shows(purchases, data):
    first = firsts(purchases)
    won_from = data.draw(st.sampled_from(sorted(first.values())))
    won_until = data.draw(st.sampled_from([day for day in sorted(first.values()) if day >= won_from]))
    last = max(day for _, day, _ in purchases)
    end = data.draw(st.integers(won_until, last))
    own = [row for row in purchases if won_from <= first[row[0]] <= won_until]
    window = clv.Window(day(end), day(end + 7), "week", day(won_from), day(won_until))
    log, alone = log_of([*purchases, ("z", end + 7, 100)]), log_of([*own, ("z", end + 7, 100)])
    every = clv.Window(window.calibration_end, window.holdout_end, "week")
    terms = clv.calendar(alone, every, waves=1, campaigns={"sale": [(day(0), day(end + 7))]})

    for summary, further in ((clv.customer_summary, {"calendar": terms}), (clv.opportunity_summary, {})):
        ours = summary(log, window, current_days=1, **further)
        theirs = summary(alone, every, current_days=1, **further)
        assert lines(ours) == left_out([*purchases, ("z", end + 7, 100)], end, won_from, won_until)
        assert unpaid(ours) == unpaid(theirs)
        same(*(dataclasses.replace(customers, set_aside=()) for customers in (ours, theirs)))
    for holdout in (clv.holdout_summary, clv.opportunity_holdout):
        same(dataclasses.replace(holdout(log, window), window=every), holdout(alone, every))
    in_engine, in_memory = compress_log(log, window), compress(clv.customer_summary(alone, every))[0]
    np.testing.assert_array_equal(in_engine.n_customers, in_memory.n_customers)
    for name in ("frequency", "recency", "T"):
        np.testing.assert_array_equal(getattr(in_engine, name).rows, getattr(in_memory, name).rows)
    ends = period_ends(log, window)
    np.testing.assert_array_equal(
        purchases_by_period(log, window, ends=ends), purchases_by_period(alone, every, ends=ends)
    )
    (days, won), (days_alone, won_alone) = (first_purchase_days(log, window), first_purchase_days(alone, every))
    since = (alone.first_date - log.first_date).days
    assert (days.tolist(), won.tolist()) == ((days_alone + since).tolist(), won_alone.tolist())


def test_a_time_in_which_nobody_was_won_is_refused():
    log = log_of([("a", 0, 100), ("b", 20, 300)])
    with pytest.raises(clv.DataError, match="no customer was won from 2024-01-02 to 2024-01-11"):
        clv.customer_summary(log, clv.Window(day(10), acquired_from=day(1)))


def test_those_who_did_not_come_back_are_inactive_with_zeros_in_the_order_of_the_summary(cdnow, cdnow_holdout):
    frame = cdnow_holdout.to_pandas()
    assert list(frame.columns) == ["customer_id", "purchases", "amount", "active"]
    assert frame["customer_id"].tolist() == cdnow.customer_id.tolist()
    away = frame[~frame["active"]]
    assert (len(frame), len(away)) == (2_357, 1_673)
    assert not away[["purchases", "amount"]].any(axis=None)
    assert (frame[frame["active"]]["purchases"] >= 1).all()


# --- rolling origins ---


def ends(windows):
    return [(window.calibration_end.isoformat(), window.holdout_end.isoformat()) for window in windows]


def test_origins_roll_until_the_data_end(cdnow_log):
    windows = clv.rolling_windows(cdnow_log, first_end="1997-09-30", step=13, holdout=13)
    expected = [("1997-09-30", "1997-12-30"), ("1997-12-30", "1998-03-31"), ("1998-03-31", "1998-06-30")]
    assert ends(windows) == expected
    assert {window.holdout_length for window in windows} == {13.0}
    assert ends(clv.rolling_windows(cdnow_log, first_end="1997-09-30", step=13, holdout=13, number=2)) == expected[:2]
    purchases = [clv.holdout_summary(cdnow_log, window).purchases.sum() for window in windows]
    by_period = [
        purchases_by_period(cdnow_log, window, ends=[window.calibration_end, window.holdout_end])[1]
        for window in windows
    ]
    assert purchases == by_period
    assert [len(clv.customer_summary(cdnow_log, window)) for window in windows] == [
        2_357
    ] * 3  # all won in 1997's spring


def test_a_number_of_units_is_as_many_days_in_every_holdout(cdnow_log):
    windows = clv.rolling_windows(cdnow_log, first_end="1997-06-30", step=1, holdout=2, unit="month")
    assert {(window.holdout_end - window.calibration_end).days for window in windows} == {61}
    since = [(window.calibration_end - dt.date(1997, 6, 30)).days for window in windows]
    assert since == [round(place * 365.25 / 12) for place in range(len(windows))]


def test_months_of_the_calendar_end_where_months_end(cdnow_log):
    windows = clv.rolling_windows(
        cdnow_log, first_end="1997-01-31", step=1, holdout=1, number=3, unit="day", lengths="calendar_month"
    )
    month_ends = ["1997-01-31", "1997-02-28", "1997-03-31", "1997-04-30"]
    assert ends(windows) == list(itertools.pairwise(month_ends))
    windows = clv.rolling_windows(
        cdnow_log, first_end="1997-01-30", step=1, holdout=2, number=3, lengths="calendar_month"
    )
    assert ends(windows) == [("1997-01-30", "1997-03-30"), ("1997-02-28", "1997-04-30"), ("1997-03-30", "1997-05-30")]


def test_a_moving_window_has_customers_won_in_the_time_before_each_origin(cdnow_log):
    windows = clv.rolling_windows(cdnow_log, first_end="1997-02-25", step=2, holdout=10, number=3, acquired_within=4)
    assert [window.acquired_from for window in windows] == [
        window.calibration_end - dt.timedelta(days=27) for window in windows
    ]
    for window in windows:
        customers = clv.customer_summary(cdnow_log, window)
        assert customers.T.max() <= 27 / 7
        assert [line.reason for line in customers.set_aside][-1] == "won_before"
    months = clv.rolling_windows(
        cdnow_log, first_end="1997-02-28", step=1, holdout=1, number=1, lengths="calendar_month", acquired_within=1
    )
    assert months[0].acquired_from == dt.date(1997, 2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0}, "step = 0: expected a length of time above 0"),
        ({"holdout": float("nan")}, "holdout = nan"),
        ({"step": 0.01}, "step = 0.01: expected at least a day"),
        ({"step": 1.5, "lengths": "calendar_month"}, "step = 1.5: calendar months are whole"),
        ({"lengths": "months"}, 'lengths = "months": expected one of unit, calendar_month'),
        ({"number": 4}, "number = 4: 3 windows fit, the last of them with a holdout until 1998-06-30"),
        ({"number": 0}, "number = 0"),
        ({"holdout": 40}, "holdout until 1998-07-07 is outside the data: the log goes from 1997-01-01 to 1998-06-30"),
        ({"holdout": 1e300}, "outside the data"),
        ({"first_end": "1996-12-31"}, "outside the data"),
        ({"first_end": "soon"}, "first_end = 'soon': expected a calendar day"),
        ({"acquired_within": 40}, "acquired_within = 40: .* and the log begins on 1997-01-01"),
    ],
)
def test_windows_that_do_not_fit_are_refused(cdnow_log, options, message):
    plain = {"first_end": "1997-09-30", "step": 13, "holdout": 13}
    with pytest.raises(clv.DataError, match=message):
        clv.rolling_windows(cdnow_log, **(plain | options))
