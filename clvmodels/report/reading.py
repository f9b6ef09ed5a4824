"""What a report reads beside the customers table: results.json, and what the run cost."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from clvmodels.foundation.any_results import Results, results_of
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.limits import RESULTS_FILE, read_whole
from clvmodels.foundation.results import MethodCost


@dataclass(frozen=True)
class Cost:
    """Wall seconds and peak megabytes of one step of a study."""

    step: str
    seconds: float
    megabytes: float | None


@dataclass(frozen=True)
class _MethodCosts:
    """Costs of methods by data set; those of other studies have none."""

    methods: dict[str, list[MethodCost]] = field(default_factory=dict)


def read_results(path: str | Path) -> Results:
    """The results of a study from its folder, or from its results.json.

    Raises
    ------
    StudyError
        If the file is missing, or does not hold the results of this version.
    """
    path = Path(path)
    source = path / "results.json" if path.is_dir() else path
    if not source.is_file():
        raise StudyError(f"{source}: no such file. Run the study first: it leaves results.json in its folder.")
    text = read_whole(source, RESULTS_FILE, error=StudyError)
    try:
        return results_of(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StudyError(
            f"{source}: not the results of this version of clvmodels ({error}). Run the study again."
        ) from None


def holds(folder: Path, results: Results) -> bool:
    """Whether a folder's results.json has these results, so that the tables beside it are theirs."""
    try:
        return read_results(folder) == msgspec.json.decode(msgspec.json.encode(results), type=type(results))
    except (StudyError, msgspec.DecodeError):
        return False


def read_costs(folder: Path) -> list[Cost]:
    """Steps of the run from costs.json or manifest.json (`steps`: name, seconds, megabytes), if there are."""
    for name in ("costs.json", "manifest.json"):
        if (folder / name).is_file():
            steps = _steps(_costs(folder / name))
            if steps:
                return steps
    return []


def read_method_costs(folder: Path) -> dict[str, list[MethodCost]]:
    """What each method's forecast cost, by data set, from costs.json (`methods`), if there is any.

    Raises
    ------
    StudyError
        If what the file has there is of another version.
    """
    source = folder / "costs.json"
    if not source.is_file():
        return {}
    try:
        return msgspec.json.decode(read_whole(source, RESULTS_FILE, error=StudyError), type=_MethodCosts).methods
    except (msgspec.DecodeError, RecursionError) as error:
        raise StudyError(
            f"{source}: not the costs of this version of clvmodels ({error}). Run the study again."
        ) from None


def _costs(path: Path) -> dict[str, Any]:
    text = read_whole(path, RESULTS_FILE, error=StudyError)
    try:
        record: dict[str, Any] = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(f"{path}: not the costs of a run ({error}). Run the study again.") from None
    return record


def _steps(record: dict[str, Any]) -> list[Cost]:
    return [Cost(step["name"], step["seconds"], step.get("megabytes")) for step in record.get("steps", [])]
