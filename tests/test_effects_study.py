"""Covariates and groups from the study file to the pages, and what is refused on the way."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.forecast import expected_by_day
from clvmodels.forecast.new_customer import newcomers
from clvmodels.foundation.effects import Effects
from clvmodels.foundation.files import digest_of_files
from clvmodels.inference.result import dataset_of
from clvmodels.models import bg_nbd
from clvmodels.study import read_study
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.effects_cases import customers_of, traits
from tests.test_study_odd import STUDY

CUSTOMERS = """
[customers]
source = "{source}"
id = "client"
covariates = ["tier", "age"]

[fit.purchases]
covariates = {{ alpha = ["tier"] }}

[fit.spend]
covariates = ["age"]
"""
SIZE = 400


def shop_customers():
    """A frame of people: a third of them are gold, who buy three times as often."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"client": [f"{i:05d}" for i in range(SIZE)], "age": rng.integers(20, 70, SIZE)})
    return frame.assign(tier=np.where(rng.random(SIZE) < 0.35, "gold", "plain"))


def shop_log(people):
    """Their purchases in a year and a half."""
    rng = np.random.default_rng(2)
    start = rng.integers(0, 180, SIZE)
    own = {"r": 0.8, "alpha": np.where(people["tier"] == "gold", 20.0, 60.0), "a": 0.8, "b": 4.0}
    buyer, time = bg_nbd.simulate(rng, own, 545.0 - start)
    who = np.concatenate([np.arange(SIZE), buyer])
    day = np.concatenate([start, np.ceil(start[buyer] + time)]).astype("timedelta64[D]")
    paid = np.round(np.exp(3 + 0.5 * rng.normal(size=len(who))), 2)
    return pd.DataFrame({"client": people["client"][who], "day": np.datetime64("2023-01-01") + day, "paid": paid})


def write(tmp_path, people, tail=CUSTOMERS, *, ending="csv"):
    """A study file beside its log and its customers' file, if there are people."""
    log, source = tmp_path / "log.csv", tmp_path / f"people.{ending}"
    shop_log(shop_customers()).to_csv(log, index=False)
    if people is not None:
        people.to_csv(source, index=False) if ending == "csv" else people.to_parquet(source)
    text = STUDY.format(source=log.as_posix(), unit="week", margin=0.3, data="", value="", allow="", window="")
    text = text.replace('languages = ["en"]', 'languages = ["en", "zh"]') + tail.format(source=source.as_posix())
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    return tmp_path / "study.toml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("effects")
    assert main(["study", str(write(home, shop_customers())), "--output", str(home / "reports")]) == 0
    return home / "reports" / "odd"


def test_the_manifest_has_the_digest_of_the_customers_file(folder):
    people = folder.parents[1] / "people.csv"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["inputs"] == {people.as_posix(): digest_of_files([people])}
    found = clv.verify_report(folder)
    assert {finding.subject: finding.state for finding in found.findings}[f"input {people.as_posix()}"] == "same"


def test_a_study_learns_what_the_customers_file_tells(folder):
    """Customers of the tier gold were made to buy three times as often."""
    fits = json.loads((folder / "results.json").read_text())["models"]["fits"]
    purchases = next(f for f in fits if (f["model"], f["window"], f["method"]) == ("bg_nbd", "decision", "laplace"))
    row = {p["name"]: p for p in purchases["parameters"]}["gamma_alpha[tier[gold]]"]
    assert row["q05"] < np.log(3) < row["q95"]
    assert row["q05"] > 0.5
    assert purchases["references"] == {"tier": "plain"}
    assert len(pd.read_csv(folder / "customers.csv")) == SIZE


@pytest.mark.parametrize(
    ("page", "comparison", "changes"),
    [("index.html", "tier: gold instead of plain", "rate of purchases"),
     ("index.zh.html", "tier：gold，与 plain 相比", "购买频率")],
)  # fmt: skip
def test_the_pages_show_coefficients_in_words(folder, page, comparison, changes):
    text = (folder / page).read_text(encoding="utf-8")
    table = text[text.index(comparison) :]
    assert changes in table[: table.index("</tr>")]
    assert not re.search(r"gamma_(alpha|v)\b", text)


def test_results_say_the_kind_of_every_prior(folder):
    fits = json.loads((folder / "results.json").read_text())["models"]["fits"]
    priors = {fit["model"]: fit["priors"] for fit in fits if fit["method"] == "laplace"}
    kinds = {name: prior["kind"] for name, prior in priors["bg_nbd"].items()}
    assert kinds == {**dict.fromkeys(("r", "alpha", "a", "b"), "log_normal"), "gamma_alpha": "normal"}
    assert priors["gamma_gamma"]["gamma_v"] == {"kind": "normal", "middle": 0.0, "sd": 1.0}


def test_purchases_expected_through_the_calibration_are_each_customers_own():
    """Day by day and customer by customer, each from the first purchase on."""
    people = traits(60, seed=3)
    customers = customers_of(people, seed=4)
    customers = replace(customers, T=np.rint(7 * customers.T) / 7, recency=np.minimum(customers.recency, 20.0))
    known = clv.fit_at("bg_nbd", BG_NBD_PAPER)
    fit = clv.fit("bg_nbd", customers, method="mle", covariates={"alpha": ["age", "channel"]})
    gamma = fit.draws["gamma_alpha"].values.ravel()
    z = np.column_stack([people["age"], people["channel"] == "app", people["channel"] == "shop"])
    for fitted, alphas in ((fit, fit.point["alpha"] * np.exp(-z @ gamma)), (known, np.full(60, 4.414))):
        expected = np.zeros(3)
        for T, alpha in zip(customers.T, alphas, strict=True):
            reached = np.maximum(T - np.array([140, 70, 0]) / 7, 0.0)
            expected += fitted.model.formulas["expected_purchases_new"]({**fitted.point, "alpha": alpha}, reached)
        found = expected_by_day(fitted, customers, before_end=np.array([140, 70, 0]), seed=1)
        assert found == pytest.approx(expected, rel=1e-9)


def test_new_customers_are_as_the_base_is_mixed(cdnow):
    """The months of acquisition are kept as labels: on the day of the first purchase all would be of one month."""
    months = ("1997-01", "1997-02", "1997-03")
    known, spend = clv.fit_at("bg_nbd", BG_NBD_PAPER), clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER)
    own = np.array([[[3.0, 5.0, 8.0]]])
    draws = dataset_of(
        {**{name: values.values for name, values in known.draws.items()}, "alpha_by_acquisition_month": own},
        {"alpha_by_acquisition_month": ("acquisition_month_group", months)},
    )
    effects = Effects(groups={"alpha": ("acquisition_month",)}, labels={"acquisition_month": months})
    grouped = replace(known, draws=draws, effects=effects)
    new = newcomers((grouped, spend), cdnow)
    assert new.n_customers.sum() == len(cdnow)
    shares = pd.Series(new.n_customers / len(cdnow), index=new.groups["acquisition_month"])
    formula = known.model.formulas["expected_purchases_new"]
    each = [float(formula({**BG_NBD_PAPER, "alpha": a}, np.float64(52.0))) for a in own.ravel()]
    total = clv.predict(grouped, new, quantity="expected_purchases", horizon=52.0).total_draws[0]
    assert total / len(cdnow) == pytest.approx(shares.loc[list(months)].to_numpy() @ each, rel=1e-9)
    assert len(newcomers((known, spend), cdnow)) == 1


# Refusals

FIT = "[fit.purchases]\n"


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (FIT + 'covariates = ["age"]', r'\[fit.purchases\] covariates has "age": \[customers\] covariates has nothing'),
        (FIT + 'groups = "shop"', r'\[fit.purchases\] groups has "shop": .* has "acquisition_week", '),
        (FIT + 'groups = "acquisition_week"', r'\[fit\] method = "laplace": groups .* need method = "nuts"'),
        (FIT + 'covariate = ["age"]', r'\[fit.purchases\]: unknown key "covariate"; did you mean "covariates"'),
        (FIT + 'covariates = "age"', r"\[fit.purchases\] covariates = 'age': expected"),
        (FIT + "covariates = {{ alpha = 3 }}", r"covariates.*expected"),
        ('[customers]\nsource = "x.csv"\ncovariates = ["age"]', r'\[customers\] covariates has "age", which no model'),
        ('[customers]\ncovariates = ["age"]', r'\[customers\]: the key "source" is missing'),
    ],
)
def test_covariates_and_groups_that_cannot_be_are_refused_when_the_file_is_read(tmp_path, tail, message):
    with pytest.raises(clv.StudyError, match=message):
        read_study(write(tmp_path, None, tail))


def test_a_method_beside_that_cannot_pool_is_refused_when_the_file_is_read(tmp_path):
    file = write(tmp_path, None, FIT + 'groups = {{ alpha = "acquisition_week" }}')
    file.write_text(file.read_text(encoding="utf-8").replace("[fit]", '[fit]\nmethod = "nuts"'), encoding="utf-8")
    with pytest.raises(clv.StudyError, match=r'\[fit\] compare has "mle", which cannot pool groups'):
        read_study(file)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: None, clv.StudyError, r"\[customers\] source = .*people.csv\" cannot be read"),
        (lambda f: f.drop(columns="tier"), clv.StudyError, r'people.csv has no column "tier"; it has: client, age'),
        (lambda f: f.drop(columns="client"), clv.StudyError, r'has no column "client"'),
        (lambda f: f.drop(index=[3, 9]), clv.DataError, r"no row for 2 of 400 .*\(first: 00003, 00009\)"),
        (lambda f: pd.concat([f, f.iloc[[5]]]), clv.DataError, r"client 00005 is in several rows"),
        (lambda f: f.assign(client=f["client"].where(f.index != 4)), clv.DataError, r"client is missing in row 4"),
        (lambda f: f.assign(age=f["age"].where(f.index > 6)), clv.DataError, r'"age" is missing .* 7 .*00000'),
        (lambda f: f.assign(tier="gold"), clv.DataError, r'"tier" is "gold" for all customers'),
    ],
)
def test_a_customers_file_that_cannot_be_used_is_refused_before_any_fit(tmp_path, monkeypatch, change, error, message):
    monkeypatch.setattr("clvmodels.study.fits.fit", None)
    with pytest.raises(error, match=message):
        clv.run_study(write(tmp_path, change(shop_customers())), output=tmp_path / "reports")
    assert not (tmp_path / "reports" / "odd").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("alpha =", "r =", r'\[fit.purchases\]: covariates of "r": in bg_nbd they act on alpha, a, b'),
        ('["age"]\n', '{{ nu = ["age"] }}\n', r'\[fit.spend\]: covariates of "nu": in gamma_gamma they act on v'),
    ],
)
def test_a_parameter_that_takes_no_covariates_is_refused_before_any_fit(tmp_path, monkeypatch, old, new, message):
    monkeypatch.setattr("clvmodels.study.fits.fit", None)
    head, mark, tail = CUSTOMERS.partition("[fit.purchases]")
    assert old in tail
    with pytest.raises(clv.StudyError, match=message):
        clv.run_study(write(tmp_path, shop_customers(), head + mark + tail.replace(old, new)), output=tmp_path)


def test_a_parquet_file_serves_as_a_csv(tmp_path):
    from clvmodels.study.customers import read_traits

    people = shop_customers()
    files = [read_study(write(tmp_path, people, ending=ending)) for ending in ("csv", "parquet")]
    frames = [read_traits(file.study.customers, file.path) for file in files]
    assert frames[0].index.tolist() == frames[1].index.tolist() == people["client"].tolist()
    assert frames[0]["tier"].tolist() == frames[1]["tier"].tolist()


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ('groups = "acquisition_week"', ("acquisition_week",)),
        ('groups = ["acquisition_week", "tier"]', ("acquisition_week", "tier")),
        ('groups = {{ alpha = ["tier", "acquisition_week"], a = "tier" }}', ("tier", "acquisition_week")),
    ],
)
def test_a_study_names_one_grouping_column_or_several(tmp_path, line, columns):
    tail = '[customers]\nsource = "{source}"\nid = "client"\ngroups = ["tier"]\n' if "tier" in line else ""
    file = write(tmp_path, shop_customers(), tail + "[fit.purchases]\n" + line)
    text = file.read_text(encoding="utf-8").replace("[fit]", '[fit]\nmethod = "nuts"').replace('compare = ["mle"]', "")
    file.write_text(text, encoding="utf-8")
    assert read_study(file).study.fit.purchases.columns["groups"] == columns
