"""Prior predictive simulation: it is the story at drawn parameters, bounded, and says what it cut off."""

import importlib
import time

import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.forecast.prior_predictive import prior_predictive
from clvmodels.models import MODELS
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.forecast_cases import base, customers_of, readable_by

module = importlib.import_module("clvmodels.forecast.prior_predictive")  # the package has the function by that name


def sharp(parameters):
    """Priors that hold the parameters where they are."""
    return {name: clv.LogNormal(value, 1e-9) for name, value in parameters.items()}


def tables(made):
    return {**made.parameters, **made.quantities}


def test_at_known_parameters_it_is_the_model():
    """Means over simulated bases against the closed forms at T, within 4 standard errors."""
    made = prior_predictive("bg_nbd", base(2000), draws=60, seed=1, priors=sharp(BG_NBD_PAPER))
    formulas = MODELS["bg_nbd"].formulas
    expected = {
        "mean_repeats": float(formulas["expected_purchases_new"](BG_NBD_PAPER, np.float64(39.0))),
        "repeat_share": 1 - float(formulas["purchase_pmf"](BG_NBD_PAPER, np.array(0), 39.0)),
    }
    for name, value in expected.items():
        drawn = made.quantities[name]
        assert drawn.mean() == pytest.approx(value, abs=4 * drawn.std() / np.sqrt(60))
    assert made.to_pandas().loc["repeat_share", "draws"] == 60


def test_spend_at_known_parameters_is_the_model():
    """The population mean p v / (q - 1) of the paper's parameters."""
    p, q, v = GAMMA_GAMMA_PAPER.values()
    made = prior_predictive("gamma_gamma", base(4000), draws=200, seed=1, priors=sharp(GAMMA_GAMMA_PAPER))
    drawn = made.quantities["mean_spend"]
    assert drawn.mean() == pytest.approx(p * v / (q - 1), abs=4 * drawn.std() / np.sqrt(200))
    assert made.n_customers == int((base(4000).frequency > 0).sum())


def test_parameters_are_drawn_from_the_priors_of_a_fit(cdnow):
    made = prior_predictive("gamma_gamma", cdnow, draws=400, seed=2)
    assert made.priors == clv.fit("gamma_gamma", cdnow, draws=100, seed=1).priors
    for name, prior in made.priors.items():
        z = np.log(made.parameters[name] / prior.median) / prior.sd
        assert stats.kstest(z, "norm").pvalue > 1e-4


@pytest.mark.parametrize("model", [m.name for m in MODELS.values() if m.family in ("purchases", "spend")])
def test_default_priors_hold_the_observed_customers_well_inside(model, cdnow):
    """A prior that knows the data's scale alone must not rule out an ordinary shop, nor half of it be absurd."""
    made = prior_predictive(model, readable_by(model, cdnow), draws=60, seed=3)
    table = made.to_pandas()
    assert table["at_or_below"].between(0.02, 0.98).all()
    assert np.isfinite(table["q50"]).all()
    assert made.beyond_cap < 12


def test_observed_numbers_are_those_of_the_customers():
    customers = customers_of([(0, 0, 10, 0), (2, 5, 10, 20.0), (1, 8, 10, 50.0), (0, 0, 10, 0)])
    observed = prior_predictive("bg_nbd", customers, draws=2, seed=1).observed
    assert observed == pytest.approx(
        {"repeat_share": 0.5, "mean_repeats": 0.75, "most_repeats": 2, "last_purchase": 0.65}
    )
    observed = prior_predictive("gamma_gamma", customers, draws=2, seed=1).observed
    assert observed == {"mean_spend": 35.0, "median_spend": 35.0, "largest_spend": 50.0}


def test_explosive_draws_are_stopped_counted_and_still_have_their_share_of_repeat_buyers():
    """Millions of purchases a week would be told for hours. Half of the customers never buy."""
    r = np.log(2) / np.log1p(39e9)  # (1 + T / alpha)^-r = 1 / 2
    explosive = sharp({"r": r, "alpha": 1e-9, "a": 1e-4, "b": 1e4})
    begun = time.perf_counter()
    made = prior_predictive("bg_nbd", base(500), draws=5, seed=1, priors=explosive)
    assert time.perf_counter() - begun < 20
    assert made.beyond_cap == 5
    assert np.isinf(made.quantities["most_repeats"]).all()
    assert np.isinf(made.quantities["mean_repeats"]).all()
    assert made.quantities["repeat_share"].mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 2500))
    table = made.to_pandas()
    assert table.loc["last_purchase", "draws"] == 0
    assert np.isinf(table.loc["most_repeats", "q05"])


def test_a_busy_prior_within_the_cap_is_told_to_its_end():
    """Rates are gamma of shape 8 and mean 50 a week, nobody leaves: 39 x 50 purchases, over 3 x 200 customers."""
    busy = sharp({"r": 8.0, "alpha": 0.16, "a": 1e-6, "b": 1e3})
    made = prior_predictive("bg_nbd", base(200), draws=3, seed=1, priors=busy)
    assert made.beyond_cap == 0
    assert made.quantities["mean_repeats"].mean() == pytest.approx(1950, abs=4 * 1950 / np.sqrt(8 * 600))
    assert made.quantities["last_purchase"].min() > 0.99


def test_spends_beyond_a_float_are_counted(cdnow):
    wild = {name: clv.LogNormal(1.0, 10.0) for name in GAMMA_GAMMA_PAPER}
    made = prior_predictive("gamma_gamma", cdnow, draws=50, seed=1, priors=wild)
    assert 0 < made.beyond_cap < 50
    assert made.beyond_cap == np.isinf(made.quantities["largest_spend"]).sum()


def test_row_order_counted_rows_and_the_number_of_draws_change_nothing():
    customers = base(300)
    few = prior_predictive("bg_nbd", customers, draws=5, seed=4)
    shuffled = customers.take(np.random.default_rng(1).permutation(300))
    frame = customers.to_pandas()
    columns = ["frequency", "recency", "T"]
    counted = frame.groupby(columns, as_index=False).agg(
        n_customers=("T", "size"), customer_id=("customer_id", "first")
    )
    for other in (shuffled, clv.CustomerSummary.from_frame(counted, unit="week")):
        again = prior_predictive("bg_nbd", other, draws=8, seed=4, priors=few.priors)
        for name, values in tables(few).items():
            assert tables(again)[name][:5] == pytest.approx(values, nan_ok=True)
        assert again.observed == pytest.approx(few.observed)


def test_a_large_base_is_stood_for_by_some_of_its_customers(monkeypatch):
    monkeypatch.setattr(module, "MOST_CUSTOMERS", 400)
    customers = base(2000)
    made = prior_predictive("bg_nbd", customers, draws=2, seed=5)
    assert made.n_customers == 400
    share = (customers.frequency > 0).mean()
    assert made.observed["repeat_share"] == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 400))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "nothing"}, clv.FitError, "unknown model"),
        ({"draws": 0}, clv.FitError, "draws = 0"),
        ({"seed": -1}, clv.FitError, "seed = -1"),
        ({"priors": {"beta": clv.LogNormal(1.0, 1.0)}}, clv.FitError, "priors for beta: .*bg_nbd has r, alpha, a, b"),
        ({"priors": {"r": 1.0}}, clv.FitError, "priors for r: expected a LogNormal, not a float"),
        ({"priors": {"r": clv.Normal(0.0, 1.0)}}, clv.FitError, "priors for r: expected a LogNormal, not a Normal"),
        ({"customers": customers_of([(0, 0, 9, 0), (0, 0, 8, 0)])}, clv.DataError, "no scale of time"),
    ],
)
def test_what_cannot_be_is_refused(changes, error, message):
    given = {"model": "bg_nbd", "customers": base(20), "draws": 2, "seed": 1, **changes}
    with pytest.raises(error, match=message):
        prior_predictive(given.pop("model"), given.pop("customers"), **given)
