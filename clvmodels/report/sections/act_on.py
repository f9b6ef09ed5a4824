"""Customers for whom a decision is due now, in four lists."""

from collections.abc import Sequence
from typing import Any

from clvmodels.foundation.results import ActOn
from clvmodels.report.sections.data import privacy
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import Source, Voice

LISTS = ("protect", "grow", "win_back", "undecided")
SHOWN = 8  # rows before the rest folds away


def act_on(source: Source, voice: Voice) -> dict[str, Any]:
    """The lists with the first rows of each table, the rest folded away."""
    results = source.results
    by_list = {key: [row for row in results.act_on if row.list_key == key] for key in LISTS}
    return {
        "privacy": privacy(results, voice),
        "lists": [
            {
                "key": key,
                "name": voice.text(f"act_on.{key}"),
                "text": voice.text(f"act_on.{key}_text"),
                "first": _table(key, rows[:SHOWN], results.matrix.vocabulary, voice),
                "rest": _table(key, rows[SHOWN:], results.matrix.vocabulary, voice) if rows[SHOWN:] else None,
                "more": voice.say("act_on.more", count=voice.count(len(rows))),
            }
            for key, rows in by_list.items()
            if rows
        ],
    }


def _table(key: str, rows: Sequence[ActOn], vocabulary: str, voice: Voice) -> Table:
    numbers = voice.numbers
    heads = (
        "customer",
        "clv",
        "ceiling",
        "alive",
        "last",
        "frequency",
        "current",
        "purchases",
        "range",
        "label",
    )
    ranked = any(row.rank is not None for row in rows)
    shown = (*heads, "probability", *(["rank"] if ranked else []))
    texts = [str(voice.say(f"act_on.head_{head}", level=voice.level)) for head in shown]
    body = tuple(
        (
            row.customer_id,
            numbers.cell(row.clv),
            numbers.cell(row.ceiling),
            numbers.share(row.p_alive),
            numbers.short_date(row.last_purchase),
            voice.count(row.frequency),
            numbers.cell(row.current_value),
            numbers.decimal(row.purchases, 1),
            voice.cells_between(row.clv_low, row.clv_high),
            voice.cell(vocabulary, row.label, row.label),
            numbers.share(row.label_probability),
            *([voice.count(row.rank)] if ranked else []),
        )
        for row in rows
    )
    return Table(voice.text(f"act_on.{key}"), columns(*texts), body)
