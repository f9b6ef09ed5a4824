"""Tables of retention for tests: Fader and Hardie's two segments, simulated relations, a purchase log's customers."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

import clvmodels as clv
from clvmodels.models import MODELS

RETENTION = {name: model for name, model in MODELS.items() if model.family == "retention"}
AT_RENEWALS = [name for name, model in RETENTION.items() if model.clock == "opportunities"]
AT_ANY_TIME = [name for name, model in RETENTION.items() if model.clock == "continuous"]
GOLDEN = tomllib.loads((Path(__file__).parent / "golden" / "retention.toml").read_text(encoding="utf-8"))
SEGMENTS = GOLDEN["fader_hardie"]["segments"]
TRUTH = {
    "geometric": {"theta": 0.2},
    "sbg": {"alpha": 0.9, "beta": 2.5},
    "bdw": {"alpha": 0.6, "beta": 2.0, "c": 1.4},
    "exponential_gamma": {"r": 0.9, "alpha": 4.0},
    "weibull_gamma": {"r": 0.7, "alpha": 3.0, "c": 1.4},
}


def segment_table(segment, *, renewals=7):
    """A segment of Fader and Hardie's (2007), seen up to so many renewals."""
    survivors = SEGMENTS[segment]["survivors"][: renewals + 1]
    frame = pd.DataFrame({"age": np.arange(renewals + 1), "survivors": survivors})
    return clv.RetentionTable.from_survivors(frame, unit="year")


def relations(name, parameters, size, *, seed, until=12.0, joined=0.0, clock=None):
    """A table of relations told by a model's story.

    Parameters
    ----------
    parameters : of all, or arrays of the customers' own
    until : age at which the observation ends, of all or one a customer
    joined : age at which they come under observation, likewise: those lost before it are not in the table
    clock : that of the model; or "renewals", for times in continuous time seen at whole units only
    """
    model = MODELS[name]
    lifetime = model.simulate(np.random.default_rng(seed), parameters, size)
    own = "renewals" if model.clock == "opportunities" else "continuous"
    if clock == "renewals":
        lifetime = np.ceil(lifetime)
    until, joined = np.broadcast_to(until, size), np.broadcast_to(joined, size)
    there = lifetime > joined
    return clv.RetentionTable(
        customer_id=np.array([f"c{i:06d}" for i in range(size)], dtype=object)[there],
        entry=joined[there].astype(float),
        age=np.minimum(lifetime, until)[there],
        lost=(lifetime <= until)[there],
        n_customers=np.ones(there.sum()),
        unit="month",
        clock=clock or own,
    )


def table_of(customers, clock):
    """Customers of a purchase summary as relations: the silent are lost at some time, some were seen from an age on."""
    lost = customers.T - customers.recency > 13
    silent = 13 * (1 - (0.618 * customers.T + 0.414 * customers.recency) % 1.0)
    age = np.where(lost, customers.recency + silent, customers.T)
    entry = np.where(customers.frequency % 3 == 1, age / 4, 0.0)
    if clock == "renewals":
        age, entry = np.ceil(age), np.floor(entry)
    return clv.RetentionTable(
        customer_id=customers.customer_id,
        entry=entry,
        age=age,
        lost=lost,
        n_customers=np.ones(len(customers)) if customers.n_customers is None else customers.n_customers,
        unit=customers.unit,
        clock=clock,
        covariates=customers.covariates,
        groups=customers.groups,
    )
