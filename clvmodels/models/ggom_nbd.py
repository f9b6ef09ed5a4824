"""GGom/NBD: the Pareto/NBD with a lifetime whose hazard may rise or fall, Gamma/Gompertz.

The story. While alive, a customer buys at rate lambda ~ Gamma(r, alpha). The lifetime is Gompertz, with
P(alive at t) = exp(-eta (e^(b t) - 1)) and eta ~ Gamma(s, beta), independent of lambda. The first purchase is time
0. x = frequency, t_x = recency, T = age.

Lifetime is measured by its own scale, z = log G(y) / G(now) with G(y) = beta - 1 + e^(b y): P(alive) is exp(-s z)
in it, and time from now is u = log(1 + g (e^z - 1)) / b, where g = 1 + (beta - 1) e^(-b now). At b -> 0 with beta
= b beta' it is the Pareto/NBD with that beta'.

References
----------
.. [1] Bemmaor and Glady (2012), Modeling Purchasing Behavior with Sudden "Death": A Flexible Customer Lifetime
   Model, Management Science 58(5), doi 10.1287/mnsc.1110.1461.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, Levels, PurchasePatterns, at_rows
from clvmodels.foundation.quadrature import integral_from_zero
from clvmodels.models import nbd
from clvmodels.models.alive import AliveOrGone

NODES = 32  # in each of the two parts of an integral
FORMULA_NODES, PMF_NODES = 64, 64
SPENT = 32.0  # hazard after which exp(-32) = 1e-14 of an integral is left
LARGEST = 600.0  # exponent that is taken
TINY = 1e-300


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, shape (..., K).

    Alive at T, or out since t_x::

        L = Gamma(r + x) / Gamma(r) (S(T) + S(t_x) q)
        S(y) = (alpha / (alpha + y))^r (alpha + y)^-x (beta / G(y))^s

    with q the chance, of one who is alive at t_x, to be out by T and not to buy before.
    """
    r, alpha, b, s, beta = (parameters[name] for name in ("r", "alpha", "b", "s", "beta"))
    x, t_x, T = patterns.frequency, patterns.recency, patterns.T

    def log_alive(y: Any, r: Any, alpha: Any, b: Any, s: Any, beta: Any) -> Any:  # log S but for (alpha + y)^-x
        return -r * ops.log1p(y / alpha) - s * scale_passed(y, b, beta, ops)

    def at(time: Levels) -> Any:
        return time.map(log_alive, r, alpha, b, s, beta) - x.rows * time.map(lambda y, a: ops.log(a + y), alpha)

    own = {name: at_rows(parameter) for name, parameter in parameters.items()}
    q = chance_to_leave(own, x.rows, t_x.rows, T.rows, ops)
    rates = x.map(lambda x, r: ops.gammaln(r + x) - ops.gammaln(r), r)
    return rates + ops.logaddexp(at(T), at(t_x) + ops.log(ops.maximum(q, TINY)))


def growth(now: Any, b: Any, beta: Any, ops: Ops) -> Any:
    """g = 1 + (beta - 1) exp(-b now), a sum of numbers above 0."""
    return beta * ops.exp(-b * now) - ops.expm1(-b * now)


def scale_passed(u: Any, b: Any, g: Any, ops: Ops) -> Any:
    """z = log(1 + (e^(b u) - 1) / g) of a time u from now, where the growth is g; beta at the first purchase."""
    grown = ops.log1p(ops.expm1(_least(ops, b * u, LARGEST)) / g)
    return ops.where(b * u < LARGEST, grown, b * u - ops.log(g))


def _least(ops: Ops, *values: Any) -> Any:
    """The least of some arrays, elementwise."""
    least = values[0]
    for value in values[1:]:
        least = -ops.maximum(-least, -value)
    return least


def chance_to_leave(parameters: Draws, x: Any, t_x: Any, T: Any, ops: Ops) -> Any:
    """q = P(out by T, no purchase before | x, alive at t_x), int s e^(-s z) (1 + u / (alpha + t_x))^-(r + x) dz."""
    r, alpha, b, s, beta = (parameters[name] for name in ("r", "alpha", "b", "s", "beta"))
    like = 0.0 * (r + alpha + b + s + beta + x + t_x + T)  # of the shape of all arguments
    n, scale, s = r + x + like, b * (alpha + t_x) + like, s + like
    g = growth(t_x, b, beta, ops) + like
    bought = scale_passed(scale * ops.expm1(_least(ops, SPENT / n, 60.0)), 1.0, g, ops)  # by purchases alone
    reach = _least(ops, scale_passed(T - t_x, b, g, ops), SPENT / s, bought)

    def silent(time: Any, n: Any, scale: Any) -> Any:
        return ops.exp(-n * ops.log1p(time / scale))

    return over_lifetime(silent, reach, g, s, scale, n, scale, ops=ops, nodes=NODES)


def over_lifetime(
    f: Callable[..., Any], reach: Any, g: Any, s: Any, bend: Any, *known: Any, ops: Ops, nodes: int
) -> Any:
    """int_0^reach s e^(-s z) f(b u, *known) dz: E of a function of the time u until drop-out, which z measures.

    Up to z = -log g, where the hazard is level from then on, and beyond, each by Gauss-Legendre in log z. In the
    first part b u = log(1 + g (e^z - 1)), in the second, with a growth of 1/2 or more at its beginning, b u =
    z + log(1 - (1 - g) (1 - e^-z)): neither overflows or cancels. On NumPy a part that no row has costs nothing.

    Parameters
    ----------
    reach, g, s, bend, known : arrays or graph variables of one shape
    bend : b times the time over which f bends near u = 0
    """
    first = _least(ops, reach, ops.maximum(-ops.log(g), 0.0))
    begun = ops.log1p(g * ops.expm1(first))
    later = g * ops.exp(first - begun)

    def early(v: Any, s: Any, g: Any, m: Any, *known: Any) -> Any:
        z = m * ops.expm1(v)
        return (m + z) * s * ops.exp(-s * z) * f(ops.log1p(g * ops.expm1(z)), *known)

    def late(v: Any, s: Any, g: Any, m: Any, begun: Any, *known: Any) -> Any:
        z = m * ops.expm1(v)
        time = begun + z + ops.log1p((1 - g) * ops.expm1(-z))
        return (m + z) * s * ops.exp(-s * z) * f(time, *known)

    m = -ops.expm1(-bend) / g  # where f bends; beyond, z itself: the poles are pi away from the line
    before = integral_from_zero(early, ops.log1p(first / m), s, g, m, *known, nodes=nodes)
    m = _least(ops, -ops.expm1(-bend - begun) / later, 1.0)
    rest = ops.log1p((reach - first) / m)
    after = integral_from_zero(late, rest, s, later, m, begun, *known, nodes=nodes)
    return before + ops.exp(-s * first) * after


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at T | x, t_x, T). Shape (S, 1) with (K,) gives (S, K)."""
    r, alpha, b, s, beta = (parameters[name] for name in ("r", "alpha", "b", "s", "beta"))
    t_x, T = np.asarray(recency, dtype=np.float64), np.asarray(T, dtype=np.float64)
    passed = scale_passed(T - t_x, b, growth(t_x, b, beta, NUMPY_OPS), NUMPY_OPS)
    hazard = (r + frequency) * np.log1p((T - t_x) / (alpha + t_x)) + s * passed
    with np.errstate(divide="ignore"):  # nobody leaves in no time
        left = np.log(chance_to_leave(parameters, frequency, t_x, T, NUMPY_OPS))
    return np.asarray(special.expit(-hazard - left))


def survival_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """P(alive at T + t | alive at T) = (G(T) / G(T + t))^s; frequency does not enter."""
    alone = np.zeros(np.shape(frequency))  # of the shape of all arguments
    return np.asarray(np.exp(-parameters["s"] * _passed(parameters, T, horizon)) + alone)


def _passed(parameters: Draws, T: FloatArray, horizon: Any) -> Any:
    """z of a time t after T."""
    b = parameters["b"]
    return scale_passed(horizon, b, growth(T, b, parameters["beta"], NUMPY_OPS), NUMPY_OPS)


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T]; recency does not enter.

    The mean rate, (r + x) / (alpha + T), times E[min(lifetime after T, t)].
    """
    reach, horizon = _passed(parameters, T, horizon), np.asarray(horizon, dtype=np.float64)
    whole = _expected_of_lifetime(lambda time: time, parameters, frequency, T, np.inf, reach)
    stayed = horizon * np.exp(-parameters["s"] * reach)
    return np.asarray(_mean_rate(parameters, frequency, T) * (whole / parameters["b"] + stayed))


def _mean_rate(parameters: Draws, frequency: FloatArray, T: FloatArray) -> FloatArray:
    """E[lambda | x, T while alive] = (r + x) / (alpha + T)."""
    return np.asarray((parameters["r"] + frequency) / (parameters["alpha"] + T))


def _expected_of_lifetime(
    f: Callable[..., Any], parameters: Draws, frequency: FloatArray, T: FloatArray, bend: Any, reach: Any
) -> FloatArray:
    """E[f(b u)] over the lifetime u after T up to z = reach; f grows no faster than e^(b u)."""
    b, s, beta = (parameters[name] for name in ("b", "s", "beta"))
    g = growth(np.asarray(T, dtype=np.float64), b, beta, NUMPY_OPS)
    reach = np.minimum(reach, (SPENT + 10 + np.maximum(-np.log(g), 0.0)) / s)
    reach, g, s, bend, _ = np.broadcast_arrays(reach, g, s, bend, frequency)
    return np.asarray(over_lifetime(f, reach, g, s, bend, ops=NUMPY_OPS, nodes=FORMULA_NODES))


def dert_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """DERT of a customer who is alive at T: the mean rate times E[(1 - exp(-d lifetime)) / d].

    The hazard tends to s b, so it is finite at d = 0, and below as long as d > -s b.
    """
    b, s = parameters["b"], parameters["s"]
    rate = _mean_rate(parameters, frequency, T)
    weight = discount / b
    g = growth(np.asarray(T, dtype=np.float64), b, parameters["beta"], NUMPY_OPS)
    falls = s + np.minimum(weight, 0.0)  # what e^(-s z) exp(-d u) falls by at the end, above 0 where it is finite
    reach = (SPENT + 10 + np.maximum(-np.log(g), 0.0)) / np.where(falls > 0, falls, np.inf)
    reach, g, s, weight, falls, _ = np.broadcast_arrays(reach, g, s, weight, falls, rate)

    def worth(time: FloatArray, g: FloatArray, weight: FloatArray) -> FloatArray:
        # (1 - e^(-w b u)) / w, less what e^(-s z) lacks in e^(-falls z): below 0 each alone may overflow
        grown = np.maximum(-weight, 0.0) * (time - scale_passed(time, 1.0, g, NUMPY_OPS))
        return np.asarray(np.exp(grown) * time * special.exprel(-np.abs(weight) * time))

    share, bend = np.where(falls > 0, falls, 1.0), 1 / np.maximum(np.abs(weight), TINY)
    lifetime = over_lifetime(worth, reach, g, share, bend, g, weight, ops=NUMPY_OPS, nodes=FORMULA_NODES)
    return np.asarray(rate * np.where(falls > 0, s / share * lifetime / b, np.inf))


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    ageing = rng.gamma(parameters["s"], 1 / parameters["beta"], len(end))
    with np.errstate(divide="ignore"):  # a customer who never drops out
        lifetime = np.log1p(rng.exponential(1.0, len(end)) / ageing) / parameters["b"]
    return nbd.poisson_purchases(rng, rate, np.minimum(end, lifetime))


def pmf_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(T, T + t) = k | x, alive at T): k purchases and alive at the end, or k purchases up to drop-out before it."""
    b, s = parameters["b"], parameters["s"]
    rate = nbd.after(parameters, frequency, T)
    g = growth(np.asarray(T, dtype=np.float64), b, parameters["beta"], NUMPY_OPS)
    reach = _passed(parameters, T, horizon)
    stayed = nbd.purchase_pmf(rate, purchases, horizon) * np.exp(-s * reach)
    k, t = np.asarray(purchases, dtype=np.float64), np.asarray(horizon, dtype=np.float64)
    n, alpha, b, s, g, k, t = np.broadcast_arrays(rate["r"], rate["alpha"], b, s, g, k, t)
    return np.asarray(stayed + _bought_and_left(n, alpha, b, s, g, k, t))


def _bought_and_left(
    n: FloatArray, alpha: FloatArray, b: FloatArray, s: FloatArray, g: FloatArray, k: FloatArray, t: FloatArray
) -> FloatArray:
    """P(k purchases, then drop-out, all in (0, t]); all arguments of one shape.

    By Gauss-Legendre in log time, in parts between the times where the integrand may turn: the most likely time of
    k purchases and some widths around it, and the scales of the hazard. Outside of where k purchases are within
    e^-45 of their likeliest time, or the lifetime is spent, there is nothing.
    """
    counted = special.gammaln(n + k) - special.gammaln(n) - special.gammaln(k + 1)

    def log_density(y: FloatArray, n: Any, alpha: Any, b: Any, s: Any, g: Any, k: Any, counted: Any) -> FloatArray:
        u = np.exp(y)  # y = log u; the density of drop-out is s b e^(b u) / (g + e^(b u) - 1) (...)^-s
        ratio = y - np.log(alpha)
        of_count = counted + k * special.log_expit(ratio) + n * special.log_expit(-ratio)
        hazard = np.log(s * b) - np.log1p((g - 1) * np.exp(-b * u))
        return np.asarray(of_count + hazard - s * scale_passed(u, b, g, NUMPY_OPS) + y)

    top, width = np.log((k + 1) / n * alpha), np.sqrt(1 / (k + 1) + 1 / n)
    turn = np.log(np.abs(np.log(g)) + 1) - np.log(b)
    end = np.log(np.maximum(t, TINY))
    spent = np.log(np.maximum(np.log1p(g * np.expm1(np.minimum((SPENT + 10) / s, LARGEST))), TINY) / b)
    last = np.minimum(end, np.maximum(spent, turn + 4))
    first = np.minimum(last, np.minimum(top, np.minimum(turn, np.log(g) - np.log(b))) - 45)
    inner = [top + step * width for step in (-6, -2, 0, 2, 6)]
    inner += [turn + step for step in (-2, -0.5, 0.0, 0.5, 2)] + [np.log(g) - np.log(b), np.log(alpha)]
    edges = np.sort(np.clip(np.stack([first, *inner, last]), first, last), axis=0)
    known = (n, alpha, b, s, g, k, counted)
    total = np.zeros(np.shape(n))
    for left, right in itertools.pairwise(edges):
        total = total + integral_from_zero(
            lambda v, left, *known: np.exp(log_density(left + v, *known)), right - left, left, *known, nodes=PMF_NODES
        )
    return total


FORMULAS = AliveOrGone(p_alive, survival_if_alive, purchases_if_alive, pmf_if_alive, dert_if_alive)
GGOM_NBD = Model(
    name="ggom_nbd",
    family="purchases",
    parameters=(
        Parameter("r", "number", prior_median=1.0, prior_sd=1.5),
        Parameter("alpha", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
        Parameter("b", "rate", prior_median=0.1, prior_sd=1.5),
        Parameter("s", "number", prior_median=0.5, prior_sd=1.5),
        Parameter("beta", "number", prior_median=0.1, prior_sd=1.5, covariates=-1),
    ),
    log_likelihood=log_likelihood,
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="ggom_nbd",
    limits={"pareto_nbd": lambda pareto: {**pareto, "b": 1e-9 / pareto["beta"], "beta": 1e-9}},
    reference="Bemmaor and Glady (2012), doi 10.1287/mnsc.1110.1461",
)
