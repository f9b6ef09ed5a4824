"""The BG/NBD and Gamma-Gamma models of the package lifetimes, as its users run them."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.baselines.method import Baseline, has_money, point_forecasts
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    # lifetimes changes the global warning filters, when it is imported and in each likelihood call,
    # and prints the optimiser's report when a fit fails.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def forecasts(customers: CustomerSummary, horizon: float) -> dict[str, Forecast]:
    """Maximum-likelihood BG/NBD purchases, and these times the Gamma-Gamma expected mean spend.

    Rows alike are fitted once, with their count as weight: the same likelihood, in less time.

    Returns
    -------
    dict with "purchases", and "spend" (currency) where the summary knows spend

    Raises
    ------
    FitError
        If lifetimes does not converge or forecasts something that is not finite.
    """
    with _contained():
        means = {"purchases": _expected_purchases(customers, horizon)}
        if has_money(customers):
            means["spend"] = means["purchases"] * _expected_spend(customers)
    for name, mean in means.items():
        _refuse_non_finite(mean, name, customers)
    return point_forecasts(means, "lifetimes", customers=customers, horizon=horizon)


def _expected_purchases(customers: CustomerSummary, horizon: float) -> FloatArray:
    from lifetimes import BetaGeoFitter

    histories = np.column_stack([customers.frequency, customers.recency, customers.T])
    patterns, row, counts = np.unique(histories, axis=0, return_inverse=True, return_counts=True)
    x, t_x, T = patterns.T
    fitter = _fitted(BetaGeoFitter(), "BG/NBD", columns=(x, t_x, T), counts=counts)
    expected = fitter.conditional_expected_number_of_purchases_up_to_time(horizon, x, t_x, T)
    return np.asarray(expected, dtype=np.float64)[row]


def _expected_spend(customers: CustomerSummary) -> FloatArray:
    from lifetimes import GammaGammaFitter

    known = np.isfinite(customers.monetary_value) & (customers.frequency > 0)
    if not known.any():
        raise FitError("lifetimes' Gamma-Gamma: no customer has a repeat purchase with a known spend.")
    spends = np.column_stack([customers.frequency, customers.monetary_value])[known]
    patterns, counts = np.unique(spends, axis=0, return_counts=True)
    fitter = _fitted(GammaGammaFitter(), "Gamma-Gamma", columns=tuple(patterns.T), counts=counts)
    # Without repeats the weight of the own mean is 0, and 0 x NaN would be NaN.
    return np.asarray(
        fitter.conditional_expected_average_profit(
            np.where(known, customers.frequency, 0.0), np.where(known, customers.monetary_value, 0.0)
        ),
        dtype=np.float64,
    )


def _fitted(fitter: Any, model: str, *, columns: tuple[FloatArray, ...], counts: NDArray[np.int_]) -> Any:
    from lifetimes.utils import ConvergenceError

    try:
        return fitter.fit(*columns, weights=counts)
    except (ConvergenceError, np.linalg.LinAlgError, ValueError) as error:
        raise FitError(
            f"lifetimes' {model} did not fit {int(counts.sum())} customers: {str(error).strip()} "
            'Leave the method "lifetimes" out of the comparison.'
        ) from error


def _refuse_non_finite(mean: FloatArray, name: str, customers: CustomerSummary) -> None:
    bad = ~np.isfinite(mean)
    if bad.any():
        row = int(np.argmax(bad))
        raise FitError(
            f"lifetimes forecasts {name} = {mean[row]} for {int(bad.sum())} customers (first: customer_id "
            f'{customers.customer_id[row]}). Leave the method "lifetimes" out of the comparison.'
        )


LIFETIMES = Baseline(
    name="lifetimes",
    rule=forecasts,
    inputs=("frequency", "recency", "T", "monetary_value"),
    choices=2,  # a model of purchases, a model of spend
)
