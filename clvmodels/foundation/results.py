"""`StudyResults`: every number that a report shows, by name; written to and read from results.json.

A report reads this record and customers.parquet, and nothing else. Numbers are plain floats at full
precision; `None` where there is none. Keys of methods, cells, reasons and checks are looked up in the
text catalogues. Seconds, megabytes and machine are not here: they live in manifest.json.
"""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from clvmodels.foundation.decision_results import (
    ActionsSection,
    BasePeriod,
    ClassesSection,
    MoneySection,
    Strategies,
)
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.ranking_results import RankingChoice
from clvmodels.foundation.records import LedgerLine

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class StudyInfo:
    """What the study is. Titles by language code; the digests identify its inputs.

    `privacy`: customers go by their ids ("open"), by pseudonyms ("pseudonymous"), or none is told of ("without").
    """

    name: str
    title: dict[str, str]
    background: dict[str, str]
    source: str
    data_digest: str
    study_digest: str
    seed: int
    version: str
    currency: str
    unit: str
    margin: float
    annual_discount_rate: float
    vocabulary: str
    languages: list[str]
    privacy: str = "open"


@dataclass(frozen=True)
class Choice:
    """A choice of what counts: its option and word, and the rows and amounts that it concerned.

    `option` is a field of `CountingRules`, such as "refunds"; `word` is as the study states it.
    """

    option: str
    word: str
    rows: int
    amount: float


@dataclass(frozen=True)
class Alternative:
    """What the log would have come to by another word of one choice, all else the same.

    Refused (occasions, customers and revenue None) where the word refuses the log as it is.
    """

    option: str
    word: str
    chosen: bool
    rows_used: int | None
    occasions: int | None
    customers: int | None
    revenue: float | None


@dataclass(frozen=True)
class DataSection:
    """The log and the two dates: what was read, what was set aside, what the windows hold.

    `gross` is the amount of all rows that were read; the ledger's amounts add up to it.
    """

    rows_read: int
    occasions: int
    customers: int
    revenue: float
    first_date: str
    last_date: str
    ledger: list[LedgerLine]
    set_aside: list[LedgerLine]
    calibration_end: str
    holdout_end: str
    holdout_length: float
    calibration_customers: int
    calibration_repeat_purchases: int
    calibration_repeat_buyers: int
    holdout_purchases: int
    holdout_amount: float
    holdout_buyers: int
    notes: list[LedgerLine]
    gross: float = 0.0
    choices: list[Choice] = field(default_factory=list)
    alternatives: list[Alternative] = field(default_factory=list)


@dataclass(frozen=True)
class Period:
    """One calendar period of the log's history: a point of the acquisition and activity figure."""

    start: str
    new_customers: int
    first_amount: float
    repeat_purchases: int
    repeat_amount: float
    active_customers: int


@dataclass(frozen=True)
class ValueSection:
    """The base on the decision date, looking `horizon` units ahead; predictive, summed over customers.

    At risk are customers of high current value whose chance of being active is below `at_risk_below`;
    lost are those whose chance to buy again within the horizon is below `lost_below`. `equity`, `purchases` and
    `spend` are of customers who buy as they did; those called drifting are of a demand that moves as it did, None where
    they were not worked out. `draws` are those of each customer's forecast.
    """

    as_of: str
    horizon: float
    customers: int
    current_value_total: float
    equity: Estimate
    purchases: Estimate
    spend: Estimate
    alive: Estimate
    buyers: Estimate
    equity_per_customer: float
    top_10_share: Estimate
    top_20_share: Estimate
    new_customer_clv: Estimate
    acquisition_ceiling: float
    acquisition_share: float
    at_risk_below: float
    at_risk_customers: int
    at_risk_current_value: float
    lost_below: float
    lost_customers: int
    lorenz: list[tuple[float, float]]
    drifting_equity: Estimate | None = None
    drifting_purchases: Estimate | None = None
    drifting_spend: Estimate | None = None
    draws: int | None = None


@dataclass(frozen=True)
class Cut:
    """A threshold of the value matrix: how it was set, and where it lies in currency."""

    dimension: str
    kind: str
    setting: float
    value: Estimate


@dataclass(frozen=True)
class Cell:
    """One cell of the value matrix. `key` is high_high, low_high, high_low or low_low (current_future)."""

    key: str
    name: str
    customers: int
    undecided: int
    expected_customers: float
    mean_probability: float
    current_value: float
    clv: Estimate
    clv_share: float
    p_alive: float
    purchases: float
    ceiling_share: float
    ceiling_per_customer: float
    budget: float


@dataclass(frozen=True)
class MatrixPoint:
    """A cell of the picture's grid: customers by current value and expected future value."""

    current_value: float
    clv: float
    customers: int
    key: str


@dataclass(frozen=True)
class MatrixSection:
    """The value matrix on the decision date."""

    vocabulary: str
    undecided_below: float
    cuts: list[Cut]
    cells: list[Cell]
    undecided: int
    points: list[MatrixPoint]


@dataclass(frozen=True)
class ActOn:
    """A customer worth a decision now. `list_key`: protect, grow, win_back or undecided.

    Attributes
    ----------
    rank : place among all customers by the models chosen to rank them, None where there are none
    days_until_half : of silence from the decision date on, until P(alive) falls below a half: 0 is past already, None
        is never
    next_cell : of more value than that of the label, "" where there is none
    amount_to_next : contribution that lifts current value to its cut, None where it is there
    purchases_to_next : soon, after which future value would be high; None where it is, or where more than 5 are needed
    best_action : of those that the study states, the one of most expected gain, "none" where none has any, "" without
    """

    list_key: str
    customer_id: str
    last_purchase: str
    frequency: int
    current_value: float
    p_alive: float
    purchases: float
    clv: float
    clv_low: float
    clv_high: float
    label: str
    label_probability: float
    ceiling: float
    rank: int | None = None
    days_until_half: float | None = None
    next_cell: str = ""
    amount_to_next: float | None = None
    purchases_to_next: float | None = None
    best_action: str = ""


@dataclass(frozen=True)
class TrackingPoint:
    """Purchases of one week (or other unit): actual, and forecast with its 90 % predictive band.

    Before the holdout the forecast is the model's expectation for the cohort and the band is None.
    """

    end: str
    holdout: bool
    actual: float
    expected: float
    low: float | None
    high: float | None
    cumulative_actual: float
    cumulative_expected: float
    cumulative_low: float | None
    cumulative_high: float | None


@dataclass(frozen=True)
class DriftPeriod:
    """A period of the calibration: repeat purchases, what the fit expected, and where 90 % of such a base lie.

    `end` is in days before the end of the calibration.
    """

    end: int
    actual: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class DriftCheck:
    """Does the base buy as before? Purchases by period against bases of the model's own story, refitted.

    `level_p` is of a level that moves slowly, `single_p` of single periods that stand out; `p_value` of both together,
    and the base drifts where it is below `threshold`.
    """

    model: str
    unit: str
    periods: list[DriftPeriod]
    level_p: float
    single_p: float
    p_value: float
    threshold: float
    drifts: bool
    replicates: int

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a period: end, actual, expected, low, high."""
        import pandas as pd

        return pd.DataFrame([asdict(period) for period in self.periods])


@dataclass(frozen=True)
class CalibrationRow:
    """Customers grouped by repeat purchases in the calibration (`group`: "0", "1", ..., "7+")."""

    group: str
    customers: int
    actual: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class CountRow:
    """Customers with so many holdout purchases (`count`: "0", "1", ..., "9+"), actual and predicted."""

    count: str
    actual: int
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class CoverageRow:
    """Share of customers whose outcome lies in the predictive interval of a stated probability."""

    outcome: str
    probability: float
    covered: float
    low: float
    high: float


@dataclass(frozen=True)
class DecileRow:
    """A tenth of the customers by forecast: means a customer, and forecast less actual with its 90 % interval.

    `decile` is 1 to 10, the lowest forecasts first; a tenth that equal forecasts leave empty has no row.
    """

    decile: int
    customers: int
    forecast: float
    actual: float
    bias: float
    low: float
    high: float


@dataclass(frozen=True)
class ActivityRow:
    """A tenth of the customers by the probability of coming back: its mean, and the share that came back.

    `low` and `high` hold that share in 90 % of samples if the mean probability is right.
    """

    customers: int
    probability: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class PitBin:
    """Share of customers with a PIT from `edge` to the edge of the next bin."""

    edge: float
    share: float


@dataclass(frozen=True)
class PitCheck:
    """Is the PIT uniform? Its histogram, the 90 % band of every bin, and a test.

    Attributes
    ----------
    quantity : "purchases" or "spend"
    low, high : band of the share of a bin, if the PIT is uniform
    distance : the largest between the PIT's distribution and the uniform one (Kolmogorov and Smirnov)
    p_value : chance of that distance or a larger one, if the PIT is uniform
    """

    quantity: str
    customers: int
    bins: list[PitBin]
    low: float
    high: float
    distance: float
    p_value: float


@dataclass(frozen=True)
class TotalCheck:
    """A forecast of all customers' total, made at one origin, against what came.

    Attributes
    ----------
    outcome : "purchases" or "spend"
    horizon : length of the holdout, in `unit`
    stationary : of customers who buy as they did
    drifting : with demand that moves as it did in the calibration; None where it was not worked out
    """

    outcome: str
    calibration_end: str
    holdout_end: str
    horizon: float
    unit: str
    actual: float
    stationary: Estimate
    drifting: Estimate | None


@dataclass(frozen=True)
class TotalCoverage:
    """How many of the windows of one horizon have their total within its 90 % interval.

    Attributes
    ----------
    method : "stationary" or "drifting", as in `TotalCheck`
    windows, inside : windows, and those with the total inside
    apart : most windows whose holdouts have no day in common: overlapping ones are no independent witnesses
    low, high : 90 % interval of the share (Wilson), as if there were `apart` windows
    width : median over windows of the interval's width over its median
    """

    outcome: str
    method: str
    horizon: float
    unit: str
    windows: int
    inside: int
    apart: int
    low: float
    high: float
    width: float | None


@dataclass(frozen=True)
class ConformalRow:
    """Intervals of customers before and after they were set right by an inner holdout, against the holdout.

    Attributes
    ----------
    quantity : "purchases" or "spend"
    probability : that was asked for
    customers : held against
    before, after : share of customers with the outcome inside
    before_low, before_high, after_low, after_high : 90 % intervals of the shares (Wilson)
    before_width, after_width : mean width of the intervals, in purchases or currency
    """

    quantity: str
    probability: float
    customers: int
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float
    before_width: float
    after_width: float


@dataclass(frozen=True)
class EvidenceSection:
    """The forecast made on calibration_end, held against the holdout that it did not see.

    `drift` is None, `totals` and `conformal` are empty, where they could not be worked out: `left_out` has what was
    said of it, by "drift" (the first two) or "conformal". `draws` are those of each customer's forecast.
    """

    purchases: Estimate
    spend: Estimate
    actual_purchases: int
    actual_spend: float
    tracking: list[TrackingPoint]
    by_frequency: list[CalibrationRow]
    counts: list[CountRow]
    coverage: list[CoverageRow]
    pit_purchases: list[float]
    pit_spend: list[float]
    drift: DriftCheck | None = None
    totals: list[TotalCheck] = field(default_factory=list)
    conformal: list[ConformalRow] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    draws: int | None = None


@dataclass(frozen=True)
class Score:
    """A row of comparison.csv: a method's score with its 90 % bootstrap interval over customers."""

    method: str
    score: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Duel:
    """The study's model against one method on one score, paired over customers.

    `difference` is model minus method; `verdict` is "model", "method" or "open" (the interval holds 0).
    """

    method: str
    score: str
    model_value: float
    method_value: float
    difference: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class ComparisonSection:
    """The contest on held-out purchases and spend.

    `left_out` has the methods of the study that gave no forecast on these data, and what they said. `best` is how the
    models of the method "best" were chosen.
    """

    model: str
    methods: list[str]
    scores: list[Score]
    duels: list[Duel]
    left_out: dict[str, str] = field(default_factory=dict)
    best: RankingChoice | None = None


@dataclass(frozen=True)
class Origin:
    """A day on which all methods forecast, and what came after it.

    `spend` is None where the log has no amounts. `left_out` has the methods that gave no forecast there, and what
    they said.
    """

    calibration_end: str
    holdout_end: str
    customers: int
    purchases: float
    spend: float | None
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeagueRow:
    """A method's score over rolling origins.

    Attributes
    ----------
    value : mean over the origins at which the score has a meaning
    low, high : 90 % interval of that mean
    origins : number of those origins; a mean over fewer than the others' does not compare with them
    won : origins at which no method was better; those that share a place share the origin
    by_origin : the score at each origin
    """

    method: str
    score: str
    value: float
    low: float
    high: float
    origins: int
    won: float
    by_origin: list[float | None]


@dataclass(frozen=True)
class RollingVerdict:
    """Is any method reliably better on a score? All methods with the score at all origins take part.

    Attributes
    ----------
    best : methods with the best mean; several where they are equal
    kept : those not reliably worse than the best: the model confidence set
    p_values : of each method, allowing for all methods and scores of the contest; one is kept from `level` on
    verdict : "one": the best is reliably better than every other; "some": it is better than some; "none": no method
        is reliably better than another; "alone": there is only one
    duels : the best (the first of several) less each other, paired
    """

    score: str
    best: list[str]
    kept: list[str]
    p_values: dict[str, float]
    verdict: str
    duels: list[Duel]


@dataclass(frozen=True)
class RollingSection:
    """The contest at several origins, all with holdouts of one length.

    Attributes
    ----------
    data : name of the data set
    horizon : length of the holdouts (their mean where months differ), in `unit`
    model : the method that `duels` compare the others with
    time : whether intervals and verdicts hold for other origins too; else for these origins and other customers only
    block : origins that are resampled together, as their holdouts overlap
    level : of the model confidence sets of all scores together
    duels : `model` less each method, on the mean over origins
    left_out : calibration end of an origin at which `model` gave no forecast -> why; it is not among `origins`
    """

    data: str
    horizon: float
    unit: str
    model: str
    methods: list[str]
    origins: list[Origin]
    time: bool
    block: int
    level: float
    league: list[LeagueRow]
    duels: list[Duel]
    verdicts: list[RollingVerdict]
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WinnerRow:
    """Who is best by one score, on one data set, over one horizon; fields as in `RollingVerdict`."""

    score: str
    data: str
    horizon: float
    unit: str
    origins: int
    time: bool
    best: list[str]
    value: float
    kept: list[str]
    verdict: str


@dataclass(frozen=True)
class DifficultyRow:
    """What a method asks of its user, and what it gives.

    Attributes
    ----------
    inputs : columns of the customer summary that it reads
    choices : number of choices that its user has to make
    trained : whether it learns from windows inside the calibration
    scores : score -> value; None where the method has none
    """

    method: str
    inputs: list[str]
    choices: int
    trained: bool
    scores: dict[str, float | None]


@dataclass(frozen=True)
class MethodCost:
    """What a forecast cost on the machine it ran on; it stands in costs.json, and in no digest.

    Attributes
    ----------
    cpu_seconds, wall_seconds : of a run without tracing; CPU time adds all threads
    peak_megabytes : most memory that the run held beyond what was held before, as `tracemalloc` sees it: arrays and
        objects of Python, not what compiled code takes for itself
    """

    method: str
    customers: int
    cpu_seconds: float
    wall_seconds: float
    peak_megabytes: float


@dataclass(frozen=True)
class Check:
    """A diagnostic with its limit. `key` names its text."""

    key: str
    value: float
    limit: float
    passed: bool


@dataclass(frozen=True)
class ParameterRow:
    """A parameter of a fit on the natural scale."""

    name: str
    mean: float
    sd: float | None
    q05: float | None
    q50: float | None
    q95: float | None
    ess_bulk: float | None
    ess_tail: float | None
    r_hat: float | None
    pareto_k: float | None


@dataclass(frozen=True)
class PriorRow:
    """A prior of a fit. `kind`: "log_normal", "normal", "fisher_normal", "one_of" or "half_normal".

    `middle` is the median of a log-normal, the mean of a normal, 0 for a half-normal; `sd` that of the logarithm, of
    the number, and of the normal number whose size it is. Of equally likely whole numbers they are mean and sd.
    """

    kind: str
    middle: float
    sd: float


@dataclass(frozen=True)
class FitRow:
    """A fit as the report shows it. `window`: "calibration" or "decision".

    `priors` are by parameter: "alpha" is of the average customer, "gamma_alpha" of each coefficient of a covariate
    as the fit works with it (numbers over their standard deviation), "alpha_group_sd" between groups; older files
    have median and sd of log-normal ones as a pair. `allowed` has the keys of checks that the study lets fail,
    `references` the category of each covariate of words that the others are compared with.
    """

    model: str
    method: str
    window: str
    customers: int
    patterns: int
    draws: int
    log_likelihood: float
    parameters: list[ParameterRow]
    priors: dict[str, PriorRow | tuple[float, float]]
    checks: list[Check]
    notes: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CriterionRow:
    """How well a fit predicts a customer that it has not seen, by leave-one-out cross-validation (PSIS-LOO).

    Attributes
    ----------
    elpd : expected log predictive density, summed over customers; comparable within one family of models
        on the same data and unit
    se : its standard error over customers
    p : effective number of parameters
    worst_k : worst Pareto k over patterns; None if not finite
    high_k_customers : customers whose Pareto k is beyond `k_limit`
    """

    model: str
    method: str
    window: str
    elpd: float
    se: float
    p: float
    worst_k: float | None
    k_limit: float
    high_k_customers: int
    customers: int


@dataclass(frozen=True)
class SensitivityRow:
    """What decides a parameter, by power-scaling: how far its posterior moves with the prior, and with the data.

    `diagnosis`: "none", "prior_dominates" or "prior_data_conflict"; a sensitivity counts from `threshold` on.
    """

    model: str
    window: str
    parameter: str
    prior: float | None
    likelihood: float | None
    diagnosis: str
    threshold: float


@dataclass(frozen=True)
class ModelSection:
    """Fits side by side, and the checks of what the models assume.

    `left_out` has the methods of fitting shown beside that found no fit on these data, and what they said.
    """

    fits: list[FitRow]
    spend_frequency_correlation: Estimate
    left_out: dict[str, str] = field(default_factory=dict)
    criteria: list[CriterionRow] = field(default_factory=list)
    sensitivity: list[SensitivityRow] = field(default_factory=list)


@dataclass(frozen=True)
class ReplicatedRow:
    """A test quantity in the data, and in data sets replicated from a fitted model.

    Attributes
    ----------
    aspect : "purchases", "timing" or "spend"
    quantity : key, such as "customers", "last_purchase" or "median"; texts are in the catalogues
    group : what it is taken over: repeat purchases ("0", ..., "7+"; "1", "2-3", "4+" for spend), the fifth
        of the time known ("1", ..., "5"), or "all"
    observed : in the data
    median, low, high : over replications; 90 % of them lie from low to high; None if not finite
    p_value : two-sided posterior predictive p value; None where no replication has the quantity
    """

    aspect: str
    quantity: str
    group: str
    observed: float
    median: float | None
    low: float | None
    high: float | None
    p_value: float | None

    @property
    def outside(self) -> bool:
        """Whether the data lie outside the interval that holds 90 % of replications."""
        return self.low is not None and self.high is not None and not self.low <= self.observed <= self.high


@dataclass(frozen=True)
class PredictiveCheckTable:
    """Does a fitted model reproduce the data that it learnt from? Test quantities against replications."""

    model: str
    method: str
    customers: int
    replicates: int
    rows: list[ReplicatedRow]

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a test quantity: its key, observed, median, low, high, p_value and outside."""
        import pandas as pd

        return pd.DataFrame([{**asdict(row), "outside": row.outside} for row in self.rows])


@dataclass(frozen=True)
class LeaveOneOut:
    """How well a rival predicts customers left out, in the study's unit of time, and what stacking gives it.

    Attributes
    ----------
    elpd, se, p, worst_k, high_k_customers : as in `CriterionRow`
    difference, difference_se : elpd less that of the best, and its standard error, paired over customers
    weight : in the mixture of models that predicts customers left out best; the weights of a basis sum to 1
    basis : key of the models of the same data, which alone compare: the first of them
    """

    elpd: float
    se: float
    p: float
    worst_k: float | None
    high_k_customers: int
    difference: float
    difference_se: float
    weight: float
    basis: str


@dataclass(frozen=True)
class RivalRow:
    """A model beside others: its fit on the calibration, customers left out, and its forecast of the holdout.

    Attributes
    ----------
    log_likelihood : of the fit, in the study's unit of time
    loo : None where there is none; `notes` then says why
    total : forecast of the holdout's total, of purchases or of spend
    coverage : of the same outcome, at 50, 80, 90 and 95 %
    tracking : purchases a period; empty for spend
    replicated : customers by repeat purchases in the calibration, against data sets of the model; empty for spend
    counts : customers by purchases in the holdout; empty for spend
    """

    model: str
    method: str
    draws: int
    log_likelihood: float
    parameters: list[ParameterRow]
    loo: LeaveOneOut | None
    total: Estimate
    coverage: list[CoverageRow]
    tracking: list[TrackingPoint] = field(default_factory=list)
    replicated: list[ReplicatedRow] = field(default_factory=list)
    counts: list[CountRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RivalGap:
    """Elpd of a model less that of another, and its standard error, paired over customers."""

    model: str
    other: str
    difference: float
    se: float


@dataclass(frozen=True)
class RivalGroup:
    """Models of one family on the same customers; the study's own first.

    Attributes
    ----------
    family : "purchases" or "spend"
    main : the model that the study's decisions rest on
    customers : that models are compared on
    actual : total of the holdout
    gaps : of every two models that compare
    scores, duels : on the holdout, as in `ComparisonSection`; the method is the model
    left_out : models of the study that could not take part, and what they said
    """

    family: str
    main: str
    customers: int
    actual: float
    rows: list[RivalRow]
    gaps: list[RivalGap]
    scores: list[Score]
    duels: list[Duel]
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyResults:
    """A study's results, whole."""

    study: StudyInfo
    data: DataSection
    history: list[Period]
    value: ValueSection
    matrix: MatrixSection
    act_on: list[ActOn]
    evidence: EvidenceSection
    comparison: ComparisonSection
    models: ModelSection
    predictive: list[PredictiveCheckTable] = field(default_factory=list)
    rivals: list[RivalGroup] = field(default_factory=list)
    base: list[BasePeriod] = field(default_factory=list)
    classes: ClassesSection | None = None
    money: MoneySection | None = None
    actions: ActionsSection | None = None
    strategies: Strategies | None = None
    ranking: RankingChoice | None = None
