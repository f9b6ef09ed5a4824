"""Circumstances of a contest against plain pandas, and contests on shuffled outcomes, which nobody may win."""

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.evaluation.circumstances import circumstances
from clvmodels.evaluation.contest import contest
from clvmodels.evaluation.shuffling import shuffled
from tests.evaluation_cases import WINDOW, holdout, point

RNG = np.random.default_rng(11)


def measures(log, window, **given):
    return {row.key: row.value for row in circumstances(log, window, **{"expected_purchases": 100.0, **given})}


def log_of(rows):
    return clv.read_transactions(pd.DataFrame(rows, columns=["customer_id", "date", "amount"]))


@pytest.fixture(scope="module")
def lines(cdnow_log):
    return cdnow_log.table.to_pandas().assign(date=lambda rows: pd.to_datetime(rows.date))


def test_circumstances_are_those_of_plain_pandas(cdnow_log, window, lines):
    """Each from the rows of the log, by other means."""
    end = pd.Timestamp(window.calibration_end)
    before, after = lines[lines.date <= end], lines[(lines.date > end)]
    by = before.groupby("customer_id")
    customers = pd.DataFrame({"first": by.date.min(), "last": by.date.max(), "n": by.size(), "spent": by.amount.sum()})
    customers["spent"] = customers.spent.round(6)  # equal sums are equal whatever their order
    first_day = before.merge(customers["first"], on="customer_id").query("date == first").set_index("customer_id")
    customers["repeat"] = customers.spent - first_day.amount
    came = after.groupby("customer_id").amount.agg(["size", "sum"]).reindex(customers.index, fill_value=0.0).round(6)
    buyers = customers[(customers.n > 1) & (customers.repeat > 0)]
    tenth = lines.date.min() + 0.1 * (lines.date.max() - lines.date.min() + pd.Timedelta(days=1))
    expected = {
        "repeat_share": (customers.n > 1).mean(),
        "old_share": (customers["first"] < tenth).mean(),
        "past_spend": customers.spent.corr(came["sum"], method="spearman"),
        "recency": customers["last"].astype("int64").corr(came["sum"], method="spearman"),
        "rate_and_spend": buyers.n.corr((buyers.repeat / (buyers.n - 1)).round(6), method="spearman"),
        "pace": came["size"].sum() / 1500.0,
        "largest": came["sum"].max() / came["sum"].sum(),
    }
    found = measures(cdnow_log, window, expected_purchases=1500.0)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-9)


def test_what_has_no_meaning_is_none():
    """Two customers without a repeat, of equal spend, who do not come back."""
    log = log_of([("a", "2000-12-03", 5.0), ("b", "2000-12-04", 5.0), ("later", "2001-03-04", 1.0)])
    assert measures(log, WINDOW) == {
        "repeat_share": 0.0,
        "old_share": 1.0,
        "past_spend": None,
        "recency": None,
        "rate_and_spend": None,
        "pace": 0.0,
        "largest": None,
    }


@pytest.mark.parametrize("total", [0.0, -1.0, float("nan"), float("inf")])
def test_a_total_that_cannot_be_is_refused(cdnow_log, window, total):
    with pytest.raises(clv.DataError, match="expected_purchases"):
        circumstances(cdnow_log, window, expected_purchases=total)


def outcomes(n=400):
    purchases = RNG.poisson(RNG.gamma(0.4, 3.0, n))
    return holdout(purchases, purchases * RNG.gamma(3.0, 10.0, n))


def test_shuffled_outcomes_are_the_same_ones_in_other_hands():
    before = outcomes()
    after = shuffled(before, seed=1)
    assert (after.customer_id == before.customer_id).all()
    pairs = [sorted(zip(h.purchases, h.amount, h.active, strict=True)) for h in (before, after)]
    assert pairs[0] == pairs[1]
    assert (after.amount != before.amount).mean() > 0.4
    assert (shuffled(before, seed=1).amount == after.amount).all()
    assert (shuffled(before, seed=2).amount != after.amount).any()


def test_the_order_of_customers_does_not_matter_to_who_gets_what():
    before = outcomes()
    order = RNG.permutation(len(before.customer_id))
    moved = holdout(before.purchases[order], before.amount[order], customer_id=before.customer_id[order])
    assert (shuffled(moved, seed=3).amount == shuffled(before, seed=3).amount[order]).all()


def test_a_seed_that_cannot_be_is_refused():
    with pytest.raises(clv.DataError, match="seed"):
        shuffled(outcomes(), seed=-1)


def test_on_shuffled_outcomes_a_good_forecast_seldom_wins():
    """A forecast that ranks well, against a constant-rate rival that ranks otherwise, over 120 shuffles.

    A decided duel on rankings is a false one: its 90 % interval leaves out 0 in 10 % of shuffles. The share of false
    ones may exceed that by 3 standard errors, .1 + 3 sqrt(.09 / 120) = .182; on the outcomes themselves it wins.
    """
    truth = outcomes()
    noisy = truth.amount + RNG.gamma(1.0, 20.0, len(truth.amount))
    rival = RNG.gamma(1.0, 20.0, len(truth.amount))
    methods = {"good": {"spend": point(noisy)}, "rival": {"spend": point(rival)}}
    scores = {"spend_gini", "spend_spearman", "spend_top_20"}

    def verdicts(outcome, seed):
        table = contest(methods, outcome, model="good", rng=np.random.default_rng(seed), replicates=100)
        return {duel.score: duel.verdict for duel in table.duels if duel.score in scores}

    assert set(verdicts(truth, 0).values()) == {"model"}
    shuffles = [verdicts(shuffled(truth, seed=seed), seed) for seed in range(120)]
    for score in shuffles[0]:
        false = np.mean([found[score] != "open" for found in shuffles])
        assert false <= 0.182, (score, false)
