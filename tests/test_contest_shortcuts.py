"""What a contest does in one pass is what the separate passes give."""

import numpy as np
import pytest
from scipy import stats

from clvmodels.evaluation.calibration import COUNTS, _counted
from clvmodels.evaluation.contest import bootstrap_counts
from clvmodels.evaluation.rolling import _customer_counts
from clvmodels.evaluation.scores import Ranking, ResampledOutcome, ranked_sums
from clvmodels.forecast import (
    average_forecasts,
    expected_clv,
    expected_spends,
    sample_average_spend,
    sample_future,
    sample_purchases_and_spend,
    sample_spend,
)
from clvmodels.foundation.streams import customer_keys
from tests.forecast_cases import PURCHASES, SPEND, base, posterior, replayed

CUSTOMERS = base(300)
PAIRS = {
    "one": (posterior(PURCHASES, 90), posterior(SPEND, 90)),
    "two": (posterior(PURCHASES, 90, seed=2), posterior(SPEND, 90, seed=2)),
    "none": (posterior(PURCHASES, 90, seed=3), posterior(SPEND, 90, seed=3)),
}
WEIGHTS = {"one": 0.3, "two": 0.7, "none": 0.0}
STATISTICS = ("mean", "sd", "q05", "q50", "q95", "total_draws")


def test_a_mixture_of_the_draws_that_count_is_the_mixture_of_all_draws():
    asked = {"horizon": 20.0, "seed": 4, "draws": 90}
    members = {name: sample_spend(*pair, CUSTOMERS, **asked) for name, pair in PAIRS.items()}
    whole = average_forecasts(members, WEIGHTS, seed=4)
    short = sample_average_spend(PAIRS, WEIGHTS, CUSTOMERS, **asked)
    for name in STATISTICS:
        np.testing.assert_array_equal(getattr(short, name), getattr(whole, name))
    for order in ("customers", "draws"):
        np.testing.assert_array_equal(replayed(short, order), replayed(whole, order))
    assert (short.method, short.quantity, short.horizon) == (whole.method, whole.quantity, whole.horizon)


def test_purchases_and_spend_alone_are_those_of_the_whole_future():
    pair = PAIRS["one"]
    whole = sample_future(*pair, CUSTOMERS, horizon=20.0, seed=5, discount_per_unit=0.0)
    both = sample_purchases_and_spend(*pair, CUSTOMERS, horizon=20.0, seed=5)
    for short, long in zip(both, (whole.purchases, whole.spend), strict=True):
        for name in STATISTICS:
            np.testing.assert_array_equal(getattr(short, name), getattr(long, name))


def test_expected_spend_by_several_fits_of_spend_is_that_by_each():
    purchases, spends = PAIRS["one"][0], [spend for _, spend in PAIRS.values()]
    together = expected_spends(purchases, spends, CUSTOMERS, horizon=20.0, draws=30)
    for spend, found in zip(spends, together, strict=True):
        alone = expected_clv(purchases, spend, CUSTOMERS, horizon=20.0, discount_per_unit=0.0, draws=30)
        np.testing.assert_allclose(found, alone.mean, rtol=1e-12)


def test_customers_are_counted_by_the_hash_of_seed_customer_and_replicate():
    """SplitMix64 once more, in numpy, and the quantiles of a Poisson number with mean 1."""

    def mixed(words):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))

    ids = np.array([f"c{i}" for i in range(2000)], dtype=object)
    of_replicate = mixed(np.arange(50, dtype=np.uint64) + mixed(np.array([7], dtype=np.uint64)))
    bits = mixed(customer_keys(ids)[None, :] ^ of_replicate[:, None])
    want = stats.poisson.ppf((bits >> np.uint64(11)) * 2.0**-53, 1.0)
    found = np.concatenate(list(_customer_counts(ids, 7, 50)))
    np.testing.assert_array_equal(found, np.maximum(want, 0))
    assert abs(found.mean() - 1) < 4 / np.sqrt(found.size)


@pytest.fixture
def resampled():
    """An outcome with ties in 30 replicates, and a forecast with ties."""
    rng = np.random.default_rng(3)
    outcome = rng.poisson(rng.gamma(0.5, 2.0, size=700)).astype(float)
    (counts,) = bootstrap_counts(700, 30, rng)
    return np.floor(outcome + rng.normal(0, 2, 700)), ResampledOutcome(outcome, Ranking.of(outcome), counts)


def test_sums_down_a_ranking_are_those_of_each_customer_written_out(resampled):
    forecast, of = resampled
    sums = ranked_sums(forecast, Ranking.of(forecast), of)
    for r, counts in enumerate(of.counts):
        told, came = np.repeat(forecast, counts), np.repeat(of.outcome, counts)
        shared = np.array([came[told == value].mean() for value in told])
        down = np.append(0.0, np.cumsum(shared[np.argsort(-told, kind="stable")]))
        at = np.arange(1, 11) / 10 * len(told)
        np.testing.assert_allclose(sums.outcome[:, r], np.interp(at, np.arange(len(down)), down), rtol=1e-11)
        area = ((down[1:] + down[:-1]) / 2).sum() / len(told) / down[-1]
        assert sums.gini[r] == pytest.approx(2 * area - 1, abs=1e-11)
        ranks = [stats.rankdata(-values) - (len(told) + 1) / 2 for values in (told, came)]
        assert sums.rank_product[r] == pytest.approx(ranks[0] @ ranks[1], rel=1e-11)
        assert sums.rank_variance[r] == pytest.approx(ranks[0] @ ranks[0], rel=1e-11)


def test_a_replicate_without_customers_has_no_sums(resampled):
    forecast, of = resampled
    nobody = ResampledOutcome(of.outcome, of.ranking, np.zeros((1, 700), dtype=np.uint8))
    assert np.isnan(ranked_sums(forecast, Ranking.of(forecast), nobody).outcome).all()


def test_counts_of_draws_are_those_of_a_histogram():
    values = np.random.default_rng(5).negative_binomial(0.8, 0.2, size=(400, 6)).astype(float)
    exact = [(values == count).sum(axis=0) for count in range(len(COUNTS) - 1)]
    want = np.vstack([*exact, (values >= len(COUNTS) - 1).sum(axis=0)])
    np.testing.assert_array_equal(_counted(values), want)
