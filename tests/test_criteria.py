"""Leaving one customer out: against ArviZ, against refits, with counts, and models weighed by it."""

import dataclasses

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from arviz_stats.base import array_stats

import clvmodels as clv
from clvmodels.inference import criteria
from clvmodels.inference.criteria import compare_models, loo, stacking_weights, waic
from clvmodels.inference.likelihood import fitted_patterns
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER

FIXED = {"r": clv.LogNormal(0.3, 1), "alpha": clv.LogNormal(5, 1), "a": clv.LogNormal(1, 1), "b": clv.LogNormal(2.5, 1)}


@pytest.fixture(scope="module")
def fits(bg_nbd_fit, gamma_gamma_fit):
    return {"bg_nbd": bg_nbd_fit, "gamma_gamma": gamma_gamma_fit}


@pytest.fixture(scope="module")
def rival(cdnow):
    """The same model held away from the data by its prior: worse, but not for every customer."""
    return clv.fit("bg_nbd", cdnow, draws=1000, seed=5, priors={"r": clv.LogNormal(0.5, 0.02)})


@pytest.fixture(scope="module")
def some(cdnow):
    """Few customers of many repeats, so that one of them matters."""
    return cdnow.take(np.argsort(-cdnow.frequency, kind="stable")[:600:12])


def arviz_tree(fit, customers):
    fitted = fitted_patterns(fit, customers)
    by_pattern = np.concatenate(list(fitted.blocks()), axis=1)
    values = by_pattern[:, fitted.index].reshape(*fit.draws.sizes.values(), -1)
    likelihood = xr.Dataset({"y": (("chain", "draw", "customer"), values)})
    return xr.DataTree.from_dict({"posterior": fit.draws, "log_likelihood": likelihood})


def arviz_loo(fit, customers):
    return arviz_stats.loo(arviz_tree(fit, customers), pointwise=True, reff=fit.effective_draws / fit.n_draws)


@pytest.mark.parametrize("draws", [100, 250, 2000])
@pytest.mark.parametrize("spread", [1e-7, 1e-3, 0.1, 1.0, 3.0])
def test_smoothing_many_patterns_at_once_is_smoothing_them_one_by_one(draws, spread):
    values = np.random.default_rng(1).normal(-9, spread, (20, draws))
    expected = [array_stats.psislw(row) for row in values]
    elpd, p, k = criteria._loo_rows(values.copy(), int(min(draws / 5, 3 * np.sqrt(draws))))
    by_arviz = np.array(
        [np.logaddexp.reduce(weights + row) for (weights, _), row in zip(expected, values, strict=True)]
    )
    assert elpd == pytest.approx(by_arviz, abs=1e-9)
    assert k == pytest.approx([float(pareto_k) for _, pareto_k in expected], abs=1e-6)
    assert p == pytest.approx(np.logaddexp.reduce(values, axis=1) - np.log(draws) - by_arviz, abs=1e-9)


def test_a_pattern_that_all_draws_see_alike_keeps_its_density_and_has_no_tail():
    elpd, p, k = criteria._loo_rows(np.full((2, 400), -3.25), 60)
    assert elpd == pytest.approx([-3.25, -3.25], abs=1e-13)
    assert p == pytest.approx([0, 0], abs=1e-13)
    assert (k == -np.inf).all()


def test_a_tail_that_cannot_be_fitted_is_flagged():
    values = np.zeros((1, 1000))
    values[0, :60] = -1.0  # most of the tail is one draw, kept many times
    elpd, _, k = criteria._loo_rows(values, 94)
    assert k[0] == np.inf
    assert elpd[0] == pytest.approx(-np.log((940 + 60 * np.e) / 1000))  # the raw weights


@pytest.mark.parametrize("name", ["bg_nbd", "gamma_gamma"])
def test_loo_of_customers_is_that_of_arviz_without_counts(fits, cdnow, name):
    ours, theirs = loo(fits[name], cdnow), arviz_loo(fits[name], cdnow)
    assert ours.kind == "loo"
    assert ours.elpd == pytest.approx(theirs.elpd, abs=1e-6)
    assert ours.se == pytest.approx(theirs.se, rel=1e-9)
    assert ours.p == pytest.approx(theirs.p, abs=1e-6)
    assert ours.n == theirs.n_data_points == ours.n_customers.sum() > len(ours.pointwise)
    known = ours.pattern_of >= 0
    assert ours.by_row[known] == pytest.approx(theirs.elpd_i.values, abs=1e-9)
    assert ours.pareto_k[ours.pattern_of[known]] == pytest.approx(theirs.pareto_k.values, abs=1e-6)
    assert np.isnan(ours.by_row[~known]).all()
    assert ours.unreliable == 0


@pytest.mark.parametrize("name", ["bg_nbd", "gamma_gamma"])
def test_waic_is_its_formula_and_near_loo(fits, cdnow, name):
    ours = waic(fits[name], cdnow)
    values = arviz_tree(fits[name], cdnow)["log_likelihood"]["y"].values[0]
    p = values.var(axis=0, ddof=1)
    assert ours.p == pytest.approx(p.sum())
    assert ours.elpd == pytest.approx((np.log(np.exp(values).mean(axis=0)) - p).sum())
    assert ours.unreliable == (p > 0.4).sum()
    assert ours.elpd == pytest.approx(loo(fits[name], cdnow).elpd, abs=0.1)
    assert np.isnan(ours.pareto_k).all()


def test_a_customer_left_out_is_predicted_as_by_a_fit_without_that_customer(some):
    """Exact leave-one-out by refits; 4 standard errors of both estimates of a log mean density."""
    fit = clv.fit("bg_nbd", some, draws=4000, seed=1, priors=FIXED)
    estimate = loo(fit, some)
    everybody = np.arange(len(some))
    for left_out in (0, 5, 17, 40):
        without = clv.fit("bg_nbd", some.take(everybody != left_out), draws=4000, seed=2, priors=FIXED)
        density = np.exp(fitted_patterns(without, some.take(everybody == left_out)).totals())
        exact = np.log(density.mean())
        error = density.std() / density.mean() / np.sqrt(without.effective_draws)
        assert abs(estimate.by_row[left_out] - exact) < 4 * np.sqrt(2) * error
    lppd = np.log(np.exp(fitted_patterns(fit, some.take(everybody == 0)).totals()).mean())
    assert lppd - estimate.by_row[0] > 0.02  # leaving out does change something here


def test_counted_customers_are_as_many_customers(some):
    counts = np.arange(len(some)) % 3 + 1.0
    frame = some.to_pandas().loc[np.repeat(np.arange(len(some)), counts.astype(int))].reset_index(drop=True)
    copies = clv.CustomerSummary.from_frame(frame.drop(columns="customer_id"), unit="week")
    counted = dataclasses.replace(some, n_customers=counts)
    fit = clv.fit("bg_nbd", counted, draws=500, seed=1)
    a, b = loo(fit, counted), loo(fit, copies)
    assert (a.elpd, a.se, a.p, a.n, a.unreliable) == pytest.approx((b.elpd, b.se, b.p, b.n, b.unreliable))
    rival = clv.fit("bg_nbd", counted, draws=500, seed=1, priors={"r": clv.LogNormal(2, 0.1)})
    by_counts = compare_models({"one": fit, "other": rival}, counted)
    by_copies = compare_models({"one": fit, "other": rival}, copies)
    assert by_counts.to_numpy(dtype=float) == pytest.approx(by_copies.to_numpy(dtype=float), abs=1e-5)


def test_a_model_that_tells_the_truth_uses_as_many_parameters_as_it_has():
    customers, _ = clv.simulate("bg_nbd", BG_NBD_PAPER, T=52.0, size=20_000, seed=1, spend=GAMMA_GAMMA_PAPER)
    for name, parameters in (("bg_nbd", 4), ("gamma_gamma", 3)):
        fit = clv.fit(name, customers, draws=1000, seed=2)
        assert loo(fit, customers).p == pytest.approx(parameters, rel=0.15)  # tr(I^-1 J) over data, and 1,000 draws


def test_another_unit_of_time_shifts_elpd_by_the_jacobian(cdnow):
    """A density of x times in weeks is 7^x as high as in days."""
    days = dataclasses.replace(cdnow, recency=cdnow.recency * 7, T=cdnow.T * 7, unit="day")
    by_week = loo(clv.fit("bg_nbd", cdnow, draws=500, seed=3), cdnow)
    by_day = loo(clv.fit("bg_nbd", days, draws=500, seed=3), days)
    assert by_week.elpd - by_day.elpd == pytest.approx(cdnow.frequency.sum() * np.log(7), abs=1e-3)


def test_block_size_and_row_order_do_not_matter(bg_nbd_fit, cdnow, monkeypatch):
    whole = loo(bg_nbd_fit, cdnow)
    order = np.random.default_rng(0).permutation(len(cdnow))
    monkeypatch.setattr(criteria, "BLOCK_CELLS", 37_000)
    parts = loo(bg_nbd_fit, cdnow.take(order))
    assert parts.pointwise == pytest.approx(whole.pointwise, abs=1e-12)
    assert parts.by_row == pytest.approx(whole.by_row[order], abs=1e-12)


def test_comparison_is_that_of_arviz(bg_nbd_fit, rival, cdnow):
    third = clv.fit("bg_nbd", cdnow, draws=1000, seed=6, priors={"b": clv.LogNormal(0.4, 0.02)})
    models = {"rival": rival, "default": bg_nbd_fit, "third": third}
    ours = compare_models(models, cdnow)
    theirs = arviz_stats.compare({name: arviz_loo(fit, cdnow) for name, fit in models.items()}, round_to="none")
    assert list(ours.index) == list(theirs.index)
    assert ours["rank"].tolist() == [1, 2, 3]
    for mine, other in {"elpd": "elpd", "se": "se", "difference": "elpd_diff", "p": "p"}.items():
        assert ours[mine].to_numpy() == pytest.approx(theirs[other].to_numpy(), rel=1e-7)
    assert ours["difference_se"].to_numpy() == pytest.approx(theirs["dse"].to_numpy(), rel=1e-3)  # N - 1 for N
    assert ours["weight"].to_numpy() == pytest.approx(theirs["weight"].to_numpy(), abs=5e-3)
    assert ours["weight"].sum() == pytest.approx(1)
    assert ours["difference"].iloc[0] == ours["difference_se"].iloc[0] == 0
    assert (ours["difference_se"].iloc[1:] < ours["se"].iloc[1:] / 5).all()  # paired: customers are shared


def test_models_with_and_without_a_covariate_are_paired_by_customer(bg_nbd_fit, cdnow):
    noise = np.random.default_rng(0).integers(0, 3, len(cdnow)).astype(float)
    customers = dataclasses.replace(cdnow, covariates={"noise": noise})
    with_noise = clv.fit("bg_nbd", customers, draws=500, seed=1, covariates=["noise"])
    frame = compare_models({"with": with_noise, "without": bg_nbd_fit}, customers)
    a, b = loo(with_noise, customers), loo(bg_nbd_fit, customers)
    assert len(a.pointwise) > len(b.pointwise)
    paired = a.by_row - b.by_row
    assert abs(frame["difference"].iloc[1]) == pytest.approx(abs(paired.sum()))
    assert frame["difference_se"].iloc[1] == pytest.approx(np.sqrt(len(cdnow)) * paired.std(ddof=1))
    assert a.p - b.p == pytest.approx(3, abs=1.5)  # coefficients of alpha, a and b


def test_stacking_finds_the_share_of_each_model_in_a_mixture():
    """Data from .3 N(0, 1) + .7 N(3, 1): weights within 4 standard errors of the share, plus nothing for a third."""
    rng = np.random.default_rng(1)
    first = rng.random(20_000) < 0.3
    y = np.where(first, 0.0, 3.0) + rng.normal(size=len(first))
    elpd = np.column_stack([-((y - centre) ** 2) / 2 for centre in (0.0, 3.0, 30.0)])
    weights = stacking_weights(elpd, n_customers=np.ones(len(y)))
    density = np.exp(elpd[:, :2])
    information = np.mean(((density[:, 0] - density[:, 1]) / (density @ [0.3, 0.7])) ** 2)
    assert abs(weights[0] - 0.3) < 4 / np.sqrt(len(y) * information)
    assert weights[2] < 1e-6
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_stacking_weights_are_the_best_of_a_grid(seed):
    rng = np.random.default_rng(seed)
    elpd = -rng.gamma(1.0, 2.0, (40, 3)) * [1, 1.2, 2]
    counts = rng.integers(1, 9, 40).astype(float)
    ticks = np.linspace(0, 1, 201)
    grid = np.array([(u, v, 1 - u - v) for u in ticks for v in ticks if u + v <= 1])

    def score(weights):
        return counts @ np.log(np.exp(elpd) @ np.atleast_2d(np.maximum(weights, 0)).T)

    found = stacking_weights(elpd, n_customers=counts)
    assert score(found)[0] >= score(grid).max() - 1e-8
    repeated = stacking_weights(np.repeat(elpd, counts.astype(int), axis=0), n_customers=np.ones(int(counts.sum())))
    assert found == pytest.approx(repeated, abs=1e-5)


def test_a_model_that_is_better_for_every_customer_takes_all_the_weight():
    elpd = np.random.default_rng(0).normal(-5, 1, (200, 1)) - np.array([[0.0, 0.5, 900.0]])
    assert stacking_weights(elpd, n_customers=np.ones(200)) == pytest.approx([1, 0, 0], abs=1e-6)


def test_stacking_weights_are_found_for_models_near_and_far():
    """At the best weights no model has a slope above 1; scales from a thousandth to thousands of elpd."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        size, models = rng.integers(5, 2000), rng.integers(2, 10)
        elpd = -rng.gamma(1, 3, (size, models)) * rng.choice([0.001, 0.1, 1, 30])
        elpd += rng.normal(size=models) * rng.choice([0, 0.01, 1, 100])
        counts = rng.integers(1, 1000, size).astype(float)
        weights = stacking_weights(elpd, n_customers=counts)
        density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
        slope = (counts / counts.sum() / (density @ weights)) @ density
        assert slope.max() < 1 + 1e-5
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1)


def test_what_cannot_be_compared_is_refused(bg_nbd_fit, gamma_gamma_fit, rival, cdnow):
    with pytest.raises(clv.FitError, match="mle has 1 draws"):
        loo(clv.fit("bg_nbd", cdnow, method="mle"), cdnow)
    with pytest.raises(clv.FitError, match="fitted to other customers"):
        loo(bg_nbd_fit, cdnow.take(np.arange(len(cdnow)) != 7))
    with pytest.raises(clv.FitError, match='units of a "week"'):
        waic(bg_nbd_fit, dataclasses.replace(cdnow, unit="day"))
    with pytest.raises(clv.FitError, match="USD"):
        loo(gamma_gamma_fit, dataclasses.replace(cdnow, currency="EUR"))
    with pytest.raises(clv.FitError, match="bg_nbd of purchases, spend of spend"):
        compare_models({"bg_nbd": bg_nbd_fit, "spend": gamma_gamma_fit}, cdnow)
    with pytest.raises(clv.FitError, match="1 fit"):
        compare_models({"bg_nbd": bg_nbd_fit}, cdnow)
    others = clv.fit("bg_nbd", cdnow.take(np.arange(2000)), draws=200, seed=1)
    with pytest.raises(clv.FitError, match="other customers"):
        compare_models({"bg_nbd": rival, "others": others}, cdnow)


def test_draws_that_are_worth_less_have_a_longer_tail(bg_nbd_fit, cdnow):
    """As with NUTS, whose efficiency is that of the parameters' means: each draw five times is worth a fifth."""
    chain = bg_nbd_fit.draws.isel(draw=np.repeat(np.arange(200), 5)).assign_coords(draw=np.arange(1000))
    slow = dataclasses.replace(bg_nbd_fit, draws=chain, effective_draws=np.nan)
    assert criteria._tail_length(bg_nbd_fit) == int(3 * np.sqrt(1000))
    efficiency = np.mean([array_stats.ess(chain[name].values, method="mean") for name in BG_NBD_PAPER]) / 1000
    assert efficiency == pytest.approx(0.2, rel=0.25)
    assert criteria._tail_length(slow) == min(200, int(3 * np.sqrt(1000 / efficiency)))
