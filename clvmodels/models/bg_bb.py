"""BG/BB: opportunities to buy, one after the other, in place of continuous time.

The story. At each opportunity a customer first drops out for good with probability theta ~ Beta(gamma, delta),
and else buys with probability p ~ Beta(alpha, beta), independent of theta. The first purchase is opportunity 0
and no chance to drop out. x = frequency, the opportunities with a purchase; t_x = recency, the opportunity of
the last one; n = T, the opportunities since the first purchase: all whole.

Everything rests on two chances of a customer who is alive at opportunity m: to drop out next,
gamma / (gamma + delta + m), and to stay and buy nothing. Where opportunities are many, p and theta are small, and
beta and delta count opportunities, as the Pareto/NBD's alpha and beta count time. So they have its dimension.

"Alive" is as in [1]_, eq. 11: alive at n + 1, still there to take the next opportunity.

References
----------
.. [1] Fader, Hardie and Shang (2010), Customer-Base Analysis in a Discrete-Time Noncontractual Setting,
   Marketing Science 29(6), doi 10.1287/mksc.1100.0580.
"""

from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, Levels, PurchasePatterns, Varying
from clvmodels.foundation.quadrature import beta_expectation
from clvmodels.models.alive import AliveOrGone

BELOW_1 = 1 - 1e-16
LOOK = 16  # terms after which it is looked whether a sum can end


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, that of [1]_ in another order, shape (..., K).

    Silent from t_x to n: either out before buying again, whenever that is, or alive at n and to buy again::

        L = S(t_x) q(t_x) + S(n) (1 - q(n))
        S(m) = B(alpha + x, beta + m - x) / B(alpha, beta) B(gamma, delta + m) / B(gamma, delta)

    with q(m) the chance to drop out before the next purchase. The paper's sum over n - t_x terms is in q, which
    is worked out for all m at once: by x, not by pattern.
    """
    alpha, beta, gamma, delta = (parameters[name] for name in ("alpha", "beta", "gamma", "delta"))
    x, t_x, n = patterns.frequency, patterns.recency, patterns.T
    since = [(time.rows - x.rows).astype("int64") for time in (t_x, n)]  # opportunities without a purchase, to t_x, n
    gone_first = _chances_to_leave_first(parameters, x, since, ops)
    numbers = ops.arange(since[1].max() + 1)
    bought = x.map(lambda x, alpha, beta: ops.gammaln(alpha + x) - ops.betaln(alpha, beta), alpha, beta)

    def log_alive_at(time: Levels, since: Any) -> Any:  # log S
        declined = Levels(numbers, since).map(lambda k, beta: ops.gammaln(beta + k), beta)
        taken = time.map(lambda m, alpha, beta: ops.gammaln(alpha + beta + m), alpha, beta)
        return (
            bought + declined - taken + time.map(lambda m, gamma, delta: log_stayed(gamma, delta, m, ops), gamma, delta)
        )

    left = log_alive_at(t_x, since[0]) + ops.log(gone_first[0])
    return ops.logaddexp(left, log_alive_at(n, since[1]) + ops.log1p(-gone_first[1]))


def log_stayed(gamma: Any, delta: Any, m: Any, ops: Ops) -> Any:
    """log B(gamma, delta + m) / B(gamma, delta): alive at opportunity m."""
    return ops.betaln(gamma, delta + m) - ops.betaln(gamma, delta)


def _chances_to_leave_first(parameters: Draws, x: Levels, since: list[Any], ops: Ops) -> list[Any]:
    """q(m) at m = x + k for each array k of rows in `since`, each shape (..., K).

    q(m) = P(drop out next) + P(stay, buy nothing) q(m + 1), from the greatest k down: sums of numbers above 0.
    What begins with is of no matter, since S(t_x) q(t_x) - S(n) q(n) holds the terms from t_x to n alone: it is 0.
    """
    line, x_of_line, (alpha, beta, gamma, delta) = _lines(parameters, x)
    taken, stayed = alpha + beta + x_of_line, delta + x_of_line

    def step(k: Any, later: Any) -> Any:
        silent = (beta + k) / (taken + k) * (stayed + k)
        return (gamma + silent * later) / (gamma + stayed + k)

    return ops.backward(step, 0.0 * (gamma + taken + stayed), at=since, line=line)


def _lines(parameters: Draws, x: Levels) -> tuple[Any, Any, list[Any]]:
    """The line of each row, and the frequency and the parameters of lines.

    A line is a distinct frequency, or a distinct pair of frequency and cell where parameters vary over cells.
    """
    letters = [parameters[name] for name in ("alpha", "beta", "gamma", "delta")]
    varying = [letter for letter in letters if isinstance(letter, Varying)]
    if not varying:
        return x.index, x.values, letters
    pairs = x.pairs_with(varying[0].cell)
    at_lines = [p.values[..., pairs.cell] if isinstance(p, Varying) else p for p in letters]
    return pairs.index, x.values[pairs.value], at_lines


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at n + 1 | x, t_x, n), eq. 11 of [1]_: there at the next opportunity. (S, 1) with (K,) gives (S, K)."""
    gamma, stayed = parameters["gamma"], parameters["delta"] + T
    alive = special.expit(-_log_odds_of_having_left(parameters, frequency, recency, T))
    return np.asarray(alive * (stayed / (gamma + stayed)))


def _log_odds_of_having_left(
    parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray
) -> FloatArray:
    """log of the odds of being out at n against alive at n; -inf at t_x = n."""
    x, t_x, n = (np.asarray(column, dtype=np.float64) for column in (frequency, recency, T))
    with np.errstate(divide="ignore"):  # nothing at t_x = n
        left = np.log(_chance_to_leave(parameters, x, t_x, n))
    return np.asarray(left + log_alive(parameters, x, t_x) - log_alive(parameters, x, n))


def _chance_to_leave(parameters: Draws, x: FloatArray, t_x: FloatArray, n: FloatArray) -> FloatArray:
    """P(out between t_x and n before buying again | alive at t_x), a sum over the opportunities between.

    It ends where its terms, which fall, change nothing any more: so a row does not depend on the rows beside it.
    """
    alpha, beta, gamma, delta = (parameters[name] for name in ("alpha", "beta", "gamma", "delta"))
    x, t_x, n, _ = np.broadcast_arrays(x, t_x, n, alpha + beta + gamma + delta)
    bought, declined, seen, stayed = alpha + beta + t_x, beta + t_x - x, gamma + delta + t_x, delta + t_x
    silent, total = np.ones(x.shape), np.zeros(x.shape)
    for i in range(int(np.max(n - t_x, initial=0.0))):
        silent /= seen + i
        silent[n - t_x == i] = 0.0
        if i % LOOK == 0 and np.all(silent <= 1e-17 * total):
            break
        total += silent
        silent *= (stayed + i) * (declined + i) / (bought + i)
    return np.asarray(gamma * total)


def log_alive(parameters: Draws, x: FloatArray, m: FloatArray) -> FloatArray:
    """log S(m): x purchases at x given opportunities, none at m - x others, and alive at m."""
    alpha, beta, gamma, delta = (parameters[name] for name in ("alpha", "beta", "gamma", "delta"))
    bought = special.betaln(alpha + x, beta + m - x) - special.betaln(alpha, beta)
    return np.asarray(bought + log_stayed(gamma, delta, m, NUMPY_OPS))


def survival_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """P(alive at n + 1 + t | alive at n + 1); frequency does not enter."""
    alone = np.zeros(np.shape(frequency))  # of the shape of all arguments
    return np.asarray(np.exp(log_stayed(parameters["gamma"], parameters["delta"] + T + 1, horizon, NUMPY_OPS)) + alone)


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases at n + 1, ..., n + t | x, n, alive at n + 1]; recency does not enter."""
    return discounted_if_alive(parameters, frequency, T, horizon, 0.0)


def discounted_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any, discount: float
) -> FloatArray:
    """E[sum of exp(-d j) over purchases at n + j, j = 1, ..., t | x, n, alive at n + 1].

    (alpha + x) / (alpha + beta + n) is the mean chance to buy, and the sum over opportunities while alive is, with
    z = exp(-d), E[z (1 - (z (1 - theta))^t) / (1 - z (1 - theta))], theta ~ Beta(gamma, delta + n + 1). The paper's
    ratio of gamma functions is this expectation at d = 0; it is smooth through gamma = 1, and nothing cancels.
    """
    gamma, delta = parameters["gamma"], parameters["delta"] + T + 1
    shape = np.broadcast_shapes(*map(np.shape, (gamma, delta, frequency, horizon)))
    t, rate = np.broadcast_to(np.asarray(horizon, dtype=np.float64), shape), np.expm1(discount)

    def worth(theta: FloatArray) -> FloatArray:
        log_ratio, each = np.log1p(-np.minimum(theta, BELOW_1)) - discount, t[..., None]
        if discount >= 0:
            return np.asarray(-np.expm1(each * log_ratio) / (rate + theta))
        return np.asarray(np.exp(-discount) * each * special.exprel(each * log_ratio) / special.exprel(log_ratio))

    at_zero = np.exp(-discount) * t * special.exprel(-discount * t) / special.exprel(-discount)
    bend = np.log(1 / np.maximum(t, 1e-300) + max(discount, 0.0))
    opportunities = beta_expectation(gamma, delta + np.zeros(shape), worth, at_zero=at_zero, bend=bend)
    return _mean_chance(parameters, frequency, T) * opportunities


def _mean_chance(parameters: Draws, frequency: FloatArray, T: FloatArray) -> FloatArray:
    """E[p | x, n while alive] = (alpha + x) / (alpha + beta + n)."""
    alpha, beta = parameters["alpha"], parameters["beta"]
    return np.asarray((alpha + frequency) / (alpha + beta + T))


def dert_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """DERT of a customer who is alive at n + 1: a purchase at n + j is worth exp(-d j).

    The paper's 2F1 is E[1 / (exp(d) - 1 + theta)], theta ~ Beta(gamma, delta + n + 1). At d = 0 it is finite where
    gamma > 1; below 0 it is infinite.
    """
    gamma, delta = parameters["gamma"], parameters["delta"] + T + 1
    chance = _mean_chance(parameters, frequency, T)
    gamma, delta = np.broadcast_arrays(gamma + 0.0 * chance, delta)
    if discount > 0:
        rate = np.expm1(discount)
        log_rate, value = np.full(gamma.shape, np.log(rate)), np.full(gamma.shape, 1 / rate)
        return chance * beta_expectation(gamma, delta, lambda theta: 1 / (rate + theta), at_zero=value, bend=log_rate)
    opportunities = np.where(gamma > 1, (gamma + delta - 1) / np.where(gamma > 1, gamma - 1, 1.0), np.inf)
    return chance * (opportunities if discount == 0 else np.inf)


def pmf_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(n, n + t) = k | x, n, alive at n + 1).

    k purchases at i opportunities, the last that the customer takes: all t of them, or fewer::

        C(i, k) B(A + k, B + i - k) / B(A, B), A = alpha + x, B = beta + n - x
    """
    alpha, beta, gamma = (parameters[name] for name in ("alpha", "beta", "gamma"))
    x, n, k, t = (np.asarray(v, dtype=np.float64) for v in (frequency, T, purchases, horizon))
    chance, rest, delta = alpha + x, beta + n - x, parameters["delta"] + n + 1
    alpha, rest, delta, k, t = np.broadcast_arrays(chance, rest, delta + 0.0 * gamma, k, t)

    def bought(i: Any) -> FloatArray:  # k of i
        counted = special.gammaln(i + 1) - special.gammaln(k + 1) - special.gammaln(np.maximum(i - k, 0.0) + 1)
        log_chance = special.betaln(alpha + k, rest + np.maximum(i - k, 0.0)) - special.betaln(alpha, rest)
        return np.where(k <= i, np.exp(counted + log_chance), 0.0)

    total = bought(t) * np.exp(log_stayed(gamma, delta, np.maximum(t - 1, 0.0), NUMPY_OPS))
    for i in range(1, int(np.max(t, initial=0.0))):
        last = gamma / (gamma + delta + i - 1) * np.exp(log_stayed(gamma, delta, i - 1, NUMPY_OPS))
        total = total + np.where(i < t, bought(float(i)) * last, 0.0)
    return np.asarray(total)


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Purchases at the opportunities 1, 2, ... up to `end`, told as the story goes.

    Parameters
    ----------
    end : ndarray, shape (N,), opportunities at which each customer is seen

    Returns
    -------
    customer, time : ndarrays, shape (E,), the position of the buyer and the opportunity of each purchase
    """
    size = len(end)
    chance = rng.beta(parameters["alpha"], parameters["beta"], size)
    drop_out = rng.beta(parameters["gamma"], parameters["delta"], size)
    end = np.minimum(np.floor(end), _failures(rng, drop_out))
    now, active = np.zeros(size), np.arange(size)
    buyers, times = [active[:0]], [now[:0]]
    while len(active):
        now[active] += 1 + _failures(rng, chance[active])
        active = active[now[active] <= end[active]]
        buyers.append(active)
        times.append(now[active])
    return np.concatenate(buyers), np.concatenate(times)


def _failures(rng: np.random.Generator, chance: FloatArray) -> FloatArray:
    """How often something does not happen before it does, with that chance each time: geometric from 0."""
    with np.errstate(divide="ignore"):  # a chance of 0 never comes, a chance of 1 at once
        return np.asarray(np.floor(rng.exponential(1.0, len(chance)) / -np.log1p(-chance)))


FORMULAS = AliveOrGone(p_alive, survival_if_alive, purchases_if_alive, pmf_if_alive, dert_if_alive)
BG_BB = Model(
    name="bg_bb",
    family="purchases",
    parameters=(
        Parameter("alpha", "number", prior_median=1.0, prior_sd=1.5, covariates=1),  # the odds to buy
        Parameter("beta", "time", prior_median=1.0, prior_sd=1.5),
        Parameter("gamma", "number", prior_median=0.5, prior_sd=1.5, covariates=1),  # the odds to drop out
        Parameter("delta", "time", prior_median=1.0, prior_sd=1.5),
    ),
    log_likelihood=log_likelihood,
    formulas={**FORMULAS.formulas, "discounted_if_alive": discounted_if_alive},
    simulate=simulate,
    kernel="bg_bb",
    clock="opportunities",
    reference="Fader, Hardie and Shang (2010), doi 10.1287/mksc.1100.0580",
)
