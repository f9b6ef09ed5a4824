"""Reports: a study's results as one HTML page of a language."""

from clvmodels.report.reading import read_results
from clvmodels.report.render import render_report

__all__ = ["read_results", "render_report"]
