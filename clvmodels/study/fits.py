"""The two fits of a study: of purchases and of spend, on one summary, by one method."""

from typing import Any

from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference import Fit, fit
from clvmodels.study.config import EffectsTable, Study
from clvmodels.study.progress import seed_for


def fit_pair(study: Study, customers: CustomerSummary, method: str, window: str) -> tuple[Fit, Fit]:
    """The purchase model and the spend model of the study on one summary, by one method.

    Checks that the study allows may have failed.
    """

    def one(model: str, effects: EffectsTable) -> Fit:
        seed = None if method == "mle" else seed_for(study.seed, f"{window} {model} {method}")
        found = fit(model, customers, method=method, draws=study.fit.draws, seed=seed, **_asked(effects))
        return found.allowing(*study.fit.allow)

    return one(study.models.purchases, study.fit.purchases), one(study.models.spend, study.fit.spend)


def _asked(effects: EffectsTable) -> dict[str, Any]:
    """The covariates and groups of a fit, those that there are."""
    asked = {"covariates": effects.covariates, "groups": effects.groups}
    return {name: value for name, value in asked.items() if value}
