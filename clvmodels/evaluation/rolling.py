"""The contest at several origins: a league table, and verdicts that allow for how many methods and scores there are."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from clvmodels.evaluation.confidence_set import confidence_sets
from clvmodels.evaluation.contest import (
    BAND,
    Checks,
    Forecasts,
    Key,
    comparable,
    duel_of,
    entries_of,
    id_order,
    interval,
    replicate_blocks,
    scored,
)
from clvmodels.evaluation.scores import SCORES, Counts, ScoringRule, ratio
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import HoldoutSummary, IdArray, Window
from clvmodels.foundation.results import Duel, LeagueRow, Origin, RollingSection, RollingVerdict, WinnerRow
from clvmodels.foundation.whole import require_seed

LEVEL = 0.10
FEWEST_BLOCKS = 5  # of origins, for a bootstrap over time: fewer say nothing of how much times differ
LENGTHS_ALIKE = 1.15  # quarters of a year have 90 to 92 days, months 28 to 31
NOT_JUDGED = ("purchases_width_90", "spend_width_90")  # a narrow interval is no merit by itself
TIES = 1e-12  # scores closer than that, of their size, differ by rounding alone


@dataclass(frozen=True)
class Occasion:
    """What every method forecast at one origin, and what came.

    Attributes
    ----------
    forecasts : method -> quantity ("purchases", "spend", "active", "score") -> forecast
    holdout : what happened; every forecast has its customers in its order
    checks : method -> quantity -> check of its draws, where there is one
    left_out : methods that gave no forecast here, and what they said
    """

    forecasts: Forecasts
    holdout: HoldoutSummary
    checks: Checks | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreOverTime:
    """One score of the methods that have it at some origin; NaN where they have not.

    Attributes
    ----------
    rule : the score
    values : method -> ndarray, shape (O,)
    drawn : method -> ndarray, shape (O, R), in bootstrap replicates
    """

    rule: ScoringRule
    values: dict[str, FloatArray]
    drawn: dict[str, FloatArray]


@dataclass(frozen=True)
class _Scored:
    """Scores of one origin: on its customers as they are, and in replicates, shape (R,)."""

    origin: Origin
    whole: dict[Key, float]
    drawn: dict[Key, FloatArray]


@dataclass(frozen=True)
class _Times:
    """Origins that stand for the origins in each replicate.

    Attributes
    ----------
    origins : ndarray, shape (O, R)
    widening : of what they move a mean by, as there are few of them
    """

    origins: IntArray
    widening: float


def rolling_contest(
    windows: Sequence[Window],
    forecasts_of: Callable[[Window], Occasion],
    *,
    model: str,
    seed: int,
    data: str = "",
    replicates: int = 400,
    level: float = LEVEL,
    scores: Collection[str] = tuple(SCORES),
) -> RollingSection:
    """Scores of every method over rolling origins, with a verdict on each that allows for the number of both.

    Each method's scores at each origin are those of `contest`; a method stands in the league with their mean.

    Intervals (90 %) and verdicts are of a bootstrap paired over methods. Customers are resampled as wholes: how often
    one counts in a replicate depends on (seed, customer_id, replicate) alone (Poisson with mean 1), so a customer
    counts as often at every origin, as histories of one customer at several origins are no independent witnesses.
    Origins are resampled too, in circular blocks as long as their holdouts overlap, independently of the customers,
    and what that moves the mean by is widened as Student's t is for so few blocks: so an interval of the mean holds
    both, and leans to the wide side, as the differences between origins have some of the customers' chance in them
    already. With fewer than five blocks there is no telling how times differ: origins stay as they are, `time` is
    False, and intervals hold for these origins with other customers.

    Verdicts compare all methods at once, by all scores, by model confidence sets that hold together at `level`:
    "a is reliably better" where the others are dropped from the set, "no method is reliably better" where none is.
    Among methods that are equal on all scores any verdict of the contest drops one with a chance of `level` or less,
    however many methods and scores there are. Two contests, as of two horizons, are not allowed for. Nor do duels
    allow for anything: of ten between equals one looks settled. The width of an interval is no merit by itself and has
    no verdict.

    Where `model` gives no forecast, nothing can be said of it: such an origin is left out of the contest, by name.

    Parameters
    ----------
    windows : origins with holdouts of one length (`rolling_windows`), in order
    forecasts_of : window -> what all methods forecast there, and what came; called once a window, and let go
    model : the method that `duels` compare the others with
    seed : of the replicates, 0 to 2^64 - 1
    data : name of the data set, for the table of winners
    replicates : number of bootstrap replicates
    level : chance that any of the sets is without its best method
    scores : names, of `SCORES`, of those that count; by default all

    Raises
    ------
    DataError
        If there is no window, windows are out of order or have holdouts of different lengths, `level` is not between
        0 and 1, a score is not known, `model` gives a forecast at no origin, or what `contest` refuses.
    """
    seed = require_seed(seed)
    _check_windows(windows, level)
    rules = _rules(scores)
    left_out: dict[Window, str] = {}
    found = []
    for window in windows:
        occasion = forecasts_of(window)
        if model in occasion.left_out:
            left_out[window] = occasion.left_out[model]
        else:
            found.append(_scored(occasion, window, rules, model=model, seed=seed, replicates=replicates))
    windows = _without(windows, left_out, model)
    block = _block(windows)
    enough = len(windows) // block >= FEWEST_BLOCKS
    times = _times_drawn(len(windows), block, replicates, seed) if enough else None
    methods = list(dict.fromkeys(method for at in found for method, _ in at.whole))
    known = [values for rule in rules if (values := _over_time(rule, found, methods)).values]
    compared = [(values.rule, means) for values in known if (means := _means(values, times))]
    return RollingSection(
        data=data,
        horizon=float(np.mean([window.holdout_length for window in windows])),
        unit=windows[0].unit,
        model=model,
        methods=methods,
        origins=[at.origin for at in found],
        time=times is not None,
        block=block,
        level=level,
        league=[row for values in known for row in _league(values, times)],
        duels=[duel for rule, means in compared if model in means for duel in _duels(model, rule, means)],
        verdicts=_verdicts([(rule, means) for rule, means in compared if rule.name not in NOT_JUDGED], level),
        left_out={window.calibration_end.isoformat(): why for window, why in left_out.items()},
    )


def _rules(scores: Collection[str]) -> list[ScoringRule]:
    """Those of some scores, in the order of the registry."""
    unknown = [name for name in scores if name not in SCORES]
    if unknown or not scores:
        raise DataError(f"scores = {', '.join(unknown) or 'none'}: expected some of {', '.join(SCORES)}.")
    return [rule for name, rule in SCORES.items() if name in scores]


def _without(windows: Sequence[Window], left_out: Mapping[Window, str], model: str) -> list[Window]:
    """The windows at which the model gave a forecast."""
    kept = [window for window in windows if window not in left_out]
    if not kept:
        first = windows[0]
        raise DataError(
            f'model = "{model}" gave no forecast at any of {len(windows)} origins (first: {first.calibration_end}, '
            f"{left_out[first]}). Compare with another method."
        )
    return kept


def _check_windows(windows: Sequence[Window], level: float) -> None:
    if not windows:
        raise DataError("no window: a rolling contest needs one origin or more, such as rolling_windows gives.")
    if not 0 < level < 1:
        raise DataError(f"level = {level}: expected a chance between 0 and 1.")
    lengths = [window.holdout_length for window in windows]
    if max(lengths) > LENGTHS_ALIKE * min(lengths) or len({window.unit for window in windows}) > 1:
        raise DataError(
            f"the holdouts have {min(lengths):g} to {max(lengths):g} {windows[0].unit}s: scores of different horizons "
            "do not average. Run a contest for each horizon."
        )
    ends = [window.calibration_end for window in windows]
    if ends != sorted(set(ends)):
        raise DataError("the windows are not in the order of their calibration ends, or two have the same.")


# One origin


def _scored(
    occasion: Occasion, window: Window, rules: Collection[ScoringRule], *, model: str, seed: int, replicates: int
) -> _Scored:
    holdout = occasion.holdout
    found = entries_of(occasion.forecasts, holdout, model=model, replicates=replicates, checks=occasion.checks)
    entries = [replace(entry, rules=tuple(rule for rule in entry.rules if rule in rules)) for entry in found]
    ids = holdout.customer_id[id_order(holdout.customer_id)]
    whole, drawn = scored(entries, _customer_counts(ids, seed, replicates))
    spend = float(holdout.amount.sum())
    origin = Origin(
        calibration_end=window.calibration_end.isoformat(),
        holdout_end=str(window.holdout_end),
        customers=len(ids),
        purchases=float(holdout.purchases.sum()),
        spend=None if np.isnan(spend) else spend,
        left_out=dict(occasion.left_out),
    )
    return _Scored(origin, {key: float(value[0]) for key, value in whole.items()}, drawn)


def _customer_counts(ids: IdArray, seed: int, replicates: int) -> Iterator[Counts]:
    """How often customers are counted in bootstrap replicates, a block at a time, shape (some of R, N).

    Poisson with mean 1 by a hash of (seed, customer, replicate): the same at every origin.
    """
    from clvmodels.evaluation.kernels import count_customers
    from clvmodels.foundation.streams import customer_keys

    chances = stats.poisson.cdf(np.arange(20), 1.0)
    keys = customer_keys(ids)
    for block in replicate_blocks(len(ids), replicates):
        counts = np.empty((len(block), len(ids)), dtype=np.uint8)
        count_customers(keys, np.uint64(seed), np.uint64(block.start), chances, counts)
        yield counts


# Over time


def _block(windows: Sequence[Window]) -> int:
    """The most windows in a row whose holdouts have a day in common."""
    ends = [window.holdout_end for window in windows]
    return max(
        sum(later.calibration_end < end for later in windows[place:])
        for place, end in enumerate(ends)
        if end is not None
    )


def _times_drawn(number: int, block: int, replicates: int, seed: int) -> _Times:
    """Circular blocks of origins, drawn with replacement."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(number, size=(-(-number // block), 1, replicates))
    drawn = (starts + np.arange(block)[:, None]) % number
    blocks = number // block
    # A bootstrap of k values has sqrt((k - 1) / k) of their standard error and the quantiles of a normal one.
    as_t = np.sqrt(blocks / (blocks - 1)) * stats.t.ppf(BAND[1], blocks - 1) / stats.norm.ppf(BAND[1])
    return _Times(drawn.reshape(-1, replicates)[:number], float(as_t))


def _over_time(rule: ScoringRule, found: list[_Scored], methods: list[str]) -> ScoreOverTime:
    """A score at each origin, NaN where a method has none there."""
    replicates = len(next(iter(found[0].drawn.values())))
    nothing = np.full(replicates, np.nan)
    values = {m: np.array([at.whole.get((m, rule.name), np.nan) for at in found]) for m in methods}
    values = {method: of for method, of in values.items() if np.isfinite(of).any()}
    drawn = {
        m: np.stack(
            [
                at.drawn.get((m, rule.name), nothing) if np.isfinite(values[m][o]) else nothing
                for o, at in enumerate(found)
            ]
        )
        for m in values
    }
    return ScoreOverTime(rule, values, drawn)


def _complete(scores: ScoreOverTime) -> list[str]:
    """Methods with the score at every origin at which any method has it: their means compare."""
    known = {method: np.isfinite(values) for method, values in scores.values.items()}
    anywhere = np.any(list(known.values()), axis=0)
    return [method for method, at in known.items() if (at == anywhere).all()]


def _mean(values: FloatArray, times: _Times | None = None) -> FloatArray:
    """Mean over origins of the values there are: shape (O, R) to (R,); with the origins of each replicate, if drawn."""
    of_all = _known_mean(values)
    if times is None:
        return of_all
    moved = _known_mean(np.take_along_axis(values, times.origins, axis=0)) - of_all
    return of_all + times.widening * moved


def _known_mean(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


@dataclass(frozen=True)
class _Mean:
    """A method's mean over origins, and in replicates, shape (R,), by what `better` compares.

    Attributes
    ----------
    value : of the score itself
    compared : of the score, or of its distance from the target
    drawn : of the same in replicates
    """

    value: float
    compared: float
    drawn: FloatArray


def _means(scores: ScoreOverTime, times: _Times | None) -> dict[str, _Mean]:
    """Of each method with the score at all origins that have it."""
    return {
        method: _Mean(
            value=float(_mean(values[:, None])[0]),
            compared=float(_mean(comparable(scores.rule, values)[:, None])[0]),
            drawn=_mean(comparable(scores.rule, scores.drawn[method]), times),
        )
        for method, values in scores.values.items()
        if method in _complete(scores)
    }


def _league(scores: ScoreOverTime, times: _Times | None) -> list[LeagueRow]:
    won = _won(scores)
    rows = []
    for method, values in scores.values.items():
        low, high = interval(_mean(scores.drawn[method], times))
        rows.append(
            LeagueRow(
                method=method,
                score=scores.rule.name,
                value=float(_mean(values[:, None])[0]),
                low=low,
                high=high,
                origins=int(np.isfinite(values).sum()),
                won=won[method],
                by_origin=[float(value) if np.isfinite(value) else None for value in values],
            )
        )
    return rows


def _won(scores: ScoreOverTime) -> dict[str, float]:
    """Origins that each method won; methods that share the best place there share the origin."""
    losses = np.stack([_losses(scores.rule, comparable(scores.rule, of)) for of in scores.values.values()])
    best = _is_best(np.where(np.isfinite(losses), losses, np.inf))
    shares = best / np.maximum(best.sum(axis=0), 1)
    return dict(zip(scores.values, shares.sum(axis=1).tolist(), strict=True))


def _losses(rule: ScoringRule, compared: FloatArray) -> FloatArray:
    """The lower the better."""
    return -compared if rule.better == "high" else compared


def _is_best(losses: FloatArray) -> np.ndarray:
    """Whether each of some losses, shape (M, ...), is the least but for rounding; none is where all are infinite."""
    least = losses.min(axis=0)
    size = np.where(np.isfinite(least), np.abs(least), 0.0)
    return np.isfinite(losses) & (losses <= least + TIES * size)


def _duels(model: str, rule: ScoringRule, means: Mapping[str, _Mean]) -> list[Duel]:
    """`model` less each other method."""
    own = means[model]
    return [
        duel_of(
            method,
            rule,
            values=(own.value, other.value),
            difference=own.compared - other.compared,
            drawn=own.drawn - other.drawn,
        )
        for method, other in means.items()
        if method != model
    ]


def _verdicts(compared: Sequence[tuple[ScoringRule, Mapping[str, _Mean]]], level: float) -> list[RollingVerdict]:
    """On each score, from sets that hold together; of replicates in which every score of every method has a meaning."""
    losses = [_losses(rule, np.array([mean.compared for mean in means.values()])) for rule, means in compared]
    drawn = [_losses(rule, np.stack([mean.drawn for mean in means.values()])) for rule, means in compared]
    known = np.all([np.isfinite(of_score).all(axis=0) for of_score in drawn], axis=0)
    p_values = confidence_sets(losses, [of_score[:, known] for of_score in drawn])
    return [
        _verdict(rule, means, of_score, p, level)
        for (rule, means), of_score, p in zip(compared, losses, p_values, strict=True)
    ]


def _verdict(
    rule: ScoringRule, means: Mapping[str, _Mean], losses: FloatArray, p_values: FloatArray, level: float
) -> RollingVerdict:
    methods = list(means)
    kept = [method for method, p in zip(methods, p_values, strict=True) if p >= level]
    best = [method for method, is_best in zip(methods, _is_best(losses), strict=True) if is_best]
    if len(methods) == 1:
        verdict = "alone"
    elif len(kept) == 1:
        verdict = "one"
    else:
        verdict = "none" if len(kept) == len(methods) else "some"
    return RollingVerdict(
        score=rule.name,
        best=best,
        kept=kept,
        p_values=dict(zip(methods, p_values.tolist(), strict=True)),
        verdict=verdict,
        duels=_duels(best[0], rule, means),
    )


def winners(sections: Sequence[RollingSection]) -> list[WinnerRow]:
    """Who is best by each score, on each data set, over each horizon: a row for each verdict of the sections."""
    return [
        WinnerRow(
            score=verdict.score,
            data=section.data,
            horizon=section.horizon,
            unit=section.unit,
            origins=len(section.origins),
            time=section.time,
            best=verdict.best,
            value=next(
                row.value for row in section.league if (row.method, row.score) == (verdict.best[0], verdict.score)
            ),
            kept=verdict.kept,
            verdict=verdict.verdict,
        )
        for section in sections
        for verdict in section.verdicts
    ]
