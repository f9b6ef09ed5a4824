"""Tables of customers of two runs, column by column and customer by customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import IdArray
from clvmodels.report.monte_carlo import FIVE, error_of_share, errors_of_five

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

ID = "customer_id"
EXACT = (  # columns of what customers did, which no random number enters
    "frequency", "recency", "T", "monetary_value", "first_amount", "current_value", "last_purchase", "log_interval",
    "paid_purchases", "log_amount", "log_amount_sd", "abc_class", "rfm_group", "abc_score", "rfm_score",
    "actual_purchases", "actual_spend",
)  # fmt: skip
SHARES = "p_"  # columns of shares of draws begin so
NO_SHARES = ("p_loss_action",)  # of an action that is drawn, too


@dataclass(frozen=True)
class ColumnPair:
    """A column of both runs for the customers of both, shape (N,); words as numbers: 0 where they are the same.

    Attributes
    ----------
    errors : standard errors of the differences; 0 of what is exact, NaN where none is known
    steps : by which values may differ beside
    only_a, only_b : customers of one run alone, counted with the first column of a table
    """

    table: str
    column: str
    ids: IdArray
    a: FloatArray
    b: FloatArray
    errors: FloatArray
    steps: FloatArray
    only_a: int = 0
    only_b: int = 0
    is_text: bool = False

    @property
    def judged(self) -> int:
        """Values that are held against a Monte Carlo error."""
        return int((self.errors > 0).sum())


@dataclass(frozen=True)
class ColumnDifference:
    """How a column of a table of customers differs between two runs.

    Attributes
    ----------
    customers : of both runs; `same`, `within`, `beyond` and `unknown` of them, as in `Difference`
    only_a, only_b : customers of one run alone, counted with the first column of a table
    largest, mean : of the differences B less A; None of words
    worst : the customer of the largest difference, in standard errors where they are known; "" where all are the same
    worst_a, worst_b : that customer's values; None of words
    """

    table: str
    column: str
    customers: int
    same: int
    within: int
    beyond: int
    unknown: int
    only_a: int
    only_b: int
    largest: float | None
    mean: float | None
    worst: str
    worst_a: float | None
    worst_b: float | None


def pair_tables(table: str, paths: Sequence[Path], draws: Sequence[float | None]) -> list[ColumnPair]:
    """The columns that two tables share, for the customers of both; none without ids.

    Raises
    ------
    StudyError
        If a table cannot be read, or has a customer twice.
    """
    frames = [_read(path) for path in paths]
    if any(ID not in frame for frame in frames):
        return []  # left out for privacy: rows cannot be told apart
    one, other = (frame.set_index(ID) for frame in frames)
    both = one.index.intersection(other.index, sort=False)
    a, b = one.loc[both], other.loc[both]
    of_a, of_b = _errors(a, draws[0]), _errors(b, draws[1])
    names = [name for name in a.columns if name in b.columns]
    pairs = [_pair(table, name, a[name], b[name], of_a.get(name), of_b.get(name)) for name in names]
    none, alone = np.empty(0), (len(one) - len(both), len(other) - len(both))
    return [ColumnPair(table, ID, np.empty(0, dtype=object), none, none, none, none, *alone), *pairs]


def judge_column(pair: ColumnPair, limit: float, rounding: float) -> ColumnDifference:
    """A column judged; differences up to `limit` standard errors are within Monte Carlo error."""
    with np.errstate(invalid="ignore"):  # of two infinite ones
        apart = np.abs(pair.b - pair.a)
    alike = (pair.a == pair.b) | (np.isnan(pair.a) & np.isnan(pair.b))
    with np.errstate(invalid="ignore", divide="ignore"):
        same = alike | (apart <= rounding * np.fmax(np.abs(pair.a), np.abs(pair.b)))
        known = np.isfinite(pair.errors) & (np.isfinite(apart) | (pair.errors == 0))
        within = ~same & known & (apart <= limit * pair.errors + pair.steps)
        heights = np.where(known & (pair.errors > 0), apart / pair.errors, apart)
    beyond, unknown = ~same & known & ~within, ~same & ~known
    # of those beyond, else of all that differ, the furthest apart; a value that only one run has is furthest
    candidates = beyond if beyond.any() else ~same
    worst = int(np.argmax(np.where(candidates, np.nan_to_num(heights, nan=np.inf), -1.0))) if len(apart) else -1
    differs = worst >= 0 and not bool(same[worst])
    finite = (pair.b - pair.a)[np.isfinite(apart)]
    numbers = not pair.is_text and len(finite) > 0
    return ColumnDifference(
        table=pair.table,
        column=pair.column,
        customers=len(apart),
        same=int(same.sum()),
        within=int(within.sum()),
        beyond=int(beyond.sum()),
        unknown=int(unknown.sum()),
        only_a=pair.only_a,
        only_b=pair.only_b,
        largest=float(np.abs(finite).max()) if numbers else None,
        mean=float(finite.mean()) if numbers else None,
        worst=str(pair.ids[worst]) if differs else "",
        worst_a=float(pair.a[worst]) if differs and not pair.is_text else None,
        worst_b=float(pair.b[worst]) if differs and not pair.is_text else None,
    )


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
        twice = frame.loc[frame[ID].duplicated(), ID].tolist() if ID in frame else []
    except (OSError, ValueError, TypeError, NotImplementedError) as problem:
        said = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise StudyError(f"{path}: cannot be read as a table of customers ({said}).") from None
    if twice:
        raise StudyError(f"{path}: {ID} {twice[0]} is in several rows, not in one.")
    return frame


def _errors(frame: "pd.DataFrame", draws: float | None) -> dict[str, FloatArray]:
    """Standard errors by column, of those that have one."""
    exact = {name: np.zeros(len(frame)) for name in EXACT if name in frame}
    if draws is None:
        return exact
    found: dict[str, FloatArray] = {}
    for name in (column.removesuffix("_mean") for column in frame.columns if column.endswith("_mean")):
        five = {part: f"{name}_{part}" for part in FIVE}
        if all(column in frame and frame[column].dtype.kind in "iuf" for column in five.values()):
            numbers = {part: frame[column].to_numpy(dtype=np.float64) for part, column in five.items()}
            found |= {five[part]: error for part, error in errors_of_five(numbers, draws).items()}
    for name in frame.columns:
        if name.startswith(SHARES) and name not in NO_SHARES and frame[name].dtype.kind == "f":
            found[name] = np.asarray(error_of_share(frame[name].to_numpy(dtype=np.float64), draws))
    return found | exact


def _pair(
    table: str, name: str, a: "pd.Series", b: "pd.Series", of_a: FloatArray | None, of_b: FloatArray | None
) -> ColumnPair:
    unknown = np.full(len(a), np.nan)
    errors = np.hypot(unknown if of_a is None else of_a, unknown if of_b is None else of_b)
    ids = np.asarray(a.index.astype(str), dtype=object)
    if a.dtype.kind in "iuf" and b.dtype.kind in "iuf":
        values = a.to_numpy(dtype=np.float64), b.to_numpy(dtype=np.float64)
        return ColumnPair(table, name, ids, *values, errors, _steps(name, *values))
    differs = (a.astype(str).to_numpy() != b.astype(str).to_numpy()).astype(np.float64)
    return ColumnPair(table, name, ids, np.zeros(len(a)), differs, errors, np.zeros(len(a)), is_text=True)


def _steps(name: str, a: FloatArray, b: FloatArray) -> FloatArray:
    """1 for quantiles of counts, which differ by one at the least, if they differ."""
    if not name.endswith(("_q05", "_q50", "_q95")):
        return np.zeros(len(a))
    whole: FloatArray = ((a == np.floor(a)) & (b == np.floor(b))).astype(np.float64)
    return whole
