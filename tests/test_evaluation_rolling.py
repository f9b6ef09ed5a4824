"""Rolling origins: the better method wins, nobody wins on chance, and time counts where there is enough of it."""

import datetime as dt
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.evaluation.contest import contest
from clvmodels.evaluation.rolling import Occasion, rolling_contest, winners
from clvmodels.evaluation.shuffling import ORDERS, check_shuffles
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.results import RollingSection
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.evaluation_cases import drawn, holdout, ids, point

START = dt.date(2001, 1, 7)


def origins(number, *, step=8):
    """Windows a step of weeks apart, each with a holdout of 8 weeks."""
    cuts = [START + dt.timedelta(weeks=step * place) for place in range(number)]
    return [clv.Window(cut, cut + dt.timedelta(weeks=8)) for cut in cuts]


def occasion(window, forecasts, purchases, amount=None, **more):
    return Occasion(forecasts, replace(holdout(purchases, amount), window=window), **more)


def told(mean):
    return {"purchases": point(mean, "purchases"), "spend": point(20 * mean)}


def run(windows, occasions, *, model="a", seed=1, replicates=200, **more):
    """The contest of occasions that are there already."""
    by_window = dict(zip(windows, occasions, strict=True))
    return rolling_contest(windows, by_window.__getitem__, model=model, seed=seed, replicates=replicates, **more)


def league(section):
    return {(row.method, row.score): row for row in section.league}


def verdicts(section):
    return {verdict.score: verdict for verdict in section.verdicts}


def noisy(rate, rng, noise=0.5):
    return told(rate * rng.lognormal(0, noise, size=len(rate)))


@pytest.fixture
def shop():
    """Three origins of 300 customers: a knows the rates, b and c know them with noise."""
    rng = np.random.default_rng(3)
    windows = origins(3)
    rate = rng.gamma(0.8, 2.0, size=300)
    occasions = [
        occasion(w, {"a": told(rate), "b": noisy(rate, rng, 1.0), "c": noisy(rate, rng, 1.0)}, rng.poisson(rate))
        for w in windows
    ]
    return windows, occasions


def test_a_league_row_is_the_mean_of_the_contests_scores_at_each_origin(shop):
    windows, occasions = shop
    rows = league(run(windows, occasions))
    for place, one in enumerate(occasions):
        section = contest(one.forecasts, one.holdout, model="a", rng=np.random.default_rng(0), replicates=2)
        for score in section.scores:
            assert rows[score.method, score.score].by_origin[place] == score.value
    for row in rows.values():
        assert row.value == pytest.approx(np.mean(row.by_origin), rel=1e-12)
        assert row.origins == 3


def test_the_better_method_is_reliably_better_and_wins_the_origins(shop):
    section = run(*shop)
    for score in ("purchases_rmse", "purchases_spearman", "spend_gini"):
        verdict = verdicts(section)[score]
        assert (verdict.verdict, verdict.best, verdict.kept) == ("one", ["a"], ["a"])
        assert [duel.verdict for duel in verdict.duels] == ["model", "model"]
        assert league(section)["a", score].won == 3
    duel = next(duel for duel in section.duels if (duel.method, duel.score) == ("b", "spend_gini"))
    assert duel.low > 0
    assert duel.difference == pytest.approx(duel.model_value - duel.method_value)


def test_the_order_of_customers_and_of_methods_changes_nothing(shop):
    windows, occasions = shop
    order = np.random.default_rng(5).permutation(300)

    def mixed(forecast):
        columns = {name: getattr(forecast, name)[order] for name in ("customer_id", "mean", "sd", "q05", "q50", "q95")}
        return replace(forecast, **columns)

    shuffled = [
        replace(
            one,
            forecasts={m: {q: mixed(f) for q, f in one.forecasts[m].items()} for m in ("c", "a", "b")},
            holdout=replace(
                one.holdout,
                customer_id=one.holdout.customer_id[order],
                purchases=one.holdout.purchases[order],
                amount=one.holdout.amount[order],
            ),
        )
        for one in occasions
    ]
    straight, other = run(windows, occasions), run(windows, shuffled)
    assert league(straight) == league(other)
    assert verdicts(straight).keys() == verdicts(other).keys()
    for score, verdict in verdicts(straight).items():
        assert verdicts(other)[score].p_values == verdict.p_values


def test_methods_that_say_the_same_share_the_place_and_neither_is_dropped_for_the_other(shop):
    windows, occasions = shop
    twins = [replace(one, forecasts={**one.forecasts, "twin": one.forecasts["a"]}) for one in occasions]
    section = run(windows, twins)
    verdict = verdicts(section)["spend_gini"]
    assert (verdict.verdict, set(verdict.best), set(verdict.kept)) == ("some", {"a", "twin"}, {"a", "twin"})
    assert league(section)["a", "spend_gini"].won == league(section)["twin", "spend_gini"].won == 1.5
    duel = next(duel for duel in section.duels if (duel.method, duel.score) == ("twin", "spend_gini"))
    assert (duel.difference, duel.low, duel.high, duel.verdict) == (0, 0, 0, "open")


def test_shuffled_outcomes_give_nobody_a_win():
    # Five rankings, of unequal worth on true outcomes and two of them alike but for few customers, against shuffled
    # ones: all are equal, so any of seven verdicts may drop one in at most 10 % of contests. Verdicts taken one by one
    # would do so in some 30 %. A single winner is far rarer. Duels allow for nothing: 10 % of them look settled.
    rng = np.random.default_rng(8)
    rate = rng.gamma(0.8, 2.0, size=250)
    worth = rng.lognormal(3.0, 0.8, size=250)
    windows = origins(2)
    forecasts = {name: noisy(rate, rng, noise) for name, noise in (("a", 0.0), ("b", 0.3), ("c", 0.8), ("d", 2.0))}
    forecasts["e"] = told(np.where(rng.random(250) < 0.05, rng.permutation(rate), rate))
    made = {w: occasion(w, forecasts, purchases := rng.poisson(rate), purchases * worth) for w in windows}
    check = check_shuffles(made, model="a", seed=3, shuffles=120, replicates=150)
    assert check.dropped / 120 < 0.10 + 2 * np.sqrt(0.1 * 0.9 / 120)
    assert check.won / 120 < 0.03
    assert check.low <= check.dropped / 120 <= check.high
    by_score = {row.score: row for row in check.scores}
    assert set(by_score) == set(ORDERS)
    assert sum(row.dropped for row in check.scores) >= check.dropped >= max(row.dropped for row in check.scores)
    for row in check.scores:
        assert 0.0 < row.settled < 0.10 + 3 * 0.02, row
        assert row.settled_low < row.settled < row.settled_high, row


def test_the_scores_of_orders_alone_still_find_who_is_better():
    # The same scores on outcomes as they came: what the shuffles say nobody wins is won here.
    rng = np.random.default_rng(12)
    rate = rng.gamma(0.8, 2.0, size=250)
    (window,) = origins(1)
    made = occasion(window, {"a": told(rate), "b": noisy(rate, rng)}, rng.poisson(rate))
    section = run([window], [made], scores=ORDERS)
    assert {row.score for row in section.league} == set(ORDERS)
    assert verdicts(section)["purchases_spearman"].verdict == "one"


def test_scores_that_are_not_known_are_refused(shop):
    with pytest.raises(DataError, match="scores = luck: expected some of"):
        run(*shop, scores=["luck"])
    with pytest.raises(DataError, match="scores = none"):
        run(*shop, scores=[])


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 6])
def test_shuffles_of_heavy_spend_give_nobody_a_win_with_one_origin_and_with_origins_resampled(number):
    # The largest of 400 customers has some 10 % of all spend. With six origins, times are resampled too.
    rng = np.random.default_rng(9)
    rate = rng.gamma(0.6, 2.0, size=400)
    worth = rng.lognormal(3.0, 1.4, size=400)
    windows = origins(number)
    forecasts = {name: noisy(rate, rng, noise) for name, noise in (("a", 0.0), ("b", 0.2), ("c", 0.8), ("d", 2.0))}
    made = {w: occasion(w, forecasts, purchases := rng.poisson(rate), purchases * worth) for w in windows}
    check = check_shuffles(made, model="a", seed=5, shuffles=400, replicates=300)
    assert check.dropped / 400 < 0.10 + 2 * np.sqrt(0.1 * 0.9 / 400)
    assert check.won / 400 < 0.02


def test_a_customer_seen_at_three_origins_is_one_witness():
    # The same customers do the same at each origin: three origins know no more than one, and intervals are as wide.
    rng = np.random.default_rng(9)
    rate = rng.gamma(0.8, 2.0, size=300)
    forecasts, purchases = {"a": noisy(rate, rng), "b": noisy(rate, rng)}, rng.poisson(rate)
    windows = origins(3)
    three = run(windows, [occasion(w, forecasts, purchases) for w in windows])
    one = run(windows[:1], [occasion(windows[0], forecasts, purchases)])
    for wide, narrow in zip(three.duels, one.duels, strict=True):
        assert (wide.low, wide.high) == pytest.approx((narrow.low, narrow.high), rel=1e-9, abs=1e-12)


def test_the_interval_of_customers_has_the_width_of_the_sampling_error():
    # MAE is a mean over 1,000 customers, whose own sampling error is known; 2,000 replicates give its quantiles to 3 %.
    rng = np.random.default_rng(10)
    purchases = rng.poisson(2.0, size=1000)
    windows = origins(1)
    section = run(windows, [occasion(windows[0], {"a": told(np.full(1000, 1.5))}, purchases)], replicates=2000)
    row = league(section)["a", "purchases_mae"]
    error = np.abs(purchases - 1.5)
    assert row.high - row.low == pytest.approx(2 * 1.645 * error.std() / np.sqrt(1000), rel=0.15)


def drifting(number, rng, *, size=200, sway=0.4):
    """Origins at each of which one of two equal methods is too high, by chance of the time and not of customers."""
    rate = rng.gamma(2.0, 2.0, size=size)
    for window in origins(number):
        high = rng.normal(0, sway, size=2)
        yield occasion(
            window, {"a": told(rate * np.exp(high[0])), "b": told(rate * np.exp(high[1]))}, rng.poisson(rate)
        )


def test_equals_that_sway_with_time_are_told_apart_about_as_often_as_the_level_says_from_five_origins_on():
    # With five origins a bootstrap without Student's t would decide a fifth of 100 contests; customers alone, most.
    rng = np.random.default_rng(11)
    decided, by_customers = 0, 0
    for seed in range(100):
        occasions = list(drifting(5, rng, size=100))
        section = run(origins(5), occasions, seed=seed, replicates=100)
        decided += verdicts(section)["purchases_mae"].verdict != "none"
        if seed < 25:
            first = run(origins(5)[:2], occasions[:2], seed=seed, replicates=50)
            by_customers += verdicts(first)["purchases_mae"].verdict != "none"
    assert section.time
    assert not first.time
    assert decided / 100 < 0.10 + 3 * np.sqrt(0.1 * 0.9 / 100)
    assert by_customers / 25 > 0.5


@pytest.mark.parametrize(
    ("number", "step", "block", "time"),
    [(4, 8, 1, False), (5, 8, 1, True), (5, 20, 1, True), (9, 4, 2, False), (10, 4, 2, True), (12, 3, 3, False)],
)
def test_time_counts_from_five_origins_on_whose_holdouts_have_no_day_in_common(number, step, block, time):
    rng = np.random.default_rng(12)
    windows = origins(number, step=step)
    rate = rng.gamma(0.8, 2.0, size=50)
    section = run(windows, [occasion(w, {"a": told(rate)}, rng.poisson(rate)) for w in windows], replicates=5)
    assert (section.block, section.time) == (block, time)
    assert {verdict.verdict for verdict in section.verdicts} == {"alone"}


def test_a_method_that_gave_no_forecast_at_an_origin_stands_in_the_league_and_in_no_verdict(shop):
    windows, occasions = shop
    late = replace(
        occasions[2],
        forecasts={name: of for name, of in occasions[2].forecasts.items() if name != "c"},
        left_out={"c": "it did not converge."},
    )
    section = run(windows, [*occasions[:2], late])
    row = league(section)["c", "spend_gini"]
    assert (row.origins, row.by_origin[2]) == (2, None)
    assert row.value == pytest.approx(np.mean(row.by_origin[:2]))
    assert set(verdicts(section)["spend_gini"].p_values) == {"a", "b"}
    assert {duel.method for duel in section.duels} == {"b"}
    assert section.origins[2].left_out == {"c": "it did not converge."}
    # Of the method that differences are shown of, nothing can be said there: the contest is of the other origins.
    own = run(windows, [*occasions[:2], late], model="c")
    assert own.left_out == {"2001-04-29": "it did not converge."}
    assert [origin.calibration_end for origin in own.origins] == ["2001-01-07", "2001-03-04"]
    assert league(own) == league(run(windows[:2], occasions[:2], model="c"))
    assert {duel.method for duel in own.duels} == {"a", "b"}
    with pytest.raises(DataError, match=r'model = "c" gave no forecast at any of 1 origins .*did not converge'):
        run(windows[2:], [late], model="c")


def test_a_score_that_has_no_meaning_at_an_origin_is_averaged_over_the_others(shop):
    windows, occasions = shop
    nobody = occasion(windows[1], occasions[1].forecasts, np.zeros(300))
    section = run(windows, [occasions[0], nobody, occasions[2]])
    assert league(section)["a", "spend_gini"].origins == 2
    assert set(verdicts(section)["spend_gini"].p_values) == {"a", "b", "c"}
    assert league(section)["a", "purchases_mae"].origins == 3


def test_winners_are_a_row_for_each_score_data_set_and_horizon(shop):
    sections = [run(*shop, data="one"), run(*shop, data="two")]
    rows = winners(sections)
    assert len(rows) == 2 * len(sections[0].verdicts)
    assert {(row.data, row.horizon, row.unit, row.origins) for row in rows} == {
        ("one", 8, "week", 3),
        ("two", 8, "week", 3),
    }
    gini = next(row for row in rows if row.score == "spend_gini")
    assert (gini.best, gini.verdict) == (["a"], "one")
    assert gini.value == league(sections[0])["a", "spend_gini"].value
    assert not any("width" in row.score for row in rows)  # a narrow interval is no merit by itself


def test_a_section_is_written_and_read_as_json_without_loss(shop):
    section = run(*shop)
    assert msgspec.json.decode(msgspec.json.encode(section), type=RollingSection) == section


def test_replicates_do_not_depend_on_the_size_of_the_blocks(shop, monkeypatch):
    whole = run(*shop)
    monkeypatch.setattr("clvmodels.evaluation.contest.BLOCK_NUMBERS", 300 * 7)
    assert run(*shop) == whole


def test_windows_that_do_not_belong_together_are_refused(shop):
    windows, occasions = shop
    with pytest.raises(DataError, match="no window"):
        run([], [])
    with pytest.raises(DataError, match="not in the order"):
        run(windows[::-1], occasions[::-1])
    longer = clv.Window(windows[2].calibration_end, windows[2].calibration_end + dt.timedelta(weeks=12))
    with pytest.raises(DataError, match="8 to 12 weeks: scores of different horizons"):
        run([*windows[:2], longer], occasions)
    with pytest.raises(DataError, match=r"level = 90: expected a chance"):
        run(windows, occasions, level=90)


def test_a_forecast_of_who_comes_back_outside_0_to_1_is_refused(shop):
    windows, occasions = shop
    wrong = {"a": {"active": point(np.full(300, 1.2), "active")}}
    with pytest.raises(DataError, match=r"the forecast of active by a is 1\.2 for 300 customers"):
        run(windows[:1], [replace(occasions[0], forecasts=wrong)])


# Data from the model


@pytest.fixture(scope="module")
def simulated():
    """A purchase log of 1,500 customers by the story of BG/NBD and Gamma-Gamma, and its contest at two origins."""
    rng = np.random.default_rng(2)
    N, until = 1500, 60.0
    came = rng.uniform(0, 12, size=N)
    bg_nbd = {**BG_NBD_PAPER, "r": 0.8}
    buyer, time = clv.MODELS["bg_nbd"].simulate(rng, bg_nbd, until - came)
    buyer, week = np.append(np.arange(N), buyer), np.append(came, came[buyer] + time)
    order = np.argsort(buyer, kind="stable")
    amount = clv.MODELS["gamma_gamma"].simulate(rng, GAMMA_GAMMA_PAPER, np.bincount(buyer, minlength=N).astype(float))
    day = pd.Timestamp("2001-01-01") + pd.to_timedelta(np.floor(7 * week[order]), unit="D")
    frame = pd.DataFrame({"customer_id": ids(N)[buyer[order]], "date": day, "amount": np.maximum(amount, 0.01)})
    log = clv.read_transactions(frame)
    windows = clv.rolling_windows(log, first_end="2001-07-01", step=16, holdout=16, number=2)
    names = ("abc", "abc_repeat", "rfm", "same_rate", "hiatus", "last_period")
    methods = [*(clv.BASELINES[name] for name in names), clv.model_method("bg_nbd", "gamma_gamma", seed=1, draws=400)]
    section = rolling_contest(
        windows,
        lambda window: clv.forecast_occasion(log, window, methods=methods),
        model="bg_nbd+gamma_gamma",
        seed=1,
        replicates=200,
    )
    return methods, section


def test_data_from_the_model_give_the_model_the_win(simulated):
    _, section = simulated
    # Five other seeds, and five with 3,000 customers, gave the same. Mean absolute error is not among them: its best
    # forecast is a median, mostly 0, so a rule that says 0 of most beats the true mean.
    for score in ("purchases_rmse", "purchases_decile_bias", "spend_gini", "spend_decile_bias", "active_brier"):
        verdict = verdicts(section)[score]
        assert (verdict.best, verdict.verdict) == (["bg_nbd+gamma_gamma"], "one"), score
        assert all(duel.verdict == "model" for duel in verdict.duels)  # intervals that exclude zero


def test_data_from_the_model_lie_where_its_distribution_says(simulated):
    rows = league(simulated[1])
    model = "bg_nbd+gamma_gamma"
    error = np.sqrt(0.9 * 0.1 / 1500)
    assert rows[model, "spend_coverage_90"].value > 0.90 - 4 * error
    for outcome in ("purchases", "spend"):
        assert rows[model, f"{outcome}_pit_distance"].value < 1.95 / np.sqrt(1500)  # p = .001 of a single uniform PIT
    assert abs(rows[model, "purchases_bias"].value) < 0.1


def test_a_method_without_a_distribution_is_scored_where_it_can_be(simulated):
    rows = league(simulated[1])
    scores = {method: {score for m, score in rows if m == method} for method, _ in rows}
    assert scores["abc"] == {name for name, rule in clv.SCORES.items() if rule.needs == "ranking"}
    assert {"active_brier", "purchases_decile_bias"} <= scores["hiatus"]
    assert "active_brier" not in scores["same_rate"]
    assert scores["bg_nbd+gamma_gamma"] == set(clv.SCORES)


def test_difficulty_has_what_a_method_asks_beside_what_it_gives(simulated):
    methods, section = simulated
    rows = {row.method: row for row in clv.difficulty_rows(methods, section)}
    model, abc = rows["bg_nbd+gamma_gamma"], rows["abc"]
    assert model.inputs == ["frequency", "recency", "T", "monetary_value", "first_amount"]
    assert (model.choices, model.trained, abc.choices) == (5, False, 2)
    assert abc.scores["spend_gini"] == league(section)["abc", "spend_gini"].value
    assert abc.scores["purchases_mae"] is None


def test_draws_are_scored_for_who_comes_back():
    rng = np.random.default_rng(15)
    rate = rng.gamma(0.5, 1.0, size=(400, 1))
    draws, purchases = rng.poisson(rate, size=(400, 500)), rng.poisson(rate[:, 0])
    windows = origins(1)
    section = run(windows, [occasion(windows[0], {"a": {"purchases": drawn(draws)}}, purchases)])
    p = ((draws > 0).sum(axis=1) + 0.5) / 501
    assert league(section)["a", "active_brier"].value == pytest.approx(np.mean((p - (purchases > 0)) ** 2), rel=1e-12)
