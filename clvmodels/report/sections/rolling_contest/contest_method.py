"""The data sets, how the contest was scored, what was left out, every score and method by name."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData, ContestResults
from clvmodels.report.sections.rolling_contest.wording import (
    GROUP_ORDER,
    data_title,
    group_of,
    heads,
    horizon_of,
    kind_name,
    kind_of,
    method_name,
    score_name,
)
from clvmodels.report.tables import Column, Table, columns
from clvmodels.report.voice import ContestSource, Voice

DIGEST = 12


def contest_method(source: ContestSource, voice: Voice) -> dict[str, Any]:
    """Data sets, how they were scored, what was left out, the glossaries of scores and methods."""
    results = source.results
    study = results.study
    return {
        "data": _data(results, voice),
        "windows": _windows(results, voice),
        "notes": [
            voice.say(
                key,
                replicates=voice.count(study.replicates),
                set_level=voice.numbers.setting(study.level),
                draws=voice.count(study.draws),
                level=voice.level,
                method=method_name(study.method, voice),
            )
            for key in (f"contest_method.how.{name}" for name in voice.words.at("contest_method.how"))
        ],
        "left_out": _left_out(results, voice),
        "scores": _scores(results, voice),
        "methods": _methods(results, voice),
        "references": voice.words.at("method.references_contest"),
        "reproduce": voice.say("contest_method.reproduce", name=study.name, seed=str(study.seed)),
    }


def _data(results: ContestResults, voice: Voice) -> Table:
    """Where each data set is from, and its size."""
    rows = tuple(
        (
            data_title(data, voice),
            data.source,
            _kind(data, voice),
            voice.count(data.rows_read),
            voice.count(data.customers),
            voice.count(data.occasions),
            _days(data.first_date, data.last_date, voice),
            results.study.data_digests.get(data.key, "")[:DIGEST],
        )
        for data in results.data
    )
    names = heads(
        "contest_method", ("data", "source", "kind", "rows", "customers", "occasions", "dates", "digest"), voice
    )
    texts = tuple(Column(name, number=place in (3, 4, 5)) for place, name in enumerate(names))
    return Table(voice.text("contest_method.table_data"), texts, rows)


def _days(first: str, last: str, voice: Voice) -> str:
    """From one day to another, or the day where they are the same."""
    if first == last:
        return voice.numbers.short_date(first)
    ends = (voice.numbers.short_date(day) for day in (first, last))
    return str(voice.numbers.formats["range"]).format(**dict(zip(("low", "high"), ends, strict=True)))


def _kind(data: ContestData, voice: Voice) -> str:
    if data.shuffled:
        return voice.text("contest_method.kinds.shuffled")
    return voice.words.name("contest_method.kinds", data.kind)


def _windows(results: ContestResults, voice: Voice) -> Table:
    """Origins of each contest: first and last, customers, what came, whether intervals hold for other times."""
    rows = []
    for data in results.data:
        for section in data.contests:
            ends = [origin.calibration_end for origin in section.origins]
            customers = [origin.customers for origin in section.origins]
            rows.append(
                (
                    data_title(data, voice),
                    horizon_of(section, voice),
                    voice.count(len(ends)),
                    _days(ends[0], ends[-1], voice),
                    _customers(customers, voice),
                    voice.count(section.block),
                    voice.text(f"contest_method.{'time' if section.time else 'no_time'}"),
                )
            )
    names = heads("contest_method", ("data", "horizon", "origins", "between", "customers", "block", "holds"), voice)
    texts = tuple(Column(name, number=place in (2, 4, 5)) for place, name in enumerate(names))
    return Table(voice.text("contest_method.table_windows"), texts, tuple(rows))


def _customers(counts: list[int], voice: Voice) -> str:
    few, many = min(counts), max(counts)
    return voice.count(few) if few == many else voice.numbers.span(few, many, voice.count)


def _left_out(results: ContestResults, voice: Voice) -> list[Markup]:
    """Data sets that could not take part, and methods that gave no forecast at some origins."""
    said = [
        voice.say("contest_method.left_out_data", data=key, message=message)
        for key, message in results.left_out.items()
    ]
    said += [
        voice.say(
            "contest_method.left_out_origin",
            method=method_name(section.model, voice),
            data=data_title(data, voice),
            date=voice.numbers.date(end),
            horizon=horizon_of(section, voice),
            message=message,
        )
        for data in results.data
        for section in data.contests
        for end, message in section.left_out.items()
    ]
    for data in results.data:
        counts: dict[tuple[str, str], int] = {}
        for section in data.contests:
            for origin in section.origins:
                for method, message in origin.left_out.items():
                    counts[method, message] = counts.get((method, message), 0) + 1
        total = sum(len(section.origins) for section in data.contests)
        said += [
            voice.say(
                "contest_method.left_out_method",
                method=method_name(method, voice),
                data=data_title(data, voice),
                count=voice.count(count),
                origins=voice.count(total),
                message=message,
            )
            for (method, message), count in counts.items()
        ]
    return said


def _scores(results: ContestResults, voice: Voice) -> list[dict[str, Any]]:
    """Every score of the league in the groups of the tables, with what it means and its formula."""
    there = {row.score for data in results.data for section in data.contests for row in section.league}
    known = [score for score in voice.words.at("scores") if score in there]
    about = voice.words.at("contest_method.scores")
    return [
        {
            "heading": voice.text(f"contest_terms.groups.{group}"),
            "entries": [
                {
                    "term": score_name(score, voice),
                    "better": voice.say(f"contest.{voice.words.detail('scores', score, 'better')}", level=voice.level),
                    "text": about.get(_measure(score), ""),
                }
                for score in known
                if group_of(score, voice) == group
            ],
        }
        for group in GROUP_ORDER
        if any(group_of(score, voice) == group for score in known)
    ]


def _measure(score: str) -> str:
    """What a score measures, whatever it is of: "spend_mae" is a "mae"."""
    outcome, _, measure = score.partition("_")
    return f"{outcome}_{measure}" if (outcome, measure) == ("active", "log_score") else measure


def _methods(results: ContestResults, voice: Voice) -> Table:
    """Every method that took part, its kind, and what it does."""
    methods = dict.fromkeys(method for data in results.data for section in data.contests for method in section.methods)
    about = voice.words.at("contest_method.methods")
    rows = tuple(
        (
            method_name(method, voice),
            kind_name(kind_of(method), voice),
            str(about.get(method, about["pair"])),
        )
        for method in methods
    )
    names = heads("contest_method", ("method", "kind", "does"), voice)
    return Table(voice.text("contest_method.table_methods"), columns(*names, words=3), rows)
