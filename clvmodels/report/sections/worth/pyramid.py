"""The customer pyramid and the lifecycle stages: how many customers, how much of the value, how surely."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import ClassRow
from clvmodels.report import decision_figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.parts import figure_of, flat_csv, ratio, table_of
from clvmodels.report.sections.retention.wording import told
from clvmodels.report.tables import Figure, Table
from clvmodels.report.voice import Source, Voice

HEADS = ("class", "customers", "expected", "undecided", "current", "clv", "share")


def pyramid(source: Source, voice: Voice) -> dict[str, Any] | None:
    """The tiers, and the grades where the study states them."""
    classes = source.results.classes
    if classes is None or not classes.tiers:
        return None
    grades = {row.key: row.key for row in classes.grades}
    return {
        "doubt": _doubt(classes.tiers, source, voice),
        "figure": _figure("pyramid", classes.tiers, voice.words.at("pyramid.tiers"), voice),
        "graded": _graded(classes.graded_by, voice) if classes.grades else None,
        "grades": _table("pyramid", classes.grades, grades, voice) if classes.grades else None,
    }


def stages(source: Source, voice: Voice) -> dict[str, Any] | None:
    """The stages, and how relations ended that have."""
    classes = source.results.classes
    if classes is None or not classes.stages:
        return None
    ended = classes.ended
    return {
        "doubt": _doubt(classes.stages, source, voice),
        "figure": _figure("stages", classes.stages, voice.words.at("stages.names"), voice),
        "ended": _ended(ended, voice) if ended else None,
        "ended_table": _ended_table(ended, voice) if ended else None,
    }


def _doubt(rows: Sequence[ClassRow], source: Source, voice: Voice) -> Markup:
    undecided = sum(row.undecided for row in rows)
    return voice.say(
        "classes.doubt",
        count=voice.count(undecided),
        share=voice.numbers.share(ratio(undecided, sum(row.customers for row in rows))),
        limit=voice.numbers.setting(source.results.matrix.undecided_below),
    )


def _figure(section: str, rows: Sequence[ClassRow], names: Mapping[str, str], voice: Voice) -> Figure:
    numbers = voice.numbers
    whole = sum(row.customers for row in rows)
    best = max(rows, key=lambda row: middle(row.clv_share) or 0.0)
    words = {key: voice.text(f"classes.figure_{key}") for key in ("customers", "value")}
    plot = decision_figures.two_shares(
        [names.get(row.key, row.key) for row in rows],
        [ratio(row.customers, whole) or 0.0 for row in rows],
        [row.clv_share for row in rows],
        words,
        numbers,
    )
    return figure_of(
        section,
        plot,
        decision_figures.list_sizes(len(rows) + 1),
        alt=voice.say(f"{section}.alt", classes=_listed(rows, names, voice)),
        caption=voice.say(
            f"{section}.caption",
            best=names.get(best.key, best.key),
            customers=numbers.share(ratio(best.customers, whole)),
            value=numbers.share(middle(best.clv_share)),
            range=numbers.interval(best.clv_share, numbers.share),
        ),
        table=_table(section, rows, names, voice),
        csv=flat_csv(rows),
    )


def _listed(rows: Sequence[ClassRow], names: Mapping[str, str], voice: Voice) -> str:
    """The classes with their customers, in words."""
    said = [
        voice.say("classes.alt_class", name=names.get(row.key, row.key), count=voice.count(row.customers)).unescape()
        for row in rows
    ]
    return voice.numbers.listed(said)


def _table(section: str, rows: Sequence[ClassRow], names: Mapping[str, str], voice: Voice) -> Table:
    numbers = voice.numbers
    body = (
        (
            names.get(row.key, row.key),
            voice.count(row.customers),
            voice.count(row.expected_customers),
            voice.count(row.undecided),
            numbers.cell(row.current_value),
            told(row.clv, numbers.cell, voice),
            told(row.clv_share, numbers.share, voice),
        )
        for row in rows
    )
    return table_of(section, HEADS, body, voice)


def _graded(weights: Mapping[str, float], voice: Voice) -> Markup:
    parts = [
        voice.say("pyramid.graded_part", column=column, weight=voice.numbers.significant(weight)).unescape()
        for column, weight in weights.items()
    ]
    return voice.say("pyramid.graded", columns=voice.numbers.listed(parts))


def _ended(rows: Sequence[ClassRow], voice: Voice) -> Markup:
    """How most relations ended that have."""
    most = max(rows, key=lambda row: row.expected_customers)
    whole = sum(row.expected_customers for row in rows)
    return voice.say(
        "stages.ended_text",
        whole=voice.count(whole),
        most=voice.text(f"stages.ended.{most.key}"),
        count=voice.count(most.expected_customers),
        share=voice.numbers.share(ratio(most.expected_customers, whole)),
    )


def _ended_table(rows: Sequence[ClassRow], voice: Voice) -> Table:
    whole = sum(row.expected_customers for row in rows)
    body = (
        (
            voice.text(f"stages.ended.{row.key}"),
            voice.text(f"stages.ended_means.{row.key}"),
            voice.count(row.expected_customers),
            voice.numbers.share(ratio(row.expected_customers, whole)),
        )
        for row in rows
    )
    return table_of("stages", ("pattern", "means", "expected", "part"), body, voice, words=2)
