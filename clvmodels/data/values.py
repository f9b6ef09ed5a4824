"""Values of a source: ids, days and numbers parsed in the engine, refused where they cannot be used."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import ibis

from clvmodels.data.days import date_hint, read_day
from clvmodels.data.engines import DECIMALS, first_row
from clvmodels.data.ids import as_text, read_id, scientific
from clvmodels.data.layout import Column, Layout
from clvmodels.data.numbers import number_hint, read_number
from clvmodels.data.source import Source
from clvmodels.foundation.errors import DataError

NOTHING: Mapping[str, Any] = MappingProxyType({})
LARGEST_AMOUNT = 1e15  # exact sums of ten decimals end near 1e28
SMALLEST_AMOUNT = 0.5 * 10**-DECIMALS  # what is smaller would be kept as 0
BINARY_NOISE = 1e-9  # what is left of sums of prices that come to 0, as in 0.1 + 0.2 - 0.3; no amount of money

OF_ONE = ("amount", "part_cost", "part_list_price")  # roles that a quantity multiplies


@dataclass(frozen=True)
class Fault:
    """What can be wrong with a column: the parsed rows in which it is bad, and how to fix them."""

    role: str
    bad: Callable[[Any], Any]
    fix: str


MISSING_ID = Fault(
    "customer_id",
    lambda rows: rows.customer_id.isnull(),
    'Fill them in, or leave these rows out by missing_ids="drop".',
)
FAULTS_OF_IDS = (
    Fault(
        "customer_id",
        lambda rows: scientific(rows.customer_id),
        "The last digits of such ids are lost: format the column as a whole number or as text and export it again.",
    ),
    Fault("customer_id", lambda rows: rows.customer_id.contains("\0"), "It holds a NUL byte: the file is damaged."),
)
ROUNDED = Fault(
    "customer_id",
    lambda rows: rows.customer_id_rounded,
    "Floats from 2^53 on do not tell neighbouring whole numbers apart: read the ids as text or whole numbers.",
)
# What all values of a column must have in common, by the suffix of the column in which `parsed` tells it.
ALIKE = {
    "sign": ("currency signs", "Give currency_column=, or read each currency on its own."),
    "offset": ("offsets from UTC", 'Give time_zone=, the zone whose days count, such as time_zone="Europe/Berlin".'),
}


def parsed(rows: Any, layout: Layout) -> Any:
    """Ids and labels as text, days, and floats; null where a value is missing or does not parse.

    Amounts, costs and list prices are multiplied by their quantity, where one is read. Further columns tell of a role
    what `value_checks` needs: role_unread, role_rounded, role_sign, role_offset, role_timed.

    Raises
    ------
    DataError
        If a column's type leaves open how to read it.
    """
    read: dict[str, Any] = {}
    for column in layout.wanted:
        read |= _read(rows, column, layout)
    if layout.has("quantity"):
        read |= {role: read[role] * read["quantity"] for role in OF_ONE if role in read}
    optional = [column.role for column in layout.wanted if column.optional]
    unread = {f"{role}_unread": _written(rows[role]) & read[role].isnull() for role in optional}
    return rows.mutate(**read, **unread)


def check_values(
    lines: Any, source: Source, layout: Layout, *, faults: Sequence[Fault], sums: Mapping[str, Any] = NOTHING
) -> dict[str, Any]:
    """The number of rows and further sums, by name; refuses the table where a value of it cannot be used.

    Parameters
    ----------
    sums : by name, aggregates of the lines that stand any value

    Raises
    ------
    DataError
        With the number of bad values, the place of the first, and what it holds.
    """
    seen = first_row(lines.aggregate(**value_checks(lines, layout, faults), **sums))
    refuse_bad_values(seen, source, layout, faults=faults)
    return {"rows": int(seen["rows"]), **{name: seen[name] for name in sums}}


def value_checks(lines: Any, layout: Layout, faults: Sequence[Fault]) -> dict[str, Any]:
    """What `refuse_bad_values` needs to know of parsed rows, as aggregates of them.

    Those whose name begins with "least_" or "most_" are minima and maxima, all others are sums.
    """
    checks = {f"fault_{place}": fault.bad(lines).sum() for place, fault in enumerate(_all(faults, lines))}
    for column in layout.wanted:
        for suffix in ALIKE:
            name = f"{column.role}_{suffix}"
            if name in lines.columns:
                checks |= {f"least_{name}": lines[name].min(), f"most_{name}": lines[name].max()}
        if f"{column.role}_timed" in lines.columns:
            checks[f"{column.role}_timed"] = lines[f"{column.role}_timed"].sum()
    return {"rows": lines.count(), **checks}


def refuse_bad_values(seen: dict[str, Any], source: Source, layout: Layout, *, faults: Sequence[Fault]) -> None:
    """Refuse the table where a value of it cannot be used; `seen` is what `value_checks` found.

    Raises
    ------
    DataError
        With the number of bad values, the place of the first, and what it holds.
    """
    if seen["rows"] == 0:
        raise DataError(f"{source.name}: there are no rows.")
    found = [name for name in seen if name.startswith("fault_") and seen[name]]
    if found:
        fault = _all(faults, source.rows, layout)[int(found[0].removeprefix("fault_"))]
        raise _refusal(source, layout, fault, f"{seen[found[0]]} of {seen['rows']} rows")
    for column in layout.wanted:
        for suffix in ALIKE:
            name = f"{column.role}_{suffix}"
            if name in _told(seen) and seen[f"least_{name}"] != seen[f"most_{name}"]:
                raise _mixed(source, layout, column, suffix, seen)
        if seen.get(f"{column.role}_timed", 1) == 0:
            raise _no_times(source, layout, column)


def out_of_range(amount: Any) -> Any:
    """Whether an amount is not finite, or too large for exact sums."""
    return amount.isnan() | amount.isinf() | (amount.abs() > LARGEST_AMOUNT)


def too_small(amount: Any) -> Any:
    """Whether an amount is more than the noise of binary sums, but would be kept as 0."""
    return (amount.abs() > BINARY_NOISE) & (amount.abs() < SMALLEST_AMOUNT)


def check_word(option: str, word: str, words: Iterable[str]) -> None:
    """Refuse a word that is none of an option's.

    Raises
    ------
    DataError
        With the words that are.
    """
    if word not in words:
        raise DataError(f'{option} = "{word}": expected one of {", ".join(f'"{known}"' for known in words)}.')


# --- reading ---


def _read(rows: Any, column: Column, layout: Layout) -> dict[str, Any]:
    value = rows[column.role]
    if column.kind == "id":
        return read_id(value, column)
    if column.kind == "day":
        return read_day(value, column, layout)
    if column.kind == "number":
        return read_number(value, column, layout, as_text(rows.currency) if layout.has("currency") else None)
    if column.kind == "trait" and (value.type().is_numeric() or value.type().is_boolean()):
        return {column.role: value.cast("float64").nullif(float("nan"))}
    return {column.role: as_text(value)}


def _written(value: Any) -> Any:
    """Whether there is something to read."""
    if value.type().is_floating():
        return value.notnull() & ~value.isnan()
    return (value.strip().nullif("") if value.type().is_string() else value).notnull()


# --- refusing ---


def _all(faults: Sequence[Fault], lines: Any, layout: Layout | None = None) -> list[Fault]:
    """The caller's faults, and those that any id can have."""
    columns = lines.columns if layout is None else parsed(lines, layout).columns
    rounded = (ROUNDED,) if "customer_id_rounded" in columns else ()
    return [*faults, *FAULTS_OF_IDS, *rounded]


def _told(seen: dict[str, Any]) -> set[str]:
    return {name.removeprefix("least_") for name in seen if name.startswith("least_")}


def _refusal(source: Source, layout: Layout, fault: Fault, rows: str) -> DataError:
    """Says which row is the first that cannot be used, and what it holds."""
    read = _numbered(source, layout, fault.role)
    place, bad = _first(read.filter(fault.bad(read)), source)
    written = "" if bad["written"] is None else str(bad["written"]).strip()
    what = f"cannot be used in {rows}" if written else f"is missing in {rows}"
    column = layout.column(fault.role)
    fix = fault.fix
    if written and bad[fault.role] is None:
        if column.kind == "day":
            fix = date_hint(written, layout)
        if column.kind == "number":
            fix = f"{fix} {number_hint(source.rows, column, layout)}".rstrip()
    shown = f'{place}: "{written[:200]}"' if written else place
    return DataError(f'{source.name}: column "{column.name}" {what} (first: {shown}). {fix}')


def _mixed(source: Source, layout: Layout, column: Column, suffix: str, seen: dict[str, Any]) -> DataError:
    """Says where the first two rows are whose values have not in common what they must."""
    what, fix = ALIKE[suffix]
    name = f"{column.role}_{suffix}"
    read = _numbered(source, layout, column.role)
    examples = []
    for bound in (seen[f"least_{name}"], seen[f"most_{name}"]):
        place, row = _first(read.filter(read[name] == bound), source)
        examples.append(f'{place}: "{str(row["written"]).strip()}"')
    return DataError(f'{source.name}: column "{column.name}" mixes {what} ({"; ".join(examples)}). {fix}')


def _no_times(source: Source, layout: Layout, column: Column) -> DataError:
    option = f'time_zone="{layout.time_zone}"' if layout.time_zone is not None else "day_starts"
    return DataError(
        f'{source.name}: column "{column.name}" has days without a time of day, or all at midnight, so {option} cannot '
        "be counted by. Leave it out, or name the column that has the time."
    )


def _numbered(source: Source, layout: Layout, role: str) -> Any:
    rows = source.rows if source.numbered is None else source.numbered
    if source.locate is not None and source.numbered is None:
        rows = rows.mutate(position=ibis.row_number())
    written = rows[role]
    if written.type().is_date() or written.type().is_timestamp():
        written = written.cast("string")  # a day of the year 20000 is none in Python
    return parsed(rows.mutate(written=written), layout)


def _first(rows: Any, source: Source) -> tuple[str, dict[str, Any]]:
    """The first of some rows and its place; of rows without an order that of the first id and day."""
    if source.locate is None:
        row = first_row(rows.order_by([name for name in rows.columns if name != "position"]).limit(1))
        return f"a row of customer {row.get('customer_id')!r}", row
    row = first_row(rows.order_by("position").limit(1))
    return source.locate(row["position"]), row
