"""The figure of the drift check, drawn as the others are: see `figures`."""

from collections.abc import Mapping, Sequence

import numpy as np

from clvmodels.foundation.results import DriftPeriod
from clvmodels.report.figures import ACTUAL, MODEL, Panels, Plot, Size, count_axis, dates_axis, legend, mark_rows
from clvmodels.report.numbers import Numbers


def drift(periods: Sequence[DriftPeriod], labels: Sequence[str], words: Mapping[str, str], numbers: Numbers) -> Plot:
    """Repeat purchases of each period: actual, what the model expects, and where its own bases lie."""

    def plot(panels: Panels, size: Size) -> None:
        (axes,) = panels
        place = np.arange(len(periods))
        low, high, expected, actual = (
            [getattr(period, name) for period in periods] for name in ("low", "high", "expected", "actual")
        )
        axes.fill_between(place, low, high, color=MODEL, alpha=0.22, linewidth=0, label=words["band"])
        axes.plot(place, expected, color=MODEL, linewidth=2.2, label=words["expected"])
        axes.plot(place, actual, color=ACTUAL, linewidth=1.4, label=words["actual"])
        mark_rows(axes, place)
        count_axis(axes, numbers)
        dates_axis(axes, labels, most=8 if size.name == "wide" else 4)
        axes.set_title(words["title"], pad=26 if size.name == "wide" else 44)
        legend(axes, columns=3 if size.name == "wide" else 2)

    return plot
