"""The forecast held against a holdout that it did not see: totals, tracking, calibration, coverage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import CoverageRow, EvidenceSection, TrackingPoint
from clvmodels.report import figures
from clvmodels.report.sections.drift import conformal, drift
from clvmodels.report.sections.headline import missed
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import LEVEL, Source, Voice

Form = Callable[[float | None], str]


@dataclass(frozen=True)
class Bin:
    """A bar of both PIT histograms: it begins at `start`; shares of customers for purchases and for spend."""

    start: float
    purchases: float
    spend: float


@dataclass(frozen=True)
class Comparison:
    """A row of the calibration table, of either panel."""

    group: str
    customers: int | None
    actual: float
    expected: float
    low: float
    high: float


def evidence(source: Source, voice: Voice) -> dict[str, Any]:
    """Totals against their intervals, figures, coverage."""
    results = source.results
    section, data = results.evidence, results.data
    totals = (
        ("purchases", section.purchases, float(section.actual_purchases), voice.numbers.decimal),
        ("spend", section.spend, section.actual_spend, voice.numbers.money),
    )
    return {
        "intro": voice.say(
            "evidence.intro",
            calibration_end=voice.numbers.date(data.calibration_end),
            length=voice.length(data.holdout_length),
            holdout_end=voice.numbers.date(data.holdout_end),
        ),
        "totals": [_total(*total, voice) for total in totals],
        "verdict": _verdict(totals, voice),
        "tracking": _tracking_figure(section.tracking, voice) if section.tracking else None,
        "calibration": _calibration_figure(section, voice) if section.by_frequency else None,
        "drift": drift(results, voice),
        "coverage": _coverage(section.coverage, voice),
        "conformal": conformal(section, voice),
        "pit": _pit_figure(section, voice) if section.pit_purchases else None,
    }


def _gap(forecast: float | None, actual: float) -> float | None:
    """By what share of its forecast an actual lies above or below it; None where there is no such share."""
    return abs(actual / forecast - 1) if forecast else None


def _miss(forecast: float, actual: float, voice: Voice) -> dict[str, str]:
    """By how much an actual lies above or below its forecast, in words."""
    side = "above" if actual >= forecast else "below"
    return {"miss": voice.numbers.share(_gap(forecast, actual), 1), "side": voice.text(f"evidence.{side}")}


def _total(outcome: str, forecast: Estimate, actual: float, form: Form, voice: Voice) -> dict[str, Any]:
    outside = missed(forecast, actual)
    return {
        "name": voice.text(f"evidence.{outcome}"),
        "actual": form(actual),
        "forecast": voice.say(
            "evidence.forecast",
            value=form(forecast.mean),
            level=voice.level,
            range=voice.numbers.interval(forecast, form),
        ),
        "verdict": _place(forecast, actual, voice),
        "outside": outside,
    }


def _place(forecast: Estimate, actual: float, voice: Voice) -> Markup:
    """Whether an actual lies in its interval, and how far from the mean where there is one."""
    key = "evidence.outside" if missed(forecast, actual) else "evidence.inside"
    if not forecast.mean:
        return voice.say(f"{key}_alone")
    return voice.say(key, **_miss(forecast.mean, actual, voice))


def _verdict(totals: Sequence[tuple[str, Estimate, float, Form]], voice: Voice) -> Markup:
    out = [(outcome, forecast, actual) for outcome, forecast, actual, _ in totals if missed(forecast, actual)]
    if not out:
        return voice.say("evidence.inside_text")
    gaps = [gap for _, forecast, actual in out if (gap := _gap(forecast.mean, actual)) is not None]
    names = voice.numbers.listed([voice.text(f"evidence.{outcome}") for outcome, _, _ in out])
    return voice.say("evidence.outside_text", outcome=names, miss=voice.numbers.share(max(gaps, default=None)))


def _each(voice: Voice) -> str:
    return voice.text(f"units.{voice.unit}.each")


def _tracking_figure(points: Sequence[TrackingPoint], voice: Voice) -> Figure:
    numbers, last = voice.numbers, points[-1]
    banded = [point for point in points if point.low is not None and point.high is not None]
    inside = sum(point.low <= point.actual <= point.high for point in banded)  # type: ignore[operator]
    caption = voice.say(
        "evidence.caption_tracking",
        expected=voice.count(last.cumulative_expected),
        actual=voice.count(last.cumulative_actual),
        **_miss(last.cumulative_expected, last.cumulative_actual, voice),
        inside=voice.count(inside),
        periods=voice.count(len(banded)),
        level=voice.level,
    )
    first_day, last_day = numbers.date(points[0].end), numbers.date(last.end)
    alt = voice.say("evidence.alt_tracking", unit=_each(voice), first=first_day, last=last_day)
    words = {
        "title": str(voice.say("evidence.track_title", unit=_each(voice))),
        "cumulative_title": voice.text("evidence.track_cumulative"),
        "actual": voice.text("evidence.track_actual"),
        "expected": voice.text("evidence.track_expected"),
        "band": str(voice.say("evidence.track_band", level=voice.level)),
    }
    labels = [numbers.month(point.end) for point in points]
    plot = figures.tracking(points, labels, words, numbers)
    wide, narrow = figures.draw("tracking", alt, plot, figures.sizes(2, height=330, narrow_height=270))
    return Figure("tracking", wide, narrow, caption, _tracking_table(points, voice), csv_link(points))


def _tracking_table(points: Sequence[TrackingPoint], voice: Voice) -> Table:
    form = voice.numbers.decimal
    heads = (
        "period",
        "actual",
        "expected",
        "range",
        "cumulative_actual",
        "cumulative_expected",
        "cumulative_range",
    )
    rows = tuple(
        (
            voice.numbers.short_date(point.end),
            form(point.actual),
            form(point.expected),
            voice.numbers.span(point.low, point.high, form),
            form(point.cumulative_actual),
            form(point.cumulative_expected),
            voice.numbers.span(point.cumulative_low, point.cumulative_high, form),
        )
        for point in points
    )
    texts = [str(voice.say(f"evidence.head_{head}", level=voice.level)) for head in heads]
    return Table(voice.text("evidence.table_tracking"), columns(*texts), rows)


def _calibration_figure(section: EvidenceSection, voice: Voice) -> Figure:
    groups, counts = section.by_frequency, section.counts
    zero = next((row for row in counts if row.count == "0"), None)
    caption = voice.say(
        "evidence.caption_calibration",
        inside=voice.count(sum(row.low <= row.actual <= row.high for row in groups)),
        groups=voice.count(len(groups)),
        level=voice.level,
        zero_actual=voice.count(zero.actual if zero else None),
        zero_expected=voice.count(zero.expected if zero else None),
    )
    words = {
        "groups": voice.text("evidence.groups_title"),
        "group": voice.text("evidence.groups_axis"),
        "counts": voice.text("evidence.counts_title"),
        "count": voice.text("evidence.counts_axis"),
        "expected": voice.text("evidence.track_expected"),
        "actual": voice.text("evidence.track_actual"),
        "band": str(voice.say("evidence.track_band", level=voice.level)),
    }
    plot = figures.calibration(groups, counts, words, voice.numbers)
    both = figures.sizes(2, height=330, narrow_height=270)
    wide, narrow = figures.draw("calibration", voice.text("evidence.alt_calibration"), plot, both)
    rows = _comparisons(section, voice)
    return Figure("calibration", wide, narrow, caption, _calibration_table(rows, voice), csv_link(rows))


def _comparisons(section: EvidenceSection, voice: Voice) -> list[Comparison]:
    groups = [
        Comparison(
            str(voice.say("evidence.row_group", group=row.group)),
            row.customers,
            row.actual,
            row.expected,
            row.low,
            row.high,
        )
        for row in section.by_frequency
    ]
    counts = [
        Comparison(
            str(voice.say("evidence.row_count", count=row.count)),
            None,
            row.actual,
            row.expected,
            row.low,
            row.high,
        )
        for row in section.counts
    ]
    return [*groups, *counts]


def _calibration_table(rows: Sequence[Comparison], voice: Voice) -> Table:
    def form(value: float | None) -> str:
        return voice.numbers.significant(value) if value is not None and value < 100 else voice.count(value)

    body = tuple(
        (
            row.group,
            voice.count(row.customers),
            form(row.actual),
            form(row.expected),
            voice.numbers.span(row.low, row.high, form),
        )
        for row in rows
    )
    heads = ("group", "customers", "actual", "expected", "range")
    texts = [str(voice.say(f"evidence.head_{head}", level=voice.level)) for head in heads]
    return Table(voice.text("evidence.table_calibration"), columns(*texts), body)


def _coverage(rows: Sequence[CoverageRow], voice: Voice) -> dict[str, Any]:
    share = voice.numbers.share
    at_level = {row.outcome: share(row.covered, 1) for row in rows if abs(row.probability - LEVEL) < 1e-9}
    short = [
        str(
            voice.say(
                "evidence.coverage_row",
                outcome=voice.text(f"evidence.{row.outcome}"),
                stated=voice.numbers.setting(row.probability),
                covered=share(row.covered, 1),
            )
        )
        for row in rows
        if row.high < row.probability
    ]
    body = tuple(
        (
            voice.text(f"evidence.{row.outcome}"),
            voice.numbers.setting(row.probability),
            share(row.covered, 1),
            voice.numbers.span(row.low, row.high, lambda value: share(value, 1)),
        )
        for row in rows
    )
    heads = ("outcome", "stated", "covered", "covered_range")
    texts = [str(voice.say(f"evidence.head_{head}", level=voice.level)) for head in heads]
    return {
        "text": voice.say("evidence.coverage_text", level=voice.level, **at_level) if len(at_level) == 2 else "",
        "short": voice.say("evidence.coverage_short", rows=voice.numbers.listed(short)) if short else "",
        "table": Table(voice.text("evidence.table_coverage"), columns(*texts), body) if body else None,
    }


def _pit_figure(section: EvidenceSection, voice: Voice) -> Figure:
    shares = {"purchases": section.pit_purchases, "spend": section.pit_spend}
    form = voice.numbers.share

    def worst(bars: Sequence[float]) -> str:
        return form(max(bars, key=lambda bar: abs(bar - 1 / len(bars))), 1)

    caption = voice.say(
        "evidence.caption_pit",
        worst_purchases=worst(section.pit_purchases),
        worst_spend=worst(section.pit_spend),
        level_purchases=form(1 / len(section.pit_purchases)),
        level_spend=form(1 / len(section.pit_spend)),
    )
    words = {key: voice.text(f"evidence.pit_{key}") for key in (*shares, "axis")}
    plot = figures.pit(shares, words, voice.numbers)
    both = figures.sizes(2, height=250, narrow_height=210)
    wide, narrow = figures.draw("pit", voice.text("evidence.alt_pit"), plot, both)
    rows = [
        Bin(position / len(section.pit_purchases), purchases, spend)
        for position, (purchases, spend) in enumerate(zip(section.pit_purchases, section.pit_spend, strict=False))
    ]
    body = tuple((form(row.start), form(row.purchases, 1), form(row.spend, 1)) for row in rows)
    texts = (voice.text("evidence.head_bin"), words["purchases"], words["spend"])
    table = Table(voice.text("evidence.table_pit"), columns(*texts), body)
    return Figure("pit", wide, narrow, caption, table, csv_link(rows))
