"""Passes over draws: the same numbers on any number of threads, kept or made again, by whichever way they are added."""

import dataclasses
import importlib

import numpy as np
import pytest

from clvmodels.forecast import draws, predict, sample_future, sample_future_by_period
from clvmodels.forecast.draws import by_draw, sums_by_segment
from clvmodels.forecast.what_if import UNCHANGED, changed_values
from clvmodels.foundation.changes import Change
from clvmodels.models.kernels.bg_nbd import is_beyond
from clvmodels.strategy import cell_totals, pyramid, value_matrix
from tests.forecast_cases import PURCHASES, SPEND, base, posterior

CUTS = {"current": ("quantile", 0.8), "future": ("share_of_value", 0.6)}
SIZE, DRAWS = 400, 90


@pytest.fixture(scope="module")
def customers():
    return base(size=SIZE, seed=3)


@pytest.fixture(scope="module")
def fits():
    return posterior(PURCHASES, draws=DRAWS), posterior(SPEND, draws=DRAWS)


def decided(fits, customers):
    """All numbers that a decision takes from one forecast, and the bytes of its draws."""
    found = sample_future_by_period(*fits, customers, ends=[10.0, 26.0], annual_discount_rate=0.1, seed=5)
    clv = found.future.clv
    matrix = value_matrix(customers.frequency, clv, cuts=CUTS)
    tiers = pyramid(clv, shares={"a": 0.05, "b": 0.3, "c": 1.0})
    replays = [block.values.tobytes() for order in ("draws", "customers") for block in clv.replay(order)]
    arrays = [clv.mean, clv.q95, clv.total_draws, found.p_buy, found.buyers, found.flows["spend"], matrix.probabilities]
    arrays += [tiers.probabilities, *cell_totals(matrix, clv).values()]
    return [array.tobytes() for array in arrays] + replays


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_the_number_of_threads_changes_no_bit(fits, customers, threads, monkeypatch):
    expected = decided(fits, customers)
    monkeypatch.setattr(draws.os, "cpu_count", lambda: threads)
    monkeypatch.setattr(draws, "TOGETHER", 64)
    assert decided(fits, customers) == expected


def test_draws_that_are_made_again_are_those_that_were_kept(fits, customers, monkeypatch):
    expected = decided(fits, customers)
    made = draws.DrawTable

    def forgetful(*arguments):
        return dataclasses.replace(made(*arguments), kept_bytes=0)

    monkeypatch.setattr("clvmodels.forecast.future.DrawTable", forgetful)
    assert decided(fits, customers) == expected


def test_buyers_are_those_with_a_purchase_in_the_draws(fits, customers):
    found = sample_future_by_period(*fits, customers, ends=[26.0], annual_discount_rate=0.1, seed=5)
    bought = np.concatenate([*by_draw(found.future.purchases)]) > 0
    np.testing.assert_array_equal(found.buyers, bought.sum(axis=1))
    np.testing.assert_array_equal(found.p_buy, bought.mean(axis=0))


def test_sums_by_segment_are_sums_over_their_customers(fits, customers):
    clv = sample_future(*fits, customers, horizon=26.0, annual_discount_rate=0.1, seed=5).clv
    rng = np.random.default_rng(1)
    codes, slope = rng.integers(-1, 3, SIZE), rng.normal(size=SIZE)
    values = np.concatenate([*by_draw(clv)])
    (few, whole), sloped = sums_by_segment(clv, [(codes, 4), (np.zeros(SIZE, dtype=int), 1)], slope=slope)
    for segment in range(4):
        np.testing.assert_allclose(few[segment], values[:, codes == segment].sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(whole[0], clv.total_draws, rtol=1e-12)
    np.testing.assert_allclose(sloped, values @ slope, rtol=1e-9, atol=1e-9)


def test_a_pass_takes_expectations_of_customers_alike_apart(fits, customers):
    alive = predict(fits[0], customers, quantity="p_alive")
    np.testing.assert_allclose(np.concatenate([*by_draw(alive)]).mean(axis=0), alive.mean, rtol=1e-12)


def test_a_customer_who_buys_very_often_has_room_in_changed_futures(fits, monkeypatch):
    customers = base(size=40, seed=4)
    options = {"horizon": 2000.0, "seed": 7, "rate": np.zeros(40), "margin": 1.0, "draws": None}
    changes = (UNCHANGED, Change(rate=1.4))
    wide = changed_values(*fits, customers, changes, **options)
    expected = wide.make(np.arange(40), slice(0, DRAWS))
    monkeypatch.setattr(importlib.import_module("clvmodels.forecast.what_if"), "PURCHASES", 1)
    np.testing.assert_array_equal(wide.make(np.arange(40), slice(0, DRAWS)), expected)
    bought = sample_future(*fits, customers, horizon=2000.0, discount_per_unit=0.0, seed=7).purchases
    assert max(block.values.max() for block in bought.replay("draws")) > 1


def test_no_wait_is_called_beyond_the_horizon_that_is_not():
    rng = np.random.default_rng(2)
    u, shape = rng.random(200_000), rng.gamma(0.5, 4.0, 200_000) + 0.1
    z = rng.gamma(0.3, 3.0, 200_000)
    z[::3] = np.expm1(-np.log(u[::3]) / shape[::3]) * (1 + rng.normal(size=len(z[::3])) * 1e-12)  # hardly beyond
    beyond = np.array([is_beyond(*row) for row in zip(u, shape, z, strict=True)])
    assert (np.expm1(-np.log(u) / shape)[beyond] > z[beyond]).all()
    assert beyond.mean() > 0.3
