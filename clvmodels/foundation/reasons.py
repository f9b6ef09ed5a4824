"""Why customers leave, as a forecast tells it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import IdArray

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class LeavingReasons:
    """Shares of the reasons among the lost, and the chance to be lost for each; a row a group, reason and age.

    Attributes
    ----------
    group, reason : ndarrays of text, shape (M,); group is "" where there is one only
    age : ndarray, shape (M,), in units of time, or renewals
    n_lost : ndarray, shape (M,), customers of the table lost for that reason in the unit of time that ends at, or
        holds, the age
    share, share_q05, share_q95 : ndarrays, shape (M,), of the lost of that unit those who leave for the reason:
        posterior mean and 90 % interval. They sum to 1 over reasons
    incidence, incidence_q05, incidence_q95 : ndarrays, shape (M,), chance of a new customer to be lost by that age
        and for that reason. They sum to 1 - survival over reasons
    survival : ndarray, shape (M,), mean chance of a new customer to be still there at that age
    pareto_k : ndarray, shape (M,), of the importance weights of what the ages of the group have in common; up to 0.7
        is good
    by : column of the groups, or ""
    unit : of ages
    unknown : customers lost for a reason that is not known, who were taken to be as the others
    """

    group: IdArray
    reason: IdArray
    age: FloatArray
    n_lost: FloatArray
    share: FloatArray
    share_q05: FloatArray
    share_q95: FloatArray
    incidence: FloatArray
    incidence_q05: FloatArray
    incidence_q95: FloatArray
    survival: FloatArray
    pareto_k: FloatArray
    by: str
    unit: str
    unknown: int

    def __len__(self) -> int:
        return len(self.reason)

    def to_pandas(self) -> "pd.DataFrame":
        """The rows as a frame; with the column of the groups, if there are any."""
        import pandas as pd

        columns = ["reason", "age", "n_lost", "share", "share_q05", "share_q95"]
        columns += ["incidence", "incidence_q05", "incidence_q95", "survival"]
        frame = pd.DataFrame({name: getattr(self, name) for name in columns})
        if self.by:
            frame.insert(0, self.by, self.group)
        return frame
