"""Customers who behave otherwise from a day on: the law is that of the changed story, and only the change moves it."""

import importlib
import math

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.forecast import sample_future
from clvmodels.forecast.what_if import changed_values
from clvmodels.foundation.changes import Change, Effect
from clvmodels.models import MODELS
from clvmodels.models.kernels import kernel_of
from tests.conftest import BG_NBD_PAPER
from tests.forecast_cases import (
    PURCHASES,
    SPEND,
    base,
    centre_of_priors,
    customers_of,
    posterior,
    readable_by,
    replayed,
)

WHAT_IF = importlib.import_module("clvmodels.forecast.what_if")  # the package has a function of that name
DISCOUNT = 0.002
TERMS = {"horizon": 52.0, "discount_per_unit": DISCOUNT}
CHANGEABLE = [name for name, model in MODELS.items() if model.family == "purchases" and model.on_calendar is None]
LEAVING = [name for name in CHANGEABLE if name != "nbd"]
PARETO = {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}
GGOM = {"r": 0.55, "alpha": 10.6, "b": 0.05, "s": 0.5, "beta": 3.0}
ONE_EACH = clv.fit_at("gamma_gamma", {"p": 4e6, "q": 4e6, "v": 1.0}, unit="week", currency="USD")
SIZE = 60_000


@pytest.fixture(scope="module")
def customers():
    return base(400)


@pytest.fixture(scope="module")
def fits():
    return posterior(PURCHASES, 200), posterior(SPEND, 200, seed=2)


def fit_of(name):
    return clv.fit_at(name, centre_of_priors(MODELS[name]), unit="week")


def few(name, customers):
    """As many as a test has time for: the Pareto/GGG draws them a hundred times more slowly."""
    return readable_by(name, customers.take(np.arange(25 if name == "pareto_ggg" else 200)))


def gains(fit, customers, draws=400, spend=SPEND, seed=1, **change):
    what_if = clv.what_if(fit, spend, customers, seed=seed, draws=draws, **TERMS, **change)
    return replayed(what_if.gain, "customers")


# ---------------------------------------------------------------------------------------- what must not move a number


@pytest.mark.parametrize("name", CHANGEABLE)
def test_without_a_change_every_future_is_bit_for_bit_what_it_was(name, customers):
    readable, fit = few(name, customers), fit_of(name)
    what_if = clv.what_if(fit, SPEND, readable, seed=3, draws=50, **TERMS)
    future = sample_future(fit, SPEND, readable, seed=3, draws=50, **TERMS)
    assert future.clv.mean.sum() > 0
    np.testing.assert_array_equal(replayed(what_if.clv, "draws"), replayed(future.clv, "draws"))
    np.testing.assert_array_equal(replayed(what_if.changed, "draws"), replayed(future.clv, "draws"))
    assert not what_if.gain.mean.any()


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd", "bg_cnbd_k", "mbg_cnbd_k"])
def test_futures_that_share_a_clock_are_those_drawn_one_by_one(name, customers, monkeypatch):
    changes = [Change(), Change(1.3), Change(0.5, 2.3), Change(Effect(0.8, 1.6), Effect(0.5, 1.4), 1.2)]
    own = few(name, customers)
    fit, spend = (clv.fit(model, own, seed=1, draws=100) for model in (name, "gamma_gamma"))

    def values():
        drawn = changed_values(
            fit, spend, own, changes, horizon=400.0, seed=3, rate=np.full(len(own), DISCOUNT), margin=0.3, draws=100
        )
        return drawn.make(np.arange(len(own)), slice(20, 80))

    monkeypatch.setattr(WHAT_IF, "PURCHASES", 2)  # too little room at first
    together = values()
    monkeypatch.delattr(kernel_of(MODELS[name]), "tick")
    assert (together[0] != together[3]).any()
    np.testing.assert_array_equal(together, values())


def test_gains_add_up_over_customers_and_do_not_depend_on_the_others(fits, customers):
    change = {"rate": clv.Effect(1.0, 1.2), "dropout": 0.9}
    whole = clv.what_if(*fits, customers, seed=5, **TERMS, **change)
    values = replayed(whole.gain, "draws")
    np.testing.assert_allclose(values.sum(axis=0), whole.gain.total_draws, rtol=1e-9)
    some = clv.what_if(*fits, customers.take(np.arange(100, 160)), seed=5, **TERMS, **change)
    np.testing.assert_array_equal(replayed(some.gain, "draws"), values[100:160])


@pytest.mark.parametrize("name", CHANGEABLE)
def test_gains_grow_with_the_rate(name, customers):
    readable, fit = few(name, customers), fit_of(name)
    totals = [gains(fit, readable, draws=100, rate=rate).sum(axis=0).mean() for rate in (0.5, 0.9, 1.2, 2.0)]
    assert totals[0] < totals[1] < 0 < totals[2] < totals[3]


@pytest.mark.parametrize("name", LEAVING)
def test_gains_fall_with_the_chance_to_leave(name, customers):
    readable, fit = few(name, customers), fit_of(name)
    totals = [
        gains(fit, readable, draws=100, dropout=factor).sum(axis=0).mean() for factor in (0.0, 0.5, 0.9, 1.3, 3.0)
    ]
    assert totals[0] > totals[1] > totals[2] > 0 > totals[3] > totals[4]


@pytest.mark.parametrize("name", LEAVING)
def test_fewer_defections_take_no_purchase_from_anyone(name, customers):
    # the same individual at the same random numbers: who stays longer keeps every purchase of the other future
    assert (gains(fit_of(name), few(name, customers), draws=50, dropout=0.6, spend=ONE_EACH) > -1e-9).all()


def test_an_effect_on_spend_is_that_share_of_value(fits, customers):
    what_if = clv.what_if(*fits, customers, seed=1, mean_spend=1.1, **TERMS)
    gain, value = replayed(what_if.gain, "draws"), replayed(what_if.clv, "draws")
    np.testing.assert_allclose(gain, 0.1 * value, rtol=1e-9, atol=1e-9)


def test_an_effect_has_its_quantiles_and_is_drawn_once_for_all_customers():
    effect = clv.Effect(0.8, 1.1)
    factors = Change(dropout=effect, key="a").factors(20_000, seed=1)
    assert (factors[[0, 2]] == 1).all()
    np.testing.assert_allclose(np.quantile(factors[1], [0.05, 0.5, 0.95]), [0.8, effect.median, 1.1], rtol=0.01)
    other = Change(dropout=effect, key="b").factors(20_000, seed=1)
    assert abs(np.corrcoef(factors[1], other[1])[0, 1]) < 0.03


def test_an_uncertain_effect_widens_the_gain(fits, customers):
    sure = clv.what_if(*fits, customers, seed=1, rate=1.1, **TERMS).gain.total_draws
    unsure = clv.what_if(*fits, customers, seed=1, rate=clv.Effect(0.95, 1.1**2 / 0.95), **TERMS).gain.total_draws
    assert unsure.std() > 1.5 * sure.std()
    assert abs(unsure.mean() - sure.mean()) < 4 * unsure.std() / math.sqrt(len(unsure))


# ----------------------------------------------------------------- the changed law, against closed form and story


@pytest.mark.parametrize("factor", [0.7, 1.6])
@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd", "pareto_nbd", "nbd", "ggom_nbd", "bg_cnbd_k", "mbg_cnbd_k"])
def test_a_new_customer_at_a_changed_rate_is_one_of_a_changed_population(name, factor):
    # lambda ~ Gamma(r, alpha) gives f lambda ~ Gamma(r, alpha / f), whose expected purchases are in closed form
    new, parameters = customers_of([(0, 0, 0, 0)]), centre_of_priors(MODELS[name])
    changed = clv.fit_at(name, {**parameters, "alpha": parameters["alpha"] / factor}, unit="week")
    drawn = new_at_rate(name, parameters, new, factor, SIZE)
    expected = clv.predict(changed, new, quantity="expected_purchases", horizon=52.0).mean[0]
    assert abs(drawn.mean() - expected) < 4 * drawn.std() / math.sqrt(SIZE)


@pytest.mark.parametrize(("name", "scale", "power"), [("pareto_ggg", "alpha", -1), ("pareto_nbd_abe", "lam", 1)])
def test_so_it_is_where_there_is_no_closed_form(name, scale, power):
    new, parameters = customers_of([(0, 0, 0, 0)], log_interval=np.full(1, np.nan)), centre_of_priors(MODELS[name])
    changed = clv.fit_at(name, {**parameters, scale: parameters[scale] * 1.6**power}, unit="week")
    drawn = new_at_rate(name, parameters, new, 1.6, 5_000)
    told = clv.predict(changed, new, quantity="purchases", horizon=52.0, seed=77, draws=5_000)
    error = math.hypot(drawn.std(), told.sd[0]) / math.sqrt(5_000)
    assert abs(drawn.mean() - told.mean[0]) < 4 * error


def new_at_rate(name, parameters, new, factor, draws):
    """Purchases of a new customer whose rate is changed on the first day."""
    fit = clv.fit_at(name, parameters, unit="week")
    what_if = clv.what_if(fit, ONE_EACH, new, horizon=52, discount_per_unit=0.0, seed=2, rate=factor, draws=draws)
    return replayed(what_if.changed, "customers")[0]


def bought(rng, rate, end):
    """Discounted purchases of customers who buy at `rate` until `end`, told purchase by purchase."""
    now, value = rng.exponential(1 / rate), np.zeros(len(rate))
    while (now <= end).any():
        value += np.where(now <= end, np.exp(-DISCOUNT * now), 0.0)
        now = now + rng.exponential(1 / rate)
    return value


def bg_nbd_story(rng, rate, dropout, x, t_x, T):
    r, alpha, a, b = BG_NBD_PAPER.values()
    odds = a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x)
    lam, p = rng.gamma(r + x, rate / (alpha + T), SIZE), dropout * rng.beta(a, b + x, SIZE)
    active, now, value = rng.random(SIZE) < 1 / (1 + odds), np.zeros(SIZE), np.zeros(SIZE)
    while active.any():
        now = now + rng.exponential(1 / lam)
        active &= now <= TERMS["horizon"]
        value += np.where(active, np.exp(-DISCOUNT * now), 0.0)
        active &= rng.random(SIZE) >= p
    return value


def pareto_nbd_story(rng, rate, dropout, x, t_x, T):
    r, alpha, s, beta = PARETO.values()
    customer = customers_of([(x, t_x, T, 1.0)])
    alive = clv.predict(clv.fit_at("pareto_nbd", PARETO, unit="week"), customer, quantity="p_alive").mean[0]
    lam, mu = rng.gamma(r + x, rate / (alpha + T), SIZE), rng.gamma(s, 1 / (beta + T), SIZE)
    mu = -np.log1p(-dropout * -np.expm1(-mu))
    end = np.minimum(rng.exponential(1 / mu), TERMS["horizon"])
    return bought(rng, lam, np.where(rng.random(SIZE) < alive, end, 0.0))


def ggom_nbd_story(rng, rate, dropout, x, t_x, T):
    r, alpha, b, s, beta = GGOM.values()
    customer = customers_of([(x, t_x, T, 1.0)])
    alive = clv.predict(clv.fit_at("ggom_nbd", GGOM, unit="week"), customer, quantity="p_alive").mean[0]
    lam, eta = rng.gamma(r + x, rate / (alpha + T), SIZE), rng.gamma(s, 1 / (beta + math.expm1(b * T)), SIZE)
    week, left = np.zeros(SIZE), rng.random(SIZE) >= alive
    end = np.where(left, 0.0, np.inf)
    for week in range(52):
        hazard = eta * (math.exp(b * (T + week + 1)) - math.exp(b * (T + week)))
        leaves = (rng.random(SIZE) < -dropout * np.expm1(-hazard)) & ~left
        end[leaves] = week + rng.random(leaves.sum())  # where in the week is worth less than the standard error
        left |= leaves
    return bought(rng, lam, np.minimum(end, TERMS["horizon"]))


STORIES = {
    "bg_nbd": (BG_NBD_PAPER, bg_nbd_story),
    "pareto_nbd": (PARETO, pareto_nbd_story),
    "ggom_nbd": (GGOM, ggom_nbd_story),
}


@pytest.mark.parametrize("change", [(1.0, 0.95), (1.0, 0.5), (1.25, 0.8), (0.6, 1.0)])
@pytest.mark.parametrize("name", STORIES)
def test_changed_futures_have_the_law_of_the_changed_story(name, change):
    parameters, story = STORIES[name]
    x, t_x, T = 6, 30.0, 39.0
    fit, one = clv.fit_at(name, parameters, unit="week"), customers_of([(x, t_x, T, 1.0)])
    rate, dropout = change
    what_if = clv.what_if(fit, ONE_EACH, one, seed=4, rate=rate, dropout=dropout, draws=SIZE, **TERMS)
    drawn, told = replayed(what_if.changed, "customers")[0], story(np.random.default_rng(5), rate, dropout, x, t_x, T)
    error = math.hypot(drawn.std(), told.std()) / math.sqrt(SIZE)
    assert abs(drawn.mean() - told.mean()) < 4 * error
    for count in (0.5, 3.5, 10.5):
        shares = (drawn > count).mean(), (told > count).mean()
        assert abs(shares[0] - shares[1]) < 4 * math.sqrt(2 * max(shares[1], 1e-4) / SIZE)


@pytest.mark.parametrize("factor", [1.3, 2.6])
def test_more_defections_after_purchases_stay_a_chance(factor):
    # p (1 + (f - 1) (1 - p)) up to 2, beyond it the same with whole coins: 1 - (1 - p)^2 (1 - (f - 2) p)
    p = np.random.default_rng(6).beta(BG_NBD_PAPER["a"], BG_NBD_PAPER["b"] + 6, SIZE)
    whole = math.floor(factor)
    chance = 1 - (1 - p) ** whole * (1 - (factor - whole) * p)
    assert (chance >= p).all()
    assert (chance <= 1).all()
    told = changed_by(chance, np.random.default_rng(7))
    fit, one = clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="week"), customers_of([(6, 30.0, 39.0, 1.0)])
    what_if = clv.what_if(fit, ONE_EACH, one, seed=8, dropout=factor, draws=SIZE, **TERMS)
    drawn = replayed(what_if.changed, "customers")[0]
    assert abs(drawn.mean() - told.mean()) < 4 * math.hypot(drawn.std(), told.std()) / math.sqrt(SIZE)


def changed_by(chance, rng):
    """Discounted purchases of BG/NBD customers, each of whom leaves after a purchase with a chance of their own."""
    r, alpha, a, b = BG_NBD_PAPER.values()
    odds = a / (b + 5) * ((alpha + 39) / (alpha + 30)) ** (r + 6)
    lam = rng.gamma(r + 6, 1 / (alpha + 39), SIZE)
    active, now, value = rng.random(SIZE) < 1 / (1 + odds), np.zeros(SIZE), np.zeros(SIZE)
    while active.any():
        now = now + rng.exponential(1 / lam)
        active &= now <= TERMS["horizon"]
        value += np.where(active, np.exp(-DISCOUNT * now), 0.0)
        active &= rng.random(SIZE) >= chance
    return value


def test_a_chance_to_leave_at_an_opportunity_is_multiplied():
    parameters = {"alpha": 1.2, "beta": 0.75, "gamma": 0.66, "delta": 2.8}
    fit, one = clv.fit_at("bg_bb", parameters, unit="week"), customers_of([(0, 0, 0, 0)])
    what_if = clv.what_if(
        fit, ONE_EACH, one, horizon=12, discount_per_unit=0.0, seed=9, rate=0.8, dropout=0.7, draws=SIZE
    )
    drawn, rng = replayed(what_if.changed, "customers")[0], np.random.default_rng(10)
    buys, leaves = 0.8 * rng.beta(1.2, 0.75, SIZE), 0.7 * rng.beta(0.66, 2.8, SIZE)
    told = sum(buys * (1 - leaves) ** n for n in range(1, 13))  # expected purchases given the two chances
    assert abs(drawn.mean() - told.mean()) < 4 * math.hypot(drawn.std(), told.std()) / math.sqrt(SIZE)


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 0.0}, "rate = 0.0: expected a factor above 0"),
        ({"dropout": -0.1}, "dropout = -0.1"),
        ({"mean_spend": math.nan}, "spend = nan"),
        ({"dropout": True}, "dropout = True"),
    ],
)
def test_a_factor_that_cannot_be_is_refused(change, message, customers):
    with pytest.raises(clv.DataError, match=message):
        clv.what_if(PURCHASES, SPEND, customers, seed=1, **TERMS, **change)


def test_an_effect_without_uncertainty_or_order_is_refused():
    with pytest.raises(clv.DataError, match="q05 below q95"):
        clv.Effect(1.2, 1.1)


def test_a_change_without_a_meaning_in_the_story_is_refused(customers):
    with pytest.raises(clv.FitError, match="nbd has no dropout that could be changed"):
        clv.what_if(fit_of("nbd"), SPEND, customers, seed=1, dropout=0.9, **TERMS)


# ------------------------------------------------------------------------------------------------------------- silence


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd", "pareto_nbd", "ggom_nbd", "bg_cnbd_k", "pareto_nbd_abe"])
def test_after_the_silence_p_alive_is_a_half(name, customers):
    from dataclasses import replace

    from clvmodels.forecast.silence import silence_until

    fit = posterior(fit_of(name), 60)
    silence = silence_until(fit, customers)
    now = clv.predict(fit, customers, quantity="p_alive").mean
    assert (silence[now < 0.5] == 0).all()
    ahead = np.flatnonzero(silence > 0)
    assert len(ahead) > 30
    later = replace(customers, T=np.where(silence > 0, customers.T + silence, customers.T)).take(ahead)
    np.testing.assert_allclose(clv.predict(fit, later, quantity="p_alive").mean, 0.5, atol=1e-3)


def test_who_had_no_chance_to_leave_is_never_given_up():
    from clvmodels.forecast.silence import silence_until

    silence = silence_until(PURCHASES, customers_of([(0, 0, 39, 0), (2, 30.4, 38.9, 20.0), (9, 5.0, 39.0, 20.0)]))
    assert np.isnan(silence[0])
    r, alpha, a, b = (
        BG_NBD_PAPER.values()
    )  # P(alive) = 1 / 2 where a / (b + x - 1) ((alpha + T) / (alpha + t_x))^(r + x) = 1
    expected = (alpha + 30.4) * ((b + 1) / a) ** (1 / (r + 2)) - alpha - 38.9
    np.testing.assert_allclose(silence[1:], [expected, 0.0], rtol=1e-3)


# ------------------------------------------------------------------------------------------------- some purchases more


def test_the_least_number_of_purchases_is_the_least_that_lifts_the_expectation():
    from clvmodels.forecast.after_purchases import purchases_until

    rows = [(0, 0, 39, 0), (1, 10.0, 38.0, 20.0), (4, 30.0, 35.0, 20.0)]
    needed = np.array([1.5, 2.0, 200.0])
    terms = {"horizon": 52.0, "annual_discount_rate": 0.1}
    found = purchases_until(PURCHASES, customers_of(rows), needed, within=13, **terms)
    assert np.isnan(found[2])
    rate = math.log1p(0.1) / 365.25 * 7
    for row, answer, least in zip(rows[:2], found[:2], needed[:2], strict=True):
        for more, enough in ((answer, True), (answer - 1, False)):
            if more < 1:
                continue
            later = customers_of([(row[0] + more, row[2] + 13, row[2] + 13, 20.0)])
            each = clv.expected_clv(PURCHASES, ONE_EACH, later, horizon=52.0, discount_per_unit=rate).mean[0]
            unit = clv.predict(ONE_EACH, later, quantity="expected_spend").mean[0]
            assert (each / unit >= least) == enough
