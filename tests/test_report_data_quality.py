"""The page of data quality: it balances, explains all it was told, and is as safe and quiet as the report."""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clvmodels.cli import main
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import Alternative, Choice, StudyResults
from clvmodels.report import figures
from clvmodels.report.numbers import numbers_for
from clvmodels.report.render import page_names, render_page, render_report
from clvmodels.report.sections import DATA_QUALITY
from clvmodels.report.sections.accounts import COUNTED, balance, ledger_table
from clvmodels.report.sections.data import data
from clvmodels.report.sections.quality.alternatives import alternatives
from clvmodels.report.sections.quality.answer import answer
from clvmodels.report.sections.quality.bridge import bridge
from clvmodels.report.sections.quality.choices import choices
from clvmodels.report.sections.quality.findings import findings
from clvmodels.report.sections.quality.months import months, months_of
from clvmodels.report.sections.quality.questions import questions
from clvmodels.report.voice import Source, voice_for
from clvmodels.report.words import read_words
from tests import test_report_browser
from tests.report_fixture import HOSTILE_ID, fixture_results, retail_data, retail_results, without_figures
from tests.retention_report_fixture import fixture_retention
from tests.test_report_page import parsed
from tests.test_report_words import ASIDE, NOTED

LANGUAGES = ("en", "zh")
NAMES = {"en": ("index.html", "data.html"), "zh": ("index.zh.html", "data.zh.html")}

browser = test_report_browser.browser


def small_results(**changes: Any) -> StudyResults:
    """The retailer's results with a main page that is made at once, and other data if they are given."""
    results = replace(without_figures(retail_results()), history=retail_results().history)
    return replace(results, data=replace(results.data, **changes))


def source(results: StudyResults) -> Source:
    return Source(results, None, [], (), {"index": "index.html", "data": "data.html"})


def everything() -> StudyResults:
    """Every reason and every note that a log may have at all."""
    ledger = [
        LedgerLine("used", 100, 500.0),
        LedgerLine("refund_netted", 2, -7.5),
        *(LedgerLine(reason, 3, 30.0, ("x",)) for reason in ASIDE),
    ]
    return small_results(
        ledger=ledger,
        notes=[LedgerLine(note, 5, 50.0, ("y",)) for note in (*NOTED, "few_customers", "few_repeat_buyers")],
        rows_read=sum(line.rows for line in ledger),
        revenue=492.5,
        gross=sum(line.amount for line in ledger),
    )


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures without their drawing, for tests of words and tables."""
    monkeypatch.setattr(figures, "draw", lambda *_: ("", ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retail")
    (folder / "results.json").write_bytes(msgspec.json.encode(small_results()))
    for language in LANGUAGES:
        assert render_report(folder, language=language) == folder / NAMES[language][0]
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {language: (folder / NAMES[language][1]).read_text(encoding="utf-8") for language in LANGUAGES}


def plain(page: str) -> str:
    """What a reader sees of a page."""
    body = re.sub(r"<(style|script|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


# What stands beside what


def test_the_report_and_the_page_of_data_quality_lead_to_each_other_in_each_language(folder: Path) -> None:
    assert {path.name for path in folder.glob("*.html")} == {name for pair in NAMES.values() for name in pair}
    for language, (report, quality) in NAMES.items():
        other = NAMES["zh" if language == "en" else "en"]
        links = {
            name: {address for _, address in parsed((folder / name).read_text()).addresses}
            for name in (report, quality)
        }
        assert {quality, other[0]} <= links[report]
        assert {report, other[1]} <= links[quality]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_reaches_for_nothing_but_the_pages_beside_it(pages: dict[str, str], language: str) -> None:
    reader = parsed(pages[language])
    beside = re.compile(r"(#|data:|(index|data)(\.zh)?\.html$)")
    assert [address for _, address in reader.addresses if not beside.match(address)] == []
    assert re.findall(r"url\((?!data:|#)|@import|https?://(?!www\.w3\.org)", pages[language]) == []
    assert "default-src 'none'" in pages[language]
    assert len(reader.ids) == len(set(reader.ids))
    assert {address[1:] for _, address in reader.addresses if address.startswith("#")} <= set(reader.ids)
    assert {section.key for section in DATA_QUALITY.sections} <= set(reader.ids)


def test_results_without_choices_have_neither_the_page_nor_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(without_figures(fixture_results())))
    page = render_report(tmp_path)
    assert [path.name for path in tmp_path.glob("*.html")] == ["index.html"]
    assert "data.html" not in page.read_text(encoding="utf-8")
    assert page_names(fixture_results(), "zh") == page_names(fixture_retention(), "zh") == ["index.zh.html"]


def test_results_of_before_there_were_choices_are_read_and_balance(tmp_path: Path) -> None:
    old = msgspec.to_builtins(without_figures(fixture_results()))
    for name in ("gross", "choices", "alternatives"):
        del old["data"][name]
    old["data"]["notes"] = [msgspec.to_builtins(LedgerLine("repeated_line", 11, 41.0))]
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(old))
    said = plain(render_report(tmp_path).read_text(encoding="utf-8"))
    assert "69,659 rows = 69,579 used + 80 set aside" in said
    assert "Exact repeats of another row 11 $41.00" in said


def test_a_study_made_again_leaves_no_page_of_what_it_no_longer_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("index.fr.html", "data.fr.html", "data.zh.html", "database.html"):
        (tmp_path / name).write_text("old")
    results = small_results()
    results = replace(results, study=replace(results.study, languages=["en"]), history=[])
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(results))
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / name) for name in NAMES["en"]]
    assert {path.name for path in tmp_path.glob("*.html")} == {*NAMES["en"], "database.html"}
    without = replace(results, data=replace(results.data, choices=[], alternatives=[]))
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(without))
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "index.html")]
    assert {path.name for path in tmp_path.glob("*.html")} == {"index.html", "database.html"}


def test_reports_of_other_names_in_one_folder_keep_their_pages_apart(tmp_path: Path) -> None:
    results = replace(small_results(), history=[])
    for name in ("one & two.html", "three.html"):
        render_report(results, output=tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {
        "one & two.html", "one & two-data.html", "three.html", "three-data.html",
    }  # fmt: skip
    assert 'href="one%20%26%20two-data.html"' in (tmp_path / "one & two.html").read_text(encoding="utf-8")
    assert 'href="one%20%26%20two.html"' in (tmp_path / "one & two-data.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_results_give_the_same_bytes(pages: dict[str, str], language: str) -> None:
    names = dict(zip(("index", "data"), NAMES[language], strict=True))
    again = replace(source(small_results()), pages=names)
    said = re.sub(r'\n?<meta name="clvmodels-[^>]*>', "", pages[language])  # where it comes from: written with the file
    assert render_page(again, language, layout=DATA_QUALITY) == said


# What it says


def test_the_fixture_balances_as_a_log_does() -> None:
    section = retail_data()
    assert sum(line.rows for line in section.ledger) == section.rows_read
    assert math.fsum(line.amount for line in section.ledger) == pytest.approx(section.gross, abs=1e-6)
    counted = math.fsum(line.amount for line in section.ledger if line.reason in COUNTED)
    assert counted == pytest.approx(section.revenue, abs=1e-6)


BALANCE = {
    "en": "541,909 rows = 387,524 used + 154,385 set aside ; "
    "in amounts, £9,747,747.93 = £8,339,012.56 + £1,408,735.37.",
    "zh": "541,909 行 = 使用 387,524 行 + 搁置 154,385 行 ；"
    "金额 9,747,747.93 英镑 = 8,339,012.56 英镑 + 1,408,735.37 英镑。",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_sentence_balances_on_both_pages(folder: Path, language: str) -> None:
    for name in NAMES[language]:
        assert BALANCE[language] in plain((folder / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_ledger_s_last_row_is_the_sum_of_the_others_and_what_was_read(language: str) -> None:
    results = everything() if language == "zh" else small_results()
    table = ledger_table(results.data, 3, voice_for(results, language))
    numbers = [[float(re.sub(r"[£%,<]", "", cell).replace("−", "-")) for cell in row[1:5]] for row in table.rows]
    rows, share, amount, amount_share = (math.fsum(column) for column in zip(*numbers, strict=True))
    total = [float(re.sub(r"[£%,]", "", cell)) for cell in table.foot[1:5]]
    assert total[0] == rows
    assert total[2] == pytest.approx(amount, abs=1e-6)
    assert total[1] == total[3] == 100.0
    assert (share, amount_share) == pytest.approx((100.0, 100.0), abs=0.1 * len(table.rows))
    assert (total[0], total[2]) == (results.data.rows_read, results.data.gross)


def test_every_ledger_line_has_its_shares_and_its_first_examples() -> None:
    results = small_results()
    rows = {row[0]: row for row in ledger_table(results.data, 1, voice_for(results, "en")).rows}
    assert rows["Without a customer"][1:5] == ("135,080", "24.9%", "£1,447,682.12", "14.9%")
    assert rows["Refunds without a purchase to undo"][1:5] == ("4,882", "0.9%", "−£74,087.48", "−0.8%")
    assert rows["With an amount of zero"][1:5] == ("33", "<0.1%", "£0.00", "0%")
    assert rows["With an amount of zero"][5] == '<span class="sample">12647 2010-12-05 0.00</span>'


@pytest.mark.parametrize("language", LANGUAGES)
def test_examples_are_text_and_never_markup(folder: Path, language: str) -> None:
    for name in NAMES[language]:
        page = (folder / name).read_text(encoding="utf-8")
        assert HOSTILE_ID not in page
        assert "&lt;script&gt;alert(" in page
        assert parsed(page).tags.count("script") == 1
    assert "&lt;b&gt;" in page  # a value of the study file, on the page of data quality
    assert "=cmd" not in "".join(re.findall(r'href="data:text/csv[^"]*"', page))


def test_the_answer_says_how_much_counts_what_was_set_aside_and_how_far_choices_move_the_totals() -> None:
    results = small_results()
    said = [re.sub(r"</?strong>", "", text) for text in answer(source(results), voice_for(results, "en"))["sentences"]]
    counts, largest, sensitivity = said
    assert counts == (
        "387,524 of 541,909 rows count (71.5%). They come to £8,339,013, which is 85.5% of the amount of all rows."
    )
    assert largest == "The largest thing set aside is “Without a customer”: 135,080 rows (24.9%) with £1,447,682."
    assert sensitivity == (
        "With another word for one of the choices of what counts, revenue would change by −4.7% to +4.8%, purchases by "
        "−3.0% to +15% and customers by −2.2% to +0.88%. The choice that moves revenue most: Refunds."
    )


def test_a_log_of_which_all_counts_is_said_to_be_one(undrawn: None) -> None:
    used = LedgerLine("used", 10, 100.0)
    results = small_results(ledger=[used], notes=[], rows_read=10, revenue=100.0, gross=100.0, alternatives=[])
    voice = voice_for(results, "en")
    assert [str(text) for text in answer(source(results), voice)["sentences"]][1:] == ["Nothing was set aside."]
    assert bridge(source(results), voice)["figure"] is None
    assert findings(source(results), voice) == {"aside": [], "noted": []}
    assert alternatives(source(results), voice) is None
    assert "10 rows = 10 used + 0 set aside" in balance(results.data, voice)


def test_amounts_that_come_to_no_more_than_zero_have_no_shares(undrawn: None) -> None:
    lines = [LedgerLine("used", 2, 5.0), LedgerLine("refund_unmatched", 3, -20.0)]
    results = small_results(ledger=lines, rows_read=5, revenue=5.0, gross=-15.0)
    voice = voice_for(results, "en")
    assert [row[4] for row in ledger_table(results.data, 3, voice).rows] == ["–", "–"]
    assert str(answer(source(results), voice)["sentences"][0]).endswith("They come to $5.00.".replace("$", "£"))
    assert "%" not in bridge(source(results), voice)["figure"].caption


def test_the_bridge_goes_from_all_rows_to_the_revenue_by_the_amount_of_each_reason(undrawn: None) -> None:
    results = small_results()
    figure = bridge(source(results), voice_for(results, "en"))["figure"]
    assert figure.table.rows[0] == ("All rows", "–", "£9,747,747.93")
    assert figure.table.rows[1] == ("Without a customer", "−£1,447,682.12", "£8,300,065.81")
    assert figure.table.rows[-2] == ("Refunds without a purchase to undo", "£74,087.48", "£8,339,012.56")
    assert figure.table.rows[-1] == ("Revenue used", "–", "£8,339,012.56")
    assert str(figure.caption).endswith("without its rows, revenue is higher.")
    down = small_results(ledger=[line for line in results.data.ledger if line.amount >= 0])
    assert "with a plus" not in bridge(source(down), voice_for(down, "en"))["figure"].caption


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_note_is_named_explained_and_counted(language: str) -> None:
    results = everything()
    found = findings(source(results), voice_for(results, language))
    assert len(found["aside"]) == 1 + len(ASIDE)
    assert len(found["noted"]) == 2 + len(NOTED)
    for entry in (*found["aside"], *found["noted"]):
        assert all(entry[field] for field in ("name", "meaning", "done", "ask", "numbers"))
        assert "_" not in entry["name"]
    assert all("y" in entry["examples"] for entry in found["noted"])


def test_a_reason_that_the_catalogue_does_not_know_shows_its_key_and_its_numbers(undrawn: None) -> None:
    ledger = [*retail_data().ledger, LedgerLine("of_tomorrow", 4, 4.0)]
    results = small_results(ledger=ledger, choices=[Choice("a_new_one", "<i>", 4, 4.0)])
    page = render_page(source(replace(results, history=[])), "en", layout=DATA_QUALITY)
    assert "of_tomorrow" in page
    assert "a_new_one: <code>&lt;i&gt;</code>" in page


def test_notes_of_customers_have_no_amount_where_none_is_told() -> None:
    results = small_results()
    voice = voice_for(results, "en")
    said = {entry["name"]: str(entry["numbers"]) for entry in findings(source(results), voice)["noted"]}
    assert said["Customers whose first row is a refund"] == "Customers: 178"
    assert said["Days with several orders of one customer"] == "Days: 1,335. Amount: £1,820,217.43."
    assert said["One very large row"] == "Rows: 1 (&lt;0.1%). Amount: £38,970.00 (0.4%)."


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_has_an_answer_whatever_was_found(language: str) -> None:
    for results in (small_results(), everything(), small_results(ledger=retail_data().ledger[:1], notes=[])):
        found = questions(source(results), voice_for(results, language))["questions"]
        assert len(found) == 7
        assert all(question and answers and all(answers) for question, answers in found)


def test_where_refunds_went_follows_from_the_ledger() -> None:
    def said(**changes: Any) -> list[str]:
        results = small_results(**changes)
        found = dict(questions(source(results), voice_for(results, "en"))["questions"])
        return [str(text) for text in found["Where did the refunds go?"]]

    matched, unmatched = said()
    assert matched.startswith("7,248 rows are refunds and the purchases that they undo.")
    assert unmatched.endswith("revenue is £74,087 above what it would be less these refunds.")
    used = retail_data().ledger[:1]
    assert said(ledger=[*used, LedgerLine("refund_netted", 9, -3.0)])[0].startswith("9 refunds (−\u2060£3.00) were")
    assert said(ledger=used)[0].startswith("The log has none")
    assert said(ledger=used, choices=[Choice("refunds", "keep", 4, -9.0)])[0].startswith("They count as amounts")


def test_each_choice_is_said_in_words_with_the_rows_that_it_concerned() -> None:
    results = small_results()
    found = {entry["name"]: entry for entry in choices(source(results), voice_for(results, "en"))["choices"]}
    assert len(found) == len(results.data.choices)
    assert found["Refunds"]["word"] == "match"
    assert found["Refunds"]["meaning"] == read_words("en").at("quality.options.refunds.words.match")
    assert str(found["Refunds"]["numbers"]) == "Rows concerned: 12,130. Their amount: −\u2060£74,087.48."
    assert str(found["Last day"]["meaning"]).startswith("The log is taken to be complete up to 9 December 2011;")
    assert str(found["No purchases"]["meaning"]).endswith("stock_code: POST, M, BANK CHARGES, &lt;b&gt;.")
    assert str(found["Other currencies"]["numbers"]) == "Concerned no row of this log."


def test_a_day_that_is_none_stands_as_the_study_has_it() -> None:
    results = small_results(choices=[Choice("first_day", "soon", 0, 0.0)])
    assert "from soon on" in choices(source(results), voice_for(results, "en"))["choices"][0]["meaning"]


def test_alternatives_differ_from_the_chosen_word_by_what_their_totals_say(undrawn: None) -> None:
    results = small_results()
    found = alternatives(source(results), voice_for(results, "en"))
    assert found is not None
    tables = dict(found["tables"])
    assert list(tables) == [
        "Refunds", "Amounts of zero", "Rows without a customer", "Exact repeats", "Customers who begin with a refund",
    ]  # fmt: skip
    assert tables["Refunds"].marked == {1}
    assert "chosen" in tables["Refunds"].rows[1][0]
    assert [re.sub(r"<.*?>", " ", cell) for cell in tables["Refunds"].rows[2]] == [
        "drop", "£8,736,676 +4.8% ", "16,678 +0.52% ", "4,334 +0.23% ",
    ]  # fmt: skip
    assert tables["Rows without a customer"].rows[0] == ("refuse", "refused", "–", "–")
    assert str(found["quiet"]) == "No word of these choices changes a total of this log: Other currencies."
    assert [row[0] for row in found["figure"].table.rows] == [
        "Refunds: drop",
        "Customers who begin with a refund: drop",
        "Refunds: keep",
        "Refunds: net",
        "Exact repeats: keep",
        "Amounts of zero: keep",
    ]


def test_words_that_refuse_the_log_or_change_nothing_need_no_figure(undrawn: None) -> None:
    chosen = Alternative("missing_ids", "drop", True, 9, 8, 3, 99.0)
    other = Alternative("missing_ids", "refuse", False, None, None, None, None)
    results = small_results(alternatives=[other, chosen])
    voice = voice_for(results, "en")
    found = alternatives(source(results), voice)
    assert found is not None
    assert (found["figure"], found["quiet"], len(found["tables"])) == (None, None, 1)
    assert "same totals, or refuses the log" in answer(source(results), voice)["sentences"][-1]


def test_months_that_the_log_has_a_part_of_are_marked(undrawn: None) -> None:
    results = small_results(first_date="2010-12-05")
    found = months(source(results), voice_for(results, "en"))
    assert found is not None
    assert [(month.start, month.covered, month.days) for month in months_of(results) if month.partial] == [
        ("2010-12-01", 27, 31),
        ("2011-12-01", 9, 31),
    ]
    assert found["figure"].table.marked == {0, 12}
    assert found["figure"].table.rows[12][:3] == ("Dec 2011", "9 of 31", "701")
    assert ["27 of the 31 days of Dec 2010" in found["ends"][0], "9 of the 31 days of Dec 2011" in found["ends"][1]]
    whole = small_results(last_date="2011-12-31")
    ends = months(source(whole), voice_for(whole, "en"))
    assert ends is not None
    assert [str(text) for text in ends["ends"]] == ["The log begins and ends with a whole month."]


def test_a_month_that_the_log_begins_and_ends_in_is_told_once(undrawn: None) -> None:
    results = small_results(first_date="2010-12-05", last_date="2010-12-09")
    found = months(source(replace(results, history=results.history[:1])), voice_for(results, "en"))
    assert found is not None
    assert len(found["ends"]) == 1
    assert "5 of the 31 days" in found["ends"][0]


def test_a_history_by_week_has_no_months() -> None:
    results = small_results()
    weekly = replace(results, history=[replace(results.history[0], start="2010-11-29")])
    assert months(source(weekly), voice_for(weekly, "en")) is None


def test_the_main_page_keeps_the_notes_where_no_other_page_has_them() -> None:
    results = small_results()
    voice = voice_for(results, "en")
    assert data(source(results), voice)["notes"] is None
    alone = data(replace(source(results), pages={}), voice)
    assert alone["quality"] is None
    assert [row[0] for row in alone["notes"].rows][:1] == ["Days with several orders of one customer"]


@pytest.mark.parametrize(
    ("value", "exact", "change"),
    [
        (0.0, "£0.00", "0%"),
        (-0.001, "£0.00", "−0.10%"),
        (1234.5, "£1,234.50", "+123,450%"),
        (-74087.48, "−£74,087.48", "−7,408,748%"),
        (1e-9, "£0.00", "0%"),
        (math.nan, "–", "–"),
        (None, "–", "–"),
    ],
)
def test_accounts_are_to_the_cent_and_changes_have_their_sign(value: float | None, exact: str, change: str) -> None:
    numbers = numbers_for(read_words("en").texts, "GBP")
    assert numbers.exact(value).replace("\u2060", "") == numbers.exact_cell(value) == exact
    assert numbers.change(value) == change


def test_an_axis_of_amounts_has_the_minus_before_the_currency() -> None:
    numbers = numbers_for(read_words("en").texts, "GBP")
    assert [numbers.axis_money(value) for value in (-2.5e6, -50.0, 0.0, 50.0)] == ["−£2.5m", "−£50", "£0", "£50"]


# How it reads


@pytest.mark.parametrize("language", LANGUAGES)
def test_headings_go_down_one_step_at_a_time_and_every_table_has_heads(pages: dict[str, str], language: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", pages[language])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for table in re.findall(r"<table.*?</table>", pages[language], re.DOTALL):
        assert 'scope="col"' in table
        body = table.split("<tbody>")[1]
        assert body.count("<tr") == body.count('scope="row"')


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_is_described_captioned_and_tabulated(pages: dict[str, str], language: str) -> None:
    found = re.findall(r"<figure.*?</figure>", pages[language], re.DOTALL)
    assert [re.search(r'id="figure-(\w+)"', figure)[1] for figure in found] == ["bridge", "alternatives", "months"]  # type: ignore[index]
    for figure in found:
        assert len(re.findall(r'<svg viewBox="[^"]+" role="img" aria-label="[^"]{20,}">', figure)) == 2
        assert re.search(r"<figcaption>.{30,}</figcaption>", figure, re.DOTALL)
        assert "<table" in figure
        assert 'href="data:text/csv' in figure


def test_the_chinese_page_has_no_english_sentence(pages: dict[str, str]) -> None:
    assert re.findall(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,} [a-z]{2,}\b", plain(pages["zh"])) == []


def test_both_languages_show_the_same_numbers(pages: dict[str, str]) -> None:
    for text in ("387,524", "154,385", "9,747,747.93", "24.9%", "−4.7%", "+15%", "1,335", "£8,736,676"):
        assert all(text in plain(pages[language]) for language in LANGUAGES), text


def test_the_page_is_small(pages: dict[str, str]) -> None:
    assert max(len(page.encode()) for page in pages.values()) < 400_000


@pytest.fixture
def opened(browser: Any, folder: Path) -> Iterator[Any]:
    """Opens a page of data quality, with what it asked for and what its console said."""
    shown = []

    def open_page(language: str, width: int, scheme: str = "light") -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        shown.append(page)
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto((folder / NAMES[language][1]).as_uri())
        return page

    yield open_page
    for page in shown:
        page.close()


@pytest.mark.browser
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [360, 390, 820, 1280])
def test_nothing_scrolls_sideways_is_fetched_or_complains(opened: Any, folder: Path, language: str, width: int) -> None:
    page = opened(language, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    fetched = [url for url in page.asked if not url.startswith("data:")]
    assert fetched == [(folder / NAMES[language][1]).as_uri()]
    assert page.said == []
    kind = "narrow" if width <= 640 else "wide"
    seen = page.locator("figure svg:visible").evaluate_all("found => found.map(s => s.parentElement.className)")
    assert seen == [kind] * 3


@pytest.mark.browser
def test_the_links_between_the_pages_work(opened: Any) -> None:
    page = opened("en", 1280)
    page.click("text=Back to the report")
    assert page.url.endswith("index.html")
    page.click(f"text={read_words('en').at('data.quality')}")
    assert page.url.endswith("data.html")
    page.click("text=中文")
    assert page.url.endswith("data.zh.html")


@pytest.mark.browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_the_figures_lie_inside_them(browser: Any, tmp_path: Path, language: str) -> None:
    """Names of reasons are long: none may be cut off at the side of the page."""
    page = tmp_path / "data.html"
    page.write_text(render_page(source(everything()), language, layout=DATA_QUALITY), encoding="utf-8")
    beyond = """() => [...document.querySelectorAll("figure svg text")].filter((text) => text.checkVisibility())
        .filter((text) => { const box = text.getBoundingClientRect();
            const all = text.ownerSVGElement.getBoundingClientRect();
            return box.left < all.left - 2 || box.right > all.right + 2 }).map((text) => text.textContent)"""
    for width in (360, 1280):
        shown = browser.new_page(viewport={"width": width, "height": 900})
        shown.goto(page.as_uri())
        assert shown.evaluate(beyond) == []
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.close()
