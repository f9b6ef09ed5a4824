"""Covariates and groups: exact where they do nothing, right where they do, refused where they cannot be."""

import dataclasses
import datetime as dt
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.data import learnt_spend
from clvmodels.foundation.effects import cells_of, group_labels, learn_effects
from clvmodels.foundation.patterns import Levels, PurchasePatterns, RetentionPatterns, SpendPatterns
from clvmodels.foundation.priors import HalfNormal
from clvmodels.inference.fitting import COEFFICIENT, GROUP_SD, data_scale
from clvmodels.inference.likelihood import design_of, has_spend, patterns_of
from clvmodels.inference.optimise import find_mode, gradient
from clvmodels.inference.parameters import customer_parameters
from clvmodels.inference.target import Target, log_density
from clvmodels.models import MODELS
from tests.effects_cases import customers_of, densities_with_groups, traits
from tests.forecast_cases import readable_by

OF_CUSTOMERS = {name: model for name, model in MODELS.items() if model.family != "retention"}
TAKING = [name for name, model in OF_CUSTOMERS.items() if any(p.covariates for p in model.parameters)]
SAMPLED = [name for name in TAKING if "nuts" in MODELS[name].methods]


def target_of(name, customers, *, covariates=(), groups="", bayes=True, compressed=True):
    """The target of a fit, from patterns or from a row a customer."""
    model, customers = MODELS[name], readable_by(name, customers)
    model = model if model.counted is None else model.at_counts[2]
    if model.family == "spend":
        customers = customers.take(has_spend(customers))
    effects = learn_effects(model, customers, covariates=covariates, groups=groups)
    cells = cells_of(effects, customers)
    patterns, index = patterns_of(model, customers, cells)
    scale = data_scale(patterns)
    if not compressed:
        patterns, index = row_by_row(model, customers), np.arange(len(customers))
    priors = {p.name: p.default_prior(scale) for p in model.parameters}
    priors |= {f"gamma_{parameter}": COEFFICIENT for parameter in effects.covariates}
    priors |= {f"{parameter}_group_sd": GROUP_SD for parameter in effects.groups}
    design = design_of(model, effects, cells, index)
    return Target(model, patterns, scale, priors if bayes else {}, effects, design)


def row_by_row(model, customers):
    if model.family == "purchases":
        rows = PurchasePatterns.of(customers.frequency, customers.recency, customers.T, customers.unit)
        return dataclasses.replace(rows, **{name: np.nan_to_num(customers.column(name)) for name in model.reads})
    if model.family == "retention":
        exact = customers.clock == "continuous"
        before = np.where(customers.lost & (not exact), customers.age - 1, customers.age)
        entry, before, age, start = map(Levels.of, (customers.entry, before, customers.age, np.zeros(len(customers))))
        ones, lost = np.ones(len(customers)), customers.lost.astype(float)
        return RetentionPatterns(entry, before, age, lost, ones, customers.unit, exact, start)
    purchases, mean = learnt_spend(customers, model.reads)
    further = {name: getattr(customers, name) for name in model.reads}
    return SpendPatterns(Levels.of(purchases), mean, np.ones(len(mean)), customers.currency, **further)


@pytest.fixture(scope="module")
def people():
    """1,200 customers; the rate rises with age and in the shop, spend with age."""
    frame = traits(1200, seed=1)
    effect = 0.03 * (frame["age"] - 40.0) + 0.6 * (frame["channel"] == "shop")
    spend = 15.0 * np.exp(0.01 * (frame["age"] - 40.0))
    return SimpleNamespace(frame=frame, customers=customers_of(frame, seed=2, alpha=6.0 * np.exp(-effect), v=spend))


@pytest.fixture(scope="module")
def cdnow_people(cdnow):
    """CDNOW's customers with made-up traits: dates in whole days, so that patterns stand for several."""
    frame = traits(len(cdnow), seed=3).assign(customer_id=cdnow.customer_id)
    frame["age"] = (frame["age"] / 10).round()
    return cdnow.with_columns(frame, covariates=["age", "channel"], groups=["region"])


@pytest.fixture(scope="module")
def covariate_fits(people):
    """Laplace fits of purchases and spend with covariates."""
    purchases = clv.fit("bg_nbd", people.customers, covariates={"alpha": ["age", "channel"]}, draws=400, seed=1)
    spend = clv.fit("gamma_gamma", people.customers, covariates=["age"], draws=400, seed=2)
    return purchases, spend


@pytest.fixture(scope="module")
def few():
    """400 customers of three regions that differ in rate."""
    frame = traits(400, seed=5)
    alpha = frame["region"].map({"north": 6.0, "south": 10.0, "west": 3.0}).to_numpy()
    return customers_of(frame, seed=6, alpha=alpha)


@pytest.fixture(scope="module")
def group_fit(few):
    fit = clv.fit(
        "bg_nbd", few, groups={"alpha": "region"}, covariates={"alpha": ["age"]}, method="nuts", draws=400, seed=1
    )
    return fit.allowing("effective_draws", "r_hat")


# The target


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.family == "purchases"])
def test_every_purchase_model_takes_covariates(name):
    assert name in TAKING


@pytest.mark.parametrize("name", TAKING)
def test_coefficients_of_zero_give_the_plain_likelihood(name, cdnow_people):
    with_covariates = target_of(name, cdnow_people, covariates=["age", "channel"], bayes=False)
    plain = target_of(name, cdnow_people, bayes=False)
    base = plain.starts + np.random.default_rng(1).normal(size=(4, len(plain.starts)))
    zeros = np.zeros((4, with_covariates.size - base.shape[1]))
    assert zeros.shape[1] == 3 * sum(bool(p.covariates) for p in plain.model.parameters)
    ours = log_density(with_covariates, np.hstack([base, zeros]))
    assert ours == pytest.approx(log_density(plain, base), rel=1e-10)
    ones = log_density(with_covariates, np.hstack([base, zeros + 0.3]))
    assert (np.abs(ones - ours) > 1.0).all()


@pytest.mark.parametrize("columns", [("region",), ("region", "channel")])
@pytest.mark.parametrize("name", SAMPLED)
def test_the_graph_and_numpy_have_the_same_target_with_covariates_and_groups(name, columns, few):
    """The graph's density of z is that of base and levels by their definition, times how these stretch with z."""
    parameter = next(p.name for p in MODELS[name].parameters if p.covariates)
    target = target_of(name, few, covariates={parameter: ["age"]}, groups={parameter: columns})
    for sds in ((0.05, 0.4), (1.3, 0.2)):
        of_graph, by_definition = densities_with_groups(target, sds)
        assert of_graph == pytest.approx(by_definition, rel=1e-9)


@pytest.mark.parametrize("name", TAKING)
def test_compression_with_cells_is_exact(name, cdnow_people):
    parameter = next(p.name for p in MODELS[name].parameters if p.covariates)
    effects = {"covariates": {parameter: ["age", "channel"]}, "groups": {MODELS[name].parameters[0].name: "region"}}
    patterns = target_of(name, cdnow_people, **effects)
    rows = target_of(name, cdnow_people, **effects, compressed=False)
    assert len(patterns.patterns) < len(rows.patterns) == patterns.patterns.n_customers.sum()
    phi = patterns.starts + 0.3 * np.random.default_rng(3).normal(size=(3, patterns.size))
    assert log_density(patterns, phi) == pytest.approx(log_density(rows, phi), rel=1e-12)


@pytest.mark.parametrize("groups", [{}, {"alpha": "region", "b": "region"}, {"alpha": ["region", "channel"]}])
def test_derivatives_by_the_chain_rule_are_those_of_the_whole_density(people, groups):
    target = target_of(
        "bg_nbd", people.customers, covariates={"alpha": ["age", "channel"], "a": ["age"]}, groups=groups
    )
    mode = find_mode(target)
    apart = mode.phi + 0.5 * mode.root @ np.random.default_rng(4).normal(size=target.size)
    steps = 1e-4 * np.eye(target.size)
    ahead, behind = log_density(target, apart + steps), log_density(target, apart - steps)
    assert gradient(target, apart) == pytest.approx((ahead - behind) / 2e-4, rel=1e-5, abs=1e-4)
    slopes = [(gradient(target, mode.phi + 10 * s) - gradient(target, mode.phi - 10 * s)) / 2e-3 for s in steps]
    assert mode.precision == pytest.approx(-np.array(slopes), rel=1e-3, abs=1e-3 * np.abs(mode.precision).max() ** 0.5)


# Fits


def test_a_fit_with_covariates_recovers_the_coefficients():
    """z scores of 12 fits: mean square near 1, none beyond 4; a sign that is turned round is far beyond."""
    truth = {"gamma_alpha[age]": 0.02, "gamma_alpha[channel[shop]]": 0.5, "gamma_b[age]": -0.02}
    scores = []
    for seed in range(12):
        frame = traits(1500, seed=seed)
        age = frame["age"].to_numpy() - 40.0
        alpha = 6.0 * np.exp(-(0.02 * age + 0.5 * (frame["channel"] == "shop")))
        customers = customers_of(frame, seed=100 + seed, alpha=alpha, b=2.5 * np.exp(-0.02 * age))
        fit = clv.fit("bg_nbd", customers, method="mle", covariates={"alpha": ["age", "channel"], "b": ["age"]})
        scores += [(fit.point[name] - value) / fit.standard_errors[name] for name, value in truth.items()]
    assert np.abs(scores).max() < 4
    assert 0.5 < np.mean(np.square(scores)) < 1.7  # chi-square of 36: 0.5 and 1.7 are beyond .003 and .995


@pytest.mark.parametrize(("name", "parameter", "coefficient"), [("pareto_nbd", "beta", 0.5), ("gamma_gamma", "v", 0.3)])
def test_other_models_recover_a_coefficient_in_its_direction(name, parameter, coefficient):
    """A positive coefficient shortens a Pareto/NBD customer's life, and raises the spend of Gamma-Gamma."""
    frame = traits(3000, seed=7)
    web = (frame["channel"] == "web").to_numpy()
    base, sign = {"beta": (12.0, -1), "v": (15.0, 1)}[parameter]
    story = "pareto_nbd" if name == "pareto_nbd" else "bg_nbd"
    customers = customers_of(frame, seed=8, model=story, **{parameter: base * np.exp(sign * coefficient * web)})
    customers = customers.with_columns(frame.assign(web=web), covariates=["web"])
    fit = clv.fit(name, customers, method="mle", covariates={parameter: ["web"]})
    score = (fit.point[f"gamma_{parameter}[web]"] - coefficient) / fit.standard_errors[f"gamma_{parameter}[web]"]
    assert abs(score) < 4
    assert fit.point[f"gamma_{parameter}[web]"] > 3 * fit.standard_errors[f"gamma_{parameter}[web]"]


@pytest.mark.parametrize("method", ["mle", "laplace"])
def test_rescaling_a_covariate_rescales_its_coefficient_and_leaves_the_forecast(people, method):
    other = people.customers.with_columns(people.frame.assign(age=12 * people.frame["age"] + 500), covariates=["age"])
    draws = {} if method == "mle" else {"draws": 300, "seed": 3}
    one, two = (
        clv.fit("bg_nbd", customers, method=method, covariates={"alpha": ["age"], "b": ["age"]}, **draws)
        for customers in (people.customers, other)
    )
    for name in ("gamma_alpha", "gamma_b"):
        assert 12 * two.draws[name].values == pytest.approx(one.draws[name].values, rel=1e-5)
    assert two.draws["r"].values == pytest.approx(one.draws["r"].values, rel=1e-5)
    ahead = [
        clv.predict(fit, customers.take(np.arange(100)), quantity="expected_purchases", horizon=26.0).mean
        for fit, customers in ((one, people.customers), (two, other))
    ]
    assert ahead[1] == pytest.approx(ahead[0], rel=1e-5)


def test_a_covariate_that_matters_gains_and_a_useless_one_gains_by_chance(people):
    """Twice the gain of a useless covariate is chi-square; over 30 data sets the sum is inside .001 to .999."""
    plain = clv.fit("bg_nbd", people.customers, method="mle")
    fit = clv.fit("bg_nbd", people.customers, method="mle", covariates={"alpha": ["age", "channel"]})
    assert 2 * (fit.log_likelihood - plain.log_likelihood) > stats.chi2.ppf(0.9999, 3)
    gains = []
    for seed in range(30):
        customers = customers_of(traits(300, seed=seed), seed=200 + seed, model="nbd")
        without, useless = (
            clv.fit("nbd", customers, method="mle", covariates=c).log_likelihood for c in ((), ["age", "channel"])
        )
        gains.append(2 * (useless - without))
    assert min(gains) > 0
    low, high = stats.chi2.ppf([0.001, 0.999], 3 * len(gains))
    assert low < sum(gains) < high


def test_laplace_and_nuts_draw_from_one_posterior_with_covariates(few):
    """Means of coefficients and of log parameters of an average customer within .15 sd, sds within 15 %."""
    frames = []
    for method in ("laplace", "nuts"):
        fit = clv.fit("bg_nbd", few, covariates={"alpha": ["age", "channel"]}, method=method, draws=2000, seed=9)
        gamma = fit.draws["gamma_alpha"].values.reshape(-1, 3)
        means = [column.centre for column in fit.effects.covariates["alpha"]]
        columns = {name: np.log(values.ravel()) for name, values in fit.columns().items()}
        columns["alpha"] = columns["alpha"] - gamma @ means
        frames.append(pd.DataFrame({**columns, **dict(enumerate(gamma.T))}))
        assert fit.method == method
        assert fit.passed
    laplace, nuts = frames
    assert (np.abs(laplace.mean() - nuts.mean()) < 0.15 * nuts.std()).all()
    assert (np.abs(laplace.std() / nuts.std() - 1) < 0.15).all()


def test_row_order_does_not_matter_to_a_fit_with_covariates(people):
    """The mean of an age that is not whole once depended on the order in which it was summed, one time in four."""
    order = np.random.default_rng(5).permutation(1200)
    for seed in range(20):
        age = np.random.default_rng(seed).normal(40.0, 10.0, 1200)
        customers = people.customers.with_columns(people.frame.assign(age=age), covariates=["age"])
        one, other = (learn_effects(MODELS["nbd"], c, covariates=["age"]) for c in (customers, customers.take(order)))
        assert one == other
    one, other = (
        clv.fit("bg_nbd", c, covariates={"alpha": ["age", "channel"]}, draws=100, seed=6)
        for c in (customers, customers.take(order))
    )
    assert one.draws.identical(other.draws)


def test_customers_counted_in_rows_weigh_as_many(people):
    """The centre, the reference category and the fit are those of a row a customer."""
    rows = people.customers.to_pandas().assign(age=people.frame["age"], channel=people.frame["channel"])
    counts = np.random.default_rng(6).integers(1, 4, len(rows))
    each = rows.loc[np.repeat(rows.index, counts)].assign(customer_id=np.arange(counts.sum()))
    summaries = [
        clv.CustomerSummary.from_frame(frame, unit="week", covariates=["age", "channel"])
        for frame in (rows.assign(n_customers=counts), each)
    ]
    fits = [clv.fit("bg_nbd", c, method="mle", covariates={"alpha": ["age", "channel"]}) for c in summaries]
    assert fits[0].point == pytest.approx(fits[1].point, rel=1e-6)
    assert fits[0].effects.covariates["alpha"][0].centre == pytest.approx(each["age"].mean(), rel=1e-12)


# Categories and groups


def test_the_reference_is_the_most_frequent_category(people):
    effects = learn_effects(MODELS["nbd"], people.customers, covariates=["channel"])
    columns = effects.covariates["alpha"]
    assert [column.name for column in columns] == ["channel[app]", "channel[shop]"]
    assert {column.reference for column in columns} == {"web"}


def test_the_coefficient_of_a_category_is_against_the_reference(people):
    """As if the two 0 and 1 columns had been given as numbers."""
    frame = people.frame.assign(app=people.frame["channel"] == "app", shop=people.frame["channel"] == "shop")
    customers = people.customers.with_columns(frame, covariates=["app", "shop"])
    text = clv.fit("nbd", customers, method="mle", covariates={"alpha": ["channel"]})
    numbers = clv.fit("nbd", customers, method="mle", covariates={"alpha": ["app", "shop"]})
    assert text.log_likelihood == pytest.approx(numbers.log_likelihood, rel=1e-9)
    assert text.point["gamma_alpha[channel[shop]]"] == pytest.approx(numbers.point["gamma_alpha[shop]"], rel=1e-5)


def test_groups_of_numbers_are_named_without_decimals(people):
    store = np.random.default_rng(7).choice([3, 12, 150], 1200)
    for values in (store, store.astype(float), store.astype(str)):
        customers = people.customers.with_columns(people.frame.assign(store=values), groups=["store"])
        assert set(group_labels(customers, "store")) == {"3", "12", "150"}


def test_months_of_acquisition_are_those_of_the_first_purchases(cdnow_log, cdnow):
    log = cdnow_log.table.to_pandas()
    first = pd.to_datetime(log.groupby("customer_id")["date"].min()).dt.strftime("%Y-%m")
    labels = group_labels(cdnow, "acquisition_month")
    assert set(labels) == {"1997-01", "1997-02", "1997-03"}
    assert labels.tolist() == first.loc[cdnow.customer_id.tolist()].tolist()


def test_some_customers_keep_their_columns(people):
    rows = np.array([5, 900, 3])
    some = people.customers.take(rows)
    assert some.covariates["age"].tolist() == people.frame["age"].iloc[rows].tolist()
    assert some.covariates["channel"].tolist() == people.frame["channel"].iloc[rows].tolist()
    assert some.groups["region"].tolist() == people.frame["region"].iloc[rows].tolist()


def test_columns_are_joined_by_customer_and_not_by_row(people):
    mixed = people.frame.sample(frac=1.0, random_state=np.random.default_rng(8))
    bare = clv.CustomerSummary.from_frame(people.customers.to_pandas(), unit="week")
    joined = bare.with_columns(mixed, covariates=["age"], groups=["region"])
    assert joined.covariates["age"].tolist() == people.customers.covariates["age"].tolist()
    assert joined.groups["region"].tolist() == people.customers.groups["region"].tolist()


# Forecasts


def test_a_customer_is_forecast_by_the_customers_own_parameters(people, covariate_fits):
    """The formula at parameters worked out here from the draws, one customer at a time."""
    fit, _ = covariate_fits
    customers, rows = people.customers, [0, 7, 300, 1199]
    gamma = fit.draws["gamma_alpha"].values.reshape(400, 3)
    forecast = clv.predict(fit, customers, quantity="expected_purchases", horizon=30.0)
    for row in rows:
        channel = people.frame["channel"][row]
        z = np.array([people.frame["age"][row], channel == "app", channel == "shop"])
        theta = fit.columns()
        theta["alpha"] = theta["alpha"] * np.exp(-gamma @ z)[:, None]
        history = (column[[row]] for column in (customers.frequency, customers.recency, customers.T))
        expected = fit.model.formulas["expected_purchases"](theta, *history, 30.0)
        assert forecast.mean[row] == pytest.approx(expected.mean(), rel=1e-9)


def test_outcomes_with_covariates_average_to_the_expectation(people, covariate_fits):
    """By customer: z scores of mean outcomes against expectations, of purchases and of value."""
    fit, spend = covariate_fits
    customers = people.customers.take(np.arange(0, 1200, 12))
    alive = clv.predict(fit, customers, quantity="p_alive").mean > 0.05  # the others hardly ever buy
    customers = customers.take(alive)
    outcome = clv.predict(fit, customers, quantity="purchases", horizon=30.0, seed=1, draws=4000)
    expected = clv.predict(fit, customers, quantity="expected_purchases", horizon=30.0)
    scores = (outcome.mean - expected.mean) / (outcome.sd / np.sqrt(4000))
    assert np.abs(scores).max() < 4.5
    assert 0.7 < np.mean(scores**2) < 1.4
    kw = {"horizon": 30.0, "annual_discount_rate": 0.1}
    value = clv.sample_clv(fit, spend, customers, seed=2, draws=4000, **kw)
    mean = clv.expected_clv(fit, spend, customers, **kw)
    scores = (value.mean - mean.mean) / (value.sd / np.sqrt(4000))
    assert np.abs(scores).max() < 5.0
    by_age = np.polyfit(customers.covariates["age"], np.log(mean.mean), 1)[0]
    assert by_age > 0.01  # older customers buy more often and spend more


@pytest.mark.parametrize("grouped", [False, True])
def test_order_subset_and_slices_change_no_forecast(people, covariate_fits, few, group_fit, grouped, monkeypatch):
    fit, customers = (group_fit, few) if grouped else (covariate_fits[0], people.customers.take(np.arange(400)))
    order = np.random.default_rng(9).permutation(400)
    some = order[:57]

    def forecasts(of):
        return (
            clv.predict(fit, of, quantity="expected_purchases", horizon=20.0),
            clv.predict(fit, of, quantity="purchases", horizon=20.0, seed=4),
        )

    whole = forecasts(customers)
    for rows in (order, some):
        for all_of_them, these in zip(whole, forecasts(customers.take(rows)), strict=True):
            for column in ("mean", "sd", "q05", "q50", "q95"):
                assert np.array_equal(getattr(all_of_them, column)[rows], getattr(these, column))
    monkeypatch.setattr(import_module("clvmodels.forecast.expectations"), "SLICE_CELLS", 3000)
    assert np.array_equal(forecasts(customers)[0].mean, whole[0].mean)


def test_one_customer_alone_has_the_same_parameters_bit_for_bit(people, covariate_fits):
    whole = customer_parameters(covariate_fits[0], people.customers)
    for row in range(100):
        alone = customer_parameters(covariate_fits[0], people.customers.take(np.array([row])))
        assert np.array_equal(alone.at(alone.cell), whole.at(whole.cell)[[row]])


@pytest.mark.parametrize("grouped", [False, True])
def test_a_saved_fit_gives_the_same_forecast(people, covariate_fits, few, group_fit, grouped, tmp_path):
    fit, customers = (group_fit, few) if grouped else (covariate_fits[0], people.customers)
    fit.save(tmp_path / "fit.nc")
    loaded = clv.load_fit(tmp_path / "fit.nc")
    assert loaded.draws.identical(fit.draws)
    assert loaded.effects == fit.effects
    for kw in ({"quantity": "p_alive"}, {"quantity": "purchases", "horizon": 9.0, "seed": 3}):
        one, other = (clv.predict(f, customers, **kw) for f in (fit, loaded))
        assert np.array_equal(one.mean, other.mean)
        assert np.array_equal(one.total_draws, other.total_draws)


def test_groups_differ_as_the_customers_do(group_fit, few):
    """alpha of the regions was 6, 10 and 3: west buys most, south least, and so do the forecasts."""
    alpha = group_fit.draws["alpha_by_region"].mean(("chain", "draw")).to_series()
    assert alpha["west"] < alpha["north"] < alpha["south"]
    new = few.take(np.arange(3))
    frame = pd.DataFrame({"customer_id": ["n", "s", "w"], "frequency": 0, "recency": 0.0, "T": 0.0, "age": 40.0})
    frame["region"] = ["north", "south", "west"]
    new = clv.CustomerSummary.from_frame(frame, unit="week", covariates=["age"], groups=["region"])
    north, south, west = clv.predict(group_fit, new, quantity="expected_purchases", horizon=52.0).mean
    assert west > north > south


# Refusals


@pytest.fixture
def no_search(monkeypatch):
    """Any search for a mode would fail: what is refused is refused before it."""
    monkeypatch.setattr("clvmodels.inference.fitting.find_mode", None)


def changed(people, **columns):
    """The same customers with some of their traits changed."""
    frame = people.frame.assign(**columns)
    return people.customers.with_columns(frame, covariates=["age", "channel"], groups=["region"])


def holes(values, missing):
    column = pd.Series(values, dtype=object)
    column[[3, 7]] = missing
    return column


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": lambda f: holes(f["age"], None)}, r'"age" is missing or not finite for 2 .*first: customer_id c00003'),
        ({"age": lambda f: holes(f["age"], np.inf)}, r'"age" is missing or not finite for 2 customers'),
        ({"channel": lambda f: holes(f["channel"], None)}, r'"channel" is missing .* 2 customers \(first: .* c00003'),
        ({"age": 41}, r'"age" is 41 for all customers'),
        ({"channel": "web"}, r'"channel" is "web" for all customers'),
        ({"age": lambda f: (f["channel"] == "app").astype(float)}, r"one of them follows from the others"),
        ({"channel": lambda f: "k" + pd.Series(np.arange(1200) % 51).astype(str)}, r"51 categories, at most 50"),
    ],
)
def test_a_covariate_that_cannot_be_used_is_refused(people, columns, message):
    with pytest.raises(clv.DataError, match=message):
        clv.fit("bg_nbd", changed(people, **columns), method="mle", covariates={"alpha": ["age", "channel"]})


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(
    ("model", "arguments", "error", "message"),
    [
        ("bg_nbd", {"covariates": {"alpha": ["income"]}}, clv.DataError, r'"income".*there are: age, channel'),
        ("bg_nbd", {"covariates": {"delta": ["age"]}}, clv.FitError, r'"delta": in bg_nbd they act on alpha, a, b'),
        ("bg_nbd", {"covariates": {"r": ["age"]}}, clv.FitError, r'"r": in bg_nbd they act on alpha, a, b'),
        ("bg_nbd", {"covariates": "age"}, clv.FitError, r"expected a list of column names"),
        ("bg_nbd", {"covariates": {"alpha": "age"}}, clv.FitError, r"expected a list of column names"),
        ("bg_nbd", {"covariates": {"alpha": ["age", "age"]}}, clv.DataError, r"follows from the others"),
        ("bg_nbd", {"groups": "region"}, clv.FitError, r'method = "nuts" alone'),
        ("bg_nbd", {"groups": "country", "method": "nuts"}, clv.DataError, r'"country".*region'),
        ("bg_nbd", {"groups": {"k": "region"}, "method": "nuts"}, clv.FitError, r'"k": bg_nbd has .* r, alpha, a, b'),
        ("bg_nbd", {"groups": "acquisition_month", "method": "nuts"}, clv.DataError, r"no dates"),
        (
            "bg_nbd",
            {"covariates": {"alpha": ["age"]}, "priors": {"gamma_alpha": HalfNormal(1.0)}},
            clv.FitError,
            r"gamma_alpha: expected a Normal",
        ),
        ("bg_nbd", {"priors": {"gamma_alpha": COEFFICIENT}}, clv.FitError, r"priors for gamma_alpha: .* has r, alpha"),
    ],
)
def test_what_cannot_be_asked_of_a_fit_is_refused(people, model, arguments, error, message):
    with pytest.raises(error, match=message):
        clv.fit(model, people.customers, seed=1, **arguments)


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda f: holes(f["region"], None), r'groups "region" is missing .* 2 customers \(first: customer_id c00003'),
        ("north", r"all customers are of one group"),
    ],
)
def test_groups_that_cannot_be_pooled_are_refused(people, values, message):
    with pytest.raises(clv.DataError, match=message):
        clv.fit("nbd", changed(people, region=values), groups="region", method="nuts", seed=1)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"channel": lambda f: f["channel"].replace("app", "kiosk")}, r'"channel": the fit has not seen kiosk'),
        ({"channel": 1.5}, r'"channel" of alpha had categories when the model was fitted'),
        ({"age": "old"}, r'"age" of alpha had numbers when the model was fitted'),
        ({"age": lambda f: holes(f["age"], None)}, r'"age" is missing or not finite for 2 customers'),
    ],
)
def test_customers_unlike_those_of_the_fit_are_refused(people, covariate_fits, columns, message):
    with pytest.raises(clv.DataError, match=message):
        clv.predict(covariate_fits[0], changed(people, **columns), quantity="p_alive")


def test_customers_without_the_columns_of_the_fit_are_refused(people, covariate_fits):
    bare = clv.CustomerSummary.from_frame(people.customers.to_pandas(), unit="week")
    with pytest.raises(clv.DataError, match=r'covariate "age": the customers have no such column'):
        clv.predict(covariate_fits[0], bare, quantity="p_alive")


def test_a_group_that_the_fit_has_not_seen_is_refused(people, group_fit):
    east = changed(people, region=lambda f: f["region"].replace("west", "east"))
    with pytest.raises(clv.DataError, match=r'groups "region": the fit has not seen east. It knows north, south, west'):
        clv.predict(group_fit, east, quantity="p_alive")


def columns_of(**columns):
    size = len(next(iter(columns.values())))
    base = pd.DataFrame({"customer_id": range(size), "frequency": 1, "recency": 2.0, "T": 9.0, **columns})
    return clv.CustomerSummary.from_frame(base, unit="week", covariates=list(columns), groups=list(columns))


def test_text_of_digits_stays_text_and_numbers_are_numbers():
    """ "007" once became the number 7, and .1 the group "0.10000000000000001"."""
    read = columns_of(code=["007", "7", None], share=[0.1, 2.0, np.nan], flag=[True, False, True], odd=[1, None, 2])
    assert read.groups["code"].tolist() == ["007", "7", None]
    assert read.groups["share"].tolist() == ["0.1", "2", None]
    assert read.covariates["flag"].tolist() == [1.0, 0.0, 1.0]
    assert read.groups["odd"].tolist() == ["1", None, "2"]


@pytest.mark.parametrize("column", [pd.to_datetime(["2024-01-01", None]), [dt.date(2024, 1, 1), None]])
def test_dates_are_no_covariates(column):
    """A missing date once became -9.2e18, without a word."""
    with pytest.raises(clv.DataError, match="column 'since' holds dates"):
        columns_of(since=column)


def test_covariates_far_from_zero_are_refused_with_what_to_do():
    """At a year of birth of 0, alpha was 1e6 or infinite, and the fit passed."""
    people = columns_of(born=np.random.default_rng(0).integers(1950, 2005, 200))
    with pytest.raises(clv.DataError, match=r'"born" is 19.* on average .* far from 0.*Subtract a typical value'):
        clv.fit("bg_nbd", people, covariates=["born"], seed=1)


def test_a_customer_far_outside_what_the_fit_has_seen_is_named(people, covariate_fits):
    """A unit slip once gave NaN forecasts."""
    slip = people.customers.take(np.arange(3))
    slip = dataclasses.replace(slip, covariates={**slip.covariates, "age": slip.covariates["age"] * 1e4})
    with pytest.raises(clv.DataError, match=r'"age" is .* for customer_id .* \(3 customers in all\), far outside'):
        clv.predict(covariate_fits[0], slip, quantity="p_alive")


def test_maximum_likelihood_names_the_coefficient_that_has_no_maximum():
    """One customer alone in a category never came back: its coefficient falls without end."""
    summary, _ = clv.simulate("bg_nbd", {"r": 0.5, "alpha": 8.0, "a": 0.8, "b": 2.5}, T=40.0, size=600, seed=1)
    first = int(np.argmin(summary.frequency))
    kind = np.where(np.arange(600) == first, "rare", "plain").astype(object)
    with_kind = dataclasses.replace(summary, covariates={"kind": kind})
    with pytest.raises(clv.FitError, match=r"above all in that of gamma_alpha\[kind\[rare\]\]"):
        clv.fit("bg_nbd", with_kind, method="mle", covariates={"alpha": ["kind"]})


def test_customers_without_spend_do_not_shape_a_spend_model():
    """A category that only they have is none of the fit's, and their ages do not move a coefficient's prior."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"customer_id": range(400), "frequency": np.arange(400) % 2, "T": 20.0})
    frame["recency"] = 5.0 * frame["frequency"]
    frame["monetary_value"] = np.where(frame["frequency"] > 0, rng.gamma(3.0, 9.0, 400), np.nan)
    frame["age"] = np.where(frame["frequency"] > 0, rng.normal(0, 1, 400), 30.0)
    frame["kind"] = np.where(frame["frequency"] > 0, "buyer", "visitor")
    customers = clv.CustomerSummary.from_frame(frame, unit="week", covariates=["age", "kind"])
    buyers = customers.take(customers.frequency > 0)
    one, other = (clv.fit("gamma_gamma", base, covariates=["age"], draws=300, seed=1) for base in (customers, buyers))
    assert one.draws.identical(other.draws)
    with pytest.raises(clv.DataError, match='"kind" is "buyer" for all customers'):
        clv.fit("gamma_gamma", customers, covariates=["kind"], seed=1)


def test_a_column_of_0_and_1_is_a_category(people):
    customers = people.customers
    shop = next(iter(name for name, column in customers.covariates.items() if column.dtype == object))
    text = customers.covariates[shop].astype(str)
    one = sorted(set(text))[0]
    flag = dataclasses.replace(customers, covariates={"flag": (text == one).astype(float)})
    (column,) = learn_effects(MODELS["bg_nbd"], flag, covariates={"alpha": ["flag"]}).covariates["alpha"]
    assert column.scale == 1.0


# Several grouping columns at once


COHORTS = [f"2024-{month:02d}" for month in range(1, 13)]
SEGMENTS = ["shop", "web", "app", "post", "fair"]
SDS = {"segment": 0.5, "cohort": 0.3}


@pytest.fixture(scope="module")
def crossed():
    """4,800 customers of 5 segments x 12 cohorts: log alpha is the sum of a level of each, of sd .5 and .3."""
    rng = np.random.default_rng(11)
    size = 4800
    frame = pd.DataFrame({"customer_id": range(size), "segment": rng.choice(SEGMENTS, size)})
    frame["cohort"] = rng.choice(COHORTS, size)
    levels = {"segment": rng.normal(0.0, 0.5, len(SEGMENTS)), "cohort": rng.normal(0.0, 0.3, len(COHORTS))}
    truth = {
        "segment": dict(zip(SEGMENTS, levels["segment"], strict=True)),
        "cohort": dict(zip(COHORTS, levels["cohort"], strict=True)),
    }
    alpha = 6.0 * np.exp(frame["segment"].map(truth["segment"]) + frame["cohort"].map(truth["cohort"]))
    customers = customers_of(frame, seed=12, model="nbd", alpha=alpha.to_numpy())
    return SimpleNamespace(customers=customers.with_columns(frame, groups=["segment", "cohort"]), truth=truth)


@pytest.fixture(scope="module")
def crossed_fit(crossed):
    groups = {"alpha": ["segment", "cohort"], "r": "segment"}
    return clv.fit("nbd", crossed.customers, groups=groups, method="nuts", draws=2000, seed=1)


def test_effects_of_two_columns_are_recovered(crossed_fit, crossed):
    """Differences of levels within a column and both standard deviations, within 4 posterior sds; the checks pass."""
    assert crossed_fit.passed
    for column, sd in SDS.items():
        drawn = np.log(crossed_fit.draws[f"alpha_by_{column}"].stack(sample=("chain", "draw")))
        true = np.array([crossed.truth[column][label] for label in drawn[f"{column}_group"].values])
        drawn, true = drawn - drawn.mean(f"{column}_group"), true - true.mean()
        scores = (drawn.mean("sample").values - true) / drawn.std("sample").values
        assert np.abs(scores).max() < 4
        assert true.std() > 4 * drawn.std("sample").values.mean()  # and there is something to recover
        between = crossed_fit.draws[f"alpha_group_sd_{column}"].values
        assert abs(between.mean() - sd) < 4 * between.std()
    assert set(crossed_fit.draws) >= {"r_group_sd", "r_by_segment"}
    assert "r_by_cohort" not in crossed_fit.draws
    assert "alpha_group_sd" not in crossed_fit.draws


def test_levels_of_all_columns_of_a_customer_are_summed(crossed_fit, crossed):
    """The parameters of a customer by hand: alpha by segment x alpha by cohort / alpha, and r by segment."""
    rows = np.array([0, 17, 4000])
    some = crossed.customers.take(rows)
    own = customer_parameters(crossed_fit, some)
    theta = own.at(own.cell)
    for row in range(3):
        segment, cohort = (some.groups[name][row] for name in ("segment", "cohort"))
        draws = crossed_fit.draws.sel(segment_group=segment, cohort_group=cohort).stack(sample=("chain", "draw"))
        alpha = draws["alpha_by_segment"] * draws["alpha_by_cohort"] / draws["alpha"]
        assert theta[row, :, 0] == pytest.approx(draws["r_by_segment"].values, rel=1e-12)
        assert theta[row, :, 1] == pytest.approx(alpha.values, rel=1e-12)


def test_a_fit_of_two_columns_comes_back_from_its_file(crossed_fit, crossed, tmp_path):
    crossed_fit.save(tmp_path / "fit.nc")
    back = clv.load_fit(tmp_path / "fit.nc")
    assert back.effects == crossed_fit.effects
    assert back.draws.identical(crossed_fit.draws)
    some = crossed.customers.take(np.arange(50))
    one, other = (clv.predict(fit, some, quantity="expected_purchases", horizon=20.0) for fit in (crossed_fit, back))
    assert np.array_equal(one.mean, other.mean)


def test_a_file_of_the_time_of_one_column_is_still_read(group_fit, tmp_path):
    """Effects then named the column itself, not a list of columns."""
    import xarray as xr

    group_fit.save(tmp_path / "fit.nc")
    with xr.open_dataset(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        draws = stored.load()
    draws.attrs["clvmodels"] = draws.attrs["clvmodels"].replace('{"alpha": ["region"]}', '{"alpha": "region"}')
    assert '"groups": {"alpha": "region"}' in draws.attrs["clvmodels"]
    draws.to_netcdf(tmp_path / "old.nc", engine="h5netcdf")
    assert clv.load_fit(tmp_path / "old.nc").effects == group_fit.effects


def test_one_column_in_a_list_is_that_column(few, group_fit):
    """Bit for bit, and under the names that one column has."""
    listed = clv.fit(
        "bg_nbd", few, groups={"alpha": ["region"]}, covariates={"alpha": ["age"]}, method="nuts", draws=400, seed=1
    )
    assert listed.draws.identical(group_fit.draws)
    assert set(listed.draws) == {"r", "alpha", "a", "b", "gamma_alpha", "alpha_by_region", "alpha_group_sd"}


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (["region", "region"], clv.FitError, r'groups has "region" twice'),
        ({"alpha": ["region", "region"]}, clv.FitError, r'groups of alpha has "region" twice'),
        (["region", "country"], clv.DataError, r'"country": the customers have no such column; there are: region'),
        ({"alpha": 3}, clv.FitError, r"groups of alpha = 3: expected a column name or a list"),
        (["region", 3], clv.FitError, r"groups = \['region', 3\]: expected a column name or a list"),
        ({"k": ["region"]}, clv.FitError, r'"k": bg_nbd has .* r, alpha, a, b'),
    ],
)
def test_groups_that_cannot_be_asked_for_are_refused(people, groups, error, message):
    with pytest.raises(error, match=message):
        clv.fit("bg_nbd", people.customers, groups=groups, method="nuts", seed=1)


def test_a_column_that_follows_from_another_is_taken(few):
    """Regions of a country: each has a level of its own beside that of the country, told apart by their priors."""
    country = np.where(few.groups["region"] == "west", "W", "E").astype(object)
    both = dataclasses.replace(few, groups={**few.groups, "country": country})
    target = target_of("nbd", both, groups={"alpha": ["region", "country"]})
    assert target.size == 2 + 3 + 2
    mode = find_mode(target)
    assert all(check.passed for check in mode.checks)
    assert (np.diag(mode.covariance)[2:] <= target.typical_group_sd("alpha") ** 2).all()


def test_levels_act_on_the_unknown_of_a_parameter_that_is_not_positive(crossed_fit, crossed):
    """Were alpha of any sign, the levels of a customer would be added to it as it is."""
    positive, alpha = crossed_fit.model.parameters
    model = dataclasses.replace(crossed_fit.model, parameters=(positive, dataclasses.replace(alpha, support="real")))
    one = crossed.customers.take(np.array([0]))
    theta = customer_parameters(dataclasses.replace(crossed_fit, model=model), one).at(np.array([0]))[0, :, 1]
    groups = {f"{name}_group": one.groups[name][0] for name in ("segment", "cohort")}
    draws = crossed_fit.draws.sel(groups).stack(sample=("chain", "draw"))
    expected = draws["alpha_by_segment"] + draws["alpha_by_cohort"] - draws["alpha"]
    assert theta == pytest.approx(expected.values, rel=1e-9)
