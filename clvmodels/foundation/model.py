"""The record that describes a model; a model file fills one, every other floor reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy import special

from clvmodels.foundation.calendar import Timetable
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import FisherNormal, LogitNormal, LogNormal, Normal, OneOf, ParameterPrior

Dimension = Literal["number", "time", "rate", "money"]
Support = Literal["positive", "real", "correlation", "probability", "whole"]
Clock = Literal["continuous", "opportunities"]
Draws = Mapping[str, Any]  # parameter name -> float, (S, 1) array or graph variable
LogLikelihood = Callable[[Draws, Any, Ops], Any]
Formula = Callable[..., FloatArray]
Observed = Literal["purchases", "mean_spend", "amounts", "purchases_and_amounts", "time_to_loss"]
Family = Literal["purchases", "spend", "retention"]
Baskets = Literal["repeat", "all"]

PURCHASE_HISTORY = ("frequency", "recency", "T")
SPEND_HISTORY = ("spend_purchases", "spend_mean")
EXPECTATIONS = (  # quantities named like their formula
    "p_alive",
    "expected_purchases",
    "dert",
    "expected_spend",
    "survival",
    "retention_rate",
    "p_active",
    "residual_lifetime",
    "derl",
)
RETENTION_HISTORY = ("age",)
CHURN = "churn"  # what the terms of a calendar act on in a model of retention: the hazard of leaving
PAID_SPEND_HISTORY = ("paid_spend_purchases", "paid_spend_mean")
LOG_SPEND_HISTORY = ("log_spend_purchases", "log_spend_mean")
# The history of a spend model -> the same where the first basket is among those that it learns from.
ALL_BASKETS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    SPEND_HISTORY: ("all_spend_purchases", "all_spend_mean"),
    PAID_SPEND_HISTORY: ("all_paid_purchases", "all_paid_mean"),
    LOG_SPEND_HISTORY: ("all_paid_purchases", "all_log_amount"),
}


@dataclass(frozen=True)
class Parameter:
    """A parameter: its letter in the paper, its dimension, its support, and its default prior.

    Inference works with an unknown on the whole line: the logarithm of a positive parameter, a real one as it
    is, log((1 + rho) / (1 - rho)) of a correlation, log(p / (1 - p)) of a probability. The default prior of the
    unknown is normal with standard deviation `prior_sd`, and its median is that of `prior_median` in units of the
    data's own scale of time or money, so that days or weeks, dollars or cents give the same inference.

    `covariates` says how covariates z act, by the model's standard proportional form: the parameter of a
    customer is that of the base times exp(covariates x gamma' z), with +1 or -1; at 0 it takes none.

    A counted parameter (support "whole") is one of `values`, each as likely as another by default, and the same
    for all customers. Inference takes the model at each of them (`Model.at_counts`) and weighs them by what the
    data say. A `common` one, such as the coefficient of a calendar's term, is the same for all customers too, and
    groups are not pooled over it.
    """

    name: str
    dimension: Dimension
    prior_median: float = 1.0
    prior_sd: float = 1.0
    covariates: Literal[-1, 0, 1] = 0
    support: Support = "positive"
    values: tuple[int, ...] = ()
    common: bool = False

    def default_prior(self, scale: "DataScale") -> ParameterPrior:
        """The default prior in the data's units."""
        if self.support == "positive":
            return LogNormal(self.prior_median * scale.of(self.dimension), self.prior_sd)
        if self.support == "whole":
            return OneOf(self.values)
        if self.support == "probability":
            return LogitNormal(self.prior_median, self.prior_sd)
        kind = Normal if self.support == "real" else FisherNormal
        return kind(self.prior_median, self.prior_sd)

    def natural(self, unknown: Any, ops: Ops) -> Any:
        """The parameter at an unknown."""
        if self.support == "positive":
            return ops.exp(unknown)
        if self.support == "probability":
            return 1 / (1 + ops.exp(-unknown))
        return unknown if self.support in ("real", "whole") else 1 - 2 / (1 + ops.exp(unknown))

    def unknown(self, value: FloatArray) -> FloatArray:
        """The unknown of a value of the parameter."""
        if self.support == "positive":
            return np.asarray(np.log(value))
        if self.support == "probability":
            return np.asarray(special.logit(value))
        return np.asarray(value if self.support in ("real", "whole") else 2 * np.arctanh(value))

    def slope(self, value: FloatArray) -> FloatArray:
        """The derivative of the parameter by its unknown."""
        if self.support == "positive":
            return value
        if self.support == "probability":
            return value * (1 - value)
        return np.ones_like(value) if self.support == "real" else (1 - value**2) / 2

    def holds(self, value: float) -> bool:
        """Whether the parameter can have that value."""
        return (
            bool(np.isfinite(value))
            and {
                "positive": value > 0,
                "real": True,
                "correlation": -1 < value < 1,
                "probability": 0 < value < 1,
                "whole": value in self.values,
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
    family : "purchases" (frequency, recency, T), "spend" (mean spend) or "retention" (how long customers stay)
    parameters : in the paper's order
    log_likelihood : (parameters, patterns, ops) -> log likelihood of each pattern, shape (..., K);
        parameters are floats, (S, 1) draws or graph variables, or `Varying` over the rows: the likelihood
        reads them through `Levels.map` and `at_rows`
    history : columns of a customer summary, or of a retention table, that formulas and kernel read, in the order of
        their arguments
    reads : further columns that the likelihood reads of each pattern, such as "log_interval"
    density_of : what the likelihood is the density of: a customer's purchase times, mean spend, all amounts, or how
        long they stayed.
        Densities of different things cannot be compared
    together_with : name of the model that shares its parameters and its draws, where purchases and spend are one
        model: forecasts of value take the two of one fit together, or neither
    value_formulas : the formulas of a purchase model with each customer's possible rates weighed by what a purchase
        is worth to them, where spend depends on the rates: E[purchases x spend] is the spend model's
        expected_spend x expected_purchases by these; None where spend is independent
    formulas : name -> formula; purchases: f(parameters, frequency, recency, T, ...), see the model's file
    simulate : the story of the model, customer by customer. Of purchases (rng, parameters, end) -> (buyer, time):
        end, shape (N,), is how long each customer is seen, in units of time; buyer and time, each shape (E,), are
        the position of the buyer and the time of each repeat purchase. Of spend (rng, parameters, frequency) -> the
        value of each purchase, customer by customer, shape (sum of frequency,). Of retention (rng, parameters, size) ->
        the age at which each of `size` customers is lost
    kernel : name of the module in `clvmodels.models.kernels` that draws a customer's future, or None
    methods : ways of fitting that it takes
    limits : name of a simpler model -> this model's parameters at which it is that one, given the simpler
        model's parameters: (parameters) -> parameters. So a fit can tell that it missed a better one
    clock : "continuous": purchases happen at any time, and a likelihood is a density per unit of time for each
        purchase; "opportunities": at whole units of time, at most one at each, and a likelihood is a chance. A loss
        likewise: at any time, or at one of the renewals
    on_calendar : what makes the model with the terms of a calendar, or None where it takes none
    terms_act_on : what those terms may act on, such as "alpha"
    timetable : the calendar that it was made with, and today's place in it
    baskets : of a spend model: the purchases that it learns from, "repeat" ones alone or "all", the first among them
    expand : (theta) -> theta as the kernel reads it, shape (..., P) to (..., more), or None for theta itself
    reference : paper
    """

    name: str
    family: Family
    parameters: tuple[Parameter, ...]
    log_likelihood: LogLikelihood
    history: tuple[str, ...] = PURCHASE_HISTORY
    reads: tuple[str, ...] = ()
    density_of: Observed = "purchases"
    formulas: Mapping[str, Formula] = field(default_factory=dict)
    simulate: Callable[..., Any] | None = None
    kernel: str | None = None
    methods: tuple[str, ...] = ("mle", "laplace", "nuts")
    limits: Mapping[str, Callable[[Mapping[str, float]], dict[str, float]]] = field(default_factory=dict)
    clock: Clock = "continuous"
    on_calendar: Callable[[Timetable], "Model"] | None = None
    terms_act_on: tuple[str, ...] = ()
    timetable: Timetable | None = None
    baskets: Baskets = "repeat"
    expand: Callable[[FloatArray], FloatArray] | None = None
    together_with: str = ""
    value_formulas: Mapping[str, Formula] | None = None
    reference: str = ""

    @property
    def quantities(self) -> tuple[str, ...]:
        """What `predict` offers: expectations that there is a formula of, and outcomes drawn by a kernel."""
        expectations = tuple(name for name in EXPECTATIONS if name in self.formulas)
        if self.family == "retention":
            return expectations
        drawn = self.kernel and not (self.family == "spend" and self.together_with)  # its amounts need drawn rates
        return (*expectations, self.family) if drawn else expectations

    @property
    def counted(self) -> Parameter | None:
        """The counted parameter, if there is one."""
        return next((parameter for parameter in self.parameters if parameter.support == "whole"), None)

    @property
    def on_all_baskets(self) -> "Model":
        """The same model of spend, which learns from the first basket as from the others."""
        return replace(self, baskets="all", history=ALL_BASKETS[self.history])

    @cached_property
    def at_counts(self) -> dict[int, "Model"]:
        """The model of the other parameters at each value of the counted one.

        They are for inference: a likelihood without formulas. At the least value the model may be a simpler one,
        so it keeps the limits.
        """
        assert self.counted is not None
        return {value: self._at_count(self.counted.name, value) for value in self.counted.values}

    def _at_count(self, name: str, value: int) -> "Model":
        def log_likelihood(parameters: Draws, patterns: Any, ops: Ops) -> Any:
            return self.log_likelihood({**parameters, name: value}, patterns, ops)

        def without(limit: Callable[[Mapping[str, float]], dict[str, float]]) -> Any:
            return lambda simpler: {key: number for key, number in limit(simpler).items() if key != name}

        assert self.counted is not None
        simplest = value == self.counted.values[0]
        return replace(
            self,
            name=f"{self.name} at {name} = {value}",
            parameters=tuple(parameter for parameter in self.parameters if parameter.name != name),
            log_likelihood=log_likelihood,
            formulas={},
            limits={key: without(limit) for key, limit in self.limits.items()} if simplest else {},
        )

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
            prior = priors[parameter.name]
            if isinstance(prior, OneOf):
                drawn[parameter.name] = float(rng.choice(prior.values))
                continue
            mean, sd = prior.normal
            drawn[parameter.name] = float(parameter.natural(np.float64(mean + sd * rng.normal()), NUMPY_OPS))
        return drawn

    def unknowns(self, theta: FloatArray) -> FloatArray:
        """Unknowns of parameters, both shape (..., P)."""
        return np.stack([p.unknown(theta[..., place]) for place, p in enumerate(self.parameters)], axis=-1)
