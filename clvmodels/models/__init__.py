"""Floor 2: one file a model, formulas only. `MODELS` is the registry; `JOINT` has the two halves of the joint model."""

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Model
from clvmodels.models.bdw import BDW
from clvmodels.models.bg_bb import BG_BB
from clvmodels.models.bg_cnbd_k import BG_CNBD_K
from clvmodels.models.bg_nbd import BG_NBD
from clvmodels.models.exponential_gamma import EXPONENTIAL_GAMMA
from clvmodels.models.gamma_gamma import GAMMA_GAMMA
from clvmodels.models.gamma_gamma_transactions import GAMMA_GAMMA_TRANSACTIONS
from clvmodels.models.geometric import GEOMETRIC
from clvmodels.models.ggom_nbd import GGOM_NBD
from clvmodels.models.joint_spend import JOINT_PURCHASES as JOINT_PURCHASES
from clvmodels.models.joint_spend import JOINT_SPEND as JOINT_SPEND
from clvmodels.models.lognormal_spend import LOGNORMAL_SPEND
from clvmodels.models.mbg_cnbd_k import MBG_CNBD_K
from clvmodels.models.mbg_nbd import MBG_NBD
from clvmodels.models.nbd import NBD
from clvmodels.models.pareto_ggg import PARETO_GGG
from clvmodels.models.pareto_nbd import PARETO_NBD
from clvmodels.models.pareto_nbd_abe import PARETO_NBD_ABE
from clvmodels.models.pareto_nbd_dyncov import PARETO_NBD_DYNCOV
from clvmodels.models.sbg import SBG
from clvmodels.models.weibull_gamma import WEIBULL_GAMMA

_PURCHASES = (
    BG_NBD,
    MBG_NBD,
    PARETO_NBD,
    NBD,
    BG_BB,
    GGOM_NBD,
    BG_CNBD_K,
    MBG_CNBD_K,
    PARETO_GGG,
    PARETO_NBD_ABE,
    PARETO_NBD_DYNCOV,
)
_SPEND = (GAMMA_GAMMA, GAMMA_GAMMA_TRANSACTIONS, LOGNORMAL_SPEND)
_RETENTION = (GEOMETRIC, SBG, BDW, EXPONENTIAL_GAMMA, WEIBULL_GAMMA)
MODELS: dict[str, Model] = {model.name: model for model in (*_PURCHASES, *_SPEND, *_RETENTION)}
JOINT: dict[str, Model] = {model.name: model for model in (JOINT_PURCHASES, JOINT_SPEND)}


def model_named(name: object) -> Model:
    """The model of that registry name.

    Raises
    ------
    FitError
        If there is none; the message lists those that there are.
    """
    if name in JOINT:
        raise FitError(f"{name} is one half of the joint model: fit_joint(customers, seed=...) fits both.")
    if not isinstance(name, str) or name not in MODELS:
        raise FitError(f'unknown model "{name}": expected one of {", ".join(MODELS)}.')
    return MODELS[name]
