"""Floor 5: scores, the contest, calibration, tracking and checks of the models themselves."""

from clvmodels.evaluation.conformal import conformal_intervals
from clvmodels.evaluation.drift import drift_check
from clvmodels.evaluation.predictive_checks import posterior_predictive_check
from clvmodels.evaluation.sbc import run_sbc
from clvmodels.evaluation.scores import SCORES, ScoringRule
from clvmodels.evaluation.spend_independence import spend_independence

__all__ = [
    "SCORES",
    "ScoringRule",
    "conformal_intervals",
    "drift_check",
    "posterior_predictive_check",
    "run_sbc",
    "spend_independence",
]
