"""Does the base buy as it did? The check, totals with a drift of demand, and intervals set right by past days."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import ConformalRow, DriftCheck, EvidenceSection, StudyResults, TotalCheck
from clvmodels.report import figures
from clvmodels.report.drift_figures import drift as drift_figure
from clvmodels.report.sections.headline import missed
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import Voice


def drift(results: StudyResults, voice: Voice) -> dict[str, Any] | None:
    """Verdict, figure and totals; what was said where it could not be worked out; None where it was not tried."""
    section = results.evidence
    if section.drift is None:
        message = section.left_out.get("drift")
        return None if message is None else {"left_out": voice.say("drift.left_out", message=message)}
    return {
        "left_out": "",
        "intro": voice.say(
            "drift.intro",
            unit=_each(section.drift, voice),
            calibration_end=voice.numbers.date(results.data.calibration_end),
        ),
        "verdict": _verdict(section.drift, voice),
        "which": _which(section.drift, voice),
        "figure": _figure(section.drift, results.data.calibration_end, voice),
        "totals_text": voice.say(f"drift.totals_{'flagged' if section.drift.drifts else 'steady'}", level=voice.level),
        "totals": _totals(section, voice),
    }


def _each(check: DriftCheck, voice: Voice) -> str:
    return voice.text(f"units.{check.unit}.each")


def _verdict(check: DriftCheck, voice: Voice) -> Markup:
    return voice.say(
        "drift.flagged" if check.drifts else "drift.steady",
        unit=_each(check, voice),
        p=voice.numbers.share(check.p_value, 1),
        threshold=voice.numbers.setting(check.threshold),
        replicates=voice.count(check.replicates),
    )


def _which(check: DriftCheck, voice: Voice) -> list[Markup]:
    """Whether the level moves or single periods stand out, where there is a drift at all."""
    found = {"level": check.level_p, "single": check.single_p} if check.drifts else {}
    return [
        voice.say(f"drift.{key}", unit=_each(check, voice), p=voice.numbers.share(p, 1))
        for key, p in found.items()
        if p < check.threshold
    ]


def _figure(check: DriftCheck, calibration_end: str, voice: Voice) -> Figure:
    last = dt.date.fromisoformat(calibration_end)
    ends = [(last - dt.timedelta(days=period.end)).isoformat() for period in check.periods]
    outside = sum(not period.low <= period.actual <= period.high for period in check.periods)
    unit = _each(check, voice)
    caption = voice.say(
        "drift.caption",
        outside=voice.count(outside),
        periods=voice.count(len(check.periods)),
        unit=unit,
        level=voice.level,
    )
    alt = voice.say("drift.alt", unit=unit, first=voice.numbers.date(ends[0]), last=voice.numbers.date(ends[-1]))
    words = {
        "title": str(voice.say("evidence.track_title", unit=unit)),
        "actual": voice.text("evidence.track_actual"),
        "expected": voice.text("drift.expected"),
        "band": str(voice.say("drift.band", level=voice.level)),
    }
    plot = drift_figure(check.periods, [voice.numbers.month(end) for end in ends], words, voice.numbers)
    wide, narrow = figures.draw("drift", alt, plot, figures.sizes(1, height=300, narrow_height=290))
    return Figure("drift", wide, narrow, caption, _periods(check, ends, voice), csv_link(check.periods))


def _periods(check: DriftCheck, ends: Sequence[str], voice: Voice) -> Table:
    form = voice.numbers.decimal
    rows = tuple(
        (
            voice.numbers.short_date(end),
            form(row.actual),
            form(row.expected),
            voice.numbers.span(row.low, row.high, form),
        )
        for end, row in zip(ends, check.periods, strict=True)
    )
    heads = [voice.text("evidence.head_period"), voice.text("evidence.head_actual"), voice.text("drift.head_expected")]
    band = str(voice.say("drift.band", level=voice.level))
    return Table(voice.text("drift.table_periods"), columns(*heads, band), rows)


def _totals(section: EvidenceSection, voice: Voice) -> Table:
    """What was forecast without and with a drift, and what came; the forecast without is that of the page."""
    steady = {"purchases": section.purchases, "spend": section.spend}
    rows = tuple(_total(row, steady[row.outcome], voice) for row in section.totals)
    heads = [str(voice.say(f"drift.head_{head}", level=voice.level)) for head in ("outcome", "came", "steady", "moved")]
    return Table(voice.text("drift.table_totals"), columns(*heads), rows)


def _total(row: TotalCheck, steady: Estimate, voice: Voice) -> tuple[str, ...]:
    form = voice.numbers.decimal if row.outcome == "purchases" else voice.numbers.money

    def cell(forecast: Estimate | None) -> str:
        if forecast is None:
            return voice.count(None)
        key = "drift.missed" if missed(forecast, row.actual) else "drift.held"
        return str(voice.say(key, range=voice.numbers.interval(forecast, form)))

    return voice.text(f"evidence.{row.outcome}"), form(row.actual), cell(steady), cell(row.drifting)


def conformal(section: EvidenceSection, voice: Voice) -> dict[str, Any] | None:
    """Coverage of customers' intervals before and after; what was said without; None where it was not tried."""
    if not section.conformal:
        message = section.left_out.get("conformal")
        said = "" if message is None else voice.say("drift.conformal_left_out", message=message)
        return {"text": said, "promise": "", "table": None} if said else None
    first = section.conformal[0]
    drifts = section.drift is not None and section.drift.drifts
    return {
        "text": voice.say(
            "drift.conformal_text",
            customers=voice.count(first.customers),
            stated=voice.numbers.setting(first.probability),
        ),
        "promise": voice.text(f"drift.promise_{'flagged' if drifts else 'steady'}"),
        "table": _conformal_table(section.conformal, voice),
    }


def _conformal_table(rows: Sequence[ConformalRow], voice: Voice) -> Table:
    numbers = voice.numbers

    def held(share: float, low: float, high: float) -> str:
        return str(voice.say("drift.share", share=numbers.share(share, 1), range=numbers.span(low, high, _precise)))

    def _precise(value: float | None) -> str:
        return numbers.share(value, 1)

    body = []
    for row in rows:
        form = numbers.significant if row.quantity == "purchases" else numbers.money
        body.append(
            (
                voice.text(f"evidence.{row.quantity}"),
                held(row.before, row.before_low, row.before_high),
                held(row.after, row.after_low, row.after_high),
                form(row.before_width),
                form(row.after_width),
            )
        )
    heads = [voice.text(f"drift.head_{head}") for head in ("before", "after", "width_before", "width_after")]
    return Table(voice.text("drift.table_conformal"), columns(voice.text("evidence.head_outcome"), *heads), tuple(body))
