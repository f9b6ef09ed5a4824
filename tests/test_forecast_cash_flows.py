"""Cash flows by period: they add up to CLV draw by draw, and to what there is to expect."""

import dataclasses
import os

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.forecast import draws as draws_module
from clvmodels.forecast import purchases_by_period, sample_future
from clvmodels.forecast.cash_flows import FLOWS
from clvmodels.models import MODELS
from tests.forecast_cases import PURCHASES, SPEND, base, customers_of, posterior, readable_by, replayed
from tests.test_forecast_quantities import known, offering

ERRORS = 4
RATE = {"annual_discount_rate": 0.1, "margin": 0.3}
ENDS = [0.4, 4.0, 13.5, 40.25, 52.0]


def ends_of(name):
    """The ends of periods, whole for a model that counts opportunities."""
    return ENDS if MODELS[name].clock == "continuous" else np.ceil(ENDS).tolist()


@pytest.fixture(scope="module")
def customers():
    return base(300)


@pytest.fixture(scope="module")
def fits():
    return posterior(PURCHASES, 40, chains=2), posterior(SPEND, 40, chains=2, seed=2)


@pytest.fixture(scope="module")
def flows(fits, customers):
    return clv.cash_flows(*fits, customers, ends=ENDS, seed=1, **RATE)


def test_outcomes_of_all_periods_add_up_to_the_future_draw_by_draw(fits, customers, flows):
    future = sample_future(*fits, customers, horizon=52.0, seed=1, **RATE)
    assert np.array_equal(flows.totals["purchases"].sum(axis=1), future.purchases.total_draws)
    assert np.array_equal(flows.totals["purchases"], purchases_by_period(fits[0], customers, ends=ENDS, seed=1))
    for flow, forecast in (("spend", future.spend), ("discounted_margin", future.clv)):
        np.testing.assert_allclose(flows.totals[flow].sum(axis=1), forecast.total_draws, rtol=1e-13)
        np.testing.assert_allclose(flows.means[flow].sum(axis=1), forecast.mean, rtol=1e-12)
    np.testing.assert_allclose(flows.totals["margin"], 0.3 * flows.totals["spend"], rtol=1e-13)


def test_expectations_of_all_periods_add_up_to_expected_clv(fits, customers, flows):
    value = clv.expected_clv(*fits, customers, horizon=52.0, **RATE)
    np.testing.assert_allclose(flows.expected_totals["discounted_margin"].sum(axis=1), value.total_draws, rtol=1e-13)
    np.testing.assert_allclose(flows.expected_means["discounted_margin"].sum(axis=1), value.mean, rtol=1e-12)
    purchases = clv.predict(fits[0], customers, quantity="expected_purchases", horizon=52.0)
    np.testing.assert_allclose(flows.expected_means["purchases"].sum(axis=1), purchases.mean, rtol=1e-7)
    np.testing.assert_allclose(flows.expected_totals["purchases"].sum(axis=1), purchases.total_draws, rtol=1e-7)


@pytest.mark.parametrize("name", [*offering("expected_purchases", "purchases"), "bg_bb"])
def test_each_period_is_expected_to_bring_what_it_adds_to_clv(name):
    few = customers_of([(0, 0, 0, 0), (1, 5, 39, 20), (2, 30.43, 38.86, 35), (40, 38.7, 39, 60)])
    fit, few, ends = known(name), readable_by(name, few), ends_of(name)
    flows = clv.cash_flows(fit, SPEND, few, ends=ends, seed=1, draws=1, **RATE)
    until = [clv.expected_clv(fit, SPEND, few, horizon=end, **RATE).mean for end in ends]
    added = np.diff(np.stack(until, axis=1), axis=1, prepend=0.0)
    np.testing.assert_allclose(flows.expected_means["discounted_margin"], added, rtol=1e-6)
    for period, span in enumerate(zip([0.0, *ends], ends, strict=False)):
        purchases = clv.predict(fit, few, quantity="expected_purchases", horizon=span).mean
        np.testing.assert_allclose(flows.expected_means["purchases"][:, period], purchases, rtol=1e-6)


@pytest.mark.parametrize("name", [*offering("expected_purchases", "purchases"), "bg_bb"])
def test_outcomes_average_to_expectations_period_by_period(name, customers):
    customers = readable_by(name, customers)
    flows = clv.cash_flows(known(name), SPEND, customers, ends=ends_of(name), seed=3, draws=2000, **RATE)
    for flow in FLOWS:
        totals = flows.totals[flow]
        error = totals.std(axis=0, ddof=1) / np.sqrt(len(totals))
        assert np.all(np.abs(totals.mean(axis=0) - flows.expected_totals[flow][0]) < ERRORS * error)


def test_finer_periods_add_up_to_coarser_ones(fits, customers, flows):
    fine = clv.cash_flows(*fits, customers, ends=np.sort([*ENDS, 2.0, 20.0, 51.9]), seed=1, **RATE)
    place = np.searchsorted(fine.ends, ENDS)
    for of in ("totals", "means", "expected_totals", "expected_means"):
        for flow in FLOWS:
            coarse = np.diff(np.cumsum(getattr(fine, of)[flow], axis=1)[:, place], axis=1, prepend=0.0)
            exact = flow != "discounted_margin" or "expected" not in of
            np.testing.assert_allclose(coarse, getattr(flows, of)[flow], rtol=1e-9 if exact else 1e-7, atol=1e-9)


def test_a_year_has_twelve_months_and_a_last_period_ends_at_the_horizon(fits, customers):
    few = customers.take(np.arange(3))
    year = 365.25 / 7
    months = clv.cash_flows(*fits, few, horizon=year, periods="month", seed=1, **RATE)
    assert len(months.ends) == 12
    assert np.diff(months.ends, prepend=0.0) == pytest.approx(365.25 / 12 / 7)
    assert months.ends[-1] == year
    odd = clv.cash_flows(*fits, few, horizon=30.0, periods="month", seed=1, **RATE)
    assert len(odd.ends) == 7
    assert odd.ends[-1] == 30.0
    assert np.array_equal(odd.ends[:-1], months.ends[:6])
    whole = clv.cash_flows(*fits, few, horizon=year, periods="year", seed=1, **RATE)
    np.testing.assert_allclose(
        whole.totals["discounted_margin"][:, 0], months.totals["discounted_margin"].sum(axis=1), rtol=1e-13
    )


def test_periods_may_end_beyond_all_that_is_left_to_discount(fits, customers):
    few = customers.take(np.arange(20))
    far = clv.cash_flows(*fits, few, ends=[50.0, 100.0, 5000.0], discount_per_unit=0.5, seed=1)
    purchases = clv.predict(fits[0], few, quantity="expected_purchases", horizon=(100.0, 5000.0)).mean
    np.testing.assert_allclose(far.expected_means["purchases"][:, 2], purchases, rtol=1e-6)
    value = clv.expected_clv(*fits, few, horizon=5000.0, discount_per_unit=0.5).mean
    np.testing.assert_allclose(far.expected_means["discounted_margin"].sum(axis=1), value, rtol=1e-6)


def test_each_customer_has_the_customers_own_margin_and_rate(fits, customers):
    rng = np.random.default_rng(1)
    own = {"margin": rng.random(300), "annual_discount_rate": rng.choice([0.0, 0.1, 0.2], 300)}
    flows = clv.cash_flows(*fits, customers, ends=ENDS, seed=1, **own)
    drawn = clv.sample_clv(*fits, customers, horizon=52.0, seed=1, **own)
    expected = clv.expected_clv(*fits, customers, horizon=52.0, **own)
    np.testing.assert_allclose(flows.means["discounted_margin"].sum(axis=1), drawn.mean, rtol=1e-12)
    np.testing.assert_allclose(flows.expected_means["discounted_margin"].sum(axis=1), expected.mean, rtol=1e-12)
    np.testing.assert_allclose(flows.totals["discounted_margin"].sum(axis=1), drawn.total_draws, rtol=1e-12)


def test_order_subsets_and_threads_do_not_matter(fits, customers, flows, monkeypatch):
    order = np.random.default_rng(0).permutation(300)
    shuffled = clv.cash_flows(*fits, customers.take(order), ends=ENDS, seed=1, **RATE)
    some = clv.cash_flows(*fits, customers.take(order[:33]), ends=ENDS, seed=1, **RATE)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    alone = clv.cash_flows(*fits, customers, ends=ENDS, seed=1, **RATE)
    assert draws_module.BLOCK < 300
    for flow in FLOWS:
        for of in ("totals", "expected_totals"):
            assert np.array_equal(getattr(flows, of)[flow], getattr(shuffled, of)[flow])
            assert np.array_equal(getattr(flows, of)[flow], getattr(alone, of)[flow])
        for of in ("means", "expected_means"):
            assert np.array_equal(getattr(flows, of)[flow][order], getattr(shuffled, of)[flow])
            assert np.array_equal(getattr(flows, of)[flow][order[:33]], getattr(some, of)[flow])


def test_frames_have_a_row_a_flow_or_customer_and_period(customers, flows):
    by_period, by_customer = flows.to_pandas(), flows.to_pandas(by="customer")
    assert list(by_period.columns) == ["flow", "start", "end", "mean", "sd", "q05", "q50", "q95", "expected"]
    assert len(by_period) == 4 * len(ENDS)
    last = by_period[by_period["flow"] == "spend"].iloc[-1]
    assert (last["start"], last["end"]) == (40.25, 52.0)
    totals = flows.totals["spend"][:, -1]
    assert last["mean"] == pytest.approx(totals.mean(), rel=1e-12)
    assert last["q95"] == np.quantile(totals, 0.95, method="inverted_cdf")
    assert last["expected"] == pytest.approx(flows.expected_totals["spend"][:, -1].mean(), rel=1e-12)
    assert len(by_customer) == 300 * len(ENDS)
    one = by_customer[by_customer["customer_id"] == customers.customer_id[7]]
    assert np.array_equal(one["discounted_margin"], flows.means["discounted_margin"][7])
    assert np.array_equal(one["expected_discounted_margin"], flows.expected_means["discounted_margin"][7])
    assert isinstance(by_customer, pd.DataFrame)
    with pytest.raises(clv.DataError, match='by = "week"'):
        flows.to_pandas(by="week")


def test_outcomes_may_be_more_than_parameter_draws(customers):
    few = customers.take(np.arange(5))
    flows = clv.cash_flows(PURCHASES, SPEND, few, ends=ENDS, seed=1, **RATE)
    assert flows.totals["spend"].shape == (2000, 5)
    assert flows.expected_totals["spend"].shape == (1, 5)
    assert flows.method == "bg_nbd+gamma_gamma:known"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give horizon with periods"),
        ({"horizon": 52.0}, "give horizon with periods"),
        ({"periods": "month"}, "give horizon with periods"),
        ({"horizon": 52.0, "ends": [1.0]}, "give horizon with periods"),
        ({"horizon": 52.0, "periods": "quarter"}, 'unit = "quarter"'),
        ({"horizon": 0.0, "periods": "month"}, "has 0 periods"),
        ({"horizon": 1e9, "periods": "day"}, "expected 1 to 10000"),
        ({"horizon": np.inf, "periods": "year"}, "horizon = inf"),
        ({"ends": [2.0, 1.0]}, "ends of periods"),
        ({"ends": "year"}, "ends of periods"),
        ({"ends": [1.0], "margin": -1.0}, "margin = -1"),
        ({"ends": [1.0], "seed": -1}, "seed = -1"),
    ],
)
def test_periods_that_cannot_be_are_refused(fits, customers, arguments, message):
    with pytest.raises(clv.DataError, match=message):
        clv.cash_flows(*fits, customers, **{"seed": 1, **RATE, **arguments})


def test_counted_rows_are_refused(fits, customers):
    counted = dataclasses.replace(customers, n_customers=np.ones(300))
    with pytest.raises(clv.DataError, match="n_customers"):
        clv.cash_flows(*fits, counted, ends=ENDS, seed=1, **RATE)


def test_draws_of_a_customer_average_to_the_customers_mean(fits, customers, flows):
    values = replayed(clv.predict(fits[0], customers, quantity="purchases", horizon=(4.0, 13.5), seed=1), "customers")
    np.testing.assert_allclose(flows.means["purchases"][:, 2], values.mean(axis=1), rtol=1e-12)
