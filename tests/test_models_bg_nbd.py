"""The BG/NBD against mathematics that it was not written from: identities, limits, high precision, lifetimes."""

import mpmath
import numpy as np
import pytest
from scipy import integrate, special

from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.models import bg_nbd
from tests.conftest import BG_NBD_PAPER

GRID = [
    BG_NBD_PAPER,
    {"r": 0.05, "alpha": 0.3, "a": 0.02, "b": 0.05},
    {"r": 8.0, "alpha": 200.0, "a": 1.0, "b": 3.0},
    {"r": 1.3, "alpha": 4.0, "a": 1.0 + 1e-9, "b": 0.4},
    {"r": 60.0, "alpha": 9.0, "a": 7.0, "b": 90.0},
]
CUSTOMERS = [(0, 0.0, 0.0), (0, 0.0, 38.9), (1, 3.0, 38.9), (2, 30.43, 38.86), (29, 37.0, 38.0), (200, 99.0, 100.0)]


def log_likelihood(parameters, x, t_x, T):
    patterns = PurchasePatterns.of(*(np.atleast_1d(np.asarray(v, float)) for v in (x, t_x, T)), "week")
    return bg_nbd.log_likelihood(parameters, patterns, NUMPY_OPS)


def exact_expected_purchases(parameters, x, t_x, T, t):
    """Eq. 10 of the paper with its 2F1, in 60 digits."""
    mpmath.mp.dps = 60
    r, alpha, a, b, t_x, T, t = (mpmath.mpf(float(v)) for v in (*parameters.values(), t_x, T, t))
    a += mpmath.mpf(10) ** -25 if a == 1 else 0
    hyp = mpmath.hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + T + t))
    growth = (a + b + x - 1) / (a - 1) * (1 - ((alpha + T) / (alpha + T + t)) ** (r + x) * hyp)
    leaving = a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x) if x else 0
    return float(growth / (1 + leaving))


@pytest.mark.parametrize("parameters", GRID)
@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("horizon", [1e-6, 1.0, 39.0, 5000.0])
def test_expected_purchases_equals_the_papers_2f1_in_high_precision(parameters, customer, horizon):
    ours = bg_nbd.expected_purchases(parameters, *(np.float64(v) for v in customer), horizon)
    assert ours == pytest.approx(exact_expected_purchases(parameters, *customer, horizon), rel=1e-9)


def test_published_customer(golden):
    given = golden["bg_nbd_customer"]
    who = [np.float64(given[name]) for name in ("frequency", "recency", "T")]
    assert bg_nbd.p_alive(BG_NBD_PAPER, *who) == pytest.approx(given["p_alive"], abs=5e-5)
    purchases = bg_nbd.expected_purchases(BG_NBD_PAPER, *who, given["horizon"])
    assert purchases == pytest.approx(given["expected_purchases"], abs=5e-5)


@pytest.mark.parametrize("parameters", [GRID[0], GRID[2], GRID[4]])
def test_purchase_probabilities_sum_to_one_and_have_the_expected_mean(parameters):
    k = np.arange(20_000)
    pmf = bg_nbd.purchase_pmf(parameters, k, 39.0)
    assert pmf.sum() == pytest.approx(1, abs=1e-9)
    assert k @ pmf == pytest.approx(float(bg_nbd.expected_purchases_new(parameters, np.float64(39.0))), rel=1e-8)


@pytest.mark.parametrize("parameters", [GRID[0], {"r": 0.9, "alpha": 11.0, "a": 1.7, "b": 2.5}])
def test_likelihood_of_all_histories_integrates_to_one(parameters):
    """Finds missing constants that a maximum never sees: L(0) + sum over x of the integral over t_x."""
    T = 4.0
    total = np.exp(log_likelihood(parameters, 0, 0, T))[0]
    for x in range(1, 60):

        def density(t_x, x=x):
            orderings = (x - 1) * np.log(t_x) - special.gammaln(x)
            return float(np.exp(log_likelihood(parameters, x, t_x, T)[0] + orderings))

        total += integrate.quad(density, 0, T, epsabs=1e-12)[0]
    assert total == pytest.approx(1, abs=1e-8)


def test_p_alive_falls_with_silence_and_is_one_without_repeats():
    T = np.linspace(10, 300, 50)
    assert np.all(np.diff(bg_nbd.p_alive(BG_NBD_PAPER, np.full(50, 3.0), np.full(50, 9.0), T)) < 0)
    assert np.all(bg_nbd.p_alive(BG_NBD_PAPER, np.zeros(50), np.zeros(50), T) == 1)


@pytest.mark.parametrize("k", [1 / 7, 7.0, 365.25])
def test_the_unit_of_time_does_not_matter(k):
    scaled = {**BG_NBD_PAPER, "alpha": BG_NBD_PAPER["alpha"] * k}
    x, t_x, T = (np.array([c[i] for c in CUSTOMERS], dtype=float) for i in range(3))
    assert bg_nbd.p_alive(scaled, x, t_x * k, T * k) == pytest.approx(bg_nbd.p_alive(BG_NBD_PAPER, x, t_x, T), rel=1e-9)
    ours = bg_nbd.expected_purchases(scaled, x, t_x * k, T * k, 39 * k)
    assert ours == pytest.approx(bg_nbd.expected_purchases(BG_NBD_PAPER, x, t_x, T, 39), rel=1e-9)
    shift = log_likelihood(scaled, x, t_x * k, T * k) - log_likelihood(BG_NBD_PAPER, x, t_x, T)
    assert shift == pytest.approx(-x * np.log(k), abs=1e-9)


def test_the_nbd_is_the_limit_without_drop_out():
    never = {"r": 0.4, "alpha": 12.0, "a": 1e-10, "b": 1.0}
    x, T = 5.0, 40.0
    nbd = special.gammaln(0.4 + x) - special.gammaln(0.4) + 0.4 * np.log(12.0) - (0.4 + x) * np.log(12.0 + T)
    assert log_likelihood(never, x, 33.0, T)[0] == pytest.approx(nbd, abs=1e-6)


def test_a_customer_of_today_says_nothing():
    assert log_likelihood(BG_NBD_PAPER, 0, 0, 0)[0] == pytest.approx(0, abs=1e-12)


def test_expected_purchases_of_a_newcomer_is_that_of_a_new_customer():
    zero = np.float64(0)
    for t in (0.1, 39.0, 4000.0):
        newcomer = bg_nbd.expected_purchases(BG_NBD_PAPER, zero, zero, zero, t)
        assert newcomer == pytest.approx(float(bg_nbd.expected_purchases_new(BG_NBD_PAPER, np.float64(t))), rel=1e-12)


def test_expected_purchases_start_at_zero_grow_and_flatten():
    t = np.linspace(0, 400, 80)
    curve = bg_nbd.expected_purchases(BG_NBD_PAPER, np.full(80, 4.0), np.full(80, 30.0), np.full(80, 38.0), t)
    assert curve[0] == 0
    assert np.all(np.diff(curve) > 0)
    assert np.all(np.diff(curve, 2) < 0)


def test_likelihood_is_finite_where_it_is_hard():
    x, t_x, T = (
        np.array([10_000, 10_000, 1, 1, 0]),
        np.array([1e3, 1.0, 1e-9, 1e9, 0]),
        np.array([1e3, 1e9, 1e9, 1e9, 0]),
    )
    for parameters in GRID:
        assert np.all(np.isfinite(log_likelihood(parameters, x, t_x, T)))
        assert np.all(np.isfinite(bg_nbd.expected_purchases(parameters, x, t_x, T, 52.0)))


def test_the_story_has_the_moments_of_the_formulas():
    """4 standard errors, 200,000 customers."""
    rng = np.random.default_rng(20)
    size, horizon = 200_000, 39.0
    buyer, _ = bg_nbd.simulate(rng, BG_NBD_PAPER, np.full(size, horizon))
    counts = np.bincount(buyer, minlength=size)
    expected = float(bg_nbd.expected_purchases_new(BG_NBD_PAPER, np.float64(horizon)))
    assert abs(counts.mean() - expected) < 4 * counts.std() / np.sqrt(size)
    pmf = bg_nbd.purchase_pmf(BG_NBD_PAPER, np.arange(6), horizon)
    shares = np.bincount(counts, minlength=6)[:6] / size
    assert np.all(np.abs(shares - pmf) < 4 * np.sqrt(pmf * (1 - pmf) / size))


def test_lifetimes_agrees_on_every_customer(cdnow):
    from lifetimes import BetaGeoFitter

    other = BetaGeoFitter()
    other.params_ = dict(BG_NBD_PAPER)
    x, t_x, T = cdnow.frequency, cdnow.recency, cdnow.T
    theirs = other.conditional_probability_alive(x, t_x, T)
    assert bg_nbd.p_alive(BG_NBD_PAPER, x, t_x, T) == pytest.approx(theirs, abs=1e-9)
    theirs = other.conditional_expected_number_of_purchases_up_to_time(39.0, x, t_x, T)
    assert bg_nbd.expected_purchases(BG_NBD_PAPER, x, t_x, T, 39.0) == pytest.approx(theirs, rel=1e-9)
    logs = np.log(list(BG_NBD_PAPER.values()))
    theirs = -BetaGeoFitter._negative_log_likelihood(logs, x, t_x, T, np.ones(len(x)), 0.0)
    assert log_likelihood(BG_NBD_PAPER, x, t_x, T).mean() == pytest.approx(theirs, abs=1e-9)
