"""Pareto/NBD on a calendar: its integrals, its story, its limits, and what it finds in seasonal data."""

import datetime as dt
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import clvmodels as clv
from clvmodels.data import compress
from clvmodels.foundation.calendar import Timetable
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.foundation.quadrature import gauss_lobatto
from clvmodels.models import MODELS
from tests.forecast_cases import replayed

MONTE_CARLO_ERRORS = 4
TODAY = dt.date(2021, 1, 31)
WEEKS = np.arange(120)
SEASON = {
    "season": tuple(np.sin(2 * np.pi * WEEKS * 7 / 365.25)),
    "promo": tuple((WEEKS % 13 == 5).astype(float)),
}
CALENDAR = clv.Calendar(dt.date(2020, 1, 1), (7,) * len(WEEKS), SEASON)
STORY = {
    "r": 0.8, "alpha": 6.0, "s": 0.7, "beta": 14.0,
    "gamma_alpha[season]": 0.6, "gamma_alpha[promo]": 0.8, "gamma_beta[promo]": -1.0,
}  # fmt: skip
PLAIN = {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}
CUSTOMERS = [(0, 0.0, 0.0), (0, 0.0, 38.9), (1, 3.0, 38.9), (2, 30.43, 38.86), (29, 37.0, 38.0), (200, 50.0, 55.0)]


def columns(customers=CUSTOMERS):
    return tuple(np.array(column, dtype=float) for column in zip(*customers, strict=True))


def model_on(calendar, acting, today=TODAY, unit="week"):
    return MODELS["pareto_nbd_dyncov"].on_calendar(Timetable(calendar, acting, today, unit))


BOTH = model_on(CALENDAR, {"alpha": ("season", "promo"), "beta": ("promo",)})


def log_likelihood(model, parameters, x, t_x, T, term_sums=None):
    patterns = PurchasePatterns.of(x, t_x, T, "week")
    sums = np.zeros((len(x), len(model.timetable.calendar.names))) if term_sums is None else term_sums
    object.__setattr__(patterns, "term_sums", sums)
    return model.log_likelihood(parameters, patterns, NUMPY_OPS)


def pace(name, day, parameters, calendar=CALENDAR):
    """exp(gamma' z) on a day of the calendar that may begin or end within it, as the paper has it."""
    term = [calendar.terms[t][min(int((day - calendar.start.toordinal() + 1) // 7), 119)] for t in calendar.terms]
    gammas = [parameters.get(f"gamma_{name}[{t}]", 0.0) for t in calendar.terms]
    return np.exp(np.dot(gammas, term))


def directly(parameters, x, t_x, T):
    """log L by adaptive integration over time, day by day of the calendar; and P(alive)."""
    won = TODAY.toordinal() - 7 * T

    def run(name, y):
        ends = np.unique(np.clip(np.append(np.arange(-400.0, 400.0) * 7 + CALENDAR.start.toordinal() - 1, won + 7 * y),
                                 won, won + 7 * y))  # fmt: skip
        return sum(pace(name, (a + b) / 2, parameters) * (b - a) / 7 for a, b in pairwise(ends))

    def alive(y):
        return (
            (parameters["alpha"] / (parameters["alpha"] + run("alpha", y))) ** parameters["r"]
            * (parameters["alpha"] + run("alpha", y)) ** -x
            * (parameters["beta"] / (parameters["beta"] + run("beta", y))) ** parameters["s"]
        )

    def leaving(y):
        rate = parameters["s"] * pace("beta", won + 7 * y, parameters) / (parameters["beta"] + run("beta", y))
        return alive(y) * rate

    edges = (np.arange(-400.0, 400.0) * 7 + CALENDAR.start.toordinal() - 1 - won) / 7
    inside = [t_x, *edges[(edges > t_x) & (edges < T)], T]
    gone = sum(integrate.quad(leaving, a, b, epsrel=1e-11)[0] for a, b in pairwise(inside))
    counted = special.gammaln(parameters["r"] + x) - special.gammaln(parameters["r"])
    return counted + np.log(alive(T) + gone), alive(T) / (alive(T) + gone)


@pytest.mark.parametrize("customer", [(0, 0.0, 9.3), (1, 3.0, 20.0), (4, 11.0 / 7, 25.0), (12, 14.0, 15.0)])
def test_the_likelihood_is_the_integral_over_the_silence(customer):
    ours = log_likelihood(BOTH, STORY, *columns([customer]))[0, 0]
    exact, alive = directly(STORY, *customer)
    assert ours == pytest.approx(exact, abs=1e-9)
    assert BOTH.formulas["p_alive"](STORY, *map(np.float64, customer)) == pytest.approx(alive, abs=1e-10)


def test_purchases_in_terms_multiply_the_likelihood():
    sums = np.array([[0.7, 1.0], [0.0, 0.0]])
    two = log_likelihood(BOTH, STORY, *columns([(2, 10.0, 20.0)] * 2), sums)[0]
    assert two[0] - two[1] == pytest.approx(0.6 * 0.7 + 0.8)


def test_lobatto_nodes_hold_both_ends_and_integrate_polynomials():
    at, weights = gauss_lobatto(6)
    assert at[0] == 0
    assert at[-1] == 1
    assert [weights @ at**power for power in range(10)] == pytest.approx([1 / (power + 1) for power in range(10)])


@pytest.mark.parametrize(
    "calendar", [CALENDAR, clv.Calendar(CALENDAR.start, (840,), {"season": (1.3,), "promo": (0.0,)})]
)
def test_without_effects_it_is_pareto_nbd(calendar):
    """With coefficients of 0, on a calendar of weeks and on one period alone."""
    model = model_on(calendar, {"alpha": ("season", "promo"), "beta": ("promo",)})
    none = {**PLAIN, **dict.fromkeys(model.parameter_names[4:], 0.0)}
    plain, past = MODELS["pareto_nbd"], columns()
    simpler = plain.log_likelihood(PLAIN, PurchasePatterns.of(*past, "week"), NUMPY_OPS)
    assert log_likelihood(model, none, *past)[0] == pytest.approx(simpler, abs=1e-8)
    for which, after in (
        ("p_alive", ()),
        ("p_alive_after", (26.0,)),
        ("expected_purchases", (26.0,)),
        ("purchases_if_alive", (26.0,)),
        ("conditional_purchase_pmf", (2, 26.0)),
    ):
        read = past if which != "purchases_if_alive" else (past[0], past[2])
        ours, theirs = (m.formulas[which](p, *read, *after) for m, p in ((model, none), (plain, PLAIN)))
        assert ours == pytest.approx(theirs, rel=1e-8)
    for which, after in (("expected_purchases_new", (26.0,)), ("purchase_pmf", (np.arange(9), 26.0))):
        ours, theirs = (m.formulas[which](p, *after) for m, p in ((model, none), (plain, PLAIN)))
        assert ours == pytest.approx(theirs, rel=1e-8)
    assert model.limits["pareto_nbd"](PLAIN) == none


def test_without_a_calendar_it_is_pareto_nbd_and_says_so(cdnow):
    fit, plain = (clv.fit(name, cdnow, method="mle") for name in ("pareto_nbd_dyncov", "pareto_nbd"))
    assert fit.point == plain.point
    assert "pareto_nbd_dyncov is pareto_nbd" in fit.notes[0]


def test_a_term_that_never_changes_only_shifts_alpha():
    """At pace c all the time, lambda ~ Gamma(r, alpha / c); and beta alike."""
    model = model_on(clv.Calendar(CALENDAR.start, (840,), {"level": (1.5,)}), {"alpha": ("level",), "beta": ("level",)})
    shifted = {**PLAIN, "gamma_alpha[level]": 0.4, "gamma_beta[level]": -0.6}
    plain = {**PLAIN, "alpha": PLAIN["alpha"] * np.exp(-0.6), "beta": PLAIN["beta"] * np.exp(0.9)}
    x, t_x, T = columns()
    ours = log_likelihood(model, shifted, x, t_x, T, x[:, None] * 1.5)[0]
    theirs = MODELS["pareto_nbd"].log_likelihood(plain, PurchasePatterns.of(x, t_x, T, "week"), NUMPY_OPS)
    assert ours == pytest.approx(theirs, abs=1e-8)
    for which in ("p_alive_after", "expected_purchases"):
        assert model.formulas[which](shifted, x, t_x, T, 26.0) == pytest.approx(
            MODELS["pareto_nbd"].formulas[which](plain, x, t_x, T, 26.0), rel=1e-8
        )


def test_the_unit_of_time_does_not_matter():
    x, t_x, T = columns()
    days = model_on(CALENDAR, BOTH.timetable.acting, unit="day")
    scaled = {**STORY, "alpha": 7 * STORY["alpha"], "beta": 7 * STORY["beta"]}
    shift = log_likelihood(days, scaled, x, 7 * t_x, 7 * T) - log_likelihood(BOTH, STORY, x, t_x, T)
    assert shift[0] == pytest.approx(-x * np.log(7), abs=1e-8)
    expected = (m.formulas["expected_purchases"] for m in (days, BOTH))
    ours, theirs = (
        f(p, x, t_x * k, T * k, 26.0 * k) for f, p, k in zip(expected, (scaled, STORY), (7, 1), strict=True)
    )
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_formulas_are_finite_where_it_is_hard():
    x, t_x, T = columns(
        [(10_000, 50.0, 50.0), (10_000, 1.0, 55.0), (1, 1e-9, 55.0), (1, 55.0, 55.0), (0, 0, 0), (0, 0, 55)]
    )
    for change in ({}, {"alpha": 0.01, "beta": 1e-3}, {"alpha": 1e4, "s": 1e-3}, {"s": 1.0}, {"s": 30.0, "beta": 0.01}):
        parameters = {**STORY, **change}
        assert np.all(np.isfinite(log_likelihood(BOTH, parameters, x, t_x, T)))
        for which, after in (("p_alive", ()), ("expected_purchases", (52.0,)), ("conditional_purchase_pmf", (3, 52.0))):
            values = BOTH.formulas[which](parameters, x, t_x, T, *after)
            assert np.all(np.isfinite(values) & (values >= 0))


def test_draws_and_rows_broadcast():
    x, t_x, T = columns()
    draws = {name: value * np.array([[1.0], [1.3]]) for name, value in STORY.items()}
    for which, after in (("p_alive", ()), ("expected_purchases", (26.0,)), ("conditional_purchase_pmf", (2, 26.0))):
        table = BOTH.formulas[which](draws, x, t_x, T, *after)
        assert table.shape == (2, len(x))
        one = {name: value * 1.3 for name, value in STORY.items()}
        alone = [float(BOTH.formulas[which](one, *map(np.float64, c), *after)) for c in CUSTOMERS]
        assert table[1] == pytest.approx(alone, rel=1e-12)
    many = {name: value * np.exp(np.linspace(-0.2, 0.2, 301))[:, None] for name, value in STORY.items()}
    rows = log_likelihood(BOTH, many, x, t_x, T)
    last = {name: float(value[-1, 0]) for name, value in many.items()}
    assert rows[-1] == pytest.approx(log_likelihood(BOTH, last, x, t_x, T)[0], rel=1e-12)  # however draws are cut


def test_purchase_probabilities_sum_to_one_and_have_the_conditional_mean():
    k = np.arange(5000)
    for customer in CUSTOMERS:
        who = [np.float64(value) for value in customer]
        pmf = BOTH.formulas["conditional_purchase_pmf"](STORY, *who, k, 26.0)
        assert pmf.sum() == pytest.approx(1, abs=1e-9)
        assert k @ pmf == pytest.approx(float(BOTH.formulas["expected_purchases"](STORY, *who, 26.0)), rel=1e-8)


# The story


@pytest.fixture(scope="module")
def told():
    """Customers won at any time over the year before today, and their next half year."""
    age = np.random.default_rng(1).integers(0, 28, 20_000) * 2.0  # few first days, so that fits are fast
    return clv.simulate(
        "pareto_nbd_dyncov", STORY, T=age, size=len(age), seed=2, horizon=26.0, calendar=CALENDAR, calibration_end=TODAY
    )


@pytest.fixture(scope="module")
def known():
    return clv.fit_at("pareto_nbd_dyncov", STORY, calendar=CALENDAR, calibration_end=TODAY)


def test_the_story_is_that_of_purchases_thinned_by_the_calendar():
    """Told once more, another way: candidates at the highest pace, each kept with the pace of its day."""
    rng, size, T = np.random.default_rng(4), 60_000, 40.0
    most = np.exp(1.4)
    rate = rng.gamma(STORY["r"], 1 / STORY["alpha"], size)
    buyer = np.repeat(np.arange(size), rng.poisson(rate * most * T))
    time = rng.uniform(0, T, len(buyer))
    day = TODAY.toordinal() + 7 * (time - T)
    week = ((day - CALENDAR.start.toordinal() + 1) // 7).astype(int)
    season, promo = (np.array(SEASON[name]) for name in SEASON)
    kept = rng.random(len(buyer)) < np.exp(0.6 * season + 0.8 * promo)[week] / most
    hazard = rng.gamma(STORY["s"], 1 / STORY["beta"], size)  # out on the first step of 1/50 week that says so
    out = np.full(size, np.inf)
    for step in np.arange(0, T, 0.02):
        at = int((TODAY.toordinal() + 7 * (step + 0.01 - T) - CALENDAR.start.toordinal() + 1) // 7)
        leaves = rng.random(size) < -np.expm1(-hazard * np.exp(-promo[at]) * 0.02)
        out = np.where(np.isinf(out) & leaves, step + 0.01, out)
    kept &= time < out[buyer]
    counts = np.bincount(buyer[kept], minlength=size)
    halves = np.bincount(buyer[kept & (time < 20)], minlength=size)
    other, when = BOTH.simulate(np.random.default_rng(5), STORY, np.full(size, T))
    for ours, theirs in (
        (np.bincount(other, minlength=size), counts),
        (np.bincount(other[when < 20], minlength=size), halves),
    ):
        error = np.sqrt((ours.var() + theirs.var()) / size)
        assert abs(ours.mean() - theirs.mean()) <= MONTE_CARLO_ERRORS * error
        assert abs((ours == 0).mean() - (theirs == 0).mean()) <= MONTE_CARLO_ERRORS * np.sqrt(0.5 / size)


def test_the_story_agrees_with_the_formulas(told):
    customers, future = told
    x, t_x, T = customers.frequency, customers.recency, customers.T
    later = future["purchases"].to_numpy()
    surprise = later - BOTH.formulas["expected_purchases"](STORY, x, t_x, T, 26.0)
    none = BOTH.formulas["conditional_purchase_pmf"](STORY, x, t_x, T, np.zeros(len(x)), 26.0)
    for weight in (np.ones(len(x)), np.minimum(x, 5), x == 0, t_x, t_x > 0.7 * T):
        assert abs((surprise * weight).mean()) <= MONTE_CARLO_ERRORS * (surprise * weight).std() / np.sqrt(len(x))
        error = np.sqrt((weight**2 * none * (1 - none)).sum()) / len(x)
        assert abs((((later == 0) - none) * weight).mean()) <= MONTE_CARLO_ERRORS * error


def test_the_kernel_draws_what_the_formulas_say(told, known):
    size = 20_000
    customers = told[0].take(np.array([np.argmax(told[0].frequency), np.argmax(told[0].T), 0, 1]))
    drawn = replayed(clv.predict(known, customers, quantity="purchases", horizon=26.0, seed=3, draws=size), "customers")
    past = customers.frequency, customers.recency, customers.T
    expected = BOTH.formulas["expected_purchases"](STORY, *past, 26.0)
    assert np.all(np.abs(drawn.mean(axis=1) - expected) <= MONTE_CARLO_ERRORS * drawn.std(axis=1) / np.sqrt(size))
    for k in range(6):
        pmf = BOTH.formulas["conditional_purchase_pmf"](STORY, *past, k, 26.0)
        error = np.sqrt(pmf * (1 - pmf) / size)
        assert np.all(np.abs((drawn == k).mean(axis=1) - pmf) <= MONTE_CARLO_ERRORS * error + 1 / size)


def test_a_last_purchase_next_to_the_edge_of_a_week_is_an_ordinary_one(cdnow_log, spring):
    """Readings of a clock at an edge and just before it were one number, which the kernel divided by: 0 / 0."""
    customers = clv.customer_summary(cdnow_log, spring, calendar=clv.calendar(cdnow_log, spring, waves=1))
    waves = {"gamma_alpha[wave_1_sin]": 0.05, "gamma_alpha[wave_1_cos]": 0.15}
    fit = clv.fit_at("pareto_nbd_dyncov", {**PLAIN, **waves}, calendar=customers.calendar, calibration_end="1998-03-31")
    drawn = clv.predict(fit, customers, quantity="purchases", horizon=13.0, seed=1, draws=400)
    expected = clv.predict(fit, customers, quantity="expected_purchases", horizon=13.0).mean.sum()
    error = drawn.total_draws.std() / np.sqrt(400)
    assert abs(drawn.total_draws.mean() - expected) <= MONTE_CARLO_ERRORS * error


def test_forecasts_follow_the_season(told, known):
    """Week by week: kernel against the expectation, which rises and falls with the calendar."""
    from clvmodels.forecast.future import purchases_by_period

    customers = told[0].take(np.arange(300))
    ends = np.arange(1.0, 27.0)
    draws = purchases_by_period(known, customers, ends=ends, seed=1, draws=400)
    past = customers.frequency, customers.recency, customers.T
    curve = [BOTH.formulas["expected_purchases"](STORY, *past, t).sum() for t in ends]
    weekly = np.diff(curve, prepend=0.0)
    assert np.all(np.abs(draws.mean(axis=0) - weekly) <= MONTE_CARLO_ERRORS * draws.std(axis=0) / np.sqrt(400))
    assert weekly.max() > 2 * weekly.min()


def test_a_newcomer_is_a_customer_won_today():
    zero = np.float64(0)
    for t in (1.0, 26.0):
        ours = BOTH.formulas["expected_purchases"](STORY, zero, zero, zero, t)
        assert ours == pytest.approx(float(BOTH.formulas["expected_purchases_new"](STORY, np.float64(t))), rel=1e-12)


# Fits


def test_the_coefficients_are_found_and_a_fit_can_be_saved(told, tmp_path):
    customers, _ = told
    some = customers.take(np.arange(1500))
    fit = clv.fit("pareto_nbd_dyncov", some, draws=400, seed=1, covariates={"alpha": ["season", "promo"]})
    assert fit.passed
    for name in ("gamma_alpha[season]", "gamma_alpha[promo]"):
        assert abs(fit.point[name] - STORY[name]) < 4 * float(fit.draws[name].std())
    fit.save(tmp_path / "fit.nc")
    again = clv.load_fit(tmp_path / "fit.nc")
    unseen = customers.take(np.arange(1500, 1550))
    for quantity, after in (
        ("p_alive", {}),
        ("expected_purchases", {"horizon": 26.0}),
        ("purchases", {"horizon": 26.0, "seed": 1}),
    ):
        one, other = (clv.predict(f, unseen, quantity=quantity, **after) for f in (fit, again))
        assert np.array_equal(one.mean, other.mean)
    assert np.array_equal(clv.log_likelihood(fit, unseen), clv.log_likelihood(again, unseen))


@pytest.mark.slow
def test_coefficients_are_recovered_within_coverage():
    """90 % intervals of 40 simulated data sets: 36 are expected to cover, and 30 or fewer with a chance of 2 %."""
    covered = np.zeros(2)
    truth = {name: value for name, value in STORY.items() if "beta[" not in name}
    for seed in range(40):
        age = np.random.default_rng(seed).integers(7, 28, 800) * 2.0
        customers, _ = clv.simulate(
            "pareto_nbd_dyncov",
            truth,
            T=age,
            size=800,
            seed=seed,
            horizon=1.0,
            calendar=CALENDAR,
            calibration_end=TODAY,
        )
        summary = clv.fit("pareto_nbd_dyncov", customers, method="laplace", draws=400, seed=seed).summary()
        for place, name in enumerate(("gamma_alpha[season]", "gamma_alpha[promo]")):
            covered[place] += summary.loc[name, "q05"] <= truth[name] <= summary.loc[name, "q95"]
    assert np.all(covered > 30)


def test_rescaling_a_term_rescales_its_coefficient(told):
    some = told[0].take(np.arange(600))
    tenfold = clv.Calendar(CALENDAR.start, CALENDAR.days, {"season": tuple(10 * np.array(SEASON["season"]))})
    customers = [
        with_season(some, calendar, factor)
        for calendar, factor in (
            (clv.Calendar(CALENDAR.start, CALENDAR.days, {"season": SEASON["season"]}), 1),
            (tenfold, 10),
        )
    ]
    one, other = (clv.fit("pareto_nbd_dyncov", c, method="mle") for c in customers)
    assert other.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-6)
    assert 10 * other.point["gamma_alpha[season]"] == pytest.approx(one.point["gamma_alpha[season]"], rel=1e-4)
    priors = [c_fit.model.parameters[-1].prior_sd for c_fit in (one, other)]
    assert priors[0] == pytest.approx(10 * priors[1])


def with_season(customers, calendar, factor):
    return replace(customers, calendar=calendar, term_sums=factor * customers.term_sums[:, :1])


# A log with dates


@pytest.fixture(scope="module")
def spring():
    return clv.Window(calibration_end="1998-03-31", holdout_end="1998-06-30", unit="week")


@pytest.fixture(scope="module")
def christmas(cdnow_log, spring):
    return clv.calendar(cdnow_log, spring, seasons=["christmas"])


def test_a_summary_sums_the_terms_over_repeat_purchases(cdnow_log, spring, christmas):
    calendar = clv.calendar(cdnow_log, spring, waves=1, seasons=["christmas"])
    customers = clv.customer_summary(cdnow_log, spring, calendar=calendar)
    lines = cdnow_log.table.to_pandas()
    lines["date"] = pd.to_datetime(lines["date"])
    lines = lines[lines["date"] <= "1998-03-31"]
    repeats = lines[lines["date"] > lines.groupby("customer_id")["date"].transform("min")]
    during = repeats[(repeats["date"] >= "1997-11-27") & (repeats["date"] <= "1997-12-24")]
    counted = during.groupby("customer_id").size().reindex(customers.customer_id, fill_value=0)
    assert np.array_equal(customers.term_sums[:, 2], counted)
    week = (repeats["date"] - pd.Timestamp(calendar.start)).dt.days // 7
    middle = pd.Timestamp(calendar.start).to_pydatetime().toordinal() + 7 * week + 3
    waves = np.sin(2 * np.pi * middle / 365.25).groupby(repeats["customer_id"]).sum()
    assert customers.term_sums[:, 0] == pytest.approx(waves.reindex(customers.customer_id, fill_value=0.0), abs=1e-8)
    patterns, index = compress(customers, None, ("term_sums",))
    assert patterns.term_sums[index] == pytest.approx(customers.term_sums)
    assert christmas.names == ("christmas",)


def test_on_the_paper_s_data_christmas_sells_and_waves_sell_more(cdnow_log, spring, christmas):
    """Twice the log likelihood gained is chi-squared where a term has no effect: 3.8 is the 5 % point for one."""
    gained = {}
    for key, calendar in (("christmas", christmas), ("waves", clv.calendar(cdnow_log, spring, waves=1))):
        customers = clv.customer_summary(cdnow_log, spring, calendar=calendar)
        fit = clv.fit("pareto_nbd_dyncov", customers, method="mle")
        gained[key] = next(check.value for check in fit.checks if check.key == "nested")
        assert fit.passed
        if key == "christmas":
            assert 0 < fit.point["gamma_alpha[christmas]"] < 0.5
    assert 0 < gained["christmas"] < gained["waves"]
    assert stats.chi2(2).sf(2 * gained["waves"]) < 1e-6


def test_what_cannot_be_is_refused_by_name(cdnow_log, window, cdnow, told, known, christmas, spring):
    calendar = clv.calendar(cdnow_log, window, seasons=["christmas"])
    with pytest.raises(clv.DataError, match='"christmas" is 0 on every day'):
        clv.fit("pareto_nbd_dyncov", clv.customer_summary(cdnow_log, window, calendar=calendar), method="mle")
    with pytest.raises(clv.DataError, match="no such term; there are: season, promo"):
        clv.fit("pareto_nbd_dyncov", told[0], method="mle", covariates={"alpha": ["sale"]})
    with pytest.raises(clv.FitError, match="they act on alpha, beta"):
        clv.fit("pareto_nbd_dyncov", told[0], method="mle", covariates={"r": ["season"]})
    with pytest.raises(clv.FitError, match='not fitted by "nuts"'):
        clv.fit("pareto_nbd_dyncov", told[0], method="nuts", seed=1)
    for quantity, after in (("expected_purchases", {}), ("purchases", {"seed": 1})):
        with pytest.raises(clv.DataError, match="the calendar of the fit ends on 2022-04-19"):
            clv.predict(known, told[0].take(np.arange(5)), quantity=quantity, horizon=80.0, **after)
    with pytest.raises(clv.DataError, match=r'take fit.as_of\("1997-09-30"\)'):
        clv.predict(known, cdnow, quantity="p_alive")
    with pytest.raises(clv.DataError, match="these customers have no dates"):
        clv.predict(known, clv.CustomerSummary.from_frame(cdnow.to_pandas(), unit="week"), quantity="p_alive")
    with pytest.raises(clv.DataError, match="covers all days"):
        known.as_of("2030-01-01")
    other = with_season(told[0], clv.Calendar(CALENDAR.start, CALENDAR.days, {"season": SEASON["promo"]}), 1)
    with pytest.raises(clv.DataError, match="is not that of the fit"):
        clv.predict(known, other, quantity="p_alive")
    with pytest.raises(clv.DataError, match="covers all days"):
        clv.customer_summary(cdnow_log, spring, calendar=CALENDAR)
    with pytest.raises(clv.DataError, match='campaign "sale" does not run between'):
        clv.calendar(cdnow_log, window, campaigns={"sale": [("2001-01-01", "2001-01-31")]})
    with pytest.raises(clv.DataError, match='"sale" ends on 1997-01-01, before'):
        clv.calendar(cdnow_log, window, campaigns={"sale": [("1997-01-31", "1997-01-01")]})
    with pytest.raises(clv.DataError, match='"winter" is unknown'):
        clv.calendar(cdnow_log, window, seasons=["winter"])
    twice = clv.calendar(cdnow_log, spring, seasons=["christmas"], campaigns={"x": [("1997-11-27", "1997-12-24")]})
    customers = clv.customer_summary(cdnow_log, spring, calendar=twice)
    with pytest.raises(clv.DataError, match="one follows from the others"):
        clv.fit("pareto_nbd_dyncov", customers, method="mle")


def test_a_calendar_joins_alike_days(cdnow_log, window):
    calendar = clv.calendar(
        cdnow_log,
        window,
        horizon=60.0,
        seasons=["christmas", "quarters"],
        campaigns={"sale": [("1997-02-01", "1997-02-14")]},
    )
    assert calendar.end == dt.date(1998, 11, 24)
    assert calendar.names == ("christmas", "quarter_2", "quarter_3", "quarter_4", "sale")
    assert len(calendar.days) == 12
    on = [dt.date(1997, 2, 14), dt.date(1997, 2, 15), dt.date(1997, 12, 24), dt.date(1997, 12, 25)]
    values = calendar.at(np.array([day.toordinal() for day in on], dtype=float))
    assert np.array_equal(values[:, 4], [1, 0, 0, 0])
    assert np.array_equal(values[:, 0], [0, 0, 1, 0])
    assert calendar.agrees(calendar)


def test_a_fit_goes_on_with_the_calendar_on_a_later_day(cdnow_log, spring):
    calendar = clv.calendar(cdnow_log, spring, waves=1)
    early = clv.Window(calibration_end="1997-12-31", unit="week")
    fit = clv.fit("pareto_nbd_dyncov", clv.customer_summary(cdnow_log, early, calendar=calendar), method="mle")
    later = clv.customer_summary(cdnow_log, spring, calendar=calendar)
    moved = fit.as_of("1998-03-31")
    at = clv.fit_at("pareto_nbd_dyncov", fit.point, calendar=calendar, calibration_end="1998-03-31")
    ours, theirs = (clv.predict(f, later, quantity="expected_purchases", horizon=13.0).mean for f in (moved, at))
    assert np.array_equal(ours, theirs)


@pytest.mark.sbc
def test_ranks_are_uniform_on_a_calendar():
    """True parameters among 99 posterior draws of 200 data sets, whose parameters are drawn from the priors."""
    rng, ranks = np.random.default_rng(7), []
    names = ("r", "alpha", "s", "beta", "gamma_alpha[season]")
    calendar = clv.Calendar(CALENDAR.start, CALENDAR.days, {"season": SEASON["season"]})
    priors = {
        "r": clv.LogNormal(0.8, 0.3), "alpha": clv.LogNormal(6.0, 0.3), "s": clv.LogNormal(0.7, 0.3),
        "beta": clv.LogNormal(14.0, 0.3), "gamma_alpha[season]": clv.Normal(0.0, 0.4),
    }  # fmt: skip
    for seed in range(200):
        truth = model_on(calendar, {"alpha": ("season",)}).drawn_from(priors, rng)
        age = rng.integers(7, 28, 300) * 2.0
        customers, _ = clv.simulate(
            "pareto_nbd_dyncov",
            truth,
            T=age,
            size=300,
            seed=seed,
            horizon=1.0,
            calendar=calendar,
            calibration_end=TODAY,
        )
        fit = clv.fit("pareto_nbd_dyncov", customers, draws=99, seed=seed, priors=priors)
        ranks.append([int((fit.draws[name].values < truth[name]).sum()) for name in names])
    for column in np.array(ranks).T:
        assert stats.chisquare(np.bincount(column // 10, minlength=10)).pvalue > 0.05 / len(names) / 10
