"""Named data sets that are no purchase logs: donors by pattern, and published tables of retention.

References
----------
.. [1] Fader, Hardie and Shang (2010), Customer-Base Analysis in a Discrete-Time Noncontractual Setting,
   Marketing Science 29(6), doi 10.1287/mksc.1100.0580.
.. [2] Fader and Hardie (2007), How to Project Customer Retention, Journal of Interactive Marketing 21(1),
   doi 10.1002/dir.20074.
"""

import numpy as np
import pandas as pd

from clvmodels.data.datasets import named_dataset
from clvmodels.foundation.files import digest_of_files
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.retention import RetentionTable


def donor_summary() -> tuple[CustomerSummary, str]:
    """The 11,104 people who first gave to a charity in 1995 [1]_, a row each, and the SHA-256 of the file.

    frequency: years of 1996 to 2001 with a donation; recency: the last of them, counted from 1995; T: 6 years.

    Raises
    ------
    DataError
        If the installed lifetimes has no such file.
    """
    path = named_dataset("donations", "donors").path
    x, t_x, T, donors = np.loadtxt(path, delimiter=",", skiprows=1).T
    place = np.repeat(np.arange(len(x)), donors.astype(np.int64))
    unknown = np.full(len(place), np.nan)
    ids = np.array([f"donor {number}" for number in range(1, len(place) + 1)], dtype=object)
    summary = CustomerSummary(
        customer_id=ids,
        frequency=x[place],
        recency=t_x[place],
        T=T[place],
        monetary_value=unknown,
        first_amount=unknown,
        current_value=unknown,
        unit="year",
        currency="USD",
    )
    return summary, digest_of_files([path])


def retention_data(name: str) -> RetentionTable:
    """A published table of retention by name, its segments in the group "segment".

    Parameters
    ----------
    name : "fader_hardie_2007": survivors of 1,000 customers in the segments Regular and High End of a
        subscription business after 0 to 12 yearly renewals [2]_. "dataset:fader_hardie_2007" is the same.

    Raises
    ------
    DataError
        If there is no table of that name.
    """
    dataset = named_dataset(name, "retention table")
    rows = [
        {"segment": segment, "age": age, "survivors": count}
        for segment, counts in dataset.survivors.items()
        for age, count in enumerate(counts)
    ]
    return RetentionTable.from_survivors(pd.DataFrame(rows), unit=dataset.unit, groups=["segment"])
