"""Opportunities from a log: at unit "day" the plain summary; else as counted in plain Python."""

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import clvmodels as clv
from clvmodels.foundation.units import DAYS_PER_UNIT
from tests.test_data_summary import PURCHASES, START, log_of


def same(some, others):
    for field in dataclasses.fields(some):
        ours, theirs = getattr(some, field.name), getattr(others, field.name)
        if isinstance(ours, np.ndarray) and ours.dtype != object:
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs


def test_a_day_is_an_opportunity_of_the_plain_summary(cdnow_log):
    window = clv.Window("1997-09-30", "1998-06-30", unit="day")
    same(clv.opportunity_summary(cdnow_log, window), clv.customer_summary(cdnow_log, window))
    same(clv.opportunity_holdout(cdnow_log, window), clv.holdout_summary(cdnow_log, window))


def by_hand(purchases, end, last, per_unit):
    """frequency, recency, T, repeat cents, opportunities held and their cents, by customer."""
    for customer in sorted({who for who, _, _ in purchases}):
        mine = [(day, cents) for who, day, cents in purchases if who == customer]
        back = {math.floor((end - day) / per_unit) for day, _ in mine if day <= end}
        if back:
            held = {math.floor((day - end - 1) / per_unit) for day, _ in mine if end < day <= last}
            first = max(back)
            repeat = sum(cents for day, cents in mine if day <= end and math.floor((end - day) / per_unit) < first)
            later = sum(cents for day, cents in mine if end < day <= last)
            yield customer, len(back) - 1, first - min(back), first, repeat, len(held), later


@settings(max_examples=8, deadline=None)
@given(purchases=PURCHASES, end=st.integers(0, 60), unit=st.sampled_from(["day", "week", "month"]))
@example(purchases=[("a", 0, 0), ("a", 31, 0)], end=0, unit="month")  # day 31 once counted in a holdout of 30 days
def test_opportunities_are_those_counted_by_hand(purchases, end, unit):
    first, last = min(day for _, day, _ in purchases), max(day for _, day, _ in purchases)
    end, per_unit = min(max(first, end), last), DAYS_PER_UNIT[unit]
    units = max(1, math.floor((last + 1 - end) / per_unit))
    held_until = min(end + round(units * per_unit), last + 1)
    window = clv.Window(START + dt.timedelta(days=end), START + dt.timedelta(days=held_until), unit)
    log, expected = log_of(purchases), list(by_hand(purchases, end, held_until, per_unit))
    customers = clv.opportunity_summary(log, window)
    ids, x, t_x, T, repeat, held, later = (list(column) for column in zip(*expected, strict=True))
    assert customers.customer_id.tolist() == ids
    for ours, theirs in ((customers.frequency, x), (customers.recency, t_x), (customers.T, T)):
        np.testing.assert_array_equal(ours, theirs)
    mean = [cents / 100 / count if count and cents else np.nan for cents, count in zip(repeat, x, strict=True)]
    np.testing.assert_allclose(customers.monetary_value, mean, rtol=1e-12)
    same_days = clv.customer_summary(log, window)
    np.testing.assert_array_equal(customers.current_value, same_days.current_value)
    assert customers.unit == unit
    if abs((held_until - end) - units * per_unit) < 1:
        holdout = clv.opportunity_holdout(log, window)
        np.testing.assert_array_equal(holdout.purchases, held)
        np.testing.assert_allclose(holdout.amount, np.array(later) / 100, rtol=1e-12)
        assert holdout.window == window


def test_a_holdout_of_a_broken_number_of_opportunities_is_refused_with_a_day_that_fits(cdnow_log):
    window = clv.Window("1997-09-30", "1998-06-28", unit="week")
    with pytest.raises(clv.DataError, match=r"38\.71 times a week .* 38 of them end on 1998-06-23"):
        clv.opportunity_holdout(cdnow_log, window)
    months = clv.Window("1997-09-30", "1998-06-30", unit="month")  # 8.97 months: nine to within a day
    assert clv.opportunity_holdout(cdnow_log, months).amount.sum() == pytest.approx(70_976.39)


def test_weekly_opportunities_are_fitted(cdnow_log):
    window = clv.Window("1997-09-30", "1998-06-30", unit="week")
    customers = clv.opportunity_summary(cdnow_log, window)
    assert customers.frequency.sum() < 2_457  # purchases of one week are one
    fit = clv.fit("bg_bb", customers, method="mle")
    expected = clv.predict(fit, customers, quantity="expected_purchases", horizon=39)
    assert expected.total_draws[0] == pytest.approx(clv.opportunity_holdout(cdnow_log, window).purchases.sum(), rel=0.2)
