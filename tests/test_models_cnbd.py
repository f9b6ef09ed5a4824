"""BG/CNBD-k and MBG/CNBD-k: their own form of the contract, high precision, hard corners, and the choice of k.

What other models of purchases satisfy in the same form is in test_models_purchases.py.
"""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy import special

import clvmodels as clv
from clvmodels.evaluation import sbc
from clvmodels.foundation.model import DataScale
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns, Varying
from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.inference.laplace import importance_sample
from clvmodels.inference.optimise import Mode
from clvmodels.inference.target import Target
from clvmodels.models import MODELS, stages

FAMILY = {"bg_cnbd_k": "bg_nbd", "mbg_cnbd_k": "mbg_nbd"}
each_model = pytest.mark.parametrize("name", FAMILY)
each_k = pytest.mark.parametrize("k", [1, 2, 3, 7, 12])
CUSTOMERS = [(0, 0.0, 0.0), (0, 0.0, 38.9), (1, 3.0, 38.9), (2, 30.43, 38.86), (29, 37.0, 38.0), (200, 99.0, 100.0)]
PLAIN = {"r": 0.8, "alpha": 6.0, "a": 0.79, "b": 2.4}
QUANTITIES = [
    ("p_alive", ()),
    ("p_alive_after", (26.0,)),
    ("expected_purchases", (39.0,)),
    ("conditional_purchase_pmf", (np.array(2), 39.0)),
    ("dert", (0.01,)),
    ("dert", (0.0,)),
]


def parameters_at(k, **changes):
    """Parameters whose purchases come at about the same rate for all k."""
    return {**PLAIN, "alpha": PLAIN["alpha"] / k, "k": float(k), **changes}


def columns(customers=CUSTOMERS):
    return tuple(np.array(column, dtype=float) for column in zip(*customers, strict=True))


def log_likelihood(name, parameters, x, t_x, T, log_interval=0.0):
    x, t_x, T, log_interval = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, float)) for v in (x, t_x, T, log_interval))
    )
    patterns = replace(PurchasePatterns.of(x, t_x, T, "week"), log_interval=log_interval)
    return MODELS[name].log_likelihood(parameters, patterns, NUMPY_OPS)


def formula(name, which):
    return MODELS[name].formulas[which]


# One stage a purchase


@each_model
@pytest.mark.parametrize("one", [1, 1.0, np.array([[1.0]])])
def test_with_one_stage_it_is_the_model_with_exponential_times(name, one):
    x, t_x, T = columns()
    parameters = {**PLAIN, "k": one}
    ours = log_likelihood(name, parameters, x, t_x, T, log_interval=1.3)
    theirs = MODELS[FAMILY[name]].log_likelihood(PLAIN, PurchasePatterns.of(x, t_x, T, "week"), NUMPY_OPS)
    assert np.ravel(ours) == pytest.approx(theirs, abs=1e-12)
    for which, after in QUANTITIES:
        ours, theirs = formula(name, which)(parameters, x, t_x, T, *after), formula(FAMILY[name], which)
        assert np.ravel(ours) == pytest.approx(theirs(PLAIN, x, t_x, T, *after), rel=1e-9)


# Identities, with histories that differ in their intervals


def histories(name, parameters, T, most=40):
    """All histories of length T: x, t_x, and the chance of each, over the times of purchases before the last.

    The product of interval^(k - 1) over them integrates to t_x^(k x - 1) Gamma(k)^x / Gamma(k x).
    """
    nodes, weights = gauss_legendre(120)
    k = parameters["k"]
    x, t_x = (grid.ravel() for grid in np.meshgrid(np.arange(1.0, most + 1), T * nodes, indexing="ij"))
    volume = (k * x - 1) * np.log(t_x) + x * special.gammaln(k) - special.gammaln(k * x)
    chance = np.exp(log_likelihood(name, parameters, x, t_x, T) + volume) * np.tile(T * weights, most)
    none = np.exp(log_likelihood(name, parameters, 0.0, 0.0, T))
    return np.append(x, 0.0), np.append(t_x, 0.0), np.append(chance, none)


@each_model
@each_k
def test_the_likelihood_of_all_histories_sums_to_one(name, k):
    assert histories(name, parameters_at(k), 12.0)[2].sum() == pytest.approx(1, abs=1e-8)


@each_model
@each_k
def test_expectations_given_the_past_average_to_those_without_it(name, k):
    parameters, T, t = parameters_at(k), 12.0, 20.0
    x, t_x, chance = histories(name, parameters, T)
    age = np.full(len(x), T)
    new = formula(name, "expected_purchases_new")
    ours = chance @ formula(name, "expected_purchases")(parameters, x, t_x, age, t)
    assert ours == pytest.approx(float(new(parameters, np.float64(T + t)) - new(parameters, np.float64(T))), rel=1e-7)
    silent = chance @ formula(name, "conditional_purchase_pmf")(parameters, x, t_x, age, np.zeros(len(x)), t)
    still = log_likelihood(name, parameters, x, t_x, age + t) - log_likelihood(name, parameters, x, t_x, age)
    assert silent == pytest.approx(chance @ np.exp(still), rel=1e-7)


@each_model
@each_k
def test_the_chance_to_live_on_is_what_is_left_by_departures(name, k):
    """Departures are purchases that are the last: survival falls by what the PMF says at longer horizons."""
    parameters = parameters_at(k)
    who = [np.float64(v) for v in (2, 30.43, 38.86)]
    for t in (0.0, 5.0, 39.0):
        alive = formula(name, "p_alive_after")(parameters, *who, t)
        drawn = np.arange(400)
        later = stages.Alive(parameters["r"] + k * who[0], (who[2] - who[1]) / (parameters["alpha"] + who[2]), 0.79, 0)
        b = parameters["b"] + who[0] + (name == "mbg_cnbd_k")
        log_stay = special.betaln(0.79, b + drawn) - special.betaln(0.79, b)
        tau = t / (parameters["alpha"] + who[2])
        never = stages.by_count(stages.purchase_pmf, k, replace(later, a=1e-14, b=1.0), drawn, tau)  # nobody leaves
        expected = formula(name, "p_alive")(parameters, *who) * (never @ np.exp(log_stay))
        assert float(alive) == pytest.approx(expected, rel=1e-9)


@each_model
@each_k
def test_expected_purchases_start_at_zero_and_grow(name, k):
    t = np.linspace(0, 400, 80)
    past = np.full(80, 4.0), np.full(80, 30.0), np.full(80, 38.0)
    curve = formula(name, "expected_purchases")(parameters_at(k), *past, t)
    assert curve[0] == 0
    assert np.all(np.diff(curve) > 0)


def test_a_silence_within_the_rhythm_brings_the_next_purchase_closer():
    """Given that the customer is alive, recency matters: why there is no formula of purchases if alive."""
    parameters = parameters_at(7, a=1e-9)
    x, T = np.full(2, 20.0), np.full(2, 40.0)
    soon = formula("bg_cnbd_k", "expected_purchases")(parameters, x, np.array([40.0, 38.5]), T, 0.5)
    assert soon[1] > 2 * soon[0]
    assert "purchases_if_alive" not in MODELS["bg_cnbd_k"].formulas


@each_model
@each_k
@pytest.mark.parametrize("changes", [{}, {"r": 0.05}], ids=["r = .8", "r = .05"])
@pytest.mark.parametrize("customer", [(2, 30.43, 38.86), (0, 0.0, 1000.0)])
def test_dert_is_the_discounted_integral_of_expected_purchases(name, k, changes, customer):
    """By parts, d int exp(-d t) CE(t) dt, over panels of v = log t."""
    parameters = parameters_at(k, **changes)
    nodes, weights = gauss_legendre(24)
    for d in (1e-4, 0.002, 0.3):
        edges = np.linspace(-12, np.log(45 / d), 41)
        v = (edges[:-1, None] + np.diff(edges)[:, None] * nodes).ravel()
        weight = (np.diff(edges)[:, None] * weights).ravel()
        who = [np.full(len(v), float(value)) for value in customer]
        curve = formula(name, "expected_purchases")(parameters, *who, np.exp(v))
        ours = float(formula(name, "dert")(parameters, *map(np.float64, customer), d))
        assert ours == pytest.approx(float(weight @ (d * np.exp(v - d * np.exp(v)) * curve)), rel=1e-8)


@each_model
def test_draws_and_rows_broadcast_and_draws_may_differ_in_k(name):
    x, t_x, T = columns()
    draws = {letter: value * np.array([[1.0], [1.3], [0.8]]) for letter, value in PLAIN.items()}
    draws["k"] = np.array([[3.0], [1.0], [5.0]])
    by_row = {letter: value * np.ones((1, len(x))) for letter, value in draws.items()}
    for which, after in QUANTITIES:
        f = formula(name, which)
        table = f(draws, x, t_x, T, *after)
        assert table.shape == (3, len(x))
        assert np.array_equal(table, f(by_row, x, t_x, T, *after))
        for row in range(3):
            one = {letter: float(value[row, 0]) for letter, value in draws.items()}
            alone = [float(f(one, *map(np.float64, c), *after)) for c in CUSTOMERS]
            assert table[row] == pytest.approx(alone, rel=1e-12)
    rows = log_likelihood(name, draws, x, t_x, T, -0.3)
    for row in range(3):
        one = {letter: float(value[row, 0]) for letter, value in draws.items()}
        assert rows[row] == pytest.approx(log_likelihood(name, one, x, t_x, T, -0.3), rel=1e-13)


@each_model
def test_parameters_may_differ_over_rows(name):
    x, t_x, T = columns(CUSTOMERS * 2)
    cell = np.repeat([0, 1], len(CUSTOMERS))
    one, other = parameters_at(3), parameters_at(3, r=1.6, alpha=5.0)
    varying = {letter: Varying(np.array([value, other[letter]]), cell) for letter, value in one.items()}
    apart = np.concatenate([log_likelihood(name, p, *columns()) for p in (one, other)])
    assert log_likelihood(name, varying, x, t_x, T) == pytest.approx(apart, rel=1e-13)
    assert log_likelihood(name, {**varying, "k": 3}, x, t_x, T) == pytest.approx(apart, rel=1e-13)


# High precision and hard corners


def exact_expectation(parameters, x, t_x, T, t, *, at_first):
    """E[purchases | alive] in 40 digits: over the stage reached, stages to come, and the moments of staying."""
    with mpmath.workdps(40):
        r, alpha, a, b = (mpmath.mpf(parameters[name]) for name in ("r", "alpha", "a", "b"))
        k, b = int(parameters["k"]), b + x + at_first
        n, u = r + k * x, mpmath.mpf(T - t_x) / (alpha + T)
        v = mpmath.mpf(t) / (alpha + T + t)
        weights = [mpmath.rf(n, j) / mpmath.factorial(j) * u**j for j in range(k)]
        total = mpmath.mpf(0)
        for j, weight in enumerate(weights):
            chance, gained, stay, m = (1 - v) ** (n + j), mpmath.mpf(0), mpmath.mpf(1), 0
            while True:
                if (j + m) % k == 0 and j + m > 0:
                    passed = (j + m) // k
                    gained += stay
                    stay *= (b + passed - 1) / (a + b + passed - 1)
                total += weight * chance * gained
                if (
                    m > 4 * k
                    and m > 2 * (n + k) * v / (1 - v)
                    and chance * (gained + 1) < mpmath.mpf(10) ** -30 * total
                ):
                    break
                chance *= v * (n + j + m) / (m + 1)
                m += 1
        return float(total / mpmath.fsum(weights))


CORNERS = [  # parameters, history, horizon
    (parameters_at(3), (2, 30.0, 38.0), 1e-6),  # next to nothing, with all its digits
    (parameters_at(12), (0, 0.0, 0.0), 0.01),
    (parameters_at(3, a=1 + 1e-9), (2, 30.0, 38.0), 39.0),
    (parameters_at(3, a=0.02, b=0.05), (0, 0.0, 39.0), 100.0),
    (parameters_at(5, a=1e-9), (4, 30.0, 38.0), 39.0),  # nobody leaves
    (parameters_at(3, r=0.05, alpha=0.3), (0, 0.0, 0.0), 30.0),
    (parameters_at(2), (300, 990.0, 1000.0), 400.0),
    (parameters_at(3, b=0.05), (0, 0.0, 5.0), 500.0),  # nearly all leave at once: p next to 1
    (parameters_at(2, r=60.0, a=7.0, b=90.0), (29, 37.0, 38.0), 60.0),
]


@each_model
@pytest.mark.parametrize("case", range(len(CORNERS)))
def test_expected_purchases_are_exact_where_it_is_hard(name, case):
    parameters, who, t = CORNERS[case]
    alive = float(formula(name, "p_alive")(parameters, *map(np.float64, who)))
    exact = exact_expectation(parameters, *who, t, at_first=int(name == "mbg_cnbd_k"))
    ours = float(formula(name, "expected_purchases")(parameters, *map(np.float64, who), t))
    assert ours == pytest.approx(alive * exact, rel=1e-10)


@each_k
def test_summed_by_stages_or_by_the_generating_function_it_is_the_same(k):
    rng = np.random.default_rng(k)
    who = stages.Alive(rng.gamma(1, 10, 300) + 0.05, rng.random(300), *np.exp(rng.normal(size=(2, 300))))
    tau = np.exp(rng.normal(0, 1.5, 300))
    expected, alive = stages._summed(k, who, tau)
    few = ~np.isnan(expected)
    assert 0.5 < few.mean() < 1
    assert stages._integrated(k, who, tau, np.divide)[few] == pytest.approx(expected[few], rel=1e-12, abs=1e-12)
    assert stages._integrated(k, who, tau, lambda left, _: 1 - left)[few] == pytest.approx(alive[few], abs=1e-12)


@each_model
@each_k
def test_without_end_a_customer_buys_until_drop_out(name, k):
    """E[1 / p] purchases; and next to no discount DERT is that."""
    parameters = parameters_at(k, a=2.5)
    who = [np.float64(v) for v in (2, 30.43, 38.86)]
    b = 2.4 + 2 + (name == "mbg_cnbd_k")
    all_purchases = float(formula(name, "p_alive")(parameters, *who)) * (2.5 + b - 1) / 1.5
    assert float(formula(name, "dert")(parameters, *who, 0.0)) == pytest.approx(all_purchases, rel=1e-12)
    assert float(formula(name, "dert")(parameters, *who, 1e-7)) == pytest.approx(all_purchases, rel=1e-3)
    assert float(formula(name, "expected_purchases")(parameters, *who, 1e9)) == pytest.approx(all_purchases, rel=1e-8)


@each_model
@each_k
def test_ten_thousand_purchases_stay_finite_and_right(name, k):
    """The rate is known then, n / (alpha + T) stages: of a customer who never leaves, purchases to within one."""
    parameters = parameters_at(k, a=1e-9, b=1.0)
    who = [np.float64(v) for v in (10_000, 1000.0, 1000.0)]
    rate = (0.8 + k * 10_000) / (6 / k + 1000) / k
    expected = float(formula(name, "expected_purchases")(parameters, *who, 1000.0))
    assert expected == pytest.approx(1000 * rate, abs=1)
    assert float(formula(name, "dert")(parameters, *who, 0.01)) == pytest.approx(rate / 0.01, abs=1)
    pmf = formula(name, "conditional_purchase_pmf")(parameters, *who, np.arange(9000, 11_000), 1000.0)
    assert pmf.sum() == pytest.approx(1, abs=1e-8)
    assert pmf @ np.arange(9000, 11_000) == pytest.approx(expected, rel=1e-8)


@each_model
def test_the_likelihood_is_the_integral_over_rate_and_drop_out(name):
    """Given lambda and p it is told from the story: densities of Erlang intervals, and Poisson stages since t_x."""
    parameters, (x, t_x, T), log_interval = parameters_at(3), (2, 30.43, 38.86), 2.6
    first = int(name == "mbg_cnbd_k")
    with mpmath.workdps(25):
        r, alpha, a, b = (mpmath.mpf(parameters[letter]) for letter in ("r", "alpha", "a", "b"))
        k = 3

        def of_rate(rate):
            bought = rate ** (k * x) * mpmath.exp((k - 1) * x * log_interval - rate * t_x) / mpmath.gamma(k) ** x
            silent = mpmath.exp(-rate * (T - t_x)) * sum(
                (rate * (T - t_x)) ** j / mpmath.factorial(j) for j in range(k)
            )
            prior = alpha**r * rate ** (r - 1) * mpmath.exp(-alpha * rate) / mpmath.gamma(r)
            return bought * prior, bought * prior * silent

        gone, alive = (mpmath.quad(lambda rate, i=i: of_rate(rate)[i], [0, 0.05, 0.2, 1, 5, 30]) for i in (0, 1))
        stays = mpmath.beta(a, b + x + first) / mpmath.beta(a, b)
        leaves = mpmath.beta(a + 1, b + x + first - 1) / mpmath.beta(a, b)
        exact = float(mpmath.log(stays * alive + leaves * gone))
        alive_share = float(stays * alive / (stays * alive + leaves * gone))
    assert log_likelihood(name, parameters, x, t_x, T, log_interval)[0] == pytest.approx(exact, rel=1e-12)
    assert float(formula(name, "p_alive")(parameters, *map(np.float64, (x, t_x, T)))) == pytest.approx(alive_share)


# The choice of k


def simulated(name, parameters, *, size=1000, seed=1, T=52.0):
    return clv.simulate(name, parameters, T=np.linspace(0.6 * T, T, size), size=size, seed=seed)[0]


@each_model
def test_a_regular_log_is_told_from_an_irregular_one(name):
    """Hundreds of units of log likelihood, and the right k; without regularity k = 1 and nothing gained."""
    for k in (3, 1):
        customers = simulated(name, parameters_at(k), seed=k)
        regular, plain = (clv.fit(model, customers, method="mle") for model in (name, FAMILY[name]))
        assert regular.point["k"] == k
        gain = regular.log_likelihood - plain.log_likelihood
        assert gain > 300 if k == 3 else abs(gain) < 1e-6


def test_on_the_papers_data_no_regularity_is_found(cdnow, golden):
    """As BTYDplus says of these data; at k = 1 it is the published MBG/NBD."""
    fit = clv.fit("mbg_cnbd_k", cdnow, method="mle")
    assert fit.point["k"] == 1
    assert fit.log_likelihood == pytest.approx(golden["mbg_nbd"]["log_likelihood"], abs=0.01)
    for letter, value in golden["mbg_nbd"]["parameters"].items():
        assert fit.point[letter] == pytest.approx(value, abs=6e-4)


@pytest.fixture(scope="module")
def doubtful():
    """A base so small that the data leave several k."""
    return simulated("bg_cnbd_k", parameters_at(6), size=60)


@pytest.fixture(scope="module")
def mixture(doubtful):
    return clv.fit("bg_cnbd_k", doubtful, draws=2000, seed=1)


def test_draws_of_k_are_shared_out_by_its_posterior(doubtful, mixture):
    """Evidence by another way: a harmonic-free identity, from fits at each k with the same prior of the others."""
    k, counts = np.unique(mixture.draws["k"], return_counts=True)
    assert len(k) > 2
    assert mixture.point["k"] == k[np.argmax(counts)]
    alone = {
        value: clv.fit("bg_cnbd_k", doubtful, draws=4000, seed=2, priors={"k": clv.OneOf((int(value),))}) for value in k
    }
    log_evidence = np.array([normal_evidence(fit, doubtful) for fit in alone.values()])
    expected = special.softmax(log_evidence)
    assert counts / 2000 == pytest.approx(expected, abs=0.05)
    at_best = alone[mixture.point["k"]]
    for letter in ("r", "alpha", "a", "b"):
        error = at_best.draws[letter].values.std() * 4 / np.sqrt(counts.max())
        assert mixture.point[letter] == pytest.approx(at_best.point[letter], abs=error)


def normal_evidence(fit, customers):
    """Log evidence of a fit at one k by bridge sampling's reciprocal form, with a normal fitted to the draws' logs."""
    from clvmodels.inference.likelihood import fitted_patterns

    letters = ("r", "alpha", "a", "b")
    phi = np.column_stack([np.log(fit.draws[letter].values.ravel()) for letter in letters])
    mean, covariance = phi.mean(axis=0), np.cov(phi.T)
    away = phi - mean
    distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
    inside = distance < 3.357  # median of chi-square with 4 degrees of freedom: a truncated normal has no heavy tail
    log_normal = -distance / 2 - np.linalg.slogdet(2 * np.pi * covariance)[1] / 2 + np.log(2)
    prior = sum(
        -(((phi[:, i] - np.log(fit.priors[letter].median)) / fit.priors[letter].sd) ** 2) / 2
        - np.log(fit.priors[letter].sd * np.sqrt(2 * np.pi))
        for i, letter in enumerate(letters)
    )
    target = fitted_patterns(fit, customers).totals() + prior
    return -(special.logsumexp(np.where(inside, log_normal - target, -np.inf)) - np.log(len(phi)))


def test_evidence_is_the_integral_of_the_target(cdnow):
    """Without data the posterior is the prior, and its evidence 1."""
    model = replace(MODELS["bg_nbd"], log_likelihood=lambda p, d, ops: 0 * d.frequency.rows + 0 * p["r"])
    patterns = PurchasePatterns.of(*columns(), "week")
    priors = {p.name: p.default_prior(DataScale()) for p in model.parameters}
    target = Target(model, patterns, DataScale(), priors)
    mean, sd = target.normal_priors
    mode = Mode(mean + 0.2 * sd, 0.0, np.diag(1 / (1.2 * sd) ** 2), 0.0)  # not quite where it is
    sample = importance_sample(target, mode, 4000, np.random.default_rng(1))
    spread = np.exp(sample.log_ratio).std() / np.sqrt(len(sample.log_ratio))
    assert sample.log_evidence == pytest.approx(0, abs=4 * spread)


def test_a_fit_with_several_k_forecasts_and_is_kept(doubtful, mixture, tmp_path):
    assert mixture.passed
    assert list(mixture.point) == ["r", "alpha", "a", "b", "k"]
    assert mixture.standard_errors["k"] == 0
    assert np.all(mixture.draws["k"] == np.rint(mixture.draws["k"]))
    assert clv.log_likelihood(mixture, doubtful).sum() == pytest.approx(mixture.log_likelihood, rel=1e-12)
    assert clv.loo(mixture, doubtful).elpd < mixture.log_likelihood
    assert {"k"} < set(clv.prior_sensitivity(mixture, doubtful).index)
    assert mixture.summary().loc["k", "sd"] > 0
    mixture.save(tmp_path / "fit.nc")
    loaded = clv.load_fit(tmp_path / "fit.nc")
    assert loaded.priors == mixture.priors
    forecasts = {
        name: clv.predict(fit, doubtful, quantity="purchases", horizon=20, seed=1)
        for name, fit in {"kept": loaded, "made": mixture}.items()
    }
    assert np.array_equal(forecasts["kept"].mean, forecasts["made"].mean)
    expected = clv.predict(mixture, doubtful, quantity="expected_purchases", horizon=20)
    drawn = forecasts["made"]
    error = np.hypot(drawn.sd, expected.sd).sum() / np.sqrt(2000)
    assert drawn.mean.sum() == pytest.approx(expected.mean.sum(), abs=4 * error)
    average = clv.average_forecasts(forecasts, {"kept": 0.5, "made": 0.5}, seed=1)
    assert average.mean.sum() == pytest.approx(drawn.mean.sum(), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: clv.fit_at("bg_cnbd_k", {**PLAIN, "k": 2.5}), r"k = 2.5: expected one of 1, 2, .* 12"),
        (lambda c: clv.fit_at("bg_cnbd_k", {**PLAIN, "k": 13}), "k = 13"),
        (
            lambda c: clv.fit("bg_cnbd_k", c, seed=1, priors={"k": clv.LogNormal(1, 1)}),
            "priors for k: expected a OneOf",
        ),
        (lambda c: clv.OneOf((1, 1)), "distinct whole numbers"),
        (lambda c: clv.OneOf((1.5,)), "distinct whole numbers"),
        (
            lambda c: clv.fit("bg_cnbd_k", c, seed=1, priors={"k": clv.OneOf((3, 40))}),
            "priors for k: 40 is none of 1, 2, ",
        ),
        (lambda c: clv.fit("bg_cnbd_k", c, seed=1, method="nuts", groups={"k": "acquisition_week"}), 'groups of "k"'),
        (lambda c: clv.fit("bg_cnbd_k", replace(c, log_interval=None), seed=1), "no column log_interval"),
    ],
)
def test_what_cannot_be_is_refused(doubtful, call, message):
    with pytest.raises((clv.FitError, clv.DataError), match=message):
        call(doubtful)


@each_model
def test_parameters_are_recovered_from_simulated_bases(name):
    """Errors in units of the standard error over 16 bases; squares of them of 1 on average."""
    parameters = parameters_at(3, a=1.5, b=4.0)
    fits = [clv.fit(name, simulated(name, parameters, seed=seed, size=1500), method="mle") for seed in range(16)]
    assert all(fit.point["k"] == 3 for fit in fits)
    z = np.array(
        [
            [
                np.log(fit.point[p] / parameters[p]) * fit.point[p] / fit.standard_errors[p]
                for p in ("r", "alpha", "a", "b")
            ]
            for fit in fits
        ]
    )
    assert np.all(np.abs(z.mean(axis=0)) < 4 / np.sqrt(16))
    assert np.all(np.abs(z) < 5)
    assert np.mean(z**2) == pytest.approx(1, abs=4 * np.sqrt(2 / 16))  # parameters of one base move together


@pytest.mark.slow
@each_model
def test_laplace_and_nuts_draw_from_one_posterior_of_regular_customers(name):
    customers = simulated(name, parameters_at(3))
    laplace = clv.fit(name, customers, draws=4000, seed=3)
    nuts = clv.fit(name, customers, method="nuts", draws=4000, seed=4)
    assert laplace.method == "laplace"
    assert laplace.passed
    assert nuts.passed
    assert nuts.notes[-1].startswith("draws are at k = 3, which has a posterior chance of 1.0")
    a, b = laplace.summary().drop("k"), nuts.summary().drop("k")
    assert (np.abs(a["mean"] - b["mean"]) < 0.1 * b["sd"]).all()
    assert (np.abs(a["sd"] / b["sd"] - 1) < 0.12).all()


def priors(name):
    """Those of a calibration, with stages so short that each k shows."""
    return {**sbc.default_priors(name), "alpha": clv.LogNormal(2.0, 0.4)}


@pytest.mark.sbc
@each_model
def test_posteriors_are_calibrated_over_a_thousand_simulations(name):
    made = sbc.run_sbc(
        name, simulations=1000, customers=100, T=sbc.AGES, priors=priors(name), method="laplace", seed=1, workers=None
    )
    assert made.uniform, made.table()
