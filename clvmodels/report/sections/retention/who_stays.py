"""The first screen: who stays, what that is worth, how sure it is, what to read first."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import Check, FitRow
from clvmodels.foundation.retention_results import LeftOutFit, RetentionResults, SegmentWorth
from clvmodels.report.sections.headline import failed_check, middle
from clvmodels.report.sections.retention.wording import (
    best_rival,
    held_too_few,
    listed,
    model_name,
    own_rival,
    part,
    plain,
    renewals,
    segment_name,
    settled,
    share,
    told,
)
from clvmodels.report.voice import RetentionSource, Voice


def who_stays(source: RetentionSource, voice: Voice) -> dict[str, Any]:
    """Customer equity and its interval, four figures, a row a segment, the caveats."""
    results, numbers = source.results, voice.numbers
    whole = whole_base(results)
    return {
        "equity": numbers.compact(middle(whole.equity)),
        "meaning": _meaning(results, whole, voice),
        "sure": voice.say(
            "who_stays.sure",
            level=voice.level,
            low=numbers.compact(whole.equity.q05),
            high=numbers.compact(whole.equity.q95),
        ),
        "figures": _figures(results, whole, voice),
        "failed": _failed_checks(results, voice),
        "caveats": caveats(results, voice),
        "heads": _heads(results, voice),
        "rows": [_row(row, voice) for row in results.worth if row is not whole] or [_row(whole, voice)],
        "total": _row(whole, voice) if len(results.worth) > 1 else None,
    }


def whole_base(results: RetentionResults) -> SegmentWorth:
    """The worth of all segments together; that of the only one where there is one."""
    return next((row for row in results.worth if not row.segment), results.worth[-1])


def _meaning(results: RetentionResults, whole: SegmentWorth, voice: Voice) -> Markup:
    study, numbers = results.study, voice.numbers
    return voice.say(
        "who_stays.meaning" if study.margin == 1 else "who_stays.meaning_margin",
        active=voice.count(whole.active),
        equity=numbers.compact(middle(whole.equity)),
        price=numbers.money(study.price),
        margin=numbers.setting(study.margin),
        rate=numbers.setting(study.annual_discount_rate),
    )


def _figures(results: RetentionResults, whole: SegmentWorth, voice: Voice) -> list[dict[str, Any]]:
    numbers = voice.numbers
    new, whose = _new_customers(results, voice)
    shown = {
        "customers": voice.count(whole.active),
        "lost": voice.count(middle(whole.lost)),
        "new": new,
        "change": numbers.compact(middle(whole.change)),
    }
    notes = {
        "customers": {"customers": voice.count(sum(segment.customers for segment in results.segments))},
        "lost": {
            "range": voice.counts_between(whole.lost),
            "share": numbers.share(middle(whole.lost_share)),
        },
        "new": {"segments": whose},
        "change": {
            "range": numbers.interval(whole.change, numbers.compact),
            "share": share(voice)(middle(whole.relative)),
        },
    }
    return [
        {
            "number": number,
            "name": voice.say(f"who_stays.{key}", setting=numbers.setting(results.study.fewer_defections)),
            "note": voice.say(f"who_stays.{key}_note", **notes[key]),
        }
        for key, number in shown.items()
    ]


def _new_customers(results: RetentionResults, voice: Voice) -> tuple[str, str]:
    """Value of a new customer, from the least to the best segment, and which these are."""
    money = voice.numbers.money
    found = [(middle(row.new_value) or 0.0, row.segment) for row in results.worth if row.new_value is not None]
    if not found:
        return voice.numbers.decimal(None), ""
    (low, least), (high, best) = min(found), max(found)
    if low == high:
        return money(high), segment_name(best, voice)
    names = [segment_name(least, voice), segment_name(best, voice)]
    return voice.numbers.span(low, high, voice.numbers.cell), plain(
        voice.say("who_stays.from_to", low=names[0], high=names[1])
    )


def _heads(results: RetentionResults, voice: Voice) -> dict[str, str]:
    names = ("segment", "active", "lost", "share", "equity", "new", "change")
    setting = voice.numbers.setting(results.study.fewer_defections)
    return {name: str(voice.say(f"who_stays.head_{name}", setting=setting)) for name in names}


def _row(row: SegmentWorth, voice: Voice) -> dict[str, Any]:
    cell = voice.numbers.cell
    return {
        "segment": segment_name(row.segment, voice),
        "active": voice.count(row.active),
        "lost": told(row.lost, voice.count, voice),
        "share": told(row.lost_share, share(voice), voice),
        "equity": told(row.equity, cell, voice),
        "new": cell(None) if row.new_value is None else told(row.new_value, cell, voice),
        "change": told(row.change, cell, voice),
    }


def caveats(results: RetentionResults, voice: Voice) -> list[Markup]:
    """Bad news but failed checks: forecasts missed, lifetimes without a mean, models that predict better, notes."""
    return [
        *_missed(results, voice),
        *_infinite(results, voice),
        *_better_models(results, voice),
        *_cohorts(results, voice),
        *(_left_out(fit, voice) for fit in results.left_out),
        *(_note(note, voice) for note in results.notes),
    ]


def _left_out(fit: LeftOutFit, voice: Voice) -> Markup:
    """A model that is not shown, and why."""
    return voice.say(
        "who_stays.left_out",
        model=model_name(fit.model, voice),
        segment=segment_name(fit.segment, voice),
        learnt=renewals(fit.learnt_to, voice),
        checks=listed([Markup("{}").format(voice.words.name("checks", key)) for key in fit.checks], voice),
    )


def _note(note: LedgerLine, voice: Voice) -> Markup:
    """What was noticed while the contracts were read, with its count."""
    said = voice.words.name("reasons", note.reason)
    return voice.say("who_stays.noticed", note=said, count=voice.count(note.rows))


def _failed_checks(results: RetentionResults, voice: Voice) -> list[Markup]:
    return [
        failed_check(_kind(fit, check, results), fit, check, voice, of=fit_name(fit, segment, voice))
        for fit, segment in zip(results.fits, results.fit_segments, strict=True)
        for check in fit.checks
        if not check.passed
    ]


def fit_name(fit: FitRow, segment: str, voice: Voice) -> str:
    """A model and the segment that it was fitted to."""
    name = model_name(fit.model, voice)
    key = "fit_early" if fit.window == "calibration" else "fit_of"
    return plain(voice.say(f"retention_terms.{key}", model=name, segment=segment_name(segment, voice)))


def _kind(fit: FitRow, check: Check, results: RetentionResults) -> str:
    """Allowed by the study; of a fit that is only compared with; or plain."""
    if check.key in fit.allowed:
        return "check_allowed"
    return "check_failed" if fit.model == results.study.model else "check_beside"


def _missed(results: RetentionResults, voice: Voice) -> list[Markup]:
    return [
        voice.say(
            "who_stays.missed",
            segment=segment_name(test.segment, voice),
            learnt=renewals(test.learnt_to, voice),
            held=voice.count(test.held),
            ages=voice.count(test.ages),
            level=voice.level,
            error=share(voice)(test.error),
        )
        for test in results.back_tests
        if test.model == results.study.model and held_too_few(test.held, test.ages)
    ]


def _infinite(results: RetentionResults, voice: Voice) -> list[Markup]:
    worst: dict[str, float] = {}
    for row in results.values:
        worst[row.segment] = max(worst.get(row.segment, 0.0), row.infinite)
    said = [
        voice.say("who_stays.infinite_part", segment=segment_name(name, voice), share=part(infinite, voice))
        for name, infinite in worst.items()
        if infinite > 0
    ]
    return [voice.say("who_stays.infinite", segments=listed(said, voice))] if said else []


def _better_models(results: RetentionResults, voice: Voice) -> list[Markup]:
    """Segments in which another model predicts customers left out better, beyond doubt."""
    said = []
    for segment in results.segments:
        own = own_rival(results, segment.rivals)
        if own is not None and best_rival(segment.rivals).model != own.model and settled(own):
            said.append(
                voice.say(
                    "who_stays.better_model",
                    segment=segment_name(segment.name, voice),
                    model=model_name(own.model, voice),
                    best=model_name(best_rival(segment.rivals).model, voice),
                    difference=voice.numbers.decimal(abs(own.difference), 1),
                    se=voice.numbers.decimal(own.difference_se, 1),
                    section=voice.text("sections.retention_models"),
                )
            )
    return said


def _cohorts(results: RetentionResults, voice: Voice) -> list[Markup]:
    found = results.cohorts
    if found is None or not held_too_few(found.held, found.cells):
        return []
    return [
        voice.say(
            "who_stays.cells_missed",
            held=voice.count(found.held),
            cells=voice.count(found.cells),
            level=voice.level,
            section=voice.text("sections.cohorts"),
        )
    ]
