"""The published donors as a contest, with a last year that no method sees."""

import datetime as dt
from dataclasses import replace

import numpy as np

from clvmodels.baselines.method import point_forecast, point_forecasts
from clvmodels.data import donor_summary
from clvmodels.evaluation.rolling import Occasion
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary, IdArray, Window
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.counts import fit_counts
from clvmodels.inference.diagnostics import require_passed
from clvmodels.inference.result import flat_draws
from clvmodels.models.bg_bb_counts import purchase_next

YEARS = 6  # of the published patterns, 1996 to 2001
WINDOW = Window(calibration_end=dt.date(2000, 12, 31), holdout_end=dt.date(2001, 12, 31), unit="year")
AHEAD = 1.0  # year


def donor_contest_occasion(*, seed: int, draws: int = 500) -> tuple[Window, Occasion]:
    """The donors of 1995, what methods forecast for 2001 from the gifts of 1996 to 2000, and who gave.

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

    Returns
    -------
    window, occasion
        For `rolling_contest`: purchases of the holdout are 1 for a gift in 2001 and 0 for none, amounts NaN. Where
        the fit of "bg_bb_counts" fails or does not pass its checks, the method is in `left_out` with the reason.

    Raises
    ------
    DataError
        If the installed lifetimes has no file of the donors, or the seed cannot be.
    FitError
        If the number of draws cannot be.

    Notes
    -----
    Counts say little of how many stop giving, so the forecast of "bg_bb_counts" leans on its prior, and is wide; the paper's
    fit reads the years too, 2001 among them.
    """
    require_count("draws", draws, least=2)
    of_fit, of_outcomes = np.random.SeedSequence(require_seed(seed)).generate_state(2, np.uint64)
    known, gave = _split(donor_summary()[0])
    rate = known.frequency / known.T
    forecasts = {
        "same_rate": point_forecasts({"purchases": rate, "active": rate}, "same_rate", customers=known, horizon=AHEAD),
        "abc": point_forecasts({"score": known.frequency}, "abc", customers=known, horizon=AHEAD),
    }
    left_out = {}
    try:
        rng = np.random.default_rng(int(of_outcomes))
        forecasts = {"bg_bb_counts": _bg_bb(known, draws, int(of_fit), rng), **forecasts}
    except FitError as problem:
        left_out["bg_bb_counts"] = str(problem)
    nothing = np.full(len(gave), np.nan)
    holdout = HoldoutSummary(known.customer_id, gave, nothing, WINDOW, known.currency)
    return WINDOW, Occasion(forecasts, holdout, left_out=left_out)


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


def _bg_bb(known: CustomerSummary, draws: int, seed: int, rng: np.random.Generator) -> dict[str, Forecast]:
    """Gifts of the next year by BG/BB on counts, and their probability, by the mean over the posterior."""
    fitted = fit_counts(known, draws=draws, seed=seed)
    require_passed(fitted)
    parameters = {name: values.reshape(-1, 1) for name, values in flat_draws(fitted.draws).items()}
    numbers, place = np.unique(known.frequency, return_inverse=True)
    chance = purchase_next(parameters, numbers, np.full(len(numbers), known.T[0])).T  # (numbers, draws)
    gives = rng.random((len(known), draws)) < chance[place]

    def make(rows: IntArray, some: slice) -> FloatArray:
        return gives[rows, some][None].astype(np.float64)

    table = DrawTable(make, np.arange(len(known)), np.ones(len(known)), (1, draws))
    (drawn,) = forecasts_of(table, known, quantities=("purchases",), method="bg_bb_counts", horizon=AHEAD)
    mean = chance.mean(axis=1)[place]  # of the chances and not of their draws: donors alike stay tied
    active = point_forecast("active", "bg_bb_counts", customers=known, horizon=AHEAD, mean=mean)
    return {"purchases": replace(drawn, mean=mean), "active": active}
