"""Conformal intervals hold what they state where customers are exchangeable, whatever the model."""

from dataclasses import replace

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.foundation.errors import DataError
from tests.evaluation_cases import customers, drawn, holdout, ids, point


def sample(rng, n, quantity, width):
    """Customers, a forecast whose intervals are `width` times as wide as they should be, and outcomes."""
    frequency = rng.poisson(1.5, n).astype(float)
    mean = 0.5 + frequency
    if quantity == "purchases":
        outcome = rng.poisson(mean * rng.gamma(2.0, 0.5, n)).astype(float)
        spread = 1.6 * np.sqrt(mean + mean**2 / 2)
    else:
        outcome = 20 * mean * rng.lognormal(0, 0.8, n)
        spread = 25 * mean
    unit = 1.0 if quantity == "purchases" else 20.0
    low, high = np.maximum(unit * mean - width * spread, 0), unit * mean + width * spread
    forecast = point(unit * mean, quantity, q05=low, q50=unit * mean, q95=high)
    return customers(frequency), forecast, holdout(outcome if quantity == "purchases" else np.ones(n), outcome)


@pytest.mark.parametrize("quantity", ["purchases", "spend"])
@pytest.mark.parametrize("width", [0.3, 1.0, 3.0])
def test_intervals_cover_what_they_state_however_wrong_the_model_is(quantity, width):
    rng = np.random.default_rng(7)
    before, after = [], []
    for _ in range(60):
        inner, new = sample(rng, 600, quantity, width), sample(rng, 400, quantity, width)
        outcome = new[2].purchases if quantity == "purchases" else new[2].amount
        intervals = clv.conformal_intervals(new[1], new[0], inner=[inner])
        was, now = intervals.covered(outcome)
        before.append(was)
        after.append(now)
        assert (intervals.low >= 0).all()
        assert (intervals.low <= intervals.high).all()
    error = np.std(after, ddof=1) / np.sqrt(len(after))
    assert np.mean(after) > 0.9 - 3 * error
    assert np.mean(after) < (0.98 if quantity == "purchases" else 0.92)  # counts tie, and ties are covered
    assert np.abs(np.mean(after) - 0.9) < np.abs(np.mean(before) - 0.9) + 0.01


def test_the_coverage_holds_in_each_group_of_repeat_purchases():
    rng = np.random.default_rng(8)
    inner, new = sample(rng, 40_000, "spend", 0.4), sample(rng, 40_000, "spend", 0.4)
    intervals = clv.conformal_intervals(new[1], new[0], inner=[inner])
    inside = (intervals.low <= new[2].amount) & (new[2].amount <= intervals.high)
    for x in range(5):
        rows = new[0].frequency == x
        assert inside[rows].mean() == pytest.approx(0.9, abs=4 * np.sqrt(2 * 0.09 / rows.sum()))


def test_ends_of_counts_are_whole():
    rng = np.random.default_rng(9)
    inner, new = sample(rng, 500, "purchases", 0.37), sample(rng, 500, "purchases", 0.37)
    intervals = clv.conformal_intervals(new[1], new[0], inner=[inner])
    for ends in (intervals.low, intervals.high, intervals.added):
        assert (ends == np.floor(ends)).all()
    assert len(intervals.to_pandas()) == 500


def test_the_adjustment_is_the_textbook_one_in_a_single_group():
    """By hand: 199 scores 1, ..., 199 and a coverage of .9 take the 180th."""
    n = 199
    flat = point(np.full(n, 100.0), q05=np.full(n, 100.0), q50=np.full(n, 100.0), q95=np.full(n, 100.0))
    inner = (customers(np.zeros(n)), flat, holdout(np.zeros(n), 100 + np.arange(1.0, n + 1)))
    new = replace(flat, customer_id=ids(n))
    intervals = clv.conformal_intervals(new, customers(np.zeros(n)), inner=[inner])
    assert set(intervals.added) == {180.0}
    assert (intervals.low[0], intervals.high[0], intervals.n_inner) == (0.0, 280.0, n)


def test_what_does_not_belong_together_is_refused():
    rng = np.random.default_rng(10)
    inner, new = sample(rng, 200, "purchases", 1.0), sample(rng, 200, "purchases", 1.0)
    base, forecast, outcome = inner
    with pytest.raises(DataError, match='expected "purchases" or "spend"'):
        clv.conformal_intervals(replace(new[1], quantity="clv"), new[0], inner=[inner])
    with pytest.raises(DataError, match="an inner forecast is of spend"):
        clv.conformal_intervals(new[1], new[0], inner=[(base, replace(forecast, quantity="spend"), outcome)])
    with pytest.raises(DataError, match="another order"):
        clv.conformal_intervals(new[1], new[0].take(np.arange(200)[::-1]), inner=[inner])
    with pytest.raises(DataError, match="there are 0 inner customers"):
        clv.conformal_intervals(new[1], new[0], inner=[])
    with pytest.raises(DataError, match="coverage = 1"):
        clv.conformal_intervals(new[1], new[0], inner=[inner], coverage=1)
    with pytest.raises(DataError, match="no q05"):
        clv.conformal_intervals(point(np.ones(200), "purchases"), new[0], inner=[inner])
    intervals = clv.conformal_intervals(new[1], new[0], inner=[inner])
    with pytest.raises(DataError, match="expected one of each of 200"):
        intervals.covered(np.zeros(3))


def test_draws_make_intervals_to_begin_with():
    rng = np.random.default_rng(11)
    draws = rng.poisson(2.0, (300, 400)).astype(float)
    made = drawn(draws), customers(np.zeros(300)), holdout(rng.poisson(2.0, 300))
    intervals = clv.conformal_intervals(made[0], made[1], inner=[(made[1], made[0], made[2])])
    assert intervals.covered(made[2].purchases)[1] >= 0.9
