"""`compare_runs`: two runs of a study, number by number, each difference against its Monte Carlo error."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.errors import StudyError
from clvmodels.report.compare_tables import ColumnDifference, ColumnPair, judge_column, pair_tables
from clvmodels.report.found import Found, draws_by_part, found_in
from clvmodels.report.monte_carlo import threshold
from clvmodels.report.reading import read_results
from clvmodels.study.current import MANIFEST
from clvmodels.study.manifest import Manifest, read_json, read_manifest

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

Kind = Literal["same", "within", "beyond", "unknown", "only_a", "only_b"]
RATE = 0.05
ROUNDING = 1e-9  # of a number: what machines may differ by
MOST_BYTES = 2**30
TABLES = ("customers", "holdout")


@dataclass(frozen=True)
class InputDifference:
    """What the runs were made from that is not the same; None where one does not say."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Difference:
    """A number or a word of results.json in both runs.

    Attributes
    ----------
    path : such as "value.equity.mean"; rows of lists by their keys
    a, b : None where it is only in the other
    kind : "same" (to nine digits), "within" or "beyond" Monte Carlo error, "unknown" where no error is known, "only_a",
        "only_b"
    error : standard error of the difference; 0 of numbers that no random number enters, None where none is known
    """

    path: str
    a: float | str | bool | None
    b: float | str | bool | None
    kind: Kind
    error: float | None

    @property
    def section(self) -> str:
        """The part of the results that it is of."""
        return self.path.partition(".")[0].partition("[")[0]

    @property
    def change(self) -> float | None:
        """Difference as a share of the larger of both; None of words, and of what is in one run alone."""
        if isinstance(self.a, float) and isinstance(self.b, float):
            return (self.b - self.a) / (max(abs(self.a), abs(self.b)) or 1.0)
        return None

    @property
    def errors(self) -> float | None:
        """Difference in standard errors; infinite where there should be none, None where no error is known."""
        if self.error is None or not (isinstance(self.a, float) and isinstance(self.b, float)):
            return None
        return abs(self.b - self.a) / self.error if self.error > 0 else math.inf


@dataclass(frozen=True)
class RunComparison:
    """Two runs of a study against each other.

    Attributes
    ----------
    a, b : folders
    inputs : what they were made from that differs
    remarks : what a reader should know of the comparison, in words
    rate : chance that runs which differ in their seeds alone have any number beyond Monte Carlo error, at the most
    judged : numbers that were held against a Monte Carlo error, those of customers included
    limit : standard errors up to which a difference is within
    numbers : of results.json, all of them
    columns : of the tables of customers
    """

    a: Path
    b: Path
    inputs: tuple[InputDifference, ...]
    remarks: tuple[str, ...]
    rate: float
    judged: int
    limit: float
    numbers: tuple[Difference, ...]
    columns: tuple[ColumnDifference, ...]

    @property
    def beyond(self) -> int:
        """Numbers that differ by more than chance, rows of customers that are in one run alone among them."""
        in_tables = sum(column.beyond + column.only_a + column.only_b for column in self.columns)
        return in_tables + sum(number.kind == "beyond" for number in self.numbers)

    @property
    def by_section(self) -> dict[str, dict[Kind, int]]:
        """How many numbers of each section of results.json are of each kind."""
        counts = Counter((number.section, number.kind) for number in self.numbers)
        sections: dict[str, dict[Kind, int]] = {}
        for (section, kind), count in counts.items():
            sections.setdefault(section, {})[kind] = count
        return sections

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a number of results.json: path, a, b, kind, error, errors, change."""
        import pandas as pd

        rows = [{**asdict(number), "errors": number.errors, "change": number.change} for number in self.numbers]
        return pd.DataFrame(rows, columns=["path", "a", "b", "kind", "error", "errors", "change"])


@dataclass(frozen=True)
class _Run:
    folder: Path
    results: Results
    manifest: Manifest | None


def compare_runs(a: str | Path, b: str | Path, *, rate: float = RATE) -> RunComparison:
    """Two runs of a study, number by number, each difference against its Monte Carlo error.

    Parameters
    ----------
    a, b : folders of the runs, with results.json; tables of customers are compared where both have them
    rate : chance that runs which differ in their seeds alone have any number beyond Monte Carlo error, at the most

    Raises
    ------
    StudyError
        If a folder has no results, they are damaged, of different kinds or of a version that this one does not know,
        or `rate` is not between 0 and 1.
    """
    if not 0 < rate < 1:
        raise StudyError(f"rate = {rate}: expected a probability between 0 and 1, such as {RATE}.")
    runs = _read(Path(a)), _read(Path(b))
    if type(runs[0].results) is not type(runs[1].results):
        kinds = " and ".join(f"{run.folder} is of {_kind(run.results)}" for run in runs)
        raise StudyError(f"{kinds}: only runs of one kind of study can be compared.")
    pairs = list(_paired(*(list(found_in(run.results)) for run in runs)))
    columns = [column for name in TABLES for column in _columns(name, runs)]
    judged = sum(map(_is_judged, pairs)) + sum(column.judged for column in columns)
    limit = threshold(judged, rate)
    inputs = tuple(_inputs(*runs))
    return RunComparison(
        a=runs[0].folder,
        b=runs[1].folder,
        inputs=inputs,
        remarks=tuple(_remarks(runs, inputs)),
        rate=rate,
        judged=judged,
        limit=limit,
        numbers=tuple(_judge(*pair, limit) for pair in pairs),
        columns=tuple(judge_column(column, limit, ROUNDING) for column in columns),
    )


# Reading


def _read(path: Path) -> _Run:
    """A run, refused where its results hold what this version does not know and so would not compare."""
    folder = path if path.is_dir() else path.parent
    raw = read_json(folder / "results.json", dict[str, Any], most_bytes=MOST_BYTES)
    results = read_results(folder)
    unknown = _unknown(raw, msgspec.to_builtins(results), "")
    if unknown is not None:
        raise StudyError(
            f"{folder / 'results.json'}: {unknown} is not known to this version of clvmodels. Compare with the version "
            "that made it."
        )
    return _Run(folder, results, read_manifest(folder) if (folder / MANIFEST).exists() else None)


def _unknown(raw: Any, known: Any, path: str) -> str | None:
    """The first field that a file has and the record read from it has not."""
    if isinstance(raw, dict) and isinstance(known, dict):
        inside = [(raw[name], known.get(name), f"{path}.{name}".lstrip("."), name in known) for name in raw]
    elif isinstance(raw, list) and isinstance(known, (list, tuple)):
        inside = [(each, other, path, True) for each, other in zip(raw, known, strict=True)]
    else:
        return None
    for value, other, place, is_known in inside:
        found = _unknown(value, other, place) if is_known else place
        if found is not None:
            return found
    return None


def _kind(results: Results) -> str:
    return getattr(results, "kind", "purchases")


# Inputs


def _inputs(a: _Run, b: _Run) -> Iterator[InputDifference]:
    """Differences of what the runs were made from, in the order in which they explain others."""
    one, other = _inputs_of(a), _inputs_of(b)
    for name in dict.fromkeys([*one, *other]):
        if one.get(name) != other.get(name):
            yield InputDifference(name, one.get(name), other.get(name))
    if a.manifest is not None and b.manifest is not None and a.manifest.units and b.manifest.units:
        yield from _units(a.manifest, b.manifest)


def _inputs_of(run: _Run) -> dict[str, str]:
    info: dict[str, Any] = msgspec.to_builtins(run.results.study)
    named: dict[str, str] = {name: str(info[name]) for name in ("name", "unit", "currency", "source") if name in info}
    named |= {"study file": info["study_digest"], "seed": str(info["seed"]), "clvmodels": info["version"]}
    named |= {"data": info["data_digest"]} if "data_digest" in info else {}
    named |= {f"data {key}": value for part in ("sources", "data_digests") for key, value in info.get(part, {}).items()}
    if run.manifest is None:
        return named
    manifest = run.manifest
    named |= {f"input {path}": digest for path, digest in manifest.inputs.items()}
    named |= manifest.versions | {"python": manifest.python, "commit": manifest.commit or "none"}
    return named | {"machine": manifest.machine}


def _units(a: Manifest, b: Manifest) -> Iterator[InputDifference]:
    one, other = ({unit.name: unit.key for unit in manifest.units} for manifest in (a, b))
    for name in dict.fromkeys([*one, *other]):
        if one.get(name) != other.get(name):
            yield InputDifference(f"unit {name}", one.get(name), other.get(name))


def _remarks(runs: Sequence[_Run], inputs: Sequence[InputDifference]) -> Iterator[str]:
    for run in runs:
        if run.manifest is None:
            yield f"{run.folder} has no manifest.json, so versions and machine are not compared"
    differing = {found.name for found in inputs if found.name not in ("commit", "machine")}
    if not differing:
        yield "both are of the same study, data, seed and versions: every number should be the same"
    elif "seed" not in differing:
        yield (
            "the seed is the same, so the runs share random numbers: differences within Monte Carlo error may have a "
            "cause, too"
        )


# Numbers


def _paired(a: Sequence[Found], b: Sequence[Found]) -> Iterator[tuple[Found | None, Found | None]]:
    """Both runs' numbers by path, in the order of A, those of B alone at the end."""
    one, other = ({found.path: found for found in each} for each in (a, b))
    for path in dict.fromkeys([*one, *other]):
        yield one.get(path), other.get(path)


def _is_judged(pair: tuple[Found | None, Found | None]) -> bool:
    return bool(pair[0] and pair[1] and pair[0].error and pair[1].error)


def _judge(a: Found | None, b: Found | None, limit: float) -> Difference:
    if a is None or b is None:
        return _alone(a, b)
    error = None if a.error is None or b.error is None else math.hypot(a.error, b.error)
    return Difference(a.path, a.value, b.value, _kind_of(a, b, error, limit), error)


def _alone(a: Found | None, b: Found | None) -> Difference:
    if a is not None:
        return Difference(a.path, a.value, None, "only_a", None)
    assert b is not None  # a path is of one of them
    return Difference(b.path, None, b.value, "only_b", None)


def _kind_of(a: Found, b: Found, error: float | None, limit: float) -> Kind:
    if not (isinstance(a.value, float) and isinstance(b.value, float)):
        return "same" if a.value == b.value else "unknown"
    apart = abs(a.value - b.value)
    if a.value == b.value or apart <= ROUNDING * max(abs(a.value), abs(b.value)):
        return "same"
    if error is None:
        return "unknown"
    return "within" if apart <= limit * error + max(a.step, b.step) else "beyond"


def _columns(name: str, runs: Sequence[_Run]) -> list[ColumnPair]:
    """A pair of columns for each of a table of customers that both runs have; none for other kinds of study."""
    paths = [run.folder / f"{name}.parquet" for run in runs]
    if not all(path.is_file() for path in paths):
        return []
    draws = [_draws_of_table(name, run.results) for run in runs]
    return pair_tables(name, paths, draws)


def _draws_of_table(name: str, results: Results) -> float | None:
    """Draws that the forecasts in a table of customers are worth."""
    return draws_by_part(results).get({"customers": "value", "holdout": "evidence"}[name])
