"""Partial pooling of cohorts: what a small cohort gains by the others, against a fit of its own and one for all."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import clvmodels as clv
from clvmodels.foundation.retention import RetentionTable

AGES = np.arange(1, 9)
BIG, SMALL = 500, 20
BASE, SPREAD = (1.0, 2.0), 0.4  # of alpha and beta over cohorts: their medians, and the sd of their logarithms
METHODS = ("pooled", "alone", "together")


def survival(alpha, beta):
    """B(alpha, beta + t) / B(alpha, beta) at the ages, shape (..., ages)."""
    alpha, beta = np.asarray(alpha)[..., None], np.asarray(beta)[..., None]
    return np.exp(special.betaln(alpha, beta + AGES) - special.betaln(alpha, beta))


def cohorts(rng):
    """Survivors of six cohorts of 500 and one of 20, and the true survival curve of that one."""
    sizes = {**{f"big {i}": BIG for i in range(6)}, "small": SMALL}
    alpha, beta = np.exp(np.log(BASE) + SPREAD * rng.normal(size=(len(sizes), 2))).T
    frames = []
    for (cohort, size), a, b in zip(sizes.items(), alpha, beta, strict=True):
        lost_at = rng.geometric(rng.beta(a, b, size))
        survivors = [size, *((lost_at > age).sum() for age in AGES)]
        frames.append(pd.DataFrame({"cohort": cohort, "age": [0, *AGES], "survivors": survivors}))
    table = RetentionTable.from_survivors(pd.concat(frames), unit="month", groups=["cohort"])
    return table, survival(alpha[-1], beta[-1])


def squared_errors(number):
    """Of the small cohort's survival curve, mean over ages, by each way of fitting; in simulation `number`."""
    table, truth = cohorts(np.random.default_rng([5, number]))
    pooled = clv.fit("sbg", table, method="nuts", groups="cohort", draws=400, seed=number).draws
    small = {name: pooled[f"{name}_by_cohort"].sel(cohort_group="small") for name in ("alpha", "beta")}
    alone = clv.fit("sbg", table.where(cohort="small"), draws=400, seed=number).draws
    together = clv.fit("sbg", table, draws=400, seed=number).draws
    curves = [survival(draws["alpha"], draws["beta"]).mean(axis=(0, 1)) for draws in (small, alone, together)]
    return dict(zip(METHODS, (float(np.mean((curve - truth) ** 2)) for curve in curves), strict=True))


@pytest.mark.slow
def test_a_pooled_cohort_of_twenty_has_a_smaller_error_than_one_fitted_alone_or_one_fit_for_all():
    """Over 200 simulations the mean squared errors were as docs/calibration.md says; twenty show the same order."""
    errors = pd.DataFrame([squared_errors(number) for number in range(20)]).mean()
    assert errors["pooled"] < errors["alone"]
    assert errors["pooled"] < errors["together"]
