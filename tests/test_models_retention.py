"""What every model of retention must satisfy, by being in MODELS: published fits, identities, limits, its own story."""

import dataclasses

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import clvmodels as clv
from clvmodels.data import compress_retention
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.inference.fitting import data_scale
from clvmodels.inference.target import Target
from clvmodels.models import MODELS
from clvmodels.models.retention import log_beta_survival
from tests.conftest import BG_NBD_PAPER
from tests.forecast_cases import around_priors
from tests.graphs import as_written
from tests.retention_cases import (
    AT_ANY_TIME,
    AT_RENEWALS,
    RETENTION,
    SEGMENTS,
    TRUTH,
    relations,
    segment_table,
)

ERRORS = 4  # standard errors that an estimate may be off
CASES = [(name, case) for name, model in RETENTION.items() for case in around_priors(model, 3, seed=len(name))]
each_case = pytest.mark.parametrize(
    ("name", "parameters"), CASES, ids=[f"{name}-{i % 3}" for i, (name, _) in enumerate(CASES)]
)
each_model = pytest.mark.parametrize("name", RETENTION)
HARD = {
    "geometric": [{"theta": 1e-12}, {"theta": 1 - 1e-9}],
    "sbg": [{"alpha": 3e7, "beta": 7e7}, {"alpha": 1e-6, "beta": 1e-3}, {"alpha": 1e-4, "beta": 1e6}],
    "bdw": [{"alpha": 1e3, "beta": 1e6, "c": 3.0}, {"alpha": 1e-3, "beta": 1e-2, "c": 0.1}],
    "exponential_gamma": [{"r": 1e8, "alpha": 1e9}, {"r": 1e-6, "alpha": 1e-6}],
    "weibull_gamma": [{"r": 1e6, "alpha": 1e9, "c": 3.0}, {"r": 1e-3, "alpha": 1e-6, "c": 0.1}],
}


def formula(name, which):
    return RETENTION[name].formulas[which]


def log_likelihood(name, parameters, table):
    """Of each row."""
    patterns, index = compress_retention(table)
    return RETENTION[name].log_likelihood(parameters, patterns, NUMPY_OPS)[index]


def rows(age, lost, *, entry=0.0, clock="renewals"):
    age = np.asarray(age, dtype=float)
    return clv.RetentionTable(
        customer_id=np.array([str(i) for i in range(len(age))], dtype=object),
        entry=np.broadcast_to(entry, age.shape).astype(float),
        age=age,
        lost=np.broadcast_to(lost, age.shape),
        n_customers=np.ones(len(age)),
        unit="month",
        clock=clock,
    )


# ------------------------------------------------------------------------------------------------ published fits


@pytest.mark.parametrize("segment", SEGMENTS)
def test_sbg_on_the_segments_of_the_paper_has_the_published_fit(segment):
    fit = clv.fit("sbg", segment_table(segment), method="mle")
    assert fit.point == pytest.approx(SEGMENTS[segment]["parameters"], abs=1e-4)
    assert fit.log_likelihood == pytest.approx(SEGMENTS[segment]["log_likelihood"], abs=6e-4)
    assert fit.n_customers == 1000


@pytest.mark.parametrize("segment", SEGMENTS)
def test_bdw_is_fitted_to_the_maximum_that_a_search_without_derivatives_finds(segment):
    survivors = np.array(SEGMENTS[segment]["survivors"][:8], dtype=float)

    def against(unknowns):
        a, b, c = np.exp(unknowns)
        log_survival = special.betaln(a, b + np.arange(8.0) ** c) - special.betaln(a, b)
        lost = np.log(-np.diff(np.exp(log_survival)))
        return -(-np.diff(survivors) @ lost + survivors[-1] * log_survival[-1])

    best = optimize.minimize(against, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "maxfev": 5000})
    fit = clv.fit("bdw", segment_table(segment), method="mle")
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert list(fit.point.values()) == pytest.approx(np.exp(best.x), rel=1e-3)


def test_bdw_beats_sbg_on_high_end_and_not_clearly_on_regular():
    """By leave-one-out over customers, in standard errors of the difference."""
    gains = {}
    for segment in SEGMENTS:
        table = segment_table(segment)
        fits = {name: clv.fit(name, table, draws=4000, seed=1) for name in ("sbg", "bdw")}
        frame = clv.compare_models(fits, table)
        gains[segment] = frame.loc["bdw", "elpd"] - frame.loc["sbg", "elpd"], frame["difference_se"].max()
    assert gains["High End"][0] > 1.5 * gains["High End"][1]
    assert abs(gains["Regular"][0]) < gains["Regular"][1]


# ------------------------------------------------------------------------------------------------ identities


@each_case
def test_losses_and_those_still_there_are_all(name, parameters):
    """S(0) = 1, S falls, is the product of the rates of retention, and with the losses before it 1."""
    t = np.arange(200.0)
    survival = formula(name, "survival")(parameters, t)
    assert survival[0] == 1
    assert (np.diff(survival) <= 0).all()
    assert np.cumprod(formula(name, "retention_rate")(parameters, t[1:])) == pytest.approx(survival[1:], rel=1e-12)
    lost = np.exp(log_likelihood(name, parameters, rows(t[1:], lost=True)))
    assert np.cumsum(lost) + survival[1:] == pytest.approx(np.ones(199), abs=1e-12)


@each_case
def test_those_still_there_stay_with_the_survival_from_then_on(name, parameters):
    age, ahead = np.array([0.0, 1.0, 7.0, 40.0]), np.array([3.0, 1.0, 11.0, 0.0])
    p_active, survival = formula(name, "p_active"), formula(name, "survival")
    expected = survival(parameters, age + ahead) / survival(parameters, age)
    assert p_active(parameters, age, ahead) == pytest.approx(expected, rel=1e-12)
    assert (p_active(parameters, age, 0.0) == 1).all()
    assert (p_active(parameters, age, np.zeros(4)) == 1).all()


def test_retention_of_sbg_rises_at_every_renewal_towards_one():
    for alpha, beta in ((0.7041, 1.182), (3.0, 0.01), (1e4, 2e4)):
        t = np.arange(1.0, 10_000.0)
        rate = formula("sbg", "retention_rate")({"alpha": alpha, "beta": beta}, t)
        assert rate == pytest.approx((beta + t - 1) / (alpha + beta + t - 1), rel=1e-11)
        assert (np.diff(rate) > 0).all()
        assert rate[-1] < 1


@each_case
def test_a_relation_seen_from_an_age_has_the_chance_given_that_it_lasted_so_long(name, parameters):
    age, entry = np.array([5.0, 6.0, 30.0]), np.array([4.0, 1.0, 29.0])
    survival = formula(name, "survival")
    before, at, began = (survival(parameters, t) for t in (age - 1, age, entry))
    lost = log_likelihood(name, parameters, rows(age, lost=True, entry=entry))
    there = log_likelihood(name, parameters, rows(age, lost=False, entry=entry))
    assert np.exp(lost) == pytest.approx((before - at) / began, rel=1e-11)
    assert np.exp(there) == pytest.approx(at / began, rel=1e-12)


@pytest.mark.parametrize("name", AT_ANY_TIME)
def test_the_density_of_a_loss_is_the_slope_of_survival(name):
    def survival(t):
        return formula(name, "survival")(TRUTH[name], t)

    age = np.array([0.3, 2.0, 40.0])
    density = np.exp(log_likelihood(name, TRUTH[name], rows(age, lost=True, clock="continuous")))
    step = 1e-4 * age
    slope = (
        8 * (survival(age - step) - survival(age + step)) - survival(age - 2 * step) + survival(age + 2 * step)
    ) / (12 * step)
    assert density == pytest.approx(slope, rel=1e-9)


@each_model
def test_a_table_of_counts_has_the_likelihood_of_a_row_a_customer(name):
    counted = relations(name, TRUTH[name], 400, seed=1, clock="renewals")
    patterns, _ = compress_retention(counted)
    each = log_likelihood(name, TRUTH[name], counted).sum()
    together = patterns.n_customers @ RETENTION[name].log_likelihood(TRUTH[name], patterns, NUMPY_OPS)
    assert len(patterns) < 30
    assert together == pytest.approx(each, rel=1e-12)


@each_model
def test_a_cohort_told_in_two_halves_has_the_same_fit(name):
    frame = pd.DataFrame({"age": range(8), "survivors": SEGMENTS["High End"]["survivors"][:8]})
    halves = pd.concat([frame.assign(cohort="one"), frame.assign(cohort="two")])
    whole = frame.assign(survivors=2 * frame["survivors"])
    one, other = (
        clv.fit(name, clv.RetentionTable.from_survivors(told, unit="year", groups=groups), method="mle")
        for told, groups in ((whole, ()), (halves, ["cohort"]))
    )
    assert other.point == pytest.approx(one.point, rel=1e-8)
    assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-12)


LIMITS = [(name, simpler) for name, model in RETENTION.items() for simpler in model.limits]


@pytest.mark.parametrize(("name", "simpler"), LIMITS)
def test_a_richer_model_has_its_simpler_ones_as_limits(name, simpler):
    age = np.arange(1.0, 13.0)
    parameters = RETENTION[name].limits[simpler](TRUTH[simpler])
    for table in (rows(age, lost=True), rows(age, lost=False)):
        richer = log_likelihood(name, parameters, table)
        assert richer == pytest.approx(log_likelihood(simpler, TRUTH[simpler], table), abs=1e-4)
    assert len(LIMITS) == 3


def test_customers_that_hardly_differ_have_constant_retention():
    """Once log gammas of 1e8 left no digits of the differences between renewals."""
    survival = formula("sbg", "survival")({"alpha": 0.3e8, "beta": 0.7e8}, np.arange(60.0))
    assert survival == pytest.approx(0.7 ** np.arange(60.0), rel=1e-4, abs=1e-6)
    rate = formula("sbg", "retention_rate")({"alpha": 0.3e8, "beta": 0.7e8}, np.arange(1.0, 60.0))
    assert rate == pytest.approx(0.7 * np.ones(59), rel=1e-6)


# ------------------------------------------------------------------------------------------------ numbers


def test_the_logarithm_of_survival_is_right_to_its_last_digits():
    """Against 60 digits, from tiny shares of those who leave to customers all alike and a hundred million renewals."""
    worst = 0.0
    with mpmath.workdps(60):
        for alpha in (1e-4, 0.5, 3.0, 1e4, 3e7):
            for beta in (1e-4, 0.3, 5.0, 9.99, 300.0, 1e8):
                for t in (0.5, 1.0, 13.0, 1e4, 1e8):
                    a, b = mpmath.mpf(alpha), mpmath.mpf(beta)
                    exact = mpmath.log(mpmath.beta(a, b + t)) - mpmath.log(mpmath.beta(a, b))
                    worst = max(worst, abs(float(log_beta_survival(alpha, beta, t, NUMPY_OPS) / exact - 1)))
    assert worst < 1e-11
    assert float(log_beta_survival(0.7, 1.3, 0.0, NUMPY_OPS)) == 0.0


@each_model
def test_formulas_and_likelihood_are_finite_where_it_is_hard(name):
    age = np.array([0.0, 1.0, 2.0, 12.0, 1000.0, 10_000.0])
    for parameters in (*HARD[name], TRUTH[name]):
        survival = formula(name, "survival")(parameters, age)
        assert ((survival >= 0) & (survival <= 1)).all()
        rates = formula(name, "retention_rate")(parameters, age[1:])
        assert ((rates >= 0) & (rates <= 1)).all()
        assert (formula(name, "p_active")(parameters, age, 0.0) == 1).all()
        for ahead in (
            formula(name, "derl")(parameters, age, 0.008, 1.0),
            formula(name, "residual_lifetime")(parameters, age),
        ):
            assert (ahead >= 0).all()
            assert not np.isnan(ahead).any()
        for lost in (True, False):
            assert not np.isnan(log_likelihood(name, parameters, rows(age[1:5], lost=lost))).any()


@each_model
def test_draws_and_rows_broadcast(name):
    age = np.array([0.0, 3.0, 3.0, 9.0])
    draws = {key: value * np.array([[0.9], [1.0], [1.1]]) for key, value in TRUTH[name].items()}
    rest = {"survival": (), "retention_rate": (), "p_active": (2.0,), "residual_lifetime": (), "derl": (0.01, 0.5)}
    for which, arguments in rest.items():
        at = age + 1.0
        values = formula(name, which)(draws, at, *arguments)
        assert values.shape == (3, 4)
        own = {key: np.tile(value, (1, 4)) for key, value in draws.items()}
        assert formula(name, which)(own, at, *arguments) == pytest.approx(values, rel=1e-12)
        assert formula(name, which)(TRUTH[name], at, *arguments) == pytest.approx(values[1], rel=1e-12)


@pytest.mark.parametrize("name", ["bdw", pytest.param("weibull_gamma", marks=pytest.mark.slow)])
def test_derivatives_on_the_graph_are_numbers_at_the_first_age_too(name):
    """t^c has no slope by t at 0, and no logarithm there."""
    from clvmodels.inference.graph import pymc_model
    from clvmodels.inference.optimise import find_mode

    clock = "renewals" if name in AT_RENEWALS else "continuous"
    table = rows(
        [1, 2, 3, 5, 8, 4, 6, 3, 0], lost=[1, 1, 1, 1, 1, 0, 0, 0, 0], entry=[0, 0, 1, 0, 2, 0, 3, 0, 0], clock=clock
    )
    table = dataclasses.replace(table, lost=table.lost.astype(bool))
    patterns, _ = compress_retention(table)
    scale = data_scale(patterns)
    model = MODELS[name]
    target = Target(model, patterns, scale, {p.name: p.default_prior(scale) for p in model.parameters})
    slope = pymc_model(target, find_mode(target)).compile_dlogp(mode=as_written())
    for z in np.random.default_rng(1).normal(size=(5, 3)) * 3:
        assert np.isfinite(slope({"z": z})).all()


# ------------------------------------------------------------------------------------------------ the story


@each_case
def test_the_story_agrees_with_the_formulas(name, parameters):
    """200,000 relations: those still there at each age, and of these later on, within 4 standard errors."""
    size = 200_000
    lifetime = RETENTION[name].simulate(np.random.default_rng(2), parameters, size)
    if name in AT_RENEWALS:
        assert (lifetime >= 1).all()
        assert (lifetime == np.floor(lifetime)).all()
    for age, ahead in ((0.0, 1.0), (0.0, 4.0), (1.0, 1.0), (3.0, 5.0), (10.0, 20.0), (50.0, 100.0)):
        there = lifetime > age
        share = formula(name, "p_active")(parameters, np.array([age]), ahead)[0]
        error = np.sqrt(max(share * (1 - share), 1e-9) * max(there.sum(), 1))
        assert abs((lifetime > age + ahead).sum() - share * there.sum()) <= ERRORS * error + 1
        if there.sum() > 1000:
            self_discounted(name, parameters, age, lifetime[there] - age)


def self_discounted(name, parameters, age, left):
    """DERL of those still there against the mean of what they will pay."""
    discount, due = 0.05, 0.25
    if name in AT_RENEWALS:  # left - 1 renewals to come, each paid for
        paid = np.exp(-discount * due) * -np.expm1(-discount * (left - 1)) / -np.expm1(-discount)
    else:
        paid = -np.expm1(-discount * left) / discount
    expected = formula(name, "derl")(parameters, np.array([age]), discount, due)[0]
    assert abs(paid.mean() - expected) < ERRORS * paid.std() / np.sqrt(len(paid))


@pytest.mark.parametrize("name", RETENTION)
def test_residual_lifetime_is_the_mean_of_what_is_left(name):
    """At parameters with a variance."""
    light = {
        "geometric": {"theta": 0.1},
        "sbg": {"alpha": 5.0, "beta": 20.0},
        "bdw": {"alpha": 4.0, "beta": 20.0, "c": 1.3},
    }
    light |= {"exponential_gamma": {"r": 5.0, "alpha": 30.0}, "weibull_gamma": {"r": 4.0, "alpha": 10.0, "c": 1.3}}
    lifetime = RETENTION[name].simulate(np.random.default_rng(3), light[name], 400_000)
    for age in (0.0, 2.0, 6.0):
        left = lifetime[lifetime > age] - age - (1 if name in AT_RENEWALS else 0)
        expected = formula(name, "residual_lifetime")(light[name], np.array([age]))[0]
        assert abs(left.mean() - expected) < ERRORS * left.std() / np.sqrt(len(left))


# ------------------------------------------------------------------------------------------------ fits


def distance(fit, truth):
    """Square of the distance of the logarithms of the parameters to the truth, by the fit's covariance: chi-square."""
    point = np.array(list(fit.point.values()))
    off = point * np.log(point / [truth[key] for key in fit.point])
    return off @ np.linalg.solve(fit.covariance, off)


@each_model
def test_relations_seen_late_and_cut_short_give_back_the_parameters(name):
    """Staggered entry and uneven ends: chi-square of 6 tables. Where entry is ignored, those who stayed are all."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(100 + seed)
        joined = rng.integers(0, 6, 8000).astype(float)
        until = joined + rng.integers(1, 12, 8000)
        table = relations(name, TRUTH[name], 8000, seed=seed, joined=joined, until=until)
        found.append(distance(clv.fit(name, table, method="mle"), TRUTH[name]))
    assert sum(found) < stats.chi2.ppf(0.9999, 6 * len(TRUTH[name]))
    blind = clv.fit(name, dataclasses.replace(table, entry=np.zeros(len(table))), draws=200, seed=1)
    survival = formula(name, "survival")
    truth, seen = (survival(p, np.array([5.0]))[0] for p in (TRUTH[name], blind.point))
    assert seen > truth + 0.1


def test_losses_between_renewals_tell_what_losses_at_their_very_times_tell():
    """A unit a thousandth as long: the density times the unit is the chance."""
    for name in AT_ANY_TIME:
        exact = relations(name, TRUTH[name], 4000, seed=5)
        fine = dataclasses.replace(exact, age=np.ceil(exact.age * 1000), clock="renewals")
        one, other = (clv.fit(name, table, method="mle") for table in (exact, fine))
        expected = {**one.point, "alpha": 1000 * one.point["alpha"]}
        assert other.point == pytest.approx(expected, rel=3e-3)
        assert other.log_likelihood == pytest.approx(one.log_likelihood - exact.lost.sum() * np.log(1000), rel=1e-4)


@pytest.mark.parametrize("name", AT_ANY_TIME)
def test_the_unit_of_time_does_not_matter(name):
    weeks = dataclasses.replace(relations(name, TRUTH[name], 2000, seed=6), unit="week")
    factor = 7 / 30.4375
    months = dataclasses.replace(weeks, age=weeks.age * factor, unit="month")
    one, other = (clv.fit(name, table, draws=300, seed=1) for table in (weeks, months))
    by_draw = [{key: value[:, None] for key, value in fit.columns().items()} for fit in (one, other)]
    age = np.array([2.0, 13.0, 52.0])
    for which, ahead in (("survival", ()), ("p_active", (26.0,))):
        in_weeks = formula(name, which)(by_draw[0], age, *ahead)
        in_months = formula(name, which)(by_draw[1], age * factor, *(t * factor for t in ahead))
        assert in_months == pytest.approx(in_weeks, rel=1e-5)
    derl = formula(name, "derl")(by_draw[0], age, 0.002, 1.0)
    assert formula(name, "derl")(by_draw[1], age * factor, 0.002 / factor, 1.0) / factor == pytest.approx(
        derl, rel=1e-4
    )


TAKING = [(name, p) for name, model in RETENTION.items() for p in model.parameters if p.covariates]


@pytest.mark.parametrize(("name", "parameter"), TAKING, ids=[f"{name}-{p.name}" for name, p in TAKING])
def test_coefficients_are_recovered_in_their_direction(name, parameter):
    """A unit of z multiplies the odds of a probability and any other parameter by exp(gamma), or by exp(-gamma)."""
    size, gamma = 6000, 0.5
    z = np.random.default_rng(7).integers(0, 2, size).astype(float)
    base = TRUTH[name][parameter.name]
    shift = parameter.covariates * gamma * z
    own = special.expit(special.logit(base) + shift) if parameter.support == "probability" else base * np.exp(shift)
    given = {key: np.full(size, value) for key, value in TRUTH[name].items()} | {parameter.name: own}
    table = relations(name, given, size, seed=8)
    table = dataclasses.replace(table, covariates={"z": z})
    fit = clv.fit(name, table, method="mle", covariates={parameter.name: ["z"]})
    found, error = (values[f"gamma_{parameter.name}[z]"] for values in (fit.point, fit.standard_errors))
    assert abs(found - gamma) < ERRORS * error
    assert found > 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("segment", SEGMENTS)
@each_model
def test_laplace_and_nuts_draw_from_one_posterior(name, segment):
    """Of the survival curve, which is what both are asked for: means within .15 sd, sds within 15 %."""
    table, curves = segment_table(segment), []
    for method in ("laplace", "nuts"):
        fit = clv.fit(name, table, method=method, draws=4000, seed=9)
        assert fit.method == method
        draws = {key: value[:, None] for key, value in fit.columns().items()}
        curves.append(formula(name, "survival")(draws, np.array([1.0, 4.0, 12.0, 30.0])))
    laplace, nuts = curves
    assert (np.abs(laplace.mean(0) - nuts.mean(0)) < 0.15 * nuts.std(0)).all()
    assert (np.abs(laplace.std(0) / nuts.std(0) - 1) < 0.15).all()


# ------------------------------------------------------------------------------------------------ refusals


def test_tables_and_customers_that_a_model_cannot_read_are_refused():
    customers, _ = clv.simulate("bg_nbd", BG_NBD_PAPER, T=20.0, size=50, seed=1)
    table = segment_table("Regular")
    with pytest.raises(clv.DataError, match="sbg is a model of retention, and customers is a CustomerSummary"):
        clv.fit("sbg", customers, seed=1)
    with pytest.raises(clv.DataError, match="customers is a RetentionTable: bg_nbd needs a CustomerSummary"):
        clv.fit("bg_nbd", table, seed=1)
    with pytest.raises(clv.DataError, match="sbg counts renewals, and this table has losses at any time"):
        clv.fit("sbg", relations("exponential_gamma", TRUTH["exponential_gamma"], 50, seed=1), seed=1)
    with pytest.raises(clv.DataError, match="none of the 2 customers was lost"):
        clv.fit("sbg", rows([3.0, 4.0], lost=False), seed=1)


@pytest.mark.parametrize("name", RETENTION)
def test_one_loss_is_enough_for_a_posterior(name):
    table = rows([3.0, *[7.0] * 20], lost=[True, *[False] * 20])
    fit = clv.fit(name, table, draws=300, seed=1)
    assert all(np.isfinite(values).all() for values in fit.draws.data_vars.values())
