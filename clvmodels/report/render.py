"""`render_report`: a study's results as one self-contained page of a language."""

import base64
import hashlib
import os
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from clvmodels.foundation.errors import StudyError
from clvmodels.report.fonts import SANS, SERIF, font_face
from clvmodels.report.reading import holds, read_costs, read_customers, read_results
from clvmodels.report.sections import layout_of
from clvmodels.report.sections.downloads import names_beside
from clvmodels.report.voice import Results, SourceOf, Voice, voice_for
from clvmodels.report.words import languages, read_words


def render_report(results: Results | str | Path, *, language: str = "en", output: str | Path | None = None) -> Path:
    """The path of the page written: index.html (English) or index.<language>.html.

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
    page = render_page(_source(record, (target.parent, folder)), language)
    return write_atomically(target, page)


def page_name(language: str) -> str:
    """File name of a language's page."""
    return "index.html" if language == "en" else f"index.{language}.html"


def _located(results: Results | str | Path) -> tuple[Path, Results]:
    if isinstance(results, Results):
        return Path("reports") / results.study.name, results
    path = Path(results)
    return (path if path.is_dir() else path.parent), read_results(path)


def _source(results: Results, folders: tuple[Path, ...]) -> SourceOf[Any]:
    """The results with the tables of the first folder that holds these results."""
    folder = next((folder for folder in folders if holds(folder, results)), None)
    if folder is None:
        return SourceOf(results, None, [], ())
    there = names_beside(folder, layout_of(results).files)
    return SourceOf(results, read_customers(folder), read_costs(folder), there)


def render_page(source: SourceOf[Any], language: str) -> str:
    """The page as text; the same source gives the same text."""
    voice = voice_for(source.results, language)
    environment = _environment()
    parts = [
        (section.key, environment.get_template(f"{section.key}.html.j2").render(_context(built, voice)))
        for section in layout_of(source.results).sections
        if (built := section.build(source, voice)) is not None
    ]
    body = environment.get_template("page.html.j2").render(_page_context(source, voice, parts))
    return body.replace("/*fonts*/", _fonts(body), 1)


@cache
def _environment() -> Environment:
    loader = PackageLoader("clvmodels.report", "templates")
    return Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _context(section: dict[str, Any], voice: Voice) -> dict[str, Any]:
    return {"s": section, "say": voice.say, "level": voice.level}


def _page_context(source: SourceOf[Any], voice: Voice, parts: list[tuple[str, str]]) -> dict[str, Any]:
    study, layout = source.results.study, layout_of(source.results)
    language = voice.words.language
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "language": {"en": "en", "zh": "zh-Hans"}.get(language, language),
        "others": [
            (code, page_name(code), read_words(code).at("page.name"))
            for code in study.languages
            if code != language and code in languages()
        ],
        "title": study.title.get(language, study.name),
        "background": study.background.get(language, ""),
        "facts": layout.facts(source.results, voice),
        "parts": [(key, voice.text(f"sections.{key}"), Markup(html)) for key, html in parts],  # escaped when rendered
        "made_by": layout.made_by(source.results, voice),
        "style": Markup(_asset("page.css")),
        "script": Markup(script),
        "script_digest": digest,
        "say": voice.say,
    }


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
    temporary = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            temporary = file.name
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # a temporary file is private, a page is for others to read
        Path(temporary).replace(target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True) if temporary else None
        raise StudyError(
            f"{target}: cannot be written ({error.strerror}). Choose a folder that you may write to."
        ) from None
    return target
