"""Floor 4: the classical methods that a model has to beat."""

from clvmodels.baselines.abc import ABC
from clvmodels.baselines.abc_repeat import ABC_REPEAT
from clvmodels.baselines.boosting import BOOSTING
from clvmodels.baselines.hiatus import HIATUS
from clvmodels.baselines.last_period import LAST_PERIOD
from clvmodels.baselines.lifetimes_models import LIFETIMES
from clvmodels.baselines.method import Baseline, Training
from clvmodels.baselines.rfm import RFM
from clvmodels.baselines.rfm_cells import RFM_CELLS
from clvmodels.baselines.rfm_weighted import RFM_WEIGHTED
from clvmodels.baselines.same_rate import SAME_RATE
from clvmodels.baselines.ziln import ZILN

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        ABC,
        ABC_REPEAT,
        RFM,
        RFM_WEIGHTED,
        RFM_CELLS,
        SAME_RATE,
        HIATUS,
        LAST_PERIOD,
        BOOSTING,
        ZILN,
        LIFETIMES,
    )
}

__all__ = ["BASELINES", "Baseline", "Training"]
