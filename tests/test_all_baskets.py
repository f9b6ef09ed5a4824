"""A model of spend that learns from every basket, the first included, says so and reads customers as it learnt."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.data import compress_spend
from tests.conftest import GAMMA_GAMMA_PAPER

SPEND = [name for name, model in clv.MODELS.items() if model.family == "spend"]


@pytest.fixture(scope="module")
def baskets(cdnow_log, window):
    """Every customer-day of the calibration, by plain pandas; free ones too."""
    days = cdnow_log.table.to_pandas()
    days = days[pd.to_datetime(days.date) <= pd.Timestamp(window.calibration_end)].sort_values(["customer_id", "date"])
    return days.assign(first=~days.duplicated("customer_id"))


def test_number_and_mean_of_all_baskets_are_what_pandas_counts(baskets, cdnow):
    """A first basket that was free does not count; free later ones do, as in monetary_value."""
    counted = baskets[~(baskets["first"] & (baskets.amount <= 0))]
    by = counted.groupby("customer_id").amount.agg(["count", "mean"]).reindex(cdnow.customer_id)
    later = cdnow.frequency > 0
    known = ~(later & np.isnan(cdnow.monetary_value))
    np.testing.assert_array_equal(cdnow.all_spend_purchases[known], by["count"].fillna(0)[known])
    np.testing.assert_allclose(cdnow.all_spend_mean[known], by["mean"][known], rtol=1e-12)


def test_means_of_paid_baskets_and_of_their_logarithms_are_what_pandas_counts(baskets, cdnow):
    paid = baskets[baskets.amount > 0].assign(log=lambda frame: np.log(frame.amount))
    by = paid.groupby("customer_id").agg(n=("amount", "size"), mean=("amount", "mean"), log=("log", "mean"))
    spread = paid.groupby("customer_id").log.std(ddof=0)
    known = ~((cdnow.frequency > 0) & np.isnan(cdnow.monetary_value))
    by, spread = (frame.reindex(cdnow.customer_id)[known] for frame in (by, spread))
    np.testing.assert_array_equal(cdnow.all_paid_purchases[known], by.n.fillna(0))
    np.testing.assert_allclose(cdnow.all_paid_mean[known], by["mean"], rtol=1e-12)
    np.testing.assert_allclose(cdnow.all_log_amount[known], by.log, rtol=1e-7)  # eight decimals
    np.testing.assert_allclose(cdnow.all_log_amount_sd[known], spread, atol=1e-5)  # repeats: from sums of squares


@pytest.mark.parametrize("name", SPEND)
def test_a_model_of_all_baskets_is_the_model_of_repeats_of_a_longer_history(name, cdnow):
    """An independent way to the same fit: customers whose first basket is told as one more repeat purchase."""
    told = cdnow.take((cdnow.first_amount > 0) & ~((cdnow.frequency > 0) & np.isnan(cdnow.monetary_value)))
    longer = replace(
        told,
        frequency=told.all_spend_purchases,
        recency=told.T + 1,
        T=told.T + 1,
        monetary_value=told.all_spend_mean,
        paid_purchases=told.all_paid_purchases,
        log_amount=told.all_log_amount,
        log_amount_sd=told.all_log_amount_sd,
        first_amount=np.full(len(told), np.nan),
        log_interval=None,
        set_aside=(),
    )
    ours = clv.fit(name, told, method="mle", baskets="all")
    theirs = clv.fit(name, longer, method="mle")
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood, rel=1e-9)
    assert ours.point == pytest.approx(theirs.point, rel=1e-4)
    expected = clv.predict(ours, told, quantity="expected_spend").mean
    np.testing.assert_allclose(expected, clv.predict(theirs, longer, quantity="expected_spend").mean, rtol=1e-4)


def test_expected_spend_is_the_papers_formula_at_all_baskets(cdnow):
    fit = clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER, baskets="all")
    p, q, v = GAMMA_GAMMA_PAPER.values()
    x = cdnow.frequency + (cdnow.first_amount > 0)
    total = np.nan_to_num(cdnow.frequency * cdnow.monetary_value) + np.maximum(cdnow.first_amount, 0)
    known = ~((cdnow.frequency > 0) & np.isnan(cdnow.monetary_value))
    want = (p * (v + total) / (p * x + q - 1))[known]
    np.testing.assert_allclose(clv.predict(fit, cdnow, quantity="expected_spend").mean[known], want, rtol=1e-12)


def test_a_customer_who_came_once_is_read_alike_and_one_who_came_back_is_not(cdnow):
    both = [clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER, baskets=kind) for kind in ("repeat", "all")]
    repeat, every = (clv.predict(fit, cdnow, quantity="expected_spend").mean for fit in both)
    once = cdnow.frequency == 0
    np.testing.assert_array_equal(repeat[once], every[once])
    assert (repeat[~once] != every[~once]).mean() > 0.9


def test_published_numbers_stay_those_of_repeat_baskets(cdnow):
    assert clv.fit("gamma_gamma", cdnow, method="mle").n_customers == 946
    assert (
        clv.fit("gamma_gamma", cdnow, method="mle", baskets="all").n_customers == (cdnow.all_spend_purchases > 0).sum()
    )
    assert compress_spend(cdnow, baskets="all")[0].n_customers.sum() == (cdnow.all_spend_purchases > 0).sum()


@pytest.mark.parametrize("name", SPEND)
def test_a_saved_fit_of_all_baskets_stays_one(name, cdnow, bg_nbd_fit, tmp_path):
    fit = clv.fit(name, cdnow, seed=1, draws=200, baskets="all")
    fit.save(tmp_path / "fit.nc")
    back = clv.load_fit(tmp_path / "fit.nc")
    assert back.model == fit.model
    assert back.model.baskets == "all"
    some = cdnow.take(np.arange(50))
    before, after = (clv.sample_spend(bg_nbd_fit, spend, some, horizon=39, seed=3, draws=200) for spend in (fit, back))
    np.testing.assert_array_equal(before.mean, after.mean)
    assert before.method.startswith(f"bg_nbd+{name}[all]")


def test_fits_of_repeats_and_of_all_baskets_are_not_compared(cdnow):
    fits = {kind: clv.fit("gamma_gamma", cdnow, seed=1, draws=500, baskets=kind) for kind in ("repeat", "all")}
    with pytest.raises(clv.FitError, match="all baskets"):
        clv.compare_models(fits, cdnow)


def test_what_cannot_learn_from_all_baskets_says_so(cdnow, bg_nbd_fit):
    with pytest.raises(clv.FitError, match='baskets = "every": expected one of "repeat", "all"'):
        clv.fit("gamma_gamma", cdnow, seed=1, baskets="every")
    with pytest.raises(clv.FitError, match="bg_nbd is one of purchases"):
        clv.fit("bg_nbd", cdnow, seed=1, baskets="all")
    unknown = replace(cdnow, first_amount=np.full(len(cdnow), np.nan))
    with pytest.raises(clv.DataError, match="needs first_amount"):
        clv.fit("gamma_gamma", unknown, seed=1, baskets="all")
    spend = clv.fit("gamma_gamma", cdnow, seed=1, draws=200, baskets="all")
    with pytest.raises(clv.FitError, match="all baskets cannot be tested"):
        clv.spend_independence(bg_nbd_fit, spend, cdnow)
