"""The customers, for the reader to sort, filter and search: a block of columns for the script, and its first rows."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from clvmodels.report.customers import FIRST, RANK, CustomersShown, leading
from clvmodels.report.sections.act_on import action_names
from clvmodels.report.sections.headline import CELL_ORDER
from clvmodels.report.tables import json_block
from clvmodels.report.voice import Source, Voice, cell_names

if TYPE_CHECKING:  # slow to import, and only named here
    import pyarrow as pa

PLAIN = 50  # rows that are there without a script, and in print
LARGEST_BLOCK = 8_000_000  # bytes of the block of columns: ids may be long, and a page is to load at once
ON_SCREEN = ("best_action", "next_cell", "amount_to_next", "purchases_to_next")  # paper has no room for them
NONE = "none"  # the key of nothing: one that a reader can choose in a filter
CODES = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Field:
    """A column of numbers or days, or of an interval from one to another.

    Attributes
    ----------
    names : column of the customers table; two for an interval
    head : key of its head
    kind : the word by which the script knows how to write what is packed
    form : how the page writes a value
    pack : the values of a column as the script gets them: as exact as `form` writes them, and no longer
    first : how it is sorted at first
    """

    names: tuple[str, ...]
    head: str
    kind: str
    form: Callable[[Any], str]
    pack: "Callable[[pa.ChunkedArray], list[float | None]]"
    first: str = "descending"


def explorer(source: Source, voice: Voice) -> dict[str, Any]:
    """The customers by expected future value, the columns that the study has."""
    shown = source.customers
    if shown is None:
        hidden = source.results.study.privacy == "without"
        return {"missing": voice.text("privacy.without" if hidden else "explorer.missing")}
    words = _words(shown.rows, source, voice)
    fields = [field for field in _fields(voice) if set(field.names) <= set(shown.rows.column_names)]
    rows, block = _fitting(shown.rows, words, fields)
    return {
        "missing": None,
        "intro": _intro(rows.num_rows, shown, source, voice),
        "rank": voice.say("best.explorer", section=voice.text("sections.contest"))
        if RANK in shown.rows.column_names
        else None,
        "heads": [(voice.text(f"explorer.{name}"), False, name in ON_SCREEN) for name in words]
        + [
            (str(voice.say(f"act_on.head_{field.head}", level=voice.level)), True, field.names[0] in ON_SCREEN)
            for field in fields
        ],
        "filters": [(name, voice.text(f"explorer.{name}"), list(names.items())) for name, names in words.items()],
        "rows": [_row(row, words, fields, voice) for row in rows.slice(0, PLAIN).to_pylist()],
        "notes": [voice.say(f"explorer.{key}", **told) for key, told in _notes(shown.rows, source, voice).items()],
        "printed": voice.say("explorer.printed", count=voice.count(min(PLAIN, rows.num_rows))),
        "block": block,
    }


def _notes(rows: "pa.Table", source: Source, voice: Voice) -> dict[str, dict[str, object]]:
    """What the columns on time and on the next type say."""
    section, date = source.results.actions, voice.numbers.date(source.results.value.as_of)
    notes: dict[str, dict[str, object]] = {}
    if "days_until_half" in rows.column_names:
        notes["note_call"] = {"date": date}
    if "purchases_to_next" in rows.column_names and section is not None:
        notes["note_next"] = {"weeks": voice.numbers.length(section.next_weeks, "week")}
    return notes


def _intro(rows: int, shown: CustomersShown, source: Source, voice: Voice) -> Markup:
    if rows == shown.count:
        return voice.say("explorer.all_shown", customers=voice.count(rows))
    key = "first_ranked_shown" if RANK in shown.rows.column_names else "first_shown"
    file = "customers.parquet" if "customers.parquet" in source.downloads else "customers.csv"
    return voice.say(f"explorer.{key}", count=voice.count(rows), customers=voice.count(shown.count), file=file)


def _words(rows: "pa.Table", source: Source, voice: Voice) -> dict[str, Mapping[str, str]]:
    """Columns of keys, each with the names of the keys that are there, in the order of the catalogue."""
    cells = cell_names(source.results, voice)
    named = {key: cells[key] for key in CELL_ORDER if key in cells}
    known: dict[str, Mapping[str, str]] = {
        "cell": named,
        "tier": voice.words.at("pyramid.tiers"),
        "stage": voice.words.at("stages.names"),
        "best_action": {key: name for key, name in action_names(source.results, voice).items() if key},
        "next_cell": {**named, NONE: voice.text("explorer.highest")},
    }
    found = {name: {key or NONE for key in rows[name].unique().to_pylist()} for name in known if _told(name, rows)}
    return {
        name: {
            key: names.get(key, str(key)) for key in (*names, *sorted(found[name] - set(names))) if key in found[name]
        }
        for name, names in known.items()
        if name in found
    }


def _told(name: str, rows: "pa.Table") -> bool:
    """Whether the table has a column of keys with something in it; a study without actions has a blank one."""
    return name in rows.column_names and any(rows[name].unique().to_pylist())


def _fields(voice: Voice) -> tuple[Field, ...]:
    numbers = voice.numbers
    return (
        Field(("clv_mean",), "clv", "money", numbers.cell, _money),
        Field(("clv_q05", "clv_q95"), "range", "money", numbers.cell, _money),
        Field(("p_alive",), "alive", "share", numbers.share, _share),
        Field(("last_purchase",), "last", "day", lambda day: numbers.short_date(str(day)[:10]), _days),
        Field(("frequency",), "frequency", "count", numbers.decimal, _whole),
        Field(("current_value",), "current", "money", numbers.cell, _money),
        Field(("purchases_mean",), "purchases", "tenth", lambda value: numbers.decimal(value, 1), _tenths),
        Field((RANK,), "rank", "count", numbers.decimal, _whole, "ascending"),
        Field(("days_until_half",), "call", "count", numbers.decimal, _whole, "ascending"),
        Field(("amount_to_next",), "amount_to_next", "money", numbers.cell, _money, "ascending"),
        Field(("purchases_to_next",), "purchases_to_next", "count", numbers.decimal, _whole, "ascending"),
    )


def _row(
    row: Mapping[str, Any], words: Mapping[str, Mapping[str, str]], fields: Sequence[Field], voice: Voice
) -> dict[str, Any]:
    return {
        "customer": str(row["customer_id"]),
        "cell": row["cell"],
        "words": [names[row[name] or NONE] for name, names in words.items()],
        "undecided": bool(row.get("undecided")),
        "values": [_written([row[name] for name in field.names], field, voice) for field in fields],
    }


def _written(values: Sequence[Any], field: Field, voice: Voice) -> str:
    text: str = field.form(values[0]) if len(values) == 1 else voice.numbers.span(values[0], values[1], field.form)
    return text


# The block


def _fitting(
    rows: "pa.Table", words: Mapping[str, Mapping[str, str]], fields: Sequence[Field]
) -> "tuple[pa.Table, Markup]":
    """The rows that a page has room for, with their block."""
    block = _block(rows, words, fields)
    if len(block.encode()) > LARGEST_BLOCK and rows.num_rows > FIRST:
        rows = leading(rows, FIRST)
        block = _block(rows, words, fields)
    return rows, block


def _block(rows: "pa.Table", words: Mapping[str, Mapping[str, str]], fields: Sequence[Field]) -> Markup:
    """The columns as JSON that no markup can end or begin in."""
    content = {
        "ids": [str(value) for value in rows["customer_id"].to_pylist()],
        "undecided": _flags(rows),
        "words": [
            {"name": name, "keys": list(names), "names": list(names.values()), "codes": _codes(rows[name], names)}
            for name, names in words.items()
        ],
        "fields": [
            {
                "names": field.names,
                "kind": field.kind,
                "first": field.first,
                "values": [field.pack(rows[name]) for name in field.names],
            }
            for field in fields
        ],
    }
    return json_block(content)


def _codes(column: "pa.ChunkedArray", names: Mapping[str, str]) -> str:
    """A letter a row: the place of its key."""
    letters = dict(zip(names, CODES, strict=False))
    return "".join(_by_value(column, lambda key: letters[key or NONE]))


def _flags(rows: "pa.Table") -> str:
    if "undecided" not in rows.column_names:
        return "0" * int(rows.num_rows)
    return "".join(_by_value(rows["undecided"], lambda value: "01"[bool(value)]))


def _by_value(column: "pa.ChunkedArray", told: Callable[[Any], Any]) -> list[Any]:
    """What is told of each row's value, worked out once a value."""
    encoded = column.combine_chunks().dictionary_encode("encode")
    of_value = [told(value) for value in encoded.dictionary.to_pylist()]
    return [of_value[place] for place in _numpy(encoded.indices).tolist()]


def _days(column: "pa.ChunkedArray") -> list[float | None]:
    """Days from 1970-01-01."""
    first = dt.date(1970, 1, 1).toordinal()
    return _by_value(column, lambda day: dt.date.fromisoformat(str(day)[:10]).toordinal() - first)


def _money(column: "pa.ChunkedArray") -> list[float | None]:
    """Cents below a hundred, whole units above, as `Numbers.cell` writes them."""
    values = _floats(column)
    return _rounded(values, 2, np.abs(values) < 99.995)


def _whole(column: "pa.ChunkedArray") -> list[float | None]:
    values = _floats(column)
    return _rounded(values, 0, np.zeros(len(values), dtype=bool))


def _tenths(column: "pa.ChunkedArray") -> list[float | None]:
    values = _floats(column)
    return _rounded(values, 1, np.isfinite(values))


def _share(column: "pa.ChunkedArray") -> list[float | None]:
    """Percent as `Numbers.share` writes them: a decimal of small ones; 0.05 stands for less than 0.1."""
    values = _floats(column)
    least = (values > 0) & (values < 0.0005)
    packed = _rounded(100 * values, 1, (values != 0) & (np.abs(values) < 0.0095))
    return [0.05 if small else value for small, value in zip(least.tolist(), packed, strict=True)]


def _floats(column: "pa.ChunkedArray") -> np.ndarray:
    """Numbers of a column; NaN where there is none."""
    there = _numpy(column.is_valid().cast("uint8").combine_chunks()).astype(bool)
    values = np.full(len(column), np.nan)
    values[there] = _numpy(column.drop_null().cast("float64").combine_chunks())
    return values


def _numpy(values: "pa.Array") -> np.ndarray:
    """Numbers of a column that has them all; Arrow's own way imports pandas."""
    return np.from_dlpack(values)


def _rounded(values: np.ndarray, digits: int, fine: np.ndarray) -> list[float | None]:
    """Rounded as text is: to so many digits where fine, else to whole ones; None where there is no number.

    In the fewest letters: a whole number is an int.
    """
    finite = np.isfinite(values)
    rounded = np.rint(np.where(finite, values, 0.0))
    rounded[fine & finite] = _to_digits(values[fine & finite], digits)
    packed: list[float | None] = rounded.tolist()
    for place in np.flatnonzero(rounded == np.rint(rounded)).tolist():
        packed[place] = int(rounded[place])
    for place in np.flatnonzero(~finite).tolist():
        packed[place] = None
    return packed


def _to_digits(values: np.ndarray, digits: int) -> np.ndarray:
    """Numbers of ordinary size rounded as text is; a product close to a half may stand on the other side of it."""
    scaled = values * 10**digits
    rounded: np.ndarray = np.rint(scaled) / 10**digits
    for place in np.flatnonzero(np.abs(np.abs(scaled - np.rint(scaled)) - 0.5) < 1e-6).tolist():
        rounded[place] = round(float(values[place]), digits)
    return rounded
