"""Why customers leave: shares that are learnt, chances that add up, Aalen and Johansen's estimate, refusals."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import clvmodels as clv
from clvmodels.inference.reasons import PRIOR_MEDIAN, PRIOR_SD, learn_shares
from tests.conftest import BG_NBD_PAPER
from tests.retention_cases import TRUTH, relations

AGES = [1.0, 2.0, 4.0, 8.0, 12.0]


def shares_at(age):
    """Shares of moved, price and service among those lost at an age: price matters first, moving later."""
    price = 0.6 * np.exp(-0.15 * (age - 1)) + 0.1
    return np.column_stack([0.8 - price, price, np.full(np.shape(age), 0.2)])


def with_reasons(table, *, seed):
    """The table with reasons drawn by the shares of the age of each loss."""
    rng = np.random.default_rng(seed)
    chance = shares_at(np.ceil(table.age)).cumsum(axis=1)
    which = (rng.random(len(table))[:, None] > chance).sum(axis=1)
    reason = np.where(table.lost, np.array(["moved", "price", "service"], dtype=object)[which], None)
    return dataclasses.replace(table, reason=reason)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    joined = rng.integers(0, 4, 6000).astype(float)
    seen = relations("sbg", TRUTH["sbg"], 6000, seed=2, joined=joined, until=joined + rng.integers(2, 13, 6000))
    return with_reasons(seen, seed=3)


@pytest.fixture(scope="module")
def fit(table):
    return clv.fit("sbg", table, draws=1000, seed=4)


@pytest.fixture(scope="module")
def told(fit, table):
    return clv.leaving_reasons(fit, table, ages=AGES, seed=5).to_pandas()


def test_reasons_add_up_to_all_losses(told):
    by_age = told.groupby("age")
    assert by_age["share"].sum().to_numpy() == pytest.approx(np.ones(5), abs=1e-12)
    assert by_age["incidence"].sum().to_numpy() == pytest.approx(1 - by_age["survival"].first().to_numpy(), abs=1e-12)
    for name in ("share", "incidence"):
        assert (told[f"{name}_q05"] <= told[name]).all()
        assert (told[name] <= told[f"{name}_q95"]).all()


def test_shares_and_chances_of_the_story_are_found(told):
    """Bands of 90 % hold the truth of most; none is far off."""
    truth = shares_at(np.array(AGES)).T.ravel()
    assert told["reason"].tolist() == ["moved"] * 5 + ["price"] * 5 + ["service"] * 5
    inside = (told["share_q05"] <= truth) & (truth <= told["share_q95"])
    assert inside.mean() >= 0.7
    error = (told["share_q95"] - told["share_q05"]) / 3.29
    assert (np.abs(told["share"] - truth) < 4 * error).all()
    survival = clv.MODELS["sbg"].formulas["survival"](TRUTH["sbg"], np.arange(13.0))
    by_unit = np.cumsum(shares_at(np.arange(1.0, 13.0)) * -np.diff(survival)[:, None], axis=0)
    chances = by_unit[np.array(AGES, dtype=int) - 1].T.ravel()
    error = (told["incidence_q95"] - told["incidence_q05"]) / 3.29
    assert (np.abs(told["incidence"] - chances) < 4 * error).all()


def test_chances_are_those_of_aalen_and_johansen():
    """Model-free, by lifelines, of relations seen from their beginning; it takes no ties, so losses are spread."""
    from lifelines import AalenJohansenFitter

    seen = relations("bdw", TRUTH["bdw"], 5000, seed=6, until=np.random.default_rng(7).integers(4, 14, 5000))
    table = with_reasons(seen, seed=8)
    told = clv.leaving_reasons(clv.fit("bdw", table, draws=1000, seed=9), table, ages=AGES[:4], seed=10).to_pandas()
    events = pd.Series(table.reason).map({"moved": 1, "price": 2, "service": 3}).fillna(0).astype(int)
    spread = 1e-3 * np.random.default_rng(19).random(len(table))
    for event, name in ((1, "moved"), (2, "price"), (3, "service")):
        curve = AalenJohansenFitter(calculate_variance=False)
        curve.fit(table.age - spread * (events > 0), events, event_of_interest=event)
        ours = told[told["reason"] == name]
        theirs = [float(curve.predict(age)) for age in AGES[:4]]
        error = (ours["incidence_q95"] - ours["incidence_q05"]).to_numpy() / 3.29
        assert (np.abs(ours["incidence"].to_numpy() - theirs) < 4 * np.maximum(error, 0.004)).all()


def test_an_age_of_few_losses_leans_on_the_others():
    """Fifty ages of price 80 %: one with a single loss for another reason is not 0 %, one without losses has 80 %."""
    rng = np.random.default_rng(11)
    counts = rng.multinomial(40, [0.8, 0.2], 50).astype(float)
    counts[20], counts[30] = [0, 1], [0, 0]
    shares = learn_shares(counts, draws=4000, rng=rng)
    assert shares.pareto_k < 0.7
    assert 0.7 < shares.by_age[:, 20, 0].mean() < shares.by_age[:, 30, 0].mean() < 0.87
    assert shares.by_age[:, 30, 0].std() < 0.15
    assert np.abs(shares.by_age.sum(axis=2) - 1).max() < 1e-12


def test_ages_that_differ_are_not_pooled():
    counts = np.array([[90.0, 10.0], [10.0, 90.0], [85.0, 15.0], [20.0, 80.0]])
    shares = learn_shares(counts, draws=4000, rng=np.random.default_rng(12))
    assert shares.by_age.mean(axis=0)[:, 0] == pytest.approx(counts[:, 0] / 100, abs=0.02)
    common = shares.common / shares.common.sum(axis=1, keepdims=True)
    assert common[:, 0].std() > 0.08


def test_the_shares_have_the_exact_posterior():
    """Two reasons: means by integrals over log a, within 4 standard errors of the draws."""
    counts = np.array([[5.0, 1.0], [3.0, 3.0], [0.0, 2.0], [0.0, 0.0]])
    grid = np.linspace(-8, 10, 121)
    a, b = (np.exp(axis)[..., None] for axis in np.meshgrid(grid, grid))
    chance = stats.betabinom.pmf(counts[:, 0], counts.sum(axis=1), a, b).prod(axis=-1)
    prior = stats.norm.pdf(grid, np.log(PRIOR_MEDIAN), PRIOR_SD)
    density = (chance * prior * prior[:, None])[..., None]
    given = (a + counts[:, 0]) / (a + b + counts.sum(axis=1))
    integral, norm = (
        integrate.simpson(integrate.simpson(f, grid, axis=0), grid, axis=0) for f in (density * given, density)
    )
    shares = learn_shares(counts, draws=20_000, rng=np.random.default_rng(13))
    ours = shares.by_age[:, :, 0]
    exact = integral / norm
    error = ours.std(axis=0) / np.sqrt(20_000 / 4)  # resampled from weighted proposals
    assert (np.abs(ours.mean(axis=0) - exact) < 4 * error).all()


def test_groups_have_their_own_shares_and_survival(table):
    """North leaves for the price, south never does."""
    rng = np.random.default_rng(14)
    region = rng.choice(["north", "south"], len(table)).astype(object)
    reason = table.reason.copy()
    reason[(region == "south") & (reason == "price")] = "moved"
    some = dataclasses.replace(table, groups={"region": region}, reason=reason)
    fit = clv.fit("sbg", some, method="mle")
    told = clv.leaving_reasons(fit, some, ages=[1, 3], seed=1, by="region").to_pandas()
    assert set(told[told["region"] == "north"]["reason"]) == {"moved", "price", "service"}
    assert set(told[told["region"] == "south"]["reason"]) == {"moved", "service"}
    for _, group in told.groupby(["region", "age"]):
        assert group["incidence"].sum() == pytest.approx(1 - group["survival"].iloc[0], abs=1e-12)


def test_customers_with_parameters_of_their_own_are_averaged(table):
    z = np.random.default_rng(15).integers(0, 2, len(table)).astype(float)
    some = dataclasses.replace(table, covariates={"z": z})
    fit = clv.fit("sbg", some, method="mle", covariates={"alpha": ["z"]})
    survival = clv.leaving_reasons(fit, some, ages=[4], seed=1).survival[0]
    theta, gamma = fit.point, fit.point["gamma_alpha[z]"]
    each = clv.MODELS["sbg"].formulas["survival"](
        {"alpha": theta["alpha"] * np.exp(gamma * z), "beta": theta["beta"]}, np.full(len(z), 4.0)
    )
    assert survival == pytest.approx(each.mean(), rel=1e-9)


def test_in_continuous_time_a_part_of_a_unit_has_a_part_of_its_losses():
    seen = relations("exponential_gamma", TRUTH["exponential_gamma"], 3000, seed=16)
    table = with_reasons(seen, seed=17)
    fit = clv.fit("exponential_gamma", table, draws=500, seed=1)
    told = clv.leaving_reasons(fit, table, ages=[0.5, 1.0, 1.5, 20.0], seed=2).to_pandas()
    for _, group in told.groupby("age"):
        assert group["incidence"].sum() == pytest.approx(1 - group["survival"].iloc[0], abs=1e-12)
    assert told[told["age"] == 0.5]["share"].tolist() == told[told["age"] == 1.0]["share"].tolist()
    assert (told[told["age"] == 20.0]["n_lost"] == 0).all()


def test_the_order_of_rows_does_not_matter_and_the_seed_does(fit, table):
    shuffled = table.take(np.random.default_rng(18).permutation(len(table)))
    one, same, other = (
        clv.leaving_reasons(fit, rows, ages=AGES, seed=seed) for rows, seed in ((table, 1), (shuffled, 1), (table, 2))
    )
    assert np.array_equal(one.share, same.share)
    assert not np.array_equal(one.share, other.share)


def test_reasons_that_are_not_known_are_refused_or_told_apart(fit, table):
    reason = table.reason.copy()
    first = np.flatnonzero(table.lost)[:900]
    reason[first] = None
    holes = dataclasses.replace(table, reason=reason)
    with pytest.raises(clv.DataError, match=r'900 customers were lost for a reason that is not known.*"as_known"'):
        clv.leaving_reasons(fit, holes, ages=AGES, seed=1)
    left_out = clv.leaving_reasons(fit, holes, ages=AGES, seed=1, unknown="as_known")
    assert left_out.unknown == 900
    assert set(left_out.reason) == {"moved", "price", "service"}
    own = clv.leaving_reasons(fit, holes, ages=AGES, seed=1, unknown="own")
    assert own.unknown == 0
    assert set(own.reason) == {"moved", "price", "service", "unknown"}
    with pytest.raises(clv.DataError, match='unknown = "drop": expected one of'):
        clv.leaving_reasons(fit, holes, ages=AGES, seed=1, unknown="drop")


def test_what_cannot_be_told_is_refused(fit, table):
    bare = dataclasses.replace(table, reason=None)
    with pytest.raises(clv.DataError, match="the table names no reasons for leaving"):
        clv.leaving_reasons(fit, bare, ages=AGES, seed=1)
    none = dataclasses.replace(table, reason=np.full(len(table), None, dtype=object))
    with pytest.raises(clv.DataError, match="no loss of the table has a reason"):
        clv.leaving_reasons(fit, none, ages=AGES, seed=1, unknown="as_known")
    for ages in ([], [0.0], [-1], [np.nan], [5000.0]):
        with pytest.raises(clv.DataError, match="ages"):
            clv.leaving_reasons(fit, table, ages=ages, seed=1)
    with pytest.raises(clv.DataError, match="seed"):
        clv.leaving_reasons(fit, table, ages=AGES, seed=None)
    purchases = clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="month")
    with pytest.raises(clv.DataError, match="bg_nbd needs a CustomerSummary"):
        clv.leaving_reasons(purchases, table, ages=AGES, seed=1)
