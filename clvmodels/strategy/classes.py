"""Classes of customers by probability: a label of least expected loss for each, and whether it is in doubt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import IdArray

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

ROUNDING = 9  # decimals of an expected loss that count, so that a tie is a tie: the first class


@dataclass(frozen=True)
class CustomerClasses:
    """Each customer's class, the probability of every class, and whether the class is in doubt.

    Attributes
    ----------
    scheme : what the classes are of: "tier", "stage", "ended" or "grade"
    customer_id : ndarray of text, shape (N,)
    keys : of the K classes, in their order
    probabilities : ndarray, shape (N, K)
    label : ndarray of text, shape (N,), the class of least expected loss
    undecided : ndarray of bool, shape (N,), where that class's probability is below `undecided_below`
    """

    scheme: str
    customer_id: IdArray
    keys: tuple[str, ...]
    probabilities: FloatArray
    label: IdArray
    undecided: NDArray[np.bool_]
    undecided_below: float

    def __len__(self) -> int:
        return len(self.customer_id)

    @property
    def by_class(self) -> dict[str, FloatArray]:
        """The probability of each class, ndarrays of shape (N,)."""
        return dict(zip(self.keys, self.probabilities.T, strict=True))

    @property
    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Columns p_<key> of each class, <scheme> and <scheme>_undecided."""
        return {
            **{f"p_{key}": chances for key, chances in self.by_class.items()},
            self.scheme: self.label,
            f"{self.scheme}_undecided": self.undecided,
        }

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with customer_id and the `columns`."""
        import pandas as pd

        return pd.DataFrame({"customer_id": self.customer_id, **self.columns})


def labelled(
    probabilities: Mapping[str, FloatArray],
    customer_id: IdArray,
    *,
    scheme: str,
    undecided_below: float,
    loss: FloatArray,
) -> CustomerClasses:
    """Classes from their probabilities: the label is the class with the least expected loss.

    Parameters
    ----------
    probabilities : class -> ndarray, shape (N,)
    loss : shape (K, K), the loss of the label in the column when the truth is the row

    Raises
    ------
    DataError
        If `undecided_below` is no probability.
    """
    if not 0 <= undecided_below <= 1:
        raise DataError(f"undecided_below = {undecided_below}: expected a probability.")
    keys = tuple(probabilities)
    table = np.column_stack([probabilities[key] for key in keys])
    chosen = np.argmin(np.round(table @ loss, ROUNDING), axis=1)
    certainty = np.take_along_axis(table, chosen[:, None], axis=1)[:, 0]
    return CustomerClasses(
        scheme=scheme,
        customer_id=customer_id,
        keys=keys,
        probabilities=table,
        label=np.array(keys, dtype=object)[chosen],
        undecided=np.round(certainty, ROUNDING) < undecided_below,
        undecided_below=undecided_below,
    )


def wrong_or_right(n_classes: int) -> FloatArray:
    """0 for the right label and 1 for a wrong one, shape (K, K)."""
    return 1.0 - np.eye(n_classes)


def steps_apart(n_classes: int) -> FloatArray:
    """How many steps the label is from the truth in classes that have an order, shape (K, K)."""
    place = np.arange(float(n_classes))
    return np.abs(place[:, None] - place)


def require_losses(loss: ArrayLike | None, keys: Sequence[str], default: FloatArray) -> FloatArray:
    """The table of losses, shape (K, K), truth by label; the default where none is given.

    Raises
    ------
    DataError
        If it has another shape, or something in it is not finite.
    """
    if loss is None:
        return default
    table, size = np.asarray(loss, dtype=np.float64), len(keys)
    if table.shape != (size, size) or not np.isfinite(table).all():
        raise DataError(f"loss has shape {table.shape}: expected {size} x {size} losses, truth by label, finite.")
    return table
