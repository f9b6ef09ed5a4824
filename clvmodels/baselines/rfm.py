"""RFM: days since the last purchase, number of purchases, money; each graded 1 to 5, and added."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clvmodels.baselines.method import Baseline, days_since, past_spend, point_forecasts
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast

GRADES = 5


@dataclass(frozen=True)
class RfmScores:
    """Grades of N customers, 5 the best.

    Attributes
    ----------
    recency, frequency, monetary : ndarray of int, shape (N,), 1 to 5
    total : ndarray of int, shape (N,), their sum, 3 to 15
    group : ndarray of text, shape (N,), key: "champions", "loyal", "promising", "at_risk" or "dormant"
    """

    recency: IntArray
    frequency: IntArray
    monetary: IntArray
    total: IntArray
    group: NDArray[np.str_]

    @property
    def grades(self) -> IntArray:
        """The three grades side by side, shape (N, 3): recency, frequency, monetary."""
        return np.column_stack([self.recency, self.frequency, self.monetary])


def rfm_scores(customers: CustomerSummary) -> RfmScores:
    """Grades by quantile of days since the last purchase, number of purchases and past spend.

    Customers alike in a column get the same grade: 1 + floor(5 x share of customers who are worse).
    Groups, with FM the mean of the frequency and monetary grades:

    - R >= 4, FM >= 4: champions; else R >= 3, FM >= 3: loyal; R >= 3, FM < 3: promising
    - R <= 2, FM >= 3: at_risk; R <= 2, FM < 3: dormant

    Raises
    ------
    DataError
        If spend is not known.
    """
    recency = _grade(-days_since(customers))
    frequency = _grade(customers.frequency)
    monetary = _grade(past_spend(customers))
    return RfmScores(
        recency=recency,
        frequency=frequency,
        monetary=monetary,
        total=recency + frequency + monetary,
        group=_group(recency, (frequency + monetary) / 2),
    )


def _grade(values: FloatArray) -> IntArray:
    worse = np.searchsorted(np.sort(values), values, side="left")
    return 1 + (GRADES * worse) // len(values)


def _group(r: IntArray, fm: FloatArray) -> NDArray[np.str_]:
    lately = np.where((r >= 4) & (fm >= 4), "champions", np.where(fm >= 3, "loyal", "promising"))
    long_ago = np.where(fm >= 3, "at_risk", "dormant")
    return np.where(r >= 3, lately, long_ago)


def forecasts(customers: CustomerSummary, horizon: float) -> dict[str, Forecast]:
    """Ranking by the sum of the three grades.

    Returns
    -------
    dict with "score" : 3 to 15, unitless

    Raises
    ------
    DataError
        If spend is not known.
    """
    total = rfm_scores(customers).total.astype(np.float64)
    return point_forecasts({"score": total}, "rfm", customers=customers, horizon=horizon)


RFM = Baseline(
    name="rfm",
    rule=forecasts,
    inputs=("frequency", "recency", "T", "monetary_value", "first_amount"),
    choices=5,  # number of grades, three weights, limits of the groups
)
