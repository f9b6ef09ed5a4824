"""The value matrix: four types of customers as a picture and in numbers, thresholds, doubt."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import Cell, Cut, MatrixSection, StudyResults
from clvmodels.report import figures
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import Source, Voice, cell_names

READING_ORDER = ("low_high", "high_high", "low_low", "high_low")  # rows of the picture, from its top left


def matrix(source: Source, voice: Voice) -> dict[str, Any]:
    """The four cells, the cuts and the picture."""
    results = source.results
    section = results.matrix
    cells = {cell.key: cell for cell in section.cells}
    return {
        "axis_current": voice.text("matrix.axis_current"),
        "axis_future": voice.text("matrix.axis_future"),
        "cells": [_cell(cells[key], results, voice) for key in READING_ORDER if key in cells],
        "cuts": [_cut(cut, voice) for cut in section.cuts],
        "doubt": voice.say(
            "matrix.doubt",
            count=voice.count(section.undecided),
            share=voice.numbers.share(section.undecided / results.value.customers),
            limit=voice.numbers.setting(section.undecided_below),
        ),
        "figure": _figure(results, voice) if section.points else None,
    }


def _cell(cell: Cell, results: StudyResults, voice: Voice) -> dict[str, Any]:
    numbers = voice.numbers
    return {
        "key": cell.key,
        "name": cell_names(results, voice)[cell.key],
        "customers": voice.say("matrix.customers", count=voice.count(cell.customers)),
        "share_customers": voice.say(
            "matrix.share_customers", share=numbers.share(cell.customers / results.value.customers)
        ),
        "value_share": voice.say("matrix.value_share", share=numbers.share(cell.clv_share)),
        "detail": voice.say(
            "matrix.detail",
            value=numbers.compact(cell.clv.mean),
            probability=numbers.share(cell.mean_probability),
            expected=voice.count(cell.expected_customers),
            undecided=voice.count(cell.undecided),
        ),
    }


def _cut(cut: Cut, voice: Voice) -> Markup:
    money = voice.numbers.money
    return voice.say(
        f"matrix.cut_{cut.dimension}_{cut.kind}",
        value=money(cut.value.mean),
        range=voice.numbers.interval(cut.value, money),
        setting=voice.numbers.setting(cut.setting),
    )


def _figure(results: StudyResults, voice: Voice) -> Figure:
    section, names = results.matrix, cell_names(results, voice)
    cells = {cell.key: cell for cell in section.cells}
    upper = [cells[key] for key in ("high_high", "low_high") if key in cells]
    share = voice.numbers.share
    caption = voice.say(
        "matrix.caption",
        best=names.get("high_high", ""),
        grow=names.get("low_high", ""),
        customers=share(sum(cell.customers for cell in upper) / results.value.customers),
        value=share(sum(cell.clv_share for cell in upper)),
    )
    counts = [
        str(voice.say("matrix.alt_cell", name=names[cell.key], count=voice.count(cell.customers)))
        for cell in section.cells
    ]
    alt = voice.say("matrix.alt", cells=voice.numbers.listed(counts))
    words = {axis: voice.text(f"matrix.figure_{axis}") for axis in ("current", "future")}
    words |= {head: voice.text(f"matrix.head_{head}") for head in ("type", "customers")}
    plot = figures.value_matrix(section.points, section.cuts, names, words, voice.numbers)
    both = figures.sizes(1, height=430, narrow_height=360)
    wide, narrow = figures.draw("matrix", alt, plot, both)
    return Figure("matrix", wide, narrow, caption, _table(section, names, voice), csv_link(section.points))


def _table(section: MatrixSection, names: dict[str, str], voice: Voice) -> Table:
    numbers = voice.numbers
    heads = (
        "type",
        "customers",
        "undecided",
        "expected",
        "probability",
        "current",
        "clv",
        "range",
        "share",
        "alive",
    )
    texts = [str(voice.say(f"matrix.head_{head}", level=voice.level)) for head in (*heads, "purchases")]
    rows = tuple(
        (
            names[cell.key],
            voice.count(cell.customers),
            voice.count(cell.undecided),
            voice.count(cell.expected_customers),
            numbers.share(cell.mean_probability),
            numbers.cell(cell.current_value),
            numbers.cell(cell.clv.mean),
            voice.cells_between(cell.clv.q05, cell.clv.q95),
            numbers.share(cell.clv_share),
            numbers.share(cell.p_alive),
            numbers.decimal(cell.purchases, 2),
        )
        for cell in section.cells
    )
    return Table(voice.text("matrix.table_label"), columns(*texts), rows)
