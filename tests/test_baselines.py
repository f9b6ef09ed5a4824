"""The classical methods do what their textbooks say, and meet the numbers published on CDNOW."""

import datetime as dt
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import OptimizeResult
from scipy.stats import beta

from clvmodels.baselines import BASELINES
from clvmodels.baselines.abc import abc_classes
from clvmodels.baselines.method import past_spend
from clvmodels.baselines.rfm import rfm_scores
from clvmodels.foundation.errors import DataError, FitError
from tests.baseline_cases import ahead, dearer, in_money, outcome, shuffled, windows
from tests.evaluation_cases import customers, ids
from tests.test_evaluation_scores import plain_gini

TRAINED = [name for name, baseline in BASELINES.items() if baseline.trained]
TRAINING = windows()


def forecasts_of(name, summary, horizon=13.0, training=TRAINING):
    return BASELINES[name].forecasts(summary, horizon, training=training)


@pytest.fixture(scope="module")
def mixed():
    """400 customers of a simulated BG/NBD shop, watched 20 to 60 weeks by whole weeks, so with ties."""
    rng = np.random.default_rng(5)
    T = rng.integers(20, 60, size=400) * 1.0
    histories = [history(rng, *draw) for draw in zip(rng.gamma(0.5, 0.2, 400), rng.beta(1, 2.5, 400), T, strict=True)]
    x, t_x = np.array(histories).T
    return customers(x, T=T, recency=t_x, spend=rng.integers(5, 80, size=400) * 1.0)


def history(rng, rate, drop_out, T):
    """Repeat weeks of one customer: exponential gaps, and a chance to leave after each purchase."""
    weeks, now = set(), rng.exponential(1 / rate)
    while now < T:
        weeks.add(np.ceil(now))
        now = np.inf if rng.random() < drop_out else now + rng.exponential(1 / rate)
    return len(weeks), max(weeks, default=0.0)


@pytest.fixture(scope="module")
def cdnow_ginis(cdnow, cdnow_holdout):
    return {
        name: plain_gini(forecasts.get("spend", forecasts.get("score")).mean, cdnow_holdout.amount)
        for name, forecasts in ((name, b.forecasts(cdnow, 39.0)) for name, b in BASELINES.items() if not b.trained)
    }


def test_abc_ranks_the_cdnow_sample_with_a_normalised_gini_of_680(cdnow_ginis):
    assert cdnow_ginis["abc"] == pytest.approx(0.680, abs=5e-4)


def test_lifetimes_ranks_the_cdnow_sample_with_a_normalised_gini_of_638(cdnow_ginis):
    assert cdnow_ginis["lifetimes"] == pytest.approx(0.638, abs=5e-4)


def test_lifetimes_baseline_meets_the_published_cdnow_model(cdnow):
    # An independent conditional expectation: the paper's parameters in the integral form of the
    # correctness notes (lifetimes uses 2F1), so parameters to 3 digits give the total to 0.5 %.
    r, alpha, a, b = 0.243, 4.414, 0.793, 2.426
    x, t_x, T = cdnow.frequency, cdnow.recency, cdnow.T
    dead = (x > 0) * a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x)
    node, weight = np.polynomial.legendre.leggauss(200)
    u, w = (node + 1) ** 4 / 16, weight * (node + 1) ** 3 / 4  # crowded to 0, where the beta is steep
    density = beta.pdf(u[:, None], a, b + x)
    bought = -np.expm1(-(r + x) * np.log1p(u[:, None] * 39.0 / (alpha + T))) / u[:, None]
    expected = (w[:, None] * density * bought).sum(axis=0) / (1 + dead)
    forecast = BASELINES["lifetimes"].forecasts(cdnow, 39.0)["purchases"].mean
    np.testing.assert_allclose(forecast, expected, rtol=0.02, atol=0.002)
    assert forecast.sum() == pytest.approx(expected.sum(), rel=0.005)


def test_fitting_distinct_rows_with_weights_is_lifetimes_own_fit(mixed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoFitter, GammaGammaFitter

        bg = BetaGeoFitter().fit(mixed.frequency, mixed.recency, mixed.T)
        x, m_x = mixed.frequency, np.nan_to_num(mixed.monetary_value)
        gg = GammaGammaFitter().fit(x[x > 0], m_x[x > 0])
        purchases = bg.conditional_expected_number_of_purchases_up_to_time(13.0, x, mixed.recency, mixed.T)
        spend = purchases * gg.conditional_expected_average_profit(x, m_x)
    forecasts = BASELINES["lifetimes"].forecasts(mixed, 13.0)
    np.testing.assert_allclose(forecasts["purchases"].mean, purchases, rtol=1e-3)
    np.testing.assert_allclose(forecasts["spend"].mean, spend, rtol=1e-3)


def test_heavy_packages_are_imported_only_when_they_are_asked_for():
    code = "import sys, clvmodels.baselines; sys.exit(bool({'lifetimes', 'pandas', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_lifetimes_leaves_the_warning_filters_and_the_output_alone(mixed, capsys):
    before = list(warnings.filters)
    BASELINES["lifetimes"].forecasts(mixed, 13.0)
    assert warnings.filters == before
    assert capsys.readouterr().out == ""


def test_an_optimiser_that_gives_up_is_a_fit_error_and_silent(mixed, monkeypatch, capsys):
    # lifetimes prints the optimiser's report before it raises.
    gave_up = OptimizeResult(success=False, message="precision loss")
    monkeypatch.setattr("lifetimes.fitters.minimize", lambda *_, **__: gave_up)
    with pytest.raises(FitError, match="lifetimes' BG/NBD did not fit 400 customers"):
        BASELINES["lifetimes"].forecasts(mixed, 13.0)
    assert capsys.readouterr().out == ""


def test_customers_of_whom_nobody_came_back_are_a_fit_error():
    with pytest.raises(FitError, match="lifetimes"):
        BASELINES["lifetimes"].forecasts(customers([0, 0, 0, 0]), 13.0)


@pytest.mark.parametrize("name", BASELINES)
def test_the_order_of_rows_does_not_matter(name, mixed):
    shuffle = np.random.default_rng(1).permutation(len(mixed))
    straight = forecasts_of(name, mixed)
    reordered = forecasts_of(name, mixed.take(shuffle))
    for quantity, forecast in straight.items():
        np.testing.assert_allclose(reordered[quantity].mean, forecast.mean[shuffle], rtol=1e-12)
        assert (reordered[quantity].customer_id == forecast.customer_id[shuffle]).all()


@pytest.mark.parametrize("name", TRAINED)
def test_the_order_of_customers_to_learn_from_does_not_matter(name, mixed):
    other = tuple(shuffled(pair, seed) for seed, pair in enumerate(TRAINING))
    straight, reordered = forecasts_of(name, mixed), forecasts_of(name, mixed, training=other)
    for quantity, forecast in straight.items():
        np.testing.assert_allclose(reordered[quantity].mean, forecast.mean, rtol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_reads_only_its_inputs(name, mixed):
    baseline = BASELINES[name]
    forecasts = forecasts_of(name, mixed)
    assert set(forecasts) <= {"purchases", "spend", "score", "active"}
    for quantity, forecast in forecasts.items():
        assert (forecast.quantity, forecast.method, forecast.horizon) == (quantity, name, 13.0)
        assert np.isfinite(forecast.mean).all()
        assert (forecast.mean >= 0).all()
    unread = {"recency": mixed.T, "T": mixed.T + 7, "current_value": mixed.T}
    changed = replace(
        mixed,
        **{
            column: np.where(mixed.frequency > 0, values, getattr(mixed, column))
            for column, values in unread.items()
            if column not in baseline.inputs
        },
    )
    for quantity, forecast in forecasts_of(name, changed).items():
        np.testing.assert_array_equal(forecast.mean, forecasts[quantity].mean)


@pytest.mark.parametrize("name", BASELINES)
def test_only_the_regression_with_a_distribution_fills_more_than_means(name, mixed):
    for quantity, forecast in forecasts_of(name, mixed).items():
        beyond = [forecast.sd, forecast.q05, forecast.q50, forecast.q95]
        if name == "ziln" and quantity != "active":
            assert np.isfinite(beyond).all()
            assert (forecast.q05 <= forecast.q50).all()
            assert (forecast.q50 <= forecast.q95).all()
        else:
            assert np.isnan(beyond).all()


@pytest.mark.parametrize("name", BASELINES)
def test_amounts_in_another_currency_change_amounts_alone(name, mixed):
    # lifetimes stops its optimiser on the way; the others agree to rounding.
    rtol = 1e-3 if name == "lifetimes" else 1e-5
    before = forecasts_of(name, mixed)
    after = forecasts_of(name, dearer(mixed, 7.3), training=tuple(in_money(pair, 7.3) for pair in TRAINING))
    for quantity, forecast in before.items():
        factor = 7.3 if quantity == "spend" or name in ("abc", "abc_repeat") else 1.0
        np.testing.assert_allclose(after[quantity].mean, factor * forecast.mean, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in ("abc", "abc_repeat", "rfm", "lifetimes")])
def test_twice_the_horizon_is_twice_the_purchases_and_spend(name, mixed):
    once, twice = forecasts_of(name, mixed, 8.0), forecasts_of(name, mixed, 16.0)
    for quantity in ("purchases", "spend"):
        np.testing.assert_allclose(twice[quantity].mean, 2 * once[quantity].mean, rtol=1e-9)
    if name in ("boosting", "ziln"):
        p, later = once["active"].mean, twice["active"].mean
        assert (later >= p).all()
        assert (later <= 1).all()
    if name == "boosting":
        np.testing.assert_allclose(later, 1 - (1 - p) ** 2, rtol=1e-9)


@pytest.mark.parametrize("name", [name for name, baseline in BASELINES.items() if not baseline.trained])
def test_a_method_that_learns_nothing_does_not_read_the_training_windows(name, mixed):
    for quantity, forecast in BASELINES[name].forecasts(mixed, 13.0).items():
        np.testing.assert_array_equal(forecasts_of(name, mixed)[quantity].mean, forecast.mean)


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_method_says_how_to_make_the_windows_that_it_lacks(name, mixed):
    with pytest.raises(DataError, match=rf'"{name}" learns from .* training_windows\(log, window\)'):
        BASELINES[name].forecasts(mixed, 13.0)


def test_training_windows_that_do_not_fit_are_refused(mixed):
    known, after = TRAINING[0]

    def refused(training, match, summary=mixed):
        with pytest.raises(DataError, match=match):
            BASELINES["hiatus"].forecasts(summary, 13.0, training=training)

    refused(((known, replace(after, customer_id=after.customer_id[::-1])),), "same customers in the same order")
    refused(((replace(known, unit="day"), after),), "counts in days")
    longer = replace(after, window=ahead("2000-11-05"))
    refused(((known, longer), (known, after)), "8 to 9 weeks ahead")
    # 2001-01-06 is a day before the training window ends.
    cut = replace(mixed, calibration_end=dt.date(2001, 1, 6))
    refused(TRAINING, "ends on 2001-01-07, after the calibration .*2001-01-06", cut)
    BASELINES["hiatus"].forecasts(replace(mixed, calibration_end=dt.date(2001, 1, 7)), 13.0, training=TRAINING)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_refuses_counted_rows_and_a_horizon_that_is_no_length(name, mixed):
    with pytest.raises(DataError, match="horizon = 0"):
        forecasts_of(name, mixed, 0.0)
    with pytest.raises(DataError, match="n_customers"):
        forecasts_of(name, replace(mixed, n_customers=np.full(len(mixed), 2.0)))


@pytest.mark.parametrize("name", [name for name in BASELINES if name.startswith(("abc", "rfm"))])
def test_ranking_by_spend_without_any_spend_is_refused(name):
    nothing = customers([0, 2], spend=np.nan, first=np.nan)
    with pytest.raises(DataError, match="knows no spend"):
        forecasts_of(name, nothing)


@pytest.mark.parametrize("name", ["same_rate", "hiatus", "last_period", "boosting", "ziln"])
def test_without_spend_purchases_are_still_forecast(name):
    nothing = customers([0, 2], spend=np.nan, first=np.nan)
    assert set(forecasts_of(name, nothing)) - {"active"} == {"purchases"}


@pytest.mark.parametrize("name", [name for name in TRAINED if name != "hiatus"])  # it keeps the customers' own rates
def test_where_nobody_came_back_in_the_training_windows_nothing_is_forecast(name, mixed):
    known, _ = TRAINING[0]
    nobody = ((known, outcome(np.zeros(len(known)))),)
    for forecast in forecasts_of(name, mixed.take(np.arange(50)), training=nobody).values():
        assert (forecast.mean == 0).all()


def test_a_first_amount_known_of_some_customers_only_is_refused():
    with pytest.raises(DataError, match=r"first_amount is not known for 1 customers .*c00001"):
        past_spend(customers([0, 2], first=[10.0, np.nan]))


def test_past_spend_is_the_first_purchase_and_the_repeats():
    # In floats 3 x 1.01 is above 3.03, and they must tie; repeats that came to nothing
    # (monetary_value unknown) add 0.
    summary = customers([0, 3, 1], spend=[np.nan, 1.01, np.nan], first=[3.03, 0.0, 5.0])
    assert past_spend(summary).tolist() == [3.03, 3.03, 5.0]


def test_past_spend_without_first_amounts_is_repeat_spend():
    assert past_spend(customers([0, 2], spend=20.0, first=np.nan)).tolist() == [0.0, 40.0]


def test_abc_by_repeat_spend_leaves_the_first_purchase_out():
    summary = customers([0, 3, 1], spend=[np.nan, 1.01, 20.0], first=[300.0, 0.0, 5.0])
    assert forecasts_of("abc_repeat", summary)["score"].mean.tolist() == [0.0, 3.03, 20.0]


def test_abc_classes_cut_at_80_and_95_per_cent_of_value():
    # 100 in all: 50, 80, 90, 95, 98, 100 cumulated
    summary = customers(np.zeros(6), first=[3, 50, 10, 30, 2, 5])
    assert "".join(abc_classes(summary)) == "CABACB"


def test_a_share_of_80_per_cent_is_80_per_cent_whatever_its_last_bit():
    # (0.7 + 0.5) / 1.5 is .7999999999999999 in floats; the third customer is not needed for 80 %.
    assert "".join(abc_classes(customers(np.zeros(4), first=[0.7, 0.5, 0.2, 0.1]))) == "AABB"


def test_customers_who_spent_the_same_share_an_abc_class():
    summary = customers(np.zeros(10), first=10.0)
    assert set(abc_classes(summary)) == {"A"}


def test_customers_who_spent_nothing_are_class_c():
    assert "".join(abc_classes(customers(np.zeros(3), first=[0.0, 5.0, 0.0]))) == "CAC"
    assert "".join(abc_classes(customers(np.zeros(2), first=0.0))) == "CC"


def test_abc_cuts_out_of_order_are_refused():
    with pytest.raises(DataError, match="0 < a < b < 1"):
        abc_classes(customers([1]), a=0.95, b=0.80)


def test_rfm_grades_are_quintiles_where_nobody_ties():
    rng = np.random.default_rng(2)
    spend, recency = rng.permutation(50) + 1.0, rng.permutation(50) + 1.0
    summary = customers(np.arange(50) + 1, T=60.0, recency=recency, spend=spend / (np.arange(50) + 1), first=0.0)
    scores = rfm_scores(summary)
    for grades, column in (
        (scores.recency, recency),
        (scores.monetary, spend),
        (scores.frequency, summary.frequency),
    ):
        np.testing.assert_array_equal(grades, pd.qcut(column, 5, labels=False) + 1)
    np.testing.assert_array_equal(scores.total, scores.recency + scores.frequency + scores.monetary)


def test_customers_alike_have_the_same_rfm_grades(mixed):
    scores = rfm_scores(mixed)
    for x in np.unique(mixed.frequency):
        assert len(set(scores.frequency[mixed.frequency == x])) == 1


def test_days_since_the_last_purchase_tie_whatever_the_division_by_seven_leaves():
    # 272/7 - 100/7 and 200/7 - 28/7 are both 172 days but not the same float.
    T, recency = np.array([272, 200, 50, 50, 50]) / 7, np.array([100, 28, 30, 40, 45]) / 7
    summary = customers(np.ones(5), T=T, recency=recency)
    grades = rfm_scores(summary).recency
    assert grades[0] == grades[1] == 1


@pytest.mark.parametrize(
    ("recency_place", "value_place", "group"),
    [(4, 4, "champions"), (2, 4, "loyal"), (4, 0, "promising"), (0, 4, "at_risk"), (0, 0, "dormant")],
)
def test_rfm_groups_follow_the_grades(recency_place, value_place, group):
    # Five customers; the first takes the asked place in recency and in frequency and money.
    order = [recency_place] + [place for place in range(5) if place != recency_place]
    worth = [value_place] + [place for place in range(5) if place != value_place]
    x = np.array(worth) + 1.0
    summary = customers(x, recency=np.array(order) + 1.0)
    assert rfm_scores(summary).group[0] == group


def test_same_rate_goes_on_as_before():
    summary = customers([0, 4, 1], T=[10.0, 10.0, 20.0], spend=[np.nan, 20.0, 30.0], first=[10.0, 10.0, 20.0])
    forecasts = BASELINES["same_rate"].forecasts(summary, 5.0)
    np.testing.assert_allclose(forecasts["purchases"].mean, [0.0, 2.0, 0.25])
    np.testing.assert_allclose(forecasts["spend"].mean, [0.0, 2.0 * 18.0, 0.25 * 25.0])


def test_same_rate_of_a_customer_who_has_just_come_is_0():
    summary = customers([0, 1], T=[0.0, 10.0])
    assert BASELINES["same_rate"].forecasts(summary, 5.0)["purchases"].mean[0] == 0.0


def test_names_and_ids_are_the_registry_s(mixed):
    names = "abc abc_repeat rfm rfm_weighted rfm_cells same_rate hiatus last_period boosting ziln lifetimes"
    assert list(BASELINES) == names.split()
    assert all(name == baseline.name and baseline.choices >= 0 for name, baseline in BASELINES.items())
    assert (BASELINES["abc"].forecasts(mixed, 1.0)["score"].customer_id == ids(400)).all()
