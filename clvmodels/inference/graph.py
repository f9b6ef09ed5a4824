"""The same target on a PyTensor graph, for gradients and NUTS."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from clvmodels.inference.optimise import Mode
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

    @staticmethod
    def betaln(x: Any, y: Any) -> Any:
        """log B(x, y)."""
        return pt.gammaln(x) + pt.gammaln(y) - pt.gammaln(x + y)


TENSOR_OPS = TensorOps()


def pymc_model(target: Target, mode: Mode) -> pm.Model:
    """The target as a PyMC model over z, with log parameters eta = mode + L z and L L' the inverse curvature.

    Near the mode z is standard normal, so that the sampler needs no long tuning. The density of z is
    that of eta up to a constant.
    """
    names = target.model.parameter_names
    with pm.Model() as graph:
        z = pm.Flat("z", shape=len(names), initval=np.zeros(len(names)))
        eta = mode.eta + pt.sum(mode.root * z, axis=1)  # L z; as pt.dot its first compilation takes 30 s
        theta = pt.exp(eta)
        parameters = {name: theta[i] for i, name in enumerate(names)}
        rows = target.model.log_likelihood(parameters, target.patterns, TENSOR_OPS)
        log_likelihood = pt.sum(rows * target.patterns.n_customers)
        log_prior = sum(target.priors[name].log_density_of_log(eta[i]) for i, name in enumerate(names))
        pm.Potential("target", log_likelihood + log_prior)
    return graph
