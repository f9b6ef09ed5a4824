"""Totals of a base against what came, and how often their intervals hold it."""

from dataclasses import replace

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.baselines import BASELINES
from clvmodels.evaluation.calibration import wilson_bounds
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import TotalCheck

DRAWS = 300


@pytest.fixture(scope="module")
def pair(cdnow):
    """Fits of purchases and of spend with few draws."""
    return [clv.fit(model, cdnow, draws=DRAWS, seed=1) for model in ("bg_nbd", "gamma_gamma")]


@pytest.fixture(scope="module")
def checks(cdnow_log, window, cdnow, cdnow_holdout, pair):
    history = clv.purchase_history(cdnow_log, window)
    return clv.check_totals(pair[0], cdnow, history=history, holdout=cdnow_holdout, seed=1, spend=pair[1])


def check(end="2001-01-07", until="2001-04-08", *, outcome="purchases", horizon=13.0, actual=100.0, wide=30.0):
    """A forecast of 100 with an interval of `wide` to either side, and one that knows no drift half as wide."""
    steady, moved = (Estimate(100.0, 1.0, 100 - half, 100.0, 100 + half) for half in (wide / 2, wide))
    return TotalCheck(outcome, end, until, horizon, "week", actual, steady, moved)


def test_totals_are_those_of_the_forecast_with_and_without_a_drift(
    checks, cdnow_log, window, cdnow, cdnow_holdout, pair
):
    totals = clv.sample_totals(
        pair[0], cdnow, history=clv.purchase_history(cdnow_log, window), horizon=39.0, seed=1, spend=pair[1]
    )
    assert [one.outcome for one in checks] == ["purchases", "spend"]
    for one in checks:
        drifting, steady = getattr(totals, one.outcome), getattr(totals, f"stationary_{one.outcome}")
        assert one.drifting.mean == pytest.approx(drifting.sum(axis=1).mean())
        assert one.stationary.mean == pytest.approx(steady.sum(axis=1).mean())
        assert (one.calibration_end, one.holdout_end, one.horizon, one.unit) == ("1997-09-30", "1998-06-30", 39, "week")
    assert [one.actual for one in checks] == [cdnow_holdout.purchases.sum(), pytest.approx(cdnow_holdout.amount.sum())]


def test_the_interval_with_a_drift_is_wider_and_holds_what_came_to_cdnow(checks):
    for one in checks:
        assert one.drifting.q95 - one.drifting.q05 > 1.5 * (one.stationary.q95 - one.stationary.q05)
        assert one.drifting.q05 < one.actual < one.drifting.q95
    assert checks[0].actual > checks[0].stationary.q95  # 1,882 purchases came


def test_without_a_history_the_total_is_the_forecast_of_the_future(cdnow, cdnow_holdout, pair):
    found = clv.check_totals(pair[0], cdnow, history=None, holdout=cdnow_holdout, seed=1, spend=pair[1])
    future = clv.sample_future(*pair, cdnow, horizon=39.0, discount_per_unit=0.0, seed=1)
    for one, forecast in zip(found, (future.purchases, future.spend), strict=True):
        assert one.drifting is None
        assert one.stationary.mean == pytest.approx(forecast.total_draws.mean())
    (alone,) = clv.check_totals(pair[0], cdnow, history=None, holdout=cdnow_holdout, seed=1)
    assert alone.outcome == "purchases"
    assert alone.stationary.mean == pytest.approx(found[0].stationary.mean, rel=0.05)


def test_a_holdout_of_others_is_refused(cdnow, cdnow_holdout, pair):
    turned = replace(cdnow_holdout, customer_id=cdnow_holdout.customer_id[::-1])
    with pytest.raises(DataError, match="other customers"):
        clv.check_totals(pair[0], cdnow, history=None, holdout=turned, seed=1)


def test_the_share_of_totals_inside_is_counted_by_method():
    """Eight quarters without a gap or an overlap: 100 misses neither, 120 the narrow one, 140 both."""
    days = np.datetime64("2001-01-07") + np.arange(9) * np.timedelta64(91, "D")
    quarters = list(zip(days[:-1].astype(str), days[1:].astype(str), strict=True))
    actual = [100.0] * 5 + [120.0] * 2 + [140.0]
    made = [check(*quarter, actual=total) for quarter, total in zip(quarters, actual, strict=True)]
    steady, moved = clv.total_coverage(made)
    assert (steady.method, steady.windows, steady.inside, steady.apart) == ("stationary", 8, 5, 8)
    assert (moved.method, moved.windows, moved.inside, moved.apart) == ("drifting", 8, 7, 8)
    assert (moved.low, moved.high) == wilson_bounds(7 / 8, 8)
    assert (steady.width, moved.width) == (0.3, 0.6)


def test_windows_that_overlap_are_no_independent_witnesses():
    """Quarters that begin each month: of seven, three have no day in common, whatever the order they come in."""
    starts = np.datetime64("2001-01-07") + np.arange(7) * np.timedelta64(30, "D")
    made = [check(str(start), str(start + np.timedelta64(90, "D"))) for start in starts]
    for order in (made, made[::-1]):
        steady, _ = clv.total_coverage(order)
        assert (steady.windows, steady.inside, steady.apart) == (7, 7, 3)
        assert (steady.low, steady.high) == wilson_bounds(1.0, 3)


def test_horizons_and_outcomes_are_kept_apart_and_months_are_one_length():
    made = [
        check(horizon=13.0),
        check("2001-04-08", "2001-07-09", horizon=92 / 7, outcome="purchases"),
        check(until="2001-07-08", horizon=26.0),
        check(outcome="spend"),
    ]
    rows = [row for row in clv.total_coverage(made) if row.method == "drifting"]
    assert [(row.outcome, round(row.horizon, 2), row.windows) for row in rows] == [
        ("purchases", 13.07, 2),
        ("purchases", 26.0, 1),
        ("spend", 13.0, 1),
    ]
    without = [replace(one, drifting=None) for one in made[:2]]
    assert [row.method for row in clv.total_coverage(without)] == ["stationary"]
    assert clv.total_coverage([]) == []
    nothing = Estimate(100.0, None, None, None, None)
    with pytest.raises(DataError, match="no interval"):
        clv.total_coverage([replace(made[0], stationary=nothing)])


def test_conformal_rows_are_a_plain_recount(cdnow_log, window, cdnow, cdnow_holdout):
    """The same by hand: forecasts at the inner and the outer origin, scores of all inner customers of a frequency."""
    method = clv.model_method("bg_nbd", "gamma_gamma", seed=1, draws=DRAWS)
    rows = clv.conformal_check(cdnow_log, window, method=method)
    assert [row.quantity for row in rows] == ["purchases", "spend"]
    ((known, outcome),) = clv.training_windows(cdnow_log, window, origins=1)
    assert str(outcome.window.holdout_end) == "1997-09-30"
    outer, inner = method.forecasts(cdnow, 39.0), method.forecasts(known, outcome.window.holdout_length)
    for row, came, before in zip(
        rows,
        ("purchases", "amount"),
        (_counts, lambda forecast: (forecast.q05, forecast.q95)),
        strict=True,
    ):
        low, high = before(outer[row.quantity])
        actual = getattr(cdnow_holdout, came)
        inside = (low <= actual) & (actual <= high)
        assert row.before == pytest.approx(inside.mean())
        assert (row.before_low, row.before_high) == pytest.approx(wilson_bounds(inside.mean(), len(actual)))
        assert row.before_width == pytest.approx((high - low).mean())
        set_right = clv.conformal_intervals(
            outer[row.quantity], cdnow, inner=[(known, inner[row.quantity], outcome)], coverage=0.9
        )
        covered = [a <= y <= b for a, b, y in zip(set_right.low, set_right.high, actual, strict=True)]
        assert row.after == pytest.approx(sum(covered) / len(covered))
        assert row.after_width == pytest.approx((set_right.high - set_right.low).mean())
        assert (row.customers, row.probability) == (2357, 0.9)


def _counts(forecast):
    return np.floor(forecast.q05), np.ceil(forecast.q95)


def test_intervals_that_the_model_makes_too_narrow_come_out_right_on_steady_customers():
    """Demand as it was, so that inner and outer customers are exchangeable, and a method whose intervals are half."""
    log, window = _steady_log(), clv.Window("2001-10-28", "2002-03-03")
    honest = clv.model_method("bg_nbd", "gamma_gamma", seed=1, draws=DRAWS)
    rows = clv.conformal_check(log, window, method=replace(honest, rule=_halved(honest)))
    for row in rows:
        assert row.before < 0.86
        assert 0.88 < row.after < 0.98  # counts tie, and so does spend of 0: ties are covered
        assert row.after_width > row.before_width


def _halved(method):
    def rule(customers, horizon):
        made = method.rule(customers, horizon)
        return {
            name: replace(one, q05=one.q50, q95=one.q50 + (one.q95 - one.q50) / 4)
            if name == "spend"
            else replace(one, q95=np.floor(one.q95 / 3))
            for name, one in made.items()
        }

    return rule


def _steady_log():
    """A log of customers who come all on one day and buy at rates of their own for ever."""
    import pandas as pd

    rng = np.random.default_rng(3)
    size, days = 1500, 430
    rate = rng.gamma(0.8, 1 / 40, size)
    bought = rng.random((size, days)) < rate[:, None]
    bought[:, 0] = True
    customer, day = np.nonzero(bought)
    spend = rng.gamma(6.0, 1.0, len(customer)) * rng.gamma(8.0, 1.0, size)[customer]
    date = np.datetime64("2001-01-01") + day.astype("timedelta64[D]")
    return clv.read_transactions(
        pd.DataFrame({"customer_id": customer.astype(str), "date": date, "amount": spend.round(2)}), currency="USD"
    )


def test_a_method_without_intervals_is_refused(cdnow_log, window):
    with pytest.raises(DataError, match="no q05"):
        clv.conformal_check(cdnow_log, window, method=BASELINES["same_rate"])
    with pytest.raises(DataError, match="expected purchases or spend"):
        clv.conformal_check(cdnow_log, window, method=BASELINES["abc"])
