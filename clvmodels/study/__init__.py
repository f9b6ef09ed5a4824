"""Floor 6: a study file in; results, tables and draws out. What is heavy to import is imported when it is asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clvmodels.study.files import StudyFile as StudyFile
    from clvmodels.study.files import read_study as read_study
    from clvmodels.study.run import run_study as run_study

HOMES = {"StudyFile": "files", "read_study": "files", "run_study": "run"}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"clvmodels.study.{HOMES[name]}"), name)
