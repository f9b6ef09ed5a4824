"""How the study's budget is best spent: on whom, for what gain, and how that compares with chance."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import ActionsSection, BudgetSplit
from clvmodels.foundation.results import StudyResults
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.measures.actions import title
from clvmodels.report.sections.parts import class_names, figure_of, table_of
from clvmodels.report.sections.retention.wording import told
from clvmodels.report.tables import Figure, Table, csv_of
from clvmodels.report.voice import Source, Voice


def budget(source: Source, voice: Voice) -> dict[str, Any] | None:
    """A paragraph, the split as a table, and the curve of gain by budget."""
    results = source.results
    split = None if results.actions is None else results.actions.split
    if split is None:
        return None
    numbers = voice.numbers
    return {
        "text": voice.say(
            "budget.text" if split.rows else "budget.nothing",
            budget=numbers.money(split.budget),
            spent=numbers.money(split.spent),
            customers=voice.count(split.customers),
            gain=numbers.money(middle(split.gain)),
            range=numbers.interval(split.gain, numbers.money),
            p_loss=numbers.share(split.p_loss),
            random=numbers.money(split.random_gain),
        ),
        "refused": None if split.advised else _refused(split, results.actions, voice),
        "unspent": voice.say("budget.unspent", rest=numbers.money(split.budget - split.spent))
        if split.rows and split.budget - split.spent > 0.01 * split.budget
        else None,
        "table": _table(split, results, voice) if split.rows else None,
        "figure": _figure(split, voice) if len(split.curve) > 1 else None,
    }


def _refused(split: BudgetSplit, section: ActionsSection | None, voice: Voice) -> Markup:
    """Why the split is no recommendation."""
    assert section is not None
    return voice.say(
        f"budget.refused_{split.reason}",
        p_gain=voice.numbers.share(1 - split.p_loss),
        chance=voice.numbers.setting(section.least_chance),
        customers=voice.count(split.customers),
        least=voice.count(section.least_customers),
    )


def _table(split: BudgetSplit, results: StudyResults, voice: Voice) -> Table:
    assert results.actions is not None
    numbers, names, section = voice.numbers, class_names(results, voice), results.actions
    rows = (
        (
            title(row.action, section, voice),
            names.get(row.cell, row.cell),
            voice.count(row.customers),
            numbers.cell(row.spend),
            told(row.gain, numbers.cell, voice),
        )
        for row in split.rows
    )
    return table_of("budget", ("action", "type", "customers", "spend", "gain"), rows, voice, words=2)


def _figure(split: BudgetSplit, voice: Voice) -> Figure:
    numbers = voice.numbers
    words = {key: voice.text(f"budget.figure_{key}") for key in ("best", "chosen", "chance", "budget")}
    end = split.curve[-1]
    table = table_of(
        "budget",
        ("budget", "expected_gain"),
        ((numbers.cell(spent), numbers.cell(gain)) for spent, gain in _thinned(split.curve)),
        voice,
        words=0,
    )
    return figure_of(
        "budget",
        decision_figures.budget_curve(
            split.curve,
            (split.spent, middle(split.gain) or 0.0),
            split.random_gain,
            [spent for spent, _ in _thinned(split.curve)],
            words,
            numbers,
        ),
        figures.sizes(1, height=300, narrow_height=300),
        alt=voice.say("budget.alt", budget=numbers.money(split.budget)),
        caption=voice.say("budget.caption", end=numbers.money(end[0]), end_gain=numbers.money(end[1])),
        table=table,
        csv=csv_of(["budget", "expected_gain"], split.curve),
    )


def _thinned(curve: list[tuple[float, float]], most: int = 12) -> list[tuple[float, float]]:
    """So many points of a curve, its last among them; the CSV file has all."""
    step = -(-len(curve) // most)
    return [*curve[:-1:step], curve[-1]]
