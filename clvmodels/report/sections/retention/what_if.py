"""What fewer defections would add to the value of the base."""

from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.retention_results import RetentionResults
from clvmodels.report import figures, retention_figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.retention.who_stays import whole_base
from clvmodels.report.sections.retention.wording import heads, segment_name, share, told
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import RetentionSource, Voice

IN_FULL = 100_000.0  # amounts from here on are shortened on an axis


def what_if(source: RetentionSource, voice: Voice) -> dict[str, Any]:
    """The assumption, the result in all, the figure by segment."""
    results, numbers, form = source.results, voice.numbers, share(voice)
    whole = whole_base(results)
    return {
        "intro": voice.say("what_if.intro", setting=_setting(results, voice)),
        "result": voice.say(
            "what_if.result",
            change=numbers.compact(middle(whole.change)),
            range=numbers.interval(whole.change, numbers.compact),
            relative=form(middle(whole.relative)),
            relative_range=numbers.interval(whole.relative, form),
        ),
        "figure": _figure(results, voice),
    }


def _setting(results: RetentionResults, voice: Voice) -> str:
    return voice.numbers.setting(results.study.fewer_defections)


def _figure(results: RetentionResults, voice: Voice) -> Figure:
    rows = results.worth
    titles = [voice.text("what_if.change"), voice.text("what_if.relative")]
    names = {place: segment_name(row.segment, voice) for place, row in enumerate(rows)}
    estimates = [[row.change for row in rows], [row.relative for row in rows]]
    forms = [_money_axis(results, voice), lambda value: voice.numbers.share(value, 1)]
    plot = retention_figures.what_if(titles, names, estimates, forms)
    height = 95 + 34 * len(rows)
    wide, narrow = figures.draw(
        "what-if",
        voice.say("what_if.alt", setting=_setting(results, voice)),
        plot,
        figures.sizes(2, height=height, narrow_height=height),
    )
    parts = ("equity", "change", "relative")
    csv = csv_of(
        ["segment", *(f"{part}_{number}" for part in parts for number in ("mean", "q05", "q95"))],
        (
            [row.segment, *(n for e in (row.equity, row.change, row.relative) for n in (e.mean, e.q05, e.q95))]
            for row in rows
        ),
    )
    return Figure("what-if", wide, narrow, _caption(results, voice), _table(results, voice), csv)


def _money_axis(results: RetentionResults, voice: Voice) -> Callable[[float], str]:
    """Amounts in full below a limit, shortened above it: never both on one axis."""
    if max(row.change.q95 or 0.0 for row in results.worth) >= IN_FULL:
        return voice.numbers.axis_money
    return lambda value: voice.numbers.axis_pattern.format(number=voice.numbers.decimal(value))


def _caption(results: RetentionResults, voice: Voice) -> Markup:
    """Where it does most in proportion, where intervals settle that."""
    rows = [row for row in results.worth if row.segment] or results.worth
    ordered = sorted(rows, key=lambda row: middle(row.relative) or 0.0)
    least, most = ordered[0], ordered[-1]
    apart = (most.relative.q05 or 0.0) > (least.relative.q95 or 0.0)
    return voice.say(
        "what_if.caption_most" if apart else "what_if.caption_alike" if len(rows) > 1 else "what_if.caption_one",
        setting=_setting(results, voice),
        most=segment_name(most.segment, voice),
        most_share=share(voice)(middle(most.relative)),
        least=segment_name(least.segment, voice),
        least_share=share(voice)(middle(least.relative)),
    )


def _table(results: RetentionResults, voice: Voice) -> Table:
    cell = voice.numbers.cell
    rows = tuple(
        (
            segment_name(row.segment, voice),
            told(row.equity, cell, voice),
            told(row.change, cell, voice),
            told(row.relative, share(voice), voice),
        )
        for row in results.worth
    )
    texts = heads("what_if", ("segment", "equity", "change", "relative"), voice)
    return Table(voice.text("what_if.table"), columns(*texts), rows)
