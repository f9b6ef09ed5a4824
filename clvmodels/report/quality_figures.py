"""The figures of the page of data quality, drawn as the others are: see `figures`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from clvmodels.report.figures import (
    ACTUAL,
    CELL_COLOURS,
    INK,
    MODEL,
    MUTED,
    PAPER,
    RULE,
    Panels,
    Plot,
    Size,
    count_axis,
    dates_axis,
    grid,
    legend,
    legend_above,
    mark_rows,
)
from clvmodels.report.numbers import Numbers

TAKEN, ADDED = CELL_COLOURS["high_low"], CELL_COLOURS["low_high"]
HAIR = 1.6  # width of the line around a bar, so that a step too small for the scale is still to be seen
THICK, NAME_ABOVE = {"wide": 0.56, "narrow": 0.4}, 0.27  # of a row: a bar, and where its name begins on a phone
MARKS = {"revenue": ("o", MODEL), "occasions": ("s", ACTUAL), "customers": ("^", TAKEN)}


@dataclass(frozen=True)
class Step:
    """A bar of a waterfall: what it adds and the total after it; a `whole` one begins at zero."""

    name: str
    amount: float
    total: float
    whole: bool


def waterfall(steps: Sequence[Step], numbers: Numbers) -> Plot:
    """Steps from the first total to the last, downwards; on a phone the name of each stands over its bar."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        place = np.arange(len(steps))[::-1]
        for y, step in zip(place, steps, strict=True):
            _bar(axes, step, (float(y), THICK[size.name]), numbers)
        for y, step in zip(place[:-1], steps[:-1], strict=True):
            axes.plot([step.total, step.total], [y - 0.2, y - 0.8], color=MUTED, linewidth=0.9, zorder=2)
        _name_rows(axes, [step.name for step in steps], place, size)
        mark_rows(axes, place, "y")
        ends = [0.0, *(step.total for step in steps)]
        room = max(ends) - min(ends) or 1.0
        axes.set_xlim(min(ends) - 0.01 * room, max(ends) + (0.2 if size.name == "wide" else 0.34) * room)
        axes.set_ylim(-0.6, len(steps) - (0.4 if size.name == "wide" else 0.1))
        axes.xaxis.set_major_locator(MaxNLocator(5 if size.name == "wide" else 3, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
        grid(axes, "x")

    return plot


def _bar(axes: Axes, step: Step, row: tuple[float, float], numbers: Numbers) -> None:
    """A bar in its row, of a place and a thickness, with its amount to the right of it."""
    y, thick = row
    low = min(step.total, 0.0 if step.whole else step.total - step.amount)
    colour = MODEL if step.whole else TAKEN if step.amount < 0 else ADDED if step.amount > 0 else MUTED
    axes.barh(y, abs(step.amount), thick, left=low, color=colour, edgecolor=colour, linewidth=HAIR, zorder=3)
    sign = "+" if step.amount > 0 and not step.whole else ""
    axes.annotate(
        sign + numbers.compact(step.amount),
        (max(low + abs(step.amount), 0.0), y),
        (7, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        fontsize=11.5,
    )


def _name_rows(axes: Axes, names: Sequence[str], place: np.ndarray, size: Size) -> None:
    """The name of each row: to the left of it on a desk, over it on a phone."""
    if size.name == "wide":
        axes.set_yticks(place, names)
        axes.tick_params(axis="y", labelcolor=INK)
        return
    axes.set_yticks([])
    for y, name in zip(place, names, strict=True):
        axes.text(
            0, y + NAME_ABOVE, name, transform=axes.get_yaxis_transform(), va="bottom", color=INK, fontsize=11.5,
            bbox={"facecolor": PAPER, "linewidth": 0, "pad": 0.8}, zorder=4,
        )  # fmt: skip


class _Totals(Protocol):
    """By what share three totals move."""

    @property
    def revenue(self) -> float: ...
    @property
    def occasions(self) -> float: ...
    @property
    def customers(self) -> float: ...


def effects(changes: Sequence[_Totals], names: Sequence[str], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """By what share each alternative moves revenue, purchases and customers; a row an alternative."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        place = np.arange(len(changes))[::-1]
        axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
        for y, change in zip(place, changes, strict=True):
            values = [getattr(change, total) for total in MARKS]
            axes.plot([min(0, *values), max(0, *values)], [y, y], color=RULE, linewidth=2, zorder=2)
        for total, (mark, colour) in MARKS.items():
            values = [getattr(change, total) for change in changes]
            axes.plot(values, place, mark, color=colour, markersize=7.5, alpha=0.85, label=words[total], zorder=3)
        axes.set_ylim(-0.6, len(changes) - (0.4 if size.name == "wide" else 0.1))
        axes.margins(x=0.08)
        _name_rows(axes, names, place, size)
        mark_rows(axes, place, "y")
        axes.xaxis.set_major_locator(MaxNLocator(5 if size.name == "wide" else 4, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_gap(value)))
        grid(axes, "x")
        legend_above(panels)

    return plot


def months(
    totals: Mapping[str, Sequence[float]],
    partial: Sequence[bool],
    labels: Sequence[str],
    words: Mapping[str, str],
    numbers: Numbers,
) -> Plot:
    """Bars by month, a panel a total; months that the ends of the log cut off are pale."""

    def plot(panels: Panels, _size: Size) -> None:
        place, cut = np.arange(len(labels)), np.array(partial)
        for axes, (total, values) in zip(panels, totals.items(), strict=True):
            bars = np.array(values, dtype=float)
            axes.bar(place[~cut], bars[~cut], 0.72, color=MODEL, linewidth=0, label=words["whole"])
            if cut.any():
                axes.bar(
                    place[cut], bars[cut], 0.72, color="none", edgecolor=MODEL, linewidth=1.4, hatch="////",
                    label=words["partial"],
                )  # fmt: skip
            mark_rows(axes, place)
            count_axis(axes, numbers, ticks=4)
            if total == "month_revenue":
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
            axes.set_title(words[total], pad=26 if cut.any() else 10)
            dates_axis(axes, labels, most=4)
            if cut.any():
                legend(axes)

    return plot
