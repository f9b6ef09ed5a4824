"""One cell for each customer, its probability from joint draws, and nothing moved by order or currency."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import clvmodels as clv
from clvmodels.foundation.estimates import estimate
from clvmodels.strategy import (
    CELLS,
    acquisition_ceiling,
    cell_totals,
    cells,
    cut_estimate,
    retention_ceilings,
)
from tests.class_cases import drawn

SHARE = {"current": ("share_of_value", 0.8), "future": ("share_of_value", 0.8)}
QUANTILE = {"current": ("quantile", 0.8), "future": ("quantile", 0.8)}
AMOUNT = {"current": ("amount", 100.0), "future": ("amount", 50.0)}
PROBABILITIES = [f"p_{cell}" for cell in CELLS]


@pytest.fixture(scope="module")
def now():
    return np.random.default_rng(1).gamma(0.5, 100, 90)


@pytest.fixture(scope="module")
def later():
    values = np.random.default_rng(2).gamma(0.4, 100, (90, 40))
    values[np.random.default_rng(3).random(values.shape) < 0.5] = 0.0
    return values


def test_a_matrix_by_hand():
    current = np.array([10.0, 150.0, 100.0, 0.0])
    future = np.array([[60.0, 10.0], [60.0, 55.0], [0.0, 0.0], [50.0, 49.9]])
    frame = clv.value_matrix(current, drawn(future), cuts=AMOUNT).to_pandas()
    assert list(frame.columns) == ["customer_id", *PROBABILITIES, "cell", "label", "undecided"]
    assert frame[PROBABILITIES].to_numpy().tolist() == [
        [0, 0.5, 0, 0.5],
        [1, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0.5, 0, 0.5],
    ]
    assert frame["cell"].tolist() == [
        "low_high",
        "high_high",
        "high_low",
        "low_high",
    ]  # a tie: the better cell
    assert frame["label"].tolist() == ["develop", "vip", "maintain", "develop"]
    assert frame["undecided"].tolist() == [True, False, False, True]


@pytest.mark.parametrize("cuts", [SHARE, QUANTILE, AMOUNT])
def test_probabilities_are_what_a_plain_loop_over_draws_counts(now, later, cuts):
    def cut(values, kind, setting):
        if kind == "amount":
            return setting
        if kind == "quantile":
            return np.quantile(values, setting)
        carried = 0.0
        for value in sorted(values, reverse=True):
            carried += value
            if carried >= setting * values.sum() * (1 - 1e-12):
                return value
        raise AssertionError

    counts = np.zeros((90, 4))
    for values in later.T:
        high_now = (now >= cut(now, *cuts["current"])) & (now > 0)
        high_later = (values >= cut(values, *cuts["future"])) & (values > 0)
        for i in range(90):
            counts[i, {(1, 1): 0, (0, 1): 1, (1, 0): 2, (0, 0): 3}[high_now[i], high_later[i]]] += 1
    matrix = clv.value_matrix(now, drawn(later), cuts=cuts)
    assert np.array_equal(matrix.probabilities, counts / 40)
    assert np.array_equal(matrix.cuts[1].values, [cut(values, *cuts["future"]) for values in later.T])
    assert len(matrix.cuts[0].values) == len(matrix.cuts[1].values) == 40


def test_current_value_may_be_the_one_that_is_drawn(now, later):
    matrix = clv.value_matrix(drawn(later), now, cuts=QUANTILE)
    turned = clv.value_matrix(now, drawn(later), cuts=QUANTILE)
    assert np.array_equal(matrix.probabilities, turned.probabilities[:, [0, 2, 1, 3]])


def test_two_forecasts_meet_draw_by_draw(later):
    # the same draws on both sides: high now is high later, in each draw
    matrix = clv.value_matrix(drawn(later), drawn(later), cuts=QUANTILE)
    assert not matrix.probabilities[:, 1:3].any()


def test_without_uncertainty_the_matrix_is_deterministic(now):
    matrix = clv.value_matrix(now, now[::-1], cuts=SHARE)
    assert set(np.unique(matrix.probabilities)) == {0.0, 1.0}
    assert not matrix.undecided.any()
    one_draw = clv.value_matrix(now, drawn(now[::-1, None]), cuts=SHARE)
    assert np.array_equal(matrix.cell, one_draw.cell)


def test_a_forecast_without_draws_is_its_mean(now, later):
    baseline = dataclasses.replace(drawn(later), replay=None)
    assert np.array_equal(
        clv.value_matrix(now, baseline, cuts=SHARE).cell,
        clv.value_matrix(now, baseline.mean, cuts=SHARE).cell,
    )


values_of_customers = arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0, 3.0, 80.0, 1e6]))
any_cut = st.one_of(
    st.tuples(st.just("quantile"), st.floats(0.01, 0.99)),
    st.tuples(st.just("share_of_value"), st.floats(0.01, 0.99)),
    st.tuples(st.just("amount"), st.floats(-5, 1e6)),
)


@settings(max_examples=150, deadline=None)
@given(values_of_customers, values_of_customers, any_cut, any_cut, st.permutations(range(12)))
def test_each_customer_has_one_cell_whatever_the_order(current, future, cut_now, cut_later, order):
    cuts = {"current": cut_now, "future": cut_later}
    matrix = clv.value_matrix(current, future, cuts=cuts)
    assert np.array_equal(matrix.probabilities.sum(axis=1), np.ones(12))
    shuffled = clv.value_matrix(current[list(order)], future[list(order)], cuts=cuts)
    assert np.array_equal(matrix.cell[list(order)], shuffled.cell)
    high = np.isin(matrix.cell, ["high_high", "high_low"])
    assert not high[current <= 0].any()


@settings(max_examples=50, deadline=None)
@given(values_of_customers, st.floats(0.01, 0.99))
def test_customers_above_a_share_of_value_carry_it_and_no_fewer_would(values, share):
    matrix = clv.value_matrix(values, values, cuts={"current": ("share_of_value", share), "future": ("amount", 0.0)})
    high = np.isin(matrix.cell, ["high_high", "high_low"])
    if values.sum() > 0:
        assert values[high].sum() >= share * values.sum() * (1 - 1e-9)
        # without those at the cut it would not be carried
        assert values[high & (values > values[high].min())].sum() < share * values.sum()


def test_moving_a_threshold_moves_customers_across_that_threshold_only(now, later):
    low, high = (clv.value_matrix(now, drawn(later), cuts={**AMOUNT, "future": ("amount", a)}) for a in (50.0, 80.0))
    assert (low.probabilities[:, 0] >= high.probabilities[:, 0]).all()
    for kept in ([0, 2], [1, 3]):  # high now, low now
        assert np.array_equal(low.probabilities[:, kept].sum(axis=1), high.probabilities[:, kept].sum(axis=1))


@pytest.mark.parametrize("cuts", [SHARE, QUANTILE])
@pytest.mark.parametrize("rate", [0.01, 0.8888, 7.1])
def test_the_currency_does_not_matter(now, later, cuts, rate):
    one = clv.value_matrix(now, drawn(later), cuts=cuts)
    other = clv.value_matrix(now * rate, drawn(later * rate), cuts=cuts)
    assert np.array_equal(one.probabilities, other.probabilities)
    np.testing.assert_allclose(other.cuts[1].values, rate * one.cuts[1].values, rtol=1e-12)


def test_the_label_is_the_cell_of_least_expected_loss():
    future = np.array([[60.0] * 3 + [0.0] * 7])
    by_chance = clv.value_matrix(np.array([200.0]), drawn(future), cuts=AMOUNT)
    assert by_chance.cell[0] == "high_low"
    loss = 1 - np.eye(4)
    loss[0, 2] = 5.0  # to hold a customer at low cost who was worth investing in
    careful = clv.value_matrix(np.array([200.0]), drawn(future), cuts=AMOUNT, loss=loss)
    assert careful.cell[0] == "high_high"
    assert careful.undecided[0]
    assert np.array_equal(by_chance.probabilities, careful.probabilities)


def test_names_come_from_the_vocabulary(now, later):
    metal = clv.value_matrix(now, drawn(later), cuts=QUANTILE, names="metal")
    named = {"high_high": "gold", "low_high": "iron", "high_low": "platinum", "low_low": "lead"}
    assert [named[cell] for cell in metal.cell] == metal.label.tolist()
    own = clv.value_matrix(now, drawn(later), cuts=QUANTILE, names=dict(zip(CELLS, "abcd", strict=True)))
    assert set(own.label) <= set("abcd")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cuts": {"current": ("quantile", 0.8)}}, 'expected "current" and "future"'),
        ({"cuts": {**AMOUNT, "past": ("amount", 1.0)}}, 'expected "current" and "future"'),
        ({"cuts": {**AMOUNT, "future": ("median", 0.5)}}, '"median"'),
        ({"cuts": {**AMOUNT, "future": ("quantile", 80)}}, "between 0 and 1"),
        ({"cuts": {**AMOUNT, "future": ("amount", np.nan)}}, "finite amount"),
        ({"names": "colours"}, 'names = "colours"'),
        ({"names": {"high_high": "x"}}, "a name for each of"),
        ({"undecided_below": 1.5}, "undecided_below = 1.5"),
        ({"loss": np.ones((2, 2))}, "4 x 4"),
    ],
)
def test_a_matrix_that_cannot_be_made_is_refused(now, later, arguments, message):
    with pytest.raises(clv.DataError, match=message):
        clv.value_matrix(now, drawn(later), **{"cuts": AMOUNT, **arguments})


def test_values_of_different_customers_are_refused(now, later):
    with pytest.raises(clv.DataError, match="current has 89 customers and future 90"):
        clv.value_matrix(now[:89], drawn(later), cuts=AMOUNT)
    other = dataclasses.replace(drawn(later), customer_id=drawn(later).customer_id[::-1])
    with pytest.raises(clv.DataError, match="different customers"):
        clv.value_matrix(other, drawn(later), cuts=AMOUNT)
    with pytest.raises(clv.DataError, match="different numbers of draws"):
        clv.value_matrix(drawn(later[:, :20]), drawn(later), cuts=AMOUNT)
    with pytest.raises(clv.DataError, match="missing or not finite for 1 customers"):
        clv.value_matrix(np.append(now[:89], np.nan), drawn(later), cuts=AMOUNT)


# ------------------------------------------------------------------------------------------------ budgets

SHARES = {"high_high": 0.2, "low_high": 0.3, "high_low": 0.05, "low_low": 0.0}


def test_cell_totals_are_sums_over_the_labelled_customers_in_each_draw(now, later):
    forecast = drawn(later)
    matrix = clv.value_matrix(now, forecast, cuts=QUANTILE)
    totals = cell_totals(matrix, forecast)
    for cell in CELLS:
        np.testing.assert_allclose(totals[cell], later[matrix.cell == cell].sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sum(totals.values()), later.sum(axis=0), rtol=1e-12)


def test_cells_add_up_to_the_base_and_budgets_are_ceilings_times_customers(now, later):
    forecast = drawn(later)
    matrix = clv.value_matrix(now, forecast, cuts=QUANTILE)
    rows = cells(
        matrix,
        clv=forecast,
        current_value=now,
        p_alive=np.full(90, 0.5),
        purchases=np.ones(90),
        shares=SHARES,
    )
    assert [row.key for row in rows] == list(CELLS)
    assert sum(row.customers for row in rows) == 90
    assert sum(row.expected_customers for row in rows) == pytest.approx(90)
    assert sum(row.clv_share for row in rows) == pytest.approx(1)
    assert sum(row.current_value for row in rows) == pytest.approx(now.sum())
    for row in rows:
        assert row.budget == pytest.approx(row.ceiling_per_customer * row.customers)
        assert row.budget == pytest.approx(SHARES[row.key] * row.clv.mean)


def test_ceilings_are_shares_of_expected_value(now, later):
    matrix = clv.value_matrix(now, drawn(later), cuts=QUANTILE)
    ceilings = retention_ceilings(matrix, drawn(later), shares=SHARES)
    assert ceilings == pytest.approx([SHARES[c] * m for c, m in zip(matrix.cell, later.mean(axis=1), strict=True)])
    assert acquisition_ceiling(50.0) == pytest.approx(20.0)
    with pytest.raises(clv.DataError, match=r"share = 1\.4"):
        acquisition_ceiling(50.0, share=1.4)
    with pytest.raises(clv.DataError, match="no share of future value is stated for the cell low_low"):
        retention_ceilings(matrix, drawn(later), shares={"high_high": 0.2, "low_high": 0.3, "high_low": 0.05})


def test_a_forecast_of_other_customers_has_no_cells_here(now, later):
    matrix = clv.value_matrix(now, drawn(later), cuts=QUANTILE)
    with pytest.raises(clv.DataError, match="different customers"):
        cell_totals(matrix, drawn(later[:80]))


def test_an_estimate_is_five_numbers_of_its_draws(later):
    total = later.sum(axis=0)
    five = estimate(total)
    assert (five.q05, five.q50, five.q95) == tuple(np.quantile(total, [0.05, 0.5, 0.95], method="inverted_cdf"))
    assert five.sd == pytest.approx(total.std(ddof=1))
    assert estimate(total[:1]).sd is None


def test_a_cut_is_reported_with_its_uncertainty(now, later):
    matrix = clv.value_matrix(now, drawn(later), cuts=QUANTILE)
    certain, uncertain = (cut_estimate(cut) for cut in matrix.cuts)
    assert (certain.dimension, certain.kind, certain.setting) == ("current", "quantile", 0.8)
    assert certain.value.q05 == certain.value.q95
    assert uncertain.value.q05 < uncertain.value.q95
