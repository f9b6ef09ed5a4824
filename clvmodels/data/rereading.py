"""What the choices of a log have concerned, and what the log would come to by other words of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clvmodels.data.engines import exact_total, first_row, total
from clvmodels.data.occasions import occasions, sums_of
from clvmodels.data.row_fates import other_currency, with_row_fates
from clvmodels.foundation.counting import WORDS, CountingRules
from clvmodels.foundation.records import TransactionLog
from clvmodels.foundation.results import Alternative, Choice

SET_ASIDE_BY = {"first_day": "before_first_day", "last_day": "after_last_day", "exclude": "excluded"}


def choices(log: TransactionLog) -> list[Choice]:
    """Each choice of what counts, with its word, and the rows and amount that it concerned in this log.

    A choice whose column was not read is left out. Duplicates and first refunds are counted among the rows that no
    other choice has set aside.
    """
    with log.unchanged():
        concerned = _concerned(log)
    worded = [Choice(option, getattr(log.rules, option), *concerned[option]) for option in WORDS if option in concerned]
    aside = {line.reason: line for line in log.ledger}
    stated = {"first_day": log.rules.first_day, "last_day": log.rules.last_day, "exclude": _listed(log.rules)}
    for option, word in stated.items():
        if word is not None:
            line = aside.get(SET_ASIDE_BY[option])
            worded.append(Choice(option, str(word), line.rows if line else 0, line.amount if line else 0.0))
    return worded


def alternatives(log: TransactionLog) -> list[Alternative]:
    """What the log comes to by each word of each choice that concerned a row, all else as it was chosen."""
    with log.unchanged():
        concerned = _concerned(log)
        return [
            _by_word(log, option, word, refused=word == "refuse" and option in concerned)
            for option, words in WORDS.items()
            if concerned.get(option, (0, 0.0))[0]
            for word in words
        ]


def _by_word(log: TransactionLog, option: str, word: str, *, refused: bool) -> Alternative:
    chosen = getattr(log.rules, option) == word
    if refused:
        return Alternative(option, word, chosen, None, None, None, None)
    changed: dict[str, Any] = {option: word}
    rules = replace(log.rules, **changed)
    judged = with_row_fates(log.rows, rules, log.currency)
    seen = first_row(judged.aggregate(rows=judged.count(), **sums_of(judged)))
    found = occasions(judged, rules, seen=seen).table
    came = first_row(
        found.aggregate(
            rows_used=found.lines.sum().fill_null(0),
            occasions=found.count(),
            customers=found.customer_id.nunique(),
            revenue=total(found.amount),
        )
    )
    return Alternative(option, word, chosen, **came)


def _concerned(log: TransactionLog) -> dict[str, tuple[int, float]]:
    """Rows and amount that each choice concerned, by option."""
    rows = log.rows
    marked = {"missing_ids": rows.customer_id.isnull(), "zero_amounts": rows.amount == 0, "refunds": rows.amount < 0}
    if "currency" in rows.columns:
        marked["other_currencies"] = other_currency(rows, log.currency)
    counts = {f"{option}_rows": mark.sum().fill_null(0) for option, mark in marked.items()}
    amounts = {f"{option}_amount": exact_total(rows.amount, mark).cast("float64") for option, mark in marked.items()}
    seen = first_row(rows.aggregate(**counts, **amounts))
    found = {option: (seen[f"{option}_rows"], seen[f"{option}_amount"]) for option in marked}
    return found | _from_accounts(log)


def _from_accounts(log: TransactionLog) -> dict[str, tuple[int, float]]:
    """Duplicates, and customers (or rows set aside) of first refunds: from the ledger, or from the notes."""
    accounts: Mapping[str, Any] = {line.reason: line for line in (*log.notes, *log.ledger)}
    found = {}
    for option, reasons in {
        "duplicates": ("duplicate", "repeated_line"),
        "first_refunds": ("first_refund", "first_row_refund"),
    }.items():
        lines = [accounts[reason] for reason in reasons if reason in accounts]
        found[option] = (lines[0].rows, lines[0].amount) if lines else (0, 0.0)
    return found


def _listed(rules: CountingRules) -> str | None:
    """The values to exclude, as a reader lists them."""
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in rules.exclude.items()) or None
