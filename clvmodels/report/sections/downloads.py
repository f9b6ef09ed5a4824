"""Files beside the page, and what the run cost."""

from typing import Any

from clvmodels.report.reading import Cost
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import Source, Voice

FILES = (
    "customers.csv",
    "customers.parquet",
    "comparison.csv",
    "segments.csv",
    "holdout.csv",
    "results.json",
)


def downloads(source: Source, voice: Voice) -> dict[str, Any]:
    """The files that are there, and the costs of the run."""
    return {
        "files": [
            (name, voice.text(f"downloads.{name.replace('.', '_')}")) for name in FILES if name in source.downloads
        ],
        "costs": _costs(source.costs, voice) if source.costs else None,
    }


def _costs(costs: list[Cost], voice: Voice) -> Table:
    texts = [voice.text(f"downloads.head_{head}") for head in ("step", "seconds", "megabytes")]
    rows = tuple(
        (_step(cost.step, voice), voice.numbers.decimal(cost.seconds, 1), voice.count(cost.megabytes)) for cost in costs
    )
    return Table(voice.text("downloads.costs"), columns(*texts), rows)


def _step(key: str, voice: Voice) -> str:
    """The name of a step; that of a rival's has its model's."""
    rival = key.removeprefix("rival_")
    if rival == key:
        return voice.words.name("steps", key)
    return str(voice.say("rivals.step", model=voice.words.name("rivals.models", rival)))
