"""Numbers that say whether draws can be trusted, and their limits."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.results import Check

if TYPE_CHECKING:  # the record imports this module when asked for a summary
    from clvmodels.inference.result import Fit

R_HAT_LIMIT = 1.01
EFFECTIVE_DRAWS_LIMIT = 400.0
BFMI_LIMIT = 0.3
INFINITE_MEAN_LIMIT = 0.01


def parameter_summary(fit: "Fit") -> pd.DataFrame:
    """Frame by parameter: mean, sd, q05, q50, q95, ess_bulk, ess_tail, r_hat, pareto_k."""
    rows = {name: _row(fit, fit.draws[name].values) for name in fit.model.parameter_names}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "parameter"
    return frame


def _row(fit: "Fit", draws: FloatArray) -> dict[str, float]:
    nan = float("nan")
    if fit.n_draws == 1:
        names = ("sd", "q05", "q50", "q95", "ess_bulk", "ess_tail", "r_hat", "pareto_k")
        return {"mean": float(draws.item()), **dict.fromkeys(names, nan)}
    q05, q50, q95 = np.quantile(draws, [0.05, 0.5, 0.95])
    moments = {"mean": draws.mean(), "sd": draws.std(ddof=1), "q05": q05, "q50": q50, "q95": q95}
    if fit.method == "nuts":
        mixing = {"ess_bulk": ess(draws, "bulk"), "ess_tail": ess(draws, "tail"), "r_hat": r_hat(draws)}
        return {**{key: float(value) for key, value in moments.items()}, **mixing, "pareto_k": nan}
    size = fit.effective_draws
    independent = {"ess_bulk": size, "ess_tail": size, "r_hat": nan, "pareto_k": fit.pareto_k}
    return {**{key: float(value) for key, value in moments.items()}, **independent}


def ess(draws: FloatArray, method: str) -> float:
    """Effective sample size of draws (chain, draw), bulk or tail."""
    tail = {"prob": (0.05, 0.95)} if method == "tail" else {}
    return float(array_stats.ess(draws, chain_axis=0, draw_axis=1, method=method, **tail))


def r_hat(draws: FloatArray) -> float:
    """Rank-normalised split R-hat of draws (chain, draw)."""
    return float(array_stats.rhat(draws, chain_axis=0, draw_axis=1))


def nuts_checks(draws: dict[str, FloatArray], divergences: int, energy: FloatArray) -> tuple[Check, ...]:
    """R-hat, effective draws, divergences and energy over all parameters, the worst of each."""
    worst_r_hat = max(r_hat(values) for values in draws.values())
    fewest = min(min(ess(values, "bulk"), ess(values, "tail")) for values in draws.values())
    bfmi = float(np.min(np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)))
    return (
        Check("r_hat", worst_r_hat, R_HAT_LIMIT, worst_r_hat <= R_HAT_LIMIT),
        Check("effective_draws", fewest, EFFECTIVE_DRAWS_LIMIT, fewest >= EFFECTIVE_DRAWS_LIMIT),
        Check("divergences", float(divergences), 0.0, divergences == 0),
        Check("energy", bfmi, BFMI_LIMIT, bfmi >= BFMI_LIMIT),
    )


def model_checks(model: Model, draws: dict[str, FloatArray]) -> tuple[Check, ...]:
    """Share of draws in which the mean spend of the base is infinite, for a spend model."""
    if "expected_spend" not in model.formulas:
        return ()
    columns = {name: values.reshape(-1, 1) for name, values in draws.items()}
    of_base = model.formulas["expected_spend"](columns, np.zeros(1), np.full(1, np.nan))
    share = float(np.isinf(of_base).mean())
    return (Check("infinite_mean", share, INFINITE_MEAN_LIMIT, share <= INFINITE_MEAN_LIMIT),)


def laplace_checks(pareto_k: float, pareto_k_limit: float, effective_draws: float, draws: int) -> tuple[Check, ...]:
    """Tail of the importance weights, and the share of draws that are worth an independent one."""
    fewest = min(EFFECTIVE_DRAWS_LIMIT, draws / 2)
    return (
        Check("pareto_k", pareto_k, pareto_k_limit, pareto_k <= pareto_k_limit),
        Check("effective_draws", effective_draws, fewest, effective_draws >= fewest),
    )
