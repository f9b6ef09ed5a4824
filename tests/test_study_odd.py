"""Studies of small and odd logs: each ends in pages whose numbers agree, or in one clear line."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.models import bg_nbd
from clvmodels.study import read_study

STUDY = """
name = "odd"
seed = 5
languages = ["en"]
title = {{ en = "An odd shop", zh = "某店" }}

[data]
source = "{source}"
currency = "EUR"
customer = "client"
date = "day"
amount = "paid"
{data}

[window]
calibration_end = 2023-12-31
holdout_end = 2024-04-30
unit = "{unit}"
{window}

[fit]
draws = 400
compare = ["mle"]
allow = [{allow}]
replicates = 40

[value]
horizon = 26
annual_discount_rate = 0.075
margin = {margin}
{value}

[matrix]
names = "metal"
current = {{ share_of_value = 0.8 }}
future = {{ amount = 20.0 }}

[contest]
replicates = 100
best = false
"""


def purchases(size, *, seed=1, spread=0.5):
    """A year and a half of purchases as a frame; spend is log-normal with that spread."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 180, size)
    parameters = {"r": 0.8, "alpha": 60.0, "a": 0.8, "b": 4.0}
    buyer, time = bg_nbd.simulate(rng, parameters, 545.0 - start)
    who = np.concatenate([np.arange(size), buyer])
    day = np.concatenate([start, np.ceil(start[buyer] + time)]).astype("timedelta64[D]")
    amount = np.round(np.exp(3 + spread * rng.normal(size=len(who))), 2)
    ids = [f"{i:05d}" for i in who]
    return pd.DataFrame({"client": ids, "day": np.datetime64("2023-01-01") + day, "paid": amount})


SETTINGS = {"unit": "week", "margin": 0.3, "data": "", "window": "", "value": "", "allow": ""}


def study_file(tmp_path, log, *, encoding="utf-8", **settings):
    """The study of a log, both in one folder."""
    source, file = tmp_path / "log.csv", tmp_path / "odd.toml"
    log.to_csv(source, index=False, encoding=encoding)
    file.write_text(STUDY.format(source=source.as_posix(), **{**SETTINGS, **settings}), encoding="utf-8")
    return file


def run(tmp_path, log, **settings):
    """Exit code of the study of a log, and its folder with the pages."""
    file = study_file(tmp_path, log, **settings)
    return main(["study", str(file), "--output", str(tmp_path / "reports")]), tmp_path / "reports" / "odd"


def numbers(tmp_path, log, **settings):
    """The folder of the study of a log, without pages: what the claim is about are its numbers."""
    clv.run_study(study_file(tmp_path, log, **settings), output=tmp_path / "reports")
    return tmp_path / "reports" / "odd"


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A log with refunds, a margin below 1, and one language."""
    log = purchases(300)
    refunds = log.iloc[::25].assign(paid=lambda rows: -rows["paid"] / 2)
    code, folder = run(tmp_path_factory.mktemp("shop"), pd.concat([log, refunds]))
    assert code == 0
    return folder


def test_current_value_is_contribution_wherever_it_stands(shop):
    value = results_of(shop)["value"]
    customers = pd.read_csv(shop / "customers.csv")
    segments = pd.read_csv(shop / "segments.csv")
    assert customers["current_value"].sum() == pytest.approx(value["current_value_total"], rel=1e-9)
    assert segments.groupby("segmentation")["current_value"].sum().to_numpy() == pytest.approx(
        value["current_value_total"], rel=1e-9
    )
    cut = results_of(shop)["matrix"]["cuts"][0]["value"]["mean"]
    assert (
        customers.loc[customers["cell"].isin(["high_high", "high_low"]), "current_value"] >= cut * (1 - 1e-12)
    ).all()


def test_revenue_is_net_of_refunds_and_the_sum_of_the_history(shop):
    results = results_of(shop)
    table = pd.read_csv(shop.parents[1] / "log.csv")
    history = sum(period["first_amount"] + period["repeat_amount"] for period in results["history"])
    set_aside = sum(line["amount"] for line in results["data"]["ledger"] if line["reason"] == "refund_day")
    assert results["data"]["revenue"] == pytest.approx(history, rel=1e-9)
    assert results["data"]["revenue"] == pytest.approx(table["paid"].sum() - set_aside, rel=1e-9)


def test_the_money_of_a_base_adds_up(shop):
    results = results_of(shop)
    money, value = results["money"], results["value"]
    assert sum(row["discounted"]["mean"] for row in money["years"]) == pytest.approx(value["equity"]["mean"])
    assert [row["end"] for row in money["years"]] == [13.0, 26.0]
    assert 1 > money["years"][0]["alive"] > money["years"][1]["alive"] > 0
    assert money["past"] == pytest.approx(0.3 * results["data"]["revenue"])
    assert money["lifetime"]["mean"] == pytest.approx(money["past"] + value["equity"]["mean"])
    equity = pd.DataFrame(money["equity"])
    equity["mean"] = [row["mean"] for row in equity["equity"]]
    together = equity.groupby("segmentation")[["customers", "past", "current_value", "mean"]].sum()
    assert set(together.index) == {"cell", "tier", "stage", "abc_class", "rfm_group", "acquisition_month"}
    whole = [value["customers"], money["past"], value["current_value_total"], value["equity"]["mean"]]
    for row in together.to_numpy():
        assert row == pytest.approx(whole)
    listed = pd.read_csv(shop / "segments.csv")
    assert listed["equity"].to_numpy() == pytest.approx(equity["mean"].to_numpy())


def test_the_best_customers_hold_what_the_curve_says(shop):
    results = results_of(shop)
    money, value = results["money"], results["value"]
    assert money["lorenz"][10]["value"] == value["top_10_share"]
    assert money["lorenz"][20]["value"] == value["top_20_share"]
    assert money["lorenz"][100] == {
        "customers": 1.0,
        "value": {"mean": 1.0, "sd": 0.0, "q05": 1.0, "q50": 1.0, "q95": 1.0},
    }
    middle = [
        abs(point["value"]["mean"] - held) for point, (_, held) in zip(money["lorenz"], value["lorenz"], strict=True)
    ]
    assert max(middle) < 0.01
    assert money["gini"]["q05"] < money["gini"]["mean"] < money["gini"]["q95"]


def test_a_shop_that_wins_nobody_any_more_has_no_newcomers_and_says_why(shop):
    """Its customers all came in the first half year of the log."""
    money = results_of(shop)["money"]
    assert money["newcomers"] is None
    assert money["no_newcomers"] == "ended"


def test_a_column_of_parts_that_is_not_there_is_refused_before_any_fit(tmp_path, capsys):
    code, _ = run(tmp_path, purchases(60), value='[value.parts]\ncost = "costs"')
    said = capsys.readouterr().err
    assert code != 0
    assert 'no column "costs" (cost=)' in said
    assert "fit" not in said


def test_a_study_in_one_language_has_one_page_and_no_link_to_another(shop):
    assert {page.name for page in shop.glob("*.html")} == {"index.html", "data.html"}
    assert "index.zh.html" not in (shop / "index.html").read_text(encoding="utf-8")


def test_a_rate_is_shown_with_the_digits_it_has(shop):
    page = (shop / "index.html").read_text(encoding="utf-8")
    assert "7.5%" in page
    assert "8% a year" not in page


def test_few_customers_end_in_a_page_that_says_so(tmp_path):
    code, folder = run(tmp_path, purchases(40, seed=3))
    assert code == 0
    reasons = {line["reason"] for line in results_of(folder)["data"]["notes"]}
    assert "few_customers" in reasons
    assert (folder / "index.html").is_file()


def test_spend_with_an_infinite_mean_stops_a_study_that_does_not_allow_it(tmp_path, capsys):
    code, folder = run(tmp_path, purchases(80, seed=4, spread=2.5))
    assert code == 2
    told = capsys.readouterr().err.splitlines()
    assert "infinite_mean" in told[-1]
    assert '[fit] allow = ["infinite_mean"]' in told[-1]
    assert not any("forecast the holdout" in line for line in told)
    assert not folder.exists()


def test_spend_with_an_infinite_mean_that_is_allowed_ends_in_a_page_that_says_so_first(tmp_path):
    code, folder = run(tmp_path, purchases(80, seed=4, spread=2.5), allow='"infinite_mean"')
    assert code == 0
    fits = results_of(folder)["models"]["fits"]
    failed = {check["key"] for fit in fits for check in fit["checks"] if not check["passed"]}
    assert "infinite_mean" in failed
    assert all(fit["allowed"] == ["infinite_mean"] for fit in fits)
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "A check of the model failed, and the study allows it" in page[: page.index('id="matrix"')]


def test_a_failed_check_of_a_method_beside_is_shown_and_stops_nothing(tmp_path, monkeypatch):
    import clvmodels.study.fits as fits
    from clvmodels.foundation.results import Check

    real = fits.fit

    def fit(model, customers, *, method, draws, seed):
        found = real(model, customers, method=method, draws=draws, seed=seed)
        failed = Check("newton_decrement", 0.25, 1e-6, passed=False)
        return replace(found, checks=(*found.checks, failed)) if method == "mle" else found

    monkeypatch.setattr(fits, "fit", fit)
    code, folder = run(tmp_path, purchases(300))
    assert code == 0
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "no forecast rests on: BG/NBD" in page[: page.index('id="matrix"')]


def test_a_method_beside_that_finds_no_fit_is_left_out_by_name(tmp_path, monkeypatch):
    import clvmodels.study.fits as fits
    from clvmodels.foundation.errors import FitError

    real = fits.fit

    def fit(model, customers, *, method, draws, seed):
        if method == "mle":
            raise FitError("the search ran away")
        return real(model, customers, method=method, draws=draws, seed=seed)

    monkeypatch.setattr(fits, "fit", fit)
    code, folder = run(tmp_path, purchases(150, seed=6))
    assert code == 0
    assert results_of(folder)["models"]["left_out"] == {"mle": "the search ran away"}
    assert "the search ran away" in (folder / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("unit", ["day", "month"])
def test_other_units_of_time_end_in_the_same_equity(tmp_path, shop, unit):
    horizon = {"day": "182", "month": "5.979466"}[unit]  # 26 weeks
    log = pd.read_csv(shop.parents[1] / "log.csv", dtype={"client": str})
    file = study_file(tmp_path, log, unit=unit)
    text = file.read_text(encoding="utf-8").replace("horizon = 26", f"horizon = {horizon}")
    file.write_text(text, encoding="utf-8")
    clv.run_study(file, output=tmp_path)
    ours, weeks = (results_of(folder)["value"]["equity"] for folder in (tmp_path / "odd", shop))
    assert ours["mean"] == pytest.approx(weeks["mean"], abs=5 * weeks["sd"] / np.sqrt(400))


def test_dirty_files_are_read_as_the_study_says(tmp_path):
    log = purchases(120, seed=7)
    log["client"] = "Zoë " + log["client"]
    log.loc[3, "client"] = None
    folder = numbers(tmp_path, log, encoding="latin-1", data='encoding = "latin-1"\nmissing_ids = "drop"')
    assert {line["reason"]: line["rows"] for line in results_of(folder)["data"]["ledger"]}["missing_id"] == 1
    assert pd.read_csv(folder / "customers.csv")["customer_id"].str.startswith("Zoë").all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "as_of = 2030-01-01"}, "the log ends on"),
        ({"data": 'encoding = "utf-99"'}, "utf-99"),
        ({"margin": 3.0}, "margin = 3.0"),
    ],
)
def test_a_study_that_cannot_be_run_leaves_no_folder(tmp_path, capsys, change, message):
    code, folder = run(tmp_path, purchases(60, seed=8), **change)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("client,day,payd\n1,2023-01-01,3\n", "paid"),
        ("client,day,paid\n1,2023-01-01,3\n2,2023-02-30,3\n", "2023-02-30"),
        ("client,day,paid\n1,2023-01-01,3\n2,2023-02-03,three\n", "three"),
        ("client,day,paid\n1,2023-01-01,3\n,2023-02-03,3\n", "client"),
        ("client,day,paid\n", "log.csv"),
        ("", "log.csv"),
        ("client,day,paid\n1,2023-01-01,3\n1,2024-05-01,4\n", "one customer"),
        ("client,day,paid\n1,2023-01-01,3\n2,2024-02-01,4\n3,2023-05-01,4\n4,2024-06-30,4\n", "repeat purchase"),
    ],
)
def test_a_log_that_cannot_be_used_is_refused_in_one_line(tmp_path, capsys, rows, message):
    source, file = tmp_path / "log.csv", tmp_path / "odd.toml"
    source.write_text(rows)
    text = STUDY.format(source=source.as_posix(), unit="week", margin=1.0, data="", value="", allow="", window="")
    file.write_text(text)
    assert main(["study", str(file), "--output", str(tmp_path / "reports")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert message in told[-1]
    assert not (tmp_path / "reports" / "odd").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("share_of_value = 0.8", "quantile = 0.0", "quantile = 0.0"),
        ('title = { en = "An odd shop", zh = "某店" }', "title = { en = 5 }", "title"),
        ("replicates = 100", 'replicates = 100\nbaselines = ["abc", "abc"]', "twice"),
        ("allow = []", 'allow = ["pareto"]', "allow.0. = 'pareto': expected one of .divergences."),
        ("replicates = 40", "replicates = 4", "replicates = 4"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_the_file_is_read(tmp_path, old, new, message):
    text = STUDY.format(source="x.csv", unit="week", margin=1.0, data="", value="", allow="", window="")
    assert old in text
    (tmp_path / "odd.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_study(tmp_path / "odd.toml")


def test_models_learn_from_customers_won_between_two_days_and_value_everyone(tmp_path):
    log = purchases(400)
    folder = numbers(tmp_path, log, window="acquired_from = 2023-02-01\nacquired_until = 2023-05-31")
    first = log.groupby("client").day.min()
    learnt = int(first.between("2023-02-01", "2023-05-31").sum())
    results = results_of(folder)
    assert results["data"]["calibration_customers"] == learnt
    aside = {line["reason"]: line["rows"] for line in results["data"]["set_aside"]}
    assert aside["won_before"] == (first < "2023-02-01").sum()
    assert aside["won_after"] == (first > "2023-05-31").sum()
    fitted = {(fit["window"], fit["model"]): fit["customers"] for fit in results["models"]["fits"]}
    assert fitted["calibration", "bg_nbd"] == fitted["decision", "bg_nbd"] == learnt
    assert {row["customers"] for row in results["predictive"]} == {learnt}
    assert results["value"]["customers"] == len(first) == len(pd.read_csv(folder / "customers.csv"))
