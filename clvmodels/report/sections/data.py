"""The data: what was read, what was set aside, what the windows hold, what the money means."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import DataSection, StudyResults
from clvmodels.report.sections.accounts import balance, ledger_table, note_table
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import Source, Voice

SAMPLES = 3  # of each reason; the page of data quality has them all


def data(source: Source, voice: Voice) -> dict[str, Any]:
    """Ledger, windows and the meaning of money; notes where no page of data quality has them."""
    results, quality = source.results, source.pages.get("data")
    section, numbers = results.data, voice.numbers
    notes = section.notes if quality is None else []
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
        "privacy": privacy(results, voice),
        "balance": balance(section, voice),
        "ledger": ledger_table(section, SAMPLES, voice),
        "quality": quality,
        "money": _money(results, voice),
        "windows": _windows(section, voice),
        "set_aside": note_table(section.set_aside, voice.text("data.table_set_aside"), voice)
        if section.set_aside
        else None,
        "notes": note_table(notes, voice.text("data.table_notes"), voice) if notes else None,
    }


def privacy(results: StudyResults, voice: Voice) -> str | None:
    """What the report keeps to itself of who customers are; None where it names them by their ids."""
    return None if results.study.privacy == "open" else voice.text(f"privacy.{results.study.privacy}")


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
