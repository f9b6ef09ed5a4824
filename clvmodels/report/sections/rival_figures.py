"""Pictures of models side by side: tracking, running sums, and customers by number of purchases, a panel a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import RivalRow, TrackingPoint
from clvmodels.report import figures
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import Voice

Tracked = Mapping[str, Sequence[TrackingPoint]]


@dataclass(frozen=True)
class TrackingRecord:
    """Purchases of a period, or up to its end, by one model, as the CSV beside the figure has it."""

    model: str
    end: str
    holdout: bool
    actual: float
    expected: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CountRecord:
    """Customers with so many purchases: observed, and by one model."""

    model: str
    purchases: str
    observed: float
    expected: float | None
    low: float | None
    high: float | None


def rival_name(model: str, voice: Voice) -> str:
    """The reader's name of a model."""
    return voice.words.name("rivals.models", model)


def rival_names(models: Sequence[str], voice: Voice) -> str:
    """Names of models as a list in words."""
    return voice.numbers.listed([rival_name(model, voice) for model in models])


def rival_figures(rows: Sequence[RivalRow], voice: Voice) -> list[Figure]:
    """Tracking by period and as a running sum; customers by purchases in the calibration and in the holdout."""
    tracked = {row.model: row.tracking for row in rows if row.tracking}
    calibration = [
        CountRecord(row.model, found.group, found.observed, found.median, found.low, found.high)
        for row in rows
        for found in row.replicated
    ]
    holdout = [
        CountRecord(row.model, found.count, float(found.actual), found.expected, found.low, found.high)
        for row in rows
        for found in row.counts
    ]
    made = [_weekly(tracked, voice), _running(tracked, voice)] if tracked else []
    counts = {"calibration": calibration, "holdout": holdout}
    return made + [_counts(window, records, voice) for window, records in counts.items() if records]


def _weekly(tracked: Tracked, voice: Voice) -> Figure:
    """Purchases a period, a panel a model."""
    unit = voice.text(f"units.{voice.unit}.each")
    inside = {model: _share_inside(points) for model, points in tracked.items()}
    best, worst = max(inside, key=lambda key: inside[key]), min(inside, key=lambda key: inside[key])
    caption = voice.say(
        "rivals.caption_weekly" if inside[best] > inside[worst] else "rivals.caption_weekly_alike",
        unit=unit,
        level=voice.level,
        best=rival_name(best, voice),
        best_share=voice.numbers.share(inside[best]),
        worst=rival_name(worst, voice),
        worst_share=voice.numbers.share(inside[worst]),
    )
    words = {
        "actual": voice.text("evidence.track_actual"),
        "expected": voice.text("evidence.track_expected"),
        "band": str(voice.say("evidence.track_band", level=voice.level)),
    }
    labels = [voice.numbers.month(point.end) for point in next(iter(tracked.values()))]
    panels = {rival_name(model, voice): points for model, points in tracked.items()}
    plot = figures.rival_tracking(panels, labels, words, voice.numbers)
    alt = str(voice.say("rivals.alt_weekly", unit=unit, models=rival_names(list(tracked), voice)))
    table = _tracking_table(tracked, "expected", voice.text("rivals.table_weekly"), voice)
    return _drawn("rivals-weekly", alt, plot, len(tracked), caption, table, _tracking_records(tracked))


def _share_inside(points: Sequence[TrackingPoint]) -> float:
    banded = [point for point in points if point.low is not None and point.high is not None]
    inside = sum(point.low <= point.actual <= point.high for point in banded)  # type: ignore[operator]
    return inside / len(banded) if banded else 0.0


def _running(tracked: Tracked, voice: Voice) -> Figure:
    """How far the running sum of the forecast is from that of what came, as a share of its end."""
    gaps = {model: _running_gap(points) for model, points in tracked.items()}
    ends = {model: values[-1] for model, values in gaps.items()}
    nearest = min(ends, key=lambda key: abs(ends[key]))
    farthest = max(ends, key=lambda key: abs(ends[key]))
    caption = voice.say(
        "rivals.caption_running",
        nearest=rival_name(nearest, voice),
        nearest_gap=voice.numbers.share(abs(ends[nearest]), 1),
        farthest=rival_name(farthest, voice),
        farthest_gap=voice.numbers.share(abs(ends[farthest]), 1),
    )
    points = next(iter(tracked.values()))
    labels = [voice.numbers.month(point.end) for point in points]
    start = next((place for place, point in enumerate(points) if point.holdout), len(points))
    panels = {rival_name(model, voice): values for model, values in gaps.items()}
    words = {key: voice.text(f"rivals.{key}") for key in ("this_model", "other_models", "what_came")}
    plot = figures.rival_gaps(panels, labels, start, words, voice.numbers)
    alt = str(voice.say("rivals.alt_running", models=rival_names(list(tracked), voice)))
    table = _tracking_table(tracked, "cumulative_expected", voice.text("rivals.table_running"), voice)
    return _drawn("rivals-running", alt, plot, len(tracked), caption, table, _tracking_records(tracked, "cumulative_"))


def _running_gap(points: Sequence[TrackingPoint]) -> list[float]:
    end = points[-1].cumulative_actual or 1.0
    return [(point.cumulative_expected - point.cumulative_actual) / end for point in points]


def _tracking_records(tracked: Tracked, prefix: str = "") -> list[TrackingRecord]:
    names = ("actual", "expected", "low", "high")
    return [
        TrackingRecord(model, point.end, point.holdout, *(getattr(point, prefix + name) for name in names))
        for model, points in tracked.items()
        for point in points
    ]


def _tracking_table(tracked: Tracked, field: str, label: str, voice: Voice) -> Table:
    """Periods in rows: what came, and what each model said."""
    series = list(tracked.values())
    actual = "cumulative_actual" if field.startswith("cumulative") else "actual"
    heads = [voice.text("evidence.head_period"), voice.text("evidence.head_actual")]
    heads += [rival_name(model, voice) for model in tracked]
    body = tuple(
        (
            voice.numbers.short_date(period[0].end),
            voice.count(getattr(period[0], actual)),
            *(voice.count(getattr(point, field)) for point in period),
        )
        for period in zip(*series, strict=True)
    )
    return Table(label, columns(*heads), body)


def _counts(window: str, records: Sequence[CountRecord], voice: Voice) -> Figure:
    """Customers by number of purchases: the model's against those observed, as a share."""
    models = list(dict.fromkeys(record.model for record in records))
    panels = {rival_name(model, voice): [r for r in records if r.model == model] for model in models}
    inside = {name: sum(map(_is_inside, rows)) for name, rows in panels.items()}
    best, worst = max(inside, key=lambda key: inside[key]), min(inside, key=lambda key: inside[key])
    caption = voice.say(
        f"rivals.caption_{window}",
        count=voice.count(len(panels[best])),
        level=voice.level,
        best=best,
        best_inside=voice.count(inside[best]),
        worst=worst,
        worst_inside=voice.count(inside[worst]),
    )
    words = {
        "band": str(voice.say("evidence.track_band", level=voice.level)),
        "expected": voice.text("rivals.this_model"),
        "observed": voice.text("rivals.what_came"),
        "axis": voice.text(f"rivals.axis_{window}"),
    }
    plot = figures.rival_counts(panels, words, voice.numbers)
    alt = str(voice.say(f"rivals.alt_{window}", models=voice.numbers.listed(list(panels))))
    table = _counts_table(window, panels, voice)
    return _drawn(f"rivals-{window}", alt, plot, len(panels), caption, table, records)


def _is_inside(record: CountRecord) -> bool:
    return record.low is not None and record.high is not None and record.low <= record.observed <= record.high


def _counts_table(window: str, panels: Mapping[str, Sequence[CountRecord]], voice: Voice) -> Table:
    """Numbers of purchases in rows: the share of customers observed, and by each model."""
    first = next(iter(panels.values()))
    everybody = sum(record.observed for record in first) or 1.0

    def share(value: float | None) -> str:
        return voice.numbers.share(None if value is None else value / everybody, 1)

    heads = [voice.text(f"rivals.axis_{window}"), voice.text("rivals.head_observed"), *panels]
    body = tuple(
        (same[0].purchases, share(same[0].observed), *(share(record.expected) for record in same))
        for same in zip(*panels.values(), strict=True)
    )
    return Table(voice.text(f"rivals.table_{window}_counts"), columns(*heads), body)


def _drawn(
    key: str, alt: str, plot: figures.Plot, panels: int, caption: Markup, table: Table, records: Sequence[Any]
) -> Figure:
    wide, narrow = figures.draw(key, alt, plot, figures.small_sizes(panels))
    return Figure(key, wide, narrow, caption, table, csv_link(records))
