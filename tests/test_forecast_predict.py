"""Expectations are the models' formulas, draw by draw; arguments that cannot be met are refused."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from scipy import integrate

import clvmodels as clv
from clvmodels.forecast import purchases_by_period, sample_future, sample_spend
from clvmodels.foundation.records import LedgerLine
from clvmodels.models import bg_nbd, gamma_gamma
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.forecast_cases import PURCHASES, SPEND, base, customers_of, posterior, replayed

CUSTOMERS = customers_of(
    [
        (0, 0, 0, 0),
        (0, 0, 38.9, 0),
        (1, 5, 39, 20),
        (2, 30.43, 38.86, 35),
        (2, 30.43, 38.86, 7),
        (40, 38.7, 39, 60),
    ]
)
HISTORY = (CUSTOMERS.frequency, CUSTOMERS.recency, CUSTOMERS.T)
YEAR = {"horizon": 52.0, "annual_discount_rate": 0.1}


@pytest.fixture(scope="module")
def fit():
    return posterior(PURCHASES, 40, chains=2)


@pytest.fixture(scope="module")
def spend():
    return posterior(SPEND, 40, chains=2, seed=2)


def at_draw(fit, s):
    return {name: column[s, 0] for name, column in fit.columns().items()}


def test_expected_purchases_of_the_paper_are_met():
    # Fader, Hardie and Lee (2005), section 5: x = 2, t_x = 30.43, T = 38.86, t = 39
    forecast = clv.predict(PURCHASES, CUSTOMERS, quantity="expected_purchases", horizon=39)
    assert abs(forecast.mean[3] - 1.226) < 5e-4


@pytest.mark.parametrize(
    ("quantity", "horizon"), [("p_alive", None), ("expected_purchases", 12.5), ("expected_spend", None)]
)
def test_each_draw_is_the_formula_at_that_draws_parameters(fit, spend, quantity, horizon):
    of = spend if quantity == "expected_spend" else fit
    forecast = clv.predict(of, CUSTOMERS, quantity=quantity, horizon=horizon)
    values = replayed(forecast, "customers")
    for s in (0, 19, 20, 39):
        if quantity == "expected_spend":
            expected = gamma_gamma.expected_spend(at_draw(of, s), CUSTOMERS.frequency, CUSTOMERS.monetary_value)
        else:
            formula = fit.model.formulas[quantity]
            expected = formula(at_draw(of, s), *HISTORY, *([] if horizon is None else [horizon]))
        np.testing.assert_allclose(values[:, s], expected, rtol=1e-12)
    np.testing.assert_allclose(forecast.mean, values.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(forecast.sd, values.std(axis=1, ddof=1), rtol=1e-9)
    assert np.array_equal(forecast.q95, np.quantile(values, 0.95, axis=1, method="inverted_cdf"))
    np.testing.assert_allclose(forecast.totals.values.ravel(), values.sum(axis=0), rtol=1e-12)
    assert np.array_equal(values, replayed(forecast, "draws"))


def test_row_order_and_subsets_do_not_move_an_expectation(fit):
    customers = base(400)
    order = np.random.default_rng(0).permutation(400)
    one = clv.predict(fit, customers, quantity="expected_purchases", horizon=26)
    shuffled = clv.predict(fit, customers.take(order), quantity="expected_purchases", horizon=26)
    some = clv.predict(fit, customers.take(order[:33]), quantity="expected_purchases", horizon=26)
    assert np.array_equal(one.mean[order], shuffled.mean)
    assert np.array_equal(one.q05[order[:33]], some.q05)
    assert np.array_equal(one.totals, shuffled.totals)


def with_if_alive(fit):
    """The fit of a model that says what to expect of a customer who is alive."""
    assert "purchases_if_alive" in fit.model.formulas
    return fit


def without_if_alive(fit):
    quantities = {name: of for name, of in fit.model.formulas.items() if name != "purchases_if_alive"}
    return dataclasses.replace(fit, model=dataclasses.replace(fit.model, formulas=quantities))


def test_the_integral_may_be_shared_by_customers_of_one_frequency_and_age(fit):
    customers = base(300)
    shared, each = (
        clv.predict(of, customers, quantity="expected_purchases", horizon=26)
        for of in (with_if_alive(fit), without_if_alive(fit))
    )
    np.testing.assert_allclose(shared.q50, each.q50, rtol=1e-14)
    np.testing.assert_allclose(shared.totals, each.totals, rtol=1e-13)


def test_counted_rows_weigh_the_totals_of_expectations(fit, spend):
    counts = np.array([3.0, 1.0, 2.0, 1.0, 5.0, 1.0])
    counted = dataclasses.replace(CUSTOMERS, n_customers=counts)
    rows = np.repeat(np.arange(6), counts.astype(int))
    each = customers_of(np.column_stack([*HISTORY, CUSTOMERS.monetary_value])[rows])
    for of, quantity, ahead in ((fit, "p_alive", {}), (fit, "expected_purchases", {"horizon": 9.0})):
        one, other = (clv.predict(of, c, quantity=quantity, **ahead) for c in (counted, each))
        np.testing.assert_allclose(one.totals, other.totals, rtol=1e-12)
    one, other = (clv.expected_clv(fit, spend, c, **YEAR) for c in (counted, each))
    np.testing.assert_allclose(one.totals, other.totals, rtol=1e-12)


def test_known_parameters_give_a_mean_and_no_distribution():
    forecast = clv.predict(PURCHASES, CUSTOMERS, quantity="p_alive")
    frame = forecast.to_pandas()
    assert list(frame.columns) == ["customer_id", "mean", "sd", "q05", "q50", "q95"]
    assert frame["mean"].notna().all()
    assert frame[["sd", "q05", "q50", "q95"]].isna().all(axis=None)
    assert forecast.method == "bg_nbd:known"
    assert forecast.totals.shape == (1, 1)


def test_fewer_draws_are_evenly_spaced_ones(fit):
    whole = replayed(clv.predict(fit, CUSTOMERS, quantity="p_alive"), "draws")
    thinned = replayed(clv.predict(fit, CUSTOMERS, quantity="p_alive", draws=10), "draws")
    np.testing.assert_allclose(thinned, whole[:, ::4], rtol=1e-14)


# ----------------------------------------------------------------------------------- expected CLV


@pytest.mark.parametrize("horizon", [2.5, 52.0, 520.0])
@pytest.mark.parametrize("alpha", [0.05, 4.414, 2000.0])
def test_expected_clv_is_the_discounted_integral(horizon, alpha):
    p = {**BG_NBD_PAPER, "alpha": alpha}
    rate, margin = 0.01, 0.3
    forecast = clv.expected_clv(
        clv.fit_at("bg_nbd", p, unit="week"),
        SPEND,
        CUSTOMERS,
        horizon=horizon,
        discount_per_unit=rate,
        margin=margin,
    )
    amount = gamma_gamma.expected_spend(GAMMA_GAMMA_PAPER, CUSTOMERS.frequency, CUSTOMERS.monetary_value)
    for k in range(len(CUSTOMERS)):
        x, t_x, T = (column[k] for column in HISTORY)

        # in w = log(1 + t / alpha) the integrand is smooth whatever alpha is
        def integrand(w, x=x, t_x=t_x, T=T):
            t = alpha * np.expm1(w)
            ce = bg_nbd.FORMULAS.expected_purchases(p, np.array([x]), np.array([t_x]), np.array([T]), t)[0]
            return rate * np.exp(-rate * t) * ce * (t + alpha)

        inside, _ = integrate.quad(integrand, 0, np.log1p(horizon / alpha), epsrel=1e-10, limit=200)
        whole = bg_nbd.FORMULAS.expected_purchases(p, np.array([x]), np.array([t_x]), np.array([T]), horizon)[0]
        expected = margin * amount[k] * (np.exp(-rate * horizon) * whole + inside)
        np.testing.assert_allclose(forecast.mean[k], expected, rtol=1e-6)


def test_expected_clv_without_discount_is_purchases_times_spend_at_the_same_draws(fit, spend):
    # C7: E[purchases x spend] over shared draws, not the product of two means
    tied = dataclasses.replace(spend, draws=spend.draws * (1 + 0 * spend.draws))
    forecast = clv.expected_clv(fit, tied, CUSTOMERS, horizon=39, discount_per_unit=0.0)
    purchases = replayed(clv.predict(fit, CUSTOMERS, quantity="expected_purchases", horizon=39), "draws")
    amount = replayed(clv.predict(tied, CUSTOMERS, quantity="expected_spend"), "draws")
    np.testing.assert_allclose(forecast.mean, (purchases * amount).mean(axis=1), rtol=1e-12)
    assert not np.allclose(forecast.mean, purchases.mean(axis=1) * amount.mean(axis=1), rtol=1e-6)


def test_clv_of_consecutive_stretches_adds_up():
    # C2 for undiscounted value: CE(0..n) = CE(0..m) + CE(m..n), and C3: 2.5 is not rounded
    arguments = {"discount_per_unit": 0.0}
    at = {h: clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, horizon=h, **arguments).mean for h in (2, 2.5, 3)}
    assert (at[2] < at[2.5]).all()
    assert (at[2.5] < at[3]).all()
    assert np.abs(at[2.5] / (0.5 * (at[2] + at[3])) - 1).max() < 0.02


def test_a_year_of_months_weeks_or_days_has_the_same_clv():
    # C4: a month is 365.25 / 12 days
    values = []
    for unit, days in (("day", 1.0), ("week", 7.0), ("month", 365.25 / 12), ("year", 365.25)):
        scale = 7.0 / days
        customers = dataclasses.replace(CUSTOMERS, unit=unit, recency=HISTORY[1] * scale, T=HISTORY[2] * scale)
        of_unit = clv.fit_at("bg_nbd", {**BG_NBD_PAPER, "alpha": BG_NBD_PAPER["alpha"] * scale}, unit=unit)
        values.append(clv.expected_clv(of_unit, SPEND, customers, horizon=365.25 / days, annual_discount_rate=0.1).mean)
    for other in values[1:]:
        np.testing.assert_allclose(other, values[0], rtol=1e-10)


def test_ten_per_cent_a_year_makes_a_dollar_in_a_year_worth_ten_elevenths():
    at_once = clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, horizon=1e-6, annual_discount_rate=0.1).mean
    plain = clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, horizon=1e-6, discount_per_unit=0.0).mean
    np.testing.assert_allclose(at_once, plain, rtol=1e-8)
    year = 365.25 / 7
    window = {"horizon": year + 1e-3}
    late = [
        clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, **h, **r).mean
        for r in ({"annual_discount_rate": 0.1}, {"discount_per_unit": 0.0})
        for h in (window, {"horizon": year})
    ]
    np.testing.assert_allclose((late[0] - late[1]) / (late[2] - late[3]), 1 / 1.1, rtol=1e-3)


def test_expected_clv_is_narrower_than_the_predictive_distribution(fit, spend):
    expected = clv.expected_clv(fit, spend, CUSTOMERS, **YEAR)
    predictive = clv.sample_clv(fit, spend, CUSTOMERS, **YEAR, seed=1)
    assert (expected.sd < predictive.sd).all()


# ----------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantity": "lifetime"}, "expected one of p_alive, expected_purchases, dert, purchases"),
        ({"quantity": "expected_spend"}, "bg_nbd has no quantity"),
        ({"quantity": "expected_purchases"}, "needs a horizon"),
        ({"quantity": "expected_purchases", "horizon": -1.0}, "horizon = -1"),
        ({"quantity": "expected_purchases", "horizon": np.nan}, "horizon = nan"),
        ({"quantity": "purchases", "horizon": np.inf, "seed": 1}, "horizon = inf"),
        ({"quantity": "purchases", "seed": 1}, "needs a horizon"),
        ({"quantity": "purchases", "horizon": 39.0}, "give a seed"),
        ({"quantity": "purchases", "horizon": 39.0, "seed": -1}, "seed = -1"),
        ({"quantity": "dert", "horizon": 39.0, "discount_per_unit": 0.01}, "leave out horizon"),
        ({"quantity": "dert"}, "give one of"),
        ({"quantity": "p_alive", "annual_discount_rate": 0.1}, "p_alive is not discounted"),
        ({"quantity": "p_alive", "horizon": (1.0, 2.0)}, "horizon = \\(1.0, 2.0\\)"),
        ({"quantity": "expected_purchases", "horizon": (2.0, 1.0)}, "expected a pair"),
        ({"quantity": "expected_purchases", "horizon": (1.0, 2.0, 3.0)}, "expected a pair"),
        ({"quantity": "purchases", "horizon": (0.0, np.inf), "seed": 1}, "expected a pair"),
        ({"quantity": "expected_purchases", "horizon": "39"}, "horizon = '39'"),
        ({"quantity": "p_alive", "seed": 1}, "leave out seed"),
        ({"quantity": "p_alive", "draws": 41}, "the fit has 40"),
        ({"quantity": "p_alive", "draws": 0}, "draws = 0"),
        ({"quantity": "purchases", "horizon": 39.0, "seed": 1, "draws": 2.5}, "draws = 2.5"),
    ],
)
def test_predict_refuses_what_it_cannot_answer(fit, arguments, message):
    with pytest.raises((clv.FitError, clv.DataError), match=message):
        clv.predict(fit, CUSTOMERS, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"annual_discount_rate": 0.1, "discount_per_unit": 0.1}, "give one of"),
        ({}, "give one of"),
        ({"discount_per_unit": np.nan}, "discount_per_unit = nan"),
        ({"annual_discount_rate": -1.0}, "annual_discount_rate = -1"),
        ({"annual_discount_rate": 0.1, "margin": -0.1}, "margin = -0.1"),
        ({"annual_discount_rate": 0.1, "margin": np.inf}, "margin = inf"),
        ({"annual_discount_rate": 0.1, "horizon": -2.0}, "horizon = -2"),
        ({"annual_discount_rate": 0.1, "seed": 1.5}, "seed = 1.5"),
    ],
)
def test_sample_clv_refuses_what_it_cannot_use(fit, spend, arguments, message):
    with pytest.raises(clv.DataError, match=message):
        clv.sample_clv(fit, spend, CUSTOMERS, **{"horizon": 52.0, "seed": 1, **arguments})


def test_fits_that_do_not_belong_together_are_refused(fit, spend):
    with pytest.raises(clv.FitError, match="the first argument is a fit of gamma_gamma"):
        clv.sample_clv(spend, fit, CUSTOMERS, **YEAR, seed=1)
    with pytest.raises(clv.FitError, match='in units of a "week", the customers in units of a "day"'):
        clv.predict(fit, dataclasses.replace(CUSTOMERS, unit="day"), quantity="p_alive")
    with pytest.raises(clv.FitError, match="the fit is in USD, the customers in EUR"):
        clv.expected_clv(fit, spend, dataclasses.replace(CUSTOMERS, currency="EUR"), **YEAR)


def test_counted_rows_are_refused_where_outcomes_are_drawn(fit, spend):
    counted = dataclasses.replace(CUSTOMERS, n_customers=np.ones(6))
    with pytest.raises(clv.DataError, match="n_customers"):
        clv.predict(fit, counted, quantity="purchases", horizon=39, seed=1)
    with pytest.raises(clv.DataError, match="n_customers"):
        sample_future(fit, spend, counted, **YEAR, seed=1)


def test_an_unknown_spend_with_repeats_is_refused(fit, spend):
    unknown = dataclasses.replace(CUSTOMERS, monetary_value=np.full(6, np.nan))
    for forecast in (
        lambda: clv.predict(spend, unknown, quantity="expected_spend"),
        lambda: sample_spend(fit, spend, unknown, horizon=1, seed=1),
    ):
        with pytest.raises(clv.DataError, match="monetary_value is missing with repeat purchases for 4"):
            forecast()


def test_a_customer_whose_repeats_were_free_spends_like_a_new_one(fit, spend):
    free = dataclasses.replace(
        CUSTOMERS,
        monetary_value=np.where(np.arange(6) == 2, np.nan, CUSTOMERS.monetary_value),
        set_aside=(LedgerLine("no_positive_spend", 1, 0.0),),
    )
    amount = clv.predict(spend, free, quantity="expected_spend").mean
    assert amount[2] == amount[0]
    drawn = sample_future(fit, spend, free, **YEAR, seed=1)
    whole = sample_future(fit, spend, CUSTOMERS, **YEAR, seed=1)
    assert np.array_equal(drawn.purchases.mean, whole.purchases.mean)
    assert np.flatnonzero(drawn.spend.mean != whole.spend.mean).tolist() == [2]


@pytest.mark.parametrize("ends", [[], [0.0, 1.0], [2.0, 1.0], [1.0, np.inf], [[1.0]]])
def test_periods_that_do_not_follow_each_other_are_refused(fit, ends):
    with pytest.raises(clv.DataError, match="ends of periods"):
        purchases_by_period(fit, CUSTOMERS, ends=np.array(ends), seed=1)


def test_a_model_without_a_kernel_says_so(fit):
    bare = dataclasses.replace(fit, model=dataclasses.replace(fit.model, name="other", kernel=None))
    with pytest.raises(clv.FitError, match=r'no quantity "purchases": expected one of p_alive, expected_.*, dert\.'):
        clv.predict(bare, CUSTOMERS, quantity="purchases", horizon=1, seed=1)
    with pytest.raises(clv.FitError, match="other has no kernel"):
        purchases_by_period(bare, CUSTOMERS, ends=np.array([1.0]), seed=1)


def test_numba_is_imported_when_a_forecast_is_drawn_and_not_before():
    code = (
        "import sys, clvmodels.forecast, clvmodels.strategy; sys.exit('numba' in sys.modules or 'pymc' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
