"""The first screen: what the base is worth, how sure that is, who needs what, what to read first."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import ComparisonSection, Duel, Estimate, StudyResults
from clvmodels.report.voice import Source, Voice, cell_names

CELL_ORDER = ("high_high", "low_high", "high_low", "low_low")
TENTH = 0.1


def headline(source: Source, voice: Voice) -> dict[str, Any]:
    """The answer, its interval, four figures, the types, the caveats."""
    results = source.results
    value, numbers = results.value, voice.numbers
    return {
        "equity": numbers.compact(value.equity.mean),
        "label": voice.say("headline.label", horizon=voice.length(value.horizon)),
        "meaning": _meaning(results, voice),
        "sure": voice.say(
            "headline.sure",
            level=voice.level,
            low=numbers.compact(value.equity.q05),
            high=numbers.compact(value.equity.q95),
        ),
        "figures": _figures(results, voice),
        "types": _types(results, voice),
        "total": _total(results, voice),
        "note": voice.say("headline.who_note", horizon=voice.length(value.horizon)),
        "caveats": caveats(results, voice),
    }


def _meaning(results: StudyResults, voice: Voice) -> Markup:
    value, study, numbers = results.value, results.study, voice.numbers
    whole = study.margin == 1
    margin = voice.text("headline.whole_margin") if whole else numbers.share(study.margin)
    return voice.say(
        "headline.meaning",
        customers=voice.count(value.customers),
        as_of=numbers.date(value.as_of),
        equity=numbers.compact(value.equity.mean),
        horizon=voice.length(value.horizon),
        margin=margin,
        rate=numbers.share(study.annual_discount_rate),
    )


def _figures(results: StudyResults, voice: Voice) -> list[dict[str, Any]]:
    value, numbers = results.value, voice.numbers
    notes = {
        "customers": {"alive": voice.count(value.alive.mean), "range": voice.counts_between(value.alive)},
        "purchases": {"range": voice.counts_between(value.purchases)},
        "buyers": {
            "range": voice.counts_between(value.buyers),
            "share": numbers.share(value.buyers.mean / value.customers),
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
            "do": voice.text(f"strategy.cells.{cell.key}.phrase"),
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
    """What a reader must know first: failed checks, missed totals, a simpler method that ranks better."""
    return [*_failed_checks(results, voice), *_missed_totals(results, voice), *_simpler_wins(results, voice)]


def _failed_checks(results: StudyResults, voice: Voice) -> list[Markup]:
    return [
        voice.say(
            "headline.check_failed",
            model=voice.words.name("models_named", fit.model),
            method=voice.words.name("methods", fit.method),
            check=voice.words.name("checks", check.key),
            value=voice.numbers.significant(check.value),
            limit=voice.numbers.significant(check.limit),
            meaning=voice.words.detail("checks", check.key, "meaning"),
        )
        for fit in results.models.fits
        for check in fit.checks
        if not check.passed
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
            miss=numbers.share(abs(forecast.mean / actual - 1)) if actual else numbers.decimal(None),
        )
        for outcome, forecast, actual, form in totals
        if missed(forecast, actual)
    ]


def lost_duels(comparison: ComparisonSection, kind: str, voice: Voice) -> list[Duel]:
    """Duels that another method won on scores of one kind, such as "rank"."""
    return [
        duel
        for duel in comparison.duels
        if duel.verdict == "method" and voice.words.detail("scores", duel.score, "kind") == kind
    ]


def top_wins(comparison: ComparisonSection) -> list[Duel]:
    """Duels that the model won on how much the best customers of an order hold."""
    return [duel for duel in comparison.duels if duel.verdict == "model" and "capture" in duel.score]


def method_names(duels: Sequence[Duel], voice: Voice) -> str:
    """The methods of some duels as a list in words, each once."""
    return voice.numbers.listed(list(dict.fromkeys(voice.words.name("methods", duel.method) for duel in duels)))


def _simpler_wins(results: StudyResults, voice: Voice) -> list[Markup]:
    lost = lost_duels(results.comparison, "rank", voice)
    if not lost:
        return []
    beaten = top_wins(results.comparison)
    return [
        voice.say(
            "headline.simple_wins_but_top" if beaten else "headline.simple_wins",
            methods=method_names(lost, voice),
            beaten=method_names(beaten, voice),
            section=voice.text("sections.contest"),
        )
    ]
