"""The contest on one data set: every method at every origin, and a closer look at one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clvmodels.baselines import BASELINES, Baseline
from clvmodels.data import customer_summary, holdout_summary, period_ends, purchase_history, training_windows
from clvmodels.evaluation import (
    Occasion,
    best_method,
    check_shuffles,
    check_totals,
    circumstances,
    difficulty_rows,
    drift_check,
    forecast_occasion,
    model_method,
    rolling_contest,
    shuffled,
    total_coverage,
)
from clvmodels.evaluation.conformal import LEAST, conformal_rows
from clvmodels.evaluation.method_calibration import method_calibrations, occasion_checks
from clvmodels.evaluation.methods import Ground, Method, measured
from clvmodels.evaluation.pairs import Candidate, FitsMade, Fitting, candidate_named, fit_pair_once
from clvmodels.foundation.contest_results import Circumstance, ContestData, MethodCalibration, ShuffleCheck
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.history import LEAST_PERIODS, PurchaseHistory
from clvmodels.foundation.records import CustomerSummary, TransactionLog, Window
from clvmodels.foundation.results import ConformalRow, DriftCheck, MethodCost, RollingSection, TotalCheck, TotalCoverage
from clvmodels.study.contest_config import ContestStudy
from clvmodels.study.progress import seed_for


@dataclass(frozen=True)
class Arena:
    """A data set as the contest reads it.

    Attributes
    ----------
    key, title, kind, story : as in `ContestData`
    shuffles : how often outcomes are handed out by chance; 0 leaves them as they are
    windows : by horizon, the shortest first
    """

    key: str
    title: dict[str, str]
    kind: str
    story: str
    shuffles: int
    log: TransactionLog
    windows: Mapping[float, Sequence[Window]]

    @property
    def shuffled(self) -> bool:
        """Whether outcomes are handed out by chance."""
        return self.shuffles > 0

    @property
    def panel(self) -> Window:
        """The last origin of the longest horizon, which is looked at closely."""
        return self.windows[max(self.windows)][-1]


@dataclass(frozen=True)
class Contestants:
    """The methods of a contest on one data set, and the fits that they share.

    Attributes
    ----------
    pair : the model whose totals are checked, and `total_method` the same as a method; None without models
    """

    methods: tuple[Method, ...]
    fits: FitsMade
    fitting: Fitting
    pair: Candidate | None
    total_method: Baseline | None


@dataclass(frozen=True)
class Panel:
    """One origin as it is looked at closely: customers, forecasts and what came, with the checks of the forecasts."""

    window: Window
    customers: CustomerSummary
    occasion: Occasion
    calibration: list[MethodCalibration]


@dataclass(frozen=True)
class Totals:
    """Totals of all customers by one model, as in `ContestData`; empty where none can be told.

    Where outcomes are shuffled, how often somebody wins in many shuffles, in their place.
    """

    model: str = ""
    checks: list[TotalCheck] = field(default_factory=list)
    coverage: list[TotalCoverage] = field(default_factory=list)
    drift: DriftCheck | None = None
    conformal: list[ConformalRow] = field(default_factory=list)
    circumstances: list[Circumstance] = field(default_factory=list)
    shuffles: ShuffleCheck | None = None


@dataclass(frozen=True)
class Held:
    """The section of a data set, and the SHA-256 of its log."""

    data: ContestData
    digest: str


def look_closely(study: ContestStudy, arena: Arena, contestants: Contestants) -> Panel:
    """Every method at the panel origin, with the calibration of its forecasts."""
    window = arena.panel
    customers = customer_summary(arena.log, window)
    occasion = _occasion(study, arena, window, contestants)
    checked = replace(occasion, checks=occasion_checks(occasion, customers, seed=study.seed))
    calibration = method_calibrations(checked, customers, seed=study.seed, replicates=study.contest.replicates)
    return Panel(window, customers, checked, calibration)


def contest_ahead(
    study: ContestStudy, arena: Arena, contestants: Contestants, panel: Panel, *, horizon: float
) -> RollingSection:
    """The contest at every origin of a horizon."""
    return _section(study, arena, arena.windows[horizon], panel, contestants)


def tell_totals(study: ContestStudy, arena: Arena, contestants: Contestants, panel: Panel) -> Totals:
    """What is told by one model of all customers together; where outcomes are shuffled, many shuffles in its place."""
    if arena.shuffled:
        return Totals(shuffles=_shuffles(study, arena, panel, contestants))
    if contestants.pair is None or contestants.total_method is None:
        return Totals()
    totals = [
        check
        for windows in arena.windows.values()
        for window in windows
        for check in _totals(study, arena, window, contestants)
    ]
    return Totals(
        model=contestants.pair.purchases,
        checks=totals,
        coverage=total_coverage(totals),
        drift=_drift(study, arena, panel, contestants),
        conformal=_conformal(arena.log, panel, contestants.total_method),
        circumstances=_circumstances(arena.log, panel, contestants.total_method.name),
    )


def hold(
    _study: ContestStudy, arena: Arena, contestants: Contestants, panel: Panel, totals: Totals, *ahead: RollingSection
) -> Held:
    """The section of a data set, of what was told at each horizon."""
    data = replace(
        _data(arena, ahead, contestants, panel),
        total_model=totals.model,
        totals=totals.checks,
        total_coverage=totals.coverage,
        drift=totals.drift,
        conformal=totals.conformal,
        circumstances=totals.circumstances,
        calibration=panel.calibration,
        shuffles=totals.shuffles,
    )
    return Held(data, arena.log.digest)


def measure_costs(study: ContestStudy, arena: Arena, panel: Panel) -> list[MethodCost]:
    """What each method's forecasts cost at the panel origin, with fits of its own."""
    methods = [one for one in contestants_of(study, None).methods if one.name in panel.occasion.forecasts]
    ground = Ground.of(arena.log, panel.window, methods)
    return [measured(ground, method) for method in methods]


def contestants_of(study: ContestStudy, fits: FitsMade | None) -> Contestants:
    """The methods of a study; without fits to share each forecast makes its own."""
    contest, fit = study.contest, study.fit
    models = {
        name: model_method(
            pair.purchases,
            pair.spend,
            seed=study.seed,
            method=fit.method,
            draws=fit.draws,
            baskets=pair.baskets,
            allow=fit.allow,
            fits=fits,
        )
        for name in contest.models
        for pair in [candidate_named(name)]
    }
    best = (best_method(seed=study.seed, draws=fit.draws, fits=fits),) if contest.best else ()
    total = contest.total_model
    return Contestants(
        methods=(*(BASELINES[name] for name in contest.baselines), *models.values(), *best),
        fits=fits or FitsMade(),
        fitting=Fitting(study.seed, fit.method, fit.draws, fit.allow),
        pair=None if total is None else candidate_named(total),
        total_method=None if total is None else models[total],
    )


def _occasion(study: ContestStudy, arena: Arena, window: Window, contestants: Contestants) -> Occasion:
    """What all methods forecast at an origin, and what came, or what was handed out in its place."""
    occasion = forecast_occasion(arena.log, window, methods=contestants.methods)
    if not arena.shuffled:
        return occasion
    seed = seed_for(study.seed, f"shuffle {arena.key} {window.calibration_end} {window.holdout_end}")
    return replace(occasion, holdout=shuffled(occasion.holdout, seed=seed))


def _shuffles(study: ContestStudy, arena: Arena, panel: Panel, contestants: Contestants) -> ShuffleCheck:
    """Over as many shuffles as the study wants, at the origins of the shortest horizon."""
    windows = next(iter(arena.windows.values()))
    return check_shuffles(
        {window: _occasion_at(study, arena, window, panel, contestants) for window in windows},
        model=study.contest.method,
        seed=seed_for(study.seed, f"shuffles {arena.key}"),
        shuffles=arena.shuffles,
        replicates=study.contest.replicates,
        level=study.contest.level,
    )


def _occasion_at(study: ContestStudy, arena: Arena, window: Window, panel: Panel, contestants: Contestants) -> Occasion:
    """At the panel's origin what it has already."""
    return panel.occasion if window == panel.window else _occasion(study, arena, window, contestants)


def _section(
    study: ContestStudy, arena: Arena, windows: Sequence[Window], panel: Panel, contestants: Contestants
) -> RollingSection:
    return rolling_contest(
        windows,
        lambda window: _occasion_at(study, arena, window, panel, contestants),
        model=study.contest.method,
        seed=study.seed,
        data=arena.key,
        replicates=study.contest.replicates,
        level=study.contest.level,
    )


def _data(arena: Arena, sections: Sequence[RollingSection], contestants: Contestants, panel: Panel) -> ContestData:
    log = arena.log
    return ContestData(
        key=arena.key,
        title=arena.title,
        kind=arena.kind,
        source=log.source if arena.kind == "log" else "",
        story=arena.story,
        shuffled=arena.shuffled,
        currency=log.currency,
        unit=panel.window.unit,
        rows_read=log.rows_read,
        occasions=log.occasions,
        customers=log.n_customers,
        first_date=log.first_date.isoformat(),
        last_date=log.last_date.isoformat(),
        contests=list(sections),
        difficulty=difficulty_rows(contestants.methods, sections[0]),
        panel_end=panel.window.calibration_end.isoformat(),
    )


# Totals


def _totals(study: ContestStudy, arena: Arena, window: Window, contestants: Contestants) -> list[TotalCheck]:
    """Totals of one origin; none where the model has no fit, which the contest there names."""
    assert contestants.pair is not None
    customers = customer_summary(arena.log, window)
    try:
        fit, spend = fit_pair_once(contestants.pair, customers, contestants.fits, fitting=contestants.fitting)
        return check_totals(
            fit,
            customers,
            history=_history(arena.log, window),
            holdout=holdout_summary(arena.log, window),
            seed=seed_for(study.seed, f"totals {arena.key} {window.calibration_end}"),
            spend=spend,
        )
    except FitError:
        return []


def _history(log: TransactionLog, window: Window) -> PurchaseHistory | None:
    """Purchases by period of the calibration; None where there are too few to learn a drift from.

    One more than the fewest are asked for, as the first may be a day in which nobody comes again.
    """
    seen = replace(window, holdout_end=None)
    return purchase_history(log, seen) if len(period_ends(log, seen)) > LEAST_PERIODS else None


def _drift(study: ContestStudy, arena: Arena, panel: Panel, contestants: Contestants) -> DriftCheck | None:
    assert contestants.pair is not None
    history = _history(arena.log, panel.window)
    if history is None:
        return None
    try:
        fit, _ = fit_pair_once(contestants.pair, panel.customers, contestants.fits, fitting=contestants.fitting)
    except FitError:  # the contest there names it
        return None
    return drift_check(fit, panel.customers, history=history, seed=seed_for(study.seed, f"drift {arena.key}"))


def _conformal(log: TransactionLog, panel: Panel, method: Baseline) -> list[ConformalRow]:
    """Intervals before and after; none with too few customers inside the calibration, or without a fit."""
    forecasts = panel.occasion.forecasts.get(method.name)
    ((known, outcome),) = training_windows(log, panel.window, origins=1, logarithms=None)
    if forecasts is None or len(known) < LEAST:
        return []
    try:
        inner = (known, method.forecasts(known, outcome.window.holdout_length), outcome)
    except FitError:
        return []
    return conformal_rows(forecasts, panel.customers, holdout=panel.occasion.holdout, inner=[inner])


def _circumstances(log: TransactionLog, panel: Panel, method: str) -> list[Circumstance]:
    if method not in panel.occasion.forecasts:
        return []
    expected = float(panel.occasion.forecasts[method]["purchases"].mean.sum())
    return circumstances(log, panel.window, expected_purchases=expected)
