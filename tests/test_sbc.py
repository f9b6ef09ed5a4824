"""Simulation-based calibration: its tests have the power that they claim, its runs resume, planted faults are found."""

import dataclasses
import functools
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import clvmodels as clv
from clvmodels import cli
from clvmodels.evaluation import ranks as uniformity
from clvmodels.evaluation import sbc
from clvmodels.evaluation.experiment import simulated_customers
from clvmodels.foundation.patterns import Levels, PurchasePatterns
from clvmodels.foundation.priors import LogitNormal
from clvmodels.inference.result import dataset_of
from clvmodels.models import MODELS

DRAWS = 999
AN_EIGHTH = 0.05 / 8
STORIES = [m.name for m in MODELS.values() if m.simulate is not None]
NOT_RANKED = {"purchases", "dert", "spend", "retention_rate", "residual_lifetime", "derl"}
RETENTION = [m.name for m in MODELS.values() if m.family == "retention"]
CALIBRATED = ("bg_nbd", "gamma_gamma", "gamma_gamma_transactions", "lognormal_spend")
RUN = {"T": sbc.AGES, "method": "laplace", "seed": 1, "workers": 1}


def ranks_of(share, rng):
    """Ranks among 999 draws of a true value with that share of the posterior below it."""
    return rng.binomial(DRAWS, share)


band = functools.cache(uniformity.ecdf_band)


def leaves_band(ranks, *, level):
    """Whether the ECDF of the ranks leaves the band that is drawn."""
    z, low, high = band(len(ranks), DRAWS, level=level)
    below = np.searchsorted(np.sort(ranks), np.round(z * (DRAWS + 1))) / len(ranks)
    return bool(((below < low - 1e-9) | (below > high + 1e-9)).any())


def rejected(defect, *, simulations, replicates, rng):
    """Shares of replicates in which chi-square and the ECDF band reject, at 5 % / 8."""
    drawn = [ranks_of(defect(rng.normal(size=simulations)), rng) for _ in range(replicates)]
    chi_square = np.mean([uniformity.chi_square_p(ranks, DRAWS) <= AN_EIGHTH for ranks in drawn])
    outside = np.mean([leaves_band(ranks, level=AN_EIGHTH) for ranks in drawn])
    return chi_square, outside


def experiment_of(model, *, customers, draws, method="laplace"):
    priors, clock = sbc.default_priors(model), sbc._clock(MODELS[model], None)
    ages, horizon = sbc.default_ages(model), sbc.default_horizon(model)
    return sbc.Experiment(model, customers, ages, horizon, priors, method, draws, seed=1, clock=clock)


def calibration(model="gamma_gamma", simulations=40, customers=100, **changes):
    ages, horizon = sbc.default_ages(model), sbc.default_horizon(model)
    arguments = {"priors": sbc.default_priors(model), **RUN, "T": ages, "horizon": horizon, **changes}
    return sbc.run_sbc(model, simulations=simulations, customers=customers, **arguments)


# The tests of uniformity


def test_the_band_rejects_uniform_ranks_as_often_as_its_level_says():
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, DRAWS + 1, (4000, 200))
    share = np.mean([leaves_band(ranks, level=0.05) for ranks in drawn])
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
    z, _, _ = uniformity.ecdf_band(300, DRAWS, level=0.05)
    assert z[[0, -1]].tolist() == [0.01, 0.99]
    for shift in (0.0, 0.1, 0.2, 0.3):
        ranks = ranks_of(stats.norm.cdf(rng.normal(shift, 1.0, 300)), rng)
        assert leaves_band(ranks, level=0.05) == (uniformity.ecdf_p(ranks, DRAWS) <= 0.05)


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
    assert set(record.quantities) - NOT_RANKED < set(ranks)
    assert all(0 <= rank <= 99 for rank in ranks.values())


@pytest.mark.parametrize("clock", ["renewals", "continuous"])
def test_simulated_relations_last_beyond_the_age_at_which_they_are_first_seen(clock):
    experiment = dataclasses.replace(experiment_of("weibull_gamma", customers=600, draws=99), clock=clock)
    truth = {"r": 1.0, "alpha": 3.0, "c": 1.2}
    table = simulated_customers(experiment, truth, np.random.default_rng(1))
    assert sorted(set(table.age[~table.lost])) == list(sbc.RENEWALS)
    assert (table.age > table.entry).all()
    assert np.mean(table.entry > 0) == pytest.approx(1 / 3 if clock == "continuous" else 4 / 15, abs=0.01)
    assert (table.age == np.ceil(table.age)).all() == (clock == "renewals")


def test_simulated_relations_are_lost_as_often_as_the_survival_function_says():
    """Between entry and the last look: 1 - S(T) / S(entry), within 4 standard errors."""
    experiment = experiment_of("exponential_gamma", customers=20_000, draws=99)
    table = simulated_customers(experiment, {"r": 1.0, "alpha": 3.0}, np.random.default_rng(2))
    end = np.resize(experiment.T, len(table))
    for late in (False, True):
        rows = (table.entry > 0) == late
        chance = 1 - (3 + table.entry[rows]) / (3 + end[rows])
        error = np.sqrt(np.sum(chance * (1 - chance)))
        assert abs(table.lost[rows].sum() - chance.sum()) < 4 * error


def test_relations_that_hardly_ever_last_stop_the_run_by_its_number():
    never = {"theta": LogitNormal(0.9999999, 0.1)}
    with pytest.raises(clv.FitError, match=r"simulation 0 of seed 1 \(geometric at theta = .*hardly anybody stays"):
        calibration("geometric", priors=never)


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
    held = {"whole lines": 20, "half a line": 19, "nothing": 0}[left]
    assert len(sbc.read_calibration(tmp_path / "cut").simulations) == held
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run: what its two files hold."""
    folder = tmp_path_factory.mktemp("finished")
    calibration(simulations=20, draws=99, output=folder)
    return {name: (folder / name).read_bytes() for name in ("setting.json", "ranks.csv")}


def changed(finished, folder, name, change):
    """A folder with those files, one of them changed."""
    for other, content in finished.items():
        (folder / other).write_bytes(change(content) if other == name else content)


def with_line(number, change):
    """A change of one line, counted from 1 as an editor does."""

    def changed_content(content):
        lines = content.split(b"\n")
        lines[number - 1 : number] = change(lines[number - 1])
        return b"\n".join(lines)

    return changed_content


def last_field(value):
    return lambda line: [line.rpartition(b",")[0] + b"," + value]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_line(1, lambda line: [line.replace(b"log_", b"")]), "line 1: expected the columns simulation, method"),
        (with_line(4, last_field(b"x")), "line 4: .*'x'"),
        (with_line(4, last_field(b"100")), "line 4: .*rank .*100"),
        (with_line(4, lambda line: [line[:9]]), "line 4: .*columns"),
        (with_line(4, lambda line: [line + b",1"]), "line 4: .*columns"),
        (with_line(4, lambda line: [b""]), "line 4: .*columns"),
        (with_line(4, lambda line: [b'\xff\x00"']), "line 4: .*columns"),
        (with_line(4, lambda line: [line.replace(b"laplace", b"lap")]), "line 4: .*method"),
        (with_line(4, lambda line: []), "line 4: simulation 3 where 2 is due"),
        (with_line(4, lambda line: [line, line]), "line 5: simulation 2 where 3 is due"),
    ],
)
def test_a_broken_line_of_ranks_is_refused_by_file_and_line(finished, tmp_path, change, message):
    changed(finished, tmp_path, "ranks.csv", change)
    held = (tmp_path / "ranks.csv").read_bytes()
    for read in (sbc.read_calibration, lambda folder: calibration(simulations=24, draws=99, output=folder)):
        with pytest.raises(clv.StudyError, match=f"ranks.csv, {message}"):
            read(tmp_path)
    assert (tmp_path / "ranks.csv").read_bytes() == held


@pytest.mark.parametrize(
    "change",
    [lambda content: b"", lambda content: content[:90], lambda content: b"\xff", lambda content: b"[1]\n"],
)
def test_a_damaged_setting_is_refused_as_such(finished, tmp_path, change):
    changed(finished, tmp_path, "setting.json", change)
    for read in (sbc.read_calibration, lambda folder: calibration(simulations=24, draws=99, output=folder)):
        with pytest.raises(clv.StudyError, match=r"setting.json is empty or damaged"):
            read(tmp_path)


def test_ranks_whose_setting_is_lost_are_not_gone_on_with(finished, tmp_path):
    changed(finished, tmp_path, "setting.json", lambda content: content)
    (tmp_path / "setting.json").unlink()
    with pytest.raises(clv.StudyError, match=r"ranks.csv .*setting.json is missing"):
        calibration(simulations=24, draws=99, output=tmp_path)


def test_a_kill_while_the_setting_is_written_leaves_no_half_file(tmp_path, monkeypatch):
    """A kill before the rename: everything written so far lies aside, and the next run is not stopped by it."""

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            calibration(simulations=20, draws=99, output=tmp_path)
    assert not (tmp_path / "setting.json").exists()
    assert len(calibration(simulations=20, draws=99, output=tmp_path).simulations) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ranks.csv", "setting.json"]


def test_the_time_that_is_left_does_not_count_the_start_of_the_workers(finished, tmp_path, monkeypatch):
    """The first of 20 comes after 100 s, each other after 6 s: at the third, 17 x 6 s are left."""
    changed(finished, tmp_path, "setting.json", lambda content: content)
    times = itertools.chain([100.0], itertools.count(106.0, 6.0))
    monkeypatch.setattr(sbc.time, "monotonic", lambda: next(times))
    told = []
    list(sbc._told(iter(sbc.read_calibration(tmp_path).simulations), 0, 20, told.append))
    assert told[0] == "3 of 20 simulations, 0 by NUTS; about 102 s left"
    assert told[-1].startswith("20 of 20 simulations")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mle"}, '"laplace" or "nuts"'),
        ({"simulations": 5}, "simulations = 5: expected a whole number, 20 or more"),
        ({"simulations": 20.5}, "simulations = 20.5"),
        ({"customers": 3}, "customers = 3"),
        ({"customers": 50.5}, "customers = 50.5"),
        ({"draws": 5}, "draws = 5"),
        ({"draws": 19.5}, "draws = 19.5"),
        ({"workers": 0}, "workers = 0"),
        ({"workers": 1.5}, "workers = 1.5"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 1.5}, "seed = 1.5"),
        ({"T": (10.0, -1.0)}, "T = -1.0: expected a length of time"),
        ({"T": (10.0, np.inf)}, "T = inf"),
        ({"T": (10.0, "x")}, "T = 'x'"),
        ({"T": 20.0}, "T = 20.0: expected ages"),
        ({"T": ()}, r"T = \(\): expected ages"),
        ({"horizon": 0.0}, "horizon = 0.0: expected a length of time"),
        ({"clock": "renewals"}, 'clock = "renewals": it is of tables of retention'),
        ({"horizon": "x"}, "horizon = 'x'"),
        ({"priors": None}, "priors = None"),
        ({"priors": {"p": clv.LogNormal(1.0, 1.0)}}, "each from its prior"),
        ({"priors": {**sbc.default_priors("gamma_gamma"), "q": 1.0}}, "priors for q: .* LogNormal, not a float"),
        ({"priors": {**sbc.default_priors("gamma_gamma"), "q": clv.Normal(0.0, 1.0)}}, "priors for q: .* not a Normal"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_any_work(changes, message, monkeypatch):
    monkeypatch.setattr(sbc, "_simulations", None)
    with pytest.raises((clv.FitError, clv.DataError), match=message):
        calibration(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clock": "continuous"}, 'sbg counts renewals, expected "renewals"'),
        ({"clock": "weekly"}, 'clock = "weekly"'),
        ({"T": (2.5, 4.0)}, "T = .*whole numbers of renewals"),
    ],
)
def test_a_table_that_the_model_cannot_read_is_refused_before_any_work(changes, message, monkeypatch):
    monkeypatch.setattr(sbc, "_simulations", None)
    with pytest.raises(clv.FitError, match=message):
        calibration("sbg", **changes)


@pytest.mark.parametrize("T", [20.0, (), (0.0,)])
def test_default_priors_of_no_ages_are_refused(T):
    with pytest.raises(clv.FitError, match="T = "):
        sbc.default_priors("bg_nbd", T=T)


def test_counts_of_numpy_are_counts(tmp_path):
    made = calibration(simulations=np.int64(20), customers=np.int64(100), draws=np.int64(99), output=tmp_path)
    assert sbc.read_calibration(tmp_path).experiment == made.experiment


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


@pytest.mark.parametrize("age", ["0", "-1", "inf", "nan", "x"])
@pytest.mark.parametrize("option", ["--ages", "--horizon"])
def test_the_command_names_the_option_of_a_length_that_cannot_be(capsys, option, age):
    with pytest.raises(SystemExit) as ended:
        cli.main(["sbc", "bg_nbd", "--seed", "1", f"{option}={age}"])
    assert ended.value.code == 2
    assert f"argument {option}: {age}: expected weeks, above 0" in capsys.readouterr().err


def test_a_model_that_is_given_after_the_ages_is_answered_by_where_it_goes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["sbc", "--seed", "1", "--ages", "10", "20", "bg_nbd"])
    assert "usage: clvmodels sbc MODEL --seed SEED [options]" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["sbc", "--help"])
    assert "before the options" in capsys.readouterr().out


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


def entry_ignored(parameters, patterns, ops, *, right=MODELS["sbg"].log_likelihood):
    from_the_beginning = Levels.of(np.zeros(len(patterns)))
    return right(parameters, dataclasses.replace(patterns, entry=from_the_beginning), ops)


def one_renewal_late(parameters, patterns, ops, *, right=MODELS["sbg"].log_likelihood):
    lost = patterns.lost > 0
    before, age = (Levels.of(column.rows + lost) for column in (patterns.before, patterns.age))
    return right(parameters, dataclasses.replace(patterns, before=before, age=age), ops)


def without_c(parameters, patterns, ops, *, right=MODELS["weibull_gamma"].log_likelihood):
    return right(parameters, patterns, ops) - patterns.lost * ops.log(parameters["c"])


FAULTS = {
    "entry is ignored": ("sbg", {"log_likelihood": entry_ignored}),
    "S(n) - S(n + 1) in place of S(n - 1) - S(n)": ("sbg", {"log_likelihood": one_renewal_late}),
    "c is missing from the hazard": ("weibull_gamma", {"log_likelihood": without_c}),
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


def least_p_of_sticky_chains():
    """Over 12 tests; .001 or less comes of right posteriors about once in a hundred sets of random numbers."""
    experiment = experiment_of("gamma_gamma", customers=100, draws=99, method="nuts")
    made = [sbc.simulate_and_rank(experiment, number, fit_model=sticky) for number in range(40)]
    return sbc.Calibration(experiment, tuple(made)).to_pandas()[["chi_square_p", "ecdf_p"]].min().min()


def test_a_chain_that_hardly_moves_is_drawn_longer_and_thinned():
    assert least_p_of_sticky_chains() > 0.001


def test_unthinned_chains_are_found(monkeypatch):
    monkeypatch.setattr(sbc, "effective_size", lambda fitted, customers: np.inf)
    assert least_p_of_sticky_chains() < 0.001


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
@pytest.mark.parametrize("model", [*CALIBRATED, *RETENTION, "bg_bb", "ggom_nbd"])
def test_posteriors_by_laplace_are_calibrated_over_a_thousand_simulations(model):
    made = calibration(model, simulations=1000, customers=500, workers=None)
    assert made.uniform, made.table()


@pytest.mark.sbc
@pytest.mark.parametrize("model", ["exponential_gamma", "weibull_gamma"])
def test_posteriors_from_losses_between_renewals_are_calibrated_in_continuous_time_too(model):
    made = calibration(model, simulations=1000, customers=500, workers=None, clock="renewals")
    assert made.uniform, made.table()


@pytest.mark.sbc
@pytest.mark.parametrize("model", [*CALIBRATED, "sbg"])
def test_posteriors_by_nuts_are_calibrated_over_a_hundred_simulations(model):
    made = calibration(model, simulations=100, customers=500, workers=None, method="nuts")
    assert made.uniform, made.table()


@pytest.mark.parametrize("name", ["bg_nbd_laplace", "bg_nbd_nuts", "gamma_gamma_laplace", "gamma_gamma_nuts"])
def test_the_ranks_that_the_page_on_calibration_shows_can_be_read(name):
    """They could not since priors say their kind in the file."""
    stored = sbc.read_calibration(Path(__file__).parents[1] / "docs" / "sbc" / name)
    assert len(stored.simulations) >= 200
