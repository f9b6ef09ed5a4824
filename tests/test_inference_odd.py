"""Odd and bad data: a clear error, or a flagged, finite, sensible fit."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.foundation.events import spend_columns
from clvmodels.models import MODELS
from tests.forecast_cases import readable_by

SLOW = dict.fromkeys(("ggom_nbd", "pareto_ggg", "pareto_nbd_abe"), pytest.mark.slow)  # integrals, or a slow graph
PURCHASES = [name for name, model in MODELS.items() if model.family == "purchases"]


def customers(frequency, recency, T, monetary_value=None, **columns):
    size = len(frequency)
    frame = pd.DataFrame({"customer_id": [str(i) for i in range(size)], "frequency": frequency, "recency": recency})
    frame["T"] = T
    even = np.log(np.maximum(recency, 1e-9) / np.maximum(frequency, 1))  # of even times, but for a little
    frame["log_interval"] = np.where(np.asarray(frequency) > 0, even - 0.1 * (np.asarray(frequency) > 1), np.nan)
    if monetary_value is not None:
        frame["monetary_value"] = monetary_value
    return clv.CustomerSummary.from_frame(frame.assign(**columns), unit="week")


def one_buyer(size=300):
    age = np.random.default_rng(0).integers(10, 30, size).astype(float)
    first = np.arange(size) == 0
    return customers(1.0 * first, 5.0 * first, age)


ODD = {
    "all customers alike": customers(np.full(300, 2.0), np.full(300, 10.0), np.full(300, 20.0)),
    "one repeat buyer": one_buyer(),
    "two customers": customers(np.array([1.0, 0.0]), np.array([3.0, 0.0]), np.array([10.0, 9.0])),
    "all bought again on the last day": customers(np.ones(300), np.full(300, 20.0), np.full(300, 20.0)),
    "most were won on the last day": customers(
        np.r_[3.0, 1.0, np.zeros(98)], np.r_[5.0, 2.0, np.zeros(98)], np.r_[10.0, 10.0, np.zeros(98)]
    ),
    "few buy 5,000 times": customers(
        np.r_[np.full(20, 5000.0), np.zeros(280)], np.r_[np.full(20, 29.5), np.zeros(280)], np.full(300, 30.0)
    ),
}


# Equal waits of all customers: the density of a model with regular timing grows without end.
WITHOUT_MODE = [("pareto_ggg", "all bought again on the last day")]


@pytest.mark.parametrize(("name", "case"), WITHOUT_MODE)
def test_data_without_a_mode_are_refused(name, case):
    with pytest.raises(clv.FitError, match=r"no well-defined mode.*tighter priors, a simpler model"):
        clv.fit(name, ODD[case], method="laplace", draws=300, seed=1)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(*pair, marks=SLOW.get(pair[0], ()))
        for pair in itertools.product(PURCHASES, ODD)
        if pair not in WITHOUT_MODE
    ],
)
def test_odd_data_get_a_finite_posterior(name, case):
    """Some draws must remain usable: finite parameters, and expectations that are finite and not negative."""
    odd = readable_by(name, ODD[case])
    fit = clv.fit(name, odd, method="laplace", draws=300, seed=1)
    assert all(np.isfinite(values).all() for values in fit.draws.data_vars.values())
    fit = fit.allowing(*(check.key for check in fit.checks))
    offered = "expected_purchases" in fit.model.quantities
    looked_for = {"quantity": "expected_purchases", "horizon": 10.0} if offered else {"quantity": "p_alive"}
    expected = clv.predict(fit, odd, **looked_for)
    assert np.isfinite(expected.mean).all()
    assert (expected.mean >= 0).all()


def fitted_or_refused(name, summary):
    """The fit by maximum likelihood and no message, or no fit and the message."""
    try:
        return clv.fit(name, summary, method="mle"), ""
    except clv.FitError as problem:
        return None, str(problem)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("name", PURCHASES)
def test_maximum_likelihood_of_odd_data_converges_or_says_what_is_not_identified(name, case):
    fit, problem = fitted_or_refused(name, readable_by(name, ODD[case]))
    if fit is None:
        assert "no well-defined mode" in problem
        assert 'method = "laplace"' in problem
    else:
        assert np.isfinite(fit.log_likelihood)
        assert all(parameter.holds(fit.point[parameter.name]) for parameter in fit.model.parameters)


@pytest.mark.parametrize("name", PURCHASES)
def test_a_base_without_repeats_is_refused(name):
    base = customers(np.zeros(50), np.zeros(50), np.linspace(1, 20, 50))
    with pytest.raises(clv.DataError, match="none of the 50 customers has a repeat purchase"):
        clv.fit(name, base, seed=1)


def scaled(summary, time, money):
    if isinstance(summary, clv.RetentionTable):
        return dataclasses.replace(summary, entry=summary.entry * time, age=summary.age * time)
    frame = summary.to_pandas()
    frame[["recency", "T"]] *= time
    frame["log_interval"] += np.log(time)
    frame["monetary_value"] *= money
    frame["log_amount"] += np.log(money)
    return clv.CustomerSummary.from_frame(frame, unit="week")


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=SLOW.get(n, ())) for n, model in MODELS.items() if model.clock == "continuous"],
)
def test_the_scale_of_time_and_money_does_not_change_the_inference(name, scale, cdnow):
    """Parameters of time or money scale with the data, all others stay; so does every draw."""
    customers = readable_by(name, cdnow)
    plain = clv.fit(name, customers, draws=200, seed=1)
    fit = clv.fit(name, scaled(customers, scale, scale), draws=200, seed=1)
    assert fit.passed
    for parameter in fit.model.parameters:
        factor = {"number": 1.0, "rate": 1 / scale}.get(parameter.dimension, scale)
        ours = fit.draws[parameter.name].values / factor
        assert ours == pytest.approx(plain.draws[parameter.name].values, rel=2e-3)


@pytest.fixture(scope="module")
def heavy_spend():
    """Mean spends with q = .6: their mean does not exist."""
    rng = np.random.default_rng(3)
    frequency = rng.integers(1, 5, 2_000).astype(float)
    amounts = MODELS["gamma_gamma"].simulate(rng, {"p": 4.0, "q": 0.6, "v": 5.0}, frequency)
    spend = spend_columns(np.repeat(np.arange(2_000), frequency.astype(int)), amounts, 2_000)["monetary_value"]
    return customers(frequency, np.full(2_000, 5.0), np.full(2_000, 10.0), spend)


@pytest.mark.parametrize("method", ["mle", "laplace"])
def test_spend_with_an_infinite_mean_is_flagged_and_no_forecast_is_made(heavy_spend, method):
    fit = clv.fit("gamma_gamma", heavy_spend, method=method, seed=None if method == "mle" else 1)
    (check,) = (check for check in fit.checks if check.key == "infinite_mean")
    assert not check.passed
    with pytest.raises(clv.FitError, match=r"infinite_mean = 1 .*q at or below 1.*fit.allowing\(.infinite_mean.\)"):
        clv.predict(fit, heavy_spend, quantity="expected_spend")


def test_an_infinite_mean_that_is_allowed_is_infinite_and_never_negative(heavy_spend):
    fit = clv.fit("gamma_gamma", heavy_spend, seed=1).allowing("infinite_mean")
    stranger = customers(np.zeros(1), np.zeros(1), np.array([10.0]))
    with pytest.warns(UserWarning, match="infinite in some draws for 1 of 1 customers"):
        assert np.isinf(clv.predict(fit, stranger, quantity="expected_spend").mean).all()
    known = clv.predict(fit, heavy_spend, quantity="expected_spend")
    assert np.isfinite(known.mean).all()
    assert (known.mean > 0).all()


def test_a_check_that_does_not_exist_cannot_be_allowed(bg_nbd_fit):
    with pytest.raises(clv.FitError, match='no check "pareto": expected some of'):
        bg_nbd_fit.allowing("pareto")


def test_a_richer_model_that_ends_below_the_simpler_one_is_found_and_refused(cdnow, monkeypatch):
    """The search of BG/NBD is made to stop where it began, far from the mode; NBD then fits better."""
    from clvmodels.inference import fitting
    from clvmodels.inference.optimise import Mode, find_mode

    def stuck(target, start=None):
        found = find_mode(target, start)
        if target.model.name != "bg_nbd":
            return found
        return Mode(found.phi, found.log_density - 1_000, found.precision, found.decrement)

    monkeypatch.setattr(fitting, "find_mode", stuck)
    fit = clv.fit("bg_nbd", cdnow, method="mle")
    (check,) = (check for check in fit.checks if check.key == "nested")
    assert check.value < -500
    with pytest.raises(clv.FitError, match="a simpler model that this one contains fits better"):
        clv.predict(fit, cdnow, quantity="p_alive")


def test_a_search_that_went_astray_is_begun_anew_from_the_simpler_model(cdnow, monkeypatch):
    from clvmodels.inference import fitting
    from clvmodels.inference.optimise import Mode, find_mode

    def astray(target, start=None):
        found = find_mode(target, start)
        if target.model.name != "bg_nbd" or start is not None:
            return found
        return Mode(found.phi + 1, found.log_density - 1_000, found.precision, found.decrement)

    monkeypatch.setattr(fitting, "find_mode", astray)
    fit = clv.fit("bg_nbd", cdnow, method="mle")
    assert fit.passed
    assert fit.log_likelihood == pytest.approx(-9582.43, abs=0.01)


def test_a_few_draws_are_enough_to_fit(cdnow):
    assert clv.fit("bg_nbd", cdnow, draws=4, seed=1).n_draws == 4


def test_data_without_drop_out_prefer_nbd_and_bg_nbd_is_no_worse():
    """With a -> 0 BG/NBD is NBD; the fit must not end below it."""
    summary, _ = clv.simulate("nbd", {"r": 0.6, "alpha": 6.0}, T=40.0, size=3_000, seed=2)
    simple = clv.fit("nbd", summary, method="mle").log_likelihood
    for name in ("bg_nbd", "mbg_nbd", "pareto_nbd"):
        fit, problem = fitted_or_refused(name, summary)
        if fit is None:
            assert "no well-defined mode" in problem
        else:
            assert fit.log_likelihood >= simple - 1e-3
