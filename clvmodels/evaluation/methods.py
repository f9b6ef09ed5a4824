"""Methods as a contest runs them: at one origin, with what each forecast cost and what it asks of its user."""

import time
import tracemalloc
import zlib
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from clvmodels.baselines import Baseline, Training
from clvmodels.data import customer_summary, holdout_summary, training_windows
from clvmodels.evaluation.rolling import Occasion
from clvmodels.forecast import sample_future
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.records import CustomerSummary, Forecast, TransactionLog, Window
from clvmodels.foundation.results import DifficultyRow, MethodCost, RollingSection
from clvmodels.foundation.whole import require_seed
from clvmodels.inference import fit
from clvmodels.models import MODELS

MEGABYTE = 2.0**20
SUMMARY_COLUMNS = {  # columns of a summary behind those that a spend model reads
    "spend": ("frequency", "monetary_value", "first_amount"),
    "paid_spend": ("frequency", "monetary_value", "first_amount", "paid_purchases"),
    "log_spend": ("paid_purchases", "log_amount", "first_amount"),
}


def model_method(
    purchases: str, spend: str, *, seed: int, method: str = "laplace", draws: int = 1000, name: str | None = None
) -> Baseline:
    """A model of purchases with a model of spend, as a method of a contest.

    Its inputs are the columns of a summary that the two read. Its choices are what a study must state of them beside
    what all methods need: the two models, the method of fitting and, but with "mle", the priors of each model.

    Parameters
    ----------
    purchases, spend : registry names
    seed : of fits and draws, 0 to 2^64 - 1; each calibration has its own from it
    method, draws : as `fit` takes them
    name : in the contest; by default "<purchases>+<spend>"

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
    models = [_model(purchases, "purchases"), _model(spend, "spend")]
    label = name or f"{purchases}+{spend}"
    rule = partial(_pair_forecasts, pair=(purchases, spend), seed=require_seed(seed), method=method, draws=draws)
    return Baseline(
        name=label,
        rule=rule,
        inputs=tuple(dict.fromkeys(column for model in models for column in _inputs(model))),
        choices=3 if method == "mle" else 5,
    )


def _model(name: str, family: str) -> Model:
    if name not in MODELS or MODELS[name].family != family:
        known = ", ".join(key for key, model in MODELS.items() if model.family == family)
        raise FitError(f'"{name}" is no model of {family}: expected one of {known}.')
    model = MODELS[name]
    if model.clock != "continuous" or model.on_calendar is not None:
        raise FitError(
            f'"{name}" reads customers by days or with a calendar, not the summary that the other methods read. Give '
            "rolling_contest a function that makes its forecasts."
        )
    return model


def _inputs(model: Model) -> list[str]:
    columns: list[str] = []
    for column in (*model.history, *model.reads):
        stem = column.removesuffix("_purchases").removesuffix("_mean")
        columns += SUMMARY_COLUMNS.get(stem, (column,))
    return columns


def _pair_forecasts(
    customers: CustomerSummary, horizon: float, *, pair: tuple[str, str], seed: int, method: str, draws: int
) -> dict[str, Forecast]:
    """Both models fitted, and the future drawn."""
    own = np.random.SeedSequence([seed, zlib.crc32(str(customers.calibration_end).encode())])
    seeds = [int(word) for word in own.generate_state(3, np.uint64)]
    fitted = [
        fit(model, customers, method=method, draws=draws, seed=None if method == "mle" else part)
        for model, part in zip(pair, seeds[:2], strict=True)
    ]
    future = sample_future(
        fitted[0], fitted[1], customers, horizon=horizon, discount_per_unit=0.0, seed=seeds[2], draws=draws
    )
    return {"purchases": future.purchases, "spend": future.spend}


def forecast_occasion(log: TransactionLog, window: Window, *, methods: Iterable[Baseline]) -> Occasion:
    """What every method forecasts at one origin, and what came: for `rolling_contest`.

    A method whose fit fails gives no forecast, and `left_out` has what it said.

    Parameters
    ----------
    log : purchase log
    window : calibration and holdout
    methods : baselines of `BASELINES`, and models by `model_method`

    Raises
    ------
    DataError
        If the window does not fit the log, or a method cannot read its customers.
    """
    methods = list(methods)
    customers, training = _known(log, window, methods)
    forecasts, left_out = {}, {}
    for method in methods:
        try:
            forecasts[method.name] = method.forecasts(customers, window.holdout_length, training=training)
        except FitError as problem:  # the contest goes on without it and says so
            left_out[method.name] = str(problem)
    return Occasion(forecasts, holdout_summary(log, window), left_out=left_out)


def _known(log: TransactionLog, window: Window, methods: Sequence[Baseline]) -> tuple[CustomerSummary, Training]:
    """What methods may know at an origin: customers, and windows inside the calibration where one learns from them."""
    trained = any(method.trained for method in methods)
    return customer_summary(log, window), training_windows(log, window) if trained else ()


def measure_methods(log: TransactionLog, window: Window, *, methods: Iterable[Baseline]) -> list[MethodCost]:
    """Seconds and megabytes of each method's forecasts at one origin, from the summary of its customers.

    Each method runs three times: once to load what it needs, once timed, and once traced for memory, as tracing takes
    time. Draws are made and held as the method makes them; making the summary, which all methods need, is not counted.
    A method whose fit fails has no row.

    Parameters
    ----------
    log, window, methods : as in `forecast_occasion`
    """
    methods = list(methods)
    customers, training = _known(log, window, methods)
    costs = []
    for method in methods:
        run = partial(method.forecasts, customers, window.holdout_length, training=training)
        try:
            run()
        except FitError:
            continue
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        costs.append(MethodCost(method.name, len(customers), cpu, wall, _peak(run)))
    return costs


def _peak(run: partial[dict[str, Forecast]]) -> float:
    """Most megabytes that a run holds beyond what was held before, by tracemalloc."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / MEGABYTE
    finally:
        tracemalloc.stop()


def difficulty_rows(methods: Iterable[Baseline], section: RollingSection) -> list[DifficultyRow]:
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
