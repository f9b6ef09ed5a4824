"""What to do for each type: treatment, ceiling on spend, budget."""

from typing import Any

from clvmodels.foundation.results import Cell
from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.voice import Source, Voice, cell_names

PARTS = ("aim", "offer", "service", "contact", "measure", "exit")


def strategy(source: Source, voice: Voice) -> dict[str, Any]:
    """A treatment for each cell, with its ceiling and its budget."""
    names = cell_names(source.results, voice)
    cells = sorted(source.results.matrix.cells, key=lambda cell: CELL_ORDER.index(cell.key))
    return {"cells": [_treatment(cell, names[cell.key], voice) for cell in cells]}


def _treatment(cell: Cell, name: str, voice: Voice) -> dict[str, Any]:
    texts = f"strategy.cells.{cell.key}"
    return {
        "key": cell.key,
        "name": name,
        "phrase": voice.text(f"{texts}.phrase"),
        "ceiling": voice.say("strategy.ceiling", amount=voice.numbers.money(cell.ceiling_per_customer)),
        "basis": voice.say("strategy.basis", share=voice.numbers.setting(cell.ceiling_share)),
        "budget": voice.say(
            "strategy.budget", amount=voice.numbers.money(cell.budget), count=voice.count(cell.customers)
        ),
        "parts": [(voice.text(f"strategy.{part}"), voice.text(f"{texts}.{part}")) for part in PARTS],
    }
