"""Whole numbers that a caller gives: counts and seeds."""

from typing import Any

import numpy as np

from clvmodels.foundation.errors import DataError, FitError

EXACT_COUNTS = 2**53  # up to here a float tells every whole number from its neighbours


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, True and False aside."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def require_count(name: str, value: Any, *, least: int = 1, error: type[DataError] | type[FitError] = FitError) -> int:
    """The count, checked.

    Raises
    ------
    FitError
        Or the given error, if it is not a whole number of at least `least`.
    """
    if not (is_whole(value) and int(value) >= least):
        raise error(f"{name} = {value!r}: expected a whole number, {least} or more.")
    return int(value)


def require_seed(seed: Any, *, error: type[DataError] | type[FitError] = DataError) -> int:
    """The seed, checked.

    Raises
    ------
    DataError
        Or the given error, if there is none, or it is not a whole number from 0 to 2^64 - 1.
    """
    if seed is None:
        raise error("this is drawn at random: give a seed, for instance seed=1.")
    if not (is_whole(seed) and 0 <= int(seed) < 2**64):
        raise error(f"seed = {seed!r}: expected a whole number from 0 to 2^64 - 1.")
    return int(seed)
