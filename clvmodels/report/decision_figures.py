"""The figures of customers, their value and what to do, drawn as the others are: see `figures`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator

from clvmodels.foundation.decision_results import LorenzPoint, SilenceRow
from clvmodels.foundation.estimates import Estimate
from clvmodels.report.figures import (
    ACTUAL,
    CELL_COLOURS,
    INK,
    MODEL,
    MUTED,
    PAPER,
    WARN,
    Panels,
    Plot,
    Size,
    dates_axis,
    grid,
    legend_above,
    mark_points,
    mark_rows,
)
from clvmodels.report.numbers import Numbers
from clvmodels.report.retention_figures import wrapped

Number = Callable[[float], str]
MARKED_SHARES = (0.1, 0.2)
FLOW_COLOURS = {**CELL_COLOURS, "lost": WARN, "none": MUTED}
NODE_GAP = 42.0  # pixels between two nodes of the flow picture: room for a name and a number
NODE_WIDTH = 0.025
LABELS = NODE_WIDTH + 0.02  # from the side of the bands
BAND_PLACES = (0.08, 0.22, 0.5, 0.78, 0.92)  # along a band, where a reader who points is told of it


@dataclass(frozen=True)
class PeriodBars:
    """A panel of bars by period, and how its axis is written."""

    title: str
    values: Sequence[float]
    colour: str
    form: Number


@dataclass(frozen=True)
class Series:
    """A line of the windows' figure, None where a window has no such number, and its colour."""

    name: str
    values: Sequence[float | None]
    colour: str


@dataclass(frozen=True)
class Flow:
    """Customers who went from a class to a class, and the row of the figure's table that has them."""

    before: str
    after: str
    customers: float
    row: int


@dataclass(frozen=True)
class FlowColumn:
    """A side of the flow picture: its title, its classes from the top, and the two lines of each one's label."""

    title: str
    keys: Sequence[str]
    labels: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Gains:
    """A panel of an action: its title, and its rows with what each would bring, and whether that is recommended.

    `places` are the rows' places in the figure's table.
    """

    title: str
    rows: Sequence[tuple[str, Estimate, bool]]
    places: Sequence[int]


@dataclass(frozen=True)
class LandedPanel:
    """A class, its title, and its groups by their row of the figure's table: stated, share, low, high."""

    key: str
    title: str
    points: Mapping[int, tuple[float, float, float, float]]


def stacked_sizes(rows: Sequence[int]) -> tuple[Size, Size]:
    """Panels one below the other, each as high as the longest list of rows needs."""
    height = (62 + 26 * max(rows)) * len(rows) + 30
    return Size("wide", 720, height, len(rows), 1), Size("narrow", 346, height, len(rows), 1)


def list_sizes(rows: int, panels: int = 1) -> tuple[Size, Size]:
    """Panels as high as the rows that they list; on a phone one below the other."""
    height = 92 + 34 * rows
    return Size("wide", 720, height, 1, panels), Size("narrow", 346, height * panels, panels, 1)


def flow_sizes(rows: int) -> tuple[Size, Size]:
    """A flow picture with room for so many classes on a side."""
    return Size("wide", 720, 250 + 40 * rows, 1, 1), Size("narrow", 346, 230 + 40 * rows, 1, 1)


# The base by periods


def period_bars(panels_of: Sequence[PeriodBars], labels: Sequence[str]) -> Plot:
    """Bars by period, a panel a measure."""

    def plot(panels: Panels, _size: Size) -> None:
        place = np.arange(len(labels))
        for axes, bars in zip(panels, panels_of, strict=True):
            axes.bar(place, bars.values, width=0.72, color=bars.colour, linewidth=0)
            mark_rows(axes, place)
            axes.set_title(bars.title)
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _, form=bars.form: form(value)))
            grid(axes, "y")
            dates_axis(axes, labels, most=4)

    return plot


def window_rates(series: Sequence[Series], labels: Sequence[str], numbers: Numbers) -> Plot:
    """Rates by window, each with a line of its own."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        place = np.arange(len(labels))
        for line in series:
            values = np.array(line.values, dtype=float)
            axes.plot(place, values, "o-", color=line.colour, linewidth=2, markersize=5, label=line.name)
        mark_rows(axes, place)
        axes.set_ylim(0, 1.02)
        axes.set_xlim(-0.4, len(labels) - 0.6)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
        grid(axes, "y")
        dates_axis(axes, labels, most=6 if size.name == "wide" else 4)
        legend_above(panels, columns=3 if size.name == "wide" else 1)

    return plot


def in_and_out(
    above: Sequence[Series], below: Series, labels: Sequence[str], numbers: Numbers, columns: int = 4
) -> Plot:
    """Customers of each window stacked by where they come from, and below zero those who left."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        place, base = np.arange(len(labels)), np.zeros(len(labels))
        for series in above:
            values = np.array(series.values, dtype=float)
            axes.bar(place, values, 0.66, bottom=base, color=series.colour, linewidth=0, label=series.name)
            base += values
        axes.bar(place, -np.array(below.values, dtype=float), 0.66, color=below.colour, linewidth=0, label=below.name)
        axes.axhline(0, color=INK, linewidth=1)
        mark_rows(axes, place)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_count(abs(value))))
        grid(axes, "y")
        dates_axis(axes, labels, most=6 if size.name == "wide" else 4)
        legend_above(panels, columns=columns if size.name == "wide" else 2)

    return plot


# Value


def cash_flow(
    labels: Sequence[str], margin: Sequence[Estimate], alive: Sequence[float], titles: Sequence[str], numbers: Numbers
) -> Plot:
    """Discounted margin of each coming period with its interval, and beside it the share of customers still there."""

    def plot(panels: Panels, _size: Size) -> None:
        place = np.arange(len(labels))
        mean, low, high = bounds(margin)
        panels[0].bar(place, mean, 0.66, color=MODEL, alpha=0.35, linewidth=0)
        panels[0].vlines(place, low, high, color=MODEL, linewidth=3)
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
        panels[1].bar(place, alive, 0.66, color=ACTUAL, alpha=0.45, linewidth=0)
        panels[1].yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
        for axes, title in zip(panels, titles, strict=True):
            mark_rows(axes, place)
            axes.set_title(title)
            axes.set_ylim(bottom=min(0.0, float(np.nanmin(low))) if axes is panels[0] else 0.0)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            dates_axis(axes, labels, most=6)
            grid(axes, "y")

    return plot


def concentration(
    points: Sequence[LorenzPoint], shown: Sequence[float], words: Mapping[str, str], numbers: Numbers
) -> Plot:
    """The share of value that the best customers hold, with its band (a Lorenz curve, best first).

    `shown` are the shares of customers in the figure's table.
    """

    def plot(panels: Panels, _size: Size) -> None:
        (axes,) = panels
        customers = np.array([point.customers for point in points])
        mean, low, high = bounds([point.value for point in points])
        axes.fill_between(customers, low, high, color=MODEL, alpha=0.3, linewidth=0)
        axes.plot(customers, mean, color=MODEL, linewidth=2)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
        mark_rows(axes, shown)
        for share in MARKED_SHARES:
            held = float(np.interp(share, customers, mean))
            axes.plot(share, held, "o", color=MODEL, markersize=6)
            text = words["mark"].format(customers=numbers.share(share), value=numbers.share(held))
            axes.annotate(text, (share, held), (10, -5), textcoords="offset points", va="top")
        for line in (axes.xaxis, axes.yaxis):
            line.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.03)
        axes.set_xlabel(words["customers"])
        axes.set_title(words["value"], color=MUTED, fontsize=12)
        grid(axes, "y")

    return plot


def two_shares(
    names: Sequence[str],
    customers: Sequence[float],
    value: Sequence[Estimate],
    words: Mapping[str, str],
    numbers: Numbers,
) -> Plot:
    """Classes with their share of customers and, below it, their share of value with its interval."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        place = np.arange(len(names))[::-1].astype(float)
        mean, low, high = bounds(value)
        mark_rows(axes, place, "y")
        axes.barh(place + 0.19, customers, 0.3, color=MUTED, alpha=0.55, linewidth=0, label=words["customers"])
        axes.barh(place - 0.17, mean, 0.3, color=MODEL, alpha=0.7, linewidth=0, label=words["value"])
        axes.hlines(place - 0.17, low, high, color=INK, linewidth=1.6)
        for y, share, end in (
            *zip(place + 0.19, customers, customers, strict=True),
            *zip(place - 0.17, mean, np.fmax(mean, high), strict=True),
        ):
            axes.annotate(
                numbers.share(float(share)),
                (float(np.nan_to_num(end)), y),
                (5, 0),
                textcoords="offset points",
                va="center",
                color=MUTED,
                fontsize=11,
            )
        axes.set_yticks(place, names)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_xlim(0, 1.14 * max(float(np.nanmax(high, initial=0.0)), *customers, 1e-9))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
        grid(axes, "x")
        legend_above(panels, columns=2 if size.name == "wide" else 1)

    return plot


def bounds(estimates: Sequence[Estimate]) -> np.ndarray:
    """Mean (the median where there is none), low and high, shape (3, N); NaN where there is none."""
    rows = [[e.q50 if e.mean is None else e.mean, e.q05, e.q95] for e in estimates]
    return np.array(rows, dtype=float).T.reshape(3, -1)


# Movement


def movement(flows: Sequence[Flow], sides: tuple[FlowColumn, FlowColumn]) -> Plot:
    """Customers between two dates: bands from the classes of the first day to those of the second.

    Heights are numbers of customers, on one scale for both sides; the colour is that of where a band ends.
    """

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        left, right = (0.24, 0.2) if size.name == "wide" else (0.56, 0.4)
        rows = max(len(side.keys) for side in sides)
        room = size.height - 70 - NODE_GAP * rows
        scale = room / max(sum(flow.customers for flow in flows), 1e-9)
        starts = _nodes(axes, sides[0], flows, scale, "before")
        ends = _nodes(axes, sides[1], flows, scale, "after")
        middles: list[tuple[float, float]] = []
        ordered = _drawn_order(flows, sides)
        for flow in ordered:
            height = flow.customers * scale
            _band(axes, starts[flow.before], ends[flow.after], height, FLOW_COLOURS.get(flow.after, MUTED))
            middles += _along(starts[flow.before] - height / 2, ends[flow.after] - height / 2)
            starts[flow.before] -= height
            ends[flow.after] -= height
        axes.set_xlim(-left, 1 + right)
        axes.set_ylim(-(size.height - 66), 8)
        axes.set_axis_off()
        mark_points(axes, middles, rows=[flow.row for flow in ordered for _ in BAND_PLACES])
        for x, side, alignment in ((-LABELS, sides[0], "right"), (1 + LABELS, sides[1], "left")):
            axes.text(x, 14, side.title, ha=alignment, va="bottom", color=MUTED, fontsize=11.5)

    return plot


def _along(start: float, end: float) -> list[tuple[float, float]]:
    """Points in the middle of a band, where a reader may point at it: on its curve at `BAND_PLACES`."""
    curve = np.array([(0.0, start), (0.5, start), (0.5, end), (1.0, end)])
    t = np.array(BAND_PLACES)[:, None]
    bezier = (1 - t) ** 3 * curve[0] + 3 * t * (1 - t) ** 2 * curve[1] + 3 * t**2 * (1 - t) * curve[2] + t**3 * curve[3]
    return [(float(x), float(y)) for x, y in bezier]


def _drawn_order(flows: Sequence[Flow], sides: tuple[FlowColumn, FlowColumn]) -> list[Flow]:
    """Bands from the top of both sides, so that they cross as little as may be."""
    return sorted(flows, key=lambda flow: (sides[0].keys.index(flow.before), sides[1].keys.index(flow.after)))


def _nodes(axes: Axes, side: FlowColumn, flows: Sequence[Flow], scale: float, end: str) -> dict[str, float]:
    """Draws the classes of a side, and returns where each begins at its top."""
    left = end == "before"
    tops, top = {}, 0.0
    for key in side.keys:
        height = scale * sum(flow.customers for flow in flows if getattr(flow, end) == key)
        tops[key] = top
        colour = FLOW_COLOURS.get(key, MUTED)
        start = -NODE_WIDTH if left else 1.0
        axes.add_patch(Rectangle((start, top - max(height, 1.0)), NODE_WIDTH, max(height, 1.0), color=colour, lw=0))
        name, count = side.labels[key]
        x, alignment = (-LABELS, "right") if left else (1 + LABELS, "left")
        middle = top - height / 2
        axes.text(x, middle + 1, name, ha=alignment, va="bottom", color=colour, fontsize=12)
        axes.text(x, middle - 1, count, ha=alignment, va="top", color=MUTED, fontsize=11)
        top -= height + NODE_GAP
    return tops


def _band(axes: Axes, start: float, end: float, height: float, colour: str) -> None:
    """A band from the left to the right, of one height all along."""
    curve = [(0.0, start), (0.5, start), (0.5, end), (1.0, end)]
    back = [(1.0, end - height), (0.5, end - height), (0.5, start - height), (0.0, start - height)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    axes.add_patch(PathPatch(Path([*curve, *back, curve[0]], codes), facecolor=colour, alpha=0.38, linewidth=0))


# Decisions


def gains(panels_of: Sequence[Gains], below: str, numbers: Numbers) -> Plot:
    """What each action would bring, a panel an action on one scale: full dots are recommended, empty ones are not."""

    def plot(panels: Panels, size: Size) -> None:
        low, high = bounds([gain for panel in panels_of for _, gain, _ in panel.rows])[1:]
        ends = np.nan_to_num(np.array([np.nanmin(np.append(low, 0.0)), np.nanmax(np.append(high, 0.0))]))
        for axes, panel in zip(panels, panels_of, strict=True):
            place = np.arange(len(panel.rows))[::-1]
            mean, low, high = bounds([gain for _, gain, _ in panel.rows])
            axes.hlines(place, low, high, color=MODEL, linewidth=3, alpha=0.45)
            for y, value, (_, _, advised) in zip(place, mean, panel.rows, strict=True):
                axes.plot([value], [y], "o", color=MODEL, markersize=7, markerfacecolor=MODEL if advised else PAPER)
            axes.axvline(0, color=ACTUAL, linewidth=1.2)
            axes.set_yticks(place, [name for name, _, _ in panel.rows])
            axes.tick_params(axis="y", labelcolor=INK)
            axes.set_ylim(-0.7, len(panel.rows) - 0.3)
            axes.set_xlim(*(ends + np.array([-0.06, 0.06]) * max(float(np.ptp(ends)), 1e-9)))
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
            axes.set_title(wrapped(panel.title, size))
            mark_rows(axes, place, "y", rows=panel.places)
            grid(axes, "x")
        panels[-1].set_xlabel(below)

    return plot


def landed(panels_of: Sequence[LandedPanel], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Stated probabilities against shares that came: dots, and the band where they lie if the former are right."""

    def plot(panels: Panels, size: Size) -> None:
        for axes in panels[len(panels_of) :]:
            axes.set_axis_off()
        for axes, panel in zip(panels, panels_of, strict=False):
            stated, share, low, high = np.array(list(panel.points.values()), dtype=float).reshape(-1, 4).T
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
            axes.vlines(stated, low, high, color=MODEL, alpha=0.3, linewidth=9, label=words["band"])
            axes.plot(stated, share, "o", color=ACTUAL, markersize=5, label=words["landed"])
            mark_rows(axes, stated, rows=list(panel.points))
            axes.set_title(panel.title, fontsize=11.5, pad=4, color=CELL_COLOURS.get(panel.key, INK))
            axes.set_xlim(0, 1.02)
            axes.set_ylim(0, 1.02)
            for line in (axes.xaxis, axes.yaxis):
                line.set_major_locator(MaxNLocator(4, steps=[2.5, 5]))
                line.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
            axes.tick_params(labelsize=10)
            grid(axes, "y")
        legend_above(panels, columns=2 if size.name == "wide" else 1)

    return plot


def budget_curve(
    curve: Sequence[tuple[float, float]],
    spent: tuple[float, float],
    by_chance: float,
    shown: Sequence[float],
    words: Mapping[str, str],
    numbers: Numbers,
) -> Plot:
    """Expected gain by the budget spent, best customers first; the study's budget, and the same spent by chance.

    `shown` are the amounts spent in the figure's table.
    """

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        budget, gain = np.array(curve, dtype=float).reshape(-1, 2).T
        axes.plot(budget, gain, color=MODEL, linewidth=2.2, label=words["best"])
        axes.plot(*spent, "o", color=MODEL, markersize=8, label=words["chosen"])
        axes.plot(spent[0], by_chance, "D", color=MUTED, markersize=6, label=words["chance"])
        axes.axhline(0, color=ACTUAL, linewidth=1)
        mark_rows(axes, shown)
        axes.set_xlim(left=0)
        for line in (axes.xaxis, axes.yaxis):
            line.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            line.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
        axes.set_xlabel(words["budget"])
        grid(axes, "y")
        legend_above(panels, columns=1 if size.name == "narrow" else 3)

    return plot


def silence(rows: Mapping[int, SilenceRow], names: Sequence[str], title: str, numbers: Numbers) -> Plot:
    """Days of silence until more likely gone than active: the middle half of each type, and its median.

    Rows are named by their places in the figure's table.
    """

    def plot(panels: Panels, _size: Size) -> None:
        (axes,) = panels
        place = np.arange(len(rows))[::-1]
        for y, row in zip(place, rows.values(), strict=True):
            colour = CELL_COLOURS.get(row.cell, MODEL)
            low, median, high = (math.nan if value is None else value for value in (row.q25, row.q50, row.q75))
            axes.plot([low, high], [y, y], color=colour, linewidth=9, alpha=0.35, solid_capstyle="butt")
            axes.plot([median], [y], "o", color=colour, markersize=8)
        mark_rows(axes, place, "y", rows=list(rows))
        axes.set_yticks(place, names)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 3, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_count(value)))
        axes.set_xlabel(title)
        grid(axes, "x")

    return plot
