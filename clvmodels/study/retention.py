"""A study of retention: read, fit, hold against what came after, value. Here alone is how its units hang together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from clvmodels.data import retention_table
from clvmodels.data.datasets import PREFIX, named_dataset
from clvmodels.data.digests import survivors_digest
from clvmodels.data.files import find_files
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.files import digest_of_files, file_name
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import FitRow
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.retention_results import (
    BackTest,
    LeftOutFit,
    RetentionInfo,
    RetentionResults,
    SegmentRetention,
    SegmentWorth,
    ValueRow,
)
from clvmodels.inference import Fit
from clvmodels.study import outputs
from clvmodels.study.donors import Donors, forecast_donors
from clvmodels.study.files import StudyFile
from clvmodels.study.graph import Graph, Render, Task, task_of, units_of
from clvmodels.study.manifest import FitLine
from clvmodels.study.privacy import without_examples
from clvmodels.study.progress import Tell, silent
from clvmodels.study.retention_cohorts import Cohorts, forecast_cohorts
from clvmodels.study.retention_config import ContractsTable, RetentionStudy
from clvmodels.study.retention_segments import Segment, back_tests, fit_segment, told
from clvmodels.study.retention_worth import values_by_age, worth_of
from clvmodels.study.roots import model_code
from clvmodels.study.sections import fit_line, fit_row, save_draws
from clvmodels.study.supervised import UNWATCHED, Watch
from clvmodels.study.units import Unit, Units

ALL = "all"  # the one segment of contracts without segments


@dataclass(frozen=True)
class Contracts:
    """Tables by segment, what became of the rows read, and the SHA-256 of the source."""

    tables: dict[str, RetentionTable]
    ledger: tuple[LedgerLine, ...]
    notes: tuple[LedgerLine, ...]
    digest: str


@dataclass(frozen=True)
class Tests:
    """The back-tests of a segment, and the fits that failed their checks there."""

    rows: list[BackTest]
    left_out: tuple[LeftOutFit, ...]


@dataclass(frozen=True)
class _Parts:
    """The units of a study that its results rest on."""

    contracts: Unit[Contracts]
    segments: Mapping[str, Unit[Segment]]
    tests: Mapping[str, Unit[Tests]]
    curves: Unit[list[SegmentRetention]]
    values: Unit[list[ValueRow]]
    worth: Unit[list[SegmentWorth]]
    donors: Unit[Donors | None]
    cohorts: Unit[Cohorts | None]


def retention_task(
    file: StudyFile[RetentionStudy], *, output: str | Path, data: str | None = None, render: Render | None = None
) -> Task:
    """A study of retention, with the digests of its inputs.

    Raises
    ------
    StudyError, DataError
        If its data are not there.
    """
    study = _with_source(file.study, data)
    named = [study.contracts.source] if study.contracts.source else []
    named += [table.source for table in (study.donors, study.cohorts) if table is not None]
    return task_of(file, study, output=output, data=data, sources=named, render=render)


def retention_graph(task: Task, *, tell: Tell = silent, watch: Watch = UNWATCHED) -> Graph[RetentionResults]:
    """The units of a study of retention. The contracts are read, since they have the segments; nothing else has run."""
    study, digests = task.study, task.inputs.digests
    units = units_of(task, tell, watch)
    models = model_code([study.models.main, *study.models.rivals])
    contracts = units.unit(
        "read",
        "read the contracts",
        read_contracts,
        settings=["contracts", "privacy"],
        inputs={"contracts": digests[study.contracts.source]} if study.contracts.source else {},
        codec=None,
    )
    segments, tests = {}, {}
    for name in contracts().tables:
        segments[name] = units.unit(
            f"segment {name}",
            f"fit {1 + len(study.models.rivals)} models to {name}",
            segment_fits,
            needs=[contracts],
            settings=["seed", "models", "fit"],
            given={"name": name},
            code=models,
        )
        tests[name] = units.unit(
            f"back_test {name}",
            f"hold forecasts for {name} against what came after",
            segment_tests,
            needs=[contracts],
            settings=["seed", "models", "fit", "check.learn_to"],
            given={"name": name},
            code=models,
        )
    fitted = list(segments.values())
    value = ["seed", "value"]
    parts = _Parts(
        contracts,
        segments,
        tests,
        units.unit(
            "curves", "curves of survival and retention", curves, needs=fitted, settings=["check.ahead"], code=models
        ),
        units.unit("values", "value of a customer by age", values, needs=fitted, settings=value, code=models),
        units.unit(
            "worth", "worth of the base, and with fewer defections", worth, needs=fitted, settings=value, code=models
        ),
        _donors(units, study, digests),
        _cohorts(units, study, digests),
    )
    results = _results_unit(task, units, parts)
    provenance = {"data_digest": contracts().digest, "seed": study.seed}
    return Graph(
        task,
        units,
        results,
        lambda folder: _write(folder, results, parts),
        provenance,
        lambda: _fit_lines(results(), parts),
    )


def _donors(units: Units, study: RetentionStudy, digests: Mapping[str, str]) -> Unit[Donors | None]:
    table = study.donors
    return units.unit(
        "donors",
        "" if table is None else "donors by BG/BB",
        donors_of,
        settings=["seed", "donors", "fit"],
        inputs={} if table is None else {"donors": digests[table.source]},
        code=model_code(["bg_bb"]),
    )


def _cohorts(units: Units, study: RetentionStudy, digests: Mapping[str, str]) -> Unit[Cohorts | None]:
    table = study.cohorts
    return units.unit(
        "cohorts",
        "" if table is None else "cohorts and their revenue",
        cohorts_of,
        settings=["seed", "cohorts"],
        inputs={} if table is None else {"cohorts": digests[table.source]},
        code=["clvmodels.models.revenue_retention"],
    )


def _results_unit(task: Task, units: Units, parts: _Parts) -> Unit[RetentionResults]:
    return units.unit(
        "results",
        "put the results together",
        assemble,
        needs=[
            parts.contracts,
            parts.curves,
            parts.values,
            parts.worth,
            parts.donors,
            parts.cohorts,
            *parts.segments.values(),
            *parts.tests.values(),
        ],
        settings=["name", "title", "background", "languages", "seed", "contracts", "models", "value", "privacy"],
        given={"study_digest": task.file.digest, "version": metadata.version("clvmodels")},
    )


def segment_fits(study: RetentionStudy, contracts: Contracts, *, name: str) -> Segment:
    """The models of the study, fitted to a segment."""
    return fit_segment(study, name, contracts.tables[name])


def segment_tests(study: RetentionStudy, contracts: Contracts, *, name: str) -> Tests:
    """Forecasts for a segment from fewer renewals than it has seen, against the later ones."""
    return Tests(*back_tests(study, name, contracts.tables[name]))


def curves(study: RetentionStudy, *segments: Segment) -> list[SegmentRetention]:
    """Curves of survival and retention."""
    return [told(segment, study.check.ahead) for segment in segments]


def values(study: RetentionStudy, *segments: Segment) -> list[ValueRow]:
    """Value of a customer by age."""
    return [row for segment in segments for row in values_by_age(study, segment)]


def worth(study: RetentionStudy, *segments: Segment) -> list[SegmentWorth]:
    """Worth of the base, and with fewer defections."""
    return worth_of(study, list(segments))


def donors_of(study: RetentionStudy) -> Donors | None:
    """Donors by BG/BB, where the study has them."""
    return None if study.donors is None else forecast_donors(study.donors, study.fit, study.seed)


def cohorts_of(study: RetentionStudy) -> Cohorts | None:
    """Cohorts and their revenue, where the study has them."""
    return None if study.cohorts is None else forecast_cohorts(study.cohorts, study.seed)


def assemble(
    study: RetentionStudy,
    contracts: Contracts,
    shown: list[SegmentRetention],
    value_rows: list[ValueRow],
    worth_rows: list[SegmentWorth],
    donors: Donors | None,
    cohorts: Cohorts | None,
    *rest: Segment | Tests,
    study_digest: str,
    version: str,
) -> RetentionResults:
    """The results whole; `rest` has the segments, then the back-tests of each."""
    segments = [part for part in rest if isinstance(part, Segment)]
    tests = [part for part in rest if isinstance(part, Tests)]
    left_out = [
        fit for segment, test in zip(segments, tests, strict=True) for fit in (*segment.left_out, *test.left_out)
    ]
    return RetentionResults(
        study=_info(study, study_digest, version, contracts, donors, cohorts),
        ledger=list(contracts.ledger),
        segments=shown,
        fits=[row for segment in segments for row in _fit_rows(segment)],
        fit_segments=[segment.name for segment in segments for _ in segment.fits],
        back_tests=[row for test in tests for row in test.rows],
        values=value_rows,
        worth=worth_rows,
        donors=None if donors is None else donors.section,
        cohorts=None if cohorts is None else cohorts.section,
        left_out=left_out,
        notes=list(contracts.notes),
    )


def _with_source(study: RetentionStudy, data: str | None) -> RetentionStudy:
    if data is None:
        return study
    contracts = msgspec.structs.replace(study.contracts, source=data, survivors={})
    return msgspec.structs.replace(study, contracts=contracts)


def read_contracts(study: RetentionStudy) -> Contracts:
    """A table a segment.

    Raises
    ------
    StudyError
        If a table of retention by name counts in another unit.
    """
    contracts = study.contracts
    if contracts.survivors:
        return _survivors(contracts, contracts.survivors)
    if contracts.source.startswith(PREFIX):
        named = named_dataset(contracts.source, "retention table")
        if named.unit != contracts.unit:
            raise StudyError(f'[contracts] unit = "{contracts.unit}": {contracts.source} is by {named.unit}.')
        return _survivors(contracts, named.survivors)
    table = retention_table(
        contracts.source,
        customer=contracts.customer,
        start=contracts.start,
        end=contracts.end,
        unit=contracts.unit,
        groups=[contracts.segment] if contracts.segment else [],
        price=contracts.price or None,
        observation_end=contracts.observation_end,
        observed_from=contracts.observed_from,
        currency=contracts.currency,
        date_format=contracts.date_format,
    )
    if study.privacy != "open":  # what is kept of a table has its ids and its ledger
        table = replace(
            table,
            customer_id=np.array([str(row) for row in range(len(table.customer_id))], dtype=object),
            ledger=tuple(without_examples(table.ledger)),
            notes=tuple(without_examples(table.notes)),
        )
    files, _ = find_files(contracts.source)
    names = sorted(set(table.groups[contracts.segment])) if contracts.segment else [ALL]
    tables = {name: table.where(**{contracts.segment: name}) if contracts.segment else table for name in names}
    return Contracts(tables, table.ledger, table.notes, digest_of_files(files))


def _survivors(contracts: ContractsTable, survivors: Mapping[str, Sequence[int]]) -> Contracts:
    rows = [
        {"segment": name, "age": age, "survivors": count}
        for name, counts in survivors.items()
        for age, count in enumerate(counts)
    ]
    table = RetentionTable.from_survivors(
        pd.DataFrame(rows), unit=contracts.unit, groups=["segment"], currency=contracts.currency
    )
    return Contracts({name: table.where(segment=name) for name in survivors}, (), (), survivors_digest(survivors))


def _info(
    study: RetentionStudy,
    study_digest: str,
    version: str,
    contracts: Contracts,
    donors: Donors | None,
    cohorts: Cohorts | None,
) -> RetentionInfo:
    sources = {study.contracts.source or "survivors": contracts.digest}
    if donors is not None:
        sources[donors.section.source] = donors.digest
    if cohorts is not None:
        sources[cohorts.section.source] = cohorts.digest
    return RetentionInfo(
        name=study.name,
        title=study.title,
        background=study.background,
        sources=sources,
        study_digest=study_digest,
        seed=study.seed,
        version=version,
        currency=study.contracts.currency,
        unit=study.contracts.unit,
        model=study.models.main,
        price=study.value.price,
        margin=study.value.margin,
        annual_discount_rate=study.value.annual_discount_rate,
        due=study.value.due,
        fewer_defections=study.value.fewer_defections,
        languages=list(study.languages),
        privacy=study.privacy,
    )


def _fit_rows(segment: Segment) -> list[FitRow]:
    return [fit_row(fitted, "decision") for fitted in segment.fits.values()]


def _write(folder: Path, made: Unit[RetentionResults], parts: _Parts) -> None:
    """Results, tables and draws, into an empty folder."""
    results = made()
    outputs.write_results(results, folder / "results.json")
    tables = {
        "curves.csv": pd.DataFrame([row for segment in results.segments for row in _curve_rows(segment)]),
        "survivors.csv": pd.DataFrame(
            [
                {"segment": test.segment, "model": test.model, "learnt_to": test.learnt_to}
                | msgspec.to_builtins(point)
                for test in results.back_tests
                for point in test.points
            ]
        ),
        "values.csv": pd.DataFrame(
            [
                {"segment": row.segment, "age": row.age, "p_infinite": row.infinite}
                | _flat("lifetime", row.lifetime) | _flat("derl", row.derl)
                | _flat("value", row.value) | _flat("outcome", row.outcome)
                for row in results.values
            ]
        ),
    }  # fmt: skip
    for name, table in tables.items():
        outputs.write_table(table, folder / name)
    save_draws({name: fitted for name, (_, fitted) in _saved(parts).items()}, folder)


def _saved(parts: _Parts) -> dict[str, tuple[str, Fit]]:
    """Each fit with what it learnt from, by the name of its file of draws."""
    saved = [(name, fitted) for name, unit in parts.segments.items() for fitted in unit().fits.values()]
    donors = parts.donors()
    saved += [] if donors is None else [("donors", donors.fit)]
    return {f"{file_name(f'{name}.{fitted.model.name}')}.nc": (name, fitted) for name, fitted in saved}


def _fit_lines(results: RetentionResults, parts: _Parts) -> list[FitLine]:
    """The fits that are saved, and those left out since they failed their checks."""
    left_out = [
        FitLine(fit.model, f"{fit.segment}, its first {fit.learnt_to:g}", dict.fromkeys(fit.checks, False))
        for fit in results.left_out
    ]
    return [*(fit_line(fitted, name, draws) for draws, (name, fitted) in _saved(parts).items()), *left_out]


def _curve_rows(segment: SegmentRetention) -> list[dict[str, object]]:
    return [
        {"segment": segment.name, "age": point.age, "seen": point.seen}
        | _flat("survival", point.survival)
        | (_flat("retention_rate", point.rate) if point.rate is not None else {})
        for point in segment.curve
    ]


def _flat(name: str, estimate: Estimate) -> dict[str, object]:
    return {f"{name}_{key}": value for key, value in msgspec.to_builtins(estimate).items()}
