"""Revenue retention of cohorts: laws of the story, calendar and sampler, and forecasts against what happened."""

from dataclasses import replace
from functools import cache

import mpmath
import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.results import Check
from clvmodels.inference.triangle_target import _newton, apart, coordinates, incidence, part_target
from clvmodels.models import revenue_retention as model
from tests.revenue_retention_cases import (
    CONTRACTS,
    TRUTH,
    blank,
    carried_on,
    cdnow_triangle,
    chain_ladder,
    covered,
    errors,
    forecast_of,
    held_out,
    seen_up_to,
    told,
)

SIZES = (400, 150, 60, 800, 20, 250)
LAST = 9
ERRORS = 4.0  # standard errors of a Monte Carlo mean


@cache
def full_triangle():
    return told(SIZES, 12, seed=1)


@cache
def fitted():
    return forecast_of(seen_up_to(full_triangle(), LAST), horizon=6, seed=2)


def targets_of(triangle, season="none"):
    priors = model.priors_for(triangle, {})
    return [part_target(part, triangle, season, priors) for part in model.PARTS]


# ------------------------------------------------------------------------------------------------------ laws and story
@pytest.mark.parametrize("cell_sd", [1e-3, 0.05, 0.4])
def test_active_customers_are_beta_binomial(cell_sd):
    n, p = np.array([20.0, 300.0, 5.0]), np.array([0.1, 0.6, 0.99])
    active = np.array([3.0, 170.0, 5.0])
    ours = model.active_log_likelihood(np.log(p / (1 - p)), cell_sd, active, n, NUMPY_OPS)
    theirs = stats.betabinom.logpmf(active, n, p / cell_sd**2, (1 - p) / cell_sd**2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_revenue_is_gamma_with_the_mean_and_variance_of_the_story():
    active, m = np.array([1.0, 40.0, 3000.0]), np.array([30.0, 25.0, 28.0])
    spread = 1.3**2 / active + 0.1**2
    revenue = np.array([12.0, 1100.0, 80000.0])
    ours = model.revenue_log_likelihood(np.log(m), 1.3, 0.1, revenue, active, NUMPY_OPS)
    theirs = stats.gamma.logpdf(revenue, 1 / spread, scale=spread * m * active)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_draws_have_the_moments_of_their_laws():
    rng, size = np.random.default_rng(3), 200_000
    p, n, sd = 0.2, 50, 0.3
    active = model.draw_active(rng, np.full(size, p), np.array(sd), np.array(float(n)))
    law = stats.betabinom(n, p / sd**2, (1 - p) / sd**2)
    assert abs(active.mean() - law.mean()) < ERRORS * law.std() / size**0.5
    assert abs(active.var() / law.var() - 1) < 0.02
    revenue = model.draw_revenue(rng, np.full(size, 30.0), np.array(1.2), np.array(0.2), np.array(10.0))
    cv = (1.2**2 / 10 + 0.2**2) ** 0.5
    assert abs(revenue.mean() - 300) < ERRORS * 300 * cv / size**0.5
    assert abs(revenue.std() / 300 / cv - 1) < 0.02
    assert model.draw_revenue(rng, np.array([30.0]), np.array(1.2), np.array(0.2), np.array([0.0])) == 0


def test_the_retention_odds_of_a_beta_geometric_cohort_lie_near_a_straight_line_in_log_age():
    # with beta = 1 exactly on a line of slope 1: (beta + t - 1) / alpha
    alpha, t = 0.7, np.arange(1, 13.0)
    cells = model.Cells(*4 * (np.zeros(12, dtype=int),))
    line = model.Effects(-np.log(alpha), 1.0, np.zeros(13), np.zeros(1), np.zeros(1), np.zeros(1))
    logit = model.predictor(line, replace(cells, age=t.astype(int)))
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), t / (alpha + t), rtol=1e-12)


def test_age_effects_spread_as_log_age():
    steps = model.age_steps(40)
    np.testing.assert_allclose(np.cumsum(steps**2), np.log(np.arange(2, 40)), rtol=1e-12)


# ---------------------------------------------------------------------------------------------------------- calendar
@pytest.mark.parametrize(
    ("unit", "first", "second", "last"),
    [
        ("month", "2020-01-01", "2020-02-01", "2021-02-01"),
        ("week", "2020-01-06", "2020-01-13", "2020-03-30"),
        ("day", "2020-02-28", "2020-02-29", "2020-03-11"),
        ("year", "2020-01-01", "2021-01-01", "2032-01-01"),
    ],
)
def test_units_follow_the_calendar(unit, first, second, last):
    starts = model.unit_starts(blank([5], 3, unit=unit, first=first), 13 if unit != "month" else 14)
    assert [str(starts[0]), str(starts[1]), str(starts[-1])] == [first, second, last]


def test_seasons_are_months_of_the_year_and_weekdays():
    days = np.array(["2024-01-29", "2024-12-01"], dtype="datetime64[D]")  # a Monday, a Sunday
    assert model.seasons_of(days, "day", "weekday").tolist() == [0, 6]
    assert model.seasons_of(days, "month", "month").tolist() == [0, 11]
    assert model.seasons_of(days[:1], "week", "month").tolist() == [1]  # most of that week is in February


@pytest.mark.parametrize(("units", "season"), [(23, "none"), (24, "month")])
def test_a_season_needs_two_rounds_of_it(units, season):
    chosen, notes = model.choose_season(blank([10] * (units - 3), 4), "auto")
    assert chosen == season
    assert bool(notes) == (season == "none")


# ----------------------------------------------------------------------------------------------------------- sampler
def test_the_graph_has_the_density_of_the_story():
    from clvmodels.inference.triangle_nuts import _unknowns, triangle_graph

    triangle = seen_up_to(full_triangle(), LAST)
    targets = targets_of(triangle)
    scales = [coordinates(target) for target in targets]
    graph = triangle_graph(targets, scales).compile_logp(mode="FAST_COMPILE")
    rng = np.random.default_rng(5)
    at = [{f"{t.part}_u": rng.normal(0, 0.5, t.n_unknowns) for t in targets} for _ in range(3)]

    def by_scipy(point):
        total = 0.0
        for target, scale in zip(targets, scales, strict=True):
            theta, effects = _unknowns(target, scale, point[f"{target.part}_u"])
            natural = dict(zip(target.names, np.where(target.positive, np.exp(theta), theta), strict=True))
            eta = target.line @ theta + incidence(target) @ effects
            if target.part == "retention":
                kappa, p = natural["cell_sd"] ** -2, 1 / (1 + np.exp(-eta))
                total += stats.betabinom.logpmf(target.outcome, target.size, p * kappa, (1 - p) * kappa).sum()
            else:
                spread = natural["customer_cv"] ** 2 / target.size + natural["cell_cv"] ** 2
                mean = np.exp(eta) * target.size
                total += stats.gamma.logpdf(target.outcome, 1 / spread, scale=spread * mean).sum()
            sds = np.exp(theta[target.sd_of])
            # the Jacobian of effect = w sd^c, and of sd = exp(theta)
            total += (stats.norm.logpdf(effects, 0, sds) + scale.share * np.log(sds)).sum()
            for i, name in enumerate(target.names):
                sd = target.prior_sd[i]
                if target.positive[i]:
                    total += stats.halfnorm.logpdf(natural[name], scale=sd) + theta[i]
                    continue
                if name == "level":
                    means = natural["cohort_sd"] ** 2 / len(SIZES) + natural["unit_sd"] ** 2 / (LAST + 1)
                    sd = (sd**2 + means) ** 0.5
                if name == "slope":
                    sd = (sd**2 + natural["age_sd"] ** 2 / np.log(LAST)) ** 0.5
                total += stats.norm.logpdf(natural[name], target.prior_mean[i], sd)
        return total

    ours = np.array([float(graph(point)) for point in at])
    theirs = np.array([by_scipy(point) for point in at])
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), atol=1e-6)


def test_means_taken_out_and_put_back_leave_the_effects_as_the_story_has_them():
    target, _ = targets_of(seen_up_to(full_triangle(), LAST))
    rng, size = np.random.default_rng(6), 40_000
    theta = np.tile(np.where(target.positive, np.log(0.4), target.prior_mean), (size, 1))
    places = {name: target.place(name) for name in ("level", "slope")}
    for place in places.values():
        variance = target.prior_sd[place] ** 2 + 0.4**2 * target.shift[place].sum()
        theta[:, place] += variance**0.5 * rng.standard_normal(size)
    again, means = apart(target, theta, rng)
    left = rng.standard_normal((size, target.bases["cohort"].shape[1])) * 0.4
    cohort = left @ target.bases["cohort"].T + means["cohort"][:, None]
    bridge = 0.4 * rng.standard_normal((size, target.bases["age"].shape[1])) @ target.bases["age"].T
    walk = bridge[:, 2:] + means["age"][:, None] * np.log(np.arange(2, LAST + 1))
    together = np.column_stack([again[:, places["level"]], again[:, places["slope"]], cohort, np.diff(walk, axis=1)])
    variances = np.concatenate(
        [[1.5**2, 1.0], np.full(len(SIZES), 0.4**2), 0.4**2 * np.diff(np.log(np.arange(2, LAST + 1)))]
    )
    correlation = np.cov((together / variances**0.5).T)
    assert np.abs(correlation - np.eye(len(variances))).max() < (ERRORS + 1) * (2 / size) ** 0.5  # of 190 numbers


def test_the_samplers_centre_is_a_mode_of_the_effects_at_typical_standard_deviations():
    for target in targets_of(seen_up_to(full_triangle(), LAST)):
        centre = coordinates(target).centre
        is_sd = np.isin(np.arange(len(target.names)), target.sd_of)
        again, _ = _newton(target, incidence(target), centre, is_sd)
        np.testing.assert_allclose(again, centre, atol=1e-3)


def test_a_fit_passes_its_checks_and_holds_the_truth():
    fit, _ = fitted()
    assert fit.passed, fit.checks
    assert fit.n_draws == 1000
    summary = fit.summary()
    names = [name for name in TRUTH if name in summary.index]
    assert len(names) == 14
    error = (summary.loc[names, "mean"] - np.array([TRUTH[name] for name in names])) / summary.loc[names, "sd"]
    assert error.abs().max() < ERRORS


# --------------------------------------------------------------------------------------------------------- forecasts
def test_seen_cells_are_what_was_seen_and_sums_begin_with_them():
    _, forecast = fitted()
    seen = seen_up_to(full_triangle(), LAST)
    for row, size in enumerate(SIZES):
        ages = LAST + 1 - row
        draws = forecast.draws.isel(cohort=row)
        assert (draws["active"].values[:, :ages] == seen.active[row, :ages]).all()
        assert (draws["revenue"].values[:, :ages] == seen.revenue[row, :ages]).all()
        paid = seen.revenue[row, :ages].sum()
        np.testing.assert_allclose(draws["cumulative_revenue_per_acquired"].values[:, ages - 1], paid / size)
        assert draws["cumulative_revenue"].values[:, ages].std() > 0


def test_revenue_per_acquired_is_retention_times_revenue_per_active():
    draws = fitted()[1].draws
    product = draws["retention"] * draws["revenue_per_active"]
    np.testing.assert_allclose(draws["revenue_per_acquired"].values, product.values, rtol=1e-12)
    assert (draws["retention"].isel(age=0) == 1).all()


def test_predictive_draws_have_the_expected_mean_and_more_spread():
    draws = fitted()[1].draws.isel(cohort=3, age=LAST - 2)
    expected, active = draws["retention"].values * SIZES[3], draws["active"].values
    assert abs((active - expected).mean()) < ERRORS * (active - expected).std() / len(active) ** 0.5
    assert active.std() > expected.std()


def test_totals_are_the_sums_of_the_cohorts_but_the_new_one():
    _, forecast = fitted()
    for step in range(forecast.horizon):
        cells = [forecast.draws["revenue"].values[:, row, LAST + 1 + step - row] for row in range(len(SIZES))]
        np.testing.assert_allclose(forecast.totals["revenue"].values[:, step], np.sum(cells, axis=0))
    assert str(forecast.totals_to_pandas()["start"].iloc[0].date()) == "2020-11-01"


def test_a_longer_horizon_changes_nothing_before():
    fit, forecast = fitted()
    longer = clv.revenue_retention(fit, horizon=9, seed=2)
    for name in ("retention", "active", "revenue"):
        before = forecast.draws[name].values
        after = longer.draws[name].values[..., : before.shape[2]]
        np.testing.assert_array_equal(before, np.where(np.isnan(before), np.nan, after))


def test_a_new_cohort_is_less_certain_than_one_that_was_seen():
    frame = fitted()[1].to_pandas()
    frame = frame[(frame["quantity"] == "retention") & (frame["age"] == 5)].set_index("cohort")
    assert frame.loc["new", "sd"] > frame.loc["c03", "sd"]
    assert frame["mean"].between(0, 1).all()


def test_a_frame_has_a_row_for_each_quantity_cohort_and_age():
    frame = fitted()[1].to_pandas()
    cells = sum(LAST + 1 + 6 - row for row in range(len(SIZES))) + 6
    assert len(frame) == 7 * cells
    assert (frame["q05"] <= frame["q95"]).all()
    assert frame["mean"].notna().all()


def test_a_failed_check_refuses_a_forecast_unless_allowed():
    fit = replace(fitted()[0], checks=(Check("divergences", 40.0, 4.0, False),))
    with pytest.raises(clv.FitError, match=r'divergences = 40 .*fit.allowing\("divergences"\)'):
        clv.revenue_retention(fit, horizon=3, seed=1)
    assert clv.revenue_retention(fit.allowing("divergences"), horizon=1, seed=1).horizon == 1


# ----------------------------------------------------------------------------------------------------------- refusals
def test_impossible_and_empty_triangles_are_refused_with_the_cell():
    risen = told((50, 40), 4, seed=2, truth=CONTRACTS, contractual=True)
    risen.active[1, 3] = risen.active[1, 2] + 1
    with pytest.raises(clv.DataError, match=r"cohort c01, age 3 .*contracts"):
        clv.fit_revenue_retention(risen, seed=1)
    triangle = told((50, 40), 4, seed=2)
    few = replace(triangle, active=np.column_stack([triangle.active[:, 0] - 1, triangle.active[:, 1:]]))
    with pytest.raises(clv.DataError, match="cohort c00, age 0"):
        clv.fit_revenue_retention(few, seed=1)
    with pytest.raises(clv.DataError, match="no revenue is known"):
        clv.fit_revenue_retention(replace(triangle, revenue=np.full((2, 4), np.nan)), seed=1)
    with pytest.raises(clv.DataError, match="two ages"):
        clv.fit_revenue_retention(seen_up_to(triangle, 1), seed=1)
    with pytest.raises(clv.DataError, match="CohortTriangle"):
        clv.fit_revenue_retention("triangle", seed=1)


def test_arguments_that_cannot_be_are_refused():
    triangle = told((50, 40), 4, seed=2)
    for options, message in [
        ({"seed": None}, "seed"),
        ({"seed": 1, "draws": 10}, "100 or more"),
        ({"seed": 1, "season": "moon"}, '"auto", "month"'),
        ({"seed": 1, "season": "weekday"}, "same in all"),
        ({"seed": 1, "priors": {"churn": clv.Normal(0, 1)}}, "retention_level"),
        ({"seed": 1, "priors": {"retention_age_sd": clv.Normal(0, 1)}}, "expected HalfNormal"),
    ]:
        with pytest.raises(clv.FitError, match=message):
            clv.fit_revenue_retention(triangle, **options)
    with pytest.raises(clv.FitError, match="horizon"):
        clv.revenue_retention(fitted()[0], horizon=0, seed=1)


# ------------------------------------------------------------------------------------------- against what happened
def test_the_simple_rules_are_what_they_say():
    values = np.array([[100.0, 40.0, 20.0], [50.0, 30.0, np.nan], [10.0, np.nan, np.nan]])
    assert carried_on(values)[2].tolist() == [10, 10, 10]
    np.testing.assert_allclose(chain_ladder(values)[2], [10, 10 * 70 / 150, 10 * 70 / 150 * 20 / 40])


@pytest.mark.slow
def test_cdnow_of_a_half_year_is_foretold_from_the_year_before():
    full = cdnow_triangle(clv.read_transactions("dataset:cdnow"))
    seen = seen_up_to(full, 11)
    fit, forecast = forecast_of(seen, horizon=6, seed=3)
    assert fit.notes
    for quantity in ("active", "revenue"):
        frame = held_out(forecast, quantity, full)
        assert covered(frame) >= 0.8
        wrong = errors(frame, full, seen, quantity)
        assert wrong["model"] < wrong["chain_ladder"]


@pytest.mark.slow
def test_bands_of_simulated_triangles_hold_nine_in_ten_and_the_mean_beats_the_simple_rules():
    shares, wrong = [], []
    for seed in range(8):
        contractual = seed % 4 == 3
        sizes = np.round(np.exp(np.random.default_rng([7, seed]).normal(5.5, 0.7, 8))) + 10
        sizes[3] = 20
        full = told(sizes, 14, seed=seed, truth=CONTRACTS if contractual else TRUTH, contractual=contractual)
        seen = seen_up_to(full, 11)
        fit = clv.fit_revenue_retention(seen, draws=1000, seed=seed)
        assert fit.passed, fit.checks
        forecast = clv.revenue_retention(fit, horizon=6, seed=seed)
        for quantity in ("active", "revenue"):
            frame = held_out(forecast, quantity, full)
            shares.append(covered(frame))
            wrong.append(errors(frame, full, seen, quantity))
        if contractual:
            assert (np.diff(forecast.draws["active"].values[:, 0], axis=-1) <= 0).all()
    # cells of one triangle share their effects: the error is that between triangles
    assert abs(np.mean(shares) - 0.9) < ERRORS * np.std(shares, ddof=1) / len(shares) ** 0.5
    for rule in ("carried_on", "chain_ladder"):
        assert np.mean([np.log(each["model"] / each[rule]) for each in wrong]) < 0


@pytest.mark.slow
def test_cohorts_of_20_at_three_ages_are_learnt_better_with_the_others_than_by_their_own_shares():
    sizes, ages = np.full(24, 20), 4
    small = told(sizes, ages, seed=50)
    # the effects are drawn before the cells, so that large cohorts show the chance that the small ones had
    chance = told(100_000 * sizes, ages, seed=50).retention[:, 1:].mean(axis=1)
    fit, forecast = forecast_of(small, horizon=1, seed=1)
    assert fit.passed
    pooled = forecast.draws["retention"].mean("draw").values[:-1, 1:ages].mean(axis=1)
    own = small.retention[:, 1:].mean(axis=1)
    assert np.mean((pooled - chance) ** 2) < 0.8 * np.mean((own - chance) ** 2)


@pytest.mark.parametrize("cell_sd", [3.0, 0.1, 1e-3, 1e-6])
def test_the_chance_of_a_count_keeps_its_digits_where_hardly_any_spread_is_left(cell_sd):
    """Differences of log gammas beyond 1e8 were noise: on the full CDNOW log one chain in four stood still over it."""
    for active, n, logit in ((1300, 7846, -1.7), (3, 20, 0.4), (0, 5, -2.0), (5, 5, 2.0)):
        with mpmath.workdps(60):
            kappa = 1 / mpmath.mpf(cell_sd) ** 2
            p = 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
            a, b = kappa * p, kappa * (1 - p)
            before = mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(kappa)
            drawn = mpmath.loggamma(a + active) + mpmath.loggamma(b + n - active) - mpmath.loggamma(kappa + n)
            exact = float(mpmath.log(mpmath.binomial(n, active)) + drawn - before)
        chance = model.active_log_likelihood(
            np.array([logit]), np.array([cell_sd]), np.array([float(active)]), np.array([float(n)]), NUMPY_OPS
        )
        assert chance[0] == pytest.approx(exact, abs=1e-8)
