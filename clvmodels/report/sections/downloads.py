"""Files beside the page, and what the run cost."""

from pathlib import Path
from typing import Any

from clvmodels.report.reading import Cost
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import ContestSource, RetentionSource, Source, Voice

FILES = (
    "customers.csv",
    "customers.parquet",
    "comparison.csv",
    "segments.csv",
    "holdout.csv",
    "results.json",
)
RETENTION_FILES = ("curves.csv", "values.csv", "survivors.csv", "results.json", "manifest.json", "draws/*.nc")

CONTEST_FILES = (
    "winners.csv",
    "league.csv",
    "verdicts.csv",
    "duels.csv",
    "comparison.csv",
    "totals.csv",
    "conformal.csv",
    "results.json",
    "costs.json",
    "manifest.json",
)


def names_beside(folder: Path, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the files in a folder that fit the patterns, in their order."""
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file())
    return tuple(path.relative_to(folder).as_posix() for path in found)


def downloads(source: Source | RetentionSource | ContestSource, voice: Voice) -> dict[str, Any]:
    """The files that are there, and the costs of the run."""
    return {
        "files": [(name, voice.text(f"downloads.{_key(name)}")) for name in source.downloads],
        "costs": _costs(source.costs, voice) if source.costs else None,
    }


def _key(name: str) -> str:
    """The key of a file's text; all draws share one."""
    return "draws_nc" if name.startswith("draws/") else name.replace(".", "_")


def _costs(costs: list[Cost], voice: Voice) -> Table:
    texts = [voice.text(f"downloads.head_{head}") for head in ("step", "seconds", "megabytes")]
    rows = tuple(
        (_step(cost.step, voice), voice.numbers.decimal(cost.seconds, 1), voice.count(cost.megabytes)) for cost in costs
    )
    return Table(voice.text("downloads.costs"), columns(*texts), rows)


def _step(key: str, voice: Voice) -> str:
    """The name of a step; that of a rival's has its model's, that of a segment's or a data set's what it is of."""
    rival = key.removeprefix("rival_")
    if rival == key:
        step, _, of = key.partition(" ")
        return " · ".join(filter(None, (voice.words.name("steps", step), of)))
    return str(voice.say("rivals.step", model=voice.words.name("rivals.models", rival)))
