"""Actions, budgets and what is told of each customer: from the definition, and against a known truth."""

import itertools

import numpy as np
import pytest

import clvmodels as clv
from clvmodels.forecast.checks import discount_rates
from clvmodels.forecast.what_if import UNCHANGED, changed_values
from clvmodels.foundation.changes import Change
from clvmodels.foundation.decision_results import ActionRow
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.units import discount_per_unit
from clvmodels.strategy.actions import NOBODY, best_actions, best_split, expected_gains, outcomes_of
from clvmodels.study.actions import _unless_carried
from clvmodels.study.config import FitTable, purchase_study
from clvmodels.study.strict import read_toml
from tests.forecast_cases import PURCHASES, SPEND, base, posterior
from tests.test_study import STUDIES

# ------------------------------------------------------------------------------------------------ draws


def test_many_customers_take_fewer_draws_unless_the_study_states_them():
    unsaid = FitTable()
    assert unsaid.draws == 2000
    assert [unsaid.forecast_draws(n) for n in (1, 10_000, 23_570, 1_000_000, 10_000_000)] == [
        None, None, 848, 250, 250,
    ]  # fmt: skip
    stated = purchase_study(read_toml(STUDIES / "cdnow_sample.toml")).fit
    assert stated.draws == 2000
    assert stated.forecast_draws(10_000_000) is None


CHANGES = (Change(rate=clv.Effect(1.0, 1.2), key="a"), Change(dropout=0.7, key="b"))
COSTS = (1.0, 6.0)


def drawn_outcomes(customers, fits, seed, group=None, n_draws=400):
    values = changed_values(
        *fits,
        customers,
        (UNCHANGED, *CHANGES),
        horizon=52.0,
        seed=seed,
        rate=discount_rates(0.1, None, customers),
        margin=1.0,
        draws=400,
    )
    group = np.zeros(len(customers), dtype=int) if group is None else group
    return outcomes_of(values, group, groups=int(group.max()) + 1, costs=COSTS, n_draws=n_draws)


@pytest.fixture(scope="module")
def customers():
    return base(1500)


@pytest.fixture(scope="module")
def fits():
    return posterior(PURCHASES, 400), posterior(SPEND, 400, seed=2)


@pytest.fixture(scope="module")
def outcomes(customers, fits):
    return drawn_outcomes(customers, fits, 1, np.arange(1500) % 3)


def test_outcomes_are_those_of_what_if_customer_by_customer(customers, fits, outcomes):
    what_if = clv.what_if(*fits, customers, horizon=52.0, seed=1, dropout=0.7, annual_discount_rate=0.1)
    np.testing.assert_allclose(outcomes.gain[1], what_if.gain.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(outcomes.totals[0].sum(axis=0), what_if.clv.total_draws, rtol=1e-9)
    assert (outcomes.p_loss[1] >= 0.2).all()  # most draws have no purchase that could be saved


def test_groups_add_up_to_the_whole_draw_by_draw(customers, fits, outcomes):
    whole = drawn_outcomes(customers, fits, 1)
    np.testing.assert_allclose(outcomes.totals.sum(axis=1), whole.totals[:, 0], rtol=1e-9)


def test_fewer_draws_are_the_first_ones(customers, fits, outcomes):
    some = drawn_outcomes(customers, fits, 1, np.arange(1500) % 3, n_draws=100)
    np.testing.assert_allclose(some.totals, outcomes.totals[:, :, :100], rtol=1e-12)


def test_expected_gains_add_up_to_the_drawn_ones(customers, outcomes):
    value = np.random.default_rng(1).gamma(2.0, 10.0, 1500)
    expected = expected_gains(outcomes.gain, value, customers)
    np.testing.assert_allclose(expected.sum(axis=1), outcomes.gain.sum(axis=1), rtol=1e-9)
    few = customers.take(np.arange(7))
    assert expected_gains(outcomes.gain[:, :7], value[:7], few).shape == (2, 7)


def test_expected_gains_are_nearer_to_the_truth_than_each_customers_own_draws(customers):
    fits = (PURCHASES, SPEND)
    truth = np.mean(
        [drawn_outcomes(customers.take(np.arange(1500)), fits, seed).gain for seed in range(50, 60)], axis=0
    )
    own = drawn_outcomes(customers, fits, 3)
    rate = discount_per_unit(0.1, "week")
    value = clv.expected_clv(*fits, customers, horizon=52.0, discount_per_unit=rate).mean
    pooled = expected_gains(own.gain, value, customers)
    for place in range(2):
        assert np.square(pooled[place] - truth[place]).mean() < 0.5 * np.square(own.gain[place] - truth[place]).mean()


# ------------------------------------------------------------------------------------------------- the best split


def best_by_trial(gains, costs, allowed, budget):
    """Highest expected net gain of any split within the budget, by trying all of them."""
    best = 0.0
    for choice in itertools.product(range(-1, len(costs)), repeat=gains.shape[1]):
        given = [(action, who) for who, action in enumerate(choice) if action >= 0]
        if not all(allowed[action, who] for action, who in given):
            continue
        if sum(costs[action] for action, _ in given) <= budget:
            best = max(best, sum(gains[action, who] - costs[action] for action, who in given))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_no_split_of_what_is_spent_gains_more(seed):
    rng = np.random.default_rng(seed)
    costs = [1.0, 2.5, 4.0]
    gains, allowed = rng.gamma(1.0, 4.0, (3, 5)) - 1.0, rng.random((3, 5)) < 0.8
    for budget in (1.0, 3.0, 7.0, 12.0, 100.0):
        split = best_split(gains, costs, allowed, budget=budget)
        given = split.action != NOBODY
        assert allowed[split.action[given], np.flatnonzero(given)].all()
        spent = np.array(costs)[split.action[given]].sum()
        net = gains[split.action[given], np.flatnonzero(given)].sum() - spent
        assert spent <= budget
        np.testing.assert_allclose([split.spent, np.interp(spent, *split.curve.T)], [spent, net])
        np.testing.assert_allclose(net, best_by_trial(gains, costs, allowed, spent), atol=1e-9)


def test_the_curve_rises_and_bends_down(outcomes):
    split = best_split(outcomes.gain, COSTS, np.ones((2, 1500), dtype=bool), budget=500.0)
    slopes = np.diff(split.curve[:, 1]) / np.diff(split.curve[:, 0])
    assert (slopes > 0).all()
    assert (np.diff(slopes) < 1e-9).all()


def test_the_best_action_gains_most_and_none_is_given_at_a_loss():
    gains = np.array([[2.0, 0.5, 9.0], [7.5, 1.0, 13.0]])
    allowed = np.array([[True, True, True], [True, True, False]])
    assert best_actions(gains, COSTS, allowed).tolist() == [1, NOBODY, 0]


def test_the_gain_that_is_told_of_a_choice_is_not_that_of_the_luckiest():
    """Choose on one set of draws, tell by fresh ones, and hold both against what the chosen would truly bring."""
    customers = base(1500, seed=9)
    fits = (PURCHASES, SPEND)
    first = drawn_outcomes(customers, fits, 1, n_draws=100)
    value = clv.sample_clv(*fits, customers, horizon=52.0, seed=1, annual_discount_rate=0.1, draws=400).mean
    gains = expected_gains(first.gain, value, customers)
    split = best_split(gains, COSTS, np.ones_like(gains, dtype=bool), budget=300.0)
    chosen = np.flatnonzero(split.action != NOBODY)
    pick = split.action[chosen], chosen
    told = drawn_outcomes(customers, fits, 2, n_draws=400).gain[pick]
    truth = np.mean([drawn_outcomes(customers, fits, seed).gain for seed in range(20, 26)], axis=0)[pick]
    error = np.sqrt(np.square(told - truth).sum() * 7 / 6)
    assert abs(told.sum() - truth.sum()) < 4 * error
    naive = best_split(first.gain, COSTS, np.ones_like(gains, dtype=bool), budget=300.0)  # each by the own draws
    lucky = np.flatnonzero(naive.action != NOBODY)
    claimed = first.gain[naive.action[lucky], lucky].sum() / naive.spent
    brought = drawn_outcomes(customers, fits, 2).gain[naive.action[lucky], lucky].sum() / naive.spent
    assert claimed > 1.1 * brought  # what is avoided
    assert told.sum() / split.spent > brought


# -------------------------------------------------------------------------------------------------------- study file


def study_with(tmp_path, old, new):
    text = (STUDIES / "cdnow_sample.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "study.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return purchase_study(read_toml(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("q05 = 1.0, q95 = 1.08", "q05 = 1.2, q95 = 1.08", "q05 = 1.2 is not below q95 = 1.08"),
        ("rate = { q05 = 1.0, q95 = 1.08 }", "", 'newsletter": give an effect'),
        ("rate = { q05 = 1.0, q95 = 1.08 }", "rates = { q05 = 1.0, q95 = 1.08 }", 'unknown key "rates"'),
        ("cost = 0.6", "cost = 0", r"actions\[0\]\] cost = 0: expected"),
        ('key = "voucher"', 'key = "newsletter"', "another action has this key"),
        ('key = "voucher"', 'key = "none"', "the word for no action"),
        ('key = "voucher"', 'key = "Voucher 1"', "Voucher 1"),
        ('{ en = "Thank-you voucher", zh = "感谢优惠券" }', '{ en = "Thank-you voucher" }', 'language "zh"'),
        ('cells = ["high_high", "low_high", "high_low"]', 'cells = ["vip"]', "cells"),
        ("dropout = { q05 = 0.85, q95 = 0.99 }", "dropout = { q05 = 0.85 }", r'actions\[1\].dropout\]: the key "q95"'),
        ("least_chance = 0.8", "least_chance = 1.2", "least_chance = 1.2"),
        ("budget = 2000.0", "budjet = 2000.0", 'did you mean "budget"'),
    ],
)
def test_an_action_that_cannot_be_is_refused_with_its_place(tmp_path, old, new, message):
    with pytest.raises(clv.StudyError, match=message):
        study_with(tmp_path, old, new)


def test_a_budget_needs_actions(tmp_path):
    text = (STUDIES / "cdnow_sample.toml").read_text(encoding="utf-8")
    path = tmp_path / "study.toml"
    path.write_text(text[: text.index("# What could be done")], encoding="utf-8")
    with pytest.raises(clv.StudyError, match="no \\[\\[actions\\]\\] to spend it on"):
        purchase_study(read_toml(path))


def test_customers_drawn_in_a_part_of_the_draws_add_up_to_nearly_the_same(fits, monkeypatch):
    many = base(size=3_000, seed=9)
    group = np.arange(3_000) % 2
    whole = drawn_outcomes(many, fits, 4, group, n_draws=100)
    monkeypatch.setattr("clvmodels.strategy.actions.MOST_DRAWN", 100_000)  # three parts
    parts = drawn_outcomes(many, fits, 4, group, n_draws=100)
    # a third of the customers stands for all in a draw: some 500 of 1,500, whose values scatter about twice their mean
    np.testing.assert_allclose(parts.totals.mean(axis=2), whole.totals.mean(axis=2), rtol=0.1)
    spread = (parts.totals / whole.totals).std(axis=2)
    assert (spread > 0.005).all()
    assert (spread < 0.25).all()
    assert np.corrcoef(parts.gain[0], whole.gain[0])[0, 1] > 0.5


# ------------------------------------------------------------------------------------------------ advice


def row_of(cell, reason=""):
    return ActionRow("a", cell, 100, 50.0, Estimate(10.0, 5.0, 1.0, 10.0, 19.0), 0.1, advised=not reason, reason=reason)


@pytest.mark.parametrize(
    ("whole", "types", "reason"),
    [
        ("", ["", ""], ""),
        ("", ["", "chance"], "types"),
        ("", ["", "small"], ""),  # a type too small to tell is no loss
        ("chance", ["", "chance"], "chance"),
        ("small", ["chance", "small"], "small"),
    ],
)
def test_all_types_together_are_advised_only_where_none_of_them_fails_alone(whole, types, reason):
    rows = [row_of(key, of_type) for key, of_type in zip(("high_high", "low_high"), types, strict=True)]
    told = _unless_carried(row_of("all", whole), rows)
    assert (told.advised, told.reason) == (not reason, reason)
    assert told.gain == row_of("all").gain
