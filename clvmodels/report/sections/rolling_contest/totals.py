"""Totals over all customers against what came, with and without moving demand, and whether the base buys as before."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import DriftCheck, TotalCheck, TotalCoverage
from clvmodels.report import contest_figures, figures
from clvmodels.report.contest_figures import TotalsPanel
from clvmodels.report.sections.retention.wording import plain
from clvmodels.report.sections.rolling_contest.wording import (
    data_title,
    heads,
    voice_for_data,
)
from clvmodels.report.tables import Figure, Table, columns, csv_link, csv_of, with_interval
from clvmodels.report.voice import LEVEL, ContestSource, Voice

KINDS = ("stationary", "drifting")


def contest_totals(source: ContestSource, voice: Voice) -> dict[str, Any] | None:
    """Verdict on drift, figures of totals, coverage, customers' intervals set right; a part a data set."""
    parts = [
        _part(place, data, voice_for_data(data, voice))
        for place, data in enumerate(source.results.data, start=1)
        if data.totals or data.drift or data.conformal
    ]
    return {"intro": voice.say("contest_totals.intro", level=voice.level), "data": parts} if parts else None


def _part(place: int, data: ContestData, voice: Voice) -> dict[str, Any]:
    return {
        "title": data_title(data, voice),
        "drift_said": _drift_said(data.drift, voice) if data.drift else "",
        "drift": _drift_figure(place, data, data.drift, voice) if data.drift else None,
        "coverage_said": [_covered(row, voice) for row in data.total_coverage if row.outcome == "purchases"],
        "figure": _figure(place, data, voice) if data.totals else None,
        "coverage": _coverage_table(data, voice) if data.total_coverage else None,
        "conformal": _conformal_table(data, voice) if data.conformal else None,
        "conformal_said": _conformal_said(data, voice),
    }


# Does the base buy as before?


def _drift_said(check: DriftCheck, voice: Voice) -> Markup:
    return voice.say(
        "contest_totals.drifts" if check.drifts else "contest_totals.steady",
        p=voice.numbers.significant(check.p_value, 2),
        threshold=voice.numbers.setting(check.threshold),
        level_p=voice.numbers.significant(check.level_p, 2),
        single_p=voice.numbers.significant(check.single_p, 2),
        replicates=voice.count(check.replicates),
        model=voice.words.name("rivals.models", check.model),
    )


def _drift_figure(place: int, data: ContestData, check: DriftCheck, voice: Voice) -> Figure:
    key = f"drift-{place}"
    end = dt.date.fromisoformat(data.panel_end)
    days = [(end - dt.timedelta(days=period.end)).isoformat() for period in check.periods]
    outside = sum(not period.low <= period.actual <= period.high for period in check.periods)
    words = {
        "actual": voice.text("evidence.track_actual"),
        "expected": voice.text("contest_totals.expected"),
        "band": str(voice.say("evidence.track_band", level=voice.level)),
    }
    plot = contest_figures.drift(check.periods, [voice.numbers.month(day) for day in days], words, voice.numbers)
    alt = plain(voice.say("contest_totals.alt_drift", data=data_title(data, voice)))
    wide, narrow = figures.draw(key, alt, plot, figures.sizes(1, height=260, narrow_height=230))
    caption = voice.say(
        "contest_totals.caption_drift",
        outside=voice.count(outside),
        periods=voice.count(len(check.periods)),
        level=voice.level,
        unit=voice.text(f"units.{check.unit}.each"),
    )
    rows = tuple(
        (
            voice.numbers.short_date(day),
            voice.count(period.actual),
            voice.count(period.expected),
            voice.numbers.span(period.low, period.high, voice.count),
        )
        for day, period in zip(days, check.periods, strict=True)
    )
    texts = heads("evidence", ("period", "actual", "expected", "range"), voice)
    return Figure(
        key,
        wide,
        narrow,
        caption,
        Table(voice.text("contest_totals.table_drift"), columns(*texts), rows),
        csv_link(check.periods),
    )


# Totals


def _form(outcome: str, voice: Voice) -> Callable[[float | None], str]:
    return voice.numbers.cell if outcome == "spend" else voice.count


def _figure(place: int, data: ContestData, voice: Voice) -> Figure:
    """Totals of purchases as a picture; the table beside it has those of spend too."""
    key = f"totals-{place}"
    in_table = {at: check for at, check in enumerate(data.totals) if check.outcome == data.totals[0].outcome}
    checks = list(in_table.values())
    horizons = list(dict.fromkeys(_horizon(check, data) for check in checks))
    panels = [
        _panel(horizon, {at: c for at, c in in_table.items() if _horizon(c, data) == horizon}, voice)
        for horizon in horizons
    ]
    words = {kind: voice.text(f"contest_totals.{kind}") for kind in KINDS}
    words["actual"] = voice.text("contest_totals.head_actual")
    plot = contest_figures.totals(panels, words, voice.numbers.axis_count)
    name = voice.text(f"contest_terms.outcomes.{checks[0].outcome}")
    alt = plain(voice.say("contest_totals.alt", data=data_title(data, voice), outcome=name))
    wide, narrow = figures.draw(key, alt, plot, contest_figures.lines_sizes(len(panels)))
    caption = voice.say(
        "contest_totals.caption",
        outcome=name,
        model=voice.words.name("rivals.models", data.total_model),
        windows=voice.count(len(checks)),
        stationary=voice.count(sum(_holds(check.stationary, check.actual) for check in checks)),
        drifting=voice.count(sum(_holds(check.drifting, check.actual) for check in checks)),
        level=voice.level,
    )
    return Figure(key, wide, narrow, caption, _table(data.totals, voice), _csv(data.totals))


def _holds(estimate: Estimate | None, actual: float) -> bool:
    if estimate is None or estimate.q05 is None or estimate.q95 is None:
        return False
    return estimate.q05 <= actual <= estimate.q95


def _horizon(check: TotalCheck, data: ContestData) -> float:
    """The horizon of the contest that a window belongs to: months, and so windows, differ by days."""
    return min((section.horizon for section in data.contests), key=lambda horizon: abs(horizon - check.horizon))


def _panel(horizon: float, in_table: dict[int, TotalCheck], voice: Voice) -> TotalsPanel:
    """Checks by their rows of the table."""
    checks = list(in_table.values())
    return TotalsPanel(
        title=voice.numbers.length(round(horizon, 1), checks[0].unit),
        dates=[voice.numbers.month(check.calibration_end) for check in checks],
        checks=checks,
        rows=list(in_table),
    )


def _table(checks: list[TotalCheck], voice: Voice) -> Table:
    """Windows in rows; those whose total lies outside the wider interval are set apart."""
    rows = tuple(
        (
            voice.text(f"contest_terms.outcomes.{check.outcome}"),
            voice.numbers.short_date(check.calibration_end),
            voice.numbers.length(round(check.horizon, 1), check.unit),
            _form(check.outcome, voice)(check.actual),
            *(_told(getattr(check, kind), _form(check.outcome, voice), voice) for kind in KINDS),
        )
        for check in checks
    )
    missed = frozenset(
        place for place, check in enumerate(checks) if not _holds(check.drifting or check.stationary, check.actual)
    )
    texts = heads("contest_totals", ("outcome", "from", "horizon", "actual", *KINDS), voice)
    return Table(voice.text("contest_totals.table"), columns(*texts), rows, missed)


def _told(estimate: Estimate | None, form: Callable[[float | None], str], voice: Voice) -> str:
    if estimate is None:
        return voice.count(None)
    return with_interval(form(estimate.q50), voice.numbers.interval(estimate, form))


def _csv(checks: list[TotalCheck]) -> str:
    names = ("outcome", "calibration_end", "holdout_end", "actual")
    ends = [f"{kind}_{end}" for kind in KINDS for end in ("q05", "q50", "q95")]
    rows = (
        [
            *(getattr(check, name) for name in names),
            *(getattr(getattr(check, kind), end, None) for kind in KINDS for end in ("q05", "q50", "q95")),
        ]
        for check in checks
    )
    return csv_of([*names, *ends], rows)


def _covered(row: TotalCoverage, voice: Voice) -> Markup:
    """Windows with their total inside, and how little few windows say."""
    share = voice.numbers.share
    return voice.say(
        f"contest_totals.covered_{row.method}",
        inside=voice.count(row.inside),
        windows=voice.count(row.windows),
        horizon=voice.numbers.length(round(row.horizon, 1), row.unit),
        apart=voice.count(row.apart),
        low=share(row.low),
        high=share(row.high),
        level=voice.level,
    )


def _coverage_table(data: ContestData, voice: Voice) -> Table:
    share = voice.numbers.share
    rows = tuple(
        (
            voice.text(f"contest_terms.outcomes.{row.outcome}"),
            voice.numbers.length(round(row.horizon, 1), row.unit),
            voice.text(f"contest_totals.{row.method}"),
            voice.count(row.windows),
            voice.count(row.apart),
            voice.count(row.inside),
            voice.numbers.span(row.low, row.high, share),
            share(row.width),
        )
        for row in data.total_coverage
    )
    names = ("outcome", "horizon", "kind", "windows", "apart", "inside", "share", "width")
    return Table(
        voice.text("contest_totals.table_coverage"), columns(*heads("contest_totals", names, voice), words=3), rows
    )


# Customers' intervals, before and after an inner holdout set them right


def _conformal_said(data: ContestData, voice: Voice) -> list[Markup]:
    share = voice.numbers.share
    return [
        voice.say(
            "contest_totals.conformal_said",
            outcome=voice.text(f"contest_terms.outcomes.{row.quantity}"),
            stated=voice.numbers.setting(row.probability),
            before=share(row.before, 1),
            after=share(row.after, 1),
        )
        for row in data.conformal
        if abs(row.probability - LEVEL) < 1e-9
    ]


def _conformal_table(data: ContestData, voice: Voice) -> Table:
    share = voice.numbers.share
    rows = []
    for row in data.conformal:
        form = voice.numbers.cell if row.quantity == "spend" else voice.numbers.significant
        cells = [
            with_interval(
                share(getattr(row, time), 1),
                voice.numbers.span(
                    getattr(row, f"{time}_low"), getattr(row, f"{time}_high"), lambda value: share(value, 1)
                ),
            )
            for time in ("before", "after")
        ]
        rows.append(
            (
                voice.text(f"contest_terms.outcomes.{row.quantity}"),
                voice.numbers.setting(row.probability),
                *cells,
                form(row.before_width),
                form(row.after_width),
            )
        )
    names = ("outcome", "stated", "before", "after", "before_width", "after_width")
    return Table(
        voice.text("contest_totals.table_conformal"), columns(*heads("contest_totals", names, voice)), tuple(rows)
    )
