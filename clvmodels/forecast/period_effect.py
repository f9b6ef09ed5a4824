r"""A period effect on demand: a slow level and single periods, learnt from the periods seen.

The model. In period t, all customers buy at exp(u_t) times their own rates,

    u_t = l_t + w_t,    l_{t+1} = phi l_t + e_t,    e_t ~ N(0, sigma^2),    w_t ~ N(0, omega^2),

a local level that goes back to the base's mean with a half-life, and white noise for single periods such as a
promotion (Harvey 1989, section 4.5; Durbin and Koopman 2012, chapters 2 and 3). What is seen is the log of the ratio of
purchases to what a fit expected, x. The fit was made on the same purchases and gives way to u: to first order,

    x = (I - B) (u + e) + v,    e_t ~ N(0, 1 / mu_t),    v ~ N(0, Omega),

with mu_t the fit's expectation, B and Omega of `DriftResponse`: B its response to demand, Omega what else it learns
from. In the future period h the log of true demand over what the forecast has is

    f_h = u_h - (R u)_h,

R the response of the forecast, whose rows sum to about 1: demand that was always higher is in the fit already and moves
nothing. So the level is no parameter here; only how it moved within the calibration counts, and what of it the
forecast has not followed.

Everything is Gaussian given (sigma, omega, half-life), and these are on a grid whose points are weighed by prior times
likelihood; the exact Gaussian algebra for the P periods is that of the Kalman filter and smoother in another order.

Priors, in the length L = P periods of the calibration, so that weeks and months say the same:

    sigma sqrt(P) ~ half-normal(0.8)       the level moves by this much over a time as long as the calibration
    omega ~ half-normal(0.2)               single periods
    half-life / L ~ log-uniform on (1, 2, 4, 8, 16)

A level with a half-life cannot wander without end: over horizons far beyond it the interval stops growing, where that
of a random walk grows with the square root of time. One calibration hardly tells a half-life from another that is
longer than itself, and shorter ones promise more than it can keep: with half-lives from a tenth of the calibration on,
intervals covered 60 % where demand had no half-life. So the range begins at the calibration's length, and its longest
is, over horizons up to that length, a random walk.

References
----------
.. [1] Durbin and Koopman (2012), Time Series Analysis by State Space Methods, 2nd ed., Oxford University Press.
.. [2] Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter, Cambridge University Press.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from clvmodels.forecast.drift_response import DriftResponse
from clvmodels.foundation.patterns import FloatArray

DRIFTS = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.22, 0.3, 0.4, 0.55, 0.75, 1.0, 1.4])  # sigma sqrt(P)
SINGLES = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45])  # omega
HALF_LIVES = np.array([1.0, 2.0, 4.0, 8.0, 16.0])  # in lengths of the calibration
DRIFT_SCALE, SINGLE_SCALE = 0.8, 0.2  # of the half-normal priors
SLACK = 0.01  # of a log ratio: what a response to first order leaves out
ROUNDING = 1e-10  # of the variance, added where nothing of it may be left: a thousandth of a percent of demand
FEW = 3.0  # purchases expected in a period, below which the log of a ratio is not near normal: it is not read


@dataclass(frozen=True)
class PeriodEffect:
    """The period effect as one calibration tells it.

    Attributes
    ----------
    paths : ndarray, shape (S, H), draws of the log of true demand over the forecast's, by future period
    drift, single, half_life : posterior means of sigma sqrt(P), of omega, and of the half-life's logarithm as a
        number of periods
    """

    paths: FloatArray
    drift: float
    single: float
    half_life: float


def period_effect(
    purchases: FloatArray, expected: FloatArray, response: DriftResponse, *, draws: int, rng: np.random.Generator
) -> PeriodEffect:
    """Draws of the period effect ahead, given purchases by period and what the fit expected.

    Parameters
    ----------
    purchases, expected : ndarrays, shape (P,)
    """
    seen = expected >= FEW
    ratio = np.log((purchases[seen] + 0.5) / (expected[seen] + 0.5))
    known = _Known(response, seen, 1 / expected)
    settings = [(s, h, w) for s in DRIFTS for h in HALF_LIVES for w in SINGLES]
    weight = _posterior(known, ratio, settings)
    chosen = rng.choice(len(settings), draws, p=weight)
    paths = np.empty((draws, len(response.ahead)))
    for place in np.unique(chosen):
        mean, root = known.ahead(ratio, *settings[place])
        mine = chosen == place
        paths[mine] = mean + rng.standard_normal((mine.sum(), len(mean))) @ root.T
    drift, half_life, single = np.array(settings).T
    return PeriodEffect(
        paths,
        float(weight @ drift),
        float(weight @ single),
        float(np.exp(weight @ np.log(half_life)) * len(expected)),
    )


@dataclass(frozen=True)
class _Known:
    """The linear model but for sigma, half-life and omega.

    Attributes
    ----------
    response : of fit and forecast
    seen : ndarray of bool, shape (P,), periods that are read
    chance : ndarray, shape (P,), variance of the log ratio by chance
    """

    response: DriftResponse
    seen: np.ndarray
    chance: FloatArray

    @property
    def left(self) -> FloatArray:
        """What the fit leaves of demand, I - B, at the periods that are read."""
        return np.asarray((np.eye(len(self.seen)) - self.response.fitted)[self.seen])

    def level(self, drift: float, half_life: float) -> FloatArray:
        """Covariance of the level over the periods seen and ahead, shape (P + H, P + H)."""
        periods = len(self.seen)
        time = np.arange(periods + len(self.response.ahead))
        phi = 0.5 ** (1 / (half_life * periods))
        return np.asarray(drift**2 / periods / (1 - phi**2) * phi ** np.abs(time[:, None] - time))

    def seen_covariance(self, level: FloatArray, single: float) -> FloatArray:
        """Covariance of the log ratios that are read."""
        P = len(self.seen)
        past = level[:P, :P] + np.diag(single**2 + self.chance)
        other = self.response.other[np.ix_(self.seen, self.seen)]
        return np.asarray(self.left @ past @ self.left.T + other + SLACK**2 * np.eye(int(self.seen.sum())))

    def ahead(self, ratio: FloatArray, drift: float, half_life: float, single: float) -> tuple[FloatArray, FloatArray]:
        """Mean, shape (H,), and root of the covariance, (H, H), of the effect ahead given the ratios."""
        P, H = len(self.seen), len(self.response.ahead)
        level = self.level(drift, half_life)
        both = level + single**2 * np.eye(P + H)
        to_future = np.hstack([-self.response.ahead, np.eye(H)])  # f = u_future - R u_past
        root = np.linalg.cholesky(self.seen_covariance(level, single))
        gain = solve_triangular(root, self.left @ both[:P] @ to_future.T, lower=True)  # (seen, H)
        mean = gain.T @ solve_triangular(root, ratio, lower=True)
        spread = to_future @ both @ to_future.T - gain.T @ gain
        room = ROUNDING * max(float(np.diag(both).max()), ROUNDING) * np.eye(H)
        return mean, np.linalg.cholesky((spread + spread.T) / 2 + room)


def _posterior(known: _Known, ratio: FloatArray, settings: list[tuple[float, float, float]]) -> FloatArray:
    """Weight of each setting, shape (settings,), summing to 1."""
    drift_prior, single_prior = _half_normal(DRIFTS, DRIFT_SCALE), _half_normal(SINGLES, SINGLE_SCALE)
    log_weight = np.empty(len(settings))
    place = 0
    for i, drift in enumerate(DRIFTS):
        for half_life in HALF_LIVES:
            level = known.level(drift, half_life)
            for j, single in enumerate(SINGLES):
                log_weight[place] = drift_prior[i] + single_prior[j] + _density(known, ratio, level, single)
                place += 1
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _density(known: _Known, ratio: FloatArray, level: FloatArray, single: float) -> float:
    """Log density of the ratios, but for a constant."""
    root = np.linalg.cholesky(known.seen_covariance(level, single))
    standard = solve_triangular(root, ratio, lower=True)
    return float(-0.5 * standard @ standard - np.log(np.diag(root)).sum())


def _half_normal(points: FloatArray, scale: float) -> FloatArray:
    """Log prior of each point: the half-normal density times the stretch that the point stands for."""
    bounds = np.concatenate([[0.0], (points[1:] + points[:-1]) / 2, [points[-1]]])
    return np.asarray(-0.5 * (points / scale) ** 2 + np.log(np.diff(bounds)))
