"""The drawing of figures against matplotlib's own: what is saved must not be seen."""

import io
from collections.abc import Callable

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from clvmodels.report.canvas import Panel, register_face, svg_of
from clvmodels.report.figures import STYLE, grid, legend


def bars(axes: Axes) -> None:
    axes.bar(range(7), [3, 1, 4, 1, 5, 9, 2], label="how many\nfor each")
    axes.set_xticks(range(7), ["none", "one", "two", "three", "four", "five", "6 +"])
    axes.set_xlabel("purchases")
    axes.set_title("客户数 of each", pad=26)
    for label in axes.get_yticklabels():
        label.set_color("#0b0c0d")
    grid(axes, "y")
    legend(axes)


def logarithms(axes: Axes) -> None:
    axes.plot([1, 10, 1000], [2, 30, 500], "o-", alpha=0.5)
    axes.set_xscale("log")
    axes.set_yscale("symlog")
    axes.yaxis.set_major_locator(LogLocator(10))
    axes.set_ylabel("€ and more")
    axes.tick_params(labelsize=10, labelrotation=30)


def nothing(axes: Axes) -> None:
    axes.set_axis_off()


def few(axes: Axes) -> None:
    axes.fill_between([0, 1, 2], [0, 1, 0], [2, 3, 4], linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelbottom=False)
    axes.text(0.5, 0.5, "two\nlines", transform=axes.transAxes, rotation=90)


PLOTS = (bars, logarithms, nothing, few)


def figure_of(panel: type[Axes], plots: tuple[Callable[[Axes], None], ...]) -> Figure:
    figure = Figure(figsize=(10, 8), dpi=72, layout="constrained")
    panels = figure.subplots(2, 2, squeeze=False, subplot_kw={"axes_class": panel}).ravel()
    for plot, axes in zip(plots, panels, strict=True):
        plot(axes)
    return figure


@pytest.mark.parametrize("plots", [PLOTS, PLOTS[::-1]])
def test_a_figure_is_the_one_that_matplotlib_draws(plots: tuple[Callable[[Axes], None], ...]) -> None:
    register_face()
    target = io.StringIO()
    with mpl.rc_context(STYLE):
        FigureCanvasSVG(figure_of(Axes, plots)).print_svg(target, metadata={"Date": None, "Creator": None})
        own = svg_of(figure_of(Panel, plots))
    assert own == target.getvalue()


def test_a_title_stands_where_matplotlib_would_look_for_room() -> None:
    register_face()
    with mpl.rc_context(STYLE):
        own = svg_of(figure_of(Panel, PLOTS))
    with mpl.rc_context({**STYLE, "axes.titley": None}):
        assert svg_of(figure_of(Panel, PLOTS)) == own
