"""Do the matrix's probabilities hold? Customers by stated probability, and how many landed in the cell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import ClassCalibrationRow
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.sections.parts import ALL, class_names, figure_of, ratio, table_of
from clvmodels.report.tables import Figure, csv_link
from clvmodels.report.voice import LEVEL, Source, Voice

PANELS = (*CELL_ORDER, ALL)


def class_calibration(source: Source, voice: Voice) -> dict[str, Any] | None:
    """What was asked, what came, and the figure by cell."""
    classes = source.results.classes
    if classes is None or not classes.calibration:
        return None
    numbers, names = voice.numbers, class_names(source.results, voice)
    return {
        "intro": voice.say(
            "class_calibration.intro",
            date=numbers.date(classes.calibration_end),
            end=numbers.date(source.results.data.holdout_end),
        ),
        "verdict": _verdict(classes.calibration, voice),
        "figure": _figure(classes.calibration, names, voice),
    }


def _verdict(rows: Sequence[ClassCalibrationRow], voice: Voice) -> Markup:
    """Whether shares lie where probabilities put them, and the group farthest off, by all types together."""
    together = [row for row in rows if row.cell == ALL] or list(rows)
    inside = [row for row in together if _inside(row)]
    worst = max(together, key=lambda row: abs(row.share - row.stated))
    held = (ratio(len(inside), len(together)) or 0.0) >= LEVEL - 0.15
    return voice.say(
        "class_calibration.holds" if held else "class_calibration.fails",
        inside=voice.count(len(inside)),
        count=voice.count(len(together)),
        stated=voice.numbers.share(worst.stated),
        share=voice.numbers.share(worst.share),
        customers=voice.count(worst.customers),
        level=voice.level,
    )


def _inside(row: ClassCalibrationRow) -> bool:
    return row.share_low <= row.share <= row.share_high


def _caption(rows: Sequence[ClassCalibrationRow], names: Mapping[str, str], voice: Voice) -> Markup:
    outside = Counter(row.cell for row in rows if not _inside(row))
    worst, most = outside.most_common(1)[0] if outside else (rows[0].cell, 0)
    return voice.say(
        "class_calibration.caption" if outside else "class_calibration.caption_all",
        inside=voice.count(sum(map(_inside, rows))),
        count=voice.count(len(rows)),
        level=voice.level,
        worst=names.get(worst, worst),
        outside=voice.count(most),
    )


def _figure(rows: Sequence[ClassCalibrationRow], names: Mapping[str, str], voice: Voice) -> Figure:
    share = voice.numbers.share
    cells = [key for key in PANELS if any(row.cell == key for row in rows)]
    panels = {
        names.get(key, key): [(row.stated, row.share, row.share_low, row.share_high) for row in rows if row.cell == key]
        for key in cells
    }
    colours = {names.get(key, key): colour for key, colour in figures.CELL_COLOURS.items()}
    words = {
        "band": str(voice.say("class_calibration.figure_band", level=voice.level)),
        "landed": voice.text("class_calibration.figure_landed"),
    }
    body = (
        (
            names.get(row.cell, row.cell),
            voice.numbers.span(row.low, row.high, share),
            voice.count(row.customers),
            share(row.stated),
            share(row.share),
            voice.numbers.span(row.share_low, row.share_high, share),
        )
        for row in rows
    )
    heads = ("type", "band", "customers", "stated", "landed", "range")
    return figure_of(
        "class-calibration",
        decision_figures.landed(panels, colours, words, voice.numbers),
        figures.small_sizes(len(cells)),
        alt=voice.say("class_calibration.alt"),
        caption=_caption([row for row in rows if row.cell != ALL] or rows, names, voice),
        table=table_of("class_calibration", heads, body, voice, words=2),
        csv=csv_link(rows),
    )
