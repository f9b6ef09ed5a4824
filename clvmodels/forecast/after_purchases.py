"""How many purchases soon would lift what is expected of a customer."""

import math

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import over_blocks
from clvmodels.forecast.expectations import History, discounted_purchases, distinct, require_formulas
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import PURCHASE_HISTORY
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.result import Fit

DRAWS = 20  # of the parameters: the answer is a whole number
ROWS = 256
MOST = 5


def purchases_until(
    fit: Fit,
    customers: CustomerSummary,
    needed: FloatArray,
    *,
    within: float,
    horizon: float,
    annual_discount_rate: float,
    most: int = MOST,
) -> FloatArray:
    """Least number of purchases soon after which enough discounted purchases are expected, shape (N,); NaN beyond most.

    k purchases in (T, T + within], the last of them at its end, make a customer one of frequency x + k and recency and
    age T + within. The answer is the least k from 1 on with E[discounted purchases in the horizon after that] >=
    needed, expected at evenly spaced draws of the parameters. It says what the purchases would tell of the customer,
    not what would come of making them happen.

    Parameters
    ----------
    needed : ndarray, shape (N,), discounted purchases
    within, horizon : lengths of time in the customers' unit

    Raises
    ------
    FitError
        If the model reads more of a history than frequency, recency and age.
    """
    require_same_units(fit, customers)
    require_formulas(fit, "purchases_until", "expected_purchases")
    if fit.model.history != PURCHASE_HISTORY or fit.model.timetable is not None:
        raise FitError(
            f"{fit.model.name} reads {', '.join(fit.model.history)}: what some purchases more would make of that is "
            "not told. Use a model that reads frequency, recency and T alone."
        )
    draws = min(DRAWS, checks.parameter_draws((fit,)))
    (parameters,), (chains, per_chain) = checks.joint_draws((fit,), customers, draws, outcomes=False)
    rate = float(checks.discount_rates(annual_discount_rate, None, customers.take(np.arange(1)))[0])
    columns, row_of = distinct((parameters.cell.astype(np.float64), customers.frequency, customers.T + within))
    every, answer = slice(0, chains * per_chain), np.full(len(customers), math.nan)

    def expected(some: IntArray, more: int) -> FloatArray:
        def work(block: IntArray) -> FloatArray:
            cell, x, T = (column[some[block]] for column in columns)
            history = History.of(parameters, every, cell, x + more, T, T)
            return discounted_purchases(fit, history, np.full(len(block), rate), horizon=horizon).mean(axis=1)

        return np.concatenate(list(over_blocks(len(some), work, size=ROWS)))

    open_ = np.arange(len(customers))
    for more in range(1, most + 1):
        some, place = np.unique(row_of[open_], return_inverse=True)
        reached = expected(some, more)[place] >= needed[open_]
        answer[open_[reached]] = more
        open_ = open_[~reached]
        if not len(open_):
            break
    return answer
