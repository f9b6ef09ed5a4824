"""Every number and word of a study's results by its path, with its Monte Carlo error where one is known.

Lists are told apart by the keys of their rows, so that a row more in one of two runs moves no other. A number is exact
that no random number enters: counts of the data, settings, published formulas. Of numbers that depend on labels, such
as the equity of a cell, no error is known: which customers have the label is drawn, too.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from clvmodels.foundation import contest_results as contest
from clvmodels.foundation import decision_results as decision
from clvmodels.foundation import ranking_results as ranking
from clvmodels.foundation import results as study
from clvmodels.foundation import retention_results as retention
from clvmodels.foundation.any_results import Results
from clvmodels.foundation.contest_results import ContestResults
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import StudyResults
from clvmodels.foundation.retention_results import RetentionResults
from clvmodels.report.monte_carlo import FIVE, error_of_share, errors_of_band, errors_of_five

EXACT = math.inf  # draws of what no random number enters
ALL = "*"
OPTIMISER = 1e-6  # of a number: how well a search for a maximum finds it again
# Totals where demand drifts rest on few draws of the drift, shares of the best on who is best, which is drawn, too.
NOT_BY_DRAWS = tuple(
    f"value.{name}"
    for name in ("drifting_equity", "drifting_purchases", "drifting_spend", "top_10_share", "top_20_share", "lorenz")
)
LABELS = ("cell", "tier", "stage")  # segmentations by what is drawn

Draws = float | None  # None where it is not known how many, or they do not tell the error


@dataclass(frozen=True)
class Found:
    """A number or a word of the results.

    Attributes
    ----------
    path : such as "evidence.coverage[purchases, 0.9].covered"
    value : a number, or a text, or True or False
    error : Monte Carlo standard error; 0 for what is exact; None where none is known
    step : by which it may differ beside, as a quantile of counts does
    """

    path: str
    value: float | str | bool
    error: float | None = None
    step: float = 0.0

    @property
    def section(self) -> str:
        """The part of the results that it is of."""
        return self.path.partition(".")[0].partition("[")[0]


# Keys of the rows of lists, and what in them is exact

KEYS: Mapping[type, tuple[str, ...]] = {
    LedgerLine: ("reason",),
    study.Choice: ("option", "word"),
    study.Alternative: ("option", "word"),
    study.Period: ("start",),
    study.Cut: ("dimension",),
    study.Cell: ("key",),
    study.ActOn: ("list_key", "customer_id"),
    study.TrackingPoint: ("end",),
    study.DriftPeriod: ("end",),
    study.CalibrationRow: ("group",),
    study.CountRow: ("count",),
    study.CoverageRow: ("outcome", "probability"),
    study.DecileRow: ("decile",),
    study.PitBin: ("edge",),
    study.PitCheck: ("quantity",),
    study.TotalCheck: ("outcome", "calibration_end", "holdout_end"),
    study.TotalCoverage: ("outcome", "method", "horizon"),
    study.ConformalRow: ("quantity", "probability"),
    study.Score: ("method", "score"),
    study.Duel: ("method", "score"),
    study.Origin: ("calibration_end", "holdout_end"),
    study.LeagueRow: ("method", "score"),
    study.RollingVerdict: ("score",),
    study.RollingSection: ("data", "horizon"),
    study.WinnerRow: ("score", "data", "horizon"),
    study.DifficultyRow: ("method",),
    study.Check: ("key",),
    study.ParameterRow: ("name",),
    study.FitRow: ("model", "method", "window"),
    study.CriterionRow: ("model", "method", "window"),
    study.SensitivityRow: ("model", "window", "parameter"),
    study.ReplicatedRow: ("aspect", "quantity", "group"),
    study.PredictiveCheckTable: ("model", "method"),
    study.RivalRow: ("model",),
    study.RivalGap: ("model", "other"),
    study.RivalGroup: ("family",),
    decision.ClassRow: ("key",),
    decision.ClassCalibrationRow: ("cell", "low"),
    decision.Movement: ("before", "after"),
    decision.MovementKind: ("key",),
    decision.BasePeriod: ("start",),
    decision.YearRow: ("start",),
    decision.PartRow: ("key",),
    decision.EquityRow: ("segmentation", "segment"),
    decision.LorenzPoint: ("customers",),
    decision.ActionRow: ("action", "cell"),
    decision.ActionSetting: ("key",),
    decision.BudgetRow: ("action", "cell"),
    decision.FewerDefections: ("cell",),
    decision.SilenceRow: ("cell",),
    ranking.InnerOrigin: ("calibration_end",),
    ranking.CandidateRow: ("purchases", "spend", "baskets"),
    retention.ObservedSurvival: ("age",),
    retention.CurvePoint: ("age",),
    retention.RivalCurve: ("model",),
    retention.BackTestPoint: ("age",),
    retention.BackTest: ("segment", "model", "learnt_to"),
    retention.SegmentRetention: ("name",),
    retention.ValueRow: ("segment", "age"),
    retention.SegmentWorth: ("segment",),
    retention.DonorRow: ("frequency", "recency"),
    retention.RevenuePoint: ("period",),
    retention.AgePoint: ("age",),
    retention.LeftOutFit: ("segment", "model", "learnt_to"),
    contest.Circumstance: ("key",),
    contest.ShuffledScore: ("score",),
    contest.MethodCalibration: ("method",),
    contest.ContestData: ("key",),
}
BY_PLACE: tuple[type, ...] = (study.ActivityRow, Estimate)  # of tenths and of years ahead, in their order
PICTURES: tuple[type, ...] = (
    study.MatrixPoint,
)  # left out: their points have no names, and tables hold what they show

EXACT_FIELDS: Mapping[type, tuple[str, ...]] = {
    LedgerLine: (ALL,),
    study.Choice: (ALL,),
    study.Alternative: (ALL,),
    study.Period: (ALL,),
    study.DataSection: (ALL,),
    study.PriorRow: (ALL,),
    study.StudyInfo: ("margin", "annual_discount_rate"),
    study.ValueSection: (
        "horizon", "customers", "current_value_total", "acquisition_share", "at_risk_below", "lost_below",
    ),
    study.Cut: ("setting",),
    study.MatrixSection: ("undecided_below",),
    study.ActOn: ("frequency", "current_value"),
    study.TrackingPoint: ("actual", "cumulative_actual"),
    study.DriftPeriod: ("end", "actual"),
    study.DriftCheck: ("threshold", "replicates"),
    study.CalibrationRow: ("customers", "actual"),
    study.CountRow: ("actual",),
    study.CoverageRow: ("probability",),
    study.DecileRow: ("decile",),
    study.PitBin: ("edge",),
    study.TotalCheck: ("horizon", "actual"),
    study.TotalCoverage: ("horizon", "windows", "apart"),
    study.ConformalRow: ("probability", "customers"),
    study.EvidenceSection: ("actual_purchases", "actual_spend"),
    study.Score: ("n",),
    study.Origin: (ALL,),
    study.RollingSection: ("horizon", "level", "block"),
    study.DifficultyRow: ("choices",),
    study.FitRow: ("customers", "patterns", "draws"),
    study.CriterionRow: ("k_limit", "customers"),
    study.SensitivityRow: ("threshold",),
    study.ReplicatedRow: ("observed",),
    study.PredictiveCheckTable: ("customers", "replicates"),
    study.RivalRow: ("draws",),
    study.RivalGroup: ("customers", "actual"),
    study.Check: ("limit",),
    decision.BasePeriod: (ALL,),
    decision.PartRow: (ALL,),
    decision.YearRow: ("start", "end"),
    decision.ClassCalibrationRow: ("low", "high"),
    decision.NewCustomers: ("by_period", "period_days"),
    decision.LorenzPoint: ("customers",),
    decision.MoneySection: ("past", "observed_margin"),
    decision.ActionSetting: (ALL,),
    decision.BudgetSplit: ("budget",),
    decision.FewerDefections: ("reduction",),
    decision.ActionsSection: ("least_chance", "least_customers", "next_weeks"),
    ranking.RankingChoice: ("horizon", "top"),
    retention.RetentionInfo: ("price", "margin", "annual_discount_rate", "due", "fewer_defections"),
    retention.ObservedSurvival: (ALL,),
    retention.CurvePoint: ("age",),
    retention.BackTestPoint: ("age", "actual"),
    retention.BackTest: ("learnt_to", "ages"),
    retention.SegmentRetention: ("customers", "active", "last_age"),
    retention.ValueRow: ("age",),
    retention.SegmentWorth: ("active",),
    retention.DonorRow: ("frequency", "recency", "donors"),
    retention.DonorSection: ("donors", "years", "horizon"),
    retention.RevenuePoint: ("active", "revenue"),
    retention.AgePoint: ("age",),
    retention.CohortSection: ("acquired", "retention", "revenue_per_acquired", "cells"),
    contest.ContestInfo: ("replicates", "level", "draws"),
    contest.ContestData: ("rows_read", "occasions", "customers"),
}  # fmt: skip
INPUTS = ("seed", "version", "source", "data_digest", "study_digest", "data_digests", "sources")  # told before numbers


# Draws of each part of the results


def draws_by_part(results: Results) -> dict[str, Draws]:
    """How many independent draws each part of the results is worth, by the beginning of its path.

    The longest beginning holds; a part without one has no known error.
    """
    if isinstance(results, StudyResults):
        return _of_purchases(results)
    if isinstance(results, RetentionResults):
        return _of_retention(results)
    return _of_contest(results)


def effective_draws(fits: Sequence[study.FitRow | study.RivalRow]) -> Draws:
    """The draws that the fewest of some fits are worth; None without a fit that has draws."""
    sizes = [
        min(size for size in (parameter.ess_bulk, parameter.ess_tail, float(fit.draws)) if size is not None)
        for fit in fits
        for parameter in fit.parameters
        if parameter.ess_bulk is not None
    ]
    return min(sizes, default=None)


def fits_of(results: StudyResults, window: str) -> list[study.FitRow]:
    """The fits that the forecasts of a window rest on: the first of each model."""
    found: dict[str, study.FitRow] = {}
    for fit in results.models.fits:
        if fit.window == window:
            found.setdefault(fit.model, fit)
    return list(found.values())


def forecast_draws(results: StudyResults, window: str) -> Draws:
    """The draws of each customer's forecast, or those that the fits are worth where they are fewer."""
    draws = effective_draws(fits_of(results, window))
    made = {"calibration": results.evidence.draws, "decision": results.value.draws}[window]
    return draws if draws is None or made is None else min(draws, made)


def _of_purchases(results: StudyResults) -> dict[str, Draws]:
    known, ahead = forecast_draws(results, "calibration"), forecast_draws(results, "decision")
    return {
        "value": ahead,
        **dict.fromkeys(NOT_BY_DRAWS),
        "matrix.cuts": ahead,
        "evidence": known,
        "evidence.totals": None,
        "money.lifetime": ahead,
        "money.years": ahead,
        "money.equity": ahead,
        "money.newcomers": ahead,
        "actions.defections": ahead,
        "actions.defections.gain": None,  # of fewer draws, where customers are many
        "actions.defections.gain_share": None,
    }


def _of_retention(results: RetentionResults) -> dict[str, Draws]:
    main = [fit for fit in results.fits if fit.model == results.study.model]
    draws = effective_draws(main)
    donors, outcomes = None, None
    if results.donors is not None:
        from clvmodels.study.donors import OUTCOME_DRAWS  # slow to import

        donors = effective_draws([results.donors.fit])
        outcomes = None if donors is None else min(donors, OUTCOME_DRAWS)
    return {
        "segments": draws,
        "back_tests": draws,
        "values": draws,
        "worth": draws,
        "worth.lost_share": None,  # a number by a number, whose quantiles step; it is judged as "lost"
        "donors": donors,
        "donors.donations": outcomes,
    }


def _of_contest(results: ContestResults) -> dict[str, Draws]:
    return {"data.totals.stationary": float(results.study.draws)}


def _own_draws(record: Any, draws: Draws) -> Draws:
    """The draws of what is within a record, where it knows better than the part that it is in."""
    match record:
        case study.FitRow() | study.RivalRow():
            return effective_draws([record])
        case study.PredictiveCheckTable() | study.DriftCheck():
            return float(record.replicates)
        case decision.EquityRow():
            return None if record.segmentation in LABELS else draws
        case decision.FewerDefections():
            return draws if record.cell == "all" else None
        case decision.ActionSetting() | study.PriorRow():
            return EXACT
    return draws


# Errors of the fields of a record

Error = tuple[float | None, float]  # standard error, and step


def _of_estimate(found: Estimate, draws: float) -> dict[str, Error]:
    return _of_five({name: getattr(found, name) for name in FIVE}, draws)


def _of_five(numbers: Mapping[str, float | None], draws: float) -> dict[str, Error]:
    known = {name: np.array([np.nan if value is None else value]) for name, value in numbers.items()}
    errors = errors_of_five(known, draws)
    return {name: (_known(float(errors[name][0])), _step(name, numbers[name])) for name in FIVE}


def _step(name: str, value: float | None) -> float:
    """A quantile of counts differs by one at the least, if it differs."""
    return 1.0 if name.startswith("q") and value is not None and value != 0 and float(value).is_integer() else 0.0


def _of_band(
    low: float | None, high: float | None, draws: float, step: float, *, middle: float | None = None
) -> dict[str, Error]:
    if low is None or high is None:
        return {}
    errors = {name: _known(error) for name, error in errors_of_band(low, high, draws, middle=middle).items()}
    return {
        "expected": (errors["mean"], 0.0),
        "low": (errors["low"], step),
        "median": (errors["middle"], step),
        "high": (errors["high"], step),
    }


def _known(error: float) -> float | None:
    return error if math.isfinite(error) else None


def _of_tracking(row: study.TrackingPoint, draws: float) -> dict[str, Error]:
    added = _of_band(row.cumulative_low, row.cumulative_high, draws, 1.0)
    return _of_band(row.low, row.high, draws, 1.0) | {f"cumulative_{name}": error for name, error in added.items()}


def _of_back_test(row: retention.BackTestPoint, draws: float) -> dict[str, Error]:
    return {} if row.learnt else _of_band(row.low, row.high, draws, 1.0)


def _of_replicated(row: study.ReplicatedRow, draws: float) -> dict[str, Error]:
    errors = _of_band(row.low, row.high, draws, _step("q", row.low), middle=row.median)
    if row.p_value is not None:  # of two tails it is twice the smaller
        errors["p_value"] = (2 * float(error_of_share(row.p_value / 2, draws)), 0.0)
    return errors


def _of_parameter(row: study.ParameterRow, draws: float) -> dict[str, Error]:
    if row.ess_bulk is None:
        return {"mean": (0.0, OPTIMISER * abs(row.mean))}
    numbers = {name: getattr(row, name) for name in FIVE}
    means, tails = _of_five(numbers, row.ess_bulk), _of_five(numbers, min(row.ess_tail or draws, row.ess_bulk))
    return {name: (means if name == "mean" else tails)[name] for name in FIVE}


def _of_value(section: study.ValueSection, draws: float) -> dict[str, Error]:
    errors: dict[str, Error] = {}
    if section.equity.sd is not None:
        errors["equity_per_customer"] = (section.equity.sd / section.customers / math.sqrt(draws), 0.0)
    if section.new_customer_clv.mean is not None and section.new_customer_clv.sd is not None:
        ceiling = section.acquisition_share * section.new_customer_clv.sd / math.sqrt(draws)
        errors["acquisition_ceiling"] = (ceiling, 0.0)
    return errors


def _of_drift(check: study.DriftCheck, draws: float) -> dict[str, Error]:
    return {
        name: (float(error_of_share(getattr(check, name), draws)), 0.0) for name in ("level_p", "single_p", "p_value")
    }


ERRORS: Mapping[type, Callable[[Any, float], dict[str, Error]]] = {
    Estimate: _of_estimate,
    study.TrackingPoint: _of_tracking,
    study.CalibrationRow: lambda row, draws: _of_band(row.low, row.high, draws, 1 / row.customers),
    study.CountRow: lambda row, draws: _of_band(row.low, row.high, draws, 1.0),
    study.DriftPeriod: lambda row, draws: _of_band(row.low, row.high, draws, 1.0),
    retention.BackTestPoint: _of_back_test,
    retention.ValueRow: lambda row, draws: {"infinite": (float(error_of_share(row.infinite, draws)), 0.0)},
    study.ReplicatedRow: _of_replicated,
    study.ParameterRow: _of_parameter,
    study.ValueSection: _of_value,
    study.DriftCheck: _of_drift,
}


# The walk


def found_in(results: Results) -> Iterator[Found]:
    """Every number and word of the results but those that name their inputs."""
    parts = draws_by_part(results)
    for part in fields(results):
        yield from _walk(getattr(results, part.name), part.name, part.name, parts, None)


def _walk(value: Any, path: str, part: str, parts: Mapping[str, Draws], draws: Draws) -> Iterator[Found]:
    """What is in a value. `path` has keys, `part` the names of fields alone."""
    draws = parts.get(part, draws)
    if isinstance(value, PICTURES):
        return
    if is_dataclass(value):
        yield from _walk_record(value, path, part, parts, _own_draws(value, draws))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}[{key}]", part, parts, draws)
    elif isinstance(value, (list, tuple)):
        for key, inner in zip(_keys(value), value, strict=True):
            yield from _walk(inner, f"{path}[{key}]", part, parts, draws)
    elif isinstance(value, (str, bool)):
        yield Found(path, value)
    elif value is not None:
        yield Found(path, float(value), 0.0 if draws == EXACT else None)


def _walk_record(record: Any, path: str, part: str, parts: Mapping[str, Draws], draws: Draws) -> Iterator[Found]:
    kind = type(record)
    exact = EXACT_FIELDS.get(kind, ())
    errors = ERRORS[kind](record, draws) if kind in ERRORS and draws is not None and draws != EXACT else {}
    for name in (field.name for field in fields(record)):
        value = getattr(record, name)
        if part == "study" and name in INPUTS:
            continue
        is_exact = draws == EXACT or ALL in exact or name in exact
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            error, step = (0.0, 0.0) if is_exact else errors.get(name, (None, 0.0))
            yield Found(f"{path}.{name}", float(value), error, step)
        else:
            within = parts if not is_exact else {}
            yield from _walk(value, f"{path}.{name}", f"{part}.{name}", within, EXACT if is_exact else draws)


def _keys(rows: Sequence[Any]) -> list[str]:
    """What tells the rows of a list apart: their keys, or their places where these are missing or met twice."""
    places = [str(place) for place in range(len(rows))]
    if not rows or type(rows[0]) not in KEYS:
        return places
    keys = [", ".join(_word(getattr(row, name)) for name in KEYS[type(rows[0])]) for row in rows]
    return keys if len(set(keys)) == len(keys) else places


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
