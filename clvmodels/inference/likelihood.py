"""Customers as the patterns of a fit, and their likelihood at its draws."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clvmodels.data import compress, compress_retention, compress_spend, customers_of
from clvmodels.foundation.effects import Cells, Effects, cells_of
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import DataScale, Model
from clvmodels.foundation.ops import DOUBLINGS
from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray, Patterns, SpendPatterns
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.retention import Customers, RetentionTable
from clvmodels.inference.calendars import require_calendar
from clvmodels.inference.parameters import CustomerParameters, customer_parameters, parameters_at_point
from clvmodels.inference.result import Fit
from clvmodels.inference.target import CHUNK_CELLS, Design, Target, chunk_log_likelihood, total_log_likelihood


@dataclass(frozen=True)
class FittedPatterns:
    """Customers as counted patterns, with the parameters of a fit for each.

    Attributes
    ----------
    target : patterns with their cells; without priors
    parameters : of the cells, at the fit's draws or at its point
    index : ndarray, shape (M,), the pattern of each customer that has one
    known : ndarray, shape (N,), customers that have a pattern: all, or for a spend model those of known spend
    """

    target: Target
    parameters: CustomerParameters
    index: IntArray
    known: BoolArray

    @property
    def n_customers(self) -> FloatArray:
        """Customers of each pattern, shape (K,)."""
        return self.target.patterns.n_customers

    def blocks(self) -> Iterator[FloatArray]:
        """Log likelihood of one customer of each pattern at each draw, shape (S, k), some patterns at a time."""
        for chunk in self.target.chunks:
            size = max(1, 16 * CHUNK_CELLS // self.parameters.n_draws)
            for first in range(0, len(chunk.patterns), size):
                part, cells = chunk.take(slice(first, first + size))
                eta = self.parameters.unknowns_at(cells)  # (C, S, P)
                yield chunk_log_likelihood(self.target.model, part, eta.transpose(1, 0, 2))

    def totals(self) -> FloatArray:
        """Log likelihood of all customers at each draw, shape (S,)."""
        size = 1 if self.target.design is None else self.target.design.size
        step = max(1, 64 * CHUNK_CELLS // size)
        parts = []
        for first in range(0, self.parameters.n_draws, step):
            eta = self.parameters.unknowns_at(np.arange(size), slice(first, first + step))
            parts.append(total_log_likelihood(self.target, eta.transpose(1, 0, 2)))
        return np.concatenate(parts)


def fitted_patterns(fit: Fit, customers: Customers, *, at_point: bool = False) -> FittedPatterns:
    """The customers as patterns with their parameters, at each draw of the fit or at its point.

    Raises
    ------
    FitError
        If the fit and the customers differ in unit or currency.
    DataError
        If the customers lack a covariate or a group that the fit depends on.
    """
    require_same_units(fit, customers)
    known = readable_rows(fit.model, customers)
    if not known.any():
        raise DataError(
            "no customer has a repeat purchase with a known spend above 0: the fit can say nothing of them."
        )
    readable = customers.take(known)
    cells = cells_of(fit.effects, readable)
    patterns, index = patterns_of(fit.model, readable, cells)
    design = design_of(fit.model, fit.effects, cells, index)
    target = Target(fit.model, patterns, DataScale(), {}, fit.effects, design)
    parameters = parameters_at_point(fit, cells) if at_point else customer_parameters(fit, readable)
    return FittedPatterns(target, parameters, index, known)


def log_likelihood(fit: Fit, customers: Customers) -> FloatArray:
    """Log likelihood of each customer at the fit's point, shape (N,); NaN where a spend model has no spend.

    Raises
    ------
    FitError
        If the fit and the customers differ in unit or currency.
    DataError
        If the customers lack a covariate or a group that the fit depends on.
    """
    fitted = fitted_patterns(fit, customers, at_point=True)
    rows = np.concatenate([block[0] for block in fitted.blocks()])
    out = np.full(len(customers), np.nan)
    out[fitted.known] = rows[fitted.index]
    return out


def require_same_units(fit: Fit, customers: Customers) -> None:
    """Refuse a fit in weeks for customers in days, or in dollars for customers in cents.

    Raises
    ------
    FitError
        If they differ.
    DataError
        If the model counts opportunities and the customers are in continuous time, or it reads a calendar and they
        end on another day of it or have another one.
    """
    require_kind(fit.model, customers)
    require_clock(fit.model, customers)
    require_calendar(fit.model, customers)
    if fit.model.family != "spend" and fit.unit != customers.unit:
        raise FitError(
            f'the fit is in units of a "{fit.unit}", the customers in units of a "{customers.unit}": '
            "summarise them with the same unit."
        )
    if fit.model.family == "spend" and fit.currency != customers.currency:
        raise FitError(f"the fit is in {fit.currency}, the customers in {customers.currency}: use one currency.")


def require_clock(model: Model, customers: Customers) -> None:
    """Refuse customers in continuous time where a model counts opportunities.

    Raises
    ------
    DataError
        If T or recency are not whole, a customer bought more often than there were opportunities, or these are more
        than are worked through.
    """
    if isinstance(customers, RetentionTable):
        _require_renewals(model, customers)
        return
    if model.clock == "continuous":
        return
    x, t_x, T = customers.frequency, customers.recency, customers.T
    for name, bad in (
        ("T is not whole", np.floor(T) != T),
        ("recency is not whole", np.floor(t_x) != t_x),
        ("frequency is above recency", x > t_x),
        (f"T is {2**DOUBLINGS:,} or more", T >= 2**DOUBLINGS),
    ):
        if bad.any():
            first = int(np.argmax(bad))
            where = f"customer_id {customers.customer_id[first]}, T {T[first]:g}, recency {t_x[first]:g}"
            raise DataError(
                f"{model.name} counts opportunities, one a {customers.unit}: {name} for {int(bad.sum())} customers "
                f"(first: {where}, frequency {x[first]:g}). Summarise the log with opportunity_summary, or with "
                'Window(unit="day"), so that times are whole and there is one purchase at most at each.'
            )


def _require_renewals(model: Model, table: RetentionTable) -> None:
    if model.clock == "opportunities" and table.clock == "continuous":
        raise DataError(
            f"{model.name} counts renewals, and this table has losses at any time: make it with "
            'retention_table(..., clock="renewals"), or fit exponential_gamma or weibull_gamma.'
        )


def require_kind(model: Model, customers: Customers) -> None:
    """Refuse a summary of purchases for a model of retention, and a table of retention for the other models.

    Raises
    ------
    DataError
        If they do not fit.
    """
    if model.family == "retention" and not isinstance(customers, RetentionTable):
        raise DataError(
            f"{model.name} is a model of retention, and customers is a {type(customers).__name__}: expected a "
            "RetentionTable, as retention_table(contracts, ...) or RetentionTable.from_survivors(frame, ...) gives it."
        )
    if model.family != "retention" and not isinstance(customers, CustomerSummary):
        raise DataError(
            f"customers is a {type(customers).__name__}: {model.name} needs a CustomerSummary, as "
            "customer_summary(log, window) or CustomerSummary.from_frame(frame, unit=...) gives it."
        )


def counted_rows(model: Model, patterns: SpendPatterns) -> CustomerSummary:
    """Spend patterns as a summary that a spend model reads.

    Raises
    ------
    DataError
        If it is no spend model.
    """
    if model.family != "spend":
        raise DataError(
            f"SpendPatterns tell nothing of purchase times, which {model.name} needs: fit it on "
            "counted_summary(log, window)."
        )
    return customers_of(patterns)


def readable_rows(model: Model, customers: Customers) -> BoolArray:
    """Rows that a model reads, shape (N,): all, or for a spend model those of known spend."""
    if model.family == "spend" and isinstance(customers, CustomerSummary):
        return has_spend(customers) if model.baskets == "repeat" else customers.all_spend_purchases > 0
    return np.ones(len(customers), dtype=bool)


def has_spend(customers: CustomerSummary) -> BoolArray:
    """Customers with repeats of known mean spend, shape (N,)."""
    return np.asarray((customers.frequency > 0) & ~np.isnan(customers.monetary_value))


def patterns_of(model: Model, customers: Customers, cells: Cells) -> tuple[Patterns, IntArray]:
    """Patterns, and the pattern of each customer (of known spend, for a spend model)."""
    cell = None if cells.size == 1 else cells.cell
    if isinstance(customers, RetentionTable):
        return compress_retention(customers, cell, model.reads)
    if model.family == "spend":
        return compress_spend(customers, cell, model.reads, baskets=model.baskets)[:2]
    return compress(customers, cell, model.reads)


def design_of(model: Model, effects: Effects, cells: Cells, index: IntArray) -> Design | None:
    """The standardised columns by cell, and the cell of each pattern; none where all share their parameters."""
    if effects.none:
        return None
    cell = np.empty(int(index.max()) + 1, dtype=np.int64)
    cell[index] = cells.cell
    sign = {parameter.name: parameter.covariates for parameter in model.parameters}
    columns = {
        name: sign[name] * (cells.covariates[name] - [c.centre for c in covariates]) / [c.scale for c in covariates]
        for name, covariates in effects.covariates.items()
    }
    return Design(cell, columns, cells.groups, cells.size)
