"""Ids and labels as text: 007 keeps its zeros, and 7, 7.0 and "7" are one customer or are refused."""

from dataclasses import replace
from typing import Any

import ibis

from clvmodels.data.engines import first_row
from clvmodels.data.layout import Column
from clvmodels.data.source import Source
from clvmodels.data.texts import among, stripped
from clvmodels.foundation.errors import DataError

MISSING = ("NaN", "nan", "NA", "<NA>", "N/A", "n/a", "#N/A", "None", "NULL", "null", "-")
LONGEST_MISSING = 4
FIRST_UNSURE = 2.0**53  # from here on neighbouring whole numbers are one float
POINTED = r"^[+-]?\d+\.\d*$"
WHOLE = r"^[+-]?\d+\.0*$"
SCIENTIFIC = r"^[+-]?(\d(\.\d+)?[eE]\+\d+|\d\.\d+[eE]\d+)$"  # 12e3 may be a name


def read_id(value: Any, column: Column) -> dict[str, Any]:
    """An id as text; of floats also, under role_rounded, whether they are too large to be whole."""
    kind = value.type()
    if kind.is_boolean() or kind.is_nested():
        raise DataError(f'column "{column.name}" holds {kind}, not ids of customers.')
    read = {column.role: as_text(value)}
    if kind.is_string():
        text = read[column.role]
        marker = (text.length() <= LONGEST_MISSING).ifelse(among(text, MISSING), ibis.literal(False))  # noqa: FBT003
        read[column.role] = marker.ifelse(ibis.null("string"), text)
    if kind.is_floating():
        read[f"{column.role}_rounded"] = value.abs() >= FIRST_UNSURE
    return read


def as_text(value: Any) -> Any:
    """A value as text: blanks around it left out, leading zeros kept, 17850.0 written 17850."""
    kind = value.type()
    if kind.is_string():
        return stripped(value).nullif("")
    if kind.is_floating():
        number = value.cast("float64").nullif(float("nan"))
        whole = number.try_cast("int64")
        return ibis.ifelse(whole.cast("float64") == number, whole.cast("string"), number.cast("string"))
    if kind.is_decimal() and kind.scale != 0:
        return value.cast("string").re_replace(r"\.?0+$", "")
    return value.cast("string")


def scientific(ids: Any) -> Any:
    """Whether an id is a number in powers of ten, whose last digits are lost."""
    exponent = ids.contains("e") | ids.contains("E")
    return exponent.ifelse(ids.re_search(SCIENTIFIC), ibis.literal(False))  # noqa: FBT003


def join_ids(lines: Any, source: Source) -> tuple[Any, Source]:
    """The lines with ids such as "7.0" of a text column written "7", and the source with their rows counted.

    Where no id has a decimal point, lines and source are as they were.

    Parameters
    ----------
    lines : Ibis table with a column customer_id; where it has a column `lines`, a row stands for so many of the source

    Raises
    ------
    DataError
        If some ids have decimals other than 0 and a whole one is written in two ways ("7" and "7.0").
    """
    if not source.rows.customer_id.type().is_string():
        return lines, source
    weight = lines.lines if "lines" in lines.columns else ibis.literal(1)
    dotted = lines.filter(lines.customer_id.contains("."))
    dotted = dotted.mutate(rows=weight if weight is not None else 1)
    ids = dotted.customer_id
    seen = first_row(
        dotted.aggregate(
            whole=dotted.rows.sum(where=ids.re_search(WHOLE)),
            others=(ids.re_search(POINTED) & ~ids.re_search(WHOLE)).sum(),
        )
    )
    if not seen["whole"]:
        return lines, source
    joined = lines.mutate(customer_id=_without_point(lines.customer_id))
    if seen["others"]:
        _refuse_two_ways(lines, source)
        return lines, source
    return joined, replace(source, mixed_ids=source.mixed_ids + int(seen["whole"]))


def _without_point(ids: Any) -> Any:
    return ids.re_search(WHOLE).ifelse(ids.re_replace(r"\.0*$", ""), ids)


def _refuse_two_ways(lines: Any, source: Source) -> None:
    """Refuse ids of which "7" and "7.0" are both there, beside "7.5"."""
    ids = lines.select("customer_id").distinct()
    whole = ids.filter(ids.customer_id.re_search(WHOLE)).select(
        written=ids.customer_id, customer_id=_without_point(ids.customer_id)
    )
    twice = whole.inner_join(ids, "customer_id").order_by("customer_id").limit(1).to_pyarrow().to_pylist()
    if twice:
        raise DataError(
            f'{source.name}: the ids "{twice[0]["customer_id"]}" and "{twice[0]["written"]}" may be one customer, but '
            "others have decimals other than 0, so that it cannot be told. Write whole ids in one way."
        )
