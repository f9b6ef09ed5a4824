"""Data against replications: whether a model reproduces the data it learnt from, and what a miss means."""

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import PredictiveCheckTable, ReplicatedRow, StudyResults
from clvmodels.report import figures
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import LEVEL, Source, Voice

Form = Callable[[float | None], str]
Miss = tuple[str, str, str]  # quantity, group, "above" or "below"

NAMED = 3  # misses that are told in words; the table has all
SMALL = 0.05  # a gap that a decision hardly feels
PANELS = {  # quantities that a figure shows, by model family
    "purchases": ("customers", "last_purchase"),
    "spend": ("mean", "median", "sd", "q95"),
}

# What a miss means for a reader, by what missed; each has its text.
MEANINGS: dict[str, frozenset[Miss]] = {
    "more_stay_away": frozenset({("customers", "0", "above")}),
    "more_come_back": frozenset({("customers", "0", "below")}),
    "split_by_repeats": frozenset(
        ("customers", group, side) for group in ("1", "2", "3", "4", "5", "6") for side in ("above", "below")
    ),
    "more_frequent": frozenset({("customers", "7+", "above")}),
    "fewer_frequent": frozenset({("customers", "7+", "below")}),
    "busiest_beyond": frozenset({("largest_frequency", "all", "above")}),
    "busiest_short": frozenset({("largest_frequency", "all", "below")}),
    "stopped_early": frozenset({("last_purchase", "1", "above")}),
    "kept_on": frozenset({("last_purchase", "1", "below")}),
    "longer_silence": frozenset({("silence", "all", "above"), ("last_purchase", "5", "below")}),
    "shorter_silence": frozenset({("silence", "all", "below"), ("last_purchase", "5", "above")}),
    "spend_rises": frozenset({("mean", "4+", "above"), ("mean", "1", "below")}),
    "spend_falls": frozenset({("mean", "4+", "below"), ("mean", "1", "above")}),
    "typical_lower": frozenset({("median", "all", "below")}),
    "typical_higher": frozenset({("median", "all", "above")}),
    "larger_baskets": frozenset({("q95", "all", "above"), ("largest_spend", "all", "above")}),
    "smaller_baskets": frozenset({("q95", "all", "below"), ("largest_spend", "all", "below")}),
}


def predictive(source: Source, voice: Voice) -> dict[str, Any]:
    """For each model: the finding, the largest misses and what they mean, a figure with its table."""
    results = source.results
    return {
        "intro": _intro(results, voice) if results.predictive else voice.text("predictive.none"),
        "tables": [_check(table, voice) for table in results.predictive if table.rows],
    }


def _intro(results: StudyResults, voice: Voice) -> Markup:
    return voice.say(
        "predictive.intro",
        date=voice.numbers.date(results.value.as_of),
        replicates=voice.count(min(table.replicates for table in results.predictive)),
        level=voice.level,
    )


def _check(table: PredictiveCheckTable, voice: Voice) -> dict[str, Any]:
    misses = [row for row in table.rows if row.outside]
    ordered = sorted(misses, key=lambda row: -abs(_gap(row)))
    family = "spend" if table.rows[0].aspect == "spend" else "purchases"
    return {
        "title": voice.words.name("models_named", table.model),
        "verdict": _verdict(table, misses, voice),
        "misses": [_miss(row, voice) for row in ordered[:NAMED]],
        "more": _more(ordered, voice),
        "heading": voice.text("predictive.what_it_means" if _beyond_chance(table) else "predictive.what_it_would_mean"),
        "meanings": _meanings(ordered, voice),
        "figure": _figure(family, table, voice),
    }


def _beyond_chance(table: PredictiveCheckTable) -> bool:
    """Whether more quantities are missed than intervals of that probability leave out."""
    return sum(row.outside for row in table.rows) > round((1 - LEVEL) * len(table.rows), 9)


def _gap(row: ReplicatedRow) -> float:
    """By what share of the middle replication the data lie above (or, negative, below) it."""
    return row.observed / row.median - 1 if row.median else 0.0


def _side(row: ReplicatedRow) -> str:
    return "above" if _gap(row) >= 0 else "below"


def _verdict(table: PredictiveCheckTable, misses: Sequence[ReplicatedRow], voice: Voice) -> Markup:
    some = "some_outside" if _beyond_chance(table) else "few_outside"
    return voice.say(
        f"predictive.{some}" if misses else "predictive.all_inside",
        outside=voice.count(len(misses)),
        count=voice.count(len(table.rows)),
        level=voice.level,
        chance=voice.numbers.setting(round(1 - LEVEL, 9)),
    )


def _miss(row: ReplicatedRow, voice: Voice) -> Markup:
    form = _form(row, voice)
    return voice.say(
        "predictive.miss",
        name=_name(row, voice),
        observed=form(row.observed),
        median=form(row.median),
        range=voice.numbers.span(row.low, row.high, form),
        gap=voice.numbers.share(abs(_gap(row))),
        side=voice.text(f"predictive.{_side(row)}"),
    )


def _more(ordered: Sequence[ReplicatedRow], voice: Voice) -> Markup | str:
    left = len(ordered) - NAMED
    return voice.say("predictive.more", count=voice.count(left)) if left > 0 else ""


def _meanings(ordered: Sequence[ReplicatedRow], voice: Voice) -> list[Markup]:
    """What the misses mean, the largest first, without the small ones; where all are small, that they hardly matter."""
    if not ordered:
        return []
    if abs(_gap(ordered[0])) < SMALL:
        return [voice.say("predictive.all_small", gap=voice.numbers.share(abs(_gap(ordered[0])), 1))]
    missed = [(row.quantity, row.group, _side(row)) for row in ordered if abs(_gap(row)) >= SMALL]
    keys = [key for miss in missed for key, triggers in MEANINGS.items() if miss in triggers]
    return [voice.say(f"predictive.means.{key}") for key in dict.fromkeys(keys)]


# How a quantity is named and written


def _in_words(group: str, voice: Voice) -> str:
    """A group of customers by repeat purchases: "3", "2–3", "7 or more"."""
    if group.endswith("+"):
        return str(voice.say("predictive.or_more", number=group[:-1]))
    return group.replace("-", "–")


def _name(row: ReplicatedRow, voice: Voice) -> str:
    """The quantity in words, with the customers that it is of."""
    if row.aspect == "spend":
        quantity = voice.text(f"predictive.quantities.{row.quantity}")
        return str(voice.say("predictive.of_spenders", quantity=quantity, of=_of_spenders(row.group, voice)))
    key = "customers_once" if (row.quantity, row.group) == ("customers", "1") else row.quantity
    return str(voice.say(f"predictive.quantities.{key}", group=_in_words(row.group, voice)))


def _of_spenders(group: str, voice: Voice) -> str:
    if group in ("all", "1"):
        return voice.text("predictive.spenders_all" if group == "all" else "predictive.spenders_once")
    return str(voice.say("predictive.spenders", group=_in_words(group, voice)))


def _form(row: ReplicatedRow, voice: Voice) -> Form:
    if row.aspect == "spend":
        return voice.numbers.money
    if row.quantity == "last_purchase":
        return lambda value: voice.numbers.share(value, 1)
    if row.quantity == "silence":
        return lambda value: voice.numbers.length(round(value, 1), voice.unit) if value is not None else "–"
    return voice.count


# Figure and table


def _figure(family: str, table: PredictiveCheckTable, voice: Voice) -> Figure:
    spend = family == "spend"
    panels = [
        (
            voice.text(f"predictive.quantities.{quantity}" if spend else f"predictive.panel_{quantity}"),
            voice.text("predictive.axis_spend" if spend else f"predictive.axis_{quantity}"),
            {place: row for place, row in enumerate(table.rows) if row.quantity == quantity},
        )
        for quantity in PANELS[family]
    ]
    words = {
        "band": str(voice.say("predictive.band", level=voice.level)),
        "replicated": voice.text("predictive.replicated"),
        "observed": voice.text("predictive.observed"),
    }
    names = {"all": voice.text("predictive.all_buyers"), "2-3": "2–3"}
    shown = [row for _, _, rows in panels for row in rows.values()]
    caption = voice.say(
        f"predictive.caption_{family}",
        inside=voice.count(sum(not row.outside for row in shown)),
        shown=voice.count(len(shown)),
        level=voice.level,
    )
    key = f"replications-{table.model.replace('_', '-')}"
    plot = figures.replications(panels, names, words, voice.numbers)
    both = figures.sizes(len(panels), height=240 if spend else 300, narrow_height=220)
    wide, narrow = figures.draw(key, voice.text(f"predictive.alt_{family}"), plot, both)
    return Figure(key, wide, narrow, caption, _table(table, voice), csv_link(table.rows))


def _table(table: PredictiveCheckTable, voice: Voice) -> Table:
    """All quantities; those outside their interval are set apart."""
    body = []
    for row in table.rows:
        form = _form(row, voice)
        body.append(
            (
                _name(row, voice),
                form(row.observed),
                form(row.median),
                voice.numbers.span(row.low, row.high, form),
                voice.numbers.decimal(row.p_value, 3),
            )
        )
    texts = [
        str(voice.say(f"predictive.head_{head}", level=voice.level))
        for head in ("quantity", "observed", "median", "range", "p_value")
    ]
    marked = frozenset(place for place, row in enumerate(table.rows) if row.outside)
    return Table(voice.text("predictive.table"), columns(*texts), tuple(body), marked)
