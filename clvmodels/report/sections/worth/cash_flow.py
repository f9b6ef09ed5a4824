"""The cash flow of today's customers by coming period, and how many are still there."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from clvmodels.foundation.decision_results import YearRow
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.parts import figure_of, flat_csv, ratio
from clvmodels.report.sections.retention.wording import told
from clvmodels.report.tables import Figure, Table, columns
from clvmodels.report.voice import Voice

HEADS = ("period", "alive", "purchases", "spend", "margin", "discounted")


def cash_flow(years: Sequence[YearRow], voice: Voice) -> Figure:
    """Bars by period of the discounted margin, and of the share of customers still there."""
    unit = voice.text(f"units.{voice.unit}.each")
    titles = tuple(str(voice.say(f"worth.years_{name}", unit=unit)) for name in ("margin", "alive"))
    heads = [str(voice.say(f"worth.head_{head}", level=voice.level, unit=unit)) for head in HEADS]
    plot = decision_figures.cash_flow(
        [_day(row.end, voice) for row in years],
        [row.discounted for row in years],
        [row.alive for row in years],
        titles,
        voice.numbers,
    )
    return figure_of(
        "cash-flow",
        plot,
        figures.sizes(2, height=270, narrow_height=220),
        alt=voice.say("worth.years_alt"),
        caption=_caption(years, voice),
        table=Table(voice.text("worth.years_table"), columns(*heads), tuple(_rows(years, voice))),
        csv=flat_csv(years),
    )


def _day(value: float | None, voice: Voice) -> str:
    """A time in the study's unit: whole where it is."""
    return voice.numbers.decimal(value, 0 if value is not None and value == round(value) else 1)


def _caption(years: Sequence[YearRow], voice: Voice) -> Markup:
    numbers, first = voice.numbers, years[0]
    total = sum(middle(row.discounted) or 0.0 for row in years)
    return voice.say(
        "worth.years_caption" if len(years) > 1 else "worth.years_caption_one",
        length=voice.length(first.end - first.start),
        share=numbers.share(ratio(middle(first.discounted) or 0.0, total)),
        amount=numbers.compact(middle(first.discounted)),
        alive=numbers.share(first.alive),
    )


def _rows(years: Sequence[YearRow], voice: Voice) -> Iterable[tuple[str, ...]]:
    numbers = voice.numbers
    for row in years:
        yield (
            numbers.span(row.start, row.end, lambda value: _day(value, voice)),
            numbers.share(row.alive),
            told(row.purchases, numbers.decimal, voice),
            *(told(estimate, numbers.cell, voice) for estimate in (row.spend, row.margin, row.discounted)),
        )
