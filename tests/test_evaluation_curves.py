"""Curves of calibration: right forecasts lie in their bands as often as said, wrong ones do not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clvmodels.evaluation.calibration import predictive_check
from clvmodels.evaluation.curves import activity_rows, decile_rows, pit_check, tenths
from clvmodels.foundation.errors import DataError
from tests.evaluation_cases import drawn


def deciles(forecast, outcome, *, seed=1, replicates=400):
    return decile_rows(forecast, outcome, rng=np.random.default_rng(seed), replicates=replicates)


@pytest.fixture
def base():
    """Forecasts of 1,000 customers and counts from them."""
    rng = np.random.default_rng(11)
    forecast = rng.gamma(0.6, 2.0, size=1000)
    return forecast, rng.poisson(forecast).astype(float)


def test_tenths_are_those_of_pandas_where_no_forecasts_are_equal(base):
    np.testing.assert_array_equal(tenths(base[0]), pd.qcut(base[0], 10, labels=False))


def test_equal_forecasts_stay_in_one_tenth_and_the_order_of_customers_changes_nothing():
    forecast = np.array([0.0] * 45 + [1.0] * 40 + [2.0] * 15)
    assert {value: set(tenths(forecast)[forecast == value]) for value in (0.0, 1.0, 2.0)} == {
        0.0: {2},  # the middle of the lowest 45 of 100
        1.0: {6},
        2.0: {9},
    }
    order = np.random.default_rng(1).permutation(100)
    np.testing.assert_array_equal(tenths(forecast[order]), tenths(forecast)[order])


def test_rows_of_tenths_are_group_means_of_pandas(base):
    forecast, outcome = base
    frame = pd.DataFrame({"forecast": forecast, "actual": outcome, "decile": pd.qcut(forecast, 10, labels=False) + 1})
    means = frame.groupby("decile").mean()
    rows = deciles(forecast, outcome)
    assert [row.decile for row in rows] == list(range(1, 11))
    assert [row.customers for row in rows] == [100] * 10
    np.testing.assert_allclose([row.forecast for row in rows], means.forecast, rtol=1e-12)
    np.testing.assert_allclose([row.actual for row in rows], means.actual, rtol=1e-12)
    np.testing.assert_allclose([row.bias for row in rows], means.forecast - means.actual, atol=1e-12)


def test_the_interval_of_a_tenths_bias_has_the_width_of_its_sampling_error(base):
    # Of a mean of 100 errors: 2 x 1.645 standard errors, to 5 times the Monte Carlo error of 4,000 replicates (2 %).
    forecast, outcome = base
    for row in deciles(forecast, outcome, replicates=4000)[3:]:  # below, counts are so few that they are not normal
        members = tenths(forecast) == row.decile - 1
        error = (forecast - outcome)[members].std() / 10
        assert row.high - row.low == pytest.approx(2 * 1.645 * error, rel=0.12)


def test_a_forecast_too_high_for_the_best_customers_shows_in_their_tenth_alone(base):
    forecast, outcome = base
    top = forecast >= np.quantile(forecast, 0.9)
    rows = deciles(np.where(top, forecast * 1.5, forecast), outcome)
    assert rows[-1].low > 0
    assert sum(row.low > 0 for row in rows) <= 2


def test_shares_of_a_right_probability_lie_in_their_bands_nine_times_of_ten_or_more_and_of_a_wrong_one_do_not():
    rng = np.random.default_rng(12)
    inside, inside_wrong, bands = 0, 0, 0
    for _ in range(100):
        p = rng.beta(0.6, 2.0, size=500)
        came = rng.random(500) < p
        rows, wrong = activity_rows(p, came), activity_rows(np.sqrt(p), came)
        bands += len(rows)
        inside += sum(row.low <= row.share <= row.high for row in rows)
        inside_wrong += sum(row.low <= row.share <= row.high for row in wrong)
    assert inside / bands > 0.90 - 4 * np.sqrt(0.9 * 0.1 / bands)
    assert inside_wrong / bands < 0.5


def test_a_yes_or_no_forecast_has_two_points_without_width():
    rows = activity_rows(np.array([0.0, 0.0, 1.0, 1.0, 1.0]), np.array([False, True, True, True, False]))
    assert [(row.customers, row.probability, row.low, row.high) for row in rows] == [(2, 0, 0, 0), (3, 1, 1, 1)]
    assert [row.share for row in rows] == [0.5, pytest.approx(2 / 3)]


def world(rng, n=400, S=200, factor=1.0):
    rates = rng.gamma(0.7, 2.0, size=(n, 1))
    values = rng.poisson(rates, size=(n, S + 1)).astype(float)
    draws = rng.poisson(rates * factor, size=(n, S)).astype(float)
    return predictive_check(drawn(draws), values[:, S], frequency=np.zeros(n), rng=rng)


def test_the_test_of_a_right_pit_rejects_at_its_level_and_its_bins_lie_in_their_band():
    rng = np.random.default_rng(13)
    checks = [pit_check(world(rng), bins=10) for _ in range(150)]
    rejected = np.mean([check.p_value < 0.1 for check in checks])
    assert abs(rejected - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 150)
    inside = np.mean([check.low <= one.share <= check.high for check in checks for one in check.bins])
    assert inside > 0.90 - 4 * np.sqrt(0.9 * 0.1 / 1500)
    assert inside < 0.97


def test_the_pit_of_a_forecast_that_is_too_high_is_found_not_uniform():
    check = world(np.random.default_rng(14), factor=1.6)
    found = pit_check(check, bins=10)
    assert found.p_value < 1e-3
    assert found.distance == stats.kstest(check.pit, "uniform").statistic
    assert sum(one.share for one in found.bins) == pytest.approx(1)
    assert (found.quantity, found.customers) == ("purchases", 400)


def test_what_cannot_be_a_pair_of_forecast_and_outcome_is_refused():
    with pytest.raises(DataError, match="3 forecasts and 2 outcomes"):
        deciles(np.ones(3), np.ones(2))
    with pytest.raises(DataError, match="nan in row 1"):
        deciles(np.array([1.0, np.nan]), np.ones(2))
    with pytest.raises(DataError, match=r"1\.5 in row 0: expected 0 to 1"):
        activity_rows(np.array([1.5, 0.2]), np.array([True, False]))
