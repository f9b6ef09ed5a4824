"""What a fitted model expected of its customers by calendar day, from their first purchase on."""

import numpy as np

from clvmodels.foundation.effects import cells_of
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.units import days_per_unit
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.parameters import CustomerParameters, parameters_at_point
from clvmodels.inference.result import Fit

STORIES = (
    50  # of all customers, where a model has no expectation for a new one: on CDNOW to 0.3 % of a week's purchases
)
TRACKED = 2**14  # ages of customers that an expectation is worked out for at a time: some 15 MB


def expected_by_day(fit: Fit, customers: CustomerSummary, *, before_end: IntArray, seed: int) -> FloatArray:
    """Repeat purchases that a fit expected of these customers by each of some days, shape (days,).

    Each customer by their own parameters at the fit's point, from the first purchase on, knowing nothing of what
    they bought later. A model without an expectation for a new customer tells `STORIES` of them instead.

    Parameters
    ----------
    before_end : ndarray, shape (days,), whole days from each of the days to the end of the calibration
    seed : of the stories

    Raises
    ------
    DataError
        If the seed cannot be.
    """
    seed = require_seed(seed)
    if "expected_purchases_new" in fit.model.formulas and fit.model.timetable is None:  # one for all dates
        return _by_formula(fit, customers, before_end)
    return _by_stories(fit, customers, before_end, seed)


def told(
    fit: Fit, customers: CustomerSummary, parameters: CustomerParameters, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Buyer and time since the first purchase of each repeat purchase up to T, as the model's story goes, each (E,)."""
    assert fit.model.simulate is not None
    values = parameters.at(parameters.cell)[:, 0].T
    names = fit.model.parameter_names
    own = {name: float(row[0]) if parameters.alike else row for name, row in zip(names, values, strict=True)}
    buyer, time = fit.model.simulate(rng, own, customers.T)
    return buyer, time


def _by_formula(fit: Fit, customers: CustomerSummary, before_end: IntArray) -> FloatArray:
    per_unit = days_per_unit(customers.unit)
    parameters = parameters_at_point(fit, cells_of(fit.effects, customers))
    days = np.rint(customers.T * per_unit).astype(np.int64)
    ages = int(days.max(initial=0)) - min(int(before_end.min(initial=0)), 0) + 1
    # a cell and an age are one whole number: sorted ten times as fast as pairs
    alike, counts = np.unique(parameters.cell * ages + days, return_counts=True)
    age = np.maximum(alike % ages - before_end[:, None], 0)  # (periods, customers alike)
    codes, place = np.unique(alike // ages * ages + age, return_inverse=True)
    cell, day = np.divmod(codes, ages)
    expected = np.empty(len(cell))
    for first in range(0, len(cell), TRACKED):
        rows = slice(first, first + TRACKED)
        theta = fit.model.natural(parameters.unknowns_at(cell[rows])[:, 0])  # (rows, P)
        own = dict(zip(fit.model.parameter_names, theta.T, strict=True))
        expected[rows] = fit.model.formulas["expected_purchases_new"](own, day[rows] / per_unit)
    return np.asarray(expected[place].reshape(age.shape) @ counts.astype(np.float64))


def _by_stories(fit: Fit, customers: CustomerSummary, before_end: IntArray, seed: int) -> FloatArray:
    parameters = parameters_at_point(fit, cells_of(fit.effects, customers))
    expected = np.zeros(len(before_end))
    for stream in np.random.SeedSequence(seed).spawn(STORIES):
        buyer, time = told(fit, customers, parameters, np.random.default_rng(stream))
        before = np.sort((customers.T[buyer] - time) * days_per_unit(customers.unit))
        expected += len(before) - np.searchsorted(before, before_end)
    return expected / STORIES
