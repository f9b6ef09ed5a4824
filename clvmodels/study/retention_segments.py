"""Segments of a study of retention: fits, curves against Kaplan and Meier, and back-tests."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clvmodels.evaluation.kaplan_meier import kaplan_meier
from clvmodels.forecast import RetentionCurve, retention_curve, sample_retained
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.retention_results import (
    BackTest,
    BackTestPoint,
    CurvePoint,
    LeftOutFit,
    RivalCurve,
    SegmentRetention,
)
from clvmodels.inference import Fit, compare_models, fit, loo
from clvmodels.inference.diagnostics import failed_checks, require_passed
from clvmodels.study.progress import seed_for
from clvmodels.study.retention_config import RetentionStudy


@dataclass(frozen=True)
class Segment:
    """A segment's table, and the fits to it by model; the first is the one that values rest on.

    `left_out` are those of models beside it that failed their checks.
    """

    name: str
    table: RetentionTable
    fits: Mapping[str, Fit]
    left_out: tuple[LeftOutFit, ...]

    @property
    def main(self) -> Fit:
        """The fit that values rest on."""
        return next(iter(self.fits.values()))


def fit_segment(study: RetentionStudy, name: str, table: RetentionTable) -> Segment:
    """Every model of the study, fitted to one segment alone.

    Raises
    ------
    FitError
        If the fit of the study's own model failed its checks; another model's is left out.
    """
    fits = fit_models(study, name, table)
    require_passed(fits[study.models.main])
    kept, left_out = _sifted(name, table, fits)
    return Segment(name, table, kept, left_out)


def fit_models(study: RetentionStudy, name: str, table: RetentionTable) -> dict[str, Fit]:
    """Fits by model; seeds belong to segment, ages seen and model, not to the order of work."""
    seen = f"{name}, {table.age.max():g}"
    return {
        model: fit(
            model,
            table,
            method=study.fit.method,
            draws=study.fit.draws,
            seed=seed_for(study.seed, f"{model}, {seen}"),
        ).allowing(*study.fit.allow)
        for model in (study.models.main, *study.models.rivals)
    }


def _sifted(name: str, table: RetentionTable, fits: Mapping[str, Fit]) -> tuple[dict[str, Fit], tuple[LeftOutFit, ...]]:
    """Fits that forecasts may be made from, and the others with the checks that they failed."""
    failed = {
        model: [check.key for check in failed_checks(fitted.checks, fitted.allowed)] for model, fitted in fits.items()
    }
    kept = {model: fitted for model, fitted in fits.items() if not failed[model]}
    last = float(table.age.max())
    return kept, tuple(LeftOutFit(name, model, last, keys) for model, keys in failed.items() if keys)


def told(segment: Segment, ahead: int) -> SegmentRetention:
    """Who stays in a segment: what was seen, and the curves of its models so many units of time further."""
    table = segment.table
    observed = kaplan_meier(table)
    last = float(table.age.max())
    ages = np.unique(np.append([point.age for point in observed], np.arange(0.0, last + ahead + 1)))
    curves = {model: retention_curve(fitted, ages=ages, table=table) for model, fitted in segment.fits.items()}
    curve = next(iter(curves.values()))
    return SegmentRetention(
        name=segment.name,
        customers=int(table.n_customers.sum()),
        active=int(table.n_customers[~table.lost].sum()),
        last_age=last,
        observed=observed,
        curve=[
            CurvePoint(
                age=float(age),
                survival=estimate(curve.survival[0, :, place]),
                rate=estimate(curve.retention_rate[0, :, place]) if age >= 1 else None,
                seen=bool(age <= last),
            )
            for place, age in enumerate(ages)
        ],
        rivals=_rivals(segment, curves),
    )


def _rivals(segment: Segment, curves: Mapping[str, RetentionCurve]) -> list[RivalCurve]:
    """Curves and leave-one-out comparison of all models, in the study's order."""
    fits = dict(segment.fits)
    compared = compare_models(fits, segment.table) if len(fits) > 1 else None
    alone = loo(segment.main, segment.table) if compared is None else None
    rows = []
    for name, fitted in fits.items():
        row = {} if compared is None else compared.loc[name].to_dict()
        worst = row["worst_k"] if alone is None else alone.pareto_k.max()
        rows.append(
            RivalCurve(
                model=name,
                method=fitted.method,
                survival=curves[name].survival[0].mean(axis=0).tolist(),
                log_likelihood=fitted.log_likelihood,
                elpd=float(row["elpd"]) if alone is None else alone.elpd,
                difference=float(row.get("difference", 0.0)),
                difference_se=float(row.get("difference_se", 0.0)),
                weight=float(row.get("weight", 1.0)),
                worst_k=float(worst) if np.isfinite(worst) else None,
                unreliable=int(row["unreliable"]) if alone is None else alone.unreliable,
            )
        )
    return rows


def back_tests(
    study: RetentionStudy, name: str, table: RetentionTable
) -> tuple[list[BackTest], tuple[LeftOutFit, ...]]:
    """Models that saw the first renewals of a segment alone, against the later ones; and those that failed there.

    A segment is tested whose customers were all seen from the beginning to its last age, if not lost before: of
    others it is not known how many there are at an age.
    """
    last = float(table.age.max())
    whole = bool((table.entry == 0).all() and (table.age[~table.lost] == last).all())
    ages = np.arange(0.0, last + 1)
    there = np.array([table.n_customers[(table.age - table.lost) >= age].sum() for age in ages])
    tests: list[BackTest] = []
    left_out: list[LeftOutFit] = []
    for learn_to in study.check.learn_to if whole else ():
        if learn_to < last:
            seen = table.seen_to(float(learn_to))
            kept, failed = _sifted(name, seen, fit_models(study, name, seen))
            left_out += failed
            seeds = {model: seed_for(study.seed, f"back-test, {name}, {model}, {learn_to}") for model in kept}
            tests += [_back_test(name, seen, fitted, there, seeds[model]) for model, fitted in kept.items()]
    return tests, tuple(left_out)


def _back_test(segment: str, seen: RetentionTable, fitted: Fit, there: FloatArray, seed: int) -> BackTest:
    learn_to = int(seen.age.max())
    ages = np.arange(len(there), dtype=np.float64)
    learnt = retention_curve(fitted, ages=ages[: learn_to + 1], table=seen).survival[0].mean(axis=0) * there[0]
    learnt[-1] = there[learn_to]  # how many are there is known when the forecast is made
    later = sample_retained(fitted, seen, periods=len(there) - 1 - learn_to, seed=seed).totals
    fitted_means = [Estimate(float(mean), None, None, None, None) for mean in learnt]
    forecast = [*fitted_means, *(estimate(column) for column in later.T)]
    points = [
        _point(float(age), int(actual), expected, learnt=bool(age <= learn_to))
        for age, actual, expected in zip(ages, there, forecast, strict=True)
    ]
    ahead = [point for point in points if not point.learnt]
    return BackTest(
        segment=segment,
        model=fitted.model.name,
        learnt_to=float(learn_to),
        points=points,
        held=sum(point.low <= point.actual <= point.high for point in ahead),
        ages=len(ahead),
        error=float(np.mean([abs(point.expected - point.actual) / max(point.actual, 1) for point in ahead])),
    )


def _point(age: float, actual: int, forecast: Estimate, *, learnt: bool) -> BackTestPoint:
    assert forecast.mean is not None
    low = forecast.mean if forecast.q05 is None else forecast.q05
    high = forecast.mean if forecast.q95 is None else forecast.q95
    return BackTestPoint(age=age, actual=actual, expected=forecast.mean, low=low, high=high, learnt=learnt)
