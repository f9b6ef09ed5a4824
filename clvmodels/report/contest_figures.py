"""The figures of a contest over several data sets, drawn as the others are: see `figures`."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from clvmodels.foundation.results import (
    ActivityRow,
    CalibrationRow,
    CoverageRow,
    DecileRow,
    DriftPeriod,
    PitCheck,
    TotalCheck,
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
    mark_points,
    mark_rows,
)
from clvmodels.report.numbers import Numbers

SHAPES = (("o", MODEL), ("s", ACTUAL), ("D", MUTED), ("^", INK), ("v", MUTED))  # of horizons, the shortest first
LINES = ((MODEL, "-", 2.4), (ACTUAL, (0, (5, 2)), 1.8), (INK, (0, (1.2, 1.6)), 1.8))  # of methods told apart
FEW_ORIGINS = 3  # make no line that is seen without dots
LABEL = 20  # letters of a method's name on a line
ROW, GAP = 19.0, 9.0  # height of an interval, and between methods, in CSS pixels
Span = tuple[float, float, float]


@dataclass(frozen=True)
class ForestPanel:
    """Differences on one score.

    Attributes
    ----------
    spans : a row a method, in it one a horizon: difference, low, high; None where there is none
    settled : likewise, whether the interval leaves out zero
    rows : likewise, the row of the figure's table that has it
    """

    title: str
    methods: Sequence[str]
    spans: Sequence[Sequence[Span | None]]
    settled: Sequence[Sequence[bool]]
    rows: Sequence[Sequence[int | None]]


@dataclass(frozen=True)
class OriginsPanel:
    """A score at each origin, over one horizon: methods told apart by name, and the others."""

    title: str
    dates: Sequence[str]
    named: Mapping[str, Sequence[float | None]]
    others: Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class TotalsPanel:
    """Totals forecast at each origin, over one horizon; `rows` of the figure's table have them."""

    title: str
    dates: Sequence[str]
    checks: Sequence[TotalCheck]
    rows: Sequence[int]


@dataclass(frozen=True)
class CalibrationPanels:
    """Whether one method's forecast came true; a panel is left out where it has no rows."""

    deciles: Mapping[str, Sequence[DecileRow]]
    activity: Sequence[ActivityRow]
    coverage: Sequence[CoverageRow]
    pit: Sequence[PitCheck]
    by_cohort: Sequence[CalibrationRow]

    @property
    def count(self) -> int:
        """Number of panels."""
        return len(self.deciles) + len(self.pit) + sum(map(bool, (self.activity, self.coverage, self.by_cohort)))


def forest_sizes(panels: int, methods: int, horizons: int) -> tuple[Size, Size]:
    """All scores side by side on a desk, one below the other on a phone; as high as the methods need."""
    height = 62 + methods * (horizons * ROW * 0.62 + GAP + 8)
    return Size("wide", 720, height + 20, 1, panels), Size("narrow", 346, panels * height + 30, panels, 1)


def lines_sizes(panels: int) -> tuple[Size, Size]:
    """Panels of lines: two to a row on a desk, one on a phone."""
    columns = min(panels, 2)
    rows = -(-panels // columns)
    return Size("wide", 720, 215 * rows + 40, rows, columns), Size("narrow", 346, 190 * panels + 70, panels, 1)


def forest(panels_of_rows: Sequence[ForestPanel], horizons: Sequence[str], numbers: Numbers) -> Plot:
    """A method less each other: a dot and its interval a horizon, filled where the interval leaves out zero."""

    def plot(panels: Panels, size: Size) -> None:
        for place, (axes, whole) in enumerate(zip(panels, panels_of_rows, strict=True)):
            panel = whole if size.columns > 1 else _known_rows(whole)  # beside others a panel keeps their rows
            rows = np.arange(len(panel.methods))[::-1].astype(float)
            marked: list[tuple[tuple[float, float], int]] = []
            for at, name in enumerate(horizons):
                y = rows - (at - (len(horizons) - 1) / 2) * 0.62 / max(len(horizons), 1)
                _spans(axes, y, panel, at, name)
                marked += _rows_at(y, panel, at)
            mark_points(axes, [point for point, _ in marked], rows=[row for _, row in marked])
            axes.axvline(0, color=INK, linewidth=1)
            labels = [textwrap.fill(name, LABEL) for name in panel.methods]
            axes.set_yticks(rows, labels if place % size.columns == 0 else [""] * len(labels))
            axes.tick_params(axis="y", labelcolor=INK, labelsize=11)
            axes.set_ylim(-0.6, len(rows) - 0.4)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.significant(round(value, 9), 2)))
            axes.set_title("\n".join(textwrap.wrap(panel.title, 28)), fontsize=11.5)
            grid(axes, "x")
        legend_above(panels, columns=3)

    return plot


def _rows_at(y: np.ndarray, panel: ForestPanel, at: int) -> list[tuple[tuple[float, float], int]]:
    """Where the differences over one horizon stand, each with its row of the table."""
    found = [(place, span[at], row[at]) for place, span, row in zip(y, panel.spans, panel.rows, strict=True)]
    return [((span[0], float(place)), row) for place, span, row in found if span is not None and row is not None]


def _known_rows(panel: ForestPanel) -> ForestPanel:
    """The methods that have the score."""
    there = [at for at, spans in enumerate(panel.spans) if any(spans)]
    return ForestPanel(
        panel.title,
        methods=[panel.methods[at] for at in there],
        spans=[panel.spans[at] for at in there],
        settled=[panel.settled[at] for at in there],
        rows=[panel.rows[at] for at in there],
    )


def _spans(axes: Axes, y: np.ndarray, panel: ForestPanel, at: int, name: str) -> None:
    """Dots and intervals of one horizon; one path for all of them keeps the SVG small."""
    shape, colour = SHAPES[at % len(SHAPES)]
    spans = np.array([of[at] or (np.nan,) * 3 for of in panel.spans], dtype=float).reshape(-1, 3)
    settled = np.array([of[at] for of in panel.settled], dtype=bool)
    x = np.column_stack([spans[:, 1], spans[:, 2], np.full(len(spans), np.nan)]).ravel()
    axes.plot(x, np.repeat(y, 3), color=colour, linewidth=1.6)
    axes.plot(spans[~settled, 0], y[~settled], shape, color=colour, markersize=5, markerfacecolor="none")
    axes.plot(spans[settled, 0], y[settled], shape, color=colour, markersize=5)
    axes.plot([], [], shape, color=colour, markersize=5, label=name)


def over_origins(panels_of_lines: Sequence[OriginsPanel], other: str, numbers: Numbers) -> Plot:
    """A score at each origin: a line a method, few of them told apart."""

    def plot(panels: Panels, size: Size) -> None:
        first = 0  # rows of the table: origins of the first panel, then of the next
        for axes, panel in _used(panels, panels_of_lines):
            axes.plot(*_one_path(panel.others), color=MUTED, linewidth=0.9, alpha=0.55, label=other)
            for (name, values), (colour, dashes, width) in zip(panel.named.items(), LINES, strict=False):
                marker = "o" if len(values) <= FEW_ORIGINS else ""
                axes.plot(
                    *_one_path([values]),
                    color=colour,
                    linestyle=dashes,
                    linewidth=width,
                    marker=marker,
                    markersize=3.5,
                    label=name,
                )
            mark_rows(axes, range(len(panel.dates)), rows=range(first, first + len(panel.dates)))
            first += len(panel.dates)
            axes.set_title(panel.title, fontsize=11.5)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.significant(round(value, 9), 2)))
            dates_axis(axes, panel.dates, most=3)
            grid(axes, "y")
        legend_above(panels, columns=4 if size.name == "wide" else 2)

    return plot


def _one_path(lines: Sequence[Sequence[float | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Lines one after the other with a gap between them: one path for all keeps the SVG small."""
    x = [np.append(np.arange(len(values), dtype=float), np.nan) for values in lines]
    y = [[*(np.nan if value is None else value for value in values), np.nan] for values in lines]
    return np.concatenate([[np.nan], *x]), np.concatenate([[np.nan], *y])


def _used[T](panels: Panels, content: Sequence[T]) -> list[tuple[Axes, T]]:
    """Panels with what they show; those left over are blank."""
    for axes in panels[len(content) :]:
        axes.set_axis_off()
    return list(zip(panels, content, strict=False))


def calibration_panels(
    found: CalibrationPanels, cohorts: Sequence[str], words: Mapping[str, str], numbers: Numbers
) -> Plot:
    """Tenths by forecast, the chance of coming back, PIT, coverage and cohorts of one method, a panel each."""
    drawn: list[tuple[str, Callable[[Axes], None]]] = [
        *((f"deciles_{quantity}", _deciles(rows, first, numbers)) for quantity, first, rows in _in_turn(found.deciles)),
        *((f"pit_{check.quantity}", _pit(check, numbers)) for check in found.pit),
    ]
    if found.activity:
        drawn.append(("activity", _activity(found.activity, numbers)))
    if found.coverage:
        drawn.append(("coverage", _coverage(found.coverage, words, numbers)))
    if found.by_cohort:
        drawn.append(("cohorts", _cohorts(found.by_cohort, cohorts, numbers)))

    def plot(panels: Panels, _size: Size) -> None:
        for axes, (key, draw_panel) in _used(panels, drawn):
            draw_panel(axes)
            axes.set_title(words[key], fontsize=11)
            axes.set_xlabel(words[f"{key.split('_')[0]}_axis"], fontsize=10)
            axes.tick_params(labelsize=10)
            grid(axes, "y")

    return plot


def _in_turn(deciles: Mapping[str, Sequence[DecileRow]]) -> list[tuple[str, int, Sequence[DecileRow]]]:
    """Each quantity with the row of the figure's table at which its tenths begin, and these."""
    starts = accumulate((len(rows) for rows in deciles.values()), initial=0)
    return [(quantity, first, rows) for (quantity, rows), first in zip(deciles.items(), starts, strict=False)]


def _deciles(rows: Sequence[DecileRow], first: int, numbers: Numbers) -> Callable[[Axes], None]:
    """Forecast as a line; actual as a dot, with the interval that its bias gives it."""

    def draw_panel(axes: Axes) -> None:
        x = np.array([row.decile for row in rows])
        forecast = np.array([row.forecast for row in rows])
        low, high = (forecast - np.array([getattr(row, end) for row in rows]) for end in ("high", "low"))
        axes.plot(x, forecast, color=MODEL, linewidth=2)
        _bars(axes, x, low, high, ACTUAL)
        axes.plot(x, [row.actual for row in rows], "o", color=ACTUAL, markersize=4)
        mark_rows(axes, x, rows=range(first, first + len(rows)))
        count_axis(axes, numbers, ticks=4)
        axes.set_xticks([1, 4, 7, 10])

    return draw_panel


def _bars(axes: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """Upright intervals as one path."""
    nothing = np.full(len(x), np.nan)
    axes.plot(np.repeat(x, 3), np.column_stack([low, high, nothing]).ravel(), color=colour, linewidth=1.2)


def _pit(check: PitCheck, numbers: Numbers) -> Callable[[Axes], None]:
    """The histogram as one outline, over the band in which each bar lies if intervals hold."""

    def draw_panel(axes: Axes) -> None:
        edges = [*(bar.edge for bar in check.bins), 1.0]
        shares = [bar.share for bar in check.bins]
        axes.axhspan(check.low, check.high, color=MODEL, alpha=0.22, linewidth=0)
        axes.stairs(shares, edges, color=ACTUAL, linewidth=1.5)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(1.2 * max(shares), 1.6 * check.high))
        _shares(axes, numbers)

    return draw_panel


def _shares(axes: Axes, numbers: Numbers) -> None:
    for line in (axes.xaxis, axes.yaxis):
        line.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        line.set_major_formatter(FuncFormatter(lambda value, _: numbers.share(value)))


def _activity(rows: Sequence[ActivityRow], numbers: Numbers) -> Callable[[Axes], None]:
    """Share that came back over its mean probability, with the band of a right probability."""

    def draw_panel(axes: Axes) -> None:
        p, low, high = (np.array([getattr(row, name) for row in rows]) for name in ("probability", "low", "high"))
        top = 1.05 * max(high.max(), *(row.share for row in rows), 0.05)
        axes.plot([0, top], [0, top], color=MODEL, linewidth=1.4)
        _bars(axes, p, low, high, MODEL)
        axes.plot(p, [row.share for row in rows], "o", color=ACTUAL, markersize=4)
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        _shares(axes, numbers)

    return draw_panel


def _coverage(rows: Sequence[CoverageRow], words: Mapping[str, str], numbers: Numbers) -> Callable[[Axes], None]:
    """Share of outcomes inside, over what the interval states; a shape an outcome."""

    def draw_panel(axes: Axes) -> None:
        axes.plot([0.4, 1], [0.4, 1], color=MODEL, linewidth=1.4)
        for (shape, _), outcome in zip(SHAPES, dict.fromkeys(row.outcome for row in rows), strict=False):
            own = [row for row in rows if row.outcome == outcome]
            x = [row.probability for row in own]
            axes.plot(x, [row.covered for row in own], shape, color=ACTUAL, markersize=4.5, label=words[outcome])
        axes.set_xlim(0.4, 1)
        axes.set_ylim(min(0.4, *(row.covered for row in rows)), 1.01)
        _shares(axes, numbers)
        axes.legend(loc="lower right", frameon=False, fontsize=10, handlelength=1, borderaxespad=0)

    return draw_panel


def _cohorts(rows: Sequence[CalibrationRow], names: Sequence[str], numbers: Numbers) -> Callable[[Axes], None]:
    """Purchases a customer by cohort: expected with its interval, and actual."""

    def draw_panel(axes: Axes) -> None:
        x = np.arange(len(rows))
        low, high = (np.array([getattr(row, end) for row in rows]) for end in ("low", "high"))
        axes.fill_between(x, low, high, color=MODEL, alpha=0.22, linewidth=0)
        axes.plot(x, [row.expected for row in rows], color=MODEL, linewidth=2)
        axes.plot(x, [row.actual for row in rows], "o", color=ACTUAL, markersize=4)
        count_axis(axes, numbers, ticks=4)
        dates_axis(axes, names, most=2)

    return draw_panel


def totals(panels_of_checks: Sequence[TotalsPanel], words: Mapping[str, str], form: Callable[[float], str]) -> Plot:
    """Forecasts of the total with both kinds of interval, and what came, window by window."""

    def plot(panels: Panels, size: Size) -> None:
        for axes, panel in _used(panels, panels_of_checks):
            x = np.arange(len(panel.checks))
            for kind, shift, colour, width in (("drifting", 0.13, MODEL, 5.0), ("stationary", -0.13, MUTED, 2.0)):
                found = [getattr(check, kind) for check in panel.checks]
                ends = np.array([(of.q05, of.q95) if of else (np.nan, np.nan) for of in found], dtype=float)
                middle = np.array([of.q50 if of else np.nan for of in found], dtype=float)
                line = np.column_stack([ends, np.full(len(x), np.nan)]).ravel()
                axes.plot(np.repeat(x + shift, 3), line, color=colour, linewidth=width, alpha=0.75, label=words[kind])
                axes.plot(x + shift, middle, "_", color=colour, markersize=7)
            axes.plot(
                x, [check.actual for check in panel.checks], "D", color=ACTUAL, markersize=5, label=words["actual"]
            )
            mark_rows(axes, x, rows=panel.rows)
            axes.set_title(panel.title, fontsize=11.5)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
            axes.set_xlim(-0.6, len(x) - 0.4)
            dates_axis(axes, panel.dates, most=3)
            grid(axes, "y")
        legend_above(panels, columns=3 if size.name == "wide" else 2)

    return plot


def drift(periods: Sequence[DriftPeriod], labels: Sequence[str], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Purchases by period of the calibration, and where those of a base that buys as before lie."""

    def plot(panels: Panels, _size: Size) -> None:
        (axes,) = panels
        x = np.arange(len(periods))
        low, expected, high, actual = (
            np.array([getattr(period, name) for period in periods]) for name in ("low", "expected", "high", "actual")
        )
        axes.fill_between(x, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
        axes.plot(x, expected, color=MODEL, linewidth=2, label=words["expected"])
        axes.plot(x, actual, color=ACTUAL, linewidth=1.4, label=words["actual"])
        mark_rows(axes, x)
        count_axis(axes, numbers)
        dates_axis(axes, labels, most=4)
        legend(axes)

    return plot
