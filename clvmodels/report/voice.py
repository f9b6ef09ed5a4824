"""What a section needs to speak: its source, and the words and numbers of one language."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.contest_results import ContestData, ContestResults
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import MethodCost, StudyInfo, StudyResults
from clvmodels.foundation.retention_results import RetentionInfo, RetentionResults
from clvmodels.report.customers import CustomersShown
from clvmodels.report.numbers import Numbers, numbers_for
from clvmodels.report.reading import Cost
from clvmodels.report.words import Words, read_words

LEVEL = 0.90  # every interval of the results runs from the 5 % to the 95 % quantile


@dataclass(frozen=True)
class SourceOf[R: Results]:
    """All that a page is made from.

    Attributes
    ----------
    results : the study's results
    customers : those that the page shows, or None where the folder has no customers table
    costs : seconds and megabytes by step, empty where not known
    downloads : names of the files that lie beside the page, in the order in which it lists them
    pages : file names of the pages made together, by stem ("index", "data"), for links between them
    method_costs : of a contest, key of a data set -> what each method's forecast cost; empty where not known
    """

    results: R
    customers: CustomersShown | None
    costs: list[Cost]
    downloads: Collection[str]
    pages: Mapping[str, str] = field(default_factory=dict)
    method_costs: Mapping[str, list[MethodCost]] = field(default_factory=dict)


Source = SourceOf[StudyResults]
RetentionSource = SourceOf[RetentionResults]
ContestSource = SourceOf[ContestResults]


@dataclass(frozen=True)
class Voice:
    """Words and numbers of one language, for one study's currency and unit of time."""

    words: Words
    numbers: Numbers
    unit: str

    @property
    def level(self) -> str:
        """The probability of every interval on the page."""
        return self.numbers.setting(LEVEL)

    def say(self, key: str, **values: object) -> Markup:
        """A sentence of the catalogue with its placeholders filled."""
        return self.words.say(key, **values)

    def text(self, key: str) -> str:
        """A text without placeholders."""
        return str(self.words.at(key))

    def length(self, value: float) -> str:
        """A length of time in the study's unit."""
        return self.numbers.length(value, self.unit)

    def count(self, value: float | None) -> str:
        """A whole number."""
        return self.numbers.decimal(value)

    def counts_between(self, estimate: Estimate) -> str:
        """The interval of a count."""
        return self.numbers.interval(estimate, self.numbers.decimal)

    def cells_between(self, low: float | None, high: float | None) -> str:
        """An interval of amounts for a table's cell."""
        return self.numbers.span(low, high, self.numbers.cell)

    def cell(self, vocabulary: str, key: str, name: str) -> str:
        """The name of a cell of the value matrix; a vocabulary not in the catalogue brings its own."""
        return str(self.words.at("vocabulary").get(vocabulary, {}).get(key, name))


def voice_for(results: Results, language: str) -> Voice:
    """The voice of a language for a study; that of a contest is of its first data set: see `voice_of`."""
    if isinstance(results, ContestResults):
        return voice_of(results.data[0], language)
    return voice_of(results.study, language)


def voice_of(told: StudyInfo | RetentionInfo | ContestData, language: str) -> Voice:
    """The voice of a language for the currency and the unit of a study, or of one data set of a contest."""
    words = read_words(language)
    return Voice(words, numbers_for(words.texts, told.currency), told.unit)


def cell_names(results: StudyResults, voice: Voice) -> dict[str, str]:
    """The reader's name of each cell of the value matrix."""
    matrix = results.matrix
    return {cell.key: voice.cell(matrix.vocabulary, cell.key, cell.name) for cell in matrix.cells}
