"""Method notes, what the report cannot say, terms, references: texts of the catalogue alone."""

from typing import Any

from clvmodels.report.voice import Source, Voice


def method(source: Source, voice: Voice) -> dict[str, Any]:
    """The texts; what a model assumes and leaves out stands here for the study's own models alone."""
    told = {part: voice.words.at(f"method.{part}") for part in ("notes", "limits", "glossary", "references")}
    first, *rest = told["notes"]
    notes = [first, *_of_models("notes_of", source, voice), *rest]
    return {**told, "notes": notes, "limits": [*told["limits"], *_of_models("limits_of", source, voice)]}


def _of_models(part: str, source: Source, voice: Voice) -> list[str]:
    texts = voice.words.at(f"method.{part}")
    models = dict.fromkeys(fit.model for fit in source.results.models.fits)
    return [texts[model] for model in models if model in texts]
