"""The contest: a model and the classical methods on the same held-out purchases and spend."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from clvmodels.evaluation.calibration import PredictiveCheck, scores_by_customer
from clvmodels.evaluation.scores import SCORES, Case, Ranking, Resample, ResampledOutcome, ScoringRule
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import Forecast, HoldoutSummary
from clvmodels.foundation.results import ComparisonSection, Duel, Score
from clvmodels.foundation.units import days_per_unit

Forecasts = Mapping[str, Mapping[str, Forecast]]
Checks = Mapping[str, Mapping[str, PredictiveCheck]]
Key = tuple[str, str]  # method, score

BAND = (0.05, 0.95)
BLOCK_NUMBERS = 1_000_000  # customers x replicates at a time: 8 MB an array


@dataclass(frozen=True)
class Entry:
    """A method's forecast of one outcome, and the scores that it can have."""

    method: str
    outcome: str
    case: Case
    rules: tuple[ScoringRule, ...]


def contest(
    forecasts: Forecasts,
    holdout: HoldoutSummary,
    *,
    model: str,
    rng: np.random.Generator,
    replicates: int = 400,
    checks: Checks | None = None,
) -> ComparisonSection:
    """Scores of every method, and the model against each of the others, with 90 % intervals.

    Intervals are paired bootstraps over customers: a replicate counts the same customers for all methods.
    Purchases are scored by the forecast of purchases, spend by that of spend; a method that only ranks
    ("score") enters the rankings of both. A score without meaning (the outcome is zero for all; the rank
    correlation of a constant) is None and has no duel. Verdicts take one score at a time: of ten
    duels between equals, one is expected to look decided.

    Parameters
    ----------
    forecasts : method -> quantity ("purchases", "spend", "score") -> forecast
    holdout : what happened; every forecast has its customers in its order
    model : the method that the others are compared with
    rng : draws the replicates; the order of customers does not matter
    replicates : number of bootstrap replicates
    checks : method -> quantity -> check of its draws, where there is one; other forecasts that have draws
        are replayed for their CRPS and log score

    Raises
    ------
    DataError
        If the model is not among the methods, a forecast is of other customers, in another order, over
        another time or not finite, or the holdout is known of some customers only.
    """
    outcomes = _outcomes(holdout)
    _check_contest(forecasts, holdout, model=model, replicates=replicates)
    by_id = np.argsort(holdout.customer_id.astype(str), kind="stable")
    entries = [
        _entry(method, outcome, forecast=forecast, actual=actual, check=_of(checks, method, outcome), rows=by_id)
        for outcome, actual in outcomes.items()
        for method in forecasts
        if (forecast := _forecast_of(outcome, forecasts[method])) is not None
    ]
    whole = _values(entries, np.ones((1, len(by_id))))
    blocks = [_values(entries, weights) for weights in _weights(len(by_id), replicates, rng)]
    drawn = {key: np.concatenate([block[key] for block in blocks]) for key in whole}
    return ComparisonSection(
        model=model,
        methods=list(forecasts),
        scores=[_score(key, float(whole[key][0]), drawn[key], n=len(by_id)) for key in whole],
        duels=_duels(model, whole, drawn),
    )


def _outcomes(holdout: HoldoutSummary) -> dict[str, FloatArray]:
    """Outcomes that the holdout knows: purchases, and spend where the log has amounts."""
    known = {"purchases": holdout.purchases, "spend": holdout.amount}
    for name, values in known.items():
        unknown = np.isnan(values)
        if unknown.any() and not unknown.all():
            raise DataError(
                f"the holdout's {name} is not known for {int(unknown.sum())} customers (first: customer_id "
                f"{holdout.customer_id[np.argmax(unknown)]}). A customer who did not come back has 0."
            )
    return {name: values for name, values in known.items() if not np.isnan(values).any()}


def _forecast_of(outcome: str, quantities: Mapping[str, Forecast]) -> Forecast | None:
    return quantities.get(outcome, quantities.get("score"))


def _of(checks: Checks | None, method: str, outcome: str) -> PredictiveCheck | None:
    return None if checks is None else checks.get(method, {}).get(outcome)


def _check_contest(forecasts: Forecasts, holdout: HoldoutSummary, *, model: str, replicates: int) -> None:
    if model not in forecasts:
        raise DataError(f'model = "{model}" is not among the methods of the contest: {", ".join(forecasts)}.')
    if replicates < 1:
        raise DataError(f"replicates = {replicates}: expected 1 or more; 400 give steady 90 % intervals.")
    for method, quantities in forecasts.items():
        for forecast in quantities.values():
            _check_customers(method, forecast, holdout)
            _check_horizon(method, forecast, holdout)


def _check_customers(method: str, forecast: Forecast, holdout: HoldoutSummary) -> None:
    what = f"the forecast of {forecast.quantity} by {method}"
    if len(forecast) != len(holdout.customer_id):
        raise DataError(f"{what} has {len(forecast)} customers, the holdout {len(holdout.customer_id)}.")
    other = forecast.customer_id != holdout.customer_id
    if other.any():
        row = int(np.argmax(other))
        raise DataError(
            f"{what} and the holdout are not of the same customers in the same order: row {row} is "
            f"customer_id {forecast.customer_id[row]} and {holdout.customer_id[row]}. Make both from one "
            "customer summary."
        )
    bad = ~np.isfinite(forecast.mean)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{what} is {forecast.mean[row]} for {int(bad.sum())} customers (first: customer_id "
            f"{forecast.customer_id[row]}, row {row}). Leave this method out, or look at its fit."
        )


def _check_horizon(method: str, forecast: Forecast, holdout: HoldoutSummary) -> None:
    window = holdout.window
    forecast_days = forecast.horizon * days_per_unit(forecast.unit)
    holdout_days = window.holdout_length * days_per_unit(window.unit)
    if forecast.start > 0:
        raise DataError(
            f"the forecast of {forecast.quantity} by {method} begins {forecast.start:g} {forecast.unit}s after the "
            "calibration's end, the holdout at once. Forecast with horizon = window.holdout_length."
        )
    if abs(forecast_days - holdout_days) > 0.5:  # NaN, a quantity without a horizon, passes
        raise DataError(
            f"the forecast of {forecast.quantity} by {method} is over {forecast_days:g} days, the holdout "
            f"has {holdout_days:g}. Forecast with horizon = window.holdout_length."
        )


def _entry(
    method: str,
    outcome: str,
    *,
    forecast: Forecast,
    actual: FloatArray,
    check: PredictiveCheck | None,
    rows: IntArray,
) -> Entry:
    scored = (check.crps, check.log_score) if check is not None else scores_by_customer(forecast, actual)
    crps, log_score = (values[rows] for values in scored)
    case = Case(actual[rows], forecast.mean[rows], forecast.q05[rows], forecast.q95[rows], crps, log_score)
    gives = {"ranking"} if forecast.quantity == "score" else {"ranking", "mean"}
    if np.isfinite(forecast.q05).all() and np.isfinite(forecast.q95).all():
        gives |= {"distribution"}
    rules = tuple(rule for rule in SCORES.values() if rule.outcome == outcome and rule.needs in gives)
    return Entry(method, outcome, case, rules)


def _weights(n: int, replicates: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """How often n customers are counted in bootstrap replicates, a block at a time, shape (R, n)."""
    at_once = max(1, BLOCK_NUMBERS // n)
    for start in range(0, replicates, at_once):
        block = min(at_once, replicates - start)
        drawn = rng.integers(n, size=(block, n))
        counts = [np.bincount(customers, minlength=n) for customers in drawn]
        yield np.array(counts, dtype=np.float64)


def _values(entries: list[Entry], weights: FloatArray) -> dict[Key, FloatArray]:
    """Each score of each entry in the replicates of a block, shape (R,)."""
    outcomes = {
        entry.outcome: ResampledOutcome(entry.case.outcome, Ranking.of(entry.case.outcome), weights)
        for entry in entries
    }
    return {
        (entry.method, rule.name): rule.function(resample)
        for entry in entries
        for resample in [Resample(entry.case, outcomes[entry.outcome])]
        for rule in entry.rules
    }


def _score(key: Key, value: float, drawn: FloatArray, *, n: int) -> Score:
    method, score = key
    if np.isnan(value):
        return Score(method, score, value=None, low=None, high=None, n=n)
    low, high = _interval(drawn)
    return Score(method, score, value=value, low=low, high=high, n=n)


def _interval(drawn: FloatArray) -> tuple[float, float]:
    """90 % of the replicates in which the score has a meaning; at least the whole sample's are such."""
    low, high = np.nanquantile(drawn, BAND)
    return float(low), float(high)


def _duels(model: str, whole: Mapping[Key, FloatArray], drawn: Mapping[Key, FloatArray]) -> list[Duel]:
    return [
        _duel(method, SCORES[score], whole=(whole[model, score], value), drawn=(drawn[model, score], drawn[key]))
        for key, value in whole.items()
        for method, score in [key]
        if method != model and (model, score) in whole and np.isfinite(whole[model, score] + value).all()
    ]


def _duel(
    method: str,
    rule: ScoringRule,
    *,
    whole: tuple[FloatArray, FloatArray],
    drawn: tuple[FloatArray, FloatArray],
) -> Duel:
    """Model less method; where the target is the best, the distances from it are compared."""
    low, high = _interval(_comparable(rule, drawn[0]) - _comparable(rule, drawn[1]))
    return Duel(
        method=method,
        score=rule.name,
        model_value=float(whole[0][0]),
        method_value=float(whole[1][0]),
        difference=float((_comparable(rule, whole[0]) - _comparable(rule, whole[1]))[0]),
        low=low,
        high=high,
        verdict=_verdict(rule, low, high),
    )


def _comparable(rule: ScoringRule, values: FloatArray) -> FloatArray:
    return np.abs(values - rule.target) if rule.better == "zero" else values


def _verdict(rule: ScoringRule, low: float, high: float) -> str:
    if low <= 0 <= high:
        return "open"
    model_is_higher = low > 0
    return "model" if model_is_higher == (rule.better == "high") else "method"
