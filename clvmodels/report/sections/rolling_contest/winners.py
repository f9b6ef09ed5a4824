"""Who is best by each score, on each data set and horizon, and who cannot be told from it."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData, ContestResults
from clvmodels.foundation.results import WinnerRow
from clvmodels.report.sections.rolling_contest.wording import (
    BACK,
    DISTRIBUTION,
    GROUP_ORDER,
    OUTCOMES,
    RANKING,
    RANKING_OF_PURCHASES,
    SIZE,
    TOP,
    Cell,
    cells,
    data_title,
    group_of,
    horizon_of,
    kind_name,
    method_names,
    score_form,
    score_name,
    short_name,
    short_score,
)
from clvmodels.report.tables import csv_of
from clvmodels.report.voice import ContestSource, Voice

SHOWN = (RANKING, TOP, RANKING_OF_PURCHASES, SIZE, DISTRIBUTION, BACK)  # of the map; the tables have all scores
MARKS = {"model": "●", "abc": "■", "rfm": "◆", "rule": "▲", "regression": "★", "nobody": "○", "alone": "·"}
NAMES = ("score", "data", "horizon", "unit", "origins", "time", "best", "value", "kept", "verdict")


def contest_winners(source: ContestSource, voice: Voice) -> dict[str, Any]:
    """A map of verdicts over all data sets, and a table a data set with every score."""
    results = source.results
    return {
        "intro": voice.say("contest_winners.intro", set_level=voice.numbers.setting(results.study.level)),
        "legend": [(MARKS[outcome], kind_name(outcome, voice)) for outcome in OUTCOMES],
        "map": _map(results, voice),
        "groups": [(group, voice.text(f"contest_terms.groups.{group}")) for group in GROUP_ORDER],
        "data": [_of_data(data, results.winners, voice) for data in results.data],
        "csv": csv_of(NAMES, (_record(row) for row in results.winners)),
    }


def _record(row: WinnerRow) -> list[Any]:
    listed = {"best": " ".join(row.best), "kept": " ".join(row.kept)}
    return [listed.get(name, getattr(row, name)) for name in NAMES]


def _map(results: ContestResults, voice: Voice) -> dict[str, Any]:
    """A row a data set and horizon, a column a score: who is reliably better, by mark and name."""
    by_place: dict[tuple[str, float], dict[str, Cell]] = {}
    for score in SHOWN:
        for cell in cells(results, score):
            by_place.setdefault((cell.data.key, cell.section.horizon), {})[score] = cell
    known = [score for score in SHOWN if any(score in found for found in by_place.values())]
    rows = []
    for data in results.data:
        for section in data.contests:
            found = by_place.get((data.key, section.horizon), {})
            rows.append(
                {
                    "title": data_title(data, voice),
                    "horizon": horizon_of(section, voice),
                    "cells": [_mark(found.get(score), voice) for score in known],
                }
            )
    return {"heads": [short_score(score, voice) for score in known], "rows": rows}


def _mark(cell: Cell | None, voice: Voice) -> dict[str, str] | None:
    """The mark of who is better, and the method with the best value."""
    if cell is None:
        return None
    return {
        "mark": MARKS[cell.outcome],
        "kind": kind_name(cell.outcome, voice),
        "class": cell.outcome,
        "best": short_name(cell.verdict.best[0], voice),
    }


def _of_data(data: ContestData, rows: list[WinnerRow], voice: Voice) -> dict[str, Any]:
    """All scores of a data set: a row a score, a column a horizon."""
    own = [row for row in rows if row.data == data.key]
    scores = list(dict.fromkeys(row.score for row in own))
    by_place = {(row.score, row.horizon): row for row in own}
    lines = [
        {
            "group": group_of(score, voice),
            "name": score_name(score, voice),
            "cells": [_winner(by_place.get((score, section.horizon)), voice) for section in data.contests],
        }
        for score in sorted(scores, key=lambda score: GROUP_ORDER.index(group_of(score, voice)))
    ]
    return {
        "title": data_title(data, voice),
        "heads": [horizon_of(section, voice) for section in data.contests],
        "rows": lines,
        "time": voice.text(f"contest_winners.{'time' if all(s.time for s in data.contests) else 'no_time'}"),
    }


def _winner(row: WinnerRow | None, voice: Voice) -> dict[str, Any] | None:
    """Who is best, its value, the verdict, and who is kept beside it."""
    if row is None:
        return None
    others = [method for method in row.kept if method not in row.best]
    return {
        "best": method_names(row.best, voice),
        "value": score_form(row.score, voice)(row.value),
        "verdict": voice.text(f"contest_winners.verdict_{row.verdict}"),
        "key": row.verdict,
        "kept": _kept(row.verdict, others, voice),
    }


def _kept(verdict: str, others: list[str], voice: Voice) -> Markup | str:
    """Who cannot be told from the best; where nobody can, that is said once and not as a list."""
    if not others or verdict == "none":
        return ""
    names = voice.numbers.listed([short_name(method, voice) for method in others])
    return voice.say("contest_winners.kept", methods=names)
