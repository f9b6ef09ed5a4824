"""How each method's order of customers went over the origins."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData
from clvmodels.foundation.results import LeagueRow, RollingSection
from clvmodels.report import contest_figures, figures
from clvmodels.report.contest_figures import OriginsPanel
from clvmodels.report.sections.retention.wording import plain
from clvmodels.report.sections.rolling_contest.wording import (
    RANKING,
    RANKING_OF_PURCHASES,
    data_title,
    horizon_of,
    method_name,
    score_form,
    score_name,
    short_name,
)
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import ContestSource, Voice

TOLD_APART = ("abc", "rfm")  # beside the study's own method
FEWEST = 2  # origins that make a line


def contest_origins(source: ContestSource, voice: Voice) -> dict[str, Any] | None:
    """A figure a data set with more than one origin; None where none has."""
    own = source.results.study.method
    parts = [
        {"title": data_title(data, voice), "figure": _figure(place, data, own, voice)}
        for place, data in enumerate(source.results.data, start=1)
        if any(len(section.origins) >= FEWEST and _rows(section) for section in data.contests)
    ]
    return {"intro": voice.text("contest_origins.intro"), "data": parts} if parts else None


def _rows(section: RollingSection) -> list[LeagueRow]:
    """The league by the order of customers: by spend, or by purchases where there is no money."""
    found = [row for row in section.league if row.score == RANKING]
    return found or [row for row in section.league if row.score == RANKING_OF_PURCHASES]


def _figure(place: int, data: ContestData, own: str, voice: Voice) -> Figure:
    key = f"origins-{place}"
    sections = [section for section in data.contests if _rows(section)]
    panels = [_panel(section, own, voice) for section in sections]
    plot = contest_figures.over_origins(panels, voice.text("contest_origins.others"), voice.numbers)
    score = _rows(sections[0])[0].score
    alt = plain(voice.say("contest_origins.alt", data=data_title(data, voice), score=score_name(score, voice)))
    wide, narrow = figures.draw(key, alt, plot, contest_figures.lines_sizes(len(panels)))
    return Figure(key, wide, narrow, _caption(sections, own, score, voice), _table(sections, voice), _csv(sections))


def _csv(sections: Sequence[RollingSection]) -> str:
    """Origins in rows, methods in columns, at full precision."""
    methods = list(dict.fromkeys(row.method for section in sections for row in _rows(section)))
    rows = []
    for section in sections:
        values = {row.method: row.by_origin for row in _rows(section)}
        for at, origin in enumerate(section.origins):
            scores = [values[method][at] if method in values else None for method in methods]
            rows.append([section.horizon, origin.calibration_end, *scores])
    return csv_of(["horizon", "calibration_end", *methods], rows)


def _panel(section: RollingSection, own: str, voice: Voice) -> OriginsPanel:
    rows = {row.method: row.by_origin for row in _rows(section)}
    named = [method for method in (own, *TOLD_APART) if method in rows]
    return OriginsPanel(
        title=horizon_of(section, voice),
        dates=[voice.numbers.month(origin.calibration_end) for origin in section.origins],
        named={short_name(method, voice): rows[method] for method in named},
        others=[values for method, values in rows.items() if method not in named],
    )


def _caption(sections: Sequence[RollingSection], own: str, score: str, voice: Voice) -> Markup:
    """How far the study's own method went from its lowest to its highest origin, horizon by horizon."""
    said = []
    for section in sections:
        values = [value for row in _rows(section) if row.method == own for value in row.by_origin if value is not None]
        if values:
            form = score_form(score, voice)
            said.append(
                plain(
                    voice.say(
                        "contest_origins.range",
                        horizon=horizon_of(section, voice),
                        low=form(min(values)),
                        high=form(max(values)),
                        origins=voice.count(len(values)),
                    )
                )
            )
    return voice.say(
        "contest_origins.caption" if said else "contest_origins.caption_alone",
        score=score_name(score, voice),
        method=method_name(own, voice),
        ranges=voice.numbers.listed(said),
    )


def _table(sections: Sequence[RollingSection], voice: Voice) -> Table:
    """Origins in rows, methods in columns."""
    methods = list(dict.fromkeys(row.method for section in sections for row in _rows(section)))
    rows = []
    for section in sections:
        values = {row.method: row for row in _rows(section)}
        for at, origin in enumerate(section.origins):
            shown = [
                score_form(row.score, voice)(row.by_origin[at]) if (row := values.get(method)) else voice.count(None)
                for method in methods
            ]
            rows.append((horizon_of(section, voice), voice.numbers.short_date(origin.calibration_end), *shown))
    texts = [voice.text("contest_terms.head_horizon"), voice.text("contest_origins.head_origin")]
    texts += [short_name(method, voice) for method in methods]
    return Table(voice.text("contest_origins.table"), columns(*texts, words=2), tuple(rows))
