"""What the customers of a study of retention are worth, and what fewer defections would add."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from clvmodels.forecast import (
    new_retention_value,
    predict,
    retention_what_if,
    sample_retained,
    sample_retention_value,
)
from clvmodels.forecast import retention_value as expected_value
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.retention_results import SegmentWorth, ValueRow
from clvmodels.study.progress import seed_for
from clvmodels.study.retention_config import RetentionStudy
from clvmodels.study.retention_segments import Segment
from clvmodels.study.sections import estimate_at

MOST_AGES = 13  # rows of a segment's table of values


class Terms(TypedDict):
    """Price, margin and discount as the forecasts take them."""

    price: float | None
    margin: float
    annual_discount_rate: float


@dataclass(frozen=True)
class Worth:
    """A segment's worth as draws, each shape (S,), so that segments can be added up."""

    active: int
    lost: FloatArray
    equity: FloatArray
    change: FloatArray


def values_by_age(study: RetentionStudy, segment: Segment) -> list[ValueRow]:
    """Value of a customer of a segment after 0, 1, 2, ... renewals, whether or not somebody is there at that age."""
    last = segment.table.age.max()
    ages = np.unique(np.round(np.linspace(0.0, last, int(min(last + 1, MOST_AGES)))))
    ladder, terms, due = _at_ages(segment.table, ages), _terms(study, segment.table), study.value.due
    fitted, seed = segment.main, seed_for(study.seed, f"values, {segment.name}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "residual_lifetime is infinite")  # the rows say so
        lifetime = predict(fitted, ladder, quantity="residual_lifetime")
    rate = terms["annual_discount_rate"]
    discounted = predict(fitted, ladder, quantity="derl", annual_discount_rate=rate, due=due)
    expected = expected_value(fitted, ladder, **terms, due=due).values
    outcome = sample_retention_value(fitted, ladder, **terms, due=due, seed=seed)
    assert lifetime.p_infinite is not None
    return [
        ValueRow(
            segment=segment.name,
            age=float(age),
            lifetime=estimate_at(lifetime, row),
            infinite=float(lifetime.p_infinite[row]),
            derl=estimate_at(discounted, row),
            value=estimate_at(expected, row),
            outcome=estimate_at(outcome, row),
        )
        for row, age in enumerate(ages)
    ]


def worth_of(study: RetentionStudy, segments: Sequence[Segment]) -> list[SegmentWorth]:
    """Each segment that has somebody left, and all together; posteriors of segments fitted apart are independent."""
    there = [segment for segment in segments if not segment.table.lost.all()]
    found = {segment.name: _worth(study, segment) for segment in there}
    rows = [_row(segment.name, found[segment.name], _new_value(study, segment)) for segment in there]
    if len(rows) < 2:
        return rows
    parts = list(found.values())
    together = Worth(
        active=sum(part.active for part in parts),
        lost=sum((part.lost for part in parts), start=np.zeros(1)),
        equity=sum((part.equity for part in parts), start=np.zeros(1)),
        change=sum((part.change for part in parts), start=np.zeros(1)),
    )
    return [*rows, _row("", together, None)]


def _worth(study: RetentionStudy, segment: Segment) -> Worth:
    terms = _terms(study, segment.table)
    seed = seed_for(study.seed, f"next renewal, {segment.name}")
    what_if = retention_what_if(
        segment.main,
        segment.table,
        **terms,
        fewer_defections=study.value.fewer_defections,
        due=None if segment.table.due is not None else study.value.due,
    )
    retained = sample_retained(segment.main, segment.table, periods=1, seed=seed)
    active = int(retained.customers.sum())
    return Worth(active, active - retained.totals[:, 0], what_if.equity.sum(axis=0), what_if.change.sum(axis=0))


def _new_value(study: RetentionStudy, segment: Segment) -> FloatArray:
    return np.asarray(new_retention_value(segment.main, table=segment.table, **_terms(study, segment.table)).value[0])


def _row(segment: str, worth: Worth, new_value: FloatArray | None) -> SegmentWorth:
    return SegmentWorth(
        segment=segment,
        active=worth.active,
        lost=estimate(worth.lost),
        lost_share=estimate(worth.lost / worth.active),
        equity=estimate(worth.equity),
        new_value=None if new_value is None else estimate(new_value),
        change=estimate(worth.change),
        relative=estimate(worth.change / worth.equity),
    )


def _terms(study: RetentionStudy, table: RetentionTable) -> Terms:
    """The contracts' own prices where they have some, else the study's."""
    value = study.value
    price = None if table.price is not None else value.price
    return {"price": price, "margin": value.margin, "annual_discount_rate": value.annual_discount_rate}


def _at_ages(table: RetentionTable, ages: FloatArray) -> RetentionTable:
    """One customer at each age, still there, like the first of the table."""
    one = table.take(np.zeros(len(ages), dtype=np.int64))
    price = None
    if table.price is not None:
        price = np.full(len(ages), np.average(table.price, weights=table.n_customers))
    return replace(
        one,
        customer_id=np.array([f"age {age:g}" for age in ages], dtype=object),
        entry=np.zeros(len(ages)),
        age=ages,
        lost=np.zeros(len(ages), dtype=bool),
        n_customers=np.ones(len(ages)),
        price=price,
        due=None,
        reason=None,
    )
