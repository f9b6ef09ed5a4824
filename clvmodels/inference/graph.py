"""The same target on a PyTensor graph, for gradients and NUTS.

Where all customers share their parameters, everything that comes from the data is a variable of the graph,
so that one compilation serves every data set and every prior of a model.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad

from clvmodels.foundation.ops import DOUBLINGS, Step
from clvmodels.foundation.patterns import Levels, Pairs, Patterns, PurchasePatterns, Varying
from clvmodels.foundation.priors import HALF_LOG_TWO_PI, HalfNormal
from clvmodels.inference.optimise import Mode
from clvmodels.inference.pooling import axes_of, base_on_levels
from clvmodels.inference.target import Target


class TensorOps:
    """`foundation.ops.Ops` on PyTensor."""

    exp = staticmethod(pt.exp)
    log = staticmethod(pt.log)
    log1p = staticmethod(pt.log1p)
    expm1 = staticmethod(pt.expm1)
    gammaln = staticmethod(pt.gammaln)
    logaddexp = staticmethod(pt.logaddexp)
    softplus = staticmethod(pt.softplus)
    where = staticmethod(pt.where)
    maximum = staticmethod(pt.maximum)
    held = staticmethod(disconnected_grad)

    @staticmethod
    def arange(size: Any) -> Any:
        """0, 1, ..., size - 1."""
        return pt.arange(size).astype("float64")

    @staticmethod
    def cumsum(x: Any) -> Any:
        """Running sums along the last axis."""
        return pt.cumsum(x, axis=-1)

    @staticmethod
    def betaln(x: Any, y: Any) -> Any:
        """log B(x, y)."""
        return pt.gammaln(x) + pt.gammaln(y) - pt.gammaln(x + y)

    @staticmethod
    def backward(step: Step, last: Any, *, at: Sequence[Any], line: Any) -> list[Any]:
        """Rows of lines y with y_k = step(k, y_k+1), as on NumPy, for steps that are straight in y.

        By doubling: y_k = f_k + s_k y_k+1 = (f_k + s_k f_k+1) + s_k s_k+1 y_k+2, and so on. PyMC does not compile a
        loop over its data.
        """
        size = pt.max(pt.stack([pt.max(places) for places in at])) + 1
        k = pt.arange(size).astype("float64")[:, None]
        beyond = pt.zeros((1, last.shape[0]))
        free, slope = step(k, 0.0 * last), step(k, 0.0 * last + 1.0)
        y, slope = pt.concatenate([free, beyond]), pt.concatenate([slope - free, beyond])
        for doubling in range(DOUBLINGS):
            ahead = pt.minimum(pt.arange(size + 1) + 2**doubling, size)
            y, slope = y + slope * y[ahead], slope * slope[ahead]
        return [y[places, line] for places in at]


TENSOR_OPS = TensorOps()
BASE = "base"  # the unknowns of a graph with groups
PAIRED = ("recency", "T")  # columns whose distinct pairs with frequency a likelihood may read


def graph_data(target: Target, mode: Mode) -> dict[str, Any]:
    """What a graph takes from the data and the priors, by name."""
    assert target.normal_priors is not None
    mean, sd = target.normal_priors
    columns: dict[str, Any] = {}
    for column in fields(target.patterns):
        values = getattr(target.patterns, column.name)
        if isinstance(values, Levels):
            columns[f"{column.name}_values"], columns[f"{column.name}_index"] = values.values, values.index
        elif isinstance(values, np.ndarray):
            columns[column.name] = values
    if isinstance(target.patterns, PurchasePatterns):
        for name in PAIRED:
            pairs = getattr(target.patterns, name).pairs_with(target.patterns.frequency.index)
            columns |= {f"{name}_pairs_{part}": getattr(pairs, part) for part in ("value", "cell", "index")}
    return {"centre": mode.phi, "root": mode.root, "prior_mean": mean, "prior_sd": sd, **columns}


def pymc_model(target: Target, mode: Mode) -> pm.Model:
    """The target as a PyMC model over z, with unknowns phi = mode + L z and L L' the inverse curvature.

    Near the mode z is standard normal, so that the sampler needs no long tuning. The density of z is that of
    phi up to a constant.

    Groups add, for each parameter that is pooled and each of its columns, the standard deviation tau between
    groups. The levels in phi are those at a typical tau_0, which `pooling` makes those at tau; the base follows
    them, so that z stays near standard normal at any tau.
    """
    data = graph_data(target, mode)
    with pm.Model() as graph:
        given = {name: pm.Data(name, value) for name, value in data.items()} if target.one_graph else data
        z = pm.Flat("z", shape=target.size, initval=np.zeros(target.size))
        phi = given["centre"] + pt.sum(given["root"] * z, axis=1)  # L z; as pt.dot its first compilation takes 30 s
        levels = {pooled: _levels(target, mode, pooled, phi) for pooled in target.levels}
        if levels:
            phi = _base(target, mode, phi, levels)
        parameters = _parameters(target, phi, levels)
        patterns = _symbolic(target.patterns, given) if target.one_graph else target.patterns
        rows = target.model.log_likelihood(parameters, patterns, TENSOR_OPS)
        pm.Potential("log_likelihood", pt.sum(rows * given["n_customers"]))
        mean, sd = given["prior_mean"], given["prior_sd"]
        pm.Potential("log_prior", _log_normal(phi, mean[: len(target.names)], sd[: len(target.names)]))
    return graph


def _log_normal(values: Any, mean: Any, sd: Any) -> Any:
    return -pt.sum(((values - mean) / sd) ** 2 / 2 + pt.log(sd) + HALF_LOG_TWO_PI)


def _parameters(target: Target, phi: Any, levels: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Parameters of the graph: scalars, or values by cell with the cells of the patterns."""
    design = target.design
    if design is None:
        return {p.name: p.natural(phi[i], TENSOR_OPS) for i, p in enumerate(target.model.parameters)}
    parameters: dict[str, Any] = {}
    for place, parameter in enumerate(target.model.parameters):
        name = parameter.name
        if parameter.common:
            parameters[name] = parameter.natural(phi[place], TENSOR_OPS)
            continue
        eta = phi[place] + pt.zeros(design.size)
        if name in target.coefficients:
            eta += pt.sum(design.columns[name] * phi[target.coefficients[name]], axis=1)
        for column in target.effects.groups.get(name, ()):
            eta += levels[name, column][design.groups[column]]
        parameters[name] = Varying(parameter.natural(eta, TENSOR_OPS), design.cell)
    return parameters


def _levels(target: Target, mode: Mode, pooled: tuple[str, str], phi: Any) -> Any:
    """Level of each group against the base, in unknowns of the parameter, kept under a name of its own."""
    prior = target.priors[f"{pooled[0]}_group_sd"]
    assert isinstance(prior, HalfNormal)
    tau = pm.HalfNormal(target.effects.sd_name(*pooled), prior.sd)
    axes, typical = axes_of(target, mode, pooled), target.typical_group_sd(pooled[0])
    along = pt.sum(axes.turn.T * phi[target.levels[pooled]], axis=1) - axes.middle
    narrower = (axes.known + typical**-2) / (axes.known + tau**-2)  # variance at tau against that at tau_0
    levels = pt.sum(axes.turn * (axes.middle * narrower + along * pt.sqrt(narrower)), axis=1)
    name = levels_name(*pooled)
    jacobian = pt.sum(pt.log(narrower)) / 2
    pm.Potential(f"log_prior_{name}", _log_normal(levels, 0.0, tau + pt.zeros(len(axes.known))) + jacobian)
    return pm.Deterministic(name, levels)


def _base(target: Target, mode: Mode, phi: Any, levels: dict[tuple[str, str], Any]) -> Any:
    """The unknowns without the levels, as they follow the levels that tau has moved; kept under the name BASE."""
    slopes, first = base_on_levels(target, mode), len(target.names)
    base = phi[:first]
    for pooled, places in target.levels.items():
        here = slice(places.start - first, places.stop - first)
        base += pt.sum(slopes[:, here] * (levels[pooled] - phi[places]), axis=1)
    return pm.Deterministic(BASE, base)


def levels_name(parameter: str, column: str) -> str:
    """The graph's variable with the level of each group."""
    return f"{parameter}_levels_{column}"


def _symbolic(patterns: Patterns, given: dict[str, Any]) -> Patterns:
    """The patterns with variables of the graph in place of arrays."""
    columns: dict[str, Any] = {
        column.name: Levels(given[f"{column.name}_values"], given[f"{column.name}_index"])
        if f"{column.name}_values" in given
        else given[column.name]
        for column in fields(patterns)
        if f"{column.name}_values" in given or column.name in given
    }
    symbolic = replace(patterns, **columns)
    if isinstance(symbolic, PurchasePatterns):
        for name in PAIRED:
            index = symbolic.frequency.index
            value, cell, pair = (given[f"{name}_pairs_{part}"] for part in ("value", "cell", "index"))
            getattr(symbolic, name).remember(Pairs(value, cell, pair, index))
    return symbolic
