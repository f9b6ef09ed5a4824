"""The figure of a calibration for the docs, from the ranks that `clvmodels sbc --output` stored.

    python scripts/sbc_figure.py docs/sbc/bg_nbd_laplace docs/sbc_bg_nbd.svg

Each panel shows how far the ECDF of the ranks of one quantity is from that of uniform ranks, with the
band that uniform ranks stay within, at all places, with a chance of 1 - .05 / quantities.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clvmodels.evaluation.ranks import ecdf_band
from clvmodels.evaluation.sbc import Calibration, read_calibration

INK, BAND, LINE, OUTSIDE = "#333333", "#dfe3e8", "#1f5fa8", "#c0392b"
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "clvmodels", "font.size": 10.0, "font.family": ["sans-serif"]}
COLUMNS = 4


def panel(axes: Axes, calibration: Calibration, quantity: str) -> None:
    """One quantity: its ECDF less the uniform one, and the band."""
    draws = calibration.experiment.draws
    ranks = calibration.ranks(quantity)
    z, low, high = ecdf_band(len(ranks), draws, level=calibration.level)
    below = np.array([np.mean(ranks < place) for place in np.rint(z * (draws + 1))])
    inside = bool(((below >= low) & (below <= high)).all())
    axes.fill_between(z, low - z, high - z, color=BAND, linewidth=0)
    axes.plot(z, below - z, color=LINE if inside else OUTSIDE, linewidth=1.4)
    axes.axhline(0.0, color=INK, linewidth=0.6)
    axes.set_title(quantity.replace("_", " "), fontsize=10, loc="left", color=INK)
    axes.set_xticks([0, 0.5, 1])
    axes.spines[["top", "right"]].set_visible(False)


def figure(calibration: Calibration) -> Figure:
    """A panel a quantity, on one scale."""
    quantities = calibration.quantities
    rows = -(-len(quantities) // COLUMNS)
    drawn = Figure(figsize=(9.6, 2.1 * rows + 0.5), layout="constrained")
    grid = drawn.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes, quantity in zip(grid.flat, quantities, strict=False):
        panel(axes, calibration, quantity)
    for axes in grid.flat[len(quantities) :]:
        axes.set_visible(False)
    drawn.supxlabel("rank of the true value among the draws, as a share", fontsize=10)
    drawn.supylabel("ECDF less uniform", fontsize=10)
    return drawn


def main() -> None:
    """Draw one calibration."""
    parser = argparse.ArgumentParser(description="The figure of a calibration, from its stored ranks.")
    parser.add_argument("folder", type=Path, help="what `clvmodels sbc --output` wrote")
    parser.add_argument("target", type=Path, help="SVG file")
    arguments = parser.parse_args()
    with mpl.rc_context(STYLE):
        figure(read_calibration(arguments.folder)).savefig(arguments.target, metadata={"Date": None})


if __name__ == "__main__":
    main()
