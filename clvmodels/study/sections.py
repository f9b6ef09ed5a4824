"""Records of results from arrays and fits: what several sections need alike."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import FisherNormal, HalfNormal, LogitNormal, LogNormal, Normal, OneOf, Prior
from clvmodels.foundation.records import Forecast
from clvmodels.foundation.results import FitRow, ParameterRow, PriorRow
from clvmodels.inference import Fit
from clvmodels.study.manifest import FitLine

DRAWS = "draws"  # folder of a report


def fit_row(fit: Fit, window: str) -> FitRow:
    """A fit as the report shows it."""
    summary = fit.summary()
    return FitRow(
        model=fit.model.name,
        method=fit.method,
        window=window,
        customers=fit.n_customers,
        patterns=fit.n_patterns,
        draws=fit.n_draws,
        log_likelihood=fit.log_likelihood,
        parameters=[_parameter_row(str(name), summary.loc[name].to_dict(), fit) for name in summary.index],
        priors={name: _prior_row(prior) for name, prior in fit.priors.items()},
        checks=list(fit.checks),
        notes=list(fit.notes),
        allowed=list(fit.allowed),
    )


def fit_line(fit: Fit, learnt_from: str, draws: str) -> FitLine:
    """A fit as the manifest has it; `draws` is the file of its draws, in the folder of draws."""
    checks = {check.key: check.passed for check in fit.checks}
    return FitLine(fit.model.name, learnt_from, checks, fit.method, tuple(fit.allowed), f"{DRAWS}/{draws}")


def save_draws(fits: Mapping[str, Fit], folder: Path) -> None:
    """The draws of fits, by the names of their files, in the folder of a report."""
    (folder / DRAWS).mkdir()
    for name, fit in fits.items():
        fit.save(folder / DRAWS / name)


def _prior_row(prior: Prior) -> PriorRow:
    match prior:
        case LogNormal(median, sd):
            return PriorRow("log_normal", median, sd)
        case Normal(mean, sd):
            return PriorRow("normal", mean, sd)
        case FisherNormal(mean, sd):
            return PriorRow("fisher_normal", mean, sd)
        case LogitNormal(median, sd):
            return PriorRow("logit_normal", median, sd)
        case OneOf(values):
            return PriorRow("one_of", float(np.mean(values)), float(np.std(values)))
        case HalfNormal(sd):
            return PriorRow("half_normal", 0.0, sd)


def _parameter_row(name: str, row: dict[str, float], fit: Fit) -> ParameterRow:
    """A row of the summary; maximum likelihood shows its standard error as sd."""
    known = {key: None if math.isnan(value) else float(value) for key, value in row.items()}
    if fit.method == "mle":
        known["sd"] = fit.standard_errors[name]
    mean = known.pop("mean")
    assert mean is not None
    return ParameterRow(name=name, mean=mean, **known)


def estimate_at(forecast: Forecast, row: int) -> Estimate:
    """One row of a forecast in five numbers; a mean without bound is None."""
    columns: tuple[FloatArray, ...] = (forecast.mean, forecast.sd, forecast.q05, forecast.q50, forecast.q95)
    return Estimate(*(float(column[row]) if np.isfinite(column[row]) else None for column in columns))
