"""The donors as a contest: counts alone are read, and BG/BB on counts tells the year after."""

import msgspec
import numpy as np
import pytest
from scipy import special, stats

import clvmodels as clv
from clvmodels.evaluation.contest import contest
from clvmodels.evaluation.donors import donor_contest
from clvmodels.evaluation.rolling import rolling_contest
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.inference import annealed
from clvmodels.inference.counts import fit_counts
from clvmodels.inference.result import flat_draws
from clvmodels.models import bg_bb, bg_bb_counts
from clvmodels.report.words import read_words
from clvmodels.study.contest_config import ContestStudy
from clvmodels.study.contest_donors import hold_donors, measure_donors
from tests.test_models_bg_bb import GRID, PAPER, histories

PRIORS = {"alpha": clv.LogNormal(1.0, 1.5), "beta": clv.LogNormal(1.0, 1.5)}
PRIORS |= {"gamma": clv.LogNormal(0.5, 1.5), "delta": clv.LogNormal(1.0, 1.5)}
COUNTS = np.arange(6.0)
FIVE = np.full(6, 5.0)
STUDY = {
    "kind": "contest",
    "name": "donors",
    "seed": 1,
    "title": {"en": "Donors", "zh": "捐赠者"},
    "contest": {"method": "abc", "baselines": ["abc", "same_rate"], "replicates": 100},
    "donors": {"title": {"en": "Donors", "zh": "捐赠者"}, "source": "dataset:donations"},
}


def log_chance(parameters, x, n):
    x, n = np.broadcast_arrays(np.atleast_1d(np.asarray(x, float)), float(n))
    return bg_bb_counts.log_likelihood(parameters, PurchasePatterns.of(x, x, n, "year"), NUMPY_OPS)


@pytest.fixture(scope="module")
def occasion():
    found = donor_contest(seed=1)
    return found.window, found.occasion


@pytest.mark.parametrize("parameters", GRID)
def test_the_chance_of_a_count_is_that_of_all_its_histories(parameters):
    """The likelihood of each history by BG/BB, times the number of orders of its purchases."""
    x, t_x, orders = histories(7)
    each = orders * np.exp(bg_bb.log_likelihood(parameters, PurchasePatterns.of(x, t_x, 0 * x + 7, "day"), NUMPY_OPS))
    summed = np.bincount(x.astype(int), weights=each)
    np.testing.assert_allclose(np.exp(log_chance(parameters, np.arange(8), 7)), summed, rtol=1e-9)
    assert summed.sum() == pytest.approx(1)


@pytest.mark.parametrize("parameters", GRID)
def test_the_next_purchase_given_a_count_is_that_given_its_histories(parameters):
    x, t_x, orders = histories(5)
    weight = orders * np.exp(bg_bb.log_likelihood(parameters, PurchasePatterns.of(x, t_x, 0 * x + 5, "day"), NUMPY_OPS))
    one = bg_bb.BG_BB.formulas["expected_purchases"](parameters, x, t_x, 0 * x + 5, 1.0)
    number = x.astype(int)
    expected = np.bincount(number, weights=weight * one) / np.bincount(number, weights=weight)
    np.testing.assert_allclose(bg_bb_counts.purchase_next(parameters, COUNTS, FIVE), expected, rtol=1e-7)


def test_draws_and_counts_broadcast():
    draws = {name: np.array([[value], [2 * value]]) for name, value in PAPER.items()}
    both = bg_bb_counts.purchase_next(draws, COUNTS, FIVE)
    assert both.shape == (2, 6)
    np.testing.assert_allclose(both[0], bg_bb_counts.purchase_next(PAPER, COUNTS, FIVE))


def test_outcomes_are_the_gifts_of_the_last_year_and_counts_those_before(occasion):
    window, made = occasion
    donors = clv.donor_summary()[0]
    gave = donors.recency == 6
    assert made.holdout.purchases.sum() == gave.sum() == 3163
    assert np.isnan(made.holdout.amount).all()
    assert (window.calibration_end.year, window.holdout_end.year) == (2000, 2001)
    counts = np.bincount(made.forecasts["abc"]["score"].mean.astype(int))
    assert (counts * np.arange(6)).sum() == donors.frequency.sum() - gave.sum()
    assert len(set(made.holdout.customer_id)) == len(donors)


def test_no_method_reads_more_than_the_count(occasion):
    """Donors of one count have one forecast, whatever they did in the year to come."""
    made = occasion[1]
    count = made.forecasts["abc"]["score"].mean
    for quantities in made.forecasts.values():
        for forecast in quantities.values():
            assert all(len(np.unique(forecast.mean[count == x])) == 1 for x in range(6))


def test_draws_of_gifts_are_0_or_1_with_the_mean_of_the_forecast(occasion):
    given = occasion[1].forecasts["bg_bb_counts"]["purchases"]
    drawn = np.concatenate([block.values for block in given.replay("customers")])
    assert drawn.shape == (11_104, 500)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn.sum(axis=0), given.total_draws)
    for x in np.unique(given.mean):  # 4 standard errors; donors alike share the posterior's draws
        rows = given.mean == x
        assert drawn[rows].mean() == pytest.approx(x, abs=4 * drawn[rows].mean(axis=0).std() / np.sqrt(500) + 1e-3)


def test_the_paper_expects_the_donors_that_came():
    """BG/BB as published, which read 2001 too, expects 3,125 donors of 2001 by their counts; 3,163 gave: 1.2 % more."""
    donors = clv.donor_summary()[0]
    count = (donors.frequency - (donors.recency == 6)).astype(int)
    expected = bg_bb_counts.purchase_next(PAPER, COUNTS, FIVE)[count].sum()
    assert expected == pytest.approx(3163, rel=0.02)


def test_the_same_seed_makes_the_same_occasion(occasion):
    again = donor_contest(seed=1).occasion.forecasts["bg_bb_counts"]["purchases"]
    first = occasion[1].forecasts["bg_bb_counts"]["purchases"]
    assert (again.mean == first.mean).all()
    assert (again.total_draws == first.total_draws).all()
    assert (donor_contest(seed=2).occasion.forecasts["bg_bb_counts"]["purchases"].mean != first.mean).any()


def test_the_occasion_stands_a_contest(occasion):
    """All rank alike, and a probability beats a rate that says never or always."""
    window, made = occasion
    section = rolling_contest([window], lambda _: made, model="bg_bb_counts", seed=1, data="donors", replicates=50)
    values = {(row.method, row.score): row.value for row in section.league}
    assert values["bg_bb_counts", "purchases_spearman"] == pytest.approx(values["same_rate", "purchases_spearman"])
    assert values["bg_bb_counts", "active_brier"] < values["same_rate", "active_brier"]
    table = contest(made.forecasts, made.holdout, model="bg_bb_counts", rng=np.random.default_rng(1), replicates=50)
    assert {score.method for score in table.scores} == {"bg_bb_counts", "same_rate", "abc"}


def test_the_donors_have_a_difficulty_a_calibration_and_costs():
    study = msgspec.convert(STUDY, ContestStudy)
    data = hold_donors(study)
    rows = {row.method: row for row in data.difficulty}
    assert {name: (row.inputs, row.choices) for name, row in rows.items()} == {
        "bg_bb_counts": (["frequency", "T"], 3),
        "same_rate": (["frequency", "T"], 0),
        "abc": (["frequency"], 2),
    }
    assert rows["abc"].scores["purchases_spearman"] is not None
    told = {row.method: row for row in data.calibration}
    assert set(told) == {"bg_bb_counts", "same_rate"}  # abc only ranks
    assert all(row.activity and row.deciles["purchases"] for row in told.values())
    assert [row.probability for row in told["bg_bb_counts"].coverage] == [0.5, 0.8, 0.9, 0.95]
    costs = {row.method: row for row in measure_donors(study)}
    assert costs["bg_bb_counts"].cpu_seconds > costs["abc"].cpu_seconds > 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_model_of_gifts_alone_is_not_named_with_a_model_of_spend(language):
    name = read_words(language).name("methods", "bg_bb_counts")
    assert "BG/BB" in name
    assert "Gamma" not in name


def donors_like(parameters, size, rng):
    """Made-up donors by number of gifts in five years, and who gave in the sixth."""
    buyer, time = bg_bb.simulate(rng, parameters, np.full(size, 6.0))
    x = np.bincount(buyer[time <= 5], minlength=size).astype(float)
    return counted(x), np.bincount(buyer[time == 6], minlength=size)


def published():
    donors = clv.donor_summary()[0]
    return counted(donors.frequency - (donors.recency == 6))


def counted(x):
    """Donors of whom numbers of gifts in five years are known."""
    size = len(x)
    unknown = np.full(size, np.nan)
    return clv.CustomerSummary(
        customer_id=np.array([f"{i}" for i in range(size)], dtype=object),
        frequency=x,
        recency=x,
        T=np.full(size, 5.0),
        monetary_value=unknown,
        first_amount=unknown,
        current_value=unknown,
        unit="year",
        currency="USD",
    )


def next_total(fitted, x, rng):
    """Draws of the gifts of the sixth year, by the posterior."""
    parameters = {name: values.reshape(-1, 1) for name, values in flat_draws(fitted.draws).items()}
    numbers, donors = np.unique(x, return_counts=True)
    chance = bg_bb_counts.purchase_next(parameters, numbers, np.full(len(numbers), 5.0))
    return rng.binomial(donors, chance).sum(axis=1)


@pytest.mark.slow
def test_intervals_of_the_next_year_cover_in_worlds_drawn_from_the_prior():
    """Total gifts of the sixth year: 90 % intervals cover in .9 of 100 worlds, 3 standard errors (.09) or fewer off."""
    rng = np.random.default_rng(7)
    rank = []
    for seed in range(100):
        world = {name: float(prior.median * np.exp(prior.sd * rng.standard_normal())) for name, prior in PRIORS.items()}
        known, gave = donors_like(world, 2000, rng)
        fitted = fit_counts(known, draws=1000, seed=seed, priors=PRIORS)
        assert fitted.passed
        totals = next_total(fitted, known.frequency, rng)
        rank.append(np.mean(totals < gave.sum()) + rng.random() * np.mean(totals == gave.sum()))
    inside = np.mean((np.array(rank) > 0.05) & (np.array(rank) < 0.95))
    assert inside == pytest.approx(0.9, abs=0.09)
    assert stats.kstest(rank, "uniform").pvalue > 0.01


@pytest.mark.slow
def test_weights_can_be_trusted_whatever_the_seed():
    known = published()
    fits = [fit_counts(known, draws=500, seed=seed) for seed in range(10)]
    assert max(fitted.pareto_k for fitted in fits) < 0.5
    assert min(fitted.effective_draws for fitted in fits) == 500
    upper = [np.quantile(next_total(fitted, known.frequency, np.random.default_rng(1)), 0.95) for fitted in fits]
    assert np.std(upper) < 40  # of a total of 3,560 whose standard deviation is 280


def test_the_posterior_is_that_of_weighted_draws_from_the_prior():
    """An independent way, which works where the data are few: draws from the prior, weighted by the likelihood."""
    known = donors_like(PAPER, 300, np.random.default_rng(3))[0]
    rng = np.random.default_rng(5)
    centre = np.log([prior.median for prior in PRIORS.values()])
    log_prior_draws = centre + [prior.sd for prior in PRIORS.values()] * rng.standard_normal((100_000, 4))
    parameters = dict(zip(PRIORS, np.exp(log_prior_draws).T[:, :, None], strict=True))
    numbers, donors = np.unique(known.frequency, return_counts=True)
    weights = special.softmax(log_chance(parameters, numbers, 5) @ donors)
    assert 1 / np.sum(weights**2) > 500
    mean = weights @ log_prior_draws
    sd = np.sqrt(weights @ (log_prior_draws - mean) ** 2)
    fitted = fit_counts(known, draws=4000, seed=1, priors=PRIORS)
    ours = np.log(np.stack([flat_draws(fitted.draws)[name].ravel() for name in PRIORS], axis=1))
    assert fitted.pareto_k < 0.5
    np.testing.assert_allclose(ours.mean(axis=0), mean, atol=0.15 * sd.max())
    np.testing.assert_allclose(ours.std(axis=0), sd, rtol=0.12)


def test_customers_who_are_all_alike_take_opportunities_as_coins_fall():
    """At 10^14 differences of beta functions would be noise: who is there takes half, and 1 in 11 drops out."""
    alike = {"alpha": 1e14, "beta": 1e14, "gamma": 1e13, "delta": 1e14}
    there = np.append((10 / 11) ** np.arange(5) / 11, (10 / 11) ** 5)  # opportunities seen, 0 to 5
    expected = there @ stats.binom.pmf(COUNTS, np.arange(6)[:, None], 0.5)
    np.testing.assert_allclose(np.exp(log_chance(alike, COUNTS, 5)), expected, rtol=1e-9)


def test_a_fit_that_fails_its_checks_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr(annealed, "ROUNDS", 1)  # the prior's neighbourhood, where no posterior is
    found = donor_contest(seed=1)
    window, made = found.window, found.occasion
    assert set(made.forecasts) == {"same_rate", "abc"}
    assert "pareto_k" in made.left_out["bg_bb_counts"]
    section = rolling_contest([window], lambda _: made, model="same_rate", seed=1, data="donors", replicates=20)
    assert {row.method for row in section.league} == {"same_rate", "abc"}
    assert "pareto_k" in section.origins[0].left_out["bg_bb_counts"]


@pytest.mark.parametrize("draws", [1, 2.5])
def test_numbers_of_draws_that_cannot_be_are_refused(draws):
    with pytest.raises(clv.FitError, match="draws"):
        donor_contest(seed=1, draws=draws)


def test_counts_are_fitted_by_the_ways_that_suit_them():
    known = donors_like(PAPER, 200, np.random.default_rng(1))[0]
    with pytest.raises(clv.FitError, match="nuts"):
        fit_counts(known, method="nuts", seed=1)
    with pytest.raises(clv.FitError, match="seed"):
        fit_counts(known)
