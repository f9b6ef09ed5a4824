"""What was found in the log: what it is, what was done about it, what to ask or check."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import DataSection
from clvmodels.report.sections.accounts import COUNTED_IN, amount_of, part, without_amount
from clvmodels.report.voice import Source, Voice


def findings(source: Source, voice: Voice) -> dict[str, Any]:
    """Rows that are not plainly purchases, then those used that deserve a look."""
    section = source.results.data
    return {
        "aside": [_entry("aside", line, section, voice) for line in section.ledger if line.reason != "used"],
        "noted": [_entry("noted", line, section, voice) for line in section.notes],
    }


def _entry(group: str, line: LedgerLine, section: DataSection, voice: Voice) -> dict[str, Any]:
    """An entry; one that the catalogue does not know yet has its key and its numbers."""
    texts = {field: voice.words.detail(f"quality.{group}", line.reason, field) for field in ("meaning", "done", "ask")}
    return {
        "name": voice.words.name("reasons", line.reason),
        "numbers": _numbers(line, section, voice),
        "examples": voice.say("quality.examples", examples="; ".join(line.sample))
        if line.sample and group == "noted"
        else None,
        **texts,
    }


def _numbers(line: LedgerLine, section: DataSection, voice: Voice) -> Markup:
    kind = COUNTED_IN.get(line.reason, "rows")
    return voice.say(
        f"quality.count_{kind}" if without_amount(line) else f"quality.count_{kind}_amount",
        count=voice.count(line.rows),
        share=part(line.rows, section.rows_read, voice),
        amount=voice.numbers.exact(line.amount),
        amount_share=part(line.amount, amount_of(section.ledger), voice),
    )
