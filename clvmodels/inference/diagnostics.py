"""Numbers that say whether draws can be trusted, and their limits."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.results import Check
from clvmodels.inference.pareto import PARETO_K_LIMIT
from clvmodels.inference.result import Fit, flat_draws

R_HAT_LIMIT = 1.01
EFFECTIVE_DRAWS_LIMIT = 400.0
BFMI_LIMIT = 0.3
DIVERGENT_LIMIT = 0.001  # of the draws: a handful beside a standard deviation of nearly 0 moves no quantile
INFINITE_MEAN_LIMIT = 0.01
NESTED_LIMIT = -1e-3  # log likelihood that may be lost against a simpler model, by the search's own accuracy

# What a failed check says of the data, and what to do.
ADVICE = {
    "newton_decrement": (
        "the search for the mode stopped where the density still rises: the data leave a direction almost flat",
        "use priors, a simpler model or more data",
    ),
    "smallest_curvature": (
        "the density does not fall in every direction from the mode: the data do not tell two parameters apart",
        "use priors, a simpler model or more data",
    ),
    "nested": (
        "a simpler model that this one contains fits better: the search ended in a wrong place",
        "take the simpler model, or laplace with its priors",
    ),
    "pareto_k": (
        "the importance weights have too heavy a tail: the posterior is far from normal, as with few repeat buyers",
        'use method = "nuts" where the model takes it, or tighter priors',
    ),
    "effective_draws": ("too few independent draws for stable tails", "ask for more draws"),
    "infinite_mean": (
        "the mean spend of a purchase may be infinite (q at or below 1): a few baskets are far above all others",
        "look for wrong amounts, split off wholesale customers, or give q a prior above 1; medians stay usable",
    ),
    "r_hat": (
        "the chains have not met: the posterior has several humps or a long ridge",
        "use more draws or tighter priors",
    ),
    "divergences": (
        "the sampler could not follow the posterior's curvature, as with groups of few customers",
        "use tighter priors, above all on the standard deviation between groups",
    ),
    "energy": ("the chains moved too slowly through the tails", "use more draws or tighter priors"),
}


def parameter_summary(fit: Fit) -> pd.DataFrame:
    """Frame by parameter: mean, sd, q05, q50, q95, ess_bulk, ess_tail, r_hat, pareto_k."""
    rows = {name: _row(fit, values) for name, values in flat_draws(fit.draws).items()}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "parameter"
    return frame


def draws_summary(draws: xr.Dataset) -> pd.DataFrame:
    """Frame by scalar of draws by NUTS: mean, sd, q05, q50, q95, ess_bulk, ess_tail, r_hat."""
    rows = {name: _moments(values) | _mixing(values) for name, values in flat_draws(draws).items()}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "parameter"
    return frame


def _moments(draws: FloatArray) -> dict[str, float]:
    q05, q50, q95 = np.quantile(draws, [0.05, 0.5, 0.95])
    moments = {"mean": draws.mean(), "sd": draws.std(ddof=1), "q05": q05, "q50": q50, "q95": q95}
    return {key: float(value) for key, value in moments.items()}


def _mixing(draws: FloatArray) -> dict[str, float]:
    return {"ess_bulk": ess(draws, "bulk"), "ess_tail": ess(draws, "tail"), "r_hat": r_hat(draws)}


def _row(fit: Fit, draws: FloatArray) -> dict[str, float]:
    nan = float("nan")
    if fit.n_draws == 1:
        names = ("sd", "q05", "q50", "q95", "ess_bulk", "ess_tail", "r_hat", "pareto_k")
        return {"mean": float(draws.item()), **dict.fromkeys(names, nan)}
    if fit.method == "nuts" and np.ptp(draws) > 0:  # a counted parameter is one number in all draws
        return {**_moments(draws), **_mixing(draws), "pareto_k": nan}
    size = fit.effective_draws
    independent = {"ess_bulk": size, "ess_tail": size, "r_hat": nan, "pareto_k": fit.pareto_k}
    return {**_moments(draws), **independent}


def ess(draws: FloatArray, method: str) -> float:
    """Effective sample size of draws (chain, draw), bulk or tail."""
    from arviz_stats.base import array_stats  # slow to import

    tail = {"prob": (0.05, 0.95)} if method == "tail" else {}
    return float(array_stats.ess(draws, chain_axis=0, draw_axis=1, method=method, **tail))


def r_hat(draws: FloatArray) -> float:
    """Rank-normalised split R-hat of draws (chain, draw)."""
    from arviz_stats.base import array_stats  # slow to import

    return float(array_stats.rhat(draws, chain_axis=0, draw_axis=1))


def nuts_checks(draws: dict[str, FloatArray], divergences: int, energy: FloatArray) -> tuple[Check, ...]:
    """R-hat, effective draws, divergences and energy over all parameters, the worst of each."""
    worst_r_hat = max(r_hat(values) for values in draws.values())
    fewest = min(min(ess(values, "bulk"), ess(values, "tail")) for values in draws.values())
    enough = min(EFFECTIVE_DRAWS_LIMIT, energy.size / 2)
    divergent = float(DIVERGENT_LIMIT * energy.size // 1)
    bfmi = float(np.min(np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)))
    return (
        Check("r_hat", worst_r_hat, R_HAT_LIMIT, worst_r_hat <= R_HAT_LIMIT),
        Check("effective_draws", fewest, enough, fewest >= enough),
        Check("divergences", float(divergences), divergent, divergences <= divergent),
        Check("energy", bfmi, BFMI_LIMIT, bfmi >= BFMI_LIMIT),
    )


def model_checks(fit: Fit) -> tuple[Check, ...]:
    """Share of draws in which the mean spend of the base is infinite, for a spend model."""
    if "expected_spend" not in fit.model.formulas:
        return ()
    of_base = fit.model.formulas["expected_spend"](fit.columns(), np.zeros(1), np.full(1, np.nan))
    share = float(np.isinf(of_base).mean())
    return (Check("infinite_mean", share, INFINITE_MEAN_LIMIT, share <= INFINITE_MEAN_LIMIT),)


def laplace_checks(pareto_k: float, effective_draws: float, draws: int) -> tuple[Check, ...]:
    """Tail of the importance weights, and the share of draws that are worth an independent one."""
    fewest = min(EFFECTIVE_DRAWS_LIMIT, draws / 2)
    return (
        Check("pareto_k", pareto_k, PARETO_K_LIMIT, pareto_k <= PARETO_K_LIMIT),
        Check("effective_draws", effective_draws, fewest, effective_draws >= fewest),
    )


def nested_check(gain: float) -> Check:
    """Log likelihood gained against the best simpler model that the model contains."""
    return Check("nested", gain, NESTED_LIMIT, gain >= NESTED_LIMIT)


def require_check_names(names: Sequence[object]) -> list[str]:
    """The names, checked.

    Raises
    ------
    FitError
        If there is no such check.
    """
    known = [name for name in names if isinstance(name, str) and name in ADVICE]
    if len(known) < len(names):
        odd = next(name for name in names if name not in known)
        raise FitError(f'there is no check "{odd}": expected some of {", ".join(ADVICE)}.')
    return known


def failed_checks(checks: Sequence[Check], allowed: Sequence[str]) -> list[Check]:
    """Checks that a fit failed, and is not allowed to fail."""
    return [check for check in checks if not check.passed and check.key not in allowed]


def require_passed(fit: Fit) -> None:
    """Refuse a fit that failed a check which it is not allowed to fail.

    Raises
    ------
    FitError
        With each failed check, the likely reason in the data and what to do.
    """
    require_checks(fit.checks, fit.allowed, f"{fit.model.name} by {fit.method}", ", in a study [fit] allow = [{keys}]")


def require_checks(checks: Sequence[Check], allowed: Sequence[str], what: str, elsewhere: str = "") -> None:
    """Refuse a fit that failed a check which it is not allowed to fail.

    Parameters
    ----------
    what : that was fitted, and how
    elsewhere : how else than by `allowing` to go on, with {keys} for the checks

    Raises
    ------
    FitError
        With each failed check, the likely reason in the data and what to do.
    """
    failed = failed_checks(checks, allowed)
    if failed:
        reasons = [
            f"{check.key} = {check.value:.3g} (limit {check.limit:.3g}): {ADVICE[check.key][0]}; {ADVICE[check.key][1]}"
            for check in failed
        ]
        keys = ", ".join(f'"{check.key}"' for check in failed)
        raise FitError(
            f"the fit of {what} failed its checks, so no forecast is made from it. "
            f"{'. '.join(reasons)}. To go on all the same: fit.allowing({keys}){elsewhere.format(keys=keys)}."
        )
