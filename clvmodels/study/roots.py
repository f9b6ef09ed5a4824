"""Code of registry members, which a study's units look up by name: roots for `code_digests`."""

from collections.abc import Iterable

from clvmodels.baselines import BASELINES
from clvmodels.models import MODELS
from clvmodels.models.kernels import KERNELS


def model_code(names: Iterable[str]) -> list[str]:
    """The modules of models, of the simpler ones that they are held against, and of their kernels."""
    waiting, found = list(names), dict[str, None]()
    while waiting:
        name = waiting.pop()
        if name not in found and name in MODELS:
            found[name] = None
            waiting += MODELS[name].limits
    modules = [f"clvmodels.models.{name}" for name in found]
    kernels = {MODELS[name].kernel or name for name in found} & set(KERNELS)
    return sorted([*modules, *(f"clvmodels.models.kernels.{name}" for name in kernels)])


def baseline_code(names: Iterable[str]) -> list[str]:
    """The modules of baselines."""
    return sorted({BASELINES[name].forecasts.__module__ for name in names})
