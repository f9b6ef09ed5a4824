"""A study says whether its base buys as it did, and ranks customers by models chosen on past days."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.results import Duel
from clvmodels.report.reading import read_results
from clvmodels.report.sections.best import best
from clvmodels.report.sections.contest import contest
from clvmodels.report.sections.drift import conformal, drift
from clvmodels.report.sections.headline import headline
from clvmodels.report.voice import Source, voice_for
from clvmodels.study import read_study, run_study
from clvmodels.study.progress import seed_for
from tests.report_fixture import fixture_results, without_figures
from tests.test_study import write_study
from tests.test_study_odd import STUDY, purchases


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Two studies of a small shop, with a ranking and without, and the folder of each."""
    home = tmp_path_factory.mktemp("shop")
    return {choice: small_study(home / choice, choice) for choice in ("true", "false")}


def small_study(home, best, *, calibration_end="2023-12-31"):
    home.mkdir()
    purchases(150, seed=6).to_csv(home / "log.csv", index=False)
    text = STUDY.format(
        source=(home / "log.csv").as_posix(), unit="week", margin=0.3, data="", window="", value="", allow=""
    )
    text = text.replace("best = false", f"best = {best}").replace("2023-12-31", calibration_end)
    (home / "odd.toml").write_text(text.replace('compare = ["mle"]', ""), encoding="utf-8")
    run_study(home / "odd.toml", output=home)
    return home / "odd"


def words(results, language="en"):
    """What the sections of the page say, without figures."""
    return Source(without_figures(results), None, [], frozenset()), voice_for(results, language)


def flagged(*, drifts=True, **value):
    """The fixture, whose base drifts or does not, with other fields of its value section."""
    made = fixture_results()
    check = replace(made.evidence.drift, drifts=drifts, p_value=0.004 if drifts else 0.4)
    return replace(made, evidence=replace(made.evidence, drift=check), value=replace(made.value, **value))


# The study


def test_customers_are_ranked_by_the_best_forecast_on_the_decision_date(shop):
    results, customers = read_results(shop["true"]), pd.read_parquet(shop["true"] / "customers.parquet")
    log = clv.read_transactions(
        shop["true"].parent / "log.csv", customer="client", date="day", amount="paid", currency="EUR"
    )
    best = clv.best_forecast(
        log, clv.Window(log.last_date), seed=seed_for(5, "best of the decision"), horizon=26.0, draws=2, fit_draws=200
    )
    assert customers["customer_id"].tolist() == best.ranking.customer_id.tolist()
    assert customers["rank_score"].to_numpy() == pytest.approx(best.ranking.mean)
    assert (results.ranking.calibration_end, results.ranking.horizon) == (str(log.last_date), 26.0)


def test_the_same_study_gives_the_same_bytes(shop, tmp_path):
    """All but the manifest, which holds costs."""
    run_study(shop["true"].parent / "odd.toml", output=tmp_path)
    files = [path.relative_to(shop["true"]) for path in shop["true"].rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        assert (
            path.name == "manifest.json" or (tmp_path / "odd" / path).read_bytes() == (shop["true"] / path).read_bytes()
        ), path


def test_a_study_without_a_ranking_has_the_same_values(shop):
    ranked, plain = (pd.read_parquet(shop[choice] / "customers.parquet") for choice in ("true", "false"))
    assert {"rank", "rank_score"} <= set(ranked.columns)
    pd.testing.assert_frame_equal(ranked.drop(columns=["rank", "rank_score"]), plain)
    results = read_results(shop["false"])
    assert results.ranking is None
    assert results.comparison.best is None
    assert "best" not in results.comparison.methods
    assert results.value == read_results(shop["true"]).value


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A study with a calibration of seven weeks, in which no models can be chosen."""

    def refuse(*_, **__):
        raise DataError("nobody spent anything between then and now")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clvmodels.study.ranking.best_forecast", refuse)
        return small_study(tmp_path_factory.mktemp("home") / "short", "true", calibration_end="2023-02-17")


def test_where_no_models_can_be_chosen_the_ranking_is_left_out_and_the_page_says_why(short):
    results = read_results(short)
    assert results.comparison.left_out["best"] == "nobody spent anything between then and now"
    assert "best" not in results.comparison.methods
    assert "rank" not in pd.read_parquet(short / "customers.parquet").columns
    said = str(contest(*words(results))["left_out"]), str(contest(*words(results))["best"]["decision"])
    assert all("nobody spent anything between then and now" in part for part in said)


def test_a_calibration_of_few_weeks_has_no_check_and_the_page_says_why(short):
    results = read_results(short)
    assert results.evidence.drift is None
    assert results.evidence.totals == []
    assert "7 periods of a week" in results.evidence.left_out["drift"]
    assert "7 periods of a week" in str(drift(results, voice_for(results, "en"))["left_out"])


def test_the_choice_can_be_read_from_a_study_file(tmp_path):
    file = write_study(tmp_path / "quick.toml", **{"[contest]": "[contest]\nbest = false"})
    assert read_study(file).study.contest.best is False
    assert read_study(write_study(tmp_path / "other.toml")).study.contest.best is True


# The page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_first_screen_gives_the_interval_with_a_drift_where_the_check_flags(language):
    said = str(headline(*words_with_drift(flagged(), language))["drift"])
    numbers = voice_for(flagged(), language).numbers
    assert numbers.compact(361540.0) in said
    assert numbers.compact(1614820.0) in said
    assert "9,870" in said
    assert headline(*words_with_drift(flagged(drifts=False), language))["drift"] is None
    alone = str(headline(*words_with_drift(flagged(drifting_equity=None), language))["drift"])
    assert alone
    assert not re.search(r"\d", alone)


def words_with_drift(results, language="en"):
    return Source(results, None, [], frozenset()), voice_for(results, language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_has_the_verdict_the_weeks_and_both_forecasts_of_each_total(language):
    made = flagged()
    part = drift(made, voice_for(made, language))
    assert len(part["figure"].table.rows) == 39
    assert "0.4%" in part["verdict"]
    assert len(part["which"]) == 1  # single periods alone: the level's p value is above the threshold
    assert part["totals"].rows[0][1] == "18,952"
    missed, held = part["totals"].rows[0][2:]
    assert "17,316" in missed  # 17,810 less 1.645 x 300
    assert "11,240" in held
    assert missed.split()[-1] != held.split()[-1]
    steady = drift(flagged(drifts=False), voice_for(made, language))
    assert steady["verdict"] != part["verdict"]
    assert steady["which"] == []


def test_the_promise_of_adjusted_intervals_is_taken_back_where_the_base_drifts():
    said = {drifts: conformal(flagged(drifts=drifts).evidence, voice_for(flagged(), "en")) for drifts in (True, False)}
    assert "no promise" in said[True]["promise"]
    assert said[True]["promise"] != said[False]["promise"]
    assert said[True]["table"].rows[0][1:3] == ("94.4% (94.2% to 94.6%)", "92.4% (92.1% to 92.7%)")


def test_models_chosen_on_past_days_are_no_simpler_method():
    made = fixture_results()
    duel = Duel("best", "spend_gini", 0.641, 0.7, -0.059, -0.07, -0.04, "method")
    alone = replace(made, comparison=replace(made.comparison, duels=[duel]))
    assert not any("simpler" in str(caveat) for caveat in headline(*words(alone))["caveats"])
    section = contest(*words(alone))
    assert section["advice"] == []
    said = " ".join(map(str, section["best"]["holdout"]))
    assert "better than BG/NBD" in said
    assert "0.700 against 0.641" in said
    assert "hold place 1" in said


def test_the_contest_says_which_models_were_taken_and_how_they_did():
    made = fixture_results()
    part = best(made, voice_for(made, "en"))
    said = " ".join(map(str, part["intro"]))
    assert "8 pairs of models" in said
    assert "17 May 1997" in said
    assert "136 days" in said
    assert "2 of 8" in said
    assert len(part["table"].rows) == 8
    assert part["table"].marked == frozenset({0, 1})
    assert "weight of 50%" in str(part["decision"])
    assert (
        best(replace(made, ranking=None, comparison=replace(made.comparison, best=None)), voice_for(made, "en")) is None
    )


def test_every_step_is_counted_and_named(shop):
    steps = json.loads((shop["true"] / "manifest.json").read_text())["steps"]
    names = [step["name"] for step in steps]
    assert {"drift", "conformal", "best_contest", "strategy", "best"} <= set(names)
