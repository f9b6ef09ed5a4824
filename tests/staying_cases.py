"""Tables and fits for the tests of retention."""

import numpy as np
import pandas as pd

import clvmodels as clv

# Fader and Hardie (2007), table 1: survivors of 1000 after renewals 0 to 12
SURVIVORS = {
    "Regular": (1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173),
    "High End": (1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394),
}
PARAMETERS = {
    "geometric": {"theta": 0.3},
    "sbg": {"alpha": 0.764, "beta": 1.296},
    "bdw": {"alpha": 0.8, "beta": 1.4, "c": 1.3},
    "exponential_gamma": {"r": 1.4, "alpha": 3.0},
    "weibull_gamma": {"r": 1.2, "alpha": 3.0, "c": 0.8},
}
AT_RENEWALS = ("geometric", "sbg", "bdw")


def clock_of(model):
    """The clock of the tables that a model is for."""
    return "renewals" if model in AT_RENEWALS else "continuous"


def known(model, **changed):
    """The model at known parameters."""
    return clv.fit_at(model, {**PARAMETERS[model], **changed}, unit="year")


def table_of(ages, *, lost=None, customers=None, clock="renewals", ids=None, **columns):
    """A table with a row an age."""
    age = np.array(ages, dtype=float)
    names = [f"c{i}" for i in range(len(age))] if ids is None else ids
    return clv.RetentionTable(
        customer_id=np.array(names, dtype=object),
        entry=np.zeros(len(age)),
        age=age,
        lost=np.zeros(len(age), dtype=bool) if lost is None else np.array(lost, dtype=bool),
        n_customers=np.ones(len(age)) if customers is None else np.array(customers, dtype=float),
        unit="year",
        clock=clock,
        **columns,
    )


def fader_hardie(last=12):
    """The two segments of Fader and Hardie, seen up to an age."""
    frame = pd.concat(
        pd.DataFrame({"age": range(13), "survivors": counts, "segment": segment})
        for segment, counts in SURVIVORS.items()
    )
    return clv.RetentionTable.from_survivors(frame, unit="year", groups=["segment"]).seen_to(last)
