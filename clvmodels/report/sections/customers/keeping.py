"""Keeping customers: retention and repurchase as counts over counts, and who is thought to be active."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import BasePeriod
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.parts import figure_of, period_names, ratio, table_of
from clvmodels.report.tables import Figure, csv_link
from clvmodels.report.voice import Source, Voice


def keeping(source: Source, voice: Voice) -> dict[str, Any]:
    """The counts of the last window, the figure, and what the model makes of silence."""
    base, alive = source.results.base, source.results.value.alive
    return {
        "counts": [_counts(base, voice), *_repeated(base[-1], voice)] if len(base) > 1 else [],
        "alive": voice.say("keeping.alive", alive=voice.count(alive.mean), range=voice.counts_between(alive)),
        "figure": _figure(base, voice) if len(base) > 1 else None,
    }


def retention(window: BasePeriod) -> float | None:
    """Of the customers of the window before, the share who bought again."""
    return ratio(window.kept, window.before)


def repurchase(window: BasePeriod) -> float | None:
    """Of the customers of a window, the share who had bought before or bought twice."""
    return ratio(window.repeat_buyers, window.active)


def _counts(base: Sequence[BasePeriod], voice: Voice) -> Markup:
    before, last = base[-2:]
    numbers = voice.numbers
    return voice.say(
        "keeping.counts",
        before=voice.count(last.before),
        before_start=numbers.date(before.start),
        before_end=numbers.date(before.end),
        kept=voice.count(last.kept),
        end=numbers.date(last.end),
        rate=numbers.share(retention(last)),
    )


def _repeated(last: BasePeriod, voice: Voice) -> list[Markup]:
    """How many of the last window's customers had bought before; nothing of a window without customers."""
    if not last.active:
        return []
    return [
        voice.say(
            "keeping.repeat_all" if last.repeat_buyers == last.active else "keeping.repeat",
            active=voice.count(last.active),
            repeat=voice.count(last.repeat_buyers),
            repeat_rate=voice.numbers.share(repurchase(last)),
        )
    ]


def _figure(base: Sequence[BasePeriod], voice: Voice) -> Figure:
    numbers = voice.numbers
    name = period_names([window.start for window in base], voice)
    labels = [name(window.start) for window in base]
    plot = decision_figures.window_rates(
        [
            decision_figures.Series(voice.text("keeping.retention"), [*map(retention, base)], figures.MODEL),
            decision_figures.Series(voice.text("keeping.repurchase"), [*map(repurchase, base)], figures.ACTUAL),
        ],
        labels,
        numbers,
    )
    rows = (
        (
            label,
            numbers.short_date(window.end),
            voice.count(window.before),
            voice.count(window.kept),
            numbers.share(retention(window)),
            voice.count(window.active),
            voice.count(window.repeat_buyers),
            numbers.share(repurchase(window)),
        )
        for label, window in zip(labels, base, strict=True)
    )
    heads = ("window", "end", "before", "kept", "retention", "active", "repeat", "repurchase")
    return figure_of(
        "keeping",
        plot,
        figures.sizes(1, height=270, narrow_height=260),
        alt=voice.say("keeping.alt", first=labels[0], last=labels[-1]),
        caption=_caption(base, labels, voice),
        table=table_of("keeping", heads, rows, voice),
        csv=csv_link(base),
    )


def _caption(base: Sequence[BasePeriod], labels: Sequence[str], voice: Voice) -> Markup:
    known = [place for place, window in enumerate(base) if window.before]
    if not known:
        return voice.say("keeping.caption_none")
    first, last = known[0], known[-1]
    return voice.say(
        "keeping.caption" if first != last else "keeping.caption_one",
        first=labels[first],
        first_rate=voice.numbers.share(retention(base[first])),
        last=labels[last],
        last_rate=voice.numbers.share(retention(base[last])),
        active=voice.count(base[last].active),
        first_active=voice.count(base[first].active),
    )
