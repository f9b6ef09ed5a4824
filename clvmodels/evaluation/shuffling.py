"""Outcomes handed to other customers by chance: contests on them are such that nobody may win."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from clvmodels.evaluation.calibration import wilson_bounds
from clvmodels.evaluation.contest import id_order
from clvmodels.evaluation.rolling import LEVEL, Occasion, rolling_contest
from clvmodels.evaluation.scores import SCORES
from clvmodels.foundation.contest_results import ShuffleCheck, ShuffledScore
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import Forecast, HoldoutSummary, Window
from clvmodels.foundation.results import RollingSection
from clvmodels.foundation.whole import require_count, require_seed

ORDERS = tuple(name for name, rule in SCORES.items() if rule.needs == "ranking")
DECIDED = ("one", "some")  # verdicts that drop a method


def shuffled(holdout: HoldoutSummary, *, seed: int) -> HoldoutSummary:
    """The holdout with each customer's outcome, purchases and amount together, handed to another by chance.

    Customers stay where they are, and totals as they were. What a forecast says of a customer is then true of nobody
    in particular, so methods that rank differ by chance alone.

    Parameters
    ----------
    holdout : of N customers
    seed : of the permutation, 0 to 2^64 - 1; the order of customers does not matter

    Raises
    ------
    DataError
        If the seed cannot be.
    """
    by_id = id_order(holdout.customer_id)
    from_customer = np.empty_like(by_id)
    from_customer[by_id] = by_id[np.random.default_rng(require_seed(seed)).permutation(len(by_id))]
    return replace(holdout, purchases=holdout.purchases[from_customer], amount=holdout.amount[from_customer])


def check_shuffles(
    occasions: Mapping[Window, Occasion],
    *,
    model: str,
    seed: int,
    shuffles: int,
    replicates: int = 400,
    level: float = LEVEL,
) -> ShuffleCheck:
    """How often a contest says that somebody is better where nobody can be: over many shuffles of its outcomes.

    At each origin outcomes are handed to other customers, anew and apart in each shuffle, and the contest is held
    again on the scores of orders. Only these: a forecast nearer the mean has the smaller error on shuffled outcomes
    too. Who comes back is ranked by a forecast of it, else by that of purchases.

    Parameters
    ----------
    occasions : origin -> what all methods forecast there, and what came, as `rolling_contest` takes them, in order
    model : the method whose duels with the others are counted
    seed : of the shuffles and of their replicates, 0 to 2^64 - 1
    shuffles : their number
    replicates, level : as `rolling_contest` takes them

    Raises
    ------
    DataError
        If the number or the seed cannot be, or what `rolling_contest` refuses.
    """
    require_count("shuffles", shuffles)
    windows = list(occasions)
    orders = {window: _orders(occasion) for window, occasion in occasions.items()}

    def section(number: int) -> RollingSection:
        own, *seeds = np.random.SeedSequence([require_seed(seed), number]).generate_state(1 + len(windows), np.uint64)
        seed_at = dict(zip(windows, seeds, strict=True))

        def occasion_at(window: Window) -> Occasion:
            holdout = shuffled(orders[window].holdout, seed=int(seed_at[window]))
            return replace(orders[window], holdout=holdout)

        return rolling_contest(
            windows, occasion_at, model=model, seed=int(own), replicates=replicates, level=level, scores=ORDERS
        )

    return _counted([section(number) for number in range(shuffles)], level)


def _orders(occasion: Occasion) -> Occasion:
    """An occasion with means alone, which rank: draws would be held against each shuffle's outcomes for nothing."""
    forecasts = {
        method: {quantity: _mean_alone(forecast) for quantity, forecast in of.items()}
        for method, of in occasion.forecasts.items()
    }
    return replace(occasion, forecasts=forecasts, checks=None)


def _mean_alone(forecast: Forecast) -> Forecast:
    nothing = np.full(len(forecast), np.nan)
    return replace(forecast, sd=nothing, q05=nothing, q50=nothing, q95=nothing, totals=None, replay=None)


def _counted(sections: Sequence[RollingSection], level: float) -> ShuffleCheck:
    verdicts = [{verdict.score: verdict.verdict for verdict in section.verdicts} for section in sections]
    dropped = sum(any(word in DECIDED for word in of.values()) for of in verdicts)
    low, high = wilson_bounds(dropped / len(sections), len(sections))
    return ShuffleCheck(
        shuffles=len(sections),
        methods=len(sections[0].methods),
        level=level,
        dropped=dropped,
        low=low,
        high=high,
        won=sum(any(word == "one" for word in of.values()) for of in verdicts),
        scores=[
            _of_score(score, sections, sum(of[score] in DECIDED for of in verdicts))
            for score in verdicts[0]
            if all(score in of for of in verdicts)
        ],
    )


def _of_score(score: str, sections: Sequence[RollingSection], dropped: int) -> ShuffledScore:
    settled = np.array(
        [np.mean([duel.verdict != "open" for duel in section.duels if duel.score == score]) for section in sections]
    )
    low, high = _mean_bounds(settled)
    return ShuffledScore(score, dropped, float(settled.mean()), low, high)


def _mean_bounds(shares: FloatArray) -> tuple[float, float]:
    """90 % interval of the mean of shares, one a shuffle, by Student's t: duels of one shuffle go together."""
    if len(shares) < 2:
        return 0.0, 1.0
    half = float(stats.t.ppf(0.95, len(shares) - 1) * shares.std(ddof=1) / np.sqrt(len(shares)))
    return max(0.0, float(shares.mean()) - half), min(1.0, float(shares.mean()) + half)
