"""Floor 6: a study file in, results and tables out."""

from clvmodels.study.files import StudyFile, read_study
from clvmodels.study.run import run_study

__all__ = ["StudyFile", "read_study", "run_study"]
