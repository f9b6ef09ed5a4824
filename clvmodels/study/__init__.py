"""Floor 6: a study file in, results and tables out."""

from clvmodels.study.config import Study, StudyFile, read_study
from clvmodels.study.runner import run_study

__all__ = ["Study", "StudyFile", "read_study", "run_study"]
