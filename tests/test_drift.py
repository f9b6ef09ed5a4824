"""Does the base buy as before, and what will it buy in all where demand drifts?"""

from dataclasses import replace

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.forecast import sample_future_by_period
from clvmodels.forecast.drift import Stationary, totals_with_drift
from clvmodels.forecast.drift_response import DriftResponse, drift_response, expected_by_period
from clvmodels.forecast.period_effect import period_effect
from clvmodels.foundation.errors import DataError, FitError
from tests.drift_cases import PERIODS, STORIES, base, demand
from tests.forecast_cases import SPEND

ENDS = np.arange(1.0, PERIODS + 1)


@pytest.fixture(scope="module")
def steady():
    """A base whose demand does not drift: customers, history, purchases ahead, and a fit."""
    customers, history, ahead = base(3)
    return customers, history, ahead, clv.fit("bg_nbd", customers, method="laplace", draws=400, seed=1)


@pytest.fixture(scope="module")
def unseen():
    """A response of a fit and a forecast that give way to nothing but the level."""
    mean = np.full((PERIODS, PERIODS), 1 / PERIODS)
    return DriftResponse(fitted=mean, ahead=mean, other=np.zeros((PERIODS, PERIODS)))


def test_the_history_is_the_purchases_of_the_calibration(cdnow_log, window, cdnow):
    history = clv.purchase_history(cdnow_log, window)
    assert (len(history), history.before_end[0], history.before_end[-1]) == (39, 266, 0)
    assert history.purchases.sum() == cdnow.frequency.sum()
    monthly = clv.purchase_history(cdnow_log, window, periods="month")
    assert len(monthly) == 9
    assert monthly.purchases.sum() == cdnow.frequency.sum()
    without = clv.purchase_history(cdnow_log, replace(window, holdout_end=None))
    np.testing.assert_array_equal(history.purchases, without.purchases)


def test_cdnow_is_flagged(cdnow_log, window, cdnow):
    fit = clv.fit("bg_nbd", cdnow, method="mle")
    check = clv.drift_check(fit, cdnow, history=clv.purchase_history(cdnow_log, window), seed=1)
    assert check.drifts
    assert check.p_value <= 0.01
    frame = check.to_pandas()
    assert frame["actual"].sum() == cdnow.frequency.sum()
    assert frame["expected"].sum() == pytest.approx(cdnow.frequency.sum(), rel=0.02)


def test_a_steady_base_is_not_flagged_and_one_that_doubles_is():
    flags = {}
    for name, level in (("steady", None), ("doubles", np.repeat([0.0, 0.7, 0.0], 26))):
        customers, history, _ = base(3, level=level)
        fit = clv.fit("bg_nbd", customers, method="mle")
        flags[name] = clv.drift_check(fit, customers, history=history, seed=1, replicates=199).drifts
    assert flags == {"steady": False, "doubles": True}


def test_one_promotion_is_seen_as_a_single_period():
    level = np.zeros(2 * PERIODS)
    level[25] = 1.0
    customers, history, _ = base(5, level=level)
    fit = clv.fit("bg_nbd", customers, method="mle")
    check = clv.drift_check(fit, customers, history=history, seed=1, replicates=199)
    assert check.single_p <= 0.01
    row = check.periods[25]
    assert row.actual > row.high


def test_the_response_is_that_of_fits_to_bases_of_other_demand(steady):
    """Central differences of whole fits, on bases told with the same random numbers, against the jackknife's."""
    customers, history, _, fit = steady
    expected = expected_by_period(fit, customers, before_end=history.before_end)
    response = drift_response(
        fit, customers, before_end=history.before_end, expected=expected, ends=ENDS, rng=np.random.default_rng(1)
    )
    assert response.fitted.sum(axis=1) == pytest.approx(np.ones(PERIODS), abs=0.12)  # a level moves all alike
    assert response.ahead.sum(axis=1) == pytest.approx(np.ones(PERIODS), abs=0.15)
    slope = np.linspace(-0.5, 0.5, PERIODS)
    logs = []
    for sign in (-1, 1):
        moved = np.mean([_log_expected(seed, sign * 0.4 * slope) for seed in range(8)], axis=0)
        logs.append(moved)
    by_fits = (logs[1] - logs[0]) / 0.8
    assert np.corrcoef(by_fits, response.fitted @ slope)[0, 1] > 0.9
    assert np.abs(by_fits - response.fitted @ slope).max() < 0.2  # the slope itself goes from -.5 to .5


def _log_expected(seed, past):
    level = np.append(past, np.zeros(PERIODS))
    customers, history, _ = base(100 + seed, level=level)
    fit = clv.fit("bg_nbd", customers, method="mle")
    return np.log(expected_by_period(fit, customers, before_end=history.before_end))


def test_a_step_of_the_level_is_carried_on_and_chance_is_not(unseen):
    """Without drift in the data little is left; a step in the level is carried on."""
    rng = np.random.default_rng(1)
    expected = np.full(PERIODS, 2000.0)
    flat = period_effect(rng.poisson(expected).astype(float), expected, unseen, draws=4000, rng=rng)
    assert np.abs(flat.paths.mean()) < 0.02
    assert flat.paths.mean(axis=1).std() < 0.05
    level = np.where(np.arange(PERIODS) < 30, -0.069, 0.231)  # means 0 over the calibration
    stepped = period_effect(expected * np.exp(level), expected, unseen, draws=4000, rng=rng)
    assert stepped.paths[:, 0].mean() == pytest.approx(0.231, abs=0.06)
    assert stepped.drift > 3 * flat.drift


def test_noise_of_single_periods_is_not_carried_on(unseen):
    rng = np.random.default_rng(2)
    expected = np.full(PERIODS, 2000.0)
    noise = rng.normal(0, 0.3, PERIODS)
    effect = period_effect(expected * np.exp(noise - noise.mean()), expected, unseen, draws=4000, rng=rng)
    assert effect.single == pytest.approx(0.3, abs=0.08)
    assert effect.paths.std(axis=0).mean() == pytest.approx(0.3, abs=0.12)
    assert effect.paths.mean(axis=1).std() < 0.2


def test_far_ahead_the_interval_stops_growing():
    seen = 13  # periods; twenty times as many lie ahead
    rng = np.random.default_rng(3)
    expected = np.full(seen, 6000.0)
    level = np.cumsum(rng.normal(0, 0.05 * np.sqrt(PERIODS / seen), seen))
    fitted, ahead = np.full((seen, seen), 1 / seen), np.full((20 * seen, seen), 1 / seen)
    far = DriftResponse(fitted=fitted, ahead=ahead, other=np.zeros((seen, seen)))
    purchases = expected * np.exp(level - level.mean())
    sd = period_effect(purchases, expected, far, draws=2000, rng=rng).paths.std(axis=0)
    assert sd[2 * seen] > sd[seen // 2] > sd[0]
    assert sd[-1] < 1.6 * sd[10 * seen - 1] < 1.6 * np.sqrt(10) * sd[seen - 1]


def test_totals_hold_whole_counts_and_the_fits_own_are_beside_them(steady):
    customers, history, _, fit = steady
    spending = replace(
        customers, monetary_value=np.where(customers.frequency > 0, 30.0, np.nan), first_amount=np.full(3000, 20.0)
    )
    spend = replace(SPEND, unit="week")
    totals = clv.sample_totals(fit, spending, history=history, horizon=39.0, seed=1, spend=spend, draws=200)
    assert totals.purchases.shape == totals.spend.shape == (200, 39)
    assert (totals.purchases == np.floor(totals.purchases)).all()
    future = clv.sample_future(fit, spend, spending, horizon=39.0, discount_per_unit=0.0, seed=1, draws=200)
    np.testing.assert_allclose(totals.stationary_purchases.sum(axis=1), future.purchases.total_draws)
    np.testing.assert_allclose(totals.stationary_spend.sum(axis=1), future.spend.total_draws)
    per_purchase = totals.spend.sum() / totals.purchases.sum()
    assert per_purchase == pytest.approx(totals.stationary_spend.sum() / totals.stationary_purchases.sum(), rel=0.02)
    frame = totals.to_pandas()
    assert len(frame) == 4 * 40
    again = clv.sample_totals(fit, spending, history=history, horizon=39.0, seed=1, spend=spend, draws=200)
    np.testing.assert_array_equal(totals.purchases, again.purchases)


def test_totals_from_a_forecast_drawn_before_are_those_drawn_for_them(steady):
    """A study takes the forecast of its decision, drawn in shorter periods than its report shows."""
    customers, history, _, fit = steady
    spending = replace(
        customers, monetary_value=np.where(customers.frequency > 0, 30.0, np.nan), first_amount=np.full(3000, 20.0)
    )
    spend, ends = replace(SPEND, unit="week"), np.arange(1.0, 14.0)
    options = {"seed": 1, "draws": 50}
    drawn = sample_future_by_period(fit, spend, spending, ends=ends, discount_per_unit=0.0, **options)
    stationary = Stationary(drawn.ends, drawn.flows["purchases"], drawn.flows["spend"])
    from_it = totals_with_drift(fit, spending, history=history, stationary=stationary, seed=1, spend=spend)
    own = clv.sample_totals(fit, spending, history=history, ends=ends, spend=spend, **options)
    np.testing.assert_array_equal(from_it.purchases, own.purchases)
    np.testing.assert_array_equal(from_it.stationary_purchases, own.stationary_purchases)
    np.testing.assert_allclose(from_it.spend, own.spend, rtol=1e-12)


def test_a_first_period_in_which_nobody_can_buy_again_changes_nothing(steady):
    """Counted from a day on which the first customers come, a period expects 0: it once made every share of it NaN."""
    customers, history, _, fit = steady
    oldest = round(customers.T.max() * 7)
    cut = replace(
        history,
        before_end=np.append(oldest, history.before_end),
        purchases=np.append(0.0, history.purchases),
    )
    assert expected_by_period(fit, customers, before_end=cut.before_end)[0] == 0
    totals = clv.sample_totals(fit, customers, history=cut, horizon=39.0, seed=1, draws=200)
    plain = clv.sample_totals(fit, customers, history=history, horizon=39.0, seed=1, draws=200)
    assert totals.effect.drift == pytest.approx(plain.effect.drift)
    assert totals.purchases.mean() == pytest.approx(plain.purchases.mean(), rel=0.05)


def test_what_does_not_belong_together_is_refused(steady):
    customers, history, _, fit = steady
    wrong = replace(history, purchases=history.purchases + 1)
    with pytest.raises(DataError, match="repeat purchases"):
        clv.sample_totals(fit, customers, history=wrong, horizon=39.0, seed=1)
    with pytest.raises(DataError, match="repeat purchases"):
        clv.drift_check(fit, customers, history=wrong, seed=1)
    with pytest.raises(DataError, match="8 or more"):
        clv.PurchaseHistory(np.arange(3)[::-1], np.ones(3), "week")
    with pytest.raises(DataError, match="fall to 0"):
        clv.PurchaseHistory(np.arange(9), np.ones(9), "week")
    with pytest.raises(DataError, match="period 2 has 21 days"):
        clv.sample_totals(fit, customers, history=history, ends=[1.0, 4.0, 5.0], seed=1)
    with pytest.raises(FitError, match="replicates"):
        clv.drift_check(fit, customers, history=history, seed=1, replicates=10)
    with pytest.raises(FitError, match="story"):
        clv.sample_totals(SPEND, customers, history=history, horizon=39.0, seed=1)
    longer = replace(history, before_end=np.append(4000, history.before_end), purchases=np.append(0, history.purchases))
    with pytest.raises(DataError, match="begins 4000 days"):
        clv.drift_check(fit, customers, history=longer, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("story", [*STORIES])
def test_fewer_than_5_of_100_steady_bases_are_flagged(story):
    flags = []
    for seed in range(60):
        customers, history, _ = base(seed, size=2000, within=(12, 36)[seed % 2], story=story)
        fit = clv.fit(story, customers, method="mle")
        flags.append(clv.drift_check(fit, customers, history=history, seed=seed, replicates=199).drifts)
    assert sum(flags) <= 4  # of 60 at 2 %, more than 4 come in 1 of 150 runs


@pytest.mark.slow
@pytest.mark.parametrize("sd", [0.0, 0.05])
def test_intervals_of_totals_cover_where_demand_drifts(sd):
    inside = []
    for seed in range(40):
        level = demand(np.random.default_rng(500 + seed), sd)
        customers, history, ahead = base(seed, level=level, within=(12, 36)[seed % 2])
        fit = clv.fit("bg_nbd", customers, method="laplace", draws=400, seed=1)
        totals = clv.sample_totals(fit, customers, history=history, horizon=39.0, seed=1).purchases.sum(axis=1)
        low, high = np.quantile(totals, [0.05, 0.95])
        inside.append(low <= ahead.sum() <= high)
    assert sum(inside) >= 30  # of 40 at 90 %, fewer come in 1 of 200 runs


def test_a_first_period_of_one_day_in_which_nobody_comes_again_says_nothing_of_demand():
    # 365 days are 52 weeks and a day: nothing is expected on that day, and 0 / 0 was NaN in the response of the fit.
    log, window = clv.read_transactions("dataset:cdnow_sample"), clv.Window("1997-12-31", "1998-03-31")
    customers, history = clv.customer_summary(log, window), clv.purchase_history(log, window)
    assert history.before_end[0] == 364
    later = replace(history, before_end=history.before_end[1:], purchases=history.purchases[1:])
    fit = clv.fit("bg_nbd", customers, draws=100, seed=1)
    whole, without = (clv.sample_totals(fit, customers, history=h, horizon=13, seed=1) for h in (history, later))
    assert np.isfinite(whole.purchases).all()
    np.testing.assert_array_equal(whole.purchases, without.purchases)
