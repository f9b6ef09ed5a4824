"""The posterior by the no-U-turn sampler, through PyMC's graph and nutpie; slow to import."""

from dataclasses import dataclass

import numpy as np
import nutpie

from clvmodels.foundation.patterns import FloatArray
from clvmodels.inference.graph import pymc_model
from clvmodels.inference.optimise import Mode
from clvmodels.inference.target import Target

CHAINS = 4
TUNE = 300


@dataclass(frozen=True)
class NutsSample:
    """Draws on the natural scale by parameter, shape (chain, draw), and what the sampler says of itself."""

    draws: dict[str, FloatArray]
    divergences: int
    energy: FloatArray


def sample_nuts(target: Target, mode: Mode, draws: int, seed: int) -> NutsSample:
    """`draws` draws over 4 chains, after 300 steps of tuning each."""
    compiled = nutpie.compile_pymc_model(pymc_model(target, mode))
    tree = nutpie.sample(
        compiled,
        draws=-(-draws // CHAINS),
        tune=TUNE,
        chains=CHAINS,
        seed=seed,
        progress_bar=False,
        cores=2,
    )
    stats = tree["sample_stats"]
    eta = mode.eta + np.asarray(tree["posterior"]["z"].values) @ mode.root.T
    return NutsSample(
        {name: np.exp(eta[..., i]) for i, name in enumerate(target.model.parameter_names)},
        int(stats["diverging"].values.sum()),
        np.asarray(stats["energy"].values),
    )
