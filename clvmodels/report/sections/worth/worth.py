"""What the base has brought and will bring: past, future, customers still to come, cash flow, parts, segments."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import EquityRow, MoneySection, NewCustomers, PartRow
from clvmodels.foundation.results import StudyResults
from clvmodels.report import decision_figures, retention_figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.parts import class_names, figure_of, flat_csv, ratio, shortened, table_of
from clvmodels.report.sections.retention.wording import told
from clvmodels.report.sections.worth.cash_flow import cash_flow
from clvmodels.report.tables import Figure, Table, columns
from clvmodels.report.voice import Source, Voice

DRAWN_ELSEWHERE = ("cell", "tier", "stage")  # with figures of their own, in the sections on them
WHOLE = ("first_purchase", "repeat_purchases")
MOST_SEGMENTS = 12  # of a figure; its table has them all
SEGMENT_HEADS = ("segment", "customers", "past", "current", "equity", "equity_share")


def worth(source: Source, voice: Voice) -> dict[str, Any] | None:
    """Sentences on past and future, the cash flow, the parts of past value, and the segments."""
    results = source.results
    money = results.money
    if money is None:
        return None
    return {
        "text": [_base(results, money, voice), _newcomers(results, money, voice), _contribution(results, money, voice)],
        "years": cash_flow(money.years, voice) if money.years else None,
        "parts": _parts(money.parts, voice) if any(part.amount is not None for part in money.parts) else None,
        "within": any(part.amount is not None and part.key not in WHOLE for part in money.parts),
        "missing": _missing(money.parts, voice),
        "segments": [_segments(name, rows, results, voice) for name, rows in _segmentations(money.equity).items()],
    }


def _base(results: StudyResults, money: MoneySection, voice: Voice) -> Markup:
    value, numbers = results.value, voice.numbers
    return voice.say(
        "worth.base",
        first=numbers.date(results.data.first_date),
        as_of=numbers.date(value.as_of),
        past=numbers.compact(money.past),
        horizon=voice.length(value.horizon),
        equity=numbers.compact(middle(value.equity)),
        range=numbers.interval(value.equity, numbers.compact),
        lifetime=numbers.compact(middle(money.lifetime)),
        lifetime_range=numbers.interval(money.lifetime, numbers.compact),
    )


def _newcomers(results: StudyResults, money: MoneySection, voice: Voice) -> Markup:
    if money.newcomers is None:
        return voice.say(f"worth.{money.no_newcomers or 'uncounted'}")
    return newcomers_text("worth.newcomers", money.newcomers, results, voice)


def newcomers_text(key: str, newcomers: NewCustomers, results: StudyResults, voice: Voice) -> Markup:
    """A sentence on the customers still to be won."""
    numbers = voice.numbers
    return voice.say(
        key,
        customers=voice.count(middle(newcomers.customers)),
        range=voice.counts_between(newcomers.customers),
        horizon=voice.length(results.value.horizon),
        each=numbers.money(middle(newcomers.value_each)),
        equity=numbers.compact(middle(newcomers.equity)),
        equity_range=numbers.interval(newcomers.equity, numbers.compact),
        days=numbers.length(newcomers.period_days, "day"),
        last=voice.count(newcomers.by_period[-1] if newcomers.by_period else None),
    )


def _contribution(results: StudyResults, money: MoneySection, voice: Voice) -> Markup:
    key = "costs_known" if money.costs_known else "whole" if results.study.margin == 1 else "margin"
    return voice.say(
        f"worth.{key}",
        margin=voice.numbers.setting(results.study.margin),
        observed=voice.numbers.share(money.observed_margin),
    )


def _parts(parts: Sequence[PartRow], voice: Voice) -> Table:
    numbers = voice.numbers
    rows = (
        (voice.text(f"worth.parts.{part.key}"), numbers.cell(part.amount), numbers.share(part.share))
        for part in parts
        if part.amount is not None
    )
    return table_of("worth", ("part", "amount", "share"), rows, voice)


def _missing(parts: Sequence[PartRow], voice: Voice) -> Markup | None:
    missing = [
        str(voice.say("worth.missing_part", part=voice.text(f"worth.parts.{part.key}"), column=part.missing).unescape())
        for part in parts
        if part.missing
    ]
    return voice.say("worth.missing", parts=voice.numbers.listed(missing)) if missing else None


def _segmentations(rows: Sequence[EquityRow]) -> dict[str, list[EquityRow]]:
    """Rows by segmentation, but for those with sections of their own."""
    names = dict.fromkeys(row.segmentation for row in rows if row.segmentation not in DRAWN_ELSEWHERE)
    return {name: [row for row in rows if row.segmentation == name] for name in names}


def _segments(segmentation: str, rows: Sequence[EquityRow], results: StudyResults, voice: Voice) -> dict[str, Any]:
    title = voice.words.name("worth.segmentations", segmentation)
    return {"title": title, "figure": _segment_figure(segmentation, title, rows, results, voice)}


def _segment_figure(
    segmentation: str, title: str, rows: Sequence[EquityRow], results: StudyResults, voice: Voice
) -> Figure:
    numbers, named = voice.numbers, {**class_names(results, voice), **voice.words.at("worth.rfm_groups")}
    best = max(rows, key=lambda row: middle(row.share) or 0.0)
    largest = sorted(rows, key=lambda row: -(middle(row.share) or 0.0))[:MOST_SEGMENTS]
    drawn = {place: row for place, row in enumerate(rows) if row in largest}
    plot = retention_figures.what_if(
        [voice.text("worth.head_equity")],
        {place: shortened(named.get(row.segment, row.segment)) for place, row in drawn.items()},
        [[row.equity for row in drawn.values()]],
        [numbers.axis_money],
    )
    body = (
        (
            named.get(row.segment, row.segment),
            voice.count(row.customers),
            numbers.cell(row.past),
            numbers.cell(row.current_value),
            told(row.equity, numbers.cell, voice),
            told(row.share, numbers.share, voice),
        )
        for row in rows
    )
    heads = [str(voice.say(f"worth.head_{head}")) for head in SEGMENT_HEADS]
    whole = sum(row.customers for row in rows)
    return figure_of(
        f"segments-{_segmentation_id(segmentation, results)}",
        plot,
        decision_figures.list_sizes(len(drawn)),
        alt=voice.say("worth.segments_alt", segmentation=title),
        caption=voice.say(
            "worth.segments_caption",
            best=named.get(best.segment, best.segment),
            share=numbers.share(middle(best.share)),
            range=numbers.interval(best.share, numbers.share),
            customers=numbers.share(ratio(best.customers, whole)),
        ),
        table=Table(title, columns(*heads), tuple(body)),
        csv=flat_csv(rows),
    )


def _segmentation_id(name: str, results: StudyResults) -> str:
    """A place on the page: a segmentation may be named after a column of anybody's."""
    assert results.money is not None
    return str(list(dict.fromkeys(row.segmentation for row in results.money.equity)).index(name))
