"""Revenue retention's graph on PyMC and its draws by nutpie; slow to import."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
from scipy.linalg import block_diag

from clvmodels.foundation.patterns import FloatArray
from clvmodels.inference.diagnostics import DIVERGENT_LIMIT
from clvmodels.inference.graph import TENSOR_OPS
from clvmodels.inference.triangle_target import SPREADS, Coordinates, PartTarget, coordinates

CHAINS = 4
TUNE = 600
ACCEPT = (0.95, 0.99)  # the second, of shorter steps, only where the first left too many divergences
THIN = 6  # one draw in six is kept: neighbours say nearly the same of a standard deviation that may be 0


@dataclass(frozen=True)
class TriangleSample:
    """What the sampler returns.

    Attributes
    ----------
    parameters : by part, theta, shape (chain, draw, Q)
    effects : by part, shape (chain, draw, Z), of which `PartTarget.bases` makes the predictor's
    divergences, energy : of the sampler
    thin : one draw in so many is to be kept
    """

    parameters: dict[str, FloatArray]
    effects: dict[str, FloatArray]
    divergences: int
    energy: FloatArray
    thin: int


def sample_triangle(targets: Sequence[PartTarget], draws: int, seed: int) -> TriangleSample:
    """`THIN` times `draws` draws over 4 chains, after their tuning."""
    scales = [coordinates(target) for target in targets]
    compiled = nutpie.compile_pymc_model(triangle_graph(targets, scales))
    tree = _sampled(compiled, draws, seed, ACCEPT[0])
    if tree["sample_stats"]["diverging"].values.mean() > DIVERGENT_LIMIT:
        tree = _sampled(compiled, draws, seed, ACCEPT[1])
    stats, posterior = tree["sample_stats"], tree["posterior"]
    parts = [_unknowns(*pair, posterior[f"{pair[0].part}_u"].values) for pair in zip(targets, scales, strict=True)]
    return TriangleSample(
        {target.part: theta for target, (theta, _) in zip(targets, parts, strict=True)},
        {target.part: effects for target, (_, effects) in zip(targets, parts, strict=True)},
        int(stats["diverging"].values.sum()),
        np.asarray(stats["energy"].values),
        THIN,
    )


def _sampled(compiled: Any, draws: int, seed: int, accept: float) -> Any:
    return nutpie.sample(
        compiled,
        draws=-(-draws // CHAINS) * THIN,
        tune=TUNE,
        target_accept=accept,
        chains=CHAINS,
        seed=seed,
        progress_bar=False,
        cores=min(CHAINS, os.cpu_count() or 1),
    )


def _unknowns(target: PartTarget, scale: Coordinates, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Parameters and effects at the sampler's coordinates."""
    x = scale.centre + u @ scale.root.T
    theta, w = x[..., : len(target.names)], x[..., len(target.names) :]
    return theta, w * np.exp(scale.share * theta[..., target.sd_of] + (1 - scale.share) * scale.log_sd)


def triangle_graph(targets: Sequence[PartTarget], scales: Sequence[Coordinates]) -> pm.Model:
    """The parts as a PyMC model over u, with (theta, w) = centre + L u.

    The data stand in it as constants: with 26 shared arrays numba takes 15 s to compile it, in place of 5.
    """
    with pm.Model() as graph:
        for target, scale in zip(targets, scales, strict=True):
            _add_part(target, scale)
    return graph


def _add_part(target: PartTarget, scale: Coordinates) -> None:
    """One part's unknowns, prior and likelihood."""
    count = len(target.names)
    u = pm.Flat(f"{target.part}_u", shape=target.n_unknowns, initval=np.zeros(target.n_unknowns))
    x = scale.centre + pt.sum(scale.root * u, axis=1)  # as pt.dot its first compilation takes long
    theta, w = x[:count], x[count:]
    beyond = theta[target.sd_of] - scale.log_sd  # log sd / sd_0
    effects = w * pt.exp(scale.log_sd + scale.share * beyond)
    every = pt.sum(block_diag(*target.bases.values()) * effects, axis=1)
    eta = pt.sum(target.line * theta, axis=1) + pt.sum(every[target.index], axis=1)
    spreads = tuple(pt.exp(theta[target.place(name)]) for name in SPREADS[target.part])
    pm.Potential(f"{target.part}_likelihood", pt.sum(target.log_likelihood(eta, spreads, TENSOR_OPS)))
    log_width = (1 - scale.share) * beyond
    pm.Potential(f"{target.part}_effects", -pt.sum(log_width + (w * pt.exp(-log_width)) ** 2 / 2))
    squares = pt.where(target.positive, pt.exp(2 * theta), 0.0)
    variance = target.prior_sd**2 + pt.sum(target.shift * squares, axis=1)
    half_normal = theta - squares / variance / 2  # of exp(theta), with its Jacobian
    normal = -((theta - target.prior_mean) ** 2) / variance / 2 - pt.log(variance) / 2
    pm.Potential(f"{target.part}_prior", pt.sum(pt.where(target.positive, half_normal, normal)))
