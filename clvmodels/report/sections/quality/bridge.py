"""From the amount of all rows to the revenue used, step by step, and the ledger whole."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import DataSection
from clvmodels.report import figures, quality_figures
from clvmodels.report.quality_figures import Step
from clvmodels.report.sections.accounts import amount_of, aside, balance, ledger_table, part
from clvmodels.report.sections.quality.answer import largest_aside
from clvmodels.report.tables import Figure, Table, columns, csv_link
from clvmodels.report.voice import Source, Voice

ALL_SAMPLES = 5


@dataclass(frozen=True)
class Stage:
    """A step of the figure as numbers: its reason, what it adds, and the total after it."""

    reason: str
    amount: float
    total: float


def bridge(source: Source, voice: Voice) -> dict[str, Any]:
    """The sentence that balances, the waterfall, the ledger with all examples."""
    section = source.results.data
    return {
        "balance": balance(section, voice),
        "figure": _figure(section, voice) if aside(section) else None,
        "ledger": ledger_table(section, ALL_SAMPLES, voice),
    }


def _stages(section: DataSection) -> list[Stage]:
    total = amount_of(section.ledger)
    stages = [Stage("all_rows", total, total)]
    for line in aside(section):
        total -= line.amount
        stages.append(Stage(line.reason, -line.amount, total))
    return [*stages, Stage("revenue", section.revenue, section.revenue)]


def _figure(section: DataSection, voice: Voice) -> Figure:
    stages = _stages(section)
    names = [_name(stage, voice) for stage in stages]
    steps = [
        Step(name, stage.amount, stage.total, whole=stage.reason in ("all_rows", "revenue"))
        for name, stage in zip(names, stages, strict=True)
    ]
    alt = voice.say("quality.alt_bridge", steps=voice.count(len(steps) - 2))
    plot = quality_figures.waterfall(steps, voice.numbers)
    both = figures.sizes(1, height=60 + 32 * len(steps), narrow_height=50 + 46 * len(steps))
    wide, narrow = figures.draw("bridge", alt, plot, both)
    return Figure("bridge", wide, narrow, _caption(section, voice), _table(stages, names, voice), csv_link(stages))


def _name(stage: Stage, voice: Voice) -> str:
    if stage.reason in ("all_rows", "revenue"):
        return voice.text(f"quality.step_{stage.reason}")
    return voice.words.name("reasons", stage.reason)


def _caption(section: DataSection, voice: Voice) -> Markup:
    line, gross = largest_aside(section), amount_of(section.ledger)
    assert line is not None, "the figure is drawn where something was set aside"
    said = voice.say(
        "quality.caption_bridge" if gross > 0 else "quality.caption_bridge_amounts",
        gross=voice.numbers.compact(gross),
        revenue=voice.numbers.compact(section.revenue),
        share=part(section.revenue, gross, voice),
        reason=voice.words.name("reasons", line.reason),
        amount=voice.numbers.compact(line.amount),
    )
    if all(line.amount >= 0 for line in aside(section)):
        return said
    return said + voice.text("quality.between") + voice.say("quality.caption_bridge_up")


def _table(stages: list[Stage], names: list[str], voice: Voice) -> Table:
    heads = [voice.text(f"quality.head_{head}") for head in ("step", "change", "total")]
    exact, nothing = voice.numbers.exact_cell, voice.numbers.decimal(None)
    rows = tuple(
        (name, nothing if stage.reason in ("all_rows", "revenue") else exact(stage.amount), exact(stage.total))
        for name, stage in zip(names, stages, strict=True)
    )
    return Table(voice.text("quality.table_bridge"), columns(*heads), rows, ordered=True)
