"""The method "best" of a study: models chosen by how they rank customers on days inside the log."""

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np

from clvmodels.evaluation.best import CANDIDATES, BestForecast, InnerScore, best_forecast
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.ranking_results import CandidateRow, InnerOrigin, RankingChoice
from clvmodels.foundation.records import CustomerSummary, Forecast, TransactionLog, Window
from clvmodels.study.config import Study
from clvmodels.study.progress import seed_for

BEST = "best"  # its key among the methods of a contest
FEW_DRAWS, FEW_FIT_DRAWS = 2, 200  # of a forecast that only its expectation is read of, and of its fits


@dataclass(frozen=True)
class Best:
    """How the models were chosen, and their forecasts of a holdout: "score" and "spend", none where none could be."""

    choice: RankingChoice
    forecasts: dict[str, Forecast]


@dataclass(frozen=True)
class Ranked:
    """How the models were chosen, and the order of the customers; None where there is none.

    Attributes
    ----------
    score : ndarray, shape (N,), what customers are ordered by
    rank : ndarray of int, shape (N,), 1 for the first; equal scores in the order of customer_id
    """

    choice: RankingChoice
    score: FloatArray | None
    rank: IntArray | None


def best_at(study: Study, log: TransactionLog, window: Window) -> Best:
    """The models that rank best inside a window's calibration, and what they forecast of its holdout."""
    seed = seed_for(study.seed, "best of the contest")
    try:
        best = best_forecast(log, window, seed=seed)
    except (DataError, FitError) as problem:  # a short history has no days to choose on; the study goes on
        return Best(_none(window, window.holdout_length, problem), {})
    forecasts = {"score": best.ranking, "spend": replace(best.forecast, replay=None)}  # its draws are not held on to
    return Best(_choice(best, window, window.holdout_length), forecasts)


def rank_customers(study: Study, log: TransactionLog, as_of: dt.date, customers: CustomerSummary) -> Ranked:
    """The customers of a day in the order that the models chosen before it give them."""
    window, horizon = Window(as_of, unit=study.window.unit), study.value.horizon
    seed = seed_for(study.seed, "best of the decision")
    try:
        best = best_forecast(log, window, seed=seed, horizon=horizon, draws=FEW_DRAWS, fit_draws=FEW_FIT_DRAWS)
    except (DataError, FitError) as problem:
        return Ranked(_none(window, horizon, problem), None, None)
    assert np.array_equal(best.ranking.customer_id, customers.customer_id)  # both are the log's on that day
    score = best.ranking.mean
    rank = np.empty(len(score), dtype=np.int64)
    rank[np.lexsort((customers.customer_id.astype(str), -score))] = np.arange(1, len(score) + 1)
    return Ranked(_choice(best, window, horizon), score, rank)


def _none(window: Window, horizon: float, problem: Exception) -> RankingChoice:
    return RankingChoice(window.calibration_end.isoformat(), horizon, problem=str(problem))


def _choice(best: BestForecast, window: Window, horizon: float) -> RankingChoice:
    return RankingChoice(
        calibration_end=window.calibration_end.isoformat(),
        horizon=horizon,
        origins=[InnerOrigin(str(inner.calibration_end), str(inner.holdout_end)) for inner in best.origins],
        rows=[_row(row) for row in best.scores],
        share=best.share,
        left_out=best.left_out,
    )


def _row(row: InnerScore) -> CandidateRow:
    candidate = next(candidate for candidate in CANDIDATES if candidate.name == row.candidate)
    return CandidateRow(
        purchases=candidate.purchases,
        spend=candidate.spend,
        baskets=candidate.baskets,
        gini=float(np.mean(row.gini)),
        capture_20=float(np.mean(row.capture_20)),
        score=row.score,
        behind=row.behind,
        standard_error=row.standard_error,
        weight=row.weight,
    )
