"""Models beside the study's own: their numbers add up, rest on nothing but their names, and none stops a study."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
import clvmodels.study.rivals as rivals_module
from clvmodels.cli import main
from clvmodels.data import read_transactions
from clvmodels.forecast.by_period import _by_formula, _by_stories
from clvmodels.foundation.errors import FitError, StudyError
from clvmodels.models import MODELS
from clvmodels.study import read_study, run_study
from clvmodels.study.customers import by_day
from clvmodels.study.evidence import fit_calibration, gather_evidence, hold_main, see_customers
from clvmodels.study.purchases import purchase_graph, purchase_task
from clvmodels.study.rivals import group_rivals, scores_of, weigh_rival
from tests.test_study_odd import STUDY, purchases

RIVALS = '[rivals]\nmodels = ["nbd", "mbg_nbd"]\n[rivals.fit.nbd]\ndraws = 300\n'


def study_file(folder, rivals=RIVALS):
    """The study of a small log with rivals."""
    source, file = folder / "log.csv", folder / "odd.toml"
    purchases(250).to_csv(source, index=False)
    text = STUDY.format(source=source.as_posix(), unit="week", margin=0.3, data="", value="", allow="", window="")
    file.write_text(text + rivals, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("rivals")
    assert main(["study", str(study_file(home)), "--output", str(home)]) == 0
    return home / "odd"


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def group(results):
    (group,) = results["rivals"]
    return group


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A study with its log and its evidence, before any rival."""
    file = study_file(tmp_path_factory.mktemp("ground"))
    study = read_study(file).study
    log = read_transactions(
        study.data.source, customer="client", date="day", amount="paid", currency=study.data.currency
    )
    seen = see_customers(study, log, None)
    return study, log, gather_evidence(study, seen, hold_main(study, log, seen, fit_calibration(study, seen)))


def weighed(ground, **changes):
    """The groups with other settings of [rivals]."""
    study, log, evidence = ground
    changed = msgspec.structs.replace(study, rivals=msgspec.structs.replace(study.rivals, **changes))
    families = {"purchases": changed.purchase_rivals, "spend": changed.spend_rivals}
    groups = []
    for family, names in families.items():
        ways = {name: changed.fit_of_rival(name) for name in names}
        rivals = [
            weigh_rival(changed, log, evidence, name=name, method=method, draws=draws)
            for name, (method, draws) in ways.items()
        ]
        groups += [group_rivals(changed, evidence, *rivals, family=family, names=names)[0]] if names else []
    return groups


def of(group, model):
    rows = group["rows"] if isinstance(group, dict) else group.rows
    return next(row for row in rows if (row["model"] if isinstance(row, dict) else row.model) == model)


def test_stacking_weights_are_shares_of_one(group):
    weights = [row["loo"]["weight"] for row in group["rows"]]
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1)


def test_the_studys_own_model_comes_first_with_the_numbers_of_its_own_sections(folder, results, group):
    own = group["rows"][0]
    fitted = next(fit for fit in results["models"]["fits"] if fit["window"] == "calibration")
    assert own["model"] == "bg_nbd" == group["main"]
    assert own["log_likelihood"] == fitted["log_likelihood"]
    assert own["total"] == results["evidence"]["purchases"]
    assert own["tracking"] == results["evidence"]["tracking"]
    assert own["counts"] == results["evidence"]["counts"]
    scores = {(s["method"], s["score"]): s for s in results["comparison"]["scores"]}
    for score in group["scores"]:
        if score["method"] == "bg_nbd":
            assert score == scores["bg_nbd", score["score"]]


def test_elpd_is_that_of_the_saved_fit_on_the_customers_of_the_calibration(folder, group):
    log = read_transactions(folder.parent / "log.csv", customer="client", date="day", amount="paid", currency="EUR")
    customers = clv.customer_summary(log, clv.Window(calibration_end="2023-12-31", unit="week"))
    for row in group["rows"]:
        fit = clv.load_fit(folder / "draws" / f"{row['model']}.calibration.nc")
        assert row["draws"] == fit.n_draws == (300 if row["model"] == "nbd" else 400)
        assert row["loo"]["elpd"] == pytest.approx(clv.loo(fit, customers).elpd, rel=1e-9)


def test_differences_of_models_are_those_of_their_elpd(group):
    elpd = {row["model"]: row["loo"]["elpd"] for row in group["rows"]}
    assert len(group["gaps"]) == 6
    for gap in group["gaps"]:
        assert gap["difference"] == pytest.approx(elpd[gap["model"]] - elpd[gap["other"]], abs=1e-6)
        assert gap["se"] > 0
    best = max(elpd.values())
    for row in group["rows"]:
        assert row["loo"]["difference"] == pytest.approx(elpd[row["model"]] - best, abs=1e-6)


def test_customers_who_leave_are_seen_to(group):
    """The log's story is that of the BG/NBD."""
    gap = next(gap for gap in group["gaps"] if (gap["model"], gap["other"]) == ("bg_nbd", "nbd"))
    assert gap["difference"] > 2 * gap["se"]


def test_customers_by_purchases_add_up_to_all(results, group):
    size = results["data"]["calibration_customers"]
    for row in group["rows"]:
        assert sum(found["observed"] for found in row["replicated"]) == size
        assert sum(found["actual"] for found in row["counts"]) == size
        assert sum(found["expected"] for found in row["counts"]) == pytest.approx(size)


def test_the_comparison_has_every_score_of_every_rival_once(folder, group):
    table = pd.read_csv(folder / "comparison.csv")
    assert table.columns.tolist() == ["method", "score", "value", "low", "high", "n"]
    assert not table.duplicated(["method", "score"]).any()
    for model in ("bg_nbd", "mbg_nbd", "nbd"):
        scores = set(table.loc[table["method"] == model, "score"])
        assert {"purchases_crps", "purchases_log_score", "purchases_mae", "spend_gini", "purchases_bias"} <= scores
        assert {f"purchases_coverage_{level}" for level in (50, 80, 90, 95)} <= scores
        assert {"elpd_loo", "elpd_difference", "stacking_weight"} <= scores


def test_the_page_has_the_section_and_the_manifest_what_each_rival_cost(folder):
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert '<section id="rivals"' in page
    steps = [step["name"] for step in json.loads((folder / "manifest.json").read_text())["steps"]]
    assert {"rival_nbd", "rival_mbg_nbd", "rivals_purchases"} <= set(steps)
    assert "Beside it: MBG/NBD" in page
    assert "seconds" not in (folder / "results.json").read_text()


def test_a_rival_does_not_depend_on_the_others_or_on_their_order(ground):
    (both,), (alone,) = weighed(ground), weighed(ground, models=("mbg_nbd",), fit={})
    left, right = of(both, "mbg_nbd"), of(alone, "mbg_nbd")
    assert replace(left, loo=None) == replace(right, loo=None)
    assert left.loo.elpd == right.loo.elpd


def test_a_model_that_counts_in_days_compares_with_one_that_counts_in_weeks(ground, monkeypatch):
    """A density a day of x times is 7^x times smaller than one a week; the same model must not gain by its clock."""
    (weeks,) = weighed(ground, models=("mbg_nbd",), fit={})
    monkeypatch.setattr(rivals_module, "customers_for", lambda model, customers, *_: by_day(customers))
    (days,) = weighed(ground, models=("mbg_nbd",), fit={})
    left, right = of(weeks, "mbg_nbd"), of(days, "mbg_nbd")
    assert right.loo.elpd == pytest.approx(left.loo.elpd, abs=1e-4)
    assert right.log_likelihood == pytest.approx(left.log_likelihood, abs=1e-4)
    parameters = [{row.name: row.mean for row in of(group, "mbg_nbd").parameters} for group in (weeks, days)]
    assert parameters[1]["alpha"] == pytest.approx(7 * parameters[0]["alpha"], rel=1e-6)
    assert right.total.mean == pytest.approx(left.total.mean, rel=1e-3)
    assert right.tracking[5].expected == pytest.approx(left.tracking[5].expected, rel=1e-6)


def test_a_rival_that_cannot_be_fitted_or_fails_its_checks_is_left_out_by_name(ground, monkeypatch):
    real = rivals_module.fit

    def fit(model, customers, *, method, draws, seed):
        if model == "nbd":
            raise FitError("the search ran away")
        found = real(model, customers, method=method, draws=draws, seed=seed)
        failed = replace(found.checks[0], passed=False)
        return replace(found, checks=(failed,)) if model == "mbg_nbd" else found

    monkeypatch.setattr(rivals_module, "fit", fit)
    (group,) = weighed(ground, models=("nbd", "mbg_nbd", "pareto_nbd"), fit={})
    assert [row.model for row in group.rows] == ["bg_nbd", "pareto_nbd"]
    assert group.left_out["nbd"] == "the search ran away"
    assert "mbg_nbd" in group.left_out["mbg_nbd"]


def test_a_rival_without_a_density_of_customers_left_out_still_forecasts(ground, monkeypatch):
    real = rivals_module.loo

    def loo(fit, customers):
        if fit.model.name == "nbd":
            raise FitError("there is no density")
        return real(fit, customers)

    monkeypatch.setattr(rivals_module, "loo", loo)
    (group,) = weighed(ground)
    row = of(group, "nbd")
    assert row.loo is None
    assert row.notes == ["there is no density"]
    assert row.total.mean > 0
    assert sum(row.loo.weight for row in group.rows if row.loo) == pytest.approx(1)
    assert not any("nbd" in (gap.model, gap.other) for gap in group.gaps)
    assert "elpd_loo" not in {score.score for score in scores_of(group) if score.method == "nbd"}


def test_spend_models_are_held_against_the_same_holdout(ground, monkeypatch):
    """A second spend model by the first one's formulas: its scores are those of the first but for random numbers."""
    twin = replace(MODELS["gamma_gamma"], name="twin", kernel="gamma_gamma")
    monkeypatch.setitem(MODELS, "twin", twin)
    groups = weighed(ground, spend=("gamma_gamma", "twin"), fit={})
    assert [group.family for group in groups] == ["purchases", "spend"]
    assert groups[1].left_out == {}
    own, other = groups[1].rows
    assert (own.model, other.model) == ("gamma_gamma", "twin")
    assert own.loo.weight + other.loo.weight == pytest.approx(1)
    assert other.total.mean == pytest.approx(own.total.mean, rel=0.1)
    assert {score.score.split("_")[0] for score in groups[1].scores} == {"spend"}
    assert own.tracking == []


def test_spend_models_of_other_data_are_not_compared_by_their_densities(ground, monkeypatch):
    def refuse(fits, customers):
        raise FitError("models of different data cannot be compared")

    monkeypatch.setitem(MODELS, "twin", replace(MODELS["gamma_gamma"], name="twin", kernel="gamma_gamma"))
    monkeypatch.setattr(rivals_module, "compare_models", refuse)
    group = weighed(ground, spend=("twin",), fit={})[1]
    assert [row.loo.basis for row in group.rows] == ["gamma_gamma", "twin"]
    assert [row.loo.weight for row in group.rows] == [1, 1]
    assert group.gaps == []


def test_a_story_told_often_expects_what_the_formula_does(ground):
    _, _, evidence = ground
    fit, customers = evidence.fits[0], evidence.customers
    days = np.array([0, 70, 140, 210])
    by_formula = _by_formula(fit, customers, days)
    told = _by_stories(fit, customers, days, 1)
    repeats = np.sqrt(3 * by_formula / 50)  # counts vary by rate and drop-out besides chance: thrice their mean
    assert (np.abs(told - by_formula) < 4 * repeats).all()
    assert (np.abs(told - by_formula) > 0).all()


@pytest.mark.parametrize(
    ("rivals", "message"),
    [
        ('[rivals]\nmodels = ["pareto"]', r'\[rivals\] models has "pareto": expected some of "bg_nbd", "mbg_nbd"'),
        ('[rivals]\nmodels = ["gamma_gamma"]', r'\[rivals\] models has "gamma_gamma": expected some of "bg_nbd"'),
        ('[rivals]\nspend = ["nbd"]', r'\[rivals\] spend has "nbd": expected some of "gamma_gamma"'),
        ('[rivals]\nmodels = ["nbd", "nbd"]', r"\[rivals\] models names one of them twice"),
        ('[rivals]\nmodels = ["bg_nbd"]', r"\[rivals\]: it names no model beside the study's own"),
        ("[rivals]\ndraws = 500", r"\[rivals\]: it names no model beside the study's own"),
        ('[rivals]\nmodels = ["nbd"]\nmethod = "mle"', r"\[rivals\] method = 'mle': expected one of .laplace."),
        ('[rivals]\nmodels = ["nbd"]\ndraws = 10', r"\[rivals\] draws = 10: expected `int` >= 100"),
        ('[rivals]\nmodel = ["nbd"]', r'\[rivals\]: unknown key "model"; did you mean "models"\?'),
        ('[rivals]\nmodels = ["nbd"]\n[rivals.fit.nbd]\ndrws = 500', r'\[rivals.fit.nbd\]: unknown key "drws"; did'),
        (
            '[rivals]\nmodels = ["nbd", "mbg_nbd"]\n[rivals.fit.nbd]\ndraws = 500\n[rivals.fit.mbg_nbd]\ndraws = 5',
            r"\[rivals.fit.mbg_nbd\] draws = 5: expected `int` >= 100",
        ),
        ('[rivals]\nmodels = ["nbd"]\n[rivals.fit.mbg_nbd]\ndraws = 500', r"\[rivals.fit.mbg_nbd\]: it is not in"),
        ('[rivals]\nmodels = ["nbd"]\n[rivals.fit.bg_nbd]\ndraws = 500', r"\[rivals.fit.bg_nbd\]: it is the study's"),
    ],
)  # fmt: skip
def test_rivals_that_cannot_be_are_refused_with_their_place_before_the_data_are_read(tmp_path, rivals, message):
    told = []
    with pytest.raises(StudyError, match=message):
        run_study(study_file(tmp_path, rivals), output=tmp_path, tell=told.append)
    assert told == []


def test_an_unknown_key_of_a_table_that_may_be_left_out_is_refused_with_its_place(tmp_path):
    """It once ended in a TypeError."""
    with pytest.raises(StudyError, match=r'\[customers\]: unknown key "sorce"; did you mean "source"\?'):
        read_study(study_file(tmp_path, '[customers]\nsorce = "x"'))


def test_a_study_without_rivals_has_none(tmp_path):
    def rivals_of(content):
        task = purchase_task(read_study(study_file(tmp_path, content)), output=tmp_path)
        return [name for name in purchase_graph(task).units.known if name.startswith("rival")]

    assert rivals_of("") == []
    assert rivals_of('[rivals]\nmodels = ["nbd"]') == ["rival_nbd", "rivals_purchases"]
