"""How the models that rank the customers were chosen: results, for the page and results.json."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class InnerOrigin:
    """A day inside the calibration on which candidates were held against what came until `holdout_end`."""

    calibration_end: str
    holdout_end: str


@dataclass(frozen=True)
class CandidateRow:
    """A candidate and how it ranked customers on those days.

    Attributes
    ----------
    purchases, spend : its models
    baskets : purchases that spend was learnt from, "all" or "repeat"
    gini, capture_20 : normalised Gini and share of spend of the first 20 %, mean over the days
    score : mean of both
    behind, standard_error : score of the first candidate less this one's, and its bootstrap error
    weight : in the forecast; 0 where it was not taken
    """

    purchases: str
    spend: str
    baskets: str
    gini: float
    capture_20: float
    score: float
    behind: float
    standard_error: float
    weight: float


@dataclass(frozen=True)
class RankingChoice:
    """The models that rank customers, chosen on days before `calibration_end` alone.

    Attributes
    ----------
    horizon : length of time that the ranking looks ahead, in the study's unit
    origins : the earliest first
    rows : the best first
    share : of past spend in the order: expected spend ^ (1 - share) x past spend ^ share
    top : share of customers that `capture_20` is of
    left_out : candidate -> why it could not take part
    problem : why there is no ranking; "" where there is one
    """

    calibration_end: str
    horizon: float
    origins: list[InnerOrigin] = field(default_factory=list)
    rows: list[CandidateRow] = field(default_factory=list)
    share: float = 0.0
    top: float = 0.2
    left_out: dict[str, str] = field(default_factory=dict)
    problem: str = ""
