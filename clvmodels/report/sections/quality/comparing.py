"""The words of each choice side by side: what the log would have come to by another than the chosen one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clvmodels.foundation.results import Alternative, DataSection
from clvmodels.report.numbers import NO_CHANGE
from clvmodels.report.voice import Voice

TOTALS = ("revenue", "occasions", "customers")


@dataclass(frozen=True)
class Change:
    """Another word of a choice, and by what share of the chosen one's totals it moves them."""

    option: str
    word: str
    chosen: str
    occasions: float
    customers: float
    revenue: float

    @property
    def moves(self) -> bool:
        """Whether a total is another one."""
        return max(abs(self.occasions), abs(self.customers), abs(self.revenue)) >= NO_CHANGE


def by_option(section: DataSection) -> dict[str, list[Alternative]]:
    """The alternatives of each choice, in their order."""
    groups: dict[str, list[Alternative]] = {}
    for alternative in section.alternatives:
        groups.setdefault(alternative.option, []).append(alternative)
    return groups


def chosen_of(words: Sequence[Alternative]) -> Alternative | None:
    """The word that the study has chosen."""
    return next((word for word in words if word.chosen), None)


def refused(word: Alternative) -> bool:
    """Whether the log cannot be read by this word."""
    return word.revenue is None


def changes(section: DataSection) -> list[Change]:
    """What each word that was not chosen would change, the largest change of revenue first."""
    found = [change for words in by_option(section).values() for change in _changes(words)]
    return sorted(found, key=lambda change: -abs(change.revenue))


def _changes(words: Sequence[Alternative]) -> Iterator[Change]:
    chosen = chosen_of(words)
    if chosen is None or refused(chosen):
        return
    for word in words:
        if not word.chosen and not refused(word):
            totals = (gap(getattr(word, name), getattr(chosen, name)) for name in ("occasions", "customers", "revenue"))
            yield Change(word.option, word.word, chosen.word, *totals)


def gap(value: float | None, chosen: float | None) -> float:
    """By what share of the chosen total another lies above it; 0 where there is none to compare with."""
    return (value - chosen) / abs(chosen) if value is not None and chosen else 0.0


def option_name(option: str, voice: Voice) -> str:
    """A choice by the name that a reader knows; its key where the catalogue has none yet."""
    return voice.words.name("quality.options", option)
