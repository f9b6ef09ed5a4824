"""Residual lifetimes and DERL: the published values, high precision at the corners, one age from another, speed."""

import time

import mpmath
import numpy as np
import pytest

from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.quadrature import beta_expectation
from clvmodels.models import MODELS
from clvmodels.models.residual import Curves, corrections, renewals_ahead, time_ahead
from tests.retention_cases import AT_RENEWALS, GOLDEN, RETENTION, TRUTH

AGES = np.array([0.0, 1.0, 5.0, 12.0, 60.0, 1000.0])
DISCOUNTS = [1e-6, np.log(1.1) / 12, np.log(1.1), 3.0]


def ahead(name, parameters, age, discount, due=1.0):
    return MODELS[name].formulas["derl"](parameters, np.atleast_1d(np.asarray(age, dtype=float)), discount, due)


def test_residual_lifetime_values_of_the_paper_are_met():
    paper = GOLDEN["residual_lifetime_value"]
    value = paper["payment"] * ahead("sbg", paper["parameters"], paper["renewals_made"], np.log1p(paper["rate"]), 0.0)
    assert np.round(value).tolist() == paper["value"]


@pytest.mark.parametrize("discount", DISCOUNTS)
def test_derl_of_sbg_is_that_of_the_hypergeometric_function(discount):
    """sum_{t >= 1} S(n + t) / S(n) v^t = v b / (a + b) 2F1(1, b + 1; a + b + 1; v) with b = beta + n, at 30 digits."""
    for alpha in (0.01, 0.764, 1.001, 40.0):
        for beta in (0.01, 1.3, 300.0):
            ours = ahead("sbg", {"alpha": alpha, "beta": beta}, AGES, discount)
            with mpmath.workdps(30):
                a, v = mpmath.mpf(alpha), mpmath.exp(-mpmath.mpf(discount))
                later = [mpmath.mpf(beta) + int(n) for n in AGES]
                exact = [float(v * b / (a + b) * mpmath.hyp2f1(1, b + 1, a + b + 1, v)) for b in later]
            assert ours == pytest.approx(exact, rel=1e-10)


def test_derl_of_sbg_is_the_mean_over_the_chances_to_leave():
    """Another way, by E (1 - theta) v / (1 - (1 - theta) v) over theta ~ Beta(alpha, beta + n)."""
    alpha, v = np.array([0.5, 1.2, 6.0])[:, None], np.exp(-0.01)
    b = 1.3 + AGES
    ones = np.ones((3, len(AGES)))
    mean = beta_expectation(
        alpha * ones,
        b * ones,
        lambda p: (1 - p) * v / (1 - (1 - p) * v),
        at_zero=ones * v / (1 - v),
        bend=ones * np.log(0.01),
    )
    assert ahead("sbg", {"alpha": alpha, "beta": 1.3}, AGES, 0.01) == pytest.approx(mean, rel=1e-10)


@pytest.mark.parametrize(
    "shape", [(0.7, 1.3, 1.3), (0.7, 1.3, 0.4), (0.05, 0.5, 3.0), (5.0, 100.0, 0.7), (50.0, 1e9, 5.0)]
)
def test_derl_of_bdw_is_the_sum_of_its_terms(shape):
    alpha, beta, c = shape
    age, discount = np.array([0.0, 12.0, 1000.0]), 0.05
    ours = ahead("bdw", {"alpha": alpha, "beta": beta, "c": c}, age, discount)
    t = np.arange(1, 900)
    with mpmath.workdps(40):
        for n, found in zip(age, ours, strict=True):
            terms = [mpmath.log(mpmath.beta(alpha, beta + mpmath.mpf(n + int(k)) ** c)) for k in (0, *t)]
            total = mpmath.fsum(
                mpmath.exp(term - terms[0] - discount * int(k)) for k, term in zip(t, terms[1:], strict=True)
            )
            assert found == pytest.approx(float(total), rel=1e-10)


@pytest.mark.parametrize("discount", [0.0, *DISCOUNTS])
@pytest.mark.parametrize("shape", [(0.5, 0.3), (0.8, 1.3), (3.0, 0.5), (1.01, 1.0), (5.0, 3.0), (0.4, 5.0)])
def test_derl_in_continuous_time_is_the_integral(shape, discount):
    """Of Weibull-gamma, and so of exponential-gamma, by mpmath's integral over the logarithm of time."""
    r, c = shape
    age = np.array([0.0, 0.01, 3.0, 500.0])
    ours = ahead("weibull_gamma", {"r": r, "alpha": 7.0, "c": c}, age, discount)
    if discount == 0 and r * c <= 1:
        assert np.isinf(ours).all()
        return
    with mpmath.workdps(20):
        for T, found in zip(age, ours, strict=True):
            if discount == 0:
                y, k = 1 / (1 + (mpmath.mpf(T) / 7) ** c), 1 / mpmath.mpf(c)
                exact = 7 * k * mpmath.betainc(r - k, k, 0, y) / y**r
            else:
                end = min(mpmath.log(60 / discount), mpmath.log(found) + 80)
                pieces = mpmath.linspace(mpmath.log(found) - 45, end, 30)
                start = (1 + (mpmath.mpf(T) / 7) ** c) ** r
                exact = mpmath.quad(
                    lambda u, T=T, start=start: (
                        mpmath.exp(u - discount * mpmath.exp(u)) * start / (1 + ((T + mpmath.exp(u)) / 7) ** c) ** r
                    ),
                    pieces,
                    maxdegree=5,
                )
            assert found == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize("name", [name for name in RETENTION if name not in ("bdw", "weibull_gamma")])
def test_without_discount_it_is_the_closed_form(name):
    """And the general way is right without discount too: powers of time to infinity."""
    staying, closed = MODELS[name].formulas, {"sbg": {"alpha": 1.001}, "exponential_gamma": {"r": 1.001}}
    for parameters in (TRUTH[name], {**TRUTH[name], **closed.get(name, {})}):
        lifetime = staying["residual_lifetime"](parameters, AGES)
        assert ahead(name, parameters, AGES, 0.0) == pytest.approx(lifetime, rel=1e-14)
        of = MODELS[name].formulas["derl"].__self__
        values = np.array([[[value] * len(AGES)] for value in parameters.values()])
        curves = Curves(lambda *t, of=of: of.log_survival(*t, ops=NUMPY_OPS), of.tail, values, np.zeros(len(AGES)))
        general = (renewals_ahead if name in AT_RENEWALS else time_ahead)(curves, AGES)[0]
        assert general == pytest.approx(lifetime, rel=1e-10)


def test_lifetimes_are_infinite_where_survival_falls_too_slowly():
    for name, finite, endless in (
        ("sbg", {"alpha": 1.1, "beta": 2.0}, {"alpha": 1.0, "beta": 2.0}),
        ("bdw", {"alpha": 0.9, "beta": 2.0, "c": 1.2}, {"alpha": 0.8, "beta": 2.0, "c": 1.2}),
        ("exponential_gamma", {"r": 1.1, "alpha": 2.0}, {"r": 1.0, "alpha": 2.0}),
        ("weibull_gamma", {"r": 0.9, "alpha": 2.0, "c": 1.2}, {"r": 0.8, "alpha": 2.0, "c": 1.2}),
    ):
        lifetime = MODELS[name].formulas["residual_lifetime"]
        assert np.isfinite(lifetime(finite, AGES)).all()
        assert np.isinf(lifetime(endless, AGES)).all()
        assert np.isfinite(ahead(name, endless, AGES, 1e-6)).all()


def test_new_customers_of_sbg_stay_as_long_as_the_paper_says():
    """(alpha + beta - 1) / (alpha - 1) periods, the first included."""
    lifetime = MODELS["sbg"].formulas["residual_lifetime"]({"alpha": 3.0, "beta": 5.0}, np.array([0.0]))
    assert 1 + lifetime == pytest.approx(7 / 2, rel=1e-12)


@pytest.mark.parametrize("discount", [0.0, 1e-6, 0.01, 1.0])
@pytest.mark.parametrize("name", RETENTION)
def test_what_is_ahead_at_one_age_is_what_comes_first_and_what_is_ahead_later(name, discount):
    """E(n) = sum of the next 500 + S(n + 500) / S(n) e^(-500 d) E(n + 500); continuous by Simpson's rule."""
    heavy = {"sbg": {"alpha": 1.2}, "bdw": {"alpha": 1.2}, "exponential_gamma": {"r": 1.2}, "weibull_gamma": {"r": 1.2}}
    parameters = {**TRUTH[name], **heavy.get(name, {})}
    for age in (1.0, 7.0):
        p_active = MODELS[name].formulas["p_active"]
        if name in AT_RENEWALS:
            t = np.arange(1.0, 501.0)
            first = (p_active(parameters, age, t) * np.exp(-discount * t)).sum()
        else:
            t = 500 * np.linspace(0, 1, 20_001) ** 2
            values = p_active(parameters, age, t) * np.exp(-discount * t) * np.sqrt(t / 500)
            weights = np.r_[1, np.tile([4, 2], 9_999), 4, 1] / 3 / 20_000 * 1000
            first = values @ weights
        kept = p_active(parameters, age, t[-1]) * np.exp(-discount * t[-1])
        whole = first + kept * ahead(name, parameters, age + t[-1], discount)[0]
        assert ahead(name, parameters, age, discount)[0] == pytest.approx(whole, rel=1e-10)


def test_payments_follow_the_time_to_the_next_renewal_and_streams_do_not():
    due = np.array([0.0, 0.3, 1.0])
    at_renewals = ahead("sbg", TRUTH["sbg"], np.full(3, 2.0), 0.05, due)
    assert at_renewals * np.exp(0.05 * due) == pytest.approx(np.full(3, at_renewals[0]), rel=1e-13)
    streams = ahead("exponential_gamma", TRUTH["exponential_gamma"], np.full(3, 2.0), 0.05, due)
    assert (streams == streams[0]).all()


@pytest.mark.parametrize("name", RETENTION)
def test_columns_do_not_depend_on_one_another(name):
    """Ages in any order, twice, and rates of the customers' own: each column as if it were alone."""
    age, rates = np.array([9.0, 0.0, 300.0, 0.0, 2.0, 9.0]), np.array([0.01, 0.01, 0.02, 0.0, 0.01, 0.01])
    draws = {key: value * np.array([[0.9], [1.0], [1.1]]) for key, value in TRUTH[name].items()}
    together = ahead(name, draws, age, rates)
    alone = np.hstack([ahead(name, draws, [a], rate) for a, rate in zip(age, rates, strict=True)])
    assert together == pytest.approx(alone, rel=1e-12)
    crossed = {key: np.hstack([value] * 3 + [value[::-1]] * 3) for key, value in draws.items()}  # alike in one draw
    own = ahead(name, crossed, np.full(6, 3.0), 0.01)
    assert own[:, 3:] == pytest.approx(own[::-1, :3], rel=1e-12)


def test_the_beginning_of_a_sum_is_corrected():
    """Of exp(-k t), whose sum is known."""
    weights = corrections()
    for k in (0.01, 0.1, 0.4):
        ends = sum(w * (np.exp(-k * j) - np.exp(k * j)) for j, w in enumerate(weights, start=1))
        assert 1 / k + 0.5 + ends == pytest.approx(1 / -np.expm1(-k), rel=1e-9)


@pytest.mark.parametrize("name", RETENTION)
def test_fifty_cells_by_twelve_ages_at_two_thousand_draws_take_seconds(name):
    """About 2 s each on a quiet core: 3 here for a tenth of the draws would be a tenfold loss."""
    rng = np.random.default_rng(1)
    cell, age = np.repeat(np.arange(50), 12), np.tile(np.arange(12.0), 50)
    draws = {key: (value * np.exp(0.1 * rng.normal(size=(200, 50))))[:, cell] for key, value in TRUTH[name].items()}
    begin = time.process_time()
    values = ahead(name, draws, age, 0.1 / 12)
    assert time.process_time() - begin < 3
    assert np.isfinite(values).all()
