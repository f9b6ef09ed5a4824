"""Method notes, what the report cannot say, terms, references: texts of the catalogue alone."""

from typing import Any

from clvmodels.report.voice import Source, Voice


def method(_source: Source, voice: Voice) -> dict[str, Any]:
    """The texts."""
    return {part: voice.words.at(f"method.{part}") for part in ("notes", "limits", "glossary", "references")}
