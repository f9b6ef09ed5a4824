"""The sections of the pages, in order. To add one: its file, a line here, its template, its words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.contest_results import ContestResults
from clvmodels.foundation.results import StudyResults
from clvmodels.foundation.retention_results import RetentionResults
from clvmodels.report.sections.act_on import act_on
from clvmodels.report.sections.class_calibration import class_calibration
from clvmodels.report.sections.contest import contest
from clvmodels.report.sections.customers.development import development
from clvmodels.report.sections.customers.keeping import keeping
from clvmodels.report.sections.customers.losing import losing
from clvmodels.report.sections.customers.winning import winning
from clvmodels.report.sections.data import data
from clvmodels.report.sections.downloads import CONTEST_FILES, FILES, RETENTION_FILES, downloads
from clvmodels.report.sections.evidence import evidence
from clvmodels.report.sections.explorer import explorer
from clvmodels.report.sections.first_screen import first_screen
from clvmodels.report.sections.matrix import matrix
from clvmodels.report.sections.measures.actions import actions
from clvmodels.report.sections.measures.budget import budget
from clvmodels.report.sections.measures.defections import defections
from clvmodels.report.sections.measures.silence import silence
from clvmodels.report.sections.method import method
from clvmodels.report.sections.models import models
from clvmodels.report.sections.predictive import predictive
from clvmodels.report.sections.quality.alternatives import alternatives
from clvmodels.report.sections.quality.answer import answer
from clvmodels.report.sections.quality.bridge import bridge
from clvmodels.report.sections.quality.choices import choices
from clvmodels.report.sections.quality.findings import findings
from clvmodels.report.sections.quality.months import months
from clvmodels.report.sections.quality.questions import questions
from clvmodels.report.sections.retention.back_test import back_test
from clvmodels.report.sections.retention.cohorts import cohorts
from clvmodels.report.sections.retention.donors import donors
from clvmodels.report.sections.retention.method import retention_method
from clvmodels.report.sections.retention.models import retention_models
from clvmodels.report.sections.retention.rates import rates
from clvmodels.report.sections.retention.residual_value import residual_value
from clvmodels.report.sections.retention.survival import survival
from clvmodels.report.sections.retention.what_if import what_if
from clvmodels.report.sections.retention.who_stays import who_stays
from clvmodels.report.sections.rivals import rivals
from clvmodels.report.sections.rolling_contest.answer import contest_answer
from clvmodels.report.sections.rolling_contest.calibration import contest_calibration
from clvmodels.report.sections.rolling_contest.classical import contest_classical
from clvmodels.report.sections.rolling_contest.contest_method import contest_method
from clvmodels.report.sections.rolling_contest.control import contest_control
from clvmodels.report.sections.rolling_contest.differences import contest_differences
from clvmodels.report.sections.rolling_contest.difficulty import contest_difficulty
from clvmodels.report.sections.rolling_contest.league import contest_league
from clvmodels.report.sections.rolling_contest.origins import contest_origins
from clvmodels.report.sections.rolling_contest.totals import contest_totals
from clvmodels.report.sections.rolling_contest.winners import contest_winners
from clvmodels.report.sections.strategy import strategy
from clvmodels.report.sections.worth.concentration import concentration
from clvmodels.report.sections.worth.movement import movement
from clvmodels.report.sections.worth.pyramid import pyramid, stages
from clvmodels.report.sections.worth.worth import worth
from clvmodels.report.voice import SourceOf, Voice


@dataclass(frozen=True)
class Section[R: Results]:
    """A part of the page: `key` names its template, its texts and its place; `build` fills it.

    Where `build` returns None the page goes without the section. `chapter` is the key of the heading under which the
    contents list it; "" for none.
    """

    key: str
    build: Callable[[SourceOf[R], Voice], dict[str, Any] | None]
    chapter: str = ""


SECTIONS: tuple[Section[StudyResults], ...] = (
    Section("headline", first_screen),
    Section("data", data, "customers"),
    Section("winning", winning, "customers"),
    Section("development", development, "customers"),
    Section("keeping", keeping, "customers"),
    Section("losing", losing, "customers"),
    Section("worth", worth, "value"),
    Section("concentration", concentration, "value"),
    Section("matrix", matrix, "value"),
    Section("pyramid", pyramid, "value"),
    Section("stages", stages, "value"),
    Section("movement", movement, "value"),
    Section("strategy", strategy, "measures"),
    Section("actions", actions, "measures"),
    Section("budget", budget, "measures"),
    Section("defections", defections, "measures"),
    Section("silence", silence, "measures"),
    Section("act_on", act_on, "measures"),
    Section("explorer", explorer, "measures"),
    Section("class_calibration", class_calibration, "research"),
    Section("evidence", evidence, "research"),
    Section("contest", contest, "research"),
    Section("rivals", rivals, "research"),
    Section("predictive", predictive, "research"),
    Section("models", models, "research"),
    Section("method", method, "research"),
    Section("downloads", downloads, "research"),
)

QUALITY_SECTIONS: tuple[Section[StudyResults], ...] = (
    Section("quality_answer", answer),
    Section("quality_bridge", bridge),
    Section("quality_questions", questions),
    Section("quality_findings", findings),
    Section("quality_choices", choices),
    Section("quality_alternatives", alternatives),
    Section("quality_months", months),
)

RETENTION_SECTIONS: tuple[Section[RetentionResults], ...] = (
    Section("who_stays", who_stays),
    Section("survival", survival),
    Section("rates", rates),
    Section("back_test", back_test),
    Section("residual_value", residual_value),
    Section("what_if", what_if),
    Section("donors", donors),
    Section("cohorts", cohorts),
    Section("retention_models", retention_models),
    Section("retention_method", retention_method),
    Section("downloads", downloads),
)

CONTEST_SECTIONS: tuple[Section[ContestResults], ...] = (
    Section("contest_answer", contest_answer),
    Section("contest_winners", contest_winners),
    Section("contest_league", contest_league),
    Section("contest_differences", contest_differences),
    Section("contest_origins", contest_origins),
    Section("contest_calibration", contest_calibration),
    Section("contest_totals", contest_totals),
    Section("contest_difficulty", contest_difficulty),
    Section("contest_classical", contest_classical),
    Section("contest_control", contest_control),
    Section("contest_method", contest_method),
    Section("downloads", downloads),
)


@dataclass(frozen=True)
class Head:
    """What stands above the sections: the browser's title, the page's heading, and a line below it."""

    title: Markup
    heading: str
    background: str


@dataclass(frozen=True)
class Layout[R: Results]:
    """A page of a kind of study.

    Attributes
    ----------
    stem : of its file's name, "index" for the study's main page
    sections : its parts in order
    head : title and heading
    facts : what stands under the title
    made_by : the line at the foot
    files : patterns of the files that may lie beside the page, in the order in which it lists them
    """

    stem: str
    sections: tuple[Section[R], ...]
    head: Callable[[R, Voice], Head]
    facts: Callable[[R, Voice], list[Markup]]
    made_by: Callable[[R, Voice], Markup]
    files: tuple[str, ...]


def _head(results: Results, voice: Voice) -> Head:
    title, background = _title(results, voice), results.study.background.get(voice.words.language, "")
    return Head(voice.say("page.title", title=title), title, background)


def _quality_head(results: StudyResults, voice: Voice) -> Head:
    title = _title(results, voice)
    return Head(voice.say("quality.title", title=title), voice.text("quality.heading"), title)


def _title(results: Results, voice: Voice) -> str:
    return results.study.title.get(voice.words.language, results.study.name)


def _facts(results: StudyResults, voice: Voice) -> list[Markup]:
    return [
        voice.say("page.as_of", date=voice.numbers.date(results.value.as_of)),
        voice.say("page.looking", horizon=voice.length(results.value.horizon)),
        _money(results, voice),
    ]


def _quality_facts(results: StudyResults, voice: Voice) -> list[Markup]:
    numbers, section = voice.numbers, results.data
    return [
        voice.say("quality.rows_read", rows=voice.count(section.rows_read)),
        voice.say("quality.dates", first=numbers.date(section.first_date), last=numbers.date(section.last_date)),
        _money(results, voice),
    ]


def _made_by(results: StudyResults, voice: Voice) -> Markup:
    return voice.say("page.made_by", data_digest=results.study.data_digest[:12], **_run(results))


def _retention_facts(results: RetentionResults, voice: Voice) -> list[Markup]:
    segments = results.segments
    return [
        voice.say(
            "page.customers_in" if len(segments) > 1 else "page.customers",
            customers=voice.count(sum(segment.customers for segment in segments)),
            segments=voice.count(len(segments)),
        ),
        voice.say("page.renewed", unit=voice.text(f"units.{results.study.unit}.each")),
        _money(results, voice),
    ]


def _contest_facts(results: ContestResults, voice: Voice) -> list[Markup]:
    """Data sets and days on which forecasts were made; customers may stand in several data sets, so are not summed."""
    sections = [section for data in results.data for section in data.contests]
    return [
        voice.say("page.data_sets", count=voice.count(len(results.data))),
        voice.say("page.contests", count=voice.count(len(sections))),
        voice.say("page.methods", count=voice.count(len({m for section in sections for m in section.methods}))),
    ]


def _retention_made_by(results: RetentionResults | ContestResults, voice: Voice) -> Markup:
    return voice.say("page.made_by_sources", **_run(results))


def _money(results: StudyResults | RetentionResults, voice: Voice) -> Markup:
    return voice.say("page.money_note", currency=voice.words.name("currency", results.study.currency))


def _run(results: Results) -> dict[str, object]:
    study = results.study
    return {"version": study.version, "name": study.name, "seed": study.seed, "study_digest": study.study_digest[:12]}


PURCHASES = Layout("index", SECTIONS, _head, _facts, _made_by, FILES)
DATA_QUALITY = Layout("data", QUALITY_SECTIONS, _quality_head, _quality_facts, _made_by, ())
RETENTION = Layout("index", RETENTION_SECTIONS, _head, _retention_facts, _retention_made_by, RETENTION_FILES)

CONTEST = Layout("index", CONTEST_SECTIONS, _head, _contest_facts, _retention_made_by, CONTEST_FILES)


def pages_of(results: Results) -> tuple[Layout[Any], ...]:
    """The pages of a study, its main page first; results without choices have nothing for one of data quality."""
    if isinstance(results, RetentionResults):
        return (RETENTION,)
    if isinstance(results, ContestResults):
        return (CONTEST,)
    return (PURCHASES, DATA_QUALITY) if results.data.choices else (PURCHASES,)
