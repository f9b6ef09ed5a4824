"""Simulation-based calibration: its tests have the power that they claim, its runs resume, planted faults are found."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels import cli
from clvmodels.evaluation import ranks as uniformity
from clvmodels.evaluation import sbc
from clvmodels.foundation.patterns import Levels, PurchasePatterns
from clvmodels.inference.result import dataset_of
from clvmodels.models import MODELS

DRAWS = 999
AN_EIGHTH = 0.05 / 8
STORIES = [m.name for m in MODELS.values() if m.family in ("purchases", "spend") and m.simulate is not None]
CALIBRATED = ("bg_nbd", "gamma_gamma")
RUN = {"T": sbc.AGES, "method": "laplace", "seed": 1, "workers": 1}


def ranks_of(share, rng):
    """Ranks among 999 draws of a true value with that share of the posterior below it."""
    return rng.binomial(DRAWS, share)


def rejected(defect, *, simulations, replicates, rng):
    """Shares of replicates in which chi-square and the ECDF band reject, at 5 % / 8."""
    drawn = [ranks_of(defect(rng.normal(size=simulations)), rng) for _ in range(replicates)]
    chi_square = np.mean([uniformity.chi_square_p(ranks, DRAWS) <= AN_EIGHTH for ranks in drawn])
    band = np.mean([uniformity.leaves_band(ranks, DRAWS, level=AN_EIGHTH) for ranks in drawn])
    return chi_square, band


def experiment_of(model, *, customers, draws, method="laplace"):
    return sbc.Experiment(model, customers, sbc.AGES, 39.0, sbc.default_priors(model), method, draws, seed=1)


def calibration(model="gamma_gamma", simulations=40, customers=100, **changes):
    arguments = {"priors": sbc.default_priors(model), **RUN, **changes}
    return sbc.run_sbc(model, simulations=simulations, customers=customers, **arguments)


# The tests of uniformity


def test_the_band_rejects_uniform_ranks_as_often_as_its_level_says():
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, DRAWS + 1, (4000, 200))
    share = np.mean([uniformity.leaves_band(ranks, DRAWS, level=0.05) for ranks in drawn])
    assert share == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 4000))


def test_the_exact_p_value_of_the_band_is_that_of_simulated_uniform_ranks():
    """Two-sided tail probabilities worked out anew for each replicate, point by point."""
    rng = np.random.default_rng(2)
    places = np.arange(10, 1000, 10)

    def farthest(ranks):
        below = (ranks[:, None] < places).sum(axis=0)
        lower, upper = stats.binom.cdf(below, 40, places / 1000), stats.binom.sf(below - 1, 40, places / 1000)
        return 2 * np.minimum(lower, upper).min()

    observed = ranks_of(stats.norm.cdf(rng.normal(0.25, 1.0, 40)), rng)
    replicates = np.array([farthest(rng.integers(0, 1000, 40)) for _ in range(4000)])
    p = uniformity.ecdf_p(observed, DRAWS)
    assert p == pytest.approx(np.mean(replicates <= farthest(observed)), abs=4 * np.sqrt(p * (1 - p) / 4000))
    assert 0.02 < p < 0.98


def test_the_band_that_is_drawn_is_the_one_that_rejects():
    rng = np.random.default_rng(3)
    z, low, high = uniformity.ecdf_band(300, DRAWS, level=0.05)
    assert z[[0, -1]].tolist() == [0.01, 0.99]
    for shift in (0.0, 0.1, 0.2, 0.3):
        ranks = ranks_of(stats.norm.cdf(rng.normal(shift, 1.0, 300)), rng)
        below = np.array([np.mean(ranks < 1000 * place - 1e-6) for place in z])
        outside = bool(((below < low - 1e-9) | (below > high + 1e-9)).any())
        assert outside == uniformity.leaves_band(ranks, DRAWS, level=0.05)
        assert outside == (uniformity.ecdf_p(ranks, DRAWS) <= 0.05)


@pytest.mark.parametrize(
    ("defect", "chi_square", "band"),
    [
        (lambda z: stats.norm.cdf(z / 0.8), 0.97, 0.48),  # sd 20 % too small
        (lambda z: stats.norm.cdf(z / 1.2), 0.66, 0.21),  # sd 20 % too large
        (lambda z: stats.norm.cdf(z - 0.2), 0.50, 0.85),  # mean off by .2 sd
    ],
)
def test_five_hundred_simulations_see_what_the_plan_says(defect, chi_square, band):
    """Powers of normal posteriors; the band sees a wrong spread better than the plan's, which is of equal width."""
    seen = rejected(defect, simulations=500, replicates=300, rng=np.random.default_rng(4))
    for share, claimed in zip(seen, (chi_square, band), strict=True):
        assert share > claimed - 4 * np.sqrt(claimed * (1 - claimed) / 300)


def test_right_posteriors_are_seldom_rejected():
    seen = rejected(stats.norm.cdf, simulations=500, replicates=1000, rng=np.random.default_rng(5))
    assert max(seen) < AN_EIGHTH + 4 * np.sqrt(AN_EIGHTH / 1000)


def test_the_place_among_equals_is_drawn_at_random():
    rng = np.random.default_rng(6)
    ranks = [uniformity.rank_of_first(np.array([np.inf, 1.0, np.inf, np.inf, 2.0]), rng) for _ in range(3000)]
    assert sorted(set(ranks)) == [2, 3, 4]
    assert np.mean(ranks) == pytest.approx(3.0, abs=4 * np.sqrt(2 / 3 / 3000))


# The machinery


@pytest.mark.parametrize("model", STORIES)
def test_every_parameter_the_likelihood_and_every_forecast_is_ranked(model):
    record = MODELS[model]
    ranks = sbc.simulate_and_rank(experiment_of(model, customers=300, draws=99), 0).ranks
    assert tuple(ranks)[: len(record.parameters) + 1] == (*record.parameter_names, "log_likelihood")
    assert set(record.quantities) - {"purchases"} < set(ranks)
    assert all(0 <= rank <= 99 for rank in ranks.values())


def test_forty_simulations_of_right_code_pass():
    made = calibration()
    assert made.uniform
    assert made.escalated == 0
    assert made.to_pandas()["mean_rank"].between(0.3, 0.7).all()


def test_ranked_draws_do_not_repeat():
    experiment = experiment_of("bg_nbd", customers=300, draws=DRAWS)
    kept = []

    def kept_fit(*arguments, **options):
        kept.append(clv.fit(*arguments, **options))
        return kept[-1]

    for number in range(8):
        sbc.simulate_and_rank(experiment, number, fit_model=kept_fit)
    assert [len(np.unique(fit.draws["r"].values)) for fit in kept] == [DRAWS] * 8


def same(some, others):
    """Whether records are equal, a NaN with a NaN."""
    return repr(some) == repr(others)


def test_processes_and_the_number_of_simulations_change_no_rank():
    one = calibration(simulations=24, draws=99)
    two = calibration(simulations=30, draws=99, workers=2)
    assert same(two.simulations[:24], one.simulations)


@pytest.mark.parametrize("left", ["whole lines", "half a line", "nothing"])
def test_an_interrupted_run_goes_on_to_the_same_file(tmp_path, left):
    whole = calibration(simulations=24, draws=99, output=tmp_path / "whole")
    content = (tmp_path / "whole" / "ranks.csv").read_bytes()
    calibration(simulations=20, draws=99, output=tmp_path / "cut")
    cut = tmp_path / "cut" / "ranks.csv"
    assert content.startswith(cut.read_bytes())
    end = {"whole lines": cut.stat().st_size, "half a line": cut.stat().st_size - 7, "nothing": 0}[left]
    cut.write_bytes(cut.read_bytes()[:end])
    told = []
    again = calibration(simulations=24, draws=99, output=tmp_path / "cut", tell=told.append)
    assert cut.read_bytes() == content
    assert same(again.simulations, whole.simulations)
    assert same(sbc.read_calibration(tmp_path / "cut"), again)
    assert told[-1].startswith("24 of 24 simulations")


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_process_and_goes_on_to_the_same_file(tmp_path, blow):
    command = [sys.executable, "-m", "clvmodels", "sbc", "gamma_gamma", "--customers", "100", "--seed", "1"]
    command += ["--workers", "2", "--simulations", "100000", "--output", tmp_path / "cut"]
    cut = tmp_path / "cut" / "ranks.csv"
    with subprocess.Popen(command, start_new_session=True) as killed:
        try:
            waited(lambda: cut.exists() and cut.read_bytes().count(b"\n") > 20, seconds=60)
            killed.send_signal(blow)
            waited(lambda: killed.poll() is not None and not alive(killed.pid), seconds=20)
        finally:
            killed.kill()
    cut.write_bytes(b"".join(cut.read_bytes().splitlines(keepends=True)[:20]))
    for folder in ("cut", "whole"):
        calibration(simulations=24, output=tmp_path / folder)
    assert cut.read_bytes() == (tmp_path / "whole" / "ranks.csv").read_bytes()


def waited(condition, *, seconds):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def alive(session):
    """Whether a process of that session is left."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_folder_of_another_setting_is_refused(tmp_path):
    calibration(simulations=20, draws=99, output=tmp_path)
    with pytest.raises(clv.StudyError, match="another setting"):
        calibration(simulations=20, draws=99, output=tmp_path, seed=2)
    with pytest.raises(clv.StudyError, match="no calibration"):
        sbc.read_calibration(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(clv.StudyError, match="cannot be written"):
        calibration(simulations=20, draws=99, output=tmp_path / "file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mle"}, '"laplace" or "nuts"'),
        ({"simulations": 5}, "simulations = 5: expected 20"),
        ({"customers": 3}, "customers = 3"),
        ({"draws": 5}, "draws = 5"),
        ({"T": (10.0, -1.0)}, "lengths of time"),
        ({"T": ()}, "lengths of time"),
        ({"seed": -1}, "seed = -1"),
        ({"workers": 0}, "workers = 0"),
        ({"priors": {"p": clv.LogNormal(1.0, 1.0)}}, "each from its prior"),
    ],
)
def test_arguments_that_cannot_be_are_refused(changes, message):
    with pytest.raises(clv.FitError, match=message):
        calibration(**changes)


def test_a_data_set_that_cannot_be_fitted_stops_the_run_by_its_number():
    never = {**sbc.default_priors("bg_nbd"), "alpha": clv.LogNormal(1e9, 0.1)}
    with pytest.raises(clv.FitError, match=r"simulation 0 of seed 1 \(bg_nbd at r = .*repeat purchase.*left out"):
        calibration("bg_nbd", priors=never)


def test_a_failed_diagnostic_is_counted_and_the_data_set_ranked():
    heavy = {**sbc.default_priors("gamma_gamma"), "q": clv.LogNormal(1.0, 0.2)}
    made = calibration(simulations=20, draws=99, priors=heavy)
    assert made.failed()["infinite_mean"] > 5
    assert len(made.simulations) == 20


def test_the_command_prints_the_table_and_says_by_its_exit_code_whether_ranks_are_uniform(capsys, monkeypatch):
    command = ["sbc", "gamma_gamma", "--simulations", "40", "--customers", "100", "--seed", "1", "--workers", "1"]
    assert cli.main(command) == 0
    assert "all uniform" in capsys.readouterr().out
    plant(monkeypatch, "gamma_gamma", log_likelihood=without_betaln)
    assert cli.main(command) == 1
    assert "NOT uniform: p" in capsys.readouterr().out
    assert cli.main([*command, "--customers", "1"]) == 2


# Planted faults: each is what somebody once wrote


def plant(monkeypatch, model, **changes):
    """Put a fault into the registry's record of a model."""
    monkeypatch.setitem(MODELS, model, dataclasses.replace(MODELS[model], **changes))


def without_betaln(parameters, patterns, ops, *, right=MODELS["gamma_gamma"].log_likelihood):
    p, q, x = parameters["p"], parameters["q"], patterns.frequency
    return right(parameters, patterns, ops) + x.map(lambda x, p, q: ops.betaln(p * x, q), p, q)


def swapped(rng, parameters, end, *, right=MODELS["bg_nbd"].simulate):
    return right(rng, {**parameters, "a": parameters["b"], "b": parameters["a"]}, end)


def one_purchase_short(parameters, patterns, ops, *, right=MODELS["bg_nbd"].log_likelihood):
    return right(parameters, dataclasses.replace(patterns, frequency=less_one(patterns.frequency)), ops)


def less_one(x):
    return Levels(np.where(x.values > 1, x.values - 1, x.values), x.index)


def age_for_recency(parameters, patterns, ops, *, right=MODELS["bg_nbd"].log_likelihood):
    return right(
        parameters, PurchasePatterns(patterns.frequency, patterns.T, patterns.T, patterns.n_customers, "week"), ops
    )


def without_alpha(parameters, patterns, ops, *, right=MODELS["bg_nbd"].log_likelihood):
    return right(parameters, patterns, ops) - parameters["r"] * ops.log(parameters["alpha"])


FAULTS = {
    "a and b change places in the simulator": ("bg_nbd", {"simulate": swapped}),
    "x - 1 in place of x": ("bg_nbd", {"log_likelihood": one_purchase_short}),
    "T in place of t_x": ("bg_nbd", {"log_likelihood": age_for_recency}),
    "alpha^r is missing": ("bg_nbd", {"log_likelihood": without_alpha}),
    "B(p x, q) is missing": ("gamma_gamma", {"log_likelihood": without_betaln}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_thirty_simulations_find_a_gross_fault(fault, monkeypatch):
    model, changes = FAULTS[fault]
    plant(monkeypatch, model, **changes)
    assert not calibration(model, simulations=30, customers=200, draws=99).uniform


def sticky(model, customers, *, method, draws, seed, priors):
    """A chain that stays a hundred steps at each draw of the posterior."""
    fitted = clv.fit(model, customers, method="laplace", draws=max(draws // 100 + 1, 50), seed=seed, priors=priors)
    columns = {name: np.repeat(values[:, 0], 100)[None, :draws] for name, values in fitted.columns().items()}
    return dataclasses.replace(fitted, method="nuts", draws=dataset_of(columns))


def sticky_calibration():
    experiment = experiment_of("gamma_gamma", customers=100, draws=99, method="nuts")
    made = [sbc.simulate_and_rank(experiment, number, fit_model=sticky) for number in range(40)]
    return sbc.Calibration(experiment, tuple(made))


def test_a_chain_that_hardly_moves_is_drawn_longer_and_thinned():
    assert sticky_calibration().uniform


def test_unthinned_chains_are_found(monkeypatch):
    monkeypatch.setattr(sbc, "effective_size", lambda fitted, customers: np.inf)
    assert not sticky_calibration().uniform


def wider_priors(model, customers, *, method, draws, seed, priors):
    wider = {name: clv.LogNormal(prior.median, 1.2 * prior.sd) for name, prior in priors.items()}
    return clv.fit(model, customers, method=method, draws=draws, seed=seed, priors=wider)


@pytest.mark.sbc
def test_a_prior_that_is_a_fifth_too_wide_is_found_where_data_are_few():
    """With 500 customers the data decide and nothing would be seen; with 20 the prior does."""
    experiment = experiment_of("gamma_gamma", customers=20, draws=199)
    for fit_model, right in ((clv.fit, True), (wider_priors, False)):
        made = [sbc.simulate_and_rank(experiment, number, fit_model=fit_model) for number in range(1000)]
        assert sbc.Calibration(experiment, tuple(made)).uniform == right


# The calibration itself


@pytest.mark.sbc
@pytest.mark.parametrize("model", CALIBRATED)
def test_posteriors_by_laplace_are_calibrated_over_a_thousand_simulations(model):
    made = calibration(model, simulations=1000, customers=500, workers=None)
    assert made.uniform, made.table()


@pytest.mark.sbc
@pytest.mark.parametrize("model", CALIBRATED)
def test_posteriors_by_nuts_are_calibrated_over_a_hundred_simulations(model):
    made = calibration(model, simulations=100, customers=500, workers=None, method="nuts")
    assert made.uniform, made.table()
