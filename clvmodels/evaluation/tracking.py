"""Purchases by period, actual against forecast, through the calibration and the holdout."""

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.results import TrackingPoint


def tracking_points(
    ends: Sequence[dt.date],
    actual: FloatArray,
    *,
    calibration_expected: FloatArray,
    holdout_draws: FloatArray,
) -> list[TrackingPoint]:
    """Purchases of each period, and added up, with 90 % predictive bands in the holdout.

    In the calibration the forecast is the model's expectation for the cohort, added up from its start.
    The holdout's forecast is made on the last day of the calibration and knows what was bought until
    then, so its sum goes on from the actual one.

    Parameters
    ----------
    ends : last day of each of C + H periods, in order
    actual : ndarray, shape (C + H,), repeat purchases
    calibration_expected : ndarray, shape (C,), expected repeat purchases
    holdout_draws : ndarray, shape (S, H), predictive repeat purchases of all customers

    Raises
    ------
    DataError
        If lengths do not fit, days are out of order, or there are no draws.
    """
    _check_periods(ends, actual, calibration_expected, holdout_draws)
    C = len(calibration_expected)
    cumulative_actual = np.cumsum(actual)
    known = cumulative_actual[C - 1] if C else 0.0
    cumulative_draws = known + np.cumsum(holdout_draws, axis=1)
    no_band = np.full((2, C), np.nan)
    expected = np.append(calibration_expected, holdout_draws.mean(axis=0))
    cumulative_expected = np.append(np.cumsum(calibration_expected), cumulative_draws.mean(axis=0))
    low, high = np.hstack([no_band, np.quantile(holdout_draws, [0.05, 0.95], axis=0)])
    cumulative_low, cumulative_high = np.hstack([no_band, np.quantile(cumulative_draws, [0.05, 0.95], axis=0)])
    return [
        TrackingPoint(
            end=end.isoformat(),
            holdout=i >= C,
            actual=float(actual[i]),
            expected=float(expected[i]),
            low=_or_none(low[i]),
            high=_or_none(high[i]),
            cumulative_actual=float(cumulative_actual[i]),
            cumulative_expected=float(cumulative_expected[i]),
            cumulative_low=_or_none(cumulative_low[i]),
            cumulative_high=_or_none(cumulative_high[i]),
        )
        for i, end in enumerate(ends)
    ]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check_periods(
    ends: Sequence[dt.date], actual: FloatArray, calibration_expected: FloatArray, holdout_draws: FloatArray
) -> None:
    if holdout_draws.ndim != 2 or holdout_draws.shape[0] == 0:
        raise DataError(f"holdout_draws has shape {holdout_draws.shape}: expected (draws, periods), one draw or more.")
    periods = len(calibration_expected) + holdout_draws.shape[1]
    if not len(ends) == len(actual) == periods:
        raise DataError(
            f"tracking has {len(ends)} period ends and {len(actual)} actual values, but "
            f"{len(calibration_expected)} calibration periods and {holdout_draws.shape[1]} holdout periods."
        )
    if any(later <= earlier for earlier, later in pairwise(ends)):
        raise DataError("tracking: the period ends are not in order of time.")
