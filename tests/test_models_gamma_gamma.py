"""The Gamma-Gamma against identities, limits, simulation and lifetimes."""

import numpy as np
import pytest
from scipy import integrate

from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import Levels, SpendPatterns
from clvmodels.models import gamma_gamma
from tests.conftest import GAMMA_GAMMA_PAPER


def log_likelihood(parameters, x, m):
    x, m = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(m, float))
    return gamma_gamma.log_likelihood(parameters, SpendPatterns(Levels.of(x), m, np.ones(len(x)), "USD"), NUMPY_OPS)


@pytest.mark.parametrize("x", [1, 3, 40])
def test_the_density_integrates_to_one_and_forecasts_have_the_population_mean(x):
    def density(log_m):
        return float(np.exp(log_likelihood(GAMMA_GAMMA_PAPER, x, np.exp(log_m))[0] + log_m))

    def weighted(log_m):
        m = np.exp(log_m)
        return density(log_m) * float(gamma_gamma.expected_spend(GAMMA_GAMMA_PAPER, x, m))

    assert integrate.quad(density, -12, 25, limit=400)[0] == pytest.approx(1, abs=1e-8)
    population = 6.25 * 15.44 / 2.74
    assert integrate.quad(weighted, -12, 25, limit=400)[0] == pytest.approx(population, rel=1e-8)


def test_expected_spend_shrinks_from_the_customers_mean_to_the_bases():
    x, m = np.array([0, 1, 5, 10**7]), np.array([np.nan, 80.0, 80.0, 80.0])
    p, q, v = GAMMA_GAMMA_PAPER.values()
    base, weight = p * v / (q - 1), p * x / (p * x + q - 1)
    expected = np.where(x > 0, weight * np.nan_to_num(m) + (1 - weight) * base, base)
    ours = gamma_gamma.expected_spend(GAMMA_GAMMA_PAPER, x, m)
    assert ours == pytest.approx(expected, rel=1e-12)
    assert ours[-1] == pytest.approx(80, rel=1e-5)


@pytest.mark.parametrize("k", [0.01, 100.0, 1e9])
def test_the_unit_of_money_does_not_matter(k):
    scaled = {**GAMMA_GAMMA_PAPER, "v": GAMMA_GAMMA_PAPER["v"] * k}
    x, m = np.array([1.0, 4.0, 20.0]), np.array([3.0, 35.0, 250.0])
    assert log_likelihood(scaled, x, m * k) == pytest.approx(
        log_likelihood(GAMMA_GAMMA_PAPER, x, m) - np.log(k), rel=1e-10
    )
    ours = gamma_gamma.expected_spend(scaled, x, m * k)
    assert ours == pytest.approx(k * gamma_gamma.expected_spend(GAMMA_GAMMA_PAPER, x, m), rel=1e-10)


def test_a_mean_that_does_not_exist_is_infinite_and_never_negative():
    heavy = {"p": 0.4, "q": 0.5, "v": 10.0}
    ours = gamma_gamma.expected_spend(heavy, np.array([0, 1, 2]), np.array([np.nan, 20.0, 20.0]))
    assert np.isinf(ours[:2]).all()  # p x + q - 1 = -.5, -.1
    assert 0 < ours[2] < np.inf


def test_the_story_has_the_mean_of_the_formula():
    """4 standard errors."""
    rng = np.random.default_rng(3)
    m = gamma_gamma.simulate(rng, GAMMA_GAMMA_PAPER, np.full(300_000, 4.0)).reshape(300_000, 4).mean(axis=1)
    assert abs(m.mean() - 6.25 * 15.44 / 2.74) < 4 * m.std() / np.sqrt(len(m))


def test_lifetimes_agrees_on_every_repeat_buyer(cdnow):
    from lifetimes import GammaGammaFitter

    known = ~np.isnan(cdnow.monetary_value)
    x, m = cdnow.frequency[known], cdnow.monetary_value[known]
    other = GammaGammaFitter()
    other.params_ = dict(GAMMA_GAMMA_PAPER)
    theirs = other.conditional_expected_average_profit(x, m)
    assert gamma_gamma.expected_spend(GAMMA_GAMMA_PAPER, x, m) == pytest.approx(np.asarray(theirs), rel=1e-9)
    logs = np.log(list(GAMMA_GAMMA_PAPER.values()))
    theirs = -GammaGammaFitter._negative_log_likelihood(logs, x, m, np.ones(len(x)), 0.0)
    assert log_likelihood(GAMMA_GAMMA_PAPER, x, m).mean() == pytest.approx(theirs, rel=1e-9)
