"""The value matrix: current value x future value, as a probability of each cell for each customer.

Future value is a distribution, and so is a cut that is estimated from it. In each draw the cuts are
found and every customer falls in one cell; shares of the draws are the probabilities. The label is the
cell of least expected loss.
"""

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clvmodels.forecast.draws import by_draw, each_draw, over_customers
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import Forecast, IdArray

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

CELLS = ("high_high", "low_high", "high_low", "low_low")  # current, then future
CUT_KINDS = ("quantile", "amount", "share_of_value")


@dataclass(frozen=True)
class CutDraws:
    """A threshold of one dimension: how it was set, and where it lay in each draw.

    Attributes
    ----------
    dimension : "current" or "future"
    kind : "quantile", "amount" or "share_of_value"
    setting : the quantile, the amount or the share
    values : ndarray, shape (S,), in the unit of the values
    """

    dimension: str
    kind: str
    setting: float
    values: FloatArray


@dataclass(frozen=True)
class ValueMatrix:
    """Each customer's cell, its probability, and whether it is in doubt.

    Attributes
    ----------
    customer_id : ndarray of text, shape (N,)
    probabilities : ndarray, shape (N, 4), of the cells in the order of `CELLS`
    cell : ndarray of text, shape (N,), the cell of least expected loss
    undecided : ndarray of bool, shape (N,), where that cell's probability is below `undecided_below`
    cuts : of current and of future value
    names : name of each cell
    """

    customer_id: IdArray
    probabilities: FloatArray
    cell: IdArray
    undecided: NDArray[np.bool_]
    undecided_below: float
    cuts: tuple[CutDraws, CutDraws]
    names: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.customer_id)

    @property
    def label(self) -> IdArray:
        """Name of each customer's cell, shape (N,)."""
        return np.array([self.names[key] for key in self.cell], dtype=object)

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with columns customer_id, p_high_high, ..., p_low_low, cell, label, undecided."""
        import pandas as pd

        probabilities = {f"p_{key}": self.probabilities[:, place] for place, key in enumerate(CELLS)}
        return pd.DataFrame(
            {
                "customer_id": self.customer_id,
                **probabilities,
                "cell": self.cell,
                "label": self.label,
                "undecided": self.undecided,
            }
        )


def value_matrix(
    current: Forecast | ArrayLike,
    future: Forecast | ArrayLike,
    *,
    cuts: Mapping[str, tuple[str, float]],
    names: str | Mapping[str, str] = "treatment",
    undecided_below: float = 0.6,
    loss: ArrayLike | None = None,
) -> ValueMatrix:
    """P(cell) of each customer in the matrix of current and future value, a label, and its doubt.

    A value is high if it reaches the cut and is above 0.

    Parameters
    ----------
    current, future : a Forecast, whose draws are made again, or a column, shape (N,), which is certain
    cuts : {"current": (kind, setting), "future": (kind, setting)}; kind and setting are ("quantile", .8),
        the values' quantile (linear between two values); ("amount", 100.0); or ("share_of_value", .8),
        the least value among the top customers who together carry that share of all value
    names : a vocabulary ("treatment", "metal"), or a name for each cell
    undecided_below : a label with a lower probability is marked undecided
    loss : shape (4, 4), the loss of the label in the column when the truth is the row, in the order of
        `CELLS`; by default 0 for a right label and 1 for a wrong one

    Raises
    ------
    DataError
        If the customers of the two differ, a value is missing, or a cut, name or loss cannot be used.
    """
    settings = {dimension: _require_cut(cuts, dimension) for dimension in ("current", "future")}
    vocabulary = cell_names(names)
    losses = _require_loss(loss)
    if not 0 <= undecided_below <= 1:
        raise DataError(f"undecided_below = {undecided_below}: expected a probability.")
    customer_id = _shared_ids(current, future)

    counts = np.zeros((len(customer_id), len(CELLS)), dtype=np.int64)
    thresholds: dict[str, list[FloatArray]] = {"current": [], "future": []}
    for of_current, of_future in _joint_draws(current, future):
        at = {
            "current": _threshold(of_current, *settings["current"]),
            "future": _threshold(of_future, *settings["future"]),
        }
        _count_cells(of_current, at["current"], of_future, at["future"], counts)
        for dimension, values in at.items():
            thresholds[dimension].append(np.broadcast_to(values, max(len(of_current), len(of_future))))

    n_draws = counts[0].sum()
    chosen = np.argmin(counts @ losses, axis=1)  # on whole counts, so that a tie is a tie: the first cell
    probabilities = counts / n_draws
    return ValueMatrix(
        customer_id=customer_id,
        probabilities=probabilities,
        cell=np.array(CELLS, dtype=object)[chosen],
        undecided=np.take_along_axis(probabilities, chosen[:, None], axis=1)[:, 0] < undecided_below,
        undecided_below=undecided_below,
        cuts=(
            CutDraws("current", *settings["current"], np.concatenate(thresholds["current"])),
            CutDraws("future", *settings["future"], np.concatenate(thresholds["future"])),
        ),
        names=vocabulary,
    )


def _threshold(values: FloatArray, kind: str, setting: float) -> FloatArray:
    """The cut in each draw: shape (D, N) to (D,)."""
    if kind == "amount":
        return np.full(len(values), setting)
    cut = _quantile if kind == "quantile" else _least_of_best
    return np.array(each_draw(values, lambda draw: cut(draw, setting)))


def _quantile(draw: FloatArray, setting: float) -> float:
    return float(np.quantile(draw, setting, overwrite_input=True))


def _least_of_best(draw: FloatArray, share: float) -> float:
    """The least value among the top customers who together carry a share of all value. Sorts the draw."""
    values = np.maximum(draw, 0.0)
    values.sort()
    descending = values[::-1]
    carried = np.cumsum(descending)
    # a whole share that is met exactly is met in every currency
    return float(descending[np.argmax(carried >= share * carried[-1] * (1 - 1e-12))])


def _count_cells(
    current: FloatArray, current_cut: FloatArray, future: FloatArray, future_cut: FloatArray, counts: IntArray
) -> None:
    """Add draws in which each customer is in each cell to `counts`, shape (N, 4); values (D, N) or (1, N)."""
    from clvmodels.forecast.draw_kernels import count_cells

    over_customers(
        len(counts), lambda first, last: count_cells(current, current_cut, future, future_cut, first, last, counts)
    )


def _joint_draws(
    current: Forecast | ArrayLike, future: Forecast | ArrayLike
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Both values at the same draws, shape (D, N) each; a column has shape (1, N).

    Raises
    ------
    DataError
        If the two forecasts have different numbers of draws.
    """
    drawn = [value for value in (current, future) if _is_drawn(value)]
    sizes = {value.totals.size for value in drawn if isinstance(value, Forecast) and value.totals is not None}
    if len(sizes) > 1:
        raise DataError("current and future have different numbers of draws: use the same draws=.")
    both = _by_draw(current, "current"), _by_draw(future, "future")
    yield from zip(*both, strict=False) if drawn else [(next(both[0]), next(both[1]))]


def _is_drawn(value: Forecast | ArrayLike) -> bool:
    return isinstance(value, Forecast) and value.replay is not None


def _by_draw(value: Any, name: str) -> Iterator[FloatArray]:
    """Some draws of all customers at a time, or what is certain, again and again."""
    return by_draw(value) if _is_drawn(value) else itertools.repeat(_column(value, name)[None])


def _column(value: Forecast | ArrayLike, name: str) -> FloatArray:
    """A certain value, shape (N,): a column, or the mean of a forecast without draws."""
    column = np.ascontiguousarray(value.mean if isinstance(value, Forecast) else value, dtype=np.float64)
    if column.ndim != 1:
        raise DataError(f"{name} value: expected a column of one value a customer, got shape {column.shape}.")
    missing = ~np.isfinite(column)
    if missing.any():
        raise DataError(
            f"{name} value is missing or not finite for {int(missing.sum())} customers (first: row "
            f"{int(np.argmax(missing))}). Fill it in or leave these customers out."
        )
    return column


def _shared_ids(current: Forecast | ArrayLike, future: Forecast | ArrayLike) -> IdArray:
    """The customers of both, row numbers where neither knows ids."""
    sizes = [len(value) if isinstance(value, Forecast) else len(np.asarray(value)) for value in (current, future)]
    if sizes[0] != sizes[1]:
        raise DataError(f"current has {sizes[0]} customers and future {sizes[1]}: give both for the same customers.")
    ids = [value.customer_id for value in (current, future) if isinstance(value, Forecast)]
    if len(ids) == 2 and not np.array_equal(ids[0], ids[1]):
        raise DataError("current and future list different customers, or the same in another order.")
    return ids[0] if ids else np.array([str(row) for row in range(sizes[0])], dtype=object)


def _require_cut(cuts: Mapping[str, tuple[str, float]], dimension: str) -> tuple[str, float]:
    """Kind and setting of a dimension's cut, checked."""
    if dimension not in cuts or set(cuts) - {"current", "future"}:
        raise DataError(f'cuts has {", ".join(cuts) or "nothing"}: expected "current" and "future".')
    cut: Any = cuts[dimension]
    if isinstance(cut, str) or len(cut) != 2:
        raise DataError(f'cuts["{dimension}"] = {cut!r}: expected a kind and a setting, such as ("quantile", 0.8).')
    kind, setting = cut
    if kind not in CUT_KINDS:
        words = ", ".join(f'"{word}"' for word in CUT_KINDS)
        raise DataError(f'cuts["{dimension}"] = ("{kind}", {setting}): expected one of {words}.')
    bounded = kind != "amount"
    if not np.isfinite(setting) or (bounded and not 0 < setting < 1):
        raise DataError(
            f'cuts["{dimension}"] = ("{kind}", {setting}): expected '
            + ("a share between 0 and 1." if bounded else "a finite amount.")
        )
    return kind, float(setting)


def _require_loss(loss: ArrayLike | None) -> FloatArray:
    """The table of losses, shape (4, 4): truth by label."""
    if loss is None:
        return 1.0 - np.eye(len(CELLS))
    table = np.asarray(loss, dtype=np.float64)
    if table.shape != (len(CELLS), len(CELLS)) or not np.isfinite(table).all():
        raise DataError(f"loss has shape {table.shape}: expected 4 x 4 losses, truth by label, finite.")
    return table


def cell_names(names: str | Mapping[str, str]) -> Mapping[str, str]:
    """A name for each cell, of a vocabulary or as they are given.

    Raises
    ------
    DataError
        If there is no such vocabulary, or a cell has no name.
    """
    if not isinstance(names, str):
        if set(names) != set(CELLS):
            raise DataError(f"names has {', '.join(names)}: expected a name for each of {', '.join(CELLS)}.")
        return names
    text = resources.files("clvmodels.strategy").joinpath("vocabularies.toml").read_text(encoding="utf-8")
    vocabularies: dict[str, dict[str, str]] = tomllib.loads(text)
    if names not in vocabularies:
        raise DataError(f'names = "{names}": expected one of {", ".join(vocabularies)}, or a name for each cell.')
    return vocabularies[names]
