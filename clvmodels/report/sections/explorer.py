"""The customers with the most to come, for the reader to sort, filter and search."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.voice import Source, Voice, cell_names

SHOWN = 200


@dataclass(frozen=True)
class Field:
    """A column: its name in the customers table, its head's key, and how its values are written."""

    name: str
    head: str
    form: Callable[[Any], str]


def explorer(source: Source, voice: Voice) -> dict[str, Any]:
    """The first customers by expected future value."""
    table = source.customers
    if table is None:
        return {"rows": None, "missing": voice.text("explorer.missing")}
    names = cell_names(source.results, voice)
    shown = _largest(table, "clv_mean", SHOWN)
    fields = [field for field in _fields(voice) if field.name in table.column_names]
    return {
        "intro": voice.say("explorer.intro", count=voice.count(len(shown)), customers=voice.count(table.num_rows)),
        "heads": [voice.text(f"act_on.head_{field.head}") for field in fields],
        "rows": [_row(row, fields, names, voice) for row in shown],
        "types": [(key, names[key]) for key in CELL_ORDER if key in names],
        "missing": None,
    }


def _largest(table: Any, column: str, count: int) -> list[dict[str, Any]]:
    ordered = table.sort_by([(column, "descending"), ("customer_id", "ascending")])
    rows: list[dict[str, Any]] = ordered.slice(0, count).to_pylist()
    return rows


def _fields(voice: Voice) -> tuple[Field, ...]:
    numbers = voice.numbers
    return (
        Field("clv_mean", "clv", numbers.cell),
        Field("p_alive", "alive", numbers.share),
        Field("last_purchase", "last", lambda value: numbers.short_date(str(value)[:10])),
        Field("frequency", "frequency", numbers.decimal),
        Field("current_value", "current", numbers.cell),
        Field("purchases_mean", "purchases", lambda value: numbers.decimal(value, 1)),
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
