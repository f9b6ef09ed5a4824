"""The estimate of survival without a model."""

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.evaluation.kaplan_meier import kaplan_meier

SURVIVORS = [1000, 869, 743, 653, 593]


def cohort():
    return clv.RetentionTable.from_survivors(pd.DataFrame({"age": range(5), "survivors": SURVIVORS}), unit="year")


def test_of_one_cohort_seen_to_the_end_it_is_the_share_that_is_left():
    points = kaplan_meier(cohort())
    assert [point.survival for point in points] == pytest.approx(np.array(SURVIVORS) / 1000)
    assert [point.at_risk for point in points] == [1000, 1000, 869, 743, 653]
    assert [point.lost for point in points] == [0, 131, 126, 90, 60]


def test_it_is_the_product_over_ages_of_those_at_risk_with_late_entries_and_customers_still_there():
    rng = np.random.default_rng(1)
    life = rng.geometric(0.2, 4000).astype(float)
    entry = rng.integers(0, 4, 4000).astype(float)
    known = life > entry
    life, entry = life[known], entry[known]
    end = np.maximum(entry + 1, rng.integers(1, 12, len(life)))
    table = clv.RetentionTable(
        customer_id=np.arange(len(life)).astype(str).astype(object),
        entry=entry,
        age=np.minimum(life, end),
        lost=life <= end,
        n_customers=np.ones(len(life)),
        unit="month",
    )
    points = kaplan_meier(table)
    by_hand = 1.0
    for point in points:
        at_risk = ((table.entry < point.age) & (table.age >= point.age)).sum() if point.age else (entry == 0).sum()
        gone = (table.lost & (table.age == point.age)).sum()
        assert (point.at_risk, point.lost) == (at_risk, gone)
        by_hand *= 1 - gone / at_risk
        assert point.survival == pytest.approx(by_hand, abs=1e-12)
        assert point.low <= point.survival <= point.high
    truth = [0.8**point.age for point in points]
    covered = np.mean([p.low <= s <= p.high for p, s in zip(points, truth, strict=True)])
    assert covered > 0.5  # ages share their customers: they are covered together or not


def test_an_age_beyond_which_nothing_is_known_is_refused():
    table = clv.RetentionTable(
        customer_id=np.array(["early", "late"], dtype=object),
        entry=np.array([0.0, 5.0]),
        age=np.array([2.0, 7.0]),
        lost=np.array([True, True]),
        n_customers=np.array([10.0, 10.0]),
        unit="month",
    )
    with pytest.raises(clv.DataError, match="all who were seen at the age 2 were lost"):
        kaplan_meier(table)
