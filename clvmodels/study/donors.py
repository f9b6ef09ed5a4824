"""Donors by BG/BB: a donation or none each year, and some who stop without saying so."""

from dataclasses import dataclass, replace

import numpy as np

from clvmodels.data import compress, donor_summary
from clvmodels.forecast import predict
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.retention_results import DonorRow, DonorSection
from clvmodels.inference import Fit, fit
from clvmodels.study.progress import seed_for
from clvmodels.study.retention_config import DonorsTable, RetentionFitTable
from clvmodels.study.sections import estimate_at, fit_row

OUTCOME_DRAWS = 500  # of what each donor will give: enough for an interval of their sum


@dataclass(frozen=True)
class Donors:
    """The section, its fit, and the digest of the data."""

    section: DonorSection
    fit: Fit
    digest: str


def forecast_donors(table: DonorsTable, fitting: RetentionFitTable, seed: int) -> Donors:
    """What the donors of 1995 will give, by the years in which they gave."""
    donors, digest = donor_summary()
    alike = _counted(donors)
    fitted = fit("bg_bb", alike, method=fitting.method, draws=fitting.draws, seed=seed_for(seed, "donors"))
    fitted = fitted.allowing(*fitting.allow)
    ahead = float(table.horizon)
    draws = min(OUTCOME_DRAWS, fitting.draws)
    given = predict(fitted, donors, quantity="purchases", horizon=ahead, seed=seed_for(seed, "donations"), draws=draws)
    active = [predict(fitted, alike, quantity="p_alive", horizon=float(year)) for year in range(table.horizon + 1)]
    expected = predict(fitted, alike, quantity="expected_purchases", horizon=ahead)
    section = DonorSection(
        source=table.source,
        donors=len(donors),
        years=int(donors.T.max()),
        horizon=table.horizon,
        fit=fit_row(fitted, "decision"),
        rows=_rows(alike, active[0], expected),
        donations=estimate(given.total_draws),
        active=[estimate(forecast.total_draws) for forecast in active],
    )
    return Donors(section, fitted, digest)


def _counted(donors: CustomerSummary) -> CustomerSummary:
    """Donors alike as one row with their number."""
    patterns, place = compress(donors)
    _, first = np.unique(place, return_index=True)
    alike = donors.take(first)
    ids = [f"{x:g} donations, the last in year {t_x:g}" for x, t_x in zip(alike.frequency, alike.recency, strict=True)]
    return replace(alike, customer_id=np.array(ids, dtype=object), n_customers=patterns.n_customers)


def _rows(alike: CustomerSummary, alive: Forecast, expected: Forecast) -> list[DonorRow]:
    assert alike.n_customers is not None
    return [
        DonorRow(
            frequency=int(alike.frequency[row]),
            recency=int(alike.recency[row]),
            donors=int(alike.n_customers[row]),
            p_alive=estimate_at(alive, row),
            donations=estimate_at(expected, row),
        )
        for row in range(len(alike))
    ]
