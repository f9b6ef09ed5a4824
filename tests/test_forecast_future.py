"""Futures drawn purchase by purchase: their means are the closed forms, and only the customer moves them."""

import os

import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.forecast import draws as draws_module
from clvmodels.forecast import purchases_by_period, sample_future, sample_spend
from clvmodels.models import bg_nbd
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.forecast_cases import PURCHASES, SPEND, base, customers_of, posterior, replayed

DRAWS = 10_000

PARAMETERS = {
    "paper": BG_NBD_PAPER,
    "a near 1": {"r": 0.5, "alpha": 6.0, "a": 1.0 + 1e-9, "b": 2.5},
    "alpha large": {"r": 2.0, "alpha": 3000.0, "a": 0.3, "b": 0.4},
    "alpha small": {"r": 0.05, "alpha": 0.2, "a": 3.0, "b": 0.8},
}
CUSTOMERS = customers_of(
    [
        (0, 0, 0, 0),
        (0, 0, 38.86, 0),
        (1, 5.0, 39.0, 20.0),
        (2, 30.43, 38.86, 35.0),
        (7, 39.0, 39.0, 12.0),
        (200, 38.7, 39.0, 60.0),
    ]
)


def standard_error(values, mean):
    """Of the mean of counts or amounts; never below that of a Poisson count, where few draws buy at all."""
    return np.sqrt(np.maximum(values.var(axis=1, ddof=1), mean) / values.shape[1])


@pytest.mark.parametrize("horizon", [0.01, 5.5, 52.0, 500.0])
@pytest.mark.parametrize("case", PARAMETERS)
def test_mean_purchases_are_the_closed_form(case, horizon):
    fit = clv.fit_at("bg_nbd", PARAMETERS[case], unit="week")
    values = replayed(
        clv.predict(fit, CUSTOMERS, quantity="purchases", horizon=horizon, seed=1, draws=DRAWS), "customers"
    )
    expected = clv.predict(fit, CUSTOMERS, quantity="expected_purchases", horizon=horizon).mean
    z = (values.mean(axis=1) - expected) / standard_error(values, expected)
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("case", PARAMETERS)
def test_the_chance_of_no_purchase_holds_p_alive(case):
    # P(none in h) = 1 - P(alive) (1 - ((alpha + T) / (alpha + T + h))^(r + x))
    p, h = PARAMETERS[case], 20.0
    fit = clv.fit_at("bg_nbd", p, unit="week")
    values = replayed(clv.predict(fit, CUSTOMERS, quantity="purchases", horizon=h, seed=2, draws=DRAWS), "customers")
    x, t_x, T = CUSTOMERS.frequency, CUSTOMERS.recency, CUSTOMERS.T
    alive = bg_nbd.p_alive(p, x, t_x, T)
    some = alive * -np.expm1((p["r"] + x) * np.log((p["alpha"] + T) / (p["alpha"] + T + h)))
    error = np.sqrt(np.maximum(some * (1 - some), 1e-9) / DRAWS)
    assert np.abs(((values > 0).mean(axis=1) - some) / error).max() < 4


def test_purchases_of_a_new_customer_have_the_published_distribution():
    new = customers_of([(0, 0, 0, 0)])
    counts = replayed(
        clv.predict(PURCHASES, new, quantity="purchases", horizon=52, seed=3, draws=100_000), "customers"
    )[0]
    pmf = bg_nbd.FORMULAS.purchase_pmf(BG_NBD_PAPER, np.arange(12), 52.0)
    observed = np.append(np.bincount(counts.astype(int), minlength=12)[:12], (counts >= 12).sum())
    assert stats.chisquare(observed, np.append(pmf, 1 - pmf.sum()) * len(counts)).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.0, 0.002, 0.05])
@pytest.mark.parametrize("horizon", [2.5, 52.0])
def test_mean_clv_is_expected_clv_at_fixed_parameters(horizon, rate):
    arguments = {"horizon": horizon, "discount_per_unit": rate, "margin": 0.3}
    values = replayed(clv.sample_clv(PURCHASES, SPEND, CUSTOMERS, seed=11, draws=DRAWS, **arguments), "customers")
    expected = clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, **arguments).mean
    assert np.abs((values.mean(axis=1) - expected) / standard_error(values, 0.0)).max() < 4


def test_mean_spend_is_expected_spend_times_expected_purchases():
    values = replayed(sample_spend(PURCHASES, SPEND, CUSTOMERS, horizon=39, seed=5, draws=DRAWS), "customers")
    expected = (
        clv.predict(PURCHASES, CUSTOMERS, quantity="expected_purchases", horizon=39).mean
        * clv.predict(SPEND, CUSTOMERS, quantity="expected_spend").mean
    )
    assert np.abs((values.mean(axis=1) - expected) / standard_error(values, 0.0)).max() < 4


def test_the_value_of_one_purchase_has_the_gamma_gamma_distribution():
    # given nu ~ Gamma(q + p x, v + x m) a purchase is Gamma(p, nu): z / (z + v + x m) ~ Beta(p, q + p x)
    one = customers_of([(3, 38.9, 39.0, 25.0)])
    future = sample_future(PURCHASES, SPEND, one, horizon=8, seed=6, draws=DRAWS, discount_per_unit=0.0)
    count, spend = (replayed(of, "customers")[0] for of in (future.purchases, future.spend))
    amount = spend[count == 1]
    p, q, v = GAMMA_GAMMA_PAPER.values()
    share = amount / (amount + v + 3 * 25.0)
    assert len(share) > 1000
    assert stats.kstest(share, stats.beta(p, q + 3 * p).cdf).pvalue > 1e-3


def test_forecasts_of_simulated_customers_add_up_to_what_they_did():
    # tower property: over histories drawn from the story, the forecast's mean is the future's mean
    customers, future = clv.simulate(
        "bg_nbd", BG_NBD_PAPER, T=39.0, size=5_000, seed=7, horizon=39.0, spend=GAMMA_GAMMA_PAPER
    )
    drawn = sample_future(PURCHASES, SPEND, customers, horizon=39, seed=7, draws=400, discount_per_unit=0.0)
    for forecast, actual in ((drawn.purchases, future["purchases"]), (drawn.spend, future["amount"])):
        assert abs(actual.sum() - float(forecast.totals.mean())) < 4 * float(forecast.totals.std())


def test_draws_without_a_mean_are_finite_and_the_expectation_is_infinite():
    heavy = clv.fit_at("gamma_gamma", {"p": 2.0, "q": 0.8, "v": 10.0}, unit="week", currency="USD")
    new = customers_of([(0, 0, 39, 0)])
    drawn = sample_spend(PURCHASES, heavy, new, horizon=520, seed=8, draws=DRAWS)
    assert np.isfinite(replayed(drawn, "draws")).all()
    assert drawn.mean[0] > 0
    with pytest.warns(UserWarning, match="infinite in some draws for 1 of 1 customers"):
        assert np.isinf(clv.predict(heavy, new, quantity="expected_spend").mean[0])
    with pytest.warns(UserWarning, match="expected_clv is infinite"):
        assert np.isinf(clv.expected_clv(PURCHASES, heavy, new, horizon=52, discount_per_unit=0.0).mean[0])


# -------------------------------------------------------------------- what must not move a number


@pytest.fixture(scope="module")
def customers():
    return base(700)


@pytest.fixture(scope="module")
def fits():
    return posterior(PURCHASES, 60, chains=2), posterior(SPEND, 60, chains=2, seed=2)


def drawn_future(fits, customers, seed=1):
    return sample_future(*fits, customers, horizon=52.0, annual_discount_rate=0.1, seed=seed)


@pytest.fixture(scope="module")
def future(fits, customers):
    return drawn_future(fits, customers)


OUTCOMES = ("purchases", "spend", "clv")
STATISTICS = ("mean", "sd", "q05", "q50", "q95")


def test_row_order_does_not_matter(fits, customers, future):
    order = np.random.default_rng(0).permutation(len(customers))
    shuffled = drawn_future(fits, customers.take(order))
    for name in OUTCOMES:
        one, other = getattr(future, name), getattr(shuffled, name)
        assert all(np.array_equal(getattr(one, s)[order], getattr(other, s)) for s in STATISTICS)
        assert np.array_equal(one.totals, other.totals)


def test_a_forecast_of_some_customers_is_that_of_all_restricted_to_them(fits, customers, future):
    some = np.arange(0, len(customers), 7)
    for name in OUTCOMES:
        one, other = getattr(future, name), getattr(drawn_future(fits, customers.take(some)), name)
        assert all(np.array_equal(getattr(one, s)[some], getattr(other, s)) for s in STATISTICS)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_does_not_matter(fits, customers, future, threads, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    again = drawn_future(fits, customers)
    for name in OUTCOMES:
        assert np.array_equal(getattr(future, name).totals, getattr(again, name).totals)
        assert np.array_equal(getattr(future, name).q95, getattr(again, name).q95)


@pytest.mark.parametrize("kept", [0, 10**9])
@pytest.mark.parametrize("cells", [500, 7_777, 10**7])
def test_replay_gives_the_same_draws_in_either_order_and_any_slice(fits, customers, future, cells, kept, monkeypatch):
    monkeypatch.setattr(draws_module, "KEPT_BYTES", kept)  # 0: every replay draws again
    monkeypatch.setattr(draws_module, "REPLAY_CELLS", cells)
    monkeypatch.setattr(draws_module, "BLOCK_CELLS", cells // 3)
    again = drawn_future(fits, customers)
    for name in OUTCOMES:
        values = replayed(getattr(again, name), "customers")
        assert np.array_equal(values, replayed(getattr(again, name), "draws"))
        assert np.array_equal(values, replayed(getattr(future, name), "draws"))
        assert np.array_equal(draws_module.row_statistics(values.copy())[0], getattr(future, name).mean)
        np.testing.assert_allclose(values.sum(axis=0), getattr(future, name).totals.values.ravel(), rtol=1e-12)


def test_one_pass_gives_the_numbers_of_single_calls(fits, customers, future):
    purchases = clv.predict(fits[0], customers, quantity="purchases", horizon=52, seed=1)
    spend = sample_spend(*fits, customers, horizon=52, seed=1)
    value = clv.sample_clv(*fits, customers, horizon=52, annual_discount_rate=0.1, seed=1)
    for one, other in ((purchases, future.purchases), (spend, future.spend), (value, future.clv)):
        assert all(np.array_equal(getattr(one, s), getattr(other, s)) for s in STATISTICS)
        assert np.array_equal(one.totals, other.totals)


def test_purchases_by_period_are_the_purchases_that_a_shorter_horizon_has(fits, customers, future):
    ends = np.array([3.0, 3.5, 20.25, 52.0])
    periods = purchases_by_period(fits[0], customers, ends=ends, seed=1)
    for until, total in zip(ends, np.cumsum(periods, axis=1).T, strict=True):
        shorter = clv.predict(fits[0], customers, quantity="purchases", horizon=until, seed=1)
        assert np.array_equal(total, shorter.totals.values.ravel())


def test_another_seed_gives_other_draws_of_the_same_distribution(fits, customers, future):
    other = drawn_future(fits, customers, seed=2).clv
    assert not np.array_equal(other.totals, future.clv.totals)
    gap = abs(float(other.totals.mean()) - float(future.clv.totals.mean()))
    assert gap < 4 * np.sqrt(2 / 60) * float(future.clv.totals.std())


def test_days_or_weeks_give_the_same_purchases(customers):
    in_days = clv.CustomerSummary.from_frame(
        customers.to_pandas().assign(recency=lambda f: f["recency"] * 7, T=lambda f: f["T"] * 7), unit="day"
    )
    by_day = clv.fit_at("bg_nbd", {**BG_NBD_PAPER, "alpha": BG_NBD_PAPER["alpha"] * 7}, unit="day")
    one = clv.predict(PURCHASES, customers, quantity="purchases", horizon=26, seed=1, draws=200)
    other = clv.predict(by_day, in_days, quantity="purchases", horizon=182, seed=1, draws=200)
    assert np.array_equal(one.mean, other.mean)


def test_totals_of_purchases_keep_chains_and_add_all_customers(future):
    assert future.purchases.totals.dims == ("chain", "draw")
    assert future.purchases.totals.shape == (2, 30)
    assert np.array_equal(future.purchases.totals.values.ravel(), replayed(future.purchases, "draws").sum(axis=0))


# ------------------------------------------------------------------------------------------------ value


def test_clv_is_linear_in_margin_and_is_spend_without_discount(fits, customers, future):
    whole = clv.sample_clv(*fits, customers, horizon=52, discount_per_unit=0.0, seed=1)
    half = clv.sample_clv(*fits, customers, horizon=52, discount_per_unit=0.0, margin=0.5, seed=1)
    assert np.array_equal(whole.mean, future.spend.mean)
    assert np.array_equal(half.mean, 0.5 * whole.mean)


def test_clv_of_every_draw_grows_with_the_horizon_and_falls_with_the_rate(fits, customers, future):
    values = replayed(future.clv, "customers")
    longer = clv.sample_clv(*fits, customers, horizon=60.5, annual_discount_rate=0.1, seed=1)
    dearer = clv.sample_clv(*fits, customers, horizon=52, annual_discount_rate=0.2, seed=1)
    bought = values > 0
    assert (replayed(longer, "customers") >= values).all()
    assert (replayed(dearer, "customers")[bought] < values[bought]).all()


def test_money_in_cents_gives_a_hundred_times_the_clv(customers):
    in_cents = clv.CustomerSummary.from_frame(
        customers.to_pandas().assign(
            monetary_value=lambda f: f["monetary_value"] * 100, first_amount=lambda f: f["first_amount"] * 100
        ),
        unit="week",
    )
    cents = clv.fit_at("gamma_gamma", {**GAMMA_GAMMA_PAPER, "v": 1544.0}, unit="week", currency="USD")
    arguments = {"horizon": 52, "annual_discount_rate": 0.1, "seed": 1, "draws": 50}
    one = clv.sample_clv(PURCHASES, SPEND, customers, **arguments)
    other = clv.sample_clv(PURCHASES, cents, in_cents, **arguments)
    np.testing.assert_allclose(other.mean, 100 * one.mean, rtol=1e-12)


def test_quantiles_are_ordered_draws_and_value_is_never_negative(future):
    clv_forecast = future.clv
    assert (clv_forecast.q05 >= 0).all()
    assert (clv_forecast.q05 <= clv_forecast.q50).all()
    assert (clv_forecast.q50 <= clv_forecast.q95).all()
    values = replayed(clv_forecast, "customers")
    for share, column in ((0.05, clv_forecast.q05), (0.5, clv_forecast.q50), (0.95, clv_forecast.q95)):
        assert np.array_equal(np.quantile(values, share, axis=1, method="inverted_cdf"), column)
    np.testing.assert_allclose(clv_forecast.sd, values.std(axis=1, ddof=1), rtol=1e-12)


def test_nothing_happens_in_a_horizon_of_nothing(fits, customers):
    future = sample_future(*fits, customers, horizon=0, discount_per_unit=0.0, seed=1)
    assert not any(getattr(future, name).totals.values.any() for name in OUTCOMES)


def test_a_fit_with_one_draw_goes_with_a_fit_of_many(customers):
    spend = posterior(SPEND, 60)
    value = clv.sample_clv(PURCHASES, spend, customers, horizon=52, discount_per_unit=0.0, seed=1)
    assert value.totals.shape == (1, 60)
    assert value.method == "bg_nbd+gamma_gamma:known+laplace"


def test_two_fits_with_one_draw_give_2000_outcomes_unless_told(customers):
    some = customers.take(np.arange(5))
    arguments = {"horizon": 52, "discount_per_unit": 0.0, "seed": 1}
    assert clv.sample_clv(PURCHASES, SPEND, some, **arguments).totals.size == 2000
    assert clv.sample_clv(PURCHASES, SPEND, some, **arguments, draws=30).totals.size == 30


def test_more_outcomes_than_parameter_draws_take_each_parameter_draw_equally_often():
    fit = posterior(PURCHASES, 3, sd=1.5)
    one = customers_of([(3, 38.9, 39.0, 25.0)])
    values = replayed(clv.predict(fit, one, quantity="purchases", horizon=52, seed=1, draws=9_000), "draws")[0]
    expected = replayed(clv.predict(fit, one, quantity="expected_purchases", horizon=52), "draws")[0]
    of_draw = values.reshape(3, 3_000)
    assert np.abs((of_draw.mean(axis=1) - expected) / (of_draw.std(axis=1) / np.sqrt(3_000))).max() < 4


def test_replays_are_the_same_whether_draws_are_kept_or_made_again(monkeypatch):
    customers, fits = base(300), (posterior(PURCHASES, 40), posterior(SPEND, 40))
    kept = sample_future(*fits, customers, horizon=52.0, seed=9, annual_discount_rate=0.1)
    monkeypatch.setattr(draws_module, "KEPT_BYTES", 0)
    made = sample_future(*fits, customers, horizon=52.0, seed=9, annual_discount_rate=0.1)
    for name in ("purchases", "spend", "clv"):
        for order in ("customers", "draws"):
            one, other = (list(getattr(future, name).replay(order)) for future in (kept, made))
            assert all(np.array_equal(a.values, b.values) for a, b in zip(one, other, strict=True))
