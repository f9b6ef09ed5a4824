"""What the sections on retention share: names, ages in words, numbers with their intervals, when a band has failed."""

import math
from collections.abc import Callable, Sequence
from functools import reduce

from markupsafe import Markup

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.retention_results import RetentionResults, RivalCurve
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.rivals import SETTLED
from clvmodels.report.tables import with_interval
from clvmodels.report.voice import LEVEL, Voice

FEW = 3  # segments that a caption has room for
Form = Callable[[float | None], str]


def segment_name(name: str, voice: Voice) -> str:
    """The reader's name of a segment; that of all together where it has none."""
    return name or voice.text("retention_terms.all")


def model_name(key: str, voice: Voice) -> str:
    """The reader's short name of a model of retention."""
    return voice.words.name("methods", key)


def age(value: float, voice: Voice) -> str:
    """An age as a number: whole where it is."""
    return voice.numbers.decimal(value, 0 if value == math.floor(value) else 1)


def renewals(value: float, voice: Voice) -> str:
    """A number of renewals in words."""
    return str(voice.say(f"retention_terms.{'one' if value == 1 else 'many'}", number=age(value, voice)))


def share(voice: Voice) -> Form:
    """Shares to a tenth of a per cent."""
    return lambda value: voice.numbers.share(value, 1)


def part(value: float, voice: Voice) -> str:
    """A part of the posterior: to a tenth of a per cent, or all of it."""
    return voice.numbers.share(value, 0 if value in (0.0, 1.0) else 1)


def plain(said: Markup) -> str:
    """Words as they are read: for a figure or a cell, or to fill a sentence, which escapes what fills it."""
    return said.unescape()


def listed(said: Sequence[Markup], voice: Voice) -> Markup:
    """A list in words of what is escaped already."""
    return Markup(voice.numbers.listed(said))


def ends_of[T](items: Sequence[T], size_of: Callable[[T], float]) -> Sequence[T]:
    """All items of a few; of many the largest and the smallest, which a caption has room for."""
    return items if len(items) <= FEW else [max(items, key=size_of), min(items, key=size_of)]


def sentences(said: Sequence[Markup], voice: Voice) -> Markup:
    """Sentences one after the other, as the language joins them."""
    return reduce(lambda first, second: voice.say("retention_terms.two_sentences", first=first, second=second), said)


def told(estimate: Estimate, form: Form, voice: Voice) -> Markup:
    """A table's cell: the mean, or the median where there is none, and the interval below it."""
    return with_interval(form(middle(estimate)), voice.numbers.interval(estimate, form))


def heads(section: str, names: Sequence[str], voice: Voice) -> list[str]:
    """Heads of a table, from the words of a section."""
    return [str(voice.say(f"{section}.head_{name}", level=voice.level)) for name in names]


def held_too_few(held: int, count: int) -> bool:
    """Whether bands held fewer numbers than chance leaves, two standard errors below their stated share."""
    return held < LEVEL * count - 2 * math.sqrt(LEVEL * (1 - LEVEL) * count)


def settled(rival: RivalCurve) -> bool:
    """Whether a difference of elpd is beyond two of its standard errors."""
    return abs(rival.difference) > SETTLED * rival.difference_se


def best_rival(rivals: Sequence[RivalCurve]) -> RivalCurve:
    """The model that predicts customers left out best."""
    return max(rivals, key=lambda rival: rival.elpd)


def own_rival(results: RetentionResults, rivals: Sequence[RivalCurve]) -> RivalCurve | None:
    """The model that values rest on, among those of a segment."""
    return next((rival for rival in rivals if rival.model == results.study.model), None)
