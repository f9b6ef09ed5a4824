"""A figure as SVG text: laid out and drawn by one renderer, which measures a text once in a process."""

import io
from functools import cache
from importlib.resources import as_file
from typing import Any

from matplotlib.axes import Axes
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
