"""A study of retention: read, fit, hold against what came after, value. The only place that knows their order."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import msgspec
import pandas as pd

from clvmodels.data import retention_table
from clvmodels.data.datasets import PREFIX, named_dataset
from clvmodels.data.files import find_files
from clvmodels.data.sources import digest_of_files
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.files import file_name, folder_in
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import FitRow
from clvmodels.foundation.retention import RetentionTable
from clvmodels.foundation.retention_results import (
    BackTest,
    LeftOutFit,
    RetentionInfo,
    RetentionResults,
    SegmentRetention,
)
from clvmodels.inference import Fit
from clvmodels.study import outputs
from clvmodels.study.donors import Donors, forecast_donors
from clvmodels.study.files import StudyFile
from clvmodels.study.privacy import without_examples
from clvmodels.study.progress import Steps, Tell
from clvmodels.study.retention_cohorts import Cohorts, forecast_cohorts
from clvmodels.study.retention_config import ContractsTable, RetentionStudy
from clvmodels.study.retention_segments import Segment, back_tests, fit_segment, told
from clvmodels.study.retention_worth import values_by_age, worth_of
from clvmodels.study.sections import fit_row

ALL = "all"  # the one segment of contracts without segments
STEPS = 5  # read, curves, values, worth, write; and for each segment its fits and its back-tests


@dataclass(frozen=True)
class Contracts:
    """Tables by segment, what became of the rows read, and the SHA-256 of the source."""

    tables: dict[str, RetentionTable]
    ledger: tuple[LedgerLine, ...]
    notes: tuple[LedgerLine, ...]
    digest: str


def run_retention(
    file: StudyFile[RetentionStudy], *, output: str | Path, data: str | None, tell: Tell
) -> RetentionResults:
    """Run a study of retention; see `run_study`."""
    study = _with_source(file.study, data)
    folder = Path(output) / study.name
    outputs.require_writable(folder)
    beside = (study.donors is not None) + (study.cohorts is not None)
    with Steps(1, tell).step("read", "read the contracts"):
        contracts = _read(study.contracts)
    steps = Steps(STEPS - 1 + 2 * len(contracts.tables) + beside, tell)
    segments: list[Segment] = []
    tests: list[BackTest] = []
    left_out: list[LeftOutFit] = []
    for name, table in contracts.tables.items():
        with steps.step("segment", f"fit {1 + len(study.models.rivals)} models to {name}"):
            segments.append(fit_segment(study, name, table))
            left_out += segments[-1].left_out
        with steps.step("back_test", f"hold forecasts for {name} against what came after"):
            of_segment, failed = back_tests(study, name, table)
            tests += of_segment
            left_out += failed
    with steps.step("curves", "curves of survival and retention"):
        curves = [told(segment, study.check.ahead) for segment in segments]
    with steps.step("values", "value of a customer by age"):
        values = [row for segment in segments for row in values_by_age(study, segment)]
    with steps.step("worth", "worth of the base, and with fewer defections"):
        worth = worth_of(study, segments)
    donors, cohorts = _beside(study, steps)
    shown = list if study.privacy == "open" else without_examples
    results = RetentionResults(
        study=_info(file, study, contracts, donors, cohorts),
        ledger=shown(contracts.ledger),
        segments=curves,
        fits=[row for segment in segments for row in _fit_rows(segment)],
        fit_segments=[segment.name for segment in segments for _ in segment.fits],
        back_tests=tests,
        values=values,
        worth=worth,
        donors=None if donors is None else donors.section,
        cohorts=None if cohorts is None else cohorts.section,
        left_out=left_out,
        notes=shown(contracts.notes),
    )
    with steps.step("write", "write results and tables"):
        files = _write(results, segments, donors, folder)
    digests = {"study_digest": file.digest, "data_digest": contracts.digest}
    outputs.write_manifest(folder, outputs.manifest(file.path, digests, study.seed, steps.done, files))
    return results


def _with_source(study: RetentionStudy, data: str | None) -> RetentionStudy:
    if data is None:
        return study
    contracts = msgspec.structs.replace(study.contracts, source=data, survivors={})
    return msgspec.structs.replace(study, contracts=contracts)


def _read(contracts: ContractsTable) -> Contracts:
    """A table a segment.

    Raises
    ------
    StudyError
        If a table of retention by name counts in another unit.
    """
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
    digest = hashlib.sha256(msgspec.json.encode(survivors, order="sorted")).hexdigest()
    return Contracts({name: table.where(segment=name) for name in survivors}, (), (), digest)


def _beside(study: RetentionStudy, steps: Steps) -> tuple[Donors | None, Cohorts | None]:
    """What the study shows beside the contracts, where it asks for it."""
    donors, cohorts = None, None
    if study.donors is not None:
        with steps.step("donors", "donors by BG/BB"):
            donors = forecast_donors(study.donors, study.fit, study.seed)
    if study.cohorts is not None:
        with steps.step("cohorts", "cohorts and their revenue"):
            cohorts = forecast_cohorts(study.cohorts, study.seed)
    return donors, cohorts


def _info(
    file: StudyFile[RetentionStudy],
    study: RetentionStudy,
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
        study_digest=file.digest,
        seed=study.seed,
        version=metadata.version("clvmodels"),
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


def _write(results: RetentionResults, segments: Sequence[Segment], donors: Donors | None, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
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
    fits = {f"{segment.name}.{model}": fitted for segment in segments for model, fitted in segment.fits.items()}
    _save_fits(fits if donors is None else {**fits, "donors.bg_bb": donors.fit}, folder_in(folder, "draws"))
    return [folder / name for name in ("results.json", *tables)]


def _curve_rows(segment: SegmentRetention) -> list[dict[str, object]]:
    return [
        {"segment": segment.name, "age": point.age, "seen": point.seen}
        | _flat("survival", point.survival)
        | (_flat("retention_rate", point.rate) if point.rate is not None else {})
        for point in segment.curve
    ]


def _flat(name: str, estimate: Estimate) -> dict[str, object]:
    return {f"{name}_{key}": value for key, value in msgspec.to_builtins(estimate).items()}


def _save_fits(fits: dict[str, Fit], folder: Path) -> None:
    """Draws of every fit as <segment>.<model>.nc; those that the study no longer has are removed."""
    saved = {f"{file_name(name)}.nc": fitted for name, fitted in fits.items()}
    for old in set(folder.glob("*.nc")) - {folder / name for name in saved}:
        old.unlink()
    for name, fitted in saved.items():
        fitted.save(folder / name)
