"""The figures of a study of retention, drawn as the others are: see `figures`."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.retention_results import (
    AgePoint,
    BackTestPoint,
    CurvePoint,
    ObservedSurvival,
    RevenuePoint,
)
from clvmodels.report.figures import (
    ACTUAL,
    INK,
    MODEL,
    MUTED,
    Panels,
    Plot,
    Size,
    count_axis,
    dates_axis,
    grid,
    legend,
    legend_above,
    mark_rows,
    mark_told,
    sizes,
    small_sizes,
)
from clvmodels.report.numbers import Numbers

FEW_AGES = 40  # of so many ages each has its dot and its interval; of more, their line alone is to be seen
RIVAL_LINES = ((1.0, 1.5), (4.0, 2.0), (4.0, 2.0, 1.0, 2.0), (1.0, 3.0))  # dashes, by the order of other models
PALEST, DARKEST = 0.05, 0.55  # of a heat map's cells: ink stays legible on the darkest, in light and dark
LETTER = 0.56  # width of a figure over the height of its letters, on average
Number = Callable[[float], str]


@dataclass(frozen=True)
class SegmentCurves:
    """What the figures of a segment draw: its data, the model's curve, other models' by name."""

    title: str
    observed: Sequence[ObservedSurvival]
    curve: Sequence[CurvePoint]
    rivals: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class ForecastPanel:
    """A forecast made from the ages up to `learnt_to`, against what happened."""

    title: str
    learnt_to: float
    points: Sequence[BackTestPoint]


@dataclass(frozen=True)
class ValuePanel:
    """Value by age in a segment: its expectation, one customer's outcome, and that of a new customer."""

    title: str
    ages: Sequence[float]
    value: Sequence[Estimate]
    outcome: Sequence[Estimate]
    new: Estimate | None


@dataclass(frozen=True)
class HeatMap:
    """A table to be coloured. Rows from the top; None where there is nothing.

    Attributes
    ----------
    values, texts, notes : a row a row label, a column a column label; notes stand below the texts and may be empty
    said : what a reader who points at a cell is told of it
    top : the value of the darkest colour
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]
    texts: Sequence[Sequence[str]]
    notes: Sequence[Sequence[str]]
    said: Sequence[Sequence[str]]
    top: float


def panel_sizes(panels: int, *, height: float, narrow_height: float) -> tuple[Size, Size]:
    """Pairs of panels, or small ones where there are many."""
    return sizes(panels, height=height, narrow_height=narrow_height) if panels <= 4 else small_sizes(panels)


def row_sizes(panels: int, *, height: float, narrow_height: float) -> tuple[Size, Size]:
    """All panels in a row on a desk, one below the other on a phone."""
    return Size("wide", 720, height, 1, panels), Size("narrow", 346, narrow_height * panels, panels, 1)


def heat_sizes(rows: int, row_height: float) -> tuple[Size, Size]:
    """A heat map as high as its rows need."""
    height = rows * row_height + 70
    return Size("wide", 720, height, 1, 1), Size("narrow", 346, height, 1, 1)


# Parts that figures share


def _titled(panels: Panels, titles: Sequence[str], size: Size) -> Panels:
    """The panels that are used, with their titles; those left over are blank."""
    for axes in panels[len(titles) :]:
        axes.set_axis_off()
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(wrapped(title, size))
    return panels[: len(titles)]


def wrapped(title: str, size: Size) -> str:
    """A title on at most two lines that fit its panel."""
    widths = [2 * LETTER if ord(letter) >= 0x3000 else LETTER for letter in title]
    letters = size.width / size.columns / (13 * max(sum(widths), LETTER)) * len(title)
    return "\n".join(textwrap.wrap(title, max(int(letters), 8), max_lines=2, placeholder="…"))


def _share_axis(axes: Axes, numbers: Numbers) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
    grid(axes, "y")


def _age_axis(axes: Axes, label: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set_xlabel(label)


def _bounds(estimates: Sequence[Estimate]) -> np.ndarray:
    """Mean, low and high, shape (3, N); NaN where there is none."""
    return np.array([[e.mean, e.q05, e.q95] for e in estimates], dtype=float).T.reshape(3, -1)


def _curve(axes: Axes, points: Sequence[CurvePoint], estimates: Sequence[Estimate], words: Mapping[str, str]) -> None:
    """A curve with its band, dashed where the data do not reach."""
    ages = np.array([point.age for point in points])
    mean, low, high = _bounds(estimates)
    seen = np.array([point.seen for point in points])
    axes.fill_between(ages, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
    axes.plot(ages[seen], mean[seen], color=MODEL, linewidth=2.2, label=words["model"])
    beyond = ages >= (ages[seen][-1] if seen.any() else -math.inf)
    if not seen.all():
        axes.plot(
            ages[beyond], mean[beyond], color=MODEL, linewidth=2.2, linestyle=(0, (2, 1.5)), label=words["beyond"]
        )


def _end_of_data(axes: Axes, place: float) -> None:
    axes.axvline(place, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))


def _mark_in_turn(panels: Panels, places: Sequence[Sequence[float]]) -> None:
    """Rows of the figure's table panel by panel: those of the first, then those of the next."""
    first = 0
    for axes, own in zip(panels, places, strict=True):
        mark_rows(axes, own, rows=range(first, first + len(own)))
        first += len(own)


def _legend_columns(size: Size) -> int:
    return 3 if size.name == "wide" else 2


# The figures


def survival(panels_of: Sequence[SegmentCurves], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Share still there by age: Kaplan and Meier's steps, the model's curve and band, other models' thin lines."""

    def plot(panels: Panels, size: Size) -> None:
        used = _titled(panels, [segment.title for segment in panels_of], size)
        all_ages = [[point.age for point in segment.curve] for segment in panels_of]
        _mark_in_turn(used, all_ages)
        for axes, segment, ages in zip(used, panels_of, all_ages, strict=True):
            _curve(axes, segment.curve, [point.survival for point in segment.curve], words)
            for (name, values), dashes in zip(segment.rivals.items(), cycle(RIVAL_LINES), strict=False):
                axes.plot(ages, values, color=MUTED, linewidth=1.3, dashes=dashes, label=name)
            _steps(axes, segment.observed, words)
            if segment.observed and ages[-1] > segment.observed[-1].age:
                _end_of_data(axes, segment.observed[-1].age)
            axes.set_ylim(0, 1.02)
            axes.set_xlim(0, 1.01 * ages[-1])
            _share_axis(axes, numbers)
            _age_axis(axes, words["age"])
        legend_above(used, _legend_columns(size))

    return plot


def _steps(axes: Axes, observed: Sequence[ObservedSurvival], words: Mapping[str, str]) -> None:
    """Steps of the share still there from the beginning on, each with its interval."""
    ages, share, low, high = np.array([(row.age, row.survival, row.low, row.high) for row in observed]).reshape(-1, 4).T
    axes.step([0.0, *ages], [1.0, *share], where="post", color=ACTUAL, linewidth=0.8, alpha=0.6)
    if len(observed) <= FEW_AGES:
        axes.vlines(ages, low, high, color=ACTUAL, linewidth=1.4)
        axes.plot(ages, share, "o", color=ACTUAL, markersize=4, label=words["observed"])
    else:
        axes.fill_between(ages, low, high, step="post", color=ACTUAL, alpha=0.2, linewidth=0, label=words["observed"])


def rates(panels_of: Sequence[SegmentCurves], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Share of those still there who renew once more, by age: the model's with its band, and those observed."""

    def plot(panels: Panels, size: Size) -> None:
        used = _titled(panels, [segment.title for segment in panels_of], size)
        lowest = 1.0
        all_points = [[point for point in segment.curve if point.rate is not None] for segment in panels_of]
        _mark_in_turn(used, [[point.age for point in points] for points in all_points])
        for axes, segment, points in zip(used, panels_of, all_points, strict=True):
            _curve(axes, points, [point.rate for point in points if point.rate is not None], words)
            ages, renewed = np.array(observed_rates(segment.observed)).reshape(-1, 2).T
            axes.plot(ages, renewed, "o", color=ACTUAL, markersize=5, label=words["observed"])
            lowest = min([lowest, *renewed, *(point.rate.q05 or 0.0 for point in points if point.rate is not None)])
            if len(ages) and points and points[-1].age > ages[-1]:
                _end_of_data(axes, ages[-1])
            axes.set_xlim(left=0)
            _share_axis(axes, numbers)
            _age_axis(axes, words["age"])
        for axes in used:
            axes.set_ylim(max(0.0, lowest - 0.05), 1.01)
        legend_above(used, _legend_columns(size))

    return plot


def observed_rates(observed: Sequence[ObservedSurvival]) -> list[tuple[float, float]]:
    """Ages and the shares of those at risk who renewed there; none unless losses are counted at whole ages."""
    if any(row.age != math.floor(row.age) for row in observed):
        return []
    return [(row.age, 1 - row.lost / row.at_risk) for row in observed if row.age and row.at_risk]


def back_test(panels_of: Sequence[ForecastPanel], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Customers still there, a panel a forecast: what was, and the forecast with its band from what it learnt on.

    The scale is that of the later numbers: from zero, a band would be no wider than the line.
    """

    def plot(panels: Panels, size: Size) -> None:
        used = _titled(panels, [panel.title for panel in panels_of], size)
        _mark_in_turn(used, [[point.age for point in panel.points if not point.learnt] for panel in panels_of])
        for axes, panel in zip(used, panels_of, strict=True):
            shown = [point for point in panel.points if point.age >= panel.learnt_to - 1]
            ages = np.array([point.age for point in shown])
            expected, low, high, actual = np.array(
                [(point.expected, point.low, point.high, point.actual) for point in shown], dtype=float
            ).T
            axes.fill_between(ages, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
            axes.plot(ages, expected, color=MODEL, linewidth=2.2, label=words["expected"])
            axes.plot(ages, actual, "o", color=ACTUAL, markersize=4.5, label=words["actual"])
            _end_of_data(axes, panel.learnt_to)
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_count(value)))
            grid(axes, "y")
            _age_axis(axes, words["age"])
        legend_above(used, _legend_columns(size))

    return plot


def values(panels_of: Sequence[ValuePanel], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Value of a customer by renewals made: what is expected with its interval, one customer's range behind it."""

    def plot(panels: Panels, size: Size) -> None:
        used = _titled(panels, [panel.title for panel in panels_of], size)
        tops = [e.q95 for panel in panels_of for e in (*panel.outcome, *panel.value, panel.new) if e is not None]
        top = max((value for value in tops if value is not None), default=1.0)
        new = [[] if panel.new is None else [_newcomer(panel)] for panel in panels_of]
        _mark_in_turn(used, [[*first, *panel.ages] for first, panel in zip(new, panels_of, strict=True)])
        for axes, panel in zip(used, panels_of, strict=True):
            ages = np.array(panel.ages)
            _, low, high = _bounds(panel.outcome)
            axes.bar(ages, high - low, 0.4, bottom=low, color=MUTED, alpha=0.18, linewidth=0, label=words["outcome"])
            _dots(axes, ages, panel.value, "o", words["value"])
            if panel.new is not None:
                _dots(axes, np.array([_newcomer(panel)]), [panel.new], "D", words["new"])
            axes.set_ylim(0, 1.04 * top)
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
            grid(axes, "y")
            _value_ages(axes, panel, words)
        legend_above(used, 3 if size.name == "wide" else 1)

    return plot


def _dots(axes: Axes, ages: np.ndarray, estimates: Sequence[Estimate], mark: str, label: str) -> None:
    mean, low, high = _bounds(estimates)
    axes.vlines(ages, low, high, color=MODEL, linewidth=2.4)
    axes.plot(ages, mean, mark, color=MODEL, markersize=6, label=label)


def _newcomer(panel: ValuePanel) -> float:
    """Where a new customer stands: before the first age, with room for a word below."""
    return panel.ages[0] - max(1.0, (panel.ages[-1] - panel.ages[0]) / 7)


def _value_ages(axes: Axes, panel: ValuePanel, words: Mapping[str, str]) -> None:
    """Ages below the axis, thinned to what fits, and the place of a new customer."""
    room = (panel.ages[-1] - panel.ages[0]) / 12
    places = [panel.ages[0]]
    for age in panel.ages[1:]:
        places += [age] if age - places[-1] >= room else []
    names = [f"{age:g}" for age in places]
    if panel.new is not None:
        places, names = [_newcomer(panel), *places], [words["new_tick"], *names]
    axes.set_xticks(places, names)
    axes.set_xlabel(words["age"])


def what_if(
    titles: Sequence[str],
    names: Mapping[int, str],
    columns_of: Sequence[Sequence[Estimate]],
    forms: Sequence[Number],
) -> Plot:
    """Changes by segment, a panel a measure, each with its interval; names by place in the figure's table."""

    def plot(panels: Panels, _size: Size) -> None:
        place = np.arange(len(names))[::-1]
        for axes, title, estimates, form in zip(panels, titles, columns_of, forms, strict=True):
            mean, low, high = _bounds(estimates)
            axes.hlines(place, low, high, color=MODEL, linewidth=3, alpha=0.45)
            axes.plot(mean, place, "o", color=MODEL, markersize=7)
            axes.axvline(0, color=ACTUAL, linewidth=1.2)
            axes.set_yticks(place, list(names.values()))
            mark_rows(axes, place, "y", rows=list(names))
            axes.tick_params(axis="y", labelcolor=INK)
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.set_xlim(min(0.0, 1.1 * np.nanmin(low)), 1.12 * max(float(np.nanmax(high)), 1e-9))
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _, form=form: form(value)))
            axes.set_title(title)
            grid(axes, "x")

    return plot


def heat(table: HeatMap, words: Mapping[str, str]) -> Plot:
    """A table of cells, the darker the more; numbers stand in them where they have room."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        letters = 10.5 if size.name == "wide" else 9.5
        longest = max((len(text) for row in (*table.texts, *table.notes) for text in row), default=0)
        labels = max((len(name) for name in table.rows), default=0)
        room = (size.width - 12 * LETTER * labels - 40) / max(len(table.columns), 1)
        fits = LETTER * letters * longest <= room - 2
        for y, row in enumerate(table.values):
            for x, value in enumerate(row):
                if value is not None:
                    _cell(axes, x, y, value / table.top if table.top else 0.0)
                    if fits:
                        _in_cell(axes, x, y, table.texts[y][x], table.notes[y][x], letters)
        _tell_cells(axes, table, words)
        axes.set_xlim(-0.5, len(table.columns) - 0.5)
        axes.set_ylim(len(table.rows) - 0.5, -0.5)
        step = max(1, math.ceil(LETTER * 14 * max(map(len, table.columns)) / room))
        axes.set_xticks(range(0, len(table.columns), step), table.columns[::step])
        axes.set_yticks(range(len(table.rows)), table.rows)
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
        axes.set_xlabel(words["x"])
        axes.set_title(words["y"], color=MUTED, fontsize=12)

    return plot


def _tell_cells(axes: Axes, table: HeatMap, words: Mapping[str, str]) -> None:
    there = [(x, y) for y, row in enumerate(table.values) for x, value in enumerate(row) if value is not None]
    cells = [[table.rows[y], table.columns[x], table.said[y][x]] for x, y in there]
    mark_told(axes, there, cells, [words["y"], words["x"], ""])


def _cell(axes: Axes, x: int, y: int, part: float) -> None:
    alpha = round(PALEST + (DARKEST - PALEST) * min(max(part, 0.0), 1.0), 2)
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=MODEL, alpha=alpha, linewidth=0))


def _in_cell(axes: Axes, x: int, y: int, text: str, note: str, letters: float) -> None:
    axes.text(x, y - (0.16 if note else 0.0), text, ha="center", va="center", fontsize=letters)
    if note:
        axes.text(x, y + 0.24, note, ha="center", va="center", fontsize=letters - 0.5)


def over_years(estimates: Sequence[Estimate], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """A count in the coming years with its band."""

    def plot(panels: Panels, _size: Size) -> None:
        (axes,) = panels
        mean, low, high = _bounds(estimates)
        years = np.arange(len(estimates))
        axes.fill_between(years, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
        axes.plot(years, mean, "o-", color=MODEL, linewidth=2.2, markersize=4.5, label=words["expected"])
        mark_rows(axes, years)
        count_axis(axes, numbers)
        _age_axis(axes, words["x"])
        legend(axes)

    return plot


def cohort_forecast(
    points: Sequence[RevenuePoint], labels: Sequence[str], words: Mapping[str, str], numbers: Numbers
) -> Plot:
    """Customers active and revenue by calendar unit: what was, and the forecast with its band."""

    def plot(panels: Panels, size: Size) -> None:
        place = np.arange(len(points))
        start = next((at for at, point in enumerate(points) if point.holdout), len(points)) - 0.5
        nothing = Estimate(None, None, None, None, None)
        for axes, name in zip(panels, ("active", "revenue"), strict=True):
            actual = np.array([getattr(point, name) for point in points], dtype=float)
            mean, low, high = _bounds([getattr(point, f"{name}_forecast") or nothing for point in points])
            axes.fill_between(place, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
            axes.plot(place, mean, color=MODEL, linewidth=2.2, label=words["expected"])
            axes.plot(place, actual, "o-", color=ACTUAL, linewidth=1.2, markersize=3.5, label=words["actual"])
            _end_of_data(axes, start)
            mark_rows(axes, place)
            count_axis(axes, numbers)
            if name == "revenue":
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
            dates_axis(axes, labels, most=4)
            axes.set_title(words[name])
        legend_above(panels, _legend_columns(size))

    return plot


def by_age(points: Sequence[AgePoint], titles: Mapping[str, str], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """A new cohort by age, a panel a quantity, each with its band."""

    def plot(panels: Panels, size: Size) -> None:
        for axes, (name, title) in zip(panels, titles.items(), strict=True):
            by_place = {at: p for at, p in enumerate(points) if name != "retention" or p.age > 0}  # all at age 0
            shown, ages = list(by_place.values()), np.array([point.age for point in by_place.values()])
            mark_rows(axes, ages, rows=list(by_place))
            mean, low, high = _bounds([getattr(point, name) for point in shown])
            axes.fill_between(ages, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
            axes.plot(ages, mean, color=MODEL, linewidth=2.2, label=words["expected"])
            count_axis(axes, numbers, ticks=4)
            form = numbers.share if name == "retention" else numbers.axis_money
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _, form=form: form(value)))
            _age_axis(axes, words["x"])
            axes.set_title(title)
        legend_above(panels, _legend_columns(size))

    return plot
