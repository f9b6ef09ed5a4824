"""Customers for whom a decision is due now, in four lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import ActOn, StudyResults
from clvmodels.report.sections.data import privacy
from clvmodels.report.sections.measures.actions import title
from clvmodels.report.tables import Column, Table, with_interval
from clvmodels.report.voice import Source, Voice

LISTS = ("protect", "grow", "win_back", "undecided")
SHOWN = 8  # rows before the rest folds away
NOTHING = "–"


@dataclass(frozen=True)
class _Told:
    """A column: its head, and what it tells of a customer."""

    head: str
    told: Callable[[ActOn], str]
    number: bool = True


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
                "first": _table(rows[:SHOWN], source, voice, key=key),
                "rest": _table(rows[SHOWN:], source, voice, key=key) if rows[SHOWN:] else None,
                "more": voice.say("act_on.more", count=voice.count(len(rows))),
            }
            for key, rows in by_list.items()
            if rows
        ],
        "notes": _notes(results, voice),
    }


def _notes(results: StudyResults, voice: Voice) -> list[Markup]:
    """What the columns on time and on the next type say, and what they do not."""
    section, rows = results.actions, results.act_on
    if section is None:
        return []
    told = {
        "note_call": any(row.days_until_half is not None for row in rows),
        "note_next": any(row.amount_to_next is not None or row.purchases_to_next is not None for row in rows),
        "note_action": any(row.best_action for row in rows),
    }
    date, weeks = voice.numbers.date(results.value.as_of), voice.numbers.length(section.next_weeks, "week")
    return [voice.say(f"act_on.{key}", date=date, weeks=weeks) for key, there in told.items() if there]


def _table(rows: Sequence[ActOn], source: Source, voice: Voice, *, key: str) -> Table:
    columns_of = [column for column in _columns(source, voice) if any(column.told(row) != NOTHING for row in rows)]
    heads = [str(voice.say(f"act_on.head_{column.head}", level=voice.level)) for column in columns_of]
    body = tuple((row.customer_id, *(column.told(row) for column in columns_of)) for row in rows)
    return Table(
        voice.text(f"act_on.{key}"),
        (
            Column(voice.text("act_on.head_customer"), number=False),
            *(Column(head, number=column.number) for head, column in zip(heads, columns_of, strict=True)),
        ),
        body,
    )


def _columns(source: Source, voice: Voice) -> tuple[_Told, ...]:
    """What a list tells of a customer; a column of which nobody has anything is left out."""
    numbers, results = voice.numbers, source.results
    names = action_names(results, voice)

    def future(row: ActOn) -> str:
        return with_interval(numbers.cell(row.clv), voice.cells_between(row.clv_low, row.clv_high))

    def kind(row: ActOn) -> str:
        name = voice.cell(results.matrix.vocabulary, row.label, row.label)
        return with_interval(name, numbers.share(row.label_probability))

    return (
        _Told("clv", future),
        _Told("ceiling", lambda row: numbers.cell(row.ceiling)),
        _Told("action", lambda row: names.get(row.best_action, row.best_action), number=False),
        _Told("alive", lambda row: numbers.share(row.p_alive)),
        _Told("last", lambda row: numbers.short_date(row.last_purchase)),
        _Told("call", lambda row: voice.count(row.days_until_half)),
        _Told("frequency", lambda row: voice.count(row.frequency)),
        _Told("current", lambda row: numbers.cell(row.current_value)),
        _Told("label", kind, number=False),
        _Told("next", lambda row: _next(row, results, voice), number=False),
        _Told("rank", lambda row: voice.count(row.rank)),
    )


def _next(row: ActOn, results: StudyResults, voice: Voice) -> str:
    """The next better type, and below it what would have to happen."""
    steps = []
    if row.amount_to_next is not None:
        steps.append(voice.say("act_on.next_amount", amount=voice.numbers.cell(row.amount_to_next)))
    if row.purchases_to_next is not None:
        one = round(row.purchases_to_next) == 1
        steps.append(
            voice.say(
                "act_on.next_purchase" if one else "act_on.next_purchases", count=voice.count(row.purchases_to_next)
            )
        )
    if not steps or not row.next_cell:
        return NOTHING
    return with_interval(
        voice.cell(results.matrix.vocabulary, row.next_cell, row.next_cell), voice.numbers.listed(steps)
    )


def action_names(results: StudyResults, voice: Voice) -> dict[str, str]:
    """The reader's name of each action that the study states, and of none."""
    section = results.actions
    stated = {} if section is None else {row.key: title(row.key, section, voice) for row in section.settings}
    return {**stated, "none": voice.text("act_on.no_action"), "": NOTHING}
