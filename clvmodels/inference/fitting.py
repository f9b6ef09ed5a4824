"""`fit`: one call for every model and every way of fitting."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from clvmodels.foundation.calendar import Calendar
from clvmodels.foundation.effects import ByParameter, Effects, Grouping, cells_of, learn_effects
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Baskets, DataScale, Model
from clvmodels.foundation.patterns import Patterns, PurchasePatterns, RetentionPatterns, SpendPatterns
from clvmodels.foundation.priors import HalfNormal, Normal, OneOf, Prior
from clvmodels.foundation.records import CustomerSummary, as_date
from clvmodels.foundation.results import Check
from clvmodels.foundation.retention import Customers, RetentionTable
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.calendars import at_calendar, on_calendar
from clvmodels.inference.counted import candidates, counted_note, left_out_note, mixed, weigh, with_count
from clvmodels.inference.diagnostics import laplace_checks, model_checks, nested_check, nuts_checks
from clvmodels.inference.laplace import WeightedSample, importance_sample, resample
from clvmodels.inference.likelihood import (
    counted_rows,
    design_of,
    patterns_of,
    readable_rows,
    require_clock,
    require_kind,
)
from clvmodels.inference.natural import Problem, natural_covariance, with_draws
from clvmodels.inference.optimise import Mode, find_mode
from clvmodels.inference.pareto import PARETO_K_LIMIT
from clvmodels.inference.result import Fit, flat_draws, require_values, single_draw
from clvmodels.inference.target import Target
from clvmodels.models import MODELS, model_named

Method = Literal["mle", "laplace", "nuts"]
LEAST_NUTS_DRAWS = 100
SMALLEST_SCALE = 1e-100  # of times and amounts, 1e100 the largest: their squares are still ordinary floats
GROUP_SD = HalfNormal(0.5)  # of log parameters: groups that differ by a factor of 1.6 are ordinary
COEFFICIENT = Normal(0.0, 1.0)  # of a standardised covariate


def fit(
    model: str,
    customers: Customers | SpendPatterns,
    *,
    method: str = "laplace",
    draws: int = 2000,
    seed: int | None = None,
    priors: Mapping[str, Prior] | None = None,
    covariates: ByParameter = (),
    groups: Grouping = (),
    baskets: Baskets = "repeat",
) -> Fit:
    """The parameters of a model, learnt from a customer summary.

    Parameters
    ----------
    model : registry name, such as "bg_nbd" or "gamma_gamma"
    customers : summary; a purchase model reads frequency, recency and T, a spend model frequency and
        monetary_value of the repeat buyers, or what their logarithms of amounts tell (`Model.reads`). A model of
        retention reads a RetentionTable. Of customers too many for memory, the `counted_summary` of their log, and for
        a spend model its `compress_spend_log`
    method : "laplace" (posterior by importance resampling around its mode), "nuts" (posterior by the
        no-U-turn sampler) or "mle" (maximum likelihood; ignores priors, needs no seed)
    draws : posterior draws to keep
    seed : of the random numbers; needed by "laplace" and "nuts"
    priors : replaces default priors, by parameter; "gamma_alpha" is a Normal for each coefficient of alpha's
        covariates, each divided by its standard deviation (categories and columns of 0 and 1 as they are);
        "alpha_group_sd" a HalfNormal for the standard deviation of log alpha between groups, that of each grouping
        column alike
    covariates : columns of `customers.covariates`, as a list for every parameter that the model lets depend on
        them, or by parameter: {"alpha": ["age", "channel"]}. With a positive coefficient of alpha customers buy
        faster, of a or beta they leave earlier, of b later, of v or m they spend more. For a model on a calendar they
        are names of its terms, {"alpha": ["christmas"]}; by default all terms act on alpha. In a model of retention
        terms act on "churn", by default all: a positive coefficient raises the chance to leave at a renewal
    groups : columns of `customers.groups` (or "acquisition_week", "_month", "_year") over which parameters are
        partially pooled, one or a list, for all parameters or by parameter: {"alpha": ["segment", "cohort"], "beta":
        "cohort"}; needs method "nuts". Levels of several columns add up, in log alpha. The draws have
        "alpha_by_segment", alpha of each segment in the middle of the other columns, and "alpha_group_sd", the
        standard deviation of log alpha between segments; with several columns of alpha one of each:
        "alpha_group_sd_segment", "alpha_group_sd_cohort"
    baskets : purchases that a model of spend learns from: "repeat" ones, or "all", where each customer's first one
        counts as any other. Forecasts by the fit then read a customer's purchases in the same way. First baskets say
        most of customers who had not come back, and may differ from later ones (on CDNOW they are smaller)

    Raises
    ------
    FitError
        If the model, the method, a parameter or a prior is unknown, the model does not take the method, the seed
        is missing, groups are asked for without "nuts" or have a column twice, or no mode is found.
    DataError
        If there are too few customers or no repeat purchase at all, a covariate cannot be used, or a model that
        counts opportunities is given times that are not whole.
    """
    record = on_baskets(model_named(model), baskets)
    refuse_arguments(method, draws, seed)
    if groups and method != "nuts":
        raise FitError(f'groups are pooled by method = "nuts" alone, not by "{method}".')
    if isinstance(customers, SpendPatterns):
        customers = counted_rows(record, customers)
    customers = readable(record, customers)
    record, covariates, notes = on_calendar(record, customers, covariates)
    refuse_method(record, method)
    effects = learn_effects(record, customers, covariates=covariates, groups=groups)
    problem = _problem(record, customers, effects, {} if method == "mle" else priors or {}, bayes=method != "mle")
    return _noted(learnt(problem, method, draws, seed), notes)


def learnt(problem: Problem, method: str, draws: int, seed: int | None) -> Fit:
    """The fit of a problem, by a method that the model takes."""
    if problem.target.model.counted is not None:
        return _counted_fit(problem, method, draws, seed)
    mode = find_mode(problem.target)
    if method == "mle":
        return _mle_fit(problem, mode)
    assert seed is not None
    by_method = _laplace_fit if method == "laplace" else _nuts_fit
    return by_method(problem, mode, draws, seed)


def posterior_mode(
    model: str, customers: Customers, *, priors: Mapping[str, Prior] | None = None, covariates: ByParameter = ()
) -> tuple[Target, Mode]:
    """The target of a fit by "laplace", and the mode that it begins at: a maximum that there is with any data.

    Parameters and errors are those of `fit`.
    """
    record = model_named(model)
    customers = readable(record, customers)
    effects = learn_effects(record, customers, covariates=covariates)
    target = _problem(record, customers, effects, priors or {}, bayes=True).target
    return target, find_mode(target)


def _noted(fit: Fit, notes: tuple[str, ...]) -> Fit:
    return replace(fit, notes=(*notes, *fit.notes))


def fit_at(
    model: str,
    parameters: Mapping[str, float],
    *,
    unit: str = "week",
    currency: str = "USD",
    calendar: Calendar | None = None,
    calibration_end: str | dt.date | None = None,
    baskets: Baskets = "repeat",
) -> Fit:
    """A fit at known parameters, such as a paper's: one draw, no data.

    Parameters
    ----------
    calendar : for a model that reads one; its coefficients are parameters such as "gamma_alpha[christmas]", or
        "gamma_churn[christmas]" of a model of retention
    calibration_end : last day of the histories that a fit with a calendar is for; retention needs none
    baskets : purchases of a customer that a model of spend reads, as in `fit`

    Raises
    ------
    FitError
        If a parameter is missing or unknown, or cannot have that value.
    """
    today = None if calibration_end is None else as_date(calibration_end, "calibration_end")
    record = at_calendar(on_baskets(model_named(model), baskets), parameters, calendar, today, unit)
    return known_fit(record, parameters, unit=unit, currency=currency)


def known_fit(record: Model, parameters: Mapping[str, float], *, unit: str, currency: str) -> Fit:
    """The model at known parameters: one draw, no data."""
    values = require_values(dict(parameters), record)
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


def data_scale(patterns: Patterns) -> DataScale:
    """Typical time between purchases, or to a loss, or typical spend: the scale of starts and default priors.

    Raises
    ------
    DataError
        If the times or amounts come to more than a float holds, or vanish.
    """
    n = patterns.n_customers
    with np.errstate(over="ignore"):  # an infinite sum is refused
        if isinstance(patterns, PurchasePatterns):
            repeats = float(n @ patterns.frequency.rows)
            return DataScale(time=_ordinary("times", float(n @ patterns.T.rows) / repeats))
        if isinstance(patterns, RetentionPatterns):
            seen = float(n @ (patterns.age.rows - patterns.entry.rows))
            return DataScale(time=_ordinary("times", seen / float(n @ patterns.lost)))
        return DataScale(money=_ordinary("amounts", float(np.average(patterns.monetary_value, weights=n))))


def _ordinary(what: str, typical: float) -> float:
    if not SMALLEST_SCALE <= typical <= 1 / SMALLEST_SCALE:
        raise DataError(
            f"typical {what} of these customers are {typical:.3g}: what can be fitted is from {SMALLEST_SCALE:g} to "
            f"{1 / SMALLEST_SCALE:g}. Check the unit of the {what}."
        )
    return typical


def refuse_arguments(method: str, draws: int, seed: int | None) -> None:
    """Refuse arguments of a fit that do not go with each other."""
    if method not in get_args(Method):
        raise FitError(f'method = "{method}": expected one of "mle", "laplace", "nuts".')
    if method != "mle" and seed is None:
        raise FitError(f'method = "{method}" draws random numbers: give seed=... .')
    if seed is not None:
        require_seed(seed, error=FitError)
    require_count("draws", draws)
    if method == "nuts" and draws < LEAST_NUTS_DRAWS:
        raise FitError(
            f'draws = {draws}: method = "nuts" needs {LEAST_NUTS_DRAWS} or more to tell whether it converged.'
        )


def readable(model: Model, customers: Customers) -> Customers:
    """The customers that the model learns from, once it is clear that there is enough to learn."""
    require_readable(model, customers)
    return customers.take(readable_rows(model, customers)) if model.family == "spend" else customers


def require_readable(model: Model, customers: Customers) -> None:
    """Refuse customers that the model cannot read, or that it has too little to learn from."""
    require_kind(model, customers)
    _refuse_too_little(model, customers)
    require_clock(model, customers)


def on_baskets(model: Model, baskets: str) -> Model:
    """The model as it learns from repeat baskets or from all.

    Raises
    ------
    FitError
        If there is no such word, or the model is none of spend.
    """
    if baskets not in get_args(Baskets):
        raise FitError(f'baskets = "{baskets}": expected one of "repeat", "all".')
    if baskets == "repeat":
        return model
    if model.family != "spend":
        raise FitError(f'baskets = "all" is for models of spend, and {model.name} is one of {model.family}.')
    return model.on_all_baskets


def refuse_method(model: Model, method: str) -> None:
    """Refuse a way of fitting that the model does not take."""
    if method not in model.methods:
        offered = " or ".join(f'"{name}"' for name in model.methods)
        raise FitError(f'{model.name} is not fitted by "{method}", which would take hours: use {offered}.')


def _problem(
    model: Model, customers: Customers, effects: Effects, priors: Mapping[str, Prior], *, bayes: bool
) -> Problem:
    cells = cells_of(effects, customers)
    patterns, index = patterns_of(model, customers, cells)
    scale = data_scale(patterns)
    chosen = priors_for(model, scale, effects, priors) if bayes else {}
    target = Target(model, patterns, scale, chosen, effects, design_of(model, effects, cells, index))
    return Problem(target, customers, cells)


def _refuse_too_little(model: Model, customers: Customers) -> None:
    total = len(customers) if customers.n_customers is None else int(customers.n_customers.sum())
    if total < 2:
        raise DataError("there is one customer only: a model of how customers differ needs many (100 or more).")
    if isinstance(customers, RetentionTable):
        _refuse_none_lost(customers)
        return
    if not (customers.frequency > 0).any():
        raise DataError(
            f"none of the {total} customers has a repeat purchase: the data say nothing of purchase rates. "
            "Use a longer calibration window."
        )
    if model.family == "purchases":
        return
    _refuse_equal_spend(model, customers)


def _refuse_equal_spend(model: Model, customers: CustomerSummary) -> None:
    if model.baskets == "all" and np.isnan(customers.first_amount).all():
        raise DataError('baskets = "all" needs first_amount, which is known of no customer: leave it at "repeat".')
    known = readable_rows(model, customers)
    mean = customers.monetary_value if model.baskets == "repeat" else customers.all_spend_mean
    spends = np.unique(mean[known])
    if len(spends) < 2:
        who = "repeat buyers" if model.baskets == "repeat" else "customers"
        raise DataError(
            f"{model.name} needs mean spends that differ: {int(known.sum())} {who} have a known mean spend, "
            f"{len(spends)} distinct. With constant spend, multiply expected purchases by it."
        )


def _refuse_none_lost(table: RetentionTable) -> None:
    total = int(table.n_customers.sum())
    if not table.lost.any():
        raise DataError(
            f"none of the {total} customers was lost: the data say nothing of who stays. Observe them longer."
        )
    if not (table.age > table.entry).any():
        raise DataError(f"none of the {total} customers was seen for any time.")


def priors_for(model: Model, scale: DataScale, effects: Effects, given: Mapping[str, Prior]) -> dict[str, Prior]:
    """A prior for everything that is learnt: those given, else the defaults.

    Raises
    ------
    FitError
        If one is of a parameter that there is not, or of the wrong kind.
    """
    if not isinstance(given, Mapping):
        raise FitError(f'priors = {given!r}: expected them by parameter, such as {{"r": LogNormal(0.3, 0.5)}}.')
    default: dict[str, Prior] = {p.name: p.default_prior(scale) for p in model.parameters}
    default |= {f"gamma_{name}": COEFFICIENT for name in effects.covariates}
    default |= {f"{name}_group_sd": GROUP_SD for name in effects.groups}
    for name, prior in given.items():
        if name not in default:
            raise FitError(f"priors for {name}: this fit of {model.name} has {', '.join(default)}.")
        if type(prior) is not type(default[name]):
            expected = type(default[name]).__name__
            raise FitError(f"priors for {name}: expected a {expected}, not a {type(prior).__name__}.")
        _refuse_values(name, prior, default[name])
    return {**default, **given}


def _refuse_values(name: str, prior: Prior, default: Prior) -> None:
    """Refuse values that the model does not have."""
    if isinstance(prior, OneOf) and isinstance(default, OneOf):
        odd = [value for value in prior.values if value not in default.values]
        if odd:
            known = ", ".join(map(str, default.values))
            raise FitError(f"priors for {name}: {odd[0]} is none of {known}.")


def _mle_fit(problem: Problem, mode: Mode) -> Fit:
    mode, nested = _beside_simpler_models(problem, mode)
    fit = with_draws(problem, mode.phi[None, None], {}, {})
    checks = (*mode.checks, *nested, *model_checks(fit))
    return replace(fit, method="mle", covariance=natural_covariance(problem.target, mode), checks=checks)


def _beside_simpler_models(problem: Problem, mode: Mode) -> tuple[Mode, tuple[Check, ...]]:
    """The mode, or a better one found from a simpler model that this one contains; and what is gained on it."""
    target = problem.target
    limits = {name: limit for name, limit in target.model.limits.items() if name in MODELS}
    if not limits:
        return mode, ()
    best = -np.inf
    for name, limit in limits.items():
        simpler = Target(MODELS[name], target.patterns, target.scale, {})
        try:
            simplest = find_mode(simpler)
        except FitError:  # its best is where it is simpler still
            continue
        best = max(best, simplest.log_density)
        if mode.log_density < simplest.log_density:
            there = limit(dict(zip(simpler.names, simpler.model.natural(simplest.phi), strict=True)))
            mode = _better_mode(target, mode, there)
    return mode, () if best == -np.inf else (nested_check(mode.log_density - best),)


def _better_mode(target: Target, mode: Mode, there: Mapping[str, float]) -> Mode:
    """The mode, or a higher one found from half way to where the model is the simpler one: there it is flat."""
    start = target.starts.copy()
    limit = target.model.unknowns(np.array([there[parameter] for parameter in target.model.parameter_names]))
    start[: len(limit)] = (start[: len(limit)] + limit) / 2
    try:
        return max(mode, find_mode(target, start), key=lambda found: found.log_density)
    except FitError:  # the check `nested` tells
        return mode


def _laplace_fit(problem: Problem, mode: Mode, draws: int, seed: int) -> Fit:
    rng = np.random.default_rng(seed)
    sample = importance_sample(problem.target, mode, draws, rng)
    if sample.pareto_k > PARETO_K_LIMIT and "nuts" in problem.target.model.methods:
        fit = _nuts_fit(problem, mode, max(draws, LEAST_NUTS_DRAWS), seed)
        return replace(fit, notes=(_escalated(sample.pareto_k, sample.refits),))
    return kept(problem, mode, sample, draws, rng)


def kept(problem: Problem, mode: Mode, sample: WeightedSample, draws: int, rng: np.random.Generator) -> Fit:
    """The fit of draws kept from proposals by their weights, with its checks."""
    fit = with_draws(problem, resample(sample, draws, rng)[None], {}, {})
    effective = min(float(draws), sample.effective_size)
    fit = replace(fit, covariance=natural_covariance(problem.target, mode))
    return _weighed_fit(fit, mode, sample.pareto_k, effective, draws)


def _weighed_fit(fit: Fit, mode: Mode, pareto_k: float, effective: float, draws: int) -> Fit:
    """The fit by importance sampling around a mode, with its checks."""
    checks = (*mode.checks, *laplace_checks(pareto_k, effective, draws), *model_checks(fit))
    return replace(fit, method="laplace", checks=checks, pareto_k=pareto_k, effective_draws=effective)


def _escalated(pareto_k: float, refits: int) -> str:
    return f"importance weights had Pareto k = {pareto_k:.2f} after {refits} better proposals, so NUTS was used"


def _counted_fit(problem: Problem, method: str, draws: int, seed: int | None) -> Fit:
    """A fit of a model with a counted parameter, from those at its values."""
    model, found = problem.target.model, candidates(problem)
    left_out = left_out_note(found, problem)
    if method == "mle":
        best = max(found, key=lambda candidate: candidate.mode.log_density)
        return replace(with_count(_mle_fit(best.problem, best.mode), model, best.value), notes=left_out)
    assert seed is not None
    rng = np.random.default_rng(seed)
    weighed = weigh(found, draws, rng)
    best, priors = weighed.best, dict(problem.target.priors)
    if method == "laplace" and weighed.pareto_k <= PARETO_K_LIMIT:
        fit, effective = mixed(weighed, model, draws, rng)
        fit = _weighed_fit(fit, best.mode, weighed.pareto_k, effective, draws)
        return replace(fit, priors=priors, notes=left_out)
    chain = _nuts_fit(best.problem, best.mode, max(draws, LEAST_NUTS_DRAWS), seed)
    refits = max(sample.refits for sample in weighed.samples)
    escalated = (_escalated(weighed.pareto_k, refits),) if method == "laplace" else ()
    notes = (*left_out, *escalated, counted_note(weighed, model))
    return replace(with_count(chain, model, best.value), priors=priors, notes=notes)


def _nuts_fit(problem: Problem, mode: Mode, draws: int, seed: int) -> Fit:
    from clvmodels.inference.nuts import sample_nuts  # imports PyMC: seconds

    sample = sample_nuts(problem.target, mode, draws, seed)
    fit = with_draws(problem, sample.phi, sample.group_levels, sample.group_sd)
    flat = flat_draws(fit.draws)
    checks = (*nuts_checks(flat, sample.divergences, sample.energy), *model_checks(fit))
    stacked = np.stack([flat[name].ravel() for name in fit.point])
    return replace(fit, method="nuts", covariance=np.cov(stacked), checks=checks)
