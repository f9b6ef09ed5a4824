"""`best_forecast` chooses by days inside the calibration, and by nothing after them."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from tests.baseline_cases import FIRST_DAY, shop

END = FIRST_DAY.date() + dt.timedelta(days=200)
FEW = (clv.Candidate("nbd"), clv.Candidate("mbg_nbd"), clv.Candidate("nbd", baskets="repeat"))
NUMBERS = {"draws": 50, "replicates": 60}


@pytest.fixture(scope="module")
def purchases():
    return shop(days=320, n=400)


@pytest.fixture(scope="module")
def window():
    return clv.Window(END, END + dt.timedelta(weeks=9))


@pytest.fixture(scope="module")
def best(purchases, window):
    return clv.best_forecast(clv.read_transactions(purchases), window, seed=4, candidates=FEW, **NUMBERS)


def by_hand(expected, spent):
    """Normalised Gini and the top fifth's share, customer by customer, of forecasts without ties."""
    order, n = np.argsort(-expected), len(spent)
    area = np.trapezoid(np.append(0, np.cumsum(spent[order])), dx=1 / n) / spent.sum()
    ideal = np.trapezoid(np.append(0, np.cumsum(np.sort(spent)[::-1])), dx=1 / n) / spent.sum()
    whole, part = divmod(0.2 * n, 1)
    top = spent[order[: int(whole)]].sum() + part * spent[order[int(whole)]]
    return (area - 0.5) / (ideal - 0.5), top / spent.sum()


def test_the_inner_scores_are_what_a_count_by_hand_gives(purchases, window, best):
    log = clv.read_transactions(purchases)
    row = next(row for row in best.scores if row.candidate == "mbg_nbd+gamma_gamma[all]")
    training = clv.training_windows(log, window)
    assert [after.window for _, after in training] == list(best.origins)
    assert len(training) >= 2
    for place, (known, after) in enumerate(training):
        fits = [clv.fit("mbg_nbd", known, seed=4, draws=500)]
        fits.append(clv.fit("gamma_gamma", known, seed=4, draws=500, baskets="all"))
        ahead = after.window.holdout_length
        expected = clv.expected_clv(*fits, known, horizon=ahead, discount_per_unit=0.0, draws=20).mean
        gini, top = by_hand(expected, after.amount)
        assert row.gini[place] == pytest.approx(gini, abs=2e-3)
        assert row.capture_20[place] == pytest.approx(top, abs=2e-3)
    assert row.score == pytest.approx(np.mean([*row.gini, *row.capture_20]))


def test_candidates_within_the_error_share_the_forecast_and_the_others_have_none(best):
    assert best.scores[0].behind == 0
    assert sum(best.weights.values()) == pytest.approx(1)
    for row in best.scores:
        assert (row.weight > 0) == (row.behind <= 1.645 * row.standard_error)
    assert len(set(best.weights.values())) == 1


def test_what_comes_after_the_calibration_changes_nothing(purchases, window, best):
    """Other amounts, days and customers, and none of those that were there: the same choice and the same forecast."""
    later = purchases.date > pd.Timestamp(END)
    shuffled = purchases[later].assign(
        amount=lambda frame: frame.amount.to_numpy()[::-1] * 7,
        customer_id=lambda frame: np.random.default_rng(0).permutation(frame.customer_id.to_numpy()),
    )
    new = pd.DataFrame({"customer_id": "x1", "amount": 1e5, "date": [pd.Timestamp(END) + pd.Timedelta(days=3)]})
    others = pd.concat([purchases[~later], shuffled[: len(shuffled) // 2], new])
    again = clv.best_forecast(clv.read_transactions(others), window, seed=4, candidates=FEW, **NUMBERS)
    assert again.scores == best.scores
    for column in ("customer_id", "mean", "sd", "q05", "q50", "q95"):
        np.testing.assert_array_equal(getattr(again.forecast, column), getattr(best.forecast, column))


def test_a_seed_gives_the_same_forecast_whatever_the_order_of_rows(purchases, window, best):
    log = clv.read_transactions(purchases.sample(frac=1, random_state=1))
    again = clv.best_forecast(log, window, seed=4, candidates=FEW, **NUMBERS)
    assert again.scores == best.scores
    np.testing.assert_array_equal(again.forecast.mean, best.forecast.mean)


def test_the_mean_is_that_of_the_chosen_models_and_agrees_with_the_draws(purchases, window):
    log = clv.read_transactions(purchases)
    all_three = clv.best_forecast(log, window, seed=4, candidates=FEW, within=1e9, draws=2000, replicates=2)
    assert all_three.weights == pytest.approx({one.name: 1 / 3 for one in FEW})
    customers, ahead = clv.customer_summary(log, window), window.holdout_length
    spend = {kind: clv.fit("gamma_gamma", customers, seed=4, draws=500, baskets=kind) for kind in ("repeat", "all")}
    each = [
        clv.expected_clv(
            clv.fit(one.purchases, customers, seed=4, draws=500),
            spend[one.baskets],
            customers,
            horizon=ahead,
            discount_per_unit=0.0,
            draws=20,
        ).mean
        for one in FEW
    ]
    forecast = all_three.forecast
    np.testing.assert_allclose(forecast.mean, np.mean(each, axis=0), rtol=1e-12)
    assert (forecast.quantity, forecast.horizon) == ("spend", ahead)
    spread = forecast.total_draws.std() / np.sqrt(len(forecast.total_draws))
    assert abs(forecast.total_draws.mean() - forecast.mean.sum()) < 6 * spread + 0.02 * forecast.mean.sum()


def test_a_candidate_that_cannot_be_fitted_is_left_out_by_name(purchases, window, best):
    """BG/BB counts whole opportunities, which weeks of a log are not."""
    log = clv.read_transactions(purchases)
    with_one_more = clv.best_forecast(log, window, seed=4, candidates=(*FEW, clv.Candidate("bg_bb")), **NUMBERS)
    assert list(with_one_more.left_out) == ["bg_bb+gamma_gamma[all]"]
    assert "counts opportunities" in with_one_more.left_out["bg_bb+gamma_gamma[all]"]
    assert with_one_more.scores == best.scores
    with pytest.raises(clv.FitError, match="no candidate is left: bg_bb"):
        clv.best_forecast(log, window, seed=4, candidates=(clv.Candidate("bg_bb"),), **NUMBERS)


def test_one_of_the_chosen_that_fails_at_the_end_is_left_out_and_the_others_are_chosen_anew(
    purchases, window, monkeypatch
):
    from clvmodels.evaluation import best as module

    log, learn = clv.read_transactions(purchases), module._learnt

    def refused_at_the_end(model, baskets, customers, seed, made):
        at_the_end = customers.calibration_end == window.calibration_end
        return "refused" if model == "nbd" and at_the_end else learn(model, baskets, customers, seed, made)

    monkeypatch.setattr(module, "_learnt", refused_at_the_end)
    found = clv.best_forecast(log, window, seed=4, candidates=FEW, within=np.inf, **NUMBERS)
    assert set(found.left_out) == {"nbd+gamma_gamma[all]", "nbd+gamma_gamma"}
    assert found.weights == {"mbg_nbd+gamma_gamma[all]": 1.0}


def test_only_the_chosen_are_fitted_to_the_whole_calibration(purchases, window, monkeypatch):
    from clvmodels.evaluation import best as module

    learn, fitted = module._learnt, []

    def counted(model, baskets, customers, seed, made):
        fitted.append((model, customers.calibration_end))
        return learn(model, baskets, customers, seed, made)

    monkeypatch.setattr(module, "_learnt", counted)
    found = clv.best_forecast(clv.read_transactions(purchases), window, seed=4, candidates=FEW, within=0, **NUMBERS)
    (chosen,) = found.weights
    at_the_end = [model for model, day in fitted if day == window.calibration_end]
    assert at_the_end == chosen.removesuffix("[all]").split("+")


def test_a_model_that_ranks_by_nothing_is_not_chosen(purchases, window, monkeypatch):
    """Candidates told apart: one of the two ranks customers at random on every origin."""
    from clvmodels.evaluation import best as module

    honest = module.expected_spends

    def noise(fit, spends, customers, *, horizon, draws):
        told = honest(fit, spends, customers, horizon=horizon, draws=draws)
        if fit.model.name == "nbd":
            return [np.random.default_rng(1).random(len(customers)) for _ in told]
        return told

    monkeypatch.setattr(module, "expected_spends", noise)
    chosen = clv.best_forecast(clv.read_transactions(purchases), window, seed=4, candidates=FEW, **NUMBERS)
    assert list(chosen.weights) == ["mbg_nbd+gamma_gamma[all]"]


def test_the_ranking_takes_in_as_much_past_spend_as_ranked_best_inside(purchases, window, best):
    log = clv.read_transactions(purchases)
    customers = clv.customer_summary(log, window)
    past = clv.BASELINES["abc"].forecasts(customers, 9.0)["score"].mean
    want = best.forecast.mean ** (1 - best.share) * past**best.share
    np.testing.assert_allclose(best.ranking.mean, want, rtol=1e-9)
    assert best.by_share[best.share] == max(best.by_share.values())
    scores = [
        by_hand(clv.BASELINES["abc"].forecasts(known, 9.0)["score"].mean, after.amount)
        for known, after in clv.training_windows(log, window)
    ]
    assert best.by_share[1.0] == pytest.approx(np.mean(scores), abs=2e-3)
    assert (best.ranking.quantity, best.ranking.totals) == ("score", None)


def test_bad_requests_are_refused(purchases, window):
    log = clv.read_transactions(purchases)
    with pytest.raises(clv.DataError, match="expected one or more, each once"):
        clv.best_forecast(log, window, seed=4, candidates=(FEW[0], FEW[0]))
    with pytest.raises(clv.DataError, match="within = -1"):
        clv.best_forecast(log, window, seed=4, within=-1)
    with pytest.raises(clv.DataError, match="replicates = 1"):
        clv.best_forecast(log, window, seed=4, replicates=1)
    with pytest.raises(clv.DataError, match="no holdout"):
        clv.best_forecast(log, clv.Window(END), seed=4)
    gone = purchases[purchases.date <= pd.Timestamp(END) - pd.Timedelta(days=70)]
    with pytest.raises(clv.DataError, match=r"nobody spent|outside the data"):
        clv.best_forecast(clv.read_transactions(gone), window, seed=4, horizon=4.0)
