"""A study as units of work, from its inputs to the folder that is published; alike for every kind of study."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.errors import StudyError
from clvmodels.study import outputs
from clvmodels.study.current import STORE, input_note, run_note
from clvmodels.study.files import StudyFile
from clvmodels.study.inputs import Inputs, find_inputs
from clvmodels.study.manifest import FitLine
from clvmodels.study.progress import Steps, Tell
from clvmodels.study.publish import publish, recover, sweep
from clvmodels.study.store import Store
from clvmodels.study.supervised import Watch
from clvmodels.study.units import Unit, Units

Render = Callable[[Path], None]


@dataclass(frozen=True)
class Task:
    """A study that is to be run: its file, its settings once a source of the caller is in them, and its inputs.

    Attributes
    ----------
    data : source of the caller, in place of the study's own
    words : further text that its results hold, such as strategies
    render : makes pages in a folder that has results; None for none
    """

    file: StudyFile[Any]
    study: Any
    output: Path
    data: str | None
    inputs: Inputs
    words: Any
    render: Render | None

    @property
    def folder(self) -> Path:
        """Of the report."""
        return self.output / str(self.study.name)

    @property
    def note(self) -> dict[str, Any]:
        """See `run_note`."""
        return run_note(self.file.digest, self.data, pages=self.render is not None)

    @property
    def identity(self) -> str:
        """Digest of all that the report rests on."""
        parts = [msgspec.to_builtins(self.study), self.inputs.digests, msgspec.to_builtins(self.words), self.note]
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


@dataclass(frozen=True)
class Graph[R: Results]:
    """A study's units, the one that makes its results, and what writes them, with all tables, into a folder.

    Attributes
    ----------
    fits : what is written of fits into the manifest
    """

    task: Task
    units: Units
    results: Unit[R]
    write: Callable[[Path], None]
    provenance: Mapping[str, Any]
    fits: Callable[[], Sequence[FitLine]] = tuple


def task_of(
    file: StudyFile[Any],
    study: Any,
    *,
    output: str | Path,
    data: str | None,
    sources: Sequence[str],
    words: Any = None,
    render: Render | None,
) -> Task:
    """A study with the digests of its inputs.

    Raises
    ------
    DataError
        If one is not there.
    StudyError
        If the report's folder cannot be written.
    """
    folder = Path(output) / study.name
    outputs.require_writable(folder)
    recover(folder)
    return Task(file, study, Path(output), data, find_inputs(sources), words, render)


def units_of(task: Task, tell: Tell, watch: Watch) -> Units:
    """No units yet, over the store beside the reports."""
    store = Store(task.output / STORE)
    sweep(task.output, task.study.name)
    return Units(task.study, task.study.name, store, Steps(0, tell), task.inputs.still, watch)


def run_graph[R: Results](graph: Graph[R]) -> R:
    """Make what is not kept, and publish the report.

    Raises
    ------
    StudyError
        If a unit fails, if an input changes meanwhile, or if the report cannot be written.
    """
    units, task = graph.units, graph.task
    units.steps.total = len(units.to_make()) + 1
    units.run()
    results: R = graph.results()
    with units.steps.step("write", "write results, tables and pages"):
        publish(task.folder, lambda folder: _fill(folder, graph))
    units.store.note_run(task.study.name, _note(graph))
    return results


def _note(graph: Graph[Any]) -> dict[str, Any]:
    """What the published report rests on, for `current_folder`, and the keys of what `prune` is to leave."""
    task, inputs = graph.task, graph.task.inputs
    return {
        **task.note,
        "identity": task.identity,
        "inputs": {
            source: input_note(source, inputs.files[source], digest) for source, digest in inputs.digests.items()
        },
        "keys": [unit.key for unit in graph.units.known.values() if unit.codec is not None],
    }


def _fill(folder: Path, graph: Graph[Any]) -> None:
    """Everything of a report, into an empty folder."""
    graph.write(folder)
    costs = {unit.name: graph.units.entry(unit) for unit in graph.units.known.values() if unit.codec is not None}
    units = {name: entry for name, entry in costs.items() if entry is not None}
    outputs.write_manifest(folder, graph.task.identity, graph.task.file, graph.provenance, units, fits=graph.fits())
    if graph.task.render is not None:
        graph.task.render(folder)
        outputs.note_files(folder)
    _require_same_inputs(graph)


def _require_same_inputs(graph: Graph[Any]) -> None:
    """Refuse to publish where the inputs are not those that the study began with: the last thing before it is done."""
    try:
        graph.task.inputs.still_the_same()
    except StudyError:
        graph.units.store.forget(graph.units.fresh)  # of other bytes than their keys say
        raise
