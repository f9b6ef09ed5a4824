"""Getting customers: how many, when, what their first purchase brought, and what one may cost."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import Period, StudyResults
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.parts import figure_of, period_names, ratio, table_of
from clvmodels.report.tables import Figure, csv_link
from clvmodels.report.voice import Source, Voice


def winning(source: Source, voice: Voice) -> dict[str, Any]:
    """Two paragraphs and the figure."""
    results = source.results
    won = [period for period in results.history if period.new_customers]
    return {
        "text": [*([_text(won, voice)] if won else []), _ceiling(results, voice)],
        "figure": _figure(results.history, won, voice) if won else None,
    }


def _text(won: Sequence[Period], voice: Voice) -> Markup:
    name = period_names([period.start for period in won], voice)
    count = sum(period.new_customers for period in won)
    return voice.say(
        "winning.text",
        count=voice.count(count),
        first=name(won[0].start),
        last=name(won[-1].start),
        amount=voice.numbers.money(sum(period.first_amount for period in won) / count),
    )


def _ceiling(results: StudyResults, voice: Voice) -> Markup:
    """What a new customer is worth and may cost, by the median where the mean is not finite."""
    value, numbers = results.value, voice.numbers
    clv = value.new_customer_clv
    return voice.say(
        "winning.no_mean" if clv.mean is None else "winning.ceiling",
        clv=numbers.money(clv.mean),
        median=numbers.money(clv.q50),
        range=numbers.interval(clv, numbers.money),
        horizon=voice.length(value.horizon),
        share=numbers.setting(value.acquisition_share),
        ceiling=numbers.money(value.acquisition_ceiling),
    )


def _figure(history: Sequence[Period], won: Sequence[Period], voice: Voice) -> Figure:
    numbers = voice.numbers
    name = period_names([period.start for period in history], voice)
    labels = [name(period.start) for period in history]
    peak = max(won, key=lambda period: period.new_customers)
    each = [ratio(period.first_amount, period.new_customers) for period in history]
    plot = decision_figures.period_bars(
        [
            decision_figures.PeriodBars(
                voice.text("winning.new_customers"),
                [period.new_customers for period in history],
                figures.ACTUAL,
                numbers.axis_count,
            ),
            decision_figures.PeriodBars(
                voice.text("winning.first_spend"), [value or 0.0 for value in each], figures.MODEL, numbers.axis_money
            ),
        ],
        labels,
    )
    rows = (
        (label, voice.count(period.new_customers), numbers.cell(period.first_amount), numbers.cell(value))
        for label, period, value in zip(labels, history, each, strict=True)
    )
    return figure_of(
        "winning",
        plot,
        figures.sizes(2, height=260, narrow_height=210),
        alt=voice.say("winning.alt", first=labels[0], last=labels[-1]),
        caption=voice.say(
            "winning.caption" if history[-1].new_customers else "winning.caption_none",
            peak=name(peak.start),
            peak_count=voice.count(peak.new_customers),
            last=labels[-1],
            last_count=voice.count(history[-1].new_customers),
        ),
        table=table_of("winning", ("period", "new", "amount", "each"), rows, voice),
        csv=csv_link(history),
    )
