"""Tiers and grades: what a plain loop over draws counts, of the stated sizes, whoever stands first in the file."""

import dataclasses
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import clvmodels as clv
from clvmodels.foundation.records import DrawBlock
from clvmodels.strategy import DatedMatrix, grades, movements, pyramid
from tests.class_cases import drawn

TIERS = ("platinum", "gold", "iron", "lead")
HALVES = {"best": 0.1, "good": 0.5, "rest": 1.0}


@pytest.fixture(scope="module")
def later():
    values = np.random.default_rng(2).gamma(0.4, 100, (200, 40))
    values[np.random.default_rng(3).random(values.shape) < 0.5] = 0.0
    return values


def test_tiers_are_what_a_ranking_in_each_draw_counts(later):
    values = later + np.random.default_rng(4).random(later.shape)  # no two alike
    counts = np.zeros((200, 4))
    for draw in values.T:
        for place, customer in enumerate(np.argsort(-draw)):
            counts[customer, np.searchsorted([2, 10, 40, 200], place + 1)] += 1
    found = pyramid(drawn(values))
    assert found.keys == TIERS
    np.testing.assert_allclose(found.probabilities, counts / 40, atol=1e-12)
    step = np.abs(np.arange(4)[:, None] - np.arange(4))
    assert found.label.tolist() == [TIERS[i] for i in np.argmin(counts @ step, axis=1)]
    assert np.array_equal(found.undecided, counts.max(axis=1) < 24)


def test_each_tier_has_its_size_in_expectation_also_where_most_draws_are_0(later):
    found = pyramid(drawn(np.where(later > 150, later, 0.0)))
    assert (later > 150).mean() < 0.2  # so that the border of iron lies among those with nothing
    np.testing.assert_allclose(found.probabilities.sum(axis=0), [2, 8, 30, 160], atol=1e-9)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-12)


def test_customers_level_with_each_other_share_the_places_that_are_left():
    values = np.array([[9.0], [5.0], [5.0], [5.0], [0.0]])
    found = pyramid(drawn(values), shares={"best": 0.4, "rest": 1.0})
    np.testing.assert_allclose(found.probabilities[:, 0], [1, 1 / 3, 1 / 3, 1 / 3, 0])
    assert found.undecided.tolist() == [False, False, False, False, False]
    assert found.label.tolist() == ["best", "rest", "rest", "rest", "rest"]


def test_without_uncertainty_tiers_are_a_ranking():
    value = np.random.default_rng(5).permutation(100.0 + np.arange(200))
    certain = dataclasses.replace(drawn(value[:, None]), replay=None)
    for forecast in (certain, drawn(value[:, None])):
        found = pyramid(forecast)
        assert set(np.unique(found.probabilities)) == {0.0, 1.0}
        assert not found.undecided.any()
        best_first = found.label[np.argsort(-value)]
        assert best_first.tolist() == ["platinum"] * 2 + ["gold"] * 8 + ["iron"] * 30 + ["lead"] * 160


values_of_customers = arrays(np.float64, (12, 4), elements=st.sampled_from([0.0, 0.5, 1.0, 3.0, 80.0, 1e6]))


@settings(max_examples=60, deadline=None)
@given(values_of_customers, st.permutations(range(12)), st.integers(1, 5))
def test_no_customer_gains_by_the_order_or_the_size_of_blocks(values, order, step):
    order = list(order)
    found = pyramid(drawn(values), shares=HALVES)
    moved = pyramid(drawn(values[order], ids=[f"c{i}" for i in order], step=step), shares=HALVES)
    np.testing.assert_allclose(found.probabilities[order], moved.probabilities, atol=1e-12)
    assert found.label[order].tolist() == moved.label.tolist()


def test_the_label_is_the_tier_in_the_middle_unless_losses_say_otherwise():
    # c0 is best in 45 % of draws and last in 55 %; the tier of least distance is not the most probable one
    first = np.repeat([9.0, 0.0, 5.0], [45, 40, 15])
    others = np.tile([[6.0], [4.0], [3.0], [2.0]], 100)
    shares = {"top": 0.2, "middle": 0.6, "low": 1.0}
    found = pyramid(drawn(np.vstack([first, others])), shares=shares)
    np.testing.assert_allclose(found.probabilities[0], [0.45, 0.15, 0.40])
    assert found.label[0] == "middle"
    assert found.undecided[0]
    most_probable = pyramid(drawn(np.vstack([first, others])), shares=shares, loss=1 - np.eye(3))
    assert most_probable.label[0] == "top"
    dear = [[0, 1, 1], [1, 0, 1], [3, 3, 0]]  # who is low and treated better costs three times as much
    assert pyramid(drawn(np.vstack([first, others])), shares=shares, loss=dear).label[0] == "low"


@pytest.mark.parametrize("shares", [{}, {"a": 0.2, "b": 0.1, "c": 1.0}, {"a": 0.2}, {"a": 0.0, "b": 1.0}])
def test_shares_that_are_no_pyramid_are_refused(later, shares):
    with pytest.raises(clv.DataError, match="the last one 1"):
        pyramid(drawn(later), shares=shares)


def test_a_table_of_losses_of_another_size_is_refused(later):
    with pytest.raises(clv.DataError, match="expected 4 x 4 losses"):
        pyramid(drawn(later), loss=np.eye(3))


def test_a_frame_of_tiers_has_a_column_for_each_and_the_label(later):
    frame = pyramid(drawn(later)).to_pandas()
    assert list(frame.columns) == ["customer_id", *(f"p_{key}" for key in TIERS), "tier", "tier_undecided"]


def test_the_same_customers_in_another_order_have_the_same_cells_and_tiers(bg_nbd_fit, gamma_gamma_fit, cdnow):
    fits, order = (bg_nbd_fit, gamma_gamma_fit), np.random.default_rng(6).permutation(len(cdnow))[:500]
    cuts = {"current": ("quantile", 0.8), "future": ("share_of_value", 0.8)}
    found = []
    for rows in (np.sort(order), order):
        customers = cdnow.take(rows)
        clv_of = clv.sample_clv(*fits, customers, horizon=52, annual_discount_rate=0.1, seed=4, draws=200)
        matrix = clv.value_matrix(customers.current_value, clv_of, cuts=cuts).to_pandas()
        found.append(matrix.merge(pyramid(clv_of).to_pandas()).sort_values("customer_id", ignore_index=True))
    pd.testing.assert_frame_equal(*found, check_exact=False, atol=1e-12)


def many(n_customers, n_draws, *, seed, quantity):
    """Values of many customers made when they are asked for, 4 draws at a time."""

    def replay(_):
        for first in range(0, n_draws, 4):
            values = np.random.default_rng([seed, first]).random((n_customers, 4))
            yield DrawBlock(slice(0, n_customers), slice(first, first + 4), values)

    return dataclasses.replace(drawn(np.zeros((n_customers, n_draws)), quantity=quantity), replay=replay)


def test_no_table_of_customers_by_draws_is_held():
    n_customers, n_draws = 20_000, 200
    clv_of, alive = (many(n_customers, n_draws, seed=i, quantity=name) for i, name in enumerate(("clv", "p_alive")))
    cuts = {"current": ("quantile", 0.8), "future": ("quantile", 0.8)}
    own = np.random.default_rng(7).random(n_customers)
    tracemalloc.start()
    dated = DatedMatrix(clv.value_matrix(own, clv_of, cuts=cuts), alive, own)
    moved, _ = movements(dated, dated, rng=np.random.default_rng(8))
    tiers = pyramid(clv_of)
    graded = grades({"clv": clv_of}, weights={"clv": 1}, customer_id=clv_of.customer_id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tiers) == len(graded) == sum(row.customers for row in moved) == n_customers
    assert peak < 0.75 * 8 * n_customers * n_draws


# Grades

IDS = np.array(["a", "b", "c", "d"], dtype=object)


def test_grades_by_hand():
    columns = {"spend": [10.0, 20.0, 30.0, 40.0], "days": [1.0, 1.0, 9.0, 5.0]}
    # quantile scores: spend .125 .375 .625 .875; fewer days are better: 1 - (.25 .25 .875 .625)
    # scores with weights 3 and -1: .28125 .46875 .5 .75
    found = grades(columns, weights={"spend": 3, "days": -1}, customer_id=IDS, cuts={"A": 0.7, "B": 0.5, "C": 0})
    assert found.label.tolist() == ["C", "C", "B", "A"]
    assert set(np.unique(found.probabilities)) == {0.0, 1.0}
    assert not found.undecided.any()
    bought = grades(columns, weights={"spend": 3, "days": -1}, customer_id=IDS, outright={"days": 8.0})
    assert bought.label.tolist() == ["C", "C", "A", "B"]  # c by 9 days; a limit is to be passed, not reached
    reached = grades(columns, weights={"spend": 3, "days": -1}, customer_id=IDS, outright={"days": 9.0})
    assert reached.label.tolist() == ["C", "C", "B", "B"]


def test_a_forecast_is_graded_in_each_draw():
    future = drawn(np.array([[4.0, 1.0], [3.0, 2.0], [2.0, 3.0], [1.0, 4.0]]), ids=IDS, step=1)
    cuts = {"A": 0.8, "B": 0.5, "C": 0.0}
    found = grades({"clv": future}, weights={"clv": 1}, customer_id=IDS, cuts=cuts)
    assert found.probabilities.tolist() == [[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0, 0.5]]
    assert found.undecided.all()
    own = {"clv": future, "spend": [10.0, 20.0, 30.0, 40.0]}
    both = grades(own, weights={"clv": 1, "spend": 1}, customer_id=IDS, cuts=cuts, outright={"clv": 3.5})
    # scores of the two draws: .5 .25 | .5 .375 | .5 .625 | .5 .875, and who is above 3.5 is A
    assert both.probabilities.tolist() == [[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 1, 0], [0.5, 0.5, 0]]


@settings(max_examples=40, deadline=None)
@given(values_of_customers, st.permutations(range(12)), st.floats(0.1, 5))
def test_grades_do_not_depend_on_order_or_units(values, order, factor):
    order, ids = list(order), np.array([f"c{i}" for i in range(12)], dtype=object)
    column = values[:, 0]
    options = {"weights": {"clv": 2, "own": 1}}
    found = grades({"clv": drawn(values), "own": column}, customer_id=ids, **options)
    moved = drawn(values[order] * factor, ids=ids[order], step=2)
    again = grades({"clv": moved, "own": column[order] * factor}, customer_id=ids[order], **options)
    assert np.array_equal(found.probabilities[order], again.probabilities)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"a": [1.0] * 4}, {"weights": {"b": 1}}, 'no column "b": there are a'),
        ({"a": [1.0] * 4}, {"weights": {"a": 0}}, "other than 0"),
        ({"a": [1.0] * 4}, {"weights": {}}, "other than 0"),
        ({"a": [1.0] * 4}, {"weights": {"a": 1}, "cuts": {"A": 0.2, "B": 0.5, "C": 0}}, "below the one before"),
        ({"a": [1.0] * 4}, {"weights": {"a": 1}, "cuts": {"A": 0.5, "B": 0.2}}, "the last one 0"),
        ({"a": [1.0, np.nan, 2.0, 3.0]}, {"weights": {"a": 1}}, "missing .* for 1 of 4 .*customer_id b"),
        ({"a": ["x"] * 4}, {"weights": {"a": 1}}, "not a number"),
        ({"a": [1.0] * 3}, {"weights": {"a": 1}}, "a value for each of 4"),
        ({"a": drawn(np.ones((4, 2)))}, {"weights": {"a": 1}}, "other customers"),
    ],
)
def test_what_cannot_be_graded_is_refused(columns, options, message):
    with pytest.raises(clv.DataError, match=message):
        grades(columns, customer_id=IDS, **options)
