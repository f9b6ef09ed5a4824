"""The page: self-contained, reproducible, honest about failures, safe with hostile text."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import Check, Cut, Duel, PriorRow, Score, StudyResults
from clvmodels.report import figures
from clvmodels.report.reading import read_results
from clvmodels.report.render import render_page, render_report, write_atomically
from clvmodels.report.sections import SECTIONS
from clvmodels.report.sections.contest import contest
from clvmodels.report.sections.customers.winning import winning
from clvmodels.report.sections.headline import headline, orders
from clvmodels.report.sections.models import models
from clvmodels.report.sections.predictive import predictive
from clvmodels.report.voice import Source, voice_for
from tests.report_fixture import HOSTILE_ID, fixture_results, without_figures, write_fixture_customers

LANGUAGES = ("en", "zh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder as the runner leaves it."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "results.json").write_bytes(msgspec.json.encode(fixture_results()))
    (folder / "comparison.csv").write_text("method,score\n")
    (folder / "manifest.json").write_text('{"steps": [{"name": "fit_all", "seconds": 3.25, "megabytes": 410.0}]}')
    write_fixture_customers(folder)
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {code: render_report(folder, language=code).read_text(encoding="utf-8") for code in LANGUAGES}


def plain_results() -> StudyResults:
    """The fixture without what figures are drawn from, for tests of words alone."""
    return without_figures(fixture_results())


def source(results: StudyResults) -> Source:
    return Source(results, None, [], frozenset())


def caveats(page: str) -> str:
    found = re.search(r'<aside class="caveats".*?</aside>', page, re.DOTALL)
    return found.group() if found else ""


class Reader(HTMLParser):
    """Collects ids, addresses, landmarks and tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append("data" if tag == "script" and named.get("type") == "application/json" else tag)
        if named.get("id"):
            self.ids.append(str(named["id"]))
        for name in ("href", "src", "xlink:href", "action", "srcset"):
            if named.get(name) is not None:
                self.addresses.append((tag, str(named[name])))
        if tag == "svg":
            self.images.append(named)


def parsed(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_reaches_for_nothing_but_files_beside_it(pages: dict[str, str], language: str) -> None:
    beside = re.compile(r"(#|data:|index(\.\w+)?\.html$|[a-z]+\.(csv|parquet|json)$)")
    assert [address for _, address in parsed(pages[language]).addresses if not beside.match(address)] == []
    assert re.findall(r"url\((?!data:|#)|@import|https?://(?!www\.w3\.org)", pages[language]) == []
    assert "default-src 'none'" in pages[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_ids_are_unique_and_inner_links_lead_somewhere(pages: dict[str, str], language: str) -> None:
    reader = parsed(pages[language])
    assert len(reader.ids) == len(set(reader.ids))
    inner = {address[1:] for _, address in reader.addresses if address.startswith("#")}
    assert inner - set(reader.ids) == set()
    assert {section.key for section in SECTIONS} <= set(reader.ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_is_described_captioned_and_tabulated_at_two_widths(pages: dict[str, str], language: str) -> None:
    found = re.findall(r"<figure.*?</figure>", pages[language], re.DOTALL)
    assert len(found) == 30
    for figure in found:
        assert len(re.findall(r'<svg viewBox="[^"]+" role="img" aria-label="[^"]{20,}">', figure)) == 2
        assert re.search(r"<figcaption>.{30,}</figcaption>", figure, re.DOTALL)
        assert "<table" in figure
        assert 'href="data:text/csv' in figure


@pytest.mark.parametrize("language", LANGUAGES)
def test_customer_ids_are_text_and_never_markup(pages: dict[str, str], language: str) -> None:
    assert HOSTILE_ID not in pages[language]
    assert "&lt;script&gt;alert(" in pages[language]
    assert parsed(pages[language]).tags.count("script") == 1
    assert "O&#39;Neil &amp; &#34;sons&#34;" in pages[language]


def test_the_script_runs_by_its_digest_alone(pages: dict[str, str]) -> None:
    script = re.search(r"<script>(.*?)</script>", pages["en"], re.DOTALL)
    assert script is not None
    digest = hashlib.sha256(script[1].encode()).digest()
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}'" in pages["en"]


def test_both_languages_show_the_same_counts_and_link_to_each_other(pages: dict[str, str]) -> None:
    for text in ("23,570", "21,643", "18,952", "0.682", "−0.0410"):
        assert all(text in pages[code] for code in LANGUAGES), text
    for code, tag, other in (("en", "en", "index.zh.html"), ("zh", "zh-Hans", "index.html")):
        assert f'<html lang="{tag}">' in pages[code]
        assert f'href="{other}"' in pages[code]


def test_the_chinese_page_has_no_english_sentence(pages: dict[str, str]) -> None:
    body = re.sub(r"<(style|script)>.*?</\1>", "", pages["zh"], flags=re.DOTALL)
    body = re.sub(r'<ul class="references".*?</ul>', "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]*>", "\n", body)
    assert re.findall(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,} [a-z]{2,}\b", body) == []


def test_pages_are_small_enough_to_mail(pages: dict[str, str]) -> None:
    assert max(len(page.encode()) for page in pages.values()) < 2_000_000


def test_the_same_results_give_the_same_bytes_elsewhere(folder: Path, pages: dict[str, str]) -> None:
    """Another process, hash seed, time zone and locale."""
    code = (
        "import hashlib, sys; from clvmodels.report.render import render_report; "
        "print(hashlib.sha256(render_report(sys.argv[1], language='zh').read_bytes()).hexdigest())"
    )
    surroundings = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == hashlib.sha256(pages["zh"].encode()).hexdigest()


def test_costs_stand_in_a_block_of_their_own(folder: Path, pages: dict[str, str], tmp_path: Path) -> None:
    block = re.compile(r"<!-- costs -->.*?<!-- /costs -->", re.DOTALL)
    assert "3.2" in block.findall(pages["en"])[0]
    said = []
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_bytes(msgspec.json.encode(plain_results()))
        files = ("customers.parquet", "comparison.csv", *(["manifest.json"] if name == "with" else []))
        for file in files:
            (tmp_path / name / file).write_bytes((folder / file).read_bytes())
        said.append(render_report(tmp_path / name, language="en").read_text(encoding="utf-8"))
    assert said[0] != said[1]
    assert font_free(block.sub("", said[0])) == font_free(block.sub("", said[1]))


def font_free(page: str) -> str:
    """The page without its fonts, which hold the letters of the costs."""
    return re.sub(r"@font-face\{.*?\}", "", page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failed_check_stands_on_the_first_screen_and_in_a_table_of_its_own(language: str) -> None:
    results = fixture_results()
    whole = headline(source(results), voice_for(results, language))
    broken = replace(results.models.fits[2], checks=[Check("pareto_k", 0.913, 0.7, passed=False)])
    changed = replace(results, models=replace(results.models, fits=[*results.models.fits[:2], broken]))
    voice = voice_for(changed, language)
    shown = headline(source(changed), voice)
    assert whole["failed"] == []
    assert shown["caveats"] == whole["caveats"]
    assert len(shown["failed"]) == 1
    assert "0.913" in shown["failed"][0]
    page = render_page(source(changed), language)
    assert page.index('<aside class="caveats failed"') < page.index("0.913") < page.index('<p class="big">')
    assert "caveats failed" not in render_page(source(results), language)
    section = models(source(changed), voice)
    assert "0.913" in section["failed"].rows[0]
    assert section["failed"].marked == {0}
    assert len(section["passed"].rows) == sum(len(fit.checks) for fit in results.models.fits[:2])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failed_check_that_the_study_allows_is_shown_first_as_allowed(language: str) -> None:
    results = fixture_results()
    failed = Check("infinite_mean", 0.071, 0.01, passed=False)
    said = {}
    for allowed in ([], ["infinite_mean"]):
        fits = [replace(results.models.fits[0], checks=[failed], allowed=allowed), *results.models.fits[1:]]
        changed = replace(results, models=replace(results.models, fits=fits))
        voice = voice_for(changed, language)
        first = str(headline(source(changed), voice)["failed"][0])
        result = models(source(changed), voice)["failed"].rows[0][-1]
        assert "0.0710" in first
        said[bool(allowed)] = (first, result)
    outcomes = ("failed", "failed_allowed")
    assert [said[allowed][1] for allowed in (False, True)] == [
        voice_for(results, language).text(f"models.{key}") for key in outcomes
    ]
    assert said[True][0] != said[False][0]
    assert ("allows it" in said[True][0]) is (language == "en")


def replicated(**changes: tuple[float, float, float, float]) -> StudyResults:
    """The fixture with all quantities met but those given: observed, median, low, high by quantity_group."""
    results = fixture_results()
    tables = []
    for table in results.predictive:
        rows = []
        for row in table.rows:
            found = changes.get(f"{row.quantity}_{row.group}".replace("-", "_").replace("+", ""))
            observed, median, low, high = found or (100.0, 100.0, 90.0, 110.0)
            rows.append(replace(row, observed=observed, median=median, low=low, high=high, p_value=0.5))
        tables.append(replace(table, rows=rows))
    return replace(results, predictive=tables)


def test_the_largest_misses_of_a_model_are_told_with_their_numbers_and_what_they_mean() -> None:
    results = fixture_results()
    purchases, spend = predictive(source(results), voice_for(results, "en"))["tables"]
    assert "7 of 16 quantities lie outside their 90% interval" in purchases["verdict"]
    told = [re.sub(r"</?strong>", "", miss) for miss in purchases["misses"]]
    assert told[0].startswith("Repeat purchases of the busiest customer: 170 in the data, 75 in the model’s data sets")
    assert told[0].endswith("(55 to 95). The data are 127% above the model.")
    assert [text.split(" in the data")[0] for text in told[1:]] == [
        "Customers with 4 repeat purchases: 991",
        "Repeat buyers with their last purchase in fifth 2 of their time: 12.9%",
    ]
    assert told[2].endswith("(14.2% to 16.0%). The data are 15% below the model.")
    assert str(purchases["more"]) == "Others outside their interval, marked in the table: 4."
    assert len(purchases["figure"].table.marked) == 7
    said = " ".join(map(str, purchases["meanings"]))
    assert said.startswith("The busiest customer bought more often than the model makes plausible.")
    assert "went quiet early" in said
    assert "never came back" not in said  # missed by 2 %
    assert any("Spend a purchase rises with the number of purchases" in text for text in spend["meanings"])


@pytest.mark.parametrize(
    ("changes", "verdict", "meaning"),
    [
        ({}, "All 16 quantities lie inside", ""),
        ({"silence_all": (120, 100, 90, 110)}, "no more than chance alone may put there", "bought less of late"),
        ({"silence_all": (80, 100, 90, 110)}, "no more than chance alone may put there", "bought more of late"),
        (
            {"customers_0": (102, 100, 99, 101), "customers_7": (98.5, 100, 99, 101)},
            "Chance alone would put about 10% of them there",
            "None is off by more than 2.0%",
        ),
        (
            {"customers_0": (88, 100, 99, 101), "customers_7": (98.5, 100, 99, 101)},
            "Chance alone",
            "Fewer customers stayed away after their first purchase",
        ),
    ],
)
def test_what_is_said_of_replications_follows_from_their_numbers(
    monkeypatch: pytest.MonkeyPatch, changes: Any, verdict: str, meaning: str
) -> None:
    monkeypatch.setattr(figures, "draw", lambda *_: ("", ""))
    results = replicated(**changes)
    purchases, spend = predictive(source(results), voice_for(results, "en"))["tables"]
    assert verdict in purchases["verdict"]
    assert any(meaning in text for text in purchases["meanings"]) if meaning else purchases["meanings"] == []
    assert "All 20 quantities lie inside" in spend["verdict"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_quantities_without_an_interval_or_a_middle_still_have_a_row_and_a_figure(language: str) -> None:
    results = fixture_results()
    rows = [replace(row, median=None, low=None, high=None, p_value=None) for row in results.predictive[0].rows]
    rows[3] = replace(results.predictive[0].rows[3], observed=2.0, median=0.0, low=0.0, high=1.0)
    changed = replace(results, predictive=[replace(results.predictive[0], rows=rows)])
    (table,) = predictive(source(changed), voice_for(changed, language))["tables"]
    assert table["figure"].table.marked == {3}
    assert len(table["figure"].table.rows) == 16
    assert "None" not in "".join(str(value) for row in table["figure"].table.rows for value in row)


def test_a_parameter_that_its_prior_decides_is_named() -> None:
    results = fixture_results()
    rows = results.models.sensitivity
    told = [
        replace(rows[1], prior=0.31, likelihood=0.02, diagnosis="prior_dominates"),
        replace(rows[5], prior=0.09, diagnosis="prior_data_conflict"),
    ]
    changed = replace(results, models=replace(results.models, sensitivity=[rows[0], *told]))
    section = models(source(changed), voice_for(changed, "en"))["sensitivity"]
    assert [str(text).split(" is ")[0].split(" moves")[0] for text in section["found"]] == [
        "<strong>alpha</strong> of BG/NBD (purchases)",
        "<strong>q</strong> of Gamma-Gamma (spend)",
    ]
    assert section["table"].marked == {1, 2}
    quiet = models(source(results), voice_for(results, "en"))["sensitivity"]
    assert [str(text) for text in quiet["found"]] == ["The data decide: no parameter moves with its prior."]


def with_effects() -> StudyResults:
    """Fits of purchases by a covariate of words and by groups, whose priors decide all of that."""
    results = plain_results()
    pattern = results.models.fits[0].parameters[0]
    names = ["gamma_alpha[tier[R&D]]", "alpha_by_shop[Lyon]", "alpha_group_sd"]
    priors = {
        "alpha": PriorRow("log_normal", 12.0, 1.25),
        "gamma_alpha": PriorRow("normal", 0.25, 0.75),
        "alpha_group_sd": PriorRow("half_normal", 0.0, 0.35),
    }
    fits = [
        replace(
            fit,
            parameters=[*fit.parameters, *(replace(pattern, name=name) for name in names)],
            priors={**fit.priors, **priors},
            references={"tier": "plain" if fit.window == "decision" else "gold"},
        )
        if fit.model == "bg_nbd" and fit.method == "laplace"
        else fit
        for fit in results.models.fits
    ]
    row = replace(results.models.sensitivity[0], prior=0.31, likelihood=0.02, diagnosis="prior_dominates")
    told = [replace(row, parameter=name) for name in names]
    return replace(results, models=replace(results.models, fits=fits, sensitivity=told))


@pytest.mark.parametrize(
    ("language", "coefficient", "spread"),
    [
        ("en", "rate of purchases, tier: R&amp;D instead of plain", "spread of alpha between groups"),
        ("zh", "购买频率，tier：R&amp;D，与 plain 相比", "alpha 的组间差异"),
    ],
)
def test_what_a_prior_decides_is_named_in_the_words_of_the_parameter_tables(
    language: str, coefficient: str, spread: str
) -> None:
    results = with_effects()
    section = models(source(results), voice_for(results, language))["sensitivity"]
    for said, named, row in zip(section["found"], (coefficient, spread), section["table"].rows, strict=True):
        assert f"<strong>{named}</strong>" in said
        assert row[0].endswith(named)
    page = render_page(source(results), language)
    assert page.count(coefficient) == 2
    assert "&amp;amp;" not in page
    assert "gamma_" not in page
    assert "_group_sd" not in page


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("1.00 (log sd 1.50)", "12.0 (log sd 1.25)", "0.250 (sd 0.750)", "half-normal, sd 0.350")),
        ("zh", ("1.00（对数标准差 1.50）", "12.0（对数标准差 1.25）", "0.250（标准差 0.750）", "半正态，标准差 0.350")),
    ],
)
def test_the_priors_of_parameters_coefficients_and_spread_are_shown_by_kind(
    language: str, said: tuple[str, ...]
) -> None:
    results = with_effects()
    read = msgspec.json.decode(msgspec.json.encode(results), type=StudyResults)
    assert read.models.fits[0].priors["r"] == (1.0, 1.5)  # as files written before had it
    assert read.models.fits[0].priors["gamma_alpha"] == PriorRow("normal", 0.25, 0.75)
    group = models(source(read), voice_for(read, language))["groups"][0]
    shown = {row[0]: row[-1] for row in group["table"].rows}
    (coefficient,) = group["coefficients"].rows
    (pooled,) = group["pooled"]
    assert (shown["r"], shown["alpha"], coefficient[-1], pooled.rows[-1][-1]) == said


def test_customers_whose_leave_one_out_estimate_fails_are_counted() -> None:
    results = fixture_results()
    voice = voice_for(results, "en")
    assert "the worst Pareto k is 0.41, the limit 0.7" in models(source(results), voice)["criteria"]["found"][0]
    rows = [replace(results.models.criteria[0], worst_k=1.13, high_k_customers=17), results.models.criteria[1]]
    changed = replace(results, models=replace(results.models, criteria=rows))
    section = models(source(changed), voice)["criteria"]
    assert len(section["found"]) == 1
    assert "For 17 of the 23,570 customers of BG/NBD (purchases)" in section["found"][0]
    assert section["table"].marked == {0}


def test_results_of_an_older_study_without_replications_still_make_a_page() -> None:
    results = plain_results()
    older = replace(results, predictive=[], models=replace(results.models, criteria=[], sensitivity=[]))
    page = render_page(source(older), "en")
    assert "These results hold no replications of the data." in page
    assert "Does the prior decide?" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_caveats_stand_before_every_other_section(pages: dict[str, str], language: str) -> None:
    assert 0 < pages[language].index('<aside class="caveats"') < pages[language].index('id="matrix"')


def test_a_missed_total_is_said_in_words_and_a_hit_is_not_called_a_miss(pages: dict[str, str]) -> None:
    banner = caveats(pages["en"])
    assert "The forecast of total purchases missed: it said 17,316 to 18,304" in banner
    assert "18,952 came" in banner
    assert "total spend missed" not in banner


def test_the_page_says_where_abc_ranks_better_than_the_model(pages: dict[str, str]) -> None:
    contest = pages["en"][pages["en"].index('id="contest"') :]
    assert "ABC is better, 0.682 against the model’s 0.641" in contest
    assert "Over the whole base, a simpler order is better (ABC" in contest
    assert "For ordering the whole base, a simpler method does better on this data: ABC" in caveats(pages["en"])


def test_a_method_ahead_within_chance_is_called_ahead_and_not_better() -> None:
    results = fixture_results()
    duels = [replace(duel, verdict="open", low=-1.0, high=1.0) for duel in results.comparison.duels]
    results = replace(results, comparison=replace(results.comparison, duels=duels))
    section = contest(source(results), voice_for(results, "en"))
    sentence = next(sentence for sentence in section["open"] if "normalised Gini" in sentence)
    assert "nothing is settled against ABC (0.682), RFM (0.592)" in sentence
    assert "Ahead of the model, but within chance: ABC and same rate as before." in sentence
    assert section["lost"] == section["won"] == []


def duel(score: str, method: str, verdict: str) -> Duel:
    return Duel(method, score, 0.6, 0.7, -0.1, -0.2, -0.05, verdict)


def verdicts(*duels: Duel, scores: list[Score] | None = None) -> tuple[list[str], list[str]]:
    """The caveats on order and the contest's advice for a contest of these duels alone."""
    results = fixture_results()
    scores = results.comparison.scores if scores is None else scores
    methods = list(dict.fromkeys(row.method for row in scores))
    results = replace(
        results, comparison=replace(results.comparison, duels=list(duels), scores=scores, methods=methods)
    )
    voice = voice_for(results, "en")
    said = headline(source(results), voice)["caveats"]
    return [str(text) for text in said if "does better" in text], [
        str(text) for text in contest(source(results), voice)["advice"]
    ]


def test_the_top_excuses_a_lost_order_only_by_methods_that_were_beaten_there() -> None:
    lost = duel("spend_gini", "abc", "method")
    caveat, advice = verdicts(lost, duel("spend_capture_10", "rfm", "model"), duel("spend_capture_20", "abc", "open"))
    assert caveat == [
        (
            "For ordering the whole base, a simpler method does better on this data: ABC. For picking the best "
            "customers, the model holds more than RFM. See “Against simpler methods”."
        )
    ]
    assert "holds more of what came than that of RFM." in advice[0]
    assert len(advice) == 1
    caveat, advice = verdicts(lost, duel("spend_capture_10", "rfm", "model"), duel("spend_capture_20", "abc", "method"))
    assert [text.split(",")[0] for text in caveat] == ["For ranking customers", "For picking the best customers"]
    assert [text.split(",")[0] for text in advice] == [
        "To choose whom to serve first",
        "For picking the best customers",
    ]
    assert not any("holds more" in text for text in caveat + advice)


def test_a_loss_at_the_top_alone_is_said_and_not_called_a_better_order() -> None:
    caveat, advice = verdicts(duel("spend_capture_20", "abc", "method"), duel("spend_gini", "abc", "open"))
    assert caveat == [
        "For picking the best customers, a simpler method does better on this data: ABC. See “Against simpler methods”."
    ]
    assert len(advice) == 1
    assert advice[0].startswith("For picking the best customers, where budgets go, a simpler order does better")


def test_a_loss_that_the_chosen_models_make_good_is_told_with_them() -> None:
    # ABC has .7 by both scores in these duels; the models chosen on past days come before it by one of the two.
    results = fixture_results()
    others = [row for row in results.comparison.scores if row.method != "best"]
    chosen = [
        Score("best", "spend_gini", 0.72, 0.70, 0.74, 2357),
        Score("best", "spend_capture_20", 0.69, 0.6, 0.7, 2357),
    ]
    lost = [duel(score, "abc", "method") for score in ("spend_gini", "spend_capture_20")]
    voice = voice_for(results, "en")
    found = orders(replace(results.comparison, scores=[*others, *chosen], duels=lost), voice)
    assert (found.made_good, found.rank, found.top) == (lost[:1], [], lost[1:])
    caveat, advice = verdicts(*lost, scores=[*others, chosen[0]])
    assert len(caveat) == 2
    assert caveat[0].startswith("For picking the best customers, a simpler method does better")
    assert "by “Spend: normalised Gini” a simpler method does better (ABC). The models chosen on past days" in caveat[1]
    assert advice[1].endswith("go by their order.")
    assert not any("Use it for that" in text for text in advice)  # of ABC's order


def test_the_same_models_from_another_package_are_no_simpler_method() -> None:
    lost = [duel(score, "lifetimes", "method") for score in ("spend_gini", "spend_capture_20", "spend_mae")]
    caveat, advice = verdicts(*lost)
    assert caveat == []
    assert [text.split(",")[0] for text in advice] == ["For the size of single forecasts"]
    assert "(lifetimes)" in advice[0]
    caveat, advice = verdicts(duel("spend_gini", "abc", "method"), duel("spend_capture_20", "lifetimes", "model"))
    assert caveat[0].startswith("For ranking customers")
    assert not any("lifetimes" in text for text in caveat + advice)


def test_no_method_is_said_to_win_only_where_none_is_settled_to() -> None:
    results = plain_results()
    still = replace(results.comparison, duels=[duel("spend_gini", "abc", "open")])
    page = render_page(source(replace(results, comparison=still)), "en")
    assert "No other method is settled as better than the model on any score here." in page


NO_ESTIMATE = Estimate(None, None, None, None, None)
NO_MEAN = Estimate(None, None, 10.0, 41.5, None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_estimates_without_a_mean_are_said_in_words_or_dashes(language: str) -> None:
    results = plain_results()
    value = dict.fromkeys(("equity", "spend", "new_customer_clv"), NO_MEAN)
    value |= dict.fromkeys(("purchases", "alive", "buyers", "top_10_share", "top_20_share"), NO_ESTIMATE)
    cut = Cut("future", "amount", 40.0, NO_ESTIMATE)
    matrix = replace(results.matrix, cuts=[cut], cells=[replace(cell, clv=NO_MEAN) for cell in results.matrix.cells])
    bare = replace(
        results,
        value=replace(results.value, **value),
        matrix=matrix,
        evidence=replace(results.evidence, purchases=NO_ESTIMATE, spend=Estimate(None, None, 1.0, 2.0, 3.0)),
        models=replace(results.models, spend_frequency_correlation=NO_ESTIMATE),
        predictive=[],
    )
    page = render_page(source(bare), language)
    assert "None" not in re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    voice = voice_for(bare, language)
    correlation = models(source(bare), voice)["correlation"]
    assert correlation == [voice.say("models.correlation_none")]
    ceiling = winning(source(bare), voice)["text"][-1]
    assert voice.numbers.money(41.5) in ceiling
    assert voice.numbers.compact(41.5) == headline(source(bare), voice)["equity"]


def test_a_correlation_that_is_known_is_judged() -> None:
    results = fixture_results()
    for mean, word in ((0.06, "small enough"), (-0.31, "beyond")):
        changed = replace(
            results, models=replace(results.models, spend_frequency_correlation=Estimate(mean, 0.1, -0.5, mean, 0.3))
        )
        assert word in models(source(changed), voice_for(changed, "en"))["correlation"][1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_assumptions_are_shown_with_the_digits_that_they_have(language: str) -> None:
    results = plain_results()
    cells = [replace(cell, ceiling_share=0.2025) for cell in results.matrix.cells]
    cuts = [replace(cut, setting=0.825) for cut in results.matrix.cuts]
    changed = replace(
        results,
        study=replace(results.study, annual_discount_rate=0.075, margin=0.3125),
        value=replace(results.value, acquisition_share=0.335, at_risk_below=0.455, lost_below=0.0475),
        matrix=replace(results.matrix, cells=cells, cuts=cuts, undecided_below=0.605),
    )
    page = render_page(source(changed), language)
    for text, times in (("7.5%", 2), ("31.25%", 2), ("33.5%", 1), ("20.25%", 4), ("82.5%", 2), ("60.5%", 1)):
        assert len(re.findall(rf"(?<![\d.]){re.escape(text)}", page)) >= times, text
    assert "45.5%" in page
    assert "4.75%" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_few_data_are_a_caveat_with_their_count(language: str) -> None:
    results = plain_results()
    notes = [LedgerLine("few_customers", 87, 0.0), LedgerLine("few_repeat_buyers", 19, 0.0)]
    changed = replace(results, data=replace(results.data, notes=[*notes, LedgerLine("repeated_line", 3, 41.0)]))
    voice = voice_for(changed, language)
    known = headline(source(results), voice)["caveats"]
    said = headline(source(changed), voice)["caveats"]
    assert said[2:] == known
    assert "87" in said[0]
    assert "19" in said[1]
    assert "few_" not in render_page(source(changed), language)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("ahead", "known", "said"),
    [
        (1060, 1060, [["1,060"], ["2,000"]]),
        (1060, 1480, [["1,060", "1,480"], ["2,000"]]),
        (2000, 2000, [["2,000"]]),
        (None, None, []),
    ],
)
def test_the_models_tell_how_many_draws_a_forecast_is_of(
    language: str, ahead: int | None, known: int | None, said: list[list[str]]
) -> None:
    results = plain_results()
    changed = replace(
        results, value=replace(results.value, draws=ahead), evidence=replace(results.evidence, draws=known)
    )
    section = models(source(changed), voice_for(changed, language))
    assert [re.findall(r"[\d,]*\d", sentence) for sentence in section["draws"]] == said
    assert all(str(sentence) in render_page(source(changed), language) for sentence in section["draws"][:1])


def test_what_a_fit_has_to_say_stands_with_it_and_fits_left_out_are_named() -> None:
    results = plain_results()
    note = "The tail of the weights is heavy, so NUTS took over <here>."
    fits = [replace(results.models.fits[0], notes=[note]), *results.models.fits[1:]]
    changed = replace(results, models=replace(results.models, fits=fits, left_out={"mle": "beta grew without end."}))
    section = models(source(changed), voice_for(changed, "en"))
    assert [str(text) for text in section["groups"][0]["notes"]] == [
        "Laplace: The tail of the weights is heavy, so NUTS took over &lt;here&gt;."
    ]
    assert [group["notes"] for group in section["groups"][1:]] == [[]] * (len(section["groups"]) - 1)
    page = render_page(source(changed), "en")
    assert "so NUTS took over &lt;here&gt;." in page
    assert "maximum likelihood found no fit on this data" in page
    assert "beta grew without end." in page


def test_a_page_links_to_the_languages_of_its_study_alone() -> None:
    results = plain_results()
    alone = replace(results, study=replace(results.study, languages=["en"]))
    assert 'hreflang="zh"' in render_page(source(results), "en")
    assert "hreflang" not in render_page(source(alone), "en")


def test_a_page_never_mixes_its_results_with_the_tables_of_another_run(folder: Path, tmp_path: Path) -> None:
    """A second study run into the same folder left its table and its costs there."""
    results = plain_results()
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(results))
    for name in ("customers.parquet", "comparison.csv", "manifest.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    other = replace(results, study=replace(results.study, seed=results.study.seed + 1))
    page = tmp_path / "page.html"
    for own, of_run in ((True, results), (False, other)):
        text = render_report(of_run, output=page).read_text(encoding="utf-8")
        assert ('id="explorer-table"' in text) is own
        assert ("What the run cost" in text) is own
        assert ('href="comparison.csv"' in text) is own
    (tmp_path / "results.json").write_text('{"study": {}}')
    assert 'id="explorer-table"' not in render_report(results, output=page).read_text(encoding="utf-8")


def test_a_study_with_little_to_show_still_has_a_page() -> None:
    results = plain_results()
    value = replace(results.value, new_customer_clv=Estimate(48.0, None, None, None, None))
    empty = replace(results.comparison, scores=[], duels=[])
    unfitted = replace(results.models, fits=[])
    bare = replace(results, act_on=[], value=value, comparison=empty, models=unfitted)
    page = render_page(source(bare), "en")
    assert "<figure" not in page
    assert "The study’s folder has no customers table of these results." in page


def test_results_that_are_missing_or_of_another_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no such file\. Run the study first"):
        render_report(tmp_path)
    (tmp_path / "results.json").write_text('{"study": {}}')
    with pytest.raises(StudyError, match=r"results.json: not the results of this version.*missing required field"):
        read_results(tmp_path)


def test_an_unknown_language_is_refused_before_the_results_are_read(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match='language = "fr"'):
        render_report(tmp_path, language="fr")


def test_results_survive_json(folder: Path) -> None:
    assert read_results(folder / "results.json") == msgspec.convert(
        msgspec.to_builtins(fixture_results()), StudyResults
    )


def test_a_page_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "index.html"
    target.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudyError, match=r"cannot be written .No space left on device"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_whoever_has_the_old_page_open_keeps_it(tmp_path: Path) -> None:
    target, reader = tmp_path / "index.html", tmp_path / "open.html"
    target.write_text("old")
    reader.hardlink_to(target)
    write_atomically(target, "new")
    assert (target.read_text(), reader.read_text()) == ("new", "old")
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "open.html"}


CSS = Path(__file__).parent.parent / "clvmodels" / "report" / "assets" / "page.css"
ON_PAPER = (
    "ink",
    "text",
    "muted",
    "accent",
    "model",
    "actual",
    "high-high",
    "low-high",
    "high-low",
    "low-low",
)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_and_marks_stand_out_from_the_paper_in_both_themes() -> None:
    """WCAG 2.2, level AA for text: a contrast of 4.5."""
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in CSS.read_text().split("color-scheme:")
    ]
    for theme in (theme for theme in themes if "ink" in theme):
        paper = luminance(theme["paper"])
        for name in ON_PAPER:
            light, dark = sorted((luminance(theme[name]), paper), reverse=True)
            assert (light + 0.05) / (dark + 0.05) > 4.5, (name, theme[name], theme["paper"])


@pytest.mark.bench
def test_both_pages_are_written_in_ten_seconds(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "clvmodels", "report", str(folder)], check=True, timeout=10)
