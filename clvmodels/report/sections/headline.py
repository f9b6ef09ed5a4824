"""The first screen: what the base is worth, how sure that is, who needs what, what to read first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import Check, ComparisonSection, Duel, FitRow, StudyResults
from clvmodels.report.sections.parts import phrase
from clvmodels.report.voice import Source, Voice, cell_names

CELL_ORDER = ("high_high", "low_high", "high_low", "low_low")
TENTH = 0.1
BEST = "best"  # models chosen on past days
PEERS = frozenset({"lifetimes", BEST})  # the same models fitted by another package, other models: no simpler method
FEW = ("few_customers", "few_repeat_buyers")  # notes of the data that leave much to the priors


def headline(source: Source, voice: Voice) -> dict[str, Any]:
    """The answer, its interval, four figures, the types, the caveats."""
    results = source.results
    value, numbers = results.value, voice.numbers
    kind = "" if value.equity.mean is not None else "_median"
    return {
        "equity": numbers.compact(middle(value.equity)),
        "label": voice.say(f"headline.label{kind}", horizon=voice.length(value.horizon)),
        "meaning": _meaning(results, voice),
        "sure": voice.say(
            "headline.sure",
            level=voice.level,
            low=numbers.compact(value.equity.q05),
            high=numbers.compact(value.equity.q95),
        ),
        "drift": _drifting_sum(results, voice),
        "figures": _figures(results, voice),
        "types": _types(results, voice),
        "total": _total(results, voice),
        "note": voice.say("headline.who_note", horizon=voice.length(value.horizon)),
        "failed": _failed_checks(results, voice),
        "caveats": caveats(results, voice),
    }


def middle(estimate: Estimate) -> float | None:
    """The mean, or the median where there is no mean."""
    return estimate.q50 if estimate.mean is None else estimate.mean


def _part(value: float | None, whole: float) -> float | None:
    return value / whole if value is not None and whole else None


def _meaning(results: StudyResults, voice: Voice) -> Markup:
    value, study, numbers = results.value, results.study, voice.numbers
    whole = study.margin == 1
    margin = voice.text("headline.whole_margin") if whole else numbers.setting(study.margin)
    return voice.say(
        "headline.meaning" if value.equity.mean is not None else "headline.meaning_median",
        customers=voice.count(value.customers),
        as_of=numbers.date(value.as_of),
        equity=numbers.compact(middle(value.equity)),
        horizon=voice.length(value.horizon),
        margin=margin,
        rate=numbers.setting(study.annual_discount_rate),
    )


def _drifting_sum(results: StudyResults, voice: Voice) -> Markup | None:
    """The interval of the sum where demand drifts; None where nothing speaks for a drift."""
    check, value = results.evidence.drift, results.value
    if check is None or not check.drifts:
        return None
    section = voice.text("sections.evidence")
    if value.drifting_equity is None or value.drifting_purchases is None:
        return voice.say("drift.sum_alone", section=section)
    return voice.say(
        "drift.sum",
        section=section,
        level=voice.level,
        low=voice.numbers.compact(value.drifting_equity.q05),
        high=voice.numbers.compact(value.drifting_equity.q95),
        purchases=voice.counts_between(value.drifting_purchases),
    )


def _figures(results: StudyResults, voice: Voice) -> list[dict[str, Any]]:
    value, numbers = results.value, voice.numbers
    notes = {
        "customers": {"alive": voice.count(value.alive.mean), "range": voice.counts_between(value.alive)},
        "purchases": {"range": voice.counts_between(value.purchases)},
        "buyers": {
            "range": voice.counts_between(value.buyers),
            "share": numbers.share(_part(value.buyers.mean, value.customers)),
        },
        "each": {"tenth": numbers.share(TENTH), "share": numbers.share(value.top_10_share.mean)},
    }
    shown = {
        "customers": voice.count(value.customers),
        "purchases": voice.count(value.purchases.mean),
        "buyers": voice.count(value.buyers.mean),
        "each": numbers.money(value.equity_per_customer),
    }
    return [
        {
            "number": number,
            "name": voice.text(f"headline.{key}"),
            "note": voice.say(f"headline.{key}_note", **notes[key]),
        }
        for key, number in shown.items()
    ]


def _types(results: StudyResults, voice: Voice) -> list[dict[str, Any]]:
    names = cell_names(results, voice)
    cells = sorted(results.matrix.cells, key=lambda cell: CELL_ORDER.index(cell.key))
    return [
        {
            "key": cell.key,
            "name": names[cell.key],
            "do": phrase(results, cell.key, voice),
            "customers": voice.count(cell.customers),
            "value": voice.numbers.share(cell.clv_share),
            "share": max(cell.clv_share, 0.0),
            "budget": voice.numbers.cell(cell.budget),
        }
        for cell in cells
    ]


def _total(results: StudyResults, voice: Voice) -> dict[str, str]:
    cells = results.matrix.cells
    return {
        "name": voice.text("headline.who_total"),
        "customers": voice.count(sum(cell.customers for cell in cells)),
        "value": voice.numbers.share(sum(cell.clv_share for cell in cells)),
        "budget": voice.numbers.cell(sum(cell.budget for cell in cells)),
    }


def caveats(results: StudyResults, voice: Voice) -> list[Markup]:
    """What a reader must know of the numbers: few data, missed totals, a simpler order that is better."""
    return [
        *_few_data(results, voice),
        *_missed_totals(results, voice),
        *_simpler_wins(results, voice),
    ]


def _failed_checks(results: StudyResults, voice: Voice) -> list[Markup]:
    return [
        failed_check(_kind_of_failure(fit, check, results), fit, check, voice)
        for fit in results.models.fits
        for check in fit.checks
        if not check.passed
    ]


def failed_check(kind: str, fit: FitRow, check: Check, voice: Voice, *, of: str = "") -> Markup:
    """What a failed check says. `kind`: "check_failed", "check_beside" or "check_allowed"; `of` names the fit."""
    return voice.say(
        f"headline.{kind}",
        model=of or voice.words.name("models_named", fit.model),
        method=voice.words.name("methods", fit.method),
        check=voice.words.name("checks", check.key),
        value=voice.numbers.significant(check.value),
        limit=voice.numbers.significant(check.limit),
        meaning=voice.words.detail("checks", check.key, "meaning"),
    )


def _kind_of_failure(fit: FitRow, check: Check, results: StudyResults) -> str:
    """Allowed by the study; of a fit beside, by a method that no forecast rests on; or plain."""
    deciding = {other.method for other in results.models.fits if other.window == "decision"}
    if check.key in fit.allowed:
        return "check_allowed"
    return "check_failed" if fit.method in deciding or not deciding else "check_beside"


def _few_data(results: StudyResults, voice: Voice) -> list[Markup]:
    return [
        voice.say(f"headline.{line.reason}", count=voice.count(line.rows))
        for line in results.data.notes
        if line.reason in FEW
    ]


def missed(forecast: Estimate, actual: float) -> bool:
    """Whether an actual lies outside the interval of its forecast."""
    low, high = forecast.q05, forecast.q95
    return low is not None and high is not None and not low <= actual <= high


def _missed_totals(results: StudyResults, voice: Voice) -> list[Markup]:
    evidence, numbers = results.evidence, voice.numbers
    totals = (
        ("purchases", evidence.purchases, evidence.actual_purchases, numbers.decimal),
        ("spend", evidence.spend, evidence.actual_spend, numbers.money),
    )
    return [
        voice.say(
            "headline.total_missed",
            outcome=voice.text(f"headline.{outcome}_outcome"),
            range=numbers.interval(forecast, form),
            level=voice.level,
            actual=form(actual),
            miss=numbers.share(None if (part := _part(forecast.mean, actual)) is None else abs(part - 1)),
        )
        for outcome, forecast, actual, form in totals
        if missed(forecast, actual)
    ]


def duels_of(comparison: ComparisonSection, kind: str, verdict: str, voice: Voice) -> list[Duel]:
    """Duels of one verdict on scores of one kind: the word of the catalogue, such as "rank", "top" or "error"."""
    return [
        duel
        for duel in comparison.duels
        if duel.verdict == verdict and voice.words.detail("scores", duel.score, "kind") == kind
    ]


@dataclass(frozen=True)
class Orders:
    """Settled duels with simpler methods, peers left out, on how customers are ordered.

    Attributes
    ----------
    rank : lost on the order of the whole base
    top : lost on what the best customers of an order hold
    beaten : won there, where none is lost there
    made_good : lost on either, where the models chosen on past days come before the simpler method; these duels are
        not in `rank` and `top`
    """

    rank: list[Duel]
    top: list[Duel]
    beaten: list[Duel]
    made_good: list[Duel]


def orders(comparison: ComparisonSection, voice: Voice) -> Orders:
    """Where simpler methods order customers better than the model, and where it holds out."""

    def found(kind: str, verdict: str) -> list[Duel]:
        return [duel for duel in duels_of(comparison, kind, verdict, voice) if duel.method not in PEERS]

    chosen = {row.score: row.value for row in comparison.scores if row.method == BEST and row.value is not None}

    def is_made_good(duel: Duel) -> bool:  # of both kinds of score the highest is the best
        return chosen.get(duel.score, -np.inf) > duel.method_value

    rank, top = found("rank", "method"), found("top", "method")
    return Orders(
        rank=[duel for duel in rank if not is_made_good(duel)],
        top=[duel for duel in top if not is_made_good(duel)],
        beaten=[] if top else found("top", "model"),
        made_good=[duel for duel in (*rank, *top) if is_made_good(duel)],
    )


def method_names(duels: Sequence[Duel], voice: Voice) -> str:
    """The methods of some duels as a list in words, each once."""
    return voice.numbers.listed(list(dict.fromkeys(voice.words.name("methods", duel.method) for duel in duels)))


def score_names(duels: Sequence[Duel], voice: Voice) -> str:
    """The scores of some duels as a list in words, each once."""
    return voice.numbers.listed(list(dict.fromkeys(voice.words.name("scores", duel.score) for duel in duels)))


def _simpler_wins(results: StudyResults, voice: Voice) -> list[Markup]:
    found = orders(results.comparison, voice)
    by_key = {
        "simple_wins_but_top" if found.beaten else "simple_wins": found.rank,
        "simple_wins_top": found.top,
        "simple_wins_made_good": found.made_good,
    }
    return [
        voice.say(
            f"headline.{key}",
            methods=method_names(lost, voice),
            beaten=method_names(found.beaten, voice),
            scores=score_names(lost, voice),
            section=voice.text("sections.contest"),
        )
        for key, lost in by_key.items()
        if lost
    ]
