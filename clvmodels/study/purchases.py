"""A study of purchases: read, fit, forecast, contest, decide. The only place that knows their order."""

from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from clvmodels.baselines import BASELINES
from clvmodels.data import alternatives, calendar_history, choices
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.files import folder_in
from clvmodels.foundation.patterns import IntArray
from clvmodels.foundation.records import CustomerSummary, LedgerLine, TransactionLog
from clvmodels.foundation.results import DataSection, FitRow, ModelSection, StudyInfo, StudyResults
from clvmodels.inference import Fit
from clvmodels.models import MODELS
from clvmodels.strategy import read_strategies
from clvmodels.study import outputs
from clvmodels.study.actions import weigh_actions
from clvmodels.study.adequacy import Adequacy, gauge_adequacy
from clvmodels.study.classes import base_section, classes_section
from clvmodels.study.config import CalendarTable, Study
from clvmodels.study.customers import require_effects
from clvmodels.study.decision import Decision, decide
from clvmodels.study.evidence import Evidence, gather_evidence
from clvmodels.study.files import StudyFile
from clvmodels.study.labels import require_graded_columns
from clvmodels.study.money import money_section, read_past
from clvmodels.study.privacy import fit_to_show, key_mark, read_data, remove_shown_before, tables_to_show
from clvmodels.study.progress import Steps, Tell, seed_for
from clvmodels.study.rivals import Rivals, scores_of, weigh_rivals
from clvmodels.study.sections import fit_row

STEPS_BESIDE_COMPARED = 18
FEW_CUSTOMERS = 100
FEW_REPEAT_BUYERS = 30
FEW_CORRELATED = 3


def run_purchases(file: StudyFile[Study], *, output: str | Path, data: str | None, tell: Tell) -> StudyResults:
    """Run a study of purchases; see `run_study`."""
    study = _with_source(file.study, data)
    _require_registered(file)
    strategies = read_strategies(None if study.strategies is None else file.path.parent / study.strategies)
    folder = Path(output) / study.name
    outputs.require_writable(folder)
    steps = Steps(STEPS_BESIDE_COMPARED + _steps_asked_for(study), tell)
    with steps.step("read", "read the log"):
        log, traits = read_data(replace(file, study=study))
        _require_inside(file, study, log)
        require_effects(file, study, log, traits)
        require_graded_columns(file, traits)
        past = read_past(study, log)
    evidence = gather_evidence(study, log, traits, steps)
    decision = decide(study, log, traits, steps)
    with steps.step("money", "equity by segment, customers still to be won"):
        money = money_section(study, log, past, decision)
    with steps.step("actions", "what actions, a budget and fewer defections would bring"):
        actions = weigh_actions(study, log, decision.outlook)
        decision = replace(decision, table=pd.concat([decision.table, actions.columns], axis=1))
    adequacy = gauge_adequacy(study, decision.outlook.fits, decision.outlook.learnt, steps)
    groups, rivals = weigh_rivals(study, log, evidence, steps)
    classes = classes_section(study, log, traits, evidence, decision.outlook, decision.labels, steps)
    results = _results(file, study, log, evidence, decision, adequacy)
    results = replace(
        fit_to_show(results),
        rivals=groups,
        strategies=strategies,
        base=base_section(study, log),
        classes=classes,
        money=money,
        actions=actions.section,
    )
    with steps.step("write", "write results and tables"):
        files = _write(results, evidence, decision, rivals, folder)
    digests = {"study_digest": file.digest, "data_digest": log.digest, **key_mark(file)}
    outputs.write_manifest(folder, outputs.manifest(file.path, digests, study.seed, steps.done, files))
    return results


def _steps_asked_for(study: Study) -> int:
    """A step for each method of fitting beside, two for the ranking, one for each rival, and one for its family."""
    rivals = sum(len(names) + 1 for names in (study.purchase_rivals, study.spend_rivals) if names)
    return len(study.fit.compare) + 2 * study.contest.best + rivals


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


def _results(
    file: StudyFile[Study],
    study: Study,
    log: TransactionLog,
    evidence: Evidence,
    decision: Decision,
    adequacy: Adequacy,
) -> StudyResults:
    beside = [fit for pair in evidence.beside.values() for fit in pair]
    fits = [_fit_row(fit, "calibration") for fit in (*evidence.fits, *beside)]
    fits += [_fit_row(fit, "decision") for fit in decision.outlook.fits]
    history = calendar_history(log)
    revenue = sum(period.first_amount + period.repeat_amount for period in history)
    return StudyResults(
        study=_info(file, study, log),
        data=_data_section(log, evidence, revenue),
        history=history,
        value=decision.value,
        matrix=decision.matrix,
        act_on=decision.act_on,
        evidence=evidence.section,
        comparison=evidence.comparison,
        models=ModelSection(
            fits,
            _correlation(study, evidence),
            evidence.not_fitted,
            criteria=adequacy.criteria,
            sensitivity=adequacy.sensitivity,
        ),
        predictive=adequacy.predictive,
        ranking=None if decision.ranked is None else decision.ranked.choice,
    )


def _fit_row(fit: Fit, window: str) -> FitRow:
    """A fit as the report shows it, with the reference category of each covariate."""
    columns = [column for of_parameter in fit.effects.covariates.values() for column in of_parameter]
    references = {column.source: column.reference for column in columns if column.reference is not None}
    return replace(fit_row(fit, window), references=references)


def _info(file: StudyFile[Study], study: Study, log: TransactionLog) -> StudyInfo:
    return StudyInfo(
        name=study.name,
        title=study.title,
        background=study.background,
        source=log.source,
        data_digest=log.digest,
        study_digest=file.digest,
        seed=study.seed,
        version=metadata.version("clvmodels"),
        currency=study.data.currency,
        unit=study.window.unit,
        margin=study.value.margin,
        annual_discount_rate=study.value.annual_discount_rate,
        vocabulary=study.matrix.names,
        languages=list(study.languages),
        privacy=study.privacy,
    )


def _data_section(log: TransactionLog, evidence: Evidence, revenue: float) -> DataSection:
    customers, holdout = evidence.customers, evidence.holdout
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


def _correlation(study: Study, evidence: Evidence) -> Estimate:
    """Correlation of frequency and mean spend of repeat buyers, which the spend model takes to be 0; bootstrap."""
    customers = evidence.customers
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


def _write(results: StudyResults, evidence: Evidence, decision: Decision, rivals: Rivals, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    remove_shown_before(folder, results.study.privacy)
    outputs.write_results(results, folder / "results.json")
    scores = [*results.comparison.scores, *(score for group in results.rivals for score in scores_of(group))]
    once = {(score.method, score.score): score for score in scores}  # the study's own model is in both
    comparison = pd.DataFrame([asdict(score) for score in once.values()])
    whole = {
        "customers.parquet": decision.table,
        "customers.csv": decision.table,
        "comparison.csv": comparison,
        "segments.csv": decision.segments,
        "holdout.csv": evidence.table,
        "holdout.parquet": evidence.table,
    }
    tables = tables_to_show(results.study.privacy, whole)
    for name, table in tables.items():
        outputs.write_table(table, folder / name)
    _save_fits(evidence, decision, rivals, folder_in(folder, "draws"))
    return [folder / name for name in ("results.json", *tables)]


def _save_fits(evidence: Evidence, decision: Decision, rivals: Rivals, folder: Path) -> None:
    """Draws of the decision as <model>.nc, of the evidence as <model>.calibration.<method asked for>.nc."""
    saved = {f"{fit.model.name}.nc": fit for fit in decision.outlook.fits}
    saved |= {f"{name}.calibration.nc": rival.fit for name, rival in rivals.items()}
    saved |= {f"{fit.model.name}.calibration.nc": fit for fit in evidence.fits}
    for method, pair in evidence.beside.items():
        saved |= {f"{fit.model.name}.calibration.{method}.nc": fit for fit in pair}
    for old in set(folder.glob("*.nc")) - {folder / name for name in saved}:
        old.unlink()  # of a fit that the study no longer has
    for name, fit in saved.items():
        fit.save(folder / name)
