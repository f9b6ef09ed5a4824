"""Fits side by side, the checks that they passed or failed, and what the models assume."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import (
    Check,
    CriterionRow,
    FitRow,
    ModelSection,
    ParameterRow,
    PriorRow,
    SensitivityRow,
    StudyResults,
)
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import Source, Voice

CORRELATION_LIMIT = 0.1  # beyond it, spend and frequency are not independent enough for Gamma-Gamma
COEFFICIENT = re.compile(r"gamma_(\w+)\[(.+)\]")  # gamma_alpha[age], gamma_alpha[channel[web]]
CATEGORY = re.compile(r"(.+?)\[(.+)\]")
OF_GROUP = re.compile(r"(\w+?)_by_(.+?)\[(.+)\]")  # alpha_by_country[Italy]
BETWEEN = re.compile(r"(\w+?)_group_sd(?:_(.+))?")  # alpha_group_sd, of several columns alpha_group_sd_country
Priors = Mapping[str, PriorRow | tuple[float, float]]


def models(source: Source, voice: Voice) -> dict[str, Any]:
    """Checks, parameters by method side by side, the correlation."""
    section = source.results.models
    if not section.fits:
        return {
            "none": voice.text("models.no_fits"),
            "left_out": _left_out(section, voice),
            "correlation": _correlation(section, voice),
            "sensitivity": None,
            "criteria": None,
        }
    return {
        "none": None,
        "draws": _draws(source.results, voice),
        "left_out": _left_out(section, voice),
        **checks_of(section.fits, partial(_fit_name, results=source.results, voice=voice), voice),
        "groups": [_group(fits, source.results, voice) for fits in _side_by_side(section.fits)],
        "correlation": _correlation(section, voice),
        "sensitivity": _sensitivity(section, voice) if section.sensitivity else None,
        "criteria": _criteria(section.criteria, voice) if section.criteria else None,
    }


def _draws(results: StudyResults, voice: Voice) -> list[Markup]:
    """How many draws the forecasts are of, and how many the posteriors have where that is another number."""
    ahead, known = results.value.draws, results.evidence.draws
    if ahead is None or known is None:
        return []
    both = ahead == known
    forecast = voice.say(
        "models.forecast_draws" if both else "models.forecasts_draws",
        draws=voice.count(ahead),
        known=voice.count(known),
    )
    posteriors = sorted({fit.draws for fit in results.models.fits if fit.draws > 1})
    if not posteriors or (both and posteriors == [ahead]):
        return [forecast]
    return [forecast, voice.say("models.posterior_draws", draws=voice.numbers.listed([*map(voice.count, posteriors)]))]


def _left_out(section: ModelSection, voice: Voice) -> list[Markup]:
    return [
        voice.say("models.left_out", method=voice.words.name("methods", key), message=message)
        for key, message in section.left_out.items()
    ]


def checks_of(fits: Sequence[FitRow], name_of: Callable[[FitRow], str], voice: Voice) -> dict[str, Any]:
    """The checks of fits: the verdict, those that failed and those that passed as tables."""
    return {
        "verdict": _verdict(fits, voice),
        "failed": _checks(fits, name_of, voice, passed=False),
        "passed": _checks(fits, name_of, voice, passed=True),
        "passed_count": voice.count(sum(check.passed for fit in fits for check in fit.checks)),
    }


def _verdict(fits: Sequence[FitRow], voice: Voice) -> Markup:
    checks = [check for fit in fits for check in fit.checks]
    failed = sum(not check.passed for check in checks)
    if failed:
        return voice.say("models.checks_failed", failed=voice.count(failed), count=voice.count(len(checks)))
    return voice.say("models.checks_passed", count=voice.count(len(checks)))


def _window(fit: FitRow, results: StudyResults, voice: Voice) -> Markup:
    return voice.say(f"models.window_{fit.window}", date=_window_end(fit, results, voice))


def _window_end(fit: FitRow, results: StudyResults, voice: Voice) -> str:
    ends = {"calibration": results.data.calibration_end, "decision": results.value.as_of}
    return voice.numbers.date(ends[fit.window])


def _fit_name(fit: FitRow, results: StudyResults, voice: Voice) -> Markup:
    model, method = voice.words.name("models_named", fit.model), voice.words.name("methods", fit.method)
    return voice.say("models.fit_name", model=model, method=method, date=_window_end(fit, results, voice))


def _checks(fits: Sequence[FitRow], name_of: Callable[[FitRow], str], voice: Voice, *, passed: bool) -> Table | None:
    """The checks that passed, or those that failed; None if there are none."""
    found = [(fit, check) for fit in fits for check in fit.checks if check.passed is passed]
    body = tuple(
        (
            name_of(fit),
            voice.words.name("checks", check.key),
            voice.numbers.significant(check.value),
            voice.numbers.significant(check.limit),
            voice.text(f"models.{_outcome(fit, check)}"),
        )
        for fit, check in found
    )
    texts = [voice.text(f"models.head_{head}") for head in ("fit", "check", "value", "limit", "result")]
    marked = frozenset() if passed else frozenset(range(len(found)))
    return Table(voice.text("models.table_checks"), columns(*texts, words=2), body, marked) if found else None


def _outcome(fit: FitRow, check: Check) -> str:
    if check.passed:
        return "passed"
    return "failed_allowed" if check.key in fit.allowed else "failed"


def _side_by_side(fits: Sequence[FitRow]) -> list[list[FitRow]]:
    """Fits of one model on one window, whatever their method, in the order of the results."""
    keys = dict.fromkeys((fit.model, fit.window) for fit in fits)
    return [[fit for fit in fits if (fit.model, fit.window) == key] for key in keys]


def _group(fits: Sequence[FitRow], results: StudyResults, voice: Voice) -> dict[str, Any]:
    first = fits[0]
    title = voice.say(
        "models.parameters",
        model=voice.words.name("models_named", first.model),
        window=_window(first, results, voice),
    )
    return fits_side_by_side(fits, title, voice)


def fits_side_by_side(fits: Sequence[FitRow], title: Markup, voice: Voice) -> dict[str, Any]:
    """Fits of one model to the same data: their parameters, coefficients and groups, and whether they agree."""
    first = fits[0]
    return {
        "title": title,
        "text": voice.say(
            "models.parameters_text",
            customers=voice.count(first.customers),
            patterns=voice.count(first.patterns),
        ),
        "notes": [
            voice.say("models.note", method=voice.words.name("methods", fit.method), note=note)
            for fit in fits
            for note in fit.notes
        ],
        "agreement": _agreement(fits, voice),
        "table": _parameters(fits, str(title), voice),
        "coefficients": _coefficients(fits, voice),
        "pooled": _pooled(first, voice),
    }


def _parameters(fits: Sequence[FitRow], label: str, voice: Voice) -> Table:
    priors = _priors(fits)
    names = [parameter.name for parameter in fits[0].parameters if _is_of_base(parameter.name)]
    by_fit = [{parameter.name: parameter for parameter in fit.parameters} for fit in fits]
    body = [
        (name, *(_parameter(rows.get(name), voice) for rows in by_fit), *_prior(priors, name, voice)) for name in names
    ]
    blank = ("",) if priors else ()
    extra = [
        (
            voice.text("models.log_likelihood"),
            *(voice.numbers.decimal(fit.log_likelihood, 2) for fit in fits),
            *blank,
        ),
        (voice.text("models.draws"), *(voice.count(fit.draws) for fit in fits), *blank),
        (voice.text("models.ess"), *(_fewest_effective(fit, voice) for fit in fits), *blank),
    ]
    heads = [voice.text("models.head_parameter"), *(voice.words.name("methods", fit.method) for fit in fits)]
    if priors:
        heads.append(voice.text("models.prior"))
    return Table(label, columns(*heads), (*body, *extra))


def _is_of_base(name: str) -> bool:
    """Whether it is a parameter itself, not a coefficient, a group's own or the spread between groups."""
    return not any(pattern.fullmatch(name) for pattern in (COEFFICIENT, OF_GROUP, BETWEEN))


def _coefficients(fits: Sequence[FitRow], voice: Voice) -> Table | None:
    """Coefficients by covariate and parameter, for each fit, and the factor of the first fit; None without any."""
    priors = _priors(fits)
    by_fit = [{row.name: row for row in fit.parameters} for fit in fits]
    body = tuple(
        (
            _covariate(found[2], fits[0].references, voice),
            _changed(fits[0].model, found[1], voice),
            *(_parameter(rows.get(name), voice) for rows in by_fit),
            _parameter(_factor(row), voice),
            *_prior(priors, f"gamma_{found[1]}", voice),
        )
        for name, row in by_fit[0].items()
        if (found := COEFFICIENT.fullmatch(name))
    )
    methods = [voice.words.name("methods", fit.method) for fit in fits]
    heads = [voice.text("models.head_covariate"), voice.text("models.head_acts_on"), *methods]
    heads.append(voice.text("models.head_factor"))
    if priors:
        heads.append(voice.text("models.prior_coefficient"))
    return Table(voice.text("models.table_coefficients"), columns(*heads, words=2), body) if body else None


def _changed(model: str, parameter: str, voice: Voice) -> str:
    """What a coefficient of a parameter changes; models give a letter different meanings."""
    own = f"{model}_{parameter}"
    known = voice.words.at("models.acts_on")
    return voice.words.name("models.acts_on", own if own in known else parameter)


def _covariate(name: str, references: Mapping[str, str], voice: Voice) -> Markup:
    """What a coefficient compares: one more of a number, or a category with the reference."""
    category = CATEGORY.fullmatch(name)
    if category and category[1] in references:
        reference = references[category[1]]
        return voice.say("models.category", covariate=category[1], category=category[2], reference=reference)
    return voice.say("models.one_more", covariate=name)


def _factor(row: ParameterRow) -> ParameterRow:
    """exp(gamma), with its median for the mean: the exponential of a mean is not a mean."""
    middle = row.mean if row.q50 is None else row.q50
    low, high = (None if value is None else math.exp(value) for value in (row.q05, row.q95))
    return dataclasses.replace(row, mean=math.exp(middle), q05=low, q95=high)


def _pooled(fit: FitRow, voice: Voice) -> list[Table]:
    """For each grouping column a row a group with its parameters, and the spread between groups."""
    rows = {row.name: row for row in fit.parameters}
    found = [(match, row) for name, row in rows.items() if (match := OF_GROUP.fullmatch(name))]
    return [
        _groups_of(column, {(match[1], match[3]): row for match, row in found if match[2] == column}, fit, voice)
        for column in dict.fromkeys(match[2] for match, _ in found)
    ]


def _groups_of(column: str, values: dict[tuple[str, str], ParameterRow], fit: FitRow, voice: Voice) -> Table:
    rows = {row.name: row for row in fit.parameters}
    parameters = list(dict.fromkeys(parameter for parameter, _ in values))
    labels = dict.fromkeys(label for _, label in values)
    body = [
        (label, *(_parameter(values.get((parameter, label)), voice) for parameter in parameters)) for label in labels
    ]
    spreads = [f"{parameter}_group_sd" for parameter in parameters]
    between = (rows.get(name, rows.get(f"{name}_{column}")) for name in spreads)
    last = [(voice.text("models.between_groups"), *(_parameter(row, voice) for row in between))]
    if fit.priors:
        prior = (said for name in spreads for said in _prior(fit.priors, name, voice))
        last.append((voice.text("models.between_groups_prior"), *prior))
    heads = (voice.words.name("models.grouped_by", column), *parameters)
    label = voice.say("models.table_groups", column=heads[0])
    return Table(label, columns(*heads), (*body, *last))


def _parameter(row: ParameterRow | None, voice: Voice) -> str:
    if row is None:
        return voice.numbers.decimal(None)
    form = voice.numbers.significant
    if row.q05 is None:
        return form(row.mean)
    return f"{form(row.mean)} ({voice.numbers.span(row.q05, row.q95, form)})"


def _priors(fits: Sequence[FitRow]) -> Priors:
    """The priors of the first fit that has any; fits of one group share theirs."""
    return next((fit.priors for fit in fits if fit.priors), {})


def _prior(priors: Priors, name: str, voice: Voice) -> tuple[str, ...]:
    if not priors:
        return ()
    if name not in priors:
        return (voice.numbers.decimal(None),)
    found = priors[name]
    prior = found if isinstance(found, PriorRow) else PriorRow("log_normal", *found)
    form = voice.numbers.significant
    return (voice.say(f"models.prior_{prior.kind}", middle=form(prior.middle), sd=form(prior.sd)),)


def _fewest_effective(fit: FitRow, voice: Voice) -> str:
    sizes = [size for row in fit.parameters for size in (row.ess_bulk, row.ess_tail) if size is not None]
    return voice.count(min(sizes)) if sizes else voice.numbers.decimal(None)


def _agreement(fits: Sequence[FitRow], voice: Voice) -> Markup | str:
    """The largest gap between the means of laplace and nuts, in posterior standard deviations."""
    by_method = {fit.method: {row.name: row for row in fit.parameters} for fit in fits}
    if not {"laplace", "nuts"} <= by_method.keys():
        return ""
    fast, reference = by_method["laplace"], by_method["nuts"]
    gaps = [abs(fast[name].mean - row.mean) / row.sd for name, row in reference.items() if row.sd and name in fast]
    return voice.say("models.agreement", gap=voice.numbers.decimal(max(gaps), 2)) if gaps else ""


def _correlation(section: ModelSection, voice: Voice) -> list[Markup]:
    correlation = section.spend_frequency_correlation

    def form(value: float | None) -> str:
        return voice.numbers.decimal(value, 2)

    if correlation.mean is None or not math.isfinite(correlation.mean):
        return [voice.say("models.correlation_none")]
    text = voice.say(
        "models.correlation", value=form(correlation.mean), range=voice.numbers.interval(correlation, form)
    )
    small = abs(correlation.mean) <= CORRELATION_LIMIT
    key = "models.correlation_small" if small else "models.correlation_large"
    return [text, voice.say(key, limit=form(CORRELATION_LIMIT))]


# Does the prior decide, and how well is each customer predicted from the others?


def _sensitivity(section: ModelSection, voice: Voice) -> dict[str, Any]:
    form = voice.numbers.significant
    # Groups lean on each other, as meant.
    rows = [row for row in section.sensitivity if not OF_GROUP.fullmatch(row.parameter)]
    of_row = partial(_in_words, fits=section.fits, voice=voice)
    said = {"prior_dominates": "models.sensitivity_prior", "prior_data_conflict": "models.sensitivity_conflict"}
    found = [
        voice.say(said[row.diagnosis], parameter=of_row(row), model=voice.words.name("models_named", row.model))
        for row in rows
        if row.diagnosis in said
    ]
    body = tuple(
        (
            voice.say("models.of_model", model=voice.words.name("models_named", row.model), parameter=of_row(row)),
            form(row.prior),
            form(row.likelihood),
            voice.words.name("models.diagnoses", row.diagnosis),
        )
        for row in rows
    )
    heads = [voice.text(f"models.head_{head}") for head in ("parameter", "prior", "data", "decides")]
    marked = frozenset(place for place, row in enumerate(rows) if row.diagnosis in said)
    return {
        "text": voice.say("models.sensitivity_text", threshold=voice.numbers.decimal(rows[0].threshold, 2)),
        "found": found or [voice.say("models.sensitivity_data")],
        "table": Table(voice.text("models.table_sensitivity"), columns(*heads), body, marked),
    }


def _in_words(row: SensitivityRow, fits: Sequence[FitRow], voice: Voice) -> str:
    """A parameter as the tables of the fits name it."""
    if between := BETWEEN.fullmatch(row.parameter):
        if between[2]:
            column = voice.words.name("models.grouped_by", between[2])
            return voice.say("models.spread_of_column", parameter=between[1], column=column)
        return voice.say("models.spread_of", parameter=between[1])
    coefficient = COEFFICIENT.fullmatch(row.parameter)
    if not coefficient:
        return row.parameter
    same = (fit.references for fit in fits if (fit.model, fit.window) == (row.model, row.window))
    return voice.say(
        "models.coefficient",
        changes=_changed(row.model, coefficient[1], voice),
        comparison=_covariate(coefficient[2], next(same, {}), voice),
    )


def _criteria(rows: Sequence[CriterionRow], voice: Voice) -> dict[str, Any]:
    form = voice.numbers.decimal
    body = tuple(
        (
            voice.words.name("models_named", row.model),
            voice.words.name("methods", row.method),
            form(row.elpd, 1),
            form(row.se, 1),
            form(row.p, 1),
            form(row.worst_k, 2),
        )
        for row in rows
    )
    heads = [voice.text(f"models.head_{head}") for head in ("model", "fit", "elpd", "se", "p", "worst_k")]
    marked = frozenset(place for place, row in enumerate(rows) if row.high_k_customers)
    return {
        "text": voice.say("models.criteria_text"),
        "found": _trusted(rows, voice),
        "table": Table(voice.text("models.table_criteria"), columns(*heads, words=2), body, marked),
    }


def _trusted(rows: Sequence[CriterionRow], voice: Voice) -> list[Markup]:
    """Whether the leave-one-out estimates hold: for whom they do not, or that they do for all."""
    doubtful = [
        voice.say(
            "models.criteria_doubtful",
            count=voice.count(row.high_k_customers),
            customers=voice.count(row.customers),
            model=voice.words.name("models_named", row.model),
            limit=voice.numbers.significant(row.k_limit, 1),
        )
        for row in rows
        if row.high_k_customers
    ]
    worst = max((row.worst_k for row in rows if row.worst_k is not None), default=None)
    limit = voice.numbers.significant(rows[0].k_limit, 1)
    return doubtful or [voice.say("models.criteria_trusted", worst=voice.numbers.decimal(worst, 2), limit=limit)]
