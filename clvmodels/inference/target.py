"""The target that mle, laplace and nuts read: log likelihood of counted patterns plus log prior.

Every parameter works as an unknown on the whole line: a positive one as its logarithm (`Parameter`). The
unknowns phi, shape (S, U), are

    those of the parameters of an average customer, in the paper's order; for each parameter with covariates
    the coefficients of its standardised columns; for each parameter and each of its grouping columns the level
    of each group against the base, at a typical standard deviation between groups (`graph` learns it).

Since a customer's likelihood reads nothing but that customer's own parameters, derivatives by any number
of coefficients follow from those by the parameters' unknowns (`optimise`).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np

from clvmodels.foundation.effects import Effects
from clvmodels.foundation.model import DataScale, Draws, Model
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import FloatArray, IntArray, Patterns, Varying
from clvmodels.foundation.priors import HALF_LOG_TWO_PI, HalfNormal, OneOf, Prior

CHUNK_ROWS = 2**13  # patterns that a thread reads at a time
CHUNK_CELLS = 2**16  # draws x patterns at a time: arrays of 512 KB, long enough for NumPy, most of them in the cache
KEPT_BYTES = 2**25 - 2**13  # just below the largest block that the C library of Linux lets decide what it keeps


@dataclass(frozen=True)
class Design:
    """Cells of patterns alike in covariates and groups, and the standardised columns of each parameter.

    Attributes
    ----------
    cell : ndarray, shape (K,), the cell of each pattern
    columns : parameter -> ndarray, shape (C, Q), sign x (z - centre) / scale
    groups : grouping column -> ndarray, shape (C,), the place of the cell's group among the labels
    size : number of cells C
    """

    cell: IntArray
    columns: Mapping[str, FloatArray]
    groups: Mapping[str, IntArray]
    size: int


@dataclass(frozen=True)
class Target:
    """A model, its data and its priors; without priors the target is the likelihood.

    Attributes
    ----------
    scale : typical time and money of the data, for starts and default priors
    priors : by parameter; "gamma_alpha" is of the standardised coefficients of alpha, "alpha_group_sd" of
        the standard deviation between groups, of each grouping column alike
    effects, design : how parameters differ over customers; no design, if they do not
    """

    model: Model
    patterns: Patterns
    scale: DataScale
    priors: Mapping[str, Prior]
    effects: Effects = field(default_factory=Effects)
    design: Design | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The unknowns without the levels of groups: "alpha", "gamma_alpha[age]"."""
        columns = self.effects.covariates
        coefficients = [f"gamma_{name}[{column.name}]" for name in columns for column in columns[name]]
        return (*self.model.parameter_names, *coefficients)

    @property
    def coefficients(self) -> dict[str, slice]:
        """Where the coefficients of each parameter stand among the unknowns."""
        places, first = {}, len(self.model.parameters)
        for name, columns in self.effects.covariates.items():
            places[name] = slice(first, first + len(columns))
            first += len(columns)
        return places

    @property
    def levels(self) -> dict[tuple[str, str], slice]:
        """Where the levels of each parameter's groups in each of its columns stand among the unknowns."""
        places, first = {}, len(self.names)
        for name, column in self.effects.pooled:
            places[name, column] = slice(first, first + len(self.effects.labels[column]))
            first += len(self.effects.labels[column])
        return places

    @property
    def size(self) -> int:
        """Number of unknowns U."""
        return len(self.names) + sum(int(places.stop - places.start) for places in self.levels.values())

    @property
    def starts(self) -> FloatArray:
        """Centres of the default priors as phi, shape (U,): where a search may begin."""
        defaults = [p.default_prior(self.scale) for p in self.model.parameters]
        centres = [prior.normal[0] for prior in defaults if not isinstance(prior, OneOf)]
        return np.array(centres + [0.0] * (self.size - len(centres)))

    @cached_property
    def normal_priors(self) -> tuple[FloatArray, FloatArray] | None:
        """Means and standard deviations of the unknowns, each shape (U,): their priors are normal."""
        if not self.priors:
            return None
        names = [*self.model.parameter_names]
        names += [f"gamma_{name}" for name, columns in self.effects.covariates.items() for _ in columns]
        chosen = (self.priors[name] for name in names)
        priors = [prior for prior in chosen if not isinstance(prior, HalfNormal | OneOf)]
        mean, sd = np.zeros(self.size), np.empty(self.size)
        mean[: len(names)], sd[: len(names)] = np.array([prior.normal for prior in priors]).T
        for (name, _), places in self.levels.items():
            sd[places] = self.typical_group_sd(name)
        return mean, sd

    def typical_group_sd(self, name: str) -> float:
        """The median of the prior of the standard deviation between groups."""
        prior = self.priors[f"{name}_group_sd"]
        assert isinstance(prior, HalfNormal)
        return 0.6745 * prior.sd

    @property
    def without_effects(self) -> "Target":
        """The same data and priors with one set of parameters for all."""
        return Target(self.model, self.patterns, self.scale, self.priors)

    @property
    def one_graph(self) -> bool:
        """Whether a graph of this target serves all data: it has no cells, and its model no calendar to look up in.

        With cells it could, as data of the graph; but then its first compilation takes 24 s in place of 6, and a step
        a quarter longer, so that only from the sixth fit of its form on there would be a gain.
        """
        return self.design is None and self.model.timetable is None

    @cached_property
    def chunks(self) -> tuple["Chunk", ...]:
        """The patterns in parts that are read one after the other, or by several threads."""
        starts = range(0, len(self.patterns), CHUNK_ROWS)
        if len(starts) == 1:
            return (Chunk(self.patterns, None if self.design is None else self.design.cell),)
        cell = None if self.design is None else self.design.cell
        slices = [slice(start, start + CHUNK_ROWS) for start in starts]
        return tuple(Chunk(self.patterns.take(rows), None if cell is None else cell[rows]) for rows in slices)


@dataclass(frozen=True)
class Chunk:
    """Some of the patterns with their cells, or no cells where all share their parameters."""

    patterns: Patterns
    cell: IntArray | None

    def take(self, rows: slice) -> tuple["Chunk", IntArray]:
        """Some of the patterns, with their cells numbered anew from 0; and those cells, shape (C,)."""
        if self.cell is None:
            return Chunk(self.patterns.take(rows), None), np.zeros(1, dtype=np.int64)
        cells, cell = np.unique(self.cell[rows], return_inverse=True)
        return Chunk(self.patterns.take(rows), cell), cells


Reduction = Callable[[Chunk, FloatArray, int], FloatArray]  # rows (S, K) of a chunk, cells C -> what is kept


def unknowns_by_cell(target: Target, phi: FloatArray) -> FloatArray:
    """The parameters' unknowns of each cell, shape (S, C, P)."""
    cells = 1 if target.design is None else target.design.size
    size = len(target.model.parameters)
    eta = np.repeat(phi[:, None, :size], cells, axis=1)
    for name, places in target.coefficients.items():
        assert target.design is not None
        eta[:, :, target.model.parameter_names.index(name)] += phi[:, places] @ target.design.columns[name].T
    for (name, column), places in target.levels.items():
        assert target.design is not None
        eta[:, :, target.model.parameter_names.index(name)] += phi[:, places][:, target.design.groups[column]]
    return eta


def chunk_log_likelihood(model: Model, chunk: Chunk, eta: FloatArray) -> FloatArray:
    """Log likelihood of one customer of each pattern of the chunk, shape (S, K); eta has shape (S, C, P)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far from the mode: set to -inf below
        theta = model.natural(eta)
        parameters: Draws = {
            parameter.name: theta[:, :1, i]
            if chunk.cell is None or parameter.common
            else Varying(theta[:, :, i], chunk.cell)
            for i, parameter in enumerate(model.parameters)
        }
        values = model.log_likelihood(parameters, chunk.patterns, NUMPY_OPS)
    values[np.isnan(values)] = -np.inf
    return np.asarray(values)


def total_log_likelihood(target: Target, eta: FloatArray) -> FloatArray:
    """Log likelihood of all customers at each draw, shape (S,); eta has shape (S, C, P)."""
    total = np.zeros(len(eta))
    for draws, of_chunk in _over_chunks(target, eta, _total):
        total[draws] += of_chunk
    return total


def log_likelihood_by_cell(target: Target, eta: FloatArray) -> FloatArray:
    """Log likelihood of the customers of each cell at each draw, shape (S, C); eta has shape (S, C, P)."""
    by_cell = np.zeros(eta.shape[:2])
    for draws, of_chunk in _over_chunks(target, eta, _by_cell):
        by_cell[draws] += of_chunk
    return by_cell


def log_prior(target: Target, phi: FloatArray) -> FloatArray:
    """Log prior density of phi, shape (S,); 0 for a target without priors."""
    if target.normal_priors is None:
        return np.zeros(len(phi))
    mean, sd = target.normal_priors
    return np.asarray(-np.sum(((phi - mean) / sd) ** 2 / 2 + np.log(sd) + HALF_LOG_TWO_PI, axis=1))


def log_density(target: Target, phi: FloatArray) -> FloatArray:
    """Log posterior density of phi up to a constant, shape (S,); the log likelihood if there are no priors."""
    step = max(1, CHUNK_CELLS * 64 // max(1, 1 if target.design is None else target.design.size))
    parts = [
        total_log_likelihood(target, unknowns_by_cell(target, phi[first : first + step]))
        for first in range(0, len(phi), step)
    ]
    return np.concatenate(parts) + log_prior(target, phi)


def _total(chunk: Chunk, values: FloatArray, _cells: int) -> FloatArray:
    # Not by BLAS, whose threads stand in the way of ours, and whose sums depend on their number.
    return np.asarray((values * chunk.patterns.n_customers).sum(axis=1))


def _by_cell(chunk: Chunk, values: FloatArray, cells: int) -> FloatArray:
    if chunk.cell is None:
        return _total(chunk, values, cells)[:, None]
    weighted = values * chunk.patterns.n_customers
    return np.stack([np.bincount(chunk.cell, weights=row, minlength=cells) for row in weighted])


def _over_chunks(target: Target, eta: FloatArray, reduce: Reduction) -> Iterator[tuple[slice, FloatArray]]:
    """What `reduce` makes of each chunk at some draws, in a fixed order; n_customers is applied there alone."""
    _keep_freed_memory()

    def work(job: tuple[Chunk, slice]) -> tuple[slice, FloatArray]:
        chunk, draws = job
        return draws, reduce(chunk, chunk_log_likelihood(target.model, chunk, eta[draws]), eta.shape[1])

    jobs = []
    for chunk in target.chunks:
        step = max(1, CHUNK_CELLS // len(chunk.patterns))
        jobs += [(chunk, slice(first, first + step)) for first in range(0, len(eta), step)]
    if len(jobs) < 4:
        yield from map(work, jobs)
        return
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(work, jobs)


@cache
def _keep_freed_memory() -> None:
    """Have the C library keep freed blocks for the next array in place of handing them back to the system.

    On Linux it keeps as much as the largest mapped block that was ever freed. Without one, each intermediate
    array of a likelihood is new memory that the system must clear: half of the time of a likelihood on CDNOW.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)  # mapped and freed at once; never touched, so it takes no memory
