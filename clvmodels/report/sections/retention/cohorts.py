"""Cohorts of a purchase log: who is still active and what they bring, by cohort and age, and what comes next."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.retention_results import CohortSection
from clvmodels.report import figures, retention_figures
from clvmodels.report.retention_figures import HeatMap
from clvmodels.report.sections.headline import middle, missed
from clvmodels.report.sections.retention.wording import heads, held_too_few, plain, share, told
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import RetentionSource, Voice

DAY, MONTH = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"\d{4}-\d\d")
WIDE = 100.0  # amounts from here on have no decimal in a cell
MEASURES = ("retention", "revenue_per_active", "cumulative")
Triangle = Sequence[Sequence[float | None]]


def cohorts(source: RetentionSource, voice: Voice) -> dict[str, Any] | None:
    """Whether the forecast held, two triangles, the forecast, a new cohort by age; None without cohorts."""
    section = source.results.cohorts
    if section is None:
        return None
    return {
        "intro": voice.say(
            "cohorts.intro",
            source=section.source,
            unit=_unit(section, voice),
            customers=voice.count(sum(section.acquired)),
            cohorts=voice.count(len(section.cohorts)),
            learnt_to=period_name(section.learnt_to, voice),
        ),
        "verdict": _verdict(section, voice),
        "notes": [voice.words.name("retention_terms.notes", note) for note in section.notes],
        "figures": [
            *([_retention(section, voice), _revenue(section, voice)] if section.cohorts else []),
            *([_forecast(section, voice)] if section.points else []),
            *([_by_age(section, voice)] if section.by_age else []),
        ],
    }


def period_name(period: str, voice: Voice) -> str:
    """A calendar unit by its first day as the reader writes it; other names as they are."""
    if MONTH.fullmatch(period):
        return voice.numbers.month(f"{period}-01")
    if DAY.fullmatch(period):
        return voice.numbers.month(period) if period.endswith("-01") else voice.numbers.short_date(period)
    return period


def _unit(section: CohortSection, voice: Voice) -> str:
    return voice.text(f"units.{section.unit}.each")


def _verdict(section: CohortSection, voice: Voice) -> list[Markup]:
    """What the bands held, and whether carrying on would have done as well."""
    said = [
        voice.say(
            "cohorts.missed" if held_too_few(section.held, section.cells) else "cohorts.held",
            held=voice.count(section.held),
            cells=voice.count(section.cells),
            level=voice.level,
        )
    ]
    if {"model", "carried_on"} <= section.errors.keys():
        own, naive = section.errors["model"], section.errors["carried_on"]
        said.append(
            voice.say(
                "cohorts.beats" if own < naive else "cohorts.beaten",
                unit=_unit(section, voice),
                model=share(voice)(own),
                naive=share(voice)(naive),
            )
        )
    return said


# The triangles


def _column(section: CohortSection, triangle: Triangle, age: int) -> list[tuple[float, int]]:
    """Values at an age with the places of their cohorts."""
    return [
        (value, place)
        for place in range(len(section.cohorts))
        if len(triangle[place]) > age and (value := triangle[place][age]) is not None
    ]


def _retention(section: CohortSection, voice: Voice) -> Figure:
    """Share active by cohort and age."""
    found = _column(section, section.retention, 1)
    (low, worst), (high, best) = (min(found), max(found)) if found else ((None, 0), (None, 0))
    caption = voice.say(
        "cohorts.caption_retention",
        unit=_unit(section, voice),
        low=voice.numbers.share(low),
        worst=period_name(section.cohorts[worst], voice),
        high=voice.numbers.share(high),
        best=period_name(section.cohorts[best], voice),
    )

    def in_cell(value: float) -> str:
        return voice.numbers.decimal(100 * value)

    return _triangle("cohort-retention", section, section.retention, caption, (in_cell, share(voice)), voice)


def _revenue(section: CohortSection, voice: Voice) -> Figure:
    """Revenue per customer won by cohort and age."""
    triangle = section.revenue_per_acquired
    caption = voice.say(
        "cohorts.caption_revenue",
        unit=_unit(section, voice),
        first=voice.numbers.money(_mean_at(section, triangle, 0)),
        second=voice.numbers.money(_mean_at(section, triangle, 1)),
    )
    top = max((value for row in triangle for value in row if value is not None), default=0.0)

    def in_cell(value: float) -> str:
        return voice.numbers.decimal(value, 1) if top < WIDE else voice.numbers.axis_count(value)

    forms = (in_cell, voice.numbers.cell)
    return _triangle("cohort-revenue", section, triangle, caption, forms, voice)


def _mean_at(section: CohortSection, triangle: Triangle, age: int) -> float | None:
    """Mean at an age over the customers won by the cohorts that are known there."""
    found = [(value, section.acquired[place]) for value, place in _column(section, triangle, age)]
    won = sum(size for _, size in found)
    return sum(value * size for value, size in found) / won if won else None


def _triangle(
    key: str,
    section: CohortSection,
    triangle: Triangle,
    caption: Markup,
    forms: tuple[Callable[[float], str], Callable[[float | None], str]],
    voice: Voice,
) -> Figure:
    """A heat map and its table; the first unit, in which all are active, has no say in the colours."""
    in_cell, in_table = forms
    ages = max(len(row) for row in triangle)
    names = [period_name(cohort, voice) for cohort in section.cohorts]
    whole = [[*row, *[None] * (ages - len(row))] for row in triangle]
    later = [value for row in whole for value in row[1:] if value is not None]
    texts, said = ([["" if v is None else form(v) for v in row] for row in whole] for form in (in_cell, in_table))
    blank = [[""] * ages for _ in whole]
    heat = HeatMap(names, [str(age) for age in range(ages)], whole, texts, blank, said, max(later, default=0.0))
    words = {
        "x": str(voice.say("cohorts.axis_age", unit=_unit(section, voice))),
        "y": voice.text("cohorts.axis_cohort"),
    }
    alt = plain(voice.say(f"cohorts.alt_{key.removeprefix('cohort-')}", first=names[0], last=names[-1]))
    wide, narrow = figures.draw(
        key, alt, retention_figures.heat(heat, words), retention_figures.heat_sizes(len(names), 25)
    )
    rows = tuple(
        (name, voice.count(size), *(in_table(value) for value in row))
        for name, size, row in zip(names, section.acquired, whole, strict=True)
    )
    table = Table(
        voice.text(f"cohorts.table_{key.removeprefix('cohort-')}"),
        columns(*heads("cohorts", ("cohort", "acquired"), voice), *heat.columns),
        rows,
    )
    csv = csv_of(
        ["cohort", "acquired", *heat.columns],
        ([c, n, *row] for c, n, row in zip(section.cohorts, section.acquired, whole, strict=True)),
    )
    return Figure(key, wide, narrow, caption, table, csv)


# What comes next


def _forecast(section: CohortSection, voice: Voice) -> Figure:
    """Active customers and revenue by calendar unit."""
    points, unit = section.points, _unit(section, voice)
    labels = [period_name(point.period, voice) for point in points]
    words = {
        "actual": voice.text("cohorts.actual"),
        "expected": voice.text("cohorts.expected"),
        "band": str(voice.say("retention_terms.band", level=voice.level)),
        "active": str(voice.say("cohorts.active_title", unit=unit)),
        "revenue": str(voice.say("cohorts.revenue_title", unit=unit)),
    }
    later = [point for point in points if point.holdout]
    active = [(point.active_forecast, point.active) for point in later]
    revenue = [(point.revenue_forecast, point.revenue) for point in later]
    caption = voice.say(
        "cohorts.caption_forecast",
        count=voice.count(sum(value is not None for _, value in active)),
        unit=unit,
        level=voice.level,
        active=voice.count(_inside(active)),
        revenue=voice.count(_inside(revenue)),
    )
    plot = retention_figures.cohort_forecast(points, labels, words, voice.numbers)
    both = figures.sizes(2, height=290, narrow_height=230)
    alt = plain(voice.say("cohorts.alt_forecast", first=labels[0], last=labels[-1]))
    wide, narrow = figures.draw("cohort-forecast", alt, plot, both)
    return Figure(
        "cohort-forecast", wide, narrow, caption, _forecast_table(section, labels, voice), _forecast_csv(section)
    )


def _inside(pairs: Sequence[tuple[Estimate | None, float | None]]) -> int:
    return sum(
        forecast is not None and actual is not None and not missed(forecast, actual) for forecast, actual in pairs
    )


def _forecast_table(section: CohortSection, labels: Sequence[str], voice: Voice) -> Table:
    none = voice.numbers.decimal(None)

    def forecast(estimate: Estimate | None, form: Callable[[float | None], str]) -> str:
        return none if estimate is None else told(estimate, form, voice)

    rows = tuple(
        (
            label,
            voice.count(point.active),
            forecast(point.active_forecast, voice.count),
            voice.numbers.cell(point.revenue),
            forecast(point.revenue_forecast, voice.numbers.cell),
        )
        for label, point in zip(labels, section.points, strict=True)
    )
    texts = heads("cohorts", ("period", "active", "active_forecast", "revenue", "revenue_forecast"), voice)
    return Table(voice.text("cohorts.table_forecast"), columns(*texts), rows)


def _forecast_csv(section: CohortSection) -> str:
    nothing = Estimate(None, None, None, None, None)
    rows = []
    for p in section.points:
        active, revenue = p.active_forecast or nothing, p.revenue_forecast or nothing
        forecasts = [n for e in (active, revenue) for n in (e.mean, e.q05, e.q95)]
        rows.append([p.period, p.holdout, p.active, p.revenue, *forecasts])
    parts = [f"{name}_{number}" for name in ("active", "revenue") for number in ("mean", "q05", "q95")]
    return csv_of(["period", "holdout", "active", "revenue", *parts], rows)


def _by_age(section: CohortSection, voice: Voice) -> Figure:
    """A new cohort: share active, revenue of those active, and what a customer won has brought by then."""
    first, last = section.by_age[0], section.by_age[-1]
    money = voice.numbers.money
    early, late = middle(first.cumulative), middle(last.cumulative)
    caption = voice.say(
        "cohorts.caption_by_age",
        unit=_unit(section, voice),
        length=voice.numbers.length(last.age + 1, section.unit),
        cumulative=money(late),
        range=voice.numbers.interval(last.cumulative, money),
        share=voice.numbers.share(early / late if early is not None and late else None),
    )
    words = {
        "expected": voice.text("cohorts.expected"),
        "band": str(voice.say("retention_terms.band", level=voice.level)),
        "x": str(voice.say("cohorts.axis_age", unit=_unit(section, voice))),
    }
    titles = {name: voice.text(f"cohorts.title_{name}") for name in MEASURES}
    plot = retention_figures.by_age(section.by_age, titles, words, voice.numbers)
    both = retention_figures.row_sizes(len(titles), height=250, narrow_height=190)
    alt = voice.text("cohorts.alt_by_age")
    wide, narrow = figures.draw("cohort-by-age", alt, plot, both)
    return Figure("cohort-by-age", wide, narrow, caption, _by_age_table(section, voice), _by_age_csv(section))


def _by_age_table(section: CohortSection, voice: Voice) -> Table:
    cell = voice.numbers.cell
    rows = tuple(
        (
            voice.count(point.age),
            told(point.retention, share(voice), voice),
            told(point.revenue_per_active, cell, voice),
            told(point.revenue_per_acquired, cell, voice),
            told(point.cumulative, cell, voice),
        )
        for point in section.by_age
    )
    names = ("age", "retention", "revenue_per_active", "revenue_per_acquired", "cumulative")
    return Table(voice.text("cohorts.table_by_age"), columns(*heads("cohorts", names, voice)), rows)


def _by_age_csv(section: CohortSection) -> str:
    parts = ("retention", "revenue_per_active", "revenue_per_acquired", "cumulative")
    rows = (
        [point.age, *(n for part in parts if (e := getattr(point, part)) for n in (e.mean, e.q05, e.q95))]
        for point in section.by_age
    )
    return csv_of(["age", *(f"{part}_{number}" for part in parts for number in ("mean", "q05", "q95"))], rows)
