"""`render_report`: a study's results as self-contained pages of a language."""

import base64
import contextlib
import hashlib
import os
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.results import StudyResults
from clvmodels.report.customers import read_customers
from clvmodels.report.fonts import SANS, SERIF, font_face
from clvmodels.report.origin import results_digest, with_origin
from clvmodels.report.reading import holds, read_costs, read_method_costs, read_results
from clvmodels.report.sections import PURCHASES, Layout, Section, pages_of
from clvmodels.report.sections.downloads import names_beside
from clvmodels.report.tables import json_block
from clvmodels.report.voice import SourceOf, Voice, voice_for
from clvmodels.report.words import languages, read_words
from clvmodels.study.store import Leftovers

SCRIPTS = ("page.js", "tables.js", "readouts.js", "explorer.js")  # one script on the page, in this order


def render_report(results: Results | str | Path, *, language: str = "en", output: str | Path | None = None) -> Path:
    """The path of the main page written: index.html (English) or index.<language>.html.

    Where the results tell of choices of what counts, the page of data quality is written beside it:
    data.html or data.<language>.html, and `<name>-data` beside an output of another name.

    Parameters
    ----------
    results : StudyResults or RetentionResults, or the folder of a study (or its results.json)
    language : code of a text catalogue, "en" or "zh"
    output : file to write, or None for the page's own name in the study's folder (`reports/<name>` for
        such results). The customers table, the costs and the downloads are looked for beside it and in
        the study's folder, and taken from where results.json has these very results: two runs never mix.

    Raises
    ------
    StudyError
        If the results are missing or of another version, the language has no catalogue, or the page
        cannot be written. A page that was there stays as it was.
    """
    read_words(language)
    folder, record = _located(results)
    target = folder / page_name(language) if output is None else Path(output)
    names = {layout.stem: _named(target, language, layout.stem) for layout in pages_of(record)}
    beside = next((place for place in (target.parent, folder) if holds(place, record)), None)
    source, digest = replace(_source(record, beside), pages=names), results_digest(record, beside)
    for layout in pages_of(record):
        page = with_origin(render_page(source, language, layout=layout), digest)
        write_atomically(target.with_name(names[layout.stem]), page)
    return target


def page_names(results: Results, language: str) -> list[str]:
    """File names of a study's pages in a language, the main page first."""
    return [page_name(language, layout.stem) for layout in pages_of(results)]


def page_name(language: str, stem: str = "index") -> str:
    """File name of a language's page."""
    return f"{stem}.html" if language == "en" else f"{stem}.{language}.html"


def _named(main: Path, language: str, stem: str) -> str:
    """Name of a page beside the main one: two reports in one folder keep their pages apart."""
    if stem == PURCHASES.stem:
        return main.name
    return page_name(language, stem) if main.name == page_name(language) else f"{main.stem}-{stem}{main.suffix}"


def _located(results: Results | str | Path) -> tuple[Path, Results]:
    if isinstance(results, Results):
        return Path("reports") / results.study.name, results
    path = Path(results)
    return (path if path.is_dir() else path.parent), read_results(path)


def _source(results: Results, folder: Path | None) -> SourceOf[Any]:
    """The results with the tables of the folder that holds these results."""
    if folder is None:
        return SourceOf(results, None, [], ())
    there = names_beside(folder, pages_of(results)[0].files)
    costs = read_method_costs(folder)
    customers = read_customers(folder) if isinstance(results, StudyResults) else None  # no other page shows them
    return SourceOf(results, customers, read_costs(folder), there, method_costs=costs)


def render_page(source: SourceOf[Any], language: str, *, layout: Layout[Any] | None = None) -> str:
    """A page as text, the study's main one by default; the same source gives the same text."""
    layout = pages_of(source.results)[0] if layout is None else layout
    voice = voice_for(source.results, language)
    environment = _environment()
    parts = [
        (section, environment.get_template(f"{section.key}.html.j2").render(_context(built, voice)))
        for section in layout.sections
        if (built := section.build(source, voice)) is not None
    ]
    return page_of("page.html.j2", _page_context(source, voice, layout, parts))


def page_of(template: str, context: dict[str, Any]) -> str:
    """A page with the style sheet, the script and the fonts in it."""
    script = "".join(_asset(name) for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = {"style": Markup(_asset("page.css")), "script": Markup(script), "script_digest": digest}
    body = _environment().get_template(template).render(**own, **context)
    return body.replace("/*fonts*/", _fonts(body), 1)


@cache
def _environment() -> Environment:
    loader = PackageLoader("clvmodels.report", "templates")
    return Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _context(section: dict[str, Any], voice: Voice) -> dict[str, Any]:
    return {"s": section, "say": voice.say, "level": voice.level}


def _page_context(
    source: SourceOf[Any], voice: Voice, layout: Layout[Any], parts: list[tuple[Section[Any], str]]
) -> dict[str, Any]:
    study, head = source.results.study, layout.head(source.results, voice)
    language = voice.words.language
    return {
        "language": voice.text("page.tag"),
        "others": [
            (code, page_name(code, layout.stem), read_words(code).at("page.name"))
            for code in study.languages
            if code != language and code in languages()
        ],
        "head": head,
        "report": None if layout.stem == PURCHASES.stem else source.pages.get(PURCHASES.stem),
        "facts": layout.facts(source.results, voice),
        "chapters": _chapters([section for section, _ in parts], voice),
        "parts": [(section.key, Markup(html)) for section, html in parts],  # escaped when rendered
        "made_by": layout.made_by(source.results, voice),
        "formats": json_block(voice.numbers.for_script()),
        "say": voice.say,
    }


def _chapters(sections: list[Section[Any]], voice: Voice) -> list[tuple[str, list[tuple[str, str]]]]:
    """The contents: headings of chapters, empty for none, each with keys and names of its sections."""
    return [
        (voice.text(f"chapters.{key}") if key else "", [(s.key, voice.text(f"sections.{s.key}")) for s in group])
        for key, group in groupby(sections, key=lambda section: section.chapter)
    ]


@cache
def _asset(name: str) -> str:
    return (files("clvmodels.report") / "assets" / name).read_text(encoding="utf-8")


def _fonts(page: str) -> str:
    """The page's two faces, cut to its characters."""
    characters = set(page)
    return font_face(SANS, characters) + font_face(
        SERIF, {character for character in characters if ord(character) < 0x3000}
    )


def write_atomically(target: Path, text: str) -> Path:
    """Write a file whole or not at all.

    Raises
    ------
    StudyError
        If the folder cannot be made or written.
    """
    partial = Leftovers(target.parent, f".{target.name}").name()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StudyError(
            f"{target}: cannot be written ({error.strerror}). Choose a folder that you may write to."
        ) from None
    return target
