"""What a customer is worth by the renewals made, what is expected and what one customer may bring."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.retention_results import RetentionResults, SegmentWorth, ValueRow
from clvmodels.report import figures, retention_figures
from clvmodels.report.retention_figures import ValuePanel
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.retention.wording import (
    age,
    ends_of,
    heads,
    part,
    plain,
    renewals,
    segment_name,
    sentences,
    told,
)
from clvmodels.report.tables import Figure, Table, columns, csv_of, with_interval
from clvmodels.report.voice import RetentionSource, Voice


def residual_value(source: RetentionSource, voice: Voice) -> dict[str, Any] | None:
    """What value is, an example of its two ranges, the figure; None without values."""
    results = source.results
    if not results.values:
        return None
    study, numbers = results.study, voice.numbers
    key = "now" if study.due == 0 else "ahead"
    return {
        "intro": voice.say(
            "residual_value.intro" if study.margin == 1 else "residual_value.intro_margin",
            price=numbers.money(study.price),
            margin=numbers.setting(study.margin),
            rate=numbers.setting(study.annual_discount_rate),
            due=voice.say(f"residual_value.due_{key}", length=voice.length(study.due)),
        ),
        "ranges": _ranges(results, voice),
        "infinite": voice.text("residual_value.infinite") if any(row.infinite > 0 for row in results.values) else "",
        "figure": _figure(results, voice),
    }


def _by_segment(results: RetentionResults) -> dict[str, list[ValueRow]]:
    found: dict[str, list[ValueRow]] = {}
    for row in results.values:
        found.setdefault(row.segment, []).append(row)
    return found


def _ranges(results: RetentionResults, voice: Voice) -> Markup:
    """One row as an example of what is expected and of what one customer may bring."""
    rows, money = next(iter(_by_segment(results).values())), voice.numbers.money
    row = rows[min(1, len(rows) - 1)]
    return voice.say(
        "residual_value.ranges",
        segment=segment_name(row.segment, voice),
        age=renewals(row.age, voice),
        value=money(middle(row.value)),
        range=voice.numbers.interval(row.value, money),
        low=money(row.outcome.q05),
        high=money(row.outcome.q95),
        level=voice.level,
    )


def _worth(results: RetentionResults) -> dict[str, SegmentWorth]:
    return {row.segment: row for row in results.worth}


def _figure(results: RetentionResults, voice: Voice) -> Figure:
    words = {
        "value": str(voice.say("residual_value.value", level=voice.level)),
        "outcome": str(voice.say("residual_value.outcome", level=voice.level)),
        "new": voice.text("residual_value.new"),
        "new_tick": voice.text("residual_value.new_tick"),
        "age": voice.text("retention_terms.axis_age"),
    }
    worth = _worth(results)
    panels = [
        ValuePanel(
            segment_name(name, voice),
            [row.age for row in rows],
            [row.value for row in rows],
            [row.outcome for row in rows],
            worth[name].new_value if name in worth else None,
        )
        for name, rows in _by_segment(results).items()
    ]
    plot = retention_figures.values(panels, words, voice.numbers)
    both = retention_figures.panel_sizes(len(panels), height=320, narrow_height=260)
    alt = plain(voice.say("residual_value.alt", segments=voice.numbers.listed([panel.title for panel in panels])))
    wide, narrow = figures.draw("value", alt, plot, both)
    return Figure("value", wide, narrow, _caption(results, voice), _table(results, voice), _csv(results))


def _caption(results: RetentionResults, voice: Voice) -> Markup:
    money, worth, said = voice.numbers.money, _worth(results), []
    for name, rows in ends_of(list(_by_segment(results).items()), lambda found: middle(found[1][0].value) or 0.0):
        new = worth[name].new_value if name in worth else None
        first, last = rows[1] if rows[0].age == 0 and len(rows) > 1 else rows[0], rows[-1]
        said.append(
            voice.say(
                "residual_value.from_to" if new is None else "residual_value.from_to_new",
                segment=segment_name(name, voice),
                first=money(middle(first.value)),
                first_age=renewals(first.age, voice),
                last=money(middle(last.value)),
                last_age=renewals(last.age, voice),
                new="" if new is None else money(middle(new)),
            )
        )
    return sentences(said, voice)


def _lifetime(row: ValueRow, voice: Voice) -> Markup:
    """Expected further renewals; where a part of the posterior gives no bound, the median and that part."""

    def form(value: float | None) -> str:
        return voice.numbers.decimal(value, 1)

    if row.infinite <= 0:
        return told(row.lifetime, form, voice)
    share = part(row.infinite, voice)
    if row.lifetime.q50 is None:
        said = voice.say("residual_value.no_mean_share", share=share)
    else:
        said = voice.say("residual_value.no_mean_part", share=share, median=form(row.lifetime.q50))
    return with_interval(voice.text("residual_value.no_mean"), said)


def _table(results: RetentionResults, voice: Voice) -> Table:
    worth, body = _worth(results), []
    for name, rows in _by_segment(results).items():
        new = worth[name].new_value if name in worth else None
        body += [] if new is None else [_new_row(name, new, voice)]
        body += [_row(row, voice) for row in rows]
    texts = heads("residual_value", ("segment", "age", "lifetime", "derl", "value", "outcome"), voice)
    return Table(voice.text("residual_value.table"), columns(*texts), tuple(body))


def _new_row(segment: str, new: Estimate, voice: Voice) -> tuple[str, ...]:
    none = voice.numbers.decimal(None)
    first = voice.text("residual_value.new_row")
    return segment_name(segment, voice), first, none, none, told(new, voice.numbers.cell, voice), none


def _row(row: ValueRow, voice: Voice) -> tuple[str, ...]:
    numbers = voice.numbers
    return (
        segment_name(row.segment, voice),
        age(row.age, voice),
        _lifetime(row, voice),
        told(row.derl, lambda value: numbers.decimal(value, 2), voice),
        told(row.value, numbers.cell, voice),
        numbers.interval(row.outcome, numbers.cell),
    )


def _csv(results: RetentionResults) -> str:
    parts = ("lifetime", "derl", "value", "outcome")
    names = [f"{part}_{number}" for part in parts for number in ("mean", "q05", "q50", "q95")]
    rows = (
        [row.segment, row.age, row.infinite, *(n for part in parts for n in _numbers(row, part))]
        for row in results.values
    )
    return csv_of(["segment", "age", "infinite", *names], rows)


def _numbers(row: ValueRow, part: str) -> list[float | None]:
    estimate = getattr(row, part)
    return [estimate.mean, estimate.q05, estimate.q50, estimate.q95]
