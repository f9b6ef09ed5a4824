"""How long customers stay: survival by age, model-free and by the model, and beyond the data."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.retention_results import CurvePoint, RetentionResults, SegmentRetention
from clvmodels.report import figures, retention_figures
from clvmodels.report.retention_figures import SegmentCurves
from clvmodels.report.sections.retention.wording import (
    age,
    heads,
    model_name,
    plain,
    renewals,
    segment_name,
    sentences,
    share,
)
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import RetentionSource, Voice

HALF = 0.5


def survival(source: RetentionSource, voice: Voice) -> dict[str, Any] | None:
    """A sentence a segment, and the figure; None without segments."""
    results = source.results
    if not results.segments:
        return None
    return {
        "intro": voice.say("survival.intro", model=model_name(results.study.model, voice)),
        "sentences": [_sentence(segment, voice) for segment in results.segments if segment.curve],
        "figure": _figure(results, voice),
    }


def _sentence(segment: SegmentRetention, voice: Voice) -> Markup:
    """When half have left, how many stay to the end of the data, and to that of the curve."""
    seen = [point for point in segment.curve if point.seen] or segment.curve
    last, end = seen[-1], segment.curve[-1]
    half = next((point.age for point in segment.curve if (point.survival.mean or 0.0) < HALF), None)
    form = share(voice)
    said = voice.say(
        "survival.never_half" if half is None else "survival.half",
        segment=segment_name(segment.name, voice),
        half=None if half is None else renewals(half, voice),
        last=renewals(last.age, voice),
        share=form(last.survival.mean),
        range=voice.numbers.interval(last.survival, form),
    )
    if end.age == last.age:
        return said
    beyond = voice.say(
        "survival.beyond_text",
        end=renewals(end.age, voice),
        share=form(end.survival.mean),
        range=voice.numbers.interval(end.survival, form),
    )
    return sentences([said, beyond], voice)


def _figure(results: RetentionResults, voice: Voice) -> Figure:
    words = {
        "observed": str(voice.say("survival.observed", level=voice.level)),
        "model": model_name(results.study.model, voice),
        "band": str(voice.say("retention_terms.band", level=voice.level)),
        "beyond": voice.text("retention_terms.beyond"),
        "age": voice.text("retention_terms.axis_age"),
    }
    panels = [curves_of(segment, results, voice) for segment in results.segments]
    plot = retention_figures.survival(panels, words, voice.numbers)
    both = retention_figures.panel_sizes(len(panels), height=330, narrow_height=270)
    alt = plain(voice.say("survival.alt", segments=voice.numbers.listed([panel.title for panel in panels])))
    wide, narrow = figures.draw("survival", alt, plot, both)
    return Figure("survival", wide, narrow, _caption(results, voice), _table(results, voice), _csv(results))


def curves_of(segment: SegmentRetention, results: RetentionResults, voice: Voice) -> SegmentCurves:
    """A segment as its figures draw it; the study's own model is no rival of itself."""
    rivals = {
        model_name(rival.model, voice): rival.survival
        for rival in segment.rivals
        if rival.model != results.study.model and len(rival.survival) == len(segment.curve)
    }
    return SegmentCurves(segment_name(segment.name, voice), segment.observed, segment.curve, rivals)


def _caption(results: RetentionResults, voice: Voice) -> Markup:
    """Who keeps most and least at the last age that all data reach, and how often the curve meets the data."""
    inside, count = _agreement(results)
    agreement = voice.say("survival.agreement", inside=voice.count(inside), count=voice.count(count))
    shared = min(segment.last_age for segment in results.segments)
    kept = [
        (point.survival.mean or 0.0, segment.name)
        for segment in results.segments
        if (point := _at(segment.curve, shared)) is not None
    ]
    if not kept:
        return agreement
    (low, worst), (high, best) = min(kept), max(kept)
    said = voice.say(
        "survival.caption" if len(kept) > 1 else "survival.caption_one",
        age=renewals(shared, voice),
        best=segment_name(best, voice),
        best_share=share(voice)(high),
        worst=segment_name(worst, voice),
        worst_share=share(voice)(low),
    )
    return sentences([said, agreement], voice)


def _at(curve: list[CurvePoint], at: float) -> CurvePoint | None:
    """The last point of a curve at or before an age."""
    return next((point for point in reversed(curve) if point.age <= at), None)


def _agreement(results: RetentionResults) -> tuple[int, int]:
    """At how many observed ages the model's mean lies in Kaplan and Meier's interval."""
    pairs = [
        (row, point.survival.mean)
        for segment in results.segments
        for row in segment.observed
        if (point := next((point for point in segment.curve if point.age == row.age), None)) is not None
    ]
    return sum(mean is not None and row.low <= mean <= row.high for row, mean in pairs), len(pairs)


def _table(results: RetentionResults, voice: Voice) -> Table:
    form = share(voice)
    none = voice.numbers.decimal(None)
    rows = []
    for segment in results.segments:
        observed = {row.age: row for row in segment.observed}
        for point in segment.curve:
            row = observed.get(point.age)
            seen = (
                (none, none, none, none)
                if row is None
                else (
                    voice.count(row.at_risk),
                    voice.count(row.lost),
                    form(row.survival),
                    voice.numbers.span(row.low, row.high, form),
                )
            )
            model = form(point.survival.mean), voice.numbers.interval(point.survival, form)
            rows.append((segment_name(segment.name, voice), age(point.age, voice), *seen, *model))
    texts = heads("survival", ("segment", "age", "at_risk", "lost", "observed", "interval", "model", "interval"), voice)
    return Table(voice.text("survival.table"), columns(*texts), tuple(rows))


def _csv(results: RetentionResults) -> str:
    names = ["segment", "age", "seen", "at_risk", "lost", "kaplan_meier", "km_low", "km_high", "mean", "q05", "q95"]
    rows = []
    for segment in results.segments:
        observed = {row.age: row for row in segment.observed}
        for point in segment.curve:
            row, model = observed.get(point.age), point.survival
            seen = [None] * 5 if row is None else [row.at_risk, row.lost, row.survival, row.low, row.high]
            rows.append([segment.name, point.age, point.seen, *seen, model.mean, model.q05, model.q95])
    return csv_of(names, rows)
