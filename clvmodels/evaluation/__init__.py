"""Floor 5: scores, the contest, calibration, tracking and checks of the models themselves."""

from clvmodels.evaluation.best import BestForecast, best_forecast
from clvmodels.evaluation.circumstances import circumstances
from clvmodels.evaluation.conformal import conformal_check, conformal_intervals
from clvmodels.evaluation.donors import donor_contest, donor_costs
from clvmodels.evaluation.drift import drift_check
from clvmodels.evaluation.methods import (
    best_method,
    difficulty_rows,
    forecast_occasion,
    measure_methods,
    model_method,
)
from clvmodels.evaluation.pairs import Candidate
from clvmodels.evaluation.predictive_checks import posterior_predictive_check
from clvmodels.evaluation.rolling import Occasion, rolling_contest, winners
from clvmodels.evaluation.sbc import run_sbc
from clvmodels.evaluation.scores import SCORES, ScoringRule
from clvmodels.evaluation.shuffling import check_shuffles, shuffled
from clvmodels.evaluation.spend_independence import spend_independence
from clvmodels.evaluation.totals import check_totals, total_coverage

__all__ = [
    "SCORES",
    "BestForecast",
    "Candidate",
    "Occasion",
    "ScoringRule",
    "best_forecast",
    "best_method",
    "check_shuffles",
    "check_totals",
    "circumstances",
    "conformal_check",
    "conformal_intervals",
    "difficulty_rows",
    "donor_contest",
    "donor_costs",
    "drift_check",
    "forecast_occasion",
    "measure_methods",
    "model_method",
    "posterior_predictive_check",
    "rolling_contest",
    "run_sbc",
    "shuffled",
    "spend_independence",
    "total_coverage",
    "winners",
]
