"""Spend and purchase rate: the test of independence has its level, and the rate as a covariate takes the bias away."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from tests.conftest import BG_NBD_PAPER
from tests.forecast_cases import customers_of
from tests.spend_cases import AMOUNTS, RATES, spenders

PARETO = clv.fit_at("pareto_nbd", RATES)
MEASURES = ("elasticity", "correlation", "rank_correlation")
each_model = pytest.mark.parametrize("name", AMOUNTS)


def p_values(name, elasticity, *, replicates, size=700, fit=PARETO):
    """P values of the three measures, shape (replicates, 3), and the elasticities found."""
    spend = clv.fit_at(name, AMOUNTS[name])
    made = [
        clv.spend_independence(fit, spend, spenders(name, elasticity, size=size, seed=seed)[0])
        for seed in range(replicates)
    ]
    table = np.array([[getattr(one, measure).p_value for measure in MEASURES] for one in made])
    return table, [one.elasticity for one in made]


def within(share, level, replicates):
    return abs(share - level) < 4 * np.sqrt(level * (1 - level) / replicates)


def test_independent_spend_is_rejected_as_often_as_the_level_says():
    """The usual p value of the rank correlation rejects a third: medians of means rise with their number."""
    found, elasticities = p_values("lognormal_spend", 0.0, replicates=80)
    rejected = dict(zip(MEASURES, (found < 0.05).mean(axis=0), strict=True))
    assert within(rejected["elasticity"], 0.05, 80)
    assert rejected["rank_correlation"] > 0.2
    assert stats.kstest(found[:, 0], "uniform").pvalue > 1e-3
    covered = np.mean([one.low < 0 < one.high for one in elasticities])
    assert within(covered, 0.95, 80)


@pytest.mark.slow
@each_model
def test_the_level_holds_for_every_spend_model(name):
    found, _ = p_values(name, 0.0, replicates=600)
    assert within((found[:, 0] < 0.05).mean(), 0.05, 600)
    assert within((found[:, 0] < 0.01).mean(), 0.01, 600)


@pytest.mark.slow
def test_the_level_holds_when_rates_are_of_another_model():
    """Rates by BG/NBD at the paper's parameters, where the story is Pareto/NBD: the null is of amounts alone."""
    found, _ = p_values("gamma_gamma", 0.0, replicates=400, fit=clv.fit_at("bg_nbd", BG_NBD_PAPER))
    assert within((found[:, 0] < 0.05).mean(), 0.05, 400)


@each_model
def test_spend_that_goes_with_the_rate_is_found(name):
    found, elasticities = p_values(name, 0.3, replicates=12)
    assert (found[:, 0] < 0.05).all()
    assert np.mean([one.estimate for one in elasticities]) == pytest.approx(0.3, abs=0.05)


def test_what_a_covariate_explains_is_not_put_down_to_the_rate():
    """Spend is three times in the shop, where customers also buy faster: c is 0 given the channel."""
    fast, slow = (spenders("lognormal_spend", 0.0, size=1500, seed=seed)[0] for seed in (1, 2))
    fast = dataclasses.replace(fast, T=fast.T / 4, recency=fast.recency / 4, covariates={"shop": np.ones(1500)})
    dear = {name: getattr(fast, name) * 3 for name in ("monetary_value", "first_amount")}
    fast = dataclasses.replace(fast, **dear, log_amount=fast.log_amount + np.log(3))
    slow = dataclasses.replace(slow, covariates={"shop": np.zeros(1500)})
    both = joined(fast, slow)
    alike = clv.fit("lognormal_spend", both, method="mle")
    apart = clv.fit("lognormal_spend", both, method="mle", covariates=["shop"])
    assert clv.spend_independence(PARETO, alike, both).elasticity.p_value < 1e-6
    assert clv.spend_independence(PARETO, apart, both).elasticity.p_value > 0.01


def joined(one, other):
    frames = [
        of.to_pandas().assign(customer_id=mark + of.customer_id, shop=of.covariates["shop"])
        for mark, of in (("a", one), ("b", other))
    ]
    import pandas as pd

    return clv.CustomerSummary.from_frame(pd.concat(frames), unit="week", covariates=["shop"])


def test_spend_on_cdnow_goes_with_the_rate(cdnow, bg_nbd_fit, gamma_gamma_fit):
    """The paper finds a correlation of .11 and lets it pass; twice the rate goes with 8 to 14 % more a purchase."""
    of_means = clv.spend_independence(bg_nbd_fit, gamma_gamma_fit, cdnow)
    assert of_means.correlation.estimate == pytest.approx(0.11, abs=0.005)
    assert of_means.elasticity.estimate == pytest.approx(0.18, abs=0.02)
    assert of_means.n_customers == 946
    for name in ("gamma_gamma_transactions", "lognormal_spend"):
        of_amounts = clv.spend_independence(bg_nbd_fit, clv.fit_at(name, AMOUNTS[name]), cdnow).elasticity
        assert of_amounts.estimate == pytest.approx(0.11, abs=0.02)
        assert of_amounts.p_value < 1e-3


def test_the_order_of_customers_and_counted_rows_change_nothing(cdnow, bg_nbd_fit, gamma_gamma_fit):
    frame = cdnow.to_pandas().groupby(["frequency", "recency", "T", "monetary_value"], dropna=False, as_index=False)
    counted = frame.agg(customer_id=("customer_id", "first"), n_customers=("customer_id", "size"))
    counted = clv.CustomerSummary.from_frame(counted, unit="week")
    order = np.random.default_rng(1).permutation(len(cdnow))
    expected = clv.spend_independence(bg_nbd_fit, gamma_gamma_fit, cdnow)
    for given in (counted, cdnow.take(order)):
        ours = clv.spend_independence(bg_nbd_fit, gamma_gamma_fit, given)
        assert ours.to_pandas().to_numpy() == pytest.approx(expected.to_pandas().to_numpy(), rel=1e-5, abs=1e-12)
        assert ours.n_customers == expected.n_customers


def test_the_test_reads_as_a_table_and_as_text(cdnow, bg_nbd_fit, gamma_gamma_fit):
    made = clv.spend_independence(bg_nbd_fit, gamma_gamma_fit, cdnow, level=0.9)
    frame = made.to_pandas()
    assert list(frame.index) == list(MEASURES)
    assert (frame["low"] < frame["estimate"]).all()
    assert (frame["estimate"] < frame["high"]).all()
    assert frame.loc["elasticity", "p_value"] == pytest.approx(stats.chi2.sf(made.statistic, 1))
    assert "spend depends on the purchase rate; twice the rate goes with +13" in made.summary()


def test_what_cannot_be_tested_is_refused(cdnow, bg_nbd_fit, gamma_gamma_fit):
    with pytest.raises(clv.FitError, match="the first argument is a fit of gamma_gamma"):
        clv.spend_independence(gamma_gamma_fit, gamma_gamma_fit, cdnow)
    with pytest.raises(clv.FitError, match="the second argument is a fit of bg_nbd"):
        clv.spend_independence(bg_nbd_fit, bg_nbd_fit, cdnow)
    with pytest.raises(clv.FitError, match=r"level = 95: expected a number between 0 and 1"):
        clv.spend_independence(bg_nbd_fit, gamma_gamma_fit, cdnow, level=95)
    with pytest.raises(clv.FitError, match="in USD, the customers in EUR"):
        clv.spend_independence(bg_nbd_fit, gamma_gamma_fit, dataclasses.replace(cdnow, currency="EUR"))
    with pytest.raises(clv.FitError, match='units of a "week"'):
        clv.spend_independence(bg_nbd_fit, gamma_gamma_fit, dataclasses.replace(cdnow, unit="day"))


# The rate as a covariate


def test_the_rate_is_that_of_the_posterior_of_a_gamma():
    rows = [(0, 0.0, 0.0, 0.0), (0, 0.0, 39.0, 0.0), (2, 30.43, 38.86, 20.0), (10_000, 30.0, 31.0, 9.0)]
    customers = customers_of(rows)
    x, T = customers.frequency, customers.T
    for name, parameters in (("nbd", {"r": 0.4, "alpha": 12.0}), ("pareto_nbd", RATES)):
        rated = clv.with_purchase_rate(clv.fit_at(name, parameters), customers, horizon=1e-6)
        exact = np.log((parameters["r"] + x) / (parameters["alpha"] + T))
        assert rated.covariates["log_purchase_rate"] == pytest.approx(exact, abs=1e-5)
    ordinary = clv.with_purchase_rate(clv.fit_at("bg_nbd", BG_NBD_PAPER), customers).covariates["log_purchase_rate"]
    assert ordinary == pytest.approx(np.log((0.243 + x) / (4.414 + T)), abs=0.01)


def test_a_model_without_a_rate_given_alive_has_it_by_its_expectations():
    fit = clv.fit_at("pareto_nbd", RATES)
    formulas = {name: f for name, f in fit.model.formulas.items() if name != "purchases_if_alive"}
    other = dataclasses.replace(fit, model=dataclasses.replace(fit.model, formulas=formulas))
    customers = spenders("gamma_gamma", 0.0, size=50, seed=1)[0]
    ours, theirs = (clv.with_purchase_rate(f, customers).covariates["log_purchase_rate"] for f in (fit, other))
    assert theirs == pytest.approx(ours, rel=1e-9)


def test_a_rate_that_cannot_be_worked_out_is_refused(cdnow, gamma_gamma_fit):
    with pytest.raises(clv.FitError, match="the first argument is a fit of gamma_gamma"):
        clv.with_purchase_rate(gamma_gamma_fit, cdnow)
    with pytest.raises(clv.DataError, match=r"horizon = 0: expected a length of time above 0"):
        clv.with_purchase_rate(PARETO, cdnow, horizon=0)
    with pytest.raises(clv.DataError, match="give horizon"):
        clv.with_purchase_rate(PARETO, customers_of([(0, 0.0, 39.0, 0.0)]))


@each_model
def test_with_the_rate_as_a_covariate_values_are_right_where_spend_goes_with_it(name):
    """Customers who buy seldom are overvalued by a product of independent models, and so the share of the top
    tenth in all value is too low: the mean spend of the base is learnt from those who buy often."""
    customers, worth = spenders(name, 0.4, size=5000, seed=1)
    rated = clv.with_purchase_rate(PARETO, customers)
    scale = "m" if name == "lognormal_spend" else "v"
    alone = clv.fit(name, customers, method="mle")
    with_rate = clv.fit(name, rated, method="mle", covariates={scale: ["log_purchase_rate"]})
    purchases = clv.predict(PARETO, customers, quantity="expected_purchases", horizon=39).mean
    top, seldom = purchases >= np.quantile(purchases, 0.9), customers.frequency == 0
    independent = clv.predict(alone, customers, quantity="expected_spend").mean
    dependent = clv.predict(with_rate, rated, quantity="expected_spend").mean
    assert independent[seldom].sum() > 1.3 * worth[seldom].sum()
    assert dependent[seldom].sum() == pytest.approx(worth[seldom].sum(), rel=0.08)
    assert dependent[top].sum() == pytest.approx(worth[top].sum(), rel=0.04)
    plain, ours, true = ((purchases * m)[top].sum() / (purchases * m).sum() for m in (independent, dependent, worth))
    assert true - plain > 0.015
    assert abs(true - ours) < 0.4 * (true - plain)
