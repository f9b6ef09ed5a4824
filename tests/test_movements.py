"""Movement between two dates: everyone is somewhere, and nobody moves of whom the same is believed as before."""

import dataclasses

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.strategy import CELLS, DatedMatrix, movements
from clvmodels.strategy.movements import KINDS
from tests.class_cases import drawn

CUTS = {"current": ("amount", 50.0), "future": ("amount", 50.0)}
RNG = np.random.default_rng


def dated(ids, current, p_high, p_alive, *, draws=100):
    """What is believed on a date: the future is high in the last p_high of the draws, the rest of them low."""
    future = np.where(np.arange(draws) >= draws * (1 - np.asarray(p_high)[:, None]), 100.0, 0.0)
    matrix = clv.value_matrix(np.asarray(current), drawn(future, ids=ids), cuts=CUTS)
    alive = np.broadcast_to(np.asarray(p_alive, dtype=float)[:, None], (len(ids), draws))
    return DatedMatrix(matrix, drawn(alive, ids=ids, quantity="p_alive"), np.asarray(current))


@pytest.fixture(scope="module")
def two_dates():
    rng = RNG(1)
    ids = np.array([f"c{i:03}" for i in range(300)], dtype=object)
    alive = np.where(rng.random(300) < 0.3, 1.0, rng.random(300))
    after = dated(ids, rng.gamma(1, 60, 300), alive * rng.random(300), alive)
    seen = rng.permutation(300)[:220]  # in another order than later
    alive = np.where(rng.random(220) < 0.3, 1.0, rng.random(220))
    before = dated(ids[seen], rng.gamma(1, 60, 220), alive * rng.random(220), alive)
    return before, after


def test_a_movement_of_each_kind_by_hand():
    before = dated(list("abcde"), [100, 100, 1, 1, 100.0], [1, 1, 0, 0, 0.0], [1, 1, 1, 0, 1.0])
    after = dated(list("abcdef"), [90, 10, 10, 10, 100, 60.0], [1, 0, 0, 1, 0, 1.0], [1, 1, 0, 1, 1, 1.0])
    moved, kinds = movements(before, after, rng=RNG(0))
    found = {(m.before, m.after): (m.customers, m.expected.mean, m.value_before, m.value_after) for m in moved}
    assert found == {
        ("high_high", "high_high"): (1, 1, 100, 90),
        ("high_high", "low_low"): (1, 1, 100, 10),
        ("low_low", "lost"): (1, 1, 1, 10),
        ("lost", "low_high"): (1, 1, 1, 10),
        ("high_low", "high_low"): (1, 1, 100, 100),
        ("none", "high_high"): (1, 1, 0, 60),
    }
    words = {kind.key: (kind.customers, kind.value_before, kind.value_after) for kind in kinds}
    assert words == {
        "new": (1, 0, 60),
        "upgraded": (0, 0, 0),
        "downgraded": (1, 100, 10),
        "lost": (1, 1, 10),
        "won_back": (1, 1, 10),
        "same": (2, 200, 190),
    }


def test_rows_add_up_to_all_customers_of_both_dates(two_dates):
    before, after = two_dates
    moved, kinds = movements(before, after, rng=RNG(2))
    for rows in (moved, kinds):
        assert sum(row.customers for row in rows) == 300
        assert sum(row.expected.mean for row in rows) == pytest.approx(300)
        assert sum(row.value_before for row in rows) == pytest.approx(before.current_value.sum())
        assert sum(row.value_after for row in rows) == pytest.approx(after.current_value.sum())
    assert tuple(kind.key for kind in kinds) == KINDS
    assert sum(row.customers for row in moved if row.before == "none") == 80 == kinds[0].customers
    lost = sum(row.customers for row in moved if row.after == "lost")
    assert lost == (after.alive.mean < 0.5).sum()
    assert all((row.before == "none") == (row.before not in (*CELLS, "lost")) for row in moved)


def test_expected_numbers_in_each_state_are_sums_of_probabilities(two_dates):
    before, after = two_dates
    moved, _ = movements(before, after, rng=RNG(3))
    se = np.sqrt(300 / 100)  # of a mean over 100 draws of a count of up to 300 coins, at the most half of this
    gone = (1 - after.alive.mean).sum()
    assert sum(row.expected.mean for row in moved if row.after == "lost") == pytest.approx(gone, abs=4 * se / 2)
    vip = after.matrix.probabilities[:, 0].sum()
    found = sum(row.expected.mean for row in moved if row.after == "high_high")
    assert found == pytest.approx(vip, abs=4 * se / 2)


def test_nobody_moves_of_whom_the_same_is_believed_as_before(two_dates):
    _, after = two_dates
    order = RNG(4).permutation(300)
    alive = np.repeat(after.alive.mean[order, None], 100, axis=1)
    matrix = dataclasses.replace(
        after.matrix, customer_id=after.matrix.customer_id[order], cell=after.matrix.cell[order],
        probabilities=after.matrix.probabilities[order],
    )  # fmt: skip
    same = DatedMatrix(matrix, drawn(alive, ids=matrix.customer_id, quantity="p_alive"), after.current_value[order])
    moved, kinds = movements(same, after, rng=RNG(5))
    assert {kind.key: kind.expected.mean for kind in kinds if kind.expected.mean} == {"same": 300}
    assert all(row.before == row.after for row in moved)


def test_a_change_of_belief_moves_that_part_of_each_customer():
    # 1,000 customers whose chance of being high falls from .8 to .5: .3 of each go down, not .8 x .5 and back
    ids = np.array([f"c{i}" for i in range(1000)], dtype=object)
    before = dated(ids, np.full(1000, 100.0), np.full(1000, 0.8), np.ones(1000))
    after = dated(ids, np.full(1000, 100.0), np.full(1000, 0.5), np.ones(1000))
    _, kinds = movements(before, after, rng=RNG(6))
    found = {kind.key: kind.expected for kind in kinds}
    sd = np.sqrt(1000 * 0.3 * 0.7)
    assert found["downgraded"].mean == pytest.approx(300, abs=4 * sd / 10)
    assert found["downgraded"].sd == pytest.approx(sd, rel=0.3)
    assert found["upgraded"].mean == found["lost"].mean == 0


def test_a_doubt_that_customers_share_widens_what_is_expected():
    """P(alive) is taken draw by draw: a base that is alive in half of the draws is not half alive in each."""
    ids = np.array([f"c{i}" for i in range(100)], dtype=object)
    alive = np.repeat([[0.0, 1.0]], 100, axis=0).repeat(50, axis=1)
    sure = dated(ids, np.full(100, 100.0), np.ones(100), np.ones(100))
    after = DatedMatrix(sure.matrix, drawn(alive, ids=ids, quantity="p_alive"), sure.current_value)
    _, kinds = movements(sure, after, rng=RNG(7))
    lost = next(kind.expected for kind in kinds if kind.key == "lost")
    assert (lost.mean, lost.q05, lost.q95) == (50, 0, 100)


def test_customers_who_vanish_or_draws_that_do_not_match_are_refused(two_dates):
    before, after = two_dates
    with pytest.raises(clv.DataError, match="80 customers of the first date are missing on the second"):
        movements(after, before, rng=RNG(8))
    fewer = drawn(np.repeat(after.alive.mean[:, None], 50, axis=1), ids=after.matrix.customer_id, quantity="p_alive")
    with pytest.raises(clv.DataError, match="different numbers of draws"):
        movements(before, dataclasses.replace(after, alive=fewer), rng=RNG(8))
    mixed = dataclasses.replace(before, alive=after.alive)
    with pytest.raises(clv.DataError, match="different customers"):
        movements(mixed, after, rng=RNG(8))
