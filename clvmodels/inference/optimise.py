"""The mode of a target, with a certificate: Newton decrement and a positive definite Hessian.

Derivatives by the unknowns of each cell of customers are central differences, 2 P points for the
gradient and 4 P (P + 1) / 2 for the Hessian. Those by the unknowns follow by the chain rule, so that more
coefficients cost no more evaluations of the likelihood.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.results import Check
from clvmodels.inference.target import Target, log_density, log_likelihood_by_cell, unknowns_by_cell

DECREMENT_LIMIT = 1e-6  # expected gain in log density of one more Newton step
SCREENED_STARTS = 32
NEWTON_STEPS = 20
LARGEST_ERROR = 20.0  # standard error of a log parameter or a coefficient: beyond it the likelihood has no maximum
GRADIENT_WIDTH, HESSIAN_WIDTH = 1e-4, 2e-3  # steps of the differences, in the parameters' unknowns


@dataclass(frozen=True)
class Mode:
    """Where a target is highest.

    Attributes
    ----------
    phi : ndarray, shape (U,), the unknowns
    log_density : at phi
    precision : ndarray, shape (U, U), minus the Hessian at phi; positive definite
    decrement : half g' H^-1 g, the gain that a further Newton step would bring
    """

    phi: FloatArray
    log_density: float
    precision: FloatArray
    decrement: float

    @property
    def covariance(self) -> FloatArray:
        """H^-1, shape (U, U)."""
        inverse = linalg.inv(self.precision)
        return (inverse + inverse.T) / 2

    @property
    def root(self) -> FloatArray:
        """L with L L' the covariance, lower triangular."""
        return np.asarray(linalg.cholesky(self.covariance, lower=True))

    @property
    def checks(self) -> tuple[Check, ...]:
        """The certificate as diagnostics."""
        smallest = float(linalg.eigvalsh(self.precision)[0])
        return (
            Check("newton_decrement", self.decrement, DECREMENT_LIMIT, self.decrement <= DECREMENT_LIMIT),
            Check("smallest_curvature", smallest, 0.0, smallest > 0),
        )


def find_mode(target: Target, start: FloatArray | None = None) -> Mode:
    """The mode, from the best of several starts (or from `start`), polished by Newton steps.

    With covariates the search begins at the mode without them, so that it cannot end below it.

    Raises
    ------
    FitError
        If no start leads to a point with a positive definite curvature.
    """
    if start is None:
        start = _best_start(target) if target.design is None else _start_without_effects(target)
    phi = _search(target, start)
    step, mode = _newton_step(target, phi)
    for _ in range(NEWTON_STEPS):
        if mode.decrement <= DECREMENT_LIMIT / 100:
            break
        phi = _accept(target, phi, step)
        step, mode = _newton_step(target, phi)
    if not target.priors and np.sqrt(np.diag(mode.covariance)).max() > LARGEST_ERROR:
        raise _not_identified(target, phi, gradient(target, phi))
    return mode


def _newton_step(target: Target, phi: FloatArray) -> tuple[FloatArray, Mode]:
    """The step from phi to where a parabola is highest, and phi as a mode with what that step would gain."""
    with np.errstate(invalid="ignore"):  # the search may have ended next to where the density is 0
        slope, precision = gradient(target, phi), _precision(target, phi)
    if not np.isfinite(precision).all() or not _is_definite(precision):
        raise _not_identified(target, phi, slope)
    step = np.asarray(linalg.solve(precision, slope, assume_a="pos"))
    here = float(log_density(target, phi[None])[0])
    return step, Mode(phi, here, precision, float(slope @ step) / 2)


def _is_definite(precision: FloatArray) -> bool:
    """Whether the curvature is above 0 in every direction, by more than rounding."""
    values = linalg.eigvalsh(precision)
    return bool(values[0] > np.finfo(np.float64).eps * values[-1])


def _best_start(target: Target) -> FloatArray:
    """The best of a fixed, space-filling set of points of the default priors."""
    widths = [parameter.prior_sd for parameter in target.model.parameters]
    points = target.starts + widths * special.ndtri(_space_filling(SCREENED_STARTS, len(target.starts)))
    return np.asarray(points[np.argmax(log_density(target, points))])


def _space_filling(size: int, dimensions: int) -> FloatArray:
    """Points of the unit cube, shape (size, dimensions): multiples of powers of 1 / phi, phi^(d + 1) = phi + 1."""
    phi = optimize.brentq(lambda phi: phi ** (dimensions + 1) - phi - 1, 1.0, 2.0)
    return np.outer(np.arange(1, size + 1), phi ** -np.arange(1.0, dimensions + 1)) % 1.0


def _start_without_effects(target: Target) -> FloatArray:
    """The mode without covariates, with coefficients 0."""
    plain = find_mode(target.without_effects).phi
    return np.concatenate([plain, np.zeros(target.size - len(plain))])


def _search(target: Target, start: FloatArray) -> FloatArray:
    """BFGS on the mean log density a customer, so that steps mean the same for any number of customers."""
    customers = target.patterns.n_customers.sum()

    def loss(phi: FloatArray) -> float:
        return -float(log_density(target, phi[None])[0]) / customers

    def slope(phi: FloatArray) -> FloatArray:
        return np.nan_to_num(-gradient(target, phi) / customers)

    with np.errstate(invalid="ignore", over="ignore"):  # a trial step may lead where the density is 0: it is not taken
        found = optimize.minimize(
            loss,
            start,
            jac=slope,
            method="BFGS",
            options={"gtol": 1e-6, "maxiter": 200},
        )
    return np.asarray(found.x)


def _accept(target: Target, phi: FloatArray, step: FloatArray) -> FloatArray:
    """phi plus the step, halved until the density does not fall."""
    here = log_density(target, phi[None])[0]
    for halving in range(12):
        there = phi + step / 2**halving
        if log_density(target, there[None])[0] >= here - 1e-9 * abs(here):
            return np.asarray(there)
    return phi


def gradient(target: Target, phi: FloatArray) -> FloatArray:
    """Gradient of the log density, shape (U,)."""
    eta = unknowns_by_cell(target, phi[None])  # (1, C, P)
    steps = GRADIENT_WIDTH * np.eye(eta.shape[2])[:, None, :]
    ahead, behind = np.split(log_likelihood_by_cell(target, np.concatenate([eta + steps, eta - steps])), 2)
    by_cell = (ahead - behind) / (2 * GRADIENT_WIDTH)  # (P, C)
    slope = np.empty(len(phi))
    for parameter, (unknowns, basis) in enumerate(_bases(target)):
        slope[unknowns] = by_cell[parameter] @ basis
    return slope + _prior_gradient(target, phi)


def _precision(target: Target, phi: FloatArray) -> FloatArray:
    """Minus the Hessian of the log density, shape (U, U), symmetric."""
    eta = unknowns_by_cell(target, phi[None])
    size = eta.shape[2]
    steps = HESSIAN_WIDTH * np.eye(size)[:, None, :]
    rows, columns = np.triu_indices(size)
    corners = [eta + i * steps[rows] + j * steps[columns] for i, j in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    both, first, second, neither = np.split(log_likelihood_by_cell(target, np.concatenate(corners)), 4)
    by_cell = (both - first - second + neither) / (4 * HESSIAN_WIDTH**2)  # (pairs, C)
    bases = list(_bases(target))
    hessian = np.empty((len(phi), len(phi)))
    for pair, (i, j) in enumerate(zip(rows, columns, strict=True)):
        (of_i, basis_i), (of_j, basis_j) = bases[i], bases[j]
        block = basis_i.T @ (by_cell[pair][:, None] * basis_j)
        hessian[np.ix_(of_i, of_j)] = block
        hessian[np.ix_(of_j, of_i)] = block.T
    return np.asarray(_prior_precision(target, phi) - hessian)


def _bases(target: Target) -> list[tuple[IntArray, FloatArray]]:
    """For each parameter the unknowns that its own is linear in, and their columns (C, 1 + Q + groups)."""
    design, bases = target.design, []
    for place, name in enumerate(target.model.parameter_names):
        unknowns, columns = [place], [np.ones((1 if design is None else design.size, 1))]
        if design is not None and name in target.coefficients:
            coefficients = target.coefficients[name]
            unknowns += range(coefficients.start, coefficients.stop)
            columns.append(design.columns[name])
        for column in target.effects.groups.get(name, ()):
            assert design is not None
            levels = target.levels[name, column]
            unknowns += range(levels.start, levels.stop)
            columns.append(np.equal.outer(design.groups[column], np.arange(levels.stop - levels.start)))
        bases.append((np.array(unknowns), np.hstack(columns)))
    return bases


def _prior_gradient(target: Target, phi: FloatArray) -> FloatArray:
    if target.normal_priors is None:
        return np.zeros(len(phi))
    mean, sd = target.normal_priors
    return np.asarray((mean - phi) / sd**2)


def _prior_precision(target: Target, phi: FloatArray) -> FloatArray:
    return np.zeros(2 * (len(phi),)) if target.normal_priors is None else np.diag(target.normal_priors[1] ** -2.0)


def _not_identified(target: Target, phi: FloatArray, slope: FloatArray) -> FitError:
    size = len(target.model.parameters)
    found = [*target.model.natural(phi[:size]), *phi[size : len(target.names)]]
    where = ", ".join(f"{name} = {value:.3g}" for name, value in zip(target.names, found, strict=True))
    fix = (
        'use a prior (method = "laplace" or "nuts")'
        if not target.priors
        else "give tighter priors, a simpler model or more data"
    )
    with np.errstate(invalid="ignore"):
        flattest = int(np.argmax(np.abs(linalg.eigh(np.nan_to_num(_precision(target, phi)))[1][:, 0])))
    what = target.names[flattest] if flattest < len(target.names) else "a group's level"
    return FitError(
        f"{target.model.name} has no well-defined mode in these data: the search ended at {where} "
        f"(gradient norm {np.linalg.norm(slope):.1e}), where the density is flat or rises in some direction, above "
        f"all in that of {what}. The data barely identify it; {fix}."
    )
