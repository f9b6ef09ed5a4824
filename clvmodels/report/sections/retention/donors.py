"""Donors of one year: who gives again, how often, and how many are left in the coming years."""

from typing import Any

from markupsafe import Markup

from clvmodels.foundation.retention_results import DonorRow, DonorSection
from clvmodels.report import figures, retention_figures
from clvmodels.report.retention_figures import HeatMap
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.models import fits_side_by_side
from clvmodels.report.sections.retention.wording import heads, plain, sentences, share, told
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import RetentionSource, Voice


def donors(source: RetentionSource, voice: Voice) -> dict[str, Any] | None:
    """The total to come, a heat map of donors by their past, donors alive, the fit; None without donors."""
    section = source.results.donors
    if section is None:
        return None
    title = voice.say("donors.fit", source=section.source)
    return {
        "intro": voice.say(
            "donors.intro",
            donors=voice.count(section.donors),
            years=voice.length(section.years),
            source=section.source,
        ),
        "total": voice.say(
            "donors.total",
            total=voice.count(middle(section.donations)),
            range=voice.counts_between(section.donations),
            level=voice.level,
            horizon=voice.length(section.horizon),
        ),
        "map": _map(section, voice) if section.rows else None,
        "alive": _alive(section, voice) if len(section.active) > 1 else None,
        "fit": fits_side_by_side([section.fit], title, voice),
    }


def _map(section: DonorSection, voice: Voice) -> Figure:
    by_past = {(row.frequency, row.recency): row for row in section.rows}
    most = range(section.years, -1, -1)
    when = range(section.years + 1)

    def table_of(form: Any) -> list[list[Any]]:
        return [[form(by_past.get((frequency, recency))) for recency in when] for frequency in most]

    heat = HeatMap(
        rows=[str(frequency) for frequency in most],
        columns=[str(recency) for recency in when],
        values=table_of(lambda row: None if row is None else middle(row.donations) or 0.0),
        texts=table_of(lambda row: "" if row is None else voice.numbers.decimal(middle(row.donations), 1)),
        notes=table_of(lambda row: "" if row is None else voice.count(row.donors)),
        said=table_of(lambda row: "" if row is None else _donors_told(row, voice)),
        top=max(middle(row.donations) or 0.0 for row in section.rows),
    )
    words = {"x": voice.text("donors.axis_recency"), "y": voice.text("donors.axis_frequency")}
    alt = voice.say("donors.alt_map", horizon=voice.length(section.horizon))
    both = retention_figures.heat_sizes(len(heat.rows), 42)
    wide, narrow = figures.draw("donors", alt, retention_figures.heat(heat, words), both)
    csv = csv_of(
        ["frequency", "recency", "donors", "p_alive", "donations", "donations_q05", "donations_q95"],
        (
            [r.frequency, r.recency, r.donors, r.p_alive.mean, r.donations.mean, r.donations.q05, r.donations.q95]
            for r in section.rows
        ),
    )
    return Figure("donors", wide, narrow, _map_caption(section, voice), _map_table(section, voice), csv)


def _donors_told(row: DonorRow, voice: Voice) -> str:
    count, donations = voice.count(row.donors), voice.numbers.decimal(middle(row.donations), 2)
    return plain(voice.say("donors.told", donors=count, donations=donations))


def _expected(row: DonorRow) -> float:
    return middle(row.donations) or 0.0


def _map_caption(section: DonorSection, voice: Voice) -> Markup:
    """The donors who promise most and least, and whether having given often helps those who have fallen silent."""
    best, worst = max(section.rows, key=_expected), min(section.rows, key=_expected)
    said = voice.say(
        "donors.caption_map",
        best=_past(best, voice),
        worst=_past(worst, voice),
        horizon=voice.length(section.horizon),
    )
    silent = _silent(section)
    if silent is None:
        return said
    often, seldom = silent
    return sentences([said, voice.say("donors.silent", often=_past(often, voice), seldom=_past(seldom, voice))], voice)


def _past(row: DonorRow, voice: Voice) -> Markup:
    return voice.say(
        ("donors.past_none", "donors.past_once")[row.frequency] if row.frequency < 2 else "donors.past",
        frequency=voice.count(row.frequency),
        recency=voice.count(row.recency),
        donations=voice.numbers.decimal(_expected(row), 1),
    )


def _silent(section: DonorSection) -> tuple[DonorRow, DonorRow] | None:
    """Of donors silent since the same year, those who gave most often and those who gave least, if these promise more.

    The year is the one where the two differ most.
    """
    by_last: dict[int, list[DonorRow]] = {}
    for row in section.rows:
        if 0 < row.recency < section.years:
            by_last.setdefault(row.recency, []).append(row)
    ends = [
        (max(rows, key=lambda row: row.frequency), min(rows, key=lambda row: row.frequency))
        for rows in by_last.values()
    ]
    often, seldom = max(ends, key=lambda pair: _expected(pair[1]) - _expected(pair[0]), default=(None, None))
    if often is None or seldom is None or _expected(seldom) <= _expected(often):
        return None
    return often, seldom


def _map_table(section: DonorSection, voice: Voice) -> Table:
    form = share(voice)
    rows = tuple(
        (
            voice.count(row.frequency),
            voice.count(row.recency),
            voice.count(row.donors),
            told(row.p_alive, form, voice),
            told(row.donations, lambda value: voice.numbers.decimal(value, 2), voice),
        )
        for row in sorted(section.rows, key=lambda row: (-row.frequency, -row.recency))
    )
    texts = heads("donors", ("frequency", "recency", "donors", "alive", "donations"), voice)
    return Table(voice.text("donors.table_map"), columns(*texts), rows)


def _alive(section: DonorSection, voice: Voice) -> Figure:
    words = {
        "expected": voice.text("donors.expected"),
        "band": str(voice.say("retention_terms.band", level=voice.level)),
        "x": voice.text("donors.axis_years"),
    }
    now, end = section.active[0], section.active[-1]
    length = voice.length(len(section.active) - 1)
    caption = voice.say(
        "donors.caption_alive",
        donors=voice.count(section.donors),
        now=voice.count(middle(now)),
        now_range=voice.counts_between(now),
        end=voice.count(middle(end)),
        end_range=voice.counts_between(end),
        length=length,
    )
    both = figures.sizes(1, height=270, narrow_height=230)
    plot = retention_figures.over_years(section.active, words, voice.numbers)
    wide, narrow = figures.draw("donors-alive", voice.say("donors.alt_alive", length=length), plot, both)
    rows = tuple((str(year), told(count, voice.count, voice)) for year, count in enumerate(section.active))
    table = Table(voice.text("donors.table_alive"), columns(*heads("donors", ("year", "active"), voice)), rows)
    csv = csv_of(
        ["year", "mean", "q05", "q95"], ([year, e.mean, e.q05, e.q95] for year, e in enumerate(section.active))
    )
    return Figure("donors-alive", wide, narrow, caption, table, csv)
