"""Customers and fits for the tests of forecasts."""

import dataclasses

import numpy as np
import xarray as xr

import clvmodels as clv
from clvmodels.foundation.model import DataScale
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.priors import OneOf
from clvmodels.foundation.records import OPTIONAL_COLUMNS
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.retention_cases import table_of

PURCHASES = clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="week")
SPEND = clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER, unit="week", currency="USD")


def customers_of(rows, *, unit="week", ids=None, **columns):
    """A summary from rows of (frequency, recency, T, monetary_value)."""
    x, t_x, T, m_x = np.array(rows, dtype=float).T
    unknown = np.full(len(rows), np.nan)
    names = [f"c{i}" for i in range(len(rows))] if ids is None else ids
    return clv.CustomerSummary(
        customer_id=np.array(names, dtype=object),
        frequency=x,
        recency=t_x,
        T=T,
        monetary_value=np.where(x > 0, m_x, np.nan),
        first_amount=unknown,
        current_value=unknown,
        unit=unit,
        currency="USD",
        **columns,
    )


def centre_of_priors(model):
    """Parameters at the centres of the default priors, for purchases some 10 units of time apart; k = 2."""
    priors = [(p, p.default_prior(DataScale(time=10.0))) for p in model.parameters]
    return {
        p.name: 2.0 if isinstance(prior, clv.OneOf) else float(p.natural(np.float64(prior.normal[0]), NUMPY_OPS))
        for p, prior in priors
    }


def around_priors(model, size, seed):
    """Parameters spread around the centres of the default priors, for purchases some 10 units of time apart."""
    rng = np.random.default_rng(seed)
    priors = {p: p.default_prior(DataScale(time=10.0)) for p in model.parameters}

    def near(parameter, prior):
        if isinstance(prior, OneOf):
            return float(rng.choice(prior.values))
        mean, sd = prior.normal
        return float(parameter.natural(mean + 0.8 / 1.5 * sd * rng.normal(), NUMPY_OPS))

    return [{parameter.name: near(parameter, prior) for parameter, prior in priors.items()} for _ in range(size)]


def readable_by(name, customers):
    """The customers as they are; with times rounded up to opportunities, for a model that counts them; as relations."""
    model = clv.MODELS[name]
    if model.family == "retention":
        return table_of(customers, "continuous" if model.clock == "continuous" else "renewals")
    if model.clock == "continuous":
        return customers
    recency, T = np.ceil(customers.recency), np.ceil(customers.T)
    frequency, unknown = np.minimum(customers.frequency, recency), dict.fromkeys(OPTIONAL_COLUMNS[1:])
    return dataclasses.replace(customers, frequency=frequency, recency=recency, T=T, **unknown)


def base(size, seed=1):
    """Customers as a shop has them, from the models' story."""
    customers, _ = clv.simulate("bg_nbd", BG_NBD_PAPER, T=39.0, size=size, seed=seed, spend=GAMMA_GAMMA_PAPER)
    return customers


def posterior(fit, draws, *, chains=1, sd=0.1, seed=1):
    """The fit with draws around its point, as an uncertain fit has them."""
    rng = np.random.default_rng(seed)
    around = {
        name: (("chain", "draw"), value * np.exp(sd * rng.normal(size=(chains, draws // chains))))
        for name, value in fit.point.items()
    }
    return dataclasses.replace(fit, method="laplace", draws=xr.Dataset(around))


def replayed(forecast, order):
    """All draws of a forecast, shape (N, S), put together from its replay."""
    values = np.full((len(forecast), forecast.totals.size), np.nan)
    for block in forecast.replay(order):
        values[block.rows, block.draws] = block.values
    return values
