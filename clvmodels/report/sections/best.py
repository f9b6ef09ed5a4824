"""The models that rank customers best on past days: which were taken, and how they did there."""

import datetime as dt
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.ranking_results import CandidateRow, RankingChoice
from clvmodels.foundation.results import ComparisonSection, Duel, StudyResults
from clvmodels.report.sections.headline import BEST
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import Voice

SCORES = ("spend_gini", "spend_capture_20")  # those that candidates are chosen by


def best(results: StudyResults, voice: Voice) -> dict[str, Any] | None:
    """How the candidates did, how the chosen ones did in the holdout, and what ranks the customers; None without."""
    choice, ranking = results.comparison.best, results.ranking
    if choice is None and ranking is None:
        return None
    chosen = choice is not None and bool(choice.rows)
    return {
        "intro": [*_intro(choice, voice)] if choice is not None and chosen else [],
        "table": _table(choice, voice) if choice is not None and chosen else None,
        "holdout": _holdout(results.comparison, voice),
        "decision": None if ranking is None else _decision(ranking, results.comparison.model, voice),
        "left_out": _left_out(choice, voice) if choice is not None and chosen else [],
    }


def _intro(choice: RankingChoice, voice: Voice) -> list[Markup]:
    days = [voice.numbers.date(origin.calibration_end) for origin in choice.origins]
    return [
        voice.say(
            "best.intro",
            candidates=voice.count(len(choice.rows)),
            days=voice.numbers.listed(days),
            length=voice.numbers.length(_days_ahead(choice), "day"),
            calibration_end=voice.numbers.date(choice.calibration_end),
            top=voice.numbers.setting(choice.top),
        ),
        _taken(choice, voice),
        _share(choice, voice),
    ]


def _days_ahead(choice: RankingChoice) -> float:
    first = choice.origins[0]
    return float((dt.date.fromisoformat(first.holdout_end) - dt.date.fromisoformat(first.calibration_end)).days)


def _number_taken(choice: RankingChoice) -> int:
    return sum(row.weight > 0 for row in choice.rows)


def _taken(choice: RankingChoice, voice: Voice) -> Markup:
    taken = _number_taken(choice)
    if taken == 1:
        return voice.say("best.taken_one", candidate=_candidate(choice.rows[0], voice))
    return voice.say("best.taken", taken=voice.count(taken), candidates=voice.count(len(choice.rows)))


def _share(choice: RankingChoice, voice: Voice) -> Markup:
    key = {0.0: "none", 1.0: "all"}.get(choice.share, "some")
    return voice.say(f"best.share_{key}", share=voice.numbers.setting(choice.share))


def _candidate(row: CandidateRow, voice: Voice) -> str:
    names = [voice.words.name("models_named", model) for model in (row.purchases, row.spend)]
    return str(voice.say(f"best.candidate_{row.baskets}", models=voice.numbers.listed(names)))


def _table(choice: RankingChoice, voice: Voice) -> Table:
    share, significant = voice.numbers.share, voice.numbers.significant
    rows = tuple(
        (
            _candidate(row, voice),
            significant(row.gini),
            share(row.capture_20, 1),
            significant(row.score),
            significant(row.behind),
            significant(row.standard_error),
            share(row.weight) if row.weight > 0 else voice.count(None),
        )
        for row in choice.rows
    )
    top = voice.numbers.setting(choice.top)
    heads = ("candidate", "gini", "capture", "score", "behind", "error", "weight")
    texts = [str(voice.say(f"best.head_{head}", top=top)) for head in heads]
    taken = frozenset(place for place, row in enumerate(choice.rows) if row.weight > 0)
    return Table(voice.text("best.table"), columns(*texts), rows, taken)


def _holdout(comparison: ComparisonSection, voice: Voice) -> list[Markup]:
    """How they rank customers in the holdout, against the study's own models and among all methods."""
    duels = [duel for duel in comparison.duels if duel.method == BEST and duel.score in SCORES]
    return [
        sentence for duel in duels for sentence in (_duel(duel, comparison, voice), _place(duel, comparison, voice))
    ]


def _duel(duel: Duel, comparison: ComparisonSection, voice: Voice) -> Markup:
    def form(value: float) -> str:
        return voice.numbers.significant(value) if duel.score == "spend_gini" else voice.numbers.share(value, 1)

    return voice.say(
        f"best.holdout_{duel.verdict}",
        score=voice.words.name("scores", duel.score),
        value=form(duel.method_value),
        model=voice.words.name("methods", comparison.model),
        model_value=form(duel.model_value),
    )


def _place(duel: Duel, comparison: ComparisonSection, voice: Voice) -> Markup:
    """Their place among the methods that have the score; of both scores the highest is the best."""
    values = [row.value for row in comparison.scores if row.score == duel.score and row.value is not None]
    ahead = sum(value > duel.method_value for value in values)
    return voice.say("best.place", methods=voice.count(len(values)), place=voice.count(ahead + 1))


def _decision(ranking: RankingChoice, model: str, voice: Voice) -> Markup:
    if ranking.problem:
        return voice.say("best.no_rank", message=ranking.problem)
    return voice.say(
        "best.decision",
        as_of=voice.numbers.date(ranking.calibration_end),
        taken=voice.count(_number_taken(ranking)),
        candidates=voice.count(len(ranking.rows)),
        share=voice.numbers.setting(ranking.share),
        column=voice.text("act_on.head_rank"),
        model=voice.words.name("methods", model),
    )


def _left_out(choice: RankingChoice, voice: Voice) -> list[Markup]:
    return [
        voice.say("best.left_out", candidate=candidate, message=message)
        for candidate, message in choice.left_out.items()
    ]
