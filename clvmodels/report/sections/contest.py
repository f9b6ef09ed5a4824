"""The model against simpler methods: a verdict in words, the league table, every duel."""

from collections.abc import Collection, Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import ComparisonSection, Duel, Score
from clvmodels.report import figures
from clvmodels.report.sections.best import best
from clvmodels.report.sections.headline import PEERS, duels_of, method_names, orders, score_names
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import LEVEL, Source, Voice

# No absolute error: it favours a rule that says 0 of most customers. A method without a distribution has no CRPS.
PICTURED = ("spend_gini", "spend_capture_20", "purchases_crps")
COMING_BACK = ("active_log_score", "active_brier")  # the first that some method has
SHARES = ("bias", "coverage", "capture", "precision")  # scores that are shares of something


def contest(source: Source, voice: Voice) -> dict[str, Any]:
    """Verdict, figure, league table and duels."""
    results = source.results
    section = results.comparison
    return {
        "intro": voice.say(
            "contest.intro",
            calibration_end=voice.numbers.date(results.data.calibration_end),
            customers=voice.count(results.data.calibration_customers),
            length=voice.length(results.data.holdout_length),
            level=voice.level,
        ),
        "tally": _tally(section, voice),
        "advice": _advice(section, voice),
        "left_out": [
            voice.say("contest.left_out", method=_method(key, voice), message=message)
            for key, message in section.left_out.items()
        ],
        "lost": _lost(section, voice),
        "won": _won(section, voice),
        "open": _open(section, voice),
        "figure": _figure(section, voice),
        "league": _league(section, voice),
        "duels": _duels(section, voice),
        "best": best(results, voice),
    }


def _method(key: str, voice: Voice) -> str:
    return voice.words.name("methods", key)


def _score(key: str, voice: Voice) -> str:
    return voice.words.name("scores", key)


def score_value(score: str, value: float | None, voice: Voice) -> str:
    """A score as its reader expects it: shares as percentages, errors to three figures."""
    if any(part in score for part in SHARES):
        return voice.numbers.share(value, 1)
    return voice.numbers.significant(value)


def _tally(section: ComparisonSection, voice: Voice) -> Markup:
    if not section.duels:
        return voice.say("contest.none")
    count = {verdict: sum(duel.verdict == verdict for duel in section.duels) for verdict in ("model", "method", "open")}
    return voice.say(
        "contest.tally",
        total=voice.count(len(section.duels)),
        won=voice.count(count["model"]),
        lost=voice.count(count["method"]),
        open=voice.count(count["open"]),
    )


def _advice(section: ComparisonSection, voice: Voice) -> list[Markup]:
    """What the verdict means for a decision."""
    found = orders(section, voice)
    simpler = [duel for duel in section.duels if duel.method not in PEERS]
    by_key = {
        "advice_rank_but_top" if found.beaten else "advice_rank": found.rank,
        "advice_top": found.top,
        "advice_made_good": found.made_good,
        "advice_model": [] if found.rank or found.top or found.made_good else simpler,
        "advice_error": duels_of(section, "error", "method", voice),  # a peer may be the better one here
    }
    return [
        voice.say(
            f"contest.{key}",
            methods=method_names(duels, voice),
            beaten=method_names(found.beaten, voice),
            scores=score_names(duels, voice),
        )
        for key, duels in by_key.items()
        if duels
    ]


def _lost(section: ComparisonSection, voice: Voice) -> list[Markup]:
    return [
        voice.say(
            "contest.lost",
            score=_score(duel.score, voice),
            method=_method(duel.method, voice),
            method_value=score_value(duel.score, duel.method_value, voice),
            model_value=score_value(duel.score, duel.model_value, voice),
            difference=_difference(duel, voice),
            range=_range(duel, voice),
        )
        for duel in section.duels
        if duel.verdict == "method"
    ]


def _difference(duel: Duel, voice: Voice) -> str:
    text = score_value(duel.score, duel.difference, voice)
    return "+" + text if duel.difference > 0 else text


def _range(duel: Duel, voice: Voice) -> str:
    return voice.numbers.span(duel.low, duel.high, lambda value: score_value(duel.score, value, voice))


def _by_score(duels: Sequence[Duel], verdict: str) -> dict[str, list[Duel]]:
    """Duels of one verdict, score by score."""
    found = [duel for duel in duels if duel.verdict == verdict]
    return {score: [duel for duel in found if duel.score == score] for score in dict.fromkeys(d.score for d in found)}


def _won(section: ComparisonSection, voice: Voice) -> list[Markup]:
    return [
        voice.say("contest.won", score=_score(score, voice), methods=method_names(duels, voice))
        for score, duels in _by_score(section.duels, "model").items()
    ]


def _open(section: ComparisonSection, voice: Voice) -> list[Markup]:
    """One sentence a score: the methods that nothing settles against, and which of them are ahead."""
    return [
        voice.say(
            "contest.open_ahead" if (ahead := [duel for duel in duels if _is_ahead(duel, voice)]) else "contest.open",
            score=_score(score, voice),
            model_value=score_value(score, duels[0].model_value, voice),
            methods=_with_values(duels, voice),
            ahead=method_names(ahead, voice),
        )
        for score, duels in _by_score(section.duels, "open").items()
    ]


def _is_ahead(duel: Duel, voice: Voice) -> bool:
    """Whether the method's value is the better one, at the digits that a reader sees."""
    method, model = (_distance(duel.score, value, voice) for value in (duel.method_value, duel.model_value))
    shown = [score_value(duel.score, value, voice) for value in (duel.method_value, duel.model_value)]
    return method < model and shown[0] != shown[1]


def _with_values(duels: Sequence[Duel], voice: Voice) -> str:
    return voice.numbers.listed(
        [
            str(
                voice.say(
                    "contest.open_method",
                    method=_method(duel.method, voice),
                    value=score_value(duel.score, duel.method_value, voice),
                )
            )
            for duel in duels
        ]
    )


def _better(score: str, voice: Voice) -> str:
    return voice.words.detail("scores", score, "better")


def _distance(score: str, value: float, voice: Voice) -> float:
    """How far a value is from the best that the score can be; the smaller the better."""
    by_kind = {"higher": -value, "zero": abs(value), "stated": abs(value - LEVEL)}
    return by_kind.get(_better(score, voice), value)


def _ranked(section: ComparisonSection, score: str, voice: Voice) -> list[Score]:
    known = [(row.value, row) for row in section.scores if row.score == score and row.value is not None]
    return [row for _, row in sorted(known, key=lambda pair: _distance(score, pair[0], voice))]


def _figure(section: ComparisonSection, voice: Voice) -> Figure | None:
    there = {row.score for row in section.scores if row.value is not None}
    ranked = {score: _ranked(section, score, voice) for score in pictured(there)}
    ranked = {score: rows for score, rows in ranked.items() if rows}
    if not ranked:
        return None
    names = {key: _method(key, voice) for key in section.methods}
    titles = {score: _score(score, voice) for score in ranked}
    score, rows = next(iter(ranked.items()))
    caption = voice.say(
        "contest.caption",
        score=titles[score],
        method=names[rows[0].method],
        value=score_value(score, rows[0].value, voice),
        level=voice.level,
    )
    alt = voice.say("contest.alt", scores=voice.numbers.listed(list(titles.values())))
    plot = figures.contest(ranked, titles, names, section.model, voice.numbers)
    height = 70 + 26 * max(map(len, ranked.values()))
    both = figures.sizes(len(ranked), height=height, narrow_height=height)
    wide, narrow = figures.draw("contest", alt, plot, both)
    shown = [row for rows in ranked.values() for row in rows]
    return Figure("contest", wide, narrow, caption, _scores_table(shown, voice), csv_link(shown))


def pictured(there: Collection[str]) -> list[str]:
    """Scores that the figure shows, of those that some method has: order, distribution, the chance of coming back."""
    return [*(score for score in PICTURED if score in there), *[s for s in COMING_BACK if s in there][:1]]


def _scores_table(rows: Sequence[Score], voice: Voice) -> Table:
    texts = [
        str(voice.say(f"contest.head_{head}", level=voice.level)) for head in ("score", "method", "value", "range")
    ]
    body = tuple(
        (
            _score(row.score, voice),
            _method(row.method, voice),
            score_value(row.score, row.value, voice),
            voice.numbers.span(row.low, row.high, lambda value, score=row.score: score_value(score, value, voice)),  # type: ignore[misc]
        )
        for row in rows
    )
    return Table(voice.text("contest.league"), columns(*texts, words=2), body)


def _league(section: ComparisonSection, voice: Voice) -> dict[str, Any]:
    """Scores in rows, methods in columns, the best of each row marked."""
    values = {(row.score, row.method): row.value for row in section.scores}
    scores = list(dict.fromkeys(row.score for row in section.scores))
    rows = []
    for score in scores:
        ranked = _ranked(section, score, voice)
        best = score_value(score, ranked[0].value, voice) if ranked else None
        shown = [score_value(score, values.get((score, method)), voice) for method in section.methods]
        better = _better(score, voice)
        note = str(voice.say(f"contest.{better}", level=voice.level)) if better else ""
        rows.append({"name": _score(score, voice), "note": note, "cells": [(text, text == best) for text in shown]})
    heads = [(_method(method, voice), method == section.model) for method in section.methods]
    return {"heads": heads, "rows": rows}


def _duels(section: ComparisonSection, voice: Voice) -> Table:
    heads = ("score", "method", "model", "other", "difference", "range", "verdict")
    texts = [str(voice.say(f"contest.head_{head}", level=voice.level)) for head in heads]
    body = tuple(
        (
            _score(duel.score, voice),
            _method(duel.method, voice),
            score_value(duel.score, duel.model_value, voice),
            score_value(duel.score, duel.method_value, voice),
            _difference(duel, voice),
            _range(duel, voice),
            voice.text(f"contest.verdict_{duel.verdict}"),
        )
        for duel in section.duels
    )
    lost = frozenset(position for position, duel in enumerate(section.duels) if duel.verdict == "method")
    return Table(voice.text("contest.duels"), columns(*texts, words=2), body, lost)
