"""What the standard deviation between groups does to a normal posterior of their levels: stretch it along fixed axes.

Let u be the levels of one parameter's groups in one column, with prior N(0, tau^2) each. If the log likelihood is
quadratic in u, with curvature S once all else has been integrated out, then with S = Q diag(e) Q' the posterior of
Q'u given tau is independent normal with

    precision e + 1 / tau^2 and mean q / (e + 1 / tau^2)

for some q, whatever tau: turning a normal prior that is the same for all groups leaves it as it is. So levels at a
typical tau_0 become levels at tau by a move and a stretch along the axes Q. Directions that the data know (e large),
such as differences between large groups, keep their scale (the centred form of a hierarchical model); those that they
do not know, such as a shift of all groups against the base, are stretched by tau / tau_0 (the non-centred form). A
sampler that works with levels at tau_0 meets no funnel. That parametrisation is best between the two forms, by how much
the data know, is from [1]_.

References
----------
.. [1] Papaspiliopoulos, Roberts and Skoeld (2007), A General Framework for the Parametrization of Hierarchical Models,
   Statistical Science 22(1), 59-73, doi 10.1214/088342307000000014.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from clvmodels.foundation.patterns import FloatArray
from clvmodels.inference.optimise import Mode
from clvmodels.inference.target import Target


@dataclass(frozen=True)
class Axes:
    """The axes of the levels of one column's groups.

    Attributes
    ----------
    turn : ndarray, shape (G, G), Q, an axis a column
    known : ndarray, shape (G,), e, what the data know along each axis
    middle : ndarray, shape (G,), where the mode stands along each, at the typical standard deviation
    """

    turn: FloatArray
    known: FloatArray
    middle: FloatArray


def axes_of(target: Target, mode: Mode, pooled: tuple[str, str]) -> Axes:
    """The axes of a parameter's levels in a column, by the curvature at the mode."""
    places = target.levels[pooled]
    integrated = linalg.inv(mode.covariance[places, places])
    by_data = (integrated + integrated.T) / 2 - np.eye(len(integrated)) / target.typical_group_sd(pooled[0]) ** 2
    known, turn = linalg.eigh(by_data)
    return Axes(turn, np.maximum(known, 0.0), turn.T @ mode.phi[places])


def base_on_levels(target: Target, mode: Mode) -> FloatArray:
    """How the base and the coefficients follow the levels in a normal posterior, shape (names, levels).

    Given the levels they do not depend on the standard deviations between groups.
    """
    size = len(target.names)
    return np.asarray(-linalg.solve(mode.precision[:size, :size], mode.precision[:size, size:], assume_a="pos"))
