"""Did forecasts come true at the panel's origin: tenths, PIT, the chance of coming back, coverage, cohorts."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.contest_results import ContestData, ContestResults, MethodCalibration
from clvmodels.foundation.results import CoverageRow, DecileRow
from clvmodels.report import contest_figures, figures
from clvmodels.report.contest_figures import CalibrationPanels
from clvmodels.report.sections.retention.cohorts import period_name
from clvmodels.report.sections.retention.wording import plain
from clvmodels.report.sections.rolling_contest.wording import (
    data_title,
    heads,
    kind_of,
    method_name,
    own_method,
    voice_for_data,
)
from clvmodels.report.tables import Figure, Table, columns, csv_of, with_interval
from clvmodels.report.voice import LEVEL, ContestSource, Voice

OUTCOMES = ("purchases", "spend")
PARTS = ("deciles", "pit", "activity", "coverage", "cohorts")


def contest_calibration(source: ContestSource, voice: Voice) -> dict[str, Any] | None:
    """Panels of one method and a table of all methods, a data set each; None where nothing was held against."""
    results = source.results
    parts = []
    for place, data in enumerate(results.data, start=1):
        shown = _shown(results, data)
        if shown:
            own_voice = voice_for_data(data, voice)
            parts.append(
                {
                    "title": data_title(data, voice),
                    "shown": [
                        {
                            "said": _said(found, data, own_voice),
                            "figure": _figure(f"{place}-{number}", data, found, own_voice),
                        }
                        for number, found in enumerate(shown, start=1)
                    ],
                    "coverage": _coverage_table(data, own_voice),
                }
            )
    return {"intro": voice.text("contest_calibration.intro"), "data": parts} if parts else None


def _shown(results: ContestResults, data: ContestData) -> list[MethodCalibration]:
    """The study's own method; where it says nothing of purchases, the first model that does too."""
    by_method = {found.method: found for found in data.calibration if found.deciles or found.pit}
    own = own_method(results, list(by_method))
    if own is None:
        return []
    shown = [by_method[own]]
    if not shown[0].deciles.get("purchases"):
        shown += [of for of in by_method.values() if of.deciles.get("purchases") and kind_of(of.method) == "model"][:1]
    return shown


def _said(found: MethodCalibration, data: ContestData, voice: Voice) -> list[Markup]:
    """Tenths whose bias is settled, the highest tenth, the PIT's test; on a shuffled data set, what that means."""
    said = [
        voice.say(
            "contest_calibration.deciles_said",
            method=method_name(found.method, voice),
            outcome=voice.text(f"contest_terms.outcomes.{quantity}"),
            off=voice.count(sum(not row.low <= 0 <= row.high for row in rows)),
            tenths=voice.count(len(rows)),
            forecast=_amount(quantity, rows[-1].forecast, voice),
            actual=_amount(quantity, rows[-1].actual, voice),
        )
        for quantity, rows in found.deciles.items()
        if rows
    ]
    if found.activity:
        inside = sum(row.low <= row.share <= row.high for row in found.activity)
        said.append(
            voice.say(
                "contest_calibration.activity_said",
                inside=voice.count(inside),
                tenths=voice.count(len(found.activity)),
                level=voice.level,
            )
        )
    said += [
        voice.say(
            f"contest_calibration.pit_{'even' if check.p_value >= 1 - LEVEL else 'uneven'}",
            outcome=voice.text(f"contest_terms.outcomes.{check.quantity}"),
            distance=voice.numbers.significant(check.distance, 2),
            p=voice.numbers.significant(check.p_value, 2),
        )
        for check in found.pit
    ]
    return said if not data.shuffled else [voice.say("contest_calibration.shuffled"), *said]


def _amount(quantity: str, value: float | None, voice: Voice) -> str:
    """A mean a customer, of purchases or in money."""
    return voice.numbers.money(value) if quantity == "spend" else voice.numbers.significant(value)


def _figure(place: str, data: ContestData, found: MethodCalibration, voice: Voice) -> Figure:
    key = f"calibration-{place}"
    shown = CalibrationPanels(
        {quantity: rows for quantity, rows in found.deciles.items() if rows},
        found.activity,
        found.coverage,
        found.pit,
        found.by_cohort,
    )
    cohorts = [period_name(row.group, voice) for row in found.by_cohort]
    plot = contest_figures.calibration_panels(shown, cohorts, _words(voice), voice.numbers)
    told = {"method": method_name(found.method, voice), "date": voice.numbers.date(data.panel_end)}
    alt = plain(voice.say("contest_calibration.alt", data=data_title(data, voice), **told))
    wide, narrow = figures.draw(key, alt, plot, figures.small_sizes(shown.count))
    caption = voice.say("contest_calibration.caption", level=voice.level, **told)
    return Figure(key, wide, narrow, caption, _deciles_table(found, voice), csv_of(*_numbers(found)))


def _words(voice: Voice) -> dict[str, str]:
    """Titles and axes of the panels."""
    words = {part: voice.text(f"contest_calibration.panel_{part}") for part in ("activity", "coverage", "cohorts")}
    for outcome in OUTCOMES:
        words[outcome] = voice.text(f"contest_terms.outcomes.{outcome}")
        for part in ("deciles", "pit"):
            words[f"{part}_{outcome}"] = voice.text(f"contest_calibration.panel_{part}_{outcome}")
    return words | {f"{part}_axis": voice.text(f"contest_calibration.axis_{part}") for part in PARTS}


def _numbers(found: MethodCalibration) -> tuple[Sequence[str], list[list[Any]]]:
    """What the panels show at full precision; results.json has the other methods."""
    rows: list[list[Any]] = [
        [quantity, "decile", row.decile, row.customers, row.forecast, row.actual, row.low, row.high]
        for quantity, tenths in found.deciles.items()
        for row in tenths
    ]
    rows += [
        [row.outcome, "coverage", row.probability, None, row.probability, row.covered, row.low, row.high]
        for row in found.coverage
    ]
    rows += [
        ["active", "chance", place, row.customers, row.probability, row.share, row.low, row.high]
        for place, row in enumerate(found.activity, start=1)
    ]
    rows += [
        [check.quantity, "pit", bar.edge, check.customers, None, bar.share, check.low, check.high]
        for check in found.pit
        for bar in check.bins
    ]
    rows += [
        ["purchases", "cohort", row.group, row.customers, row.expected, row.actual, row.low, row.high]
        for row in found.by_cohort
    ]
    return ("outcome", "part", "group", "customers", "forecast", "actual", "low", "high"), rows


def _deciles_table(found: MethodCalibration, voice: Voice) -> Table:
    """Tenths of customers in rows: forecast, actual and the bias with its interval; those off are set apart."""
    rows: list[tuple[str, ...]] = []
    off = []
    for quantity, tenths in found.deciles.items():
        for row in tenths:
            off += [len(rows)] if not row.low <= 0 <= row.high else []
            rows.append(_decile(quantity, row, voice))
    texts = heads("contest_calibration", ("outcome", "decile", "customers", "forecast", "actual", "bias"), voice)
    return Table(voice.text("contest_calibration.table"), columns(*texts), tuple(rows), frozenset(off))


def _decile(quantity: str, row: DecileRow, voice: Voice) -> tuple[str, ...]:
    between = voice.numbers.span(row.low, row.high, partial(_amount, quantity, voice=voice))
    return (
        voice.text(f"contest_terms.outcomes.{quantity}"),
        voice.count(row.decile),
        voice.count(row.customers),
        _amount(quantity, row.forecast, voice),
        _amount(quantity, row.actual, voice),
        with_interval(_amount(quantity, row.bias, voice), between),
    )


def _coverage_table(data: ContestData, voice: Voice) -> Table | None:
    """Methods and outcomes in rows, stated probabilities in columns; the PIT's distance last."""
    known = [found for found in data.calibration if found.coverage]
    if not known:
        return None
    stated = sorted({row.probability for found in known for row in found.coverage})
    rows = []
    for found in known:
        distance = {check.quantity: check.distance for check in found.pit}
        for outcome in dict.fromkeys(row.outcome for row in found.coverage):
            covered = {row.probability: row for row in found.coverage if row.outcome == outcome}
            rows.append(
                (
                    method_name(found.method, voice),
                    voice.text(f"contest_terms.outcomes.{outcome}"),
                    *(_covered(covered.get(probability), voice) for probability in stated),
                    voice.numbers.significant(distance.get(outcome), 2),
                )
            )
    texts = [
        *heads("contest_calibration", ("method", "outcome"), voice),
        *(voice.numbers.setting(probability) for probability in stated),
        voice.text("contest_calibration.head_distance"),
    ]
    return Table(voice.text("contest_calibration.table_coverage"), columns(*texts, words=2), tuple(rows))


def _covered(row: CoverageRow | None, voice: Voice) -> str:
    if row is None:
        return voice.count(None)
    between = voice.numbers.span(row.low, row.high, lambda value: voice.numbers.share(value, 1))
    return with_interval(voice.numbers.share(row.covered, 1), between)
