"""The page of a study of retention: the record's numbers, bad news first, a page of odd records too."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import Check
from clvmodels.foundation.retention_results import RetentionResults
from clvmodels.models import MODELS
from clvmodels.report import figures, render
from clvmodels.report.reading import read_results
from clvmodels.report.render import render_page, render_report
from clvmodels.report.retention_figures import observed_rates
from clvmodels.report.sections import RETENTION_SECTIONS
from clvmodels.report.sections.retention.back_test import back_test
from clvmodels.report.sections.retention.cohorts import cohorts, period_name
from clvmodels.report.sections.retention.donors import donors
from clvmodels.report.sections.retention.models import retention_models
from clvmodels.report.sections.retention.rates import rates
from clvmodels.report.sections.retention.residual_value import residual_value
from clvmodels.report.sections.retention.survival import survival
from clvmodels.report.sections.retention.what_if import what_if
from clvmodels.report.sections.retention.who_stays import who_stays
from clvmodels.report.sections.retention.wording import held_too_few
from clvmodels.report.voice import RetentionSource, voice_for
from clvmodels.report.words import read_words
from tests.retention_report_fixture import fixture_retention
from tests.test_report_page import parsed

LANGUAGES = ("en", "zh")
RECORD = fixture_retention()
NOTHING = Estimate(None, None, None, None, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder as the runner leaves it, with some of the files that it may hold."""
    folder = tmp_path_factory.mktemp("retention")
    (folder / "results.json").write_bytes(msgspec.json.encode(RECORD))
    (folder / "curves.csv").write_text("segment,age\n")
    (folder / "customers.csv").write_text("customer_id\n")  # of a study of purchases: no page on retention lists it
    (folder / "draws").mkdir()
    (folder / "draws" / "sbg High End.nc").write_bytes(b"")
    (folder / "manifest.json").write_text('{"steps": [{"name": "worth", "seconds": 3.25, "megabytes": 410.0}]}')
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {code: render_report(folder, language=code).read_text(encoding="utf-8") for code in LANGUAGES}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without drawings and fonts, for tests of words and tables."""
    monkeypatch.setattr(figures, "draw", lambda *_: ("", ""))
    monkeypatch.setattr(render, "_fonts", lambda _: "")


def built(
    section: Callable[[RetentionSource, Any], dict[str, Any] | None], record: RetentionResults, language: str = "en"
) -> dict[str, Any]:
    made = section(RetentionSource(record, None, [], ()), voice_for(record, language))
    assert made is not None
    return made


def words_of(page: str) -> str:
    """What a reader reads, without markup and between single blanks."""
    body = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))


def test_results_are_read_by_their_kind(folder: Path, tmp_path: Path) -> None:
    read = read_results(folder)
    assert isinstance(read, RetentionResults)
    assert read == RECORD
    (tmp_path / "results.json").write_text('{"kind": "weather"}')
    with pytest.raises(StudyError, match="kind 'weather'"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text('{"kind": "retention"}')
    with pytest.raises(StudyError, match="not the results of this version"):
        read_results(tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_all_sections_and_figures_with_their_tables(pages: dict[str, str], language: str) -> None:
    reader = parsed(pages[language])
    assert [key for key in reader.ids if key in {section.key for section in RETENTION_SECTIONS}] == [
        section.key for section in RETENTION_SECTIONS
    ]
    assert len(reader.ids) == len(set(reader.ids))
    found = re.findall(r"<figure.*?</figure>", pages[language], re.DOTALL)
    assert len(found) == 11
    for figure in found:
        assert len(re.findall(r'<svg viewBox="[^"]+" role="img" aria-label="[^"]{15,}">', figure)) == 2
        assert re.search(r"<figcaption>.{30,}</figcaption>", figure, re.DOTALL)
        assert "<table" in figure
        assert 'href="data:text/csv' in figure


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_that_is_not_there_is_linked(pages: dict[str, str], language: str) -> None:
    links = [a for _, a in parsed(pages[language]).addresses if not a.startswith(("#", "data:"))]
    other = {"en": "index.zh.html", "zh": "index.html"}[language]
    assert links == [other, "curves.csv", "results.json", "manifest.json", "draws/sbg%20High%20End.nc"]
    assert re.findall(r"url\((?!data:|#)|@import|https?://(?!www\.w3\.org)", pages[language]) == []
    assert "410" in words_of(pages[language])  # what the run cost


def test_the_chinese_page_has_no_english_but_names(pages: dict[str, str]) -> None:
    """Names are those of models, segments, parameters, sources and files."""
    body = re.sub(r'<ul class="references".*?</ul>|<a href="data:.*?</a>', "", pages["zh"], flags=re.DOTALL)
    names = ["High End", "Regular", "Kaplan-Meier", "sBG", "BdW", "BG/BB", "Gamma", "Beta", "English", "clvmodels"]
    terms = ["Pareto k", "stacking", "elpd", "MB", "alpha", "beta", "gamma", "delta", "theta"]
    sources = [r"dataset:\w+", r"[\w/ -]+\.(csv|json|nc)", "[a-d]{12}", "survivors", "retention"]
    named = "|".join(names + terms + sources)
    text = re.sub(named, "", words_of(body))
    svg = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", body))
    assert re.findall(r"[A-Za-z]{2,}", text) == []
    assert re.findall(r"[A-Za-z]{2,}", re.sub(named, "", svg)) == []


def test_pages_are_small_and_the_same_bytes_elsewhere(folder: Path, pages: dict[str, str]) -> None:
    """Another process, hash seed, time zone and locale."""
    assert max(len(page.encode()) for page in pages.values()) < 1_200_000
    code = (
        "import hashlib, sys; from clvmodels.report.render import render_report; "
        "print(hashlib.sha256(render_report(sys.argv[1], language='zh').read_bytes()).hexdigest())"
    )
    surroundings = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=surroundings, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == hashlib.sha256(pages["zh"].encode()).hexdigest()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_the_sections_name_is_in_the_catalogue(language: str) -> None:
    """Keys written out whole; those put together from parts are met by the pages that the other tests make."""
    package = Path(figures.__file__).parent
    code = "".join(path.read_text() for path in (package / "sections" / "retention").glob("*.py"))
    keys = set(re.findall(r'voice\.(?:say|text)\(\s*"([\w.]+)"', code))
    for section in RETENTION_SECTIONS:
        template = (package / "templates" / f"{section.key}.html.j2").read_text()
        keys |= set(re.findall(r'say\("([\w.]+)"', template))
    assert len(keys) > 60
    words = read_words(language)
    assert all(words.at(key) for key in keys)
    assert {name for name, model in MODELS.items() if model.family == "retention"} <= set(
        words.at("retention_models.about")
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_numbers_shown_are_those_of_the_record(pages: dict[str, str], language: str) -> None:
    text = words_of(pages[language])
    numbers = voice_for(RECORD, language).numbers
    whole = RECORD.worth[-1]
    assert whole.segment == ""
    expected = [
        numbers.compact(whole.equity.mean),
        numbers.compact(whole.equity.q05),
        numbers.interval(whole.lost, numbers.decimal),
        numbers.compact(whole.change.mean),
        numbers.share(RECORD.segments[0].observed[0].survival, 1),
        numbers.share(RECORD.segments[1].curve[-1].survival.mean, 1),
        numbers.share(1 - 369 / 1000, 1),
        numbers.cell(RECORD.values[3].value.mean),
        numbers.interval(RECORD.values[3].outcome, numbers.cell),
        numbers.decimal(RECORD.back_tests[0].points[-1].expected),
        numbers.decimal(RECORD.segments[0].rivals[2].difference, 1),
        "11,104",
        "1,203",
        "−33,225.60",
    ]
    for row in RECORD.worth:
        expected += [numbers.cell(row.equity.mean), numbers.interval(row.change, numbers.cell)]
    assert [number for number in expected if " ".join(number.split()) not in text] == []


@pytest.mark.usefixtures("undrawn")
def test_the_survival_table_joins_the_data_and_the_curve() -> None:
    figure = built(survival, RECORD)["figure"]
    rows = {(row[0], row[1]): row for row in figure.table.rows}
    assert rows["Regular", "7"][2:5] == ("262", "21", "24.1%")
    assert rows["High End", "0"][2] == "–"
    assert rows["High End", "20"][2:6] == ("–",) * 4
    assert len(rows) == 42
    assert "37.8% of High End are still there and 17.2% of Regular" in figure.caption


def test_rates_are_observed_where_losses_are_counted_at_whole_ages() -> None:
    observed = RECORD.segments[0].observed
    assert observed_rates(observed)[:2] == [(1.0, pytest.approx(0.631)), (2.0, pytest.approx(468 / 631))]
    assert observed_rates([replace(observed[0], age=0.4), *observed[1:]]) == []
    assert observed_rates([replace(observed[0], at_risk=0, lost=0)]) == []


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("model", "said"), [("sbg", "No customer has become more loyal"), ("bdw", "likelier to leave")]
)
def test_why_retention_rises_depends_on_what_the_model_lets_customers_do(model: str, said: str) -> None:
    record = replace(RECORD, study=replace(RECORD.study, model=model))
    why = " ".join(map(str, built(rates, record)["why"]))
    assert said in why
    assert ("c is 1.60" in why) is (model == "bdw")
    assert ("c is 0.980 (0.843 to 1.13), an interval with one in it" in why) is (model == "bdw")


@pytest.mark.usefixtures("undrawn")
def test_a_caption_names_the_ends_of_many_segments_alone() -> None:
    many = [replace(RECORD.segments[place % 2], name=f"S{place}") for place in range(6)]
    caption = built(rates, replace(RECORD, segments=many))["figure"].caption
    assert re.findall(r"S\d", caption) == ["S1", "S0"]


@pytest.mark.usefixtures("undrawn")
def test_a_rate_that_does_not_rise_is_not_said_to() -> None:
    flat = [
        replace(s, curve=[replace(p, rate=None if p.rate is None else replace(p.rate, mean=0.8)) for p in s.curve])
        for s in RECORD.segments
    ]
    made = built(rates, replace(RECORD, segments=flat))
    (why,) = made["why"]
    assert "does not rise" in why
    assert made["heading"] == "Retention by age"
    assert "who is left renews more often" in built(rates, RECORD)["heading"]
    assert "as few as 183 customers" in built(rates, RECORD)["figure"].caption


@pytest.mark.parametrize(
    ("held", "count", "few"), [(8, 8, False), (6, 8, False), (5, 8, True), (4, 5, False), (3, 5, True), (0, 0, False)]
)
def test_bands_have_failed_where_they_held_less_than_chance_leaves(held: int, count: int, few: bool) -> None:
    assert held_too_few(held, count) is few


@pytest.mark.parametrize("language", LANGUAGES)
def test_bad_news_comes_first(language: str) -> None:
    """The fixture's High End forecast missed, its lifetimes have no mean, and BdW beats sBG there: three caveats."""
    whole = [str(text) for text in built(who_stays, RECORD, language)["caveats"]]
    assert len(whole) == 3
    assert "High End" in whole[0]
    assert "99.7%" in whole[1]
    assert "100%" in whole[1]
    assert "BdW" in whole[2]
    failed = replace(RECORD.fits[0], checks=[Check("pareto_k", 0.913, 0.7, passed=False)])
    assert RECORD.cohorts is not None
    worse = replace(
        RECORD,
        fits=[failed, *RECORD.fits[1:]],
        cohorts=replace(RECORD.cohorts, held=30),
        notes=[LedgerLine("<em>seen</em>", 3, 0.0)],
    )
    section = built(who_stays, worse, language)
    first, more = str(section["failed"][0]), [str(text) for text in section["caveats"]]
    assert "0.913" in first
    assert "Regular" in first
    assert more[:3] == whole
    assert "30" in more[3]
    assert "&lt;em&gt;seen&lt;/em&gt;" in more[4]
    page = render_page(RetentionSource(worse, None, [], ()), language)
    assert page.index('<aside class="caveats failed"') < page.index("0.913") < page.index('<p class="big">')


@pytest.mark.usefixtures("undrawn")
def test_a_study_without_bad_news_has_no_caveats() -> None:
    good = replace(
        RECORD,
        back_tests=[replace(test, held=test.ages) for test in RECORD.back_tests],
        values=[replace(row, infinite=0.0, lifetime=row.derl) for row in RECORD.values],
        segments=[replace(s, rivals=s.rivals[:1]) for s in RECORD.segments],
    )
    assert built(who_stays, good)["caveats"] == []
    assert built(who_stays, good)["failed"] == []
    assert 'class="caveats' not in render_page(RetentionSource(good, None, [], ()), "en")


@pytest.mark.usefixtures("undrawn")
def test_forecasts_that_missed_are_called_so_and_the_least_error_is_marked() -> None:
    made = built(back_test, RECORD)
    missed = [("missed" in text) for text in map(str, made["sentences"])]
    assert missed == [held_too_few(t.held, t.ages) for t in RECORD.back_tests if t.model == "sbg"]
    assert True in missed
    assert len(made["figure"].table.rows) == 2 * (8 + 5)
    outside = [
        not p.low <= p.actual <= p.high for t in RECORD.back_tests if t.model == "sbg" for p in t.points if not p.learnt
    ]
    assert made["figure"].table.marked == {place for place, out in enumerate(outside) if out}
    assert all(("<strong>" in row[1]) and ("<strong>" not in row[2]) for row in made["errors"].rows)
    assert [column.head for column in made["errors"].columns] == ["Forecast", "sBG", "geometric"]


@pytest.mark.usefixtures("undrawn")
def test_a_lifetime_without_a_mean_is_said_to_have_none() -> None:
    made = built(residual_value, RECORD)
    rows = made["figure"].table.rows
    assert "no finite mean" in rows[1][2]
    assert "for 100%; median" in rows[1][2]
    assert made["infinite"]
    finite = replace(RECORD, values=[replace(row, infinite=0.0, lifetime=row.derl) for row in RECORD.values])
    made = built(residual_value, finite)
    assert "no finite mean" not in "".join(map(str, made["figure"].table.rows))
    assert not made["infinite"]


@pytest.mark.usefixtures("undrawn")
def test_a_lifetime_that_most_often_has_no_mean_has_no_median_either() -> None:
    endless = Estimate(None, None, 1.0, None, None)
    changed = replace(RECORD, values=[replace(row, infinite=0.992, lifetime=endless) for row in RECORD.values])
    for language, says in (("en", "no finite meanfor 99.2%"), ("zh", "均值不是有限值占 99.2%")):
        rows = built(residual_value, changed, language)["figure"].table.rows
        assert re.sub("<[^>]*>", "", rows[1][2]) == says


@pytest.mark.usefixtures("undrawn")
def test_the_order_of_what_ifs_is_settled_by_their_intervals_alone() -> None:
    assert "the order is not settled" in built(what_if, RECORD)["figure"].caption
    narrow = [
        replace(row, relative=replace(row.relative, q05=row.relative.mean, q95=row.relative.mean))
        for row in RECORD.worth
    ]
    assert "their intervals do not meet" in built(what_if, replace(RECORD, worth=narrow))["figure"].caption
    assert "grows by" in built(what_if, replace(RECORD, worth=RECORD.worth[:1]))["figure"].caption


@pytest.mark.usefixtures("undrawn")
def test_donors_who_gave_often_and_fell_silent_are_compared_with_those_who_gave_seldom() -> None:
    made = built(donors, RECORD)
    assert "most, 3.7 from those who gave 6 times more, the last in year 6" in made["map"].caption
    assert "from those who never gave again" in made["map"].caption
    assert "Having given often is no promise" in made["map"].caption
    assert RECORD.donors is not None
    kept = replace(RECORD.donors, rows=[row for row in RECORD.donors.rows if row.recency == 6])
    assert "Having given often" not in built(donors, replace(RECORD, donors=kept))["map"].caption


@pytest.mark.usefixtures("undrawn")
def test_cohorts_are_judged_by_their_bands_and_by_carrying_on() -> None:
    good = " ".join(map(str, built(cohorts, RECORD)["verdict"]))
    assert "The forecast held" in good
    assert "would have been off by 11.2%" in good
    assert RECORD.cohorts is not None
    bad = replace(RECORD.cohorts, held=40, errors={"model": 0.2, "carried_on": 0.1})
    said = " ".join(map(str, built(cohorts, replace(RECORD, cohorts=bad))["verdict"]))
    assert "The forecast missed" in said
    assert "the simple rule is better here" in said
    assert len(built(cohorts, replace(RECORD, cohorts=replace(bad, errors={})))["verdict"]) == 1


@pytest.mark.parametrize(
    ("period", "name"),
    [("1997-02-01", "Feb 1997"), ("1997-02", "Feb 1997"), ("1997-02-08", "8 Feb 1997"), ("Q1", "Q1")],
)
def test_periods_are_named_as_a_reader_names_them(period: str, name: str) -> None:
    assert period_name(period, voice_for(RECORD, "en")) == name


def test_models_behind_the_best_by_more_than_two_standard_errors_are_settled_as_worse() -> None:
    made = built(retention_models, RECORD)
    assert "cannot tell it from BdW. Settled as worse: geometric" in made["verdicts"][0]
    assert "settled as worse: sBG and geometric" in made["verdicts"][1]
    assert made["compared"].marked == {2, 4, 5}
    assert [group["title"] for group in made["fits"]["own"]] == ["sBG, Regular", "sBG, High End"]
    assert len(made["fits"]["others"]) == 4
    doubtful = replace(
        RECORD.segments[0], rivals=[replace(RECORD.segments[0].rivals[0], unreliable=3), *RECORD.segments[0].rivals[1:]]
    )
    assert len(built(retention_models, replace(RECORD, segments=[doubtful]))["doubts"]) == 1


def without_extras() -> RetentionResults:
    return replace(RECORD, donors=None, cohorts=None)


def one_segment() -> RetentionResults:
    return replace(
        without_extras(),
        segments=RECORD.segments[:1],
        worth=RECORD.worth[:1],
        values=RECORD.values[:7],
        back_tests=RECORD.back_tests[:1],
        fits=RECORD.fits[:3],
        fit_segments=RECORD.fit_segments[:3],
    )


def hostile() -> RetentionResults:
    """A segment whose name is markup."""
    return msgspec.json.decode(
        msgspec.json.encode(without_extras()).replace(b'"Regular"', b'"<script>alert(1)</script> & co"'),
        type=RetentionResults,
    )


def pooled() -> RetentionResults:
    """One segment without a name, no data beyond the curve, no rivals, no ledger."""
    segment = replace(RECORD.segments[0], name="", rivals=[], curve=RECORD.segments[0].curve[:13])
    return replace(
        one_segment(),
        segments=[segment],
        worth=[replace(RECORD.worth[-1], segment="")],
        values=[replace(row, segment="") for row in RECORD.values[:1]],
        back_tests=[],
        fit_segments=[""] * 3,
        ledger=[],
    )


def nothing_held() -> RetentionResults:
    assert RECORD.cohorts is not None
    points = [replace(p, active=None, revenue=None) for p in RECORD.cohorts.points]
    return replace(
        RECORD,
        donors=None,
        back_tests=[replace(test, held=0) for test in RECORD.back_tests],
        cohorts=replace(RECORD.cohorts, held=0, points=points, errors={}, notes=["a note"]),
        worth=[replace(row, new_value=None) for row in RECORD.worth],
        study=replace(RECORD.study, margin=0.35, due=0.5, languages=["en"]),
    )


def bare() -> RetentionResults:
    return replace(
        without_extras(), segments=[], values=[], back_tests=[], fits=[], fit_segments=[], worth=RECORD.worth[-1:]
    )


def without_means() -> RetentionResults:
    """Every expectation infinite: medians and intervals speak."""
    rows = [replace(row, equity=replace(row.equity, mean=None), lost=NOTHING) for row in RECORD.worth]
    return replace(one_segment(), worth=rows)


def continuous() -> RetentionResults:
    """Many losses at ages that are not whole."""
    observed = RECORD.segments[0].observed
    many = [replace(observed[0], age=0.1 + 0.2 * place) for place in range(50)]
    return replace(one_segment(), segments=[replace(RECORD.segments[0], observed=many)])


@pytest.mark.parametrize("record", [pooled, nothing_held, without_means, continuous])
def test_odd_records_are_drawn(record: Callable[[], RetentionResults]) -> None:
    page = render_page(RetentionSource(record(), None, [], ()), "en")
    assert page.count("<svg") == 2 * page.count("<figure")
    assert not re.search(r"nan|None|inf\b", " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", page)))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "record", [without_extras, one_segment, hostile, pooled, nothing_held, bare, without_means, continuous]
)
def test_odd_records_make_a_page(record: Callable[[], RetentionResults], language: str) -> None:
    results = record()
    page = render_page(RetentionSource(results, None, [], ()), language)
    reader = parsed(page)
    assert reader.tags.count("script") == 1
    assert ("donors" in reader.ids) is (results.donors is not None)
    assert ("cohorts" in reader.ids) is (results.cohorts is not None)
    assert ("back_test" in reader.ids) is bool(results.back_tests)
    inner = {address[1:] for _, address in reader.addresses if address.startswith("#")}
    assert inner - set(reader.ids) == set()
    shown = words_of(page)
    assert "None" not in shown
    assert "nan" not in shown
    assert "&lt;" not in shown  # nothing is escaped twice
    assert "&amp;" not in shown


def test_a_name_that_is_markup_is_shown_as_it_is() -> None:
    page = render_page(RetentionSource(hostile(), None, [], ()), "en")
    assert "<script>alert(1)</script> & co: what is still" not in page
    assert "<script>alert(1)</script> & co: a new customer is worth" in words_of(page)
    assert "<script>alert(1)</script> & co from 62.7% to 94.6%" in words_of(page)
    assert 'aria-label="Survival by age for &lt;script&gt;alert(1)&lt;/script&gt; &amp; co and High End' in page
