"""`run_study`: from a study file to a folder of results, tables and pages."""

from pathlib import Path
from typing import Any

from clvmodels.foundation.any_results import Results, results_of
from clvmodels.study.contest import contest_graph, contest_task
from clvmodels.study.contest_config import ContestStudy
from clvmodels.study.current import current_folder
from clvmodels.study.files import StudyFile, read_study
from clvmodels.study.graph import Graph, Render, Task, run_graph
from clvmodels.study.progress import Tell, silent
from clvmodels.study.purchases import purchase_graph, purchase_task
from clvmodels.study.retention import retention_graph, retention_task
from clvmodels.study.retention_config import RetentionStudy
from clvmodels.study.supervised import UNWATCHED, Watch


def run_study(
    path: str | Path,
    *,
    output: str | Path = "reports",
    data: str | None = None,
    tell: Tell = silent,
    render: Render | None = None,
    watch: Watch = UNWATCHED,
) -> Results:
    """Run a study, and publish its results and tables as output/<name>/.

    What was made before, and rests on the same data, settings, code and versions, is taken from output/.cache; so a
    study that was interrupted goes on, and one whose report is as it would be made again is left as it is. The folder
    of the report is exchanged in one step when everything in it is written.

    Parameters
    ----------
    path : study file
    output : folder that gets a folder for each study
    data : read this log (or this file of contracts) in place of the study's own source; for a contest "KEY=PATH", with
        the key of one of its data sets
    tell : gets a line at the beginning and the end of each named step
    render : makes pages in the folder that it is given, before that is published
    watch : who is told which unit of work runs; the command line's own supervision

    Raises
    ------
    StudyError
        If the study file or the output folder cannot be used, if a unit of work fails, or if an input changes
        meanwhile.
    DataError
        If the data cannot be used.
    FitError
        If a model cannot be fitted.
    """
    folder = current_folder(Path(path), Path(output), data, pages=render is not None)
    if folder is not None:
        tell(f"{folder} is up to date")
        return results_of((folder / "results.json").read_bytes())
    task = task_for(read_study(path), output=output, data=data, render=render)
    results: Results = run_graph(graph_of(task, tell=tell, watch=watch))
    return results


def task_for(
    file: StudyFile[Any], *, output: str | Path = "reports", data: str | None = None, render: Render | None = None
) -> Task:
    """A study of any kind, with the digests of its inputs; see `run_study`."""
    if isinstance(file.study, RetentionStudy):
        return retention_task(file, output=output, data=data, render=render)
    if isinstance(file.study, ContestStudy):
        return contest_task(file, output=output, data=data, render=render)
    return purchase_task(file, output=output, data=data, render=render)


def graph_of(task: Task, *, tell: Tell = silent, watch: Watch = UNWATCHED) -> Graph[Any]:
    """The units of a study of any kind."""
    if isinstance(task.study, RetentionStudy):
        return retention_graph(task, tell=tell, watch=watch)
    if isinstance(task.study, ContestStudy):
        return contest_graph(task, tell=tell, watch=watch)
    return purchase_graph(task, tell=tell, watch=watch)
