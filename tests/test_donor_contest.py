"""The donors as a contest: counts alone are read, and BG/BB on counts tells the year after."""

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.evaluation.contest import contest
from clvmodels.evaluation.donors import donor_contest_occasion
from clvmodels.evaluation.rolling import rolling_contest
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.inference.counts import fit_counts
from clvmodels.inference.result import flat_draws
from clvmodels.models import bg_bb, bg_bb_counts
from tests.test_models_bg_bb import GRID, PAPER, histories

COUNTS = np.arange(6.0)
FIVE = np.full(6, 5.0)


def log_chance(parameters, x, n):
    x, n = np.broadcast_arrays(np.atleast_1d(np.asarray(x, float)), float(n))
    return bg_bb_counts.log_likelihood(parameters, PurchasePatterns.of(x, x, n, "year"), NUMPY_OPS)


@pytest.fixture(scope="module")
def occasion():
    return donor_contest_occasion(seed=1)


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
    given = occasion[1].forecasts["bg_bb"]["purchases"]
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
    again = donor_contest_occasion(seed=1)[1].forecasts["bg_bb"]["purchases"]
    first = occasion[1].forecasts["bg_bb"]["purchases"]
    assert (again.mean == first.mean).all()
    assert (again.total_draws == first.total_draws).all()
    assert (donor_contest_occasion(seed=2)[1].forecasts["bg_bb"]["purchases"].mean != first.mean).any()


def test_the_occasion_stands_a_contest(occasion):
    """All rank alike, and a probability beats a rate that says never or always."""
    window, made = occasion
    section = rolling_contest([window], lambda _: made, model="bg_bb", seed=1, data="donors", replicates=50)
    values = {(row.method, row.score): row.value for row in section.league}
    assert values["bg_bb", "purchases_spearman"] == pytest.approx(values["same_rate", "purchases_spearman"])
    assert values["bg_bb", "active_brier"] < values["same_rate", "active_brier"]
    table = contest(made.forecasts, made.holdout, model="bg_bb", rng=np.random.default_rng(1), replicates=50)
    assert {score.method for score in table.scores} == {"bg_bb", "same_rate", "abc"}


def donors_like(parameters, size, rng):
    """Made-up donors by number of gifts in five years, and who gave in the sixth."""
    buyer, time = bg_bb.simulate(rng, parameters, np.full(size, 6.0))
    x = np.bincount(buyer[time <= 5], minlength=size).astype(float)
    unknown = np.full(size, np.nan)
    known = clv.CustomerSummary(
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
    return known, np.bincount(buyer[time == 6], minlength=size)


def test_counts_alone_tell_the_next_year_of_made_up_donors():
    """Total gifts of the sixth year in 30 worlds at the published parameters, by the posterior from counts.

    The mean forecast is within 3 standard errors of the mean outcome, and 90 % intervals cover in 70 % or more (21 of
    30; at a coverage of .85 fewer are seen in 1 % of runs). The posterior leans on its prior, so it need not be .90 at
    any one truth.
    """
    rng = np.random.default_rng(4)
    rows = []
    for seed in range(30):
        known, gave = donors_like(PAPER, 11_104, rng)
        draws = {
            name: v.reshape(-1, 1) for name, v in flat_draws(fit_counts(known, draws=500, seed=seed).draws).items()
        }
        chance = bg_bb_counts.purchase_next(draws, COUNTS, FIVE)
        totals = rng.binomial(np.bincount(known.frequency.astype(int), minlength=6), chance).sum(axis=1)
        rows.append((totals.mean() - gave.sum(), np.mean(totals < gave.sum())))
    error, rank = np.array(rows).T
    assert abs(error.mean()) < 3 * error.std() / np.sqrt(30)
    assert np.mean((rank > 0.05) & (rank < 0.95)) >= 0.7


@pytest.mark.parametrize(("given", "message"), [({"draws": 1}, "draws"), ({"draws": 20_000}, "10000 or fewer")])
def test_numbers_of_draws_that_cannot_be_are_refused(given, message):
    with pytest.raises(clv.FitError, match=message):
        donor_contest_occasion(seed=1, **given)


def test_counts_are_fitted_by_the_ways_that_suit_them():
    known = donors_like(PAPER, 200, np.random.default_rng(1))[0]
    with pytest.raises(clv.FitError, match="nuts"):
        fit_counts(known, method="nuts", seed=1)
    with pytest.raises(clv.FitError, match="seed"):
        fit_counts(known)
