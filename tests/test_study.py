"""A study from file to folder: everything is there, adds up, repeats byte for byte, and fails in words."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.foundation.decision_results import ActionsSection
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.files import digest_of_files
from clvmodels.inference.diagnostics import ADVICE
from clvmodels.report.reading import read_results
from clvmodels.study import read_study
from clvmodels.study.config import CheckName
from clvmodels.study.current import current_folder
from clvmodels.study.graph import run_graph
from clvmodels.study.manifest import read_manifest
from clvmodels.study.progress import seed_for
from clvmodels.study.run import graph_of, task_for

STUDIES = Path(__file__).parents[1] / "studies"
QUICK = {
    "draws = 2000": "draws = 400",
    '"mle", "nuts"': '"mle"',
    "replicates = 400": "replicates = 100",
    '"same_rate", "lifetimes"': '"same_rate", "ziln", "lifetimes"',
}

OWN_STRATEGY = """
[matrix.low_low]
en = { name = "Our shop window", offer = ["The catalogue, at list price."] }
zh = { name = "本店橱窗", offer = ["按标价供应目录商品。"] }
"""


def write_study(path, **changes):
    """The sample's study file with some of its text replaced."""
    text = (STUDIES / "cdnow_sample.toml").read_text(encoding="utf-8")
    for old, new in {**QUICK, **changes}.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def write_own_study(home):
    """The quick study with a company's own words beside it."""
    (home / "ours.toml").write_text(OWN_STRATEGY, encoding="utf-8")
    return write_study(home / "quick.toml", **{"seed = ": 'strategies = "ours.toml"\nseed = '})


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("study")
    file = write_own_study(home)
    assert main(["study", str(file), "--output", str(home / "reports")]) == 0
    return home / "reports" / "cdnow_sample"


@pytest.fixture(scope="session")
def results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="session")
def records(folder):
    return read_results(folder)


@pytest.fixture(scope="session")
def customers(folder):
    return pd.read_parquet(folder / "customers.parquet")


def test_a_study_leaves_every_file(folder):
    names = {path.name for path in folder.iterdir()}
    pages = {"index.html", "index.zh.html", "data.html", "data.zh.html"}
    tables = {"customers.csv", "customers.parquet", "holdout.csv", "holdout.parquet", "comparison.csv", "segments.csv"}
    assert pages | tables | {"results.json", "manifest.json", "draws"} == names
    for model in ("bg_nbd", "gamma_gamma"):
        fit = clv.load_fit(folder / "draws" / f"{model}.nc")
        assert fit.n_draws == 400


def test_the_data_section_has_the_published_counts(results):
    data = results["data"]
    assert data["calibration_customers"] == 2357
    assert data["calibration_repeat_purchases"] == 2457
    assert data["holdout_purchases"] == 1882
    assert data["holdout_amount"] == pytest.approx(70976.39, abs=0.005)


def test_a_company_s_own_words_on_a_type_are_in_its_results_and_on_its_page(folder, results):
    strategies = results["strategies"]
    assert strategies["source"] == "ours.toml"
    assert strategies["texts"]["matrix"]["low_low"]["en"]["offer"] == ["The catalogue, at list price."]
    assert strategies["texts"]["matrix"]["low_high"]["en"]["name"] == "Invest to grow"
    for page, name in (("index.html", "Our shop window"), ("index.zh.html", "本店橱窗")):
        assert name in (folder / page).read_text(encoding="utf-8")


def test_predictive_intervals_cover_what_they_say(results):
    covered = {(c["outcome"], c["probability"]): c["covered"] for c in results["evidence"]["coverage"]}
    assert 0.90 <= covered["purchases", 0.9] <= 0.97
    assert 0.88 <= covered["spend", 0.9] <= 0.96


def test_the_fits_are_held_against_the_data_that_they_learnt_from(results):
    purchases, spend = results["predictive"]
    assert [table["model"] for table in results["predictive"]] == ["bg_nbd", "gamma_gamma"]
    rows = {(row["quantity"], row["group"]): row for row in purchases["rows"]}
    groups = [row["observed"] for (quantity, _), row in rows.items() if quantity == "customers"]
    assert sum(groups) == 2357 == purchases["customers"]
    assert rows["repeats", "all"]["observed"] == results["data"]["occasions"] - 2357
    assert len(spend["rows"]) == 20
    assert all(0 < row["p_value"] <= 1 for table in results["predictive"] for row in table["rows"])


def test_customers_left_out_and_scaled_priors_speak_for_the_fits(results):
    fits = {fit["model"]: fit for fit in results["models"]["fits"] if fit["window"] == "decision"}
    for row in results["models"]["criteria"]:
        fit = fits[row["model"]]
        assert fit["log_likelihood"] - 2 * len(fit["parameters"]) < row["elpd"] < fit["log_likelihood"]
        assert row["high_k_customers"] == 0
        assert row["p"] == pytest.approx(len(fit["parameters"]), rel=0.5)
    assert [(row["model"], row["parameter"]) for row in results["models"]["sensitivity"]] == [
        *(("bg_nbd", name) for name in ("r", "alpha", "a", "b")),
        *(("gamma_gamma", name) for name in ("p", "q", "v")),
    ]
    assert {row["diagnosis"] for row in results["models"]["sensitivity"]} == {"none"}


def test_the_study_file_knows_every_check_of_a_fit_and_no_other():
    assert set(get_args(CheckName)) == set(ADVICE)


def test_a_method_that_learns_inside_the_calibration_is_scored_and_ranks_the_customers(results, customers):
    scores = {s["score"]: s["value"] for s in results["comparison"]["scores"] if s["method"] == "ziln"}
    assert scores["spend_gini"] == pytest.approx(0.703, abs=0.001)
    assert 0.93 < scores["purchases_coverage_90"] < 0.98
    assert scores["purchases_crps"] > 0
    assert (customers["ziln_score"] > 0).all()


def test_where_abc_ranks_better_the_results_say_so(results):
    gini = {s["method"]: s["value"] for s in results["comparison"]["scores"] if s["score"] == "spend_gini"}
    assert gini["abc"] == pytest.approx(0.680, abs=0.001)
    assert gini["lifetimes"] == pytest.approx(0.638, abs=0.002)
    assert gini["bg_nbd"] < gini["abc"]
    duel = next(d for d in results["comparison"]["duels"] if (d["method"], d["score"]) == ("abc", "spend_gini"))
    assert duel["difference"] == pytest.approx(gini["bg_nbd"] - gini["abc"])


def test_the_customers_table_has_the_promised_columns(customers):
    five = [f"{name}_{stat}" for name in ("purchases", "spend", "clv") for stat in ("mean", "sd", "q05", "q50", "q95")]
    cells = ["p_high_high", "p_low_high", "p_high_low", "p_low_low", "cell", "label", "undecided", "tier", "stage"]
    history = ["customer_id", "frequency", "recency", "T", "monetary_value", "current_value", "p_alive"]
    assert set(history + five + cells + ["abc_score", "rfm_score"]) <= set(customers.columns)
    assert len(customers) == 2357


def test_the_table_adds_up_to_the_headline(customers, results):
    value = results["value"]
    assert customers["clv_mean"].sum() == pytest.approx(value["equity"]["mean"], rel=1e-9)
    assert customers["purchases_mean"].sum() == pytest.approx(value["purchases"]["mean"], rel=1e-9)
    assert customers["p_buy"].sum() == pytest.approx(value["buyers"]["mean"], rel=1e-9)
    chance = 4 * value["alive"]["sd"] / np.sqrt(400)  # a count of draws: 4 standard errors
    assert abs(customers["p_alive"].sum() - value["alive"]["mean"]) < chance
    cells = {cell["key"]: cell for cell in results["matrix"]["cells"]}
    assert customers["cell"].value_counts().to_dict() == {key: cell["customers"] for key, cell in cells.items()}
    by_cell = customers.groupby("cell")["clv_mean"].sum()
    for key, cell in cells.items():
        assert by_cell[key] == pytest.approx(cell["clv"]["mean"], rel=1e-9)


def test_the_matrix_puts_big_spenders_in_the_high_row(customers, results):
    """A cut that was worked out in place once shuffled current values over the customers."""
    cut = next(c["value"]["mean"] for c in results["matrix"]["cuts"] if c["dimension"] == "current")
    high = customers["cell"].isin(["high_high", "high_low"])
    assert (customers.loc[high, "current_value"] >= cut).all()
    assert (customers.loc[~high, "current_value"] < cut).all()
    shares = customers[["p_high_high", "p_low_high", "p_high_low", "p_low_low"]].sum(axis=1)
    assert np.allclose(shares, 1)


def test_classes_of_the_report_are_those_of_the_customers_table(customers, results):
    section = results["classes"]
    for rows, scheme in ((section["tiers"], "tier"), (section["stages"], "stage")):
        for row in rows:
            own = customers[customers[scheme] == row["key"]]
            assert (row["customers"], row["undecided"]) == (len(own), own[f"{scheme}_undecided"].sum())
            assert row["expected_customers"] == pytest.approx(customers[f"p_{row['key']}"].sum())
            assert row["current_value"] == pytest.approx(own["current_value"].sum())
            assert row["clv"]["mean"] == pytest.approx(own["clv_mean"].sum(), rel=1e-9)
        assert sum(row["customers"] for row in rows) == 2357
        assert sum(row["clv_share"]["mean"] for row in rows) == pytest.approx(1)
    assert [row["key"] for row in section["tiers"]] == ["platinum", "gold", "iron", "lead"]
    assert [round(row["expected_customers"]) for row in section["tiers"]] == [23, 94, 354, 1886]
    assert [row["key"] for row in section["stages"]] == ["exploration", "build_up", "stability", "decline"]
    ended = sum(row["expected_customers"] for row in section["ended"])
    assert (1 - customers["p_alive"]).sum() < ended < customers["p_decline"].sum()
    assert section["grades"] == []


def test_everyone_of_both_dates_is_in_the_movements_and_the_matrix_was_about_right(customers, results):
    section = results["classes"]
    assert (section["moved_from"], section["moved_to"]) == ("1997-09-30", "1998-06-30")
    for rows in (section["movements"], section["kinds"]):
        assert sum(row["customers"] for row in rows) == len(customers)
        assert sum(row["expected"]["mean"] for row in rows) == pytest.approx(len(customers))
        assert sum(row["value_after"] for row in rows) == pytest.approx(customers["current_value"].sum())
    after = pd.DataFrame(section["movements"]).groupby("after")["customers"].sum()
    gone = customers["p_alive"] < 0.5
    assert after.to_dict() == {"lost": gone.sum(), **customers.loc[~gone, "cell"].value_counts().to_dict()}
    for row in section["calibration"]:
        assert row["customers"] < 150 or abs(row["share"] - row["stated"]) < 0.1


def test_the_base_by_quarter_is_in_the_results(results):
    assert [period["start"] for period in results["base"]][::5] == ["1997-01-01", "1998-04-01"]
    assert sum(period["new"] for period in results["base"]) == 2357
    assert sum(period["value"] for period in results["base"]) == pytest.approx(results["data"]["revenue"])


def test_actions_stand_on_the_equity_and_the_cells_of_the_study(results, customers):
    actions = msgspec.convert(results["actions"], ActionsSection)
    equity = msgspec.convert(results["value"]["equity"], Estimate)
    assert not actions.left_out
    assert actions.defections[0].equity == equity
    assert [row.customers for row in actions.silence[1:]] == [cell["customers"] for cell in results["matrix"]["cells"]]
    by_cell = [row for row in actions.defections if row.cell != "all"]
    gain = sum(row.gain.mean for row in by_cell)
    np.testing.assert_allclose(gain, actions.defections[0].gain.mean, rtol=1e-9)
    assert 0 < gain < 0.05 * equity.mean
    for row in actions.actions:
        assert row.advised == (row.p_loss <= 1 - actions.least_chance and row.customers >= actions.least_customers)
        assert (row.reason == "") == row.advised
    split = actions.split
    assert split.spent <= split.budget
    assert split.customers == sum(row.customers for row in split.rows)
    assert split.gain.mean > 2 * split.random_gain
    assert (customers["best_action"] != "none").sum() >= split.customers


def test_the_table_tells_how_long_a_silence_lasts_and_what_leads_on(results, customers):
    gone = customers["p_alive"] <= 0.5
    assert (customers.loc[gone, "days_until_half"] == 0).all()
    assert customers.loc[~gone, "days_until_half"].dropna().gt(0).all()
    assert results["actions"]["silence"][0]["gone"] == gone.sum()
    high = customers["cell"].isin(["high_high", "high_low"])
    assert customers.loc[high, "amount_to_next"].isna().all()
    assert customers.loc[~high, "amount_to_next"].gt(0).all()
    assert customers.loc[customers["cell"].isin(["low_high", "high_high"]), "purchases_to_next"].isna().all()
    assert customers["purchases_to_next"].dropna().isin(range(1, 6)).all()


def test_segments_have_the_value_of_their_customers(folder, customers):
    segments = pd.read_csv(folder / "segments.csv")
    assert segments.columns.tolist() == [
        *("segmentation", "segment", "customers", "current_value", "clv_mean", "clv_q05", "clv_q95", "equity")
    ]
    for name, group in segments.groupby("segmentation"):
        assert group["customers"].sum() == len(customers)
        assert group["equity"].sum() == pytest.approx(customers["clv_mean"].sum(), rel=1e-9)
        expected = customers.groupby(name)["clv_mean"].sum()
        assert group.set_index("segment")["equity"].to_dict() == pytest.approx(expected.to_dict(), rel=1e-9)


def test_csv_and_parquet_hold_the_same(folder, customers):
    written = pd.read_csv(folder / "customers.csv", dtype={"customer_id": str})
    assert written["customer_id"].tolist() == customers["customer_id"].tolist()
    assert written["clv_mean"].to_numpy() == pytest.approx(customers["clv_mean"].to_numpy(), rel=1e-12)


def test_the_forecast_of_the_holdout_stands_beside_what_happened(folder, cdnow_holdout):
    holdout = pd.read_parquet(folder / "holdout.parquet")
    assert holdout["customer_id"].tolist() == cdnow_holdout.customer_id.tolist()
    assert holdout["actual_purchases"].sum() == 1882


def test_cdnow_is_flagged_in_its_study(records, cdnow):
    check = records.evidence.drift
    assert check.drifts
    assert (check.model, check.unit, len(check.periods)) == ("bg_nbd", "week", 39)
    assert sum(period.actual for period in check.periods) == cdnow.frequency.sum()
    assert records.evidence.left_out == {}


def test_the_total_without_a_drift_is_that_of_the_forecast_and_the_one_with_it_holds_what_came(records):
    section = records.evidence
    assert [total.outcome for total in section.totals] == ["purchases", "spend"]
    for total, forecast in zip(section.totals, (section.purchases, section.spend), strict=True):
        for name in ("mean", "sd", "q05", "q50", "q95"):
            assert getattr(total.stationary, name) == pytest.approx(getattr(forecast, name))
        assert forecast.q95 < total.actual < total.drifting.q95
        assert total.drifting.q05 < forecast.q05


def test_the_coming_sums_with_a_drift_are_those_of_the_saved_fits(records, folder, cdnow_log):
    """From the fits on disk, by the public functions; equity by a sum over weeks, discounted in their middle."""
    window = clv.Window("1998-06-30")
    fits = [clv.load_fit(folder / "draws" / f"{name}.nc") for name in ("bg_nbd", "gamma_gamma")]
    totals = clv.sample_totals(
        fits[0],
        clv.customer_summary(cdnow_log, window),
        history=clv.purchase_history(cdnow_log, window),
        horizon=52.0,
        seed=seed_for(records.study.seed, "decision forecast"),
        spend=fits[1],
    )
    middle = (np.arange(52) + 0.5) * 7 / 365.25
    value = records.value
    for found, expected, spend in (
        (value.equity, totals.stationary_spend, None),
        (value.drifting_equity, totals.spend, value.drifting_spend),
    ):
        equity = estimate(expected @ 1.1**-middle)
        for name in ("mean", "q05", "q50", "q95"):
            assert getattr(found, name) == pytest.approx(getattr(equity, name), rel=1e-4)
        if spend is not None:
            assert spend.q95 == pytest.approx(estimate(expected.sum(axis=1)).q95)
    assert value.drifting_purchases == estimate(totals.purchases.sum(axis=1))


def test_conformal_rows_begin_with_the_intervals_of_the_holdout_table(records, folder):
    table = pd.read_parquet(folder / "holdout.parquet")
    for row in records.evidence.conformal:
        low, high = table[f"{row.quantity}_q05"], table[f"{row.quantity}_q95"]
        inside = table[f"actual_{row.quantity}"].between(low, high)
        assert row.before == pytest.approx(inside.mean())
        assert row.before_width == pytest.approx((high - low).mean())
        assert row.after > 0.88


def test_a_rank_is_the_place_by_score_and_by_id_where_scores_are_equal(records, customers):
    assert sorted(customers["rank"]) == list(range(1, len(customers) + 1))
    by_score = customers.sort_values(["rank_score", "customer_id"], ascending=[False, True])
    assert by_score["rank"].is_monotonic_increasing
    places = customers.set_index("customer_id")["rank"]
    assert all(row.rank == places[row.customer_id] for row in records.act_on)


def test_the_contest_has_the_models_chosen_inside_the_calibration(records, cdnow_log, window, cdnow_holdout):
    """Its scores are those of the forecast made without the holdout, and it ranks CDNOW better than ABC and RFM."""
    before = replace(window, holdout_end=None)
    best = clv.best_forecast(
        cdnow_log, before, seed=seed_for(records.study.seed, "best of the contest"), horizon=39.0, draws=2
    )
    order = np.lexsort((best.ranking.customer_id.astype(str), -best.ranking.mean))
    taken = cdnow_holdout.amount[order[: round(0.2 * len(order))]].sum() / cdnow_holdout.amount.sum()
    scores = {(row.method, row.score): row.value for row in records.comparison.scores}
    assert scores["best", "spend_capture_20"] == pytest.approx(taken, abs=0.002)
    for score in ("spend_gini", "spend_capture_20"):
        assert scores["best", score] > max(scores[method, score] for method in ("bg_nbd", "abc", "rfm"))
    choice = records.comparison.best
    assert [row.gini for row in choice.rows] == pytest.approx([np.mean(row.gini) for row in best.scores])
    assert [row.weight for row in choice.rows] == pytest.approx([row.weight for row in best.scores])
    assert all(origin.holdout_end <= "1997-09-30" for origin in choice.origins)


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(folder, tmp_path):
    """All but the manifest and the pages, which hold costs."""
    clv.run_study(write_own_study(tmp_path), output=tmp_path)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json" and path.suffix != ".html":
            assert (tmp_path / "cdnow_sample" / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_pages_are_made_again_from_results_alone(folder, tmp_path):
    copy = tmp_path / "again"
    shutil.copytree(folder, copy)
    (copy / "index.html").unlink()
    assert main(["report", str(copy), "--language", "en"]) == 0
    assert (copy / "index.html").read_bytes() == (folder / "index.html").read_bytes()


def test_the_manifest_says_where_results_come_from(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["seed"] == 19970101
    assert len(manifest["data_digest"]) == len(manifest["study_digest"]) == 64
    assert manifest["versions"]["pymc"]
    assert all(step["seconds"] >= 0 for step in manifest["steps"])
    assert set(manifest["files"]) >= {"results.json", "customers.parquet"}
    assert manifest["inputs"] == {"ours.toml": digest_of_files([folder.parents[1] / "ours.toml"])}
    assert "SeedSequence([seed" in manifest["seeds"]


def test_the_manifest_has_the_checks_of_every_fit(folder, records):
    manifest = read_manifest(folder)
    noted = {(fit.model, fit.method, fit.learnt_from): fit.checks for fit in manifest.fits}
    rows = {
        (fit.model, fit.method, fit.window): {check.key: check.passed for check in fit.checks}
        for fit in records.models.fits
    }
    assert rows.items() <= noted.items()
    assert all(rows.values())
    assert {fit.draws for fit in manifest.fits} == {f"draws/{path.name}" for path in (folder / "draws").iterdir()}


def test_other_words_of_the_strategies_are_a_change_that_a_study_notices(folder, tmp_path):
    """Their file was once no input: a study whose strategies had changed was said to be up to date."""
    file = write_own_study(tmp_path)
    shutil.copytree(folder.parent, tmp_path / "reports")
    graph = graph_of(task_for(read_study(file), output=tmp_path / "reports"))
    assert not graph.units.reasons()
    run_graph(graph)
    assert current_folder(file, tmp_path / "reports", None, pages=False) is not None
    (tmp_path / "ours.toml").write_text(OWN_STRATEGY.replace("shop window", "counter"))
    assert current_folder(file, tmp_path / "reports", None, pages=False) is None
    graph = graph_of(task_for(read_study(file), output=tmp_path / "reports"))
    assert [reason.unit for reason in graph.units.reasons()] == ["results"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('method = "laplace"', 'method = "nutz"', '[fit] method = \'nutz\': expected one of "laplace", "nuts"'),
        (
            "draws = 400",
            'draws = 400\nallow = ["pareto"]',
            "[fit] allow[0] = 'pareto': expected one of \"diver",
        ),
        ("horizon = 52", "horzon = 52", '[value]: unknown key "horzon"; did you mean "horizon"?'),
        ("seed = 19970101", "", 'the key "seed" is missing'),
        ("holdout_end = 1998-06-30", "holdout_end = 1997-06-30", "is not after calibration_end"),
        ('purchases = "bg_nbd"', 'purchases = "bgnbd"', '[models] purchases = "bgnbd": expected one of "bg_nbd"'),
        ('"same_rate"', '"sam_rate"', '[contest] baselines has "sam_rate"'),
        ('name = "cdnow_sample"', 'name = "../x"', "expected letters, digits"),
        ('names = "treatment"', "names = 3", "[matrix] names = 3"),
        ("current = { quantile = 0.8 }", "current = { quantile = 0.8, amount = 3.0 }", "exactly one of"),
        (
            "current = { quantile = 0.8 }",
            "current = { quantile = 0.8 }\nloss = { high_high = { low_lwo = 5 } }",
            '[matrix.loss.high_high]: unknown key "low_lwo"; did you mean "low_low"?',
        ),
        (
            "current = { quantile = 0.8 }",
            "current = { quantile = 0.8 }\nloss = { high_high = { high_high = 1 } }",
            "[matrix.loss.high_high] high_high: the right label costs nothing",
        ),
        ("[matrix]", "[pyramid]\ngold = 0.3\n\n[matrix]", "[pyramid]: platinum, gold, iron are the shares"),
        ("[matrix]", "[lifecycle]\nsteady_repeats = 1\n\n[matrix]", "[lifecycle] steady_repeats = 1"),
        ("[matrix]", "[grades]\nweights = { clw = 1 }\n\n[matrix]", '[grades] weights has "clw": expected some of'),
        ("[matrix]", "[grades]\nweights = { clv = 0 }\n\n[matrix]", "[grades] weights clv = 0"),
        ("[matrix]", "[grades]\noutright = { clv = 9 }\n\n[matrix]", "[grades]: give weights"),
        ("[matrix]", "[grades]\nweights = { clv = 1 }\ncuts = { A = 0.3 }\n\n[matrix]", "A = 0.3, B = 0.5: A is above"),
        ("dataset:cdnow_sample", "dataset:cdnov", "cdnow_sample"),
        ("calibration_end = 1997-09-30", "calibration_end = 1987-09-30", "1997-01-01"),
        ("holdout_end = 1998-06-30", "holdout_end = 1999-06-30", "1998-06-30"),
    ],
)
def test_a_study_that_cannot_be_run_says_why_in_one_line(tmp_path, capsys, old, new, message):
    file = write_study(tmp_path / "bad.toml", **{old: new})
    before = sorted(tmp_path.rglob("*.html"))
    assert main(["study", str(file), "--output", str(tmp_path / "reports")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert message in told[-1]
    assert told[-1].startswith("clvmodels: ")
    assert sorted(tmp_path.rglob("*.html")) == before


def without_permission(folder):
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root; tests/faults has a disk that is read only")
    folder.mkdir(mode=0o500)


NO_FOLDERS = {
    "a file in its place": lambda folder: folder.write_text("mine"),
    "a file in the report's place": lambda folder: (
        folder.mkdir(),
        (folder / "cdnow_sample").write_text("mine"),
    ),
    "a link to nowhere": lambda folder: folder.symlink_to("/nowhere/at/all"),
    "no permission": without_permission,
}


@pytest.mark.parametrize("place", NO_FOLDERS)
def test_a_report_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys, place):
    NO_FOLDERS[place](tmp_path / "reports")
    require_refused(write_study(tmp_path / "quick.toml"), str(tmp_path / "reports"), capsys)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/dev/null/x"])
def test_a_path_that_no_folder_can_have_is_refused_before_any_work(tmp_path, capsys, name):
    require_refused(write_study(tmp_path / "quick.toml"), str(tmp_path / name), capsys)


def require_refused(file, output, capsys):
    assert main(["study", str(file), "--output", output]) == 2
    told = capsys.readouterr().err
    assert "cannot be written" in told
    assert repr(output)[1:-1] in told
    assert "read the log" not in told


def test_the_studies_that_we_ship_can_be_read():
    for path in sorted(STUDIES.glob("*.toml")):
        assert read_study(path).study.name == path.stem


def test_the_command_line_goes_from_log_to_prediction(tmp_path, capsys):
    summary, fit, out = (str(tmp_path / name) for name in ("s.csv", "f.nc", "p.csv"))
    assert main(["summarize", "dataset:cdnow_sample", "--calibration-end", "1997-09-30", "--output", summary]) == 0
    assert main(["fit", "bg_nbd", summary, "--method", "mle", "--output", fit]) == 0
    assert "-9582.429" in capsys.readouterr().out
    assert main(["predict", fit, summary, "--quantity", "p_alive", "--output", out]) == 0
    frame = pd.read_csv(out, dtype={"customer_id": str})
    assert len(frame) == 2357
    assert frame["customer_id"].iloc[0] == "00004"
    assert frame["mean"].between(0, 1).all()


def test_the_list_names_models_baselines_and_data(capsys):
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    assert {"bg_nbd", "gamma_gamma", "abc", "rfm", "dataset:cdnow"} <= set(told.split())


def test_a_wrong_argument_exits_with_2():
    with pytest.raises(SystemExit) as stop:
        main(["study"])
    assert stop.value.code == 2
