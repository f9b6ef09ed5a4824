"""PDF: which browser prints, what it is asked for, and what is said where it cannot."""

import os
import stat
from pathlib import Path

import pytest

from clvmodels.cli import main
from clvmodels.foundation.errors import StudyError
from clvmodels.report import pdf
from clvmodels.report.pdf import find_browser, print_page


def program(path: Path, body: str) -> Path:
    """A stand-in for a browser; $out is the file that it was asked for."""
    path.parent.mkdir(exist_ok=True)
    lines = ['for option in "$@"; do case $option in --print-to-pdf=*) out=${option#*=};; esac; done', body]
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "a study" / "index.html"
    path.parent.mkdir()
    path.write_text("<p>page</p>")
    return path


def test_the_browser_is_the_named_one_and_else_the_first_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(pdf.NAMED_BY, raising=False)
    google, chromium = (program(tmp_path / "bin" / name, "true") for name in ("google-chrome", "chromium"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_browser() == str(chromium)
    monkeypatch.setenv(pdf.NAMED_BY, str(google))
    assert find_browser() == str(google)


def test_without_a_browser_the_command_says_what_to_install_before_it_touches_a_page(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(pdf.NAMED_BY, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["report", str(page.parent), "--pdf"]) == 2
    said = capsys.readouterr().err
    assert "apt install chromium" in said
    assert pdf.NAMED_BY in said
    assert page.read_text() == "<p>page</p>"


def test_a_named_browser_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pdf.NAMED_BY, "/no/such/browser")
    with pytest.raises(StudyError, match="CLVMODELS_BROWSER = /no/such/browser: no such program"):
        find_browser()


def test_the_pdf_stands_beside_the_page_under_its_name(page: Path, tmp_path: Path) -> None:
    browser = program(tmp_path / "chromium", 'printf "%%PDF-1.4 %s" "$*" > "$out"')
    written = print_page(page, str(browser))
    assert written == page.with_name("index.pdf")
    asked = written.read_text()
    assert page.as_uri() in asked
    assert ("--no-sandbox" in asked) is (os.geteuid() == 0)
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html", "index.pdf"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo no display >&2; exit 3", r"could not print .*index\.html \(exit code 3\): no display"),
        ("true", "left no PDF"),
        ('echo "<html>" > "$out"', "left no PDF"),
        ("exec sleep 20", "took longer than 0.3 s"),
    ],
)
def test_a_browser_that_fails_leaves_page_and_pdf_as_they_were(
    page: Path, tmp_path: Path, body: str, said: str
) -> None:
    page.with_suffix(".pdf").write_text("as before")
    browser = program(tmp_path / "chromium", body)
    with pytest.raises(StudyError, match=said):
        print_page(page, str(browser), time_limit=0.3 if "sleep" in body else 30.0)
    assert page.with_suffix(".pdf").read_text() == "as before"
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html", "index.pdf"]
