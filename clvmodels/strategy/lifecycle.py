"""Stage of the relation with each customer, and how relations ended that have, each as a probability.

With x repeat purchases, x1 of them in the first half of the time since the first purchase and x2 in the second,
P(alive) from the model, and b = P(a purchase within the horizon | alive) from its draws: of a customer who is alive,

- idle: purchases come so seldom that a customer who stays has a chance below `BUY_LIMIT` to buy within the horizon,
  as good as gone. With the rate gamma distributed with shape k = r + x, where r is the shape of the rates over
  customers, b = 1 - (1 + g)^-k; purchases to be expected within the horizon are gamma distributed with shape k and
  scale g = (1 - b)^(-1/k) - 1, so that

      P(idle) = P(Gamma(k, scale g) < -log(1 - BUY_LIMIT)).

- trend: the part theta of the second half in the customer's purchases is Beta(c + x2, c + x1) distributed, 1/2 where
  the rate holds. Falling is theta < 1/3, the rate less than half of what it was; growing is theta > 2/3, more than
  twice of it. c = `TREND_PRIOR` stands for what customers do whose purchases say little.

The stages, each given all that is written before it:

    decline      gone, or idle, or falling (with at least one repeat purchase)
    exploration  no repeat purchase
    build_up     one or two repeat purchases (fewer than `steady_repeats`), or growing
    stability    else

Whether a customer is alive, idle, and falling or growing are taken as independent given the history.
"""

import numpy as np
from scipy import special

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.whole import require_count
from clvmodels.strategy.classes import CustomerClasses, labelled, wrong_or_right

STAGES = ("exploration", "build_up", "stability", "decline")
ENDED = ("early_abort", "build_up_death", "early_exit", "long_kept")
ALIVE_LIMIT = 0.5
BUY_LIMIT = 0.05
STEADY_REPEATS = 3
RATE_SHAPE = 0.5  # where a model has none
LONG_KEPT_DAYS = 365
TREND_PRIOR = 4.0  # so a rate halves or doubles from half to half with a chance of .17 each, before any purchase
FALLING, GROWING = 1 / 3, 2 / 3


def lifecycle(
    customers: CustomerSummary,
    alive: Forecast,
    *,
    p_buy: FloatArray,
    halves: tuple[FloatArray, FloatArray] | None = None,
    rate_shape: float = RATE_SHAPE,
    steady_repeats: int = STEADY_REPEATS,
    undecided_below: float = 0.6,
) -> CustomerClasses:
    """P(stage) of each customer: exploration, build-up, stability, decline. The formulas are at the module's head.

    Parameters
    ----------
    customers : a row a customer
    alive : of "p_alive", of the same customers
    p_buy : ndarray, shape (N,), P(at least one purchase within the horizon)
    rate_shape : r, of the gamma distribution of purchase rates over customers, that of the model if it has one
    halves : repeat purchases in the first and in the second half of each customer's time, each shape (N,); None where
        they are not known: then no rate falls or grows
    steady_repeats : repeat purchases from which on a relation that does not grow is stable
    undecided_below : a label with a lower probability is marked undecided

    Raises
    ------
    DataError
        If the customers differ, the halves do not add up to the frequency, or a number cannot be.
    """
    steady = require_count("steady_repeats", steady_repeats, least=2, error=DataError)
    _require_alike(customers, alive, p_buy, halves)
    _require_above_0("rate_shape", rate_shape)
    x = customers.frequency
    going = alive.mean * (1 - _idle(rate_shape + x, alive.mean, p_buy))
    falling, growing = _trends(x, halves)
    fresh, steadies = x == 0, x >= steady
    level = np.where(fresh | steadies, 0.0, going * (1 - falling))  # one or two repeats: build-up, growing or not
    by_stage = {
        "exploration": np.where(fresh, going, 0.0),
        "build_up": np.where(steadies, going * growing, level),
        "stability": np.where(steadies, going * (1 - falling - growing), 0.0),
        "decline": 1 - going * (1 - falling),
    }
    return labelled(
        by_stage,
        customers.customer_id,
        scheme="stage",
        undecided_below=undecided_below,
        loss=wrong_or_right(len(STAGES)),
    )


def ended_relations(
    customers: CustomerSummary,
    alive: Forecast,
    *,
    p_buy: FloatArray,
    rate_shape: float = RATE_SHAPE,
    steady_repeats: int = STEADY_REPEATS,
    long_kept: float,
    undecided_below: float = 0.6,
) -> CustomerClasses:
    """How each relation ended, if it has: rows of `probabilities` sum to the chance that it has ended.

    Ended is gone, or alive and idle as at the module's head: models such as BG/NBD hold every customer alive who
    never came back. The pattern is by how far the relation had come at its last purchase:

        early_abort     no repeat purchase
        build_up_death  fewer repeat purchases than `steady_repeats`
        early_exit      as many or more, over a time (from the first purchase to the last) below `long_kept`
        long_kept       as many or more, over a longer time

    Parameters
    ----------
    customers, alive, p_buy, rate_shape, steady_repeats : as of `lifecycle`
    long_kept : length of time, in the customers' unit
    undecided_below : a pattern whose probability is lower is marked undecided

    Returns
    -------
    CustomerClasses
        `label` is the only pattern that each customer's history allows, whether the relation has ended or not.

    Raises
    ------
    DataError
        If the customers differ, or a number cannot be.
    """
    steady = require_count("steady_repeats", steady_repeats, least=2, error=DataError)
    _require_alike(customers, alive, p_buy, None)
    _require_above_0("rate_shape", rate_shape)
    _require_above_0("long_kept", long_kept)
    x = customers.frequency
    ended = 1 - alive.mean * (1 - _idle(rate_shape + x, alive.mean, p_buy))
    long = customers.recency >= long_kept
    members = (x == 0, (x > 0) & (x < steady), (x >= steady) & ~long, (x >= steady) & long)
    return CustomerClasses(
        scheme="ended",
        customer_id=customers.customer_id,
        keys=ENDED,
        probabilities=np.where(np.column_stack(members), ended[:, None], 0.0),
        label=np.select(members[:-1], ENDED[:-1], default=ENDED[-1]).astype(object),
        undecided=ended < undecided_below,
        undecided_below=undecided_below,
    )


def _idle(shape: FloatArray, p_alive: FloatArray, p_buy: FloatArray) -> FloatArray:
    """P(idle | alive), shape (N,). A chance to buy that the draws show as 0 is idle, as 1 is not."""
    chance = np.clip(np.divide(p_buy, p_alive, out=np.zeros_like(p_buy), where=p_alive > 0), 0.0, 1.0)
    with np.errstate(divide="ignore", over="ignore"):
        scale = np.expm1(-np.log1p(-chance) / shape)
        return np.asarray(special.gammainc(shape, -np.log1p(-BUY_LIMIT) / scale))


def _trends(frequency: FloatArray, halves: tuple[FloatArray, FloatArray] | None) -> tuple[FloatArray, FloatArray]:
    """P(falling) and P(growing) given alive, shape (N,) each; 0 without a repeat purchase."""
    if halves is None:
        return np.zeros_like(frequency), np.zeros_like(frequency)
    early, late = (half + TREND_PRIOR for half in halves)
    falling, growing = special.betainc(late, early, FALLING), special.betaincc(late, early, GROWING)
    return np.where(frequency > 0, falling, 0.0), np.where(frequency > 0, growing, 0.0)


def _require_alike(
    customers: CustomerSummary, alive: Forecast, p_buy: FloatArray, halves: tuple[FloatArray, FloatArray] | None
) -> None:
    """Refuse what is not of the same customers."""
    if not np.array_equal(customers.customer_id, alive.customer_id):
        raise DataError("customers and P(alive) list different customers, or the same in another order.")
    if p_buy.shape != (len(customers),) or not ((p_buy >= 0) & (p_buy <= 1)).all():
        raise DataError(
            f"p_buy has shape {p_buy.shape}: expected a probability for each of {len(customers)} customers."
        )
    if halves is not None and not np.array_equal(halves[0] + halves[1], customers.frequency):
        raise DataError("repeat purchases of the two halves do not add up to the frequency of each customer.")


def _require_above_0(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise DataError(f"{name} = {value}: expected a number above 0.")
