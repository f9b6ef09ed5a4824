"""The study's own method less each other, by score, data set and horizon: forest plots and tables."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData
from clvmodels.foundation.results import Duel, RollingSection
from clvmodels.report import contest_figures, figures
from clvmodels.report.contest_figures import ForestPanel
from clvmodels.report.sections.retention.wording import plain
from clvmodels.report.sections.rolling_contest.wording import (
    DISTRIBUTION,
    RANKING,
    RANKING_OF_PURCHASES,
    SIZE,
    TOP,
    data_title,
    heads,
    horizon_of,
    method_name,
    score_form,
    score_name,
    short_name,
    short_score,
    with_sign,
)
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import ContestSource, Voice

PICTURED = (RANKING, TOP)  # and a CRPS, of purchases or else of spend
WITHOUT_MONEY = (RANKING_OF_PURCHASES, SIZE)
NAMES = ("horizon", "method", "score", "difference", "low", "high", "verdict")
Found = Sequence[tuple[RollingSection, Duel]]


def contest_differences(source: ContestSource, voice: Voice) -> dict[str, Any] | None:
    """A forest plot a data set; None where the study's own method met nobody."""
    parts = [
        {
            "title": data_title(data, voice),
            "said": _said(found, voice),
            "figure": _figure(place, data, found, voice),
        }
        for place, data in enumerate(source.results.data, start=1)
        if (found := _duels(data))
    ]
    if not parts:
        return None
    own = method_name(source.results.study.method, voice)
    return {"intro": voice.say("contest_differences.intro", method=own, level=voice.level), "data": parts}


def _duels(data: ContestData) -> Found:
    """Differences on the main scores: those of spend where there is money."""
    there = {duel.score for section in data.contests for duel in section.duels}
    scores = [score for score in (PICTURED if RANKING in there else WITHOUT_MONEY) if score in there]
    scores += [score for score in (DISTRIBUTION, "spend_crps") if score in there][:1]
    return [
        (section, duel)
        for score in scores
        for section in data.contests
        for duel in section.duels
        if duel.score == score
    ]


def _scores(found: Found) -> list[str]:
    return list(dict.fromkeys(duel.score for _, duel in found))


def _said(found: Found, voice: Voice) -> list[Markup]:
    """A sentence a score: differences settled for the method, against it, and open."""
    said = []
    for score in _scores(found):
        own = [duel for _, duel in found if duel.score == score]
        counts = {name: sum(duel.verdict == name for duel in own) for name in ("model", "method", "open")}
        said.append(
            voice.say(
                "contest_differences.said",
                score=score_name(score, voice),
                count=voice.count(len(own)),
                won=voice.count(counts["model"]),
                lost=voice.count(counts["method"]),
                open=voice.count(counts["open"]),
            )
        )
    return said


def _figure(place: int, data: ContestData, found: Found, voice: Voice) -> Figure:
    scores = _scores(found)
    methods = list(dict.fromkeys(duel.method for _, duel in found))
    horizons = [horizon_of(section, voice) for section in data.contests]
    key = f"differences-{place}"
    plot = contest_figures.forest(
        [_panel(score, methods, data, found, voice) for score in scores], horizons, voice.numbers
    )
    both = contest_figures.forest_sizes(len(scores), len(methods), len(horizons))
    names = voice.numbers.listed([score_name(score, voice) for score in scores])
    alt = plain(voice.say("contest_differences.alt", data=data_title(data, voice), scores=names))
    wide, narrow = figures.draw(key, alt, plot, both)
    caption = voice.say("contest_differences.caption", level=voice.level, scores=names)
    rows = ([section.horizon, *(getattr(duel, name) for name in NAMES[1:])] for section, duel in found)
    return Figure(key, wide, narrow, caption, _table(found, voice), csv_of(NAMES, rows))


def _panel(score: str, methods: Sequence[str], data: ContestData, found: Found, voice: Voice) -> ForestPanel:
    own = {at: pair for at, pair in enumerate(found) if pair[1].score == score}
    by_place = {(duel.method, section.horizon): duel for section, duel in own.values()}
    in_table = {(duel.method, section.horizon): at for at, (section, duel) in own.items()}
    rows = [[by_place.get((method, section.horizon)) for section in data.contests] for method in methods]
    better = voice.words.detail("scores", score, "better") or "lower"
    return ForestPanel(
        title=plain(voice.say(f"contest_differences.panel_{better}", score=short_score(score, voice))),
        methods=[short_name(method, voice) for method in methods],
        spans=[[(duel.difference, duel.low, duel.high) if duel else None for duel in row] for row in rows],
        settled=[[duel is not None and duel.verdict != "open" for duel in row] for row in rows],
        rows=[[in_table.get((method, section.horizon)) for section in data.contests] for method in methods],
    )


def _table(found: Found, voice: Voice) -> Table:
    """A row a score, horizon and method; those that beat the study's own method are set apart."""
    rows = tuple(
        (
            short_score(duel.score, voice),
            horizon_of(section, voice),
            method_name(duel.method, voice),
            with_sign(score_form(duel.score, voice)(duel.difference), duel.difference),
            voice.numbers.span(duel.low, duel.high, score_form(duel.score, voice)),
            voice.text(f"contest_differences.verdict_{duel.verdict}"),
        )
        for section, duel in found
    )
    texts = heads("contest_differences", ("score", "horizon", "method", "difference", "range", "verdict"), voice)
    lost = frozenset(place for place, (_, duel) in enumerate(found) if duel.verdict == "method")
    return Table(voice.text("contest_differences.table"), columns(*texts, words=3), rows, lost)
