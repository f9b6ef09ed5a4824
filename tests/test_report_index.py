"""The page over all studies: a card for each, and no study stops another."""

import re
from pathlib import Path

import msgspec
import pytest

from clvmodels.cli import main
from clvmodels.foundation.errors import StudyError
from clvmodels.report.index import render_index
from tests.contest_report_fixture import fixture_contest
from tests.report_fixture import fixture_results, without_figures
from tests.retention_report_fixture import fixture_retention


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    studies = {"shop": without_figures(fixture_results()), "news": fixture_retention(), "contest": fixture_contest()}
    for name, results in studies.items():
        (folder / name).mkdir()
        (folder / name / "results.json").write_bytes(msgspec.json.encode(results))
    for name in ("index.html", "index.zh.html", "index.pdf"):
        (folder / "shop" / name).write_text("x")
    (folder / "a<b").mkdir()
    (folder / "a<b" / "results.json").write_text('{"study": 1}')
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="module")
def pages(reports: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in render_index(reports)}


def test_every_study_has_a_card_in_both_languages(pages: dict[str, str]) -> None:
    assert set(pages) == {"index.html", "index.zh.html"}
    for page in pages.values():
        assert len(re.findall(r'<li class="study-card">', page)) == 3


def test_a_card_has_the_number_of_its_studys_first_screen(pages: dict[str, str]) -> None:
    assert '<span class="amount">$778,000</span>' in pages["index.html"]
    assert "over the next 52 weeks: their customer equity" in pages["index.html"]
    assert '<span class="amount">77.8\u00a0万美元</span>' in pages["index.zh.html"]


def test_a_contest_has_its_verdict_in_place_of_a_number(pages: dict[str, str]) -> None:
    card = pages["index.html"].split('<li class="study-card">')[1]
    assert "reliably better" in card
    assert 'class="amount"' not in card


def test_links_lead_to_pages_that_are_there_and_a_study_without_says_so(reports: Path, pages: dict[str, str]) -> None:
    links = re.findall(r'href="([a-z]+/[^"]+)"', pages["index.html"])
    assert sorted(links) == ["shop/index.html", "shop/index.pdf", "shop/index.zh.html"]
    assert all((reports / link).is_file() for link in links)
    assert pages["index.html"].count("No page has been made of these results.") == 2


def test_a_study_that_cannot_be_read_is_named_with_the_reason_and_as_text(pages: dict[str, str]) -> None:
    broken = pages["index.html"].split('id="broken-heading"')[1]
    assert "<strong>a&lt;b</strong>: not the results of this version" in broken
    assert "<b" not in broken.replace("<body", "")


def test_a_page_of_another_origin_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "results.json").write_bytes(msgspec.json.encode(without_figures(fixture_results())))
    (tmp_path / "index.html").write_text("my own page")
    with pytest.raises(StudyError, match=r"index\.html: not a page over studies"):
        render_index(tmp_path)
    assert (tmp_path / "index.html").read_text() == "my own page"
    assert not (tmp_path / "index.zh.html").exists()


def test_a_folder_without_studies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no folder in it has a results\.json"):
        render_index(tmp_path)


def test_the_command_writes_the_page_over_all_studies_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "reports" / "shop"
    folder.mkdir(parents=True)
    (folder / "results.json").write_bytes(msgspec.json.encode(without_figures(fixture_results())))
    assert main(["report", str(folder), "--language", "en"]) == 0
    assert str(tmp_path / "reports" / "index.html") in capsys.readouterr().out
    assert 'href="shop/index.html"' in (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")


def test_the_command_writes_to_no_folder_around_a_study_but_one_of_reports(tmp_path: Path) -> None:
    folder = tmp_path / "somewhere" / "shop"
    folder.mkdir(parents=True)
    (folder / "results.json").write_bytes(msgspec.json.encode(without_figures(fixture_results())))
    assert main(["report", str(folder), "--language", "en"]) == 0
    assert [path.name for path in folder.parent.iterdir()] == ["shop"]
    render_index(folder.parent)
    (folder.parent / "index.zh.html").unlink()
    assert main(["report", str(folder), "--language", "en"]) == 0  # one is there: it is kept up to date
    assert (folder.parent / "index.zh.html").is_file()


def test_pages_made_by_the_command_are_linked_at_once_in_every_language(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "shop"
    folder.mkdir(parents=True)
    (folder / "results.json").write_bytes(msgspec.json.encode(without_figures(fixture_results())))
    assert main(["report", str(folder)]) == 0
    page = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="(shop/index[^"]*)"', page)) == {"shop/index.html", "shop/index.zh.html"}
