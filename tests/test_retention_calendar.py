"""Retention on a calendar: its likelihood, its story, what it finds in seasonal contracts, and what it refuses."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

import clvmodels as clv
from clvmodels.data import compress_retention
from clvmodels.foundation.calendar import Calendar
from clvmodels.foundation.effects import cells_of, learn_effects
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import Varying
from clvmodels.foundation.units import calendar_units, first_days
from clvmodels.inference.calendars import on_calendar
from clvmodels.inference.fitting import priors_for
from clvmodels.inference.likelihood import design_of
from clvmodels.inference.optimise import find_mode, gradient
from clvmodels.inference.target import DataScale, Target, log_density
from clvmodels.models import MODELS
from tests.effects_cases import densities_with_groups
from tests.graphs import as_written

MONTE_CARLO_ERRORS = 4
DISCRETE = ["geometric", "sbg", "bdw"]
STORY = {"geometric": {"theta": 0.15}, "sbg": {"alpha": 0.9, "beta": 4.0}, "bdw": {"alpha": 0.9, "beta": 4.0, "c": 1.4}}
FIRST, YEARS = dt.date(2018, 1, 1), 6
DAYS = [FIRST + dt.timedelta(days=i) for i in range((dt.date(2024, 1, 1) - FIRST).days)]
TERMS = {
    "winter": tuple(float(day.month in (11, 12, 1)) for day in DAYS),
    "rise": tuple(float(day >= dt.date(2020, 7, 16)) for day in DAYS),  # in the middle of a month
}
CALENDAR = Calendar(FIRST, (1,) * len(DAYS), TERMS)
GAMMA = {"winter": 0.7, "rise": -0.5}
GAMMAS = {f"gamma_churn[{name}]": value for name, value in GAMMA.items()}
MONTH = int(calendar_units(np.array([FIRST], dtype="datetime64[D]"), "month")[0])  # the number of January 2018


def month(place):
    return first_days(np.array([MONTH + place]), "month")[0]


def hazard(place):
    """exp(gamma' z) of a month, the mean over its days."""
    inside = [i for i, day in enumerate(DAYS) if (day.year - 2018) * 12 + day.month - 1 == place]
    return np.exp(sum(GAMMA[name] * np.mean([TERMS[name][i] for i in inside]) for name in TERMS))


HAZARD = np.array([hazard(place) for place in range(12 * YEARS)])


def table_of(rows, **columns):
    """A table from rows (month of the start, entry, age, lost, customers)."""
    start, entry, age, lost, n = (np.array(column) for column in zip(*rows, strict=True))
    names = np.array([f"row {i}" for i in range(len(rows))], dtype=object)
    given = {"start": first_days(start + MONTH, "month"), "calendar": CALENDAR, "unit": "month"} | columns
    return clv.RetentionTable(
        customer_id=names,
        entry=entry.astype(float),
        age=age.astype(float),
        lost=lost.astype(bool),
        n_customers=n.astype(float),
        **given,
    )


def told(rng, parameters, start, size, until):
    """Ages at which customers won in a month are lost, month by month; infinite for those there after `until`."""
    if "theta" in parameters:
        theta = np.full(size, parameters["theta"])
    else:
        theta = rng.beta(parameters["alpha"], parameters["beta"], size)
    c, lost = parameters.get("c", 1.0), np.full(size, np.inf)
    for u in range(1, until + 1):
        stays = (1 - theta) ** ((u**c - (u - 1) ** c) * HAZARD[start + u])
        lost[np.isinf(lost) & (rng.random(size) > stays)] = u
    return lost


def contracts(name, seed, cohorts=36, size=200):
    """A cohort a month, all seen up to one month."""
    rng, rows = np.random.default_rng(seed), []
    for start in range(cohorts):
        lost = told(rng, STORY[name], start, size, cohorts - start)
        ages, counts = np.unique(lost[np.isfinite(lost)], return_counts=True)
        rows += [(start, 0, age, True, n) for age, n in zip(ages, counts, strict=True)]
        if np.isinf(lost).any():
            rows.append((start, 0, cohorts - start, False, np.isinf(lost).sum()))
    return table_of(rows)


@pytest.fixture(scope="module")
def seasonal():
    return contracts("sbg", seed=1)


ROWS = [(0, 0, 3, True, 2), (0, 0, 3, False, 1), (4, 2, 5, True, 1), (11, 0, 1, True, 3), (28, 1, 7, False, 4),
        (40, 3, 30, True, 1), (0, 0, 0, False, 1), (28, 6, 7, True, 5)]  # fmt: skip


def known(name, calendar=CALENDAR):
    return clv.fit_at(name, {**STORY[name], **GAMMAS}, unit="month", calendar=calendar)


def survived(name, start, n):
    """S(n | start) as an integral over customers of the product of their chances at the renewals."""
    parameters = STORY[name]
    c = parameters.get("c", 1.0)

    def stays(theta):
        return np.prod([(1 - theta) ** ((u**c - (u - 1) ** c) * HAZARD[start + u]) for u in range(1, n + 1)])

    if "theta" in parameters:
        return stays(parameters["theta"])
    alpha, beta = parameters["alpha"], parameters["beta"]
    weight = {"weight": "alg", "wvar": (alpha - 1, beta - 1)}
    return integrate.quad(stays, 0, 1, epsabs=0, epsrel=1e-12, **weight)[0] / special.beta(alpha, beta)


# The likelihood


@pytest.mark.parametrize("name", DISCRETE)
def test_the_likelihood_is_the_product_of_the_chances_renewal_by_renewal(name):
    for row, ours in zip(ROWS, clv.log_likelihood(known(name), table_of(ROWS)), strict=True):
        start, entry, age, lost, _ = row
        seen = survived(name, start, entry)
        later = survived(name, start, age - 1) - survived(name, start, age) if lost else survived(name, start, age)
        assert ours == pytest.approx(np.log(later / seen), abs=1e-9)


@pytest.mark.parametrize("name", DISCRETE)
def test_coefficients_of_zero_are_the_model_without_a_calendar(name):
    table = table_of(ROWS)
    zero = dict.fromkeys(GAMMAS, 0.0)
    plain = clv.fit_at(name, STORY[name], unit="month")
    dated = clv.fit_at(name, {**STORY[name], **zero}, unit="month", calendar=CALENDAR)
    assert clv.log_likelihood(dated, table) == pytest.approx(clv.log_likelihood(plain, table), abs=1e-12)
    age, start = np.arange(1.0, 20.0), MONTH + np.arange(19.0)
    for which, after in (("survival", ()), ("retention_rate", ()), ("p_active", (7.0,))):
        theirs = plain.model.formulas[which](STORY[name], age, *after)
        ours = dated.model.formulas[which]({**STORY[name], **zero}, age, start, *after)
        assert ours == pytest.approx(theirs, abs=1e-12)
    assert all(
        limit(STORY[name]) == {**STORY[name], **zero} for key, limit in dated.model.limits.items() if key == name
    )


def test_one_cohort_worked_out_by_hand():
    """Won in October 2018, theta = .15: November and December are winter, with the hazard e^.7 = 2.0138."""
    parameters = {"theta": 0.15, "gamma_churn[winter]": 0.7}
    fit = clv.fit_at("geometric", parameters, unit="month", calendar=CALENDAR.some(("winter",)))
    table = replace(table_of([(9, 0, 1, True, 40), (9, 0, 3, False, 60)]), calendar=None)
    stays = 0.85 ** np.exp(0.7)
    assert clv.log_likelihood(fit, table) == pytest.approx([np.log(1 - stays), 3 * np.log(stays)])
    assert fit.model.formulas["survival"](parameters, 4.0, MONTH + 9.0) == pytest.approx(0.85 * stays**3)


@pytest.mark.parametrize("name", DISCRETE)
def test_counted_rows_are_as_many_customers(name):
    table = table_of(ROWS)
    apart = table.take(np.repeat(np.arange(len(ROWS)), table.n_customers.astype(int)))
    apart = replace(apart, n_customers=np.ones(len(apart)))
    fit = known(name)
    one, other = (
        float(log_density(Target(fit.model, patterns, DataScale(), {}), fit.model.unknowns(flat(fit))[None])[0])
        for patterns, _ in (compress_retention(t, None, fit.model.reads) for t in (table, apart))
    )
    assert one == pytest.approx(float(clv.log_likelihood(fit, apart).sum()), rel=1e-13)
    assert one == other


def flat(fit):
    return np.array([fit.point[name] for name in fit.model.parameter_names])


def test_rows_of_different_starts_share_no_pattern():
    fit, table = known("sbg"), table_of([(s, 0, 2, True, 1) for s in (0, 1, 1, 9)])
    patterns, index = compress_retention(table, None, fit.model.reads)
    assert (len(patterns), index.tolist()) == (3, [0, 1, 1, 2])
    assert len(compress_retention(table)[0]) == 1


def with_segments(table):
    segment = np.where(np.arange(len(table)) % 3 == 0, "firm", "person").astype(object)
    return replace(
        table, groups={"segment": segment}, covariates={"discount": (np.arange(len(table)) % 2).astype(float)}
    )


def target_of(name, table, covariates=(), groups=""):
    model, covariates, _ = on_calendar(MODELS[name], table, covariates)
    effects = learn_effects(model, table, covariates=covariates, groups=groups)
    cells = cells_of(effects, table)
    patterns, index = compress_retention(table, None if cells.size == 1 else cells.cell, model.reads)
    priors = priors_for(model, DataScale(), effects, {})
    return Target(model, patterns, DataScale(), priors, effects, design_of(model, effects, cells, index))


EFFECTS = [
    ("geometric", (), ""),
    ("bdw", (), ""),
    ("sbg", ["discount"], ""),
]


@pytest.mark.parametrize(("name", "covariates", "groups"), EFFECTS)
def test_the_graph_and_numpy_have_the_same_target_with_a_finite_gradient(name, covariates, groups, seasonal):
    from clvmodels.inference.graph import pymc_model

    target = target_of(name, with_segments(seasonal), covariates, groups)
    mode = find_mode(target)
    graph = pymc_model(target, mode)
    density, slope = (make(mode=as_written()) for make in (graph.compile_logp, graph.compile_dlogp))
    z = np.random.default_rng(0).normal(size=(3, len(mode.phi)))
    theirs = np.array([density({"z": row}) for row in z])
    assert theirs == pytest.approx(log_density(target, mode.phi + z @ mode.root.T), rel=1e-10)
    for row in z:
        along = slope({"z": row})[: len(row)]
        assert along == pytest.approx(mode.root.T @ gradient(target, mode.phi + mode.root @ row), rel=1e-4, abs=1e-4)


def test_the_graph_has_the_density_of_pooled_segments_on_a_calendar(seasonal):
    target = target_of("bdw", with_segments(seasonal), {"beta": ["discount"]}, "segment")
    of_graph, by_definition = densities_with_groups(target, (0.3, 0.5, 0.2))
    assert of_graph == pytest.approx(by_definition, rel=1e-9)


@pytest.mark.parametrize("name", DISCRETE)
def test_parameters_may_differ_from_cell_to_cell(name):
    fit, table = known(name), table_of(ROWS)
    cell = np.arange(len(table)) % 3
    patterns, index = compress_retention(table, cell, fit.model.reads)
    of_pattern = np.empty(len(patterns), dtype=np.int64)
    of_pattern[index] = cell
    draws = {letter: value * np.array([[1.0, 1.3, 0.8], [0.9, 1.1, 1.2]]) for letter, value in STORY[name].items()}
    gammas = {letter: value * np.array([[1.0], [0.5]]) for letter, value in GAMMAS.items()}
    varying = {letter: Varying(values, of_pattern) for letter, values in draws.items()}
    together = fit.model.log_likelihood({**varying, **gammas}, patterns, NUMPY_OPS)
    for one in range(3):
        alike = {**{letter: values[:, [one]] for letter, values in draws.items()}, **gammas}
        alone = fit.model.log_likelihood(alike, patterns, NUMPY_OPS)
        assert together[:, of_pattern == one] == pytest.approx(alone[:, of_pattern == one], abs=1e-13)


# Formulas


@pytest.mark.parametrize("name", DISCRETE)
def test_the_story_agrees_with_the_formulas(name):
    """Customers won in March 2018 and in November 2019, told month by month."""
    size, parameters = 100_000, {**STORY[name], **GAMMAS}
    formulas = known(name).model.formulas
    for seed, start in enumerate((2, 22)):
        lost = told(np.random.default_rng(seed), STORY[name], start, size, 24)
        ages = np.array([1.0, 2.0, 6.0, 12.0, 23.0])
        there = np.array([(lost > age).mean() for age in ages])
        survival = formulas["survival"](parameters, ages, MONTH + start)
        assert np.all(abs(there - survival) <= monte_carlo_errors(there, size))
        for age, horizon in ((0.0, 7.0), (3.0, 1.0), (8.0, 16.0)):
            active = lost[lost > age]
            share = (active > age + horizon).mean()
            chance = formulas["p_active"](parameters, age, MONTH + start, horizon)
            assert abs(share - chance) <= monte_carlo_errors(share, len(active))


def monte_carlo_errors(share, size):
    return MONTE_CARLO_ERRORS * np.sqrt(share * (1 - share) / size)


def test_retention_is_lower_where_the_calendar_says_so():
    """At one age, by the month of the renewal: the retention rate of a homogeneous customer is (1 - theta)^hazard."""
    parameters = {**STORY["geometric"], **GAMMAS}
    start = np.arange(48.0)
    rate = known("geometric").model.formulas["retention_rate"](parameters, np.full(48, 5.0), MONTH + start)
    assert rate == pytest.approx(0.85 ** HAZARD[5:53], rel=1e-12)


@pytest.mark.parametrize("name", DISCRETE)
def test_draws_and_rows_broadcast(name):
    formulas = known(name).model.formulas
    age, start = np.array([0.0, 3.0, 12.0]), MONTH + np.array([5.0, 0.0, 5.0])
    spread = {letter: np.array([[1.0], [1.2]]) * value for letter, value in {**STORY[name], **GAMMAS}.items()}
    by_row = {letter: values * np.array([[1.0, 0.9, 1.1]]) if letter in STORY[name] else values + np.zeros((1, 3))
              for letter, values in spread.items()}  # fmt: skip
    for parameters in (spread, by_row):
        for which, after in (("survival", ()), ("p_active", (8.0,))):
            table = formulas[which](parameters, age, start, *after)
            assert table.shape == (2, 3)
            for draw, row in np.ndindex(2, 3):
                one = {letter: float(np.broadcast_to(v, (2, 3))[draw, row]) for letter, v in parameters.items()}
                alone = formulas[which](one, age[row], start[row], *after)
                assert table[draw, row] == pytest.approx(float(alone), rel=1e-13)
    horizons = np.arange(5.0)[:, None, None]
    many = formulas["p_active"](spread, age, start, horizons)
    assert many.shape == (5, 2, 3)
    assert np.all(many[0] == 1)
    assert many[3] == pytest.approx(formulas["p_active"](spread, age, start, 3.0), rel=1e-13)


def test_the_future_ends_with_the_calendar():
    formulas, parameters = known("sbg").model.formulas, {**STORY["sbg"], **GAMMAS}
    ends = MONTH + 12.0 * YEARS - 1
    assert 0 < formulas["p_active"](parameters, 10.0, ends - 20, 10.0) < 1
    with pytest.raises(clv.DataError, match="calendar covers are: from 2018-01-01 on, up to 2023-12-31"):
        formulas["p_active"](parameters, 10.0, ends - 20, 11.0)
    for which, after in (("residual_lifetime", ()), ("derl", (0.1, 0.5))):
        with pytest.raises(clv.DataError, match="the month before 2024-01-01"):
            formulas[which](parameters, 10.0, ends - 20, *after)
    with pytest.raises(clv.DataError, match="month of 2017-12-01"):
        formulas["survival"](parameters, 2.0, MONTH - 2.0)


# Fits


@pytest.mark.parametrize("name", DISCRETE)
def test_a_fit_finds_the_season_and_beats_the_plain_model(name, seasonal):
    table = seasonal if name == "sbg" else contracts(name, seed=5)
    fit = clv.fit(name, table, seed=1, draws=1000)
    assert fit.passed
    summary = fit.summary()
    for letter, truth in {**STORY[name], **GAMMAS}.items():
        assert abs(summary.loc[letter, "mean"] - truth) <= 4 * summary.loc[letter, "sd"]
    assert summary.loc["gamma_churn[winter]", "q05"] > 0.4
    assert summary.loc["gamma_churn[rise]", "q95"] < 0
    plain = clv.fit(name, replace(table, calendar=None), seed=1, draws=1000)
    ranked = clv.compare_models({"dated": fit, "plain": plain}, table)
    assert ranked.index[0] == "dated"
    assert ranked.loc["plain", "difference"] < -4 * ranked.loc["plain", "difference_se"]


def test_a_season_that_is_not_there_is_not_found(seasonal):
    """The same losses, with the calendar a quarter of a year later."""
    beside = replace(seasonal, start=seasonal.start.astype("datetime64[M]") + np.timedelta64(3, "M"))
    one, other = (clv.fit("sbg", t, method="mle", covariates={"churn": ["winter"]}) for t in (seasonal, beside))
    assert other.log_likelihood < one.log_likelihood - 10


def test_chosen_terms_alone_act(seasonal):
    fit = clv.fit("sbg", seasonal, method="mle", covariates={"churn": ["winter"]})
    assert list(fit.point) == ["alpha", "beta", "gamma_churn[winter]"]
    assert list(clv.fit("sbg", seasonal, method="mle", covariates={"churn": []}).point) == ["alpha", "beta"]


def test_covariates_of_customers_go_with_a_calendar(seasonal):
    fit = clv.fit("sbg", with_segments(seasonal), method="mle", covariates={"alpha": ["discount"], "churn": ["winter"]})
    assert list(fit.point) == ["alpha", "beta", "gamma_churn[winter]", "gamma_alpha[discount]"]
    listed = clv.fit("sbg", with_segments(seasonal), method="mle", covariates=["discount"])
    assert set(listed.point) == {"alpha", "beta", *GAMMAS, "gamma_alpha[discount]", "gamma_beta[discount]"}


def test_a_saved_fit_reads_its_calendar_again(seasonal, tmp_path):
    fit = clv.fit("bdw", seasonal, seed=1, draws=200)
    fit.save(tmp_path / "fit.nc")
    again = clv.load_fit(tmp_path / "fit.nc")
    assert clv.log_likelihood(again, seasonal) == pytest.approx(clv.log_likelihood(fit, seasonal), rel=1e-14)
    assert again.model.timetable == fit.model.timetable


def test_dummies_of_months_are_handled():
    """Eleven terms, of which the hazard of winter is three."""
    months = {f"month_{m}": tuple(float(day.month == m) for day in DAYS) for m in range(2, 13)}
    table = replace(contracts("sbg", seed=2), calendar=Calendar(FIRST, (1,) * len(DAYS), months))
    fit = clv.fit("sbg", table, seed=1, draws=1000)
    assert fit.passed
    assert fit.method == "laplace"
    found = fit.summary()["mean"]
    for month in (11, 12):
        assert found[f"gamma_churn[month_{month}]"] == pytest.approx(0.0, abs=0.25)  # January is winter too
    assert found["gamma_churn[month_6]"] == pytest.approx(-0.7, abs=0.25)


def test_a_campaign_of_a_day_is_told_as_part_of_its_month(seasonal):
    """The winters again, by one day in each of their months: the coefficient is that of a whole month of it."""
    first = tuple(float(day.day == 1) * winter for day, winter in zip(DAYS, TERMS["winter"], strict=True))
    table = replace(seasonal, calendar=Calendar(FIRST, (1,) * len(DAYS), {"day": first}))
    fit = clv.fit("sbg", table, seed=1, draws=500)
    whole = clv.fit("sbg", table_with(seasonal, "winter"), seed=1, draws=500)
    assert fit.passed
    ratio = fit.point["gamma_churn[day]"] / whole.point["gamma_churn[winter]"]
    assert ratio == pytest.approx(30.7, rel=0.02)  # days of a winter's month


def table_with(table, *terms):
    return replace(table, calendar=CALENDAR.some(terms))


@pytest.mark.slow
@pytest.mark.parametrize("groups", [{}, {"alpha": "segment"}])
def test_nuts_samples_it(groups):
    """Coefficients are common to all groups, and what they are hardly depends on two groups that do not differ."""
    table = with_segments(table_with(contracts("sbg", seed=1, cohorts=14), "winter"))
    nuts = clv.fit("sbg", table, method="nuts", seed=2, draws=1200, groups=groups)
    laplace = clv.fit("sbg", table, seed=1).summary()
    for letter in ["gamma_churn[winter]"]:
        assert nuts.summary().loc[letter, "mean"] == pytest.approx(laplace.loc[letter, "mean"], abs=0.1)
        assert nuts.summary().loc[letter, "sd"] == pytest.approx(laplace.loc[letter, "sd"], rel=0.15)
    pooled = {f"{letter}_by_segment" for letter in groups}
    assert {name for name in nuts.draws.data_vars if "_by_" in str(name)} == pooled


def test_coefficients_of_a_calendar_are_not_pooled(seasonal):
    target = target_of("bdw", with_segments(seasonal), groups="segment")
    assert list(target.levels) == [("alpha", "segment"), ("beta", "segment"), ("c", "segment")]
    with pytest.raises(clv.FitError, match="has the parameters alpha, beta to pool"):
        clv.fit("sbg", with_segments(seasonal), method="nuts", seed=1, groups={"gamma_churn[winter]": "segment"})


# The calendar by units


@pytest.mark.parametrize("unit", ["day", "week", "month", "year"])
def test_a_calendar_unit_begins_on_its_first_day(unit):
    days = np.arange("1969-11-20", "1972-02-10", dtype="datetime64[D]")
    number = calendar_units(days, unit)
    begins = first_days(number, unit)
    assert np.array_equal(calendar_units(begins, unit), number)
    assert np.all(calendar_units(begins - np.timedelta64(1, "D"), unit) == number - 1)


@pytest.mark.parametrize("unit", ["day", "week", "month", "year"])
def test_terms_of_a_unit_are_means_over_its_days_where_it_is_whole(unit):
    some = Calendar(dt.date(2019, 2, 3), (300, 500), {"a": (1.0, 4.0), "b": (0.0, 1.0)})
    dated = some.by_unit(unit)
    days = np.arange(np.datetime64(some.start), np.datetime64(some.end) + np.timedelta64(1, "D"))
    number = calendar_units(days, unit)
    values = some.at(days.astype(int) + 719163.0)
    for place, row in enumerate(dated.values):
        assert row == pytest.approx(values[number == dated.first + place].mean(axis=0))
    last = first_days(np.array([dated.first + len(dated.values)]), unit)[0] - np.timedelta64(1, "D")
    begins = {"day": "2019-02-03", "week": "2019-02-04", "month": "2019-03-01", "year": "2020-01-01"}
    ends = {"day": "2021-04-12", "week": "2021-04-11", "month": "2021-03-31", "year": "2020-12-31"}
    assert (str(first_days(np.array([dated.first]), unit)[0]), str(last)) == (begins[unit], ends[unit])


def test_contracts_have_calendars_without_a_log():
    dated = clv.calendar("2018-01-15", clv.Window("2019-12-31", unit="month"), horizon=2, seasons=["quarters"])
    assert (str(dated.start), dated.names) == ("2018-01-15", ("quarter_2", "quarter_3", "quarter_4"))
    assert dated.end >= dt.date(2020, 2, 29)
    with pytest.raises(clv.DataError, match="after its end"):
        clv.calendar("2020-01-15", clv.Window("2019-12-31", unit="month"))


def test_contracts_are_fitted_on_a_calendar():
    """Contracts by the day, from the file to the fit: those that end in winter are the more."""
    rng, rows = np.random.default_rng(7), []
    for place in range(40):
        begins = first_days(np.array([MONTH + place] * 60), "month") + rng.integers(0, 28, 60).astype("timedelta64[D]")
        lost = told(rng, STORY["sbg"], place, 60, 48 - place)
        for begin, age in zip(begins, lost, strict=True):
            months = (begin.astype("datetime64[M]") + np.timedelta64(int(age), "M")) if age < np.inf else None
            day = begin - begin.astype("datetime64[M]").astype("datetime64[D]")
            rows.append((begin, None if months is None else months.astype("datetime64[D]") + day))
    frame = pd.DataFrame(rows, columns=["start", "end"])
    frame = frame.astype("datetime64[s]").assign(customer_id=[f"c{i}" for i in range(len(rows))])
    table = clv.retention_table(frame, unit="month", observation_end="2021-12-31", calendar=CALENDAR)
    fit = clv.fit("sbg", table, method="mle")
    assert fit.point["gamma_churn[winter]"] == pytest.approx(0.7, abs=4 * fit.standard_errors["gamma_churn[winter]"])
    assert fit.point["gamma_churn[winter]"] > 4 * fit.standard_errors["gamma_churn[winter]"]


# Errors


def refused(message, table, name="sbg", error=clv.DataError, **arguments):
    with pytest.raises(error, match=message):
        clv.fit(name, table, method="mle", **arguments)


def test_what_a_calendar_cannot_tell_is_refused(seasonal):
    def with_term(values):
        return replace(seasonal, calendar=Calendar(FIRST, (1,) * len(DAYS), {**TERMS, "odd": values}))

    refused('"odd" is 1 in every month in which renewals are seen', with_term((1.0,) * len(DAYS)))
    refused("one follows from the others", with_term(tuple(1.0 - value for value in TERMS["winter"])))
    refused('"odd" has the mean', with_term(tuple(1e4 * value for value in TERMS["rise"])))
    short = Calendar(FIRST, (1,) * 500, {name: values[:500] for name, values in TERMS.items()})
    refused("renewals are seen from the month of 2018-02-01 to that of 2021-01-01", replace(seasonal, calendar=short))
    refused("start is needed", replace(seasonal, start=None))
    refused("takes no calendar", seasonal, name="weibull_gamma", error=clv.FitError)
    refused("takes no calendar", seasonal, name="exponential_gamma", error=clv.FitError)
    refused('acts on "churn"', seasonal, error=clv.FitError, covariates={"alpha": ["winter"]})
    refused("they act on alpha, beta, churn", seasonal, error=clv.FitError, covariates={"b": ["price"]})
    refused("there are: winter, rise", seasonal, covariates={"churn": ["summer"]})
    refused("the table has none", replace(seasonal, calendar=None), covariates={"churn": ["winter"]})
    refused("expected a list of column names", seasonal, error=clv.FitError, covariates={"churn": "winter"})


def test_a_continuous_model_leaves_the_terms_out_when_told_so(seasonal):
    assert "c" in clv.fit("weibull_gamma", seasonal, method="mle", covariates={"churn": []}).point


def test_a_fit_refuses_tables_that_its_calendar_does_not_know(seasonal):
    fit = clv.fit("sbg", seasonal, method="mle")
    with pytest.raises(clv.DataError, match="start is needed"):
        clv.log_likelihood(fit, replace(seasonal, start=None))
    other = {**TERMS, "rise": tuple(-value for value in TERMS["rise"])}
    with pytest.raises(clv.DataError, match="has other values"):
        clv.log_likelihood(fit, replace(seasonal, calendar=Calendar(FIRST, (1,) * len(DAYS), other)))
    later = seasonal.start.astype("datetime64[M]") + np.timedelta64(60, "M")
    with pytest.raises(clv.DataError, match="the whole months that the calendar covers"):
        clv.log_likelihood(fit, replace(seasonal, calendar=None, start=later))
    with pytest.raises(clv.FitError, match="gamma_churn"):
        clv.fit_at("sbg", {**STORY["sbg"], "gamma_churn[summer]": 1.0}, unit="month", calendar=CALENDAR)
