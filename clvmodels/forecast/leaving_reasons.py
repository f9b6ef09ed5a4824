"""Why customers leave: competing reasons for a loss, told as what share of the lost each has.

Vertical modelling: the model of retention says how many are lost at each age, and of those lost at an age the reasons
have shares (`inference.reasons`). So the reasons add up to all losses, and the survival curve stays that of the fit:

    P(lost by age t for reason j) = sum_{k <= t} q_kj (S(k - 1) - S(k))

References
----------
.. [1] Nicolaie, van Houwelingen and Putter (2010), Vertical Modeling: A Pattern Mixture Approach for Competing Risks
   Modeling, Statistics in Medicine 29(11), doi 10.1002/sim.3844.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from clvmodels.foundation.effects import group_labels
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import RETENTION_HISTORY
from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.reasons import LeavingReasons
from clvmodels.foundation.records import IdArray
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.diagnostics import require_passed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.parameters import customer_parameters
from clvmodels.inference.reasons import learn_shares
from clvmodels.inference.result import Fit

Unknown = Literal["refuse", "as_known", "own"]
UNKNOWN = "unknown"
LEAST_DRAWS = 1000  # of the shares, for a fit with fewer draws
MOST_AGES = 1000
INTERVAL = (0.05, 0.95)


def leaving_reasons(
    fit: Fit, table: RetentionTable, *, ages: Sequence[float], seed: int, by: str = "", unknown: str = "refuse"
) -> LeavingReasons:
    """Shares of the reasons among those lost at each age, and the chance to be lost for each reason by then.

    Parameters
    ----------
    fit : of a model of retention, by any method
    table : relations with reasons: shares are learnt from its losses, and survival is that of customers like those
        of its rows, each row counted n_customers times
    ages : above 0, in the table's unit; shares are those of the unit of time that ends at, or holds, the age
    by : group column; shares are learnt, and survival told, for each of its groups apart
    unknown : what to do with losses whose reason is not known: "refuse" them, take them "as_known" (for reasons as
        the others of their age), or as a reason of their "own", told as "unknown"

    Returns
    -------
    LeavingReasons : a row a group, reason and age

    Raises
    ------
    DataError
        If the table names no reasons, one is missing and `unknown` is "refuse", it has no loss with a reason, or ages
        cannot be.
    FitError
        If the fit does not fit the table, did not pass its checks, or is of a model on a calendar.

    Notes
    -----
    Ages share what they have in common, so one with few losses leans on the others, and one that nobody has reached
    yet has their shares, with all the spread there is between ages. Relations seen late or cut short need nothing
    more: of those who are lost at an age, the reasons do not depend on who was seen.
    """
    require_seed(seed, error=DataError)
    require_same_units(fit, table)
    require_passed(fit)
    if fit.model.history != RETENTION_HISTORY:
        raise FitError(f"{fit.model.name} reads {', '.join(fit.model.history)}: reasons are told without a calendar.")
    times = _require_ages(ages)
    reasons = _reasons(table, unknown)
    labels = group_labels(table, by) if by else np.full(len(table), "", dtype=object)
    parts = []
    for place, label in enumerate(sorted(set(labels))):
        rows = labels == label
        some, rng = table.take(rows), np.random.default_rng([seed, place])
        losses = _losses(some, reasons[rows], times, f"{by} = {label}: " if by else "")
        parts.append(_of_group(fit, some, losses, times, rng))
    sizes = [len(part["reason"]) for part in parts]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return LeavingReasons(
        group=np.repeat(np.array(sorted(set(labels)), dtype=object), sizes),
        **columns,
        by=by,
        unit=fit.unit,
        unknown=int(table.n_customers[table.lost & ~_known(reasons)].sum()),
    )


def _require_ages(ages: Sequence[float]) -> FloatArray:
    times = np.asarray(ages, dtype=np.float64)
    if times.ndim != 1 or not len(times) or not (np.isfinite(times) & (times > 0)).all():
        raise DataError(f"ages = {ages!r}: expected numbers above 0, such as [1, 2, 5].")
    if times.max() > MOST_AGES:
        raise DataError(f"ages up to {times.max():g}: at most {MOST_AGES} units of time are told. Use a longer unit.")
    return times


def _reasons(table: RetentionTable, unknown: str) -> IdArray:
    """The reason of each row, shape (N,): None for those still there, and for the lost who are left out."""
    if unknown not in get_args(Unknown):
        raise DataError(f'unknown = "{unknown}": expected one of "refuse", "as_known", "own".')
    if table.reason is None:
        raise DataError(
            "the table names no reasons for leaving: give them to retention_table(..., reason=...), a text a contract "
            "that ended."
        )
    missing = table.lost & ~_known(table.reason)
    if missing.any() and unknown == "refuse":
        raise DataError(
            f"{int(table.n_customers[missing].sum())} customers were lost for a reason that is not known (first: "
            f'customer_id {table.customer_id[missing][0]}). With unknown="as_known" they leave for the reasons of '
            'the others, with unknown="own" for one of their own.'
        )
    reasons: IdArray = table.reason.copy()
    reasons[~table.lost] = None
    if unknown == "own":
        reasons[missing] = UNKNOWN
    return reasons


def _known(reasons: IdArray) -> BoolArray:
    return np.array([reason is not None for reason in reasons])


@dataclass(frozen=True)
class _Losses:
    """Customers lost in each unit of age up to the last that is asked for, or seen, by reason: shape (K, R)."""

    reasons: IdArray
    counts: FloatArray


def _losses(table: RetentionTable, reasons: IdArray, ages: FloatArray, where: str) -> _Losses:
    told = _known(reasons)
    if not told.any():
        raise DataError(f"{where}no loss of the table has a reason: the data say nothing of why customers leave.")
    names, which = np.unique(reasons[told].astype(str), return_inverse=True)
    units = np.ceil(table.age[told]).astype(np.int64)
    counts = np.zeros((max(int(np.ceil(ages.max())), int(units.max())), len(names)))
    np.add.at(counts, (units - 1, which), table.n_customers[told])
    return _Losses(names.astype(object), counts)


def _of_group(
    fit: Fit, table: RetentionTable, losses: _Losses, ages: FloatArray, rng: np.random.Generator
) -> dict[str, Any]:
    """Columns of the record, a row a reason and age."""
    draws, size = max(LEAST_DRAWS, fit.n_draws), len(losses.reasons)
    shares = learn_shares(losses.counts, draws=draws, rng=rng)
    unit = np.ceil(ages).astype(np.int64) - 1
    begins = _survival(fit, table, np.arange(unit.max() + 2.0), draws)
    survival = _survival(fit, table, ages, draws)
    of_units = shares.by_age[:, : unit.max() + 1] * (begins[:, :-1] - begins[:, 1:])[:, :, None]
    before = np.cumsum(of_units, axis=1) - of_units  # (draws, units, reasons), lost before the unit
    share = shares.by_age[:, unit]
    incidence = before[:, unit] + share * (begins[:, unit] - survival)[:, :, None]
    return {
        "reason": np.repeat(losses.reasons, len(ages)),
        "age": np.tile(ages, size),
        "n_lost": losses.counts[unit].T.ravel(),
        **_told("share", share),
        **_told("incidence", incidence),
        "survival": np.tile(survival.mean(axis=0), size),
        "pareto_k": np.full(size * len(ages), shares.pareto_k),
    }


def _told(name: str, values: FloatArray) -> dict[str, FloatArray]:
    """Mean and interval of draws, shape (draws, ages, reasons), each reason by reason."""
    low, high = np.quantile(values, INTERVAL, axis=0)
    told = {name: values.mean(axis=0), f"{name}_q05": low, f"{name}_q95": high}
    return {key: numbers.T.ravel() for key, numbers in told.items()}


def _survival(fit: Fit, table: RetentionTable, ages: FloatArray, draws: int) -> FloatArray:
    """The mean survival of customers like the table's at draws of the fit, which are taken again in turn.

    Shape (draws, ages).
    """
    own = customer_parameters(fit, table)
    cells, place = np.unique(own.cell, return_inverse=True)
    weights = np.bincount(place, weights=table.n_customers) / table.n_customers.sum()
    if own.alike:
        cells, weights = cells[:1], np.ones(1)
    total = np.zeros((own.n_draws, len(ages)))
    for theta, weight in zip(own.at(cells), weights, strict=True):
        parameters = {name: theta[:, [i]] for i, name in enumerate(fit.model.parameter_names)}
        total += weight * fit.model.formulas["survival"](parameters, ages)
    return total[np.arange(draws) % own.n_draws]
