"""Scores agree with independent implementations, and have a meaning at the edges."""

import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from clvmodels.evaluation import SCORES
from clvmodels.evaluation.drawn import chance_of_any, pit_bounds
from clvmodels.evaluation.scores import (
    PIT_LEVELS,
    Case,
    HeldDraws,
    Ranking,
    Resample,
    ResampledOutcome,
    crps_of_draws,
    log_score_of_draws,
)

NOT_KNOWN = dict.fromkeys(("low", "high", "crps", "log_score", "pit_low", "pit_high"), np.nan)


def score(name, forecast, outcome, *, weights=None, **columns):
    """A score of plain arrays; each customer counts once, or as often as `weights` says."""
    outcome = np.asarray(outcome, dtype=float)
    given = {"forecast": forecast, **NOT_KNOWN, **columns}
    given = {key: np.broadcast_to(np.asarray(column, dtype=float), outcome.shape) for key, column in given.items()}
    weights = np.atleast_2d(np.ones(len(outcome)) if weights is None else weights).astype(np.uint8)
    resampled = ResampledOutcome(outcome, Ranking.of(outcome), weights)
    return SCORES[name].function(Resample(Case(outcome=outcome, **given), resampled))[0]


def plain_gini(forecast, outcome):
    """Normalised Gini by two loops: Lorenz area by position, equal forecasts share their mean outcome."""

    def area(ranked_by):
        shared = [outcome[ranked_by == value].mean() for value in ranked_by]
        cumulated, total = 0.0, 0.0
        for place, i in enumerate(np.argsort(-ranked_by, kind="stable")):
            cumulated += shared[i] / outcome.sum()
            total += cumulated - (place + 1) / len(outcome)
        return total

    return area(forecast) / area(outcome)


def plain_capture(forecast, outcome, share):
    """Mean share of value of the top customers over 4,000 random orders of the ties."""
    rng = np.random.default_rng(9)
    top = round(share * len(outcome))
    orders = (np.lexsort((rng.random(len(outcome)), -forecast))[:top] for _ in range(4000))
    shares = np.array([outcome[order].sum() for order in orders]) / outcome.sum()
    return shares.mean(), shares.std() / np.sqrt(4000)


def plain_decile_bias(forecast, outcome):
    """Sum over tenths of |forecast - actual| over the actual total, each customer cut into ten parts to fill them.

    Customers with equal forecasts first share their outcomes.
    """
    shared = np.array([outcome[forecast == value].mean() for value in forecast])
    order = np.argsort(-forecast, kind="stable")
    parts = np.repeat((forecast - shared)[order] / 10, 10).reshape(10, -1).sum(axis=1)
    return np.abs(parts).sum() / outcome.sum()


@pytest.fixture(params=["counts with ties", "amounts without"])
def pair(request):
    """A forecast and an outcome of 200 customers."""
    rng = np.random.default_rng(3)
    truth = rng.gamma(0.5, 2.0, size=200)
    if request.param == "amounts without":
        return truth * rng.lognormal(0, 0.8, 200), truth * rng.lognormal(0, 0.8, 200)
    return np.floor(truth * 2) / 2, rng.poisson(truth).astype(float)


@pytest.fixture
def counted():
    """How often each of the 200 customers counts: some not at all, some four times."""
    return np.random.default_rng(8).poisson(1.0, size=200)


def test_mae_rmse_and_bias_are_their_formulas(pair):
    forecast, outcome = pair
    assert score("spend_mae", *pair) == pytest.approx(np.mean(np.abs(forecast - outcome)), rel=1e-12)
    assert score("spend_rmse", *pair) == pytest.approx(np.mean((forecast - outcome) ** 2) ** 0.5, rel=1e-12)
    assert score("spend_bias", *pair) == pytest.approx(forecast.sum() / outcome.sum() - 1, rel=1e-12)


@pytest.mark.parametrize("size", [200, 193])
def test_decile_bias_is_that_of_customers_cut_into_ten_parts(pair, size):
    forecast, outcome = (column[:size] for column in pair)
    assert score("spend_decile_bias", forecast, outcome) == pytest.approx(
        plain_decile_bias(forecast, outcome), rel=1e-10
    )


def test_decile_bias_sees_errors_that_cancel_in_the_total():
    outcome = np.repeat([1.0, 3.0], 50)
    flat, crossed = np.full(100, 2.0), np.repeat([3.0, 1.0], 50)
    assert score("spend_bias", crossed, outcome) == score("spend_bias", flat, outcome) == 0
    assert score("spend_decile_bias", flat, outcome) == 0  # all forecasts are equal: there are no tenths to tell apart
    assert score("spend_decile_bias", crossed, outcome) == pytest.approx(1.0)


@pytest.fixture
def returns():
    """Probabilities of 300 customers, with ties, who came back, and how often each counts."""
    rng = np.random.default_rng(14)
    p = np.round(rng.beta(0.5, 2.0, size=300), 2).clip(0.01, 0.99)
    return p, (rng.random(300) < p).astype(float), rng.poisson(1.0, size=300)


def test_brier_and_log_score_are_sklearns_with_weights_too(returns):
    p, came, counted = returns
    for weights in (np.ones(300), counted):
        asked = {"weights": weights}
        assert score("active_brier", p, came, **asked) == pytest.approx(
            brier_score_loss(came, p, sample_weight=weights), rel=1e-12
        )
        assert score("active_log_score", p, came, **asked) == pytest.approx(
            sklearn_log_loss(came, p, sample_weight=weights), rel=1e-12
        )


def test_the_log_score_of_a_certainty_that_fails_has_no_number_and_of_one_that_holds_is_zero():
    came = np.array([1.0, 1.0, 0.0])
    assert score("active_log_score", came, came) == 0
    assert np.isnan(score("active_log_score", [1.0, 0.0, 0.0], came))
    assert score("active_log_score", [1.0, 0.0, 0.0], came, weights=[1, 0, 1]) == 0  # a replicate without that customer


def test_precision_is_the_share_of_the_top_that_came_back(returns):
    _, came, _ = returns
    order = np.random.default_rng(2).permutation(300).astype(float)
    for name, top in (("active_precision_10", 30), ("active_precision_20", 60)):
        assert score(name, order, came) == pytest.approx(came[np.argsort(-order)[:top]].mean(), rel=1e-12)
        assert score(name, 0.3, came) == pytest.approx(came.mean(), rel=1e-12)
        assert score(name, came, came) == pytest.approx(min(1.0, came.sum() / top), rel=1e-12)
        assert np.isnan(score(name, order, np.zeros(300)))


def test_a_weight_of_three_is_three_customers_in_the_scores_of_coming_back(returns):
    p, came, counted = returns
    for name in (name for name, rule in SCORES.items() if rule.outcome == "active"):
        copies = score(name, np.repeat(p, counted), np.repeat(came, counted))
        assert score(name, p, came, weights=counted) == pytest.approx(copies, rel=1e-10)


def test_the_chance_of_coming_back_is_that_which_the_log_score_gives_to_counts_above_zero():
    rng = np.random.default_rng(3)
    draws = np.sort(rng.poisson(rng.gamma(0.5, 1.0, size=(50, 1)), size=(50, 40)), axis=1).astype(float)
    held = HeldDraws.of(draws, np.zeros(50))
    of_zero = np.exp(-log_score_of_draws(held, np.zeros(50)))
    np.testing.assert_allclose(chance_of_any(held), 1 - of_zero, atol=1e-12)


def test_pit_distance_is_that_of_very_many_randomised_pits():
    # 20,000 tie breaks of each of 60 customers: the share below each level is known to 4 standard errors.
    rng = np.random.default_rng(5)
    rates = rng.gamma(0.7, 2.0, size=(60, 1))
    draws = np.sort(rng.poisson(1.6 * rates, size=(60, 30)), axis=1).astype(float)
    outcome = rng.poisson(rates[:, 0]).astype(float)
    low, high = pit_bounds(HeldDraws.of(draws, outcome))
    pits = low + rng.random((20_000, 60)) * (high - low)
    distance = max(abs((pits <= level).mean() - level) for level in PIT_LEVELS)
    found = score("purchases_pit_distance", 0.0, outcome, pit_low=low, pit_high=high)
    assert found == pytest.approx(distance, abs=4 * 0.5 / np.sqrt(20_000 * 60))
    assert found > 0.1  # forecasts are 60 % too high


def test_pit_distance_counts_a_customer_as_often_as_its_weight():
    rng = np.random.default_rng(6)
    low = rng.random(40) * 0.9
    high, counted = low + 0.1 * rng.random(40), rng.poisson(1.0, size=40)
    copies = {"pit_low": np.repeat(low, counted), "pit_high": np.repeat(high, counted)}
    together = score("spend_pit_distance", 0.0, np.zeros(40), pit_low=low, pit_high=high, weights=counted)
    assert together == pytest.approx(score("spend_pit_distance", 0.0, np.zeros(counted.sum()), **copies), rel=1e-12)


def test_spearman_is_scipys(pair):
    assert score("spend_spearman", *pair) == pytest.approx(stats.spearmanr(*pair).statistic, abs=1e-12)


def test_gini_is_that_of_a_plain_double_loop(pair):
    assert score("spend_gini", *pair) == pytest.approx(plain_gini(*pair), abs=1e-12)


@pytest.mark.parametrize("name", ["spend_capture_10", "spend_capture_20"])
def test_capture_averages_over_orders_of_the_ties(name, pair):
    mean, standard_error = plain_capture(*pair, share=int(name[-2:]) / 100)
    assert abs(score(name, *pair) - mean) <= 4 * standard_error + 1e-12


@pytest.mark.parametrize(
    "name",
    [name for name, rule in SCORES.items() if rule.needs != "distribution" and rule.outcome == "spend"],
)
def test_a_weight_of_three_is_three_customers(name, pair, counted):
    forecast, outcome = pair
    copies = (np.repeat(forecast, counted), np.repeat(outcome, counted))
    assert score(name, *pair, weights=counted) == pytest.approx(score(name, *copies), rel=1e-10)


def test_replicates_scored_together_are_those_scored_alone(pair, counted):
    forecast, outcome = pair
    weights = np.stack([counted, np.ones(200), counted[::-1]]).astype(np.uint8)
    case = Case(outcome=outcome, forecast=forecast, **{key: np.full(200, np.nan) for key in NOT_KNOWN})
    together = Resample(case, ResampledOutcome(outcome, Ranking.of(outcome), weights))
    for name, rule in SCORES.items():
        if rule.needs != "distribution" and rule.outcome == "spend":
            alone = [score(name, forecast, outcome, weights=row) for row in weights]
            np.testing.assert_allclose(rule.function(together), alone, rtol=1e-12)


def test_coverage_counts_both_ends_as_inside():
    outcome = np.array([0.0, 1.0, 2.0, 3.0])
    assert score("purchases_coverage_90", 1.0, outcome, low=0.0, high=2.0) == 0.75
    assert score("purchases_width_90", 1.0, outcome, low=0.5, high=[1.5, 2.5, 1.5, 2.5]) == 1.5


def test_crps_is_the_fair_estimator_of_scoringrules():
    rng = np.random.default_rng(4)
    draws = np.sort(rng.poisson(rng.gamma(0.5, 3.0, size=(100, 1)), size=(100, 60)), axis=1).astype(float)
    outcome = rng.poisson(1.0, size=100).astype(float)
    ours = crps_of_draws(HeldDraws.of(draws, outcome))
    np.testing.assert_allclose(ours, scoringrules.crps_ensemble(outcome, draws, estimator="fair"), atol=1e-12)


def test_crps_of_normal_draws_tends_to_the_closed_form():
    # Fair, so unbiased for any number of draws: 4 standard errors over 20,000 forecasts of 5 draws.
    rng = np.random.default_rng(6)
    draws, outcome = np.sort(rng.normal(size=(20_000, 5)), axis=1), np.full(20_000, 0.7)
    crps = crps_of_draws(HeldDraws.of(draws, outcome))
    exact = scoringrules.crps_normal(0.7, 0.0, 1.0)
    assert abs(crps.mean() - exact) < 4 * crps.std() / np.sqrt(20_000)


def test_a_perfect_forecast_has_the_perfect_scores(pair):
    _, outcome = pair
    assert score("spend_mae", outcome, outcome) == 0
    assert score("spend_rmse", outcome, outcome) == 0
    assert score("spend_bias", outcome, outcome) == 0
    assert score("spend_gini", outcome, outcome) == 1
    assert score("spend_spearman", outcome, outcome) == pytest.approx(1.0, abs=1e-12)
    assert score("spend_capture_20", outcome, outcome) == pytest.approx(np.sort(outcome)[-40:].sum() / outcome.sum())


def test_the_reverse_of_a_perfect_ranking_has_gini_minus_1(pair):
    _, outcome = pair
    assert score("spend_gini", -outcome, outcome) == pytest.approx(-1.0, abs=1e-12)


def test_a_constant_forecast_ranks_like_chance(pair):
    _, outcome = pair
    assert score("spend_gini", 5.0, outcome) == 0
    assert score("spend_capture_10", 5.0, outcome) == pytest.approx(0.10, abs=1e-12)
    assert np.isnan(score("spend_spearman", 5.0, outcome))


@pytest.mark.parametrize("name", ["spend_bias", "spend_spearman", "spend_gini", "spend_capture_10"])
def test_a_score_without_meaning_is_nan(name):
    assert np.isnan(score(name, np.arange(20.0), np.zeros(20)))


def test_a_holdout_in_which_all_spend_the_same_has_no_gini():
    assert np.isnan(score("spend_gini", np.arange(20.0), np.full(20, 0.1)))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12), st.randoms())
def test_no_ranking_score_depends_on_the_order_of_customers(rows, random):
    shuffled = rows[:]
    random.shuffle(shuffled)
    for name, rule in SCORES.items():
        if rule.needs == "ranking":
            straight, other = (score(name, *np.array(table, dtype=float).T) for table in (rows, shuffled))
            np.testing.assert_allclose(straight, other, atol=1e-12)
            if name.endswith("gini") and np.isfinite(straight):
                assert -1 - 1e-12 <= straight <= 1 + 1e-12


def test_ranking_scores_read_the_order_of_forecasts_only(pair):
    forecast, outcome = pair
    for name, rule in SCORES.items():
        if rule.needs == "ranking":
            assert score(name, forecast, outcome) == score(name, np.log1p(forecast) * 3 + 7, outcome)


def test_every_score_has_its_outcome_in_its_name():
    assert all(name == rule.name and name.startswith(rule.outcome) for name, rule in SCORES.items())
    assert all(rule.target == 0 or rule.better == "zero" for rule in SCORES.values())


def test_the_log_score_of_many_draws_is_that_of_their_distribution():
    rng = np.random.default_rng(5)
    outcome = np.arange(6.0)
    draws = np.sort(rng.negative_binomial(0.8, 0.3, size=(6, 100_000)).astype(float), axis=1)
    chance = stats.nbinom.pmf(outcome, 0.8, 0.3)
    chance_errors = np.sqrt((1 - chance) / chance / 100_000)  # of the logarithm of a share of the draws
    assert (
        np.abs(log_score_of_draws(HeldDraws.of(draws, outcome), outcome) + np.log(chance)) < 4 * chance_errors + 1e-4
    ).all()


def test_the_chances_behind_a_log_score_sum_to_one_and_none_of_them_is_zero():
    draws = np.array([[0.0, 0.0, 2.0, 5.0]])
    counts = np.arange(100_000.0)
    chances = np.exp(-log_score_of_draws(HeldDraws.of(np.repeat(draws, len(counts), axis=0), counts), counts))
    assert chances.sum() == pytest.approx(1, abs=1e-5)  # the tail beyond has 1 / 100,000 / 5
    assert (chances > 0).all()
    assert chances[0] == pytest.approx((2 + 1 / 2) / 5)
