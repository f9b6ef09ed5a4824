"""Kaplan and Meier's estimate of survival: what the data say without a model.

References
----------
.. [1] Kaplan and Meier (1958), Nonparametric Estimation from Incomplete Observations, JASA 53(282),
   doi 10.1080/01621459.1958.10501452. Worked out by lifelines, with its exponential Greenwood interval.
"""

import numpy as np

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.retention_results import ObservedSurvival

LEVEL = 0.90  # of the interval


def kaplan_meier(table: RetentionTable) -> list[ObservedSurvival]:
    """Survival by age of all rows of a table together, at age 0 and at each age with a loss or a last look.

    Parameters
    ----------
    table : with truncation (entry) and censoring (rows still there)

    Returns
    -------
    list of ObservedSurvival : survival, 90 % interval, customers at risk just before the age, and lost at it

    Raises
    ------
    DataError
        If all who are at risk at some age are lost at it while others come under observation later, so that no
        survival is known beyond it.
    """
    from lifelines import KaplanMeierFitter  # slow to import

    ages, at_risk, lost = _risk_sets(table)
    emptied = (at_risk == lost) & (ages < ages[-1])
    if emptied.any():
        raise DataError(
            f"all who were seen at the age {ages[int(np.argmax(emptied))]:g} were lost at it, and others came under "
            "observation later: survival beyond that age is not known. Begin with a later age of entry."
        )
    fitted = KaplanMeierFitter(alpha=1 - LEVEL).fit(
        table.age, event_observed=table.lost, weights=table.n_customers, entry=_entry(table), timeline=ages
    )
    survival = fitted.survival_function_.to_numpy()[:, 0]
    low, high = fitted.confidence_interval_survival_function_.to_numpy().T
    low, high = np.where(np.isnan(low), survival, low), np.where(np.isnan(high), survival, high)  # nobody lost yet
    return [
        ObservedSurvival(float(age), float(share), float(least), float(most), int(there), int(gone))
        for age, share, least, most, there, gone in zip(ages, survival, low, high, at_risk, lost, strict=True)
    ]


def _entry(table: RetentionTable) -> FloatArray | None:
    """Ages of entry, or None where all were seen from the beginning: lifelines takes entry at 0 for a late one."""
    return table.entry if (table.entry > 0).any() else None


def _risk_sets(table: RetentionTable) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Ages, customers at risk just before each, and customers lost at each, each shape (A,)."""
    ages = np.unique(np.append(table.age, 0.0))
    n = table.n_customers
    at_risk = np.array([n[(table.entry < age) & (table.age >= age)].sum() for age in ages])
    at_risk[0] = n[table.entry == 0].sum()
    lost = np.array([n[table.lost & (table.age == age)].sum() for age in ages])
    return ages, at_risk, lost
