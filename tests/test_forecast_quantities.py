"""What `predict` and CLV offer of every model: later times, stretches of time, no horizon, each customer's own rate."""

import dataclasses
import math
import os
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

import clvmodels as clv
from clvmodels.evaluation.contest import contest
from clvmodels.forecast.draws import BLOCK
from clvmodels.foundation.events import purchase_columns
from clvmodels.foundation.model import PURCHASE_HISTORY
from clvmodels.foundation.quadrature import discounting
from clvmodels.models import MODELS, bg_nbd
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.forecast_cases import PURCHASES, SPEND, base, centre_of_priors, customers_of, posterior, replayed

ERRORS = 4  # standard errors that a mean of draws may be off
CUSTOMERS = customers_of([(0, 0, 0, 0), (0, 0, 38.9, 0), (1, 5, 39, 20), (2, 30.43, 38.86, 35), (40, 38.7, 39, 60)])


def offering(*quantities):
    """Models of purchases at any time that have these quantities, and the usual history."""
    return [
        name
        for name, model in MODELS.items()
        if set(quantities) <= set(model.quantities) and (model.history, model.clock) == (PURCHASE_HISTORY, "continuous")
    ]


def known(name):
    """A fit at the centre of the model's default priors, for purchases some 10 weeks apart."""
    return clv.fit_at(name, centre_of_priors(MODELS[name]), unit="week", currency="USD")


def within_errors(values, expected):
    """z of the means of draws, shape (N, S), against expectations, in standard errors."""
    error = np.sqrt(np.maximum(values.var(axis=1, ddof=1), 1e-12) / values.shape[1])
    return np.abs((values.mean(axis=1) - expected) / error).max() < ERRORS


# ------------------------------------------------------------------------------------------------ what is offered


@pytest.mark.parametrize("name", MODELS)
def test_a_model_offers_what_it_has_a_formula_or_a_kernel_for(name):
    model = MODELS[name]
    assert model.quantities
    for quantity in model.quantities:
        assert quantity in model.formulas or (
            quantity == {"purchases": "purchases", "spend": "spend"}[model.family] and model.kernel
        )
        without = {key: formula for key, formula in model.formulas.items() if key != quantity}
        assert quantity not in dataclasses.replace(model, formulas=without, kernel=None).quantities


def test_a_quantity_without_its_formula_is_refused_with_what_there_is():
    few = {name: PURCHASES.model.formulas[name] for name in ("p_alive", "expected_purchases")}
    bare = dataclasses.replace(PURCHASES, model=dataclasses.replace(PURCHASES.model, formulas=few))
    with pytest.raises(clv.FitError, match='no quantity "dert": expected one of p_alive, expected_purchases, purch'):
        clv.predict(bare, CUSTOMERS, quantity="dert", discount_per_unit=0.01)
    with pytest.raises(clv.FitError, match=r'no formula "p_alive_after".* it has p_alive, expected_purchases'):
        clv.predict(bare, CUSTOMERS, quantity="p_alive", horizon=3.0)
    with pytest.raises(clv.FitError, match='no formula "dert"'):
        clv.expected_clv(bare, SPEND, CUSTOMERS, horizon=math.inf, discount_per_unit=0.01)


# ------------------------------------------------------------------------------------------------ P(alive) later on


@pytest.mark.parametrize("name", offering("p_alive"))
def test_p_alive_later_on_is_the_mean_of_what_will_then_be_known(name):
    """Tower property, over histories told by the story: E[P(alive at T + t | then)] = P(alive at T + t | now)."""
    model, size, T, t = MODELS[name], 20_000, 20.0, 25.0
    if "p_alive_after" not in model.formulas or model.simulate is None:
        pytest.skip("the model does not say")
    fit = known(name)
    buyer, time = model.simulate(np.random.default_rng(4), fit.point, np.full(size, T + t))
    now = purchase_columns(buyer[time <= T], time[time <= T], size)
    then = purchase_columns(buyer, time, size)
    later = model.formulas["p_alive_after"](fit.point, now["frequency"], now["recency"], np.full(size, T), t)
    seen = model.formulas["p_alive"](fit.point, then["frequency"], then["recency"], np.full(size, T + t))
    for weight in (np.ones(size), now["frequency"] == 0, np.minimum(now["frequency"], 5), now["recency"]):
        surprise = (seen - later) * weight
        assert abs(surprise.mean()) <= ERRORS * surprise.std() / np.sqrt(size) + 1e-12


@pytest.mark.parametrize("name", offering("p_alive"))
def test_p_alive_starts_at_today_and_falls(name):
    fit = known(name)
    today = clv.predict(fit, CUSTOMERS, quantity="p_alive").mean
    later = [clv.predict(fit, CUSTOMERS, quantity="p_alive", horizon=t).mean for t in (0.0, 0.5, 39.0, 1e6)]
    np.testing.assert_allclose(later[0], today, rtol=1e-12)
    assert all((one >= other).all() for one, other in pairwise(later))
    assert ((later[-1] >= 0) & (later[-1] <= 1)).all()


# ------------------------------------------------------------------------------------------------ stretches of time


@pytest.mark.parametrize("name", offering("expected_purchases"))
def test_expected_purchases_of_consecutive_stretches_add_up(name):
    fit = known(name)
    early, late, whole = (
        clv.predict(fit, CUSTOMERS, quantity="expected_purchases", horizon=h) for h in (13.3, (13.3, 39.0), 39.0)
    )
    np.testing.assert_allclose(early.mean + late.mean, whole.mean, rtol=1e-7)
    assert (late.start, late.horizon, whole.start) == (13.3, 39.0, 0.0)
    nothing = clv.predict(fit, CUSTOMERS, quantity="expected_purchases", horizon=(13.3, 13.3))
    assert not nothing.mean.any()


@pytest.mark.parametrize("name", offering("purchases"))
def test_purchases_of_consecutive_stretches_add_up_draw_by_draw(name):
    fit = known(name)
    early, late, whole = (
        replayed(clv.predict(fit, CUSTOMERS, quantity="purchases", horizon=h, seed=1, draws=4000), "customers")
        for h in ((0.0, 13.3), (13.3, 39.0), 39.0)
    )
    assert np.array_equal(early + late, whole)
    assert late.sum() > 0
    expected = clv.predict(fit, CUSTOMERS, quantity="expected_purchases", horizon=(13.3, 39.0)).mean
    assert within_errors(late, expected)


def test_forecasts_of_other_stretches_are_not_taken_for_one_another(cdnow, cdnow_holdout, bg_nbd_fit):
    fit = posterior(PURCHASES, 10)
    ahead, later = (clv.predict(fit, CUSTOMERS, quantity="expected_purchases", horizon=h) for h in (39.0, (13.0, 39.0)))
    with pytest.raises(clv.DataError, match="differ in start"):
        clv.average_forecasts({"a": ahead, "b": later}, {"a": 0.5, "b": 0.5}, seed=1)
    late = clv.predict(bg_nbd_fit, cdnow, quantity="purchases", horizon=(10.0, 39.0), seed=1, draws=5)
    with pytest.raises(clv.DataError, match="begins 10 weeks after"):
        contest({"late": {"purchases": late}}, cdnow_holdout, model="late", rng=np.random.default_rng(1))


# ------------------------------------------------------------------------------------------------ DERT


def test_dert_of_the_paper_is_met():
    # Fader, Hardie and Lee (2005), RFM and CLV: the customer of the BG/NBD paper, 15 % a year of 52 weeks
    fit = clv.fit_at("pareto_nbd", {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}, unit="week")
    forecast = clv.predict(fit, CUSTOMERS, quantity="dert", discount_per_unit=math.log(1.15) / 52)
    assert forecast.mean[3] == pytest.approx(6.5017, abs=5e-5)
    assert np.isnan(forecast.horizon)


@pytest.mark.parametrize("name", offering("dert"))
def test_dert_is_the_value_without_end_of_purchases_worth_one(name):
    fit = known(name)
    dert = clv.predict(fit, CUSTOMERS, quantity="dert", annual_discount_rate=0.1).mean
    amount = clv.predict(SPEND, CUSTOMERS, quantity="expected_spend").mean
    for horizon, rel in ((math.inf, 1e-12), (25_000.0, 2e-6)):
        value = clv.expected_clv(fit, SPEND, CUSTOMERS, horizon=horizon, annual_discount_rate=0.1).mean
        np.testing.assert_allclose(value, amount * dert, rtol=rel)


def test_dert_that_is_infinite_is_said_to_be():
    sure = customers_of([(2, 30.0, 38.0, 1.0), (10_000, 1.0, 1e9, 1.0)])  # the second is surely gone
    with pytest.warns(UserWarning, match="dert is infinite in some draws for 1 of 2 customers: at this discount rate"):
        forecast = clv.predict(PURCHASES, sure, quantity="dert", discount_per_unit=0.0)  # a = .793 is below 1
    assert forecast.mean[0] == np.inf
    assert forecast.mean[1] == 0
    ends = clv.fit_at("bg_nbd", {**BG_NBD_PAPER, "a": 3.0}, unit="week")
    assert np.isfinite(clv.predict(ends, CUSTOMERS, quantity="dert", discount_per_unit=0.0).mean).all()


# ------------------------------------------------------------------------------------------------ CLV without end


@pytest.mark.parametrize("name", offering("dert", "purchases"))
def test_value_without_end_is_what_draws_average_to(name):
    fit, arguments = known(name), {"horizon": math.inf, "discount_per_unit": 0.05, "margin": 0.3}
    drawn = clv.sample_clv(fit, SPEND, CUSTOMERS, seed=5, draws=6000, **arguments)
    expected = clv.expected_clv(fit, SPEND, CUSTOMERS, **arguments).mean
    assert within_errors(replayed(drawn, "customers"), expected)
    assert drawn.horizon == math.inf


def test_value_without_end_is_that_of_a_horizon_where_nothing_is_left_to_discount():
    rate, arguments = 0.02, {"seed": 1, "draws": 200, "discount_per_unit": 0.02}
    without, far = (
        clv.sample_clv(PURCHASES, SPEND, CUSTOMERS, horizon=h, **arguments) for h in (math.inf, math.log(1e10) / rate)
    )
    assert np.array_equal(without.totals, far.totals)
    further = clv.sample_clv(PURCHASES, SPEND, CUSTOMERS, horizon=40 / rate, **arguments)
    np.testing.assert_allclose(without.total_draws, further.total_draws, rtol=1e-8)


def test_value_without_end_asks_for_a_rate_where_it_is_drawn():
    rates = np.array([0.01, 0.01, 0.0, 0.01, 0.01])
    for rate in (0.0, -0.01, rates):
        with pytest.raises(clv.DataError, match="horizon = inf with a discount rate of"):
            clv.sample_clv(PURCHASES, SPEND, CUSTOMERS, horizon=math.inf, discount_per_unit=rate, seed=1)
    with pytest.warns(UserWarning, match="expected_clv is infinite in some draws for 1 of 5 customers: at this disc"):
        value = clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, horizon=math.inf, discount_per_unit=rates).mean
    assert np.isinf(value).tolist() == [False, False, True, False, False]


# ------------------------------------------------------------------------------------------------ C1 to C6


@pytest.mark.parametrize("name", offering("expected_purchases", "purchases"))
def test_expected_value_is_linear_falls_with_the_rate_and_grows_with_the_horizon(name):
    fit = known(name)

    def value(horizon=52.0, rate=0.002, margin=1.0):
        kw = {"horizon": horizon, "discount_per_unit": rate, "margin": margin}
        return clv.expected_clv(fit, SPEND, CUSTOMERS, **kw).mean

    np.testing.assert_allclose(value(margin=0.3), 0.3 * value(), rtol=1e-13)
    amount = clv.predict(SPEND, CUSTOMERS, quantity="expected_spend").mean
    plain = clv.predict(fit, CUSTOMERS, quantity="expected_purchases", horizon=52.0).mean
    np.testing.assert_allclose(value(rate=0.0), amount * plain, rtol=1e-7)
    by_rate = [value(rate=rate) for rate in (-0.001, 0.0, 0.002, 0.05)]
    by_horizon = [value(horizon=horizon) for horizon in (0.0, 2.0, 2.5, 3.0, 52.0, math.inf)]
    assert all((one > other).all() for one, other in pairwise(by_rate))
    assert all((one < other).all() for one, other in pairwise(by_horizon))
    assert not by_horizon[0].any()
    np.testing.assert_allclose(by_horizon[2], (by_horizon[1] + by_horizon[3]) / 2, rtol=0.02)


def test_a_stretch_is_worth_what_it_brings_discounted():
    """C2: CLV(0..n) - CLV(0..m) is the integral over (m, n], here by SciPy from the derivative of CE."""
    rate, (m, n) = 0.01, (7.5, 40.0)
    until = [clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, horizon=h, discount_per_unit=rate).mean for h in (m, n)]
    amount = clv.predict(SPEND, CUSTOMERS, quantity="expected_spend").mean
    for k in range(len(CUSTOMERS)):
        who = [np.array([column[k]]) for column in (CUSTOMERS.frequency, CUSTOMERS.recency, CUSTOMERS.T)]

        def curve(t, who=who):
            return float(bg_nbd.FORMULAS.expected_purchases(BG_NBD_PAPER, *who, t)[0])

        inside = integrate.quad(lambda t: rate * math.exp(-rate * t) * curve(t), m, n, epsrel=1e-10)[0]
        exact = math.exp(-rate * n) * curve(n) - math.exp(-rate * m) * curve(m) + inside
        assert until[1][k] - until[0][k] == pytest.approx(amount[k] * exact, rel=1e-6)


# ------------------------------------------------------------------------------------------------ by customer


OWN = {"margin": np.array([0.1, 0.2, 0.3, 0.0, 0.5]), "annual_discount_rate": np.array([0.1, 0.0, 0.2, 0.1, -0.1])}


def of_all(**arguments):
    fits = posterior(PURCHASES, 60), posterior(SPEND, 60, seed=2)
    kw = {"horizon": 52.0, **arguments}
    return clv.sample_clv(*fits, CUSTOMERS, seed=1, **kw), clv.expected_clv(*fits, CUSTOMERS, **kw)


def test_each_customer_has_the_value_of_the_customers_own_margin_and_rate():
    for own, ones in zip(of_all(**OWN), ("sample", "expected"), strict=True):
        for k in range(len(CUSTOMERS)):
            one = of_all(**{name: float(values[k]) for name, values in OWN.items()})[ones == "expected"]
            assert all(getattr(own, s)[k] == getattr(one, s)[k] for s in ("mean", "sd", "q05", "q95"))


def test_a_series_is_matched_by_customer_and_an_array_by_place():
    order = [3, 1, 4, 0, 2]
    by_id = {name: pd.Series(values[order], index=CUSTOMERS.customer_id[order]) for name, values in OWN.items()}
    more = {name: pd.concat([values, pd.Series([9.0], index=["stranger"])]) for name, values in by_id.items()}
    for given in (by_id, more, {name: values.tolist() for name, values in OWN.items()}):
        for one, other in zip(of_all(**OWN), of_all(**given), strict=True):
            assert np.array_equal(one.mean, other.mean)
            assert np.array_equal(one.totals, other.totals)


def test_own_margins_and_rates_leave_order_subsets_and_threads_without_effect(monkeypatch):
    customers = base(300)
    rng = np.random.default_rng(0)
    margin, rate = rng.random(300), rng.choice([0.0, 0.1, 0.2], 300)
    fits = posterior(PURCHASES, 40), posterior(SPEND, 40, seed=2)
    order = rng.permutation(300)

    def values(rows):
        kw = {"horizon": 52.0, "margin": margin[rows], "annual_discount_rate": rate[rows]}
        some = customers.take(rows)
        return clv.sample_clv(*fits, some, seed=1, **kw), clv.expected_clv(*fits, some, **kw)

    whole = values(np.arange(300))
    assert BLOCK < 300
    for one, shuffled, some in zip(whole, values(order), values(order[:33]), strict=True):
        assert np.array_equal(one.mean[order], shuffled.mean)
        assert np.array_equal(one.totals, shuffled.totals)
        assert np.array_equal(one.q95[order[:33]], some.q95)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    for one, other in zip(whole, values(np.arange(300)), strict=True):
        assert np.array_equal(one.totals, other.totals)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": np.ones(4)}, r"margin has shape \(4,\) for 5 customers"),
        ({"margin": np.ones((5, 1))}, r"margin has shape \(5, 1\) for 5 customers"),
        ({"margin": pd.Series(np.ones(4), index=["c0", "c1", "c2", "c4"])}, "margin has no value for 1 .* c3"),
        ({"margin": pd.Series(np.ones(5))}, "margin has no value for 5 customers"),
        ({"margin": pd.Series(np.ones(2), index=["c0", "c0"])}, "margin has customer_id c0 twice"),
        ({"margin": np.array([0.1, 0.2, np.nan, 0.1, -1.0])}, r"margin = nan for customer_id c2, row 2 \(2 customers"),
        ({"margin": "half"}, "margin = 'half': expected a number"),
        ({"margin": True}, "margin has shape"),
        ({"annual_discount_rate": np.array([0.1, -1.0, 0.1, 0.1, 0.1])}, "annual_discount_rate = -1.0 for .* c1"),
        ({"horizon": "52"}, "horizon = '52'"),
    ],
)
def test_margins_and_rates_that_do_not_fit_the_customers_are_refused(arguments, message):
    kw = {"horizon": 52.0, "annual_discount_rate": 0.1, **arguments}
    for forecast in (lambda: clv.sample_clv(PURCHASES, SPEND, CUSTOMERS, seed=1, **kw),
                     lambda: clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, **kw)):  # fmt: skip
        with pytest.raises(clv.DataError, match=message):
            forecast()


def test_a_margin_of_nothing_makes_nothing_of_an_infinite_mean():
    heavy = clv.fit_at("gamma_gamma", {"p": 2.0, "q": 0.8, "v": 10.0}, unit="week", currency="USD")
    new = customers_of([(0, 0, 39, 0)])
    assert clv.expected_clv(PURCHASES, heavy, new, horizon=52, discount_per_unit=0.0, margin=0.0).mean[0] == 0


# ------------------------------------------------------------------------------------------------ units


@pytest.fixture(scope="module")
def values_by_unit(cdnow_log):
    """sample_clv and expected_clv of the CDNOW sample, fitted in each unit with the same seeds."""

    def values(model):
        for unit, days in (("day", 1.0), ("week", 7.0), ("month", 365.25 / 12)):
            customers = clv.customer_summary(cdnow_log, clv.Window(calibration_end="1997-09-30", unit=unit))
            fits = [clv.fit(name, customers, draws=300, seed=1) for name in (model, "gamma_gamma")]
            kw = {"horizon": 365.25 / days, "annual_discount_rate": 0.1, "draws": 30}
            yield clv.sample_clv(*fits, customers, seed=1, **kw), clv.expected_clv(*fits, customers, **kw)

    return values


@pytest.mark.parametrize(
    "model", ["bg_nbd", "nbd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mbg_nbd", "pareto_nbd"))]
)
def test_the_same_log_in_days_weeks_or_months_has_the_same_clv(values_by_unit, model):
    days, *others = values_by_unit(model)
    for other in others:
        for one, same in zip(days, other, strict=True):
            np.testing.assert_allclose(same.mean, one.mean, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(same.total_draws, one.total_draws, rtol=1e-6)


# ------------------------------------------------------------------------------------------------ numbers


def test_where_nothing_is_discounted_curves_are_taken_at_the_ends_alone():
    """It once took twenty-four values more of each curve, each with a weight of 0."""
    times, weights = discounting(np.array([1.0, 3.0]), 0.0)
    assert times.tolist() == [1.0, 3.0]
    assert weights.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("discount", [-0.3, 0.0, 0.05, 0.3, 5.0, 1e3])
@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0])
def test_discounted_curves_are_integrals_to_every_end(discount, scale):
    ends = np.array([0.02, 0.5, 2.5, 7.25, 10.0])
    times, weights = discounting(ends, discount)
    assert np.array_equal(times[-5:], ends)
    ours = weights @ -np.expm1(-0.7 * np.log1p(times / scale))
    # dC = .7 (1 + t / s)^-1.7 dt / s, in v = log(1 + t / s)
    exact = [
        integrate.quad(
            lambda v: 0.7 * math.exp(-0.7 * v - discount * scale * math.expm1(v)),
            0,
            math.log1p(end / scale),
            epsabs=0,
            epsrel=1e-11,
            limit=400,
        )[0]
        for end in ends
    ]
    error = np.abs(ours - exact) / exact[-1]
    assert error[-1] < 1e-8
    assert error.max() < (1e-7 if 0 <= discount < 1 else 1e-4)


def test_a_curve_has_the_purchases_of_each_of_its_times():
    rng = np.random.default_rng(1)
    size = 200
    parameters = {
        "r": 10 ** rng.uniform(-1.5, 1.5, size),
        "alpha": 10 ** rng.uniform(-1.3, 3.3, size),
        "a": 10 ** rng.uniform(-2, 1, size),
        "b": 10 ** rng.uniform(-1.5, 1.5, size),
    }
    x, T = np.floor(10 ** rng.uniform(-1, 4, size)), rng.choice([0.0, 0.1, 30.0, 1000.0], size)
    times = np.array([0.01, 0.5, 9.0, 52.0, 520.0])
    curve = bg_nbd.curve_if_alive(parameters, x, T, times)
    each = [bg_nbd.purchases_if_alive(parameters, x, T, t) for t in times]
    np.testing.assert_allclose(curve, each, rtol=3e-7)


def test_models_with_and_without_a_curve_have_the_same_value():
    for name in offering("expected_purchases"):
        fit = known(name)
        formulas = {k: f for k, f in fit.model.formulas.items() if not k.endswith("_if_alive")}
        plain = dataclasses.replace(fit, model=dataclasses.replace(fit.model, formulas=formulas))
        for horizon, rate in ((2.5, 0.002), (520.0, 0.01)):
            one, other = (
                clv.expected_clv(of, SPEND, CUSTOMERS, horizon=horizon, discount_per_unit=rate).mean
                for of in (fit, plain)
            )
            np.testing.assert_allclose(one, other, rtol=3e-7)


def test_money_in_cents_is_worth_a_hundred_times_as_much_by_expectation():
    cents = clv.fit_at("gamma_gamma", {**GAMMA_GAMMA_PAPER, "v": 1544.0}, unit="week", currency="USD")
    in_cents = dataclasses.replace(CUSTOMERS, monetary_value=100 * CUSTOMERS.monetary_value)
    arguments = {"horizon": 52.0, "annual_discount_rate": 0.1}
    one = clv.expected_clv(PURCHASES, SPEND, CUSTOMERS, **arguments).mean
    np.testing.assert_allclose(clv.expected_clv(PURCHASES, cents, in_cents, **arguments).mean, 100 * one, rtol=1e-12)
