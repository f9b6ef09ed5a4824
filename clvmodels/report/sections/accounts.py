"""What the sections on the data share: which lines of a ledger count, their sums and shares, and its table."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import DataSection
from clvmodels.report.tables import Column, Table, columns
from clvmodels.report.voice import Voice

# Lines whose rows are part of a purchase; those of every other reason were set aside.
COUNTED = ("used", "refund_netted")

# What a note counts where it does not count rows.
COUNTED_IN = {
    "similar_id": "customers",
    "mixed_id": "customers",
    "first_row_refund": "customers",
    "left_truncated": "customers",
    "few_customers": "customers",
    "few_repeat_buyers": "customers",
    "several_orders": "days",
    "exclude_unseen": "values",
}


def counted(section: DataSection) -> list[LedgerLine]:
    """Lines of rows that count."""
    return [line for line in section.ledger if line.reason in COUNTED]


def aside(section: DataSection) -> list[LedgerLine]:
    """Lines of rows that were set aside."""
    return [line for line in section.ledger if line.reason not in COUNTED]


def line_of(section: DataSection, reason: str) -> LedgerLine | None:
    """The ledger's line of a reason, if there is one."""
    return next((line for line in section.ledger if line.reason == reason), None)


def note_of(section: DataSection, reason: str) -> LedgerLine | None:
    """The note of a reason, if there is one."""
    return next((line for line in section.notes if line.reason == reason), None)


def rows_of(lines: Sequence[LedgerLine]) -> int:
    """Sum of their rows."""
    return sum(line.rows for line in lines)


def amount_of(lines: Sequence[LedgerLine]) -> float:
    """Sum of their amounts."""
    return math.fsum(line.amount for line in lines)


def part(value: float, whole: float, voice: Voice) -> str:
    """A share with one decimal; a dash where there is nothing to be a share of, as of results without `gross`."""
    if whole <= 0:
        return voice.numbers.decimal(None)
    share = value / whole
    return voice.numbers.share(share, 0 if abs(share) < 0.0005 else 1)


def balance(section: DataSection, voice: Voice) -> Markup:
    """The sentence in which rows read are rows used and rows set aside, and so are their amounts."""
    exact = voice.numbers.exact
    return voice.say(
        "data.balance",
        rows=voice.count(section.rows_read),
        used=voice.count(rows_of(counted(section))),
        aside=voice.count(rows_of(aside(section))),
        gross=exact(amount_of(section.ledger)),
        used_amount=exact(amount_of(counted(section))),
        aside_amount=exact(amount_of(aside(section))),
    )


def ledger_table(section: DataSection, samples: int, voice: Voice) -> Table:
    """Every reason with rows, amount, their shares and so many examples, and the total below."""
    heads = [voice.text(f"data.head_{head}") for head in ("reason", "rows", "share", "sum", "sum_share")]
    gross = amount_of(section.ledger)
    body = tuple(
        (
            voice.words.name("reasons", line.reason),
            *_sums(line.rows, line.amount, section.rows_read, gross, voice),
            sample_cell(line.sample[:samples]),
        )
        for line in section.ledger
    )
    total = _sums(rows_of(section.ledger), gross, section.rows_read, gross, voice)
    return Table(
        voice.text("data.table_ledger"),
        (*columns(*heads), Column(voice.text("data.head_sample"), number=False)),
        body,
        foot=(voice.text("data.total"), *total, ""),
        ordered=True,
    )


def _sums(rows: int, amount: float, all_rows: int, gross: float, voice: Voice) -> tuple[str, str, str, str]:
    return (
        voice.count(rows),
        part(rows, all_rows, voice),
        voice.numbers.exact_cell(amount),
        part(amount, gross, voice),
    )


def sample_cell(sample: Sequence[str]) -> Markup:
    """Examples one below the other; what they hold is text, whatever it looks like."""
    return Markup("").join(Markup('<span class="sample">{}</span>').format(text) for text in sample)


def note_table(lines: Sequence[LedgerLine], label: str, voice: Voice) -> Table:
    """Lines outside the balance: customers set aside, or what was noticed."""
    texts = [voice.text(f"data.head_{head}") for head in ("noted", "rows", "sum")]
    body = tuple(
        (
            voice.words.name("reasons", line.reason),
            voice.count(line.rows),
            voice.numbers.exact_cell(None if without_amount(line) else line.amount),
            sample_cell(line.sample),
        )
        for line in lines
    )
    return Table(label, (*columns(*texts), Column(voice.text("data.head_sample"), number=False)), body)


def without_amount(line: LedgerLine) -> bool:
    """Whether a note counts customers or days and says nothing of amounts."""
    return line.reason in COUNTED_IN and line.amount == 0
