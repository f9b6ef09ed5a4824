"""The record that describes a model; a model file fills one, every other floor reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from clvmodels.foundation.calendar import Timetable
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import FisherNormal, LogNormal, Normal, ParameterPrior

Dimension = Literal["number", "time", "rate", "money"]
Support = Literal["positive", "real", "correlation"]
Draws = Mapping[str, Any]  # parameter name -> float, (S, 1) array or graph variable
LogLikelihood = Callable[[Draws, Any, Ops], Any]
Formula = Callable[..., FloatArray]

PURCHASE_HISTORY = ("frequency", "recency", "T")
SPEND_HISTORY = ("spend_purchases", "spend_mean")


@dataclass(frozen=True)
class Parameter:
    """A parameter: its letter in the paper, its dimension, its support, and its default prior.

    Inference works with an unknown on the whole line: the logarithm of a positive parameter, a real one as it
    is, log((1 + rho) / (1 - rho)) of a correlation. The default prior of the unknown is normal with standard
    deviation `prior_sd`, and its median is that of `prior_median` in units of the data's own scale of time or
    money, so that days or weeks, dollars or cents give the same inference.

    `covariates` says how covariates z act, by the model's standard proportional form: the parameter of a
    customer is that of the base times exp(covariates x gamma' z), with +1 or -1; at 0 it takes none.
    """

    name: str
    dimension: Dimension
    prior_median: float
    prior_sd: float
    covariates: Literal[-1, 0, 1] = 0
    support: Support = "positive"

    def default_prior(self, scale: "DataScale") -> ParameterPrior:
        """The default prior in the data's units."""
        if self.support == "positive":
            return LogNormal(self.prior_median * scale.of(self.dimension), self.prior_sd)
        kind = Normal if self.support == "real" else FisherNormal
        return kind(self.prior_median, self.prior_sd)

    def natural(self, unknown: Any, ops: Ops) -> Any:
        """The parameter at an unknown."""
        if self.support == "positive":
            return ops.exp(unknown)
        return unknown if self.support == "real" else 1 - 2 / (1 + ops.exp(unknown))

    def unknown(self, value: FloatArray) -> FloatArray:
        """The unknown of a value of the parameter."""
        if self.support == "positive":
            return np.asarray(np.log(value))
        return np.asarray(value if self.support == "real" else 2 * np.arctanh(value))

    def slope(self, value: FloatArray) -> FloatArray:
        """The derivative of the parameter by its unknown."""
        if self.support == "positive":
            return value
        return np.ones_like(value) if self.support == "real" else (1 - value**2) / 2

    def holds(self, value: float) -> bool:
        """Whether the parameter can have that value."""
        return (
            bool(np.isfinite(value))
            and {
                "positive": value > 0,
                "real": True,
                "correlation": -1 < value < 1,
            }[self.support]
        )


@dataclass(frozen=True)
class DataScale:
    """Typical time (units of time) and money (currency) of a data set."""

    time: float = 1.0
    money: float = 1.0

    def of(self, dimension: Dimension) -> float:
        """The scale of one dimension."""
        return {"number": 1.0, "time": self.time, "rate": 1 / self.time, "money": self.money}[dimension]


@dataclass(frozen=True)
class Model:
    """A model as formulas.

    Attributes
    ----------
    name : registry name
    family : "purchases" (frequency, recency, T) or "spend" (mean spend)
    parameters : in the paper's order
    log_likelihood : (parameters, patterns, ops) -> log likelihood of each pattern, shape (..., K);
        parameters are floats, (S, 1) draws or graph variables, or `Varying` over the rows: the likelihood
        reads them through `Levels.map` and `at_rows`
    history : columns of a customer summary that formulas and kernel read, in the order of their arguments
    reads : further columns that the likelihood reads of each pattern, such as "log_interval"
    quantities : what `predict` offers
    formulas : name -> formula; purchases: f(parameters, frequency, recency, T, ...), see the model's file
    simulate : (rng, parameters, ...) -> the story of the model, customer by customer
    kernel : name of the module in `clvmodels.models.kernels` that draws a customer's future, or None
    limits : name of a simpler model -> this model's parameters at which it is that one, given the simpler
        model's parameters: (parameters) -> parameters. So a fit can tell that it missed a better one
    methods : ways of fitting it
    on_calendar : what makes the model with the terms of a calendar, or None where it takes none
    timetable : the calendar that it was made with, and today's place in it
    expand : (theta) -> theta as the kernel reads it, shape (..., P) to (..., more), or None for theta itself
    reference : paper
    """

    name: str
    family: Literal["purchases", "spend"]
    parameters: tuple[Parameter, ...]
    log_likelihood: LogLikelihood
    history: tuple[str, ...] = PURCHASE_HISTORY
    reads: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    formulas: Mapping[str, Formula] = field(default_factory=dict)
    simulate: Callable[..., Any] | None = None
    kernel: str | None = None
    limits: Mapping[str, Callable[[Mapping[str, float]], dict[str, float]]] = field(default_factory=dict)
    methods: tuple[str, ...] = ("mle", "laplace", "nuts")
    on_calendar: Callable[[Timetable], "Model"] | None = None
    timetable: Timetable | None = None
    expand: Callable[[FloatArray], FloatArray] | None = None
    reference: str = ""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Letters of the parameters, in the paper's order."""
        return tuple(parameter.name for parameter in self.parameters)

    def natural(self, unknowns: FloatArray) -> FloatArray:
        """Parameters at unknowns, both shape (..., P)."""
        theta = np.exp(unknowns)
        for place, parameter in enumerate(self.parameters):
            if parameter.support != "positive":
                theta[..., place] = parameter.natural(unknowns[..., place], NUMPY_OPS)
        return theta

    def drawn_from(self, priors: Mapping[str, ParameterPrior], rng: np.random.Generator) -> dict[str, float]:
        """Parameters drawn from their priors."""
        drawn = {}
        for parameter in self.parameters:
            mean, sd = priors[parameter.name].normal
            drawn[parameter.name] = float(parameter.natural(np.float64(mean + sd * rng.normal()), NUMPY_OPS))
        return drawn

    def unknowns(self, theta: FloatArray) -> FloatArray:
        """Unknowns of parameters, both shape (..., P)."""
        return np.stack([p.unknown(theta[..., place]) for place, p in enumerate(self.parameters)], axis=-1)
