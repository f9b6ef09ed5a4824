"""The section on classes: who is what on the decision date, whether the matrix was right, and who moved."""

from dataclasses import replace

import numpy as np
import pandas as pd

from clvmodels.data import base_periods
from clvmodels.forecast import predict, sample_future
from clvmodels.forecast.draws import sums_by_segment
from clvmodels.foundation.decision_results import BasePeriod, ClassCalibrationRow, ClassesSection, ClassRow
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast, TransactionLog, Window
from clvmodels.inference import Fit
from clvmodels.strategy import (
    CustomerClasses,
    DatedMatrix,
    class_calibration,
    matrix_calibration,
    movements,
    pyramid,
    value_matrix,
)
from clvmodels.study.config import Study
from clvmodels.study.customers import summarise
from clvmodels.study.decision import Decision, Outlook
from clvmodels.study.evidence import Evidence, forecast_holdout
from clvmodels.study.labels import Labels, matrix_options
from clvmodels.study.progress import seed_for

MOVEMENT_DRAWS = 250  # they give the quantiles of a count to a hundredth or two
MORE_LIKELY_THAN_NOT = 0.5
NOBODY = -1


def classes_section(
    study: Study,
    log: TransactionLog,
    traits: pd.DataFrame | None,
    evidence: Evidence,
    outlook: Outlook,
    decision: Decision,
) -> ClassesSection:
    """Tiers, stages, ended relations and grades as a report shows them; the matrix held against what came; movement."""
    before = _dated_before(study, log, traits, evidence)
    after = _dated_after(outlook)
    moved, kinds = movements(before, after, rng=np.random.default_rng(seed_for(study.seed, "movements")))
    margin, holdout = study.value.margin, evidence.holdout
    rows = _class_rows(decision.labels, outlook)
    return ClassesSection(
        tiers=rows["tier"],
        stages=rows["stage"],
        ended=rows["ended"],
        grades=rows.get("grade", []),
        graded_by=study.grades.weights,
        calibration=matrix_calibration(
            evidence.matrix, evidence.customers.current_value * margin, holdout.amount * margin
        ),
        calibration_end=holdout.window.calibration_end.isoformat(),
        moved_from=holdout.window.calibration_end.isoformat(),
        moved_to=outlook.as_of.isoformat(),
        movements=moved,
        kinds=kinds,
        **_held_against_holdout(study, evidence),
    )


def _held_against_holdout(study: Study, evidence: Evidence) -> dict[str, list[ClassCalibrationRow]]:
    """Tiers of the holdout's value, and the chance to buy in it, as they were told at the end of the calibration.

    A stage is never seen: whether a silent customer has gone, the data do not say. What its probability rests on is
    the chance to buy again, and that is.
    """
    holdout, draws = evidence.holdout, _draws(evidence.fits)
    future = forecast_holdout(study, evidence.fits, evidence.customers, stream="tiers and buyers", draws=draws)
    came = replace(future.clv, mean=holdout.amount * study.value.margin, replay=None)
    stated, landed = (pyramid(clv, shares=study.pyramid.shares) for clv in (future.clv, came))
    p_buy = _p_buy(future.purchases)
    return {
        "tier_calibration": class_calibration(_by_class(stated), _by_class(landed)),
        "bought_calibration": class_calibration(
            {"bought": p_buy}, {"bought": (holdout.purchases > 0).astype(np.float64)}
        ),
    }


def _p_buy(purchases: Forecast) -> FloatArray:
    """P(at least one purchase) of each customer, shape (N,)."""
    assert purchases.replay is not None  # predictive forecasts can be drawn again
    return np.concatenate([(block.values > 0).mean(axis=1) for block in purchases.replay("customers")])


def _by_class(classes: CustomerClasses) -> dict[str, FloatArray]:
    return dict(zip(classes.keys, classes.probabilities.T, strict=True))


def base_section(study: Study, log: TransactionLog) -> list[BasePeriod]:
    """What became of the customers of each window of the log; values are contribution."""
    values = ("value", "new_value", "kept_value", "won_back_value", "left_value")
    return [
        replace(period, **{name: getattr(period, name) * study.value.margin for name in values})
        for period in base_periods(log)
    ]


def _dated_before(study: Study, log: TransactionLog, traits: pd.DataFrame | None, evidence: Evidence) -> DatedMatrix:
    """The end of the calibration, seen as the decision date is: every customer, as far ahead, discounted alike."""
    window = study.contest_window
    everyone = Window(window.calibration_end, unit=window.unit)
    learnt_all = window == replace(everyone, holdout_end=window.holdout_end)
    customers = evidence.customers if learnt_all else summarise(study, log, traits, everyone)
    current = customers.current_value * study.value.margin
    draws = _draws(evidence.fits)
    future = sample_future(
        *evidence.fits,
        customers,
        horizon=study.value.horizon,
        annual_discount_rate=study.value.annual_discount_rate,
        margin=study.value.margin,
        seed=seed_for(study.seed, "movements from"),
        draws=draws,
    )
    matrix = replace(value_matrix(current, future.clv, **matrix_options(study)), customer_id=customers.customer_id)
    return DatedMatrix(matrix, predict(evidence.fits[0], customers, quantity="p_alive", draws=draws), current)


def _dated_after(outlook: Outlook) -> DatedMatrix:
    """The decision date; P(alive) is that of the customers' table, its draws fewer."""
    customers, draws = outlook.customers, _draws(outlook.fits)
    fewer = predict(outlook.fits[0], customers, quantity="p_alive", draws=draws)
    return DatedMatrix(outlook.matrix, replace(fewer, mean=outlook.alive.mean), customers.current_value)


def _draws(fits: tuple[Fit, Fit]) -> int:
    return min(MOVEMENT_DRAWS, *(fit.n_draws for fit in fits))


def _class_rows(labels: Labels, outlook: Outlook) -> dict[str, list[ClassRow]]:
    """Rows of each scheme, from one pass over the draws of future value."""
    schemes = [labels.tiers, labels.stages, labels.ended, *([] if labels.graded is None else [labels.graded])]
    members = [_members(classes) for classes in schemes]
    codes = [(np.where(own.any(axis=0), own.argmax(axis=0), NOBODY), len(own)) for own in members]
    totals, _ = sums_by_segment(outlook.future.clv, codes)
    whole = np.maximum(outlook.future.clv.total_draws, np.finfo(float).tiny)
    rows: dict[str, list[ClassRow]] = {}
    for classes, of_classes, own in zip(schemes, members, totals, strict=True):
        rows[classes.scheme] = [
            _class_row(classes, place, member, outlook.customers, own[place], whole)
            for place, member in enumerate(of_classes)
        ]
    return rows


def _members(classes: CustomerClasses) -> BoolArray:
    """Who is of each class by label, shape (K, N); of ended relations those that more likely have than not."""
    own = np.array(classes.keys, dtype=object)[:, None] == classes.label
    if classes.scheme == "ended":
        own &= classes.probabilities.sum(axis=1) >= MORE_LIKELY_THAN_NOT
    return np.asarray(own)


def _class_row(
    classes: CustomerClasses,
    place: int,
    member: BoolArray,
    customers: CustomerSummary,
    total: FloatArray,
    whole: FloatArray,
) -> ClassRow:
    return ClassRow(
        key=classes.keys[place],
        customers=int(member.sum()),
        expected_customers=float(classes.probabilities[:, place].sum()),
        undecided=int(classes.undecided[member].sum()),
        current_value=float(customers.current_value[member].sum()),
        clv=estimate(total),
        clv_share=estimate(total / whole),
    )
