"""Partial pooling against none and complete pooling, and the coverage of coefficients, over many data sets."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clvmodels as clv
from tests.effects_cases import customers_of, traits

SIZES = {"g1": 2000, "g2": 200, "g3": 200, "g4": 20, "g5": 20}
HORIZON = 52.0


def grouped_customers(seed):
    """Customers of five groups with alphas and a's of their own; and the truth by group."""
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame(
        {
            "r": 0.8,
            "alpha": 6.0 * np.exp(rng.normal(0.0, 0.5, len(SIZES))),
            "a": 0.9 * np.exp(rng.normal(0.0, 0.4, len(SIZES))),
            "b": 2.5,
        },
        index=list(SIZES),
    )
    region = np.repeat(list(SIZES), list(SIZES.values()))
    frame = pd.DataFrame({"customer_id": [f"c{i:04d}" for i in range(len(region))], "region": region})
    own = {name: truth.loc[region, name].to_numpy() for name in truth}
    return customers_of(frame, seed=seed + 1, **own), truth


def estimates(fit, names):
    """Posterior means of log alpha and of the log of a new customer's expected purchases.

    `names` has the variable of the draws that each parameter is read from, as ("alpha_by_region", "g1").
    """
    draws = {}
    for parameter, (variable, group) in names.items():
        values = fit.draws[variable] if group is None else fit.draws[variable].sel(region_group=group)
        draws[parameter] = values.values.reshape(-1, 1)
    new = fit.model.formulas["expected_purchases_new"](draws, np.array([HORIZON]))
    return float(np.log(draws["alpha"]).mean()), float(np.log(new).mean())


def errors_of_one_data_set(seed):
    """Errors on the log scale by way of pooling, shape (groups, 2): of alpha and of a new customer's purchases."""
    customers, truth = grouped_customers(seed)
    parameters = ("r", "alpha", "a", "b")
    partial = clv.fit(
        "bg_nbd", customers, groups={"alpha": "region", "a": "region"}, method="nuts", draws=1000, seed=seed
    )
    complete = clv.fit("bg_nbd", customers, draws=1000, seed=seed)
    plain = {name: (name, None) for name in parameters}
    errors = {"partial": [], "none": [], "complete": []}
    for group in SIZES:
        alone = clv.fit("bg_nbd", customers.take(customers.groups["region"] == group), draws=1000, seed=seed)
        pooled = {**plain, "alpha": ("alpha_by_region", group), "a": ("a_by_region", group)}
        own = truth.loc[group].to_dict()
        new = clv.fit_at("bg_nbd", own).model.formulas["expected_purchases_new"](own, np.array([HORIZON]))
        target = np.array([np.log(own["alpha"]), float(np.log(new[0]))])
        errors["partial"].append(np.array(estimates(partial, pooled)) - target)
        errors["none"].append(np.array(estimates(alone, plain)) - target)
        errors["complete"].append(np.array(estimates(complete, plain)) - target)
    return {way: np.array(rows) for way, rows in errors.items()}


@pytest.mark.slow
def test_partial_pooling_beats_no_pooling_and_complete_pooling():
    """Root mean square errors over 6 data sets of 5 groups: 2,000, 200, 200, 20 and 20 customers."""
    found = [errors_of_one_data_set(seed) for seed in range(100, 160, 10)]
    rms = {way: np.sqrt(np.mean([errors[way] ** 2 for errors in found], axis=0)) for way in found[0]}
    whole = {way: np.sqrt((by_group**2).mean(axis=0)) for way, by_group in rms.items()}
    print({way: values.round(3).tolist() for way, values in whole.items()})
    print({way: values.round(3).tolist() for way, values in rms.items()})
    for quantity in range(2):
        assert whole["partial"][quantity] < 0.9 * whole["none"][quantity]
        assert whole["partial"][quantity] < 0.9 * whole["complete"][quantity]


@pytest.mark.slow
def test_intervals_of_coefficients_cover_what_they_say():
    """90 % intervals over 100 data sets of 400 customers, within binomial limits of 1 in 500."""
    truth = {"gamma_alpha[age]": 0.02, "gamma_alpha[channel[shop]]": 0.5}
    covered = dict.fromkeys(truth, 0)
    for seed in range(100):
        frame = traits(400, seed=seed)
        shop = frame["channel"] == "shop"
        alpha = 6.0 * np.exp(-(truth["gamma_alpha[age]"] * (frame["age"] - 40) + 0.5 * shop))
        customers = customers_of(frame, seed=1000 + seed, alpha=alpha)
        fit = clv.fit("bg_nbd", customers, covariates={"alpha": ["age", "channel"]}, draws=500, seed=seed)
        summary = fit.summary()
        for name, value in truth.items():
            covered[name] += summary.loc[name, "q05"] <= value <= summary.loc[name, "q95"]
    print(covered)
    low, high = stats.binom.ppf([0.001, 0.999], 100, 0.9)
    assert all(low <= count <= high for count in covered.values())
