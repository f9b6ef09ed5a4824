"""`RetentionResults`: every number that the report of a study of retention shows, by name.

As `StudyResults`: written to and read from results.json, at full precision, `None` where there is no number. Ages are
renewals (or units of time) since the beginning of a relation. Intervals hold 90 %.
"""

from dataclasses import dataclass, field
from typing import Literal

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import FitRow


@dataclass(frozen=True)
class RetentionInfo:
    """What the study is. `sources` has the digest of each source by its name; `model` is the one that values rest on.

    `due` is the part of a unit to the next renewal of those still there, from 0 (about to renew) to 1 (just renewed).
    `privacy` is "without" where examples of rows are left out.
    """

    name: str
    title: dict[str, str]
    background: dict[str, str]
    sources: dict[str, str]
    study_digest: str
    seed: int
    version: str
    currency: str
    unit: str
    model: str
    price: float
    margin: float
    annual_discount_rate: float
    due: float
    fewer_defections: float
    languages: list[str]
    privacy: str = "open"


@dataclass(frozen=True)
class ObservedSurvival:
    """Kaplan and Meier's estimate at an age, with its 90 % interval; those at risk before it and lost at it."""

    age: float
    survival: float
    low: float
    high: float
    at_risk: int
    lost: int


@dataclass(frozen=True)
class CurvePoint:
    """Survival and retention of a new customer at an age; `rate` is None at age 0. `seen`: the data reach that age."""

    age: float
    survival: Estimate
    rate: Estimate | None
    seen: bool


@dataclass(frozen=True)
class RivalCurve:
    """A model's mean survival at the ages of the segment's curve, and how well it predicts a customer left out.

    `difference` is the elpd against the best model of the segment, with its standard error; `weight` by stacking.
    """

    model: str
    method: str
    survival: list[float]
    log_likelihood: float
    elpd: float
    difference: float
    difference_se: float
    weight: float
    worst_k: float | None
    unreliable: int


@dataclass(frozen=True)
class BackTestPoint:
    """Customers still there at an age: what was, and the predictive distribution from the ages learnt from.

    At ages learnt from `expected` is the fitted mean, and at the last of them the number that is known; low and high
    are the same.
    """

    age: float
    actual: int
    expected: float
    low: float
    high: float
    learnt: bool


@dataclass(frozen=True)
class BackTest:
    """A model that saw ages up to `learnt_to` alone, against those after it.

    `held` of `ages` later numbers lie in their 90 % bands; `error` is the mean of |expected - actual| / actual over
    them.
    """

    segment: str
    model: str
    learnt_to: float
    points: list[BackTestPoint]
    held: int
    ages: int
    error: float


@dataclass(frozen=True)
class SegmentRetention:
    """Who stays, in one segment."""

    name: str
    customers: int
    active: int
    last_age: float
    observed: list[ObservedSurvival]
    curve: list[CurvePoint]
    rivals: list[RivalCurve]


@dataclass(frozen=True)
class ValueRow:
    """What a customer of a segment is worth who has made `age` renewals and is still there.

    `lifetime`: expected further renewals; where a part `infinite` of the posterior says that this has no bound, its
    mean is None. `derl`: renewals to come, discounted. `value`: price x margin x derl, the posterior of the mean;
    `outcome` the predictive distribution of one customer's value.
    """

    segment: str
    age: float
    lifetime: Estimate
    infinite: float
    derl: Estimate
    value: Estimate
    outcome: Estimate


@dataclass(frozen=True)
class SegmentWorth:
    """A segment's base and its future; `segment` is "" for all together.

    `active` customers are there now; `lost` of them are expected to leave in the next unit, `lost_share` as a share
    (predictive). `equity` is the value of the future of those there; `new_value` that of a new customer, the first
    payment included. `change` and `relative` are what fewer defections add to equity.
    """

    segment: str
    active: int
    lost: Estimate
    lost_share: Estimate
    equity: Estimate
    new_value: Estimate | None
    change: Estimate
    relative: Estimate


@dataclass(frozen=True)
class DonorRow:
    """Donors alike: donations after the first, the year of the last, and what they are expected to give."""

    frequency: int
    recency: int
    donors: int
    p_alive: Estimate
    donations: Estimate


@dataclass(frozen=True)
class DonorSection:
    """Donors of one year by BG/BB: each year a donation or none, and some stop for good without saying so.

    `rows` are of all patterns, `horizon` years ahead; `donations` is the predictive total, `active` the numbers alive
    after 0, 1, 2, ... further years (expectation).
    """

    source: str
    donors: int
    years: int
    horizon: int
    fit: FitRow
    rows: list[DonorRow]
    donations: Estimate
    active: list[Estimate]


@dataclass(frozen=True)
class RevenuePoint:
    """A calendar unit: customers active and revenue over all cohorts, actual (None if not known) and predictive."""

    period: str
    holdout: bool
    active: int | None
    revenue: float | None
    active_forecast: Estimate | None
    revenue_forecast: Estimate | None


@dataclass(frozen=True)
class AgePoint:
    """A new cohort at an age: share active, revenue of an active customer and of a customer won (expectations)."""

    age: int
    retention: Estimate
    revenue_per_active: Estimate
    revenue_per_acquired: Estimate
    cumulative: Estimate


@dataclass(frozen=True)
class CohortSection:
    """Cohorts of a purchase log: the triangle, and retention times revenue forecast beyond it.

    `retention` and `revenue_per_acquired` have a row a cohort and a column an age, None where the data show no whole
    unit. The model learnt from the calendar units before `learnt_to`; of the later cells (cohort by age) `held` of
    `cells` lie in their 90 % bands. `errors`: mean relative error of the totals a unit, by "model" and "carried_on" (a
    cohort's last share and revenue carried on).
    """

    source: str
    unit: str
    cohorts: list[str]
    acquired: list[int]
    retention: list[list[float | None]]
    revenue_per_acquired: list[list[float | None]]
    learnt_to: str
    points: list[RevenuePoint]
    by_age: list[AgePoint]
    held: int
    cells: int
    errors: dict[str, float]
    notes: list[str]


@dataclass(frozen=True)
class LeftOutFit:
    """A model beside the study's own whose fit failed its checks, so that it is not shown.

    `learnt_to` is the age that it was to learn up to; `checks` are keys.
    """

    segment: str
    model: str
    learnt_to: float
    checks: list[str]


@dataclass(frozen=True)
class RetentionResults:
    """All of a study of retention."""

    study: RetentionInfo
    ledger: list[LedgerLine]
    segments: list[SegmentRetention]
    fits: list[FitRow]
    fit_segments: list[str]
    back_tests: list[BackTest]
    values: list[ValueRow]
    worth: list[SegmentWorth]
    donors: DonorSection | None = None
    cohorts: CohortSection | None = None
    left_out: list[LeftOutFit] = field(default_factory=list)
    notes: list[LedgerLine] = field(default_factory=list)
    kind: Literal["retention"] = "retention"
