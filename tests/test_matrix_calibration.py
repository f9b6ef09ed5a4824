"""Of the customers given .6 to .7 for a cell about that share lands there; losses move labels as a sum by hand says."""

import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.strategy import CELLS, class_calibration, matrix_calibration, pyramid
from tests.class_cases import drawn
from tests.conftest import GAMMA_GAMMA_PAPER

QUANTILE = {"current": ("quantile", 0.8), "future": ("quantile", 0.8)}
SHARE = {"current": ("share_of_value", 0.6), "future": ("share_of_value", 0.8)}
AMOUNT = {"current": ("amount", 25.0), "future": ("amount", 20.0)}
LIVELY = {"r": 0.9, "alpha": 8.0, "a": 0.8, "b": 4.0}


def simulated(size, cuts, *, seed, draws):
    """Customers of the models' own story, forecast at its parameters, and what became of them."""
    age = np.random.default_rng(seed).uniform(20, 52, size)
    customers, future = clv.simulate(
        "bg_nbd", LIVELY, T=age, size=size, seed=seed, horizon=39.0, spend=GAMMA_GAMMA_PAPER
    )
    fits = clv.fit_at("bg_nbd", LIVELY, unit="week"), clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER)
    forecast = clv.sample_spend(*fits, customers, horizon=39.0, seed=seed + 1, draws=draws)
    current = np.nan_to_num(customers.monetary_value) * customers.frequency / customers.T
    matrix = clv.value_matrix(current, forecast, cuts=cuts)
    return matrix_calibration(matrix, current, future["amount"].to_numpy())


def assert_calibrated(rows, *, fewest, within):
    """Bins with `fewest` customers land `within` of what was stated, and most of them inside their bounds."""
    large = [row for row in rows if row.customers >= fewest]
    assert {"all", "low_high", "low_low"} <= {row.cell for row in large}
    for row in large:
        assert row.low <= row.stated <= row.high
        assert abs(row.share - row.stated) < within, row
    inside = [row.share_low <= row.share <= row.share_high for row in large]
    assert np.mean(inside) > 0.75


@pytest.mark.parametrize("cuts", [QUANTILE, SHARE, AMOUNT])
def test_probabilities_of_cells_hold_for_customers_of_the_models_story(cuts):
    rows = simulated(3000, cuts, seed=5, draws=400)
    # 100 customers: three standard errors of a share are .15 at the most
    assert_calibrated(rows, fewest=100, within=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("cuts", [QUANTILE, SHARE, AMOUNT])
def test_probabilities_of_cells_hold_within_a_twentieth_for_20_000_customers(cuts):
    rows = simulated(20_000, cuts, seed=7, draws=500)
    assert len({(row.cell, row.low) for row in rows if row.cell == "all" and row.customers >= 900}) == 10
    # 900 customers: three standard errors are .05 at the most
    assert_calibrated(rows, fewest=900, within=0.05)


def test_probabilities_that_are_too_sure_are_seen_to_be():
    rng = np.random.default_rng(1)
    truth = rng.random(4000)
    outcome = (rng.random(4000) < truth).astype(float)
    sure = truth**3 / (truth**3 + (1 - truth) ** 3)
    forecast = drawn((rng.random((4000, 200)) < sure[:, None]).astype(float), step=50)
    matrix = clv.value_matrix(np.ones(4000), forecast, cuts={"current": ("amount", 0.5), "future": ("amount", 0.5)})
    rows = {row.low: row for row in matrix_calibration(matrix, np.ones(4000), outcome) if row.cell == "high_high"}
    assert rows[0.9].share < 0.9 < rows[0.9].stated
    assert rows[0.9].share < rows[0.9].share_low
    assert rows[0.0].share > rows[0.0].share_high


def test_the_matrix_of_the_sample_is_held_against_its_holdout(bg_nbd_fit, gamma_gamma_fit, cdnow, cdnow_holdout):
    spend = clv.sample_spend(bg_nbd_fit, gamma_gamma_fit, cdnow, horizon=39.0, seed=3, draws=400)
    matrix = clv.value_matrix(cdnow.current_value, spend, cuts=QUANTILE)
    rows = matrix_calibration(matrix, cdnow.current_value, cdnow_holdout.amount)
    for row in rows:  # real customers: errors of the model show, and are not to be large where there are many
        assert row.customers < 150 or abs(row.share - row.stated) < 0.1
    total = sum(row.customers for row in rows if row.cell == "all")
    assert total == 2 * len(cdnow)  # the current value is known, the future one has two cells left
    assert total == sum(row.customers for row in rows if row.cell != "all")


def test_a_calibration_by_hand():
    # the cut of the future is the 4th of 5 values; c0 to c2 are high now
    current = np.array([9.0, 8.0, 7.0, 1.0, 1.0])
    future = np.array([[9.0, 9, 9, 9], [5, 5, 1, 1], [1, 1, 5, 5], [8, 8, 8, 1], [2, 2, 2, 9]])
    cuts = {"current": ("amount", 5.0), "future": ("quantile", 0.75)}
    matrix = clv.value_matrix(current, drawn(future), cuts=cuts)
    rows = matrix_calibration(matrix, current, np.array([1.0, 5.0, 0.0, 4.0, 0.0]))  # high: c1 and c3
    found = {(row.cell, row.low): (row.customers, row.stated, row.share) for row in rows}
    assert found["high_high", 0.0] == (2, 0.0, 0.5)
    assert found["high_high", 0.9] == (1, 1.0, 0.0)
    assert found["low_high", 0.7] == (1, 0.75, 1.0)
    assert found["low_low", 0.7] == (1, 0.75, 1.0)
    assert found["all", 0.9] == (3, 1.0, 1 / 3)
    bounds = next(row for row in rows if (row.cell, row.low) == ("low_high", 0.7))
    assert (bounds.share_low, bounds.share_high) == tuple(stats.binom.ppf([0.05, 0.95], 1, 0.75))


@pytest.mark.parametrize("seed", [3, 11])
def test_probabilities_of_tiers_hold_for_customers_who_do_as_forecast(seed):
    """Each customer's draws and outcome come from one gamma distribution, so what is stated is right."""
    rng = np.random.default_rng(seed)
    means = rng.lognormal(3, 1, 4000)
    value = rng.gamma(0.8, means[:, None] / 0.8, (4000, 401))
    tiers = [pyramid(drawn(of, step=50)) for of in (value[:, :400], value[:, 400:])]
    stated, landed = (dict(zip(of.keys, of.probabilities.T, strict=True)) for of in tiers)
    rows = class_calibration(stated, landed)
    assert {row.cell for row in rows} == {"all", "platinum", "gold", "iron", "lead"}
    large = [row for row in rows if row.customers >= 100]
    assert len(large) >= 15
    for row in large:  # 100 customers: three standard errors of a share are .15 at the most
        assert abs(row.share - row.stated) < 0.15, row
    assert np.mean([row.share_low <= row.share <= row.share_high for row in large]) > 0.75
    assert sum(row.customers for row in rows if row.cell == "all") == 4 * 4000


def test_classes_held_against_outcomes_by_hand():
    stated = {"a": np.array([0.62, 0.68, 0.1]), "b": np.array([0.38, 0.32, 0.9])}
    landed = {"a": np.array([1.0, 0.5, 0.0]), "b": np.array([0.0, 0.5, 1.0])}
    found = {(row.cell, row.low): (row.customers, row.stated, row.share) for row in class_calibration(stated, landed)}
    assert found["a", 0.6] == (2, pytest.approx(0.65), 0.75)
    assert found["all", 0.9] == found["b", 0.9] == (1, 0.9, 1.0)
    assert len(found) == 2 + 2 + 4  # tenths of a, of b, and of both
    alone = class_calibration({"a": stated["a"]}, {"a": landed["a"]})
    assert {row.cell for row in alone} == {"a"}


def test_outcomes_of_other_classes_or_customers_are_refused():
    with pytest.raises(clv.DataError, match="the same classes"):
        class_calibration({"a": np.ones(2)}, {"b": np.ones(2)})
    with pytest.raises(clv.DataError, match="different numbers"):
        class_calibration({"a": np.ones(2)}, {"a": np.ones(3)})


def test_values_of_other_customers_are_refused():
    matrix = clv.value_matrix(np.ones(3), drawn(np.ones((3, 2))), cuts=AMOUNT)
    with pytest.raises(clv.DataError, match="3 customers"):
        matrix_calibration(matrix, np.ones(2), np.ones(2))


def test_a_label_whose_error_is_dear_is_given_up_when_a_sum_by_hand_says_so():
    # P(high_high) = .7, P(high_low) = .3. To call a maintain customer VIP costs 1 as any error, but 3 if stated:
    # then VIP is wrong by .3 x 3 = .9, maintain by .7 x 1
    future = np.where(np.arange(10) < 7, 100.0, 1.0)[None]
    cuts = {"current": ("amount", 50.0), "future": ("amount", 50.0)}
    assert clv.value_matrix(np.array([100.0]), drawn(future), cuts=cuts).cell.tolist() == ["high_high"]
    loss = 1 - np.eye(4)
    loss[CELLS.index("high_low"), CELLS.index("high_high")] = 3.0
    dear = clv.value_matrix(np.array([100.0]), drawn(future), cuts=cuts, loss=loss)
    assert dear.cell.tolist() == ["high_low"]
    assert dear.undecided.tolist() == [True]  # .3 is below .6
