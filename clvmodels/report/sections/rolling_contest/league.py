"""The league: every method on the main scores, with intervals and the origins that it won."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData
from clvmodels.foundation.results import LeagueRow, RollingSection
from clvmodels.report.sections.rolling_contest.wording import (
    BACK,
    DISTRIBUTION,
    RANKING,
    RANKING_OF_PURCHASES,
    SIZE,
    TOP,
    data_title,
    horizon_of,
    kind_of,
    method_name,
    own_method,
    score_form,
    short_score,
)
from clvmodels.report.tables import csv_of
from clvmodels.report.voice import ContestSource, Voice

SHOWN = (RANKING, TOP, RANKING_OF_PURCHASES, SIZE, DISTRIBUTION, BACK, "purchases_bias", "purchases_coverage_90")
NAMES = ("horizon", "method", "score", "value", "low", "high", "origins", "won")


def contest_league(source: ContestSource, voice: Voice) -> dict[str, Any]:
    """A table a data set and horizon, with its numbers as CSV."""
    results = source.results
    return {
        "intro": voice.say("contest_league.intro", level=voice.level),
        "data": [
            {
                "title": data_title(data, voice),
                "tables": [_table(section, own_method(results, section.methods), voice) for section in data.contests],
                "csv": csv_of(NAMES, _records(data)),
                "file": f"league-{data.key}.csv",
            }
            for data in results.data
        ],
    }


def _records(data: ContestData) -> list[list[Any]]:
    """The scores shown at full precision; results.json has the others."""
    return [
        [section.horizon, *(getattr(row, name) for name in NAMES[1:])]
        for section in data.contests
        for row in section.league
        if row.score in SHOWN
    ]


def _table(section: RollingSection, own: str | None, voice: Voice) -> dict[str, Any]:
    """Methods in rows by their place on the first score, main scores in columns."""
    rows = {(row.method, row.score): row for row in section.league}
    there = {score for _, score in rows} - ({RANKING_OF_PURCHASES} if any(s == RANKING for _, s in rows) else set())
    scores = [score for score in SHOWN if score in there]
    verdicts = {verdict.score: verdict for verdict in section.verdicts}
    best = {score: set(verdicts[score].best) for score in scores if score in verdicts}
    kept = {score: set(verdicts[score].kept) for score in scores if score in verdicts}
    ordered = _ordered(section, scores[0], rows) if scores else section.methods
    return {
        "heads": [(short_score(score, voice), _better(score, voice)) for score in scores],
        "label": voice.say(
            "contest_league.table",
            horizon=horizon_of(section, voice),
            origins=voice.count(len(section.origins)),
        ),
        "rows": [
            {
                "name": method_name(method, voice),
                "own": method == own,
                "kind": kind_of(method),
                "cells": [
                    _cell(
                        rows.get((method, score)), method in best.get(score, ()), method in kept.get(score, ()), voice
                    )
                    for score in scores
                ],
            }
            for method in ordered
        ],
    }


def _ordered(section: RollingSection, score: str, rows: dict[tuple[str, str], LeagueRow]) -> list[str]:
    """Methods from the best on a score, which the more the better, to those without it."""
    return sorted(section.methods, key=lambda m: -rows[m, score].value if (m, score) in rows else 1e9)


def _better(score: str, voice: Voice) -> Markup:
    return voice.say(f"contest.{voice.words.detail('scores', score, 'better') or 'lower'}", level=voice.level)


def _cell(row: LeagueRow | None, best: bool, kept: bool, voice: Voice) -> dict[str, Any] | None:
    if row is None:
        return None
    form = score_form(row.score, voice)
    return {
        "value": form(row.value),
        "range": voice.numbers.span(row.low, row.high, form),
        "won": voice.say(
            "contest_league.won",
            won=voice.numbers.decimal(row.won, 0 if row.won.is_integer() else 1),
            origins=voice.count(row.origins),
        ),
        "best": best,
        "kept": kept and not best,
    }
