"""BG/BB learnt from numbers of purchases alone."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from clvmodels.foundation.effects import Effects, cells_of
from clvmodels.foundation.priors import Prior
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference.annealed import annealed_sample
from clvmodels.inference.fitting import (
    data_scale,
    kept,
    learnt,
    priors_for,
    refuse_arguments,
    refuse_method,
    require_readable,
)
from clvmodels.inference.likelihood import patterns_of
from clvmodels.inference.natural import Problem
from clvmodels.inference.optimise import find_mode
from clvmodels.inference.result import Fit
from clvmodels.inference.target import Target
from clvmodels.models.bg_bb_counts import BG_BB_COUNTS


def fit_counts(
    customers: CustomerSummary,
    *,
    method: str = "laplace",
    draws: int = 2000,
    seed: int | None = None,
    priors: Mapping[str, Prior] | None = None,
) -> Fit:
    """The parameters of BG/BB, learnt from how many of their opportunities customers took.

    Parameters
    ----------
    customers : summary; frequency and T are read, whole numbers. Its recency is not read
    method : "laplace" (posterior by importance resampling) or "mle"
    draws, seed, priors : as in `fit`

    Raises
    ------
    FitError
        If the method or a prior is unknown, the seed is missing, or no mode is found.
    DataError
        If there is too little to learn from, or times are not whole.

    Notes
    -----
    Numbers say little of drop-out: customers who are all alike in it leave nearly the counts of customers who differ,
    and where alpha and beta are small the likelihood may have no maximum. So the prior of gamma and delta tells much of
    how many go on, and their posterior is long, thin and bent: `annealed_sample` proposes for "laplace".
    """
    refuse_arguments(method, draws, seed)
    refuse_method(BG_BB_COUNTS, method)
    require_readable(BG_BB_COUNTS, customers)
    alike = replace(customers, recency=customers.frequency)  # so that those with one number are one pattern
    effects = Effects()
    cells = cells_of(effects, alike)
    patterns, _ = patterns_of(BG_BB_COUNTS, alike, cells)
    scale = data_scale(patterns)
    chosen = {} if method == "mle" else priors_for(BG_BB_COUNTS, scale, effects, priors or {})
    problem = Problem(Target(BG_BB_COUNTS, patterns, scale, chosen, effects), alike, cells)
    if method == "mle":
        return learnt(problem, method, draws, seed)
    rng = np.random.default_rng(seed)
    return kept(problem, find_mode(problem.target), annealed_sample(problem.target, draws, rng), draws, rng)
