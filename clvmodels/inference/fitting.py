"""`fit`: one call for every model and every way of fitting."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from clvmodels.data import compress, compress_spend
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import DataScale, Model
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import FloatArray, PurchasePatterns, SpendPatterns
from clvmodels.foundation.priors import LogNormal
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference.diagnostics import laplace_checks, model_checks, nuts_checks
from clvmodels.inference.laplace import PARETO_K_LIMIT, POOL, importance_sample, resample
from clvmodels.inference.optimise import Mode, find_mode
from clvmodels.inference.result import Fit, dataset_of, require_positive, single_draw
from clvmodels.inference.target import Patterns, Target, total_log_likelihood
from clvmodels.models import model_named

Method = Literal["mle", "laplace", "nuts"]


def fit(
    model: str,
    customers: CustomerSummary,
    *,
    method: str = "laplace",
    draws: int = 2000,
    seed: int | None = None,
    priors: Mapping[str, LogNormal] | None = None,
) -> Fit:
    """The parameters of a model, learnt from a customer summary.

    Parameters
    ----------
    model : registry name, such as "bg_nbd" or "gamma_gamma"
    customers : summary; a purchase model reads frequency, recency and T, a spend model frequency and
        monetary_value of the repeat buyers
    method : "laplace" (posterior by importance resampling around its mode), "nuts" (posterior by the
        no-U-turn sampler) or "mle" (maximum likelihood; ignores priors, needs no seed)
    draws : posterior draws to keep
    seed : of the random numbers; needed by "laplace" and "nuts"
    priors : replaces default priors, by parameter

    Raises
    ------
    FitError
        If the model, the method or a prior is unknown, the seed is missing, or no mode is found.
    DataError
        If there are too few customers or no repeat purchase at all.
    """
    record = model_named(model)
    _refuse_arguments(method, draws, seed)
    patterns = _patterns(record, customers)
    scale = data_scale(patterns)
    chosen = {} if method == "mle" else _priors(record, scale, priors or {})
    target = Target(record, patterns, scale, chosen)
    mode = find_mode(target)
    if method == "mle":
        return _mle_fit(target, mode, customers)
    assert seed is not None
    if method == "laplace":
        return _laplace_fit(target, mode, customers, draws, seed)
    return _nuts_fit(target, mode, customers, draws, seed)


def fit_at(model: str, parameters: Mapping[str, float], *, unit: str = "week", currency: str = "USD") -> Fit:
    """A fit at known parameters, such as a paper's: one draw, no data.

    Raises
    ------
    FitError
        If a parameter is missing, unknown or not above 0.
    """
    record = model_named(model)
    values = require_positive(dict(parameters), record)
    size = len(values)
    return Fit(
        model=record,
        method="known",
        draws=single_draw(values),
        point=values,
        log_likelihood=float("nan"),
        covariance=np.full((size, size), np.nan),
        unit=unit,
        currency=currency,
        n_customers=0,
        n_patterns=0,
    )


def log_likelihood(fit: Fit, customers: CustomerSummary) -> FloatArray:
    """Log likelihood of each customer at the fit's point, shape (N,); NaN where a spend model has no spend.

    Raises
    ------
    FitError
        If the fit and the customers differ in unit or currency.
    """
    require_same_units(fit, customers)
    known = np.ones(len(customers), dtype=bool) if fit.model.family == "purchases" else has_spend(customers)
    rows = customers.take(known)
    patterns: Patterns
    if fit.model.family == "purchases":
        patterns = PurchasePatterns.of(rows.frequency, rows.recency, rows.T, rows.unit)
    else:
        patterns = spend_rows(rows)
    out = np.full(len(customers), np.nan)
    out[known] = fit.model.log_likelihood(fit.model.at(fit.point), patterns, NUMPY_OPS)
    return out


def require_same_units(fit: Fit, customers: CustomerSummary) -> None:
    """Refuse a fit in weeks for customers in days, or in dollars for customers in cents.

    Raises
    ------
    FitError
        If they differ.
    """
    if fit.model.family == "purchases" and fit.unit != customers.unit:
        raise FitError(
            f'the fit is in units of a "{fit.unit}", the customers in units of a "{customers.unit}": '
            "summarise them with the same unit."
        )
    if fit.model.family == "spend" and fit.currency != customers.currency:
        raise FitError(f"the fit is in {fit.currency}, the customers in {customers.currency}: use one currency.")


def has_spend(customers: CustomerSummary) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Customers with repeats of known mean spend, shape (N,)."""
    return np.asarray((customers.frequency > 0) & ~np.isnan(customers.monetary_value))


def spend_rows(customers: CustomerSummary) -> SpendPatterns:
    """One spend pattern a customer, not compressed."""
    from clvmodels.foundation.patterns import Levels

    ones = np.ones(len(customers))
    return SpendPatterns(Levels.of(customers.frequency), customers.monetary_value, ones, customers.currency)


def data_scale(patterns: Patterns) -> DataScale:
    """Typical time between purchases over the base, or typical spend: the scale of starts and default priors."""
    n = patterns.n_customers
    if isinstance(patterns, PurchasePatterns):
        repeats = float(n @ patterns.frequency.rows)
        return DataScale(time=float(n @ patterns.T.rows) / repeats)
    return DataScale(money=float(np.average(patterns.monetary_value, weights=n)))


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, True and False aside."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _refuse_arguments(method: str, draws: int, seed: int | None) -> None:
    if method not in get_args(Method):
        raise FitError(f'method = "{method}": expected one of "mle", "laplace", "nuts".')
    if method != "mle" and seed is None:
        raise FitError(f'method = "{method}" draws random numbers: give seed=... .')
    if seed is not None and not (is_whole(seed) and 0 <= seed < 2**64):
        raise FitError(f"seed = {seed!r}: expected a whole number from 0 to 2^64 - 1.")
    if not (is_whole(draws) and draws >= 1):
        raise FitError(f"draws = {draws!r}: expected a whole number above 0.")


def _patterns(model: Model, customers: CustomerSummary) -> Patterns:
    total = len(customers) if customers.n_customers is None else int(customers.n_customers.sum())
    if total < 2:
        raise DataError("there is one customer only: a model of how customers differ needs many (100 or more).")
    if not (customers.frequency > 0).any():
        raise DataError(
            f"none of the {total} customers has a repeat purchase: the data say nothing of purchase rates. "
            "Use a longer calibration window."
        )
    if model.family == "purchases":
        return compress(customers)[0]
    known = has_spend(customers)
    spends = np.unique(customers.monetary_value[known])
    if len(spends) < 2:
        raise DataError(
            f"{model.name} needs mean spends that differ: {int(known.sum())} repeat buyers have a known mean spend, "
            f"{len(spends)} distinct. With constant spend, multiply expected purchases by it."
        )
    return compress_spend(customers)


def _priors(model: Model, scale: DataScale, given: Mapping[str, LogNormal]) -> dict[str, LogNormal]:
    unknown = set(given) - set(model.parameter_names)
    if unknown:
        raise FitError(f"priors for {', '.join(sorted(unknown))}: {model.name} has {', '.join(model.parameter_names)}.")
    return {p.name: given.get(p.name, p.default_prior(scale)) for p in model.parameters}


def _fit_record(target: Target, customers: CustomerSummary) -> Fit:
    """What every method fills in alike; draws, point and diagnostics follow."""
    size = len(target.model.parameters)
    return Fit(
        model=target.model,
        method="",
        draws=single_draw(dict.fromkeys(target.model.parameter_names, float("nan"))),
        point={},
        log_likelihood=float("nan"),
        covariance=np.full((size, size), np.nan),
        unit=customers.unit,
        currency=customers.currency,
        n_customers=int(target.patterns.n_customers.sum()),
        n_patterns=len(target.patterns),
        priors=dict(target.priors),
    )


def _at_point(target: Target, point: Mapping[str, float]) -> float:
    columns = {name: np.array([[value]]) for name, value in point.items()}
    return float(total_log_likelihood(target.model, target.patterns, columns)[0])


def _natural_covariance(mode: Mode) -> FloatArray:
    """Delta method: J H^-1 J' with J = diag(exp eta)."""
    scale = np.exp(mode.eta)
    return scale[:, None] * mode.covariance * scale


def _mle_fit(target: Target, mode: Mode, customers: CustomerSummary) -> Fit:
    point = dict(zip(target.model.parameter_names, np.exp(mode.eta).tolist(), strict=True))
    return replace(
        _fit_record(target, customers),
        method="mle",
        draws=single_draw(point),
        point=point,
        log_likelihood=mode.log_density,
        covariance=_natural_covariance(mode),
        checks=mode.checks,
    )


def _laplace_fit(target: Target, mode: Mode, customers: CustomerSummary, draws: int, seed: int) -> Fit:
    rng = np.random.default_rng(seed)
    sample = importance_sample(target, mode, POOL * draws, rng)
    if sample.pareto_k > PARETO_K_LIMIT:
        note = f"importance weights had Pareto k = {sample.pareto_k:.2f} after a refit, so NUTS was used"
        return replace(_nuts_fit(target, mode, customers, draws, seed), notes=(note,))
    eta = resample(sample, draws, rng)
    natural = {name: np.exp(eta[:, i])[None, :] for i, name in enumerate(target.model.parameter_names)}
    point = {name: float(values.mean()) for name, values in natural.items()}
    effective = min(float(draws), sample.effective_size)
    return replace(
        _fit_record(target, customers),
        method="laplace",
        draws=dataset_of(natural),
        point=point,
        log_likelihood=_at_point(target, point),
        covariance=_natural_covariance(mode),
        checks=(
            *mode.checks,
            *laplace_checks(sample.pareto_k, PARETO_K_LIMIT, effective, draws),
            *model_checks(target.model, natural),
        ),
        pareto_k=sample.pareto_k,
        effective_draws=effective,
    )


def _nuts_fit(target: Target, mode: Mode, customers: CustomerSummary, draws: int, seed: int) -> Fit:
    from clvmodels.inference.nuts import sample_nuts  # imports PyMC: seconds

    sample = sample_nuts(target, mode, draws, seed)
    point = {name: float(values.mean()) for name, values in sample.draws.items()}
    stacked = np.stack([values.ravel() for values in sample.draws.values()])
    return replace(
        _fit_record(target, customers),
        method="nuts",
        draws=dataset_of(sample.draws),
        point=point,
        log_likelihood=_at_point(target, point),
        covariance=np.cov(stacked),
        checks=(
            *nuts_checks(sample.draws, sample.divergences, sample.energy),
            *model_checks(target.model, sample.draws),
        ),
    )
