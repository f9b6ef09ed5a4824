"""Money of a base: cash flow, equity of segments and of the best customers, customers still to be won."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.forecast import sample_future, sample_future_by_period
from clvmodels.forecast.acquisition import acquisition_has_ended
from clvmodels.study import read_study
from clvmodels.study.newcomers import (
    _outcomes,
    _value_by_period,
    _Won,
    customers_to_be_won,
    value_of_new,
    won_by_period,
)
from clvmodels.study.value_sums import (
    add_up,
    cohorts_of,
    segmentations_of,
    segments_table,
    steps_of,
    top_share,
    with_labels,
)

BG_NBD = {"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4}
GAMMA_GAMMA = {"p": 6.25, "q": 3.74, "v": 15.44}
ENDS = [13.0, 26.0, 39.0, 52.0]


@pytest.fixture(scope="module")
def customers():
    """Simulated customers, with spend, a channel, and a date."""
    drawn, _ = clv.simulate("bg_nbd", BG_NBD, T=np.linspace(20, 78, 303), size=303, seed=5)
    rng = np.random.default_rng(3)
    spend = np.where(drawn.frequency > 0, rng.gamma(5, 8, len(drawn)) + 1, np.nan)
    return replace(
        drawn,
        monetary_value=spend,
        first_amount=rng.gamma(5, 8, len(drawn)) + 1,
        current_value=rng.gamma(2, 30, len(drawn)),
        groups={"channel": np.array(["shop", "web", "phone"], dtype=object)[np.arange(len(drawn)) % 3]},
        calibration_end=np.datetime64("2024-06-30").astype(object),
    )


@pytest.fixture(scope="module")
def fits():
    return clv.fit_at("bg_nbd", BG_NBD, unit="week"), clv.fit_at("gamma_gamma", GAMMA_GAMMA, unit="week")


@pytest.fixture(scope="module")
def by_period(fits, customers):
    return sample_future_by_period(
        *fits, customers, ends=ENDS, annual_discount_rate=0.1, margin=0.4, seed=11, draws=300
    )


@pytest.fixture(scope="module")
def sums(by_period, customers):
    table = pd.DataFrame({name: np.arange(len(customers)) % size for name, size in SIZES.items()})
    return add_up(by_period.future.clv, segmentations_of(with_labels(table, customers), customers))


SIZES = {"cell": 4, "tier": 4, "stage": 3, "abc_class": 3, "rfm_group": 7}


def test_the_periods_of_the_cash_flow_add_up_to_equity_in_each_draw(by_period):
    future = by_period.future
    for flow, total in (
        ("purchases", future.purchases),
        ("spend", future.spend),
        ("discounted_margin", future.clv),
    ):
        np.testing.assert_allclose(by_period.flows[flow].sum(axis=1), total.total_draws, rtol=1e-12)
    np.testing.assert_allclose(by_period.flows["margin"], 0.4 * by_period.flows["spend"], rtol=1e-12)


def test_the_future_by_period_is_that_of_sample_future_and_its_flows_those_of_cash_flows(by_period, fits, customers):
    money = {"annual_discount_rate": 0.1, "margin": 0.4, "seed": 11, "draws": 300}
    plain = sample_future(*fits, customers, horizon=52.0, **money)
    np.testing.assert_array_equal(by_period.future.clv.mean, plain.clv.mean)
    np.testing.assert_array_equal(by_period.future.spend.q95, plain.spend.q95)
    flows = clv.cash_flows(*fits, customers, ends=ENDS, **money)
    for name, totals in flows.totals.items():
        np.testing.assert_allclose(by_period.flows[name], totals, rtol=1e-12)


def test_every_segmentation_adds_up_to_the_whole_in_each_draw(sums, by_period):
    assert {"channel", "acquisition_quarter"} < set(sums.segmentations)
    for equity in sums.equity.values():
        np.testing.assert_allclose(equity.sum(axis=0), by_period.future.clv.total_draws, rtol=1e-12)
    np.testing.assert_allclose(sums.held[-1], by_period.future.clv.total_draws, rtol=1e-12)


def drawn(clv):
    """All draws of all customers, shape (N, S)."""
    return np.concatenate([block.values for block in clv.replay("draws")], axis=1)


def test_a_group_that_is_named_as_a_column_takes_another_name(customers):
    named = replace(customers, groups={"tier": customers.groups["channel"]})
    table = pd.DataFrame({name: np.arange(len(customers)) % size for name, size in SIZES.items()})
    found = segmentations_of(with_labels(table, named), named)
    assert found["group_tier"].names == ["phone", "shop", "web"]
    assert found["tier"].names == ["0", "1", "2", "3"]


def test_a_segment_holds_what_its_customers_hold(sums, by_period, customers):
    values = drawn(by_period.future.clv)
    segments = sums.segmentations["channel"]
    assert segments.names == ["phone", "shop", "web"]
    theirs = values[customers.groups["channel"] == "web"].sum(axis=0)
    np.testing.assert_allclose(sums.equity["channel"][2], theirs, rtol=1e-12)
    table = segments_table(sums, customers.current_value).set_index(["segmentation", "segment"])
    row = table.loc["channel", "web"]
    assert row["equity"] == pytest.approx(theirs.mean())
    assert row["customers"] == 101
    assert row["clv_q05"] <= row["clv_mean"] <= row["clv_q95"]
    assert table.loc["channel", "current_value"].sum() == pytest.approx(customers.current_value.sum())


def test_the_best_customers_by_expectation_hold_a_share_that_each_draw_has_its_own(sums, by_period):
    values = drawn(by_period.future.clv)
    mean = by_period.future.clv.mean
    best = np.argsort(-mean, kind="stable")[: steps_of(len(mean))[20]]
    shares = values[best].sum(axis=0) / values.sum(axis=0)
    top = top_share(sums, 20)
    assert top.mean == pytest.approx(shares.mean())
    assert top.q05 <= np.quantile(shares, 0.06)
    # that of the expectations is a ratio of means: nearly the middle
    assert top.mean == pytest.approx(mean[best].sum() / mean.sum(), abs=0.02)
    assert (np.diff(sums.held, axis=0) >= 0).all()


def test_the_gini_coefficient_is_twice_the_area_over_the_diagonal(sums, by_period):
    """By the trapezoid rule over every customer; in hundredths it is as near as its steps."""
    values = drawn(by_period.future.clv)[sums.best_first]
    held = np.vstack([np.zeros(values.shape[1]), np.cumsum(values, axis=0)]) / values.sum(axis=0)
    area = np.trapezoid(held, dx=1 / len(values), axis=0)
    np.testing.assert_allclose(sums.gini, 2 * area - 1, atol=1e-12)
    coarse = 2 * np.trapezoid(sums.shares, steps_of(len(values)) / len(values), axis=0) - 1
    np.testing.assert_allclose(sums.gini, coarse, atol=0.01)


def test_customers_of_equal_value_have_no_concentration(by_period):
    clv_ = by_period.future.clv
    same = replace(clv_, mean=np.ones(len(clv_)), replay=lambda order: iter([_ones(len(clv_))]))
    sums = add_up(same, {})
    assert sums.gini == pytest.approx([0.0])
    np.testing.assert_allclose(sums.shares[:, 0], np.linspace(0, 1, 101), atol=0.5 / len(clv_))


def _ones(size):
    from clvmodels.foundation.records import DrawBlock

    return DrawBlock(slice(0, size), slice(0, 1), np.ones((size, 1)))


@pytest.mark.parametrize(
    ("weeks", "name", "first"),
    [(10, "acquisition_month", "2024-04"), (150, "acquisition_quarter", "2021-Q3"), (600, "acquisition_year", "2012")],
)
def test_cohorts_are_as_short_as_a_page_has_room_for(customers, weeks, name, first):
    some = customers.take(np.array([0, 1]))
    ages = np.array([weeks, 0.0])
    some = replace(some, T=ages, recency=0 * ages, frequency=0 * ages, monetary_value=np.full(2, np.nan))
    assert {key: list(values) for key, values in cohorts_of(some).items()} == {name: [first, _LAST[name]]}


_LAST = {"acquisition_month": "2024-06", "acquisition_quarter": "2024-Q2", "acquisition_year": "2024"}


# Customers still to be won


def test_numbers_to_come_of_a_steady_shop_are_about_those_that_came():
    drawn = clv.sample_new_customers([98, 103, 110, 95, 101, 99, 104, 92, 100, 97, 105, 101, 99], periods=6, seed=1)
    assert drawn.shape == (2000, 6)
    assert drawn.mean() == pytest.approx(100, rel=0.05)  # the level has no trend
    widths = np.quantile(drawn, 0.95, axis=0) - np.quantile(drawn, 0.05, axis=0)
    assert widths[0] > 2 * 1.645 * 10  # wider than a Poisson's
    assert widths[-1] > widths[0]  # and the wider the farther


def test_a_part_of_a_period_has_its_part_of_the_customers():
    counts = [40, 42, 38, 41, 40, 39, 43]
    whole = clv.sample_new_customers(counts, periods=2, seed=4, draws=4000)
    part = clv.sample_new_customers(counts, periods=1.25, seed=4, draws=4000)
    assert part.shape == (4000, 2)
    assert part[:, 1].mean() == pytest.approx(whole[:, 1].mean() / 4, rel=0.05)


def test_the_filter_agrees_with_a_simulation_of_the_same_model():
    """Importance sampling from the prior of the whole walk, weighed by the likelihood: same mean, same spread."""
    from scipy.stats import nbinom

    from clvmodels.forecast.acquisition import BEYOND, SIGMA, TAU

    counts, size = np.array([9, 14, 11, 20, 16, 13]), 400_000
    rng = np.random.default_rng(8)
    sigma, tau = np.abs(rng.normal(0, SIGMA, size)), np.maximum(np.abs(rng.normal(0, TAU, size)), 0.01)
    level = rng.uniform(np.log(counts.min()) - BEYOND, np.log(counts.max() + 0.5) + BEYOND, size)
    weight = np.zeros(size)
    for place, count in enumerate(counts):
        level = level + (place > 0) * (sigma * rng.standard_normal(size) - sigma**2 / 2)
        k = tau**-2.0
        weight += nbinom.logpmf(count, k, k / (k + np.exp(level)))
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    ahead = level + sigma * rng.standard_normal(size) - sigma**2 / 2
    mean = float(weight @ np.exp(ahead))
    spread = float(np.sqrt(weight @ ((1 + tau**2) * np.exp(2 * ahead) + np.exp(ahead)) - mean**2))
    ours = clv.sample_new_customers(counts, periods=1, seed=2, draws=40_000)[:, 0]
    assert ours.mean() == pytest.approx(mean, rel=0.03)  # the effective size of the weights is some 10,000
    assert ours.std() == pytest.approx(spread, rel=0.08)


def test_intervals_hold_what_comes_on_simulated_shops():
    """Rolling origins: thirteen periods seen, thirteen to come; levels that stand still and that wander."""
    rng = np.random.default_rng(0)
    held = []
    for shop in range(60):
        sigma, tau = rng.choice([0.0, 0.1, 0.2]), rng.choice([0.05, 0.15, 0.3])
        level = np.exp(rng.uniform(1, 6) + np.cumsum(sigma * rng.standard_normal(26) - sigma**2 / 2))
        came = rng.poisson(level * rng.gamma(tau**-2, tau**2, 26))
        if came[:13].any():
            total = clv.sample_new_customers(came[:13], periods=13, seed=shop, draws=400).sum(axis=1)
            low, high = np.quantile(total, [0.05, 0.95])
            held.append(low <= came[13:].sum() <= high)
    assert 0.82 <= np.mean(held) <= 0.99  # .9 less two standard errors of sixty


def test_winning_has_ended_where_nobody_came_for_longer_than_chance():
    assert acquisition_has_ended([30, 40, 20, 0, 0, 0])
    assert not acquisition_has_ended([1, 0, 0, 1, 0, 1, 0, 0])
    assert acquisition_has_ended([0, 0, 0, 0])


@pytest.mark.parametrize(
    ("counts", "periods", "words"),
    [([1, 2, 3], 4, "expected 6 or more"), ([1, -2, 3, 4, 5, 6], 4, "whole numbers"), ([0] * 8, 4, "nobody was won"),
     ([1, 2, 3, 4, 5, 6], 0, "periods = 0")],
)  # fmt: skip
def test_numbers_that_nothing_can_be_forecast_from_are_refused(counts, periods, words):
    with pytest.raises(clv.DataError, match=words):
        clv.sample_new_customers(counts, periods=periods, seed=1)


STUDY = Path(__file__).parents[1] / "studies" / "cdnow_sample.toml"


@pytest.fixture(scope="module")
def study():
    """Value over 52 weeks at 10 % a year; margin .4."""
    read = read_study(STUDY).study
    return msgspec.structs.replace(read, value=msgspec.structs.replace(read.value, margin=0.4))


def shop_of(new_by_fortnight):
    """A log whose customers come as told, each buying once, on the last day of the fortnight; it ends with the last."""
    fortnight = np.repeat(np.arange(len(new_by_fortnight)), new_by_fortnight)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(14 * fortnight + 13, unit="D")
    ids = [f"c{place}" for place in range(len(fortnight))]
    return clv.read_transactions(pd.DataFrame({"customer_id": ids, "date": days, "amount": 10.0}))


def test_new_customers_are_counted_in_whole_fortnights_back_from_the_decision(study):
    came = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]
    log = shop_of(came)
    # the log begins on the last day of the first fortnight, which is no whole one
    assert won_by_period(study, log, log.last_date).tolist() == came[1:]
    earlier = log.last_date - dt.timedelta(days=28)
    assert won_by_period(study, log, earlier).tolist() == came[1:-2]
    since = msgspec.structs.replace(study.window, acquired_from=dt.date(2024, 2, 12))  # of the fourth one
    assert won_by_period(msgspec.structs.replace(study, window=since), log, log.last_date).tolist() == came[3:]


def test_a_new_customer_is_worth_what_simulated_ones_come_to(study, fits, customers):
    """First purchase and repeats, from the day of winning to the end of the horizon, discounted from the decision."""
    middles = np.array([7.0, 119.0, 357.0])
    won = _value_by_period(study, fits, customers, middles)
    left, size = 52.0 - middles / 7, 20_000
    nobody = customers.as_newcomers(np.ones(len(customers))).take(np.zeros(size, dtype=int))
    new = replace(nobody, customer_id=np.array([f"n{i}" for i in range(size)], dtype=object), n_customers=None)
    for place, time in enumerate(left):
        later = clv.sample_clv(*fits, new, horizon=time, annual_discount_rate=0.1, margin=0.4, seed=1, draws=1).mean
        first = clv.predict(fits[1], new, quantity="spend", seed=2, draws=1).mean
        discount = 1.1 ** (-middles[place] / 365.25)
        value = discount * (later + 0.4 * first)
        assert won.mean[0, place] == pytest.approx(value.mean(), abs=4 * value.std() / size**0.5)
        # with another amount at first the two parts agree less: the variance stated is a little high
        assert 0.9 < won.variance[place] / value.var() < 2.5


def test_together_they_have_the_mean_and_the_scatter_of_so_many_independent_ones():
    size = 200_000
    won = _Won(np.full((size, 2), 30.0), np.array([900.0, 400.0]))
    number = np.tile([4.0, 0.0], (size, 1))
    drawn = _outcomes(number, won, np.random.default_rng(1))
    assert drawn[:, 0].mean() == pytest.approx(4 * 30, rel=0.01)
    assert drawn[:, 0].var() == pytest.approx(4 * 900, rel=0.02)
    assert (drawn[:, 1] == 0).all()


def test_value_of_those_to_come_is_their_number_times_what_one_is_worth(study, fits, customers):
    log = shop_of([40, 42, 38, 41, 40, 39, 43, 40, 41, 37, 44, 40, 39, 41])
    many = (with_draws(fits[0]), with_draws(fits[1]))
    found = customers_to_be_won(study, log, log.last_date, many, customers)
    assert found.period_days == 14
    assert found.customers.mean == pytest.approx(26 * 40, rel=0.05)
    halfway = value_of_new(study, many, customers, horizon=26.0)[0] * 1.1**-0.5
    assert found.equity.mean == pytest.approx(found.customers.mean * halfway, rel=0.03)
    assert found.value_each.mean > halfway


def test_a_mean_spend_without_end_leaves_quantiles_alone(study, fits, customers):
    """Where q <= 1 in some draws, the mean of their spend is infinite: a mean of all there is none then."""
    log = shop_of([40] * 14)
    draws = with_draws(fits[1]).draws.copy(deep=True)
    draws["q"][:, :100] = 0.9
    found = customers_to_be_won(
        study, log, log.last_date, (with_draws(fits[0]), replace(fits[1], draws=draws)), customers
    )
    assert found.value_each.mean is None
    assert found.equity.mean is None
    assert found.equity.q50 > 0


def with_draws(fit, size=1000):
    """A fit whose draws are all alike."""
    return replace(fit, draws=fit.draws.isel(draw=np.zeros(size, dtype=int)))


def test_no_forecast_of_new_customers_says_why(study, fits, customers):
    ended, short = shop_of([30] * 12 + [1] + [0] * 5), shop_of([30] * 6)
    late = ended.last_date + dt.timedelta(days=20 * 7)
    assert customers_to_be_won(study, ended, late, fits, customers) == "ended"
    assert customers_to_be_won(study, short, short.last_date, fits, customers) == "short"
