"""What every spend model must satisfy, by being in MODELS: density, limits, its own story, its kernel."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

import clvmodels as clv
from clvmodels.data import compress_spend
from clvmodels.forecast import sample_future
from clvmodels.foundation.events import spend_columns
from clvmodels.foundation.model import DataScale
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import Levels, SpendPatterns, Varying
from clvmodels.foundation.records import LedgerLine
from clvmodels.models import MODELS, gamma_gamma
from tests.conftest import GAMMA_GAMMA_PAPER
from tests.forecast_cases import PURCHASES, replayed

SPEND = {name: model for name, model in MODELS.items() if model.family == "spend"}
OF_AMOUNTS = tuple(name for name, model in SPEND.items() if model.density_of == "amounts")
MONTE_CARLO_ERRORS = 4
MONEY = 30.0


def around_priors(model, size, seed):
    """Parameters spread around the centres of the default priors, with finite variances of the mean spend."""
    rng = np.random.default_rng(seed)
    centres = {p.name: p.default_prior(DataScale(money=MONEY)).median for p in model.parameters}
    drawn = [
        {name: float(centre * np.exp(0.3 * rng.normal())) for name, centre in centres.items()} for _ in range(size)
    ]
    return [{**one, "q": one["q"] + 2} if "q" in one else one for one in drawn]


CASES = [(name, case) for name, model in SPEND.items() for case in around_priors(model, 2, seed=len(name))]
each_case = pytest.mark.parametrize(
    ("name", "parameters"), CASES, ids=[f"{n}-{i % 2}" for i, (n, _) in enumerate(CASES)]
)
each_model = pytest.mark.parametrize("name", SPEND)
each_of_amounts = pytest.mark.parametrize("name", OF_AMOUNTS)


def summary(amounts, first=None):
    """Customers with these repeat purchases, a list of amounts each, and perhaps the first one."""
    size = len(amounts)
    frequency = np.array([float(len(of_one)) for of_one in amounts])
    buyer = np.repeat(np.arange(size), frequency.astype(int))
    columns = spend_columns(buyer, np.concatenate([np.asarray(of_one, float) for of_one in amounts]), size)
    free = columns["monetary_value"] == 0
    columns["monetary_value"][free] = np.nan
    age = np.full(size, 40.0)
    return clv.CustomerSummary(
        customer_id=np.array([f"c{i}" for i in range(size)], dtype=object),
        frequency=frequency,
        recency=np.where(frequency > 0, 30.0, 0.0),
        T=age,
        **columns,
        set_aside=(LedgerLine("no_positive_spend", int(free.sum()), 0.0),),
        first_amount=np.full(size, np.nan) if first is None else np.asarray(first, float),
        current_value=np.full(size, np.nan),
        unit="week",
        currency="USD",
    )


def patterns_of(amounts):
    """Patterns in the order of the customers, not compressed."""
    columns = summary(amounts)
    logs = columns.log_amount, columns.log_amount_sd
    return SpendPatterns(Levels.of(columns.frequency), columns.monetary_value, np.ones(len(amounts)), "USD", *logs)


def log_likelihood(name, parameters, amounts):
    return SPEND[name].log_likelihood(parameters, patterns_of(amounts), NUMPY_OPS)


def history_of(name, amounts):
    customers = summary(amounts)
    return tuple(np.nan_to_num(customers.column(column)) for column in SPEND[name].history)


def expected(name, parameters, amounts):
    return SPEND[name].formulas["expected_spend"](parameters, *history_of(name, amounts))


def population_mean(name, parameters):
    return float(expected(name, parameters, [[]])[0])


def one_amount(name, parameters, of_customer, log_z):
    """Log density of an amount of a customer whose latent value is `of_customer`; independent of the models' code."""
    if name == "lognormal_spend":
        return stats.norm.logpdf(log_z, of_customer, parameters["sigma"]) - log_z
    return stats.gamma.logpdf(np.exp(log_z), parameters["p"], scale=np.exp(-of_customer))


def latent(name, parameters, values):
    """Log density of a customer's latent value: log m_i, or log nu."""
    if name == "lognormal_spend":
        return stats.norm.logpdf(values, np.log(parameters["m"]), parameters["tau"])
    return stats.loggamma.logpdf(values, parameters["q"], loc=-np.log(parameters["v"]))


def latent_grid(name, parameters):
    centre = np.log(parameters["m"]) if name == "lognormal_spend" else np.log(parameters["q"] / parameters["v"])
    return np.linspace(centre - 12, centre + 6, 20_001)  # the trapezoidal rule is exact on smooth humps


# The density


@each_of_amounts
@pytest.mark.parametrize("before", [[], [12.0], [12.0, 55.0, 20.0]])
def test_the_density_of_a_further_amount_given_those_before_integrates_to_one(name, before):
    """So the density of any number of amounts does; and their mean is what is expected of the next."""
    for parameters in around_priors(SPEND[name], 2, seed=5):
        grid = np.linspace(-25, 25, 4001)
        step = grid[1] - grid[0]
        known = log_likelihood(name, parameters, [before])[0] if before else 0.0
        density = np.exp(log_likelihood(name, parameters, [[*before, z] for z in np.exp(grid)]) - known + grid)
        assert density.sum() * step == pytest.approx(1, abs=1e-8)
        mean = (density * np.exp(grid)).sum() * step
        assert mean == pytest.approx(float(expected(name, parameters, [before])[0]), rel=1e-8)


@each_of_amounts
def test_the_density_is_that_of_each_purchase_over_all_customers_like_this(name):
    amounts = [[12.0], [30.0, 31.0], [5.0, 80.0, 41.0, 17.0], list(np.geomspace(3, 200, 40))]
    for parameters in around_priors(SPEND[name], 3, seed=6):
        grid = latent_grid(name, parameters)
        for of_one in amounts:
            each = sum(one_amount(name, parameters, grid, np.log(z)) for z in of_one) + latent(name, parameters, grid)
            top = each.max()
            exact = top + np.log(np.exp(each - top).sum() * (grid[1] - grid[0]))
            assert log_likelihood(name, parameters, [of_one])[0] == pytest.approx(exact, abs=1e-8)


def test_the_density_of_the_mean_is_that_of_the_amounts_with_the_shares_integrated_out():
    """Two purchases of mean m: f(m) = 2 int_0^2m f(z, 2 m - z) dz. Three by Monte Carlo over the shares."""
    name, parameters, m = "gamma_gamma_transactions", GAMMA_GAMMA_PAPER, 35.0

    def pair(z):
        return float(np.exp(log_likelihood(name, parameters, [[z, 2 * m - z]])[0]))

    of_mean = np.exp(gamma_gamma.log_likelihood(parameters, patterns_of([[m, m], [m, m, m]]), NUMPY_OPS))
    assert 2 * integrate.quad(pair, 0, 2 * m, epsabs=1e-14)[0] == pytest.approx(of_mean[0], rel=1e-9)
    shares = np.random.default_rng(1).dirichlet(np.ones(3), 20_000)  # density 2 of (z_1, z_2) / 3 m
    values = np.exp(log_likelihood(name, parameters, (3 * m * shares).tolist())) * (3 * m) ** 2 * 3 / 2
    assert abs(values.mean() - of_mean[1]) < MONTE_CARLO_ERRORS * values.std() / np.sqrt(len(values))


def test_with_one_purchase_each_the_two_gamma_gammas_are_the_same():
    amounts = [[z] for z in (0.01, 3.0, 35.0, 4e5)]
    for parameters in around_priors(SPEND["gamma_gamma"], 3, seed=7):
        ours = log_likelihood("gamma_gamma_transactions", parameters, amounts)
        assert ours == pytest.approx(log_likelihood("gamma_gamma", parameters, amounts), rel=1e-13)


@each_case
@pytest.mark.parametrize("k", [0.01, 1e9])
def test_the_unit_of_money_does_not_matter(name, parameters, k):
    money = {p.name for p in SPEND[name].parameters if p.dimension == "money"}
    scaled = {letter: value * (k if letter in money else 1) for letter, value in parameters.items()}
    amounts = [[3.0], [20.0, 51.0], [250.0, 1.0, 30.0, 30.0]]
    larger = [[z * k for z in of_one] for of_one in amounts]
    density = np.ones(3) if SPEND[name].density_of == "mean_spend" else np.array([1.0, 2.0, 4.0])
    shift = log_likelihood(name, scaled, larger) - log_likelihood(name, parameters, amounts)
    assert shift == pytest.approx(-density * np.log(k), abs=1e-9)
    for known in (amounts, [[]] * 3):
        larger = [[z * k for z in of_one] for of_one in known]
        assert expected(name, scaled, larger) == pytest.approx(k * expected(name, parameters, known), rel=1e-10)


# Expectations


@each_case
def test_many_purchases_speak_for_the_customer_and_none_for_the_base(name, parameters):
    rng = np.random.default_rng(8)
    base = population_mean(name, parameters)
    own, known = [], (1, 30, 10**7)
    for latent_value in (0.2, 5.0):
        means = [history_of(name, [[latent_value * base]])[1] for _ in known]
        ours = SPEND[name].formulas["expected_spend"](parameters, np.array(known, float), np.ravel(means))
        own.append(ours[-1])
        assert np.all(np.diff(np.abs(ours - ours[-1])) < 0)
        assert np.all((ours - base) * (ours[-1] - base) > 0)
    assert own[1] / own[0] == pytest.approx(25, rel=1e-5)
    spread = MODELS[name].simulate(rng, {**parameters, **tight(name, parameters)}, np.full(1, 400_000.0))
    far = expected(name, parameters, [spread.tolist()])[0]
    assert abs(far - spread.mean()) < MONTE_CARLO_ERRORS * spread.std() / np.sqrt(len(spread))


def tight(name, parameters):
    """Customers who are all alike, at a customer's own parameters."""
    return {"tau": 1e-9} if name == "lognormal_spend" else {"q": 1e9, "v": parameters["v"] * 1e9}


@each_case
def test_amounts_that_are_all_the_same_are_expected_again(name, parameters):
    """G5: with no spread among purchases the fit's limit, p to infinity or sigma to 0."""
    certain = {"sigma": 1e-6} if name == "lognormal_spend" else {"p": 1e9, "v": parameters["v"] / 1e9}
    amounts = [[25.0], [25.0] * 3, [25.0] * 40]
    assert expected(name, {**parameters, **certain}, amounts) == pytest.approx(np.full(3, 25.0), rel=1e-2)


@each_case
def test_the_story_agrees_with_the_formulas(name, parameters):
    """What comes next less what was expected, on its own and by the past."""
    size = 40_000
    rng = np.random.default_rng(9)
    frequency = 1.0 + np.arange(size) % 4
    drawn = MODELS[name].simulate(rng, parameters, frequency)
    last = np.cumsum(frequency).astype(int) - 1
    following, before = drawn[last], np.delete(drawn, last)
    known = np.arange(size)[frequency > 1]
    past = summary(np.split(before, np.cumsum((frequency[known] - 1).astype(int))[:-1]))
    history = [np.nan_to_num(past.column(column)) for column in SPEND[name].history]
    surprise = following[known] - SPEND[name].formulas["expected_spend"](parameters, *history)
    means, base = past.monetary_value, population_mean(name, parameters)
    for weight in (np.ones(len(known)), means > base, means < 0.7 * base, history[0] > 2):
        error = (surprise * weight).std() / np.sqrt(len(known))
        assert abs((surprise * weight).mean()) < MONTE_CARLO_ERRORS * error
    new = following[frequency == 1] - base
    assert abs(new.mean()) < MONTE_CARLO_ERRORS * new.std() / np.sqrt(len(new))


@each_case
def test_the_story_takes_parameters_of_each_customer(name, parameters):
    """The same random numbers with money tenfold for every second customer: ten times the amounts."""
    frequency = np.array([3.0, 0.0, 1.0, 2.0])
    factor = np.array([1.0, 10.0, 10.0, 1.0])
    (money,) = (p.name for p in SPEND[name].parameters if p.dimension == "money")
    own = {letter: np.full(4, value) for letter, value in parameters.items()}
    alike = MODELS[name].simulate(np.random.default_rng(1), parameters, frequency)
    ours = MODELS[name].simulate(np.random.default_rng(1), {**own, money: own[money] * factor}, frequency)
    assert ours == pytest.approx(alike * np.repeat(factor, frequency.astype(int)), rel=1e-12)


@each_case
def test_draws_and_rows_broadcast(name, parameters):
    amounts = [[], [12.0], [30.0, 41.0], [5.0, 80.0, 41.0]]
    draws = {letter: value * np.array([[1.0], [1.2]]) for letter, value in parameters.items()}
    by_row = {letter: value * np.ones((1, 4)) for letter, value in draws.items()}
    table = expected(name, draws, amounts)
    assert table.shape == (2, 4)
    assert np.array_equal(table, expected(name, by_row, amounts))
    one = {letter: value * 1.2 for letter, value in parameters.items()}
    assert table[1] == pytest.approx([float(expected(name, one, [of_one])[0]) for of_one in amounts], rel=1e-12)
    likelihood = log_likelihood(name, draws, amounts[1:])
    assert likelihood[1] == pytest.approx(log_likelihood(name, one, amounts[1:]), rel=1e-13)


@each_case
def test_parameters_may_differ_over_rows(name, parameters):
    amounts = [[12.0], [30.0, 41.0], [5.0, 80.0, 41.0]]
    cell = np.repeat([0, 1], 3)
    varying = {letter: Varying(np.array([value, 1.5 * value]), cell) for letter, value in parameters.items()}
    other = {letter: 1.5 * value for letter, value in parameters.items()}
    apart = [log_likelihood(name, of_cell, amounts) for of_cell in (parameters, other)]
    assert log_likelihood(name, varying, amounts * 2) == pytest.approx(np.concatenate(apart), rel=1e-13)
    for letter in parameters:
        apart = [log_likelihood(name, {**parameters, letter: value}, amounts) for value in varying[letter].values]
        some = {**parameters, letter: varying[letter]}
        assert log_likelihood(name, some, amounts * 2) == pytest.approx(np.concatenate(apart), rel=1e-13)


@each_case
def test_formulas_are_finite_where_it_is_hard(name, parameters):
    n = np.array([1.0, 1.0, 2.0, 10_000.0, 10_000.0, 10_000.0])
    m = np.array([1e-12, 1e12, 30.0, 30.0, 1e9, 1e-9])
    logs = np.log(m) - np.array([0.0, 0.0, 1e-16, 0.2, 3.0, 0.0])
    spread = np.array([0.0, 0.0, 1e-8, 0.6, 2.0, 0.0])
    hard = SpendPatterns(Levels.of(n), m, np.ones(6), "USD", logs, spread)
    for change in ({}, {"p": 200.0}, {"p": 0.05}, {"q": 0.05}, {"sigma": 0.01}, {"tau": 1e-6}, {"tau": 5.0}):
        if set(change) <= set(parameters):
            there = {**parameters, **change}
            assert np.all(np.isfinite(SPEND[name].log_likelihood(there, hard, NUMPY_OPS)))
            own_mean = logs if name == "lognormal_spend" else m
            values = SPEND[name].formulas["expected_spend"](there, n, own_mean)
            defined = (there["p"] * n + there["q"] > 1) if "q" in there else np.full(6, fill_value=True)
            assert np.all(np.isfinite(values) == defined)
            assert np.all(values > 0)


def test_every_mean_of_lognormal_spend_is_finite_where_that_of_gamma_gamma_is_not():
    heavy = clv.fit_at("gamma_gamma_transactions", {"p": 0.4, "q": 0.5, "v": 10.0})
    wide = clv.fit_at("lognormal_spend", {"m": 10.0, "sigma": 2.0, "tau": 2.0})
    newcomer = summary([[]], first=[25.0])
    with pytest.warns(UserWarning, match="infinite"):
        assert np.isinf(clv.predict(heavy, newcomer, quantity="expected_spend").mean[0])
    assert 0 < clv.predict(wide, newcomer, quantity="expected_spend").mean[0] < 1e4


# The first basket, and the value of the next purchase


@each_model
def test_without_a_paid_repeat_the_first_basket_counts_as_one_purchase(name):
    fit = clv.fit_at(name, around_priors(SPEND[name], 1, seed=3)[0])
    baskets = summary([[], [], [], [52.0], [0.0, 0.0]], first=[52.0, np.nan, 0.0, 3.0, 52.0])
    ours = clv.predict(fit, baskets, quantity="expected_spend").mean
    base = population_mean(name, fit.point)
    assert ours == pytest.approx([ours[3], base, base, ours[3], ours[3]], rel=1e-12)
    assert ours[3] != pytest.approx(base, rel=0.01)


@each_case
def test_the_kernel_draws_what_the_formulas_say(name, parameters):
    """The mean of the next purchase, and its distribution: by the density of one amount more."""
    size = 60_000
    amounts = [[], [12.0], [60.0, 85.0, 30.0]]
    fit = clv.fit_at(name, parameters)
    drawn = replayed(clv.predict(fit, summary(amounts), quantity="spend", seed=3, draws=size), "customers")
    error = drawn.std(axis=1) / np.sqrt(size)
    assert np.all(np.abs(drawn.mean(axis=1) - expected(name, parameters, amounts)) < MONTE_CARLO_ERRORS * error)
    exact = "gamma_gamma_transactions" if name == "gamma_gamma" else name  # the same story
    grid = np.linspace(-15, 18, 3001)
    for before, values in zip(amounts, drawn, strict=True):
        known = log_likelihood(exact, parameters, [before])[0] if before else 0.0
        density = np.exp(log_likelihood(exact, parameters, [[*before, z] for z in np.exp(grid)]) - known + grid)
        below = integrate.cumulative_simpson(density, x=grid, initial=0.0)
        for place in np.quantile(values, [0.02, 0.3, 0.7, 0.98]):
            share = np.interp(np.log(place), grid, below)
            assert abs((values <= place).mean() - share) < MONTE_CARLO_ERRORS * np.sqrt(share * (1 - share) / size)


@each_model
def test_the_next_purchase_is_the_first_of_the_future(name):
    fit = clv.fit_at(name, around_priors(SPEND[name], 1, seed=3)[0])
    customers = summary([[30.0, 40.0], [9.0]])
    future = sample_future(PURCHASES, fit, customers, horizon=20, seed=6, draws=300, discount_per_unit=0.0)
    count, spend = (replayed(of, "customers") for of in (future.purchases, future.spend))
    amounts = replayed(clv.predict(fit, customers, quantity="spend", seed=6, draws=300), "customers")
    assert (count == 1).sum() > 50
    assert np.array_equal(spend[count == 1], amounts[count == 1])


def test_the_next_purchase_has_no_horizon_and_needs_a_seed():
    fit = clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER)
    customers = summary([[30.0, 40.0]])
    with pytest.raises(clv.DataError, match="leave out horizon"):
        clv.predict(fit, customers, quantity="spend", seed=1, horizon=5.0)
    with pytest.raises(clv.DataError, match="give a seed"):
        clv.predict(fit, customers, quantity="spend")


# Fits


@each_model
def test_parameters_are_recovered_from_simulated_customers(name):
    """20 data sets of 800 customers: the errors of the maximum likelihood estimates in standard errors."""
    scores = []
    for seed in range(20):
        truth = around_priors(SPEND[name], 1, seed=seed)[0]
        rng = np.random.default_rng(seed)
        frequency = rng.geometric(0.3, 800).astype(float)
        drawn = MODELS[name].simulate(rng, truth, frequency)
        customers = summary(np.split(drawn, np.cumsum(frequency.astype(int))[:-1]))
        fit = clv.fit(name, customers, method="mle")
        relative = {k: np.log(fit.point[k] / truth[k]) * fit.point[k] / fit.standard_errors[k] for k in truth}
        scores.append(list(relative.values()))
    assert np.abs(scores).max() < 4
    assert 0.5 < np.mean(np.square(scores)) < 1.7


@pytest.fixture(scope="module")
def cdnow_fits(cdnow):
    return {name: clv.fit(name, cdnow, draws=1000, seed=1) for name in SPEND}


def test_single_purchases_tell_more_of_p_than_means_do(cdnow_fits):
    of_means, of_amounts = (cdnow_fits[name].draws["p"] for name in ("gamma_gamma", "gamma_gamma_transactions"))
    assert float(of_amounts.std()) < 0.2 * float(of_means.std())


def test_amounts_of_cdnow_are_rather_lognormal(cdnow_fits, cdnow):
    """And purchases differ by more than the means alone make Gamma-Gamma believe: p 3.6, not 6.2."""
    table = clv.compare_models({name: cdnow_fits[name] for name in OF_AMOUNTS}, cdnow)
    assert list(table.index) == ["lognormal_spend", "gamma_gamma_transactions"]
    assert table["elpd"].tolist() == pytest.approx([-10700.7, -10711.2], abs=1.0)
    assert table["unreliable"].tolist() == [0, 0]
    assert float(cdnow_fits["gamma_gamma_transactions"].draws["p"].mean()) == pytest.approx(3.61, abs=0.03)


@each_of_amounts
def test_a_density_of_amounts_is_not_compared_with_one_of_means(name, cdnow_fits, cdnow):
    with pytest.raises(clv.FitError, match=f"gamma_gamma of the mean spend, {name} of the amounts"):
        clv.compare_models({"gamma_gamma": cdnow_fits["gamma_gamma"], name: cdnow_fits[name]}, cdnow)


@each_of_amounts
def test_what_is_missing_of_the_amounts_is_said(name, cdnow):
    columns = ["frequency", "recency", "T", "monetary_value", "paid_purchases"]
    frame = cdnow.to_pandas().set_index("customer_id")
    needed = ", ".join(SPEND[name].reads)
    with pytest.raises(clv.DataError, match=f"have no {needed}: this spend model learns from every amount"):
        clv.fit(name, clv.CustomerSummary.from_frame(frame[columns], unit="week"), seed=1)
    brought = frame.assign(log_amount=frame["log_amount"] / np.log(10))
    wrong = clv.CustomerSummary.from_frame(brought.assign(log_amount=frame["log_amount"] + 1), unit="week")
    with pytest.raises(clv.DataError, match="log_amount is above the logarithm of the mean"):
        clv.fit(name, wrong, seed=1)


@each_of_amounts
def test_free_purchases_are_left_out(name):
    """A free purchase more changes neither likelihood nor forecast."""
    paid, with_free = summary([[12.0], [30.0, 41.0]]), summary([[12.0, 0.0], [30.0, 0.0, 41.0, 0.0]])
    patterns = [compress_spend(of, reads=SPEND[name].reads)[0] for of in (paid, with_free)]
    for parameters in around_priors(SPEND[name], 2, seed=1):
        one, other = (SPEND[name].log_likelihood(parameters, of, NUMPY_OPS) for of in patterns)
        assert other == pytest.approx(one, rel=1e-12)
        fit = clv.fit_at(name, parameters)
        one, other = (clv.predict(fit, of, quantity="expected_spend").mean for of in (paid, with_free))
        assert other == pytest.approx(one, rel=1e-12)


@each_model
def test_simulated_bases_have_the_spend_of_the_model(name):
    """First baskets and repeats of a customer are of one story; the fit finds the parameters again."""
    truth = around_priors(SPEND[name], 1, seed=11)[0]
    customers, future = clv.simulate(
        "bg_nbd", {"r": 0.8, "alpha": 4.0, "a": 0.8, "b": 2.4}, T=40.0, size=6000, seed=1, spend=truth, spend_model=name
    )
    base = population_mean(name, truth)
    first = customers.first_amount
    assert abs(first.mean() - base) < MONTE_CARLO_ERRORS * first.std() / np.sqrt(len(first))
    fit = clv.fit(name, customers, method="mle")
    assert all(abs(fit.point[k] - truth[k]) < 4 * fit.standard_errors[k] for k in truth)
    new = customers.frequency == 0
    bought = new & (future["purchases"].to_numpy() > 0)
    worth = future["amount"].to_numpy()[bought] / future["purchases"].to_numpy()[bought]
    surprise = worth - clv.predict(clv.fit_at(name, truth), customers, quantity="expected_spend").mean[bought]
    assert abs(surprise.mean()) < MONTE_CARLO_ERRORS * surprise.std() / np.sqrt(len(surprise))


def test_a_purchase_model_tells_no_amounts():
    with pytest.raises(clv.FitError, match="bg_nbd does not tell what a purchase is worth"):
        clv.simulate("nbd", {"r": 1.0, "alpha": 4.0}, T=9.0, size=5, seed=1, spend={"m": 1.0}, spend_model="bg_nbd")


@each_model
def test_values_of_customers_follow_from_the_model(name, tmp_path):
    """Newcomers are worth the mean of the base; drawn CLV has the expected one as its mean; a saved fit is the same."""
    fit = clv.fit_at(name, around_priors(SPEND[name], 1, seed=4)[0])
    customers = summary([[], [12.0], [60.0, 85.0, 30.0]], first=[20.0, 9.0, np.nan])
    new = customers.as_newcomers(np.full(3, 10.0))
    base = population_mean(name, fit.point)
    assert clv.predict(fit, new, quantity="expected_spend").mean == pytest.approx(np.full(3, base), rel=1e-12)
    value = {"horizon": 52.0, "annual_discount_rate": 0.1}
    mean = clv.expected_clv(PURCHASES, fit, customers, **value).mean
    drawn = clv.sample_clv(PURCHASES, fit, customers, **value, seed=1, draws=40_000)
    assert np.all(np.abs(drawn.mean - mean) < MONTE_CARLO_ERRORS * drawn.sd / np.sqrt(40_000))
    fit.save(tmp_path / "spend.nc")
    again = clv.load_fit(tmp_path / "spend.nc")
    assert np.array_equal(
        clv.predict(again, customers, quantity="expected_spend").mean, _expected_spend(fit, customers)
    )


def _expected_spend(fit, customers):
    return clv.predict(fit, customers, quantity="expected_spend").mean


@each_model
def test_a_covariate_acts_on_the_scale_of_spend(name):
    """G3 in a fit: amounts tenfold for half of the customers give a coefficient of log 10."""
    truth = around_priors(SPEND[name], 1, seed=2)[0]
    rng = np.random.default_rng(2)
    frequency = rng.geometric(0.4, 1500).astype(float)
    kind = rng.integers(0, 2, 1500).astype(float)
    drawn = MODELS[name].simulate(rng, truth, frequency) * np.repeat(10.0**kind, frequency.astype(int))
    customers = summary(np.split(drawn, np.cumsum(frequency.astype(int))[:-1]))
    customers = replace(customers, covariates={"kind": kind})
    (scale,) = (p.name for p in SPEND[name].parameters if p.covariates)
    fit = clv.fit(name, customers, covariates=["kind"], draws=300, seed=1)
    gamma = fit.draws[f"gamma_{scale}"].to_numpy()
    assert abs(gamma.mean() - np.log(10)) < MONTE_CARLO_ERRORS * gamma.std()
    plain = replace(customers, covariates={"kind": np.zeros(1500)})
    ratio = _expected_spend(fit, customers.as_newcomers(np.ones(1500))) / _expected_spend(
        fit, plain.as_newcomers(np.ones(1500))
    )
    assert ratio[kind == 1].mean() == pytest.approx(np.exp(gamma).mean(), rel=0.01)
