"""A study of purchases: read, fit, forecast, contest, decide. The only place that knows how its units hang together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from clvmodels.baselines import BASELINES
from clvmodels.data import alternatives, calendar_history, choices
from clvmodels.data.datasets import require_brought
from clvmodels.foundation.decision_results import BasePeriod, ClassesSection, MoneySection, Strategies
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.patterns import IntArray
from clvmodels.foundation.records import CustomerSummary, LedgerLine, TransactionLog
from clvmodels.foundation.results import (
    ComparisonSection,
    DataSection,
    EvidenceSection,
    FitRow,
    ModelSection,
    Period,
    PredictiveCheckTable,
    RivalGroup,
    StudyInfo,
    StudyResults,
)
from clvmodels.inference import Fit
from clvmodels.models import MODELS
from clvmodels.strategy import read_strategies
from clvmodels.study import outputs
from clvmodels.study.actions import Actions, weigh_actions, with_next_steps
from clvmodels.study.adequacy import Criteria, gauge_criteria, replicate
from clvmodels.study.classes import base_section, classes_section
from clvmodels.study.config import CalendarTable, Study
from clvmodels.study.customers import require_effects, require_table
from clvmodels.study.decision import Decision, decide, fit_decision, look_ahead, rank_base, see_base
from clvmodels.study.evidence import (
    Beside,
    Evidence,
    Seen,
    best_of_contest,
    fit_beside,
    fit_calibration,
    gather_evidence,
    hold_main,
    holdout_table,
    score_contest,
    section_with_conformal,
    section_with_drift,
    see_customers,
)
from clvmodels.study.files import StudyFile
from clvmodels.study.graph import Graph, Render, Task, task_of, units_of
from clvmodels.study.labels import named_cells, require_graded_columns
from clvmodels.study.manifest import FitLine
from clvmodels.study.money import money_section, read_past
from clvmodels.study.privacy import fit_to_show, key_mark, read_log, read_named_traits, tables_to_show
from clvmodels.study.progress import Tell, seed_for, silent
from clvmodels.study.ranking import Ranked
from clvmodels.study.rivals import Rivals, group_rivals, scores_of, weigh_rival
from clvmodels.study.roots import baseline_code, model_code
from clvmodels.study.sections import fit_line, fit_row, save_draws
from clvmodels.study.supervised import UNWATCHED, Watch
from clvmodels.study.units import Unit, Units

FEW_CUSTOMERS = 100
FEW_REPEAT_BUYERS = 30
FEW_CORRELATED = 3
FITTING = ("seed", "models", *(f"fit.{name}" for name in ("method", "stated_draws", "allow", "purchases", "spend")))
FUTURE = ("value.horizon", "value.annual_discount_rate", "value.margin")
LOOKED_AT = (
    "fit.purchases",
    "fit.spend",
    "value.as_of",
    "value.current_days",
    "value.margin",
    "value.parts",
)
SHOWN = ("name", "title", "background", "languages", "seed", "data", "window.unit", "matrix.names", "privacy")
MATRIX = ("matrix.current", "matrix.future", "matrix.loss", "matrix.undecided_below")  # no number rests on its names
CALIBRATION = ".calibration."  # in names of files of draws
LABELS = ("pyramid", "lifecycle", "grades", *MATRIX)


@dataclass(frozen=True)
class Told:
    """What a log tells without any model."""

    section: DataSection
    history: list[Period]
    base: list[BasePeriod]


@dataclass(frozen=True)
class _Read:
    """The log, and the columns of the customers' file; neither is kept."""

    log: Unit[TransactionLog]
    traits: Unit[pd.DataFrame | None]


@dataclass(frozen=True)
class _Calibration:
    """The first half: what the models say at the end of the calibration, and what came."""

    seen: Unit[Seen]
    main: Unit[tuple[Fit, Fit]]
    beside: Mapping[str, Unit[Beside]]
    section: Unit[EvidenceSection]
    comparison: Unit[ComparisonSection]
    table: Unit[pd.DataFrame]
    evidence: Unit[Evidence]


@dataclass(frozen=True)
class _Decision:
    """The second half: what the models say on the day of the decision."""

    fits: Unit[tuple[Fit, Fit]]
    ranked: Unit[Ranked | None]
    decision: Unit[Decision]
    money: Unit[MoneySection]
    actions: Unit[Actions]
    classes: Unit[ClassesSection]
    replicated: Unit[list[PredictiveCheckTable]]
    criteria: Unit[Criteria]


Groups = list[Unit[tuple[RivalGroup, Rivals]]]


def purchase_task(
    file: StudyFile[Study], *, output: str | Path, data: str | None = None, render: Render | None = None
) -> Task:
    """A study of purchases, with the digests of its inputs.

    Raises
    ------
    StudyError, DataError
        If a name in it is not known, if its strategies cannot be used, or if its data are not there.
    """
    study = _with_source(file.study, data)
    _require_registered(file)
    further = _further_files(file, study)
    strategies = read_strategies(None if study.strategies is None else further[study.strategies])
    require_brought(study.data.source)
    if study.customers is not None:
        require_table(study.customers, file.path)
    sources = [study.data.source, *further.values()]
    return task_of(file, study, output=output, data=data, sources=sources, words=strategies, render=render)


def _further_files(file: StudyFile[Study], study: Study) -> dict[str, str]:
    """Where the files are that a study reads beside its data, by what it calls them."""
    customers = {} if study.customers is None else {study.customers.source: study.customers.source}
    beside = {} if study.strategies is None else {study.strategies: str(file.path.parent / study.strategies)}
    return customers | beside


def purchase_graph(task: Task, *, tell: Tell = silent, watch: Watch = UNWATCHED) -> Graph[StudyResults]:
    """The units of a study of purchases; none has run yet."""
    study, digest = task.study, task.inputs.digests[task.study.data.source]
    units = units_of(task, tell, watch)
    read = _reading(task, units)
    calibration = _calibration(study, units, read)
    decision = _decision(study, units, read, calibration)
    groups = _groups(study, units, read, calibration)
    told = units.unit(
        "data", "what the log tells", tell_data, needs=[read.log, calibration.seen], settings=["value.margin"]
    )
    results = units.unit(
        "results",
        "put the results together",
        assemble,
        needs=[
            told,
            calibration.section,
            calibration.comparison,
            _models(units, calibration, decision),
            decision.replicated,
            decision.decision,
            decision.money,
            decision.actions,
            decision.classes,
            decision.ranked,
            *groups,
        ],
        settings=[*SHOWN, *FUTURE],
        given={
            "study_digest": task.file.digest,
            "data_digest": digest,
            "version": metadata.version("clvmodels"),
            "strategies": task.words,
        },
    )
    return Graph(
        task,
        units,
        results,
        lambda folder: _write(folder, results, calibration, decision, groups),
        {
            "data_digest": digest,
            "inputs": {name: task.inputs.digests[place] for name, place in _further_files(task.file, study).items()},
            "seed": study.seed,
            **key_mark(study.privacy, task.file.path),
        },
        lambda: _fit_lines(calibration, decision, groups),
    )


def _reading(task: Task, units: Units) -> _Read:
    """The inputs, and the checks that are made before anything long."""
    study, digests = task.study, task.inputs.digests
    table = study.customers
    named = {"named_by": key_mark(study.privacy, task.file.path)}
    log = units.unit(
        "log",
        "read the log",
        _read_log,
        settings=["data", "privacy"],
        given=named,
        inputs={"log": digests[study.data.source]},
        unkeyed={"path": task.file.path},
        codec=None,
    )
    traits = units.unit(
        "traits",
        "",
        _read_traits,
        settings=["customers", "privacy"],
        given=named,
        inputs={} if table is None else {"customers": digests[table.source]},
        unkeyed={"path": task.file.path},
        codec=None,
    )
    units.unit(
        "check",
        "hold the study against its data",
        _check,
        needs=[log, traits],
        settings=["data", "customers", "window", "models", "grades", *LOOKED_AT],
        unkeyed={"file": task.file},
    )
    return _Read(log, traits)


def _calibration(study: Study, units: Units, read: _Read) -> _Calibration:
    log, traits = read.log, read.traits
    models = model_code([study.models.purchases, study.models.spend])
    seen = units.unit(
        "summarise",
        "summarise the calibration and the holdout",
        see_customers,
        needs=[log, traits],
        settings=["window", "customers", "value.current_days"],
        codec=None,
    )
    main = units.unit(
        "fit_calibration",
        f"fit {study.models.purchases} and {study.models.spend} on the calibration",
        fit_calibration,
        needs=[seen],
        settings=FITTING,
        code=models,
    )
    beside: dict[str, Unit[Beside]] = {
        method: units.unit(
            f"compare_{method}",
            f"the same by {method}",
            fit_beside,
            needs=[seen],
            settings=FITTING,
            code=models,
            given={"method": method},
        )
        for method in study.fit.compare
    }
    held = units.unit(
        "forecast_holdout",
        "forecast the holdout and check it",
        hold_main,
        needs=[log, seen, main],
        settings=["seed", "window", "value.margin", "pyramid", "fit.stated_draws", *MATRIX],
        code=models,
    )
    drifting = units.unit(
        "drift",
        "whether the base buys as it did, and totals if it does not",
        section_with_drift,
        needs=[log, seen, held],
        settings=["seed", "window", "fit.stated_draws"],
        code=models,
    )
    section = units.unit(
        "conformal",
        "set the intervals of customers right inside the calibration",
        section_with_conformal,
        needs=[log, traits, seen, held, drifting],
        settings=["window", "customers", *FITTING],
        code=models,
    )
    best = units.unit(
        "best_contest",
        "choose the models that rank best inside the calibration" if study.contest.best else "",
        best_of_contest,
        needs=[log],
        settings=["seed", "window", "contest.best"],
        code=model_code(MODELS),
    )
    comparison = units.unit(
        "contest",
        "contest with " + ", ".join(study.contest.baselines),
        score_contest,
        needs=[log, seen, held, best],
        settings=["seed", "window", "models", "contest"],
        code=baseline_code(study.contest.baselines),
    )
    table = units.unit("holdout_table", "the holdout, customer by customer", holdout_table, needs=[seen, held])
    evidence = units.unit("evidence", "", gather_evidence, needs=[seen, held], codec=None)
    return _Calibration(seen, main, beside, section, comparison, table, evidence)


def _decision(study: Study, units: Units, read: _Read, calibration: _Calibration) -> _Decision:
    log = read.log
    models = model_code([study.models.purchases, study.models.spend])
    base = units.unit(
        "base",
        "summarise the customers up to the decision",
        see_base,
        needs=[log, read.traits],
        settings=["window", "customers", "value.as_of", "value.current_days", "value.margin"],
        codec=None,
    )
    fits = units.unit(
        "fit_all", "fit on all data until the decision", fit_decision, needs=[base], settings=FITTING, code=models
    )
    outlook = units.unit(
        "forecast",
        f"forecast the next {study.value.horizon:g} {study.window.unit}s of each customer",
        look_ahead,
        needs=[log, base, fits],
        settings=["seed", "window", "fit.stated_draws", "value.keep_share", *MATRIX, *FUTURE],
        code=models,
        codec=None,
    )
    ranked = units.unit(
        "best",
        "rank the customers by the models that do it best inside the log" if study.contest.best else "",
        rank_base,
        needs=[log, base],
        settings=["seed", "window.unit", "value.horizon", "contest.best"],
        code=model_code(MODELS),
    )
    decision = units.unit(
        "strategy",
        "customers, segments and strategy",
        decide,
        needs=[log, outlook, ranked],
        settings=["seed", "window", "value.keep_share", "value.win_share", "contest.baselines", *LABELS, *FUTURE],
        code=[*models, *baseline_code(study.contest.baselines)],
    )
    past = units.unit(
        "past",
        "what customers have brought",
        read_past,
        needs=[log],
        settings=["value.as_of", "value.margin", "value.parts"],
        codec=None,
    )
    money = units.unit(
        "money",
        "equity by segment, customers still to be won",
        money_section,
        needs=[log, past, outlook, decision],
        settings=["seed", "window", "fit.stated_draws", *FUTURE],
        code=models,
    )
    actions = units.unit(
        "actions",
        "what actions, a budget and fewer defections would bring",
        weigh_actions,
        needs=[log, outlook],
        settings=["seed", "window", "actions", "decisions", "value.current_days", *LABELS, *FUTURE],
        code=[*models, "clvmodels.models.kernels.changes"],
    )
    classes = units.unit(
        "classes",
        "tiers, stages, and who moved",
        classes_section,
        needs=[log, read.traits, calibration.evidence, outlook, decision],
        settings=["seed", "window", "customers", "value.current_days", *LABELS, *FUTURE],
        code=models,
    )
    replicated = units.unit(
        "replicate",
        f"replicate the data {study.fit.replicates} times by each model",
        replicate,
        needs=[base, fits],
        settings=["seed", "fit.replicates"],
        code=models,
    )
    criteria = units.unit(
        "criteria", "leave customers out, and scale the priors", gauge_criteria, needs=[base, fits], code=models
    )
    return _Decision(fits, ranked, decision, money, actions, classes, replicated, criteria)


def _groups(study: Study, units: Units, read: _Read, calibration: _Calibration) -> Groups:
    """The families with rivals; each model is a unit, and each family one that holds them side by side."""
    groups = []
    for family, names in {"purchases": study.purchase_rivals, "spend": study.spend_rivals}.items():
        if not names:
            continue
        own = [study.models.purchases, study.models.spend]
        weighed = [
            units.unit(
                f"rival_{name}",
                f"{name} beside {getattr(study.models, family)}",
                weigh_rival,
                needs=[read.log, calibration.evidence],
                settings=["seed", "window", "fit.allow", "fit.replicates", "rivals.calendar", "value.margin"],
                code=model_code([name, *own]),
                given={"name": name, "method": method, "draws": draws},
            )
            for name in names
            for method, draws in [study.fit_of_rival(name)]
        ]
        groups.append(
            units.unit(
                f"rivals_{family}",
                f"compare the models of {family}",
                group_rivals,
                needs=[calibration.evidence, *weighed],
                settings=["seed", "models", "window.unit", "fit.replicates", "contest.replicates"],
                code=model_code([*own, *names]),
                given={"family": family, "names": list(names)},
            )
        )
    return groups


def _models(units: Units, calibration: _Calibration, decision: _Decision) -> Unit[ModelSection]:
    correlation = units.unit(
        "correlation",
        "whether spend goes with frequency",
        correlate,
        needs=[calibration.seen],
        settings=["seed", "contest.replicates"],
    )
    return units.unit(
        "models",
        "the fits",
        models_section,
        needs=[correlation, calibration.main, decision.fits, decision.criteria, *calibration.beside.values()],
        given={"methods": list(calibration.beside)},
    )


def _with_source(study: Study, data: str | None) -> Study:
    if data is None:
        return study
    return msgspec.structs.replace(study, data=msgspec.structs.replace(study.data, source=data))


def _require_registered(file: StudyFile[Study]) -> None:
    """Refuse names of models and baselines that are not in the registries."""
    models, rivals = file.study.models, file.study.rivals
    for family, beside in (("purchases", "models"), ("spend", "spend")):
        known = [name for name, model in MODELS.items() if model.family == family]
        words = ", ".join(f'"{name}"' for name in known)
        if getattr(models, family) not in known:
            raise StudyError(f'{file.path}, [models] {family} = "{getattr(models, family)}": expected one of {words}.')
        for name in getattr(rivals, beside):
            if name not in known:
                raise StudyError(f'{file.path}, [rivals] {beside} has "{name}": expected some of {words}.')
    own = MODELS[models.purchases]
    if own.clock != "continuous" or own.on_calendar is not None or "expected_purchases" not in own.formulas:
        raise StudyError(
            f'{file.path}, [models] purchases = "{own.name}": decisions need a model in continuous time, without a '
            "calendar and with expected purchases. Put it in [rivals] models, beside another."
        )
    for name in rivals.models:
        if MODELS[name].on_calendar is not None and rivals.calendar == CalendarTable():
            raise StudyError(
                f'{file.path}, [rivals] models has "{name}", which reads a calendar: give [rivals.calendar] waves, '
                "seasons or campaigns."
            )
    for name in file.study.contest.baselines:
        if name not in BASELINES:
            words = ", ".join(f'"{word}"' for word in BASELINES)
            raise StudyError(f'{file.path}, [contest] baselines has "{name}": expected some of {words}.')


def _require_inside(file: StudyFile[Study], study: Study, log: TransactionLog) -> None:
    """Refuse a decision date that the log does not reach, before any fit."""
    if study.value.as_of is not None and study.value.as_of > log.last_date:
        raise StudyError(
            f"{file.path}, [value] as_of = {study.value.as_of}: the log ends on {log.last_date}. "
            "Leave it out to decide on that day."
        )


def _read_log(study: Study, *, path: Path, named_by: Mapping[str, str]) -> TransactionLog:
    """The log, whose customers go by names under the key that `named_by` marks."""
    del named_by  # of the unit's key
    return read_log(study, path)


def _read_traits(study: Study, *, path: Path, named_by: Mapping[str, str]) -> pd.DataFrame | None:
    """What the customers' file tells, by the same names."""
    del named_by
    return read_named_traits(study, path)


def _check(study: Study, log: TransactionLog, traits: pd.DataFrame | None, *, file: StudyFile[Study]) -> None:
    """Refuse what the data do not bear, before any fit."""
    _require_inside(file, study, log)
    require_effects(file, study, log, traits)
    require_graded_columns(file, traits)
    read_past(study, log)


def tell_data(study: Study, log: TransactionLog, seen: Seen) -> Told:
    """What was read, and what became of the base, window by window."""
    history = calendar_history(log)
    revenue = sum(period.first_amount + period.repeat_amount for period in history)
    return Told(_data_section(log, seen, revenue), history, base_section(study, log))


def models_section(
    _study: Study,
    correlation: Estimate,
    main: tuple[Fit, Fit],
    decision: tuple[Fit, Fit],
    criteria: Criteria,
    *beside: Beside,
    methods: Sequence[str],
) -> ModelSection:
    """Every fit of the study, with how well those of the decision describe their data."""
    others = [fit for one in beside if one.fits is not None for fit in one.fits]
    fits = [_fit_row(fit, "calibration") for fit in (*main, *others)]
    return ModelSection(
        [*fits, *(_fit_row(fit, "decision") for fit in decision)],
        correlation,
        {method: one.problem for method, one in zip(methods, beside, strict=True) if one.fits is None},
        criteria=criteria.criteria,
        sensitivity=criteria.sensitivity,
    )


def assemble(
    study: Study,
    told: Told,
    evidence: EvidenceSection,
    comparison: ComparisonSection,
    models: ModelSection,
    predictive: list[PredictiveCheckTable],
    decision: Decision,
    money: MoneySection,
    actions: Actions,
    classes: ClassesSection,
    ranked: Ranked | None,
    *groups: tuple[RivalGroup, Rivals],
    study_digest: str,
    data_digest: str,
    version: str,
    strategies: Strategies,
) -> StudyResults:
    """The results whole."""
    return fit_to_show(
        StudyResults(
            study=_info(study, study_digest, data_digest, version),
            data=told.section,
            history=told.history,
            value=decision.value,
            matrix=named_cells(decision.matrix, study.matrix.names),
            act_on=with_next_steps(decision.act_on, decision.table["customer_id"], actions.columns),
            evidence=evidence,
            comparison=comparison,
            models=models,
            predictive=predictive,
            rivals=[group for group, _ in groups],
            base=told.base,
            classes=classes,
            money=money,
            actions=actions.section,
            strategies=strategies,
            ranking=None if ranked is None else ranked.choice,
        )
    )


def _fit_row(fit: Fit, window: str) -> FitRow:
    """A fit as the report shows it, with the reference category of each covariate."""
    columns = [column for of_parameter in fit.effects.covariates.values() for column in of_parameter]
    references = {column.source: column.reference for column in columns if column.reference is not None}
    return replace(fit_row(fit, window), references=references)


def _info(study: Study, study_digest: str, data_digest: str, version: str) -> StudyInfo:
    return StudyInfo(
        name=study.name,
        title=study.title,
        background=study.background,
        source=study.data.source,
        data_digest=data_digest,
        study_digest=study_digest,
        seed=study.seed,
        version=version,
        currency=study.data.currency,
        unit=study.window.unit,
        margin=study.value.margin,
        annual_discount_rate=study.value.annual_discount_rate,
        vocabulary=study.matrix.names,
        languages=list(study.languages),
        privacy=study.privacy,
    )


def _data_section(log: TransactionLog, seen: Seen, revenue: float) -> DataSection:
    customers, holdout = seen.customers, seen.holdout
    window = holdout.window
    return DataSection(
        rows_read=log.rows_read,
        occasions=log.occasions,
        customers=log.n_customers,
        revenue=revenue,
        first_date=log.first_date.isoformat(),
        last_date=log.last_date.isoformat(),
        ledger=list(log.ledger),
        set_aside=list(customers.set_aside),
        calibration_end=window.calibration_end.isoformat(),
        holdout_end=str(window.holdout_end),
        holdout_length=window.holdout_length,
        calibration_customers=len(customers),
        calibration_repeat_purchases=int(customers.frequency.sum()),
        calibration_repeat_buyers=int((customers.frequency > 0).sum()),
        holdout_purchases=int(holdout.purchases.sum()),
        holdout_amount=float(holdout.amount.sum()),
        holdout_buyers=int((holdout.purchases > 0).sum()),
        notes=[*log.notes, *_few(customers)],
        gross=log.gross,
        choices=choices(log),
        alternatives=alternatives(log),
    )


def _few(customers: CustomerSummary) -> list[LedgerLine]:
    """Notes where a base is small: intervals then lean on the priors."""
    buyers = int((customers.frequency > 0).sum())
    counts = {"few_customers": (len(customers), FEW_CUSTOMERS), "few_repeat_buyers": (buyers, FEW_REPEAT_BUYERS)}
    return [LedgerLine(reason, count, 0.0) for reason, (count, few) in counts.items() if count < few]


def correlate(study: Study, seen: Seen) -> Estimate:
    """Correlation of frequency and mean spend of repeat buyers, which the spend model takes to be 0; bootstrap."""
    customers = seen.customers
    known = (customers.frequency > 0) & ~np.isnan(customers.monetary_value)
    x, m = customers.frequency[known], customers.monetary_value[known]
    if len(x) < FEW_CORRELATED or np.ptp(x) == 0 or np.ptp(m) == 0:
        return Estimate(None, None, None, None, None)
    rng = np.random.default_rng(seed_for(study.seed, "correlation"))

    def correlation(rows: IntArray) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample of customers alike has none
            return float(np.corrcoef(x[rows], m[rows])[0, 1])

    drawn = np.array([correlation(rng.integers(0, len(x), len(x))) for _ in range(study.contest.replicates)])
    return replace(estimate(drawn[np.isfinite(drawn)]), mean=correlation(np.arange(len(x))))


def _write(
    folder: Path, results: Unit[StudyResults], calibration: _Calibration, decision: _Decision, groups: Groups
) -> None:
    """Results, tables and draws, into an empty folder."""
    found = results()
    outputs.write_results(found, folder / "results.json")
    scores = [*found.comparison.scores, *(score for group in found.rivals for score in scores_of(group))]
    once = {(score.method, score.score): score for score in scores}  # the study's own model is in both
    decided, held = decision.decision(), calibration.table()
    named = decided.table.assign(label=decided.table["cell"].map({cell.key: cell.name for cell in found.matrix.cells}))
    customers = pd.concat([named, decision.actions().columns], axis=1)
    tables = {
        "customers.parquet": customers,
        "customers.csv": customers,
        "comparison.csv": pd.DataFrame([asdict(score) for score in once.values()]),
        "segments.csv": decided.segments,
        "holdout.csv": held,
        "holdout.parquet": held,
    }
    for name, table in tables_to_show(found.study.privacy, tables).items():
        outputs.write_table(table, folder / name)
    save_draws(_saved(calibration, decision, groups), folder)


def _fit_lines(calibration: _Calibration, decision: _Decision, groups: Groups) -> list[FitLine]:
    return [
        fit_line(fit, "calibration" if CALIBRATION in name else "decision", name)
        for name, fit in _saved(calibration, decision, groups).items()
    ]


def _saved(calibration: _Calibration, decision: _Decision, groups: Groups) -> dict[str, Fit]:
    """Draws of the decision as <model>.nc, of the evidence as <model>.calibration.<method asked for>.nc."""
    saved = {f"{fit.model.name}.nc": fit for fit in decision.fits()}
    for group in groups:
        saved |= {f"{name}{CALIBRATION}nc": rival.fit for name, rival in group()[1].items()}
    saved |= {f"{fit.model.name}{CALIBRATION}nc": fit for fit in calibration.main()}
    for method, unit in calibration.beside.items():
        saved |= {f"{fit.model.name}{CALIBRATION}{method}.nc": fit for fit in unit().fits or ()}
    return saved
