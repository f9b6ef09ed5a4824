"""A mixture of forecasts: shares exact to a draw, coherent over customers, and its moments those of a mixture."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

import clvmodels as clv
from clvmodels.forecast.average import average_forecasts
from clvmodels.foundation.records import DrawBlock, Forecast
from tests.forecast_cases import PURCHASES, SPEND, base, posterior, replayed

WEIGHTS = {"one": 0.3, "two": 0.7}


def drawn(values, *, chains=1, step=7, **changes):
    """A forecast whose replay hands out these draws, shape (N, S)."""
    n, s = values.shape

    def replay(order):
        for first in range(0, s if order == "draws" else n, step):
            part = slice(first, min(first + step, s if order == "draws" else n))
            rows, draws = (slice(0, n), part) if order == "draws" else (part, slice(0, s))
            yield DrawBlock(rows, draws, values[rows, draws].copy())

    nothing = np.full(n, np.nan)
    forecast = Forecast(
        quantity="clv", method="test", customer_id=np.array([f"c{i}" for i in range(n)], dtype=object),
        mean=values.mean(axis=1), sd=nothing, q05=nothing, q50=nothing, q95=nothing,
        totals=xr.DataArray(values.sum(axis=0).reshape(chains, -1), dims=("chain", "draw")), horizon=52.0, unit="week",
        currency="USD", replay=replay,
    )  # fmt: skip
    return dataclasses.replace(forecast, **changes)


@pytest.fixture(scope="module")
def pair():
    """Two forecasts whose draws tell the model, the customer and the draw."""
    n, s = 23, 1001
    place = np.arange(n)[:, None] * 1e4 + np.arange(s)
    return {"one": drawn(place), "two": drawn(place + 1e6)}


@pytest.mark.parametrize("share", [0.0, 1e-5, 0.2994, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_each_draw_is_one_models_for_all_customers_and_shares_are_exact_to_a_draw(pair, share, seed):
    mixture = average_forecasts(pair, {"one": share, "two": 1 - share}, seed=seed)
    values = replayed(mixture, "customers")
    model, draw = values // 1e6, values % 1e4
    assert (model == model[0]).all()
    assert (draw == np.arange(1001)).all()
    assert abs((model[0] == 0).sum() - share * 1001) < 1


def test_models_are_mixed_over_the_draws_and_not_in_runs(pair):
    model = replayed(average_forecasts(pair, WEIGHTS, seed=1), "draws")[0] >= 1e6
    changes = np.sum(model[1:] != model[:-1])
    assert abs(changes - 1000 * 2 * 0.3 * 0.7) < 4 * np.sqrt(1000 * 0.42 * 0.58)
    other = replayed(average_forecasts(pair, WEIGHTS, seed=2), "draws")[0] >= 1e6
    assert (model != other).any()


def test_what_is_stated_of_the_mixture_is_what_its_draws_are(pair):
    mixture = average_forecasts(pair, WEIGHTS, seed=1)
    values = replayed(mixture, "customers")
    assert np.array_equal(values, replayed(mixture, "draws"))
    assert mixture.mean == pytest.approx(values.mean(axis=1))
    assert mixture.sd == pytest.approx(values.std(axis=1, ddof=1))
    for name, q in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        assert np.array_equal(getattr(mixture, name), np.quantile(values, q, axis=1, method="inverted_cdf"))
    assert mixture.total_draws == pytest.approx(values.sum(axis=0))
    assert mixture.method == "average(one, two)"
    assert (mixture.horizon, mixture.unit, mixture.currency, mixture.quantity) == (52.0, "week", "USD", "clv")


@pytest.fixture(scope="module")
def forecasts():
    customers = base(300)
    fits = {"one": posterior(PURCHASES, 2000, chains=2), "two": posterior(PURCHASES, 2000, chains=2, sd=0.6, seed=2)}
    return {
        name: clv.sample_clv(fit, SPEND, customers, horizon=26.0, seed=3, annual_discount_rate=0.1)
        for name, fit in fits.items()
    }


def test_moments_are_those_of_a_mixture_of_predictive_distributions(forecasts):
    """Law of total variance; the choice of draws leaves an error of sd / sqrt(S), 4.5 of it for 300 customers."""
    mixture = average_forecasts(forecasts, WEIGHTS, seed=5)
    mean = sum(WEIGHTS[name] * f.mean for name, f in forecasts.items())
    variance = sum(WEIGHTS[name] * (f.sd**2 + (f.mean - mean) ** 2) for name, f in forecasts.items())
    assert (np.abs(mixture.mean - mean) < 4.5 * np.sqrt(variance / 2000)).all()
    assert mixture.totals.shape == (2, 1000)
    total = sum(WEIGHTS[name] * f.total_draws.mean() for name, f in forecasts.items())
    assert abs(mixture.total_draws.mean() - total) < 4 * mixture.total_draws.std() / np.sqrt(2000)
    between = np.var([f.total_draws.mean() for f in forecasts.values()])
    assert mixture.total_draws.var() > min(f.total_draws.var() for f in forecasts.values()) + 0.1 * between


def test_all_weight_on_one_model_is_that_models_forecast_bit_for_bit(forecasts):
    mixture = average_forecasts(forecasts, {"one": 1.0, "two": 0.0}, seed=5)
    for name in ("mean", "sd", "q05", "q50", "q95"):
        assert np.array_equal(getattr(mixture, name), getattr(forecasts["one"], name))
    assert mixture.totals.equals(forecasts["one"].totals)
    assert mixture.method == "average(one)"


def test_a_forecast_of_some_customers_is_the_average_restricted_to_them(forecasts):
    customers, rows = base(300), np.array([200, 3, 77])
    fits = {"one": posterior(PURCHASES, 2000, chains=2), "two": posterior(PURCHASES, 2000, chains=2, sd=0.6, seed=2)}
    some = {
        name: clv.sample_clv(fit, SPEND, customers.take(rows), horizon=26.0, seed=3, annual_discount_rate=0.1)
        for name, fit in fits.items()
    }
    whole, part = average_forecasts(forecasts, WEIGHTS, seed=5), average_forecasts(some, WEIGHTS, seed=5)
    assert np.array_equal(part.mean, whole.mean[rows])
    assert np.array_equal(part.q95, whole.q95[rows])


def test_an_average_may_be_averaged_and_feeds_the_value_matrix(forecasts):
    inner = average_forecasts(forecasts, WEIGHTS, seed=5)
    outer = average_forecasts({"inner": inner, "two": forecasts["two"]}, {"inner": 0.5, "two": 0.5}, seed=6)
    cuts = {"current": ("quantile", 0.8), "future": ("quantile", 0.8)}
    matrix = clv.value_matrix(np.arange(300.0), outer, cuts=cuts)
    assert matrix.probabilities.sum(axis=1) == pytest.approx(1)


def test_expectations_and_weights_from_a_table_are_averaged_too():
    import pandas as pd

    customers = base(50)
    both = {
        name: clv.predict(posterior(PURCHASES, 400, seed=seed), customers, quantity="p_alive")
        for name, seed in (("one", 1), ("two", 2))
    }
    weights = pd.DataFrame({"weight": [0.25, 0.75]}, index=["one", "two"])["weight"]
    mixture = average_forecasts(both, weights, seed=1)
    from_one = (replayed(mixture, "draws") == replayed(both["one"], "draws")).all(axis=0)
    assert from_one.sum() == 100
    assert np.isnan(mixture.horizon)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 26.0}, "differ in horizon: one has 52.0, two has 26.0"),
        ({"unit": "day"}, "differ in unit"),
        ({"currency": "EUR"}, "differ in currency"),
        ({"quantity": "spend"}, "differ in quantity"),
        ({"customer_id": np.array([f"c{i}" for i in range(23)][::-1], dtype=object)}, "other customers"),
        ({"replay": None}, "two by test has no draws"),
        ({"totals": xr.DataArray(np.zeros((1, 500)), dims=("chain", "draw"))}, "one has 1001 draws, two has 500"),
    ],
)
def test_forecasts_that_differ_are_refused(pair, change, message):
    with pytest.raises(clv.DataError, match=message):
        average_forecasts({**pair, "two": dataclasses.replace(pair["two"], **change)}, WEIGHTS, seed=1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"one": 0.3, "two": 0.6}, "sum to 0.9"),
        ({"one": 1.3, "two": -0.3}, "weight of two is -0.3"),
        ({"one": 0.3, "two": np.nan}, "weight of two is nan"),
        ({"one": 1.0}, "two is not in both"),
        ({"one": 0.3, "two": 0.3, "other": 0.4}, "other is not in both"),
        ({"one": 0.3, "two": 0.3, 3: 0.4}, "3 is not in both"),
        ({"one": "0.3", "two": 0.7}, "weight of one is '0.3'"),
        ({"one": None, "two": 0.7}, "weight of one is None"),
        ({"one": [0.3], "two": 0.7}, r"weight of one is \[0.3\]"),
        ([0.3, 0.7], r"weights = \[0.3, 0.7\]: expected name -> weight"),
        ("equal", "weights = 'equal': expected name -> weight"),
        (None, "weights = None: expected name -> weight"),
    ],
)
def test_weights_that_cannot_be_are_refused(pair, weights, message):
    with pytest.raises(clv.DataError, match=message):
        average_forecasts(pair, weights, seed=1)
    with pytest.raises(clv.DataError, match="no forecasts"):
        average_forecasts({}, {}, seed=1)


@pytest.mark.parametrize(
    ("forecasts", "message"),
    [
        ([1.0, 2.0], "expected name -> Forecast, not a list"),
        (None, "expected name -> Forecast, not a NoneType"),
        ({"one": 1.0, "two": 2.0}, "the forecast one is a float: expected name -> Forecast"),
        ({"one": None, "two": None}, "the forecast one is a NoneType"),
    ],
)
def test_what_is_no_forecast_is_refused(forecasts, message):
    with pytest.raises(clv.DataError, match=message):
        average_forecasts(forecasts, WEIGHTS, seed=1)


@pytest.mark.parametrize("seed", [-1, "x", None, 1.5])
def test_a_seed_that_cannot_be_is_refused(pair, seed):
    with pytest.raises(clv.DataError, match="seed"):
        average_forecasts(pair, WEIGHTS, seed=seed)
