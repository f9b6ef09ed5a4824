"""A comparison of two runs in lines for a terminal."""

import math
from collections.abc import Iterator, Sequence

from clvmodels.report.compare import Difference, Kind, RunComparison
from clvmodels.report.compare_tables import ColumnDifference

WORST = 20
LETTERS = 44  # of a word or a digest in a line
KINDS: dict[Kind, str] = {
    "same": "same",
    "within": "within",
    "beyond": "beyond",
    "unknown": "no error known",
    "only_a": "only in A",
    "only_b": "only in B",
}


def comparison_lines(found: RunComparison, *, most: int | None = WORST) -> Iterator[str]:
    """The comparison in lines: inputs, counts by section, what is beyond Monte Carlo error, and the largest others.

    Parameters
    ----------
    most : numbers and columns shown of each kind; None for all
    """
    yield from (f"A  {found.a}", f"B  {found.b}", "")
    yield from _inputs(found)
    yield from _sections(found)
    yield from _columns(found.columns, most)
    yield from _beyond(found, most)
    yield from _unknown(found, most)
    yield from ("", *_rule(found), verdict(found))


def verdict(found: RunComparison) -> str:
    """One line for a reader."""
    if found.beyond:
        number = "1 number differs" if found.beyond == 1 else f"{found.beyond:,} numbers differ"
        return f"{number} by more than Monte Carlo error"
    if all(number.kind == "same" for number in found.numbers) and all(c.same == c.customers for c in found.columns):
        return "the runs are the same"
    return "nothing differs by more than Monte Carlo error"


def _inputs(found: RunComparison) -> Iterator[str]:
    yield "inputs that differ" if found.inputs else "inputs: the same"
    for each in found.inputs:
        yield f"  {each.name}: {_short(each.a)} -> {_short(each.b)}"
    yield from (f"  {remark}" for remark in found.remarks)
    yield ""


def _rule(found: RunComparison) -> Iterator[str]:
    """What is meant by within and beyond."""
    yield f"{found.judged:,} numbers have a Monte Carlo error; within it are up to {found.limit:.2f} standard errors of"
    yield f"a difference. Of comparisons of runs that differ in their seeds alone, at most {found.rate:.0%} have any"
    yield "number beyond. Numbers that no random number enters (data, settings) are beyond with any difference."


def _sections(found: RunComparison) -> Iterator[str]:
    """Counts of results.json by section."""
    rows = [("results.json", *KINDS.values())]
    sections = found.by_section
    rows += [(name, *(f"{counts.get(kind, 0):,}" for kind in KINDS)) for name, counts in sections.items()]
    rows.append(("all", *(f"{sum(counts.get(kind, 0) for counts in sections.values()):,}" for kind in KINDS)))
    yield from _table(rows)


def _columns(columns: Sequence[ColumnDifference], most: int | None) -> Iterator[str]:
    """Columns of tables that differ, those beyond Monte Carlo error first."""
    for table in dict.fromkeys(column.table for column in columns):
        mine = [column for column in columns if column.table == table]
        differing = sorted(
            (column for column in mine if column.customers > column.same),
            key=lambda column: (-column.beyond, column.within == 0, -column.unknown),
        )
        both = max(column.customers for column in mine)
        alone = (
            f"; {mine[0].only_a:,} only in A, {mine[0].only_b:,} only in B" if mine[0].only_a + mine[0].only_b else ""
        )
        yield f"\n{table}.parquet: {both:,} customers in both{alone}; {len(differing)} of {len(mine)} columns differ"
        header = ("column", "same", "within", "beyond", "no error known", "largest", "mean", "worst customer")
        if differing:
            yield from _table([header, *(_column_row(column) for column in differing[:most])])
        if most is not None and len(differing) > most:
            yield f"  and {len(differing) - most} more columns (--all)"


def _column_row(column: ColumnDifference) -> tuple[str, ...]:
    worst = column.worst
    if column.worst_a is not None and column.worst_b is not None:
        worst = f"{worst}: {_value(column.worst_a)} -> {_value(column.worst_b)}"
    counts = (f"{count:,}" for count in (column.same, column.within, column.beyond, column.unknown))
    sizes = ("" if size is None else f"{size:.3g}" for size in (column.largest, column.mean))
    return (column.column, *counts, *sizes, worst)


def _beyond(found: RunComparison, most: int | None) -> Iterator[str]:
    beyond = [number for number in found.numbers if number.kind == "beyond"]
    if not beyond:
        return
    beyond.sort(key=lambda number: -(number.errors or 0.0))  # exact ones first, in the order of the results
    yield f"\nbeyond Monte Carlo error: {len(beyond):,} of results.json"
    yield from _some(beyond, most)


def _unknown(found: RunComparison, most: int | None) -> Iterator[str]:
    unknown = [number for number in found.numbers if number.kind == "unknown"]
    words = [number for number in unknown if not isinstance(number.a, float)]
    numbers = [number for number in unknown if isinstance(number.a, float)]
    numbers.sort(key=lambda number: -abs(number.change or 0.0))
    for title, each in (("no error known", numbers), ("words that differ", words)):
        if each:
            yield f"\n{title}: {len(each):,}"
            yield from _some(each, most)


def _some(numbers: Sequence[Difference], most: int | None) -> Iterator[str]:
    for number in numbers[:most]:
        parts = [f"{_value(number.a)} -> {_value(number.b)}"]
        parts += [f"{number.change:+.3%}"] if number.change is not None else []
        parts += [f"{number.errors:.1f} standard errors"] if number.errors and math.isfinite(number.errors) else []
        parts += ["exact"] if number.error == 0 else []
        yield f"  {number.path}: {', '.join(parts)}"
    if most is not None and len(numbers) > most:
        yield f"  and {len(numbers) - most:,} more (--all)"


def _value(value: float | str | bool | None) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return _short(None if value is None else str(value))


def _short(text: str | None) -> str:
    if text is None:
        return "none"
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 3]}..."


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows with their columns in line: the first and words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            f"{cell:{width}}" if place in (0, 7) else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()
