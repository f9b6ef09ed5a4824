"""`ContestResults`: every number that the page of a contest shows, by name; written to and read from results.json.

Seconds and megabytes are not here: they live in costs.json, by data set.
"""

from dataclasses import dataclass, field
from typing import Literal

from clvmodels.foundation.results import (
    ActivityRow,
    CalibrationRow,
    ConformalRow,
    CoverageRow,
    DecileRow,
    DifficultyRow,
    DriftCheck,
    PitCheck,
    RollingSection,
    TotalCheck,
    TotalCoverage,
    WinnerRow,
)


@dataclass(frozen=True)
class ContestInfo:
    """What the study is. Titles by language code; the digests identify its inputs.

    Attributes
    ----------
    method : the one whose differences to the others are shown
    level : of the model confidence sets of a contest together
    data_digests : key of a data set -> SHA-256 of its source
    """

    name: str
    title: dict[str, str]
    background: dict[str, str]
    data_digests: dict[str, str]
    study_digest: str
    seed: int
    version: str
    method: str
    replicates: int
    level: float
    draws: int
    languages: list[str]


@dataclass(frozen=True)
class Circumstance:
    """What is true of a data set, at one origin, that helps or hinders a way of ranking customers.

    Attributes
    ----------
    key : "repeat_share", customers with a repeat purchase; "old_share", customers first seen in the first tenth of
        the log's days, of whom many came before it begins; "past_spend", rank correlation of past spend and spend of
        the holdout; "recency", the same of the time since the last purchase, its sign turned; "rate_and_spend",
        correlation of repeat purchases and mean spend of repeat buyers; "pace", purchases a day and customer of the
        holdout over those that the model expected; "largest", share of the holdout's spend of its largest customer
    value : None where it has no meaning
    """

    key: str
    value: float | None


@dataclass(frozen=True)
class MethodCalibration:
    """Whether a method's forecast at one origin came true, group by group.

    Attributes
    ----------
    deciles : quantity -> customers in tenths by forecast
    activity : tenths by the probability of coming back; empty for a method that has none
    coverage : intervals of 50, 80, 90 and 95 %; empty for a method without a distribution
    pit : of purchases and of spend, likewise
    by_frequency, by_cohort : purchases of customers grouped by repeat purchases, and by the month ("1997-01") or the
        quarter ("1997-Q1") of their first purchase; empty for a method without draws of purchases
    """

    method: str
    deciles: dict[str, list[DecileRow]]
    activity: list[ActivityRow]
    coverage: list[CoverageRow]
    pit: list[PitCheck]
    by_frequency: list[CalibrationRow]
    by_cohort: list[CalibrationRow]


@dataclass(frozen=True)
class ShuffledScore:
    """What one score said over shuffles of the outcomes, where all methods are equal.

    Attributes
    ----------
    dropped : shuffles whose verdict drops a method
    settled : share of the duels whose 90 % interval leaves out zero, mean over shuffles
    settled_low, settled_high : its 90 % interval, over shuffles
    """

    score: str
    dropped: int
    settled: float
    settled_low: float
    settled_high: float


@dataclass(frozen=True)
class ShuffleCheck:
    """How often a contest said that somebody is better where outcomes were handed out by chance.

    Attributes
    ----------
    shuffles : independent ones
    methods : in each contest
    level : of the verdicts of a contest together
    dropped : shuffles in which a verdict on an order drops a method; `low` and `high` bound its share, 90 %
    won : shuffles in which a verdict on an order leaves one method alone
    """

    shuffles: int
    methods: int
    level: float
    dropped: int
    low: float
    high: float
    won: int
    scores: list[ShuffledScore]


@dataclass(frozen=True)
class ContestData:
    """The contest on one data set.

    Attributes
    ----------
    key : in the study file
    title : by language code
    kind : "log", "donors", or "simulated"
    story : models that told a simulated one, "<purchases>+<spend>"; "" for a real one
    shuffled : whether the holdout's outcomes were handed to other customers, by chance: nobody may win there by a
        ranking. Totals stay, so forecasts near the mean err less than others even there
    currency : "" where there is no money
    contests : one a horizon, the shortest first
    difficulty : what each method asks of its user, with its scores over the first of `contests`
    panel_end : calibration end of the origin that `calibration`, `circumstances`, `drift` and `conformal` are of
    calibration : by method
    totals, total_coverage : of the method "total_model", over all origins and horizons
    total_model : the purchase model of `totals` and `drift`
    shuffles : of a shuffled one, what many more shuffles gave over the first of `contests`
    """

    key: str
    title: dict[str, str]
    kind: str
    source: str
    story: str
    shuffled: bool
    currency: str
    unit: str
    rows_read: int
    occasions: int
    customers: int
    first_date: str
    last_date: str
    contests: list[RollingSection]
    difficulty: list[DifficultyRow]
    panel_end: str
    calibration: list[MethodCalibration] = field(default_factory=list)
    circumstances: list[Circumstance] = field(default_factory=list)
    total_model: str = ""
    drift: DriftCheck | None = None
    totals: list[TotalCheck] = field(default_factory=list)
    total_coverage: list[TotalCoverage] = field(default_factory=list)
    conformal: list[ConformalRow] = field(default_factory=list)
    shuffles: ShuffleCheck | None = None


@dataclass(frozen=True)
class ContestResults:
    """A contest's results, whole.

    Attributes
    ----------
    winners : who is best by each score, on each data set and horizon (`WinnerRow.data` is its key)
    left_out : key of a data set that could not take part -> why
    """

    study: ContestInfo
    data: list[ContestData]
    winners: list[WinnerRow]
    left_out: dict[str, str] = field(default_factory=dict)
    kind: Literal["contest"] = "contest"
