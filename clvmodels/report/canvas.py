"""A figure as SVG text: laid out and drawn by one renderer, which measures a text once in a process."""

import io
from copy import copy
from functools import cache, cached_property
from importlib.resources import as_file
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis, Tick, XAxis, YAxis
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.textpath import text_to_path

from clvmodels.report.fonts import SANS, font_file

NO_LABEL = 0.0, 0.0  # where a label without letters stays


class Renderer(RendererSVG):
    """An SVG renderer for texts of one face: figures share most of their words and numbers."""

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> tuple[float, float, float]:
        """Those of a text in points."""
        if ismath:
            return super().get_text_width_height_descent(s, prop, ismath)  # type: ignore[no-any-return, no-untyped-call]
        return _measured(s, prop.get_size_in_points())

    def _get_font_height_metrics(self, prop: FontProperties) -> tuple[float, float, float]:
        """Ascent, descent and gap of a line, which matplotlib else reads from the font's file for each text."""
        size = prop.get_size_in_points()
        ascent, descent, gap = _line()
        return ascent * size, descent * size, gap * size


class Canvas(FigureCanvasSVG):
    """A canvas whose renderer is the same for the layout and for the drawing."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.text = io.StringIO()
        width, height = figure.get_size_inches() * figure.dpi
        self.renderer = Renderer(  # type: ignore[no-untyped-call]
            width, height, self.text, metadata={"Date": None, "Creator": None}
        )

    def get_renderer(self) -> Renderer:
        """The renderer that the layout measures with."""
        return self.renderer


class _Ticks(Axis):
    """An axis whose ticks are made from its first: each is five artists, which else look up their style one by one.

    There are no minor ticks until the axis has places for them.
    """

    majorTicks: list[Tick]
    minorTicks = cached_property[list[Tick]](lambda _: [])

    def get_major_ticks(self, numticks: int | None = None) -> list[Tick]:
        """The first so many ticks, by default one a place."""
        wanted = len(self.get_majorticklocs()) if numticks is None else numticks
        while len(self.majorTicks) < wanted:
            self.majorTicks.append(_like(self.majorTicks[0]))
        return self.majorTicks[:wanted]


class _XAxis(_Ticks, XAxis):
    """The axis along."""


class _YAxis(_Ticks, YAxis):
    """The axis upward."""


class Panel(Axes):
    """A panel of a figure."""

    def _init_axis(self) -> None:
        self.xaxis, self.yaxis = _XAxis(self, clear=False), _YAxis(self, clear=False)
        for name, spine in self.spines.items():
            spine.register_axis(self.xaxis if name in ("bottom", "top") else self.yaxis)


def _like(tick: Tick) -> Tick:
    """A tick that looks like another."""
    made = copy(tick)
    for part in ("tick1line", "tick2line", "gridline", "label1", "label2"):
        setattr(made, part, copy(getattr(tick, part)))
    for label in (made.label1, made.label2):
        label.set_fontproperties(label.get_fontproperties().copy())
    return made


def svg_of(figure: Figure) -> str:
    """The figure as SVG text; at 72 dots an inch, as `Canvas` measures."""
    canvas = Canvas(figure)
    for axes in figure.axes:
        _leave_empty_labels(axes)
    figure.draw(canvas.renderer)
    canvas.renderer.finalize()  # type: ignore[no-untyped-call]
    return canvas.text.getvalue()


def _leave_empty_labels(axes: Axes) -> None:
    """Labels without letters stay where they are: to find their place, ticks would be laid out once more."""
    for axis in (axes.xaxis, axes.yaxis):
        if not axis.get_label_text():
            axis.set_label_coords(*NO_LABEL)


@cache
def register_face() -> str:
    """Path of the figures' face, known to matplotlib from now on."""
    with as_file(font_file(SANS)) as path:
        fontManager.addfont(str(path))
        return str(path)


@cache
def _measured(text: str, size: float) -> tuple[float, float, float]:
    """Width, height and descent of a line of text in points."""
    return text_to_path.get_text_width_height_descent(text, FontProperties(family=SANS, size=size), ismath=False)


@cache
def _line() -> tuple[float, float, float]:
    """Ascent, descent and gap of a line of text of one point."""
    face = get_font(register_face())
    line, units = face.get_sfnt_table("OS/2"), face.get_sfnt_table("head")
    assert line is not None, "the committed face has it"
    assert units is not None, "every face has it"
    scale = 1 / units["unitsPerEm"]
    return line["sTypoAscender"] * scale, -line["sTypoDescender"] * scale, line["sTypoLineGap"] * scale
