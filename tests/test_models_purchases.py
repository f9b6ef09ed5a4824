"""What every model of purchases must satisfy, by being in MODELS: identities, limits, its own story, its kernel."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special

import clvmodels as clv
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns, Varying
from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.models import MODELS
from tests.forecast_cases import around_priors, customers_of, replayed

PURCHASES = {name: model for name, model in MODELS.items() if model.family == "purchases"}
MONTE_CARLO_ERRORS = 4
CUSTOMERS = [(0, 0.0, 0.0), (0, 0.0, 38.9), (1, 3.0, 38.9), (2, 30.43, 38.86), (29, 37.0, 38.0), (200, 99.0, 100.0)]


CASES = [(name, case) for name, model in PURCHASES.items() for case in around_priors(model, 3, seed=len(name))]
NAMES = [f"{name}-{i % 3}" for i, (name, _) in enumerate(CASES)]
each_case = pytest.mark.parametrize(("name", "parameters"), CASES, ids=NAMES)
each_model = pytest.mark.parametrize("name", PURCHASES)
REGULAR = (  # what regular timing has another form of: histories differ in their intervals, and purchases may speed up
    "test_the_likelihood_of_all_histories_sums_to_one",
    "test_expectations_given_the_past_average_to_those_without_it",
    "test_expected_purchases_start_at_zero_grow_and_never_speed_up",
    "test_dert_is_the_discounted_integral_of_expected_purchases",
    "test_draws_and_rows_broadcast",
    "test_parameters_may_differ_over_rows",
)
RATES = (  # a correlation cannot be doubled, there is no alpha, and counts have a tail that 30,000 do not reach
    "test_the_likelihood_of_all_histories_sums_to_one",
    "test_expectations_given_the_past_average_to_those_without_it",
    "test_purchase_probabilities_sum_to_one_and_have_the_expected_mean",
    "test_purchase_probabilities_given_the_past_have_the_conditional_mean",
    "test_dert_without_discount_is_all_purchases_to_come_or_infinite",
    "test_the_unit_of_time_does_not_matter",
    "test_draws_and_rows_broadcast",
    "test_parameters_may_differ_over_rows",
)
IN_OWN_FILE: dict[str, tuple[str, ...]] = {  # model -> claims held in its own file: its histories are of another kind
    "bg_cnbd_k": REGULAR,
    "mbg_cnbd_k": REGULAR,
    "bg_bb": (
        "test_the_likelihood_of_all_histories_sums_to_one",
        "test_expectations_given_the_past_average_to_those_without_it",
        "test_purchase_probabilities_given_the_past_have_the_conditional_mean",
        "test_p_alive_is_a_probability_that_falls_with_silence",
        "test_the_unit_of_time_does_not_matter",
        "test_dert_is_the_discounted_integral_of_expected_purchases",
        "test_dert_without_discount_is_all_purchases_to_come_or_infinite",
        "test_draws_and_rows_broadcast",
        "test_parameters_may_differ_over_rows",
        "test_formulas_are_finite_where_it_is_hard",
    ),
    "ggom_nbd": ("test_dert_without_discount_is_all_purchases_to_come_or_infinite",),  # finite, also below 0
    "pareto_ggg": (
        "test_the_likelihood_of_all_histories_sums_to_one",
        "test_expectations_given_the_past_average_to_those_without_it",
        "test_purchase_probabilities_sum_to_one_and_have_the_expected_mean",
        "test_purchase_probabilities_given_the_past_have_the_conditional_mean",
        "test_p_alive_is_a_probability_that_falls_with_silence",
        "test_the_unit_of_time_does_not_matter",
        "test_expected_purchases_start_at_zero_grow_and_never_speed_up",
        "test_a_newcomer_is_a_new_customer",
        "test_dert_is_the_discounted_integral_of_expected_purchases",
        "test_dert_without_discount_is_all_purchases_to_come_or_infinite",
        "test_a_richer_model_has_its_simpler_ones_as_limits",
        "test_draws_and_rows_broadcast",
        "test_parameters_may_differ_over_rows",
        "test_formulas_are_finite_where_it_is_hard",
        "test_the_story_agrees_with_the_formulas",
        "test_the_kernel_draws_what_the_formulas_say",
    ),
    "pareto_nbd_abe": RATES,
}


@pytest.fixture(autouse=True)
def _leave_to_the_models_own_file(request):
    name = request.node.callspec.params["name"]
    if request.node.originalname in IN_OWN_FILE.get(name, ()):
        pytest.skip(f"held in the file of {name}: its histories are of another kind")


def formula(name, which):
    return PURCHASES[name].formulas[which]


def columns(customers=CUSTOMERS):
    return tuple(np.array(column, dtype=float) for column in zip(*customers, strict=True))


def log_likelihood(name, parameters, x, t_x, T):
    x, t_x, T = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in (x, t_x, T)))
    evenly = np.where(x > 0, np.log(np.maximum(t_x, 1e-300) / np.maximum(x, 1.0)), 0.0)
    patterns = replace(PurchasePatterns.of(x, t_x, T, "week"), log_interval=evenly)
    return PURCHASES[name].log_likelihood(parameters, patterns, NUMPY_OPS)


def histories(name, parameters, T, most=80):
    """All histories of length T: x, t_x, and the chance of each, so that sums over them are expectations."""
    nodes, weights = gauss_legendre(80)
    x, t_x = (grid.ravel() for grid in np.meshgrid(np.arange(1.0, most + 1), T * nodes, indexing="ij"))
    orderings = (x - 1) * np.log(t_x) - special.gammaln(x)  # of the x - 1 purchases before the last
    chance = np.exp(log_likelihood(name, parameters, x, t_x, T) + orderings) * np.tile(T * weights, most)
    none = np.exp(log_likelihood(name, parameters, 0.0, 0.0, T))
    return np.append(x, 0.0), np.append(t_x, 0.0), np.append(chance, none)


@each_case
def test_the_likelihood_of_all_histories_sums_to_one(name, parameters):
    """Finds missing constants that a maximum never sees: L(0) + sum over x of the integral over t_x."""
    assert histories(name, parameters, 0.3 * parameters["alpha"])[2].sum() == pytest.approx(1, abs=1e-8)


@each_case
def test_expectations_given_the_past_average_to_those_without_it(name, parameters):
    """E CE(t) over all histories of length T is E[X(T + t)] - E[X(T)]; P(X(T, T + t) = 0) alike."""
    T, t = 0.3 * parameters["alpha"], 20.0
    x, t_x, chance = histories(name, parameters, T)
    age = np.full(len(x), T)
    new = formula(name, "expected_purchases_new")
    ours = chance @ formula(name, "expected_purchases")(parameters, x, t_x, age, t)
    assert ours == pytest.approx(float(new(parameters, np.float64(T + t)) - new(parameters, np.float64(T))), rel=1e-7)
    silent = chance @ formula(name, "conditional_purchase_pmf")(parameters, x, t_x, age, np.zeros(len(x)), t)
    alive_and_silent = np.exp(
        log_likelihood(name, parameters, x, t_x, age + t) - log_likelihood(name, parameters, x, t_x, age)
    )
    assert silent == pytest.approx(chance @ alive_and_silent, rel=1e-7)


@each_case
def test_purchase_probabilities_sum_to_one_and_have_the_expected_mean(name, parameters):
    k = np.arange(20_000)
    pmf = formula(name, "purchase_pmf")(parameters, k, 39.0)
    assert pmf.sum() == pytest.approx(1, abs=1e-9)
    assert k @ pmf == pytest.approx(
        float(formula(name, "expected_purchases_new")(parameters, np.float64(39.0))), rel=1e-8
    )


@each_case
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_purchase_probabilities_given_the_past_have_the_conditional_mean(name, parameters, customer):
    who = [np.float64(value) for value in customer]
    k = np.arange(30_000)
    pmf = formula(name, "conditional_purchase_pmf")(parameters, *who, k, 26.0)
    assert np.all(pmf >= 0)
    assert pmf.sum() == pytest.approx(1, abs=1e-9)
    assert k @ pmf == pytest.approx(float(formula(name, "expected_purchases")(parameters, *who, 26.0)), rel=1e-8)


@each_case
def test_p_alive_is_a_probability_that_falls_with_silence(name, parameters):
    T = np.linspace(9.0, 300, 50)
    for x in (1.0, 3.0, 40.0):
        alive = formula(name, "p_alive")(parameters, np.full(50, x), np.full(50, 9.0), T)
        assert np.all((alive >= 0) & (alive <= 1))
        assert np.all(np.diff(alive) <= 0)


@each_case
@pytest.mark.parametrize("k", [1 / 7, 365.25])
def test_the_unit_of_time_does_not_matter(name, parameters, k):
    factor = {p.name: {"time": k, "rate": 1 / k}.get(p.dimension, 1.0) for p in PURCHASES[name].parameters}
    scaled = {letter: value * factor[letter] for letter, value in parameters.items()}
    x, t_x, T = columns()
    for which, after, also in (
        ("p_alive", (), ()),
        ("expected_purchases", (39.0,), (39.0 * k,)),
        ("dert", (0.01,), (0.01 / k,)),
    ):
        ours = formula(name, which)(scaled, x, t_x * k, T * k, *also)
        assert ours == pytest.approx(formula(name, which)(parameters, x, t_x, T, *after), rel=1e-9)
    shift = log_likelihood(name, scaled, x, t_x * k, T * k) - log_likelihood(name, parameters, x, t_x, T)
    assert shift == pytest.approx(-x * np.log(k), abs=1e-9)


@each_case
def test_expected_purchases_start_at_zero_grow_and_never_speed_up(name, parameters):
    t = np.linspace(0, 400, 80)
    curve = formula(name, "expected_purchases")(parameters, np.full(80, 4.0), np.full(80, 30.0), np.full(80, 38.0), t)
    assert curve[0] == 0
    assert np.all(np.diff(curve) > 0)
    assert np.all(np.diff(curve, 2) < 1e-12 * curve[-1])


@each_case
def test_a_newcomer_is_a_new_customer(name, parameters):
    zero = np.float64(0)
    assert log_likelihood(name, parameters, 0, 0, 0)[0] == pytest.approx(0, abs=1e-12)
    for t in (0.1, 39.0, 4000.0):
        newcomer = formula(name, "expected_purchases")(parameters, zero, zero, zero, t)
        assert newcomer == pytest.approx(
            float(formula(name, "expected_purchases_new")(parameters, np.float64(t))), rel=1e-12
        )
    k = np.arange(5)
    newcomer = formula(name, "conditional_purchase_pmf")(parameters, zero, zero, zero, k, 39.0)
    assert newcomer == pytest.approx(formula(name, "purchase_pmf")(parameters, k, 39.0), rel=1e-12)


@each_case
def test_dert_is_the_discounted_integral_of_expected_purchases(name, parameters):
    """By parts, d int exp(-d t) CE(t) dt, adaptively over v = log t; and it falls with the discount rate."""
    who = [np.float64(value) for value in (2, 30.43, 38.86)]
    dert, expected = formula(name, "dert"), formula(name, "expected_purchases")
    values = []
    for d in (1e-4, 0.002, 0.3):

        def discounted(v, d=d):
            return d * np.exp(v - d * np.exp(v)) * float(expected(parameters, *who, np.exp(v)))

        values.append(float(dert(parameters, *who, d)))
        exact = integrate.quad(discounted, -25, np.log(50 / d), epsrel=1e-11, limit=400)[0]
        assert values[-1] == pytest.approx(exact, rel=1e-8)
    assert values[0] > values[1] > values[2] > 0


@each_case
def test_dert_without_discount_is_all_purchases_to_come_or_infinite(name, parameters):
    who = [np.float64(value) for value in (2, 30.43, 38.86)]
    ours = float(formula(name, "dert")(parameters, *who, 0.0))
    far, further = (float(formula(name, "expected_purchases")(parameters, *who, t)) for t in (1e4, 1e7))
    if np.isfinite(ours):
        assert 0 < ours - further < 0.95 * (ours - far)
    else:
        assert further > 1.05 * far
    assert formula(name, "dert")(parameters, *who, -0.001) == np.inf


@each_model
def test_a_richer_model_has_its_simpler_ones_as_limits(name):
    x, t_x, T = columns()
    for simple, limit in PURCHASES[name].limits.items():
        for parameters in around_priors(MODELS[simple], 3, seed=2):
            there = limit(parameters)
            assert set(there) == set(PURCHASES[name].parameter_names)
            assert log_likelihood(name, there, x, t_x, T) == pytest.approx(
                log_likelihood(simple, parameters, x, t_x, T), abs=1e-6
            )
            ours = formula(name, "expected_purchases")(there, x, t_x, T, 39.0)
            assert ours == pytest.approx(formula(simple, "expected_purchases")(parameters, x, t_x, T, 39.0), rel=1e-6)


@each_case
def test_draws_and_rows_broadcast(name, parameters):
    x, t_x, T = columns()
    draws = {letter: value * np.array([[1.0], [1.3]]) for letter, value in parameters.items()}
    by_row = {letter: value * np.ones((1, len(x))) for letter, value in draws.items()}
    for which, after in (
        ("p_alive", ()),
        ("expected_purchases", (39.0,)),
        ("conditional_purchase_pmf", (2, 39.0)),
        ("dert", (0.01,)),
        ("dert", (0.0,)),
    ):
        f = formula(name, which)
        table = f(draws, x, t_x, T, *after)
        assert table.shape == (2, len(x))
        assert np.array_equal(table, f(by_row, x, t_x, T, *after))
        one = {letter: value * 1.3 for letter, value in parameters.items()}
        assert table[1] == pytest.approx([float(f(one, *map(np.float64, c), *after)) for c in CUSTOMERS], rel=1e-12)


@each_case
def test_parameters_may_differ_over_rows(name, parameters):
    """As covariates and groups need it: the likelihood of each row at that row's own parameters."""
    x, t_x, T = columns(CUSTOMERS * 2)
    cell = np.repeat([0, 1], len(CUSTOMERS))
    varying = {letter: Varying(np.array([value, 2 * value]), cell) for letter, value in parameters.items()}
    twice = {letter: 2 * value for letter, value in parameters.items()}
    apart = [log_likelihood(name, p, *columns()) for p in (parameters, twice)]
    assert log_likelihood(name, varying, x, t_x, T) == pytest.approx(np.concatenate(apart), rel=1e-13)
    some = {**parameters, "alpha": varying["alpha"]}
    apart = [log_likelihood(name, {**parameters, "alpha": a}, *columns()) for a in varying["alpha"].values]
    assert log_likelihood(name, some, x, t_x, T) == pytest.approx(np.concatenate(apart), rel=1e-13)


@each_case
def test_formulas_are_finite_where_it_is_hard(name, parameters):
    x, t_x, T = columns([(10_000, 1e3, 1e3), (10_000, 1.0, 1e9), (1, 1e-9, 1e9), (1, 1e9, 1e9), (0, 0, 0), (0, 0, 1e9)])
    assert np.all(np.isfinite(log_likelihood(name, parameters, x, t_x, T)))
    for which, after in (("expected_purchases", (52.0,)), ("conditional_purchase_pmf", (3, 52.0)), ("dert", (0.002,))):
        values = formula(name, which)(parameters, x, t_x, T, *after)
        assert np.all(np.isfinite(values) & (values >= 0))


@each_case
def test_the_story_agrees_with_the_formulas(name, parameters):
    """Moments of a new customer; and what came after T less what was expected, on its own and by past."""
    size, T, t = 40_000, 20.0, 30.0
    buyer, time = PURCHASES[name].simulate(np.random.default_rng(20), parameters, np.full(size, T + t))
    counts = np.bincount(buyer, minlength=size)
    pmf = formula(name, "purchase_pmf")(parameters, np.arange(6), T + t)
    shares = np.bincount(counts, minlength=6)[:6] / size
    rare = 2 / size  # a count that is not to be expected may still come once or twice
    assert np.all(np.abs(shares - pmf) <= MONTE_CARLO_ERRORS * np.sqrt(pmf * (1 - pmf) / size) + rare)
    seen = time <= T
    x, t_x = np.bincount(buyer[seen], minlength=size).astype(float), np.zeros(size)
    np.maximum.at(t_x, buyer[seen], time[seen])
    later, age = counts - x, np.full(size, T)
    surprise = later - formula(name, "expected_purchases")(parameters, x, t_x, age, t)
    none = formula(name, "conditional_purchase_pmf")(parameters, x, t_x, age, np.zeros(size), t)
    for weight in (np.ones(size), np.minimum(x, 5), x == 0, t_x, t_x > 0.7 * T):
        error = (surprise * weight).std() / np.sqrt(size)
        assert abs((surprise * weight).mean()) <= MONTE_CARLO_ERRORS * error
        error = np.sqrt((weight**2 * none * (1 - none)).sum()) / size
        assert abs((((later == 0) - none) * weight).mean()) <= MONTE_CARLO_ERRORS * error


@each_case
def test_the_kernel_draws_what_the_formulas_say(name, parameters):
    size, horizon = 60_000, 40.0
    customers = customers_of([(0, 0.0, 30.0, 1.0), (2, 25.0, 30.0, 1.0), (12, 18.0, 30.0, 1.0)])
    fit = clv.fit_at(name, parameters, unit="week")
    drawn = replayed(
        clv.predict(fit, customers, quantity="purchases", horizon=horizon, seed=3, draws=size), "customers"
    )
    past = customers.frequency, customers.recency, customers.T
    expected = formula(name, "expected_purchases")(parameters, *past, horizon)
    error = drawn.std(axis=1) / np.sqrt(size)
    assert np.all(
        np.abs(drawn.mean(axis=1) - expected) <= MONTE_CARLO_ERRORS * error + 1 / size
    )  # none of a rare event
    for k in range(8):
        pmf = formula(name, "conditional_purchase_pmf")(parameters, *past, k, horizon)
        error = np.sqrt(pmf * (1 - pmf) / size)
        assert np.all(np.abs((drawn == k).mean(axis=1) - pmf) <= MONTE_CARLO_ERRORS * error + 1 / size)
