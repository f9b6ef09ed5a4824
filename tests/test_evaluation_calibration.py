"""Calibration tables: right where the forecast is right, and they show it where it is wrong."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from clvmodels.evaluation.calibration import (
    COUNTS,
    GROUPS,
    PROBABILITIES,
    calibration_rows,
    count_rows,
    coverage_rows,
    pit_histogram,
    predictive_check,
    wilson_bounds,
)
from clvmodels.evaluation.drawn import DrawScores, score_draws
from clvmodels.evaluation.scores import HeldDraws, crps_of_draws
from clvmodels.foundation.errors import DataError
from tests.evaluation_cases import drawn, ids, point

N, S = 3000, 400


@pytest.fixture(scope="module")
def world():
    """A posterior predictive that is right: outcomes come from the same story as the draws.

    A rate shared by all (uncertain), a rate of each customer, and Poisson outcomes.
    """
    rng = np.random.default_rng(31)
    level = rng.lognormal(0.0, 0.1, size=S + 1)  # draw S is the truth
    x = rng.poisson(rng.gamma(0.7, 3.0, size=N)).astype(float)
    rates = rng.gamma((0.7 + x)[:, None], 0.5, size=(N, S + 1)) * level
    counts = rng.poisson(rates).astype(float)
    spends = counts * rng.gamma(5.0, 4.0, size=(N, S + 1))
    return {"x": x, "purchases": counts, "spend": spends}


def check_of(world, quantity, *, factor=1.0, block=700):
    values = world[quantity]
    forecast = drawn(values[:, :S] * factor, quantity, block=block)
    return predictive_check(forecast, values[:, S], frequency=world["x"], rng=np.random.default_rng(2))


@pytest.fixture(scope="module")
def checks(world):
    return {quantity: check_of(world, quantity) for quantity in ("purchases", "spend")}


@pytest.mark.parametrize("quantity", ["purchases", "spend"])
def test_pit_of_a_right_forecast_is_uniform_in_spite_of_atoms(checks, quantity):
    assert stats.kstest(checks[quantity].pit, "uniform").pvalue > 0.01
    shares = pit_histogram(checks[quantity], bins=10)
    assert sum(shares) == pytest.approx(1)
    assert np.abs(np.array(shares) - 0.1).max() < 4 * np.sqrt(0.1 * 0.9 / N) + 0.02  # the shared level's error


def test_pit_is_uniform_with_a_handful_of_draws():
    # Three draws: without the outcome's own place among them the PIT would have atoms at 0, 1/4, ...
    values = np.random.default_rng(7).gamma(2.0, size=(4000, 4))
    ordered, tie_breaks = np.sort(values[:, :3], axis=1), np.random.default_rng(8).random(4000)
    drawn = score_draws("spend", ordered, values[:, 3])
    pit = drawn.pit_low + tie_breaks * (drawn.pit_high - drawn.pit_low)
    assert stats.kstest(pit, "uniform").pvalue > 0.01


def test_pit_of_a_forecast_that_is_too_high_is_not_uniform(world):
    check = check_of(world, "spend", factor=2.0)
    assert stats.kstest(check.pit, "uniform").pvalue < 1e-6
    shares = pit_histogram(check, bins=10)
    assert shares[-1] < 0.06  # few outcomes lie above most of their draws


def test_intervals_of_a_right_forecast_cover_as_stated(checks):
    # Randomised PIT makes coverage exact; plain inclusion of ends can only add to it.
    rows = coverage_rows([checks["spend"], checks["purchases"]])
    assert [(row.outcome, row.probability) for row in rows[:4]] == [("spend", p) for p in PROBABILITIES]
    for row in rows:
        assert row.covered > row.probability - 4 * np.sqrt(row.probability * (1 - row.probability) / N)
        assert row.low < row.covered < row.high
    covered = {(row.outcome, row.probability): row.covered for row in rows}
    assert covered["spend", 0.90] < 0.97


def test_coverage_is_inclusion_between_numpys_quantiles(world, checks):
    draws, outcome = world["purchases"][:, :S], world["purchases"][:, S]
    for place, p in enumerate(PROBABILITIES):
        low, high = np.quantile(draws, [(1 - p) / 2, (1 + p) / 2], axis=1)
        inside = (low <= outcome) & (outcome <= high)
        np.testing.assert_array_equal(checks["purchases"].inside[:, place], inside)


def test_intervals_that_are_too_narrow_are_seen(world):
    halfway = world["spend"].copy()
    halfway[:, :S] = halfway[:, :S].mean(axis=1, keepdims=True) + 0.3 * (
        halfway[:, :S] - halfway[:, :S].mean(axis=1, keepdims=True)
    )
    (row,) = [r for r in coverage_rows([check_of({**world, "spend": halfway}, "spend")]) if r.probability == 0.90]
    assert row.high < 0.90


def test_wilson_bounds_are_scipys():
    for successes, n in ((0, 30), (27, 30), (30, 30), (1800, 2357)):
        exact = stats.binomtest(successes, n).proportion_ci(0.90, method="wilson")
        assert wilson_bounds(successes / n, n) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_group_means_and_bands_are_those_of_the_draws(world, checks):
    rows = calibration_rows(checks["purchases"])
    assert [row.group for row in rows] == list(GROUPS)
    for place, row in enumerate(rows):
        member = world["x"] == place if place < 7 else world["x"] >= 7
        group = world["purchases"][member]
        assert row.customers == member.sum()
        assert row.actual == pytest.approx(group[:, S].mean())
        means = group[:, :S].mean(axis=0)
        assert (row.expected, row.low, row.high) == pytest.approx((means.mean(), *np.quantile(means, [0.05, 0.95])))


def test_most_group_means_lie_in_their_bands(checks):
    inside = [row.low <= row.actual <= row.high for row in calibration_rows(checks["purchases"])]
    assert sum(inside) >= 5  # of 8 at 90 %: fewer than 5 has a chance of .005


def test_a_group_without_customers_has_no_row():
    rng = np.random.default_rng(1)
    forecast = drawn(rng.poisson(1.0, size=(40, 20)))
    check = predictive_check(forecast, np.ones(40), frequency=np.repeat([0.0, 9.0], 20), rng=rng)
    assert [(row.group, row.customers) for row in calibration_rows(check)] == [("0", 20), ("7+", 20)]


def test_count_rows_count_customers_by_draw(world, checks):
    rows = count_rows(checks["purchases"])
    assert [row.count for row in rows] == list(COUNTS)
    assert sum(row.actual for row in rows) == N
    assert sum(row.expected for row in rows) == pytest.approx(N)
    draws = world["purchases"][:, :S]
    for row, at in ((rows[0], draws == 0), (rows[3], draws == 3), (rows[9], draws >= 9)):
        totals = at.sum(axis=0)
        assert (row.expected, row.low, row.high) == pytest.approx((totals.mean(), *np.quantile(totals, [0.05, 0.95])))
    assert rows[9].actual == (world["purchases"][:, S] >= 9).sum()


def test_counts_are_of_purchases_only(checks):
    with pytest.raises(DataError, match='of "spend"'):
        count_rows(checks["spend"])


def test_crps_of_the_pass_is_that_of_the_draws(world, checks):
    draws = np.sort(world["purchases"][:, :S], axis=1)
    np.testing.assert_allclose(
        checks["purchases"].drawn.crps, crps_of_draws(HeldDraws.of(draws, world["purchases"][:, S])), rtol=1e-12
    )


@pytest.mark.parametrize("quantity", ["purchases", "spend"])
def test_the_size_of_the_blocks_changes_nothing(world, checks, quantity):
    other = check_of(world, quantity, block=119)
    for name in ("pit", "inside", "count_totals"):
        np.testing.assert_array_equal(getattr(other, name), getattr(checks[quantity], name))
    for column in dataclasses.fields(DrawScores):
        one, two = (getattr(check.drawn, column.name) for check in (other, checks[quantity]))
        np.testing.assert_array_equal(one, two)
    # Amounts are added in another order.
    np.testing.assert_allclose(other.group_totals, checks[quantity].group_totals, rtol=1e-12)


def test_the_order_of_customers_does_not_matter_for_the_pit(world, checks):
    order = np.random.default_rng(3).permutation(N)
    forecast = drawn(world["purchases"][order, :S], customer_id=ids(N)[order])
    check = predictive_check(
        forecast, world["purchases"][order, S], frequency=world["x"][order], rng=np.random.default_rng(2)
    )
    np.testing.assert_array_equal(check.pit, checks["purchases"].pit[order])


def test_a_forecast_without_draws_or_with_other_customers_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(DataError, match="has no draws"):
        predictive_check(point(np.ones(5)), np.ones(5), frequency=np.ones(5), rng=rng)
    with pytest.raises(DataError, match="has 5 customers, the outcome 4"):
        predictive_check(drawn(np.ones((5, 9))), np.ones(4), frequency=np.ones(5), rng=rng)
    with pytest.raises(DataError, match="two or more"):
        predictive_check(drawn(np.ones((5, 1))), np.ones(5), frequency=np.ones(5), rng=rng)
