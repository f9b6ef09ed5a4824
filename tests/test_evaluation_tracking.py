"""Tracking: sums go on where they stood, and bands come from sums of draws."""

import datetime as dt

import numpy as np
import pytest

from clvmodels.evaluation.tracking import tracking_points
from clvmodels.foundation.errors import DataError

ENDS = [dt.date(2001, 1, 7) + dt.timedelta(days=7 * week) for week in range(5)]
ACTUAL = np.array([3.0, 5.0, 4.0, 2.0, 6.0])
EXPECTED = np.array([4.0, 4.0])


@pytest.fixture
def draws():
    return np.random.default_rng(1).poisson([4.0, 3.0, 3.0], size=(1000, 3)).astype(float)


@pytest.fixture
def points(draws):
    return tracking_points(ENDS, ACTUAL, calibration_expected=EXPECTED, holdout_draws=draws)


def test_periods_carry_their_ends_and_their_side(points):
    assert [point.end for point in points] == [
        "2001-01-07",
        "2001-01-14",
        "2001-01-21",
        "2001-01-28",
        "2001-02-04",
    ]
    assert [point.holdout for point in points] == [False, False, True, True, True]
    assert [point.actual for point in points] == ACTUAL.tolist()
    assert [point.cumulative_actual for point in points] == [3, 8, 12, 14, 20]


def test_the_calibration_has_the_expectation_and_no_band(points):
    for point, expected, cumulated in zip(points[:2], (4, 4), (4, 8), strict=True):
        assert (point.expected, point.cumulative_expected) == (expected, cumulated)
        assert (point.low, point.high, point.cumulative_low, point.cumulative_high) == (None,) * 4


def test_the_holdout_has_the_quantiles_of_its_draws(points, draws):
    for h, point in enumerate(points[2:]):
        assert (point.expected, point.low, point.high) == pytest.approx(
            (draws[:, h].mean(), *np.quantile(draws[:, h], [0.05, 0.95]))
        )


def test_the_holdouts_sum_goes_on_from_the_actual_one_draw_by_draw(points, draws):
    sums = 8 + np.cumsum(draws, axis=1)  # 8 were bought, whatever the model expected
    last = points[-1]
    assert (last.cumulative_expected, last.cumulative_low, last.cumulative_high) == pytest.approx(
        (sums[:, 2].mean(), *np.quantile(sums[:, 2], [0.05, 0.95]))
    )
    # Sums of quantiles would be wider: independent weeks average out.
    assert last.cumulative_high - last.cumulative_low < sum(point.high - point.low for point in points[2:])


@pytest.mark.parametrize(
    ("ends", "actual", "draws_shape", "message"),
    [
        (ENDS[:4], ACTUAL, (10, 3), "4 period ends and 5 actual values"),
        (ENDS, ACTUAL, (10, 2), "2 calibration periods and 2 holdout periods"),
        (ENDS[::-1], ACTUAL, (10, 3), "not in order of time"),
        (ENDS, ACTUAL, (0, 3), r"shape \(0, 3\)"),
    ],
)
def test_periods_that_do_not_fit_are_refused(ends, actual, draws_shape, message):
    with pytest.raises(DataError, match=message):
        tracking_points(ends, actual, calibration_expected=EXPECTED, holdout_draws=np.ones(draws_shape))
