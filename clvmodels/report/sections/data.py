"""The data: what was read, what was set aside, what the windows hold, what the money means."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import DataSection, StudyResults
from clvmodels.report.tables import Column, Table, columns
from clvmodels.report.voice import Source, Voice

# Notes that count customers and have no amount.
OF_CUSTOMERS = frozenset({"similar_id", "mixed_id", "few_customers", "few_repeat_buyers"})


def data(source: Source, voice: Voice) -> dict[str, Any]:
    """Ledger, windows and the meaning of money."""
    results = source.results
    section, numbers = results.data, voice.numbers
    return {
        "intro": voice.say(
            "data.intro",
            source=results.study.source,
            rows=voice.count(section.rows_read),
            occasions=voice.count(section.occasions),
            customers=voice.count(section.customers),
            first=numbers.date(section.first_date),
            last=numbers.date(section.last_date),
            revenue=numbers.money(section.revenue),
        ),
        "money": _money(results, voice),
        "windows": _windows(section, voice),
        "ledger": _ledger(section.ledger, "table_ledger", voice),
        "set_aside": _ledger(section.set_aside, "table_set_aside", voice) if section.set_aside else None,
        "notes": _ledger(section.notes, "table_notes", voice) if section.notes else None,
    }


def _money(results: StudyResults, voice: Voice) -> Markup:
    study = results.study
    return voice.say(
        "data.money",
        currency=voice.words.name("currency", study.currency),
        margin=voice.numbers.setting(study.margin),
        rate=voice.numbers.setting(study.annual_discount_rate),
        date=voice.numbers.date(results.value.as_of),
    )


def _windows(section: DataSection, voice: Voice) -> Table:
    heads = ("window", "until", "customers", "purchases", "buyers", "amount")
    numbers = voice.numbers
    body = (
        (
            voice.text("data.calibration"),
            numbers.short_date(section.calibration_end),
            voice.count(section.calibration_customers),
            voice.count(section.calibration_repeat_purchases),
            voice.count(section.calibration_repeat_buyers),
            numbers.decimal(None),
        ),
        (
            str(voice.say("data.holdout", length=voice.length(section.holdout_length))),
            numbers.short_date(section.holdout_end),
            voice.count(section.calibration_customers),
            voice.count(section.holdout_purchases),
            voice.count(section.holdout_buyers),
            numbers.cell(section.holdout_amount),
        ),
    )
    texts = [voice.text(f"data.head_{head}") for head in heads]
    return Table(voice.text("data.table_windows"), columns(*texts), body)


def _ledger(lines: Sequence[LedgerLine], label: str, voice: Voice) -> Table:
    texts = [voice.text(f"data.head_{head}") for head in ("reason", "rows", "amount", "sample")]
    heads = (*columns(*texts[:3]), Column(texts[3], number=False))
    body = tuple(
        (
            voice.words.name("reasons", line.reason),
            voice.count(line.rows),
            voice.numbers.cell(None if line.reason in OF_CUSTOMERS else line.amount),
            voice.numbers.formats["comma"].join(line.sample),
        )
        for line in lines
    )
    return Table(voice.text(f"data.{label}"), heads, body)
