"""Results of a study of any kind, by the word that its results.json has for the kind."""

from clvmodels.foundation.contest_results import ContestResults
from clvmodels.foundation.results import StudyResults
from clvmodels.foundation.retention_results import RetentionResults

Results = StudyResults | RetentionResults | ContestResults
RESULTS: dict[str | None, type[Results]] = {
    None: StudyResults,  # one of purchases does not say
    "retention": RetentionResults,
    "contest": ContestResults,
}
