"""What the choices change: the totals by each word of each choice, against the chosen one."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import Alternative
from clvmodels.report import figures, quality_figures
from clvmodels.report.sections.quality.comparing import (
    TOTALS,
    Change,
    by_option,
    changes,
    chosen_of,
    gap,
    option_name,
    refused,
)
from clvmodels.report.tables import Figure, Table, columns, csv_link, with_interval
from clvmodels.report.voice import Source, Voice


def alternatives(source: Source, voice: Voice) -> dict[str, Any] | None:
    """A table for each choice that changes something, and the choices that do not by name."""
    section = source.results.data
    if not section.alternatives:
        return None
    moving = [change for change in changes(section) if change.moves]
    groups = by_option(section)
    telling = {option for option, words in groups.items() if any(map(refused, words))}
    telling |= {change.option for change in moving}
    quiet = [option_name(option, voice) for option in groups if option not in telling]
    return {
        "figure": _figure(moving, voice) if moving else None,
        "tables": [
            (option_name(option, voice), _table(option, words, voice))
            for option, words in groups.items()
            if option in telling
        ],
        "quiet": voice.say("quality.quiet", options=voice.numbers.listed(quiet)) if quiet else None,
    }


def _table(option: str, words: Sequence[Alternative], voice: Voice) -> Table:
    chosen = chosen_of(words)
    heads = [voice.text(f"quality.head_{head}") for head in ("word", *TOTALS)]
    label = str(voice.say("quality.table_alternatives", option=option_name(option, voice)))
    body = tuple(_row(word, chosen, voice) for word in words)
    marked = frozenset(place for place, word in enumerate(words) if word.chosen)
    return Table(label, columns(*heads), body, marked)


def _row(word: Alternative, chosen: Alternative | None, voice: Voice) -> tuple[str, ...]:
    if refused(word):
        nothing = voice.numbers.decimal(None)
        return (word.word, voice.text("quality.refused"), nothing, nothing)
    totals = [_total(name, word, chosen, voice) for name in TOTALS]
    return (_named(word, voice), *totals)


def _named(word: Alternative, voice: Voice) -> str:
    if not word.chosen:
        return word.word
    return Markup('{} <span class="small tag">{}</span>').format(word.word, voice.text("quality.chosen"))


def _total(name: str, word: Alternative, chosen: Alternative | None, voice: Voice) -> str:
    form = voice.numbers.cell if name == "revenue" else voice.count
    text = form(getattr(word, name))
    if word.chosen or chosen is None:
        return text
    return with_interval(text, voice.numbers.change(gap(getattr(word, name), getattr(chosen, name))))


def _figure(moving: Sequence[Change], voice: Voice) -> Figure:
    names = [str(voice.say("quality.by_word", option=option_name(c.option, voice), word=c.word)) for c in moving]
    legend = {total: voice.text(f"quality.head_{total}") for total in TOTALS}
    plot = quality_figures.effects(moving, names, legend, voice.numbers)
    both = figures.sizes(1, height=80 + 30 * len(moving), narrow_height=80 + 46 * len(moving))
    wide, narrow = figures.draw("alternatives", voice.say("quality.alt_alternatives"), plot, both)
    first, change = moving[0], voice.numbers.change
    caption = voice.say(
        "quality.caption_alternatives",
        option=option_name(first.option, voice),
        word=first.word,
        chosen=first.chosen,
        revenue=change(first.revenue),
        occasions=change(first.occasions),
        customers=change(first.customers),
    )
    return Figure("alternatives", wide, narrow, caption, _changes_table(moving, names, voice), csv_link(moving))


def _changes_table(moving: Sequence[Change], names: Sequence[str], voice: Voice) -> Table:
    heads = [voice.text(f"quality.head_{head}") for head in ("word", *TOTALS)]
    rows = tuple(
        (name, *(voice.numbers.change(getattr(change, total)) for total in TOTALS))
        for name, change in zip(names, moving, strict=True)
    )
    return Table(voice.text("quality.table_changes"), columns(*heads), rows)
