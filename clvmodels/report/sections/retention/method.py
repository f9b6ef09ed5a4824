"""What was assumed, in plain words; where the data come from; limits, terms and references."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.retention_results import RetentionResults
from clvmodels.report.sections.retention.wording import model_name
from clvmodels.report.tables import Column, Table, columns
from clvmodels.report.voice import RetentionSource, Voice

DIGEST = 12  # letters of a digest that tell it from any other


def retention_method(source: RetentionSource, voice: Voice) -> dict[str, Any]:
    """The assumptions of this study, the sources, what became of rows, and the catalogue's texts."""
    results = source.results
    texts = {part: voice.words.at(f"retention_method.{part}") for part in ("notes", "limits", "glossary")}
    return {
        **texts,
        "assumed": _assumed(results, voice),
        "sources": _sources(results, voice) if results.study.sources else None,
        "privacy": None if results.study.privacy == "open" else voice.text("privacy.contracts"),
        "ledger": _ledger(results, voice) if results.ledger else None,
        "references": voice.words.at("method.references_retention"),
    }


def _assumed(results: RetentionResults, voice: Voice) -> list[Markup]:
    study, numbers = results.study, voice.numbers
    said = {
        "price" if study.margin == 1 else "price_margin": {
            "price": numbers.money(study.price),
            "margin": numbers.setting(study.margin),
        },
        "discount": {"rate": numbers.setting(study.annual_discount_rate)},
        "due_now" if study.due == 0 else "due_ahead": {"length": voice.length(study.due)},
        "currency": {"currency": voice.words.name("currency", study.currency)},
        "model": {"model": model_name(study.model, voice)},
        "what_if": {"setting": numbers.setting(study.fewer_defections)},
        "intervals": {"level": voice.level},
    }
    return [voice.say(f"retention_method.{key}", **values) for key, values in said.items()]


def _sources(results: RetentionResults, voice: Voice) -> Table:
    texts = [voice.text(f"retention_method.head_{head}") for head in ("source", "digest")]
    rows = tuple((name, digest[:DIGEST]) for name, digest in results.study.sources.items())
    return Table(
        voice.text("retention_method.table_sources"), tuple(Column(text, number=False) for text in texts), rows
    )


def _ledger(results: RetentionResults, voice: Voice) -> Table:
    """What became of the rows; a table of survivors has no amounts."""
    texts = [voice.text(f"data.head_{head}") for head in ("reason", "rows", "sample")]
    rows = tuple(
        (
            voice.words.name("reasons", line.reason),
            voice.count(line.rows),
            voice.numbers.formats["comma"].join(line.sample),
        )
        for line in results.ledger
    )
    heads = (*columns(*texts[:2]), Column(texts[2], number=False))
    return Table(voice.text("data.table_ledger"), heads, rows)
