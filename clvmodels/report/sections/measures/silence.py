"""How long a customer may stay silent before more likely gone than active, by type."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import SilenceRow
from clvmodels.foundation.results import StudyResults
from clvmodels.report import decision_figures
from clvmodels.report.sections.parts import ALL, class_names, figure_of, table_of
from clvmodels.report.tables import Figure, csv_link
from clvmodels.report.voice import Source, Voice


def silence(source: Source, voice: Voice) -> dict[str, Any] | None:
    """Two sentences and the figure, or why the study's model cannot tell."""
    results = source.results
    section = results.actions
    message = None if section is None else section.left_out.get("silence")
    if message is not None:
        return {"text": [voice.say("silence.left_out", message=message)], "figure": None}
    rows = [] if section is None else section.silence
    whole = next((row for row in rows if row.cell == ALL), None)
    if whole is None:
        return None
    return {
        "text": [*_text(whole, voice.numbers.date(results.value.as_of), voice)],
        "figure": _figure([row for row in rows if row.cell != ALL] or rows, results, voice),
    }


def _text(whole: SilenceRow, date: str, voice: Voice) -> Iterator[Markup]:
    yield voice.say("silence.intro", date=date)
    yield voice.say("silence.gone", gone=voice.count(whole.gone), customers=voice.count(whole.customers), date=date)
    if whole.never:
        yield voice.say("silence.never", never=voice.count(whole.never))


def _figure(rows: list[SilenceRow], results: StudyResults, voice: Voice) -> Figure:
    names, numbers = class_names(results, voice), voice.numbers
    known = {place: row for place, row in enumerate(rows) if row.q50 is not None}
    drawn = known or dict(enumerate(rows))
    named = [names.get(row.cell, row.cell) for row in drawn.values()]
    body = (
        (
            names.get(row.cell, row.cell),
            voice.count(row.customers),
            voice.count(row.gone),
            voice.count(row.never),
            *(voice.count(days) for days in (row.q25, row.q50, row.q75)),
        )
        for row in rows
    )
    first = min(drawn.values(), key=lambda row: row.q50 or 0.0)
    return figure_of(
        "silence",
        decision_figures.silence(drawn, named, voice.text("silence.axis"), numbers),
        decision_figures.list_sizes(len(drawn)),
        alt=voice.say("silence.alt"),
        caption=voice.say(
            "silence.caption" if first.q50 is not None else "silence.caption_none",
            type=names.get(first.cell, first.cell),
            days=voice.count(first.q50),
            low=voice.count(first.q25),
            high=voice.count(first.q75),
        ),
        table=table_of("silence", ("type", "customers", "gone", "never", "q25", "q50", "q75"), body, voice),
        csv=csv_link(rows),
    )
