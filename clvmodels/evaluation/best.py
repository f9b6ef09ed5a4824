"""`best_forecast`: the models that rank customers best on days inside the calibration, and their forecast together.

Which models rank a base best differs from base to base, and the days to come cannot be asked. So every candidate is
fitted as if an earlier day were today, and is held against what came between that day and the calibration's end. Chance
is great there: candidates whose distance from the first has a 90 % interval with 0 in it count as equal, and the
forecast is their mixture with equal weights, which is steadier than any one of them.

Models divide purchases by the time since the first one. Where that is not when a customer came (a log that begins in
the middle of a business), past spend as it is may rank better: the same days tell how much of it the ranking takes in.
"""

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.data import customer_summary, training_windows
from clvmodels.evaluation.contest import bootstrap_counts
from clvmodels.evaluation.pairs import Candidate, FitsMade, Fitting, fit_once
from clvmodels.evaluation.scores import Case, Counts, Ranking, Resample, ResampledOutcome, capture_20, normalised_gini
from clvmodels.forecast import expected_spends, sample_average_spend
from clvmodels.forecast.draws import over_blocks
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Baskets
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary, TransactionLog, Window
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference import Fit, fit_joint
from clvmodels.models import JOINT

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

EXPECTATION_DRAWS = 20  # posterior draws that an expectation is taken over: more do not change the order of customers
SCORES_READ = (normalised_gini, capture_20)
MOST_LEARNT = 100_000  # customers that candidates learn from and are held against: beyond it the choice hardly moves
SHARES = (0.0, 0.5, 1.0)  # of past spend in the ranking: none, half and half in logarithms, nothing else

Origin = tuple[CustomerSummary, HoldoutSummary]


CANDIDATES = tuple(
    Candidate(purchases, "gamma_gamma", baskets)
    for purchases in ("nbd", "bg_nbd", "mbg_nbd", "pareto_nbd")
    for baskets in ("all", "repeat")
)


@dataclass(frozen=True)
class InnerScore:
    """How a candidate ranked customers on days inside the calibration.

    Attributes
    ----------
    candidate : name
    gini, capture_20 : normalised Gini and share of spend of the top 20 %, by origin, the earliest first
    score : mean of all of them
    behind : score of the first candidate less this one's
    standard_error : of `behind`, over bootstrap replicates of the customers that are the same for both
    weight : in the forecast
    """

    candidate: str
    gini: tuple[float, ...]
    capture_20: tuple[float, ...]
    score: float
    behind: float
    standard_error: float
    weight: float


@dataclass(frozen=True)
class BestForecast:
    """The forecast of the candidates that ranked best inside the calibration, and how they were found.

    Attributes
    ----------
    forecast : of "spend" in currency over the horizon. The mean is the expectation, without the noise of draws;
        sd, quantiles, totals and replay are of the mixture's draws
    ranking : "score" to order customers by: expected spend ^ (1 - share) x past spend ^ share
    share : of past spend in the ranking: the one of `by_share` with the highest score, the least of equal ones
    by_share : share -> mean score of such a ranking by the chosen candidates at the origins
    scores : of every candidate, the best first
    left_out : candidate -> why it is not among them
    origins : the windows inside the calibration, the earliest first
    seconds : that all of it took
    """

    forecast: Forecast
    ranking: Forecast
    share: float
    by_share: dict[float, float]
    scores: tuple[InnerScore, ...]
    left_out: dict[str, str]
    origins: tuple[Window, ...]
    seconds: float

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each candidate in the forecast; those without are not named."""
        return {row.candidate: row.weight for row in self.scores if row.weight > 0}

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a candidate: mean Gini and capture over origins, score, behind and its error, weight."""
        import pandas as pd

        return pd.DataFrame(
            {
                "candidate": row.candidate,
                "gini": float(np.mean(row.gini)),
                "capture_20": float(np.mean(row.capture_20)),
                "score": row.score,
                "behind": row.behind,
                "standard_error": row.standard_error,
                "weight": row.weight,
            }
            for row in self.scores
        )


def best_forecast(
    log: TransactionLog,
    window: Window,
    *,
    seed: int,
    horizon: float | None = None,
    candidates: Sequence[Candidate] = CANDIDATES,
    origins: int = 3,
    within: float = 1.645,
    draws: int = 500,
    replicates: int = 200,
    fit_draws: int = 500,
    fits: FitsMade | None = None,
) -> BestForecast:
    """Spend of each customer by the models that ranked customers best inside the calibration.

    Every candidate is fitted by "laplace" at each origin of `training_windows` and forecasts the days up to the next
    one. Its score is the mean, over origins, of normalised Gini and of the share of spend that its top 20 % carry.
    Of more than 100,000 customers so many, evenly spaced, are learnt from and held against what came.
    Those at most `within` standard errors behind the first are fitted to the whole calibration and forecast together,
    with equal weights. A candidate that cannot be fitted, or fails a check, at any origin is left out by name; so is
    one of those chosen that fails at the calibration's end, and then the choice is made without it.

    Parameters
    ----------
    log : purchase log; days after the calibration's end change nothing
    window : its `calibration_end`, unit and limits of acquisition are read
    seed : of the random numbers
    horizon : length of time to forecast, in the window's unit; by default the window's holdout
    candidates : models to choose from, of different names; the simplest first, which wins where scores are equal
    origins : most windows inside the calibration
    within : standard errors behind the first that still count as equal: by default those of a 90 % interval. 0 takes
        the first alone, infinity all
    draws : predictive draws of each customer
    replicates : bootstrap replicates that standard errors are of
    fit_draws : posterior draws of each fit
    fits : fits shared with other forecasts, in a contest; by default none

    Returns
    -------
    BestForecast

    Raises
    ------
    DataError
        If there are no windows inside the calibration, nobody spends in them, or an argument cannot be used.
    FitError
        If no candidate is left.
    """
    began = time.perf_counter()
    _check_arguments(candidates, within=within, draws=draws, replicates=replicates, seed=seed)
    ahead = window.holdout_length if horizon is None else horizon
    known = training_windows(log, window, horizon=ahead, origins=origins, logarithms=None)
    inner = [_some_at(*origin) for origin in known]
    _require_spend(inner)
    left_out: dict[str, str] = {}
    made = fits or FitsMade()
    fitting = Fitting(seed, draws=require_count("fit_draws", fit_draws, error=DataError))
    values = [_expected_at(origin, candidates, left_out, fitting, made) for origin in inner]
    customers = customer_summary(log, window)

    def score(names: Sequence[str]) -> tuple[InnerScore, ...]:
        rng = np.random.default_rng(seed)
        return _scores(inner, values, names, within=within, replicates=replicates, rng=rng)

    scores, pairs, expected = _chosen(customers, candidates, left_out, score, ahead=ahead, fitting=fitting, made=made)
    weights = {row.candidate: row.weight for row in scores if row.weight > 0}
    by_share = _by_share(inner, values, weights)
    share = max(SHARES, key=lambda one: by_share[one])
    forecast = _mixture(pairs, expected, weights, customers=customers, horizon=ahead, draws=draws, seed=seed)
    return BestForecast(
        forecast=forecast,
        ranking=_ranking(forecast, _with_past_spend(forecast.mean, customers, share)),
        share=share,
        by_share=by_share,
        scores=scores,
        left_out=left_out,
        origins=tuple(outcome.window for _, outcome in inner),
        seconds=time.perf_counter() - began,
    )


def _check_arguments(candidates: Sequence[Candidate], *, within: float, draws: int, replicates: int, seed: int) -> None:
    require_seed(seed)
    require_count("draws", draws, error=DataError)
    require_count("replicates", replicates, error=DataError)
    if replicates < 2:
        raise DataError(f"replicates = {replicates}: a standard error needs 2 or more; 200 are steady.")
    if not within >= 0:
        raise DataError(f"within = {within}: expected a number of standard errors, 0 or above.")
    names = [candidate.name for candidate in candidates]
    if not names or len(set(names)) < len(names):
        raise DataError(f"candidates = {', '.join(names) or 'none'}: expected one or more, each once.")


def _evenly(customers: int) -> IntArray:
    """Places of `MOST_LEARNT` customers at the most, evenly spaced."""
    return np.arange(0, customers, -(-customers // MOST_LEARNT))


def _some(customers: CustomerSummary) -> CustomerSummary:
    """Some of the customers, where they are many."""
    return customers if len(customers) <= MOST_LEARNT else customers.take(_evenly(len(customers)))


def _some_at(customers: CustomerSummary, outcome: HoldoutSummary) -> Origin:
    """The same, and what they did."""
    if len(customers) <= MOST_LEARNT:
        return customers, outcome
    rows, names = _evenly(len(customers)), ("customer_id", "purchases", "amount")
    return customers.take(rows), replace(outcome, **{name: getattr(outcome, name)[rows] for name in names})


def _require_spend(inner: Sequence[Origin]) -> None:
    if not inner:
        raise DataError("the calibration has no window inside it to choose on: give origins = 1 or more.")
    for _, outcome in inner:
        if not outcome.amount.sum() > 0:
            raise DataError(
                f"nobody spent anything between {outcome.window.calibration_end} and {outcome.window.holdout_end}: "
                "models cannot be told apart by how they rank spend there. Choose a model yourself."
            )


def _expected_at(
    origin: Origin, candidates: Sequence[Candidate], left_out: dict[str, str], fitting: Fitting, made: FitsMade
) -> dict[str, FloatArray]:
    """Expected spend over an origin's days to come by each candidate that can be fitted at it, shape (N,) each."""
    customers, outcome = origin
    fits = _fits(customers, candidates, left_out, fitting, made)
    ahead = outcome.window.holdout_length
    return _expected(fits, customers, ahead, left_out)


def _chosen(
    customers: CustomerSummary,
    candidates: Sequence[Candidate],
    left_out: dict[str, str],
    score: Callable[[Sequence[str]], tuple[InnerScore, ...]],
    *,
    ahead: float,
    fitting: Fitting,
    made: FitsMade,
) -> tuple[tuple[InnerScore, ...], dict[str, tuple[Fit, Fit]], dict[str, FloatArray]]:
    """Scores of the candidates that are left, and of those with a weight the fits and the expected spend.

    Only those are fitted to the whole calibration. Where one of them fails there, the others are scored anew.
    """
    while names := [candidate.name for candidate in candidates if candidate.name not in left_out]:
        scores = score(names)
        best = {row.candidate for row in scores if row.weight > 0}
        again = [one for one in candidates if one.name in best]
        pairs = _fits(_some(customers), again, left_out, fitting, made)
        expected = _expected(pairs, customers, ahead, left_out)
        if best.isdisjoint(left_out):
            return scores, pairs, expected
    raise FitError(f"no candidate is left: {'; '.join(f'{name}: {why}' for name, why in left_out.items())}.")


def _fits(
    customers: CustomerSummary,
    candidates: Iterable[Candidate],
    left_out: dict[str, str],
    fitting: Fitting,
    made: FitsMade,
) -> dict[str, tuple[Fit, Fit]]:
    """The two fits of each candidate that is still in; a model of several candidates is fitted once."""
    learn = functools.cache(lambda model, baskets: _learnt(model, baskets, customers, fitting, made))
    fits = {}
    for one in candidates:
        if one.name in left_out:
            continue
        parts = [learn(*part) for part in _parts(one)]
        failed = [part for part in parts if isinstance(part, str)]
        if failed:
            left_out[one.name] = f"at {customers.calibration_end}: {failed[0]}"
            continue
        purchases, spend = (part for learnt in parts for part in learnt if isinstance(part, Fit))
        fits[one.name] = (purchases, spend)
    return fits


def _parts(candidate: Candidate) -> list[tuple[str, Baskets]]:
    """What is fitted apart for a candidate: model and baskets of each."""
    purchases: tuple[str, Baskets] = (candidate.purchases, "repeat")
    return [purchases] if candidate.purchases in JOINT else [purchases, (candidate.spend, candidate.baskets)]


def _learnt(
    model: str, baskets: Baskets, customers: CustomerSummary, fitting: Fitting, made: FitsMade
) -> tuple[Fit, ...] | str:
    """The fit (of the joint model its two halves), or why there is none."""
    try:
        if model in JOINT:
            fits: tuple[Fit, ...] = fit_joint(customers, seed=fitting.seed, draws=fitting.draws)
        else:
            fits = (fit_once(model, customers, made, fitting=fitting, baskets=baskets),)
    except (FitError, DataError) as problem:
        return str(problem)
    failed = [check.key for one in fits for check in one.checks if not check.passed]
    return f"checks failed: {', '.join(failed)}" if failed else fits


def _expected(
    fits: Mapping[str, tuple[Fit, Fit]], customers: CustomerSummary, horizon: float, left_out: dict[str, str]
) -> dict[str, FloatArray]:
    """Expected spend of each customer over a horizon, shape (N,) each; a candidate without one is left out."""
    expected: dict[str, FloatArray] = {}
    for model in dict.fromkeys(purchases.model.name for purchases, _ in fits.values()):
        of_model = {name: pair for name, pair in fits.items() if pair[0].model.name == model}
        purchases, _ = next(iter(of_model.values()))
        spends = [spend for _, spend in of_model.values()]
        values = expected_spends(purchases, spends, customers, horizon=horizon, draws=EXPECTATION_DRAWS)
        expected |= dict(zip(of_model, values, strict=True))
    for name, values_of in expected.items():
        if not np.isfinite(values_of).all():
            left_out[name] = f"at {customers.calibration_end}: the expected spend of some customers is infinite"
    return expected


def _scores(
    inner: Sequence[Origin],
    values: Sequence[Mapping[str, FloatArray]],
    names: Sequence[str],
    *,
    within: float,
    replicates: int,
    rng: np.random.Generator,
) -> tuple[InnerScore, ...]:
    """Scores of the candidates over all origins, the best first, with the weight of each in the forecast."""
    plain, drawn = [], []  # (candidates, scores) and (candidates, scores, replicates) of each origin
    for (_, outcome), expected in zip(inner, values, strict=True):
        cases = [_case(outcome, expected[name]) for name in names]
        n = len(outcome.customer_id)
        plain.append(_ranked(cases, np.ones((1, n), dtype=np.uint8))[..., 0])
        drawn.append(
            np.concatenate([_ranked(cases, counts) for counts in bootstrap_counts(n, replicates, rng)], axis=-1)
        )
    by_origin = np.array(plain)  # (origins, candidates, scores)
    score = by_origin.mean(axis=(0, 2))
    first = int(np.argmax(score))
    # NaN where a replicate has no spend at all
    differences = np.nanmean(np.array(drawn), axis=(0, 2))
    error = np.nanstd(differences[first] - differences, axis=1, ddof=1)
    behind = score[first] - score
    equal = (behind == 0) | (behind <= within * np.maximum(error, np.finfo(float).tiny))  # infinity times 0 is none
    rows = [
        InnerScore(
            candidate=name,
            gini=tuple(by_origin[:, place, 0].tolist()),
            capture_20=tuple(by_origin[:, place, 1].tolist()),
            score=float(score[place]),
            behind=float(behind[place]),
            standard_error=float(error[place]),
            weight=float(equal[place] / equal.sum()),
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(rows, key=lambda row: row.behind))


def _case(outcome: HoldoutSummary, expected: FloatArray) -> Case:
    """A ranking by expected spend, in the order of customer_id: replicates do not depend on the order of rows."""
    rows = np.argsort(outcome.customer_id.astype(str), kind="stable")
    return Case(outcome.amount[rows], expected[rows], *[np.full(len(rows), np.nan)] * 6)


def _ranked(cases: Sequence[Case], counts: Counts) -> FloatArray:
    """The scores of each case in replicates of its customers, shape (cases, scores, R)."""
    outcome = cases[0].outcome
    of = ResampledOutcome(outcome, Ranking.of(outcome), counts)

    def scores_of(one: IntArray) -> list[FloatArray]:
        resample = Resample(cases[int(one[0])], of)
        return [score(resample) for score in SCORES_READ]

    return np.array(list(over_blocks(len(cases), scores_of, size=1)))


def _by_share(
    inner: Sequence[Origin], values: Sequence[Mapping[str, FloatArray]], weights: Mapping[str, float]
) -> dict[float, float]:
    """Mean score over origins of rankings that take in past spend, by its share."""
    scores = []
    for (customers, outcome), expected in zip(inner, values, strict=True):
        mean = _weighted(expected, weights)
        cases = [_case(outcome, _with_past_spend(mean, customers, share)) for share in SHARES]
        scores.append(_ranked(cases, np.ones((1, len(customers)), dtype=np.uint8))[..., 0].mean(axis=1))
    return dict(zip(SHARES, np.mean(scores, axis=0).tolist(), strict=True))


def _with_past_spend(expected: FloatArray, customers: CustomerSummary, share: float) -> FloatArray:
    """Expected spend ^ (1 - share) x past spend ^ share, shape (N,): what customers are ordered by."""
    past: FloatArray = np.round(customers.all_spend_purchases * np.nan_to_num(customers.all_spend_mean), 6)
    return np.asarray(expected ** (1 - share) * past**share)


def _ranking(forecast: Forecast, score: FloatArray) -> Forecast:
    no = np.full(len(score), np.nan)
    return replace(forecast, quantity="score", mean=score, sd=no, q05=no, q50=no, q95=no, totals=None, replay=None)


def _weighted(expected: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    return np.asarray(np.sum([weight * expected[name] for name, weight in weights.items()], axis=0))


def _mixture(
    fits: Mapping[str, tuple[Fit, Fit]],
    expected: Mapping[str, FloatArray],
    weights: Mapping[str, float],
    *,
    customers: CustomerSummary,
    horizon: float,
    draws: int,
    seed: int,
) -> Forecast:
    """The candidates' predictive spend together, its mean their weighted expectation."""
    members = {name: fits[name] for name in weights}
    drawn = sample_average_spend(members, weights, customers, horizon=horizon, seed=seed, draws=draws)
    return replace(drawn, method="best", mean=_weighted(expected, weights))
