"""Stages of relations: the formulas against the model's own rates, and customers whose stage is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.foundation.records import CustomerSummary
from clvmodels.strategy import ended_relations, lifecycle
from clvmodels.strategy.lifecycle import BUY_LIMIT, STAGES
from tests.class_cases import drawn

YEAR, HORIZON = 52.0, 26.0


def customers_of(frequency, recency, T):
    frame = pd.DataFrame({"frequency": frequency, "recency": recency, "T": T})
    return CustomerSummary.from_frame(frame.assign(customer_id=[f"c{i}" for i in range(len(frame))]), unit="week")


def alive_with(p):
    return drawn(np.asarray(p, dtype=float)[:, None], quantity="p_alive")


def test_who_is_as_good_as_gone_is_said_by_the_models_own_distribution_of_rates():
    # of an NBD customer the rate is Gamma(r + x, alpha + T) distributed, and the chance to buy known in closed form
    r, alpha = 0.4, 6.0
    x, T = np.array([0.0, 0.0, 1.0, 2.0]), np.array([1.0, 100.0, 150.0, 20.0])
    customers = customers_of(x, np.where(x > 0, 0.5 * T, 0.0), T)
    p_buy = 1 - ((alpha + T) / (alpha + T + HORIZON)) ** (r + x)
    found = lifecycle(customers, alive_with(np.ones(4)), p_buy=p_buy, rate_shape=r)
    rates = stats.gamma(r + x, scale=1 / (alpha + T))
    seldom = rates.cdf(-np.log(1 - BUY_LIMIT) / HORIZON)
    np.testing.assert_allclose(found.probabilities[:, 3], seldom, rtol=1e-10)
    assert seldom[1] > 0.3 > seldom[0] > 0.01
    drawn_rates = rates.rvs((200_000, 4), random_state=1)
    idle = (1 - np.exp(-drawn_rates * HORIZON) < BUY_LIMIT).mean(axis=0)
    np.testing.assert_allclose(found.probabilities[:, 3], idle, atol=0.005)  # 4 standard errors


def test_whether_a_rate_falls_or_grows_is_the_posterior_of_its_second_half():
    early, late = np.array([6.0, 0.0, 10.0, 3.0]), np.array([0.0, 6.0, 10.0, 0.0])
    customers = customers_of(early + late, np.full(4, 40.0), np.full(4, 52.0))
    sure = {"p_buy": np.ones(4), "rate_shape": 1.0}
    found = lifecycle(customers, alive_with(np.ones(4)), halves=(early, late), **sure)
    share = np.random.default_rng(1).beta(4 + late, 4 + early, (200_000, 4))
    falls, grows = (share < 1 / 3).mean(axis=0), (share > 2 / 3).mean(axis=0)
    np.testing.assert_allclose(found.probabilities, np.column_stack([0 * falls, grows, 1 - falls - grows, falls]),
                               atol=0.005)  # fmt: skip
    assert found.label.tolist() == ["decline", "build_up", "stability", "stability"]
    few = lifecycle(customers, alive_with(np.ones(4)), halves=(early, late), steady_repeats=4, **sure)
    np.testing.assert_allclose(few.probabilities[3, 1], 1 - falls[3], atol=0.005)
    blind = lifecycle(customers, alive_with(np.ones(4)), **sure)
    assert blind.probabilities[:, 2].tolist() == [1, 1, 1, 1]


def test_stages_of_every_customer_add_up_and_decline_has_at_least_who_is_gone():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 12, 500).astype(float)
    early = np.floor(x * rng.random(500))
    customers = customers_of(x, np.where(x > 0, 30.0, 0.0), np.full(500, 40.0))
    p = np.where(x > 0, rng.random(500), 1.0)
    found = lifecycle(customers, alive_with(p), p_buy=p * rng.random(500), halves=(early, x - early))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-12)
    assert (found.probabilities >= -1e-12).all()
    assert (found.probabilities[:, 3] >= 1 - p - 1e-12).all()
    assert not found.probabilities[x > 0, 0].any()
    assert not found.probabilities[x == 0, 1:3].any()
    assert found.label.tolist() == [STAGES[i] for i in found.probabilities.argmax(axis=1)]


def _known_stages(rng, size):
    """Customers whose purchases change as a stage says, on the day on which they are looked at.

    fresh: won in the last 6 weeks, without a repeat; growing: the rate is 5 times as high in the second half of two
    years; steady: a purchase every 4 weeks for two years; gone: the same, and never again after 9 to 15 months;
    falling: still there, but at a tenth of the rate in the second half.
    """
    stories = []
    for stage in np.repeat(["fresh", "growing", "steady", "gone", "falling"], size):
        T = rng.uniform(1, 6) if stage == "fresh" else 2 * YEAR
        rates = {"fresh": (0.0, 0.0), "growing": (0.05, 0.25), "falling": (0.3, 0.03)}.get(stage, (0.25, 0.25))
        last = rng.uniform(39, 65) if stage == "gone" else T
        times = [rng.uniform(part * T / 2, (part + 1) * T / 2, rng.poisson(rate * T / 2)) for part, rate in
                 enumerate(rates)]  # fmt: skip
        bought = np.concatenate(times)
        bought = bought[bought <= last]
        halves = (bought <= T / 2).sum(), (bought > T / 2).sum()
        stories.append((stage, len(bought), bought.max(initial=0.0), T, *halves))
    return pd.DataFrame(stories, columns=["truth", "frequency", "recency", "T", "early", "late"])


@pytest.fixture(scope="module")
def confusion():
    """Share of the labels among customers of each true story; the model is fitted to them."""
    stories = _known_stages(np.random.default_rng(3), 400)
    customers = customers_of(stories["frequency"], stories["recency"], stories["T"])
    fit = clv.fit("pareto_nbd", customers, method="laplace", draws=200, seed=1)
    halves = tuple(stories[half].to_numpy(dtype=float) for half in ("early", "late"))
    ahead = clv.purchase_probabilities(fit, customers, horizon=HORIZON, most=0)
    alive = clv.predict(fit, customers, quantity="p_alive")
    p_buy = np.minimum(1 - ahead.probabilities[:, 0], alive.mean)
    options = {"p_buy": p_buy, "rate_shape": fit.point["r"]}
    found = lifecycle(customers, alive, halves=halves, **options)
    ended = ended_relations(customers, alive, long_kept=YEAR, **options)
    rates = pd.crosstab(stories["truth"], pd.Series(found.label), normalize="index")
    return rates.reindex(columns=STAGES, fill_value=0.0), stories, found, ended


def test_customers_of_a_known_stage_are_recognised(confusion):
    rates, *_ = confusion
    assert rates.loc["fresh", "exploration"] > 0.95
    assert rates.loc["growing", "build_up"] > 0.75
    assert rates.loc["steady", "stability"] > 0.95
    assert rates.loc["gone", "decline"] > 0.95
    assert rates.loc["falling", "decline"] > 0.85
    assert rates.loc["steady", "decline"] < 0.06  # hardly anyone is given up who buys as ever


def test_the_probability_of_a_label_is_not_far_above_how_often_it_is_right(confusion):
    _, stories, found, _ = confusion
    stage_of = {"fresh": 0, "growing": 1, "steady": 2, "gone": 3, "falling": 3}
    truth = stories["truth"].map(stage_of).to_numpy()
    right = found.probabilities.argmax(axis=1) == truth
    stated = found.probabilities.max(axis=1)
    for low, high in ((0.5, 0.75), (0.75, 0.9), (0.9, 1.01)):
        inside = (stated >= low) & (stated < high)
        assert right[inside].mean() > stated[inside].mean() - 0.1


def test_ended_relations_are_counted_by_how_far_they_had_come(confusion):
    _, stories, _, ended = confusion
    gone = stories["truth"] == "gone"
    assert ended.probabilities[gone].sum(axis=1).mean() > 0.95
    assert ended.probabilities[stories["truth"] == "steady"].sum(axis=1).mean() < 0.08
    long = gone & (stories["recency"] >= YEAR)
    assert set(ended.label[long]) == {"long_kept"}
    assert set(ended.label[gone & ~long & (stories["frequency"] >= 3)]) == {"early_exit"}


def test_the_pattern_of_an_end_by_hand():
    customers = customers_of([0.0, 2.0, 5.0, 5.0], [0.0, 10.0, 30.0, 60.0], [80.0] * 4)
    found = ended_relations(customers, alive_with([1.0, 0.5, 0.3, 0.1]), p_buy=np.array([1, 0.5, 0.3, 0.1]),
                            rate_shape=1.0, long_kept=52.0)  # fmt: skip
    assert found.label.tolist() == ["early_abort", "build_up_death", "early_exit", "long_kept"]
    np.testing.assert_allclose(found.probabilities, np.diag([0.0, 0.5, 0.7, 0.9]), atol=1e-12)
    assert found.undecided.tolist() == [True, True, False, False]


def test_what_is_of_other_customers_or_no_number_is_refused():
    customers = customers_of([1.0, 2.0], [3.0, 3.0], [9.0, 9.0])
    alive, p_buy = alive_with([1.0, 1.0]), np.ones(2)
    with pytest.raises(clv.DataError, match="different customers"):
        lifecycle(customers, alive_with([1.0]), p_buy=p_buy)
    with pytest.raises(clv.DataError, match="a probability for each of 2"):
        lifecycle(customers, alive, p_buy=np.array([0.5, 1.5]))
    with pytest.raises(clv.DataError, match="do not add up"):
        lifecycle(customers, alive, p_buy=p_buy, halves=(np.ones(2), np.ones(2)))
    with pytest.raises(clv.DataError, match="steady_repeats = 1"):
        lifecycle(customers, alive, p_buy=p_buy, steady_repeats=1)
    with pytest.raises(clv.DataError, match="rate_shape = 0"):
        lifecycle(customers, alive, p_buy=p_buy, rate_shape=0)
    with pytest.raises(clv.DataError, match="long_kept = -1"):
        ended_relations(customers, alive, p_buy=p_buy, long_kept=-1)
