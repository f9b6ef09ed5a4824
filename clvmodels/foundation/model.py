"""The record that describes a model; a model file fills one, every other floor reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import LogNormal

Dimension = Literal["number", "time", "money"]
Draws = Mapping[str, Any]  # parameter name -> float, (S, 1) array or graph variable
LogLikelihood = Callable[[Draws, Any, Ops], Any]
Formula = Callable[..., FloatArray]


@dataclass(frozen=True)
class Parameter:
    """A positive parameter: its letter in the paper, its dimension, and its default prior.

    The default prior is log-normal with median `prior_median` in units of the data's own scale of
    time or money, so that days or weeks, dollars or cents give the same inference.

    `covariates` says how covariates z act, by the model's standard proportional form: the parameter of a
    customer is that of the base times exp(covariates x gamma' z), with +1 or -1; at 0 it takes none.
    """

    name: str
    dimension: Dimension
    prior_median: float
    prior_sd: float
    covariates: Literal[-1, 0, 1] = 0

    def default_prior(self, scale: "DataScale") -> LogNormal:
        """The default prior in the data's units."""
        return LogNormal(self.prior_median * scale.of(self.dimension), self.prior_sd)


@dataclass(frozen=True)
class DataScale:
    """Typical time (units of time) and money (currency) of a data set."""

    time: float = 1.0
    money: float = 1.0

    def of(self, dimension: Dimension) -> float:
        """The scale of one dimension."""
        return {"number": 1.0, "time": self.time, "money": self.money}[dimension]


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
    quantities : what `predict` offers
    formulas : name -> formula; purchases: f(parameters, frequency, recency, T, ...), see the model's file
    simulate : (rng, parameters, ...) -> the story of the model, customer by customer
    kernel : name of the module in `clvmodels.models.kernels` that draws a customer's future, or None
    limits : name of a simpler model -> this model's parameters at which it is that one, given the simpler
        model's parameters: (parameters) -> parameters. So a fit can tell that it missed a better one
    reference : paper
    """

    name: str
    family: Literal["purchases", "spend"]
    parameters: tuple[Parameter, ...]
    log_likelihood: LogLikelihood
    quantities: tuple[str, ...] = ()
    formulas: Mapping[str, Formula] = field(default_factory=dict)
    simulate: Callable[..., Any] | None = None
    kernel: str | None = None
    limits: Mapping[str, Callable[[Mapping[str, float]], dict[str, float]]] = field(default_factory=dict)
    reference: str = ""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Letters of the parameters, in the paper's order."""
        return tuple(parameter.name for parameter in self.parameters)

    def at(self, values: Mapping[str, float]) -> dict[str, np.float64]:
        """Parameter values in the paper's order."""
        return {name: np.float64(values[name]) for name in self.parameter_names}
