"""The joint model of purchases and spend against its two parts, Monte Carlo, and data of its own story."""

import dataclasses
from functools import cache

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.foundation.events import purchase_columns, spend_columns
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.inference.likelihood import log_likelihood
from clvmodels.models import JOINT, MODELS, joint_spend

TRUTH = {
    "lam": 0.1, "mu": 0.02, "sigma_lam": 0.9, "sigma_mu": 1.2, "rho": 0.2,
    "m": 30.0, "sigma": 0.5, "tau": 0.7, "rho_lam": 0.6, "rho_mu": -0.3,
}  # fmt: skip
APART = TRUTH | {"rho_lam": 0.0, "rho_mu": 0.0}
RATE = 0.002  # a week
MOST_ERRORS = 4.0


def told(size, *, seed, parameters=TRUTH, age=52.0, ahead=52.0):
    """A summary of customers of the story, and what each spends in the time ahead, shape (size,)."""
    rng = np.random.default_rng(seed)
    buyer, time, amount, first = joint_spend.simulate_both(rng, parameters, np.full(size, age + ahead))
    seen = time <= age
    customers = clv.CustomerSummary(
        customer_id=np.array([f"c{i}" for i in range(size)], dtype=object),
        T=np.full(size, age),
        **purchase_columns(buyer[seen], time[seen], size),
        **spend_columns(buyer[seen], amount[seen], size),
        first_amount=first,
        current_value=np.full(size, np.nan),
        unit="week",
        currency="USD",
    )
    worth = amount * np.exp(-RATE * (time - age))
    return customers, np.bincount(buyer[~seen], weights=worth[~seen], minlength=size)


def pair_at(parameters):
    """Abe's model and lognormal spend at the joint model's parameters, apart."""
    return tuple(
        clv.fit_at(name, {letter: parameters[letter] for letter in MODELS[name].parameter_names})
        for name in ("pareto_nbd_abe", "lognormal_spend")
    )


@cache
def prior_sample(size=2_000_000):
    """log lambda, log mu, log m_i of customers of the story, shape (3, size)."""
    rng = np.random.default_rng(7)
    sds = np.array([TRUTH["sigma_lam"], TRUTH["sigma_mu"], TRUTH["tau"]])
    with_mu = joint_spend.correlation_with_mu(TRUTH["rho"], TRUTH["rho_lam"], TRUTH["rho_mu"])
    correlations = np.array(
        [[1, TRUTH["rho"], TRUTH["rho_lam"]], [TRUTH["rho"], 1, with_mu], [TRUTH["rho_lam"], with_mu, 1]]
    )
    means = np.log([TRUTH["lam"], TRUTH["mu"], TRUTH["m"]])
    return rng.multivariate_normal(means, correlations * np.outer(sds, sds), size).T


def density_given(u, v, w, x, t_x, T, n, L, s):
    """Density of purchases and amounts of a customer whose rates and median are known."""
    lam, mu = np.exp(u), np.exp(v)
    purchases = lam**x * (mu * np.exp(-(lam + mu) * t_x) + lam * np.exp(-(lam + mu) * T)) / (lam + mu)
    spread = TRUTH["sigma"]
    squares = n * (s**2 + (L - w) ** 2)
    return purchases * np.exp(-squares / (2 * spread**2) - n * L) / (2 * np.pi * spread**2) ** (n / 2)


def customer(x, t_x, T, n, L, s, first=np.nan):
    """A summary of one customer."""
    one = {
        "frequency": x, "recency": t_x, "T": T, "monetary_value": np.exp(L + s**2) * n / x if n else np.nan,
        "paid_purchases": n, "log_amount": L if n else np.nan, "log_amount_sd": s if n else np.nan,
        "first_amount": first, "current_value": np.nan,
    }  # fmt: skip
    columns = {name: np.array([value], dtype=float) for name, value in one.items()}
    return clv.CustomerSummary(customer_id=np.array(["c0"], dtype=object), **columns, unit="week", currency="USD")


HISTORIES = [
    (0, 0.0, 30.0, 0, 0.0, 0.0),
    (1, 5.0, 30.0, 1, 4.5, 0.0),
    (3, 25.0, 30.0, 3, 2.8, 0.4),
    (4, 8.0, 30.0, 2, 3.9, 0.2),  # two of them free
]
each_history = pytest.mark.parametrize("history", HISTORIES)


def test_without_correlations_the_likelihood_is_the_product_of_the_two_models():
    customers, _ = told(300, seed=1)
    joint = log_likelihood(clv.fit_joint_at(APART)[0], customers)
    of_purchases, of_amounts = (log_likelihood(fit, customers) for fit in pair_at(APART))
    np.testing.assert_allclose(joint, of_purchases + np.nan_to_num(of_amounts), atol=1e-8, rtol=0)


@each_history
def test_the_likelihood_is_the_mean_density_over_customers_of_the_story(history):
    density = density_given(*prior_sample(), *history)
    error = density.std() / np.sqrt(density.size) / density.mean()
    log_l = log_likelihood(clv.fit_joint_at(TRUTH)[0], customer(*history))[0]
    assert abs(np.exp(log_l) / density.mean() - 1) < MOST_ERRORS * error
    assert error < 0.01


def test_the_score_is_zero_on_average_at_the_parameters_of_the_story():
    """The likelihood's slope by each parameter, over customers of the story: no parameter is pulled away."""
    customers, _ = told(10_000, seed=77)
    for name, value in TRUTH.items():
        step = 1e-4 * value
        ahead, behind = (
            log_likelihood(clv.fit_joint_at(TRUTH | {name: value + way * step})[0], customers) for way in (1, -1)
        )
        slope = (ahead - behind) / (2 * step)
        assert abs(slope.mean()) < MOST_ERRORS * slope.std() / np.sqrt(len(slope)), name


@each_history
def test_forecasts_are_means_over_customers_of_the_story_weighed_with_their_density(history):
    """P(alive), expected spend and CLV against importance weights on draws of the story."""
    u, v, w = prior_sample()
    _, t_x, T, *_ = history
    weight = density_given(u, v, w, *history)
    lam, mu = np.exp(u), np.exp(v)
    alive = 1 / (1 + mu / (lam + mu) * np.expm1((lam + mu) * (T - t_x)))
    spend = np.exp(w + TRUTH["sigma"] ** 2 / 2)
    purchases = alive * lam * -np.expm1(-(mu + RATE) * 40.0) / (mu + RATE)
    fit, basket = clv.fit_joint_at(TRUTH)
    one = customer(*history)
    expected = {
        "p_alive": (alive, clv.predict(fit, one, quantity="p_alive")),
        "expected_spend": (spend, clv.predict(basket, one, quantity="expected_spend")),
        "clv": (purchases * spend, clv.expected_clv(fit, basket, one, horizon=40.0, discount_per_unit=RATE)),
    }
    for name, (values, forecast) in expected.items():
        mean = (weight * values).mean() / weight.mean()
        error = np.sqrt(np.mean((weight * (values - mean)) ** 2) / values.size) / weight.mean()
        assert abs(forecast.mean[0] - mean) < MOST_ERRORS * error, name
        assert error < 0.02 * mean


def test_drawn_values_have_the_expected_mean():
    customers, _ = told(200, seed=3)
    halves = clv.fit_joint_at(TRUTH)
    drawn = clv.sample_clv(*halves, customers, horizon=52.0, seed=5, discount_per_unit=RATE, draws=2000)
    expected = clv.expected_clv(*halves, customers, horizon=52.0, discount_per_unit=RATE)
    bought = customers.frequency > 0
    for some in (bought, ~bought):
        error = np.sqrt(np.sum(drawn.sd[some] ** 2 / 2000))
        assert abs(drawn.mean[some].sum() - expected.mean[some].sum()) < MOST_ERRORS * error
        assert error < 0.02 * expected.mean[some].sum()


def test_a_first_basket_counts_as_one_known_amount_of_a_customer_without_repeats():
    halves = clv.fit_joint_at(TRUTH)
    values = [
        clv.expected_clv(*halves, customer(0, 0.0, 30.0, 0, 0.0, 0.0, first=first), horizon=40.0, discount_per_unit=0.0)
        for first in (5.0, 30.0, 200.0)
    ]
    assert np.all(np.diff([value.mean[0] for value in values]) > 0)


def test_without_correlations_forecasts_of_value_are_those_of_the_two_models():
    customers, _ = told(50, seed=4)
    arguments = {"horizon": 52.0, "discount_per_unit": RATE}
    joint = clv.expected_clv(*clv.fit_joint_at(APART), customers, **arguments)
    apart = clv.expected_clv(*pair_at(APART), customers, **arguments)
    np.testing.assert_allclose(joint.mean, apart.mean, rtol=1e-6)


def test_cash_flows_add_up_to_the_value():
    customers, _ = told(30, seed=6)
    halves = clv.fit_joint_at(TRUTH)
    arguments = {"horizon": 52.0, "discount_per_unit": RATE, "margin": 0.3}
    flows = clv.cash_flows(*halves, customers, seed=2, periods="month", draws=200, **arguments)
    drawn = clv.sample_clv(*halves, customers, seed=2, draws=200, **arguments)
    expected = clv.expected_clv(*halves, customers, **arguments)
    np.testing.assert_allclose(flows.totals["discounted_margin"].sum(axis=1), drawn.total_draws, rtol=1e-9)
    np.testing.assert_allclose(flows.expected_means["discounted_margin"].sum(axis=1), expected.mean, rtol=1e-4)
    purchases = clv.predict(halves[0], customers, quantity="expected_purchases", horizon=52.0)
    np.testing.assert_allclose(flows.expected_means["purchases"].sum(axis=1), purchases.mean, rtol=1e-6)


def test_a_newcomer_is_worth_what_the_story_tells():
    halves = clv.fit_joint_at(TRUTH)
    new = clv.new_customer(halves[0], spend=halves[1], horizon=52.0, discount_per_unit=RATE)
    rng = np.random.default_rng(8)
    size = 200_000
    buyer, time, amount, first = joint_spend.simulate_both(rng, TRUTH, np.full(size, 52.0))
    worth = np.bincount(buyer, weights=amount * np.exp(-RATE * time), minlength=size)
    for name, values in (("first_purchase", first), ("later_purchases", worth)):
        error = values.std() / np.sqrt(size)
        assert abs(new.draws[name].mean() - values.mean()) < MOST_ERRORS * error
    apart = pair_at(TRUTH)
    independent = clv.new_customer(apart[0], spend=apart[1], horizon=52.0, discount_per_unit=RATE)
    error = worth.std() / np.sqrt(size)
    assert worth.mean() - independent.draws["later_purchases"].mean() > 10 * error  # a product of means falls short


@pytest.mark.parametrize("n", [0, 1, 7, 10_000])
@pytest.mark.parametrize(("rho", "rho_lam", "rho_mu"), [(0.9, 0.9, -0.9), (-0.9, 0.9, 0.9), (0.0, -0.95, 0.95)])
def test_rates_given_amounts_keep_a_correlation(n, rho, rho_lam, rho_mu):
    """Any three parameters are a correlation matrix, and so are the rates that are left of it given amounts."""
    own = joint_spend.given_amounts(
        TRUTH | {"rho": rho, "rho_lam": rho_lam, "rho_mu": rho_mu}, np.array([float(n)]), 3.0, NUMPY_OPS
    )
    assert abs(own["rho"][0]) < 1
    assert 0 < own["sigma_lam"][0] <= TRUTH["sigma_lam"]
    assert 0 < own["sigma_mu"][0] <= TRUTH["sigma_mu"]
    with_mu = joint_spend.correlation_with_mu(rho, rho_lam, rho_mu)
    assert np.linalg.eigvalsh([[1, rho, rho_lam], [rho, 1, with_mu], [rho_lam, with_mu, 1]])[0] > 0


def test_a_joint_fit_is_saved_and_loaded(tmp_path):
    customers, _ = told(20, seed=9)
    halves = clv.fit_joint_at(TRUTH)
    for fit, name in zip(halves, ("purchases", "spend"), strict=True):
        fit.save(tmp_path / name)
    again = tuple(clv.load_fit(tmp_path / name) for name in ("purchases", "spend"))
    assert [fit.model.name for fit in again] == list(JOINT)
    arguments = {"horizon": 20.0, "seed": 1, "discount_per_unit": RATE, "draws": 50}
    first, second = (clv.sample_clv(*fits, customers, **arguments) for fits in (halves, again))
    np.testing.assert_array_equal(first.total_draws, second.total_draws)


def test_half_of_the_joint_model_is_refused_beside_another_fit():
    customers, _ = told(20, seed=9)
    halves, others = clv.fit_joint_at(TRUTH), clv.fit_joint_at(TRUTH | {"rho_lam": 0.1})
    apart = pair_at(TRUTH)
    arguments = {"horizon": 20.0, "discount_per_unit": RATE}
    for fits in ((halves[0], apart[1]), (apart[0], halves[1])):
        with pytest.raises(clv.FitError, match="do not go together"):
            clv.sample_clv(*fits, customers, seed=1, **arguments)
        with pytest.raises(clv.FitError, match="do not go together"):
            clv.expected_clv(*fits, customers, **arguments)
    with pytest.raises(clv.FitError, match="are of different fits"):
        clv.sample_clv(halves[0], others[1], customers, seed=1, **arguments)


def test_the_next_amount_alone_is_refused():
    customers, _ = told(20, seed=9)
    with pytest.raises(clv.FitError, match="no quantity"):
        clv.predict(clv.fit_joint_at(TRUTH)[1], customers, quantity="spend", seed=1)


def test_half_of_the_joint_model_is_not_fitted_alone():
    customers, _ = told(20, seed=9)
    with pytest.raises(clv.FitError, match="fit_joint"):
        clv.fit("joint_spend", customers, seed=1)


def test_customers_without_single_amounts_are_refused():
    customers, _ = told(50, seed=9)
    bare = dataclasses.replace(customers, paid_purchases=None, log_amount=None, log_amount_sd=None)
    with pytest.raises(clv.DataError, match="paid_purchases"):
        clv.fit_joint(bare, seed=1)


def test_a_parameter_that_cannot_be_is_refused():
    with pytest.raises(clv.FitError, match="rho_mu = 1"):
        clv.fit_joint_at(TRUTH | {"rho_mu": 1.0})
    with pytest.raises(clv.FitError, match="seed"):
        clv.fit_joint(told(20, seed=9)[0])


@pytest.mark.slow
def test_young_customers_are_worth_what_the_joint_model_says_and_not_the_pair():
    """Two years of 12,000 customers known for 13 weeks, all of them and the top tenth, at the story's parameters."""
    customers, later = told(12_000, seed=22, age=13.0, ahead=104.0)
    misses = {}
    for name, fits in (("joint", clv.fit_joint_at(TRUTH)), ("pair", pair_at(TRUTH))):
        expected = clv.expected_clv(*fits, customers, horizon=104.0, discount_per_unit=RATE).mean
        best = np.argsort(-expected)[:1200]
        missing = [(later - expected), (later - expected)[best]]
        misses[name] = [part.sum() / (part.std() * np.sqrt(len(part))) for part in missing]
    assert np.abs(misses["joint"]).max() < MOST_ERRORS
    assert min(misses["pair"]) > MOST_ERRORS


@pytest.mark.slow
def test_a_joint_fit_recovers_how_spend_goes_with_the_rates_and_what_customers_are_worth():
    customers, later = told(800, seed=11)
    fit, spend = clv.fit_joint(customers, seed=1, draws=400)
    assert fit.passed
    for name, value in TRUTH.items():
        drawn = fit.draws[name].values
        assert abs(drawn.mean() - value) < 3.5 * drawn.std(), name  # of ten
    for name in ("rho_lam", "rho_mu"):
        drawn = fit.draws[name].values
        assert abs(drawn.mean() - TRUTH[name]) < 3 * drawn.std()
    assert np.quantile(fit.draws["rho_lam"], 0.001) > 0
    forecast = clv.sample_clv(fit, spend, customers, horizon=52.0, seed=3, discount_per_unit=RATE)
    best = np.argsort(-forecast.mean)[:80]
    of_best = np.concatenate([block.values[best].sum(axis=0) for block in forecast.replay("draws")])
    for actual, drawn in ((later.sum(), forecast.total_draws), (later[best].sum(), of_best)):
        low, high = np.quantile(drawn, [0.005, 0.995])
        assert low < actual < high
