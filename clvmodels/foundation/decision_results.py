"""What follows from the forecasts, as a report shows it: classes of customers, movements, money, and decisions.

Sections of `StudyResults`, each None in a study that has it not. Totals are predictive and added up draw by draw, so
that parts of a whole add up to it in each draw, and so in their means.
"""

from dataclasses import dataclass, field

from clvmodels.foundation.estimates import Estimate

# Classes


@dataclass(frozen=True)
class ClassRow:
    """A class of customers: a tier, a stage, a pattern of ended relations, or a grade.

    Attributes
    ----------
    customers : whose label it is
    expected_customers : sum of its probability over all customers
    undecided : customers with the label whose probability is below the study's limit
    current_value : of the customers with the label, at a yearly rate
    clv : future value of the customers with the label
    clv_share : of the whole base's, draw by draw
    """

    key: str
    customers: int
    expected_customers: float
    undecided: int
    current_value: float
    clv: Estimate
    clv_share: Estimate


@dataclass(frozen=True)
class ClassCalibrationRow:
    """Customers who were given a probability between `low` and `high` of a cell or class, and how many landed there.

    Made on calibration_end of the value of the holdout, with the same kinds of cuts, and held against it.

    Attributes
    ----------
    cell : of the matrix; "all" for all four together, where a customer counts once for each cell that the current
        value leaves open: mostly two. Likewise a tier, and "all" tiers. "bought" of a purchase in the holdout
    stated : mean of the probabilities
    share : that landed in the cell
    share_low, share_high : hold that share in 90 % of samples if the probabilities are right and customers
        independent; uncertainty that customers share (parameters, cuts) comes on top
    """

    cell: str
    low: float
    high: float
    customers: int
    stated: float
    share: float
    share_low: float
    share_high: float


@dataclass(frozen=True)
class Movement:
    """Customers who went from one class to another between two dates, by label and in expectation.

    `before` and `after` are keys of cells, or "lost" for those more likely gone than active; `before` is "none" for
    customers who were not there. `expected` has the number in draws in which customers move as little as the
    probabilities of both dates allow. Values are at a yearly rate, of the customers by label. Rows add up to all
    customers of the second date, who are those of both.
    """

    before: str
    after: str
    customers: int
    expected: Estimate
    value_before: float
    value_after: float


@dataclass(frozen=True)
class MovementKind:
    """Movements in a word: "new", "upgraded", "downgraded", "lost", "won_back" or "same".

    Cells have the order high_high, low_high, high_low, low_low. "same" has those who were lost and still are, too.
    """

    key: str
    customers: int
    expected: Estimate
    value_before: float
    value_after: float


@dataclass(frozen=True)
class ClassesSection:
    """Who is what, with what probability, and who moved.

    Attributes
    ----------
    tiers, stages : in their order, the best or the first in time first
    ended : of relations that have ended, weighed by the chance that they have: "early_abort", "build_up_death",
        "early_exit", "long_kept"; `customers` are those more likely ended than not
    grades : of the graded dimensions that the study states; empty without
    graded_by : column -> weight
    calibration : of the matrix's probabilities; empty where there is no holdout
    tier_calibration : of those of the tiers, whose holdout has the shares of the pyramid
    bought_calibration : of the chance to buy in the holdout, all of a stage's probability that is seen to come true
    calibration_end, moved_from, moved_to : days
    """

    tiers: list[ClassRow]
    stages: list[ClassRow]
    ended: list[ClassRow]
    grades: list[ClassRow]
    graded_by: dict[str, float]
    calibration: list[ClassCalibrationRow]
    calibration_end: str
    moved_from: str
    moved_to: str
    movements: list[Movement]
    kinds: list[MovementKind]
    tier_calibration: list[ClassCalibrationRow] = field(default_factory=list)
    bought_calibration: list[ClassCalibrationRow] = field(default_factory=list)


@dataclass(frozen=True)
class BasePeriod:
    """What became of the customers of a window of the log: counts over counts.

    A customer is active in a window with a purchase in it. The first window has none before it.

    Attributes
    ----------
    start, end : days of the window; the first begins with the log
    active : customers who bought
    new : of them, for the first time
    kept : of them, who bought in the window before too
    won_back : of them, who had bought before, but not in the window before
    left : who bought in the window before and not in this one
    before : active in the window before: kept / before is the retention rate, left / before the rate of loss
    away : who had bought before, but not in the window before: won_back / away is the win-back rate
    repeat_buyers : of the active, who had bought before or bought twice in the window: the repurchase rate's part
    value : contribution of the window
    new_value, kept_value, won_back_value : of the three
    left_value : that those who left had brought in the window before
    """

    start: str
    end: str
    active: int
    new: int
    kept: int
    won_back: int
    left: int
    before: int
    away: int
    repeat_buyers: int
    value: float
    new_value: float
    kept_value: float
    won_back_value: float
    left_value: float


# Money


@dataclass(frozen=True)
class YearRow:
    """A period of the base's cash flow table, predictive: the first begins on the day of the decision.

    Periods are equal: as near to quarters as they go, or to years where the horizon is two years or more. `start` and
    `end` are in the study's unit. `alive` is the expected share of today's customers still there at the end.
    `discounted` is the margin, each purchase discounted from its own day: over the periods it adds up to the equity in
    each draw.
    """

    start: float
    end: float
    alive: float
    purchases: Estimate
    spend: Estimate
    margin: Estimate
    discounted: Estimate


@dataclass(frozen=True)
class PartRow:
    """A part of past contribution that a column of the log tells, or the column that is missing.

    "first_purchase" and "repeat_purchases" add up to the whole and need no further column. The others lie within them
    and overlap: "cross_selling", "lower_cost", "referral", "price_premium", as `clvmodels.past_value` defines them.
    `amount` and `share` (of past contribution) are None where `missing` names the key of [value.parts] that would tell,
    and where it is "" but there is nothing to compare: no repeat purchase, or nothing paid at the first ones.
    `lower_cost` and `price_premium` may be below 0.
    """

    key: str
    amount: float | None
    share: float | None
    missing: str = ""


@dataclass(frozen=True)
class EquityRow:
    """Value of a segment or cohort: past contribution, current value at a yearly rate, and future value.

    `segmentation`: "cell", "tier", "stage", "abc_class", "rfm_group", a column of the customers' file, or
    "acquisition_month", "acquisition_quarter" or "acquisition_year": the shortest of them that a page has room for.
    `share` is of the whole base's future value, draw by draw.
    """

    segmentation: str
    segment: str
    customers: int
    past: float
    current_value: float
    equity: Estimate
    share: Estimate


@dataclass(frozen=True)
class NewCustomers:
    """Customers still to be won within the horizon, stated apart from the base.

    The number is forecast from `by_period` alone: its level wanders without a trend. Seasons, campaigns, what winning
    costs, and a change in what kind of customers come are left out.

    Attributes
    ----------
    customers : predictive number
    value_each : expected value of one over a whole horizon from the day that he or she is won, first purchase included
    equity : predictive value of all of them from winning to the end of the study's horizon, discounted to the day of
        the decision: uncertain by their number, by what one is worth, and by each one's outcome
    by_period : new customers in each period of `period_days` so far, from which the number is forecast, the last one
        ending on the day of the decision
    """

    customers: Estimate
    value_each: Estimate
    equity: Estimate
    by_period: list[int]
    period_days: int


@dataclass(frozen=True)
class LorenzPoint:
    """Share of future value that `customers` (a share) hold, those of the highest expectation; draw by draw.

    The curve of expectations (`ValueSection.lorenz`) runs along its middle without a band: nobody knows beforehand how
    much of the value those who look best today will hold.
    """

    customers: float
    value: Estimate


@dataclass(frozen=True)
class MoneySection:
    """What the base has brought, brings and will bring.

    Attributes
    ----------
    past : contribution from the log's first day to the decision: spend times the study's margin, or spend less the
        log's own costs where `costs_known`
    lifetime : past plus future value, of the base; the future is always by the study's margin
    years : cash flow of the base
    parts : of past contribution
    equity : by segmentation and segment; each segmentation adds up to the whole in each draw
    newcomers : None where there is no forecast of them
    gini : of future value over customers in the order of expectation, draw by draw: 0 if each holds as much
    lorenz : from no customer to all, in hundredths
    costs_known : whether contribution is net of the log's own costs, not a stated margin
    observed_margin : share of spend left after those costs, to hold against the margin that the study states
    no_newcomers : why there is no forecast: "ended" (nobody was won for so long that it is not chance), "short" (too
        few periods to forecast from), "" where there is one
    """

    past: float
    lifetime: Estimate
    years: list[YearRow]
    parts: list[PartRow]
    equity: list[EquityRow]
    newcomers: NewCustomers | None
    gini: Estimate
    lorenz: list[LorenzPoint]
    costs_known: bool
    observed_margin: float | None = None
    no_newcomers: str = ""


# Decisions


@dataclass(frozen=True)
class ActionRow:
    """What a stated action would bring in one cell of the matrix, if every customer in it got it.

    Attributes
    ----------
    action : key in the study file
    cell : of the matrix, by label; "all" for all the cells together that the action may be given to
    cost : of all customers of the cell
    gain : over the study's horizon, discounted, net of the cost: with the uncertainty of the models, of the effect
        and of what customers do
    p_loss : chance that it loses money: that the gain is below 0
    advised : whether the chance of a gain reaches the study's limit and the cell is large enough
    reason : "" if advised; else "chance" or "small"; "types" where all the cells together have the chance, but a cell
        alone has not
    """

    action: str
    cell: str
    customers: int
    cost: float
    gain: Estimate
    p_loss: float
    advised: bool
    reason: str


@dataclass(frozen=True)
class ActionSetting:
    """A stated action: cost a customer, and effects as factors, with their uncertainty. All of it is assumed.

    `rate` multiplies the purchase rate, `dropout` each period's chance to leave, `spend` the mean spend, over the whole
    horizon; an effect is log-normal with the stated q05 and q95. What the action leaves alone is None. `title` is by
    language; `cells` are those whose customers may get it.
    """

    key: str
    title: dict[str, str]
    cost: float
    rate: Estimate | None
    dropout: Estimate | None
    spend: Estimate | None
    cells: list[str]


@dataclass(frozen=True)
class BudgetRow:
    """A part of the best split of the budget: customers of a cell who get an action. `gain` is net of the cost."""

    action: str
    cell: str
    customers: int
    spend: float
    gain: Estimate


@dataclass(frozen=True)
class BudgetSplit:
    """How a budget is best spent: customers in order of expected gain for each unit of cost, one action each.

    Attributes
    ----------
    budget : of the study file
    spent : less than the budget where nobody is left with an expected gain
    customers : who get an action
    gain : net of the cost, at other random numbers than those that the choice was made with: not that of the luckiest
    p_loss : chance that it loses money
    random_gain : expected net gain if as many customers got each action, picked by chance from those who may get it
    advised, reason : as in `ActionRow`
    rows : by action and cell
    curve : sums spent, and the expected net gain from them, up to the point where nobody is left with a gain
    """

    budget: float
    spent: float
    customers: int
    gain: Estimate
    p_loss: float
    random_gain: float
    advised: bool
    reason: str
    rows: list[BudgetRow]
    curve: list[tuple[float, float]]


@dataclass(frozen=True)
class FewerDefections:
    """What fewer defections are worth: each period's chance to leave times (1 - `reduction`), all else the same.

    A period's chance is the customer's own: after each purchase in the BG/NBD and its kin, in each unit of time in the
    Pareto/NBD and its kin. `equity` is that of the cell's customers without it, `gain_share` the gain as a share of it.
    """

    cell: str
    reduction: float
    equity: Estimate
    gain: Estimate
    gain_share: Estimate


@dataclass(frozen=True)
class SilenceRow:
    """How long until a customer who stays silent is more likely gone than active, by cell: in days from the decision.

    Attributes
    ----------
    cell : of the matrix, by label; "all"
    gone : customers who are past it already
    never : customers who would not get there in 100 years of silence, as one without a repeat purchase in the BG/NBD
    q25, q50, q75 : over the other customers of the cell; None where there are none
    """

    cell: str
    customers: int
    gone: int
    never: int
    q25: float | None
    q50: float | None
    q75: float | None


@dataclass(frozen=True)
class ActionsSection:
    """What to do, what it may cost, and what it brings.

    Attributes
    ----------
    least_chance : of a gain, below which nothing is recommended
    least_customers : of a cell, below which nothing is recommended
    next_weeks : within which `purchases_to_next` of the customers' table would have to happen
    settings, actions : of the study file; empty where it states none
    split : None without a budget
    defections : "all" first, then by cell
    silence : "all" first, then by cell
    left_out : "defections", "silence" or the key of an action -> why the study's model cannot tell
    """

    least_chance: float
    least_customers: int
    next_weeks: int
    settings: list[ActionSetting]
    actions: list[ActionRow]
    split: BudgetSplit | None
    defections: list[FewerDefections]
    silence: list[SilenceRow]
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StrategyText:
    """Words on one class of customers in one language: see strategies.toml. Lists may be empty."""

    name: str
    aims: list[str]
    offer: list[str]
    service: list[str]
    contact: list[str]
    exit: list[str]
    measures: list[str]


@dataclass(frozen=True)
class Strategies:
    """What to do with each class: `scheme` ("matrix", "pyramid", "lifecycle") -> class -> language -> words."""

    source: str
    texts: dict[str, dict[str, dict[str, StrategyText]]] = field(default_factory=dict)
