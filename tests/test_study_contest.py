"""A contest from its file to its folder: refused before long work, the same for one seed, and true to its tables."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.evaluation.contest import contest
from clvmodels.evaluation.pairs import FitsMade
from clvmodels.foundation.contest_results import ContestResults
from clvmodels.foundation.errors import DataError, FitError, StudyError
from clvmodels.report.reading import read_results
from clvmodels.study import contest_data, read_study, run_study
from tests.evaluation_cases import holdout, point

RANKINGS = ("spend_gini", "spend_capture_20", "spend_spearman", "purchases_spearman")
STORY = """
[simulated.KEY.story]
purchases = "bg_nbd"
spend = "gamma_gamma"
parameters = { r = 0.6, alpha = 5.0, a = 0.8, b = 2.5 }
spend_parameters = { p = 6.0, q = 4.0, v = 15.0 }
customers = SIZE
first_day = 2001-01-01
acquisition_days = 60
days = 400

[simulated.KEY.origins]
first_end = 2001-08-31
step = 2
horizons = HORIZONS
number = 2
lengths = "calendar_month"
"""
HEAD = """
kind = "contest"
name = "small"
seed = 5
languages = ["en"]
title = { en = "Small" }

[contest]
method = "METHOD"
baselines = BASELINES
models = MODELS
replicates = 100
costs = ["told"]

[fit]
draws = 100

[simulated.told]
title = { en = "Told" }
"""


def text(*, method="bg_nbd+gamma_gamma", baselines=("abc", "same_rate"), models=("bg_nbd+gamma_gamma",), size=250):
    words = {
        "METHOD": method,
        "BASELINES": json.dumps(list(baselines)),
        "MODELS": json.dumps(list(models)),
        "SIZE": str(size),
        "HORIZONS": "[2]",
        "KEY": "told",
    }
    whole = HEAD + STORY
    for word, value in words.items():
        whole = whole.replace(word, value)
    return whole


@pytest.fixture
def study_file(tmp_path):
    def write(content):
        path = tmp_path / "small.toml"
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small contest that has run."""
    place = tmp_path_factory.mktemp("contest")
    (place / "small.toml").write_text(text(), encoding="utf-8")
    run_study(place / "small.toml", output=place / "reports")
    return place / "reports" / "small"


@pytest.fixture(scope="module")
def results(folder):
    found = read_results(folder)
    assert isinstance(found, ContestResults)
    return found


def without_fits(monkeypatch):
    def refuses(*_, **__):
        raise AssertionError("a fit was made before the study was refused")

    monkeypatch.setattr(contest_data, "forecast_occasion", refuses)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("replicates = 100", "replicas = 100", r'\[contest\]: unknown key "replicas"; did you mean "replicates"\?'),
        ("customers = 250", "people = 250", r'\[simulated.told.story\]: unknown key "people"'),
        ('"same_rate"]', '"same_pace"]', 'baselines has "same_pace": expected some of "abc"'),
        ('["bg_nbd+gamma_gamma"]', '["bg_nbd"]', r'\[contest\] models: "bg_nbd" is no model of purchases and one of'),
        ('["bg_nbd+gamma_gamma"]', '["bg_bb+gamma_gamma"]', "reads customers by days or with a calendar"),
        ('["abc", "same_rate"]', '["abc", "abc"]', 'the method "abc" is named twice'),
        ('method = "bg_nbd+gamma_gamma"', 'method = "best"', 'method = "best": it does not take part; expected one of'),
        ("horizons = [2]", "horizons = [3, 2]", r"horizons = \[3, 2\]: give each once, the shortest first"),
        ("horizons = [2]", "horizons = [2, 30]", r"\[simulated.told.origins\]: first_end 2001-08-31 with a holdout"),
        ("horizons = [2]", "horizons = [1.5]", r"\[simulated.told.origins\]: holdout = 1.5: calendar months are whole"),
        ("alpha = 5.0, ", "", r"\[simulated.told.story\]: .*alpha"),
        ('title = { en = "Told" }', 'title = { zh = "x" }', r'\[simulated.told.title\]: there is no title for .* "en"'),
        ('costs = ["told"]', 'costs = ["tols"]', r'\[contest\] costs has "tols": expected some of "told"'),
        ('kind = "contest"', 'kind = "match"', 'expected "retention" or "contest"'),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_before_any_fit(study_file, tmp_path, monkeypatch, old, new, message):
    without_fits(monkeypatch)
    content = text()
    assert old in content
    with pytest.raises(StudyError, match=message):
        run_study(study_file(content.replace(old, new)), output=tmp_path / "reports")
    assert not (tmp_path / "reports" / "small").exists()


LOG = """
[data.shop]
title = {{ en = "Shop" }}
optional = {optional}
[data.shop.log]
source = "{source}"
currency = "USD"
[data.shop.origins]
first_end = 2001-06-30
step = 4
horizons = [8]
"""


def test_a_data_set_that_is_not_there_is_refused_with_how_to_bring_it(study_file, tmp_path, monkeypatch):
    without_fits(monkeypatch)
    path = study_file(text() + LOG.format(optional="false", source="online_retail.csv"))
    with pytest.raises(DataError, match=r"online_retail.csv: there is no such file. Download"):
        run_study(path, output=tmp_path / "reports")


def test_data_name_one_of_the_logs(study_file, tmp_path, monkeypatch):
    without_fits(monkeypatch)
    path = study_file(text() + LOG.format(optional="true", source="online_retail.csv"))
    for given in ("shop.csv", "told=shop.csv"):
        with pytest.raises(StudyError, match=r"expected one of shop=PATH"):
            run_study(path, output=tmp_path / "reports", data=given)
    with pytest.raises(DataError, match=r"mine\.csv"):
        run_study(path, output=tmp_path / "reports", data=f"shop={tmp_path}/mine.csv")


def test_an_optional_data_set_that_is_not_there_is_left_out_and_named(study_file, tmp_path):
    path = study_file(text(method="abc", models=(), size=150) + LOG.format(optional="true", source="online_retail.csv"))
    found = run_study(path, output=tmp_path / "reports")
    assert [data.key for data in found.data] == ["told"]
    assert list(found.left_out) == ["shop"]
    assert "Download" in found.left_out["shop"]


def test_the_folder_has_the_results_and_every_table_of_them(folder, results):
    files = {path.name for path in folder.iterdir()}
    tables = {f"{name}.csv" for name in ("league", "comparison", "winners", "verdicts", "duels", "totals", "conformal")}
    assert files == {"results.json", "costs.json", "manifest.json", *tables}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {"results.json", "costs.json", *tables}
    (data,) = results.data
    (section,) = data.contests
    assert [origin.calibration_end for origin in section.origins] == ["2001-08-31", "2001-10-31"]
    assert section.methods == ["abc", "same_rate", "bg_nbd+gamma_gamma"]
    assert [row.method for row in data.difficulty] == section.methods
    assert data.panel_end == "2001-10-31"
    assert len(data.circumstances) == 7
    assert {check.outcome for check in data.totals} == {"purchases", "spend"}
    assert len(data.totals) == 4
    costs = json.loads((folder / "costs.json").read_text())["methods"]["told"]
    assert [row["method"] for row in costs] == section.methods


def test_the_tables_are_those_of_the_results(folder, results):
    (section,) = results.data[0].contests
    league = pd.read_csv(folder / "league.csv").set_index(["method", "score"])
    assert len(league) == len(section.league)
    for row in section.league:
        known = [value for value in row.by_origin if value is not None]
        assert row.value == pytest.approx(np.mean(known))
        assert league.loc[(row.method, row.score), "value"] == pytest.approx(row.value)
    comparison = pd.read_csv(folder / "comparison.csv")
    assert list(comparison.columns) == ["data", "horizon", "method", "score", "value", "low", "high", "n"]
    assert set(comparison.n) == {2 * 250}
    duels = pd.read_csv(folder / "duels.csv")
    assert (duels.of == "method").sum() == len(section.duels)
    winners = pd.read_csv(folder / "winners.csv")
    assert [row.split("; ") for row in winners.kept] == [row.kept for row in results.winners]


def test_a_methods_calibration_is_that_of_its_forecast_at_the_panel_origin(results):
    (data,) = results.data
    by_method = {row.method: row for row in data.calibration}
    assert set(by_method) == {"same_rate", "bg_nbd+gamma_gamma"}  # ABC only ranks
    model = by_method["bg_nbd+gamma_gamma"]
    origin = data.contests[0].origins[-1]
    for rows in (model.by_frequency, model.by_cohort):
        assert sum(row.customers for row in rows) == origin.customers
        assert sum(row.customers * row.actual for row in rows) == pytest.approx(origin.purchases)
    assert [row.group for row in model.by_cohort] == ["2001-01", "2001-02", "2001-03"]
    for quantity, total in (("purchases", origin.purchases), ("spend", origin.spend)):
        assert sum(row.customers * row.actual for row in model.deciles[quantity]) == pytest.approx(total)
    assert [row.probability for row in model.coverage] == [0.5, 0.8, 0.9, 0.95] * 2
    assert by_method["same_rate"].coverage == by_method["same_rate"].pit == []


def test_the_same_seed_gives_the_same_bytes_but_for_the_costs(folder, study_file, tmp_path):
    run_study(study_file(text()), output=tmp_path / "again")
    for path in folder.iterdir():
        if path.name not in ("costs.json", "manifest.json"):
            assert path.read_bytes() == (tmp_path / "again" / "small" / path.name).read_bytes(), path.name


def test_a_model_that_fails_at_an_origin_is_left_out_there_and_named(study_file, tmp_path, monkeypatch):
    def fails(model, *_, **__):
        raise FitError(f"{model} did not converge.")

    monkeypatch.setattr("clvmodels.evaluation.pairs.fit", fails)
    found = run_study(study_file(text(method="abc", size=60)), output=tmp_path / "reports")
    (data,) = found.data
    left_out = [origin.left_out for origin in data.contests[0].origins]
    assert left_out == [{"bg_nbd+gamma_gamma": "bg_nbd did not converge."}] * 2
    assert data.totals == data.conformal == data.circumstances == []


def test_an_origin_at_which_the_own_method_fails_is_left_out_and_named(study_file, tmp_path, monkeypatch):
    from clvmodels.evaluation import pairs

    first = []

    def fails_at_first(model, customers, **more):
        first.append(customers.calibration_end)
        if customers.calibration_end == dt.date(2001, 8, 31):
            raise FitError(f"{model} did not converge.")
        return fit(model, customers, **more)

    fit = pairs.fit
    monkeypatch.setattr(pairs, "fit", fails_at_first)
    (data,) = run_study(study_file(text()), output=tmp_path / "reports").data
    (contest,) = data.contests
    assert contest.left_out == {"2001-08-31": "bg_nbd did not converge."}
    assert [origin.calibration_end for origin in contest.origins] == ["2001-10-31"]
    assert {duel.method for duel in contest.duels} == {"abc", "same_rate"}
    assert dt.date(2001, 8, 31) in first


def test_best_ranks_by_its_score_and_is_scored_on_the_spend_that_it_forecasts():
    rng = np.random.default_rng(3)
    amount = rng.gamma(1.0, 20.0, size=40)
    outcome = holdout(np.ones(40), amount)
    both = {"score": point(amount, "score"), "spend": point(-amount, "spend")}
    section = contest({"both": both, "one": {"spend": both["spend"]}}, outcome, model="both", rng=rng, replicates=10)
    values = {(row.method, row.score): row.value for row in section.scores}
    assert values["both", "spend_gini"] == pytest.approx(1.0)
    assert values["one", "spend_gini"] < 0
    assert values["both", "spend_mae"] == values["one", "spend_mae"]


def test_shared_fits_change_no_forecast():
    log = clv.read_transactions("dataset:cdnow_sample")
    window = clv.Window("1997-06-30", "1997-09-30")
    fits = FitsMade()
    for made in (None, fits, fits):
        own = clv.model_method("nbd", "gamma_gamma", seed=2, draws=100, baskets="all", fits=made)
        occasion = clv.forecast_occasion(log, window, methods=[own])
        totals = occasion.forecasts["nbd+gamma_gamma[all]"]["spend"].total_draws
        if made is None:
            alone = totals
        np.testing.assert_array_equal(totals, alone)
    assert len(fits.made) == 2


def test_the_studies_of_the_repository_are_contests_that_can_be_read():
    for name in ("contest", "contest_sample"):
        assert read_study(f"studies/{name}.toml").study.name == name


@pytest.mark.slow
def test_who_told_the_customers_wins_and_nobody_wins_where_outcomes_are_shuffled(study_file, tmp_path):
    content = text(size=2000, baselines=("abc", "rfm", "same_rate", "last_period"))
    shuffled = STORY.replace("KEY", "chance").replace("SIZE", "2000").replace("HORIZONS", "[2]")
    content += '[simulated.chance]\ntitle = { en = "Chance" }\nshuffles = 3\n' + shuffled
    content = content.replace('replicates = 100\ncosts = ["told"]', "replicates = 400").replace(
        "draws = 100", "draws = 300"
    )
    told, chance = run_study(study_file(content), output=tmp_path / "reports").data
    duels = {(duel.score, duel.method): duel for duel in told.contests[0].duels}
    for score in ("spend_gini", "spend_capture_20", "purchases_rmse", "spend_rmse"):
        ours = [duel for (of, _), duel in duels.items() if of == score]
        assert ours
        assert {duel.verdict for duel in ours} == {"model"}, score
    covered = {row.outcome: row for row in told.calibration[-1].coverage if row.probability == 0.9}
    # Counts have atoms, and spend has one at 0, so at least 90 % lie inside or on the ends; 2,000 customers, 3 errors.
    assert set(covered) == {"purchases", "spend"}
    assert all(row.covered >= 0.88 for row in covered.values())
    assert all(check.stationary.q05 <= check.actual <= check.stationary.q95 for check in told.totals)
    # Totals stay when outcomes are shuffled, so a forecast near the mean errs less: it is ranks that nobody knows.
    ranks = [verdict for verdict in chance.contests[0].verdicts if verdict.score in RANKINGS]
    assert {verdict.score for verdict in ranks} == set(RANKINGS)
    assert {verdict.verdict for verdict in ranks} == {"none"}
    assert chance.shuffles is not None
    assert (chance.shuffles.shuffles, chance.shuffles.won) == (3, 0)
    chances = [duel for duel in chance.contests[0].duels if duel.score in RANKINGS]
    assert {duel.verdict for duel in chances} == {"open"}
