"""Columns of a frame that a caller brings: ids as text, numbers as floats, or a refusal that names the column."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.whole import EXACT_COUNTS

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


def numeric_column(frame: "pd.DataFrame", name: str) -> FloatArray:
    """The numbers of a column, shape (N,), NaN where one is missing.

    Raises
    ------
    DataError
        If it holds something else: text, dates and lengths of time (whose floats would be nanoseconds), truth values.
    """
    values = frame[name]
    if values.dtype.kind in "mMbc":
        raise DataError(f"column {name!r} holds {values.dtype}: expected numbers; of times, in the unit of time.")
    try:
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f"column {name!r} holds something that is not a number.") from None


def id_texts(values: Iterable[Any]) -> list[str]:
    """Ids as the reader of a log writes them: text without blanks around it, whole floats without a point."""
    return [_id_text(value) for value in values]


def _id_text(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < EXACT_COUNTS
    return str(int(value) if whole else value).strip()
