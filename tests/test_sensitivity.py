"""Whether the prior decides: against ArviZ, against refits, flagged where it does and only there."""

import dataclasses

import arviz_stats
import numpy as np
import pytest
import xarray as xr

import clvmodels as clv
from clvmodels.inference import sensitivity
from clvmodels.inference.likelihood import fitted_patterns
from clvmodels.inference.sensitivity import diagnosis, prior_sensitivity


@pytest.fixture(scope="module")
def few(cdnow):
    """40 customers, some of whom came back."""
    return cdnow.take(np.argsort(-cdnow.frequency, kind="stable")[::58][:40])


@pytest.mark.parametrize("name", ["bg_nbd", "gamma_gamma"])
def test_sensitivity_is_that_of_arviz(name, bg_nbd_fit, gamma_gamma_fit, cdnow):
    fit = {"bg_nbd": bg_nbd_fit, "gamma_gamma": gamma_gamma_fit}[name]
    prior = {}
    for letter, given in fit.priors.items():
        z = (np.log(fit.draws[letter]) - np.log(given.median)) / given.sd
        prior[letter] = -(z**2) / 2
    likelihood = fitted_patterns(fit, cdnow).totals().reshape(1, -1)
    tree = xr.DataTree.from_dict(
        {
            "posterior": fit.draws,
            "log_prior": xr.Dataset(prior),
            "log_likelihood": xr.Dataset({"y": (("chain", "draw"), likelihood)}),
        }
    )
    theirs = arviz_stats.psense_summary(tree, round_to=12)
    ours = prior_sensitivity(fit, cdnow)
    assert list(ours.index) == list(theirs.index) == list(fit.model.parameter_names)
    for part in ("prior", "likelihood"):
        assert ours[part].to_numpy() == pytest.approx(theirs[part].to_numpy(), abs=1e-9)


def test_default_priors_do_not_decide_on_cdnow(bg_nbd_fit, gamma_gamma_fit, cdnow):
    for fit in (bg_nbd_fit, gamma_gamma_fit):
        frame = prior_sensitivity(fit, cdnow)
        assert (frame["diagnosis"] == "none").all()
        assert (frame["likelihood"] > 0.05).all()


def test_a_prior_that_decides_on_few_customers_is_flagged(few):
    """Held tight where the data would have r too, and held where they would not."""
    at_ease = clv.fit("bg_nbd", few, draws=2000, seed=1)
    assert float(at_ease.draws["r"].median()) == pytest.approx(0.25, rel=0.1)
    tight = clv.fit("bg_nbd", few, draws=2000, seed=1, priors={"r": clv.LogNormal(0.25, 0.05)})
    assert prior_sensitivity(tight, few).loc["r", "diagnosis"] == "prior_dominates"
    elsewhere = clv.fit("bg_nbd", few, draws=2000, seed=1, priors={"r": clv.LogNormal(8, 0.4)})
    assert prior_sensitivity(elsewhere, few).loc["r", "diagnosis"] == "prior_data_conflict"


@pytest.mark.parametrize("alpha", [0.6, 1.6])
def test_power_scaling_by_weights_is_a_fit_with_the_scaled_prior(few, alpha):
    """LogNormal(m, s)^alpha is LogNormal(m, s / sqrt(alpha)); means of log parameters within 4 standard errors."""
    priors = {"r": clv.LogNormal(0.5, 0.5), "alpha": clv.LogNormal(9, 0.7), "a": clv.LogNormal(0.5, 0.8)}
    fit = clv.fit("bg_nbd", few, draws=4000, seed=1, priors=priors)
    scaled = {name: clv.LogNormal(prior.median, prior.sd / np.sqrt(alpha)) for name, prior in fit.priors.items()}
    refit = clv.fit("bg_nbd", few, draws=4000, seed=2, priors=scaled)
    weights = sensitivity._weights(sensitivity._log_prior(fit), alpha).ravel()
    moved = 0
    for name in fit.model.parameter_names:
        before, after = np.log(fit.draws[name].values.ravel()), np.log(refit.draws[name].values.ravel())
        mean = weights @ before
        error = np.sqrt(weights**2 @ (before - mean) ** 2 + after.var() / refit.effective_draws)
        assert abs(mean - after.mean()) < 4 * error
        moved += abs(before.mean() - after.mean()) > 4 * error
    assert moved  # the power does move the posterior


def test_days_or_weeks_give_the_same_sensitivity(cdnow, few):
    days = dataclasses.replace(few, recency=few.recency * 7, T=few.T * 7, unit="day")
    by_week = prior_sensitivity(clv.fit("bg_nbd", few, draws=1000, seed=3), few)
    by_day = prior_sensitivity(clv.fit("bg_nbd", days, draws=1000, seed=3), days)
    for part in ("prior", "likelihood"):
        assert by_day[part].to_numpy() == pytest.approx(by_week[part].to_numpy(), rel=1e-3)


def test_the_prior_of_a_coefficient_is_that_of_its_standardised_covariate(cdnow):
    """Another scale and origin of a covariate is the same model, so the same draws have the same prior density."""
    age = np.random.default_rng(0).normal(40, 9, len(cdnow)).round()
    densities, frames = [], []
    for column in (age, 12 * age + 3):
        customers = dataclasses.replace(cdnow, covariates={"age": column})
        fit = clv.fit("bg_nbd", customers, draws=500, seed=4, covariates={"alpha": ["age"]})
        densities.append(sensitivity._log_prior(fit))
        frames.append(prior_sensitivity(fit, customers))
    assert densities[0] == pytest.approx(densities[1], abs=1e-4)
    assert list(frames[0].index) == ["r", "alpha", "a", "b", "gamma_alpha[age]"]
    assert frames[0].loc["gamma_alpha[age]", "prior"] == pytest.approx(
        frames[1].loc["gamma_alpha[age]", "prior"], rel=1e-2
    )
    assert frames[0].loc["gamma_alpha[age]", "diagnosis"] == "none"


def test_two_sensitivities_make_one_diagnosis():
    assert [diagnosis(*pair) for pair in ((0.04, 0.01), (0.04, 0.2), (0.06, 0.04), (0.06, 0.06))] == [
        "none",
        "none",
        "prior_dominates",
        "prior_data_conflict",
    ]


def test_a_fit_without_priors_or_of_other_customers_is_refused(bg_nbd_fit, cdnow, few):
    with pytest.raises(clv.FitError, match="without priors"):
        prior_sensitivity(clv.fit("bg_nbd", cdnow, method="mle"), cdnow)
    with pytest.raises(clv.FitError, match="fitted to other customers"):
        prior_sensitivity(bg_nbd_fit, few)
