"""How well a model predicts a customer whom it has not seen: LOO by PSIS, WAIC, and stacking weights.

Customers alike are one pattern y_k with a count n_k, and one of them is left out: the posterior without
that customer weighs draw s by 1 / p(y_k | theta_s), whatever the count. So

    elpd = sum_k n_k log p(y_k | all customers but one of pattern k),

and standard errors are over customers, not patterns. Pareto smoothing is the formula of [1]_ with a row a
pattern, where `arviz_stats` sorts and fits one at a time: 0.035 ms a pattern of 2,000 draws for its 0.25.

References
----------
.. [1] Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto Smoothed Importance Sampling, JMLR 25(72).
.. [2] Vehtari, Gelman and Gabry (2017), Practical Bayesian Model Evaluation Using Leave-One-Out
   Cross-Validation and WAIC, Statistics and Computing 27(5), doi 10.1007/s11222-016-9696-4.
.. [3] Yao, Vehtari, Simpson and Gelman (2018), Using Stacking to Average Bayesian Predictive
   Distributions, Bayesian Analysis 13(3), doi 10.1214/17-BA1091.
.. [4] Zhang and Stephens (2009), A New and Efficient Estimation Method for the Generalized Pareto
   Distribution, Technometrics 51(3), doi 10.1198/tech.2009.08017.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import optimize

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.retention import Customers
from clvmodels.inference.diagnostics import ess
from clvmodels.inference.likelihood import FittedPatterns, fitted_patterns
from clvmodels.inference.pareto import PARETO_K_LIMIT, smooth_tail
from clvmodels.inference.result import Fit
from clvmodels.inference.target import Chunk, chunk_log_likelihood

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

WAIC_LIMIT = 0.4  # variance of a pattern's log likelihood above which WAIC is not to be trusted [2]_
LEAST_DRAWS = 100
BLOCK_CELLS = 2**18  # draws x patterns that a thread holds at a time, some 2 MB an array
STACKING_GAP = 1e-5  # elpd a customer that the weights found may be short of the best
EM_STEPS = 30  # w_m <- w_m g_m, which stays on the simplex and never falls, before SLSQP

Pointwise = Callable[[FloatArray], FloatArray]  # log likelihoods (K, S) -> elpd, p and k of each pattern, (3, K)


@dataclass(frozen=True)
class Criterion:
    """Expected log predictive density of new customers, summed over as many as there are.

    Attributes
    ----------
    kind : "loo" or "waic"
    elpd, se : the sum, and its standard error over customers
    p : effective number of parameters
    n : customers that it is summed over
    pointwise : ndarray, shape (K,), elpd of one customer of each pattern
    pareto_k : ndarray, shape (K,), above 0.7 the pattern's elpd cannot be trusted; -inf where all draws
        give the pattern the same density; NaN for "waic"
    n_customers : ndarray, shape (K,), customers of each pattern
    unreliable : customers whose elpd cannot be trusted: Pareto k above 0.7, or for "waic" a variance of the
        log likelihood above 0.4
    pattern_of : ndarray, shape (N,), pattern of each row of the summary; -1 where a spend model has no spend
    """

    kind: Literal["loo", "waic"]
    elpd: float
    se: float
    p: float
    n: int
    pointwise: FloatArray
    pareto_k: FloatArray
    n_customers: FloatArray
    unreliable: int
    pattern_of: IntArray

    @property
    def by_row(self) -> FloatArray:
        """Elpd of one customer of each row of the summary, shape (N,); NaN where a spend model has no spend."""
        return np.where(self.pattern_of >= 0, self.pointwise[self.pattern_of], np.nan)


def loo(fit: Fit, customers: Customers) -> Criterion:
    """Leave-one-out elpd of a fit by Pareto-smoothed importance sampling, eq. 10 of [2]_.

    Parameters
    ----------
    fit : by "laplace" or "nuts", at least 100 draws
    customers : those that it was fitted to

    Raises
    ------
    FitError
        If the fit has no posterior draws, or was made on other customers or in another unit.

    Notes
    -----
    The density is that of a customer's history (or mean spend) in the fit's unit: another unit of time
    adds x log k to each customer. Compare models on the same customers in the same unit.
    """
    tail = _tail_length(fit)
    return _criterion("loo", fit, customers, lambda values: _loo_rows(values, tail))


def waic(fit: Fit, customers: Customers) -> Criterion:
    """Widely applicable information criterion on the scale of elpd, eqs. 11 and 12 of [2]_.

    Arguments and errors as for `loo`, which is to be preferred: its Pareto k says when it fails.
    """
    return _criterion("waic", fit, customers, _waic_rows)


def compare_models(fits: Mapping[str, Fit], customers: Customers) -> "pd.DataFrame":
    """Models ranked by leave-one-out elpd, with their stacking weights.

    Parameters
    ----------
    fits : name -> fit of one family (purchases or spend) to these customers, two or more
    customers : those that all were fitted to

    Returns
    -------
    DataFrame : by name, the best first: rank, elpd, se, difference (to the best), difference_se (paired over
        customers), p, worst_k, unreliable (customers with k above 0.7), weight (stacking)

    Raises
    ------
    FitError
        If there are fewer than two fits, their families differ, their densities are of different things (mean
        spend, amounts), or one was made on other customers or in another unit or currency.

    Notes
    -----
    A model that counts opportunities gives a history a chance, others a density per unit of time. The two are
    compared in one unit only, the opportunity: the density there is about the chance where a unit is short
    against the time between purchases, as a day is; a year need not be.
    """
    import pandas as pd

    _require_one_density(fits)
    _require_one_measure(fits)
    criteria = {name: loo(fit, customers) for name, fit in fits.items()}
    rows = next(iter(criteria.values())).pattern_of >= 0
    elpd = np.column_stack([criterion.by_row[rows] for criterion in criteria.values()])
    counts = np.ones(len(elpd)) if customers.n_customers is None else customers.n_customers[rows]
    order = sorted(criteria, key=lambda name: -criteria[name].elpd)
    difference = elpd - elpd[:, [list(criteria).index(order[0])]]
    frame = pd.DataFrame(
        {
            "elpd": [criterion.elpd for criterion in criteria.values()],
            "se": [criterion.se for criterion in criteria.values()],
            "difference": counts @ difference,
            "difference_se": [_standard_error(column, counts) for column in difference.T],
            "p": [criterion.p for criterion in criteria.values()],
            "worst_k": [float(criterion.pareto_k.max()) for criterion in criteria.values()],
            "unreliable": [criterion.unreliable for criterion in criteria.values()],
            "weight": stacking_weights(elpd, n_customers=counts),
        },
        index=list(criteria),
    ).loc[order]
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    return frame


def stacking_weights(elpd: FloatArray, *, n_customers: FloatArray) -> FloatArray:
    """Weights of models whose mixture predicts customers left out best, eq. 4 of [3]_; they sum to 1.

    They maximise the mean over customers of log sum_m w_m exp(elpd_im), a concave function on the simplex.
    Its slope g bounds what is missing: the best is at most max_m g_m - 1 above (Frank and Wolfe's gap).

    Parameters
    ----------
    elpd : ndarray, shape (N, M), of each row under each model
    n_customers : ndarray, shape (N,), customers that a row stands for

    Returns
    -------
    ndarray, shape (M,)

    Raises
    ------
    FitError
        If the weights found are more than 1e-5 a customer short of the best.
    """
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))  # (N, M), the best model of a row has 1
    share = n_customers / n_customers.sum()

    def loss(weights: FloatArray) -> float:
        return -float(share @ np.log(density @ weights))

    def slope(weights: FloatArray) -> FloatArray:
        return np.asarray(-(share / (density @ weights)) @ density, dtype=np.float64)

    models = elpd.shape[1]
    start = np.full(models, 1 / models)
    for _ in range(EM_STEPS):  # without them SLSQP fails on 1 in 40 sets of models that differ by thousands
        start = -start * slope(start)
    with np.errstate(divide="ignore", invalid="ignore"):  # a step that leaves a customer no density is taken back
        found = optimize.minimize(
            loss,
            start,
            jac=slope,
            method="SLSQP",
            bounds=optimize.Bounds(np.zeros(models), np.ones(models)),
            constraints=optimize.LinearConstraint(np.ones((1, models)), 1.0, 1.0),
            options={"ftol": 1e-14, "maxiter": 500},
        )
        weights = np.maximum(np.asarray(found.x, dtype=np.float64), 0.0)
        weights = np.asarray(weights / weights.sum(), dtype=np.float64)
        missing = float((-slope(weights)).max()) - 1
    if not missing <= STACKING_GAP:
        raise FitError(f"stacking weights were not found: elpd a customer may be {missing:.3g} higher at others.")
    return weights


def _over_patterns(fitted: FittedPatterns, pointwise: Pointwise) -> FloatArray:
    """elpd, p and k of each pattern, shape (3, K); threads share the patterns, a block at a time."""
    size = max(1, BLOCK_CELLS // fitted.parameters.n_draws)

    def work(job: tuple[Chunk, int]) -> FloatArray:
        chunk, first = job
        part, cells = chunk.take(slice(first, first + size))
        eta = fitted.parameters.unknowns_at(cells).transpose(1, 0, 2)  # (S, C, P)
        return pointwise(np.ascontiguousarray(chunk_log_likelihood(fitted.target.model, part, eta).T))

    jobs = [(chunk, first) for chunk in fitted.target.chunks for first in range(0, len(chunk.patterns), size)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.concatenate(list(threads.map(work, jobs)), axis=1)


def fitted_customers(fit: Fit, customers: Customers) -> FittedPatterns:
    """The customers as patterns with their parameters at each draw of a posterior that was learnt from them.

    Raises
    ------
    FitError
        If the fit has no posterior, or was made on other customers or in another unit.
    """
    _require_posterior(fit)
    fitted = fitted_patterns(fit, customers)
    at_point = float(fitted_patterns(fit, customers, at_point=True).totals()[0])
    if not abs(at_point - fit.log_likelihood) <= 1e-6 * max(1.0, abs(at_point)):
        raise FitError(
            f"{fit.model.name} was fitted to other customers: its log likelihood was {fit.log_likelihood:.2f}, on "
            f"these it is {at_point:.2f}. Give the customers that it was fitted to."
        )
    return fitted


def _criterion(kind: Literal["loo", "waic"], fit: Fit, customers: Customers, pointwise: Pointwise) -> Criterion:
    fitted = fitted_customers(fit, customers)
    elpd, p, pareto_k = _over_patterns(fitted, pointwise)
    counts = fitted.n_customers
    pattern_of = np.full(len(customers), -1)
    pattern_of[fitted.known] = fitted.index
    if not np.isfinite(elpd).all():
        odd = int(counts[~np.isfinite(elpd)].sum())
        raise FitError(f"{fit.model.name}: {odd} customers have no finite density at some draw of the posterior.")
    doubtful = pareto_k > PARETO_K_LIMIT if kind == "loo" else p > WAIC_LIMIT
    return Criterion(
        kind=kind,
        elpd=float(counts @ elpd),
        se=_standard_error(elpd, counts),
        p=float(counts @ p),
        n=int(counts.sum()),
        pointwise=elpd,
        pareto_k=pareto_k,
        n_customers=counts,
        unreliable=int(counts[doubtful].sum()),
        pattern_of=pattern_of,
    )


def _standard_error(values: FloatArray, counts: FloatArray) -> float:
    """Standard error of the sum over customers: sqrt(N var)."""
    total = counts.sum()
    variance = counts @ (values - counts @ values / total) ** 2 / (total - 1)
    return float(np.sqrt(total * variance))


def _waic_rows(values: FloatArray) -> FloatArray:
    """elpd, p = var_s log p(y_k | theta_s) and NaN for each row of (K, S)."""
    p = values.var(axis=1, ddof=1)
    return np.stack([_log_mean_density(values) - p, p, np.full(len(values), np.nan)])


def _log_mean_density(values: FloatArray) -> FloatArray:
    """log of the mean over draws of p(y_k | theta_s), shape (K,)."""
    most = values.max(axis=1, keepdims=True)
    return np.asarray(most[:, 0] + np.log(np.exp(values - most).mean(axis=1)))


def _loo_rows(values: FloatArray, size: int) -> FloatArray:
    """elpd, p and Pareto k for each row of (K, S), `size` draws in the tail.

    With the importance ratios w_s = exp(least - l_s), the largest of which is 1, the draws outside the tail
    have w_s p(y | theta_s) = exp(least): one number, so only the tail is sorted and smoothed.
    """
    log_mean = _log_mean_density(values)
    values.partition(size, axis=1)  # the largest ratios are the smallest likelihoods
    tail = np.sort(values[:, :size], axis=1)[:, ::-1]  # ratios rise along a row
    least = tail[:, -1:]
    body = np.exp(least - values[:, size:])
    ratios, pareto_k = smooth_tail(np.exp(least - tail), body.max(axis=1))
    weighted = (values.shape[1] - size) + (ratios * np.exp(tail - least)).sum(axis=1)
    elpd = least[:, 0] + np.log(weighted) - np.log(body.sum(axis=1) + ratios.sum(axis=1))
    return np.stack([elpd, log_mean - elpd, pareto_k])


def _tail_length(fit: Fit) -> int:
    """Draws in the tail, min(S / 5, 3 sqrt(S / relative efficiency)), sec. 2.4 of [1]_.

    The efficiency is that of the means of the parameters: effective draws by draws, at most 1.
    """
    _require_posterior(fit)
    effective = fit.effective_draws
    if not np.isfinite(effective):
        names = fit.model.parameter_names
        effective = float(np.mean([ess(fit.draws[name].values, "mean") for name in names]))
    efficiency = min(1.0, effective / fit.n_draws)
    return int(min(fit.n_draws / 5, 3 * np.sqrt(fit.n_draws / efficiency)))


def _require_posterior(fit: Fit) -> None:
    if fit.n_draws < LEAST_DRAWS:
        raise FitError(
            f"{fit.model.name} fitted by {fit.method} has {fit.n_draws} draws: this needs a posterior of {LEAST_DRAWS} "
            'or more. Fit it with method="laplace" or "nuts".'
        )


def _require_one_density(fits: Mapping[str, Fit]) -> None:
    if len(fits) < 2:
        raise FitError(f"{len(fits)} fit to compare: give two or more, such as {{name: fit, name: fit}}.")
    families = {name: fit.model.family for name, fit in fits.items()}
    if len(set(families.values())) > 1:
        described = ", ".join(f"{name} of {family}" for name, family in families.items())
        raise FitError(f"models of different data cannot be compared: {described}.")
    densities = {name: f"{fit.model.density_of}{_baskets(fit)}" for name, fit in fits.items()}
    if len(set(densities.values())) > 1:
        described = ", ".join(f"{name} of the {density.replace('_', ' ')}" for name, density in densities.items())
        raise FitError(
            f"densities of different things cannot be compared: {described}. gamma_gamma is of each customer's mean "
            "spend; gamma_gamma_transactions, the same story, is of the amounts."
        )


def _baskets(fit: Fit) -> str:
    return " of all baskets" if fit.model.baskets == "all" else ""


def _require_one_measure(fits: Mapping[str, Fit]) -> None:
    """Refuse densities per unit of time beside chances of opportunities of another unit."""
    if len({fit.model.clock for fit in fits.values()}) == 1 or len({fit.unit for fit in fits.values()}) == 1:
        return
    described = ", ".join(
        f"{name} by {'opportunity, a' if fit.model.clock == 'opportunities' else 'density per'} {fit.unit}"
        for name, fit in fits.items()
    )
    raise FitError(
        f"a chance compares with a density only where an opportunity is the density's unit of time: {described}. "
        "Fit all of them to customers summarised in one unit."
    )
