"""The first screen's two lists: what to do on Monday, and what is not sure."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import Cell, StudyResults
from clvmodels.report.sections.measures.actions import advice, advised
from clvmodels.report.sections.parts import ALL, class_names, ratio
from clvmodels.report.sections.worth.worth import newcomers_text
from clvmodels.report.voice import Voice

LINKED = {
    "keep": "act_on",
    "recover": "act_on",
    "recover_unlisted": "losing",
    "act": "actions",
    "act_none": "actions",
    "save": "strategy",
}


def monday(results: StudyResults, voice: Voice) -> dict[str, Any]:
    """Steps, each with the section that has the rest, what is not sure, and what ranges and amounts hold for."""
    value = results.value
    return {
        "steps": [*_steps(results, voice)],
        "unsure": [*_unsure(results, voice)],
        "ranges": voice.say(
            "monday.ranges",
            level=voice.level,
            horizon=voice.length(value.horizon),
            as_of=voice.numbers.date(value.as_of),
        ),
    }


def _steps(results: StudyResults, voice: Voice) -> Iterator[tuple[str, Markup]]:
    cells = {cell.key: cell for cell in results.matrix.cells}
    lists = {row.list_key for row in results.act_on}
    best, rest = cells.get("high_high"), cells.get("low_low")
    if best is not None and best.customers:
        yield _link("keep", results), _of_cell("monday.keep", best, results, voice)
    if results.value.at_risk_customers:
        # a study that tells of no single customer has no list, and has as much to win back
        step = "recover" if "win_back" in lists else "recover_unlisted"
        yield _link(step, results), _recover(step, results, voice)
    if results.actions is not None and results.actions.actions:
        yield from _campaign(results, voice)
    if rest is not None and rest.customers:
        yield _link("save", results), _of_cell("monday.save", rest, results, voice)
    yield (
        "#winning",
        voice.say(
            "monday.win",
            ceiling=voice.numbers.money(results.value.acquisition_ceiling),
            horizon=voice.length(results.value.horizon),
        ),
    )


def _link(step: str, results: StudyResults) -> str:
    """The section with the rest; the treatment's is left out where the study has no words on it."""
    target = LINKED[step]
    return "#matrix" if target == "strategy" and results.strategies is None else f"#{target}"


def _of_cell(key: str, cell: Cell, results: StudyResults, voice: Voice) -> Markup:
    numbers = voice.numbers
    return voice.say(
        key,
        type=class_names(results, voice)[cell.key],
        customers=voice.count(cell.customers),
        part=numbers.share(ratio(cell.customers, results.value.customers)),
        share=numbers.share(cell.clv_share),
        ceiling=numbers.money(cell.ceiling_per_customer),
        horizon=voice.length(results.value.horizon),
    )


def _recover(step: str, results: StudyResults, voice: Voice) -> Markup:
    value = results.value
    return voice.say(
        f"monday.{step}",
        customers=voice.count(value.at_risk_customers),
        value=voice.numbers.compact(value.at_risk_current_value),
        below=voice.numbers.setting(value.at_risk_below),
        list=voice.text("act_on.win_back"),
    )


def _campaign(results: StudyResults, voice: Voice) -> Iterator[tuple[str, Markup]]:
    """The action with the largest gain among those advised, or that none is."""
    assert results.actions is not None
    found = advised(results.actions)
    of_type = [row for row in found if row.cell != ALL]
    if of_type:
        yield _link("act", results), advice("monday.act", of_type[0], results, voice)
    elif found:
        yield _link("act", results), advice("monday.act_all", found[0], results, voice)
    else:
        chance = voice.numbers.setting(results.actions.least_chance)
        yield _link("act_none", results), voice.say("monday.act_none", chance=chance)


def _unsure(results: StudyResults, voice: Voice) -> Iterator[Markup]:
    value, matrix, numbers = results.value, results.matrix, voice.numbers
    yield voice.say("monday.alive", range=voice.counts_between(value.alive), customers=voice.count(value.customers))
    yield voice.say(
        "monday.types",
        count=voice.count(matrix.undecided),
        share=numbers.share(ratio(matrix.undecided, value.customers)),
        limit=numbers.setting(matrix.undecided_below),
    )
    if results.actions is not None and results.actions.actions:
        yield voice.say("monday.effects")
    newcomers = None if results.money is None else results.money.newcomers
    if newcomers is None:
        yield voice.say("monday.today_only")
    else:
        yield newcomers_text("monday.newcomers", newcomers, results, voice)
