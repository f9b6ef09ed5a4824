"""The BG/BB against the paper, high precision, sums over all histories, and with daily opportunities.

What holds in whole numbers of opportunities as it does in continuous time is in test_models_purchases.py.
"""

import dataclasses
import tomllib

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import special

import clvmodels as clv
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns, Varying
from clvmodels.models import bg_bb
from tests.conftest import BG_NBD_PAPER, GOLDEN
from tests.forecast_cases import customers_of

PAPER = {"alpha": 1.2035, "beta": 0.7498, "gamma": 0.6568, "delta": 2.7839}
DAYS = {"alpha": 0.54, "beta": 70.8, "gamma": 0.61, "delta": 80.6}
GRID = [
    PAPER,
    DAYS,
    {"alpha": 0.02, "beta": 900.0, "gamma": 0.01, "delta": 3.0},
    {"alpha": 30.0, "beta": 0.05, "gamma": 1.0, "delta": 0.2},
    {"alpha": 5.0, "beta": 5.0, "gamma": 1.0 + 1e-9, "delta": 50.0},
    {"alpha": 80.0, "beta": 4e3, "gamma": 90.0, "delta": 2e3},
]
CUSTOMERS = [(0, 0, 0), (0, 0, 39), (1, 3, 39), (2, 30, 39), (29, 37, 38), (200, 290, 300), (38, 38, 38), (3, 3, 300)]
each = pytest.mark.parametrize("parameters", GRID)


def columns(customers=CUSTOMERS):
    return tuple(np.array(column, dtype=float) for column in zip(*customers, strict=True))


def log_likelihood(parameters, x, t_x, n):
    x, t_x, n = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in (x, t_x, n)))
    return bg_bb.log_likelihood(parameters, PurchasePatterns.of(x, t_x, n, "day"), NUMPY_OPS)


def formula(which):
    return bg_bb.BG_BB.formulas[which]


def histories(n):
    """All histories of n opportunities: x, t_x, and how many orders of purchases each stands for."""
    rows = [(0, 0, 1.0)]
    rows += [(x, t_x, float(special.comb(t_x - 1, x - 1))) for t_x in range(1, n + 1) for x in range(1, t_x + 1)]
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


@pytest.fixture(scope="module")
def published():
    return tomllib.loads((GOLDEN / "donations.toml").read_text())["bg_bb"]


@pytest.fixture(scope="module")
def donors():
    path = clv.DATASETS["donations"].path
    frame = pd.read_csv(path).rename(columns={"periods": "T", "weights": "n_customers"})
    return clv.CustomerSummary.from_frame(frame.assign(customer_id=frame.index.astype(str)), unit="year")


@pytest.fixture(scope="module")
def by_day(cdnow_log):
    return clv.customer_summary(cdnow_log, clv.Window("1997-09-30", "1998-06-30", unit="day"))


# The paper


def test_maximum_likelihood_and_the_expected_donations_are_the_published_ones(donors, published):
    fit = clv.fit("bg_bb", donors, method="mle")
    assert fit.n_customers == published["donors"]
    assert fit.point == pytest.approx(published["parameters"], abs=1e-3)
    assert fit.log_likelihood == pytest.approx(published["log_likelihood"], abs=5e-3)
    assert fit.passed
    expected = clv.predict(fit, donors, quantity="expected_purchases", horizon=published["horizon"])
    assert expected.total_draws[0] == pytest.approx(published["expected_purchases"], abs=1)
    posterior = clv.fit("bg_bb", donors, draws=500, seed=1)
    assert posterior.passed
    assert posterior.summary()["mean"].to_numpy() == pytest.approx(list(fit.point.values()), rel=0.05)


@each
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_likelihood_and_p_alive_equal_the_papers_sum_in_high_precision(parameters, customer):
    """P(alive) is that of eq. 11: alive at n + 1."""
    mpmath.mp.dps = 40
    a, b, c, d = (mpmath.mpf(value) for value in parameters.values())
    x, t_x, n = customer

    def term(m, out):
        return mpmath.beta(a + x, b + m - x) / mpmath.beta(a, b) * mpmath.beta(c + out, d + m) / mpmath.beta(c, d)

    exact = term(n, 0) + sum(term(m, 1) for m in range(t_x, n))
    assert log_likelihood(parameters, *customer)[0] == pytest.approx(float(mpmath.log(exact)), abs=1e-10)
    alive = term(n, 0) * (d + n) / (c + d + n) / exact
    who = [np.float64(v) for v in customer]
    assert formula("p_alive")(parameters, *who) == pytest.approx(float(alive), rel=1e-10)


@each
@pytest.mark.parametrize("t", [1, 5, 273])
def test_expectations_and_dert_equal_the_papers_closed_forms(parameters, t):
    """Expectations as sums, so that gamma = 1 is no case apart, and the 2F1 of DERT, discounted at period ends."""
    mpmath.mp.dps = 40
    a, b, c, d = (mpmath.mpf(value) for value in parameters.values())
    x, t_x, n = 2, 30, 39
    alive = float(formula("p_alive")(parameters, *(np.float64(v) for v in (x, t_x, n))))
    chance = (a + x) / (a + b + n) / mpmath.beta(c, d + n + 1)
    who = [np.float64(v) for v in (x, t_x, n)]
    exact = chance * sum(mpmath.beta(c, d + n + j) for j in range(1, t + 1))
    ours = formula("expected_purchases")(parameters, *who, float(t))
    assert ours == pytest.approx(alive * float(exact), rel=1e-9)
    after = formula("p_alive_after")(parameters, *who, float(t))
    assert after == pytest.approx(alive * float(mpmath.beta(c, d + n + 1 + t) / mpmath.beta(c, d + n + 1)), rel=1e-9)
    for discount in (1e-4, 0.002, 0.3):
        z = mpmath.exp(-mpmath.mpf(discount))
        exact = chance * mpmath.beta(c, d + n + 1) * z * mpmath.hyp2f1(1, d + n + 1, c + d + n + 1, z)
        assert formula("dert")(parameters, *who, discount) == pytest.approx(alive * float(exact), rel=1e-8)
    for discount in (-0.01, 0.0, 0.01):
        exact = chance * sum(mpmath.exp(-discount * j) * mpmath.beta(c, d + n + j) for j in range(1, t + 1))
        ours = formula("discounted_if_alive")(parameters, who[0], who[2], float(t), discount)
        assert ours == pytest.approx(float(exact), rel=1e-9)


def test_dert_without_discount_is_finite_where_gamma_is_above_one():
    who = [np.float64(v) for v in (2, 30, 39)]
    assert formula("dert")(PAPER, *who, 0.0) == np.inf
    assert formula("dert")(PAPER, *who, -0.001) == np.inf
    ends = {**PAPER, "gamma": 3.0}
    assert formula("dert")(ends, *who, 0.0) == pytest.approx(float(formula("dert")(ends, *who, 1e-9)), rel=1e-6)


# What the contract asks, in opportunities


@each
@pytest.mark.parametrize("n", [1, 4, 12])
def test_the_likelihood_of_all_histories_sums_to_one_and_averages_what_is_expected(parameters, n):
    x, t_x, orders = histories(n)
    age = np.full(len(x), float(n))
    chance = orders * np.exp(log_likelihood(parameters, x, t_x, age))
    assert chance.sum() == pytest.approx(1, abs=1e-11)
    new, t = formula("expected_purchases_new"), 9.0
    later = chance @ formula("expected_purchases")(parameters, x, t_x, age, t)
    assert later == pytest.approx(float(new(parameters, np.float64(n + t)) - new(parameters, np.float64(n))), rel=1e-9)
    silent = chance @ formula("conditional_purchase_pmf")(parameters, x, t_x, age, np.zeros(len(x)), t)
    ratio = log_likelihood(parameters, x, t_x, age + t) - log_likelihood(parameters, x, t_x, age)
    assert silent == pytest.approx(chance @ np.exp(ratio), rel=1e-10)
    counts = np.bincount(x.astype(int), weights=chance)
    assert formula("purchase_pmf")(parameters, np.arange(n + 1), float(n)) == pytest.approx(counts, abs=1e-11)


@each
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_purchase_probabilities_given_the_past_have_the_conditional_mean(parameters, customer):
    who, k = [np.float64(v) for v in customer], np.arange(30)
    pmf = formula("conditional_purchase_pmf")(parameters, *who, k, 26.0)
    assert np.all(pmf >= 0)
    assert pmf[27:].sum() == 0
    assert pmf.sum() == pytest.approx(1, abs=1e-9)
    assert k @ pmf == pytest.approx(float(formula("expected_purchases")(parameters, *who, 26.0)), rel=1e-8)


@each
def test_p_alive_is_a_probability_that_falls_with_silence_and_rows_do_not_depend_on_each_other(parameters):
    n = np.arange(40.0, 340.0, 6.0)
    for x in (1.0, 3.0, 40.0):
        alive = formula("p_alive")(parameters, np.full(50, x), np.full(50, 40.0), n)
        assert np.all((alive >= 0) & (alive <= 1))
        assert np.all(np.diff(alive) <= 0)
        alone = [formula("p_alive")(parameters, np.array([x]), np.array([40.0]), np.array([age]))[0] for age in n]
        assert np.array_equal(alive, alone)


@each
def test_draws_and_rows_broadcast(parameters):
    draws = {letter: value * np.array([[1.0], [1.3]]) for letter, value in parameters.items()}
    by_row = {letter: value * np.ones((1, len(CUSTOMERS))) for letter, value in draws.items()}
    calls = [("p_alive", ()), ("expected_purchases", (39.0,)), ("conditional_purchase_pmf", (2, 39.0))]
    calls += [("dert", (0.01,)), ("dert", (0.0,))]
    for which, after in calls:
        table = formula(which)(draws, *columns(), *after)
        assert table.shape == (2, len(CUSTOMERS))
        assert np.array_equal(table, formula(which)(by_row, *columns(), *after))
        one = {letter: value * 1.3 for letter, value in parameters.items()}
        alone = [float(formula(which)(one, *map(np.float64, c), *after)) for c in CUSTOMERS]
        assert table[1] == pytest.approx(alone, rel=1e-11)
    assert log_likelihood(draws, *columns()).shape == (2, len(CUSTOMERS))


@each
def test_parameters_may_differ_over_rows(parameters):
    cell = np.repeat([0, 1], len(CUSTOMERS))
    twice = columns(CUSTOMERS * 2)
    for letters in [list(parameters), *([letter] for letter in parameters)]:
        other = {**parameters, **{letter: 2 * parameters[letter] for letter in letters}}
        varying = {letter: Varying(np.array([parameters[letter], other[letter]]), cell) for letter in letters}
        apart = np.concatenate([log_likelihood(p, *columns()) for p in (parameters, other)])
        assert log_likelihood({**parameters, **varying}, *twice) == pytest.approx(apart, rel=1e-12)


@each
def test_formulas_are_finite_where_it_is_hard(parameters):
    hard = [
        (10_000, 10_000, 10_000),
        (10_000, 11_000, 15_000),
        (1, 1, 15_000),
        (0, 0, 15_000),
        (1, 15_000, 15_000),
        (0, 0, 0),
    ]
    x, t_x, n = columns(hard)
    assert np.all(np.isfinite(log_likelihood(parameters, x, t_x, n)))
    calls = [
        ("p_alive", ()),
        ("expected_purchases", (520.0,)),
        ("conditional_purchase_pmf", (3, 52.0)),
        ("dert", (0.002,)),
    ]
    for which, after in calls:
        values = formula(which)(parameters, x, t_x, n, *after)
        assert np.all(np.isfinite(values) & (values >= 0))
    assert np.all(formula("expected_purchases")(parameters, x, t_x, n, 0.0) == 0)


def test_ten_thousand_purchases_are_as_in_high_precision():
    """Terms fall by e^-700 and more between purchase 10,000 and silence: nothing may underflow."""
    mpmath.mp.dps = 40
    a, b, c, d = (mpmath.mpf(value) for value in DAYS.values())
    x, t_x, n = 10_000, 10_050, 12_000

    def log_beta(p, q):
        return mpmath.loggamma(p) + mpmath.loggamma(q) - mpmath.loggamma(p + q)

    def term(m, out):
        return mpmath.exp(log_beta(a + x, b + m - x) - log_beta(a, b) + log_beta(c + out, d + m) - log_beta(c, d))

    # from t_x to n, and with a customer beside who has bought late: both are read off one line
    exact = term(n, 0) + sum(term(m, 1) for m in range(t_x, t_x + 300))
    ours = log_likelihood(DAYS, [x, x], [t_x, 11_900], [n, n])
    assert ours[0] == pytest.approx(float(mpmath.log(exact)), abs=1e-7)
    exact = term(n, 0) + sum(term(m, 1) for m in range(11_900, n))
    assert ours[1] == pytest.approx(float(mpmath.log(exact)), abs=1e-7)


@pytest.mark.parametrize(
    "parameters", [PAPER, {**DAYS, "beta": 7.0}, {"alpha": 5.0, "beta": 5.0, "gamma": 1.0, "delta": 50.0}]
)
def test_expected_clv_is_what_is_drawn_and_discounted_at_whole_times(parameters):
    customers = customers_of([(0, 0, 30, 1.0), (2, 25, 30, 20.0), (12, 18, 30, 30.0)])
    fit = clv.fit_at("bg_bb", parameters, unit="week")
    spend = clv.fit_at("gamma_gamma", {"p": 6.0, "q": 8.0, "v": 20.0})
    arguments = {"horizon": 26, "discount_per_unit": 0.03}
    drawn = clv.sample_clv(fit, spend, customers, **arguments, seed=2, draws=40_000)
    expected = clv.expected_clv(fit, spend, customers, **arguments)
    assert np.all(np.abs(drawn.mean - expected.mean) <= 4 * drawn.sd / np.sqrt(40_000))


@each
def test_the_kernels_short_cut_to_p_alive_is_p_alive(parameters):
    from clvmodels.models.kernels.bg_bb import is_alive

    for customer in CUSTOMERS:
        who = [np.float64(v) for v in customer]
        stayed = (parameters["gamma"] + parameters["delta"] + who[2]) / (parameters["delta"] + who[2])
        p = float(formula("p_alive")(parameters, *who)) * stayed  # at n, not n + 1
        assert is_alive(p * (1 - 1e-9), *parameters.values(), *who)
        assert p >= 1 - 1e-9 or not is_alive(p * (1 + 1e-9), *parameters.values(), *who)


# Opportunities and their clock


def test_daily_opportunities_of_cdnow_are_fitted_and_compare_with_densities_per_day(by_day):
    """At most one purchase a day is what the log holds: the chance counts it, the densities do not."""
    fits = {name: clv.fit(name, by_day, draws=300, seed=1) for name in ("bg_bb", "bg_nbd")}
    assert all(fit.passed for fit in fits.values())
    assert abs(fits["bg_bb"].log_likelihood - fits["bg_nbd"].log_likelihood) < 60
    table = clv.compare_models(fits, by_day)
    assert np.isfinite(table["elpd"]).all()
    held = clv.predict(fits["bg_bb"], by_day, quantity="expected_purchases", horizon=273, draws=50).total_draws.mean()
    assert 1400 < held < 1900  # 1,882 days with a purchase were to come


def test_a_chance_is_not_compared_with_a_density_of_another_unit(by_day, cdnow, bg_nbd_fit):
    fits = {"bg_bb": clv.fit("bg_bb", by_day, draws=200, seed=1), "bg_nbd": bg_nbd_fit}
    with pytest.raises(clv.FitError, match="bg_bb by opportunity, a day, bg_nbd by density per week"):
        clv.compare_models(fits, by_day)


def test_times_between_opportunities_are_refused(cdnow, by_day):
    fit = clv.fit_at("bg_bb", DAYS, unit="week")
    for call in (
        lambda: clv.fit("bg_bb", cdnow, method="mle"),
        lambda: clv.log_likelihood(fit, cdnow),
        lambda: clv.predict(fit, cdnow, quantity="p_alive"),
        lambda: clv.prior_predictive("bg_bb", cdnow, draws=2, seed=1),
    ):
        with pytest.raises(
            clv.DataError, match=r"bg_bb counts opportunities, one a week: T is not whole .*opportunity_"
        ):
            call()
    often = dataclasses.replace(by_day, frequency=by_day.frequency + 300 * (by_day.frequency > 0))
    with pytest.raises(clv.DataError, match="frequency is above recency for 946 customers"):
        clv.fit("bg_bb", often, method="mle")
    fit = clv.fit_at("bg_bb", DAYS, unit="day")
    for quantity, seed in (("expected_purchases", None), ("purchases", 1)):
        with pytest.raises(clv.DataError, match=r"horizon = 2\.5: bg_bb counts opportunities"):
            clv.predict(fit, by_day, quantity=quantity, horizon=2.5, seed=seed)
    with pytest.raises(clv.DataError, match=r"a time = 20\.5: bg_bb counts"):
        clv.simulate("bg_bb", DAYS, T=20.5, size=3, seed=1, horizon=4)
    assert clv.predict(clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="day"), by_day, quantity="p_alive").mean.max() == 1


def test_simulated_customers_give_their_parameters_back():
    """z scores of 20 fits: mean square near 1, none beyond 4."""
    truth, z = {"alpha": 1.0, "beta": 8.0, "gamma": 0.8, "delta": 12.0}, []
    for seed in range(20):
        customers, _ = clv.simulate("bg_bb", truth, T=30, size=3000, seed=seed)
        fit = clv.fit("bg_bb", customers, method="mle")
        errors = np.log([fit.point[name] / truth[name] for name in truth])
        z.append(errors / (np.sqrt(np.diag(fit.covariance)) / list(fit.point.values())))
    assert np.abs(z).max() < 4.5
    assert np.mean(np.square(z)) == pytest.approx(1, abs=4 * np.sqrt(2 / np.size(z)))
