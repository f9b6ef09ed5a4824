"""Chances of each number of purchases, and what to expect of a new customer."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import main
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.forecast_cases import PURCHASES, SPEND, base, customers_of, posterior, replayed
from tests.test_forecast_quantities import known, offering

ERRORS = 4
CUSTOMERS = customers_of(
    [(0, 0, 0, 0), (0, 0, 38.9, 0), (2, 30.43, 38.86, 35), (40, 38.7, 39, 60), (10_000, 999.0, 1000.0, 5.0)]
)
OFFERED = [name for name in offering("purchases") if "conditional_purchase_pmf" in known(name).model.formulas]


@pytest.mark.parametrize("name", OFFERED)
def test_chances_sum_to_one_and_are_shares_of_the_draws(name):
    fit, few, size = known(name), CUSTOMERS.take(np.arange(4)), 10_000
    made = clv.purchase_probabilities(fit, few, horizon=26.0, most=6)
    assert made.probabilities.shape == (4, 8)
    np.testing.assert_allclose(made.probabilities.sum(axis=1), 1, rtol=1e-12)
    drawn = replayed(clv.predict(fit, few, quantity="purchases", horizon=26.0, seed=1, draws=size), "customers")
    for k in range(8):
        share = ((drawn == k) if k < 7 else (drawn > 6)).mean(axis=1)
        p = made.probabilities[:, k]
        assert np.all(np.abs(share - p) <= ERRORS * np.sqrt(p * (1 - p) / size) + 1 / size)


@pytest.mark.parametrize("name", OFFERED)
def test_chances_have_the_expected_mean(name):
    fit = known(name)
    few = CUSTOMERS.take(np.arange(3))
    made = clv.purchase_probabilities(fit, few, horizon=13.0, most=200)
    mean = made.probabilities[:, :-1] @ np.arange(201)
    expected = clv.predict(fit, few, quantity="expected_purchases", horizon=13.0).mean
    within = made.probabilities[:, -1] < 1e-9  # rates with a heavy tail leave something beyond 200
    assert within.sum() >= 2
    np.testing.assert_allclose(mean[within], expected[within], rtol=1e-6)


def test_chances_are_averaged_over_the_posterior_with_that_draws_p_alive():
    fit = posterior(PURCHASES, 30, sd=0.4)
    made = clv.purchase_probabilities(fit, CUSTOMERS, horizon=39.0, most=3)
    assert made.method == "bg_nbd:laplace"
    pmf = fit.model.formulas["conditional_purchase_pmf"]
    history = CUSTOMERS.frequency, CUSTOMERS.recency, CUSTOMERS.T
    for k in range(4):
        expected = pmf(fit.columns(), *history, k, 39.0).mean(axis=0)
        np.testing.assert_allclose(made.probabilities[:, k], expected, rtol=1e-10, atol=1e-14)
    fewer = clv.purchase_probabilities(fit, CUSTOMERS, horizon=39.0, most=3, draws=10)
    thinned = {name: column[::3] for name, column in fit.columns().items()}
    np.testing.assert_allclose(fewer.probabilities[:, 1], pmf(thinned, *history, 1, 39.0).mean(axis=0), rtol=1e-10)


def test_order_subsets_and_counted_rows_have_the_same_chances():
    fit, customers = posterior(PURCHASES, 20), base(300)
    order = np.random.default_rng(0).permutation(300)
    whole = clv.purchase_probabilities(fit, customers, horizon=26.0).probabilities
    some = clv.purchase_probabilities(fit, customers.take(order[:40]), horizon=26.0).probabilities
    assert np.array_equal(whole[order[:40]], some)
    counted = dataclasses.replace(customers, n_customers=np.full(300, 3.0))
    assert np.array_equal(clv.purchase_probabilities(fit, counted, horizon=26.0).probabilities, whole)


def test_nothing_is_bought_in_no_time_and_the_frame_names_the_counts():
    made = clv.purchase_probabilities(PURCHASES, CUSTOMERS, horizon=0.0, most=2)
    assert np.array_equal(made.probabilities, np.tile([1.0, 0, 0, 0], (len(CUSTOMERS), 1)))
    frame = made.to_pandas()
    assert list(frame.columns) == ["customer_id", "p_0", "p_1", "p_2", "p_more"]
    assert made.most == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": -1.0}, "horizon = -1"),
        ({"horizon": (1.0, 2.0)}, "horizon = "),
        ({"horizon": 39.0, "most": -1}, "most = -1"),
        ({"horizon": 39.0, "draws": 0}, "draws = 0"),
    ],
)
def test_chances_that_cannot_be_are_refused(arguments, message):
    with pytest.raises((clv.DataError, clv.FitError), match=message):
        clv.purchase_probabilities(PURCHASES, CUSTOMERS, **arguments)


def test_a_model_without_chances_says_what_it_has():
    few = {"p_alive": PURCHASES.model.formulas["p_alive"]}
    bare = dataclasses.replace(PURCHASES, model=dataclasses.replace(PURCHASES.model, formulas=few))
    with pytest.raises(clv.FitError, match=r'no formula "conditional_purchase_pmf".*: it has p_alive'):
        clv.purchase_probabilities(bare, CUSTOMERS, horizon=39.0)
    with pytest.raises(clv.FitError, match='no formula "expected_purchases_new"'):
        clv.new_customer(bare, horizon=39.0)
    with pytest.raises(clv.FitError, match="a spend model: a purchases model is expected"):
        clv.new_customer(SPEND, horizon=39.0)


# ------------------------------------------------------------------------------------------------ a new customer


def test_a_new_customer_of_the_sample_is_expected_to_buy_as_published(cdnow):
    fit = clv.fit("bg_nbd", cdnow, method="mle")
    new = clv.new_customer(fit, horizon=39.0)
    assert new.to_pandas().loc["expected_purchases", "mean"] == pytest.approx(1.19501, abs=2e-4)


@pytest.mark.parametrize("name", [name for name in OFFERED if "purchase_pmf" in known(name).model.formulas])
def test_new_customers_of_the_story_do_what_is_expected(name):
    fit, size, horizon = known(name), 40_000, 30.0
    new = clv.new_customer(fit, horizon=horizon, most=4)
    buyer, _ = fit.model.simulate(np.random.default_rng(3), fit.point, np.full(size, horizon))
    counts = np.bincount(buyer, minlength=size)
    error = counts.std() / np.sqrt(size)
    assert abs(counts.mean() - new.draws["expected_purchases"][0]) < ERRORS * error
    shares = np.append(np.bincount(counts, minlength=5)[:5], (counts > 4).sum()) / size
    p = new.purchase_pmf[0]
    assert p.sum() == pytest.approx(1, rel=1e-12)
    assert np.all(np.abs(shares - p) < ERRORS * np.sqrt(p * (1 - p) / size))


def test_a_new_customer_is_worth_the_first_purchase_and_what_follows():
    fit, spend = posterior(PURCHASES, 40, chains=2), posterior(SPEND, 40, chains=2, seed=2)
    arguments = {"horizon": 52.0, "annual_discount_rate": 0.1, "margin": 0.3}
    new = clv.new_customer(fit, spend=spend, **arguments)
    newcomer = customers_of([(0, 0, 0, 0)])
    later = clv.expected_clv(fit, spend, newcomer, **arguments).total_draws
    amount = clv.predict(spend, newcomer, quantity="expected_spend").total_draws
    np.testing.assert_allclose(new.draws["later_purchases"], later, rtol=1e-12)
    np.testing.assert_allclose(new.draws["expected_spend"], amount, rtol=1e-12)
    np.testing.assert_allclose(new.draws["first_purchase"], 0.3 * amount, rtol=1e-12)
    np.testing.assert_allclose(new.draws["expected_clv"], 0.3 * amount + later, rtol=1e-12)
    for quantity, of in (("expected_purchases", "expected_purchases"), ("p_alive", "p_alive")):
        same = clv.predict(fit, newcomer, quantity=of, horizon=52.0).total_draws
        np.testing.assert_allclose(new.draws[quantity], same, rtol=1e-9)
    frame, pmf = new.to_pandas(), new.pmf_to_pandas()
    assert list(frame.columns) == list(pmf.columns) == ["mean", "sd", "q05", "q50", "q95"]
    assert frame.loc["expected_clv", "mean"] == pytest.approx(new.draws["expected_clv"].mean(), rel=1e-12)
    assert list(pmf.index) == [*map(str, range(11)), "more"]
    assert pmf["mean"].sum() == pytest.approx(1, rel=1e-12)
    assert new.method == "bg_nbd+gamma_gamma:laplace"


def test_a_fit_with_one_draw_goes_with_a_fit_of_many():
    new = clv.new_customer(PURCHASES, spend=posterior(SPEND, 30), horizon=52.0, discount_per_unit=0.0)
    assert {len(values) for values in new.draws.values()} == {30}
    assert new.to_pandas().loc["expected_purchases", "sd"] < 1e-12


def test_new_customers_like_those_given_average_over_their_covariates():
    people = base(400)
    rng = np.random.default_rng(2)
    kinds = dataclasses.replace(people, covariates={"age": rng.choice([0.0, 1.0], 400)})
    fit = clv.fit("bg_nbd", kinds, draws=50, seed=1, covariates=["age"])
    with pytest.raises(clv.FitError, match="bg_nbd depends on covariates or groups: say which customers by like="):
        clv.new_customer(fit, horizon=39.0)
    young, old = (kinds.take(kinds.covariates["age"] == age) for age in (0.0, 1.0))
    of_all, of_young, of_old = (clv.new_customer(fit, horizon=39.0, like=some) for some in (kinds, young, old))
    share = len(old) / 400
    for quantity in ("expected_purchases", "p_alive"):
        mixed = (1 - share) * of_young.draws[quantity] + share * of_old.draws[quantity]
        np.testing.assert_allclose(of_all.draws[quantity], mixed, rtol=1e-12)
    np.testing.assert_allclose(
        of_all.purchase_pmf, (1 - share) * of_young.purchase_pmf + share * of_old.purchase_pmf, rtol=1e-12, atol=1e-15
    )
    with_spend = clv.new_customer(fit, horizon=39.0, like=kinds, spend=SPEND, discount_per_unit=0.0)
    amount = GAMMA_GAMMA_PAPER["p"] * GAMMA_GAMMA_PAPER["v"] / (GAMMA_GAMMA_PAPER["q"] - 1)
    np.testing.assert_allclose(
        with_spend.draws["later_purchases"], amount * of_all.draws["expected_purchases"], rtol=1e-7
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": np.inf}, "horizon = inf"),
        ({"horizon": 39.0, "annual_discount_rate": 0.1}, "give spend="),
        ({"horizon": 39.0, "spend": SPEND}, "give one of annual_discount_rate"),
        ({"horizon": 39.0, "spend": SPEND, "annual_discount_rate": 0.1, "margin": -1.0}, "margin = -1"),
        ({"horizon": 39.0, "like": dataclasses.replace(CUSTOMERS, unit="day")}, 'in units of a "day"'),
    ],
)
def test_new_customers_that_cannot_be_are_refused(arguments, message):
    with pytest.raises((clv.DataError, clv.FitError), match=message):
        clv.new_customer(PURCHASES, **arguments)


# ------------------------------------------------------------------------------------------------ command line


@pytest.fixture
def saved(tmp_path):
    fit, summary = tmp_path / "fit.nc", tmp_path / "customers.csv"
    clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="week").save(fit)
    CUSTOMERS.to_pandas().to_csv(summary, index=False)
    return ["predict", str(fit), str(summary), "--output", str(tmp_path / "made.csv")], tmp_path / "made.csv"


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["dert", "--annual-discount-rate", "0.15"], {"annual_discount_rate": 0.15}),
        (["dert", "--discount-per-unit", "0.01"], {"discount_per_unit": 0.01}),
        (["expected_purchases", "--horizon", "13:39"], {"horizon": (13.0, 39.0)}),
        (["p_alive", "--horizon", "13"], {"horizon": 13.0}),
        (["purchases", "--horizon", "13:39.5", "--seed", "1", "--draws", "20"],
         {"horizon": (13.0, 39.5), "seed": 1, "draws": 20}),
    ],
)  # fmt: skip
def test_the_command_line_answers_as_predict_does(saved, options, asked):
    command, made = saved
    assert main([*command, "--quantity", *options]) == 0
    expected = clv.predict(PURCHASES, CUSTOMERS, quantity=options[0], **asked)
    np.testing.assert_allclose(pd.read_csv(made)["mean"], expected.mean, rtol=1e-9)


def test_the_command_line_names_a_horizon_that_cannot_be(saved, capsys):
    command, _ = saved
    for odd in ("13-39", "1:2:3", "soon"):
        with pytest.raises(SystemExit):
            main([*command, "--quantity", "expected_purchases", "--horizon", odd])
        assert "expected a length of time such as 39, or a stretch such as 13:39" in capsys.readouterr().err
    assert main([*command, "--quantity", "expected_purchases", "--horizon", "39:13"]) == 2
