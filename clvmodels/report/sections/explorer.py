"""The customers with the most to come, for the reader to sort, filter and search."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.voice import Source, Voice, cell_names

SHOWN = 200
RANK = "rank"


@dataclass(frozen=True)
class Field:
    """A column: its name in the customers table, its head's key, how its values are written, and sorted at first."""

    name: str
    head: str
    form: Callable[[Any], str]
    first: str = "descending"


def explorer(source: Source, voice: Voice) -> dict[str, Any]:
    """The first customers by expected future value."""
    table = source.customers
    if table is None:
        return {"rows": None, "missing": voice.text("explorer.missing")}
    names = cell_names(source.results, voice)
    shown = _shown(table)
    fields = [field for field in _fields(voice) if field.name in table.column_names]
    first = voice.count(min(SHOWN, table.num_rows))
    return {
        "intro": voice.say("explorer.intro", count=first, customers=voice.count(table.num_rows)),
        "rank": voice.say("best.explorer", count=first, section=voice.text("sections.contest"))
        if RANK in table.column_names
        else None,
        "heads": [(voice.text(f"act_on.head_{field.head}"), field.first) for field in fields],
        "rows": [_row(row, fields, names, voice) for row in shown],
        "types": [(key, names[key]) for key in CELL_ORDER if key in names],
        "missing": None,
    }


def _shown(table: Any) -> list[dict[str, Any]]:
    """The first customers by expected future value, and those by rank where there is one; by future value."""
    columns = {"clv_mean": "descending"} | ({RANK: "ascending"} if RANK in table.column_names else {})
    firsts = [
        table.sort_by([(column, order), ("customer_id", "ascending")]).slice(0, SHOWN).to_pylist()
        for column, order in columns.items()
    ]
    once = {row["customer_id"]: row for rows in firsts for row in rows}
    return sorted(once.values(), key=lambda row: (-row["clv_mean"], str(row["customer_id"])))


def _fields(voice: Voice) -> tuple[Field, ...]:
    numbers = voice.numbers
    return (
        Field("clv_mean", "clv", numbers.cell),
        Field("p_alive", "alive", numbers.share),
        Field("last_purchase", "last", lambda value: numbers.short_date(str(value)[:10])),
        Field("frequency", "frequency", numbers.decimal),
        Field("current_value", "current", numbers.cell),
        Field("purchases_mean", "purchases", lambda value: numbers.decimal(value, 1)),
        Field(RANK, "rank", numbers.decimal, "ascending"),
    )


def _row(row: dict[str, Any], fields: list[Field], names: dict[str, str], voice: Voice) -> dict[str, Any]:
    cell = row["cell"]
    return {
        "customer": str(row["customer_id"]),
        "cell": cell,
        "label": names.get(cell, cell),
        "undecided": bool(row.get("undecided")),
        "range": voice.cells_between(row.get("clv_q05"), row.get("clv_q95")),
        "values": [(field.form(row[field.name]), str(row[field.name])) for field in fields],
    }
