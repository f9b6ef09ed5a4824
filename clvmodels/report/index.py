"""A page over all studies of a folder: a card for each, made from its results alone."""

import datetime as dt
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.contest_results import ContestResults
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.retention_results import RetentionResults
from clvmodels.report.numbers import numbers_for
from clvmodels.report.reading import read_results
from clvmodels.report.render import page_name, page_names, page_of, write_atomically
from clvmodels.report.sections import pages_of
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.retention.who_stays import whole_base
from clvmodels.report.sections.rolling_contest.answer import main_verdict
from clvmodels.report.tables import json_block
from clvmodels.report.voice import Voice, voice_for
from clvmodels.report.words import read_words

MARK = '<meta name="generator" content="clvmodels index of studies">'  # by which a page of ours is known

NO_CURRENCY = ""  # studies may differ in theirs


@dataclass(frozen=True)
class Found:
    """A study's folder with its results, or with what is wrong with them.

    Attributes
    ----------
    run : day of the results, by the file's time
    """

    folder: Path
    run: str
    results: Results | None
    problem: str = ""


def render_index(folder: str | Path, *, languages: tuple[str, ...] = ("en", "zh")) -> list[Path]:
    """The paths of the pages written over all studies in a folder: index.html and index.<language>.html.

    A study whose results cannot be read is named with the reason; it stops no other.

    Parameters
    ----------
    folder : that holds the folders of studies, such as `reports`
    languages : codes of text catalogues

    Raises
    ------
    StudyError
        If the folder has no study, has a page of another origin under that name, or cannot be written.
    """
    folder = Path(folder)
    found = [_found(path.parent) for path in sorted(folder.glob("[!.]*/results.json"))]
    if not found:
        raise StudyError(f"{folder}: no folder in it has a results.json. Run a study first.")
    targets = [folder / page_name(language) for language in languages]
    for target in targets:
        if target.is_file() and not is_index(target):
            raise StudyError(f"{target}: not a page over studies, so it is left as it is. Move it away to have one.")
    return [
        write_atomically(target, _page(found, folder, language, languages))
        for target, language in zip(targets, languages, strict=True)
    ]


def is_index(page: Path) -> bool:
    """Whether a file is there and is a page over studies."""
    return page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")


def _found(folder: Path) -> Found:
    source = folder / "results.json"
    run = dt.datetime.fromtimestamp(source.stat().st_mtime, tz=dt.UTC).date().isoformat()
    try:
        return Found(folder, run, read_results(folder))
    except (StudyError, OSError) as problem:
        return Found(folder, run, None, str(problem).removeprefix(f"{source}: "))


def _page(found: list[Found], folder: Path, language: str, languages: tuple[str, ...]) -> str:
    words, others = read_words(language), [code for code in languages if code != language]
    cards = [_card(study, study.results, folder, language) for study in found if study.results is not None]
    return page_of(
        "studies.html.j2",
        {
            "language": words.at("page.tag"),
            "others": [(code, page_name(code), read_words(code).at("page.name")) for code in others],
            "mark": Markup(MARK),
            "cards": sorted(cards, key=lambda card: card["title"].lower()),
            "broken": [(study.folder.name, study.problem) for study in found if study.results is None],
            "made_by": words.say("studies.made_by", version=metadata.version("clvmodels")),
            "formats": json_block(numbers_for(words.texts, NO_CURRENCY).for_script()),
            "say": words.say,
        },
    )


def _card(study: Found, results: Results, folder: Path, language: str) -> dict[str, Any]:
    voice = voice_for(results, language)
    return {
        "title": results.study.title.get(language, results.study.name),
        "background": results.study.background.get(language, ""),
        "kind": voice.text(f"studies.kinds.{_kind(results)}"),
        "facts": pages_of(results)[0].facts(results, voice),
        **_headline(results, voice),
        "links": _links(study, results, folder),
        "run": voice.say("studies.run", date=voice.numbers.date(study.run)),
    }


def _kind(results: Results) -> str:
    return getattr(results, "kind", "purchases")


def _headline(results: Results, voice: Voice) -> dict[str, Any]:
    """A number with what it is and its interval, or a verdict."""
    if isinstance(results, ContestResults):
        return {"amount": "", "label": main_verdict(results, voice) or "", "range": ""}
    if isinstance(results, RetentionResults):
        equity, label = whole_base(results).equity, voice.text("who_stays.label")
    else:
        equity = results.value.equity
        key = "headline.label" if equity.mean is not None else "headline.label_median"
        label = str(voice.say(key, horizon=voice.length(results.value.horizon)))
    return {
        "amount": voice.numbers.compact(middle(equity)),
        "label": label,
        "range": voice.say(
            "studies.between", level=voice.level, range=voice.numbers.interval(equity, voice.numbers.compact)
        ),
    }


def _links(study: Found, results: Results, folder: Path) -> list[tuple[str, str, str]]:
    """Language, address and name of each page and PDF that is there."""
    links = []
    for language in results.study.languages:
        words = read_words(language)
        for layout, name in zip(pages_of(results), page_names(results, language), strict=True):
            told = words.at("page.name") if layout.stem == "index" else words.at("studies.data")
            page = study.folder / name
            for path, ending in ((page, ""), (page.with_suffix(".pdf"), " (PDF)")):
                if path.is_file():
                    links.append((language, path.relative_to(folder).as_posix(), told + ending))
    return links
