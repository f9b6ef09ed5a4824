"""The log month by month, with those that the ends of the log cut off."""

import calendar
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import Period, StudyResults
from clvmodels.report import figures, quality_figures
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import Source, Voice


@dataclass(frozen=True)
class Month:
    """A calendar month of the log: the days that the log may cover, and what they brought."""

    start: str
    days: int
    covered: int
    purchases: int
    new_customers: int
    active_customers: int
    revenue: float

    @property
    def partial(self) -> bool:
        """Whether the log begins or ends within it."""
        return self.covered < self.days


def months(source: Source, voice: Voice) -> dict[str, Any] | None:
    """A sentence on the ends of the log, and the figure; None where the history is not by month."""
    results = source.results
    if not results.history or not all(period.start.endswith("-01") for period in results.history):
        return None
    found = months_of(results)
    return {"ends": _ends(found, results, voice), "figure": _figure(found, voice)}


def months_of(results: StudyResults) -> list[Month]:
    """The history's months with the days of each that lie between the log's first and last purchase."""
    first, last = (dt.date.fromisoformat(day) for day in (results.data.first_date, results.data.last_date))
    return [_month(period, first, last) for period in results.history]


def _month(period: Period, first: dt.date, last: dt.date) -> Month:
    start = dt.date.fromisoformat(period.start)
    days = calendar.monthrange(start.year, start.month)[1]
    end = start + dt.timedelta(days=days - 1)
    return Month(
        start=period.start,
        days=days,
        covered=(min(end, last) - max(start, first)).days + 1,
        purchases=period.new_customers + period.repeat_purchases,
        new_customers=period.new_customers,
        active_customers=period.active_customers,
        revenue=period.first_amount + period.repeat_amount,
    )


def _ends(found: Sequence[Month], results: StudyResults, voice: Voice) -> list[Markup]:
    cut = [month for month in dict.fromkeys((found[0], found[-1])) if month.partial]
    if not cut:
        return [voice.say("quality.whole_months")]
    return [
        voice.say(
            "quality.cut_month",
            month=voice.numbers.month(month.start),
            covered=voice.count(month.covered),
            days=voice.count(month.days),
            first=voice.numbers.date(results.data.first_date),
            last=voice.numbers.date(results.data.last_date),
        )
        for month in cut
    ]


def _figure(found: Sequence[Month], voice: Voice) -> Figure:
    name = voice.numbers.month
    peak = max(found, key=lambda month: month.revenue)
    caption = voice.say(
        "quality.caption_months",
        peak=name(peak.start),
        peak_revenue=voice.numbers.compact(peak.revenue),
        last=name(found[-1].start),
        last_revenue=voice.numbers.compact(found[-1].revenue),
        covered=voice.count(found[-1].covered),
        days=voice.count(found[-1].days),
    )
    alt = voice.say("quality.alt_months", first=name(found[0].start), last=name(found[-1].start))
    words = {key: voice.text(f"quality.{key}") for key in ("month_purchases", "month_revenue", "whole", "partial")}
    plot = quality_figures.months(
        {"month_purchases": [month.purchases for month in found], "month_revenue": [month.revenue for month in found]},
        [month.partial for month in found],
        [name(month.start) for month in found],
        words,
        voice.numbers,
    )
    wide, narrow = figures.draw("months", alt, plot, figures.sizes(2, height=270, narrow_height=220))
    return Figure("months", wide, narrow, caption, _table(found, voice), csv_link(found))


def _table(found: Sequence[Month], voice: Voice) -> Table:
    heads = ("month", "covered", "occasions", "new", "active", "revenue")
    rows = tuple(
        (
            voice.numbers.month(month.start),
            str(voice.say("quality.covered", covered=voice.count(month.covered), days=voice.count(month.days))),
            voice.count(month.purchases),
            voice.count(month.new_customers),
            voice.count(month.active_customers),
            voice.numbers.cell(month.revenue),
        )
        for month in found
    )
    texts = [voice.text(f"quality.head_{head}") for head in heads]
    marked = frozenset(place for place, month in enumerate(found) if month.partial)
    return Table(voice.text("quality.table_months"), columns(*texts), rows, marked)
