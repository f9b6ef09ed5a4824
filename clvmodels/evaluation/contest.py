"""The contest: a model and the classical methods on the same held-out purchases and spend."""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from clvmodels.evaluation.calibration import PredictiveCheck
from clvmodels.evaluation.drawn import DrawScores, scores_by_customer
from clvmodels.evaluation.scores import SCORES, Case, Counts, Needs, Ranking, Resample, ResampledOutcome, ScoringRule
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import Forecast, HoldoutSummary, IdArray
from clvmodels.foundation.results import ComparisonSection, Duel, Score
from clvmodels.foundation.units import days_per_unit

Forecasts = Mapping[str, Mapping[str, Forecast]]
Checks = Mapping[str, Mapping[str, PredictiveCheck]]
Key = tuple[str, str]  # method, score

BAND = (0.05, 0.95)
BLOCK_NUMBERS = 16_000_000  # customers x replicates at a time: 16 MB of counts
WORTH_THREADS = 100_000  # customers x replicates, from which on scores of several entries are worked out at once


@dataclass(frozen=True)
class Entry:
    """A method's forecast of one outcome, and the scores that it can have."""

    method: str
    outcome: str
    case: Case
    rules: tuple[ScoringRule, ...]


@dataclass(frozen=True)
class Told:
    """What a method tells of one outcome.

    Attributes
    ----------
    forecast, low, high : as in `Case`, in the forecasts' order of customers
    drawn : scores of its draws
    gives : what scores it has enough for
    """

    forecast: FloatArray
    low: FloatArray
    high: FloatArray
    drawn: DrawScores
    gives: frozenset[Needs]


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
    Purchases are scored by the forecast of purchases, spend by that of spend, and who comes back by the
    probability of a purchase ("active", else the share of the draws of purchases above 0, else what ranks
    purchases). A method that only ranks ("score") enters the rankings of all three; one that gives a score beside its
    forecast of spend ranks spend by the score. A score without meaning (the outcome is zero for all; the rank
    correlation of a constant; a log score of what was said to be impossible) is None and has no duel. Verdicts take one
    score at a time: of ten duels between equals, one is expected to look decided.

    Parameters
    ----------
    forecasts : method -> quantity ("purchases", "spend", "active", "score") -> forecast
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
        another time, not finite or no probability, none is of what is scored, or the holdout is known of some
        customers only.
    """
    entries = entries_of(forecasts, holdout, model=model, replicates=replicates, checks=checks)
    n = len(holdout.customer_id)
    whole, drawn = scored(entries, bootstrap_counts(n, replicates, rng))
    return ComparisonSection(
        model=model,
        methods=list(forecasts),
        scores=[_score(key, float(whole[key][0]), drawn[key], n=n) for key in whole],
        duels=_duels(model, whole, drawn),
    )


def entries_of(
    forecasts: Forecasts, holdout: HoldoutSummary, *, model: str, replicates: int, checks: Checks | None
) -> list[Entry]:
    """Each method's case of each outcome that it tells something of, customers in the order of their ids.

    Parameters and errors are those of `contest`.
    """
    outcomes = _outcomes(holdout)
    _check_contest(forecasts, holdout, model=model, replicates=replicates)
    by_id = id_order(holdout.customer_id)
    checked = checks or {}
    known = {method: _drawn_scores(told, outcomes, checked.get(method, {})) for method, told in forecasts.items()}
    entries = [
        _entry(method, outcome, told, actual=actual, rows=by_id)
        for outcome, actual in outcomes.items()
        for method, quantities in forecasts.items()
        for told in _told(outcome, quantities, known[method])
    ]
    if not entries:
        given = sorted({quantity for quantities in forecasts.values() for quantity in quantities})
        raise DataError(
            f"no forecast is of what the holdout knows: there are {', '.join(given) or 'none'}; expected purchases, "
            "spend, active or score."
        )
    return entries


def id_order(customer_id: IdArray) -> IntArray:
    """Customers in the order of their ids, shape (N,): sums do not depend on the caller's order."""
    return np.argsort(customer_id.astype(str), kind="stable")


def scored(entries: list[Entry], counts: Iterable[Counts]) -> tuple[dict[Key, FloatArray], dict[Key, FloatArray]]:
    """Every score of every entry: on the customers as they are, shape (1,), and in replicates, shape (R,).

    Parameters
    ----------
    counts : blocks of replicates, each of shape (some of R, N), customers in the order of their ids
    """
    n = len(entries[0].case.outcome)
    whole = _values(entries, np.ones((1, n), dtype=np.uint8))
    blocks = [_values(entries, block) for block in counts]
    return whole, {key: np.concatenate([block[key] for block in blocks]) for key in whole}


def _outcomes(holdout: HoldoutSummary) -> dict[str, FloatArray]:
    """Outcomes that the holdout knows: purchases, who came back, and spend where the log has amounts."""
    known = {"purchases": holdout.purchases, "spend": holdout.amount}
    for name, values in known.items():
        unknown = np.isnan(values)
        if unknown.any() and not unknown.all():
            raise DataError(
                f"the holdout's {name} is not known for {int(unknown.sum())} customers (first: customer_id "
                f"{holdout.customer_id[np.argmax(unknown)]}). A customer who did not come back has 0."
            )
    outcomes = {name: values for name, values in known.items() if not np.isnan(values).any()}
    if "purchases" in outcomes:
        outcomes["active"] = holdout.active.astype(np.float64)
    return outcomes


def _drawn_scores(
    quantities: Mapping[str, Forecast], outcomes: Mapping[str, FloatArray], checks: Mapping[str, PredictiveCheck]
) -> dict[str, DrawScores]:
    """Scores of a method's draws of purchases and of spend, from their check where there is one."""
    return {
        name: checks[name].drawn if name in checks else scores_by_customer(quantities[name], outcomes[name])
        for name in ("purchases", "spend")
        if name in quantities and name in outcomes
    }


def _told(outcome: str, quantities: Mapping[str, Forecast], known: Mapping[str, DrawScores]) -> list[Told]:
    """What a method tells of an outcome, nothing or up to two things.

    Who comes back is told by a forecast of it, else by draws of purchases; a forecast of purchases without draws, or
    a score, ranks only. A method with a score beside its forecast of spend ranks spend by the score.
    """
    if outcome == "active":
        if "active" in quantities:
            return [_of_means(quantities["active"].mean, "ranking", "probability")]
        if "purchases" in known and np.isfinite(known["purchases"].p_active).all():
            return [_of_means(known["purchases"].p_active, "ranking", "probability")]
        ranking = quantities.get("purchases", quantities.get("score"))
        return [] if ranking is None else [_of_means(ranking.mean, "ranking")]
    score = [_of_means(quantities["score"].mean, "ranking")] if "score" in quantities else []
    if outcome not in quantities:
        return score
    told = _of_distribution(quantities[outcome], known[outcome])
    if outcome == "spend" and score:
        return [replace(told, gives=told.gives - {"ranking"}), *score]
    return [told]


def _of_means(forecast: FloatArray, *gives: Needs) -> Told:
    nothing = np.full(len(forecast), np.nan)
    return Told(forecast, nothing, nothing, DrawScores.unknown(len(forecast)), frozenset(gives))


def _of_distribution(forecast: Forecast, drawn: DrawScores) -> Told:
    gives: set[Needs] = {"ranking", "mean"}
    if np.isfinite(forecast.q05).all() and np.isfinite(forecast.q95).all():
        gives.add("distribution")
    return Told(forecast.mean, forecast.q05, forecast.q95, drawn, frozenset(gives))


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
    if forecast.quantity == "active":
        bad |= (forecast.mean < 0) | (forecast.mean > 1)
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


def _entry(method: str, outcome: str, told: Told, *, actual: FloatArray, rows: IntArray) -> Entry:
    drawn = told.drawn.at(rows)
    case = Case(
        outcome=actual[rows],
        forecast=told.forecast[rows],
        low=told.low[rows],
        high=told.high[rows],
        crps=drawn.crps,
        log_score=drawn.log_score,
        pit_low=drawn.pit_low,
        pit_high=drawn.pit_high,
    )
    rules = tuple(rule for rule in SCORES.values() if rule.outcome == outcome and rule.needs in told.gives)
    return Entry(method, outcome, case, rules)


def bootstrap_counts(n: int, replicates: int, rng: np.random.Generator) -> Iterator[Counts]:
    """How often n customers are counted in bootstrap replicates, a block at a time, shape (some of R, n)."""
    for block in replicate_blocks(n, replicates):
        yield np.array([np.bincount(rng.integers(n, size=n), minlength=n) for _ in block]).astype(np.uint8)


def replicate_blocks(n: int, replicates: int) -> Iterator[range]:
    """Replicates of n customers that are worked on at once."""
    at_once = max(1, BLOCK_NUMBERS // n)
    for first in range(0, replicates, at_once):
        yield range(first, min(first + at_once, replicates))


def _values(entries: list[Entry], counts: Counts) -> dict[Key, FloatArray]:
    """Each score of each entry in the replicates of a block, shape (R,)."""
    outcomes = {
        entry.outcome: ResampledOutcome(entry.case.outcome, Ranking.of(entry.case.outcome), counts) for entry in entries
    }

    def values_of(entry: Entry) -> list[tuple[Key, FloatArray]]:
        resample = Resample(entry.case, outcomes[entry.outcome])
        return [((entry.method, rule.name), rule.function(resample)) for rule in entry.rules]

    if counts.size < WORTH_THREADS:
        return dict(pair for entry in entries for pair in values_of(entry))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(pair for pairs in threads.map(values_of, entries) for pair in pairs)


def _score(key: Key, value: float, drawn: FloatArray, *, n: int) -> Score:
    method, score = key
    if np.isnan(value):
        return Score(method, score, value=None, low=None, high=None, n=n)
    low, high = interval(drawn)
    return Score(method, score, value=value, low=low, high=high, n=n)


def interval(drawn: FloatArray) -> tuple[float, float]:
    """90 % of the replicates in which the score has a meaning; at least the whole sample's are such."""
    low, high = np.nanquantile(drawn, BAND)
    return float(low), float(high)


def _duels(model: str, whole: Mapping[Key, FloatArray], drawn: Mapping[Key, FloatArray]) -> list[Duel]:
    return [
        _duel((model, score), key, whole, drawn)
        for key, value in whole.items()
        for method, score in [key]
        if method != model and (model, score) in whole and np.isfinite(whole[model, score] + value).all()
    ]


def _duel(own: Key, other: Key, whole: Mapping[Key, FloatArray], drawn: Mapping[Key, FloatArray]) -> Duel:
    rule = SCORES[own[1]]
    return duel_of(
        other[0],
        rule,
        values=(float(whole[own][0]), float(whole[other][0])),
        difference=float((comparable(rule, whole[own]) - comparable(rule, whole[other]))[0]),
        drawn=comparable(rule, drawn[own]) - comparable(rule, drawn[other]),
    )


def duel_of(
    method: str, rule: ScoringRule, *, values: tuple[float, float], difference: float, drawn: FloatArray
) -> Duel:
    """Model less method; where the target is the best, the distances from it are compared.

    Parameters
    ----------
    values : the score of the model and of the method
    difference : of the two as they compare
    drawn : ndarray, shape (R,), the same in replicates
    """
    low, high = interval(drawn)
    return Duel(
        method=method,
        score=rule.name,
        model_value=values[0],
        method_value=values[1],
        difference=difference,
        low=low,
        high=high,
        verdict=_verdict(rule, low, high),
    )


def comparable(rule: ScoringRule, values: FloatArray) -> FloatArray:
    """A score, or its distance from the target where that is the best."""
    return np.abs(values - rule.target) if rule.better == "zero" else values


def _verdict(rule: ScoringRule, low: float, high: float) -> str:
    if low <= 0 <= high:
        return "open"
    model_is_higher = low > 0
    return "model" if model_is_higher == (rule.better == "high") else "method"
