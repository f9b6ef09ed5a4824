"""The Pareto/GGG against high precision, finer quadrature, its limit, its own story and its kernel.

The contract's histories (any t_x for an x) have no log_interval: its claims are held here, with intervals.
"""

import mpmath
import numpy as np
import pytest
from scipy import special

import clvmodels as clv
from clvmodels.evaluation import sbc
from clvmodels.foundation.events import purchase_columns
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns, Varying
from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.inference import fitting
from clvmodels.inference.laplace import WeightedSample
from clvmodels.models import MODELS, pareto_ggg

MONTE_CARLO_ERRORS = 4
REGULAR = {"t": 6.0, "gamma": 2.0, "r": 0.8, "alpha": 6.0, "s": 0.6, "beta": 12.0}
MIXED = {"t": 3.0, "gamma": 2.5, "r": 0.55, "alpha": 10.5, "s": 0.6, "beta": 11.6}
IN_BURSTS = {"t": 4.0, "gamma": 8.0, "r": 2.0, "alpha": 20.0, "s": 1.4, "beta": 30.0}
CASES = [REGULAR, MIXED, IN_BURSTS]
each_case = pytest.mark.parametrize("parameters", CASES, ids=["regular", "mixed", "in bursts"])


def past_of(x, regularity, share, T, seed):
    """One customer's x, t_x, T and log_interval, with times between purchases of that regularity."""
    wait = np.random.default_rng(seed).gamma(regularity, 1.0, x)
    wait *= share * T / wait.sum() if x else 1.0
    return float(x), min(float(wait.sum()), T), T, float(np.log(wait).mean()) if x else 0.0


def pasts():
    """Customers of every kind: 0 to 200 purchases, k from .3 to 30, silent for 0 to 70 % of the time."""
    many = [(x, k, share) for x in (1, 2, 5, 29, 200) for k in (0.3, 1.0, 5.0, 30.0) for share in (0.3, 0.9, 1.0)]
    rows = [past_of(x, k, share, 38.9, seed=i) for i, (x, k, share) in enumerate(many)]
    return tuple(np.array(column) for column in zip(*rows, (0.0, 0.0, 38.9, 0.0), (0.0, 0.0, 0.0, 0.0), strict=True))


def log_likelihood(parameters, x, t_x, T, log_interval, *, model="pareto_ggg"):
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=float)) for v in (x, t_x, T, log_interval)))
    patterns = PurchasePatterns.of(*columns[:3], "week", log_interval=columns[3])
    return MODELS[model].log_likelihood(parameters, patterns, NUMPY_OPS)


def p_alive(parameters, *past):
    return MODELS["pareto_ggg"].formulas["p_alive"](parameters, *past)


def exact_likelihood(parameters, x, t_x, T, log_interval):
    """The integral over k of the paper's densities, with that over the wait inside, in 16 digits."""
    mpmath.mp.dps = 16
    t, gamma, r, alpha, s, beta, x, t_x, T, mean = (
        mpmath.mpf(float(v)) for v in (*parameters.values(), x, t_x, T, log_interval)
    )
    h = T - t_x

    def silence(k):
        R, A = r + k * x, alpha + k * t_x
        wait = lambda w: k**k * w ** (k - 1) / mpmath.beta(k, R) * A**R / (A + k * w) ** (R + k)  # noqa: E731
        out = lambda w: wait(w) * (1 - ((beta + t_x) / (beta + t_x + w)) ** s)  # noqa: E731
        later = mpmath.betainc(R, k, 0, A / (A + k * h), regularized=True)
        return later + mpmath.quad(out, [0, *(h * mpmath.mpf(16) ** -j for j in range(6, -1, -1))])

    def density(u):
        k = mpmath.exp(u)
        prior = gamma**t * k**t * mpmath.exp(-gamma * k) / mpmath.gamma(t)
        times = k ** (k * x) / mpmath.gamma(k) ** x * mpmath.exp((k - 1) * x * mean)
        rates = mpmath.gamma(r + k * x) / mpmath.gamma(r) * alpha**r / (alpha + k * t_x) ** (r + k * x)
        return prior * times * rates

    grid = [mpmath.mpf(i) / 4 for i in range(-60, 24)]
    highest = max(map(density, grid))
    seen = [u for u in grid if density(u) > 1e-11 * highest]
    step = (seen[-1] - seen[0]) / 36
    total = step * sum(density(u) * silence(mpmath.exp(u)) for u in (seen[0] + i * step for i in range(37)))
    return mpmath.log(total) + s * mpmath.log(beta / (beta + t_x))


@pytest.mark.parametrize(
    ("parameters", "past"),
    [
        (MIXED, past_of(0, 1.0, 0.0, 38.9, seed=1)),
        (REGULAR, past_of(1, 3.0, 0.3, 38.9, seed=2)),
        (IN_BURSTS, past_of(12, 0.5, 0.6, 38.9, seed=3)),
    ],
)
def test_the_likelihood_equals_the_double_integral_in_high_precision(parameters, past):
    assert log_likelihood(parameters, *past)[0] == pytest.approx(float(exact_likelihood(parameters, *past)), abs=1e-7)


@each_case
def test_five_times_as_many_nodes_change_nothing(parameters, monkeypatch):
    ours, alive = log_likelihood(parameters, *pasts()), p_alive(parameters, *pasts())
    for nodes in ("K_NODES", "LEAVING_NODES", "WAITING_NODES"):
        monkeypatch.setattr(pareto_ggg, nodes, 120)
    monkeypatch.setattr(pareto_ggg, "SPENT", 40.0)
    assert ours == pytest.approx(log_likelihood(parameters, *pasts()), rel=1e-6, abs=1e-6)
    assert alive == pytest.approx(p_alive(parameters, *pasts()), abs=1e-6)


@pytest.mark.parametrize("scale", [0.2, 5.0])
def test_with_one_regularity_of_one_it_is_the_pareto_nbd(scale):
    past = pasts()
    simpler = {"r": 0.55 * scale, "alpha": 10.5 / scale, "s": 0.6, "beta": 11.6 * scale}
    there = MODELS["pareto_ggg"].limits["pareto_nbd"](simpler)
    assert log_likelihood(there, *past) == pytest.approx(
        log_likelihood(simpler, *past, model="pareto_nbd"), rel=1e-6, abs=1e-6
    )
    theirs = MODELS["pareto_nbd"].formulas["p_alive"](simpler, *past[:3])
    assert p_alive(there, *past) == pytest.approx(theirs, abs=1e-6)


def stories(parameters, size, T, ahead, seed):
    """Simulated customers: their past up to T, and purchases after it."""
    rng = np.random.default_rng(seed)
    buyer, time = MODELS["pareto_ggg"].simulate(rng, parameters, np.full(size, T + ahead))
    seen = time <= T
    past = purchase_columns(buyer[seen], time[seen], size)
    x, t_x, log_interval = past["frequency"], past["recency"], np.nan_to_num(past["log_interval"])
    return (x, t_x, np.full(size, T), log_interval), np.bincount(buyer[~seen], minlength=size)


@each_case
def test_the_story_has_no_one_and_two_purchases_as_often_as_the_likelihood_says(parameters):
    """L(0), the integral of L over one time, and over two."""
    T, size = 10.0, 200_000
    at, weights = gauss_legendre(80)
    at, weights = (
        np.exp(60 * (at - 1)),
        60 * weights * np.exp(60 * (at - 1)),
    )  # in log time: of bursts
    first, second = np.meshgrid(T * at, at)
    second = (T - first) * second  # the second wait, in what is left
    none = np.exp(log_likelihood(parameters, 0.0, 0.0, T, 0.0))[0]
    one = np.exp(log_likelihood(parameters, 1.0, T * at, T, np.log(T * at))) @ (T * weights)
    mean = (np.log(first) + np.log(second)) / 2
    two = np.exp(log_likelihood(parameters, 2.0, (first + second).ravel(), T, mean.ravel())).reshape(first.shape)
    two = np.sum(two * np.multiply.outer(weights, weights) * T * (T - first))
    counts = stories(parameters, size, T, 1.0, seed=1)[0][0]
    for x, chance in enumerate((none, one, two)):
        error = np.sqrt(chance * (1 - chance) / size)
        assert abs((counts == x).mean() - chance) <= MONTE_CARLO_ERRORS * error


def weights_of(x, t_x, T, log_interval):
    """Kinds of customers by their past, as weights."""
    regular = np.log(np.maximum(t_x, 1e-300) / np.maximum(x, 1)) - log_interval
    return (np.ones(len(x)), x == 0, x == 1, np.minimum(x, 5), t_x > 0.7 * T, (x > 2) & (regular < 0.3), regular > 0.8)


@each_case
def test_silence_comes_as_often_as_the_likelihood_says(parameters):
    """P(none in (T, T + t] | the past) = L(T + t) / L(T), by kinds of pasts."""
    past, later = stories(parameters, 8_000, 20.0, 10.0, seed=2)
    x, t_x, T, log_interval = past
    none = np.exp(log_likelihood(parameters, x, t_x, T + 10.0, log_interval) - log_likelihood(parameters, *past))
    assert none.max() <= 1 + 1e-9
    for weight in weights_of(*past):
        error = np.sqrt((weight**2 * none * (1 - none)).sum())
        assert abs((((later == 0) - none) * weight).sum()) <= MONTE_CARLO_ERRORS * error


@each_case
def test_the_kernel_draws_what_the_story_tells(parameters):
    """Purchases after T, by kinds of pasts: one draw given each past against the story's own future."""
    past, later = stories(parameters, 8_000, 20.0, 30.0, seed=3)
    customers = clv.CustomerSummary.from_frame(frame_of(*past), unit="week")
    fit = clv.fit_at("pareto_ggg", parameters, unit="week")
    drawn = clv.predict(fit, customers, quantity="purchases", horizon=30.0, seed=1, draws=2).mean
    for weight in weights_of(*past):
        surprise = (later - drawn) * weight
        assert abs(surprise.mean()) <= MONTE_CARLO_ERRORS * surprise.std() / np.sqrt(len(surprise))


def frame_of(x, t_x, T, log_interval):
    import pandas as pd

    known = np.where(x > 0, log_interval, np.nan)
    return pd.DataFrame({"frequency": x, "recency": t_x, "T": T, "log_interval": known}, index=np.arange(len(x)))


@each_case
def test_the_kernels_p_alive_and_waits_are_the_formulas(parameters):
    from clvmodels.models.kernels import pareto_ggg as kernel

    past, waiting = np.column_stack(pasts()), np.empty(kernel.K_NODES)
    theta = np.array(list(parameters.values()))
    ours = [kernel.alive_by_k(theta, row, waiting) for row in past]
    assert ours == pytest.approx(p_alive(parameters, *pasts()), rel=1e-12)
    for k, R, edge in ((0.3, 0.5, -4.0), (0.3, 2.0, 1.0), (1.0, 6000.0, -9.0), (30.0, 31.0, 0.7), (1e-3, 3.0, -20.0)):
        later = kernel.still_waiting(k, R, special.betaln(k, R), edge)
        assert later == pytest.approx(special.betainc(R, k, special.expit(-edge)), rel=1e-7)


def test_a_wait_far_out_is_drawn_as_it_is_distributed():
    """Beyond an edge that one in 300 pass: the chance to pass a later one is uniform."""
    from clvmodels.foundation.streams import open_stream, stream_memory
    from clvmodels.models.kernels import pareto_ggg as kernel

    stream = stream_memory()[0]
    open_stream(stream, *(np.uint64(1),) * 3, np.uint64(0))
    for k, R, edge in ((8.0, 20.0, 0.3), (0.7, 1.5, 4.0), (3.0, 4.0, -30.0)):
        log_beta = special.betaln(k, R)
        eta = np.array([kernel.draw_wait(stream, k, R, log_beta, edge) for _ in range(5_000)])
        assert eta.min() > edge
        passed = special.betainc(R, k, special.expit(-eta)) / special.betainc(R, k, special.expit(-edge))
        for power in (1, 2):  # moments of a uniform number
            error = np.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / len(eta))
            assert abs((passed**power).mean() - 1 / (power + 1)) <= MONTE_CARLO_ERRORS * error


@each_case
def test_p_alive_is_a_probability_that_falls_with_silence_and_with_time(parameters):
    T = np.linspace(9.0, 300.0, 40)
    for x, regularity in ((1, 1.0), (3, 5.0), (40, 0.5)):
        _, t_x, _, log_interval = past_of(x, regularity, 1.0, 9.0, seed=x)
        past = np.full(40, float(x)), np.full(40, t_x), T, np.full(40, log_interval)
        alive = p_alive(parameters, *past)
        assert np.all((alive >= 0) & (alive <= 1))
        assert np.all(np.diff(alive) <= 1e-9)
        later = MODELS["pareto_ggg"].formulas["p_alive_after"](parameters, *past, 10.0)
        assert np.all(later < alive)


def test_a_clock_that_has_stopped_is_gone_sooner_than_one_who_bought_at_random():
    """Twelve purchases at equal times, or in bursts, and then four times the mean time without one."""
    past = {name: past_of(12, k, 12 / 16, 16.0, seed=1) for name, k in (("clock", 500.0), ("bursts", 0.3))}
    alive = {name: float(p_alive(MIXED, *map(np.float64, values))) for name, values in past.items()}
    assert alive["clock"] < 0.5 * alive["bursts"]


@each_case
@pytest.mark.parametrize("unit", [1 / 7, 365.25])
def test_the_unit_of_time_does_not_matter(parameters, unit):
    scaled = {**parameters, "alpha": parameters["alpha"] * unit, "beta": parameters["beta"] * unit}
    x, t_x, T, log_interval = pasts()
    others = x, t_x * unit, T * unit, log_interval + np.log(unit) * (x > 0)
    shift = log_likelihood(scaled, *others) - log_likelihood(parameters, *pasts())
    assert shift == pytest.approx(-x * np.log(unit), abs=1e-8)
    assert p_alive(scaled, *others) == pytest.approx(p_alive(parameters, *pasts()), rel=1e-9)


@each_case
def test_draws_rows_and_customers_own_parameters_broadcast(parameters):
    past = pasts()
    draws = {letter: value * np.array([[1.0], [1.3]]) for letter, value in parameters.items()}
    table = log_likelihood(draws, *past)
    assert table.shape == (2, len(past[0]))
    one = {letter: value * 1.3 for letter, value in parameters.items()}
    assert table[1] == pytest.approx(log_likelihood(one, *past), rel=1e-12)
    assert p_alive(draws, *past)[1] == pytest.approx(p_alive(one, *past), rel=1e-12)
    cell = np.arange(len(past[0])) % 2
    varying = {letter: Varying(np.array([value, 1.3 * value]), cell) for letter, value in parameters.items()}
    assert log_likelihood(varying, *past) == pytest.approx(np.where(cell, table[1], table[0]), rel=1e-12)


@each_case
def test_nothing_overflows_where_it_is_hard(parameters):
    """10,000 purchases, of next to no or of endless silence, at even times or not; T = 0."""
    hard = [(10_000, 1e3, 1e3), (10_000, 1.0, 1e9), (1, 1e-9, 1e9), (1, 1e9, 1e9), (0, 0, 0), (0, 0, 1e9)]
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*hard, strict=True))
    even = np.where(x > 0, np.log(np.maximum(t_x, 1e-9) / np.maximum(x, 1)), 0.0)
    for log_interval in (even, even - 0.01 * (x > 1), even - 3.0 * (x > 1)):
        assert np.all(np.isfinite(log_likelihood(parameters, x, t_x, T, log_interval)))
        alive = p_alive(parameters, x, t_x, T, log_interval)
        assert np.all(np.isfinite(alive) & (alive >= 0) & (alive <= 1))
    assert log_likelihood(parameters, 0.0, 0.0, 0.0, 0.0)[0] == pytest.approx(0, abs=1e-8)


def test_regular_purchases_prefer_it_to_the_pareto_nbd_by_far():
    customers, _ = clv.simulate("pareto_ggg", REGULAR, T=52.0, size=600, seed=5)
    ours = clv.log_likelihood(clv.fit_at("pareto_ggg", REGULAR), customers).sum()
    assert ours > clv.fit("pareto_nbd", customers, method="mle").log_likelihood + 200


def test_nuts_is_refused_before_any_work(monkeypatch):
    customers, _ = clv.simulate("pareto_ggg", REGULAR, T=52.0, size=60, seed=5)
    monkeypatch.setattr(fitting, "find_mode", None)
    with pytest.raises(clv.FitError, match=r'pareto_ggg is not fitted by "nuts".* use "mle" or "laplace"'):
        clv.fit("pareto_ggg", customers, method="nuts", seed=1)


def test_weights_that_cannot_be_trusted_stay_a_failed_check(monkeypatch):
    """Another model goes on with NUTS."""

    def untrusted(target, mode, draws, rng):
        phi = mode.phi + 0.01 * rng.standard_normal((draws, len(mode.phi)))
        return WeightedSample(phi, np.zeros(draws), np.full(draws, 1 / draws), pareto_k=0.9)

    monkeypatch.setattr(fitting, "importance_sample", untrusted)
    customers, _ = clv.simulate("pareto_ggg", REGULAR, T=52.0, size=60, seed=5)
    fit = clv.fit("pareto_ggg", customers, method="laplace", draws=50, seed=1)
    assert fit.method == "laplace"
    assert not fit.passed
    with pytest.raises(clv.FitError, match="pareto_k"):
        clv.predict(fit, customers, quantity="p_alive")


@pytest.mark.slow
def test_maximum_likelihood_recovers_what_was_simulated():
    customers, _ = clv.simulate("pareto_ggg", REGULAR, T=52.0, size=1500, seed=6)
    fit = clv.fit("pareto_ggg", customers, method="mle")
    assert fit.passed  # above the pareto_nbd, too
    values = np.array(list(fit.point.values()))
    errors = np.sqrt(np.diag(fit.covariance)) / values  # of logarithms
    assert np.all(np.abs(np.log(values / list(REGULAR.values()))) < MONTE_CARLO_ERRORS * errors)
    assert errors[0] < 0.3


@pytest.mark.slow
def test_cdnow_buys_at_random_times(cdnow):
    """No two regularities: k is 1.07 or so for all. The likelihood has no maximum, and the posterior is well."""
    fit = clv.fit("pareto_ggg", cdnow, method="laplace", draws=1000, seed=1)
    assert fit.method == "laplace"
    assert fit.passed
    mean = fit.draws["t"] / fit.draws["gamma"]
    assert 1.0 < float(mean.mean()) < 1.15
    assert float(fit.draws["t"].quantile(0.05)) > 10  # the regularities' coefficient of variation is t^-1/2
    with pytest.raises(clv.FitError, match="no well-defined mode"):
        clv.fit("pareto_ggg", cdnow, method="mle")


@pytest.mark.sbc
def test_the_posterior_is_calibrated():
    """A first run, of 100 with seed 1, had r beyond its limit (p = .0018 against .0063); this one was to tell."""
    made = sbc.run_sbc(
        "pareto_ggg",
        simulations=250,
        customers=100,
        T=sbc.AGES,
        priors=sbc.default_priors("pareto_ggg"),
        method="laplace",
        seed=2,
        draws=99,
        workers=2,
    )
    assert made.uniform, made.table()
