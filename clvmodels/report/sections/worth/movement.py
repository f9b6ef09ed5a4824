"""Who moved between two dates: from which class to which, how many, and what they brought before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import ClassesSection, Movement, MovementKind
from clvmodels.report import decision_figures
from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.sections.parts import class_names, figure_of, flat_csv, table_of
from clvmodels.report.sections.retention.wording import told
from clvmodels.report.tables import Figure, Table
from clvmodels.report.voice import Source, Voice

NODES = (*CELL_ORDER, "lost", "none")
KINDS = ("new", "upgraded", "won_back", "same", "downgraded", "lost")


def movement(source: Source, voice: Voice) -> dict[str, Any] | None:
    """A sentence on the balance, the kinds as a table, and the flow picture."""
    classes = source.results.classes
    if classes is None or not classes.kinds:
        return None
    kinds = {kind.key: kind for kind in classes.kinds}
    dates = {"before": voice.numbers.date(classes.moved_from), "after": voice.numbers.date(classes.moved_to)}
    return {
        "intro": voice.say("movement.intro", **dates),
        "text": _text(kinds, voice),
        "kinds": _kinds([kinds[key] for key in KINDS if key in kinds], voice),
        "figure": _figure(classes, class_names(source.results, voice), voice) if _moved(classes) else None,
    }


def _text(kinds: Mapping[str, MovementKind], voice: Voice) -> Markup:
    count = {key: voice.count(kinds[key].customers if key in kinds else 0) for key in KINDS}
    up = sum(kinds[key].customers for key in ("new", "upgraded", "won_back") if key in kinds)
    down = sum(kinds[key].customers for key in ("downgraded", "lost") if key in kinds)
    key = "movement.text_down" if down > up else "movement.text_up"
    return voice.say(key if "new" in kinds and kinds["new"].customers else f"{key}_none_new", **count)


def _kinds(kinds: Sequence[MovementKind], voice: Voice) -> Table:
    numbers = voice.numbers
    rows = (
        (
            voice.text(f"movement.kinds.{kind.key}"),
            voice.count(kind.customers),
            told(kind.expected, numbers.decimal, voice),
            numbers.cell(kind.value_before),
            numbers.cell(kind.value_after),
        )
        for kind in kinds
    )
    return table_of("movement", ("kind", "customers", "expected", "value_before", "value_after"), rows, voice)


def _moved(classes: ClassesSection) -> list[Movement]:
    return [movement for movement in classes.movements if movement.customers]


def _figure(classes: ClassesSection, names: Mapping[str, str], voice: Voice) -> Figure:
    numbers, moved = voice.numbers, _moved(classes)
    flows = [
        decision_figures.Flow(row.before, row.after, row.customers, place)
        for place, row in enumerate(classes.movements)
        if row.customers
    ]
    sides = (
        _side("before", classes.moved_from, moved, names, voice),
        _side("after", classes.moved_to, moved, names, voice),
    )
    most = max((row for row in moved if row.before != row.after), key=lambda row: row.customers, default=None)
    heads = ("from", "to", "customers", "expected", "value_before", "value_after")
    rows = (
        (
            names.get(row.before, row.before),
            names.get(row.after, row.after),
            voice.count(row.customers),
            told(row.expected, numbers.decimal, voice),
            numbers.cell(row.value_before),
            numbers.cell(row.value_after),
        )
        for row in classes.movements
    )
    return figure_of(
        "movement",
        decision_figures.movement(flows, sides),
        decision_figures.flow_sizes(max(len(side.keys) for side in sides)),
        alt=voice.say("movement.alt", before=numbers.date(classes.moved_from), after=numbers.date(classes.moved_to)),
        caption=_caption(most, names, voice),
        table=table_of("movement", heads, rows, voice, words=2),
        csv=flat_csv(classes.movements),
    )


def _caption(most: Movement | None, names: Mapping[str, str], voice: Voice) -> Markup:
    if most is None:
        return voice.say("movement.caption_none")
    return voice.say(
        "movement.caption",
        before=names.get(most.before, most.before),
        after=names.get(most.after, most.after),
        count=voice.count(most.customers),
        expected=voice.count(most.expected.mean),
        range=voice.counts_between(most.expected),
    )


def _side(
    end: str, day: str, moved: Sequence[Movement], names: Mapping[str, str], voice: Voice
) -> decision_figures.FlowColumn:
    there = {getattr(row, end) for row in moved}
    keys = [*(key for key in NODES if key in there), *sorted(there - set(NODES))]
    counts = {key: sum(row.customers for row in moved if getattr(row, end) == key) for key in keys}
    labels = {key: (names.get(key, key), voice.count(count)) for key, count in counts.items()}
    return decision_figures.FlowColumn(voice.numbers.short_date(day), keys, labels)
