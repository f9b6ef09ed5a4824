"""Results of a study of any kind, by the word that its results.json has for the kind."""

import msgspec

from clvmodels.foundation.contest_results import ContestResults
from clvmodels.foundation.results import StudyResults
from clvmodels.foundation.retention_results import RetentionResults

Results = StudyResults | RetentionResults | ContestResults
RESULTS: dict[str | None, type[Results]] = {
    None: StudyResults,  # one of purchases does not say
    "retention": RetentionResults,
    "contest": ContestResults,
}


class _Kind(msgspec.Struct):
    kind: str | None = None


def results_of(text: bytes) -> Results:
    """The results that results.json holds.

    Raises
    ------
    msgspec.DecodeError
        If these are not the results of this version.
    """
    kind = msgspec.json.decode(text, type=_Kind).kind
    if kind not in RESULTS:
        raise msgspec.ValidationError(f"results of the kind {kind!r}, which this version of clvmodels does not know")
    return msgspec.json.decode(text, type=RESULTS[kind])
