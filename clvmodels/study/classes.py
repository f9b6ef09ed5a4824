"""The section on classes: who is what on the decision date, whether the matrix was right, and who moved."""

from dataclasses import replace

import numpy as np
import pandas as pd

from clvmodels.data import base_periods
from clvmodels.forecast import predict, sample_clv
from clvmodels.forecast.draws import sums_by_segment
from clvmodels.foundation.decision_results import BasePeriod, ClassesSection, ClassRow
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.records import CustomerSummary, TransactionLog, Window
from clvmodels.inference import Fit
from clvmodels.strategy import (
    CustomerClasses,
    DatedMatrix,
    matrix_calibration,
    movements,
    value_matrix,
)
from clvmodels.study.config import Study
from clvmodels.study.customers import summarise
from clvmodels.study.decision import Decision, Outlook
from clvmodels.study.evidence import Evidence
from clvmodels.study.labels import Labels, matrix_options
from clvmodels.study.progress import seed_for

MATRIX_DRAWS = 250  # they give a probability to .03, and the quantiles of a count to a hundredth or two
MOST_MOVED, LEAST_MOVEMENT_DRAWS = 25_000_000, 100  # customers x draws of a date of movement; and draws at the least
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
    draws = _movement_draws(evidence.fits, outlook)
    before = _dated_before(study, log, traits, evidence, draws=draws)
    after = _dated_after(outlook, draws=draws)
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
        tier_calibration=evidence.classes.tiers,
        bought_calibration=evidence.classes.bought,
    )


def base_section(study: Study, log: TransactionLog) -> list[BasePeriod]:
    """What became of the customers of each window of the log; values are contribution."""
    values = ("value", "new_value", "kept_value", "won_back_value", "left_value")
    return [
        replace(period, **{name: getattr(period, name) * study.value.margin for name in values})
        for period in base_periods(log)
    ]


def _dated_before(
    study: Study, log: TransactionLog, traits: pd.DataFrame | None, evidence: Evidence, *, draws: int
) -> DatedMatrix:
    """The end of the calibration, seen as the decision date is: every customer, as far ahead, discounted alike.

    Parameters
    ----------
    draws : of values and of P(alive)
    """
    window = study.contest_window
    everyone = Window(window.calibration_end, unit=window.unit)
    learnt_all = window == replace(everyone, holdout_end=window.holdout_end)
    customers = evidence.customers if learnt_all else summarise(study, log, traits, everyone)
    current = customers.current_value * study.value.margin
    clv = sample_clv(
        *evidence.fits,
        customers,
        horizon=study.value.horizon,
        annual_discount_rate=study.value.annual_discount_rate,
        margin=study.value.margin,
        seed=seed_for(study.seed, "movements from"),
        draws=draws,
    )
    matrix = replace(value_matrix(current, clv, **matrix_options(study)), customer_id=customers.customer_id)
    return DatedMatrix(matrix, predict(evidence.fits[0], customers, quantity="p_alive", draws=draws), current)


def _dated_after(outlook: Outlook, *, draws: int) -> DatedMatrix:
    """The decision date; P(alive) is that of the customers' table, its draws fewer."""
    customers = outlook.customers
    fewer = predict(outlook.fits[0], customers, quantity="p_alive", draws=draws)
    return DatedMatrix(outlook.matrix, replace(fewer, mean=outlook.alive.mean), customers.current_value)


def _movement_draws(fits: tuple[Fit, Fit], outlook: Outlook) -> int:
    """Draws of the first date, and of P(alive) on both: of many customers a count is known as well from fewer."""
    few = max(LEAST_MOVEMENT_DRAWS, MOST_MOVED // max(len(outlook.customers), 1))
    return min(MATRIX_DRAWS, few, *(fit.n_draws for fit in (*fits, *outlook.fits)))


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
