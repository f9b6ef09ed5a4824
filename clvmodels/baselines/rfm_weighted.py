"""RFM with fitted weights: what customers did in the training windows says what each grade is worth."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from clvmodels.baselines.graded import graded_forecasts
from clvmodels.baselines.method import Baseline, Training
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast


@dataclass(frozen=True)
class RfmWeights:
    """An outcome as exp(intercept + weights x grades).

    Attributes
    ----------
    intercept : log of the outcome at grades of 0; -inf where nobody had any
    weights : ndarray, shape (3,), at or above 0, of the recency, frequency and monetary grade
    """

    intercept: float
    weights: FloatArray

    def mean(self, grades: IntArray) -> FloatArray:
        """Expected outcome, shape (N,), of grades of shape (N, 3)."""
        return np.exp(self.intercept + grades @ self.weights)


def fitted_weights(grades: IntArray, outcome: FloatArray) -> RfmWeights:
    """Weights of three grades by Poisson regression with a log link, none below 0.

    The customers' order by the fitted mean is their order by the weighted sum of their grades. The likelihood is a
    working one: it asks of counts and of amounts only that their variance grows with their mean, and an outcome in
    another currency changes the intercept alone.

    Parameters
    ----------
    grades : ndarray of int, shape (M, 3), 1 to 5
    outcome : ndarray, shape (M,), at or above 0
    """
    mean = outcome.mean()
    if mean == 0:
        return RfmWeights(-np.inf, np.zeros(3))
    cells, place = np.unique(grades, axis=0, return_inverse=True)
    share = np.bincount(place) / len(outcome)
    total = np.bincount(place, weights=outcome) / outcome.sum()  # the outcome in units of its mean
    design = np.column_stack([np.ones(len(cells)), cells])

    def misfit(theta: FloatArray) -> tuple[float, FloatArray]:
        expected = share * np.exp(design @ theta)
        return float(expected.sum() - total @ (design @ theta)), design.T @ (expected - total)

    found = minimize(
        misfit,
        np.zeros(4),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *[(0.0, None)] * 3],
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    )
    return RfmWeights(float(found.x[0] + np.log(mean)), found.x[1:])


def forecasts(customers: CustomerSummary, horizon: float, training: Training) -> dict[str, Forecast]:
    """Purchases and spend by the customers' grades, each with weights of its own.

    Returns
    -------
    dict with "purchases", and "spend" (currency) where the training windows know it

    Raises
    ------
    DataError
        If spend is not known.
    """
    return graded_forecasts("rfm_weighted", _by_weights, customers=customers, horizon=horizon, training=training)


def _by_weights(learnt: IntArray, outcome: FloatArray, grades: IntArray) -> FloatArray:
    return fitted_weights(learnt, outcome).mean(grades)


RFM_WEIGHTED = Baseline(
    name="rfm_weighted",
    rule=forecasts,
    inputs=("frequency", "recency", "T", "monetary_value", "first_amount"),
    choices=2,  # number of grades, form of the regression
    trained=True,
)
