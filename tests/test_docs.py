"""Every Python block of the README and the guide runs, in order, as a reader would type it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/guide.md", "docs/logs.md", "docs/provenance.md", "docs/retention.md")


def blocks_of(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def run_blocks(page, blocks):
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """But for fits by groups, whose graphs take long to compile and that no block after them needs."""
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in blocks_of(page) if 'method="nuts", groups' not in block]
    assert blocks
    run_blocks(page, blocks)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_all_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_blocks(page, blocks_of(page))


@pytest.mark.parametrize("page", ["README.md", *(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md"))])
def test_links_to_files_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_the_reference_is_what_the_docstrings_say():
    import runpy

    page = runpy.run_path(str(ROOT / "scripts" / "reference.py"))["page"]
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == page(), "run python scripts/reference.py"
