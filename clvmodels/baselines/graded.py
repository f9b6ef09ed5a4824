"""What methods share that learn, in the training windows, what RFM grades are worth."""

from collections.abc import Callable

import numpy as np

from clvmodels.baselines.method import (
    Training,
    check_has_money,
    outcomes,
    point_forecasts,
    quantities_to_learn,
    training_length,
)
from clvmodels.baselines.rfm import rfm_scores
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast

Worth = Callable[[IntArray, FloatArray, IntArray], FloatArray]  # grades and outcomes learnt from, grades -> means


def graded_forecasts(
    method: str, worth: Worth, *, customers: CustomerSummary, horizon: float, training: Training
) -> dict[str, Forecast]:
    """Purchases, and spend where the training windows know it, by what each customer's grades are worth.

    Parameters
    ----------
    method : registry name
    worth : (grades, shape (M, 3), and outcomes, (M,), of the training windows; grades of the customers, (N, 3)) ->
        mean outcome of each customer over a training window, shape (N,)

    Raises
    ------
    DataError
        If spend is not known.
    """
    check_has_money(customers)
    learnt = np.concatenate([rfm_scores(known).grades for known, _ in training])
    grades, times = rfm_scores(customers).grades, horizon / training_length(training)
    means = {
        quantity: times * worth(learnt, outcomes(training, quantity), grades)
        for quantity in quantities_to_learn(customers, training)
    }
    return point_forecasts(means, method, customers=customers, horizon=horizon)
