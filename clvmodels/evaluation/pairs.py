"""A model of purchases with a model of spend: its name, and its fits, none of which is made twice in a contest."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Baskets, Model
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference import Fit, fit
from clvmodels.models import MODELS

ALL_BASKETS = "[all]"
SUMMARY_COLUMNS = {  # columns of a summary behind those that a spend model reads
    "spend": ("frequency", "monetary_value", "first_amount"),
    "paid_spend": ("frequency", "monetary_value", "first_amount", "paid_purchases"),
    "log_spend": ("paid_purchases", "log_amount", "first_amount"),
}


@dataclass(frozen=True)
class Candidate:
    """A model of purchases with a way to learn what they are worth.

    Attributes
    ----------
    purchases, spend : registry names; "joint_purchases" and "joint_spend" for the two as one model
    baskets : purchases that spend is learnt from, "repeat" or "all"
    """

    purchases: str
    spend: str = "gamma_gamma"
    baskets: Baskets = "all"

    @property
    def name(self) -> str:
        """Name in tables, such as "nbd+gamma_gamma[all]"."""
        return f"{self.purchases}+{self.spend}{ALL_BASKETS if self.baskets == 'all' else ''}"


def candidate_named(name: str) -> Candidate:
    """The candidate of a name, such as "bg_nbd+gamma_gamma" or "pareto_nbd+gamma_gamma[all]".

    Raises
    ------
    FitError
        If it is no such name, or not of a model of purchases and one of spend that read a summary's customers.
    """
    purchases, plus, spend = name.removesuffix(ALL_BASKETS).partition("+")
    if not plus:
        raise FitError(f'"{name}" is no model of purchases and one of spend: write "bg_nbd+gamma_gamma".')
    for model, family in ((purchases, "purchases"), (spend, "spend")):
        summary_model(model, family)
    return Candidate(purchases, spend, "all" if name.endswith(ALL_BASKETS) else "repeat")


def summary_model(name: str, family: str) -> Model:
    """The model of a name, which reads the summary that all methods of a contest read.

    Raises
    ------
    FitError
        If it is unknown or of another family, or reads a calendar or counts opportunities.
    """
    if name not in MODELS or MODELS[name].family != family:
        known = ", ".join(key for key, model in MODELS.items() if model.family == family)
        raise FitError(f'"{name}" is no model of {family}: expected one of {known}.')
    model = MODELS[name]
    if model.clock != "continuous" or model.on_calendar is not None:
        raise FitError(
            f'"{name}" reads customers by days or with a calendar, not the summary that the other methods read. Give '
            "rolling_contest a function that makes its forecasts."
        )
    return model


def columns_read(model: Model) -> list[str]:
    """Columns of a customer summary that a model reads."""
    columns: list[str] = []
    for column in (*model.history, *model.reads):
        stem = column.removesuffix("_purchases").removesuffix("_mean")
        columns += SUMMARY_COLUMNS.get(stem, (column,))
    return columns


@dataclass(frozen=True)
class Fitting:
    """How the models of a contest are fitted: what `fit` takes, and the checks that a fit may fail."""

    seed: int
    method: str = "laplace"
    draws: int = 1000
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class FitsMade:
    """Fits by all that they depend on. Methods and horizons of one origin share them, and origins inside others."""

    made: dict[tuple[object, ...], Fit | FitError] = field(default_factory=dict)


def fit_once(
    model: str, customers: CustomerSummary, fits: FitsMade, *, fitting: Fitting, baskets: Baskets = "repeat"
) -> Fit:
    """The fit of a model, made unless it is among `fits`, and kept there.

    Raises
    ------
    FitError, DataError
        As `fit` does; a fit that failed fails again at once.
    """
    key = (model, baskets, fitting.method, fitting.draws, fitting.seed, _digest(MODELS[model], customers))
    if key not in fits.made:
        seed = None if fitting.method == "mle" else fitting.seed
        try:
            fits.made[key] = fit(
                model, customers, method=fitting.method, draws=fitting.draws, seed=seed, baskets=baskets
            )
        except FitError as problem:
            fits.made[key] = problem
    found = fits.made[key]
    if isinstance(found, FitError):
        raise found
    return found.allowing(*fitting.allow)


def fit_pair_once(pair: Candidate, customers: CustomerSummary, fits: FitsMade, *, fitting: Fitting) -> tuple[Fit, Fit]:
    """Both models of a pair, the one of spend by random numbers of its own; see `fit_once`."""
    of_spend = Fitting(seed_of(fitting.seed, "spend"), fitting.method, fitting.draws, fitting.allow)
    return (
        fit_once(pair.purchases, customers, fits, fitting=fitting),
        fit_once(pair.spend, customers, fits, fitting=of_spend, baskets=pair.baskets),
    )


def seed_of(seed: int, what: str) -> int:
    """A seed for one use, from the caller's and the name of the use."""
    return int(np.random.SeedSequence([seed, zlib.crc32(what.encode())]).generate_state(1, np.uint64)[0])


def _digest(model: Model, customers: CustomerSummary) -> str:
    """SHA-256 of what a model can read of the customers."""
    digest = hashlib.sha256(customers.unit.encode())
    for values in _values_read(model, customers):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _values_read(model: Model, customers: CustomerSummary) -> Sequence[np.ndarray]:
    if customers.covariates or customers.groups or customers.n_customers is not None:
        raise DataError("a contest's models learn from a row a customer, without covariates or groups.")
    columns = [getattr(customers, name) for name in dict.fromkeys(("frequency", "recency", "T", *columns_read(model)))]
    return [values for values in columns if values is not None]
