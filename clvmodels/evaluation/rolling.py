"""The contest at several origins: a league table, and a verdict that allows for how many methods there are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from clvmodels.evaluation.confidence_set import confidence_set
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
) -> RollingSection:
    """Scores of every method over rolling origins, with a verdict on each score that allows for their number.

    Each method's scores at each origin are those of `contest`; a method stands in the league with their mean.

    Intervals (90 %) and verdicts are of a bootstrap paired over methods. Customers are resampled as wholes: how often
    one counts in a replicate depends on (seed, customer_id, replicate) alone (Poisson with mean 1), so a customer
    counts as often at every origin, as histories of one customer at several origins are no independent witnesses.
    Origins are resampled too, in circular blocks as long as their holdouts overlap, independently of the customers,
    and what that moves the mean by is widened as Student's t is for so few blocks: so an interval of the mean holds
    both, and leans to the wide side, as the differences between origins have some of the customers' chance in them
    already. With fewer than five blocks there is no telling how times differ: origins stay as they are, `time` is
    False, and intervals hold for these origins with other customers.

    A verdict compares all methods at once by the model confidence set at `level`: "a is reliably better" where the
    others are dropped from it, "no method is reliably better" where none is. It allows for the number of methods, not
    for that of scores: of ten scores on which methods are equal, one may look decided at level .10. The width of an
    interval is no merit by itself and has no verdict.

    Parameters
    ----------
    windows : origins with holdouts of one length (`rolling_windows`), in order
    forecasts_of : window -> what all methods forecast there, and what came; called once a window, and let go
    model : the method that `duels` compare the others with
    seed : of the replicates, 0 to 2^64 - 1
    data : name of the data set, for the table of winners
    replicates : number of bootstrap replicates
    level : chance of a set without the best method

    Raises
    ------
    DataError
        If there is no window, windows are out of order or have holdouts of different lengths, `level` is not between
        0 and 1, or what `contest` refuses.
    """
    seed = require_seed(seed)
    _check_windows(windows, level)
    found = [_scored(forecasts_of(window), window, model=model, seed=seed, replicates=replicates) for window in windows]
    block = _block(windows)
    enough = len(windows) // block >= FEWEST_BLOCKS
    times = _times_drawn(len(windows), block, replicates, seed) if enough else None
    methods = list(dict.fromkeys(method for at in found for method, _ in at.whole))
    known = [scores for rule in SCORES.values() if (scores := _over_time(rule, found, methods)).values]
    compared = [(scores.rule, means) for scores in known if (means := _means(scores, times))]
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
        league=[row for scores in known for row in _league(scores, times)],
        duels=[duel for rule, means in compared if model in means for duel in _duels(model, rule, means)],
        verdicts=[_verdict(rule, means, level) for rule, means in compared if rule.name not in NOT_JUDGED],
    )


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


def _scored(occasion: Occasion, window: Window, *, model: str, seed: int, replicates: int) -> _Scored:
    holdout = occasion.holdout
    if model in occasion.left_out:
        raise DataError(
            f'model = "{model}" gave no forecast at {window.calibration_end}: {occasion.left_out[model]} '
            "Compare with another method, or leave this origin out."
        )
    entries = entries_of(occasion.forecasts, holdout, model=model, replicates=replicates, checks=occasion.checks)
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


def _verdict(rule: ScoringRule, means: Mapping[str, _Mean], level: float) -> RollingVerdict:
    methods = list(means)
    losses = _losses(rule, np.array([means[method].compared for method in methods]))
    drawn = _losses(rule, np.stack([means[method].drawn for method in methods]))
    p_values = confidence_set(losses, drawn[:, np.isfinite(drawn).all(axis=0)])
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
