"""The posterior by the no-U-turn sampler, through PyMC's graph and nutpie; slow to import."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import nutpie

from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.inference.graph import BASE, graph_data, levels_name, pymc_model
from clvmodels.inference.optimise import Mode
from clvmodels.inference.target import Target

CHAINS = 4
TUNE, TUNE_GROUPS = 300, 500  # standard deviations between groups need a longer tuning,
ACCEPT, ACCEPT_GROUPS = 0.8, 0.85  # somewhat shorter steps,
THIN_GROUPS = 2  # and more draws, of which one in two is kept: R-hat is the worst of hundreds of numbers
COMPILED: dict[str, tuple[Model, Any]] = {}  # one graph a model: it is compiled once in a process


@dataclass(frozen=True)
class NutsSample:
    """What the sampler returns.

    Attributes
    ----------
    phi : ndarray, shape (chain, draw, U), the unknowns without the levels of groups
    group_sd : (parameter, grouping column) -> ndarray, shape (chain, draw), standard deviation between groups
    group_levels : (parameter, grouping column) -> ndarray, shape (chain, draw, G), level of each group against the
        base, in unknowns of the parameter
    divergences, energy : of the sampler
    """

    phi: FloatArray
    group_sd: dict[tuple[str, str], FloatArray]
    group_levels: dict[tuple[str, str], FloatArray]
    divergences: int
    energy: FloatArray


def sample_nuts(target: Target, mode: Mode, draws: int, seed: int) -> NutsSample:
    """`draws` draws over 4 chains, after their tuning."""
    grouped = bool(target.effects.groups)
    thin = THIN_GROUPS if grouped else 1
    tree = nutpie.sample(
        _compiled(target, mode),
        draws=-(-draws // CHAINS) * thin,
        tune=TUNE_GROUPS if grouped else TUNE,
        target_accept=ACCEPT_GROUPS if grouped else ACCEPT,
        chains=CHAINS,
        seed=seed,
        progress_bar=False,
        cores=min(CHAINS, os.cpu_count() or 1),
    )
    stats, posterior = tree["sample_stats"], tree["posterior"].isel(draw=slice(None, None, thin))
    pooled, sd_name = target.effects.pooled, target.effects.sd_name
    return NutsSample(
        posterior[BASE].values if grouped else mode.phi + posterior["z"].values @ mode.root.T,
        {pair: posterior[sd_name(*pair)].values for pair in pooled},
        {pair: posterior[levels_name(*pair)].values for pair in pooled},
        int(stats["diverging"].values.sum()),
        np.asarray(stats["energy"].values),
    )


def _compiled(target: Target, mode: Mode) -> Any:
    """The compiled graph with these data; a graph that serves all data is compiled once a process."""
    if not target.one_graph:
        return nutpie.compile_pymc_model(pymc_model(target, mode))
    name = f"{target.model.name} {getattr(target.patterns, 'exact', '')}"  # a graph has one of two kinds of losses
    if name not in COMPILED or COMPILED[name][0] is not target.model:
        COMPILED[name] = target.model, nutpie.compile_pymc_model(pymc_model(target, mode))
    compiled = COMPILED[name][1]
    used = {variable.name for variable in compiled.shared_var_keys}  # NBD does not read recency
    return compiled.with_data(**{key: value for key, value in graph_data(target, mode).items() if key in used})
