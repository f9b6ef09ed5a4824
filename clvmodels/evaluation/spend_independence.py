"""Does spend depend on how often a customer buys? A test of what every product of purchases and spend assumes.

The practitioners' look is the correlation of frequency x and mean spend m over repeat buyers [1]_. Its usual p value
takes means of one purchase and of fifty to be equally sure, and tails to be light. Here a customer's scale of spend is

    v exp(c log rate) = v rate^c,

with the purchase rate that is expected of the customer given the purchase times alone, and c = 0 is tested in the
likelihood of the spend model, which knows how sure a mean is. If spend is independent, amounts do not depend on
purchase times; so the likelihood-ratio statistic is chi-square with one degree of freedom, however the rates were
worked out.

References
----------
.. [1] Fader, Hardie and Lee (2005), RFM and CLV: Using Iso-Value Curves for Customer Base Analysis,
   Journal of Marketing Research 42(4), doi 10.1509/jmkr.2005.42.4.415.
.. [2] Schmittlein and Peterson (1994), Customer Base Analysis: An Industrial Purchase Process Application,
   Marketing Science 13(1), doi 10.1287/mksc.13.1.41.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from clvmodels.data import learnt_spend
from clvmodels.forecast.checks import require_family
from clvmodels.forecast.purchase_rate import PURCHASE_RATE, with_purchase_rate
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.priors import HALF_LOG_TWO_PI, Normal
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference.fitting import posterior_mode
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.optimise import Mode
from clvmodels.inference.result import Fit
from clvmodels.inference.target import Target

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

FLAT = Normal(0.0, 100.0)  # of the coefficient of a standardised covariate
LOG_FLAT = -math.log(FLAT.sd) - HALF_LOG_TWO_PI  # its log density at any coefficient that is found


@dataclass(frozen=True)
class Association:
    """A measure of how spend goes with purchases, with its interval and the p value of none.

    Attributes
    ----------
    name : "elasticity" (c), "correlation" (Pearson's, of x and m) or "rank_correlation" (Spearman's)
    estimate, low, high : with the interval
    p_value : of independence
    """

    name: str
    estimate: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class SpendIndependence:
    """A test of whether spend depends on the purchase rate.

    Attributes
    ----------
    purchase_model, spend_model : registry names
    parameter : scale of spend that is multiplied by rate^c
    n_customers : repeat buyers of known spend
    level : of the intervals
    elasticity : c, with its interval and the p value of the likelihood-ratio test
    statistic : twice the log likelihood gained by c, chi-square with one degree of freedom if c = 0
    correlation, rank_correlation : of frequency and mean spend, what practitioners look at
    """

    purchase_model: str
    spend_model: str
    parameter: str
    n_customers: int
    level: float
    elasticity: Association
    statistic: float
    correlation: Association
    rank_correlation: Association

    def to_pandas(self) -> "pd.DataFrame":
        """A frame by measure: estimate, low, high, p_value."""
        import pandas as pd

        rows = (self.elasticity, self.correlation, self.rank_correlation)
        columns = {name: [getattr(row, name) for row in rows] for name in ("estimate", "low", "high", "p_value")}
        return pd.DataFrame(columns, index=pd.Index([row.name for row in rows], name="measure"))

    def summary(self) -> str:
        """The test as text, for a terminal."""
        c = self.elasticity
        verdict = "depends on" if c.p_value < 1 - self.level else "may be independent of"
        return (
            f"{self.spend_model} with {self.parameter} x rate^c, rates by {self.purchase_model}, "
            f"{self.n_customers:,} repeat buyers\n{self.to_pandas().to_string(float_format='{:.4f}'.format)}\n"
            f"likelihood ratio {self.statistic:.2f}: spend {verdict} the purchase rate; "
            f"twice the rate goes with {100 * (2**c.estimate - 1):+.1f} % spend a purchase"
        )


def spend_independence(
    fit: Fit, spend: Fit, customers: CustomerSummary, *, level: float = 0.95, horizon: float | None = None
) -> SpendIndependence:
    """Whether what a purchase is worth depends on how often the customer buys.

    Parameters
    ----------
    fit : of a purchase model, by any method: it says what rate to expect of each customer
    spend : of a spend model, by any method: the model that is tested, with the same covariates
    customers : those that both are of
    level : of the intervals
    horizon : that rates are means over, see `with_purchase_rate`

    Returns
    -------
    SpendIndependence

    Raises
    ------
    FitError
        If a fit is of the wrong kind, unit or currency, its spend is pooled over groups, the level is not between
        0 and 1, or no mode is found.
    DataError
        If there are too few repeat buyers, or all have the same rate.

    Notes
    -----
    If spend depends on the rate, c is the elasticity in the rate that is expected of a customer, which is less
    spread than the customer's own. The test has the model's own null: another fault of the spend model, such as
    purchases that vary more for those who buy seldom, may be seen by it as well.
    """
    require_family(fit, "purchases", "the first argument")
    require_family(spend, "spend", "the second argument")
    require_same_units(spend, customers)
    if not 0 < level < 1:
        raise FitError(f"level = {level}: expected a number between 0 and 1, such as 0.95.")
    if spend.model.baskets != "repeat":
        raise FitError('spend of all baskets cannot be tested: give a fit with baskets = "repeat".')
    if spend.effects.groups:
        raise FitError("spend that is pooled over groups cannot be tested: give a fit without groups.")
    parameter = scale_of(spend.model)
    rated = with_purchase_rate(fit, customers, horizon=horizon)
    others = {name: [*dict.fromkeys(c.source for c in of)] for name, of in spend.effects.covariates.items()}
    with_rate = {**others, parameter: [*others.get(parameter, []), PURCHASE_RATE]}
    _, without = _mode(spend, customers, parameter, others)
    target, mode = _mode(spend, rated, parameter, with_rate)
    statistic = max(2 * (mode.log_density - without.log_density - LOG_FLAT), 0.0)
    place = target.coefficients[parameter].stop - 1
    scale = target.effects.covariates[parameter][-1].scale
    c, error = mode.phi[place] / scale, np.sqrt(mode.covariance[place, place]) / scale
    low, high = c + np.array([-1.0, 1.0]) * _normal_quantile(level) * error
    return SpendIndependence(
        fit.model.name,
        spend.model.name,
        parameter,
        int(target.patterns.n_customers.sum()),
        level,
        Association("elasticity", float(c), float(low), float(high), float(stats.chi2.sf(statistic, 1))),
        statistic,
        *_correlations(spend.model, customers, level),
    )


def _mode(
    spend: Fit, customers: CustomerSummary, parameter: str, covariates: Mapping[str, Sequence[str]]
) -> tuple[Target, Mode]:
    """The mode with flat priors of the coefficients of the scale of spend.

    The parameters keep the priors of the fit, or the defaults: the likelihood of few means has no maximum in p.
    """
    priors = {name: prior for name, prior in spend.priors.items() if name in spend.model.parameter_names}
    flat = {f"gamma_{parameter}": FLAT} if parameter in covariates else {}
    return posterior_mode(spend.model.name, customers, priors={**priors, **flat}, covariates=covariates)


def scale_of(model: Model) -> str:
    """The parameter of a spend model that is in money and takes covariates.

    Raises
    ------
    FitError
        If it has none.
    """
    for parameter in model.parameters:
        if parameter.dimension == "money" and parameter.covariates:
            return parameter.name
    raise FitError(f"{model.name} has no scale of money that takes covariates.")


def _correlations(model: Model, customers: CustomerSummary, level: float) -> tuple[Association, Association]:
    """Pearson's and Spearman's correlation of frequency and mean spend over repeat buyers."""
    purchases, mean = learnt_spend(customers, model.reads)
    known = ~np.isnan(mean)
    counts = None if customers.n_customers is None else customers.n_customers[known].astype(np.int64)
    x, m = (column[known] if counts is None else np.repeat(column[known], counts) for column in (purchases, mean))
    if len(x) < 4 or np.ptp(x) == 0:
        raise DataError("correlations need 4 or more repeat buyers who differ in their number of purchases.")
    return (
        _association("correlation", tuple(stats.pearsonr(x, m)), len(x), level),
        _association("rank_correlation", tuple(stats.spearmanr(x, m)), len(x), level),
    )


def _association(name: str, found: tuple[Any, ...], size: int, level: float) -> Association:
    """A correlation with the interval of Fisher's z and the usual p value."""
    r, p_value = (float(value) for value in found)
    ends = np.tanh(np.arctanh(r) + np.array([-1.0, 1.0]) * _normal_quantile(level) / np.sqrt(size - 3))
    return Association(name, r, float(ends[0]), float(ends[1]), p_value)


def _normal_quantile(level: float) -> float:
    return float(stats.norm.ppf((1 + level) / 2))
