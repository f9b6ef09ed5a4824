"""Compiled stories: how a customer goes on after T, one purchase at a time. `KERNELS` is the registry.

A kernel is a module with functions of the types in `interface`. It is compiled, and numba imported,
when a future is first drawn.
"""

import importlib
from types import ModuleType

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Model

KERNELS = (
    "bg_nbd",
    "mbg_nbd",
    "pareto_nbd",
    "nbd",
    "bg_bb",
    "ggom_nbd",
    "bg_cnbd_k",
    "mbg_cnbd_k",
    "pareto_ggg",
    "pareto_nbd_abe",
    "pareto_nbd_dyncov",
    "gamma_gamma",
    "lognormal_spend",
    "joint_purchases",
    "joint_spend",
)


def kernel_of(model: Model) -> ModuleType:
    """The kernel of a model: the one that its record names, else the one of its own name.

    Raises
    ------
    FitError
        If it has none.
    """
    name = model.kernel or model.name
    if name not in KERNELS:
        raise FitError(f"{model.name} has no kernel to draw a customer's future with: use one of {', '.join(KERNELS)}.")
    return importlib.import_module(f"clvmodels.models.kernels.{name}")
