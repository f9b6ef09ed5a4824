"""How likely each customer is to make 0, 1, 2, ... purchases, averaged over the posterior."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import BLOCK, over_blocks
from clvmodels.forecast.expectations import History, chance_of, distinct, require_formulas
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, IdArray
from clvmodels.foundation.whole import require_count
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class PurchaseProbabilities:
    """P(X(T, T + horizon) = k) of each customer: the predictive distribution of the count, without random numbers.

    Attributes
    ----------
    customer_id : ndarray of text, shape (N,)
    probabilities : ndarray, shape (N, most + 2), of 0, 1, ..., `most` and of more purchases; rows sum to 1
    horizon : length of time in `unit`
    method : name of the method
    """

    customer_id: IdArray
    probabilities: FloatArray
    horizon: float
    unit: str
    method: str

    @property
    def most(self) -> int:
        """The largest count with a probability of its own."""
        return int(self.probabilities.shape[1]) - 2

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a customer: customer_id, p_0, p_1, ..., p_more."""
        import pandas as pd

        frame = pd.DataFrame(self.probabilities, columns=[f"p_{count}" for count in counts_named(self.most)])
        frame.insert(0, "customer_id", self.customer_id)
        return frame


def counts_named(most: int) -> list[str]:
    """Names of the counts: "0", "1", ..., "more"."""
    return [*map(str, range(most + 1)), "more"]


def purchase_probabilities(
    fit: Fit, customers: CustomerSummary, *, horizon: float, most: int = 10, draws: int | None = None
) -> PurchaseProbabilities:
    """How likely each customer is to make 0, 1, ..., `most` and more purchases in (T, T + horizon].

    Averaged over the posterior: what shares of the draws of `predict(quantity="purchases")` tend to.

    Parameters
    ----------
    fit : of a purchase model with a conditional PMF
    customers : a row a customer, or counted rows
    horizon : length of time, in the customers' unit
    most : the largest count with a probability of its own
    draws : parameter draws to average over; by default those of the fit. Fewer, evenly spaced, take less time

    Raises
    ------
    FitError
        If the model has no conditional PMF (the message says what it has), or the fit is of another kind or unit.
    DataError
        If the horizon or `most` cannot be.
    """
    checks.require_family(fit, "purchases", "the first argument")
    require_formulas(fit, "purchase_probabilities", "conditional_purchase_pmf")
    require_same_units(fit, customers)
    horizon = checks.require_horizon(horizon, "purchase_probabilities", fit.model)
    most = require_count("most", most, least=0)
    (parameters,), (chains, per_chain) = checks.joint_draws((fit,), customers, draws, outcomes=False)
    columns, row_of = distinct((parameters.cell.astype(np.float64), *checks.history_of(customers, fit.model)))
    every = slice(0, chains * per_chain)

    def average(rows: IntArray) -> FloatArray:
        history = History.of(parameters, every, *(column[rows] for column in columns))
        return np.stack([chance_of(fit, history, count, horizon).mean(axis=1) for count in range(most + 1)], axis=1)

    known = np.concatenate(list(over_blocks(len(columns[0]), average, size=BLOCK)))
    return PurchaseProbabilities(
        customer_id=customers.customer_id,
        probabilities=with_the_rest(known)[row_of],
        horizon=horizon,
        unit=customers.unit,
        method=checks.method_name(fit),
    )


def with_the_rest(chances: FloatArray) -> FloatArray:
    """Chances of 0, 1, ..., `most` along the last axis, and after them what is left to 1."""
    rest = np.maximum(1 - chances.sum(axis=-1, keepdims=True), 0.0)  # next to 0 rounding may leave -1e-16
    return np.concatenate([chances, rest], axis=-1)
