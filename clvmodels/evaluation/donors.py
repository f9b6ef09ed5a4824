"""The published donors as a contest, with a last year that no method sees."""

import datetime as dt
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from clvmodels.baselines import BASELINES, Baseline
from clvmodels.baselines.method import point_forecast, point_forecasts
from clvmodels.data import donor_summary
from clvmodels.evaluation.methods import cost_of
from clvmodels.evaluation.rolling import Occasion
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary, IdArray, Window
from clvmodels.foundation.results import MethodCost
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.counts import fit_counts
from clvmodels.inference.diagnostics import require_passed
from clvmodels.inference.result import flat_draws
from clvmodels.models.bg_bb_counts import purchase_next

YEARS = 6  # of the published patterns, 1996 to 2001
WINDOW = Window(calibration_end=dt.date(2000, 12, 31), holdout_end=dt.date(2001, 12, 31), unit="year")
AHEAD = 1.0  # year


@dataclass(frozen=True)
class DonorContest:
    """The donors of 1995, what methods forecast for 2001 from the gifts of 1996 to 2000, and who gave.

    Attributes
    ----------
    window : of 2001
    customers : what is known of each donor at the end of 2000
    methods : that take part
    occasion : for `rolling_contest`: purchases of the holdout are 1 for a gift in 2001 and 0 for none, amounts NaN.
        Where the fit of "bg_bb_counts" fails or does not pass its checks, it is in `left_out` with the reason
    """

    window: Window
    customers: CustomerSummary
    methods: tuple[Baseline, ...]
    occasion: Occasion


def donor_contest(*, seed: int, draws: int = 500) -> DonorContest:
    """The published donors as a contest of one year.

    The published patterns are of six years: the number of years with a gift, and the last of them. Of a donor whose
    last gift was before 2001 the history until 2000 is known whole. Of one who gave in 2001 the number of years with a
    gift until 2000 is known, and not when the last was. So every method reads that number alone, x5 = x - (t_x is 6):
    to read the recency of those of whom it is known would be to read the outcome.

    Methods are "bg_bb_counts", whose posterior is learnt from the counts of x5 by the sum of its likelihood over the
    histories of x5 gifts (purchases, 0 or 1, with draws of parameters and outcomes, and the probability of a gift);
    "same_rate" (x5 / 5 as purchases and as probability); and "abc", which ranks by x5, as no amounts are known. All
    rank donors alike where the chance of a gift grows with x5: they differ in what they forecast.

    Parameters
    ----------
    seed : of the posterior and of outcomes, 0 to 2^64 - 1
    draws : of the posterior, each with an outcome of every donor

    Raises
    ------
    DataError
        If the installed lifetimes has no file of the donors, or the seed cannot be.
    FitError
        If the number of draws cannot be.

    Notes
    -----
    Counts say little of how many stop giving, so the forecast of "bg_bb_counts" leans on its prior, and is wide; the
    paper's fit reads the years too, 2001 among them.
    """
    methods = _methods(seed, draws)
    known, gave = _split(donor_summary()[0])
    forecasts, left_out = {}, {}
    for method in methods:
        try:
            forecasts[method.name] = method.forecasts(known, AHEAD)
        except FitError as problem:
            left_out[method.name] = str(problem)
    nothing = np.full(len(gave), np.nan)
    holdout = HoldoutSummary(known.customer_id, gave, nothing, WINDOW, known.currency)
    return DonorContest(WINDOW, known, methods, Occasion(forecasts, holdout, left_out=left_out))


def donor_costs(found: DonorContest) -> list[MethodCost]:
    """Seconds and megabytes of each method that gave a forecast, which has loaded what it needs."""
    return [
        cost_of(method.name, len(found.customers), partial(method.forecasts, found.customers, AHEAD))
        for method in found.methods
        if method.name in found.occasion.forecasts
    ]


def _methods(seed: int, draws: int) -> tuple[Baseline, ...]:
    """Inputs are those that are read here; choices of the model are itself, the way of fitting and the priors."""
    require_count("draws", draws, least=2)
    require_seed(seed)
    return (
        Baseline("bg_bb_counts", partial(_bg_bb, draws=draws, seed=seed), inputs=("frequency", "T"), choices=3),
        Baseline("same_rate", _same_rate, inputs=("frequency", "T"), choices=BASELINES["same_rate"].choices),
        Baseline("abc", _by_gifts, inputs=("frequency",), choices=BASELINES["abc"].choices),
    )


def _same_rate(known: CustomerSummary, horizon: float) -> dict[str, Forecast]:
    rate = known.frequency / known.T
    return point_forecasts({"purchases": rate, "active": rate}, "same_rate", customers=known, horizon=horizon)


def _by_gifts(known: CustomerSummary, horizon: float) -> dict[str, Forecast]:
    return point_forecasts({"score": known.frequency}, "abc", customers=known, horizon=horizon)


def _split(donors: CustomerSummary) -> tuple[CustomerSummary, FloatArray]:
    """What may be known of each donor at the end of 2000, and whether they gave in 2001, shape (N,)."""
    gave = (donors.recency == YEARS).astype(np.float64)
    x5 = donors.frequency - gave
    known = replace(
        donors,
        customer_id=_ids(donors),
        frequency=x5,
        recency=x5,  # a summary has one; here it tells nothing
        T=donors.T - 1,
        calibration_end=WINDOW.calibration_end,
    )
    return known, gave


def _ids(donors: CustomerSummary) -> IdArray:
    """Published pattern, and number within it: "x 3, t_x 5, number 17"."""
    patterns, place = np.unique(np.column_stack([donors.frequency, donors.recency]), axis=0, return_inverse=True)
    ids = np.empty(len(donors), dtype=object)
    for number, (x, t_x) in enumerate(patterns):
        rows = np.flatnonzero(place == number)
        ids[rows] = [f"x {x:g}, t_x {t_x:g}, number {i}" for i in range(1, len(rows) + 1)]
    return ids


def _bg_bb(known: CustomerSummary, horizon: float, *, draws: int, seed: int) -> dict[str, Forecast]:
    """Gifts of the next year by BG/BB on counts, and their probability, by the mean over the posterior."""
    of_fit, of_outcomes = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    rng = np.random.default_rng(int(of_outcomes))
    fitted = fit_counts(known, draws=draws, seed=int(of_fit))
    require_passed(fitted)
    parameters = {name: values.reshape(-1, 1) for name, values in flat_draws(fitted.draws).items()}
    numbers, place = np.unique(known.frequency, return_inverse=True)
    chance = purchase_next(parameters, numbers, np.full(len(numbers), known.T[0])).T  # (numbers, draws)
    gives = rng.random((len(known), draws)) < chance[place]

    def make(rows: IntArray, some: slice) -> FloatArray:
        return gives[rows, some][None].astype(np.float64)

    table = DrawTable(make, np.arange(len(known)), np.ones(len(known)), (1, draws))
    (drawn,) = forecasts_of(table, known, quantities=("purchases",), method="bg_bb_counts", horizon=horizon)
    mean = chance.mean(axis=1)[place]  # of the chances and not of their draws: donors alike stay tied
    active = point_forecast("active", "bg_bb_counts", customers=known, horizon=horizon, mean=mean)
    return {"purchases": replace(drawn, mean=mean), "active": active}
