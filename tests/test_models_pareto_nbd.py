"""The Pareto/NBD against high precision, published values and lifetimes.

Identities, limits, simulation and kernel are in test_models_purchases.py.
"""

import mpmath
import numpy as np
import pytest

from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.models import pareto_nbd

PAPER = {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}
GRID = [
    PAPER,
    {"r": 0.05, "alpha": 0.3, "s": 0.02, "beta": 90.0},
    {"r": 8.0, "alpha": 200.0, "s": 1.0, "beta": 3.0},
    {"r": 1.3, "alpha": 4.0, "s": 1.0 + 1e-9, "beta": 4.0},
    {"r": 60.0, "alpha": 9.0, "s": 70.0, "beta": 4e3},
]
CUSTOMERS = [(0, 0.0, 0.0), (0, 0.0, 38.9), (1, 3.0, 38.9), (2, 30.43, 38.86), (29, 37.0, 38.0), (200, 99.0, 100.0)]


def columns(customers=CUSTOMERS):
    return tuple(np.array(column, dtype=float) for column in zip(*customers, strict=True))


def log_likelihood(parameters, x, t_x, T):
    patterns = PurchasePatterns.of(*(np.atleast_1d(np.asarray(v, float)) for v in (x, t_x, T)), "week")
    return pareto_nbd.log_likelihood(parameters, patterns, NUMPY_OPS)


def exact_odds_of_having_left(parameters, x, t_x, T):
    """s int_{t_x}^T ((alpha + T) / (alpha + y))^(r + x) ((beta + T) / (beta + y))^s dy / (beta + y), 30 digits."""
    mpmath.mp.dps = 30
    r, alpha, s, beta, t_x, T = (mpmath.mpf(float(v)) for v in (*parameters.values(), t_x, T))
    hazard = r + x + s

    def density(v):  # in log time, v = log((min + y) / (min + t_x))
        least = min(alpha, beta)
        y = (least + t_x) * mpmath.exp(v) - least
        grown = ((alpha + T) / (alpha + y)) ** (r + x) * ((beta + T) / (beta + y)) ** s
        return s * grown / (beta + y) * (least + y)

    end = mpmath.log((min(alpha, beta) + T) / (min(alpha, beta) + t_x))
    panels = max(4, int(hazard * end / 20))
    return mpmath.quad(density, mpmath.linspace(0, end, panels + 1)) if end else mpmath.mpf(0)


@pytest.mark.parametrize("parameters", GRID)
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_likelihood_and_p_alive_equal_the_integral_in_high_precision(parameters, customer):
    x, t_x, T = customer
    odds = exact_odds_of_having_left(parameters, x, t_x, T)
    r, alpha, s, beta = (mpmath.mpf(value) for value in parameters.values())
    alive = mpmath.rf(r, x) * alpha**r / (alpha + T) ** (r + x) * (beta / (beta + T)) ** s
    assert log_likelihood(parameters, *customer)[0] == pytest.approx(float(mpmath.log(alive * (1 + odds))), abs=2e-9)
    ours = pareto_nbd.p_alive(parameters, *(np.float64(v) for v in customer))
    assert ours == pytest.approx(float(1 / (1 + odds)), rel=5e-9)


def exact_chance_to_leave_first(n, s, ratio):
    """The 2F1 in 40 digits; ratio is beta / alpha."""
    mpmath.mp.dps = 40
    n, s, ratio = (mpmath.mpf(v) for v in (n, s, ratio))
    if ratio <= 1:
        return s / (n + s) * mpmath.hyp2f1(1, n, n + s + 1, 1 - ratio)
    return 1 - n / (n + s) * mpmath.hyp2f1(1, s, n + s + 1, 1 - 1 / ratio)


@pytest.mark.parametrize("n", [0.0217, 1.13, 20.7, 10_000.37])
@pytest.mark.parametrize("s", [0.0213, 1.07, 5.43, 100.9])
@pytest.mark.parametrize("ratio", [1e-6, 1e-3, 0.5, 0.99, 1.0, 1.01, 5.0, 1e3, 1e6])
def test_chance_to_leave_first_equals_the_2f1_in_high_precision_and_is_the_kernels(n, s, ratio):
    from clvmodels.models.kernels.pareto_nbd import chance_to_leave_first

    exact = float(exact_chance_to_leave_first(n, s, ratio))
    ours = pareto_nbd.chance_to_leave_first(*(np.float64(v) for v in (n, 1.0, s, ratio)), NUMPY_OPS)
    assert ours == pytest.approx(exact, rel=1e-8)
    assert chance_to_leave_first(n, 1.0, s, ratio) == pytest.approx(float(ours), rel=1e-12)


def test_the_kernels_short_cut_to_p_alive_is_p_alive():
    """Just below and just above P(alive), whichever way the kernel decides."""
    from clvmodels.models.kernels.pareto_nbd import is_alive

    for parameters in GRID:
        for customer in CUSTOMERS:
            p = float(pareto_nbd.p_alive(parameters, *(np.float64(v) for v in customer)))
            assert is_alive(p * (1 - 1e-9), *parameters.values(), *customer)
            assert not is_alive(p * (1 + 1e-9), *parameters.values(), *customer)


def test_published_dert_and_rows_that_were_nan_elsewhere(golden):
    given = golden["pareto_nbd_dert"]
    who = [np.float64(given[name]) for name in ("frequency", "recency", "T")]
    rate = np.log1p(given["annual_discount_rate"]) / 52
    assert pareto_nbd.FORMULAS.dert(PAPER, *who, rate) == pytest.approx(given["dert"], abs=5e-5)
    stress = golden["pareto_nbd_stress"]
    who = [np.array(stress[name]) for name in ("frequency", "recency", "T")]
    assert pareto_nbd.p_alive(stress["parameters"], *who) == pytest.approx(np.array(stress["p_alive"]), abs=5e-9)


@pytest.mark.parametrize("s", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("discount", [1e-7, 0.002, 3.0])
def test_dert_equals_the_papers_confluent_hypergeometric_function(s, discount):
    parameters = {**PAPER, "s": s}
    mpmath.mp.dps = 30
    w = mpmath.mpf(discount) * (mpmath.mpf(11.669) + 39)
    life = (mpmath.mpf(11.669) + 39) * mpmath.exp(w) * mpmath.expint(s, w)  # beta Psi(1, 2 - s; w)
    alive = float(pareto_nbd.p_alive(parameters, np.float64(3), np.float64(30), np.float64(39)))
    ours = pareto_nbd.FORMULAS.dert(parameters, np.float64(3), np.float64(30), np.float64(39), discount)
    assert ours == pytest.approx(alive * (0.553 + 3) / (10.578 + 39) * float(life), rel=1e-9)


def test_nothing_jumps_where_the_two_scales_meet_or_s_passes_one():
    """The branches at alpha = beta, the series' threshold, and s = 1; a slope of 1e3 would show."""
    x, t_x, T = columns()
    for letter, at in (("beta", 10.578), ("beta", 10.578 * 0.95), ("beta", 10.578 / 0.95), ("s", 1.0)):
        below, above = ({**PAPER, letter: at * factor} for factor in (1 - 1e-12, 1 + 1e-12))
        assert log_likelihood(below, x, t_x, T) == pytest.approx(log_likelihood(above, x, t_x, T), abs=1e-9)
        ours = pareto_nbd.FORMULAS.expected_purchases(below, x, t_x, T, 39.0)
        assert ours == pytest.approx(pareto_nbd.FORMULAS.expected_purchases(above, x, t_x, T, 39.0), rel=1e-9)


def test_lifetimes_agrees_on_every_customer(cdnow):
    from lifetimes import ParetoNBDFitter

    other = ParetoNBDFitter()
    other.params_ = dict(PAPER)
    x, t_x, T = cdnow.frequency, cdnow.recency, cdnow.T
    theirs = other.conditional_probability_alive(x, t_x, T)
    assert pareto_nbd.p_alive(PAPER, x, t_x, T) == pytest.approx(theirs, abs=1e-9)
    theirs = other.conditional_expected_number_of_purchases_up_to_time(39.0, x, t_x, T)
    assert pareto_nbd.FORMULAS.expected_purchases(PAPER, x, t_x, T, 39.0) == pytest.approx(theirs, rel=1e-9)
    theirs = other.conditional_probability_of_n_purchases_up_to_time(2, 39.0, x[:40], t_x[:40], T[:40])
    assert pareto_nbd.FORMULAS.conditional_purchase_pmf(PAPER, x[:40], t_x[:40], T[:40], 2, 39.0) == pytest.approx(
        theirs, rel=1e-7
    )


@pytest.mark.parametrize("name", ["pareto_nbd", "mbg_nbd", "nbd"])
def test_maximum_likelihood_is_the_published_one(name, cdnow, golden):
    import clvmodels as clv

    fit = clv.fit(name, cdnow, method="mle")
    for letter, value in golden[name]["parameters"].items():
        assert fit.point[letter] == pytest.approx(value, abs=6e-4)
    assert fit.log_likelihood == pytest.approx(golden[name]["log_likelihood"], abs=6e-3)
    for letter, value in golden[name].get("standard_errors", {}).items():
        assert fit.standard_errors[letter] == pytest.approx(value, rel=0.01)
    assert fit.passed
