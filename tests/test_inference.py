"""Three readers of one target: published maxima, agreement of posteriors, refusals."""

import inspect

import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels.data import compress, compress_retention, compress_spend
from clvmodels.foundation.model import DataScale
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.inference.fitting import data_scale
from clvmodels.inference.optimise import find_mode
from clvmodels.inference.storage import save_fit
from clvmodels.inference.target import Target, log_density
from clvmodels.models import MODELS
from tests.forecast_cases import readable_by
from tests.graphs import as_written


def target_of(name, customers, *, count=2):
    model, customers = MODELS[name], readable_by(name, customers)
    model = model if model.counted is None else model.at_counts[count]
    compressed = {"purchases": compress, "spend": compress_spend, "retention": compress_retention}[model.family]
    patterns = compressed(customers, reads=model.reads)[0]
    scale = data_scale(patterns)
    return Target(model, patterns, scale, {p.name: p.default_prior(scale) for p in model.parameters})


def test_maximum_likelihood_of_bg_nbd_is_the_published_one(cdnow, golden):
    fit = clv.fit("bg_nbd", cdnow, method="mle")
    for name, value in golden["bg_nbd"]["parameters"].items():
        assert fit.point[name] == pytest.approx(value, abs=6e-4)
    assert fit.log_likelihood == pytest.approx(golden["bg_nbd"]["log_likelihood"], abs=0.05)
    assert fit.passed
    new = fit.model.formulas["expected_purchases_new"](fit.point, np.float64(39.0))
    assert float(new) == pytest.approx(golden["bg_nbd_customer"]["expected_purchases_new"], abs=5e-5)


def test_maximum_likelihood_of_gamma_gamma_is_the_published_one(cdnow, golden):
    fit = clv.fit("gamma_gamma", cdnow, method="mle")
    assert fit.n_customers == golden["gamma_gamma"]["repeat_buyers"]
    for name, value in golden["gamma_gamma"]["parameters"].items():
        assert fit.point[name] == pytest.approx(value, abs=6e-3)


def test_default_priors_do_not_move_well_identified_data(gamma_gamma_fit):
    assert abs(float(gamma_gamma_fit.draws["p"].mean()) - 6.25) < 0.4


SAMPLED = [name for name, model in MODELS.items() if "nuts" in model.methods]


def model_and_its_marks(name):
    """The first models in the fast tests, all of them in the slow ones: each compiles a graph."""
    return name if name in ("bg_nbd", "gamma_gamma") else pytest.param(name, marks=pytest.mark.slow)


def noise_of_sd(fit):
    """Standard error of each sd as a share of it, beyond 1 %: nothing for normal draws, a lot for heavy tails."""
    size = fit.summary()["ess_tail"].to_numpy()
    kurtosis = np.array([stats.kurtosis(fit.draws[name].values.ravel()) for name in fit.model.parameter_names])
    return np.maximum(np.sqrt((kurtosis + 2) / (4 * size)) - 0.01, 0)


@pytest.mark.parametrize("name", [model_and_its_marks(name) for name in SAMPLED])
def test_laplace_and_nuts_draw_from_one_posterior(name, cdnow):
    """Means within a tenth of a sd, sds within 10 %, and 3 Monte Carlo errors of what heavy tails leave of them."""
    customers = readable_by(name, cdnow)
    laplace = clv.fit(name, customers, method="laplace", draws=4000, seed=3)
    nuts = clv.fit(name, customers, method="nuts", draws=4000, seed=4)
    assert laplace.method == "laplace"  # it did not have to fall back on NUTS
    assert laplace.passed
    assert nuts.passed
    a, b = laplace.summary(), nuts.summary()
    assert (np.abs(a["mean"] - b["mean"]) < 0.1 * b["sd"]).all()
    assert (np.abs(a["sd"] / b["sd"] - 1) < 0.1 + 3 * np.hypot(noise_of_sd(laplace), noise_of_sd(nuts))).all()


@pytest.mark.parametrize("name", SAMPLED)
def test_the_graph_and_numpy_have_the_same_target(name, cdnow):
    from clvmodels.inference.graph import pymc_model

    target = target_of(name, cdnow)
    mode = find_mode(target)
    graph = pymc_model(target, mode).compile_logp(mode=as_written())
    z = np.random.default_rng(0).normal(size=(5, len(mode.phi))) * 3
    ours = log_density(target, mode.phi + z @ mode.root.T)
    assert np.array([graph({"z": row}) for row in z]) == pytest.approx(ours, rel=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_a_likelihood_is_written_for_any_array_library(name):
    """On a graph np.where fails silently, so no NumPy function may stand in a likelihood."""
    source = inspect.getsource(MODELS[name].log_likelihood)
    assert "np." not in source


@pytest.mark.parametrize("name", MODELS)
def test_compression_does_not_change_the_target(name, cdnow):
    target = target_of(name, cdnow)
    point = dict(zip(target.model.parameter_names, target.model.natural(target.starts).tolist(), strict=True))
    counted = {} if MODELS[name].counted is None else {MODELS[name].counted.name: 2}
    fit = clv.fit_at(name, {**point, **counted}, unit="week")
    rows = clv.log_likelihood(fit, readable_by(name, cdnow))
    compressed = float(log_density(Target(target.model, target.patterns, target.scale, {}), target.starts[None])[0])
    assert np.nansum(rows) == pytest.approx(compressed, rel=1e-12)


def test_counted_customers_are_as_many_customers(cdnow):
    frame = cdnow.to_pandas()
    counted = frame.groupby(["frequency", "recency", "T"], as_index=False).agg(n_customers=("customer_id", "size"))
    counted["customer_id"] = [f"pattern {i}" for i in range(len(counted))]
    summary = clv.CustomerSummary.from_frame(counted, unit="week")
    one, other = (clv.fit("bg_nbd", c, method="mle").point for c in (cdnow, summary))
    assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize(("unit", "days"), [("day", 1.0), ("month", 30.4375)])
def test_the_unit_of_time_does_not_change_the_inference(cdnow_log, cdnow, unit, days):
    other = clv.customer_summary(cdnow_log, clv.Window(calibration_end="1997-09-30", unit=unit))
    weeks, units = (clv.fit("bg_nbd", c, draws=500, seed=5) for c in (cdnow, other))
    assert units.draws["r"].values == pytest.approx(weeks.draws["r"].values, rel=1e-4)
    assert units.draws["alpha"].values * days / 7 == pytest.approx(weeks.draws["alpha"].values, rel=1e-4)


def test_row_order_does_not_matter(cdnow):
    shuffled = cdnow.take(np.random.default_rng(1).permutation(len(cdnow)))
    one, other = (clv.fit("bg_nbd", c, draws=200, seed=6).draws for c in (cdnow, shuffled))
    assert one.identical(other)


def test_the_same_seed_gives_the_same_draws_and_another_does_not(cdnow):
    one, same, other = (clv.fit("gamma_gamma", cdnow, draws=200, seed=s).draws for s in (1, 1, 2))
    assert one.identical(same)
    assert not one.identical(other)


def test_fits_recover_what_was_simulated():
    """z scores of 40 fits to simulated data: mean square near 1, none beyond 4."""
    truth = {"r": 0.6, "alpha": 6.0, "a": 0.9, "b": 2.5}
    z = []
    for seed in range(40):
        customers, _ = clv.simulate("bg_nbd", truth, T=52.0, size=3000, seed=seed)
        fit = clv.fit("bg_nbd", customers, method="mle")
        errors = np.log(list(fit.point.values())) - np.log(list(truth.values()))
        z.append(errors / (np.sqrt(np.diag(fit.covariance)) / list(fit.point.values())))
    z = np.array(z)
    assert np.abs(z).max() < 4.5
    assert np.mean(z**2) == pytest.approx(1, abs=4 * np.sqrt(2 / z.size))


def test_standard_errors_of_mle_match_the_curvature_that_lifetimes_finds(cdnow):
    from lifetimes import BetaGeoFitter

    other = BetaGeoFitter()
    other.fit(cdnow.frequency, cdnow.recency, cdnow.T)
    ours = clv.fit("bg_nbd", cdnow, method="mle").standard_errors
    assert ours["r"] == pytest.approx(other.standard_errors_["r"], rel=0.02)


def test_a_saved_fit_comes_back_whole(bg_nbd_fit, tmp_path):
    path = tmp_path / "fit.nc"
    save_fit(bg_nbd_fit, path)
    again = clv.load_fit(path)
    assert again.draws.equals(bg_nbd_fit.draws)
    assert again.point == bg_nbd_fit.point
    assert again.checks == bg_nbd_fit.checks
    assert again.summary().equals(bg_nbd_fit.summary())
    first = path.read_bytes()
    save_fit(again, path)
    assert path.read_bytes() == first


def test_a_file_that_is_no_fit_is_refused(tmp_path):
    path = tmp_path / "x.nc"
    path.write_text("no")
    with pytest.raises(clv.FitError, match="not a fit"):
        clv.load_fit(path)
    with pytest.raises(clv.FitError, match="no such file"):
        clv.load_fit(tmp_path / "absent.nc")


def test_arviz_reads_a_fit(bg_nbd_fit):
    from arviz_stats import summary

    frame = summary(bg_nbd_fit.to_arviz(), kind="stats", ci_prob=0.9, ci_kind="eti", round_to="none")
    assert frame["mean"].to_numpy() == pytest.approx(bg_nbd_fit.summary()["mean"].to_numpy())


def test_fit_at_has_one_draw_and_no_spread():
    known = clv.fit_at("bg_nbd", {"b": 2.4, "r": 0.2, "alpha": 4.0, "a": 0.8})
    assert known.n_draws == 1
    assert np.isnan(known.summary()["sd"]).all()
    with pytest.raises(clv.FitError, match="missing or unknown: b"):
        clv.fit_at("bg_nbd", {"r": 0.2, "alpha": 4.0, "a": 0.8})
    with pytest.raises(clv.FitError, match="above 0"):
        clv.fit_at("bg_nbd", {"r": 0.2, "alpha": 4.0, "a": -0.8, "b": 1.0})


def frame_of(**columns):
    import pandas as pd

    return pd.DataFrame({"customer_id": [str(i) for i in range(len(columns["T"]))], **columns})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"frequency": [1], "recency": [2.0], "T": [9.0]}, "one customer only"),
        ({"frequency": [0, 0], "recency": [0.0, 0.0], "T": [9.0, 8.0]}, "repeat purchase"),
        ({"frequency": [1.5, 0], "recency": [2.0, 0.0], "T": [9.0, 8.0]}, "not whole"),
        ({"frequency": [1, 0], "recency": [12.0, 0.0], "T": [9.0, 8.0]}, "recency exceeds T"),
        ({"frequency": [1, 0], "recency": [0.0, 0.0], "T": [9.0, 8.0]}, "recency is 0 with repeats"),
        ({"frequency": [1, 0], "recency": [float("nan"), 0.0], "T": [9.0, 8.0]}, "missing or not finite"),
    ],
)
def test_customers_that_cannot_be_are_refused(columns, message):
    with pytest.raises(clv.DataError, match=message):
        clv.fit("bg_nbd", clv.CustomerSummary.from_frame(frame_of(**columns), unit="week"), method="mle")


def test_arguments_that_cannot_be_are_refused(cdnow):
    with pytest.raises(clv.FitError, match='unknown model "bgnbd"'):
        clv.fit("bgnbd", cdnow, seed=1)
    with pytest.raises(clv.FitError, match='"mle", "laplace", "nuts"'):
        clv.fit("bg_nbd", cdnow, method="map", seed=1)
    with pytest.raises(clv.FitError, match="seed"):
        clv.fit("bg_nbd", cdnow)
    with pytest.raises(clv.FitError, match="priors for beta"):
        clv.fit("bg_nbd", cdnow, seed=1, priors={"beta": clv.LogNormal(1.0, 1.0)})


def test_constant_spend_is_refused_with_the_reason(cdnow):
    frame = cdnow.to_pandas().assign(monetary_value=20.0)
    with pytest.raises(clv.DataError, match="mean spends that differ"):
        clv.fit("gamma_gamma", clv.CustomerSummary.from_frame(frame, unit="week"), seed=1)


def test_data_without_drop_out_are_refused_by_mle_and_fitted_with_a_prior():
    """Poisson-gamma buyers who never leave: the likelihood runs off to a = 0."""
    rng = np.random.default_rng(8)
    T = np.full(400, 40.0)
    counts = rng.poisson(rng.gamma(30, 0.01, 400) * T)
    events = [rng.uniform(0, 40.0, count) for count in counts]
    columns = {"frequency": [len(e) for e in events], "recency": [max(e, default=0.0) for e in events], "T": T}
    customers = clv.CustomerSummary.from_frame(frame_of(**columns), unit="week")
    with pytest.raises(clv.FitError, match="barely identify"):
        clv.fit("bg_nbd", customers, method="mle")
    fit = clv.fit("bg_nbd", customers, draws=500, seed=1)
    assert fit.passed


def test_a_sharp_prior_decides_where_it_is_given(cdnow):
    fit = clv.fit("bg_nbd", cdnow, draws=500, seed=1, priors={"r": clv.LogNormal(0.5, 0.001)})
    assert float(fit.draws["r"].mean()) == pytest.approx(0.5, rel=0.02)


def test_patterns_keep_distinct_values_apart():
    patterns = PurchasePatterns.of(np.array([2.0, 0, 2]), np.array([1.0, 0, 3]), np.array([9.0, 9, 9]), "week")
    assert patterns.frequency.values.tolist() == [0, 2]
    assert patterns.frequency.rows.tolist() == [2, 0, 2]
    assert DataScale(time=3.0).of("time") == 3.0
