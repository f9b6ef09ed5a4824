"""What a retailer asks of the numbers, and the answers that the ledger has."""

from collections.abc import Callable, Iterator
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import DataSection
from clvmodels.report.sections.accounts import amount_of, aside, line_of, note_of, part
from clvmodels.report.voice import Source, Voice

REFUNDS = ("refund_netted", "refund_day", "refund_matched", "refund_unmatched", "refund_dropped", "first_refund")

Answers = Callable[[DataSection, Voice], Iterator[Markup]]


def questions(source: Source, voice: Voice) -> dict[str, Any]:
    """Each question with its answers."""
    return {
        "questions": [
            (voice.text(f"quality.ask_{key}"), list(answers(source.results.data, voice)))
            for key, answers in ANSWERS.items()
        ]
    }


def _customers(section: DataSection, voice: Voice) -> Iterator[Markup]:
    yield voice.say(
        "quality.answer_customers",
        customers=voice.count(section.customers),
        first=voice.numbers.date(section.first_date),
        last=voice.numbers.date(section.last_date),
    )
    yield from _noted(section, ("similar_id", "mixed_id"), voice)


def _revenue(section: DataSection, voice: Voice) -> Iterator[Markup]:
    yield voice.say(
        "quality.answer_revenue",
        gross=voice.numbers.money(amount_of(section.ledger)),
        aside=voice.numbers.money(amount_of(aside(section))),
        revenue=voice.numbers.money(section.revenue),
    )


def _refunds(section: DataSection, voice: Voice) -> Iterator[Markup]:
    found = [reason for reason in REFUNDS if line_of(section, reason)]
    yield from _lines(section, found, voice)
    if not found:
        kept = any(choice.option == "refunds" and choice.word == "keep" for choice in section.choices)
        yield voice.say("quality.answer_refunds_kept" if kept else "quality.answer_refunds_none")


def _guests(section: DataSection, voice: Voice) -> Iterator[Markup]:
    yield from _lines(section, ["missing_id"], voice)
    if line_of(section, "missing_id") is None:
        yield voice.say("quality.answer_guests_none")


def _tests(section: DataSection, voice: Voice) -> Iterator[Markup]:
    yield from _lines(section, ["excluded"], voice)
    if line_of(section, "excluded") is None:
        yield voice.say("quality.answer_tests_none")


def _orders(section: DataSection, voice: Voice) -> Iterator[Markup]:
    yield voice.say("quality.answer_orders", occasions=voice.count(section.occasions))
    yield from _noted(section, ("several_orders",), voice)


def _new(section: DataSection, voice: Voice) -> Iterator[Markup]:
    found = [note for note in ("left_truncated", "first_row_refund") if note_of(section, note)]
    yield from _noted(section, tuple(found), voice)
    if not found:
        yield voice.say("quality.answer_new_none", first=voice.numbers.date(section.first_date))


def _lines(section: DataSection, reasons: list[str], voice: Voice) -> Iterator[Markup]:
    for line in filter(None, (line_of(section, reason) for reason in reasons)):
        yield voice.say(f"quality.answer_{line.reason}", **_facts(line, section, voice))


def _noted(section: DataSection, notes: tuple[str, ...], voice: Voice) -> Iterator[Markup]:
    for line in filter(None, (note_of(section, note) for note in notes)):
        yield voice.say(f"quality.answer_{line.reason}", count=voice.count(line.rows))


def _facts(line: LedgerLine, section: DataSection, voice: Voice) -> dict[str, str]:
    """What a sentence on a line of the ledger may name."""
    return {
        "rows": voice.count(line.rows),
        "share": part(line.rows, section.rows_read, voice),
        "amount": voice.numbers.money(line.amount),
        "size": voice.numbers.money(abs(line.amount)),
    }


ANSWERS: dict[str, Answers] = {
    "customers": _customers,
    "revenue": _revenue,
    "refunds": _refunds,
    "guests": _guests,
    "tests": _tests,
    "orders": _orders,
    "new": _new,
}
