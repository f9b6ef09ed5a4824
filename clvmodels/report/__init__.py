"""Reports: a study's results as one HTML page of a language, as a PDF, and a page over all studies."""

from clvmodels.report.index import render_index
from clvmodels.report.reading import read_results
from clvmodels.report.render import render_report

__all__ = ["read_results", "render_index", "render_report"]
