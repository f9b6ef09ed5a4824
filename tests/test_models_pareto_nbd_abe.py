"""Abe's Pareto/NBD against dense quadrature, its limits, its story and CDNOW.

What every model of purchases must satisfy is in test_models_purchases.py; the claims that need other cases are here.
"""

import dataclasses

import numpy as np
import pytest
from scipy import special, stats

import clvmodels as clv
from clvmodels.foundation.events import purchase_columns
from clvmodels.foundation.model import DataScale
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns, Varying
from clvmodels.models import MODELS
from clvmodels.models import pareto_nbd_abe as abe
from clvmodels.models.lognormal_rates import FAST, FINE, LIFETIME, ONE, TIME_ALIVE, LogNormalRates, log_integral
from tests.graphs import as_written
from tests.test_models_purchases import CUSTOMERS, columns, histories

MODEL = MODELS["pareto_nbd_abe"]
WEEKLY = {"lam": 0.03, "mu": 0.027, "sigma_lam": 1.15, "sigma_mu": 1.96, "rho": 0.13}
NARROW = {"lam": 0.4, "mu": 0.1, "sigma_lam": 0.5, "sigma_mu": 0.7, "rho": -0.6}
CASES = [WEEKLY, NARROW, {"lam": 0.1, "mu": 0.05, "sigma_lam": 0.8, "sigma_mu": 1.2, "rho": 0.8}]
each_case = pytest.mark.parametrize("parameters", CASES)
FORMULAS = (
    ("p_alive", ()),
    ("expected_purchases", (39.0,)),
    ("conditional_purchase_pmf", (2, 39.0)),
    ("dert", (0.01,)),
)


def log_likelihood(parameters, x, t_x, T):
    patterns = PurchasePatterns.of(*(np.atleast_1d(np.asarray(v, float)) for v in (x, t_x, T)), "week")
    return abe.log_likelihood(parameters, patterns, NUMPY_OPS)


def dense(log_f, u, v, sigma_lam, sigma_mu):
    """log of the integral of exp(log_f) over a box where it is not spent, found by zooming in, on 500 x 500 points."""
    low, high = np.array([u - 40 * sigma_lam, v - 40 * sigma_mu]), np.array([u + 40 * sigma_lam, v + 40 * sigma_mu])
    for points in (*12 * [101], 500):
        us, vs = (np.linspace(low[i], high[i], points) for i in (0, 1))
        with np.errstate(over="ignore"):
            values = log_f(us[:, None], vs)
        kept = values > values.max() - 42
        ends = [np.flatnonzero(kept.any(axis=1 - i))[[0, -1]] + (-1, 1) for i in (0, 1)]
        box = [axis[np.clip(end, 0, points - 1)] for axis, end in zip((us, vs), ends, strict=True)]
        low, high = np.transpose(box)
    top = values.max()
    return top + np.log(np.exp(values - top).sum() * (us[1] - us[0]) * (vs[1] - vs[0]))


def dense_mean(parameters, x, time, log_factor):
    """log E[lambda^x exp(-(lambda + mu) t) factor], the factor log-concave, by `dense`."""
    lam, mu, sigma_lam, sigma_mu, rho = (parameters[name] for name in abe.NAMES)
    free = 1 - rho**2

    def log_f(u, v):
        p, q = (u - np.log(lam)) / sigma_lam, (v - np.log(mu)) / sigma_mu
        density = -(p * p - 2 * rho * p * q + q * q) / (2 * free)
        return x * u - time * (np.exp(u) + np.exp(v)) + log_factor(u, v) + density

    guess = np.log((x + 0.5) / max(time, 1e-3)) if x else np.log(lam)
    total = dense(log_f, guess, np.log(mu), sigma_lam, sigma_mu)
    return total - np.log(2 * np.pi * sigma_lam * sigma_mu * np.sqrt(free))


def dense_log_likelihood(parameters, x, t_x, T):
    left = dense_mean(parameters, x, t_x, lambda u, v: -np.logaddexp(0, u - v))
    return np.logaddexp(left, dense_mean(parameters, x, T, lambda u, v: -np.logaddexp(0, v - u)))


def stress(size, seed):
    """Standard deviations of .1 to 3, correlations of -.9 to .9, 0 to 200 purchases, ages of .01 to 1,000."""
    rng = np.random.default_rng(seed)
    for _ in range(size):
        sigmas = np.exp(rng.uniform(np.log(0.1), np.log(3), 2))
        x, T = float(rng.choice([0, 1, 2, 10, 50, 200])), 10 ** rng.uniform(-2, 3)
        values = (10 ** rng.uniform(-2, 1), 10 ** rng.uniform(-3, 0), *sigmas, rng.uniform(-0.9, 0.9))
        yield dict(zip(abe.NAMES, map(float, values), strict=True)), x, T * rng.random() if x else 0.0, T


def test_the_likelihood_equals_dense_quadrature_over_the_stress_grid():
    errors = []
    for parameters, *customer in stress(25, seed=5):
        errors.append(abs(log_likelihood(parameters, *customer)[0] - dense_log_likelihood(parameters, *customer)))
    assert np.max(errors) < 1e-7
    assert np.median(errors) < 1e-8


def test_ten_thousand_purchases_are_integrated_as_well_as_none():
    """At a known drop-out rate the customer's rate is learnt alone: a Poisson count in one dimension."""
    x, T, known = 10_000.0, 1e3, {"lam": 5.0, "mu": 1e-9, "sigma_lam": 1.0, "sigma_mu": 0.1, "rho": 0.0}
    u = np.linspace(np.log(10) - 0.15, np.log(10) + 0.15, 20_001)
    log_f = x * u - T * np.exp(u) + stats.norm.logpdf(u, np.log(5.0), 1.0)
    exact = log_f.max() + np.log(np.exp(log_f - log_f.max()).sum() * (u[1] - u[0]))
    assert log_likelihood(known, x, T, T)[0] == pytest.approx(exact, abs=1e-5 * T * 1e-3)


@pytest.mark.parametrize(
    ("factor", "log_factor"),
    [
        (ONE, lambda _u, v: 0 * v),
        (LIFETIME, lambda _u, v: -np.log(np.exp(v) + 39.0)),
        (TIME_ALIVE, lambda _u, v: np.log(-np.expm1(-np.exp(np.maximum(v, -60.0)) * 39)) - np.maximum(v, -60.0)),
    ],
)
def test_every_factor_is_integrated(factor, log_factor):
    """The two that depend on a further number at 39: a discount rate, a horizon."""
    for parameters, x, _, T in stress(5, seed=9):
        exact = dense_mean(parameters, x, T, log_factor) - (np.log(39.0) if factor is TIME_ALIVE else 0.0)
        rates = LogNormalRates(*map(np.float64, parameters.values()))
        for rule, error in ((FAST, 1e-7), (FINE, 2e-8)):
            known = (np.float64(x), np.float64(T), np.float64(T))
            ours = log_integral(rates, *known, factor, NUMPY_OPS, w=39.0, rule=rule)
            assert float(ours) == pytest.approx(exact, abs=error)


def test_known_rates_are_those_of_one_poisson_process_with_an_exponential_lifetime():
    """No correlation and small standard deviations."""
    lam, mu = 0.2, 0.05
    known = {"lam": lam, "mu": mu, "sigma_lam": 1e-4, "sigma_mu": 1e-4, "rho": 0.0}
    x, t_x, T = columns(CUSTOMERS[:4])
    both = lam + mu
    exact = lam**x / both * (mu * np.exp(-both * t_x) + lam * np.exp(-both * T))
    assert log_likelihood(known, x, t_x, T) == pytest.approx(np.log(exact), abs=1e-5)
    alive = 1 / (1 + mu / both * np.expm1(both * (T - t_x)))
    assert MODEL.formulas["p_alive"](known, x, t_x, T) == pytest.approx(alive, rel=1e-5)
    ahead = lam / mu * -np.expm1(-mu * 30)
    assert MODEL.formulas["expected_purchases"](known, x, t_x, T, 30.0) == pytest.approx(alive * ahead, rel=1e-5)
    assert MODEL.formulas["dert"](known, x, t_x, T, 0.01) == pytest.approx(alive * lam / (mu + 0.01), rel=1e-5)
    k = np.arange(60)
    ever = stats.poisson.pmf(k, lam * 30) * np.exp(-mu * 30)
    ever += mu / both * (lam / both) ** k * special.gammainc(k + 1, both * 30)
    assert MODEL.formulas["purchase_pmf"](known, k, 30.0) == pytest.approx(ever, abs=1e-6)


def test_the_likelihood_of_all_histories_sums_to_one():
    assert histories("pareto_nbd_abe", NARROW, 9.0)[2].sum() == pytest.approx(1, abs=1e-8)
    assert histories("pareto_nbd_abe", CASES[2], 0.5)[2].sum() == pytest.approx(1, abs=1e-8)


def test_expectations_given_the_past_average_to_those_without_it():
    T, t, formulas = 9.0, 20.0, MODEL.formulas
    x, t_x, chance = histories("pareto_nbd_abe", NARROW, T)
    age, new = np.full(len(x), T), formulas["expected_purchases_new"]
    ours = chance @ formulas["expected_purchases"](NARROW, x, t_x, age, t)
    assert ours == pytest.approx(float(new(NARROW, np.float64(T + t)) - new(NARROW, np.float64(T))), rel=1e-7)
    silent = chance @ formulas["conditional_purchase_pmf"](NARROW, x, t_x, age, np.zeros(len(x)), t)
    later = np.exp(log_likelihood(NARROW, x, t_x, age + t) - log_likelihood(NARROW, x, t_x, age))
    assert silent == pytest.approx(chance @ later, rel=1e-7)


@pytest.mark.parametrize("customer", [*CUSTOMERS[:5]])
def test_purchase_probabilities_sum_to_one_and_have_the_expected_mean(customer):
    who = [np.float64(value) for value in customer]
    k = np.arange(1200)
    pmf = MODEL.formulas["conditional_purchase_pmf"](NARROW, *who, k, 26.0)
    assert np.all(pmf >= 0)
    assert pmf.sum() == pytest.approx(1, abs=1e-8)
    assert k @ pmf == pytest.approx(float(MODEL.formulas["expected_purchases"](NARROW, *who, 26.0)), rel=1e-7)


def test_the_mean_of_a_new_customers_purchases_is_that_of_lognormal_rates():
    """At short horizons lambda t, with the moment of a lognormal number."""
    new = MODEL.formulas["expected_purchases_new"](WEEKLY, np.float64(1e-6))
    assert float(new) == pytest.approx(0.03 * np.exp(1.15**2 / 2) * 1e-6, rel=1e-6)
    for rho in (-0.5, 0.0, 0.5):  # E[lambda / mu] over all customers, without discount
        parameters = {**NARROW, "rho": rho}
        variance = 0.5**2 + 0.7**2 - 2 * rho * 0.5 * 0.7
        assert float(MODEL.formulas["dert"](parameters, *np.zeros(3), 0.0)) == pytest.approx(
            0.4 / 0.1 * np.exp(variance / 2), rel=1e-9
        )
    assert MODEL.formulas["dert"](NARROW, *np.zeros(3), -1e-3) == np.inf


@each_case
@pytest.mark.parametrize("k", [1 / 7, 365.25])
def test_the_unit_of_time_does_not_matter(parameters, k):
    scaled = {**parameters, "lam": parameters["lam"] / k, "mu": parameters["mu"] / k}
    x, t_x, T = columns()
    for which, after, also in (
        ("p_alive", (), ()),
        ("expected_purchases", (39.0,), (39.0 * k,)),
        ("dert", (0.01,), (0.01 / k,)),
    ):
        ours = MODEL.formulas[which](scaled, x, t_x * k, T * k, *also)
        assert ours == pytest.approx(MODEL.formulas[which](parameters, x, t_x, T, *after), rel=1e-9)
    shift = log_likelihood(scaled, x, t_x * k, T * k) - log_likelihood(parameters, x, t_x, T)
    assert shift == pytest.approx(-x * np.log(k), abs=1e-9)


@each_case
def test_draws_and_rows_broadcast(parameters):
    x, t_x, T = columns()
    draws = {name: value * np.array([[1.0], [1.1]]) for name, value in parameters.items()}
    by_row = {name: value * np.ones((1, len(x))) for name, value in draws.items()}
    for which, after in FORMULAS:
        table = MODEL.formulas[which](draws, x, t_x, T, *after)
        assert table.shape == (2, len(x))
        assert table == pytest.approx(MODEL.formulas[which](by_row, x, t_x, T, *after), rel=1e-14)
        one = {name: float(value[1, 0]) for name, value in draws.items()}
        alone = [float(MODEL.formulas[which](one, *map(np.float64, customer), *after)) for customer in CUSTOMERS]
        assert table[1] == pytest.approx(alone, rel=1e-12)


@each_case
def test_parameters_may_differ_over_rows(parameters):
    cell = np.repeat([0, 1], len(CUSTOMERS))
    other = {**parameters, "lam": 2 * parameters["lam"], "rho": 0.5 * parameters["rho"]}
    varying = {name: Varying(np.array([parameters[name], other[name]]), cell) for name in abe.NAMES}
    apart = np.concatenate([log_likelihood(p, *columns()) for p in (parameters, other)])
    assert log_likelihood(varying, *columns(CUSTOMERS * 2)) == pytest.approx(apart, rel=1e-12)
    some = {**other, "lam": varying["lam"]}
    apart = np.concatenate([log_likelihood({**other, "lam": lam}, *columns()) for lam in varying["lam"].values])
    assert log_likelihood(some, *columns(CUSTOMERS * 2)) == pytest.approx(apart, rel=1e-12)


def test_the_story_may_have_parameters_of_each_customers_own():
    size = 20_000
    own = {**NARROW, "lam": np.repeat([0.1, 1.0], size // 2)}
    buyer, _ = abe.simulate(np.random.default_rng(2), own, np.full(size, 20.0))
    counts = np.bincount(buyer, minlength=size)
    for half, lam in ((counts[: size // 2], 0.1), (counts[size // 2 :], 1.0)):
        expected = float(MODEL.formulas["expected_purchases_new"]({**NARROW, "lam": lam}, np.float64(20.0)))
        assert abs(half.mean() - expected) < 4 * half.std() / np.sqrt(len(half))


def test_the_kernel_is_exact_where_the_two_rates_hang_together():
    """Rates drawn given a history, by their means and product against the integrals, for hard histories and priors."""
    from clvmodels.foundation.streams import PURCHASES, open_stream, stream_memory
    from clvmodels.models.kernels import pareto_nbd_abe as kernel
    from clvmodels.models.kernels.changes import new_state

    size, streams, state = 4_000, stream_memory(), new_state()
    wide = {"lam": 0.1, "mu": 0.05, "sigma_lam": 2.5, "sigma_mu": 2.0, "rho": 0.85}
    for parameters in (WEEKLY, NARROW, wide):
        theta = np.array([parameters[name] for name in abe.NAMES])
        for history in ((0.0, 0.0, 40.0), (3.0, 5.0, 40.0), (200.0, 99.0, 100.0)):
            drawn = np.empty((size, 3))
            for draw in range(size):
                open_stream(streams[0], np.uint64(1), np.uint64(7), np.uint64(draw), np.uint64(PURCHASES))
                kernel.start(streams[0], theta, np.array(history), state)
                drawn[draw] = state[0], state[1], state[kernel.DROP_OUT] > 0
            x, t_x, T = map(np.float64, history)
            alive = float(MODEL.formulas["p_alive"](parameters, x, t_x, T))
            assert abs(drawn[:, 2].mean() - alive) <= 4 * np.sqrt(alive * (1 - alive) / size)
            seen = log_likelihood(parameters, x, t_x, T)[0]
            for tilt in (0.5, 1.0):  # E[lambda^tilt | history], as if there were a part of a purchase more
                rates = np.exp(tilt * drawn[:, 0])
                exact = np.exp(tilted_log_likelihood(parameters, x + tilt, t_x, T) - seen)
                assert abs(rates.mean() - exact) <= 4 * rates.std() / np.sqrt(size)


def tilted_log_likelihood(parameters, x, t_x, T):
    """The likelihood as a function of x that need not be whole, from the integrals themselves."""
    from clvmodels.models.lognormal_rates import BUYS_FIRST, LEAVES_FIRST

    rates = LogNormalRates(*(np.float64(parameters[name]) for name in abe.NAMES))
    parts = [
        float(log_integral(rates, x, time, time, factor, NUMPY_OPS, rule=FINE))
        for time, factor in ((t_x, LEAVES_FIRST), (T, BUYS_FIRST))
    ]
    return np.logaddexp(*parts)


def test_coefficients_of_zero_give_the_plain_model():
    """Every cell with the parameters of the base, as covariates with coefficients of 0 make them."""
    cell = np.arange(len(CUSTOMERS))
    alike = {name: Varying(np.full(len(cell), NARROW[name]), cell) for name in abe.NAMES}
    assert log_likelihood(alike, *columns()) == pytest.approx(log_likelihood(NARROW, *columns()), rel=1e-12)


@pytest.mark.slow
def test_the_coefficient_of_a_covariate_that_acts_is_found():
    size, rng = 1000, np.random.default_rng(4)
    age = rng.normal(size=size)
    own = {**NARROW, "lam": NARROW["lam"] * np.exp(0.5 * age)}
    buyer, time = abe.simulate(rng, own, np.full(size, 20.0))
    plain, _ = clv.simulate("pareto_nbd_abe", NARROW, T=20.0, size=size, seed=3)
    customers = dataclasses.replace(plain, **purchase_columns(buyer, time, size), covariates={"age": age})
    fit = clv.fit("pareto_nbd_abe", customers, method="mle", covariates={"lam": ["age"]})
    error = fit.standard_errors["gamma_lam[age]"]
    assert abs(fit.point["gamma_lam[age]"] - 0.5) < 4 * error
    assert error < 0.1


def test_cdnow_is_fitted_better_than_by_independent_gamma_rates(cdnow, golden):
    """And customers are ranked by P(alive) much as there."""
    ours = clv.fit_at("pareto_nbd_abe", golden["pareto_nbd_abe"]["parameters"])
    total = clv.log_likelihood(ours, cdnow).sum()
    assert total == pytest.approx(golden["pareto_nbd_abe"]["log_likelihood"], abs=1e-3)
    assert total > golden["pareto_nbd"]["log_likelihood"] + 20
    past = cdnow.frequency, cdnow.recency, cdnow.T
    alive = MODEL.formulas["p_alive"](ours.point, *past)
    theirs = MODELS["pareto_nbd"].formulas["p_alive"](golden["pareto_nbd"]["parameters"], *past)
    assert stats.spearmanr(alive, theirs).statistic > 0.95
    assert np.mean(np.abs(alive - theirs)) < 0.1


@pytest.mark.slow
def test_the_maximum_on_cdnow_has_a_correlation_near_zero_as_in_the_paper(cdnow, golden):
    fit = clv.fit("pareto_nbd_abe", cdnow, method="mle")
    assert fit.passed
    for name, value in golden["pareto_nbd_abe"]["parameters"].items():
        assert fit.point[name] == pytest.approx(value, rel=1e-4)
    assert abs(fit.point["rho"]) < 2 * fit.standard_errors["rho"]


@pytest.mark.slow
def test_the_graph_and_numpy_have_the_same_target():
    """It is compiled for this alone: what holds for every model holds here."""
    from clvmodels.inference.graph import pymc_model
    from clvmodels.inference.optimise import Mode
    from clvmodels.inference.target import log_density
    from tests.test_inference import target_of

    customers, _ = clv.simulate("pareto_nbd_abe", NARROW, T=20.0, size=100, seed=1)
    target = target_of("pareto_nbd_abe", customers)
    mode = Mode(target.starts, 0.0, 100 * np.eye(5), 0.0)
    graph = pymc_model(target, mode).compile_logp(mode=as_written())
    z = 3 * np.random.default_rng(0).normal(size=(3, 5))
    ours = log_density(target, mode.phi + z @ mode.root.T)
    assert np.array([graph({"z": row}) for row in z]) == pytest.approx(ours, rel=1e-10)


def test_a_correlation_beyond_the_rules_reach_is_taken_as_the_last_within_it():
    extreme, last = ({**NARROW, "rho": rho} for rho in (0.999, 0.97))
    assert np.array_equal(log_likelihood(extreme, *columns()), log_likelihood(last, *columns()))


def test_nuts_is_refused_by_name(cdnow):
    with pytest.raises(clv.FitError, match=r'pareto_nbd_abe is not fitted by "nuts".* use "mle" or "laplace"'):
        clv.fit("pareto_nbd_abe", cdnow, method="nuts", seed=1)


@pytest.mark.slow
def test_intervals_cover_the_correlation_that_made_the_data():
    """90 % intervals in 30 data sets; below 22 of them has a chance of 0.6 %."""
    truth, covered = {"lam": 0.3, "mu": 0.05, "sigma_lam": 0.8, "sigma_mu": 1.0, "rho": 0.5}, 0
    for seed in range(30):
        customers, _ = clv.simulate("pareto_nbd_abe", truth, T=30.0, size=400, seed=seed)
        fit = clv.fit("pareto_nbd_abe", customers, method="laplace", draws=300, seed=seed)
        rho = fit.draws["rho"].values
        covered += np.quantile(rho, 0.05) < truth["rho"] < np.quantile(rho, 0.95)
    assert covered >= 22


@pytest.mark.sbc
def test_ranks_of_the_truth_are_uniform():
    from clvmodels.evaluation import sbc

    result = sbc.run_sbc(
        "pareto_nbd_abe", simulations=200, customers=300, priors=sbc.default_priors("pareto_nbd_abe"), T=sbc.AGES,
        method="laplace", seed=1, workers=1,
    )  # fmt: skip
    assert result.uniform, result.to_pandas()


def test_default_priors_follow_the_unit_of_time():
    days, weeks = (MODEL.parameters[0].default_prior(DataScale(time=scale)).normal[0] for scale in (70.0, 10.0))
    assert weeks - days == pytest.approx(np.log(7))
