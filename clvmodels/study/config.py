"""A study file, strictly read: an unknown key or word is refused, with its place, before any data are."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from clvmodels.foundation.counting import CountingRules
from clvmodels.foundation.effects import ACQUISITION
from clvmodels.foundation.errors import DataError, StudyError
from clvmodels.foundation.records import Window
from clvmodels.foundation.units import TimeUnit
from clvmodels.strategy import CELLS, GRADE_CUTS, TIERS
from clvmodels.strategy.lifecycle import LONG_KEPT_DAYS, STEADY_REPEATS
from clvmodels.study.strict import LimitsTable, Table, TomlFile, converted, refuse_nameless

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Loss = Annotated[float, msgspec.Meta(ge=0)]
Privacy = Literal["open", "pseudonymous", "without"]
GRADED = ("purchases", "spend", "clv", "p_alive", "frequency", "recency", "T", "current_value")
DRAWS = 2000  # of a fit, where a study does not state them
MOST_FUTURES, LEAST_FORECAST_DRAWS = 20_000_000, 250  # customers x draws of a forecast; and draws at the least
CheckName = Literal[  # the diagnostics of `clvmodels.inference.diagnostics.ADVICE`
    "newton_decrement",
    "smallest_curvature",
    "nested",
    "pareto_k",
    "effective_draws",
    "infinite_mean",
    "r_hat",
    "divergences",
    "energy",
]


class DataTable(Table, frozen=True):
    """[data]: where the log is, how to read it and what counts in it: the options of `clvmodels.read_transactions`.

    A test holds keys and defaults equal to those of that function.
    """

    source: str
    currency: str
    customer: str = "customer_id"
    date: str = "date"
    amount: str = "amount"
    order: str | None = None
    quantity: str | None = None
    currency_column: str | None = None
    date_format: str | None = None
    decimal: str = "."
    thousands: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    encoding: str | tuple[str, ...] = "utf-8"
    sheet: str | None = None
    written_in: str | None = None
    time_zone: str | None = None
    day_starts: str = "00:00"
    refunds: Literal["net", "match", "drop", "keep"] = "net"
    zero_amounts: Literal["keep", "drop"] = "keep"
    missing_ids: Literal["refuse", "drop"] = "refuse"
    duplicates: Literal["keep", "drop"] = "keep"
    first_refunds: Literal["keep", "drop"] = "keep"
    other_currencies: Literal["refuse", "drop"] = "refuse"
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    exclude: dict[str, tuple[str, ...]] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of `read_transactions` that the table stands for."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if name != "source"}


class WindowTable(Table, frozen=True):
    """[window]: the last day that the models see, and the last day of the check.

    `acquired_from` and `acquired_until`: models learn from customers first seen between these days, and are checked on
    them. The decision is for every customer.
    """

    calibration_end: dt.date
    holdout_end: dt.date
    unit: TimeUnit = "week"
    acquired_from: dt.date | None = None
    acquired_until: dt.date | None = None


class ModelsTable(Table, frozen=True):
    """[models]: registry names."""

    purchases: str = "bg_nbd"
    spend: str = "gamma_gamma"


class CustomersTable(Table, frozen=True):
    """[customers]: a file (.csv or .parquet) with a row a customer, and its columns for parameters or [grades].

    `id` is the column with the ids of the log. `covariates` are numbers or categories, `groups` are text.
    """

    source: str
    id: str = "customer_id"
    covariates: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class EffectsTable(Table, frozen=True):
    """[fit.purchases] or [fit.spend]: what a model's parameters depend on, and what they are pooled over.

    covariates : a list for every parameter that takes covariates, or by parameter: { alpha = ["age"] }
    groups : a column of [customers] groups, or acquisition_week, _month or _year, or a list of these, for every
        parameter, or by parameter: { alpha = ["acquisition_month", "channel"], a = "channel" }
    """

    covariates: dict[str, tuple[str, ...]] | tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...] | str] | tuple[str, ...] | str = ()

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Every column named, once: those of the covariates and those of the groups."""
        covariates = self.covariates.values() if isinstance(self.covariates, dict) else [self.covariates]
        groups = self.groups.values() if isinstance(self.groups, dict) else [self.groups]
        listed = [(names,) if isinstance(names, str) else names for names in groups]
        return {
            "covariates": tuple(dict.fromkeys(name for names in covariates for name in names)),
            "groups": tuple(dict.fromkeys(name for names in listed for name in names if name)),
        }


class FitTable(Table, frozen=True):
    """[fit]: the method that forecasts rest on, and those shown beside it.

    `allow` names checks of the fits that may fail: the study goes on, and its report says so first.
    `replicates` is the number of data sets that each model makes to be held against the data.
    `purchases` and `spend` are the covariates and groups of the two models.
    """

    method: Literal["laplace", "nuts"] = "laplace"
    stated_draws: Annotated[int, msgspec.Meta(ge=100)] | None = msgspec.field(default=None, name="draws")
    compare: tuple[Literal["mle", "laplace", "nuts"], ...] = ()
    allow: tuple[CheckName, ...] = ()
    replicates: Annotated[int, msgspec.Meta(ge=20)] = 200
    purchases: EffectsTable = EffectsTable()
    spend: EffectsTable = EffectsTable()

    @property
    def draws(self) -> int:
        """Number of draws of a fit."""
        return self.stated_draws or DRAWS

    def forecast_draws(self, customers: int) -> int | None:
        """Draws of what so many customers will do: those of the fits where the study states them, else fewer of many.

        Fewer than 250 would show: they give the quantiles of a sum to a seventh of its standard deviation.
        """
        if self.stated_draws is not None:
            return None
        few = max(LEAST_FORECAST_DRAWS, MOST_FUTURES // max(customers, 1))
        return few if few < DRAWS else None


class KeepShares(Table, frozen=True):
    """[value.keep_share]: by cell of the matrix, most to spend on keeping a customer, of expected future value."""

    high_high: Share = 0.2
    low_high: Share = 0.2
    high_low: Share = 0.1
    low_low: Share = 0.05


class PartsTable(Table, frozen=True):
    """[value.parts]: columns of the log that tell parts of past value; see `clvmodels.past_value`."""

    category: str | None = None
    cost: str | None = None
    referrer: str | None = None
    list_price: str | None = None


class ValueTable(Table, frozen=True):
    """[value]: the decision. `as_of` defaults to the last day of the log; `horizon` is in the window's unit."""

    horizon: Positive
    annual_discount_rate: Annotated[float, msgspec.Meta(gt=-1)]
    margin: Annotated[float, msgspec.Meta(gt=0, le=1)]
    as_of: dt.date | None = None
    current_days: Count = 365
    keep_share: KeepShares = KeepShares()
    win_share: Share = 0.4
    parts: PartsTable = PartsTable()


class CutTable(Table, frozen=True):
    """A threshold of the matrix: quantile = 0.8, amount = 100.0 or share_of_value = 0.8; exactly one."""

    quantile: Fraction | None = None
    amount: Positive | None = None
    share_of_value: Fraction | None = None


class LossRow(Table, frozen=True):
    """[matrix.loss.<cell>]: losses where a customer is in truth in this cell, by the cell that the label says.

    Those left out are 0 for the right label and 1 for a wrong one.
    """

    high_high: Loss | None = None
    low_high: Loss | None = None
    high_low: Loss | None = None
    low_low: Loss | None = None


class LossTable(Table, frozen=True):
    """[matrix.loss]: what a wrong label costs, by the cell that a customer is in in truth."""

    high_high: LossRow = LossRow()
    low_high: LossRow = LossRow()
    high_low: LossRow = LossRow()
    low_low: LossRow = LossRow()


class MatrixTable(Table, frozen=True):
    """[matrix]: the vocabulary, the two cuts, and the probability below which a label is in doubt.

    A label is the cell with the least expected `loss`; by default the most probable one. Labels of tiers, stages and
    grades are in doubt below the same probability.
    """

    names: Literal["treatment", "metal"] = "treatment"
    undecided_below: Share = 0.6
    current: CutTable = CutTable(quantile=0.8)
    future: CutTable = CutTable(quantile=0.8)
    loss: LossTable = LossTable()


class PyramidTable(Table, frozen=True):
    """[pyramid]: the share of customers down to which each tier reaches, best customers first; the rest is lead."""

    platinum: Fraction = TIERS["platinum"]
    gold: Fraction = TIERS["gold"]
    iron: Fraction = TIERS["iron"]

    @property
    def shares(self) -> dict[str, float]:
        """Tier to share, from the best tier to the last, which reaches down to all customers."""
        return {"platinum": self.platinum, "gold": self.gold, "iron": self.iron, "lead": 1.0}


class LifecycleTable(Table, frozen=True):
    """[lifecycle]: repeat purchases from which on a relation is stable, and days after which it was long-kept."""

    steady_repeats: Annotated[int, msgspec.Meta(ge=2)] = STEADY_REPEATS
    long_kept_days: Count = LONG_KEPT_DAYS


class GradeCuts(Table, frozen=True):
    """[grades.cuts]: the least score, 0 to 1, of grade A and of grade B."""

    A: Fraction = GRADE_CUTS["A"]
    B: Fraction = GRADE_CUTS["B"]

    @property
    def levels(self) -> dict[str, float]:
        """Grade to its least score."""
        return {"A": self.A, "B": self.B, "C": 0.0}


class GradesTable(Table, frozen=True):
    """[grades]: columns with their weights, as `clvmodels.grades` takes them, and limits that make grade A outright.

    Columns are forecasts ("purchases", "spend", "clv", "p_alive"), graded draw by draw; what is known of a customer
    ("frequency", "recency", "T", "current_value"); or numbers among [customers] covariates.
    """

    weights: dict[str, float] = msgspec.field(default_factory=dict)
    cuts: GradeCuts = GradeCuts()
    outright: dict[str, float] = msgspec.field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column named, once."""
        return tuple(dict.fromkeys([*self.weights, *self.outright]))


class ContestTable(Table, frozen=True):
    """[contest]: baselines of the comparison, and bootstrap replicates over customers.

    `best`: the models that rank customers best on days inside the calibration take part as well, and those chosen on
    all data rank the customers of the decision.
    """

    baselines: tuple[str, ...] = ("abc", "rfm", "same_rate", "lifetimes")
    replicates: Annotated[int, msgspec.Meta(ge=100)] = 400
    best: bool = True


class RivalFitTable(Table, frozen=True):
    """[rivals.fit.<model>]: how one of the rivals is fitted, where not as [rivals] says."""

    method: Literal["laplace", "nuts"] | None = None
    draws: Annotated[int, msgspec.Meta(ge=100)] | None = None


class CalendarTable(Table, frozen=True):
    """[rivals.calendar]: terms of season and campaigns, as `clvmodels.calendar` takes them.

    Campaigns are lists of [first day, last day] by name: { spring_sale = [[1997-03-01, 1997-03-14]] }.
    """

    waves: Annotated[int, msgspec.Meta(ge=0, le=12)] = 0
    seasons: tuple[Literal["christmas", "quarters", "months"], ...] = ()
    campaigns: dict[str, tuple[tuple[dt.date, dt.date], ...]] = msgspec.field(default_factory=dict)


class RivalsTable(Table, frozen=True):
    """[rivals]: models beside those of [models], on which no decision rests.

    `models` are registry names of purchase models, `spend` of spend models; the study's own takes part whether it is
    named or not. Method and draws default to those of [fit]. A model on a calendar needs the table `calendar`.
    """

    models: tuple[str, ...] = ()
    spend: tuple[str, ...] = ()
    method: Literal["laplace", "nuts"] | None = None
    draws: Annotated[int, msgspec.Meta(ge=100)] | None = None
    fit: dict[str, RivalFitTable] = msgspec.field(default_factory=dict)
    calendar: CalendarTable = CalendarTable()


class DecisionsTable(Table, frozen=True):
    """[decisions]: when something is recommended, and the budget that is to be spent best, in currency.

    least_chance : of a gain, below which nothing is recommended
    least_customers : of a class, below which nothing is recommended
    fewer_defections : share by which each period's chance to leave is taken to fall, for what that would be worth
    next_weeks : within which purchases would bring a customer to the next cell
    """

    least_chance: Fraction = 0.8
    least_customers: Count = 30
    fewer_defections: Fraction = 0.05
    budget: Positive | None = None
    next_weeks: Count = 13


class EffectTable(Table, frozen=True):
    """An effect as a factor, log-normal: 90 % sure to lie between q05 and q95. { q05 = 0.9, q95 = 1.1 }."""

    q05: Positive
    q95: Positive


class ActionTable(Table, frozen=True):
    """[[actions]]: something that can be done for a customer, its cost, and what it is thought to change.

    `rate`, `dropout` and `spend` are factors on the customer's own purchase rate, each period's chance to leave, and
    mean spend, over the whole horizon. `cells` are those of the matrix whose customers may get it.
    """

    key: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
    title: dict[str, str]
    cost: Positive
    rate: EffectTable | None = None
    dropout: EffectTable | None = None
    spend: EffectTable | None = None
    cells: tuple[Literal["high_high", "low_high", "high_low", "low_low"], ...] = (
        "high_high",
        "low_high",
        "high_low",
        "low_low",
    )


class Study(Table, frozen=True):
    """A study file as a record. `title` and `background` are by language code.

    `strategies` is a file of a company's own words on what to do, beside the study file: see `read_strategies`.
    `privacy` says what is kept of who customers are: "open", their ids; "pseudonymous", a name made from each id with
    a key (see `clvmodels.study.privacy`); "without", nothing of a single customer.
    """

    name: str
    seed: Annotated[int, msgspec.Meta(ge=0)]
    title: dict[str, str]
    data: DataTable
    window: WindowTable
    value: ValueTable
    background: dict[str, str] = msgspec.field(default_factory=dict)
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")
    customers: CustomersTable | None = None
    models: ModelsTable = ModelsTable()
    fit: FitTable = FitTable()
    matrix: MatrixTable = MatrixTable()
    pyramid: PyramidTable = PyramidTable()
    lifecycle: LifecycleTable = LifecycleTable()
    grades: GradesTable = GradesTable()
    contest: ContestTable = ContestTable()
    rivals: RivalsTable = RivalsTable()
    decisions: DecisionsTable = DecisionsTable()
    actions: tuple[ActionTable, ...] = ()
    strategies: str | None = None
    limits: LimitsTable = LimitsTable()
    privacy: Privacy = "open"

    @property
    def purchase_rivals(self) -> tuple[str, ...]:
        """Purchase models beside the study's own."""
        return tuple(name for name in self.rivals.models if name != self.models.purchases)

    @property
    def spend_rivals(self) -> tuple[str, ...]:
        """Spend models beside the study's own."""
        return tuple(name for name in self.rivals.spend if name != self.models.spend)

    def fit_of_rival(self, name: str) -> tuple[str, int]:
        """Method and draws of a rival's fit."""
        own = self.rivals.fit.get(name, RivalFitTable())
        method = own.method or self.rivals.method or self.fit.method
        return method, own.draws or self.rivals.draws or self.fit.draws

    @property
    def contest_window(self) -> Window:
        """The window of the contest: calibration and holdout."""
        return Window(**msgspec.structs.asdict(self.window))

    def learning_window(self, as_of: dt.date) -> Window:
        """The window of the customers that the models of the decision learn from."""
        window = self.window
        return Window(as_of, unit=window.unit, acquired_from=window.acquired_from, acquired_until=window.acquired_until)


def purchase_study(toml: TomlFile) -> Study:
    """The study of a file.

    Raises
    ------
    StudyError
        If a key or a word in it is not known, or two of them contradict each other.
    """
    study = converted(toml, Study)
    _refuse_contradictions(toml.path, study)
    return study


def cut_of(table: CutTable) -> tuple[str, float]:
    """The kind and the setting of a cut, such as ("quantile", 0.8)."""
    settings = {kind: getattr(table, kind) for kind in ("quantile", "amount", "share_of_value")}
    ((kind, setting),) = ((kind, setting) for kind, setting in settings.items() if setting is not None)
    return kind, setting


def loss_of(table: LossTable) -> list[list[float]]:
    """Losses, truth by label, in the order of the cells."""
    stated = {truth: getattr(table, truth) for truth in CELLS}
    return [
        [float(truth != label) if getattr(row, label) is None else getattr(row, label) for label in CELLS]
        for truth, row in stated.items()
    ]


def _refuse_contradictions(path: Path, study: Study) -> None:
    refuse_nameless(path, study.name, study.title, study.languages)
    for name in ("current", "future"):
        table = getattr(study.matrix, name)
        if sum(value is not None for value in (table.quantile, table.amount, table.share_of_value)) != 1:
            raise StudyError(f"{path}, [matrix.{name}]: give exactly one of quantile, amount, share_of_value.")
    for cell in CELLS:
        if getattr(getattr(study.matrix.loss, cell), cell):
            raise StudyError(f"{path}, [matrix.loss.{cell}] {cell}: the right label costs nothing; leave it out.")
    _refuse_classes(path, study)
    _refuse_days(path, study)
    if len(set(study.contest.baselines)) < len(study.contest.baselines):
        raise StudyError(f"{path}, [contest] baselines names one of them twice.")
    _refuse_rivals(path, study)
    _refuse_actions(path, study)
    _refuse_unknown_columns(path, study)
    _refuse_groups_without_nuts(path, study)


def _refuse_classes(path: Path, study: Study) -> None:
    """Refuse tiers and grades in no order, and columns of the grades that are not known."""
    if not study.pyramid.platinum < study.pyramid.gold < study.pyramid.iron:
        raise StudyError(
            f"{path}, [pyramid]: platinum, gold, iron are the shares of customers down to which each "
            "tier reaches, so that each is above the one before."
        )
    grades = study.grades
    if not grades.cuts.B < grades.cuts.A:
        raise StudyError(f"{path}, [grades.cuts] A = {grades.cuts.A:g}, B = {grades.cuts.B:g}: A is above B.")
    if grades != GradesTable() and not grades.weights:
        raise StudyError(f"{path}, [grades]: give weights, such as {{ clv = 2, frequency = 1 }}, or leave it out.")
    known = (*GRADED, *(() if study.customers is None else study.customers.covariates))
    for key in ("weights", "outright"):
        for name, value in getattr(grades, key).items():
            if name not in known:
                raise StudyError(f'{path}, [grades] {key} has "{name}": expected some of {", ".join(known)}.')
            if key == "weights" and value == 0:
                raise StudyError(f"{path}, [grades] weights {name} = 0: leave the column out.")


def _refuse_days(path: Path, study: Study) -> None:
    """Refuse days that contradict each other, before the log is read."""
    try:
        window = study.contest_window
    except DataError as problem:
        raise StudyError(f"{path}, [window]: {problem}") from None
    data = study.data
    try:
        CountingRules(first_day=data.first_day, last_day=data.last_day, exclude=data.exclude or {})
    except DataError as problem:
        raise StudyError(f"{path}, [data]: {problem}") from None
    if data.last_day is not None and data.last_day < study.window.holdout_end:
        raise StudyError(
            f"{path}, [data] last_day = {data.last_day}: it is before the check ends, "
            f"[window] holdout_end = {study.window.holdout_end}."
        )
    if study.value.as_of is not None and study.value.as_of < window.calibration_end:
        raise StudyError(f"{path}, [value] as_of = {study.value.as_of}: it is before the calibration ends.")


def _refuse_rivals(path: Path, study: Study) -> None:
    rivals = study.rivals
    for key in ("models", "spend"):
        names: tuple[str, ...] = getattr(rivals, key)
        if len(set(names)) < len(names):
            raise StudyError(f"{path}, [rivals] {key} names one of them twice.")
    others = (*study.purchase_rivals, *study.spend_rivals)
    if rivals != RivalsTable() and not others:
        raise StudyError(f"{path}, [rivals]: it names no model beside the study's own; name some, or leave it out.")
    for name in rivals.fit:
        if name in (study.models.purchases, study.models.spend):
            raise StudyError(
                f"{path}, [rivals.fit.{name}]: it is the study's own model, which is fitted as [fit] says."
            )
        if name not in others:
            raise StudyError(f"{path}, [rivals.fit.{name}]: it is not in [rivals] models or spend.")


def _refuse_actions(path: Path, study: Study) -> None:
    keys = [action.key for action in study.actions]
    for place, action in enumerate(study.actions):
        where = f'{path}, [[actions]] "{action.key}"'
        if action.key in keys[:place] or action.key == "none":
            raise StudyError(f"{where}: another action has this key, or it is the word for no action.")
        for language in study.languages:
            if language not in action.title:
                raise StudyError(f'{where}, title: there is none for the language "{language}".')
        effects = {name: getattr(action, name) for name in ("rate", "dropout", "spend")}
        if not any(effects.values()):
            raise StudyError(f"{where}: give an effect: rate, dropout or spend = {{ q05 = ..., q95 = ... }}.")
        for name, effect in effects.items():
            if effect is not None and effect.q05 >= effect.q95:
                raise StudyError(f"{where}, {name}: q05 = {effect.q05:g} is not below q95 = {effect.q95:g}.")
        if not action.cells or len(set(action.cells)) < len(action.cells):
            raise StudyError(f"{where}, cells: name each once, one at the least; or leave it out for all.")
    if study.decisions.budget is not None and not study.actions:
        raise StudyError(f"{path}, [decisions] budget: there are no [[actions]] to spend it on.")


def _refuse_unknown_columns(path: Path, study: Study) -> None:
    """Columns that a model is to use must be taken from the customers' file, and those taken must be used."""
    used: dict[str, set[str]] = {"covariates": set(), "groups": set(ACQUISITION)}
    for family, kind, names in _columns_used(study):
        taken = () if study.customers is None else getattr(study.customers, kind)
        known = (*taken, *ACQUISITION) if kind == "groups" else taken
        used[kind] |= set(names)
        for name in names:
            if name not in known:
                has = ", ".join(f'"{word}"' for word in known) or "nothing"
                raise StudyError(f'{path}, [fit.{family}] {kind} has "{name}": [customers] {kind} has {has}.')
    used["covariates"] |= set(study.grades.columns)
    for kind in ("covariates", "groups") if study.customers is not None else ():
        idle = [name for name in getattr(study.customers, kind) if name not in used[kind]]
        if idle:
            raise StudyError(
                f'{path}, [customers] {kind} has "{idle[0]}", which no model uses: name it in [fit.purchases] '
                f"or [fit.spend] {kind}, or leave it out."
            )


def _refuse_groups_without_nuts(path: Path, study: Study) -> None:
    grouped = [family for family, kind, names in _columns_used(study) if kind == "groups" and names]
    if not grouped:
        return
    if study.fit.method != "nuts":
        raise StudyError(
            f'{path}, [fit] method = "{study.fit.method}": groups ([fit.{grouped[0]}]) need method = "nuts".'
        )
    others = [method for method in study.fit.compare if method != "nuts"]
    if others:
        raise StudyError(
            f'{path}, [fit] compare has "{others[0]}", which cannot pool groups ([fit.{grouped[0]}]): leave it out.'
        )


def _columns_used(study: Study) -> list[tuple[str, str, tuple[str, ...]]]:
    """Family, "covariates" or "groups", and the columns named there."""
    tables = {"purchases": study.fit.purchases, "spend": study.fit.spend}
    return [(family, kind, names) for family, table in tables.items() for kind, names in table.columns.items()]
