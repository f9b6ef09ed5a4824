"""A contest of methods over data sets and origins: read, forecast, score, compare. Here alone is their order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from clvmodels.data import donor_summary, read_transactions, rolling_windows
from clvmodels.data.datasets import PREFIX, named_dataset, require_brought
from clvmodels.evaluation import winners
from clvmodels.forecast import simulate_log
from clvmodels.foundation.contest_results import ContestData, ContestInfo, ContestResults
from clvmodels.foundation.errors import DataError, FitError, StudyError
from clvmodels.foundation.records import TransactionLog, Window
from clvmodels.foundation.results import Duel, MethodCost, RollingSection
from clvmodels.study import outputs
from clvmodels.study.contest_config import DONORS, ContestDataTable, ContestStudy, OriginsTable, StoryTable
from clvmodels.study.contest_data import Arena, hold_contest, steps_of
from clvmodels.study.contest_donors import hold_donors, measure_donors
from clvmodels.study.files import StudyFile
from clvmodels.study.progress import Steps, Tell, seed_for

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Costs:
    """What forecasts cost, as costs.json has it: the machine, and the rows of the methods by data set."""

    machine: str
    methods: dict[str, list[MethodCost]]


def run_contest(file: StudyFile[ContestStudy], *, output: str | Path, data: str | None, tell: Tell) -> ContestResults:
    """Run a contest; see `run_study`. `data` is "KEY=PATH": the log of a data set in place of its own."""
    study = _with_source(file, data)
    folder = Path(output) / study.name
    outputs.require_writable(folder)
    left_out = _left_out(study)
    steps = Steps(_number_of_steps(study, left_out), tell)
    with steps.step("read", "read the logs and tell the simulated ones"):
        arenas = [*_read(file, study, left_out), *_told(file, study)]
    digests = {arena.key: arena.log.digest for arena in arenas}
    sections: list[ContestData] = []
    costs: dict[str, list[MethodCost]] = {}
    for arena in arenas:
        section, measured = hold_contest(study, arena, steps)
        sections.append(section)
        costs |= {arena.key: measured} if measured else {}
    if study.donors is not None:
        with steps.step("donors", "donors: who gives in a year that no method sees"):
            sections.append(hold_donors(study))
            digests[DONORS] = donor_summary()[1]
            costs |= {DONORS: measure_donors(study)} if DONORS in study.contest.costs else {}
    results = ContestResults(
        study=_info(file, study, digests),
        data=sections,
        winners=winners([contest for section in sections for contest in section.contests]),
        left_out=left_out,
    )
    with steps.step("write", "write results and tables"):
        files = _write(results, costs, folder)
    record = outputs.manifest(
        file.path, {"study_digest": file.digest, "data_digests": digests}, study.seed, steps.done, files
    )
    outputs.write_manifest(folder, record)
    return results


def _number_of_steps(study: ContestStudy, left_out: Mapping[str, str]) -> int:
    tables = {key: table.origins for key, table in study.data.items() if key not in left_out}
    tables |= {key: table.origins for key, table in study.simulated.items()}
    of_data = sum(steps_of(study, key, len(origins.horizons)) for key, origins in tables.items())
    return 2 + of_data + (study.donors is not None)


# Data


def _with_source(file: StudyFile[ContestStudy], data: str | None) -> ContestStudy:
    """The study with one of its logs read from another place."""
    study = file.study
    if data is None:
        return study
    key, equals, path = data.partition("=")
    if not equals or key not in study.data:
        keys = ", ".join(f"{key}=PATH" for key in study.data) or "none: it has no log of its own"
        raise StudyError(f'{file.path} is a contest over several data sets, data = "{data}": expected one of {keys}.')
    table = study.data[key]
    log = msgspec.structs.replace(table.log, source=path)
    brought = msgspec.structs.replace(table, log=log, optional=False)
    return msgspec.structs.replace(study, data={**study.data, key: brought})


def _left_out(study: ContestStudy) -> dict[str, str]:
    """Data sets that the contest goes on without, and how they are brought.

    Raises
    ------
    DataError
        If one is not there that the contest needs.
    """
    left_out = {}
    for key, table in study.data.items():
        try:
            _require_there(table)
        except DataError as problem:
            if not table.optional:
                raise
            left_out[key] = str(problem)
    return left_out


def _require_there(table: ContestDataTable) -> None:
    """Refuse a data set whose package or file is not there."""
    source = table.log.source
    require_brought(source)
    if source.startswith(PREFIX):
        _ = named_dataset(source, "purchase log").path  # refused where its package is not installed


def _read(file: StudyFile[ContestStudy], study: ContestStudy, left_out: Mapping[str, str]) -> Iterator[Arena]:
    """The logs that are there."""
    for key, table in study.data.items():
        if key in left_out:
            continue
        log = read_transactions(table.log.source, **table.log.options)
        yield Arena(
            key=key,
            title=table.title,
            kind="log",
            story="",
            shuffles=0,
            log=log,
            windows=_windows(file, f"data.{key}", log, table.origins),
        )


def _told(file: StudyFile[ContestStudy], study: ContestStudy) -> Iterator[Arena]:
    """The logs that models tell."""
    for key, table in study.simulated.items():
        story = table.story
        try:
            log = _story_log(study, key, story)
        except (DataError, FitError) as problem:
            raise StudyError(f"{file.path}, [simulated.{key}.story]: {problem}") from None
        yield Arena(
            key=key,
            title=table.title,
            kind="simulated",
            story=f"{story.purchases}+{story.spend}",
            shuffles=table.shuffles,
            log=log,
            windows=_windows(file, f"simulated.{key}", log, table.origins),
        )


def _story_log(study: ContestStudy, key: str, story: StoryTable) -> TransactionLog:
    frame = simulate_log(
        story.purchases,
        story.spend,
        parameters=story.parameters,
        spend_parameters=story.spend_parameters,
        customers=story.customers,
        first_day=story.first_day,
        acquisition_days=story.acquisition_days,
        days=story.days,
        unit=story.unit,
        currency=story.currency,
        seed=seed_for(study.seed, f"story {key}"),
    )
    return read_transactions(frame, currency=story.currency)


def _windows(
    file: StudyFile[ContestStudy], place: str, log: TransactionLog, origins: OriginsTable
) -> dict[float, tuple[Window, ...]]:
    """Windows by horizon, up to so many of each as the study wants."""
    try:
        return {
            horizon: rolling_windows(
                log,
                first_end=origins.first_end,
                step=origins.step,
                holdout=horizon,
                unit=origins.unit,
                lengths=origins.lengths,
                acquired_within=origins.acquired_within,
            )[: origins.number]
            for horizon in origins.horizons
        }
    except DataError as problem:
        raise StudyError(f"{file.path}, [{place}.origins]: {problem}") from None


def _info(file: StudyFile[ContestStudy], study: ContestStudy, digests: dict[str, str]) -> ContestInfo:
    return ContestInfo(
        name=study.name,
        title=study.title,
        background=study.background,
        data_digests=digests,
        study_digest=file.digest,
        seed=study.seed,
        version=metadata.version("clvmodels"),
        method=study.contest.method,
        replicates=study.contest.replicates,
        level=study.contest.level,
        draws=study.fit.draws,
        languages=list(study.languages),
    )


# Files


def _write(results: ContestResults, costs: dict[str, list[MethodCost]], folder: Path) -> list[Path]:
    """Results, tables and costs; the paths of those whose bytes a seed decides."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs.write_results(results, folder / "results.json")
    tables = _tables(results)
    for name, table in tables.items():
        outputs.write_table(table, folder / name)
    outputs.write_json(Costs(outputs.machine(), costs), folder / "costs.json")
    return [folder / name for name in ("results.json", *tables)]


def _tables(results: ContestResults) -> Frames:
    contests = [contest for data in results.data for contest in data.contests]
    return {
        "league.csv": _frame(_league(contests)),
        "comparison.csv": _frame(_comparison(contests)),
        "winners.csv": _frame(
            {**asdict(row), "best": _joined(row.best), "kept": _joined(row.kept)} for row in results.winners
        ),
        "verdicts.csv": _frame(_verdicts(contests)),
        "duels.csv": _frame(_duels(contests)),
        "totals.csv": _frame(_totals(results.data)),
        "conformal.csv": _frame({"data": data.key, **asdict(row)} for data in results.data for row in data.conformal),
    }


def _frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def _joined(names: Sequence[str]) -> str:
    return "; ".join(names)


def _league(contests: Sequence[RollingSection]) -> Iterator[dict[str, Any]]:
    for contest in contests:
        for row in contest.league:
            known = {name: value for name, value in asdict(row).items() if name != "by_origin"}
            yield {"data": contest.data, "horizon": contest.horizon, **known}


def _comparison(contests: Sequence[RollingSection]) -> Iterator[dict[str, Any]]:
    """The league in the columns that a comparison of every study has; n counts customers at each origin scored."""
    for contest in contests:
        for row in contest.league:
            scored = zip(contest.origins, row.by_origin, strict=True)
            n = sum(origin.customers for origin, value in scored if value is not None)
            score = {"method": row.method, "score": row.score, "value": row.value, "low": row.low, "high": row.high}
            yield {"data": contest.data, "horizon": contest.horizon, **score, "n": n}


def _verdicts(contests: Sequence[RollingSection]) -> Iterator[dict[str, Any]]:
    """A row a method: whether it is reliably worse than the best by a score."""
    for contest in contests:
        for verdict in contest.verdicts:
            for method, p_value in verdict.p_values.items():
                yield {
                    "data": contest.data,
                    "horizon": contest.horizon,
                    "score": verdict.score,
                    "method": method,
                    "p_value": p_value,
                    "kept": method in verdict.kept,
                    "best": method in verdict.best,
                    "verdict": verdict.verdict,
                }


def _duels(contests: Sequence[RollingSection]) -> Iterator[dict[str, Any]]:
    """The contest's method less each other, then the best by each score less each other."""
    for contest in contests:
        pairs: list[tuple[str, str, Duel]] = [("method", contest.model, duel) for duel in contest.duels]
        pairs += [("best", verdict.best[0], duel) for verdict in contest.verdicts for duel in verdict.duels]
        for of, model, duel in pairs:
            yield {"data": contest.data, "horizon": contest.horizon, "of": of, "model": model, **asdict(duel)}


def _totals(sections: Sequence[ContestData]) -> Iterator[dict[str, Any]]:
    """A row a total, with the mean and the 90 % interval of each forecast of it."""
    for data in sections:
        for check in data.totals:
            row = {name: value for name, value in asdict(check).items() if name not in ("stationary", "drifting")}
            for name, found in (("stationary", check.stationary), ("drifting", check.drifting)):
                for part in ("mean", "q05", "q95"):
                    row[f"{name}_{part}"] = None if found is None else getattr(found, part)
            yield {"data": data.key, "model": data.total_model, **row}
