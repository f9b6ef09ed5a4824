"""Models beside the study's own: fitted to the same calibration, scored on customers left out and on the holdout.

One model at a time; of each stay its parameters, its density of every customer, and the checks of its forecast.
No decision rests on them, so one that cannot be fitted, or fails its checks, is left out by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from clvmodels.evaluation import posterior_predictive_check
from clvmodels.evaluation.calibration import count_rows, coverage_rows
from clvmodels.evaluation.contest import contest
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, TransactionLog
from clvmodels.foundation.results import (
    ComparisonSection,
    LeaveOneOut,
    ReplicatedRow,
    RivalGap,
    RivalGroup,
    RivalRow,
    Score,
)
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference import Fit, compare_models, fit, loo
from clvmodels.inference.criteria import Criterion, stacking_weights
from clvmodels.inference.diagnostics import require_passed
from clvmodels.models import MODELS
from clvmodels.study.config import Study
from clvmodels.study.customers import customers_for
from clvmodels.study.evidence import Evidence, Trial, hold_against
from clvmodels.study.progress import seed_for
from clvmodels.study.sections import fit_row

IN_CONTEST = 0.90  # coverage that is among the scores of the contest
BAND = 1.6448536269514722  # standard errors to either side that hold 90 % of a normal distribution


@dataclass(frozen=True)
class Rival:
    """One model's part in the comparison.

    Attributes
    ----------
    fit : of the model itself
    customers : as the model counts them
    trial : with the study's own model of the other family
    criterion : customers left out; None where the model has no such estimate, and `notes` say why
    replicated : customers by repeat purchases, against data sets of the model; empty for spend
    """

    fit: Fit
    customers: CustomerSummary
    trial: Trial
    criterion: Criterion | None
    replicated: list[ReplicatedRow]
    notes: list[str]

    def per(self, unit: str) -> FloatArray:
        """What the log density of each customer gains with times in `unit`, shape (N,).

        A density of x times of purchase is per unit of time to the power of x. A model that counts in days gives
        each sequence of days a probability, which is a density per day.
        """
        longer = days_per_unit(unit) / days_per_unit(self.customers.unit)
        times = self.customers.frequency if self.fit.model.family == "purchases" else np.zeros(len(self.customers))
        gained: FloatArray = times * np.log(longer)
        return gained


Rivals = dict[str, Rival]


@dataclass(frozen=True)
class Weighed:
    """A model beside the study's own, or why it is left out."""

    rival: Rival | None
    problem: str = ""


def weigh_rival(
    study: Study, log: TransactionLog, evidence: Evidence, *, name: str, method: str, draws: int
) -> Weighed:
    """A model fitted, and held against customers left out and the holdout.

    No decision rests on it: where it cannot be fitted or fails its checks, the study says so and goes on.
    """
    try:
        return Weighed(_rival(study, log, evidence, name, method, draws))
    except (FitError, DataError) as problem:
        return Weighed(None, str(problem))


def _rival(study: Study, log: TransactionLog, evidence: Evidence, name: str, method: str, draws: int) -> Rival:
    model = MODELS[name]
    customers = customers_for(model, evidence.customers, study, log)
    fitted = fit(name, customers, method=method, draws=draws, seed=seed_for(study.seed, f"calibration {name} {method}"))
    fitted = fitted.allowing(*study.fit.allow)
    require_passed(fitted)
    purchases, spend = evidence.fits
    fits = (fitted, spend) if model.family == "purchases" else (purchases, fitted)
    # As many draws for all: a log score by fewer is worse.
    trial = hold_against(study, log, fits, customers, evidence.holdout, stream=name, draws=purchases.n_draws)
    return _beside(study, fitted, customers, trial)


def group_rivals(
    study: Study, evidence: Evidence, *weighed: Weighed, family: str, names: Sequence[str]
) -> tuple[RivalGroup, Rivals]:
    """The models of a family side by side, the study's own first; and those that there are by name."""
    found = dict(zip(names, weighed, strict=True))
    fitted = evidence.fits[0 if family == "purchases" else 1]
    rivals = {fitted.model.name: _beside(study, fitted, evidence.customers, evidence.trial)}
    rivals |= {name: one.rival for name, one in found.items() if one.rival is not None}
    left_out = {name: one.problem for name, one in found.items() if one.rival is None}
    return _group(study, evidence, family, rivals, left_out), rivals


def _beside(study: Study, fitted: Fit, customers: CustomerSummary, trial: Trial) -> Rival:
    notes = list(fitted.notes)
    criterion = None
    try:
        criterion = loo(fitted, customers)
    except FitError as problem:  # a model without a density that can be worked out still forecasts
        notes.append(str(problem))
    replicated = _replicated(study, fitted, customers) if fitted.model.family == "purchases" else []
    return Rival(fitted, customers, trial, criterion, replicated, notes)


def _replicated(study: Study, fitted: Fit, customers: CustomerSummary) -> list[ReplicatedRow]:
    """Customers by repeat purchases in the calibration, and in data sets of the model."""
    check = posterior_predictive_check(
        fitted,
        customers,
        seed=seed_for(study.seed, f"calibration replications {fitted.model.name}"),
        replicates=study.fit.replicates,
    )
    return [row for row in check.rows if row.quantity == "customers"]


# The group


def _group(study: Study, evidence: Evidence, family: str, rivals: Rivals, left_out: dict[str, str]) -> RivalGroup:
    unit = study.window.unit
    densities = {
        name: rival.criterion.by_row + rival.per(unit) for name, rival in rivals.items() if rival.criterion is not None
    }
    bases = _bases({name: rivals[name] for name in densities}, family)
    left = {name: row for base in bases for name, row in _leave_one_out(base, densities, rivals).items()}
    comparison = _contest(study, evidence, family, rivals)
    outcome = evidence.trial.checks[family].outcome
    return RivalGroup(
        family=family,
        main=getattr(study.models, family),
        customers=len(evidence.customers),
        actual=float(outcome.sum()),
        rows=[_row(family, rival, left.get(name), unit) for name, rival in rivals.items()],
        gaps=[gap for base in bases for gap in _gaps(base, densities)],
        scores=comparison.scores,
        duels=comparison.duels,
        left_out=left_out,
    )


def _bases(rivals: Rivals, family: str) -> list[list[str]]:
    """Models of the same data together: all purchase models, and those spend models that compare with each other."""
    if family == "purchases":
        return [list(rivals)] if rivals else []
    bases: list[list[str]] = []
    for name, rival in rivals.items():
        base = next((base for base in bases if _compare(rivals[base[0]], rival)), None)
        if base is None:
            bases.append([name])
        else:
            base.append(name)
    return bases


def _compare(one: Rival, other: Rival) -> bool:
    try:
        compare_models({"one": one.fit, "other": other.fit}, one.customers)
    except FitError:  # densities of other data
        return False
    return True


def _leave_one_out(names: list[str], densities: Mapping[str, FloatArray], rivals: Rivals) -> dict[str, LeaveOneOut]:
    """Rows of the models of one basis: elpd, difference to the best, stacking weight."""
    elpd = np.column_stack([densities[name] for name in names])
    elpd = elpd[np.isfinite(elpd).all(axis=1)]  # a spend model has none of customers without repeat spend
    weights = stacking_weights(elpd, n_customers=np.ones(len(elpd)))
    best = elpd[:, [int(np.argmax(elpd.sum(axis=0)))]]
    rows = {}
    for name, own, gap, weight in zip(names, elpd.T, (elpd - best).T, weights, strict=True):
        criterion = rivals[name].criterion
        assert criterion is not None
        worst = float(criterion.pareto_k.max())
        rows[name] = LeaveOneOut(
            elpd=float(own.sum()),
            se=_standard_error(own),
            p=criterion.p,
            worst_k=worst if np.isfinite(worst) else None,
            high_k_customers=criterion.unreliable,
            difference=float(gap.sum()),
            difference_se=_standard_error(gap),
            weight=float(weight),
            basis=names[0],
        )
    return rows


def _gaps(names: list[str], densities: Mapping[str, FloatArray]) -> list[RivalGap]:
    gaps = []
    for name, other in permutations(names, 2):
        gap = densities[name] - densities[other]
        gap = gap[np.isfinite(gap)]
        gaps.append(RivalGap(name, other, float(gap.sum()), _standard_error(gap)))
    return gaps


def _standard_error(values: FloatArray) -> float:
    """Standard error of a sum over customers: sqrt(N var)."""
    return float(np.sqrt(len(values) * values.var(ddof=1)))


def _contest(study: Study, evidence: Evidence, family: str, rivals: Rivals) -> ComparisonSection:
    """Scores of the models on the holdout, in the same replicates as the study's contest."""
    outcomes = ("purchases", "spend") if family == "purchases" else ("spend",)
    return contest(
        {name: {outcome: rival.trial.forecasts[outcome] for outcome in outcomes} for name, rival in rivals.items()},
        evidence.holdout,
        model=getattr(study.models, family),
        rng=np.random.default_rng(seed_for(study.seed, "bootstrap")),
        replicates=study.contest.replicates,
        checks={name: rival.trial.checks for name, rival in rivals.items()},
    )


def _row(family: str, rival: Rival, left: LeaveOneOut | None, unit: str) -> RivalRow:
    purchases = family == "purchases"
    check = rival.trial.checks[family]
    fitted = fit_row(rival.fit, "calibration")
    return RivalRow(
        model=fitted.model,
        method=fitted.method,
        draws=fitted.draws,
        log_likelihood=fitted.log_likelihood + float(rival.per(unit).sum()),
        parameters=[row for row in fitted.parameters if row.name in rival.fit.model.parameter_names],
        loo=left,
        total=estimate(rival.trial.forecasts[family].total_draws),
        coverage=coverage_rows([check]),
        tracking=rival.trial.tracking if purchases else [],
        replicated=rival.replicated,
        counts=count_rows(check) if purchases else [],
        notes=rival.notes,
    )


def scores_of(group: RivalGroup) -> list[Score]:
    """Rows of comparison.csv: scores on the holdout, other coverages, elpd and stacking weights of each model."""
    n = group.customers
    covered = [
        Score(row.model, f"{c.outcome}_coverage_{round(100 * c.probability)}", c.covered, c.low, c.high, n)
        for row in group.rows
        for c in row.coverage
        if c.probability != IN_CONTEST
    ]
    left = [
        score
        for row in group.rows
        if row.loo is not None
        for score in (
            Score(row.model, "elpd_loo", row.loo.elpd, *_around(row.loo.elpd, row.loo.se), n),
            Score(
                row.model, "elpd_difference", row.loo.difference, *_around(row.loo.difference, row.loo.difference_se), n
            ),
            Score(row.model, "stacking_weight", row.loo.weight, None, None, n),
        )
    ]
    return [*group.scores, *covered, *left]


def _around(value: float, se: float) -> tuple[float, float]:
    return value - BAND * se, value + BAND * se
