"""Outcomes handed out by chance: how often the contest called somebody better where nobody was."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData, ShuffleCheck, ShuffledScore
from clvmodels.report.sections.rolling_contest.wording import data_title, heads, score_name
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import LEVEL, ContestSource, Voice


def contest_control(source: ContestSource, voice: Voice) -> dict[str, Any] | None:
    """What the verdicts and the duels said over many shuffles; None where nothing was shuffled."""
    checked = [(data, data.shuffles) for data in source.results.data if data.shuffles is not None]
    if not checked:
        return None
    return {
        "intro": voice.text("contest_control.intro"),
        "data": [
            {
                "title": data_title(data, voice),
                "said": [_verdicts(data, check, voice), _duels(check, voice)],
                "table": _table(check, voice),
            }
            for data, check in checked
        ],
    }


def _verdicts(data: ContestData, check: ShuffleCheck, voice: Voice) -> Markup:
    """The share of shuffles with a wrong verdict, against what the level allows."""
    return voice.say(
        "contest_control.too_often" if check.low > check.level else "contest_control.as_stated",
        data=data_title(data, voice),
        dropped=voice.count(check.dropped),
        shuffles=voice.count(check.shuffles),
        share=voice.numbers.share(check.dropped / check.shuffles, 1),
        range=_range(check.low, check.high, voice),
        level=voice.level,
        set_level=voice.numbers.setting(check.level),
        won=voice.count(check.won),
    )


def _duels(check: ShuffleCheck, voice: Voice) -> Markup:
    settled = [row.settled for row in check.scores]
    return voice.say(
        "contest_control.duels",
        low=voice.numbers.share(min(settled), 1),
        high=voice.numbers.share(max(settled), 1),
        level=voice.level,
        expected=voice.numbers.setting(1 - LEVEL),
    )


def _table(check: ShuffleCheck, voice: Voice) -> Table:
    """A row a score: shuffles whose verdict drops a method, and the share of duels that look settled."""
    texts = heads("contest_control", ("score", "dropped", "settled", "range"), voice)
    rows = tuple(_row(row, voice) for row in check.scores)
    label = voice.say("contest_control.table", shuffles=voice.count(check.shuffles))
    return Table(str(label), columns(*texts), rows)


def _row(row: ShuffledScore, voice: Voice) -> tuple[str, ...]:
    return (
        score_name(row.score, voice),
        voice.count(row.dropped),
        voice.numbers.share(row.settled, 1),
        _range(row.settled_low, row.settled_high, voice),
    )


def _range(low: float, high: float, voice: Voice) -> str:
    return voice.numbers.span(low, high, lambda value: voice.numbers.share(value, 1))
