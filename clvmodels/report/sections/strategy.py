"""What to do for each type, tier and stage: the study's words, with the ceiling on spend and the budget of a type."""

from typing import Any

from clvmodels.foundation.decision_results import Strategies, StrategyText
from clvmodels.foundation.results import Cell
from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.sections.parts import strategy_text
from clvmodels.report.voice import Source, Voice, cell_names

PARTS = ("aims", "offer", "service", "contact", "measures", "exit")
SHIPPED = "strategies.toml"


def strategy(source: Source, voice: Voice) -> dict[str, Any] | None:
    """A treatment for each cell, with its ceiling and its budget; then those of tiers and of stages."""
    strategies = source.results.strategies
    if strategies is None:
        return None
    names = cell_names(source.results, voice)
    cells = sorted(source.results.matrix.cells, key=lambda cell: CELL_ORDER.index(cell.key))
    return {
        "cells": [_treatment(cell, names[cell.key], strategies, voice) for cell in cells],
        "schemes": [
            _scheme("pyramid", voice.words.at("pyramid.tiers"), strategies, voice),
            _scheme("lifecycle", voice.words.at("stages.names"), strategies, voice),
        ],
        "source": voice.say("strategy.own", source=strategies.source) if strategies.source != SHIPPED else None,
    }


def _treatment(cell: Cell, name: str, strategies: Strategies, voice: Voice) -> dict[str, Any]:
    return {
        "key": cell.key,
        "name": name,
        "ceiling": voice.say("strategy.ceiling", amount=voice.numbers.money(cell.ceiling_per_customer)),
        "basis": voice.say("strategy.basis", share=voice.numbers.setting(cell.ceiling_share)),
        "budget": voice.say(
            "strategy.budget", amount=voice.numbers.money(cell.budget), count=voice.count(cell.customers)
        ),
        **_words(strategy_text(strategies, "matrix", cell.key, voice), voice),
    }


def _scheme(scheme: str, names: dict[str, str], strategies: Strategies, voice: Voice) -> dict[str, Any]:
    return {
        "title": voice.text(f"strategy.{scheme}"),
        "classes": [
            {"name": names.get(key, key), **_words(text, voice)}
            for key in strategies.texts.get(scheme, {})
            if (text := strategy_text(strategies, scheme, key, voice)) is not None
        ],
    }


def _words(text: StrategyText | None, voice: Voice) -> dict[str, Any]:
    if text is None:
        return {"phrase": "", "parts": []}
    parts: list[tuple[str, list[str]]] = [(voice.text(f"strategy.{part}"), getattr(text, part)) for part in PARTS]
    return {"phrase": text.name, "parts": [(name, sentences) for name, sentences in parts if sentences]}
