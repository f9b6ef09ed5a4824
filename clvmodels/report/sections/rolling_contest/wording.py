"""What the sections of a contest share: names, kinds of method, and which kind a verdict says is better."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from clvmodels.foundation.contest_results import ContestData, ContestResults
from clvmodels.foundation.results import LeagueRow, RollingSection, RollingVerdict
from clvmodels.report.sections.contest import score_value
from clvmodels.report.sections.retention.wording import plain
from clvmodels.report.voice import Voice, voice_of

Form = Callable[[float | None], str]

KINDS = ("model", "abc", "rfm", "rule", "regression")
KIND_OF = {
    "abc": "abc",
    "abc_repeat": "abc",
    "rfm": "rfm",
    "rfm_weighted": "rfm",
    "rfm_cells": "rfm",
    "same_rate": "rule",
    "hiatus": "rule",
    "last_period": "rule",
    "boosting": "regression",
    "ziln": "regression",
}  # all others are models
CLASSICAL = ("abc", "rfm", "rule")
NOBODY, ALONE = "nobody", "alone"
OUTCOMES = (*KINDS, NOBODY, ALONE)

RANKING, TOP, RANKING_OF_PURCHASES = "spend_gini", "spend_capture_20", "purchases_spearman"
SIZE, DISTRIBUTION, BACK, ABSOLUTE = "purchases_rmse", "purchases_crps", "active_brier", "purchases_mae"
GROUPS = {
    "rank": "ranking",
    "top": "ranking",
    "precision": "ranking",
    "error": "size",
    "total": "size",
    "distribution": "doubt",
    "probability": "back",
}  # of a score's kind in the catalogue
GROUP_ORDER = ("ranking", "size", "doubt", "back")
_PAIR = re.compile(r"(?P<purchases>\w+)\+(?P<spend>\w+)(\[(?P<baskets>\w+)\])?")


@dataclass(frozen=True)
class Cell:
    """A verdict on one data set over one horizon."""

    data: ContestData
    section: RollingSection
    verdict: RollingVerdict

    @property
    def outcome(self) -> str:
        """The kind of method that is reliably better than every other kind, or why there is none."""
        if len({kind_of(method) for method in self.verdict.p_values}) == 1:
            return ALONE
        kept = {kind_of(method) for method in self.verdict.kept}
        return kept.pop() if len(kept) == 1 else NOBODY


def kind_of(method: str) -> str:
    """The kind of a method: a model of customers, ABC, RFM, another simple rule, or a regression."""
    return KIND_OF.get(method, "model")


def cells(results: ContestResults, score: str) -> list[Cell]:
    """Verdicts on a score, by data set and horizon."""
    return [
        Cell(data, section, verdict)
        for data in results.data
        for section in data.contests
        for verdict in section.verdicts
        if verdict.score == score
    ]


def real(found: Iterable[Cell]) -> list[Cell]:
    """Verdicts on data of real customers, as they were."""
    return [cell for cell in found if is_real(cell.data)]


def is_real(data: ContestData) -> bool:
    """Whether a data set is neither simulated nor shuffled."""
    return not data.story and not data.shuffled


def tallied(found: Iterable[Cell]) -> Counter[str]:
    """How often each outcome came."""
    return Counter(cell.outcome for cell in found)


def league_row(section: RollingSection, method: str, score: str) -> LeagueRow | None:
    """A method's row of the league, if it has the score."""
    return next((row for row in section.league if (row.method, row.score) == (method, score)), None)


def own_method(results: ContestResults, methods: Sequence[str]) -> str | None:
    """The method that differences are shown of, or the first model there is."""
    models = [method for method in methods if kind_of(method) == "model"]
    return results.study.method if results.study.method in methods else next(iter(models), None)


# Names


def voice_for_data(data: ContestData, voice: Voice) -> Voice:
    """The voice for a data set's currency and unit of time."""
    return voice_of(data, voice.words.language)


def data_title(data: ContestData, voice: Voice) -> str:
    """The reader's name of a data set."""
    return data.title.get(voice.words.language, data.key)


def data_titles(found: Iterable[ContestData], voice: Voice) -> str:
    """Names of data sets as a list in words."""
    return voice.numbers.listed([data_title(data, voice) for data in found])


def horizon_of(section: RollingSection, voice: Voice) -> str:
    """The length of a contest's holdouts, in words; months differ, so their mean is rounded."""
    return voice.numbers.length(round(section.horizon, 1), section.unit)


def method_name(method: str, voice: Voice) -> str:
    """The reader's name of a method; a pair of models has both names."""
    pair = _PAIR.fullmatch(method)
    if pair is None:
        return voice.words.name("methods", method)
    names = [voice.words.name("rivals.models", pair[part]) for part in ("purchases", "spend")]
    return _with_baskets(" + ".join(names), pair["baskets"], voice)


def short_name(method: str, voice: Voice) -> str:
    """A method's name where there is little room."""
    pair = _PAIR.fullmatch(method)
    if pair is None:
        return str(voice.words.at("contest_terms.short").get(method, method_name(method, voice)))
    purchases = voice.words.name("rivals.models", pair["purchases"])
    spend = str(voice.words.at("contest_terms.short").get(pair["spend"], pair["spend"]))
    return _with_baskets(f"{purchases} + {spend}", pair["baskets"], voice)


def pair_without_baskets(method: str) -> str:
    """A pair of models, whatever baskets spend is learnt from; any other method as it is."""
    pair = _PAIR.fullmatch(method)
    return method if pair is None else f"{pair['purchases']}+{pair['spend']}"


def _with_baskets(name: str, baskets: str | None, voice: Voice) -> str:
    said = "" if baskets is None else str(voice.words.at("contest_terms.baskets").get(baskets, baskets))
    return plain(voice.say("contest_terms.with_baskets", name=name, baskets=said)) if said else name


def method_names(methods: Iterable[str], voice: Voice) -> str:
    """Names of methods as a list in words."""
    return voice.numbers.listed([method_name(method, voice) for method in methods])


def score_name(score: str, voice: Voice) -> str:
    """The reader's name of a score."""
    return voice.words.name("scores", score)


def short_score(score: str, voice: Voice) -> str:
    """A score's name where there is little room."""
    return str(voice.words.at("contest_terms.scores").get(score, score_name(score, voice)))


def score_form(score: str, voice: Voice) -> Form:
    """How values of a score are written."""
    return lambda value: score_value(score, value, voice)


def group_of(score: str, voice: Voice) -> str:
    """The group that a score is filtered by."""
    return GROUPS.get(voice.words.detail("scores", score, "kind"), "size")


def kind_name(kind: str, voice: Voice) -> str:
    """The reader's name of a kind of method, or of there being none."""
    return voice.text(f"contest_terms.kinds.{kind}")


def heads(section: str, names: Sequence[str], voice: Voice) -> list[str]:
    """Heads of a table, from the words of a section."""
    return [str(voice.say(f"{section}.head_{name}", level=voice.level)) for name in names]


def with_sign(text: str, value: float) -> str:
    """A written difference with its sign."""
    return "+" + text if value > 0 else text
