"""What the fits behind the decision say of themselves: replicated data, leave-one-out, and who decides."""

import math
from dataclasses import dataclass
from typing import Any

from clvmodels.evaluation.predictive_checks import posterior_predictive_check
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.results import CriterionRow, PredictiveCheckTable, SensitivityRow
from clvmodels.inference import Fit
from clvmodels.inference.criteria import loo
from clvmodels.inference.pareto import PARETO_K_LIMIT
from clvmodels.inference.sensitivity import THRESHOLD, prior_sensitivity
from clvmodels.study.config import Study
from clvmodels.study.decision import Base
from clvmodels.study.progress import seed_for

WINDOW = "decision"


@dataclass(frozen=True)
class Criteria:
    """Rows of the report on customers left out, and on who decides: the prior or the data."""

    criteria: list[CriterionRow]
    sensitivity: list[SensitivityRow]


def replicate(study: Study, base: Base, fits: tuple[Fit, Fit]) -> list[PredictiveCheckTable]:
    """Data sets of each model of the decision, against the data that it learnt from."""
    return [
        posterior_predictive_check(
            fit,
            base.learnt,
            seed=seed_for(study.seed, f"replications {fit.model.name}"),
            replicates=study.fit.replicates,
        )
        for fit in fits
    ]


def gauge_criteria(_study: Study, base: Base, fits: tuple[Fit, Fit]) -> Criteria:
    """Leave customers out, and scale the priors."""
    return Criteria(
        [_criterion_row(fit, base.learnt) for fit in fits],
        [row for fit in fits for row in _sensitivity_rows(fit, base.learnt)],
    )


def _criterion_row(fit: Fit, customers: CustomerSummary) -> CriterionRow:
    criterion = loo(fit, customers)
    return CriterionRow(
        model=fit.model.name,
        method=fit.method,
        window=WINDOW,
        elpd=criterion.elpd,
        se=criterion.se,
        p=criterion.p,
        worst_k=_finite(criterion.pareto_k.max()),
        k_limit=PARETO_K_LIMIT,
        high_k_customers=criterion.unreliable,
        customers=criterion.n,
    )


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _sensitivity_rows(fit: Fit, customers: CustomerSummary) -> list[SensitivityRow]:
    found = prior_sensitivity(fit, customers)
    return [
        SensitivityRow(
            model=fit.model.name,
            window=WINDOW,
            parameter=str(name),
            prior=_finite(found.at[name, "prior"]),
            likelihood=_finite(found.at[name, "likelihood"]),
            diagnosis=str(found.at[name, "diagnosis"]),
            threshold=THRESHOLD,
        )
        for name in found.index
    ]
