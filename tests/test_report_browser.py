"""The pages in a browser: quiet console, no request, no sideways scrolling, a table that answers."""

import csv
import io
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from clvmodels.foundation.results import Check
from clvmodels.report.index import render_index
from clvmodels.report.pdf import find_browser, print_page
from clvmodels.report.render import render_report
from clvmodels.report.voice import voice_for
from tests.contest_report_fixture import fixture_contest, fixture_costs
from tests.report_fixture import HOSTILE_ID, fixture_results, without_figures, write_fixture_customers
from tests.retention_report_fixture import fixture_retention

pytestmark = pytest.mark.browser

PAGES = {"en": "index.html", "zh": "index.zh.html"}
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
QUIET = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of studies."""
    return tmp_path_factory.mktemp("reports")


def new_folder(reports: Path, name: str) -> Path:
    (reports / name).mkdir()
    return reports / name


@pytest.fixture(scope="module")
def folder(reports: Path) -> Path:
    folder = new_folder(reports, "study")
    (folder / "results.json").write_bytes(msgspec.json.encode(fixture_results()))
    write_fixture_customers(folder)
    for language in PAGES:
        render_report(folder, language=language)
    return folder


@pytest.fixture(scope="module")
def retention(reports: Path) -> Path:
    """The folder of a study of retention."""
    folder = new_folder(reports, "retention")
    (folder / "results.json").write_bytes(msgspec.json.encode(fixture_retention()))
    for language in PAGES:
        render_report(folder, language=language)
    return folder


@pytest.fixture(scope="module")
def contest(reports: Path) -> Path:
    """The folder of a contest."""
    folder = new_folder(reports, "contest")
    (folder / "results.json").write_bytes(msgspec.json.encode(fixture_contest()))
    (folder / "costs.json").write_bytes(msgspec.json.encode({"methods": fixture_costs()}))
    for language in PAGES:
        render_report(folder, language=language)
    return folder


@pytest.fixture(params=["folder", "retention", "contest"])
def study(request: pytest.FixtureRequest) -> Path:
    """The folder of each kind of study, beside the page over all that there are."""
    folder = Path(request.getfixturevalue(request.param))
    render_index(folder.parent)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None or not Path(CHROMIUM).is_file():
        pytest.skip("no Chromium: install Debian's chromium, or name one in $CHROMIUM")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *QUIET])
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
def test_a_desktop_shows_every_table_whole(browser: Any, study: Path, language: str) -> None:
    page = opened(browser, study, language)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    hidden = page.evaluate(
        """Array.from(document.querySelectorAll('.scroll:not(#explorer .scroll)'))
        .filter((box) => box.scrollWidth > box.clientWidth)
        .map((box) => box.ariaLabel)"""
    )
    assert hidden == []
    page.close()


@pytest.mark.parametrize("language", PAGES)
def test_on_a_phone_the_names_of_rows_stay_when_a_table_is_moved(browser: Any, study: Path, language: str) -> None:
    page = opened(browser, study, language, 390)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    moved = page.evaluate(
        """Array.from(document.querySelectorAll('.scroll:not(#explorer .scroll)'))
        .filter((box) => box.scrollWidth > box.clientWidth + 20)
        .map((box) => {
          box.scrollLeft = 20;
          const name = box.querySelector('tbody th').getBoundingClientRect();
          const edge = box.getBoundingClientRect();
          return [box.ariaLabel, Math.abs(name.left - edge.left) < 1, name.width < edge.width * 0.6];
        })"""
    )
    assert moved
    assert [label for label, stays, narrow in moved if not (stays and narrow)] == []
    page.close()


@pytest.mark.parametrize("language", PAGES)
@pytest.mark.parametrize("width", [360, 390, 600])
def test_lists_of_customers_to_call_are_cards_on_a_phone(browser: Any, folder: Path, language: str, width: int) -> None:
    page = opened(browser, folder, language, width)
    page.evaluate("document.querySelectorAll('#act_on details').forEach((part) => { part.open = true; })")
    boxes = page.locator("#act_on .scroll").evaluate_all("all => all.map((box) => [box.scrollWidth, box.clientWidth])")
    assert len(boxes) >= 4
    assert [inside for inside, outside in boxes if inside > outside] == []
    assert page.locator("#act_on tbody tr").first.evaluate("(row) => getComputedStyle(row).display") == "grid"
    page.close()


@pytest.mark.parametrize("language", PAGES)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_failed_check_is_seen_at_once_and_before_the_numbers(
    browser: Any, tmp_path: Path, language: str, width: int
) -> None:
    results = without_figures(fixture_results())
    fit = replace(results.models.fits[0], checks=[Check("pareto_k", 0.913, 0.7, passed=False)])
    failing = replace(results, models=replace(results.models, fits=[fit, *results.models.fits[1:]]))
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(failing))
    render_report(tmp_path, language=language)
    page = opened(browser, tmp_path, language, width)
    box, number = page.locator(".caveats.failed").bounding_box(), page.locator(".big .amount").bounding_box()
    assert box["y"] + box["height"] <= min(number["y"], 900)
    assert "0.913" in page.locator(".caveats.failed").inner_text()
    page.emulate_media(media="print")
    assert page.locator(".caveats.failed").is_visible()
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


@pytest.mark.parametrize("language", PAGES)
def test_what_a_drawing_says_lies_within_it_on_a_phone(browser: Any, study: Path, language: str) -> None:
    page = opened(browser, study, language, 390)
    outside = page.evaluate(
        """Array.from(document.querySelectorAll('figure .narrow svg')).flatMap((svg) => {
          const within = svg.getBoundingClientRect();
          return Array.from(svg.querySelectorAll('text'))
            .filter((text) => text.getBoundingClientRect().right > within.right + 8)
            .map((text) => text.textContent);
        })"""
    )
    assert outside == []
    page.close()


def test_chinese_is_set_in_the_embedded_font(browser: Any, folder: Path) -> None:
    page = opened(browser, folder, "zh")
    assert page.evaluate("document.fonts.check('16px \"CLV Sans SC\"', '客户价值')")
    assert page.evaluate("[...document.fonts].every((face) => face.status === 'loaded')")
    page.close()


ROWS = "#explorer-box tbody tr[aria-rowindex]"


def column(page: Any, place: int) -> list[str]:
    """The texts of a column of the customers that are drawn."""
    found: list[str] = page.locator(ROWS).evaluate_all(f"rows => rows.map((row) => row.cells[{place}].textContent)")
    return found


@pytest.mark.parametrize("language", PAGES)
@pytest.mark.parametrize("width", [390, 1280])
def test_the_customers_sort_filter_and_search(browser: Any, folder: Path, language: str, width: int) -> None:
    page = opened(browser, folder, language, width)
    heads = page.locator("#explorer-box thead th")
    assert heads.nth(4).get_attribute("aria-sort") == "descending"  # by value to come
    heads.nth(8).locator("button").click()  # repeat purchases: the largest first, then the smallest
    assert heads.nth(8).get_attribute("aria-sort") == "descending"
    counts = list(map(int, column(page, 8)))
    assert counts == sorted(counts, reverse=True)
    heads.nth(8).locator("button").press("Enter")
    assert heads.nth(8).get_attribute("aria-sort") == "ascending"
    assert page.locator("#explorer-box thead th[aria-sort]").count() == 1
    counts = list(map(int, column(page, 8)))
    assert counts == sorted(counts)
    assert counts[0] == 0
    page.fill("#explorer-search", "SCRIPT>ALERT")
    assert column(page, 0) == [HOSTILE_ID]
    assert page.locator("#explorer-box table").get_attribute("aria-rowcount") == "2"
    page.fill("#explorer-search", "")
    page.select_option("[data-filter=cell]", "high_high")
    page.select_option("[data-filter=tier]", "gold")
    kept = page.locator(ROWS).evaluate_all("rows => rows.map((row) => row.dataset.type)")
    assert set(kept) == {"high_high"}
    assert len(set(column(page, 2))) == 1
    found = int(page.locator("#explorer-box table").get_attribute("aria-rowcount")) - 1
    assert 0 < found < 200
    assert f"{found}" in page.locator("#explorer-shown").inner_text()
    assert page.said == []
    page.close()


@pytest.mark.parametrize("language", PAGES)
def test_the_script_writes_customers_as_the_page_does(browser: Any, folder: Path, language: str) -> None:
    """Two implementations of one format: Python's rows that are there without a script, and the script's."""
    page = opened(browser, folder, language)
    texts = "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    plain = page.locator("#explorer-plain tbody tr").evaluate_all(texts)
    drawn = page.locator(ROWS).evaluate_all(texts)
    assert len(plain) == 50
    assert len(drawn) > 30
    assert drawn == plain[: len(drawn)]
    page.close()


def test_the_last_customer_is_reached_by_the_keyboard_and_rows_carry_their_place(browser: Any, folder: Path) -> None:
    page = opened(browser, folder, "en")
    page.locator("#explorer-box").focus()
    page.keyboard.press("End")
    page.locator(f'{ROWS}[aria-rowindex="601"]').wait_for()
    assert page.locator(ROWS).count() < 80
    page.close()


def test_without_a_script_the_first_customers_are_a_plain_table(browser: Any, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / PAGES["en"]).as_uri())
    assert page.locator("#explorer-plain tbody tr:visible").count() == 50
    assert not page.locator("#explorer-controls").is_visible()
    context.close()


def saved(page: Any, button: str, target: Path) -> list[dict[str, str]]:
    """The rows of the file that a button gives."""
    with page.expect_download() as waited:
        page.locator(button).first.click()
    waited.value.save_as(target)
    return list(csv.DictReader(io.StringIO(target.read_bytes().decode("utf-8-sig"), newline="")))


def test_the_customers_shown_are_saved_with_numbers_as_numbers_and_no_formula(
    browser: Any, folder: Path, tmp_path: Path
) -> None:
    page = opened(browser, folder, "zh")
    rows = saved(page, "#explorer-csv", tmp_path / "all.csv")
    table = pq.read_table(folder / "customers.parquet").to_pandas().sort_values("clv_mean", ascending=False)
    assert [row["customer_id"].removeprefix("'") for row in rows] == table["customer_id"].tolist()
    assert "'=1+1" in {row["customer_id"] for row in rows}
    assert [float(row["clv_mean"]) for row in rows] == pytest.approx(table["clv_mean"].tolist(), abs=0.51)
    assert [row["last_purchase"] for row in rows] == [str(day) for day in table["last_purchase"]]
    page.select_option("[data-filter=stage]", "decline")
    kept = saved(page, "#explorer-csv", tmp_path / "some.csv")
    assert [row["customer_id"] for row in kept] == [row["customer_id"] for row in rows if row["stage"] == "decline"]
    page.close()


def number(text: str) -> float:
    """A cell of a table of the fixture as a number."""
    bare = re.sub(r"[^\d.−-]", "", text).replace("−", "-")
    return float(bare) if bare else -math.inf


@pytest.mark.parametrize("language", PAGES)
def test_long_tables_sort_and_a_third_time_restores_their_order(browser: Any, folder: Path, language: str) -> None:
    page = opened(browser, folder, language)
    tables = page.locator(".scroll > table:has(thead button):not(.virtual)")
    assert tables.count() >= 5
    assert tables.evaluate_all("found => Math.min(...found.map((each) => each.tBodies[0].rows.length))") > 6
    table = page.locator("#act_on table:has(thead button)").first
    cells = "cells => cells.map((cell) => cell.firstChild.textContent.trim())"  # less the interval below
    values = table.locator("tbody td:nth-child(2)")
    before = values.evaluate_all(cells)
    button = table.locator("thead th").nth(1).locator("button")
    button.press("Enter")
    assert list(map(number, values.evaluate_all(cells))) == sorted(map(number, before), reverse=True)
    button.press("Enter")
    assert list(map(number, values.evaluate_all(cells))) == sorted(map(number, before))
    assert table.locator("thead th").nth(1).get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert values.evaluate_all(cells) == before
    days = table.locator("tbody td:nth-child(6)")
    table.locator("thead th").nth(5).locator("button").click()
    written = voice_for(fixture_results(), language).numbers.short_date
    told = {written(row.last_purchase): row.last_purchase for row in fixture_results().act_on}
    shown = [told[text] for text in days.evaluate_all(cells)]
    assert shown == sorted(shown, reverse=True)
    page.close()


def test_a_table_is_saved_as_it_stands(browser: Any, folder: Path, tmp_path: Path) -> None:
    page = opened(browser, folder, "en")
    rows = saved(page, "#data .table-tools button", tmp_path / "table.csv")
    heads = page.locator("#data table").first.locator("thead th").all_inner_texts()
    assert list(rows[0]) == [head.strip() for head in heads]
    assert {float(row[heads[1]]) for row in rows} >= {69659.0}
    page.close()


def told_of(panel: dict[str, Any], names: list[str]) -> list[str]:
    """The first cell of what is told at each place of a panel, from the rows of the table or of its own."""
    if "cells" in panel:
        return [cells[0] for cells in panel["cells"]]
    return [names[row] for row in panel.get("rows", range(len(names)))]


@pytest.mark.parametrize("width", [390, 1280])
def test_pointing_at_a_figure_tells_the_row_of_its_table_that_is_drawn_there(
    browser: Any, folder: Path, width: int
) -> None:
    """By mouse and by arrow keys, on every figure that marks its rows; an axis names the rows that it has room for."""
    page = opened(browser, folder, "zh", width)
    figures = page.locator("figure:has(metadata)")
    assert figures.count() == page.locator("figure:has(svg)").count() >= 15  # none is without
    for figure in figures.all():
        names = [name.strip() for name in figure.locator("tbody th").all_text_contents()]
        drawing = figure.locator("svg:visible")
        panels = json.loads(drawing.locator("metadata").text_content() or "")
        drawing.scroll_into_view_if_needed()
        box, wide = drawing.bounding_box(), float(drawing.evaluate("svg => svg.viewBox.baseVal.width"))
        (left, top, right, bottom), along = panels[-1]["box"], panels[-1]["along"]
        middle = ((left + right) / 2, (top + bottom) / 2)
        told = told_of(panels[-1], names)
        assert len(told) == len(panels[-1]["at"])
        for place in {0, len(told) // 2, len(told) - 1}:
            at = panels[-1]["at"][place]
            x, y = {"x": (at, middle[1]), "y": (middle[0], at), "xy": at}[along]
            scale = box["width"] / wide
            page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
            assert figure.locator(".tip b").inner_text() == told[place]
        drawing.focus()
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
        assert figure.locator(".tip b").inner_text() == told_of(panels[0], names)[0]
        page.keyboard.press("ArrowLeft")  # nothing is before the first
        assert figure.locator(".tip b").inner_text() == told_of(panels[0], names)[0]
        page.keyboard.press("Escape")
        assert page.locator(".tip").count() == 0
    assert page.said == []
    page.close()


def test_marks_stand_where_the_axis_names_their_rows(browser: Any, folder: Path) -> None:
    """Independent of the figures' own places: the words under an axis are the names of the rows above them."""
    page = opened(browser, folder, "en")
    checked = 0
    # a bar of the PIT is named after its left end, and marked in its middle
    for figure in page.locator("figure:has(metadata):not(#figure-pit)").all():
        names = [name.strip() for name in figure.locator("tbody th").all_text_contents()]
        drawing = figure.locator("svg:visible")
        panel = json.loads(drawing.locator("metadata").text_content() or "")[0]
        if panel["along"] != "x" or "cells" in panel:
            continue
        scale = drawing.evaluate("svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
        words = drawing.locator("text").evaluate_all(
            """found => found.map((text) => {
                const box = text.getBoundingClientRect(), whole = text.closest("svg").getBoundingClientRect();
                return [text.textContent, box.left + box.width / 2 - whole.left, box.top - whole.top];
            })"""
        )
        words = [
            (said, x) for said, x, top in words if top > (panel["box"][3] - 2) * scale
        ]  # the other axis has amounts too
        at = {name: place * scale for name, place in zip(told_of(panel, names), panel["at"], strict=True)}
        nearest = {text: min(abs(x - at[text]) for said, x in words if said == text) for text, _ in words if text in at}
        assert all(distance < 3 for distance in nearest.values()), nearest
        checked += len(nearest)
    assert checked >= 10
    page.close()


def serious(browser: Any, path: Path, scheme: str, rules: str) -> list[Any]:
    """What axe finds of serious or critical impact on a page with all that is folded laid open."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(f"axe.run(document, {{ resultTypes: ['violations'] {rules} }})")["violations"]
    context.close()
    return [
        (rule["id"], node["target"], node["failureSummary"])
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"][:2]
    ]


@pytest.mark.parametrize("language", PAGES)
def test_axe_finds_nothing_serious(browser: Any, study: Path, language: str) -> None:
    """All rules in the light; what changes in the dark are the colours."""
    pages = [path for path in study.glob("*.html") if path.name.endswith(".zh.html") is (language == "zh")]
    assert pages
    for path in (*pages, *([study.parent / PAGES[language]] if study.name == "contest" else [])):
        assert serious(browser, path, "light", "") == [], path.name
        assert serious(browser, path, "dark", ", runOnly: ['color-contrast']") == [], path.name


def test_print_shows_the_first_customers_on_white_without_what_is_clicked(browser: Any, folder: Path) -> None:
    page = opened(browser, folder, "en", scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("#explorer-box", "#explorer-controls", ".table-tools", "#theme", ".contents"):
        assert not page.locator(hidden).first.is_visible(), hidden
    assert page.locator("#explorer-plain tbody tr:visible").count() == 50
    page.close()


def test_the_command_prints_pages_as_pdf(folder: Path, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLVMODELS_BROWSER", CHROMIUM or "")
    written = print_page(folder / PAGES["zh"], find_browser())
    assert written == folder / "index.zh.pdf"
    content = written.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 5
    written.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("ids", ["numbers", "long"])
def test_a_page_of_100000_customers_is_light_and_quick(browser: Any, tmp_path: Path, ids: str) -> None:
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(without_figures(fixture_results())))
    write_fixture_customers(tmp_path, 100_000)
    if ids == "long":
        table = pq.read_table(tmp_path / "customers.parquet")
        names = [f"{number:08x}-aaaa-bbbb-cccc-ddddeeeeffff" for number in range(100_000)]
        pq.write_table(table.set_column(0, "customer_id", [names]), tmp_path / "customers.parquet")
    page_file = render_report(tmp_path)
    assert page_file.stat().st_size < 9_500_000  # room for the figures that are left out here
    page = opened(browser, tmp_path, "en")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].domComplete") < 2000
    assert "100,000 of 100,000" in page.locator("#explorer-shown").inner_text()
    sort = """(place) => { const start = performance.now();
        document.querySelectorAll("#explorer-box thead button")[place].click();
        document.body.offsetHeight; return performance.now() - start; }"""
    find = """(text) => { const box = document.getElementById("explorer-search"), start = performance.now();
        box.value = text; box.dispatchEvent(new Event("input"));
        document.body.offsetHeight; return performance.now() - start; }"""
    took = {f"sort {place}": page.evaluate(sort, place) for place in range(11)}
    took |= {f"find {text}": page.evaluate(find, text) for text in ("7", "0042", "no such customer", "")}
    assert {what: time for what, time in took.items() if time > 200} == {}
    assert page.locator("#explorer-box *").count() < 1500
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
