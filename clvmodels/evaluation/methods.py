"""Methods as a contest runs them: at one origin, with what each forecast cost and what it asks of its user."""

import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from clvmodels.baselines import Baseline, Training
from clvmodels.data import customer_summary, holdout_summary, training_windows
from clvmodels.evaluation.best import CANDIDATES, best_forecast
from clvmodels.evaluation.pairs import (
    Candidate,
    FitsMade,
    Fitting,
    columns_read,
    fit_pair_once,
    seed_of,
    summary_model,
)
from clvmodels.evaluation.rolling import Occasion
from clvmodels.forecast import sample_purchases_and_spend
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Baskets
from clvmodels.foundation.records import CustomerSummary, Forecast, TransactionLog, Window
from clvmodels.foundation.results import DifficultyRow, MethodCost, RollingSection
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.models import MODELS

MEGABYTE = 2.0**20


@dataclass(frozen=True)
class LogMethod:
    """A method that looks into the log, where a `Baseline` has the summary of its customers alone.

    Attributes
    ----------
    name : in the contest
    rule : (log, window) -> quantity -> forecast of the window's holdout; it reads no day after the calibration
    inputs, choices, trained : as those of a `Baseline`
    """

    name: str
    rule: Callable[[TransactionLog, Window], dict[str, Forecast]]
    inputs: tuple[str, ...]
    choices: int
    trained: bool = True


Method = Baseline | LogMethod


@dataclass(frozen=True)
class Ground:
    """What methods may know at an origin: nothing of the days after its calibration.

    Attributes
    ----------
    log, window : of whose holdout they read the length alone
    customers : of the calibration
    training : windows inside it; none where no method learns from them
    """

    log: TransactionLog
    window: Window
    customers: CustomerSummary
    training: Training

    @classmethod
    def of(cls, log: TransactionLog, window: Window, methods: Iterable[Method]) -> "Ground":
        """What some methods may know.

        Raises
        ------
        DataError
            If the window does not fit the log.
        """
        trained = any(isinstance(method, Baseline) and method.trained for method in methods)
        return cls(log, window, customer_summary(log, window), training_windows(log, window) if trained else ())


def forecasts_at(ground: Ground, method: Method) -> dict[str, Forecast]:
    """A method's forecasts of an origin's holdout, by quantity.

    Raises
    ------
    FitError
        If its fit fails.
    DataError
        If it cannot read these customers.
    """
    if isinstance(method, LogMethod):
        return method.rule(ground.log, ground.window)
    return method.forecasts(ground.customers, ground.window.holdout_length, training=ground.training)


def model_method(
    purchases: str,
    spend: str,
    *,
    seed: int,
    method: str = "laplace",
    draws: int = 1000,
    name: str | None = None,
    baskets: Baskets = "repeat",
    allow: tuple[str, ...] = (),
    fits: FitsMade | None = None,
) -> Baseline:
    """A model of purchases with a model of spend, as a method of a contest.

    Its inputs are the columns of a summary that the two read. Its choices are what a study must state of them beside
    what all methods need: the two models, the method of fitting and, but with "mle", the priors of each model.

    Parameters
    ----------
    purchases, spend : registry names
    seed : of fits and draws, 0 to 2^64 - 1; the draws of each calibration have their own from it
    method, draws : as `fit` takes them
    name : in the contest; by default "<purchases>+<spend>", with "[all]" where spend is learnt from all baskets
    baskets : purchases that spend is learnt from, as `fit` takes them
    allow : checks that the fits may fail
    fits : fits that methods share, its own among them; by default each forecast makes its own

    Returns
    -------
    Baseline
        Its forecasts are "purchases" and "spend", both with draws.

    Raises
    ------
    FitError
        If a model is unknown or of the other family, or reads a calendar or counts opportunities: its customers are
        not those of the other methods.
    """
    models = [summary_model(purchases, "purchases"), summary_model(spend, "spend")]
    pair = Candidate(purchases, spend, baskets)
    fitting = Fitting(require_seed(seed), method, draws, allow)
    return Baseline(
        name=name or pair.name,
        rule=partial(_pair_forecasts, pair=pair, fitting=fitting, fits=fits),
        inputs=tuple(dict.fromkeys(column for model in models for column in columns_read(model))),
        choices=3 if method == "mle" else 5,
    )


def _pair_forecasts(
    customers: CustomerSummary, horizon: float, *, pair: Candidate, fitting: Fitting, fits: FitsMade | None
) -> dict[str, Forecast]:
    """Both models fitted, and the future drawn."""
    fitted = fit_pair_once(pair, customers, fits or FitsMade(), fitting=fitting)
    purchases, spend = sample_purchases_and_spend(
        *fitted,
        customers,
        horizon=horizon,
        seed=seed_of(fitting.seed, str(customers.calibration_end)),
        draws=fitting.draws,
    )
    return {"purchases": purchases, "spend": spend}


def best_method(*, seed: int, draws: int = 500, fits: FitsMade | None = None) -> LogMethod:
    """`best_forecast` as a method of a contest: it ranks by "score", and forecasts "spend" with draws.

    Its choices are the candidates and their priors, the days inside the calibration that they are tried on, and how far
    behind the first counts as equal; all have defaults.

    Parameters
    ----------
    seed, draws : as `best_forecast` takes them
    fits : as `model_method` takes them
    """
    inputs = (
        column for one in CANDIDATES for model in (one.purchases, one.spend) for column in columns_read(MODELS[model])
    )
    return LogMethod(
        name="best",
        rule=partial(
            _best_forecasts,
            seed=require_seed(seed),
            draws=require_count("draws", draws),
            fits=fits,
        ),
        inputs=tuple(dict.fromkeys(inputs)),
        choices=4,
    )


def _best_forecasts(
    log: TransactionLog, window: Window, *, seed: int, draws: int, fits: FitsMade | None
) -> dict[str, Forecast]:
    best = best_forecast(log, window, seed=seed, draws=draws, fits=fits)
    return {"score": best.ranking, "spend": best.forecast}


def forecast_occasion(log: TransactionLog, window: Window, *, methods: Iterable[Method]) -> Occasion:
    """What every method forecasts at one origin, and what came: for `rolling_contest`.

    A method whose fit fails gives no forecast, and `left_out` has what it said.

    Parameters
    ----------
    log : purchase log
    window : calibration and holdout
    methods : baselines of `BASELINES`, models by `model_method`, and `best_method`

    Raises
    ------
    DataError
        If the window does not fit the log, or a method cannot read its customers.
    """
    methods = list(methods)
    ground = Ground.of(log, window, methods)
    forecasts, left_out = {}, {}
    for method in methods:
        try:
            forecasts[method.name] = forecasts_at(ground, method)
        except FitError as problem:  # the contest goes on without it and says so
            left_out[method.name] = str(problem)
    return Occasion(forecasts, holdout_summary(log, window), left_out=left_out)


def measure_methods(log: TransactionLog, window: Window, *, methods: Iterable[Method]) -> list[MethodCost]:
    """Seconds and megabytes of each method's forecasts at one origin, from the summary of its customers.

    Each method runs three times: once to load what it needs, once timed, and once traced for memory, as tracing takes
    time. Draws are made and held as the method makes them; making the summary, which all methods need, is not counted.
    A method whose fit fails has no row.

    Parameters
    ----------
    log, window, methods : as in `forecast_occasion`
    """
    methods = list(methods)
    ground = Ground.of(log, window, methods)
    costs = []
    for method in methods:
        try:
            forecasts_at(ground, method)
        except FitError:
            continue
        costs.append(measured(ground, method))
    return costs


def measured(ground: Ground, method: Method) -> MethodCost:
    """The cost of a method that has run before, so that all it needs is loaded; from a run timed and one traced."""
    return cost_of(method.name, len(ground.customers), partial(forecasts_at, ground, method))


def cost_of(method: str, customers: int, forecast: Callable[[], object]) -> MethodCost:
    """The cost of making a forecast of so many customers, which is made twice: once timed, once traced for memory."""
    cpu, wall = time.process_time(), time.perf_counter()
    forecast()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return MethodCost(method, customers, cpu, wall, _peak(forecast))


def _peak(forecast: Callable[[], object]) -> float:
    """Most megabytes that a run holds beyond what was held before, by tracemalloc."""
    tracemalloc.start()
    try:
        forecast()
        return tracemalloc.get_traced_memory()[1] / MEGABYTE
    finally:
        tracemalloc.stop()


def difficulty_rows(methods: Iterable[Method], section: RollingSection) -> list[DifficultyRow]:
    """What each method asks of its user, with its mean scores over the origins of a contest."""
    values = {(row.method, row.score): row.value for row in section.league}
    scores = list(dict.fromkeys(row.score for row in section.league))
    return [
        DifficultyRow(
            method=method.name,
            inputs=list(method.inputs),
            choices=method.choices,
            trained=method.trained,
            scores={score: values.get((method.name, score)) for score in scores},
        )
        for method in methods
    ]
