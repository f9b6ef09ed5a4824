"""What fewer defections would be worth, in all and by type."""

from typing import Any

from clvmodels.foundation.decision_results import FewerDefections
from clvmodels.foundation.results import StudyResults
from clvmodels.report import decision_figures, retention_figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.parts import ALL, class_names, figure_of, flat_csv, table_of
from clvmodels.report.sections.retention.wording import share, told
from clvmodels.report.tables import Figure
from clvmodels.report.voice import Source, Voice


def defections(source: Source, voice: Voice) -> dict[str, Any] | None:
    """The assumption, the result in all, the figure by type; or why the study's model cannot tell."""
    results = source.results
    message = None if results.actions is None else results.actions.left_out.get("defections")
    if message is not None:
        return {"text": voice.say("defections.left_out", message=message), "figure": None}
    rows = [] if results.actions is None else results.actions.defections
    whole = next((row for row in rows if row.cell == ALL), None)
    if whole is None:
        return None
    numbers, form = voice.numbers, share(voice)
    return {
        "text": voice.say(
            "defections.text",
            reduction=numbers.setting(whole.reduction),
            gain=numbers.money(middle(whole.gain)),
            range=numbers.interval(whole.gain, numbers.money),
            share=form(middle(whole.gain_share)),
            share_range=numbers.interval(whole.gain_share, form),
        ),
        "figure": _figure([row for row in rows if row.cell != ALL] or rows, results, voice),
    }


def _figure(rows: list[FewerDefections], results: StudyResults, voice: Voice) -> Figure:
    numbers, form, names = voice.numbers, share(voice), class_names(results, voice)
    labels = [names.get(row.cell, row.cell) for row in rows]
    titles = [voice.text("defections.head_gain"), voice.text("defections.head_gain_share")]
    most = max(rows, key=lambda row: middle(row.gain) or 0.0)
    body = (
        (
            label,
            told(row.equity, numbers.cell, voice),
            told(row.gain, numbers.cell, voice),
            told(row.gain_share, form, voice),
        )
        for label, row in zip(labels, rows, strict=True)
    )
    return figure_of(
        "defections",
        retention_figures.what_if(
            titles,
            dict(enumerate(labels)),
            [[row.gain for row in rows], [row.gain_share for row in rows]],
            [numbers.axis_money, form],
        ),
        decision_figures.list_sizes(len(rows), panels=2),
        alt=voice.say("defections.alt"),
        caption=voice.say(
            "defections.caption",
            most=names.get(most.cell, most.cell),
            gain=numbers.money(middle(most.gain)),
            range=numbers.interval(most.gain, numbers.money),
        ),
        table=table_of("defections", ("type", "equity", "gain", "gain_share"), body, voice),
        csv=flat_csv(rows),
    )
