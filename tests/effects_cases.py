"""Customers whose parameters depend on covariates and groups, made up by the models' own stories."""

import numpy as np
import pandas as pd
from scipy import stats

import clvmodels as clv
from clvmodels.foundation.events import purchase_columns, spend_columns
from clvmodels.inference.optimise import find_mode
from clvmodels.inference.target import total_log_likelihood, unknowns_by_cell
from clvmodels.models import MODELS
from tests.graphs import as_written

PURCHASES = {
    "bg_nbd": {"r": 0.8, "alpha": 6.0, "a": 0.9, "b": 2.5},
    "nbd": {"r": 0.8, "alpha": 6.0},
    "pareto_nbd": {"r": 0.8, "alpha": 6.0, "s": 0.6, "beta": 12.0},
}
SPEND = {"p": 6.0, "q": 4.0, "v": 15.0}


def traits(size, *, seed):
    """A frame with an age, a channel and a region for each customer."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:05d}" for i in range(size)],
            "age": rng.normal(40.0, 10.0, size).round(),
            "channel": rng.choice(["web", "shop", "app"], size, p=[0.5, 0.3, 0.2]),
            "region": rng.choice(["north", "south", "west"], size, p=[0.6, 0.3, 0.1]),
        }
    )


def customers_of(frame, *, seed, model="bg_nbd", T=(20.0, 60.0), **parameters):
    """A summary of the frame's people: repeat purchases by a model, spend by Gamma-Gamma.

    `parameters` replace those of PURCHASES and SPEND, by number or by an array of the customers' own.
    """
    rng = np.random.default_rng(seed)
    size = len(frame)
    age = rng.uniform(*T, size)
    own = {name: np.broadcast_to(parameters.get(name, value), size) for name, value in PURCHASES[model].items()}
    buyer, time = MODELS[model].simulate(rng, own, age)
    repeats = purchase_columns(buyer, time, size)
    spend = {name: np.broadcast_to(parameters.get(name, value), size) for name, value in SPEND.items()}
    amounts = MODELS["gamma_gamma"].simulate(rng, spend, repeats["frequency"])
    buyer = np.repeat(np.arange(size), repeats["frequency"].astype(int))
    frame = frame.assign(T=age, **repeats, **spend_columns(buyer, amounts, size))
    covariates = [name for name in ("age", "channel") if name in frame]
    groups = [name for name in ("region", "channel") if name in frame]
    return clv.CustomerSummary.from_frame(frame, unit="week", covariates=covariates, groups=groups)


def densities_with_groups(target, sds):
    """log density of some z and standard deviations between groups: by the graph, and by its definition.

    The definition is that of base and levels, times how these stretch with z (by differences). `sds` has one of each
    grouping of `target.levels`; more are left.
    """
    from clvmodels.inference.graph import BASE, levels_name, pymc_model

    mode, size = find_mode(target), len(target.names)
    graph = pymc_model(target, mode)
    of_pooled = dict(zip(target.levels, sds, strict=False))
    levels = [levels_name(*pooled) for pooled in of_pooled]
    of_z = graph.replace_rvs_by_values([graph[key] for key in (BASE, *levels)])
    density, places = (
        graph.compile_logp(mode=as_written()),
        graph.compile_fn(of_z, inputs=graph.value_vars, mode=as_written()),
    )
    point = {f"{target.effects.sd_name(*pooled)}_log__": np.log(tau) for pooled, tau in of_pooled.items()}
    z = np.random.default_rng(2).normal(size=target.size)

    def unknowns(z):
        return np.concatenate(places({"z": z, **point}))  # base, coefficients, levels

    steps = 1e-5 * np.eye(target.size)
    stretch = np.array([unknowns(z + step) - unknowns(z - step) for step in steps]) / 2e-5
    phi = unknowns(z)
    expected = total_log_likelihood(target, unknowns_by_cell(target, phi[None]))[0]
    expected += np.linalg.slogdet(stretch)[1] - np.linalg.slogdet(mode.root)[1]
    mean, sd = target.normal_priors
    expected += stats.norm.logpdf(phi[:size], mean[:size], sd[:size]).sum()
    for pooled, tau in of_pooled.items():
        expected += stats.norm.logpdf(phi[target.levels[pooled]], 0.0, tau).sum()
        expected += stats.halfnorm.logpdf(tau, scale=target.priors[f"{pooled[0]}_group_sd"].sd) + np.log(tau)
    return float(density({"z": z, **point})), expected
