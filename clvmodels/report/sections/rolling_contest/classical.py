"""Where classical methods are best, and what is true of the data sets where they are."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import Circumstance, ContestData, ContestResults
from clvmodels.report.sections.retention.wording import plain
from clvmodels.report.sections.rolling_contest.wording import (
    BACK,
    CLASSICAL,
    RANKING,
    RANKING_OF_PURCHASES,
    SIZE,
    TOP,
    Cell,
    cells,
    data_title,
    heads,
    horizon_of,
    kind_of,
    method_names,
    score_form,
    score_name,
    short_name,
)
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import ContestSource, Voice

ASKED = (RANKING, TOP, RANKING_OF_PURCHASES, "active_precision_10", "active_precision_20", SIZE, BACK)
SHARES = ("repeat_share", "old_share", "largest")
CORRELATIONS = ("past_spend", "recency", "rate_and_spend")
ORDER = (*SHARES[:2], *CORRELATIONS, "pace", SHARES[2])


def contest_classical(source: ContestSource, voice: Voice) -> dict[str, Any]:
    """Verdicts that a classical method leads, by data set, beside that data set's circumstances."""
    results = source.results
    found = [cell for score in ASKED for cell in cells(results, score) if not cell.data.shuffled and _leads(cell)]
    return {
        "intro": voice.say("contest_classical.intro", level=voice.level),
        "sum": _sum(results, found, voice),
        "data": [
            {
                "title": data_title(data, voice),
                "won": [_won(cell, voice) for cell in found if cell.data is data],
                "why": _why(data, voice),
            }
            for data in results.data
            if any(cell.data is data for cell in found)
        ],
        "table": _table(results.data, found, voice),
        "caution": voice.text("contest_classical.caution"),
    }


def _leads(cell: Cell) -> bool:
    """Whether a classical method is best, or in the set of the best while no model is."""
    kept = {kind_of(method) for method in cell.verdict.kept}
    return kind_of(cell.verdict.best[0]) in CLASSICAL or (bool(kept & set(CLASSICAL)) and "model" not in kept)


def _reliably(cell: Cell) -> bool:
    """Whether no model can be told from the best."""
    return "model" not in {kind_of(method) for method in cell.verdict.kept}


def _sum(results: ContestResults, found: Sequence[Cell], voice: Voice) -> Markup:
    judged = [cell for score in ASKED for cell in cells(results, score) if not cell.data.shuffled]
    return voice.say(
        "contest_classical.sum" if found else "contest_classical.none",
        leads=voice.count(len(found)),
        judged=voice.count(len(judged)),
        reliably=voice.count(sum(map(_reliably, found))),
    )


def _won(cell: Cell, voice: Voice) -> Markup:
    """One verdict: the best, its value, and whether a model cannot be told from it."""
    value = next(
        row.value
        for row in cell.section.league
        if (row.method, row.score) == (cell.verdict.best[0], cell.verdict.score)
    )
    models = [method for method in cell.verdict.kept if kind_of(method) == "model"]
    return voice.say(
        "contest_classical.open" if models else "contest_classical.won",
        score=score_name(cell.verdict.score, voice),
        horizon=horizon_of(cell.section, voice),
        best=method_names(cell.verdict.best, voice),
        value=score_form(cell.verdict.score, voice)(value),
        models=voice.numbers.listed([short_name(method, voice) for method in models]),
    )


# Circumstances


def _why(data: ContestData, voice: Voice) -> list[Markup]:
    """What is measured of the data set, in sentences that claim no cause."""
    known = {circumstance.key: circumstance for circumstance in data.circumstances if circumstance.value is not None}
    return [
        voice.say(f"contest_classical.because.{key}{_side(known[key])}", value=_told(known[key], voice))
        for key in ORDER
        if key in known
    ]


def _side(circumstance: Circumstance) -> str:
    """Pace is told as more or less than expected; the rest as it is."""
    if circumstance.key != "pace" or circumstance.value is None:
        return ""
    return "_more" if circumstance.value > 1 else "_less"


def _told(circumstance: Circumstance, voice: Voice) -> str:
    if circumstance.key in SHARES:
        return voice.numbers.share(circumstance.value, 1)
    if circumstance.key == "pace":
        gap = None if circumstance.value is None else abs(circumstance.value - 1)
        return voice.numbers.share(gap, 1)
    return voice.numbers.decimal(circumstance.value, 2)


def _table(data: Sequence[ContestData], found: Sequence[Cell], voice: Voice) -> Table | None:
    """Data sets in rows: how many verdicts a classical method leads, and the circumstances."""
    told = [of for of in data if of.circumstances]
    if not told:
        return None
    keys = [key for key in ORDER if any(circumstance.key == key for of in told for circumstance in of.circumstances)]
    rows = []
    for of in told:
        known = {circumstance.key: circumstance for circumstance in of.circumstances}
        leads = voice.count(None if of.shuffled else sum(cell.data is of for cell in found))
        rows.append((data_title(of, voice), leads, *(_value(known.get(key), voice) for key in keys)))
    names = [*heads("contest_classical", ("data", "leads"), voice)]
    names += [plain(voice.say(f"contest_classical.head_{key}")) for key in keys]
    return Table(voice.text("contest_classical.table"), columns(*names), tuple(rows))


def _value(circumstance: Circumstance | None, voice: Voice) -> str:
    """The measure itself for a table's cell."""
    if circumstance is None:
        return voice.count(None)
    if circumstance.key in SHARES:
        return voice.numbers.share(circumstance.value, 1)
    return voice.numbers.decimal(circumstance.value, 2)
