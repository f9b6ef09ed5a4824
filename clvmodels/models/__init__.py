"""Floor 2: one file a model, formulas only. `MODELS` is the registry."""

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Model
from clvmodels.models.bg_nbd import BG_NBD
from clvmodels.models.gamma_gamma import GAMMA_GAMMA
from clvmodels.models.mbg_nbd import MBG_NBD
from clvmodels.models.nbd import NBD
from clvmodels.models.pareto_nbd import PARETO_NBD
from clvmodels.models.pareto_nbd_dyncov import PARETO_NBD_DYNCOV

MODELS: dict[str, Model] = {
    model.name: model for model in (BG_NBD, MBG_NBD, PARETO_NBD, PARETO_NBD_DYNCOV, NBD, GAMMA_GAMMA)
}


def model_named(name: object) -> Model:
    """The model of that registry name.

    Raises
    ------
    FitError
        If there is none; the message lists those that there are.
    """
    if not isinstance(name, str) or name not in MODELS:
        raise FitError(f'unknown model "{name}": expected one of {", ".join(MODELS)}.')
    return MODELS[name]
