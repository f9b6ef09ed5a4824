"""The mode of a target, with a certificate: Newton decrement and a positive definite Hessian."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, stats

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.results import Check
from clvmodels.inference.target import Target, log_density

DECREMENT_LIMIT = 1e-6  # expected gain in log density of one more Newton step
SCREENED_STARTS = 32
NEWTON_STEPS = 20


@dataclass(frozen=True)
class Mode:
    """Where a target is highest.

    Attributes
    ----------
    eta : ndarray, shape (P,), log parameters
    log_density : at eta
    precision : ndarray, shape (P, P), minus the Hessian at eta; positive definite
    decrement : half g' H^-1 g, the gain that a further Newton step would bring
    """

    eta: FloatArray
    log_density: float
    precision: FloatArray
    decrement: float

    @property
    def covariance(self) -> FloatArray:
        """H^-1 of eta, shape (P, P)."""
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


def find_mode(target: Target) -> Mode:
    """The mode, from the best of several starts, polished by Newton steps.

    Raises
    ------
    FitError
        If no start leads to a point with a positive definite curvature.
    """
    eta = _search(target, _best_start(target))
    step, mode = _newton_step(target, eta)
    for _ in range(NEWTON_STEPS):
        if mode.decrement <= DECREMENT_LIMIT / 100:
            break
        eta = _accept(target, eta, step)
        step, mode = _newton_step(target, eta)
    return mode


def _newton_step(target: Target, eta: FloatArray) -> tuple[FloatArray, Mode]:
    """The step from eta to where a parabola is highest, and eta as a mode with what that step would gain."""
    gradient, precision = _gradient(target, eta), _precision(target, eta)
    if linalg.eigvalsh(precision)[0] <= 0:
        raise _not_identified(target, eta, gradient)
    step = np.asarray(linalg.solve(precision, gradient, assume_a="pos"))
    here = float(log_density(target, eta[None])[0])
    return step, Mode(eta, here, precision, float(gradient @ step) / 2)


def _best_start(target: Target) -> FloatArray:
    """The best of a fixed, space-filling set of points around the centres of the default priors."""
    names = target.model.parameter_names
    cube = stats.qmc.Halton(len(names), scramble=False).random(SCREENED_STARTS + 1)[1:]
    points = target.starts + 1.5 * stats.norm.ppf(cube)
    return np.asarray(points[np.argmax(log_density(target, points))])


def _search(target: Target, start: FloatArray) -> FloatArray:
    """BFGS on the mean log density a customer, so that steps mean the same for any number of customers."""
    customers = target.patterns.n_customers.sum()

    def loss(eta: FloatArray) -> float:
        return -float(log_density(target, eta[None])[0]) / customers

    def slope(eta: FloatArray) -> FloatArray:
        return np.asarray(-_gradient(target, eta) / customers)

    found = optimize.minimize(
        loss,
        start,
        jac=slope,
        method="BFGS",
        options={"gtol": 1e-6, "maxiter": 200},
    )
    return np.asarray(found.x)


def _accept(target: Target, eta: FloatArray, step: FloatArray) -> FloatArray:
    """eta plus the step, halved until the density does not fall."""
    here = log_density(target, eta[None])[0]
    for halving in range(12):
        there = eta + step / 2**halving
        if log_density(target, there[None])[0] >= here - 1e-9 * abs(here):
            return np.asarray(there)
    return eta


def _gradient(target: Target, eta: FloatArray, width: float = 1e-4) -> FloatArray:
    """Central differences of the log density, all points in one call; shape (P,)."""
    steps = width * np.eye(len(eta))
    ahead, behind = np.split(log_density(target, np.concatenate([eta + steps, eta - steps])), 2)
    return np.asarray((ahead - behind) / (2 * width))


def _precision(target: Target, eta: FloatArray, width: float = 2e-3) -> FloatArray:
    """Minus the Hessian of the log density by central differences, one call; shape (P, P), symmetric."""
    size = len(eta)
    steps = width * np.eye(size)
    rows, columns = np.triu_indices(size)
    corners = [eta + i * steps[rows] + j * steps[columns] for i, j in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    both, first, second, neither = np.split(log_density(target, np.concatenate(corners)), 4)
    hessian = np.empty((size, size))
    hessian[rows, columns] = hessian[columns, rows] = (both - first - second + neither) / (4 * width**2)
    return np.asarray(-hessian)


def _not_identified(target: Target, eta: FloatArray, gradient: FloatArray) -> FitError:
    names = target.model.parameter_names
    where = ", ".join(f"{name} = {np.exp(value):.3g}" for name, value in zip(names, eta, strict=True))
    fix = (
        'use a prior (method = "laplace" or "nuts")'
        if not target.priors
        else "give tighter priors, a simpler model or more data"
    )
    return FitError(
        f"{target.model.name} has no well-defined mode in these data: the search ended at {where} "
        f"(gradient norm {np.linalg.norm(gradient):.1e}), where the curvature is not positive definite. "
        f"The data barely identify a parameter; {fix}."
    )
