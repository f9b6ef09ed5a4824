"""Methods at one origin: what they read, what they cost, and what happens when one fails."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.baselines import Baseline
from clvmodels.foundation.errors import FitError
from tests.evaluation_cases import point


def says_its_history(customers, horizon):
    return {"purchases": replace(point(customers.frequency, "purchases"), customer_id=customers.customer_id)}


def method(rule, name="own", **fields):
    return Baseline(name=name, rule=rule, inputs=("frequency",), choices=0, **fields)


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(1)
    days = pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 140, size=600), unit="D")
    ids = [f"c{number:02d}" for number in rng.integers(60, size=600)]
    return clv.read_transactions(pd.DataFrame({"customer_id": ids, "date": days, "amount": 5.0}))


@pytest.fixture(scope="module")
def window():
    return clv.Window("2001-03-18", "2001-05-13")


def test_an_occasion_has_each_methods_forecast_of_the_customers_of_the_window(log, window):
    found = clv.forecast_occasion(log, window, methods=[clv.BASELINES["abc"], clv.BASELINES["hiatus"]])
    customers = clv.customer_summary(log, window)
    alone = clv.BASELINES["abc"].forecasts(customers, window.holdout_length)["score"]
    np.testing.assert_array_equal(found.forecasts["abc"]["score"].mean, alone.mean)
    np.testing.assert_array_equal(found.holdout.customer_id, customers.customer_id)
    assert "active" in found.forecasts["hiatus"]  # a trained method gets its windows


def test_a_method_whose_fit_fails_is_left_out_with_what_it_said(log, window):
    def fails(customers, horizon):
        raise FitError("it did not converge.")

    found = clv.forecast_occasion(log, window, methods=[method(fails, "broken"), method(says_its_history)])
    assert set(found.forecasts) == {"own"}
    assert found.left_out == {"broken": "it did not converge."}
    assert [cost.method for cost in clv.measure_methods(log, window, methods=[method(fails)])] == []


def test_a_model_as_a_method_is_its_fits_and_its_draws(log, window):
    own = clv.model_method("bg_nbd", "gamma_gamma", seed=4, draws=200)
    customers = clv.customer_summary(log, window)
    forecasts = own.forecasts(customers, 8.0)
    again = own.forecasts(customers, 8.0)
    assert own.name == "bg_nbd+gamma_gamma"
    assert set(forecasts) == {"purchases", "spend"}
    assert forecasts["purchases"].total_draws.shape == (200,)
    for quantity, forecast in forecasts.items():
        np.testing.assert_array_equal(forecast.total_draws, again[quantity].total_draws)
    # The conditional expectation of the model, to 5 standard errors of 200 draws and 5 % for those of the parameters.
    fitted = clv.fit("bg_nbd", customers, seed=9)
    expected = clv.predict(fitted, customers, quantity="expected_purchases", horizon=8.0).mean.sum()
    total = forecasts["purchases"].total_draws
    assert abs(total.mean() - expected) < 5 * total.std() / np.sqrt(200) + 0.05 * expected


@pytest.mark.parametrize(
    ("spend", "columns"),
    [
        ("gamma_gamma", {"frequency", "recency", "T", "monetary_value", "first_amount"}),
        (
            "lognormal_spend",
            {"frequency", "recency", "T", "first_amount", "paid_purchases", "log_amount", "log_amount_sd"},
        ),
    ],
)
def test_the_inputs_of_a_model_are_columns_of_the_summary(spend, columns):
    own = clv.model_method("bg_nbd", spend, seed=1)
    assert set(own.inputs) == columns
    assert len(own.inputs) == len(columns)
    assert columns <= set(clv.CustomerSummary.__dataclass_fields__)
    assert (own.choices, clv.model_method("bg_nbd", spend, seed=1, method="mle").choices) == (5, 3)


def test_a_model_that_reads_other_customers_or_is_none_is_refused_before_any_fit():
    with pytest.raises(FitError, match='"gamma_gamma" is no model of purchases: expected one of bg_nbd'):
        clv.model_method("gamma_gamma", "gamma_gamma", seed=1)
    for name in ("bg_bb", "pareto_nbd_dyncov"):
        with pytest.raises(FitError, match=f'"{name}" reads customers by days or with a calendar'):
            clv.model_method(name, "gamma_gamma", seed=1)


def test_costs_are_seconds_of_the_processor_and_megabytes_at_the_peak(log, window):
    def works(customers, horizon):
        held = np.ones(4 * 2**20)  # 32 MB, gone at the end
        until = time.process_time() + 0.2
        while time.process_time() < until:
            held[0] += 1
        return says_its_history(customers, horizon)

    def sleeps(customers, horizon):
        time.sleep(0.2)
        return says_its_history(customers, horizon)

    busy, idle = clv.measure_methods(log, window, methods=[method(works, "works"), method(sleeps, "sleeps")])
    assert (busy.method, busy.customers) == ("works", 60)
    assert 0.2 <= busy.cpu_seconds < 0.5
    assert 32 <= busy.peak_megabytes < 33
    assert idle.cpu_seconds < 0.1 <= 0.2 <= idle.wall_seconds
    assert idle.peak_megabytes < 1
