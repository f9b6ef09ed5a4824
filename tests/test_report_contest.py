"""The page of a contest: verdicts as they stand in the record, controls told as controls, numbers of the record."""

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clvmodels.baselines import BASELINES
from clvmodels.evaluation.scores import SCORES
from clvmodels.foundation.contest_results import Circumstance, ContestData, ContestResults
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.results import RollingVerdict
from clvmodels.report import figures, render
from clvmodels.report.reading import read_method_costs
from clvmodels.report.render import render_page, render_report
from clvmodels.report.sections import CONTEST_SECTIONS
from clvmodels.report.sections.contest import pictured
from clvmodels.report.sections.rolling_contest.answer import contest_answer
from clvmodels.report.sections.rolling_contest.calibration import contest_calibration
from clvmodels.report.sections.rolling_contest.classical import contest_classical
from clvmodels.report.sections.rolling_contest.contest_method import contest_method
from clvmodels.report.sections.rolling_contest.control import contest_control
from clvmodels.report.sections.rolling_contest.differences import contest_differences
from clvmodels.report.sections.rolling_contest.difficulty import contest_difficulty
from clvmodels.report.sections.rolling_contest.league import contest_league
from clvmodels.report.sections.rolling_contest.origins import contest_origins
from clvmodels.report.sections.rolling_contest.totals import contest_totals
from clvmodels.report.sections.rolling_contest.winners import MARKS, contest_winners
from clvmodels.report.sections.rolling_contest.wording import Cell, kind_of, method_name, short_name
from clvmodels.report.voice import ContestSource, voice_for, voice_of
from clvmodels.report.words import read_words
from tests.contest_report_fixture import fixture_contest, fixture_costs
from tests.test_report_page import parsed
from tests.test_report_retention import words_of

LANGUAGES = ("en", "zh")
RECORD = fixture_contest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder as the runner leaves it, with some of the files that it may hold."""
    folder = tmp_path_factory.mktemp("contest")
    (folder / "results.json").write_bytes(msgspec.json.encode(DRAWN))
    (folder / "costs.json").write_bytes(msgspec.json.encode({"methods": fixture_costs()}))
    (folder / "league.csv").write_text("method,score\n")
    (folder / "customers.csv").write_text("customer_id\n")  # of a study of purchases: no page on a contest lists it
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {code: render_report(folder, language=code).read_text(encoding="utf-8") for code in LANGUAGES}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without drawings and fonts, for tests of words and tables."""
    monkeypatch.setattr(figures, "draw", lambda *_: ("", ""))
    monkeypatch.setattr(render, "_fonts", lambda _: "")


def source(record: ContestResults) -> ContestSource:
    return ContestSource(record, None, [], ())


def built(
    section: Callable[[ContestSource, Any], dict[str, Any] | None],
    record: ContestResults = RECORD,
    language: str = "en",
) -> dict[str, Any]:
    made = section(source(record), voice_for(record, language))
    assert made is not None
    return made


def with_data(*data: ContestData) -> ContestResults:
    keys = {of.key for of in data}
    return replace(RECORD, data=list(data), winners=[row for row in RECORD.winners if row.data in keys])


def judged(data: ContestData, change: Callable[[RollingVerdict], RollingVerdict]) -> ContestData:
    """A data set whose verdicts were changed."""
    contests = [replace(section, verdicts=[change(of) for of in section.verdicts]) for section in data.contests]
    return replace(data, contests=contests)


def kept(methods: list[str], verdict: str = "some") -> Callable[[RollingVerdict], RollingVerdict]:
    """Verdicts that leave these methods in the set, of those that took part."""

    def change(of: RollingVerdict) -> RollingVerdict:
        there = [method for method in methods if method in of.p_values]
        return replace(of, kept=there, best=there[:1], verdict=verdict) if there else of

    return change


REAL, DONORS, TOLD, DEALT = RECORD.data
DRAWN = with_data(replace(REAL, shuffles=DEALT.shuffles))  # drawing is what takes time


# The page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_all_sections_and_figures_with_their_tables(pages: dict[str, str], language: str) -> None:
    reader = parsed(pages[language])
    keys = [section.key for section in CONTEST_SECTIONS]
    assert [key for key in reader.ids if key in keys] == keys
    assert len(reader.ids) == len(set(reader.ids))
    assert {address[1:] for _, address in reader.addresses if address.startswith("#")} - set(reader.ids) == set()
    found = re.findall(r"<figure.*?</figure>", pages[language], re.DOTALL)
    assert len(found) == 5 * len(DRAWN.data)  # differences, origins, calibration, drift, totals
    for figure in found:
        assert len(re.findall(r'<svg viewBox="[^"]+" role="img" aria-label="[^"]{15,}">', figure)) == 2
        assert re.search(r"<figcaption>.{30,}</figcaption>", figure, re.DOTALL)
        assert "<table" in figure
        assert 'href="data:text/csv' in figure


def test_drawings_are_in_the_colours_of_the_page_and_their_parts_are_found(pages: dict[str, str]) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", pages["en"], re.DOTALL):
        assert "var(--model)" in drawing
        assert re.findall(r"(?:fill|stroke): #", drawing) == []
        wanted = set(re.findall(r'(?:url\(|href=")#([\w.-]+)', drawing))
        assert wanted == set(re.findall(r'\bid="([^"]+)"', drawing))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_that_is_not_there_is_linked(pages: dict[str, str], language: str) -> None:
    links = [a for _, a in parsed(pages[language]).addresses if not a.startswith(("#", "data:"))]
    other = {"en": "index.zh.html", "zh": "index.html"}[language]
    assert links == [other, "league.csv", "results.json", "costs.json"]
    assert re.findall(r"url\((?!data:|#)|@import|https?://(?!www\.w3\.org)", pages[language]) == []


def test_the_chinese_page_has_no_english_sentence(pages: dict[str, str]) -> None:
    body = re.sub(r"<(style|script|svg)\b.*?</\1>", "", pages["zh"], flags=re.DOTALL)
    body = re.sub(r'<ul class="references".*?</ul>', "", body, flags=re.DOTALL)
    body = unescape(re.sub(r"<[^>]*>", "\n", body)).replace(RECORD.left_out["retail"], "")
    assert re.findall(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,} [a-z]{2,}\b", body) == []


def test_a_contest_of_eight_data_sets_and_three_horizons_is_below_three_megabytes(pages: dict[str, str]) -> None:
    """By what a data set weighs here; so large a record takes half a minute to draw."""
    page = pages["zh"]
    data_set = sum(
        len(part.encode()) for part in re.findall(r'<details class="data-set".*?\n</details>', page, re.DOTALL)
    )
    shared = len(page.encode()) - data_set
    assert 100_000 < data_set < page_share(3_000_000 - shared)


def page_share(room: float) -> float:
    """Of eight data sets, each with three horizons where the fixture has two: at most half as much again."""
    return room / 8 / 1.5


@pytest.mark.usefixtures("undrawn")
def test_costs_stand_in_a_block_of_their_own(folder: Path, tmp_path: Path) -> None:
    block = re.compile(r"<!-- costs -->.*?<!-- /costs -->\s*", re.DOTALL)
    page = render_report(folder, language="en", output=tmp_path / "with.html").read_text(encoding="utf-8")
    assert "0.0011" in block.findall(page)[0]
    for name in ("results.json", "league.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    apart = render_report(tmp_path, language="en").read_text(encoding="utf-8")
    assert words_of(apart).count("CPU") == 0 < words_of(page).count("CPU")
    listed = re.compile(r'<li><a href="costs.json".*?</li>|<meta name="clvmodels-content"[^>]*>')
    assert listed.sub("", block.sub("", apart)).split() == listed.sub("", block.sub("", page)).split()


def test_costs_of_another_version_are_refused(tmp_path: Path) -> None:
    assert read_method_costs(tmp_path) == {}
    (tmp_path / "costs.json").write_text('{"steps": []}')
    assert read_method_costs(tmp_path) == {}
    (tmp_path / "costs.json").write_text('{"methods": {"cdnow": [{"method": "abc"}]}}')
    with pytest.raises(StudyError, match="not the costs of this version"):
        read_method_costs(tmp_path)


# Words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_the_sections_name_is_in_the_catalogue(language: str) -> None:
    package = Path(figures.__file__).parent
    code = "".join(path.read_text() for path in (package / "sections" / "rolling_contest").glob("*.py"))
    keys = set(re.findall(r'voice\.(?:say|text)\(\s*"([\w.]+)"', code))
    for section in CONTEST_SECTIONS:
        keys |= set(re.findall(r'say\("([\w.]+)"', (package / "templates" / f"{section.key}.html.j2").read_text()))
    assert len(keys) > 90
    assert all(read_words(language).at(key) for key in keys)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_score_and_every_method_is_named_and_explained(language: str) -> None:
    made = built(contest_method, language=language)
    words = read_words(language)
    explained = [entry for group in made["scores"] for entry in group["entries"]]
    assert len(explained) == len(SCORES)
    assert all(entry["term"] and entry["text"] for entry in explained)
    assert set(BASELINES) <= set(words.at("contest_method.methods"))
    names = [row[0] for row in made["methods"].rows]
    assert names == [method_name(method, voice_for(RECORD, language)) for method in REAL.contests[0].methods]
    assert not any("_" in name for name in names)
    assert {key for data in RECORD.data for key in (c.key for c in data.circumstances)} == set(
        words.at("contest_classical.because")
    ) - {"pace_more", "pace_less"} | {"pace"}


def test_a_pair_of_models_is_named_by_both_and_by_its_baskets() -> None:
    voice = voice_for(RECORD, "en")
    assert method_name("mbg_nbd+gamma_gamma[all]", voice) == "MBG/NBD + Gamma-Gamma (all baskets)"
    assert short_name("pareto_nbd+gamma_gamma_transactions", voice) == "Pareto/NBD + GG by purchase"
    assert method_name("my_rule", voice) == "my_rule"


@pytest.mark.usefixtures("undrawn")
def test_money_is_in_the_currency_of_its_data_set() -> None:
    pounds = replace(REAL, currency="GBP")
    said = built(contest_calibration, with_data(pounds, DONORS))["data"][0]["shown"][0]["said"]
    assert any("£2.00" in text for text in said)
    assert voice_of(pounds, "en").numbers.cell(3.0) == "£3.00"


# Verdicts


@pytest.mark.parametrize(
    ("methods", "outcome"),
    [
        (["best"], "model"),
        (["best", "bg_nbd+gamma_gamma"], "model"),
        (["abc", "abc_repeat"], "abc"),
        (["rfm_cells"], "rfm"),
        (["hiatus", "same_rate"], "rule"),
        (["ziln"], "regression"),
        (["abc", "rfm"], "nobody"),
        (["best", "abc"], "nobody"),
    ],
)
def test_a_kind_is_better_where_every_other_kind_has_left_the_set(methods: list[str], outcome: str) -> None:
    data = judged(REAL, kept(methods))
    section = data.contests[0]
    verdict = next(of for of in section.verdicts if of.score == "spend_gini")
    assert Cell(data, section, verdict).outcome == outcome
    alone = replace(verdict, p_values={method: 1.0 for method in methods if kind_of(method) == outcome})
    if alone.p_values:
        assert Cell(data, section, alone).outcome == "alone"


@pytest.mark.parametrize(
    ("language", "said"), [("en", "No kind of method is reliably better"), ("zh", "没有哪一类方法确实更好")]
)
def test_a_verdict_of_none_is_told_as_nobody_reliably_better(language: str, said: str) -> None:
    everybody = judged(REAL, kept(list(REAL.contests[0].methods), "none"))
    made = built(contest_answer, with_data(everybody), language)
    assert said in made["main"]
    assert "2" in made["main"]  # contests
    row = next(row for row in made["table"].rows if row[0] == read_words(language).name("scores", "spend_gini"))
    assert row[1:] == ("0", "0", "0", "0", "0", "2", "0")
    shown = built(contest_winners, everybody_record := with_data(everybody), language)
    assert {cell["mark"] for cell in shown["map"]["rows"][0]["cells"] if cell} <= {MARKS["nobody"], MARKS["alone"]}
    assert everybody_record.data[0].contests[0].verdicts[0].verdict == "none"


def test_the_answer_counts_contests_by_the_kind_that_is_better() -> None:
    won = judged(REAL, kept(["abc"], "one"))
    made = built(contest_answer, with_data(won, DONORS))
    assert "ABC reliably better in 2" in unescape(made["main"])
    other = built(contest_answer, with_data(judged(REAL, kept(["best"], "one"))))
    assert "models reliably better in 2" in unescape(other["main"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_simulated_and_shuffled_data_are_not_counted_and_told_apart(language: str) -> None:
    made = built(contest_answer, language=language)
    assert made["table"].rows == built(contest_answer, with_data(REAL, DONORS), language)["table"].rows
    told, dealt = made["data"][2], made["data"][3]
    assert {"en": "simulated by BG/NBD", "zh": "由 BG/NBD"}[language] in told
    assert {"en": "a control", "zh": "对照组"}[language] in dealt
    assert "83" in dealt  # shuffles
    assert {"en": "number of purchases", "zh": "购买次数，"}[
        language
    ] not in dealt  # levels may differ there, orders not


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (("bg_nbd+gamma_gamma", "abc"), "The model itself is in the set of the best in 14 of 14 verdicts"),
        (("bg_nbd+gamma_gamma[all]", "abc"), "The model itself is in the set of the best in 14 of 14 verdicts"),
        (("pareto_nbd+gamma_gamma", "abc"), ""),
    ],
)
def test_the_model_that_told_is_found_whatever_baskets_it_reads(methods: tuple[str, ...], said: str) -> None:
    def change(of: RollingVerdict) -> RollingVerdict:
        return replace(of, p_values=dict.fromkeys(methods, 1.0), kept=list(methods), best=["abc"])

    (about,) = built(contest_answer, with_data(judged(TOLD, change)))["data"]
    assert ("The model itself" in about) == bool(said)
    assert said in unescape(about)


@pytest.mark.parametrize(("low", "often"), [(0.031, False), (0.12, True)])
def test_the_control_says_whether_verdicts_are_called_too_often(low: float, often: bool) -> None:
    assert DEALT.shuffles is not None
    made = built(contest_control, without(DEALT, shuffles=replace(DEALT.shuffles, low=low)))
    (part,) = made["data"]
    assert ("called too often" in part["said"][0]) == often
    assert "In 5 of 83 shuffles (6.0%" in unescape(part["said"][0])
    assert "where 10% are expected" in unescape(part["said"][1])
    assert [row[1] for row in part["table"].rows] == [str(row.dropped) for row in DEALT.shuffles.scores]
    assert contest_control(source(with_data(REAL)), voice_for(RECORD, "en")) is None


def test_an_origin_without_the_own_method_is_named() -> None:
    section = replace(REAL.contests[0], left_out={"1997-03-31": "it did not converge."})
    (said,) = [one for one in built(contest_method, without(REAL, contests=[section]))["left_out"] if "March" in one]
    assert "gave no forecast there" in said
    assert "it did not converge." in said


def test_verdicts_that_hold_for_their_times_alone_are_counted() -> None:
    assert built(contest_answer)["few_origins"].startswith("In 2 of 4 contests")  # donors have too few origins
    assert built(contest_answer, with_data(REAL))["few_origins"] == ""


def test_the_mean_absolute_error_decides_nothing() -> None:
    made = built(contest_answer)
    assert "favours a forecast that says none" in made["absolute"]
    assert not any("absolute" in row[0] for row in made["table"].rows)
    assert "absolute" not in unescape(str(made["main"]) + " ".join(map(str, made["others"])))


def test_winners_are_those_of_the_record_with_who_cannot_be_told_from_them() -> None:
    made = built(contest_winners)
    voice = voice_for(RECORD, "en")
    for data, part in zip(RECORD.data, made["data"], strict=True):
        own = [row for row in RECORD.winners if row.data == data.key]
        cells = [cell for row in part["rows"] for cell in row["cells"] if cell]
        assert len(cells) == len(own)
        assert sorted(cell["best"] for cell in cells) == sorted(method_name(row.best[0], voice) for row in own)
        for cell in cells:
            assert bool(cell["kept"]) <= (cell["key"] == "some")
    assert {row["group"] for part in made["data"] for row in part["rows"]} == {"ranking", "size", "doubt", "back"}


def test_the_league_marks_the_best_and_those_not_told_from_it() -> None:
    made = built(contest_league)
    section = REAL.contests[0]
    verdict = next(of for of in section.verdicts if of.score == "spend_gini")
    rows = made["data"][0]["tables"][0]["rows"]
    voice = voice_for(RECORD, "en")
    best = {row["name"] for row in rows if row["cells"][0]["best"]}
    near = {row["name"] for row in rows if row["cells"][0]["kept"]}
    assert best == {method_name(method, voice) for method in verdict.best}
    assert near == {method_name(method, voice) for method in verdict.kept if method not in verdict.best}
    values = {row.method: row.value for row in section.league if row.score == "spend_gini"}
    assert [row["name"] for row in rows] == [method_name(m, voice) for m in sorted(values, key=lambda m: -values[m])]


@pytest.mark.usefixtures("undrawn")
def test_differences_are_those_of_the_study_s_own_method() -> None:
    table = built(contest_differences)["data"][0]["figure"].table
    duels = [duel for section in REAL.contests for duel in section.duels if duel.score == "spend_gini"]
    rows = [row for row in table.rows if row[0] == "Gini of spend"]
    assert len(rows) == len(duels)
    assert sum(row[-1] == "other method" for row in rows) == sum(duel.verdict == "method" for duel in duels)
    assert sum(row[3].startswith("+") for row in rows) == sum(duel.difference > 0 for duel in duels)


@pytest.mark.usefixtures("undrawn")
def test_a_method_that_says_nothing_of_purchases_has_a_model_beside_it() -> None:
    mute = [
        replace(of, deciles={"spend": of.deciles["spend"]}) if of.method == "best" else of for of in REAL.calibration
    ]
    shown = built(contest_calibration, with_data(replace(REAL, calibration=mute)))["data"][0]["shown"]
    assert len(shown) == 2
    assert "MBG/NBD" in shown[1]["figure"].caption
    assert len(built(contest_calibration)["data"][0]["shown"]) == 1


@pytest.mark.parametrize("drifts", [True, False])
@pytest.mark.usefixtures("undrawn")
def test_whether_the_base_buys_as_before_is_said_in_plain_words(drifts: bool) -> None:
    assert REAL.drift is not None
    record = with_data(replace(REAL, drift=replace(REAL.drift, drifts=drifts)))
    said = built(contest_totals, record)["data"][0]["drift_said"]
    assert ("This base does not buy as before" in said) is drifts


@pytest.mark.usefixtures("undrawn")
def test_windows_of_months_of_unequal_length_share_a_panel() -> None:
    uneven = [replace(check, horizon=check.horizon + 0.1 * (place % 3 - 1)) for place, check in enumerate(REAL.totals)]
    part = built(contest_totals, with_data(replace(REAL, totals=uneven)))["data"][0]
    inside = sum(
        check.stationary.q05 <= check.actual <= check.stationary.q95  # type: ignore[operator]
        for check in REAL.totals
        if check.outcome == "purchases"
    )
    assert f"of 12 windows {inside} lie" in part["figure"].caption


def test_classical_wins_are_listed_and_no_cause_is_claimed() -> None:
    made = built(contest_classical)
    assert [part["title"] for part in made["data"]] == ["CDNOW"]
    assert all("ABC" in said for said in made["data"][0]["won"])
    assert "no proof" in made["intro"]
    nobody = built(contest_classical, with_data(judged(REAL, kept(["best"], "one"))))
    assert nobody["data"] == []
    assert "In none of" in nobody["sum"]


def test_pace_is_told_as_more_or_less_than_expected() -> None:
    for value, said in ((1.25, "25.0% more"), (0.8, "20.0% less")):
        record = with_data(replace(REAL, circumstances=[Circumstance("pace", value)]))
        assert said in built(contest_classical, record)["data"][0]["why"][0]


def test_the_textbook_stands_beside_what_was_measured() -> None:
    made = built(contest_difficulty)
    rows = {row[0]: row for row in made["claim"].rows}
    assert rows["ABC"][1:4] == ("medium", "medium", "medium")
    assert rows["RFM"][1:4] == ("easy", "low", "low")
    clv = next(row for name, row in rows.items() if name.startswith("CLV"))
    assert clv[1:] == ("hard", "high", "high", "4", "5")
    reached = {row[0]: row for row in made["reached"].rows}
    assert reached["CDNOW"][4] == voice_for(RECORD, "en").numbers.significant(REAL.difficulty[0].scores["spend_gini"])


# Numbers


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_numbers_shown_are_those_of_the_record(pages: dict[str, str], language: str) -> None:
    text = words_of(pages[language])
    numbers = voice_for(RECORD, language).numbers
    league = {(row.method, row.score): row for row in REAL.contests[0].league}
    assert REAL.drift is not None
    expected = [
        numbers.significant(league["abc", "spend_gini"].value),
        numbers.span(league["best", "spend_gini"].low, league["best", "spend_gini"].high, numbers.significant),
        numbers.share(league["best", "spend_capture_20"].value, 1),
        numbers.significant(league["best", "purchases_crps"].value),
        numbers.significant(REAL.drift.p_value, 2),
        numbers.decimal(REAL.totals[0].actual),
        numbers.interval(REAL.totals[0].stationary, numbers.decimal),
        numbers.share(REAL.conformal[0].after, 1),
        numbers.share(REAL.calibration[0].coverage[0].covered, 1),
        numbers.decimal(REAL.rows_read),
        RECORD.study.data_digests["cdnow"][:12],
        RECORD.left_out["retail"],
    ]
    assert [number for number in expected if number not in text] == []


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_numeral_of_the_prose_comes_from_anywhere_but_the_record(language: str) -> None:
    """Counts of the answer are counted here again; what has no digits in the record has none on the page."""
    made = built(contest_answer, with_data(REAL, DONORS), language)
    cells = [len(data.contests) for data in (REAL, DONORS)]
    counts = {str(number) for number in range(sum(cells) + 1)}  # of contests, and of those with an outcome
    windows = {str(number) for number in range(25)}
    shares = {
        voice_for(RECORD, language).numbers.share(row.value, 1).strip("%")
        for data in (REAL, DONORS)
        for section in data.contests
        for row in section.league
        if row.score.endswith("coverage_90")
    }
    horizons = {"12", "26", "1", "2"}
    prose = [
        made["main"],
        *made["others"],
        *made["own"],
        *made["intervals"],
        made["totals"],
        made["absolute"],
        *made["data"],
    ]
    found = {number for said in prose for number in re.findall(r"\d[\d.,]*\d|\d", unescape(str(said)))}
    assert found - counts - windows - shares - horizons - {"90"} == set()


# Odd records


def without(data: ContestData, **changes: Any) -> ContestResults:
    return with_data(replace(data, **changes))


ODD = {
    "without money": lambda: with_data(DONORS),
    "control alone": lambda: with_data(DEALT),
    "simulated alone": lambda: with_data(TOLD),
    "without panels": lambda: without(
        REAL,
        drift=None,
        **{key: [] for key in ("calibration", "circumstances", "totals", "total_coverage", "conformal", "difficulty")},
    ),
    "without duels": lambda: without(REAL, contests=[replace(section, duels=[]) for section in REAL.contests]),
    "one origin": lambda: without(
        REAL,
        contests=[
            replace(
                section,
                origins=section.origins[:1],
                league=[replace(row, by_origin=row.by_origin[:1], origins=1) for row in section.league],
            )
            for section in REAL.contests
        ],
    ),
    "unknown circumstances": lambda: without(REAL, circumstances=[replace(c, value=None) for c in REAL.circumstances]),
    "totals without drift": lambda: without(REAL, totals=[replace(check, drifting=None) for check in REAL.totals]),
    "markup as a name": lambda: without(REAL, title={"en": "<b>&", "zh": "<b>&"}, source="<script>"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ODD)
@pytest.mark.usefixtures("undrawn")
def test_odd_records_make_a_page(name: str, language: str) -> None:
    record = ODD[name]()
    page = render_page(source(record), language)
    reader = parsed(page)
    assert "contest_answer" in reader.ids
    assert "contest_method" in reader.ids
    assert "nan" not in words_of(page).lower().split()
    assert reader.tags.count("script") == 1
    assert "<b>" not in page


def test_a_record_without_money_and_without_drifting_totals_is_drawn() -> None:
    record = without(DONORS, totals=[replace(check, drifting=None) for check in DONORS.totals])
    for section in (contest_differences, contest_calibration, contest_totals):
        assert built(section, record)["data"]


@pytest.mark.usefixtures("undrawn")
def test_a_single_origin_makes_no_line() -> None:
    assert contest_origins(source(ODD["one origin"]()), voice_for(RECORD, "en")) is None


# The page of a study of purchases


def test_its_contest_pictures_order_distribution_and_coming_back_and_no_absolute_error() -> None:
    assert pictured(SCORES) == ["spend_gini", "spend_capture_20", "purchases_crps", "active_log_score"]
    assert pictured({"active_brier", "purchases_mae", "spend_gini"}) == ["spend_gini", "active_brier"]
    assert pictured({"purchases_mae"}) == []
