"""CLV as a yearly table: the worked numbers, the limits, the refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clvmodels as clv

INCOME = [10000, 12000, 14500, 15000, 15000, 15000, 15500, 16000, 16000, 16000]
COST = [4000, 3500, 3200, 3000, 2700, 2500, 2500, 2500, 2500, 2500]


def test_the_worked_example_comes_to_111100():
    table = clv.discounted_cash_flow(INCOME, COST, discount_rate=0.0, acquisition_cost=5000)
    assert table.clv == pytest.approx(111_100)
    frame = table.to_pandas()
    assert frame["cumulative"].iloc[-1] == pytest.approx(111_100)
    assert frame["cumulative"].iloc[0] == pytest.approx(10_000 - 4_000 - 5_000)


def test_ten_years_at_100_less_80_to_win_come_to_920():
    assert clv.discounted_cash_flow([100] * 10, [0] * 10, discount_rate=0, acquisition_cost=80).clv == pytest.approx(
        920
    )


@given(st.floats(0.01, 0.99), st.floats(0.0, 0.5))
def test_a_steady_customer_is_worth_the_closed_form(retention, rate):
    """sum_i (p / (1 + r))^i of many years is p / (1 + r - p)."""
    years = [1.0] * 3000
    table = clv.discounted_cash_flow(years, [0.0] * 3000, discount_rate=rate, retention=retention)
    assert table.clv == pytest.approx(retention / (1 + rate - retention), rel=1e-9)


def test_a_retention_a_year_is_multiplied_up():
    table = clv.discounted_cash_flow([10, 10, 10], [0, 0, 0], discount_rate=0, retention=[1.0, 0.5, 0.5])
    np.testing.assert_allclose(table.still_there, [1.0, 0.5, 0.25])
    same = clv.discounted_cash_flow([10] * 3, [1] * 3, discount_rate=0.1, retention=0.8)
    each = clv.discounted_cash_flow([10] * 3, [1] * 3, discount_rate=0.1, retention=[0.8] * 3)
    assert same.clv == each.clv


def test_nobody_who_stays_leaves_the_cost_of_winning_alone():
    assert clv.discounted_cash_flow(INCOME, COST, discount_rate=0.1, retention=0.0, acquisition_cost=7).clv == -7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cost": COST[:3]}, "income has 10 years, cost 3"),
        ({"income": []}, "income: expected a number a year"),
        ({"income": [np.nan] * 10}, "income of year 1 is missing"),
        ({"discount_rate": -1.0}, "discount_rate = -1"),
        ({"retention": 1.2}, "retention = 1.2 in year 1"),
        ({"retention": [0.9] * 4}, "retention has 4 years"),
        ({"acquisition_cost": np.inf}, "acquisition_cost = inf"),
    ],
)
def test_a_table_that_cannot_be_is_refused(change, words):
    given_ = {"income": INCOME, "cost": COST, "discount_rate": 0.1} | change
    income, cost = given_.pop("income"), given_.pop("cost")
    with pytest.raises(clv.DataError, match=words):
        clv.discounted_cash_flow(income, cost, **given_)
