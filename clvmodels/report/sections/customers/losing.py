"""Losing customers: who stopped buying, who is at risk, who came back, and what that was worth."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import BasePeriod
from clvmodels.foundation.results import StudyResults
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.parts import figure_of, period_names, ratio, table_of
from clvmodels.report.tables import Figure, csv_link
from clvmodels.report.voice import Source, Voice

PARTS = {"kept": figures.MODEL, "won_back": figures.CELL_COLOURS["low_high"], "new": figures.ACTUAL}


def losing(source: Source, voice: Voice) -> dict[str, Any]:
    """Those at risk and lost, the counts of the last window, and the figure."""
    results = source.results
    windows = len(results.base) > 1
    return {
        "text": [_at_risk(results, voice), *([_counts(results.base[-1], voice)] if windows else [])],
        "figure": _figure(results.base, voice) if windows else None,
    }


def _at_risk(results: StudyResults, voice: Voice) -> Markup:
    value = results.value
    return voice.say(
        "losing.at_risk",
        at_risk=voice.count(value.at_risk_customers),
        value=voice.numbers.compact(value.at_risk_current_value),
        at_risk_below=voice.numbers.setting(value.at_risk_below),
        lost=voice.count(value.lost_customers),
        lost_below=voice.numbers.setting(value.lost_below),
        horizon=voice.length(value.horizon),
    )


def _counts(last: BasePeriod, voice: Voice) -> Markup:
    numbers = voice.numbers
    return voice.say(
        "losing.counts" if last.away else "losing.counts_none_away",
        start=numbers.date(last.start),
        end=numbers.date(last.end),
        left=voice.count(last.left),
        before=voice.count(last.before),
        rate=numbers.share(ratio(last.left, last.before)),
        left_value=numbers.compact(last.left_value),
        won_back=voice.count(last.won_back),
        away=voice.count(last.away),
        back_rate=numbers.share(ratio(last.won_back, last.away)),
        back_value=numbers.compact(last.won_back_value),
    )


def _figure(base: Sequence[BasePeriod], voice: Voice) -> Figure:
    numbers = voice.numbers
    name = period_names([window.start for window in base], voice)
    labels = [name(window.start) for window in base]
    above = [
        decision_figures.Series(voice.text(f"losing.{key}"), [getattr(window, key) for window in base], colour)
        for key, colour in PARTS.items()
    ]
    below = decision_figures.Series(voice.text("losing.left"), [window.left for window in base], figures.WARN)
    rows = (
        (
            label,
            *(voice.count(getattr(window, key)) for key in ("active", "new", "kept", "won_back", "away")),
            numbers.share(ratio(window.won_back, window.away)),
            voice.count(window.left),
            numbers.share(ratio(window.left, window.before)),
            *(numbers.cell(getattr(window, f"{key}_value")) for key in ("new", "kept", "won_back", "left")),
        )
        for label, window in zip(labels, base, strict=True)
    )
    counts = ("window", "active", "new", "kept", "won_back", "away", "back_rate", "left", "rate")
    heads = (*counts, "new_value", "kept_value", "won_back_value", "left_value")
    return figure_of(
        "losing",
        decision_figures.in_and_out(above, below, labels, numbers),
        figures.sizes(1, height=320, narrow_height=300),
        alt=voice.say("losing.alt", first=labels[0], last=labels[-1]),
        caption=_caption(base, labels, voice),
        table=table_of("losing", heads, rows, voice),
        csv=csv_link(base),
    )


def _caption(base: Sequence[BasePeriod], labels: Sequence[str], voice: Voice) -> Markup:
    """Whether the base grew or shrank in the last window, and by whom."""
    last = base[-1]
    gained = last.new + last.won_back
    way = "shrinks" if last.left > gained else "grows"
    return voice.say(
        f"losing.caption_{way}" if last.new else f"losing.caption_{way}_none_new",
        last=labels[-1],
        left=voice.count(last.left),
        new=voice.count(last.new),
        won_back=voice.count(last.won_back),
    )
