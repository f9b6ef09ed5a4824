"""Models side by side: each outcome in numbers has its sentence, and a study without rivals has no section."""

import string
from dataclasses import replace
from typing import Any

import pytest

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import LeaveOneOut, ParameterRow, RivalGap, RivalGroup, RivalRow
from clvmodels.models import MODELS
from clvmodels.report import figures
from clvmodels.report.render import render_page
from clvmodels.report.sections.rivals import FACETS, TESTED, judged_by, outcome, rivals
from clvmodels.report.voice import Source, voice_for
from clvmodels.report.words import read_words
from tests.report_fixture import fixture_results

LANGUAGES = ("en", "zh")
REGISTRY = (
    *("bg_nbd", "mbg_nbd", "pareto_nbd", "bg_bb", "nbd", "ggom_nbd", "bg_cnbd_k", "mbg_cnbd_k", "pareto_ggg"),
    *("pareto_nbd_abe", "pareto_nbd_dyncov"),
)


def plain(text: Any) -> str:
    return str(text).replace("<strong>", "").replace("</strong>", "")


def row(model: str, difference: float | None, se: float, *, weight: float = 0.5, total: float = 1000.0) -> RivalRow:
    """A model so far behind the best; without an estimate where that is None."""
    left = None if difference is None else LeaveOneOut(difference, 9.0, 4.0, 0.4, 0, difference, se, weight, "bg_nbd")
    interval = Estimate(total, 10.0, total - 16.0, total, total + 16.0)
    return RivalRow(model, "laplace", 1000, -9.0, [], left, interval, [])


def group_of(*rows: RivalRow, actual: float = 1000.0) -> RivalGroup:
    """The rows as a group; each difference has the standard error of the model that is behind."""
    known = [r for r in rows if r.loo is not None]
    gaps = [
        RivalGap(a.model, b.model, a.loo.difference - b.loo.difference, max(a.loo.difference_se, b.loo.difference_se))
        for a in known
        for b in known
        if a is not b and a.loo is not None and b.loo is not None
    ]
    return RivalGroup("purchases", rows[0].model, 100, actual, list(rows), gaps, [], [])


def section(group: RivalGroup, language: str = "en") -> dict[str, Any]:
    results = replace(fixture_results(), rivals=[group])
    built = rivals(Source(results, None, [], frozenset()), voice_for(results, language))
    assert built is not None
    return built["groups"][0]  # type: ignore[no-any-return]


def verdict(group: RivalGroup) -> str:
    return plain(" ".join(map(str, section(group)["verdict"])))


def card(group: RivalGroup, model: str) -> dict[str, Any]:
    name = read_words("en").name("rivals.models", model)
    return next(found for found in section(group)["cards"] if found["name"] == name)


@pytest.mark.parametrize(
    ("difference", "se", "expected"),
    [
        (-3.9, 0.1, "even"),  # small differences have standard errors that say little
        (-10.0, 5.1, "even"),
        (-10.0, 4.9, "worse"),
        (10.0, 4.9, "better"),
        (0.0, 0.0, "even"),
    ],
)
def test_a_difference_counts_beyond_two_standard_errors_and_beyond_four(
    difference: float, se: float, expected: str
) -> None:
    assert outcome(difference, se) == expected


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        ((0.0, 0.0), (-50.0, 10.0), "by BG/NBD, and beyond doubt: all others are settled as worse (NBD)."),
        ((0.0, 0.0), (-50.0, 10.0), "rest on BG/NBD, the best of them."),
        ((0.0, 0.0), (-15.0, 10.0), "predicted best by BG/NBD, but these data cannot tell it from NBD."),
        ((-15.0, 10.0), (0.0, 0.0), "It is 15.0 behind NBD (standard error 10.0), which may well be chance"),
        ((-50.0, 10.0), (0.0, 0.0), "rest on BG/NBD, though NBD is settled as better, by 50.0 (standard error 10.0)."),
    ],
)
def test_the_verdict_says_whether_the_best_is_settled_and_what_it_means_for_the_studys_own(
    own: tuple[float, float], other: tuple[float, float], said: str
) -> None:
    assert said in verdict(group_of(row("bg_nbd", *own), row("nbd", *other)))


def test_of_three_models_those_tied_and_those_worse_are_named_apart() -> None:
    told = verdict(group_of(row("bg_nbd", -3.0, 4.0), row("mbg_nbd", 0.0, 0.0), row("nbd", -90.0, 10.0)))
    assert "best by MBG/NBD, but these data cannot tell it from BG/NBD. Settled as worse: NBD." in told


@pytest.mark.parametrize(
    ("weights", "said", "note"),
    [
        ((0.7, 0.3), "trusts BG/NBD the most: 70% to BG/NBD and 30% to NBD.", False),
        ((0.3, 0.7), "trusts NBD the most: 70% to NBD and 30% to BG/NBD.", True),  # though BG/NBD is the best
        ((1.0, 0.0), "trusts BG/NBD the most: 100% to BG/NBD.", True),
    ],
)
def test_the_model_that_stacking_trusts_is_named_and_weights_are_no_ranking(
    weights: tuple[float, float], said: str, note: bool
) -> None:
    rows = [row(model, d, 5.0, weight=w) for model, d, w in zip(("bg_nbd", "nbd"), (0.0, -9.0), weights, strict=True)]
    told = verdict(group_of(*rows))
    assert said in told
    assert ("Weights are no ranking" in told) is note


@pytest.mark.parametrize(
    ("totals", "actual", "said"),
    [
        ((1000.0, 1005.0), 1002.0, "The 90% interval of every model held it."),
        ((1000.0, 1300.0), 1002.0, "The 90% interval held it for BG/NBD alone."),
        ((700.0, 1300.0), 1002.0, "No model’s 90% interval held it."),
        ((700.0, 800.0), 1002.0, "and all missed it on the same side"),
        ((1200.0, 1300.0), 1002.0, "and all missed it on the same side"),
    ],
)
def test_the_total_is_held_by_all_by_some_or_missed(totals: tuple[float, float], actual: float, said: str) -> None:
    rows = [row(model, 0.0, 0.0, total=total) for model, total in zip(("bg_nbd", "nbd"), totals, strict=True)]
    told = verdict(group_of(*rows, actual=actual))
    assert said in told
    assert ("same side" in told) is ("same side" in said)


@pytest.mark.parametrize(
    ("model", "other", "gap", "said"),
    [
        ("nbd", "bg_nbd", -180.0, "Customers do leave: BG/NBD, which lets them, is better by 180.0"),
        ("nbd", "bg_nbd", -9.0, "these data do not show that customers leave"),
        ("nbd", "bg_nbd", 180.0, "nothing here says that customers leave"),
        ("bg_nbd", "nbd", 180.0, "Customers do leave: it beats NBD"),
        ("bg_nbd", "nbd", 9.0, "Whether customers leave cannot be told"),
        ("mbg_nbd", "bg_nbd", 31.0, "Some leave right after their first purchase"),
        ("mbg_nbd", "bg_nbd", 3.0, "right after their first purchase cannot be told"),
        ("pareto_nbd", "bg_nbd", -47.0, "Leaving right after a purchase fits better than leaving at any moment"),
        ("pareto_nbd", "bg_nbd", 47.0, "Customers leave unseen, between purchases"),
        ("bg_bb", "pareto_nbd", 2.0, "Whether time comes in whole days or runs on makes no difference"),
        ("ggom_nbd", "pareto_nbd", 1.0, "A risk of leaving that grows with time is not seen"),
        ("bg_cnbd_k", "bg_nbd", 0.5, "Regular timing is not seen"),
        ("mbg_cnbd_k", "mbg_nbd", 400.0, "Purchases come regularly: it beats MBG/NBD"),
        ("pareto_ggg", "pareto_nbd", 88.0, "Customers have rhythms of their own"),
        ("pareto_nbd_abe", "pareto_nbd", 3.0, "Rates that go together are not seen"),
        ("pareto_nbd_dyncov", "pareto_nbd", 60.0, "The calendar matters: it beats Pareto/NBD"),
        ("my_own", "bg_nbd", 60.0, "It does better than BG/NBD, by 60.0 (standard error 10.0)."),
        ("mbg_nbd", "pareto_nbd", -60.0, "It does worse than Pareto/NBD, by 60.0 (standard error 10.0)."),
    ],
)
def test_what_the_data_say_of_an_assumption_follows_from_the_model_without_it(
    model: str, other: str, gap: float, said: str
) -> None:
    own, beside = row(model, min(gap, 0.0), 10.0), row(other, min(-gap, 0.0), 10.0)
    assert said in plain(card(group_of(beside, own), model)["data"][0])


def test_a_model_without_drop_out_is_tested_by_the_best_and_others_by_the_one_without_their_assumption() -> None:
    group = group_of(row("bg_nbd", -31.0, 9.0), row("mbg_nbd", 0.0, 0.0), row("nbd", -999.0, 9.0))
    found = {model: judged_by(group, model) for model in ("bg_nbd", "mbg_nbd", "nbd")}
    assert {model: gap.other for model, gap in found.items() if gap} == {
        "bg_nbd": "nbd",
        "mbg_nbd": "bg_nbd",
        "nbd": "mbg_nbd",
    }


def test_a_model_without_an_estimate_is_in_the_tables_and_judged_by_the_holdout() -> None:
    group = group_of(row("bg_nbd", 0.0, 0.0), row("mbg_nbd", -1.0, 2.0), row("pareto_ggg", None, 0.0))
    built = section(group)
    assert [cells[0] for cells in built["loo"].rows] == ["BG/NBD", "MBG/NBD", "Pareto/GGG"]
    assert built["loo"].rows[2][2:] == ("–",) * 5
    assert "the holdout alone speaks" in card(group, "pareto_ggg")["data"][0]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"k": (1.0, 1.0, 1.0)}, "The data choose k = 1: timing is irregular, as by chance."),
        ({"k": (3.0, 3.0, 3.0)}, "k = 3: purchases come more regularly than by chance."),
        ({"rho": (0.05, -0.1, 0.2)}, "is 0.05 (−0.10 to 0.20): it may well be zero."),
        ({"rho": (-0.3, -0.5, -0.1)}, "those who buy fast stay longer."),
        ({"rho": (0.3, 0.1, 0.5)}, "those who buy fast leave sooner."),
        ({"t": (3.0, 2.0, 4.0), "gamma": (2.9, 2.0, 4.0)}, "regularity is 1.03, about that of chance."),
        ({"t": (3.0, 2.0, 4.0), "gamma": (1.0, 0.9, 1.1)}, "regularity is 3: they buy more regularly"),
        ({"t": (1.0, 0.9, 1.1), "gamma": (2.0, 1.9, 2.1)}, "regularity is 0.5: they buy in bursts"),
    ],
)
def test_parameters_speak_for_themselves(parameters: dict[str, tuple[float, float, float]], said: str) -> None:
    rows = [
        ParameterRow(name, mean, 0.1, low, mean, high, 900.0, 900.0, None, 0.2)
        for name, (mean, low, high) in parameters.items()
    ]
    group = group_of(row("bg_nbd", 0.0, 0.0), replace(row("my_own", -1.0, 2.0), parameters=rows))
    assert said in plain(card(group, "my_own")["data"][1])


def test_cards_say_where_a_model_wins_and_loses_on_the_holdout() -> None:
    (group,) = fixture_results().rivals
    bare = replace(group, rows=[replace(r, tracking=[], replicated=[], counts=[]) for r in group.rows])
    told = {
        model: " ".join(map(str, card(bare, model)["holdout"])) for model in ("bg_nbd", "mbg_nbd", "pareto_nbd", "nbd")
    }
    assert "Its total is 17,810, 6.0% below what came." in told["bg_nbd"]
    assert "Others are settled as better in the mean absolute error (MBG/NBD and Pareto/NBD)." in told["bg_nbd"]
    assert "Settled as better than BG/NBD in the mean absolute error, as worse in the total." in told["mbg_nbd"]
    assert "in the mean absolute error; nothing is settled against it." in told["pareto_nbd"]
    assert "Settled as worse than BG/NBD in the mean absolute error; nothing is settled for it." in told["nbd"]


def test_the_best_of_each_score_is_marked_and_those_alike_share_it() -> None:
    (group,) = fixture_results().rivals
    bare = replace(group, rows=[replace(r, tracking=[], replicated=[], counts=[]) for r in group.rows])
    table = section(bare)["holdout"]
    best = {line["name"]: [text for text, marked in line["cells"] if marked] for line in table["rows"]}
    assert best == {
        "MBG/NBD": ["0.483"],
        "BG/NBD": ["0.483", "0.940"],
        "Pareto/NBD": ["0.717", "0.650", "−4.7%"],
        "NBD": [],
    }


def test_a_study_without_rivals_has_no_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "draw", lambda *_: ("", ""))
    results = replace(fixture_results(), rivals=[])
    page = render_page(Source(results, None, [], frozenset()), "en")
    assert 'id="rivals"' not in page
    assert "#rivals" not in page
    assert "Models side by side" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_models_that_were_left_out_are_named_with_what_they_said(language: str) -> None:
    group = replace(group_of(row("bg_nbd", 0.0, 0.0)), left_out={"pareto_ggg": "the search ran <away>"})
    built = section(group, language)
    assert "Pareto/GGG" in built["left_out"][0]
    assert "the search ran &lt;away&gt;" in built["left_out"][0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_purchase_model_of_the_registry_has_its_assumption_and_its_three_outcomes_in_words(language: str) -> None:
    models = read_words(language).at("rivals.models")
    bought = {name for name, model in MODELS.items() if model.family in ("purchases", "spend")}
    assert set(REGISTRY) | bought <= set(models)
    for model in REGISTRY:
        assert models[model]["leaving"]
        assert set(models[model]) <= {"name", "data", *FACETS}
        for said in ("better", "even", "worse"):
            found = {name for _, name, _, _ in string.Formatter().parse(models[model]["data"][said]) if name}
            assert found == {"other", "difference", "se"}
    assert set(TESTED) == set(REGISTRY) - {"nbd"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_section_has_all_its_figures_in_either_language(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(figures, "draw", lambda key, *_: drawn.append(key) or ("", ""))
    (group,) = fixture_results().rivals
    built = section(group, language)
    assert drawn == ["rivals-weekly", "rivals-running", "rivals-calibration", "rivals-holdout"]
    assert [len(figure.table.rows) for figure in built["figures"]] == [78, 78, 8, 10]
    assert all(len(figure.table.columns) == 6 for figure in built["figures"])
