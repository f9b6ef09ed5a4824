"""A simulated purchase log is the story of its models, in days and rows that are read as any log is."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clvmodels as clv
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER

SPEND = {
    "gamma_gamma": GAMMA_GAMMA_PAPER,
    "gamma_gamma_transactions": GAMMA_GAMMA_PAPER,
    "lognormal_spend": {"m": 30.0, "sigma": 0.5, "tau": 0.6},
}
SHOP = {"customers": 300, "first_day": "2020-01-01", "acquisition_days": 84, "days": 365, "seed": 1}


def told(purchases="bg_nbd", spend="gamma_gamma", *, parameters=BG_NBD_PAPER, spend_parameters=None, **changed):
    of_spend = SPEND[spend] if spend_parameters is None else spend_parameters
    return clv.simulate_log(purchases, spend, parameters=parameters, spend_parameters=of_spend, **{**SHOP, **changed})


@pytest.fixture(scope="module")
def large():
    """4,000 customers over two years, of whom the model is to be learnt."""
    return told(customers=4000, days=730, seed=3)


@pytest.fixture(scope="module")
def summary(large):
    return clv.customer_summary(clv.read_transactions(large), clv.Window(calibration_end="2021-12-30"))


def test_a_simulated_log_is_read_whole():
    frame = told()
    log = clv.read_transactions(frame)
    assert (log.rows_read, log.n_customers) == (len(frame), 300)
    assert log.occasions == len(frame.drop_duplicates(["customer_id", "date"]))
    assert log.gross == pytest.approx(frame.amount.sum())
    assert frame.attrs["currency"] == "USD"


def test_first_purchases_are_uniform_over_the_days_of_acquisition(large):
    first = (large.groupby("customer_id").date.min() - pd.Timestamp("2020-01-01")).dt.days
    assert (first.min(), first.max()) == (0, 83)
    assert stats.chisquare(np.bincount(first, minlength=84)).pvalue > 1e-3
    assert large.date.max() <= pd.Timestamp("2020-01-01") + pd.Timedelta(days=729)


@pytest.mark.parametrize(("model", "truth"), [("bg_nbd", BG_NBD_PAPER), ("gamma_gamma", GAMMA_GAMMA_PAPER)])
def test_the_models_are_found_again_in_their_log(summary, model, truth):
    """Each parameter within 3.5 posterior standard deviations, in logs, of the one that told the log."""
    draws = clv.fit(model, summary, draws=1000, seed=2).draws
    for name, value in truth.items():
        logs = np.log(draws[name].values)
        assert abs(logs.mean() - np.log(value)) < 3.5 * logs.std(), name


def test_purchases_of_a_customer_are_distributed_as_simulate_has_them():
    """Repeat purchases of 4,000 customers of one age, by the two routes; a chi-square test of the two tables."""
    frame = told(customers=4000, acquisition_days=1, days=39 * 7 + 1, seed=5)
    repeats = frame.groupby("customer_id").size().to_numpy() - 1
    other = clv.simulate("bg_nbd", BG_NBD_PAPER, T=39.0, size=4000, seed=6)[0].frequency.astype(int)
    tables = [np.bincount(np.minimum(counts, 12), minlength=13) for counts in (repeats, other)]
    assert stats.chi2_contingency(tables).pvalue > 1e-3


@pytest.mark.parametrize("spend", SPEND)
def test_amounts_are_single_transactions_of_the_spend_model(spend):
    """Means of two purchases of a customer vary as the population's do, and they differ within the customer."""
    frame = told("nbd", spend, parameters={"r": 5.0, "alpha": 5.0}, customers=3000, seed=7)
    one = frame.groupby("customer_id").amount.first().to_numpy()
    p, q, v = GAMMA_GAMMA_PAPER.values()
    m, sigma, tau = SPEND["lognormal_spend"].values()
    mean = m * np.exp((sigma**2 + tau**2) / 2) if spend == "lognormal_spend" else p * v / (q - 1)
    assert one.mean() == pytest.approx(mean, abs=4 * one.std() / np.sqrt(len(one)))
    logs = np.log(frame.amount).groupby(frame.customer_id)
    within = np.sqrt((logs.var() * (logs.size() - 1)).sum() / (logs.size() - 1).sum())
    expected = sigma if spend == "lognormal_spend" else np.sqrt(_trigamma(p))
    assert within == pytest.approx(expected, rel=0.02)


def _trigamma(x):
    from scipy.special import polygamma

    return float(polygamma(1, x))  # variance of the logarithm of a gamma number of shape x


def test_the_same_seed_tells_the_same_log():
    pd.testing.assert_frame_equal(told(), told())
    assert not told().equals(told(seed=2))


@pytest.mark.parametrize("fewer", [1, 100, 512])
def test_a_customer_is_the_same_whatever_the_number_of_customers(fewer):
    many, few = told(customers=1100), told(customers=fewer)
    kept = many[many.customer_id.isin(few.customer_id.unique())]
    assert few.customer_id.nunique() == fewer
    pd.testing.assert_frame_equal(few, kept.reset_index(drop=True))


@pytest.mark.parametrize("model", [name for name, m in clv.MODELS.items() if m.family == "purchases"])
def test_every_model_in_continuous_time_tells_a_log(model):
    record = clv.MODELS[model]
    values = {p.name: float(p.values[0]) if p.values else p.prior_median for p in record.parameters}
    if record.clock != "continuous":
        with pytest.raises(clv.FitError, match="counts opportunities"):
            told(model, parameters=values)
        return
    frame = told(model, parameters=values, customers=20, days=100)
    assert frame.customer_id.nunique() == 20
    assert frame.amount.gt(0).all()
    assert frame.groupby("customer_id").date.is_monotonic_increasing.all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"purchases": "bg_nbdd"}, 'unknown model "bg_nbdd"'),
        ({"purchases": "gamma_gamma"}, "does not tell when customers buy"),
        ({"spend": "gamma_gamma", "spend_parameters": {"p": 1.0}}, "missing or unknown: q, v"),
        ({"spend": "bg_nbd", "spend_parameters": {}}, "does not tell what a purchase is worth"),
        ({"parameters": {**BG_NBD_PAPER, "r": -1.0}}, "r = -1.0: expected a finite number above 0"),
        ({"parameters": {"r": 1.0}}, "missing or unknown: a, alpha, b"),
        ({"customers": 0}, "customers = 0"),
        ({"acquisition_days": 0}, "acquisition_days = 0"),
        ({"days": 83}, "days = 83: expected a whole number, 84 or more"),
        ({"days": 10**7}, "until the calendar ends"),
        ({"first_day": "someday"}, "expected a calendar day"),
        ({"unit": "fortnight"}, "fortnight"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_what_cannot_be_told_is_refused(changed, message):
    spend = {"spend": "gamma_gamma", "spend_parameters": GAMMA_GAMMA_PAPER}
    with pytest.raises(ValueError, match=message):
        told(**{**({} if "spend" in changed else spend), **changed})
