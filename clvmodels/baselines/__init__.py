"""Floor 4: the classical methods that a model has to beat."""

from clvmodels.baselines.abc import ABC
from clvmodels.baselines.lifetimes_models import LIFETIMES
from clvmodels.baselines.method import Baseline
from clvmodels.baselines.rfm import RFM
from clvmodels.baselines.same_rate import SAME_RATE

BASELINES: dict[str, Baseline] = {baseline.name: baseline for baseline in (ABC, RFM, SAME_RATE, LIFETIMES)}

__all__ = ["BASELINES", "Baseline"]
