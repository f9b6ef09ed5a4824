"""The first screen of a contest: on how many data sets and horizons which kind of method is reliably better."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData, ContestResults
from clvmodels.foundation.results import Duel, LeagueRow, RollingSection, TotalCoverage
from clvmodels.report.sections.retention.wording import plain
from clvmodels.report.sections.rolling_contest.wording import (
    ABSOLUTE,
    ALONE,
    BACK,
    CLASSICAL,
    DISTRIBUTION,
    KINDS,
    NOBODY,
    OUTCOMES,
    RANKING,
    RANKING_OF_PURCHASES,
    SIZE,
    TOP,
    Cell,
    cells,
    data_title,
    data_titles,
    horizon_of,
    is_real,
    kind_name,
    kind_of,
    league_row,
    method_name,
    method_names,
    pair_without_baskets,
    real,
    score_name,
    tallied,
)
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import LEVEL, ContestSource, Voice

ASKED = (RANKING, TOP, RANKING_OF_PURCHASES, SIZE, BACK, "active_log_score", DISTRIBUTION)
TOLD = (RANKING, TOP, SIZE, BACK)  # in sentences; the table has the others
OPPONENTS = ("abc", "rfm")
COVERAGES = ("purchases_coverage_90", "spend_coverage_90")


def contest_answer(source: ContestSource, voice: Voice) -> dict[str, Any]:
    """The verdict on ranking, on the other questions, on intervals; a sentence a data set; the table of counts."""
    results = source.results
    return {
        "main": main_verdict(results, voice),
        "others": [said for score in TOLD[1:] if (said := _verdict(results, score, voice))],
        "absolute": _absolute(results, voice),
        "own": [said for opponent in OPPONENTS if (said := _against(results, opponent, voice)) is not None],
        "intervals": _intervals(results, voice),
        "totals": _totals(results, voice),
        "data": [_about(data, results, voice) for data in results.data],
        "table": _table(results, voice),
        "left_out": voice.say("contest_answer.left_out", data=voice.numbers.listed(list(results.left_out)))
        if results.left_out
        else "",
        "few_origins": _few_origins(results, voice),
        "note": voice.say("contest_answer.note", set_level=voice.numbers.setting(results.study.level)),
    }


def main_verdict(results: ContestResults, voice: Voice) -> Markup | None:
    """The verdict on ranking by spend, or by purchases where no real data have amounts."""
    return _verdict(results, RANKING, voice) or _verdict(results, RANKING_OF_PURCHASES, voice)


def _verdict(results: ContestResults, score: str, voice: Voice) -> Markup | None:
    """In how many cells each kind of method is reliably better on one score; None where no real data have it."""
    found = real(cells(results, score))
    if not found:
        return None
    counts = tallied(found)
    decided = [kind for kind in KINDS if counts[kind]]
    told = {
        "question": voice.text(f"contest_answer.asked.{score}"),
        "cells": voice.count(len(found)),
        "data": voice.count(len({cell.data.key for cell in found})),
        "nobody": voice.count(counts[NOBODY] + counts[ALONE]),
        "parts": voice.numbers.listed(
            [
                plain(voice.say("contest_answer.part", kind=kind_name(kind, voice), count=voice.count(counts[kind])))
                for kind in decided
            ]
        ),
    }
    if not decided:
        return voice.say("contest_answer.nobody", **told)
    return voice.say(f"contest_answer.{'decided' if sum(counts[k] for k in KINDS) == len(found) else 'mixed'}", **told)


def _absolute(results: ContestResults, voice: Voice) -> Markup | str:
    """Why the mean absolute error is not told: where rules that say none to most are first by it."""
    found = real(cells(results, ABSOLUTE))
    first = [cell for cell in found if kind_of(cell.verdict.best[0]) in CLASSICAL]
    if not first:
        return ""
    methods = list(dict.fromkeys(cell.verdict.best[0] for cell in first))
    return voice.say(
        "contest_answer.absolute",
        count=voice.count(len(first)),
        cells=voice.count(len(found)),
        methods=voice.numbers.listed([method_name(method, voice) for method in methods]),
    )


def _few_origins(results: ContestResults, voice: Voice) -> Markup | str:
    """Contests whose verdicts hold for their times alone."""
    sections = [section for data in results.data if is_real(data) for section in data.contests]
    few = sum(not section.time for section in sections)
    return (
        voice.say("contest_answer.few_origins", few=voice.count(few), cells=voice.count(len(sections))) if few else ""
    )


def _against(results: ContestResults, opponent: str, voice: Voice) -> Markup | None:
    """The study's own method against one other on ranking: cells that it wins, loses, leaves open."""
    said = []
    for score in (RANKING, TOP):
        duels = _duels(results, opponent, score)
        if duels:
            counts = {name: sum(duel.verdict == name for duel in duels) for name in ("model", "method", "open")}
            said.append(
                voice.say(
                    "contest_answer.against_score",
                    score=score_name(score, voice),
                    won=voice.count(counts["model"]),
                    lost=voice.count(counts["method"]),
                    open=voice.count(counts["open"]),
                    cells=voice.count(len(duels)),
                )
            )
    if not said:
        return None
    own, other = method_name(results.study.method, voice), method_name(opponent, voice)
    joined = Markup(voice.text("contest_answer.then")).join(said)
    return voice.say("contest_answer.against", own=own, other=other, scores=joined, level=voice.level)


def _duels(results: ContestResults, opponent: str, score: str) -> list[Duel]:
    return [
        duel
        for data in results.data
        if is_real(data)
        for section in data.contests
        if section.model == results.study.method
        for duel in section.duels
        if (duel.method, duel.score) == (opponent, score)
    ]


def _intervals(results: ContestResults, voice: Voice) -> list[Markup]:
    """What share of customers' outcomes lay in the intervals of the study's own method, over real data."""
    said = []
    for score in COVERAGES:
        rows = [
            row
            for data in results.data
            if is_real(data)
            for section in data.contests
            if (row := _interval_row(section, results, score)) is not None
        ]
        if rows:
            short = sum(row.high < LEVEL for row in rows)
            said.append(
                voice.say(
                    "contest_answer.intervals_short" if short else "contest_answer.intervals",
                    outcome=voice.text(f"evidence.{score.split('_')[0]}"),
                    method=method_names(dict.fromkeys(row.method for row in rows), voice),
                    level=voice.level,
                    low=voice.numbers.share(min(row.value for row in rows), 1),
                    high=voice.numbers.share(max(row.value for row in rows), 1),
                    short=voice.count(short),
                    cells=voice.count(len(rows)),
                )
            )
    return said


def _interval_row(section: RollingSection, results: ContestResults, score: str) -> LeagueRow | None:
    """Coverage of the study's own method, or of the first model with intervals where it has none."""
    rows = [row for method in section.methods if (row := league_row(section, method, score)) is not None]
    own = next((row for row in rows if row.method == results.study.method), None)
    return own or next((row for row in rows if kind_of(row.method) == "model"), None)


def _totals(results: ContestResults, voice: Voice) -> Markup | str:
    """How many windows of real data had their total inside, with and without moving demand."""
    counts = {kind: _inside(results, kind) for kind in ("stationary", "drifting")}
    if not counts["stationary"][1] or not counts["drifting"][1]:
        return ""
    return voice.say(
        "contest_answer.totals",
        level=voice.level,
        **{f"{kind}_inside": voice.count(inside) for kind, (inside, _) in counts.items()},
        **{f"{kind}_windows": voice.count(windows) for kind, (_, windows) in counts.items()},
    )


def _inside(results: ContestResults, kind: str) -> tuple[int, int]:
    rows: list[TotalCoverage] = [
        row
        for data in results.data
        if is_real(data)
        for row in data.total_coverage
        if row.method == kind and row.outcome == "purchases"
    ]
    return sum(row.inside for row in rows), sum(row.windows for row in rows)


# A sentence a data set


def _about(data: ContestData, results: ContestResults, voice: Voice) -> Markup:
    """The verdicts on one data set, horizon by horizon; a simulated or shuffled one with what it is there for."""
    clauses = [
        voice.say("contest_answer.clause", question=voice.text(f"contest_answer.short.{score}"), outcomes=outcomes)
        for score in _questions(data)
        if (outcomes := _by_outcome([cell for cell in cells(results, score) if cell.data is data], voice))
    ]
    key = "shuffled" if data.shuffled else "simulated" if data.story else "real"
    about = voice.say(
        f"contest_answer.data_{key}",
        title=data_title(data, voice),
        story=method_name(data.story, voice) if data.story else "",
        clauses=Markup(voice.text("contest_answer.then")).join(clauses),
    )
    more = {"shuffled": _shuffles(data, voice), "simulated": _told(data, results, voice)}.get(key)
    return about if more is None else Markup("{} {}").format(about, more)


def _shuffles(data: ContestData, voice: Voice) -> Markup | None:
    """How many shuffles had a wrong verdict."""
    if data.shuffles is None:
        return None
    return voice.say(
        "contest_answer.shuffles",
        dropped=voice.count(data.shuffles.dropped),
        shuffles=voice.count(data.shuffles.shuffles),
        set_level=voice.numbers.setting(data.shuffles.level),
    )


def _told(data: ContestData, results: ContestResults, voice: Voice) -> Markup | None:
    """How often the model that told the customers is among the best, whatever baskets it learns spend from.

    None where it takes part in no verdict.
    """
    kept = [
        not own.isdisjoint(cell.verdict.kept)
        for score in ASKED
        for cell in cells(results, score)
        if cell.data is data
        and (own := {method for method in cell.verdict.p_values if pair_without_baskets(method) == data.story})
    ]
    if not kept:
        return None
    return voice.say("contest_answer.told", kept=voice.count(sum(kept)), judged=voice.count(len(kept)))


def _questions(data: ContestData) -> tuple[str, ...]:
    """A shuffled data set is asked for its order alone: levels of forecasts may still differ there."""
    known = {verdict.score for section in data.contests for verdict in section.verdicts}
    order = RANKING if RANKING in known else RANKING_OF_PURCHASES
    return (order,) if data.shuffled else (order, SIZE, BACK)


def _by_outcome(found: Sequence[Cell], voice: Voice) -> str:
    """Who is reliably better, with the horizons at which that is so."""
    grouped = {
        outcome: [cell for cell in found if (cell.outcome if cell.outcome != ALONE else NOBODY) == outcome]
        for outcome in OUTCOMES
    }
    return voice.numbers.listed(
        [
            plain(
                voice.say(
                    "contest_answer.outcome_nobody" if outcome == NOBODY else "contest_answer.outcome",
                    kind=kind_name(outcome, voice),
                    horizons=voice.numbers.listed([horizon_of(cell.section, voice) for cell in of]),
                    best=voice.numbers.listed(
                        list(dict.fromkeys(method_name(cell.verdict.best[0], voice) for cell in of))
                    ),
                )
            )
            for outcome, of in grouped.items()
            if of
        ]
    )


def _table(results: ContestResults, voice: Voice) -> Table:
    """Scores in rows, kinds of method in columns: cells of real data in which each is reliably better."""
    rows = []
    for score in ASKED:
        found = real(cells(results, score))
        if found:
            counts = tallied(found)
            rows.append((score_name(score, voice), *(voice.count(counts[outcome]) for outcome in OUTCOMES)))
    names = [voice.text("contest_terms.head_score"), *(kind_name(outcome, voice) for outcome in OUTCOMES)]
    data = [of for of in results.data if is_real(of)]
    label = plain(voice.say("contest_answer.table", data=data_titles(data, voice)))
    return Table(label, columns(*names), tuple(rows))
