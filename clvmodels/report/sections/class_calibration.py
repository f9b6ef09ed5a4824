"""Did probabilities of types, of tiers and of a purchase come true? Customers by what was stated, and what came."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import ClassCalibrationRow
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.sections.parts import ALL, class_names, figure_of, ratio, table_of
from clvmodels.report.tables import Figure, csv_link
from clvmodels.report.voice import LEVEL, Source, Voice


@dataclass(frozen=True)
class _Held:
    """What is held against the holdout: "cell", "tier" or "bought", its groups, and the names of its classes."""

    key: str
    rows: Sequence[ClassCalibrationRow]
    names: Mapping[str, str]

    @property
    def classes(self) -> list[str]:
        """The classes that have groups, all together last."""
        return [key for key in self.names if any(row.cell == key for row in self.rows)]


def class_calibration(source: Source, voice: Voice) -> dict[str, Any] | None:
    """What was asked, and in parts what came of it, each with its figure."""
    classes = source.results.classes
    if classes is None or not classes.calibration:
        return None
    names, numbers = class_names(source.results, voice), voice.numbers
    told = {ALL: names[ALL]}
    parts = (
        _Held("cell", classes.calibration, {key: names[key] for key in (*CELL_ORDER, ALL) if key in names}),
        _Held("tier", classes.tier_calibration, {**voice.words.at("pyramid.tiers"), **told}),
        _Held("bought", classes.bought_calibration, {"bought": voice.text("class_calibration.bought")}),
    )
    days = {"date": numbers.date(classes.calibration_end), "end": numbers.date(source.results.data.holdout_end)}
    return {"parts": [_part(held, days, voice) for held in parts if held.rows]}


def _part(held: _Held, days: Mapping[str, str], voice: Voice) -> dict[str, Any]:
    return {
        "heading": voice.text(f"class_calibration.heading_{held.key}"),
        "intro": voice.say(f"class_calibration.intro_{held.key}", **days),
        "verdict": _verdict(held, voice),
        "figure": _figure(held, voice),
    }


def _verdict(held: _Held, voice: Voice) -> Markup:
    """Whether shares lie where probabilities put them, and the group farthest off, by all classes together."""
    together = [row for row in held.rows if row.cell == ALL] or list(held.rows)
    inside = [row for row in together if _inside(row)]
    worst = max(together, key=lambda row: abs(row.share - row.stated))
    holds = (ratio(len(inside), len(together)) or 0.0) >= LEVEL - 0.15
    return voice.say(
        "class_calibration.holds" if holds else "class_calibration.fails",
        inside=voice.count(len(inside)),
        count=voice.count(len(together)),
        stated=voice.numbers.share(worst.stated),
        share=voice.numbers.share(worst.share),
        customers=voice.count(worst.customers),
        pairs=voice.text(f"class_calibration.pairs_{held.key}"),
        level=voice.level,
    )


def _inside(row: ClassCalibrationRow) -> bool:
    return row.share_low <= row.share <= row.share_high


def _caption(held: _Held, voice: Voice) -> Markup:
    rows = [row for row in held.rows if row.cell != ALL] or held.rows
    outside = Counter(row.cell for row in rows if not _inside(row))
    worst, most = outside.most_common(1)[0] if outside else (rows[0].cell, 0)
    key = "caption_all" if not outside else "caption" if len(held.names) > 1 else "caption_one"
    return voice.say(
        f"class_calibration.{key}",
        each=voice.text(f"class_calibration.each_{held.key}"),
        inside=voice.count(sum(map(_inside, rows))),
        count=voice.count(len(rows)),
        level=voice.level,
        worst=held.names.get(worst, worst),
        outside=voice.count(most),
    )


def _figure(held: _Held, voice: Voice) -> Figure:
    share, rows = voice.numbers.share, held.rows
    panels = [
        decision_figures.LandedPanel(
            key,
            held.names[key],
            {at: (r.stated, r.share, r.share_low, r.share_high) for at, r in enumerate(rows) if r.cell == key},
        )
        for key in held.classes
    ]
    words = {
        "band": str(voice.say("class_calibration.figure_band", level=voice.level)),
        "landed": voice.text(f"class_calibration.figure_{held.key}"),
    }
    body = (
        (
            held.names.get(row.cell, row.cell),
            voice.numbers.span(row.low, row.high, share),
            voice.count(row.customers),
            share(row.stated),
            share(row.share),
            voice.numbers.span(row.share_low, row.share_high, share),
        )
        for row in rows
    )
    heads = (held.key, "band", "customers", "stated", f"came_{held.key}", "range")
    one = len(panels) == 1
    return figure_of(
        f"{held.key}-calibration",
        decision_figures.landed(panels, words, voice.numbers),
        figures.sizes(1, height=300, narrow_height=280) if one else figures.small_sizes(len(panels)),
        alt=voice.say(f"class_calibration.alt_{held.key}"),
        caption=_caption(held, voice),
        table=table_of("class_calibration", heads, body, voice, words=2),
        csv=csv_link(rows),
    )
