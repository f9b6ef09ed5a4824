"""Forecasts of several models averaged: the mixture of their predictive distributions.

A draw of the mixture first takes a model, with its weight, and then a draw of that model for all customers
alike. So totals, cells and ranks stay coherent: no draw mixes the customers of two models.

References
----------
.. [1] Yao, Vehtari, Simpson and Gelman (2018), Using Stacking to Average Bayesian Predictive
   Distributions, Bayesian Analysis 13(3), doi 10.1214/17-BA1091.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np

from clvmodels.forecast.draws import forecasts_of, row_statistics
from clvmodels.forecast.future import spend_table
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, DrawBlock, Forecast
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.result import Fit

SUM_TOLERANCE = 1e-6


def average_forecasts(forecasts: Mapping[str, Forecast], weights: Mapping[str, float], *, seed: int) -> Forecast:
    """The mixture of forecasts with these weights, such as the stacking weights of `compare_models`.

    Draw s is draw s of one of the forecasts, chosen at random for all customers. A forecast with weight w
    gives w S of the S draws, to within one draw.

    Parameters
    ----------
    forecasts : name -> forecast of one quantity, by methods with draws, as many of each
    weights : name -> weight, 0 or above, summing to 1
    seed : of the choice of models

    Returns
    -------
    Forecast : with mean, sd, quantiles, totals and replay of the mixture

    Raises
    ------
    DataError
        If weights are no numbers, negative, do not sum to 1, or are not of these forecasts; if forecasts differ
        in quantity, horizon, unit, currency, customers or number of draws; if one has no draws or is no
        forecast; or if the seed cannot be.
    """
    rng = np.random.default_rng(require_seed(seed))
    _require_forecasts(forecasts)
    _require_weights(forecasts, weights)
    _require_alike(forecasts)
    members = list(forecasts.values())
    share = np.array([weights[name] for name in forecasts], dtype=np.float64)
    totals = np.stack([forecast.total_draws for forecast in members])
    mixture = _Mixture(members, _choose(share, totals.shape[1], rng))
    mean, sd, q05, q50, q95 = _statistics(mixture)
    chosen = np.take_along_axis(totals, mixture.member_of[None], axis=0)
    first = members[0]
    assert first.totals is not None  # total_draws are there
    return replace(
        first,
        method=_method_name({name: weights[name] for name in forecasts}),
        mean=mean,
        sd=sd,
        q05=q05,
        q50=q50,
        q95=q95,
        totals=first.totals.copy(data=chosen.reshape(first.totals.shape)),
        replay=mixture.replay,
    )


def sample_average_spend(
    pairs: Mapping[str, tuple[Fit, Fit]],
    weights: Mapping[str, float],
    customers: CustomerSummary,
    *,
    horizon: float,
    seed: int,
    draws: int,
) -> Forecast:
    """The mixture that `average_forecasts` makes of `sample_spend` by each pair; only draws that count are made.

    Parameters
    ----------
    pairs : name -> fits of a purchase model and of a spend model
    weights : name -> weight, 0 or above, summing to 1
    customers : a row a customer
    horizon : length of time, in the customers' unit
    seed : of the random numbers and of the choice of models, 0 to 2^64 - 1
    draws : number of draws S

    Raises
    ------
    DataError, FitError
        As `average_forecasts` and `sample_spend` do.
    """
    rng = np.random.default_rng(require_seed(seed))
    _require_weights(pairs, weights)
    member_of = _choose(np.array([weights[name] for name in pairs], dtype=np.float64), draws, rng)
    own = [np.flatnonzero(member_of == place) for place in range(len(pairs))]
    tables = [
        (spend_table(*pair, customers, horizon=horizon, seed=seed, draws=draws, only=only), only)
        for pair, only in zip(pairs.values(), own, strict=True)
        if len(only)
    ]

    def make(rows: IntArray, at: slice) -> FloatArray:
        values = np.empty((1, len(rows), at.stop - at.start))
        for table, only in tables:
            first, end = np.searchsorted(only, [at.start, at.stop]).tolist()
            if first < end:
                values[:, :, only[first:end] - at.start] = table.make(rows, slice(first, end))
        return values

    whole = replace(tables[0][0], make=make, chains=(1, draws))
    method = _method_name(weights)
    return forecasts_of(whole, customers, quantities=("spend",), method=method, horizon=horizon)[0]


def _method_name(weights: Mapping[str, float]) -> str:
    return f"average({', '.join(name for name in weights if weights[name] > 0)})"


@dataclass(frozen=True)
class _Mixture:
    """Forecasts, and the one that each draw is taken from; `member_of` has shape (S,)."""

    members: list[Forecast]
    member_of: IntArray

    def replay(self, order: str) -> Iterator[DrawBlock]:
        """Blocks of the mixture: those of its members side by side, a column from each draw's own."""
        used = np.unique(self.member_of)
        replays = [replay(order) for place in used if (replay := self.members[place].replay) is not None]
        for blocks in zip(*replays, strict=True):
            values = np.empty_like(blocks[0].values)
            for place, block in zip(used, blocks, strict=True):
                mine = self.member_of[block.draws] == place
                values[:, mine] = block.values[:, mine]
            yield DrawBlock(blocks[0].rows, blocks[0].draws, values)


def _choose(share: FloatArray, draws: int, rng: np.random.Generator) -> IntArray:
    """The member of each draw, shape (S,): systematic, so that counts are shares to one draw, in random order."""
    rungs = (np.arange(draws) + rng.random()) / draws
    ladder = np.cumsum(share) / share.sum()
    return rng.permutation(np.minimum(np.searchsorted(ladder, rungs, side="right"), np.flatnonzero(share)[-1]))


def _statistics(mixture: _Mixture) -> FloatArray:
    """Mean, sd, q05, q50, q95 of each customer, shape (5, N)."""
    return np.concatenate([row_statistics(block.values) for block in mixture.replay("customers")], axis=-1)


def _require_forecasts(forecasts: Mapping[str, Forecast]) -> None:
    if not isinstance(forecasts, Mapping):
        raise DataError(f"forecasts: expected name -> Forecast, not a {type(forecasts).__name__}.")
    if not forecasts:
        raise DataError("there are no forecasts to average.")
    for name, forecast in forecasts.items():
        if not isinstance(forecast, Forecast):
            raise DataError(f"the forecast {name} is a {type(forecast).__name__}: expected name -> Forecast.")


def _require_weights(forecasts: Mapping[str, object], weights: Mapping[str, float]) -> None:
    if not hasattr(weights, "keys"):  # a pandas Series has them, and is no Mapping
        raise DataError(f"weights = {weights!r}: expected name -> weight.")
    odd = sorted(map(str, set(weights.keys()) ^ set(forecasts)))
    if odd:
        raise DataError(
            f"weights are of {', '.join(map(str, weights.keys()))}, forecasts of {', '.join(map(str, forecasts))}: "
            f"{', '.join(odd)} is not in both. Give 0 to a forecast that is not to count."
        )
    for name in forecasts:
        if not isinstance(weights[name], Real):
            raise DataError(f"the weight of {name} is {weights[name]!r}: expected a number from 0 to 1.")
        if not (np.isfinite(weights[name]) and weights[name] >= 0):
            raise DataError(f"the weight of {name} is {weights[name]}: expected a number from 0 to 1.")
    total = float(sum(weights[name] for name in forecasts))
    if abs(total - 1) > SUM_TOLERANCE:
        raise DataError(f"the weights sum to {total:.6g}, not to 1: divide each by {total:.6g}.")


def _require_alike(forecasts: Mapping[str, Forecast]) -> None:
    (one, first), *others = forecasts.items()
    for name, forecast in forecasts.items():
        if forecast.replay is None or forecast.totals is None:
            raise DataError(f"the forecast {name} by {forecast.method} has no draws: a mixture needs them.")
    for name, forecast in others:
        for what in ("quantity", "start", "horizon", "unit", "currency"):
            values = getattr(first, what), getattr(forecast, what)
            if values[0] != values[1] and not (what == "horizon" and np.isnan(values).all()):
                raise DataError(f"forecasts differ in {what}: {one} has {values[0]}, {name} has {values[1]}.")
        if not np.array_equal(first.customer_id, forecast.customer_id):
            raise DataError(f"forecasts {one} and {name} are of other customers, or of the same in another order.")
        sizes = len(first.total_draws), len(forecast.total_draws)
        if sizes[0] != sizes[1]:
            raise DataError(f"{one} has {sizes[0]} draws, {name} has {sizes[1]}: forecast with the same draws=.")
