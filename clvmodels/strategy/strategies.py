"""Words on what to do with each class of customers: data that a company may bring its own of.

A study file names a file of its own beside it, `strategies = "ours.toml"`, and that file has the classes that differ:

    [matrix.low_low.en]
    name = "Self-service only"
    aims = ["Serve without loss."]
    offer = ["The catalogue, at list price."]
    measures = ["Cost to serve a customer."]

    [matrix.low_low.zh]
    name = "仅限自助服务"
    aims = ["服务但不亏本。"]

Tables are [scheme.class.language]. Schemes and classes are those of `CLASSES`, languages those of `LANGUAGES`. A class
that the file has takes the place of the one in strategies.toml, whole: what it leaves out is left out of the report.
`name` is a phrase for the treatment; the others are lists of sentences and may be left out. Every class is written in
every language, so that all pages say the same.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from clvmodels.foundation.decision_results import Strategies, StrategyText
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.limits import STUDY_FILE, read_whole
from clvmodels.strategy.lifecycle import STAGES
from clvmodels.strategy.pyramid import TIERS
from clvmodels.strategy.value_matrix import CELLS

CLASSES = {
    "matrix": CELLS,
    "pyramid": tuple(TIERS),
    "lifecycle": STAGES,
}
LANGUAGES = ("en", "zh")
LISTS = ("aims", "offer", "service", "contact", "exit", "measures")
OURS = "strategies.toml"

Texts = dict[str, dict[str, dict[str, StrategyText]]]


def read_strategies(path: str | Path | None = None) -> Strategies:
    """What to do with each class, in each language: the package's words, and a company's own in their place.

    Parameters
    ----------
    path : file with the classes that differ, or None for the package's words alone

    Raises
    ------
    StudyError
        If the file is missing or not TOML; if it has a scheme, class, language or key that is not known; or if a
        class lacks a language, or a text its name.
    """
    text = resources.files("clvmodels.strategy").joinpath(OURS).read_text(encoding="utf-8")
    shipped = _texts(OURS, tomllib.loads(text))
    if path is None:
        return Strategies(OURS, shipped)
    own = _texts(str(path), _tables(Path(path)))
    return Strategies(Path(path).name, {scheme: {**shipped[scheme], **own.get(scheme, {})} for scheme in shipped})


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_whole(path, STUDY_FILE, error=StudyError).decode())
    except OSError as problem:
        raise StudyError(f"{path}: cannot read the strategies ({problem.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise StudyError(f"{path} is not TOML: {problem}.") from None
    except RecursionError:
        raise StudyError(f"{path}: tables and lists lie too deep in each other for strategies.") from None


def _texts(place: str, tables: dict[str, Any]) -> Texts:
    """Every class of a file, checked."""
    found: Texts = {}
    for scheme, classes in _known(place, "", tables, tuple(CLASSES)).items():
        at = f"[{scheme}]"
        found[scheme] = {
            key: _in_every_language(place, f"{scheme}.{key}", languages)
            for key, languages in _known(place, at, classes, CLASSES[scheme]).items()
        }
    return found


def _in_every_language(place: str, at: str, languages: Any) -> dict[str, StrategyText]:
    tables = _known(place, f"[{at}]", languages, LANGUAGES)
    missing = [language for language in LANGUAGES if language not in tables]
    if missing:
        raise StudyError(f"{place}, [{at}]: the language {missing[0]!r} is missing; write [{at}.{missing[0]}].")
    return {language: _text(place, f"[{at}.{language}]", tables[language]) for language in LANGUAGES}


def _text(place: str, at: str, table: Any) -> StrategyText:
    entries = _known(place, at, table, ("name", *LISTS))
    try:
        text = msgspec.convert({**{key: [] for key in LISTS}, **entries}, StrategyText)
    except msgspec.ValidationError as problem:
        raise StudyError(f'{place}, {at}: {problem}; name is a text, others are lists of texts: ["..."].') from None
    if not text.name.strip():
        raise StudyError(f'{place}, {at}: the key "name" is empty.')
    return text


def _known(place: str, at: str, table: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """A table whose keys are all among those known.

    Raises
    ------
    StudyError
        If it is no table, or has another key.
    """
    where = f"{place}, {at}" if at else place
    if not isinstance(table, dict):
        raise StudyError(f"{where} = {table!r}: expected a table.")
    unknown = [key for key in table if key not in keys]
    if unknown:
        raise StudyError(f'{where}: unknown key "{unknown[0]}". Known keys: {", ".join(keys)}.')
    return table
