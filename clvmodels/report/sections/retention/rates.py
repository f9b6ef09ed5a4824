"""The retention rate by age, and why it rises."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import ParameterRow
from clvmodels.foundation.retention_results import CurvePoint, RetentionResults, SegmentRetention
from clvmodels.report import figures, retention_figures
from clvmodels.report.retention_figures import observed_rates
from clvmodels.report.sections.retention.survival import curves_of
from clvmodels.report.sections.retention.wording import (
    age,
    ends_of,
    heads,
    listed,
    model_name,
    plain,
    segment_name,
    sentences,
    share,
)
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import RetentionSource, Voice

AGEING = ("bdw", "weibull_gamma")  # models in which a customer's own chance to leave changes with age
NOTICED = 0.005  # a change of the rate that a reader of whole per cents can see


def rates(source: RetentionSource, voice: Voice) -> dict[str, Any] | None:
    """Why retention rises (or does not), and the figure; None without curves."""
    results = source.results
    if not any(_points(segment) for segment in results.segments):
        return None
    heading = voice.text("rates.heading_rises" if _rises(results) else "rates.heading")
    return {"heading": heading, "why": _why(results, voice), "figure": _figure(results, voice)}


def _points(segment: SegmentRetention) -> list[CurvePoint]:
    return [point for point in segment.curve if point.rate is not None]


def _ends(segment: SegmentRetention) -> tuple[CurvePoint, CurvePoint] | None:
    """The first rate and the last that the data reach."""
    points = _points(segment)
    seen = [point for point in points if point.seen] or points
    return (seen[0], seen[-1]) if seen else None


def _rate(point: CurvePoint) -> float:
    return 0.0 if point.rate is None else point.rate.mean or 0.0


def _rises(results: RetentionResults) -> bool:
    """Whether retention rises with age in every segment."""
    ends = [found for segment in results.segments if (found := _ends(segment)) is not None]
    return all(_rate(last) - _rate(first) > NOTICED for first, last in ends)


def _why(results: RetentionResults, voice: Voice) -> list[Markup]:
    """What a rise of the rate means, by what the model lets customers do."""
    if not _rises(results):
        return [voice.say("rates.no_rise")]
    if results.study.model not in AGEING:
        return [voice.say("rates.selection"), voice.say("rates.consequence")]
    model = model_name(results.study.model, voice)
    said = [_ageing(segment, row, voice) for segment, row in _exponents(results)]
    return [voice.say("rates.selection_and_age", model=model), *said, voice.say("rates.consequence")]


def _exponents(results: RetentionResults) -> list[tuple[str, ParameterRow]]:
    """How each customer's own chance to leave changes with age, by segment."""
    found = zip(results.fits, results.fit_segments, strict=True)
    return [
        (segment, row)
        for fit, segment in found
        if (fit.model, fit.window) == (results.study.model, "decision")
        for row in fit.parameters
        if row.name == "c"
    ]


def _ageing(segment: str, row: ParameterRow, voice: Voice) -> Markup:
    """Whether customers of a segment grow more loyal, less, or cannot be told to do either."""
    low, high = (row.mean if bound is None else bound for bound in (row.q05, row.q95))
    key = "loyal" if high < 1 else "restless" if low > 1 else "open"
    form = voice.numbers.significant
    return voice.say(
        f"rates.ageing_{key}",
        segment=segment_name(segment, voice),
        value=form(row.mean),
        range=voice.numbers.span(row.q05, row.q95, form),
    )


def _figure(results: RetentionResults, voice: Voice) -> Figure:
    words = {
        "observed": voice.text("rates.observed"),
        "model": model_name(results.study.model, voice),
        "band": str(voice.say("retention_terms.band", level=voice.level)),
        "beyond": voice.text("retention_terms.beyond"),
        "age": voice.text("rates.axis_age"),
    }
    panels = [curves_of(segment, results, voice) for segment in results.segments]
    plot = retention_figures.rates(panels, words, voice.numbers)
    both = retention_figures.panel_sizes(len(panels), height=290, narrow_height=240)
    alt = plain(voice.say("rates.alt", segments=voice.numbers.listed([panel.title for panel in panels])))
    wide, narrow = figures.draw("retention-rate", alt, plot, both)
    return Figure("retention-rate", wide, narrow, _caption(results, voice), _table(results, voice), _csv(results))


def _caption(results: RetentionResults, voice: Voice) -> Markup:
    found = [(segment.name, *ends) for segment in results.segments if (ends := _ends(segment)) is not None]
    said = [
        voice.say(
            "rates.from_to",
            segment=segment_name(name, voice),
            first=share(voice)(_rate(first)),
            last=share(voice)(_rate(last)),
            age=age(last.age, voice),
        )
        for name, first, last in ends_of(found, lambda row: _rate(row[2]))
    ]
    told = voice.say("rates.caption", segments=listed(said, voice))
    fewest = min((segment.observed[-1].at_risk for segment in results.segments if segment.observed), default=None)
    if fewest is None:
        return told
    return sentences([told, voice.say("rates.fewest", fewest=voice.count(fewest))], voice)


def _table(results: RetentionResults, voice: Voice) -> Table:
    form, rows = share(voice), []
    for segment in results.segments:
        observed = dict(observed_rates(segment.observed))
        at_risk = {row.age: row.at_risk for row in segment.observed}
        rows += [
            (
                segment_name(segment.name, voice),
                age(point.age, voice),
                voice.count(at_risk.get(point.age)),
                form(observed.get(point.age)),
                form(point.rate.mean),
                voice.numbers.interval(point.rate, form),
            )
            for point in segment.curve
            if point.rate is not None
        ]
    texts = heads("rates", ("segment", "age", "at_risk", "observed", "model", "interval"), voice)
    return Table(voice.text("rates.table"), columns(*texts), tuple(rows))


def _csv(results: RetentionResults) -> str:
    rows = []
    for segment in results.segments:
        observed = dict(observed_rates(segment.observed))
        rows += [
            [
                segment.name,
                point.age,
                point.seen,
                observed.get(point.age),
                point.rate.mean,
                point.rate.q05,
                point.rate.q95,
            ]
            for point in segment.curve
            if point.rate is not None
        ]
    return csv_of(["segment", "age", "seen", "observed", "mean", "q05", "q95"], rows)
