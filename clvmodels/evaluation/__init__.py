"""Floor 5: scores, the contest, calibration and tracking."""

from clvmodels.evaluation.scores import SCORES, ScoringRule

__all__ = ["SCORES", "ScoringRule"]
