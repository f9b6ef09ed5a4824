"""Developing customers: how often they come back, and what a repeat purchase brings."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import Period, StudyResults
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.parts import figure_of, period_names, ratio, table_of
from clvmodels.report.tables import Figure, csv_link
from clvmodels.report.voice import Source, Voice


def development(source: Source, voice: Voice) -> dict[str, Any]:
    """A paragraph and the figure."""
    results = source.results
    repeated = any(period.repeat_purchases for period in results.history)
    return {
        "text": _text(results, voice),
        "figure": _figure(results.history, voice) if repeated else None,
    }


def _text(results: StudyResults, voice: Voice) -> Markup:
    data, numbers = results.data, voice.numbers
    amount = sum(period.repeat_amount for period in results.history)
    return voice.say(
        "development.text",
        repeat=voice.count(sum(period.repeat_purchases for period in results.history)),
        amount=numbers.compact(amount),
        share=numbers.share(ratio(amount, data.revenue)),
        buyers=voice.count(data.calibration_repeat_buyers),
        customers=voice.count(data.calibration_customers),
        buyers_share=numbers.share(ratio(data.calibration_repeat_buyers, data.calibration_customers)),
        date=numbers.date(data.calibration_end),
    )


def _figure(history: Sequence[Period], voice: Voice) -> Figure:
    numbers = voice.numbers
    name = period_names([period.start for period in history], voice)
    labels = [name(period.start) for period in history]
    each = [ratio(period.repeat_amount, period.repeat_purchases) for period in history]
    plot = decision_figures.period_bars(
        [
            decision_figures.PeriodBars(
                voice.text("development.repeat_purchases"),
                [period.repeat_purchases for period in history],
                figures.MODEL,
                numbers.axis_count,
            ),
            decision_figures.PeriodBars(
                voice.text("development.repeat_spend"),
                [value or 0.0 for value in each],
                figures.ACTUAL,
                numbers.axis_money,
            ),
        ],
        labels,
    )
    rows = (
        (
            label,
            voice.count(period.active_customers),
            voice.count(period.repeat_purchases),
            numbers.cell(period.repeat_amount),
            numbers.cell(value),
        )
        for label, period, value in zip(labels, history, each, strict=True)
    )
    return figure_of(
        "development",
        plot,
        figures.sizes(2, height=260, narrow_height=210),
        alt=voice.say("development.alt", first=labels[0], last=labels[-1]),
        caption=_caption(history, labels, voice),
        table=table_of("development", ("period", "active", "repeat", "amount", "each"), rows, voice),
        csv=csv_link(history),
    )


def _caption(history: Sequence[Period], labels: Sequence[str], voice: Voice) -> Markup:
    peak = max(range(len(history)), key=lambda place: history[place].repeat_purchases)
    count = sum(period.repeat_purchases for period in history)
    return voice.say(
        "development.caption",
        peak=labels[peak],
        peak_count=voice.count(history[peak].repeat_purchases),
        last=labels[-1],
        last_count=voice.count(history[-1].repeat_purchases),
        each=voice.numbers.money(ratio(sum(period.repeat_amount for period in history), count)),
    )
