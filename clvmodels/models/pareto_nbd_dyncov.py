"""Pareto/NBD on a calendar: season and campaigns of the shop speed up purchases and drop-out, or slow them down.

The story. As in Pareto/NBD, with rates lambda ~ Gamma(r, alpha) and mu ~ Gamma(s, beta). On calendar time u a
customer buys at rate lambda exp(gamma_alpha' z(u)), and drops out at rate mu exp(gamma_beta' z(u)), where the terms z
are those of a `Calendar`, constant over its periods and the same for all customers. The first purchase is time 0,
and today, when the customer's age is T, is a day of the calendar. x = frequency, t_x = recency.

On clocks that run at these paces, A(y) = int_0^y exp(gamma_alpha' z) and B(y) alike, it is Pareto/NBD again: so
all that is closed there is closed here within a period. Silence from t_x to T is the one thing that is not, and is
summed over the periods. Without a calendar the model is Pareto/NBD itself.

References
----------
.. [1] Bachmann, Meierer and Näf (2021), The Role of Time-Varying Contextual Factors in Latent Attrition Models for
   Customer Base Analysis, Marketing Science 40(4), doi 10.1287/mksc.2020.1254.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.calendar import ROUNDING, Timetable
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.model import Draws, Model, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns
from clvmodels.foundation.quadrature import gauss_legendre, gauss_lobatto
from clvmodels.foundation.units import days_per_unit
from clvmodels.models import nbd
from clvmodels.models.alive import AliveOrGone
from clvmodels.models.pareto_nbd import PARETO_NBD

WEEK, MOST_PANELS = 7.0, 128  # a panel of the integrals is at most a week, or that part of a long calendar
FIRST_NODES, NODES = 12, 7  # of the panel that begins with the last purchase, and of a later one
PMF_NODES = 8  # of a panel
SPENT = 30.0  # total hazard after which exp(-30) = 1e-13 of an integral is left
CACHED = 2**19  # elements of an array, 4 MB: smaller ones cost more in calls than they save in memory
BASE = ("r", "alpha", "s", "beta")
CLOCKS = ("alpha", "beta")  # whose parameters the terms act on: of purchases and of drop-out


@dataclass(frozen=True)
class Clock:
    """How far a customer's clock has run, at draws: shape (S, P) for P panels.

    Attributes
    ----------
    edges : ndarray, shape (P + 1,), bounds of the panels, units of time from today
    pace : ndarray, shape (S, P)
    reading : ndarray, shape (S, P + 1), at the edges; 0 today
    """

    edges: FloatArray
    pace: FloatArray
    reading: FloatArray

    @classmethod
    def of(cls, edges: FloatArray, pace: FloatArray) -> "Clock":
        """The clock that runs at these paces."""
        run = np.cumsum(pace * np.diff(edges), axis=-1)
        reading = np.concatenate([np.zeros((*run.shape[:-1], 1)), run], axis=-1)
        today = int(np.searchsorted(edges, 0.0))  # an edge
        return cls(edges, pace, reading - reading[..., [today]])

    def at(self, time: FloatArray) -> FloatArray:
        """The readings at times from today, shape (K,) to (S, K)."""
        panel = panels_of(self.edges, time)
        return np.asarray(self.reading[:, panel] + self.pace[:, panel] * (time - self.edges[panel]))

    def ahead(self, horizon: FloatArray) -> FloatArray:
        """The readings at times after today; any shape that broadcasts with (S, 1)."""
        total: FloatArray = np.zeros(())
        for panel in range(int(np.searchsorted(self.edges, 0.0)), len(self.edges) - 1):
            length = self.edges[panel + 1] - self.edges[panel]
            total = total + self.pace[:, [panel]] * np.clip(horizon - self.edges[panel], 0.0, length)
        return total


def panels_of(edges: FloatArray, time: FloatArray) -> IntArray:
    """The panel of each time; the later one of two that meet there."""
    return np.clip(np.searchsorted(edges, time, side="right") - 1, 0, len(edges) - 2)


@dataclass(frozen=True)
class Silences:
    """Where the integrals over the silence of some customers lie; of the data alone, so made once in a fit.

    A customer's silence begins within a panel and goes through all later ones up to today. Integrals of later
    panels are shared by customers of one frequency and first purchase (a pair): a part is a pair in a panel. Nodes
    are shared by all of one first purchase: a cell is such a day in a panel.

    Attributes
    ----------
    begin : ndarrays, shape (K,): time of the first and of the last purchase, and the end of the last one's panel
    pair : ndarray, shape (K,), the pair of each customer
    pair_x : ndarray, shape (J,), frequency of each pair; pairs whose silence begins first come first
    starts : ndarray, shape (G,), distinct times of first purchases
    cells : ndarrays, shape (C,): place among `starts`, and panel; cells of the greatest frequencies come first
    levels : for each frequency, the least first: itself, the number of cells that have it or a greater one, and
        the parts that have it with their cells
    steps : for each panel, the last first: its parts, and the customers whose silence begins in the panel before
    """

    begin: tuple[FloatArray, FloatArray, FloatArray]
    pair: IntArray
    pair_x: FloatArray
    starts: FloatArray
    cells: tuple[IntArray, IntArray]
    levels: tuple[tuple[float, int, IntArray, IntArray], ...]
    steps: tuple[tuple[slice, IntArray], ...]

    @classmethod
    def of(cls, edges: FloatArray, x: FloatArray, t_x: FloatArray, T: FloatArray) -> "Silences":
        """The plan for customers, with the edges of all panels up to today."""
        starts, start = np.unique(-T, return_inverse=True)
        last = np.minimum(t_x - T, 0.0)
        panel = panels_of(edges, last)
        values, level = np.unique(x, return_inverse=True)
        key, pair = np.unique(level * len(starts) + start, return_inverse=True)
        need = np.full(len(key), len(edges))
        np.minimum.at(need, pair, panel + 1)  # the first panel that a pair reads
        order = np.argsort(need, kind="stable")
        of_level, of_start = np.divmod(key[order], len(starts))
        panels = np.arange(len(edges) - 2, int(need.min(initial=len(edges))) - 1, -1)
        counts = np.searchsorted(need[order], panels, side="right")
        ends = np.cumsum([0, *counts])
        member = np.arange(ends[-1]) - np.repeat(ends[:-1], counts)  # the pair of each part
        cells, cell = np.unique(of_start[member] * len(edges) + np.repeat(panels, counts), return_inverse=True)
        greatest = np.full(len(cells), -1)
        np.maximum.at(greatest, cell, of_level[member])
        first = np.argsort(-greatest, kind="stable")
        return cls(
            begin=(-T, last, edges[panel + 1]),
            pair=np.argsort(order)[pair],
            pair_x=values[of_level],
            starts=starts,
            cells=np.divmod(cells[first], len(edges)),
            levels=_by_level(values, of_level[member], np.argsort(first)[cell], greatest),
            steps=tuple(
                (slice(int(ends[i]), int(ends[i + 1])), np.flatnonzero(panel + 1 == p)) for i, p in enumerate(panels)
            ),
        )


def _by_level(
    values: FloatArray, level: IntArray, cell: IntArray, greatest: IntArray
) -> tuple[tuple[float, int, IntArray, IntArray], ...]:
    """`Silences.levels` from the level and the cell of each part, and the greatest level of each cell."""
    rows = [(place, np.flatnonzero(level == place)) for place in np.unique(level)]
    return tuple((float(values[k]), int((greatest >= k).sum()), parts, cell[parts]) for k, parts in rows)


@dataclass(frozen=True)
class OnCalendar:
    """The likelihood, formulas and story of the model on one calendar, as seen today."""

    timetable: Timetable

    @cached_property
    def edges(self) -> FloatArray:
        """Bounds of the panels, units of time from today: periods in parts that a few nodes can take."""
        used = tuple(dict.fromkeys(name for names in self.timetable.acting.values() for name in names))
        days = self.timetable.calendar.some(used).edges - self.timetable.today.toordinal()
        longest = max(WEEK, (days[-1] - days[0]) / MOST_PANELS)
        bounds = np.union1d(days, [0.0])
        parts = [
            np.linspace(first, last, int(np.ceil((last - first) / longest)), endpoint=False)
            for first, last in pairwise(bounds)
        ]
        return np.append(np.concatenate(parts), bounds[-1]) / days_per_unit(self.timetable.unit)

    @cached_property
    def past(self) -> FloatArray:
        """Bounds of the panels up to today."""
        return self.edges[: int(np.searchsorted(self.edges, 0.0)) + 1]

    def clock(self, parameter: str, parameters: Draws) -> Clock:
        """The clock of purchases ("alpha") or of drop-out ("beta"), with exp(gamma' z) as its pace."""
        gammas = [np.reshape(parameters[name], (-1, 1)) for name in self.timetable.coefficients(parameter)]
        middle = (self.edges[:-1] + self.edges[1:]) / 2 * days_per_unit(self.timetable.unit)
        days = np.ceil(middle + self.timetable.today.toordinal())
        terms = self.timetable.terms_at(parameter, days)
        log_pace = np.zeros((1, len(middle)))
        for gamma, term in zip(gammas, terms.T, strict=True):
            log_pace = log_pace + gamma * term
        return Clock.of(self.edges, np.exp(log_pace))

    def clocks(self, parameters: Draws) -> tuple[Clock, Clock]:
        """Those of purchases and of drop-out."""
        buying, leaving = (self.clock(parameter, parameters) for parameter in CLOCKS)
        return buying, leaving

    def require_past(self, T: FloatArray) -> None:
        """Refuse customers who were won before the calendar begins."""
        oldest = float(np.max(T, initial=0.0))
        if -oldest < self.edges[0] - ROUNDING:
            days = int(np.ceil(oldest * days_per_unit(self.timetable.unit) - ROUNDING))
            self.timetable.calendar.require(self.timetable.today - dt.timedelta(days=days - 1), self.timetable.today)

    def log_likelihood(self, parameters: Draws, patterns: PurchasePatterns, _ops: Ops) -> FloatArray:
        """Log likelihood of each pattern, shape (S, K); parameters are (S, 1) draws or floats, on NumPy alone.

        With S(y) as for Pareto/NBD but on the clocks, and the sum of the terms z over the purchases::

            L = Gamma(r + x) / Gamma(r) exp(gamma_alpha' sum_j z(t_j)) (S(T) + int_t_x^T S(y) s b(y) / (beta + B(y)) dy)
        """
        theta = _columns(parameters)
        r, alpha, s, beta = (theta[name] for name in BASE)
        x, t_x, T = (column.rows for column in (patterns.frequency, patterns.recency, patterns.T))
        buying, leaving = self.clocks(theta)
        first, last = -T, np.minimum(t_x - T, 0.0)
        A, B = buying.at(last) - buying.at(first), leaving.at(last) - leaving.at(first)
        log_alive = -r * np.log1p(A / alpha) - x * np.log(alpha + A) - s * np.log1p(B / beta)
        stayed, left = self.silent(theta, self.silences(patterns))
        counted = patterns.frequency.map(lambda x, r: special.gammaln(r + x) - special.gammaln(r), r)
        values = counted + log_alive + np.log(stayed + left)
        for place, name in self.sums:
            assert patterns.term_sums is not None
            values = values + theta[name] * patterns.term_sums[:, place]
        return np.asarray(values)

    @cached_property
    def sums(self) -> tuple[tuple[int, str], ...]:
        """The place of each term of alpha in `term_sums`, with the name of its coefficient."""
        names = self.timetable.calendar.names
        acting = self.timetable.acting.get("alpha", ())
        return tuple(
            (names.index(term), coefficient)
            for term, coefficient in zip(acting, self.timetable.coefficients("alpha"), strict=True)
        )

    def silences(self, patterns: PurchasePatterns) -> Silences:
        """The plan for patterns, made once."""

        def make() -> Silences:
            x, t_x, T = (column.rows for column in (patterns.frequency, patterns.recency, patterns.T))
            self.require_past(T)
            return Silences.of(self.past, x, t_x, T)

        return patterns.plans.of(make, self)

    def silent(self, theta: dict[str, FloatArray], silences: Silences) -> tuple[FloatArray, FloatArray]:
        """S(T) / S(t_x), and int_t_x^T S(y) / S(t_x) s b(y) / (beta + B(y)) dy; each shape (S, K)."""
        cells, size = max(len(silences.cells[0]), 4 * len(silences.pair)), len(theta["r"])
        step = max(1, CACHED // (cells * NODES))
        blocks = [slice(first, first + step) for first in range(0, size, step)]
        parts = [self._silent({name: v[block] for name, v in theta.items()}, silences) for block in blocks]
        stayed, left = (np.concatenate(part) for part in zip(*parts, strict=True))
        return stayed, left

    def _silent(self, theta: dict[str, FloatArray], silences: Silences) -> tuple[FloatArray, FloatArray]:
        s, clocks = theta["s"], self.clocks(theta)
        n = theta["r"] + silences.pair_x[silences.pair]
        first, last, edge = silences.begin
        panel = panels_of(self.past, last)
        one, other = self._scales(theta, clocks, panel, last, first)
        left, through = _first_panel(n, s, one, other, edge - last)
        for customers, later in self._later_panels(theta, silences, clocks):
            left[:, customers] += through[:, customers] * later[silences.pair[customers]].T
        buying, leaving = (-clock.at(last) / clock.pace[:, panel] for clock in clocks)  # at the pace of that panel
        return np.exp(-n * np.log1p(buying / one) - s * np.log1p(leaving / other)), left

    def _later_panels(
        self, theta: dict[str, FloatArray], silences: Silences, clocks: tuple[Clock, Clock]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Customers whose silence begins in the panel before, and the integral from here on, shape (pairs, S).

        It is a share of those silent and alive at the start of the panel, so that nothing under- or overflows.
        Draws stand last: what is copied for a pair lies together.
        """
        inside, through = self._parts(theta, silences, clocks)
        later = np.zeros((len(silences.pair_x), len(theta["r"])))
        for parts, customers in silences.steps:
            later = inside[parts] + through[parts] * later[: parts.stop - parts.start]
            yield customers, later

    def _parts(
        self, theta: dict[str, FloatArray], silences: Silences, clocks: tuple[Clock, Clock]
    ) -> tuple[FloatArray, FloatArray]:
        """Chance to leave in silence within a part, and to be silent and alive through it; each shape (parts, S).

        At a node the chance of no purchase is g^(r + x) with g = alpha / (alpha + A): each frequency takes it from
        the one before by multiplication, where an exponential for each would take most of the time of a fit.
        """
        g, density, alive = self._nodes(theta, silences, clocks)
        chance = np.exp(theta["r"].T * np.log(g))
        chance[:-1] *= density[1:-1]
        chance[-1] *= alive
        at_end = density[-1] / alive
        parts = sum(len(rows) for _, _, rows, _ in silences.levels)
        inside, through = np.empty((2, parts, len(theta["r"])))
        before = 0.0
        for x, cells, rows, cell in silences.levels:
            chance, g = chance[:, :cells], g[:, :cells]
            if x > before:
                chance *= g if x == before + 1 else g ** (x - before)
            total = density[0, :cells] + chance[:-1].sum(axis=0) + chance[-1] * at_end[:cells]
            inside[rows], through[rows], before = total[cell], chance[-1, cell], x
        return inside, through

    def _nodes(
        self, theta: dict[str, FloatArray], silences: Silences, clocks: tuple[Clock, Clock]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each cell: alpha / (alpha + A) and the weight of drop-out at its nodes, and survival through it.

        Nodes are Gauss-Lobatto's in log(1 + u / m), where u is the time in the panel and m the lesser scale of the
        two rates. They hold both ends: at the first alpha / (alpha + A) is 1 and left out, the last serves survival
        too. Shapes (NODES - 1, C, S), (NODES, C, S) and (C, S): what is added lies apart, so that sums run fast.
        """
        start, panel = silences.cells
        s = theta["s"].T
        scales = self._scales(theta, clocks, panel, self.past[panel], silences.starts[start])
        one, other = (np.ascontiguousarray(scale.T) for scale in scales)
        at, weights = (column[:, None, None] for column in gauss_lobatto(NODES))
        m = np.minimum(one, other)
        reach = np.log1p(np.diff(self.past)[panel][:, None] / m)
        growth = np.exp(reach * at)
        u = m * (growth - 1)
        left = other / (other + u)
        alive = np.exp(s * np.log(left))
        density = (reach * m * s / other) * weights * growth * alive * left
        return one / (one + u[1:]), density, alive[-1]

    def _scales(
        self,
        theta: dict[str, FloatArray],
        clocks: tuple[Clock, Clock],
        panel: IntArray,
        time: FloatArray,
        start: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """(alpha + A) / a and (beta + B) / b at times within panels, since first purchases; shape (S, K)."""
        one, other = (
            (theta[parameter] + clock.at(time) - clock.at(start)) / clock.pace[:, panel]
            for parameter, clock in zip(CLOCKS, clocks, strict=True)
        )
        return one, other

    def p_alive(self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
        """P(alive at T | x, t_x, T): of those silent since t_x, the ones who stayed."""
        theta = _columns(parameters)
        x, t_x, T = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (frequency, recency, T)))
        self.require_past(T)
        stayed, left = self.silent(theta, Silences.of(self.past, x.ravel(), t_x.ravel(), T.ravel()))
        return _shaped(stayed / (stayed + left), parameters, x)

    def survival_if_alive(self, parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
        """P(alive at T + t | alive at T) = ((beta + B(T)) / (beta + B(T + t)))^s."""
        self.timetable.require_ahead(horizon)
        theta = _columns(parameters)
        leaving = self.clock("beta", theta)
        hazard = theta["s"] * np.log1p(leaving.ahead(horizon) / self._rate(theta, "beta", leaving, T))
        return _shaped(np.exp(-hazard), parameters, frequency, T, horizon)

    def _rate(self, theta: dict[str, FloatArray], parameter: str, clock: Clock, T: FloatArray) -> FloatArray:
        """alpha + A(T) or beta + B(T), shape (S, ...)."""
        self.require_past(T)
        age = np.asarray(T, dtype=np.float64)
        run = -clock.at(-age.ravel()).reshape((-1, *(age.shape or (1,))))
        return theta[parameter] + run

    def _ahead(self, horizon: Any) -> Iterator[tuple[int, FloatArray]]:
        """Panels after today, and the time that a horizon has in each."""
        self.timetable.require_ahead(horizon)
        for panel in range(len(self.past) - 1, len(self.edges) - 1):
            length = self.edges[panel + 1] - self.edges[panel]
            yield panel, np.clip(np.asarray(horizon, dtype=np.float64) - self.edges[panel], 0.0, length)

    def purchases_if_alive(self, parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
        """E[purchases in (T, T + t] | x, alive at T]; recency does not enter.

        (r + x) / (alpha + A(T)) int a(y) ((beta + B(T)) / (beta + B(y)))^s dy, in each panel as in Pareto/NBD.
        """
        theta = _columns(parameters)
        buying, leaving = self.clocks(theta)
        s, beta = theta["s"], self._rate(theta, "beta", leaving, T)
        time: FloatArray = np.zeros(())  # on the clock of purchases, while alive
        for panel, length in self._ahead(horizon):
            scale = (beta + leaving.reading[:, [panel]]) / leaving.pace[:, [panel]]
            v = np.log1p(length / scale)
            alive = np.exp(-s * np.log1p(leaving.reading[:, [panel]] / beta))
            time = time + alive * buying.pace[:, [panel]] * scale * v * special.exprel((1 - s) * v)
        rate = (theta["r"] + frequency) / self._rate(theta, "alpha", buying, T)
        return _shaped(rate * time, parameters, frequency, T, horizon)

    def pmf_if_alive(
        self, parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
    ) -> FloatArray:
        """P(X(T, T + t) = k | x, alive at T): k purchases and alive at the end, or k up to the drop-out."""
        theta = _columns(parameters)
        buying, leaving = self.clocks(theta)
        s, beta = theta["s"], self._rate(theta, "beta", leaving, T)
        rate = {"r": theta["r"] + frequency, "alpha": self._rate(theta, "alpha", buying, T)}
        stayed = np.exp(-s * np.log1p(leaving.ahead(horizon) / beta))
        total = stayed * nbd.purchase_pmf(rate, purchases, buying.ahead(horizon))
        for panel, length in self._ahead(horizon):
            scale = (beta + leaving.reading[:, [panel]]) / leaving.pace[:, [panel]]
            reach = np.log1p(length / scale)  # log time on the clock of drop-out
            alive = np.exp(-s * np.log1p(leaving.reading[:, [panel]] / beta))
            for node, weight in zip(*gauss_legendre(PMF_NODES), strict=True):
                run = buying.reading[:, [panel]] + buying.pace[:, [panel]] * scale * np.expm1(reach * node)
                left = weight * reach * s * alive * np.exp(-s * reach * node)
                total = total + left * nbd.purchase_pmf(rate, purchases, run)
        return _shaped(total, parameters, frequency, T, purchases, horizon)

    def simulate(self, rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
        """Repeat purchases of customers seen for a time `end` up to today, told as the story goes.

        Parameters
        ----------
        end : ndarray, shape (N,), length of observation of each customer, units of time

        Returns
        -------
        customer, time : ndarrays, shape (E,), the position of the buyer and the time of each purchase
        """
        self.require_past(end)
        rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
        drop_out = rng.gamma(parameters["s"], 1 / parameters["beta"], len(end))
        buying, leaving = self.clocks({name: np.reshape(parameters[name], (-1, 1))[:1] for name in parameters})
        with np.errstate(divide="ignore"):  # a rate that underflows to 0 never drops out
            out = leaving.at(-end)[0] + rng.exponential(1.0, len(end)) / drop_out
        seen_until = np.interp(out, leaving.reading[0], self.edges, right=np.inf)  # the day that the clock reads so
        run = buying.at(np.minimum(seen_until, 0.0))[0] - buying.at(-end)[0]
        buyer, reading = nbd.poisson_purchases(rng, rate, np.maximum(run, 0.0))
        time = np.interp(reading + buying.at(-end)[0][buyer], buying.reading[0], self.edges)
        return buyer, np.clip(time + end[buyer], 0.0, end[buyer])

    def expand(self, theta: FloatArray) -> FloatArray:
        """Parameters as the kernel reads them, shape (..., P) to (..., 4 + 3 E): with edges and both clocks."""
        flat = theta.reshape(-1, theta.shape[-1])
        names = (*BASE, *self.coefficients)
        named = dict(zip(names, flat.T[..., None], strict=True))
        readings = [clock.reading for clock in self.clocks(named)]
        columns = [flat[:, :4], self.edges[None], *readings]
        wide = np.concatenate([np.broadcast_to(c, (len(flat), c.shape[1])) for c in columns], axis=1)
        return np.ascontiguousarray(wide.reshape(*theta.shape[:-1], -1))

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the coefficients, those of alpha first."""
        return tuple(name for parameter in CLOCKS for name in self.timetable.coefficients(parameter))


def _columns(parameters: Draws) -> dict[str, FloatArray]:
    """Parameters as columns, shape (S, 1)."""
    size = max(np.size(value) for value in parameters.values())
    return {
        name: np.broadcast_to(np.reshape(np.asarray(value, dtype=np.float64), (-1, 1)), (size, 1))
        for name, value in parameters.items()
    }


def _shaped(values: FloatArray, parameters: Draws, *columns: Any) -> FloatArray:
    """Values in the shape of the columns that they were made of, (S, K); without draws if parameters are floats."""
    shape = np.broadcast_shapes(*map(np.shape, columns))
    wide = np.broadcast_to(values, (len(values), *(shape or (1,))))
    alone = all(np.ndim(value) == 0 for value in parameters.values())
    return np.array(wide[0].reshape(shape) if alone else wide)


def _first_panel(
    n: FloatArray, s: FloatArray, one: FloatArray, other: FloatArray, length: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Chance to leave in silence within a panel, and that to stay silent and alive through it; shape (S, K).

    It may begin with the first purchase, where rates fall fast, or with the last of thousands, after which hardly
    a silent moment is to be expected: so it has more nodes, up to where the hazard is spent.
    """
    m = np.minimum(one, other)
    reach = np.minimum(np.log1p(length / m), SPENT / (n * m / one + s * m / other))
    total = np.zeros(np.shape(reach))
    for node, weight in zip(*gauss_legendre(FIRST_NODES), strict=True):
        growth = np.exp(reach * node)
        u = m * (growth - 1)
        total += weight * np.exp(-n * np.log(1 + u / one) - s * np.log(1 + u / other)) * (m * growth / (other + u))
    through = np.exp(-n * np.log1p(length / one) - s * np.log1p(length / other))
    return reach * s * total, through


def on_calendar(timetable: Timetable) -> Model:
    """The model with a coefficient for each term of a calendar."""
    model = OnCalendar(timetable)
    formulas = AliveOrGone(
        model.p_alive, model.survival_if_alive, model.purchases_if_alive, model.pmf_if_alive, _no_end
    ).formulas
    base = (replace(parameter, covariates=0) for parameter in PARETO_NBD.parameters)
    scales = [timetable.calendar.scale(name) for parameter in CLOCKS for name in timetable.acting.get(parameter, ())]
    gammas = (  # Normal(0, 1) where a term has the standard deviation 1
        Parameter(name, "number", prior_median=0.0, prior_sd=1 / scale, support="real")
        for name, scale in zip(model.coefficients, scales, strict=True)
    )
    return replace(
        PARETO_NBD_DYNCOV,
        parameters=(*base, *gammas),
        log_likelihood=model.log_likelihood,
        reads=("term_sums",),
        formulas={name: formula for name, formula in formulas.items() if name != "dert"},
        simulate=model.simulate,
        kernel="pareto_nbd_dyncov",
        expand=model.expand,
        limits={"pareto_nbd": lambda simple: {**simple, **dict.fromkeys(model.coefficients, 0.0)}},
        methods=("mle", "laplace"),
        timetable=timetable,
    )


def _no_end(*_: Any) -> FloatArray:
    raise DataError("a calendar ends: purchases without end cannot be forecast on it.")


PARETO_NBD_DYNCOV = replace(
    PARETO_NBD,
    name="pareto_nbd_dyncov",
    limits={},
    on_calendar=on_calendar,
    terms_act_on=CLOCKS,
    reference="Bachmann, Meierer and Näf (2021), doi 10.1287/mksc.2020.1254",
)
