"""Difficulty, cost and accuracy: what textbooks say of ABC, RFM and CLV, beside what was measured."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData, ContestResults
from clvmodels.foundation.results import DifficultyRow, MethodCost
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
    own_method,
    score_form,
    short_score,
)
from clvmodels.report.tables import Column, Table, columns
from clvmodels.report.voice import ContestSource, Voice

TEXTBOOK = {  # difficulty, cost, accuracy, as textbooks have them
    "abc": ("medium", "medium", "medium"),
    "rfm": ("easy", "low", "low"),
    "clv": ("hard", "high", "high"),
}


def contest_difficulty(source: ContestSource, voice: Voice) -> dict[str, Any] | None:
    """The textbook's table and what the ways reach; a table a data set; what each method cost, in a block apart."""
    results = source.results
    data = [of for of in results.data if of.difficulty]
    if not data:
        return None
    return {
        "claim": _claim(results, data, voice),
        "reached": _reached(results, data, voice),
        "verdict": _verdict(results, data, voice),
        "data": [{"title": data_title(of, voice), "table": _table(of, voice)} for of in data],
        "costs": [
            {"title": data_title(of, voice), "table": _costs(source.method_costs[of.key], voice)}
            for of in results.data
            if source.method_costs.get(of.key)
        ],
    }


def _stands_for(results: ContestResults, data: ContestData) -> dict[str, str]:
    """The method that each way of the textbooks is measured by: the study's own stands for CLV."""
    there = [row.method for row in data.difficulty]
    own = own_method(results, there)
    found = {"abc": "abc", "rfm": "rfm", "clv": own}
    return {way: method for way, method in found.items() if method in there and method is not None}


def _claim(results: ContestResults, data: list[ContestData], voice: Voice) -> Table:
    """Three rows: the textbook's words, then inputs and choices."""
    rows = []
    for way, claimed in TEXTBOOK.items():
        by_data = [_row(of, _stands_for(results, of).get(way)) for of in data]
        known = next((row for row in by_data if row is not None), None)
        rows.append(
            (
                voice.text(f"contest_difficulty.ways.{way}"),
                *(voice.text(f"contest_difficulty.words.{word}") for word in claimed),
                voice.count(None if known is None else len(known.inputs)),
                voice.count(None if known is None else known.choices),
            )
        )
    names = heads("contest_difficulty", ("way", "difficulty", "cost", "accuracy", "inputs", "choices"), voice)
    texts = tuple(Column(name, number=place > 3) for place, name in enumerate(names))
    return Table(voice.text("contest_difficulty.table"), texts, tuple(rows))


def _reached(results: ContestResults, data: list[ContestData], voice: Voice) -> Table:
    """The order's score of the three ways, a row a data set."""
    rows = tuple(
        (
            data_title(of, voice),
            short_score(_order(of), voice),
            *(_accuracy(_row(of, _stands_for(results, of).get(way)), voice) for way in TEXTBOOK),
        )
        for of in data
    )
    names = heads("contest_difficulty", ("data", "score"), voice)
    names += [voice.text(f"contest_difficulty.ways.{way}") for way in TEXTBOOK]
    return Table(voice.text("contest_difficulty.table_reached"), columns(*names, words=2), rows)


def _row(data: ContestData, method: str | None) -> DifficultyRow | None:
    return next((row for row in data.difficulty if row.method == method), None)


def _order(data: ContestData) -> str:
    """The score of the order of customers: by spend, or by purchases where there is no money."""
    has_money = any(row.scores.get(RANKING) is not None for row in data.difficulty)
    return RANKING if has_money else RANKING_OF_PURCHASES


def _accuracy(row: DifficultyRow | None, voice: Voice) -> str:
    value = None if row is None else row.scores.get(RANKING, None)
    if row is not None and value is None:
        value = row.scores.get(RANKING_OF_PURCHASES)
    return voice.numbers.significant(value)


def _verdict(results: ContestResults, data: list[ContestData], voice: Voice) -> Markup:
    """On how many data sets the measured order of the three ways is the textbook's."""
    agree, compared = 0, 0
    for of in data:
        methods = _stands_for(results, of)
        score = _order(of)
        values = {way: row.scores.get(score) for way, m in methods.items() if (row := _row(of, m)) is not None}
        if of.shuffled or any(values.get(way) is None for way in TEXTBOOK):
            continue
        compared += 1
        agree += values["clv"] > values["abc"] > values["rfm"]  # type: ignore[operator]
    return voice.say("contest_difficulty.verdict", agree=voice.count(agree), compared=voice.count(compared))


def _table(data: ContestData, voice: Voice) -> Table:
    """All methods: what they read, how many choices they ask for, and what they reach."""
    scores = [
        score
        for score in (_order(data), TOP, SIZE, DISTRIBUTION)
        if any(row.scores.get(score) is not None for row in data.difficulty)
    ]
    rows = tuple(
        (
            method_name(row.method, voice),
            voice.count(row.choices),
            voice.text(f"contest_difficulty.{'trained' if row.trained else 'untrained'}"),
            *(score_form(score, voice)(row.scores.get(score)) for score in scores),
            Markup('<span class="sample">{}</span>').format(
                voice.numbers.listed([_input(name, voice) for name in row.inputs])
            ),
        )
        for row in data.difficulty
    )
    method, choices, trains, reads = heads("contest_difficulty", ("method", "choices", "trains", "reads"), voice)
    texts = [Column(method, number=False), Column(choices), Column(trains, number=False)]
    texts += [*columns(*(short_score(score, voice) for score in scores), words=0), Column(reads, number=False)]
    horizon = horizon_of(data.contests[0], voice) if data.contests else ""
    return Table(str(voice.say("contest_difficulty.table_methods", horizon=horizon)), tuple(texts), rows)


def _input(name: str, voice: Voice) -> str:
    return str(voice.words.at("contest_difficulty.columns").get(name, name))


def _costs(costs: list[MethodCost], voice: Voice) -> Table:
    """Seconds and megabytes of one forecast by each method, on the machine that it ran on."""
    rows = tuple(
        (
            method_name(cost.method, voice),
            voice.count(cost.customers),
            voice.numbers.significant(cost.cpu_seconds, 2),
            voice.numbers.significant(cost.wall_seconds, 2),
            voice.numbers.significant(cost.peak_megabytes, 2),
        )
        for cost in costs
    )
    texts = heads("contest_difficulty", ("method", "customers", "cpu", "wall", "megabytes"), voice)
    return Table(voice.text("contest_difficulty.table_costs"), columns(*texts), rows)
