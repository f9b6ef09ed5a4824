"""The GGom/NBD against high precision, its limit, and on CDNOW, where it has no maximum of its own.

Identities, limits, simulation and kernel are in test_models_purchases.py.
"""

import mpmath
import numpy as np
import pytest

import clvmodels as clv
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.models import ggom_nbd

GRID = [
    {"r": 0.5534, "alpha": 10.578, "b": 0.0002, "s": 0.6062, "beta": 0.0026},
    {"r": 0.05, "alpha": 0.3, "b": 0.05, "s": 0.02, "beta": 1e-8},
    {"r": 8.0, "alpha": 200.0, "b": 0.05, "s": 1.0, "beta": 1e6},
    {"r": 1.3, "alpha": 4.0, "b": 3.0, "s": 0.6, "beta": 30.0},
    {"r": 0.55, "alpha": 10.6, "b": 1e-6, "s": 20.0, "beta": 1.0},
    {"r": 60.0, "alpha": 9.0, "b": 0.3, "s": 5.0, "beta": 0.5},
]
CUSTOMERS = [(0, 0.0, 0.0), (0, 0.0, 38.9), (2, 30.43, 38.86), (29, 37.0, 38.0), (10_000, 900.0, 1000.0), (1, 1.0, 1e5)]
each = pytest.mark.parametrize("parameters", GRID)


def passed(parameters, now, u):
    """z of a time u after now."""
    b, beta = mpmath.mpf(parameters["b"]), mpmath.mpf(parameters["beta"])
    return mpmath.log((beta - 1 + mpmath.exp(b * (now + u))) / (beta - 1 + mpmath.exp(b * mpmath.mpf(now))))


def over_lifetime(parameters, now, end, f, *further):
    """int s e^(-s z) f(u) dz to the time `end` after now, in high precision, panel by panel."""
    b, s, beta = (mpmath.mpf(parameters[name]) for name in ("b", "s", "beta"))
    g = 1 + (beta - 1) * mpmath.exp(-b * now)
    last = passed(parameters, now, end)
    panels = [mpmath.mpf(10) ** k for k in range(-9, 4)] + [40 / s / k for k in (1, 2, 4, 8, 16)]
    panels += [-mpmath.log(g) + step for step in (-4, -2, -1, 0, 1, 2, 4, 8)] + [
        passed(parameters, now, u) for u in further
    ]
    edges = sorted({0, last} | {edge for edge in panels if 0 < edge < last})
    return mpmath.quad(lambda z: s * mpmath.exp(-s * z) * f(mpmath.log(1 + g * mpmath.expm1(z)) / b), edges)


@each
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_likelihood_and_p_alive_equal_the_integral_in_high_precision(parameters, customer):
    mpmath.mp.dps = 25
    x, t_x, T = (mpmath.mpf(v) for v in customer)
    r, alpha, s = (mpmath.mpf(parameters[name]) for name in ("r", "alpha", "s"))
    fading = [(alpha + t_x) * mpmath.expm1(40 / (r + x) / k) for k in (1, 2, 4, 8, 16, 64)]
    q = (
        over_lifetime(parameters, t_x, T - t_x, lambda u: (1 + u / (alpha + t_x)) ** (-r - x), *fading)
        if t_x < T
        else 0
    )
    q *= mpmath.exp(-s * passed(parameters, 0, t_x)) * alpha**r / (alpha + t_x) ** (r + x)
    stayed = mpmath.exp(-s * passed(parameters, 0, T)) * alpha**r / (alpha + T) ** (r + x)
    exact = mpmath.log(mpmath.rf(r, int(x)) * (stayed + q))
    patterns = PurchasePatterns.of(*(np.array([float(v)]) for v in customer), "week")
    ours = ggom_nbd.log_likelihood(parameters, patterns, NUMPY_OPS)[0]
    assert ours == pytest.approx(float(exact), abs=1e-7)
    ours = ggom_nbd.p_alive(parameters, *(np.float64(v) for v in customer))
    assert ours == pytest.approx(float(stayed / (stayed + q)), rel=1e-7, abs=1e-300)


@each
def test_expectations_and_dert_equal_the_integrals_in_high_precision(parameters):
    mpmath.mp.dps = 25
    T, alive = np.float64(38.86), float(ggom_nbd.p_alive(parameters, *(np.float64(v) for v in (2, 30.43, 38.86))))
    rate = (parameters["r"] + 2) / (parameters["alpha"] + T)
    s = mpmath.mpf(parameters["s"])
    for t in (1e-6, 39.0):
        life = over_lifetime(parameters, T, t, lambda u: u) + t * mpmath.exp(-s * passed(parameters, T, t))
        ours = ggom_nbd.purchases_if_alive(parameters, np.float64(2), T, t)
        assert ours == pytest.approx(rate * float(life), rel=1e-8)
    for d in (1e-4, 0.3):
        end = mpmath.mpf(60) / parameters["b"] * (1 + 1 / s) + mpmath.mpf(100) / d
        life = over_lifetime(parameters, T, end, lambda u, d=d: -mpmath.expm1(-d * u) / d, 1 / mpmath.mpf(d))
        ours = ggom_nbd.FORMULAS.dert(parameters, np.float64(2), np.float64(30.43), T, d)
        assert ours == pytest.approx(alive * rate * float(life), rel=1e-7)


def test_dert_is_finite_without_discount_and_below_until_the_last_hazard():
    """The hazard tends to s b: with beta = 1 it is s b at once, and the mean lifetime 1 / (s b + d)."""
    parameters = {"r": 1.0, "alpha": 10.0, "b": 0.05, "s": 0.6, "beta": 1.0}
    zero = np.float64(0)
    for d in (0.3, 1e-9, 0.0, -0.01, -0.0299):
        assert ggom_nbd.FORMULAS.dert(parameters, zero, zero, zero, d) == pytest.approx(0.1 / (0.03 + d), rel=1e-8)
    assert ggom_nbd.FORMULAS.dert(parameters, zero, zero, zero, -0.03) == np.inf


def test_the_kernels_chance_to_leave_and_short_cut_are_the_models():
    from clvmodels.models.kernels import ggom_nbd as kernel

    for parameters in GRID:
        b, s, beta = (parameters[name] for name in ("b", "s", "beta"))
        for x, t_x, T in CUSTOMERS[1:]:
            who = [np.float64(v) for v in (x, t_x, T)]
            g = kernel.growth(t_x, b, beta)
            passed = kernel.scale_passed(T - t_x, b, g)
            ours = kernel.chance_to_leave(parameters["r"] + x, b * (parameters["alpha"] + t_x), g, s, passed)
            assert ours == pytest.approx(float(ggom_nbd.chance_to_leave(parameters, *who, NUMPY_OPS)), rel=1e-11)
            p = float(ggom_nbd.p_alive(parameters, *who))
            if p > 1e-290:
                assert kernel.is_alive(p * (1 - 1e-9), *parameters.values(), *who)
                assert not kernel.is_alive(min(p * (1 + 1e-9), 1 - 1e-16), *parameters.values(), *who) or p > 1 - 2e-9


def test_on_cdnow_the_likelihood_rises_to_its_limit_and_priors_hold_the_fit(cdnow, golden):
    """The published fit is the Pareto/NBD in disguise: there is no maximum, and the message says so."""
    with pytest.raises(clv.FitError, match=r"no well-defined mode .*above all in that of b"):
        clv.fit("ggom_nbd", cdnow, method="mle")
    published = clv.fit_at("ggom_nbd", golden["ggom_nbd"]["parameters"], unit="week")
    total = clv.log_likelihood(published, cdnow).sum()
    assert total == pytest.approx(golden["ggom_nbd"]["log_likelihood"], abs=1.0)  # beta has two digits
    fit = clv.fit("ggom_nbd", cdnow, draws=500, seed=1)
    assert fit.method == "laplace"
    assert fit.passed
