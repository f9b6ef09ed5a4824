"""`run_study`: from a study file to a folder of results and tables."""

from pathlib import Path

from clvmodels.foundation.any_results import Results
from clvmodels.study.contest import run_contest
from clvmodels.study.contest_config import ContestStudy
from clvmodels.study.files import StudyFile, read_study
from clvmodels.study.progress import Tell, silent
from clvmodels.study.purchases import run_purchases
from clvmodels.study.retention import run_retention
from clvmodels.study.retention_config import RetentionStudy


def run_study(
    path: str | Path, *, output: str | Path = "reports", data: str | None = None, tell: Tell = silent
) -> Results:
    """Run a study, and write its results and tables under output/<name>/.

    Pages are made from them by `render_report`.

    Parameters
    ----------
    path : study file
    output : folder that gets a folder for each study; nothing in it is touched before all is computed
    data : read this log (or this file of contracts) in place of the study's own source; for a contest "KEY=PATH", with
        the key of one of its data sets
    tell : gets a line at the beginning and the end of each named step

    Raises
    ------
    StudyError
        If the study file or the output folder cannot be used.
    DataError, FitError
        If the data, or the customers' file, cannot be used as they are.
    """
    file = read_study(path)
    if isinstance(file.study, RetentionStudy):
        retention = StudyFile(file.study, file.path, file.digest)
        return run_retention(retention, output=output, data=data, tell=tell)
    if isinstance(file.study, ContestStudy):
        contest = StudyFile(file.study, file.path, file.digest)
        return run_contest(contest, output=output, data=data, tell=tell)
    return run_purchases(StudyFile(file.study, file.path, file.digest), output=output, data=data, tell=tell)
