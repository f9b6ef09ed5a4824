"""Prior predictive simulation: what customers would look like if the prior alone were true."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from clvmodels.data import learnt_spend
from clvmodels.foundation.effects import Effects, cells_of
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.events import purchase_columns, spend_columns
from clvmodels.foundation.model import Draws, Model
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import FloatArray, PurchasePatterns
from clvmodels.foundation.priors import ParameterPrior
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.fitting import data_scale, priors_for
from clvmodels.inference.likelihood import has_spend, patterns_of, require_clock
from clvmodels.models import model_named

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

MOST_CUSTOMERS = 10_000  # simulated a draw; of a larger base as many stand for it
MOST_PURCHASES = 1_000_000  # of a simulated base, and
MOST_OF_ONE = 10_000  # of a customer: beyond either, the story of a draw is not told to its end
GROWTH = 4.0
STEPS = GROWTH ** np.arange(-25.0, 1.0)  # shares of the customers' ages, from 1e-15 to 1


@dataclass(frozen=True)
class PriorPredictive:
    """Data sets that a prior believes in, by a few numbers each, beside those of the real one.

    Attributes
    ----------
    model : registry name
    priors : by parameter
    parameters : by parameter, shape (S,), as drawn
    quantities : by name, shape (S,): of each simulated data set. Infinite, or NaN where not known, in draws
        beyond the cap
    observed : by name, of the real customers
    n_customers : that were simulated: the base's, or 10,000 at random of a larger one; the observed
        numbers are of the same
    beyond_cap : draws with more than 1,000,000 purchases in all or 10,000 of one customer; for a spend model,
        with a spend too large for a float
    """

    model: str
    priors: Mapping[str, ParameterPrior]
    parameters: Mapping[str, FloatArray]
    quantities: Mapping[str, FloatArray]
    observed: Mapping[str, float]
    n_customers: int
    beyond_cap: int

    def to_pandas(self) -> "pd.DataFrame":
        """A frame by quantity: observed, q05, q50, q95, at_or_below, draws.

        at_or_below is the share of simulated data sets at or below the observed number; an infinite quantile
        says that so many draws are beyond the cap. `draws` is how many of them the quantity is known of.
        """
        import pandas as pd

        frame = pd.DataFrame.from_dict({name: self._row(name) for name in self.quantities}, orient="index")
        frame.index.name = "quantity"
        return frame

    def _row(self, name: str) -> dict[str, float]:
        known = self.quantities[name][~np.isnan(self.quantities[name])]
        nan = float("nan")
        q05, q50, q95 = np.quantile(known, [0.05, 0.5, 0.95], method="inverted_cdf") if len(known) else (nan, nan, nan)
        at_or_below = float(np.mean(known <= self.observed[name])) if len(known) else nan
        quantiles = {"q05": float(q05), "q50": float(q50), "q95": float(q95)}
        return {"observed": self.observed[name], **quantiles, "at_or_below": at_or_below, "draws": len(known)}


def prior_predictive(
    model: str,
    customers: CustomerSummary,
    *,
    draws: int,
    seed: int,
    priors: Mapping[str, ParameterPrior] | None = None,
) -> PriorPredictive:
    """What the prior believes of customers like these, before it sees what they did.

    For each draw of the parameters from their priors, customers by the model's story: seen up to the same ages T
    (a purchase model), or with the same numbers of purchases (a spend model).

    Parameters
    ----------
    model : registry name
    customers : summary; a purchase model takes their ages, a spend model their repeat purchases
    draws : simulated data sets S
    seed : of the random numbers; draw s is the same however many there are
    priors : replaces default priors, by parameter

    Returns
    -------
    PriorPredictive
        Purchases: repeat_share (customers with a repeat), mean_repeats (a customer), most_repeats (of a
        customer), last_purchase (mean recency / T of repeat buyers). Spend: mean_spend, median_spend,
        largest_spend of the customers' means, in currency.

    Raises
    ------
    FitError
        If the model has no story, a prior is of no parameter of it or not of its kind, or draws or seed cannot be.
    DataError
        If the customers have no repeat purchase (of known spend), so that default priors have no scale.

    Notes
    -----
    A wide prior has draws of millions of purchases a customer. The story of each draw is told up to ever later
    times, each four times the one before, and stops beyond the cap: so no draw takes more than seconds. The share
    of repeat buyers is known all the same, from the likelihood of no purchase.
    """
    record = model_named(model)
    _refuse(record, customers, draws, seed)
    chosen = _priors(record, customers, priors or {})
    history = _history(record, customers, np.random.default_rng(seed))
    parameters, data = [], []
    for s in range(draws):
        rng = np.random.default_rng([seed, s])
        theta = record.drawn_from(chosen, rng)
        parameters.append(theta)
        data.append(QUANTITIES[record.family](*_simulated(record, rng, theta, history)))
    observed = QUANTITIES[record.family](*history)
    quantities = {name: np.array([values[name] for values in data]) for name in observed}
    return PriorPredictive(
        model=model,
        priors=chosen,
        parameters={name: np.array([theta[name] for theta in parameters]) for name in chosen},
        quantities=quantities,
        observed=observed,
        n_customers=len(history[0]),
        beyond_cap=int(np.isinf(quantities[LARGEST[record.family]]).sum()),
    )


def _refuse(model: Model, customers: CustomerSummary, draws: int, seed: int) -> None:
    if model.simulate is None or model.family not in QUANTITIES:
        raise FitError(f"{model.name} has no story to simulate purchases or spend from.")
    require_count("draws", draws)
    require_seed(seed, error=FitError)
    require_clock(model, customers)
    known = customers.frequency > 0 if model.family == "purchases" else has_spend(customers)
    if not known.any():
        raise DataError(
            f"no customer has a repeat purchase{' of known spend' if model.family == 'spend' else ''}: "
            "the data have no scale of time or money for a prior."
        )


def _priors(model: Model, customers: CustomerSummary, given: Mapping[str, ParameterPrior]) -> dict[str, ParameterPrior]:
    """The priors of a fit to these customers: those given, else the defaults at the data's scale."""
    scale = data_scale(patterns_of(model, customers, cells_of(Effects(), customers))[0])
    return cast(dict[str, ParameterPrior], priors_for(model, scale, Effects(), given))  # of parameters all are


def _history(model: Model, customers: CustomerSummary, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    """Columns of the customers that stand for the base, one row a customer: what the quantities are made of."""
    known = np.ones(len(customers), dtype=bool) if model.family == "purchases" else has_spend(customers)
    seen = (customers.frequency, customers.recency, customers.T)
    columns = [
        column[known] for column in (seen if model.family == "purchases" else learnt_spend(customers, model.reads))
    ]
    counts = np.ones(len(columns[0])) if customers.n_customers is None else customers.n_customers[known]
    order = np.lexsort(columns)  # so that the order of rows does not matter
    last = np.cumsum(counts[order]).astype(np.int64)
    size = min(int(last[-1]), MOST_CUSTOMERS)
    rows = order[np.searchsorted(last, np.sort(rng.choice(last[-1], size, replace=False)), side="right")]
    return tuple(column[rows] for column in columns)


def _simulated(
    model: Model, rng: np.random.Generator, theta: Draws, history: tuple[FloatArray, ...]
) -> tuple[FloatArray, ...]:
    """The history of customers alike in age or number of purchases, by the model's story."""
    assert model.simulate is not None
    if model.family == "purchases":
        return _purchases(model, rng, theta, history[2])
    buyer = np.repeat(np.arange(len(history[0])), history[0].astype(np.int64))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        spend = spend_columns(buyer, model.simulate(rng, theta, history[0]), len(history[0]))["monetary_value"]
    return history[0], np.where(np.isnan(spend), np.inf, spend)  # beyond what a float holds, and counted


def _purchases(
    model: Model, rng: np.random.Generator, theta: Draws, T: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Frequency, recency and T; beyond the cap, repeat buyers have infinite frequencies and recency is not known."""
    frequency = recency = np.zeros(len(T))
    for share in STEPS:
        frequency, recency = _story(model, rng, theta, share * T)
        if frequency.sum() > MOST_PURCHASES or frequency.max() > MOST_OF_ONE:
            return np.where(rng.random(len(T)) < _none(model, theta, T), 0.0, np.inf), np.full(len(T), np.nan), T
    return frequency, recency, T


def _story(model: Model, rng: np.random.Generator, theta: Draws, end: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Repeat purchases up to `end`, and the time of the last of them or 0."""
    assert model.simulate is not None
    with np.errstate(divide="ignore", over="ignore"):  # a rate next to 0 never buys
        buyer, time = model.simulate(rng, theta, end)
    columns = purchase_columns(buyer, time, len(end))
    return columns["frequency"], columns["recency"]


def _none(model: Model, theta: Draws, T: FloatArray) -> FloatArray:
    """P(no repeat up to T), shape (N,): the likelihood of that history."""
    nothing = np.zeros(len(T))
    with np.errstate(over="ignore"):  # an infinite T / alpha: nobody has no repeat
        patterns = PurchasePatterns.of(nothing, nothing, T, "week", log_interval=nothing)
        return np.asarray(np.exp(model.log_likelihood(theta, patterns, NUMPY_OPS)))


def _of_purchases(frequency: FloatArray, recency: FloatArray, T: FloatArray) -> dict[str, float]:
    repeats = frequency > 0
    return {
        "repeat_share": float(repeats.mean()),
        "mean_repeats": float(frequency.mean()),
        "most_repeats": float(frequency.max()),
        "last_purchase": float(np.mean(recency[repeats] / T[repeats])) if repeats.any() else float("nan"),
    }


def _of_spend(_: FloatArray, monetary_value: FloatArray) -> dict[str, float]:
    return {
        "mean_spend": float(monetary_value.mean()),
        "median_spend": float(np.median(monetary_value)),
        "largest_spend": float(monetary_value.max()),
    }


QUANTITIES: dict[str, Callable[..., dict[str, float]]] = {"purchases": _of_purchases, "spend": _of_spend}
LARGEST = {"purchases": "most_repeats", "spend": "largest_spend"}
