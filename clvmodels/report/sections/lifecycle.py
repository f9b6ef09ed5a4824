"""Winning, developing, keeping and losing customers; how concentrated their value is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from clvmodels.foundation.results import Period, StudyResults
from clvmodels.report import figures
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import Source, Voice

TENTH, FIFTH, HALF = 0.1, 0.2, 0.5
SHOWN_SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Share:
    """A point of the concentration curve: the best `customers` hold `value` (both shares)."""

    customers: float
    value: float


def lifecycle(source: Source, voice: Voice) -> dict[str, Any]:
    """Four paragraphs and two figures."""
    results = source.results
    return {
        "parts": [
            (voice.text("lifecycle.acquisition"), [*_acquisition(results, voice)]),
            (voice.text("lifecycle.development"), [_development(results, voice)]),
            (voice.text("lifecycle.keeping"), [_keeping(results, voice)]),
            (voice.text("lifecycle.losing"), [_losing(results, voice)]),
        ],
        "history": _history_figure(results, voice) if results.history else None,
        "equity": _equity(results, voice),
        "concentration": _concentration_figure(results, voice) if results.value.lorenz else None,
    }


def _period_name(results: StudyResults, voice: Voice) -> Callable[[str], str]:
    """Periods that all begin on a first of the month are named by month, others by their first day."""
    monthly = all(period.start.endswith("-01") for period in results.history)
    return voice.numbers.month if monthly else voice.numbers.short_date


def _acquisition(results: StudyResults, voice: Voice) -> list[Markup]:
    numbers = voice.numbers
    ceiling = _acquisition_ceiling(results, voice)
    won = [period for period in results.history if period.new_customers]
    if not won:
        return [ceiling]
    name = _period_name(results, voice)
    peak = max(won, key=lambda period: period.new_customers)
    count = sum(period.new_customers for period in won)
    text = voice.say(
        "lifecycle.acquisition_text",
        count=voice.count(count),
        first=name(won[0].start),
        last=name(won[-1].start),
        peak=name(peak.start),
        peak_count=voice.count(peak.new_customers),
        amount=numbers.money(sum(period.first_amount for period in won) / count),
    )
    return [text, ceiling]


def _acquisition_ceiling(results: StudyResults, voice: Voice) -> Markup:
    """What a new customer is worth and may cost, by the median where the mean is not finite."""
    value, numbers = results.value, voice.numbers
    clv = value.new_customer_clv
    return voice.say(
        "lifecycle.acquisition_no_mean" if clv.mean is None else "lifecycle.acquisition_ceiling",
        clv=numbers.money(clv.mean),
        median=numbers.money(clv.q50),
        range=numbers.interval(clv, numbers.money),
        horizon=voice.length(value.horizon),
        share=numbers.setting(value.acquisition_share),
        ceiling=numbers.money(value.acquisition_ceiling),
    )


def _development(results: StudyResults, voice: Voice) -> Markup:
    data, numbers = results.data, voice.numbers
    amount = sum(period.repeat_amount for period in results.history)
    return voice.say(
        "lifecycle.development_text",
        repeat=voice.count(sum(period.repeat_purchases for period in results.history)),
        amount=numbers.compact(amount),
        share=numbers.share(amount / data.revenue if data.revenue else None),
        buyers=voice.count(data.calibration_repeat_buyers),
        customers=voice.count(data.calibration_customers),
        buyers_share=numbers.share(data.calibration_repeat_buyers / data.calibration_customers),
        date=numbers.date(data.calibration_end),
    )


def _keeping(results: StudyResults, voice: Voice) -> Markup:
    alive = results.value.alive
    return voice.say("lifecycle.keeping_text", alive=voice.count(alive.mean), range=voice.counts_between(alive))


def _losing(results: StudyResults, voice: Voice) -> Markup:
    value = results.value
    return voice.say(
        "lifecycle.losing_text",
        at_risk=voice.count(value.at_risk_customers),
        value=voice.numbers.compact(value.at_risk_current_value),
        at_risk_below=voice.numbers.setting(value.at_risk_below),
        lost=voice.count(value.lost_customers),
        lost_below=voice.numbers.setting(value.lost_below),
        horizon=voice.length(value.horizon),
    )


def _equity(results: StudyResults, voice: Voice) -> Markup:
    value, share = results.value, voice.numbers.share
    return voice.say(
        "lifecycle.equity_text",
        tenth=share(TENTH),
        tenth_share=share(value.top_10_share.mean),
        tenth_range=voice.numbers.interval(value.top_10_share, share),
        fifth=share(FIFTH),
        fifth_share=share(value.top_20_share.mean),
        fifth_range=voice.numbers.interval(value.top_20_share, share),
    )


def _history_figure(results: StudyResults, voice: Voice) -> Figure:
    periods, name = results.history, _period_name(results, voice)
    peak = max(periods, key=lambda period: period.new_customers)
    repeat_peak = max(periods, key=lambda period: period.repeat_purchases)
    caption = voice.say(
        "lifecycle.caption_history",
        peak=name(peak.start),
        peak_count=voice.count(peak.new_customers),
        repeat_peak=name(repeat_peak.start),
        repeat_count=voice.count(repeat_peak.repeat_purchases),
        last_count=voice.count(periods[-1].repeat_purchases),
        last=name(periods[-1].start),
    )
    alt = voice.say("lifecycle.alt_history", first=name(periods[0].start), last=name(periods[-1].start))
    words = {key: voice.text(f"lifecycle.{key}") for key in ("new_customers", "repeat_purchases")}
    labels = [name(period.start) for period in periods]
    plot = figures.history(periods, labels, words, voice.numbers)
    wide, narrow = figures.draw("history", alt, plot, figures.sizes(2, height=260, narrow_height=210))
    return Figure("history", wide, narrow, caption, _history_table(periods, labels, voice), csv_link(periods))


def _history_table(periods: list[Period], labels: list[str], voice: Voice) -> Table:
    heads = ("period", "new", "first_amount", "repeat", "repeat_amount", "active")
    rows = tuple(
        (
            label,
            voice.count(period.new_customers),
            voice.numbers.cell(period.first_amount),
            voice.count(period.repeat_purchases),
            voice.numbers.cell(period.repeat_amount),
            voice.count(period.active_customers),
        )
        for label, period in zip(labels, periods, strict=True)
    )
    texts = [voice.text(f"lifecycle.head_{head}") for head in heads]
    return Table(voice.text("lifecycle.table_history"), columns(*texts), rows)


def _concentration_figure(results: StudyResults, voice: Voice) -> Figure:
    curve, share = results.value.lorenz, voice.numbers.share
    customers, value = np.array([(0.0, 0.0), *curve]).T
    held = [Share(part, float(np.interp(part, customers, value))) for part in SHOWN_SHARES]
    caption = voice.say("lifecycle.caption_concentration", half=share(float(np.interp(HALF, value, customers)), 1))
    by_share = {point.customers: point.value for point in held}
    alt = voice.say(
        "lifecycle.alt_concentration",
        tenth=share(TENTH),
        tenth_share=share(by_share[TENTH]),
        fifth=share(FIFTH),
        fifth_share=share(by_share[FIFTH]),
    )
    words = {key: voice.text(f"lifecycle.figure_{key}") for key in ("customers", "value", "mark")}
    plot = figures.concentration(curve, words, voice.numbers)
    wide, narrow = figures.draw("concentration", alt, plot, figures.sizes(1, height=320, narrow_height=280))
    texts = [voice.text(f"lifecycle.head_{head}") for head in ("customers", "value")]
    rows = tuple((share(point.customers), share(point.value, 1)) for point in held)
    table = Table(voice.text("lifecycle.table_concentration"), columns(*texts), rows)
    return Figure("concentration", wide, narrow, caption, table, csv_link([Share(*point) for point in curve]))
