"""What a source is once it is open: its wanted columns by role, before any value is read."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clvmodels.data.layout import Layout
from clvmodels.foundation.errors import DataError


@dataclass(frozen=True)
class Source:
    """What was given, before any value is read.

    Attributes
    ----------
    name : for a reader
    rows : Ibis table with a column a role (customer_id, date, ...) in the source's own types and order
    files : the files in name order; none for a frame
    locate : position of a row (from 0, or as `numbered` has it) to its place as a reader counts it; None where rows
        have no order
    mixed_ids : rows whose id is written in another way than that of other rows, and is read as the same
    numbered : the rows with a column `position`, which `locate` places; None where counting them in order is enough
    in_place : whether the engine can read the rows again at little cost
    explain : what is wrong with rows that the engine could not read, or None where it says so itself
    """

    name: str
    rows: Any
    files: tuple[Path, ...]
    locate: Callable[[int], str] | None
    mixed_ids: int = 0
    numbered: Any = None
    in_place: bool = False
    explain: Callable[[], DataError | None] = lambda: None


def positions(names: Sequence[str], layout: Layout, where: str) -> dict[str, int]:
    """The place of each role's column among a source's columns.

    Raises
    ------
    DataError
        If one is not there, or is there twice.
    """
    found = {}
    for column in layout.wanted:
        name = column.name
        if names.count(name) > 1:
            raise DataError(f'{where}: {names.count(name)} columns have the name "{name}". Rename all but one.')
        if name not in names:
            close = difflib.get_close_matches(name.lower(), [known.lower() for known in names], 1, 0.5)
            meant = (f' Did you mean {column.option}="{known}"?' for known in names if known.lower() in close)
            has = ", ".join(names)
            raise DataError(f'{where}: no column "{name}" ({column.option}=); it has: {has}.{next(meant, "")}')
        found[column.role] = names.index(name)
    return found


def by_role(table: Any, layout: Layout) -> Any:
    """The wanted columns of an Ibis table, named by their roles."""
    return table.select(**{column.role: table[column.name] for column in layout.wanted})
