"""Figures as SVG text: the only file that draws. Each takes finished tables and a reader's words.

A figure is drawn twice, for a wide and for a narrow column, at the size at which it is read, so that
letters are as large on a phone as on a desk; the page's style sheet shows one of them. Colours are the
style sheet's variables, so a figure follows the light or dark theme. The same input gives the same bytes.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from clvmodels.foundation.results import (
    CalibrationRow,
    CountRow,
    Cut,
    MatrixPoint,
    ReplicatedRow,
    Score,
    TrackingPoint,
)
from clvmodels.report.canvas import Panel, register_face, svg_of
from clvmodels.report.fonts import SANS
from clvmodels.report.numbers import Numbers
from clvmodels.report.tables import json_block

# Stand-ins that no figure mixes; each becomes a variable of the style sheet.
INK, MUTED, RULE, MODEL, ACTUAL = "#010203", "#020304", "#030405", "#040506", "#050607"
PAPER = "#0a0b0c"  # behind words that stand on lines
WARN = "#0b0c0d"
CELL_COLOURS = {"high_high": "#060708", "low_high": "#070809", "high_low": "#08090a", "low_low": "#090a0b"}
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    MODEL: "--model",
    ACTUAL: "--actual",
    PAPER: "--paper",
    WARN: "--warn",
    **{colour: f"--{key.replace('_', '-')}" for key, colour in CELL_COLOURS.items()},
}

STYLE = {
    "svg.fonttype": "none",  # text stays text: searchable, and set in the page's font
    "svg.hashsalt": "clvmodels",
    "font.family": [SANS],
    "font.size": 12.0,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12.5,
    "axes.titlepad": 10.0,
    "axes.titley": 1.0,  # else matplotlib looks for room among the ticks, of which a figure has none above
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.parse_math": False,  # a currency sign is no formula
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0.0,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
}


BUBBLE_SIZES = 12
MATRIX_HEADS = ("type", "current", "future", "customers")  # what is told of a point
THIN = 3  # a line behind the others has every third of its points: all of them in every panel weigh most of a page
ORDINARY = 0.9  # share of points that a panel has room for; the others are arrows at its edge


@dataclass(frozen=True)
class Size:
    """A canvas in CSS pixels, and how its panels are laid out."""

    name: str
    width: float
    height: float
    rows: int
    columns: int


Panels = Sequence[Axes]
Plot = Callable[[Panels, Size], None]


def sizes(panels: int, *, height: float, narrow_height: float) -> tuple[Size, Size]:
    """Panels side by side in pairs on a desk, one below the other on a phone; heights are a panel row's."""
    columns = min(panels, 2)
    rows = -(-panels // columns)
    return Size("wide", 720, height * rows, rows, columns), Size("narrow", 346, narrow_height * panels, panels, 1)


def small_sizes(panels: int) -> tuple[Size, Size]:
    """Many small panels: three to a row on a desk, two on a phone."""
    wide, narrow = -(-panels // 3), -(-panels // 2)
    return Size("wide", 720, 150 * wide + 60, wide, 3), Size("narrow", 346, 130 * narrow + 70, narrow, 2)


def draw(key: str, description: str, plot: Plot, both: tuple[Size, Size]) -> tuple[str, str]:
    """The SVG of a figure at its wide and at its narrow size."""
    wide, narrow = (_svg(key, description, plot, size) for size in both)
    return wide, narrow


def _svg(key: str, description: str, plot: Plot, size: Size) -> str:
    with _style():
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.06, hspace=0.08)
        figure = Figure(figsize=(size.width / 72, size.height / 72), dpi=72, layout=layout)
        panels = (
            figure.subplots(size.rows, size.columns, squeeze=False, subplot_kw={"axes_class": Panel}).ravel().tolist()
        )
        plot(panels, size)
        marked = [(axes, Marked(**json.loads(gid))) for axes in panels if (gid := axes.get_gid())]
        for axes, _ in marked:
            axes.set_gid(None)
        for patch in (figure.patch, *(axes.patch for axes in panels)):
            patch.set_visible(False)  # the page's paper shows through
        svg = svg_of(figure)
    drawn = _for_the_page(svg, f"{key}-{size.name}", description)
    return _with_rows(drawn, [_on_canvas(axes, rows, size) for axes, rows in marked])


@dataclass(frozen=True)
class Marked:
    """What a reader can point at in a panel, and what is told of it.

    Attributes
    ----------
    along : "x" or "y", where each stands all across the panel; "xy" where it is a point
    places : along that axis, or pairs of x and y
    rows : row of the figure's table of each; empty where they are all of its rows, in order
    cells : told instead of a row of the table, one a place; empty where the table tells
    heads : of `cells`
    """

    along: str
    places: list[Any]
    rows: list[int]
    cells: list[list[str]]
    heads: list[str]


def mark_rows(axes: Axes, places: Sequence[float] | np.ndarray, along: str = "x", *, rows: Sequence[int] = ()) -> None:
    """Say where rows of the figure's table are drawn, so that the page can show a row where a reader points.

    They are all rows of the table in its order, or those named.
    """
    _mark(axes, Marked(along, [float(place) for place in places], list(rows), [], []))


def mark_points(axes: Axes, points: Sequence[tuple[float, float]], *, rows: Sequence[int]) -> None:
    """The same of points; a row may stand at several."""
    _mark(axes, Marked("xy", [[float(x), float(y)] for x, y in points], list(rows), [], []))


def mark_told(
    axes: Axes, points: Sequence[tuple[float, float]], cells: Sequence[Sequence[str]], heads: Sequence[str]
) -> None:
    """The same of points that the figure's table sums up: their own cells, the first of which names the point."""
    _mark(axes, Marked("xy", [[float(x), float(y)] for x, y in points], [], [list(c) for c in cells], list(heads)))


def _mark(axes: Axes, marked: Marked) -> None:
    axes.set_gid(json.dumps(asdict(marked)))


def _on_canvas(axes: Axes, rows: Marked, size: Size) -> dict[str, object]:
    """The panel's box and the places of the rows in the SVG's own units."""
    box = axes.get_window_extent()
    edges = [box.x0, size.height - box.y1, box.x1, size.height - box.y0]
    told = {"rows": rows.rows, "cells": rows.cells, "heads": rows.heads}
    return {
        "along": rows.along,
        "box": [round(edge, 1) for edge in edges],
        "at": _places(axes, rows, size),
        **{name: value for name, value in told.items() if value},
    }


def _places(axes: Axes, rows: Marked, size: Size) -> list[Any]:
    if not rows.places:
        return []
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    given = np.array(rows.places, dtype=float).reshape(len(rows.places), -1)
    points = np.tile([left, bottom], (len(given), 1))
    points[:, {"x": [0], "y": [1], "xy": [0, 1]}[rows.along]] = given
    on_canvas = axes.transData.transform(points)
    on_canvas[:, 1] = size.height - on_canvas[:, 1]
    shown = {"x": on_canvas[:, 0], "y": on_canvas[:, 1], "xy": on_canvas}[rows.along]
    return list(shown.round(1).tolist())


def _with_rows(svg: str, panels: Sequence[Mapping[str, object]]) -> str:
    """The SVG with the places of rows as its metadata, which nobody sees; as it was where there are none."""
    start = svg.index(">") + 1
    return f"{svg[:start]}<metadata>{json_block(panels)}</metadata>{svg[start:]}" if panels else svg


def _style() -> AbstractContextManager[None]:
    register_face()
    return mpl.rc_context(STYLE)  # type: ignore[arg-type]


def _for_the_page(svg: str, prefix: str, description: str) -> str:
    """An SVG that can stand inside a page with others: own ids, own words, the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    svg = re.sub(r"(\.\d\d)\d+", r"\1", svg)  # a hundredth of a pixel is enough
    svg = _lean(re.sub(r" \nL ", "L", svg))
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    viewbox = re.search(r'viewBox="[^"]*"', svg)
    assert viewbox is not None, "matplotlib writes a viewBox"
    start = f'<svg {viewbox.group()} role="img" aria-label="{_attribute(description)}">'
    return re.sub(r"<svg[^>]*>", lambda _: start, svg, count=1).strip()


def _lean(svg: str) -> str:
    """The same drawing in fewer bytes: no blanks, ids or styles that say nothing. A page has dozens of drawings."""
    svg = re.sub(r"\s*\n\s*", " ", svg)
    svg = re.sub(r"> <", "><", svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", svg)
    svg = svg.replace(f"font-family: '{SANS}'; ", "")  # the style sheet says it once
    named = dict.fromkeys(re.findall(r'(?:url\(|href=")#([\w.-]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found.group() if found[1] in named else "", svg)
    for number, name in enumerate(named):
        svg = svg.replace(f'"{name}"', f'"{_short(name, number)}"').replace(f"#{name}", f"#{_short(name, number)}")
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"<g[^>]*>(?:<use [^>]*/>)+</g>", _marks_with_one_style, svg)
    svg = re.sub(r"<defs></defs>|<g/>", "", svg)
    return re.sub(r"<g>((?:<(?:use|path|text) [^>]*?/?>(?:[^<>]*</text>)?)*)</g>", r"\1", svg)


def _short(name: str, number: int) -> str:
    """The name of a part of a drawing, with its number in place of a digest."""
    return f"{name.rpartition('-')[0]}-{number}"


def _marks_with_one_style(found: re.Match[str]) -> str:
    """Marks of a line look alike: their style stands with their group."""
    styles = set(re.findall(r' style="[^"]*"', found.group()))
    if len(styles) != 1:
        return found.group()
    (style,) = styles
    return found.group().replace(style, "").replace("<g", f"<g{style}", 1)


def _attribute(text: str) -> str:
    """Text for an attribute; a sentence of the catalogue comes with its values escaped, and is escaped once."""
    text = text.unescape() if isinstance(text, Markup) else text
    for character, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return text


# Parts that figures share


def grid(axes: Axes, axis: str) -> None:
    """Lines behind what is drawn."""
    axes.set_axisbelow(True)
    axes.grid(axis=axis)  # type: ignore[arg-type]


def count_axis(axes: Axes, numbers: Numbers, ticks: int = 5) -> None:
    """An upward axis of counts from zero."""
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_count(value)))
    axes.set_ylim(bottom=0)
    grid(axes, "y")


def _log_counts(axes: Axes, rows: Sequence[CountRow], numbers: Numbers) -> None:
    """A logarithmic axis: the few who buy often are to be seen beside the many who do not buy."""
    axes.set_yscale("log")
    lowest = min(min(max(row.low, 1.0), max(row.actual, 1.0)) for row in rows)
    highest = max(max(row.high, row.actual) for row in rows)
    axes.set_ylim(10 ** math.floor(math.log10(lowest)), 2 * highest)
    axes.yaxis.set_major_locator(LogLocator(10))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_count(value)))


def dates_axis(axes: Axes, labels: Sequence[str], most: int) -> None:
    """Labels of periods, thinned to so many."""
    step = -(-len(labels) // most)
    places = list(range(0, len(labels), step))
    axes.set_xticks(places, [labels[place] for place in places])


def legend(axes: Axes, columns: int = 3) -> None:
    """The legend of a panel, above it."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        frameon=False,
        borderaxespad=0.1,
        handlelength=1.4,
        columnspacing=1.2,
    )


def _small(panels: Panels, names: Sequence[str], size: Size) -> list[tuple[Axes, bool]]:
    """Titled panels, each with whether it is the lowest of its column; those left over are blank."""
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for place, (axes, name) in enumerate(zip(panels, names, strict=False)):
        axes.set_title(name, fontsize=11.5, pad=4)
        axes.tick_params(labelsize=10, labelleft=place % size.columns == 0)
    shown = len(names)
    return [(axes, place + size.columns >= shown) for place, axes in enumerate(panels[:shown])]


def legend_above(panels: Panels, columns: int = 3) -> None:
    """One legend over all panels."""
    handles, labels = panels[0].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure = panels[0].get_figure()
    assert figure is not None
    figure.legend(
        once.values(),
        once.keys(),
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        handlelength=1.4,
        columnspacing=1.2,
    )


# The figures


def value_matrix(
    points: Sequence[MatrixPoint],
    cuts: Sequence[Cut],
    names: Mapping[str, str],
    words: Mapping[str, str],
    numbers: Numbers,
) -> Plot:
    """Customers by current and expected future value, in the colour of their cell; areas are counts."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        current = np.array([point.current_value for point in points])
        future = np.array([point.clv for point in points])
        _money_axis(axes, "x", current, numbers)
        _money_axis(axes, "y", future, numbers)
        for cut in cuts:
            _cut(axes, cut)
        _bubbles(axes, points, largest=34.0 if size.name == "wide" else 22.0)
        axes.set_xlabel(words["current"])
        axes.set_title(words["future"], color=MUTED, fontsize=12)
        _corner_names(axes, names)
        mark_told(axes, *_points_told(points, names, numbers), [words[name] for name in MATRIX_HEADS])

    return plot


def _points_told(
    points: Sequence[MatrixPoint], names: Mapping[str, str], numbers: Numbers
) -> tuple[list[tuple[float, float]], list[list[str]]]:
    """Where the points of the matrix stand, and what is told of each: its type, both values, how many it stands for."""
    cells = [
        [names[p.key], numbers.cell(p.current_value), numbers.cell(p.clv), numbers.decimal(p.customers)] for p in points
    ]
    return [(point.current_value, point.clv) for point in points], cells


def _bubbles(axes: Axes, points: Sequence[MatrixPoint], *, largest: float) -> None:
    """Circles by number of customers, the large ones below; a dozen sizes keep the SVG small."""
    most = max(point.customers for point in points)
    by_look: dict[tuple[int, str], list[MatrixPoint]] = {}
    for point in points:
        step = math.ceil(BUBBLE_SIZES * math.sqrt(point.customers / most))
        by_look.setdefault((step, point.key), []).append(point)
    for step, key in sorted(by_look, reverse=True):
        group = by_look[step, key]
        axes.plot(
            [point.current_value for point in group],
            [point.clv for point in group],
            "o",
            color=CELL_COLOURS[key],
            markersize=max(largest * step / BUBBLE_SIZES, 4.0),
            alpha=0.55,
            markeredgewidth=0,
            clip_on=False,
            zorder=3,
        )


def _money_axis(axes: Axes, axis: str, values: np.ndarray, numbers: Numbers) -> None:
    """A logarithmic scale; where customers are at zero, linear from there up to a floor."""
    positive = values[values > 0]
    floor = float(10 ** np.floor(np.log10(np.quantile(positive, 0.02)))) if positive.size else 1.0
    top = max(float(values.max()), floor)
    powers = [floor * 10.0**step for step in range(math.ceil(math.log10(top / floor)) + 1)]
    set_scale, line = (axes.set_xscale, axes.xaxis) if axis == "x" else (axes.set_yscale, axes.yaxis)
    set_limits = axes.set_xlim if axis == "x" else axes.set_ylim
    zeros = bool((values <= 0).any())
    if zeros:
        set_scale("symlog", linthresh=floor, linscale=0.6)
    else:
        set_scale("log")
    set_limits(-0.25 * floor if zeros else 0.6 * float(values.min()), 3.0 * top)
    line.set_major_locator(FixedLocator([0.0, *powers] if zeros else powers))
    line.set_minor_locator(NullLocator())
    line.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_money(value)))
    grid(axes, axis)


def _cut(axes: Axes, cut: Cut) -> None:
    line, span = (axes.axvline, axes.axvspan) if cut.dimension == "current" else (axes.axhline, axes.axhspan)
    if cut.value.mean is not None:
        line(cut.value.mean, color=INK, linewidth=1.2, zorder=2)
    if cut.value.q05 is not None and cut.value.q95 is not None and cut.value.q95 > cut.value.q05:
        span(cut.value.q05, cut.value.q95, color=MUTED, alpha=0.2, linewidth=0, zorder=1)


def _corner_names(axes: Axes, names: Mapping[str, str]) -> None:
    corners = {
        "low_high": (0.012, 0.985),
        "high_high": (0.99, 0.985),
        "low_low": (0.1, 0.03),
        "high_low": (0.99, 0.03),
    }
    for key, (x, y) in corners.items():
        axes.text(
            x,
            y,
            names[key],
            transform=axes.transAxes,
            ha="left" if x < 0.5 else "right",
            va="top" if y > 0.5 else "bottom",
            color=CELL_COLOURS[key],
            fontsize=13.5,
            zorder=4,
        )


def tracking(
    points: Sequence[TrackingPoint], labels: Sequence[str], words: Mapping[str, str], numbers: Numbers
) -> Plot:
    """Purchases of each period and their running sum: actual, and forecast with its band in the holdout."""

    def plot(panels: Panels, _size: Size) -> None:
        place = np.arange(len(points))
        start = next((i for i, point in enumerate(points) if point.holdout), len(points)) - 0.5
        for axes, prefix in zip(panels, ("", "cumulative_"), strict=True):
            actual, expected, low, high = (
                np.array([getattr(point, prefix + name) for point in points], dtype=float)
                for name in ("actual", "expected", "low", "high")
            )
            axes.fill_between(place, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
            axes.plot(place, expected, color=MODEL, linewidth=2.2, label=words["expected"])
            axes.plot(place, actual, color=ACTUAL, linewidth=1.4, label=words["actual"])
            axes.axvline(start, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
            mark_rows(axes, place)
            count_axis(axes, numbers)
            dates_axis(axes, labels, most=4)
            axes.set_title(words[prefix + "title"], pad=26)
            legend(axes)

    return plot


def calibration(
    groups: Sequence[CalibrationRow], counts: Sequence[CountRow], words: Mapping[str, str], numbers: Numbers
) -> Plot:
    """Holdout purchases by past purchases, and how many customers bought how often: actual and predicted."""

    def plot(panels: Panels, _size: Size) -> None:
        for axes, rows, names, title, below, first in (
            (panels[0], groups, [row.group for row in groups], words["groups"], words["group"], 0),
            (panels[1], counts, [row.count for row in counts], words["counts"], words["count"], len(groups)),
        ):
            place = np.arange(len(rows))
            mark_rows(axes, place, rows=range(first, first + len(rows)))
            low, high = np.array([row.low for row in rows]), np.array([row.high for row in rows])
            axes.bar(place, high - low, 0.62, bottom=low, color=MODEL, alpha=0.25, linewidth=0, label=words["band"])
            axes.plot(
                place,
                [row.expected for row in rows],
                "_",
                color=MODEL,
                markersize=15,
                markeredgewidth=2.2,
                label=words["expected"],
            )
            axes.plot(place, [row.actual for row in rows], "o", color=ACTUAL, markersize=5.5, label=words["actual"])
            axes.set_xticks(place, names)
            axes.set_xlabel(below)
            count_axis(axes, numbers)
            axes.set_title(title, pad=26)
            legend(axes)
        _log_counts(panels[1], counts, numbers)

    return plot


def pit(shares: Mapping[str, Sequence[float]], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Where outcomes fell in their predictive distributions: level bars mean honest uncertainty."""

    def plot(panels: Panels, _size: Size) -> None:
        for axes, (outcome, bars) in zip(panels, shares.items(), strict=True):
            edges = np.linspace(0, 1, len(bars) + 1)
            axes.bar(edges[:-1], bars, width=0.9 / len(bars), align="edge", color=MODEL, alpha=0.75, linewidth=0)
            axes.axhline(1 / len(bars), color=ACTUAL, linewidth=1.4)
            mark_rows(axes, (edges[:-1] + edges[1:]) / 2)
            axes.set_xlim(0, 1)
            axes.set_ylim(0, max(1.25 * max(bars), 2 / len(bars)))
            axes.set_title(words[outcome])
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.set_xlabel(words["axis"])
            grid(axes, "y")

    return plot


def replications(
    panels_of_rows: Sequence[tuple[str, str, Mapping[int, ReplicatedRow]]],
    group_names: Mapping[str, str],
    words: Mapping[str, str],
    numbers: Numbers,
) -> Plot:
    """Data against replications: shares above or below the middle replication, and where 90 % of them lie.

    A panel has a title, the name of its groups, and its rows by their place in the figure's table.
    """

    def plot(panels: Panels, _size: Size) -> None:
        for axes, (title, below, by_place) in zip(panels, panels_of_rows, strict=True):
            rows = list(by_place.values())
            place = np.arange(len(rows))
            mark_rows(axes, place, rows=list(by_place))
            middle = np.array([row.median or np.nan for row in rows], dtype=float)  # no share of nothing
            low, high, observed = (
                np.array([getattr(row, name) for row in rows], dtype=float) / middle - 1
                for name in ("low", "high", "observed")
            )
            axes.bar(place, high - low, 0.62, bottom=low, color=MODEL, alpha=0.25, linewidth=0, label=words["band"])
            axes.axhline(0, color=MODEL, linewidth=1.6, label=words["replicated"])
            axes.plot(place, observed, "o", color=ACTUAL, markersize=5.5, label=words["observed"])
            axes.set_xticks(place, [group_names.get(row.group, row.group) for row in rows])
            axes.set_ylim(*_with_room(np.concatenate([low, high, observed])))
            axes.set_xlabel(below)
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_gap(value)))
            grid(axes, "y")
            axes.set_title(title, pad=26)
            legend(axes)

    return plot


def _with_room(values: np.ndarray) -> tuple[float, float]:
    """Limits of an axis that keep all values, and zero, off its edges."""
    lowest, highest = np.nanmin(np.append(values, 0.0)), np.nanmax(np.append(values, 0.0))
    room = 0.08 * max(highest - lowest, 1e-3)
    return float(lowest - room), float(highest + room)


def contest(
    scores: Mapping[str, Sequence[Score]],
    titles: Mapping[str, str],
    names: Mapping[str, str],
    model: str,
    numbers: Numbers,
) -> Plot:
    """Each method on a few scores, with its interval; the study's model in its colour."""

    def plot(panels: Panels, _size: Size) -> None:
        for axes in panels[len(scores) :]:
            axes.set_axis_off()
        first = 0
        for axes, (score, rows) in zip(panels, scores.items(), strict=False):
            place = np.arange(len(rows))[::-1]
            mark_rows(axes, place, "y", rows=range(first, first + len(rows)))
            first += len(rows)
            for y, row in zip(place, rows, strict=True):
                colour = MODEL if row.method == model else ACTUAL
                if row.low is not None and row.high is not None:
                    axes.plot(
                        [row.low, row.high],
                        [y, y],
                        color=colour,
                        linewidth=3,
                        alpha=0.35,
                        solid_capstyle="round",
                    )
                axes.plot([np.nan if row.value is None else row.value], [y], "o", color=colour, markersize=6.5)
            axes.set_yticks(place, [names[row.method] for row in rows])
            for label, row in zip(axes.get_yticklabels(), rows, strict=True):
                label.set_color(MODEL if row.method == model else INK)
            axes.set_ylim(-0.6, len(rows) - 0.4)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.significant(value)))
            axes.set_title(titles[score])
            grid(axes, "x")

    return plot


def rival_tracking(
    tracked: Mapping[str, Sequence[TrackingPoint]], labels: Sequence[str], words: Mapping[str, str], numbers: Numbers
) -> Plot:
    """Purchases of each period, a panel a model: what came, and the forecast with its band in the holdout."""

    def plot(panels: Panels, size: Size) -> None:
        top = max(max(point.actual, point.expected, point.high or 0.0) for of in tracked.values() for point in of)
        for (axes, lowest), points in zip(_small(panels, list(tracked), size), tracked.values(), strict=True):
            place = np.arange(len(points))
            low, high = (np.array([getattr(point, name) for point in points], dtype=float) for name in ("low", "high"))
            axes.fill_between(place, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
            axes.plot(place, [point.expected for point in points], color=MODEL, linewidth=1.8, label=words["expected"])
            axes.plot(place, [point.actual for point in points], color=ACTUAL, linewidth=0.9, label=words["actual"])
            _start_of_holdout(axes, [point.holdout for point in points])
            mark_rows(axes, place)
            count_axis(axes, numbers, ticks=3)
            axes.set_ylim(0, 1.05 * top)
            _small_dates(axes, labels, lowest)
        legend_above(panels)

    return plot


def _start_of_holdout(axes: Axes, held: Sequence[bool]) -> None:
    start = next((place for place, holdout in enumerate(held) if holdout), len(held)) - 0.5
    axes.axvline(start, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))


def _small_dates(axes: Axes, labels: Sequence[str], lowest: bool) -> None:
    """Dates at a quarter and three quarters of the time, under the lowest panel of a column alone."""
    places = [len(labels) // 4, 3 * len(labels) // 4]
    axes.set_xticks(places, [labels[place] for place in places])
    axes.tick_params(labelbottom=lowest)


def rival_gaps(
    gaps: Mapping[str, Sequence[float]], labels: Sequence[str], start: int, words: Mapping[str, str], numbers: Numbers
) -> Plot:
    """Running sum of the forecast less that of what came, a panel a model; the others stay in grey behind it.

    The scale is that of most models: one that is far off leaves its panel, and its end stands there as a number.
    """

    def plot(panels: Panels, size: Size) -> None:
        limit = _limit([max(map(abs, values)) for values in gaps.values()])
        for (axes, lowest), (name, own) in zip(_small(panels, list(gaps), size), gaps.items(), strict=True):
            place = np.arange(len(own))
            for other, values in gaps.items():
                if other != name:
                    axes.plot(place[::THIN], values[::THIN], color=RULE, linewidth=1.2, label=words["other_models"])
            axes.axhline(0, color=ACTUAL, linewidth=1.2, label=words["what_came"])
            axes.plot(place, own, color=MODEL, linewidth=2, label=words["this_model"])
            _start_of_holdout(axes, [at >= start for at in range(len(own))])
            mark_rows(axes, place)
            axes.text(
                0.98,
                0.96 if own[-1] < 0 else 0.04,
                ("+" if own[-1] > 0 else "") + numbers.share(own[-1], 1),
                transform=axes.transAxes,
                ha="right",
                va="top" if own[-1] < 0 else "bottom",
                color=MODEL,
                fontsize=11,
            )
            axes.set_ylim(-limit, limit)
            _gap_axis(axes, numbers)
            _small_dates(axes, labels, lowest)
        legend_above(panels)

    return plot


def _gap_axis(axes: Axes, numbers: Numbers) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], symmetric=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.axis_gap(value)))
    grid(axes, "y")


def _limit(sizes_of_all: Sequence[float]) -> float:
    """Half the height of panels that have room for all models but those far off from the others."""
    typical = float(np.median(sizes_of_all))
    return max(1.12 * max(value for value in sizes_of_all if value <= 3 * typical), 1e-3)


class _Counted(Protocol):
    """Customers with so many purchases: observed and by a model."""

    @property
    def purchases(self) -> str: ...
    @property
    def observed(self) -> float: ...
    @property
    def expected(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def rival_counts(panels_of_rows: Mapping[str, Sequence[_Counted]], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Customers by number of purchases, a panel a model: the model's over those observed, and its band.

    What lies beyond the panel is drawn at its edge as an arrow.
    """

    def plot(panels: Panels, size: Size) -> None:
        shares = {name: _over_observed(rows) for name, rows in panels_of_rows.items()}
        limit = float(1.2 * np.nanquantile(np.abs([expected for expected, _, _ in shares.values()]), ORDINARY))
        for (axes, lowest), (name, rows) in zip(
            _small(panels, list(shares), size), panels_of_rows.items(), strict=True
        ):
            expected, low, high = shares[name]
            place = np.arange(len(rows))
            mark_rows(axes, place)
            low, high = np.clip(low, -limit, limit), np.clip(high, -limit, limit)
            axes.bar(place, high - low, 0.7, bottom=low, color=MODEL, alpha=0.25, linewidth=0, label=words["band"])
            axes.axhline(0, color=ACTUAL, linewidth=1.2, label=words["observed"])
            inside = np.abs(expected) <= limit
            axes.plot(place[inside], expected[inside], "o", color=MODEL, markersize=4.5, label=words["expected"])
            for side, mark in ((1, "^"), (-1, "v")):
                beyond = side * expected > limit
                axes.plot(place[beyond], np.full(beyond.sum(), side * 0.97 * limit), mark, color=MODEL, markersize=6)
            axes.set_ylim(-1.04 * limit, 1.04 * limit)
            axes.set_xticks(place[1::2], [row.purchases for row in rows][1::2])  # the last is "or more"
            axes.set_xlabel(words["axis"] if lowest else "", fontsize=10)
            _gap_axis(axes, numbers)
        legend_above(panels)

    return plot


def _over_observed(rows: Sequence[_Counted]) -> np.ndarray:
    """Expected, low and high over observed, less 1; shape (3, counts); NaN where nobody was observed."""
    observed = np.array([row.observed or np.nan for row in rows])
    values = np.array([[row.expected, row.low, row.high] for row in rows], dtype=float).T
    return np.asarray(values / observed - 1)
