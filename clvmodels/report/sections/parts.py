"""What sections on customers, value and measures share: figures, tables, names of periods and of segments."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import Strategies, StrategyText
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import StudyResults
from clvmodels.report import figures
from clvmodels.report.figures import Plot, Size
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import Voice, cell_names

ALL = "all"
ESTIMATED = ("mean", "q05", "q95")


def figure_of(
    key: str, plot: Plot, both: tuple[Size, Size], *, alt: str, caption: Markup, table: Table, csv: str
) -> Figure:
    """A figure at both sizes with its caption, its table and its numbers."""
    wide, narrow = figures.draw(key, alt, plot, both)
    return Figure(key, wide, narrow, caption, table, csv)


def table_of(
    section: str, heads: Sequence[str], rows: Iterable[tuple[str, ...]], voice: Voice, *, words: int = 1
) -> Table:
    """A table with heads and label from the words of a section; the first `words` columns hold words."""
    texts = [str(voice.say(f"{section}.head_{head}", level=voice.level)) for head in heads]
    return Table(voice.text(f"{section}.table"), columns(*texts, words=words), tuple(rows))


def flat_csv(records: Sequence[Any]) -> str:
    """Records at full precision as an address of a CSV file; an estimate has a column for mean and each bound."""
    names = [field.name for field in dataclasses.fields(records[0])]
    spread = {name for record in records for name in names if isinstance(getattr(record, name), Estimate)}
    heads = [head for name in names for head in ([f"{name}_{end}" for end in ESTIMATED] if name in spread else [name])]
    return csv_of(heads, ([cell for name in names for cell in _cells(getattr(record, name))] for record in records))


def _cells(value: Any) -> list[Any]:
    return [getattr(value, end) for end in ESTIMATED] if isinstance(value, Estimate) else [value]


def ratio(part: float, whole: float) -> float | None:
    """A part of a whole, None of nothing."""
    return part / whole if whole else None


def shortened(name: str, most: int = 24) -> str:
    """A name that has room beside a figure; the table has it whole."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def period_names(starts: Sequence[str], voice: Voice) -> Callable[[str], str]:
    """How periods are named: by month where all begin on a first of one, else by their first day."""
    return voice.numbers.month if all(start.endswith("-01") for start in starts) else voice.numbers.short_date


def class_names(results: StudyResults, voice: Voice) -> dict[str, str]:
    """The reader's name of each cell of the matrix, of all together, and of where movements begin and end."""
    outside = {key: voice.text(f"classes.{key}") for key in (ALL, "none", "lost")}
    return {**outside, **cell_names(results, voice)}


def strategy_text(strategies: Strategies, scheme: str, key: str, voice: Voice) -> StrategyText | None:
    """The words on a class in the reader's language; None where the study has none."""
    return strategies.texts.get(scheme, {}).get(key, {}).get(voice.words.language)


def phrase(results: StudyResults, key: str, voice: Voice) -> str:
    """The treatment of a cell in a phrase, empty where the study has no words on it."""
    text = None if results.strategies is None else strategy_text(results.strategies, "matrix", key, voice)
    return "" if text is None else text.name
