"""The donors of 1995 that the literature uses, as lifetimes ships them: counted patterns of donating years.

References
----------
.. [1] Fader, Hardie and Shang (2010), Customer-Base Analysis in a Discrete-Time Noncontractual Setting,
   Marketing Science 29(6), doi 10.1287/mksc.1100.0580.
"""

import numpy as np

from clvmodels.data.datasets import DATASETS
from clvmodels.data.sources import digest_of_files
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import CustomerSummary

FILE = "donations.csv"


def donor_summary() -> tuple[CustomerSummary, str]:
    """The 11,104 people who first gave to a charity in 1995, a row each, and the SHA-256 of the file.

    frequency: years of 1996 to 2001 with a donation; recency: the last of them, counted from 1995; T: 6 years.

    Raises
    ------
    DataError
        If the installed lifetimes has no such file.
    """
    path = DATASETS["cdnow"].path.with_name(FILE)
    if not path.is_file():
        raise DataError(f"the file {FILE} of the package lifetimes is not there. Install it: pip install lifetimes.")
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
