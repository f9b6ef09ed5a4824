"""The pages in a browser: quiet console, no request, no sideways scrolling, a table that answers."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clvmodels.report import render_report
from tests.contest_report_fixture import fixture_contest, fixture_costs
from tests.report_fixture import HOSTILE_ID, fixture_results, write_fixture_customers
from tests.retention_report_fixture import fixture_retention

pytestmark = pytest.mark.browser

PAGES = {"en": "index.html", "zh": "index.zh.html"}
QUIET = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "results.json").write_bytes(msgspec.json.encode(fixture_results()))
    write_fixture_customers(folder)
    for language in PAGES:
        render_report(folder, language=language)
    return folder


@pytest.fixture(scope="module")
def retention(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of retention."""
    folder = tmp_path_factory.mktemp("retention")
    (folder / "results.json").write_bytes(msgspec.json.encode(fixture_retention()))
    for language in PAGES:
        render_report(folder, language=language)
    return folder


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a contest."""
    folder = tmp_path_factory.mktemp("contest")
    (folder / "results.json").write_bytes(msgspec.json.encode(fixture_contest()))
    (folder / "costs.json").write_bytes(msgspec.json.encode({"methods": fixture_costs()}))
    for language in PAGES:
        render_report(folder, language=language)
    return folder


@pytest.fixture(params=["folder", "retention", "contest"])
def study(request: pytest.FixtureRequest) -> Path:
    """The folder of each kind of study."""
    return Path(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None or not Path(chromium).is_file():
        pytest.skip("no Chromium: install Debian's chromium, or name one in $CHROMIUM")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", *QUIET])
        yield launched
        launched.close()


def opened(browser: Any, folder: Path, language: str, width: int = 1280, scheme: str = "light") -> Any:
    """A page with what it asked for and what its console said."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto((folder / PAGES[language]).as_uri())
    page.evaluate("document.querySelectorAll('details.data-set').forEach((part) => { part.open = true; })")
    return page


@pytest.mark.parametrize("language", PAGES)
@pytest.mark.parametrize("width", [360, 390, 820, 1280, 1440])
def test_nothing_scrolls_sideways_and_nothing_is_fetched(browser: Any, study: Path, language: str, width: int) -> None:
    page = opened(browser, study, language, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    fetched = [url for url in page.asked if not url.startswith("data:")]
    assert fetched == [(study / PAGES[language]).as_uri()]
    assert page.said == []
    page.close()


@pytest.mark.parametrize("language", PAGES)
def test_one_drawing_of_each_figure_is_seen_and_its_letters_are_legible(
    browser: Any, study: Path, language: str
) -> None:
    smallest = """() => Math.min(...[...document.querySelectorAll("figure svg text")]
        .filter((text) => text.checkVisibility()).map((text) => text.getBoundingClientRect().height))"""
    for width, kind in ((360, "narrow"), (1280, "wide")):
        page = opened(browser, study, language, width)
        seen = page.locator("figure svg:visible").evaluate_all("found => found.map(s => s.parentElement.className)")
        figures = page.locator("figure").filter(has=page.locator("svg")).count()
        assert figures >= 9
        assert seen == [kind] * figures
        assert page.evaluate(smallest) >= 10.0
        page.close()


def test_chinese_is_set_in_the_embedded_font(browser: Any, folder: Path) -> None:
    page = opened(browser, folder, "zh")
    assert page.evaluate("document.fonts.check('16px \"CLV Sans SC\"', '客户价值')")
    assert page.evaluate("[...document.fonts].every((face) => face.status === 'loaded')")
    page.close()


@pytest.mark.parametrize("language", PAGES)
def test_the_customers_sort_filter_and_search(browser: Any, folder: Path, language: str) -> None:
    page = opened(browser, folder, language)
    rows = page.locator("#explorer-table tbody tr")
    assert rows.count() == 200
    value = page.locator("#explorer-table thead button").nth(2)
    value.click()
    page.locator("#explorer-table thead button").nth(2).click()
    assert page.locator("#explorer-table thead th").nth(2).get_attribute("aria-sort") == "ascending"
    shown = page.locator("#explorer-table tbody tr td:nth-child(3)").evaluate_all(
        "cells => cells.map((cell) => Number(cell.dataset.value))"
    )
    assert shown == sorted(shown)
    page.fill("#explorer-search", "SCRIPT>ALERT")
    assert page.locator("#explorer-table tbody tr:visible").count() == 1
    assert HOSTILE_ID in page.locator("#explorer-table tbody tr:visible th").inner_text()
    page.fill("#explorer-search", "")
    page.select_option("#explorer-type", "high_high")
    kept = page.locator("#explorer-table tbody tr:visible").evaluate_all("rows => rows.map((row) => row.dataset.type)")
    assert set(kept) == {"high_high"}
    assert str(len(kept)) in page.locator("#explorer-shown").inner_text()
    page.close()


def test_the_theme_follows_the_system_and_the_switch(browser: Any, folder: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page = opened(browser, folder, "en", scheme="dark")
    dark = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) != dark
    page.click("#theme")
    assert page.evaluate(paper) == dark
    page.close()


def test_the_page_is_usable_by_keyboard(browser: Any, folder: Path) -> None:
    page = opened(browser, folder, "en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    boxes = page.locator(".scroll").evaluate_all("boxes => boxes.map((box) => [box.tabIndex, box.ariaLabel])")
    assert boxes
    assert all(place == 0 and label for place, label in boxes)
    page.close()


@pytest.mark.parametrize("language", PAGES)
def test_scores_are_filtered_by_group(browser: Any, contest: Path, language: str) -> None:
    page = opened(browser, contest, language)
    rows = page.locator(".winners tr[data-group]:visible")
    every = rows.count()
    page.select_option("#winners-group", "back")
    shown = rows.evaluate_all("rows => rows.map((row) => row.dataset.group)")
    assert 0 < len(shown) < every
    assert set(shown) == {"back"}
    page.select_option("#winners-group", "")
    assert rows.count() == every
    page.close()


def test_folded_data_sets_are_printed(browser: Any, contest: Path) -> None:
    page = browser.new_page()
    page.goto((contest / PAGES["en"]).as_uri())
    folded = "document.querySelectorAll('details.data-set:not([open])').length"
    assert page.evaluate(folded) > 0
    page.pdf()
    assert page.evaluate(folded) == 0
    page.close()
