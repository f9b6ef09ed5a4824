"""The answer first: how much of what came in counts, what was set aside most, how far choices move the totals."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import DataSection
from clvmodels.report.sections.accounts import amount_of, aside, counted, part, rows_of
from clvmodels.report.sections.quality.comparing import TOTALS, changes, option_name
from clvmodels.report.voice import Source, Voice


def answer(source: Source, voice: Voice) -> dict[str, Any]:
    """One paragraph and four figures."""
    section = source.results.data
    return {
        "sentences": [_counts(section, voice), _largest(section, voice), *_sensitivity(section, voice)],
        "figures": _figures(section, voice),
    }


def _counts(section: DataSection, voice: Voice) -> Markup:
    gross = amount_of(section.ledger)
    return voice.say(
        "quality.counts" if gross > 0 else "quality.counts_rows",
        used=voice.count(rows_of(counted(section))),
        rows=voice.count(section.rows_read),
        share=part(rows_of(counted(section)), section.rows_read, voice),
        revenue=voice.numbers.money(section.revenue),
        amount_share=part(section.revenue, gross, voice),
    )


def largest_aside(section: DataSection) -> LedgerLine | None:
    """The line set aside with the largest amount, by rows where amounts are alike."""
    return max(aside(section), key=lambda line: (abs(line.amount), line.rows), default=None)


def _largest(section: DataSection, voice: Voice) -> Markup:
    line = largest_aside(section)
    if line is None:
        return voice.say("quality.nothing_aside")
    return voice.say(
        "quality.largest_aside",
        reason=voice.words.name("reasons", line.reason),
        rows=voice.count(line.rows),
        share=part(line.rows, section.rows_read, voice),
        amount=voice.numbers.money(line.amount),
    )


def _sensitivity(section: DataSection, voice: Voice) -> list[Markup]:
    """How far another word of one choice would move each total; nothing where no other was tried."""
    if not section.alternatives:
        return []
    moving = [change for change in changes(section) if change.moves]
    if not moving:
        return [voice.say("quality.no_change")]
    return [
        voice.say(
            "quality.sensitivity",
            option=option_name(moving[0].option, voice),
            **{total: _range([getattr(change, total) for change in moving], voice) for total in TOTALS},
        )
    ]


def _range(shares: list[float], voice: Voice) -> str:
    return voice.numbers.span(min(0.0, *shares), max(0.0, *shares), voice.numbers.change)


def _figures(section: DataSection, voice: Voice) -> list[dict[str, Any]]:
    gross = amount_of(section.ledger)
    rows, away = aside(section), rows_of(aside(section))
    entries = {
        "rows_used": (voice.count(rows_of(counted(section))), {"rows": voice.count(section.rows_read)}),
        "rows_aside": (voice.count(away), {"share": part(away, section.rows_read, voice)}),
        "revenue": (voice.numbers.cell(section.revenue), {"gross": voice.numbers.compact(gross)}),
        "customers": (voice.count(section.customers), {"occasions": voice.count(section.occasions)}),
    }
    return [
        {
            "name": voice.text(f"quality.figure_{key}"),
            "number": number,
            "note": voice.say(f"quality.figure_{key}_note", **facts),
        }
        for key, (number, facts) in entries.items()
        if rows or key != "rows_aside"
    ]
