"""The words of a page: a text catalogue of one language, read from report/text/<code>.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.errors import StudyError
from clvmodels.report.numbers import tidy


@dataclass(frozen=True)
class Words:
    """All texts of one language, by nested keys; the texts are trusted, what fills them is not.

    Attributes
    ----------
    language : code, such as "en"
    texts : the catalogue as nested mappings
    """

    language: str
    texts: Mapping[str, Any]

    def at(self, key: str) -> Any:
        """What stands at a dotted key: a text, a list or a group.

        Raises
        ------
        KeyError
            If the catalogue has no such key.
        """
        node: Any = self.texts
        for part in key.split("."):
            if part not in node:
                raise KeyError(f"report/text/{self.language}.toml has no {key!r}")
            node = node[part]
        return node

    def say(self, key: str, **values: object) -> Markup:
        """The sentence at `key`, its placeholders filled; values are escaped, the sentence is not."""
        return Markup(tidy(Markup(self.at(key)).format(**values)))

    def name(self, group: str, key: str) -> str:
        """The reader's name of a method, score, reason or check; the key itself where none is written yet.

        A study may hold a key that this version's catalogue does not know; a report with one raw
        key in it serves its reader better than no report.
        """
        entry = self.at(group).get(key, key)
        return str(entry["name"] if isinstance(entry, Mapping) else entry)

    def detail(self, group: str, key: str, field: str) -> str:
        """A field of an entry, such as the explanation of a check; empty where none is written yet."""
        entry = self.at(group).get(key)
        return str(entry[field]) if isinstance(entry, Mapping) else ""


def languages() -> tuple[str, ...]:
    """Codes of the languages that have a catalogue."""
    texts = files("clvmodels.report") / "text"
    return tuple(sorted(item.name.removesuffix(".toml") for item in texts.iterdir() if item.name.endswith(".toml")))


@cache
def read_words(language: str) -> Words:
    """The catalogue of a language.

    Raises
    ------
    StudyError
        If there is none.
    """
    if language not in languages():
        have = ", ".join(f'"{code}"' for code in languages())
        raise StudyError(f'language = "{language}": expected one of {have}.')
    text = (files("clvmodels.report") / "text" / f"{language}.toml").read_text(encoding="utf-8")
    return Words(language, tomllib.loads(text))
