"""Methods that learn inside the calibration find what is there: by hand, by others' code and by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from clvmodels.baselines import BASELINES
from clvmodels.baselines.features import features, log_features
from clvmodels.baselines.hiatus import hiatus_forecasts, longest_hiatus
from clvmodels.baselines.rfm_cells import cell_means, margin_means
from clvmodels.baselines.rfm_weighted import fitted_weights
from clvmodels.baselines.ziln import (
    Scale,
    fit_logistic,
    fit_lognormal,
    fit_negative_binomial,
    negative_binomial,
    zero_inflated_lognormal,
)
from clvmodels.evaluation.drawn import scores_by_customer
from clvmodels.foundation.errors import DataError
from tests.baseline_cases import dearer, histories, outcome, windows
from tests.evaluation_cases import customers

# ------------------------------------------------------------------------------------------------------ hiatus


def test_the_hiatus_rule_goes_on_at_the_own_rate_of_those_seen_lately():
    # Silent for 3, 4, 8 and 10 weeks; the one who never came back is seen lately but has no rate.
    summary = customers([2, 4, 5, 0], T=[10.0, 10.0, 10.0, 3.0], recency=[7.0, 6.0, 2.0, 0.0], spend=20.0, first=5.0)
    forecasts = hiatus_forecasts(summary, 5.0, longest=4.0)
    assert forecasts["active"].mean.tolist() == [1, 1, 0, 1]
    np.testing.assert_allclose(forecasts["purchases"].mean, [1.0, 2.0, 0.0, 0.0])
    np.testing.assert_allclose(forecasts["spend"].mean, [1.0 * 45 / 3, 2.0 * 85 / 5, 0.0, 0.0])
    # 172 days in weeks are 24.571..., whichever way they were divided.
    silent = customers([1, 1], T=np.array([272, 200]) / 7, recency=np.array([100, 28]) / 7)
    assert hiatus_forecasts(silent, 5.0, longest=172 / 7)["active"].mean.tolist() == [1, 1]
    with pytest.raises(DataError, match="longest = -1"):
        hiatus_forecasts(summary, 5.0, longest=-1.0)


def test_the_hiatus_is_the_one_that_tells_buyers_best_by_brute_force():
    for seed in range(20):
        training = windows((seed, seed + 50), n=40)
        silence = np.concatenate([known.T - known.recency for known, _ in training])
        bought = np.concatenate([after.purchases > 0 for _, after in training])
        wrong = {n: int(((silence <= n) != bought).sum()) for n in range(61)}
        found = longest_hiatus(training)
        assert found in set(silence)
        assert wrong[int(found)] == min(wrong[int(n)] for n in set(silence))


def test_of_hiatuses_that_tell_as_well_the_shortest_is_taken():
    known = customers([1, 1, 1, 1], T=10.0, recency=[9.0, 8.0, 5.0, 4.0])
    assert longest_hiatus(((known, outcome([1, 0, 1, 0])),)) == 1.0


# ------------------------------------------------------------------------------------------------- last period


def test_the_last_period_is_carried_forward_and_newcomers_go_on_at_their_own_rate():
    known = customers([1, 2], T=20.0)
    earlier = (customers([0, 0]), outcome([9, 9]))
    now = customers([3, 2, 4], T=[28.0, 28.0, 8.0], spend=20.0, first=5.0)
    forecasts = BASELINES["last_period"].forecasts(now, 4.0, training=(earlier, (known, outcome([2, 0], [70.0, 0.0]))))
    np.testing.assert_allclose(forecasts["purchases"].mean, [1.0, 0.0, 2.0])
    np.testing.assert_allclose(forecasts["spend"].mean, [35.0, 0.0, 2.0 * 85 / 5])


def test_the_last_period_is_found_by_customer_id_not_by_row():
    known = replace(customers([1, 2]), customer_id=np.array(["z", "m"], dtype=object))
    after = replace(outcome([2, 5]), customer_id=known.customer_id)
    now = replace(customers([1, 1]), customer_id=np.array(["m", "z"], dtype=object))
    assert BASELINES["last_period"].forecasts(now, 8.0, training=((known, after),))["purchases"].mean.tolist() == [5, 2]


# --------------------------------------------------------------------------------------------------------- RFM


@pytest.fixture(scope="module")
def graded():
    rng = np.random.default_rng(8)
    return rng.integers(1, 6, size=(20_000, 3))


def test_fitted_weights_recover_the_truth(graded):
    truth = np.array([0.30, 0.0, 0.15])
    mean = np.exp(-2.0 + graded @ truth)
    found = fitted_weights(graded, np.random.default_rng(1).poisson(mean) * 1.0)
    design = np.column_stack([np.ones(len(graded)), graded])
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * mean[:, None]))))
    assert abs(found.intercept + 2.0) < 4 * errors[0]
    assert (np.abs(found.weights - truth) < 4 * errors[1:]).all()


def test_a_grade_that_counts_against_a_customer_has_no_weight(graded):
    mean = np.exp(-1.0 + graded @ np.array([0.2, -0.3, 0.1]))
    found = fitted_weights(graded, np.random.default_rng(2).poisson(mean) * 1.0)
    assert found.weights[1] == 0
    assert (found.weights[[0, 2]] > 0).all()


def test_fitted_weights_are_those_of_an_independent_poisson_regression(graded):
    from sklearn.linear_model import PoissonRegressor

    rng = np.random.default_rng(3)
    spend = rng.poisson(np.exp(-2.0 + graded @ np.array([0.3, 0.1, 0.2]))) * rng.lognormal(3, 1, size=len(graded))
    found = fitted_weights(graded, spend)
    peer = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000).fit(graded, spend)
    np.testing.assert_allclose(found.weights, peer.coef_, rtol=1e-4)
    assert found.mean(graded).sum() == pytest.approx(spend.sum(), rel=1e-6)


def test_margins_give_each_grade_its_total(graded):
    rng = np.random.default_rng(4)
    cell = tuple((graded - 1).T)
    count, total = np.zeros((5, 5, 5)), np.zeros((5, 5, 5))
    np.add.at(count, cell, 1)
    np.add.at(total, cell, rng.gamma(0.5, 2.0, size=len(graded)) * graded.prod(axis=1))
    fitted = margin_means(count, total)
    for others in ((1, 2), (0, 2), (0, 1)):
        np.testing.assert_allclose((count * fitted).sum(axis=others), total.sum(axis=others), rtol=1e-9)
    logs = np.log(fitted)  # a sum of one term a grade: no interaction is left
    assert np.abs(logs - logs[:1] - logs[:, :1] + logs[:1, :1]).max() < 1e-9
    assert np.abs(logs - logs[:1] - logs[:, :, :1] + logs[:1, :, :1]).max() < 1e-9


def test_a_grade_that_nobody_had_lies_between_its_neighbours():
    grades = np.array([[1, 1, 1], [2, 1, 1], [4, 1, 1], [5, 1, 1]]).repeat(50, axis=0)
    found = cell_means(grades, np.repeat([1.0, 2.0, 4.0, 9.0], 50))
    np.testing.assert_allclose(found[:, 0, 0], [1.0, 2.0, 3.0, 4.0, 9.0], rtol=1e-9)
    np.testing.assert_allclose(found[:, 4, 2], found[:, 0, 0])


def test_cells_without_interaction_are_drawn_to_the_margins(graded):
    mean = np.exp(-2.0 + graded @ np.array([0.3, 0.1, 0.2]))
    found = cell_means(graded, np.random.default_rng(5).poisson(mean) * 1.0)
    truth = np.exp(-2.0 + (np.indices((5, 5, 5)).T + 1) @ np.array([0.3, 0.1, 0.2])).T
    assert np.abs(found / truth - 1).max() < 0.2  # 160 customers a cell: own means miss by up to 60 %
    assert np.abs(found / truth - 1).mean() < 0.05


def test_large_cells_keep_their_own_means():
    rng = np.random.default_rng(6)
    grades = rng.integers(1, 6, size=(50_000, 3))
    odd = rng.permutation(np.repeat([1.0, 4.0], [63, 62])).reshape(5, 5, 5)
    cell = tuple((grades - 1).T)
    drawn = rng.poisson(odd[cell]) * 1.0
    count, total = np.zeros((5, 5, 5)), np.zeros((5, 5, 5))
    np.add.at(count, cell, 1)
    np.add.at(total, cell, drawn)
    np.testing.assert_allclose(cell_means(grades, drawn), total / count, rtol=0.02)


def test_credibility_is_closer_to_the_truth_than_own_means_and_margins():
    """Cells of 8 customers whose means vary around the margins by a factor of gamma, 30 times."""
    rng = np.random.default_rng(7)
    grades = np.array(list(np.ndindex(5, 5, 5))).repeat(8, axis=0) + 1
    cell = tuple((grades - 1).T)
    margins = np.exp(-1.5 + (np.indices((5, 5, 5)).T + 1) @ np.array([0.3, 0.2, 0.1])).T
    missed = np.zeros(3)
    for _ in range(30):
        truth = margins * rng.gamma(6.0, 1 / 6, size=(5, 5, 5))
        drawn = rng.poisson(truth[cell]) * 1.0
        total = np.zeros((5, 5, 5))
        np.add.at(total, cell, drawn)
        own, by_margins = total / 8, margin_means(np.full((5, 5, 5), 8.0), total)
        for place, guess in enumerate((cell_means(grades, drawn), own, by_margins)):
            missed[place] += ((guess - truth) ** 2).mean()
    assert missed[0] < 0.9 * missed[1]
    assert missed[0] < 0.9 * missed[2]


# --------------------------------------------------------------------------------------------------- regressions


def test_features_keep_their_meaning_whatever_the_unit():
    summary, _ = histories(50, 1)
    days = replace(summary, recency=summary.recency * 7, T=summary.T * 7, unit="day")
    np.testing.assert_allclose(features(days, money=True), features(summary, money=True))
    np.testing.assert_allclose(log_features(days, typical_spend=20.0), log_features(summary, typical_spend=20.0))
    np.testing.assert_allclose(
        log_features(dearer(summary, 7.3), typical_spend=146.0), log_features(summary, typical_spend=20.0)
    )


def test_boosting_finds_what_buyers_do_next():
    """The rate before is the rate after: forecasts of new customers follow it, and those who bought are told apart."""
    summary, rate = histories(3000, 21)
    forecasts = BASELINES["boosting"].forecasts(summary, 16.0, training=windows(n=3000))
    purchases = np.random.default_rng(9).poisson(rate * 16.0)
    expected = forecasts["purchases"].mean
    assert expected.sum() == pytest.approx(purchases.sum(), rel=0.05)
    by_tenth = np.argsort(expected, kind="stable").reshape(10, -1)
    found, truth = (values[by_tenth].mean(axis=1) for values in (expected, 16.0 * rate))
    np.testing.assert_allclose(found[3:], truth[3:], rtol=0.15, atol=0.05)
    p, active = forecasts["active"].mean, purchases > 0
    assert ((p - active) ** 2).mean() < 0.7 * active.mean() * (1 - active.mean())  # of the share alone
    assert forecasts["spend"].mean.sum() == pytest.approx(
        (np.nan_to_num(summary.monetary_value, nan=20.0) * 16.0 * rate).sum(), rel=0.1
    )


@pytest.fixture(scope="module")
def design():
    rng = np.random.default_rng(31)
    return np.column_stack([np.ones(5000), rng.normal(size=(5000, 2))])


def test_the_negative_binomial_recovers_the_truth(design):
    truth, shape = np.array([0.2, 0.5, -0.3]), 0.8
    rng = np.random.default_rng(32)
    counts = rng.poisson(np.exp(design @ truth) * rng.gamma(shape, 1 / shape, size=len(design))) * 1.0
    coefficients, found = fit_negative_binomial(design, counts)
    mean = np.exp(design @ truth)
    information = design.T @ (design * (mean * shape / (shape + mean))[:, None])
    assert (np.abs(coefficients - truth) < 4 * np.sqrt(np.diag(np.linalg.inv(information)))).all()
    assert found == pytest.approx(shape, rel=0.15)


def test_the_negative_binomial_is_the_maximum_that_scipy_s_own_probabilities_have(design):
    rng = np.random.default_rng(33)
    rows, counts = design[:400], rng.negative_binomial(0.7, 0.3, size=400) * 1.0

    def misfit(theta):
        k = np.exp(theta[-1])
        return -stats.nbinom.logpmf(counts, k, k / (k + np.exp(rows @ theta[:-1]))).sum()

    peer = minimize(misfit, np.zeros(4), method="BFGS")
    coefficients, shape = fit_negative_binomial(rows, counts)
    np.testing.assert_allclose(np.append(coefficients, np.log(shape)), peer.x, atol=1e-3)


def test_counts_without_excess_variance_have_a_shape_at_its_bound(design):
    counts = np.random.default_rng(34).poisson(np.exp(0.5 + 0.3 * design[:, 1])) * 1.0
    coefficients, shape = fit_negative_binomial(design, counts)
    assert shape > 20
    np.testing.assert_allclose(coefficients, [0.5, 0.3, 0.0], atol=0.06)


def test_log_odds_and_logs_of_amounts_are_those_of_other_regressions(design):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(35)
    some = rng.random(len(design)) < 1 / (1 + np.exp(-(design @ [-0.5, 1.0, 0.3])))
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(design[:, 1:], some)
    np.testing.assert_allclose(fit_logistic(design, some * 1.0), [*peer.intercept_, *peer.coef_[0]], atol=1e-4)
    amount = np.exp(design @ [3.0, 0.4, 0.0] + rng.normal(0, 0.7, size=len(design)))
    coefficients, sigma = fit_lognormal(design, amount)
    fitted, squares, *_ = np.linalg.lstsq(design, np.log(amount))
    np.testing.assert_allclose(coefficients, fitted, atol=1e-5)
    assert sigma == pytest.approx(np.sqrt(squares[0] / len(design)), rel=1e-6)


def test_buyers_and_others_who_never_overlap_still_have_finite_odds(design):
    coefficients = fit_logistic(design, (design[:, 1] > 0) * 1.0)
    assert np.isfinite(coefficients).all()
    assert coefficients[1] > 5


def test_the_zero_inflated_lognormal_is_that_of_its_draws():
    p, mu, sigma = np.array([0.02, 0.3, 0.97]), np.array([3.0, 2.0, 4.0]), 0.8
    told = zero_inflated_lognormal(p, mu, sigma)
    rng = np.random.default_rng(36)
    draws = np.exp(mu + sigma * rng.normal(size=(400_000, 3))) * (rng.random((400_000, 3)) < p)
    np.testing.assert_allclose(told.mean, draws.mean(axis=0), rtol=0.05)
    np.testing.assert_allclose(told.sd, draws.std(axis=0), rtol=0.05)
    np.testing.assert_allclose(told.quantiles, np.quantile(draws, [0.05, 0.5, 0.95], axis=0), rtol=0.02)
    assert told.quantiles[2, 0] == 0  # 98 % spend nothing


def test_negative_binomial_counts_are_those_of_a_gamma_rate():
    told = negative_binomial(np.array([0.0, 0.5, 6.0]), 0.9)
    rng = np.random.default_rng(37)
    draws = rng.poisson(np.array([0.0, 0.5, 6.0]) * rng.gamma(0.9, 1 / 0.9, size=(400_000, 3)))
    np.testing.assert_allclose(told.sd, draws.std(axis=0), rtol=0.02)
    expected = np.quantile(draws, [0.05, 0.5, 0.95], axis=0, method="inverted_cdf")
    np.testing.assert_array_equal(told.quantiles, expected)


def test_draws_of_the_regressions_score_as_their_distributions_do():
    """CRPS and log score from draws, against sums and integrals over the distribution functions themselves."""
    summary, rate = histories(700, 61)  # more than a block
    forecasts = BASELINES["ziln"].forecasts(summary, 8.0, training=windows())
    came = np.random.default_rng(62).poisson(rate * 8.0) * 1.0
    counts = forecasts["purchases"]
    k = counts.mean**2 / (counts.sd**2 - counts.mean)
    law = stats.nbinom(k[:, None], (k / (k + counts.mean))[:, None])
    grid = np.arange(2000)
    drawn = scores_by_customer(counts, came)
    crps, log_score = drawn.crps, drawn.log_score
    np.testing.assert_allclose(crps, ((law.cdf(grid) - (grid >= came[:, None])) ** 2).sum(axis=1), atol=0.01)
    probability = law.pmf(came[:, None])[:, 0]
    np.testing.assert_allclose(log_score[probability > 0.01], -np.log(probability[probability > 0.01]), atol=0.05)
    blocks = [block.values for block in forecasts["spend"].replay("customers")]
    np.testing.assert_allclose(np.concatenate(blocks).mean(axis=1), forecasts["spend"].mean, rtol=0.03)
    with pytest.raises(DataError, match="not that of sums"):
        next(counts.replay("draws"))


def test_intervals_cover_nine_in_ten_of_what_comes_and_the_active_share_is_right():
    """Counts and amounts drawn from such regressions, learnt from half of the customers and held against the others."""
    rng = np.random.default_rng(38)
    known, _ = histories(8000, 41)
    columns = log_features(known, typical_spend=20.0)
    design = Scale.of(columns).design(columns)
    slopes = rng.normal(0, 0.25, size=(3, design.shape[1] - 1))
    mean = np.exp(0.3 + design[:, 1:] @ slopes[0])
    counts = rng.poisson(mean * rng.gamma(1.2, 1 / 1.2, size=len(mean))) * 1.0
    p = 1 / (1 + np.exp(-(design[:, 1:] @ slopes[1])))
    spend = (rng.random(len(p)) < p) * np.exp(3 + design[:, 1:] @ slopes[2] + rng.normal(0, 0.6, size=len(p)))
    half = slice(0, 4000)
    training = ((known.take(np.arange(4000)), outcome(counts[half], spend[half])),)
    asked = known.take(np.arange(4000, 8000))
    forecasts = BASELINES["ziln"].forecasts(asked, 8.0, training=training)
    for quantity, came in (("purchases", counts[4000:]), ("spend", spend[4000:])):
        told = forecasts[quantity]
        covered = ((came >= told.q05) & (came <= told.q95)).mean()
        assert 0.885 < covered < (0.98 if quantity == "purchases" else 0.97)  # counts and zeros cover more than asked
        assert (came > told.q95).mean() == pytest.approx(0.05, abs=0.015 if quantity == "spend" else 0.03)
        error = np.sqrt(2 * (told.sd**2).sum())  # of what came, and of what as many customers taught
        assert abs(told.mean.sum() - came.sum()) < 4 * error < 0.25 * came.sum()
    assert forecasts["active"].mean.mean() == pytest.approx((counts[4000:] > 0).mean(), abs=0.03)


def test_over_a_longer_horizon_the_chance_of_spend_is_that_of_its_parts():
    summary, _ = histories(200, 51)
    training = windows()
    once, thrice = (BASELINES["ziln"].forecasts(summary, weeks, training=training) for weeks in (8.0, 24.0))
    np.testing.assert_allclose(thrice["spend"].mean, 3 * once["spend"].mean, rtol=1e-9)
    # Negative binomial with the same shape: the variance is m + m^2 / k, so k = m^2 / (sd^2 - m).
    shapes = [f.mean**2 / (f.sd**2 - f.mean) for f in (once["purchases"], thrice["purchases"])]
    np.testing.assert_allclose(shapes[0], shapes[1], rtol=1e-6)
