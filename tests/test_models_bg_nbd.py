"""The BG/NBD against mathematics that it was not written from: high precision, published values, lifetimes.

Identities, limits, simulation and kernel are in test_models_purchases.py.
"""

import mpmath
import numpy as np
import pytest

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
    ours = bg_nbd.FORMULAS.expected_purchases(parameters, *(np.float64(v) for v in customer), horizon)
    assert ours == pytest.approx(exact_expected_purchases(parameters, *customer, horizon), rel=1e-9)


def test_published_customer(golden):
    given = golden["bg_nbd_customer"]
    who = [np.float64(given[name]) for name in ("frequency", "recency", "T")]
    assert bg_nbd.p_alive(BG_NBD_PAPER, *who) == pytest.approx(given["p_alive"], abs=5e-5)
    purchases = bg_nbd.FORMULAS.expected_purchases(BG_NBD_PAPER, *who, given["horizon"])
    assert purchases == pytest.approx(given["expected_purchases"], abs=5e-5)


def test_without_a_repeat_purchase_a_customer_is_surely_alive_and_the_likelihood_is_the_nbds():
    T = np.array([0.0, 3.0, 300.0])
    assert np.all(bg_nbd.p_alive(BG_NBD_PAPER, np.zeros(3), np.zeros(3), T) == 1)
    nbd = 0.243 * np.log(4.414 / (4.414 + T))
    assert log_likelihood(BG_NBD_PAPER, np.zeros(3), np.zeros(3), T) == pytest.approx(nbd, abs=1e-12)


def test_dert_without_discount_is_the_mean_number_of_purchases_until_drop_out():
    """E[1 / p], p ~ Beta(a, b + x): (a + b + x - 1) / (a - 1)."""
    parameters = {**BG_NBD_PAPER, "r": 5.0, "a": 4.0}
    zero = np.float64(0)
    assert bg_nbd.FORMULAS.dert(parameters, zero, zero, zero, 0.0) == pytest.approx((4.0 + 2.426 - 1) / 3, rel=1e-12)
    assert bg_nbd.FORMULAS.dert(parameters, zero, zero, zero, 1e-9) == pytest.approx((4.0 + 2.426 - 1) / 3, rel=1e-6)


def test_lifetimes_agrees_on_every_customer(cdnow):
    from lifetimes import BetaGeoFitter

    other = BetaGeoFitter()
    other.params_ = dict(BG_NBD_PAPER)
    x, t_x, T = cdnow.frequency, cdnow.recency, cdnow.T
    theirs = other.conditional_probability_alive(x, t_x, T)
    assert bg_nbd.p_alive(BG_NBD_PAPER, x, t_x, T) == pytest.approx(theirs, abs=1e-9)
    theirs = other.conditional_expected_number_of_purchases_up_to_time(39.0, x, t_x, T)
    assert bg_nbd.FORMULAS.expected_purchases(BG_NBD_PAPER, x, t_x, T, 39.0) == pytest.approx(theirs, rel=1e-9)
    logs = np.log(list(BG_NBD_PAPER.values()))
    theirs = -BetaGeoFitter._negative_log_likelihood(logs, x, t_x, T, np.ones(len(x)), 0.0)
    assert log_likelihood(BG_NBD_PAPER, x, t_x, T).mean() == pytest.approx(theirs, abs=1e-9)
