"""A contest of methods over data sets and origins: read, forecast, score, compare. Here alone is their order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from clvmodels.baselines import BASELINES
from clvmodels.data import read_transactions, rolling_windows
from clvmodels.data.datasets import PREFIX, named_dataset, require_brought
from clvmodels.evaluation import winners
from clvmodels.evaluation.pairs import FitsMade
from clvmodels.forecast import simulate_log
from clvmodels.foundation.contest_results import ContestData, ContestInfo, ContestResults
from clvmodels.foundation.errors import DataError, FitError, StudyError
from clvmodels.foundation.records import TransactionLog, Window
from clvmodels.foundation.results import Duel, MethodCost, RollingSection
from clvmodels.models import MODELS
from clvmodels.study import outputs
from clvmodels.study.contest_config import DONORS, ContestDataTable, ContestStudy, OriginsTable, StoryTable
from clvmodels.study.contest_data import (
    Arena,
    Contestants,
    Held,
    contest_ahead,
    contestants_of,
    hold,
    look_closely,
    measure_costs,
    tell_totals,
)
from clvmodels.study.contest_donors import hold_donors, measure_donors
from clvmodels.study.files import StudyFile
from clvmodels.study.graph import Graph, Render, Task, task_of, units_of
from clvmodels.study.progress import Tell, seed_for, silent
from clvmodels.study.roots import baseline_code, model_code
from clvmodels.study.supervised import UNWATCHED, Watch
from clvmodels.study.units import Unit, Units

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Costs:
    """What forecasts cost, as costs.json has it: the machine, and the rows of the methods by data set."""

    machine: str
    methods: dict[str, list[MethodCost]]


@dataclass(frozen=True)
class _Parts:
    """The units of a data set's contest; costs only where the study asks for them."""

    data: Unit[Held]
    costs: Unit[list[MethodCost]] | None


def contest_task(
    file: StudyFile[ContestStudy], *, output: str | Path, data: str | None = None, render: Render | None = None
) -> Task:
    """A contest, with the digests of its inputs. `data` is "KEY=PATH": the log of a data set in place of its own.

    Raises
    ------
    StudyError, DataError
        If a data set is not there that the contest needs.
    """
    study = _with_source(file, data)
    left_out = _left_out(study)
    sources = [table.log.source for key, table in study.data.items() if key not in left_out]
    sources += [] if study.donors is None else [study.donors.source]
    return task_of(file, study, output=output, data=data, sources=sources, words=left_out, render=render)


def contest_graph(task: Task, *, tell: Tell = silent, watch: Watch = UNWATCHED) -> Graph[ContestResults]:
    """The units of a contest; none has run yet."""
    study, file, digests = task.study, task.file, task.inputs.digests
    units = units_of(task, tell, watch)
    held: dict[str, _Parts] = {}
    for key, table in study.data.items():
        if key in task.words:
            continue
        arena = units.unit(
            f"read {key}",
            f"{key}: read the log",
            read_arena,
            settings=[f"data.{key}"],
            given={"key": key},
            inputs={"log": digests[table.log.source]},
            unkeyed={"file": file},
            codec=None,
        )
        held[key] = _contest(units, study, key, list(table.origins.horizons), arena)
    for key, simulated in study.simulated.items():
        arena = units.unit(
            f"tell {key}",
            f"{key}: simulate the log",
            told_arena,
            settings=["seed", f"simulated.{key}"],
            given={"key": key},
            unkeyed={"file": file},
            code=model_code([simulated.story.purchases, simulated.story.spend]),
            codec=None,
        )
        held[key] = _contest(units, study, key, list(simulated.origins.horizons), arena)
    donors = units.unit(
        DONORS,
        "" if study.donors is None else "donors: who gives in a year that no method sees",
        contest_donors,
        settings=["seed", "donors", "fit.draws", "contest.replicates", "contest.level"],
        inputs={} if study.donors is None else {"donors": digests[study.donors.source]},
        code=[*model_code(MODELS), *baseline_code(BASELINES)],
    )
    results = units.unit(
        "results",
        "put the results together",
        assemble,
        needs=[donors, *(one.data for one in held.values())],
        settings=["name", "title", "background", "languages", "seed", "contest", "fit.draws"],
        given={
            "study_digest": file.digest,
            "donors_digest": "" if study.donors is None else digests[study.donors.source],
            "version": metadata.version("clvmodels"),
            "left_out": dict(task.words),
        },
    )
    costs = {key: one.costs for key, one in held.items() if one.costs is not None}
    if study.donors is not None and DONORS in study.contest.costs:
        costs[DONORS] = units.unit(
            f"costs {DONORS}",
            "donors: seconds and megabytes of each method",
            measure_donors,
            settings=["seed", "donors", "fit.draws"],
            inputs={"donors": digests[study.donors.source]},
            code=[*model_code(MODELS), *baseline_code(BASELINES)],
        )
    provenance = {"data_digests": dict(digests), "seed": study.seed}
    return Graph(task, units, results, lambda folder: _write(folder, results, costs), provenance)


def _contest(units: Units, study: ContestStudy, key: str, horizons: Sequence[float], arena: Unit[Arena]) -> _Parts:
    """The contest on one data set: a unit a horizon."""
    models = model_code(MODELS)
    code = [*models, *baseline_code(study.contest.baselines)]
    contestants = units.unit(
        f"methods {key}", "", fresh_contestants, settings=["seed", "contest", "fit"], code=code, codec=None
    )
    panel = units.unit(
        f"panel {key}",
        f"{key}: every method at one origin",
        look_closely,
        needs=[arena, contestants],
        settings=["seed", "contest.replicates"],
        code=code,
        codec=None,
    )
    ahead = [
        units.unit(
            f"contest {key} {horizon:g}",
            f"{key}: all origins, {horizon:g} ahead",
            contest_ahead,
            needs=[arena, contestants, panel],
            settings=["seed", "contest"],
            given={"horizon": horizon},
            code=code,
        )
        for horizon in horizons
    ]
    totals = units.unit(
        f"totals {key}",
        f"{key}: totals, drift and intervals",
        tell_totals,
        needs=[arena, contestants, panel],
        settings=["seed", "contest"],
        code=code,
    )
    data = units.unit(f"data {key}", "", hold, needs=[arena, contestants, panel, totals, *ahead], code=code)
    costs = None
    if key in study.contest.costs:
        costs = units.unit(
            f"costs {key}",
            f"{key}: seconds and megabytes of each method",
            measure_costs,
            needs=[arena, panel],
            settings=["seed", "contest", "fit"],
            code=code,
        )
    return _Parts(data, costs)


def fresh_contestants(study: ContestStudy) -> Contestants:
    """The methods of the contest, with no fit made yet."""
    return contestants_of(study, FitsMade())


def assemble(
    study: ContestStudy,
    donors: ContestData | None,
    *held: Held,
    study_digest: str,
    donors_digest: str,
    version: str,
    left_out: dict[str, str],
) -> ContestResults:
    """The results whole."""
    digests = {one.data.key: one.digest for one in held} | ({} if donors is None else {DONORS: donors_digest})
    sections = [*(one.data for one in held), *([] if donors is None else [donors])]
    return ContestResults(
        study=_info(study, study_digest, digests, version),
        data=sections,
        winners=winners([contest for section in sections for contest in section.contests]),
        left_out=left_out,
    )


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


def read_arena(study: ContestStudy, *, key: str, file: StudyFile[ContestStudy]) -> Arena:
    """A data set whose log is read."""
    table = study.data[key]
    log = read_transactions(table.log.source, **table.log.options)
    return Arena(
        key=key,
        title=table.title,
        kind="log",
        story="",
        shuffles=0,
        log=log,
        windows=_windows(file, f"data.{key}", log, table.origins),
    )


def told_arena(study: ContestStudy, *, key: str, file: StudyFile[ContestStudy]) -> Arena:
    """A data set whose log models tell."""
    table = study.simulated[key]
    story = table.story
    try:
        log = _story_log(study, key, story)
    except (DataError, FitError) as problem:
        raise StudyError(f"{file.path}, [simulated.{key}.story]: {problem}") from None
    return Arena(
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


def contest_donors(study: ContestStudy) -> ContestData | None:
    """The contest of one year, where the study has it."""
    return None if study.donors is None else hold_donors(study)


def _info(study: ContestStudy, study_digest: str, digests: dict[str, str], version: str) -> ContestInfo:
    return ContestInfo(
        name=study.name,
        title=study.title,
        background=study.background,
        data_digests=digests,
        study_digest=study_digest,
        seed=study.seed,
        version=version,
        method=study.contest.method,
        replicates=study.contest.replicates,
        level=study.contest.level,
        draws=study.fit.draws,
        languages=list(study.languages),
    )


# Files


def _write(folder: Path, made: Unit[ContestResults], costs: Mapping[str, Unit[list[MethodCost]]]) -> None:
    """Results, tables and costs, into an empty folder."""
    results = made()
    outputs.write_results(results, folder / "results.json")
    for name, table in _tables(results).items():
        outputs.write_table(table, folder / name)
    outputs.write_json(Costs(outputs.machine(), {key: unit() for key, unit in costs.items()}), folder / "costs.json")


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
