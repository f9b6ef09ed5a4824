"""What a calibration simulates, and what it ranks: the data sets and the quantities of each family of models."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from clvmodels.forecast import predict, simulate
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.events import spend_columns
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import ParameterPrior
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.retention import Customers, RetentionClock, RetentionTable
from clvmodels.inference.likelihood import fitted_patterns
from clvmodels.inference.result import Fit
from clvmodels.models import model_named

AGES = (12.0, 22.0, 32.0, 42.0, 52.0)  # weeks
MONEY = 30.0  # typical spend of a purchase
LATE = 3  # one relation in three comes under observation late, after a third of its age
MOST_TRIES = 100_000  # at relations that last to the age at which they come under observation


@dataclass(frozen=True)
class Experiment:
    """What is simulated, how it is fitted, and what is ranked among how many draws.

    Attributes
    ----------
    model : registry name
    customers : in each simulated base
    T : ages, in weeks, given to the customers in turn
    horizon : of forecasts, in weeks
    priors : the true parameters are drawn from these, and the fit has the same
    method : "laplace" or "nuts"
    draws : posterior draws that a true value is ranked among
    seed : of everything, with the simulation's number
    clock : of the tables of retention, "" for models of other families
    """

    model: str
    customers: int
    T: tuple[float, ...]
    horizon: float
    priors: Mapping[str, ParameterPrior]
    method: str
    draws: int
    seed: int
    clock: RetentionClock | Literal[""] = ""


def simulated_customers(experiment: Experiment, truth: Mapping[str, float], rng: np.random.Generator) -> Customers:
    """A base of customers from the model's story, each seen up to its age."""
    model, size = model_named(experiment.model), experiment.customers
    if model.family == "retention":
        return _relations(experiment, truth, rng)
    if model.family == "purchases":
        T = np.resize(experiment.T, size)
        seed = int(rng.integers(2**32))
        return simulate(model.name, truth, T=T, size=size, seed=seed, horizon=experiment.horizon)[0]
    assert model.simulate is not None
    frequency = rng.geometric(0.4, size).astype(np.float64)
    return _spenders(frequency, model.simulate(rng, truth, frequency))


def _relations(experiment: Experiment, truth: Mapping[str, float], rng: np.random.Generator) -> RetentionTable:
    """Relations told as the model's story goes, one in three of them seen only from a third of its age on.

    The story is told until it lasts beyond that age; it knows nothing of the likelihood's S(entry). Of a model in
    continuous time, a loss between two renewals is seen at the second.
    """
    size = experiment.customers
    end = np.resize(experiment.T, size)
    entry = np.where(np.arange(size) % LATE == LATE - 1, end / 3, 0.0)
    if experiment.clock == "renewals":
        entry = np.floor(entry)
    loss = _losses_after(entry, model_named(experiment.model), truth, rng)
    if experiment.clock == "renewals":
        loss = np.ceil(loss)
    assert experiment.clock
    return RetentionTable(
        customer_id=np.array([str(i) for i in range(size)], dtype=object),
        entry=entry,
        age=np.minimum(loss, end),
        lost=loss <= end,
        n_customers=np.ones(size),
        unit="week",
        clock=experiment.clock,
    )


def _losses_after(entry: FloatArray, model: Model, truth: Mapping[str, float], rng: np.random.Generator) -> FloatArray:
    """Ages at which customers are lost, of those who are there at `entry`; shape (N,)."""
    assert model.simulate is not None
    loss = model.simulate(rng, truth, len(entry))
    tries = 1
    while (before := loss <= entry).any():
        if tries == MOST_TRIES:
            raise DataError(f"hardly anybody stays to the age {entry[before].max():g}, at which some are first seen.")
        loss[before] = model.simulate(rng, truth, int(before.sum()))
        tries += 1
    return np.asarray(loss)


def _spenders(frequency: FloatArray, amounts: FloatArray) -> CustomerSummary:
    """Customers of whom repeat purchases and their amounts matter, and nothing else."""
    size = len(frequency)
    buyer = np.repeat(np.arange(size), frequency.astype(np.int64))
    age, unknown = np.full(size, max(AGES)), np.full(size, np.nan)
    return CustomerSummary(
        customer_id=np.array([str(i) for i in range(size)], dtype=object),
        frequency=frequency,
        recency=np.where(frequency > 0, age, 0.0),
        T=age,
        **spend_columns(buyer, amounts, size),
        first_amount=unknown,
        current_value=unknown,
        unit="week",
        currency="USD",
    )


def quantity_names(model: Model) -> tuple[str, ...]:
    """Everything that is ranked: parameters, the log likelihood of the data, and the model's forecasts."""
    return (*model.parameter_names, "log_likelihood", *_forecasts(model))


def quantities(experiment: Experiment, ranked: Fit, customers: Customers) -> dict[str, FloatArray]:
    """The value at each draw, shape (S,), of every quantity that the model has."""
    values = {name: column[:, 0] for name, column in ranked.columns().items()}
    values["log_likelihood"] = log_likelihood_of(ranked, customers)
    if isinstance(customers, RetentionTable):
        return values | _retained(experiment, ranked, customers)
    fixed = _fixed_customer(ranked.model, experiment)
    for name, quantity in _forecasts(ranked.model).items():
        values[name] = _totals(experiment, ranked, quantity, fixed if name.endswith("_of_one") else customers)
    return values


def log_likelihood_of(fitted: Fit, customers: Customers) -> FloatArray:
    """Log likelihood of the data at each draw, shape (S,)."""
    return fitted_patterns(fitted, customers).totals()


def _forecasts(model: Model) -> dict[str, str]:
    """Forecasts that are ranked, each with its quantity: of the customers, and of one who is always the same."""
    if model.family == "retention":
        return dict.fromkeys(("survival", "p_active", "expected_renewals"), "")
    worth = "expected_purchases" if model.family == "purchases" else "expected_spend"
    named = {"p_alive": "p_alive", worth: worth, f"{worth}_of_one": worth}
    return {name: quantity for name, quantity in named.items() if quantity in model.quantities}


def _totals(experiment: Experiment, ranked: Fit, quantity: str, customers: CustomerSummary) -> FloatArray:
    """Sum of a forecast over customers at each draw, shape (S,)."""
    horizon = experiment.horizon if quantity == "expected_purchases" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f"{quantity} is infinite")  # such values have their rank, too
        return predict(ranked, customers, quantity=quantity, horizon=horizon).total_draws


def _fixed_customer(model: Model, experiment: Experiment) -> CustomerSummary:
    """A customer who is the same in all simulations: three repeats, the last at .6 of the greatest age."""
    one = _spenders(np.array([3.0]), np.full(3, MONEY))
    if model.family == "spend":
        return one
    age = np.array([max(experiment.T)])
    recency = 0.6 * age
    return replace(one, T=age, recency=recency if model.clock == "continuous" else np.floor(recency))


def _retained(experiment: Experiment, ranked: Fit, table: RetentionTable) -> dict[str, FloatArray]:
    """Survival of a new customer, and those still there at the horizon and at each unit up to it, of all now there."""
    columns, formulas = ranked.columns(), ranked.model.formulas
    ages, place = np.unique(table.age[~table.lost], return_inverse=True)
    counts = np.bincount(place, minlength=len(ages))

    def still_there(horizon: float) -> FloatArray:
        return np.asarray((formulas["p_active"](columns, ages, horizon) * counts).sum(axis=1))

    return {
        "survival": formulas["survival"](columns, np.array([experiment.horizon]))[:, 0],
        "p_active": still_there(experiment.horizon),
        "expected_renewals": sum(
            (still_there(float(ahead)) for ahead in range(1, int(experiment.horizon) + 1)), np.zeros(ranked.n_draws)
        ),
    }
