"""Posterior predictive checks: quantities as counted by hand, replications as the formulas have them."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.evaluation import predictive_checks
from clvmodels.evaluation.predictive_checks import (
    posterior_predictive_check,
    purchase_quantities,
    spend_quantities,
    two_sided_p_value,
)
from clvmodels.forecast import simulate
from clvmodels.foundation.records import CustomerSummary
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.forecast_cases import readable_by

PAPER = clv.fit_at("bg_nbd", BG_NBD_PAPER)
SPEND = clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER)


def simulated(size, seed, **changes):
    parameters = {**BG_NBD_PAPER, **changes}
    return simulate("bg_nbd", parameters, T=39.0, size=size, seed=seed, spend=GAMMA_GAMMA_PAPER)[0]


def by_key(table):
    return {(row.quantity, row.group): row for row in table.rows}


def quantile_error(distribution, probability, replicates):
    """Standard error of a quantile of a number of independent replications, by its density."""
    at = distribution.ppf(probability)
    density = max(distribution.pmf(at), 1e-12) if hasattr(distribution, "pmf") else distribution.pdf(at)
    return np.sqrt(probability * (1 - probability) / replicates) / density


def test_quantities_of_five_customers_are_those_counted_by_hand():
    frequency = np.array([0.0, 1.0, 2.0, 9.0, 1.0])
    recency = np.array([0.0, 2.0, 10.0, 39.0, 7.9])
    age = np.array([40.0, 20.0, 10.0, 40.0, 10.0])
    # last purchases at 10, 100, 97.5 and 79 % of their time: fifths 1, 5, 5, 4; silences 18, 0, 1, 2.1
    expected = [1, 2, 1, 0, 0, 0, 0, 1, 13, 9, 1 / 4, 0, 0, 1 / 4, 2 / 4, 21.1 / 4]
    whole = purchase_quantities([(frequency, recency, age)])
    assert whole == pytest.approx(expected)
    parts = [(frequency[rows], recency[rows], age[rows]) for rows in (slice(0, 2), slice(2, 5))]
    assert purchase_quantities(parts) == pytest.approx(expected)


def test_quantities_of_spend_are_those_of_its_class():
    spend = np.array([10.0, 20.0, 60.0, 5.0, 7.0])
    found = spend_quantities(spend, {"1": slice(0, 3), "2-3": slice(3, 5)})
    assert found == pytest.approx([30.0, 20.0, np.sqrt(1400 / 3), 56.0, 60.0, 6.0, 6.0, 1.0, 6.9, 7.0])


def test_a_p_value_counts_ties_and_the_data_by_half():
    drawn = np.array([1.0, 2.0, 2.0, 3.0])
    assert two_sided_p_value(drawn, 2.0) == pytest.approx(1.0)  # one above and 3 halves, of five
    assert two_sided_p_value(drawn, 3.0) == pytest.approx(2 * 1 / 5)
    assert two_sided_p_value(drawn, 9.0) == pytest.approx(2 * 0.5 / 5)
    assert two_sided_p_value(drawn, 0.0) == pytest.approx(2 * 0.5 / 5)


@pytest.mark.parametrize("slice_size", [100_000, 700])
def test_replicated_counts_are_as_the_probability_mass_function_says(monkeypatch, slice_size):
    """At known parameters customers with x repeats are binomial with eq. 8 of the paper's P(X(t) = x)."""
    monkeypatch.setattr(predictive_checks, "SLICE", slice_size)
    rows = by_key(posterior_predictive_check(PAPER, simulated(2000, seed=1), seed=2, replicates=400))
    mass = PAPER.model.formulas["purchase_pmf"](BG_NBD_PAPER, np.arange(7.0), 39.0)
    shares = dict(zip("0123456", mass, strict=True)) | {"7+": 1 - mass.sum()}
    for group, share in shares.items():
        counts = stats.binom(2000, share)
        row = rows["customers", group]
        for found, probability in ((row.low, 0.05), (row.median, 0.5), (row.high, 0.95)):
            error = quantile_error(counts, probability, 400)
            assert abs(found - counts.ppf(probability)) <= 4 * error + 1, (group, probability)


def test_replicated_spend_is_beta_prime_at_known_parameters():
    """x m / v ~ BetaPrime(p x, q): so are the median and the 95 % quantile over customers alike in x."""
    size = 4000
    customers = simulated(20, seed=1)
    customers = CustomerSummary.from_frame(
        customers.to_pandas()
        .iloc[np.zeros(size, dtype=int)]
        .assign(customer_id=np.arange(size), frequency=1, recency=3.0, monetary_value=np.linspace(20, 60, size))
        .drop(columns=["paid_purchases", "log_amount", "log_amount_sd", "log_interval"]),
        unit="week",
    )
    rows = by_key(posterior_predictive_check(SPEND, customers, seed=3, replicates=200))
    p, q, v = GAMMA_GAMMA_PAPER.values()
    spend = stats.betaprime(p, q, scale=v)
    for moment, probability in (("median", 0.5), ("q95", 0.95)):
        of_one = quantile_error(spend, probability, size)  # sd of the quantity itself; its median is found to
        assert abs(rows[moment, "1"].median - spend.ppf(probability)) < 4 * 1.25 * of_one / np.sqrt(200)
    assert rows["mean", "1"].median == pytest.approx(spend.mean(), abs=5 * spend.std() / np.sqrt(size * 200))
    assert {group for _, group in rows} == {"all", "1"}  # a class without customers has no row


def test_p_values_are_uniform_when_the_model_and_its_parameters_are_true():
    tables = [posterior_predictive_check(PAPER, simulated(150, seed), seed=seed, replicates=39) for seed in range(120)]
    spends = [posterior_predictive_check(SPEND, simulated(150, seed), seed=seed, replicates=39) for seed in range(120)]
    chosen = [("silence", "all"), ("repeats", "all"), ("last_purchase", "5"), ("customers", "0")]
    for found, keys in ((tables, chosen), (spends, [("mean", "all"), ("sd", "all"), ("median", "1")])):
        for key in keys:
            p_values = np.array([by_key(table)[key].p_value for table in found])
            assert stats.kstest(p_values, "uniform").pvalue > 1e-4, key  # a wrong side or scale gives 1e-20
            outside = np.mean([by_key(table)[key].outside for table in found])
            assert abs(outside - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 120) + 0.03, key  # ends count as inside


@pytest.mark.parametrize(
    ("change", "quantity", "group", "above"),
    [
        ({"a": 0.01}, "silence", "all", False),  # nobody drops out: bought more lately than the model makes
        ({"a": 3.0}, "last_purchase", "1", True),  # most drop out: quiet early
        ({"r": 1.2}, "customers", "0", False),
        ({"alpha": 1.0}, "customers", "7+", True),
    ],
)
def test_data_that_the_model_did_not_make_fall_outside(change, quantity, group, above):
    row = by_key(posterior_predictive_check(PAPER, simulated(3000, seed=5, **change), seed=6, replicates=100))[
        quantity, group
    ]
    assert row.outside
    assert (row.observed > row.median) is above
    assert row.p_value == pytest.approx(1 / 101)


def test_every_way_of_fitting_is_checked_and_a_posterior_is_wider_than_a_point(cdnow, bg_nbd_fit):
    point = clv.fit("bg_nbd", cdnow, method="mle")
    tables = {fit.method: posterior_predictive_check(fit, cdnow, seed=1) for fit in (bg_nbd_fit, point)}
    widths = {method: by_key(table)["repeats", "all"] for method, table in tables.items()}
    assert widths["laplace"].high - widths["laplace"].low > 1.2 * (widths["mle"].high - widths["mle"].low)
    assert [(row.quantity, row.group, row.observed) for row in tables["mle"].rows] == [
        (row.quantity, row.group, row.observed) for row in tables["laplace"].rows
    ]


def test_on_the_paper_s_data_bg_nbd_reproduces_the_histogram_of_repeats(cdnow, bg_nbd_fit):
    """Fader, Hardie and Lee (2005), figure 2: the fit of 0, 1, ..., 7+ repeats is not rejected (chi-square)."""
    rows = by_key(posterior_predictive_check(bg_nbd_fit, cdnow, seed=1))
    counts = [row.observed for (quantity, _), row in rows.items() if quantity == "customers"]
    assert counts[:4] == [1411, 439, 214, 100]
    assert sum(rows["customers", group].outside for group in ("0", "1", "2", "3", "4", "5", "6", "7+")) <= 1


def test_a_model_without_drop_out_fails_on_timing_where_bg_nbd_does_not(cdnow, bg_nbd_fit):
    """The reason to have drop-out at all: customers of NBD would go on buying to the last day."""
    outside = {}
    for fit in (bg_nbd_fit, clv.fit("nbd", cdnow, draws=500, seed=1)):
        rows = posterior_predictive_check(fit, cdnow, seed=1, replicates=100).rows
        outside[fit.model.name] = {row.quantity for row in rows if row.aspect == "timing" and row.outside}
    assert outside == {"bg_nbd": set(), "nbd": {"last_purchase", "silence"}}


STORIES = [name for name, m in clv.MODELS.items() if m.simulate is not None and m.family != "retention"]
NO_MAXIMUM = ("pareto_ggg",)  # on CDNOW, where one regularity would do for all


@pytest.mark.parametrize("name", [name for name in STORIES if name not in NO_MAXIMUM])
def test_every_model_with_a_story_makes_as_much_as_it_learnt_from(name, cdnow):
    customers = readable_by(name, cdnow)
    fit = clv.fit(name, customers, draws=300, seed=1)  # a richer model may have no maximum of the likelihood
    rows = by_key(posterior_predictive_check(fit, customers, seed=1, replicates=40))
    assert len(rows) == (16 if fit.model.family == "purchases" else 20)
    total = rows["repeats" if fit.model.family == "purchases" else "mean", "all"]
    assert abs(total.observed / total.median - 1) < 0.1


def test_on_the_paper_s_data_spend_rises_with_purchases_beyond_the_model(cdnow, gamma_gamma_fit):
    rows = by_key(posterior_predictive_check(gamma_gamma_fit, cdnow, seed=1))
    frequent, once = rows["mean", "4+"], rows["mean", "1"]
    assert frequent.observed > frequent.median > once.observed


def test_the_order_of_customers_and_counted_rows_change_nothing(cdnow, bg_nbd_fit, gamma_gamma_fit):
    order = np.random.default_rng(1).permutation(len(cdnow))
    frame = cdnow.to_pandas().groupby(["frequency", "recency", "T", "monetary_value"], dropna=False, as_index=False)
    counted = frame.agg(customer_id=("customer_id", "first"), n_customers=("customer_id", "size"))
    counted = CustomerSummary.from_frame(counted, unit="week")
    assert len(counted) < len(cdnow)
    for fit in (bg_nbd_fit, gamma_gamma_fit):
        expected, *others = (
            posterior_predictive_check(fit, given, seed=4, replicates=20)
            for given in (cdnow, cdnow.take(order), counted)
        )
        for other in others:
            assert [without_observed(row) for row in other.rows] == [without_observed(row) for row in expected.rows]
            observed = [row.observed for row in expected.rows]
            assert [row.observed for row in other.rows] == pytest.approx(observed, rel=1e-12)
            assert other.customers == len(cdnow)


def without_observed(row):
    return replace(row, observed=0.0)  # a sum in another order differs in its last digit


def test_customers_are_replicated_with_their_own_parameters():
    """Two kinds of customers, one buying ten times as often: with the covariate the model knows which is which."""
    slow, fast = simulated(1500, seed=1, r=3.0, alpha=120.0), simulated(1500, seed=2, r=3.0, alpha=12.0)
    frame = slow.to_pandas().assign(kind=0.0, T=30.0)
    frame = frame[frame["recency"] <= 30]
    other = fast.to_pandas().assign(kind=1.0)
    other["customer_id"] = "f" + other["customer_id"]
    customers = CustomerSummary.from_frame(pd.concat([frame, other]), unit="week", covariates=["kind"])
    fit = clv.fit("bg_nbd", customers, covariates=["kind"], draws=500, seed=1)
    with_kind = posterior_predictive_check(fit, customers, seed=1, replicates=100)
    base = clv.fit_at("bg_nbd", {name: fit.point[name] for name in BG_NBD_PAPER})
    without = posterior_predictive_check(base, customers, seed=1, replicates=100)
    assert not by_key(with_kind)["repeats", "all"].outside
    assert by_key(without)["repeats", "all"].outside
    assert by_key(without)["customers", "0"].outside


def test_a_table_becomes_a_frame_that_says_what_is_outside(cdnow, bg_nbd_fit):
    table = posterior_predictive_check(bg_nbd_fit, cdnow, seed=1, replicates=20)
    frame = table.to_pandas()
    assert len(frame) == len(table.rows) == 16
    assert frame["outside"].tolist() == [row.outside for row in table.rows]
    assert (table.model, table.method, table.customers, table.replicates) == ("bg_nbd", "laplace", 2357, 20)


def test_replications_that_leave_the_range_of_floats_have_no_interval():
    """At q = 0.001 spends are beyond any float: the row says so and the table stays."""
    wild = clv.fit_at("gamma_gamma", {"p": 6.25, "q": 0.001, "v": 15.44})
    table = posterior_predictive_check(wild, simulated(200, seed=1), seed=1, replicates=20)
    row = by_key(table)["largest_spend", "all"]
    assert (row.median, row.high, row.outside) == (None, None, False)
    assert row.p_value == pytest.approx(1 / 21)


@pytest.mark.parametrize(
    ("fit", "change", "arguments", "message"),
    [
        (PAPER, {}, {"seed": 1, "replicates": 19}, "replicates = 19: expected a whole number, 20 or more"),
        (PAPER, {}, {"seed": 1, "replicates": 50.0}, "replicates = 50.0"),
        (PAPER, {}, {"seed": None}, "give a seed"),
        (PAPER, {"unit": "day"}, {"seed": 1}, 'units of a "week"'),
        (SPEND, {"currency": "EUR"}, {"seed": 1}, "in USD, the customers in EUR"),
    ],
)
def test_what_cannot_be_checked_is_refused_before_any_work(fit, change, arguments, message):
    with pytest.raises(ValueError, match=message):
        posterior_predictive_check(fit, replace(simulated(50, seed=1), **change), **arguments)


def test_spend_is_not_checked_without_a_repeat_purchase():
    customers = simulated(50, seed=1)
    first = customers.take(customers.frequency == 0)
    with pytest.raises(ValueError, match="no spend to replicate"):
        posterior_predictive_check(SPEND, first, seed=1)


@pytest.mark.bench
def test_two_hundred_replications_of_cdnow_take_three_seconds():
    log = clv.read_transactions("dataset:cdnow")
    customers = clv.customer_summary(log, clv.Window(log.last_date, unit="week"))
    start = time.perf_counter()
    posterior_predictive_check(PAPER, customers, seed=1)
    posterior_predictive_check(SPEND, customers, seed=1)
    assert time.perf_counter() - start < 3
