"""The sections of a page, in order. To add one: its file, a line here, its template, its words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clvmodels.report.sections.act_on import act_on
from clvmodels.report.sections.contest import contest
from clvmodels.report.sections.data import data
from clvmodels.report.sections.downloads import downloads
from clvmodels.report.sections.evidence import evidence
from clvmodels.report.sections.explorer import explorer
from clvmodels.report.sections.headline import headline
from clvmodels.report.sections.lifecycle import lifecycle
from clvmodels.report.sections.matrix import matrix
from clvmodels.report.sections.method import method
from clvmodels.report.sections.models import models
from clvmodels.report.sections.predictive import predictive
from clvmodels.report.sections.rivals import rivals
from clvmodels.report.sections.strategy import strategy
from clvmodels.report.voice import Source, Voice


@dataclass(frozen=True)
class Section:
    """A part of the page: `key` names its template, its texts and its place; `build` fills it.

    Where `build` returns None the page goes without the section.
    """

    key: str
    build: Callable[[Source, Voice], dict[str, Any] | None]


SECTIONS = (
    Section("headline", headline),
    Section("matrix", matrix),
    Section("strategy", strategy),
    Section("act_on", act_on),
    Section("explorer", explorer),
    Section("lifecycle", lifecycle),
    Section("evidence", evidence),
    Section("contest", contest),
    Section("rivals", rivals),
    Section("predictive", predictive),
    Section("models", models),
    Section("data", data),
    Section("method", method),
    Section("downloads", downloads),
)
